"""Correlating two frames by hand: the link being worked on, and both canvases in step with it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from weakref import ref

import numpy as np
from napari.utils.notifications import show_error
from psygnal import Signal

from napari_clxem.errors import ClxemError
from napari_clxem.fiducials import Beads
from napari_clxem.frames import Fit
from napari_clxem.frames.affine import Floats
from napari_clxem.frames.uncertainty import region_threshold
from napari_clxem.plugin import pair_marks
from napari_clxem.plugin.controllers.overlays import Overlays
from napari_clxem.plugin.controllers.pairing import CANVASES, Canvas, Pairing, mapped, pairing
from napari_clxem.plugin.controllers.positions import View, axes_of, target_marks
from napari_clxem.plugin.controllers.scene import go_to
from napari_clxem.plugin.controllers.second import SecondView
from napari_clxem.plugin.controllers.workspace import Workspace
from napari_clxem.plugin.layers import Plane
from napari_clxem.plugin.marks import error_ellipses, target_points
from napari_clxem.plugin.world import unwrapped
from napari_clxem.session import edits
from napari_clxem.session.edits import Side
from napari_clxem.session.geometry import complete
from napari_clxem.session.model import Dataset, Landmark, Link, Origin, Vector
from napari_clxem.session.pairs import PairRow, found, frame_dataset, half, pair_rows, with_pick

PAIRS, OUTLINES, CURSOR, CIRCLE, BEADS, REJECTED = (
    "pairs", "outlines", "cursor", "circle", "beads", "rejected",
)  # fmt: skip
TARGETS, TARGET_ERRORS = "targets", "target errors"
REGION = 0.95


class Correlation:
    """The link that one viewer's user works on, shown in two canvases.

    Parameters
    ----------
    workspace : Workspace
        Of the viewer.
    viewer : napari.Viewer
        Kept by weak reference.

    Attributes
    ----------
    changed : Signal
        Emitted when the dock has something else to show.
    picking : bool
        Whether a click picks.
    chosen : str
        Id of the landmark selected; empty for none.
    """

    changed = Signal()

    def __init__(self, workspace: Workspace, viewer: Any) -> None:
        viewer = unwrapped(viewer)
        self._viewer = ref(viewer)
        self.workspace = workspace
        self.second = SecondView(workspace.layers.planes, workspace.turns)
        self._overlays = {
            "main": Overlays(viewer, workspace.turns),
            "second": Overlays(self.second.model, workspace.turns),
        }
        self._pair: Pairing | None = None
        self._beads: dict[str, Beads] = {}
        self.picking = False
        self.rejected = False
        self.chosen = ""
        workspace.refreshed.connect(self._on_refreshed)
        self.second.changed.connect(self._on_second)
        viewer.dims.events.ndisplay.connect(self.refresh)

    # -- what is worked on

    @property
    def pair(self) -> Pairing | None:
        """The link worked on and its canvases; None before one is chosen."""
        return self._pair

    @property
    def beads(self) -> dict[str, Beads]:
        """Beads found so far, by dataset id."""
        return dict(self._beads)

    @property
    def engaged(self) -> bool:
        """Whether the main canvas shows the frame that the link needs there."""
        return self._pair is not None and self.workspace.view.frame == self._pair.frame("main")

    def model(self, canvas: Canvas) -> Any:
        """Give the viewer model of a canvas."""
        return self._viewer() if canvas == "main" else self.second.model

    def rows(self) -> tuple[PairRow, ...]:
        """Give the landmarks of the link."""
        return pair_rows(self._pair.link) if self._pair else ()

    def choose(self, moving: str, fixed: str, wait: bool = False) -> None:
        """Work on the link between two frames, or on a new one, in both canvases."""
        session = self.workspace.store.session
        self._pair = pairing(session, moving, fixed)
        self.chosen = ""
        sites = {one.site for one in session.datasets if one.frame in (moving, fixed)} - {None}
        site = next(iter(sites), self.workspace.view.site)
        self.second.show(self.workspace.store, self._pair.frame("second"), wait)
        self.workspace.show_site(site, self._pair.frame("main"), wait=wait, link=self._pair.link.id)
        self.look()

    def stop(self) -> None:
        """End working on a link; the main canvas stays as it is."""
        self._pair = None
        self.picking = False
        for overlays in self._overlays.values():
            overlays.clear()
        self.second.show(self.workspace.store, "")
        self.changed.emit()

    def release(self) -> None:
        """Let the viewer go."""
        self.workspace.refreshed.disconnect(self._on_refreshed)
        self.second.changed.disconnect(self._on_second)
        viewer = self._viewer()
        if viewer is not None:
            viewer.dims.events.ndisplay.disconnect(self.refresh)
        self.second.release()
        for overlays in self._overlays.values():
            overlays.release()

    def dataset(self, canvas: Canvas) -> Dataset | None:
        """Give the image that a canvas is picked in."""
        if self._pair is None:
            return None
        return frame_dataset(self.workspace.store.session, self._pair.frame(canvas))

    def planes(self, canvas: Canvas) -> list[Plane]:
        """Give the opened channels of the image that a canvas is picked in."""
        dataset = self.dataset(canvas)
        if dataset is None:
            return []
        held = self.workspace.layers if canvas == "main" else self.second
        return held.planes(dataset)

    def layers(self, canvas: Canvas) -> dict[int, Any]:
        """Give the layers of the image that a canvas is picked in, by channel."""
        dataset = self.dataset(canvas)
        held = (self.workspace.layers if canvas == "main" else self.second).layers
        return {key[1]: one for key, one in held.items() if dataset and key[0] == dataset.id}

    # -- display and frame

    def zero(self, canvas: Canvas) -> Floats:
        """Give the frame's position of a canvas' zero, µm."""
        ndim = self.ndim(canvas)
        here = self.workspace.view.origin if canvas == "main" else (0.0, 0.0, 0.0)
        return np.array(here[-ndim:])

    def ndim(self, canvas: Canvas) -> int:
        """Give the number of axes of a canvas' frame."""
        assert self._pair is not None
        return axes_of(self.workspace.store.session, self._pair.frame(canvas))

    def depth(self, canvas: Canvas) -> int:
        """Give the number of axes of a canvas' marks: in 2D they are seen from every slice."""
        viewer = self.model(canvas)
        return 2 if viewer is None or viewer.dims.ndisplay == 2 else self.ndim(canvas)

    def waiting(self) -> Side | None:
        """Give the side that the next click is for; None for either."""
        mark = half(self._pair.link) if self._pair else None
        return None if mark is None else ("fixed" if mark.fixed is None else "moving")

    # -- edits

    def pick(
        self,
        canvas: Canvas,
        position: Vector,
        sigma: Vector | None,
        origin: Origin = "hand",
    ) -> None:
        """Commit a pick in one canvas; the click alternates to the other."""
        assert self._pair is not None
        side = self._pair.side(canvas)
        link = with_pick(self._pair.link, side, position, sigma, origin)
        self._commit(link, "Pick landmark")
        self.chosen = link.landmarks[-1].id

    def drag(self, canvas: Canvas, landmark: str, position: Floats) -> None:
        """Show what moving a landmark would do, without committing it."""
        trial = self._moved(canvas, landmark, position)
        if trial is None or self._pair is None:
            return
        row = [one.id for one in self._shown(canvas, trial)].index(landmark)
        self._overlays[canvas].move(PAIRS, row, position - self.zero(canvas))
        tried = _quick(trial, found(self._pair.link), landmark)
        session = edits.put(self.workspace.store.session, tried)
        if self.engaged and self._pair.main == "fixed":
            self.workspace.layers.preview(session, trial.moving)
        fitted = found(tried)
        if fitted is not None:
            where: Canvas = self._pair.canvas("fixed")
            places, spreads, threshold = self._regions(fitted, where)
            data = pair_marks.outline_data(places, spreads, threshold)
            self._overlays[where].redraw(OUTLINES, data)

    def drop(self, canvas: Canvas, landmark: str, position: Floats) -> None:
        """Commit where a landmark was dragged to, as one step."""
        trial = self._moved(canvas, landmark, position)
        if trial is not None:
            self._commit(trial, "Move landmark")

    def use(self, landmark: str, use: bool) -> None:
        """Take a landmark into the fit, or exclude it."""
        label = "Include landmark" if use else "Exclude landmark"
        self._amend(landmark, label, use=use)

    def remove(self, landmark: str) -> None:
        """Remove a landmark."""
        if self._pair is not None:
            rest = tuple(one for one in self._pair.link.landmarks if one.id != landmark)
            self._commit(replace(self._pair.link, landmarks=rest), "Delete landmark")

    def set_model(self, **values: Any) -> None:
        """Change the model, its prior or robustness."""
        if self._pair is not None:
            self._commit(replace(self._pair.link, **values), "Change model")

    def put_landmarks(self, landmarks: tuple[Landmark, ...], label: str, **values: Any) -> None:
        """Replace the landmarks of the link as one step."""
        if self._pair is not None:
            self._commit(replace(self._pair.link, landmarks=landmarks, **values), label)

    def place(self, landmark: str, side: Side, position: Vector, sigma: Vector | None) -> None:
        """Put one side of a landmark elsewhere."""
        self._amend(
            landmark, "Snap to bead", **{side: position, f"{side}_sigma": sigma, "origin": "bead"}
        )

    def show_beads(self, dataset: Dataset, beads: Beads) -> None:
        """Show beads found in an image."""
        self._beads[dataset.id] = beads
        self.refresh()

    # -- the eye

    def select(self, landmark: str) -> None:
        """Mark a landmark as the one meant."""
        self.chosen = landmark
        self.refresh()

    def centre(self, landmark: str) -> None:
        """Bring a landmark to the middle of both canvases."""
        if self._pair is None:
            return
        marks = {one.id: one for one in self._pair.link.landmarks}
        for canvas in CANVASES:
            place = self._pair.position(marks[landmark], canvas) if landmark in marks else None
            viewer = self.model(canvas)
            if place is not None and viewer is not None:
                go_to(viewer, np.array(place) - self.zero(canvas))

    def look(self) -> None:
        """Fit the main canvas to the image that is picked in."""
        viewer = self._viewer()
        own = list(self.layers("main").values())
        if viewer is None or not own:
            return
        viewer.fit_to_view(layers=own)

    def point(self, canvas: Canvas, position: Floats | None) -> None:
        """Show in the other canvas where the cursor of one points, and how sure that is."""
        if self._pair is None:
            return
        other: Canvas = "second" if canvas == "main" else "main"
        there = None if position is None else mapped(self._pair, canvas, position)
        overlays = self._overlays[other]
        self._overlays[canvas].put(CURSOR, None)
        self._overlays[canvas].put(CIRCLE, None)
        if there is None or (other == "main" and not self.engaged):
            overlays.put(CURSOR, None)
            overlays.put(CIRCLE, None)
            return
        ndim = self.depth(other)
        place = (there.position - self.zero(other))[-ndim:]
        if overlays.layer(CURSOR) is None:
            overlays.put(CURSOR, pair_marks.cursor_points(place, ndim))
        else:
            overlays.move(CURSOR, 0, place)
        circle = np.eye(2)[np.newaxis] * there.radius**2
        data = pair_marks.outline_data(place[np.newaxis], circle, 1.0)
        if overlays.layer(CIRCLE) is None and len(data):
            overlays.put(
                CIRCLE,
                pair_marks.outlines(
                    place[np.newaxis], circle, 1.0, ndim, "Error at the cursor (95 %)",
                    pair_marks.CURSOR,
                ),
            )  # fmt: skip
        else:
            overlays.redraw(CIRCLE, data)

    def refresh(self) -> None:
        """Bring both canvases, and the dock, to the state of the document."""
        pair = self._pair
        if pair is None:
            self.changed.emit()
            return
        fitted = found(pair.link)
        rows = self.rows()
        for canvas in CANVASES:
            overlays = self._overlays[canvas]
            if canvas == "main" and not self.engaged:
                overlays.clear()
                continue
            depth, name = self.depth(canvas), pair.frame(canvas)
            marks = self._marks(canvas, rows)
            overlays.put(PAIRS, pair_marks.pair_points(marks, depth, f"Landmarks in {name}"))
            self._draw_regions(canvas, fitted)
            self._draw_beads(canvas)
        self._draw_targets()
        self.changed.emit()

    # -- inside

    def _on_refreshed(self) -> None:
        """Follow the document, the site and the frame shown."""
        if self._pair is None:
            self.changed.emit()
            return
        session = self.workspace.store.session
        frames = {frame.name for frame in session.frames}
        if not {self._pair.link.moving, self._pair.link.fixed} <= frames:
            self.stop()
            return
        ours = [one for one in session.links if one.id == self._pair.link.id]
        # Without it in the document, all its picks were taken back; it waits for the next one.
        link = ours[0] if ours else replace(self._pair.link, landmarks=())
        self._pair = replace(self._pair, link=link)
        if not any(one.id == self.chosen for one in link.landmarks):
            self.chosen = ""
        if not self.second.shows_all(session):
            self.second.show(self.workspace.store, self._pair.frame("second"))
        self.refresh()

    def _on_second(self) -> None:
        self.refresh()

    def _commit(self, link: Link, label: str) -> None:
        try:
            self.workspace.store.commit(lambda session: edits.put(session, link), label)
        except ClxemError as error:
            show_error(str(error))
            self.refresh()

    def _amend(self, landmark: str, label: str, **values: Any) -> None:
        if self._pair is None:
            return
        marks = tuple(
            replace(one, **values) if one.id == landmark else one
            for one in self._pair.link.landmarks
        )
        self._commit(replace(self._pair.link, landmarks=marks), label)

    def _moved(self, canvas: Canvas, landmark: str, position: Floats) -> Link | None:
        if self._pair is None:
            return None
        side = self._pair.side(canvas)
        place = tuple(float(value) for value in position)
        values: dict[str, Any] = {side: place, "origin": "hand"}
        marks = tuple(
            replace(one, **values) if one.id == landmark else one
            for one in self._pair.link.landmarks
        )
        return replace(self._pair.link, landmarks=marks)

    def _shown(self, canvas: Canvas, link: Link) -> list[Landmark]:
        assert self._pair is not None
        side = self._pair.side(canvas)
        return [
            one
            for one in link.landmarks
            if (one.moving if side == "moving" else one.fixed) is not None
        ]

    def _marks(self, canvas: Canvas, rows: tuple[PairRow, ...]) -> list[pair_marks.PairMark]:
        assert self._pair is not None
        zero, side = self.zero(canvas), self._pair.side(canvas)
        found_marks = []
        for row in rows:
            place = row.moving if side == "moving" else row.fixed
            if place is not None:
                found_marks.append(
                    pair_marks.PairMark(
                        row.id,
                        row.number,
                        (np.array(place) - zero)[-self.depth(canvas) :],
                        row.flag,
                        row.id == self.chosen,
                    )
                )
        return found_marks

    def _regions(self, fitted: Fit, canvas: Canvas) -> tuple[Floats, Floats, float]:
        """Give where the fit puts the moving sides, with the error predicted there."""
        places = (fitted.transform(fitted.moving) - self.zero(canvas))[:, -self.depth(canvas) :]
        spreads = fitted.predict_error(fitted.moving)[:, -2:, -2:]
        return places, spreads, region_threshold(2, fitted.region_dof, REGION)

    def _draw_regions(self, canvas: Canvas, fitted: Fit | None) -> None:
        assert self._pair is not None
        overlays = self._overlays[canvas]
        if fitted is None or self._pair.side(canvas) != "fixed":
            overlays.put(OUTLINES, None)
            return
        overlays.put(
            OUTLINES,
            pair_marks.outlines(
                *self._regions(fitted, canvas),
                self.depth(canvas),
                "Predicted error at landmarks (95 %)",
                pair_marks.LOOKS[""][1],
            ),
        )

    def _draw_targets(self) -> None:
        """Show the targets of the site in the second canvas; the main one has them anyway."""
        assert self._pair is not None
        view = View(site=self.workspace.view.site, frame=self._pair.frame("second"))
        marks = [
            replace(one, position=one.position[-2:])
            for one in target_marks(self.workspace.store.session, view)
        ]
        overlays = self._overlays["second"]
        overlays.put(TARGETS, target_points(marks, 2) if marks else None)
        overlays.put(TARGET_ERRORS, error_ellipses(marks, 2) if marks else None)

    def _draw_beads(self, canvas: Canvas) -> None:
        dataset, overlays = self.dataset(canvas), self._overlays[canvas]
        beads = self._beads.get(dataset.id) if dataset else None
        ndim, depth = self.ndim(canvas), self.depth(canvas)
        if beads is None or dataset is None or beads.positions.shape[1] != ndim:
            overlays.put(BEADS, None)
            overlays.put(REJECTED, None)
            return
        zero = self.zero(canvas)
        overlays.put(
            BEADS,
            pair_marks.bead_points(
                (beads.positions - zero)[:, -depth:], depth, f"Beads in {dataset.name}"
            ),
        )
        places = np.array([one.position for one in beads.rejected]).reshape(-1, ndim) - zero
        reasons = [one.reason for one in beads.rejected]
        described = pair_marks.rejected_points(
            places[:, -depth:], reasons, depth, f"Not taken as beads in {dataset.name}"
        )
        overlays.put(REJECTED, described if self.rejected else None)


def _quick(link: Link, fitted: Fit | None, dragged: str) -> Link:
    """Make a robust link one that is solved at once: through the landmarks that carried it."""
    if not link.robust or fitted is None:
        return link
    marks = complete(link.landmarks)
    carried = {
        one.id
        for one, carries in zip(marks, fitted.inliers, strict=False)
        if carries or one.id == dragged
    }
    kept = tuple(one for one in link.landmarks if one.id in carried)
    return replace(link, robust=False, landmarks=kept)
