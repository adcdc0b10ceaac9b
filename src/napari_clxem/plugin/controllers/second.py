"""The second canvas: the images of one frame, by themselves, in their own µm."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from napari.components import ViewerModel
from napari.layers import Layer
from psygnal import Signal

from napari_clxem.plugin.colours import is_support
from napari_clxem.plugin.controllers.loading import Loader
from napari_clxem.plugin.controllers.turns import Turns
from napari_clxem.plugin.layers import Plane, layer_data
from napari_clxem.plugin.world import MicrometreWorld
from napari_clxem.session import Session, Store
from napari_clxem.session.model import Dataset

Key = tuple[str, int]


class SecondView:
    """A viewer model beside the main one, and the layers of the frame it shows.

    Parameters
    ----------
    known : callable
        Gives the channels of a dataset that is open already; none of another.
    turns : Turns
        Spreads what is to be done to many layers.

    Attributes
    ----------
    model : napari.components.ViewerModel
        What the second canvas draws.
    changed : Signal
        Emitted when another frame is shown, and when its images have been opened.
    """

    changed = Signal()

    def __init__(self, known: Any, turns: Turns) -> None:
        self.model = ViewerModel(title="Second canvas")
        self._world = MicrometreWorld(self.model)
        self._known = known
        self._turns = turns
        self._loader = Loader(self._take, self._arrived)
        self._frame = ""
        self._datasets: dict[str, Dataset] = {}
        self._planes: dict[str, list[Plane]] = {}
        self._layers: dict[Key, Any] = {}

    @property
    def frame(self) -> str:
        """Name of the frame shown; empty for none."""
        return self._frame

    @property
    def layers(self) -> dict[Key, Any]:
        """Image layers by dataset id and channel."""
        return dict(self._layers)

    def planes(self, dataset: Dataset) -> list[Plane]:
        """Give the channels of a dataset that is shown; none of another."""
        return self._planes.get(dataset.id, [])

    def release(self) -> None:
        """Give up what is being opened."""
        self._loader.stop()
        self._world.release()

    def show(self, store: Store, frame: str, wait: bool = False) -> None:
        """Show the images that lie in a frame, opening in the background what is not open yet.

        Parameters
        ----------
        store : Store
            Of the session.
        frame : str
            Name of the frame; empty shows nothing.
        wait : bool
            True opens files now.
        """
        session = store.session
        wanted = {one.id: one for one in session.datasets if one.frame == frame and frame}
        if frame == self._frame and wanted == self._datasets:
            return
        self._loader.stop()
        self._frame = frame
        for name in [name for name in self._datasets if wanted.get(name) != self._datasets[name]]:
            self._drop(name)
        self._datasets = wanted
        self._loader.forgive()
        missing = []
        for dataset in wanted.values():
            if dataset.id in self._planes:
                continue
            planes = self._known(dataset)
            if planes:
                for plane in planes:
                    key = (self, dataset.id, plane.meta["channel"])
                    self._turns.do(key, partial(self._take, dataset, planes, plane))
            else:
                missing.append(dataset)
        if missing and wait:
            self._loader.load(store, missing)
        elif missing:
            self._loader.load_later(store, missing)
        if wait:
            self._turns.finish()
        if wait or not missing:
            self._turns.do((self, "arrived"), self._arrived)

    def shows_all(self, session: Session) -> bool:
        """Tell whether the frame shown is still what the document says."""
        return self._datasets == {
            one.id: one for one in session.datasets if one.frame == self._frame and self._frame
        }

    def _take(self, dataset: Dataset, planes: list[Plane], plane: Plane) -> None:
        key = (dataset.id, plane.meta["channel"])
        if dataset.frame != self._frame or key in self._layers or plane.scale is None:
            return
        self._planes[dataset.id] = planes
        data, arguments, kind = layer_data(plane)
        # What shows the support hides what is labelled; it waits for the channel list.
        named = dataset.channels[key[1]] if dataset.channels else None
        arguments["visible"] = len(planes) == 1 or named is None or not is_support(named)
        layer = Layer.create(data, arguments, kind)
        self._layers[key] = layer
        self.model.layers.insert(len(self._layers) - 1, layer)
        if len(self._layers) == 1:
            self._look()

    def _look(self) -> None:
        """Look at the middle of what is shown."""
        self.model.fit_to_view()
        extent = self.model.layers.extent.world
        for axis in range(self.model.dims.ndim - 2):
            self.model.dims.set_point(axis, float(np.mean(extent[:, axis])))

    def _arrived(self) -> None:
        if self._layers:
            self._look()
        self.changed.emit()

    def _drop(self, name: str) -> None:
        self._planes.pop(name, None)
        for key in [key for key in self._layers if key[0] == name]:
            self._turns.do((self, "drop", *key), partial(self._remove, self._layers.pop(key)))

    def _remove(self, layer: Any) -> None:
        if layer in self.model.layers:
            self.model.layers.remove(layer)
