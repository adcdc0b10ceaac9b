"""Beads beside beads: each window keeps to its own bead, touching pairs are fitted as two."""

from __future__ import annotations

import numpy as np

from napari_clxem.fiducials.candidates import Candidates
from napari_clxem.fiducials.localisation import BeadFits, fit_beads, replace_rows
from napari_clxem.fiducials.modelling import Flags, Indices, NoiseModel, Windows
from napari_clxem.fiducials.profiles import Floats, Profile

_TOUCHING = 6.0
"""Beads nearer than this many of their own standard deviations are fitted together."""

_RIVAL = 0.2
"""A candidate weaker than this share of its neighbour is structure beside it, not a second bead."""

_LARGEST = 4
"""Larger groups stay apart: each bead with the pixels that are nearest to it."""

_BATCH = 256

Groups = list[list[int]]


def part(found: Candidates, sigma: tuple[float, ...]) -> tuple[Windows, Groups]:
    """Blank in every window the pixels nearer to another candidate, and list touching groups.

    Parameters
    ----------
    found : Candidates
        All candidates.
    sigma : tuple of float
        Standard deviations of the blurred bead, µm: the unit of distance.

    Returns
    -------
    windows : Windows
        Windows with neighbours blanked.
    groups : list of list of int
        Candidates that touch, in groups of two to four.
    """
    from scipy.spatial import cKDTree

    scale = np.array(sigma)
    points = found.positions / scale
    offsets = found.windows.offsets[0].T / scale
    reach = float(np.linalg.norm(np.abs(offsets).max(axis=0)))
    data = found.windows.data.copy()
    touching = []
    for i, j in cKDTree(points).query_pairs(reach, output_type="ndarray"):
        for own, other in ((i, j), (j, i)):
            if found.snr[other] >= _RIVAL * found.snr[own]:
                places = offsets + found.windows.centres[own] / scale
                data[own, _nearer(places, points[other], points[own])] = np.nan
        alike = min(found.snr[i], found.snr[j]) >= _RIVAL * max(found.snr[i], found.snr[j])
        if alike and np.linalg.norm(points[i] - points[j]) < _TOUCHING:
            touching.append((int(i), int(j)))
    windows = Windows(data, found.windows.offsets, found.windows.centres, found.windows.pixel)
    return windows, _groups(touching, len(points))


def _nearer(places: Floats, other: Floats, own: Floats) -> Flags:
    nearer: Flags = ((places - other) ** 2).sum(axis=1) < ((places - own) ** 2).sum(axis=1)
    return nearer


def _groups(touching: list[tuple[int, int]], count: int) -> Groups:
    """Find connected groups of a size worth fitting together."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    if not touching:
        return []
    rows, columns = np.array(touching).T
    graph = coo_array((np.ones(len(rows)), (rows, columns)), shape=(count, count))
    _, labels = connected_components(graph, directed=False)
    groups = [np.flatnonzero(labels == label).tolist() for label in np.unique(labels[rows])]
    return [group for group in groups if len(group) <= _LARGEST]


def fit_groups(
    fits: BeadFits,
    windows: Windows,
    groups: Groups,
    profile: Profile,
    noise: NoiseModel,
    leash: Floats,
) -> BeadFits:
    """Fit the beads of each group again, together, over the pixels of all its windows.

    Returns
    -------
    BeadFits
        `fits` with the rows of the groups' beads replaced.
    """
    for size in range(2, _LARGEST + 1):
        alike = np.array([g for g in groups if len(g) == size], dtype=np.intp).reshape(-1, size)
        # Joined windows are large, so few are held at a time.
        for first in range(0, len(alike), _BATCH):
            some = alike[first : first + _BATCH]
            joint = _join(windows, some)
            starts = fits.positions[some] - joint.centres[:, None, :]
            both = fit_beads(profile, joint, starts, noise, leash / 2.0)
            fits = replace_rows(fits, some.T.ravel(), both)
    return fits


def _join(windows: Windows, groups: Indices) -> Windows:
    """One window per group, centred on the first bead's; pixels that none has come last."""
    centres = windows.centres[groups[:, 0]]
    data = np.concatenate([windows.data[column] for column in groups.T], axis=1)
    offsets = np.concatenate(
        [windows.offsets + (windows.centres[column] - centres)[:, :, None] for column in groups.T],
        axis=2,
    )
    valid = np.isfinite(data)
    order = np.argsort(~valid, axis=1, kind="stable")[:, : int(valid.sum(axis=1).max())]
    return Windows(
        np.take_along_axis(data, order, axis=1),
        np.take_along_axis(offsets, order[:, None, :], axis=2),
        centres,
        windows.pixel,
    )
