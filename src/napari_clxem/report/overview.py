"""The grid at a glance: its map with sites, targets, fields, lamellae and footprints to scale."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from napari_clxem.dose import History, outlines
from napari_clxem.errors import ClxemError
from napari_clxem.frames.affine import Floats
from napari_clxem.report.crops import Crop, whole
from napari_clxem.report.drawing import FIELD, LAMELLA, SITE, TARGET, Drawing
from napari_clxem.report.head import STATUS
from napari_clxem.report.markup import (
    Html,
    figure,
    lines,
    missing,
    section,
)
from napari_clxem.report.subject import Subject, corners, label_of, name_of
from napari_clxem.report.words import several
from napari_clxem.session.extents import axes_of, finest_first
from napari_clxem.session.geometry import place
from napari_clxem.session.model import Site

TITLE = "Overview"
NO_MAP = "The session has no map of the grid with a pixel size: the ground stays blank."
# More footprints than this cover the map instead of showing on it.
MOST = 200


@dataclass(frozen=True)
class Stroke:
    """How the footprints of a modality are drawn: colour and dashes, and what to call them."""

    name: str
    colour: str
    dashes: tuple[float, ...]
    pattern: str


_XRAYS = Stroke("X-rays", "#e69f00", (), "full")
_ELECTRONS = Stroke("TEM", "#56b4e9", (12.0, 6.0), "dashed")
_LIGHT = Stroke("light", "#4fd0a0", (24.0, 8.0), "long dashes")
_OTHER = Stroke("other", "#d0d0d0", (3.0, 9.0), "sparse dots")
STROKES: Mapping[str, Stroke] = MappingProxyType(
    {
        **dict.fromkeys(("sxt", "xray", "x-ray"), _XRAYS),
        **dict.fromkeys(("tem", "et", "cryo-et"), _ELECTRONS),
        "sem": Stroke("SEM", "#f29ac2", (4.0, 5.0), "dotted"),
        "fib": Stroke("FIB", "#c9a0ff", (16.0, 5.0, 4.0, 5.0), "dash and dot"),
        **dict.fromkeys(("confocal", "widefield", "fluorescence", "vlm", "light"), _LIGHT),
    }
)


def overview(subject: Subject) -> Html:
    """Draw the map of the grid with all that has a place on it."""
    if not subject.frame:
        return section(
            "overview", TITLE, missing("No image has a frame yet, so no overview can be drawn.")
        )
    subject.step("drawing the overview")
    ground, said = _ground(subject)
    fields = {one.id: field_of(subject, one) for one in subject.session.sites}
    low, high = _window(subject, ground, [one for one in fields.values() if one is not None])
    if low is None or high is None:
        said.append("Nothing of the session has a place in its map yet, so no overview is drawn.")
        return section("overview", TITLE, *(missing(one) for one in said))
    drawing = Drawing(low, high, f"Overview of the grid in {subject.frame}", text=20.0)
    drawing.ground("#d9d9d9")
    if ground is not None:
        drawing.picture(ground)
    drawing.bar()
    strokes = _footprints(subject, drawing)
    _plans(subject, drawing)
    for site in subject.session.sites:
        box = fields[site.id]
        if box is None:
            said.append(
                f"Site {label_of(site)} has no image that links lead from to {subject.frame}."
            )
            continue
        drawing.polygon(box, SITE, (), 2.5)
    lost = _targets(subject, drawing)
    for site in subject.session.sites:
        box = fields[site.id]
        if box is not None:
            top = np.array([box[:, 0].min(), box[:, 1].mean()])
            drawing.label(top, f"{label_of(site)} {STATUS[site.status]}", SITE, 6.0)
    if lost:
        said.append(f"No links lead to {subject.frame} from the targets {', '.join(lost)}.")
    picture = figure(drawing.svg(), _legend(subject, ground is not None, strokes), "whole")
    return section("overview", TITLE, picture, *(missing(one) for one in said))


def _ground(subject: Subject) -> tuple[Crop | None, list[str]]:
    """Read the map small, or say why there is none."""
    dataset = subject.map
    if dataset is None:
        return None, [NO_MAP]
    image = subject.image(dataset)
    if isinstance(image, str):
        return None, [f"The map is not drawn: {image}"]
    try:
        return whole(image, name_of(dataset)), []
    except ClxemError as error:
        return None, [f"The map is not drawn: {error}"]


def field_of(subject: Subject, site: Site) -> Floats | None:
    """Give the outline of a site's finest image on the map, (n, 2) µm; None for none."""
    for one in finest_first(subject.session, site.id):
        box = corners(subject.session, one)
        way = None if box is None else subject.way(one.frame, subject.frame, box)
        if box is not None and way is not None:
            return np.asarray(way.transform(box))[:, -2:]
    return None


def _window(
    subject: Subject, ground: Crop | None, boxes: list[Floats]
) -> tuple[Floats | None, Floats | None]:
    """Choose what is shown: the map, and what lies beyond it at the sites."""
    spots = [box for box in boxes if np.isfinite(box).all()]
    if subject.map is not None:
        box = corners(subject.session, subject.map)
        if box is not None:
            spots.append(box[:, -2:])
    if ground is not None:
        spots.append(np.array([ground.low, ground.high]))
    for target in subject.session.targets:
        found = place(subject.session, target, subject.frame)
        if found is not None:
            spots.append(np.array([found.position[-2:]]))
    if not spots:
        return None, None
    every = np.vstack(spots)
    low, high = every.min(axis=0), every.max(axis=0)
    margin = np.maximum(0.02 * (high - low).max(), 0.5)
    return low - margin, high + margin


def _footprints(subject: Subject, drawing: Drawing) -> dict[Stroke, int]:
    """Draw the outlines of exposures; gives how many of each kind."""
    past = subject.history
    if isinstance(past, str) or not subject.session.exposures:
        return {}
    middle = (drawing.low + drawing.high) / 2
    chosen = past.nearest(middle, MOST).tolist()
    drawn: dict[Stroke, int] = {}
    for index, found in footprints(past, chosen).items():
        one = past.exposures[index]
        stroke = STROKES.get(one.modality.lower(), _OTHER)
        for ring in found:
            edge = ring is found[0] and one.counts and not one.at_surface
            drawing.polygon(ring, stroke.colour, stroke.dashes, 3.0 if edge else 1.5)
        drawn[stroke] = drawn.get(stroke, 0) + 1
        if one.planned:
            drawing.cross(found[0].mean(axis=0), stroke.colour, 8.0)
    return drawn


def footprints(past: History, chosen: list[int]) -> dict[int, list[Floats]]:
    """Give the outer edge and the core of exposures, those seen edge-on left out."""
    found: dict[int, list[Floats]] = {}
    for index in chosen:
        try:
            rings = outlines(past, [index]).get(index, ())
        except ClxemError:
            continue
        kept = [one.polygon for one in rings if len(one.polygon) > 2]
        if kept:
            found[index] = kept
    return found


def _plans(subject: Subject, drawing: Drawing) -> None:
    """Draw tomogram fields and lamellae."""
    session = subject.session
    for record in session.fields:
        way = subject.way(record.frame, subject.frame)
        if record.reserves and way is not None:
            drawing.polygon(_flat(subject, record.frame, record.outline), FIELD, (10, 6), 2.5)
    for box in session.lamellae:
        if subject.way(box.frame, subject.frame) is not None:
            drawing.polygon(_flat(subject, box.frame, box.lamella.mid_plane), LAMELLA, (), 2.5, 0.2)


def _flat(subject: Subject, frame: str, places: Floats) -> Floats:
    """Bring places of a frame to the map, (n, 2) µm."""
    ndim = axes_of(subject.session, frame)
    there = places[:, -ndim:] if places.shape[1] >= ndim else _raised(places)
    way = subject.way(frame, subject.frame, there)
    assert way is not None
    return np.asarray(way.transform(there))[:, -2:]


def _raised(places: Floats) -> Floats:
    return np.column_stack([np.zeros(len(places)), places])


def _targets(subject: Subject, drawing: Drawing) -> list[str]:
    """Mark the targets with their 95 % ellipses; gives those that have no place."""
    lost, seen = [], []
    for target in subject.session.targets:
        found = place(subject.session, target, subject.frame)
        if found is None:
            lost.append(label_of(target))
            continue
        spot = np.array(found.position[-2:])
        drawing.cross(spot, TARGET, 7.0)
        drawing.ellipse(spot, np.array(found.covariance)[-2:, -2:], found.radius)
        seen.append((target, spot))
    for target, spot in seen:
        drawing.label(spot, label_of(target), TARGET, 11.0)
    return lost


def _legend(subject: Subject, pictured: bool, strokes: dict[Stroke, int]) -> Html:
    """Say what is drawn, with its sign in words."""
    named = "" if subject.map is None else f" on {name_of(subject.map)}"
    said: list[object] = [
        f"The grid in {subject.frame}{named if pictured else ''}, drawn to scale. "
        "White boxes: the finest image of each site with its name and status "
        f"({', '.join(f'{sign} {name}' for name, sign in STATUS.items())}). "
        "Yellow crosses: targets, with the ellipse that holds them with 95 %."
    ]
    session = subject.session
    if any(one.reserves for one in session.fields):
        said.append("Blue dashed squares: tomogram fields.")
    if session.lamellae:
        said.append("Orange filled outlines: lamellae in plan.")
    if strokes:
        kinds = ", ".join(
            f"{one.name} {one.pattern} ({several(count, 'exposure')})"
            for one, count in strokes.items()
        )
        more = sum(strokes.values())
        rest = len(session.exposures) - more
        left = f" {rest} more are not drawn." if rest else ""
        said.append(
            f"Footprints, outer edge and core: {kinds}; a cross in the middle marks planned "
            f"ones.{left}"
        )
    elif isinstance(subject.history, str) and session.exposures:
        said.append(f"Footprints are not drawn: {subject.history}")
    elif session.exposures:
        said.append("No footprint of an exposure reaches this frame.")
    return lines(said)
