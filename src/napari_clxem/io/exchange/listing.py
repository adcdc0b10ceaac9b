"""Targets and positions as CSV for anything else: in stage and in image coordinates, side by side.

Columns say their unit: ``stage_x_um`` … are µm on the stage, ``row_px`` and ``column_px`` count
from the centre of the first pixel of the named image, angles are degrees. What is not known is
blank.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from napari_clxem.errors import ReadError, WriteError
from napari_clxem.io.exchange.text import (
    exact,
    number,
    one_line,
    read_text,
    rows_of,
    table,
    write_text,
)

COLUMNS = (
    *("name", "kind", "site"),
    *("stage_x_um", "stage_y_um", "stage_z_um", "stage_tilt_deg", "stage_rotation_deg"),
    *("image", "row_px", "column_px"),
    *("radius_um", "width_um", "length_um", "thickness_um", "milling_angle_deg"),
    *("sd_row_um", "sd_column_um", "capture", "note"),
)
_TEXTS = ("name", "kind", "site", "image", "note")


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One line of a list: a target, a lamella, a field.

    Parameters
    ----------
    name, kind, site : str
        `kind` is such as ``"target"``, ``"lamella"`` or ``"field"``.
    stage : tuple of float or None
        (z, y, x), µm.
    stage_tilt, stage_rotation : float or None
        Degrees.
    image : str
        Name of the image that `pixel` is in.
    pixel : tuple of float or None
        (row, column) from the centre of the first pixel.
    radius, width, length, thickness : float or None
        µm.
    milling_angle : float or None
        Degrees.
    sd : tuple of float or None
        Predicted error in the image (row, column), µm.
    capture : float or None
        Expected captured fraction.
    note : str
    """

    name: str
    kind: str = "target"
    site: str = ""
    stage: tuple[float, float, float] | None = None
    stage_tilt: float | None = None
    stage_rotation: float | None = None
    image: str = ""
    pixel: tuple[float, float] | None = None
    radius: float | None = None
    width: float | None = None
    length: float | None = None
    thickness: float | None = None
    milling_angle: float | None = None
    sd: tuple[float, float] | None = None
    capture: float | None = None
    note: str = ""


def write_list(entries: Iterable[Entry], path: str | Path) -> None:
    """Write a list as CSV.

    Raises
    ------
    WriteError
        Where a number is not finite or a text has a line break.
    """
    write_text(path, table([COLUMNS, *(cells_of(entry) for entry in entries)]))


def cells_of(entry: Entry, digits: int | None = None) -> list[str]:
    """Give the cells of a line in the order of `COLUMNS`; `digits` rounds them for people.

    Raises
    ------
    WriteError
        Where a number is not finite or a text has a line break.
    """
    for text in (entry.name, entry.kind, entry.site, entry.image, entry.note):
        one_line(text, "The text")
    if entry.name.startswith("#"):
        raise WriteError(f"The name {entry.name!r} begins like a comment; rename it.")
    z, y, x = entry.stage or (None, None, None)
    row, column = entry.pixel or (None, None)
    sd_row, sd_column = entry.sd or (None, None)
    numbers = {
        "stage_x_um": x,
        "stage_y_um": y,
        "stage_z_um": z,
        "stage_tilt_deg": entry.stage_tilt,
        "stage_rotation_deg": entry.stage_rotation,
        "row_px": row,
        "column_px": column,
        "radius_um": entry.radius,
        "width_um": entry.width,
        "length_um": entry.length,
        "thickness_um": entry.thickness,
        "milling_angle_deg": entry.milling_angle,
        "sd_row_um": sd_row,
        "sd_column_um": sd_column,
        "capture": entry.capture,
    }
    texts = {"name": entry.name, "kind": entry.kind, "site": entry.site}
    texts |= {"image": entry.image, "note": entry.note}
    cells = []
    for key in COLUMNS:
        value = numbers.get(key)
        if value is not None and not math.isfinite(value):
            raise WriteError(f"{key} of {entry.name!r} is {value}; leave out what is not known.")
        if value is None:
            cells.append(texts.get(key, ""))
        else:
            cells.append(exact(value) if digits is None else f"{value:.{digits}g}")
    return cells


def read_list(path: str | Path) -> tuple[Entry, ...]:
    """Read a list as :func:`write_list` writes it.

    Raises
    ------
    ReadError
        Naming line and column of the first value that cannot be used.
    """
    name = Path(path).name
    rows = list(rows_of(read_text(path)))
    if not rows or tuple(rows[0][1]) != COLUMNS:
        raise ReadError(f"{name}: the first line must be {','.join(COLUMNS)}.")
    return tuple(_entry(cells, f"{name}, line {index}") for index, cells in rows[1:])


def _entry(cells: list[str], where: str) -> Entry:
    if len(cells) != len(COLUMNS):
        raise ReadError(f"{where}: {len(cells)} values, but there are {len(COLUMNS)} columns.")
    said = dict(zip(COLUMNS, cells, strict=True))
    values = {
        key: number(cell, f"{where}, {key}") if cell else None
        for key, cell in said.items()
        if key not in _TEXTS
    }
    return Entry(
        name=said["name"],
        kind=said["kind"],
        site=said["site"],
        stage=_together(values, ("stage_z_um", "stage_y_um", "stage_x_um"), where),  # type: ignore[arg-type]
        stage_tilt=values["stage_tilt_deg"],
        stage_rotation=values["stage_rotation_deg"],
        image=said["image"],
        pixel=_together(values, ("row_px", "column_px"), where),  # type: ignore[arg-type]
        radius=values["radius_um"],
        width=values["width_um"],
        length=values["length_um"],
        thickness=values["thickness_um"],
        milling_angle=values["milling_angle_deg"],
        sd=_together(values, ("sd_row_um", "sd_column_um"), where),  # type: ignore[arg-type]
        capture=values["capture"],
        note=said["note"],
    )


def _together(
    values: dict[str, float | None], keys: tuple[str, ...], where: str
) -> tuple[float, ...] | None:
    """Give values that go together: all, or none."""
    found = [values[key] for key in keys]
    if all(value is None for value in found):
        return None
    if any(value is None for value in found):
        raise ReadError(f"{where}: fill in all of {', '.join(keys)}, or none.")
    return tuple(float(value) for value in found if value is not None)
