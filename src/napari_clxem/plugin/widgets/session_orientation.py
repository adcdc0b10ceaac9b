"""The orientation step of an image: the order and direction of its stored axes, to be edited."""

from __future__ import annotations

from itertools import permutations

from psygnal import Signal
from qtpy.QtWidgets import QCheckBox, QComboBox, QFormLayout, QHBoxLayout, QPushButton, QWidget

from napari_clxem.io.image import SPATIAL, Orientation
from napari_clxem.plugin.widgets.parts import narrow
from napari_clxem.session.model import Dataset


class OrientationStep(QWidget):
    """How the stored axes of one image become (z, y, x).

    Attributes
    ----------
    turned : Signal
        Emitted with the orientation that the user has applied.
    """

    turned = Signal(Orientation)

    def __init__(self) -> None:
        super().__init__()
        self._order = narrow(QComboBox())
        self._order.setToolTip("What the axes of the file are, the slowest first")
        self._flips = {axis: QCheckBox(axis) for axis in SPATIAL}
        self._apply = QPushButton("Turn")
        self._apply.setToolTip(
            "Turn the image; landmarks and targets stay on their pixels, and it can be undone"
        )
        reversed_ = QHBoxLayout()
        for axis, box in self._flips.items():
            box.setToolTip(f"The file counts {axis} against the direction of the frame")
            reversed_.addWidget(box)
            box.toggled.connect(lambda _on: self._judge())
        reversed_.addStretch(1)
        reversed_.addWidget(self._apply)
        form = QFormLayout(self)
        form.setContentsMargins(0, 0, 0, 0)
        form.addRow("Stored axes", self._order)
        form.addRow("Reversed", reversed_)
        self._order.currentIndexChanged.connect(lambda _index: self._judge())
        self._apply.clicked.connect(lambda _checked=False: self.turned.emit(self.orientation))
        self._now = Orientation()
        self._known = False

    @property
    def orientation(self) -> Orientation:
        """What the controls say."""
        axes = tuple(self._order.currentData() or ())
        if not self._known and axes == self._now.axes:  # only reversed: their order stays unsaid
            axes = ()
        flips = tuple(axis for axis, box in self._flips.items() if box.isChecked())
        return Orientation(axes=axes, flip=tuple(one for one in flips if one in self._now.axes))

    def show_orientation(self, dataset: Dataset) -> None:
        """Show the orientation of a dataset; without known axes there is nothing to turn."""
        spatial = tuple(axis for axis in dataset.axes if axis in SPATIAL)
        axes = dataset.orientation.axes or spatial
        self._now = Orientation(axes=axes, flip=dataset.orientation.flip)
        self._known = bool(dataset.orientation.axes)
        for box in (self._order, *self._flips.values()):
            box.blockSignals(True)
        self._order.clear()
        for order in permutations(spatial):
            self._order.addItem(", ".join(order), order)
        self._order.setCurrentIndex(max(0, self._order.findText(", ".join(axes))))
        for axis, box in self._flips.items():
            box.setChecked(axis in dataset.orientation.flip)
            box.setVisible(axis in spatial)
        for box in (self._order, *self._flips.values()):
            box.blockSignals(False)
        self.setEnabled(bool(spatial))
        self._judge()

    def _judge(self) -> None:
        chosen = self.orientation
        same = chosen.axes in ((), self._now.axes) and chosen.flip == self._now.flip
        self._apply.setEnabled(not same)
