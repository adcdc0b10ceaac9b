"""Saving beside the window: the file is written in a thread, and put in place at one stroke."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from napari.qt.threading import create_worker
from napari.utils.notifications import show_error
from qtpy.QtWidgets import QApplication

from napari_clxem.errors import ClxemError
from napari_clxem.session import Store
from napari_clxem.session.drafts import Draft

# How often a step may come between, before the window waits for the file after all.
TRIES = 3


class Saver:
    """Saves one session at a time.

    Parameters
    ----------
    done : callable
        Called when a session was saved, and when it could not be.
    """

    def __init__(self, done: Callable[[], None]) -> None:
        self._done = done
        self._store: Store | None = None
        self._path: str | Path | None = None
        self._draft: Draft | None = None
        self._tries = 0

    @property
    def busy(self) -> bool:
        """Whether a session is being written."""
        return self._draft is not None

    def save(self, store: Store, path: str | Path | None = None) -> None:
        """Write a session to `path`, or to its own file; what goes wrong is said."""
        if self.busy and (store, path) == (self._store, self._path):
            return  # it is written as it is at the end
        self.settle()
        self._store, self._path, self._tries = store, path, 0
        app = QApplication.instance()
        if app is not None:
            app.aboutToQuit.connect(self.settle)
        self._begin()

    def settle(self) -> None:
        """End what was begun, now; nothing may come between."""
        draft, self._draft = self._draft, None
        if draft is not None:
            draft.drop()
            self._end(self._save_now)

    def _begin(self) -> None:
        assert self._store is not None
        self._tries += 1
        try:
            draft = self._draft = self._store.draft(self._path)
        except ClxemError as error:
            self._end(partial(show_error, str(error)))
            return
        worker: Any = create_worker(draft.write, _start_thread=False, _ignore_errors=True)
        worker.returned.connect(lambda _none: self._on_written(draft))
        worker.errored.connect(lambda error: self._on_failed(draft, error))
        worker.start()

    def _on_written(self, draft: Draft) -> None:
        if draft is not self._draft or self._store is None:
            return
        self._draft = None
        try:
            ended = self._store.finish(draft)
        except ClxemError as error:
            self._end(partial(show_error, str(error)))
            return
        if ended:
            self._end()
        elif self._tries < TRIES:
            self._begin()
        else:
            self._end(self._save_now)

    def _on_failed(self, draft: Draft, error: Exception) -> None:
        if draft is not self._draft:
            return
        self._draft = None
        draft.drop()
        if not isinstance(error, ClxemError):
            self._end()
            raise error
        self._end(partial(show_error, str(error)))

    def _save_now(self) -> None:
        assert self._store is not None
        try:
            self._store.save(self._path)
        except ClxemError as error:
            show_error(str(error))

    def _end(self, last: Callable[[], object] | None = None) -> None:
        if last is not None:
            last()
        self._store = self._path = None
        app = QApplication.instance()
        if app is not None:
            app.aboutToQuit.disconnect(self.settle)
        self._done()
