"""What a landmark more would help, and a map of the predicted error."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from napari_clxem.errors import PointsError
from napari_clxem.frames.affine import Affine, Floats, as_points
from napari_clxem.frames.fitted import Fit
from napari_clxem.frames.landmarks import Sigma, covariances
from napari_clxem.frames.route import Route
from napari_clxem.frames.uncertainty import UncertainAffine
from napari_clxem.frames.warp import Warp

_AT_ONCE = 8192


@dataclass(frozen=True, eq=False)
class Gain:
    """What a landmark at each candidate would do to the predicted error at the targets.

    Attributes
    ----------
    before : float
        Predicted error now: root mean square distance over the targets, µm.
    after : (m,) array
        The same with a landmark at each candidate, µm.
    """

    before: float
    after: Floats

    @property
    def gain(self) -> Floats:
        """How much smaller the predicted error becomes, (m,) µm."""
        return self.before - self.after

    @property
    def best(self) -> int:
        """Row of the candidate that helps most."""
        return int(self.after.argmin())


def next_landmark(
    found: Fit,
    candidates: ArrayLike,
    targets: ArrayLike,
    moving_sigma: Sigma = None,
    fixed_sigma: Sigma = None,
) -> Gain:
    """Predict what a landmark at each candidate would help at the targets.

    The map's error at the targets is conditioned on one measurement more (a Kalman update); what
    it will measure does not matter, only where and how well. No refit is needed.

    Parameters
    ----------
    found : Fit
        The fit so far; one without a degree of freedom cannot tell.
    candidates, targets : (m, d), (n, d) array_like
        Places in the moving frame, µm.
    moving_sigma, fixed_sigma : float, (m, d) or (m, d, d) array_like, optional
        Localisation errors to be expected at the candidates, µm; left out, they will be as those
        of the present landmarks.

    Returns
    -------
    Gain

    Raises
    ------
    PointsError
        Where points or sigmas are not usable, or the fit has no predicted error.
    """
    places = as_points(candidates, len(found.centre), "Candidates")
    goals = as_points(targets, len(found.centre), "Targets")
    if not len(places) or not len(goals):
        raise PointsError("There is no candidate or no target; give at least one of each.")
    now = found.predict_error(goals)
    if not np.isfinite(now).all():
        raise PointsError(
            "The fit has no predicted error yet: give localisation errors or one landmark more."
        )
    noise = _noise(found, places, moving_sigma, fixed_sigma)
    across = found.predict_covariance(goals, places)
    own = found.predict_error(places) + noise
    learnt = np.einsum("nmij,mjk,nmik->m", across, np.linalg.inv(own), across, optimize=True)
    before = float(np.einsum("nii->", now))
    after = np.sqrt(np.maximum(before - learnt, 0.0) / len(goals))
    return Gain(float(np.sqrt(before / len(goals))), after)


def _noise(found: Fit, places: Floats, moving_sigma: Sigma, fixed_sigma: Sigma) -> Floats:
    """Give the covariance of a measurement at each candidate, (m, d, d) µm²."""
    linear, rows = Affine(found.matrix).linear, found.fixed.shape[1]
    if moving_sigma is not None or fixed_sigma is not None:
        there = covariances(fixed_sigma, (len(places), rows), "fixed_sigma")
        here = covariances(moving_sigma, places.shape, "moving_sigma")
        return np.asarray(there + linear @ here @ linear.T)
    used = found.landmarks.only(found.inliers)
    if found.absolute:
        typical = used.residual_covariance(linear).mean(axis=0)
    elif isinstance(found, Warp) and found.spline is not None:
        typical = found.spline.noise.mean(axis=0)
    else:
        squares = float((found.residuals[found.inliers] ** 2).sum())
        typical = squares / max(found.dof or 0, 1) * np.eye(rows)
    return np.broadcast_to(typical, (len(places), rows, rows))


def error_map(
    source: UncertainAffine | Route,
    origin: Sequence[float],
    shape: tuple[int, int],
    pixel: float | Sequence[float],
    height: float = 0.0,
) -> Floats:
    """Map the predicted error in the plane over an image of the moving frame.

    Parameters
    ----------
    source : UncertainAffine or Route
        A fit, any other map with an error, or a route through frames.
    origin : (y, x)
        Centre of pixel (0, 0), µm.
    shape : (int, int)
        Rows and columns.
    pixel : float or (y, x)
        Size of a pixel, µm.
    height : float
        z of the image in a 3D moving frame, µm.

    Returns
    -------
    (rows, columns) array
        Root mean square error in (y, x) of the mapped position, µm; NaN without one.

    Raises
    ------
    PointsError
        Where the grid is empty or its numbers are not finite.
    """
    try:
        step = np.broadcast_to(np.asarray(pixel, float), 2)
        corner = np.asarray(origin, float)
    except (TypeError, ValueError) as error:
        raise PointsError("The grid of an error map is not numbers; give (y, x) in µm.") from error
    if corner.shape != (2,) or not np.isfinite([*corner, *step, height]).all():
        raise PointsError("The grid of an error map needs a finite origin (y, x) and pixel, µm.")
    if len(shape) != 2 or min(shape) < 1:
        raise PointsError(f"An error map of shape {shape} is empty; give rows and columns.")
    ys, xs = (corner[axis] + step[axis] * np.arange(shape[axis]) for axis in (0, 1))
    ndim = source.start.ndim if isinstance(source, Route) else len(source.centre)
    squares = _everywhere if source.bends else _quadratic
    return np.sqrt(np.maximum(squares(source, ys, xs, ndim, height), 0.0))


def _quadratic(
    source: UncertainAffine | Route, ys: Floats, xs: Floats, ndim: int, height: float
) -> Floats:
    """Squared errors of an affine map: a polynomial of 2nd degree, known from nine places."""
    reach = [max(float(np.ptp(values)), 1e-9) / 2 for values in (ys, xs)]
    middle = [float(values[0] + values[-1]) / 2 for values in (ys, xs)]
    down, right = (values.ravel() for values in np.meshgrid([-1.0, 0, 1], [-1.0, 0, 1]))
    seen = _squares(source, middle[0] + reach[0] * down, middle[1] + reach[1] * right, ndim, height)
    terms = [np.ones(9), down, right, down**2, down * right, right**2]
    flat, y1, x1, y2, yx, x2 = np.linalg.lstsq(np.column_stack(terms), seen, rcond=None)[0]
    y, x = (ys - middle[0]) / reach[0], (xs - middle[1]) / reach[1]
    found = np.multiply.outer(yx * y, x)
    found += (flat + y1 * y + y2 * y**2)[:, np.newaxis]
    found += x1 * x + x2 * x**2
    return np.asarray(found)


def _everywhere(
    source: UncertainAffine | Route, ys: Floats, xs: Floats, ndim: int, height: float
) -> Floats:
    y, x = (values.ravel() for values in np.meshgrid(ys, xs, indexing="ij"))
    parts = [
        _squares(source, y[first : first + _AT_ONCE], x[first : first + _AT_ONCE], ndim, height)
        for first in range(0, len(y), _AT_ONCE)
    ]
    return np.concatenate(parts).reshape(len(ys), len(xs))


def _squares(
    source: UncertainAffine | Route, y: Floats, x: Floats, ndim: int, height: float
) -> Floats:
    points = np.column_stack([np.full(len(y), height), y, x])[:, 3 - ndim :]
    return np.asarray(np.einsum("nii->n", source.predict_error(points)[:, -2:, -2:]))
