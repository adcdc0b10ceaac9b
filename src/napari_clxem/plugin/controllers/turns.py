"""Small jobs spread over the turns of the event loop, so that the window answers in between."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from time import perf_counter

from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QApplication

# What is done in one turn before the rest waits for the next one, s.
BUDGET = 0.03

Job = Callable[[], None]


class Turns:
    """Does jobs at once while the turn is young, and the others one turn later each.

    A job that waits is replaced by a later one of the same key: only the latest state counts.
    """

    def __init__(self) -> None:
        self._waiting: dict[Hashable, Job] = {}
        self._spent = 0.0
        self._timer: QTimer | None = None

    @property
    def busy(self) -> bool:
        """Whether something still waits."""
        return bool(self._waiting)

    def do(self, key: Hashable, job: Job) -> None:
        """Do a job now or soon; without an event loop, now."""
        if key in self._waiting:
            self._waiting[key] = job
        elif QApplication.instance() is None or (not self._waiting and self._spent < BUDGET):
            self._run(job)
            self._watch()
        else:
            self._waiting[key] = job
            self._watch()

    def finish(self) -> None:
        """Do everything that waits now."""
        while self._waiting:
            self._run(self._waiting.pop(next(iter(self._waiting))))

    def drop(self) -> None:
        """Forget what waits."""
        self._waiting.clear()
        if self._timer is not None:
            self._timer.stop()

    def _run(self, job: Job) -> None:
        begun = perf_counter()
        job()
        self._spent += perf_counter() - begun

    def _watch(self) -> None:
        if QApplication.instance() is None:
            return
        if self._timer is None:
            self._timer = QTimer()
            self._timer.setSingleShot(True)
            self._timer.timeout.connect(self._on_turn)
        if not self._timer.isActive():
            self._timer.start(0)

    def _on_turn(self) -> None:
        self._spent = 0.0
        while self._waiting and self._spent < BUDGET:
            self._run(self._waiting.pop(next(iter(self._waiting))))
        if self._waiting:
            self._watch()
