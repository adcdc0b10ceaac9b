"""Sites and the links that tie their images together."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from napari_clxem.report.drawing import half_axes
from napari_clxem.report.head import STATUS
from napari_clxem.report.markup import (
    Html,
    joined,
    lines,
    listed,
    missing,
    paragraph,
    section,
    table,
    text,
)
from napari_clxem.report.subject import Subject, label_of
from napari_clxem.report.words import NOTHING, length, several
from napari_clxem.report.words import half_axes as axes_text
from napari_clxem.session.model import Link, Session, Site, Target
from napari_clxem.session.pairs import TargetError, target_error, warnings
from napari_clxem.session.summary import LinkRow, link_rows, nanometres

# Links of the whole grid are judged at all targets: more than so many are summed up.
FEW = 3
HEAD = (
    *("link", "by", "model", "used / paired", "FRE", "left out"),
    "predicted error at (95 % ellipse)",
)
NO_TARGET = "There is no target, so errors are predicted at the landmarks' centre."
ORIGINS = {"bead": "beads", "hand": "by hand", "file": "picks of a file"}
KINDS = {"content": "content", "stage": "stage", "declared": "declared"}


def sites(subject: Subject) -> Html:
    """List the sites and what became of them."""
    session = subject.session
    if not session.sites:
        return section("sites", "Sites", missing("The session has no site yet."))
    rows = []
    for site in session.sites:
        tilt = site.film_tilt
        rows.append(
            [
                label_of(site),
                f"{STATUS[site.status]} {site.status}",
                NOTHING if tilt is None else f"{tilt[0]:+.1f}, {tilt[1]:+.1f}",
                ", ".join(label_of(one) for one in subject.targets(site)) or NOTHING,
                str(len(subject.datasets(site))),
                str(sum(one.site == site.id for one in session.fields)),
                str(sum(one.site == site.id for one in session.lamellae)),
            ]
        )
    head = [
        *("site", "status", "film tilt about y, x (°)", "targets"),
        *("images", "tomogram fields", "lamellae"),
    ]
    made = table("Sites", head, rows, words=(0, 1, 2, 3))
    flat = [label_of(one) for one in session.sites if one.film_tilt is None]
    said = (
        missing(f"No film tilt is kept for {', '.join(flat)}: it counts as flat.") if flat else ""
    )
    return section("sites", "Sites", made, said)


def links(subject: Subject) -> Html:
    """List the links with what they rest on, and the error they predict at the targets."""
    session = subject.session
    if not session.links:
        return section("links", "Links", missing("No frames are linked yet."))
    subject.step("leaving landmarks out")
    groups: list[tuple[str, Site | None]] = [("Links of the grid", None)]
    groups += [(f"Links of site {label_of(one)}", one) for one in session.sites]
    rows = {one.id: one for one in link_rows(session)}
    parts: list[object] = [
        paragraph(
            "FRE is how well a fit goes through its own landmarks and not its accuracy; left out "
            "is the root mean square miss of each landmark by a fit to the others. The predicted "
            "error is the root mean square distance in the plane by which this link alone misses "
            "the target; its 95 % ellipse is given by its half axes and the turn of the long one "
            "from +x (columns) towards +y (rows, down), and drawn in shape and direction."
        )
    ]
    for title, site in groups:
        chosen = [
            one for one in session.links if site_of(session, one) == (site.id if site else None)
        ]
        if not chosen:
            parts.append(missing(f"{title}: there are none."))
            continue
        near = [one for one in session.targets if site is None or one.site in (None, site.id)]
        cells = [_cells(session, one, near, rows[one.id]) for one in chosen]
        notes = [_notes(one, rows[one.id]) for one in chosen]
        parts.append(
            table(title, HEAD, cells, words=(0, 1, 2, 6), kind="links", notes=notes, unbroken=(6,))
        )
    if not session.targets:
        parts.append(
            missing("There is no target, so errors are predicted at the landmarks' centre.")
        )
    return section("links", "Links", *parts)


def site_of(session: Session, link: Link) -> str | None:
    """Give the site whose images a link joins; None for links of the grid."""
    frames = (link.moving, link.fixed)
    return next((one.site for one in session.datasets if one.frame in frames and one.site), None)


def by(link: Link) -> str:
    """Say what a link was made by."""
    if link.kind != "landmarks":
        return KINDS.get(link.kind, link.kind)
    found = dict.fromkeys(one.origin for one in link.landmarks)
    return " and ".join(ORIGINS.get(one, one) for one in found) or "landmarks"


def _cells(session: Session, link: Link, targets: Sequence[Target], row: LinkRow) -> list[object]:
    used = f"{row.landmarks} / {row.offered}" if row.offered else NOTHING
    return [
        row.name,
        by(link),
        row.model or NOTHING,
        used,
        nanometres(row.fre),
        nanometres(row.leave_one_out),
        _errors(session, link, targets, row),
    ]


def _errors(session: Session, link: Link, targets: Sequence[Target], row: LinkRow) -> object:
    """Say what a link misses the targets by: each of a few, the range of many."""
    if not targets:
        return f"its centre ± {length(row.lateral)}"
    found = [(target_error(session, link, one), label_of(one)) for one in targets]
    known = [(one, name) for one, name in found if one is not None and np.isfinite(one.lateral)]
    if not known:
        return NOTHING
    if len(known) <= FEW:
        return lines(_error(*one) for one in known)
    least, most = (pick(known, key=lambda one: one[0].lateral) for pick in (min, max))
    return lines(
        [
            f"{several(len(known), 'target')}, from",
            _error(*least),
            joined("to", _error(*most), between=" "),
        ]
    )


def _error(found: TargetError, name: str) -> Html:
    said = f"{name} ± {length(found.lateral)}"
    axes = half_axes(np.array(found.covariance), found.radius)
    if axes is None:
        return text(said)
    return joined(f"{said} ({axes_text(*axes)})", glyph(*axes), between=" ")


def glyph(long: float, short: float, turn: float) -> Html:
    """Draw shape and direction of an ellipse, as large as a letter."""
    return Html(
        '<svg class="glyph" viewBox="-11 -11 22 22" aria-hidden="true"><ellipse rx="9.5" '
        f'ry="{max(9.5 * short / long, 0.4):.2f}" transform="rotate({turn:.1f})" fill="none" '
        'stroke="#1a1a1a" stroke-width="1.6"/></svg>'
    )


def _notes(link: Link, row: LinkRow) -> Html | str:
    """Give what is to be known of a link: why it has no fit, and what a careful reader sees."""
    said = dict.fromkeys((*warnings(link), *row.notes))
    return listed(f"⚠ {one}" if one != link.note else one for one in said)


def not_reached(subject: Subject) -> Html:
    """Say which images no link ties to the frame of the overview."""
    session, frame = subject.session, subject.frame
    alone = [
        one.name or one.id
        for one in session.datasets
        if one.frame and frame and subject.way(one.frame, frame) is None
    ]
    if not alone:
        return Html("")
    return missing(joined(f"No links lead from {frame} to {', '.join(alone)}."))
