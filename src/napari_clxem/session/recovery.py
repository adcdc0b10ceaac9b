"""After a crash: what the journals hold beyond the session files."""

from __future__ import annotations

import hashlib
import logging
import os
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

from napari_clxem.errors import SessionError
from napari_clxem.session.changes import diff
from napari_clxem.session.checks import check
from napari_clxem.session.claims import owner_of
from napari_clxem.session.files import SUFFIX as FILE_SUFFIX
from napari_clxem.session.files import fingerprint, parse, read, whole_path
from napari_clxem.session.journal import Base, Written, read_journal, replay
from napari_clxem.session.model import Session
from napari_clxem.session.places import anchored

SUFFIX = ".journal"

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Recovery:
    """The last state of a session whose process ended before it was saved.

    Parameters
    ----------
    session : Session
        The document after its last step.
    path : Path or None
        The session file; None for one that was never saved.
    journal : Path
        The journal that holds the steps.
    steps : int
        Number of records beyond the file: steps, where a restarted journal has not joined some.
    label : str
        What the last step was.
    time : int
        When it was made, seconds since 1970.
    damaged : bool
        Whether later steps stand in the journal, but cannot be read.
    """

    session: Session = field(repr=False)
    path: Path | None
    journal: Path
    steps: int
    label: str
    time: int
    damaged: bool = False

    def discard(self) -> None:
        """Remove the journal, where the steps are not wanted."""
        self.journal.unlink(missing_ok=True)


def recover(path: str | Path) -> Session | None:
    """Give the last state of the session at `path`, where a crash left one beyond its file."""
    found = recoverable(path)
    return None if found is None else found.session


def recoverable(path: str | Path) -> Recovery | None:
    """Find what a crash left of the session at `path`, beyond its file.

    Returns
    -------
    Recovery or None
        None where the file holds everything, where another living process has the session open,
        or where the journal continues another version of the file.

    Raises
    ------
    SessionError
        Where the session file, or its journal, cannot be read.
    """
    place = whole_path(path)
    base = base_at(place)
    found = [_readable(one, base, place) for one in (journal_beside(place), *journals_apart(place))]
    return max((one for one in found if one), key=lambda one: one.time, default=None)


def unsaved() -> tuple[Recovery, ...]:
    """List what crashed processes left of sessions that never had a file, the latest first."""
    found = [_readable(one, None, None) for one in journals_apart(None)]
    return tuple(sorted((one for one in found if one), key=lambda one: -one.time))


def recovery(journal: Path, base: Base | None, path: Path | None) -> Recovery | None:
    """Read what `journal` holds beyond the session file `base` at `path`; None for nothing.

    Raises
    ------
    SessionError
        Where the journal cannot be read, or continues another version of the file.
    """
    written = read_journal(journal)
    if written is None:
        return None
    if path is None and _is_saved(written):
        return None
    found = replay(written, base)
    if found is None:
        raise SessionError(f"{journal} continues another version of the session; it is kept.")
    state, steps = found
    if path is not None:
        state = anchored(state, path.parent)
    check(state)
    if base is not None and not diff(base.session, state):
        return None
    last = steps[-1] if steps else written.head
    return Recovery(
        session=state,
        path=path,
        journal=journal,
        steps=len(steps) + (base is None),
        label=str(last.get("label", "")),
        time=int(last.get("time", 0)),
        damaged=written.damaged,
    )


def base_at(path: Path) -> Base | None:
    """Read the session file at `path` as the base of a journal; None where there is none.

    Raises
    ------
    SessionError
        Where it is there and cannot be read.
    """
    if not path.exists():
        return None
    data = read(path)
    return Base(parse(data, path), fingerprint(data), path)


def journal_beside(path: Path) -> Path:
    """Name the journal of the session file at `path`: ``grid.clxem.journal`` beside it."""
    real = path.resolve()
    stem = real.name.removesuffix(".json") if real.name.endswith(FILE_SUFFIX) else real.name
    return real.with_name(stem + SUFFIX)


def journal_apart(path: Path | None) -> Path:
    """Name a new journal in the user's own folder, for a session without a place beside it."""
    return state_folder() / f"{_mark_of(path)}-{uuid4().hex[:12]}{SUFFIX}"


def journals_apart(path: Path | None) -> list[Path]:
    """List the journals in the user's own folder of the session at `path`, or of unsaved ones."""
    return sorted(state_folder().glob(f"{_mark_of(path)}-*{SUFFIX}"))


def state_folder() -> Path:
    """Give the user's folder for journals; the environment's ``CLXEM_STATE`` goes first."""
    import platformdirs

    own = os.environ.get("CLXEM_STATE")
    return Path(own) if own else platformdirs.user_state_path("napari-clxem", appauthor=False)


def _mark_of(path: Path | None) -> str:
    if path is None:
        return "unsaved"
    return hashlib.blake2b(os.fsencode(path.resolve()), digest_size=8).hexdigest()


def _readable(journal: Path, base: Base | None, path: Path | None) -> Recovery | None:
    """Read a journal that nobody is writing; one that cannot be used stays where it is."""
    if owner_of(journal) is not None:
        return None
    try:
        return recovery(journal, base, path)
    except SessionError as error:
        _log.warning("%s", error)
        return None


def _is_saved(written: Written) -> bool:
    """Whether the session was saved as the last thing that its journal tells."""
    last = written.records[-1] if written.records else {}
    if "saved" not in last:
        return False
    path = Path(last["path"])
    return path.is_file() and fingerprint(read(path)) == last["saved"]
