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

_FALL = 0.92
"""What a pixel at the border takes less than one in the middle, weighted to the centre."""


@dataclass(frozen=True, eq=False)
class Geometry:
    """Parallel rays through slices perpendicular to the tilt axis, in pixels.

    Parameters
    ----------
    tilts : (n,) ndarray
        Degrees; a point (z, x) from the axis falls at ``x cos + z sin`` (z towards the beam).
    steps : (n, 4) ndarray
        Per tilt the shadow's step per row and column, its width, and its left edge for pixel
        (0, 0), in bins of the padded detector.
    bounds : (nz, 2) ndarray of int
        Columns of each row inside the support: first, and one after the last.
    prior : (nz, nx) ndarray
        Share of a correction that each pixel takes.
    width : int
        Pixels of the detector.
    pad : int
        Bins added on either side of it.
    """

    tilts: Floats
    steps: Floats
    bounds: NDArray[np.int64]
    prior: NDArray[np.float32]
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
        How a correction is shared out along a ray: evenly, or most near the middle of the box's
        thickness (of the cylinder), by a parabola. What the tilts leave open, and only
        that, is then put where the sample most likely is.

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
    centre = (width - 1) / 2 if axis is None else float(axis)
    if not 0 <= centre <= width - 1:
        raise ImageError(
            f"The tilt axis at pixel {centre:g} is outside the detector (0 to {width - 1}); give "
            "its position in pixels from the left one."
        )
    middle = (thickness - 1) / 2
    cosine, sine = np.cos(np.radians(angles)), np.sin(np.radians(angles))
    shadow = np.maximum(np.abs(cosine), np.abs(sine))
    reach = max(centre, width - 1 - centre) * np.abs(cosine) + middle * np.abs(sine)
    pad = max(0, int(np.ceil(reach.max() - min(centre, width - 1 - centre)))) + 3
    edge = centre + pad + 0.5 - shadow / 2 - centre * cosine - middle * sine
    steps = np.column_stack([sine, cosine, shadow, edge])
    return Geometry(
        angles,
        steps,
        _bounds(width, thickness, centre, support),
        _prior(width, thickness, centre, support, weighting),
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


def _prior(
    width: int, thickness: int, centre: float, support: Support, weighting: Weighting
) -> NDArray[np.float32]:
    """Give the share of a correction that each pixel takes: a parabola, or 1."""
    if weighting == "even":
        return np.ones((thickness, width), np.float32)
    if weighting != "centre":
        raise ImageError(f"The weighting {weighting!r} is unknown; choose 'centre' or 'even'.")
    z = np.arange(thickness)[:, None] - (thickness - 1) / 2
    x = np.arange(width)[None, :] - centre
    if support == "box":
        away = np.broadcast_to(np.abs(z) / (thickness / 2), (thickness, width))
    else:
        away = np.hypot(z, x) / max(1.0, min(centre, width - 1 - centre))
    return np.asarray(1.0 - _FALL * np.clip(away, 0.0, 1.0) ** 2, dtype=np.float32)
