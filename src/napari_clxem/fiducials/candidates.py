"""Where beads might be: local maxima of a matched filter, in units of its own noise."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_clxem.fiducials import compiling
from napari_clxem.fiducials.blocks import Block, blocks
from napari_clxem.fiducials.cutouts import cut, highest, offsets_of, peaks_near
from napari_clxem.fiducials.filtering import SURROUND, Matched, calibrate, peaks, respond
from napari_clxem.fiducials.modelling import Windows
from napari_clxem.fiducials.profiles import Floats, Profile
from napari_clxem.fiducials.sizes import Geometry

_CLUTTER_CELL = 8.0
_CLUTTER_LEAST = 5.0
_CLUTTER_LEAST_SNR = 3.0
"""Clutter is measured in cells of 8 diameters, and not on images under 5."""

_MOST, _USUAL = 4000, 5e7
"""Most candidates that are looked at in a block of so many pixels; more in larger ones."""

_THIN = 8
"""Places along each axis of a cell that are enough to measure its clutter."""


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


def _search(
    block: Block, shape: Geometry, matched: Matched, threshold: float
) -> tuple[Floats, Floats, Floats, Floats]:
    """Candidates in and near the core: indices in the image (n, d), SNR (n,); noise cells."""
    answer = respond(block, shape, matched, shape.sign)
    if answer is None:
        none = np.zeros(0)
        return np.zeros((0, len(shape.spacing))), none, none, none
    amplitude, level, variance = answer.amplitude, answer.level, answer.variance
    known = np.isfinite(variance)
    fallback = float(np.median(variance[known])) if known.any() else 0.0
    pixel = _smooth_cells(np.where(known, variance, fallback))
    noise = np.sqrt(pixel / np.prod(shape.coarse)) * matched.noise / matched.answer
    pitch = [p * f for p, f in zip(shape.spacing, shape.coarse, strict=True)]
    if all(
        n * p >= _CLUTTER_LEAST * shape.diameter
        for n, p in zip(answer.extent[-2:], pitch[-2:], strict=True)
    ):
        side = [max(1, int(_CLUTTER_CELL * shape.diameter / p)) for p in pitch]
        clutter = _clutter(amplitude, answer.valid, side, noise.shape, answer.cell)
        noise = np.maximum(noise, clutter * _CLUTTER_LEAST_SNR / threshold)
    floor = np.maximum(noise, answer.least).astype(np.float32)
    radius = [max(1, int(0.5 * shape.diameter / p)) for p in pitch]
    found, snr = peaks(amplitude, floor, answer.cell, radius, threshold)
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
    valid: NDArray[np.bool_] | None,
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
        values = np.abs(amplitude[part][thin])
        if valid is not None:
            values = values[valid[part][thin]]
        if values.size:
            spreads[index] = 1.4826 * np.median(values)
    where = [
        np.minimum((np.arange(k) + 0.5) * w * c // n, c - 1).astype(int)
        for k, w, n, c in zip(cells, cell, amplitude.shape, counts, strict=True)
    ]
    spread: Floats = spreads[np.ix_(*where)]
    return spread


def _smooth_cells(cells: Floats) -> Floats:
    """Take the median of each cell and those around it."""
    kernels = compiling.ready("cutout_kernels") if cells.ndim == 3 else None
    if kernels is None:
        from scipy.ndimage import median_filter

        return np.asarray(median_filter(cells, size=3, mode="nearest"))
    smooth = np.empty_like(cells)
    compiling.spread(lambda plane: kernels.smooth_cells(cells, plane, smooth), range(len(cells)))
    return smooth


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
    offsets, kept = offsets_of(shape)
    for share, block in blocks(image, shape.cell, halo, shape.coarse):
        index, snr, level, variance = _search(block, shape, matched, threshold)
        order = np.argsort(-snr, kind="stable")
        most = int(_MOST * max(1.0, np.prod(block.core, dtype=float) / _USUAL))
        found = _candidates(block, index[order[:most]], snr[order[:most]], shape, offsets, kept)
        rest = order[most:][_within(index[order[most:]], block, (0,) * len(halo))]
        weaker = tuple(
            (tuple(map(float, index[row] * shape.spacing)), float(snr[row])) for row in rest
        )
        yield share, Searched(found, weaker, most, level, variance, highest(block))


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
    data, centres = cut(block, index, shape, kept)
    pixel = float(np.prod(spacing * shape.fine))
    own = _within(index, block, (0,) * len(spacing))
    windows = Windows(data, offsets, centres * spacing, pixel)
    return Candidates(index * spacing, snr, windows, own, *peaks_near(block, index, shape))
