"""The tab "Density" of the SXT analysis dock: mass from tomograms either side of an edge."""

from __future__ import annotations

from typing import Any

from napari.utils.notifications import show_error, show_info
from qtpy.QtWidgets import (
    QApplication,
    QCheckBox,
    QComboBox,
    QFileDialog,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from napari_clxem.errors import ClxemError, ImageError
from napari_clxem.plugin import keys
from napari_clxem.plugin.controllers import sxt_masses
from napari_clxem.plugin.controllers.sxt_analysis import SxtAnalysis
from napari_clxem.plugin.controllers.sxt_sources import Source
from napari_clxem.plugin.controllers.sxt_weighing import Wedging, Weighed, Weighing
from napari_clxem.plugin.widgets.parts import Fold, listed, narrow, said, verb_button
from napari_clxem.plugin.widgets.sxt_forms import beside, first
from napari_clxem.plugin.widgets.sxt_parts import ContrastChoice, NumberLine, SourceBox, TiltList
from napari_clxem.plugin.widgets.tables import Row, Table
from napari_clxem.xray import DECISION, Contrast
from napari_clxem.xray.solving import Method

CSV = "Table (*.csv)"
VALUES = (("1/µm", "1/um"), ("1/cm", "1/cm"), ("Optical density per voxel", "voxel"))
LIMITS = (
    ("Size nm", "Diameter of the object"),
    ("Decision", "3.09 σ, g/cm³ measured: exceeded by one in a thousand empty places"),
    ("Detection", "6.18 σ, g/cm³ true: found in 99.9 % of cases"),
)


class DensityTab(QWidget):
    """Two tomograms, what is known of the substance, and the masses."""

    def __init__(self, analysis: SxtAnalysis) -> None:
        super().__init__()
        self._analysis = analysis
        self._shown: Weighed | None = None
        self.way, self.values, self.fit = (narrow(QComboBox()) for _ in range(3))
        self.way.addItems(["Two energies", "Difference (ΔOD)"])
        self.way.currentIndexChanged.connect(lambda _index: self.refresh())
        for text, name in VALUES:
            self.values.addItem(text, name)
        self.fit.addItems(["Fitted without iron", "Given"])
        self.fit.currentIndexChanged.connect(lambda _index: self._show_rows())
        self.high, self.low = SourceBox(), SourceBox()
        self.scale = NumberLine("k", "0.969")
        self.scale.setToolTip("Share of the absorption below the edge that is left above it")
        self.contrast = NumberLine("Δμ_m", "required, cm²/g")
        self.contrast.setToolTip("μ_m above the edge less k times μ_m below it, cm²/g")
        self.contrast_sd = NumberLine("The standard deviation of Δμ_m", "sd, not known")
        self.origin = QLineEdit()
        self.origin.setPlaceholderText("required: spectrum, paper, table")
        self.table_of = ContrastChoice(self._take_contrast)
        self.calibrates = QCheckBox("Calibrate by phantom")
        self.calibrates.setChecked(True)
        self.calibrates.toggled.connect(lambda _on: self._show_rows())
        self.tilts, self.method = TiltList(), narrow(QComboBox())
        self.method.addItems(["SART", "SIRT"])
        self.passes = QSpinBox()
        self.passes.setRange(1, 500)
        self.passes.setValue(5)
        self.relaxation = NumberLine("The relaxation", "as usual")
        self.fluorescence, self.projection = SourceBox("none"), SourceBox("none")
        self.threshold = NumberLine("The threshold", "Otsu's")
        self.threshold.setToolTip("Above it an image shows organelles; a segmentation needs none")
        self.registration = NumberLine("The registration's error", "from the links")
        self.registration.setToolTip("Standard deviation per axis, nm")
        self.level = NumberLine("The level", f"{DECISION:.2f}")
        self.level.setToolTip("Standard deviations of the background that every voxel exceeds")
        self.least = QSpinBox()
        self.least.setRange(1, 10_000)
        self.least.setValue(4)
        self._hint, self._notes = said(), said()
        self._large = QLabel()
        self._large.setStyleSheet("font-weight: bold; font-size: 15px;")
        self._large.setWordWrap(True)
        self.go = verb_button(keys.WEIGH, self.start)
        self.limits, self._limits = Table(LIMITS), Fold("What can be told from nothing")
        self._limits.column.addWidget(self.limits)
        self._limits.column.addWidget(
            said("g/cm³; half of what lies at the decision limit is missed")
        )
        # One for each number of columns: a table is as high as its rows once it has been shown.
        self._tables = {far: Table(sxt_masses.columns(far)) for far in (False, True)}
        for table in self._tables.values():
            table.chosen.connect(self._on_chosen)
        self._lay_out()

    def _lay_out(self) -> None:
        self._form = _form(
            ("From", self.way),
            ("Above edge", self.high),
            ("Below edge", self.low),
            ("Values", self.values),
            ("k", self.fit),
            ("", self.scale),
            ("Δμ_m", beside(self.contrast, QLabel("±"), self.contrast_sd)),
            ("Source", self.origin),
            ("", self.table_of),
            ("Wedge", self.calibrates),
            ("Tilts", self.tilts),
            ("Method", self.method),
            ("Passes", self.passes),
            ("Relaxation", self.relaxation),
        )
        light, more = Fold("Beside fluorescence"), Fold("More")
        light.column.addLayout(
            _form(
                ("Layer", self.fluorescence),
                ("Threshold", self.threshold),
                ("Error nm", self.registration),
            )
        )
        more.column.addLayout(
            _form(
                ("0° ΔOD", self.projection),
                ("Level σ", self.level),
                ("Voxels ≥", self.least),
            )
        )
        self._exports = QWidget()
        row = QHBoxLayout(self._exports)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(verb_button(keys.COPY_MASSES, self.copy))
        row.addWidget(verb_button(keys.WRITE_MASSES, self.ask_where))
        column = QVBoxLayout(self)
        column.setContentsMargins(2, 4, 2, 4)
        column.addWidget(self._hint)
        column.addLayout(self._form)
        parts: tuple[QWidget, ...] = (light, more, self.go, self._large)
        for part in parts:
            column.addWidget(part)
        for part in (*self._tables.values(), self._notes, self._limits, self._exports):
            column.addWidget(part)
        column.addStretch(1)

    def refresh(self) -> None:
        """Show the layers there are and what was found."""
        found = self._analysis.sources()
        volumes = [one for one in found if one.ndim == 3 and not one.labels]
        self.high.offer(volumes, first(volumes, above=True, default=0))
        self.low.offer(volumes, first(volumes, above=False, default=1))
        self.fluorescence.offer(found)
        self.projection.offer([one for one in found if one.ndim == 2 and not one.labels])
        difference = self.way.currentIndex() == 1
        self._hint.setText(sxt_masses.hint(len(volumes), difference))
        self._hint.setVisible(bool(self._hint.text()))
        self.go.setEnabled(not self._hint.text())
        self.tilts.propose(self._analysis.recorded_tilts(self.high.chosen()))
        self._show_rows()
        self._show_found()

    def _show_rows(self) -> None:
        difference = self.way.currentIndex() == 1
        self._form.setRowVisible(self.low, not difference)
        self._form.setRowVisible(self.fit, not difference)
        self._form.setRowVisible(self.scale, difference or self.fit.currentIndex() == 1)
        label = self._form.labelForField(self.scale)
        if isinstance(label, QLabel):
            label.setText("k taken" if difference else "")
        for field in (self.tilts, self.method, self.passes, self.relaxation):
            self._form.setRowVisible(field, self.calibrates.isChecked())

    def _show_found(self) -> None:
        found = self._analysis.weighed
        for part in (self._large, self._notes, self._limits, self._exports):
            part.setVisible(found is not None)
        if found is None:
            for table in self._tables.values():
                table.hide()
        if found is None or found is self._shown:
            return
        self._shown = found
        self._large.setText(sxt_masses.headline(found))
        self._notes.setText(listed(sxt_masses.notes(found)))
        self.limits.show_rows(
            [Row(one.name, one.cells, one.tip) for one in sxt_masses.limit_lines(found)]
        )
        self._show_table(found)

    @property
    def table(self) -> Table:
        """The table of clusters, with distances where they were measured."""
        return self._tables[self._shown is not None and bool(self._shown.near)]

    def _show_table(self, found: Weighed) -> None:
        for far, table in self._tables.items():
            table.setVisible(table is self.table and bool(found.found.clusters))
            for column, (text, tip) in enumerate(sxt_masses.columns(far, found)):
                item = table.horizontalHeaderItem(column)
                assert item is not None
                item.setText(text)
                item.setToolTip(tip)
        self.table.show_rows([Row(one.name, one.cells, one.tip) for one in sxt_masses.lines(found)])

    def _on_chosen(self, name: str) -> None:
        self._analysis.go_to(int(name))

    def _take_contrast(self, value: float, source: str) -> None:
        self.contrast.setText(f"{value:g}")
        self.origin.setText(source)
        self.origin.setCursorPosition(0)

    def start(self) -> None:
        """Weigh what is chosen."""
        try:
            self._analysis.weigh(self._asked())
        except ClxemError as error:
            show_error(str(error))

    def _asked(self) -> Weighing:
        difference = self.way.currentIndex() == 1
        fitted = not difference and self.fit.currentIndex() == 0
        high = self._analysis.source(self.high.chosen())
        sd = self.registration.number()
        level = self.level.number()
        return Weighing(
            high=high,
            low=None if difference else self._analysis.source(self.low.chosen()),
            values=self.values.currentData(),
            contrast=self._contrast(),
            scale=None if fitted else self._scale(),
            wedge=self._wedge() if self.calibrates.isChecked() else None,
            beside=self._analysis.beside(
                self.fluorescence.chosen(),
                high,
                self.threshold.number(),
                None if sd is None else sd / 1e3,
            ),
            projection=self._projection(),
            level=DECISION if level is None else level,
            least=self.least.value(),
        )

    def _contrast(self) -> Contrast:
        value = self.contrast.number()
        if value is None:
            raise ImageError(
                "Δμ_m is missing: give the difference of mass attenuation in cm²/g, and say where "
                "it comes from."
            )
        return Contrast(value, self.origin.text(), self.contrast_sd.number() or 0.0)

    def _scale(self) -> float:
        value = self.scale.number()
        if value is None:
            raise ImageError("k is missing: give it, such as 0.969 from 700 to 709 eV, or fit it.")
        return value

    def _wedge(self) -> Wedging:
        method: Method = "SIRT" if self.method.currentText() == "SIRT" else "SART"
        return Wedging(
            self.tilts.tilts(),
            method,
            self.passes.value(),
            self.relaxation.number(),
        )

    def _projection(self) -> Source | None:
        name = self.projection.chosen()
        return None if name is None else self._analysis.source(name)

    def copy(self) -> None:
        """Put what was found on the clipboard."""
        clipboard = QApplication.clipboard()
        if self._analysis.weighed is not None and clipboard is not None:
            clipboard.setText(sxt_masses.text(self._analysis.weighed))
            show_info("The masses were copied.")

    def ask_where(self) -> None:
        """Let the user choose where the clusters are written."""
        path, _ = QFileDialog.getSaveFileName(self, "Write the clusters", "clusters.csv", CSV)
        if path:
            self.write(path)

    def write(self, path: Any) -> None:
        """Write the clusters."""
        try:
            self._analysis.write_clusters(path)
        except ClxemError as error:
            show_error(str(error))


def _form(*rows: tuple[str, QWidget]) -> QFormLayout:
    form = QFormLayout()
    form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
    for name, field in rows:
        form.addRow(name, field)
    return form
