"""Filling pixels with things: every object as a signed distance on the box of pixels it touches.

An index frame is given by a homogeneous matrix (4, 4) from pixel indices (z, y, x) to the grid
frame in µm; it may be turned, tilted and sheared in any way.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_clxem.samples.cells import Ellipsoid, Spheres, Tube
from napari_clxem.samples.poses import Pose

Array = NDArray[np.float64]
Image = NDArray[np.float32]
Box = tuple[slice, slice, slice]
Shape = tuple[int, int, int]


@dataclass(frozen=True, eq=False)
class Lattice:
    """Pixels in space: `matrix` (4, 4) from indices (z, y, x) to grid µm, and their number."""

    matrix: Array
    shape: Shape

    @property
    def pixel(self) -> float:
        """Mean pixel size, µm."""
        return float(np.abs(np.linalg.det(self.matrix[:3, :3])) ** (1 / 3))

    def indices(self, points: Array) -> Array:
        """Find the indices (n, 3) of grid points."""
        inverse = np.linalg.inv(self.matrix)
        return np.asarray(points @ inverse[:3, :3].T + inverse[:3, 3])

    def box(self, points: Array, reach: float) -> Box | None:
        """Pixels within `reach` µm of the box around grid points (n, 3); None where none are."""
        inverse = np.linalg.inv(self.matrix[:3, :3])
        margin = reach * np.linalg.norm(inverse, axis=1)
        index = self.indices(points)
        low = np.floor(index.min(axis=0) - margin).astype(int)
        high = np.ceil(index.max(axis=0) + margin).astype(int) + 1
        low, high = np.maximum(low, 0), np.minimum(high, self.shape)
        if np.any(low >= high):
            return None
        return (slice(low[0], high[0]), slice(low[1], high[1]), slice(low[2], high[2]))

    def offsets(self, box: Box, origin: Array) -> tuple[Array, Array, Array]:
        """Grid coordinates (z, y, x) of the pixels of a box relative to `origin`, µm."""
        grids = np.ogrid[box]
        start = self.matrix[:3, 3] - origin
        z, y, x = (
            start[row] + sum(self.matrix[row, axis] * grids[axis] for axis in range(3))
            for row in range(3)
        )
        return z, y, x

    def plane(self, index: int) -> tuple[Array, Array, Array]:
        """Grid coordinates of one z-plane, each (ny, nx), µm."""
        box = (slice(index, index + 1), slice(0, self.shape[1]), slice(0, self.shape[2]))
        z, y, x = self.offsets(box, np.zeros(3))
        return z[0], y[0], x[0]


def volume_lattice(pose: Pose) -> Lattice:
    """Pixels of a 3D dataset."""
    shape = (pose.shape[0], pose.shape[1], pose.shape[2])
    matrix = np.asarray(np.linalg.inv(pose.matrix) @ np.diag([*pose.spacing, 1.0]), float)
    return Lattice(matrix, shape)


def slab_lattice(pose: Pose, low: float, high: float, step: float) -> Lattice:
    """Pixels of a 2D dataset, in planes of `step` µm over its own depth from `low` to `high`."""
    planes = max(round((high - low) / step), 1)
    to_frame = np.diag([step, *pose.spacing, 1.0])
    to_frame[0, 3] = low + step / 2
    matrix = np.asarray(np.linalg.inv(pose.matrix) @ to_frame, float)
    return Lattice(matrix, (planes, pose.shape[0], pose.shape[1]))


def refined(lattice: Lattice, factors: tuple[int, int, int]) -> Lattice:
    """Split every pixel into `factors` (z, y, x) parts about the same centre."""
    f = np.asarray(factors, float)
    split = np.diag([*(1 / f), 1.0])
    split[:3, 3] = (1 / f - 1) / 2
    shape = tuple(int(n * k) for n, k in zip(lattice.shape, factors, strict=True))
    return Lattice(lattice.matrix @ split, (shape[0], shape[1], shape[2]))


def paint_spheres(lattice: Lattice, spheres: Spheres, reach: float) -> Iterator[tuple[Box, Image]]:
    """Yield the box of each sphere with the signed distance to its surface, µm (inside < 0)."""
    for centre, radius in zip(spheres.centres, spheres.radii, strict=True):
        box = lattice.box(centre[None], radius + reach)
        if box is not None:
            z, y, x = lattice.offsets(box, centre)
            yield box, (np.sqrt(z * z + y * y + x * x) - radius).astype(np.float32)


def paint_tube(lattice: Lattice, tube: Tube, reach: float) -> tuple[Box, Image] | None:
    """Give the box of a tube with the signed distance to its wall, µm; None outside."""
    box = lattice.box(tube.path, tube.radius + reach)
    if box is None:
        return None
    shape = tuple(part.stop - part.start for part in box)
    distance = np.full(shape, np.inf, np.float32)
    for start, end in zip(tube.path[:-1], tube.path[1:], strict=True):
        part = lattice.box(np.stack([start, end]), tube.radius + reach)
        if part is None:
            continue
        local = tuple(
            slice(p.start - b.start, p.stop - b.start) for p, b in zip(part, box, strict=True)
        )
        gap = _segment_distance(lattice, part, start, end)
        distance[local] = np.minimum(distance[local], gap)
    return box, distance - np.float32(tube.radius)


def _segment_distance(lattice: Lattice, box: Box, start: Array, end: Array) -> Image:
    z, y, x = lattice.offsets(box, start)
    axis = end - start
    along = (z * axis[0] + y * axis[1] + x * axis[2]) / (axis @ axis)
    along = np.clip(along, 0.0, 1.0)
    square = (z - along * axis[0]) ** 2 + (y - along * axis[1]) ** 2 + (x - along * axis[2]) ** 2
    return np.asarray(np.sqrt(square), np.float32)


def paint_ellipsoid(
    lattice: Lattice, ellipsoid: Ellipsoid, reach: float
) -> tuple[Box, Image] | None:
    """Give the box of an ellipsoid with the distance to its surface to first order, µm."""
    extent = float(ellipsoid.half_axes.max())
    box = lattice.box(ellipsoid.centre[None], extent + reach)
    if box is None:
        return None
    z, y, x = lattice.offsets(box, ellipsoid.centre)
    shape = ellipsoid.shape_matrix
    parts = [shape[row, 0] * z + shape[row, 1] * y + shape[row, 2] * x for row in range(3)]
    level = np.sqrt(sum(part * part for part in parts))
    steep = np.sqrt(
        sum((part / axis) ** 2 for part, axis in zip(parts, ellipsoid.half_axes, strict=True))
    )
    return box, (level * (level - 1) / np.maximum(steep, 1e-6)).astype(np.float32)


def coverage(distance: Image, width: float) -> Image:
    """Share of each pixel inside a surface at this signed distance; `width` is the pixel, µm."""
    return np.asarray(np.clip(0.5 - distance / np.float32(width), 0.0, 1.0), np.float32)


def paths(lattice: Lattice, painted: Sequence[tuple[Box, Image]], step: float) -> Image:
    """Length of path through painted coverages along the first axis, µm, (ny, nx)."""
    total = np.zeros(lattice.shape[1:], np.float32)
    for box, part in painted:
        total[box[1:]] += part.sum(axis=0) * np.float32(step)
    return total


def sphere_paths(lattice: Lattice, spheres: Spheres, step: float) -> Image:
    """Length of path through spheres, µm, (ny, nx)."""
    width = max(lattice.pixel, step)
    found = paint_spheres(lattice, spheres, width)
    return paths(lattice, [(box, coverage(gap, width)) for box, gap in found], step)


def tube_paths(lattice: Lattice, tubes: Sequence[Tube], step: float) -> Image:
    """Length of path through tubes, µm, (ny, nx)."""
    width = max(lattice.pixel, step)
    found = [paint_tube(lattice, tube, width) for tube in tubes]
    return paths(lattice, [(item[0], coverage(item[1], width)) for item in found if item], step)


def ellipsoid_paths(lattice: Lattice, ellipsoids: Sequence[Ellipsoid], step: float) -> Image:
    """Length of path through ellipsoids, µm, (ny, nx)."""
    width = max(lattice.pixel, step)
    found = [paint_ellipsoid(lattice, item, width) for item in ellipsoids]
    return paths(lattice, [(item[0], coverage(item[1], width)) for item in found if item], step)
