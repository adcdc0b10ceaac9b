"""Windows cut around candidates: averaged pixels, where they are, and the highest among them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_clxem.fiducials import compiling
from napari_clxem.fiducials.blocks import Block, bin_mean
from napari_clxem.fiducials.profiles import Floats
from napari_clxem.fiducials.sizes import Geometry

_AT_ONCE = 256
"""Windows that a thread cuts at a time."""


def cut(
    block: Block, index: Floats, shape: Geometry, kept: NDArray[np.intp]
) -> tuple[NDArray[np.float32], Floats]:
    """Cut averaged windows around image indices: data (n, m) and centres (n, d) in pixels."""
    factor, side = np.array(shape.fine), np.array(shape.window)
    first = np.round(index - (factor * side - 1) / 2.0).astype(int)
    data = np.empty((len(index), len(kept)), np.float32)
    kernels = compiling.ready("cutout_kernels")
    if kernels is None:
        for row in range(len(index)):
            part = block.read(tuple(first[row]), tuple(first[row] + factor * side))
            data[row] = bin_mean(part, shape.fine).ravel()[kept]
    else:
        volume = block.data.reshape((1,) * (3 - len(factor)) + block.data.shape)
        corners, size = _deep(first - block.origin, 0), _deep(factor * side, 1)
        bins = _deep(np.stack(np.unravel_index(kept, shape.window), axis=1) * factor, 0)

        def job(rows: NDArray[np.intp]) -> None:
            kernels.cut_windows(volume, corners, size, bins, _deep(factor, 1), rows, data)

        compiling.spread(job, _parts(len(index)))
    return data, first + (factor * side - 1) / 2.0


def _deep(values: NDArray[np.intp], first: int) -> NDArray[np.intp]:
    """Give pixel counts along (y, x) as along (z, y, x), with `first` for z."""
    lead = 3 - values.shape[-1]
    return np.pad(values, [(0, 0)] * (values.ndim - 1) + [(lead, 0)], constant_values=first)


def _parts(count: int) -> list[NDArray[np.intp]]:
    return [np.arange(a, min(a + _AT_ONCE, count)) for a in range(0, count, _AT_ONCE)]


def offsets_of(shape: Geometry) -> tuple[Floats, NDArray[np.intp]]:
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


def peaks_near(block: Block, index: Floats, shape: Geometry) -> tuple[Floats, Floats]:
    """Highest pixel within a radius of each candidate, and how many there share its value."""
    radius = np.array([max(1, round(0.5 * shape.diameter / p)) for p in shape.spacing])
    top, shared = np.empty(len(index)), np.empty(len(index))
    places = np.round(index - np.array(block.origin)).astype(int)
    kernels = compiling.ready("cutout_kernels")
    if kernels is None:
        for row, place in enumerate(places):
            box = zip(place, radius, strict=True)
            part = block.data[tuple(slice(max(0, a - r), a + r + 1) for a, r in box)]
            top[row] = _top(part)
            shared[row] = (part == top[row]).sum()
    else:
        volume = block.data.reshape((1,) * (3 - len(radius)) + block.data.shape)
        middles, sides = _deep(places, 0), _deep(radius, 0)
        compiling.spread(
            lambda rows: kernels.find_tops(volume, middles, sides, rows, top, shared),
            _parts(len(index)),
        )
    return top, shared


def highest(block: Block) -> float:
    """Highest pixel of the core."""
    return _top(block.inside())


def _top(pixels: NDArray[Any]) -> float:
    if pixels.dtype.kind in "bui":
        return float(pixels.max(initial=0))
    return float(np.max(pixels, initial=-np.inf, where=np.isfinite(pixels)))
