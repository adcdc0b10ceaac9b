"""Rays through a scene's height fields: where an image's pixels meet film, cells and ice."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from napari_clxem.samples.poses import Pose

Array = NDArray[np.float64]
Height = Callable[[Array, Array], Array]


def rays(pose: Pose) -> tuple[Array, Array]:
    """Points (3, ny, nx) of the grid frame where a 2D dataset's pixels lie, and their beam.

    The points are on the plane z = 0 of the dataset; the beam (3,) is the step in the grid
    frame that raises the dataset's z by 1 µm.
    """
    inverse = np.linalg.inv(pose.matrix)
    y = np.arange(pose.shape[0]) * pose.spacing[0]
    x = np.arange(pose.shape[1]) * pose.spacing[1]
    points = (
        inverse[:3, 3, None, None]
        + inverse[:3, 1, None, None] * y[:, None]
        + inverse[:3, 2, None, None] * x
    )
    return np.asarray(points), pose.beam


def meet(points: Array, beam: Array, height: Height, rounds: int = 3) -> Array:
    """Follow steep rays to a height field.

    Parameters
    ----------
    points : (3, ...) array
        A point of each ray, grid (z, y, x) µm.
    beam : (3,) array
        Direction of the rays.
    height : callable
        Height of the surface at (y, x), µm.
    rounds : int
        Fixed-point rounds: each is better by the product of the ray's and the surface's slope.

    Returns
    -------
    array (...)
        How far along `beam` each ray meets the surface.
    """
    reach = np.zeros(points.shape[1:])
    for _ in range(rounds):
        y = points[1] + reach * beam[1]
        x = points[2] + reach * beam[2]
        reach = (height(y, x) - points[0]) / beam[0]
    return reach
