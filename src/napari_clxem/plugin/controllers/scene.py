"""Where the eye of a viewer goes, and what is kept out of its sight."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import napari
import numpy as np
from napari.layers import Image

from napari_clxem.frames.affine import Floats


def go_to(viewer: Any, position: Floats) -> None:
    """Bring a place to the middle of the canvas, in its slice.

    Parameters
    ----------
    viewer : napari.Viewer
        The viewer.
    position : ndarray, (2,) or (3,)
        Display µm.
    """
    first = viewer.dims.ndim - len(position)
    for axis, value in enumerate(position[:-2], start=first):
        viewer.dims.set_point(axis, float(value))
    centre = viewer.scene.camera.center
    depth = float(position[0]) if viewer.dims.ndisplay == 3 and len(position) == 3 else centre[0]
    viewer.scene.camera.center = (depth, float(position[-2]), float(position[-1]))


def frame_site(viewer: Any) -> None:
    """Fit the view to the smallest volume shown, in its middle slice; else to everything."""
    volumes = [one for one in viewer.layers if isinstance(one, Image) and one.ndim == 3]
    if not volumes:
        viewer.fit_to_view()
        return
    extents = [layer.extent.world for layer in volumes]
    chosen = int(np.argmin([np.prod(np.ptp(extent, axis=0)[-2:]) for extent in extents]))
    go_to(viewer, extents[chosen].mean(axis=0))
    viewer.fit_to_view(layers=[volumes[chosen]])


def show_scale_bar(viewer: Any) -> None:
    """Make the scale bar visible."""
    viewer.canvas.overlays.scale_bar.visible = True


def preview_window(layers: Iterable[Any]) -> None:
    """Show layers in a window of their own, so that no pixel is taken for a µm."""
    apart = napari.Viewer(title="Preview (no pixel size)")
    for layer in layers:
        apart.add_layer(layer)
