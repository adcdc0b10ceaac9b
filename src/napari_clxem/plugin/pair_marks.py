"""Landmarks of a link, beads, and the mirrored cursor as napari layers, in display µm."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from napari_clxem.frames.affine import Floats
from napari_clxem.io.image import SPATIAL
from napari_clxem.plugin.layers import UNIT, LayerData

# Symbol and colour of a landmark by its flag: never told apart by colour alone.
LOOKS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "": ("disc", "#00e5ff"),
        "half": ("ring", "#ffffff"),
        "excluded": ("x", "#9e9e9e"),
        "outlier": ("diamond", "#ff9100"),
        "suspect": ("triangle_up", "#ff9100"),
    }
)
CHOSEN = "#ffee00"
BEAD = "#76ff03"
REJECTED = "#ff5277"
CURSOR = "#ffffff"
# More outlines than this are neither read nor drawn quickly.
MOST_OUTLINES = 100
# More reasons than this are not written beside their places.
MOST_REASONS = 40
# Width of an outline, as a share of its length.
LINE = 0.01
# Sides that make an outline look round.
SEGMENTS = 24
ANGLES = np.linspace(0.0, 2 * np.pi, SEGMENTS, endpoint=False)
CIRCLE = np.stack([np.sin(ANGLES), np.cos(ANGLES)])


@dataclass(frozen=True)
class PairMark:
    """One side of a landmark in a canvas.

    Parameters
    ----------
    id : str
        Of the landmark.
    number : int
        Shown beside it.
    position : ndarray, (d,)
        Display µm.
    flag : str
        As in :class:`napari_clxem.session.pairs.PairRow`.
    chosen : bool
        Whether it is the one selected.
    """

    id: str
    number: int
    position: Floats
    flag: str = ""
    chosen: bool = False


def pair_points(marks: Sequence[PairMark], ndim: int, name: str) -> LayerData:
    """Describe a Points layer of numbered landmarks."""
    looks = [LOOKS[mark.flag] for mark in marks]
    arguments = {
        **_common(ndim, name),
        "size": 0.9,
        "symbol": [symbol for symbol, _ in looks],
        "face_color": "transparent",
        "border_color": np.array(
            [rgba(CHOSEN if m.chosen else hue) for m, (_, hue) in zip(marks, looks, strict=True)]
        ),
        "border_width": 0.12,
        "canvas_size_limits": (14, 60),
        "features": {
            "id": [mark.id for mark in marks],
            "label": [str(mark.number) for mark in marks],
        },
        "text": {
            "string": "{label}",
            "color": LOOKS[""][1],
            "size": 11,
            "anchor": "upper_left",
            "blending": "translucent_no_depth",
        },
    }
    return _stacked(marks, ndim), arguments, "points"


def bead_points(positions: Floats, ndim: int, name: str) -> LayerData:
    """Describe a Points layer of detected beads."""
    arguments = {
        **_common(ndim, name),
        "size": 1.0,
        "symbol": "square",
        "face_color": "transparent",
        "border_color": BEAD,
        "border_width": 0.06,
        "canvas_size_limits": (10, 400),
    }
    return np.asarray(positions, dtype=float).reshape(-1, ndim), arguments, "points"


def rejected_points(positions: Floats, reasons: Sequence[str], ndim: int, name: str) -> LayerData:
    """Describe a Points layer of candidates that are no beads, each with the reason."""
    arguments = {
        **_common(ndim, name),
        "size": 1.0,
        "symbol": "x",
        "face_color": "transparent",
        "border_color": REJECTED,
        "border_width": 0.06,
        "canvas_size_limits": (8, 400),
        "features": {"reason": list(reasons)},
        "text": {
            "string": "{reason}" if len(reasons) <= MOST_REASONS else "",
            "color": REJECTED,
            "size": 8,
            "anchor": "upper_left",
            "blending": "translucent_no_depth",
        },
    }
    return np.asarray(positions, dtype=float).reshape(-1, ndim), arguments, "points"


def cursor_points(position: Floats, ndim: int) -> LayerData:
    """Describe the place that the cursor of the other canvas points at."""
    arguments = {
        **_common(ndim, "Cursor of the other canvas"),
        "size": 0.5,
        "symbol": "cross",
        "face_color": CURSOR,
        "border_width": 0.0,
        "canvas_size_limits": (14, 14),
    }
    return np.asarray(position, dtype=float).reshape(1, ndim), arguments, "points"


def suggestion_points(position: Floats, ndim: int) -> LayerData:
    """Describe where the next landmark would help most."""
    arguments = {
        **_common(ndim, "Where the next landmark helps most"),
        "size": 1.4,
        "symbol": "star",
        "face_color": "transparent",
        "border_color": CHOSEN,
        "border_width": 0.08,
        "canvas_size_limits": (18, 200),
    }
    return np.asarray(position, dtype=float).reshape(1, ndim), arguments, "points"


def error_field(errors: Floats, affine: Floats) -> LayerData:
    """Describe the predicted error over a plane as an image.

    Parameters
    ----------
    errors : ndarray, (rows, columns)
        nm.
    affine : ndarray, (3, 3)
        Pixel to display µm.
    """
    finite = errors[np.isfinite(errors)]
    most = float(np.percentile(finite, 95)) if len(finite) else 1.0
    arguments = {
        "ndim": 2,
        "name": "Predicted error, nm (rms in the plane)",
        "affine": affine,
        "units": (UNIT, UNIT),
        "axis_labels": SPATIAL[-2:],
        "colormap": "viridis",
        "contrast_limits": (0.0, max(most, 1e-6)),
        "opacity": 0.45,
        "blending": "translucent_no_depth",
        "metadata": {"clxem": {"marks": True}},
    }
    return errors, arguments, "image"


def outlines(
    positions: Floats, covariances: Floats, threshold: float, ndim: int, name: str, colour: str
) -> LayerData:
    """Describe a Vectors layer of the regions around points, in the plane.

    Parameters
    ----------
    positions : ndarray, (n, ndim)
        Display µm.
    covariances : ndarray, (n, 2, 2)
        Of (y, x), µm²; points with one that is not finite are left out.
    threshold : float
        Squared Mahalanobis radius.
    ndim : {2, 3}
        Axes of the canvas' frame.
    name, colour : str
        Of the layer.
    """
    data = outline_data(positions, covariances, threshold)
    steps = np.abs(data[:, 1]).max(axis=1) if len(data) else np.ones(1)
    arguments = {
        **_common(ndim, name),
        "edge_color": colour,
        "edge_width": max(LINE * float(np.median(steps)) * SEGMENTS, 1e-3),
        "vector_style": "line",
    }
    return data, arguments, "vectors"


def outline_data(positions: Floats, covariances: Floats, threshold: float) -> Floats:
    """Give the lines of :func:`outlines`, (n · SEGMENTS, 2, ndim)."""
    finite = np.isfinite(covariances).all(axis=(1, 2)) & np.isfinite(threshold)
    positions, covariances = positions[finite][:MOST_OUTLINES], covariances[finite][:MOST_OUTLINES]
    values, axes = np.linalg.eigh(covariances)
    radii = axes * np.sqrt(np.clip(values, 0.0, None) * threshold)[:, np.newaxis]
    rings = np.swapaxes(radii @ CIRCLE, 1, 2)
    data = np.zeros((len(positions), SEGMENTS, 2, positions.shape[1]))
    data[:, :, 0] = positions[:, np.newaxis]
    data[:, :, 0, -2:] += rings
    data[:, :, 1, -2:] = np.roll(rings, -1, axis=1) - rings
    return data.reshape(-1, 2, positions.shape[1])


def rgba(colour: str) -> tuple[float, float, float, float]:
    """Give a colour ``#rrggbb`` as four numbers from 0 to 1."""
    red, green, blue = (int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))
    return red, green, blue, 1.0


def _stacked(marks: Sequence[PairMark], ndim: int) -> Floats:
    return np.array([mark.position for mark in marks], dtype=float).reshape(len(marks), ndim)


def _common(ndim: int, name: str) -> dict[str, object]:
    return {
        "ndim": ndim,
        "name": name,
        "units": (UNIT,) * ndim,
        "axis_labels": SPATIAL[-ndim:],
        "metadata": {"clxem": {"marks": True}},
        "blending": "translucent_no_depth",
    }
