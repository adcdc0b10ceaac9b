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

from napari_clxem.xray.geometry import PHASES

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


@njit(cache=True, fastmath=True, nogil=True, error_model="numpy")
def clip(image: Any, low: Any, high: Any) -> None:
    """Hold the values of an image between two limits."""
    flat = image.reshape(-1)
    for index in range(flat.size):
        flat[index] = min(max(flat[index], low), high)


@njit(cache=True, fastmath=True, nogil=True, error_model="numpy")
def sart_pass(
    image: Any,
    bounds: Any,
    data: Any,
    weights: Any,
    steps: Any,
    shadows: Any,
    chords: Any,
    order: Any,
    relaxation: Any,
    low: Any,
    high: Any,
    lanes: Any,
) -> float:
    """Correct the image by each tilt in turn, once.

    Parameters
    ----------
    image, bounds, lanes
        As in :func:`sweep`.
    data : (tilts, bins, n) float32 array
        Measured projections, optical density per pixel size.
    weights : (tilts, bins) float32 array
        One over the path of each ray through the support; 0 where nothing was measured.
    steps, shadows, chords
        As in :class:`~napari_clxem.xray.geometry.Geometry`.
    order : (tilts,) int64 array
        Which tilt comes when.
    relaxation : float
        Share of the residual that is taken away at each tilt.
    low, high : float
        Limits on the voxels; infinite for none.

    Returns
    -------
    float
        Sum of the squared residuals met on the way.
    """  # fmt: skip
    bins, count = data.shape[1], len(lanes)
    correction = np.zeros((bins, count), np.float32)
    shadow = np.zeros((bins, count), np.float32)
    limited = low > -np.inf or high < np.inf
    cast(image, bounds, shadow, steps[order[0]], shadows[order[0]], lanes)
    total = 0.0
    for turn in range(order.size):
        tilt = order[turn]
        for i in range(bins):
            share = relaxation * weights[tilt, i]
            for lane in range(count):
                residual = data[tilt, i, lane] - shadow[i, lane]
                if share > 0:
                    total += residual * residual
                correction[i, lane] = share * residual
                shadow[i, lane] = 0.0
        ahead = order[(turn + 1) % order.size]
        back, shares, rays = steps[tilt], shadows[tilt], chords[tilt]
        if limited:
            spread(image, bounds, correction, back, shares, rays, lanes)
            clip(image, low, high)
            cast(image, bounds, shadow, steps[ahead], shadows[ahead], lanes)
        else:
            sweep(
                image,
                bounds,
                correction,
                back,
                shares,
                rays,
                shadow,
                steps[ahead],
                shadows[ahead],
                lanes,
            )
    return total  # fmt: skip


@njit(cache=True, fastmath=True, nogil=True, error_model="numpy")
def sirt_pass(
    image: Any,
    bounds: Any,
    data: Any,
    weights: Any,
    steps: Any,
    shadows: Any,
    chords: Any,
    relaxation: Any,
    low: Any,
    high: Any,
    lanes: Any,
) -> float:
    """Correct the image by all tilts at once, once; see :func:`sart_pass`."""  # fmt: skip
    tilts, bins, count = data.shape[0], data.shape[1], len(lanes)
    corrections = np.zeros((tilts, bins, count), np.float32)
    total = 0.0
    for tilt in range(tilts):
        shadow = corrections[tilt]
        cast(image, bounds, shadow, steps[tilt], shadows[tilt], lanes)
        for i in range(bins):
            share = relaxation * weights[tilt, i] / np.float32(tilts)
            for lane in range(count):
                residual = data[tilt, i, lane] - shadow[i, lane]
                if share > 0:
                    total += residual * residual
                shadow[i, lane] = share * residual
    for tilt in range(tilts):
        spread(image, bounds, corrections[tilt], steps[tilt], shadows[tilt], chords[tilt], lanes)
    if low > -np.inf or high < np.inf:
        clip(image, low, high)
    return total


@njit(cache=True, fastmath=True, nogil=True, error_model="numpy")
def cast_all(image: Any, bounds: Any, out: Any, steps: Any, shadows: Any, lanes: Any) -> None:
    """Add the image's shadows at all tilts to `out` (tilts, bins, n)."""
    for tilt in range(out.shape[0]):
        cast(image, bounds, out[tilt], steps[tilt], shadows[tilt], lanes)
