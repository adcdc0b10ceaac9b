"""The map of doses as it grew, exposure by exposure."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from napari_clxem.dose.history import History
from napari_clxem.dose.quantities import Height, expected, height, whole
from napari_clxem.dose.raster import Grid
from napari_clxem.frames.affine import Floats

_ROOM = 256e6  # bytes of maps that are kept on the way
_KEPT = 16  # of them at most


class Replay:
    """Maps of the dose up to any exposure, each made from the nearest one before it.

    Parameters
    ----------
    history : History
        What happened.
    origin, shape, pixel
        As :func:`napari_clxem.dose.cumulative_map`.
    surface : bool
        Show the dose at the surface instead.
    z : float, optional
        Height in a 3D frame, µm.
    """

    def __init__(
        self,
        history: History,
        origin: ArrayLike,
        shape: tuple[int, int],
        pixel: Any,
        surface: bool = False,
        z: Height = None,
    ) -> None:
        self.history = expected(history, History, "The history")
        self.grid = Grid.of(origin, shape, pixel)
        self._surface, self._z = bool(surface), height(z)
        self._kept: dict[int, Floats] = {}
        self._count = 0
        self._raster = np.zeros(self.grid.shape)
        kept = int(np.clip(_ROOM // self._raster.nbytes, 2, _KEPT))
        self._every = max(1, -(-len(history) // kept))

    def upto(self, count: int) -> Floats:
        """Give the map after the first `count` exposures.

        Returns
        -------
        (ny, nx) array
            MGy; read-only, and overwritten by the next call: copy what is to be kept.
        """
        asked = max(0, whole(count, "The number of exposures"))
        wanted = min(asked, len(self.history))
        if wanted < self._count:
            start = max((k for k in self._kept if k <= wanted), default=0)
            self._raster[:] = self._kept.get(start, 0.0)
            self._count = start
        while self._count < wanted:
            stop = min(wanted, (self._count // self._every + 1) * self._every)
            self.history.add(
                self._raster, self.grid, range(self._count, stop), self._surface, self._z
            )
            self._count = stop
            if stop % self._every == 0 and stop not in self._kept:
                self._kept[stop] = self._raster.copy()
        view = self._raster.view()
        view.flags.writeable = False
        return view
