"""Doses of targets and cells, and what clashes or is there twice: run in a thread."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from napari_clxem.dose import (
    Budget,
    Conflict,
    Duplicate,
    TargetDose,
    conflicts,
    duplicates,
    target_table,
)
from napari_clxem.errors import ClxemError, NoPathError
from napari_clxem.frames.affine import Floats
from napari_clxem.plugin.controllers.dose_scene import Scene
from napari_clxem.plugin.controllers.positions import axes_of, spatial
from napari_clxem.session.geometry import graph, place
from napari_clxem.session.model import Dataset, Session

Spot = tuple[str, Floats, float]
# Looking for conflicts samples every planned footprint.
MOST_PLANNED = 100


@dataclass(frozen=True)
class Findings:
    """What is to be known of a scene beyond its map.

    Attributes
    ----------
    targets : tuple of TargetDose
    conflicts : tuple of Conflict
    duplicates : tuple of Duplicate
    notes : tuple of str
        What could not be said, a sentence each.
    """

    targets: tuple[TargetDose, ...] = ()
    conflicts: tuple[Conflict, ...] = ()
    duplicates: tuple[Duplicate, ...] = ()
    notes: tuple[str, ...] = ()


def spots(session: Session, frame: str) -> tuple[list[Spot], list[str]]:
    """Give targets and cells with their places in a frame, and which cannot be placed.

    Returns
    -------
    list of (str, (d,) array, float)
        Name, position and radius, µm: every target, and of every site its finest image.
    list of str
        Sentences.
    """
    found, lost = [], []
    for target in session.targets:
        there = place(session, target, frame)
        if there is None:
            lost.append(f"Target {target.name}: no link leads to {frame}.")
        else:
            found.append((target.name, np.array(there.position), target.radius))
    for site in session.sites:
        spot = _cell(session, site.id, frame)
        if spot is not None:
            found.append((f"Cell {site.name or site.id}", *spot))
    return found, lost


def _cell(session: Session, site: str, frame: str) -> tuple[Floats, float] | None:
    """Middle of the finest volume of a site in a frame, and half its smaller side, µm."""
    images = [one for one in session.datasets if one.site == site and spatial(one) is not None]
    for one in sorted(images, key=lambda image: ("z" not in image.axes, _pixel(image))):
        known = spatial(one)
        assert known is not None
        size = (np.array(known[0]) - 1) * np.array(known[1])
        middle = np.concatenate([np.zeros(3), size / 2])[-axes_of(session, one.frame) :]
        try:
            route = graph(session).transform(one.frame, frame, [middle])
        except NoPathError:
            continue
        return route.transform([middle])[0], float(size[-2:].min() / 2)
    return None


def _pixel(dataset: Dataset) -> float:
    return dataset.scale[-1] if dataset.scale else np.inf


def findings(
    shown: Scene, places: Sequence[Spot], lost: Sequence[str], limit: Budget, level: float
) -> Findings:
    """Look at targets, conflicts and duplicates.

    Parameters
    ----------
    shown : Scene
    places, lost
        As :func:`spots` gives them.
    limit : Budget
        What doses are held against.
    level : float
        Dose that no place should get, MGy.
    """
    history = shown.history
    notes = list(lost)
    ahead = sum(one.planned for one in history.exposures)
    clashes: tuple[Conflict, ...] = ()
    if ahead <= MOST_PLANNED:
        try:
            clashes = conflicts(history, level)
        except ClxemError as error:  # a frame seen edge-on must not hide the table
            notes.append(str(error))
    else:
        notes.append(
            f"{ahead} exposures are planned; whether they touch spent areas is only looked for "
            f"among {MOST_PLANNED} or fewer."
        )
    return Findings(
        target_table(history, places, limit), clashes, duplicates(history.exposures), tuple(notes)
    )
