"""The table of landmarks: sortable, with what to look at each of them for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from psygnal import Signal
from qtpy.QtCore import QAbstractTableModel, QModelIndex, QSortFilterProxyModel, Qt
from qtpy.QtWidgets import QAbstractItemView, QTableView, QWidget

from napari_clxem.plugin.widgets.tables import NARROW
from napari_clxem.session.model import Vector
from napari_clxem.session.pairs import PairRow

# A flag is a sign as well as a colour in the canvas.
SIGNS: Mapping[str, str] = MappingProxyType(
    {"": "●", "half": "○", "excluded": "✕", "outlier": "◆", "suspect": "▲"}
)
HEADINGS = (
    ("#", "Number of the landmark: ● used, ○ one side only, ✕ excluded, ◆ outlier, ▲ suspect"),
    ("Use", "Tick to let it take part in the fit"),
    ("Fit", "How far the fit misses it, nm: goodness of fit, not its error"),
    ("Left out", "How far it is from where the others say it should be, nm"),
    ("Weight", "Its share of the information in the fit; 1 is the mean"),
    ("From", "bead: found by detection; hand: clicked; file: read from a file"),
    ("Moving (z, y, x)", "Position in the moving frame, µm"),
    ("Fixed (z, y, x)", "Position in the fixed frame, µm"),
)
NUMBER, USE, FIT, LEFT_OUT, WEIGHT, ORIGIN, MOVING, FIXED = range(len(HEADINGS))
SORTED_BY = Qt.ItemDataRole.UserRole
LINES = 9


class LandmarkModel(QAbstractTableModel):
    """Rows of landmarks for a table view.

    Attributes
    ----------
    used : Signal
        Emitted with the id of a landmark and whether the user wants it used.
    """

    used = Signal(str, bool)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.rows: tuple[PairRow, ...] = ()

    def show_rows(self, rows: Sequence[PairRow]) -> None:
        """Replace the rows."""
        same = [row.id for row in rows] == [row.id for row in self.rows]
        if same:
            self.rows = tuple(rows)
            if rows:
                last = self.index(len(rows) - 1, len(HEADINGS) - 1)
                self.dataChanged.emit(self.index(0, 0), last)
            return
        self.beginResetModel()
        self.rows = tuple(rows)
        self.endResetModel()

    def rowCount(self, parent: QModelIndex | None = None) -> int:  # noqa: N802
        """Count the landmarks."""
        return 0 if parent is not None and parent.isValid() else len(self.rows)

    def columnCount(self, parent: QModelIndex | None = None) -> int:  # noqa: N802
        """Count the columns."""
        return 0 if parent is not None and parent.isValid() else len(HEADINGS)

    def headerData(  # noqa: N802
        self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole
    ) -> Any:
        """Give a heading, or its explanation."""
        if orientation != Qt.Orientation.Horizontal:
            return None
        if role == Qt.ItemDataRole.DisplayRole:
            return HEADINGS[section][0]
        return HEADINGS[section][1] if role == Qt.ItemDataRole.ToolTipRole else None

    def flags(self, index: QModelIndex) -> Qt.ItemFlag:
        """Let the tick of a row be changed."""
        flags = super().flags(index)
        return flags | Qt.ItemFlag.ItemIsUserCheckable if index.column() == USE else flags

    def data(self, index: QModelIndex, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """Give what a cell shows."""
        row, column = self.rows[index.row()], index.column()
        if role == Qt.ItemDataRole.DisplayRole:
            return _text(row, column)
        if role == SORTED_BY:
            return _value(row, column)
        if role == Qt.ItemDataRole.ToolTipRole:
            return row.reason or HEADINGS[column][1]
        if role == Qt.ItemDataRole.CheckStateRole and column == USE:
            return Qt.CheckState.Checked if row.use else Qt.CheckState.Unchecked
        if role == Qt.ItemDataRole.TextAlignmentRole and column in (FIT, LEFT_OUT, WEIGHT):
            return Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
        return None

    def setData(  # noqa: N802
        self, index: QModelIndex, value: Any, role: int = Qt.ItemDataRole.EditRole
    ) -> bool:
        """Take a tick."""
        if role != Qt.ItemDataRole.CheckStateRole or index.column() != USE:
            return False
        self.used.emit(self.rows[index.row()].id, Qt.CheckState(value) == Qt.CheckState.Checked)
        return True


class LandmarkTable(QTableView):
    """The landmarks of a link.

    Attributes
    ----------
    chosen : Signal
        Emitted with the id of the landmark that the user selects.
    visited : Signal
        Emitted with the id of the landmark that the user wants to see in both canvases.
    """

    chosen = Signal(str)
    visited = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.marks = LandmarkModel(self)
        self._sorted = QSortFilterProxyModel(self)
        self._sorted.setSourceModel(self.marks)
        self._sorted.setSortRole(SORTED_BY)
        self._quiet = False
        self.setModel(self._sorted)
        self.setSortingEnabled(True)
        self.sortByColumn(NUMBER, Qt.SortOrder.AscendingOrder)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setTabKeyNavigation(False)
        self.setStyleSheet(NARROW)
        side, header = self.verticalHeader(), self.horizontalHeader()
        assert side is not None
        assert header is not None
        side.hide()
        side.setDefaultSectionSize(20)
        header.setMinimumSectionSize(26)
        header.setStretchLastSection(False)
        for column, width in enumerate((42, 30, 46, 52, 50, 42, 150, 150)):
            self.setColumnWidth(column, width)
        self.setFixedHeight(20 * LINES + 44)
        selection = self.selectionModel()
        assert selection is not None
        selection.currentRowChanged.connect(self._on_row)
        self.doubleClicked.connect(self._on_visit)

    def show_rows(self, rows: Sequence[PairRow], chosen: str) -> None:
        """Show landmarks, one of them selected."""
        self._quiet = True
        self.marks.show_rows(rows)
        ids = [row.id for row in rows]
        if chosen in ids:
            index = self._sorted.mapFromSource(self.marks.index(ids.index(chosen), NUMBER))
            if self.currentIndex().row() != index.row():
                self.selectRow(index.row())
        else:
            self.clearSelection()
            self.setCurrentIndex(QModelIndex())
        self._quiet = False

    def _id(self, index: QModelIndex) -> str:
        return self.marks.rows[self._sorted.mapToSource(index).row()].id

    def _on_row(self, current: QModelIndex, _previous: QModelIndex) -> None:
        if current.isValid() and not self._quiet:
            self.chosen.emit(self._id(current))

    def _on_visit(self, index: QModelIndex) -> None:
        self.visited.emit(self._id(index))


def _text(row: PairRow, column: int) -> str:
    if column == NUMBER:
        return f"{row.number} {SIGNS[row.flag]}"
    if column == ORIGIN:
        return row.origin
    if column in (MOVING, FIXED):
        return _place(row.moving if column == MOVING else row.fixed)
    if column == USE:
        return ""
    value = {FIT: row.residual, LEFT_OUT: row.leave_one_out, WEIGHT: row.weight}[column]
    if value is None:
        return "–"
    return f"{value:.2f}" if column == WEIGHT else f"{value * 1000:.0f}"


def _value(row: PairRow, column: int) -> Any:
    """Give what a column is sorted by; what is missing comes last."""
    values: dict[int, Any] = {
        NUMBER: row.number,
        USE: row.use,
        ORIGIN: row.origin,
        MOVING: _place(row.moving),
        FIXED: _place(row.fixed),
    }
    if column in values:
        return values[column]
    value = {FIT: row.residual, LEFT_OUT: row.leave_one_out, WEIGHT: row.weight}[column]
    return -1.0 if value is None else value


def _place(position: Vector | None) -> str:
    return "–" if position is None else ", ".join(f"{value:.2f}" for value in position)
