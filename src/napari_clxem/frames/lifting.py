"""Maps of the plane completed to space: by their viewing direction, with the plane's height."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from napari_clxem.errors import PointsError
from napari_clxem.frames.affine import Affine, Floats, as_points
from napari_clxem.frames.route import Node
from napari_clxem.frames.uncertainty import UncertainAffine

_PLANAR = np.array([1, 2, 3, 5, 6, 7])  # entries of [L | t] without its z column


@dataclass(frozen=True, eq=False)
class Lifted(UncertainAffine):
    """A warp of the plane in space: it bends (y, x); z goes along as under an affine map."""

    planar: UncertainAffine | None = None

    @property
    def bends(self) -> bool:
        """True: straight lines do not stay straight."""
        return True

    @property
    def _bent(self) -> UncertainAffine:
        if self.planar is None:
            raise PointsError("This lifted map has no warp; join the warp by FrameGraph.add_link.")
        return self.planar

    @property
    def affine(self) -> None:  # type: ignore[override]
        """None: a spline is no affine map."""
        return

    def transform(self, points: ArrayLike) -> Floats:
        """Map points (n, 3), µm."""
        array = as_points(points, 3)
        found = np.array(self._affine.transform(array))
        found[:, 1:] = self._bent.transform(array[:, 1:])
        return found

    def inverse(self, points: ArrayLike) -> Floats:
        """Map points (n, 3) back, µm."""
        return self.inverted().transform(points)

    def predict_error(self, points: ArrayLike, covariance: ArrayLike | None = None) -> Floats:
        """Predict the covariance of mapped points, (n, 3, 3) µm²."""
        array = as_points(points, 3)
        found = np.array(super().predict_error(array, covariance))
        own = None
        if covariance is not None:
            given = np.asarray(covariance, float)
            carried = self._affine.linear @ given @ self._affine.linear.T
            found[:, 1:, 1:] -= carried[:, 1:, 1:]
            own = given[:, 1:, 1:]
        found[:, 1:, 1:] += self._bent.predict_error(array[:, 1:], own)
        return found

    def inverted(self) -> Lifted:
        """Give the way back."""
        back = super().inverted()
        planar = self._bent.inverted()
        return Lifted(back.matrix, back.centre, back.covariance, back.dof, planar=planar)


def completed(
    transform: UncertainAffine, start: Node, end: Node, tilt_sd: float
) -> UncertainAffine:
    """Complete a map to 3D: by its viewing direction, with the centre at the plane's height."""
    linear = Affine(transform.matrix).linear
    columns = linear.shape[1]
    if len(linear) == 3:
        return transform
    covariance = transform.covariance
    if transform.bends:  # the warp knows its own error
        covariance = np.zeros(covariance.shape)
    if columns == 2:  # seen along z
        lean = np.tan(np.deg2rad(tilt_sd)) * np.sqrt(abs(np.linalg.det(linear)))
        linear = np.column_stack([np.zeros(2), linear])
        covariance = _with_z_column(covariance, lean)
    centre = np.concatenate([[start.z[0]], transform.centre])[-3:]
    full, jacobian = _upright(linear, transform, end)
    matrix = Affine.from_parts(full[:, :3], full[:, 3] - full[:, :3] @ centre).matrix
    covariance, dof = jacobian @ covariance @ jacobian.T, transform.region_dof
    if transform.bends:
        return Lifted(matrix, centre, covariance, dof, planar=transform)
    return UncertainAffine(matrix, centre, covariance, dof)


def completion(transform: UncertainAffine, end: Node) -> Floats:
    """Give the derivatives of the completed map's 12 entries of [A | t] by the map's own."""
    linear = Affine(transform.matrix).linear
    if len(linear) == 3:
        return np.eye(12)
    if linear.shape[1] == 3:
        return _upright(linear, transform, end)[1]
    seen = np.column_stack([np.zeros(2), linear])
    return _upright(seen, transform, end)[1][:, _PLANAR]


def _upright(linear: Floats, transform: UncertainAffine, end: Node) -> tuple[Floats, Floats]:
    """Complete (2, 3) L to the rows (3, 4) of [A | t]; also their derivatives by those of [L | t].

    The first row looks along the viewing direction, and leads to the plane's height.
    """

    def rows(entries: Floats) -> Floats:
        cross = np.cross(entries[..., 0, :3], entries[..., 1, :3])
        first = np.full((*cross.shape[:-1], 1, 4), end.z[0])
        first[..., 0, :3] = cross / np.sqrt(np.linalg.norm(cross, axis=-1, keepdims=True))
        return np.concatenate([first, entries], axis=-2)

    entries = np.column_stack([linear, Affine(transform.matrix).transform(transform.centre)[0]])
    return rows(entries), _jacobian(rows, entries)


def _with_z_column(covariance: Floats, lean: float) -> Floats:
    """Insert a z column of sd `lean` into the covariance of a planar map: (6, 6) to (8, 8)."""
    found = np.diag([lean**2, 0.0, 0.0, 0.0] * 2)
    found[np.ix_(_PLANAR, _PLANAR)] = covariance
    return found


def _jacobian(function: Callable[[Floats], Floats], entries: Floats) -> Floats:
    """Differentiate a smooth function of stacks of matrices by central differences."""
    step = 1e-6 * np.abs(entries[:, :3]).max()
    changes = step * np.eye(entries.size).reshape(-1, *entries.shape)
    difference = function(entries + changes) - function(entries - changes)
    return np.asarray(difference.reshape(entries.size, -1).T / (2 * step))
