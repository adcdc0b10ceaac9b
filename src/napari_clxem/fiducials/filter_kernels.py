"""Compiled: averaging, the matched filter and its maxima, plane by plane."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

Plane = NDArray[np.float32]

_QUICK = {"reassoc", "contract", "nsz", "arcp"}


@njit(cache=True, nogil=True, fastmath=_QUICK, error_model="numpy")
def reduce_plane(
    plane: Plane,
    factor: tuple[int, int],
    total: Plane,
    count: Plane,
    square: Plane,
    mean: Plane,
    valid: Plane,
    side: tuple[int, int],
) -> None:
    """Add a plane to sums over bins, and measure the noise of its cells.

    Parameters
    ----------
    plane : (ny, nx) array
        Pixels, NaN where there are none; a multiple of the bins.
    factor : (int, int)
        Pixels of a bin.
    total, count : (ny / fy, nx / fx) array
        Sums of the pixels of each bin and their number, added to.
    square, mean, valid : (my, mx) array
        Written, per cell of `side` squares of 2 x 2 pixels: sum of ``((a - b - c + d) / 2)**2``,
        sum of means, and number of squares without missing pixels.
    side : (int, int)
        Squares of a cell.
    """
    fy, fx = factor
    for i in range(len(total)):
        sums, numbers = total[i], count[i]
        for k in range(fy):
            line = plane[i * fy + k]
            for j in range(len(sums)):
                for step in range(fx):
                    value = line[j * fx + step]
                    known = value == value
                    sums[j] += value if known else np.float32(0.0)
                    numbers[j] += np.float32(1.0) if known else np.float32(0.0)
    for i in range(plane.shape[0] // 2):
        one, other = plane[2 * i], plane[2 * i + 1]
        row = min(i // side[0], len(square) - 1)
        for column in range(square.shape[1]):
            first = column * side[1]
            last = min(first + side[1], plane.shape[1] // 2)
            s = m = n = np.float32(0.0)
            for j in range(first, last):
                a, b, c, d = one[2 * j], one[2 * j + 1], other[2 * j], other[2 * j + 1]
                level = a + b + c + d
                known = level == level
                twist = a - b - c + d
                s += twist * twist if known else np.float32(0.0)
                m += level if known else np.float32(0.0)
                n += np.float32(1.0) if known else np.float32(0.0)
            square[row, column] += s / np.float32(4.0)
            mean[row, column] += m / np.float32(4.0)
            valid[row, column] += n


@njit(cache=True, nogil=True, fastmath=_QUICK, error_model="numpy")
def blur_lines(
    lines: Plane, weights: Plane, first: int, last: int, padded: Plane, result: Plane
) -> None:
    """Blur across lines and then along them: `result` gets rows `first` to `last`.

    Parameters
    ----------
    lines : (n, nx) array
    weights : (2, r + 1) array
        One half of the symmetric kernels, centre first: across, along.
    first, last : int
        Rows to give.
    padded : (nx + 2 r,) array
        Room.
    result : (n, nx) array
        Written.
    """
    n, width = lines.shape
    reach = weights.shape[1] - 1
    inner = padded[reach : reach + width]
    for row in range(first, last):
        centre, weight = lines[row], weights[0, 0]
        for j in range(width):
            inner[j] = weight * centre[j]
        for k in range(1, reach + 1):
            weight = weights[0, k]
            if weight == 0.0:
                break
            above, below = lines[max(row - k, 0)], lines[min(row + k, n - 1)]
            for j in range(width):
                inner[j] += weight * (above[j] + below[j])
        for k in range(reach):
            padded[k] = padded[reach]
            padded[reach + width + k] = padded[reach + width - 1]
        out, weight = result[row], weights[1, 0]
        for j in range(width):
            out[j] = weight * inner[j]
        for k in range(1, reach + 1):
            weight = weights[1, k]
            if weight == 0.0:
                break
            left, right = padded[reach - k : reach - k + width], padded[reach + k :]
            for j in range(width):
                out[j] += weight * (left[j] + right[j])


@njit(cache=True, nogil=True, fastmath=_QUICK, error_model="numpy")
def blur_depth(
    volume: NDArray[np.float32],
    weights: Plane,
    scale: float,
    rows: tuple[int, int],
    result: NDArray[np.float32],
) -> None:
    """Blur along the first axis, times a scale, and add to `result`; of some rows of each plane."""
    depth, _, width = volume.shape
    for z in range(depth):
        for y in range(rows[0], rows[1]):
            out, centre, weight = result[z, y], volume[z, y], np.float32(scale) * weights[0]
            for j in range(width):
                out[j] += weight * centre[j]
            for k in range(1, len(weights)):
                weight = np.float32(scale) * weights[k]
                above, below = volume[max(z - k, 0), y], volume[min(z + k, depth - 1), y]
                for j in range(width):
                    out[j] += weight * (above[j] + below[j])


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
    depth, height, width = answer.shape
    count = 0
    for z in range(planes[0], planes[1]):
        for y in range(height):
            row = noise[min(z // cell[0], len(noise) - 1), min(y // cell[1], noise.shape[1] - 1)]
            line = answer[z, y]
            for x in range(width):
                value = line[x]
                if value <= 0.0 or value < threshold * row[min(x // cell[2], len(row) - 1)]:
                    continue
                # most pixels have a higher one beside them
                if x > 0 and line[x - 1] > value:
                    continue
                if x < width - 1 and line[x + 1] > value:
                    continue
                highest = True
                for k in range(max(z - radius[0], 0), min(z + radius[0] + 1, depth)):
                    for i in range(max(y - radius[1], 0), min(y + radius[1] + 1, height)):
                        for j in range(max(x - radius[2], 0), min(x + radius[2] + 1, width)):
                            if answer[k, i, j] > value:
                                highest = False
                                break
                        if not highest:
                            break
                    if not highest:
                        break
                if highest:
                    if count < len(found):
                        found[count, 0], found[count, 1], found[count, 2] = z, y, x
                    count += 1
    return count


def warm() -> Any:
    """Compile, or load from disk, by working on next to nothing."""
    plane, small = np.zeros((4, 4), np.float32), np.zeros((2, 2), np.float32)
    reduce_plane(plane, (2, 2), small, small.copy(), small, small, small, (1, 1))
    weights = np.ones((2, 2), np.float32)
    blur_lines(plane, weights, 0, 4, np.zeros(6, np.float32), plane.copy())
    volume = np.zeros((2, 4, 4), np.float32)
    blur_depth(volume, weights[0], 1.0, (0, 4), volume.copy())
    three = np.ones(3, np.int64)
    find_peaks(volume, volume[:1, :1], three, three, 1.0, (0, 2), np.zeros((1, 3), np.int64))
