"""From a rough transform to pairs: assignment, refinement, and how likely chance does as well."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_clxem.fiducials.hypotheses import Hypotheses, Search
from napari_clxem.fiducials.profiles import Floats

Indices = NDArray[np.intp]

_ROUNDS = 8
_JOGS = 48
"""Places about a correspondence at which chance is measured."""

_WIDEST = 3.0
_TIGHTER = (1.0, 0.5, 0.25)
_ROUND = 1.25
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
    distance : (k,) ndarray
        Miss of each pair over its tolerance.
    accidents : float
        Expected number of equally good correspondences between unrelated sets.
    evidence : float
        Log-likelihood of the pairs' misses against chance: what rivals are compared by.
    """

    pairs: Indices
    linear: Floats
    shift: Floats
    distance: Floats
    accidents: float
    evidence: float


def refine(search: Search, found: Hypotheses, shear: bool) -> list[Correspondence]:
    """Refine hypotheses and order them by how little chance explains them.

    Parameters
    ----------
    search : Search
        The sets.
    found : Hypotheses
        Rough transforms.
    shear : bool
        Whether a correspondence with enough pairs may be fitted by an affine map.

    Returns
    -------
    list of Correspondence
        Those with more pairs than any two sets can be made to share.
    """
    from scipy.spatial import cKDTree

    tree = cKDTree(search.second)
    results = []
    for linear, shift in zip(found.linear, found.shift, strict=True):
        result = _grow(search, tree, linear, shift, shear, found.trials)
        if result is not None:
            results.append(result)
    return sorted(results, key=lambda r: r.accidents)


def _grow(
    search: Search, tree: Any, linear: Floats, shift: Floats, shear: bool, trials: float
) -> Correspondence | None:
    """Fit and assign in turn until the pairs stay the same."""
    ndim = search.second.shape[1]
    tolerance = np.full(len(search.first), search.tolerance)
    pairs, before = np.zeros((0, 2), dtype=np.intp), b""
    hand = 1.0 if np.linalg.det(linear) > 0 else -1.0
    absorbed = ndim
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
        affine = shear and len(pairs) >= _AFFINE_FROM[ndim]
        absorbed = ndim + 1 if affine else ndim
        source, target = search.first[pairs[:, 0]], search.second[pairs[:, 1]]
        linear, shift = (_affine if affine else _similar)(source, target, hand)
        tolerance = search.tolerance * _widening(search.first, source)
    mapped = search.first @ linear.T + shift
    pairs, distance = assign(mapped, tree, tolerance, search.allowed)
    if len(pairs) <= absorbed or not _plausible(search, linear):
        return None
    accidents = _accidents(search, tree, linear, shift, tolerance, distance, absorbed, trials)
    evidence = _evidence(search, tolerance[pairs[:, 0]], distance)
    return Correspondence(pairs, linear, shift, distance, accidents, evidence)


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


def _similar(source: Floats, target: Floats, hand: float) -> tuple[Floats, Floats]:
    """Least-squares similarity (Umeyama 1991); `hand` -1 gives a mirrored one.

    Few pairs, or pairs on a line, fit either hand: it is the hypothesis that knows.
    """
    middle, aim = source.mean(axis=0), target.mean(axis=0)
    p, q = source - middle, target - aim
    u, s, vt = np.linalg.svd(q.T @ p)
    signs = np.ones(len(s))
    signs[-1] = hand * np.sign(np.linalg.det(u @ vt))
    size = float((s * signs).sum()) / max(float((p**2).sum()), 1e-300)
    linear: Floats = size * (u * signs) @ vt
    return linear, aim - linear @ middle


def _affine(source: Floats, target: Floats, hand: float) -> tuple[Floats, Floats]:
    """Least-squares affine map; directions without spread keep the similarity."""
    middle, aim = source.mean(axis=0), target.mean(axis=0)
    linear, _ = _similar(source, target, hand)
    p, q = source - middle, target - aim
    # A faint pull towards the similarity settles what the points leave open.
    spread = float((p**2).sum()) / len(p)
    normal = p.T @ p + 1e-3 * spread * np.eye(p.shape[1])
    change = np.linalg.solve(normal, p.T @ (q - p @ linear.T)).T
    sheared: Floats = linear + change
    return sheared, aim - sheared @ middle


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
    scales = np.linalg.svd(linear, compute_uv=False)
    slack = 2.0 * search.tolerance / max(float(np.ptp(search.first, axis=0).max()), 1e-12)
    mean = float(np.prod(scales)) ** (1.0 / len(scales))
    hand = search.mirror or np.linalg.det(linear) > 0
    return bool(hand and low - slack <= mean <= high + slack and scales[0] < _ROUND * scales[-1])


def _accidents(
    search: Search,
    tree: Any,
    linear: Floats,
    shift: Floats,
    tolerance: Floats,
    distance: Floats,
    absorbed: int,
    trials: float,
) -> float:
    """Give the expected number of correspondences as good as this one between unrelated sets.

    A contrario (Desolneux, Moisan and Morel 2000): the trials, times the probability that among
    the visible points as many meet a partner by chance. The pairs that define the transform are
    not counted. Tighter tolerances are tried too, and paid for. Where the second set is clustered
    about the mapped points, the chance is what it is found to be there.
    """
    from scipy.special import bdtrc

    mapped = search.first @ linear.T + shift
    visible = search.visible(mapped)
    total = max(int(visible.sum()), len(distance))
    wide = tolerance[visible]
    trials = max(trials, 1e-6) * len(_TIGHTER)

    def expected(nearby: bool) -> float:
        best = np.inf
        for share in _TIGHTER:
            met = int((distance <= share).sum()) - absorbed
            if met <= 0:
                continue
            chance = 1.0
            if len(wide):
                chance = float(np.mean(search.chance(share * wide)))
            if nearby and len(wide):
                chance = max(chance, _nearby_chance(tree, mapped[visible], share * wide))
            best = min(best, float(bdtrc(met - 1, total - absorbed, min(chance, 1.0))))
        return float(trials * best)

    # Clusters only make chance likelier, and need no look where it is likely enough.
    even = expected(nearby=False)
    return even if even >= 1.0 else expected(nearby=True)


def _evidence(search: Search, tolerance: Floats, distance: Floats) -> float:
    """Log-likelihood ratio of the pairs' misses, normal with half the tolerance as sd.

    That is wider than true misses are, so that how closely pairs agree counts for less than how
    many do.
    """
    ndim = search.second.shape[1]
    spread = tolerance / 2.0
    ratio = -np.log(search.density * (np.sqrt(2.0 * np.pi) * spread) ** ndim)
    return float(np.maximum(ratio - 2.0 * distance**2, 0.0).sum())


def _nearby_chance(tree: Any, mapped: Floats, reach: Floats) -> float:
    """Share of mapped points that still meet one when all are moved aside by some tolerances."""
    rng = np.random.default_rng(0)
    steps = rng.normal(size=(_JOGS, 1, mapped.shape[1]))
    steps /= np.linalg.norm(steps, axis=2, keepdims=True)
    steps *= rng.uniform(4.0, 14.0, (_JOGS, 1, 1))
    moved = mapped + steps * float(np.median(reach))
    distance = tree.query(moved.reshape(-1, mapped.shape[1]))[0].reshape(_JOGS, -1)
    return float((distance <= reach).mean())
