"""Kernels that intersect convex bodies and polygons exactly, compiled once and kept on disk."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from napari_clxem.frames.affine import Floats


def _clip(polygon: Any, count: Any, fresh: Any, heights: Any, plane: Any, eps: Any) -> Any:
    """Clip a polygon to n·p <= c in place (Sutherland & Hodgman 1974); give its new count.

    -1 says that all of it lies on the plane, within `eps`.
    """
    lowest, highest = np.inf, -np.inf
    for i in range(count):
        height = -plane[3]
        for k in range(3):
            height += plane[k] * polygon[i, k]
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
                fresh[found, k] = polygon[i, k]
            found += 1
        if (here < 0.0 < there) or (there < 0.0 < here):
            share = here / (here - there)
            for k in range(3):
                fresh[found, k] = polygon[i, k] + share * (polygon[j, k] - polygon[i, k])
            found += 1
    for i in range(found):
        for k in range(3):
            polygon[i, k] = fresh[i, k]
    return found


def _cone(polygon: Any, count: Any) -> Any:
    """Signed volume of the cone from the origin over a polygon."""
    total = 0.0
    for i in range(1, count - 1):
        ax, ay, az = polygon[0, 0], polygon[0, 1], polygon[0, 2]
        bx, by, bz = polygon[i, 0], polygon[i, 1], polygon[i, 2]
        cx, cy, cz = polygon[i + 1, 0], polygon[i + 1, 1], polygon[i + 1, 2]
        total += ax * (by * cz - bz * cy) + ay * (bz * cx - bx * cz) + az * (bx * cy - by * cx)
    return total / 6.0


def _common_volume(
    faces: Any, counts: Any, planes: Any, faces_2: Any, counts_2: Any, planes_2: Any, eps: Any
) -> Any:
    """Volume common to two convex bodies: each one's faces, clipped by the other, bound it.

    Of faces that lie on each other the first body's counts where both look the same way, and
    neither where they look at each other.
    """
    polygon = np.empty((64, 3))
    fresh = np.empty((64, 3))
    heights = np.empty(64)
    total = 0.0
    for body in range(2):
        own, number, own_planes = (
            (faces, counts, planes) if body == 0 else (faces_2, counts_2, planes_2)
        )
        other = planes_2 if body == 0 else planes
        for f in range(len(number)):
            count = number[f]
            for i in range(count):
                for k in range(3):
                    polygon[i, k] = own[f, i, k]
            for p in range(len(other)):
                kept = _clip(polygon, count, fresh, heights, other[p], eps)
                if kept >= 0:
                    count = kept
                else:
                    along = 0.0
                    for k in range(3):
                        along += own_planes[f, k] * other[p, k]
                    if body == 1 or along < 0.0:
                        count = 0
                if count < 3:
                    break
            if count >= 3:
                total += _cone(polygon, count)
    return total


def _volumes(
    faces: Any, counts: Any, planes: Any, signs: Any, box_faces: Any, box_planes: Any, eps: Any
) -> Any:
    """Give what a sum of convex parts and a box share, for each placing of the parts."""
    found = np.zeros(len(faces))
    four = np.full(6, 4)
    for s in range(len(faces)):
        for part in range(len(signs)):
            found[s] += signs[part] * _common_volume(
                faces[s, part], counts, planes[s, part], box_faces, four, box_planes, eps
            )
    return found


def _areas(parts: Any, signs: Any, low: Any, high: Any) -> Any:
    """Give what a sum of convex polygons and a rectangle share, for each placing of the sum."""
    found = np.zeros(len(parts))
    polygon = np.zeros((64, 3))
    fresh = np.zeros((64, 3))
    heights = np.zeros(64)
    plane = np.zeros(4)
    for s in range(len(parts)):
        for part in range(len(signs)):
            count = parts.shape[2]
            for i in range(count):
                polygon[i, 0], polygon[i, 1] = parts[s, part, i, 0], parts[s, part, i, 1]
                polygon[i, 2] = 0.0
            for k in range(2):
                for end in range(2):
                    plane[:] = 0.0
                    plane[k] = 1.0 if end else -1.0
                    plane[3] = plane[k] * (high[k] if end else low[k])
                    count = max(_clip(polygon, count, fresh, heights, plane, 0.0), 0)
            area = 0.0
            for i in range(count):
                j = i + 1 if i + 1 < count else 0
                area += polygon[i, 0] * polygon[j, 1] - polygon[i, 1] * polygon[j, 0]
            found[s] += signs[part] * area / 2.0
    return found


@lru_cache(maxsize=1)
def kernels() -> tuple[Any, Any]:
    """Give the compiled (volumes, areas); compiling takes some seconds once, then it is on disk."""
    from numba import njit

    compiled = njit(cache=True, nogil=True)
    scope = globals()
    for name in ("_clip", "_cone", "_common_volume"):
        if not hasattr(scope[name], "py_func"):
            scope[name] = compiled(scope[name])
    return compiled(_volumes), compiled(_areas)


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
    faces[..., 0, :count, :] = corners[..., ::-1, :]
    faces[..., 1, :count, :] = corners + rise
    faces[..., 2:, 0, :], faces[..., 2:, 1, :] = corners, ends
    faces[..., 2:, 2, :], faces[..., 2:, 3, :] = ends + rise, corners + rise
    up = up[..., np.newaxis, :]
    normals = np.concatenate([-up, up, _cross(ends - corners, rise)], axis=-2)
    normals /= np.sqrt((normals**2).sum(axis=-1, keepdims=True))
    offsets = (normals * faces[..., 0, :]).sum(axis=-1, keepdims=True)
    counts = np.full(count + 2, 4)
    counts[:2] = count
    return faces, counts, np.concatenate([normals, offsets], axis=-1)


def _cross(one: Floats, other: Floats) -> Floats:
    """Cross product along the last axis; numpy's own takes ten times as long for few vectors."""
    a, b, c = one[..., 0], one[..., 1], one[..., 2]
    d, e, f = other[..., 0], other[..., 1], other[..., 2]
    return np.stack([b * f - c * e, c * d - a * f, a * e - b * d], axis=-1)
