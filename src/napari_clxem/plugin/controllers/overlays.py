"""Layers of marks over the images of one canvas, brought to a state or moved by hand."""

from __future__ import annotations

from functools import partial
from typing import Any
from weakref import ref

from napari.layers import Layer

from napari_clxem.frames.affine import Floats
from napari_clxem.plugin.controllers.annotations import patch
from napari_clxem.plugin.controllers.turns import Turns
from napari_clxem.plugin.layers import LayerData
from napari_clxem.plugin.world import unwrapped


class Overlays:
    """Mark layers of one viewer, by the role each of them has.

    Parameters
    ----------
    viewer : napari.components.ViewerModel
        Kept by weak reference.
    turns : Turns
        Spreads what is to be done to many layers.
    """

    def __init__(self, viewer: Any, turns: Turns) -> None:
        viewer = unwrapped(viewer)
        self._viewer = ref(viewer)
        self._turns = turns
        self._layers: dict[str, Any] = {}
        self._released = False
        viewer.layers.events.removed.connect(self._on_removed)

    def release(self) -> None:
        """Take the layers away and let the viewer go."""
        viewer = self._viewer()
        if viewer is not None:
            for role in list(self._layers):
                self._put(role, None)
            self._released = True  # what still waits for its turn must not come back
            viewer.layers.events.removed.disconnect(self._on_removed)

    def clear(self) -> None:
        """Take all layers away."""
        for role in list(self._layers):
            self.put(role, None)

    def layer(self, role: str) -> Any:
        """Give the layer of a role; None where there is none."""
        return self._layers.get(role)

    def put(self, role: str, description: LayerData | None) -> None:
        """Bring the layer of a role to a state; None, or nothing to mark, takes it away."""
        if description is not None or role in self._layers:
            self._turns.do((self, role), partial(self._put, role, description))

    def _put(self, role: str, description: LayerData | None) -> None:
        viewer = self._viewer()
        if viewer is None or self._released:
            return
        held = self._layers.get(role)
        if description is not None and not len(description[0]):
            description = None
        if held is not None and (description is None or held.ndim != description[1]["ndim"]):
            viewer.layers.remove(held)
            held = None
        if description is None:
            return
        if held is not None:
            patch(held, description)
            return
        data, arguments, kind = description
        if kind == "image":  # whose axes are those of its pixels
            arguments = {name: value for name, value in arguments.items() if name != "ndim"}
        layer = Layer.create(data, arguments, kind)
        layer.editable = False
        if kind == "image":
            layer.colorbar.visible = True
        self._layers[role] = layer
        selected = set(viewer.layers.selection)
        viewer.layers.insert(_height(viewer, kind), layer)
        viewer.layers.selection = selected

    def move(self, role: str, row: int, position: Floats) -> None:
        """Put one point of a layer elsewhere, at once and for the eye only."""
        layer = self._layers.get(role)
        if layer is not None and row < len(layer.data):
            layer.data[row] = position[-layer.ndim :]
            layer.refresh(extent=False, thumbnail=False, highlight=False)

    def redraw(self, role: str, data: Floats) -> None:
        """Give a layer other data of the same number, at once and for the eye only."""
        layer = self._layers.get(role)
        if layer is not None and layer.data.shape == data.shape:
            layer.data[...] = data
            layer.refresh(extent=False, thumbnail=False, highlight=False)

    def _on_removed(self, event: Any) -> None:
        for role in [role for role, layer in self._layers.items() if layer is event.value]:
            del self._layers[role]


def _height(viewer: Any, kind: str) -> int:
    """Find the place in the layer list: on top, but an image below all marks."""
    marks = [n for n, one in enumerate(viewer.layers) if "marks" in one.metadata.get("clxem", {})]
    return min(marks) if kind == "image" and marks else len(viewer.layers)
