"""Where beads might be: local maxima of a matched filter, in units of its own noise."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_clxem.fiducials.blocks import Block, bin_mean, blocks
from napari_clxem.fiducials.filtering import SURROUND, Matched, calibrate, peaks, reduce
from napari_clxem.fiducials.modelling import Windows
from napari_clxem.fiducials.profiles import FWHM, Floats, Profile

_CLUTTER_CELL = 8.0
_CLUTTER_LEAST = 5.0
_CLUTTER_LEAST_SNR = 3.0
"""Clutter is measured in cells of 8 diameters, and not on images under 5."""

_MOST, _USUAL = 4000, 5e7
"""Most candidates that are looked at in a block of so many pixels; more in larger ones."""

_THIN = 8
"""Places along each axis of a cell that are enough to measure its clutter."""


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
        Of the bead, or of its image where the blur is larger, µm.
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
    """Local maxima of the matched filter in one block, strongest first.

    Parameters
    ----------
    positions : (n, d) ndarray
        Positions, µm.
    snr : (n,) ndarray
        Filter's amplitude over its noise.
    windows : Windows
        Pixels around each.
    own : (n,) ndarray of bool
        Which are in the block's core. The others belong to blocks beside it; they are here for
        what they do to their neighbours.
    peak, plateau : (n,) ndarray
        Highest pixel within a radius, and how many pixels there have its value.
    """

    positions: Floats
    snr: Floats
    windows: Windows
    own: NDArray[np.bool_]
    peak: Floats
    plateau: Floats

    def take(self, rows: NDArray[np.intp]) -> Candidates:
        """Give some candidates."""
        return replace(
            self,
            positions=self.positions[rows],
            snr=self.snr[rows],
            windows=self.windows.take(rows),
            own=self.own[rows],
            peak=self.peak[rows],
            plateau=self.plateau[rows],
        )

    def bare(self) -> Candidates:
        """Give the candidates without their pixels."""
        windows = self.windows
        none = Windows(windows.data[:, :0].copy(), windows.offsets, windows.centres, windows.pixel)
        return replace(self, windows=none)

    def thinned(self, most: int) -> Candidates:
        """Give the candidates with no more than `most` pixels each."""
        windows = self.windows
        thin = Windows(
            windows.data[:, :most],
            np.ascontiguousarray(windows.offsets[:, :, :most]),
            windows.centres,
            windows.pixel * max(1.0, windows.data.shape[1] / most),
        )
        return replace(self, windows=thin)


@dataclass(frozen=True)
class Searched:
    """What a block holds.

    Parameters
    ----------
    found : Candidates
        The strongest candidates.
    weaker : tuple of ((d,) tuple, float)
        Position, µm, and SNR of those of the core beyond `most`.
    most : int
        How many candidates of a block are looked at.
    level, variance : ndarray
        Mean and pixel variance of its noise cells.
    top : float
        Highest pixel of the core.
    """

    found: Candidates
    weaker: tuple[tuple[tuple[float, ...], float], ...]
    most: int
    level: Floats
    variance: Floats
    top: float


def geometry(
    spacing: tuple[float, ...], diameter: float, profile: Profile, sign: float
) -> Geometry:
    """Choose averaging and window so that cost follows the bead, not the pixel size."""
    ndim = len(spacing)
    axial, lateral = profile.sigma
    # What is looked for is as large as its image, however small the bead.
    diameter = max(diameter, FWHM * lateral)
    sigma = (axial, lateral, lateral)[-ndim:]
    blur = (profile.blur[0], profile.blur[1], profile.blur[1])[-ndim:]
    coarse = tuple(max(1, int(s / 1.3 / p + 1e-6)) for s, p in zip(sigma, spacing, strict=True))
    finest = diameter / (24.0 if ndim == 2 else 16.0)
    fine = tuple(max(1, round(finest / p)) for p in spacing)
    # In a volume the pixels around a bead are many, and fewer of them settle the background.
    share, blurs = (0.75, 3.0) if ndim == 2 else (0.57, 2.1)
    extent = [share * diameter + blurs * b for b in blur]
    half = tuple(
        max(2, int(np.ceil(e / (p * f)))) for e, p, f in zip(extent, spacing, fine, strict=True)
    )
    return Geometry(spacing, coarse, fine, sigma, half, diameter, sign)


def _search(
    block: Block, shape: Geometry, matched: Matched, threshold: float
) -> tuple[Floats, Floats, Floats, Floats]:
    """Candidates in and near the core: indices in the image (n, d), SNR (n,); noise cells."""
    reduced = reduce(block, shape)
    level, variance = reduced.level, reduced.variance
    none = np.zeros((0, len(shape.spacing))), np.zeros(0), level.ravel(), variance.ravel()
    if not reduced.valid.any():
        return none
    amplitude = matched.apply(reduced.small, reduced.valid, shape.sign)
    known = np.isfinite(variance)
    fallback = float(np.median(variance[known])) if known.any() else 0.0
    pixel = _smooth_cells(np.where(known, variance, fallback))
    noise = np.sqrt(pixel / np.prod(shape.coarse)) * matched.noise / matched.answer
    pitch = [p * f for p, f in zip(shape.spacing, shape.coarse, strict=True)]
    if all(
        n * p >= _CLUTTER_LEAST * shape.diameter
        for n, p in zip(reduced.extent[-2:], pitch[-2:], strict=True)
    ):
        side = [max(1, int(_CLUTTER_CELL * shape.diameter / p)) for p in pitch]
        clutter = _clutter(amplitude, reduced.valid, side, noise.shape, reduced.cell)
        noise = np.maximum(noise, clutter * _CLUTTER_LEAST_SNR / threshold)
    least = 1e-6 * float(np.nanmax(np.abs(reduced.small))) + 1e-30
    floor = np.maximum(noise, least).astype(np.float32)
    radius = [max(1, int(0.5 * shape.diameter / p)) for p in pitch]
    found, snr = peaks(amplitude, floor, reduced.cell, radius, threshold)
    index = np.array(block.origin) + (found + 0.5) * shape.coarse - 0.5
    near = _within(index, block, shape.reach)
    return index[near], snr[near], level.ravel(), variance.ravel()


def _within(index: Floats, block: Block, margin: tuple[int, ...]) -> NDArray[np.bool_]:
    """Tell which indices are in the core or no further than `margin` from it."""
    low = np.array(block.start) - margin
    high = np.add(block.start, block.core) + margin
    within: NDArray[np.bool_] = np.all((index >= low) & (index < high), axis=1)
    return within


def _clutter(
    amplitude: Floats,
    valid: NDArray[np.bool_],
    side: list[int],
    cells: tuple[int, ...],
    cell: tuple[int, ...],
) -> Floats:
    """Robust sd of the filter's answer in large parts, given to the noise cells in each."""
    counts = [max(1, n // s) for n, s in zip(amplitude.shape, side, strict=True)]
    spreads = np.zeros(counts)
    thin = tuple(slice(None, None, max(1, s // _THIN)) for s in side)
    for index in np.ndindex(*counts):
        part = tuple(
            slice(i * n // c, (i + 1) * n // c)
            for i, n, c in zip(index, amplitude.shape, counts, strict=True)
        )
        values = np.abs(amplitude[part][thin][valid[part][thin]])
        if values.size:
            spreads[index] = 1.4826 * np.median(values)
    where = [
        np.minimum((np.arange(k) + 0.5) * w * c // n, c - 1).astype(int)
        for k, w, n, c in zip(cells, cell, amplitude.shape, counts, strict=True)
    ]
    spread: Floats = spreads[np.ix_(*where)]
    return spread


def _smooth_cells(cells: Floats) -> Floats:
    from scipy.ndimage import median_filter

    smooth: Floats = median_filter(cells, size=3, mode="nearest")
    return smooth


def _cut(
    block: Block, index: Floats, shape: Geometry, kept: NDArray[np.intp]
) -> tuple[Floats, Floats]:
    """Cut averaged windows around image indices: data (n, m) and centres (n, d) in pixels."""
    factor, side = np.array(shape.fine), np.array(shape.window)
    first = np.round(index - (factor * side - 1) / 2.0).astype(int)
    data = np.empty((len(index), len(kept)), np.float32)
    for row, start in enumerate(first):
        part = block.read(tuple(start), tuple(start + factor * side))
        data[row] = bin_mean(part, shape.fine).ravel()[kept]
    return data, first + (factor * side - 1) / 2.0


def find(
    image: Any, profile: Profile, shape: Geometry, threshold: float
) -> Iterator[tuple[float, Searched]]:
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

    Yields
    ------
    share : float
        How much of the image has been searched, 0 to 1.
    searched : Searched
        The block.
    """
    matched = calibrate(profile, shape.spacing, shape.coarse, shape.sigma)
    support = [3.0 * SURROUND * w * f for w, f in zip(matched.widths, shape.coarse, strict=True)]
    # Candidates beside the core matter to those in it, so they are found as well as these.
    halo = tuple(int(np.ceil(s)) + r + 1 for s, r in zip(support, shape.reach, strict=True))
    offsets, kept = _offsets(shape)
    for share, block in blocks(image, shape.cell, halo, shape.coarse):
        index, snr, level, variance = _search(block, shape, matched, threshold)
        order = np.argsort(-snr, kind="stable")
        most = int(_MOST * max(1.0, np.prod(block.core, dtype=float) / _USUAL))
        found = _candidates(block, index[order[:most]], snr[order[:most]], shape, offsets, kept)
        rest = order[most:][_within(index[order[most:]], block, (0,) * len(halo))]
        weaker = tuple(
            (tuple(map(float, index[row] * shape.spacing)), float(snr[row])) for row in rest
        )
        yield share, Searched(found, weaker, most, level, variance, _highest(block))


def _candidates(
    block: Block,
    index: Floats,
    snr: Floats,
    shape: Geometry,
    offsets: Floats,
    kept: NDArray[np.intp],
) -> Candidates:
    """Cut the windows of candidates at image indices (n, d)."""
    spacing = np.array(shape.spacing)
    data, centres = _cut(block, index, shape, kept)
    pixel = float(np.prod(spacing * shape.fine))
    own = _within(index, block, (0,) * len(spacing))
    windows = Windows(data, offsets, centres * spacing, pixel)
    return Candidates(index * spacing, snr, windows, own, *_peaks(block, index, shape))


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
    highest, shared = np.empty(len(index)), np.empty(len(index))
    for row, place in enumerate(np.round(index - np.array(block.origin)).astype(int)):
        part = block.data[
            tuple(slice(max(0, a - r), a + r + 1) for a, r in zip(place, radius, strict=True))
        ]
        highest[row] = _top(part)
        shared[row] = (part == highest[row]).sum()
    return highest, shared


def _highest(block: Block) -> float:
    """Highest pixel of the core."""
    return _top(block.inside())


def _top(pixels: NDArray[Any]) -> float:
    if pixels.dtype.kind in "bui":
        return float(pixels.max(initial=0))
    return float(np.max(pixels, initial=-np.inf, where=np.isfinite(pixels)))
