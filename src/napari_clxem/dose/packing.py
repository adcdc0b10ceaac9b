"""Footprints as arrays for the compiled sums; a shape is packed once, however often it is used."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from operator import attrgetter
from typing import Any

import numpy as np

from napari_clxem import compiling
from napari_clxem.dose import plain_sums
from napari_clxem.dose.exposure import Exposure
from napari_clxem.dose.footprint import angles, reach, shells
from napari_clxem.frames.affine import Floats

Ints = Any
_FLAT = 1e-32  # cos² of an edge-on tilt
_KERNELS = "napari_clxem.dose.kernels"
BINS = 4096
_MANY = 500  # footprints from which threads pay
_BAND = 50.0  # rows
_TOGETHER = 1024  # points asked for at once


_beam_of = attrgetter("beam_radius", "beam_size", "beam_turn", "halo", "pretilt", "images")


@dataclass(frozen=True, eq=False)
class Shapes:
    """Distinct footprint shapes, and which exposure has which.

    Attributes
    ----------
    index : (n,) int array
        Shape of each exposure.
    beams, beam_start, tables, table_start, steps, step_start, lookup : arrays
        As :func:`napari_clxem.dose.kernels.add_footprints` takes them.
    reach : (k, 2) array
        Of each shape along and across the tilt axis, at the height of the axis, µm.
    slope : (k,) array
        How much farther it reaches across per µm of height.
    """

    index: Ints
    beams: Floats
    beam_start: Ints
    tables: Floats
    table_start: Ints
    steps: Floats
    step_start: Ints
    lookup: Ints
    reach: Floats
    slope: Floats


def pack(exposures: Iterable[Exposure]) -> Shapes:
    """Pack the shapes of exposures; what they share is kept once."""
    known: dict[Any, int] = {}
    seen: dict[Any, int] = {}
    examples: list[Exposure] = []
    index = []
    for one in exposures:
        beam = _beam_of(one)
        quick = id(one.tilts), id(one.weights), beam  # before hashing 131 tilts
        number = seen.get(quick)
        if number is None:
            number = known.setdefault((one.tilts, one.weights, beam), len(known))
            seen[quick] = number
            if number == len(examples):
                examples.append(one)
        index.append(number)
    beams = [_beams(one) for one in examples]
    tables = [_table(one) for one in examples]
    steps = [_steps(table) for table in tables]
    reaches = [reach(one) for one in examples]
    return Shapes(
        np.asarray(index, dtype=np.int64),
        np.concatenate(beams) if beams else np.zeros((0, 6)),
        np.cumsum([0, *map(len, beams)]),
        np.concatenate(tables) if tables else np.zeros((0, 4)),
        np.cumsum([0, *map(len, tables)]),
        np.concatenate(steps) if steps else np.zeros((0, 2)),
        np.cumsum([0, *map(len, steps)]),
        np.array([_lookup(step) for step in steps], dtype=np.int32).reshape(-1, BINS + 2),
        np.array(reaches).reshape(-1, 2),
        np.array([_slope(one) for one in examples]),
    )


def _beams(exposure: Exposure) -> Floats:
    turn = np.deg2rad(exposure.beam_turn)
    height, width = exposure.beam_size or (0.0, 0.0)
    rows = []
    for margin, share in shells(exposure):
        radius = -1.0 if exposure.beam_radius is None else exposure.beam_radius + margin
        half = (height / 2 + margin, width / 2 + margin)
        rows.append((radius, *half, np.cos(turn), np.sin(turn), share))
    return np.array(rows).reshape(-1, 6)


def _table(exposure: Exposure) -> Floats:
    theta = np.deg2rad(angles(exposure))
    squares = np.maximum(np.cos(theta) ** 2, _FLAT)
    order = np.argsort(squares, kind="stable")
    running = np.cumsum(exposure.relative_doses[order])
    return np.column_stack([squares[order], running, np.cos(theta)[order], np.sin(theta)[order]])


def _steps(table: Floats) -> Floats:
    """Give the distinct cos², then infinity, with the dose of all that are below each.

    Opposite tilts are one step.
    """
    squares = table[:, 0]
    last = np.append(np.diff(squares) > 1e-12 * squares[1:], True)
    below = np.concatenate([[0.0], table[last, 1]])
    return np.column_stack([np.append(squares[last], np.inf), below])


def _lookup(steps: Floats) -> Ints:
    edges = np.arange(BINS + 1) / BINS
    below = np.searchsorted(steps[:-1, 0], edges, side="right")
    return np.append(below, np.diff(below).max()).astype(np.int32)


def _slope(exposure: Exposure) -> float:
    theta = np.deg2rad(angles(exposure))
    return float(np.abs(np.tan(theta)).max())


def planes(placement: Floats, exposures: Iterable[Exposure], flat: bool) -> Floats:
    """Coordinates about each exposure's aim and tilt axis as linear maps.

    Parameters
    ----------
    placement : (3, 4) array
        From (z, y, x, 1) of a map's frame to (z, y, x) of the exposures' frame, µm.
    exposures : iterable of Exposure
        Of one frame.
    flat : bool
        Whether their frame has no heights: everything lies at that of the tilt axis.

    Returns
    -------
    (n, 3, 4) array
        From (z, y, x, 1) to (z, y along, x across), µm.
    """
    rows = [(e.axis_height, e.aim[0], e.aim[1], e.axis_azimuth) for e in exposures]
    numbers = np.array(rows, float).reshape(-1, 4)
    azimuth = np.deg2rad(numbers[:, 3])
    cosine, sine = np.cos(azimuth), np.sin(azimuth)
    about = np.repeat(placement[np.newaxis], len(numbers), axis=0)
    about[:, :, 3] -= numbers[:, :3]
    found = np.empty_like(about)
    found[:, 0] = 0.0 if flat else about[:, 0]
    found[:, 1] = cosine[:, np.newaxis] * about[:, 1] - sine[:, np.newaxis] * about[:, 2]
    found[:, 2] = cosine[:, np.newaxis] * about[:, 2] + sine[:, np.newaxis] * about[:, 1]
    return found


def add_all(raster: Floats, linear: Floats, doses: Floats, shapes: Shapes, index: Ints) -> None:
    """Add footprints to a raster, in place, band by band on all cores.

    Parameters
    ----------
    raster : (ny, nx) array
        Sum so far.
    linear : (n, 3, 3) array
        Coordinates about each aim from (1, row, column); see :func:`planes`.
    doses : (n,) array
        Of one image.
    shapes : Shapes
        What :func:`pack` gave.
    index : (n,) int array
        Shape of each.
    """
    from concurrent.futures import ThreadPoolExecutor

    add_footprints = sums().add_footprints
    order = _by_place(linear)  # neighbours share the memory that is at hand
    linear, doses, index = linear[order], doses[order], index[order]
    workers = min(os.cpu_count() or 1, 4, len(raster)) if len(doses) >= _MANY else 1
    edges = np.linspace(0, len(raster), workers + 1).astype(int)

    def add(top: int, bottom: int) -> None:
        moved = linear.copy()
        moved[:, :, 0] += top * linear[:, :, 1]
        add_footprints(
            raster[top:bottom],
            moved,
            doses,
            index,
            shapes.beams,
            shapes.beam_start,
            shapes.tables,
            shapes.table_start,
            shapes.steps,
            shapes.step_start,
            shapes.lookup,
        )

    if workers == 1:
        add(0, len(raster))
        return
    with ThreadPoolExecutor(workers) as pool:
        for done in [pool.submit(add, *band) for band in pairwise(edges.tolist())]:
            done.result()


def _by_place(linear: Floats) -> Ints:
    """Order by where the aims lie on the raster: bands of rows, then along them."""
    (y0, yr, yc), (x0, xr, xc) = linear[:, 1].T, linear[:, 2].T
    det = yr * xc - yc * xr
    det = np.where(det == 0.0, 1.0, det)
    row, column = (yc * x0 - xc * y0) / det, (xr * y0 - yr * x0) / det
    return np.lexsort((column, np.floor(row / _BAND)))


def neighbourhoods(array: Floats) -> list[Any]:
    """Part many points into few that lie together: each part is reached by few exposures."""
    if len(array) <= _TOGETHER:
        return [slice(None)]
    low, high = array[:, -2:].min(axis=0), array[:, -2:].max(axis=0)
    bands = int(np.ceil(np.sqrt(len(array) / _TOGETHER)))
    row = np.floor((array[:, -2] - low[0]) / max(high[0] - low[0], 1e-9) * bands)
    order = np.lexsort((array[:, -1], row))
    return list(np.array_split(order, -(-len(array) // _TOGETHER)))


def sums() -> Any:
    """Give the compiled sums, or what stands in for them while they are being compiled."""
    return compiling.ready(_KERNELS) or plain_sums


def warm_kernels() -> None:
    """Load the compiled sums, or compile them, which takes some seconds the first time.

    For a background thread at the start of a program: what is asked meanwhile is summed slower.
    """
    compiling.warm(_KERNELS, block=True)
