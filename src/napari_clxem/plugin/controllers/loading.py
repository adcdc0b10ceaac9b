"""Open the images of datasets, in the background, and hand them over one channel at a time."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
from napari.qt.threading import create_worker
from napari.utils.notifications import show_warning
from qtpy.QtCore import QTimer

from napari_clxem.errors import ClxemError
from napari_clxem.io.image import OpenedImage
from napari_clxem.plugin.layers import Plane, planes
from napari_clxem.session import Store
from napari_clxem.session.model import Dataset
from napari_clxem.session.opening import open_dataset

# An image of no more bytes than this is read at once: a lazy one costs more at every slice.
SMALL = 128 * 2**20

Channel = tuple[Dataset, list[Plane], Plane]
Opened = Channel | tuple[Dataset, ClxemError]


def open_planes(store: Store, dataset: Dataset) -> list[Plane]:
    """Open a dataset's file and describe its channels.

    Raises
    ------
    ClxemError
        Where the file is not there or cannot be read.
    """
    image = open_dataset(store, dataset)
    meta = {"dataset": dataset.id, "frame": dataset.frame}
    return planes(_at_hand(image), modality=dataset.modality, name=dataset.name, meta=meta)


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
    """

    def __init__(
        self, take: Callable[[Dataset, list[Plane], Plane], None], done: Callable[[], None]
    ) -> None:
        self._take = take
        self._done = done
        self._failed: set[str] = set()
        self._waiting: deque[Opened] = deque()
        self._worker: Any = None

    def forgive(self) -> None:
        """Try again what could not be opened before."""
        self._failed.clear()

    def openable(self, datasets: Iterable[Dataset]) -> list[Dataset]:
        """Leave out what could not be opened before."""
        return [one for one in datasets if one.id not in self._failed]

    def load(self, store: Store, datasets: list[Dataset]) -> None:
        """Open datasets now."""
        for opened in _open_each(store, datasets):
            self._hand_over(opened)

    def load_later(self, store: Store, datasets: list[Dataset]) -> None:
        """Open datasets in the background instead of whatever is being opened there."""
        self.stop()
        self._worker = create_worker(
            _open_each,
            store,
            datasets,
            _start_thread=False,
            _progress={"total": len(datasets), "desc": "Opening images"},
        )
        self._worker.yielded.connect(self._on_opened)
        self._worker.finished.connect(self._on_finished)
        self._worker.start()

    def stop(self) -> None:
        """Give up what is being opened."""
        self._waiting.clear()
        if self._worker is not None:
            self._worker.yielded.disconnect(self._on_opened)
            self._worker.finished.disconnect(self._on_finished)
            self._worker.quit()
            self._worker = None

    def _on_opened(self, opened: Opened) -> None:
        self._waiting.append(opened)
        if len(self._waiting) == 1:
            QTimer.singleShot(0, self._next)

    def _on_finished(self) -> None:
        self._worker = None
        if not self._waiting:
            self._done()

    def _next(self) -> None:
        """Hand over one channel, then let the window draw."""
        if not self._waiting:
            return
        self._hand_over(self._waiting[0])
        self._waiting.popleft()
        if self._waiting:
            QTimer.singleShot(0, self._next)
        elif self._worker is None:
            self._done()

    def _hand_over(self, opened: Opened) -> None:
        dataset = opened[0]
        if len(opened) == 3:
            self._take(dataset, opened[1], opened[2])
        else:
            self._failed.add(dataset.id)
            show_warning(f"{dataset.name}: {opened[1]}")


def _open_each(store: Store, datasets: list[Dataset]) -> Iterator[Opened]:
    for dataset in datasets:
        try:
            channels = open_planes(store, dataset)
        except ClxemError as error:
            yield dataset, error
            continue
        for channel in channels:
            yield dataset, channels, channel
