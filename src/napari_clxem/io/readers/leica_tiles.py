"""Tile scans of Leica files: tiles laid where the stage took them."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_clxem.io.pixel_size import is_usable
from napari_clxem.io.readers.leica_xml import METRE, number_of
from napari_clxem.io.readers.ome_xml import tag
from napari_clxem.io.readers.stitching import LARGEST, Canvas, Stack, Tile, stacked

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

# Tiles that a scan may have.
MOST = 100_000


@dataclass(frozen=True)
class TileScan:
    """Where the tiles of a scan were taken.

    Attributes
    ----------
    places : tuple of (float, float)
        Stage (y, x) of the middle of each tile, µm, in the order of the pixels.
    flips : mapping
        FlipX, FlipY, SwapXY, where the scan states its own.
    """

    places: tuple[tuple[float, float], ...]
    flips: Mapping[str, str]

    @property
    def middle(self) -> tuple[float, float]:
        """Stage (y, x) of the middle of all, µm."""
        low, high = (tuple(map(pick, zip(*self.places, strict=True))) for pick in (min, max))
        return (low[0] + high[0]) / 2, (low[1] + high[1]) / 2


@dataclass(frozen=True)
class TilePlanes:
    """Gives the plane of a tile, for one place along the other axes."""

    data: Any
    tiles: int
    leading: tuple[tuple[int, int], ...]

    def __call__(self, number: int) -> Any:
        """Give the plane of the tile of a number."""
        index: list[Any] = [slice(None)] * self.data.ndim
        for axis, place in self.leading:
            index[axis] = place
        index[self.tiles] = number
        return self.data[tuple(index)]


def tile_scan(image: Element) -> TileScan | None:
    """Read the places of the tiles; None where they are not stated, or are all the same."""
    for element in image.iter():
        if tag(element) != "Attachment" or element.attrib.get("Name") != "TileScanInfo":
            continue
        places = []
        for tile in itertools.islice((e for e in element if tag(e) == "Tile"), MOST):
            y, x = (number_of(tile.attrib, key) for key in ("PosY", "PosX"))
            if y is None or x is None:
                return None
            places.append((y * METRE, x * METRE))
        flips = {k: v for k, v in element.attrib.items() if k in ("FlipX", "FlipY", "SwapXY")}
        return TileScan(tuple(places), flips) if len(set(places)) > 1 else None
    return None


def laid_out(
    scan: TileScan, count: int, shape: tuple[int, int], to_stage: Any
) -> tuple[tuple[Tile, ...], tuple[int, int]] | None:
    """Give the tiles on their canvas, and its size; None where they do not fit together.

    Parameters
    ----------
    scan : TileScan
        Where they were taken.
    count : int
        Tiles that there are pixels of.
    shape : tuple of int
        Rows and columns of a tile.
    to_stage : (3, 3) array_like
        Pixels (row, column, 1) of a tile to stage (y, x) µm; only its directions are used.
    """
    if count != len(scan.places):
        return None
    step = np.asarray(to_stage, float)[:2, :2]
    if not is_usable(abs(float(np.linalg.det(step))) ** 0.5):
        return None
    places = np.linalg.solve(step, np.array(scan.places).T).T
    if not np.isfinite(places).all():
        return None
    places = np.rint(places - places.min(axis=0))
    size = places.max(axis=0) + shape
    if size.max() > LARGEST:
        return None
    tiles = tuple(Tile(int(row), int(column), *shape) for row, column in places)
    return tiles, (int(size[0]), int(size[1]))


@dataclass(frozen=True)
class TileCanvas:
    """Gives the canvas of a place along the other axes."""

    path: Path
    data: Any
    number: int
    others: tuple[int, ...]
    tiles: tuple[Tile, ...]
    size: tuple[int, int]

    def __call__(self, index: tuple[int, ...]) -> Canvas:
        """Lay out the tiles of an index."""
        leading = tuple(zip(self.others, index, strict=True))
        pixels = TilePlanes(self.data, self.number, leading)
        return Canvas(self.path, self.size, np.dtype(self.data.dtype), self.tiles, pixels)


def joined(
    path: Path,
    data: Any,
    axes: tuple[str, ...],
    tiles: tuple[Tile, ...],
    size: tuple[int, int],
    *what: object,
) -> Any:
    """Join the tiles along axis ``"m"`` lazily, at every place along the other axes.

    Returns
    -------
    dask array
        Axes as before without ``"m"``, rows and columns last.
    """
    others = tuple(i for i, axis in enumerate(axes) if axis not in "myx")
    source = TileCanvas(path, data, axes.index("m"), others, tiles, size)
    shape = (*(int(data.shape[i]) for i in others), *size)
    area = sum(tile.height * tile.width for tile in tiles)
    return stacked(Stack(path, shape, np.dtype(data.dtype), source), area, "leica", *what)
