"""Where beads might be: local maxima of a matched filter, in units of its own noise."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_clxem.fiducials.blocks import Block, bin_mean, blocks
from napari_clxem.fiducials.modelling import Windows
from napari_clxem.fiducials.noise import cell_noise
from napari_clxem.fiducials.profiles import Floats, Profile

_SURROUND = 1.8
"""Width of the filter's surround over its centre's."""

_CLUTTER_CELL = 8.0
_CLUTTER_LEAST = 5.0
_CLUTTER_LEAST_SNR = 3.0
"""Clutter is measured in cells of 8 diameters, and not on images under 5."""


@dataclass(frozen=True)
class Geometry:
    """Sizes that follow from the bead and the image's spacing, in pixels per axis.

    Parameters
    ----------
    spacing : tuple of float
        Pixel size, µm.
    coarse, fine : tuple of int
        Pixels averaged for detection and for localisation.
    sigma : tuple of float
        Standard deviations of the blurred bead, µm.
    half : tuple of int
        Half side of a window in averaged pixels.
    diameter : float
        Of the bead, µm.
    sign : float
        1 for bright beads, -1 for dark ones.
    """

    spacing: tuple[float, ...]
    coarse: tuple[int, ...]
    fine: tuple[int, ...]
    sigma: tuple[float, ...]
    half: tuple[int, ...]
    diameter: float
    sign: float

    @property
    def window(self) -> tuple[int, ...]:
        """Window's side in averaged pixels."""
        return tuple(2 * h + 1 for h in self.half)

    @property
    def reach(self) -> tuple[int, ...]:
        """Image pixels from a candidate to the far side of its window."""
        return tuple(f * w // 2 + 1 for f, w in zip(self.fine, self.window, strict=True))

    @property
    def cell(self) -> tuple[int, ...]:
        """Image pixels of a noise cell: a multiple of the averaging, even in the plane."""
        even = tuple(2 * f * -(-8 // f) for f in self.coarse[-2:])
        return tuple(f * -(-4 // f) for f in self.coarse[:-2]) + even


@dataclass(frozen=True)
class Candidates:
    """Local maxima of the matched filter over the whole image, strongest first.

    Parameters
    ----------
    positions : (n, d) ndarray
        Positions, µm.
    snr : (n,) ndarray
        Filter's amplitude over its noise.
    windows : Windows
        Pixels around each.
    level, variance : ndarray
        Mean and pixel variance of the image's noise cells.
    plateau : (n,) ndarray
        How many pixels within a radius have the highest value of the whole image.
    """

    positions: Floats
    snr: Floats
    windows: Windows
    level: Floats
    variance: Floats
    plateau: Floats

    def first(self, most: int) -> Candidates:
        """Give the strongest `most` candidates."""
        rows = np.arange(min(most, len(self.snr)))
        return Candidates(
            self.positions[rows],
            self.snr[rows],
            self.windows.take(rows),
            self.level,
            self.variance,
            self.plateau[rows],
        )


def geometry(
    spacing: tuple[float, ...], diameter: float, profile: Profile, sign: float
) -> Geometry:
    """Choose averaging and window so that cost follows the bead, not the pixel size."""
    ndim = len(spacing)
    axial, lateral = profile.sigma
    sigma = (axial, lateral, lateral)[-ndim:]
    blur = (profile.blur[0], profile.blur[1], profile.blur[1])[-ndim:]
    coarse = tuple(max(1, int(s / 2.0 / p + 1e-6)) for s, p in zip(sigma, spacing, strict=True))
    finest = diameter / (24.0 if ndim == 2 else 12.0)
    fine = tuple(max(1, round(finest / p)) for p in spacing)
    extent = [diameter / 2.0 + 3.0 * b + 0.25 * diameter for b in blur]
    half = tuple(
        max(2, int(np.ceil(e / (p * f)))) for e, p, f in zip(extent, spacing, fine, strict=True)
    )
    return Geometry(spacing, coarse, fine, sigma, half, diameter, sign)


def _filter(image: Floats, widths: list[float]) -> Floats:
    """Difference of Gaussians: the bead's width minus a wider surround, blind to slopes."""
    from scipy.ndimage import gaussian_filter

    centre = gaussian_filter(image, widths, mode="nearest", truncate=3.5)
    surround = gaussian_filter(image, [_SURROUND * w for w in widths], mode="nearest", truncate=3.0)
    response: Floats = centre - surround
    return response


def _fill(image: Floats, widths: list[float]) -> Floats:
    """Replace missing pixels by the weighted mean of their surroundings."""
    from scipy.ndimage import gaussian_filter

    missing = ~np.isfinite(image)
    if not missing.any():
        return image
    if missing.all():
        return np.zeros_like(image)
    known = np.where(missing, 0.0, image)
    wide = [_SURROUND * w for w in widths]
    weight = gaussian_filter((~missing).astype(image.dtype), wide, mode="nearest", truncate=3.0)
    smooth = gaussian_filter(known, wide, mode="nearest", truncate=3.0)
    middle = float(known.sum() / (~missing).sum())
    local = np.where(weight > 1e-3, smooth / np.maximum(weight, 1e-3), middle)
    return np.where(missing, local, image).astype(image.dtype)


@dataclass(frozen=True)
class _Matched:
    """The filter's widths in averaged pixels, its answer to a bead of unit peak, its noise."""

    widths: list[float]
    answer: float
    noise: float


def _calibrate(profile: Profile, shape: Geometry) -> _Matched:
    pixel = [p * f for p, f in zip(shape.spacing, shape.coarse, strict=True)]
    widths = [s / p for s, p in zip(shape.sigma, pixel, strict=True)]
    half = [int(np.ceil(3.0 * _SURROUND * w)) + 2 for w in widths]
    axes = [np.arange(-h, h + 1) * p for h, p in zip(half, pixel, strict=True)]
    grid = np.meshgrid(*axes, indexing="ij")
    rho = np.hypot(grid[-1], grid[-2])
    bead, _, _ = profile.lookup(rho, grid[0] if len(pixel) == 3 else None)
    centre = tuple(half)
    answer = float(_filter(bead, widths)[centre])
    point = np.zeros_like(bead)
    point[centre] = 1.0
    return _Matched(widths, answer, float(np.sqrt((_filter(point, widths) ** 2).sum())))


def _clutter(amplitude: Floats, valid: Floats, side: list[int]) -> Floats:
    """Robust sd of the filter's answer over large cells, on the answer's own grid."""
    result = np.zeros_like(amplitude)
    counts = [max(1, n // s) for n, s in zip(amplitude.shape, side, strict=True)]
    for index in np.ndindex(*counts):
        part = tuple(
            slice(i * n // c, (i + 1) * n // c)
            for i, n, c in zip(index, amplitude.shape, counts, strict=True)
        )
        values = np.abs(amplitude[part][valid[part] > 0])
        if values.size:
            result[part] = 1.4826 * np.median(values)
    return result


def _spread(cells: Floats, shape: tuple[int, ...]) -> Floats:
    """Repeat values of cells over the pixels they cover."""
    for axis, (n, c) in enumerate(zip(shape, cells.shape, strict=True)):
        cells = np.repeat(cells, -(-n // c), axis=axis)
    return cells[tuple(slice(0, n) for n in shape)]


def _maxima(response: Floats, radius: list[int]) -> Floats:
    """Pixels that are the highest within a box of the given half sides."""
    from scipy.ndimage import maximum_filter

    highest = maximum_filter(response, [2 * r + 1 for r in radius], mode="nearest")
    flags: Floats = (response == highest) & (response > 0)
    return flags


def _search(
    block: Block, shape: Geometry, matched: _Matched, threshold: float
) -> tuple[Floats, Floats, Floats, Floats]:
    """Candidates of one block: indices in the image (n, d), SNR (n,); noise cells."""
    ndim = len(shape.spacing)
    level, variance = cell_noise(block.data, shape.cell)
    small = bin_mean(block.data, shape.coarse)
    valid = np.isfinite(small)
    none = np.zeros((0, ndim)), np.zeros(0), level.ravel(), variance.ravel()
    if not valid.any():
        return none
    amplitude = shape.sign * _filter(_fill(small, matched.widths), matched.widths) / matched.answer
    known = np.isfinite(variance)
    fallback = float(np.median(variance[known])) if known.any() else 0.0
    pixel = _spread(_smooth_cells(np.where(known, variance, fallback)), amplitude.shape)
    noise = np.sqrt(pixel / np.prod(shape.coarse)) * matched.noise / matched.answer
    pitch = [p * f for p, f in zip(shape.spacing, shape.coarse, strict=True)]
    inside = [np.ptp(np.flatnonzero(valid.any(axis=_others(i, ndim)))) + 1 for i in range(ndim)]
    if all(
        n * p >= _CLUTTER_LEAST * shape.diameter
        for n, p in zip(inside[-2:], pitch[-2:], strict=True)
    ):
        side = [max(1, int(_CLUTTER_CELL * shape.diameter / p)) for p in pitch]
        clutter = _clutter(amplitude, valid, side) * _CLUTTER_LEAST_SNR / threshold
        noise = np.maximum(noise, clutter)
    least = 1e-6 * float(np.abs(small[valid]).max()) + 1e-30
    snr = amplitude / np.maximum(noise, least)
    radius = [max(1, int(0.5 * shape.diameter / p)) for p in pitch]
    found = np.argwhere(_maxima(amplitude, radius) & valid & (snr >= threshold))
    index = np.array(block.origin) + (found + 0.5) * shape.coarse - 0.5
    core = np.all((index >= block.start) & (index < np.add(block.start, block.core)), axis=1)
    return index[core], snr[tuple(found[core].T)], level.ravel(), variance.ravel()


def _others(axis: int, ndim: int) -> tuple[int, ...]:
    return tuple(i for i in range(ndim) if i != axis)


def _smooth_cells(cells: Floats) -> Floats:
    from scipy.ndimage import median_filter

    smooth: Floats = median_filter(cells, size=3, mode="nearest")
    return smooth


def _cut(block: Block, index: Floats, shape: Geometry) -> tuple[Floats, Floats]:
    """Cut averaged windows around image indices: data (n, m) and centres (n, d) in pixels."""
    factor, side = np.array(shape.fine), np.array(shape.window)
    first = np.round(index - (factor * side - 1) / 2.0).astype(int)
    data = np.empty((len(index), int(np.prod(side))))
    for row, start in enumerate(first - np.array(block.origin)):
        part = tuple(slice(a, a + n) for a, n in zip(start, factor * side, strict=True))
        data[row] = bin_mean(block.data[part], shape.fine).ravel()
    return data, first + (factor * side - 1) / 2.0


def find(image: Any, profile: Profile, shape: Geometry, threshold: float) -> Candidates:
    """Find candidates in an image of any size, block by block.

    Parameters
    ----------
    image : array_like
        2D or 3D, numpy or dask.
    profile : Profile
        What a bead looks like.
    shape : Geometry
        From :func:`geometry`.
    threshold : float
        Least filter SNR.
    """
    matched = _calibrate(profile, shape)
    spacing = np.array(shape.spacing)
    support = [3.0 * _SURROUND * w * f for w, f in zip(matched.widths, shape.coarse, strict=True)]
    halo = tuple(int(np.ceil(max(s, r))) + 1 for s, r in zip(support, shape.reach, strict=True))
    parts = []
    top = -np.inf
    for block in blocks(image, shape.cell, halo):
        index, snr, level, variance = _search(block, shape, matched, threshold)
        data, centres = _cut(block, index, shape)
        parts.append((index, snr, data, centres, level, variance, *_peaks(block, index, shape)))
        top = max(top, _highest(block))
    index, snr, data, centres, level, variance, peak, shared = (
        np.concatenate([p[i] for p in parts]) for i in range(8)
    )
    order = np.argsort(-snr, kind="stable")
    offsets, kept = _offsets(shape)
    pixel = float(np.prod(spacing * shape.fine))
    windows = Windows(data[order][:, kept], offsets, centres[order] * spacing, pixel)
    plateau = np.where(peak >= top, shared, 0)[order]
    return Candidates(index[order] * spacing, snr[order], windows, level, variance, plateau)


def _offsets(shape: Geometry) -> tuple[Floats, NDArray[np.intp]]:
    """Positions of a window's averaged pixels from its centre, (1, d, m) µm.

    Only those within the ellipsoid that fills the window: its corners say nothing of the bead.
    The second answer tells which they are. Their order is mixed, so that the first ones stand
    for all.
    """
    pitch = [f * p for f, p in zip(shape.fine, shape.spacing, strict=True)]
    axes = [np.arange(-h, h + 1) * p for h, p in zip(shape.half, pitch, strict=True)]
    grid = np.stack([g.ravel() for g in np.meshgrid(*axes, indexing="ij")])
    half = np.array([(h + 0.5) * p for h, p in zip(shape.half, pitch, strict=True)])
    inside = np.flatnonzero(((grid / half[:, None]) ** 2).sum(axis=0) <= 1.0)
    kept = np.random.default_rng(0).permutation(inside)
    return np.ascontiguousarray(grid[None, :, kept]), kept


def _peaks(block: Block, index: Floats, shape: Geometry) -> tuple[Floats, Floats]:
    """Highest pixel within a radius of each candidate, and how many there share its value."""
    radius = [max(1, round(0.5 * shape.diameter / p)) for p in shape.spacing]
    peaks, shared = np.empty(len(index)), np.empty(len(index))
    for row, place in enumerate(np.round(index - np.array(block.origin)).astype(int)):
        part = tuple(slice(max(0, a - r), a + r + 1) for a, r in zip(place, radius, strict=True))
        peaks[row] = np.nanmax(block.data[part])
        shared[row] = (block.data[part] == peaks[row]).sum()
    return peaks, shared


def _highest(block: Block) -> float:
    """Highest pixel of the core."""
    core = block.data[tuple(slice(h, h + n) for h, n in zip(block.halo, block.core, strict=True))]
    return float(np.max(core, initial=-np.inf, where=np.isfinite(core)))
