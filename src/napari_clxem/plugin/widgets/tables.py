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

# What lets five columns fit 300 pixels.
NARROW = """
QTableView { font-size: 11px; }
QTableView::item { padding: 0px 1px; }
QHeaderView::section { padding: 1px 2px; font-size: 11px; }
"""
# A longer table scrolls by itself.
MOST_LINES = 14


@dataclass(frozen=True)
class Row:
    """One row of a table.

    Parameters
    ----------
    id : str
        What it stands for.
    cells : tuple of str
        One text per column.
    tip : str
        Tooltip of all of them.
    title : str
        Text of a line of its own above the cells, where a name is too long for a column.
    """

    id: str
    cells: tuple[str, ...]
    tip: str = ""
    title: str = ""


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
        self._ids: list[str] = []
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
        self.setStyleSheet(NARROW)
        header.setMinimumSectionSize(30)
        header.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        header.setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
        self.itemSelectionChanged.connect(self._on_selection)

    def show_rows(self, rows: Sequence[Row], selected: str | None = None) -> None:
        """Replace the rows; the selected one keeps its mark without `chosen` being emitted."""
        self.blockSignals(True)
        self.clearSpans()
        self._ids = [row.id for row in rows for _ in range(2 if row.title else 1)]
        self.setRowCount(len(self._ids))
        line = 0
        for row in rows:
            if row.title:
                self._put(line, 0, row.title, row.tip)
                self.setSpan(line, 0, 1, self.columnCount())
                line += 1
            for column, text in enumerate(row.cells):
                self._put(line, column, text, row.tip)
            line += 1
        self.clearSelection()
        if selected in self._ids:
            self.selectRow(self._ids.index(selected))
        self.resizeRowsToContents()
        self.blockSignals(False)
        self.setFixedHeight(self._height(min(len(self._ids), MOST_LINES)))

    def _put(self, line: int, column: int, text: str, tip: str) -> None:
        item = QTableWidgetItem(text)
        item.setToolTip(tip or text)
        if column:
            item.setTextAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        self.setItem(line, column, item)

    def _height(self, lines: int) -> int:
        header = self.horizontalHeader()
        assert header is not None
        shown = sum(self.rowHeight(line) for line in range(lines))
        return header.sizeHint().height() + shown + 2 * self.frameWidth()

    def _on_selection(self) -> None:
        line = self.currentRow()
        if 0 <= line < len(self._ids) and self.selectedItems():
            self.chosen.emit(self._ids[line])
