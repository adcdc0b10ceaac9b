"""How noisy the pixels are, measured on the image itself, cell by cell."""

from __future__ import annotations

import numpy as np

from napari_clxem.fiducials.modelling import NoiseModel
from napari_clxem.fiducials.profiles import Floats


def cell_noise(block: Floats, cell: tuple[int, ...]) -> tuple[Floats, Floats]:
    """Mean and pixel variance in cells of a block.

    The variance is that of ``(a - b - c + d) / 2`` over squares of four pixels in the plane of
    the last two axes, which slopes and smooth structure leave at zero.

    Parameters
    ----------
    block : (..., ny, nx) ndarray
        Pixels; NaN where there are none. Each side a multiple of the cell's.
    cell : tuple of int
        Pixels of a cell along each axis, even in the last two.

    Returns
    -------
    mean, variance : ndarray
        One value per cell; NaN where fewer than an eighth of the cell's squares are valid.
    """
    a, b = block[..., 0::2, 0::2], block[..., 0::2, 1::2]
    c, d = block[..., 1::2, 0::2], block[..., 1::2, 1::2]
    square = ((a - b - c + d) / 2.0) ** 2
    level = (a + b + c + d) / 4.0
    sides = (*cell[:-2], cell[-2] // 2, cell[-1] // 2)
    valid = np.isfinite(square)
    count = _sum_cells(valid.astype(float), sides)
    squares = _sum_cells(np.where(valid, square, 0.0), sides)
    levels = _sum_cells(np.where(valid, level, 0.0), sides)
    return cell_means(squares, levels, count, int(np.prod(sides)))


def cell_means(square: Floats, level: Floats, count: Floats, squares: int) -> tuple[Floats, Floats]:
    """Turn sums over `count` of the `squares` of each cell into its mean and variance."""
    with np.errstate(invalid="ignore", divide="ignore"):
        mean, variance = level / count, square / count
    enough = count >= squares / 8.0
    return np.where(enough, mean, np.nan), np.where(enough, variance, np.nan)


def _sum_cells(values: Floats, sides: tuple[int, ...]) -> Floats:
    shape: list[int] = []
    for n, s in zip(values.shape, sides, strict=True):
        shape += [n // s, s]
    total: Floats = values.reshape(shape).sum(axis=tuple(range(1, 2 * values.ndim, 2)))
    return total


def noise_line(mean: Floats, variance: Floats, floor: float) -> NoiseModel:
    """Variance as a line in the mean: the photon transfer curve of the image's cells.

    In bins of equal numbers of cells the median variance stands for the bin, so that cells
    with structure do not count; a falling line is taken as a constant.
    """
    good = np.isfinite(mean) & np.isfinite(variance)
    mean, variance = mean[good], variance[good]
    if not len(mean):
        return NoiseModel(floor, 0.0, floor)
    middle = float(np.median(variance))
    least = max(floor, 0.1 * middle)
    bins = np.array_split(np.argsort(mean, kind="stable"), min(16, max(1, len(mean) // 8)))
    level = np.array([np.median(mean[rows]) for rows in bins])
    spread = np.array([np.median(variance[rows]) for rows in bins])
    if len(bins) < 3 or np.ptp(level) <= 0:
        return NoiseModel(max(middle, floor), 0.0, least)
    weight = 1.0 / np.maximum(spread, least)
    design = np.stack([np.ones_like(level), level], axis=1) * weight[:, None]
    offset, gain = np.linalg.lstsq(design, spread * weight, rcond=None)[0]
    if gain <= 0:
        return NoiseModel(max(middle, floor), 0.0, least)
    return NoiseModel(float(offset), float(gain), least)
