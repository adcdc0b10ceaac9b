"""The doses of a session in the frame shown: pure functions, run in a thread."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from napari_clxem.dose import Exposure, Grid, History, Replay, outlines
from napari_clxem.dose.footprint import half_diagonal, reach
from napari_clxem.frames import FrameGraph
from napari_clxem.frames.affine import Floats
from napari_clxem.plugin.dose_marks import (
    Float32Array,
    Outline,
    footprint_lines,
    level_pieces,
    pixels,
    room_for,
    style_of,
)
from napari_clxem.plugin.layers import LayerData

Included = Literal["all", "recorded", "planned"]
# A map is never larger than this along a side, nor a beam finer than so many pixels across.
LARGEST = 2048
# A map has at least so many pixels along its longer side.
SMOOTH = 1000
ACROSS = 16.0
# More outlines than this are neither read nor drawn quickly; wings only of the nearest ones.
MOST_OUTLINES = 200
MOST_WINGS = 60
MARGIN = 0.5


@dataclass(frozen=True, eq=False)
class Scene:
    """Exposures in one frame, ready to be drawn and asked.

    Attributes
    ----------
    history : History
        In time order.
    aims : (n, 2) array
        (y, x) in the frame, µm; NaN where no link reaches or the plane is seen edge-on.
    reach : (n,) array
        How far from its aim each is felt, µm.
    beams : (n,) array
        Half the size of each beam, µm.
    edge_on : tuple of str
        Frames that are seen edge-on.
    z : float or None
        Height in a 3D frame at which it is drawn, µm; None in a plane.
    doses : dict
        MGy of all images of each where all of them hit, by id; None where it is unknown.
    """

    history: History
    aims: Floats
    reach: Floats
    beams: Floats
    edge_on: tuple[str, ...]
    z: float | None
    doses: dict[str, float | None]

    def at(self, z: float | None) -> Scene:
        """Give the same exposures, drawn at another height."""
        return self if z == self.z else _laid(self.history, z, self.doses)

    @property
    def drawn(self) -> Any:
        """Which can be drawn, (n,) bool."""
        return np.isfinite(self.aims).all(axis=1)


def scene(
    exposures: Iterable[Exposure],
    graph: FrameGraph,
    frame: str,
    material: str,
    z: float | None = None,
    included: Included = "all",
) -> Scene:
    """Bring exposures to a frame.

    Parameters
    ----------
    exposures : iterable of Exposure
        Of any frames.
    graph : FrameGraph
        Links their frames.
    frame : str
        The frame shown.
    material : str
        What doses are stated for.
    z : float, optional
        Height in a 3D frame, µm; left out for a plane.
    included : {"all", "recorded", "planned"}
        Which of them.
    """
    wanted = [
        one for one in exposures if included == "all" or one.planned == (included == "planned")
    ]
    history = History(wanted, graph, frame, material)
    unknown = {one.id for one in history.unknown}
    doses = {
        one.id: None if one.id in unknown else float(dose * one.relative_doses.sum())
        for one, dose in zip(history.exposures, history.doses, strict=True)
    }
    return _laid(history, z, doses)


def _laid(history: History, z: float | None, doses: dict[str, float | None]) -> Scene:
    """Find where exposures lie at a height."""
    count = len(history)
    aims, felt, beams = np.full((count, 2), np.nan), np.zeros(count), np.zeros(count)
    sizes: dict[Any, tuple[float, float]] = {}
    edge_on: dict[str, None] = {}
    for part in history.groups:
        plane = part.placement[1:, 1:3]
        if abs(np.linalg.det(plane)) < 1e-9:
            edge_on[part.frame] = None
            continue
        shift = part.placement[1:, 3] + (0.0 if part.same else part.placement[1:, 0] * (z or 0.0))
        back = np.linalg.inv(plane)
        stretch = float(np.linalg.norm(back, 2))
        members = [history.exposures[i] for i in part.members]
        aims[part.members] = (np.array([one.aim for one in members]) - shift) @ back.T
        above = np.zeros(len(members))
        if not part.flat and not (part.same and z is None):
            there = np.column_stack([np.full(len(members), z or 0.0), aims[part.members]])
            axis = np.array([one.axis_height for one in members])
            above = np.abs(there @ part.placement[0, :3] + part.placement[0, 3] - axis)
        for index, one, height in zip(part.members, members, above.round(1).tolist(), strict=True):
            shape = (one.beam_radius, one.beam_size, one.tilts, one.pretilt, one.halo, height)
            if shape not in sizes:
                sizes[shape] = _sizes(one, height)
            felt[index], beams[index] = (stretch * size for size in sizes[shape])
    return Scene(history, aims, felt, beams, tuple(edge_on), z, doses)


def _sizes(one: Exposure, height: float) -> tuple[float, float]:
    """How far an exposure is felt at a height over its tilt axis, and half its beam, µm."""
    beam = half_diagonal(one)
    # A tilt near 90° lights the whole plane: the map ends somewhere all the same.
    farthest = float(np.hypot(*np.minimum(reach(one, height + 0.05), 20 * beam)))
    smallest = one.beam_radius if one.beam_radius is not None else min(one.beam_size or (beam,)) / 2
    return farthest, smallest


def extent(shown: Scene, surface: bool) -> tuple[Floats, Floats] | None:
    """Give the corners (y, x) of what was exposed, frame µm; None where nothing was."""
    chosen = shown.drawn & shown.history.placed(surface)
    if not chosen.any():
        return None
    aims, away = shown.aims[chosen], shown.reach[chosen, np.newaxis]
    return (aims - away).min(axis=0), (aims + away).max(axis=0)


def raster(
    shown: Scene, surface: bool, window: tuple[Floats, Floats] | None, screen: float
) -> Grid | None:
    """Choose the pixels of the map.

    All that was exposed where that takes not too many; else what is seen and a margin.

    Parameters
    ----------
    shown : Scene
    surface : bool
        Of the dose at the surface.
    window : tuple of (2,) array, optional
        Corners of what is seen, frame µm.
    screen : float
        Size of a pixel of the screen, µm.
    """
    corners = extent(shown, surface)
    if corners is None:
        return None
    chosen = shown.drawn & shown.history.placed(surface)
    low, high = corners
    finest = 2 * float(shown.beams[chosen].min()) / ACROSS
    finest = min(finest, float((high - low).max()) / SMOOTH)
    if window is not None and float((high - low).max()) / finest > LARGEST:
        margin = MARGIN * (window[1] - window[0])
        seen = np.maximum(low, window[0] - margin), np.minimum(high, window[1] + margin)
        if (seen[1] > seen[0]).all():
            low, high = seen
            finest = max(finest, screen)
    pixel = max(finest, float((high - low).max()) / LARGEST)
    ny, nx = (max(2, int(np.ceil(side / pixel)) + 1) for side in high - low)
    return Grid.of(low, (min(ny, LARGEST), min(nx, LARGEST)), pixel)


def is_enough(
    grid: Grid, shown: Scene, surface: bool, window: tuple[Floats, Floats], screen: float
) -> bool:
    """Whether a map made before still does for what is seen now."""
    wanted = raster(shown, surface, window, screen)
    if wanted is None:
        return False
    corners = extent(shown, surface)
    assert corners is not None
    low = np.maximum(window[0], corners[0])
    high = np.minimum(window[1], corners[1])
    end = grid.origin + grid.pixel * (np.array(grid.shape) - 1)
    covers = bool((grid.origin <= low + grid.pixel).all() and (end >= high - grid.pixel).all())
    return covers and bool(grid.pixel[0] <= 1.7 * wanted.pixel[0])


@dataclass(frozen=True, eq=False)
class Picture:
    """A map as it is drawn.

    Attributes
    ----------
    values : (ny, nx) array
        MGy, NaN where nothing was left.
    grid : Grid
        Its pixels, frame µm.
    line : (m, 2, 2) array
        Where the budget is reached: start and direction of each piece, frame µm.
    upto : int
        After how many exposures.
    highest : float
        MGy.
    """

    values: Float32Array
    grid: Grid
    line: Floats
    upto: int
    highest: float


class Painter:
    """Makes the maps of one scene, each from the one before; used by one thread at a time."""

    def __init__(self, shown: Scene, surface: bool) -> None:
        self._scene, self._surface = shown, surface
        self._replay: Replay | None = None

    def paint(self, grid: Grid, upto: int, level: float) -> Picture:
        """Make the map after `upto` exposures, with the line of a budget."""
        if self._replay is None or self._replay.grid is not grid:
            self._replay = Replay(
                self._scene.history, grid.origin, grid.shape, grid.pixel, self._surface,
                self._scene.z,
            )  # fmt: skip
        dose = self._replay.upto(upto)
        line = level_pieces(dose, level, grid.origin, grid.pixel)
        return Picture(pixels(dose), grid, line, upto, float(dose.max()))


def nearest(shown: Scene, place: Floats, upto: int, chosen: Sequence[int] = ()) -> list[int]:
    """Give the exposures whose outlines are drawn: the chosen ones, and the nearest to a place.

    Parameters
    ----------
    shown : Scene
    place : (2,) array
        (y, x), frame µm.
    upto : int
        Only of the first so many.
    chosen : sequence of int
        Drawn in any case, and last, above the others.
    """
    apart = np.linalg.norm(shown.aims - place, axis=1)
    apart[~shown.drawn] = np.inf
    apart[upto:] = np.inf
    first = [i for i in chosen if np.isfinite(shown.aims[i]).all()][:MOST_OUTLINES]
    apart[first] = np.inf
    left = min(MOST_OUTLINES - len(first), int(np.isfinite(apart).sum()))
    order = np.argsort(apart, kind="stable")[:left]
    return [*order[::-1].tolist(), *first]


def drawn_outlines(shown: Scene, indices: Sequence[int], chosen: Sequence[int]) -> list[Outline]:
    """Give the outlines of some exposures in the frame shown, core and wings, frame µm."""
    found = outlines(shown.history, indices, (0.0, 1.0), shown.z)
    winged = set(list(found)[-MOST_WINGS:])
    lines = []
    for index, (wing, core) in found.items():
        one = shown.history.exposures[index]
        style, marked = style_of(one.modality), index in chosen
        inner = core.polygon if len(core.polygon) > 2 else wing.polygon
        if len(inner) < 3:
            continue
        lines.append(Outline(inner, style, one.planned, marked))
        apart = inner.shape != wing.polygon.shape or not np.allclose(wing.polygon, inner)
        if index in winged and apart:
            lines.append(Outline(wing.polygon, style, False, marked))
    return lines


def drawn_footprints(
    shown: Scene, place: Floats, upto: int, ids: Sequence[str], zero: Floats, width: float
) -> LayerData:
    """Describe the layer of the outlines that are drawn about a place; run in a thread.

    Parameters
    ----------
    shown : Scene
    place : (2,) array
        (y, x), frame µm.
    upto : int
        Only of the first so many.
    ids : sequence of str
        Of the chosen ones.
    zero : (2,) array
        The display's zero, frame µm.
    width : float
        Of the lines, µm.
    """
    wanted = set(ids)
    every = shown.history.exposures
    chosen = [i for i, one in enumerate(every) if one.id in wanted] if wanted else []
    lines = drawn_outlines(shown, nearest(shown, place, upto, chosen), chosen)
    room = room_for(len(every), MOST_OUTLINES, MOST_WINGS)
    return footprint_lines([replace(one, polygon=one.polygon - zero) for one in lines], width, room)


def rounded_up(value: float) -> float:
    """Give the next number of two digits."""
    if value <= 0:
        return 0.0
    step = 10.0 ** (np.floor(np.log10(value)) - 1)
    return float(np.ceil(value / step) * step)
