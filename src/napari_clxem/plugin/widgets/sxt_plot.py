"""The curve of a correlation, drawn by Qt in the colours of the window."""

from __future__ import annotations

from typing import Any

import numpy as np
from napari.utils.theme import get_theme
from qtpy.QtCore import QPointF, QRectF, Qt
from qtpy.QtGui import QColor, QFont, QPainter, QPen, QPolygonF
from qtpy.QtWidgets import QSizePolicy, QWidget

from napari_clxem.frames.affine import Floats
from napari_clxem.plugin.controllers.sxt_words import THRESHOLDS
from napari_clxem.xray import Correlation

HEIGHT, SIZE = 230, 10
# Left, top, right, bottom of the frame, pixels: room for the numbers.
MARGINS = (30, 30, 46, 32)
LOWEST, HIGHEST = -0.15, 1.03
# Line, then hues of curve and thresholds, on dark and on light ground.
DARK = ("#56b4e9", "#e69f00", "#f0e442", "#cc79a7")
LIGHT = ("#0072b2", "#b35900", "#7a7000", "#99407a")
DASHES = ((6.0, 3.0), (1.5, 2.5), (6.0, 2.0, 1.5, 2.0))
TICKS = 4


class CurvePlot(QWidget):
    """Correlation by spatial frequency with the thresholds and where they are crossed."""

    def __init__(self) -> None:
        super().__init__()
        self._curve: Correlation | None = None
        self._theme = "dark"
        self.setFixedHeight(HEIGHT)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.setAccessibleName("Correlation by spatial frequency")

    @property
    def curve(self) -> Correlation | None:
        """What is drawn."""
        return self._curve

    def show_curve(self, curve: Correlation | None) -> None:
        """Draw a curve; None clears it."""
        self._curve = curve
        self.update()

    def use_theme(self, name: str) -> None:
        """Draw in the colours of one of napari's themes."""
        self._theme = name
        self.update()

    def paintEvent(self, _event: Any) -> None:  # noqa: N802
        """Draw it."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        theme = get_theme(self._theme)
        ink, ground = QColor(theme.text.as_hex()), QColor(theme.background.as_hex())
        painter.fillRect(self.rect(), ground)
        font = QFont(self.font())
        font.setPixelSize(SIZE)
        painter.setFont(font)
        if self._curve is not None:
            hues = DARK if ground.lightness() < ink.lightness() else LIGHT
            _Drawing(painter, self.rect().toRectF(), self._curve, ink, hues).draw()
        painter.end()


class _Drawing:
    """One drawing of one curve."""

    def __init__(
        self,
        painter: QPainter,
        box: QRectF,
        curve: Correlation,
        ink: QColor,
        hues: tuple[str, ...],
    ) -> None:
        left, top, right, bottom = MARGINS
        self.painter, self.curve, self.ink, self.hues = painter, curve, ink, hues
        self.frame = box.adjusted(left, top, -right, -bottom)
        self.last = float(curve.nyquist)

    def draw(self) -> None:
        """Draw everything."""
        self.axes()
        for number, (threshold, _) in enumerate(THRESHOLDS):
            self.pen(self.hues[number + 1], 1.4, DASHES[number])
            self.line(self.curve.threshold_curve(threshold))
        self.names()
        self.pen(self.hues[0], 2.0)
        self.line(self.curve.correlation)
        for number, (threshold, _) in enumerate(THRESHOLDS):
            self.crossing(threshold, self.hues[number + 1])

    def place(self, frequency: float, value: float) -> QPointF:
        """Give where a point of the curve is drawn."""
        across = self.frame.left() + frequency / self.last * self.frame.width()
        share = (value - LOWEST) / (HIGHEST - LOWEST)
        return QPointF(across, self.frame.bottom() - share * self.frame.height())

    def pen(self, hue: str | QColor, width: float = 1.0, dashes: tuple[float, ...] = ()) -> None:
        """Choose a pen."""
        pen = QPen(QColor(hue), width)
        if dashes:
            pen.setDashPattern(list(dashes))
        self.painter.setPen(pen)

    def line(self, values: Floats) -> None:
        """Draw values by shell, leaving out what is not known."""
        points = QPolygonF()
        for frequency, value in zip(self.curve.frequency[1:], values[1:], strict=True):
            if np.isfinite(value) and frequency <= self.last:
                points.append(self.place(float(frequency), float(np.clip(value, LOWEST, 1.0))))
        self.painter.drawPolyline(points)

    def names(self) -> None:
        """Write the names of the thresholds beside their ends, clear of each other."""
        ends = [float(self.curve.threshold_curve(one)[-1]) for one, _ in THRESHOLDS]
        tops = [self.place(self.last, end).y() for end in ends]
        below = -np.inf
        for number in np.argsort(tops):
            middle = max(tops[number], below + SIZE + 2)
            below = middle
            box = QRectF(self.frame.right() + 4, middle - SIZE, MARGINS[2] - 4, 2 * SIZE)
            self.pen(self.hues[number + 1])
            self.painter.drawText(box, Qt.AlignmentFlag.AlignVCenter, THRESHOLDS[number][1])

    def crossing(self, threshold: Any, hue: str) -> None:
        """Mark where the curve falls below a threshold, and how sure that is."""
        period = self.curve.resolution(threshold)
        if np.isnan(period):
            return
        at = 1.0 / period
        level = float(np.interp(at, self.curve.frequency, self.curve.threshold_curve(threshold)))
        fine, coarse = self.curve.interval(threshold)
        self.pen(hue, 1.5)
        low, high = self.place(1.0 / coarse, level), self.place(1.0 / fine, level)
        self.painter.drawLine(low, high)
        for end in (low, high):
            self.painter.drawLine(end - QPointF(0, 3), end + QPointF(0, 3))
        self.painter.setBrush(QColor(hue))
        self.painter.drawEllipse(self.place(at, level), 3.0, 3.0)
        self.painter.setBrush(Qt.BrushStyle.NoBrush)

    def axes(self) -> None:
        """Draw the frame, frequencies below it and periods above."""
        frame, faint = self.frame, QColor(self.ink)
        faint.setAlpha(90)
        self.pen(faint)
        self.painter.drawRect(frame)
        self.painter.drawLine(self.place(0.0, 0.0), self.place(self.last, 0.0))
        for value in (0.0, 0.5, 1.0):
            at = self.place(0.0, value)
            self.pen(faint)
            self.painter.drawLine(at, at - QPointF(4, 0))
            self.write(QRectF(0, at.y() - SIZE, frame.left() - 5, 2 * SIZE), f"{value:g}", "right")
        step = nice_step(self.last, TICKS)
        for number in range(1, int(self.last / step) + 1):
            bottom = self.place(number * step, LOWEST)
            top = QPointF(bottom.x(), frame.top())
            self.pen(faint)
            self.painter.drawLine(bottom, bottom + QPointF(0, 4))
            self.painter.drawLine(top, top - QPointF(0, 4))
            wide = frame.width() * step / self.last
            for y, text in ((bottom.y() + 4, number * step), (top.y() - 17, 1e3 / number / step)):
                self.write(QRectF(bottom.x() - wide / 2, y, wide, 13), f"{text:.3g}", "middle")
        low = QRectF(frame.left(), frame.bottom() + 17, frame.width(), 14)
        self.write(low, "Spatial frequency (1/µm)", "middle")
        self.write(QRectF(frame.left(), 0, frame.width(), 13), "Full period (nm)", "middle")

    def write(self, box: QRectF, text: str, where: str) -> None:
        """Write into a box."""
        side = {
            "right": Qt.AlignmentFlag.AlignRight,
            "middle": Qt.AlignmentFlag.AlignHCenter,
        }[where]
        self.pen(self.ink)
        self.painter.drawText(box, side | Qt.AlignmentFlag.AlignVCenter, text)


def nice_step(extent: float, count: int) -> float:
    """Give a step of 1, 2 or 5 times a power of ten that divides an extent into about `count`."""
    rough = extent / count
    power = 10.0 ** np.floor(np.log10(rough))
    return float(power * next(one for one in (1.0, 2.0, 5.0, 10.0) if one * power >= rough * 0.99))
