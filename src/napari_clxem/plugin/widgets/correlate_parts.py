"""Small parts of the dock "Correlate": buttons, rows, its place in the window, and its end."""

from __future__ import annotations

from typing import Any
from weakref import ref

from qtpy.compat import isalive
from qtpy.QtCore import Qt
from qtpy.QtWidgets import (
    QDockWidget,
    QHBoxLayout,
    QMainWindow,
    QPushButton,
    QSizePolicy,
    QWidget,
)

from napari_clxem.plugin import keys


class Leave:
    """Gives back what a dock has taken, once, whether or not its Qt object is still there."""

    def __init__(self, dock: Any) -> None:
        self._signals = ((dock.correlation.changed, dock._refresh_soon),
                         (dock._workspace.informed, dock._refresh_soon),
                         (dock.automatic.progressed, dock._on_progress))  # fmt: skip
        self._dock = ref(dock)
        self._automatic, self._correlation = dock.automatic, dock.correlation
        self._pickers, self._viewer = dock._pickers, dock._viewer
        self._done = False

    def __call__(self, _object: Any = None) -> None:
        """Give everything back."""
        if self._done:
            return
        self._done = True
        for signal, slot in self._signals:
            signal.disconnect(slot, missing_ok=True)
        self._automatic.cancel()
        for picker in self._pickers:
            picker.release()
        self._correlation.release()
        dock, viewer = self._dock(), self._viewer()
        canvas = None if dock is None else dock._canvas
        # Where the whole window goes, Qt has taken the canvas away already.
        if dock is not None and canvas is not None and isalive(canvas):  # type: ignore[no-untyped-call]
            canvas.release()
            if dock._dock is not None and viewer is not None:
                viewer.window.remove_dock_widget(canvas)
            dock._canvas = dock._dock = None


def button(verb: keys.Verb, slot: Any, checkable: bool = False) -> QPushButton:
    """Make the button of a verb."""
    made = QPushButton(verb.text)
    made.setToolTip(verb.tooltip)
    made.setCheckable(checkable)
    # Buttons share a narrow dock by need, not by what the theme would like.
    made.setMinimumWidth(made.fontMetrics().horizontalAdvance(verb.text) + 12)
    made.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
    made.clicked.connect(slot if checkable else lambda: slot())
    return made


def row(*parts: QWidget) -> QHBoxLayout:
    """Put widgets side by side."""
    line = QHBoxLayout()
    for part in parts:
        line.addWidget(part)
    return line


def arrange_docks(window: QMainWindow, canvas: QDockWidget, ours: QDockWidget) -> None:
    """Put the canvas left of our dock, and other docks of that side behind ours."""
    window.splitDockWidget(canvas, ours, Qt.Orientation.Horizontal)
    right = Qt.DockWidgetArea.RightDockWidgetArea
    for dock in window.findChildren(QDockWidget):
        if dock in (canvas, ours) or dock.isFloating() or not dock.isVisibleTo(window):
            continue
        if window.dockWidgetArea(dock) == right:
            window.tabifyDockWidget(ours, dock)
    ours.raise_()
