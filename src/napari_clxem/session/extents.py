"""How far the images of a session reach in their own frames."""

from __future__ import annotations

import numpy as np

from napari_clxem.frames.affine import Floats
from napari_clxem.io.image import SPATIAL
from napari_clxem.session.model import Dataset, Session
from napari_clxem.session.opening import frame_scale

Extent = tuple[tuple[int, ...], tuple[float, ...]]


def axes_of(session: Session, frame: str) -> int:
    """Give the number of axes of a frame, 2 or 3."""
    return next((one.ndim for one in session.frames if one.name == frame), 3)


def spatial(dataset: Dataset) -> Extent | None:
    """Give pixels and pixel size, µm, along the spatial axes; None without a pixel size."""
    scale = frame_scale(dataset, dataset.scale, dataset.axes)
    if scale is None:
        return None
    pairs = zip(dataset.axes, dataset.shape, strict=True)
    return tuple(n for axis, n in pairs if axis in SPATIAL), scale


def span(known: Extent) -> Floats:
    """Give how far it is from the middle of the first pixel to that of the last, (d,) µm."""
    return np.asarray((np.array(known[0]) - 1) * np.array(known[1]))


def middle(session: Session, dataset: Dataset) -> Floats | None:
    """Give the middle of an image, (d,) µm of its frame; None without a pixel size."""
    known = spatial(dataset)
    if known is None:
        return None
    there = np.concatenate([np.zeros(3), span(known) / 2])
    return np.asarray(there[-axes_of(session, dataset.frame) :])


def finest_first(session: Session, site: str | None) -> list[Dataset]:
    """Give the images of a site that have a pixel size: volumes first, the finest first."""
    images = [one for one in session.datasets if one.site == site and one.scale]

    def rank(one: Dataset) -> tuple[bool, float]:
        return "z" not in one.axes, one.scale[-1] if one.scale else np.inf

    return sorted(images, key=rank)
