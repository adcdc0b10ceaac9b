"""Finding out about fits in the background: it takes a fit per landmark, and per model."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from napari.qt.threading import create_worker
from psygnal import Signal

from napari_clxem.frames import Fit
from napari_clxem.session.examination import examine, is_examined
from napari_clxem.session.model import Session
from napari_clxem.session.pairs import found

Task = tuple[Fit, bool]


class Examining:
    """Examines the fits of one session at a time.

    Attributes
    ----------
    known : Signal
        Emitted when more is known than before.
    """

    known = Signal()

    def __init__(self) -> None:
        self._worker: Any = None
        self._next: tuple[Session, str] | None = None

    def want(self, session: Session, link: str = "") -> None:
        """Examine what was not yet; of one link compare the models, too.

        What was asked for last comes next.
        """
        self._next = (session, link)
        if self._worker is None:
            self._start()

    def stop(self) -> None:
        """Find out nothing more."""
        self._next = None
        if self._worker is not None:
            self._worker.finished.disconnect(self._on_finished)
            self._worker.quit()
            self._worker = None

    def _start(self) -> None:
        asked, self._next = self._next, None
        tasks = [] if asked is None else list(_tasks(*asked))
        if not tasks:
            return
        self._worker = create_worker(_examine, tasks, _start_thread=False)
        self._worker.yielded.connect(self._on_yielded)
        self._worker.finished.connect(self._on_finished)
        self._worker.start()

    def _on_yielded(self) -> None:
        self.known.emit()
        if self._next is not None and self._worker is not None:
            self._worker.quit()  # what comes next knows what was found out already

    def _on_finished(self) -> None:
        self._worker = None
        self._start()


def _tasks(session: Session, chosen: str) -> Iterator[Task]:
    """Give the fits to be examined, that of the chosen link first."""
    for link in sorted(session.links, key=lambda one: one.id != chosen):
        fitted = found(link) if link.kind == "landmarks" else None
        if fitted is not None and not is_examined(fitted, link.id == chosen):
            yield fitted, link.id == chosen


def _examine(tasks: list[Task]) -> Iterator[None]:
    for fitted, compare in tasks:
        examine(fitted)
        yield
        if compare:
            examine(fitted, compare)
            yield
