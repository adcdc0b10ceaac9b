"""Work in a thread of which only the latest result counts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from napari.qt.threading import create_worker
from napari.utils.notifications import show_error
from psygnal import Signal
from qtpy.QtCore import QTimer

from napari_clxem.errors import ClxemError

Work = Callable[[], Any]
Done = Callable[[Any], None]


class Latest:
    """Runs one function at a time; of those asked for meanwhile only the last one follows.

    Attributes
    ----------
    turned : Signal
        Emitted when it begins or ends to be busy.
    """

    turned = Signal()

    def __init__(self) -> None:
        self._worker: Any = None
        self._waiting: tuple[Work, Done] | None = None
        self._run = 0

    @property
    def busy(self) -> bool:
        """Whether something is being done."""
        return self._worker is not None

    def ask(self, work: Work, done: Done) -> None:
        """Run `work` in a thread, then `done` with its result in that of the window.

        Where `work` raises a `ClxemError` the user is told instead.
        """
        if self._worker is not None:
            self._waiting = (work, done)
            return
        self._start(work, done)

    def drop(self) -> None:
        """Forget what is asked for; what runs is not waited for."""
        self._waiting = None
        self._run += 1
        if self._worker is not None:
            self._worker = None
            self.turned.emit()

    def _start(self, work: Work, done: Done) -> None:
        self._run += 1
        run = self._run

        # napari writes out what it is given, for its list of workers: nothing long may be in it.
        def named() -> Any:
            return work()

        worker: Any = create_worker(named, _start_thread=False, _ignore_errors=True)
        worker.returned.connect(lambda result: self._on_returned(run, result, done))
        worker.errored.connect(lambda error: self._on_errored(run, error))
        self._worker = worker
        worker.start()
        self.turned.emit()

    def _on_returned(self, run: int, result: Any, done: Done) -> None:
        if run != self._run:
            return
        try:
            done(result)
        except ClxemError as error:
            show_error(str(error))
        finally:
            self._next(run)

    def _on_errored(self, run: int, error: Exception) -> None:
        if run != self._run:
            return
        self._next(run)
        if not isinstance(error, ClxemError):
            raise error
        show_error(str(error))

    def _next(self, run: int) -> None:
        if run != self._run:
            return
        self._worker = None
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            self._start(*waiting)
        else:
            self.turned.emit()


def same(held: tuple[Any, ...], wanted: tuple[Any, ...]) -> bool:
    """Whether both were made of the same parts; documents share what did not change."""
    return len(held) == len(wanted) and all(
        a is b or (not isinstance(a, tuple) and a == b) for a, b in zip(held, wanted, strict=True)
    )


def timer(interval: int, slot: Any) -> QTimer:
    """Make a timer that calls `slot` once, `interval` ms after it was started last."""
    found = QTimer()
    found.setSingleShot(True)
    found.setInterval(interval)
    found.timeout.connect(slot)
    return found
