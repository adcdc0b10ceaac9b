"""Lamellae: how they are milled, what they promise, and what they came to share."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from napari_clxem.errors import ClxemError
from napari_clxem.frames.affine import Floats
from napari_clxem.lamella import (
    BY_EYE,
    Capture,
    LamellaRecord,
    SlabPose,
    campaign,
    campaign_plot,
    film_angle,
    slab_pose,
)
from napari_clxem.report import words
from napari_clxem.report.crops import Crop, crop
from napari_clxem.report.drawing import FIELD, LAMELLA, Drawing
from napari_clxem.report.markup import (
    Html,
    element,
    figure,
    joined,
    missing,
    paragraph,
    section,
    table,
    warning,
)
from napari_clxem.report.subject import Subject, corners, label_of, name_of
from napari_clxem.session.fib_views import aims, fib_datasets, fib_view
from napari_clxem.session.geometry import place
from napari_clxem.session.model import Dataset, Session
from napari_clxem.session.overlaps import campaign_rows, held, shares, volumes
from napari_clxem.session.promises import captures, gain_of, limit_of, placing_of
from napari_clxem.session.slabs import slab_placement

CAPTURED = (
    *("target", "meant", "captured", "its middle inside", "all of it inside"),
    *("within the width", "within the length", "from the mid-plane, nm"),
)
# An overlap that moved by so much since it was kept is told.
MOVED = 0.02
PLANS, OVERLAPS = "Milling", "Lamella overlap"


def plans(subject: Subject) -> Html:
    """List the lamellae, and what those that are planned promise of each target."""
    session = subject.session
    if not session.lamellae:
        said = missing(
            "No lamella is planned or milled, so there is no milling pose and no capture to state."
        )
        return section("milling", PLANS, said)
    parts: list[object] = [poses(subject)]
    waiting = [one for one in session.lamellae if one.status == "planned"]
    if not waiting:
        parts.append(missing("No lamella is planned that is not milled: no capture is predicted."))
        return section("milling", PLANS, *parts)
    parts.append(
        paragraph(
            "Captured is the share of the target's sphere that is expected between the damage "
            "layers, by the predicted error of the target in the FIB image and the error with "
            "which the microscope places the box; width and length are reported apart."
        )
    )
    for record in waiting:
        subject.step(f"reckoning what {title_of(subject, record)} holds")
        parts.append(_promise(subject, record))
    return section("milling", PLANS, *parts)


def title_of(subject: Subject, record: LamellaRecord) -> str:
    """Name a lamella for people."""
    return record.name or f"lamella of {subject.site_name(record.site)}"


def poses(subject: Subject) -> Html:
    """List how every lamella lies and is milled."""
    rows = []
    for one in subject.session.lamellae:
        box = one.lamella
        rows.append(
            [
                title_of(subject, one),
                subject.site_name(one.site),
                one.status,
                one.frame,
                words.place(box.centre),
                f"{box.angle:.1f}",
                against_film(subject.session, one),
                f"{box.azimuth:.1f}",
                words.NOTHING if one.stage_tilt is None else f"{one.stage_tilt:.1f}",
                f"{1000 * box.thickness:.0f} ({1000 * box.core:.0f})",
                f"{box.width:.2f} × {box.length:.2f}",
                one.instrument or words.NOTHING,
                words.percent(one.promised),
            ]
        )
    head = [
        *("lamella", "site", "status", "frame", "centre z, y, x, µm", "angle, °"),
        *("against the film, °", "azimuth, °", "stage tilt, °", "thickness (core), nm"),
        *("width × length, µm", "instrument", "promised when planned"),
    ]
    said = paragraph(
        "The angle of a planned lamella is its milling angle in the volume named; that of a milled "
        "one is how its faces lie against the plane of its map."
    )
    made = table("How the lamellae lie", head, rows, words=(0, 1, 2, 3, 4, 11), kind="wide")
    return joined(made, said)


def against_film(session: Session, record: LamellaRecord) -> str:
    """Write the milling angle counted from the film of the site."""
    tilt = next((one.film_tilt for one in session.sites if one.id == record.site), None)
    box = record.lamella
    return words.NOTHING if tilt is None else f"{film_angle(box.angle, tilt, box.azimuth):.1f}"


def _promise(subject: Subject, record: LamellaRecord) -> Html:
    """Say what a planned lamella promises, as the FIB image of its site sees its targets."""
    session, title = subject.session, title_of(subject, record)
    images = fib_datasets(session, record.site)
    if not images:
        return missing(f"What {title} holds cannot be told: its site has no FIB image.")
    views = (fib_view(session, one, record.frame) for one in images)
    view = next((one for one in views if one is not None), None)
    if view is None:
        return missing(
            f"What {title} holds cannot be told: no FIB image of its site is linked with "
            f"{record.frame}."
        )
    near = [one for one in session.targets if one.site in (None, record.site)]
    seen, placing = aims(session, view, near), placing_of(record)
    rows = _captured(subject, record, captures(record.lamella, seen, placing))
    if not rows:
        return missing(f"{title} has no target at its site.")
    said = f"What {title} promises, by {name_of(view.dataset)}"
    made = table(said, CAPTURED, rows, words=(0, 1))
    limit = limit_of(record, seen, placing)
    if not limit:
        limited = missing(
            f"{title} names no target of its own that is in reach: what limits it is not said."
        )
    else:
        more = gain_of(session, view, record, seen, placing)
        limited = paragraph(f"What limits it: {limit} {more}".rstrip())
    return element("div", joined(made, limited), class_="block")


def _captured(
    subject: Subject, record: LamellaRecord, found: Mapping[str, Capture]
) -> list[list[str]]:
    """Write what a lamella holds of every target of its site, one row each."""
    rows = []
    for target in subject.session.targets:
        if target.site not in (None, record.site):
            continue
        capture = found.get(target.id)
        row = [label_of(target), "yes" if target.id in record.targets else words.NOTHING]
        if capture is None:
            rows.append([*row, *[words.NOTHING] * 6])
            continue
        shares = (capture.volume_fraction, capture.centre, capture.whole)
        rows.append(
            [
                *row,
                *(words.percent(one) for one in (*shares, capture.width, capture.length)),
                f"{1000 * capture.offset:+.0f} ± {1000 * capture.sigma:.0f}",
            ]
        )
    return rows


def _held(subject: Subject, record: LamellaRecord) -> Html:
    """Say what a milled lamella holds of its targets."""
    title = title_of(subject, record)
    found = held(subject.session, record)
    if not found:
        return missing(f"{title} has no target at its site.")
    frame = found[0].frame
    if not frame:
        return missing(f"{title} is not linked with a tomogram: what it holds cannot be told.")
    known = {one.target.id: one.capture for one in found if one.capture is not None}
    rows = _captured(subject, record, known)
    return table(f"What {title} holds, by {frame}", CAPTURED, rows, words=(0, 1))


def _shares(subject: Subject, record: LamellaRecord) -> Html:
    """Say what a milled lamella shares with each tomogram now, and whether that was kept."""
    title = title_of(subject, record)
    found = shares(subject.session, record)
    if not found:
        return missing(f"The site of {title} has no tomogram to share anything with.")
    rows = [
        [
            name_of(one.dataset),
            words.percent(o.area_fraction if o else None),
            words.interval(o.area_interval if o else None),
            words.percent(o.volume_fraction if o else None),
            words.interval(o.volume_interval if o else None),
            one.trouble or words.NOTHING,
        ]
        for one, o in ((one, one.overlap) for one in found)
    ]
    head = ["tomogram", "2D", "95 % interval", "3D", "95 % interval", "note"]
    made = table(f"What {title} shares, by the links of now", head, rows, words=(0, 5))
    now = max((one.overlap.area_fraction for one in found if one.overlap), default=None)
    kept = record.overlap.area_fraction if record.overlap else None
    if now is None or (kept is not None and abs(now - kept) < MOVED):
        return made
    before = "nothing" if kept is None else f"{kept:.0%}"
    said = warning(
        f"By the links of now {title} overlaps by {now:.0%} in plan, but {before} was kept with "
        "its outline, which the campaign counts: take the outline over again."
    )
    return joined(made, said)


def overlaps(subject: Subject) -> Html:
    """Say what the milled lamellae share with their tomograms."""
    session = subject.session
    found = campaign(campaign_rows(session))
    if not found.rows:
        said = missing("No lamella is outlined on its TEM map, so no overlap is known.")
        return section("overlap", OVERLAPS, said)
    rows = []
    for row in found.rows:
        o = row.overlap
        rows.append(
            [
                row.site,
                words.percent(o.area_fraction if o else None),
                words.interval(o.area_interval if o else None),
                words.percent(o.volume_fraction if o else None),
                words.interval(o.volume_interval if o else None),
                words.number(o.volume if o else None),
                words.percent(o.field_fraction if o else None),
                words.percent(o.iou if o else None),
                words.percent(row.promised),
                row.verdict or words.NOTHING,
            ]
        )
    head = [
        *("lamella", "2D: of the lamella in plan", "95 % interval", "3D: of the slab"),
        *("95 % interval", "common, µm³", "of the field", "common over both", "promised"),
        "verdict",
    ]
    parts: list[object] = [
        paragraph(found.sentence, "lead"),
        paragraph(f"Aimed at by eye it was about {BY_EYE:.0%} (Methods, source 1)."),
        table("Overlap of lamella and tomogram, as kept with the outline", head, rows, (0, 9)),
    ]
    lost = [row.site for row in found.rows if row.overlap is None]
    if lost:
        parts.append(missing(f"No overlap is known of {', '.join(lost)}."))
    parts.append(
        figure(
            Html(campaign_plot(found)),
            "Overlap in plan view of every lamella with its 95 % interval; filled above one half.",
            "small",
        )
    )
    milled = [one for one in session.lamellae if one.status == "milled"]
    for record in milled:
        subject.step(f"reckoning what {title_of(subject, record)} holds")
        parts += [_shares(subject, record), _held(subject, record)]
    pictures = [_picture(subject, one) for one in milled]
    return section("overlap", OVERLAPS, *parts, element("div", joined(*pictures), class_="pairs"))


def _picture(subject: Subject, record: LamellaRecord) -> Html:
    """Draw the outline of a lamella over the field of its tomogram."""
    session = subject.session
    title = title_of(subject, record)
    subject.step(f"drawing {title}")
    for tomogram in volumes(session, record.site):
        try:
            to_field = slab_placement(session, record, tomogram.frame)
            pose = slab_pose(record.lamella, to_field)
        except ClxemError:
            continue
        return _drawn(subject, record, tomogram, pose)
    return missing(f"{title} is not linked with a tomogram of its site: its outline is not drawn.")


def _drawn(subject: Subject, record: LamellaRecord, tomogram: Dataset, pose: SlabPose) -> Html:
    session = subject.session
    title = title_of(subject, record)
    field = corners(session, tomogram)
    assert field is not None
    edge, z = pose.corners[:, 1:], float(pose.centre[0])
    both = np.vstack([field[:, 1:], edge])
    margin = 0.04 * np.ptp(both, axis=0).max()
    drawing = Drawing(
        both.min(axis=0) - margin,
        both.max(axis=0) + margin,
        f"Outline of {title} over the field of {name_of(tomogram)}",
        text=30.0,
    )
    drawing.ground()
    said = _slice(subject, tomogram, field[:, 1:], z)
    if isinstance(said, Crop):
        drawing.picture(said)
    drawing.bar()
    drawing.polygon(field[:, 1:], FIELD, (16, 8), 4.0)
    drawing.polygon(edge, LAMELLA, (), 5.0, 0.12)
    for target in subject.session.targets:
        spot = place(session, target, tomogram.frame)
        if target.site in (None, record.site) and spot is not None:
            drawing.cross(np.array(spot.position[1:]))
            drawing.label(np.array(spot.position[1:]), label_of(target))
    caption = (
        f"{title}: its mid-plane in plan (full line) over the field of {name_of(tomogram)} (dashed)"
    )
    more = f"; slice at z = {z:.2f} µm." if isinstance(said, Crop) else f". {said}"
    return figure(drawing.svg(), caption + more, "half")


def _slice(subject: Subject, dataset: Dataset, field: Floats, z: float) -> Crop | str:
    image = subject.image(dataset)
    if isinstance(image, str):
        return image
    half = np.ptp(field, axis=0) / 2
    try:
        found = crop(image, name_of(dataset), field.mean(axis=0), half, z, 500)
    except ClxemError as error:
        return str(error)
    return found or "The lamella's middle lies above or below the tomogram, which is not drawn."
