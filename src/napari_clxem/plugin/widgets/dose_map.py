"""The tab "Map" of the Dose review dock: what was done here, when, and what is left."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from napari.utils.notifications import show_error
from qtpy.QtCore import Qt, QTimer
from qtpy.QtGui import QColor, QPainter, QPen
from qtpy.QtWidgets import (
    QCheckBox,
    QComboBox,
    QDoubleSpinBox,
    QFileDialog,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QSlider,
    QVBoxLayout,
    QWidget,
)

from napari_clxem.dose import Exposure
from napari_clxem.dose.limits import ESTIMATES
from napari_clxem.errors import ClxemError
from napari_clxem.materials import MATERIALS
from napari_clxem.plugin import dose_marks, keys
from napari_clxem.plugin.controllers import dose_export, dose_words
from napari_clxem.plugin.controllers.dose_review import DoseReview
from napari_clxem.plugin.widgets.dose_picture import write_picture
from napari_clxem.plugin.widgets.parts import Fold, listed, narrow, said, verb_button
from napari_clxem.plugin.widgets.tables import Row, Table

STEP = 120  # ms between two exposures of a replay that runs
HERE = (
    ("Exposure · images", "What touched the place pointed at, in order; how many images hit it"),
    ("MGy", "What it left there"),
    ("Share", "Of the dose of all of them"),
)
TARGETS = (
    ("Target", "Target or cell; point at a row for more"),
    ("MGy", "Dose at its centre"),
    ("Spent", "Share of the budget"),
    ("Left", "Resolution still supported, by the strictest estimate"),
)
INCLUDED = (
    ("all", "Recorded and planned"),
    ("recorded", "Recorded only"),
    ("planned", "Planned only"),
)
LINE, GAP = 34, 6
CSV, PNG = "Table (*.csv)", "Picture (*.png)"


class Swatch(QWidget):
    """A piece of the line that stands for a modality."""

    def __init__(self, colour: str, dashes: Sequence[float], width: float = 2.0) -> None:
        super().__init__()
        self._pen = QPen(QColor(colour), width)
        self._pen.setCapStyle(Qt.PenCapStyle.FlatCap)
        if dashes:
            self._pen.setDashPattern(list(dashes))
        self.setFixedSize(LINE, 12)

    def paintEvent(self, _event: Any) -> None:  # noqa: N802
        """Draw it on the dark ground that the canvas has."""
        painter = QPainter(self)
        painter.fillRect(self.rect(), QColor("#33204a"))
        painter.setPen(self._pen)
        painter.drawLine(GAP // 2, 6, LINE - GAP // 2, 6)
        painter.end()


class Legend(QWidget):
    """What colours and patterns of footprints stand for."""

    def __init__(self) -> None:
        super().__init__()
        self._form = QVBoxLayout(self)
        self._form.setContentsMargins(0, 0, 0, 0)
        self._form.setSpacing(1)
        self._shown: tuple[str, ...] = ()

    def show_styles(self, exposures: Sequence[Exposure]) -> None:
        """Show the modalities that there are."""
        styles = {one.name: one for one in map(dose_marks.style_of, _modalities(exposures))}
        if tuple(styles) == self._shown:
            return
        self._shown = tuple(styles)
        while (item := self._form.takeAt(0)) is not None:
            if (old := item.widget()) is not None:
                old.deleteLater()
        for one in styles.values():
            self._add(Swatch(one.colour, dose_marks.dashes(one)), f"{one.name} ({one.stroke})")
        self._add(Swatch(dose_marks.BUDGET, (), 3.0), "Line where the budget is reached (thick)")
        self._add(Swatch(dose_marks.CHOSEN, ()), "Chosen in Exposures; planned ones bear a ×")

    def _add(self, swatch: Swatch, text: str) -> None:
        line = QWidget()
        row = QHBoxLayout(line)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(swatch)
        row.addWidget(said(text), 1)
        self._form.addWidget(line)


def _modalities(exposures: Sequence[Exposure]) -> list[str]:
    return list(dict.fromkeys(one.modality for one in exposures))


class MapTab(QWidget):
    """Headline at the cursor, breakdown, replay, targets, settings, legend and warnings.

    Parameters
    ----------
    review : DoseReview
        What is shown.
    """

    def __init__(self, review: DoseReview) -> None:
        super().__init__()
        self._review = review
        self._large, self._small, self._next = QLabel(), said(), said()
        self._large.setStyleSheet("font-size: 22px; font-weight: bold;")
        self._next.setStyleSheet("font-weight: bold;")
        self._here, self._targets = Table(HERE), Table(TARGETS)
        self._here.chosen.connect(lambda name: review.choose([name]))
        self._legend, self._warnings = Legend(), said()
        self._shown: tuple[Any, ...] = (None, None, None)
        self._make_replay()
        self._make_settings()
        self._arrange()

    def _make_replay(self) -> None:
        self._slider = QSlider(Qt.Orientation.Horizontal)
        self._slider.setToolTip("Go through the exposures in the order they were made")
        self._slider.setPageStep(10)
        self._slider.valueChanged.connect(self._review.show)
        self._when = said()
        self._play = verb_button(keys.REPLAY, self._on_play)
        self._play.setCheckable(True)
        self._clock = QTimer(self)
        self._clock.setInterval(STEP)
        self._clock.timeout.connect(self._on_step)

    def _make_settings(self) -> None:
        self._dose = narrow(QComboBox())
        self._dose.addItem("Inside the sample", False)
        self._dose.addItem("In the surface layer", True)
        self._included = narrow(QComboBox())
        for name, text in INCLUDED:
            self._included.addItem(text, name)
        self._material = narrow(QComboBox())
        for name in MATERIALS:
            self._material.addItem(name, name)
        self._estimate = narrow(QComboBox())
        self._estimate.addItem("lowest of all", "")
        for name, text in ESTIMATES.items():
            self._estimate.addItem(text, name)
        self._voltage = narrow(QComboBox())
        for volts in (300.0, 200.0):
            self._voltage.addItem(f"{volts:g} kV", volts)
        self._d = _spin(1.0, 1000.0, " Å", 1)
        self._stability = _spin(1.0, 10000.0, " MGy", 0)
        self._outlines = QCheckBox("Outline footprints")
        self._outlines.setToolTip("Those chosen, and the 200 nearest to the middle of the canvas")
        review = self._review
        for box, name in (
            (self._dose, "surface"),
            (self._included, "included"),
            (self._material, "material"),
            (self._estimate, "estimate"),
            (self._voltage, "voltage"),
        ):
            box.activated.connect(
                lambda _index, box=box, name=name: review.set(**{name: box.currentData()})
            )
        self._d.valueChanged.connect(lambda value: review.set(d=value))
        self._stability.valueChanged.connect(lambda value: review.set(stability=value))
        self._outlines.toggled.connect(lambda on: review.set(outlines=on))
        for part, tip in (
            (self._dose, "Which dose the map shows: scanning electrons stay near the surface"),
            (self._included, "Which exposures are added up"),
            (self._material, "What all doses are stated for; it changes X-ray doses tenfold"),
            (self._estimate, "Which estimate is drawn as the budget line"),
            (self._d, "Resolution wanted, as full period"),
            (self._stability, "Dose that the ice itself stands"),
        ):
            part.setToolTip(tip)

    def _arrange(self) -> None:
        column = QVBoxLayout(self)
        column.setContentsMargins(2, 4, 2, 4)
        column.addWidget(self._next)
        self._work = QWidget()
        work = QVBoxLayout(self._work)
        work.setContentsMargins(0, 0, 0, 0)
        row = QHBoxLayout()
        row.addWidget(self._slider, 1)
        row.addWidget(self._play)
        for part in (self._large, self._small, self._here):
            work.addWidget(part)
        work.addLayout(row)
        work.addWidget(self._when)
        self._notes = Fold("Look at this", open_=True)
        self._notes.column.addWidget(self._warnings)
        work.addWidget(self._targets)
        work.addWidget(self._notes)
        against = Fold("What doses are held against", open_=True)
        form = QFormLayout()
        for text, choice in (
            ("Material", self._material),
            ("Resolution", self._d),
            ("Voltage", self._voltage),
            ("Ice stands", self._stability),
            ("Budget line", self._estimate),
        ):
            form.addRow(text, choice)
        against.column.addLayout(form)
        self._budget = Table(
            (
                ("Estimate", "Of the dose that the resolution stands, each good to a factor of 2"),
                ("MGy", "Dose"),
                ("e⁻/Å²", "The same as electrons"),
            )
        )
        against.column.addWidget(self._budget)
        work.addWidget(against)
        which = Fold("What the map shows", open_=True)
        shown = QFormLayout()
        shown.addRow("Dose", self._dose)
        shown.addRow("Exposures", self._included)
        shown.addRow(self._outlines)
        which.column.addLayout(shown)
        which.column.addWidget(self._legend)
        work.addWidget(which)
        write = QHBoxLayout()
        for verb, slot in (
            (keys.WRITE_PICTURE, self._on_picture),
            (keys.WRITE_TARGET_DOSES, self._on_write),
        ):
            write.addWidget(verb_button(verb, slot))
        work.addLayout(write)
        column.addWidget(self._work)
        column.addStretch(1)

    def stop(self) -> None:
        """End a replay that runs."""
        self._clock.stop()
        self._play.setChecked(False)

    def write_targets(self, path: str) -> None:
        """Write the doses of targets and cells to a CSV file."""
        found = self._review.findings
        if found is not None:
            dose_export.write_targets(path, found, self._review.settings)

    def write_picture(self, path: str) -> None:
        """Write what the canvas shows, with legend and caption, to a PNG file."""
        review, viewer = self._review, self._review.viewer
        if viewer is None or review.scene is None:
            return
        exposures = review.scene.history.exposures
        styles = {one.name: one for one in map(dose_marks.style_of, _modalities(exposures))}
        caption = dose_words.caption(review.scene, review.upto, review.settings)
        canvas = viewer.screenshot(canvas_only=True, flash=False)
        write_picture(path, canvas, tuple(styles.values()), caption)

    def _on_write(self) -> None:
        self._write(keys.WRITE_TARGET_DOSES, CSV, self.write_targets)

    def _on_picture(self) -> None:
        self._write(keys.WRITE_PICTURE, PNG, self.write_picture)

    def _write(self, verb: keys.Verb, kinds: str, write: Callable[[str], None]) -> None:
        path, _ = QFileDialog.getSaveFileName(self, verb.tip, "", kinds)
        if not path:
            return
        try:
            write(path)
        except ClxemError as error:
            show_error(str(error))

    def _on_play(self) -> None:
        if not self._play.isChecked():
            self._clock.stop()
            return
        if self._slider.value() >= self._slider.maximum():
            self._slider.setValue(0)
        self._clock.start()

    def _on_step(self) -> None:
        if self._review.painting.busy:
            return
        self._slider.setValue(self._slider.value() + dose_words.stride(self._slider.maximum()))
        if self._slider.value() >= self._slider.maximum():
            self.stop()

    def show_place(self) -> None:
        """Show what happened at the place pointed at."""
        below, settings = self._review.pointer.below, self._review.settings
        large, small = dose_words.headline(below, settings, self._review.pointer.spread)
        self._large.setText(large)
        self._small.setText(small)
        lines = dose_words.breakdown_lines(below)
        self._here.show_rows([Row(name, cells[1:], tip, cells[0]) for name, cells, tip in lines])
        self._here.setVisible(bool(lines))

    def refresh(self) -> None:
        """Show the doses as they are now."""
        review = self._review
        session, view = review.workspace.store.session, review.workspace.view
        shown, settings = review.scene, review.settings
        text = dose_words.next_step(session, view, shown)
        self._next.setText(text)
        self._next.setVisible(bool(text))
        self._work.setVisible(shown is not None)
        self._show_replay()
        self._show_settings()
        of = (shown, review.findings, settings)
        if any(a is not b for a, b in zip(of, self._shown, strict=True)):
            self._shown = of
            self._show_findings()

    def _show_findings(self) -> None:
        review = self._review
        shown, settings, found = review.scene, review.settings, review.findings
        lines = dose_words.target_lines(found, settings)
        self._targets.show_rows([Row(*line) for line in lines])
        self._targets.setVisible(bool(lines))
        warnings = dose_words.warnings(shown, found)
        self._warnings.setText(listed(warnings))
        self._notes.setVisible(bool(warnings))
        self._notes.set_heading(f"Look at this ({len(warnings)})")
        self._budget.show_rows([Row(*line) for line in dose_words.budget_lines(settings.budget)])
        if shown is not None:
            self._legend.show_styles(shown.history.exposures)

    def _show_replay(self) -> None:
        review = self._review
        self._slider.blockSignals(True)
        self._slider.setRange(0, review.count)
        self._slider.setValue(review.upto)
        self._slider.blockSignals(False)
        self._when.setText(dose_words.replay_text(review.scene, review.upto))

    def _show_settings(self) -> None:
        settings = self._review.settings
        for box, value in (
            (self._dose, settings.surface),
            (self._included, settings.included),
            (self._material, settings.material),
            (self._estimate, settings.estimate),
            (self._voltage, settings.voltage),
        ):
            box.setCurrentIndex(max(0, box.findData(value)))
        for spin, number in ((self._d, settings.d), (self._stability, settings.stability)):
            spin.blockSignals(True)
            spin.setValue(number)
            spin.blockSignals(False)
        self._outlines.blockSignals(True)
        self._outlines.setChecked(settings.outlines)
        self._outlines.blockSignals(False)


def _spin(low: float, high: float, suffix: str, decimals: int) -> QDoubleSpinBox:
    spin = QDoubleSpinBox()
    spin.setRange(low, high)
    spin.setDecimals(decimals)
    spin.setSuffix(suffix)
    spin.setKeyboardTracking(False)
    return spin
