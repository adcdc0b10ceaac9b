"""Which pixels of an electron image show the lamella: neither the bulk around it nor a hole."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_clxem.errors import NoMatch, PointsError

_SMOOTH, _COARSE = 0.08, 0.05
"""Blur and pixel at which the three are told apart, µm."""

_LEAST_SHARE = 0.02


def lamella_region(
    image: ArrayLike, spacing: tuple[float, float], margin: float = 0.3
) -> NDArray[np.bool_]:
    """Find the lamella in its low-magnification map.

    Three classes of brightness are told apart (Otsu's criterion; Liao, Chen and Chung 2001): bulk,
    which no electron passes, vacuum, and what lies between. The largest connected part of these is
    the lamella.

    Parameters
    ----------
    image : (ny, nx) array_like
        Map, bright where electrons pass.
    spacing : tuple of float
        Pixel size (y, x), µm.
    margin : float
        How much is left out along the rim, where thickness changes, µm.

    Returns
    -------
    (ny, nx) ndarray of bool

    Raises
    ------
    NoMatch
        Where there is no such part.
    PointsError
        Where the image is no image.
    """
    from scipy import ndimage
    from skimage.filters import threshold_multiotsu

    array = np.asarray(image, dtype=np.float32)
    if array.ndim != 2 or min(array.shape) < 16 or not np.isfinite(array).all():
        raise PointsError(
            f"The map has shape {array.shape}; give a 2D image of at least 16 x 16 pixels without "
            "NaN."
        )
    pixel = np.array(spacing, float)
    by = np.maximum((_COARSE / pixel).astype(int), 1)
    smooth = ndimage.gaussian_filter(array, _SMOOTH / pixel)[:: by[0], :: by[1]]
    if np.ptp(smooth) == 0:
        raise NoMatch("The map is even all over; no lamella shows.")
    split: Any = threshold_multiotsu
    low, high = split(smooth, 3)
    between = ndimage.binary_opening((smooth > low) & (smooth < high), iterations=2)
    labels, count = ndimage.label(between)
    sizes = np.bincount(labels.ravel(), minlength=2)
    sizes[0] = 0
    # dense organelles are dark and lie within
    part: Any = ndimage.binary_fill_holes(labels == int(sizes.argmax()))
    steps = round(margin / float((by * pixel).mean()))
    if steps:
        part = ndimage.binary_erosion(part, iterations=steps)
    if not count or part.mean() < _LEAST_SHARE:
        raise NoMatch(
            "No part of the map is as bright as a lamella, between bulk and vacuum; mask it by "
            "hand."
        )
    rows = np.minimum(np.arange(array.shape[0]) // by[0], part.shape[0] - 1)
    columns = np.minimum(np.arange(array.shape[1]) // by[1], part.shape[1] - 1)
    return np.asarray(part[np.ix_(rows, columns)], dtype=bool)
