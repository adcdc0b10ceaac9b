"""The dock "Lamella overlap": what of the tomogram is in the lamella that was milled."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from napari.utils.notifications import show_error, show_info
from qtpy.QtCore import Qt
from qtpy.QtWidgets import (
    QDoubleSpinBox,
    QFileDialog,
    QFormLayout,
    QSlider,
    QVBoxLayout,
    QWidget,
)

from napari_clxem.errors import ClxemError
from napari_clxem.lamella import BY_EYE, campaign_table
from napari_clxem.plugin import keys
from napari_clxem.plugin.controllers import redo, undo
from napari_clxem.plugin.controllers.lamella_overlap import LamellaOverlap
from napari_clxem.plugin.controllers.lamella_scene import facing, maps
from napari_clxem.plugin.controllers.lamella_words import (
    campaign_cells,
    campaign_sentence,
    held_cells,
    overlap_words,
    share_cells,
    share_tip,
)
from napari_clxem.plugin.widgets.dock import Dock, bring_forward, page
from napari_clxem.plugin.widgets.parts import (
    bold,
    button,
    check,
    combo,
    fill,
    large,
    row,
    said,
    spin,
)
from napari_clxem.plugin.widgets.tables import Row, Table
from napari_clxem.session import load

BLINK = 700  # ms
SESSIONS = "CLXEM sessions (*.clxem.json)"
CSV = "Campaign (*.csv)"
SHARES = (
    ("Tomogram", "A tomogram of the site"),
    ("Plan", "Common area over that of the lamella, in plan view of its mid-plane"),
    ("95 %", "Range that the links leave to it"),
    ("Volume", "Common volume over that of the slab"),
    ("95 %", "Range that the links leave to it"),
)
HELD = (
    ("Target", "A target of the site"),
    ("In the core", "Share of it expected between the faces as milled"),
    ("Within", "Probability that its middle is within the outline's extent"),
)
CAMPAIGN = (
    ("Lamella", "Of this session, or of those added"),
    ("Plan", "Overlap with its tomogram in plan view"),
    ("Volume", "Overlap by volume"),
    ("Promised", "What was promised of its targets when it was planned"),
)
STATUSES = (("milled", "milled"), ("lost", "lost"))


class LamellaWidget(Dock):
    """Outline, overlap, slab and campaign.

    Parameters
    ----------
    napari_viewer : napari.Viewer
        The viewer; kept by weak reference.
    """

    def __init__(self, napari_viewer: Any) -> None:
        super().__init__(napari_viewer)
        self.lamella = LamellaOverlap(self._workspace, self.viewer)
        self._new = True
        self._front = self.clock(lambda: bring_forward(self))
        self._blinking = self.clock(self.lamella.blink, BLINK)
        self.follow(self.lamella.changed, self.refresh_soon)
        self.when_left(self.lamella.release)
        self._make_parts()
        self._arrange()
        self.refresh()

    def showEvent(self, event: Any) -> None:  # noqa: N802
        """Lie in front of the other docks when shown first."""
        super().showEvent(event)
        if self._new:
            self._new = False
            self._front.start(0)

    def _make_parts(self) -> None:
        lamella = self.lamella
        self._large, self._small, self._facing = large(), said(), said()
        self._notes, self._campaign_said = said(), bold()
        self._map = combo("TEM map of the lamella")
        self._map.activated.connect(lambda: lamella.choose_map(self._map.currentData()))
        self._status = combo("What became of the lamella")
        self._status.activated.connect(lambda: lamella.set_status(self._status.currentData()))
        self._show = button(keys.SHOW_MAP, lamella.show_map)
        self._trace = button(keys.TRACE, lamella.trace)
        self._draw = button(keys.DRAW_OUTLINE, lamella.draw)
        self._take = button(keys.TAKE_OUTLINE, lamella.take)
        self._drop = button(keys.DROP_OUTLINE, lamella.remove)
        self._undo = button(keys.UNDO, lambda: undo(self.viewer))
        self._redo = button(keys.REDO, lambda: redo(self.viewer))
        self._pose: dict[str, QDoubleSpinBox] = {
            "thickness": spin(0.02, 5.0, 0.05, " µm", "From face to face"),
            "height": spin(-50.0, 50.0, 0.05, " µm", "z of its middle in the map's frame"),
            "angle": spin(-60.0, 60.0, 0.5, "°", "Between the faces and the map", 1),
            "azimuth": spin(-180.0, 180.0, 5.0, "°", "Direction it rises in, from +y to -x", 1),
            "damage": spin(0.0, 1.0, 0.01, " µm", "Depth of the damage under each face"),
        }
        for name, part in self._pose.items():
            part.valueChanged.connect(lambda value, name=name: lamella.set_pose(**{name: value}))
        self._shares, self._held, self._campaign = Table(SHARES), Table(HELD), Table(CAMPAIGN)
        self._cut = button(keys.CUT_SLAB, lamella.cut)
        self._clear = button(keys.CLEAR_SLAB, lamella.clear_slabs)
        self._clear.clicked.connect(lambda: self.refresh())
        self._blink = check("Blink", "Show slab and map in turn", self._on_blink)
        self._swipe = QSlider(Qt.Orientation.Horizontal)
        self._swipe.setRange(0, 100)
        self._swipe.setValue(100)
        self._swipe.setToolTip("Swipe: the slab to the left, the map to the right")
        self._swipe.setAccessibleName("Swipe between slab and map")
        self._swipe.valueChanged.connect(lambda value: lamella.swipe(value / 100))
        self._add = button(keys.ADD_SESSIONS, self._on_add)
        self._write = button(keys.WRITE_CAMPAIGN, self._on_write)

    def _arrange(self) -> None:
        inside, column = page()
        column.addWidget(self._large)
        column.addWidget(self._small)
        self._work = QWidget()
        work = QVBoxLayout(self._work)
        work.setContentsMargins(0, 0, 0, 0)
        top = QFormLayout()
        top.addRow("TEM map", self._map)
        work.addLayout(top)
        work.addLayout(row(self._show, self._trace))
        work.addLayout(row(self._draw, self._take))
        work.addLayout(row(self._undo, self._redo, self._drop))
        work.addWidget(self._notes)
        self._details = QWidget()
        details = QVBoxLayout(self._details)
        details.setContentsMargins(0, 0, 0, 0)
        form = QFormLayout()
        form.addRow("Lamella is", self._status)
        for name, part in self._pose.items():
            form.addRow("Damage layer" if name == "damage" else name.capitalize(), part)
        details.addLayout(form)
        details.addWidget(self._facing)
        details.addWidget(self._shares)
        details.addWidget(self._held)
        details.addLayout(row(self._cut, self._clear))
        self._look = QWidget()
        look = row(self._blink, self._swipe)
        look.setContentsMargins(0, 0, 0, 0)
        self._look.setLayout(look)
        details.addWidget(self._look)
        work.addWidget(self._details)
        column.addWidget(self._work)
        self._statistics = QWidget()
        statistics = QVBoxLayout(self._statistics)
        statistics.setContentsMargins(0, 0, 0, 0)
        statistics.addWidget(self._campaign_said)
        statistics.addWidget(self._campaign)
        statistics.addLayout(row(self._add, self._write))
        column.addWidget(self._statistics)
        column.addStretch(1)
        self.setWidget(inside)

    # -- what the user does

    def _on_blink(self, on: bool) -> None:
        if on:
            self._blinking.start()
        else:
            self._blinking.stop()
            self.lamella.see()

    def _on_add(self) -> None:
        paths, _ = QFileDialog.getOpenFileNames(self, keys.ADD_SESSIONS.tip, "", SESSIONS)
        self.add_sessions(paths)

    def add_sessions(self, paths: list[str]) -> None:
        """Count the lamellae of other sessions in the campaign."""
        rows = list(self.lamella.others)
        for path in paths:
            try:
                other = load(path)
            except ClxemError as error:
                show_error(str(error))
                continue
            name = other.name or Path(path).name
            if other.id == self.lamella.session.id or any(one.session == name for one in rows):
                show_info(f"{name} is counted already.")
                continue
            rows += [one.row(name) for one in other.lamellae if one.status != "planned"]
        self.lamella.others = tuple(rows)
        self.refresh()

    def _on_write(self) -> None:
        path, _ = QFileDialog.getSaveFileName(self, keys.WRITE_CAMPAIGN.tip, "", CSV)
        if path:
            self.write_campaign(path)

    def write_campaign(self, path: str) -> None:
        """Write the campaign's table as CSV."""
        try:
            Path(path).write_text(campaign_table(self.lamella.campaign), encoding="utf-8")
        except OSError as error:
            show_error(f"{path} cannot be written: {error.strerror}; choose another place.")
        else:
            show_info(f"Campaign written to {path}.")

    # -- what is shown

    def refresh(self) -> None:
        """Show lamella, overlap and campaign as they are now."""
        lamella, view = self.lamella, self._workspace.view
        session, map_, record = lamella.session, lamella.map, lamella.record
        words = overlap_words(session, map_, record, lamella.shares)
        self._large.setText(words.large)
        self._small.setText(words.small)
        fill(self._map, [(one.name, one.id) for one in maps(session, view.site)], map_ and map_.id)
        self._work.setVisible(map_ is not None)
        self._details.setVisible(record is not None)
        self._notes.setText("Working…" if lamella.busy else "\n".join(lamella.notes))
        self._notes.setVisible(bool(self._notes.text()))
        for part in (self._trace, self._cut):
            part.setEnabled(not lamella.busy)
        self._drop.setEnabled(record is not None)
        self.show_steps(self._undo, self._redo)
        self._look.setVisible(bool(lamella.slabs))
        self._clear.setEnabled(bool(lamella.slabs))
        if not lamella.slabs and self._blink.isChecked():
            self._blink.setChecked(False)
        if record is not None and map_ is not None:
            self._show_record()
            plans = [one for one in session.lamellae if one.status == "planned"]
            self._facing.setText(facing(map_, plans))
        self._show_campaign()

    def _show_record(self) -> None:
        lamella, record = self.lamella, self.lamella.record
        if record is None:
            return
        fill(self._status, STATUSES, record.status)
        slab = record.lamella
        values = {"height": slab.centre[0]}
        for name, part in self._pose.items():
            part.blockSignals(True)
            part.setValue(values.get(name, getattr(slab, name, 0.0)))
            part.blockSignals(False)
        self._shares.show_rows(
            [Row(one.dataset.id, share_cells(one), share_tip(one)) for one in lamella.shares]
        )
        self._held.show_rows([Row(one.target.id, held_cells(one)) for one in lamella.held])
        self._shares.setVisible(bool(lamella.shares))
        self._held.setVisible(bool(lamella.held))

    def _show_campaign(self) -> None:
        found = self.lamella.campaign
        self._campaign_said.setText(campaign_sentence(found, BY_EYE))
        rows = [Row(f"{n}", campaign_cells(one), one.verdict) for n, one in enumerate(found.rows)]
        self._campaign.show_rows(rows)
        self._campaign.setVisible(bool(rows))
        self._write.setEnabled(bool(rows))
        self._statistics.setVisible(bool(self.lamella.session.datasets))
