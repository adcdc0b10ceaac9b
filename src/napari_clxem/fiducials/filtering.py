"""The matched filter: pixels averaged, two Gaussians taken from each other, maxima found.

The filter is the bead's own width minus a wider surround, and blind to slopes. Compiled kernels
do it plane by plane; until they are compiled, SciPy does the same.
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
_ROWS = 128
_ROOM = 4096


class Sides(Protocol):
    """Pixel counts that averaging needs; :class:`~napari_clxem.fiducials.candidates.Geometry`."""

    @property
    def coarse(self) -> tuple[int, ...]:
        """Pixels averaged to one."""

    @property
    def cell(self) -> tuple[int, ...]:
        """Pixels of a noise cell."""


@dataclass(frozen=True)
class Reduced:
    """A block averaged for detection, and its noise cells.

    Parameters
    ----------
    small : ndarray of float32
        Averaged pixels; where there are none, the mean of their surroundings.
    valid : ndarray of bool
        Where there are some.
    level, variance : ndarray
        Mean and pixel variance per noise cell.
    cell : tuple of int
        Averaged pixels of a noise cell.
    """

    small: Image
    valid: Flags
    level: Floats
    variance: Floats
    cell: tuple[int, ...]

    @property
    def extent(self) -> list[int]:
        """Averaged pixels between the first and the last valid ones along each axis."""
        axes = range(self.valid.ndim)
        if self.valid.all():
            return list(self.valid.shape)
        lines = [self.valid.any(axis=tuple(i for i in axes if i != axis)) for axis in axes]
        return [int(np.ptp(np.flatnonzero(line))) + 1 for line in lines]


def reduce(block: Block, shape: Sides) -> Reduced:
    """Average a block and measure its noise.

    Parameters
    ----------
    block : Block
        Pixels.
    shape : Sides
        How many to average.
    """
    factor, cell = shape.coarse, shape.cell
    kernels = compiling.ready("filter_kernels")
    if kernels is None:
        padded = _padded(block.data, cell)
        level, variance = cell_noise(padded, cell)
        used = tuple(slice(0, -(-n // f)) for n, f in zip(block.data.shape, factor, strict=True))
        small = np.asarray(bin_mean(padded, factor)[used], np.float32)
    else:
        small, level, variance = _reduce_planes(kernels, block.data, factor, cell)
    valid = np.isfinite(small)
    sides = tuple(c // f for c, f in zip(cell, factor, strict=True))
    return Reduced(small, valid, level, variance, sides)


def _padded(data: NDArray[Any], multiple: tuple[int, ...]) -> Floats:
    """Pad with NaN at the end of each axis to a multiple."""
    ends = [(0, -n % m) for n, m in zip(data.shape, multiple, strict=True)]
    return np.pad(finite(data), ends, constant_values=np.nan)


def _reduce_planes(
    kernels: Any, data: NDArray[Any], factor: tuple[int, ...], cell: tuple[int, ...]
) -> tuple[Image, Floats, Floats]:
    """Average by kernel: planes of one averaged plane by one thread."""
    flat = data.ndim == 2
    volume = data[None] if flat else data
    depth, planar = (1, 1) if flat else (factor[0], cell[0]), factor[-2:]
    step, deep = depth
    even = [2 * f for f in planar]
    padded = [m * -(-n // m) for n, m in zip(volume.shape[1:], even, strict=True)]
    nz = -(-volume.shape[0] // step)
    small = np.zeros((nz, *[n // f for n, f in zip(padded, planar, strict=True)]), np.float32)
    sides = (cell[-2] // 2, cell[-1] // 2)
    cells = [-(-n // c) for n, c in zip(volume.shape[1:], cell[-2:], strict=True)]
    stats = np.zeros((3, nz, *cells), np.float32)

    def job(z: int) -> None:
        count = np.zeros(small.shape[1:], np.float32)
        for plane in volume[z * step : (z + 1) * step]:
            whole = plane.shape == tuple(padded)
            pixels = finite(plane) if whole else _padded(plane, tuple(even))
            kernels.reduce_plane(
                pixels, planar, small[z], count, stats[0, z], stats[1, z], stats[2, z], sides
            )
        with np.errstate(invalid="ignore", divide="ignore"):
            np.divide(small[z], count, out=small[z])

    compiling.spread(job, range(nz))
    used = tuple(slice(0, -(-n // f)) for n, f in zip(volume.shape[1:], planar, strict=True))
    small = np.ascontiguousarray(small[:, *used])
    group = np.arange(0, nz, deep // step)
    square, mean, number = np.add.reduceat(stats.astype(float), group, axis=1)
    level, variance = cell_means(square, mean, number, deep * sides[0] * sides[1])
    return (small[0], level[0], variance[0]) if flat else (small, level, variance)


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

    def apply(self, small: Image, valid: Flags, sign: float) -> Image:
        """Give the amplitude of the bead that each pixel would be the middle of, 0 outside."""
        filled = _fill(small, valid, self.widths)
        kernels = compiling.ready("filter_kernels")
        if kernels is None:
            response = _filter(filled, self.widths)
        else:
            response = _filter_planes(kernels, filled, self.widths)
        response *= np.float32(sign / self.answer)
        if not valid.all():
            response[~valid] = 0.0
        return response


def _filter(image: Image, widths: list[float]) -> Image:
    """Difference of Gaussians by SciPy."""
    from scipy.ndimage import gaussian_filter

    centre = gaussian_filter(image, widths, mode="nearest", truncate=_TRUNCATE[0])
    wide = [SURROUND * w for w in widths]
    surround = gaussian_filter(image, wide, mode="nearest", truncate=_TRUNCATE[1])
    return np.asarray(centre - surround, np.float32)


def _weights(width: float, truncate: float, room: int = 0) -> Image:
    """Half of a Gaussian kernel, its middle first, with zeros up to `room`."""
    reach = int(truncate * width + 0.5)
    half = np.exp(-0.5 * (np.arange(reach + 1) / width) ** 2)
    half /= 2.0 * half.sum() - half[0]
    return np.pad(half, (0, max(0, room - len(half)))).astype(np.float32)


def _filter_planes(kernels: Any, image: Image, widths: list[float]) -> Image:
    """Difference of Gaussians by kernel: in the planes, then along the axis."""
    volume = image[None] if image.ndim == 2 else image
    height, width = volume.shape[1:]
    answer, blurred = np.zeros_like(volume), np.empty_like(volume)
    bands = [(a, min(a + _ROWS, height)) for a in range(0, height, _ROWS)]
    for factor, truncate, scale in ((1.0, _TRUNCATE[0], 1.0), (SURROUND, _TRUNCATE[1], -1.0)):
        halves = [_weights(factor * w, truncate) for w in widths[-2:]]
        room = max(len(half) for half in halves)
        plane = np.stack([np.pad(half, (0, room - len(half))) for half in halves])
        along = np.ones(1, np.float32)
        if image.ndim == 3:
            along = _weights(factor * widths[0], truncate)

        def across(job: tuple[int, tuple[int, int]], plane: Image = plane) -> None:
            z, (first, last) = job
            padded = np.empty(width + 2 * plane.shape[1], np.float32)
            kernels.blur_lines(volume[z], plane, first, last, padded, blurred[z])

        def deep(rows: tuple[int, int], along: Image = along, scale: float = scale) -> None:
            kernels.blur_depth(blurred, along, scale, rows, answer)

        compiling.spread(across, [(z, band) for z in range(len(volume)) for band in bands])
        compiling.spread(deep, bands)
    return answer[0] if image.ndim == 2 else answer


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
