"""Footprints as lines for drawing, and lines of equal dose on a map."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from napari_clxem.dose.edges import Contour, contours
from napari_clxem.dose.history import History
from napari_clxem.dose.quantities import Height, amount, expected, height, one_amount, written
from napari_clxem.dose.raster import Grid
from napari_clxem.errors import ClxemError
from napari_clxem.frames.affine import Floats


def outlines(
    history: History, indices: Iterable[int], shares: ArrayLike = (0.0, 1.0), z: Height = None
) -> dict[int, tuple[Contour, ...]]:
    """Give the outlines of some exposures in the common frame.

    Parameters
    ----------
    history : History
    indices : iterable of int
        Which of its exposures; those that no link reaches are passed over.
    shares : array_like
        As :func:`napari_clxem.dose.contours`: 0 the end of wings and halo, 1 the core.
    z : float, optional
        Height in a 3D frame, µm.

    Returns
    -------
    dict
        By index the contours, the outermost first, with polygons (n, 2) as (y, x) in µm.
    """
    expected(history, History, "The history")
    z = height(z)
    found = {}
    for index in _which(indices, len(history)):
        if history.group_of(index) is not None:
            one, part = history.exposures[index], history.group_of(index)
            # in its own frame the slice shown lies above or below the tilt axis
            above = z - one.axis_height if part is not None and part.same and z is not None else 0.0
            found[index] = tuple(
                replace(line, polygon=to_common(history, index, line.polygon, z))
                for line in contours(one, shares, above)
            )
    return found


def _which(indices: Any, count: int) -> list[int]:
    """Give indices of exposures, each once."""
    listed = list(indices) if isinstance(indices, Iterable) else indices
    given = np.ravel(amount(listed, "dimensionless", "The indices"))
    if np.any((given != np.floor(given)) | (given < 0) | (given >= count)):
        raise ClxemError(
            f"The indices are {written(listed)}; there are {count} exposures, from 0 on."
        )
    return list(dict.fromkeys(given.astype(int).tolist()))


def to_common(history: History, index: int, polygon: Floats, z: Height = None) -> Floats:
    """Bring (y, x) points (n, 2) of an exposure's frame to the common one, µm.

    Raises
    ------
    ClxemError
        Where its plane is seen edge-on from the common frame.
    """
    part = history.group_of(index)
    if part is None:
        raise ClxemError(f"No link reaches exposure {history.exposures[index].id!r}.")
    plane, shift = part.placement[1:, 1:3], part.placement[1:, 3]
    if not part.same:
        shift = shift + part.placement[1:, 0] * (z or 0.0)
    if abs(np.linalg.det(plane)) < 1e-9:
        raise ClxemError(
            f"Frame {part.frame!r} is seen edge-on from {history.frame!r}; draw its footprints in "
            "another frame."
        )
    return np.asarray((polygon - shift) @ np.linalg.inv(plane).T)


def covered(
    history: History, indices: Iterable[int], share: float = 0.0, z: Height = None
) -> tuple[Floats, ...]:
    """Give the joint outline of some exposures, such as all of one modality.

    Parameters
    ----------
    history, indices, z
        As :func:`outlines`.
    share : float
        Of each exposure's dose in its middle.

    Returns
    -------
    tuple of (n, 2) array
        Closed rings (y, x), µm: the outer ones first, then the holes.
    """
    from shapely import Polygon, unary_union

    lines = outlines(history, indices, (one_amount(share, "dimensionless", "share"),), z).values()
    joint = unary_union([Polygon(one.polygon) for (one,) in lines if len(one.polygon) > 2])
    parts = [one for one in getattr(joint, "geoms", [joint]) if not one.is_empty]
    outer = [np.asarray(one.exterior.coords) for one in parts]
    holes = [np.asarray(ring.coords) for one in parts for ring in one.interiors]
    return tuple(outer + holes)


def map_contours(values: Floats, level: float, origin: ArrayLike, pixel: Any) -> tuple[Floats, ...]:
    """Give the lines where a map has a dose, such as that of a budget.

    Parameters
    ----------
    values : (ny, nx) array
        As :func:`napari_clxem.dose.cumulative_map` gives them.
    level : float
        MGy.
    origin, pixel
        Of that map.

    Returns
    -------
    tuple of (n, 2) array
        (y, x), µm.
    """
    from skimage.measure import find_contours

    array = np.asarray(amount(values, "megagray", "The map"))
    if array.ndim != 2 or min(array.shape) < 2:
        raise ClxemError(
            f"A map has the shape {array.shape}; give (rows, columns), 2 or more each."
        )
    level = one_amount(level, "megagray", "The level")
    grid = Grid.of(origin, (array.shape[0], array.shape[1]), pixel)
    return tuple(
        np.asarray(line) * grid.pixel + grid.origin
        for line in find_contours(array, level)  # type: ignore[no-untyped-call]
    )
