"""The tab "Check" of the Dose review dock: whether declared numbers agree with each other."""

from __future__ import annotations

from qtpy.QtWidgets import QComboBox, QFormLayout, QLabel, QPlainTextEdit, QVBoxLayout, QWidget

from napari_clxem.dose import check
from napari_clxem.errors import ClxemError
from napari_clxem.materials import MATERIALS
from napari_clxem.plugin import keys
from napari_clxem.plugin.controllers import dose_words
from napari_clxem.plugin.widgets.parts import narrow, said, verb_button
from napari_clxem.plugin.widgets.tables import Row, Table

RELATIONS = (
    ("Number", "✗ what does not follow from the others, first; ✓ what does"),
    ("Stated", "As pasted"),
    ("Follows", "As it follows from the others"),
    ("Off", "How far the stated number is from that"),
)
EXAMPLE = """Paste the numbers of one acquisition, a line each:
flux = 1.11e10 ph/s
area = 169 µm²
exposure_time = 1 s
images = 131
fluence_per_image = 6.7e7
fluence = 0.86e10"""
HEIGHT = 150


class CheckTab(QWidget):
    """A block of text, and every relation among its numbers that does not close."""

    def __init__(self) -> None:
        super().__init__()
        self.text = QPlainTextEdit()
        self.text.setPlaceholderText(EXAMPLE)
        self.text.setFixedHeight(HEIGHT)
        self.text.setTabChangesFocus(True)
        self._kind, self._material = narrow(QComboBox()), narrow(QComboBox())
        for text, kind in (
            ("told by the numbers", None),
            ("X-rays", "x-ray"),
            ("electrons", "electron"),
        ):
            self._kind.addItem(text, kind)
        for name in MATERIALS:
            self._material.addItem(name, name)
        self._large, self._notes = QLabel(), said()
        self._large.setStyleSheet("font-weight: bold;")
        self._large.setWordWrap(True)
        self._table = Table(RELATIONS)
        self._known = said(dose_words.known_numbers())
        form = QFormLayout()
        form.addRow("Beam", self._kind)
        form.addRow("Material", self._material)
        column = QVBoxLayout(self)
        column.setContentsMargins(2, 4, 2, 4)
        column.addWidget(self.text)
        column.addLayout(form)
        column.addWidget(verb_button(keys.CHECK_NUMBERS, self.look))
        for part in (self._large, self._table, self._notes, self._known):
            column.addWidget(part)
        column.addStretch(1)
        self._table.hide()
        self._large.hide()

    def look(self) -> None:
        """Compare the numbers pasted."""
        try:
            found = check(
                self.text.toPlainText(),
                kind=self._kind.currentData(),
                material=self._material.currentData(),
            )
        except ClxemError as error:
            self._show(str(error), [], "")
            return
        lines = dose_words.report_lines(found)
        rows = [Row(name, cells, tip) for name, cells, tip in lines]
        self._show(dose_words.report_headline(found), rows, dose_words.report_notes(found))

    def _show(self, large: str, rows: list[Row], notes: str) -> None:
        self._large.setText(large)
        self._large.show()
        self._table.show_rows(rows)
        self._table.setVisible(bool(rows))
        self._notes.setText(notes)
        self._notes.setVisible(bool(notes))
