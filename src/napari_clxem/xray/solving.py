"""Solving blocks of slices, and how many of them at once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from napari_clxem.errors import ImageError
from napari_clxem.xray.geometry import LANES, Floats, Geometry, golden_order

Method = Literal["SART", "SIRT"]

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
        self.limited = limits is not None
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
        """Correct slices by all tilts once, in place; give the squared residuals met."""
        return (self._at_once if self.method == "SIRT" else self._in_turn)(image, data)

    def _in_turn(self, image: NDArray[np.float32], data: NDArray[np.float32]) -> float:
        """Correct the image by each tilt, then look at the next (SART)."""
        from napari_clxem.xray.projection import cast, spread, sweep

        geometry, lanes = self.geometry, (0,) * image.shape[-1]
        steps, shadows, bounds = geometry.steps, geometry.shadows, geometry.bounds
        shadow = np.zeros(data.shape[1:], np.float32)
        cast(image, bounds, shadow, steps[self.order[0]], shadows[self.order[0]], lanes)
        total = 0.0
        for tilt, ahead in zip(self.order, np.roll(self.order, -1), strict=True):
            correction, square = self._correction(data[tilt] - shadow, self.weights[tilt])
            total += square
            shadow[:] = 0.0
            back = correction, steps[tilt], shadows[tilt], geometry.chords[tilt]
            there = shadow, steps[ahead], shadows[ahead], lanes
            if self.limited:
                spread(image, bounds, *back, lanes)
                np.clip(image, self.low, self.high, out=image)
                cast(image, bounds, *there)
            else:
                sweep(image, bounds, *back, *there)
        return total

    def _at_once(self, image: NDArray[np.float32], data: NDArray[np.float32]) -> float:
        """Correct the image by all tilts together (SIRT)."""
        from napari_clxem.xray.projection import spread

        geometry, lanes = self.geometry, (0,) * image.shape[-1]
        shadows = cast_all(geometry, image)
        corrections, total = self._correction(data - shadows, self.weights / np.float32(len(data)))
        for tilt, correction in enumerate(corrections):
            back = geometry.steps[tilt], geometry.shadows[tilt], geometry.chords[tilt]
            spread(image, geometry.bounds, correction, *back, lanes)
        if self.limited:
            np.clip(image, self.low, self.high, out=image)
        return total

    def _correction(
        self, residual: NDArray[np.float32], weights: NDArray[np.float32]
    ) -> tuple[NDArray[np.float32], float]:
        """Give what is taken away of residuals (..., bins, lanes), and their squared sum."""
        share = (self.relaxation * weights)[..., np.newaxis]
        square = np.square(residual, dtype=float).sum(axis=-1)
        return share * residual, float(square[weights > 0].sum())

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


def cast_all(geometry: Geometry, image: NDArray[np.float32]) -> NDArray[np.float32]:
    """Give the shadows of slices (nz, nx, lanes) at all tilts: (tilts, bins, lanes)."""
    from napari_clxem.xray.projection import cast

    lanes = (0,) * image.shape[-1]
    shadows = np.zeros((len(geometry.tilts), geometry.bins, len(lanes)), np.float32)
    for tilt, shadow in enumerate(shadows):
        cast(image, geometry.bounds, shadow, geometry.steps[tilt], geometry.shadows[tilt], lanes)
    return shadows


def lanes_for(slices: int) -> int:
    """Give how many slices lie side by side: the fewest that hold them, up to 16."""
    return next((n for n in LANES if slices > n // 2), 1)


def block_size(geometry: Geometry, slices: int, memory: float, threads: int) -> int:
    """Slices per block, so that image and projections fit into `memory` GB."""
    voxels = geometry.shape[0] * geometry.shape[1]
    rays = len(geometry.tilts) * geometry.bins
    each = 4 * (2 * voxels + 3 * rays)
    fitting = int(memory * 1e9 / each)
    most = LANES[0] * threads
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
