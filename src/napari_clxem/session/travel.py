"""The travel package: a session with small pictures of its images, for where the images are not.

A zip of a few MB holds the document (landmarks, doses, targets), maps and thumbnails, and which
states the session was packed in before. Unpacked, it is a session file with a folder ``travel``
beside it, from which images are shown as long as their files are missing.
"""

from __future__ import annotations

import io
import json
import re
import time
import zipfile
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

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
from napari_clxem.session.opening import frame_scale
from napari_clxem.session.thumbnails import Thumbnail, thumbnail

Opener = Callable[[Dataset], OpenedImage]
Progress = Callable[[float, str], None]

SUFFIX = ".clxem.zip"
DOCUMENT = "session.clxem.json"
FORMAT = "napari-clxem travel package"
VERSION = 1
# Pixels of all pictures together, one byte each before they are compressed.
BUDGET = 6_000_000
# Maps of the grid are what one finds one's way by: they get most of it, volumes more than planes.
_WEIGHTS = {"map": 6.0, "volume": 2.0, "plane": 1.0}
_PICTURE = re.compile(rf"{FOLDER}/\d{{3,5}}\.tif")


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
    """Another copy of a session, and the state that both copies started from, if it is known."""

    session: Session
    base: Session | None = None


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
            name = f"{FOLDER}/{number:03d}.tif"
            package.writestr(name, _tiff(small), zipfile.ZIP_STORED)
            pictures[dataset.id] = {"file": name, **_described(small, dataset)}
        base, states = known_states(home, session.id)
        if base is not None:
            package.writestr(BASE, base)
        index = {
            "format": FORMAT,
            "version": VERSION,
            "session": session.id,
            "made": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "states": [*states, fingerprint(document)],
            "images": pictures,
        }
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
    if place.name.endswith(".json"):
        theirs = load(place)
        their_base, their_states = known_states(place, theirs.id)
        their_states = [*their_states, fingerprint(read(place))]
    else:
        contents = _contents(place)
        theirs = parse(contents[DOCUMENT], place)
        their_base = contents.get(BASE)
        their_states = _index(contents[INDEX], place)["states"]
    start = common_start((base, states), (their_base, their_states))
    return Copy(theirs, None if start is None else parse(start, place))


def stand_in(session_file: Path | None, session: Session, dataset: Dataset) -> OpenedImage | None:
    """Give the small picture of a dataset, as an image in the dataset's own frame.

    Parameters
    ----------
    session_file : Path or None
        The session file, beside which the travel folder lies.
    session : Session
        The document.
    dataset : Dataset
        One of its datasets.

    Returns
    -------
    OpenedImage or None
        None where there is no picture of it as it is: no travel folder, or the image was turned
        or exchanged since. Values are those of the whole image, to 8 bits.

    Raises
    ------
    SessionError
        Where the travel folder is damaged.
    """
    found = _pictures(session_file, session).get(dataset.id)
    if session_file is None or found is None or found["of"] != _marks(dataset):
        return None
    if dataset.scale is None:
        return None
    data = _values(session_file.parent / found["file"], found)
    scale = tuple(s * n for s, n in zip(dataset.scale, found["steps"], strict=True))
    axes = tuple(found["axes"])
    return OpenedImage(
        levels=(data,),
        axes=axes,
        scale=frame_scale(dataset, scale, axes),
        channels=dataset.channels,
        stage=dataset.stage,
        orientation=dataset.orientation,
        name=f"{dataset.name} (small picture)",
    )


def pictured(session_file: Path | None, session: Session) -> frozenset[str]:
    """Give the ids of the datasets that `stand_in` has a picture of.

    Raises
    ------
    SessionError
        Where the travel folder is damaged.
    """
    known = _pictures(session_file, session)
    return frozenset(
        one.id
        for one in session.datasets
        if one.id in known and one.scale is not None and known[one.id]["of"] == _marks(one)
    )


def _pictures(session_file: Path | None, session: Session) -> Mapping[str, Any]:
    place = None if session_file is None else session_file.parent / INDEX
    if place is None or not place.is_file():
        return {}
    index = _index(read(place), place)
    images: Mapping[str, Any] = index["images"]
    return images if index["session"] == session.id else {}


def _allowed(dataset: Dataset, session: Session, budget: int) -> int:
    total = sum(_WEIGHTS[_kind(one)] for one in session.datasets)
    return max(1, int(budget * _WEIGHTS[_kind(dataset)] / total))


def _kind(dataset: Dataset) -> str:
    if "z" in dataset.axes:
        return "volume"
    return "map" if dataset.site is None else "plane"


def _tiff(small: Thumbnail) -> bytes:
    import tifffile

    holder = io.BytesIO()
    tifffile.imwrite(holder, small.data, compression="zlib", photometric="minisblack")
    return holder.getvalue()


def _described(small: Thumbnail, dataset: Dataset) -> dict[str, Any]:
    return {
        "axes": list(small.axes),
        "steps": list(small.steps),
        "limits": [list(one) for one in small.limits],
        "of": _marks(dataset),
    }


def _marks(dataset: Dataset) -> list[Any]:
    """Give what a picture depends on besides the pixels: the image's size and how it is turned."""
    turn = dataset.orientation
    return [list(dataset.shape), list(turn.axes), list(turn.flip)]


def _values(path: Path, found: Mapping[str, Any]) -> Any:
    import tifffile

    try:
        data = tifffile.imread(path).astype(np.float32)
    except (OSError, ValueError, tifffile.TiffFileError) as error:
        raise SessionError(f"{path} cannot be read ({error}); unpack the package again.") from error
    if data.ndim != len(found["axes"]):
        raise SessionError(f"{path} is not the picture it should be; unpack the package again.")
    limits = np.array(found["limits"], dtype=np.float32)
    shape = [len(limits) if axis == "c" else 1 for axis in found["axes"]]
    low, high = (limits[:, side].reshape(shape) for side in (0, 1))
    return low + data / 255 * (high - low)


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
    _index(found[INDEX], path)
    return found


def _member(package: zipfile.ZipFile, name: str) -> bytes:
    size = package.getinfo(name).file_size
    with package.open(name) as member:
        return member.read(size)


def _belongs(name: str) -> bool:
    return name in (DOCUMENT, INDEX, BASE) or _PICTURE.fullmatch(name) is not None


def _index(data: bytes, path: Path) -> dict[str, Any]:
    try:
        found = json.loads(data)
        good = found["format"] == FORMAT and found["version"] == VERSION
        images, states = found["images"], found["states"]
        good = good and isinstance(found["session"], str)
        good = good and all(isinstance(one, str) for one in states)
        good = good and all(_is_picture(one) for one in images.values())
    except (ValueError, KeyError, TypeError, AttributeError):
        good = False
    if not good:
        raise SessionError(
            f"{path.name} holds a travel package of another version, or a damaged one; pack it "
            "again where it comes from."
        )
    return dict(found)


def _is_picture(plain: Mapping[str, Any]) -> bool:
    axes, steps, limits = plain["axes"], plain["steps"], plain["limits"]
    return (
        _PICTURE.fullmatch(plain["file"]) is not None
        and set(axes) <= {"c", "z", "y", "x"}
        and len(steps) == sum(axis != "c" for axis in axes)
        and all(isinstance(one, int) and one > 0 for one in steps)
        and all(np.isfinite(pair).all() and len(pair) == 2 for pair in limits)
        and isinstance(plain["of"], list)
    )
