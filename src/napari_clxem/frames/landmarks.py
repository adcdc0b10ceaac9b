"""Checked landmarks with the covariances of both sides."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from napari_clxem.errors import PointsError
from napari_clxem.frames.affine import Affine, Floats, as_points

Sigma = ArrayLike | None


@dataclass(frozen=True, eq=False)
class Landmarks:
    """Checked landmarks; covariances are both None or both (n, d, d)."""

    moving: Floats
    fixed: Floats
    moving_covariance: Floats | None
    fixed_covariance: Floats | None

    def only(self, rows: np.ndarray) -> Landmarks:
        """Give some of the landmarks."""
        covariances = (self.moving_covariance, self.fixed_covariance)
        return Landmarks(
            self.moving[rows],
            self.fixed[rows],
            *(None if c is None else c[rows] for c in covariances),
        )

    def residual_covariance(self, linear: Floats) -> Floats:
        """Covariance of the residuals under A, (n, d, d) µm²; the identity without sigmas."""
        if self.moving_covariance is None or self.fixed_covariance is None:
            return np.broadcast_to(
                np.eye(len(linear)), (len(self.moving), len(linear), len(linear))
            )
        return self.fixed_covariance + linear @ self.moving_covariance @ linear.T

    def squares(self, matrix: Floats) -> Floats:
        """Squared residuals under a map, in units of their covariance (or of µm²), (n,)."""
        found = Affine(matrix)
        residuals = self.fixed - found.transform(self.moving)
        precision = np.linalg.inv(self.residual_covariance(found.linear))
        return np.asarray(np.einsum("ni,nij,nj->n", residuals, precision, residuals))


def checked(
    moving: ArrayLike, fixed: ArrayLike, moving_sigma: Sigma, fixed_sigma: Sigma
) -> Landmarks:
    """Check landmarks and their errors; see :func:`napari_clxem.frames.fit` for what is raised."""
    points = as_points(moving, name="Moving landmarks"), as_points(fixed, name="Fixed landmarks")
    if len(points[0]) != len(points[1]):
        raise PointsError(
            f"There are {len(points[0])} moving and {len(points[1])} fixed landmarks; give pairs."
        )
    if moving_sigma is None and fixed_sigma is None:
        return Landmarks(*points, None, None)
    given = (
        covariances(moving_sigma, points[0].shape, "moving_sigma"),
        covariances(fixed_sigma, points[1].shape, "fixed_sigma"),
    )
    exact = np.einsum("nii->n", given[0]) + np.einsum("nii->n", given[1]) == 0
    if exact.any():
        row = int(np.flatnonzero(exact)[0])
        raise PointsError(
            f"Landmark {row} has a localisation error of 0 on both sides; give one above 0, or "
            "neither sigma."
        )
    return Landmarks(*points, *given)


def covariances(sigma: Sigma, shape: tuple[int, ...], name: str) -> Floats:
    """Bring a sigma to covariances (n, d, d)."""
    count, ndim = shape
    if sigma is None:
        return np.zeros((count, ndim, ndim))
    try:
        array = np.asarray(sigma, dtype=float)
    except (TypeError, ValueError) as error:
        raise PointsError(f"{name} is not numbers; give µm as a scalar or an array.") from error
    if array.shape not in ((), (count, ndim), (count, ndim, ndim)):
        raise PointsError(
            f"{name} has shape {array.shape}; give a scalar, ({count}, {ndim}) standard "
            f"deviations or ({count}, {ndim}, {ndim}) covariances."
        )
    if not np.isfinite(array).all():
        raise PointsError(f"{name} holds NaN or infinity; give finite errors in µm.")
    if array.ndim < 3:
        if (array < 0).any():
            raise PointsError(f"{name} is negative; a standard deviation is 0 or more.")
        found = np.zeros((count, ndim, ndim))
        found.reshape(count, ndim * ndim)[:, :: ndim + 1] = array**2
        return found
    symmetric = np.allclose(array, np.swapaxes(array, 1, 2), rtol=1e-6, atol=0)
    if not symmetric or (np.linalg.eigvalsh(array) < -1e-9 * np.abs(array).max()).any():
        raise PointsError(f"{name} holds a matrix that is no covariance; check its symmetry.")
    return array
