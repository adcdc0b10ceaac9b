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

from napari_clxem.fiducials.profiles import Floats

_BLOCK_2D = 2048
_BLOCK_3D = (96, 512, 512)


@dataclass(frozen=True)
class Block:
    """A part of an image: `data` covers the core and `halo` pixels on every side.

    `data` is NaN outside the image. `start` is the index of the core's first pixel, `core` its
    size.
    """

    data: Floats
    start: tuple[int, ...]
    core: tuple[int, ...]
    halo: tuple[int, ...]

    @property
    def origin(self) -> tuple[int, ...]:
        """Index in the image of the first pixel of `data`."""
        return tuple(s - h for s, h in zip(self.start, self.halo, strict=True))


def read_padded(image: Any, start: tuple[int, ...], stop: tuple[int, ...]) -> Floats:
    """Read pixels `start` to `stop` as floats, NaN where that lies outside the image."""
    inner = tuple(
        slice(min(max(a, 0), n), min(max(b, 0), n))
        for a, b, n in zip(start, stop, image.shape, strict=True)
    )
    data = np.full([b - a for a, b in zip(start, stop, strict=True)], np.nan, np.float32)
    target = tuple(slice(s.start - a, s.stop - a) for s, a in zip(inner, start, strict=True))
    values = np.asarray(image[inner]).astype(np.float32)
    data[target] = np.where(np.isfinite(values), values, np.nan)
    return data


def _size(shape: tuple[int, ...], multiple: tuple[int, ...]) -> tuple[int, ...]:
    """Side of a block: a multiple of `multiple`, no longer than the image needs."""
    wanted = (_BLOCK_2D, _BLOCK_2D) if len(shape) == 2 else _BLOCK_3D
    return tuple(
        m * max(1, min(w // m, -(-n // m))) for n, w, m in zip(shape, wanted, multiple, strict=True)
    )


def blocks(image: Any, multiple: tuple[int, ...], halo: tuple[int, ...]) -> Iterator[Block]:
    """Give every block of an image in order.

    Parameters
    ----------
    image : array_like
        Anything with a shape and slices.
    multiple : tuple of int
        Blocks start at multiples of this, along each axis.
    halo : tuple of int
        Pixels to read beyond the core on each side; made a multiple of `multiple`.
    """
    shape = tuple(image.shape)
    size = _size(shape, multiple)
    margin = tuple(m * -(-h // m) for h, m in zip(halo, multiple, strict=True))
    for start in product(*[range(0, n, s) for n, s in zip(shape, size, strict=True)]):
        low = tuple(a - h for a, h in zip(start, margin, strict=True))
        high = tuple(a + s + h for a, s, h in zip(start, size, margin, strict=True))
        yield Block(read_padded(image, low, high), start, size, margin)


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
