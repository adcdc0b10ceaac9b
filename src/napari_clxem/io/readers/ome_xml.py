"""The part of OME-XML that is used here, read with a parser that refuses entity bombs.

See https://docs.openmicroscopy.org/ome-model/latest/ for what the elements mean.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_clxem.errors import ReadError, UnitError
from napari_clxem.io.image import Channel
from napari_clxem.units import length_factor

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

# tifffile makes a list entry for every plane that the XML claims.
MOST_PLANES = 2_000_000


def parse_xml(text: str, path: Path, what: str) -> Element:
    """Parse XML from a file that nobody vouches for.

    Parameters
    ----------
    text : str
        The document.
    path : Path
        Where it was found, for the message.
    what : str
        What it is, for the message, such as ``"OME-XML"``.

    Raises
    ------
    ReadError
        Where it is not well formed, or declares entities.
    """
    from xml.etree.ElementTree import ParseError

    from defusedxml import DefusedXmlException
    from defusedxml.ElementTree import fromstring

    try:
        root: Element = fromstring(text)
    except DefusedXmlException as error:
        raise ReadError(
            f"The {what} of {path.name} declares entities, which no microscope writes; do not "
            "trust this file."
        ) from error
    except (ParseError, ValueError) as error:
        raise ReadError(
            f"The {what} of {path.name} is broken ({error}); export it again."
        ) from error
    return root


def tag(element: Element) -> str:
    """Name of an element without its namespace."""
    return element.tag.rpartition("}")[2] if isinstance(element.tag, str) else ""


def children(element: Element, name: str) -> list[Element]:
    """Children of one name, in any namespace."""
    return [child for child in element if tag(child) == name]


def checked_ome(text: str, path: Path) -> Element:
    """Parse OME-XML and refuse what would mislead the library that reads the pixels.

    Raises
    ------
    ReadError
        Where it is broken, claims impossible sizes, or names a file outside the folder.
    """
    root = parse_xml(text, path, "OME-XML")
    for pixels in root.iter():
        match tag(pixels):
            case "Pixels":
                _check_sizes(pixels, path)
            case "UUID" if "FileName" in pixels.attrib:
                check_sibling(pixels.attrib["FileName"], path)
    return root


def _check_sizes(pixels: Element, path: Path) -> None:
    sizes = [pixels.attrib.get(f"Size{axis}", "") for axis in "XYZCT"]
    if not all(size.strip().isdecimal() and 0 < int(size) < 1 << 40 for size in sizes):
        raise ReadError(
            f"The OME-XML of {path.name} states sizes {sizes} along x, y, z, c, t, which cannot "
            "be; export it again."
        )
    counts = [math.prod(int(size) for size in sizes[2:])]
    for data in children(pixels, "TiffData"):
        numbers = [data.attrib.get(key, "0") for key in ("PlaneCount", "NumPlanes", "IFD")]
        counts += [int(n) if n.strip().isdecimal() else MOST_PLANES + 1 for n in numbers]
    if max(counts) > MOST_PLANES:
        raise ReadError(
            f"The OME-XML of {path.name} speaks of {max(counts)} planes or more; it seems damaged."
        )


def check_sibling(name: str, path: Path) -> None:
    """Refuse a file name that leads out of the folder of `path`."""
    folder = path.absolute().parent
    plain = not any(sign in name for sign in "/\\:\0") and name not in ("", ".", "..")
    inside = plain and (name == path.name or (folder / name).resolve().parent == folder.resolve())
    if not inside:
        raise ReadError(
            f"{path.name} says that part of it is in {name!r}, outside its folder; such a file is "
            "not opened."
        )


def ome_images(root: Element) -> list[Element]:
    """Images that have pixels, in the order of the document."""
    return [image for image in children(root, "Image") if children(image, "Pixels")]


def has_planes(image: Element) -> bool:
    """Tell whether an image says where its planes are."""
    return any(children(pixels, "TiffData") for pixels in children(image, "Pixels"))


def number(element: Element, key: str) -> float | None:
    """Read an attribute as a number; None where it is absent or no number."""
    try:
        return float(element.attrib[key])
    except (KeyError, ValueError):
        return None


def pixel_sizes(pixels: Element) -> tuple[dict[str, float | None], str]:
    """Read PhysicalSizeX, Y, Z in µm, and why not where the unit is not a length.

    The OME schema gives µm as their default unit.
    """
    sizes: dict[str, float | None] = {}
    note = ""
    for axis in "zyx":
        key = f"PhysicalSize{axis.upper()}"
        value = number(pixels, key)
        unit = pixels.attrib.get(f"{key}Unit", "µm")
        try:
            sizes[axis] = None if value is None else value * length_factor(unit)
        except UnitError:
            sizes[axis] = None
            note = (
                f"The pixel size is given in {unit!r}, which is no length; give it in µm as scale."
            )
    return sizes, note


def colour(text: str | None) -> str | None:
    """Turn OME's signed 32-bit RGBA into ``"#rrggbb"``."""
    try:
        value = int(text or "") & 0xFFFFFFFF
    except ValueError:
        return None
    return f"#{value >> 8:06x}"


def channels(pixels: Element) -> tuple[Channel, ...]:
    """Read the channels; one with several samples per pixel counts that often."""
    found = []
    for index, element in enumerate(children(pixels, "Channel")):
        wavelength = _wavelength(element)
        name = element.attrib.get("Name") or element.attrib.get("Fluor") or f"channel {index}"
        samples = element.attrib.get("SamplesPerPixel", "1")
        channel = Channel(name, colour(element.attrib.get("Color")), wavelength)
        found += [channel] * (min(int(samples), 16) if samples.isdecimal() else 1)
    return tuple(found)


def _wavelength(channel: Element) -> float | None:
    value = number(channel, "EmissionWavelength")
    if value is None or not math.isfinite(value) or value <= 0:
        return None
    try:
        factor = length_factor(channel.attrib.get("EmissionWavelengthUnit", "nm"))
    except UnitError:
        return None
    return round(value * factor * 1e3, 6)


def plane_positions(pixels: Element) -> Iterator[tuple[int, dict[str, float]]]:
    """Give (z index, {axis: µm}) of the planes of the first time point that state a length.

    A position without a unit is in OME's "reference frame", which is no length.
    """
    for plane in children(pixels, "Plane"):
        if plane.attrib.get("TheT", "0") != "0":
            continue
        position = {}
        for axis in "zyx":
            key = f"Position{axis.upper()}"
            value, unit = number(plane, key), plane.attrib.get(f"{key}Unit", "reference frame")
            if value is None or not math.isfinite(value):
                continue
            try:
                position[axis] = value * length_factor(unit)
            except UnitError:
                continue
        index = plane.attrib.get("TheZ", "0")
        yield int(index) if index.isdecimal() else 0, position


def attributes(element: Element | None) -> dict[str, Any]:
    """Attributes as plain values, numbers as numbers."""
    if element is None:
        return {}
    return {key: _plain(value) for key, value in element.attrib.items()}


def _plain(text: str) -> str | float | int:
    try:
        value = float(text)
    except ValueError:
        return text
    if not math.isfinite(value):
        return text
    return int(value) if text.lstrip("+-").isdecimal() else value


def instrument_part(root: Element, image: Element, name: str) -> dict[str, Any]:
    """Attributes of the microscope or objective that an image was taken with, or none."""
    used = {e.attrib.get("ID") for e in image if tag(e) in ("InstrumentRef", "ObjectiveSettings")}
    for instrument in children(root, "Instrument"):
        if instrument.attrib.get("ID") not in used:
            continue
        parts = children(instrument, name)
        chosen = [part for part in parts if part.attrib.get("ID") in used] or parts
        if chosen:
            return attributes(chosen[0])
    return {}


def map_annotation(root: Element, namespace: str) -> dict[str, Any]:
    """Read the first map annotation of a namespace; values that are JSON as what they are."""
    found: dict[str, Any] = {}
    for element in root.iter():
        if tag(element) == "MapAnnotation" and element.attrib.get("Namespace") == namespace:
            for entry in element.iter():
                if tag(entry) == "M" and "K" in entry.attrib:
                    found[entry.attrib["K"]] = _json(entry.text or "")
            break
    return found


def _json(text: str) -> Any:
    if not text.startswith(("[", "{", "null")):
        return text
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text
