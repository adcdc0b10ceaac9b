"""At which height of a frame with depth doses are shown: that of the slice in the canvas."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from weakref import ref

from napari_clxem.plugin.controllers.dose_work import timer
from napari_clxem.plugin.world import unwrapped

PAUSE = 60  # ms between two slices that are followed


class Slice:
    """Tells when another slice is shown, at most every 60 ms.

    Parameters
    ----------
    viewer : napari.Viewer
        Kept by weak reference.
    changed : callable
        Called when another slice is shown.
    """

    def __init__(self, viewer: Any, changed: Callable[[], object]) -> None:
        viewer = unwrapped(viewer)
        self._viewer = ref(viewer)
        self._soon = timer(PAUSE, changed)
        for event in self._events(viewer):
            event.connect(self._on_dims)

    def release(self) -> None:
        """Let the viewer go."""
        self._soon.stop()
        viewer = self._viewer()
        if viewer is not None:
            for event in self._events(viewer):
                event.disconnect(self._on_dims)

    def height(self, axes: int, zero: float) -> float | None:
        """Give the height of the slice shown, frame µm.

        Parameters
        ----------
        axes : int
            Of the frame shown.
        zero : float
            Height of the display's zero, µm.

        Returns
        -------
        float or None
            That of the display's zero where no slider goes along z; None in a plane.
        """
        viewer = self._viewer()
        if axes < 3 or viewer is None:
            return None
        dims = viewer.dims
        if dims.ndim < 3 or dims.ndim - 3 in dims.displayed[-2:]:
            return zero
        return round(float(dims.point[dims.ndim - 3]) + zero, 9)

    @staticmethod
    def _events(viewer: Any) -> tuple[Any, ...]:
        events = viewer.dims.events
        return events.point, events.ndim, events.order

    def _on_dims(self) -> None:
        if not self._soon.isActive():
            self._soon.start()
