"""Fields for X-ray tomograms over the targets of a grid: pure functions of the document."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from napari_clxem.dose import cumulative
from napari_clxem.errors import LamellaError, NoPathError
from napari_clxem.frames import Affine
from napari_clxem.frames.affine import Floats
from napari_clxem.lamella import FieldRecord, Optics, SiteProposal, judge_site, propose_sites
from napari_clxem.plugin.controllers.positions import View
from napari_clxem.session.extents import axes_of, spatial
from napari_clxem.session.geometry import Place, graph, place
from napari_clxem.session.model import Dataset, Session, Target, new_id
from napari_clxem.session.pairs import is_oblique
from napari_clxem.session.promises import SAME

# The microscope is aimed by its light microscope, else by its own mosaic.
AIMED_BY = ("vlm", "sxt", "fluorescence")

# Targets share a field that has so many sd to spare around them.
_SURE = 3.0


def aiming_maps(session: Session) -> tuple[Dataset, ...]:
    """Give the maps of the grid, those a synchrotron's microscope is aimed by first."""
    found = [
        one
        for one in session.datasets
        if one.site is None
        and one.frame
        and axes_of(session, one.frame) == 2
        and spatial(one) is not None
        and not is_oblique(session, one.frame)
    ]
    order = {name: n for n, name in enumerate(AIMED_BY)}
    return tuple(sorted(found, key=lambda one: order.get(one.modality, len(order))))


def beads_on(session: Session, frame: str) -> Floats:
    """Give the beads that links know on a map, (n, 2) µm."""
    found: list[tuple[float, ...]] = []
    for link in session.links:
        for side in ("moving", "fixed"):
            if getattr(link, side) != frame:
                continue
            for mark in link.landmarks:
                spot = getattr(mark, side)
                known = np.array(found).reshape(-1, 2)
                if spot is None or not mark.use:
                    continue
                if not len(known) or np.linalg.norm(known - spot[-2:], axis=1).min() > SAME:
                    found.append(spot[-2:])
    return np.array(found).reshape(-1, 2)


def spent(session: Session, frame: str) -> Any:
    """Give a test of which points (n, 2) µm of a map an exposure reaches; None without any."""
    if not session.exposures:
        return None
    links = graph(session)

    def reached(points: Floats) -> Floats:
        return np.asarray(cumulative(session.exposures, points, links, frame) > 0)

    return reached


def reserved(session: Session, frame: str, but: str = "") -> list[Floats]:
    """Give the outlines on a map that fields planned or taken irradiate, (n, 2) µm each.

    Parameters
    ----------
    session : Session
    frame : str
        Of the map.
    but : str
        Identifier of a field that does not count.
    """
    found = []
    for one in session.fields:
        if one.id == but or not one.reserves:
            continue
        outline = moved_outline(session, one.frame, frame, one.halo)
        if outline is not None:
            found.append(outline)
    return found


def moved_outline(session: Session, frame: str, other: str, corners: Floats) -> Floats | None:
    """Bring corners (n, 2) µm from one map to another; None where no links lead there."""
    if frame == other:
        return corners
    try:
        way = graph(session).transform(frame, other, corners[:1])
    except NoPathError:
        return None
    return np.asarray(way.transform(corners)[:, -2:])


def propose_fields(
    session: Session, map_: Dataset, optics: Optics, targets: Sequence[Target] | None = None
) -> tuple[FieldRecord, ...]:
    """Propose a tomogram field for targets that the map can place, best first.

    Whatever an exposure of the session reaches, done or planned, and what kept fields irradiate,
    is kept clear of; a field for which there is no such place begins as dropped. Targets of one
    site that fit into one field share it.

    Parameters
    ----------
    session : Session
    map_ : Dataset
        The map the microscope is aimed by.
    optics : Optics
        Field, beam and tilts.
    targets : sequence of Target, optional
        For which; left out, those that no kept field is for.

    Raises
    ------
    LamellaError
        Where no target can be placed on the map, or every one has its field already.
    """
    if targets is None:
        held = {name for one in session.fields for name in one.targets}
        targets = [one for one in session.targets if one.id not in held]
        if session.targets and not targets:
            raise LamellaError("Every target has its field: delete one to have it proposed again.")
    meant, places = [], []
    for target in targets:
        there = place(session, target, map_.frame)
        if there is not None:
            meant.append(target)
            places.append(there)
    if not meant:
        raise LamellaError(
            f"No target can be placed on {map_.name}: pick targets, and link their images with it."
        )
    test = spent(session, map_.frame)
    ground = _Ground(
        beads_on(session, map_.frame),
        optics,
        () if test is None else (test,),
        reserved(session, map_.frame),
    )
    left = list(zip(meant, places, strict=True))
    found = []
    while left:
        group, field = ground.best(left)
        names = {one.id for one, _ in group}
        left = [one for one in left if one[0].id not in names]
        record = FieldRecord.of(
            field,
            optics,
            id=new_id(),
            frame=map_.frame,
            targets=tuple(one.id for one, _ in group),
            site=group[0][0].site,
        )
        if field.clear:
            ground.taken.append(np.array(field.halo))
        else:  # it would take their area from those that are clear
            record = replace(record, status="dropped")
        found.append(record)
    return tuple(found)


_Placed = tuple[Target, Place]


@dataclass(frozen=True, eq=False)
class _Ground:
    """What fields are placed on; one that several targets fit into holds them together."""

    beads: Floats
    optics: Optics
    forbidden: tuple[Any, ...]
    taken: list[Floats]

    def best(self, left: list[_Placed]) -> tuple[list[_Placed], SiteProposal]:
        """Give the targets of the best field, and the field."""
        alone = self._fields(left)
        group, field = [left[alone[0].target]], alone[0]
        middle = np.array(group[0][1].position[-2:])
        others = [one for one in left if one is not group[0] and one[0].site == group[0][0].site]
        others.sort(key=lambda one: float(np.linalg.norm(one[1].position[-2:] - middle)))
        for other in others:
            together = self._together([*group, other])
            if together is not None and together.clear >= field.clear:
                group, field = [*group, other], together
        return group, field

    def _fields(self, meant: list[_Placed]) -> tuple[SiteProposal, ...]:
        return propose_sites(
            np.array([one.position[-2:] for _, one in meant]),
            self.beads,
            self.optics,
            radii=np.array([one.radius for one, _ in meant]),
            names=[one.name or one.id for one, _ in meant],
            exclusive=False,  # only the best of them is taken
            pointing=spread_of(np.array([_plane(one) for _, one in meant])),
            forbidden=self.forbidden,
            polygons=self.taken,
        )

    def _together(self, group: list[_Placed]) -> SiteProposal | None:
        """Propose one field for several targets; None where it cannot hold them surely."""
        spots = np.array([there.position[-2:] for _, there in group])
        radii = np.array([one.radius for one, _ in group])[:, np.newaxis]
        low, high = (spots - radii).min(axis=0), (spots + radii).max(axis=0)
        spread = max((_plane(there) for _, there in group), key=lambda one: float(np.trace(one)))
        reach = float((high - low).max() / 2)
        if 2 * (reach + _SURE * float(np.sqrt(np.trace(spread)))) > min(self.optics.size):
            return None
        try:
            (found,) = propose_sites(
                [(low + high) / 2],
                self.beads,
                self.optics,
                radii=reach,
                names=[", ".join(one.name or one.id for one, _ in group)],
                pointing=spread_of(spread[np.newaxis]),
                forbidden=self.forbidden,
                polygons=self.taken,
            )
        except LamellaError:  # too far apart for the margin of the field
            return None
        return found


def judged(session: Session, record: FieldRecord) -> SiteProposal | None:
    """Say what a kept field is worth now; None where no target of it can be placed on its map."""
    test = spent(session, record.frame) if record.status != "taken" else None
    beads = beads_on(session, record.frame)
    areas = reserved(session, record.frame, record.id)
    found = []
    for target in session.targets:
        there = place(session, target, record.frame) if target.id in record.targets else None
        if there is not None:
            spread = _plane(there)[np.newaxis]
            found.append(
                judge_site(
                    record.centre,
                    there.position[-2:],
                    beads,
                    record.optics,
                    radius=target.radius,
                    name=record.name,
                    pointing=spread_of(spread),
                    forbidden=() if test is None else (test,),
                    polygons=areas,
                )
            )
    # it is worth what it is to the target that it holds least surely
    return min(found, key=lambda one: -1.0 if one.holds is None else one.holds, default=None)


def spread_of(covariances: Floats) -> Any:
    """Give what tells the pointing error at points, the same at all of them."""
    return lambda _points: covariances


def renewed(session: Session, record: FieldRecord) -> FieldRecord:
    """Give a field with the pointing error that the links predict now."""
    found = judged(session, record)
    return record if found is None else replace(record, pointing=found.pointing)


def _plane(there: Place) -> Floats:
    return np.array(there.covariance)[-2:, -2:]


# -- in the display


def shown_outline(
    session: Session, record: FieldRecord, view: View, corners: Floats
) -> Floats | None:
    """Give corners (n, 2) µm of a field's map in the display; None where no links lead there."""
    where = _placement(session, record, view)
    if where is None:
        return None
    flat = np.column_stack([np.zeros(len(corners)), corners])
    return np.asarray(where.transform(flat)[:, 1:] - np.array(view.origin[1:]))


def field_at(session: Session, record: FieldRecord, view: View, spot: Floats) -> FieldRecord:
    """Give a field whose middle shows at a place (2,) µm of the display."""
    where = _placement(session, record, view)
    if where is None:
        return record
    here = where.transform([[0.0, *record.centre]])[0]
    here[1:] = np.asarray(spot) + np.array(view.origin[1:])
    y, x = where.inverted().transform([here])[0][1:].tolist()
    return record.moved((y, x))


def _placement(session: Session, record: FieldRecord, view: View) -> Affine | None:
    if not view.frame:
        return None
    try:
        way = graph(session).transform(record.frame, view.frame, [record.centre])
    except NoPathError:
        return None
    return Affine(way.placement)


# -- what came of it


def tomogram_of(session: Session, record: FieldRecord) -> Dataset | None:
    """Find the tomogram of a field: the one it names, else one that holds its middle."""
    for one in session.datasets:
        if one.id == record.tomogram:
            return one
    for one in session.datasets:
        if one.modality != "sxt" or axes_of(session, one.frame or "") != 3 or not one.frame:
            continue
        if record.site not in (None, one.site):
            continue
        known = spatial(one)
        centre = Target(id="-", frame=record.frame, position=record.centre)
        there = place(session, centre, one.frame) if known else None
        if there is None or known is None:
            continue
        size = (np.array(known[0][-2:]) - 1) * np.array(known[1][-2:])
        at = np.array(there.position[-2:])
        if ((at >= 0) & (at <= size)).all():
            return one
    return None


def lamella_of(session: Session, record: FieldRecord) -> Any:
    """Find the lamella of a field: the one it names, else one for its targets; None for none."""
    for one in session.lamellae:
        if one.id == record.lamella:
            return one
    ours = [one for one in session.lamellae if set(one.targets) & set(record.targets)]
    # what was cut counts before what is planned
    return min(ours, key=lambda one: one.status == "planned", default=None)
