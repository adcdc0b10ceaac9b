"""What MapsProject.xml says of its mosaics; lengths there are metres, angles degrees."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from napari_clxem.errors import ReadError
from napari_clxem.io.readers.ome_xml import parse_xml, tag

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

LARGEST = 256 * 1024 * 1024
METRE = 1e6


@dataclass(frozen=True)
class Layer:
    r"""One layer of a project.

    Parameters
    ----------
    name : str
        As displayed; of a mosaic of tiles its folder, such as ``LayersData\Layer\cell 1``.
    rows, columns : int or None
        Of the mosaic.
    pixel : float or None
        Pixel size, µm.
    tile_width, width, height : float or None
        Width of a tile, width and height of the mosaic, µm.
    rotation : float or None
        Degrees.
    stage : tuple of float or None
        Stage (y, x) of the middle, µm.
    guids : tuple of str
        Of its channels.
    """

    name: str
    rows: int | None
    columns: int | None
    pixel: float | None
    tile_width: float | None
    width: float | None
    height: float | None
    rotation: float | None
    stage: tuple[float, float] | None
    guids: tuple[str, ...]

    @property
    def folder(self) -> str:
        """Its folder below the project's, in lower case and with plain slashes."""
        return self.name.replace("\\", "/").strip("/").lower()


def read_xml(path: Path) -> Element:
    """Read an XML file of a project.

    Raises
    ------
    ReadError
        Where it is broken, too large, or declares entities.
    """
    if path.stat().st_size > LARGEST:
        raise ReadError(f"{path} is larger than any such text; it seems damaged.")
    raw = path.read_bytes()
    utf16 = raw.startswith((b"\xff\xfe", b"\xfe\xff"))
    text = raw.decode("utf-16" if utf16 else "utf-8-sig", "replace")
    head, _, body = text.lstrip().partition("?>")
    # the text is decoded by now, so that what it says of its encoding is no longer true
    return parse_xml(body if head.startswith("<?xml") else text.lstrip(), path, "XML")


def layers(path: Path) -> tuple[Layer, ...]:
    """List the layers of a project that have a place or a mosaic.

    Parameters
    ----------
    path : Path
        MapsProject.xml.
    """
    found = []
    for element in read_xml(path).iter():
        names = {tag(child) for child in element}
        if {"columns", "rows"} <= names or "StagePosition" in names:
            found.append(_layer(element))
    return tuple(found)


def _layer(element: Element) -> Layer:
    rows, columns = (_number(element, key) for key in ("rows", "columns"))
    x, y = (_position(element, axis) for axis in "xy")
    guids = [e.text.strip().lower() for e in element.iter() if tag(e).lower() == "guid" and e.text]
    fields = (_number(element, "totalHfw"), _number(element, "HorizontalFieldWidth"))
    heights = (_number(element, "totalVfw"), _number(element, "VerticalFieldWidth"))
    return Layer(
        name=_text(element, "displayName"),
        rows=_count(rows),
        columns=_count(columns),
        pixel=_micrometres(_number(element, "pixelSize")),
        tile_width=_micrometres(_number(element, "tileHfw")),
        width=_micrometres(next((v for v in fields if v is not None), None)),
        height=_micrometres(next((v for v in heights if v is not None), None)),
        rotation=_number(element, "rotation"),
        stage=None if x is None or y is None else (y * METRE, x * METRE),
        guids=tuple(guids),
    )


def _child(element: Element, name: str) -> Element | None:
    return next((child for child in element if tag(child) == name), None)


def _text(element: Element, name: str) -> str:
    child = _child(element, name)
    return "" if child is None else (child.text or "").strip()


def _number(element: Element, name: str) -> float | None:
    """Read a child's ``Value``, the last of its attributes, or its text."""
    child = _child(element, name)
    if child is None:
        return None
    texts = [child.attrib.get("Value", ""), *reversed(child.attrib.values()), child.text or ""]
    for text in texts:
        try:
            value = float(text)
        except ValueError:
            continue
        if math.isfinite(value):
            return value
    return None


def _position(element: Element, axis: str) -> float | None:
    place = _child(element, "StagePosition")
    return None if place is None else _number(place, axis)


def _micrometres(value: float | None) -> float | None:
    return None if value is None or value <= 0 else value * METRE


def _count(value: float | None) -> int | None:
    return int(value) if value is not None and 0 < value < 1 << 20 else None
