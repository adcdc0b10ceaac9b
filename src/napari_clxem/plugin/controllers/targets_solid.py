"""The lamella as a solid slab in a 3D view; nothing in a 2D view, whose slices would cut it."""

from __future__ import annotations

from typing import Any
from weakref import ref

import numpy as np
from napari.layers import Surface

from napari_clxem.frames.affine import Floats
from napari_clxem.io.image import SPATIAL
from napari_clxem.lamella import Lamella
from napari_clxem.plugin.box_marks import solid
from napari_clxem.plugin.lamella_marks import BOX
from napari_clxem.plugin.layers import UNIT
from napari_clxem.plugin.world import unwrapped


class Solid:
    """One slab in one viewer.

    Parameters
    ----------
    viewer : napari.components.ViewerModel
        Kept by weak reference.
    """

    def __init__(self, viewer: Any) -> None:
        viewer = unwrapped(viewer)
        self._viewer = ref(viewer)
        self._layer: Any = None
        self._shown: tuple[Lamella, Floats] | None = None
        viewer.dims.events.ndisplay.connect(self._on_dims)
        viewer.layers.events.removed.connect(self._on_removed)

    def release(self) -> None:
        """Take the slab away and let the viewer go."""
        viewer = self._viewer()
        self._shown = None
        self._draw()
        if viewer is not None:
            viewer.dims.events.ndisplay.disconnect(self._on_dims)
            viewer.layers.events.removed.disconnect(self._on_removed)

    def show(self, lamella: Lamella | None, placement: Floats | None) -> None:
        """Show a lamella whose frame is placed in the display (4, 4); None shows none."""
        self._shown = None if lamella is None or placement is None else (lamella, placement)
        self._draw()

    def _on_dims(self) -> None:
        self._draw()

    def _on_removed(self, event: Any) -> None:
        if event.value is self._layer:
            self._layer = None

    def _draw(self) -> None:
        viewer = self._viewer()
        if viewer is None:
            return
        if self._shown is None or viewer.dims.ndisplay != 3:
            if self._layer is not None:
                viewer.layers.remove(self._layer)
            return
        vertices, triangles = solid(*self._shown)
        values = np.ones(len(vertices))
        if self._layer is not None:
            self._layer.data = (vertices, triangles, values)
            return
        self._layer = Surface(
            (vertices, triangles, values),
            name="Lamella slab",
            colormap=["#000000", BOX],
            contrast_limits=(0, 1),
            opacity=0.4,
            shading="none",
            blending="translucent_no_depth",
            units=(UNIT,) * 3,
            axis_labels=SPATIAL,
            metadata={"clxem": {"marks": True}},
        )
        self._layer.editable = False
        selected = set(viewer.layers.selection)
        marks = [
            n for n, one in enumerate(viewer.layers) if "marks" in one.metadata.get("clxem", {})
        ]
        viewer.layers.insert(min(marks, default=len(viewer.layers)), self._layer)
        viewer.layers.selection = selected
