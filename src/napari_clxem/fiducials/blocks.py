"""Walking an image of any size block by block, the same way whatever array holds it.

The blocks follow from the image's shape alone, never from the chunks of a dask array, so that a
lazy image gives exactly what the same image in memory gives.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_clxem.fiducials.profiles import Floats

_BLOCK_2D = 4096
_BLOCK_3D = (64, 1024, 1024)
_KERNEL_TYPES = (np.uint8, np.uint16, np.float32)
"""Types of pixels that kernels take; others become 32-bit floats."""

_AVERAGED = 4
"""Pixels averaged to one from which on blocks have their full width."""


@dataclass(frozen=True)
class Block:
    """A part of an image: the core and `halo` pixels around it, as far as the image goes.

    Parameters
    ----------
    data : ndarray
        Pixels in the image's own type, or as 32-bit floats.
    origin : tuple of int
        Index in the image of the first pixel of `data`.
    start, core : tuple of int
        Index of the core's first pixel, and its size.
    """

    data: NDArray[Any]
    origin: tuple[int, ...]
    start: tuple[int, ...]
    core: tuple[int, ...]

    def read(self, start: tuple[int, ...], stop: tuple[int, ...]) -> Floats:
        """Read pixels `start` to `stop` of the image as floats, NaN where `data` has none."""
        inner = tuple(
            slice(min(max(a - o, 0), n), min(max(b - o, 0), n))
            for a, b, o, n in zip(start, stop, self.origin, self.data.shape, strict=True)
        )
        values = self.data[inner]
        if all(n == b - a for n, a, b in zip(values.shape, start, stop, strict=True)):
            return finite(values)
        found = np.full([b - a for a, b in zip(start, stop, strict=True)], np.nan, np.float32)
        target = tuple(
            slice(s.start + o - a, s.stop + o - a)
            for s, o, a in zip(inner, self.origin, start, strict=True)
        )
        found[target] = finite(values)
        return found

    def inside(self) -> NDArray[Any]:
        """Give the pixels of the core."""
        return self.data[
            tuple(
                slice(a - o, a - o + n)
                for a, o, n in zip(self.start, self.origin, self.core, strict=True)
            )
        ]


def finite(values: NDArray[Any]) -> Floats:
    """Give pixels as 32-bit floats, NaN where they are not finite."""
    floats = values.astype(np.float32)
    if values.dtype.kind == "f":
        floats[~np.isfinite(floats)] = np.nan
    return floats


def _size(
    shape: tuple[int, ...], multiple: tuple[int, ...], averaged: tuple[int, ...]
) -> tuple[int, ...]:
    """Side of a block: a multiple of `multiple`, no longer than the image needs."""
    wanted: tuple[int, ...] = (_BLOCK_2D, _BLOCK_2D) if len(shape) == 2 else _BLOCK_3D
    if np.prod(averaged) < _AVERAGED:
        wanted = (*wanted[:-2], wanted[-2] // 2, wanted[-1] // 2)
    return tuple(
        m * max(1, min(w // m, -(-n // m))) for n, w, m in zip(shape, wanted, multiple, strict=True)
    )


def blocks(
    image: Any, multiple: tuple[int, ...], halo: tuple[int, ...], averaged: tuple[int, ...]
) -> Iterator[tuple[float, Block]]:
    """Give every block of an image in order, each with the share of blocks given by then.

    Parameters
    ----------
    image : array_like
        Anything with a shape and slices.
    multiple : tuple of int
        Blocks start at multiples of this, along each axis.
    halo : tuple of int
        Pixels to read beyond the core on each side; made a multiple of `multiple`.
    averaged : tuple of int
        Pixels averaged to one for detection: how large a block may be depends on it.
    """
    shape = tuple(image.shape)
    size = _size(shape, multiple, averaged)
    margin = tuple(m * -(-h // m) for h, m in zip(halo, multiple, strict=True))
    starts = list(product(*[range(0, n, s) for n, s in zip(shape, size, strict=True)]))
    for number, start in enumerate(starts, 1):
        low = tuple(max(0, a - h) for a, h in zip(start, margin, strict=True))
        high = tuple(
            min(n, a + s + h) for n, a, s, h in zip(shape, start, size, margin, strict=True)
        )
        core = tuple(min(n, a + s) - a for n, a, s in zip(shape, start, size, strict=True))
        part = image[tuple(slice(a, b) for a, b in zip(low, high, strict=True))]
        yield number / len(starts), Block(_read(part), low, start, core)


def _read(part: Any) -> NDArray[Any]:
    """Give the pixels of a part of an image, one after another in memory, as kernels take them.

    Slices of a lazy array's chunks are copied, as views would keep all the chunks in memory.
    """
    if hasattr(part, "map_blocks"):
        part = part.map_blocks(np.array, dtype=part.dtype)
    pixels = np.ascontiguousarray(part)
    return pixels if pixels.dtype in _KERNEL_TYPES else finite(pixels)


def bin_mean(block: Floats, factor: tuple[int, ...]) -> Floats:
    """Average over bins of `factor` pixels, ignoring NaN; empty bins stay NaN."""
    if all(f == 1 for f in factor):
        return block
    shape: list[int] = []
    for n, f in zip(block.shape, factor, strict=True):
        shape += [n // f, f]
    axes = tuple(range(1, 2 * block.ndim, 2))
    cube = block.reshape(shape)
    valid = np.isfinite(cube)
    count = valid.sum(axis=axes)
    total = np.where(valid, cube, 0.0).sum(axis=axes)
    mean: Floats = np.where(count > 0, total / np.maximum(count, 1), np.nan)
    return mean
