"""Doses as napari layers: the map, the line of the budget, and footprints by modality.

Everything is described in display µm; nothing here knows a viewer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_clxem.frames.affine import Floats
from napari_clxem.io.image import SPATIAL
from napari_clxem.plugin.layers import UNIT, LayerData

Float32Array = NDArray[np.float32]

# Hues that are seen on it, on black and on white are taken for the lines.
# Perceptually uniform, and its dark end is seen on black and on grey images alike.
COLORMAP = "viridis"
OPACITY = 0.7
BUDGET = "#ff1f3d"
SIDES = 48
# Lines are made in steps of so many pieces: changing their number takes napari ten times longer
# than moving them.
STEP = 4096
CROSS = 0.25


@dataclass(frozen=True)
class Style:
    """How the footprints of a modality are drawn.

    Attributes
    ----------
    name : str
        For people.
    colour : str
        Hex.
    pattern : str
        Which pieces of the outline are drawn (1), repeated around it.
    stroke : str
        The pattern in words.
    """

    name: str
    colour: str
    pattern: str
    stroke: str


_XRAYS = Style("X-rays", "#ffb03b", "1", "solid")
_LIGHT = Style("Light", "#58c458", "11111100", "long dashes")
_ELECTRONS = Style("TEM", "#00c8ff", "110", "dashed")
_OTHER = Style("Other", "#a0a0a0", "1000", "sparse dots")
STYLES: Mapping[str, Style] = MappingProxyType(
    {
        **dict.fromkeys(("sxt", "xray", "x-ray"), _XRAYS),
        **dict.fromkeys(("tem", "et", "cryo-et"), _ELECTRONS),
        "sem": Style("SEM", "#ff5fd0", "10", "dotted"),
        "fib": Style("FIB", "#a97bff", "11110100", "dash-dot"),
        **dict.fromkeys(("confocal", "widefield", "fluorescence", "vlm", "light"), _LIGHT),
    }
)


def style_of(modality: str) -> Style:
    """Give the style of a modality, told by its name."""
    return STYLES.get(modality.lower(), _OTHER)


def dashes(style: Style) -> tuple[float, ...]:
    """Give a pattern as lengths drawn and left out in turn; empty where all is drawn."""
    if "0" not in style.pattern:
        return ()
    runs = [len(list(same)) for _, same in groupby(style.pattern)]
    return tuple(2.0 * run for run in runs)


@dataclass(frozen=True, eq=False)
class Outline:
    """One closed line to be drawn.

    Attributes
    ----------
    polygon : (n, 2) array
        (y, x), display µm; not closed.
    style : Style
        Of the modality.
    planned : bool
        Marked by a cross in the middle.
    chosen : bool
        Drawn in full and in a colour of its own.
    """

    polygon: Floats
    style: Style
    planned: bool = False
    chosen: bool = False


CHOSEN = "#ffe600"


def pixels(dose: Floats) -> Float32Array:
    """Give a map as it is drawn: NaN, which napari leaves transparent, where nothing was left.

    Parameters
    ----------
    dose : (ny, nx) array
        MGy.
    """
    found = np.asarray(dose, dtype=np.float32).copy()
    found[found <= 0] = np.nan
    return found


def dose_image(
    values: Float32Array, first: Floats, pixel: Floats, most: float, name: str
) -> LayerData:
    """Describe the Image layer of a map of doses.

    Parameters
    ----------
    values : (ny, nx) array
        MGy, NaN where nothing was left.
    first : (2,) array
        Centre (y, x) of the first pixel, display µm.
    pixel : (2,) array
        Pixel size (y, x), µm.
    most : float
        End of the colour bar, MGy.
    name : str
        Of the layer; it stands above the colour bar and holds the unit.
    """
    arguments = {
        **_common(),
        "name": name,
        "scale": tuple(np.asarray(pixel, float).tolist()),
        "translate": tuple(np.asarray(first, float).tolist()),
        "colormap": COLORMAP,
        "contrast_limits": (0.0, most if most > 0 else 1.0),
        "opacity": OPACITY,
        "blending": "translucent",
    }
    return values, arguments, "image"


# Edges of a cell (0 top, 1 right, 2 bottom, 3 left) that a line joins, by which corners (1 top
# left, 2 top right, 4 bottom right, 8 bottom left) reach the level.
_JOINED: Mapping[int, tuple[tuple[int, int], ...]] = MappingProxyType(
    {
        1: ((3, 0),), 2: ((0, 1),), 3: ((3, 1),), 4: ((1, 2),), 5: ((3, 0), (1, 2)),
        6: ((0, 2),), 7: ((3, 2),), 8: ((2, 3),), 9: ((0, 2),), 10: ((0, 1), (2, 3)),
        11: ((1, 2),), 12: ((3, 1),), 13: ((0, 1),), 14: ((3, 0),),
    }
)  # fmt: skip


def level_pieces(values: Floats, level: float, first: Floats, pixel: Floats) -> Floats:
    """Find where a map reaches a level, as pieces of lines (marching squares).

    Pieces are all that is drawn: joining them to lines takes a hundred times longer. Where there
    would be too many, a coarser map is followed.

    Parameters
    ----------
    values : (ny, nx) array
        MGy.
    level : float
        MGy.
    first : (2,) array
        Centre (y, x) of the first pixel, µm.
    pixel : (2,) array
        Pixel size (y, x), µm.

    Returns
    -------
    (m, 2, 2) array
        Start and direction of each, µm; filled up as :func:`budget_line` needs it.
    """
    step = 1
    while True:
        pieces = _level_pieces(values[::step, ::step], level)
        if len(pieces) <= 2 * STEP or min(values.shape) <= 2 * step:
            break
        step *= 2
    found: Floats = _padded(pieces[: 2 * STEP], 2 * STEP) * (np.asarray(pixel, float) * step)
    found[:, 0] += first
    return found


def _level_pieces(values: Floats, level: float) -> Floats:
    above = values >= level
    corners = (above[:-1, :-1], above[:-1, 1:], above[1:, 1:], above[1:, :-1])
    code = np.zeros(corners[0].shape, np.uint8)
    for bit, corner in enumerate(corners):
        code |= corner.astype(np.uint8) << np.uint8(bit)
    y, x = np.nonzero((code > 0) & (code < 15))
    kind = code[y, x]
    a, b, c, d = (values[y + i, x + j] - level for i, j in ((0, 0), (0, 1), (1, 1), (1, 0)))
    with np.errstate(divide="ignore", invalid="ignore"):
        edges = np.stack(
            [
                np.column_stack([y, x + a / (a - b)]),
                np.column_stack([y + b / (b - c), x + 1.0]),
                np.column_stack([y + 1.0, x + d / (d - c)]),
                np.column_stack([y + a / (a - d), x]),
            ]
        )
    found = [np.zeros((0, 2, 2))]
    for number, pairs in _JOINED.items():
        cells = np.flatnonzero(kind == number)
        for one, other in pairs:
            start, end = edges[one, cells], edges[other, cells]
            found.append(np.stack([start, end - start], axis=1))
    pieces: Floats = np.concatenate(found)
    return pieces


def budget_line(pieces: Floats, level: float, width: float) -> LayerData:
    """Describe the Vectors layer of the line where a dose is reached.

    Parameters
    ----------
    pieces : (m, 2, 2) array
        As :func:`level_pieces` gives them, display µm.
    level : float
        MGy.
    width : float
        Of the line, µm.
    """
    arguments = {
        **_common(),
        "name": f"Budget line {level:.4g} MGy",
        "edge_color": BUDGET,
        "edge_width": width,
        "vector_style": "line",
    }
    return pieces, arguments, "vectors"


def room_for(count: int, most: int, winged: int) -> int:
    """Give how many pieces the outlines of so many exposures may take.

    Parameters
    ----------
    count : int
        Exposures.
    most, winged : int
        How many of them are outlined, and how many with wings.
    """
    return (SIDES + 4) * (min(count, most) + min(count, winged))


def footprint_lines(outlines: Sequence[Outline], width: float, room: int = 0) -> LayerData:
    """Describe the Vectors layer of footprints: colour and pattern by modality.

    Parameters
    ----------
    outlines : sequence of Outline
        Later ones above earlier ones.
    width : float
        Of the lines, µm.
    room : int
        Pieces to keep room for, so that others can follow quickly.
    """
    parts, colours = [], []
    for one in outlines:
        pieces = _pieces(one)
        parts.append(pieces)
        colours.append(np.tile(_rgba(CHOSEN if one.chosen else one.style.colour), (len(pieces), 1)))
    pieces = np.concatenate(parts) if parts else np.zeros((0, 2, 2))
    data = _padded(pieces, room)
    colour = np.zeros((len(data), 4))
    if parts:
        colour[: len(pieces)] = np.concatenate(colours)
    arguments = {
        **_common(),
        "name": "Footprints",
        "edge_color": colour if len(colour) else "white",
        "edge_width": width,
        "vector_style": "line",
    }
    return data, arguments, "vectors"


def _pieces(one: Outline) -> Floats:
    """Cut an outline into the pieces that are drawn, (m, 2, 2) as start and direction."""
    ring = _subdivided(one.polygon)
    steps = np.roll(ring, -1, axis=0) - ring
    pattern = "1" if one.chosen else one.style.pattern
    drawn = np.array([bit == "1" for bit in pattern])[np.arange(len(ring)) % len(pattern)]
    pieces = np.stack([ring, steps], axis=1)[drawn]
    if not one.planned:
        return np.asarray(pieces)
    middle = ring.mean(axis=0)
    half = CROSS * np.ptp(ring, axis=0).min()
    arms = np.array([[-1.0, -1.0], [-1.0, 1.0]]) * half / 2
    cross = np.stack([middle + arms, -2 * arms], axis=1)
    return np.concatenate([pieces, cross])


def _subdivided(polygon: Floats) -> Floats:
    """Give a ring some SIDES pieces, its corners kept."""
    ring = np.asarray(polygon, float)
    if len(ring) >= 2 * SIDES:
        return ring[:: len(ring) // SIDES]
    steps = np.roll(ring, -1, axis=0) - ring
    length = np.linalg.norm(steps, axis=1)
    total = float(length.sum()) or 1.0
    counts = np.maximum(1, np.round(SIDES * length / total)).astype(int)
    pieces: Floats = np.concatenate(
        [
            start + np.linspace(0.0, 1.0, n, endpoint=False)[:, np.newaxis] * step
            for start, step, n in zip(ring, steps, counts, strict=True)
        ]
    )
    return pieces


def _padded(pieces: Floats, room: int) -> Floats:
    """Fill up to a multiple of STEP with pieces of no length, on the first piece's start."""
    count = max(len(pieces), room)
    data = np.zeros((-(-count // STEP) * STEP, 2, 2))
    if len(pieces):
        data[:, 0] = pieces[0, 0]
        data[: len(pieces)] = pieces
    return data


def _rgba(colour: str) -> Floats:
    return np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)] + [255], float) / 255


def _common() -> dict[str, Any]:
    return {
        "units": (UNIT,) * 2,
        "axis_labels": SPATIAL[-2:],
        "metadata": {"clxem": {"marks": True}},
    }
