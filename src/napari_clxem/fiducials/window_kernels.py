"""Compiled: the normal equations of a window at given parameters.

The parameters of a window are laid out as :class:`napari_clxem.fiducials.modelling.Layout` says.
Pixels are worked on in single precision, a chunk at a time; sums over chunks, and all that is
solved, are in double precision.

What is kept on disk of `fit_kernels` holds these functions too: touch that file with this one.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

Array = NDArray[np.float64]
Single = NDArray[np.float32]

# Sums may be reordered into vector instructions; NaN keeps its meaning.
_QUICK = {"reassoc", "contract", "nsz", "arcp"}
_CHUNK = 512
_ZERO, _HALF, _ONE = np.float32(0.0), np.float32(0.5), np.float32(1.0)


@njit(cache=True, nogil=True, fastmath=_QUICK, error_model="numpy")
def _lay_bead(
    y: Single,
    x: Single,
    z: Single,
    at: Single,
    base: int,
    first_width: int,
    ndim: int,
    tables: Single,
    step: float,
    jacobian: Single,
    model: Single,
    scratch: Single,
    places: NDArray[np.int32],
) -> None:
    """Add one bead to the model of a chunk of pixels, and its rows to the Jacobian.

    Short loops of one kind of work: the compiler turns such loops into vector instructions.
    """
    count = len(y)
    depth, width = tables.shape[1], tables.shape[2]
    values, radial, axial = tables[0].ravel(), tables[1].ravel(), tables[2].ravel()
    cy, cx, amplitude = at[base + ndim - 2], at[base + ndim - 1], at[base + ndim]
    lateral = np.exp(-at[first_width])
    pace = np.float32(step)
    inverse = _ONE / pace
    far, deep = np.float32(width - 1), np.float32(depth - 1)
    near, high, slope, rise = scratch[0], scratch[1], scratch[2], scratch[3]
    cell, row = places[0], places[1]
    by_y, by_x, value = jacobian[base + ndim - 2], jacobian[base + ndim - 1], jacobian[base + ndim]
    by_width = jacobian[first_width]
    for i in range(count):
        v, u = (y[i] - cy) * lateral, (x[i] - cx) * lateral
        radius = np.sqrt(v * v + u * u) * inverse
        column = np.int32(min(radius + _HALF, far))
        near[i] = radius * (radius - np.float32(column)) * pace * pace
        cell[i] = column
    if ndim == 3:
        along = np.exp(-at[first_width + 1])
        cz, by_z, by_length = at[base], jacobian[base], jacobian[first_width + 1]
        for i in range(count):
            distance = abs(z[i] - cz) * along * inverse
            row[i] = np.int32(min(distance + _HALF, deep))
            high[i] = (distance - np.float32(row[i])) * pace
        for i in range(count):
            cell[i] += row[i] * np.int32(width)
        for i in range(count):
            rise[i] = axial[cell[i]]
    for i in range(count):
        slope[i] = radial[cell[i]]
    for i in range(count):
        value[i] = values[cell[i]]
    for i in range(count):
        value[i] += slope[i] * near[i]
    if ndim == 3:
        for i in range(count):
            value[i] += high[i] * rise[i]
        for i in range(count):
            steep = rise[i] * (-amplitude if z[i] >= cz else amplitude) * along
            by_z[i] = steep
            by_length[i] += steep * (z[i] - cz)
    factor = -amplitude * lateral * lateral
    for i in range(count):
        v, u, steep = y[i] - cy, x[i] - cx, slope[i] * factor
        by_y[i] = steep * v
        by_x[i] = steep * u
        by_width[i] += steep * (v * v + u * u)
        model[i] += amplitude * value[i]


@njit(cache=True, nogil=True, fastmath=_QUICK, error_model="numpy")
def _lay_patterns(
    here: Single,
    first: int,
    last: int,
    at: Single,
    base: int,
    half: Array,
    degrees: NDArray[np.int64],
    jacobian: Single,
    size: int,
    legendre: Single,
) -> None:
    """Write smooth patterns about a bead, then the two ways it may be oval, as further rows."""
    ndim, count = len(here), last - first
    most = np.float32(1.5)
    for axis in range(ndim):
        scale, middle = _ONE / np.float32(half[axis]), at[base + axis]
        line = here[axis][first:last]
        for i in range(count):
            t = min(max((line[i] - middle) * scale, -most), most)
            square = t * t
            legendre[6 * axis, i] = _ONE
            legendre[6 * axis + 1, i] = t
            legendre[6 * axis + 2, i] = most * square - _HALF
            legendre[6 * axis + 3, i] = (np.float32(2.5) * square - most) * t
            fourth = (np.float32(35.0) * square - np.float32(30.0)) * square + np.float32(3.0)
            legendre[6 * axis + 4, i] = fourth * np.float32(0.125)
            fifth = (np.float32(63.0) * square - np.float32(70.0)) * square + np.float32(15.0)
            legendre[6 * axis + 5, i] = fifth * t * np.float32(0.125)
    many = len(degrees)
    for k in range(many):
        row, term = jacobian[size + k], legendre[degrees[k, 0]]
        for i in range(count):
            row[i] = term[i]
        for axis in range(1, ndim):
            if degrees[k, axis] > 0:
                term = legendre[6 * axis + degrees[k, axis]]
                for i in range(count):
                    row[i] *= term[i]
    y, x = here[ndim - 2][first:last], here[ndim - 1][first:last]
    cy, cx = at[base + ndim - 2], at[base + ndim - 1]
    by_y, by_x = jacobian[base + ndim - 2], jacobian[base + ndim - 1]
    straight, diagonal = jacobian[size + many], jacobian[size + many + 1]
    for i in range(count):
        # the bead's derivatives by its own centre hold slope and offset
        straight[i] = (by_x[i] * (x[i] - cx) - by_y[i] * (y[i] - cy)) * _HALF
        diagonal[i] = by_y[i] * (x[i] - cx)


@njit(cache=True, nogil=True, fastmath=_QUICK, error_model="numpy")
def _add_products(
    rows: Single, wide: int, count: int, weight: Single, times: Single, total: Array
) -> None:
    """Add the weighted products of all pairs of rows, two by four at a time to spare loads."""
    for a in range(0, wide, 2):
        one, other = rows[a], rows[min(a + 1, wide - 1)]
        t, s = times[0], times[1]
        for i in range(count):
            t[i] = one[i] * weight[i]
            s[i] = other[i] * weight[i]
        for b in range(a, wide, 4):
            p, q = rows[b], rows[min(b + 1, wide - 1)]
            r, u = rows[min(b + 2, wide - 1)], rows[min(b + 3, wide - 1)]
            tp = tq = tr = tu = sp = sq = sr = su = _ZERO
            for i in range(count):
                tp += t[i] * p[i]
                tq += t[i] * q[i]
                tr += t[i] * r[i]
                tu += t[i] * u[i]
                sp += s[i] * p[i]
                sq += s[i] * q[i]
                sr += s[i] * r[i]
                su += s[i] * u[i]
            last = wide - b
            total[a, b] += tp
            if last > 1:
                total[a, b + 1] += tq
            if last > 2:
                total[a, b + 2] += tr
            if last > 3:
                total[a, b + 3] += tu
            if a + 1 < wide:
                total[a + 1, b] += sp
                if last > 1:
                    total[a + 1, b + 1] += sq
                if last > 2:
                    total[a + 1, b + 2] += sr
                if last > 3:
                    total[a + 1, b + 3] += su


@njit(cache=True, nogil=True, fastmath=_QUICK, error_model="numpy")
def gather(
    data: Single,
    here: Single,
    at: Array,
    beads: int,
    tables: Single,
    step: float,
    noise: Array,
    whole: bool,
    most: int,
    earlier: Single,
    expected: Single,
    bead: int,
    degrees: NDArray[np.int64],
    half: Array,
    room: tuple[Single, Single, Single],
    places: NDArray[np.int32],
    total: Array,
    sums: Array,
) -> None:
    """Gather the normal equations of one window at given parameters.

    Parameters
    ----------
    data : (m,) array
        Pixels, NaN where there are none.
    here : (d, m) array
        Where they are, µm.
    at : (p,) array
        Parameters.
    beads : int
        Beads of the window.
    tables : (3, nz, nr) array
        Profile of unit peak, its radial derivative over the radius, its axial derivative.
    step : float
        Of the tables, µm.
    noise : (3,) array
        Variance: offset, gain, floor.
    whole : bool
        Whether the data are fitted whole and weighted by themselves, as a linear fit starts;
        else what the model leaves of them is fitted, weighted by the model.
    most : int
        How many pixels to look at.
    earlier, expected : (m,) array
        The model accepted before, and room for the one at `at`, which is written.
    bead : int
        About which bead patterns are laid; -1 for none.
    degrees : (e, d) array of int
        Degrees of the Legendre polynomials of each pattern.
    half : (d,) array
        Half sides of the window, µm.
    room : (wide, chunk), (5, chunk) and (6 d, chunk) array
    places : (2, chunk) array
    total : (wide, wide) array
        Written: normal matrix of parameters and patterns, bordered by gradient and cost; wide is
        p + 1, with patterns p + e + 3.
    sums : (3,) array
        Written: cost under the earlier model's weights, valid pixels, sum of the bead's value.
    """
    size, ndim, wide = len(at), len(here), len(total)
    first_width = beads * (ndim + 1)
    first_background = first_width + ndim - 1
    now = at.astype(np.float32)
    offset, gain, floor = np.float32(noise[0]), np.float32(noise[1]), np.float32(noise[2])
    jacobian, scratch, legendre = room
    weight, left = scratch[4], jacobian[wide - 1]
    total[:] = 0.0
    before = count_valid = lobe = 0.0
    for first in range(0, most, _CHUNK):
        last = min(first + _CHUNK, most)
        count = last - first
        # Slices that start at the chunk spare the compiler negative indices.
        some, old, new = data[first:last], earlier[first:last], expected[first:last]
        jacobian[first_width:first_background] = _ZERO
        jacobian[first_background] = _ONE
        new[:] = now[first_background]
        for axis in range(ndim):
            rate, ramp = now[first_background + 1 + axis], here[axis][first:last]
            row = jacobian[first_background + 1 + axis]
            for i in range(count):
                row[i] = ramp[i]
                new[i] += rate * ramp[i]
        for k in range(beads):
            _lay_bead(
                here[ndim - 2][first:last], here[ndim - 1][first:last], here[0][first:last], now,
                k * (ndim + 1), first_width, ndim, tables, step, jacobian, new, scratch, places,
            )  # fmt: skip
        sum_before = sum_valid = sum_lobe = _ZERO
        if bead >= 0:
            _lay_patterns(
                here, first, last, now, bead * (ndim + 1), half, degrees, jacobian, size, legendre
            )
            peak = jacobian[bead * (ndim + 1) + ndim]
            for i in range(count):
                valid = _ONE if some[i] == some[i] else _ZERO
                sum_valid += valid
                sum_lobe += valid * peak[i]
        for i in range(count):
            known = some[i] == some[i]
            value = some[i] if known else _ZERO
            level = value if whole else new[i]
            share = _ONE / max(offset + gain * level, floor)
            weight[i] = share if known else _ZERO
            left[i] = value if whole or not known else value - new[i]
        for i in range(count):
            share = _ONE / max(offset + gain * old[i], floor)
            sum_before += left[i] * left[i] * (share if some[i] == some[i] else _ZERO)
        before += float(sum_before)
        count_valid += float(sum_valid)
        lobe += float(sum_lobe)
        _add_products(jacobian, wide, count, weight, scratch, total)
    for a in range(wide):
        for b in range(a):
            total[a, b] = total[b, a]
    sums[0], sums[1], sums[2] = before, count_valid, lobe


@njit(cache=True, nogil=True)
def room_for(wide: int, ndim: int) -> tuple[tuple[Single, Single, Single], NDArray[np.int32]]:
    """Give the room that :func:`gather` works in."""
    lines = (
        np.empty((wide, _CHUNK), np.float32),
        np.empty((5, _CHUNK), np.float32),
        np.empty((6 * ndim, _CHUNK), np.float32),
    )
    return lines, np.empty((2, _CHUNK), np.int32)
