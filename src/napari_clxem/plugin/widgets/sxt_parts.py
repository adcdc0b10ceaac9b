"""Small parts that the SXT analysis dock is made of."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from napari.utils.notifications import show_error
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QComboBox, QFileDialog, QHBoxLayout, QLineEdit, QWidget

from napari_clxem.errors import ClxemError, ImageError
from napari_clxem.io import read_tilts
from napari_clxem.plugin import keys
from napari_clxem.plugin.controllers import sxt_tilts
from napari_clxem.plugin.controllers.sxt_sources import Source
from napari_clxem.plugin.widgets.parts import narrow, verb_button
from napari_clxem.xray import FE2O3_709_700


class TiltList(QWidget):
    """Tilts in degrees, typed or read from a file."""

    def __init__(self) -> None:
        super().__init__()
        self.text = QLineEdit()
        self.text.setPlaceholderText(sxt_tilts.EXAMPLE)
        self.text.setToolTip("Degrees: first to last by step, or one by one")
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self.text, 1)
        row.addWidget(verb_button(keys.READ_TILTS, self.ask_for_file))

    def propose(self, text: str) -> None:
        """Fill it in where nothing is written yet."""
        if text and not self.text.text().strip():
            self.text.setText(text)

    def tilts(self) -> tuple[float, ...]:
        """Give the tilts.

        Raises
        ------
        ImageError
            Where they cannot be read.
        """
        return tuple(sxt_tilts.read_list(self.text.text()).tolist())

    def ask_for_file(self) -> None:
        """Let the user choose a list of tilts."""
        path, _ = QFileDialog.getOpenFileName(
            self, "Read tilts", "", "Tilts (*.tlt *.rawtlt);;All files (*)"
        )
        if path:
            self.read(path)

    def read(self, path: str) -> None:
        """Read the tilts of a file."""
        try:
            self.text.setText(sxt_tilts.write_list(read_tilts(path)))
        except ClxemError as error:
            show_error(str(error))


class SourceBox(QComboBox):
    """A choice among the layers of the viewer.

    Parameters
    ----------
    none : str
        Text of the choice of no layer; there is none where it is empty.
    """

    def __init__(self, none: str = "") -> None:
        super().__init__()
        self._none = none
        self._shown: list[tuple[str, str]] = []
        narrow(self)

    def offer(self, sources: Sequence[Source], at_first: int = 0) -> None:
        """Offer sources, one of them at first; what was chosen stays where it is still there."""
        given = [("", self._none)] if self._none else []
        given += [(one.id, one.name) for one in sources]
        if given == self._shown:
            return
        chosen, known = self.currentData(), {name for name, _ in given}
        self._shown = given
        self.blockSignals(True)
        self.clear()
        for name, text in given:
            self.addItem(text, name)
        if chosen in known:
            self.setCurrentIndex(self.findData(chosen))
        elif given:
            self.setCurrentIndex(min(at_first, len(given) - 1))
        self.blockSignals(False)

    def chosen(self) -> str | None:
        """Give the id of the source chosen; None without one."""
        return self.currentData() or None


class NumberLine(QLineEdit):
    """A number that may be left open.

    Parameters
    ----------
    what : str
        What it is, for people.
    empty : str
        What an empty line means.
    """

    def __init__(self, what: str, empty: str) -> None:
        super().__init__()
        self._what = what
        self.setPlaceholderText(empty)
        self.setAccessibleName(what)

    def number(self) -> float | None:
        """Give the number; None where the line is empty.

        Raises
        ------
        ImageError
            Where something else is written.
        """
        text = self.text().strip().replace("−", "-")
        if not text:
            return None
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not math.isfinite(value):
            raise ImageError(f"{self._what} is “{text}”; write a number with a decimal point.")
        return value


class ContrastChoice(QComboBox):
    """Published and tabulated contrasts, offered with where they come from.

    Parameters
    ----------
    take : callable
        Called with value and source of the one that is chosen.
    """

    def __init__(self, take: Callable[[float, str], None]) -> None:
        super().__init__()
        self._take = take
        narrow(self)
        self.addItem("From a table, with care…")
        for number, (value, source) in enumerate(FE2O3_709_700, start=1):
            self.addItem(f"{value:.0f} · {source}")
            self.setItemData(
                number, f"Fe2O3, 709 less 700 eV: {source}", Qt.ItemDataRole.ToolTipRole
            )
        self.setToolTip(
            "Tables have no white line at the iron edge and differ by more than tenfold: a "
            "measured spectrum is better"
        )
        self.activated.connect(self._on_activated)

    def _on_activated(self, index: int) -> None:
        if index > 0:
            value, source = FE2O3_709_700[index - 1]
            self._take(value, f"Fe2O3, 709 less 700 eV: {source}")
            self.setCurrentIndex(0)
