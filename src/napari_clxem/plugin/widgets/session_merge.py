"""What another copy of the session brings, and which copy is right where both were changed."""

from __future__ import annotations

from pathlib import Path

from psygnal import Signal
from qtpy.QtWidgets import (
    QComboBox,
    QDialog,
    QDialogButtonBox,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)

from napari_clxem.plugin.widgets.parts import listed, said
from napari_clxem.session.merging import Merge, Side

HERE, THERE = "this copy", "the other copy"


class MergeDialog(QDialog):
    """The outcome of a comparison with another copy.

    Parameters
    ----------
    merge : Merge
        The comparison.
    path : Path
        The other copy.
    parent : QWidget, optional
        Owner.

    Attributes
    ----------
    decided : Signal
        Emitted with the merge, the choices, and the name of the other copy.
    """

    decided = Signal(Merge, dict, str)

    def __init__(self, merge: Merge, path: Path, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._merge = merge
        self._name = path.name
        self._boxes: dict[str, QComboBox] = {}
        self.setWindowTitle(f"Merge {path.name}")
        self.resize(640, 480)
        column = QVBoxLayout(self)
        column.addWidget(said(_summary(merge)))
        if merge.conflicts:
            column.addLayout(self._all())
            column.addWidget(self._conflicts(), 1)
        else:
            column.addStretch(1)
        box = QDialogButtonBox(QDialogButtonBox.StandardButton.Cancel)
        take = box.addButton("Merge", QDialogButtonBox.ButtonRole.AcceptRole)
        assert take is not None
        take.setEnabled(bool(merge.gains or merge.conflicts))
        take.setToolTip("Bring it in as one step, which can be undone")
        box.accepted.connect(self._on_merge)
        box.rejected.connect(self.reject)
        column.addWidget(box)

    @property
    def choices(self) -> dict[str, Side]:
        """Which copy each conflict is taken from."""
        return {key: box.currentData() for key, box in self._boxes.items()}

    def _all(self) -> QHBoxLayout:
        row = QHBoxLayout()
        row.addWidget(QLabel("Take all from"))
        sides: tuple[tuple[str, Side], ...] = ((HERE, "ours"), (THERE, "theirs"))
        for text, side in sides:
            button = QPushButton(text)
            button.setToolTip(f"Decide every conflict for {text}")
            button.clicked.connect(lambda _checked=False, side=side: self._choose_all(side))
            row.addWidget(button)
        row.addStretch(1)
        return row

    def _conflicts(self) -> QScrollArea:
        inside = QWidget()
        grid = QGridLayout(inside)
        for column, title in enumerate(("What differs", "This copy", "The other", "Take")):
            label = QLabel(title)
            label.setStyleSheet("font-weight: bold;")
            grid.addWidget(label, 0, column)
        for row, conflict in enumerate(self._merge.conflicts, start=1):
            box = QComboBox()
            box.addItem(HERE, "ours")
            box.addItem(THERE, "theirs")
            box.setToolTip(f"Which copy is right about {conflict.what}")
            self._boxes[conflict.key] = box
            for column, text in enumerate((conflict.what, conflict.ours, conflict.theirs)):
                grid.addWidget(said(text), row, column)
                grid.setColumnStretch(column, 2)
            grid.addWidget(box, row, 3)
        grid.setRowStretch(len(self._merge.conflicts) + 1, 1)
        area = QScrollArea()
        area.setWidgetResizable(True)
        area.setWidget(inside)
        return area

    def _choose_all(self, side: Side) -> None:
        for box in self._boxes.values():
            box.setCurrentIndex(box.findData(side))

    def _on_merge(self) -> None:
        self.accept()
        self.decided.emit(self._merge, self.choices, self._name)


def _summary(merge: Merge) -> str:
    parts = []
    if merge.gains:
        parts.append(f"The other copy brings:\n{listed(merge.gains)}")
    if merge.notes:
        parts.append(listed(merge.notes))
    if merge.base is None and (merge.gains or merge.conflicts):
        parts.append(
            "It is not known from which state both copies started: nothing is removed, and every "
            "difference is asked."
        )
    if merge.conflicts:
        how = "that differ" if merge.base is None else "changed in both copies"
        parts.append(f"Things {how}: {len(merge.conflicts)}. Decide which copy is right:")
    return "\n\n".join(parts) or "The other copy brings nothing new."
