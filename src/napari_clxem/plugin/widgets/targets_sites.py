"""SXT sites: which fields to take tomograms of, kept and followed to lamella and verdict."""

from __future__ import annotations

from typing import Any

from qtpy.QtWidgets import QFileDialog, QFormLayout, QLineEdit, QVBoxLayout, QWidget

from napari_clxem.plugin import keys
from napari_clxem.plugin.controllers.targets_fields import Fields
from napari_clxem.plugin.controllers.targets_sites import (
    aiming_maps,
    judged,
    lamella_of,
    tomogram_of,
)
from napari_clxem.plugin.controllers.targets_words import fate_cells, field_cells
from napari_clxem.plugin.controllers.workspace import Workspace
from napari_clxem.plugin.widgets.parts import button, combo, fill, row, said, spin
from napari_clxem.plugin.widgets.tables import Row, Table
from napari_clxem.session.model import Session

COLUMNS = (
    ("Field for", "Target that the field is placed for; choose one to edit it"),
    ("Beads", "Beads within the field"),
    ("Holds", "Probability that the field holds the target in spite of the pointing error"),
    ("Clear", "Whether its tilt series keeps off everything exposed, planned or reserved"),
    ("± sd", "Predicted pointing error per axis"),
)
FATES = (
    ("Field", "Choose one to edit it"),
    ("Tomogram", "What was taken there"),
    ("Lamella", "What was cut there"),
    ("Verdict", "What became of it"),
)
STATUS = (
    ("■ planned", "planned"),
    ("● taken", "taken"),
    ("✕ dropped", "dropped"),
)
CSV = "Stage list (*.csv)"


class SitesForm(QWidget):
    """Fields for X-ray tomograms.

    Parameters
    ----------
    workspace : Workspace
    viewer : napari.Viewer
        Shows the fields in plan view.
    """

    def __init__(self, workspace: Workspace, viewer: Any) -> None:
        super().__init__()
        self.fields = Fields(workspace, viewer)
        self._workspace = workspace
        self._written: tuple[Session, list[Row], list[Row], dict[str, str]] | None = None
        self._map = combo("Map that the microscope is aimed by")
        self._map.activated.connect(lambda: self.fields.choose_map(self._map.currentData()))
        self._size = spin(1.0, 100.0, 1.0, " µm", "Width and height of a tomogram's field", 1)
        self._beam = spin(1.0, 100.0, 1.0, " µm", "Radius of the beam with its halo", 1)
        self._tilt = spin(0.0, 85.0, 5.0, "°", "Highest tilt of the series", 0)
        self._size.valueChanged.connect(lambda v: self.fields.set_optics(size=(v, v)))
        self._beam.valueChanged.connect(lambda v: self.fields.set_optics(beam_radius=v))
        self._tilt.valueChanged.connect(lambda v: self.fields.set_optics(tilts=(-v, v)))
        self._table, self._fates = Table(COLUMNS), Table(FATES)
        for table in (self._table, self._fates):
            table.chosen.connect(self.fields.choose)
        self._notes = said()
        self._status = combo("How far it has come")
        fill(self._status, STATUS, "planned")
        self._status.activated.connect(lambda: self.fields.amend(status=self._status.currentData()))
        self._tomogram = combo("Tomogram that was taken there; by itself, the one that holds it")
        self._tomogram.activated.connect(
            lambda: self.fields.amend(tomogram=self._tomogram.currentData())
        )
        self._verdict = QLineEdit()
        self._verdict.setAccessibleName("Verdict")
        self._verdict.setPlaceholderText("from the lamella, unless you say so")
        self._verdict.editingFinished.connect(self._on_verdict)
        self._arrange()
        self.refresh()

    def _arrange(self) -> None:
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        form = QFormLayout()
        form.addRow("Aimed by", self._map)
        form.addRow("Field", self._size)
        form.addRow("Beam radius", self._beam)
        form.addRow("Tilts to ±", self._tilt)
        column.addLayout(form)
        self._propose = button(keys.PROPOSE_SITES, self.fields.propose)
        self._put = button(keys.FIELD_HERE, self.fields.put)
        self._drop = button(keys.DROP_FIELD, self.fields.remove)
        self._write = button(keys.WRITE_SITES, self._on_write)
        column.addLayout(row(self._propose, self._put))
        column.addWidget(self._table)
        column.addWidget(self._notes)
        self._details = QWidget()
        details = QFormLayout(self._details)
        details.setContentsMargins(0, 0, 0, 0)
        details.addRow("Status", self._status)
        details.addRow("Tomogram", self._tomogram)
        details.addRow("Verdict", self._verdict)
        column.addWidget(self._details)
        column.addWidget(self._fates)
        column.addLayout(row(self._drop, self._write))

    def release(self) -> None:
        """Take the fields out of the canvas."""
        self.fields.release()

    def refresh(self) -> None:
        """Show the fields as they are now."""
        fields, session = self.fields, self._workspace.store.session
        maps = [(one.name, one.id) for one in aiming_maps(session)]
        fill(self._map, maps, fields.map.id if fields.map else "")
        self.setVisible(bool(maps))
        if self._written is None or self._written[0] is not session:
            self._written = _written(session)
        _, lines, fates, notes = self._written
        record = fields.record
        chosen = record.id if record else None
        self._table.show_rows(lines, selected=chosen)
        self._fates.show_rows(fates, selected=chosen)
        for part in (self._table, self._fates):
            part.setVisible(bool(lines))
        self._notes.setText(notes.get(chosen or "", ""))
        self._notes.setVisible(bool(self._notes.text()))
        self._details.setVisible(record is not None)
        self._drop.setEnabled(record is not None)
        self._write.setEnabled(any(one.status == "planned" for one in session.fields))
        for pushed in (self._put, self._propose):
            pushed.setEnabled(bool(session.targets) and not fields.busy)
        self._show_record()

    def _show_record(self) -> None:
        record = self.fields.record
        optics = record.optics if record else self.fields.optics
        for part, value in (
            (self._size, optics.size[1]),
            (self._beam, optics.beam_radius),
            (self._tilt, max(abs(tilt) for tilt in optics.tilts)),
        ):
            part.blockSignals(True)
            part.setValue(value)
            part.blockSignals(False)
        if record is None:
            return
        session = self._workspace.store.session
        fill(self._status, STATUS, record.status)
        taken = [(one.name, one.id) for one in session.datasets if one.modality == "sxt"]
        fill(self._tomogram, [("by itself", ""), *taken], record.tomogram)
        if not self._verdict.hasFocus():
            self._verdict.setText(record.verdict)

    def _on_verdict(self) -> None:
        self.fields.amend(verdict=self._verdict.text().strip())

    def _on_write(self) -> None:
        path, _ = QFileDialog.getSaveFileName(self, keys.WRITE_SITES.tip, "", CSV)
        if path:
            self.fields.write(path)


def _written(session: Session) -> tuple[Session, list[Row], list[Row], dict[str, str]]:
    """Write both tables, and the notes of every field, for one state of the document."""
    lines, fates, notes = [], [], {}
    ranked = [(one, judged(session, one)) for one in session.fields]
    ranked.sort(key=lambda pair: -(pair[1].score if pair[1] else -1.0))
    for record, found in ranked:
        notes[record.id] = " ".join(found.notes) if found and record.status != "taken" else ""
        tip = f"{record.name}: at {record.centre[0]:.1f}, {record.centre[1]:.1f} µm of "
        tip += f"{record.frame} (y, x)\n{notes[record.id]}"
        lines.append(Row(record.id, field_cells(record, found), tip.strip()))
        cells = fate_cells(record, tomogram_of(session, record), lamella_of(session, record))
        fates.append(Row(record.id, cells))
    return session, lines, fates, notes
