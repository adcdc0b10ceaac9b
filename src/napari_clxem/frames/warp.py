"""Thin-plate-spline maps: refused where they fold, with a predicted error, undone numerically."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike

from napari_clxem.errors import DegenerateError, PointsError
from napari_clxem.frames.affine import Affine, Floats, as_points
from napari_clxem.frames.fitted import Fit
from napari_clxem.frames.landmarks import Landmarks
from napari_clxem.frames.models import choose
from napari_clxem.frames.solving import solutions
from napari_clxem.frames.spline import Spline, through
from napari_clxem.frames.uncertainty import UncertainAffine, region_threshold, solve_each

_ALONE = 0.97  # leverage from which a landmark alone decides some direction
_INLIER = 0.999
_STEPS = 60


@dataclass(frozen=True, eq=False)
class Warp(Fit):
    """A thin-plate spline: an affine map and a smooth warp upon it; made by ``fit(model="tps")``.

    With given localisation errors the spline smooths: its stiffness is the one the landmarks
    make likeliest (restricted maximum likelihood). Without, it goes through every landmark, and
    noise and stiffness count in the predicted error only. The error is that of predicting a
    random smooth warp; a truth smoother than that is known better than predicted.

    Attributes
    ----------
    spline : Spline
        The map.
    matrix : (d + 1, d + 1) array
        The affine map through the same landmarks, for a rough drawing; `affine` is None.
    """

    spline: Spline | None = None

    @property
    def affine(self) -> None:  # type: ignore[override]  # a spline is not one matrix
        """None: a spline is no affine map."""
        return

    @property
    def bends(self) -> bool:
        """True: straight lines do not stay straight."""
        return True

    @property
    def _laid(self) -> Spline:
        if self.spline is None:
            raise PointsError("This warp has no spline; make it with fit(model='tps').")
        return self.spline

    @cached_property
    def leave_one_out(self) -> Floats:
        """Miss of each landmark by the spline through the others at the same stiffness, (n,) µm.

        Landmarks that carry no part of the spline are missed by the whole of it.
        """
        found = np.linalg.norm(self.residuals, axis=1)
        found[self.inliers] = np.linalg.norm(self._laid.leave_one_out()[0], axis=1)
        return np.asarray(found)

    def transform(self, points: ArrayLike) -> Floats:
        """Map moving points (n, d) to the fixed frame, µm."""
        return self._laid.transform(as_points(points, len(self.centre)))

    def inverse(self, points: ArrayLike) -> Floats:
        """Map fixed points (n, d) back, µm, by Newton steps.

        Raises
        ------
        DegenerateError
            Where no moving point is found that maps there: far from the landmarks splines fold.
        """
        goal = as_points(points, len(self.centre))
        found = self._affine.inverted().transform(goal)
        miss = goal - self.transform(found)
        enough = 1e-11 * float(np.abs(self.fixed).max() + np.ptp(self.fixed))
        for _ in range(_STEPS):
            left = np.linalg.norm(miss, axis=1) > enough
            if not left.any():
                return found
            step = solve_each(self._laid.jacobian(found[left]), miss[left])
            found[left], miss[left] = self._closer(found[left], step, goal[left], miss[left])
        if (np.linalg.norm(miss, axis=1) > 1e3 * enough).any():
            row = int(np.linalg.norm(miss, axis=1).argmax())
            raise DegenerateError(
                f"No point maps to {tuple(goal[row].round(2).tolist())} µm under the thin-plate "
                "spline; stay near the landmarks or choose 'affine'."
            )
        return found

    def _closer(
        self, places: Floats, step: Floats, goal: Floats, miss: Floats
    ) -> tuple[Floats, Floats]:
        """Take the step, or the largest part of it that leads closer to the goal."""
        share = np.ones((len(step), 1))
        before = np.linalg.norm(miss, axis=1)
        for _ in range(10):
            there = places + share * step
            left = goal - self.transform(there)
            worse = np.linalg.norm(left, axis=1) > before
            if not worse.any():
                break
            share[worse] /= 2
        return there, left

    def jacobian(self, points: ArrayLike) -> Floats:
        """Give the derivatives of the map at points, (n, d, d)."""
        return self._laid.jacobian(as_points(points, len(self.centre)))

    def predict_error(self, points: ArrayLike, covariance: ArrayLike | None = None) -> Floats:
        """Predict the covariance of mapped points; see :class:`UncertainAffine`."""
        array = as_points(points, len(self.centre))
        found = self._laid.variance(array)
        if covariance is not None:
            slopes = self._laid.jacobian(array)
            found = found + slopes @ np.asarray(covariance, float) @ slopes.transpose(0, 2, 1)
        return found

    def predict_covariance(self, points: ArrayLike, others: ArrayLike) -> Floats:
        """Predict the covariance between errors at points and at others, (n, m, d, d) µm²."""
        ndim = len(self.centre)
        return self._laid.covariance(as_points(points, ndim), as_points(others, ndim))

    def inverted(self) -> Unwarp:
        """Give the map back, with its predicted error."""
        back = UncertainAffine.inverted(self)
        return Unwarp(back.matrix, back.centre, back.covariance, back.dof, forward=self)


@dataclass(frozen=True, eq=False)
class Unwarp(UncertainAffine):
    """The way back through a :class:`Warp`."""

    forward: Warp | None = None

    @property
    def bends(self) -> bool:
        """True: straight lines do not stay straight."""
        return True

    @property
    def _there(self) -> Warp:
        if self.forward is None:
            raise PointsError("This map back has no warp; make it by Warp.inverted().")
        return self.forward

    @property
    def affine(self) -> None:  # type: ignore[override]
        """None: this is no affine map."""
        return

    def transform(self, points: ArrayLike) -> Floats:
        """Map fixed points back, µm; raises as :meth:`Warp.inverse`."""
        return self._there.inverse(points)

    def inverse(self, points: ArrayLike) -> Floats:
        """Map moving points (n, d) to the fixed frame, µm."""
        return self._there.transform(points)

    def predict_error(self, points: ArrayLike, covariance: ArrayLike | None = None) -> Floats:
        """Predict the covariance of points mapped back, (n, d, d) µm²."""
        places = self.transform(points)
        slopes = np.linalg.inv(self._there.jacobian(places))
        found = self._there.predict_error(places)
        if covariance is not None:
            found = found + np.asarray(covariance, float)
        return np.asarray(slopes @ found @ slopes.transpose(0, 2, 1))

    def inverted(self) -> Warp:
        """Give the warp this undoes."""
        return self._there


def warped(landmarks: Landmarks, robust: bool) -> Warp:
    """Fit a thin-plate spline; the landmarks are known to be enough and to span the space.

    Raises
    ------
    DegenerateError
        Where a single landmark carries one direction alone, or the spline folds.
    """
    _require_places(landmarks)
    require_company(landmarks.moving)
    inliers = np.ones(len(landmarks.moving), bool)
    found = _laid(landmarks, inliers)
    while robust:
        worst = _outlier(found)
        if worst is None or inliers.sum() <= choose("tps", *_axes(landmarks)).least:
            break
        inliers = inliers.copy()
        inliers[worst] = False
        require_company(landmarks.moving[inliers])
        found = _laid(landmarks, inliers)
    _require_unfolded(found)
    return found


def _axes(landmarks: Landmarks) -> tuple[int, int]:
    return landmarks.moving.shape[1], landmarks.fixed.shape[1]


def _laid(landmarks: Landmarks, inliers: np.ndarray) -> Warp:
    used = landmarks.only(inliers)
    base = solutions(choose("affine", *_axes(landmarks)), used)[0]
    noise = None
    if landmarks.fixed_covariance is not None:
        noise = used.residual_covariance(Affine(base.matrix).linear)
    return Warp(
        base.matrix,
        base.centre,
        base.covariance,
        base.dof,
        model="tps",
        moving=landmarks.moving,
        fixed=landmarks.fixed,
        inliers=inliers,
        moving_covariance=landmarks.moving_covariance,
        fixed_covariance=landmarks.fixed_covariance,
        spline=through(used.moving, used.fixed, noise),
    )


def _outlier(found: Warp) -> int | None:
    """Give the landmark that the others contradict most, if any do."""
    misses, spreads = found._laid.leave_one_out()
    squares = np.einsum("ni,ni->n", misses, solve_each(spreads, misses))
    gate = region_threshold(misses.shape[1], found.region_dof, _INLIER)
    worst = int(squares.argmax())
    return int(np.flatnonzero(found.inliers)[worst]) if squares[worst] > gate else None


def _require_places(landmarks: Landmarks) -> None:
    """Refuse landmarks at one and the same place where these are too few or contradict."""
    moving = landmarks.moving
    far = np.linalg.norm(moving[:, np.newaxis] - moving, axis=2)
    same = np.triu(far <= 1e-9 * far.max(), 1)
    if not same.any():
        return
    one, other = (int(index[0]) for index in np.nonzero(same))
    least = choose("tps", *_axes(landmarks)).least
    places = len(moving) - int(same.any(axis=0).sum())
    if landmarks.fixed_covariance is None or places < least:
        raise DegenerateError(
            f"Landmarks {one} and {other} lie at the same moving place, which a thin-plate spline "
            f"cannot map twice; keep one of them, and {least} places in all."
        )


def require_company(moving: Floats) -> None:
    """Refuse landmarks of which one alone decides how the map leans.

    Raises
    ------
    DegenerateError
        Naming the landmark.
    """
    trend = np.column_stack([moving - moving.mean(axis=0), np.ones(len(moving))])
    leverage = (np.linalg.qr(trend)[0] ** 2).sum(axis=1)
    if leverage.max() > _ALONE:
        raise DegenerateError(
            f"The landmarks are not spread well enough for a thin-plate spline: landmark "
            f"{int(leverage.argmax())} stands alone; add some around it or choose 'affine'."
        )


def _require_unfolded(found: Warp) -> None:
    """Refuse a spline that turns space inside out somewhere among its landmarks."""
    probe = _among(found.moving[found.inliers])
    turned = np.linalg.det(found._laid.jacobian(probe))
    turned = turned * np.sign(np.linalg.det(found._affine.linear))
    if turned.min() <= 0:
        place = tuple(probe[int(turned.argmin())].round(2).tolist())
        raise DegenerateError(
            f"The thin-plate spline folds near {place} µm (moving); check the landmarks there "
            "for a wrong pair, or choose 'affine'."
        )


def _among(points: Floats) -> Floats:
    """Give places among landmarks: a grid inside their hull, and the ways to near neighbours."""
    from scipy.spatial import Delaunay, cKDTree

    ndim = points.shape[1]
    hull = Delaunay(points, qhull_options="QJ")
    axes = [
        np.linspace(low, high, 33 if ndim == 2 else 13)
        for low, high in zip(points.min(axis=0), points.max(axis=0), strict=True)
    ]
    grid = np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, ndim)
    near = cKDTree(points).query(points, min(5, len(points)))[1][:, 1:]
    arms = points[near] - points[:, np.newaxis]
    ways = [points[:, np.newaxis] + share * arms for share in (0.25, 0.5, 0.75)]
    return np.vstack(
        [points, grid[hull.find_simplex(grid) >= 0], *(way.reshape(-1, ndim) for way in ways)]
    )
