"""Clusters beside fluorescence: how far from an organelle, and how much of them inside."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_clxem.errors import ImageError
from napari_clxem.xray.masks import Spacing, per_axis

Floats = NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Proximity:
    """Where a cluster lies with respect to fluorescent organelles.

    Attributes
    ----------
    cluster : int
        Its number in the labels.
    organelle : int
        Number of the nearest organelle (1 for a mask); 0 where there is none.
    distance : float
        From the cluster's nearest voxel to the organelle, µm; 0 where they touch.
    centre_distance : float
        From its middle to the border, µm; negative inside.
    distance_sd : float
        Of both, from the registration, µm.
    overlap : float
        Share of its voxels inside organelles, taking the registration at its word.
    expected_overlap : float
        The same averaged over where the organelles may be by the registration's error.
    chance : float
        Share of the whole field that organelles fill: what a cluster at random would overlap.
    """

    cluster: int
    organelle: int
    distance: float
    centre_distance: float
    distance_sd: float
    overlap: float
    expected_overlap: float
    chance: float


def proximity(
    labels: ArrayLike,
    organelles: ArrayLike,
    spacing: Spacing,
    registration_sd: float = 0.0,
) -> tuple[Proximity, ...]:
    """Measure distance to and overlap with organelles for each cluster.

    Parameters
    ----------
    labels : (nz, ny, nx) array_like of int
        Clusters, numbered from 1.
    organelles : (nz, ny, nx) or (ny, nx) array_like
        Organelles on the same grid, brought there through the registration: a mask, or numbers
        from 1. In 2D (widefield) clusters are compared as seen along z.
    spacing : float or (z, y, x)
        Voxel size, µm.
    registration_sd : float
        Predicted error of the registration at this place, per axis, µm.

    Returns
    -------
    tuple of Proximity
        By number of the cluster; distances are nan where there is no organelle.

    Raises
    ------
    ImageError
        Where the grids differ.
    """
    from scipy.ndimage import distance_transform_edt, find_objects, gaussian_filter

    names = np.asarray(labels)
    regions = np.asarray(organelles).astype(np.int32)
    step = per_axis(spacing, 3)
    if names.ndim != 3 or regions.shape not in (names.shape, names.shape[1:]):
        raise ImageError(
            f"The clusters have shape {names.shape}, the organelles {regions.shape}; bring both to "
            "one grid (z, y, x), or organelles to (y, x)."
        )
    flat = regions.ndim == 2
    step = step[1:] if flat else step
    inside = regions > 0
    chance = float(inside.mean())
    expected = inside.astype(np.float32)
    if registration_sd > 0:
        expected = gaussian_filter(expected, registration_sd / step, mode="nearest")
    outer, nearest = distance_transform_edt(~inside, sampling=step, return_indices=True)
    inner = distance_transform_edt(inside, sampling=step)
    found = []
    for index, box in enumerate(find_objects(names.astype(np.int32))):
        if box is None:
            continue
        mine = names[box] == index + 1
        if flat:
            mine, box = mine.any(axis=0), box[1:]
        places = np.argwhere(mine) + [s.start for s in box]
        at = tuple(places.T)
        first = places[int(outer[at].argmin())]
        middle = tuple(np.round(places.mean(axis=0)).astype(int))
        signed = float(outer[middle] if outer[middle] > 0 else -inner[middle])
        known = bool(inside.any())
        found.append(
            Proximity(
                cluster=index + 1,
                organelle=int(regions[tuple(nearest[(slice(None), *first)])]) if known else 0,
                distance=float(outer[at].min()) if known else float("nan"),
                centre_distance=signed if known else float("nan"),
                distance_sd=float(registration_sd),
                overlap=float(inside[at].mean()),
                expected_overlap=float(expected[at].mean()),
                chance=chance,
            )
        )
    return tuple(found)
