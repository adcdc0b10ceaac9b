"""An affine map known with an error, and what that error does to a mapped point.

The covariance is over the entries of [A | t], row by row, with t the image of `centre`: about
the landmarks' own centre, A and t are nearly independent and nothing is lost in round-off.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike

from napari_clxem.errors import PointsError
from napari_clxem.frames.affine import Affine, Floats, as_points


@dataclass(frozen=True, eq=False)
class UncertainAffine:
    """An affine map (or 3D to 2D projection) with the covariance of its entries.

    Parameters
    ----------
    matrix : (d + 1, d + 1) or (2, 4) array_like
        Homogeneous matrix, moving to fixed, µm.
    centre : (d_in,) array_like
        Moving point about which t is taken.
    covariance : (k, k) array_like
        Covariance of the k = d_out (d_in + 1) entries of [A | t], row by row.
    dof : int or None
        None for an absolute covariance (known localisation errors); else the degrees of freedom
        of the residuals it was scaled by. With 0 the covariance is unknown (NaN).
    """

    matrix: Floats
    centre: Floats
    covariance: Floats
    dof: int | None = None

    def __post_init__(self) -> None:
        affine = Affine(self.matrix)
        matrix = affine.matrix
        centre = np.array(self.centre, dtype=float)
        covariance = np.array(self.covariance, dtype=float)
        rows, columns = affine.linear.shape
        size = rows * (columns + 1)
        if centre.shape != (columns,) or covariance.shape != (size, size):
            raise PointsError(
                f"A map of {columns} to {rows} axes needs a centre of {columns} numbers and a "
                f"covariance of {size} x {size}; got {centre.shape} and {covariance.shape}."
            )
        for name, value in (("matrix", matrix), ("centre", centre), ("covariance", covariance)):
            value.setflags(write=False)
            object.__setattr__(self, name, value)

    @classmethod
    def exact(cls, matrix: ArrayLike) -> UncertainAffine:
        """Declare a map known without error."""
        linear = Affine(np.asarray(matrix, float)).linear
        size = linear.shape[0] * (linear.shape[1] + 1)
        return cls(np.asarray(matrix, float), np.zeros(linear.shape[1]), np.zeros((size, size)))

    @classmethod
    def declared(
        cls,
        matrix: ArrayLike,
        centre: ArrayLike,
        shift_sd: float,
        angle_sd: float = 0.0,
        scale_sd: float = 0.0,
        tilt_sd: float = 0.0,
    ) -> UncertainAffine:
        """Declare a map from instrument readings with their standard deviations.

        Parameters
        ----------
        matrix : (3, 3), (4, 4) or (2, 4) array_like
            Homogeneous matrix, µm.
        centre : (d_in,) array_like
            Moving point where `shift_sd` holds, µm.
        shift_sd : float
            Of the position, per axis, µm.
        angle_sd : float
            Of the rotation in the plane, degrees.
        scale_sd : float
            Of the scale, relative.
        tilt_sd : float
            Of the tilt about either in-plane axis, degrees; only where z takes part.
        """
        linear = Affine(np.asarray(matrix, float)).linear
        rows, columns = linear.shape
        turn = np.zeros((columns, columns))
        turn[-2, -1], turn[-1, -2] = -1.0, 1.0
        changes = [
            (np.deg2rad(angle_sd), linear @ turn),
            (scale_sd, linear),
        ]
        if columns == 3:
            for axis in (1, 2):
                lean = np.zeros((3, 3))
                lean[axis, 0], lean[0, axis] = 1.0, -1.0
                changes.append((np.deg2rad(tilt_sd), linear @ lean))
        covariance = np.zeros((rows, columns + 1, rows, columns + 1))
        for sd, change in changes:
            covariance[:, :-1, :, :-1] += sd**2 * np.multiply.outer(change, change)
        for row in range(rows):
            covariance[row, -1, row, -1] += shift_sd**2
        size = rows * (columns + 1)
        return cls(
            np.asarray(matrix, float), np.asarray(centre, float), covariance.reshape(size, size)
        )

    @property
    def absolute(self) -> bool:
        """True where the covariance is known, not scaled by the residuals."""
        return self.dof is None

    @property
    def bends(self) -> bool:
        """True where straight lines do not stay straight."""
        return False

    @property
    def region_dof(self) -> int | None:
        """Degrees of freedom behind the covariance; None where it is absolute."""
        return None if self.absolute else self.dof

    @cached_property
    def _affine(self) -> Affine:
        return Affine(self.matrix)

    @property
    def affine(self) -> Floats:
        """Homogeneous matrix, moving to fixed: (d + 1, d + 1), or (2, 4) for a projection."""
        return self.matrix

    def transform(self, points: ArrayLike) -> Floats:
        """Map moving points (n, d_in) to the fixed frame (n, d_out), µm."""
        return self._affine.transform(points)

    def inverse(self, points: ArrayLike) -> Floats:
        """Map fixed points back to the moving frame; raises for a projection."""
        return self._affine.inverse(points)

    def predict_error(self, points: ArrayLike, covariance: ArrayLike | None = None) -> Floats:
        """Predict the covariance of mapped points: the target registration error.

        Parameters
        ----------
        points : (n, d_in) array_like
            Moving points, µm.
        covariance : (n, d_in, d_in) array_like, optional
            Of the points themselves, µm²; left out, they are exact. What is uncertain in a point
            also meets what is uncertain in A, which matters where one of them is large (the
            height of a plane).

        Returns
        -------
        (n, d_out, d_out) array
            µm². NaN where the landmarks left no degree of freedom to tell.
        """
        array = as_points(points, len(self.centre))
        rows = self._affine.linear.shape[0]
        arms = np.column_stack([array - self.centre, np.ones(len(array))])
        blocks = self.covariance.reshape(rows, arms.shape[1], rows, arms.shape[1])
        found = np.einsum("ni,aibj,nj->nab", arms, blocks, arms)
        if covariance is not None:
            linear, given = self._affine.linear, np.asarray(covariance, float)
            found = found + linear @ given @ linear.T
            found = found + np.einsum("nij,aibj->nab", given, blocks[:, :-1, :, :-1])
        return np.asarray(found)

    def predict_covariance(self, points: ArrayLike, others: ArrayLike) -> Floats:
        """Predict the covariance between the errors at points and at others.

        Parameters
        ----------
        points, others : (n, d_in), (m, d_in) array_like
            Moving points, µm.

        Returns
        -------
        (n, m, d_out, d_out) array
            µm².
        """
        arms = [
            np.column_stack([array - self.centre, np.ones(len(array))])
            for array in (as_points(points, len(self.centre)), as_points(others, len(self.centre)))
        ]
        rows, columns = self._affine.linear.shape
        blocks = self.covariance.reshape(rows, columns + 1, rows, columns + 1)
        return np.asarray(np.einsum("ni,aibj,mj->nmab", arms[0], blocks, arms[1], optimize=True))

    def region(self, points: ArrayLike, probability: float = 0.95) -> Floats:
        """Give the squared Mahalanobis distance that holds a mapped point with `probability`.

        chi-squared with d degrees of freedom where the localisation errors were given, else
        ``d F(d, dof)`` (Hotelling); NaN without a degree of freedom.

        Parameters
        ----------
        points : (n, d_in) array_like
            Moving points, µm.
        probability : float
            Between 0 and 1.

        Returns
        -------
        (n,) array
        """
        count = len(as_points(points, len(self.centre)))
        rows = self._affine.linear.shape[0]
        return np.full(count, region_threshold(rows, self.region_dof, probability))

    def inverted(self) -> UncertainAffine:
        """Give the inverse map with its first-order covariance; raises for a projection."""
        back = self._affine.inverted()
        linear = back.linear
        size = len(linear)
        jacobian = np.zeros((size, size + 1, size, size + 1))
        # d(A^-1) = -A^-1 dA A^-1, and the centre moves by -A^-1 dt
        jacobian[:, :-1, :, :-1] = -np.einsum("ai,jb->abij", linear, linear)
        jacobian[:, -1, :, -1] = -linear
        flat = jacobian.reshape(size * (size + 1), size * (size + 1))
        return UncertainAffine(
            back.matrix,
            self._affine.transform(self.centre)[0],
            flat @ self.covariance @ flat.T,
            self.region_dof,
        )


def region_threshold(ndim: int, dof: int | None, probability: float) -> float:
    """Give the squared Mahalanobis radius of a region; see :meth:`UncertainAffine.region`."""
    from scipy.special import fdtri, gammaincinv

    if not 0.0 < probability < 1.0:
        raise PointsError(f"A probability of {probability} makes no region; give one in (0, 1).")
    if dof is None:
        return 2.0 * float(gammaincinv(ndim / 2, probability))
    return ndim * float(fdtri(ndim, dof, probability)) if dof > 0 else float("nan")


def solve_each(matrices: Floats, vectors: Floats) -> Floats:
    """Solve one small system per row: (n, d, d) and (n, d) to (n, d)."""
    return np.asarray(np.linalg.solve(matrices, vectors[:, :, np.newaxis])[:, :, 0])
