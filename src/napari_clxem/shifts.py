"""Shifts between images: masked normalised cross-correlation, whole or block by block.

Only plain arrays and pixels here; what a shift means for frames is said one floor up.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_clxem.errors import PointsError

Floats = NDArray[np.floating[Any]]

#: Share of the smaller image that has to overlap for a shift to count.
OVERLAP = 0.5


@dataclass(frozen=True)
class Shift:
    """Where one image fits another best.

    Attributes
    ----------
    shift : tuple of float
        (y, x) pixels that take the moving image onto the fixed one, sub-pixel.
    score : float
        Correlation there, -1 to 1.
    rival : float
        Best correlation outside the peak's own neighbourhood.
    """

    shift: tuple[float, float]
    score: float
    rival: float


@dataclass(frozen=True, eq=False)
class BlockShifts:
    """Shifts of the parts of an image.

    Attributes
    ----------
    centres : (n, 2) array
        Middle of each block in the moving image, (y, x) pixels.
    shifts : (n, 2) array
        Pixels that take each block onto the fixed image.
    scores : (n,) array
        Correlation of each.
    compared : int
        How many parts had pixels enough on both sides, those without a shift within reach too.
    """

    centres: Floats
    shifts: Floats
    scores: Floats
    compared: int = 0


def correlate(fixed: Floats, moving: Floats, overlap: float = OVERLAP) -> Floats:
    """Correlate two images at every whole-pixel shift; NaN pixels take no part.

    Masked normalised cross-correlation after Padfield 2012, IEEE Trans. Image Process. 21:2706,
    by FFT.

    Parameters
    ----------
    fixed, moving : (ny, nx) array
        Images of one pixel size.
    overlap : float
        Least share of the valid pixels of the image that has fewer of them.

    Returns
    -------
    (fy + my - 1, fx + mx - 1) array
        Correlation at the shifts ``(-my + 1 ... fy - 1, -mx + 1 ... fx - 1)``; NaN where too few
        pixels overlap.

    Raises
    ------
    PointsError
        Where an image is not 2D or holds no valid pixel.
    """
    from scipy import fft

    arrays = []
    for image in (fixed, moving):
        array = np.asarray(image, dtype=float)
        if array.ndim != 2 or not np.isfinite(array).any():
            raise PointsError(
                f"An image of shape {array.shape} cannot be correlated; give a 2D one with valid "
                "pixels."
            )
        mask = np.isfinite(array)
        arrays.append((np.where(mask, array - array[mask].mean(), 0.0), mask.astype(float)))
    (one, one_mask), (two, two_mask) = arrays
    two, two_mask = two[::-1, ::-1], two_mask[::-1, ::-1]
    full = tuple(a + b - 1 for a, b in zip(one.shape, two.shape, strict=True))
    size = tuple(fft.next_fast_len(n, real=True) for n in full)
    forward = [fft.rfft2(a, size) for a in (one, one_mask, one**2, two, two_mask, two**2)]

    def product(a: int, b: int) -> Floats:
        return np.asarray(fft.irfft2(forward[a] * forward[b], size)[: full[0], : full[1]])

    count = np.maximum(product(1, 4), 1e-9)
    sum_one, sum_two = product(0, 4), product(1, 3)
    cross = product(0, 3) - sum_one * sum_two / count
    spread_one = product(2, 4) - sum_one**2 / count
    spread_two = product(1, 5) - sum_two**2 / count
    floor = 1e-9 * np.sqrt((one**2).sum() * (two**2).sum())
    spread = np.sqrt(np.maximum(spread_one, 0.0) * np.maximum(spread_two, 0.0))
    enough = (count >= overlap * min(one_mask.sum(), two_mask.sum())) & (spread > floor)
    return np.where(enough, np.clip(cross / np.where(enough, spread, 1.0), -1.0, 1.0), np.nan)


def find_shift(
    fixed: Floats,
    moving: Floats,
    expected: tuple[float, float] = (0.0, 0.0),
    reach: float | None = None,
    overlap: float = OVERLAP,
) -> Shift | None:
    """Find the shift that takes `moving` onto `fixed`; None where nothing correlates.

    Parameters
    ----------
    fixed, moving : (ny, nx) array
        Images of one pixel size; NaN pixels take no part.
    expected : tuple of float
        Shift about which to look, (y, x) pixels.
    reach : float, optional
        Largest distance from it along an axis, pixels; left out, all shifts are looked at.
    overlap : float
        See :func:`correlate`.
    """
    scores = correlate(fixed, moving, overlap)
    zero = np.array(np.shape(moving)) - 1
    if reach is not None:
        far = [
            np.abs(np.arange(n) - z - e) > reach
            for n, z, e in zip(scores.shape, zero, expected, strict=True)
        ]
        scores[far[0], :] = np.nan
        scores[:, far[1]] = np.nan
    if not np.isfinite(scores).any():
        return None
    peak = np.unravel_index(int(np.nanargmax(scores)), scores.shape)
    radius = max(3, min(np.shape(moving)) // 8)
    beyond = scores.copy()
    beyond[
        max(0, peak[0] - radius) : peak[0] + radius + 1,
        max(0, peak[1] - radius) : peak[1] + radius + 1,
    ] = np.nan
    rival = float(np.nanmax(beyond)) if np.isfinite(beyond).any() else -1.0
    top = _summit(scores, (int(peak[0]), int(peak[1])))
    return Shift((float(top[0] - zero[0]), float(top[1] - zero[1])), float(scores[peak]), rival)


def block_shifts(fixed: Floats, moving: Floats, blocks: int = 3, reach: float = 4.0) -> BlockShifts:
    """Find how far each part of `moving` lies from its place in `fixed`.

    Parameters
    ----------
    fixed, moving : (ny, nx) array
        Images on one grid of pixels, already nearly in register.
    blocks : int
        Parts along each axis; they do not overlap, so their errors are nearly independent.
    reach : float
        Largest shift looked for, pixels. A block whose best shift lies at this edge is left out.

    Returns
    -------
    BlockShifts
    """
    margin = int(np.ceil(reach)) + 2
    padded = np.pad(np.asarray(fixed, float), margin, constant_values=np.nan)
    edges = [np.linspace(0, n, blocks + 1).astype(int) for n in np.shape(moving)]
    centres, shifts, scores = [], [], []
    compared = 0
    for top, bottom in pairwise(edges[0]):
        for left, right in pairwise(edges[1]):
            part = np.asarray(moving, float)[top:bottom, left:right]
            around = padded[top : bottom + 2 * margin, left : right + 2 * margin]
            if min(np.isfinite(part).mean(), np.isfinite(around).mean()) < 0.5:
                continue
            compared += 1
            found = find_shift(around, part, (margin, margin), reach)
            if found is None:
                continue
            off = (found.shift[0] - margin, found.shift[1] - margin)
            if max(map(abs, off)) <= reach - 0.5:
                centres.append(((top + bottom - 1) / 2, (left + right - 1) / 2))
                shifts.append(off)
                scores.append(found.score)
    return BlockShifts(
        np.array(centres).reshape(-1, 2),
        np.array(shifts).reshape(-1, 2),
        np.array(scores),
        compared,
    )


def _summit(scores: Floats, peak: tuple[int, int]) -> tuple[float, float]:
    """Give the top of the paraboloid through the nine values about a peak, within one pixel."""
    y, x = peak
    if not (0 < y < scores.shape[0] - 1 and 0 < x < scores.shape[1] - 1):
        return float(y), float(x)
    nine = scores[y - 1 : y + 2, x - 1 : x + 2]
    if not np.isfinite(nine).all():
        return float(y), float(x)
    rows, columns = np.mgrid[-1:2, -1:2].reshape(2, -1)
    terms = np.column_stack([np.ones(9), rows, columns, rows**2, columns**2, rows * columns])
    _, a, b, c, d, e = np.linalg.lstsq(terms, nine.ravel(), rcond=None)[0]
    curvature = np.array([[2 * c, e], [e, 2 * d]])
    if np.linalg.eigvalsh(curvature)[-1] >= 0:
        return float(y), float(x)
    step = np.clip(-np.linalg.solve(curvature, [a, b]), -1.0, 1.0)
    return float(y + step[0]), float(x + step[1])
