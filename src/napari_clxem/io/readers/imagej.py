"""TIFF files of ImageJ and Fiji: hyperstacks, their unit, and the colours of their tables."""

from __future__ import annotations

import math
import re
from typing import Any

from napari_clxem.errors import ReadError, UnitError
from napari_clxem.io.image import Channel
from napari_clxem.io.readers import plain_tiff
from napari_clxem.io.readers.tiff_arrays import OpenTiff, level_arrays
from napari_clxem.io.readers.tiff_axes import Laid, laid
from napari_clxem.io.stored import Stored
from napari_clxem.units import length_factor

_PIXEL_UNITS = ("", "pixel", "pixels", "px")


def describes(tiff: OpenTiff) -> bool:
    """Tell whether ImageJ wrote the file."""
    return bool(tiff.file.is_imagej)


def read(tiff: OpenTiff) -> tuple[Stored, ...]:
    """Give the hyperstack of an ImageJ file."""
    plain_tiff.count(tiff)
    meta = tiff.file.imagej_metadata or {}
    series = tiff.series[0]
    found = laid(level_arrays(tiff, 0), series.axes, tiff.path.name)
    _check_planes(tiff, meta, found)
    pixel, note = _pixel_size(series.keyframe, meta)
    return (
        Stored(
            levels=found.levels,
            axes=found.axes,
            pixel=pixel,
            pixel_note=note,
            channels=_channels(meta, found),
            name=plain_tiff.image_name(tiff, 0),
            meta={"format": "imagej", **_plain(meta), **plain_tiff.tag_meta(series.keyframe)},
            missing=plain_tiff.faults(tiff, 0, found),
        ),
    )


def _check_planes(tiff: OpenTiff, meta: dict[str, Any], found: Laid) -> None:
    """Refuse a stack that promises more planes than it has; tifffile reads one instead."""
    promised = max(
        _count(meta, "images"),
        _count(meta, "channels") * _count(meta, "slices") * _count(meta, "frames"),
    )
    shape = dict(zip(found.axes, found.levels[0].shape, strict=True))
    held = shape.get("t", 1) * shape.get("c", 1) * shape.get("z", 1)
    if held < promised:
        raise ReadError(
            f"{tiff.path.name} promises {promised} planes and holds {held}; it is truncated, copy "
            "it again from where it was made."
        )


def _count(meta: dict[str, Any], key: str) -> int:
    value = meta.get(key, 1)
    return value if isinstance(value, int) else 1


def _pixel_size(page: Any, meta: dict[str, Any]) -> tuple[dict[str, float | None], str]:
    """Read pixels per `unit` from the resolution tags, and the z step `spacing` in `unit`."""
    unit = str(meta.get("unit", "")).strip()
    if not unit:
        return plain_tiff.tag_pixel_size(page)
    if unit.lower() in _PIXEL_UNITS:
        return {}, "The image is not calibrated: its unit is the pixel; give it in µm as scale."
    sizes: dict[str, float | None] = {}
    per_unit = {
        "x": plain_tiff.ratio(page.tags.valueof(282)),
        "y": plain_tiff.ratio(page.tags.valueof(283)),
    }
    try:
        for axis, value in per_unit.items():
            factor = length_factor(_unit(meta, axis, unit))
            sizes[axis] = factor / value if value else None
        step = _number(meta.get("spacing"))
        if step is not None:
            sizes["z"] = step * length_factor(_unit(meta, "z", unit))
    except UnitError:
        return (
            {},
            f"The pixel size is given in {unit!r}, which is no length; give it in µm as scale.",
        )
    if all(value == 1.0 for value in per_unit.values()):
        return {}, "The file states one pixel per unit, as if uncalibrated; give it in µm as scale."
    if unit in ("inch", "in", "cm") and plain_tiff.is_print_size(*map(sizes.get, "yx")):
        return (
            {},
            "The file states a resolution for printing, no pixel size; give it in µm as scale.",
        )
    return sizes, ""


def _unit(meta: dict[str, Any], axis: str, default: str) -> str:
    return _unescaped(str(meta.get(f"{axis}unit") or default).strip())


def _unescaped(text: str) -> str:
    r"""Turn Java's ``\u00B5`` into the sign that it stands for."""
    return re.sub(r"\\u([0-9a-fA-F]{4})", lambda match: chr(int(match[1], 16)), text)


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) else None


def _channels(meta: dict[str, Any], found: Laid) -> tuple[Channel, ...]:
    plain = plain_tiff.channels(found)
    if found.samples > 1 or "c" not in found.axes:
        return plain
    tables = meta.get("LUTs") or ()
    return tuple(
        Channel(channel.name, _last_colour(tables[i]) if i < len(tables) else None)
        for i, channel in enumerate(plain)
    )


def _last_colour(table: Any) -> str | None:
    """Colour of the brightest entry of a (3, 256) table."""
    if getattr(table, "shape", None) != (3, 256):
        return None
    return "#" + "".join(f"{int(value):02x}" for value in table[:, -1])


def _plain(meta: dict[str, Any]) -> dict[str, Any]:
    kept = ("ImageJ", "unit", "spacing", "finterval", "min", "max", "Info", "mode", "loop")
    return {
        key: value
        for key, value in meta.items()
        if key in kept and isinstance(value, str | int | float) and _finite(value)
    }


def _finite(value: str | float) -> bool:
    return isinstance(value, str) or math.isfinite(value)
