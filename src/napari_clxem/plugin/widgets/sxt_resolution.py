"""The tab "Resolution" of the SXT analysis dock: how far two halves agree."""

from __future__ import annotations

from typing import Any

from napari.utils.notifications import show_error, show_info
from qtpy.QtWidgets import (
    QApplication,
    QComboBox,
    QFileDialog,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from napari_clxem.errors import ClxemError
from napari_clxem.plugin import keys
from napari_clxem.plugin.controllers import sxt_words
from napari_clxem.plugin.controllers.sxt_analysis import SxtAnalysis
from napari_clxem.plugin.controllers.sxt_resolving import Splitting
from napari_clxem.plugin.widgets.parts import Fold, listed, narrow, said, verb_button
from napari_clxem.plugin.widgets.sxt_parts import SourceBox, TiltList
from napari_clxem.plugin.widgets.sxt_plot import CurvePlot
from napari_clxem.plugin.widgets.tables import Row, Table

COLUMNS = (
    ("Threshold", "Of the correlation"),
    ("Period nm", "Full period at the crossing, nm"),
    ("½-pitch nm", "Half of the full period, nm: what SXT papers quote"),
    ("95 % nm", "Interval of the full period, nm"),
)
CSV = "Table (*.csv)"
MASKS = (("Soft round", True), ("Whole box", False))
VALUES = (("Optical density", False), ("Transmission", True))


class ResolutionTab(QWidget):
    """Two halves, how they are compared, and the curve."""

    def __init__(self, analysis: SxtAnalysis) -> None:
        super().__init__()
        self._analysis = analysis
        self.way = QComboBox()
        self.way.addItems(["Two layers", "One tilt series, split"])
        self.way.currentIndexChanged.connect(lambda _index: self.refresh())
        self.one, self.two, self.series = SourceBox(), SourceBox(), SourceBox()
        self.tilts = TiltList()
        self.values, self.masking = narrow(QComboBox()), narrow(QComboBox())
        for text, transmission in VALUES:
            self.values.addItem(text, transmission)
        for text, masked in MASKS:
            self.masking.addItem(text, masked)
        self.masking.setToolTip("A soft edge keeps the border of the box from correlating")
        self.thickness, self.iterations = QSpinBox(), QSpinBox()
        self.thickness.setRange(8, 4096)
        self.thickness.setValue(256)
        self.thickness.setSuffix(" voxels")
        self.iterations.setRange(1, 100)
        self.iterations.setValue(5)
        self._hint, self._notes = said(), said()
        self._large = QLabel()
        self._large.setStyleSheet("font-weight: bold; font-size: 15px;")
        self._large.setWordWrap(True)
        self.plot, self.table = CurvePlot(), Table(COLUMNS)
        self.go = verb_button(keys.CORRELATE_HALVES, self.start)
        self.side = QSpinBox()
        self.side.setRange(8, 512)
        self.side.setValue(48)
        self.side.setSuffix(" voxels")
        self.side.setToolTip("Side of the window; windows overlap by half")
        self.map_ = verb_button(keys.MAP_RESOLUTION, self.map)
        self._mapped, self._map = said(), Fold("Resolution by place")
        self._lay_out()

    def _lay_out(self) -> None:
        self._form = QFormLayout()
        self._form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        for name, field in (
            ("From", self.way),
            ("Half A", self.one),
            ("Half B", self.two),
            ("Series", self.series),
            ("Values", self.values),
            ("Tilts", self.tilts),
            ("Thickness", self.thickness),
            ("Passes", self.iterations),
            ("Mask", self.masking),
        ):
            self._form.addRow(name, field)
        self._exports = QWidget()
        row = QHBoxLayout(self._exports)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(verb_button(keys.COPY_RESOLUTION, self.copy))
        row.addWidget(verb_button(keys.WRITE_CURVE, self.ask_where))
        line = QFormLayout()
        line.addRow("Window", self.side)
        self._map.column.addLayout(line)
        self._map.column.addWidget(self.map_)
        self._map.column.addWidget(self._mapped)
        column = QVBoxLayout(self)
        column.setContentsMargins(2, 4, 2, 4)
        column.addWidget(self._hint)
        column.addLayout(self._form)
        for part in (
            *(self.go, self._large, self.plot, self.table, self._notes, self._exports),
            self._map,
        ):
            column.addWidget(part)
        column.addStretch(1)

    def refresh(self) -> None:
        """Show the layers there are and what was found."""
        found = self._analysis.sources()
        images = [one for one in found if not one.labels]
        volumes = [one for one in images if one.ndim == 3]
        self.one.offer(images)
        self.two.offer(images, 1)
        self.series.offer(volumes)
        splits = self.way.currentIndex() == 1
        for field, shown in (
            *((one, not splits) for one in (self.one, self.two)),
            *(
                (one, splits)
                for one in (
                    self.series, self.values, self.tilts, self.thickness, self.iterations
                )
            ),
        ):  # fmt: skip
            self._form.setRowVisible(field, shown)
        if splits:
            self.tilts.propose(self._analysis.recorded_tilts(self.series.chosen()))
        self._hint.setText(sxt_words.resolution_hint(len(images), len(volumes), splits))
        self._hint.setVisible(bool(self._hint.text()))
        self.go.setEnabled(len(volumes) > 0 if splits else len(images) > 1)
        self._map.setVisible(not splits)
        self.map_.setEnabled(len(images) > 1)
        self._mapped.setText(sxt_words.map_words(self._analysis.made))
        self._mapped.setVisible(bool(self._mapped.text()))
        self._show_found()

    def _show_found(self) -> None:
        found = self._analysis.resolved
        for part in (self._large, self.plot, self.table, self._notes, self._exports):
            part.setVisible(found is not None)
        if found is None or found.curve is self.plot.curve:
            return
        self._large.setText(sxt_words.resolution_headline(found))
        self.plot.show_curve(found.curve)
        lines = sxt_words.resolution_lines(found)
        self.table.show_rows([Row(one.name, one.cells, one.tip) for one in lines])
        self._notes.setText(listed(sxt_words.resolution_notes(found)))

    def start(self) -> None:
        """Correlate what is chosen."""
        try:
            self._start(bool(self.masking.currentData()))
        except ClxemError as error:
            show_error(str(error))

    def _start(self, masked: bool) -> None:
        if self.way.currentIndex() == 0:
            self._analysis.compare(self.one.chosen(), self.two.chosen(), masked)
            return
        how = Splitting(
            self.tilts.tilts(),
            bool(self.values.currentData()),
            self.thickness.value(),
            self.iterations.value(),
        )
        self._analysis.halve(self.series.chosen(), how, masked)

    def map(self) -> None:
        """Map the resolution of the two layers chosen."""
        try:
            chosen = self.one.chosen(), self.two.chosen()
            self._analysis.map_resolution(*chosen, self.side.value())
        except ClxemError as error:
            show_error(str(error))

    def copy(self) -> None:
        """Put what was found on the clipboard."""
        clipboard = QApplication.clipboard()
        if self._analysis.resolved is not None and clipboard is not None:
            clipboard.setText(sxt_words.resolution_text(self._analysis.resolved))
            show_info("The resolution was copied.")

    def ask_where(self) -> None:
        """Let the user choose where the curve is written."""
        path, _ = QFileDialog.getSaveFileName(self, "Write the curve", "fsc.csv", CSV)
        if path:
            self.write(path)

    def write(self, path: Any) -> None:
        """Write the curve."""
        try:
            self._analysis.write_curve(path)
        except ClxemError as error:
            show_error(str(error))
