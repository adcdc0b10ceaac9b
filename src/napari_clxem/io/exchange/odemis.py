"""Odemis (METEOR, ENZEL): the features of a cryo project, as JSON in metres and radians."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from napari_clxem.errors import ReadError, WriteError
from napari_clxem.io.exchange.text import read_text, write_text

STATUSES = ("Active", "Ready to Mill", "Rough Milled", "Polished", "Discarded")
_ANGLES = ("rx", "ry", "rz", "rm")


@dataclass(frozen=True)
class Feature:
    """A feature of Odemis.

    Parameters
    ----------
    name : str
    position : tuple of float
        Stage (z, y, x), µm.
    focus : float or None
        Focus position of the light microscope, µm.
    angles : tuple of (str, float)
        Stage angles by axis such as ``("rx", 17.0)``, degrees.
    status : str
        One of Odemis' own: Active, Ready to Mill, Rough Milled, Polished, Discarded.
    """

    name: str
    position: tuple[float, float, float]
    focus: float | None = None
    angles: tuple[tuple[str, float], ...] = ()
    status: str = "Active"


def write_features(features: Iterable[Feature], path: str | Path) -> None:
    """Write features as Odemis' features.json; it adds its milling tasks itself.

    Raises
    ------
    WriteError
        Where a status is not one of Odemis', or a number is not finite.
    """
    entries = []
    for one in features:
        numbers = [*one.position, *(v for _, v in one.angles), one.focus or 0.0]
        if not all(map(math.isfinite, numbers)):
            raise WriteError(f"The feature {one.name!r} is not at a finite place; place it first.")
        if one.status not in STATUSES:
            raise WriteError(
                f"{one.status!r} is no status of Odemis; choose one of {', '.join(STATUSES)}."
            )
        z, y, x = one.position
        stage = {"x": x * 1e-6, "y": y * 1e-6, "z": z * 1e-6}
        stage |= {axis: math.radians(value) for axis, value in one.angles}
        focus = {} if one.focus is None else {"z": one.focus * 1e-6}
        entries.append(
            {
                "name": one.name,
                "status": one.status,
                "stage_position": stage,
                "fm_focus_position": focus,
                "posture_positions": {},
            }
        )
    write_text(path, json.dumps({"feature_list": entries}, indent=2) + "\n")


def read_features(path: str | Path) -> tuple[Feature, ...]:
    """Read the features of a project, of the present form or the older one (``pos``).

    Raises
    ------
    ReadError
        Where it is no such JSON, or a value is no number.
    """
    path = Path(path)
    try:
        found = json.loads(read_text(path))
    except (ValueError, RecursionError) as error:
        reason = " ".join(str(error).split())[:120]
        raise ReadError(f"{path.name} is no readable JSON: {reason}.") from error
    entries = found.get("feature_list") if isinstance(found, dict) else None
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise ReadError(f"{path.name} has no list of features; is it a project of Odemis?")
    return tuple(
        _feature(entry, f"{path.name}, feature {i + 1}") for i, entry in enumerate(entries)
    )


def _feature(entry: dict[str, Any], where: str) -> Feature:
    stage = entry.get("stage_position")
    older = entry.get("pos")
    if isinstance(older, list) and len(older) >= 3 and stage is None:
        stage = dict(zip("xyz", older, strict=False))
    if not isinstance(stage, dict):
        raise ReadError(f"{where} has no stage position.")
    focus = entry.get("fm_focus_position")
    height = focus.get("z") if isinstance(focus, dict) else None
    return Feature(
        name=str(entry.get("name", "")),
        position=(
            _number(stage.get("z"), f"{where}, z") * 1e6,
            _number(stage.get("y"), f"{where}, y") * 1e6,
            _number(stage.get("x"), f"{where}, x") * 1e6,
        ),
        focus=None if height is None else _number(height, f"{where}, focus") * 1e6,
        angles=tuple(
            (axis, math.degrees(_number(stage[axis], f"{where}, {axis}")))
            for axis in _ANGLES
            if axis in stage
        ),
        status=str(entry.get("status", "Active")),
    )


def _number(value: Any, where: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ReadError(f"{where}: {value!r} is not a number; give metres or radians.")
    return float(value)
