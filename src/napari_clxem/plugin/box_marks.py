"""The lamella box in a view: its handles, the dial of its angle, its joints, itself as a solid."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_clxem.frames import Affine
from napari_clxem.frames.affine import Floats
from napari_clxem.io.image import SPATIAL
from napari_clxem.lamella import Joints, Lamella, surface, view_outline
from napari_clxem.plugin.lamella_marks import BOX, lines, outline_lines
from napari_clxem.plugin.layers import UNIT, LayerData

JOINT = "#40c4aa"
# Which edges a view shows: along the beam one sees the faces, from above the ends.
FIB_EDGES = ("top", "bottom", "left", "right")
PLAN_EDGES = ("back", "front", "left", "right")
_SIDES: Mapping[str, tuple[int, float]] = {
    "top": (0, 1.0),
    "bottom": (0, -1.0),
    "back": (1, 1.0),
    "front": (1, -1.0),
    "right": (2, 1.0),
    "left": (2, -1.0),
}
# The faces are close together: their handles stand aside from the one in the middle.
_ASIDE = 0.3
# Where the dial's pivot is from the middle, and how long its arm is, in widths of the lamella.
_PIVOT, _ARM = 0.62, 0.6
_ARC = 12


def handle_places(
    lamella: Lamella, projection: ArrayLike, edges: Sequence[str]
) -> dict[str, Floats]:
    """Give where the handles of a lamella show in a view.

    Parameters
    ----------
    lamella : Lamella
    projection : (2, 4) array_like
        From the lamella's frame to the view, µm.
    edges : sequence of str
        Which of its edges can be pulled there.

    Returns
    -------
    dict of str to (2,) array
        ``"centre"`` and each edge, (row, column) µm.
    """
    view = Affine(np.asarray(projection, float))
    sizes = np.array([lamella.thickness, lamella.length, lamella.width])
    places = {"centre": np.array(lamella.centre)}
    for edge in edges:
        axis, side = _SIDES[edge]
        place = places["centre"] + 0.5 * side * sizes[axis] * lamella.axes[axis]
        if axis == 0:
            place = place + _ASIDE * lamella.width * lamella.axes[2]
        places[edge] = place
    seen = view.transform(np.array(list(places.values())))
    return dict(zip(places, seen, strict=True))


@dataclass(frozen=True, eq=False)
class Dial:
    """The milling angle as it would show from the side, beside the box.

    Parameters
    ----------
    pivot : (2,) array
        (row, column) µm of the view.
    level, up : (2,) array
        Unit directions of the film and of what is above it.
    arm : float
        Length, µm.
    angle : float
        Degrees.
    """

    pivot: Floats
    level: Floats
    up: Floats
    arm: float
    angle: float

    @property
    def tip(self) -> Floats:
        """Where the arm ends: what a hand takes hold of, (2,) µm."""
        return self._at(self.angle)

    @property
    def corners(self) -> Floats:
        """Film, arm and the arc between them as one way through the view, (n, 2) µm."""
        arc = [self._at(turn, 0.5) for turn in np.linspace(0.0, self.angle, _ARC)]
        return np.array(
            [self._at(0.0), self.pivot, self.tip, self._at(self.angle, 0.5), *arc[::-1]]
        )

    def read(self, spot: ArrayLike) -> float:
        """Give the angle that an arm through a place (2,) µm would show, degrees."""
        away = np.asarray(spot, float) - self.pivot
        return float(np.rad2deg(np.arctan2(away @ self.up, away @ self.level)))

    def _at(self, angle: float, share: float = 1.0) -> Floats:
        turn = np.deg2rad(angle)
        way = np.cos(turn) * self.level + np.sin(turn) * self.up
        return np.asarray(self.pivot + share * self.arm * way)


def dial(lamella: Lamella, projection: ArrayLike, angle: float) -> Dial:
    """Give the dial of a lamella in a FIB view.

    Parameters
    ----------
    lamella : Lamella
    projection : (2, 4) array_like
        From the lamella's frame to the view, µm.
    angle : float
        What it shows: the milling angle against the film, degrees.
    """
    view = Affine(np.asarray(projection, float))
    normal, _, across = lamella.axes
    side = view.linear @ across
    scale = float(np.linalg.norm(side))
    level = side / scale
    up = np.array([-level[1], level[0]])
    up = up if up @ (view.linear @ normal) >= 0 else -up
    # on the right of the picture, wherever the lamella's own right is
    level = level if level[1] >= 0 else -level
    pivot = view.transform(lamella.centre)[0] + _PIVOT * lamella.width * scale * level
    return Dial(pivot, level, up, _ARM * lamella.width * scale, angle)


def dial_lines(shown: Dial) -> LayerData:
    """Describe a Vectors layer of a dial."""
    corners = shown.corners
    data = np.stack([corners[:-1], np.diff(corners, axis=0)], axis=1)
    return lines(data, "Milling angle", BOX, 0.015 * shown.arm)


def handle_points(places: Mapping[str, Floats], angle: float | None = None) -> LayerData:
    """Describe a Points layer of handles.

    A cross in the middle, squares at the edges, a disc at the end of the dial with its angle.
    """
    data = np.array(list(places.values())).reshape(len(places), 2)
    symbols = {"centre": "cross", "angle": "disc"}
    said = "" if angle is None else f"{angle:.1f}°"
    arguments = {
        "name": "Lamella handles",
        "ndim": 2,
        "units": (UNIT,) * 2,
        "axis_labels": SPATIAL[-2:],
        "metadata": {"clxem": {"marks": True}},
        "blending": "translucent_no_depth",
        "size": 0.5,
        "symbol": [symbols.get(name, "square") for name in places],
        "face_color": BOX,
        "border_color": np.array([0.0, 0.0, 0.0, 1.0]),
        "border_width": 0.15,
        "canvas_size_limits": (9, 12),
        "features": {
            "edge": list(places),
            "said": [said if name == "angle" else "" for name in places],
        },
        "text": {
            "string": "{said}",
            "color": BOX,
            "size": 12,
            "anchor": "upper_left",
            "blending": "translucent_no_depth",
        },
    }
    return data, arguments, "points"


def joint_slabs(lamella: Lamella, joints: Joints) -> tuple[Lamella, Lamella]:
    """Give the two slits of expansion joints as slabs beside a lamella."""
    across = lamella.axes[2]
    found = []
    for side in (-1.0, 1.0):
        z, y, x = (np.array(lamella.centre) + side * joints.distance * across).tolist()
        found.append(
            replace(
                lamella,
                centre=(z, y, x),
                thickness=joints.height,
                width=joints.width,
                damage=0.0,
                outline=(),
            )
        )
    return found[0], found[1]


def joint_lines(lamella: Lamella, joints: Joints, projection: ArrayLike) -> LayerData:
    """Describe a Vectors layer of expansion joints as a view (2, 4) shows them."""
    drawn = [view_outline(one, projection) for one in joint_slabs(lamella, joints)]
    return outline_lines(drawn, 2, "Expansion joints", JOINT, 0.004 * joints.height)


def solid(lamella: Lamella, placement: ArrayLike) -> tuple[Floats, NDArray[np.int64]]:
    """Give a lamella as a closed surface in the display.

    Parameters
    ----------
    lamella : Lamella
    placement : (4, 4) array_like
        From the lamella's frame to the display, µm.

    Returns
    -------
    vertices : (n, 3) array
        (z, y, x) display µm.
    triangles : (m, 3) array of int
    """
    vertices, triangles = surface(lamella)
    return Affine(np.asarray(placement, float)).transform(vertices), triangles
