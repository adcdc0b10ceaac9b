"""The layers of targets, predicted errors and landmarks, kept in step with the document."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any
from weakref import ref

import numpy as np
from napari.layers import Layer

from napari_clxem.plugin.controllers.positions import View, landmark_marks, target_marks
from napari_clxem.plugin.controllers.turns import Turns
from napari_clxem.plugin.layers import LayerData
from napari_clxem.plugin.marks import Mark, error_ellipses, landmark_points, target_points
from napari_clxem.plugin.world import unwrapped
from napari_clxem.session.extents import axes_of
from napari_clxem.session.model import Session

# What of a layer of marks may change.
PATCHED = (
    "name",
    "features",
    "size",
    "symbol",
    "edge_width",
    "border_color",
    "affine",
    "contrast_limits",
)

Describe = Callable[[Sequence[Mark], int], LayerData]


class Annotations:
    """Three layers above the images: landmarks, predicted errors, targets.

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
        for describe, marks in (
            (landmark_points, landmark_marks(session, view)),
            (error_ellipses, targets),
            (target_points, targets),
        ):
            self._turns.do((self, describe), partial(self._show, describe, marks, ndim))

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
    if layer.data.shape != data.shape:
        layer.data = data
    elif not np.array_equal(layer.data, data):
        # In place: what napari does beyond drawing (thumbnails above all) takes ten times longer.
        layer.data[...] = data
        layer.refresh(thumbnail=False, highlight=False)
    for name in PATCHED:
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
