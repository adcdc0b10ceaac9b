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
    import dask.array as da
    from dask.base import tokenize

    area = sum(tile.height * tile.width for tile in canvas.tiles)
    rows, columns = canvas.shape
    fits = min(rows, columns) > 0 and max(rows, columns) <= LARGEST
    if not fits or rows * columns > SPARSEST * max(area, 1):
        raise ReadError(
            f"{canvas.path.name} states a mosaic of {rows} x {columns} pixels for "
            f"{len(canvas.tiles)} tiles, which cannot be; it seems damaged."
        )
    status = canvas.path.stat()
    token = tokenize(str(canvas.path.absolute()), status.st_mtime_ns, status.st_size, *what)
    return da.from_array(  # type: ignore[no-untyped-call]
        canvas,
        chunks=(min(CHUNK, rows), min(CHUNK, columns)),
        name=f"canvas-{token}",
        asarray=False,
        fancy=False,
        meta=np.empty((0, 0), canvas.dtype),
    )
