"""Sums of footprints without compiled kernels: the same, for the first map on a machine."""

from __future__ import annotations

from typing import Any

import numpy as np

from napari_clxem.dose import bounds
from napari_clxem.frames.affine import Floats

_RIM = 1e-9
_TOGETHER = 1 << 20
"""Pixels summed at once, or a row."""


def add_footprints(
    raster: Floats,
    planes: Floats,
    doses: Floats,
    shapes: Any,
    beams: Floats,
    beam_start: Any,
    tables: Floats,
    table_start: Any,
    steps: Floats,
    step_start: Any,
    lookup: Any,
) -> None:
    """Do as the kernel of this name does."""
    rows = max(1, _TOGETHER // raster.shape[1])
    if len(raster) > rows:
        for top in range(0, len(raster), rows):
            moved = planes.copy()
            moved[:, :, 0] += top * planes[:, :, 1]
            rest = (beams, beam_start, tables, table_start, steps, step_start, lookup)
            add_footprints(raster[top : top + rows], moved, doses, shapes, *rest)
        return
    for plane, dose, shape in zip(planes, doses, shapes, strict=True):
        stairs = steps[step_start[shape] : step_start[shape + 1]]
        table = tables[table_start[shape] : table_start[shape + 1]]
        for beam in beams[beam_start[shape] : beam_start[shape + 1]]:
            flat = not plane[0].any() and beam[4] == 0.0
            window, z, y, x = _met(raster, plane, beam, table)
            share = _upright(y, x, beam, stairs) if flat else _tilted(z, y, x, beam, table)
            raster[window] += dose * beam[5] * share


def _met(raster: Floats, plane: Floats, beam: Floats, table: Floats) -> tuple[Any, ...]:
    """Give the part of a raster that a beam can meet, and its coordinates there."""
    along = beam[0] if beam[0] >= 0.0 else float(np.hypot(beam[1], beam[2]))
    across = bounds.reach(plane, along, float(np.sqrt(table[0, 0])))
    rows, columns = (slice(*bounds.rows(plane[:, o], across, along, n)) for o, n in zip(
        ([0, 1, 2], [0, 2, 1]), raster.shape, strict=True
    ))  # fmt: skip
    row = np.arange(rows.start, rows.stop)[:, None]
    column = np.arange(columns.start, columns.stop)
    z, y, x = (start + down * row + right * column for start, down, right in plane)
    return (rows, columns), z, y, x


def _upright(y: Floats, x: Floats, beam: Floats, stairs: Floats) -> Floats:
    """Sum the images of each place, at the height of the tilt axis: those tilted enough."""
    disc = beam[0] >= 0.0
    along, across = (beam[0], beam[0]) if disc else (beam[1], beam[2])
    free = across**2 * (1.0 + (1.0 if disc else 2.0) * _RIM) - (y**2 if disc else 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        count = np.searchsorted(stairs[:-1, 0], free / x**2, side="right")
    found: Floats = np.where(y**2 <= along**2 * (1.0 + 2.0 * _RIM), stairs[count, 1], 0.0)
    return found


def _tilted(z: Floats, y: Floats, x: Floats, beam: Floats, table: Floats) -> Floats:
    """Sum the images of each place at any height, one by one."""
    total = np.zeros(y.shape)
    shares = np.diff(table[:, 1], prepend=0.0)
    for (_, _, cosine, sine), share in zip(table, shares, strict=True):
        u = x * cosine + z * sine
        if beam[0] >= 0.0:
            lit = u**2 + y**2 <= beam[0] ** 2 * (1.0 + _RIM)
        else:
            side, length = u * beam[3] + y * beam[4], y * beam[3] - u * beam[4]
            lit = (abs(side) <= beam[2] * (1.0 + _RIM)) & (abs(length) <= beam[1] * (1.0 + _RIM))
        total += np.where(lit, share, 0.0)
    return total


def keep_extremes(value: Floats, low: Floats, high: Floats) -> None:
    """Do as the kernel of this name does."""
    low[1] = np.minimum(low[1], np.maximum(low[0], value))
    low[0] = np.minimum(low[0], value)
    high[1] = np.maximum(high[1], np.minimum(high[0], value))
    high[0] = np.maximum(high[0], value)
