"""Many tiles as one lazy image: each lies where it was taken, seams stay visible."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np

from napari_clxem.errors import ReadError
from napari_clxem.io.guard import reading
from napari_clxem.io.readers.planes import forward, numbered

# Side of the chunks that a canvas is shown in.
CHUNK = 2048
# Bytes of coarse pictures that are kept, in all; and up to which step they are averaged from the
# pixels themselves, while coarser ones come from the next finer one.
MOST_KEPT, DIRECT = 96 << 20, 4
# A level whose rows and columns are no more than this is the last one.
SMALL = 1024
# Pixels along a side that a canvas may have, and how often its tiles may fit into it.
LARGEST, SPARSEST = 1 << 22, 1000


@dataclass(frozen=True)
class Tile:
    """Where a tile lies on the canvas: its first row and column, and its size, pixels."""

    row: int
    column: int
    height: int
    width: int


@dataclass(frozen=True)
class Canvas:
    """Tiles as one image, read where it is looked at; what dask asks for chunks.

    Parameters
    ----------
    path : Path
        The file, for messages.
    shape : tuple of int
        Rows and columns.
    dtype : dtype
        Of the pixels.
    tiles : tuple of Tile
        Where two overlap, the later one is seen; parts outside the canvas are not. Zero where
        there is none.
    pixels : callable
        Gives the pixels of the tile of a number, sliceable; picklable.
    token : int
        Tells it from every other one of this process.
    """

    path: Path
    shape: tuple[int, int]
    dtype: np.dtype[Any]
    tiles: tuple[Tile, ...]
    pixels: Callable[[int], Any]
    token: int = field(default_factory=partial(next, count()), compare=False, repr=False)

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return 2

    def __getitem__(self, key: Any) -> np.ndarray[Any, Any]:
        (rows, columns), turn = forward(key, self.shape)
        whole = np.zeros(_extent(rows, columns), self.dtype)
        for number, tile in enumerate(self.tiles):
            top, bottom = max(rows.start, tile.row), min(rows.stop, tile.row + tile.height)
            left, right = (
                max(columns.start, tile.column),
                min(columns.stop, tile.column + tile.width),
            )
            if top >= bottom or left >= right:
                continue
            with reading(self.path):
                part = self.pixels(number)[
                    top - tile.row : bottom - tile.row, left - tile.column : right - tile.column
                ]
                whole[
                    top - rows.start : bottom - rows.start,
                    left - columns.start : right - columns.start,
                ] = part
        return whole[:: rows.step, :: columns.step][turn][numbered(key, 2)]


class Kept:
    """What was read last of coarse pictures, up to so many bytes in all.

    A map that is moved on the screen asks for nearly the same pixels again and again, and each of
    them lies in another page of its file.
    """

    def __init__(self, most: int = MOST_KEPT) -> None:
        self._most, self._held = most, 0
        self._blocks: OrderedDict[tuple[int, ...], np.ndarray[Any, Any]] = OrderedDict()
        self._lock = threading.Lock()

    def get(
        self, key: tuple[int, ...], read: Callable[[], np.ndarray[Any, Any]]
    ) -> np.ndarray[Any, Any]:
        """Give a block that is held, or read and hold it."""
        with self._lock:
            if key in self._blocks:
                self._blocks.move_to_end(key)
                return self._blocks[key]
        block = read()
        with self._lock:
            if key not in self._blocks:
                self._blocks[key] = block
                self._held += block.nbytes
            while self._held > self._most and len(self._blocks) > 1:
                self._held -= self._blocks.popitem(last=False)[1].nbytes
        return block


_KEPT = Kept()


@dataclass(frozen=True)
class Coarse:
    """A canvas at 1 / `step` of its size, each pixel the average of those it stands for.

    Parameters
    ----------
    canvas : Canvas
        In full resolution.
    step : int
        A power of 2, at most :data:`CHUNK`.
    """

    canvas: Canvas
    step: int

    @property
    def path(self) -> Path:
        """The file, for messages."""
        return self.canvas.path

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns; what is left over at the end is not in them."""
        rows, columns = self.canvas.shape
        return max(1, rows // self.step), max(1, columns // self.step)

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of the pixels."""
        return self.canvas.dtype

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return 2

    def __getitem__(self, key: Any) -> np.ndarray[Any, Any]:
        (rows, columns), turn = forward(key, self.shape)
        whole = np.empty(_extent(rows, columns), self.dtype)
        side = CHUNK // self.step
        for row in range(rows.start // side, -(-rows.stop // side)):
            for column in range(columns.start // side, -(-columns.stop // side)):
                block = self.block(row, column)
                top, left = row * side, column * side
                low = max(rows.start, top), max(columns.start, left)
                high = min(rows.stop, top + side), min(columns.stop, left + side)
                whole[
                    low[0] - rows.start : high[0] - rows.start,
                    low[1] - columns.start : high[1] - columns.start,
                ] = block[low[0] - top : high[0] - top, low[1] - left : high[1] - left]
        return whole[:: rows.step, :: columns.step][turn][numbered(key, 2)]

    def block(self, row: int, column: int) -> np.ndarray[Any, Any]:
        """Give the block of a number: kept from before, or averaged from the next finer level."""

        def read() -> np.ndarray[Any, Any]:
            if self.step <= DIRECT:
                finer, factor = self.canvas[_span(row), _span(column)], self.step
            else:
                finer, factor = Coarse(self.canvas, self.step // 2).block(row, column), 2
            return _averaged(finer, factor)

        return _KEPT.get((self.canvas.token, row, column, self.step), read)


def _extent(*parts: slice) -> tuple[int, ...]:
    return tuple(max(0, part.stop - part.start) for part in parts)


def _span(number: int) -> slice:
    return slice(number * CHUNK, (number + 1) * CHUNK)


def _averaged(pixels: np.ndarray[Any, Any], factor: int) -> np.ndarray[Any, Any]:
    rows, columns = (max(1, n // factor) for n in pixels.shape)
    high, wide = (min(factor, n) for n in pixels.shape)
    wide_numbers = pixels.itemsize > (4 if pixels.dtype.kind == "f" else 2)
    exact = np.float64 if wide_numbers else np.float32
    # rows first: they lie one behind the other
    cut = pixels[: rows * high, : columns * wide].reshape(rows, high, columns * wide)
    added = cut.sum(axis=1, dtype=exact)
    found = added.reshape(rows, columns, wide).sum(axis=2) / exact(high * wide)
    if pixels.dtype.kind in "iu":
        found = np.rint(found)
    return np.asarray(found, pixels.dtype)


@dataclass(frozen=True)
class Stack:
    """Canvases of one size along leading axes; what dask asks for chunks.

    Parameters
    ----------
    path : Path
        The file, for messages.
    shape : tuple of int
        Leading axes, then rows and columns.
    dtype : dtype
        Of the pixels.
    canvas : callable
        Gives the canvas of an index along the leading axes; None where it is all zeros. Picklable.
    """

    path: Path
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    canvas: Callable[[tuple[int, ...]], Canvas | None]

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    def __getitem__(self, key: Any) -> np.ndarray[Any, Any]:
        slices, turn = forward(key, self.shape)
        chosen = [range(*part.indices(n)) for part, n in zip(slices, self.shape, strict=True)]
        whole = np.zeros([len(part) for part in chosen], self.dtype)
        for place in np.ndindex(*whole.shape[:-2]):
            index = tuple(part[i] for part, i in zip(chosen[:-2], place, strict=True))
            canvas = self.canvas(index)
            if canvas is not None:
                whole[place] = canvas[slices[-2:]]
        return whole[turn][numbered(key, self.ndim)]


def stacked(stack: Stack, area: int, *what: object) -> Any:
    """Give canvases along leading axes as one lazy array.

    Parameters
    ----------
    stack : Stack
        What reads them.
    area : int
        Pixels of the tiles of one canvas.
    *what : object
        What tells it from others of the same file, for dask's names.

    Raises
    ------
    ReadError
        Where its size cannot be that of its tiles.
    """
    check_size(stack.path, stack.shape[-2:], area)
    return _lazy(stack, *what)


def check_size(path: Path, shape: tuple[int, ...], area: int) -> None:
    """Refuse a canvas that its tiles, of `area` pixels, cannot fill by far.

    Raises
    ------
    ReadError
        In that case.
    """
    rows, columns = shape
    fits = min(rows, columns) > 0 and max(rows, columns) <= LARGEST
    if not fits or rows * columns > SPARSEST * max(area, 1):
        raise ReadError(
            f"{path.name} states a mosaic of {rows} x {columns} pixels for tiles of {area} in all, "
            "which cannot be; it seems damaged."
        )


def stitched(canvas: Canvas, *what: object) -> tuple[Any, ...]:
    """Give a canvas as lazy arrays: in full resolution, and in levels of half the size each.

    Parameters
    ----------
    canvas : Canvas
        What reads it.
    *what : object
        What tells it from others of the same file, for dask's names.

    Raises
    ------
    ReadError
        Where its size cannot be that of its tiles.
    """
    area = sum(tile.height * tile.width for tile in canvas.tiles)
    check_size(canvas.path, canvas.shape, area)
    levels, step = [_lazy(canvas, *what)], 2
    while max(canvas.shape) > SMALL * step // 2 and step <= CHUNK and canvas.dtype.kind in "iuf":
        levels.append(_lazy(Coarse(canvas, step), *what, step))
        step *= 2
    return tuple(levels)


def single(canvas: Canvas, *what: object) -> Any:
    """Give a canvas in full resolution alone, where coarser levels are stored; see `stitched`."""
    check_size(canvas.path, canvas.shape, sum(t.height * t.width for t in canvas.tiles))
    return _lazy(canvas, *what)


def _lazy(source: Canvas | Coarse | Stack, *what: object) -> Any:
    import dask.array as da
    from dask.base import tokenize

    status = source.path.stat()
    token = tokenize(str(source.path.absolute()), status.st_mtime_ns, status.st_size, *what)
    sides = tuple(min(CHUNK, n) for n in source.shape[-2:])
    return da.from_array(  # type: ignore[no-untyped-call]
        source,
        chunks=(1,) * (source.ndim - 2) + sides,
        name=f"canvas-{token}",
        asarray=False,
        fancy=False,
        meta=np.empty((0,) * source.ndim, source.dtype),
    )
