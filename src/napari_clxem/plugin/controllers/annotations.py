"""The layers of targets, predicted errors and landmarks, kept in step with the document."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any
from weakref import ref

import numpy as np
from napari.layers import Layer

from napari_clxem.plugin.controllers.positions import (
    View,
    axes_of,
    landmark_marks,
    target_marks,
)
from napari_clxem.plugin.layers import LayerData
from napari_clxem.plugin.marks import Mark, error_ellipses, landmark_points, target_points
from napari_clxem.plugin.world import unwrapped
from napari_clxem.session.model import Session

Describe = Callable[[Sequence[Mark], int], LayerData]


class Annotations:
    """Three layers above the images: landmarks, predicted errors, targets.

    Parameters
    ----------
    viewer : napari.Viewer
        Kept by weak reference.
    """

    def __init__(self, viewer: Any) -> None:
        viewer = unwrapped(viewer)
        self._viewer = ref(viewer)
        self._layers: dict[Describe, Any] = {}
        viewer.layers.events.removed.connect(self._on_removed)

    def release(self) -> None:
        """Let the viewer go; its layers stay as they are."""
        viewer = self._viewer()
        if viewer is not None:
            viewer.layers.events.removed.disconnect(self._on_removed)
        self._layers.clear()

    def update(self, session: Session, view: View) -> None:
        """Bring the layers to the state of the document, touching only those that differ."""
        viewer = self._viewer()
        if viewer is not None and not view.frame:
            for layer in list(self._layers.values()):
                viewer.layers.remove(layer)
            return
        ndim = axes_of(session, view.frame)
        targets = target_marks(session, view)
        self._show(landmark_points, landmark_marks(session, view), ndim)
        self._show(error_ellipses, targets, ndim)
        self._show(target_points, targets, ndim)

    def _show(self, describe: Describe, marks: Sequence[Mark], ndim: int) -> None:
        viewer = self._viewer()
        if viewer is None:
            return
        layer = self._layers.get(describe)
        # An empty layer would draw a point at the display's zero.
        if layer is not None and (layer.ndim != ndim or not marks):
            viewer.layers.remove(layer)
            layer = None
        if layer is not None:
            patch(layer, describe(marks, ndim))
        elif marks:
            self._layers[describe] = layer = Layer.create(*describe(marks, ndim))
            layer.editable = False
            selected = set(viewer.layers.selection)
            viewer.layers.append(layer)
            viewer.layers.selection = selected

    def _on_removed(self, event: Any) -> None:
        for describe in [one for one, layer in self._layers.items() if layer is event.value]:
            del self._layers[describe]


def patch(layer: Any, description: LayerData) -> None:
    """Bring a layer of marks to a state, changing only what differs."""
    data, arguments, _ = description
    if not np.array_equal(layer.data, data):
        layer.data = data
    for name in ("name", "features", "size", "symbol", "edge_width", "border_color"):
        if name in arguments and not _same(getattr(layer, name), arguments[name]):
            setattr(layer, name, arguments[name])


def _same(held: Any, wanted: Any) -> bool:
    if isinstance(wanted, str) and isinstance(held, str):
        return held == wanted
    if isinstance(wanted, dict):
        return {name: list(held[name]) for name in held} == wanted
    if np.asarray(wanted).dtype.kind == "U":  # names of symbols
        held = [str(one) for one in held]
    return np.array_equal(np.broadcast_to(wanted, np.shape(held)), held)
