"""The lamella as a slab: its axes, faces, outline and what of it lies in plan view."""

from __future__ import annotations

from dataclasses import dataclass
from math import cos, isfinite, radians, sin

import numpy as np
from numpy.typing import ArrayLike

from napari_clxem.errors import LamellaError
from napari_clxem.frames import Affine, as_points
from napari_clxem.frames.affine import Floats

Point = tuple[float, float, float]


def axes(angle: float, azimuth: float = 0.0) -> Floats:
    """Give the unit axes of a lamella in the grid frame.

    The ion beam travels along (x, y, z) = (0, cos α, -sin α), turned by the azimuth.

    Parameters
    ----------
    angle : float
        Milling angle α between beam and grid plane, degrees.
    azimuth : float
        Turn of the milling direction in the grid plane, degrees, from +y towards -x: that of a
        tilt axis (:class:`napari_clxem.dose.Exposure`).

    Returns
    -------
    (3, 3) array
        Rows are the normal (towards the electron source), the milling direction ("along") and
        the direction of the stage's tilt axis ("across"), each (z, y, x).
    """
    c, s = cos(radians(angle)), sin(radians(angle))
    ca, sa = cos(radians(azimuth)), sin(radians(azimuth))
    return np.array([[c, s * ca, -s * sa], [-s, c * ca, -c * sa], [0.0, sa, ca]])


@dataclass(frozen=True)
class Lamella:
    """A lamella, planned or milled: a slab that holds the ion beam's direction.

    Parameters
    ----------
    centre : tuple of float
        Its middle (z, y, x), µm.
    angle : float
        Milling angle against the grid plane, degrees.
    azimuth : float
        Turn of the milling direction in the grid plane from +y towards -x, degrees.
    thickness : float
        From face to face, µm.
    width : float
        Across the milling direction, µm.
    length : float
        Along the milling direction, within the slab, µm.
    damage : float
        Depth of the damage layer under each face, µm: what is left between is the core.
    outline : tuple of (float, float)
        Corners (along, across) from the centre, µm, where the lamella is no rectangle; empty for
        one of `width` times `length`.

    Raises
    ------
    LamellaError
        Where a number cannot be used, or the outline crosses itself or has no area.
    """

    centre: Point
    angle: float
    azimuth: float = 0.0
    thickness: float = 0.3
    width: float = 12.0
    length: float = 10.0
    damage: float = 0.0
    outline: tuple[tuple[float, float], ...] = ()

    def __post_init__(self) -> None:
        z, y, x = as_points(self.centre, 3, "The lamella's centre")[0].tolist()
        object.__setattr__(self, "centre", (z, y, x))
        for name in ("angle", "azimuth", "thickness", "width", "length", "damage"):
            value = float(getattr(self, name))
            if not isfinite(value):
                raise LamellaError(f"The lamella's {name} is {value}; give a finite number.")
            object.__setattr__(self, name, value)
        if abs(self.angle) > 90:
            raise LamellaError(
                f"A lamella cannot stand at {self.angle:g} degrees to the grid; give -90 to 90."
            )
        for name in ("thickness", "width", "length"):
            if getattr(self, name) <= 0:
                raise LamellaError(
                    f"The lamella's {name} is {getattr(self, name):g} µm; give one above 0."
                )
        if self.damage < 0:
            raise LamellaError(
                f"The lamella's damage layer is {self.damage:g} µm deep; give 0 or more."
            )
        if len(self.outline):
            corners = checked_outline(self.outline, "The lamella's outline")
            object.__setattr__(self, "outline", tuple((a, b) for a, b in corners.tolist()))

    @property
    def axes(self) -> Floats:
        """Rows: normal, along, across, each a unit vector (z, y, x); see :func:`axes`."""
        return axes(self.angle, self.azimuth)

    @property
    def normal(self) -> Floats:
        """Unit normal of the faces (z, y, x), towards the electron source."""
        return np.asarray(self.axes[0])

    @property
    def core(self) -> float:
        """Thickness between the damage layers, µm; 0 where they meet."""
        return max(self.thickness - 2 * self.damage, 0.0)

    @property
    def area(self) -> float:
        """Area of a face, µm²."""
        return abs(signed_area(self.corners_in_plane))

    @property
    def volume(self) -> float:
        """Volume of the slab, damage layers included, µm³."""
        return self.area * self.thickness

    @property
    def corners_in_plane(self) -> Floats:
        """Corners of the outline (along, across) from the centre, (n, 2) µm."""
        if self.outline:
            return np.array(self.outline)
        return 0.5 * np.array(
            [
                [-self.length, -self.width],
                [self.length, -self.width],
                [self.length, self.width],
                [-self.length, self.width],
            ]
        )

    @property
    def mid_plane(self) -> Floats:
        """Corners of the mid-plane in space, (n, 3) µm."""
        return np.asarray(np.array(self.centre) + self.corners_in_plane @ self.axes[1:])

    @property
    def plan(self) -> Floats:
        """Corners of the mid-plane as seen along z, (n, 2) µm (y, x)."""
        return self.mid_plane[:, 1:]

    @property
    def corners(self) -> Floats:
        """Corners of the lower face, then of the upper one, (2 n, 3) µm."""
        rise = 0.5 * self.thickness * self.normal
        return np.vstack([self.mid_plane - rise, self.mid_plane + rise])

    @property
    def placement(self) -> Affine:
        """Map from the lamella's own (normal, along, across) µm to (z, y, x)."""
        return Affine.from_parts(self.axes.T, self.centre)

    def within(self, points: ArrayLike) -> Floats:
        """Give points (n, 3) in the lamella's own axes: (normal, along, across) µm."""
        return np.asarray((as_points(points, 3) - self.centre) @ self.axes.T)

    def contains(self, points: ArrayLike, core: bool = False) -> np.ndarray:
        """Tell which points (n, 3) lie in the slab; with `core` between its damage layers."""
        own = self.within(points)
        thickness = self.core if core else self.thickness
        deep = np.abs(own[:, 0]) <= thickness / 2
        return np.asarray(deep & inside_polygon(own[:, 1:], self.corners_in_plane))


def signed_area(corners: Floats) -> float:
    """Area of a polygon (n, 2), positive where it turns from the first axis to the second."""
    a, b = corners[:, 0], corners[:, 1]
    around = a[:-1] @ b[1:] - b[:-1] @ a[1:]
    return 0.5 * float(around + a[-1] * b[0] - b[-1] * a[0])


def inside_polygon(points: Floats, corners: Floats) -> np.ndarray:
    """Tell which points (n, 2) lie in a polygon (m, 2), by counting crossings."""
    inside = np.zeros(len(points), bool)
    for (a, b), (c, d) in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        spans = (b > points[:, 1]) != (d > points[:, 1])
        with np.errstate(divide="ignore", invalid="ignore"):
            crossing = a + (points[:, 1] - b) / (d - b) * (c - a)
        inside ^= spans & (points[:, 0] < crossing)
    return inside


def checked_outline(corners: ArrayLike, name: str = "The outline") -> Floats:
    """Check the corners of a polygon and give them as (n, 2) floats.

    Raises
    ------
    LamellaError
        Where there are fewer than three, the polygon crosses itself or has no area.
    """
    array = as_points(corners, 2, name)
    if len(array) > 1 and np.array_equal(array[0], array[-1]):
        array = array[:-1]
    if len(array) < 3:
        raise LamellaError(f"{name} has {len(array)} corners; draw at least three.")
    extent = np.ptp(array, axis=0).max()
    if abs(signed_area(array)) <= 1e-9 * extent**2:
        raise LamellaError(f"{name} has no area; draw it around the lamella.")
    crossing = _crossing(array)
    if crossing is not None:
        raise LamellaError(
            f"{name} crosses itself between its corners {crossing[0] + 1} and {crossing[1] + 1}; "
            "move one of these corners."
        )
    return array


def _crossing(corners: Floats) -> tuple[int, int] | None:
    """Give two sides of a polygon that cross or touch, or None."""
    ends = np.roll(corners, -1, axis=0)
    count = len(corners)

    def side(a: Floats, b: Floats, c: Floats) -> Floats:
        return np.asarray(
            (b[..., 0] - a[..., 0]) * (c[..., 1] - a[..., 1])
            - (b[..., 1] - a[..., 1]) * (c[..., 0] - a[..., 0])
        )

    a, b = corners[:, None], ends[:, None]
    c, d = corners[None], ends[None]
    apart = side(a, b, c) * side(a, b, d) < 0
    hits = np.argwhere(apart & (side(c, d, a) * side(c, d, b) < 0))
    for first, second in hits:
        if (second - first) % count not in (0, 1, count - 1):
            return int(first), int(second)
    return None
