"""The store: one session being worked on, its history, and its file."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from psygnal import Signal

from napari_clxem.errors import SessionError
from napari_clxem.session.changes import apply, diff
from napari_clxem.session.checks import check
from napari_clxem.session.codec import decode, encode
from napari_clxem.session.files import content, load, whole_path, write
from napari_clxem.session.model import FileRef, Session
from napari_clxem.session.places import anchored, located

HISTORY = 1000


@dataclass(frozen=True)
class _Step:
    label: str
    session: Session


class Store:
    """One session being worked on: commits, undo and redo, and its file.

    Parameters
    ----------
    session : Session, optional
        The document to start from; without it the one at `path` is loaded, or a new one made.
    path : str or Path, optional
        The session file.

    Attributes
    ----------
    changed : Signal
        Emitted with (new, old) session after every commit, undo and redo.
    """

    changed = Signal(Session, Session, reemission="queued")

    def __init__(self, session: Session | None = None, path: str | Path | None = None) -> None:
        self._path = None if path is None else whole_path(path)
        if session is None:
            session = Session() if self._path is None else load(self._path)
        session = decode(Session, encode(session))
        check(session)
        self._session = self._anchored(session)
        self._saved = self._session
        self._past: deque[_Step] = deque(maxlen=HISTORY)
        self._future: list[_Step] = []

    @property
    def session(self) -> Session:
        """The document as it is now."""
        return self._session

    @property
    def path(self) -> Path | None:
        """The session file; None before the first save."""
        return self._path

    @property
    def dirty(self) -> bool:
        """Whether the document differs from what is saved."""
        return self._session != self._saved

    @property
    def can_undo(self) -> bool:
        """Whether there is a step to take back."""
        return bool(self._past)

    @property
    def can_redo(self) -> bool:
        """Whether there is a step to make again."""
        return bool(self._future)

    @property
    def undo_label(self) -> str:
        """What `undo` would take back; empty where there is nothing."""
        return self._past[-1].label if self._past else ""

    @property
    def redo_label(self) -> str:
        """What `redo` would make again; empty where there is nothing."""
        return self._future[-1].label if self._future else ""

    def commit(self, edit: Callable[[Session], Session] | Session, label: str) -> Session:
        """Make one step: an edit of the document, or a new document.

        Parameters
        ----------
        edit : callable or Session
            Gives the new document from the present one; or the new document itself.
        label : str
            What was done, for the undo menu.

        Returns
        -------
        Session
            The document as it is now. An edit that changes nothing makes no step.

        Raises
        ------
        SessionError
            Where the edited document does not make sense; nothing is changed then.
        """
        old = self._session
        new = self._anchored(edit if isinstance(edit, Session) else edit(old))
        changes = diff(old, new)
        if not changes:
            return old
        new = self._anchored(apply(old, changes))
        check(new, known=old)
        self._past.append(_Step(label, old))
        self._future.clear()
        return self._become(new)

    def undo(self) -> Session:
        """Take the last step back; without one nothing happens."""
        if not self._past:
            return self._session
        step = self._past.pop()
        self._future.append(_Step(step.label, self._session))
        return self._become(step.session)

    def redo(self) -> Session:
        """Make the step again that was taken back last; without one nothing happens."""
        if not self._future:
            return self._session
        step = self._future.pop()
        self._past.append(_Step(step.label, self._session))
        return self._become(step.session)

    def save(self, path: str | Path | None = None) -> Path:
        """Write the session to `path`, or to its own file.

        Raises
        ------
        SessionError
            Where it has no file yet and none is given, or cannot be written there; the
            previous file is then whole.
        """
        place = self._path if path is None else whole_path(path)
        if place is None:
            raise SessionError("The session has no file yet; give a name to save it under.")
        write(place, content(self._session, place))
        self._move_to(place)
        self._saved = self._session
        return place

    def resolve(self, file: FileRef) -> Path:
        """Find the file of a dataset on this computer.

        Raises
        ------
        SessionError
            Where it is not there, saying what to do.
        """
        path = located(file)
        if not path.exists():
            raise SessionError(
                f"{path.name} is not in {path.parent}; relink the session to the folder where it "
                "is now."
            )
        return path

    def close(self) -> None:
        """Let go of the session."""

    def _become(self, new: Session) -> Session:
        old, self._session = self._session, new
        self.changed.emit(new, old)
        return self._session

    def _anchored(self, session: Session) -> Session:
        return session if self._path is None else anchored(session, self._path.parent)

    def _move_to(self, path: Path) -> None:
        """Work on the file at `path` from now on, earlier and later states too."""
        self._path = path
        self._past = deque(
            (_Step(step.label, self._anchored(step.session)) for step in self._past), HISTORY
        )
        self._future = [_Step(step.label, self._anchored(step.session)) for step in self._future]
        old, self._session = self._session, self._anchored(self._session)
        if old is not self._session:
            self.changed.emit(self._session, old)
