"""The second canvas as a dock: the other frame of a link, with its own slider and channels."""

from __future__ import annotations

from typing import Any

from napari.qt import QtViewer
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QComboBox, QHBoxLayout, QLabel, QVBoxLayout, QWidget
from superqt import QDoubleRangeSlider

from napari_clxem.plugin.controllers.second import SecondView

WIDE = 480
ALL = "All channels"


class SecondCanvas(QWidget):
    """A canvas of its own beside the main one.

    Parameters
    ----------
    second : SecondView
        What it shows.
    """

    def __init__(self, second: SecondView) -> None:
        super().__init__()
        self._second = second
        self.setMinimumSize(WIDE, 300)
        self._title = QLabel()
        self._channel = QComboBox()
        self._channel.setToolTip("Channel seen, and picked in")
        self._contrast = QDoubleRangeSlider(Qt.Orientation.Horizontal)  # type: ignore[no-untyped-call]
        self._contrast.setToolTip("Contrast of the channel")
        self._contrast.setAccessibleName("Contrast of the channel")
        self._viewer = QtViewer(second.model)
        strip = QHBoxLayout()
        strip.addWidget(self._title)
        strip.addWidget(self._channel)
        strip.addWidget(self._contrast, 1)
        column = QVBoxLayout(self)
        column.setContentsMargins(2, 2, 2, 2)
        column.addLayout(strip)
        column.addWidget(self._viewer, 1)
        self._channel.activated.connect(self._on_channel)
        self._contrast.valueChanged.connect(self._on_contrast)
        second.changed.connect(self.refresh)
        self.refresh()

    def release(self) -> None:
        """Let the canvas go."""
        self._second.changed.disconnect(self.refresh)
        self._viewer.close()
        self._viewer.deleteLater()
        del self._viewer

    def refresh(self) -> None:
        """Show the channels of the frame that is shown."""
        self._title.setText(self._second.frame or "Choose two frames in the Correlate dock.")
        layers = self._second.layers
        before = self._channel.currentText()
        self._channel.blockSignals(True)
        self._channel.clear()
        if len(layers) > 1:
            self._channel.addItem(ALL, None)
        for key, layer in layers.items():
            self._channel.addItem(layer.name.split(" · ")[-1], key)
        self._channel.setCurrentIndex(max(0, self._channel.findText(before)))
        self._channel.blockSignals(False)
        for part in (self._channel, self._contrast):
            part.setVisible(bool(layers))
        self._show_contrast()

    def _layer(self) -> Any:
        """Give the layer that contrast is meant for; None for all of them."""
        key = self._channel.currentData()
        return self._second.layers.get(key) if key else None

    def _on_channel(self) -> None:
        key = self._channel.currentData()
        for one, layer in self._second.layers.items():
            layer.visible = key is None or one == key
        chosen = self._layer()
        self._second.model.layers.selection = set() if chosen is None else {chosen}
        self._show_contrast()

    def _show_contrast(self) -> None:
        layer = self._layer()
        self._contrast.setEnabled(layer is not None)
        if layer is None:
            return
        self._contrast.blockSignals(True)
        low, high = layer.contrast_limits_range
        self._contrast.setRange(low, high)
        self._contrast.setValue(tuple(layer.contrast_limits))
        self._contrast.blockSignals(False)

    def _on_contrast(self, limits: tuple[float, float]) -> None:
        layer = self._layer()
        if layer is not None and limits[1] > limits[0]:
            layer.contrast_limits = limits
