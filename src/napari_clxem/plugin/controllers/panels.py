"""What the marks of a correlation look like in each of the two canvases."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from napari_clxem.fiducials import Beads
from napari_clxem.frames import Fit, error_map
from napari_clxem.frames.affine import Floats
from napari_clxem.frames.uncertainty import region_threshold
from napari_clxem.plugin import pair_marks
from napari_clxem.plugin.controllers.overlays import Overlays
from napari_clxem.plugin.controllers.pairing import Canvas, Mapped
from napari_clxem.plugin.controllers.turns import Turns
from napari_clxem.plugin.marks import Mark, error_ellipses, target_points
from napari_clxem.session.edits import Side
from napari_clxem.session.extents import spatial
from napari_clxem.session.model import Dataset
from napari_clxem.session.pairs import PairRow

PAIRS, OUTLINES, CURSOR, CIRCLE, BEADS, REJECTED = (
    "pairs", "outlines", "cursor", "circle", "beads", "rejected",
)  # fmt: skip
TARGETS, TARGET_ERRORS, SUGGESTION, FIELD = "targets", "target errors", "suggestion", "field"
REGION = 0.95
# Pixels along a side of the map of predicted errors.
FIELD_PIXELS = 128


@dataclass(frozen=True)
class Panel:
    """One canvas of a correlation as it is now.

    Parameters
    ----------
    canvas : {"main", "second"}
        Which one.
    side : {"moving", "fixed"}
        Side of the link that it shows.
    frame : str
        Frame that it shows.
    dataset : Dataset or None
        Image that is picked in.
    ndim : {2, 3}
        Axes of the frame.
    depth : {2, 3}
        Axes of its marks: in a 2D view they are seen from every slice.
    zero : ndarray, (ndim,)
        The frame's position of the canvas' zero, µm.
    """

    canvas: Canvas
    side: Side
    frame: str
    dataset: Dataset | None
    ndim: int
    depth: int
    zero: Floats

    def shown(self, positions: Any) -> Floats:
        """Bring positions in the frame, (n, ndim) µm, to those of marks, (n, depth) display µm."""
        there = np.asarray(positions, dtype=float).reshape(-1, self.ndim) - self.zero
        return np.asarray(there[:, -self.depth :])


class PanelMarks:
    """The layers of marks in both canvases.

    Parameters
    ----------
    viewers : mapping of viewer models
        By canvas.
    turns : Turns
        Spreads what is to be done to many layers.
    """

    def __init__(self, viewers: Mapping[Canvas, Any], turns: Turns) -> None:
        self._overlays = {canvas: Overlays(one, turns) for canvas, one in viewers.items()}

    def clear(self, *canvases: Canvas) -> None:
        """Take the marks of canvases away."""
        for canvas in canvases:
            self._overlays[canvas].clear()

    def release(self) -> None:
        """Take all marks away and let the viewers go."""
        for overlays in self._overlays.values():
            overlays.release()

    def show_pairs(self, panel: Panel, rows: Sequence[PairRow], chosen: str) -> None:
        """Show the landmarks that are picked in a canvas."""
        places = [(row, row.moving if panel.side == "moving" else row.fixed) for row in rows]
        marks = [
            pair_marks.PairMark(
                row.id, row.number, panel.shown(place)[0], row.flag, row.id == chosen
            )
            for row, place in places
            if place is not None
        ]
        self._overlays[panel.canvas].put(
            PAIRS, pair_marks.pair_points(marks, panel.depth, f"Landmarks in {panel.frame}")
        )

    def show_regions(self, panel: Panel, fitted: Fit | None) -> None:
        """Show the error predicted where the fit puts the moving sides, in the fixed canvas."""
        overlays = self._overlays[panel.canvas]
        if fitted is None or panel.side != "fixed":
            overlays.put(OUTLINES, None)
            return
        name, colour = "Predicted error at landmarks (95 %)", pair_marks.LOOKS[""][1]
        overlays.put(
            OUTLINES,
            pair_marks.outlines(*_regions(panel, fitted), panel.depth, name, colour),
        )

    def show_field(self, panel: Panel, moving: Dataset | None, fitted: Fit | None) -> None:
        """Show the predicted error over the moving image, in the fixed canvas; None hides it."""
        overlays = self._overlays[panel.canvas]
        known = spatial(moving) if moving else None
        if fitted is None or known is None or panel.side != "fixed":
            overlays.put(FIELD, None)
            return
        step = np.array(known[0][-2:]) * known[1][-2:] / FIELD_PIXELS
        height = float(fitted.moving[:, 0].mean()) if fitted.moving.shape[1] == 3 else 0.0
        errors = error_map(fitted, (0.0, 0.0), (FIELD_PIXELS, FIELD_PIXELS), tuple(step), height)
        affine = flat_map(fitted.matrix, height) @ np.diag([*step, 1.0])
        affine[:2, 2] -= panel.zero[-2:]
        overlays.put(FIELD, pair_marks.error_field(errors * 1000, affine))

    def show_beads(self, panel: Panel, beads: Beads | None, rejected: bool) -> None:
        """Show the beads found in a canvas' image, and what was not taken as one."""
        overlays = self._overlays[panel.canvas]
        if beads is None or panel.dataset is None or beads.positions.shape[1] != panel.ndim:
            overlays.put(BEADS, None)
            overlays.put(REJECTED, None)
            return
        name = panel.dataset.name
        places = panel.shown(beads.positions)
        overlays.put(BEADS, pair_marks.bead_points(places, panel.depth, f"Beads in {name}"))
        others = panel.shown([one.position for one in beads.rejected])
        reasons = [one.reason for one in beads.rejected]
        described = pair_marks.rejected_points(
            others, reasons, panel.depth, f"Not taken as beads in {name}"
        )
        overlays.put(REJECTED, described if rejected else None)

    def show_targets(self, panel: Panel, targets: Sequence[Mark]) -> None:
        """Show the targets in a canvas, in the plane."""
        overlays = self._overlays[panel.canvas]
        flat = [replace(one, position=one.position[-2:]) for one in targets]
        overlays.put(TARGETS, target_points(flat, 2) if flat else None)
        overlays.put(TARGET_ERRORS, error_ellipses(flat, 2) if flat else None)

    def show_suggestion(self, panel: Panel, position: Floats | None) -> None:
        """Show where the next landmark helps most; None takes it away."""
        described = None
        if position is not None:
            place = panel.shown(position)[0]
            described = pair_marks.suggestion_points(place, panel.depth)
        self._overlays[panel.canvas].put(SUGGESTION, described)

    def show_cursor(self, panel: Panel, there: Mapped | None) -> None:
        """Show where the cursor of the other canvas points, and how sure that is."""
        overlays = self._overlays[panel.canvas]
        if there is None:
            overlays.put(CURSOR, None)
            overlays.put(CIRCLE, None)
            return
        place = panel.shown(there.position)
        if overlays.layer(CURSOR) is None:
            overlays.put(CURSOR, pair_marks.cursor_points(place[0], panel.depth))
        else:
            overlays.move(CURSOR, 0, place[0])
        circle = np.eye(2)[np.newaxis] * there.radius**2
        if overlays.layer(CIRCLE) is None:
            name, colour = "Error at the cursor (95 %)", pair_marks.CURSOR
            described = pair_marks.outlines(place, circle, 1.0, panel.depth, name, colour)
            overlays.put(CIRCLE, described)
        else:
            overlays.redraw(CIRCLE, pair_marks.outline_data(place, circle, 1.0))

    def move_pair(self, panel: Panel, row: int, position: Floats) -> None:
        """Put one landmark elsewhere, at once and for the eye only."""
        self._overlays[panel.canvas].move(PAIRS, row, panel.shown(position)[0])

    def move_regions(self, panel: Panel, fitted: Fit) -> None:
        """Redraw the predicted errors, at once and for the eye only."""
        data = pair_marks.outline_data(*_regions(panel, fitted))
        self._overlays[panel.canvas].redraw(OUTLINES, data)


def _regions(panel: Panel, fitted: Fit) -> tuple[Floats, Floats, float]:
    """Give where the fit puts the moving sides, with the error predicted there."""
    places = panel.shown(fitted.transform(fitted.moving))
    spreads = fitted.predict_error(fitted.moving)[:, -2:, -2:]
    return places, spreads, region_threshold(2, fitted.region_dof, REGION)


def flat_map(matrix: Floats, height: float) -> Floats:
    """Give what a map does to the plane at a height of the moving frame, (3, 3)."""
    rows, ndim = matrix[-3:-1] if len(matrix) > 2 else matrix, matrix.shape[1] - 1
    flat = np.eye(3)
    flat[:2, :2] = rows[:, ndim - 2 : ndim]
    flat[:2, 2] = rows[:, -1] + (rows[:, 0] * height if ndim == 3 else 0.0)
    return flat
