"""What the dock "Targets" works on: the FIB view, targets in it, and the lamella that is chosen."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Literal

from psygnal import Signal

from napari_clxem.lamella import BOXES, INSTRUMENTS, Capture, Instrument, Lamella, LamellaRecord
from napari_clxem.plugin.controllers.overlays import Overlays
from napari_clxem.plugin.controllers.positions import View, target_marks
from napari_clxem.plugin.controllers.rows import find_target
from napari_clxem.plugin.controllers.second import SecondView
from napari_clxem.plugin.controllers.targets_advice import Advice
from napari_clxem.plugin.controllers.targets_boxes import Boxes
from napari_clxem.plugin.controllers.targets_drawing import draw_targets
from napari_clxem.plugin.controllers.targets_drift import Drift
from napari_clxem.plugin.controllers.targets_film import Tilt, kept_tilt
from napari_clxem.plugin.controllers.targets_picks import Picks
from napari_clxem.plugin.controllers.workspace import Workspace
from napari_clxem.session.fib_views import Aim, FibView, aims, fib_datasets, fib_view
from napari_clxem.session.model import Session, Target
from napari_clxem.session.promises import captures, instrument_of, placing_of

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
    picks : Picks
        What is done to targets.
    boxes : Boxes
        What is done to lamellae.
    advice : Advice
        What is worked out for them.
    drift : Drift
        Newer FIB images.
    active : bool
        Whether the mouse may drag at all.
    fib : FibView or None
        What lamellae are planned in.
    aims : tuple of Aim
        Targets as it has them.
    found : dict of str to Capture
        What the lamella promises of each of them.
    """

    changed = Signal()
    moved = Signal()

    def __init__(self, workspace: Workspace, viewer: Any) -> None:
        self.workspace = workspace
        self.second = SecondView(workspace.layers.planes, workspace.turns)
        self.main_marks = Overlays(viewer, workspace.turns)
        self.fib_marks = Overlays(self.second.model, workspace.turns)
        self.active = True
        self.fib: FibView | None = None
        self.aims: tuple[Aim, ...] = ()
        self.found: dict[str, Capture] = {}
        self.preset = BOXES[0]
        self._instrument = INSTRUMENTS[0]
        self._fib_id = self._record_id = ""
        self._known: tuple[Session, View, str] | None = None
        self.picks = Picks(self)
        self.boxes = Boxes(self, viewer)
        self.advice = Advice(self)
        self.drift = Drift(self)
        workspace.refreshed.connect(self.refresh)
        workspace.hand_taken.connect(self.picks.on_hand_taken)
        self.refresh()

    def release(self) -> None:
        """Let the workspace and the canvases go."""
        self.advice.release()
        self.drift.release()
        self.workspace.refreshed.disconnect(self.refresh)
        self.workspace.hand_taken.disconnect(self.picks.on_hand_taken)
        self.boxes.release()
        self.main_marks.release()
        self.fib_marks.release()
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
    def aim(self) -> Aim | None:
        """The target that is chosen, as the FIB view has it."""
        target = self.target
        return next((one for one in self.aims if target and one.target.id == target.id), None)

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
        return self.boxes.live or (record.lamella if record else None)

    @property
    def instrument(self) -> Instrument:
        """The instrument of the lamella, or of the next one."""
        return instrument_of(self.record, self._instrument)

    @property
    def placing(self) -> float:
        """Sd with which the microscope places the box, µm: as kept, or the instrument's."""
        return placing_of(self.record, self._instrument)

    @property
    def film(self) -> Tilt:
        """Tilt of the film at the site (about y, about x), degrees."""
        return kept_tilt(self.session, self.workspace.view.site)

    @property
    def trouble(self) -> str:
        """Why there is no FIB view to plan in; empty where there is one."""
        if self.fib is not None:
            return ""
        if not fib_datasets(self.session, self.workspace.view.site):
            return "This site has no FIB image yet: open one to plan a lamella in it."
        return "The FIB image is not linked with a stack: link them in the dock Correlate."

    # -- what is chosen

    def choose_view(self, dataset: str) -> None:
        """Plan in another FIB image; one without a link of its own is fitted to this one."""
        one = next((one for one in self.session.datasets if one.id == dataset), None)
        if one is not None and self.fib is not None and fib_view(self.session, one) is None:
            self.drift.follow(one)
            return
        self._fib_id = dataset
        self.look_again()

    def choose_record(self, record: str) -> None:
        """Work on another lamella; empty for none."""
        self.point_at(record)
        self.advice.forget()
        self.refresh()

    def choose_instrument(self, instrument: Instrument) -> None:
        """Cut on another instrument, with its damage layer and placing error."""
        self._instrument = instrument
        if self.record is not None:
            self.boxes.amend(instrument=instrument.name, damage=instrument.damage, placing=None)
        self.look_again()

    def point_at(self, record: str) -> None:
        """Take a lamella as the one being worked on, without showing it yet."""
        self._record_id = record
        self.boxes.live = None
        self._known = None

    def look_again(self) -> None:
        """Look at the document afresh."""
        self._known = None
        self.refresh()

    # -- what is shown

    def refresh(self) -> None:
        """Bring everything to the state of the document."""
        view = self.workspace.view
        state = (self.session, view, self._record_id)
        if self._known is None or state != self._known:
            self.boxes.live = None
            if self.record is None:
                self._record_id = self.records[0].id if self.records else ""
            self._known = (self.session, view, self._record_id)
            self._look()
        self.reckon()
        self.boxes.draw_all()
        fib = View(view.site, self.fib.dataset.frame) if self.fib else None
        marks = target_marks(self.session, fib) if fib else []
        # In a view along the grid targets lie close together: their errors stand in the table.
        names = {one.id: one.name or one.id for one in self.session.targets}
        draw_targets(self.fib_marks, [replace(one, label=names[one.id]) for one in marks])
        self.changed.emit()

    def reckon(self) -> None:
        """Work out what the lamella promises."""
        lamella, record, fib = self.lamella, self.record, self.fib
        fits = record is not None and fib is not None and record.frame == fib.volume
        self.found = captures(lamella, self.aims, self.placing) if lamella and fits else {}

    def _look(self) -> None:
        """Find the FIB view and where it has the targets."""
        session, site = self.session, self.workspace.view.site
        datasets = fib_datasets(session, site)
        record = self.record
        found = None
        for dataset in sorted(datasets, key=lambda one: one.id != self._fib_id):
            found = fib_view(session, dataset, record.frame if record else "")
            found = found or fib_view(session, dataset)
            if found is not None:
                break
        self.fib = found
        targets = [one for one in session.targets if one.site in (None, site)]
        self.aims = aims(session, found, targets) if found else ()
        self.second.show(self.workspace.store, found.dataset.frame if found else "")
