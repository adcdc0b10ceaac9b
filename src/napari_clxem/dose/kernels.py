"""Compiled sums of footprints over a raster; imported where used, as numba is slow to import.

A footprint's coordinates (x across, y along the tilt axis, z its height) are linear in row and
column. Where z is 0 everywhere, a point within the beam at tilt θ is so at every tilt with a
smaller cosine: one look-up in the sorted cosines replaces the sum over tilts.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from napari_clxem.dose import bounds

BINS = 4096
_RIM = 1e-9

_rows = njit(cache=True, nogil=True, error_model="numpy")(bounds.rows)
_reach = njit(cache=True, nogil=True, error_model="numpy")(bounds.reach)


@njit(cache=True, nogil=True, error_model="numpy")
def add_footprints(
    raster: Any,
    planes: Any,
    doses: Any,
    shapes: Any,
    beams: Any,
    beam_start: Any,
    tables: Any,
    table_start: Any,
    steps: Any,
    step_start: Any,
    lookup: Any,
) -> None:
    """Add footprints to a raster, in place.

    Parameters
    ----------
    raster : (ny, nx) float array
        Sum so far.
    planes : (n, 3, 3) float array
        Rows (z, y, x) of a footprint's coordinates from (1, row, column).
    doses : (n,) float array
        Dose of one image.
    shapes : (n,) int array
        Which shape each footprint has.
    beams : (m, 6) float array
        Nested beams: radius (or -1), half height, half width, cos and sin of the turn, share.
    beam_start, table_start, step_start : (k + 1,) int arrays
        Where the beams, tilts and steps of each shape begin.
    tables : (t, 4) float array
        Per tilt, by growing cos²: cos², its running dose, cos, sin.
    steps : (s, 2) float array
        The distinct cos² of each shape, then infinity, and the dose of all below each.
    lookup : (k, BINS + 2) int array
        Number of steps of each shape up to each cos²; at last the most within one bin.
    """
    for i in range(len(doses)):
        shape = shapes[i]
        first, last = table_start[shape], table_start[shape + 1]
        stairs = steps[step_start[shape] : step_start[shape + 1]]
        plane = planes[i]
        flat = plane[0, 0] == 0.0 and plane[0, 1] == 0.0 and plane[0, 2] == 0.0
        for b in range(beam_start[shape], beam_start[shape + 1]):
            beam = beams[b]
            if flat and beam[4] == 0.0:
                _add_flat(raster, plane, doses[i] * beam[5], beam, stairs, lookup[shape])
            else:
                _add_tilted(raster, plane, doses[i] * beam[5], beam, tables, first, last)


@njit(cache=True, nogil=True, error_model="numpy")
def _span(value: float, slope: float, bound: float, low: int, high: int) -> Any:
    """Columns within [low, high) where |value + slope c| <= bound, a pixel to spare."""
    if slope == 0.0:
        return (low, high) if abs(value) <= bound * (1.0 + 1e-9) else (0, 0)
    one, two = (-bound - value) / slope, (bound - value) / slope
    start, stop = min(one, two) - 1.0, max(one, two) + 2.0
    # compared as floats: beyond the raster an integer would overflow
    first = low if start <= low else (high if start >= high else int(start))
    past = high if stop >= high else (low if stop <= low else int(stop) + 1)
    return first, past


@njit(cache=True, nogil=True, error_model="numpy")
def _column(place: float, count: int) -> Any:
    """Column at or below a place, within [0, count]; as float it cannot overflow."""
    if place <= 0.0:
        return 0
    return count if place >= count else int(place)


@njit(cache=True, nogil=True, error_model="numpy")
def _add_flat(raster: Any, plane: Any, dose: float, beam: Any, stairs: Any, lookup: Any) -> None:
    radius = beam[0]
    count = len(stairs) - 1
    least, most = stairs[0, 0], stairs[count - 1, 0]
    whole = stairs[count, 1] * dose
    crowded = lookup[BINS + 1] > 1
    disc = radius >= 0.0
    along = radius if disc else beam[1]
    across = radius if disc else beam[2]
    reach = across / np.sqrt(least)
    limit2 = across * across * (1.0 + _RIM) if disc else across * across * (1.0 + 2 * _RIM)
    edge2 = along * along * (1.0 + 2 * _RIM)
    fall = 1.0 if disc else 0.0  # what is free across shrinks along the axis only in a disc
    ny, nx = raster.shape
    dy, dx = plane[1, 2], plane[2, 2]
    # where a row cuts the ellipses of the farthest tilt and of the least: a c² + 2 h c + ... = 0
    far, near = dx * dx * least + dy * dy, dx * dx * most + dy * dy
    per_far, per_near = 1.0 / far, 1.0 / near
    outside, inside = radius * radius * (1.0 + 1e-6), radius * radius * (1.0 - 1e-6)
    top, bottom = _rows(plane, reach, along, ny)
    for row in range(top, bottom):
        line = raster[row]
        y0 = plane[1, 0] + plane[1, 1] * row
        x0 = plane[2, 0] + plane[2, 1] * row
        start, stop = 0, nx
        inner, outer = nx, nx
        if not disc:
            start, stop = _span(y0, dy, along, 0, nx)
            start, stop = _span(x0, dx, reach, start, stop)
        elif far > 0.0 and near > 0.0:
            h = x0 * dx * least + y0 * dy
            under = h * h - far * (x0 * x0 * least + y0 * y0 - outside)
            if under < 0.0:
                continue
            half = np.sqrt(under) * per_far
            start = _column(-h * per_far - half, nx)
            stop = _column(-h * per_far + half + 2.0, nx)
            h = x0 * dx * most + y0 * dy
            under = h * h - near * (x0 * x0 * most + y0 * y0 - inside)
            if under > 0.0:
                half = np.sqrt(under) * per_near
                inner = _column(-h * per_near - half + 1.0, nx)
                outer = _column(-h * per_near + half + 1.0, nx)
        inner = max(inner, start)
        if outer <= inner:
            inner, outer = stop, stop
        for column in range(inner, outer):  # hit by all images
            line[column] += whole
        for side in range(2):
            begin, end = (start, inner) if side == 0 else (outer, stop)
            for column in range(begin, end):
                y = y0 + dy * column
                x = x0 + dx * column
                x2 = x * x
                y2 = y * y
                free = limit2 - y2 * fall
                if y2 > edge2 or x2 * least > free:
                    continue
                if x2 * most <= free:
                    line[column] += whole
                    continue
                k = lookup[int(free / x2 * BINS)]
                k += x2 * stairs[k, 0] <= free  # without a branch, as it is hard to foresee
                while crowded and x2 * stairs[k, 0] <= free:
                    k += 1
                line[column] += dose * stairs[k, 1]


@njit(cache=True, nogil=True, error_model="numpy")
def _add_tilted(
    raster: Any, plane: Any, dose: float, beam: Any, tables: Any, first: int, last: int
) -> None:
    radius = beam[0]
    disc = radius >= 0.0
    reach = radius if disc else np.hypot(beam[1], beam[2])
    across = _reach(plane, reach, np.sqrt(tables[first, 0]))
    ny, nx = raster.shape
    top, bottom = _rows(plane, across, reach, ny)
    limit2 = radius * radius * (1.0 + _RIM)
    tall, wide = beam[1] * (1.0 + _RIM), beam[2] * (1.0 + _RIM)
    for row in range(top, bottom):
        start, stop = 0, nx
        y0 = plane[1, 0] + plane[1, 1] * row
        x0 = plane[2, 0] + plane[2, 1] * row
        z0 = plane[0, 0] + plane[0, 1] * row
        start, stop = _span(y0, plane[1, 2], reach, start, stop)
        if np.isfinite(across):
            start, stop = _span(x0, plane[2, 2], across, start, stop)
        for column in range(start, stop):
            y = y0 + plane[1, 2] * column
            if abs(y) > reach * (1.0 + _RIM):
                continue
            x = x0 + plane[2, 2] * column
            z = z0 + plane[0, 2] * column
            total = 0.0
            before = 0.0
            for k in range(first, last):
                running = tables[k, 1]
                u = x * tables[k, 2] + z * tables[k, 3]
                if disc:
                    lit = u * u + y * y <= limit2
                else:
                    side = u * beam[3] + y * beam[4]
                    length = y * beam[3] - u * beam[4]
                    lit = abs(side) <= wide and abs(length) <= tall
                if lit:
                    total += running - before
                before = running
            raster[row, column] += dose * total


@njit(cache=True, nogil=True, error_model="numpy")
def keep_extremes(value: Any, low: Any, high: Any) -> None:
    """Keep the two lowest and two highest of all rasters seen at each pixel, in place.

    Parameters
    ----------
    value : (ny, nx) float array
        One more raster.
    low, high : (2, ny, nx) float arrays
        The lowest and the one above it; the highest and the one below it.
    """
    ny, nx = value.shape
    for row in range(ny):
        for column in range(nx):
            v = value[row, column]
            if v < low[0, row, column]:
                low[1, row, column] = low[0, row, column]
                low[0, row, column] = v
            elif v < low[1, row, column]:
                low[1, row, column] = v
            if v > high[0, row, column]:
                high[1, row, column] = high[0, row, column]
                high[0, row, column] = v
            elif v > high[1, row, column]:
                high[1, row, column] = v


def warm() -> None:
    """Compile for the types in use."""
    counts = np.zeros(1, np.int64)
    add_footprints(
        *(np.zeros((1, 1)), np.zeros((0, 3, 3)), np.zeros(0), counts[:0]),
        *(np.zeros((0, 6)), counts, np.zeros((0, 4)), counts, np.zeros((0, 2)), counts),
        np.zeros((0, BINS + 2), np.int32),
    )
    keep_extremes(np.zeros((1, 1)), *np.zeros((2, 2, 1, 1)))
