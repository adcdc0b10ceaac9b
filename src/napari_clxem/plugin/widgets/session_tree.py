"""The grid, its sites and images as a tree that keeps its place while the document changes."""

from __future__ import annotations

from collections.abc import Iterator

from psygnal import Signal
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QAbstractItemView, QHeaderView, QTreeWidget, QTreeWidgetItem

from napari_clxem.plugin.controllers.grid_rows import GridRow

Key = tuple[str, str]
Line = tuple[str, str, tuple[str, str, str], str, bool]
HEADINGS = (
    ("Site / image", "The grid with its maps, and its sites with their images"),
    ("Status", "How far a site has come; what took an image, or that its file is missing"),
    ("Error", "Predicted error of the image's middle in the reference frame, in the plane"),
)
ROLE = int(Qt.ItemDataRole.UserRole)
SMALL = """
QTreeView { font-size: 11px; }
QTreeView::item { padding: 1px 0px; }
QHeaderView { font-size: 11px; }
"""
FEWEST_LINES, MOST_LINES = 4, 20


class GridTree(QTreeWidget):
    """The tree of a session.

    Attributes
    ----------
    chosen : Signal
        Emitted with the kind and id of the line that the user has chosen.
    wanted : Signal
        Emitted with the kind and id of a line that was double-clicked, or entered by its key.
    """

    chosen = Signal(str, str)
    wanted = Signal(str, str)

    def __init__(self) -> None:
        super().__init__()
        self._shown: list[Line] = []
        self.setColumnCount(len(HEADINGS))
        self.setHeaderLabels([heading for heading, _ in HEADINGS])
        head = self.headerItem()
        assert head is not None
        for column, (_, tip) in enumerate(HEADINGS):
            head.setToolTip(column, tip)
        header = self.header()
        assert header is not None
        header.setStretchLastSection(False)
        header.setMinimumSectionSize(40)
        header.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        header.setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
        self.setIndentation(12)
        self.setUniformRowHeights(True)
        self.setExpandsOnDoubleClick(False)
        self.setTextElideMode(Qt.TextElideMode.ElideMiddle)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setStyleSheet(SMALL)
        self.itemSelectionChanged.connect(self._on_selection)
        self.itemActivated.connect(self._on_activated)
        for signal in (self.itemExpanded, self.itemCollapsed):
            signal.connect(lambda _item: self._fit())

    @property
    def current(self) -> Key:
        """Kind and id of the line chosen; empty for none."""
        items = self.selectedItems()
        return self._key(items[0]) if items else ("", "")

    def show_grid(self, row: GridRow | None, shown: str | None = None) -> None:
        """Show a session, keeping what is unfolded and chosen.

        Parameters
        ----------
        row : GridRow or None
            The grid; None for nothing.
        shown : str or None
            Id of the site that the viewer shows: it is drawn bold.
        """
        if row is None:
            self.clear()
            self._shown = []
            return
        new: list[Line] = [
            (one.kind, one.id, one.cells, one.tip, _is_bold(one, shown)) for one in _lines(row)
        ]
        if new == self._shown:
            return
        self.blockSignals(True)
        if [one[:2] for one in new] == [one[:2] for one in self._shown]:
            for item, one, old, now in zip(
                self._items(), _lines(row), self._shown, new, strict=True
            ):
                if old != now:
                    self._fill(item, one, shown)
        else:
            self._build(row, shown)
        self._shown = new
        self.blockSignals(False)
        self._fit()

    def _build(self, row: GridRow, shown: str | None) -> None:
        before = {self._key(item): item.isExpanded() for item in self._items()}
        current = self.current
        self.clear()
        self.addTopLevelItem(self._made(row, shown))
        for item in self._items():
            key = self._key(item)
            item.setExpanded(before.get(key, key[0] == "grid" or key == ("site", shown)))
            item.setSelected(key == current)

    def choose(self, kind: str, name: str) -> None:
        """Choose a line, as the user does."""
        for item in self._items():
            if self._key(item) == (kind, name):
                self.setCurrentItem(item)

    def _made(self, row: GridRow, shown: str | None) -> QTreeWidgetItem:
        item = QTreeWidgetItem()
        item.setData(0, ROLE, (row.kind, row.id))
        self._fill(item, row, shown)
        item.addChildren([self._made(one, shown) for one in row.rows])
        return item

    def _fill(self, item: QTreeWidgetItem, row: GridRow, shown: str | None) -> None:
        for column, text in enumerate(row.cells):
            if item.text(column) != text:
                item.setText(column, text)
            item.setToolTip(column, row.tip or text)
        item.setTextAlignment(2, Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        font = item.font(0)
        font.setBold(_is_bold(row, shown))
        item.setFont(0, font)

    def _items(self) -> Iterator[QTreeWidgetItem]:
        def below(item: QTreeWidgetItem) -> Iterator[QTreeWidgetItem]:
            yield item
            for number in range(item.childCount()):
                child = item.child(number)
                if child is not None:
                    yield from below(child)

        for number in range(self.topLevelItemCount()):
            top = self.topLevelItem(number)
            if top is not None:
                yield from below(top)

    def _key(self, item: QTreeWidgetItem) -> Key:
        kind, name = item.data(0, ROLE)
        return str(kind), str(name)

    def _fit(self) -> None:
        """Be as high as the lines need, within bounds: a longer tree scrolls by itself."""
        lines = sum(not self._is_folded_away(item) for item in self._items())
        header, height = self.header(), self.sizeHintForRow(0)
        assert header is not None
        shown = min(max(lines, FEWEST_LINES), MOST_LINES)
        self.setFixedHeight(
            header.sizeHint().height() + shown * max(height, 12) + 2 * self.frameWidth() + 2
        )

    def _is_folded_away(self, item: QTreeWidgetItem) -> bool:
        parent = item.parent()
        return parent is not None and (not parent.isExpanded() or self._is_folded_away(parent))

    def _on_selection(self) -> None:
        self.chosen.emit(*self.current)

    def _on_activated(self, item: QTreeWidgetItem) -> None:
        self.wanted.emit(*self._key(item))


def _lines(row: GridRow) -> Iterator[GridRow]:
    yield row
    for one in row.rows:
        yield from _lines(one)


def _is_bold(row: GridRow, shown: str | None) -> bool:
    return row.kind == "site" and row.id == shown
