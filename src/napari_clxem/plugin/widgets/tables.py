"""A read-only table that fits a narrow dock."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from psygnal import Signal
from qtpy.QtCore import Qt
from qtpy.QtWidgets import (
    QAbstractItemView,
    QHeaderView,
    QTableWidget,
    QTableWidgetItem,
    QWidget,
)

# A longer table scrolls by itself.
MOST_LINES = 8


@dataclass(frozen=True)
class Row:
    """One row: what it stands for, its cells, and a tooltip for all of them."""

    id: str
    cells: tuple[str, ...]
    tip: str = ""


class Table(QTableWidget):
    """Rows of text, of which one may be chosen.

    Parameters
    ----------
    headings : sequence of tuple of str
        Heading and its explanation, per column.
    parent : QWidget, optional
        Owner.

    Attributes
    ----------
    chosen : Signal
        Emitted with the id of the row that the user has chosen.
    """

    chosen = Signal(str)

    def __init__(self, headings: Sequence[tuple[str, str]], parent: QWidget | None = None) -> None:
        super().__init__(0, len(headings), parent)
        self._rows: tuple[Row, ...] = ()
        for column, (heading, tip) in enumerate(headings):
            item = QTableWidgetItem(heading)
            item.setToolTip(tip)
            self.setHorizontalHeaderItem(column, item)
        header, side = self.horizontalHeader(), self.verticalHeader()
        assert header is not None
        assert side is not None
        side.hide()
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setTabKeyNavigation(False)
        self.setStyleSheet("font-size: 11px;")
        header.setMinimumSectionSize(30)
        header.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        header.setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
        self.itemSelectionChanged.connect(self._on_selection)

    def show_rows(self, rows: Sequence[Row], selected: str | None = None) -> None:
        """Replace the rows; the selected one keeps its mark without `chosen` being emitted."""
        self.blockSignals(True)
        self._rows = tuple(rows)
        self.setRowCount(len(rows))
        for line, row in enumerate(rows):
            for column, text in enumerate(row.cells):
                item = QTableWidgetItem(text)
                item.setToolTip(row.tip or text)
                if column:
                    item.setTextAlignment(
                        Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
                    )
                self.setItem(line, column, item)
        self.clearSelection()
        for line, row in enumerate(rows):
            if row.id == selected:
                self.selectRow(line)
        self.resizeRowsToContents()
        self.blockSignals(False)
        self.setFixedHeight(self._height(min(len(rows), MOST_LINES)))

    def _height(self, lines: int) -> int:
        header = self.horizontalHeader()
        assert header is not None
        shown = sum(self.rowHeight(line) for line in range(lines))
        return header.sizeHint().height() + shown + 2 * self.frameWidth()

    def _on_selection(self) -> None:
        line = self.currentRow()
        if 0 <= line < len(self._rows) and self.selectedItems():
            self.chosen.emit(self._rows[line].id)
