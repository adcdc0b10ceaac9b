"""SXT sites: which fields to take tomograms of, for the targets of the whole grid."""

from __future__ import annotations

from typing import Any

from napari.utils.notifications import show_error, show_info
from qtpy.QtWidgets import QFileDialog, QFormLayout, QLabel, QVBoxLayout, QWidget

from napari_clxem.errors import ClxemError
from napari_clxem.lamella import Optics, SiteProposal
from napari_clxem.plugin import keys
from napari_clxem.plugin.controllers.overlays import Overlays
from napari_clxem.plugin.controllers.targets_sites import (
    aiming_maps,
    drawn_fields,
    field_cells,
    fields,
    write_fields,
)
from napari_clxem.plugin.controllers.workspace import Workspace
from napari_clxem.plugin.lamella_marks import OTHER_BOX, OUTLINE, outline_lines
from napari_clxem.plugin.widgets.parts import button, combo, fill, row, spin
from napari_clxem.plugin.widgets.tables import Row, Table
from napari_clxem.session.model import Dataset, Session

COLUMNS = (
    ("Field for", "Target that the field is placed for"),
    ("Beads", "Beads within the field"),
    ("Holds", "Probability that the field holds the target in spite of the pointing error"),
    ("Clear", "Whether its tilt series keeps off everything exposed or planned"),
    ("Rank", "What the list is ranked by, 0 to 1"),
)
# Width of outlines, µm.
LINE = 0.08
CSV = "Stage list (*.csv)"


class SitesForm(QWidget):
    """Fields proposed for X-ray tomograms.

    Parameters
    ----------
    workspace : Workspace
    viewer : napari.Viewer
        Shows the fields in plan view.
    """

    def __init__(self, workspace: Workspace, viewer: Any) -> None:
        super().__init__()
        self._workspace = workspace
        self._marks = Overlays(viewer, workspace.turns)
        self._made_for: tuple[Session, str] | None = None
        self.found: tuple[SiteProposal, ...] = ()
        self._map = combo("Map that the microscope is aimed by")
        self._size = spin(1.0, 100.0, 1.0, " µm", "Width and height of a tomogram's field", 1)
        self._beam = spin(1.0, 100.0, 1.0, " µm", "Radius of the beam with its halo", 1)
        self._tilt = spin(0.0, 85.0, 5.0, "°", "Highest tilt of the series", 0)
        for part, value in ((self._size, 13.0), (self._beam, 10.0), (self._tilt, 60.0)):
            part.setValue(value)
        self._table = Table(COLUMNS)
        self._notes = QLabel()
        self._notes.setWordWrap(True)
        self._table.chosen.connect(self._on_chosen)
        self._propose = button(keys.PROPOSE_SITES, self.propose)
        self._write = button(keys.WRITE_SITES, self._on_write)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        title = QLabel("SXT sites")
        title.setStyleSheet("font-weight: bold;")
        column.addWidget(title)
        form = QFormLayout()
        form.addRow("Aimed by", self._map)
        form.addRow("Field", self._size)
        form.addRow("Beam radius", self._beam)
        form.addRow("Tilt to ±", self._tilt)
        column.addLayout(form)
        column.addLayout(row(self._propose, self._write))
        column.addWidget(self._table)
        column.addWidget(self._notes)
        self.refresh()

    def release(self) -> None:
        """Take the fields out of the canvas."""
        self._workspace.turns.finish()
        self._marks.release()

    @property
    def map(self) -> Dataset | None:
        """The map chosen."""
        maps = aiming_maps(self._workspace.store.session)
        chosen = self._map.currentData()
        return next((one for one in maps if one.id == chosen), next(iter(maps), None))

    def propose(self) -> None:
        """Propose fields for all targets of the grid."""
        map_, size, tilt = self.map, self._size.value(), self._tilt.value()
        session = self._workspace.store.session
        if map_ is None:
            return
        try:
            optics = Optics((size, size), self._beam.value(), (-tilt, tilt))
            self.found = fields(session, map_, optics)
        except ClxemError as error:
            show_error(str(error))
            return
        self._made_for = (session, map_.id)
        self.refresh()

    def refresh(self) -> None:
        """Show the fields; those of another state of the document are gone."""
        session, view = self._workspace.store.session, self._workspace.view
        maps = [(one.name, one.id) for one in aiming_maps(session)]
        fill(self._map, maps, self._map.currentData())
        map_ = self.map
        if self._made_for is not None and self._made_for[0] is not session:
            self.found, self._made_for = (), None
        self.setVisible(bool(maps))
        boxes, halos = drawn_fields(session, map_, self.found, view) if map_ else ([], [])
        self._marks.put("fields", outline_lines(boxes, 2, "SXT fields", OUTLINE, LINE))
        self._marks.put("halos", outline_lines(halos, 2, "SXT halos", OTHER_BOX, LINE))
        self._table.show_rows([Row(one.name, field_cells(one)) for one in self.found])
        self._table.setVisible(bool(self.found))
        self._notes.setVisible(bool(self.found) and bool(self._notes.text()))
        self._write.setEnabled(bool(self.found))

    def _on_chosen(self, name: str) -> None:
        one = next((one for one in self.found if one.name == name), None)
        self._notes.setText(" ".join(one.notes) if one else "")
        self._notes.setVisible(bool(self._notes.text()))

    def _on_write(self) -> None:
        path, _ = QFileDialog.getSaveFileName(self, keys.WRITE_SITES.tip, "", CSV)
        if path:
            self.write(path)

    def write(self, path: str) -> None:
        """Write the fields as a stage list."""
        map_ = self.map
        if map_ is None:
            return
        try:
            show_info(write_fields(path, self._workspace.store.session, map_, self.found))
        except ClxemError as error:
            show_error(str(error))
