"""One long task at a time, in a thread, with its progress, and a way to give it up."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from napari.qt.threading import create_worker
from napari.utils.notifications import show_error
from psygnal import Signal
from qtpy.QtCore import QTimer

from napari_clxem.errors import ClxemError

T = TypeVar("T")
Progress = Callable[[float, str], None]

# How often the window looks how far a task is, ms.
OFTEN = 80


def say_error(error: Exception) -> None:
    """Show what went wrong in a thread, in its sentence; what has none is raised."""
    if not isinstance(error, ClxemError):
        raise error
    show_error(str(error))


class GivenUpError(Exception):
    """Raised inside a task that the user has given up."""


class _Run:
    """One run of a task; its thread leaves word here, and the window looks for it."""

    def __init__(self, name: str) -> None:
        self.given_up = False
        self.news: tuple[float, str] = (0.0, name)

    def progress(self, share: float, text: str) -> None:
        """Leave word of how far it is; called from the thread of the task."""
        if self.given_up:
            raise GivenUpError
        self.news = (share, text)


class LongTask:
    """Runs a function in a thread; the window stays alive.

    Attributes
    ----------
    progressed : Signal
        Emitted with the share done, and what is being done.
    ended : Signal
        Emitted when the task is done, has failed or was given up.
    """

    progressed = Signal(float, str)
    ended = Signal()

    def __init__(self) -> None:
        self._run: _Run | None = None
        self._told: tuple[float, str] = (0.0, "")
        self.name = ""
        self._clock = QTimer()
        self._clock.setInterval(OFTEN)
        self._clock.timeout.connect(self._look)

    @property
    def busy(self) -> bool:
        """Whether a task is running."""
        return self._run is not None

    def start(self, name: str, work: Callable[[Progress], T], done: Callable[[T], None]) -> bool:
        """Run `work` in a thread, and then `done` with its result in that of the window.

        Parameters
        ----------
        name : str
            What is done, for people.
        work : callable
            Takes a progress function, which it calls now and then: that is where it can be ended.
        done : callable
            Takes the result. Where `work` raises a `ClxemError` the user is told instead.

        Returns
        -------
        bool
            False where another task is running: then nothing is started.
        """
        if self._run is not None:
            return False
        run = self._run = _Run(name)
        self._told = (0.0, "")
        self.name = name
        worker: Any = create_worker(work, run.progress, _start_thread=False, _ignore_errors=True)
        worker.returned.connect(lambda result: self._on_returned(run, result, done))
        worker.errored.connect(lambda error: self._on_errored(run, error))
        worker.start()
        self._clock.start()
        self._look()
        return True

    def cancel(self) -> None:
        """Give the task up: its result is dropped, and its thread ends at its next progress."""
        if self._run is not None:
            self._run.given_up = True
            self._end()

    def _end(self) -> None:
        self._run = None
        self.name = ""
        self._clock.stop()
        self.ended.emit()

    def _look(self) -> None:
        if self._run is not None and self._run.news != self._told:
            self._told = self._run.news
            self.progressed.emit(*self._told)

    def _on_returned(self, run: _Run, result: T, done: Callable[[T], None]) -> None:
        if run is not self._run:
            return
        self._end()
        try:
            done(result)
        except ClxemError as error:
            show_error(str(error))

    def _on_errored(self, run: _Run, error: Exception) -> None:
        if isinstance(error, GivenUpError) or run is not self._run:
            return
        self._end()
        if not isinstance(error, ClxemError):
            raise error
        show_error(str(error))
