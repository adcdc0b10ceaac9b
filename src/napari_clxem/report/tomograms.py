"""Soft X-ray tomography: fields, what came of them, and what the session keeps of an analysis."""

from __future__ import annotations

from napari_clxem.lamella import FieldRecord
from napari_clxem.report import words
from napari_clxem.report.markup import Html, missing, section, table
from napari_clxem.report.subject import Subject, label_of, name_of

TITLE = "Soft X-ray tomography"


def tomograms(subject: Subject) -> Html:
    """List the tomogram fields, and what came of them."""
    session = subject.session
    parts: list[object] = []
    if session.fields:
        head = [
            *("field", "site", "status", "frame", "centre y, x, µm", "field, µm"),
            *("tilts, °", "beam radius, µm", "pointing sd, nm", "targets", "tomogram"),
            *("lamella", "verdict"),
        ]
        rows = [_row(subject, one) for one in session.fields]
        parts.append(
            table(
                "Fields for tomograms",
                head,
                rows,
                words=(0, 1, 2, 3, 4, 6, 9, 10, 11, 12),
                kind="wide",
            )
        )
    else:
        parts.append(
            missing(
                "No field for a tomogram is kept: Propose sites in the Targets dock makes them."
            )
        )
    parts.append(
        missing(
            "Resolution (FSC) and absorption density from two energies (NEASXT) are not kept in a "
            "session, so none is stated here: the SXT analysis dock writes them to tables of their "
            "own."
        )
    )
    return section("sxt", TITLE, *parts)


def _row(subject: Subject, one: FieldRecord) -> list[object]:
    session, optics = subject.session, one.optics
    tomogram = next((name_of(d) for d in session.datasets if d.id == one.tomogram), words.NOTHING)
    lamella = next((r.name or r.id for r in session.lamellae if r.id == one.lamella), words.NOTHING)
    names = [label_of(t) for t in session.targets if t.id in one.targets]
    return [
        one.name or one.id,
        subject.site_name(one.site),
        one.status,
        one.frame,
        words.place(one.centre),
        " × ".join(f"{side:g}" for side in optics.size),
        f"{optics.tilts[0]:g} to {optics.tilts[1]:g}",
        words.number(optics.beam_radius),
        words.NOTHING if one.pointing is None else f"{1000 * one.pointing:.0f}",
        ", ".join(names) or words.NOTHING,
        tomogram,
        lamella,
        one.verdict or words.NOTHING,
    ]
