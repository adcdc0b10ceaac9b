"""What a hand does to a lamella: pull its edges in a view, and see it as a solid."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_clxem.errors import LamellaError
from napari_clxem.frames import Affine, as_points
from napari_clxem.frames.affine import Floats
from napari_clxem.lamella.slab import Lamella, signed_area

Edge = Literal["top", "bottom", "back", "front", "right", "left"]
# Axis of the lamella (normal, along, across), its side, and the size that changes with it.
_EDGES: dict[str, tuple[int, float, str]] = {
    "top": (0, 1.0, "thickness"),
    "bottom": (0, -1.0, "thickness"),
    "back": (1, 1.0, "length"),
    "front": (1, -1.0, "length"),
    "right": (2, 1.0, "width"),
    "left": (2, -1.0, "width"),
}
#: A lamella is never pulled thinner, narrower or shorter than this, µm.
LEAST = 0.02


def pulled(lamella: Lamella, projection: ArrayLike, edge: Edge, position: ArrayLike) -> Lamella:
    """Pull one edge of a lamella to a place of a view; the opposite edge stays.

    Parameters
    ----------
    lamella : Lamella
        Without an outline of its own: corners of that are moved one by one.
    projection : (2, 4) array_like
        From the lamella's frame to the view, µm: a FIB view shows top, bottom, left and right, a
        view from above front, back, left and right.
    edge : str
        ``"top"`` and ``"bottom"`` are the faces, ``"back"`` and ``"front"`` the ends along the
        beam, the front towards the ion source, ``"right"`` and ``"left"`` the sides across it.
    position : (2,) array_like
        (row, column) or (y, x), µm; what lies along the edge does not matter.

    Raises
    ------
    LamellaError
        Where the view does not show that edge, or the lamella has an outline.
    """
    if lamella.outline:
        raise LamellaError("A lamella with an outline is changed by its corners, not its edges.")
    if edge not in _EDGES:
        raise LamellaError(f"{edge!r} is no edge of a lamella; pull one of {', '.join(_EDGES)}.")
    axis, side, size = _EDGES[edge]
    view = Affine(np.asarray(projection, float))
    seen = view.linear @ lamella.axes.T
    lengths = np.linalg.norm(seen, axis=0)
    other = max((i for i in range(3) if i != axis), key=lambda i: float(lengths[i]))
    pair = seen[:, [axis, other]]
    if abs(np.linalg.det(pair)) < 1e-3 * lengths.max() ** 2:
        raise LamellaError(f"This view does not show the {edge} of the lamella; use another.")
    away = as_points(position, 2, "The place in the view")[0] - view.transform(lamella.centre)[0]
    reach = side * float(np.linalg.solve(pair, away)[0])
    now = float(getattr(lamella, size))
    new = max(reach + now / 2, LEAST)
    shift = 0.5 * (new - now) * side * lamella.axes[axis]
    z, y, x = (np.array(lamella.centre) + shift).tolist()
    sizes = {"thickness": lamella.thickness, "length": lamella.length, "width": lamella.width}
    sizes[size] = new
    return replace(
        lamella,
        centre=(z, y, x),
        thickness=sizes["thickness"],
        length=sizes["length"],
        width=sizes["width"],
    )


def surface(lamella: Lamella) -> tuple[Floats, NDArray[np.int64]]:
    """Give a lamella as a closed surface of triangles.

    Returns
    -------
    vertices : (2 n, 3) array
        (z, y, x) µm: the lower face, then the upper.
    triangles : (m, 3) array of int
        Rows of the vertices, all turning the same way round as seen from outside.
    """
    flat = lamella.corners_in_plane
    count = len(flat)
    cap = _ears(flat)
    lower, upper = cap[:, ::-1], cap + count
    start = np.arange(count)
    end = (start + 1) % count
    if signed_area(flat) < 0:
        start, end = end, start
    sides = np.concatenate(
        [
            np.column_stack([start, end, end + count]),
            np.column_stack([start, end + count, start + count]),
        ]
    )
    return lamella.corners, np.concatenate([lower, upper, sides])


def _ears(corners: Floats) -> NDArray[np.int64]:
    """Part a simple polygon (n, 2) into n - 2 triangles of positive area by cutting off ears."""
    order = list(range(len(corners)))
    if signed_area(corners) < 0:
        order.reverse()
    found = []
    while len(order) > 3:
        best = max(range(len(order)), key=lambda i: _ear(corners, order, i))
        found.append([order[best - 1], order[best], order[(best + 1) % len(order)]])
        del order[best]
    return np.array([*found, order])


def _ear(corners: Floats, order: list[int], index: int) -> float:
    """Give the least height of a corner's triangle over its longest side; -1 where it is no ear."""
    before, here, after = order[index - 1], order[index], order[(index + 1) % len(order)]
    triangle = corners[[before, here, after]]
    area = signed_area(triangle)
    if area <= 0:
        return -1.0
    rest = [i for i in order if i not in (before, here, after)]
    points = corners[rest]
    inside = np.ones(len(points), bool)
    for a, b in zip(triangle, np.roll(triangle, -1, axis=0), strict=True):
        edge, arms = b - a, points - a
        inside &= edge[0] * arms[:, 1] - edge[1] * arms[:, 0] >= 0
    if inside.any():
        return -1.0
    sides = np.linalg.norm(triangle - np.roll(triangle, -1, axis=0), axis=1)
    return float(2 * area / sides.max() ** 2)
