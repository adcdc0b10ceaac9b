"""The lamella box in numbers: which one, on which instrument, how large, at which angle."""

from __future__ import annotations

from typing import Any

from qtpy.QtCore import Qt
from qtpy.QtWidgets import (
    QCheckBox,
    QDoubleSpinBox,
    QFormLayout,
    QLabel,
    QVBoxLayout,
    QWidget,
)

from napari_clxem.lamella import BOXES, INSTRUMENTS
from napari_clxem.plugin import keys
from napari_clxem.plugin.controllers.targets import Targets
from napari_clxem.plugin.controllers.targets_scene import fib_datasets
from napari_clxem.plugin.controllers.targets_words import box_sentence, limit_sentence
from napari_clxem.plugin.widgets.parts import button, combo, fill, row, spin


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
        self._record, self._view = combo(), combo()
        self._instrument, self._preset = combo(), combo()
        for one in INSTRUMENTS:
            self._instrument.addItem(one.name, one.name)
            self._instrument.setItemData(
                self._instrument.count() - 1, one.source, Qt.ItemDataRole.ToolTipRole
            )
        for preset in BOXES:
            self._preset.addItem(preset.name, preset.name)
            self._preset.setItemData(
                self._preset.count() - 1, preset.source, Qt.ItemDataRole.ToolTipRole
            )
        self._sizes: dict[str, QDoubleSpinBox] = {
            "thickness": spin(0.02, 5.0, 0.05, " µm", "From face to face"),
            "width": spin(0.1, 100.0, 0.5, " µm", "Across the ion beam"),
            "length": spin(0.1, 100.0, 0.5, " µm", "Along the ion beam, within the slab"),
            "angle": spin(-90.0, 90.0, 0.5, "°", "Between ion beam and the volume's plane", 1),
            "damage": spin(0.0, 1.0, 0.01, " µm", "Depth of the damage under each face"),
        }
        self._placing = spin(
            0.0, 5.0, 0.05, " µm", "How well the microscope puts a box where it is drawn (sd)"
        )
        self._free = QCheckBox("Free angle")
        self._free.setToolTip("Let Propose choose the milling angle within the stage's reach")
        self._every = QCheckBox("All targets")
        self._every.setToolTip("Propose one lamella for all targets of the site")
        self._propose = button(keys.PROPOSE, targets.propose)
        self._draw = button(keys.BOX_HERE, targets.draw_box)
        self._drop = button(keys.DROP_BOX, targets.remove_box)
        self._why = button(keys.WHAT_LIMITS, targets.explain)
        self._said, self._limit = QLabel(), QLabel()
        for label in (self._said, self._limit):
            label.setWordWrap(True)
            label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self._arrange()
        self._connect()

    def _arrange(self) -> None:
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        top = QFormLayout()
        top.addRow("FIB image", self._view)
        top.addRow("Instrument", self._instrument)
        top.addRow("Size", self._preset)
        column.addLayout(top)
        column.addLayout(row(self._free, self._every))
        column.addLayout(row(self._propose, self._draw))
        self._numbers = QWidget()
        numbers = QFormLayout(self._numbers)
        numbers.setContentsMargins(0, 0, 0, 0)
        numbers.addRow("Lamella", self._record)
        names = {"angle": "Milling angle", "damage": "Damage layer"}
        for name, part in self._sizes.items():
            numbers.addRow(names.get(name, name.capitalize()), part)
        numbers.addRow("Placing error", self._placing)
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
        self._view.activated.connect(lambda: targets.choose_view(self._view.currentData()))
        self._record.activated.connect(lambda: targets.choose_record(self._record.currentData()))
        self._instrument.activated.connect(self._on_instrument)
        self._preset.activated.connect(self._on_preset)
        self._free.toggled.connect(lambda on: setattr(targets, "free", on))
        self._every.toggled.connect(lambda on: setattr(targets, "every", on))
        self._placing.valueChanged.connect(self._on_placing)
        for name, part in self._sizes.items():
            part.valueChanged.connect(lambda value, name=name: targets.set_box(**{name: value}))

    def _on_instrument(self) -> None:
        self._targets.instrument = INSTRUMENTS[self._instrument.currentIndex()]
        self._targets.set_box(damage=self._targets.instrument.damage)
        self._targets.changed.emit()

    def _on_preset(self) -> None:
        self._targets.preset = BOXES[self._preset.currentIndex()]
        self._targets.resize()

    def _on_placing(self, value: float) -> None:
        self._targets.placing = value
        self._targets.refresh()

    def refresh(self) -> None:
        """Show the lamella as it is now."""
        targets = self._targets
        site = targets.workspace.view.site
        views = [(one.name, one.id) for one in fib_datasets(targets.session, site)]
        fill(self._view, views, targets.fib.dataset.id if targets.fib else "")
        record = targets.record
        names = [(one.name or one.id, one.id) for one in targets.records]
        fill(self._record, names, record.id if record else "")
        for part in (self._numbers, self._said, self._limit, self._buttons):
            part.setVisible(record is not None)
        can = targets.fib is not None and targets.target is not None and not targets.busy
        for part in (self._propose, self._draw):
            part.setEnabled(can)
        self.show_figures()

    def show_figures(self) -> None:
        """Show what changes while the box is dragged."""
        targets = self._targets
        lamella = targets.lamella
        if lamella is None:
            return
        for name, part in self._sizes.items():
            value: Any = getattr(lamella, name)
            if not part.hasFocus() or abs(part.value() - value) > 10 ** -part.decimals():
                part.blockSignals(True)
                part.setValue(value)
                part.blockSignals(False)
        self._said.setText(box_sentence(lamella, targets.tilt, targets.instrument.tilt_range))
        limit = limit_sentence(targets.proposal, targets.gain)
        self._limit.setText(limit)
        self._limit.setVisible(bool(limit))
