"""Kernels that intersect convex bodies and polygons exactly.

They index step by step, so that the same lines run over nested lists, where one answer is wanted at
once, and compiled over arrays, where many are: compiling takes some seconds once and is kept on
disk.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from napari_clxem import compiling
from napari_clxem.frames.affine import Floats

_KERNELS = "napari_clxem.lamella.clipping_kernels"


def clip(polygon: Any, count: Any, fresh: Any, heights: Any, plane: Any, eps: Any) -> Any:
    """Clip a polygon to n·p <= c in place (Sutherland & Hodgman 1974); give its new count.

    -1 says that all of it lies on the plane, within `eps`.
    """
    lowest, highest = np.inf, -np.inf
    for i in range(count):
        height = -plane[3]
        for k in range(3):
            height += plane[k] * polygon[i][k]
        heights[i] = height
        lowest, highest = min(lowest, height), max(highest, height)
    if lowest > -eps and highest < eps:
        return -1
    if highest <= 0.0:
        return count
    if lowest >= 0.0:
        return 0
    found = 0
    for i in range(count):
        j = i + 1 if i + 1 < count else 0
        here, there = heights[i], heights[j]
        if here <= 0.0:
            for k in range(3):
                fresh[found][k] = polygon[i][k]
            found += 1
        if (here < 0.0 < there) or (there < 0.0 < here):
            share = here / (here - there)
            for k in range(3):
                fresh[found][k] = polygon[i][k] + share * (polygon[j][k] - polygon[i][k])
            found += 1
    for i in range(found):
        for k in range(3):
            polygon[i][k] = fresh[i][k]
    return found


def cone(polygon: Any, count: Any) -> Any:
    """Signed volume of the cone from the origin over a polygon."""
    total = 0.0
    for i in range(1, count - 1):
        ax, ay, az = polygon[0][0], polygon[0][1], polygon[0][2]
        bx, by, bz = polygon[i][0], polygon[i][1], polygon[i][2]
        cx, cy, cz = polygon[i + 1][0], polygon[i + 1][1], polygon[i + 1][2]
        total += ax * (by * cz - bz * cy) + ay * (bz * cx - bx * cz) + az * (bx * cy - by * cx)
    return total / 6.0


def common_volume(
    faces: Any,
    counts: Any,
    planes: Any,
    box_faces: Any,
    box_counts: Any,
    box_planes: Any,
    eps: Any,
    polygon: Any,
    fresh: Any,
    heights: Any,
) -> Any:
    """Volume common to two convex bodies: each one's faces, clipped by the other, bound it.

    Of faces that lie on each other the first body's counts where both look the same way, and
    neither where they look at each other.
    """
    total = 0.0
    for body in range(2):
        own, number, own_planes = (
            (faces, counts, planes) if body == 0 else (box_faces, box_counts, box_planes)
        )
        other = box_planes if body == 0 else planes
        for f in range(len(number)):
            count = number[f]
            for i in range(count):
                for k in range(3):
                    polygon[i][k] = own[f][i][k]
            for p in range(len(other)):
                kept = clip(polygon, count, fresh, heights, other[p], eps)
                if kept >= 0:
                    count = kept
                else:
                    along = 0.0
                    for k in range(3):
                        along += own_planes[f][k] * other[p][k]
                    if body == 1 or along < 0.0:
                        count = 0
                if count < 3:
                    break
            if count >= 3:
                total += cone(polygon, count)
    return total


def volumes(
    found: Any,
    faces: Any,
    counts: Any,
    planes: Any,
    signs: Any,
    box_faces: Any,
    box_counts: Any,
    box_planes: Any,
    eps: Any,
    polygon: Any,
    fresh: Any,
    heights: Any,
) -> Any:
    """Give what a sum of convex parts and a box share, for each placing of the parts."""
    for s in range(len(faces)):
        for part in range(len(signs)):
            found[s] += signs[part] * common_volume(
                faces[s][part],
                counts,
                planes[s][part],
                box_faces,
                box_counts,
                box_planes,
                eps,
                polygon,
                fresh,
                heights,
            )


def areas(
    found: Any, parts: Any, signs: Any, planes: Any, polygon: Any, fresh: Any, heights: Any
) -> Any:
    """Give what a sum of convex polygons and a rectangle share, for each placing of the sum."""
    for s in range(len(parts)):
        for part in range(len(signs)):
            count = len(parts[s][part])
            for i in range(count):
                for k in range(3):
                    polygon[i][k] = parts[s][part][i][k]
            for p in range(len(planes)):
                count = max(clip(polygon, count, fresh, heights, planes[p], 0.0), 0)
            area = 0.0
            for i in range(count):
                j = i + 1 if i + 1 < count else 0
                area += polygon[i][1] * polygon[j][2] - polygon[i][2] * polygon[j][1]
            found[s] += signs[part] * area / 2.0


def _run(kernel: str, plain: Any, inputs: tuple[Any, ...], placings: int, corners: int) -> Floats:
    """Run a kernel over all placings: as it stands for one, compiled for many once it is."""
    found, room = np.zeros(placings), corners + 16  # clipping by six planes adds six corners
    scratch = (np.zeros((room, 3)), np.zeros((room, 3)), np.zeros(room))
    kernels = compiling.ready(_KERNELS) if placings > 1 else compiling.loaded(_KERNELS)
    if kernels is not None:
        getattr(kernels, kernel)(found, *inputs, *scratch)
        return found
    lists = [one.tolist() if isinstance(one, np.ndarray) else one for one in (*inputs, *scratch)]
    plain(found, *lists)
    return found


def common_volumes(
    faces: Floats, counts: Any, planes: Floats, signs: Floats, box: tuple[Floats, Any, Floats]
) -> Floats:
    """Give what a body and a box share, for each placing of the body.

    Parameters
    ----------
    faces : (s, k, f, m, 3) array
        Of its k convex parts in each of s placings, as :func:`prisms` gives them.
    counts : (f,) array of int
    planes : (s, k, f, 4) array
    signs : (k,) array
        1 or -1 by which each part counts.
    box : tuple
        Faces, counts and planes of one convex body.

    Returns
    -------
    (s,) array
    """
    size = float(max(np.abs(faces[0]).max(), np.abs(box[0]).max()))
    inputs = (faces, counts, planes, signs, *box, 1e-10 * size)
    return _run("volumes", volumes, inputs, len(faces), faces.shape[3])


def common_areas(parts: Floats, signs: Floats, low: Floats, high: Floats) -> Floats:
    """Give what a sum of polygons and a rectangle share as seen along z, for each placing.

    Parameters
    ----------
    parts : (s, k, m, 3) array
        Convex polygons (z, y, x) in each of s placings.
    signs : (k,) array
    low, high : (2,) array
        Corners (y, x) of the rectangle.

    Returns
    -------
    (s,) array
    """
    planes = np.zeros((4, 4))
    planes[[0, 1, 2, 3], [1, 2, 1, 2]] = [-1.0, -1.0, 1.0, 1.0]
    planes[:, 3] = [-low[0], -low[1], high[0], high[1]]
    return _run("areas", areas, (parts, signs, planes), len(parts), parts.shape[2])


def warm() -> None:
    """Compile the kernels, or take them from disk: for a thread beside the first click."""
    compiling.warm(_KERNELS, block=True)


def prisms(corners: Floats, rise: Floats) -> tuple[Floats, Floats, Floats]:
    """Give faces, corner counts and planes of convex prisms.

    Parameters
    ----------
    corners : (..., n, 3) array
        Base polygons, all turning the same way about their rise.
    rise : (..., 3) array
        From the bases to the tops.

    Returns
    -------
    faces : (..., n + 2, m, 3) array
        Corners of each face, turning outwards.
    counts : (n + 2,) array of int
        Of them in use.
    planes : (..., n + 2, 4) array
        Outward normal n and c of n·p <= c.
    """
    count = corners.shape[-2]
    ends = np.concatenate([corners[..., 1:, :], corners[..., :1, :]], axis=-2)
    # the sum over all corners is safe where some are in line
    first = corners[..., :1, :]
    up = _cross(corners - first, ends - first).sum(axis=-2)
    if (up * rise).sum(axis=-1).flat[0] < 0:
        return prisms(corners[..., ::-1, :], rise)
    rise = rise[..., np.newaxis, :]
    faces = np.zeros((*corners.shape[:-2], count + 2, max(count, 4), 3))
    tops = corners + rise
    faces[..., 0, :count, :] = corners[..., ::-1, :]
    faces[..., 1, :count, :] = tops
    faces[..., 2:, 0, :], faces[..., 2:, 1, :] = corners, ends
    faces[..., 2:, 2, :], faces[..., 2:, 3, :] = ends + rise, tops
    up = up[..., np.newaxis, :]
    normals = np.concatenate([-up, up, _cross(ends - corners, rise)], axis=-2)
    lengths = np.sqrt(np.einsum("...k,...k->...", normals, normals))
    normals /= lengths[..., np.newaxis]
    offsets = np.einsum("...k,...k->...", normals, faces[..., 0, :])[..., np.newaxis]
    counts = np.full(count + 2, 4)
    counts[:2] = count
    return faces, counts, np.concatenate([normals, offsets], axis=-1)


def _cross(one: Floats, other: Floats) -> Floats:
    """Cross product along the last axis; numpy's own takes ten times as long for few vectors."""
    a, b, c = one[..., 0], one[..., 1], one[..., 2]
    d, e, f = other[..., 0], other[..., 1], other[..., 2]
    found = np.empty(np.broadcast_shapes(one.shape, other.shape))
    found[..., 0], found[..., 1], found[..., 2] = b * f - c * e, c * d - a * f, a * e - b * d
    return found
