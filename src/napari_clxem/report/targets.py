"""Targets in every frame, with how surely they are known there."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from napari_clxem.report.drawing import half_axes
from napari_clxem.report.markup import Html, joined, missing, paragraph, section, table
from napari_clxem.report.subject import Subject, label_of
from napari_clxem.report.words import NOTHING, length, place
from napari_clxem.report.words import half_axes as axes_text
from napari_clxem.session.geometry import Place
from napari_clxem.session.geometry import place as place_in
from napari_clxem.session.model import Target
from napari_clxem.session.summary import target_rows


def targets(subject: Subject) -> Html:
    """List the targets, and where each of them is in the frame of every image near it."""
    session = subject.session
    title = "Targets"
    if not session.targets:
        return section("targets", title, missing("No target is picked yet."))
    rows = [
        [
            label_of(one),
            subject.site_name(one.site),
            one.frame,
            place(one.position),
            ", ".join(f"{1000 * sd:.0f}" for sd in one.sigma) if one.sigma else "not given",
            length(one.radius),
        ]
        for one in session.targets
    ]
    head = ["target", "site", "picked in", "at (z,) y, x, µm", "sd of the pick, nm", "radius"]
    parts: list[object] = [table("Targets as they were picked", head, rows, words=(0, 1, 2, 3, 4))]
    unsure = [label_of(one) for one in session.targets if one.sigma is None]
    if unsure:
        parts.append(
            missing(
                f"No error of the pick is given for {', '.join(unsure)}: the errors below are "
                "those of the links alone."
            )
        )
    parts.append(
        paragraph(
            "In every frame: the predicted error in the plane is the root mean square distance, "
            "links and pick together; the ellipse holds the true place with 95 % and is given by "
            "its half axes and the turn of the long one from +x (columns) towards +y (rows, down)."
        )
    )
    for target in session.targets:
        subject.step(f"placing {label_of(target)}")
        parts.append(_target(subject, target))
    return section("targets", title, *parts)


def frames_for(subject: Subject, target: Target) -> list[str]:
    """Give the frames of the images of a target's site and of the grid, its own first."""
    near = [one.frame for one in subject.session.datasets if one.site in (None, target.site)]
    return list(dict.fromkeys(one for one in (target.frame, *near) if one))


def _target(subject: Subject, target: Target) -> Html:
    session = subject.session
    alone = replace(session, targets=(target,))
    rows, lost = [], []
    for frame in frames_for(subject, target):
        (row,), found = target_rows(alone, frame), place_in(session, target, frame)
        if found is None:
            lost.append(frame)
            continue
        rows.append(
            [
                frame,
                place(found.position),
                length(row.lateral),
                length(row.radius),
                ellipse_text(found),
                length(row.axial),
                row.way,
            ]
        )
    head = [
        *("frame", "(z,) y, x, µm", "± in the plane", "95 % radius", "95 % half axes, turn"),
        *("sd of z", "by way of"),
    ]
    where = f"site {subject.site_name(target.site)}" if target.site else "no site"
    caption = f"Target {label_of(target)} ({where})"
    made = table(caption, head, rows, words=(0, 1, 4, 6), kind="places", unbroken=(1, 4))
    if not lost:
        return made
    return joined(made, missing(f"No links lead from {target.frame} to {', '.join(lost)}."))


def ellipse_text(found: Place) -> str:
    """Write the 95 % region of a place in the plane: half axes, and how it is turned."""
    plane = np.array(found.covariance)[-2:, -2:]
    axes = half_axes(plane, found.radius)
    if axes is None:
        return NOTHING
    return axes_text(*axes)
