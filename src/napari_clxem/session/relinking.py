"""Finding the files of a session again after they moved."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from napari_clxem.errors import ReadError, SessionError
from napari_clxem.session.fingerprint import fingerprint
from napari_clxem.session.model import Dataset, FileRef, Session
from napari_clxem.session.places import anchored_file, located


def missing_files(session: Session, base_dir: str | Path | None = None) -> tuple[Dataset, ...]:
    """Give the datasets whose file is not where the session says.

    Parameters
    ----------
    session : Session
        The document.
    base_dir : str or Path, optional
        What relative paths start from, where the session does not say.
    """
    base = _folder(base_dir)
    return tuple(one for one in session.datasets if not _is_there(one.file, base))


def relink(
    session: Session,
    base_dir: str | Path | None,
    search_dir: str | Path,
    progress: Callable[[float, str], None] | None = None,
) -> tuple[Session, tuple[Dataset, ...]]:
    """Find moved files by their fingerprint, whatever they are called now.

    Files that are where the session says are left alone. Of several copies the one whose path
    is most like the old one is taken.

    Parameters
    ----------
    session : Session
        The document.
    base_dir : str, Path or None
        Folder of the session file, from which new paths are written; None for a session that
        has no file: paths are then absolute.
    search_dir : str or Path
        Folder to look in, with all folders below it.
    progress : callable, optional
        Called with 0 and the folder that is looked in; an exception it raises ends the search.

    Returns
    -------
    Session
        With the paths of the files that were found.
    tuple of Dataset
        Those still missing: not found, or without a fingerprint to know them by.

    Raises
    ------
    SessionError
        Where `search_dir` is not a folder.
    """
    place = Path(search_dir).expanduser().absolute()
    if not place.is_dir():
        raise SessionError(f"{place} is not a folder; choose the one that holds the files now.")
    base = _folder(base_dir)
    lost = missing_files(session, base)
    found = _found([one.file for one in lost if one.file.fingerprint], place, progress)
    if not found:
        return session, lost
    datasets = tuple(
        replace(one, file=_moved(one.file, found[one.file], base))
        if one in lost and one.file in found
        else one
        for one in session.datasets
    )
    return replace(session, datasets=datasets), tuple(one for one in lost if one.file not in found)


def _found(
    files: Sequence[FileRef], folder: Path, progress: Callable[[float, str], None] | None
) -> dict[FileRef, Path]:
    """Look below `folder` for the files, reading only those of a size that is wanted."""
    wanted = {(file.size, file.fingerprint): file for file in files}
    files_by_mark: dict[tuple[int, str], list[Path]] = {mark: [] for mark in wanted}
    sizes = {size for size, _ in wanted}
    if not sizes:
        return {}
    here = None
    for path in _files_below(folder):
        if progress is not None and path.parent != here:
            here = path.parent
            progress(0.0, here.name)
        try:
            if path.stat().st_size in sizes:
                mark = fingerprint(path)
                files_by_mark.get(mark, []).append(path)
        except (OSError, ReadError):  # gone, or not ours to read: then it cannot be the one
            continue
    return {
        file: max(paths, key=lambda path: _likeness(path, file))
        for file in files
        if (paths := files_by_mark[file.size, file.fingerprint])
    }


def _files_below(folder: Path) -> Iterable[Path]:
    for here, folders, names in os.walk(folder):
        folders.sort()
        for name in sorted(names):
            yield Path(here, name)


def _likeness(path: Path, file: FileRef) -> tuple[int, int]:
    """Count the last parts that two paths share; of equals, the shorter path is better."""
    old = file.path.replace("\\", "/").split("/")
    new = path.parts
    shared = 0
    for a, b in zip(reversed(old), reversed(new), strict=False):
        if a != b:
            break
        shared += 1
    return shared, -len(new)


def _moved(file: FileRef, path: Path, base: Path | None) -> FileRef:
    moved = replace(file, path=path.as_posix(), folder="")
    return moved if base is None else anchored_file(moved, base)


def _is_there(file: FileRef, base: Path | None) -> bool:
    known = file if base is None or file.folder else anchored_file(file, base)
    try:
        return located(known).exists()
    except SessionError:  # a relative path and nothing that it starts from
        return False


def _folder(path: str | Path | None) -> Path | None:
    return None if path is None else Path(path).expanduser().absolute()
