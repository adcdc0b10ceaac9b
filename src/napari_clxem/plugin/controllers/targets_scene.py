"""What the FIB sees of a session's targets: pure functions of the document."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from napari_clxem.errors import ClxemError, LamellaError, NoPathError
from napari_clxem.frames import Affine, UncertainAffine
from napari_clxem.frames.affine import Floats
from napari_clxem.lamella import (
    INSTRUMENTS,
    BoxPreset,
    Capture,
    Gain,
    Instrument,
    Lamella,
    LamellaRecord,
    angles_of,
    best_beads,
    capture_probability,
    lift,
)
from napari_clxem.plugin.controllers.positions import View, axes_of
from napari_clxem.session.geometry import Place, graph, place, solve
from napari_clxem.session.model import Dataset, Session, Target, Vector
from napari_clxem.session.pairs import is_oblique

# A landmark nearer than this to another one is the same bead, µm.
SAME = 0.3
# Localisation sd of a bead picked in a FIB view, µm.
PICKED = 0.06


@dataclass(frozen=True, eq=False)
class FibView:
    """A FIB image and how the volume that lamellae are planned in shows in it.

    Parameters
    ----------
    dataset : Dataset
        The image.
    volume : str
        Frame of the volume.
    projection : (2, 4) array
        From the volume to the image, µm.
    angle, azimuth : float
        Of its ion beam in the volume's frame, degrees.
    link : str
        Id of the link where one leads there directly; empty for none.
    """

    dataset: Dataset
    volume: str
    projection: Floats
    angle: float
    azimuth: float
    link: str = ""


@dataclass(frozen=True, eq=False)
class Aim:
    """A target as the FIB view has it.

    Parameters
    ----------
    target : Target
    position : (3,) array
        In the volume, such that it shows where the view expects it, µm.
    covariance : (3, 3) array
        Of what the view knows of it, µm²; nothing along the beam.
    seen : Place
        Where it shows in the image.
    """

    target: Target
    position: Floats
    covariance: Floats
    seen: Place


def fib_datasets(session: Session, site: str | None) -> tuple[Dataset, ...]:
    """Give the FIB views of a site, and those of the whole grid."""
    return tuple(
        one
        for one in session.datasets
        if one.site in (None, site) and one.frame and is_oblique(session, one.frame)
    )


def fib_view(session: Session, dataset: Dataset, volume: str = "") -> FibView | None:
    """Find how a volume shows in a FIB image; None where no volume is linked with it.

    Parameters
    ----------
    session : Session
    dataset : Dataset
        The image.
    volume : str
        Frame to use; empty takes the one linked directly, or else most surely.
    """
    found: list[tuple[tuple[bool, float], FibView]] = []
    for frame in [volume] if volume else _volumes(session, dataset):
        try:
            way = graph(session).transform(frame, dataset.frame, [_middle(session, frame)])
        except NoPathError:
            continue
        if any(axes_of(session, name) == 2 for name in way.frames[:-1]):
            continue  # a plane on the way has forgotten the heights
        projection = way.affine[1:3]
        try:
            angle, azimuth = angles_of(projection)
        except LamellaError:
            continue
        error = float(np.trace(way.predict_error([_middle(session, frame)])[0]))
        link = way.links[0] if len(way.links) == 1 else ""
        view = FibView(dataset, frame, projection, angle, azimuth, link)
        found.append(((not link, error if np.isfinite(error) else np.inf), view))
    return min(found, key=lambda one: one[0])[1] if found else None


def _volumes(session: Session, dataset: Dataset) -> list[str]:
    frames = [one.frame for one in session.datasets if one.site in (None, dataset.site)]
    frames += [one.frame for one in session.targets if one.site in (None, dataset.site)]
    return [name for name in dict.fromkeys(frames) if name and axes_of(session, name) == 3]


def _middle(session: Session, frame: str) -> Floats:
    for one in session.datasets:
        if one.frame == frame and one.scale and len(one.scale) == 3:
            sizes = [n for n, axis in zip(one.shape, one.axes, strict=True) if axis in "zyx"]
            return np.asarray((np.array(sizes) - 1) * np.array(one.scale) / 2)
    return np.zeros(3)


def aims(session: Session, view: FibView, targets: Sequence[Target]) -> tuple[Aim, ...]:
    """Give the targets that the FIB view can place, with their predicted error there."""
    found = []
    for target in targets:
        seen = place(session, target, view.dataset.frame)
        deep = place(session, target, view.volume)
        if seen is None or deep is None or not np.isfinite(seen.covariance).all():
            continue
        linear = view.projection[:, :3]
        miss = np.array(seen.position) - Affine(view.projection).transform([deep.position])[0]
        position = np.array(deep.position) + np.linalg.pinv(linear) @ miss
        found.append(Aim(target, position, lift(seen.covariance, view.projection), seen))
    return tuple(found)


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


def promise(found: dict[str, Capture], targets: Sequence[str]) -> float | None:
    """Give the mean captured fraction over the targets meant; None where none is known."""
    shares = [found[name].volume_fraction for name in targets if name in found]
    return float(np.mean(shares)) if shares else None


def box_at(view: FibView, aim: Aim, instrument: Instrument, preset: BoxPreset) -> Lamella:
    """Give the lamella of a preset about one target, cut as the view looks."""
    z, y, x = aim.position.tolist()
    plain = Lamella((z, y, x), view.angle, view.azimuth, damage=instrument.damage)
    return preset.applied(plain)


def stage_tilt_for(view: FibView, angle: float) -> float | None:
    """Give the stage tilt at which a lamella of some milling angle is cut, degrees.

    Reckoned from the tilt the image was taken at, so that shuttle and film tilt drop out; None
    where the image does not say its tilt.
    """
    stage = view.dataset.stage
    if stage is None or stage.tilt is None:
        return None
    return stage.tilt + angle - view.angle


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


def shown_placement(session: Session, record: LamellaRecord, view: View) -> Floats | None:
    """Give how a lamella's frame lies in the display, (4, 4) µm; None where no links lead there."""
    try:
        way = graph(session).transform(record.frame, view.frame, [_here(session, record)])
    except NoPathError:
        return None
    matrix = way.placement.copy()
    matrix[:3, 3] -= view.origin
    return matrix


def _here(session: Session, record: LamellaRecord) -> Vector:
    return record.lamella.centre[3 - axes_of(session, record.frame) :]


def moved_target(session: Session, view: View, target: Target, spot: Floats) -> Target | None:
    """Put a target where it shows at a place of the display, its height kept.

    Parameters
    ----------
    spot : (2,) array
        (y, x) display µm.
    """
    try:
        way = graph(session).transform(target.frame, view.frame, [target.position])
    except NoPathError:
        return None
    matrix = Affine(way.placement)
    before = np.concatenate([np.zeros(3), target.position])[-3:]
    there = matrix.transform([before])[0]
    there[1:] = spot + np.array(view.origin[1:])
    back = matrix.inverted().transform([there])[0][3 - len(target.position) :]
    return replace(target, position=tuple(float(v) for v in back))
