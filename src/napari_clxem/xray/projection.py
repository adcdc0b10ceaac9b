"""Parallel-beam projection of slices and its exact transpose, distance-driven, compiled.

A pixel's shadow on the detector is taken for a box as wide as the larger of its projected edges,
never wider than a detector pixel, so that it falls on two at most (De Man and Basu 2004, Phys. Med.
Biol. 49:2463). Both directions share these weights, each pixel gives away exactly its own area, and
a uniform slab has a flat shadow.

Slices lie side by side in the last axis (lanes), so that one weight serves several at once; the
tuple `lanes` carries their number as a constant, which lets the compiler unroll. Nothing here uses
threads of its own: callers run groups of slices in a thread pool, since the kernels release the
interpreter lock. Import this module inside functions only: numba is slow to load.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit


@njit(cache=True, fastmath=True, nogil=True, error_model="numpy")
def sweep(
    image: Any,
    bounds: Any,
    prior: Any,
    correction: Any,
    back: Any,
    shadow: Any,
    ahead: Any,
    lanes: Any,
) -> None:
    """Spread `correction` over the image along one tilt and add up its shadow at the next.

    Parameters
    ----------
    image : (nz, nx, n) float32 array
        Slices, changed in place.
    bounds : (nz, 2) int64 array
        First column of each row inside the support, and the one after the last.
    prior : (nz, nx) float32 array
        Share of a correction that each pixel takes.
    correction, shadow : (bins, n) float32 array
        What is spread, and what is added to; padded so that no pixel's shadow falls beside.
    back, ahead : (4,) float64 array
        Step of the shadow per row and per column, its width, and the shadow's left edge for
        pixel (0, 0), in bins from the left edge of bin 0.
    lanes : tuple
        As long as the last axis.
    """
    count = len(lanes)
    one = np.float32(1.0)
    step_b, step_f = np.float32(back[1]), np.float32(ahead[1])
    scale_b, scale_f = np.float32(1.0 / back[2]), np.float32(1.0 / ahead[2])
    for z in range(image.shape[0]):
        edge_b = np.float32(back[3] + z * back[0])
        edge_f = np.float32(ahead[3] + z * ahead[0])
        for x in range(bounds[z, 0], bounds[z, 1]):
            left = edge_b + np.float32(x) * step_b
            i = np.int64(left)
            near_b = min((np.float32(i + 1) - left) * scale_b, one)
            far_b = (one - near_b) * prior[z, x]
            near_b *= prior[z, x]
            left = edge_f + np.float32(x) * step_f
            j = np.int64(left)
            near_f = min((np.float32(j + 1) - left) * scale_f, one)
            far_f = one - near_f
            for lane in range(count):
                value = (
                    image[z, x, lane]
                    + near_b * correction[i, lane]
                    + far_b * correction[i + 1, lane]
                )
                image[z, x, lane] = value
                shadow[j, lane] += near_f * value
                shadow[j + 1, lane] += far_f * value


@njit(cache=True, fastmath=True, nogil=True, error_model="numpy")
def cast(image: Any, bounds: Any, shadow: Any, ahead: Any, lanes: Any) -> None:
    """Add the image's shadow at one tilt to `shadow`; see :func:`sweep`."""
    count = len(lanes)
    one = np.float32(1.0)
    step, scale = np.float32(ahead[1]), np.float32(1.0 / ahead[2])
    for z in range(image.shape[0]):
        edge = np.float32(ahead[3] + z * ahead[0])
        for x in range(bounds[z, 0], bounds[z, 1]):
            left = edge + np.float32(x) * step
            j = np.int64(left)
            near = min((np.float32(j + 1) - left) * scale, one)
            far = one - near
            for lane in range(count):
                shadow[j, lane] += near * image[z, x, lane]
                shadow[j + 1, lane] += far * image[z, x, lane]


@njit(cache=True, fastmath=True, nogil=True, error_model="numpy")
def spread(
    image: Any, bounds: Any, prior: Any, corrections: Any, geometry: Any, lanes: Any
) -> None:
    """Spread the corrections (tilts, bins, n) of all tilts over the image: the transpose."""
    count = len(lanes)
    one = np.float32(1.0)
    for tilt in range(corrections.shape[0]):
        back = geometry[tilt]
        step, scale = np.float32(back[1]), np.float32(1.0 / back[2])
        correction = corrections[tilt]
        for z in range(image.shape[0]):
            edge = np.float32(back[3] + z * back[0])
            for x in range(bounds[z, 0], bounds[z, 1]):
                left = edge + np.float32(x) * step
                i = np.int64(left)
                near = min((np.float32(i + 1) - left) * scale, one)
                far = (one - near) * prior[z, x]
                near *= prior[z, x]
                for lane in range(count):
                    image[z, x, lane] += near * correction[i, lane] + far * correction[i + 1, lane]


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
    prior: Any,
    data: Any,
    weights: Any,
    geometry: Any,
    order: Any,
    relaxation: Any,
    low: Any,
    high: Any,
    lanes: Any,
) -> float:
    """Correct the image by each tilt in turn, once.

    Parameters
    ----------
    image, bounds, prior, lanes
        As in :func:`sweep`.
    data : (tilts, bins, n) float32 array
        Measured projections, optical density per pixel size.
    weights : (tilts, bins) float32 array
        One over the path of each ray through the support; 0 where nothing was measured.
    geometry : (tilts, 4) float64 array
        `back` and `ahead` of :func:`sweep` per tilt.
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
    cast(image, bounds, shadow, geometry[order[0]], lanes)
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
        ahead = geometry[order[(turn + 1) % order.size]]
        if limited:
            spread(
                image,
                bounds,
                prior,
                correction.reshape((1, bins, count)),
                geometry[tilt : tilt + 1],
                lanes,
            )
            clip(image, low, high)
            cast(image, bounds, shadow, ahead, lanes)
        else:
            sweep(image, bounds, prior, correction, geometry[tilt], shadow, ahead, lanes)
    return total  # fmt: skip


@njit(cache=True, fastmath=True, nogil=True, error_model="numpy")
def sirt_pass(
    image: Any,
    bounds: Any,
    prior: Any,
    data: Any,
    weights: Any,
    geometry: Any,
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
        cast(image, bounds, shadow, geometry[tilt], lanes)
        for i in range(bins):
            share = relaxation * weights[tilt, i] / np.float32(tilts)
            for lane in range(count):
                residual = data[tilt, i, lane] - shadow[i, lane]
                if share > 0:
                    total += residual * residual
                shadow[i, lane] = share * residual
    spread(image, bounds, prior, corrections, geometry, lanes)
    if low > -np.inf or high < np.inf:
        clip(image, low, high)
    return total


@njit(cache=True, fastmath=True, nogil=True, error_model="numpy")
def cast_all(image: Any, bounds: Any, shadows: Any, geometry: Any, lanes: Any) -> None:
    """Add the image's shadows at all tilts to `shadows` (tilts, bins, n)."""
    for tilt in range(shadows.shape[0]):
        cast(image, bounds, shadows[tilt], geometry[tilt], lanes)
