"""The frames as a small tree: what is linked with what, how well, and what is not yet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from psygnal import Signal
from qtpy.QtCore import Qt
from qtpy.QtWidgets import (
    QComboBox,
    QFormLayout,
    QHeaderView,
    QPushButton,
    QTreeWidget,
    QTreeWidgetItem,
    QVBoxLayout,
    QWidget,
)

from napari_clxem.plugin.widgets.tables import NARROW

TALL = 150
FRAMES = Qt.ItemDataRole.UserRole


@dataclass(frozen=True)
class Branch:
    """One link in the tree.

    Parameters
    ----------
    moving, fixed : str
        Its frames.
    quality : str
        Its predicted error, or what it lacks.
    tip : str
        More of it.
    """

    moving: str
    fixed: str
    quality: str
    tip: str = ""


class LinkTree(QWidget):
    """Links by the frame they lead to, and two lists to link frames that are not yet.

    Attributes
    ----------
    chosen : Signal
        Emitted with the moving and the fixed frame that the user wants to work on.
    """

    chosen = Signal(str, str)

    def __init__(self) -> None:
        super().__init__()
        self._branches: tuple[Branch, ...] = ()
        self._current: tuple[str, str] | None = None
        self._tree = QTreeWidget()
        self._tree.setColumnCount(2)
        self._tree.setHeaderLabels(["Fixed frame, and what is linked to it", "Error"])
        self._tree.setToolTip("Choose a link by landmarks to work on it in both canvases")
        self._tree.setStyleSheet(NARROW)
        self._tree.setFixedHeight(TALL)
        self._tree.setIndentation(14)
        header = self._tree.header()
        assert header is not None
        header.setStretchLastSection(False)
        header.setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
        header.setSectionResizeMode(1, QHeaderView.ResizeMode.ResizeToContents)
        self._moving, self._fixed = QComboBox(), QComboBox()
        for box in (self._moving, self._fixed):
            box.setSizeAdjustPolicy(
                QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon
            )
            box.setMinimumContentsLength(8)
        self._go = QPushButton("Correlate")
        self._go.setToolTip("Show these two frames side by side and link them by landmarks")
        form = QFormLayout()
        form.setContentsMargins(0, 0, 0, 0)
        form.addRow("Moving", self._moving)
        form.addRow("Fixed", self._fixed)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self._tree)
        column.addLayout(form)
        column.addWidget(self._go)
        self._tree.itemClicked.connect(self._on_item)
        self._go.clicked.connect(self._on_go)
        self._moving.currentIndexChanged.connect(self._on_ends)
        self._fixed.currentIndexChanged.connect(self._on_ends)

    def show_links(
        self, branches: Sequence[Branch], frames: Sequence[str], current: tuple[str, str] | None
    ) -> None:
        """Show links and frames, one link as the one worked on."""
        if tuple(branches) != self._branches:
            self._branches = tuple(branches)
            self._fill()
        for box, place in ((self._moving, 0), (self._fixed, 1)):
            names = [box.itemText(i) for i in range(box.count())]
            if names != list(frames):
                box.blockSignals(True)
                kept = box.currentText()
                box.clear()
                box.addItems(list(frames))
                box.setCurrentIndex(max(place if len(frames) > 1 else 0, box.findText(kept)))
                box.blockSignals(False)
        if current != self._current:
            self._current = current
            for box, name in zip((self._moving, self._fixed), current or (), strict=False):
                box.setCurrentIndex(max(0, box.findText(name)))
        self._mark(current)
        self._on_ends()

    def _fill(self) -> None:
        self._tree.clear()
        tops: dict[str, QTreeWidgetItem] = {}
        for branch in self._branches:
            if branch.fixed not in tops:
                tops[branch.fixed] = QTreeWidgetItem([branch.fixed, ""])
                tops[branch.fixed].setFlags(Qt.ItemFlag.ItemIsEnabled)
                self._tree.addTopLevelItem(tops[branch.fixed])
            item = QTreeWidgetItem([branch.moving, branch.quality])
            item.setToolTip(0, branch.tip)
            item.setToolTip(1, branch.tip)
            item.setData(0, FRAMES, (branch.moving, branch.fixed))
            item.setTextAlignment(1, Qt.AlignmentFlag.AlignRight)
            tops[branch.fixed].addChild(item)
        self._tree.expandAll()

    def _mark(self, current: tuple[str, str] | None) -> None:
        for top in range(self._tree.topLevelItemCount()):
            parent = self._tree.topLevelItem(top)
            for row in range(parent.childCount() if parent else 0):
                item = parent.child(row) if parent else None
                if item is not None:
                    item.setSelected(current is not None and tuple(item.data(0, FRAMES)) == current)

    def _on_item(self, item: QTreeWidgetItem) -> None:
        ends = item.data(0, FRAMES)
        if ends:
            self.chosen.emit(*ends)

    def _on_go(self) -> None:
        self.chosen.emit(self._moving.currentText(), self._fixed.currentText())

    def _on_ends(self) -> None:
        ends = self._moving.currentText(), self._fixed.currentText()
        self._go.setEnabled(bool(ends[0]) and ends[0] != ends[1])
