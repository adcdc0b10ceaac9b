"""A second canvas in a dock of its own, left of the dock that works with it."""

from __future__ import annotations

from typing import Any
from weakref import ref

from qtpy.compat import isalive
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QMainWindow, QWidget

from napari_clxem.plugin.controllers.second import SecondView
from napari_clxem.plugin.widgets.dock import Dock, around, bring_forward
from napari_clxem.plugin.widgets.second import SecondCanvas


class Beside:
    """The second canvas of a dock: opened at first need, gone with the dock.

    Parameters
    ----------
    dock : Dock
        Which works with it; kept by weak reference.
    second : SecondView
        What it shows.
    name : str
        Title of its dock in the window.
    """

    def __init__(self, dock: Dock, second: SecondView, name: str) -> None:
        self._dock = ref(dock)
        self._viewer = ref(dock.viewer)
        self._name = name
        self._shown: QWidget | None = None
        self.canvas: SecondCanvas | None = SecondCanvas(second)
        dock.bind_steps(second.model)
        dock.when_left(self.release)

    @property
    def opened(self) -> bool:
        """Whether it is in the window."""
        return self._shown is not None

    def open(self) -> bool:
        """Put it between the main canvas and the dock; False where it is there, or cannot be."""
        dock, viewer = self._dock(), self._viewer()
        if self._shown is not None or self.canvas is None or dock is None or viewer is None:
            return False
        beside = viewer.window.add_dock_widget(self.canvas, name=self._name, area="right")
        self._shown = beside
        ours, window = around(dock), beside.parentWidget()
        if ours is not None and isinstance(window, QMainWindow):
            window.splitDockWidget(beside, ours, Qt.Orientation.Horizontal)
            bring_forward(dock)
        return True

    def show(self, on: bool) -> None:
        """Show it or hide it, where it is in the window."""
        if self._shown is not None:
            self._shown.setVisible(on)

    def release(self) -> None:
        """Take it out of the window."""
        canvas, self.canvas = self.canvas, None
        shown, self._shown = self._shown, None
        viewer: Any = self._viewer()
        # Where the whole window goes, Qt has taken the canvas away already.
        if canvas is None or not isalive(canvas):  # type: ignore[no-untyped-call]
            return
        canvas.release()
        if shown is not None and viewer is not None:
            viewer.window.remove_dock_widget(canvas)
