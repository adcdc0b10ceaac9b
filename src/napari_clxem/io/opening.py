"""Open the images of a file, whatever its format."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from napari_clxem.errors import ReadError
from napari_clxem.io.guard import reading
from napari_clxem.io.image import OpenedImage, Orientation
from napari_clxem.io.orienting import oriented
from napari_clxem.io.readers import (
    FolderReader,
    Reader,
    find_folder_reader,
    find_reader,
    named,
)
from napari_clxem.io.stored import Stored

HEAD = 1024


def open_image(
    path: str | Path,
    index: int = 0,
    orientation: Orientation | None = None,
    scale: Sequence[float] | None = None,
) -> OpenedImage:
    """Open one image of a file lazily.

    Parameters
    ----------
    path : str or Path
        A file, or a folder that is an image (OME-Zarr, MAPS): the formats are listed in the
        documentation.
    index : int
        Which image of the file.
    orientation : Orientation, optional
        How its stored axes become (z, y, x); the reader's own guess by default, also for a
        wholly empty orientation.
    scale : sequence of float, optional
        Pixel size of the spatial axes, (z, y, x) or (y, x), µm; overrides the file.

    Returns
    -------
    OpenedImage
        Axes in the order (t, c, z, y, x) as far as present, rows down. Its `scale` is None where
        the file states no usable pixel size and none is given.

    Raises
    ------
    ReadError
        Where the file is missing, damaged, of no known format, or has no such image.
    MissingScaleError
        Where the given scale is no pixel size.
    """
    path = Path(path)
    images = _stored(path)
    if not 0 <= index < len(images):
        raise ReadError(
            f"{path.name} has {len(images)} image{'s' if len(images) > 1 else ''}, counted "
            f"from 0; there is no image {index}."
        )
    return oriented(images[index], orientation, scale)


def open_images(
    path: str | Path, orientation: Orientation | None = None
) -> tuple[OpenedImage, ...]:
    """Open every image of a file lazily; see :func:`open_image`.

    Parameters
    ----------
    path : str or Path
        The file or folder.
    orientation : Orientation, optional
        For all of them.
    """
    return tuple(oriented(image, orientation) for image in _stored(Path(path)))


def can_open(path: str | Path) -> bool:
    """Tell from the first bytes, or from what lies in a folder, whether a reader knows the format.

    True promises no success: the rest of the file may be damaged.
    """
    try:
        return _reader(Path(path).expanduser()) is not None
    except ReadError:
        return False


def standing_file(path: str | Path) -> Path:
    """Give the file that an image is known by: itself, or what describes a folder.

    Parameters
    ----------
    path : str or Path
        A file, or a folder that is an image (OME-Zarr, MAPS).

    Raises
    ------
    ReadError
        Where it is a folder that is no image.
    """
    place = Path(path).expanduser()
    if not place.is_dir():
        return place
    with reading(place):
        reader = find_folder_reader(place)
        found = None if reader is None else reader.standing_file(place)
    if found is None:
        raise ReadError(f"{place} is a folder that is no image; choose a file.")
    return found


def _stored(path: Path) -> tuple[Stored, ...]:
    path = path.expanduser()
    if path.is_dir():
        with reading(path):
            folder = find_folder_reader(path)
            if folder is None:
                raise ReadError(f"{path} is a folder that is no image; give a file in it.")
        with reading(path, folder.KIND):
            return folder.read(path)
    reader = _reader(path)
    if reader is None:
        raise ReadError(
            f"{path.name} is {named(_head(path)) or 'of an unknown or damaged format'}, not an "
            "image that can be opened here; see the list of formats in the documentation."
        )
    with reading(path, reader.KIND):
        return reader.read(path)


def _reader(path: Path) -> Reader | FolderReader | None:
    if path.is_dir():
        with reading(path):
            return find_folder_reader(path)
    return find_reader(path, _head(path))


def _head(path: Path) -> bytes:
    if path.exists() and not path.is_file():
        raise ReadError(f"{path} is a device or a pipe; give a file.")
    with reading(path), path.open("rb") as file:
        head = file.read(HEAD)
    if not head:
        raise ReadError(f"{path.name} is empty; copy it again from where it was made.")
    return head
