"""Lamella boxes, their handles and outlines as napari layers, in the µm of one canvas."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from napari_clxem.frames import Affine
from napari_clxem.frames.affine import Floats
from napari_clxem.io.image import SPATIAL
from napari_clxem.lamella import Lamella
from napari_clxem.plugin.layers import UNIT, LayerData

BOX = "#ff9100"
OTHER_BOX = "#b08968"
OUTLINE = "#7cf5a5"
# Which edges a view shows: along the beam one sees the faces, from above the ends.
FIB_EDGES = ("top", "bottom", "left", "right")
PLAN_EDGES = ("back", "front", "left", "right")
_SIDES: Mapping[str, tuple[int, float]] = {
    "top": (0, 1.0),
    "bottom": (0, -1.0),
    "back": (1, 1.0),
    "front": (1, -1.0),
    "right": (2, 1.0),
    "left": (2, -1.0),
}
# The faces are close together: their handles stand aside from the one in the middle.
_ASIDE = 0.3


def outline_lines(
    outlines: Sequence[Floats], ndim: int, name: str, colour: str = BOX, width: float = 0.0
) -> LayerData:
    """Describe a Vectors layer of closed outlines.

    Parameters
    ----------
    outlines : sequence of (n, d) array
        Corners in display µm.
    ndim : {2, 3}
        Number of axes, d.
    name, colour : str
        Of the layer.
    width : float
        Of the lines, µm; 0 takes a share of the largest outline.
    """
    parts = [
        np.stack([corners, np.roll(corners, -1, axis=0) - corners], axis=1) for corners in outlines
    ]
    return lines(np.concatenate(parts) if parts else np.zeros((0, 2, ndim)), name, colour, width)


def wireframe(lamella: Lamella, placement: ArrayLike, zero: Floats, name: str) -> LayerData:
    """Describe a Vectors layer of the edges of a slab in space.

    Parameters
    ----------
    lamella : Lamella
    placement : (4, 4) array_like
        From the lamella's frame to the one shown, µm.
    zero : (3,) array
        What of it the display calls zero, µm.
    name : str
        Of the layer.
    """
    corners = Affine(np.asarray(placement, float)).transform(lamella.corners) - zero
    count = len(corners) // 2
    lower, upper = corners[:count], corners[count:]
    starts = np.concatenate([lower, upper, lower])
    ends = np.concatenate([np.roll(lower, -1, axis=0), np.roll(upper, -1, axis=0), upper])
    return lines(np.stack([starts, ends - starts], axis=1), name, BOX, 0.0)


def lines(data: Floats, name: str, colour: str, width: float) -> LayerData:
    """Describe a Vectors layer of single lines, (n, 2, d): start and way."""
    ndim = data.shape[-1]
    reach = float(np.ptp(data[:, 0, -2:], axis=0).max()) if len(data) else 1.0
    arguments = {
        **_common(ndim, name),
        "edge_color": colour,
        "edge_width": width or 0.004 * max(reach, 1e-6),
        "vector_style": "line",
    }
    return data, arguments, "vectors"


def handle_places(
    lamella: Lamella, projection: ArrayLike, edges: Sequence[str] = FIB_EDGES
) -> dict[str, Floats]:
    """Give where the handles of a lamella show in a view.

    Parameters
    ----------
    lamella : Lamella
    projection : (2, 4) array_like
        From the lamella's frame to the view, µm.
    edges : sequence of str
        Which of its edges can be pulled there.

    Returns
    -------
    dict of str to (2,) array
        ``"centre"`` and each edge, (row, column) µm.
    """
    view = Affine(np.asarray(projection, float))
    sizes = np.array([lamella.thickness, lamella.length, lamella.width])
    places = {"centre": np.array(lamella.centre)}
    for edge in edges:
        axis, side = _SIDES[edge]
        place = places["centre"] + 0.5 * side * sizes[axis] * lamella.axes[axis]
        if axis == 0:
            place = place + _ASIDE * lamella.width * lamella.axes[2]
        places[edge] = place
    seen = view.transform(np.array(list(places.values())))
    return dict(zip(places, seen, strict=True))


def handle_points(places: Mapping[str, Floats]) -> LayerData:
    """Describe a Points layer of handles: a cross in the middle, squares at the edges."""
    data = np.array(list(places.values())).reshape(len(places), 2)
    arguments = {
        **_common(2, "Lamella handles"),
        "size": 0.5,
        "symbol": ["cross" if name == "centre" else "square" for name in places],
        "face_color": BOX,
        "border_color": "#000000",
        "border_width": 0.15,
        "canvas_size_limits": (9, 12),
        "features": {"edge": list(places)},
    }
    return data, arguments, "points"


def _common(ndim: int, name: str) -> dict[str, Any]:
    return {
        "name": name,
        "ndim": ndim,
        "units": (UNIT,) * ndim,
        "axis_labels": SPATIAL[-ndim:],
        "metadata": {"clxem": {"marks": True}},
        "blending": "translucent_no_depth",
    }
