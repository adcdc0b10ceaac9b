"""The doses of a session: its exposures through its own links, at its own targets."""

from __future__ import annotations

from collections import OrderedDict

from napari_clxem.dose import Budget, History, TargetDose, target_table
from napari_clxem.frames import FrameGraph
from napari_clxem.session.geometry import graph, place
from napari_clxem.session.model import Session, Target

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
    found, lost = [], []
    for target in session.targets:
        there = place(session, target, frame)
        if there is None:
            lost.append(target)
        else:
            found.append((target.name or target.id, there.position, target.radius))
    return target_table(history(session, frame, limit.material), found, limit), tuple(lost)
