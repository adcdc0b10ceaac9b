"""Adherent cells: a height field over the film, and what is inside.

Organelles are spheres and tubes with absolute positions in the grid frame, (z, y, x) µm.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_clxem.samples.support import Film

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Spheres:
    """Spheres: `centres` (n, 3) and `radii` (n,), µm."""

    centres: Array
    radii: Array

    def __len__(self) -> int:
        """Count the spheres."""
        return len(self.radii)


@dataclass(frozen=True, eq=False)
class Tube:
    """A tube of one radius along a polyline (n, 3), µm."""

    path: Array
    radius: float


@dataclass(frozen=True, eq=False)
class Ellipsoid:
    """An ellipsoid lying flat: half axes (z, y, x) µm, the long ones turned by `angle` degrees."""

    centre: Array
    half_axes: Array
    angle: float

    @property
    def shape_matrix(self) -> Array:
        """Matrix (3, 3) that takes offsets from the centre to the unit sphere."""
        cos, sin = np.cos(np.deg2rad(self.angle)), np.sin(np.deg2rad(self.angle))
        turn = np.array([[1, 0, 0], [0, cos, sin], [0, -sin, cos]])
        return np.asarray(turn / self.half_axes[:, None])

    def level(self, points: Array) -> Array:
        """Radius of points (n, 3) in units of the half axes: below 1 inside."""
        return np.asarray(np.linalg.norm((points - self.centre) @ self.shape_matrix.T, axis=1))


@dataclass(frozen=True)
class Body:
    """Outline and height of a cell above the film.

    The outline is `radius` times 1 + Σ a·cos(nφ + p) over `harmonics` (n, a, p); the dome of
    height `height` stands over `summit`, the rim is `rim` high, µm.
    """

    centre: tuple[float, float]
    radius: float
    harmonics: tuple[tuple[int, float, float], ...]
    summit: tuple[float, float]
    height: float
    rim: float
    spread: float = 4.3

    def level(self, y: Array, x: Array) -> Array:
        """Distance from the centre over that of the outline: below 1 inside."""
        dy, dx = y - self.centre[0], x - self.centre[1]
        angle = np.arctan2(dy, dx)
        outline = np.ones_like(angle)
        for order, amplitude, phase in self.harmonics:
            outline = outline + amplitude * np.cos(order * angle + phase)
        return np.hypot(dy, dx) / (self.radius * outline)

    def thickness(self, y: Array, x: Array) -> Array:
        """Height of the cell above the film, µm; 0 outside."""
        y, x = np.broadcast_arrays(np.asarray(y, float), np.asarray(x, float))
        total = np.zeros(y.shape)
        near = (y - self.centre[0]) ** 2 + (x - self.centre[1]) ** 2 < (1.5 * self.radius) ** 2
        if near.any():
            total[near] = self._dome(y[near], x[near])
        return total

    def _dome(self, y: Array, x: Array) -> Array:
        edge = np.sqrt(np.clip(1.0 - self.level(y, x) ** 2, 0.0, 1.0))
        square = (y - self.summit[0]) ** 2 + (x - self.summit[1]) ** 2
        dome = np.exp(-square / (2 * self.spread**2))
        return np.minimum(1.0, 1.4 * edge) * (self.rim + (self.height - self.rim) * dome)


@dataclass(frozen=True, eq=False)
class Cell:
    """One cell with its organelles; `loaded` are the vesicles that hold iron-oxide clusters."""

    name: str
    body: Body
    nucleus: Ellipsoid
    vesicles: Spheres
    loaded: tuple[int, ...]
    iron: Spheres
    droplets: Spheres
    mitochondria: tuple[Tube, ...]


def inside(body: Body, film: Film, points: Array, margin: Array | float) -> NDArray[np.bool_]:
    """Tell which points (n, 3) lie inside a cell, at least `margin` µm from its faces."""
    z, y, x = points.T
    above = z - film.height(y, x)
    return np.asarray((above > margin) & (above < body.thickness(y, x) - margin))


def make_body(centre: tuple[float, float], towards: Array, rng: np.random.Generator) -> Body:
    """Draw a cell body whose summit lies away from the unit vector `towards` (y, x)."""
    harmonics = tuple(
        (n, float(rng.uniform(0.3, 1.0) * 0.14 / n), float(rng.uniform(0, 2 * np.pi)))
        for n in (2, 3, 4, 5, 7)
    )
    summit = np.asarray(centre) - 2.2 * towards
    return Body(
        centre=centre,
        radius=float(rng.uniform(7.6, 8.2)),
        harmonics=harmonics,
        summit=(float(summit[0]), float(summit[1])),
        height=float(rng.uniform(3.0, 3.4)),
        rim=float(rng.uniform(1.5, 1.8)),
    )


def _nucleus(body: Body, film: Film, rng: np.random.Generator) -> Ellipsoid:
    y, x = body.summit
    base = float(film.height(np.asarray(y), np.asarray(x)))
    return Ellipsoid(
        centre=np.array([base + 0.48 * body.height, y, x]),
        half_axes=np.array([0.36 * body.height, rng.uniform(2.3, 2.6), rng.uniform(2.9, 3.3)]),
        angle=float(rng.uniform(0, 180)),
    )


def _candidates(body: Body, film: Film, count: int, rng: np.random.Generator) -> Array:
    """Draw points (count, 3) from the box around a cell."""
    half = 1.25 * body.radius
    y = body.centre[0] + rng.uniform(-half, half, count)
    x = body.centre[1] + rng.uniform(-half, half, count)
    return np.stack([film.height(y, x) + rng.uniform(0, body.height, count), y, x], axis=1)


def _pack(
    placed: Spheres, points: Array, radii: Array, count: int, gap: float
) -> tuple[Array, Array]:
    """Keep the first `count` spheres that come no closer than `gap` to others or `placed`."""
    z, y, x = points.T.copy()

    def clear(centre: Array, radius: float) -> NDArray[np.bool_]:
        distance = np.sqrt((z - centre[0]) ** 2 + (y - centre[1]) ** 2 + (x - centre[2]) ** 2)
        return np.asarray(distance >= radii + radius + gap)

    free = np.ones(len(points), bool)
    for centre, radius in zip(placed.centres, placed.radii, strict=True):
        free &= clear(centre, radius)
    kept: list[int] = []
    while len(kept) < count and free.any():
        index = int(np.argmax(free))
        kept.append(index)
        free &= clear(points[index], radii[index])
    return points[kept], radii[kept]


def _vesicles(
    body: Body,
    film: Film,
    nucleus: Ellipsoid,
    field: tuple[float, float],
    rng: np.random.Generator,
) -> tuple[Spheres, int, Spheres]:
    """Place vesicles, those with iron first and near `field`, then lipid droplets."""
    nothing = Spheres(np.empty((0, 3)), np.empty(0))
    points = _candidates(body, film, 5000, rng)
    radii = rng.uniform(0.2, 0.42, len(points))
    free = inside(body, film, points, radii + 0.12) & (nucleus.level(points) > 1.22)
    points, radii = points[free], radii[free]
    near = np.hypot(*(points[:, 1:] - field).T) < 4.4
    near &= inside(body, film, points, 0.52)
    iron_radii = rng.uniform(0.34, 0.46, near.sum())
    centres, sizes = _pack(nothing, points[near], iron_radii, 5, 0.5)
    loaded = len(sizes)
    rest = ~near
    more, more_sizes = _pack(Spheres(centres, sizes), points[rest], radii[rest], 34, 0.1)
    inner, inner_sizes = _pack(
        Spheres(np.concatenate([centres, more]), np.concatenate([sizes, more_sizes])),
        points[near][::-1],
        0.8 * radii[near][::-1],
        30,
        0.08,
    )
    vesicles = Spheres(
        np.concatenate([centres, more, inner]), np.concatenate([sizes, more_sizes, inner_sizes])
    )
    again = rng.permutation(len(points))
    drops = _pack(vesicles, points[again], 0.75 * radii[again], 14, 0.1)
    return vesicles, loaded, Spheres(*drops)


def _iron(vesicles: Spheres, loaded: int, rng: np.random.Generator) -> Spheres:
    """Fill the first `loaded` vesicles with clusters of iron oxide, balanced about the centre."""
    centres, radii = [], []
    for centre, radius in zip(vesicles.centres[:loaded], vesicles.radii, strict=False):
        offsets = rng.normal(0, 0.36 * radius, (14, 3))
        offsets -= offsets.mean(axis=0)
        offsets *= np.minimum(1.0, 0.68 * radius / np.linalg.norm(offsets, axis=1))[:, None]
        centres.append(centre + offsets)
        radii.append(rng.uniform(0.05, 0.11, 14))
    return Spheres(np.concatenate(centres), np.concatenate(radii))


def _mitochondria(
    body: Body, film: Film, nucleus: Ellipsoid, taken: Spheres, rng: np.random.Generator
) -> tuple[Tube, ...]:
    """Grow tubes from random points, each until it would leave the cytoplasm."""
    points = _candidates(body, film, 1500, rng)

    def free(tips: Array) -> NDArray[np.bool_]:
        gap = np.linalg.norm(tips[:, None] - taken.centres[None], axis=2) - taken.radii
        clear = np.all(gap > 0.28, axis=1) & (nucleus.level(tips) > 1.15)
        return np.asarray(clear & inside(body, film, tips, 0.36))

    points = points[free(points)]
    starts, _ = _pack(
        Spheres(np.empty((0, 3)), np.empty(0)), points, np.full(len(points), 0.24), 40, 0.3
    )
    angle = rng.uniform(0, 2 * np.pi, len(starts))
    paths = [[start] for start in starts]
    growing = np.ones(len(starts), bool)
    tips = starts.copy()
    for _ in range(14):
        angle = angle + rng.normal(0, 0.25, len(starts))
        rise = rng.normal(0, 0.05, len(starts))
        # where the way is blocked, turn aside
        ways = np.stack([angle, angle + 0.7, angle - 0.7])
        steps = np.stack([np.tile(rise, (3, 1)), 0.3 * np.sin(ways), 0.3 * np.cos(ways)], axis=2)
        ahead = tips + steps
        open_ways = free(ahead.reshape(-1, 3)).reshape(3, -1)
        chosen = np.argmax(open_ways, axis=0)
        growing &= open_ways.any(axis=0)
        angle = ways[chosen, np.arange(len(starts))]
        tips = ahead[chosen, np.arange(len(starts))]
        for index in np.flatnonzero(growing):
            paths[index].append(tips[index])
    return tuple(
        Tube(np.asarray(path), float(rng.uniform(0.19, 0.26))) for path in paths if len(path) > 3
    )


def make_cell(
    name: str,
    centre: tuple[float, float],
    field: tuple[float, float],
    film: Film,
    rng: np.random.Generator,
    mitochondria: bool = True,
) -> Cell:
    """Draw a cell at `centre` (y, x) with vesicles of iron around `field` (y, x), µm."""
    offset = np.asarray(field) - np.asarray(centre)
    body = make_body(centre, offset / np.linalg.norm(offset), rng)
    nucleus = _nucleus(body, film, rng)
    vesicles, loaded, droplets = _vesicles(body, film, nucleus, field, rng)
    taken = Spheres(
        np.concatenate([vesicles.centres, droplets.centres]),
        np.concatenate([vesicles.radii, droplets.radii]),
    )
    return Cell(
        name=name,
        body=body,
        nucleus=nucleus,
        vesicles=vesicles,
        loaded=tuple(range(loaded)),
        iron=_iron(vesicles, loaded, rng),
        droplets=droplets,
        mitochondria=_mitochondria(body, film, nucleus, taken, rng) if mitochondria else (),
    )
