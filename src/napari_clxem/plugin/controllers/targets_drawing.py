"""Targets and lamella boxes drawn into one canvas, layer by layer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from napari_clxem.frames.affine import Floats
from napari_clxem.lamella import Lamella, view_outline
from napari_clxem.plugin.controllers.overlays import Overlays
from napari_clxem.plugin.lamella_marks import OTHER_BOX, handle_points, outline_lines, wireframe
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
) -> None:
    """Draw the outline of a lamella as a view (2, 4) shows it, and its handles."""
    drawn = []
    if lamella is not None and projection is not None:
        drawn = [view_outline(lamella, projection)]
    overlays.put("box", outline_lines(drawn, 2, "Lamella"))
    overlays.put("handles", handle_points(handles))


def draw_solid(overlays: Overlays, lamella: Lamella | None, placement: Floats | None) -> None:
    """Draw the edges of a lamella in space, its frame placed in the display (4, 4)."""
    described = None
    if lamella is not None and placement is not None:
        described = wireframe(lamella, placement, np.zeros(3), "Lamella in 3D")
    overlays.put("solid", described)


def draw_others(overlays: Overlays, found: Sequence[tuple[Lamella, Floats | None]]) -> None:
    """Draw the plan of lamellae that are not being worked on."""
    drawn = [view_outline(one, where[1:3]) for one, where in found if where is not None]
    overlays.put("others", outline_lines(drawn, 2, "Other lamellae", OTHER_BOX))
