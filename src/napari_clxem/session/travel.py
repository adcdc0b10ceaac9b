"""The travel package: a session with small pictures of its images, for where the images are not.

A zip of a few MB holds the document (landmarks, doses, targets), maps and thumbnails, and which
states the session was packed in before. Unpacked, it is a session file with a folder ``travel``
beside it, from which images are shown as long as their files are missing.
"""

from __future__ import annotations

import io
import json
import zipfile
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from napari_clxem.errors import ClxemError, SessionError
from napari_clxem.io.image import OpenedImage
from napari_clxem.session.disk import replace_file, why_unread
from napari_clxem.session.files import LARGEST_BYTES, fingerprint, load, parse, read, written
from napari_clxem.session.lineage import (
    BASE,
    FOLDER,
    INDEX,
    common_start,
    known_states,
    remember,
)
from napari_clxem.session.model import Dataset, Session
from napari_clxem.session.pictures import (
    PICTURE,
    Picture,
    made_index,
    parsed_index,
    picture_entry,
    picture_file,
    picture_name,
    pictures_of,
)
from napari_clxem.session.thumbnails import thumbnail

Opener = Callable[[Dataset], OpenedImage]
Progress = Callable[[float, str], None]

SUFFIX = ".clxem.zip"
DOCUMENT = "session.clxem.json"
# Pixels of all pictures together, one byte each before they are compressed.
BUDGET = 6_000_000
# Maps of the grid are what one finds one's way by: they get most of it, volumes more than planes.
_WEIGHTS = {"map": 6.0, "volume": 2.0, "plane": 1.0}


@dataclass(frozen=True)
class Packed:
    """A travel package that was written.

    Parameters
    ----------
    path : Path
        The zip.
    size : int
        Bytes.
    left_out : tuple of str
        A sentence for each image that has no picture in it, and for whatever else is missing.
    """

    path: Path
    size: int
    left_out: tuple[str, ...] = ()


@dataclass(frozen=True)
class Copy:
    """Another copy of a session.

    Parameters
    ----------
    session : Session
        The copy.
    base : Session or None
        The state that both copies started from, where it can be told for sure.
    pictures : mapping
        Small pictures of the images that only this copy has, by id of dataset.
    """

    session: Session
    base: Session | None = None
    pictures: Mapping[str, Picture] = field(default_factory=dict, repr=False)


def pack(
    session: Session,
    path: str | Path,
    opened: Opener,
    *,
    home: Path | None = None,
    budget: int = BUDGET,
    progress: Progress | None = None,
) -> Packed:
    """Write a travel package.

    Parameters
    ----------
    session : Session
        The document.
    path : str or Path
        The zip to write.
    opened : callable
        Gives the opened image of a dataset; one that raises a `ClxemError` has no picture.
    home : Path, optional
        The session file: beside it is noted which state was packed, so that what comes back can
        be merged without asking more than is needed.
    budget : int
        Pixels of all pictures together.
    progress : callable, optional
        Called with the share done and what comes next; an exception it raises ends the packing,
        and nothing is written.

    Raises
    ------
    SessionError
        Where the zip cannot be written.
    """
    place = Path(path).expanduser().absolute()
    document = written(session)
    pictures: dict[str, Any] = {}
    left_out = []
    holder = io.BytesIO()
    with zipfile.ZipFile(holder, "w", zipfile.ZIP_DEFLATED) as package:
        package.writestr(DOCUMENT, document)
        for number, dataset in enumerate(session.datasets):
            if progress is not None:
                progress(number / len(session.datasets), dataset.name)
            try:
                image = opened(dataset)
            except ClxemError as error:
                left_out.append(f"{dataset.name}: {error}")
                continue
            small = thumbnail(image, _allowed(dataset, session, budget))
            name = picture_name(number)
            package.writestr(name, picture_file(small), zipfile.ZIP_STORED)
            pictures[dataset.id] = picture_entry(small, dataset, name)
        base, states = known_states(home, session.id)
        if base is not None:
            package.writestr(BASE, base)
        index = made_index(session.id, [*states, fingerprint(document)], pictures)
        package.writestr(INDEX, json.dumps(index, indent=1))
    data = holder.getvalue()
    replace_file(place, data)
    try:
        remember(home, session.id, fingerprint(document))
    except SessionError as error:
        left_out.append(f"A later merge will ask about every difference: {error}")
    if progress is not None:
        progress(1.0, "done")
    return Packed(place, len(data), tuple(left_out))


def unpack(path: str | Path, folder: str | Path | None = None) -> Path:
    """Unpack a travel package, and give its session file.

    Parameters
    ----------
    path : str or Path
        The zip.
    folder : str or Path, optional
        Where to; by default a folder of its name beside it. Made where it is missing.

    Raises
    ------
    SessionError
        Where it is no travel package, is damaged, there is a session in the folder already, or
        it cannot be written.
    """
    package = Path(path).expanduser().absolute()
    stem = package.name.removesuffix(SUFFIX).removesuffix(".zip")
    place = package.with_name(stem) if folder is None else Path(folder).expanduser().absolute()
    session_file = place / f"{stem}.clxem.json"
    contents = _contents(package)
    parse(contents[DOCUMENT], package)
    if session_file.exists():
        raise SessionError(f"There is {session_file} already; open that, or choose another folder.")
    try:
        (place / FOLDER).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SessionError(f"{place} cannot be made ({error.strerror}); choose another.") from error
    for name, data in contents.items():
        if name not in (DOCUMENT, BASE):
            replace_file(place / name, data)
    # What the copies will be said to have started from.
    replace_file(place / BASE, contents[DOCUMENT])
    replace_file(session_file, contents[DOCUMENT])
    return session_file


def session_path(path: str | Path) -> Path:
    """Give the session file at `path`: a travel package is unpacked beside itself first.

    Raises
    ------
    SessionError
        Where it is a package that cannot be unpacked; see `unpack`.
    """
    place = Path(path)
    return unpack(place) if place.name.endswith(SUFFIX) else place


def another_copy(path: str | Path, ours: Session, home: Path | None = None) -> Copy:
    """Read another copy of a session: a travel package or a session file.

    Parameters
    ----------
    path : str or Path
        The other copy.
    ours : Session
        The one that is open.
    home : Path, optional
        Its file.

    Returns
    -------
    Copy
        With the state both started from where it can be told for sure.

    Raises
    ------
    SessionError
        Where it cannot be read.
    """
    place = Path(path).expanduser().absolute()
    base, states = known_states(home, ours.id)
    files: Path | Mapping[str, bytes] = place.parent
    index: Mapping[str, Any] = {"images": {}}
    if place.name.endswith(".json"):
        theirs = load(place)
        their_base, their_states = known_states(place, theirs.id)
        their_states = [*their_states, fingerprint(read(place))]
        if (place.parent / INDEX).is_file():
            index = parsed_index(read(place.parent / INDEX), place.parent / INDEX)
    else:
        files = contents = _contents(place)
        theirs = parse(contents[DOCUMENT], place)
        their_base = contents.get(BASE)
        index = parsed_index(contents[INDEX], place)
        their_states = index["states"]
    start = common_start((base, states), (their_base, their_states))
    known = {one.id for one in ours.datasets}
    new = [one.id for one in theirs.datasets if one.id not in known]
    return Copy(
        theirs,
        None if start is None else parse(start, place),
        pictures_of(index, files, new),
    )


def _allowed(dataset: Dataset, session: Session, budget: int) -> int:
    total = sum(_WEIGHTS[_kind(one)] for one in session.datasets)
    return max(1, int(budget * _WEIGHTS[_kind(dataset)] / total))


def _kind(dataset: Dataset) -> str:
    if "z" in dataset.axes:
        return "volume"
    return "map" if dataset.site is None else "plane"


def _contents(path: Path) -> dict[str, bytes]:
    """Read a travel package: what belongs in it, and nothing else."""
    try:
        with zipfile.ZipFile(path) as package:
            names = [one for one in package.namelist() if _belongs(one)]
            if DOCUMENT not in names or INDEX not in names:
                raise SessionError(f"{path.name} is a zip, but no travel package of napari-clxem.")
            if sum(package.getinfo(name).file_size for name in names) > LARGEST_BYTES:
                raise SessionError(f"{path.name} is too large for a travel package.")
            found = {name: _member(package, name) for name in names}
    except OSError as error:
        raise SessionError(f"{path} cannot be read: {why_unread(error)}.") from error
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, NotImplementedError) as error:
        raise SessionError(
            f"{path.name} is no travel package, or is damaged ({error}); copy it again."
        ) from error
    parsed_index(found[INDEX], path)
    return found


def _member(package: zipfile.ZipFile, name: str) -> bytes:
    size = package.getinfo(name).file_size
    with package.open(name) as member:
        return member.read(size)


def _belongs(name: str) -> bool:
    return name in (DOCUMENT, INDEX, BASE) or PICTURE.fullmatch(name) is not None
