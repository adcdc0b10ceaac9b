"""Small pictures of images, in which every pixel lies where it does in the whole image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_clxem.io.contrast import channel_limits
from napari_clxem.io.image import SPATIAL, OpenedImage

# A plane of more pixels is not averaged: only the pixels that are kept are read.
LARGEST_PLANE = 1 << 26
# What is drawn from black to white.
PERCENTILES = (0.1, 99.95)


@dataclass(frozen=True)
class Thumbnail:
    """A reduced image, 8 bits a pixel.

    Parameters
    ----------
    data : ndarray of uint8
        Axes as `axes`; pixel (i, j, k) is pixel (i, j, k) * `steps` of the whole image, averaged
        in the plane over its surroundings.
    axes : tuple of str
        Of (c, z, y, x), as far as the image has them; of a time series the first point is taken.
    steps : tuple of int
        Pixels of the whole image from one to the next, along the spatial axes.
    limits : tuple of tuple of float
        Values of 0 and 255, per channel.
    """

    data: NDArray[np.uint8]
    axes: tuple[str, ...]
    steps: tuple[int, ...]
    limits: tuple[tuple[float, float], ...]


def thumbnail(image: OpenedImage, most: int) -> Thumbnail:
    """Reduce an image to at most `most` pixels, all channels together.

    Parameters
    ----------
    image : OpenedImage
        Lazy; of a large one only the slices that are kept are read.
    most : int
        Pixels.
    """
    data = image.data[0] if "t" in image.axes else image.data
    axes = tuple(axis for axis in image.axes if axis != "t")
    limits = channel_limits((data,), axes, PERCENTILES)
    whole = dict(zip(axes, data.shape, strict=True))
    spatial = tuple(axis for axis in axes if axis in SPATIAL)
    shape = tuple(whole[axis] for axis in spatial)
    channels = whole.get("c", 1)
    steps = _steps(shape, image.scale, max(1, most // channels))
    parts = [
        _bytes(_reduced(data[index] if "c" in axes else data, steps), limits[index])
        for index in range(channels)
    ]
    stacked = np.stack(parts) if "c" in axes else parts[0]
    return Thumbnail(stacked, axes, steps, limits)


def _steps(shape: tuple[int, ...], scale: tuple[float, ...] | None, most: int) -> tuple[int, ...]:
    """Find the least steps that leave `most` pixels, about as long in µm along every axis."""
    pixel = (1.0,) * len(shape) if scale is None else scale
    step = 1
    while True:
        steps = tuple(max(1, round(step * pixel[-1] / one)) for one in pixel)
        if np.prod([-(-n // s) for n, s in zip(shape, steps, strict=True)]) <= most:
            return steps
        if all(s >= n for n, s in zip(shape, steps, strict=True)):
            return steps
        step += max(1, step // 8)


def _reduced(data: Any, steps: tuple[int, ...]) -> NDArray[np.float32]:
    if len(steps) == 2:
        return _plane(data, steps[0], steps[1])
    kept = [_plane(data[z], steps[1], steps[2]) for z in range(0, data.shape[0], steps[0])]
    return np.stack(kept)


def _plane(plane: Any, down: int, along: int) -> NDArray[np.float32]:
    from scipy.ndimage import uniform_filter

    if max(down, along) == 1 or np.prod(plane.shape) > LARGEST_PLANE:
        return _real(plane[::down, ::along])
    values = _real(plane)
    # Odd windows have a middle, so that no pixel moves.
    window = (2 * (down // 2) + 1, 2 * (along // 2) + 1)
    filled = np.where(np.isfinite(values), values, np.float32(0.0))
    return np.asarray(uniform_filter(filled, window, mode="nearest")[::down, ::along])


def _real(values: Any) -> NDArray[np.float32]:
    """Read values; of complex ones the magnitude."""
    found = np.asarray(values)
    return np.asarray(np.abs(found) if np.iscomplexobj(found) else found, dtype=np.float32)


def _bytes(values: NDArray[np.float32], limits: tuple[float, float]) -> NDArray[np.uint8]:
    low, high = limits
    share = np.nan_to_num((values - low) / (high - low), nan=0.0)
    return np.asarray(np.rint(np.clip(share, 0.0, 1.0) * 255), dtype=np.uint8)
