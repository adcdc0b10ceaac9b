"""Targets and the lamellae planned for them: what the dock does, and what the canvases show."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Literal

import numpy as np
from napari.qt.threading import create_worker
from napari.utils.notifications import show_error, show_info
from psygnal import Signal

from napari_clxem.errors import ClxemError
from napari_clxem.frames.affine import Floats
from napari_clxem.lamella import (
    BOXES,
    INSTRUMENTS,
    Capture,
    Lamella,
    LamellaRecord,
    Proposal,
    placed,
    propose,
    pulled,
)
from napari_clxem.plugin.controllers.overlays import Overlays
from napari_clxem.plugin.controllers.positions import View, target_marks
from napari_clxem.plugin.controllers.rows import find_target
from napari_clxem.plugin.controllers.second import SecondView
from napari_clxem.plugin.controllers.targets_drawing import (
    draw_box,
    draw_moved,
    draw_others,
    draw_solid,
    draw_targets,
)
from napari_clxem.plugin.controllers.targets_scene import (
    Aim,
    FibView,
    aims,
    box_at,
    captures,
    fib_datasets,
    fib_view,
    gain,
    moved_target,
    promise,
    shown_placement,
    stage_tilt_for,
)
from napari_clxem.plugin.controllers.workspace import Workspace
from napari_clxem.plugin.lamella_marks import FIB_EDGES, PLAN_EDGES, handle_places
from napari_clxem.session import edits
from napari_clxem.session.model import Session, Target, Vector, new_id

Canvas = Literal["main", "fib"]


class Targets:
    """Targets and lamella boxes of the site shown.

    Parameters
    ----------
    workspace : Workspace
    viewer : napari.Viewer
        Its main canvas shows the plan view.

    Attributes
    ----------
    changed : Signal
        Emitted when there is something else to show.
    moved : Signal
        Emitted while a box is dragged: only the figures differ.
    picking, snap, active : bool
        Whether clicks add targets, whether they snap to what is bright there, and whether the
        mouse may drag at all.
    placing : float
        Sd with which the microscope places a box, µm.
    free : bool
        Whether a proposal may choose the milling angle.
    every : bool
        Whether a proposal is for all targets of the site.
    """

    changed = Signal()
    moved = Signal()

    def __init__(self, workspace: Workspace, viewer: Any) -> None:
        self.workspace = workspace
        self.second = SecondView(workspace.layers.planes, workspace.turns)
        self._main_marks = Overlays(viewer, workspace.turns)
        self._fib_marks = Overlays(self.second.model, workspace.turns)
        self._canvases: tuple[tuple[Canvas, Overlays], ...] = (
            ("main", self._main_marks),
            ("fib", self._fib_marks),
        )
        self.picking = self.snap = self.free = self.every = False
        self.active = True
        self.placing = 0.0
        self.instrument, self.preset = INSTRUMENTS[0], BOXES[0]
        self.fib: FibView | None = None
        self.aims: tuple[Aim, ...] = ()
        self.found: dict[str, Capture] = {}
        self.proposal: Proposal | None = None
        self.gain = ""
        self._fib_id = self._record_id = ""
        self._live: Lamella | None = None
        self._known: tuple[Session, View, str] | None = None
        self._worker: Any = None
        workspace.refreshed.connect(self.refresh)
        workspace.hand_taken.connect(self._on_hand_taken)
        self.refresh()

    def release(self) -> None:
        """Let the workspace and the canvases go."""
        if self._worker is not None:
            self._worker.quit()
        self.workspace.refreshed.disconnect(self.refresh)
        self.workspace.hand_taken.disconnect(self._on_hand_taken)
        # What waits to be drawn would otherwise come back after it was taken away.
        self.workspace.turns.finish()
        self._main_marks.release()
        self._fib_marks.release()
        self.second.release()

    # -- what there is

    @property
    def session(self) -> Session:
        """The document."""
        return self.workspace.store.session

    @property
    def target(self) -> Target | None:
        """The target that is chosen."""
        return find_target(self.session, self.workspace.view, self.workspace.target)

    @property
    def records(self) -> tuple[LamellaRecord, ...]:
        """Lamellae of the site that are planned."""
        site = self.workspace.view.site
        return tuple(
            one
            for one in self.session.lamellae
            if one.site in (None, site) and one.status == "planned"
        )

    @property
    def record(self) -> LamellaRecord | None:
        """The lamella being worked on."""
        return next((one for one in self.records if one.id == self._record_id), None)

    @property
    def lamella(self) -> Lamella | None:
        """Its box, as it is drawn: where a hand drags it, there."""
        record = self.record
        return self._live or (record.lamella if record else None)

    @property
    def busy(self) -> bool:
        """Whether a proposal is being worked out."""
        return self._worker is not None

    @property
    def trouble(self) -> str:
        """Why there is no FIB view to plan in; empty where there is one."""
        if self.fib is not None:
            return ""
        if not fib_datasets(self.session, self.workspace.view.site):
            return "This site has no FIB image yet: open one to plan a lamella in it."
        return "The FIB image is not linked with a stack: link them in the dock Correlate."

    @property
    def tilt(self) -> float | None:
        """Stage tilt at which the box is cut, degrees."""
        if self.fib is None or self.lamella is None:
            return None
        return stage_tilt_for(self.fib, self.lamella.angle)

    # -- what is chosen

    def choose_view(self, dataset: str) -> None:
        """Plan in another FIB image."""
        self._fib_id = dataset
        self._known = None
        self.refresh()

    def choose_record(self, record: str) -> None:
        """Work on another lamella; empty for none."""
        self._record_id = record
        self.proposal, self.gain, self._live = None, "", None
        self._known = None
        self.refresh()

    def _on_hand_taken(self, owner: object) -> None:
        """Pick no more once something else does."""
        if owner is not self and self.picking:
            self.picking = False
            self.changed.emit()

    def refresh(self) -> None:
        """Bring everything to the state of the document."""
        view = self.workspace.view
        state = (self.session, view, self._record_id)
        if self._known is None or state != self._known:
            self._live = None
            if self.record is None:
                self._record_id = self.records[0].id if self.records else ""
            self._known = (self.session, view, self._record_id)
            self._look()
        self._reckon()
        self._draw()
        self.changed.emit()

    def _look(self) -> None:
        """Find the FIB view and where it has the targets."""
        session, site = self.session, self.workspace.view.site
        datasets = fib_datasets(session, site)
        chosen = sorted(datasets, key=lambda one: one.id != self._fib_id)
        record = self.record
        found = None
        for dataset in chosen:
            found = fib_view(session, dataset, record.frame if record else "")
            found = found or fib_view(session, dataset)
            if found is not None:
                break
        self.fib = found
        targets = [one for one in session.targets if one.site in (None, site)]
        self.aims = aims(session, found, targets) if found else ()
        self.second.show(self.workspace.store, found.dataset.frame if found else "")

    def _reckon(self) -> None:
        lamella, record, fib = self.lamella, self.record, self.fib
        fits = record is not None and fib is not None and record.frame == fib.volume
        self.found = captures(lamella, self.aims, self.placing) if lamella and fits else {}

    # -- targets

    def add(self, frame: str, site: str | None, position: Vector, sigma: Vector) -> None:
        """Add a target where it was picked."""
        names = {one.name for one in self.session.targets}
        number = next(n for n in range(1, len(names) + 2) if f"T{n}" not in names)
        target = Target(
            id=new_id(), name=f"T{number}", site=site, frame=frame, position=position, sigma=sigma
        )
        self._commit(target, f"Add target {target.name}")
        self.workspace.target = target.id
        self.workspace.refreshed.emit()

    def amend(self, **values: Any) -> None:
        """Change name, radius, position or sigma of the chosen target."""
        target = self.target
        if target is None:
            return
        changed = replace(target, **values)
        if changed != target:
            self._commit(changed, f"Edit target {changed.name or changed.id}")

    def remove(self) -> None:
        """Delete the chosen target; lamellae forget it."""
        target = self.target
        if target is None:
            return

        def without(session: Session) -> Session:
            session = edits.drop(session, Target, target.id)
            rest = [
                replace(one, targets=tuple(t for t in one.targets if t != target.id))
                for one in session.lamellae
                if target.id in one.targets
            ]
            return edits.put(session, *rest)

        self.workspace.store.commit(without, f"Delete target {target.name or target.id}")

    def target_places(self) -> dict[str, Floats]:
        """Give where targets show in the main canvas, (y, x) display µm."""
        marks = target_marks(self.session, self.workspace.view)
        return {mark.id: np.asarray(mark.position[-2:]) for mark in marks}

    def drag_target(self, name: str, spot: Floats) -> None:
        """Show a target elsewhere, for the eye only."""
        marks = target_marks(self.session, self.workspace.view)
        moved = [
            replace(one, position=np.array([*one.position[:-2], *spot]))
            for one in marks
            if one.id == name
        ]
        draw_moved(self._main_marks, moved)

    def drop_target(self, name: str, spot: Floats) -> None:
        """Leave a target where it was dragged to, its height kept."""
        draw_moved(self._main_marks, [])
        target = next((one for one in self.session.targets if one.id == name), None)
        moved = moved_target(self.session, self.workspace.view, target, spot) if target else None
        if moved is not None:
            self._commit(moved, f"Move target {moved.name or moved.id}")

    # -- lamellae

    def draw_box(self) -> None:
        """Begin a lamella of the preset's size about the chosen target."""
        aim = self._aim()
        if self.fib is None or aim is None:
            show_info(self.trouble or "The FIB view cannot place this target; link its frame.")
            return
        self._keep(box_at(self.fib, aim, self.instrument, self.preset), (aim.target.id,), new=True)

    def propose(self) -> None:
        """Look for the lamella that holds most of its targets, in the background."""
        fib, aim = self.fib, self._aim()
        if fib is None or aim is None or self._worker is not None:
            show_info(self.trouble or "The FIB view cannot place this target; link its frame.")
            return
        record = self.record
        meant = self.aims if self.every else (aim,)
        base = record.lamella if record else box_at(fib, aim, self.instrument, self.preset)
        self._worker = create_worker(
            propose,
            np.array([one.position for one in meant]),
            np.array([one.target.radius for one in meant]),
            np.array([one.covariance for one in meant]) + self.placing**2 * np.eye(3),
            angles=self._angles(fib),
            usual=fib.angle,
            azimuth=fib.azimuth,
            thickness=base.thickness,
            width=base.width,
            length=base.length,
            damage=self.instrument.damage,
            _start_thread=False,
        )
        names = tuple(one.target.id for one in meant)
        self._worker.returned.connect(lambda found: self._take(found, names))
        self._worker.errored.connect(_say)
        self._worker.finished.connect(self._done)
        self._worker.start()
        self.changed.emit()

    def _angles(self, fib: FibView) -> tuple[float, float]:
        """Give the milling angles to choose from, in the volume, degrees."""
        if not self.free:
            return (fib.angle, fib.angle)
        low, high = self.instrument.reachable
        tilt = stage_tilt_for(fib, fib.angle)
        # what the shuttle and the film make of the nominal angle, the registration has seen
        off = 0.0 if tilt is None else fib.angle - self.instrument.milling_angle(tilt)
        return (low + off, high + off)

    def _take(self, found: Proposal, names: tuple[str, ...]) -> None:
        self._keep(found.lamella, names, new=self.record is None)
        self.proposal = found
        self.explain()

    def _done(self) -> None:
        self._worker = None
        self.changed.emit()

    def explain(self) -> None:
        """Work out what more beads would bring to the lamella."""
        record = self.record
        self.gain = ""
        if record is not None and self.fib is not None:
            more = gain(self.session, self.fib, record, self.aims, self.placing)
            if more is not None and more.after > more.before + 0.005:
                self.gain = more.sentence
        self.changed.emit()

    def set_box(self, **values: Any) -> None:
        """Change width, thickness, length, angle or damage of the lamella."""
        record = self.record
        if record is None:
            return
        try:
            changed = replace(record.lamella, **values)
        except ClxemError as error:
            show_error(str(error))
            return
        if changed != record.lamella:
            self._keep(changed, record.targets)

    def resize(self) -> None:
        """Give the lamella the sizes of the preset."""
        record = self.record
        if record is not None:
            self._keep(self.preset.applied(record.lamella), record.targets)

    def remove_box(self) -> None:
        """Delete the lamella."""
        record = self.record
        if record is not None:
            self.workspace.store.commit(
                lambda s: edits.drop(s, LamellaRecord, record.id), f"Delete {record.name}"
            )

    def handles(self, canvas: Canvas) -> dict[str, Floats]:
        """Give where the handles of the box show in a canvas, µm."""
        seen = self._projection(canvas)
        if self.lamella is None or seen is None or self.lamella.outline:
            return {}
        return handle_places(self.lamella, seen, FIB_EDGES if canvas == "fib" else PLAN_EDGES)

    def pull(self, canvas: Canvas, handle: str, spot: Floats) -> None:
        """Drag a handle of the box to a place of a canvas, for the eye only."""
        record, seen = self.record, self._projection(canvas)
        if record is None or seen is None:
            return
        if handle == "centre":
            self._live = placed(record.lamella, seen, spot)
        else:
            self._live = pulled(record.lamella, seen, handle, spot)  # type: ignore[arg-type]
        self._reckon()
        self._draw_boxes()
        self.moved.emit()

    def let_go(self) -> None:
        """Keep the box as it was dragged."""
        live, record = self._live, self.record
        if live is not None and record is not None:
            self._keep(live, record.targets)

    # -- within

    def _aim(self) -> Aim | None:
        target = self.target
        return next((one for one in self.aims if target and one.target.id == target.id), None)

    def _commit(self, target: Target, label: str) -> None:
        try:
            self.workspace.store.commit(lambda session: edits.put(session, target), label)
        except ClxemError as error:
            show_error(str(error))

    def _keep(self, lamella: Lamella, names: tuple[str, ...], new: bool = False) -> None:
        fib, record = self.fib, self.record
        if fib is None:
            return
        self._live = None
        self.proposal, self.gain = None, ""
        found = captures(lamella, self.aims, self.placing)
        if record is None or new:
            record = LamellaRecord(
                id=new_id(),
                name=f"Lamella {len(self.session.lamellae) + 1}",
                site=self.workspace.view.site,
                frame=fib.volume,
                lamella=lamella,
            )
        kept = replace(
            record,
            lamella=lamella,
            targets=names,
            instrument=self.instrument.name,
            stage_tilt=stage_tilt_for(fib, lamella.angle),
            promised=promise(found, names),
        )
        self._record_id = kept.id
        self._known = None
        self.workspace.store.commit(lambda s: edits.put(s, kept), f"Place {kept.name}")

    def _projection(self, canvas: Canvas) -> Floats | None:
        """Give how the lamella's frame shows in a canvas, (2, 4) µm."""
        record = self.record
        if record is None:
            return None
        if canvas == "fib":
            here = self.fib is not None and record.frame == self.fib.volume
            return self.fib.projection if here and self.fib else None
        where = shown_placement(self.session, record, self.workspace.view)
        return None if where is None else where[1:3]

    def _draw(self) -> None:
        self._draw_boxes()
        fib = View(self.workspace.view.site, self.fib.dataset.frame) if self.fib else None
        draw_targets(self._fib_marks, target_marks(self.session, fib) if fib else [])

    def _draw_boxes(self) -> None:
        lamella, record, view = self.lamella, self.record, self.workspace.view
        for canvas, overlays in self._canvases:
            draw_box(overlays, lamella, self._projection(canvas), self.handles(canvas))
        where = shown_placement(self.session, record, view) if record is not None else None
        draw_solid(self._main_marks, lamella, where)
        draw_others(
            self._main_marks,
            [
                (one.lamella, shown_placement(self.session, one, view))
                for one in self.session.lamellae
                if one.site in (None, view.site) and one.id != self._record_id
            ],
        )


def _say(error: Exception) -> None:
    if not isinstance(error, ClxemError):
        raise error
    show_error(str(error))
