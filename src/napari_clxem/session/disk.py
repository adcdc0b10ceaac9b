"""Writing a file so that at every instant either the old or the new one is there, whole."""

from __future__ import annotations

import contextlib
import errno
import glob
import os
import shutil
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path

from napari_clxem.errors import SessionError

# Nobody takes an hour to write a session.
_ABANDONED_S = 3600.0
_PAUSES_S = (0.02, 0.1, 0.4)

_UNREADABLE = {
    errno.ENOENT: "it is not there; check the name",
    errno.ENOTDIR: "part of the path is a file, not a folder; check the name",
    errno.EISDIR: "it is a folder; choose a file",
    errno.EACCES: "you may not read it; ask its owner",
    errno.EPERM: "you may not read it; ask its owner",
}
_UNWRITABLE = {
    errno.ENOSPC: "the disk is full; free some space or save somewhere else",
    errno.EDQUOT: "your quota on the disk is used up; free some space or save somewhere else",
    errno.EFBIG: "the file would be larger than is allowed here; save somewhere else",
    errno.EACCES: "you may not write there; save somewhere else",
    errno.EPERM: "you may not write there; save somewhere else",
    errno.EROFS: "the disk is read-only; save somewhere else",
    errno.ENOENT: "the folder does not exist; create it or save somewhere else",
    errno.ENOTDIR: "part of the path is a file, not a folder; save somewhere else",
    errno.EISDIR: "there is a folder of that name; choose another name",
    errno.ENAMETOOLONG: "the name is too long; choose a shorter one",
}


def why_unread(error: OSError) -> str:
    """Say in words why a file could not be read, and what to do."""
    return _UNREADABLE.get(error.errno or 0) or _system_words(error)


def why_unwritten(error: OSError) -> str:
    """Say in words why a file could not be written, and what to do."""
    return _UNWRITABLE.get(error.errno or 0) or _system_words(error)


def _system_words(error: OSError) -> str:
    words = error.strerror or str(error)
    return f"{words[:1].lower()}{words[1:]}; check the disk"


def replace_file(
    path: Path, content: bytes, backup: Path | None = None, before: Callable[[], None] | None = None
) -> None:
    """Put `content` at `path` atomically.

    Parameters
    ----------
    path : Path
        The file; a symbolic link is followed.
    content : bytes
        What it shall hold.
    backup : Path, optional
        Where the previous file is kept, if there is one and it differs.
    before : callable, optional
        Called when the new file is safely on the disk, just before it takes the place of the old.

    Raises
    ------
    SessionError
        Where the file cannot be written; whatever was at `path` is then still there, whole.
    """
    put(path, stage(path, content, backup), before)


def stage(path: Path, content: bytes, backup: Path | None = None) -> Path:
    """Bring `content` to the disk beside `path`, and keep the previous file; see `replace_file`.

    Returns
    -------
    Path
        The file that :func:`put` puts in place, or that is to be removed.
    """
    target = path.resolve()
    temporary = temporary_name(target)
    try:
        _write(temporary, content)
        if target.exists():
            shutil.copymode(target, temporary)
            if backup is not None and not _holds(target, content):
                _keep(target, backup)
    except OSError as error:
        discard(temporary)
        raise _unsaved(path, error) from error
    return temporary


def put(path: Path, staged: Path, before: Callable[[], None] | None = None) -> None:
    """Put what was staged at `path`, in one step; see `replace_file`."""
    target = path.resolve()
    try:
        if before is not None:
            before()
        put_in_place(staged, target)
        _sync_folder(target.parent)
    except OSError as error:
        raise _unsaved(path, error) from error
    finally:
        discard(staged)


def _unsaved(path: Path, error: OSError) -> SessionError:
    kept = "; the previous file is untouched" if path.is_file() else ""
    return SessionError(f"{path} could not be saved: {why_unwritten(error)}{kept}.")


def put_in_place(temporary: Path, path: Path) -> None:
    """Rename a file to `path`, in place of the one there.

    On Windows a virus scanner or a cloud client may hold a new file for a moment: then it is
    tried again.
    """
    for pause in _PAUSES_S:
        try:
            temporary.replace(path)
        except PermissionError as error:
            if getattr(error, "winerror", None) not in (5, 32):
                raise
            time.sleep(pause)
        else:
            return
    temporary.replace(path)


def discard(temporary: Path) -> None:
    """Remove what was staged, where it is still there."""
    with contextlib.suppress(OSError):  # what remains is removed by the next `sweep`
        temporary.unlink(missing_ok=True)


def _write(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _holds(path: Path, content: bytes) -> bool:
    return path.stat().st_size == len(content) and path.read_bytes() == content


def _keep(path: Path, backup: Path) -> None:
    """Give the file at `path` a second name; `path` itself is there all along."""
    temporary = temporary_name(backup)
    temporary.unlink(missing_ok=True)
    try:
        try:
            os.link(path, temporary)
        except OSError:  # a file system without hard links
            shutil.copyfile(path, temporary)
        put_in_place(temporary, backup)
    finally:
        discard(temporary)


def _sync_folder(folder: Path) -> None:
    """Make the new name last through a power cut, on systems where a folder can be synced."""
    if sys.platform == "win32":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP, errno.EBADF):
            raise
    finally:
        os.close(handle)


def temporary_name(path: Path) -> Path:
    """Give the name under which this process writes what is to stand at `path`."""
    return path.with_name(f".{path.name}.{_host()}-{os.getpid()}.tmp")


def sweep(path: Path) -> None:
    """Remove what a process that died while writing `path` has left beside it."""
    for left in path.parent.glob(f".{glob.escape(path.name)}*.tmp"):
        host, _, pid = left.name[:-4].rpartition("-")
        ours = host.endswith(f".{_host()}") and pid.isdigit()
        with contextlib.suppress(OSError):
            old = time.time() - left.stat().st_mtime > _ABANDONED_S
            if old or (ours and not lives(int(pid))):
                left.unlink()


def lives(pid: int) -> bool:
    """Whether a process of this computer may still be there; on Windows it always may."""
    if sys.platform == "win32":
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _host() -> str:
    return "".join(c for c in socket.gethostname() if c.isalnum() or c in "-_")[:32]
