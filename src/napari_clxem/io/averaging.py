"""Pixels of an image that are averaged before it is resampled more coarsely."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_clxem.frames.affine import Floats

Ranges = tuple[tuple[int, int], ...]
Pixels = NDArray[Any]


@dataclass(frozen=True, eq=False)
class Source:
    """A level of an image, of whose pixels several are averaged into one.

    Parameters
    ----------
    data : array_like
        The level.
    factor : ndarray, (d,)
        Its pixel size in pixels of full resolution.
    bins : ndarray, (d,)
        How many of its pixels are averaged.
    """

    data: Any
    factor: Floats
    bins: NDArray[np.int_]

    @property
    def shape(self) -> tuple[int, ...]:
        """Averages along each axis; the last one may be of fewer pixels."""
        size = self.data.shape[-len(self.bins) :]
        return tuple(-(-int(n) // int(b)) for n, b in zip(size, self.bins, strict=True))

    def at(self, places: Floats) -> Floats:
        """Turn places in pixels of full resolution (d, ...) into places among the averages."""
        step = (self.factor * self.bins).reshape(-1, *(1,) * (places.ndim - 1))
        return np.asarray((places + 0.5) / step - 0.5)

    def block(self, leading: tuple[int, ...], bounds: Ranges, margin: int) -> tuple[Floats, Pixels]:
        """Read the averages behind some pixels of full resolution, and where they begin."""
        step = self.factor * self.bins
        size = np.array(self.shape)
        low = np.floor(np.array([a for a, _ in bounds]) / step).astype(int) - margin
        high = np.ceil(np.array([b for _, b in bounds]) / step).astype(int) + margin
        low, high = np.clip(low, 0, size - 1), np.clip(high, 1, size)
        wanted = tuple(
            slice(int(a * b), int(min(c * b, n)))
            for a, c, b, n in zip(low, high, self.bins, self.data.shape[-len(size) :], strict=True)
        )
        return low, self._averaged(_computed(self.data[(*leading, *wanted)]))

    def _averaged(self, raw: Pixels) -> Pixels:
        if (self.bins == 1).all():
            return raw
        found = floating(raw)
        for axis, count in enumerate(self.bins):
            if count > 1:
                starts = np.arange(0, found.shape[axis], count)
                held = np.diff(np.append(starts, found.shape[axis])).astype(found.dtype)
                summed = np.add.reduceat(found, starts, axis=axis)
                found = summed / held.reshape([-1 if a == axis else 1 for a in range(found.ndim)])
        return found


def floating(raw: Pixels) -> Pixels:
    """Give pixels as numbers that can be averaged: float32, or float64 where that is too short."""
    wide = raw.dtype.kind in "iuf" and raw.dtype.itemsize >= (8 if raw.dtype.kind == "f" else 4)
    return raw.astype(np.float64 if wide else np.float32, copy=False)


def _computed(data: Any) -> Pixels:
    if hasattr(data, "compute"):
        data = data.compute(scheduler="synchronous")
    return np.asarray(data)
