"""Gatan DigitalMicrograph files (.dm3, .dm4): images and stacks with their calibration."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np

from napari_clxem.errors import ReadError, UnitError
from napari_clxem.io.image import Channel, StagePosition
from napari_clxem.io.readers.dm_tags import Array, Tags, at, number_at, read_tags, text_at
from napari_clxem.io.readers.planes import check_shape
from napari_clxem.io.stored import Stored
from napari_clxem.units import length_factor

KIND = "a DigitalMicrograph file"

_TYPES = {
    1: "i2",
    2: "f4",
    6: "u1",
    7: "i4",
    9: "i1",
    10: "u2",
    11: "u4",
    12: "f8",
    14: "u1",
}
_KINDS = (b"\x14", b"\x15")
_OTHER = {3: "complex numbers", 5: "complex numbers", 13: "complex numbers", 23: "a colour picture"}
_KEPT = {
    ("Microscope Info", "Voltage"): ("voltage_kv", 1e-3),
    ("Microscope Info", "Indicated Magnification"): ("magnification", 1.0),
    ("Microscope Info", "Stage Position", "Stage Alpha"): ("stage_tilt", 1.0),
    ("DataBar", "Exposure Time (s)"): ("exposure_time", 1.0),
    ("Acquisition", "Parameters", "High Level", "Exposure (s)"): ("exposure_time", 1.0),
}
_TEXTS = {
    ("Microscope Info", "Operation Mode"): "mode",
    ("Microscope Info", "Imaging Mode"): "imaging_mode",
    ("Microscope Info", "Name"): "microscope",
    ("DataBar", "Acquisition Date"): "date",
    ("DataBar", "Acquisition Time"): "time",
    ("DataBar", "Device Name"): "camera",
}


def sniff(path: Path, head: bytes) -> bool:  # noqa: ARG001
    """Tell by version, byte order, the flags of the root and the kind of its first tag."""
    wide = {b"\0\0\0\3": 4, b"\0\0\0\4": 8}.get(head[:4])
    if wide is None or head[208:211] == b"MAP":
        return False
    start = 4 + wide
    order, flags = head[start : start + 4], head[start + 4 : start + 6]
    first = head[start + 6 + wide : start + 7 + wide]
    return order in (b"\0\0\0\0", b"\0\0\0\1") and max(flags, default=2) < 2 and first in _KINDS


def read(path: Path) -> tuple[Stored, ...]:
    """Give the images of a file, without the thumbnail."""
    tags = read_tags(path)
    listed = at(tags, "ImageList")
    if not isinstance(listed, dict) or not listed:
        raise ReadError(f"{path.name} holds no image list; it seems damaged.")
    thumbnails = at(tags, "Thumbnails")
    small = {
        number_at(entry, "ImageIndex")
        for entry in (thumbnails.values() if isinstance(thumbnails, dict) else ())
    }
    images: list[Stored] = []
    left: list[str] = []
    for index, image in enumerate(listed.values()):
        if index in small and len(listed) > 1:
            continue
        kind = number_at(image, "ImageData", "DataType")
        if kind not in _TYPES:
            what = _OTHER.get(int(kind), f"pixels of type {kind:g}") if kind else "no pixels"
            left.append(f"image {index} holds {what}")
            continue
        images.append(_stored(path, index, image, len(listed) > 2))
    if not images:
        raise ReadError(
            f"{path.name} holds no image that is read ({', '.join(left) or 'only a thumbnail'}); "
            "export it as real numbers."
        )
    return tuple(images)


def _stored(path: Path, index: int, image: Any, several: bool) -> Stored:
    sizes = [int(n) for n in _listed(at(image, "ImageData", "Dimensions"))]
    kind = int(number_at(image, "ImageData", "DataType") or 0)
    held = at(image, "ImageData", "Data")
    if not isinstance(held, Array):
        raise ReadError(f"{path.name}: image {index} has no pixels; it seems damaged.")
    dtype = np.dtype(held.dtype[0] + _TYPES[kind])
    shape = tuple(reversed(sizes)) if len(sizes) > 1 else (1, *sizes)
    check_shape(path.name, shape, dtype.itemsize)
    itemsize = np.dtype(held.dtype).itemsize if held.dtype[1:] in "hHiIfdBbqQ" else 0
    if math.prod(shape) * dtype.itemsize > held.count * itemsize:
        raise ReadError(
            f"{path.name}: image {index} states {' x '.join(map(str, sizes))} pixels, more than "
            f"the {held.count} it holds; it seems damaged."
        )
    data: Any = np.memmap(path, dtype, mode="r", offset=held.offset, shape=shape)
    if not dtype.isnative:
        import dask.array as da

        data = da.from_array(data).astype(dtype.newbyteorder("="))  # type: ignore[no-untyped-call]
    calibrations = _groups(at(image, "ImageData", "Calibrations", "Dimension"))
    pixel, units, note = _pixel_size(calibrations)
    while data.ndim > 3 and data.shape[0] == 1:
        data = data[0]
    if data.ndim > 3:
        raise ReadError(f"{path.name} has {data.ndim} axes, which are not those of images.")
    notes: tuple[str, ...] = ()
    axes: tuple[str, ...] = ("y", "x")
    if data.ndim == 3:
        depth = pixel.get("z") is not None
        axes = ("z" if depth else "t", *axes)
        if not depth and len(units) > 2 and units[2]:
            notes = (f"Its third axis is in {units[2]!r}; it is shown as a series.",)
    told = at(image, "ImageTags")
    return Stored(
        levels=(data,),
        axes=axes,
        pixel={axis: size for axis, size in pixel.items() if axis in axes},
        pixel_note=note,
        channels=(Channel(""),),
        stage=_stage(told),
        name=f"{path.stem} [{index}]" if several else path.stem,
        meta=_meta(told),
        missing=notes,
    )


def _listed(group: object) -> list[Any]:
    return list(group.values()) if isinstance(group, dict) else []


def _groups(group: object) -> list[Tags]:
    return [entry for entry in _listed(group) if isinstance(entry, dict)]


def _pixel_size(calibrations: list[Tags]) -> tuple[dict[str, float | None], list[str], str]:
    """Read the scale of each axis, x first, in its own unit."""
    sizes: dict[str, float | None] = {}
    units, note = [], ""
    for axis, calibration in zip("xyz", calibrations, strict=False):
        unit = text_at(calibration, "Units")
        units.append(unit)
        value = number_at(calibration, "Scale")
        try:
            factor = length_factor(unit) if unit else None
        except UnitError:
            factor = None
            if axis != "z":
                note = f"Its pixels are in {unit!r}, no length; is it a diffraction image?"
        sizes[axis] = None if factor is None or value is None else abs(value) * factor
    if not note and sizes and sizes.get("x") is None:
        note = "The image is not calibrated; give its pixel size in µm as scale."
    return sizes, units, note


def _stage(told: Any) -> StagePosition | None:
    """Stage position in µm, where the microscope gave one; tilt in degrees."""
    place = at(told, "Microscope Info", "Stage Position")
    values = [number_at(place, f"Stage {axis}") for axis in "ZYX"]
    if values[1] is None or values[2] is None:
        return None
    z, y, x = (math.nan if value is None else value for value in values)
    return StagePosition((z, y, x), tilt=number_at(place, "Stage Alpha"), convention="gatan")


def _meta(told: Any) -> dict[str, Any]:
    found: dict[str, Any] = {"format": "dm"}
    for place, (name, factor) in _KEPT.items():
        value = number_at(told, *place)
        if value is not None:
            found.setdefault(name, value * factor)
    for place, name in _TEXTS.items():
        text = text_at(told, *place)
        if text:
            found[name] = text
    return found
