"""The tab "Tomogram" of the SXT analysis dock: from counts to a tomogram, step by step."""

from __future__ import annotations

from napari.utils.notifications import show_error
from qtpy.QtWidgets import QComboBox, QLabel, QPushButton, QVBoxLayout, QWidget

from napari_clxem.errors import ClxemError
from napari_clxem.plugin.controllers import sxt_words
from napari_clxem.plugin.controllers.sxt_analysis import SxtAnalysis
from napari_clxem.plugin.controllers.sxt_steps import Made
from napari_clxem.plugin.widgets.parts import listed, narrow, said, verb_button
from napari_clxem.plugin.widgets.sxt_forms import (
    AnyForm,
    NormaliseForm,
    PairForm,
    ReconstructForm,
    SharpenForm,
    StraightenForm,
)
from napari_clxem.plugin.widgets.tables import Row, Table

COLUMNS = (
    ("Image", "Counted from 0"),
    ("Tilt °", "Where it is known"),
    ("Δy px", "Shift along y, pixels"),
    ("Δx px", "Shift along x, pixels"),
    ("Left px", "What is left: of parts of the image against each other, or of its beads"),
)
STEPS: tuple[tuple[str, type[AnyForm]], ...] = (
    ("1 · Normalise counts", NormaliseForm),
    ("2 · Sharpen (if wanted)", SharpenForm),
    ("3 · Align the tilts", StraightenForm),
    ("4 · Pair two energies", PairForm),
    ("5 · Reconstruct", ReconstructForm),
)


class StepsTab(QWidget):
    """A step at a time, what it asks for, and what it has made."""

    def __init__(self, analysis: SxtAnalysis) -> None:
        super().__init__()
        self._analysis = analysis
        self._shown: Made | None = None
        self.step = narrow(QComboBox())
        self.step.setAccessibleName("Step")
        self.forms: list[AnyForm] = []
        self.buttons: list[QPushButton] = []
        self._hint, self._notes = said(), said()
        self._large = QLabel()
        self._large.setStyleSheet("font-weight: bold; font-size: 15px;")
        self._large.setWordWrap(True)
        self.table = Table(COLUMNS)
        column = QVBoxLayout(self)
        column.setContentsMargins(2, 4, 2, 4)
        column.addWidget(self._hint)
        column.addWidget(self.step)
        for text, kind in STEPS:
            form = kind(analysis)
            button = verb_button(form.verb, self.start)
            self.step.addItem(text)
            self.forms.append(form)
            self.buttons.append(button)
            column.addWidget(form)
            column.addWidget(button)
        for part in (self._large, self._notes, self.table):
            column.addWidget(part)
        column.addStretch(1)
        self.step.currentIndexChanged.connect(lambda _index: self.refresh())

    @property
    def form(self) -> AnyForm:
        """The form of the step that is shown."""
        return self.forms[self.step.currentIndex()]

    def refresh(self) -> None:
        """Show the layers there are and what was made."""
        images = [one for one in self._analysis.sources() if not one.labels]
        self.form.offer(images)
        for form, button in zip(self.forms, self.buttons, strict=True):
            form.setVisible(form is self.form)
            button.setVisible(form is self.form)
            button.setEnabled(len(images) > 0)
        self._hint.setText(sxt_words.steps_hint(len(images)))
        self._hint.setVisible(bool(self._hint.text()))
        self._show_made()

    def _show_made(self) -> None:
        found = self._analysis.made
        for part in (self._large, self._notes):
            part.setVisible(found is not None)
        self.table.setVisible(found is not None and bool(found.lines))
        if found is None or found is self._shown:
            return
        self._shown = found
        self._large.setText(found.headline)
        made = tuple(f"Layer “{one.name}” was made." for one in found.products)
        self._notes.setText(listed((*found.notes, *made)))
        self.table.show_rows([Row(line[0], line) for line in found.lines])
        for form in self.forms:
            tilts = getattr(form, "tilts", None)
            if tilts is not None and found.tilts:
                tilts.propose(sxt_words.tilts_made(found))

    def start(self) -> None:
        """Do the step that is shown."""
        try:
            self._analysis.step(self.form.verb.text, self.form.work())
        except ClxemError as error:
            show_error(str(error))
