"""What a store does so that no step is lost: it holds its file, and keeps a journal."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from napari_clxem.errors import SessionError
from napari_clxem.session.changes import Changes, diff
from napari_clxem.session.claims import Claim, Owner, claim, owner_of
from napari_clxem.session.disk import sweep, why_unwritten
from napari_clxem.session.journal import Base, Journal
from napari_clxem.session.model import Session
from napari_clxem.session.recovery import (
    Recovery,
    journal_apart,
    journal_beside,
    journals_apart,
    recovery,
    state_folder,
)


class Safekeeping:
    """The claim on a session file, and the journal of the steps since it was saved.

    The journal stands beside the session file; in the user's own folder where there is no file
    yet, where its folder is not writable, or where another process has the file open.

    Parameters
    ----------
    base : Base
        The saved session and its file.
    state : Session
        The session as it is now; where it differs from the saved one, it was recovered.
    notice : callable
        Takes sentences that the user should see.

    Attributes
    ----------
    failing : bool
        Whether the last step could not be written down.
    """

    def __init__(self, base: Base, state: Session, notice: Callable[[str], None]) -> None:
        self._notice = notice
        self._base = base
        self._file_claim: Claim | None = None
        self._journal_claim: Claim | None = None
        self._journal: Journal | None = None
        self.failing = False
        if base.path is not None:
            held = claim(journal_beside(base.path))
            if isinstance(held, Owner):
                notice(
                    f"{base.path.name} is open in {held}; from here it can only be saved under "
                    "another name, until it is closed there."
                )
            self._settle(held if isinstance(held, Claim) else None, base.path, state)

    def record(self, old: Session, new: Session, changes: Changes, label: str) -> None:
        """Write down one step; where that fails the user is told, once."""
        self._guard(lambda: self._opened().record(self._base, old, new, changes, label))

    def claim(self, path: Path) -> Claim | None:
        """Hold the file at `path` before it is written; `saved` or the caller releases it.

        Raises
        ------
        SessionError
            Where another living process has it open.
        """
        if self.holds(path):
            return self._file_claim
        held = claim(journal_beside(path))
        if isinstance(held, Owner):
            raise SessionError(f"{path} is open in {held}; close it there or choose another name.")
        return held

    def holds(self, path: Path) -> bool:
        """Whether this process holds the file at `path`."""
        place = self._base.path
        return (
            self._file_claim is not None and place is not None and place.resolve() == path.resolve()
        )

    def held(self, path: Path) -> Claim | None:
        """Give the claim on the file at `path`; None where there is none."""
        return self._file_claim if self.holds(path) else None

    def mark(self, fingerprint: str, path: Path) -> None:
        """Note in the journal that a file is about to be put in place."""
        if self._journal is not None:
            # Without the mark a crash in the next few µs would leave a journal that is only put
            # aside: no reason to refuse to save where it is the journal that has no room.
            with suppress(OSError):
                self._journal.mark(fingerprint, path)

    def saved(self, base: Base, held: Claim | None) -> None:
        """Go on from a file that was just written, under the claim that was made on it."""
        assert base.path is not None
        self._end_journal(keep=False)
        self._base = base
        if held is not self._file_claim or held is None:
            self._release()
            self._settle(held, base.path, base.session)

    def close(self, keep: bool) -> None:
        """Let go of file and journal; the journal stays for a later recovery if `keep`."""
        self._end_journal(keep)
        self._release()

    def _settle(self, held: Claim | None, path: Path, state: Session) -> None:
        """Take a file over, and whatever a crash has left of it."""
        self._file_claim = held
        beside = [journal_beside(path)] if held is not None else []
        for journal in beside:
            sweep(path.resolve())
            sweep(journal)
        left = [*beside, *(one for one in journals_apart(path) if owner_of(one) is None)]
        going_on = [one for one in left if self._leads_to(one, state)]
        for journal in left:
            if journal not in going_on:
                self._put_aside(journal)
        if going_on or diff(self._base.session, state):
            self._guard(lambda: self._opened().start(self._base, state, "Recover"))
        for journal in going_on:
            if not self.failing and self._journal is not None and journal != self._journal.path:
                journal.unlink(missing_ok=True)

    def _left(self, journal: Path) -> Recovery | None:
        base = self._base if self._base.fingerprint else None
        return recovery(journal, base, self._base.path)

    def _leads_to(self, journal: Path, state: Session) -> bool:
        try:
            left = self._left(journal)
        except SessionError:  # it is put aside, and that is said
            return False
        return left is not None and not left.damaged and not diff(left.session, state)

    def _put_aside(self, journal: Path) -> None:
        """Keep steps that are not part of the session, under a name that nothing overwrites."""
        if not journal.exists() or not journal.stat().st_size:
            return
        try:
            left = self._left(journal)
            if left is None:
                return
            what = f"{left.steps} unsaved steps (the last: {left.label})"
        except SessionError:
            what = "Steps that continue another version of the session"
        kept = journal.with_name(f"{journal.name}.{time.strftime('%Y%m%d-%H%M%S')}.kept")
        while kept.exists():
            kept = kept.with_name(f"{kept.name}.kept")
        journal.replace(kept)
        self._notice(f"{what} were not applied; they are kept in {kept}.")

    def _opened(self) -> Journal:
        """Give the journal, which is made when there is something to write."""
        if self._journal is None:
            path = self._base.path
            if self._file_claim is not None and path is not None:
                self._journal = Journal(journal_beside(path))
            else:
                journal = journal_apart(path)
                journal.parent.mkdir(parents=True, exist_ok=True)
                held = claim(journal)
                self._journal_claim = held if isinstance(held, Claim) else None
                self._journal = Journal(journal)
        return self._journal

    def _guard(self, write: Callable[[], None]) -> None:
        try:
            write()
            self.failing = False
        except OSError as error:
            if not self.failing:
                self._notice(
                    f"Steps are not being kept against a crash in {self._place()}: "
                    f"{why_unwritten(error)}."
                )
            self.failing = True

    def _place(self) -> Path:
        beside = self._file_claim is not None and self._base.path is not None
        return self._base.path.parent if beside and self._base.path else state_folder()

    def _end_journal(self, keep: bool) -> None:
        if self._journal is not None:
            self._journal.close()
            if not keep:
                # Where it cannot be removed, its mark says that all of it is saved.
                with suppress(OSError):
                    self._journal.path.unlink(missing_ok=True)
        if self._journal_claim is not None:
            self._journal_claim.release()
        self._journal = self._journal_claim = None

    def _release(self) -> None:
        if self._file_claim is not None:
            self._file_claim.release()
            self._file_claim = None
