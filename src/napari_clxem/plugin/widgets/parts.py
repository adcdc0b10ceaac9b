"""Small parts that the docks are made of."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from qtpy.QtCore import Qt
from qtpy.QtWidgets import (
    QCheckBox,
    QComboBox,
    QDoubleSpinBox,
    QHBoxLayout,
    QLabel,
    QProgressBar,
    QPushButton,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from napari_clxem.plugin import keys

# More sentences than this are counted, not shown.
MOST_SENTENCES = 12
HEADING = """
QPushButton { text-align: left; font-weight: bold; padding: 3px; background: transparent; }
QPushButton:focus { border: 1px solid palette(mid); }
"""


def said(text: str = "") -> QLabel:
    """Make a label that wraps, and whose text can be taken along."""
    label = QLabel(text)
    label.setWordWrap(True)
    label.setTextFormat(Qt.TextFormat.PlainText)
    label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
    label.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
    return label


def large() -> QLabel:
    """Make the label of what is to be read from afar."""
    label = said()
    label.setStyleSheet("font-size: 22px; font-weight: bold;")
    return label


def bold() -> QLabel:
    """Make the label of what comes next."""
    label = said()
    label.setStyleSheet("font-weight: bold;")
    return label


def verb_button(verb: keys.Verb, slot: Callable[[], Any]) -> QPushButton:
    """Make the button of a verb, as wide as the theme would like it."""
    made = QPushButton(verb.text)
    made.setToolTip(verb.tooltip)
    made.clicked.connect(lambda _checked=False: slot())
    return made


def button(verb: keys.Verb, slot: Callable[..., Any], checkable: bool = False) -> QPushButton:
    """Make the button of a verb that shares a row; a checkable one tells whether it is down."""
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


def check(text: str, tip: str, slot: Callable[[bool], Any], on: bool = False) -> QCheckBox:
    """Make a box to tick that tells its slot whether it is."""
    made = QCheckBox(text)
    made.setChecked(on)
    made.setToolTip(tip)
    made.toggled.connect(slot)
    return made


def narrow(box: QComboBox) -> QComboBox:
    """Let a combo box be narrower than its longest choice."""
    box.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
    box.setMinimumContentsLength(6)
    box.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
    return box


def combo(tip: str = "") -> QComboBox:
    """Make a list to choose from that fits a narrow dock."""
    made = narrow(QComboBox())
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


def listed(sentences: Sequence[str]) -> str:
    """Write sentences as a list; the last ones are counted where there are many."""
    shown = [f"• {one}" for one in sentences[:MOST_SENTENCES]]
    if len(sentences) > MOST_SENTENCES:
        shown.append(f"… and {len(sentences) - MOST_SENTENCES} more")
    return "\n".join(shown)


class Fold(QWidget):
    """A part of the dock that can be folded away under its heading.

    Parameters
    ----------
    heading : str
        Shown always.
    open_ : bool
        Whether it is unfolded at first.
    """

    def __init__(self, heading: str, open_: bool = False) -> None:
        super().__init__()
        self._heading = QPushButton(heading)
        self._heading.setCheckable(True)
        self._heading.setChecked(open_)
        self._heading.setStyleSheet(HEADING)
        self._heading.toggled.connect(self._on_toggled)
        self._text = heading
        self.inside = QWidget()
        self.column = QVBoxLayout(self.inside)
        self.column.setContentsMargins(8, 0, 0, 4)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2)
        layout.addWidget(self._heading)
        layout.addWidget(self.inside)
        self._on_toggled(open_)

    def set_heading(self, heading: str) -> None:
        """Change the heading."""
        self._text = heading
        self._on_toggled(self._heading.isChecked())

    def unfold(self, open_: bool = True) -> None:
        """Unfold it, or fold it away."""
        self._heading.setChecked(open_)

    def _on_toggled(self, open_: bool) -> None:
        self.inside.setVisible(open_)
        self._heading.setText(f"{'▾' if open_ else '▸'} {self._text}")


class ProgressRow(QWidget):
    """What is being done, how far it is, and a button to give it up; hidden while idle.

    Parameters
    ----------
    cancel : callable
        Called when the user gives it up.
    """

    def __init__(self, cancel: Callable[[], None]) -> None:
        super().__init__()
        self._text = said()
        self._bar = QProgressBar()
        self._bar.setTextVisible(True)
        self._bar.setRange(0, 100)
        self._cancel = QPushButton("Cancel")
        self._cancel.setToolTip("Give this up; what was there before stays as it is")
        self._cancel.clicked.connect(lambda _checked=False: cancel())
        line = row(self._bar, self._cancel)
        line.setStretch(0, 1)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self._text)
        column.addLayout(line)
        self.hide()

    def show_progress(self, share: float, text: str) -> None:
        """Show how far it is."""
        self._text.setText(text)
        self._bar.setValue(round(100 * share))
        self.show()


class Banner(QWidget):
    """Sentences that the user should see, with buttons for what to do about them."""

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("clxem-banner")
        self._text = said()
        self._row = QHBoxLayout()
        self._buttons: list[QPushButton] = []
        column = QVBoxLayout(self)
        column.setContentsMargins(6, 4, 6, 4)
        column.addWidget(self._text)
        column.addLayout(self._row)
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self.setStyleSheet("#clxem-banner { border: 1px solid palette(mid); border-radius: 4px; }")
        self.hide()

    def say(self, text: str, *actions: tuple[str, str, Callable[[], None]]) -> None:
        """Show a text; buttons by text, tooltip and what they do. An empty text hides it."""
        self._text.setText(text)
        for old in self._buttons:
            self._row.removeWidget(old)
            old.hide()
            old.deleteLater()
        self._buttons = []
        for title, tip, action in actions:
            made = verb_button(keys.Verb(title, tip), action)
            self._row.addWidget(made)
            made.show()
            self._buttons.append(made)
        self.setVisible(bool(text))
