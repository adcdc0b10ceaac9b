"""Zeiss CZI files: each scene an image, its tiles where the stage took them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_clxem.errors import ReadError
from napari_clxem.io.image import Channel, StagePosition
from napari_clxem.io.readers.czi_segments import TYPES, Block, BlockPixels, read_contents
from napari_clxem.io.readers.ome_xml import children, parse_xml, tag
from napari_clxem.io.readers.planes import MOST_PLANES, Plane, Planes, check_shape, lazy
from napari_clxem.io.readers.stitching import Canvas, Stack, Tile, stacked
from napari_clxem.io.stored import Stored

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

KIND = "a CZI file"

METRE = 1e6
# Axes beside t, c, z, y, x of which an image may have one place only; M numbers tiles.
_OTHERS = "RIHVB"
# Planes, of those that an image could have, of which one at least was taken.
SPARSE = 1000
_RGB = (Channel("red", "#ff0000"), Channel("green", "#00ff00"), Channel("blue", "#0000ff"))

Index = tuple[int, int, int]


def sniff(path: Path, head: bytes) -> bool:  # noqa: ARG001
    """Tell by the name of the first segment."""
    return head.startswith(b"ZISRAWFILE")


def read(path: Path) -> tuple[Stored, ...]:
    """Give the scenes of a file, with the coarser levels that cover them."""
    contents = read_contents(path)
    full = [block for block in contents.blocks if block.is_full]
    if not full:
        raise ReadError(f"{path.name} holds no image of full resolution; export it again.")
    root = parse_xml(contents.xml, path, "XML") if contents.xml else None
    scenes: dict[int, list[Block]] = {}
    for block in full:
        scenes.setdefault(block.start.get("S", 0), []).append(block)
    coarse: dict[int, list[Block]] = {}
    for block in contents.blocks:
        # without a scene of its own it may be of several
        if not block.is_full and ("S" in block.start or len(scenes) == 1):
            coarse.setdefault(block.start.get("S", min(scenes)), []).append(block)
    return tuple(
        _stored(path, root, number, blocks, coarse.get(number, []), len(scenes) > 1)
        for number, blocks in sorted(scenes.items())
    )


@dataclass(frozen=True)
class PlaneOf:
    """Reads the plane of an index (t, c, z) that is one block."""

    pixels: BlockPixels
    numbers: Mapping[Index, int]
    shape: tuple[int, int]
    dtype: np.dtype[Any]

    def __call__(self, index: tuple[int, ...]) -> Plane:
        """Read a plane; zeros where it was not taken."""
        number = self.numbers.get((index[0], index[1], index[2]))
        return np.zeros(self.shape, self.dtype) if number is None else self.pixels(number)


def _stored(
    path: Path,
    root: Element | None,
    scene: int,
    blocks: Sequence[Block],
    coarse: Sequence[Block],
    several: bool,
) -> Stored:
    first = blocks[0]
    if first.pixel_type not in TYPES or any(b.pixel_type != first.pixel_type for b in blocks):
        raise ReadError(f"{path.name} has pixels of type {first.pixel_type}, or of several types.")
    if any(block.size.get(axis, 1) > 1 for block in blocks for axis in "TCZ"):
        raise ReadError(f"{path.name} has blocks of several planes, which are not read.")
    for axis in _OTHERS:
        if len({block.start.get(axis, 0) for block in blocks}) > 1:
            raise ReadError(f"{path.name} has an axis {axis}, which is not read; export one part.")
    samples = TYPES[first.pixel_type][1]
    data, places = _pixels(path, blocks, samples, scene)
    axes, sizes = ["t", "c", "z", "y", "x"], data.shape
    kept = [i for i, n in enumerate(sizes) if n > 1 or i >= 3]
    whole = (data, *_coarser(path, blocks, coarse, samples, scene))
    levels = [level[tuple(slice(None) if i in kept else 0 for i in range(5))] for level in whole]
    missing = sizes[0] * sizes[1] * sizes[2] - places * (samples if samples > 1 else 1)
    notes = (f"{missing} planes were not taken and show as zeros.",) if missing > 0 else ()
    return Stored(
        levels=tuple(levels),
        axes=tuple(axes[i] for i in kept),
        pixel=_pixel_size(root),
        channels=_RGB if samples > 1 else _channels(root, sizes[1], sizes[1] > 1),
        stage=_stage(root, scene),
        name=f"{path.stem} [{scene}]" if several else path.stem,
        meta=_meta(root),
        missing=notes,
    )


@dataclass(frozen=True)
class Field:
    """What the blocks of full resolution cover: where it begins, and its size, (t, c, z, y, x)."""

    lowest: tuple[int, ...]
    shape: tuple[int, ...]

    def index(self, block: Block) -> Index:
        """Give the place of a block along (t, c, z)."""
        t, c, z = (block.start.get(a, 0) - low for a, low in zip("TCZ", self.lowest, strict=False))
        return (t, c, z)


def _field(path: Path, blocks: Sequence[Block]) -> Field:
    lowest = [min(block.start.get(axis, 0) for block in blocks) for axis in "TCZYX"]
    ends = [max(b.start.get(axis, 0) + _length(b, axis) for b in blocks) for axis in "TCZYX"]
    shape = tuple(end - low for end, low in zip(ends, lowest, strict=True))
    taken = len({tuple(block.start.get(axis, 0) for axis in "TCZ") for block in blocks})
    if math.prod(shape[:3]) > min(MOST_PLANES, SPARSE * taken) or min(shape) < 1:
        raise ReadError(f"{path.name} states an image of {shape} pixels, which cannot be.")
    return Field(tuple(lowest), shape)


def _pixels(path: Path, blocks: Sequence[Block], samples: int, scene: int) -> tuple[Any, int]:
    """Give (t, c, z, y, x) lazily, and the number of planes that were taken."""
    field = _field(path, blocks)
    shape = field.shape
    dtype = np.dtype(TYPES[blocks[0].pixel_type][0]).newbyteorder("=")
    by_plane: dict[Index, list[int]] = {}
    for number, block in enumerate(blocks):
        by_plane.setdefault(field.index(block), []).append(number)
    parts = []
    for sample in _samples(samples):
        pixels = BlockPixels(path, tuple(blocks), sample)
        one = _single(blocks, by_plane, shape)
        if one:
            check_shape(path.name, shape, dtype.itemsize)
            source = PlaneOf(pixels, one, (shape[3], shape[4]), dtype)
            parts.append(lazy(Planes(path, shape, dtype, source), "czi", scene, sample))
        else:
            parts.append(_joined(pixels, by_plane, field, 1, dtype, scene))
    return _of_samples(parts), len(by_plane)


def _samples(count: int) -> list[int | None]:
    return list(range(count)) if count > 1 else [None]


def _of_samples(parts: list[Any]) -> Any:
    import dask.array as da

    return parts[0] if len(parts) == 1 else da.concatenate(parts, axis=1)  # type: ignore[no-untyped-call]


def _coarser(
    path: Path, blocks: Sequence[Block], coarse: Sequence[Block], samples: int, scene: int
) -> list[Any]:
    """Give the coarser levels (t, c, z, y, x) that hold all planes and cover the whole field."""
    field = _field(path, blocks)
    dtype = np.dtype(TYPES[blocks[0].pixel_type][0]).newbyteorder("=")
    wanted = {field.index(block) for block in blocks}
    by_factor: dict[int, list[Block]] = {}
    for block in coarse:
        factor = round(block.size["X"] / max(block.stored["X"], 1))
        if block.pixel_type == blocks[0].pixel_type and factor > 1:
            by_factor.setdefault(factor, []).append(block)
    found = []
    for factor, chosen in sorted(by_factor.items()):
        by_plane: dict[Index, list[int]] = {}
        for number, block in enumerate(chosen):
            by_plane.setdefault(field.index(block), []).append(number)
        if set(by_plane) == wanted and _covers(chosen, by_plane, field, factor):
            parts = [
                _joined(BlockPixels(path, tuple(chosen), s), by_plane, field, factor, dtype, scene)
                for s in _samples(samples)
            ]
            found.append(_of_samples(parts))
    return found


def _covers(
    blocks: Sequence[Block], by_plane: Mapping[Index, list[int]], field: Field, factor: int
) -> bool:
    """Tell whether the blocks of each plane reach from edge to edge of the field."""
    for numbers in by_plane.values():
        for axis, low, size in zip("YX", field.lowest[3:], field.shape[3:], strict=True):
            first = min(blocks[n].start[axis] for n in numbers)
            last = max(blocks[n].start[axis] + blocks[n].stored[axis] * factor for n in numbers)
            if first > low + factor or last < low + size - factor:
                return False
    return True


def _length(block: Block, axis: str) -> int:
    """Length of a block along an axis; each has one plane."""
    return block.size[axis] if axis in "YX" else 1


def _single(
    blocks: Sequence[Block], by_plane: Mapping[Index, list[int]], shape: tuple[int, ...]
) -> dict[Index, int]:
    """Give the block of each plane where every plane is one whole block; else nothing."""
    found = {}
    for index, numbers in by_plane.items():
        size = blocks[numbers[0]].size
        if len(numbers) > 1 or (size["Y"], size["X"]) != shape[3:]:
            return {}
        found[index] = numbers[0]
    return found


@dataclass(frozen=True)
class PlaneTiles:
    """Gives the canvas of an index (t, c, z) at 1 / `factor` of the size."""

    pixels: BlockPixels
    by_plane: Mapping[Index, list[int]]
    field: Field
    factor: int
    size: tuple[int, int]
    dtype: np.dtype[Any]

    def __call__(self, index: tuple[int, ...]) -> Canvas | None:
        """Lay out the tiles of a plane, later ones over earlier ones; None where there are none."""
        numbers = self.by_plane.get((index[0], index[1], index[2]))
        if not numbers:
            return None
        blocks, (top, left) = self.pixels.blocks, self.field.lowest[3:]
        chosen = tuple(blocks[n] for n in numbers)
        chosen = tuple(sorted(chosen, key=lambda block: block.start.get("M", 0)))
        tiles = tuple(
            Tile(
                (block.start["Y"] - top) // self.factor,
                (block.start["X"] - left) // self.factor,
                block.stored["Y"],
                block.stored["X"],
            )
            for block in chosen
        )
        source = BlockPixels(self.pixels.path, chosen, self.pixels.sample)
        return Canvas(self.pixels.path, self.size, self.dtype, tiles, source)


def _joined(
    pixels: BlockPixels,
    by_plane: Mapping[Index, list[int]],
    field: Field,
    factor: int,
    dtype: np.dtype[Any],
    scene: int,
) -> Any:
    """Join the tiles of every plane at 1 / `factor` of the size."""
    rows, columns = (-(-n // factor) for n in field.shape[3:])
    source = PlaneTiles(pixels, by_plane, field, factor, (rows, columns), dtype)
    stack = Stack(pixels.path, (*field.shape[:3], rows, columns), dtype, source)
    areas = (
        sum(pixels.blocks[n].stored["Y"] * pixels.blocks[n].stored["X"] for n in numbers)
        for numbers in by_plane.values()
    )
    return stacked(stack, max(areas), "czi", scene, pixels.sample, factor)


def _elements(root: Element | None, *names: str) -> list[Element]:
    """Follow names down the tree, all branches."""
    found = [] if root is None else [root]
    for name in names:
        found = [child for element in found for child in children(element, name)]
    return found


def _pixel_size(root: Element | None) -> dict[str, float | None]:
    sizes: dict[str, float | None] = {}
    for distance in _elements(root, "Metadata", "Scaling", "Items", "Distance"):
        axis = distance.attrib.get("Id", "").lower()
        for value in children(distance, "Value"):
            try:
                sizes[axis] = abs(float(value.text or "")) * METRE
            except ValueError:
                continue
    return {axis: size for axis, size in sizes.items() if axis in "zyx" and axis}


def _channels(root: Element | None, size: int, several: bool) -> tuple[Channel, ...]:
    place = ("Metadata", "Information", "Image", "Dimensions", "Channels", "Channel")
    named = _elements(root, *place)
    shown = {
        element.attrib.get("Id"): element
        for element in _elements(root, "Metadata", "DisplaySetting", "Channels", "Channel")
    }
    if not named and not several:
        return (Channel(""),)
    found = []
    for number in range(size):
        if number >= len(named):
            found.append(Channel(f"channel {number}"))
            continue
        element = named[number]
        colour = _text(element, "Color") or _text(shown.get(element.attrib.get("Id")), "Color")
        found.append(
            Channel(
                element.attrib.get("Name") or f"channel {number}",
                _colour(colour),
                _number(_text(element, "EmissionWavelength")),
            )
        )
    return tuple(found)


def _text(element: Element | None, name: str) -> str:
    for child in () if element is None else children(element, name):
        return (child.text or "").strip()
    return ""


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _colour(text: str) -> str | None:
    """Turn ``#AARRGGBB`` or ``#RRGGBB`` into ``#rrggbb``."""
    digits = text.lstrip("#").lower()
    if len(digits) not in (6, 8) or any(c not in "0123456789abcdef" for c in digits):
        return None
    return f"#{digits[-6:]}"


def _stage(root: Element | None, scene: int) -> StagePosition | None:
    """Stage of the middle of a scene, µm."""
    place = ("Metadata", "Information", "Image", "Dimensions", "S", "Scenes", "Scene")
    for number, element in enumerate(_elements(root, *place)):
        if int(_number(element.attrib.get("Index", "")) or number) != scene:
            continue
        values = [_number(part) for part in _text(element, "CenterPosition").split(",")]
        if len(values) == 2 and values[0] is not None and values[1] is not None:
            return StagePosition((math.nan, values[1], values[0]), convention="zeiss")
    return None


def _meta(root: Element | None) -> dict[str, Any]:
    found: dict[str, Any] = {"format": "czi"}
    for image in _elements(root, "Metadata", "Information", "Image"):
        for child in image:
            if tag(child) == "AcquisitionDateAndTime" and child.text:
                found["date"] = child.text.strip()
    for objective in _elements(
        root, "Metadata", "Information", "Instrument", "Objectives", "Objective"
    )[:1]:
        found["objective"] = objective.attrib.get("Name", "")
        aperture = _number(_text(objective, "LensNA"))
        if aperture is not None:
            found["numerical_aperture"] = aperture
    return {key: value for key, value in found.items() if value != ""}
