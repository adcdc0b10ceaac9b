"""What is exchanged: named points, pairs of points, and how pixels become µm."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_clxem.errors import WriteError

Array = NDArray[np.float64]
Vector = tuple[float, ...]


@dataclass(frozen=True)
class NamedPoint:
    """A point with a name.

    Parameters
    ----------
    name : str
    position : tuple of float
        (z, y, x) or (y, x), µm.
    """

    name: str
    position: Vector


@dataclass(frozen=True)
class PointPair:
    """One pair of corresponding points; a side not picked is None.

    Parameters
    ----------
    name : str
    moving, fixed : tuple of float or None
        (z, y, x) or (y, x), µm.
    use : bool
        Whether the pair takes part in a fit.
    """

    name: str
    moving: Vector | None
    fixed: Vector | None
    use: bool = True


@dataclass(frozen=True)
class Pixels:
    """How an image's µm become another program's pixel numbers.

    In this package the centre of the first pixel is 0 µm. A program that counts from the corner
    of the first pixel calls that place 0.5, one that counts rows from the bottom starts at the
    last row.

    Parameters
    ----------
    spacing : tuple of float
        Pixel size (z, y, x) or (y, x), µm.
    shape : tuple of int, optional
        Pixels along the same axes; needed where an axis is flipped.
    flip : tuple of str
        Axes that the program counts from the other end, such as ``("y",)``.
    """

    spacing: Vector
    shape: tuple[int, ...] | None = None
    flip: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if len(self.spacing) not in (2, 3) or not all(0 < s < np.inf for s in self.spacing):
            raise WriteError(
                f"The pixel size {self.spacing} cannot be used; give (z, y, x) or (y, x) in µm."
            )
        if self.flip and (self.shape is None or len(self.shape) != len(self.spacing)):
            raise WriteError("To flip an axis its number of pixels is needed; give the shape.")

    @property
    def axes(self) -> str:
        """Names of the axes, ``"zyx"`` or ``"yx"``."""
        return "zyx"[-len(self.spacing) :]

    def from_um(self, points: ArrayLike, origin: Sequence[float]) -> Array:
        """Give pixel numbers (n, d) of points (n, d) µm; `origin` is that of the first centre."""
        found = self._checked(points) / np.asarray(self.spacing)
        return np.asarray(self._flipped(found) + np.asarray(origin)[-len(self.spacing) :])

    def to_um(self, numbers: ArrayLike, origin: Sequence[float]) -> Array:
        """Give points (n, d) µm of pixel numbers (n, d)."""
        found = self._checked(numbers) - np.asarray(origin)[-len(self.spacing) :]
        return np.asarray(self._flipped(found) * np.asarray(self.spacing))

    def _checked(self, points: ArrayLike) -> Array:
        array = np.asarray(points, float).reshape(-1, len(self.spacing))
        return np.array(array)

    def _flipped(self, indices: Array) -> Array:
        for index, axis in enumerate(self.axes):
            if axis in self.flip and self.shape is not None:
                indices[:, index] = self.shape[index] - 1 - indices[:, index]
        return indices


def positions(points: Iterable[NamedPoint], ndim: int | None = None) -> Array:
    """Give the positions of points as one array (n, d).

    Raises
    ------
    WriteError
        Where they have different numbers of axes, or not `ndim`, or are not finite.
    """
    found = [point.position for point in points]
    sizes = {len(position) for position in found}
    if len(sizes) > 1 or (ndim is not None and sizes - {ndim}):
        needed = f"{ndim}" if ndim else "the same number of"
        raise WriteError(f"All points of the file need {needed} axes; write them apart.")
    array = np.array(found, float).reshape(len(found), ndim or (sizes.pop() if sizes else 3))
    if not np.isfinite(array).all():
        raise WriteError("A point has a position that is not finite; place it first.")
    return array


def vector(values: ArrayLike) -> Vector:
    """Give numbers as a tuple of plain floats."""
    return tuple(float(v) for v in np.asarray(values, float).ravel())
