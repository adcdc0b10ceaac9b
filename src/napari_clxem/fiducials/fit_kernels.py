"""Compiled: bead fits, one window after another."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from napari_clxem.fiducials.window_kernels import Array, Single, gather, room_for


@njit(cache=True, nogil=True, error_model="numpy")
def _solve(matrix: Array, vector: Array, size: int, lower: Array, scale: Array) -> None:
    """Solve scaled normal equations by Cholesky, in place; singular ones give zero."""
    for a in range(size):
        scale[a] = np.sqrt(matrix[a, a]) if matrix[a, a] > 0.0 else 1.0
    for a in range(size):
        for b in range(a + 1):
            rest = matrix[a, b] / (scale[a] * scale[b])
            if a == b:
                rest += 1e-10
            for k in range(b):
                rest -= lower[a, k] * lower[b, k]
            if a == b:
                if not rest > 0.0:
                    vector[:size] = 0.0
                    return
                lower[a, a] = np.sqrt(rest)
            else:
                lower[a, b] = rest / lower[b, b]
    for a in range(size):
        rest = vector[a] / scale[a]
        for k in range(a):
            rest -= lower[a, k] * vector[k]
        vector[a] = rest / lower[a, a]
    for a in range(size - 1, -1, -1):
        rest = vector[a]
        for k in range(a + 1, size):
            rest -= lower[k, a] * vector[k]
        vector[a] = rest / lower[a, a]
    for a in range(size):
        vector[a] /= scale[a]


@njit(cache=True, nogil=True, error_model="numpy")
def leftovers(
    data: Single,
    offsets: Single,
    rows: NDArray[np.int64],
    at: Array,
    beads: int,
    tables: Single,
    step: float,
    noise: Array,
    bead: int,
    degrees: NDArray[np.int64],
    half: Array,
    normal: Array,
    sums: Array,
) -> None:
    """Gather normal equations with patterns of some windows; see :func:`gather`.

    `normal` (n, p + e + 3, p + e + 3) and `sums` (n, 3) are written.
    """
    room, places = room_for(normal.shape[1], offsets.shape[1])
    most = data.shape[1]
    expected = np.zeros(most, np.float32)
    no = most < 0
    for n in rows:
        gather(
            data[n], offsets[n if len(offsets) > 1 else 0], at[n], beads, tables, step, noise,
            no, most, expected, expected, bead, degrees, half, room, places, normal[n], sums[n],
        )  # fmt: skip


@njit(cache=True, nogil=True, error_model="numpy")
def fit(
    data: Single,
    offsets: Single,
    rows: NDArray[np.int64],
    start: Array,
    beads: int,
    tables: Single,
    step: float,
    noise: Array,
    passes: NDArray[np.int64],
    limits: Array,
    leash: Array,
    now: Array,
    normal: Array,
    last: Array,
    models: Single,
) -> None:
    """Fit some windows: a linear start, then Levenberg-Marquardt steps.

    `data`, `offsets`, `rows`, `beads`, `tables`, `step`, `noise` are as in :func:`leftovers`.

    Parameters
    ----------
    start : (n, p) array
        Centres to start from.
    passes : (k, 2) array of int
        Pixels to look at, and most steps, of one pass after another.
    limits : (6,) array
        Prior sd of the logarithm of widths, most of that logarithm, factor by which a cost may
        seem to rise, change of cost that is none, step in sd after which there is no other, and
        damping that ends it.
    leash : (d,) array
        Furthest a bead may move in a pass, µm.
    now : (n, p) array
        Written: parameters.
    normal : (n, p + 1, p + 1) array
        Written: bordered normal matrix there, without the prior.
    last : (n,) array
        Written: last step of a centre, in sd.
    models : (n or 0, m) array
        Written where it has rows: expected pixels.
    """
    size, ndim, m = start.shape[1], offsets.shape[1], data.shape[1]
    wide = size + 1
    first_width = beads * (ndim + 1)
    first_background = first_width + ndim - 1
    width_sd, widest, slack, flat, still, stiff = limits
    room, places = room_for(wide, ndim)
    model = np.zeros((2, m), np.float32)
    trial, begin, change = np.empty(size), np.empty(size), np.empty(size)
    matrix, lower, scale = np.empty((size, size)), np.empty((size, size)), np.empty(size)
    there, sums = np.empty((wide, wide)), np.empty(3)
    linear = np.empty(beads + 1 + ndim, np.int64)
    for k in range(beads):
        linear[k] = k * (ndim + 1) + ndim
    for k in range(1 + ndim):
        linear[beads + k] = first_background + k
    none, half = np.zeros((0, ndim), np.int64), np.ones(ndim)
    # Literals would have the compiler make a kernel for each.
    nobody, yes, no = len(none) - 1, len(none) == 0, len(none) > 0
    for n in rows:
        here, pixels, at, edge = offsets[n if len(offsets) > 1 else 0], data[n], now[n], normal[n]
        at[:] = start[n]
        at[first_background:] = 0.0
        for k in range(beads):
            at[linear[k]] = 1.0
        gather(
            pixels, here, at, beads, tables, step, noise, yes, passes[0, 0], model[0], model[0],
            nobody, none, half, room, places, edge, sums,
        )  # fmt: skip
        for a in range(len(linear)):
            change[a] = edge[linear[a], size]
            for b in range(len(linear)):
                matrix[a, b] = edge[linear[a], linear[b]]
        _solve(matrix, change, len(linear), lower, scale)
        for a in range(len(linear)):
            at[linear[a]] = change[a]
        side = 0
        for k in range(len(passes)):
            most = passes[k, 0]
            begin[:] = at
            gather(
                pixels, here, at, beads, tables, step, noise, no, most, model[side],
                model[side], nobody, none, half, room, places, edge, sums,
            )  # fmt: skip
            last[n], damping = np.inf, 1e-3
            for _ in range(passes[k, 1]):
                before = edge[size, size]
                for a in range(size):
                    prior = width_sd**-2.0 if first_width <= a < first_background else 0.0
                    matrix[a, :] = edge[a, :size]
                    matrix[a, a] += prior
                    change[a] = edge[a, size] - prior * at[a]
                    before += at[a] ** 2 * prior
                promised = moved = 0.0
                trial[:] = change
                for a in range(size):
                    matrix[a, a] *= 1.0 + damping
                _solve(matrix, trial, size, lower, scale)
                for a in range(size):
                    promised += trial[a] * change[a]
                    trial[a] += at[a]
                for a in range(first_width, first_background):
                    trial[a] = min(max(trial[a], -widest), widest)
                for b in range(beads):
                    for axis in range(ndim):
                        a = b * (ndim + 1) + axis
                        trial[a] = min(
                            max(trial[a], begin[a] - leash[axis]), begin[a] + leash[axis]
                        )
                        # in sd, or more, since its own curvature knows nothing of the others
                        away = abs(trial[a] - at[a]) * np.sqrt(matrix[a, a] / (1.0 + damping))
                        moved = max(moved, away)
                gather(
                    pixels, here, trial, beads, tables, step, noise, no, most, model[side],
                    model[1 - side], nobody, none, half, room, places, there, sums,
                )  # fmt: skip
                after = sums[0]
                for a in range(first_width, first_background):
                    after += trial[a] ** 2 * width_sd**-2.0
                if after <= before * slack:
                    at[:] = trial
                    edge[:] = there
                    side = 1 - side
                    last[n] = moved
                # Sharp beads curve the cost more than their derivatives tell, and full steps
                # overshoot.
                kept = (before - after) / max(promised, 1e-300)
                if kept < 0.4:
                    damping = max(4.0 * damping, 0.5)
                elif kept > 0.7:
                    damping *= 0.1
                # Coarse pixels make the cost of a sharp bead bumpy far below what noise can tell.
                if abs(before - after) < flat and moved < 0.5:
                    last[n] = 0.0
                if not (damping < stiff and last[n] > still):
                    break
        if len(models):
            models[n] = model[side]


def warm() -> None:
    """Compile, or load from disk, by working on a window of nothing."""
    data, offsets = np.zeros((1, 8), np.float32), np.zeros((1, 3, 8), np.float32)
    rows, tables, three = np.zeros(1, np.int64), np.ones((3, 2, 2), np.float32), np.ones(3)
    at, normal = np.ones((1, 10)), np.zeros((1, 11, 11))
    fit(
        data, offsets, rows, at, 1, tables, 1.0, three, np.ones((1, 2), np.int64), np.ones(6),
        three, at.copy(), normal, np.zeros(1), np.zeros((1, 8), np.float32),
    )  # fmt: skip
    leftovers(
        data, offsets, rows, at, 1, tables, 1.0, three, 0, np.ones((1, 3), np.int64), three,
        np.zeros((1, 14, 14)), np.zeros((1, 3)),
    )  # fmt: skip
