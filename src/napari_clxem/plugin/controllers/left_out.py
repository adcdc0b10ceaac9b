"""Leave-one-out errors, computed in the background: they take a fit per landmark."""

from __future__ import annotations

from typing import Any

from napari.qt.threading import create_worker
from psygnal import Signal

from napari_clxem.frames import Fit
from napari_clxem.session.model import Session
from napari_clxem.session.summary import unknown_left_out


class LeftOut:
    """Computes what is not known yet of one session at a time.

    Attributes
    ----------
    known : Signal
        Emitted when more is known than before.
    """

    known = Signal()

    def __init__(self) -> None:
        self._worker: Any = None
        self._next: Session | None = None

    def want(self, session: Session) -> None:
        """Compute what a session lacks; the latest one asked for comes next."""
        self._next = session
        if self._worker is None:
            self._start()

    def stop(self) -> None:
        """Compute nothing more."""
        self._next = None
        if self._worker is not None:
            self._worker.finished.disconnect(self._on_finished)
            self._worker.quit()
            self._worker = None

    def _start(self) -> None:
        session, self._next = self._next, None
        fits = () if session is None else unknown_left_out(session)
        if not fits:
            return
        self._worker = create_worker(_compute, fits, _start_thread=False)
        self._worker.finished.connect(self._on_finished)
        self._worker.start()

    def _on_finished(self) -> None:
        self._worker = None
        self.known.emit()
        self._start()


def _compute(fits: tuple[Fit, ...]) -> Any:
    """Ask each fit once, pausing for a cancellation between them."""
    for one in fits:
        _ = one.leave_one_out
        yield
