"""What is wrong with targets, boxes and the FIB view, a sentence each: pure functions."""

from __future__ import annotations

import numpy as np

from napari_clxem.errors import ClxemError
from napari_clxem.frames import Affine
from napari_clxem.frames.affine import Floats
from napari_clxem.lamella import Instrument, Lamella, LamellaRecord
from napari_clxem.plugin.controllers.targets_scene import stage_tilt_for
from napari_clxem.session.extents import spatial
from napari_clxem.session.fib_views import Aim, FibView
from napari_clxem.session.geometry import place, solve
from napari_clxem.session.model import Dataset, Session, Target


def target_warnings(
    session: Session,
    site: str | None,
    target: Target | None,
    view: FibView | None,
    aim: Aim | None,
) -> tuple[str, ...]:
    """Say what is wrong with a target and with the FIB view, a sentence each.

    Parameters
    ----------
    session : Session
    site : str or None
        Shown.
    target : Target or None
        Chosen.
    view : FibView or None
    aim : Aim or None
        The target as the view has it.
    """
    found = (_target_outside(session, site, target), _aim_outside(view, aim))
    return tuple(one for one in (*found, _mirror(session, view)) if one)


def box_warnings(
    session: Session,
    view: FibView | None,
    record: LamellaRecord | None,
    lamella: Lamella | None,
    instrument: Instrument,
) -> tuple[str, ...]:
    """Say what is wrong with a box, a sentence each; quick enough for every step of a drag.

    Parameters
    ----------
    session : Session
    view : FibView or None
    record : LamellaRecord or None
        Chosen.
    lamella : Lamella or None
        Its box as it is drawn.
    instrument : Instrument
        It is cut on.
    """
    if view is None or record is None or lamella is None:
        return ()
    found = (
        _angle_out_of_reach(view, lamella, instrument),
        _box_outside(session, view, record, lamella),
        _joints_meet(record, lamella),
    )
    return tuple(one for one in found if one)


def _target_outside(session: Session, site: str | None, target: Target | None) -> str:
    if target is None:
        return ""
    inside = [
        _covers(session, one, target)
        for one in session.datasets
        if one.frame and one.site in (None, site) and spatial(one) is not None
    ]
    known = [one for one in inside if one is not None]
    if any(known) or not known:
        return ""
    return f"{target.name or target.id} lies outside of every image of the site; pick it again."


def _covers(session: Session, dataset: Dataset, target: Target) -> bool | None:
    """Tell whether an image holds a target; None where no links lead there."""
    there = place(session, target, dataset.frame)
    known = spatial(dataset)
    if there is None or known is None:
        return None
    count = len(known[0])
    return _within(np.array(there.position[-count:]), dataset)


def _within(spot: Floats, dataset: Dataset) -> bool:
    known = spatial(dataset)
    if known is None:
        return False
    step = np.array(known[1])
    size = (np.array(known[0]) - 1) * step
    return bool(((spot >= -step / 2) & (spot <= size + step / 2)).all())


def _aim_outside(view: FibView | None, aim: Aim | None) -> str:
    if view is None or aim is None or _within(np.array(aim.seen.position), view.dataset):
        return ""
    name = aim.target.name or aim.target.id
    return (
        f"{name} shows outside of {view.dataset.name}: take a FIB image that holds it, or check "
        "the links."
    )


def _mirror(session: Session, view: FibView | None) -> str:
    """Pass on what the fit of the view says of beads that lie on one plane."""
    link = next((one for one in session.links if view and one.id == view.link), None)
    if link is None or view is None:
        return ""
    try:
        notes = getattr(solve(link), "notes", ())
    except ClxemError:
        return ""  # said where links are listed
    planar = [one for one in notes if "coplanar" in one or "one plane" in one]
    return f"{view.dataset.name}: {planar[0]}" if planar else ""


def _angle_out_of_reach(view: FibView, lamella: Lamella, instrument: Instrument) -> str:
    tilt = stage_tilt_for(view, lamella.angle)
    low, high = instrument.tilt_range
    if tilt is None or low <= tilt <= high:
        return ""
    first, last = (max(lamella.angle + edge - tilt, 0.0) for edge in (low, high))
    return (
        f"A milling angle of {lamella.angle:.1f}° needs a stage tilt of {tilt:.1f}°, but "
        f"{instrument.name} tilts from {low:g}° to {high:g}°; choose an angle from {first:.1f}° "
        f"to {last:.1f}°."
    )


def _box_outside(session: Session, view: FibView, record: LamellaRecord, lamella: Lamella) -> str:
    if record.frame == view.volume:
        seen = Affine(view.projection).transform([lamella.centre])[0]
        if not _within(np.asarray(seen), view.dataset):
            return f"The box lies outside of {view.dataset.name}: drag it back, or delete it."
    images = [one for one in session.datasets if one.frame == record.frame]
    volumes = [one for one in images if "z" in one.axes and spatial(one) is not None]
    if volumes and not any(_within(np.array(lamella.centre), one) for one in volumes):
        return f"The box lies outside of {volumes[0].name}: there is no cell known there."
    return ""


def _joints_meet(record: LamellaRecord, lamella: Lamella) -> str:
    if record.joints is None:
        return ""
    gap = record.joints.clear_of(lamella)
    if gap > 0:
        return ""
    return (
        f"The expansion joints cut {-gap:.1f} µm into the lamella: make it narrower than "
        f"{2 * record.joints.distance - record.joints.width:g} µm."
    )
