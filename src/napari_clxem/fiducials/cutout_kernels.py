"""Compiled: windows and highest pixels around candidates, and medians of noise cells."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

Volume = NDArray[np.float32]
Cells = NDArray[np.float64]
Line = NDArray[np.float64]

_LARGEST, _NONE = np.float32(np.finfo(np.float32).max), np.float32(np.nan)
Places = NDArray[np.int64]


@njit(cache=True, nogil=True, error_model="numpy")
def cut_windows(
    volume: NDArray[Any],
    corners: Places,
    size: Places,
    bins: Places,
    factor: Places,
    rows: Places,
    data: Volume,
) -> None:
    """Average pixels into windows, NaN where there are none.

    Parameters
    ----------
    volume : (nz, ny, nx) array
        Pixels; those that are no finite numbers are left out.
    corners : (n, 3) array
        First pixel of each window, inside the volume or not.
    size : (3,) array
        Pixels of a window.
    bins : (m, 3) array
        From there to the first pixel of each bin.
    factor : (3,) array
        Pixels of a bin.
    rows : (k,) array
        Which windows to cut.
    data : (n, m) array
        Written: means.
    """
    depth, height, width = volume.shape
    room = np.empty((size[0], size[1], size[2]), np.float32)
    flat, single = room.ravel(), factor[0] * factor[1] * factor[2] == 1
    steps = (bins[:, 0] * size[1] + bins[:, 1]) * size[2] + bins[:, 2]
    for n in rows:
        z, y, x = corners[n]
        left, right = max(x, 0), min(x + size[2], width)
        room[:] = _NONE
        # Line by line first: bins come in mixed order, and the volume is larger than caches are.
        for k in range(max(z, 0), min(z + size[0], depth)):
            for j in range(max(y, 0), min(y + size[1], height)):
                source, target = volume[k, j, left:right], room[k - z, j - y, left - x :]
                for i in range(len(source)):
                    value = np.float32(source[i])
                    target[i] = value if abs(value) <= _LARGEST else _NONE
        line = data[n]
        if single:
            for i in range(len(steps)):
                line[i] = flat[steps[i]]
            continue
        for i in range(len(steps)):
            total = count = np.float32(0.0)
            for k in range(bins[i, 0], bins[i, 0] + factor[0]):
                for j in range(bins[i, 1], bins[i, 1] + factor[1]):
                    for h in range(bins[i, 2], bins[i, 2] + factor[2]):
                        value = room[k, j, h]
                        if value == value:
                            total += value
                            count += np.float32(1.0)
            line[i] = total / count if count > 0 else _NONE


@njit(cache=True, nogil=True, error_model="numpy")
def find_tops(
    volume: NDArray[Any], places: Places, radius: Places, rows: Places, top: Line, shared: Line
) -> None:
    """Find the highest pixel of boxes, and how many share its value.

    Parameters
    ----------
    volume : (nz, ny, nx) array
        Pixels; those that are no finite numbers are left out.
    places : (n, 3) array
        Middles of boxes, within the volume.
    radius : (3,) array
        Half sides of a box.
    rows : (k,) array
        Which boxes to look at.
    top, shared : (n,) array
        Written.
    """
    depth, height, width = volume.shape
    for n in rows:
        z, y, x = places[n]
        low, high = max(z - radius[0], 0), min(z + radius[0] + 1, depth)
        up, down = max(y - radius[1], 0), min(y + radius[1] + 1, height)
        left, right = max(x - radius[2], 0), min(x + radius[2] + 1, width)
        highest = -np.inf
        for k in range(low, high):
            for i in range(up, down):
                line = volume[k, i, left:right]
                for j in range(len(line)):
                    value = line[j]
                    if abs(value) <= _LARGEST and value > highest:
                        highest = float(value)
        count = 0
        for k in range(low, high):
            for i in range(up, down):
                line = volume[k, i, left:right]
                for j in range(len(line)):
                    count += line[j] == highest
        top[n], shared[n] = highest, count


@njit(cache=True, nogil=True, error_model="numpy")
def _order(low: Cells, high: Cells) -> None:
    """Exchange values so that none of `low` is above that of `high`."""
    for i in range(len(low)):
        one, other = low[i], high[i]
        low[i] = one if one < other else other
        high[i] = other if one < other else one


@njit(cache=True, nogil=True, error_model="numpy")
def smooth_cells(cells: Cells, plane: int, smooth: Cells) -> None:
    """Write the median of 3 x 3 x 3 cells, those at the rim repeated, for one plane of cells.

    Of 15 values the lowest and the highest are not the median of 27; they are dropped, one more is
    taken, and so on. Whole lines of cells are ordered at a time.
    """
    depth, height, width = cells.shape
    lines = np.empty((27, width))
    for y in range(height):
        for row in range(9):
            z, i = plane + row // 3 - 1, y + row % 3 - 1
            line = cells[min(max(z, 0), depth - 1), min(max(i, 0), height - 1)]
            lines[3 * row] = line
            lines[3 * row + 1, 1:], lines[3 * row + 1, 0] = line[:-1], line[0]
            lines[3 * row + 2, :-1], lines[3 * row + 2, -1] = line[1:], line[-1]
        for lost in range(13):
            if lost > 0:
                lines[14] = lines[14 + lost]
            for k in range(lost + 1, 15):
                _order(lines[lost], lines[k])
            for k in range(lost + 1, 14):
                _order(lines[k], lines[14])
        smooth[plane, y] = lines[13]


def warm() -> None:
    """Compile, or load from disk, by working on next to nothing."""
    none, three, room = np.zeros(1, np.int64), np.zeros((1, 3), np.int64), np.zeros(1)
    one = np.ones(3, np.int64)
    for kind in (np.uint8, np.uint16, np.float32):
        pixels = np.zeros((1, 1, 1), kind)
        cut_windows(pixels, three, one, three, one, none, np.zeros((1, 1), np.float32))
        find_tops(pixels, three, three[0], none, room, room)
    cells = np.zeros((1, 1, 1))
    smooth_cells(cells, 0, cells.copy())
