"""Targets, landmarks and their predicted errors as napari layers, in display µm."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from napari_clxem.frames.affine import Floats
from napari_clxem.io.image import SPATIAL
from napari_clxem.plugin.layers import UNIT, LayerData

# More ellipses than this are neither read nor drawn quickly.
MOST_ELLIPSES = 100
SEGMENTS = 48
# Pixels of the screen. With a least size above none, napari would draw what stands for an empty
# slice: a point of no size at the display's zero.
SIZES = (0, 2000)
TARGET = "#ffd400"
LANDMARK = "#00e5ff"


@dataclass(frozen=True)
class Mark:
    """One place to be marked.

    Parameters
    ----------
    id : str
        Of the target or landmark.
    position : ndarray, (d,)
        Display µm.
    label : str
        Text beside the mark.
    radius : float
        Of the mark, µm.
    covariance : ndarray, (d, d), optional
        Of the position, µm².
    threshold : float
        Squared Mahalanobis radius of the region drawn around it, in the plane.
    use : bool
        False for a landmark that takes no part.
    """

    id: str
    position: Floats
    label: str = ""
    radius: float = 0.5
    covariance: Floats | None = None
    threshold: float = 0.0
    use: bool = True


def target_points(marks: Sequence[Mark], ndim: int) -> LayerData:
    """Describe a Points layer of targets with their names and predicted errors.

    Parameters
    ----------
    marks : sequence of Mark
        Targets.
    ndim : {2, 3}
        Axes of the frame shown.
    """
    data, arguments = _points(marks, ndim)
    arguments |= {
        "name": "Targets",
        "symbol": "diamond",
        "face_color": "transparent",
        "border_color": TARGET,
        "border_width": 0.08,
        "canvas_size_limits": SIZES,
        "text": {
            "string": "{label}",
            "color": TARGET,
            "size": 13,
            "anchor": "upper_left",
            "blending": "translucent_no_depth",
            "translation": [0.0] * (ndim - 1) + [1.2 * max((m.radius for m in marks), default=0)],
        },
    }
    return data, arguments, "points"


def landmark_points(marks: Sequence[Mark], ndim: int) -> LayerData:
    """Describe a Points layer of landmarks: circles where used, crosses where not."""
    data, arguments = _points(marks, ndim)
    arguments |= {
        "name": "Landmarks",
        "symbol": ["disc" if mark.use else "x" for mark in marks] or "disc",
        "face_color": "transparent",
        "border_color": LANDMARK,
        "border_width": 0.08,
        "canvas_size_limits": SIZES,
    }
    return data, arguments, "points"


def error_ellipses(marks: Sequence[Mark], ndim: int) -> LayerData:
    """Describe a Vectors layer of the regions that hold the targets, in the plane.

    Only the first hundred marks with a finite covariance are drawn.
    """
    drawn = [
        (mark.position, ellipse(mark.covariance[-2:, -2:], mark.threshold))
        for mark in marks
        if mark.covariance is not None and np.isfinite(mark.covariance).all()
    ][:MOST_ELLIPSES]
    data = np.zeros((SEGMENTS * len(drawn), 2, ndim))
    for number, (position, outline) in enumerate(drawn):
        part = data[number * SEGMENTS : (number + 1) * SEGMENTS]
        part[:, 0] = position
        part[:, 0, -2:] += outline
        part[:, 1, -2:] = np.roll(outline, -1, axis=0) - outline
    size = np.median([np.ptp(outline) for _, outline in drawn]) if drawn else 1.0
    arguments = {
        **_common(ndim),
        "name": "Predicted error (95 %)",
        "edge_color": TARGET,
        "edge_width": 0.04 * float(size),
        "vector_style": "line",
    }
    return data, arguments, "vectors"


def ellipse(covariance: ArrayLike, threshold: float) -> Floats:
    """Outline of a region around zero, (SEGMENTS, 2) µm.

    Parameters
    ----------
    covariance : array_like, (2, 2)
        Of (y, x), µm².
    threshold : float
        Squared Mahalanobis radius.
    """
    values, axes = np.linalg.eigh(np.asarray(covariance, dtype=float))
    angle = np.linspace(0.0, 2 * np.pi, SEGMENTS, endpoint=False)
    circle = np.stack([np.sin(angle), np.cos(angle)])
    outline: Floats = (axes * np.sqrt(np.clip(values, 0.0, None) * threshold) @ circle).T
    return outline


def _points(marks: Sequence[Mark], ndim: int) -> tuple[Floats, dict[str, Any]]:
    data = np.array([mark.position for mark in marks], dtype=float).reshape(len(marks), ndim)
    arguments = {
        **_common(ndim),
        "size": [2 * mark.radius for mark in marks] or 1.0,
        "features": {
            "id": [mark.id for mark in marks],
            "label": [mark.label for mark in marks],
        },
    }
    return data, arguments


def _common(ndim: int) -> dict[str, Any]:
    return {
        "ndim": ndim,
        "units": (UNIT,) * ndim,
        "axis_labels": SPATIAL[-ndim:],
        "metadata": {"clxem": {"marks": True}},
        "blending": "translucent_no_depth",
    }
