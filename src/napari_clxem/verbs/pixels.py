"""Images of verbs: opened with a pixel size, and written as MRC."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_clxem.errors import ImageError, MissingScaleError, WriteError
from napari_clxem.io.image import OpenedImage

Floats = NDArray[np.floating[Any]]
# As IMOD marks its files; rows of a file with it are counted from the bottom.
_STAMP = 1146047817
_ANGSTROM = 1e4
_AGREE = 0.01


@dataclass(frozen=True, eq=False)
class Input:
    """An image file as a calculation takes it.

    Attributes
    ----------
    name : str
        Of the file.
    data : array_like
        (z, y, x), (y, x), or of a series (n, y, x); lazily.
    spacing : tuple of float
        Pixel size, µm, one per spatial axis: two of a series.
    meta : dict
        What the file says besides.
    flip : tuple of str
        Axes that were turned at opening.
    """

    name: str
    data: Any
    spacing: tuple[float, ...]
    meta: dict[str, Any] = field(default_factory=dict)
    flip: tuple[str, ...] = ()


def volume(path: str, pixel: float | None = None, image: int = 0) -> Input:
    """Open a tomogram (z, y, x) or an image (y, x).

    Raises
    ------
    ClxemError
        Where it cannot be opened, has other axes, or no pixel size is known.
    """
    from napari_clxem.io import open_image

    found = open_image(path, index=image)
    name = Path(path).name
    data, axes = _squeezed(found)
    if axes not in (("z", "y", "x"), ("y", "x")):
        raise ImageError(
            f"{name} has axes ({', '.join(axes)}); give a tomogram (z, y, x) or an image (y, x)."
        )
    return Input(name, data, _spacing(name, found, len(axes), pixel), dict(found.meta))


def series(path: str, pixel: float | None = None, image: int = 0) -> Input:
    """Open a series of images (n, y, x), whatever its file calls the first axis.

    Raises
    ------
    ClxemError
        Where it cannot be opened, is no series, or no pixel size is known.
    """
    from napari_clxem.io import open_image

    found = open_image(path, index=image)
    name = Path(path).name
    data = _images(name, found)
    if len(data.shape) != 3:
        raise ImageError(f"{name} is one image; give a series of tilted images (n, y, x).")
    spacing = _spacing(name, found, 2, pixel)
    return Input(name, data, spacing, dict(found.meta), found.orientation.flip)


def images(found: OpenedImage, name: str, pixel: float | None, *, scaled: bool = True) -> Input:
    """Take an opened image, or a series, whose pixel size is not needed unless `scaled`."""
    data = _images(name, found)
    spacing = _spacing(name, found, 2, pixel) if scaled else ()
    return Input(name, data, spacing, dict(found.meta))


def same_spacing(one: Input, other: Input) -> None:
    """Raise where two files differ in pixel size by more than a hundredth."""
    if not np.allclose(one.spacing, other.spacing, rtol=_AGREE):
        raise ImageError(
            f"{one.name} has pixels of {_by(one.spacing)} µm, {other.name} of "
            f"{_by(other.spacing)} µm; resample one, or give the true size with --pixel."
        )


def pair(one: str, other: str, pixel: float | None) -> tuple[Input, Input]:
    """Open two tomograms or images of one shape and pixel size."""
    first, second = volume(one, pixel), volume(other, pixel)
    if first.data.shape != second.data.shape:
        raise ImageError(
            f"{first.name} has {_by(first.data.shape)} pixels, {second.name} "
            f"{_by(second.data.shape)}; give two of one shape."
        )
    same_spacing(first, second)
    return first, second


def write_mrc(path: str, data: ArrayLike, spacing: Sequence[float], *, stack: bool = False) -> None:
    """Write a volume (z, y, x), or with `stack` images (n, y, x), as MRC of mode 2.

    Rows are stored from the bottom with IMOD's stamp, so that 3dmod shows them as they are here.

    Parameters
    ----------
    spacing : sequence of float
        Pixel size (z, y, x), or (y, x) of a stack, µm.

    Raises
    ------
    WriteError
        Where it cannot be written, or the name does not end as MRC files do.
    """
    import mrcfile

    place = Path(path)
    need_mrc(path, stack=stack)
    array = np.asarray(data, np.float32)
    array = array if array.ndim == 3 else array[np.newaxis]
    z, y, x = (spacing[0], *spacing) if len(spacing) == 2 else spacing
    temporary = place.with_name(f".{place.name}.{os.getpid()}.tmp")
    try:
        with mrcfile.new(temporary, overwrite=True) as file:
            file.set_data(np.ascontiguousarray(array[:, ::-1]))
            if stack:
                file.set_image_stack()
            elif not file.is_volume():
                file.set_volume()
            file.voxel_size = (x * _ANGSTROM, y * _ANGSTROM, z * _ANGSTROM)
            extra = bytearray(bytes(file.header.extra2))
            extra[40:48] = _STAMP.to_bytes(4, "little") + (1).to_bytes(4, "little")
            file.header.extra2 = np.void(bytes(extra))
        temporary.replace(place)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise WriteError(
            f"{path} cannot be written: {(error.strerror or str(error)).lower()}; choose another "
            "folder or name."
        ) from error


def need_mrc(path: str, *, stack: bool = False) -> None:
    """Refuse, before anything is calculated, an output that cannot be written as MRC."""
    place = Path(path)
    endings = (
        (".mrc", ".rec", ".map") if stack is False else (".mrc", ".rec", ".map", ".st", ".ali")
    )
    if place.suffix.lower() not in endings:
        raise WriteError(f"{place.name} is no name of an MRC file; end it in {endings[0]}.")
    if not place.absolute().parent.is_dir():
        raise WriteError(f"There is no folder {place.absolute().parent}; make it first.")


def tilts_of(path: str | None, source: Input) -> Floats:
    """Read tilts from a file, or take those that the series states; one per image.

    Raises
    ------
    ImageError
        Where there are none, or not as many as images.
    """
    from napari_clxem.io import read_tilts

    if path is not None:
        found = np.asarray(read_tilts(path), float)
    else:
        found = np.asarray(source.meta.get("tilt_angles", []), float)
        if not found.size:
            raise ImageError(f"{source.name} states no tilts; give a .tlt file with --tilts.")
    if len(found) != source.data.shape[0]:
        raise ImageError(
            f"There are {len(found)} tilts for the {source.data.shape[0]} images of {source.name}; "
            "give one each."
        )
    return found


def _images(name: str, found: OpenedImage) -> Any:
    data, axes = _squeezed(found)
    if axes[-2:] != ("y", "x") or axes[:-2] not in ((), ("t",), ("z",)):
        raise ImageError(f"{name} has axes ({', '.join(axes)}); give a series (n, y, x).")
    return data


def _squeezed(found: OpenedImage) -> tuple[Any, tuple[str, ...]]:
    """Leave out channels and times of which there is one."""
    data, axes = found.data, list(found.axes)
    for axis in ("c", "t"):
        if axis in axes and len(axes) > 2 and data.shape[axes.index(axis)] == 1:
            data = data[(slice(None),) * axes.index(axis) + (0,)]
            axes.remove(axis)
    return data, tuple(axes)


def _spacing(name: str, found: OpenedImage, axes: int, pixel: float | None) -> tuple[float, ...]:
    if pixel is not None:
        return (pixel,) * axes
    if found.scale is None:
        raise MissingScaleError(f"{name} states no pixel size; give it in µm with --pixel.")
    return tuple(float(value) for value in found.scale)[-axes:]


def _by(values: Sequence[float]) -> str:
    return " x ".join(f"{value:g}" for value in values)
