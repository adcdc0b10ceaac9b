"""What the error of the registration leaves open in a sum of doses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from napari_clxem.dose.history import History
from napari_clxem.dose.placement import Group, draws
from napari_clxem.dose.raster import Grid
from napari_clxem.frames.affine import Floats

#: Displacements tried: between the second lowest and the second highest of 39 lie 90 %.
DRAWS = 39


@dataclass(frozen=True, eq=False)
class Interval:
    """A dose with what the registration leaves open.

    Attributes
    ----------
    dose, mean, low, high : arrays of one shape
        MGy: with every frame where its links put it; the mean over where it may lie; the ends
        of the 90 % interval.
    unknown : tuple of str
        Frames whose links do not tell their error; they count as exact.
    """

    dose: Floats
    mean: Floats
    low: Floats
    high: Floats
    unknown: tuple[str, ...]


def interval_at(history: History, array: Floats, surface: bool, z: float) -> Interval:
    """Give the doses at points; see :meth:`History.interval`."""
    shifts, unknown = history.displacements
    found = np.zeros((DRAWS, len(array)))
    farthest = np.linalg.norm(shifts, axis=2).max(axis=0)
    wanted = history.placed(surface) & history.felt(array, z, farthest)
    for index in np.flatnonzero(wanted).tolist():
        if farthest[index] == 0.0:
            moved = history.relative(index, array, z)
        else:
            moved = history.relative_moved(index, array, shifts[:, index], z)
        found += history.doses[index] * moved
    found.sort(axis=0)
    exact = history.at(array, surface=surface, z=z)
    return Interval(exact, found.mean(axis=0), found[1], found[-2], unknown)


def interval_over(history: History, grid: Grid, surface: bool, z: float) -> Interval:
    """Give the doses over a raster; see :meth:`History.interval_map`."""
    from napari_clxem.dose.kernels import keep_extremes

    shifts, unknown = history.displacements
    moves = np.any(shifts, axis=(0, 2))
    exact, still = np.zeros(grid.shape), np.zeros(grid.shape)
    history.add(still, grid, np.flatnonzero(~moves), surface, z)
    exact += still
    history.add(exact, grid, np.flatnonzero(moves), surface, z)
    if not moves.any():
        return Interval(exact, exact.copy(), exact.copy(), exact.copy(), unknown)
    mean = np.zeros(grid.shape)
    low, high = np.full((2, *grid.shape), np.inf), np.full((2, *grid.shape), -np.inf)
    for shift in shifts:
        value = still.copy()
        history.add(value, grid, np.flatnonzero(moves), surface, z, shift)
        mean += value / DRAWS
        keep_extremes(value, low, high)
    return Interval(exact, mean, low[1], high[1], unknown)


def displacements(groups: Sequence[Group], count: int) -> tuple[Floats, tuple[str, ...]]:
    """Draw displacements of every footprint from the error of its frame's links.

    Parameters
    ----------
    groups : sequence of Group
        The exposures by frame: those of one move together.
    count : int
        How many exposures there are.

    Returns
    -------
    (DRAWS, n, 3) array
        (z, y, x) of each exposure's own frame, µm.
    tuple of str
        Frames whose links do not tell their error.
    """
    moved = np.zeros((DRAWS, count, 3))
    unknown = []
    for number, part in enumerate(groups):
        spread = part.spread
        if np.isnan(spread).any():
            unknown.append(part.frame)
            spread = np.nan_to_num(spread)
        if spread.any():
            moved[:, part.members] = np.einsum("nij,kj->kni", spread, draws(DRAWS, number))
    return moved, tuple(unknown)
