"""Small pieces of images: only the pixels that are shown are read."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_clxem.frames.affine import Floats
from napari_clxem.io.contrast import contrast_limits
from napari_clxem.io.guard import reading
from napari_clxem.io.image import OpenedImage

Bytes = NDArray[np.uint8]

# A coarser level does where it has so many pixels across the piece.
ENOUGH = 240
# Pieces of more pixels are thinned out while they are read, instead of averaged after.
LARGEST = 1 << 24
# Colours of channels that have none of their own (Okabe & Ito).
_HEX = re.compile("#[0-9a-fA-F]{6}")
_COLOURS = ("#e69f00", "#56b4e9", "#cc79a7", "#009e73")


@dataclass(frozen=True, eq=False)
class Crop:
    """A piece of an image, ready to be drawn.

    Attributes
    ----------
    picture : (ny, nx) or (ny, nx, 3) array of uint8
    low, high : (2,) array
        Outer edges of its first and last pixel (y, x), µm of the image's frame.
    z : float or None
        Height of the slice, µm; None of a plane.
    channels : tuple of (str, str)
        Name and colour of those that are shown in colour.
    """

    picture: Bytes
    low: Floats
    high: Floats
    z: float | None
    channels: tuple[tuple[str, str], ...] = ()


def whole(image: OpenedImage, name: str, most: int = 900) -> Crop:
    """Give a whole plane of an image, the middle one of a volume.

    Parameters
    ----------
    image : OpenedImage
        With a pixel size.
    name : str
        Of its file, for what is said where it cannot be read.
    most : int
        Pixels along the longer side.

    Raises
    ------
    ReadError
        Where the file is damaged.
    """
    size = np.array([image.levels[0].shape[image.axes.index(axis)] for axis in "yx"])
    pixel = np.array((image.scale or ())[-2:])
    middle = (size - 1) * pixel / 2
    depth = _depth(image)
    z = None if depth is None else (depth[0] - 1) * depth[1] / 2
    found = crop(image, name, middle, size * pixel / 2, z, most)
    assert found is not None
    return found


def crop(
    image: OpenedImage,
    name: str,
    centre: Floats,
    half: Any,
    z: float | None = None,
    most: int = 300,
) -> Crop | None:
    """Give the piece of an image about a place.

    Parameters
    ----------
    image : OpenedImage
        With a pixel size.
    name : str
        Of its file.
    centre : (2,) array
        (y, x), µm of its frame.
    half : float or (2,) array
        Half the size of the piece, µm.
    z : float, optional
        Which slice of a volume, µm.
    most : int
        Pixels along the longer side of the picture.

    Returns
    -------
    Crop or None
        None where the place lies outside of the image. The piece ends where the image does.

    Raises
    ------
    ReadError
        Where the file is damaged.
    """
    with reading(name):
        return _crop(image, np.asarray(centre, float), np.broadcast_to(half, 2), z, most)


def _crop(
    image: OpenedImage, centre: Floats, half: Floats, z: float | None, most: int
) -> Crop | None:
    axes = image.axes
    full = np.array([image.levels[0].shape[axes.index(axis)] for axis in "yx"])
    fine = np.array((image.scale or ())[-2:])
    depth = _depth(image)
    index = None
    if depth is not None:
        index = 0 if z is None else round(z / depth[1])
        if not 0 <= index < depth[0]:
            return None
    if ((centre < -fine / 2) | (centre > (full - 0.5) * fine)).any():
        return None
    level, pixel = _level(image, full, fine, half)
    shape = np.array([level.shape[axes.index(axis)] for axis in "yx"])
    # the first pixel of a level covers the first ones of the finest: their outer edges coincide
    first = np.clip(np.floor((centre - half + fine / 2) / pixel), 0, shape - 1).astype(int)
    last = np.clip(np.ceil((centre + half + fine / 2) / pixel), first + 1, shape).astype(int)
    step = max(1, int(np.ceil((last - first).max() / most)))
    last = first + np.maximum((last - first) // step, 1) * step
    last = np.minimum(last, shape)
    thin = step if np.prod(last - first) > LARGEST else 1
    place: list[Any] = []
    for axis in axes:
        if axis == "t":
            place.append(0)
        elif axis == "z":
            deep = level.shape[axes.index("z")]
            ratio = deep / (depth[0] if depth else 1)
            place.append(min(deep - 1, int((index or 0) * ratio)))
        elif axis == "c":
            place.append(slice(None))
        else:
            n = "yx".index(axis)
            place.append(slice(int(first[n]), int(last[n]), thin))
    values = np.asarray(level[tuple(place)])
    if np.iscomplexobj(values):
        values = np.abs(values)
    values = _reduced(np.asarray(values, float), step // thin)
    low = first * pixel - fine / 2
    high = low + np.array(values.shape[-2:]) * pixel * step
    height = None if depth is None or index is None else index * depth[1]
    if "c" in axes and values.shape[0] > 1:
        names = [one.name for one in image.channels] + [""] * len(values)
        colours = [one.colour for one in image.channels] + [None] * len(values)
        chosen = [_colour(colours[n], n) for n in range(len(values))]
        legend = tuple((names[n] or f"channel {n + 1}", chosen[n]) for n in range(len(values)))
        return Crop(_coloured(values, chosen), low, high, height, legend)
    return Crop(_grey(values[0] if "c" in axes else values), low, high, height)


def _depth(image: OpenedImage) -> tuple[int, float] | None:
    """Give slices and their distance of a volume, µm; None of a plane."""
    if "z" not in image.axes or image.scale is None or len(image.scale) < 3:
        return None
    return int(image.levels[0].shape[image.axes.index("z")]), float(image.scale[0])


def _level(image: OpenedImage, full: Any, fine: Floats, half: Floats) -> tuple[Any, Floats]:
    """Choose the coarsest level that has pixels enough, and give its pixel size."""
    chosen, pixel = image.levels[0], fine
    for level in image.levels[1:]:
        shape = np.array([level.shape[image.axes.index(axis)] for axis in "yx"])
        coarse = fine * np.round(full / shape)
        if (2 * half / coarse).max() < ENOUGH:
            break
        chosen, pixel = level, coarse
    return chosen, pixel


def _reduced(values: Floats, step: int) -> Floats:
    """Average pixels over squares; what is left over at the ends is averaged over what there is."""
    if step <= 1:
        return values
    for axis in (-2, -1):
        starts = np.arange(0, values.shape[axis], step)
        counts = np.diff(np.append(starts, values.shape[axis]))
        sums = np.add.reduceat(values, starts, axis=axis)
        values = sums / (counts[:, np.newaxis] if axis == -2 else counts)
    return values


def _grey(values: Floats) -> Bytes:
    """Stretch to bytes between the limits that images are shown in."""
    low, high = contrast_limits(values)
    share = np.nan_to_num((values - low) / (high - low), nan=0.0)
    return np.asarray(np.rint(np.clip(share, 0.0, 1.0) * 255), dtype=np.uint8)


def _colour(given: str | None, number: int) -> str:
    """Give the colour of a channel, where the file has one that can be read; else one of ours."""
    return given if given and _HEX.fullmatch(given) else _COLOURS[number % len(_COLOURS)]


def _coloured(values: Floats, colours: list[str]) -> Bytes:
    """Add channels up, each in its colour."""
    found = np.zeros((*values.shape[-2:], 3))
    for channel, colour in zip(values, colours, strict=True):
        tint = np.array([int(colour.lstrip("#")[i : i + 2], 16) for i in (0, 2, 4)]) / 255
        found += _grey(channel)[..., np.newaxis] * tint
    return np.asarray(np.rint(np.clip(found, 0, 255)), dtype=np.uint8)
