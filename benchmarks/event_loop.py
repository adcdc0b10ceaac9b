"""What benchmarks of the window share: how long the event loop does not answer."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QApplication

LIMIT_BLOCK = 100.0  # ms
TICK = 2  # ms


class Watch:
    """Longest silence of the event loop, painting taken off: clock and processor, ms.

    A software renderer paints slowly; processor time is that of the window's thread, which other
    work on the same machine does not lengthen.
    """

    def __init__(self, *canvases: Any) -> None:
        self.longest = np.zeros(2)
        self._painted, self._begun, self._last = np.zeros(2), np.zeros(2), now()
        for canvas in canvases:
            self.add(canvas)
        self._timer = QTimer()
        self._timer.setInterval(TICK)
        self._timer.timeout.connect(self._on_tick)
        self._timer.start()

    def add(self, canvas: Any) -> None:
        """Take off what a canvas of vispy takes to be painted."""
        canvas.events.draw.connect(self._before, position="first")
        canvas.events.draw.connect(self._after, position="last")

    def restart(self) -> None:
        """Forget what was; call it in the turn that something is begun in."""
        self.longest, self._painted, self._last = np.zeros(2), np.zeros(2), now()

    def _before(self, _event: Any) -> None:
        self._begun = now()

    def _after(self, _event: Any) -> None:
        self._painted = self._painted + now() - self._begun

    def _on_tick(self) -> None:
        self.longest = np.maximum(self.longest, now() - self._last - self._painted)
        self._last, self._painted = now(), np.zeros(2)


def now() -> np.ndarray:
    """Clock and processor time of this thread, ms."""
    return np.array([time.perf_counter(), time.thread_time()]) * 1e3


def settle(seconds: float = 0.6) -> None:
    """Let the event loop turn for a while."""
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        QApplication.processEvents()
