"""What planned lamellae promise of their targets, as the FIB image of their site sees both."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from napari_clxem.errors import ClxemError, LamellaError, NoPathError
from napari_clxem.frames import Affine
from napari_clxem.frames.affine import Floats
from napari_clxem.lamella import (
    INSTRUMENTS,
    Capture,
    LamellaRecord,
    angles_of,
    capture_probability,
    lift,
    propose,
)
from napari_clxem.report.subject import axes_of, middle
from napari_clxem.session.geometry import graph, place
from napari_clxem.session.model import Dataset, Session, Target
from napari_clxem.session.pairs import frame_dataset, is_oblique

# A gain smaller than this is not worth the saying.
LITTLE = 0.005


@dataclass(frozen=True)
class Seen:
    """A target as the FIB image has it: in the volume, and its covariance there, µm."""

    target: Target
    position: Floats
    covariance: Floats


@dataclass(frozen=True)
class Promise:
    """What a planned lamella promises.

    Attributes
    ----------
    view : str
        Name of the FIB image; empty where none sees the lamella's volume.
    captures : mapping of str to Capture
        By the ids of the targets of the site.
    limit : str
        What limits it, a sentence; empty where that is not known.
    trouble : str
        Why nothing is promised.
    """

    view: str
    captures: Mapping[str, Capture] = field(default_factory=dict)
    limit: str = ""
    trouble: str = ""


def promised(session: Session, record: LamellaRecord) -> Promise:
    """Work out what a planned lamella promises of each target of its site."""
    views = [
        one
        for one in session.datasets
        if one.site in (None, record.site) and one.frame and is_oblique(session, one.frame)
    ]
    if not views:
        return Promise("", trouble="its site has no FIB image")
    for view in views:
        projection = seen_from(session, record.frame, view)
        if projection is not None:
            found = aims(session, record, view, projection)
            more = placing_of(record) ** 2 * np.eye(3)
            captures = {
                one.target.id: capture_probability(
                    record.lamella, one.position, one.target.radius, one.covariance + more
                )
                for one in found
            }
            return Promise(view.name or view.id, captures, limit_of(record, found, more))
    return Promise("", trouble=f"no FIB image of its site is linked with {record.frame}")


def seen_from(session: Session, frame: str, view: Dataset) -> Floats | None:
    """Give the map from a volume to a FIB image, (2, 4); None where no links lead there."""
    image = frame_dataset(session, frame)
    here = np.zeros(3) if image is None else middle(session, image)
    if here is None or len(here) != 3:
        here = np.zeros(3)
    try:
        way = graph(session).transform(frame, view.frame, [here])
        if any(axes_of(session, name) == 2 for name in way.frames[:-1]):
            return None  # a plane on the way has forgotten the heights
        angles_of(way.affine[1:3])
    except (NoPathError, LamellaError):
        return None
    return np.asarray(way.affine[1:3])


def aims(
    session: Session, record: LamellaRecord, view: Dataset, projection: Floats
) -> tuple[Seen, ...]:
    """Put the targets of a lamella's site where the FIB image expects them."""
    found = []
    for target in session.targets:
        if target.site not in (None, record.site):
            continue
        seen, deep = place(session, target, view.frame), place(session, target, record.frame)
        if seen is None or deep is None or not np.isfinite(seen.covariance).all():
            continue
        miss = np.array(seen.position) - Affine(projection).transform([deep.position])[0]
        position = np.array(deep.position) + np.linalg.pinv(projection[:, :3]) @ miss
        found.append(Seen(target, position, lift(seen.covariance, projection)))
    return tuple(found)


def placing_of(record: LamellaRecord) -> float:
    """Give the sd with which a lamella is placed, µm: as kept with it, or its instrument's."""
    if record.placing is not None:
        return record.placing
    named = (one.placing for one in INSTRUMENTS if one.name == record.instrument)
    return next(named, INSTRUMENTS[0].placing)


def limit_of(record: LamellaRecord, found: tuple[Seen, ...], more: Floats) -> str:
    """Say what limits the best lamella of this size and angle."""
    meant = [one for one in found if one.target.id in record.targets]
    if not meant:
        return ""
    box = record.lamella
    try:
        best = propose(
            np.array([one.position for one in meant]),
            np.array([one.target.radius for one in meant]),
            np.array([one.covariance for one in meant]) + more,
            angles=(box.angle, box.angle),
            usual=box.angle,
            azimuth=box.azimuth,
            thickness=box.thickness,
            width=box.width,
            length=box.length,
            damage=box.damage,
        )
    except ClxemError as error:
        return str(error)
    now = record.promised or 0.0
    if best.expected > now + LITTLE:
        return f"Where it is drawn it holds {now:.0%}; at its best place: {best.sentence}"
    return best.sentence
