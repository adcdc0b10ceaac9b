"""Ask for the pixel size of a file that states none."""

from __future__ import annotations

from collections.abc import Mapping

from psygnal import Signal
from qtpy.QtWidgets import QDoubleSpinBox, QGridLayout, QLabel, QPushButton, QWidget


class ScaleRequest(QWidget):
    """The pixel size of the first file that waits for one; hidden while none does.

    Attributes
    ----------
    given : Signal
        Emitted with file, image in it, and pixel size (z, y, x) or (y, x), µm.
    """

    given = Signal(str, int, tuple)

    def __init__(self) -> None:
        super().__init__()
        self._source: tuple[str, int] | None = None
        self._name = QLabel()
        self._name.setWordWrap(True)
        self._plane = _box("Pixel size in the plane, µm")
        self._slice = _box("Distance between slices, µm")
        self._use = QPushButton("Use")
        self._use.setToolTip("Take the file into the session with this pixel size")
        self._use.clicked.connect(self._on_use)
        layout = QGridLayout(self)
        layout.addWidget(self._name, 0, 0, 1, 3)
        layout.addWidget(self._plane, 1, 0)
        layout.addWidget(self._slice, 1, 1)
        layout.addWidget(self._use, 1, 2)

    def ask(self, waiting: Mapping[tuple[str, int], tuple[str, int]]) -> None:
        """Ask for the first of the files that wait.

        Parameters
        ----------
        waiting : mapping
            File and image to its name and number of spatial axes.
        """
        self.setVisible(bool(waiting))
        if not waiting:
            return
        self._source, (name, ndim) = next(iter(waiting.items()))
        self._name.setText(f"{name} states no pixel size. What is it?")
        self._slice.setVisible(ndim == 3)

    def _on_use(self) -> None:
        if self._source is None or not self._plane.value():
            return
        plane = self._plane.value()
        deep = self._slice.value() or plane
        scale = (deep, plane, plane) if not self._slice.isHidden() else (plane, plane)
        self.given.emit(*self._source, scale)


def _box(tip: str) -> QDoubleSpinBox:
    box = QDoubleSpinBox()
    box.setDecimals(5)
    box.setRange(0.0, 1000.0)
    box.setSuffix(" µm")
    box.setSpecialValueText("µm")
    box.setToolTip(tip)
    return box
