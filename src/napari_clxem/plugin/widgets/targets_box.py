"""The lamella box in numbers: which one, on which instrument, how large, at which angle."""

from __future__ import annotations

from typing import Any

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QDoubleSpinBox, QFileDialog, QFormLayout, QVBoxLayout, QWidget

from napari_clxem.lamella import BOXES, INSTRUMENTS
from napari_clxem.plugin import keys
from napari_clxem.plugin.controllers.targets import Targets
from napari_clxem.plugin.controllers.targets_words import box_sentence, limit_sentence
from napari_clxem.plugin.widgets.parts import button, check, combo, fill, row, said, spin
from napari_clxem.session.fib_views import fib_datasets

IMAGES = "Images (*.tif *.tiff *.mrc *.map);;All files (*)"


class BoxForm(QWidget):
    """Everything of a lamella that is a number.

    Parameters
    ----------
    targets : Targets
        What it shows and changes.
    """

    def __init__(self, targets: Targets) -> None:
        super().__init__()
        self._targets = targets
        self._record, self._view = combo("Which lamella"), combo("FIB image to plan in")
        self._instrument, self._preset = combo(), combo()
        for box, choices in ((self._instrument, INSTRUMENTS), (self._preset, BOXES)):
            for one in choices:
                box.addItem(one.name, one.name)
                box.setItemData(box.count() - 1, one.source, Qt.ItemDataRole.ToolTipRole)
        self._sizes: dict[str, QDoubleSpinBox] = {
            "thickness": spin(0.02, 5.0, 0.05, " µm", "From face to face"),
            "width": spin(0.1, 100.0, 0.5, " µm", "Across the ion beam"),
            "length": spin(0.1, 100.0, 0.5, " µm", "Along the ion beam, within the slab"),
            "damage": spin(0.0, 1.0, 0.01, " µm", "Depth of the damage under each face"),
        }
        self._angle = spin(-89.0, 89.0, 0.5, "°", "Between ion beam and film", 1)
        self._placing = spin(0.0, 5.0, 0.02, " µm", "")
        self._about_x = spin(-60.0, 60.0, 0.5, "°", "Film tilt about x: rises towards +y", 2)
        self._about_y = spin(-60.0, 60.0, 0.5, "°", "Film tilt about y: rises towards +x", 2)
        self._make_buttons()
        self._said, self._film, self._drift, self._limit = said(), said(), said(), said()
        self._arrange()
        self._connect()

    def _make_buttons(self) -> None:
        targets = self._targets
        self._free = check(
            "Free angle",
            "Let Propose choose the milling angle within the stage's reach",
            lambda on: setattr(targets.advice, "free", on),
        )
        self._every = check(
            "All targets",
            "Propose one lamella for all targets of the site",
            lambda on: setattr(targets.advice, "every", on),
        )
        self._joints = check(
            "Expansion joints",
            "Cut two slits beside the lamella that take up the film's strain",
            targets.boxes.set_joints,
        )
        self._propose = button(keys.PROPOSE, targets.advice.propose)
        self._draw = button(keys.BOX_HERE, targets.boxes.draw)
        self._drop = button(keys.DROP_BOX, targets.boxes.remove)
        self._why = button(keys.WHAT_LIMITS, targets.advice.explain)
        self._estimate = button(keys.FILM_TILT, self._on_estimate)
        self._newer = button(keys.NEWER_VIEW, self._on_newer)

    def _arrange(self) -> None:
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        top = QFormLayout()
        top.addRow("FIB image", self._view)
        top.addRow("Instrument", self._instrument)
        top.addRow("Size", self._preset)
        column.addLayout(top)
        column.addWidget(self._newer)
        column.addWidget(self._drift)
        column.addLayout(row(self._free, self._every))
        column.addLayout(row(self._propose, self._draw))
        self._numbers = QWidget()
        numbers = QFormLayout(self._numbers)
        numbers.setContentsMargins(0, 0, 0, 0)
        numbers.addRow("Lamella", self._record)
        numbers.addRow("Milling angle", self._angle)
        numbers.addRow("Film tilt, x", self._about_x)
        numbers.addRow("Film tilt, y", self._about_y)
        numbers.addRow(self._estimate)
        numbers.addRow(self._film)
        for name, part in self._sizes.items():
            numbers.addRow("Damage layer" if name == "damage" else name.capitalize(), part)
        numbers.addRow("Placing error", self._placing)
        numbers.addRow(self._joints)
        column.addWidget(self._numbers)
        column.addWidget(self._said)
        column.addWidget(self._limit)
        self._buttons = QWidget()
        line = row(self._why, self._drop)
        line.setContentsMargins(0, 0, 0, 0)
        self._buttons.setLayout(line)
        column.addWidget(self._buttons)

    def _connect(self) -> None:
        targets = self._targets
        boxes = targets.boxes
        self._view.activated.connect(lambda: targets.choose_view(self._view.currentData()))
        self._record.activated.connect(lambda: targets.choose_record(self._record.currentData()))
        self._instrument.activated.connect(
            lambda: targets.choose_instrument(INSTRUMENTS[self._instrument.currentIndex()])
        )
        self._preset.activated.connect(self._on_preset)
        self._placing.valueChanged.connect(lambda value: boxes.amend(placing=value))
        self._angle.valueChanged.connect(boxes.turn)
        for part in (self._about_x, self._about_y):
            part.valueChanged.connect(self._on_film)
        for name, part in self._sizes.items():
            part.valueChanged.connect(lambda value, name=name: boxes.amend(**{name: value}))

    def _on_preset(self) -> None:
        self._targets.preset = BOXES[self._preset.currentIndex()]
        self._targets.boxes.resize()

    def _on_film(self) -> None:
        self._film.clear()
        self._targets.boxes.set_film(self._about_y.value(), self._about_x.value())

    def _on_estimate(self) -> None:
        self._film.setText(self._targets.boxes.estimate_film())
        self.refresh()

    def _on_newer(self) -> None:
        path, _ = QFileDialog.getOpenFileName(self, keys.NEWER_VIEW.tip, "", IMAGES)
        if path:
            self._targets.drift.open(path)

    def refresh(self) -> None:
        """Show the lamella as it is now."""
        targets = self._targets
        site = targets.workspace.view.site
        views = [(one.name, one.id) for one in fib_datasets(targets.session, site)]
        fill(self._view, views, targets.fib.dataset.id if targets.fib else "")
        record = targets.record
        names = [(one.name or one.id, one.id) for one in targets.records]
        fill(self._record, names, record.id if record else "")
        self._instrument.setCurrentIndex(self._instrument.findData(targets.instrument.name))
        self._instrument.setToolTip(targets.instrument.source)
        self._preset.setToolTip(targets.preset.source)
        for part in (self._numbers, self._said, self._buttons):
            part.setVisible(record is not None)
        can = targets.fib is not None and targets.target is not None and not targets.advice.busy
        for button_ in (self._propose, self._draw):
            button_.setEnabled(can)
        self._newer.setVisible(targets.fib is not None)
        self._newer.setEnabled(not targets.drift.busy)
        words = "Looking for the drift …" if targets.drift.busy else targets.drift.said
        self._drift.setText(words)
        self._drift.setVisible(bool(words))
        self._film.setVisible(bool(self._film.text()))
        self._joints.blockSignals(True)
        self._joints.setChecked(record is not None and record.joints is not None)
        self._joints.blockSignals(False)
        kept = record is not None and record.placing is not None
        self._placing.setToolTip(
            "How well the microscope puts a box where it is drawn (sd); "
            + ("kept with the lamella" if kept else f"from {targets.instrument.source}")
        )
        self.show_figures()

    def show_figures(self) -> None:
        """Show what changes while the box is dragged."""
        targets = self._targets
        lamella, angle = targets.lamella, targets.boxes.angle
        limit = limit_sentence(targets.advice.limit, targets.advice.gain)
        self._limit.setText(limit)
        self._limit.setVisible(bool(limit) and lamella is not None)
        if lamella is None or angle is None:
            return
        for name, part in self._sizes.items():
            _show(part, getattr(lamella, name))
        _show(self._angle, angle)
        _show(self._placing, targets.placing)
        _show(self._about_y, targets.film[0])
        _show(self._about_x, targets.film[1])
        self._said.setText(box_sentence(lamella, angle, targets.boxes.tilt))


def _show(part: QDoubleSpinBox, value: Any) -> None:
    """Show a number, without telling anybody, and leaving alone what is being typed."""
    if part.hasFocus() and abs(part.value() - value) <= 10 ** -part.decimals():
        return
    part.blockSignals(True)
    part.setValue(value)
    part.blockSignals(False)
