"""From stored axes to the frame: (t, c, z, y, x) with flips, as lazy views."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_clxem.errors import ReadError
from napari_clxem.io.image import SPATIAL, OpenedImage, Orientation, StagePosition
from napari_clxem.io.pixel_size import checked_scale, given_scale
from napari_clxem.io.stored import Stored

ORDER = ("t", "c", "z", "y", "x")
Matrix = NDArray[np.float64]


def oriented(
    stored: Stored, orientation: Orientation | None = None, scale: Sequence[float] | None = None
) -> OpenedImage:
    """Bring a stored image to the conventions of this package.

    Parameters
    ----------
    stored : Stored
        As a reader gives it.
    orientation : Orientation, optional
        Overrides the reader's guess. Its empty `axes` keep the order that the reader found; a
        wholly empty orientation keeps the guess.
    scale : sequence of float, optional
        Pixel size of the spatial axes, (z, y, x) or (y, x), µm; overrides the file.

    Raises
    ------
    ReadError
        Where the orientation does not fit the stored axes.
    MissingScaleError
        Where the given scale is no pixel size for them.
    """
    applied = resolved(stored, orientation)
    renamed = _renamed(stored.axes, applied.axes)
    axes = tuple(axis for axis in ORDER if axis in renamed)
    spatial = tuple(axis for axis in axes if axis in SPATIAL)
    pixel = {
        new: stored.pixel.get(old) for old, new in zip(stored.spatial, applied.axes, strict=True)
    }
    size, complaint = checked_scale(spatial, pixel)
    note = complaint and (stored.pixel_note or complaint)
    if scale is not None:
        size, note = given_scale(spatial, scale), ""
    levels = tuple(_view(level, renamed, axes, applied.flip) for level in stored.levels)
    return OpenedImage(
        levels=levels,
        axes=axes,
        scale=size,
        channels=stored.channels,
        stage=_stage(stored, applied, levels[0].shape, axes, size),
        orientation=applied,
        name=stored.name,
        meta=stored.meta,
        missing=((note,) if note else ()) + stored.missing,
    )


def resolved(stored: Stored, orientation: Orientation | None) -> Orientation:
    """Decide what is done to the stored axes; see :func:`oriented`."""
    if orientation is None or orientation == Orientation():
        return Orientation(axes=stored.spatial, flip=_ordered(stored.flip))
    axes = orientation.axes or stored.spatial
    # A single section has lost its z axis, but a session may remember all three.
    if len(axes) == 3 and len(stored.spatial) == 2:
        axes = tuple(axis for axis in axes if axis in stored.spatial)
    if sorted(axes) != sorted(stored.spatial):
        raise ReadError(
            f"{stored.name}: orientation axes ({', '.join(orientation.axes)}) are not an order of "
            f"the stored axes ({', '.join(stored.spatial)}); name each of them once."
        )
    unknown = [axis for axis in orientation.flip if axis not in SPATIAL]
    if unknown:
        raise ReadError(f"{stored.name}: cannot flip {unknown[0]!r}; flip z, y or x.")
    return Orientation(axes=axes, flip=_ordered(a for a in orientation.flip if a in axes))


def _ordered(flip: Any) -> tuple[str, ...]:
    chosen = set(flip)
    return tuple(axis for axis in SPATIAL if axis in chosen)


def _renamed(axes: tuple[str, ...], spatial: tuple[str, ...]) -> tuple[str, ...]:
    names = iter(spatial)
    return tuple(next(names) if axis in SPATIAL else axis for axis in axes)


def _view(data: Any, stored: tuple[str, ...], axes: tuple[str, ...], flip: tuple[str, ...]) -> Any:
    turned = data.transpose([stored.index(axis) for axis in axes])
    if not flip:
        return turned
    return turned[tuple(slice(None, None, -1 if axis in flip else None) for axis in axes)]


def _stage(
    stored: Stored,
    applied: Orientation,
    shape: tuple[int, ...],
    axes: tuple[str, ...],
    scale: tuple[float, ...] | None,
) -> StagePosition | None:
    if stored.stage is None or stored.to_stage is None or scale is None:
        return stored.stage
    plane = tuple(axis for axis in applied.axes if axis != "z")
    depth = [axes.index("z") if "z" in axes else None for axes in (stored.spatial, applied.axes)]
    # a stack whose sections were turned into another plane lies on the stage no more
    if depth[0] != depth[1] or set(plane) != {"y", "x"}:
        return stored.stage
    sizes = dict(zip(axes, shape, strict=True))
    to_stage = np.asarray(stored.to_stage) @ _to_stored(plane, applied.flip, sizes, scale[-2:])
    matrix = tuple(tuple(float(value) for value in row) for row in to_stage)
    return replace(stored.stage, image_to_stage=matrix)


def _to_stored(
    plane: tuple[str, ...], flip: tuple[str, ...], sizes: dict[str, int], scale: tuple[float, ...]
) -> Matrix:
    """Matrix from image (y, x) µm to stored pixel indices (row, column)."""
    frame = ("y", "x")
    matrix = np.zeros((3, 3))
    matrix[2, 2] = 1.0
    for row, axis in enumerate(plane):
        column = frame.index(axis)
        sign = -1.0 if axis in flip else 1.0
        matrix[row, column] = sign / scale[column]
        matrix[row, 2] = sizes[axis] - 1 if axis in flip else 0.0
    return matrix
