"""Targets and lamella boxes drawn into one canvas, layer by layer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from napari_clxem.frames.affine import Floats
from napari_clxem.lamella import Joints, Lamella, view_outline
from napari_clxem.plugin.box_marks import Dial, dial_lines, handle_points, joint_lines
from napari_clxem.plugin.controllers.overlays import Overlays
from napari_clxem.plugin.lamella_marks import OTHER_BOX, outline_lines, wireframe
from napari_clxem.plugin.marks import Mark, error_ellipses, target_points


def draw_targets(overlays: Overlays, marks: Sequence[Mark]) -> None:
    """Draw targets with their error ellipses into a flat view."""
    overlays.put("errors", error_ellipses(marks, 2))
    overlays.put("targets", target_points(marks, 2))


def draw_moved(overlays: Overlays, marks: Sequence[Mark]) -> None:
    """Draw a target where a hand drags it; nothing takes it away."""
    if not marks:
        overlays.put("moved", None)
        return
    data, arguments, kind = target_points(marks, len(marks[0].position))
    overlays.put("moved", (data, {**arguments, "name": "Target moved"}, kind))


def draw_box(
    overlays: Overlays,
    lamella: Lamella | None,
    projection: Floats | None,
    handles: Mapping[str, Floats],
    shown: Dial | None = None,
    joints: Joints | None = None,
) -> None:
    """Draw the outline of a lamella as a view (2, 4) shows it, its joints, handles and dial."""
    drawn = []
    if lamella is not None and projection is not None:
        drawn = [view_outline(lamella, projection)]
    beside = None
    if drawn and joints is not None and lamella is not None and projection is not None:
        beside = joint_lines(lamella, joints, projection)
    overlays.put("joints", beside)
    width = 0.008 * lamella.width if lamella is not None else 0.0
    overlays.put("box", outline_lines(drawn, 2, "Lamella", width=width))
    overlays.put("dial", None if shown is None else dial_lines(shown))
    overlays.put("handles", handle_points(handles, shown.angle if shown else None))


def draw_frames(overlays: Overlays, slabs: Sequence[Lamella], placement: Floats | None) -> None:
    """Draw the edges of slabs in space, their frame placed in the display (4, 4)."""
    described = None
    if slabs and placement is not None:
        parts = [wireframe(one, placement, np.zeros(3), "Lamella in 3D") for one in slabs]
        data = np.concatenate([part[0] for part in parts])
        described = (data, parts[0][1], parts[0][2])
    overlays.put("solid", described)


def draw_others(overlays: Overlays, found: Sequence[tuple[Lamella, Floats | None]]) -> None:
    """Draw the plan of lamellae that are not being worked on."""
    drawn = [view_outline(one, where[1:3]) for one, where in found if where is not None]
    overlays.put("others", outline_lines(drawn, 2, "Other lamellae", OTHER_BOX))
