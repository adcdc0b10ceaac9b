"""The store: one session being worked on, its history, and its file."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from weakref import WeakMethod, finalize

from psygnal import Signal

from napari_clxem.errors import SessionError
from napari_clxem.session.changes import Changes, apply, diff
from napari_clxem.session.checks import check
from napari_clxem.session.codec import decode, encode
from napari_clxem.session.drafts import Draft, need_unchanged
from napari_clxem.session.files import whole_path
from napari_clxem.session.journal import Base
from napari_clxem.session.model import FileRef, Session
from napari_clxem.session.places import anchored, detached, found_file
from napari_clxem.session.recovery import Recovery, base_at, recoverable
from napari_clxem.session.safekeeping import Safekeeping

HISTORY = 1000


@dataclass(frozen=True)
class _Step:
    label: str
    session: Session


class Store:
    """One session being worked on: commits, undo and redo, and its file.

    Every step is in the journal before `changed` is emitted, so that a crash loses nothing.
    Call it from one thread.

    Parameters
    ----------
    session : Session, optional
        The document to start from; without it the one at `path` is loaded, or a new one made.
    path : str or Path, optional
        The session file. `session` may be ahead of it, as after a recovery.
    journal : bool
        False for a script that needs no recovery: then no journal and no lock are made.

    Attributes
    ----------
    changed : Signal
        Emitted with (new, old) session after every commit, undo and redo.
    noticed : Signal
        Emitted with a sentence that the user should see; they are also kept in `notices`.

    Raises
    ------
    SessionError
        Where the session file cannot be read, or the session does not make sense.
    """

    changed = Signal(Session, Session, reemission="queued")
    noticed = Signal(str)

    def __init__(
        self,
        session: Session | None = None,
        path: str | Path | None = None,
        *,
        journal: bool = True,
    ) -> None:
        self._notices: list[str] = []
        self._past: deque[_Step] = deque(maxlen=HISTORY)
        self._future: list[_Step] = []
        place = None if path is None else whole_path(path)
        saved = None if place is None else base_at(place)
        if session is not None:
            session = _canonical(session, place)
        elif saved is not None:
            session = saved.session
        elif place is None:
            session = Session()
        else:
            raise SessionError(f"There is no session file {place}; check the name.")
        self._session = session
        self._base = saved or Base(session, path=place)
        self._closed = False
        self._keeping: Safekeeping | None = None
        if journal:
            tell: WeakMethod[Callable[[str], None]] = WeakMethod(self._notice)
            self._keeping = Safekeeping(self._base, session, lambda text: _tell(tell, text))
            # A store that is forgotten lets go of its file; what was not saved is kept.
            finalize(self, self._keeping.close, keep=True)

    @classmethod
    def open(cls, path: str | Path) -> Store:
        """Open the session at `path`, with the steps that a crash left beyond its file.

        Raises
        ------
        SessionError
            Where the session file cannot be read.
        """
        left = recoverable(path)
        return cls(path=path) if left is None else cls.recover(left)

    @classmethod
    def recover(cls, left: Recovery) -> Store:
        """Go on from what a crash has left; its journal is removed once a new one is kept."""
        if left.path is not None:
            store = cls(left.session, left.path)
        else:
            store = cls()
            store.commit(left.session, "Recover")
            if store._keeping is not None and not store._keeping.failing:
                left.discard()
        store._notice(
            f"What had not been saved was recovered (the last step: {left.label}); "
            "save the session to keep it."
        )
        return store

    @property
    def session(self) -> Session:
        """The document as it is now."""
        return self._session

    @property
    def path(self) -> Path | None:
        """The session file; None before the first save."""
        return self._base.path

    @property
    def notices(self) -> tuple[str, ...]:
        """Sentences that the user should see, the oldest first."""
        return tuple(self._notices)

    @property
    def dirty(self) -> bool:
        """Whether the document differs from its file; without one, from what it started as."""
        named_only = self._base.path is not None and not self._base.fingerprint
        return named_only or self._session != self._base.session

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

    @property
    def steps(self) -> tuple[str, ...]:
        """What was done, the oldest first, with the steps that were taken back at the end."""
        return (
            *(step.label for step in self._past),
            *(step.label for step in reversed(self._future)),
        )

    @property
    def position(self) -> int:
        """How many of `steps` the document holds: those after it were taken back."""
        return len(self._past)

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
        self._need_open()
        old = self._session
        new = self._anchored(edit if isinstance(edit, Session) else edit(old))
        changes = diff(old, new)
        if not changes:
            return old
        # What a recovery would give is what the session becomes: they cannot disagree.
        new = self._anchored(apply(old, changes))
        check(new, known=old)
        self._past.append(_Step(label, old))
        self._future.clear()
        return self._become(new, changes, label)

    def undo(self) -> Session:
        """Take the last step back; without one nothing happens."""
        self._need_open()
        if not self._past:
            return self._session
        step = self._past.pop()
        self._future.append(_Step(step.label, self._session))
        changes = diff(self._session, step.session)
        return self._become(step.session, changes, f"Undo: {step.label}")

    def redo(self) -> Session:
        """Make the step again that was taken back last; without one nothing happens."""
        self._need_open()
        if not self._future:
            return self._session
        step = self._future.pop()
        self._past.append(_Step(step.label, self._session))
        changes = diff(self._session, step.session)
        return self._become(step.session, changes, f"Redo: {step.label}")

    def go_to(self, position: int) -> Session:
        """Go back or forward through `steps` at once.

        Parameters
        ----------
        position : int
            How many of `steps` the document shall hold.

        Raises
        ------
        SessionError
            Where there are not so many steps.
        """
        self._need_open()
        if not 0 <= position <= len(self._past) + len(self._future):
            raise SessionError(
                f"There is no step {position}; the history has {len(self.steps)} steps."
            )
        if position == self.position:
            return self._session
        state = self._session
        while len(self._past) > position:
            step = self._past.pop()
            self._future.append(_Step(step.label, state))
            state = step.session
        while len(self._past) < position:
            step = self._future.pop()
            self._past.append(_Step(step.label, state))
            state = step.session
        steps = self.steps
        label = f"Go to: {steps[position - 1]}" if position else "Go to the beginning"
        return self._become(state, diff(self._session, state), label)

    def save(self, path: str | Path | None = None, *, overwrite: bool = False) -> Path:
        """Write the session to `path`, or to its own file.

        Parameters
        ----------
        path : str or Path, optional
            Where to; the session is worked on there from then on.
        overwrite : bool
            Write also where another program has changed the session's own file meanwhile.

        Raises
        ------
        SessionError
            Where it has no file yet and none is given, another process has the file open or has
            changed it, or it cannot be written; the previous file is then whole.
        """
        draft = self.draft(path, overwrite=overwrite)
        self.finish(draft)
        return draft.place

    def draft(self, path: str | Path | None = None, *, overwrite: bool = False) -> Draft:
        """Begin a save of the session as it is; see `save`.

        Returns
        -------
        Draft
            Its `write` takes long and may run in another thread; then `finish` it.
        """
        self._need_open()
        place = self._base.path if path is None else whole_path(path)
        if place is None:
            raise SessionError("The session has no file yet; give a name to save it under.")
        known = None if overwrite or not self._is_own(place) else self._base.fingerprint
        if self._keeping is None or self._keeping.holds(place):
            return Draft(self._session, place, known)
        if known is not None:
            need_unchanged(place, known)
        return Draft(self._session, place, known, self._keeping.claim(place))

    def finish(self, draft: Draft) -> bool:
        """End a save: put in place what was drafted, at one stroke.

        Returns
        -------
        bool
            False where a step was made since it was begun: then the file is left as it is, and
            what there is now is to be drafted anew.

        Raises
        ------
        SessionError
            As `save`; the previous file is then whole.
        """
        if self._closed or self._session is not draft.session:
            draft.drop()
            self._need_open()
            return False
        keeping = self._keeping
        try:
            base = draft.put(keeping.mark if keeping else lambda _fingerprint, _path: None)
        except SessionError:
            draft.drop()
            raise
        if keeping:
            keeping.saved(base, draft.held or keeping.held(draft.place))
        self._move_to(base)
        return True

    def resolve(self, file: FileRef) -> Path:
        """Find the file of a dataset on this computer.

        Raises
        ------
        SessionError
            Where it is not there, saying what to do.
        """
        return found_file(file)

    def close(self, *, discard: bool = False) -> None:
        """Let go of the session and its file.

        Steps that were not saved stay in the journal for a later recovery, unless `discard`.
        """
        if not self._closed and self._keeping is not None:
            self._keeping.close(keep=self.dirty and not discard)
        self._closed = True

    def _become(self, new: Session, changes: Changes, label: str) -> Session:
        old, self._session = self._session, new
        if self._keeping is not None:
            self._keeping.record(old, new, changes, label)
        self.changed.emit(new, old)
        return self._session

    def _anchored(self, session: Session) -> Session:
        return _anchored(session, self._base.path)

    def _move_to(self, base: Base) -> None:
        """Work on the file of `base` from now on, earlier and later states too."""
        old, before, self._base = self._session, self._base, base
        if before.path == base.path:
            return
        self._past = deque(
            (_Step(step.label, self._anchored(step.session)) for step in self._past), HISTORY
        )
        self._future = [_Step(step.label, self._anchored(step.session)) for step in self._future]
        self._session = self._anchored(old)
        self._base = replace(base, session=self._session)
        if self._session is not old:
            self.changed.emit(self._session, old)

    def _is_own(self, path: Path) -> bool:
        return self._base.path is not None and path.resolve() == self._base.path.resolve()

    def _need_open(self) -> None:
        if self._closed:
            raise SessionError("This session was closed; open it again.")

    def _notice(self, sentence: str) -> None:
        self._notices.append(sentence)
        self.noticed.emit(sentence)


def _tell(listener: WeakMethod[Callable[[str], None]], sentence: str) -> None:
    notice = listener()
    if notice is not None:
        notice(sentence)


def _canonical(session: Session, path: Path | None) -> Session:
    """Give the session as its file would bring it back."""
    found = _anchored(decode(Session, encode(_anchored(session, path))), path)
    check(found)
    return found


def _anchored(session: Session, path: Path | None) -> Session:
    return detached(session) if path is None else anchored(session, path.parent)
