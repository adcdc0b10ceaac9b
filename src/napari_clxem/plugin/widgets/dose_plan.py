"""The tab "Plan" of the Dose review dock: before any beam, what a chain of steps will cost."""

from __future__ import annotations

from qtpy.QtWidgets import (
    QComboBox,
    QDoubleSpinBox,
    QFormLayout,
    QGridLayout,
    QLabel,
    QVBoxLayout,
    QWidget,
)

from napari_clxem.dose import PRESETS, Exposure
from napari_clxem.plugin import keys
from napari_clxem.plugin.controllers import dose_words
from napari_clxem.plugin.controllers.dose_entry import entry_of
from napari_clxem.plugin.controllers.dose_plan import Planner
from napari_clxem.plugin.controllers.dose_review import DoseReview
from napari_clxem.plugin.widgets.dose_form import ExposureForm
from napari_clxem.plugin.widgets.parts import listed, narrow, said, verb_button
from napari_clxem.plugin.widgets.tables import Row, Table

STEPS = (
    ("Step · MGy", "What is done, in order, and what it leaves at the target"),
    ("Sum", "MGy, all steps so far"),
    ("Ice left", "Of what the ice stands, after the step, MGy"),
    ("OK", "✓ it gives and leaves what is wanted, ✗ it does not; point at it for why"),
)
MIDDLE = "Middle of the canvas"


class PlanTab(QWidget):
    """Goal, steps, verdicts, and what would mend them.

    Parameters
    ----------
    review : DoseReview
        What is shown.
    """

    def __init__(self, review: DoseReview) -> None:
        super().__init__()
        self._review = review
        self.planner = Planner(review)
        self._chosen = ""
        self._large, self._small, self._why = QLabel(), said(), said()
        self._large.setStyleSheet("font-size: 18px; font-weight: bold;")
        self._large.setWordWrap(True)
        self._next, self._changes = said(), said()
        self._next.setStyleSheet("font-weight: bold;")
        self._steps = Table(STEPS)
        self._steps.chosen.connect(self._on_chosen)
        self.form = ExposureForm(review)
        self.form.given.connect(self._on_given)
        self.form.closed.connect(self._close_form)
        self._make_goal()
        self._button = {
            verb: verb_button(verb, slot)
            for verb, slot in (
                (keys.ADD_STEP, self._on_add),
                (keys.TAKE_PLANNED, self.planner.take),
                (keys.EDIT_STEP, self._on_edit),
                (keys.RAISE_STEP, lambda: self.planner.lift(self._chosen)),
                (keys.DROP_STEP, lambda: self.planner.remove(self._chosen)),
                (keys.RECORD_PLAN, self.planner.record),
            )
        }
        self._arrange()

    def _make_goal(self) -> None:
        self._target, self._preset = narrow(QComboBox()), narrow(QComboBox())
        self._target.activated.connect(
            lambda _index: self.planner.aim(self._target.currentData() or "")
        )
        for name in PRESETS:
            self._preset.addItem(name, name)
        self._sxt = _spin(5.0, 500.0, 30.0, " nm", 0)
        self._et = _spin(1.0, 1000.0, 20.0, " Å", 1)
        self._amplitude = _spin(1.0, 99.0, 60.65, " %", 1)
        self._efficiency = _spin(0.1, 100.0, 10.0, " %", 1)
        self._transmission = _spin(1.0, 100.0, 45.0, " %", 0)
        for spin, tip in (
            (self._sxt, "Detail to be seen by X-rays, as half-pitch"),
            (self._et, "Resolution wanted of electron tomography, as full period"),
            (self._amplitude, "Part of the amplitude that must be left when it begins"),
            (self._efficiency, "Of X-ray optics and detector together"),
            (self._transmission, "Of the rest of the sample, for X-rays"),
        ):
            spin.setToolTip(tip)
        planner = self.planner
        self._sxt.valueChanged.connect(lambda value: planner.want(sxt=value))
        self._et.valueChanged.connect(lambda value: self._review.set(d=value))
        self._amplitude.valueChanged.connect(lambda value: planner.want(amplitude=value / 100))
        self._efficiency.valueChanged.connect(lambda value: planner.want(efficiency=value / 100))
        self._transmission.valueChanged.connect(
            lambda value: planner.want(transmission=value / 100)
        )

    def _arrange(self) -> None:
        column = QVBoxLayout(self)
        column.setContentsMargins(2, 4, 2, 4)
        form = QFormLayout()
        for text, field in (
            ("Target", self._target),
            ("X-rays show", self._sxt),
            ("Optics", self._efficiency),
            ("Sample lets through", self._transmission),
            ("ET resolves", self._et),
            ("Amplitude left", self._amplitude),
        ):
            form.addRow(text, field)
        grid = QGridLayout()
        grid.addWidget(self._preset, 0, 0, 1, 2)
        grid.addWidget(self._button[keys.ADD_STEP], 0, 2)
        for number, verb in enumerate(
            (keys.EDIT_STEP, keys.RAISE_STEP, keys.DROP_STEP, keys.TAKE_PLANNED, keys.RECORD_PLAN)
        ):
            wide = 2 if verb is keys.RECORD_PLAN else 1
            grid.addWidget(self._button[verb], 1 + number // 3, number % 3, 1, wide)
        for label in (self._large, self._small, self._next):
            column.addWidget(label)
        column.addLayout(form)
        column.addLayout(grid)
        parts: tuple[QWidget, ...] = (self._steps, self._why, self._changes, self.form)
        for part in parts:
            column.addWidget(part)
        column.addStretch(1)
        self.form.hide()

    def _on_add(self) -> None:
        self.planner.add(PRESETS[self._preset.currentData()])

    def _on_chosen(self, name: str) -> None:
        self._chosen = name
        self.refresh()

    def _on_edit(self) -> None:
        found = [one for one in self.planner.steps if one.id == self._chosen]
        frames = [one.name for one in self._review.workspace.store.session.frames]
        if found:
            self.form.begin(entry_of(found[0]), frames)
            self.form.show()

    def _on_given(self, given: tuple[Exposure, ...]) -> None:
        self.planner.put(given[0])
        self._close_form()

    def _close_form(self) -> None:
        self.form.hide()

    def stop(self) -> None:
        """Let the review go."""
        self.planner.release()

    def refresh(self) -> None:
        """Show the plan as it is now."""
        planner, found = self.planner, self.planner.outcome
        self._show_targets()
        self._et.blockSignals(True)
        self._et.setValue(self._review.settings.d)
        self._et.blockSignals(False)
        large, small = ("", "") if found.plan is None else dose_words.plan_headline(found.plan)
        text = found.problem
        if not planner.steps and not text:
            text = "Add the first step: how will X-rays be taken? Then the TEM. No beam needed."
        for label, said_now in ((self._large, large), (self._small, small), (self._next, text)):
            label.setText(said_now)
            label.setVisible(bool(said_now))
        lines = (
            dose_words.plan_lines(found.plan)
            if found.plan
            else dose_words.step_lines(planner.steps)
        )
        rows = [Row(name, cells[1:], tip, cells[0]) for name, cells, tip in lines]
        self._steps.show_rows(rows, selected=self._chosen)
        self._steps.setVisible(bool(rows))
        self._why.setText(dose_words.verdict(found.plan, self._chosen))
        self._why.setVisible(bool(self._why.text()))
        mend = dose_words.plan_changes(found)
        self._changes.setText(listed(mend))
        self._changes.setVisible(bool(mend))
        chosen = any(one.id == self._chosen for one in planner.steps)
        for verb in (keys.EDIT_STEP, keys.RAISE_STEP, keys.DROP_STEP):
            self._button[verb].setEnabled(chosen)
        self._button[keys.RECORD_PLAN].setEnabled(bool(planner.steps))

    def _show_targets(self) -> None:
        names = ["", *(name for name, _, _ in self.planner.targets())]
        if [self._target.itemData(i) for i in range(self._target.count())] != names:
            self._target.clear()
            for name in names:
                self._target.addItem(name or MIDDLE, name)
        self._target.setCurrentIndex(max(0, self._target.findData(self.planner.target)))


def _spin(low: float, high: float, value: float, suffix: str, decimals: int) -> QDoubleSpinBox:
    spin = QDoubleSpinBox()
    spin.setRange(low, high)
    spin.setDecimals(decimals)
    spin.setValue(value)
    spin.setSuffix(suffix)
    spin.setKeyboardTracking(False)
    return spin
