"""Trial views of a volume: triangles of its points laid on triangles of marks in an image.

Three points and the scale give a scaled orthographic view, up to the sign of depth. An oblique
view is nothing special, nor is one along the grid.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np

from napari_clxem.errors import ClxemError
from napari_clxem.fiducials import plain_views
from napari_clxem.fiducials.hypotheses import (
    DECIDED,
    HIT,
    KEEP,
    NEIGHBOURS,
    Hypotheses,
    Indices,
    Search,
)
from napari_clxem.fiducials.plane_search import Nearest
from napari_clxem.fiducials.profiles import Floats

_TRIANGLES = 100
_BUDGET = 150_000
"""Views scored at most."""

_LOOSE = 4.0
"""Points that a triangle places worse than this many tolerances are left out of its score."""

_LEAST_HEIGHT = 6.0
"""Height of a triangle over the tolerance: flatter ones place nothing."""

_COARSE = 8.0
"""Degrees by which a small triangle mistakes a view."""


@dataclass(frozen=True, kw_only=True)
class View:
    """From where an image shows a volume, as far as the instrument knows.

    Parameters
    ----------
    angle : float
        Between the line of sight and the plane (y, x) of the volume, degrees: the milling angle
        of a FIB view; 90 from above (from higher z), negative from below.
    angle_sd : float
        Its standard deviation.
    azimuth : float, optional
        Turn of the beam's direction in the plane, from +y towards -x, degrees, as for a lamella;
        any where it is not given.
    azimuth_sd : float
        Its standard deviation.
    rotation : float, optional
        How far the image is turned, from +row towards +column, degrees: 0 where what is higher
        shows further up, as with a scan rotation of 0. Any where it is None. It tells mirror
        solutions apart.
    rotation_sd : float
        Its standard deviation.
    """

    angle: float
    angle_sd: float = 3.0
    azimuth: float | None = None
    azimuth_sd: float = 5.0
    rotation: float | None = 0.0
    rotation_sd: float = 5.0

    def __post_init__(self) -> None:
        spreads = (self.angle_sd, self.azimuth_sd, self.rotation_sd)
        if not (abs(self.angle) <= 90.0 and all(0.0 < sd <= 180.0 for sd in spreads)):
            raise ClxemError(
                f"A view from {self.angle}° ± {self.angle_sd}° over the plane is none; give an "
                "angle from -90 to 90 and positive standard deviations, in degrees."
            )

    @property
    def volume(self) -> float:
        """Volume of the rotations that it allows, of 8π² in all."""
        height = np.sqrt(2.0 * np.pi) * np.deg2rad(self.angle_sd)
        height = min(2.0, height * max(np.cos(np.deg2rad(self.angle)), np.deg2rad(self.angle_sd)))
        turns = 1.0
        for known, sd in ((self.azimuth, self.azimuth_sd), (self.rotation, self.rotation_sd)):
            whole = 2.0 * np.pi
            turns *= whole if known is None else min(whole, np.sqrt(whole) * np.deg2rad(sd))
        return float(height * turns)

    def limits(self, slack: float) -> Floats:
        """Give what the search compares a view with, widened by `slack` degrees; (9,)."""
        away = 3.0 * self.angle_sd + slack
        low, high = np.deg2rad(np.clip([self.angle - away, self.angle + away], -90.0, 90.0))
        known = [np.sin(low) - 1e-9, np.sin(high) + 1e-9]
        for value, sd in ((self.azimuth, self.azimuth_sd), (self.rotation, self.rotation_sd)):
            angle = np.deg2rad(value or 0.0)
            reach = np.deg2rad(min(3.0 * sd + slack, 180.0))
            # The turn of a view from above or below cannot be told from its azimuth.
            free = value is None or abs(self.angle) + away > 75.0
            known += [np.cos(angle), np.sin(angle), -2.0 if free else np.cos(reach)]
        limits: Floats = np.array([*known, 0.0])
        return limits

    def contains(self, linear: Floats) -> bool:
        """Tell whether a projection (2, 3) is such a view, within three sd."""
        down, right = linear / np.linalg.norm(linear, axis=1, keepdims=True)
        away = np.cross(down, right)
        turned = np.stack([away / max(np.linalg.norm(away), 1e-12), down, right])
        return _as_known(turned, self.limits(2.0))


def _as_known(turned: Floats, known: Floats) -> bool:
    """Do as the kernel of this name does."""
    (up, toward, aside), down, right = turned
    steep = np.hypot(down[0], right[0])
    azimuth = -toward * known[2] + aside * known[3] >= known[4] * np.hypot(toward, aside)
    rotation = -down[0] * known[5] - right[0] * known[6] >= known[7] * steep
    return bool(known[0] <= up <= known[1] and azimuth and rotation)


def oblique(search: Search, view: View | None) -> Hypotheses:
    """Find scaled orthographic views of points in space, as `Search` says.

    Returns
    -------
    Hypotheses
        `linear` is (h, 2, 3).
    """
    nearest = Nearest(search)
    views = plain_views.views if nearest.kernels is None else nearest.kernels.views
    first, second = search.first, np.ascontiguousarray(search.second)
    between = np.linalg.norm(second[:, None] - second[None], axis=2)
    allowed = search.allowed
    if allowed is None:
        allowed = np.ones((len(first), len(second)), bool)
    known = np.array([-2.0, 2.0, 1, 0, -2, 1, 0, -2, 0]) if view is None else view.limits(_COARSE)
    scale = float(search.scale[0]), float(search.stretch[1])
    parts: list[Floats] = [np.zeros((0, 9))]
    tried = 0
    for triple in _triangles(search):
        others, tolerance = _others(search, triple)
        chance = np.clip(search.chance(tolerance), 1e-12, 0.9)
        found, scored = views(
            *(first, triple, others, second, between, allowed, scale, 2.0 * search.tolerance),
            *(known, nearest.index, nearest.origin, nearest.cell, *search.window, tolerance),
            *(np.log(HIT / chance), np.log((1.0 - HIT) / (1.0 - chance)), NEIGHBOURS, KEEP),
        )
        tried += scored
        parts.append(found[np.isfinite(found[:, 8])])
        best = parts[-1][:, 8].max(initial=-np.inf)
        if best > np.log(max(tried, 1)) + DECIDED or tried > _BUDGET:
            break
    rows = np.concatenate(parts)
    rows = _distinct(rows[np.argsort(-rows[:, 8], kind="stable")[: 20 * KEEP]], search)
    return Hypotheses(rows[:, :6].reshape(-1, 2, 3), rows[:, 6:8], rows[:, 8], float(tried))


def _triangles(search: Search) -> list[Indices]:
    """Triangles of the first set that are neither flat nor large, each point in a few."""
    points = search.first
    every = np.array(list(combinations(range(len(points)), 3)), dtype=np.intp).reshape(-1, 3)
    if len(every) > 20_000:
        every = np.random.default_rng(0).permutation(every)[:20_000]
    u, v = (points[every[:, k]] - points[every[:, 0]] for k in (1, 2))
    sides = np.stack([np.linalg.norm(s, axis=1) for s in (u, v, u - v)], axis=1)
    longest = sides.max(axis=1)
    height = np.linalg.norm(np.cross(u, v), axis=1) / np.maximum(longest, 1e-12)
    good = np.flatnonzero(height * search.scale[0] > _LEAST_HEIGHT * search.tolerance)
    # Small ones have few look-alikes; long-drawn ones place little.
    order = np.argsort(longest[good] ** 2 / height[good], kind="stable")
    used, chosen = np.zeros(len(points), int), []
    most = -(-6 * _TRIANGLES // max(len(points), 1))
    for row in good[order]:
        if np.all(used[every[row]] < most):
            used[every[row]] += 1
            chosen.append(every[row])
        if len(chosen) == _TRIANGLES:
            break
    # Those that share no point are looked at first: one of their points may show no mark.
    mixed = np.random.default_rng(1).permutation(len(chosen))
    return [chosen[k] for k in mixed]


def _others(search: Search, triple: Indices) -> tuple[Indices, Floats]:
    """Points that a triangle places well enough, the nearest first, and how well, µm."""
    points = search.first
    arms = points[triple] - points[triple].mean(axis=0)
    away = np.linalg.norm(points - points[triple].mean(axis=0), axis=1)
    spread = np.linalg.svd(arms, compute_uv=False)[1]
    tolerance = search.tolerance * np.sqrt(1.0 + (away / max(spread, 1e-12)) ** 2)
    order = np.argsort(away, kind="stable")
    order = order[~np.isin(order, triple)]
    tolerance = np.minimum(tolerance[order], _LOOSE * search.tolerance)
    return order, tolerance


def _distinct(rows: Floats, search: Search) -> Floats:
    """Drop views that say the same as a better one."""
    kept: list[int] = []
    mapped = np.einsum("hab,mb->hma", rows[:, :6].reshape(-1, 2, 3), search.first)
    mapped += rows[:, None, 6:8]
    for row in range(len(rows)):
        away = np.linalg.norm(mapped[kept] - mapped[row], axis=2).max(axis=1, initial=0.0)
        if not len(kept) or away.min() > 3.0 * search.tolerance:
            kept.append(row)
        if len(kept) == 2 * KEEP:
            break
    return rows[kept]
