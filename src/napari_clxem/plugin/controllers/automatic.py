"""Finding and matching the beads of a link in the background."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from napari.qt.threading import create_worker
from napari.utils.notifications import show_error, show_info
from psygnal import Signal

from napari_clxem.errors import ClxemError
from napari_clxem.fiducials import Beads
from napari_clxem.plugin.controllers.correlation import Correlation
from napari_clxem.session import Store
from napari_clxem.session.beads import Found, find_beads, linked
from napari_clxem.session.model import Dataset, Link, Session
from napari_clxem.session.opening import open_dataset


@dataclass(frozen=True)
class Asked:
    """What one run has to do: images to look for beads in, and whether to match them."""

    datasets: tuple[Dataset, ...]
    known: dict[str, Beads]
    link: Link
    session: Session
    match: bool


class Automatic:
    """Detection and matching for the link being worked on, one run at a time.

    Parameters
    ----------
    correlation : Correlation
        What is shown and edited.

    Attributes
    ----------
    progressed : Signal
        Emitted with what is being done; an empty text when nothing is any more.
    """

    progressed = Signal(str)

    def __init__(self, correlation: Correlation) -> None:
        self._correlation = correlation
        self._worker: Any = None

    @property
    def busy(self) -> bool:
        """Whether something is being done."""
        return self._worker is not None

    def start(self, match: bool) -> None:
        """Find the beads of both images; match them too where that is wanted."""
        pair = self._correlation.pair
        moving = fixed = None
        if pair is not None:
            moving = self._correlation.dataset(pair.canvas("moving"))
            fixed = self._correlation.dataset(pair.canvas("fixed"))
        if self.busy or pair is None or moving is None or fixed is None:
            return
        store = self._correlation.workspace.store
        asked = Asked((moving, fixed), self._correlation.beads, pair.link, store.session, match)
        # Errors are said by ours alone.
        self._worker = create_worker(_run, store, asked, _start_thread=False, _ignore_errors=True)
        self._worker.yielded.connect(self._on_yielded)
        self._worker.errored.connect(self._on_error)
        self._worker.finished.connect(self._on_finished)
        self._worker.start()

    def cancel(self) -> None:
        """Give up; what has been found stays."""
        if self._worker is not None:
            for signal, slot in (
                (self._worker.yielded, self._on_yielded),
                (self._worker.errored, self._on_error),
                (self._worker.finished, self._on_finished),
            ):
                signal.disconnect(slot)
            self._worker.quit()
            self._on_finished()

    def _on_yielded(self, news: str | Found | Link) -> None:
        if isinstance(news, str):
            self.progressed.emit(news)
        elif isinstance(news, Link):
            self._take(news)
        else:
            self._correlation.show_beads(*news)

    def _take(self, news: Link) -> None:
        pair = self._correlation.pair
        if pair is None or (pair.link.moving, pair.link.fixed) != (news.moving, news.fixed):
            return
        picked = tuple(one for one in pair.link.landmarks if one.origin != "bead")
        self._correlation.put_landmarks(
            (*picked, *news.landmarks), "Match beads", tilt_sd=news.tilt_sd, robust=True
        )
        show_info(f"{len(news.landmarks)} beads match.")

    def _on_error(self, error: Exception) -> None:
        if not isinstance(error, ClxemError):
            raise error
        show_error(str(error))

    def _on_finished(self) -> None:
        self._worker = None
        self.progressed.emit("")


def _run(store: Store, asked: Asked) -> Iterator[str | Found | Link]:
    beads = dict(asked.known)
    for dataset in asked.datasets:
        if dataset.id not in beads:
            yield f"Looking for beads in {dataset.name}…"
            beads[dataset.id] = find_beads(open_dataset(store, dataset), dataset)
            yield dataset, beads[dataset.id]
    if asked.match:
        moving, fixed = asked.datasets
        yield "Matching…"
        ends = (moving, beads[moving.id]), (fixed, beads[fixed.id])
        yield linked(*ends, asked.session, asked.link)
