"""Parallel-beam projection of slices and its exact transpose, compiled.

A pixel's shadow on the detector is that of the square itself, a trapezoid, shared out to the bins
that it covers, three at most (strip weights). Both directions use these weights, each pixel gives
away exactly its own area, and a uniform slab has a flat shadow.

Slices lie side by side in the last axis (lanes), so that one weight serves several at once; the
tuple `lanes` carries their number as a constant, which lets the compiler unroll. Nothing here uses
threads of its own: callers run groups of slices in a thread pool, since the kernels release the
interpreter lock. Import this module inside functions only: numba is slow to load.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from napari_clxem.xray.geometry import LANES, PHASES

_PHASES = np.float32(PHASES)


@njit(cache=True, fastmath=True, nogil=True, error_model="numpy", inline="always")
def _window(along: Any, chord: Any) -> Any:
    """Give the share of a correction at a place along a ray: 0.54 + 0.46 cos(π · place / half)."""
    place = (along - chord[0]) * chord[1]
    square = min(place * place, np.float32(1.0))
    rest = np.float32(1.0) - square
    # (1 + cos(π √s)) / 2 within 0.001
    raised = (
        rest * rest * (np.float32(1.0) - square * (np.float32(0.467) - np.float32(0.084) * square))
    )
    return np.float32(0.08) + np.float32(0.92) * raised


@njit(cache=True, fastmath=True, nogil=True, error_model="numpy", inline="always")
def _shares(left: Any, table: Any) -> Any:
    """Give the first bin below a shadow and what falls on it and the next two."""
    first = np.int64(left)
    place = (left - np.float32(first)) * _PHASES
    phase: Any = min(np.int64(place), PHASES - 1)
    far = place - np.float32(phase)
    near = np.float32(1.0) - far
    return (
        first,
        near * table[phase, 0] + far * table[phase + 1, 0],
        near * table[phase, 1] + far * table[phase + 1, 1],
        near * table[phase, 2] + far * table[phase + 1, 2],
    )


@njit(cache=True, fastmath=True, nogil=True, error_model="numpy")
def sweep(
    image: Any,
    bounds: Any,
    correction: Any,
    back: Any,
    shares_b: Any,
    chords: Any,
    shadow: Any,
    ahead: Any,
    shares_f: Any,
    lanes: Any,
) -> None:
    """Spread `correction` over the image along one tilt and add up its shadow at the next.

    Parameters
    ----------
    image : (nz, nx, n) float32 array
        Slices, changed in place.
    bounds : (nz, 2) int64 array
        First column of each row inside the support, and the one after the last.
    correction, shadow : (bins, n) float32 array
        What is spread, and what is added to; padded so that no pixel's shadow falls beside.
    back, ahead : (5,) float64 array
        One tilt of `Geometry.steps`.
    shares_b, shares_f : (PHASES + 1, 3) float32 array
        One tilt of `Geometry.shadows`.
    chords : (bins, 2) float32 array
        `Geometry.chords` of the tilt along which is spread.
    lanes : tuple
        As long as the last axis.
    """
    count = len(lanes)
    step_b, step_f = np.float32(back[1]), np.float32(ahead[1])
    width, slip = np.float32(back[2] / 2), np.float32(back[0])
    for z in range(image.shape[0]):
        edge_b = np.float32(back[3] + z * back[0])
        edge_f = np.float32(ahead[3] + z * ahead[0])
        start = np.float32(back[4] + z * back[1])
        for x in range(bounds[z, 0], bounds[z, 1]):
            left = edge_b + np.float32(x) * step_b
            share = _window(start - np.float32(x) * slip, chords[np.int64(left + width)])
            i, one, two, three = _shares(left, shares_b)
            one, two, three = share * one, share * two, share * three
            j, first, second, third = _shares(edge_f + np.float32(x) * step_f, shares_f)
            for lane in range(count):
                value = (
                    image[z, x, lane]
                    + one * correction[i, lane]
                    + two * correction[i + 1, lane]
                    + three * correction[i + 2, lane]
                )
                image[z, x, lane] = value
                shadow[j, lane] += first * value
                shadow[j + 1, lane] += second * value
                shadow[j + 2, lane] += third * value


@njit(cache=True, fastmath=True, nogil=True, error_model="numpy")
def cast(image: Any, bounds: Any, shadow: Any, ahead: Any, shares: Any, lanes: Any) -> None:
    """Add the image's shadow at one tilt to `shadow`; see :func:`sweep`."""
    count = len(lanes)
    step = np.float32(ahead[1])
    for z in range(image.shape[0]):
        edge = np.float32(ahead[3] + z * ahead[0])
        for x in range(bounds[z, 0], bounds[z, 1]):
            j, first, second, third = _shares(edge + np.float32(x) * step, shares)
            for lane in range(count):
                value = image[z, x, lane]
                shadow[j, lane] += first * value
                shadow[j + 1, lane] += second * value
                shadow[j + 2, lane] += third * value


@njit(cache=True, fastmath=True, nogil=True, error_model="numpy")
def spread(
    image: Any, bounds: Any, correction: Any, back: Any, shares: Any, chords: Any, lanes: Any
) -> None:
    """Spread the corrections of one tilt over the image: the transpose, shared out along rays."""
    count = len(lanes)
    step, width, slip = np.float32(back[1]), np.float32(back[2] / 2), np.float32(back[0])
    for z in range(image.shape[0]):
        edge = np.float32(back[3] + z * back[0])
        start = np.float32(back[4] + z * back[1])
        for x in range(bounds[z, 0], bounds[z, 1]):
            left = edge + np.float32(x) * step
            share = _window(start - np.float32(x) * slip, chords[np.int64(left + width)])
            i, one, two, three = _shares(left, shares)
            one, two, three = share * one, share * two, share * three
            for lane in range(count):
                image[z, x, lane] += (
                    one * correction[i, lane]
                    + two * correction[i + 1, lane]
                    + three * correction[i + 2, lane]
                )


def warm() -> None:
    """Compile for the types in use."""
    bounds, steps = np.zeros((1, 2), np.int64), np.zeros(5)
    chords, shares = np.zeros((1, 2), np.float32), np.zeros((PHASES + 1, 3), np.float32)
    for count in LANES:
        lanes, beam = (0,) * count, np.zeros((1, count), np.float32)
        image = beam[np.newaxis]
        sweep(image, bounds, beam, steps, shares, chords, beam, steps, shares, lanes)
        cast(image, bounds, beam, steps, shares, lanes)
        spread(image, bounds, beam, steps, shares, chords, lanes)
