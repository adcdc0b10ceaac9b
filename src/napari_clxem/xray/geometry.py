"""Where each voxel of a slice falls on the detector at each tilt."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_clxem.errors import ImageError

Floats = NDArray[np.floating[Any]]
Support = Literal["box", "cylinder"]
Weighting = Literal["centre", "even"]

#: Parts of a bin between which the shares of a pixel's shadow are interpolated.
PHASES = 64
LANES = (16, 8, 4, 1)  # slices side by side
_FLOOR = 0.08
"""What the ends of a ray take of a correction, the middle taking 1: a Hamming window."""
_THICKEST = 4
"""Times the width of the detector; thicker slices are a mistake in the unit."""


@dataclass(frozen=True, eq=False)
class Geometry:
    """Parallel rays through slices perpendicular to the tilt axis, in pixels.

    Parameters
    ----------
    tilts : (n,) ndarray
        Degrees; a point (z, x) from the axis falls at ``x cos + z sin`` (z towards the beam).
    steps : (n, 5) ndarray
        Per tilt the shadow's step per row and column, its width, its left edge for pixel (0, 0),
        in bins of the padded detector, and the way of that pixel along the ray from the axis.
    shadows : (n, PHASES + 1, 3) ndarray
        Per tilt and place of the left edge within a bin, what falls on that bin and the next two.
    chords : (n, bins, 2) ndarray
        Per ray the middle of its way through the support, and one over half that way; the latter
        0 where corrections are shared out evenly.
    paths : (n, bins) ndarray
        Way of each ray through the support, pixels, times the mean share of a correction on it.
    bounds : (nz, 2) ndarray of int
        Columns of each row inside the support: first, and one after the last.
    width : int
        Pixels of the detector.
    pad : int
        Bins added on either side of it.
    """

    tilts: Floats
    steps: Floats
    shadows: NDArray[np.float32]
    chords: NDArray[np.float32]
    paths: Floats
    bounds: NDArray[np.int64]
    width: int
    pad: int

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns (z, x) of a slice."""
        return len(self.bounds), self.width

    @property
    def bins(self) -> int:
        """Bins of the padded detector."""
        return self.width + 2 * self.pad


def lay_out(
    tilts: ArrayLike,
    width: int,
    thickness: int,
    axis: float | None = None,
    support: Support = "box",
    weighting: Weighting = "even",
) -> Geometry:
    """Lay out the rays of a tilt series.

    Parameters
    ----------
    tilts : (n,) array_like
        Degrees.
    width : int
        Pixels of the detector across the tilt axis, and columns of a slice.
    thickness : int
        Rows (z) of a slice.
    axis : float, optional
        Where the tilt axis meets the detector and the slice, pixels from the centre of pixel 0;
        by default the middle. In z it lies in the middle of the slice.
    support : {"box", "cylinder"}
        Where there may be material: the whole slice, or a circle about the axis that touches
        the nearest border.
    weighting : {"even", "centre"}
        How a correction is shared out along a ray: evenly, or most near the middle of its way
        through the support, by a raised cosine. What the tilts leave open, and only that, is then
        put where the sample most likely is.

    Raises
    ------
    ImageError
        Where a tilt is not finite, or a size is not positive.
    """
    angles = check_tilts(tilts)
    if width < 2 or thickness < 1:
        raise ImageError(
            f"A slice of {thickness} x {width} pixels cannot be reconstructed; give a detector at "
            "least 2 pixels wide and a slice at least 1 thick."
        )
    if thickness > _THICKEST * width:
        raise ImageError(
            f"A thickness of {thickness} voxels is more than {_THICKEST} times the width of the "
            f"detector ({width} pixels); give the thickness in voxels of the pixel size."
        )
    centre = (width - 1) / 2 if axis is None else float(axis)
    if not 0 <= centre <= width - 1:
        raise ImageError(
            f"The tilt axis at pixel {centre:g} is outside the detector (0 to {width - 1}); give "
            "its position in pixels from the left one."
        )
    middle = (thickness - 1) / 2
    cosine, sine = np.cos(np.radians(angles)), np.sin(np.radians(angles))
    shadow = np.abs(cosine) + np.abs(sine)
    reach = max(centre, width - 1 - centre) * np.abs(cosine) + middle * np.abs(sine)
    pad = max(0, int(np.ceil(reach.max() - min(centre, width - 1 - centre)))) + 3
    edge = centre + pad + 0.5 - shadow / 2 - centre * cosine - middle * sine
    steps = np.column_stack([sine, cosine, shadow, edge, centre * sine - middle * cosine])
    across = np.arange(width + 2 * pad) - pad - centre
    ends = _ends(angles, across, width, thickness, centre, support)
    half = (ends[..., 1] - ends[..., 0]) / 2
    chords = np.stack([ends.mean(axis=2), 1.0 / np.maximum(half, 0.5)], axis=2)
    mean = (1.0 + _FLOOR) / 2
    if weighting == "even":
        chords[..., 1], mean = 0.0, 1.0
    elif weighting != "centre":
        raise ImageError(f"The weighting {weighting!r} is unknown; choose 'centre' or 'even'.")
    return Geometry(
        angles,
        steps,
        _shadows(np.abs(cosine), np.abs(sine)),
        chords.astype(np.float32),
        2 * half * mean,
        _bounds(width, thickness, centre, support),
        width,
        pad,
    )


def check_tilts(tilts: ArrayLike, images: int | None = None) -> Floats:
    """Give tilts as an array of degrees; raises ImageError where they cannot belong to images."""
    angles = np.atleast_1d(np.asarray(tilts, dtype=float))
    if angles.ndim != 1 or angles.size == 0 or not np.isfinite(angles).all():
        raise ImageError("The tilt list is empty or holds a value that is no number; give degrees.")
    if np.abs(angles).max() > 360:
        raise ImageError(
            f"A tilt of {angles[np.argmax(np.abs(angles))]:g} degrees is no tilt; give degrees."
        )
    if images is not None and len(angles) != images:
        raise ImageError(
            f"There are {images} images but {len(angles)} tilts; give one tilt per image."
        )
    return angles


def golden_order(tilts: Floats) -> NDArray[np.int64]:
    """Order tilts so that each is far from those just before it.

    Steps of the golden section through the sorted list (Köhler 2004, IEEE NSS 6:3961).
    """
    left = list(np.argsort(tilts, kind="stable"))
    share, golden, order = 0.0, (np.sqrt(5.0) - 1.0) / 2.0, []
    while left:
        order.append(left.pop(min(int(share * len(left)), len(left) - 1)))
        share = (share + golden) % 1.0
    return np.array(order, dtype=np.int64)


def _bounds(width: int, thickness: int, centre: float, support: Support) -> NDArray[np.int64]:
    bounds = np.tile(np.array([0, width], dtype=np.int64), (thickness, 1))
    if support == "box":
        return bounds
    if support != "cylinder":
        raise ImageError(f"The support {support!r} is unknown; choose 'box' or 'cylinder'.")
    middle = (thickness - 1) / 2
    radius = min(centre, width - 1 - centre)
    squared = radius**2 - (np.arange(thickness) - middle) ** 2
    half = np.sqrt(np.maximum(squared, 0.0))
    bounds[:, 0] = np.where(squared >= 0, np.ceil(centre - half), 0)
    bounds[:, 1] = np.where(squared >= 0, np.floor(centre + half) + 1, 0)
    return bounds


def _ends(
    tilts: Floats, across: Floats, width: int, thickness: int, centre: float, support: Support
) -> Floats:
    """Give where each ray enters and leaves the support (n, bins, 2), pixels from the axis.

    A ray `t` across the beam runs through (x, z) = (t cos - l sin, t sin + l cos).
    """
    if support == "cylinder":
        radius = min(centre, width - 1 - centre)
        half = np.sqrt(np.maximum(radius**2 - across**2, 0.0))
        return np.asarray(
            np.broadcast_to(np.stack([-half, half], axis=1), (len(tilts), len(half), 2))
        )
    low = np.full((len(tilts), len(across)), -np.inf)
    high = -low
    cosine, sine = np.cos(np.radians(tilts))[:, None], np.sin(np.radians(tilts))[:, None]
    border = thickness / 2
    for at, way, first, last in (
        (across * cosine, -sine, -centre - 0.5, width - 0.5 - centre),
        (across * sine, cosine, -border, border),
    ):
        way = np.where(np.abs(way) < 1e-9, 1e-9, way)
        one, two = (first - at) / way, (last - at) / way
        low, high = np.maximum(low, np.minimum(one, two)), np.minimum(high, np.maximum(one, two))
    beside = low >= high
    return np.stack([np.where(beside, 0.0, low), np.where(beside, 0.0, high)], axis=2)


def _shadows(cosine: Floats, sine: Floats) -> NDArray[np.float32]:
    """Give the shares of a pixel's shadow, exactly its trapezoid, by tilt, phase and bin."""
    wide, narrow = np.maximum(cosine, sine), np.minimum(cosine, sine)
    left = np.arange(PHASES + 1)[None, :, None] / PHASES
    borders = np.arange(4)[None, None, :] - left
    wide, narrow = wide[:, None, None], narrow[:, None, None]
    at = np.clip(borders, 0.0, wide + narrow)
    # area below a trapezoid of unit area that rises over `narrow`, up to `at`
    slope = 2 * np.maximum(narrow, 1e-9) * wide
    rising = np.minimum(at, narrow) ** 2 / slope
    level = np.clip(at - narrow, 0.0, wide - narrow) / wide
    end = np.maximum(at - wide, 0.0)
    falling = (2 * narrow * end - end**2) / slope
    shares = np.diff(rising + level + falling, axis=2)
    return np.asarray(shares / shares.sum(axis=2, keepdims=True), dtype=np.float32)
