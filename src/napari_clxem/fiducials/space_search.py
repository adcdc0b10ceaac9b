"""Trial correspondences in space: triangles laid on triangles of equal sides."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np

from napari_clxem.fiducials.hypotheses import (
    DECIDED,
    HIT,
    KEEP,
    NEIGHBOURS,
    Flags,
    Hypotheses,
    Indices,
    Search,
)
from napari_clxem.fiducials.profiles import Floats

_TRIANGLES = 150


def spatial(search: Search) -> Hypotheses:
    """Find similarity transforms in space from triangles, as `Search` says."""
    from scipy.spatial import cKDTree

    a, b = search.first, search.second
    tree = cKDTree(b)
    triples, total = _triangles(search)
    distance = np.linalg.norm(b[:, None] - b[None], axis=2)
    linear: list[Floats] = [np.zeros((0, 3, 3))]
    shift: list[Floats] = [np.zeros((0, 3))]
    score: list[Floats] = [np.zeros(0)]
    tried = agreed = 0
    for triple in triples:
        corners = _agreeing_triangles(search, triple, distance)
        tried, agreed = tried + 1, agreed + len(corners)
        if not len(corners):
            continue
        turned, moved = _similarity(a[triple], b[corners], search.scale[0], search.mirror)
        points = a[np.argsort(np.linalg.norm(a - a[triple].mean(axis=0), axis=1), kind="stable")]
        hit, _ = _hits_spatial(search, tree, turned, moved, points[: 3 + NEIGHBOURS])
        alive = hit.sum(axis=1) > 3
        if not alive.any():
            continue
        linear.append(turned[alive])
        shift.append(moved[alive])
        score.append(_score_spatial(search, tree, linear[-1], shift[-1], points))
        if score[-1].max() > np.log(max(agreed * total / tried, 1.0)) + DECIDED:
            break
    scores = np.concatenate(score)
    order = np.argsort(-scores, kind="stable")[:KEEP]
    trials = max(agreed * total / max(tried, 1), 1.0)
    return Hypotheses(
        np.concatenate(linear)[order], np.concatenate(shift)[order], scores[order], trials
    )


def _triangles(search: Search) -> tuple[list[Indices], int]:
    """Well-shaped triangles of the first set, small ones first, and how many there are in all."""
    points = search.first
    every = np.array(list(combinations(range(len(points)), 3)), dtype=np.intp).reshape(-1, 3)
    u = points[every[:, 1]] - points[every[:, 0]]
    v = points[every[:, 2]] - points[every[:, 0]]
    sides = np.stack([np.linalg.norm(s, axis=1) for s in (u, v, u - v)], axis=1)
    longest = sides.max(axis=1)
    height = np.linalg.norm(np.cross(u, v), axis=1) / np.maximum(longest, 1e-12)
    good = np.flatnonzero(height > 4.0 * search.tolerance)
    # Small triangles have few look-alikes, and lie within a partial overlap.
    good = good[np.argsort(longest[good], kind="stable")]
    used, chosen = np.zeros(len(points), int), []
    most = -(-6 * _TRIANGLES // max(len(points), 1))
    for row in good:
        if np.all(used[every[row]] < most):
            used[every[row]] += 1
            chosen.append(every[row])
        if len(chosen) == _TRIANGLES:
            break
    return chosen, len(every)


def _agreeing_triangles(search: Search, triple: Indices, distance: Floats) -> Indices:
    """Ordered triples of the second set whose sides agree: (c, 3)."""
    low, high = search.stretch
    slack = 2.0 * search.tolerance
    a = search.first[triple]
    sides = [np.linalg.norm(a[p] - a[q]) for p, q in ((0, 1), (0, 2), (1, 2))]
    fits = [(distance > s * low - slack) & (distance < s * high + slack) for s in sides]
    for fit in fits:
        np.fill_diagonal(fit, False)
    if search.allowed is not None:
        fits[0] &= np.outer(search.allowed[triple[0]], search.allowed[triple[1]])
        fits[1] &= np.outer(search.allowed[triple[0]], search.allowed[triple[2]])
    k, m = np.nonzero(fits[0])
    rows, third = np.nonzero(fits[1][k] & fits[2][m])
    return np.stack([k[rows], m[rows], third], axis=1)


def _similarity(
    source: Floats, targets: Floats, scale: float, mirror: bool
) -> tuple[Floats, Floats]:
    """Rotations with the expected scale that bring a triangle onto many others (Kabsch)."""
    centre = source.mean(axis=0)
    middle = targets.mean(axis=1)
    cross = np.einsum("ca,hcb->hba", source - centre, targets - middle[:, None])
    u, _, vt = np.linalg.svd(cross)
    hand = np.linalg.det(u @ vt)
    flips = [hand] if not mirror else [hand, -hand]
    linear = []
    for sign in flips:
        turned = u.copy()
        turned[:, :, 2] *= sign[:, None]
        linear.append(scale * (turned @ vt))
    every = np.concatenate(linear)
    middles = np.concatenate([middle] * len(flips))
    return every, middles - every @ centre


def _hits_spatial(
    search: Search, tree: Any, linear: Floats, shift: Floats, points: Floats
) -> tuple[Flags, Flags]:
    """Which points a hypothesis brings near a partner, and which into the other set: (h, k)."""
    mapped = np.einsum("hab,mb->hma", linear, points) + shift[:, None]
    distance, _ = tree.query(mapped, distance_upper_bound=2.0 * search.tolerance)
    hit: Flags = np.isfinite(distance)
    return hit, search.visible(mapped)


def _score_spatial(
    search: Search, tree: Any, linear: Floats, shift: Floats, points: Floats
) -> Floats:
    """Log-likelihood ratio of each hypothesis over the points it brings near partners."""
    hit, visible = _hits_spatial(search, tree, linear, shift, points)
    chance = np.clip(search.chance(np.array(2.0 * search.tolerance)), 1e-12, 0.9)
    gain = np.where(hit, np.log(HIT / chance), np.log((1.0 - HIT) / (1.0 - chance)))
    score: Floats = np.where(visible | hit, gain, 0.0).sum(axis=1)
    return score
