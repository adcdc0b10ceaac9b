"""Thermo MAPS projects: mosaics of tiles, and pyramids, as one lazy image each.

A mosaic is a folder of ``Tile_{row}-{column}-*.tif``, counted from 1 at the top left; a pyramid
holds ``l_{level}/c_{column}/tile_{row}.tif`` beside its pyramid.xml, without overlap.
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from napari_clxem.errors import ReadError
from napari_clxem.io.image import Channel, StagePosition
from napari_clxem.io.readers import tiff
from napari_clxem.io.readers.maps_xml import METRE, Layer, layers, read_xml
from napari_clxem.io.readers.ome_xml import tag
from napari_clxem.io.readers.stitching import Canvas, Tile, single, stitched
from napari_clxem.io.stored import Stored

KIND = "a MAPS project"

PROJECT = "MapsProject.xml"
_TILE = re.compile(r"Tile_(\d{1,6})-(\d{1,6})-(.*)\.tiff?", re.IGNORECASE)
_ROW = re.compile(r"tile_(\d{1,6})\.tiff?", re.IGNORECASE)
_COLUMN = re.compile(r"c_(\d{1,6})", re.IGNORECASE)
# Folders below LayersData that are looked at.
MOST_FOLDERS, DEEPEST = 20_000, 6

Place = tuple[int, int]


@dataclass(frozen=True)
class TileFiles:
    """Gives the pixels of the tile of a number."""

    paths: tuple[Path, ...]

    def __call__(self, number: int) -> Any:
        """Open a tile."""
        return _first(self.paths[number]).levels[0]


def sniff(path: Path, head: bytes) -> bool:  # noqa: ARG001
    """Tell the file that describes a project."""
    return path.name.lower() == PROJECT.lower()


def sniff_folder(path: Path) -> bool:
    """Tell a folder that is a project."""
    return standing_file(path) is not None


def standing_file(path: Path) -> Path | None:
    """Give the file in a folder that describes the project; None where it is none."""
    place = path / PROJECT
    return place if place.is_file() else None


def read(path: Path) -> tuple[Stored, ...]:
    """Give the mosaics and pyramids of a project."""
    root = path if path.is_dir() else path.parent
    known = layers(root / PROJECT)
    found: list[Stored] = []
    left: list[str] = []
    for folder in _folders(root / "LayersData"):
        try:
            if (folder / "pyramid.xml").is_file():
                found.append(_pyramid(root, folder, known))
            else:
                found += _mosaics(root, folder, known)
        except ReadError as error:
            left.append(f"{folder.name} was left out: {error}")
    if not found:
        raise ReadError(" ".join(left) or f"{root.name} is a MAPS project without tiles.")
    if left:
        from dataclasses import replace

        found[0] = replace(found[0], missing=(*found[0].missing, *left))
    return tuple(found)


def _folders(root: Path) -> Iterator[Path]:
    """Walk the folders below LayersData, in order, none outside it."""
    waiting, seen = [(root, 0)], 0
    inside = root.resolve()
    while waiting:
        folder, depth = waiting.pop(0)
        seen += 1
        if not folder.is_dir() or seen > MOST_FOLDERS:
            continue
        if folder.resolve() != inside and inside not in folder.resolve().parents:
            continue
        yield folder
        is_pyramid = (folder / "pyramid.xml").is_file()
        if depth < DEEPEST and not is_pyramid:
            waiting += [(place, depth + 1) for place in sorted(folder.iterdir()) if place.is_dir()]


def _first(path: Path) -> Stored:
    found = tiff.read(path)[0]
    if found.axes != ("y", "x"):
        raise ReadError(f"{path.name} is no grey image, as tiles are.")
    return found


def _mosaics(root: Path, folder: Path, known: Sequence[Layer]) -> list[Stored]:
    """Join the tiles of a folder; those of several channels apart."""
    groups: dict[str, dict[Place, Path]] = {}
    for path in sorted(folder.iterdir()):
        match = _TILE.fullmatch(path.name)
        if match and path.is_file() and path.resolve().parent == folder.resolve():
            groups.setdefault(match[3], {})[int(match[1]), int(match[2])] = path
    name = folder.relative_to(root).as_posix()
    layer = next((one for one in known if one.folder == name.lower()), None)
    return [
        _mosaic(root, name if len(groups) == 1 else f"{name} {suffix}", tiles, layer)
        for suffix, tiles in groups.items()
    ]


def _mosaic(root: Path, name: str, tiles: dict[Place, Path], layer: Layer | None) -> Stored:
    start = min(row for row, _ in tiles), min(column for _, column in tiles)
    one = _first(tiles[min(tiles)])
    shape: Place = one.levels[0].shape
    pixel = one.pixel.get("x") or (layer.pixel if layer else None)
    steps, note = _steps(tiles, shape, pixel, layer)
    places = [
        Tile((row - start[0]) * steps[0], (column - start[1]) * steps[1], *shape)
        for row, column in tiles
    ]
    size = max(t.row for t in places) + shape[0], max(t.column for t in places) + shape[1]
    source = TileFiles(tuple(tiles.values()))
    canvas = Canvas(root / PROJECT, size, one.levels[0].dtype, tuple(places), source)
    missing = [note] if note else []
    whole = (max(r for r, _ in tiles) - start[0] + 1) * (max(c for _, c in tiles) - start[1] + 1)
    if len(tiles) < whole:
        missing.append(f"{whole - len(tiles)} of {whole} tiles are missing and show as zeros.")
    return Stored(
        levels=stitched(canvas, name),
        axes=("y", "x"),
        pixel={"y": one.pixel.get("y") or pixel, "x": pixel},
        channels=(Channel(""),),
        stage=_stage(tiles, layer),
        name=name.removeprefix("LayersData/"),
        meta={**one.meta, "format": "maps", "tiles": len(tiles), "step": list(steps)},
        missing=tuple(missing),
    )


def _steps(
    tiles: dict[Place, Path], shape: Place, pixel: float | None, layer: Layer | None
) -> tuple[Place, str]:
    """Rows and columns from one tile to the next, and where they come from if that is a guess.

    By the stage positions of neighbours, else by the field widths of the project.
    """
    steps = [_measured(tiles, axis, pixel) for axis in (0, 1)]
    if layer is not None and pixel is not None:
        for axis, (total, count) in enumerate(
            ((layer.height, layer.rows), (layer.width, layer.columns))
        ):
            own = shape[axis] * pixel
            if axis == 1 and layer.tile_width is not None:
                own = layer.tile_width
            if steps[axis] is None and total is not None and count is not None and count > 1:
                steps[axis] = (total - own) / (count - 1) / pixel
    whole = [
        round(step) if step is not None and 0 < step <= 2 * size else None
        for step, size in zip(steps, shape, strict=True)
    ]
    if whole[0] is None and whole[1] is not None:
        whole[0] = round(shape[0] * whole[1] / shape[1])
    if whole[1] is None and whole[0] is not None:
        whole[1] = round(shape[1] * whole[0] / shape[0])
    note = ""
    if whole[0] is None or whole[1] is None:
        if len(tiles) > 1:
            note = "How far its tiles overlap is not stated; they lie edge to edge."
        return shape, note
    return (whole[0], whole[1]), note


def _measured(tiles: dict[Place, Path], axis: int, pixel: float | None) -> float | None:
    """Distance of two neighbours on the stage, pixels."""
    if pixel is None:
        return None
    for place in tiles:
        other = (place[0] + 1, place[1]) if axis == 0 else (place[0], place[1] + 1)
        if other in tiles:
            a, b = (_first(tiles[p]).stage for p in (place, other))
            if a is None or b is None:
                return None
            distance = math.dist(a.position[1:], b.position[1:])
            return distance / pixel if math.isfinite(distance) and distance > 0 else None
    return None


def _stage(tiles: dict[Place, Path], layer: Layer | None) -> StagePosition | None:
    """Stage of the middle: as the project says, else halfway between the outermost tiles."""
    rotation = layer.rotation if layer else None
    corners = [_first(tiles[place]).stage for place in (min(tiles), max(tiles))]
    tilt = corners[0].tilt if corners[0] else None
    if layer is not None and layer.stage is not None:
        z = corners[0].position[0] if corners[0] else math.nan
        return StagePosition((z, *layer.stage), rotation, tilt, "fei")
    if corners[0] is None or corners[1] is None:
        return None
    middle = np.mean([corner.position for corner in corners if corner], axis=0)
    return StagePosition((middle[0], middle[1], middle[2]), rotation, tilt, "fei")


def _pyramid(root: Path, folder: Path, known: Sequence[Layer]) -> Stored:
    """Join the tiles of every level."""
    places = [place for place in folder.iterdir() if re.fullmatch(r"l_\d+", place.name)]
    listed = [tiles for tiles in map(_level, places) if tiles]
    if not listed:
        raise ReadError("its pyramid has no TIFF tiles.")
    described = read_xml(folder / "pyramid.xml")
    pixel = dict(zip("yx", _pixel(described), strict=True))
    canvases = [_canvas(root, tiles) for tiles in listed]
    full, *others = sorted(canvases, key=lambda one: one.shape[1], reverse=True)
    coarser = [one for one in others if one.dtype == full.dtype and _halved(full, one)]
    name = folder.relative_to(root).as_posix().removesuffix("/data")
    levels = tuple(single(one, name, i) for i, one in enumerate((full, *coarser)))
    if not coarser:
        levels = stitched(full, name)
    layer = _of_channel(folder, known)
    stage = None
    if layer is not None and layer.stage is not None:
        stage = StagePosition((math.nan, *layer.stage), layer.rotation, convention="fei")
    return Stored(
        levels=levels,
        axes=("y", "x"),
        pixel=pixel,
        channels=(Channel(""),),
        stage=stage,
        name=name.removeprefix("LayersData/"),
        meta={"format": "maps", "tiles": len(full.tiles)},
    )


def _canvas(root: Path, tiles: dict[Place, Path]) -> Canvas:
    """Lay the tiles of a level side by side."""
    one = _first(tiles[min(tiles)])
    shape = one.levels[0].shape
    last = max(row for row, _ in tiles), max(column for _, column in tiles)
    placed = [
        Tile(r * shape[0], c * shape[1], *(_size(path, shape) if at_edge else shape))
        for (r, c), path in tiles.items()
        for at_edge in [r == last[0] or c == last[1]]
    ]
    size = max(t.row + t.height for t in placed), max(t.column + t.width for t in placed)
    source = TileFiles(tuple(tiles.values()))
    return Canvas(root / PROJECT, size, one.levels[0].dtype, tuple(placed), source)


def _halved(full: Canvas, other: Canvas) -> bool:
    """Tell whether a level is the full one, halved some times along both axes."""
    steps = round(math.log2(full.shape[1] / other.shape[1]))
    return steps > 0 and all(
        abs(n / 2**steps - m) <= max(2, 0.01 * m)
        for n, m in zip(full.shape, other.shape, strict=True)
    )


def _level(folder: Path) -> dict[Place, Path]:
    """List the tiles of a level by row and column, counted from 0."""
    found = {}
    for column in sorted(folder.iterdir()):
        match = _COLUMN.fullmatch(column.name)
        if not match or not column.is_dir():
            continue
        for path in itertools.islice(sorted(column.iterdir()), MOST_FOLDERS):
            row = _ROW.fullmatch(path.name)
            if row and path.resolve().parent == column.resolve():
                found[int(row[1]), int(match[1])] = path
    return found


def _size(path: Path, shape: Place) -> Place:
    """Give the size of a tile; only those at the far edges may be smaller."""
    found: Place = _first(path).levels[0].shape
    return min(found[0], shape[0]), min(found[1], shape[1])


def _pixel(described: Any) -> tuple[float | None, float | None]:
    """Read metadata/pixelsize/{y, x} in µm."""
    sizes: dict[str, float] = {}
    for element in described.iter():
        if tag(element) != "pixelsize":
            continue
        for child in element:
            try:
                sizes[tag(child)] = float(child.text or "") * METRE
            except ValueError:
                continue
    return sizes.get("y"), sizes.get("x")


def _of_channel(folder: Path, known: Sequence[Layer]) -> Layer | None:
    """Find the layer of a pyramid by the guid of its channel, which a file above it names."""
    for above in list(folder.parents)[:3]:
        place = above / "MultiChannelParams.xml"
        if place.is_file():
            guids = {
                (element.text or "").strip().lower()
                for element in read_xml(place).iter()
                if tag(element) == "Guid"
            } - {""}
            return next((layer for layer in known if guids & set(layer.guids)), None)
    return None
