"""SerialEM Navigator items: points and polygons on the stage, and registration points.

Items are placed by their stage position, so that SerialEM needs no map to show them. What is added
to a file of SerialEM goes behind its own items, which stay as they are.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from napari_clxem.errors import WriteError
from napari_clxem.io.exchange.text import one_line, read_text, write_text
from napari_clxem.io.readers.navigator import NavItem, read_navigator

#: SerialEM gives its own items larger identifiers.
LARGEST_ID = 100_000
_HEAD = "AdocVersion = 2.00\n"


@dataclass(frozen=True, kw_only=True)
class NavPoint:
    """A point of the Navigator.

    Parameters
    ----------
    label : str
        What the Navigator shows.
    stage : tuple of float
        Stage (z, y, x), µm.
    note : str
    acquire : bool
        Whether it is marked for acquisition.
    drawn_on : int
        Identifier of the map it belongs to; 0 for none.
    group : int
        Identifier shared by items of one group; 0 for none.
    registration : int
        Registration (state of the grid on the stage) it belongs to, from 1.
    registration_point : int
        Number that pairs it with a point of another registration; 0 for none.
    colour : int
        0 red, 1 green, 2 blue, 3 yellow, 4 magenta.
    """

    label: str
    stage: tuple[float, float, float]
    note: str = ""
    acquire: bool = False
    drawn_on: int = 0
    group: int = 0
    registration: int = 1
    registration_point: int = 0
    colour: int = 0


@dataclass(frozen=True, kw_only=True)
class NavPolygon:
    """A polygon of the Navigator, such as a lamella's outline.

    Parameters
    ----------
    label : str
    corners : tuple of (float, float)
        Stage (y, x), µm, at least three; SerialEM's closing corner is added.
    height : float
        Stage z, µm.
    note, drawn_on, group, registration, colour
        As of :class:`NavPoint`.
    """

    label: str
    corners: tuple[tuple[float, float], ...]
    height: float = 0.0
    note: str = ""
    drawn_on: int = 0
    group: int = 0
    registration: int = 1
    colour: int = 1


Item = NavPoint | NavPolygon


def write_navigator(
    items: Iterable[Item], path: str | Path, onto: str | Path | None = None
) -> None:
    """Write items as a Navigator file.

    Parameters
    ----------
    items : iterable of NavPoint or NavPolygon
    path : str or Path
    onto : str or Path, optional
        A Navigator file (text) whose items come first, as they are.

    Raises
    ------
    WriteError
        Where an item cannot be held: not finite, a line break, fewer than three corners; or
        where `onto` is the XML form.
    ReadError
        Where `onto` cannot be read.
    """
    before, taken = _HEAD, {0}
    if onto is not None:
        taken |= {item.map_id for item in read_navigator(onto).items}
        before = read_text(onto).rstrip("\r\n") + "\n"
        if before.lstrip().startswith("<"):
            raise WriteError(
                f"{Path(onto).name} is a Navigator file in XML; save it as text in SerialEM first."
            )
    free = (number for number in range(1, LARGEST_ID) if number not in taken)
    parts = [_section(item, next(free)) for item in items]
    write_text(path, "\n".join([before, *parts]))


def _section(item: Item, identifier: int) -> str:
    label = one_line(item.label, "The label") or f"clxem-{identifier}"
    if "]" in label or "[" in label:
        raise WriteError(f"The label {label!r} has a bracket, which a Navigator file cannot hold.")
    if isinstance(item, NavPoint):
        places = np.array([item.stage[1:]], float)
        centre, kind = item.stage, 0
    else:
        places = np.array(item.corners, float).reshape(-1, 2)
        if len(places) < 3:
            raise WriteError(f"The polygon {label!r} has fewer than three corners.")
        middle = places.mean(axis=0)
        centre, kind = (item.height, float(middle[0]), float(middle[1])), 1
        places = np.vstack([places, places[:1]])
    if not all(map(math.isfinite, (*centre, *places.ravel().tolist()))):
        raise WriteError(f"The item {label!r} is not at a finite place; place it first.")
    z, y, x = centre
    entries: list[tuple[str, object]] = [
        ("Color", item.colour),
        ("StageXYZ", f"{float(x)!r} {float(y)!r} {float(z)!r}"),
        ("NumPts", len(places)),
        ("Regis", item.registration),
        ("Type", kind),
        ("MapID", identifier),
    ]
    if isinstance(item, NavPoint):
        entries += [("RegPt", item.registration_point)] if item.registration_point else []
        entries += [("Acquire", 1)] if item.acquire else []
    entries += [("DrawnID", item.drawn_on)] if item.drawn_on else []
    entries += [("GroupID", item.group)] if item.group else []
    entries += [("Note", one_line(item.note, "The note"))] if item.note else []
    entries.append(("PtsX", " ".join(repr(v) for v in places[:, 1].tolist())))
    entries.append(("PtsY", " ".join(repr(v) for v in places[:, 0].tolist())))
    lines = [f"[Item = {label}]", *(f"{key} = {value}" for key, value in entries)]
    return "\n".join(lines) + "\n"


def written_items(items: Sequence[NavItem]) -> tuple[Item, ...]:
    """Give points and polygons of a Navigator file as they would be written; maps are left."""
    found: list[Item] = []
    for item in items:
        if item.kind == "point":
            found.append(
                NavPoint(
                    label=item.label,
                    stage=item.stage,
                    note=item.note,
                    acquire=item.section_text.number("Acquire") == 1,
                    drawn_on=item.drawn_id,
                    group=item.group_id,
                    registration=item.registration,
                    registration_point=int(item.section_text.number("RegPt") or 0),
                    colour=int(item.section_text.number("Color") or 0),
                )
            )
        elif item.kind == "polygon" and len(item.points) > 2:
            corners = item.points
            if np.array_equal(corners[0], corners[-1]):
                corners = corners[:-1]
            found.append(
                NavPolygon(
                    label=item.label,
                    corners=tuple((float(y), float(x)) for y, x in corners),
                    height=item.stage[0],
                    note=item.note,
                    drawn_on=item.drawn_id,
                    group=item.group_id,
                    registration=item.registration,
                    colour=int(item.section_text.number("Color") or 0),
                )
            )
    return tuple(found)


def stage_of(
    item: NavItem, points: ArrayLike, shape: tuple[int, int], pixel: float
) -> Sequence[tuple[float, float]]:
    """Give stage positions (y, x) µm of points (y, x) µm in the image of a map.

    Parameters
    ----------
    item : NavItem
        The map; its MapScaleMat places it.
    points : (n, 2) array_like
        In the image's own frame, µm from the centre of its first pixel.
    shape : tuple of int
        Rows and columns of the image.
    pixel : float
        Pixel size by which the points were reckoned, µm.

    Raises
    ------
    WriteError
        Where the map has no scale matrix or stage position.
    """
    matrix = item.pixel_to_stage(*shape)
    if matrix is None:
        raise WriteError(
            f"The map {item.label!r} does not say where it lies on the stage; link it first."
        )
    indices = np.asarray(points, float).reshape(-1, 2) / pixel
    places = indices @ matrix[:2, :2].T + matrix[:2, 2]
    return [(float(y), float(x)) for y, x in places]
