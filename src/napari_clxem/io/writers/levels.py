"""Levels of falling resolution, each made of the one before."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

# A level whose rows and columns are no more than this is the last one.
SMALL = 512


def factors(shape: Sequence[int], scale: Sequence[float]) -> list[tuple[int, ...]]:
    """Give by how much each further level is smaller than the one before, along (z, y, x).

    Parameters
    ----------
    shape : sequence of int
        Of the full resolution, spatial axes only.
    scale : sequence of float
        Its pixel size, µm.

    Returns
    -------
    list of tuple of int
        2 along rows and columns, and along z where its pixels are no larger than theirs.
    """
    found = []
    now, step = np.array(shape), np.array(scale, float)
    while now[-2:].max() > SMALL:
        fine = step < 1.5 * step[-2:].min()
        halved = np.where((now > 1) & fine, 2, 1)
        halved[-2:] = np.where(now[-2:] > 1, 2, 1)
        found.append(tuple(int(n) for n in halved))
        now, step = np.maximum(now // halved, 1), step * halved
    return found


def smaller(shape: Sequence[int], factor: Sequence[int]) -> tuple[int, ...]:
    """Give the shape of the next level; what is left over at the end is not in it."""
    return tuple(max(1, int(n) // int(f)) for n, f in zip(shape, factor, strict=True))


def averaged(block: NDArray[Any], factor: Sequence[int]) -> NDArray[Any]:
    """Average a block by `factor` along its last axes; NaN counts as nothing.

    Parameters
    ----------
    block : ndarray
        Its size along each of them must be a multiple of the factor.
    factor : sequence of int
        One for each of the last axes.
    """
    lead = block.ndim - len(factor)
    split = list(block.shape[:lead])
    for n, f in zip(block.shape[lead:], factor, strict=True):
        split += [n // f, f]
    axes = tuple(range(lead + 1, lead + 2 * len(factor), 2))
    parts = block.reshape(split)
    if block.dtype.kind != "f":
        return np.asarray(np.rint(parts.mean(axis=axes)), block.dtype)
    there = ~np.isnan(parts)
    count = there.sum(axis=axes)
    summed = np.where(there, parts, 0).sum(axis=axes)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(summed / count, block.dtype)
