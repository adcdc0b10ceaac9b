"""What the XML of a Leica file says of an image: channels, stage, optics.

Lengths are metres there. The stage position is that of the middle of the field.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from napari_clxem.errors import ClxemError, ReadError
from napari_clxem.io.image import Channel, StagePosition
from napari_clxem.io.pixel_size import is_usable
from napari_clxem.io.readers.ome_xml import parse_xml, tag

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

METRE = 1e6
# The XML of the largest projects has some megabytes.
LARGEST = 256 * 1024 * 1024
# How many files a project may name, and how deep collections may lie in each other.
MOST_FILES, DEEPEST = 5000, 8
_COLOURS = {
    "red": "#ff0000",
    "green": "#00ff00",
    "blue": "#0000ff",
    "cyan": "#00ffff",
    "magenta": "#ff00ff",
    "yellow": "#ffff00",
    "gray": "#ffffff",
    "grey": "#ffffff",
}
_SETTINGS = ("ATLConfocalSettingDefinition", "ATLCameraSettingDefinition")
_KEPT = {
    "ObjectiveName": "objective",
    "NumericalAperture": "numerical_aperture",
    "Immersion": "immersion",
    "RefractionIndex": "refractive_index",
    "Magnification": "magnification",
    "ScanMode": "scan_mode",
    "RotatorAngle": "scan_rotation",
    "PixelDwellTime": "dwell_s",
    "Zoom": "zoom",
}
_FLIPS = ("FlipX", "FlipY", "SwapXY")

Matrix = tuple[tuple[float, ...], ...]


class UnplacedError(ClxemError):
    """An image whose axes have no place in (t, c, z, y, x)."""


def check(path: Path) -> None:
    """Refuse a file whose XML declares entities, or names files outside its folder.

    Raises
    ------
    ReadError
        In these cases, or where the XML is broken.
    """
    folder = path.absolute().parent.resolve()
    _check(path, folder, set(), 0)


def _check(path: Path, folder: Path, seen: set[Path], depth: int) -> None:
    if path in seen or depth > DEEPEST or len(seen) > MOST_FILES:
        raise ReadError(f"{path.name} names itself or too many files; it seems damaged.")
    seen.add(path)
    for element in parse_xml(_header(path), path, "XML").iter():
        name = element.attrib.get("File")
        if tag(element) not in ("Reference", "Frame", "Block") and not tag(element).endswith(
            "Block"
        ):
            continue
        if name is None:
            continue
        place = (path.absolute().parent / unquote(name).replace("\\", "/")).resolve()
        if "\0" in name or folder not in place.parents:
            raise ReadError(
                f"{path.name} names {name!r}, which is outside its folder; such a file is not "
                "opened."
            )
        if tag(element) == "Reference" and place.suffix.lower() in (".xlif", ".xlcf", ".lof"):
            if not place.is_file():
                raise ReadError(f"{path.name} names {name!r}, which is missing; copy it there too.")
            _check(place, folder, seen, depth + 1)


def _header(path: Path) -> str:
    """Read the XML of a file, wherever its kind keeps it."""
    with path.open("rb") as file:
        head = file.read(13)
        if len(head) == 13 and head[:4] == b"\x70\0\0\0":
            text = file.read(_length(head, path)).decode("utf-16-le", "replace")
            if text != "LMS_Object_File":
                return text
            file.seek(struct.unpack_from("<Q", file.read(19), 11)[0], 1)
            text = file.read(_length(file.read(13), path)).decode("utf-16-le", "replace")
            return f"<LMS>{text}</LMS>" if text.startswith("<Data>") else text
        file.seek(0)
        raw = file.read(LARGEST)
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")) or raw[1:2] == b"\0":
        return raw.decode("utf-16", "replace").lstrip("\ufeff")
    return raw.decode("utf-8-sig", "replace")


def _length(head: bytes, path: Path) -> int:
    length = 2 * int(struct.unpack_from("<I", head, 9)[0])
    if length > min(LARGEST, path.stat().st_size):
        raise ReadError(f"{path.name} is truncated: its XML needs {length} bytes.")
    return length


class About:
    """The XML element of one image, asked for what is used."""

    def __init__(self, element: Element) -> None:
        self._image = element
        settings = [e for e in element.iter() if tag(e) in _SETTINGS]
        self._settings: Mapping[str, str] = settings[0].attrib if settings else {}

    @property
    def image(self) -> Element:
        """The element itself."""
        return self._image

    @property
    def is_bgr(self) -> bool:
        """Whether the samples of a colour picture are stored blue first."""
        found = [e.attrib for e in self._image.iter() if tag(e) == "ChannelDescription"]
        found.sort(key=lambda entry: number_of(entry, "BytesInc") or 0.0)
        return [entry.get("ChannelTag") for entry in found[:2]] == ["3", "2"]

    @property
    def row_bytes(self) -> int:
        """Bytes from one row to the next; 0 where it is not stated."""
        return int(next((number_of(e, "BytesInc") or 0.0 for e in self._axes("2")), 0.0))

    @property
    def units(self) -> set[str]:
        """Units of the coordinates along x, y and z."""
        return {entry.get("Unit", "").strip() for entry in self._axes("1", "2", "3")}

    def _axes(self, *numbers: str) -> list[dict[str, str]]:
        """Describe the axes of these numbers: 1 is x, 2 is y, 3 is z."""
        return [
            dict(element.attrib)
            for element in self._image.iter()
            if tag(element) == "DimensionDescription" and element.attrib.get("DimID") in numbers
        ]

    def channels(self, size: int, rgb: bool) -> tuple[Channel, ...]:
        """Name the channels: by their dye or by the colour of their table, in stored order."""
        if rgb:
            names = (("red", "#ff0000"), ("green", "#00ff00"), ("blue", "#0000ff"))
            return tuple(Channel(*pair) for pair in names[:size])
        found = [e for e in self._image.iter() if tag(e) == "ChannelDescription"]
        found.sort(key=lambda e: number_of(e.attrib, "BytesInc") or 0.0)
        dyes = self._dyes()
        if size <= 1 and len(found) != 1:
            return (Channel(""),)
        named = []
        for index in range(size):
            entry = found[index].attrib if index < len(found) else {}
            table = entry.get("LUTName", "")
            said = _properties(found[index]) if index < len(found) else {}
            dye, wavelength = dyes[index] if len(dyes) == size else ("", None)
            name = said.get("DyeName") or dye or said.get("ChannelName") or table
            colour = _COLOURS.get(table.lower())
            named.append(Channel(name or f"channel {index}", colour, wavelength))
        return tuple(named)

    def _dyes(self) -> list[tuple[str, float | None]]:
        """Name of the dye and middle of the detected band, nm, of each active detector."""
        active = [
            e.attrib.get("Channel")
            for e in self._image.iter()
            if tag(e) == "Detector" and e.attrib.get("IsActive") == "1"
        ]
        active = list(dict.fromkeys(active))
        bands: dict[str | None, tuple[str, float | None]] = {}
        for element in self._image.iter():
            if tag(element) != "MultiBand" or element.attrib.get("Channel") not in active:
                continue
            low, high = (
                number_of(element.attrib, f"TargetWaveLength{k}") for k in ("Begin", "End")
            )
            middle = None if low is None or high is None else round((low + high) / 2, 1)
            dye = element.attrib.get("DyeName", "").rpartition("/")[2]
            bands.setdefault(element.attrib.get("Channel"), (dye, middle))
        return [bands[channel] for channel in active if channel in bands]

    def stage(
        self,
        shape: tuple[int, int],
        pixel: Mapping[str, float | None],
        flips: Mapping[str, str] | None = None,
        middle: tuple[float, float] | None = None,
    ) -> tuple[StagePosition | None, Matrix | None, tuple[str, ...]]:
        """Give the stage position, and how the image lies on the stage as its flips say.

        Parameters
        ----------
        shape : tuple of int
            Rows and columns.
        pixel : mapping
            Pixel size, µm.
        flips : mapping, optional
            Flips that a tile scan states of its own.
        middle : (y, x), optional
            Stage of the middle, µm, where it is not that of the settings.
        """
        x, y = (number_of(self._settings, f"StagePos{axis}") for axis in "XY")
        z = number_of(self._settings, "ZPosition")
        if middle is not None:
            y, x = (value / METRE for value in middle)
        if x is None or y is None:
            return None, None, ()
        turn = number_of(self._settings, "RotatorAngle") or 0.0
        place = (math.nan if z is None else z * METRE, y * METRE, x * METRE)
        stage = StagePosition(place, rotation=None, convention="leica")
        sizes = pixel.get("y"), pixel.get("x")
        if not all(is_usable(size) for size in sizes):
            return stage, None, ()
        if turn % 360:
            note = f"The scan was turned by {turn:g}°; how it lies on the stage is not said."
            return stage, None, (note,)
        said = {**self._settings, **(flips or {})}
        flip_x, flip_y, swap = (said.get(key) == "1" for key in _FLIPS)
        right, down = (-1.0 if flip_x else 1.0), (-1.0 if flip_y else 1.0)
        rows, columns = (size or 0.0 for size in sizes)
        # along stage (y, x), for one step down a row and one right along a column
        step = (
            ((0.0, right * columns), (down * rows, 0.0))
            if swap
            else (
                (down * rows, 0.0),
                (0.0, right * columns),
            )
        )
        half = [(n - 1) / 2 for n in shape]
        start = [place[1 + i] - sum(step[i][j] * half[j] for j in (0, 1)) for i in (0, 1)]
        matrix = (
            (step[0][0], step[0][1], start[0]),
            (step[1][0], step[1][1], start[1]),
            (0.0, 0.0, 1.0),
        )
        return stage, matrix, ()

    def meta(self) -> dict[str, Any]:
        """Optics and flips as plain values."""
        found: dict[str, Any] = {}
        for key, name in _KEPT.items():
            if key in self._settings:
                number = number_of(self._settings, key)
                found[name] = self._settings[key].strip() if number is None else number
        flips = {key: self._settings[key] == "1" for key in _FLIPS if key in self._settings}
        if flips:
            found["flips"] = flips
        return found


def _properties(channel: Element) -> dict[str, str]:
    """Read ``ChannelProperty`` children: pairs of Key and Value elements."""
    found = {}
    for entry in channel:
        if tag(entry) == "ChannelProperty":
            parts = {tag(part): (part.text or "").strip() for part in entry}
            if parts.get("Key") and parts.get("Value"):
                found[parts["Key"]] = parts["Value"]
    return found


def number_of(entries: Mapping[str, str], key: str) -> float | None:
    """Read an attribute as a finite number; None where it is none."""
    try:
        value = float(entries[key])
    except (KeyError, ValueError):
        return None
    return value if math.isfinite(value) else None
