"""Small parts that the docks of targets and lamellae are made of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from qtpy.QtWidgets import (
    QComboBox,
    QDoubleSpinBox,
    QHBoxLayout,
    QPushButton,
    QSizePolicy,
    QWidget,
)

from napari_clxem.plugin import keys


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
