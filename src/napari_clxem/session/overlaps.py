"""What a milled lamella shares with tomograms, holds of targets, and shows in tilt series."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike

from napari_clxem.errors import LamellaError, NoPathError
from napari_clxem.frames import Affine, Route
from napari_clxem.frames.affine import Floats
from napari_clxem.lamella import (
    CampaignRow,
    Capture,
    LamellaRecord,
    Overlap,
    capture_probability,
    carried,
    features_at,
    in_outline,
    lamella_on_map,
    overlap,
    slab_pose,
)
from napari_clxem.session.extents import axes_of, spatial
from napari_clxem.session.geometry import graph, place
from napari_clxem.session.model import Dataset, Session, Target, new_id
from napari_clxem.session.slabs import laid

MAP = "tem"
TOMOGRAM = "sxt"
# Side of the field of a tilt series, µm.
FIELD = 1.0


@dataclass(frozen=True)
class Shared:
    """What a lamella shares with one tomogram.

    Parameters
    ----------
    dataset : Dataset
    overlap : Overlap or None
        None where it cannot be told.
    trouble : str
        Why.
    """

    dataset: Dataset
    overlap: Overlap | None
    trouble: str = ""


@dataclass(frozen=True)
class Held:
    """What a lamella holds of one target, as the milled one lies.

    Parameters
    ----------
    target : Target
    capture : Capture or None
        None where no links lead to the tomogram that ties them.
    frame : str
        Of that tomogram; empty where none is linked with the lamella's map.
    """

    target: Target
    capture: Capture | None
    frame: str = ""


@dataclass(frozen=True)
class Series:
    """What a tilt series on a lamella shows.

    Parameters
    ----------
    name : str
    aim : tuple of float
        (y, x) µm of the map.
    targets : tuple of Target
        That the lamella cuts and that reach into the field, the nearest first.
    inside : bool
        Whether the aim lies in the lamella's outline.
    """

    name: str
    aim: tuple[float, float]
    targets: tuple[Target, ...]
    inside: bool


def maps(session: Session, site: str | None) -> tuple[Dataset, ...]:
    """Give the TEM maps of a site, and those of the whole grid."""
    return tuple(
        one
        for one in session.datasets
        if one.site in (None, site)
        and one.modality == MAP
        and one.frame
        and axes_of(session, one.frame) == 2
        and spatial(one) is not None
    )


def volumes(session: Session, site: str | None, modality: str = TOMOGRAM) -> tuple[Dataset, ...]:
    """Give the volumes of a site that some modality took; all with an empty one."""
    return tuple(
        one
        for one in session.datasets
        if one.site in (None, site)
        and modality in ("", one.modality)
        and one.frame
        and axes_of(session, one.frame) == 3
        and spatial(one) is not None
    )


def box_of(dataset: Dataset) -> Floats:
    """Give the two corners of a volume, its outer voxels whole, (2, 3) µm.

    Raises
    ------
    LamellaError
        Where it has no pixel size, or no thickness.
    """
    known = spatial(dataset)
    if known is None or len(known[0]) != 3:
        raise LamellaError(f"{dataset.name} is no volume with a pixel size; an overlap needs one.")
    if known[0][0] < 2:
        raise LamellaError(
            f"{dataset.name} has one slice and so no thickness; open the reconstruction."
        )
    step = np.array(known[1])
    return np.array([-step / 2, (np.array(known[0]) - 0.5) * step])


def planned(session: Session, site: str | None) -> LamellaRecord | None:
    """Give the lamella that was planned for a site; None without one."""
    return next(
        (one for one in session.lamellae if one.site == site and one.status == "planned"), None
    )


def record_on_map(
    session: Session,
    dataset: Dataset,
    corners: ArrayLike,
    thickness: float,
    height: float,
    angle: float,
    azimuth: float,
    damage: float,
    before: LamellaRecord | None,
) -> LamellaRecord:
    """Make the record of a milled lamella from its outline on a TEM map.

    Parameters
    ----------
    dataset : Dataset
        The map.
    corners : (n, 2) array_like
        (y, x) µm of the map.
    thickness, height, angle, azimuth, damage : float
        As :func:`napari_clxem.lamella.lamella_on_map` takes them.
    before : LamellaRecord or None
        The record to change; without one a new one is made, with the promise of the plan.

    Raises
    ------
    LamellaError
        Where the outline cannot be used.
    """
    lamella = lamella_on_map(corners, thickness, height, angle, azimuth, damage)
    plan = planned(session, dataset.site)
    record = before or LamellaRecord(
        id=new_id(),
        name=f"{dataset.name} lamella",
        site=dataset.site,
        frame=dataset.frame,
        lamella=lamella,
        targets=plan.targets if plan else (),
        instrument=plan.instrument if plan else "",
        stage_tilt=plan.stage_tilt if plan else None,
        promised=plan.promised if plan else None,
        status="milled",
    )
    changed = replace(record, lamella=lamella)
    found = [one.overlap for one in shares(session, changed) if one.overlap]
    best = max(found, key=lambda one: one.area_fraction, default=None)
    return replace(changed, overlap=best)


def shares(session: Session, record: LamellaRecord) -> tuple[Shared, ...]:
    """Give what a lamella on a map shares with every tomogram of its site."""
    return tuple(_shared(session, record, one) for one in volumes(session, record.site))


def _shared(session: Session, record: LamellaRecord, dataset: Dataset) -> Shared:
    try:
        there, back = _ways(session, record, dataset.frame)
    except NoPathError:
        return Shared(dataset, None, f"not linked with {record.frame}")

    def covariance(points: Floats) -> Floats:
        return there.predict_error(back.transform(points))

    centre = Affine(there.placement).transform([record.lamella.centre])
    known = bool(np.isfinite(covariance(centre)).all())
    try:
        found = overlap(
            record.lamella, box_of(dataset), there.placement, covariance if known else None
        )
    except LamellaError as error:
        return Shared(dataset, None, str(error))
    return Shared(dataset, found, "" if known else "the error of the link is not known")


def _ways(session: Session, record: LamellaRecord, frame: str) -> tuple[Route, Route]:
    """Give the way from a map to a volume, and the same one back."""
    frames = graph(laid(session, record))
    ndim = axes_of(session, record.frame)
    here = record.lamella.centre[3 - ndim :]
    there = frames.transform(record.frame, frame, [here])
    back = frames.transform(frame, record.frame, there.transform([here]))
    return there, back


def held(session: Session, record: LamellaRecord) -> tuple[Held, ...]:
    """Give what a lamella on a map holds of the targets of its site.

    They meet in the tomogram that is linked best with the map: both errors count.
    """
    found = []
    tie = _tie(session, record)
    for target in session.targets:
        if target.site not in (None, record.site):
            continue
        capture = _capture(session, record, target, tie) if tie else None
        found.append(Held(target, capture, tie[0] if tie else ""))
    return tuple(found)


def series_of(session: Session, record: LamellaRecord) -> tuple[tuple[str, Floats], ...]:
    """Give names and aims (y, x) of the exposures of a lamella's own map: its tilt series."""
    return tuple(
        (one.group or one.id, np.asarray(one.aim, float))
        for one in session.exposures
        if one.frame == record.frame
    )


def seen_by_series(
    session: Session, record: LamellaRecord, clicked: Floats, field: float = FIELD
) -> tuple[Series, ...]:
    """Tell which targets the tilt series on a lamella show.

    Parameters
    ----------
    session : Session
    record : LamellaRecord
        In the frame of its map.
    clicked : (n, 2) array
        Positions beyond those that the session keeps as exposures, µm of the map.
    field : float
        Side of the field of a tilt series, µm.

    Returns
    -------
    tuple of Series
        In the order given, those of the session first.
    """
    kept = series_of(session, record)
    names = [name for name, _ in kept] + [f"position {n}" for n in range(1, len(clicked) + 1)]
    places = [place_ for _, place_ in kept] + list(clicked)
    tie = _tie(session, record)
    if not places:
        return ()
    targets = [t for t in session.targets if t.site in (None, record.site)]
    spots = [] if tie is None else [(t, place(session, t, tie[0])) for t in targets]
    known = [(target, spot) for target, spot in spots if spot is not None]
    seen: tuple[tuple[int, ...], ...] = ((),) * len(places)
    if tie is not None and known:
        seen = features_at(
            places,
            (field, field),
            [spot.position for _, spot in known],
            [target.radius for target, _ in known],
            Affine(tie[1].placement).inverted(),
            slab_pose(record.lamella),
        )
    inside = in_outline(places, record.lamella.plan)
    return tuple(
        Series(name, (float(at[0]), float(at[1])), tuple(known[i][0] for i in found), bool(within))
        for name, at, found, within in zip(names, places, seen, inside, strict=True)
    )


def _tie(session: Session, record: LamellaRecord) -> tuple[str, Route] | None:
    """Find the volume in which the lamella's place is known best."""
    found = []
    for dataset in volumes(session, record.site):
        try:
            there, _ = _ways(session, record, dataset.frame)
        except NoPathError:
            continue
        here = record.lamella.centre[3 - axes_of(session, record.frame) :]
        error = float(np.trace(there.predict_error([here])[0]))
        if np.isfinite(error):
            found.append((error, dataset.frame, there))
    best = min(found, key=lambda one: one[0], default=None)
    return None if best is None else (best[1], best[2])


def _capture(
    session: Session, record: LamellaRecord, target: Target, tie: tuple[str, Route]
) -> Capture | None:
    frame, way = tie
    spot = place(session, target, frame)
    if spot is None or not np.isfinite(spot.covariance).all():
        return None
    slab = carried(record.lamella, way.placement)
    on_map = Affine(way.placement).inverted().transform([spot.position])[0]
    own = way.predict_error([on_map[3 - axes_of(session, record.frame) :]])[0]
    return capture_probability(slab, spot.position, target.radius, np.array(spot.covariance) + own)


def campaign_rows(session: Session, name: str = "") -> tuple[CampaignRow, ...]:
    """Give the lamellae that were milled or lost, as rows of a campaign.

    Parameters
    ----------
    session : Session
    name : str
        To call it by; empty for its own.
    """
    done = [one for one in session.lamellae if one.status != "planned"]
    return tuple(one.row(name or session.name) for one in done)
