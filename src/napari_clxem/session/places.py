"""Where the files of a session are: paths relative to the session file, and back."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path, PurePosixPath

from napari_clxem.errors import SessionError
from napari_clxem.session.model import Dataset, FileRef, Session


def located(file: FileRef) -> Path:
    """Give the absolute path of `file` on this computer, whether or not it is there.

    Raises
    ------
    SessionError
        For a relative path in a session that has no file yet.
    """
    path = Path(file.path)
    if path.is_absolute():
        return path
    if not file.folder:
        raise SessionError(
            f"{file.path!r} is a relative path and the session has no file yet; "
            "save the session, or give the whole path."
        )
    return Path(os.path.normpath(Path(file.folder).resolve() / path))


def anchored(session: Session, folder: Path) -> Session:
    """Give `session` with the paths of its files relative to `folder`.

    A file on another drive keeps its absolute path. The same object is returned where nothing
    changes.
    """
    datasets = tuple(_anchored_dataset(one, folder) for one in session.datasets)
    if all(new is old for new, old in zip(datasets, session.datasets, strict=True)):
        return session
    return replace(session, datasets=datasets)


def _anchored_dataset(dataset: Dataset, folder: Path) -> Dataset:
    file = anchored_file(dataset.file, folder)
    return dataset if file is dataset.file else replace(dataset, file=file)


def anchored_file(file: FileRef, folder: Path) -> FileRef:
    """Give `file` with its path relative to `folder`, where that is possible."""
    if file.folder == str(folder):
        return file
    if not Path(file.path).is_absolute() and not file.folder:
        return replace(file, path=_posix(file.path), folder=str(folder))
    return replace(file, path=relative(located(file), folder), folder=str(folder))


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


def _posix(path: str) -> str:
    return PurePosixPath(Path(path)).as_posix()
