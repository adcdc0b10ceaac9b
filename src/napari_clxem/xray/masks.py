"""Soft-edged masks: a hard edge would correlate with itself and flatter the resolution."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_clxem.errors import ImageError, MissingScaleError

Floats = NDArray[np.floating[Any]]
Spacing = float | Sequence[float] | Floats


def soft_mask(mask: ArrayLike, spacing: Spacing, edge: float) -> Floats:
    """Give a mask a soft edge outside its border: a raised cosine from 1 to 0.

    Parameters
    ----------
    mask : (nz, ny, nx) or (ny, nx) array_like
        True, or not 0, inside.
    spacing : float or sequence of float
        Voxel size, µm.
    edge : float
        Width over which the mask falls to 0, µm.

    Returns
    -------
    array of the shape of `mask`, float32
        1 inside, 0 farther than `edge` away.

    Raises
    ------
    ImageError
        Where the mask is empty.
    """
    from scipy.ndimage import distance_transform_edt

    inside = np.asarray(mask) != 0
    if not inside.any():
        raise ImageError("The mask is empty; mark at least one voxel.")
    away = distance_transform_edt(~inside, sampling=per_axis(spacing, inside.ndim))
    return _fall(away, edge)


def round_mask(
    shape: Sequence[int],
    spacing: Spacing,
    diameter: float | None = None,
    edge: float | None = None,
) -> Floats:
    """Make a soft sphere (a disc in 2D) in the middle of a box.

    Parameters
    ----------
    shape : sequence of int
        Of the box, voxels.
    spacing : float or sequence of float
        Voxel size, µm.
    diameter : float, optional
        Width where the mask is 1, µm; by default as much as fits inside with the edge.
    edge : float, optional
        Width of the soft edge outside it, µm; by default a tenth of the smallest side.

    Returns
    -------
    array of the given shape, float32
    """
    step = per_axis(spacing, len(shape))
    smallest = float(np.min(np.asarray(shape) * step))
    width = smallest / 10 if edge is None else edge
    across = smallest - 2 * width if diameter is None else diameter
    squared = np.zeros(tuple(shape))
    for axis, (count, size) in enumerate(zip(shape, step, strict=True)):
        along = (np.arange(count) - (count - 1) / 2) * size
        squared = squared + along.reshape([-1 if i == axis else 1 for i in range(len(shape))]) ** 2
    return _fall(np.sqrt(squared) - across / 2, width)


def per_axis(spacing: Spacing, ndim: int) -> Floats:
    """Give a voxel size per axis, µm; raises MissingScaleError where it is not usable."""
    try:
        sizes = np.broadcast_to(np.asarray(spacing, dtype=float), (ndim,))
    except ValueError:
        raise MissingScaleError(
            f"The pixel size {spacing} does not fit {ndim} axes; give one number or {ndim}, in µm."
        ) from None
    if not (np.isfinite(sizes).all() and (sizes > 0).all()):
        raise MissingScaleError(f"A pixel size of {spacing} µm is not usable; give a positive one.")
    return np.asarray(sizes)


def _fall(away: Floats, edge: float) -> Floats:
    if edge <= 0:
        return (away <= 0).astype(np.float32)
    share = np.clip(away / edge, 0.0, 1.0)
    return np.asarray(0.5 + 0.5 * np.cos(np.pi * share), dtype=np.float32)
