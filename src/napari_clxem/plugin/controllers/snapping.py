"""Moving a pick onto the bead beside it, by the same fit that finds beads."""

from __future__ import annotations

from typing import Any

import numpy as np
from napari.qt.threading import create_worker
from napari.utils.notifications import show_info

from napari_clxem.errors import ClxemError
from napari_clxem.fiducials.profiles import Floats
from napari_clxem.plugin.controllers.correlation import Correlation
from napari_clxem.plugin.controllers.pairing import Canvas
from napari_clxem.plugin.layers import Plane
from napari_clxem.session.beads import BEAD_DIAMETER, beads_in
from napari_clxem.session.model import Dataset, Vector

# A bead further away than this is another one, in diameters.
NEAR = 0.75
# What is looked at around a pick, in diameters: the bead, its blur along z, and some background.
AROUND = (3.0, 2.5, 2.5)


def bead_near(plane: Plane, dataset: Dataset, position: Floats) -> tuple[Floats, Floats] | None:
    """Find the bead beside a place.

    Parameters
    ----------
    plane : Plane
        Channel to look in.
    dataset : Dataset
        What it is of: tells how beads show.
    position : ndarray, (d,)
        µm of the image.

    Returns
    -------
    tuple of (d,) arrays, or None
        Position and standard deviation, µm; None where no bead is within three quarters of a
        diameter in the plane.
    """
    if plane.scale is None:
        return None
    step = np.asarray(plane.scale, dtype=float)
    ndim = len(step)
    volume = plane.levels[0]
    reach = np.ceil(np.array(AROUND[-ndim:]) * BEAD_DIAMETER / step).astype(int)
    at = np.round(position[-ndim:] / step).astype(int)
    low = np.clip(at - reach, 0, np.array(volume.shape))
    high = np.clip(at + reach + 1, 0, np.array(volume.shape))
    if (high - low < 5).any():
        return None
    crop = np.asarray(volume[tuple(slice(a, b) for a, b in zip(low, high, strict=True))])
    beads = beads_in(crop, step, dataset)
    if not len(beads):
        return None
    places = beads.positions + low * step
    apart = np.linalg.norm((places - position[-ndim:])[:, -2:], axis=1)
    best = int(np.argmin(apart))
    if apart[best] > NEAR * BEAD_DIAMETER:
        return None
    return places[best], beads.sigma[best]


class Snapper:
    """Turns picks into landmarks, snapped to beads where that is wanted.

    Parameters
    ----------
    correlation : Correlation
        Where picks go.

    Attributes
    ----------
    on : bool
        Whether a pick is moved onto the bead beside it.
    """

    def __init__(self, correlation: Correlation) -> None:
        self._correlation = correlation
        self._worker: Any = None
        self.on = False

    def pick(self, canvas: Canvas, plane: Plane, position: Floats, sigma: Vector) -> None:
        """Commit a pick, after a look for its bead in the background."""
        dataset = self._correlation.dataset(canvas)
        place = tuple(float(value) for value in position)
        if not self.on or dataset is None:
            self._correlation.pick(canvas, place, sigma)
            return
        if self._worker is not None:
            show_info("The last pick is still being snapped to its bead; pick again.")
            return
        self._worker = create_worker(
            bead_near, plane, dataset, position, _start_thread=False, _ignore_errors=True
        )

        def arrived(found: tuple[Floats, Floats] | None) -> None:
            if found is None:
                show_info("There is no bead at the pick; it stays where you clicked.")
                self._correlation.pick(canvas, place, sigma)
                return
            there = tuple(float(value) for value in found[0])
            spread = tuple(float(value) for value in found[1])
            self._correlation.pick(canvas, there, spread, "bead")

        def failed(error: Exception) -> None:
            if not isinstance(error, ClxemError):
                raise error
            arrived(None)

        self._worker.returned.connect(arrived)
        self._worker.errored.connect(failed)
        self._worker.finished.connect(self._done)
        self._worker.start()

    def _done(self) -> None:
        self._worker = None
