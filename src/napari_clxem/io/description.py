"""What a file says of itself, and what is missing, as text for people."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from napari_clxem.io.image import OpenedImage
from napari_clxem.io.opening import can_open, open_images

Row = tuple[str, str]

# Entries of a list that are shown; the rest is counted.
SHOWN = 3
# Entries that have a row of their own, or are too long for one.
_HIDDEN = ("settings", "motors", "sections", "mdoc", "map", "channels", "mosaic")
_UNITS = {
    "tilt_angles": "°",
    "energies": "eV",
    "exposure_times": "s",
    "exposure_doses": "e⁻/Å²",
    "voltage_kv": "kV",
    "current_pa": "pA",
    "field_width": "µm",
    "working_distance": "µm",
    "scan_rotation": "°",
    "dwell_us": "µs",
    "x_shifts": "px",
    "y_shifts": "px",
    "translation": "µm",
}


def describe(path: str | Path) -> str:
    """Say what a file says of itself: images, alignments, or items of a Navigator.

    Parameters
    ----------
    path : str or Path
        The file or folder.

    Returns
    -------
    str
        A line per fact, and one per thing that is missing.

    Raises
    ------
    ReadError
        Where it cannot be read.
    """
    parts = []
    for title, rows in description_rows(path):
        width = max((len(name) for name, _ in rows), default=0)
        parts += [title, *(f"  {name:<{width}}  {value}" for name, value in rows), ""]
    return "\n".join(parts).rstrip()


def description_rows(path: str | Path) -> tuple[tuple[str, tuple[Row, ...]], ...]:
    """Give the same as titles with rows of (name, value); see :func:`describe`."""
    place = Path(path).expanduser()
    text = None if place.is_dir() or can_open(place) else _text_rows(place)
    if text is not None:
        return ((place.name, text),)
    images = open_images(place)
    return tuple(
        (f"{place.name} · image {index}", tuple(_image_rows(image)))
        for index, image in enumerate(images)
    )


def _text_rows(path: Path) -> tuple[Row, ...] | None:
    """Describe the text files that lie beside images; None for others."""
    match path.suffix.lower():
        case ".nav":
            return _navigator_rows(path)
        case ".mdoc" | ".idoc":
            return _autodoc_rows(path)
        case ".xf" | ".prexf" | ".prexg" | ".tltxf" | ".aln":
            return _alignment_rows(path)
        case ".tlt" | ".rawtlt":
            from napari_clxem.io.readers.alignments import read_tilts

            return (("tilt angles", _listed(read_tilts(path).tolist(), "°")),)
    return None


def _navigator_rows(path: Path) -> tuple[Row, ...]:
    from napari_clxem.io.readers.navigator import read_navigator

    navigator = read_navigator(path)
    kinds = [item.kind for item in navigator.items]
    counted = [f"{kinds.count(kind)} {kind}s" for kind in ("map", "polygon", "point")]
    rows = [("format", f"SerialEM Navigator {navigator.version}"), ("items", ", ".join(counted))]
    for item in navigator.items:
        if item.kind == "map":
            pixel = "no pixel size" if item.pixel_size is None else f"{item.pixel_size:.5g} µm"
            rows.append((f"map {item.label}", f"{item.map_file} [{item.section}], {pixel}"))
    return tuple(rows)


def _autodoc_rows(path: Path) -> tuple[Row, ...]:
    from napari_clxem.io.readers.autodoc import read_autodoc

    document = read_autodoc(path)
    rows = [(key, value.replace("\n", "; ")) for key, value in document.entries.items()]
    kinds = {section.kind: len(document.of(section.kind)) for section in document.sections}
    rows += [(f"[{kind}]", f"{count} sections") for kind, count in kinds.items()]
    return tuple(rows)


def _alignment_rows(path: Path) -> tuple[Row, ...]:
    from napari_clxem.io.readers.alignments import read_alignment

    found = read_alignment(path)
    tilts = "not stated" if found.tilts is None else _listed(found.tilts.tolist(), "°")
    rows = [
        ("images", str(len(found.matrices))),
        ("rotation", _listed(found.rotations.tolist(), "°")),
        ("tilt angles", tilts),
    ]
    if found.left_out:
        rows.append(("left out", ", ".join(map(str, found.left_out))))
    return tuple(rows)


def _image_rows(image: OpenedImage) -> list[Row]:
    shape = " x ".join(map(str, image.data.shape))
    rows = [
        ("name", image.name),
        ("format", str(image.meta.get("format", ""))),
        ("size", f"{shape} ({', '.join(image.axes)}), {image.data.dtype}"),
    ]
    if len(image.levels) > 1:
        rows.append(("levels", str(len(image.levels))))
    if image.scale is not None:
        spatial = ", ".join(axis for axis in image.axes if axis in "zyx")
        rows.append(("pixel size", f"{_joined(image.scale)} µm ({spatial})"))
    named = [channel for channel in image.channels if channel.name]
    if named:
        rows.append(("channels", ", ".join(_channel(c.name, c.wavelength) for c in named)))
    stored = tuple(axis for axis in image.orientation.axes if axis in "zyx")
    if stored and stored != tuple(axis for axis in "zyx" if axis in stored):
        rows.append(("stored axes", f"{', '.join(stored)}, the slowest first"))
    if image.orientation.flip:
        rows.append(("turned", f"{', '.join(image.orientation.flip)} runs backwards in the file"))
    if image.stage is not None:
        rows += _stage_rows(image)
    rows += _meta_rows(image.meta)
    rows += [("missing", sentence) for sentence in image.missing]
    return rows


def _stage_rows(image: OpenedImage) -> list[Row]:
    stage = image.stage
    if stage is None:
        return []
    place = ", ".join(
        f"{axis} {value:.3f}"
        for axis, value in zip("zyx", stage.position, strict=True)
        if math.isfinite(value)
    )
    turns = [
        f"{name} {value:.4g}°"
        for name, value in (("rotation", stage.rotation), ("tilt", stage.tilt))
        if value is not None
    ]
    laid = "" if stage.image_to_stage is None else "; how the image lies on it is known"
    return [("stage", f"{', '.join([f'{place} µm', *turns])} ({stage.convention}){laid}")]


def _meta_rows(meta: Mapping[str, Any]) -> list[Row]:
    rows = []
    for key, value in meta.items():
        if key in (*_HIDDEN, "format") or isinstance(value, Mapping):
            continue
        unit = _UNITS.get(key, "")
        if isinstance(value, list | tuple):
            shown = _listed(value, unit)
        else:
            shown = f"{_value(value)} {unit}".strip()
        if shown:
            rows.append((key.replace("_", " "), shown))
    return rows


def _listed(values: Sequence[Any], unit: str) -> str:
    """Show a short list whole; of a long one the ends and the count."""
    if not values:
        return ""
    if all(value == values[0] for value in values) and len(values) > 1:
        return f"{len(values)} x {_value(values[0])} {unit}".rstrip()
    if len(values) <= 2 * SHOWN:
        return f"{_joined(values)} {unit}".rstrip()
    first, last = _joined(values[:SHOWN]), _joined(values[-SHOWN:])
    return f"{first} ... {last} {unit}".rstrip() + f" ({len(values)} values)"


def _joined(values: Sequence[Any]) -> str:
    return ", ".join(map(_value, values))


def _value(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, list | tuple):
        return f"({_joined(value)})"
    return "?" if value is None else str(value)


def _channel(name: str, wavelength: float | None) -> str:
    return name if wavelength is None else f"{name} ({wavelength:g} nm)"
