"""The layers of the Dose review dock, brought to a state with as little work as napari allows."""

from __future__ import annotations

from functools import partial
from typing import Any
from weakref import ref

import numpy as np
from napari.layers import Layer

from napari_clxem.plugin.controllers.turns import Turns
from napari_clxem.plugin.layers import LayerData
from napari_clxem.plugin.world import unwrapped

MAP, LINE, FOOTPRINTS = "map", "line", "footprints"
ORDER = (MAP, LINE, FOOTPRINTS)


class DoseLayers:
    """Map, budget line and footprints of one viewer.

    Parameters
    ----------
    viewer : napari.Viewer
        Kept by weak reference.
    turns : Turns
        Spreads what is to be done to many layers.
    """

    def __init__(self, viewer: Any, turns: Turns) -> None:
        viewer = unwrapped(viewer)
        self._viewer = ref(viewer)
        self._turns = turns
        self._layers: dict[str, Any] = {}
        self._limits: dict[str, Any] = {}
        viewer.layers.events.removed.connect(self._on_removed)

    def release(self) -> None:
        """Take the layers away and let the viewer go."""
        viewer = self._viewer()
        if viewer is not None:
            for role in list(self._layers):
                self._put(role, None)
            viewer.layers.events.removed.disconnect(self._on_removed)

    def layer(self, role: str) -> Any:
        """Give the layer of a role; None where there is none."""
        return self._layers.get(role)

    def put(self, role: str, description: LayerData | None) -> None:
        """Bring the layer of a role to a state; None, or nothing to show, takes it away."""
        if description is not None or role in self._layers:
            self._turns.do((self, role), partial(self._put, role, description))

    def _put(self, role: str, description: LayerData | None) -> None:
        viewer = self._viewer()
        if viewer is None:
            return
        held = self._layers.get(role)
        if description is None or not len(description[0]):
            if held is not None:
                viewer.layers.remove(held)
            return
        limits = description[1].get("contrast_limits")
        if held is not None:
            _patch(held, description)
            # The user's own limits stay until the doses need others.
            if limits is not None and limits != self._limits.get(role):
                held.contrast_limits = limits
        else:
            self._add(viewer, role, description)
        self._limits[role] = limits

    def _add(self, viewer: Any, role: str, description: LayerData) -> None:
        layer = Layer.create(*description)
        layer.editable = False
        self._layers[role] = layer
        selected = set(viewer.layers.selection)
        viewer.layers.insert(self._place(viewer, role), layer)
        viewer.layers.selection = selected
        if role == MAP:
            layer.colorbar.visible = True
            layer.name_overlay.visible = True
            layer.name_overlay.position = layer.colorbar.position

    def _place(self, viewer: Any, role: str) -> int:
        """Below our own layers that belong above, else below other marks, else on top."""
        layers = list(viewer.layers)
        above = [
            layers.index(one)
            for other in ORDER[ORDER.index(role) + 1 :]
            if (one := self._layers.get(other)) in layers
        ]
        own = list(self._layers.values())
        marks = [
            number
            for number, one in enumerate(layers)
            if one.metadata.get("clxem", {}).get("marks") and one not in own
        ]
        return min([*above, *marks, len(layers)])

    def _on_removed(self, event: Any) -> None:
        for role in [role for role, layer in self._layers.items() if layer is event.value]:
            del self._layers[role]
            self._limits.pop(role, None)


def _patch(layer: Any, description: LayerData) -> None:
    data, arguments, kind = description
    if kind == "image":
        if layer.data.shape != data.shape:
            layer.data = data.copy()
        elif not np.shares_memory(layer.data, data):
            # In place: the layer's thumbnail and extent would take ten times longer.
            layer.data[...] = data
            layer.refresh(extent=False, thumbnail=False, highlight=False)
        for name in ("scale", "translate"):
            if not np.array_equal(getattr(layer, name), arguments[name]):
                setattr(layer, name, arguments[name])
    else:
        _patch_lines(layer, data, arguments)
    if layer.name != arguments["name"]:
        layer.name = arguments["name"]


def _patch_lines(layer: Any, data: Any, arguments: dict[str, Any]) -> None:
    if layer.data.shape != data.shape:
        layer.data = data
        layer.edge_color = arguments["edge_color"]
        layer.edge_width = arguments["edge_width"]
        return
    moved = not np.array_equal(layer.data, data)
    if moved:
        layer.data[...] = data  # in place: a new array has napari begin anew
    colour = arguments["edge_color"]
    recoloured = not isinstance(colour, str) and not np.array_equal(layer.edge_color, colour)
    if recoloured:
        with layer.events.edge_color.blocker():  # drawn once, by what follows
            layer.edge_color = colour
    if layer.edge_width != arguments["edge_width"]:
        layer.edge_width = arguments["edge_width"]  # draws everything
    elif moved or recoloured:
        # What napari does beyond drawing (thumbnails above all) takes ten times longer.
        layer.refresh(thumbnail=False, highlight=False)
