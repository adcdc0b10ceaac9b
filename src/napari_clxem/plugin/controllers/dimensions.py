"""Keep every layer right in 2D and in 3D: slices that are resampled, volumes that are not.

In 2D a tilted volume is shown through slices cut out of it; in 3D napari draws the volume itself
through the full transform.
"""

from __future__ import annotations

import warnings
from contextlib import ExitStack
from typing import Any
from weakref import WeakKeyDictionary, ref

import numpy as np

from napari_clxem.frames.affine import Floats
from napari_clxem.plugin.layers import Placed, Shown
from napari_clxem.plugin.world import unwrapped


class DimensionSwitch:
    """Exchanges what the layers of one viewer hold when it turns between 2D and 3D.

    Parameters
    ----------
    viewer : napari.Viewer
        Kept by weak reference.
    """

    def __init__(self, viewer: Any) -> None:
        viewer = unwrapped(viewer)
        self._viewer = ref(viewer)
        self._placed: WeakKeyDictionary[Any, Placed] = WeakKeyDictionary()
        viewer.dims.events.ndisplay.connect(self._on_ndisplay)

    def release(self) -> None:
        """Let the viewer's layers go."""
        viewer = self._viewer()
        if viewer is not None:
            viewer.dims.events.ndisplay.disconnect(self._on_ndisplay)
        self._placed.clear()

    def keep(self, layer: Any, placed: Placed) -> None:
        """Show `placed` in an image layer from now on, changing only what differs."""
        viewer = self._viewer()
        if viewer is None:
            return
        self._placed[layer] = placed
        show(layer, placed.shown(viewer.dims.ndisplay))

    def nudge(self, layer: Any, matrix: Floats) -> None:
        """Move a layer at once, by what napari draws quickly; `keep` makes it right later.

        Parameters
        ----------
        layer : napari.layers.Image
            Kept before.
        matrix : ndarray, (d + 1, d + 1)
            Image µm to display µm.
        """
        viewer, placed = self._viewer(), self._placed.get(layer)
        if viewer is None or placed is None:
            return
        flat = viewer.dims.ndisplay == 2
        shown = placed.shown(viewer.dims.ndisplay)
        moved = matrix @ np.linalg.solve(placed.placement.full, shown.affine)
        if flat and len(moved) == 4:
            moved[0, 1:3] = 0.0
            moved[1:3, 0] = 0.0
        # The sliders may follow when the layer stays where it is.
        with ExitStack() as stack:
            for callback in _own_callbacks(layer.events.affine, viewer):
                stack.enter_context(layer.events.affine.blocker(callback))
            stack.enter_context(layer.events.extent.blocker())
            layer.affine = moved

    def _on_ndisplay(self, event: Any) -> None:
        if event.value == 3:
            # Turning back, napari slices once through the full transform before this object
            # may exchange it, and warns of what is never drawn.
            warnings.filterwarnings("ignore", message="Non-orthogonal slicing", append=False)
        for layer, placed in list(self._placed.items()):
            show(layer, placed.shown(event.value))


def _own_callbacks(emitter: Any, viewer: Any) -> list[Any]:
    """Give what a viewer itself does on an event: it measures all layers anew."""
    bound = [one for one in emitter.callbacks if isinstance(one, tuple)]
    return [getattr(viewer, name) for owner, name in bound if owner() is viewer]


def show(layer: Any, shown: Shown) -> None:
    """Bring an image layer to a state, changing only what differs.

    Parameters
    ----------
    layer : napari.layers.Image
        The layer.
    shown : Shown
        What it shall hold. The data come last: until then each change redraws the old ones,
        which are the cheaper ones both ways.
    """
    changes: dict[str, Any] = {}
    if not np.array_equal(layer.scale, shown.scale):
        changes["scale"] = shown.scale
    if not np.array_equal(np.asarray(layer.affine), shown.affine):
        changes["affine"] = shown.affine
    if not _holds(layer, shown.data):
        changes["data"] = shown.data
    if len(changes) < 2 or not layer.visible:
        _set(layer, changes)
        return
    # Each change would cut a slice; a layer that is not seen does it once, when it is seen again.
    with layer.events.visible.blocker():
        layer.visible = False
        try:
            _set(layer, changes)
        finally:
            layer.visible = True


def _set(layer: Any, changes: dict[str, Any]) -> None:
    for name, value in changes.items():
        setattr(layer, name, value)


def _holds(layer: Any, data: Any) -> bool:
    if not isinstance(data, list):
        return layer.data is data
    held = list(layer.data)
    return len(held) == len(data) and all(a is b for a, b in zip(held, data, strict=True))
