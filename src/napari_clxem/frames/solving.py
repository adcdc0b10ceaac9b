"""The maximum-likelihood map through landmarks, by damped Gauss-Newton steps.

Residuals are weighted by their covariance ``C_i = C_fixed + A C_moving Aᵀ``; the step is taken at
the corrected moving positions, which makes the result the maximum-likelihood one with errors on
both sides (York's generalised least squares) rather than one biased towards shrinking.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from napari_clxem.errors import DegenerateError
from napari_clxem.frames.affine import Floats
from napari_clxem.frames.landmarks import Landmarks
from napari_clxem.frames.models import Model, State, require_spread, starts
from napari_clxem.frames.orthographic import descended
from napari_clxem.frames.uncertainty import region_threshold

_STEPS = 50
_TOLD = 25.0  # squared heights of landmarks in sd that tell one side of a plane from the other
_APART = 3.0  # sd of a turn: within, two minima are one
_STIFF = 1e-5  # rad² of a turn: below, its second order is nothing


@dataclass(frozen=True, eq=False)
class Solution:
    """A map with its centre, covariance as of an uncertain affine map, cost, and dof."""

    matrix: Floats
    centre: Floats
    covariance: Floats
    cost: float
    dof: int
    turn_sd: float = 0.0  # of the least certain turn, rad; 0 where none was looked at


def solutions(model: Model, landmarks: Landmarks, spread: bool = False) -> list[Solution]:
    """Fit through all given landmarks; more than one solution where they cannot be told apart.

    `spread` says that their spread was checked already.
    """
    if not spread:
        require_spread(model, landmarks.moving, landmarks.fixed)
    weights = _scalar_weights(landmarks)
    centre = weights @ landmarks.moving / weights.sum()
    middle = weights @ landmarks.fixed / weights.sum()
    guesses = starts(model, landmarks.moving - centre, landmarks.fixed - middle, weights)
    found = _minima(model, landmarks, centre, guesses, middle)
    turned = _turned_over(model, landmarks, found[0])
    if turned is not None:
        others = _minima(model, landmarks, centre, [turned], middle)
        found += [other for other in others if _far_turned(found[0], other)]
    found.sort(key=lambda solution: solution.cost)
    best = found[0]
    rivals: list[Solution] = []
    for other in found[1:]:
        differs = all(_differ(kept, other) for kept in [best, *rivals])
        if differs and _as_good(best, other, landmarks):
            rivals.append(other)
    return [best, *rivals]


def _minima(
    model: Model, landmarks: Landmarks, centre: Floats, guesses: list[Floats], middle: Floats
) -> list[Solution]:
    """Go from each first guess to its minimum."""
    if model.name == "projection":
        quick = descended(landmarks, centre, guesses, middle)
        if quick is not None and quick[0].all():
            return [
                _solution(model, landmarks, centre, *(part[row] for part in quick[1:]))
                for row in _distinct(quick[1], quick[3])
            ]
    found, failed = [], None
    for guess in guesses:
        try:
            found.append(_refine(model, landmarks, centre, guess, middle))
        except DegenerateError as error:  # a far start may run into a corner; another does not
            failed = error
    if failed is not None and not found:
        raise failed
    return found


def _turned_over(model: Model, landmarks: Landmarks, found: Solution) -> Floats | None:
    """Start the mirror solution of a map of space onto a plane of known heights.

    Landmarks near a line may lie on either side of it: where the heights there hardly tell which
    (a lamella's picks), the map with all of them reversed fits about as well. None where they do.
    """
    if not (model.turns and model.d_out == 3) or landmarks.fixed_covariance is None:
        return None
    linear = found.matrix[:3, :3]
    arms = landmarks.moving - found.centre
    heights = arms @ linear[0]
    spread = landmarks.residual_covariance(linear)[:, 0, 0]
    if (heights**2 / spread).sum() > _TOLD:
        return None
    normal = np.linalg.svd(arms)[2][-1]
    mirrored: Floats = linear - 2 * np.outer(linear @ normal, normal)
    mirrored[0] *= -1.0
    return mirrored


def _far_turned(one: Solution, other: Solution) -> bool:
    """Tell whether two maps are farther apart than the least certain turn of either may be."""
    linear, again = one.matrix[:3, :3], other.matrix[:3, :3]
    gap = np.linalg.norm(linear - again) / np.linalg.norm(linear) * np.sqrt(1.5)  # a small turn's
    return bool(gap > _APART * max(one.turn_sd, other.turn_sd))


def _distinct(linears: Floats, costs: Floats) -> list[int]:
    """Give the rows of minima of their own, the lowest first."""
    kept: list[int] = []
    for row in costs.argsort().tolist():
        far = ((linears[kept] - linears[row]) ** 2).sum(axis=(1, 2))
        if not kept or far.min() > 1e-6 * (linears[row] ** 2).sum():
            kept.append(row)
    return kept


def _differ(one: Solution, other: Solution) -> bool:
    """Tell a solution of its own from one that two starts have reached."""
    linear, again = one.matrix[:, :-1], other.matrix[:, :-1]
    return bool(((linear - again) ** 2).sum() > 1e-6 * (linear**2).sum())


def _scalar_weights(landmarks: Landmarks) -> Floats:
    covariance = landmarks.fixed_covariance
    if covariance is None or landmarks.moving_covariance is None:
        return np.ones(len(landmarks.moving))
    variance = np.einsum("nii->n", covariance) + np.einsum("nii->n", landmarks.moving_covariance)
    return np.asarray(variance.min() / variance)


def _as_good(best: Solution, other: Solution, landmarks: Landmarks) -> bool:
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


def _try(model: Model, landmarks: Landmarks, arms: Floats, state: State, middle: Floats) -> _Trial:
    linear = model.linear(state)
    residuals = landmarks.fixed - (arms @ linear.T + middle)
    precision = np.linalg.inv(landmarks.residual_covariance(linear))
    weighted = np.einsum("nij,nj->ni", precision, residuals)
    said = model.before(state, model.changes(state))[0] if model.prior else np.zeros(0)
    cost = float((residuals * weighted).sum() + said @ said)
    return _Trial(state, middle, linear, cost, weighted, precision)


def _normal(
    model: Model, landmarks: Landmarks, arms: Floats, trial: _Trial
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
    model: Model, landmarks: Landmarks, centre: Floats, base: Floats, middle: Floats
) -> Solution:
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
    spread = _solve(normal, np.eye(len(normal)), model)
    covariance = _entry_covariance(spread, changes, rows)
    found = _solution(model, landmarks, centre, best.linear, best.middle, best.cost, covariance)
    # the compiled projections stay first order, which holds for them, and so must these
    if not model.turns or model.name == "projection" or landmarks.fixed_covariance is None:
        return found
    count = len(model.bends(best.state))
    return replace(
        found,
        covariance=covariance + _curved(spread, model, best.state),
        turn_sd=float(np.sqrt(np.linalg.eigvalsh(spread[:count, :count])[-1])),
    )


def _curved(spread: Floats, model: Model, state: State) -> Floats:
    """Covariance of the entries of [A | t] that the second order of an uncertain turn adds.

    A turn by w changes A by A (W + W²/2): the mean square of the second term, for normal w.
    """
    bends = model.bends(state)
    count = len(bends)
    turns = spread[:count, :count]
    if not count or turns.trace() < _STIFF:
        return np.zeros(())
    fourth = np.multiply.outer(turns, turns)
    fourth = fourth + fourth.transpose(0, 2, 1, 3) + fourth.transpose(0, 3, 2, 1)
    found = np.einsum("klmn,klab,mncd->abcd", fourth, bends, bends, optimize=True)
    rows, columns = bends.shape[2:]
    full = np.zeros((rows, columns + 1, rows, columns + 1))
    full[:, :-1, :, :-1] = found
    return full.reshape(rows * (columns + 1), -1)


def _solution(
    model: Model,
    landmarks: Landmarks,
    centre: Floats,
    linear: Floats,
    middle: Floats,
    cost: float,
    covariance: Floats,
) -> Solution:
    """Complete what a search has found: without given errors the residuals scale its covariance."""
    dof = landmarks.fixed.size - model.parameters
    if landmarks.fixed_covariance is None:
        covariance = covariance * (cost / dof if dof > 0 else np.nan)
    size = len(centre) + 1
    matrix = np.eye(size)[: size if len(linear) == len(centre) else 2]
    matrix[: len(linear), :-1] = linear
    matrix[: len(linear), -1] = middle - linear @ centre
    return Solution(matrix, centre, covariance, float(cost), dof)


def _solve(normal: Floats, right: Floats, model: Model) -> Floats:
    """Solve the normal equations in scaled parameters, refusing a singular set."""
    scale = 1.0 / np.sqrt(np.maximum(np.diag(normal), np.finfo(float).tiny))
    scaled = normal * np.outer(scale, scale)
    if np.linalg.cond(scaled) > 1e14:
        raise DegenerateError(
            f"The landmarks do not determine a map of model {model.name!r}; spread them out or "
            "choose a simpler model."
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
