"""Where the files of a session are: paths relative to the session file, and back."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path, PurePath, PurePosixPath, PureWindowsPath

from napari_clxem.errors import SessionError
from napari_clxem.session.model import FileRef, Session


def located(file: FileRef) -> Path:
    """Give the absolute path of `file` on this computer, whether or not it is there.

    Raises
    ------
    SessionError
        For a relative path in a session that has no file yet.
    """
    if _is_whole(file.path):
        return Path(file.path)
    if not file.folder:
        raise SessionError(
            f"{file.path!r} is a relative path and the session has no file yet; "
            "save the session, or give the whole path."
        )
    return Path(os.path.normpath(Path(file.folder).resolve() / file.path))


def found_file(file: FileRef, folder: Path | None = None) -> Path:
    """Find `file` on this computer.

    Parameters
    ----------
    file : FileRef
        The file of a dataset.
    folder : Path, optional
        What a relative path starts from, where the session does not say.

    Raises
    ------
    SessionError
        Where it is not there, saying what to do.
    """
    path = located(file if folder is None else anchored_file(file, folder))
    if not path.exists():
        raise SessionError(
            f"{path.name} is not in {path.parent}; relink the session to the folder where it is "
            "now."
        )
    return path


def anchored(session: Session, folder: Path) -> Session:
    """Give `session` with the paths of its files relative to `folder`.

    A file on another drive keeps its absolute path. The same object is returned where nothing
    changes.
    """
    return _with_files(session, lambda file: anchored_file(file, folder))


def detached(session: Session) -> Session:
    """Give `session` with absolute paths, as long as it has no file of its own."""
    return _with_files(session, detached_file)


def _with_files(session: Session, change: Callable[[FileRef], FileRef]) -> Session:
    files = [change(one.file) for one in session.datasets]
    pairs = list(zip(session.datasets, files, strict=True))
    if all(file is one.file for one, file in pairs):
        return session
    return replace(
        session,
        datasets=tuple(one if file is one.file else replace(one, file=file) for one, file in pairs),
    )


def detached_file(file: FileRef) -> FileRef:
    """Give `file` with an absolute path, where what it starts from is known."""
    if not file.folder:
        return file
    return replace(file, path=located(file).as_posix(), folder="")


def anchored_file(file: FileRef, folder: Path) -> FileRef:
    """Give `file` with its path relative to `folder`, where that is possible."""
    if Path(file.path).is_absolute() or (file.folder and not _is_whole(file.path)):
        if file.folder == str(folder) and not _is_whole(file.path):
            return file
        path = relative(located(file), folder)
    else:  # relative to a folder not known before, or absolute on another kind of computer
        path = file.path if _is_whole(file.path) else PurePath(file.path).as_posix()
    anchored = replace(file, path=path, folder=str(folder))
    return file if (anchored.path, anchored.folder) == (file.path, file.folder) else anchored


def relative(path: Path, folder: Path) -> str:
    """Give `path` from `folder` with POSIX separators; the absolute path on another drive."""
    if path.is_relative_to(folder):
        return path.relative_to(folder).as_posix()
    # ".." means the parent of the real folder, so links on the way are resolved first.
    whole = path.parent.resolve() / path.name
    try:
        return Path(os.path.relpath(whole, folder.resolve())).as_posix()
    except ValueError:  # another drive
        return path.as_posix()


def _is_whole(path: str) -> bool:
    """Whether a path is absolute, here or on another kind of computer."""
    return PurePosixPath(path).is_absolute() or PureWindowsPath(path).is_absolute()
