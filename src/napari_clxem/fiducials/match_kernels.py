"""Compiled kernels of matching; import it where used, as numba is slow to import."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit


@njit(cache=True, nogil=True, error_model="numpy")
def fill(index: Any, points: Any, reach: float) -> None:
    """Write into a raster which point is nearest, within `reach` pixels; -1 where none is.

    Parameters
    ----------
    index : (ny, nx) int16 array
        Filled.
    points : (n, 2) float array
        In pixels.
    reach : float
        Pixels.
    """
    rows, columns = index.shape
    best = np.full(index.shape, np.inf, np.float32)
    index[:] = -1
    half = int(np.ceil(reach)) + 1
    for n in range(len(points)):
        y0, x0 = int(points[n, 0] + 0.5), int(points[n, 1] + 0.5)
        for y in range(max(0, y0 - half), min(rows, y0 + half + 1)):
            for x in range(max(0, x0 - half), min(columns, x0 + half + 1)):
                away = (y - points[n, 0]) ** 2 + (x - points[n, 1]) ** 2
                if away < best[y, x]:
                    best[y, x] = away
                    index[y, x] = n


@njit(cache=True, nogil=True, error_model="numpy")
def scored(
    index: Any,
    origin: Any,
    cell: float,
    second: Any,
    low: Any,
    high: Any,
    source: Any,
    turn: Any,
    shift: Any,
    tolerance: Any,
    gain: Any,
    loss: Any,
    few: int,
) -> Any:
    """Score similarity transforms of the plane by the points they bring onto others.

    Parameters
    ----------
    index, origin, cell : (ny, nx) int16 array, (2,) array, float
        Raster of :func:`fill`, its corner (y, x) and pixel, µm.
    second : (n,) complex array
        Points x + iy that are met, µm.
    low, high : (2,) array
        Their extent (y, x), µm.
    source : (k,) complex array
        Points that are mapped, the best placed first.
    turn, shift : (h,) complex array
        Transforms: turn * source + shift.
    tolerance, gain, loss : (k,) array
        How near a point has to come, what it adds then, and what if it does not.
    few : int
        Points of which one has to meet another; else the score is -inf.
    """
    rows, columns = index.shape
    scores = np.full(len(turn), -np.inf)
    for h in range(len(turn)):
        score, met = 0.0, 0
        for k in range(len(source)):
            if k == few and met == 0:
                break
            place = turn[h] * source[k] + shift[h]
            y = (place.imag - origin[0]) / cell + 0.5
            x = (place.real - origin[1]) / cell + 0.5
            hit = False
            if 0.0 <= y < rows and 0.0 <= x < columns:
                near = index[int(y), int(x)]
                if near >= 0:
                    miss = place - second[near]
                    away = miss.real * miss.real + miss.imag * miss.imag
                    hit = away <= tolerance[k] * tolerance[k]
            if hit:
                score += gain[k]
                met += 1
            elif low[0] <= place.imag <= high[0] and low[1] <= place.real <= high[1]:
                score += loss[k]
        if met > 0 and (len(source) <= few or k >= few):
            scores[h] = score
    return scores


@njit(cache=True, nogil=True, error_model="numpy")
def views(
    first: Any,
    triple: Any,
    others: Any,
    second: Any,
    between: Any,
    allowed: Any,
    scale: Any,
    slack: float,
    known: Any,
    index: Any,
    origin: Any,
    cell: float,
    low: Any,
    high: Any,
    tolerance: Any,
    gain: Any,
    loss: Any,
    few: int,
    keep: int,
) -> Any:
    """Lay a triangle of space on all of a plane's that can be a view of it, and score the views.

    The depth of a vertex beside another is what the scale leaves of their distance; the second
    depth follows, with the first one's sign or the other, from the angle between the edges.

    Parameters
    ----------
    first : (m, 3) float array
        Points in space, µm.
    triple, others : (3,), (k,) int array
        Rows of the triangle; the other points, those that it places best first.
    second, between : (n, 2), (n, n) float array
        Points of the plane and their distances, µm.
    allowed : (m, n) bool array
        Which points may correspond.
    scale : (float, float)
        Mean and largest.
    slack : float
        How much a distance between two points may be off, µm.
    known : (9,) float array
        Source direction's height (sine) from and to; what is known of its azimuth and of the
        image's own turn: cosine and sine of either, and the least cosine of what is off by.
    index, origin, cell, low, high, tolerance, gain, loss, few
        As in :func:`scored`.
    keep : int
        How many to give.

    Returns
    -------
    rows : (keep, 9) float array
        A (2, 3) row by row, t (2,), score; the score is -inf where there are fewer.
    tried : int
        How many were scored.
    """
    rows, columns = index.shape
    found = np.full((keep, 9), -np.inf)
    worst, tried = 0, 0
    mean, most = scale
    a, b, c = triple[0], triple[1], triple[2]
    one, two = first[b] - first[a], first[c] - first[a]
    third = two - one
    size_one, size_two = np.sqrt((one**2).sum()), np.sqrt((two**2).sum())
    size_third = np.sqrt((third**2).sum())
    dot = (one * two).sum()
    # rows along the first edge, in the triangle and across it; the same for a view of it
    body, image = np.empty((3, 3)), np.empty((3, 3))
    _frame(one, two, body)
    # the edges in that frame, in the image's size
    reach = mean * (body[0] * one).sum()
    along, aside = mean * (body[0] * two).sum(), mean * (body[1] * two).sum()
    limit = (slack + (most - mean) * (size_one + size_two)) ** 2
    seen_one, seen_two = np.empty(3), np.empty(3)
    turned, place = np.empty((3, 3)), np.empty(2)
    count = len(second)
    for k in range(count):
        if not allowed[a, k]:
            continue
        for i in range(count):
            if i == k or not allowed[b, i] or between[k, i] > most * size_one + slack:
                continue
            seen_one[1] = second[i, 0] - second[k, 0]
            seen_one[2] = second[i, 1] - second[k, 1]
            left = mean**2 * size_one**2 - between[k, i] ** 2
            depth = np.sqrt(max(left, 0.0))
            for j in range(count):
                if j in (k, i) or not allowed[c, j] or between[k, j] > most * size_two + slack:
                    continue
                if between[i, j] > most * size_third + slack:
                    continue
                seen_two[1] = second[j, 0] - second[k, 0]
                seen_two[2] = second[j, 1] - second[k, 1]
                flat = seen_one[1] * seen_two[1] + seen_one[2] * seen_two[2]
                other = np.sqrt(max(mean**2 * size_two**2 - between[k, j] ** 2, 0.0))
                want = mean**2 * dot - flat
                if want < 0.0:
                    other = -other
                seen_one[0], seen_two[0] = depth, other
                _frame(seen_one, seen_two, image)
                off = 0.0
                for p in range(1, 3):
                    off += (seen_one[p] - reach * image[0, p]) ** 2
                    off += (seen_two[p] - along * image[0, p] - aside * image[1, p]) ** 2
                if off > limit:
                    continue
                for side in range(2):
                    sign = 1.0 - 2.0 * side
                    seen_one[0], seen_two[0] = sign * depth, sign * other
                    _frame(seen_one, seen_two, image)
                    for p in range(3):
                        for q in range(3):
                            total = 0.0
                            for r in range(3):
                                total += image[r, p] * body[r, q]
                            turned[p, q] = total
                    if not _as_known(turned, known):
                        continue
                    tried += 1
                    score, met, stopped = 0.0, 0, False
                    for n in range(len(others)):
                        if n == few and met == 0:
                            stopped = True
                            break
                        for p in range(2):
                            place[p] = second[k, p]
                            for q in range(3):
                                arm = first[others[n], q] - first[a, q]
                                place[p] += mean * turned[p + 1, q] * arm
                        y = (place[0] - origin[0]) / cell + 0.5
                        x = (place[1] - origin[1]) / cell + 0.5
                        hit = False
                        if 0.0 <= y < rows and 0.0 <= x < columns:
                            near = index[int(y), int(x)]
                            if near >= 0:
                                dy, dx = place[0] - second[near, 0], place[1] - second[near, 1]
                                hit = dy * dy + dx * dx <= tolerance[n] * tolerance[n]
                        if hit:
                            score += gain[n]
                            met += 1
                        elif low[0] <= place[0] <= high[0] and low[1] <= place[1] <= high[1]:
                            score += loss[n]
                    if stopped or met == 0 or score <= found[worst, 8]:
                        continue
                    for p in range(2):
                        found[worst, 6 + p] = second[k, p]
                        for q in range(3):
                            found[worst, 3 * p + q] = mean * turned[p + 1, q]
                            found[worst, 6 + p] -= mean * turned[p + 1, q] * first[a, q]
                    found[worst, 8] = score
                    worst = int(np.argmin(found[:, 8]))
    return found, tried


@njit(cache=True, nogil=True, error_model="numpy")
def _frame(one: Any, two: Any, frame: Any) -> None:
    """Fill orthonormal rows: along `one`, towards `two`, and across both."""
    length = np.sqrt(one[0] ** 2 + one[1] ** 2 + one[2] ** 2) + 1e-12
    along = 0.0
    for p in range(3):
        frame[0, p] = one[p] / length
        along += frame[0, p] * two[p]
    size = 1e-24
    for p in range(3):
        frame[1, p] = two[p] - along * frame[0, p]
        size += frame[1, p] ** 2
    size = np.sqrt(size)
    for p in range(3):
        frame[1, p] /= size
    for p in range(3):
        q, r = (p + 1) % 3, (p + 2) % 3
        frame[2, p] = frame[0, q] * frame[1, r] - frame[0, r] * frame[1, q]


@njit(cache=True, nogil=True, error_model="numpy")
def _as_known(turned: Any, known: Any) -> bool:
    """Whether a view is one that the instrument may have taken; rows: to the source, down, right.

    Straight, right is level and down goes down.
    """
    if not known[0] <= turned[0, 0] <= known[1]:
        return False
    if known[4] > -1.0:
        # to the source: -cos(azimuth) along y, sin(azimuth) along x, times the cosine of height
        across = np.sqrt(turned[0, 1] ** 2 + turned[0, 2] ** 2) + 1e-12
        if -turned[0, 1] * known[2] + turned[0, 2] * known[3] < known[4] * across:
            return False
    if known[7] > -1.0:
        steep = np.sqrt(turned[1, 0] ** 2 + turned[2, 0] ** 2) + 1e-12
        if -turned[1, 0] * known[5] - turned[2, 0] * known[6] < known[7] * steep:
            return False
    return True


def warm() -> None:
    """Compile for the types in use."""
    index = np.zeros((4, 4), np.int16)
    points = np.ones((2, 2))
    fill(index, points, 1.0)
    places = points[:, 0] + 1j * points[:, 1]
    ones = np.ones(2)
    scored(index, ones, 1.0, places, ones, ones, places, places, places, ones, ones, ones, 1)
    space, rows = np.ones((4, 3)), np.arange(3)
    raster: list[Any] = [index, ones, 1.0, ones, ones, ones, ones, ones, 1, 1]
    open_ends: list[Any] = [np.ones((4, 2), np.bool_), (1.0, 1.0), 1.0, np.zeros(9)]
    views(space, rows, rows[:1], points, points, *open_ends, *raster)
