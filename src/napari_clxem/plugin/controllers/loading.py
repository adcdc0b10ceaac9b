"""Open the images of datasets, in the background, and hand them over one channel at a time."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
from napari.qt.threading import create_worker
from napari.utils.notifications import show_warning
from psygnal import Signal
from qtpy.QtCore import QTimer

from napari_clxem.errors import ClxemError, SessionError
from napari_clxem.io.image import OpenedImage
from napari_clxem.plugin.layers import Plane, planes
from napari_clxem.session import Store, missing_files
from napari_clxem.session.model import Dataset
from napari_clxem.session.opening import open_dataset
from napari_clxem.session.pictures import stand_in

# An image of no more bytes than this is read at once: a lazy one costs more at every slice.
SMALL = 128 * 2**20
# Said of what is shown from a travel package.
SMALL_PICTURE = "(small picture)"

Failure = tuple[Dataset, ClxemError]
Opened = tuple[Dataset, list[Plane]] | Failure
Channel = tuple[Dataset, list[Plane], Plane]


def open_planes(store: Store, dataset: Dataset) -> list[Plane]:
    """Open a dataset's file and describe its channels.

    Where the file is missing and a travel package has a small picture of it, that is opened.

    Raises
    ------
    ClxemError
        Where the file is not there or cannot be read.
    """
    try:
        image = open_dataset(store, dataset)
    except SessionError:
        only = replace(store.session, datasets=(dataset,))
        small = stand_in(store.path, only, dataset) if missing_files(only) else None
        if small is None:
            raise
        return _described(small, dataset, f"{dataset.name} {SMALL_PICTURE}")
    return _described(image, dataset, dataset.name)


def _described(image: OpenedImage, dataset: Dataset, name: str) -> list[Plane]:
    meta = {"dataset": dataset.id, "frame": dataset.frame}
    return planes(_at_hand(image), modality=dataset.modality, name=name, meta=meta)


def _at_hand(image: OpenedImage) -> OpenedImage:
    """Read a small image into memory; a larger one stays lazy."""
    if image.data.nbytes > SMALL:
        return image
    return replace(image, levels=tuple(np.asarray(level) for level in image.levels))


class Loader:
    """Opens datasets; the window stays alive while it does so in the background.

    Parameters
    ----------
    take : callable
        Called with a dataset, its channels and the one to be shown now.
    done : callable
        Called when everything asked for in the background has been taken.

    Attributes
    ----------
    progressed : Signal
        Emitted with the number of images opened, the number asked for, and the name of the one
        that comes next; with (0, 0, "") when nothing is being opened any more.
    """

    progressed = Signal(int, int, str)

    def __init__(
        self, take: Callable[[Dataset, list[Plane], Plane], None], done: Callable[[], None]
    ) -> None:
        self._take = take
        self._done = done
        self._failed: set[str] = set()
        self._waiting: deque[Channel | Failure] = deque()
        self._worker: Any = None
        self._asked: list[Dataset] = []
        self._total = 0

    def forgive(self) -> None:
        """Try again what could not be opened before."""
        self._failed.clear()

    def openable(self, datasets: Iterable[Dataset]) -> list[Dataset]:
        """Leave out what could not be opened before."""
        return [one for one in datasets if one.id not in self._failed]

    def load(self, store: Store, datasets: list[Dataset]) -> None:
        """Open datasets now."""
        for opened in _open_each(store, datasets):
            for part in _parts(opened):
                self._hand_over(part)

    def load_later(self, store: Store, datasets: list[Dataset]) -> None:
        """Open datasets in the background; what is being opened and not among them is given up.

        What has been opened already is handed over all the same.
        """
        if self._asked and all(one in self._asked for one in datasets):
            return
        self._leave_worker()
        waiting = list(dict.fromkeys(part[0] for part in self._waiting))
        new = [one for one in datasets if one not in waiting]
        self._asked = [*waiting, *new]
        self._total = len(self._asked)
        if new:
            self._worker = create_worker(
                _open_each,
                store,
                new,
                _start_thread=False,
                _progress={"total": len(new), "desc": "Opening images"},
            )
            self._worker.yielded.connect(self._on_opened)
            self._worker.finished.connect(self._on_finished)
            self._worker.start()
        self._tell()

    @property
    def busy(self) -> bool:
        """Whether images are being opened in the background."""
        return bool(self._asked)

    def cancel(self) -> None:
        """Give up what is being opened; it is not tried again until a site is shown anew."""
        self._failed.update(one.id for one in self._asked)
        self.stop()
        self._done()

    def stop(self) -> None:
        """Give up what is being opened."""
        self._waiting.clear()
        self._leave_worker()
        self._asked = []
        self._tell()

    def _leave_worker(self) -> None:
        if self._worker is not None:
            self._worker.yielded.disconnect(self._on_opened)
            self._worker.finished.disconnect(self._on_finished)
            self._worker.quit()
            self._worker = None

    def _on_opened(self, opened: Opened) -> None:
        idle = not self._waiting
        self._waiting.extend(_parts(opened))
        if idle:
            QTimer.singleShot(0, self._next)

    def _on_finished(self) -> None:
        self._worker = None
        if not self._waiting:
            self._finish()

    def _finish(self) -> None:
        self._asked = []
        self._tell()
        self._done()

    def _tell(self) -> None:
        """Say how far it has come: an image counts when its last channel has been taken."""
        if not self._asked:
            self.progressed.emit(0, 0, "")
            return
        self.progressed.emit(self._total - len(self._asked), self._total, self._asked[0].name)

    def _next(self) -> None:
        """Hand over one channel, then let the window draw."""
        if not self._waiting:
            return
        part = self._waiting[0]
        self._hand_over(part)
        if self._waiting and self._waiting[0] is part:  # else it was all given up meanwhile
            self._waiting.popleft()
        if self._waiting:
            QTimer.singleShot(0, self._next)
        elif self._worker is None:
            self._finish()

    def _hand_over(self, part: Channel | Failure) -> None:
        dataset = part[0]
        if len(part) == 3:
            self._take(dataset, part[1], part[2])
        else:
            self._failed.add(dataset.id)
            show_warning(f"{dataset.name}: {part[1]}")
        if len(part) == 2 or part[2] is part[1][-1]:
            self._asked = [one for one in self._asked if one.id != dataset.id]
            if self._asked:
                self._tell()


def _open_each(store: Store, datasets: list[Dataset]) -> Iterator[Opened]:
    for dataset in datasets:
        try:
            yield dataset, open_planes(store, dataset)
        except ClxemError as error:
            yield dataset, error


def _parts(opened: Opened) -> list[Channel | Failure]:
    """Split an opened image into what is handed over at once: one channel."""
    dataset, found = opened
    if isinstance(found, ClxemError):
        return [(dataset, found)]
    return [(dataset, found, channel) for channel in found]
