"""Depths below the ice: what the stage says, and what they truly are."""

from __future__ import annotations

from napari.utils.notifications import show_error
from psygnal import Signal
from qtpy.QtWidgets import QDoubleSpinBox, QFormLayout, QLabel, QPushButton, QVBoxLayout, QWidget
from superqt import QCollapsible

from napari_clxem.errors import ClxemError
from napari_clxem.frames import axial_scaling
from napari_clxem.plugin.controllers.guidance import depths
from napari_clxem.session.model import Dataset


class DepthBox(QWidget):
    """The axial scaling of one stack, set by hand or computed from the optics.

    Attributes
    ----------
    given : Signal
        Emitted with the id of the dataset and its new factor, actual over stage depth.
    """

    given = Signal(str, float)

    def __init__(self) -> None:
        super().__init__()
        self._dataset = ""
        self._said = QLabel()
        self._said.setWordWrap(True)
        self._factor = _spin(0.1, 5.0, 1.0, 0.01, "Actual over stage depth (ζ); 1 for none")
        self._aperture = _spin(0.05, 0.99, 0.9, 0.05, "Numerical aperture of the air objective")
        self._index = _spin(1.0, 2.0, 1.3, 0.01, "Refractive index of the ice (1.28 to 1.31)")
        self._deep = _spin(0.1, 100.0, 5.0, 0.5, "Actual depth below the surface of the ice, µm")
        self._wave = _spin(0.3, 1.0, 0.52, 0.01, "Wavelength, µm")
        self._compute = QPushButton("Compute from the optics")
        self._compute.setToolTip("Wave optics of an air objective that looks into ice")
        form = QFormLayout()
        for text, part in (
            ("z × ", self._factor),
            ("Aperture", self._aperture),
            ("Index", self._index),
            ("Depth, µm", self._deep),
            ("Wavelength, µm", self._wave),
        ):
            form.addRow(text, part)
        inside = QWidget()
        column = QVBoxLayout(inside)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self._said)
        column.addLayout(form)
        column.addWidget(self._compute)
        box = QCollapsible("Depth in ice")
        box.setContent(inside)
        box.collapse(animate=False)
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        outer.addWidget(box)
        self._factor.editingFinished.connect(self._on_factor)
        self._compute.clicked.connect(self._on_compute)

    def show_dataset(self, dataset: Dataset | None) -> None:
        """Show the depths of a stack; None hides them."""
        self.setVisible(dataset is not None)
        self._dataset = dataset.id if dataset else ""
        if dataset is not None:
            self._said.setText(depths(dataset))
            self._factor.blockSignals(True)
            self._factor.setValue(dataset.axial_scaling)
            self._factor.blockSignals(False)

    def _on_factor(self) -> None:
        if self._dataset:
            self.given.emit(self._dataset, self._factor.value())

    def _on_compute(self) -> None:
        try:
            factor = axial_scaling(
                self._deep.value(),
                self._aperture.value(),
                self._index.value(),
                wavelength=self._wave.value(),
            )
        except ClxemError as error:
            show_error(str(error))
            return
        self._factor.setValue(factor)
        self._on_factor()


def _spin(low: float, high: float, value: float, step: float, tip: str) -> QDoubleSpinBox:
    box = QDoubleSpinBox()
    box.setRange(low, high)
    box.setDecimals(3)
    box.setSingleStep(step)
    box.setValue(value)
    box.setToolTip(tip)
    return box
