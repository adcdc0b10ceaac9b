"""Fields for X-ray tomograms over the targets of a grid: pure functions of the document."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from napari_clxem.dose import cumulative
from napari_clxem.errors import LamellaError, NoPathError, WriteError
from napari_clxem.frames import Affine
from napari_clxem.frames.affine import Floats
from napari_clxem.io.exchange import Entry, write_list
from napari_clxem.lamella import Optics, SiteProposal, propose_sites
from napari_clxem.plugin.controllers.positions import View, axes_of, spatial
from napari_clxem.plugin.controllers.targets_export import stage_frame
from napari_clxem.plugin.controllers.targets_scene import SAME
from napari_clxem.session.geometry import graph, place
from napari_clxem.session.model import Dataset, Session, Target
from napari_clxem.session.pairs import is_oblique

# The microscope is aimed by its light microscope, else by its own mosaic.
AIMED_BY = ("vlm", "sxt", "fluorescence")


def aiming_maps(session: Session) -> tuple[Dataset, ...]:
    """Give the maps of the grid, those a synchrotron's microscope is aimed by first."""
    found = [
        one
        for one in session.datasets
        if one.site is None
        and one.frame
        and axes_of(session, one.frame) == 2
        and spatial(one) is not None
        and not is_oblique(session, one.frame)
    ]
    order = {name: n for n, name in enumerate(AIMED_BY)}
    return tuple(sorted(found, key=lambda one: order.get(one.modality, len(order))))


def beads_on(session: Session, frame: str) -> Floats:
    """Give the beads that links know on a map, (n, 2) µm."""
    found: list[tuple[float, ...]] = []
    for link in session.links:
        for side in ("moving", "fixed"):
            if getattr(link, side) != frame:
                continue
            for mark in link.landmarks:
                spot = getattr(mark, side)
                known = np.array(found).reshape(-1, 2)
                if spot is None or not mark.use:
                    continue
                if not len(known) or np.linalg.norm(known - spot[-2:], axis=1).min() > SAME:
                    found.append(spot[-2:])
    return np.array(found).reshape(-1, 2)


def fields(session: Session, map_: Dataset, optics: Optics) -> tuple[SiteProposal, ...]:
    """Propose a tomogram field for every target that the map can place, ranked.

    Whatever an exposure of the session reaches, done or planned, is kept clear of.

    Parameters
    ----------
    session : Session
    map_ : Dataset
        The map the microscope is aimed by.
    optics : Optics
        Field, beam and tilts.

    Raises
    ------
    LamellaError
        Where no target can be placed on the map.
    """
    spots, spreads, targets = [], [], []
    for target in session.targets:
        there = place(session, target, map_.frame)
        if there is not None:
            spots.append(there.position[-2:])
            spreads.append(np.array(there.covariance)[-2:, -2:])
            targets.append(target)
    if not targets:
        raise LamellaError(
            f"No target can be placed on {map_.name}: pick targets, and link their images with it."
        )
    links = graph(session)

    def spent(points: Floats) -> Floats:
        return np.asarray(cumulative(session.exposures, points, links, map_.frame) > 0)

    return propose_sites(
        np.array(spots),
        beads_on(session, map_.frame),
        optics,
        radii=np.array([one.radius for one in targets]),
        names=[one.name or one.id for one in targets],
        pointing=lambda _points: np.array(spreads),
        forbidden=(spent,) if session.exposures else (),
    )


def drawn_fields(
    session: Session, map_: Dataset, found: Sequence[SiteProposal], view: View
) -> tuple[list[Floats], list[Floats]]:
    """Give the outlines of fields and of their halos in the display, (n, 2) µm each."""
    if not found or not view.frame:
        return [], []
    centre = [found[0].centre]
    try:
        way = graph(session).transform(map_.frame, view.frame, centre)
    except NoPathError:
        return [], []
    where = Affine(way.placement)

    def shown(corners: Floats) -> Floats:
        flat = np.column_stack([np.zeros(len(corners)), corners])
        return np.asarray(where.transform(flat)[:, 1:] - np.array(view.origin[1:]))

    square = 0.5 * np.array([[-1.0, -1.0], [-1.0, 1.0], [1.0, 1.0], [1.0, -1.0]])
    boxes = [shown(np.array(one.centre) + square * np.array(one.size)) for one in found]
    return boxes, [shown(np.array(one.halo)) for one in found]


def write_fields(
    path: str | Path, session: Session, map_: Dataset, found: Sequence[SiteProposal]
) -> str:
    """Write fields as a list (CSV): in pixels of the map, and on the stage where it is known.

    Returns
    -------
    str
        What was written, for people.

    Raises
    ------
    WriteError
        Where there is no field, or the file cannot be written.
    """
    known = spatial(map_)
    if not found or known is None:
        raise WriteError("There is no field to write; press Propose sites first.")
    stage = stage_frame(session, (map_.modality, "vlm", "sxt"))
    height = map_.stage.position[0] if map_.stage else float("nan")
    lines = []
    for one in found:
        centre = Target(id="-", frame=map_.frame, position=one.centre)
        spot = place(session, centre, stage) if stage else None
        on_stage = None
        if spot is not None and np.isfinite(height):
            on_stage = (float(height), spot.position[-2], spot.position[-1])
        lines.append(
            Entry(
                name=one.name,
                kind="field",
                stage=on_stage,
                image=map_.name,
                pixel=(one.centre[0] / known[1][-2], one.centre[1] / known[1][-1]),
                width=one.size[1],
                length=one.size[0],
                sd=None if one.pointing is None else (one.pointing, one.pointing),
                note=" ".join((f"{one.beads} beads.", *one.notes)),
            )
        )
    write_list(lines, path)
    where = f"on {stage}" if stage else "in pixels only: no link leads to a stage"
    return f"{len(lines)} fields written to {Path(path).name}, {where}."


def field_cells(one: SiteProposal) -> tuple[str, ...]:
    """Write one line of the table of fields."""
    holds = "–" if one.holds is None else f"{one.holds:.0%}"
    return one.name, f"{one.beads}", holds, "yes" if one.clear else "NO", f"{one.score:.2f}"
