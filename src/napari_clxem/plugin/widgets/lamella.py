"""The dock "Lamella overlap": what of the tomogram is in the lamella that was milled."""

from __future__ import annotations

from typing import Any

from qtpy.QtCore import Qt
from qtpy.QtWidgets import (
    QDoubleSpinBox,
    QFormLayout,
    QLabel,
    QSlider,
    QVBoxLayout,
    QWidget,
)

from napari_clxem.lamella import CampaignRow
from napari_clxem.plugin import keys
from napari_clxem.plugin.controllers import redo, undo
from napari_clxem.plugin.controllers.lamella_overlap import LamellaOverlap
from napari_clxem.plugin.controllers.lamella_words import (
    facing,
    held_cells,
    overlap_words,
    series_cells,
    series_tip,
    share_cells,
    share_tip,
    tilted,
)
from napari_clxem.plugin.widgets.dock import Dock, bring_forward, page
from napari_clxem.plugin.widgets.lamella_campaign import CampaignPart
from napari_clxem.plugin.widgets.parts import (
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
from napari_clxem.session.overlaps import maps

BLINK = 700  # ms
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
SERIES = (
    ("Tilt series", "A position on the map: an exposure of the session, or clicked"),
    ("Shows", "Targets that the lamella cuts and that reach into its field"),
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
        self._blinking = self.clock(self.lamella.slabs.blink, BLINK)
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
        self._notes = said()
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
        self._shares, self._held, self._series = Table(SHARES), Table(HELD), Table(SERIES)
        self._cut = button(keys.CUT_SLAB, lamella.cut)
        self._clear = button(keys.CLEAR_SLAB, lamella.slabs.clear)
        self._clear.clicked.connect(lambda: self.refresh())
        self._blink = check("Blink", "Show slab and map in turn", self._on_blink)
        self._chequer = check(
            "Squares", "Show slab and map in turn by squares", lamella.slabs.chequer
        )
        self._swipe = QSlider(Qt.Orientation.Horizontal)
        self._swipe.setRange(0, 100)
        self._swipe.setValue(100)
        self._swipe.setToolTip("Swipe: the slab to the left, the map to the right")
        self._swipe.setAccessibleName("Swipe between slab and map")
        self._swipe.valueChanged.connect(lambda value: lamella.slabs.swipe(value / 100))
        self._place = button(keys.PLACE_SERIES, lamella.place_series)
        self._field = spin(0.05, 20.0, 0.1, " µm", "Side of the field of a tilt series", 2)
        self._field.setValue(lamella.field)
        self._field.valueChanged.connect(lamella.set_field)
        self.campaign = CampaignPart(lambda: lamella.session, self._on_others)

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
        look = row(self._blink, self._chequer, self._swipe)
        look.setContentsMargins(0, 0, 0, 0)
        self._look.setLayout(look)
        details.addWidget(self._look)
        details.addLayout(row(self._place, QLabel("Field"), self._field))
        details.addWidget(self._series)
        work.addWidget(self._details)
        column.addWidget(self._work)
        column.addWidget(self.campaign)
        column.addStretch(1)
        self.setWidget(inside)

    # -- what the user does

    def _on_blink(self, on: bool) -> None:
        if on:
            self._blinking.start()
        else:
            self._blinking.stop()
            self.lamella.slabs.see()

    def _on_others(self, rows: tuple[CampaignRow, ...]) -> None:
        self.lamella.others = rows
        self.refresh()

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
        slabs = bool(lamella.slabs.layers)
        self._look.setVisible(slabs)
        self._clear.setEnabled(slabs)
        if not slabs and self._blink.isChecked():
            self._blink.setChecked(False)
        if record is not None and map_ is not None:
            self._show_record()
            plans = [one for one in session.lamellae if one.status == "planned"]
            self._facing.setText(f"{facing(map_, plans)} {tilted(session, record)}")
        self.campaign.show_campaign(lamella.campaign)
        self.campaign.setVisible(bool(session.datasets))

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
        self._series.show_rows(
            [
                Row(f"{number}", series_cells(one), series_tip(one))
                for number, one in enumerate(lamella.series)
            ]
        )
        self._series.setVisible(bool(lamella.series))
        self._shares.setVisible(bool(lamella.shares))
        self._held.setVisible(bool(lamella.held))
