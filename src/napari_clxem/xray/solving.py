"""Solving blocks of slices, and how many of them at once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from napari_clxem.errors import ImageError
from napari_clxem.xray.geometry import Floats, Geometry, golden_order

Method = Literal["SART", "SIRT"]

_LANES = (16, 8, 4, 1)
_LEAST_PATH = 0.54  # voxels; shorter rays only graze a corner and would be given too much weight


class Solver:
    """Everything that is the same for all slices."""

    def __init__(
        self,
        geometry: Geometry,
        method: Method,
        relaxation: float,
        iterations: int,
        pixel: float,
        limits: tuple[float, float] | None,
    ) -> None:
        low, high = (-np.inf, np.inf) if limits is None else limits
        self.geometry, self.method, self.iterations = geometry, method, iterations
        self.relaxation, self.pixel = np.float32(relaxation), pixel
        self.low, self.high = np.float32(low), np.float32(high)
        self.order = golden_order(geometry.tilts)
        self.weights = _weights(geometry)
        self.rays = int((self.weights > 0).sum())

    def solve(
        self, stack: NDArray[np.float32], threads: int, pool: ThreadPoolExecutor, told: Any
    ) -> tuple[NDArray[np.float32], Floats]:
        """Give slices (nz, n, nx) of a stack (tilts, n, nx), and the squared residuals."""
        slices = stack.shape[1]
        lanes = lanes_for(-(-slices // threads))
        starts = range(0, slices, lanes)
        groups = [self._padded(stack[:, s : s + lanes], lanes) for s in starts]
        images = [np.zeros((*self.geometry.shape, lanes), np.float32) for _ in starts]
        squares = np.zeros(self.iterations)
        for turn in range(self.iterations):
            told(turn / self.iterations)
            squares[turn] = sum(pool.map(self._pass, images, groups))
        told(1.0)
        tomogram = np.concatenate([image.transpose(0, 2, 1) for image in images], axis=1)
        return tomogram[:, :slices], squares

    def _pass(self, image: NDArray[np.float32], data: NDArray[np.float32]) -> float:
        from napari_clxem.xray import projection

        geometry = self.geometry
        lanes = (0,) * image.shape[-1]
        given = (image, geometry.bounds, data, self.weights)
        rays = (geometry.steps, geometry.shadows, geometry.chords)
        rest = (self.relaxation, self.low, self.high, lanes)
        if self.method == "SIRT":
            return float(projection.sirt_pass(*given, *rays, *rest))
        return float(projection.sart_pass(*given, *rays, self.order, *rest))

    def _padded(self, part: NDArray[np.float32], lanes: int) -> NDArray[np.float32]:
        """Bring (tilts, slices, nx) to (tilts, bins, lanes), in absorption per pixel of path."""
        tilts, count, width = part.shape
        padded = np.zeros((tilts, self.geometry.bins, lanes), np.float32)
        inner = slice(self.geometry.pad, self.geometry.pad + width)
        padded[:, inner, :count] = part.transpose(0, 2, 1) / np.float32(self.pixel)
        return padded


def _weights(geometry: Geometry) -> NDArray[np.float32]:
    """One over the path of each ray through the support, shared out as it is; 0 off the detector.

    The path is that of the ray, not the sum of its weights: near the rim the latter is uneven, and
    noise would build up there pass by pass.
    """
    paths = geometry.paths
    long = paths >= min(_LEAST_PATH, float(paths.max()) / 2)
    weights = np.where(long, 1 / np.maximum(paths, 1e-6), 0.0)
    weights[:, : geometry.pad] = 0.0
    weights[:, geometry.pad + geometry.width :] = 0.0
    return weights.astype(np.float32)


def lanes_for(slices: int) -> int:
    """Give how many slices lie side by side: the fewest that hold them, up to 16."""
    return next((n for n in _LANES if slices > n // 2), 1)


def block_size(geometry: Geometry, slices: int, memory: float, threads: int) -> int:
    """Slices per block, so that image and projections fit into `memory` GB."""
    voxels = geometry.shape[0] * geometry.shape[1]
    rays = len(geometry.tilts) * geometry.bins
    each = 4 * (2 * voxels + 3 * rays)
    fitting = int(memory * 1e9 / each)
    most = _LANES[0] * threads
    if fitting < 1:
        raise ImageError(
            f"One slice needs {each / 1e9:.2g} GB; allow more than {memory:g} GB of memory."
        )
    return min(slices, most, max(1, fitting))


def grouped(part: NDArray[np.float32], lanes: int) -> NDArray[np.float32]:
    """Bring slices (nz, n, nx) to (nz, nx, lanes), with zeros in lanes left over."""
    group = np.zeros((part.shape[0], part.shape[2], lanes), np.float32)
    group[..., : part.shape[1]] = part.transpose(0, 2, 1)
    return group
