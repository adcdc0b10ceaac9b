"""Where the pixels of an image to be made lie in a frame."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike

from napari_clxem.errors import ImageError, MissingScaleError
from napari_clxem.frames import Affine
from napari_clxem.frames.affine import Floats
from napari_clxem.io.image import SPATIAL, OpenedImage

# Points along each edge by which the bounds of a bent image are found.
_EDGE = 9
_MOST = 1 << 31


class Way(Protocol):
    """A map between frames: an affine map, a fit, or whatever goes there and back."""

    def transform(self, points: ArrayLike) -> Floats:
        """Map points (n, d) of the image to the frame, µm."""
        ...

    def inverse(self, points: ArrayLike) -> Floats:
        """Map points (n, d) of the frame back to the image, µm."""
        ...


@dataclass(frozen=True)
class Raster:
    """Pixels in a frame, along its axes.

    Parameters
    ----------
    origin : tuple of float
        Centre of the first pixel in the frame, (z, y, x) or (y, x) µm.
    scale : tuple of float
        Pixel size, µm.
    shape : tuple of int
        Pixels along the same axes.

    Raises
    ------
    ImageError
        Where they have not 2 or 3 numbers each, or a size is not above 0.
    """

    origin: tuple[float, ...]
    scale: tuple[float, ...]
    shape: tuple[int, ...]

    def __post_init__(self) -> None:
        origin = tuple(float(value) for value in self.origin)
        scale = tuple(float(value) for value in self.scale)
        shape = tuple(int(value) for value in self.shape)
        sizes = {len(origin), len(scale), len(shape)}
        if len(sizes) != 1 or sizes - {2, 3}:
            raise ImageError(
                "Origin, pixel size and shape need 2 or 3 numbers each, (y, x) or (z, y, x)."
            )
        if not np.isfinite(origin).all() or not all(0 < step < np.inf for step in scale):
            raise ImageError(
                f"Pixels of {scale} µm that begin at {origin} µm cannot be; give finite numbers, "
                "sizes above 0."
            )
        if min(shape) < 1 or max(shape) >= _MOST:
            raise ImageError(f"An image of {shape} pixels cannot be made; choose another box.")
        for name, value in (("origin", origin), ("scale", scale), ("shape", shape)):
            object.__setattr__(self, name, value)

    @property
    def ndim(self) -> int:
        """Number of axes, 2 or 3."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """Number of pixels."""
        return int(np.prod(self.shape, dtype=object))


def raster_about(
    image: OpenedImage,
    way: Way | None = None,
    scale: float | Sequence[float] | None = None,
    box: tuple[Sequence[float], Sequence[float]] | None = None,
) -> Raster:
    """Give the pixels of a frame that hold an image, or a box of it.

    Parameters
    ----------
    image : OpenedImage
        The image.
    way : Affine, Fit or alike, optional
        Its µm to µm of the frame; by default the frame is its own.
    scale : float or sequence of float, optional
        Pixel size, µm, (z, y, x) or (y, x), or one for all; by default such that a step along an
        axis of the frame is one pixel of the image.
    box : pair of sequences of float, optional
        Lower and upper corner in the frame, µm; by default all of the image.

    Raises
    ------
    ImageError
        Where the numbers do not fit the image's axes.
    MissingScaleError
        Where the image has no pixel size.
    """
    step = scale_of(image)
    ndim, shape = len(step), spatial_shape(image)
    there: Way = Affine.identity(ndim) if way is None else way
    low, high = _bounds(there, (np.array(shape) - 1) * step) if box is None else _box(box, ndim)
    if scale is None:
        middle = there.inverse(((low + high) / 2)[np.newaxis])[0]
        pixel = 1 / np.linalg.norm(_slopes(there, middle, step) / step[:, None], axis=0)
    else:
        pixel = np.broadcast_to(np.asarray(scale, float), (ndim,))
    if not (np.isfinite(pixel).all() and (pixel > 0).all()):
        raise ImageError(f"A pixel size of {scale} µm cannot be used; give one above 0.")
    count = np.floor((high - low) / pixel + 1e-6).astype(float) + 1
    return Raster(tuple(low), tuple(pixel), tuple(int(n) for n in np.minimum(count, _MOST)))


def scale_of(image: OpenedImage) -> Floats:
    """Give the pixel size of an image, µm.

    Raises
    ------
    MissingScaleError
        Where it has none.
    """
    if image.scale is None:
        raise MissingScaleError(
            f"{image.name or 'The image'} has no pixel size; open it with one (scale, µm)."
        )
    return np.asarray(image.scale, float)


def spatial_shape(image: OpenedImage) -> tuple[int, ...]:
    """Give the pixels along the spatial axes."""
    pairs = zip(image.data.shape, image.axes, strict=True)
    return tuple(int(n) for n, axis in pairs if axis in SPATIAL)


def _bounds(way: Way, extent: Floats) -> tuple[Floats, Floats]:
    bends = getattr(way, "bends", False)
    places = [np.linspace(0, side, _EDGE if bends else 2) for side in extent]
    points = way.transform(np.array(list(product(*places))))
    return points.min(axis=0), points.max(axis=0)


def _box(box: tuple[Sequence[float], Sequence[float]], ndim: int) -> tuple[Floats, Floats]:
    low, high = (np.asarray(corner, float) for corner in box)
    if low.shape != (ndim,) or high.shape != (ndim,) or not (low <= high).all():
        raise ImageError(
            f"The box {box} does not fit an image of {ndim} axes; give its lower and its upper "
            "corner in µm, (z, y, x) or (y, x)."
        )
    return low, high


def _slopes(way: Way, middle: Floats, step: Floats) -> Floats:
    """Differentiate the way back at the place that `middle` of the image goes to, (d, d)."""
    here = way.transform(middle[np.newaxis])
    offsets = np.eye(len(step)) * step.min()
    moved = way.inverse(here + offsets) - way.inverse(here - offsets)
    return np.asarray(moved.T / (2 * step.min()))
