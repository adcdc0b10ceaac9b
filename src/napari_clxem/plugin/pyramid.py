"""Resolution levels as napari wants them: few pixels when zoomed out, and a volume that fits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

# A slice wider than this gets coarser levels.
WIDE = 4096
# A 3D view uploads a whole volume: of one with more voxels than this it gets a coarser level.
VOXELS = 64_000_000


@dataclass(frozen=True)
class Level:
    """One resolution of an image, and where its pixels lie on the first.

    Parameters
    ----------
    data : array_like
        The pixels, lazily.
    step : ndarray, (d,)
        Pixel size in pixels of full resolution.
    offset : ndarray, (d,)
        Centre of pixel 0 in pixels of full resolution.
    """

    data: Any
    step: NDArray[np.float64]
    offset: NDArray[np.float64]

    def thinned(self, steps: Sequence[int]) -> Level:
        """Keep every n-th pixel along each axis; reads nothing and averages nothing."""
        if all(n == 1 for n in steps):
            return self
        return Level(
            data=self.data[tuple(slice(None, None, n) for n in steps)],
            step=self.step * np.array(steps),
            offset=self.offset,
        )


def stored(levels: Sequence[Any]) -> list[Level]:
    """Describe the levels of a file, whose coarse pixels average fine ones.

    Parameters
    ----------
    levels : sequence of array_like
        Resolution levels, full resolution first.
    """
    full = np.array(levels[0].shape, dtype=float)
    steps = [full / np.array(level.shape, dtype=float) for level in levels]
    return [
        Level(data=level, step=step, offset=(step - 1) / 2)
        for level, step in zip(levels, steps, strict=True)
    ]


def voxels(level: Any) -> float:
    """Count the elements of an array."""
    return float(np.prod(level.shape, dtype=float))


def extend(levels: Sequence[Any]) -> list[Any]:
    """Add coarser levels to an image too large to be drawn whole.

    Parameters
    ----------
    levels : sequence of array_like, (ny, nx) or (nz, ny, nx)
        Resolution levels, full resolution first.
    """
    extended = list(levels)
    while max(extended[-1].shape[-2:]) > WIDE:
        last = extended[-1]
        extended.append(last[(slice(None),) * (last.ndim - 2) + (slice(None, None, 2),) * 2])
    if extended[0].ndim == 3 and len(extended) == 1 and voxels(extended[0]) > VOXELS:
        extended.append(solid(extended).data)
    return extended


def solid(levels: Sequence[Any]) -> Level:
    """Choose what a 3D view shows: the finest level that fits, thinned out if none does.

    Parameters
    ----------
    levels : sequence of array_like, (nz, ny, nx)
        Resolution levels of the file, full resolution first.
    """
    known = stored(levels)
    for level in known:
        if voxels(level.data) <= VOXELS:
            return level
    last = known[-1]
    step = int(np.ceil((voxels(last.data) / VOXELS) ** (1 / 3)))
    return last.thinned([min(step, size) for size in last.data.shape])
