"""Where an image is drawn: what napari places by itself, and what has to be resampled.

Matrices are homogeneous and act on column vectors (z, y, x, 1) or (y, x, 1), in µm.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import ArrayLike

from napari_clxem.errors import ClxemError
from napari_clxem.frames.affine import Floats

# A coupling between z and the plane that moves nothing by more than this part of a pixel over
# the whole image is drawn as if it were not there.
NEGLIGIBLE_PIXELS = 0.05
# Below this determinant the in-plane part of a map says nothing about the plane (a volume seen
# from its side), and the image is resampled on axes of the display instead of its own.
SIDEWAYS = 0.1
# Determinant, relative to the largest entry, below which nothing of the image is left to see.
FLATTENED = 1e-6


class PlacementError(ClxemError):
    """A transform cannot be drawn in the common frame."""


def drawable(matrix: ArrayLike, ndim: int) -> Floats:
    """Bring a transform between frames to the square matrix an image of `ndim` axes is drawn with.

    Parameters
    ----------
    matrix : array_like, (3, 3) or (4, 4)
        Image µm to reference µm.
    ndim : {2, 3}
        Spatial axes of the image.

    Returns
    -------
    ndarray, (ndim + 1, ndim + 1)
        A volume in a plane keeps its own z; an image in space is drawn by the in-plane part, as
        a plane that shows at every z.

    Raises
    ------
    PlacementError
        Where the matrix has another shape, is not finite, or flattens the image to a line.
    """
    given = np.asarray(matrix, dtype=float)
    if given.shape not in {(3, 3), (4, 4)} or not np.isfinite(given).all():
        raise PlacementError(
            f"A transform of shape {given.shape} cannot be drawn; a finite 3 x 3 or 4 x 4 can."
        )
    if ndim == 2:
        drawn = given[-3:, -3:].copy()
    else:
        drawn = np.eye(4)
        drawn[-len(given) :, -len(given) :] = given
    size = np.abs(drawn[:-1, :-1]).max()
    if size == 0 or abs(np.linalg.det(drawn[:-1, :-1] / size)) < FLATTENED:
        raise PlacementError(
            "The transform flattens the image, so it cannot be drawn in this frame; "
            "choose another reference frame."
        )
    return drawn


def local(matrix: Floats, origin: ArrayLike) -> Floats:
    """Express a map to reference µm in display µm, whose zero lies at `origin`.

    Parameters
    ----------
    matrix : ndarray, (d + 1, d + 1)
        Image µm to reference µm.
    origin : array_like, (3,)
        Reference (z, y, x) of the display's zero, µm.
    """
    moved = matrix.copy()
    moved[:-1, -1] -= np.asarray(origin, dtype=float)[-(len(matrix) - 1) :]
    return moved


def corners(shape: ArrayLike, scale: ArrayLike) -> Floats:
    """Give the centres of the corner pixels, (2 ** d, d) µm."""
    extent = (np.asarray(shape) - 1) * np.asarray(scale, dtype=float)
    return np.array(list(product(*((0.0, side) for side in extent))))


def apply(matrix: Floats, points: Floats) -> Floats:
    """Map (n, d) points through a homogeneous matrix."""
    mapped: Floats = points @ matrix[:-1, :-1].T + matrix[:-1, -1]
    return mapped


@dataclass(frozen=True)
class Placement:
    """How one image is drawn.

    Parameters
    ----------
    full : ndarray, (d + 1, d + 1)
        Image µm to display µm; what a 3D view uses.
    flat : ndarray, (d + 1, d + 1)
        The part that keeps z-slices parallel; what a 2D view gives to napari.
    tilted : bool
        True where `full` and `flat` differ, so that slices must be resampled.
    """

    full: Floats
    flat: Floats
    tilted: bool

    @property
    def residual(self) -> Floats:
        """Image µm to the µm of the resampled grid: what `flat` leaves out."""
        rest: Floats = np.linalg.solve(self.flat, self.full)
        return rest


def place(matrix: Floats, shape: ArrayLike, scale: ArrayLike) -> Placement:
    """Split a map into the part napari slices rightly and the part that must be resampled.

    napari 0.9 draws a slice of a volume rightly only where display z depends on image z alone
    and display (y, x) do not depend on image z.

    A volume of a single slice is a plane: it is drawn by napari whatever its tilt.

    Parameters
    ----------
    matrix : ndarray, (d + 1, d + 1)
        Image µm to display µm.
    shape : array_like, (d,)
        Pixels along the image's spatial axes.
    scale : array_like, (d,)
        Pixel size, µm.
    """
    if len(matrix) == 3 or np.asarray(shape)[0] == 1:
        return Placement(full=matrix, flat=matrix, tilted=False)
    flat = _parallel_part(matrix, shape, scale)
    if flat is None:
        return Placement(full=matrix, flat=np.eye(4), tilted=True)
    points = corners(shape, scale)
    off = np.abs(apply(matrix, points) - apply(flat, points)).max(axis=0)
    pixel = np.abs(np.diag(np.asarray(scale, dtype=float)))
    drawn = np.abs(flat[:-1, :-1] @ pixel).max(axis=1)
    tilted = bool((off > NEGLIGIBLE_PIXELS * drawn).any())
    return Placement(full=matrix, flat=flat, tilted=tilted)


def _parallel_part(matrix: Floats, shape: ArrayLike, scale: ArrayLike) -> Floats | None:
    """Drop what couples z with the plane, keeping the centre of the image where it is."""
    flat = matrix.copy()
    flat[0, 1:3] = 0.0
    flat[1:3, 0] = 0.0
    size = np.abs(matrix[:3, :3]).max()
    if abs(flat[0, 0]) < SIDEWAYS * size:
        return None
    if abs(np.linalg.det(flat[1:3, 1:3])) < (SIDEWAYS * size) ** 2:
        return None
    centre = corners(shape, scale).mean(axis=0)[np.newaxis]
    flat[:3, 3] += (apply(matrix, centre) - apply(flat, centre))[0]
    return flat
