"""The doses of a session: its exposures through its own links, at its own targets."""

from __future__ import annotations

from collections import OrderedDict

import numpy as np

from napari_clxem.dose import Budget, Conflict, History, TargetDose, conflicts, target_table
from napari_clxem.errors import ClxemError, NoPathError
from napari_clxem.frames import FrameGraph
from napari_clxem.frames.affine import Floats
from napari_clxem.session.extents import finest_first, middle, span, spatial
from napari_clxem.session.geometry import graph, place
from napari_clxem.session.model import Session, Site, Target

# What doses are told at: name, place (z, y, x) or (y, x), and radius, µm.
Spot = tuple[str, Floats, float]
# Looking for conflicts samples every planned footprint.
MOST_PLANNED = 100
_KEPT = 8
_Key = tuple[int, int, str, str | None]
_histories: OrderedDict[_Key, tuple[object, FrameGraph, History]] = OrderedDict()


def history(session: Session, frame: str, material: str | None = None) -> History:
    """Give all exposures of a session, laid into one of its frames.

    Asking again after an edit that touches neither exposures nor links costs a look-up.

    Parameters
    ----------
    session : Session
    frame : str
        Frame of the points and maps to be asked for.
    material : str, optional
        What all doses are stated for; that of the exposures where it is left out.

    Raises
    ------
    ClxemError
        Where doses are stated for several materials and none is named.
    """
    links = graph(session)
    key = (id(session.exposures), id(links), frame, material)
    # the objects are kept with their ids, so that no other can take an id while it is known
    if key not in _histories:
        found = History(session.exposures, links, frame, material)
        _histories[key] = (session.exposures, links, found)
        while len(_histories) > _KEPT:
            _histories.popitem(last=False)
    _histories.move_to_end(key)
    return _histories[key][2]


def target_doses(
    session: Session, frame: str, limit: Budget
) -> tuple[tuple[TargetDose, ...], tuple[Target, ...]]:
    """Give a row of doses for every target of a session.

    Parameters
    ----------
    session : Session
    frame : str
        In which the doses are added up, such as that of the grid map.
    limit : Budget
        What they are held against; its material is that of all doses.

    Returns
    -------
    tuple of TargetDose
        In the order of the targets.
    tuple of Target
        Those that no link brings into the frame.
    """
    found, lost = target_spots(session, frame)
    return target_table(history(session, frame, limit.material), found, limit), lost


def target_spots(session: Session, frame: str) -> tuple[list[Spot], tuple[Target, ...]]:
    """Give targets with their places in a frame, and those that no link brings there."""
    found, lost = [], []
    for target in session.targets:
        there = place(session, target, frame)
        if there is None:
            lost.append(target)
        else:
            found.append((target.name or target.id, np.array(there.position), target.radius))
    return found, tuple(lost)


def site_spots(session: Session, frame: str) -> tuple[list[Spot], tuple[Site, ...]]:
    """Give sites with the middle of their finest image in a frame, and those without one there.

    The radius is half the smaller side of the image: of a volume, where there is one.
    """
    found, lost = [], []
    for site in session.sites:
        spot = _cell(session, site.id, frame)
        if spot is None:
            lost.append(site)
        else:
            found.append((f"Cell {site.name or site.id}", *spot))
    return found, tuple(lost)


def _cell(session: Session, site: str, frame: str) -> tuple[Floats, float] | None:
    for one in finest_first(session, site):
        known, there = spatial(one), middle(session, one)
        if known is None or there is None:
            continue
        try:
            route = graph(session).transform(one.frame, frame, [there])
        except NoPathError:
            continue
        return route.transform([there])[0], float(span(known)[-2:].min() / 2)
    return None


def clashes(past: History, level: float) -> tuple[tuple[Conflict, ...], str]:
    """Find planned exposures that touch spent areas, as far as that is quickly done.

    Parameters
    ----------
    past : History
    level : float
        Dose that no place should get, MGy.

    Returns
    -------
    tuple of Conflict
    str
        Why they were not looked for; empty where they were.
    """
    ahead = sum(one.planned for one in past.exposures)
    if ahead > MOST_PLANNED:
        return (), (
            f"{ahead} exposures are planned; whether they touch spent areas is only looked for "
            f"among {MOST_PLANNED} or fewer."
        )
    try:
        return conflicts(past, level), ""
    except ClxemError as error:  # a frame seen edge-on must not hide what else is known
        return (), str(error)
