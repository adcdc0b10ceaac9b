"""Doses of targets and cells, and what clashes or is there twice: run in a thread."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from napari_clxem.dose import Budget, Conflict, Duplicate, TargetDose, duplicates, target_table
from napari_clxem.plugin.controllers.dose_scene import Scene
from napari_clxem.session.doses import Spot, clashes, site_spots, target_spots
from napari_clxem.session.model import Session


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
    targets, lost = target_spots(session, frame)
    said = [f"Target {one.name}: no link leads to {frame}." for one in lost]
    return [*targets, *site_spots(session, frame)[0]], said


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
    found, why = clashes(history, level)
    notes = (*lost, *([why] if why else []))
    return Findings(
        target_table(history, places, limit), found, duplicates(history.exposures), notes
    )
