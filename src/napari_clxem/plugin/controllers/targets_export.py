"""Targets and lamella boxes in the formats that other programs read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from napari_clxem.errors import WriteError
from napari_clxem.frames import Affine
from napari_clxem.io.exchange import (
    Entry,
    NamedPoint,
    NavPoint,
    NavPolygon,
    Pixels,
    Shape,
    StagePoint,
    write_list,
    write_navigator,
    write_page,
    write_positions,
    write_tdct_points,
)
from napari_clxem.lamella import Lamella, LamellaRecord, view_outline
from napari_clxem.plugin.box_marks import joint_slabs
from napari_clxem.plugin.controllers.targets_stages import stage_frame
from napari_clxem.session.fib_views import Aim, FibView
from napari_clxem.session.geometry import graph, place
from napari_clxem.session.model import Session, Target
from napari_clxem.session.promises import captures, placing_of

#: What a dialog offers, and by which suffix it is told.
FILTER = (
    "List in stage and image coordinates (*.csv);;Page to print (*.html);;"
    "SerialEM Navigator (*.nav);;OpenFIBSEM positions (*.yaml);;3DCT points (*.txt)"
)
SUFFIXES = (".csv", ".html", ".nav", ".yaml", ".txt")


def entries(
    session: Session,
    targets: Sequence[Target],
    records: Sequence[LamellaRecord],
    view: FibView | None,
    seen: Sequence[Aim],
) -> tuple[Entry, ...]:
    """List lamellae, their expansion joints and targets in the terms of FIB image and stage.

    Parameters
    ----------
    session : Session
    targets : sequence of Target
    records : sequence of LamellaRecord
    view : FibView or None
        Without it only stage positions are given.
    seen : sequence of Aim
        Where the view has the targets.
    """
    stage = stage_frame(session)
    best: dict[str, float] = {}
    lines = []
    for record in records:
        if view is not None and record.frame == view.volume:
            found = captures(record.lamella, seen, placing_of(record))
            for name in set(record.targets) & set(found):
                best[name] = max(best.get(name, 0.0), found[name].volume_fraction)
        names = [one.name or one.id for one in targets if one.id in record.targets]
        note = f"for {', '.join(names)}" if names else ""
        lines.append(_box(session, record, record.lamella, record.name, stage, view, note))
        for number, slab in enumerate(joints_of(record), start=1):
            name = f"{record.name or record.id} joint {number}"
            height = slab.thickness
            line = _box(session, record, slab, name, stage, view, f"{height:g} µm high slit")
            lines.append(replace(line, kind="joint", capture=None))
    aims = {one.target.id: one for one in seen}
    for target in targets:
        line = _target(session, target, aims.get(target.id), stage, view)
        lines.append(replace(line, capture=best.get(target.id)))
    return tuple(lines)


def joints_of(record: LamellaRecord) -> tuple[Lamella, ...]:
    """Give the expansion joints of a lamella as slabs; none where it has none."""
    return () if record.joints is None else joint_slabs(record.lamella, record.joints)


def _box(
    session: Session,
    record: LamellaRecord,
    box: Lamella,
    name: str,
    stage: str,
    view: FibView | None,
    note: str,
) -> Entry:
    pixel = None
    here = view is not None and record.frame == view.volume
    if here and view is not None:
        spot = Affine(view.projection).transform([box.centre])[0]
        pixel = _pixel(view, (float(spot[0]), float(spot[1])))
    return Entry(
        name=name or record.id,
        kind="lamella",
        site=_site(session, record.site),
        stage=_on_stage(session, record.frame, box.centre, stage, view),
        stage_tilt=record.stage_tilt,
        image=view.dataset.name if here and view else "",
        pixel=pixel,
        width=box.width,
        length=box.length,
        thickness=box.thickness,
        milling_angle=box.angle,
        capture=record.promised,
        note=note,
    )


def _target(
    session: Session, target: Target, aim: Aim | None, stage: str, view: FibView | None
) -> Entry:
    sd = np.sqrt(np.diagonal(aim.seen.covariance)) if aim else None
    spot = (aim.seen.position[0], aim.seen.position[1]) if aim else None
    return Entry(
        name=target.name or target.id,
        site=_site(session, target.site),
        stage=_on_stage(session, target.frame, target.position, stage, view),
        image=view.dataset.name if aim and view else "",
        pixel=_pixel(view, spot) if spot and view else None,
        radius=target.radius,
        sd=(float(sd[0]), float(sd[1])) if sd is not None else None,
    )


def _site(session: Session, name: str | None) -> str:
    return next((one.name or one.id for one in session.sites if one.id == name), "")


def export(
    path: str | Path,
    session: Session,
    targets: Sequence[Target],
    records: Sequence[LamellaRecord],
    view: FibView | None,
    seen: Sequence[Aim],
    image: Any = None,
    notes: Sequence[str] = (),
) -> str:
    """Write targets and lamellae in the format that the suffix names.

    Parameters
    ----------
    image : (ny, nx) array_like, optional
        The FIB image, for the page.
    notes : sequence of str
        Sentences for the page.

    Returns
    -------
    str
        What was written, for people.

    Raises
    ------
    WriteError
        Where the suffix is not known, there is nothing to write, or the format needs what is not
        known: a FIB view, a stage.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise WriteError(
            f"{path.name} does not end in one of {', '.join(SUFFIXES)}; choose a format."
        )
    found = entries(session, targets, records, view, seen)
    if not found:
        raise WriteError("There is no target and no lamella to write; pick a target first.")
    if suffix == ".csv":
        write_list(found, path)
    elif suffix == ".html":
        _page(path, session, records, view, seen, found, image, notes)
    elif suffix == ".nav":
        _navigator(path, session, records, found)
    elif suffix == ".yaml":
        _positions(path, found, view)
    else:
        _points(path, view, seen)
    return f"{len(targets)} targets and {len(records)} lamellae written to {path.name}."


def _on_stage(
    session: Session, frame: str, position: Sequence[float], stage: str, view: FibView | None
) -> tuple[float, float, float] | None:
    """Give a stage position (z, y, x); its height is that of the image, None where unknown."""
    spot = place(session, Target(id="-", frame=frame, position=tuple(position)), stage)
    known = view.dataset.stage if view else None
    if spot is None or known is None or not np.isfinite(known.position[0]):
        return None
    return (known.position[0], spot.position[-2], spot.position[-1])


def _pixel(view: FibView, spot: tuple[float, float]) -> tuple[float, float] | None:
    scale = view.dataset.scale
    if scale is None:
        return None
    return (spot[0] / scale[-2], spot[1] / scale[-1])


def _page(
    path: Path,
    session: Session,
    records: Sequence[LamellaRecord],
    view: FibView | None,
    seen: Sequence[Aim],
    found: Sequence[Entry],
    image: Any,
    notes: Sequence[str],
) -> None:
    if view is None or image is None or view.dataset.scale is None:
        raise WriteError("The page shows the FIB image: open and link one first.")
    shapes = [
        Shape(one.name or one.id, np.array(view_outline(one.lamella, view.projection), np.float64))
        for one in records
        if one.frame == view.volume
    ]
    shapes += [
        Shape("", np.array(view_outline(slab, view.projection), np.float64), "joint")
        for one in records
        if one.frame == view.volume
        for slab in joints_of(one)
    ]
    shapes += [
        Shape(
            aim.target.name or aim.target.id,
            np.array([aim.seen.position]),
            "target",
            np.array(aim.seen.covariance),
        )
        for aim in seen
    ]
    y, x = view.dataset.scale[-2:]
    title = f"{session.name or 'Session'}: {view.dataset.name}"
    write_page(path, title, image, (y, x), shapes, found, notes)


def _navigator(
    path: Path, session: Session, records: Sequence[LamellaRecord], found: Sequence[Entry]
) -> None:
    _need_stage(found, "A Navigator file")
    stage = stage_frame(session)
    boxes = {one.name or one.id: (one, one.lamella) for one in records}
    for one in records:
        for number, slab in enumerate(joints_of(one), start=1):
            boxes[f"{one.name or one.id} joint {number}"] = (one, slab)
    items: list[NavPoint | NavPolygon] = []
    for line in found:
        if line.stage is None:
            continue
        if line.kind == "target":
            items.append(NavPoint(label=line.name, stage=line.stage, note=line.note))
            continue
        record, box = boxes[line.name]
        way = graph(session).transform(record.frame, stage, box.mid_plane)
        plan = tuple((float(y), float(x)) for y, x in way.transform(box.mid_plane)[:, -2:])
        colour = 2 if line.kind == "joint" else 1
        items.append(
            NavPolygon(
                label=line.name,
                corners=plan,
                height=line.stage[0],
                note=line.note,
                colour=colour,
            )
        )
    write_navigator(items, path)


def _positions(path: Path, found: Sequence[Entry], view: FibView | None) -> None:
    _need_stage(found, "A list of positions")
    stage = view.dataset.stage if view else None
    tilt = stage.tilt if stage and stage.tilt is not None else 0.0
    turn = stage.rotation if stage and stage.rotation is not None else 0.0
    write_positions(
        [
            StagePoint(
                one.name, one.stage, turn, tilt if one.stage_tilt is None else one.stage_tilt
            )
            for one in found
            if one.stage is not None and one.kind != "joint"
        ],
        path,
    )


def _points(path: Path, view: FibView | None, seen: Sequence[Aim]) -> None:
    if view is None or view.dataset.scale is None or not seen:
        raise WriteError("3DCT takes points of the FIB image: open and link one first.")
    points = [NamedPoint(one.target.name or one.target.id, one.seen.position) for one in seen]
    write_tdct_points(points, path, Pixels(view.dataset.scale))


def _need_stage(found: Sequence[Entry], what: str) -> None:
    if not any(one.stage for one in found):
        raise WriteError(
            f"{what} holds stage positions, but no link leads to the stage of the FIB-SEM: open "
            "an overview that states its stage position and link it, or write the list (*.csv)."
        )
