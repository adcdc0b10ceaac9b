"""Beads beside beads: each window keeps to its own bead, touching pairs are fitted as two."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from napari_clxem.fiducials.candidates import Candidates
from napari_clxem.fiducials.localisation import BeadFits, fit_beads, replace_rows
from napari_clxem.fiducials.modelling import Indices, NoiseModel, Windows
from napari_clxem.fiducials.profiles import Floats, Profile

_TOUCHING = 6.0
"""Beads nearer than this many of their own standard deviations are fitted together."""

_RIVAL = 0.2
"""A candidate weaker than this share of its neighbour is structure beside it, not a second bead."""

_LARGEST = 4
"""Larger groups stay apart: each bead with the pixels that are nearest to it."""

_BATCH, _AT_ONCE = 256, 64

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
    offsets, centres = found.windows.offsets[0] / scale[:, None], found.windows.centres / scale
    reach = float(np.linalg.norm(np.abs(offsets).max(axis=1)))
    pairs = cKDTree(points).query_pairs(reach, output_type="ndarray")
    data = found.windows.data.copy()
    for own, other in (pairs.T, pairs.T[::-1]):
        rivals = found.snr[other] >= _RIVAL * found.snr[own]
        _blank(data, own[rivals], points[other[rivals]], points, centres, offsets)
    snr = found.snr[pairs]
    alike = snr.min(axis=1) >= _RIVAL * snr.max(axis=1)
    apart = np.linalg.norm(points[pairs[:, 0]] - points[pairs[:, 1]], axis=1)
    windows = Windows(data, found.windows.offsets, found.windows.centres, found.windows.pixel)
    return windows, _groups(pairs[alike & (apart < _TOUCHING)], len(points))


def _blank(
    data: NDArray[np.float32],
    own: Indices,
    others: Floats,
    points: Floats,
    centres: Floats,
    offsets: Floats,
) -> None:
    """Blank in the windows `own` the pixels nearer to the places `others` than to their own."""
    for first in range(0, len(own), _AT_ONCE):
        rows = own[first : first + _AT_ONCE]
        here = points[rows] - centres[rows]
        there = others[first : first + _AT_ONCE] - centres[rows]
        # |p - there|² < |p - here|², where pixels as near to both belong to both
        limit = ((there**2).sum(axis=1) - (here**2).sum(axis=1)) / 2.0
        nearer = (there - here) @ offsets > limit[:, None] + 1e-9
        for row, flags in zip(rows, nearer, strict=True):
            np.copyto(data[row], np.float32(np.nan), where=flags)


def _groups(touching: Indices, count: int) -> Groups:
    """Find connected groups of a size worth fitting together."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    if not len(touching):
        return []
    rows, columns = touching.T
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
