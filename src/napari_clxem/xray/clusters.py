"""Labelled clusters in a density map: where they are, how large, and how much they hold."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]
Labels = NDArray[np.int32]

#: Of the core's mean: what is denser bounds the core of a cluster.
CORE = 0.5
_SKIN = 1.2
"""Voxels below that border that are left out of the core."""
_ROUNDS = 4
#: How much farther the surroundings of a cluster reach along z, where the missing wedge smears.
ELONGATION = 2.0
#: Margins out to which the local background is taken.
SHELL = 2
_CALM = 0.7  # voxels


@dataclass(frozen=True, eq=False)
class Measured:
    """What a cluster shows, before any correction.

    Attributes
    ----------
    centre : (3,) ndarray
        Centre of mass of its voxels, µm.
    voxels, surroundings : int
        Voxels labelled, and with the surroundings that are counted as its own.
    thresholded, whole : float
        Sum of densities over either, g/cm³ times voxels; the latter less `local`.
    local : float
        Middle of the densities in a shell around the surroundings: other clusters cast streaks.
    shell : int
        Voxels of that shell.
    peak, core : float
        95th percentile of the labelled voxels, slightly smoothed, and mean of those (not smoothed)
        in the inside of what is above half the core, g/cm³.
    core_voxels : int
        Of the core.
    diameter : float
        Of the disc with the area, seen along z, of what is above half the core, µm (the wedge
        smears along z).
    """

    centre: Floats
    voxels: int
    surroundings: int
    thresholded: float
    whole: float
    local: float
    shell: int
    peak: float
    core: float
    core_voxels: int
    diameter: float


def label(significance: Floats, level: float, seed: float, least: int) -> Labels:
    """Label connected voxels above `level` that hold one above `seed` and at least `least` voxels.

    Voxels that touch by a corner are connected.
    """
    from scipy import ndimage

    labels, count = ndimage.label(significance >= level, structure=np.ones((3, 3, 3), bool))
    if count == 0:
        return np.zeros(significance.shape, np.int32)
    sizes = np.bincount(labels.ravel(), minlength=count + 1)
    high = np.zeros(count + 1, bool)
    high[np.unique(labels[significance >= seed])] = True
    kept = high & (sizes >= least)
    kept[0] = False
    names = np.zeros(count + 1, np.int32)
    names[kept] = np.arange(1, kept.sum() + 1)
    return np.asarray(names[labels])


def measure(values: Floats, labels: Labels, step: Floats, margin: int) -> Iterator[Measured]:
    """Measure every labelled cluster, one after the other.

    Parameters
    ----------
    values : (nz, ny, nx) array
        Densities with the background taken off, g/cm³.
    labels : (nz, ny, nx) array of int
        1 ... n.
    step : (3,) array
        Voxel size, µm.
    margin : int
        Voxels around a cluster, twice as many along z, that count as its own where no other
        cluster is nearer.
    """
    from scipy.ndimage import find_objects

    for index, box in enumerate(find_objects(labels)):
        if box is not None:
            yield _measured(values, labels, index + 1, box, step, margin)


def smoothed(values: Floats) -> Floats:
    """Blur by less than a voxel."""
    from scipy.ndimage import gaussian_filter

    return np.asarray(gaussian_filter(values, _CALM, mode="nearest"))


def surroundings(labels: Labels, margin: int) -> NDArray[np.bool_]:
    """Mark all labelled voxels and their surroundings."""
    from scipy.ndimage import find_objects

    marked = np.zeros(labels.shape, bool)
    for box in find_objects(labels):
        if box is not None:
            wide = _widened(box, labels.shape, margin)
            marked[wide] |= _distance(labels[wide] > 0) <= margin
    return marked


def _measured(
    values: Floats,
    labels: Labels,
    name: int,
    box: tuple[slice, ...],
    step: Floats,
    margin: int,
) -> Measured:
    wide = _widened(box, labels.shape, SHELL * margin)
    part, names = values[wide], labels[wide]
    mine = names == name
    inside = part[mine].astype(float)
    own = _distance(mine)
    near = own <= margin
    others = (names > 0) & ~mine
    if others.any():
        near &= own <= _distance(others)
        near &= ~others
    ring = (own > margin) & (own <= SHELL * margin)
    if others.any():
        ring &= _distance(others) > margin
    shell = int(ring.sum())
    local = float(np.median(part[ring])) if shell >= 20 else 0.0
    calm = smoothed(part)
    peak = float(np.quantile(calm[mine], 0.95))
    dense, core, core_voxels = _core(part, calm, mine, peak)
    places = np.argwhere(mine) + [s.start for s in wide]
    centre = np.average(places, axis=0, weights=np.maximum(inside, 1e-12)) * step
    area = float(dense.any(axis=0).sum() * step[1] * step[2])
    return Measured(
        centre=centre,
        voxels=int(mine.sum()),
        surroundings=int(near.sum()),
        thresholded=float(inside.sum()),
        whole=float(part[near].sum(dtype=float)) - local * int(near.sum()),
        local=local,
        shell=shell,
        peak=peak,
        core=core,
        core_voxels=core_voxels,
        diameter=2.0 * float(np.sqrt(area / np.pi)),
    )


def _core(
    part: Floats, calm: Floats, mine: NDArray[np.bool_], peak: float
) -> tuple[NDArray[np.bool_], float, int]:
    """Give what is above half the core's mean, that mean, and the voxels of the core.

    Noise lifts a peak, and voxels at a border are above a threshold because of their noise: neither
    may enter the density. So the core is what lies below the border, which follows from it.
    """
    from scipy.ndimage import distance_transform_edt

    mean = peak
    for _ in range(_ROUNDS):
        dense = mine & (calm >= CORE * mean)
        if not dense.any():
            dense = mine & (calm >= calm[mine].max())
        depth = np.asarray(distance_transform_edt(np.pad(dense, 1)))[1:-1, 1:-1, 1:-1]
        inside = depth >= min(_SKIN, float(depth.max()))
        before, mean = mean, float(part[inside].mean(dtype=float))
        if mean <= 0 or abs(mean - before) < 1e-3 * before:
            break
    return dense, mean, int(inside.sum())


def _distance(mask: NDArray[np.bool_]) -> Floats:
    """Give the distance to a mask in voxels; those along z count for less."""
    from scipy.ndimage import distance_transform_edt

    return np.asarray(distance_transform_edt(~mask, sampling=(1.0 / ELONGATION, 1.0, 1.0)))


def _widened(box: tuple[slice, ...], shape: tuple[int, ...], margin: int) -> tuple[slice, ...]:
    reach = (int(margin * ELONGATION) + 1, margin + 1, margin + 1)
    return tuple(
        slice(max(0, s.start - r), min(n, s.stop + r))
        for s, r, n in zip(box, reach, shape, strict=True)
    )
