"""Items and values of a document in words, for people who compare two copies."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from napari_clxem.dose import Exposure
from napari_clxem.io.image import Orientation
from napari_clxem.lamella.field_record import FieldRecord
from napari_clxem.lamella.intersection import Overlap
from napari_clxem.lamella.optics import Optics
from napari_clxem.lamella.record import LamellaRecord
from napari_clxem.lamella.slab import Lamella
from napari_clxem.session.model import (
    Dataset,
    Estimate,
    FileRef,
    Frame,
    Grid,
    Landmark,
    Link,
    Site,
    Target,
)

_NONE = "–"


def label(item: object) -> str:
    """Name an item of the document: ``Site cell 1``, ``Link confocal → sxt``; empty for others."""
    match item:
        case Link():
            return f"Link {item.moving} → {item.fixed}"
        case Frame():
            return f"Frame {item.name}"
        case Grid():
            return "Grid"
        case Landmark() | Exposure():
            return f"{type(item).__name__} {item.id}"
        case LamellaRecord():
            return f"Lamella {item.name or item.id}"
        case FieldRecord():
            return f"Field {item.name or item.id}"
        case Site() | Dataset() | Target():
            return f"{type(item).__name__} {item.name or item.id}"
        case _:
            return ""


def value_text(values: Mapping[str, Any]) -> str:
    """Write the values of fields that belong together, in one line."""
    told = {name: _text(value) for name, value in values.items()}
    if len(told) == 1:
        return next(iter(told.values()))
    return ", ".join(
        f"{name.replace('_', ' ')} {text}" for name, text in told.items() if text != _NONE
    )


def _text(value: Any) -> str:
    match value:
        case None | "" | ():
            return _NONE
        case bool():
            return "yes" if value else "no"
        case float():
            return f"{value:.4g}"
        case Estimate():
            shift = [row[-1] for row in value.matrix[: len(value.matrix[0]) - 1]]
            return f"measured, shift {_text(tuple(shift))} µm"
        case FileRef():
            return value.path
        case Lamella():
            return (
                f"at {_text(value.centre)} µm, {_text(value.angle)}°, "
                f"{_text(value.thickness)} µm thick, {_text(value.width)} µm wide"
            )
        case Optics():
            return f"field {_text(value.size)} µm, beam {value.beam_radius:g} µm"
        case Overlap():
            return f"{value.area_fraction:.0%} overlap"
        case Orientation():
            return orientation_text(value)
        case tuple():
            return f"({', '.join(_text(one) for one in value)})"
        case _:
            return str(value)


def orientation_text(orientation: Orientation) -> str:
    """Say how stored axes become those of the frame: ``stored y, z, x; y reversed``."""
    axes = ", ".join(orientation.axes) or "as stored"
    flips = f"; {', '.join(orientation.flip)} reversed" if orientation.flip else ""
    return f"{axes}{flips}"
