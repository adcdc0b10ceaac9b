"""The model classes a fit may choose from: what each leaves free, and where it starts.

A state is (A, t): the linear part and the image of the landmarks' centre. Each model spans the
changes of A it allows by a few generators; a turn is applied as a rotation, so a rigid map
stays rigid to round-off.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations
from math import atan2, cos, hypot, sin, sqrt

import numpy as np

from napari_clxem.errors import DegenerateError, PointsError
from napari_clxem.frames.affine import Floats

MODELS = ("translation", "rigid", "similarity", "affine", "projection", "tps")

# Spread across a direction below this share of the largest one counts as none at all: it is
# far under any localisation error and far above round-off.
_FLAT = 1e-6

_LEAST_WARPED = 8  # landmarks of a thin-plate spline


@dataclass(frozen=True)
class Calibration:
    """What is known of a map before any landmark: how far instruments may differ.

    Parameters
    ----------
    scale, scale_sd : float
        Expected scale and its relative standard deviation.
    shear_sd : float
        Of the shear and of the difference between the in-plane scales, relative.
    axial_sd : float
        Of the axial scale against the in-plane one, relative (refraction, focus drive).
    tilt_sd : float or None
        Of the angle between the viewing directions about either in-plane axis, degrees; None
        where nothing is known of it.
    axial_shear_sd : float or None
        Of the shears along z, relative: refraction at an ice surface of slope p shears a stack
        whose axial scaling is ζ by (ζ - 1) p. Left out, half of `axial_sd`.
    """

    scale: float = 1.0
    scale_sd: float = 0.02
    shear_sd: float = 0.01
    axial_sd: float = 0.1
    tilt_sd: float | None = None
    axial_shear_sd: float | None = None

    def __post_init__(self) -> None:
        given = [one for one in (self.tilt_sd, self.axial_shear_sd) if one is not None]
        deviations = (self.scale_sd, self.shear_sd, self.axial_sd, *given)
        if not all(0 < value < float("inf") for value in (self.scale, *deviations)):
            raise PointsError(
                f"The calibration prior {self} cannot be used; its scale and standard deviations "
                "are finite and above 0."
            )


@dataclass(frozen=True, eq=False)
class State:
    """A map's linear part under way: a turned and scaled base, and the strains upon it."""

    base: Floats
    strains: Floats


@dataclass(frozen=True, eq=False)
class Model:
    """A class of maps from `d_in` to `d_out` axes.

    Attributes
    ----------
    turns, scales, free : bool
        Whether A may rotate, scale as a whole, or change entry by entry.
    rank, fixed_rank : int
        Axes the moving and the fixed landmarks must span.
    prior : Calibration or None
        With it an affine map is a similarity (or scaled orthographic) one with small strains.
    """

    name: str
    d_in: int
    d_out: int
    turns: bool
    scales: bool
    free: bool
    rank: int
    fixed_rank: int
    prior: Calibration | None = None

    @property
    def parameters(self) -> int:
        """Number of free parameters; strains under a prior are not."""
        if self.free:
            return self.d_out * (self.d_in + 1)
        turns = self.d_in * (self.d_in - 1) // 2 if self.turns else 0
        return turns + int(self.scales) + self.d_out

    @property
    def least(self) -> int:
        """Fewest landmarks that can determine the model."""
        if self.name == "tps":
            return _LEAST_WARPED
        if self.prior is not None:
            return self.rank + 1
        return max(-(-self.parameters // self.d_out), self.rank + 1)

    def start(self, base: Floats) -> State:
        """Give the state of a first guess of A."""
        return State(base, np.zeros(0 if self.prior is None else len(_STRAINS[self.d_in])))

    def linear(self, state: State) -> Floats:
        """Give A."""
        return state.base @ self._strained(state)

    def changes(self, state: State) -> Floats:
        """Give the generators: (k, d_out, d_in) changes of A at the present state."""
        if self.free:
            return np.eye(state.base.size).reshape(-1, *state.base.shape)
        strained = self._strained(state)
        found = [state.base @ turn @ strained for turn in _turns(self.d_in)] if self.turns else []
        if self.scales:
            found.append(state.base @ strained)
        if self.prior is not None:
            found.extend(state.base @ strain for strain in _STRAINS[self.d_in])
        return np.array(found).reshape(-1, *state.base.shape)

    def bends(self, state: State) -> Floats:
        """Give what pairs of turns change A by in second order, (k, k, d_out, d_in)."""
        if not self.turns:
            return np.zeros((0, 0, *state.base.shape))
        turns = _turns(self.d_in)
        twice = np.einsum("kab,lbc->klac", turns, turns) / 2
        return np.asarray(state.base @ twice @ self._strained(state))

    def step(self, state: State, amounts: Floats) -> State:
        """Go along the generators by `amounts`."""
        base = state.base
        if self.free:
            return State(base + amounts.reshape(base.shape), state.strains)
        used = 0
        if self.turns:
            turns = _turns(self.d_in)
            used = len(turns)
            half, one = np.tensordot(amounts[:used], turns, 1) / 2, np.eye(self.d_in)
            base = base @ np.linalg.solve(one - half, one + half)  # Cayley: a pure rotation
        if self.scales:
            base = base * np.exp(amounts[used])
            used += 1
        return State(base, state.strains + amounts[used:])

    def before(self, state: State, changes: Floats) -> tuple[Floats, Floats]:
        """Give what the prior says: residuals (m,) in sd, and their derivatives (m, k)."""
        prior, count = self.prior, len(changes)
        if prior is None:
            return np.zeros(0), np.zeros((0, count))
        scale = float(np.sqrt((state.base**2).sum() / self.d_out))
        spreads = self._spreads(prior)
        residuals = [np.log(scale / prior.scale) / prior.scale_sd, *(state.strains / spreads)]
        derivatives = np.zeros((1 + len(spreads), count))
        first = count - len(spreads)
        derivatives[0, first - 1] = 1 / prior.scale_sd
        derivatives[1:, first:] = np.diag(1 / spreads)
        if prior.tilt_sd is None or self.d_in == 2:
            return np.array(residuals), derivatives
        lean = scale * np.tan(np.deg2rad(prior.tilt_sd))
        tilts = self.linear(state)[-2:, 0] / lean
        return (
            np.array([*residuals, *tilts]),
            np.vstack([derivatives, changes[:, -2:, 0].T / lean]),
        )

    def _strained(self, state: State) -> Floats:
        found: Floats = np.eye(self.d_in)
        if self.prior is not None:
            found = found + np.tensordot(state.strains, _STRAINS[self.d_in], 1)
        return found

    def _spreads(self, prior: Calibration) -> Floats:
        found = np.full(len(_STRAINS[self.d_in]), prior.shear_sd)
        if self.d_in == 3:
            found[2] = prior.axial_sd
            lean = prior.axial_shear_sd
            found[3:] = max(prior.axial_sd / 2, prior.shear_sd) if lean is None else lean
        return found


def _strain(ndim: int, entries: dict[tuple[int, int], float]) -> Floats:
    found = np.zeros((ndim, ndim))
    for (row, column), value in entries.items():
        found[row, column] = found[column, row] = value
    return found


# In-plane anisotropy and shear; in 3D also axial stretch and the two shears along z.
_STRAINS = {
    2: np.array([_strain(2, {(0, 0): 0.5, (1, 1): -0.5}), _strain(2, {(0, 1): 0.5})]),
    3: np.array(
        [
            _strain(3, {(1, 1): 0.5, (2, 2): -0.5}),
            _strain(3, {(1, 2): 0.5}),
            _strain(3, {(0, 0): 1.0}),
            _strain(3, {(0, 1): 0.5}),
            _strain(3, {(0, 2): 0.5}),
        ]
    ),
}


@lru_cache(maxsize=256)
def choose(name: str, d_in: int, d_out: int, prior: Calibration | None = None) -> Model:
    """Give the model of that name between frames of `d_in` and `d_out` axes.

    Raises
    ------
    PointsError
        Where the name is unknown, or the axes or the prior do not go with it.
    """
    if name not in MODELS:
        raise PointsError(f"{name!r} is no model; choose one of {', '.join(MODELS)}.")
    flattening = d_in == 3 and d_out == 2
    if name == "projection" and not flattening:
        raise PointsError(
            f"A projection maps (z, y, x) to (y, x), but the landmarks have {d_in} and {d_out} "
            "axes; give 3D moving and 2D fixed points."
        )
    if d_in != d_out and not (flattening and name in ("projection", "affine")):
        raise PointsError(
            f"Moving landmarks have {d_in} axes and fixed ones {d_out}; use the model "
            "'projection' (3D moving, 2D fixed) or give both the same axes."
        )
    if prior is not None and name != "affine":
        raise PointsError(f"A calibration prior goes with the model 'affine', not {name!r}.")
    rank = {"translation": 0, "affine": d_in, "tps": d_in, "projection": 2}.get(name, d_in - 1)
    if prior is not None:
        rank = 1 if d_in == 2 or (flattening and prior.tilt_sd is not None) else 2
    return Model(
        name=name,
        d_in=d_in,
        d_out=d_out,
        turns=name in ("rigid", "similarity", "projection") or prior is not None,
        scales=name in ("similarity", "projection") or prior is not None,
        free=name in ("affine", "tps") and prior is None,
        rank=rank,
        fixed_rank=rank if name in ("translation", "rigid", "similarity") else 1,
        prior=prior,
    )


def require_spread(model: Model, moving: Floats, fixed: Floats) -> int:
    """Refuse landmarks that cannot determine the model; count the axes the moving ones span.

    Raises
    ------
    PointsError
        Where there are too few.
    DegenerateError
        Where they coincide, or lie on a line or plane the model cannot live with.
    """
    count = len(moving)
    if count < model.least:
        needed = model.least - count
        raise PointsError(
            f"{count} landmark{'s' if count != 1 else ''} cannot determine a map of model "
            f"{model.name!r} in {model.d_in}D; pick {needed} more."
        )
    spans = span(moving), span(fixed) if model.fixed_rank > 1 else int(not _coincide(fixed))
    for side, spanned, rank in zip(
        ("moving", "fixed"), spans, (model.rank, model.fixed_rank), strict=True
    ):
        if spanned < rank:
            shape = ("coincide", "are collinear", "are coplanar")[spanned]
            raise DegenerateError(
                f"The {count} {side} landmarks {shape}, so they do not determine a map of model "
                f"{model.name!r}; add one off that {('point', 'line', 'plane')[spanned]} or "
                "choose a simpler model."
            )
    return spans[0]


def span(points: Floats) -> int:
    """Count the axes that points spread along."""
    if _coincide(points):
        return 0
    arms = points - points.mean(axis=0)
    squares = np.linalg.eigvalsh(arms.T @ arms)
    return int((squares > _FLAT**2 * squares[-1]).sum())


def _coincide(points: Floats) -> bool:
    low, high = points.min(axis=0), points.max(axis=0)
    return bool((high - low).max() <= 1e-12 * max(-low.min(), high.max()))


def starts(model: Model, moving: Floats, fixed: Floats, weights: Floats) -> list[Floats]:
    """Give closed-form first guesses of A from centred landmarks and scalar weights (n,)."""
    if not model.turns and not model.free:
        return [np.eye(model.d_in)]
    cross = (fixed * weights[:, np.newaxis]).T @ moving
    spread = (moving * weights[:, np.newaxis]).T @ moving
    if model.free:
        return [np.linalg.solve(spread, cross.T).T]
    if model.d_in == model.d_out:
        return [_similar(cross, spread, model.scales)]
    found = _projections(spread, cross)
    if model.prior is not None and model.prior.tilt_sd is not None:
        top = _similar(cross[:, 1:], spread[1:, 1:], scales=True)
        found.append(np.column_stack([np.zeros(2), top]))
    return found


def _similar(cross: Floats, spread: Floats, scales: bool) -> Floats:
    """Give the best turned and scaled map, never a mirrored one.

    Umeyama 1991, IEEE PAMI 13:376.
    """
    left, values, right = np.linalg.svd(cross)
    signs = np.ones(len(values))
    signs[-1] = np.sign(np.linalg.det(left) * np.linalg.det(right))
    scale = (values * signs).sum() / np.trace(spread) if scales else 1.0
    return np.asarray(max(scale, 1e-12) * (left * signs) @ right)


def _projections(spread: Floats, cross: Floats) -> list[Floats]:
    """Start a scaled orthographic fit: from all three axes, and from the best plane both ways.

    On a plane with basis B the landmarks give L = A B only. The missing column c makes the rows
    of [L c] orthogonal and of one length: c cᵀ = s² 1 - L Lᵀ, so s² is the larger eigenvalue of
    L Lᵀ and c is known up to its sign: the two mirror solutions.
    """
    values, vectors = np.linalg.eigh(spread)
    if values[1] <= _FLAT**2 * values[2]:  # a line has no plane
        return []
    plane, normal = vectors[:, 1:], vectors[:, 0]
    along = cross @ plane / values[1:]
    (first, mixed), (_, second) = (along @ along.T).tolist()
    # eigenvalues and axes of a symmetric 2 x 2 matrix in closed form
    turn = 0.5 * atan2(2.0 * mixed, first - second)
    length = sqrt(2.0 * hypot(0.5 * (first - second), mixed))
    missing = np.array([[-sin(turn) * length], [cos(turn) * length]]) * normal
    shown = along @ plane.T
    found = [shown + missing, shown - missing]
    if values[0] > _FLAT**2 * values[2]:
        found.append(_orthogonal(np.linalg.solve(spread, cross.T).T))
    return found


def _orthogonal(linear: Floats) -> Floats:
    """Give the nearest (2, 3) matrix with orthogonal rows of one length: by its polar part."""
    (first, mixed), (_, second) = (linear @ linear.T).tolist()
    root = sqrt(max(first * second - mixed * mixed, 0.0))
    size = sqrt(first + second + 2.0 * root)
    if root <= 1e-12 * size * size:  # rows along one line: no turn is the nearest
        left, sizes, right = np.linalg.svd(linear, full_matrices=False)
        return np.asarray(sizes.mean() * left @ right)
    square = np.array([[first + root, mixed], [mixed, second + root]]) / size
    return np.asarray(0.5 * np.trace(square) * np.linalg.solve(square, linear))


def _turns(ndim: int) -> Floats:
    """Give the generators of rotations in `ndim` axes."""
    found = np.zeros((ndim * (ndim - 1) // 2, ndim, ndim))
    for index, (a, b) in enumerate(combinations(range(ndim), 2)):
        found[index, a, b], found[index, b, a] = -1.0, 1.0
    return found
