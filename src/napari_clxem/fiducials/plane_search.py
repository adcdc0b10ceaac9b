"""Trial correspondences in the plane: baselines laid on pairs of equal length."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from napari_clxem.fiducials.compiling import ready
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

_BASELINES = 120
_SPREAD = 4.0
"""Points that a hypothesis places worse than this many tolerances are left out of its score."""


def planar(search: Search) -> Hypotheses:
    """Find similarity transforms in the plane, as `Search` says."""
    a, b = _complex(search.first), _complex(search.second)
    ends, length = _sorted_pairs(b)
    nearest = Nearest(search)
    trials = _expected_pairs(search)
    parts: list[Floats] = [np.zeros((0, 6))]
    for i, j in _baselines(search):
        span = a[j] - a[i]
        first, second = ends[_agreeing(search, abs(span), length)].T
        if search.allowed is not None:
            fits = search.allowed[i, first] & search.allowed[j, second]
            first, second = first[fits], second[fits]
        for flip in (False, True) if search.mirror else (False,):
            turn = (b[second] - b[first]) / (span.conjugate() if flip else span)
            keep = _turned_little(search, turn, abs(span))
            baseline = _Baseline(a, i, j, flip)
            parts.append(_score_planar(search, nearest, b, baseline, turn[keep], first[keep]))
        if len(parts[-1]) and parts[-1][0, 5] > np.log(max(trials, 1.0)) + DECIDED:
            break
    rows = np.concatenate(parts)
    rows = rows[np.argsort(-rows[:, 5], kind="stable")[: 10 * KEEP]]
    return _planar_result(_distinct(rows, search), trials)


def _complex(points: Floats) -> NDArray[np.complex128]:
    """Give points (y, x) as numbers x + iy, so that a turn and a scale are one product."""
    return points[:, 1] + 1j * points[:, 0]


def _baselines(search: Search) -> list[tuple[int, int]]:
    """Pairs of the first set to start from: not too short to give an angle, nor too long."""
    points = search.first
    pairs = np.array(list(combinations(range(len(points)), 2)), dtype=np.intp).reshape(-1, 2)
    length = np.linalg.norm(points[pairs[:, 0]] - points[pairs[:, 1]], axis=1)
    pairs, length = pairs[length > 4.0 * search.tolerance], length[length > 4.0 * search.tolerance]
    if len(pairs) <= _BASELINES:
        return [(int(i), int(j)) for i, j in pairs]
    # Long enough that the angle places the neighbourhood, short enough to lie in the overlap.
    middle = np.quantile(length, 0.15)
    order = np.argsort(np.abs(np.log(length / middle)), kind="stable")
    chosen, used = [], np.zeros(len(points), int)
    most = -(-4 * _BASELINES // len(points))
    for row in order:
        i, j = pairs[row]
        if used[i] < most and used[j] < most:
            chosen.append((int(i), int(j)))
            used[[i, j]] += 1
        if len(chosen) == _BASELINES:
            break
    return chosen


def _sorted_pairs(b: NDArray[np.complex128]) -> tuple[Indices, Floats]:
    """All ordered pairs of the second set by length: (p, 2) and (p,)."""
    distance = np.abs(b[:, None] - b[None, :])
    first, second = np.nonzero(~np.eye(len(b), dtype=bool))
    length = distance[first, second]
    order = np.argsort(length, kind="stable")
    return np.stack([first, second], axis=1)[order], length[order]


def _agreeing(search: Search, span: float, length: Floats) -> slice:
    """Rows of the sorted pairs that agree with a baseline."""
    low, high = search.stretch
    slack = 2.0 * search.tolerance
    return slice(
        int(np.searchsorted(length, span * low - slack)),
        int(np.searchsorted(length, span * high + slack)),
    )


def _turned_little(search: Search, turn: NDArray[np.complex128], span: float) -> Flags:
    if search.turn >= 180.0:
        return np.ones(len(turn), bool)
    slack = np.rad2deg(2.0 * search.tolerance / (span * search.scale[0]))
    little: Flags = np.abs(np.rad2deg(np.angle(turn))) <= search.turn + slack
    return little


class Nearest:
    """A raster of the second set: which point is near a place, at once for many places."""

    def __init__(self, search: Search) -> None:
        reach = _SPREAD * search.tolerance
        points = search.second
        self.origin = points.min(axis=0) - 2.0 * reach
        extent = np.ptp(points, axis=0) + 4.0 * reach
        self.cell = max(0.8 * search.tolerance, float(extent.max()) / 2000.0)
        shape = np.ceil(extent / self.cell).astype(int) + 1
        self.index = np.full(shape, -1, dtype=np.int16)
        pixels = (points - self.origin) / self.cell
        self.kernels = ready("match_kernels")
        if self.kernels is not None:
            self.kernels.fill(self.index, pixels, reach / self.cell)
        else:
            self._fill(pixels, reach / self.cell)

    def _fill(self, pixels: Floats, reach: float) -> None:
        """Do as the kernel does, until it is compiled."""
        best = np.full(self.index.shape, np.inf, dtype=np.float32)
        half = int(np.ceil(reach)) + 1
        grid = np.arange(-half, half + 1)
        for row, point in enumerate(pixels):
            at = np.round(point).astype(int)
            y, x = at[0] + grid, at[1] + grid
            y = y[(y >= 0) & (y < self.index.shape[0])]
            x = x[(x >= 0) & (x < self.index.shape[1])]
            distance = (y[:, None] - point[0]) ** 2 + (x[None, :] - point[1]) ** 2
            part = np.ix_(y, x)
            nearer = distance < best[part]
            best[part] = np.where(nearer, distance, best[part])
            self.index[part] = np.where(nearer, row, self.index[part])

    def lookup(self, places: NDArray[np.complex128]) -> NDArray[np.int16]:
        """Give the nearest point of each place x + iy, or -1 where none is near."""
        rows, columns = self.index.shape
        # The rim of the raster is empty, so places outside may as well lie on it.
        y = np.clip((places.imag - self.origin[0]) / self.cell + 0.5, 0, rows - 1).astype(np.int32)
        x = np.clip((places.real - self.origin[1]) / self.cell + 0.5, 0, columns - 1)
        found: NDArray[np.int16] = self.index.ravel().take(y * columns + x.astype(np.int32))
        return found


@dataclass(frozen=True)
class _Baseline:
    """Two points of the first set that a hypothesis starts from, and whether it is mirrored."""

    points: NDArray[np.complex128]
    start: int
    end: int
    flip: bool

    @property
    def span(self) -> float:
        return float(abs(self.points[self.end] - self.points[self.start]))

    def others(self) -> Indices:
        """Give the other points, those nearest to the baseline first: they are placed best."""
        middle = (self.points[self.start] + self.points[self.end]) / 2.0
        order = np.argsort(np.abs(self.points - middle), kind="stable")
        others: Indices = order[(order != self.start) & (order != self.end)]
        return others


def _score_planar(
    search: Search,
    nearest: Nearest,
    b: NDArray[np.complex128],
    baseline: _Baseline,
    turn: NDArray[np.complex128],
    partner: Indices,
) -> Floats:
    """Score hypotheses of one baseline: rows (turn re, im, shift re, im, flip, score)."""
    source = baseline.points.conjugate() if baseline.flip else baseline.points
    others = baseline.others()
    away = np.abs(source[others] - source[baseline.start])
    tolerance = search.tolerance * np.sqrt(1.0 + (2.0 * away / baseline.span) ** 2)
    near = tolerance <= _SPREAD * search.tolerance
    others, tolerance = others[near], tolerance[near]
    shift = b[partner] - turn * source[baseline.start]
    chance = np.clip(search.chance(tolerance), 1e-12, 0.9)
    gain, loss = np.log(HIT / chance), np.log((1.0 - HIT) / (1.0 - chance))
    if nearest.kernels is not None:
        score = nearest.kernels.scored(
            *(nearest.index, nearest.origin, nearest.cell, b, *search.window),
            *(source[others], turn, shift, tolerance, gain, loss, NEIGHBOURS),
        )
    else:
        # Most hypotheses are wrong, and a few neighbours suffice to see it.
        few = slice(0, NEIGHBOURS)
        hit, _ = _hits(search, nearest, b, turn, shift, source[others[few]], tolerance[few])
        alive = hit.any(axis=1)
        turn, shift = turn[alive], shift[alive]
        hit, visible = _hits(search, nearest, b, turn, shift, source[others], tolerance)
        score = np.where(visible | hit, np.where(hit, gain, loss), 0.0).sum(axis=1)
    best = np.argsort(-score, kind="stable")[:KEEP]
    best = best[np.isfinite(score[best])]
    turn, shift = turn[best], shift[best]
    flips = np.full(len(turn), float(baseline.flip))
    rows: Floats = np.stack([turn.real, turn.imag, shift.real, shift.imag, flips, score[best]], 1)
    return rows


def _hits(
    search: Search,
    nearest: Nearest,
    b: NDArray[np.complex128],
    turn: NDArray[np.complex128],
    shift: NDArray[np.complex128],
    source: NDArray[np.complex128],
    tolerance: Floats,
) -> tuple[Flags, Flags]:
    """Which points a hypothesis brings near a partner, and which into the other set: (h, k)."""
    mapped = turn[:, None] * source[None] + shift[:, None]
    index = nearest.lookup(mapped)
    hit: Flags = (index >= 0) & (np.abs(mapped - b[index]) <= tolerance)
    return hit, search.visible(mapped)


def _distinct(rows: Floats, search: Search) -> Floats:
    """Drop hypotheses that say the same as a better one."""
    if not len(rows):
        return rows
    low, high = search.first.min(axis=0), search.first.max(axis=0)
    corners = np.array([[low[0], low[1]], [low[0], high[1]], [high[0], low[1]], [high[0], high[1]]])
    corner = _complex(corners)
    turn, shift = rows[:, 0] + 1j * rows[:, 1], rows[:, 2] + 1j * rows[:, 3]
    source = np.where(rows[:, 4:5] > 0, corner.conjugate(), corner)
    mapped = turn[:, None] * source + shift[:, None]
    kept: list[int] = []
    for row in range(len(rows)):
        away = np.abs(mapped[kept] - mapped[row]).max(axis=1) if kept else np.array([np.inf])
        if away.min() > 3.0 * search.tolerance:
            kept.append(row)
        if len(kept) == KEEP:
            break
    return rows[kept]


def _planar_result(rows: Floats, trials: float) -> Hypotheses:
    """Turn rows into matrices over (y, x)."""
    re, im, flip = rows[:, 0], rows[:, 1], rows[:, 4] > 0
    # (x + iy) times (re + i im): x' = re x - im y, y' = im x + re y; a flip takes y to -y first.
    sign = np.where(flip, -1.0, 1.0)
    linear = np.empty((len(rows), 2, 2))
    linear[:, 0, 0], linear[:, 0, 1] = re * sign, im
    linear[:, 1, 0], linear[:, 1, 1] = -im * sign, re
    shift = np.stack([rows[:, 3], rows[:, 2]], axis=1)
    return Hypotheses(linear, shift, rows[:, 5], trials)


def _expected_pairs(search: Search) -> float:
    """Pairs of the second set that agree with pairs of the first by chance, all pairs counted."""
    m = len(search.first)
    i, j = np.triu_indices(m, 1)
    span = np.linalg.norm(search.first[i] - search.first[j], axis=1)
    low, high = search.stretch
    slack = 2.0 * search.tolerance
    outer = span * high + slack
    inner = np.maximum(span * low - slack, 0.0)
    ring = np.pi * (outer**2 - inner**2) * min(1.0, (search.turn + 1.0) / 180.0)
    ring = np.minimum(ring, search.size) * (2.0 if search.mirror else 1.0)
    partners = np.full(m, float(len(search.second)))
    if search.allowed is not None:
        partners = np.maximum(
            search.allowed.sum(axis=1), search.density * np.pi * search.tolerance**2
        )
        gate = partners / search.density
        ring = np.minimum(ring, gate[j])
        return float((partners[i] * ring * search.density).sum())
    return float((partners[i] * ring * search.density).sum())
