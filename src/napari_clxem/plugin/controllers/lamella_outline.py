"""An outline under the hand: a layer of shapes in which it is drawn, or its corners moved."""

from __future__ import annotations

from typing import Any

import numpy as np
from napari.layers import Points, Shapes

from napari_clxem.frames.affine import Floats
from napari_clxem.plugin.lamella_marks import OUTLINE
from napari_clxem.plugin.layers import UNIT

DRAWN = "Lamella outline (draw here)"
POSITIONS = "Tilt series (click here)"


def open_drawing(viewer: Any, corners: Floats | None, to_display: Floats) -> None:
    """Open a layer to draw an outline in, with the one there is to be edited.

    Parameters
    ----------
    viewer : napari.components.ViewerModel
    corners : (n, 2) array or None
        The outline there is, µm of the map.
    to_display : (3, 3) array
        From the map to the display, µm.
    """
    _remove(viewer, DRAWN)
    data = [] if corners is None else [_moved(corners, to_display)]
    layer = Shapes(
        data,
        ndim=2,
        shape_type="polygon",
        name=DRAWN,
        units=(UNIT, UNIT),
        axis_labels=("y", "x"),
        edge_color=OUTLINE,
        edge_width=0.1,
        face_color="transparent",
        metadata={"clxem": {"marks": True}},
    )
    viewer.layers.append(layer)
    viewer.layers.selection = {layer}
    layer.mode = "direct" if data else "add_polygon"
    # Only of a polygon that is selected can the corners be taken hold of.
    layer.selected_data = {0} if data else set()


def drawn(viewer: Any, to_display: Floats) -> Floats | None:
    """Give the polygon drawn last in the layer selected, or in ours, (n, 2) µm of the map."""
    layer = viewer.layers.selection.active
    if not isinstance(layer, Shapes) and DRAWN in viewer.layers:
        layer = viewer.layers[DRAWN]
    if not isinstance(layer, Shapes) or not layer.data:
        return None
    world = np.array([layer.data_to_world(one) for one in layer.data[-1]])[:, -2:]
    return _moved(world, np.linalg.inv(to_display))


def close_drawing(viewer: Any) -> None:
    """Take our layer away; another one is left in peace."""
    layer = viewer.layers.selection.active
    if isinstance(layer, Shapes):
        layer.mode = "pan_zoom"
    if layer is None or not isinstance(layer, Shapes) or layer.name == DRAWN:
        _remove(viewer, DRAWN)


def open_positions(viewer: Any, places: Floats, to_display: Floats) -> Any:
    """Open a layer to click positions of tilt series in, those given in it already; give it."""
    _remove(viewer, POSITIONS)
    layer = Points(
        _moved(places, to_display) if len(places) else None,
        ndim=2,
        name=POSITIONS,
        units=(UNIT, UNIT),
        axis_labels=("y", "x"),
        size=0.4,
        symbol="cross",
        face_color=OUTLINE,
        border_color="#000000",
        metadata={"clxem": {"marks": True}},
    )
    viewer.layers.append(layer)
    viewer.layers.selection = {layer}
    layer.mode = "add"
    return layer


def clicked(layer: Any, to_display: Floats) -> Floats:
    """Give the positions of a layer, (n, 2) µm of the map."""
    if not len(layer.data):
        return np.empty((0, 2))
    world = np.array([layer.data_to_world(one) for one in layer.data])[:, -2:]
    return _moved(world, np.linalg.inv(to_display))


def _moved(places: Floats, matrix: Floats) -> Floats:
    return np.asarray(np.asarray(places) @ matrix[:2, :2].T + matrix[:2, 2])


def _remove(viewer: Any, name: str) -> None:
    if name in viewer.layers:
        viewer.layers.remove(viewer.layers[name])
