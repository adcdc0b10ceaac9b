"""From a rough transform to pairs: assignment, refinement, and how likely chance does as well."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_clxem.fiducials.evidence import Seen, generators, log_odds
from napari_clxem.fiducials.hypotheses import Hypotheses, Search
from napari_clxem.fiducials.profiles import Floats

Indices = NDArray[np.intp]

_ROUNDS = 8
_JOGS, _COUNTED = (48, 800), 16.0
"""Places about a correspondence at which chance is measured, and hits expected among them."""

_WIDEST = 3.0
_ROUND = 1.25
_STEPS = 6
_TURNS = generators(3)
_AFFINE_FROM = {2: 6, 3: 10}
"""Pairs from which on a growing correspondence may shear."""


@dataclass(frozen=True)
class Correspondence:
    """Pairs under one transform.

    Parameters
    ----------
    pairs : (k, 2) ndarray of int
        Rows of the first and the second set.
    linear, shift : (d, d), (d,) ndarray
        Second = linear @ first + shift.
    odds : float
        Logarithm of the odds against chance, as in :func:`log_odds`.
    """

    pairs: Indices
    linear: Floats
    shift: Floats
    odds: float


def refine(
    search: Search,
    found: Hypotheses,
    shear: bool,
    accepts: Callable[[Floats], bool] | None = None,
) -> list[Correspondence]:
    """Refine hypotheses and order them by how little chance explains them.

    Parameters
    ----------
    search : Search
        The sets.
    found : Hypotheses
        Rough transforms.
    shear : bool
        Whether a correspondence with enough pairs may be fitted by an affine map.
    accepts : callable, optional
        Tells of the linear part of a transform whether it may be.

    Returns
    -------
    list of Correspondence
        Those with more pairs than any two sets can be made to share.
    """
    from scipy.spatial import cKDTree

    tree = cKDTree(search.second)
    results = []
    for linear, shift in zip(found.linear, found.shift, strict=True):
        result = _grow(search, tree, linear, shift, shear)
        if result is not None and (accepts is None or accepts(result.linear)):
            results.append(result)
    return sorted(results, key=lambda r: -r.odds)


def _grow(
    search: Search, tree: Any, linear: Floats, shift: Floats, shear: bool
) -> Correspondence | None:
    """Fit and assign in turn until the pairs stay the same."""
    ndim = search.second.shape[1]
    tolerance = np.full(len(search.first), search.tolerance)
    pairs, before = np.zeros((0, 2), dtype=np.intp), b""
    oblique = search.first.shape[1] > ndim
    hand = -1.0 if not oblique and np.linalg.det(linear) < 0 else 1.0
    absorbed, affine = (3 if oblique else ndim), False
    reach = 2.0
    for turn in range(_ROUNDS):
        mapped = search.first @ linear.T + shift
        pairs, distance = assign(mapped, tree, tolerance * reach, search.allowed)
        reach = 1.0
        if len(pairs) <= absorbed:
            return None
        if pairs.tobytes() == before and turn > 1:
            break
        before = pairs.tobytes()
        source, target = search.first[pairs[:, 0]], search.second[pairs[:, 1]]
        if oblique:
            linear, shift = _projected(source, target, linear, search.calibration)
        else:
            affine = shear and len(pairs) >= _AFFINE_FROM[ndim]
            absorbed = ndim + 1 if affine else ndim
            fitted = _affine if affine else _similar
            linear, shift = fitted(source, target, hand, search.calibration)
        tolerance = search.tolerance * _widening(search.first, source)
    mapped = search.first @ linear.T + shift
    pairs, distance = assign(mapped, tree, tolerance, search.allowed)
    if len(pairs) <= absorbed or not _plausible(search, linear):
        return None
    distance = distance * tolerance[pairs[:, 0]] / search.tolerance
    odds = _odds(search, tree, mapped, linear, pairs, distance, affine)
    return Correspondence(pairs, linear, shift, odds)


def assign(
    mapped: Floats, tree: Any, tolerance: Floats, allowed: NDArray[np.bool_] | None = None
) -> tuple[Indices, Floats]:
    """Pair each mapped point with at most one partner, nearest first.

    Parameters
    ----------
    mapped : (m, d) ndarray
        Points of the first set, mapped.
    tree : scipy.spatial.cKDTree
        Of the second set.
    tolerance : (m,) ndarray
        Furthest partner of each point.
    allowed : (m, n) ndarray of bool, optional
        Which points may correspond.

    Returns
    -------
    pairs : (k, 2) ndarray of int
    distance : (k,) ndarray
        Over the point's tolerance.
    """
    count = min(3, tree.n)
    distance, index = tree.query(mapped, k=count)
    distance, index = distance.reshape(-1, count), index.reshape(-1, count)
    share = distance / tolerance[:, None]
    row, column = np.nonzero(share <= 1.0)
    if allowed is not None:
        kept = allowed[row, index[row, column]]
        row, column = row[kept], column[kept]
    taken_first = np.zeros(len(mapped), bool)
    taken_second = np.zeros(tree.n, bool)
    chosen = []
    for n in np.argsort(share[row, column], kind="stable"):
        i, k = row[n], index[row[n], column[n]]
        if not taken_first[i] and not taken_second[k]:
            taken_first[i] = taken_second[k] = True
            chosen.append((i, k, share[i, column[n]]))
    chosen.sort()
    pairs = np.array([(i, k) for i, k, _ in chosen], dtype=np.intp).reshape(-1, 2)
    return pairs, np.array([s for _, _, s in chosen])


def _similar(
    source: Floats, target: Floats, hand: float, scale: tuple[float, float]
) -> tuple[Floats, Floats]:
    """Least-squares similarity (Umeyama 1991); `hand` -1 gives a mirrored one.

    `scale` is what the calibration says of the scale, and its sd over that of a point, 1/µm.

    Few pairs, or pairs on a line, fit either hand: it is the hypothesis that knows.
    """
    middle, aim = source.mean(axis=0), target.mean(axis=0)
    p, q = source - middle, target - aim
    u, s, vt = np.linalg.svd(q.T @ p)
    signs = np.ones(len(s))
    signs[-1] = hand * np.sign(np.linalg.det(u @ vt))
    spread = max(float((p**2).sum()), 1e-300)
    # As the calibration and the points know it, each by its variance.
    expected, loose = scale
    size = (float((s * signs).sum()) * loose**2 + expected) / (spread * loose**2 + 1.0)
    linear: Floats = size * (u * signs) @ vt
    return linear, aim - linear @ middle


def _affine(
    source: Floats, target: Floats, hand: float, scale: tuple[float, float]
) -> tuple[Floats, Floats]:
    """Least-squares affine map; directions without spread keep the similarity."""
    middle, aim = source.mean(axis=0), target.mean(axis=0)
    linear, _ = _similar(source, target, hand, scale)
    p, q = source - middle, target - aim
    # A faint pull towards the similarity settles what the points leave open.
    spread = float((p**2).sum()) / len(p)
    normal = p.T @ p + 1e-3 * spread * np.eye(p.shape[1])
    change = np.linalg.solve(normal, p.T @ (q - p @ linear.T)).T
    sheared: Floats = linear + change
    return sheared, aim - sheared @ middle


def _projected(
    source: Floats, target: Floats, linear: Floats, scale: tuple[float, float]
) -> tuple[Floats, Floats]:
    """Least-squares scaled orthographic view, from a rough one on, by Gauss-Newton steps."""
    middle, aim = source.mean(axis=0), target.mean(axis=0)
    arms, seen = source - middle, target - aim
    expected, loose = scale
    for _ in range(_STEPS):
        slope = np.stack([(arms @ (linear @ turn).T).ravel() for turn in _TURNS], axis=1)
        grown = (arms @ linear.T).ravel()
        slope = np.column_stack([slope, grown])
        size = float(np.sqrt((linear**2).sum() / 2.0))
        # The calibration weighs on the logarithm of the scale as one point more.
        weight = expected / max(loose, 1e-6)
        normal = slope.T @ slope
        normal[-1, -1] += weight**2
        normal[np.arange(4), np.arange(4)] *= 1.0 + 1e-3
        pull = slope.T @ ((seen - arms @ linear.T).ravel())
        pull[-1] += weight**2 * np.log(expected / size)
        step = np.linalg.solve(normal + 1e-9 * np.eye(4), pull)
        step *= min(1.0, 0.5 / max(float(np.abs(step).max()), 1e-12))
        half = sum(s * turn for s, turn in zip(step[:3] / 2.0, _TURNS, strict=True))
        rotation = np.linalg.solve(np.eye(3) - half, np.eye(3) + half)  # Cayley
        linear = float(np.exp(step[3])) * linear @ rotation
        if np.abs(step).max() < 1e-4:
            break
    return linear, aim - linear @ middle


def _widening(points: Floats, source: Floats) -> Floats:
    """Factor on the tolerance for what a fit through `source` leaves uncertain elsewhere."""
    middle = source.mean(axis=0)
    spread = max(float(((source - middle) ** 2).sum()), 1e-300)
    leverage = 1.0 / len(source) + ((points - middle) ** 2).sum(axis=1) / spread
    factor: Floats = np.minimum(np.sqrt(1.0 + leverage), _WIDEST)
    return factor


def _plausible(search: Search, linear: Floats) -> bool:
    """Whether scale and hand of a fitted map are among those searched."""
    low, high = search.stretch
    oblique = linear.shape[0] < linear.shape[1]
    scales = np.linalg.svd(linear, compute_uv=False)
    slack = 2.0 * search.tolerance / max(float(np.ptp(search.first, axis=0).max()), 1e-12)
    mean = float(np.prod(scales)) ** (1.0 / len(scales))
    hand = search.mirror or oblique or np.linalg.det(linear) > 0
    return bool(hand and low - slack <= mean <= high + slack and scales[0] < _ROUND * scales[-1])


def _odds(
    search: Search,
    tree: Any,
    mapped: Floats,
    linear: Floats,
    pairs: Indices,
    miss: Floats,
    sheared: bool,
) -> float:
    """Log odds against chance; where the second set is clustered, chance is what it is there."""
    visible = search.visible(mapped)
    unpaired = int(visible.sum()) - int(visible[pairs[:, 0]].sum())

    def odds(density: float) -> float:
        source = search.first[pairs[:, 0]]
        seen = Seen(source, miss, search.tolerance, unpaired, density, search.told, sheared)
        return log_odds(seen, linear, search.possible)

    # Clusters only make chance likelier, and need no look where it is likely enough.
    even = odds(search.density)
    if even <= 0.0:
        return even
    return odds(search.density * _crowding(search, tree, mapped[visible]))


def _crowding(search: Search, tree: Any, mapped: Floats) -> float:
    """How much denser the second set is about mapped points than on the whole, at least 1.

    Counted is how many of them still meet a point when all are moved aside by some tolerances.
    """
    chance = float(search.chance(np.array(search.tolerance)))
    jogs = int(np.clip(_COUNTED / (chance * len(mapped)), *_JOGS))
    rng = np.random.default_rng(0)
    steps = rng.normal(size=(jogs, 1, mapped.shape[1]))
    steps /= np.linalg.norm(steps, axis=2, keepdims=True)
    steps *= rng.uniform(4.0, 14.0, (jogs, 1, 1)) * search.tolerance
    moved = (mapped + steps).reshape(-1, mapped.shape[1])
    met = np.isfinite(tree.query(moved, distance_upper_bound=search.tolerance)[0]).sum()
    # Few hits say little: what they are surely beyond.
    return max(1.0, float(met - 2.0 * np.sqrt(met)) / (chance * len(moved)))
