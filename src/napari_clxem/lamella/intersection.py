"""What a lamella and a tomogram have in common, exactly, and how sure that is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from napari_clxem.errors import LamellaError
from napari_clxem.frames import Affine, as_points
from napari_clxem.frames.affine import Floats
from napari_clxem.lamella.capture import checked_covariance
from napari_clxem.lamella.clipping import common_areas, common_volumes, prisms
from napari_clxem.lamella.slab import Lamella, signed_area

Interval = tuple[float, float]
Spread = ArrayLike | Callable[[Floats], Any] | None
# Placings over which an interval is taken.
_PLACINGS = 128


@dataclass(frozen=True)
class Overlap:
    """What a lamella shares with a tomogram.

    Attributes
    ----------
    volume : float
        Common volume, µm³, in units of the lamella's frame.
    volume_fraction : float
        Of the slab's volume.
    area_fraction : float
        In plan view of the mid-plane: common area over the lamella's.
    field_fraction : float
        Common area over that of the field.
    iou : float
        Common area over the area of both together.
    volume_interval, area_interval, field_interval, iou_interval : tuple of float or None
        Range of each fraction that registration leaves with the probability asked for; None
        where no covariance was given.
    """

    volume: float
    volume_fraction: float
    area_fraction: float
    field_fraction: float
    iou: float
    volume_interval: Interval | None = None
    area_interval: Interval | None = None
    field_interval: Interval | None = None
    iou_interval: Interval | None = None


@dataclass(frozen=True)
class PlanOverlap:
    """What a lamella shares with a field in plan view; fractions as in :class:`Overlap`."""

    area_fraction: float
    field_fraction: float
    iou: float
    area_interval: Interval | None = None
    field_interval: Interval | None = None
    iou_interval: Interval | None = None


def overlap(
    lamella: Lamella,
    box: ArrayLike,
    to_box: Affine | ArrayLike | None = None,
    covariance: Spread = None,
    probability: float = 0.95,
) -> Overlap:
    """Intersect a lamella with the box of a tomogram, exactly.

    The slab counts with its damage layers; its length runs along the beam. Volumes are bounded
    by the faces of either body clipped by the other; an outline that is not convex is a signed
    sum of triangles.

    Parameters
    ----------
    lamella : Lamella
        Planned or milled, with its outline where it has one.
    box : ((z0, y0, x0), (z1, y1, x1))
        Two opposite corners, µm.
    to_box : Affine or (4, 4) array_like, optional
        From the lamella's frame to that of the box; left out, they are one.
    covariance : (3, 3) array_like or callable, optional
        Of the position of one against the other in the frame of the box, µm². A callable gives
        it at points (n, 3) in that frame, as (n, 3, 3), such as what a registration predicts:
        where it grows from the middle to the corners, the lamella may also be turned, scaled and
        sheared.
    probability : float
        Of the intervals.

    Returns
    -------
    Overlap

    Raises
    ------
    LamellaError
        Where the box has no extent along an axis, or a number cannot be used.
    """
    low, high = _corners(box, 3)
    place = _placement(to_box)
    corners = place.transform(lamella.mid_plane)
    moves = _moves(covariance, corners, probability)
    middle = corners[0]  # numbers stay small about a corner of the slab
    rise = place.linear @ (lamella.thickness * lamella.normal)
    parts, signs = _convex(corners - middle, known=not lamella.outline)
    rises = rise + moves.turns @ rise
    bases = moves.applied(parts, corners.mean(axis=0) - middle)
    bases -= 0.5 * rises[:, np.newaxis, np.newaxis]
    faces, counts, planes = prisms(bases, rises[:, np.newaxis])
    edges = high - low
    base = low - middle + edges * np.array([[0, 0, 0], [0, 1, 0], [0, 1, 1], [0, 0, 1]])
    volumes = common_volumes(faces, counts, planes, signs, prisms(base, edges * [1.0, 0.0, 0.0]))
    scale = abs(float(np.linalg.det(place.linear)))
    wholes = lamella.volume * scale * moves.growths
    shares = np.clip(volumes / wholes, 0.0, 1.0)
    plan = _plan(corners, (low[1:], high[1:]), moves, probability, not lamella.outline)
    return Overlap(
        volume=float(shares[0] * lamella.volume),
        volume_fraction=float(shares[0]),
        area_fraction=plan.area_fraction,
        field_fraction=plan.field_fraction,
        iou=plan.iou,
        volume_interval=_interval(shares, probability),
        area_interval=plan.area_interval,
        field_interval=plan.field_interval,
        iou_interval=plan.iou_interval,
    )


def plan_overlap(
    lamella: Lamella,
    field: ArrayLike,
    to_field: Affine | ArrayLike | None = None,
    covariance: Spread = None,
    probability: float = 0.95,
) -> PlanOverlap:
    """Intersect the mid-plane of a lamella, as seen along z, with a field.

    Parameters
    ----------
    lamella : Lamella
    field : ((y0, x0), (y1, x1))
        Two opposite corners, µm.
    to_field : Affine or (4, 4) or (2, 4) array_like, optional
        From the lamella's frame to that of the field.
    covariance : (3, 3) array_like, optional
        As in :func:`overlap`.
    probability : float
        Of the intervals.

    Raises
    ------
    LamellaError
        Where the field has no extent, or the lamella is seen edge on.
    """
    corners = _placement(to_field).transform(lamella.mid_plane)
    moves = _moves(covariance, corners, probability)
    return _plan(corners, _corners(field, 2), moves, probability, not lamella.outline)


def _plan(
    solid: Floats,
    field: tuple[Floats, Floats],
    moves: _Moves,
    probability: float,
    rectangle: bool,
) -> PlanOverlap:
    """Intersect the corners (n, 3) of a mid-plane with a field, as seen along z."""
    corners = solid[:, 1:]
    area = abs(signed_area(corners))
    extent = float(np.ptp(corners, axis=0).max())
    if area <= 1e-9 * extent**2:
        raise LamellaError(
            "The lamella is seen edge on and has no area in plan view; check its angle."
        )
    middle = solid[0]
    parts, signs = _convex(solid - middle, in_plan=True, known=rectangle)
    places = moves.applied(parts, solid.mean(axis=0) - middle)
    low, high = field[0] - middle[1:], field[1] - middle[1:]
    common = np.clip(common_areas(places, signs, low, high), 0.0, None)
    ends = np.concatenate([places[..., 1:, :], places[..., :1, :]], axis=-2)
    around = places[..., 1] * ends[..., 2] - places[..., 2] * ends[..., 1]
    areas = np.maximum(0.5 * np.abs(around.sum(axis=-1) @ signs), common)
    of_field = float(np.prod(field[1] - field[0]))
    iou = common / (areas + of_field - common)
    of_lamella, share = common / areas, common / of_field
    return PlanOverlap(
        float(of_lamella[0]),
        float(share[0]),
        float(iou[0]),
        _interval(of_lamella, probability),
        _interval(share, probability),
        _interval(iou, probability),
    )


def _convex(corners: Floats, in_plan: bool = False, known: bool = False) -> tuple[Floats, Floats]:
    """Give a plane polygon (n, 3) as convex parts (k, m, 3) and their signs.

    In plan view parts turn from y to x; `known` says that the polygon is convex.
    """
    if known and not in_plan:
        return corners[np.newaxis], np.ones(1)
    flat = corners[:, 1:] if in_plan else _flattened(corners)
    total = signed_area(flat)
    sides = _next(flat) - flat
    turns = _cross(sides, _next(sides)) * np.sign(total)
    if known or (turns >= -1e-12 * abs(total)).all():
        order = corners if total > 0 else corners[::-1]
        return order[np.newaxis], np.ones(1)
    # a simple polygon is the signed sum of the triangles from its first corner
    parts, signs = [], []
    for index in range(1, len(flat) - 1):
        rows = [0, index, index + 1]
        area = signed_area(flat[rows])
        if abs(area) > 1e-14 * abs(total):
            parts.append(corners[rows if area > 0 else rows[::-1]])
            signs.append(np.sign(area) * np.sign(total))
    return np.array(parts), np.array(signs)


def _next(rows: Floats) -> Floats:
    return np.concatenate([rows[1:], rows[:1]])


def _cross(one: Floats, other: Floats) -> Floats:
    return np.asarray(one[:, 0] * other[:, 1] - one[:, 1] * other[:, 0])


def _flattened(corners: Floats) -> Floats:
    """Give coordinates (n, 2) within the plane of a polygon (n, 3)."""
    spread = corners - corners[0]
    first = spread[int(np.argmax((spread**2).sum(axis=1)))]
    first = first / np.sqrt(first @ first)
    rest = spread - np.outer(spread @ first, first)
    second = rest[int(np.argmax((rest**2).sum(axis=1)))]
    return np.column_stack([spread @ first, rest @ (second / np.sqrt(second @ second))])


def _corners(box: ArrayLike, ndim: int) -> tuple[Floats, Floats]:
    """Give the low and the high corner of a box, checked."""
    what = "The tomogram's box" if ndim == 3 else "The field"
    array = as_points(box, ndim, what)
    if len(array) != 2:
        raise LamellaError(f"{what} needs two opposite corners, but {len(array)} are given.")
    low, high = array.min(axis=0), array.max(axis=0)
    for name, size in zip("zyx"[3 - ndim :], high - low, strict=True):
        if not size > 0:
            hint = " (a projection has a plan overlap only)" if name == "z" else ""
            raise LamellaError(f"{what} has no extent along {name}; give both of its ends{hint}.")
    return low, high


def _placement(place: Affine | ArrayLike | None) -> Affine:
    """Give a map as Affine; a projection (2 x 4) gets heights 0."""
    if place is None:
        return Affine.identity(3)
    found = place if isinstance(place, Affine) else Affine(np.asarray(place, float))
    if found.is_projection:
        return Affine.from_parts(
            np.vstack([np.zeros(3), found.linear]), [0.0, *found.translation.tolist()]
        )
    if found.linear.shape != (3, 3):
        raise LamellaError("The map from the lamella to the tomogram must take (z, y, x).")
    return found


@dataclass(frozen=True, eq=False)
class _Moves:
    """Ways in which a lamella may lie otherwise than registered; the first is as registered."""

    shifts: Floats  # (s, 3) µm
    turns: Floats  # (s, 3, 3) relative change of the linear map about the middle

    def applied(self, parts: Floats, middle: Floats) -> Floats:
        """Move parts (k, m, 3) in every way, (s, k, m, 3)."""
        moved = parts + self.shifts[:, np.newaxis, np.newaxis]
        if self.turning:
            turns = np.swapaxes(self.turns, 1, 2)[:, np.newaxis]
            moved += (parts - middle) @ turns
        return np.asarray(moved)

    @property
    def turning(self) -> bool:
        """Whether it is more than shifted."""
        return bool(self.turns.any())

    @property
    def growths(self) -> Floats:
        """By how much volumes change, (s,)."""
        if not self.turning:
            return np.ones(len(self.turns))
        return np.asarray(np.abs(np.linalg.det(np.eye(3) + self.turns)))


@lru_cache(maxsize=1)
def _normal_draws() -> Floats:
    """Spread points over the standard normal in 12D: an R sequence (Roberts 2018), antithetic."""
    from scipy.special import ndtri

    root = 1.0
    for _ in range(64):  # the root of x¹³ = x + 1
        root = (1.0 + root) ** (1 / 13)
    steps = root ** -np.arange(1.0, 13.0)
    half = (0.5 + np.outer(np.arange(1, _PLACINGS // 2 + 1), steps)) % 1.0
    spread = ndtri(half)
    return np.vstack([np.zeros(12), spread, -spread])


def _moves(covariance: Spread, corners: Floats, probability: float) -> _Moves:
    """Draw the ways that a covariance leaves to a lamella with these corners (n, 3)."""
    if not 0.0 < probability < 1.0:
        raise LamellaError(f"A probability of {probability} makes no interval; give one in (0, 1).")
    if covariance is None:
        return _Moves(np.zeros((1, 3)), np.zeros((1, 3, 3)))
    draws = _normal_draws()
    growth = np.zeros(3)
    if callable(covariance):
        middle = corners.mean(axis=0)
        found = np.asarray(covariance(np.vstack([middle, corners])), float)
        if found.shape != (len(corners) + 1, 3, 3):
            raise LamellaError(
                f"The covariances have shape {found.shape}; give (n, 3, 3) µm² for n points."
            )
        spread = checked_covariance(found[0])
        for wrong in np.flatnonzero(~np.isfinite(found[1:]).all(axis=(1, 2))):
            checked_covariance(found[1 + wrong])  # says so
        more = np.einsum("nii->ni", found[1:]) - np.diag(spread)
        arms = ((corners - middle) ** 2).sum(axis=1).mean()
        growth = np.sqrt(np.maximum(more.mean(axis=0), 0.0) / arms)
    else:
        spread = checked_covariance(covariance)
    values, vectors = np.linalg.eigh(spread)
    root = vectors * np.sqrt(np.maximum(values, 0.0))
    turns = draws[:, 3:].reshape(-1, 3, 3) * growth[:, np.newaxis]
    return _Moves(draws[:, :3] @ root.T, turns)


def _interval(values: Floats, probability: float) -> Interval | None:
    if len(values) == 1:
        return None
    # linear between order statistics, as numpy.quantile, which takes longer than the overlaps
    ordered = np.sort(values[1:])
    place = (1 - probability) / 2 * (len(ordered) - 1)
    below, share = int(place), place % 1.0
    low = ordered[below] + share * (ordered[below + 1] - ordered[below])
    high = ordered[-1 - below] + share * (ordered[-2 - below] - ordered[-1 - below])
    return float(min(low, values[0])), float(max(high, values[0]))
