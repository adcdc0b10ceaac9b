"""What the error of the registration leaves open in a sum of doses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from napari_clxem.dose.history import History
from napari_clxem.dose.misplacement import draws
from napari_clxem.dose.packing import sums
from napari_clxem.dose.placement import Group
from napari_clxem.dose.quantities import Height
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


def interval_at(history: History, array: Floats, surface: bool, z: Height) -> Interval:
    """Give the doses at points; see :meth:`History.interval`."""
    moved, unknown = history.displaced
    found = np.zeros((DRAWS, len(array)))
    wanted = history.placed(surface) & history.felt(array, z, farthest(history, z))
    for index in np.flatnonzero(wanted).tolist():
        errors = moved[:, history.number_of(index)]
        if errors.any():
            found += history.doses[index] * history.relative_moved(index, array, errors, z)
        else:
            found += history.doses[index] * history.relative(index, array, z)
    found.sort(axis=0)
    exact = history.at(array, surface=surface, z=z)
    return Interval(exact, found.mean(axis=0), found[1], found[-2], unknown)


def interval_over(history: History, grid: Grid, surface: bool, z: Height) -> Interval:
    """Give the doses over a raster; see :meth:`History.interval_map`."""
    keep_extremes = sums().keep_extremes
    moved, unknown = history.displaced
    numbers = np.array([history.number_of(i) for i in range(len(history))], dtype=int)
    open_ = np.any(moved, axis=(0, 2, 3))
    moves = (numbers >= 0) & np.append(open_, False)[numbers]
    exact, still = np.zeros(grid.shape), np.zeros(grid.shape)
    history.add(still, grid, np.flatnonzero(~moves), surface, z)
    exact += still
    history.add(exact, grid, np.flatnonzero(moves), surface, z)
    if not moves.any():
        return Interval(exact, exact.copy(), exact.copy(), exact.copy(), unknown)
    mean = np.zeros(grid.shape)
    low, high = np.full((2, *grid.shape), np.inf), np.full((2, *grid.shape), -np.inf)
    for errors in moved:
        value = still.copy()
        history.add(value, grid, np.flatnonzero(moves), surface, z, errors)
        mean += value / DRAWS
        keep_extremes(value, low, high)
    return Interval(exact, mean, low[1], high[1], unknown)


def displaced(groups: Sequence[Group]) -> tuple[Floats, tuple[str, ...]]:
    """Draw where every frame may lie from the error of its links.

    Parameters
    ----------
    groups : sequence of Group
        The exposures by frame: those of one move together.

    Returns
    -------
    (DRAWS, g, 3, 4) array
        From (z, y, x, 1) of the common frame to displacements (z, y, x) in each group's own, µm.
    tuple of str
        Frames whose links do not tell their error.
    """
    found = np.zeros((DRAWS, len(groups), 3, 4))
    frames = {name: k for k, name in enumerate(dict.fromkeys(part.frame for part in groups))}
    unknown = dict.fromkeys(part.frame for part in groups if part.modes is None)
    for number, part in enumerate(groups):
        if part.modes is not None and len(part.modes):
            chosen = draws(DRAWS, len(part.modes), frames[part.frame])
            found[:, number] = np.einsum("kr,rij->kij", chosen, part.modes)
    return found, tuple(unknown)


def farthest(history: History, z: Height) -> Floats:
    """Give how far any part of each footprint may be displaced, in its own frame, µm, (n,)."""
    moved, _ = history.displaced
    found = np.zeros(len(history))
    centres, radii = history.extents
    for number, part in enumerate(history.groups):
        errors = moved[:, number]
        if not errors.any():
            continue
        size = np.linalg.norm(errors[:, :, :3], ord=2, axis=(1, 2)).max()
        here = np.nan_to_num(centres[part.members])
        upright = np.column_stack([np.full(len(here), z or 0.0), here, np.ones(len(here))])
        away = np.linalg.norm(np.einsum("kij,nj->kni", errors, upright), axis=2).max(axis=0)
        around = np.nan_to_num(radii[part.members], nan=np.inf, posinf=np.inf)
        found[part.members] = away + (size * around if size > 0 else 0.0)
    return found
