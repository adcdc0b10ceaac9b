"""Xradia OLE2 files (.xrm, .txrm): single images, tilt series and mosaics, with their records.

Streams are little-endian; rows are stored bottom-up. Version 3 stores a mosaic as one image,
version 5 a stream per tile, row by row from the bottom left.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from napari_clxem.errors import ReadError
from napari_clxem.io.image import Channel, StagePosition
from napari_clxem.io.pixel_size import is_usable
from napari_clxem.io.readers.planes import Planes, check_shape, lazy
from napari_clxem.io.readers.xradia_streams import REFERENCE, Image, Mosaic, Streams, image_stream
from napari_clxem.io.stored import Stored

KIND = "an Xradia file"

_MAGIC = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_TYPES = {3: "u1", 4: "i2", 5: "u2", 6: "i4", 10: "f4"}
# What an image that was never taken holds in place of an angle or an energy.
_NEVER = 1e30


def sniff(path: Path, head: bytes) -> bool:  # noqa: ARG001
    """Tell an OLE file by its first bytes; whether it is of Xradia is seen when it is read."""
    return head.startswith(_MAGIC)


def read(path: Path) -> tuple[Stored, ...]:
    """Give the image, tilt series or mosaic of a file, and its reference image if it has one."""
    with Streams(path) as streams:
        if not streams.has("ImageInfo/ImageWidth"):
            raise ReadError(
                f"{path.name} is an OLE file without ImageInfo, so it is no .xrm or .txrm file of "
                "an X-ray microscope."
            )
        sample = _sample(streams)
        reference = _reference(streams, sample)
    return (sample,) if reference is None else (sample, reference)


def _sample(streams: Streams) -> Stored:
    path = streams.path
    width, height = (
        streams.integer("ImageInfo/ImageWidth"),
        streams.integer("ImageInfo/ImageHeight"),
    )
    dtype = _dtype(streams, "ImageInfo/DataType")
    notes: list[str] = []
    count = _count(streams, notes)
    rows, columns = (streams.integer(f"ImageInfo/Mosiac{key}") or 0 for key in ("Rows", "Columns"))
    tiled = rows * columns > 1 and count > 1
    if tiled and count < rows * columns:
        notes.append(
            f"{rows * columns - count} of {rows * columns} tiles were not taken and show as zeros."
        )
    shape = (height or 0, width or 0)
    check_shape(path.name, (count, *shape), dtype.itemsize)
    _check_streams(streams, count, shape[0] * shape[1] * dtype.itemsize)
    meta = _meta(streams, count, notes)
    pixel = streams.real("ImageInfo/PixelSize")
    data: Any
    if tiled:
        if min(rows, columns) < 1 or max(rows, columns) > 10_000:
            raise ReadError(
                f"{path.name} states a mosaic of {rows} x {columns} tiles; is it damaged?"
            )
        data = Mosaic(path, dtype, shape, (rows, columns), count).stitched()
        meta["seams"] = "Tiles lie edge to edge as they were taken; seams are not corrected."
    else:
        data = lazy(Planes(path, (count, *shape), dtype, Image(path, dtype, shape)), "sample")
        if count == 1:
            data = data[0]
    tile = shape if tiled else _joined_tile(streams, shape, (rows, columns))
    if tile is not None:
        meta["mosaic"] = [rows, columns]
    series = not tiled and count > 1
    stage, to_stage = _stage(meta, series, pixel, tile or shape, (rows, columns) if tile else None)
    return Stored(
        levels=(data,),
        axes=("t", "y", "x") if series else ("y", "x"),
        pixel={"y": pixel, "x": pixel},
        flip=("y",),
        channels=(Channel(""),),
        stage=stage,
        to_stage=to_stage,
        name=path.stem,
        meta=meta,
        missing=tuple(notes),
    )


def _joined_tile(
    streams: Streams, shape: tuple[int, int], grid: tuple[int, int]
) -> tuple[int, int] | None:
    """Give the size of a tile of a mosaic that version 3 stored as one image, else None."""
    whole = grid[0] > 0 and grid[1] > 0 and grid[0] * grid[1] > 1
    if not whole or not streams.integer("ImageInfo/MosiacMode"):
        return None
    if shape[0] % grid[0] or shape[1] % grid[1]:
        return None
    return shape[0] // grid[0], shape[1] // grid[1]


def _dtype(streams: Streams, name: str) -> np.dtype[Any]:
    code = streams.integer(name)
    if code not in _TYPES:
        raise ReadError(
            f"{streams.path.name} has pixels of type {code}; types {', '.join(map(str, _TYPES))} "
            "are read."
        )
    return np.dtype("<" + _TYPES[code])


def _count(streams: Streams, notes: list[str]) -> int:
    """Count the images that were taken: fewer than planned where a series was broken off."""
    planned = streams.integer("ImageInfo/NoOfImages")
    taken = streams.integer("ImageInfo/ImagesTaken")
    count = planned if taken is None else taken
    if count is None or not 0 < count < 1_000_000:
        raise ReadError(
            f"{streams.path.name} states {count} images taken; it holds none, or is damaged."
        )
    if planned is not None and planned > count:
        notes.append(f"{count} of {planned} planned images were taken.")
    return count


def _check_streams(streams: Streams, count: int, nbytes: int) -> None:
    for number in range(1, count + 1):
        name = image_stream(number)
        held = streams.size(name)
        if held is None:
            raise ReadError(
                f"{streams.path.name} lacks image {number} of {count}; it seems truncated, copy it "
                "again from where it was made."
            )
        if held < nbytes:
            raise ReadError(
                f"{streams.path.name}: image {number} has {held} bytes, {nbytes} are needed; it "
                "seems truncated or damaged."
            )


def _meta(streams: Streams, count: int, notes: list[str]) -> dict[str, Any]:
    """Give what exposures and a normalisation are made from; one value per image."""
    found: dict[str, Any] = {
        "format": "xrm",
        "version": streams.real("Version"),
        "tilt_angles": _series(streams, "ImageInfo/Angles", count),
        "energies": _series(streams, "ImageInfo/Energy", count),
        "exposure_times": _series(streams, "ImageInfo/ExpTimes", count),
        "currents": _series(streams, "ImageInfo/IonChamberCurrent", count),
        "magnifications": _series(streams, "ImageInfo/XrayMagnification", count),
        "positions": _positions(streams, count),
        "dates": streams.dates(count),
        "binning": [
            streams.integer(f"ImageInfo/{key}") for key in ("VerticalalBin", "HorizontalBin")
        ],
        "x_shifts": _series(streams, "Alignment/X-Shifts", count),
        "y_shifts": _series(streams, "Alignment/Y-Shifts", count),
        "motors": streams.motors(count),
    }
    for key, what in (("energies", "energy"), ("exposure_times", "exposure time")):
        if not found[key]:
            notes.append(f"The file does not state the {what} of its images.")
    return {key: value for key, value in found.items() if value not in (None, [], {})}


def _series(streams: Streams, name: str, count: int) -> list[float]:
    """Give one value per image of a stream of floats; none where it has no such thing.

    A longer stream may hold them with gaps, as for several energies: then every
    (length - 1) / (count - 1)-th counts.
    """
    values = streams.reals(name)
    if len(values) < count:
        return []
    step = (len(values) - 1) // (count - 1) if count > 1 else 1
    if len(values) > count and count > 1 and (len(values) - 1) % (count - 1) == 0:
        strided = values[::step]
        if not np.any(values[:count]) or np.all(strided != 0):
            values = strided
    # to the digits that single precision has
    chosen = [float(str(value)) for value in values[:count]]
    return chosen if all(math.isfinite(v) and abs(v) < _NEVER for v in chosen) else []


def _positions(streams: Streams, count: int) -> list[list[float]]:
    """Stage (z, y, x) of every image, µm."""
    columns = [_series(streams, f"ImageInfo/{axis}Position", count) for axis in "ZYX"]
    if not all(columns):
        return []
    return [list(place) for place in zip(*columns, strict=True)]


def _stage(
    meta: dict[str, Any],
    series: bool,
    pixel: float | None,
    shape: tuple[int, int],
    tiles: tuple[int, int] | None,
) -> tuple[StagePosition | None, tuple[tuple[float, ...], ...] | None]:
    """Stage of the middle of the image: of a series that of the least tilted one.

    Of a tiled mosaic only the first position counts: that of the tile at the bottom left.
    """
    positions, angles = meta.get("positions", []), meta.get("tilt_angles", [])
    if not positions:
        return None, None
    best = 0
    if series and angles:
        best = min(range(len(angles)), key=lambda i: abs(angles[i]))
    z, y, x = positions[best]
    if pixel is None or not is_usable(pixel):
        return StagePosition((z, y, x), convention="xradia"), None
    rows, columns = shape
    # stored rows run upwards, as the stage's y does
    start = (y - (rows - 1) / 2 * pixel, x - (columns - 1) / 2 * pixel)
    if tiles is not None:
        y += (tiles[0] - 1) / 2 * rows * pixel
        x += (tiles[1] - 1) / 2 * columns * pixel
    tilt = angles[best] if angles and not series else None
    matrix = ((pixel, 0.0, start[0]), (0.0, pixel, start[1]), (0.0, 0.0, 1.0))
    return StagePosition((z, y, x), tilt=tilt, convention="xradia"), matrix


def _reference_forms(
    streams: Streams, held: int
) -> Iterator[tuple[np.dtype[Any], tuple[int, int]]]:
    """Give the types and sizes that fit the bytes of the reference image.

    Its own sizes are stated since version 5; before, it has those of one image, or of one tile of
    a mosaic, and was of single precision in old files that do not state its type.
    """
    rows, columns = (streams.integer(f"ImageInfo/Mosiac{key}") or 0 for key in ("Rows", "Columns"))
    sizes = []
    for place in ("ReferenceData/ImageInfo", "ImageInfo"):
        height, width = (streams.integer(f"{place}/Image{key}") for key in ("Height", "Width"))
        if height and width and min(height, width) > 0:
            sizes.append((height, width))
    tile = _joined_tile(streams, sizes[-1], (rows, columns)) if sizes else None
    sizes += [tile] if tile is not None else []
    codes = [
        streams.integer(f"{place}/DataType")
        for place in ("ReferenceData", "ReferenceData/ImageInfo")
    ]
    stated = [_TYPES[code] for code in codes if code in _TYPES]
    for kind in stated or ["f4", _TYPES.get(streams.integer("ImageInfo/DataType") or 0, "u2")]:
        dtype = np.dtype("<" + kind)
        for size in sizes:
            if size[0] * size[1] * dtype.itemsize == held:
                yield dtype, size


def _reference(streams: Streams, sample: Stored) -> Stored | None:
    """Give the reference image: the beam without the sample, as the sample's was taken."""
    if not streams.has(REFERENCE):
        return None
    path = streams.path
    held = streams.size(REFERENCE) or 0
    found = next(_reference_forms(streams, held), None)
    if found is None:
        return None
    dtype, (height, width) = found
    plane = Image(path, dtype, (height, width), REFERENCE)
    times = streams.reals("ReferenceData/ExpTime")
    meta: dict[str, Any] = {"format": "xrm", "role": "flat"}
    if len(times) and math.isfinite(times[0]):
        meta["exposure_times"] = [float(times[0])]
    currents = streams.reals("ReferenceData/IonCurrent")
    if len(currents) and math.isfinite(currents[0]):
        meta["currents"] = [float(currents[0])]
    return Stored(
        levels=(lazy(Planes(path, (1, height, width), dtype, plane), "reference")[0],),
        axes=("y", "x"),
        pixel=sample.pixel,
        flip=("y",),
        channels=(Channel(""),),
        name=f"{path.stem} reference",
        meta=meta,
    )
