"""The pixels of a map."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from napari_clxem.dose.quantities import a_point, pair, whole, written
from napari_clxem.errors import ClxemError
from napari_clxem.frames.affine import Floats

_LARGEST = 1 << 30  # pixels


@dataclass(frozen=True, eq=False)
class Grid:
    """Pixels of a map: centre (y, x) of the first, µm; rows and columns; pixel size (y, x), µm."""

    origin: Floats
    shape: tuple[int, int]
    pixel: Floats

    @classmethod
    def of(cls, origin: ArrayLike, shape: tuple[int, int], pixel: Any) -> Grid:
        """Check and make a grid; `pixel` may be one number or (y, x).

        Raises
        ------
        ClxemError
            For a shape or pixel size that no map has.
        """
        start = a_point(origin, "The origin of the map", 2)
        size = pair(pixel, "The pixel size")
        try:
            rows, columns = (whole(n, "A side (rows, columns) of the map", 1) for n in shape)
        except (TypeError, ValueError) as error:
            raise ClxemError(
                f"A map has the shape {written(shape)}; give (rows, columns), 1 or more each."
            ) from error
        if rows * columns > _LARGEST:
            raise ClxemError(f"A map of {rows} x {columns} pixels is too large; give fewer.")
        return cls(start[0], (rows, columns), size)

    def matrix(self, z: float) -> Floats:
        """From (1, row, column) to (z, y, x, 1), (4, 3)."""
        found = np.zeros((4, 3))
        found[0, 0] = z
        found[1, :2] = self.origin[0], self.pixel[0]
        found[2, ::2] = self.origin[1], self.pixel[1]
        found[3, 0] = 1.0
        return found
