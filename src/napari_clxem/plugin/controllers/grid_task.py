"""One long task at a time, in a thread, with its progress, and a way to give it up."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from napari.qt.threading import create_worker
from napari.utils.notifications import show_error
from psygnal import Signal as Announcement
from qtpy.QtCore import QObject, Signal

from napari_clxem.errors import ClxemError

T = TypeVar("T")
Progress = Callable[[float, str], None]


class GivenUpError(Exception):
    """Raised inside a task that the user has given up."""


class _Run(QObject):
    """One run of a task: what it tells from its thread arrives in that of the window."""

    told = Signal(float, str)

    def __init__(self) -> None:
        super().__init__()
        self.given_up = False

    def progress(self, share: float, text: str) -> None:
        """Tell how far it is; called from the thread of the task."""
        if self.given_up:
            raise GivenUpError
        self.told.emit(share, text)


class LongTask:
    """Runs a function in a thread; the window stays alive.

    Attributes
    ----------
    progressed : Signal
        Emitted with the share done, and what is being done.
    ended : Signal
        Emitted when the task is done, has failed or was given up.
    """

    progressed = Announcement(float, str)
    ended = Announcement()

    def __init__(self) -> None:
        self._run: _Run | None = None
        self.name = ""

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
        run = self._run = _Run()
        self.name = name
        run.told.connect(lambda share, text: self._on_told(run, share, text))
        worker: Any = create_worker(work, run.progress, _start_thread=False, _ignore_errors=True)
        worker.returned.connect(lambda result: self._on_returned(run, result, done))
        worker.errored.connect(lambda error: self._on_errored(run, error))
        worker.start()
        self.progressed.emit(0.0, name)
        return True

    def cancel(self) -> None:
        """Give the task up: its result is dropped, and its thread ends at its next progress."""
        if self._run is not None:
            self._run.given_up = True
            self._end()

    def _end(self) -> None:
        self._run = None
        self.name = ""
        self.ended.emit()

    def _on_told(self, run: _Run, share: float, text: str) -> None:
        if run is self._run:
            self.progressed.emit(share, text)

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
