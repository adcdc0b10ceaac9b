"""Compiled scaled orthographic fit; import it where used, as numba is slow to import."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

_STEPS = 50
_HALVINGS = 20
_TURNS = np.array([[0, 1], [0, 2], [1, 2]])  # planes of the three turns, as in `models`
_SINGULAR = 1e-13


@njit(cache=True, nogil=True, error_model="numpy")
def _cost(
    arms: Any,
    fixed: Any,
    here: Any,
    there: Any,
    linear: Any,
    middle: Any,
    weighted: Any,
    precise: Any,
) -> Any:
    """Cost of a map; fills the weighted residuals (n, 2) and precisions (n, 3): yy, yx, xx."""
    total = 0.0
    for row in range(len(arms)):
        residual = np.empty(2)
        spread = np.empty((2, 2))
        carried = np.empty((2, 3))
        for i in range(2):
            seen = middle[i]
            for k in range(3):
                seen += linear[i, k] * arms[row, k]
                part = 0.0
                for m in range(3):
                    part += linear[i, m] * here[row, m, k]
                carried[i, k] = part
            residual[i] = fixed[row, i] - seen
        for i in range(2):
            for j in range(2):
                part = there[row, i, j]
                for k in range(3):
                    part += carried[i, k] * linear[j, k]
                spread[i, j] = part
        area = spread[0, 0] * spread[1, 1] - spread[0, 1] * spread[1, 0]
        precise[row, 0] = spread[1, 1] / area
        precise[row, 1] = -spread[0, 1] / area
        precise[row, 2] = spread[0, 0] / area
        weighted[row, 0] = precise[row, 0] * residual[0] + precise[row, 1] * residual[1]
        weighted[row, 1] = precise[row, 1] * residual[0] + precise[row, 2] * residual[1]
        total += residual[0] * weighted[row, 0] + residual[1] * weighted[row, 1]
    return total


@njit(cache=True, nogil=True, error_model="numpy")
def _normal(
    arms: Any, here: Any, linear: Any, weighted: Any, precise: Any, normal: Any, gradient: Any
) -> None:
    """Fill the normal matrix (6, 6) and the gradient (6,): three turns, the scale, the shift."""
    normal[:] = 0.0
    gradient[:] = 0.0
    slope = np.zeros((2, 6))
    slope[0, 4] = slope[1, 5] = 1.0
    place = np.empty(3)
    for row in range(len(arms)):
        for k in range(3):
            place[k] = arms[row, k]
            for m in range(3):
                back = linear[0, m] * weighted[row, 0] + linear[1, m] * weighted[row, 1]
                place[k] += here[row, k, m] * back
        for i in range(2):
            for turn in range(3):
                a, b = _TURNS[turn]
                slope[i, turn] = linear[i, b] * place[a] - linear[i, a] * place[b]
            slope[i, 3] = (
                linear[i, 0] * place[0] + linear[i, 1] * place[1] + linear[i, 2] * place[2]
            )
        for p in range(6):
            first = precise[row, 0] * slope[0, p] + precise[row, 1] * slope[1, p]
            second = precise[row, 1] * slope[0, p] + precise[row, 2] * slope[1, p]
            gradient[p] += slope[0, p] * weighted[row, 0] + slope[1, p] * weighted[row, 1]
            for q in range(p + 1):
                normal[p, q] += first * slope[0, q] + second * slope[1, q]
    for p in range(6):
        for q in range(p):
            normal[q, p] = normal[p, q]


@njit(cache=True, nogil=True, error_model="numpy")
def _root(normal: Any, root: Any, scale: Any) -> bool:
    """Fill the Cholesky factor of the scaled normal matrix; False where it is singular."""
    for p in range(6):
        if not normal[p, p] > 0.0:
            return False
        scale[p] = 1.0 / np.sqrt(normal[p, p])
    for p in range(6):
        for q in range(p + 1):
            total = normal[p, q] * scale[p] * scale[q]
            for k in range(q):
                total -= root[p, k] * root[q, k]
            if p == q:
                if not total > _SINGULAR:
                    return False
                root[p, p] = np.sqrt(total)
            else:
                root[p, q] = total / root[q, q]
    return True


@njit(cache=True, nogil=True, error_model="numpy")
def _solve(root: Any, scale: Any, right: Any, found: Any) -> None:
    for p in range(6):
        total = right[p] * scale[p]
        for k in range(p):
            total -= root[p, k] * found[k]
        found[p] = total / root[p, p]
    for back in range(6):
        p = 5 - back
        total = found[p]
        for k in range(p + 1, 6):
            total -= root[k, p] * found[k]
        found[p] = total / root[p, p]
    for p in range(6):
        found[p] *= scale[p]


@njit(cache=True, nogil=True, error_model="numpy")
def _turned(linear: Any, step: Any, share: float, found: Any) -> None:
    """Fill `linear` turned and scaled by a share of a step: Cayley, a pure rotation."""
    half = np.zeros((3, 3))
    squares = 0.0
    for turn in range(3):
        a, b = _TURNS[turn]
        amount = share * step[turn] / 2.0
        half[a, b] -= amount
        half[b, a] += amount
        squares += amount * amount
    size = np.exp(share * step[3])
    for i in range(2):
        for k in range(3):
            total = linear[i, k]
            for m in range(3):
                twice = half[m, k]
                for other in range(3):
                    twice += half[m, other] * half[other, k]
                total += 2.0 / (1.0 + squares) * linear[i, m] * twice
            found[i, k] = size * total


@njit(cache=True, nogil=True, error_model="numpy")
def descend(
    arms: Any, fixed: Any, here: Any, there: Any, guesses: Any, start: Any, enough: float
) -> Any:
    """Go from each first guess to its minimum by damped Gauss-Newton steps.

    Parameters
    ----------
    arms : (n, 3) float array
        Moving landmarks about their centre, µm.
    fixed : (n, 2) float array
        Fixed landmarks, µm.
    here, there : (n, 3, 3), (n, 2, 2) float array
        Their covariances, µm².
    guesses : (k, 2, 3) float array
        First guesses of A: orthogonal rows of one length.
    start : (2,) float array
        First guess of t.
    enough : float
        Squared step, in sd, that is small enough.

    Returns
    -------
    settled : (k,) bool array
    linear : (k, 2, 3) float array
    middle : (k, 2) float array
    cost : (k,) float array
    covariance : (k, 8, 8) float array
        Of the entries of [A | t], row by row.
    """
    count, size = len(guesses), len(arms)
    settled = np.zeros(count, np.bool_)
    linears, middles = guesses.copy(), np.empty((count, 2))
    costs, covariances = np.empty(count), np.zeros((count, 8, 8))
    weighted, precise = np.empty((size, 2)), np.empty((size, 3))
    normal, gradient = np.empty((6, 6)), np.empty(6)
    root, scale, step = np.zeros((6, 6)), np.empty(6), np.empty(6)
    trial, shifted = np.empty((2, 3)), np.empty(2)
    for guess in range(count):
        linear, middle = linears[guess], middles[guess]
        middle[:] = start
        best = _cost(arms, fixed, here, there, linear, middle, weighted, precise)
        usable = np.isfinite(best)
        for _ in range(_STEPS):
            if not usable:
                break
            _normal(arms, here, linear, weighted, precise, normal, gradient)
            usable = _root(normal, root, scale)
            if not usable:
                break
            _solve(root, scale, gradient, step)
            share, longest = 1.0, 0.0
            for p in range(4):
                longest = max(longest, abs(step[p]))
            if longest > 0.5:
                share = 0.5 / longest
            better = False
            for _halving in range(_HALVINGS):
                _turned(linear, step, share, trial)
                shifted[0] = middle[0] + share * step[4]
                shifted[1] = middle[1] + share * step[5]
                cost = _cost(arms, fixed, here, there, trial, shifted, weighted, precise)
                better = cost <= best * (1 + 1e-12) + 1e-30
                if better:
                    break
                share /= 2.0
            if not better:
                best = _cost(arms, fixed, here, there, linear, middle, weighted, precise)
                break
            length = 0.0
            for p in range(6):
                for q in range(6):
                    length += share * share * step[p] * normal[p, q] * step[q]
            done = length <= enough + 1e-14 * max(best, 1e-12)
            linear[:] = trial
            middle[:] = shifted
            best = cost
            if done:
                break
        costs[guess] = best
        if usable:
            _normal(arms, here, linear, weighted, precise, normal, gradient)
            settled[guess] = _root(normal, root, scale)
        if settled[guess]:
            _entries(linear, root, scale, covariances[guess])
    return settled, linears, middles, costs, covariances


@njit(cache=True, nogil=True, error_model="numpy")
def _entries(linear: Any, root: Any, scale: Any, covariance: Any) -> None:
    """Fill the covariance (8, 8) of the entries of [A | t] from the root of the normal matrix."""
    inverse, unit = np.empty((6, 6)), np.zeros(6)
    for p in range(6):
        unit[p] = 1.0
        _solve(root, scale, unit, inverse[p])
        unit[p] = 0.0
    slope = np.zeros((8, 6))
    for i in range(2):
        for turn in range(3):
            a, b = _TURNS[turn]
            slope[4 * i + b, turn] = -linear[i, a]
            slope[4 * i + a, turn] = linear[i, b]
        for k in range(3):
            slope[4 * i + k, 3] = linear[i, k]
        slope[4 * i + 3, 4 + i] = 1.0
    for i in range(8):
        for j in range(8):
            total = 0.0
            for p in range(6):
                for q in range(6):
                    total += slope[i, p] * inverse[p, q] * slope[j, q]
            covariance[i, j] = total


def warm() -> None:
    """Compile for the types in use."""
    rng = np.random.default_rng(0)
    points = rng.normal(size=(4, 3))
    spreads = np.zeros((4, 3, 3)), np.tile(np.eye(2), (4, 1, 1))
    descend(points, points[:, 1:].copy(), *spreads, np.eye(2, 3)[np.newaxis], np.zeros(2), 1e-8)
