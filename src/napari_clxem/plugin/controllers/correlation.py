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
from napari_clxem.frames.affine import Floats
from napari_clxem.plugin.controllers.guidance import Advice, advice
from napari_clxem.plugin.controllers.pairing import (
    CANVASES,
    Canvas,
    Pairing,
    mapped,
    pairing,
    quick,
    unpaired,
)
from napari_clxem.plugin.controllers.panels import Panel, PanelMarks
from napari_clxem.plugin.controllers.positions import View, target_marks
from napari_clxem.plugin.controllers.rows import find_target
from napari_clxem.plugin.controllers.scene import go_to
from napari_clxem.plugin.controllers.second import SecondView
from napari_clxem.plugin.controllers.workspace import Workspace
from napari_clxem.plugin.layers import Plane
from napari_clxem.plugin.world import unwrapped
from napari_clxem.session import edits
from napari_clxem.session.extents import axes_of
from napari_clxem.session.model import Dataset, Landmark, Link, Origin, Vector
from napari_clxem.session.pairs import PairRow, found, frame_dataset, pair_rows, with_pick

MICROMETRE = "micrometer"


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
    single : bool
        Whether the main canvas shows both sides in turn, without a second one.
    rejected : bool
        Whether candidates that are no beads are shown.
    field : bool
        Whether the predicted error is shown as a map.
    chosen : str
        Id of the landmark selected; empty for none.
    """

    changed = Signal()

    def __init__(self, workspace: Workspace, viewer: Any) -> None:
        viewer = unwrapped(viewer)
        self._viewer = ref(viewer)
        self.workspace = workspace
        self.second = SecondView(workspace.layers.planes, workspace.turns)
        viewers: dict[Canvas, Any] = {"main": viewer, "second": self.second.model}
        self._marks = PanelMarks(viewers, workspace.turns)
        self._pair: Pairing | None = None
        self._beads: dict[str, Beads] = {}
        self.picking = False
        self.single = False
        self.rejected = False
        self.field = False
        self.chosen = ""
        workspace.refreshed.connect(self._on_refreshed)
        workspace.hand_taken.connect(self._on_hand_taken)
        self.second.changed.connect(self._on_second)
        viewer.dims.events.ndisplay.connect(self.refresh)
        viewer.events.theme.connect(self._on_theme)
        self._on_theme()

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

    def turn(self) -> None:
        """Show the other side of the link in the main canvas, around the same place."""
        pair, viewer = self._pair, self._viewer()
        if pair is None or viewer is None:
            return
        middle = np.array(viewer.scene.camera.center)[-self.panel("main").ndim :]
        there = mapped(pair, "main", middle + self.panel("main").zero) if self.engaged else None
        self._pair = replace(pair, main=pair.side("second"))
        self.second.show(self.workspace.store, self._pair.frame("second"))
        view = self.workspace.view
        self.workspace.show_site(view.site, self._pair.frame("main"), wait=False, link=pair.link.id)
        if there is None:
            self.look()
        else:
            go_to(viewer, there.position - self.panel("main").zero)

    def stop(self) -> None:
        """End working on a link; the main canvas stays as it is."""
        self._pair = None
        self.picking = False
        self._marks.clear(*CANVASES)
        self.second.show(self.workspace.store, "")
        self.changed.emit()

    def release(self) -> None:
        """Let the viewer go."""
        self.workspace.refreshed.disconnect(self._on_refreshed)
        self.workspace.hand_taken.disconnect(self._on_hand_taken)
        self.second.changed.disconnect(self._on_second)
        viewer = self._viewer()
        if viewer is not None:
            viewer.dims.events.ndisplay.disconnect(self.refresh)
            viewer.events.theme.disconnect(self._on_theme)
        self.second.release()
        self._marks.release()

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

    def panel(self, canvas: Canvas) -> Panel:
        """Give what a canvas shows now."""
        assert self._pair is not None
        frame, viewer = self._pair.frame(canvas), self.model(canvas)
        ndim = axes_of(self.workspace.store.session, frame)
        here = self.workspace.view.origin if canvas == "main" else (0.0, 0.0, 0.0)
        flat = viewer is None or viewer.dims.ndisplay == 2
        return Panel(
            canvas=canvas,
            side=self._pair.side(canvas),
            frame=frame,
            dataset=self.dataset(canvas),
            ndim=ndim,
            depth=2 if flat else ndim,
            zero=np.array(here[-ndim:]),
        )

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
        if self.single:
            self.turn()

    def drag(self, canvas: Canvas, landmark: str, position: Floats) -> None:
        """Show what moving a landmark would do, without committing it."""
        pair = self._pair
        if pair is None:
            return
        trial = pair.moved(canvas, landmark, position)
        row = pair.shown(canvas).index(landmark)
        self._marks.move_pair(self.panel(canvas), row, position)
        tried = quick(trial, found(pair.link), landmark)
        session = edits.put(self.workspace.store.session, tried)
        if self.engaged and pair.main == "fixed":
            self.workspace.layers.preview(session, trial.moving)
        fitted = found(tried)
        if fitted is not None:
            self._marks.move_regions(self.panel(pair.canvas("fixed")), fitted)

    def drop(self, canvas: Canvas, landmark: str, position: Floats) -> None:
        """Commit where a landmark was dragged to, as one step."""
        if self._pair is not None:
            self._commit(self._pair.moved(canvas, landmark, position), "Move landmark")

    def use(self, landmark: str, use: bool) -> None:
        """Take a landmark into the fit, or exclude it."""
        if self._pair is not None:
            label = "Include landmark" if use else "Exclude landmark"
            self._commit(self._pair.amended(landmark, use=use), label)

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
                go_to(viewer, np.array(place) - self.panel(canvas).zero)

    def look(self) -> None:
        """Fit the main canvas to the image that is picked in."""
        viewer = self._viewer()
        own = list(self.layers("main").values())
        # While a layer comes or goes, the world may be in another unit for a moment.
        if viewer is None or not own or {str(one) for one in viewer.layers.units} != {MICROMETRE}:
            return
        viewer.fit_to_view(layers=own)

    def point(self, canvas: Canvas, position: Floats | None) -> None:
        """Show in the other canvas where the cursor of one points, and how sure that is."""
        if self._pair is None:
            return
        other: Canvas = "second" if canvas == "main" else "main"
        there = None if position is None else mapped(self._pair, canvas, position)
        for one, shown in ((canvas, None), (other, there)):
            if one == "second" or self.engaged:
                self._marks.show_cursor(self.panel(one), shown)

    def refresh(self) -> None:
        """Bring both canvases, and the dock, to the state of the document."""
        pair = self._pair
        if pair is None:
            self.changed.emit()
            return
        fitted = found(pair.link)
        rows = self.rows()
        moving = self.dataset(pair.canvas("moving"))
        where = self.advice()
        for canvas in CANVASES:
            if canvas == "main" and not self.engaged:
                self._marks.clear(canvas)
                continue
            panel = self.panel(canvas)
            beads = self._beads.get(panel.dataset.id) if panel.dataset else None
            self._marks.show_pairs(panel, rows, self.chosen)
            self._marks.show_regions(panel, fitted)
            self._marks.show_field(panel, moving, fitted if self.field else None)
            self._marks.show_beads(panel, beads, self.rejected)
            starred = where.position if where and panel.side == "moving" else None
            self._marks.show_suggestion(panel, starred)
        # The main canvas has the targets anyway.
        panel = self.panel("second")
        view = View(site=self.workspace.view.site, frame=panel.frame)
        self._marks.show_targets(panel, target_marks(self.workspace.store.session, view))
        self.changed.emit()

    def advice(self) -> Advice | None:
        """Give where the next landmark would help most; None while nothing is known of it."""
        pair = self._pair
        moving = self.dataset(pair.canvas("moving")) if pair else None
        beads = self._beads.get(moving.id) if moving else None
        if pair is None or beads is None:
            return None
        session, view = self.workspace.store.session, self.workspace.view
        target = find_target(session, view, self.workspace.target)
        return advice(session, pair.link, target, unpaired(beads.positions, pair.link))

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

    def _on_hand_taken(self, owner: object) -> None:
        """Pick no more once something else does."""
        if owner is not self and self.picking:
            self.picking = False
            self.refresh()

    def _on_theme(self) -> None:
        """Look like the main canvas."""
        viewer = self._viewer()
        if viewer is not None:
            self.second.model.theme = viewer.theme

    def _on_second(self) -> None:
        self.refresh()

    def _commit(self, link: Link, label: str) -> None:
        try:
            self.workspace.store.commit(lambda session: edits.put(session, link), label)
        except ClxemError as error:
            show_error(str(error))
            self.refresh()
