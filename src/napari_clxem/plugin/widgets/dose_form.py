"""A form for one exposure: it asks only for what cannot be derived, and shows what follows."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from psygnal import Signal
from qtpy.QtWidgets import (
    QCheckBox,
    QComboBox,
    QDoubleSpinBox,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from napari_clxem.materials import MATERIALS
from napari_clxem.plugin import keys
from napari_clxem.plugin.controllers.dose_entry import (
    KNOWN,
    MODALITIES,
    Entry,
    Follows,
    Mosaic,
    follow,
    unit,
)
from napari_clxem.plugin.controllers.dose_review import DoseReview
from napari_clxem.plugin.widgets.parts import narrow, said, verb_button

ROUND, SQUARE = "round", "rectangular"
FAR = 1e6  # µm


class ExposureForm(QWidget):
    """One exposure by its numbers.

    Parameters
    ----------
    review : DoseReview
        Says what is shown, for the aim.

    Attributes
    ----------
    given : Signal
        Emitted with the exposures, a tuple, when the user is content.
    closed : Signal
        Emitted when the form is done with.
    """

    given = Signal(tuple)
    closed = Signal()

    def __init__(self, review: DoseReview) -> None:
        super().__init__()
        self._review = review
        self._entry = Entry()
        self._quiet = False
        self._numbers: dict[str, QLineEdit] = {}
        self._rows: tuple[str, ...] = ()
        self._make_parts()
        self._arrange()

    @property
    def entry(self) -> Entry:
        """The form as it is filled in."""
        return self._entry

    def _make_parts(self) -> None:
        self._name = QLineEdit()
        self._name.setPlaceholderText("what you call it")
        self._modality, self._frame = narrow(QComboBox()), narrow(QComboBox())
        for name in MODALITIES:
            self._modality.addItem(name, name)
        self._y, self._x, self._height = (_length(-FAR) for _ in range(3))
        self._here = verb_button(keys.PUT_HERE, self._on_here)
        self._shape = narrow(QComboBox())
        for name in (ROUND, SQUARE):
            self._shape.addItem(name, name)
        self._first, self._second = _length(0.001), _length(0.001)
        self._tilts = QLineEdit()
        self._tilts.setToolTip("first : last : step, or numbers with commas between, degrees")
        self._azimuth, self._pretilt = _angle(), _angle()
        self._azimuth.setToolTip("Tilt axis from +y towards -x")
        self._pretilt.setToolTip("Stage tilt at which the frame is perpendicular to the beam")
        self._material, self._ion = narrow(QComboBox()), narrow(QComboBox())
        for name in MATERIALS:
            self._material.addItem(name, name)
        for name in ("Ga", "Xe"):
            self._ion.addItem(name, name)
        self._planned = QCheckBox("planned, not done yet")
        self._time = QLineEdit()
        self._time.setPlaceholderText("2025-03-01T14:30, if known")
        self._mosaic = QCheckBox("mosaic of tiles")
        self._lines, self._columns = _count(), _count()
        self._tile_y, self._tile_x = _length(0.001), _length(0.001)
        self._overlap = _angle()
        self._overlap.setRange(0.0, 99.0)
        self._overlap.setToolTip("Part of the field that neighbouring tiles share, percent")
        self._more = narrow(QComboBox())
        self._more.setToolTip("A number that you know instead of those that are asked for")
        self._asked, self._steps, self._problem = said(), said(), said()
        self._problem.setStyleSheet("font-weight: bold;")
        self._accept = verb_button(keys.KEEP, self._on_keep)
        self._cancel = verb_button(keys.CANCEL, self.closed.emit)
        for edit in (self._name, self._tilts, self._time):
            edit.textChanged.connect(self._on_changed)
        for box in (self._modality, self._frame, self._shape, self._material, self._ion):
            box.activated.connect(self._on_changed)
        for spin in (
            self._y, self._x, self._height, self._first, self._second, self._azimuth, self._pretilt,
            self._tile_y, self._tile_x, self._overlap, self._lines, self._columns,
        ):  # fmt: skip
            spin.valueChanged.connect(self._on_changed)
        self._mosaic.toggled.connect(self._on_changed)
        self._planned.toggled.connect(self._on_changed)
        self._more.activated.connect(self._on_more)

    def _arrange(self) -> None:
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        self._form = QFormLayout()
        self._form.addRow("Name", self._name)
        self._form.addRow("Modality", self._modality)
        self._form.addRow("Frame", self._frame)
        self._form.addRow("Aim y, x, µm", _row(self._y, self._x))
        self._height_label = QLabel("Height z, µm")
        self._form.addRow(self._height_label, _row(self._height, self._here))
        self._form.addRow("Beam", self._shape)
        self._size_label = QLabel()
        self._form.addRow(self._size_label, _row(self._first, self._second))
        self._form.addRow("Tilts °", self._tilts)
        self._axis_label = QLabel("Axis, pretilt °")
        self._form.addRow(self._axis_label, _row(self._azimuth, self._pretilt))
        self._form.addRow("Material", self._material)
        self._ion_label = QLabel("Ion")
        self._form.addRow(self._ion_label, self._ion)
        self._form.addRow("", self._mosaic)
        self._tiling = QWidget()
        tiling = QFormLayout(self._tiling)
        tiling.setContentsMargins(0, 0, 0, 0)
        tiling.addRow("Rows, cols", _row(self._lines, self._columns))
        tiling.addRow("Field y, x, µm", _row(self._tile_y, self._tile_x))
        tiling.addRow("Overlap, %", self._overlap)
        self._form.addRow(self._tiling)
        self._form.addRow("Time", self._time)
        self._form.addRow("", self._planned)
        self._beam = QFormLayout()
        column.addLayout(self._form)
        column.addWidget(self._asked)
        column.addLayout(self._beam)
        column.addWidget(self._more)
        column.addWidget(self._steps)
        column.addWidget(self._problem)
        column.addWidget(_row(self._accept, self._cancel))

    def begin(self, entry: Entry, frames: list[str]) -> None:
        """Show a form filled in so far."""
        self._quiet = True
        self._entry = entry
        self._frame.clear()
        for name in frames:
            self._frame.addItem(name, name)
        self._name.setText(entry.name)
        for box, value in (
            (self._modality, entry.modality),
            (self._frame, entry.frame),
            (self._material, entry.material),
            (self._ion, entry.ion),
            (self._shape, ROUND if entry.size is None else SQUARE),
        ):
            box.setCurrentIndex(max(0, box.findData(value)))
        first, second = entry.size or (entry.radius or 1.0, entry.radius or 1.0)
        for spin, number in (
            (self._y, entry.aim[0]),
            (self._x, entry.aim[1]),
            (self._height, entry.height),
            (self._first, first),
            (self._second, second),
            (self._azimuth, entry.axis_azimuth),
            (self._pretilt, entry.pretilt),
        ):
            spin.setValue(number)
        tiles = entry.mosaic or Mosaic()
        for spin, number in (
            (self._tile_y, tiles.tile[0]),
            (self._tile_x, tiles.tile[1]),
            (self._overlap, 100 * tiles.overlap),
        ):
            spin.setValue(number)
        self._lines.setValue(tiles.rows)
        self._columns.setValue(tiles.columns)
        self._mosaic.setChecked(entry.mosaic is not None)
        self._mosaic.setVisible(entry.base is None)
        self._tilts.setText(entry.tilts)
        self._time.setText(entry.time)
        self._planned.setChecked(entry.planned)
        self._quiet = False
        self._read()

    def _on_changed(self, *_: Any) -> None:
        if not self._quiet:
            self._read()

    def _on_here(self) -> None:
        middle = self._review.middle
        if middle is not None:
            frame = self._review.workspace.view.frame
            self._frame.setCurrentIndex(max(0, self._frame.findData(frame)))
            self._y.setValue(float(middle[0]))
            self._x.setValue(float(middle[1]))

    def _on_more(self, _index: int) -> None:
        name = self._more.currentData()
        if name:
            self._show_numbers((*self._rows, name), self._entry)
            self._numbers[name].setFocus()

    def _on_number(self) -> None:
        numbers = {}
        for name, edit in self._numbers.items():
            try:
                numbers[name] = float(edit.text())
            except ValueError:
                continue
        self._entry = replace(self._entry, numbers=numbers)
        self._say(follow(self._entry))

    def _on_keep(self) -> None:
        found = follow(self._entry)
        if found.exposures:
            self.given.emit(found.exposures)

    def _read(self) -> None:
        """Take over what stands in the form."""
        modality = self._modality.currentData()
        rectangular = self._shape.currentData() == SQUARE
        numbers = self._entry.numbers
        if Entry(modality=modality).kind != self._entry.kind:
            numbers = {}
        self._entry = replace(
            self._entry,
            name=self._name.text().strip(),
            modality=modality,
            frame=self._frame.currentData() or "",
            aim=(self._y.value(), self._x.value()),
            height=self._height.value(),
            radius=None if rectangular else self._first.value(),
            size=(self._first.value(), self._second.value()) if rectangular else None,
            tilts=self._tilts.text(),
            axis_azimuth=self._azimuth.value(),
            pretilt=self._pretilt.value(),
            numbers=numbers,
            material=self._material.currentData(),
            ion=self._ion.currentData(),
            planned=self._planned.isChecked(),
            time=self._time.text().strip(),
            mosaic=self._tiles() if self._mosaic.isChecked() else None,
        )
        self._tiling.setVisible(self._mosaic.isChecked() and self._entry.base is None)
        self._second.setVisible(rectangular)
        self._size_label.setText("Size y, x, µm" if rectangular else "Radius, µm")
        ion = modality == "fib"
        self._ion.setVisible(ion)
        self._ion_label.setVisible(ion)
        found = follow(self._entry)
        self._show_numbers((*numbers, *(name for name, _ in found.asked)), self._entry)
        self._say(found)

    def _tiles(self) -> Mosaic | None:
        if self._entry.base is not None:
            return None
        return Mosaic(
            self._lines.value(),
            self._columns.value(),
            (self._tile_y.value(), self._tile_x.value()),
            self._overlap.value() / 100,
        )

    def _show_numbers(self, names: tuple[str, ...], entry: Entry) -> None:
        """Show a line for each number that is known or asked for."""
        wanted = tuple(dict.fromkeys(names))
        if wanted != self._rows:
            while self._beam.rowCount():
                self._beam.removeRow(0)
            self._numbers = {}
            for name in wanted:
                edit = QLineEdit()
                if name in entry.numbers:
                    edit.setText(f"{entry.numbers[name]:.10g}")
                edit.textChanged.connect(self._on_number)
                self._numbers[name] = edit
                self._beam.addRow(f"{name.replace('_', ' ')}, {unit(name, entry.kind)}", edit)
            self._rows = wanted
        self._more.blockSignals(True)
        self._more.clear()
        self._more.addItem("I know another number…", "")
        for name in () if entry.kind is None else KNOWN[entry.kind]:
            if name not in wanted:
                self._more.addItem(f"{name.replace('_', ' ')}, {unit(name, entry.kind)}", name)
        self._more.blockSignals(False)
        self._more.setVisible(self._more.count() > 1)

    def _say(self, found: Follows) -> None:
        names = ", ".join(name.replace("_", " ") for name, _ in found.asked)
        self._asked.setText(f"Still needed: {names}" if names else "")
        self._asked.setVisible(bool(names))
        asked = {name for name, _ in found.asked}
        missing = tuple(name for name in asked if name not in self._numbers)
        if missing:
            self._show_numbers((*self._rows, *sorted(missing)), self._entry)
        for name, edit in self._numbers.items():
            edit.setPlaceholderText("needed" if name in asked else "not needed")
        self._steps.setText("\n".join(found.steps))
        self._steps.setVisible(bool(found.steps))
        self._problem.setText(found.problem)
        self._problem.setVisible(bool(found.problem))
        self._accept.setEnabled(bool(found.exposures))


def _length(low: float) -> QDoubleSpinBox:
    spin = QDoubleSpinBox()
    spin.setRange(low, FAR)
    spin.setDecimals(3)
    spin.setButtonSymbols(QDoubleSpinBox.ButtonSymbols.NoButtons)
    spin.setMinimumWidth(60)
    return spin


def _count() -> QSpinBox:
    spin = QSpinBox()
    spin.setRange(1, 100)
    spin.setButtonSymbols(QSpinBox.ButtonSymbols.NoButtons)
    spin.setMinimumWidth(50)
    return spin


def _angle() -> QDoubleSpinBox:
    spin = QDoubleSpinBox()
    spin.setRange(-360.0, 360.0)
    spin.setDecimals(2)
    spin.setButtonSymbols(QDoubleSpinBox.ButtonSymbols.NoButtons)
    return spin


def _row(*parts: QWidget) -> QWidget:
    line = QWidget()
    row = QHBoxLayout(line)
    row.setContentsMargins(0, 0, 0, 0)
    for part in parts:
        row.addWidget(part)
    return line
