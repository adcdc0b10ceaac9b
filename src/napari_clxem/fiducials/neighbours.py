"""Beads beside beads: each window keeps to its own bead, touching pairs are fitted as two."""

from __future__ import annotations

import numpy as np

from napari_clxem.fiducials.candidates import Candidates
from napari_clxem.fiducials.localisation import (
    BeadFits,
    Flags,
    NoiseModel,
    Windows,
    fit_beads,
)
from napari_clxem.fiducials.profiles import Floats, Profile

_TOUCHING = 6.0
"""Beads nearer than this many of their own standard deviations are fitted as two."""

_RIVAL = 0.2
"""A candidate weaker than this share of its neighbour is structure beside it, not a second bead."""

Pairs = list[tuple[int, int]]


def part(found: Candidates, sigma: tuple[float, ...]) -> tuple[Windows, Pairs]:
    """Blank in every window the pixels nearer to another candidate, and list touching pairs.

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
    touching : list of (int, int)
        Pairs that touch each other and nothing else.
    """
    from scipy.spatial import cKDTree

    scale = np.array(sigma)
    points = found.positions / scale
    offsets = found.windows.offsets / scale
    reach = float(np.linalg.norm(np.abs(offsets).max(axis=0)))
    data = found.windows.data.copy()
    touching = []
    for i, j in cKDTree(points).query_pairs(reach, output_type="ndarray"):
        for own, other in ((i, j), (j, i)):
            if found.snr[other] >= _RIVAL * found.snr[own]:
                nearer = _nearer(
                    offsets + found.windows.centres[own] / scale, points[other], points[own]
                )
                data[own, nearer] = np.nan
        alike = min(found.snr[i], found.snr[j]) >= _RIVAL * max(found.snr[i], found.snr[j])
        if alike and np.linalg.norm(points[i] - points[j]) < _TOUCHING:
            touching.append((int(i), int(j)))
    windows = Windows(data, found.windows.offsets, found.windows.centres, found.windows.shape)
    return windows, _lone(touching)


def _nearer(places: Floats, other: Floats, own: Floats) -> Flags:
    nearer: Flags = ((places - other) ** 2).sum(axis=1) < ((places - own) ** 2).sum(axis=1)
    return nearer


def _lone(touching: Pairs) -> Pairs:
    """Pairs whose two members touch nothing else."""
    count: dict[int, int] = {}
    for pair in touching:
        for i in pair:
            count[i] = count.get(i, 0) + 1
    return [(i, j) for i, j in touching if count[i] == count[j] == 1]


def fit_pairs(
    fits: BeadFits,
    found: Candidates,
    touching: Pairs,
    profile: Profile,
    noise: NoiseModel,
    leash: Floats,
) -> BeadFits:
    """Fit touching pairs again, as two beads in the whole window of the first.

    Returns
    -------
    BeadFits
        `fits` with the rows of the pairs replaced.
    """
    if not touching:
        return fits
    pairs = np.array(touching, dtype=np.intp)
    windows = found.windows.take(pairs[:, 0])
    starts = fits.positions[pairs] - windows.centres[:, None, :]
    both = fit_beads(profile, windows, starts, noise, leash / 2.0)
    rows = pairs.T.ravel()
    merged = {}
    for name in BeadFits.__dataclass_fields__:
        merged[name] = getattr(fits, name).copy()
        merged[name][rows] = getattr(both, name)
    return BeadFits(**merged)
