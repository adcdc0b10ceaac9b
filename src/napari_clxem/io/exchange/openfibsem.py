"""OpenFIBSEM and AutoLamella: stage positions (YAML) and the points of a correlation (CSV)."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from napari_clxem.errors import ReadError, WriteError
from napari_clxem.io.exchange.points import NamedPoint, Pixels, Vector, positions, vector
from napari_clxem.io.exchange.text import exact, number, read_text, table, write_text

_KEYS = ("x", "y", "z", "r", "t")


@dataclass(frozen=True)
class StagePoint:
    """A position of a FIB-SEM's stage.

    Parameters
    ----------
    name : str
    position : tuple of float
        Stage (z, y, x), µm, as the instrument counts.
    rotation, tilt : float
        Of the stage, degrees.
    coordinate_system : str
        ``"RAW"`` or ``"SPECIMEN"``, as OpenFIBSEM has it.
    """

    name: str
    position: tuple[float, float, float]
    rotation: float = 0.0
    tilt: float = 0.0
    coordinate_system: str = "RAW"


def write_positions(points: Iterable[StagePoint], path: str | Path) -> None:
    """Write stage positions as OpenFIBSEM's positions.yaml: metres and radians.

    Raises
    ------
    WriteError
        Where a number is not finite.
    """
    import yaml

    entries = []
    for point in points:
        z, y, x = point.position
        values = (
            *(x * 1e-6, y * 1e-6, z * 1e-6),
            *(math.radians(point.rotation), math.radians(point.tilt)),
        )
        if not all(map(math.isfinite, values)):
            raise WriteError(f"The position {point.name!r} is not finite; place it first.")
        entry: dict[str, Any] = {"name": point.name, **dict(zip(_KEYS, values, strict=True))}
        entries.append({**entry, "coordinate_system": point.coordinate_system})
    write_text(path, yaml.safe_dump(entries, allow_unicode=True, indent=4))


def read_positions(path: str | Path) -> tuple[StagePoint, ...]:
    """Read stage positions of OpenFIBSEM.

    Raises
    ------
    ReadError
        Where it is no YAML list of positions, or a value is no number.
    """
    import yaml

    path = Path(path)
    try:
        entries = yaml.safe_load(read_text(path))
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        reason = " ".join(str(error).split())[:120]
        raise ReadError(f"{path.name} is no readable YAML: {reason}.") from error
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise ReadError(f"{path.name} is no list of positions; is it one of OpenFIBSEM?")
    return tuple(_position(entry, index, path.name) for index, entry in enumerate(entries))


def _position(entry: dict[str, Any], index: int, file: str) -> StagePoint:
    where = f"{file}, position {index + 1}"
    values = {}
    for key in _KEYS:
        value = entry.get(key)
        if value is None and key in ("r", "t"):
            value = 0.0
        if isinstance(value, bool) or not isinstance(value, int | float | str):
            raise ReadError(f"{where}: {key} is missing or no number; give metres and radians.")
        values[key] = number(str(value), f"{where}, {key}")
    return StagePoint(
        str(entry.get("name", f"position {index + 1}")),
        (values["z"] * 1e6, values["y"] * 1e6, values["x"] * 1e6),
        math.degrees(values["r"]),
        math.degrees(values["t"]),
        str(entry.get("coordinate_system", "RAW")),
    )


@dataclass(frozen=True)
class Correlation:
    """The points that OpenFIBSEM correlates, µm.

    Parameters
    ----------
    fib : tuple of NamedPoint
        Fiducials in the FIB image, (y, x).
    volume : tuple of NamedPoint
        The same in the fluorescence volume, (z, y, x).
    targets : tuple of NamedPoint
        Points of interest in the volume.
    surface : tuple of float or None
        Where the surface is in the FIB image, (y, x).
    """

    fib: tuple[NamedPoint, ...] = ()
    volume: tuple[NamedPoint, ...] = ()
    targets: tuple[NamedPoint, ...] = ()
    surface: Vector | None = None


def write_correlation(
    points: Correlation, path: str | Path, fib_pixels: Pixels, volume_pixels: Pixels
) -> None:
    """Write a correlation as OpenFIBSEM's CSV ``type,idx,x_px,y_px,z_px``.

    Pixels count from the centre of the first one.
    """
    surface = () if points.surface is None else (NamedPoint("surface", points.surface),)
    rows: list[tuple[object, ...]] = [("type", "idx", "x_px", "y_px", "z_px")]
    for kind, group, pixels in (
        ("FIB", points.fib, fib_pixels),
        ("FM", points.volume, volume_pixels),
        ("POI", points.targets, volume_pixels),
        ("SURFACE", surface, fib_pixels),
    ):
        numbers = pixels.from_um(positions(group, len(pixels.spacing)), (0.0, 0.0, 0.0))
        for index, place in enumerate(numbers):
            full = place if len(place) == 3 else np.append(0.0, place)
            rows.append((kind, index, *(exact(v) for v in full[::-1])))
    write_text(path, "# Input Coordinates\n" + table(rows))


def read_correlation(path: str | Path, fib_pixels: Pixels, volume_pixels: Pixels) -> Correlation:
    """Read a correlation CSV of OpenFIBSEM; the errors it may list after the points are left.

    Raises
    ------
    ReadError
        Where the header is missing or a line is no point.
    """
    from napari_clxem.io.exchange.text import rows_of

    name = Path(path).name
    found: dict[str, list[NamedPoint]] = {"FIB": [], "FM": [], "POI": [], "SURFACE": []}
    inside = False
    for index, cells in rows_of(read_text(path)):
        if cells[0] in ("type", "marker"):
            inside = cells[:5] == ["type", "idx", "x_px", "y_px", "z_px"]
            continue
        if not inside:
            continue
        where = f"{name}, line {index}"
        if len(cells) < 5 or not cells[0]:
            raise ReadError(f"{where}: a point has type, idx, x_px, y_px and z_px.")
        if cells[0] not in found:
            continue
        pixels = fib_pixels if cells[0] in ("FIB", "SURFACE") else volume_pixels
        values = [number(cell, where) for cell in cells[2 : 2 + len(pixels.spacing)]]
        place = vector(pixels.to_um(values[::-1], (0.0, 0.0, 0.0)))
        found[cells[0]].append(NamedPoint(cells[1], place))
    if not any(found.values()):
        raise ReadError(f"{name} holds no points; is it a correlation CSV of OpenFIBSEM?")
    surface = found["SURFACE"][0].position if found["SURFACE"] else None
    return Correlation(tuple(found["FIB"]), tuple(found["FM"]), tuple(found["POI"]), surface)
