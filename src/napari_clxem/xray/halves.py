"""Two halves of one tilt series, and the resolution from place to place in two tomograms."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_clxem.errors import Cancelled, ImageError
from napari_clxem.xray.geometry import check_tilts
from napari_clxem.xray.masks import Spacing, per_axis, round_mask
from napari_clxem.xray.resolution import Threshold, checked_halves, fsc

Floats = NDArray[np.floating[Any]]


def split(series: Any, tilts: ArrayLike) -> tuple[tuple[Any, Floats], tuple[Any, Floats]]:
    """Split a tilt series into every other tilt, sorted by angle: two series for two halves.

    Parameters
    ----------
    series : (n, ny, nx) array_like
        Numpy or dask.
    tilts : (n,) array_like
        Degrees.

    Returns
    -------
    ((even, tilts), (odd, tilts))

    Raises
    ------
    ImageError
        Where there are fewer than four images, or not one tilt per image.
    """
    stack = series if hasattr(series, "shape") else np.asarray(series)
    angles = check_tilts(tilts, stack.shape[0])
    if len(angles) < 4:
        raise ImageError(f"{len(angles)} tilts cannot be split into two halves; give at least 4.")
    order = np.argsort(angles, kind="stable")
    even, odd = order[::2], order[1::2]
    return (stack[even], angles[even]), (stack[odd], angles[odd])


def local_resolution(
    half_a: ArrayLike,
    half_b: ArrayLike,
    spacing: Spacing,
    *,
    window: int = 48,
    step: int = 24,
    threshold: Threshold = 0.25,
    progress: Callable[[float, str], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> tuple[Floats, Floats]:
    """Map the resolution: the correlation inside a soft round window moved over the halves.

    Parameters
    ----------
    half_a, half_b, spacing
        As in :func:`~napari_clxem.xray.resolution.fsc`.
    window, step : int
        Side of the window and distance between windows, voxels.
    threshold : float or "half-bit"
        As in :meth:`~napari_clxem.xray.resolution.Correlation.resolution`.
    progress, cancelled : callable, optional
        Called as ``progress(share, text)``; asked, and Cancelled raised where it gives True.

    Returns
    -------
    resolution : array, one value per window and axis of the halves
        Full period, µm; nan where nothing crosses.
    origin : (d,) array
        Centre of the first window, µm; windows are `step` voxels apart.
    """
    one, two, _ = checked_halves(half_a, half_b, None)
    sizes = per_axis(spacing, one.ndim)
    side = [min(window, n) for n in one.shape]
    mask = round_mask(side, sizes, edge=float(np.min(np.asarray(side) * sizes)) / 8)
    starts = [range(0, n - w + 1, step) for n, w in zip(one.shape, side, strict=True)]
    found = np.full([len(along) for along in starts], np.nan)
    for done, index in enumerate(np.ndindex(*found.shape)):
        if cancelled is not None and cancelled():
            raise Cancelled("The map of resolution was stopped; none was made.")
        part = tuple(
            slice(along[i], along[i] + w) for along, i, w in zip(starts, index, side, strict=True)
        )
        if min(np.ptp(one[part]), np.ptp(two[part])) > 0:
            found[index] = fsc(one[part], two[part], sizes, mask, workers=1).resolution(threshold)
        if progress is not None:
            progress((done + 1) / found.size, "resolution by window")
    return found, (np.asarray(side) - 1) / 2 * sizes
