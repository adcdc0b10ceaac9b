"""The history of the session: every step by its name, and a way to each state."""

from __future__ import annotations

from typing import Any

from psygnal import Signal
from qtpy.QtWidgets import QAbstractItemView, QListWidget, QListWidgetItem

from napari_clxem.session import Store

BEGINNING = "Beginning"
NOW = "▶ "
TAKEN_BACK = "↶ "
MOST_LINES = 10


class HistoryList(QListWidget):
    """The states of a session, the latest on top; what was taken back stands above the present.

    Attributes
    ----------
    wanted : Signal
        Emitted with the number of steps that the state to go to holds.
    """

    wanted = Signal(int)

    def __init__(self) -> None:
        super().__init__()
        self._shown: Any = None
        self.setToolTip("Double-click a state to go there; ▶ is the present, ↶ was taken back")
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setUniformItemSizes(True)
        self.itemActivated.connect(self._on_activated)

    def show_history(self, store: Store) -> None:
        """Show the steps of a store."""
        steps, position = store.steps, store.position
        if self._shown == (steps, position):
            return
        self._shown = (steps, position)
        self.clear()
        for number in range(len(steps), -1, -1):
            name = steps[number - 1] if number else BEGINNING
            mark = NOW if number == position else TAKEN_BACK if number > position else "    "
            self.addItem(f"{mark}{name}")
        here = len(steps) - position
        self.setCurrentRow(here)
        height = self.sizeHintForRow(0) * min(self.count(), MOST_LINES) + 2 * self.frameWidth() + 2
        self.setFixedHeight(height)

    def _on_activated(self, item: QListWidgetItem) -> None:
        self.wanted.emit(self.count() - 1 - self.row(item))
