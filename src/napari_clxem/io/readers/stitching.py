"""Many tiles as one lazy image: each lies where it was taken, seams stay visible."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from napari_clxem.errors import ReadError
from napari_clxem.io.guard import reading
from napari_clxem.io.readers.planes import forward, numbered

# Side of the chunks that a canvas is shown in.
CHUNK = 2048
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
    """

    path: Path
    shape: tuple[int, int]
    dtype: np.dtype[Any]
    tiles: tuple[Tile, ...]
    pixels: Callable[[int], Any]

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return 2

    def __getitem__(self, key: Any) -> np.ndarray[Any, Any]:
        (rows, columns), turn = forward(key, self.shape)
        whole = np.zeros((rows.stop - rows.start, columns.stop - columns.start), self.dtype)
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


def stitched(canvas: Canvas, *what: object) -> Any:
    """Give a canvas as a lazy array.

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
    return _lazy(canvas, *what)


def _lazy(source: Canvas | Stack, *what: object) -> Any:
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
