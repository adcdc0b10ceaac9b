"""Compiled: the normal equations of bead fits, one window after another.

The parameters of a window are laid out as :class:`napari_clxem.fiducials.modelling.Layout` says.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

Array = NDArray[np.float64]

# Sums may be reordered into vector instructions; NaN keeps its meaning.
_QUICK = {"reassoc", "contract", "nsz", "arcp"}
_CHUNK = 256


@njit(cache=True, nogil=True, fastmath=_QUICK, error_model="numpy")
def _lay_bead(
    y: Array,
    x: Array,
    z: Array,
    at: Array,
    base: int,
    first_width: int,
    ndim: int,
    tables: Array,
    step: float,
    jacobian: Array,
    model: Array,
    scratch: Array,
    places: NDArray[np.uint32],
) -> None:
    """Add one bead to the model of a chunk of pixels, and its rows to the Jacobian.

    One result per loop: the compiler turns such loops into vector instructions.
    """
    count = len(y)
    depth, width = tables.shape[1], tables.shape[2]
    values, radial, axial = tables[0].ravel(), tables[1].ravel(), tables[2].ravel()
    cy, cx, amplitude = at[base + ndim - 2], at[base + ndim - 1], at[base + ndim]
    lateral = np.exp(-at[first_width])
    inverse = 1.0 / step
    near, high, slope, rise = scratch[0], scratch[1], scratch[2], scratch[3]
    cell, row = places[0], places[1]
    by_y, by_x, value = jacobian[base + ndim - 2], jacobian[base + ndim - 1], jacobian[base + ndim]
    by_width = jacobian[first_width]
    for i in range(count):
        v, u = (y[i] - cy) * lateral, (x[i] - cx) * lateral
        near[i] = np.sqrt(v * v + u * u) * inverse
    for i in range(count):
        cell[i] = np.uint32(min(near[i] + 0.5, width - 0.5))
    for i in range(count):
        near[i] = near[i] * (near[i] - cell[i]) * step * step
    if ndim == 3:
        along = np.exp(-at[first_width + 1])
        cz, by_z, by_length = at[base], jacobian[base], jacobian[first_width + 1]
        for i in range(count):
            high[i] = abs(z[i] - cz) * along * inverse
        for i in range(count):
            row[i] = np.uint32(min(high[i] + 0.5, depth - 0.5))
        for i in range(count):
            high[i] = (high[i] - row[i]) * step
        for i in range(count):
            cell[i] += row[i] * np.uint32(width)
        for i in range(count):
            rise[i] = axial[cell[i]]
        for i in range(count):
            high[i] *= rise[i]
        for i in range(count):
            rise[i] *= -amplitude if z[i] >= cz else amplitude
        for i in range(count):
            by_z[i] = rise[i] * along
        for i in range(count):
            by_length[i] += rise[i] * (z[i] - cz) * along
    for i in range(count):
        slope[i] = radial[cell[i]]
    for i in range(count):
        value[i] = values[cell[i]]
    for i in range(count):
        value[i] += slope[i] * near[i]
    if ndim == 3:
        for i in range(count):
            value[i] += high[i]
    for i in range(count):
        slope[i] *= -amplitude * lateral * lateral
    for i in range(count):
        by_y[i] = slope[i] * (y[i] - cy)
    for i in range(count):
        by_x[i] = slope[i] * (x[i] - cx)
    for i in range(count):
        by_width[i] += slope[i] * ((y[i] - cy) * (y[i] - cy) + (x[i] - cx) * (x[i] - cx))
    for i in range(count):
        model[i] += amplitude * value[i]


@njit(cache=True, nogil=True, fastmath=_QUICK, error_model="numpy")
def _lay_patterns(
    pixels: Array,
    at: Array,
    base: int,
    half: Array,
    degrees: NDArray[np.int64],
    jacobian: Array,
    size: int,
    legendre: Array,
) -> None:
    """Write smooth patterns about a bead, then the two ways it may be oval, as further rows."""
    ndim, count = pixels.shape
    for axis in range(ndim):
        for i in range(count):
            t = (pixels[axis, i] - at[base + axis]) / half[axis]
            t = min(max(t, -1.5), 1.5)
            square = t * t
            legendre[axis, 0, i] = 1.0
            legendre[axis, 1, i] = t
            legendre[axis, 2, i] = 1.5 * square - 0.5
            legendre[axis, 3, i] = (2.5 * square - 1.5) * t
            legendre[axis, 4, i] = ((35.0 * square - 30.0) * square + 3.0) / 8.0
            legendre[axis, 5, i] = ((63.0 * square - 70.0) * square + 15.0) * t / 8.0
    many = len(degrees)
    for k in range(many):
        for i in range(count):
            product = 1.0
            for axis in range(ndim):
                product *= legendre[axis, degrees[k, axis], i]
            jacobian[size + k, i] = product
    for i in range(count):
        # the bead's derivatives by its own centre hold slope and offset
        v, u = pixels[ndim - 2, i] - at[base + ndim - 2], pixels[ndim - 1, i] - at[base + ndim - 1]
        by_v, by_u = jacobian[base + ndim - 2, i], jacobian[base + ndim - 1, i]
        jacobian[size + many, i] = (by_u * u - by_v * v) / 2.0
        jacobian[size + many + 1, i] = by_v * u


@njit(cache=True, nogil=True, fastmath=_QUICK, error_model="numpy")
def gather(
    data: Array,
    offsets: Array,
    rows: NDArray[np.int64],
    at: Array,
    beads: int,
    tables: Array,
    step: float,
    noise: Array,
    whole: bool,
    most: int,
    models: Array,
    side: NDArray[np.int64],
    bead: int,
    degrees: NDArray[np.int64],
    half: Array,
    normal: Array,
    sums: Array,
) -> None:
    """Gather the normal equations of windows at given parameters.

    Parameters
    ----------
    data : (n, m) array
        Pixels, NaN where there are none.
    offsets : (n or 1, d, m) array
        Where they are, µm.
    rows : (k,) array of int
        Which windows to look at.
    at : (n, p) array
        Parameters.
    beads : int
        Beads per window.
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
        How many pixels of each window to look at.
    models : (2, n, m) array
        The model accepted before, and room for the one at `at`, which is written.
    side : (n,) array of int
        Which of the two was accepted.
    bead : int
        About which bead patterns are laid; -1 for none.
    degrees : (e, d) array of int
        Degrees of the Legendre polynomials of each pattern.
    half : (d,) array
        Half sides of the window, µm.
    normal : (n, p + 1, p + 1) array, with patterns (n, p + e + 3, p + e + 3)
        Written: normal matrix of parameters and patterns, bordered by gradient and cost.
    sums : (n, 3) array
        Written: cost under the earlier model's weights, valid pixels, sum of the bead's value.
    """
    size, ndim, m = at.shape[1], offsets.shape[1], min(data.shape[1], most)
    wide = normal.shape[1]
    first_width = beads * (ndim + 1)
    first_background = first_width + ndim - 1
    jacobian = np.empty((wide, _CHUNK))
    scratch, places = np.empty((5, _CHUNK)), np.empty((2, _CHUNK), np.uint32)
    legendre = np.empty((ndim, 6, _CHUNK))
    weight, valid, left = scratch[4], np.empty(_CHUNK), jacobian[wide - 1]
    for n in rows:
        here = offsets[n if len(offsets) > 1 else 0]
        total = normal[n]
        for a in range(wide):
            for b in range(wide):
                total[a, b] = 0.0
        before = count_valid = lobe = 0.0
        for first in range(0, m, _CHUNK):
            last = min(first + _CHUNK, m)
            count = last - first
            # Slices that start at the chunk spare the compiler negative indices.
            some, earlier = data[n, first:last], models[side[n], n, first:last]
            expected = models[1 - side[n], n, first:last]
            pixels = here[:, first:last]
            for w in range(first_width, first_background):
                for i in range(count):
                    jacobian[w, i] = 0.0
            for i in range(count):
                jacobian[first_background, i] = 1.0
                expected[i] = at[n, first_background]
            for axis in range(ndim):
                rate, ramp = at[n, first_background + 1 + axis], pixels[axis]
                row = jacobian[first_background + 1 + axis]
                for i in range(count):
                    row[i] = ramp[i]
                for i in range(count):
                    expected[i] += rate * ramp[i]
            for k in range(beads):
                _lay_bead(
                    pixels[ndim - 2], pixels[ndim - 1], pixels[0], at[n], k * (ndim + 1),
                    first_width, ndim, tables, step, jacobian, expected, scratch, places,
                )  # fmt: skip
            if bead >= 0:
                _lay_patterns(
                    pixels, at[n], bead * (ndim + 1), half, degrees, jacobian, size, legendre
                )
            for i in range(count):
                valid[i] = 1.0 if some[i] == some[i] else 0.0
                left[i] = some[i] if some[i] == some[i] else 0.0
            for i in range(count):
                level = left[i] if whole else expected[i]
                weight[i] = valid[i] / max(noise[0] + noise[1] * level, noise[2])
            if not whole:
                for i in range(count):
                    left[i] -= expected[i] * valid[i]
            for i in range(count):
                used = valid[i] / max(noise[0] + noise[1] * earlier[i], noise[2])
                before += used * left[i] * left[i]
            if bead >= 0:
                peak = jacobian[bead * (ndim + 1) + ndim]
                for i in range(count):
                    count_valid += valid[i]
                    lobe += valid[i] * peak[i]
            times = scratch[0]
            for a in range(wide):
                one = jacobian[a]
                for i in range(count):
                    times[i] = one[i] * weight[i]
                for b in range(a, wide):
                    other = jacobian[b]
                    product = 0.0
                    for i in range(count):
                        product += times[i] * other[i]
                    total[a, b] += product
        for a in range(wide):
            for b in range(a):
                total[a, b] = total[b, a]
        sums[n, 0], sums[n, 1], sums[n, 2] = before, count_valid, lobe


def tables_of(profile: Any) -> Array:
    """Give a profile's tables as one array (3, nz, nr)."""
    return np.ascontiguousarray(np.stack([profile.values, profile.radial, profile.axial]))


def warm() -> None:
    """Compile, or load from disk, by working on a window of nothing."""
    data, offsets = np.zeros((1, 8)), np.zeros((1, 3, 8))
    degrees = np.ones((1, 3), np.int64)
    gather(
        data, offsets, np.zeros(1, np.int64), np.ones((1, 10)), 1, np.ones((3, 2, 2)), 1.0,
        np.ones(3), False, 8, np.zeros((2, 1, 8)), np.zeros(1, np.int64), 0, degrees, np.ones(3),
        np.zeros((1, 14, 14)), np.zeros((1, 3)),
    )  # fmt: skip
