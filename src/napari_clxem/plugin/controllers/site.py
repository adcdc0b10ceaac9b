"""The image layers of one site in one reference frame, kept in step with the document.

A change in the document touches only the layers whose image moved.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any
from weakref import ref

import numpy as np
from napari.layers import Layer

from napari_clxem.frames.affine import Floats
from napari_clxem.plugin import colours
from napari_clxem.plugin.controllers.dimensions import DimensionSwitch
from napari_clxem.plugin.controllers.positions import View, matrix, shown_datasets
from napari_clxem.plugin.controllers.turns import Turns
from napari_clxem.plugin.layers import Placed, Plane, placed
from napari_clxem.plugin.world import unwrapped
from napari_clxem.session.model import Dataset, Session

Key = tuple[str, int]
# What the user may have set on a layer, and keeps when it is exchanged.
LOOK = ("colormap", "contrast_limits", "gamma", "opacity", "blending", "visible")


class SiteLayers:
    """Image layers of the datasets of one site and of the grid.

    Parameters
    ----------
    viewer : napari.Viewer
        Kept by weak reference.
    turns : Turns, optional
        Spreads what is to be done to many layers.
    """

    def __init__(self, viewer: Any, turns: Turns | None = None) -> None:
        viewer = unwrapped(viewer)
        self._viewer = ref(viewer)
        self._turns = Turns() if turns is None else turns
        self._switch = DimensionSwitch(viewer)
        self._view = View()
        self._datasets: dict[str, Dataset] = {}
        self._planes: dict[str, list[Plane]] = {}
        self._layers: dict[Key, Any] = {}
        self._matrices: dict[Key, Floats] = {}
        viewer.layers.events.removed.connect(self._on_removed)

    @property
    def view(self) -> View:
        """What is shown."""
        return self._view

    @property
    def layers(self) -> Mapping[Key, Any]:
        """Layers by dataset id and channel."""
        return dict(self._layers)

    def release(self) -> None:
        """Let the viewer go; its layers stay as they are."""
        viewer = self._viewer()
        if viewer is not None:
            viewer.layers.events.removed.disconnect(self._on_removed)
        self._switch.release()
        for held in (self._layers, self._matrices, self._planes, self._datasets):
            held.clear()

    def look_at(self, session: Session, view: View) -> None:
        """Turn to another site or frame: drop what does not belong, move what stays."""
        before, self._view = self._view, view
        self.update(session)
        for (name, channel), layer in self._layers.items():
            # Where the rule gives the same answer as before, the user's own choice stays.
            prominent = is_prominent(self._datasets[name], channel, view)
            if prominent != is_prominent(self._datasets[name], channel, before):
                self._turns.do(("see", layer), partial(setattr, layer, "visible", prominent))

    def missing(self, session: Session) -> list[Dataset]:
        """Give the datasets that belong in the view and have not been opened yet."""
        return [
            one
            for one in shown_datasets(session, self._view.site)
            if one.id not in self._planes and matrix(session, one, self._view) is not None
        ]

    def add(self, session: Session, dataset: Dataset, planes: list[Plane], plane: Plane) -> None:
        """Show one channel of a dataset that has been opened, if it still belongs in the view."""
        if dataset not in shown_datasets(session, self._view.site):
            return
        self._datasets[dataset.id] = dataset
        self._planes[dataset.id] = planes
        where = matrix(session, dataset, self._view)
        if where is not None:
            self._insert(dataset, plane, where)

    def adopt(self, session: Session, dataset: Dataset, planes: list[Plane], layer: Any) -> None:
        """Take a layer that somebody else inserted for a channel of a dataset, and place it."""
        key = (dataset.id, layer.metadata["clxem"]["channel"])
        if key in self._layers:
            return
        self._datasets[dataset.id] = dataset
        self._planes[dataset.id] = planes
        self._layers[key] = layer
        where = matrix(session, dataset, self._view)
        if where is not None:
            self._matrices[key] = where
            plane = planes[key[1]]
            # While it is being inserted, a layer cannot be exchanged for one of another kind.
            self._switch.keep(layer, placed(plane, where).of_kind(layer.multiscale))

    def planes(self, dataset: Dataset) -> list[Plane]:
        """Give the channels of a dataset that has been opened; none of another."""
        return self._planes.get(dataset.id, []) if self._datasets.get(dataset.id) == dataset else []

    def holds(self, layer: Any) -> bool:
        """Tell whether a layer is one of these."""
        return any(held is layer for held in self._layers.values())

    def update(self, session: Session) -> None:
        """Bring the layers to the state of the document, touching only those that differ."""
        datasets = {one.id: one for one in shown_datasets(session, self._view.site)}
        for name in list(self._planes):
            if datasets.get(name) != self._datasets[name]:
                self._drop(name)
                continue
            where = matrix(session, datasets[name], self._view)
            if where is None and any(key[0] == name for key in self._matrices):
                self._drop(name)
            elif where is not None:
                self._move(name, where)

    def preview(self, session: Session, frame: str) -> None:
        """Show the images of one frame where a document puts them that is not committed."""
        for (name, _), layer in self._layers.items():
            dataset = self._datasets[name]
            if dataset.frame != frame or not layer.visible:
                continue
            where = matrix(session, dataset, self._view)
            if where is not None:
                self._switch.nudge(layer, where)
                self._matrices.pop((name, layer.metadata["clxem"]["channel"]), None)

    def _move(self, name: str, where: Floats) -> None:
        for plane in self._planes[name]:
            key = (name, plane.meta["channel"])
            held = self._matrices.get(key)
            if key in self._layers and (held is None or not np.array_equal(held, where)):
                self._turns.do(("move", *key), partial(self._put, key, plane, where))

    def _put(self, key: Key, plane: Plane, where: Floats) -> None:
        """Put the layer of a channel where its image lies, if it is still there."""
        layer = self._layers.get(key)
        if layer is None:
            return
        self._matrices[key] = where
        shown = placed(plane, where)
        if shown.many != layer.multiscale:
            layer = self._exchange(key, layer, shown)
        self._switch.keep(layer, shown)

    def _exchange(self, key: Key, layer: Any, shown: Placed) -> Any:
        """Put a layer of several levels in the place of one of a single one, or back."""
        viewer = self._viewer()
        assert viewer is not None
        data, arguments, kind = shown.data(viewer.dims.ndisplay)
        for name in LOOK:
            arguments[name] = getattr(layer, name)
        other = Layer.create(data, arguments, kind)
        at = viewer.layers.index(layer)
        # Known before it is inserted and the old one removed, so that both are ours.
        self._layers[key] = other
        viewer.layers.insert(at, other)
        viewer.layers.remove(layer)
        other.name = layer.name
        return other

    def _insert(self, dataset: Dataset, plane: Plane, where: Floats) -> None:
        viewer = self._viewer()
        key = (dataset.id, plane.meta["channel"])
        if viewer is None or key in self._layers:
            return
        shown = placed(plane, where)
        data, arguments, kind = shown.data(viewer.dims.ndisplay)
        arguments["visible"] = is_prominent(dataset, key[1], self._view)
        layer = Layer.create(data, arguments, kind)
        height = self._height(viewer, dataset)
        self._layers[key] = layer
        self._matrices[key] = where
        selected = set(viewer.layers.selection)
        viewer.layers.insert(height, layer)
        viewer.layers.selection = selected
        self._switch.keep(layer, shown)

    def _height(self, viewer: Any, dataset: Dataset) -> int:
        """Find the place in the layer list: above all of ours of lower or equal rank."""
        level = rank(dataset)
        ours = {layer: rank(self._datasets[name]) for (name, _), layer in self._layers.items()}
        below = [n for n, layer in enumerate(viewer.layers) if ours.get(layer, level + 1) <= level]
        return max(below, default=-1) + 1

    def _drop(self, name: str) -> None:
        viewer = self._viewer()
        del self._planes[name], self._datasets[name]
        for key in [key for key in self._layers if key[0] == name]:
            layer = self._layers.pop(key)
            self._matrices.pop(key, None)
            if viewer is not None:
                self._turns.do(("remove", layer), partial(_remove, viewer, layer))

    def _on_removed(self, event: Any) -> None:
        for key in [key for key, layer in self._layers.items() if layer is event.value]:
            del self._layers[key]
            self._matrices.pop(key, None)


def _remove(viewer: Any, layer: Any) -> None:
    if layer in viewer.layers:
        viewer.layers.remove(layer)


def is_prominent(dataset: Dataset, channel: int, view: View) -> bool:
    """Tell whether a channel is seen at first; what covers others waits for a click on its eye.

    Of a site these are its volumes, and whatever the frame is that of.
    """
    if dataset.frame == view.frame:
        return True
    if dataset.channels and colours.is_support(dataset.channels[channel]):
        return False
    if view.site is None:
        return colours.is_fluorescence(dataset.modality, dataset.channels)
    return dataset.site == view.site and "z" in dataset.axes


def rank(dataset: Dataset) -> int:
    """Order layers from below: maps of the grid, images of the site, volumes, light."""
    if colours.is_fluorescence(dataset.modality, dataset.channels):
        return 3
    if "z" in dataset.axes:
        return 2
    return 0 if dataset.site is None else 1
