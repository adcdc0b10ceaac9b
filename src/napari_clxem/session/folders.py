"""A grid proposed from a folder: what is there, what it seems to be, and what could not be read.

The proposal is shown, corrected by the user, and only then becomes a session.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path, PurePath

from napari_clxem.errors import ClxemError, ReadError
from napari_clxem.io.image import OpenedImage
from napari_clxem.session.description import describe
from napari_clxem.session.disk import why_unread
from napari_clxem.session.fingerprint import fingerprint
from napari_clxem.session.guesses import guess_modality, guess_site
from napari_clxem.session.model import Dataset, Session
from napari_clxem.session.opening import dataset_of_image
from napari_clxem.session.proposal import Entry, Proposal, Unread

Progress = Callable[[float, str], None]

# A folder of more files than this is a disk, not a grid.
MOST_FILES = 5000
DESCRIPTION = "grid.json"
SESSION = ".clxem.json"
# Files that are looked into whatever their first bytes are.
IMAGES = re.compile(
    "tiff?|mrcs?|map|rec|st|ali|preali|lif|xlef|lof|nd2|czi|t?xrm|h5|hdf5|nxs|dm3|dm4|zarr"
)
# Files that belong to an image or to the session, and are no image of their own.
COMPANIONS = re.compile("mdoc|nav|idoc|bak|journal|kept|lock|tmp|xf|tlt|rawtlt|aln|com|mod")
# Names that programs give by default.
_MEANINGLESS = re.compile(r"(?i)(image|series|untitled|stack|new)[ _#:]*\d*")


def propose(folder: str | Path, progress: Progress | None = None) -> Proposal:
    """Look through a folder and propose its grid.

    A ``grid.json`` in it is followed; without one, modality and site are guessed from headers
    and names, with the reason. Folders below are looked through; links to folders elsewhere are
    not followed. Opening reads headers only.

    Parameters
    ----------
    folder : str or Path
        The folder.
    progress : callable, optional
        Called with the share done and the file that comes next; an exception it raises ends the
        search.

    Raises
    ------
    ReadError
        Where it is not a folder, cannot be read, or holds more than 5000 files.
    """
    place = Path(folder).expanduser().absolute()
    if not place.is_dir():
        raise ReadError(f"{place} is not a folder; choose the one that holds the grid's files.")
    # Some programs keep one image in a folder: that is then all of the grid.
    whole = _is_image(place)
    lost: list[Unread] = []
    files = [place] if whole else list(_files(place, progress, lost))
    described, unread = _description(place, files)
    files = [one for one in files if one != place / DESCRIPTION]
    proposal = _sorted(place.parent if whole else place, files, described, progress)
    return replace(
        proposal,
        folder=place,
        entries=_named(proposal.entries, described),
        unread=(*unread, *lost, *proposal.unread),
        described=described,
    )


def _description(folder: Path, files: list[Path]) -> tuple[Session | None, tuple[Unread, ...]]:
    path = folder / DESCRIPTION
    if path not in files:
        return None, ()
    try:
        return describe(path), ()
    except ClxemError as error:
        return None, (Unread(path, f"{error} The files were looked at without it."),)


def _sorted(
    folder: Path, files: list[Path], described: Session | None, progress: Progress | None
) -> Proposal:
    entries = [] if described is None else [_of_description(one) for one in described.datasets]
    known = {one.dataset.file.path for one in entries}
    seen = {one.dataset.file.fingerprint: one.dataset.file.path for one in entries}
    unread: list[Unread] = []
    others: list[Path] = []
    sessions = [one for one in files if one.name.endswith(SESSION)]
    for number, path in enumerate(files):
        if progress is not None:
            progress(number / len(files), path.name)
        if path in sessions or _belongs(path, files) or path.as_posix() in known:
            continue
        if not _may_be_image(path):
            others.append(path)
            continue
        try:
            found = _opened(path, folder)
        except ClxemError as error:
            unread.append(Unread(path, str(error)))
            continue
        if not found:
            others.append(path)
            continue
        mark = found[0].dataset.file.fingerprint
        # A folder is known by the file that describes it, which may be alike in two of them.
        if mark in seen and path.is_file():
            unread.append(Unread(path, f"It is a copy of {Path(seen[mark]).name}; left out."))
            continue
        seen[mark] = path.as_posix()
        # What a description leaves out is offered, and left out until it is asked for.
        entries += [replace(one, use=described is None) for one in found]
    if progress is not None:
        progress(1.0, "done")
    return Proposal(folder, tuple(entries), tuple(unread), tuple(others), tuple(sessions))


def _files(folder: Path, progress: Progress | None, unread: list[Unread]) -> Iterator[Path]:
    """Give the files below a folder; a folder that is one image counts as one.

    Folders that cannot be read are added to `unread`.
    """
    count = 0

    def unreadable(error: OSError) -> None:
        place = Path(error.filename or folder)
        reason = f"{place.name} cannot be read: {why_unread(error)}."
        if place == folder:
            raise ReadError(reason) from error
        unread.append(Unread(place, reason))

    for here, folders, names in os.walk(folder, onerror=unreadable):
        if progress is not None:
            progress(0.0, Path(here).name)
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        whole = [name for name in folders if _is_image(Path(here, name))]
        folders[:] = [name for name in folders if name not in whole]
        for name in sorted([*names, *whole]):
            if name.startswith("."):
                continue
            count += 1
            if count > MOST_FILES:
                raise ReadError(
                    f"{folder} holds more than {MOST_FILES} files; choose the folder of one grid."
                )
            yield Path(here, name)


def _suffix(path: Path) -> str:
    return path.suffix.lower().lstrip(".")


def _belongs(path: Path, files: list[Path]) -> bool:
    """Whether a file is part of another: a header beside its image, an image of a project."""
    if _suffix(path) == "lof":
        return any(_suffix(one) == "xlef" and one.parent in path.parents for one in files)
    return COMPANIONS.fullmatch(_suffix(path)) is not None


def _is_image(folder: Path) -> bool:
    from napari_clxem.io import can_open

    return _suffix(folder) == "zarr" or can_open(folder)


def _may_be_image(path: Path) -> bool:
    from napari_clxem.io import can_open

    return bool(IMAGES.fullmatch(_suffix(path))) or can_open(path)


def _opened(path: Path, folder: Path) -> list[Entry]:
    """Describe every image of a file; what only serves to normalise others is left out.

    Raises
    ------
    ClxemError
        Where it cannot be opened.
    """
    from napari_clxem.io import open_images

    images = open_images(path)
    mark = fingerprint(path)
    relative = path.relative_to(folder)
    return [
        _entry(image, dataset_of_image(image, path, index, mark), relative)
        for index, image in enumerate(images)
        if image.meta.get("role") not in ("flat", "dark")
    ]


def _entry(image: OpenedImage, dataset: Dataset, path: PurePath) -> Entry:
    if _MEANINGLESS.fullmatch(dataset.name):
        number = f" #{dataset.file.index}" if dataset.file.index else ""
        dataset = replace(dataset, name=path.name.split(".")[0] + number)
    modality = guess_modality(image, path)
    site = guess_site(path)
    return Entry(dataset, modality.value, site.value, modality.reason, site.reason)


def _of_description(dataset: Dataset) -> Entry:
    said = f"{DESCRIPTION} says so"
    return Entry(dataset, dataset.modality, dataset.site or "", said, said)


def _named(entries: tuple[Entry, ...], described: Session | None) -> tuple[Entry, ...]:
    """Give every entry a name of its own: with its folder where two files are called alike."""
    plain = [one.dataset.name for one in entries]
    taken = set() if described is None else {one.name for one in described.frames}
    found = []
    for entry, name in zip(entries, plain, strict=True):
        if entry.dataset.frame:  # described: it has its names
            taken.add(name)
            found.append(entry)
            continue
        file = Path(entry.dataset.file.path)
        if plain.count(name) > 1:
            name = f"{file.parent.name}/{name}"
        if name in taken:
            name = f"{file.parent.name}/{file.name}"
        free, number = name, 1
        while free in taken:
            number += 1
            free = f"{name} ({number})"
        taken.add(free)
        found.append(replace(entry, dataset=replace(entry.dataset, name=free)))
    return tuple(found)
