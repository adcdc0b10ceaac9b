"""Small parts that the docks of targets and lamellae are made of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from qtpy.QtCore import Qt
from qtpy.QtWidgets import (
    QComboBox,
    QDockWidget,
    QDoubleSpinBox,
    QHBoxLayout,
    QMainWindow,
    QPushButton,
    QSizePolicy,
    QWidget,
)

from napari_clxem.plugin import keys

# A dock that needs more is a canvas and stays beside the others.
WIDE = 440


def tabify(widget: QWidget) -> None:
    """Put other docks of the right side behind the one that a widget is in."""
    ours: QWidget | None = widget
    while ours is not None and not isinstance(ours, QDockWidget):
        ours = ours.parentWidget()
    window = None if ours is None else ours.parentWidget()
    if not isinstance(window, QMainWindow) or not isinstance(ours, QDockWidget):
        return
    right = Qt.DockWidgetArea.RightDockWidgetArea
    for dock in window.findChildren(QDockWidget):
        if dock is ours or dock.isFloating() or not dock.isVisibleTo(window):
            continue
        if window.dockWidgetArea(dock) == right and dock.minimumSizeHint().width() < WIDE:
            window.tabifyDockWidget(dock, ours)
    ours.raise_()


def button(verb: keys.Verb, slot: Any, checkable: bool = False) -> QPushButton:
    """Make the button of a verb; one that is checkable tells its slot whether it is down."""
    made = QPushButton(verb.text)
    made.setToolTip(verb.tooltip)
    made.setCheckable(checkable)
    # Buttons share a narrow dock by need, not by what the theme would like.
    made.setMinimumWidth(made.fontMetrics().horizontalAdvance(verb.text) + 12)
    made.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
    made.clicked.connect(slot if checkable else lambda: slot())
    return made


def row(*parts: QWidget) -> QHBoxLayout:
    """Put parts side by side."""
    line = QHBoxLayout()
    for part in parts:
        line.addWidget(part)
    return line


def combo(tip: str = "") -> QComboBox:
    """Make a list to choose from that fits a narrow dock."""
    made = QComboBox()
    made.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
    made.setMinimumContentsLength(8)
    made.setToolTip(tip)
    return made


def fill(box: QComboBox, choices: Sequence[tuple[str, Any]], current: Any) -> None:
    """Give a list its choices without telling anybody."""
    box.blockSignals(True)
    box.clear()
    for text, data in choices:
        box.addItem(text, data)
    box.setCurrentIndex(max(0, box.findData(current)) if choices else -1)
    box.setEnabled(len(choices) > 0)
    box.blockSignals(False)


def spin(
    low: float, high: float, step: float, unit: str, tip: str, decimals: int = 3
) -> QDoubleSpinBox:
    """Make a number with its unit that is taken when the typing is done."""
    made = QDoubleSpinBox()
    made.setDecimals(decimals)
    made.setRange(low, high)
    made.setSingleStep(step)
    made.setSuffix(unit)
    made.setToolTip(tip)
    made.setKeyboardTracking(False)
    return made
