"""The SXT sites of a session under the hand: proposed, dragged, edited, followed, written."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from napari.qt.threading import create_worker
from napari.utils.notifications import show_error, show_info
from psygnal import Signal

from napari_clxem.errors import ClxemError, LamellaError
from napari_clxem.frames.affine import Floats
from napari_clxem.lamella import FieldRecord, Optics
from napari_clxem.plugin.controllers.overlays import Overlays
from napari_clxem.plugin.controllers.rows import find_target
from napari_clxem.plugin.controllers.targets_sites import (
    aiming_maps,
    field_at,
    propose_fields,
    renewed,
    shown_outline,
)
from napari_clxem.plugin.controllers.targets_stages import write_fields
from napari_clxem.plugin.controllers.tasks import say_error
from napari_clxem.plugin.controllers.workspace import Workspace
from napari_clxem.plugin.field_marks import field_lines, field_points, halo_lines
from napari_clxem.session import Session, edits
from napari_clxem.session.model import Dataset, Target


class Fields:
    """Fields for X-ray tomograms, and where they show.

    Parameters
    ----------
    workspace : Workspace
    viewer : napari.Viewer
        Shows the fields in plan view.

    Attributes
    ----------
    changed : Signal
        Emitted when there is something else to show.
    optics : Optics
        Of the next field.
    """

    changed = Signal()

    def __init__(self, workspace: Workspace, viewer: Any) -> None:
        self.workspace = workspace
        self._marks = Overlays(viewer, workspace.turns)
        self.optics = Optics()
        self._map = self._chosen = ""
        self._live: FieldRecord | None = None
        self._worker: Any = None
        self._released = False
        workspace.refreshed.connect(self.refresh)
        self.refresh()

    def release(self) -> None:
        """Take the fields out of the canvas."""
        self._released = True
        if self._worker is not None:
            self._worker.quit()
        self.workspace.refreshed.disconnect(self.refresh)
        self._marks.release()

    @property
    def session(self) -> Session:
        """The document."""
        return self.workspace.store.session

    @property
    def busy(self) -> bool:
        """Whether fields are being looked for."""
        return self._worker is not None

    @property
    def map(self) -> Dataset | None:
        """The map that the microscope is aimed by."""
        maps = aiming_maps(self.session)
        return next((one for one in maps if one.id == self._map), next(iter(maps), None))

    @property
    def record(self) -> FieldRecord | None:
        """The field that is chosen."""
        return next((one for one in self.session.fields if one.id == self._chosen), None)

    # -- what is done

    def choose_map(self, dataset: str) -> None:
        """Aim by another map."""
        self._map = dataset
        self.changed.emit()

    def choose(self, field: str) -> None:
        """Take a field as the one that is edited."""
        self._chosen = field
        self.refresh()

    def propose(self) -> None:
        """Propose fields for all targets of the grid that have none."""
        self._add(None)

    def put(self) -> None:
        """Put a field over the chosen target."""
        target = find_target(self.session, self.workspace.view, self.workspace.target)
        if target is None:
            show_info("Pick a target first; the field is put over it.")
            return
        self._add([target])

    def _add(self, targets: list[Target] | None) -> None:
        """Look for fields in the background, and keep them."""
        map_ = self.map
        if map_ is None or self.busy:
            show_info("A field is being looked for." if self.busy else "The grid has no map yet.")
            return
        self._worker = create_worker(
            propose_fields,
            self.session,
            map_,
            self.optics,
            targets,
            _start_thread=False,
            _ignore_errors=True,
        )
        self._worker.returned.connect(self._take)
        self._worker.errored.connect(say_error)
        self._worker.finished.connect(self._done)
        self._worker.start()
        self.changed.emit()

    def _take(self, found: tuple[FieldRecord, ...]) -> None:
        if self._released:  # the thread could not be stopped in time
            return
        self._chosen = found[0].id
        names = ", ".join(one.name for one in found)
        self._commit(lambda s: edits.put(s, *found), f"Place fields for {names}")

    def _done(self) -> None:
        self._worker = None
        if not self._released:
            self.changed.emit()

    def amend(self, **values: Any) -> None:
        """Change the chosen field: name, status, verdict, tomogram and so on."""
        record = self.record
        if record is not None and (changed := replace(record, **values)) != record:
            self._commit(lambda s: edits.put(s, changed), f"Edit field {record.name}")

    def set_optics(self, **values: Any) -> None:
        """Change field size, beam or tilts: of the chosen field, and of the next ones."""
        record = self.record
        try:
            self.optics = replace(record.optics if record else self.optics, **values)
        except LamellaError as error:
            show_error(str(error))
            return
        self.amend(optics=self.optics)

    def remove(self) -> None:
        """Delete the chosen field."""
        record = self.record
        if record is not None:
            self._commit(
                lambda s: edits.drop(s, FieldRecord, record.id), f"Delete field {record.name}"
            )

    def write(self, path: str | Path) -> None:
        """Write the fields that are planned as a stage list."""
        try:
            show_info(write_fields(path, self.session))
        except ClxemError as error:
            show_error(str(error))

    # -- under the mouse

    def places(self, canvas: str) -> dict[str, Floats]:
        """Give where fields are taken hold of in the main canvas, (y, x) display µm: a corner.

        Their middles lie on the targets, which are dragged, too.
        """
        if canvas != "main":
            return {}
        seen = {one.id: self._corner(one) for one in self._shown()}
        return {name: spot for name, spot in seen.items() if spot is not None}

    def _corner(self, record: FieldRecord) -> Floats | None:
        box = shown_outline(self.session, record, self.workspace.view, record.outline)
        return None if box is None else box[0]

    def drag(self, _canvas: str, name: str, spot: Floats) -> None:
        """Show a field elsewhere, for the eye only."""
        view = self.workspace.view
        record = next((one for one in self.session.fields if one.id == name), None)
        box = None if record is None else shown_outline(self.session, record, view, record.outline)
        if record is not None and box is not None:
            middle = box.mean(axis=0) + spot - box[0]
            self._live = field_at(self.session, record, view, middle)
            self._draw()

    def drop(self, canvas: str, name: str, spot: Floats) -> None:
        """Leave a field where it was dragged to."""
        self.drag(canvas, name, spot)
        live, self._live = self._live, None
        if live is not None:
            self._chosen = live.id
            moved = renewed(self.session, live)
            self._commit(lambda s: edits.put(s, moved), f"Move field {live.name}")

    # -- what is shown

    def refresh(self) -> None:
        """Bring the canvas to the state of the document."""
        self._live = None
        self._draw()
        self.changed.emit()

    def _shown(self) -> tuple[FieldRecord, ...]:
        view = self.workspace.view
        return tuple(
            self._live if self._live is not None and one.id == self._live.id else one
            for one in self.session.fields
            if view.frame and (view.site is None or one.site in (None, view.site))
        )

    def _draw(self) -> None:
        session, view = self.session, self.workspace.view
        drawn = [(one, shown_outline(session, one, view, one.outline)) for one in self._shown()]
        halos = [shown_outline(session, one, view, one.halo) for one, _ in drawn if one.reserves]
        seen = [(one, box) for one, box in drawn if box is not None]
        self._marks.put("halos", halo_lines([one for one in halos if one is not None]))
        self._marks.put("fields", field_lines([box for _, box in seen]))
        chosen = self._chosen
        self._marks.put("middles", field_points([(o, b, o.id == chosen) for o, b in seen]))

    def _commit(self, edit: Callable[[Session], Session], label: str) -> None:
        try:
            self.workspace.store.commit(edit, label)
        except ClxemError as error:
            show_error(str(error))
