"""Where along a line of sight a click means: pure functions on a volume."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from napari_clxem.frames.affine import Floats

# A bead's image is steadied by the mean over so many pixels to either side of the line.
AROUND = 1


def along_z(volume: Any, scale: ArrayLike, position: ArrayLike, dark: bool = False) -> float | None:
    """Find the height of the strongest signal above a place in the plane.

    Parameters
    ----------
    volume : array_like, (nz, ny, nx)
        The stack, lazy or not; only a few columns are read.
    scale : array_like, (3,)
        Pixel size, (z, y, x) µm.
    position : array_like, (2,) or (3,)
        Place, µm of the image; its last two values count.
    dark : bool
        Look for the weakest signal instead.

    Returns
    -------
    float or None
        µm, to a fraction of a slice; None outside the image.
    """
    step = np.asarray(scale, dtype=float)
    y, x = np.round(np.asarray(position, dtype=float)[-2:] / step[-2:]).astype(int)
    if not (0 <= y < volume.shape[1] and 0 <= x < volume.shape[2]):
        return None
    rows = slice(max(0, y - AROUND), y + AROUND + 1)
    columns = slice(max(0, x - AROUND), x + AROUND + 1)
    block = np.asarray(volume[:, rows, columns], dtype=float)
    return float(crest(block.mean(axis=(1, 2)) * (-1 if dark else 1)) * step[0])


def on_ray(
    volume: Any, scale: ArrayLike, start: ArrayLike, direction: ArrayLike, dark: bool = False
) -> Floats | None:
    """Find the strongest signal on a line through a volume, as a projection shows it.

    Parameters
    ----------
    volume : array_like, (nz, ny, nx)
        The volume, read as a whole along the line.
    scale : array_like, (3,)
        Pixel size, (z, y, x) µm.
    start, direction : array_like, (3,)
        The line, µm of the image.
    dark : bool
        Look for the weakest signal instead.

    Returns
    -------
    (3,) array or None
        µm; None where the line misses the volume.
    """
    from scipy.ndimage import map_coordinates

    step = np.asarray(scale, dtype=float)
    at = np.asarray(start, dtype=float) / step
    way = np.asarray(direction, dtype=float) / step
    way = way / np.abs(way).max()
    size = np.array(volume.shape) - 1.0
    ends = _inside(at, way, size)
    if ends is None:
        return None
    places = np.arange(ends[0], ends[1], 0.5)
    if not len(places):
        return None
    points = at[:, np.newaxis] + way[:, np.newaxis] * places
    low = np.floor(points.min(axis=1)).astype(int)
    high = np.ceil(points.max(axis=1)).astype(int) + 1
    block = np.asarray(volume[tuple(slice(a, b) for a, b in zip(low, high, strict=True))], float)
    values = map_coordinates(block, points - low[:, np.newaxis], order=1, mode="nearest")
    best = crest(values * (-1 if dark else 1)) * 0.5 + ends[0]
    return np.asarray((at + way * best) * step)


def crest(values: Floats) -> float:
    """Give the middle of the highest rise of a profile, as an index.

    It is the centroid of what stands above half the height between the median and the maximum,
    around the maximum: a ball has a flat top, and its highest value says little.
    """
    finite = np.where(np.isfinite(values), values, -np.inf)
    top = int(np.argmax(finite))
    known = values[np.isfinite(values)]
    if not len(known):
        return float(top)
    half = (float(np.median(known)) + float(finite[top])) / 2
    above = finite - half
    first = last = top
    while first > 0 and above[first - 1] > 0:
        first -= 1
    while last < len(values) - 1 and above[last + 1] > 0:
        last += 1
    weights = above[first : last + 1]
    if not weights.sum() > 0:
        return float(top)
    return float((weights * np.arange(first, last + 1)).sum() / weights.sum())


def _inside(at: Floats, way: Floats, size: Floats) -> tuple[float, float] | None:
    """Clip a line to a box from zero to `size`."""
    low, high = -np.inf, np.inf
    for start, slope, end in zip(at, way, size, strict=True):
        if abs(slope) < 1e-12:
            if not 0 <= start <= end:
                return None
            continue
        sides = sorted((-start / slope, (end - start) / slope))
        low, high = max(low, sides[0]), min(high, sides[1])
    return (float(low), float(high)) if low <= high else None
