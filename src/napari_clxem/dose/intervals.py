"""What the error of the registration leaves open in a sum of doses."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from napari_clxem.dose.accumulation import History
from napari_clxem.dose.placement import draws
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
    shifts, unknown = displacements(history)
    found = np.zeros((DRAWS, len(array)))
    farthest = np.linalg.norm(shifts, axis=2).max(axis=0)
    wanted = history.placed(surface) & history.felt(array, z, farthest)
    for index in np.flatnonzero(wanted).tolist():
        if farthest[index] == 0.0:
            moved = history.relative(index, array, z)[np.newaxis]
        else:
            moved = np.array([history.relative(index, array, z, s) for s in shifts[:, index]])
        found += history.doses[index] * moved
    found.sort(axis=0)
    exact = history.at(array, surface=surface, z=z)
    return Interval(exact, found.mean(axis=0), found[1], found[-2], unknown)


def interval_over(history: History, grid: Grid, surface: bool, z: float) -> Interval:
    """Give the doses over a raster; see :meth:`History.interval_map`."""
    from napari_clxem.dose.kernels import keep_extremes

    shifts, unknown = displacements(history)
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


def displacements(history: History) -> tuple[Floats, tuple[str, ...]]:
    """Displacements of every footprint, and the frames whose error is not known.

    Returns
    -------
    (DRAWS, n, 3) array
        (z, y along, x across its tilt axis) about each aim, µm.
    tuple of str
    """
    moved = np.zeros((DRAWS, len(history), 3))
    unknown = []
    for number, part in enumerate(history.groups):
        spread = part.spread
        if np.isnan(spread).any():
            unknown.append(part.frame)
            spread = np.nan_to_num(spread)
        away = np.einsum("nij,kj->kni", spread, draws(DRAWS, number))
        azimuth = np.deg2rad([history.exposures[i].axis_azimuth for i in part.members])
        cosine, sine = np.cos(azimuth), np.sin(azimuth)
        z, y, x = away.transpose(2, 0, 1)
        turned = (z, y * cosine - x * sine, x * cosine + y * sine)
        moved[:, part.members] = np.stack(turned, axis=-1)
    return moved, tuple(unknown)
