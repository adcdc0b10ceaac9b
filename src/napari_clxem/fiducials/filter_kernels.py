"""Compiled: averaging, the matched filter and its maxima, a band of rows at a time."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

Plane = NDArray[np.float32]
Volume = NDArray[np.float32]

_QUICK = {"reassoc", "contract", "nsz", "arcp"}
_ZERO, _ONE = np.float32(0.0), np.float32(1.0)
_LEAST = np.float32(1e-38)
_LOOK = 64
_LARGEST = np.float32(np.finfo(np.float32).max)


@njit(cache=True, nogil=True, fastmath=_QUICK, error_model="numpy")
def average_rows(
    volume: NDArray[Any],
    factor: tuple[int, int, int],
    rows: tuple[int, int],
    line: Plane,
    small: Volume,
) -> int:
    """Average pixels over bins, of some rows of bins.

    Parameters
    ----------
    volume : (nz, ny, nx) array
        Pixels; bins at its end hold what there is.
    factor : (int, int, int)
        Pixels of a bin.
    rows : (int, int)
        First row of bins and the one after the last.
    line : (nx,) array
        Room.
    small : (mz, rows, mx) array
        Written: means.

    Returns
    -------
    int
        Pixels that are no finite numbers: with any, the means are of no use.
    """
    depth, height, width = volume.shape
    fz, fy, fx = factor
    missing, full = 0, width // fx
    for k in range(len(small)):
        for row in range(rows[0], rows[1]):
            line[:] = _ZERO
            lines = 0
            for z in range(k * fz, min(k * fz + fz, depth)):
                for y in range(row * fy, min(row * fy + fy, height)):
                    pixels = volume[z, y]
                    lines += 1
                    for x in range(width):
                        line[x] += np.float32(pixels[x])
            for x in range(width):
                missing += 0 if abs(line[x]) <= _LARGEST else 1
            out = small[k, row - rows[0]]
            share = _ONE / np.float32(lines * fx)
            if fx == 1:
                for x in range(width):
                    out[x] = line[x] * share
            elif fx == 2:
                for x in range(full):
                    out[x] = (line[2 * x] + line[2 * x + 1]) * share
            else:
                for x in range(full):
                    total = _ZERO
                    for step in range(fx):
                        total += line[x * fx + step]
                    out[x] = total * share
            if full < len(out):
                total = _ZERO
                for x in range(full * fx, width):
                    total += line[x]
                out[full] = total / np.float32(lines * (width - full * fx))
    return missing


@njit(cache=True, nogil=True, fastmath=_QUICK, error_model="numpy")
def measure_cells(
    volume: NDArray[Any],
    cell: tuple[int, int, int],
    row: int,
    room: Plane,
    square: Volume,
    level: Volume,
    count: Volume,
) -> None:
    """Measure the noise in one row of cells.

    Parameters
    ----------
    volume : (nz, ny, nx) array
        Finite pixels.
    cell : (int, int, int)
        Pixels of a cell, even in the plane.
    row : int
        Which row of cells.
    room : (2, nx / 2) array
        Room.
    square, level, count : (mz, my, mx) array
        Written: sum over the cell's squares of 2 x 2 pixels of ``((a - b - c + d) / 2)**2`` and
        of their means, and their number.
    """
    depth, height, width = volume.shape
    half, side = width // 2, cell[2] // 2
    squares, levels = room[0], room[1]
    for k in range(len(square)):
        room[:] = _ZERO
        lines = 0
        for z in range(k * cell[0], min((k + 1) * cell[0], depth)):
            for y in range(row * cell[1], min((row + 1) * cell[1], height) - 1, 2):
                one, other = volume[z, y], volume[z, y + 1]
                lines += 1
                for x in range(half):
                    a, b = np.float32(one[2 * x]), np.float32(one[2 * x + 1])
                    c, d = np.float32(other[2 * x]), np.float32(other[2 * x + 1])
                    twist = (a - b) - (c - d)
                    squares[x] += twist * twist
                    levels[x] += (a + b) + (c + d)
        for column in range(square.shape[2]):
            s = m = _ZERO
            last = min((column + 1) * side, half)
            for x in range(column * side, last):
                s += squares[x]
                m += levels[x]
            square[k, row, column] = s * np.float32(0.25)
            level[k, row, column] = m * np.float32(0.25)
            count[k, row, column] = lines * max(last - column * side, 0)


@njit(cache=True, nogil=True, fastmath=_QUICK, error_model="numpy")
def blur_lines(
    lines: Plane, weights: Volume, first: int, last: int, padded: Plane, one: Plane, other: Plane
) -> None:
    """Blur by two kernels across lines and then along them, two taps at a time to spare loads.

    Parameters
    ----------
    lines : (n, nx) array
    weights : (2, 2, 2 r + 1) array
        Of each kernel one half, centre first, zeros at its end: across, along.
    first, last : int
        Rows of `lines` to give.
    padded : (2, nx + 4 r) array
        Room.
    one, other : (last - first, nx) array
        Written.
    """
    n, width = lines.shape
    taps = weights.shape[2]
    reach = taps - 1
    across, along = weights[:, 0], weights[:, 1]
    left, right = padded[0], padded[1]
    inner, outer = left[reach : reach + width], right[reach : reach + width]
    for row in range(first, last):
        centre, a0, b0 = lines[row], across[0, 0], across[1, 0]
        for j in range(width):
            inner[j] = a0 * centre[j]
            outer[j] = b0 * centre[j]
        for k in range(1, taps, 2):
            a1, a2, b1, b2 = across[0, k], across[0, k + 1], across[1, k], across[1, k + 1]
            up, down = lines[max(row - k, 0)], lines[min(row + k, n - 1)]
            high, low = lines[max(row - k - 1, 0)], lines[min(row + k + 1, n - 1)]
            for j in range(width):
                near, far = up[j] + down[j], high[j] + low[j]
                inner[j] += a1 * near + a2 * far
                outer[j] += b1 * near + b2 * far
        for k in range(reach):
            left[k], right[k] = inner[0], outer[0]
            left[reach + width + k], right[reach + width + k] = inner[width - 1], outer[width - 1]
        for kernel in range(2):
            line = padded[kernel]
            out = one[row - first] if kernel == 0 else other[row - first]
            weight, middle = along[kernel, 0], line[reach : reach + width]
            for j in range(width):
                out[j] = weight * middle[j]
            for k in range(1, taps, 2):
                w1, w2 = along[kernel, k], along[kernel, k + 1]
                if w1 == _ZERO:
                    break
                before, after = line[reach - k : reach - k + width], line[reach + k :]
                front, back = line[reach - k - 1 : reach - k - 1 + width], line[reach + k + 1 :]
                for j in range(width):
                    out[j] += w1 * (before[j] + after[j]) + w2 * (front[j] + back[j])


@njit(cache=True, nogil=True, fastmath=_QUICK, error_model="numpy")
def blur_depth(
    one: Volume, other: Volume, weights: Plane, first: int, rows: int, result: Volume
) -> None:
    """Blur two volumes along the first axis, and write their sum.

    Parameters
    ----------
    one, other : (nz, r, nx) array
        Of which the first `rows` rows are used.
    weights : (2, 2 r + 1) array
        Of each kernel one half, centre first, zeros at its end, times a scale.
    first : int
        Row of the result that the first row becomes.
    result : (nz, ny, nx) array
        Written.
    """
    depth, _, width = one.shape
    for z in range(depth):
        for y in range(rows):
            out = result[z, first + y]
            for kernel in range(2):
                volume, half = (one, weights[0]) if kernel == 0 else (other, weights[1])
                centre, weight = volume[z, y], half[0]
                if kernel == 0:
                    for j in range(width):
                        out[j] = weight * centre[j]
                else:
                    for j in range(width):
                        out[j] += weight * centre[j]
                for k in range(1, len(half), 2):
                    w1, w2 = half[k], half[k + 1]
                    if w1 == _ZERO:
                        break
                    up, down = volume[max(z - k, 0), y], volume[min(z + k, depth - 1), y]
                    high, low = volume[max(z - k - 1, 0), y], volume[min(z + k + 1, depth - 1), y]
                    for j in range(width):
                        out[j] += w1 * (up[j] + down[j]) + w2 * (high[j] + low[j])


@njit(cache=True, nogil=True, error_model="numpy")
def _is_highest(
    answer: NDArray[np.float32], z: int, y: int, x: int, radius: NDArray[np.int64]
) -> bool:
    """Tell whether no pixel in the box around a place is higher."""
    depth, height, width = answer.shape
    line, value = answer[z, y], answer[z, y, x]
    # most pixels have a higher one beside them
    if (x > 0 and line[x - 1] > value) or (x < width - 1 and line[x + 1] > value):
        return False
    if (y > 0 and answer[z, y - 1, x] > value) or (y < height - 1 and answer[z, y + 1, x] > value):
        return False
    for k in range(max(z - radius[0], 0), min(z + radius[0] + 1, depth)):
        for i in range(max(y - radius[1], 0), min(y + radius[1] + 1, height)):
            for j in range(max(x - radius[2], 0), min(x + radius[2] + 1, width)):
                if answer[k, i, j] > value:
                    return False
    return True


@njit(cache=True, nogil=True, error_model="numpy")
def find_peaks(
    answer: NDArray[np.float32],
    noise: NDArray[np.float32],
    cell: NDArray[np.int64],
    radius: NDArray[np.int64],
    threshold: float,
    planes: tuple[int, int],
    found: NDArray[np.int64],
) -> int:
    """Find pixels above `threshold` times their cell's noise that are the highest of their box.

    Parameters
    ----------
    answer : (nz, ny, nx) array
    noise : (mz, my, mx) array
        Per cell of `cell` pixels.
    radius : (3,) array
        Half sides of the box.
    threshold : float
        Over the noise.
    planes : (int, int)
        First and last plane to look at.
    found : (k, 3) array
        Written: indices.

    Returns
    -------
    int
        How many there are; no more than `found` holds are written.
    """
    height, width = answer.shape[1:]
    count, least, limit = 0, np.float32(threshold), np.empty(width, np.float32)
    for z in range(planes[0], planes[1]):
        for y in range(height):
            row = noise[min(z // cell[0], len(noise) - 1), min(y // cell[1], noise.shape[1] - 1)]
            if y % cell[1] == 0:
                for part in range(len(row)):
                    end = width if part == len(row) - 1 else (part + 1) * cell[2]
                    limit[part * cell[2] : end] = max(least * row[part], _LEAST)
            line = answer[z, y]
            for begin in range(0, width, _LOOK):
                some, bound = line[begin : begin + _LOOK], limit[begin : begin + _LOOK]
                above = 0
                for i in range(len(some)):
                    above += some[i] >= bound[i]
                if above == 0:
                    continue
                for i in range(len(some)):
                    if some[i] >= bound[i] and _is_highest(answer, z, y, begin + i, radius):
                        if count < len(found):
                            found[count, 0], found[count, 1], found[count, 2] = z, y, begin + i
                        count += 1
    return count


def warm() -> None:
    """Compile, or load from disk, by working on next to nothing."""
    three, room = np.ones(3, np.int64), np.zeros((2, 4), np.float32)
    volume = np.zeros((1, 4, 4), np.float32)
    cells = np.zeros((3, 1, 1, 1), np.float32)
    for kind in (np.uint8, np.uint16, np.float32):
        pixels = np.zeros((1, 4, 4), kind)
        average_rows(pixels, (1, 1, 1), (0, 4), room[0], volume)
        measure_cells(pixels, (1, 4, 4), 0, room, cells[0], cells[1], cells[2])
    weights = np.ones((2, 2, 3), np.float32)
    blur_lines(volume[0], weights, 0, 4, np.zeros((2, 8), np.float32), volume[0], volume[0])
    blur_depth(volume, volume, weights[0], 0, 4, volume.copy())
    find_peaks(
        volume, volume[:, :1, :1].copy(), three, three, 1.0, (0, 1), np.zeros((1, 3), np.int64)
    )
