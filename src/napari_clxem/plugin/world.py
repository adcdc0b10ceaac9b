"""The viewer's world stays in µm, whatever layers come and go.

napari makes the smallest unit among its layers the world's, and drops units altogether where
one layer has none: every coordinate read from the canvas would change its meaning.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from weakref import ref

import pint
from napari.utils.notifications import show_warning

SPATIAL_AXES = 3


def unwrapped(viewer: Any) -> Any:
    """Give the viewer itself where napari handed out a proxy of it."""
    return getattr(viewer, "__wrapped__", viewer)


def is_preview(layer: Any) -> bool:
    """Tell whether a layer shows a file without a pixel size, which stays in pixels."""
    return bool(layer.metadata.get("clxem", {}).get("preview"))


def wanted(units: Sequence[Any], world: Sequence[Any]) -> tuple[Any, ...]:
    """Choose units a layer can share with the world, keeping its own wherever possible.

    Parameters
    ----------
    units : sequence of pint.Unit
        Units of the layer's axes.
    world : sequence of pint.Unit
        Units of the world's axes, µm on the last three.

    Returns
    -------
    tuple of pint.Unit
        The layer's units; where an axis measures something else than the world's, the world's.
    """
    micrometre = pint.Unit("um")
    chosen = []
    for back, unit in enumerate(reversed(units), start=1):
        if back <= SPATIAL_AXES:
            axis = micrometre
        elif back <= len(world):
            axis = world[-back]
        else:
            axis = unit
        chosen.append(unit if unit.dimensionality == axis.dimensionality else axis)
    return tuple(reversed(chosen))


class MicrometreWorld:
    """Holds the world of one viewer in µm for as long as this object lives.

    Parameters
    ----------
    viewer : napari.Viewer
        Kept by weak reference.
    """

    def __init__(self, viewer: Any) -> None:
        viewer = unwrapped(viewer)
        self._viewer = ref(viewer)
        self._busy = False
        self._overridden = False
        self._point: tuple[float, ...] | None = None
        for emitter, handler in self._handlers(viewer):
            emitter.connect(handler)
        for layer in viewer.layers:
            layer.events.units.connect(self._on_units)
        self._settle()

    def release(self) -> None:
        """Let the viewer's units go."""
        viewer = self._viewer()
        if viewer is None:
            return
        for emitter, handler in self._handlers(viewer):
            emitter.disconnect(handler)
        for layer in viewer.layers:
            layer.events.units.disconnect(self._on_units)

    def _handlers(self, viewer: Any) -> tuple[tuple[Any, Any], ...]:
        events = viewer.layers.events
        return (
            (events.inserting, self._before_change),
            (events.inserted, self._on_inserted),
            (events.removing, self._before_change),
            (events.removed, self._on_removed),
            (events.units, self._settle),
        )

    def _before_change(self) -> None:
        """Take the override away: with it, napari's handlers raise on a layer without a length."""
        viewer = self._viewer()
        if viewer is None or self._point is not None:
            return
        self._point = tuple(viewer.dims.point)
        self._override(viewer, None)
        for layer in viewer.layers[:1]:
            # Setting units makes the list remember its extent, which it would keep although
            # another layer is about to come; a layer's extent event makes it forget.
            layer.events.extent()

    def _on_inserted(self, event: Any) -> None:
        event.value.events.units.connect(self._on_units)
        self._after_change()

    def _on_removed(self, event: Any) -> None:
        event.value.events.units.disconnect(self._on_units)
        self._after_change()

    def _after_change(self) -> None:
        self._settle()
        viewer, point = self._viewer(), self._point
        self._point = None
        if viewer is not None and point is not None and len(viewer.layers):
            if viewer.dims.ndim != len(point):
                # napari fitted the view to the new axes, while the world was in another unit.
                viewer.fit_to_view()
            # While the world was in another unit, napari may have moved the sliders.
            ndim = viewer.dims.ndim
            kept = (*viewer.dims.point[: max(0, ndim - len(point))], *point[-ndim:])
            if kept != tuple(viewer.dims.point):
                viewer.dims.point = kept

    def _on_units(self, event: Any) -> None:
        viewer = self._viewer()
        if viewer is not None and event.source in viewer.layers:
            self._settle()

    def _settle(self) -> None:
        """Give every layer units it can share, and the world µm."""
        viewer = self._viewer()
        if viewer is None or self._busy:
            return
        self._busy = True
        try:
            for layer in viewer.layers:
                _admit(layer, viewer.layers)
            self._override(viewer, _world_units(viewer.layers))
        finally:
            self._busy = False

    def _override(self, viewer: Any, units: tuple[Any, ...] | None) -> None:
        if units is None and not self._overridden:
            return
        busy, self._busy = self._busy, True
        try:
            viewer.layers.units = units
            self._overridden = units is not None
        finally:
            self._busy = busy


def _admit(layer: Any, layers: Any) -> None:
    if is_preview(layer):
        return
    longest = max((other.units for other in layers if other is not layer), key=len, default=())
    units = wanted(layer.units, longest)
    if units == tuple(layer.units):
        return
    layer.units = units
    show_warning(
        f"Layer '{layer.name}' has an axis that is no length: its numbers are taken as µm. "
        "Set its scale if they are not."
    )


def _world_units(layers: Any) -> tuple[Any, ...] | None:
    """Give the units the world must have, or None where the layers agree on µm by themselves.

    Without need nothing is overridden, because an override makes napari raise when somebody
    gives a layer other units. With a preview, which is in pixels, napari allows none.
    """
    if not len(layers) or any(is_preview(layer) for layer in layers):
        return None
    micrometre = pint.Unit("um")
    longest = max((layer.units for layer in layers), key=len)
    spatial = min(len(longest), SPATIAL_AXES)
    if all(unit == micrometre for layer in layers for unit in layer.units[-SPATIAL_AXES:]):
        return None
    return (*longest[: len(longest) - spatial], *(micrometre,) * spatial)
