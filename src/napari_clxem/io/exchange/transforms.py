"""Maps between frames for other programs: OME-NGFF's affine, and a plain matrix with its axes.

Points are (z, y, x) or (y, x) in µm, and the matrix acts on columns of them.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from napari_clxem.errors import PointsError, ReadError, WriteError
from napari_clxem.frames import Affine
from napari_clxem.io.exchange.text import exact, number, one_line, read_text, write_text
from napari_clxem.units import length_factor

VERSION = "0.6"


@dataclass(frozen=True, eq=False)
class NamedTransform:
    """A map and the names of the frames it leads between.

    Attributes
    ----------
    moving, fixed : str
    affine : Affine
        From moving to fixed, µm.
    """

    moving: str
    fixed: str
    affine: Affine


def write_ngff(transforms: list[NamedTransform], path: str | Path) -> None:
    """Write maps as OME-NGFF coordinate systems and affine transformations (RFC 5), JSON.

    Raises
    ------
    WriteError
        Where one frame would have two and three axes.
    """
    systems: dict[str, int] = {}
    for one in transforms:
        rows, columns = one.affine.linear.shape
        for name, ndim in ((one.moving, columns), (one.fixed, rows)):
            if systems.setdefault(name, ndim) != ndim:
                raise WriteError(
                    f"The frame {name!r} would have both 2 and 3 axes; write it apart."
                )
    content = {
        "ome": {
            "version": VERSION,
            "coordinateSystems": [
                {"name": name, "axes": [_axis(axis) for axis in "zyx"[-ndim:]]}
                for name, ndim in systems.items()
            ],
            "coordinateTransformations": [
                {
                    "type": "affine",
                    "input": one.moving,
                    "output": one.fixed,
                    "affine": np.column_stack([one.affine.linear, one.affine.translation]).tolist(),
                }
                for one in transforms
            ],
        }
    }
    write_text(path, json.dumps(content, indent=2) + "\n")


def _axis(name: str) -> dict[str, str]:
    return {"name": name, "type": "space", "unit": "micrometer"}


def read_ngff(path: str | Path) -> tuple[NamedTransform, ...]:
    """Read the affine transformations of an OME-NGFF file; other kinds are left.

    Axes come in any order and unit and are brought to (z, y, x) in µm; axes that are not of
    space must not take part.

    Raises
    ------
    ReadError
        Where it is no such JSON, or a matrix does not fit its axes.
    """
    path = Path(path)
    try:
        content = json.loads(read_text(path))
    except (ValueError, RecursionError) as error:
        reason = " ".join(str(error).split())[:120]
        raise ReadError(f"{path.name} is no readable JSON: {reason}.") from error
    part = content.get("ome", content) if isinstance(content, dict) else None
    if not isinstance(part, dict) or not isinstance(part.get("coordinateTransformations"), list):
        raise ReadError(f"{path.name} has no coordinate transformations; is it OME-NGFF?")
    systems = _systems(part, path.name)
    return tuple(
        _transform(one, systems, path.name)
        for one in part["coordinateTransformations"]
        if isinstance(one, dict) and one.get("type") == "affine"
    )


def _systems(part: dict[str, Any], file: str) -> dict[str, tuple[list[str], list[float]]]:
    """Give the axes and µm per unit of each coordinate system."""
    found = {}
    for system in part.get("coordinateSystems") or []:
        try:
            axes = [axis["name"] for axis in system["axes"]]
            factors = [length_factor(axis.get("unit") or "micrometer") for axis in system["axes"]]
            found[system["name"]] = (axes, factors)
        except (KeyError, TypeError, AttributeError) as error:
            raise ReadError(f"{file}: a coordinate system has no name or axes.") from error
    return found


def _transform(
    one: dict[str, Any], systems: dict[str, tuple[list[str], list[float]]], file: str
) -> NamedTransform:
    names = [_name(one.get(key)) for key in ("input", "output")]
    where = f"{file}, the affine from {names[0]!r} to {names[1]!r}"
    try:
        matrix = np.array(one["affine"], dtype=float)
    except (KeyError, TypeError, ValueError) as error:
        raise ReadError(f"{where} has no matrix of numbers.") from error
    if matrix.ndim != 2 or not np.isfinite(matrix).all():
        raise ReadError(f"{where} has no matrix of numbers.")
    ends = []
    for name, count in zip(names, (matrix.shape[1] - 1, matrix.shape[0]), strict=True):
        axes, factors = systems.get(name, (list("zyx")[-count:], [1.0] * count))
        if len(axes) != count or sorted(axes, reverse=True) != list("zyx"[-count:]):
            raise ReadError(f"{where}: its matrix does not fit the axes {', '.join(axes)}.")
        order = np.argsort([-ord(axis) for axis in axes])
        ends.append((order, np.array(factors)))
    (columns, per_in), (rows, per_out) = ends
    linear = matrix[:, :-1] * per_out[:, None] / per_in
    shift = matrix[:, -1] * per_out
    try:
        affine = Affine.from_parts(linear[np.ix_(rows, columns)], shift[rows])
    except PointsError as error:
        raise ReadError(f"{where}: {error}") from error
    return NamedTransform(names[0], names[1], affine)


def _name(end: Any) -> str:
    """Give the name of an end: a text, or the name within a reference."""
    return str(end.get("name", "")) if isinstance(end, dict) else str(end or "")


def write_matrix(transform: NamedTransform, path: str | Path) -> None:
    """Write a map as plain rows of numbers, with its axes and unit in lines that start with #."""
    linear = transform.affine.linear
    rows, columns = linear.shape
    lines = [
        f"# moving: {one_line(transform.moving, 'The frame')}",
        f"# fixed: {one_line(transform.fixed, 'The frame')}",
        f"# columns: {' '.join('zyx'[-columns:])} 1",
        f"# rows: {' '.join('zyx'[-rows:])}",
        "# unit: um",
    ]
    for row, shift in zip(linear, transform.affine.translation, strict=True):
        lines.append(" ".join(exact(value) for value in (*row, shift)))
    write_text(path, "\n".join(lines) + "\n")


def read_matrix(path: str | Path) -> NamedTransform:
    """Read a map as :func:`write_matrix` writes it.

    Raises
    ------
    ReadError
        Where unit, axes or the shape of the matrix are not as written there.
    """
    path = Path(path)
    said: dict[str, str] = {}
    rows = []
    for index, line in enumerate(read_text(path).splitlines(), start=1):
        if line.startswith("#"):
            key, _, value = line[1:].partition(":")
            said[key.strip()] = value.strip()
        elif line.strip():
            rows.append([number(cell, f"{path.name}, line {index}") for cell in line.split()])
    sizes = {len(row) for row in rows}
    shapes = {(2, 3): ("y x", "y x 1"), (3, 4): ("z y x", "z y x 1"), (2, 4): ("y x", "z y x 1")}
    shape = (len(rows), sizes.pop() if len(sizes) == 1 else 0)
    if shape not in shapes or (said.get("rows"), said.get("columns")) != shapes[shape]:
        raise ReadError(f"{path.name}: rows and columns are not those of a map with axes z y x.")
    if said.get("unit") != "um":
        raise ReadError(f"{path.name}: the unit must be um, not {said.get('unit', 'missing')!r}.")
    matrix = np.array(rows)
    affine = Affine.from_parts(matrix[:, :-1], matrix[:, -1])
    return NamedTransform(said.get("moving", ""), said.get("fixed", ""), affine)
