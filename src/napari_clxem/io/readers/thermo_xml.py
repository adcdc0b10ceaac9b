"""Thermo's XML tag (34683), in the sections and keys of the text tag that it replaces."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_clxem.io.readers.ome_xml import parse_xml, tag

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

# Path in the XML -> section and key; metres, radians, volts in both.
_PLACES = {
    "Acquisition/AcquisitionDatetime": ("User", "Date"),
    "Optics/AccelerationVoltage": ("Beam", "HV"),
    "Optics/ScanFieldOfView/X": ("Scan", "HorFieldsize"),
    "Optics/WorkingDistance": ("Stage", "WorkingDistance"),
    "StageSettings/StagePosition/X": ("Stage", "StageX"),
    "StageSettings/StagePosition/Y": ("Stage", "StageY"),
    "StageSettings/StagePosition/Z": ("Stage", "StageZ"),
    "StageSettings/StagePosition/Rotation": ("Stage", "StageR"),
    "StageSettings/StagePosition/Tilt/Alpha": ("Stage", "StageT"),
    "ScanSettings/DwellTime": ("Scan", "Dwelltime"),
    "ScanSettings/ScanRotation": ("Beam", "ScanRotation"),
    "BinaryResult/ImageSize/X": ("Image", "ResolutionX"),
    "BinaryResult/ImageSize/Y": ("Image", "ResolutionY"),
    "BinaryResult/PixelSize/X": ("Scan", "PixelWidth"),
    "BinaryResult/PixelSize/Y": ("Scan", "PixelHeight"),
    "Instrument/InstrumentClass": ("System", "SystemType"),
}


def settings(text: str, path: Path) -> dict[str, dict[str, Any]]:
    """Read the XML tag.

    Parameters
    ----------
    text : str
        The document.
    path : Path
        Its file, for messages.

    Raises
    ------
    ReadError
        Where it is broken or declares entities.
    """
    root = parse_xml(text.rstrip("\0"), path, "XML of tag 34683")
    found: dict[str, dict[str, Any]] = {}
    for place, (section, key) in _PLACES.items():
        value = _text(root, place)
        if value is not None:
            found.setdefault(section, {})[key] = value
    column = _text(root, "Acquisition/BeamType")
    names = {"ion": "IBeam", "electron": "EBeam"}
    if isinstance(column, str) and column.lower() in names:
        name = names[column.lower()]
        current = _text(root, "Optics/BeamCurrent")
        found.setdefault("Beam", {})["Beam"] = name
        found[name] = {} if current is None else {"BeamCurrent": current}
    return found


def _text(root: Element, place: str) -> str | float | None:
    element: Element | None = root
    for name in place.split("/"):
        element = next((child for child in element if tag(child) == name), None)  # type: ignore[union-attr]
        if element is None:
            return None
    text = (element.text or "").strip() if element is not None else ""
    try:
        return float(text)
    except ValueError:
        return text or None
