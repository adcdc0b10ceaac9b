"""The matched filter: pixels averaged, two Gaussians taken from each other, maxima found.

The filter is the bead's own width minus a wider surround, and blind to slopes. Compiled kernels
do it band by band; until they are compiled, and where pixels are missing, SciPy does the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from napari_clxem.fiducials import compiling
from napari_clxem.fiducials.blocks import Block, bin_mean, finite
from napari_clxem.fiducials.noise import cell_means, cell_noise
from napari_clxem.fiducials.profiles import Floats, Profile

Flags = NDArray[np.bool_]
Image = NDArray[np.float32]

SURROUND = 1.8
"""Width of the filter's surround over its centre's."""

_TRUNCATE = (3.5, 3.0)
_ROWS = 32
_ROOM = 4096


class Sides(Protocol):
    """Pixel counts that averaging needs; :class:`~napari_clxem.fiducials.sizes.Geometry`."""

    @property
    def coarse(self) -> tuple[int, ...]:
        """Pixels averaged to one."""

    @property
    def cell(self) -> tuple[int, ...]:
        """Pixels of a noise cell."""


@dataclass(frozen=True)
class Response:
    """The filter's answer to an averaged block, and the block's noise cells.

    Parameters
    ----------
    amplitude : ndarray of float32
        Of the bead that each averaged pixel would be the middle of; 0 where there is no pixel.
    valid : ndarray of bool, or None
        Where there are pixels; None where they are everywhere.
    level, variance : ndarray
        Mean and pixel variance per noise cell.
    cell : tuple of int
        Averaged pixels of a noise cell.
    least : float
        Answer that rounding may give.
    """

    amplitude: Image
    valid: Flags | None
    level: Floats
    variance: Floats
    cell: tuple[int, ...]
    least: float

    @property
    def extent(self) -> list[int]:
        """Averaged pixels between the first and the last valid ones along each axis."""
        if self.valid is None:
            return list(self.amplitude.shape)
        axes = range(self.valid.ndim)
        lines = [self.valid.any(axis=tuple(i for i in axes if i != axis)) for axis in axes]
        return [int(np.ptp(np.flatnonzero(line))) + 1 for line in lines]


def respond(block: Block, shape: Sides, matched: Matched, sign: float) -> Response | None:
    """Filter a block and measure its noise.

    Parameters
    ----------
    block : Block
        Pixels.
    shape : Sides
        How many to average.
    matched : Matched
        The filter.
    sign : float
        Of the beads.

    Returns
    -------
    Response or None
        None where the block has no pixels.
    """
    sides = tuple(c // f for c, f in zip(shape.cell, shape.coarse, strict=True))
    scale = sign / matched.answer
    kernels = compiling.ready("filter_kernels")
    if kernels is not None:
        amplitude = _filter_bands(kernels, block.data, shape.coarse, matched.widths, scale)
        if amplitude is not None:
            cells = _cells(kernels, block.data, shape.cell)
            least = 1e-6 * abs(scale) * float(np.nanmax(np.abs(cells[0]), initial=0.0))
            return Response(amplitude, None, *cells, sides, least + 1e-30)
    padded = _padded(block.data, shape.cell)
    level, variance = cell_noise(padded, shape.cell)
    used = tuple(slice(0, -(-n // f)) for n, f in zip(block.data.shape, shape.coarse, strict=True))
    small = np.asarray(bin_mean(padded, shape.coarse)[used], np.float32)
    valid = np.isfinite(small)
    if not valid.any():
        return None
    amplitude = _filter(_fill(small, valid, matched.widths), matched.widths)
    amplitude *= np.float32(scale)
    amplitude[~valid] = 0.0
    least = 1e-6 * abs(scale) * float(np.nanmax(np.abs(level), initial=0.0)) + 1e-30
    return Response(amplitude, None if valid.all() else valid, level, variance, sides, least)


def _padded(data: NDArray[Any], multiple: tuple[int, ...]) -> Floats:
    """Pad with NaN at the end of each axis to a multiple."""
    ends = [(0, -n % m) for n, m in zip(data.shape, multiple, strict=True)]
    return np.pad(finite(data), ends, constant_values=np.nan)


def _volume(data: NDArray[Any]) -> NDArray[Any]:
    """Give pixels as a volume."""
    return data[None] if data.ndim == 2 else data


def _cells(kernels: Any, data: NDArray[Any], cell: tuple[int, ...]) -> tuple[Floats, Floats]:
    """Mean and pixel variance per noise cell, by kernel."""
    volume = _volume(data)
    sides = cell if data.ndim == 3 else (1, *cell)
    counts = [-(-n // c) for n, c in zip(volume.shape, sides, strict=True)]
    square, level, count = np.empty((3, *counts), np.float32)

    def job(row: int) -> None:
        room = np.empty((2, volume.shape[2] // 2), np.float32)
        kernels.measure_cells(volume, sides, row, room, square, level, count)

    compiling.spread(job, range(counts[1]))
    squares = sides[0] * (sides[1] // 2) * (sides[2] // 2)
    mean, variance = cell_means(square.astype(float), level.astype(float), count, squares)
    return (mean[0], variance[0]) if data.ndim == 2 else (mean, variance)


def _fill(image: Image, valid: Flags, widths: list[float]) -> Image:
    """Replace missing pixels by the weighted mean of their surroundings."""
    from scipy.ndimage import gaussian_filter

    if valid.all():
        return image
    known = np.where(valid, image, np.float32(0.0))
    wide = [SURROUND * w for w in widths]
    weight = gaussian_filter(valid.astype(np.float32), wide, mode="nearest", truncate=3.0)
    smooth = gaussian_filter(known, wide, mode="nearest", truncate=3.0)
    middle = float(known.sum() / valid.sum())
    local = np.where(weight > 1e-3, smooth / np.maximum(weight, 1e-3), middle)
    return np.where(valid, image, local).astype(np.float32)


@dataclass(frozen=True)
class Matched:
    """The filter's widths in averaged pixels, its answer to a bead of unit peak, its noise."""

    widths: list[float]
    answer: float
    noise: float


def _filter(image: Image, widths: list[float]) -> Image:
    """Difference of Gaussians by SciPy."""
    from scipy.ndimage import gaussian_filter

    centre = gaussian_filter(image, widths, mode="nearest", truncate=_TRUNCATE[0])
    wide = [SURROUND * w for w in widths]
    surround = gaussian_filter(image, wide, mode="nearest", truncate=_TRUNCATE[1])
    return np.asarray(centre - surround, np.float32)


def _weights(width: float, truncate: float) -> Image:
    """Half of a Gaussian kernel, its middle first."""
    reach = int(truncate * width + 0.5)
    half = np.exp(-0.5 * (np.arange(reach + 1) / width) ** 2)
    half /= 2.0 * half.sum() - half[0]
    return half.astype(np.float32)


def _kernels(widths: list[float], scale: float) -> tuple[Image, Image]:
    """Halves of both Gaussians, with zeros up to an odd number: (2, 2, n) in the plane, (2, m)."""
    factors = ((1.0, _TRUNCATE[0]), (SURROUND, _TRUNCATE[1]))
    plane = [[_weights(f * w, t) for w in widths[-2:]] for f, t in factors]
    deep = [np.ones(1, np.float32)] * 2
    if len(widths) == 3:
        deep = [_weights(f * widths[0], t) for f, t in factors]
    deep = [half * np.float32(s) for half, s in zip(deep, (scale, -scale), strict=True)]

    def room(halves: list[Image]) -> int:
        return max(len(half) for half in halves) | 1

    wide = room([half for pair in plane for half in pair])
    across = np.array([[np.pad(h, (0, wide - len(h))) for h in pair] for pair in plane])
    along = np.array([np.pad(h, (0, room(deep) - len(h))) for h in deep])
    return np.ascontiguousarray(across), np.ascontiguousarray(along)


def _filter_bands(
    kernels: Any, data: NDArray[Any], factor: tuple[int, ...], widths: list[float], scale: float
) -> Image | None:
    """Average and filter by kernel, a band of rows at a time; None where pixels are missing."""
    volume = _volume(data)
    bins = factor if data.ndim == 3 else (1, *factor)
    depth, height, width = (-(-n // f) for n, f in zip(volume.shape, bins, strict=True))
    across, along = _kernels(widths, scale)
    reach = across.shape[2] - 1
    answer = np.empty((depth, height, width), np.float32)
    free: list[tuple[Image, ...]] = []

    def job(first: int) -> int:
        last = min(first + _ROWS, height)
        low, high = max(first - reach, 0), min(last + reach, height)
        # Room is used again: memory that is new costs as much as the filter.
        try:
            line, padded, small, one, other = free.pop()
        except IndexError:
            line = np.empty(volume.shape[2], np.float32)
            padded = np.empty((2, width + 2 * reach), np.float32)
            small = np.empty((depth, _ROWS + 2 * reach, width), np.float32)
            one, other = np.empty((2, depth, _ROWS, width), np.float32)
        missing = int(kernels.average_rows(volume, bins, (low, high), line, small))
        for z in range(depth if not missing else 0):
            kernels.blur_lines(
                small[z, : high - low], across, first - low, last - low, padded, one[z], other[z]
            )
        kernels.blur_depth(one, other, along, first, last - first, answer)
        free.append((line, padded, small, one, other))
        return missing

    if sum(compiling.spread(job, range(0, height, _ROWS))):
        return None
    return answer[0] if data.ndim == 2 else answer


def calibrate(
    profile: Profile,
    spacing: tuple[float, ...],
    coarse: tuple[int, ...],
    sigma: tuple[float, ...],
) -> Matched:
    """Make the filter for a bead.

    Parameters
    ----------
    profile : Profile
        What a bead looks like.
    spacing : tuple of float
        Pixel size, µm.
    coarse : tuple of int
        Pixels averaged.
    sigma : tuple of float
        Standard deviations of the blurred bead, µm.
    """
    pixel = [p * f for p, f in zip(spacing, coarse, strict=True)]
    widths = [s / p for s, p in zip(sigma, pixel, strict=True)]
    half = [int(np.ceil(3.0 * SURROUND * w)) + 2 for w in widths]
    axes = [np.arange(-h, h + 1) * p for h, p in zip(half, pixel, strict=True)]
    grid = np.meshgrid(*axes, indexing="ij")
    rho = np.hypot(grid[-1], grid[-2])
    bead, _, _ = profile.lookup(rho, grid[0] if len(pixel) == 3 else None)
    centre = tuple(half)
    answer = float(_filter(bead.astype(np.float32), widths)[centre])
    point = np.zeros(bead.shape, np.float32)
    point[centre] = 1.0
    return Matched(widths, answer, float(np.sqrt((_filter(point, widths) ** 2).sum())))


def peaks(
    answer: Image, noise: Image, cell: tuple[int, ...], radius: list[int], threshold: float
) -> tuple[NDArray[np.intp], Floats]:
    """Find the pixels that stand out of the noise and are the highest of their box.

    Parameters
    ----------
    answer : ndarray
        The filter's.
    noise : ndarray
        Its noise, per cell of `cell` pixels.
    cell, radius : sequence of int
        Sides of a cell, half sides of the box.
    threshold : float
        Over the noise.

    Returns
    -------
    found : (n, d) ndarray of int
        Indices.
    snr : (n,) ndarray
        Answer over noise.
    """
    kernels = compiling.ready("filter_kernels")
    if kernels is None:
        from scipy.ndimage import maximum_filter

        every = _spread(noise, cell, answer.shape)
        highest = maximum_filter(answer, [2 * r + 1 for r in radius], mode="nearest")
        flags = (answer == highest) & (answer > 0) & (answer >= np.float32(threshold) * every)
        found = np.argwhere(flags)
    else:
        found = _peaks_by_kernel(kernels, answer, noise, cell, radius, threshold)
    where = np.minimum(found // np.array(cell), np.array(noise.shape) - 1)
    return found, answer[tuple(found.T)] / noise[tuple(where.T)].astype(float)


def _spread(cells: Image, side: tuple[int, ...], shape: tuple[int, ...]) -> Image:
    """Repeat values of cells over the pixels they cover."""
    for axis, s in enumerate(side):
        cells = np.repeat(cells, s, axis=axis)
    return cells[tuple(slice(0, n) for n in shape)]


def _peaks_by_kernel(
    kernels: Any,
    answer: Image,
    noise: Image,
    cell: tuple[int, ...],
    radius: list[int],
    threshold: float,
) -> NDArray[np.intp]:
    flat = answer.ndim == 2
    volume, cells = (answer[None], noise[None]) if flat else (answer, noise)
    side = np.array((1, *cell) if flat else cell, np.int64)
    box = np.array((0, *radius) if flat else radius, np.int64)

    def job(plane: int) -> NDArray[np.int64]:
        room = _ROOM
        while True:
            found = np.empty((room, 3), np.int64)
            count = kernels.find_peaks(
                volume, cells, side, box, threshold, (plane, plane + 1), found
            )
            if count <= room:
                return found[:count]
            room = count

    found = np.concatenate(compiling.spread(job, range(len(volume))))
    return found[:, 1:] if flat else found
