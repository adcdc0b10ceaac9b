"""What a planned lamella promises of its targets, what limits it, and what would raise it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from napari_clxem.errors import ClxemError
from napari_clxem.frames import UncertainAffine
from napari_clxem.frames.affine import Floats
from napari_clxem.lamella import (
    INSTRUMENTS,
    Capture,
    Gain,
    Instrument,
    Lamella,
    LamellaRecord,
    Proposal,
    best_beads,
    capture_probability,
    propose,
)
from napari_clxem.session.fib_views import Aim, FibView
from napari_clxem.session.geometry import place, solve
from napari_clxem.session.model import Session, Vector

# A landmark nearer than this to another one is the same bead, µm.
SAME = 0.3
# Localisation sd of a bead picked in a FIB view, µm.
PICKED = 0.06
# A gain smaller than this is not worth the saying.
LITTLE = 0.005


def captures(lamella: Lamella, seen: Sequence[Aim], placing: float = 0.0) -> dict[str, Capture]:
    """Give what a lamella promises of each target, by its id.

    Parameters
    ----------
    lamella : Lamella
        In the volume of the view that the targets are seen in.
    seen : sequence of Aim
    placing : float
        Sd with which the microscope puts the box where it is drawn, µm.
    """
    more = placing**2 * np.eye(3)
    return {
        aim.target.id: capture_probability(
            lamella, aim.position, aim.target.radius, aim.covariance + more
        )
        for aim in seen
    }


def placing_of(record: LamellaRecord | None, default: Instrument = INSTRUMENTS[0]) -> float:
    """Give the sd with which a lamella is placed: as kept with it, else that of its instrument.

    Parameters
    ----------
    record : LamellaRecord or None
    default : Instrument
        Where there is no record, or it names none.

    Returns
    -------
    float
        µm.
    """
    if record is not None and record.placing is not None:
        return record.placing
    return instrument_of(record, default).placing


def instrument_of(record: LamellaRecord | None, default: Instrument = INSTRUMENTS[0]) -> Instrument:
    """Give the instrument that a lamella is cut on."""
    name = record.instrument if record else ""
    return next((one for one in INSTRUMENTS if one.name == name), default)


def promise(found: Mapping[str, Capture], targets: Sequence[str]) -> float | None:
    """Give the mean captured fraction over the targets meant; None where none is known."""
    shares = [found[name].volume_fraction for name in targets if name in found]
    return float(np.mean(shares)) if shares else None


def gain(
    session: Session, view: FibView, record: LamellaRecord, seen: Sequence[Aim], placing: float
) -> Gain | None:
    """Say which two beads, picked in the FIB view as well, would help the lamella most.

    The candidates are beads that other links know in the same volume; None where there are none,
    or the view is not linked directly with the volume.
    """
    meant = [aim for aim in seen if aim.target.id in record.targets]
    link = next((one for one in session.links if one.id == view.link), None)
    if link is None or not meant or record.frame != view.volume:
        return None
    spots = _beads(session, view)
    try:
        found = solve(link)
    except ClxemError:
        return None  # said where links are listed
    if not len(spots) or not isinstance(found, UncertainAffine) or found.affine.shape != (2, 4):
        return None
    aim = min(meant, key=lambda one: capture_of(record.lamella, one, placing))
    there = place(session, aim.target, view.volume)
    own = np.array(there.covariance) if there is not None else None
    return best_beads(
        record.lamella,
        aim.position,
        aim.target.radius,
        found,
        spots,
        PICKED,
        covariance=own,
        placement=placing,
    )


def capture_of(lamella: Lamella, aim: Aim, placing: float) -> float:
    """Give the expected captured fraction of one target."""
    return captures(lamella, [aim], placing)[aim.target.id].volume_fraction


def _beads(session: Session, view: FibView) -> Floats:
    """Give beads that links know in the volume and that are not picked in the FIB view."""
    used: list[Vector] = []
    free: list[Vector] = []
    for link in session.links:
        sides = {link.moving: "moving", link.fixed: "fixed"}
        if view.volume not in sides:
            continue
        here = used if view.dataset.frame in sides else free
        for mark in link.landmarks:
            spot: Vector | None = getattr(mark, sides[view.volume])
            if spot is not None and len(spot) == 3 and mark.use:
                here.append(spot)
    kept: list[Vector] = []
    for spot in free:
        known = np.array([*used, *kept]).reshape(-1, 3)
        if not len(known) or np.linalg.norm(known - spot, axis=1).min() > SAME:
            kept.append(spot)
    return np.array(kept).reshape(-1, 3)


def gain_of(
    session: Session, view: FibView, record: LamellaRecord, seen: Sequence[Aim], placing: float
) -> str:
    """Say what more beads, picked in the FIB view as well, would bring; empty where unknown."""
    more = gain(session, view, record, seen, placing)
    if more is None:
        return ""
    if more.after > more.before + LITTLE:
        return more.sentence
    return "More beads picked in the FIB image would bring nothing here."


def best_box(
    base: Lamella, meant: Sequence[Aim], placing: float, angles: tuple[float, float]
) -> Proposal:
    """Find the lamella of the size of another one that holds most of the targets meant.

    Parameters
    ----------
    base : Lamella
        In the volume of the view that the targets are seen in.
    meant : sequence of Aim
    placing : float
        Sd with which the microscope puts the box where it is drawn, µm.
    angles : tuple of float
        Milling angles to choose from, in the volume, degrees.

    Raises
    ------
    ClxemError
        Where no such lamella can be proposed.
    """
    return propose(
        np.array([one.position for one in meant]),
        np.array([one.target.radius for one in meant]),
        np.array([one.covariance for one in meant]) + placing**2 * np.eye(3),
        angles=angles,
        usual=float(np.clip(base.angle, *angles)),
        azimuth=base.azimuth,
        thickness=base.thickness,
        width=base.width,
        length=base.length,
        damage=base.damage,
    )


def limit_of(record: LamellaRecord, seen: Sequence[Aim], placing: float) -> str:
    """Say what limits the best lamella of this size and angle; empty where no target is in reach.

    Parameters
    ----------
    record : LamellaRecord
    seen : sequence of Aim
    placing : float
        Sd with which the microscope puts the box where it is drawn, µm.
    """
    box = record.lamella
    meant = [one for one in seen if one.target.id in record.targets]
    if not meant:
        return ""
    try:
        best = best_box(box, meant, placing, (box.angle, box.angle))
    except ClxemError as error:
        return str(error)
    now = promise(captures(box, meant, placing), record.targets) or 0.0
    said = best.sentence
    if best.expected > now + LITTLE:
        said = f"Where it is drawn it holds {now:.0%}; at its best place: {said}"
    if best.losses.limit == "registration":
        said = f"{said} {pick_sentence(record.frame, box, meant)}".rstrip()
    return said


def pick_sentence(volume: str, box: Lamella, meant: Sequence[Aim]) -> str:
    """Say where most of the error across a lamella is that of the pick; empty where it is not.

    Parameters
    ----------
    volume : str
        Frame of the lamella.
    box : Lamella
    meant : sequence of Aim
        Its targets.
    """
    for aim in meant:
        target = aim.target
        if target.frame != volume or target.sigma is None or len(target.sigma) != 3:
            continue
        own = float((box.normal**2) @ np.square(target.sigma))
        if own > 0.5 * float(box.normal @ aim.covariance @ box.normal):
            return (
                f"Most of that error is the pick of {target.name or target.id} itself "
                f"(±{own**0.5 * 1000:.0f} nm): pick it with Snap, or say how sure it is."
            )
    return ""
