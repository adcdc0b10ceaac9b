"""Where the fiducial beads come to lie: on the film, against cells and on top of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_clxem.samples.cells import Body
from napari_clxem.samples.support import Film, Mesh

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]
RADIUS = 0.5


@dataclass(frozen=True)
class Ground:
    """What a bead can rest on."""

    film: Film
    mesh: Mesh
    bodies: tuple[Body, ...]

    def height(self, y: Array, x: Array) -> Array:
        """Height of film or cell, µm."""
        return self.film.height(y, x) + self.thickness(y, x)

    def thickness(self, y: Array, x: Array) -> Array:
        """Height of the cell above the film, µm; 0 where there is none."""
        return np.asarray(np.max([body.thickness(y, x) for body in self.bodies], axis=0))

    def rest(self, y: Array, x: Array) -> Array:
        """Centres (n, 3) of beads that rest at (y, x)."""
        step = 0.2
        dy = (self.height(y + step, x) - self.height(y - step, x)) / (2 * step)
        dx = (self.height(y, x + step) - self.height(y, x - step)) / (2 * step)
        lift = RADIUS * np.minimum(np.sqrt(1 + dy**2 + dx**2), 1.6)
        return np.stack([self.height(y, x) + lift, y, x], axis=1)


@dataclass(frozen=True)
class Area:
    """A square of the grid: centre (y, x) and half side, µm."""

    centre: tuple[float, float]
    half: float

    def holds(self, y: Array, x: Array) -> Mask:
        """Tell which points lie inside."""
        inside = np.abs(y - self.centre[0]) < self.half
        return np.asarray(inside & (np.abs(x - self.centre[1]) < self.half))

    def draw(self, count: int, rng: np.random.Generator) -> Array:
        """Draw points (count, 2) evenly."""
        return np.asarray(self.centre) + rng.uniform(-self.half, self.half, (count, 2))


def place(
    taken: Array,
    ground: Ground,
    area: Area,
    count: int,
    accept: Callable[[Array, Array], Mask],
    gap: float,
    rng: np.random.Generator,
) -> Array:
    """Put up to `count` beads in `area` where `accept` says so; gives their centres (n, 3)."""
    drawn = area.draw(30 * count + 200, rng)
    drawn = drawn[accept(drawn[:, 0], drawn[:, 1])]
    kept: list[Array] = []
    others = list(taken)
    batch = 2 * count + 10
    for first in range(0, len(drawn), batch):
        for centre in ground.rest(*drawn[first : first + batch].T):
            if len(kept) == count:
                return np.asarray(kept).reshape(-1, 3)
            if others and np.min(np.linalg.norm(np.asarray(others) - centre, axis=1)) < gap:
                continue
            kept.append(centre)
            others.append(centre)
    return np.asarray(kept).reshape(-1, 3)


def add_neighbours(
    centres: Array,
    ground: Ground,
    count: int,
    accept: Callable[[Array, Array], Mask],
    rng: np.random.Generator,
) -> Array:
    """Put `count` beads so that they touch others, where `accept` says so: small clumps."""
    kept: list[Array] = []
    for index in rng.permutation(len(centres)):
        if len(kept) == count:
            break
        angle = rng.uniform(0, 2 * np.pi)
        y, x = centres[index, 1:] + 1.04 * np.array([np.sin(angle), np.cos(angle)])
        spot = ground.rest(np.array([y]), np.array([x]))
        others = np.concatenate([centres, *[k[None] for k in kept]])
        alone = np.min(np.linalg.norm(others - spot, axis=1)) > 1.01
        if alone and accept(spot[:, 1], spot[:, 2])[0]:
            kept.append(spot[0])
    return np.asarray(kept).reshape(-1, 3)
