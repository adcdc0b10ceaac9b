"""The small pictures beside a session file, shown as long as the images are missing."""

from __future__ import annotations

import io
import json
import re
import time
from collections.abc import Iterable, Mapping, Sequence
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np

from napari_clxem.errors import SessionError
from napari_clxem.io.image import OpenedImage
from napari_clxem.session.disk import replace_file, why_unwritten
from napari_clxem.session.files import read
from napari_clxem.session.lineage import FOLDER, INDEX
from napari_clxem.session.model import Dataset, Session
from napari_clxem.session.opening import frame_scale
from napari_clxem.session.thumbnails import Thumbnail

FORMAT = "napari-clxem travel package"
VERSION = 1
PICTURE = re.compile(rf"{FOLDER}/\d{{3,5}}\.tif")

# What the index says of a picture, and its file.
Picture = tuple[Mapping[str, Any], bytes]


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
    if len(dataset.scale) != len(found["steps"]):
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


def pictures_of(
    index: Mapping[str, Any], files: Mapping[str, bytes] | Path, wanted: Iterable[str]
) -> dict[str, Picture]:
    """Take pictures out of a travel package, or a folder with one unpacked.

    Parameters
    ----------
    index : mapping
        Of the package.
    files : mapping or Path
        What is in the package, or the folder.
    wanted : iterable of str
        Ids of datasets; those without a picture are left out.
    """
    found = {}
    for name in wanted:
        entry = index["images"].get(name)
        if entry is None:
            continue
        file = entry["file"]
        if isinstance(files, Path):
            found[name] = (entry, read(files / file))
        elif file in files:
            found[name] = (entry, files[file])
    return found


def keep_pictures(session_file: Path, session: Session, pictures: Mapping[str, Picture]) -> None:
    """Put pictures of images that were taken elsewhere beside a session file.

    Raises
    ------
    SessionError
        Where they cannot be written, or the travel folder there is damaged.
    """
    if not pictures:
        return
    folder = session_file.parent
    place = folder / INDEX
    index = made_index(session.id, [], {})
    if place.is_file():
        there = parsed_index(read(place), place)
        index = there if there["session"] == session.id else index
    images = dict(index["images"])
    taken = {entry["file"] for entry in images.values()}
    try:
        place.parent.mkdir(exist_ok=True)
    except OSError as error:
        raise SessionError(f"{place} could not be saved: {why_unwritten(error)}.") from error
    for name, (entry, data) in pictures.items():
        file = images[name]["file"] if name in images else _free(taken)
        taken.add(file)
        replace_file(folder / file, data)
        images[name] = {**entry, "file": file}
    replace_file(place, json.dumps({**index, "images": images}, indent=1).encode())


def _free(taken: set[str]) -> str:
    return next(name for n in count() if (name := picture_name(n)) not in taken)


def picture_name(number: int) -> str:
    """Name the file of a picture."""
    return f"{FOLDER}/{number:03d}.tif"


def made_index(session: str, states: Sequence[str], images: Mapping[str, Any]) -> dict[str, Any]:
    """Make the index of a package: which session it is of, and what pictures it holds."""
    return {
        "format": FORMAT,
        "version": VERSION,
        "session": session,
        "made": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "states": list(states),
        "images": dict(images),
    }


def _pictures(session_file: Path | None, session: Session) -> Mapping[str, Any]:
    place = None if session_file is None else session_file.parent / INDEX
    if place is None or not place.is_file():
        return {}
    index = parsed_index(read(place), place)
    images: Mapping[str, Any] = index["images"]
    return images if index["session"] == session.id else {}


def picture_file(small: Thumbnail) -> bytes:
    """Write a thumbnail as the bytes of a TIFF file."""
    import tifffile

    holder = io.BytesIO()
    tifffile.imwrite(holder, small.data, compression="zlib", photometric="minisblack")
    return holder.getvalue()


def picture_entry(small: Thumbnail, dataset: Dataset, file: str) -> dict[str, Any]:
    """Say what a picture shows, for the index."""
    return {
        "file": file,
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


def parsed_index(data: bytes, path: Path) -> dict[str, Any]:
    """Read the index of a package, and see that it is one.

    Raises
    ------
    SessionError
        Where it is damaged, or of another version.
    """
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
        PICTURE.fullmatch(plain["file"]) is not None
        and set(axes) <= {"c", "z", "y", "x"}
        and len(steps) == sum(axis != "c" for axis in axes)
        and all(isinstance(one, int) and one > 0 for one in steps)
        and all(np.isfinite(pair).all() and len(pair) == 2 for pair in limits)
        and isinstance(plain["of"], list)
    )
