"""Lamella boxes and outlines as napari layers, in the µm of one canvas."""

from __future__ import annotations

from collections.abc import Sequence
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


def _common(ndim: int, name: str) -> dict[str, Any]:
    return {
        "name": name,
        "ndim": ndim,
        "units": (UNIT,) * ndim,
        "axis_labels": SPATIAL[-ndim:],
        "metadata": {"clxem": {"marks": True}},
        "blending": "translucent_no_depth",
    }
