"""Affine maps between frames, and the checks every set of points passes first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_clxem.errors import DegenerateError, PointsError

Floats = NDArray[np.floating[Any]]


def as_points(points: ArrayLike, ndim: int | None = None, name: str = "points") -> Floats:
    """Check points and return them as an (n, d) float array.

    Parameters
    ----------
    points : (n, d) array_like
        µm, axes (z, y, x) or (y, x); one point may be given as (d,).
    ndim : int or None
        Required d; None takes 2 or 3.
    name : str
        What to call the points in a message.

    Raises
    ------
    PointsError
        Where the array has another shape, or holds NaN or infinity.
    """
    try:
        array = np.asarray(points, dtype=float)
    except (TypeError, ValueError) as error:
        raise PointsError(
            f"{name} are not numbers of one shape; give an (n, 2) or (n, 3) array in µm."
        ) from error
    if array.ndim == 1 and array.size in ((ndim,) if ndim else (2, 3)):
        array = array[np.newaxis]
    if array.ndim != 2 or array.shape[1] not in (2, 3):
        raise PointsError(f"{name} have shape {array.shape}; give an (n, 2) or (n, 3) array in µm.")
    if ndim is not None and array.shape[1] != ndim:
        raise PointsError(
            f"{name} have {array.shape[1]} columns where {ndim} are needed; "
            f"give {'(z, y, x)' if ndim == 3 else '(y, x)'} in µm."
        )
    bad = ~np.isfinite(array).all(axis=1)
    if bad.any():
        raise PointsError(
            f"{name} hold NaN or infinity in row {int(np.flatnonzero(bad)[0])}; "
            "remove or mend that row."
        )
    return array


@dataclass(frozen=True, eq=False)
class Affine:
    """An affine map as its homogeneous matrix.

    Parameters
    ----------
    matrix : (d + 1, d + 1) array_like
        Homogeneous matrix for points in µm, axes (z, y, x) or (y, x). A 2 x 4 matrix is a
        projection from (z, y, x) to (y, x).

    Raises
    ------
    PointsError
        Where the matrix has another shape, is not finite, or its last row is not (0, ..., 0, 1).
    """

    matrix: Floats

    def __post_init__(self) -> None:
        matrix = np.array(self.matrix, dtype=float)
        if matrix.shape not in ((3, 3), (4, 4), (2, 4)):
            raise PointsError(
                f"A matrix of shape {matrix.shape} is no affine map; give 3 x 3, 4 x 4, or 2 x 4 "
                "for a projection."
            )
        if not np.isfinite(matrix).all():
            raise PointsError("The matrix of an affine map holds NaN or infinity; mend it.")
        if matrix.shape != (2, 4):
            expected = np.eye(len(matrix))[-1]
            if np.abs(matrix[-1] - expected).max() > 1e-9:
                raise PointsError(
                    f"The last row of an affine matrix is {tuple(matrix[-1])}; it must be "
                    f"{tuple(expected)}."
                )
        matrix.setflags(write=False)
        object.__setattr__(self, "matrix", matrix)

    @classmethod
    def from_parts(cls, linear: ArrayLike, translation: ArrayLike) -> Affine:
        """Compose an affine map from its linear part and its translation in µm."""
        rows = np.column_stack([np.asarray(linear, float), np.asarray(translation, float)])
        if rows.shape[0] + 1 == rows.shape[1]:
            rows = np.vstack([rows, np.eye(rows.shape[1])[-1]])
        return cls(rows)

    @classmethod
    def identity(cls, ndim: int) -> Affine:
        """Give the map that leaves points of `ndim` axes where they are."""
        return cls(np.eye(ndim + 1))

    @classmethod
    def planar(cls, angle: float, scale: float = 1.0, shift: ArrayLike = (0.0, 0.0)) -> Affine:
        """Turn (y, x) points by `angle` degrees from +y towards +x, scale, then shift (y, x)."""
        c, s = np.cos(np.deg2rad(angle)), np.sin(np.deg2rad(angle))
        return cls.from_parts(scale * np.array([[c, -s], [s, c]]), shift)

    @property
    def linear(self) -> Floats:
        """Matrix without the translation, (d_out, d_in)."""
        rows = 2 if self.is_projection else len(self.matrix) - 1
        return self.matrix[:rows, :-1]

    @property
    def translation(self) -> Floats:
        """Where the origin goes, µm."""
        rows = 2 if self.is_projection else len(self.matrix) - 1
        return self.matrix[:rows, -1]

    @property
    def is_projection(self) -> bool:
        """True for a map from (z, y, x) to (y, x)."""
        return self.matrix.shape == (2, 4)

    def transform(self, points: ArrayLike) -> Floats:
        """Map points (n, d_in) µm to (n, d_out) µm."""
        array = as_points(points, self.linear.shape[1])
        return array @ self.linear.T + self.translation

    __call__ = transform

    def inverted(self) -> Affine:
        """Give the inverse map.

        Raises
        ------
        DegenerateError
            For a projection, which loses z, and for a singular matrix.
        """
        if self.is_projection:
            raise DegenerateError(
                "A projection loses z and has no inverse; go back through a FrameGraph, where the "
                "plane's z prior fills it in."
            )
        if np.linalg.cond(self.linear) > 1e12:
            raise DegenerateError("The affine map flattens space and has no inverse; refit it.")
        inverse = np.linalg.inv(self.matrix)
        inverse[-1] = np.eye(len(inverse))[-1]
        return Affine(inverse)

    def inverse(self, points: ArrayLike) -> Floats:
        """Map points (n, d) back; raises as :meth:`inverted`."""
        return self.inverted().transform(points)

    def __matmul__(self, other: Affine) -> Affine:
        """Compose: ``(a @ b).transform(p)`` is ``a.transform(b.transform(p))``."""
        if other.is_projection and self.matrix.shape == (3, 3):
            return Affine.from_parts(
                self.linear @ other.linear, self.linear @ other.translation + self.translation
            )
        if self.linear.shape[1] != other.linear.shape[0]:
            raise PointsError(
                f"Maps of {other.linear.shape[0]} and {self.linear.shape[1]} axes do not chain; "
                "bring both to the same number of axes."
            )
        return Affine(self.matrix @ other.matrix)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Floats:
        return np.array(self.matrix, dtype=dtype)
