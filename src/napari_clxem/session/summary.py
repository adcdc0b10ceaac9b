"""Links and targets as rows for people: tables in a terminal, a dock and a report."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from napari_clxem.errors import ClxemError
from napari_clxem.frames import Fit
from napari_clxem.session.examination import known
from napari_clxem.session.geometry import complete, place, solve
from napari_clxem.session.model import Link, Session, Target
from napari_clxem.session.pairs import target_error


@dataclass(frozen=True)
class LinkRow:
    """What there is to say of one link.

    Attributes
    ----------
    id, name, kind, model : str
        Which link.
    landmarks : int
        Landmarks that carry the fit; 0 for links by content or stage.
    offered : int
        Landmarks there are.
    fre, leave_one_out : float or None
        Root mean square over the landmarks, µm.
    lateral : float or None
        Predicted error in the plane at the target, µm: this link alone.
    notes : tuple of str
        Warnings, or why there is no fit.
    """

    id: str
    name: str
    kind: str
    model: str
    landmarks: int
    offered: int
    fre: float | None
    leave_one_out: float | None
    lateral: float | None
    notes: tuple[str, ...]


@dataclass(frozen=True)
class TargetRow:
    """Where one target is in the chosen frame; lengths µm, None where no links lead."""

    id: str
    name: str
    site: str | None
    frame: str
    lateral: float | None
    axial: float | None
    radius: float | None
    way: str


def link_rows(
    session: Session, target: Target | None = None, patient: bool = True
) -> tuple[LinkRow, ...]:
    """Give one row per link; predicted errors at `target`, or at the landmarks' centre.

    Leave-one-out errors take a fit per landmark: without patience they are given only where they
    are known already.
    """
    return tuple(_link_row(session, link, target, patient) for link in session.links)


def _link_row(session: Session, link: Link, target: Target | None, patient: bool) -> LinkRow:
    name = f"{link.moving} → {link.fixed}"
    try:
        found = solve(link)
    except ClxemError as error:
        return LinkRow(
            link.id,
            name,
            link.kind,
            link.model,
            0,
            len(link.landmarks),
            None,
            None,
            None,
            (str(error),),
        )
    there = None
    if target is not None and _concerns(session, link, target):
        there = target_error(session, link, target)
    # the landmarks' centre stands for a target that cannot be placed
    spread = found.predict_error(found.centre[np.newaxis])[0, -2:, -2:]
    lateral = float(np.sqrt(np.trace(spread))) if there is None else there.lateral
    is_fit = isinstance(found, Fit)
    missed = None
    if isinstance(found, Fit):
        missed = found.leave_one_out if patient else known(found).left_out
    missed = np.empty(0) if missed is None else missed[np.isfinite(missed)]
    return LinkRow(
        id=link.id,
        name=name,
        kind=link.kind,
        model=link.model if is_fit else "",
        landmarks=int(found.inliers.sum()) if isinstance(found, Fit) else 0,
        offered=len(complete(link.landmarks)),
        fre=found.fre if isinstance(found, Fit) else None,
        leave_one_out=float(np.sqrt((missed**2).mean())) if len(missed) else None,
        lateral=lateral if np.isfinite(lateral) else None,
        notes=(
            *(found.notes if isinstance(found, Fit) else ()),
            *([link.note] if link.note else []),
        ),
    )


def _concerns(session: Session, link: Link, target: Target) -> bool:
    """Tell whether a target lies in what a link joins: not in that of another site."""
    frames = (link.moving, link.fixed)
    sites = {data.site for data in session.datasets if data.frame in frames} - {None}
    return target.site is None or not sites or target.site in sites


def target_rows(session: Session, frame: str) -> tuple[TargetRow, ...]:
    """Give one row per target: its predicted error in `frame`."""
    rows = []
    for target in session.targets:
        found = place(session, target, frame)
        rows.append(
            TargetRow(
                target.id,
                target.name,
                target.site,
                target.frame,
                found.lateral if found else None,
                found.axial if found else None,
                found.radius if found else None,
                " – ".join(found.frames) if found else "no links lead there",
            )
        )
    return tuple(rows)


def nanometres(length: float | None) -> str:
    """Write a length of µm in nm, or µm from 10 µm on, for people."""
    if length is None or not np.isfinite(length):
        return "–"
    return f"{length * 1000:.0f} nm" if length < 10 else f"{length:.1f} µm"


def percent(share: float | None) -> str:
    """Write a share as percent, for people."""
    return "–" if share is None or not np.isfinite(share) else f"{share:.0%}"


def interval(pair: tuple[float, float] | None) -> str:
    """Write an interval of shares, for people."""
    return "–" if pair is None else f"{pair[0]:.0%}–{pair[1]:.0%}"
