"""Which process works on a session file: a lock that the system frees when the process dies."""

from __future__ import annotations

import errno
import json
import os
import socket
import sys
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from napari_clxem.session.disk import lives

# Where the file system has no locks the note alone must do.
_NO_LOCKS = (errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL)
_LOCKED_BYTE = 2**30  # far behind the note, which Windows would otherwise not let others read


@dataclass(frozen=True)
class Owner:
    """The process that works on a file: its id, computer, and since when (ISO 8601)."""

    pid: int = 0
    host: str = ""
    since: str = ""

    def __str__(self) -> str:
        if not self.pid:
            return "another process"
        here = " on this computer" if self.host == socket.gethostname() else f" on {self.host}"
        return f"process {self.pid}{here} since {self.since}"


class Claim:
    """The hold of this process on a file, until it is released or the process ends."""

    def __init__(self, path: Path, handle: int) -> None:
        self._path = path
        self._handle: int | None = handle

    def release(self) -> None:
        """Let others claim the file; a second call does nothing."""
        if self._handle is None:
            return
        handle, self._handle = self._handle, None
        if sys.platform == "win32":  # an open file cannot be removed there
            os.close(handle)
            with suppress(OSError):
                self._path.unlink(missing_ok=True)
            return
        with suppress(OSError):
            if _same_file(handle, self._path):
                self._path.unlink()
        os.close(handle)


def claim(path: Path) -> Claim | Owner | None:
    """Try to hold the file at `path`, by a lock file beside it.

    Returns
    -------
    Claim, Owner or None
        The claim; the owner, where a living process holds it already; None where no lock file
        can be made, as in a folder that is not writable.
    """
    lock = path.with_name(path.name + ".lock")
    while True:
        try:
            handle = os.open(lock, os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o666)
        except OSError:
            return None
        owner = _lock(handle, lock)
        if owner is not None:
            os.close(handle)
            return owner
        # Between opening and locking, the previous owner may have removed the file.
        if _same_file(handle, lock):
            break
        os.close(handle)
    _sign(handle)
    return Claim(lock, handle)


def owner_of(path: Path) -> Owner | None:
    """Give the living process that holds the file at `path`, if there is one."""
    lock = path.with_name(path.name + ".lock")
    if not lock.exists():
        return None
    held = claim(path)
    if isinstance(held, Claim):
        held.release()
        return None
    return held


def _lock(handle: int, path: Path) -> Owner | None:
    """Lock an open file; give its owner where that is somebody else."""
    try:
        _system_lock(handle)
    except OSError as error:
        note = _note(path)
        if error.errno in _NO_LOCKS and not _alive(note):
            return None
        return note
    return None


if sys.platform == "win32":
    import msvcrt

    def _system_lock(handle: int) -> None:
        os.lseek(handle, _LOCKED_BYTE, os.SEEK_SET)
        msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
else:
    import fcntl

    def _system_lock(handle: int) -> None:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _same_file(handle: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(handle), path.stat())
    except OSError:
        return False


def _sign(handle: int) -> None:
    owner = Owner(os.getpid(), socket.gethostname(), time.strftime("%Y-%m-%d %H:%M"))
    with suppress(OSError):  # on a full disk: the lock holds without the note
        os.ftruncate(handle, 0)
        os.lseek(handle, 0, os.SEEK_SET)
        os.write(handle, json.dumps(asdict(owner)).encode())


def _note(path: Path) -> Owner:
    try:
        note = json.loads(path.read_bytes())
        return Owner(int(note["pid"]), str(note["host"]), str(note["since"]))
    except (OSError, ValueError, KeyError, TypeError):
        return Owner()


def _alive(owner: Owner) -> bool:
    """Say whether the writer of a note may still be there: on another computer it may."""
    if not owner.pid or owner.host != socket.gethostname():
        return bool(owner.pid)
    return owner.pid != os.getpid() and lives(owner.pid)
