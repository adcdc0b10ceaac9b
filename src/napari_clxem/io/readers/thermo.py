"""Thermo (FEI) FIB/SEM TIFF: SI units and radians in a text tag, a data bar under the image."""

from __future__ import annotations

import math
from typing import Any

from napari_clxem.errors import ReadError
from napari_clxem.io.image import StagePosition
from napari_clxem.io.readers import plain_tiff, thermo_xml
from napari_clxem.io.readers.tiff_arrays import OpenTiff, level_arrays
from napari_clxem.io.readers.tiff_axes import laid
from napari_clxem.io.stored import Stored

SFEG, HELIOS, TITAN = 34680, 34682, 34683
METRE = 1e6
_NAMES = {"EBeam": "electron", "IBeam": "ion"}

Settings = dict[str, dict[str, Any]]


def describes(tiff: OpenTiff) -> bool:
    """Tell by its tags whether a Thermo microscope wrote the file."""
    tags = tiff.file.pages.first.tags
    return any(code in tags for code in (SFEG, HELIOS, TITAN))


def read(tiff: OpenTiff) -> tuple[Stored, ...]:
    """Give the image of a Thermo file, without its data bar."""
    plain_tiff.count(tiff)
    tags = tiff.file.pages.first.tags
    sections = _sections(_text(tiff, HELIOS) or _text(tiff, SFEG))
    if not sections and TITAN in tags:
        sections = thermo_xml.settings(str(tags.valueof(TITAN)), tiff.path)
    series = tiff.series[0]
    found = laid(level_arrays(tiff, 0), series.axes, tiff.path.name)
    levels, bar, notes = _without_bar(found.levels, found.axes, sections, tiff.path.name)
    image = Stored(
        levels=levels,
        axes=found.axes,
        pixel=_pixel(sections),
        channels=plain_tiff.channels(found),
        stage=_stage(sections),
        name=plain_tiff.image_name(tiff, 0),
        meta={**_meta(sections), "data_bar_rows": bar},
        missing=(*notes, *_doubts(sections), *plain_tiff.faults(tiff, 0, found)),
    )
    others = range(1, len(tiff.series))
    return (image, *(plain_tiff.stored_series(tiff, index, ()) for index in others))


def _text(tiff: OpenTiff, code: int) -> str:
    """Read a text tag from its bytes: tifffile loses one with a letter outside cp1252."""
    tag = tiff.file.pages.first.tags.get(code)
    if tag is None:
        return ""
    file = tiff.file.filehandle
    file.seek(tag.valueoffset)
    raw: bytes = file.read(min(tag.valuebytecount, file.size))
    return raw.partition(b"\0")[0].decode("latin-1")


def _sections(text: str) -> Settings:
    """Parse ``[Section]`` and ``Key=value`` lines; numbers become numbers."""
    sections: Settings = {}
    entries: dict[str, Any] = {}
    for line in map(str.strip, text.splitlines()):
        key, equals, value = line.partition("=")
        if line.startswith("[") and line.endswith("]"):
            entries = sections.setdefault(line[1:-1], {})
        elif equals:
            entries[key.strip()] = _value(value.strip())
    return sections


def _value(text: str) -> str | float:
    try:
        value = float(text)
    except ValueError:
        return text
    return int(value) if value.is_integer() and abs(value) < 1 << 53 else value


def _number(sections: Settings, section: str, key: str) -> float | None:
    value = sections.get(section, {}).get(key)
    if not isinstance(value, int | float):
        return None
    return float(value) if math.isfinite(value) else None


def _first(sections: Settings, *places: tuple[str, str]) -> float | None:
    for section, key in places:
        value = _number(sections, section, key)
        if value is not None:
            return value
    return None


def _beam(sections: Settings) -> str:
    """Section of the column that took the image, ``"EBeam"`` or ``"IBeam"``; empty if unknown."""
    name = str(sections.get("Beam", {}).get("Beam", ""))
    return name if name in sections else ""


def _scaled(value: float | None, factor: float) -> float | None:
    return None if value is None else value * factor


def _pixel(sections: Settings) -> dict[str, float | None]:
    scan = str(sections.get("Beam", {}).get("Scan", "Scan"))
    width = _first(sections, ("Scan", "PixelWidth"), (scan, "PixelWidth"))
    height = _first(sections, ("Scan", "PixelHeight"), (scan, "PixelHeight"))
    return {"y": _scaled(height, METRE), "x": _scaled(width, METRE)}


def _doubts(sections: Settings) -> tuple[str, ...]:
    """Compare the pixel size with the field of view and the number of columns."""
    pixel = _pixel(sections)["x"]
    field = _first(sections, (_beam(sections), "HFW"), ("Scan", "HorFieldsize"))
    columns = _number(sections, "Image", "ResolutionX")
    if pixel is None or field is None or not columns or not field > 0:
        return ()
    implied = field * METRE / columns
    if abs(pixel / implied - 1) < 0.01:
        return ()
    return (
        f"Its pixel size of {pixel:g} µm and its field width over {columns:g} columns, "
        f"{implied:g} µm, disagree; the pixel size is used.",
    )


def _without_bar(
    levels: tuple[Any, ...], axes: tuple[str, ...], sections: Settings, name: str
) -> tuple[tuple[Any, ...], int, tuple[str, ...]]:
    """Crop the rows below Image/ResolutionY: they are the data bar."""
    rows = _number(sections, "Image", "ResolutionY")
    axis = axes.index("y")
    held = levels[0].shape[axis]
    if rows is None:
        return levels, 0, ("The file does not say where its data bar begins; nothing is cropped.",)
    if rows < 1 or rows != int(rows):
        raise ReadError(f"{name} states {rows:g} image rows, which cannot be; it seems damaged.")
    if rows > held:
        note = f"The file states {rows:g} image rows but has {held}; was it cropped or resized?"
        return levels, 0, (note,)
    crop = tuple(slice(0, int(rows)) if i == axis else slice(None) for i in range(len(axes)))
    return (levels[0][crop],), held - int(rows), ()


def _stage(sections: Settings) -> StagePosition | None:
    x, y, z = (_number(sections, "Stage", key) for key in ("StageX", "StageY", "StageZ"))
    if x is None and y is None and z is None:
        return None
    metres = [math.nan if value is None else value for value in (z, y, x)]
    turn = _number(sections, "Stage", "StageR")
    tilt = _first(sections, ("Stage", "StageT"), ("Stage", "StageTa"))
    return StagePosition(
        position=(metres[0] * METRE, metres[1] * METRE, metres[2] * METRE),
        rotation=None if turn is None else math.degrees(turn),
        tilt=None if tilt is None else math.degrees(tilt),
        convention="fei",
    )


def _meta(sections: Settings) -> dict[str, Any]:
    """Give what a record is made from: lengths in µm, angles in degrees, other units named."""
    beam = _beam(sections)
    turn = _first(sections, (beam, "ScanRotation"), ("Beam", "ScanRotation"))
    user = sections.get("User", {})
    found = {
        "format": "thermo",
        "beam": _NAMES.get(beam, ""),
        "voltage_kv": _scaled(_first(sections, (beam, "HV"), ("Beam", "HV")), 1e-3),
        "current_pa": _scaled(_number(sections, beam, "BeamCurrent"), 1e12),
        "field_width": _scaled(_first(sections, (beam, "HFW"), ("Scan", "HorFieldsize")), METRE),
        "working_distance": _scaled(
            _first(sections, (beam, "WD"), ("Stage", "WorkingDistance")), METRE
        ),
        "scan_rotation": None if turn is None else math.degrees(turn),
        "dwell_us": _scaled(_number(sections, "Scan", "Dwelltime"), 1e6),
        "detector": sections.get("Detectors", {}).get("Name"),
        "date": " ".join(str(user[key]) for key in ("Date", "Time") if user.get(key)),
        "system": sections.get("System", {}).get("SystemType"),
    }
    kept = {key: value for key, value in found.items() if value not in (None, "")}
    return {**kept, "settings": _plain(sections)}


def _plain(sections: Settings) -> dict[str, dict[str, Any]]:
    return {
        section: {
            str(key): value if _is_plain(value) else str(value) for key, value in values.items()
        }
        for section, values in sections.items()
    }


def _is_plain(value: Any) -> bool:
    if isinstance(value, float):
        return math.isfinite(value)
    return isinstance(value, str | int | bool)
