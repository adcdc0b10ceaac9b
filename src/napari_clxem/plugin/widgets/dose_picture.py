"""A picture of the canvas with what it shows written below it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from textwrap import wrap
from typing import Any

import numpy as np
from qtpy.QtCore import QRect, Qt
from qtpy.QtGui import QColor, QFont, QImage, QPainter, QPen

from napari_clxem.errors import WriteError
from napari_clxem.plugin import dose_marks

LINE, STROKE, SIZE = 22, 40, 11
GROUND, INK, DARK = QColor("white"), QColor("black"), QColor("#33204a")


def write_picture(
    path: str | Path, canvas: Any, styles: Sequence[dose_marks.Style], caption: Sequence[str]
) -> None:
    """Write a picture with a legend and a caption below it.

    Parameters
    ----------
    path : str or Path
        PNG.
    canvas : (ny, nx, 4) array
        uint8, as napari's screenshot gives it.
    styles : sequence of Style
        Of the modalities drawn.
    caption : sequence of str
        A line each.

    Raises
    ------
    WriteError
        Where the file cannot be written.
    """
    pixels = np.ascontiguousarray(canvas[..., :4], dtype=np.uint8)
    high, wide = pixels.shape[:2]
    seen = QImage(pixels.tobytes(), wide, high, 4 * wide, QImage.Format.Format_RGBA8888)
    font = QFont()
    font.setPixelSize(SIZE)
    lines = _broken(caption, max(20, int(wide / (0.55 * SIZE))))
    picture = QImage(wide, high + LINE * (len(lines) + 1) + 6, QImage.Format.Format_RGB32)
    picture.fill(GROUND)
    painter = QPainter(picture)
    painter.setFont(font)
    painter.drawImage(0, 0, seen)
    _draw_legend(painter, high, wide, styles)
    for number, text in enumerate(lines, start=1):
        box = QRect(6, high + LINE * number, wide - 12, LINE)
        painter.setPen(INK)
        painter.drawText(box, Qt.AlignmentFlag.AlignVCenter, text)
    painter.end()
    if not picture.save(str(path), "PNG"):
        raise WriteError(f"{path} cannot be written; choose another file.")


def _draw_legend(
    painter: QPainter, top: int, wide: int, styles: Sequence[dose_marks.Style]
) -> None:
    kinds = [(one.colour, dose_marks.dashes(one), one.name, 2.0) for one in styles]
    kinds.append((dose_marks.BUDGET, (), "budget", 4.0))
    each = max(1, wide // len(kinds))
    for number, (colour, dashes, name, width) in enumerate(kinds):
        left = 6 + number * each
        painter.fillRect(QRect(left, top + 5, STROKE, LINE - 10), DARK)
        pen = QPen(QColor(colour), width)
        pen.setCapStyle(Qt.PenCapStyle.FlatCap)
        if dashes:
            pen.setDashPattern(list(dashes))
        painter.setPen(pen)
        painter.drawLine(left + 2, top + LINE // 2, left + STROKE - 2, top + LINE // 2)
        painter.setPen(INK)
        box = QRect(left + STROKE + 4, top, each - STROKE - 8, LINE)
        painter.drawText(box, Qt.AlignmentFlag.AlignVCenter, name)


def _broken(caption: Sequence[str], most: int) -> list[str]:
    return [line for text in caption for line in wrap(text, most)]
