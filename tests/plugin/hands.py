"""The window system's own mouse (xdotool), for tests that work as a person does.

What the user's hand would meet is met: docks, buttons, canvases, drags.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time

import numpy as np
import pytest
from qtpy.QtCore import QPoint
from qtpy.QtWidgets import QApplication, QPushButton

needs_a_mouse = pytest.mark.skipif(
    shutil.which("xdotool") is None or not os.environ.get("DISPLAY"),
    reason="a mouse of the X window system is needed: install xdotool",
)
BY_HAND = [pytest.mark.gl, pytest.mark.slow, needs_a_mouse]


def large_window(make_napari_viewer, width=1580, height=960):
    """Open a window of this size, or skip where the screen is smaller."""
    viewer = make_napari_viewer(show=True)
    screen = QApplication.primaryScreen().size()
    if screen.width() < width or screen.height() < height:
        pytest.skip(f"the screen has only {screen.width()} x {screen.height()} pixels")
    viewer.window.resize(width, height)
    return viewer


class Hand:
    """The mouse and the keys in a window with a dock."""

    def __init__(self, viewer, dock) -> None:
        self.viewer, self.dock = viewer, dock

    def wait(self, until=lambda: True, seconds=0.15, most=90.0) -> None:
        start = time.monotonic()
        while time.monotonic() - start < seconds or not until():
            QApplication.processEvents()
            time.sleep(0.005)
            assert time.monotonic() - start < most, "the window did not get there"

    def is_ready(self) -> bool:
        """Whether the window has done what the last move asked for."""
        return True

    def mouse(self, *words) -> None:
        subprocess.run(["xdotool", *(str(word) for word in words)], check=True, timeout=20)
        self.wait(self.is_ready)

    def spot(self, model, held, world) -> tuple[int, int]:
        """Where a place (row, column) of a canvas' world is on the screen."""
        native = held.canvas.native
        apart = (np.asarray(world) - model.scene.camera.center[-2:]) * model.scene.camera.zoom
        y, x = np.array([native.height(), native.width()]) / 2 + apart
        at = QPoint(round(x), round(y))
        assert native.rect().contains(at), f"{world} is not in the canvas"
        return native.mapToGlobal(at).x(), native.mapToGlobal(at).y()

    def point_at(self, widget, place=None) -> None:
        """Move to a place of a widget, its middle where none is given, in the dock's sight."""
        self.dock.ensureWidgetVisible(widget)
        self.wait()
        at = widget.mapToGlobal(widget.rect().center() if place is None else place)
        self.mouse("mousemove", at.x(), at.y())

    def press(self, text, kind=QPushButton, place=None) -> None:
        button = next(
            one for one in self.dock.findChildren(kind) if one.text().removeprefix("▸ ") == text
        )
        self.wait(button.isEnabled)
        self.point_at(button, place)
        self.mouse("click", 1)

    def choose(self, box, text) -> None:
        """Choose an entry of a combo box by its text."""
        if box.currentText() == text:
            return
        self.point_at(box)
        self.mouse("click", 1)
        view = box.view()
        self.wait(view.isVisible)
        place = view.visualRect(view.model().index(box.findText(text), 0)).center()
        at = view.viewport().mapToGlobal(place)
        self.mouse("mousemove", at.x(), at.y(), "click", 1)
        self.wait(lambda: not view.isVisible())

    def drag_from(self, start, end, during=lambda: None) -> None:
        """Drag between two places of the screen, in five steps."""
        first, last = np.array(start), np.array(end)
        self.mouse("mousemove", *start, "mousedown", 1)
        for step in range(1, 6):
            self.mouse("mousemove", *(first + (last - first) * step // 5).tolist())
            during()
        self.mouse("mouseup", 1)
