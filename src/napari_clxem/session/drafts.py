"""Saving in two parts: the long one may run beside the window, the short one may not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from threading import Lock

from napari_clxem.errors import SessionError
from napari_clxem.session.claims import Claim
from napari_clxem.session.disk import discard, put, stage
from napari_clxem.session.files import content, fingerprint, read
from napari_clxem.session.journal import Base
from napari_clxem.session.model import Session


class Draft:
    """A session on its way into its file; `Store.draft` begins it, `Store.finish` ends it.

    Parameters
    ----------
    session : Session
        As it was when the draft was begun.
    place : Path
        The session file.
    known : str or None
        Fingerprint that the file there must have; None where it may have any.
    held : Claim or None
        A claim made for it, which is let go of where nothing comes of the draft.
    """

    def __init__(
        self, session: Session, place: Path, known: str | None, held: Claim | None = None
    ) -> None:
        self.session = session
        self.place = place
        self.held = held
        self._known = known
        self._staged: Path | None = None
        self._base: Base | None = None
        self._dropped = False
        self._writing = Lock()

    def write(self) -> None:
        """Bring all of it to the disk, beside its file; may run in any thread.

        A draft that was dropped is not written: the thread may come late.

        Raises
        ------
        SessionError
            Where another program has changed the file, or it cannot be written.
        """
        with self._writing:
            if self._base is not None or self._dropped:
                return
            if self._known is not None:
                need_unchanged(self.place, self._known)
            data = content(self.session, self.place)
            backup = self.place.with_name(self.place.name + ".bak")
            self._staged = stage(self.place, data, backup)
            self._base = Base(self.session, fingerprint(data), self.place)

    def put(self, mark: Callable[[str, Path], None]) -> Base:
        """Put it in the place of its file; what is not written yet is written first.

        Parameters
        ----------
        mark : callable
            Called just before, with the new file's fingerprint and place.
        """
        self.write()
        assert self._staged is not None
        assert self._base is not None
        base, staged, self._staged = self._base, self._staged, None
        put(self.place, staged, before=lambda: mark(base.fingerprint, self.place))
        return base

    def drop(self) -> None:
        """Leave the file as it is."""
        with self._writing:
            self._dropped = True
            if self._staged is not None:
                discard(self._staged)
                self._staged = None
        if self.held is not None:
            self.held.release()
            self.held = None


def need_unchanged(path: Path, known: str) -> None:
    """Make sure that a session file is the one that was opened.

    Raises
    ------
    SessionError
        Where it is another one.
    """
    if path.exists() and (not known or fingerprint(read(path)) != known):
        raise SessionError(
            f"{path} was changed by another program since it was opened; save under another "
            "name, or overwrite it."
        )
