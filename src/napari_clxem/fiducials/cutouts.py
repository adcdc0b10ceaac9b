"""Windows cut around candidates: averaged pixels, where they are, and the highest among them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_clxem.fiducials.blocks import Block, bin_mean
from napari_clxem.fiducials.profiles import Floats
from napari_clxem.fiducials.sizes import Geometry

_AT_ONCE = 256
"""Windows cut at a time."""


def cut(
    block: Block, index: Floats, shape: Geometry, kept: NDArray[np.intp]
) -> tuple[NDArray[np.float32], Floats]:
    """Cut averaged windows around image indices: data (n, m) and centres (n, d) in pixels."""
    factor, side = np.array(shape.fine), np.array(shape.window)
    first = np.round(index - (factor * side - 1) / 2.0).astype(int)
    data = np.empty((len(index), len(kept)), np.float32)
    low = first - block.origin
    whole = np.all((low >= 0) & (low + factor * side <= block.data.shape), axis=1)
    _cut_whole(block.data, low, np.flatnonzero(whole), shape, kept, data)
    # A pixel that is no number spoils an average above, and here it is left out of it.
    spoiled = ~np.isfinite(data).all(axis=1) & whole if block.data.dtype.kind == "f" else ~whole
    for row in np.flatnonzero(spoiled | ~whole):
        part = block.read(tuple(first[row]), tuple(first[row] + factor * side))
        data[row] = bin_mean(part, shape.fine).ravel()[kept]
    return data, first + (factor * side - 1) / 2.0


def _cut_whole(
    pixels: NDArray[Any],
    low: NDArray[np.intp],
    rows: NDArray[np.intp],
    shape: Geometry,
    kept: NDArray[np.intp],
    data: NDArray[np.float32],
) -> None:
    """Cut windows that lie within the pixels; `low` (n, d) are their first corners."""
    if not len(rows):
        return
    flat = np.ascontiguousarray(pixels).ravel()
    corner = np.ravel_multi_index(tuple(low[rows].T), pixels.shape)
    places = np.array(np.unravel_index(kept, shape.window)) * np.array(shape.fine)[:, None]
    step = np.ravel_multi_index(tuple(places), pixels.shape)
    bins = np.indices(shape.fine).reshape(len(shape.fine), -1)
    inner = np.atleast_1d(np.ravel_multi_index(tuple(bins), pixels.shape))
    for a in range(0, len(rows), _AT_ONCE):
        some = rows[a : a + _AT_ONCE]
        base = corner[a : a + _AT_ONCE, None] + step
        if len(inner) == 1:
            data[some] = flat[base]
            continue
        total = np.zeros(base.shape, np.float32)
        for away in inner:
            total += flat[base + away]
        data[some] = total / np.float32(len(inner))


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
    whole = np.all((places >= radius) & (places + radius < block.data.shape), axis=1)
    if block.data.dtype.kind == "f":
        whole[:] = False
    grid = np.meshgrid(*[np.arange(2 * r + 1) for r in radius], indexing="ij")
    strides = np.cumprod([1, *block.data.shape[:0:-1]])[::-1]
    box = sum(g.ravel() * s for g, s in zip(grid, strides, strict=True))
    flat, rows = np.ascontiguousarray(block.data).ravel(), np.flatnonzero(whole)
    for a in range(0, len(rows), _AT_ONCE):
        some = rows[a : a + _AT_ONCE]
        corner = np.ravel_multi_index(tuple((places[some] - radius).T), block.data.shape)
        part = flat[corner[:, None] + box]
        top[some] = part.max(axis=1)
        shared[some] = (part == top[some][:, None]).sum(axis=1)
    for row in np.flatnonzero(~whole):
        part = block.data[
            tuple(slice(max(0, a - r), a + r + 1) for a, r in zip(places[row], radius, strict=True))
        ]
        top[row] = _top(part)
        shared[row] = (part == top[row]).sum()
    return top, shared


def highest(block: Block) -> float:
    """Highest pixel of the core."""
    return _top(block.inside())


def _top(pixels: NDArray[Any]) -> float:
    if pixels.dtype.kind in "bui":
        return float(pixels.max(initial=0))
    return float(np.max(pixels, initial=-np.inf, where=np.isfinite(pixels)))
