"""BigWarp landmarks: ``"name","active",moving…,fixed…`` in calibrated units, no header.

BigWarp counts in physical units from the centre of the first pixel, as this package does: no half
pixel is added. A side not picked is written as Infinity.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path

from napari_clxem.errors import ReadError, WriteError
from napari_clxem.io.exchange.points import PointPair, Vector
from napari_clxem.io.exchange.text import (
    exact,
    number,
    one_line,
    read_text,
    rows_of,
    table,
    write_text,
)
from napari_clxem.units import length_factor


def write_bigwarp(pairs: Iterable[PointPair], path: str | Path, unit: str = "um") -> None:
    """Write landmarks for BigWarp.

    Parameters
    ----------
    pairs : iterable of PointPair
        Both sides with the same number of axes; pairs of a volume and an image cannot be held.
    path : str or Path
    unit : str
        Unit in which the images are calibrated.

    Raises
    ------
    WriteError
        Where sides have different axes.
    """
    found = list(pairs)
    sizes = {len(side) for pair in found for side in (pair.moving, pair.fixed) if side is not None}
    if len(sizes) > 1:
        raise WriteError("BigWarp pairs points of the same number of axes; give both z or none.")
    ndim = sizes.pop() if sizes else 3
    per = length_factor(unit)
    rows = [
        (
            one_line(pair.name, "The landmark"),
            "true" if pair.use else "false",
            *_cells(pair.moving, ndim, per),
            *_cells(pair.fixed, ndim, per),
        )
        for pair in found
    ]
    write_text(path, table(rows, quote=True))


def read_bigwarp(path: str | Path, unit: str = "um") -> tuple[PointPair, ...]:
    """Read landmarks of BigWarp.

    Raises
    ------
    ReadError
        Naming the line that is no landmark.
    """
    name, per = Path(path).name, length_factor(unit)
    found: list[PointPair] = []
    width = 0
    for index, cells in rows_of(read_text(path)):
        where = f"{name}, line {index}"
        if len(cells) not in (6, 8) or (width and len(cells) != width):
            raise ReadError(
                f"{where}: {len(cells)} values, but a landmark of BigWarp has "
                f"{width or '6 (2D) or 8 (3D)'}."
            )
        width = len(cells)
        half = 2 + (width - 2) // 2
        found.append(
            PointPair(
                cells[0],
                _side(cells[2:half], per, where),
                _side(cells[half:], per, where),
                cells[1].lower() == "true",
            )
        )
    return tuple(found)


def _cells(side: Vector | None, ndim: int, per: float) -> list[str]:
    if side is None:
        return ["Infinity"] * ndim
    return [exact(value / per) for value in reversed(side)]


def _side(cells: list[str], per: float, where: str) -> Vector | None:
    values = [number(cell, where, infinite=True) for cell in cells]
    if any(map(math.isinf, values)):
        return None
    return tuple(value * per for value in reversed(values))
