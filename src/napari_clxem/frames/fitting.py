"""Fit a map through landmarks, each with its own localisation error.

Residuals are weighted by their covariance ``C_i = C_fixed + A C_moving Aᵀ``; the Gauss-Newton
step is taken at the corrected moving positions, which makes the result the maximum-likelihood
one with errors on both sides (York's generalised least squares) rather than one biased towards
shrinking.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from itertools import combinations, islice

import numpy as np
from numpy.typing import ArrayLike

from napari_clxem.errors import DegenerateError, PointsError
from napari_clxem.frames.affine import Affine, Floats, as_points
from napari_clxem.frames.models import (
    Calibration,
    Model,
    State,
    choose,
    require_spread,
    span,
    starts,
)
from napari_clxem.frames.uncertainty import UncertainAffine, region_threshold

Sigma = ArrayLike | None

_STEPS = 50
_SUBSETS = 400
_INLIER = 0.999  # share of good landmarks a robust fit keeps


@dataclass(frozen=True, eq=False)
class Fit(UncertainAffine):
    """A fitted map, its residuals and its predicted error; made by :func:`fit`.

    Attributes
    ----------
    model : str
        Name of the model.
    moving, fixed : (n, d) array
        The landmarks, µm.
    inliers : (n,) bool array
        Landmarks that carry the fit; all of them unless it was robust.
    alternatives : tuple of Fit
        Other solutions that the landmarks cannot tell from this one: the mirror solution of a
        projection through (nearly) coplanar landmarks.
    notes : tuple of str
        What a careful reader should know of this fit, a sentence each.
    """

    model: str = ""
    moving: Floats = field(default_factory=lambda: np.empty((0, 2)))
    fixed: Floats = field(default_factory=lambda: np.empty((0, 2)))
    inliers: np.ndarray = field(default_factory=lambda: np.empty(0, bool))
    moving_covariance: Floats | None = None
    fixed_covariance: Floats | None = None
    prior: Calibration | None = None
    alternatives: tuple[Fit, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def absolute(self) -> bool:
        """True where localisation errors were given."""
        return self.fixed_covariance is not None

    @cached_property
    def residuals(self) -> Floats:
        """``fixed - f(moving)``, (n, d) µm."""
        return self.fixed - self.transform(self.moving)

    @cached_property
    def fre(self) -> float:
        """Root mean square residual of the landmarks that carry the fit, µm: not an accuracy."""
        return float(np.sqrt((self.residuals[self.inliers] ** 2).sum(axis=1).mean()))

    @cached_property
    def leave_one_out(self) -> Floats:
        """Miss of each landmark by the fit through the others, (n,) µm; NaN where none exists."""
        found = np.full(len(self.moving), np.nan)
        for index in range(len(self.moving)):
            others = self.inliers.copy()
            others[index] = False
            try:
                refit = _fit_rows(
                    choose(self.model, self.moving.shape[1], self.fixed.shape[1], self.prior),
                    _Landmarks(
                        self.moving, self.fixed, self.moving_covariance, self.fixed_covariance
                    ).only(others),
                )[0]
            except PointsError:
                continue
            miss = self.fixed[index] - Affine(refit.matrix).transform(self.moving[index])[0]
            found[index] = np.linalg.norm(miss)
        return found

    @cached_property
    def mirrored(self) -> bool:
        """True where the map turns a left hand into a right one."""
        linear = self._affine.linear
        return bool(linear.shape[0] == linear.shape[1] and np.linalg.det(linear) < 0)


def fit(
    moving: ArrayLike,
    fixed: ArrayLike,
    model: str = "affine",
    moving_sigma: Sigma = None,
    fixed_sigma: Sigma = None,
    robust: bool = False,
    prior: Calibration | None = None,
) -> Fit:
    """Fit a map from moving to fixed landmarks.

    Parameters
    ----------
    moving, fixed : (n, d) array_like
        Corresponding landmarks, µm, axes (z, y, x) or (y, x).
    model : str
        ``"translation"``, ``"rigid"``, ``"similarity"``, ``"affine"``, or ``"projection"``
        (scaled orthographic, 3D to 2D). ``"affine"`` also takes 3D moving and 2D fixed landmarks:
        an affine camera.
    moving_sigma, fixed_sigma : float, (n, d) or (n, d, d) array_like, optional
        Localisation standard deviations µm, or covariances µm². Where one is given the other
        counts as 0. Without either, all landmarks weigh the same and the predicted error is
        scaled by their residuals.
    robust : bool
        Find the landmarks that agree (RANSAC) and fit through these; the others are flagged in
        ``inliers`` and stay in ``residuals``.
    prior : Calibration, optional
        What the calibration says of scale, shear, axial scale and tilt. With it an affine map
        needs two landmarks only (three where z is fitted) and may have them on one plane: what
        they do not determine stays as uncertain as the calibration. Needs a sigma.

    Returns
    -------
    Fit

    Raises
    ------
    PointsError
        Where landmarks are too few, do not go together, or hold NaN, or a sigma is not usable.
    DegenerateError
        Where they coincide, are collinear or coplanar and the model needs more.
    """
    landmarks = _landmarks(moving, fixed, moving_sigma, fixed_sigma)
    kind = choose(model, landmarks.moving.shape[1], landmarks.fixed.shape[1], prior)
    if prior is not None and landmarks.fixed_covariance is None:
        raise PointsError(
            "A calibration prior has to be weighed against the landmarks; give moving_sigma or "
            "fixed_sigma in µm."
        )
    require_spread(kind, landmarks.moving, landmarks.fixed)
    inliers = np.ones(len(landmarks.moving), bool)
    notes = []
    if robust:
        if len(inliers) < kind.least + 2:
            notes.append(
                f"{len(inliers)} landmarks are too few to find outliers for a {model} map; "
                f"{kind.least + 2} are needed."
            )
        else:
            inliers = _agreeing(kind, landmarks)
    solutions = _fit_rows(kind, landmarks.only(inliers))
    if len(solutions) > 1:
        notes.append(
            "The landmarks are nearly coplanar: the mirror solution fits as well; check the side "
            "by a landmark off their plane."
        )
    fits = [_finish(kind, landmarks, inliers, found, tuple(notes)) for found in solutions]
    if len(fits) == 1:
        return fits[0]
    return _finish(kind, landmarks, inliers, solutions[0], tuple(notes), tuple(fits[1:]))


@dataclass(frozen=True, eq=False)
class _Landmarks:
    """Checked landmarks; covariances are both None or both (n, d, d)."""

    moving: Floats
    fixed: Floats
    moving_covariance: Floats | None
    fixed_covariance: Floats | None

    def only(self, rows: np.ndarray) -> _Landmarks:
        covariances = (self.moving_covariance, self.fixed_covariance)
        return _Landmarks(
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


@dataclass(frozen=True, eq=False)
class _Solution:
    matrix: Floats
    centre: Floats
    covariance: Floats
    cost: float
    dof: int


def _landmarks(
    moving: ArrayLike, fixed: ArrayLike, moving_sigma: Sigma, fixed_sigma: Sigma
) -> _Landmarks:
    points = as_points(moving, name="Moving landmarks"), as_points(fixed, name="Fixed landmarks")
    if len(points[0]) != len(points[1]):
        raise PointsError(
            f"There are {len(points[0])} moving and {len(points[1])} fixed landmarks; give pairs."
        )
    if moving_sigma is None and fixed_sigma is None:
        return _Landmarks(*points, None, None)
    covariances = (
        _covariances(moving_sigma, points[0].shape, "moving_sigma"),
        _covariances(fixed_sigma, points[1].shape, "fixed_sigma"),
    )
    exact = [~np.einsum("nii->n", c).astype(bool) for c in covariances]
    if (exact[0] & exact[1]).any():
        row = int(np.flatnonzero(exact[0] & exact[1])[0])
        raise PointsError(
            f"Landmark {row} has a localisation error of 0 on both sides; give one above 0, or "
            "neither sigma."
        )
    return _Landmarks(*points, *covariances)


def _covariances(sigma: Sigma, shape: tuple[int, ...], name: str) -> Floats:
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
        return np.asarray(np.broadcast_to(array, shape)[:, :, np.newaxis] ** 2 * np.eye(ndim))
    symmetric = np.allclose(array, np.swapaxes(array, 1, 2), rtol=1e-6, atol=0)
    if not symmetric or (np.linalg.eigvalsh(array) < -1e-9 * np.abs(array).max()).any():
        raise PointsError(f"{name} holds a matrix that is no covariance; check its symmetry.")
    return array


def _fit_rows(model: Model, landmarks: _Landmarks) -> list[_Solution]:
    """Fit through all given landmarks; more than one solution where they cannot be told apart."""
    require_spread(model, landmarks.moving, landmarks.fixed)
    weights = _scalar_weights(landmarks)
    centre = weights @ landmarks.moving / weights.sum()
    middle = weights @ landmarks.fixed / weights.sum()
    guesses = starts(model, landmarks.moving - centre, landmarks.fixed - middle, weights)
    found, failed = [], None
    for guess in guesses:
        try:
            found.append(_refine(model, landmarks, centre, guess, middle))
        except DegenerateError as error:  # a far start may run into a corner; another does not
            failed = error
    if failed is not None and not found:
        raise failed
    found.sort(key=lambda solution: solution.cost)
    best = found[0]
    rivals: list[_Solution] = []
    for other in found[1:]:
        differs = all(_differ(kept, other) for kept in [best, *rivals])
        if differs and _as_good(best, other, landmarks):
            rivals.append(other)
    return [best, *rivals]


def _differ(one: _Solution, other: _Solution) -> bool:
    """Tell a solution of its own from one that two starts have reached."""
    linear, again = Affine(one.matrix).linear, Affine(other.matrix).linear
    return bool(np.linalg.norm(linear - again) > 1e-3 * np.linalg.norm(linear))


def _scalar_weights(landmarks: _Landmarks) -> Floats:
    covariance = landmarks.fixed_covariance
    if covariance is None or landmarks.moving_covariance is None:
        return np.ones(len(landmarks.moving))
    variance = np.einsum("nii->n", covariance) + np.einsum("nii->n", landmarks.moving_covariance)
    return np.asarray(variance.min() / variance)


def _as_good(best: _Solution, other: _Solution, landmarks: _Landmarks) -> bool:
    """Tell whether the landmarks do not speak against `other` at the 1 % level."""
    if landmarks.fixed_covariance is not None:
        return bool(other.cost - best.cost < region_threshold(1, None, 0.99))
    tiny = 1e-18 * max(float((landmarks.fixed**2).sum()), 1.0)
    if best.dof == 0 or other.cost <= tiny:
        return other.cost <= max(tiny, 1.0001 * best.cost)
    return bool(other.cost < best.cost * region_threshold(1, best.dof, 0.99))


@dataclass(frozen=True, eq=False)
class _Trial:
    """A state of the search, with what the residuals and the prior say of it."""

    state: State
    middle: Floats
    linear: Floats
    cost: float
    weighted: Floats
    precision: Floats


def _try(model: Model, landmarks: _Landmarks, arms: Floats, state: State, middle: Floats) -> _Trial:
    linear = model.linear(state)
    residuals = landmarks.fixed - (arms @ linear.T + middle)
    precision = np.linalg.inv(landmarks.residual_covariance(linear))
    weighted = np.einsum("nij,nj->ni", precision, residuals)
    said = model.before(state, model.changes(state))[0] if model.prior else np.zeros(0)
    cost = float((residuals * weighted).sum() + said @ said)
    return _Trial(state, middle, linear, cost, weighted, precision)


def _normal(
    model: Model, landmarks: _Landmarks, arms: Floats, trial: _Trial
) -> tuple[Floats, Floats, Floats]:
    """Give the normal matrix, the gradient, and the generators of A at a trial."""
    changes = model.changes(trial.state)
    corrected = arms
    if landmarks.moving_covariance is not None:
        back = np.einsum("nij,kj->nik", landmarks.moving_covariance, trial.linear)
        corrected = arms + np.einsum("nik,nk->ni", back, trial.weighted)
    rows = model.d_out
    turned = np.einsum("kij,nj->nik", changes, corrected)
    shifts = np.broadcast_to(np.eye(rows), (len(arms), rows, rows))
    jacobian = np.concatenate([turned, shifts], axis=2)
    normal = np.einsum("nip,nij,njq->pq", jacobian, trial.precision, jacobian)
    gradient = np.einsum("nip,ni->p", jacobian, trial.weighted)
    if model.prior is not None:
        said, derivatives = model.before(trial.state, changes)
        count = len(changes)
        normal[:count, :count] += derivatives.T @ derivatives
        gradient[:count] -= derivatives.T @ said
    return normal, gradient, changes


def _refine(
    model: Model, landmarks: _Landmarks, centre: Floats, base: Floats, middle: Floats
) -> _Solution:
    """Go from a first guess to the maximum-likelihood map by damped Gauss-Newton steps."""
    arms = landmarks.moving - centre
    rows = model.d_out
    best = _try(model, landmarks, arms, model.start(base), middle)
    enough = 0.0 if landmarks.fixed_covariance is None else 1e-8  # squared, in sd
    for _ in range(_STEPS):
        normal, gradient, _ = _normal(model, landmarks, arms, best)
        step = _solve(normal, gradient, model)
        if not model.free and len(step) > rows:  # a turn or a scaling is linear only so far
            step = step * min(1.0, 0.5 / max(np.abs(step[:-rows]).max(), 1e-300))
        for _halving in range(20):
            state = model.step(best.state, step[:-rows])
            trial = _try(model, landmarks, arms, state, best.middle + step[-rows:])
            if trial.cost <= best.cost * (1 + 1e-12) + 1e-30:
                break
            step = step / 2
        else:
            break
        settled = float(step @ normal @ step) <= enough + 1e-14 * max(best.cost, 1e-12)
        best = trial
        if settled:
            break
    normal, _, changes = _normal(model, landmarks, arms, best)
    dof = rows * len(arms) - model.parameters
    covariance = _entry_covariance(_solve(normal, np.eye(len(normal)), model), changes, rows)
    if landmarks.fixed_covariance is None:
        covariance = covariance * (best.cost / dof if dof > 0 else np.nan)
    matrix = Affine.from_parts(best.linear, best.middle - best.linear @ centre).matrix
    return _Solution(matrix, centre, covariance, best.cost, dof)


def _solve(normal: Floats, right: Floats, model: Model) -> Floats:
    """Solve the normal equations in scaled parameters, refusing a singular set."""
    scale = 1.0 / np.sqrt(np.maximum(np.diag(normal), np.finfo(float).tiny))
    scaled = normal * np.outer(scale, scale)
    if np.linalg.cond(scaled) > 1e14:
        raise DegenerateError(
            f"The landmarks do not determine a {model.name} map; spread them out or choose a "
            "simpler model."
        )
    shape = (slice(None),) + (np.newaxis,) * (right.ndim - 1)
    return np.asarray(scale[shape] * np.linalg.solve(scaled, scale[shape] * right))


def _entry_covariance(covariance: Floats, changes: Floats, rows: int) -> Floats:
    """Turn the covariance of a model's parameters into that of the entries of [A | t]."""
    count, _, columns = changes.shape
    jacobian = np.zeros((rows, columns + 1, count + rows))
    jacobian[:, :-1, :count] = np.moveaxis(changes, 0, -1)
    jacobian[:, -1, count:] = np.eye(rows)
    flat = jacobian.reshape(rows * (columns + 1), count + rows)
    return flat @ covariance @ flat.T


def _agreeing(model: Model, landmarks: _Landmarks) -> np.ndarray:
    """Find the landmarks that agree on one map: RANSAC, then refits until the set is stable."""
    count = len(landmarks.moving)
    seeds: list[tuple[float, np.ndarray]] = []
    for rows in _subsets(count, model.least):
        try:
            solution = _fit_rows(model, landmarks.only(np.array(rows)))[0]
        except PointsError:
            continue
        squares = _squares(solution.matrix, landmarks)
        seeds.append((_score(squares, model, landmarks), squares))
    if not seeds:
        return np.ones(count, bool)
    squares = min(seeds, key=lambda seed: seed[0])[1]
    inliers = _within(squares, model, landmarks)
    for _ in range(20):
        try:
            solution = _fit_rows(model, landmarks.only(inliers))[0]
        except PointsError:
            return np.ones(count, bool)
        again = _within(_squares(solution.matrix, landmarks), model, landmarks)
        if (again == inliers).all():
            break
        inliers = again
    return inliers


def _subsets(count: int, size: int) -> list[tuple[int, ...]]:
    """Give every subset where these are few, else a fixed random choice of them."""
    every = list(islice(combinations(range(count), size), _SUBSETS + 1))
    if len(every) <= _SUBSETS:
        return every
    rng = np.random.default_rng(0)
    return [tuple(rng.choice(count, size, replace=False)) for _ in range(_SUBSETS)]


def _squares(matrix: Floats, landmarks: _Landmarks) -> Floats:
    """Squared residuals in units of their covariance (or of µm²)."""
    found = Affine(matrix)
    residuals = landmarks.fixed - found.transform(landmarks.moving)
    covariance = landmarks.residual_covariance(found.linear)
    return np.asarray(np.einsum("ni,nij,nj->n", residuals, np.linalg.inv(covariance), residuals))


def _gate(squares: Floats, model: Model, landmarks: _Landmarks) -> float:
    """Give the largest square a good landmark may have."""
    gate = region_threshold(model.d_out, None, _INLIER)
    if landmarks.fixed_covariance is not None:
        return gate
    # The median of the squares stands for the noise where none is given (Rousseeuw & Leroy).
    ratio = float(np.median(squares)) / region_threshold(model.d_out, None, 0.5)
    small_sample = (1 + 5 / max(len(squares) - model.least, 1)) ** 2
    return max(gate * ratio * small_sample, 1e-18)


def _score(squares: Floats, model: Model, landmarks: _Landmarks) -> float:
    if landmarks.fixed_covariance is None:
        return float(np.median(squares))
    return float(np.minimum(squares, _gate(squares, model, landmarks)).sum())


def _within(squares: Floats, model: Model, landmarks: _Landmarks) -> np.ndarray:
    return np.asarray(squares <= _gate(squares, model, landmarks))


def _finish(
    model: Model,
    landmarks: _Landmarks,
    inliers: np.ndarray,
    solution: _Solution,
    notes: tuple[str, ...],
    alternatives: tuple[Fit, ...] = (),
) -> Fit:
    if model.d_in == 3 and span(landmarks.moving[inliers]) < 3 and model.name != "translation":
        notes = (*notes, "The landmarks lie on one plane: nothing off it was tested.")
    return Fit(
        solution.matrix,
        solution.centre,
        solution.covariance,
        solution.dof,
        model=model.name,
        moving=landmarks.moving,
        fixed=landmarks.fixed,
        inliers=inliers,
        moving_covariance=landmarks.moving_covariance,
        fixed_covariance=landmarks.fixed_covariance,
        prior=model.prior,
        alternatives=alternatives,
        notes=notes,
    )
