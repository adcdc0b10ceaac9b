"""The model classes a fit may choose from: what each leaves free, and where it starts.

A state is (A, t): the linear part and the image of the landmarks' centre. Each model spans the
changes of A it allows by a few generators; a step is applied by an exponential, so a rigid map
stays rigid to round-off.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np

from napari_clxem.errors import DegenerateError, PointsError
from napari_clxem.frames.affine import Floats

MODELS = ("translation", "rigid", "similarity", "affine", "projection")

# Spread across a direction below this share of the largest one counts as none at all: it is
# far under any localisation error and far above round-off.
_FLAT = 1e-6


@dataclass(frozen=True)
class Model:
    """A class of maps from `d_in` to `d_out` axes.

    Attributes
    ----------
    turns, scales, free : bool
        Whether A may rotate, scale as a whole, or change entry by entry.
    rank, fixed_rank : int
        Axes the moving and the fixed landmarks must span.
    """

    name: str
    d_in: int
    d_out: int
    turns: bool
    scales: bool
    free: bool
    rank: int
    fixed_rank: int

    @property
    def parameters(self) -> int:
        """Number of free parameters."""
        if self.free:
            return self.d_out * (self.d_in + 1)
        turns = self.d_in * (self.d_in - 1) // 2 if self.turns else 0
        return turns + int(self.scales) + self.d_out

    @property
    def least(self) -> int:
        """Fewest landmarks that can determine the model."""
        return max(-(-self.parameters // self.d_out), self.rank + 1)

    def changes(self, linear: Floats) -> Floats:
        """Give the generators: (p - d_out, d_out, d_in) changes of A at the present A."""
        if self.free:
            return np.eye(linear.size).reshape(-1, *linear.shape)
        found = [linear @ turn for turn in _turns(self.d_in)] if self.turns else []
        if self.scales:
            found.append(linear)
        return np.array(found).reshape(-1, *linear.shape)

    def step(self, linear: Floats, amounts: Floats) -> Floats:
        """Take A along its generators by `amounts`."""
        if self.free:
            return linear + amounts.reshape(linear.shape)
        if self.turns:
            from scipy.linalg import expm

            turns = _turns(self.d_in)
            linear = linear @ expm(np.tensordot(amounts[: len(turns)], turns, 1))
        return linear * np.exp(amounts[-1]) if self.scales else linear


def choose(name: str, d_in: int, d_out: int) -> Model:
    """Give the model of that name between frames of `d_in` and `d_out` axes.

    Raises
    ------
    PointsError
        Where the name is unknown or the axes do not go with it.
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
    rank = {"translation": 0, "affine": d_in, "projection": 2}.get(name, d_in - 1)
    return Model(
        name=name,
        d_in=d_in,
        d_out=d_out,
        turns=name in ("rigid", "similarity", "projection"),
        scales=name in ("similarity", "projection"),
        free=name == "affine",
        rank=rank,
        fixed_rank=rank if name in ("translation", "rigid", "similarity") else 1,
    )


def require_spread(model: Model, moving: Floats, fixed: Floats) -> None:
    """Refuse landmarks that cannot determine the model.

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
            f"{count} landmark{'s' if count != 1 else ''} cannot determine a {model.name} map in "
            f"{model.d_in}D; pick {needed} more."
        )
    for side, points, rank in (
        ("moving", moving, model.rank),
        ("fixed", fixed, model.fixed_rank),
    ):
        spanned = span(points)
        if spanned < rank:
            shape = ("coincide", "are collinear", "are coplanar")[spanned]
            raise DegenerateError(
                f"The {count} {side} landmarks {shape}, so they do not determine a {model.name} "
                f"map; add one off that {('point', 'line', 'plane')[spanned]} or choose a "
                "simpler model."
            )


def span(points: Floats) -> int:
    """Count the axes that points spread along."""
    spreads = np.linalg.svd(points - points.mean(axis=0), compute_uv=False)
    if spreads[0] <= 1e-12 * np.abs(points).max():
        return 0
    return int((spreads > _FLAT * spreads[0]).sum())


def starts(model: Model, moving: Floats, fixed: Floats, weights: Floats) -> list[Floats]:
    """Give closed-form first guesses of A from centred landmarks and scalar weights (n,)."""
    if model.name == "translation":
        return [np.eye(model.d_in)]
    cross = (fixed * weights[:, np.newaxis]).T @ moving
    spread = (moving * weights[:, np.newaxis]).T @ moving
    if model.name == "affine":
        return [np.linalg.solve(spread, cross.T).T]
    if model.name == "projection":
        return _projections(spread, cross)
    # Umeyama 1991, IEEE PAMI 13:376, without its reflections
    left, values, right = np.linalg.svd(cross)
    signs = np.ones(model.d_in)
    signs[-1] = np.sign(np.linalg.det(left) * np.linalg.det(right))
    scale = (values * signs).sum() / np.trace(spread) if model.scales else 1.0
    return [max(scale, 1e-12) * (left * signs) @ right]


def _projections(spread: Floats, cross: Floats) -> list[Floats]:
    """Start a scaled orthographic fit: from all three axes, and from the best plane both ways.

    On a plane with basis B the landmarks give L = A B only. The missing column c makes the rows
    of [L c] orthogonal and of one length: c cᵀ = s² 1 - L Lᵀ, so s² is the larger eigenvalue of
    L Lᵀ and c is known up to its sign: the two mirror solutions.
    """
    values, vectors = np.linalg.eigh(spread)
    plane, normal = vectors[:, 1:], vectors[:, 0]
    along = cross @ plane / values[1:]
    squares, axes = np.linalg.eigh(along @ along.T)
    missing = np.sqrt(max(squares[1] - squares[0], 0.0)) * axes[:, 0]
    found = [along @ plane.T + sign * np.outer(missing, normal) for sign in (1.0, -1.0)]
    if values[0] > _FLAT**2 * values[2]:
        found.append(np.linalg.solve(spread, cross.T).T)
    return [_scaled_orthographic(linear) for linear in found]


def _scaled_orthographic(linear: Floats) -> Floats:
    """Give the nearest matrix with orthogonal rows of one length."""
    left, values, right = np.linalg.svd(linear, full_matrices=False)
    return np.asarray(values.mean() * left @ right)


def _turns(ndim: int) -> Floats:
    """Give the generators of rotations in `ndim` axes."""
    found = np.zeros((ndim * (ndim - 1) // 2, ndim, ndim))
    for index, (a, b) in enumerate(combinations(range(ndim), 2)):
        found[index, a, b], found[index, b, a] = -1.0, 1.0
    return found
