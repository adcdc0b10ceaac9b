"""One physical model of a grid square, from which every modality makes its image.

All positions are in the grid frame, (z, y, x) µm, z towards the beam, origin on the film in the
middle of the square.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_clxem.samples.beads import RADIUS, Area, Ground, add_neighbours, place
from napari_clxem.samples.cells import Cell, Spheres, make_cell
from napari_clxem.samples.streams import stream
from napari_clxem.samples.support import Film, Ice, Mesh, make_film, make_ice

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]
Accept = Callable[[Array, Array], Mask]
FIELD = 13.5
STACK = 22.0
_SITES = (("A", (-17.0, -19.0)), ("B", (-12.0, 20.0)), ("C", (21.0, 1.0)))
_STATUS = {"A": "milled", "B": "milled", "C": "lost"}


@dataclass(frozen=True, eq=False)
class Beads:
    """Polystyrene beads: `centres` (n, 3), `radii` (n,) µm; `fluorescent` (n,) of those dyed."""

    centres: Array
    radii: Array
    fluorescent: Mask

    def __len__(self) -> int:
        """Count the beads."""
        return len(self.radii)


@dataclass(frozen=True)
class Site:
    """A cell worth the work: where its confocal stack and SXT field are centred, (y, x) µm."""

    name: str
    status: str
    stack: tuple[float, float]
    field: tuple[float, float]


@dataclass(frozen=True, eq=False)
class Target:
    """A vesicle with iron, held back for validation: `position` (3,) and radius, µm."""

    id: str
    site: str
    position: Array
    radius: float


@dataclass(frozen=True, eq=False)
class Scene:
    """A square of the grid with all that is on it.

    `contamination` is ice that settled before the SEM; `debris` fluoresces like a bead and
    `crystals` absorb like one, without being one.
    """

    seed: int
    mesh: Mesh
    film: Film
    ice: Ice
    cells: tuple[Cell, ...]
    sites: tuple[Site, ...]
    beads: Beads
    targets: tuple[Target, ...]
    contamination: Spheres
    debris: Spheres
    crystals: Spheres

    @property
    def ground(self) -> Ground:
        """Film and cells, as what beads rest on."""
        return Ground(self.film, self.mesh, tuple(cell.body for cell in self.cells))

    def site(self, name: str) -> Site:
        """Give the site of this name."""
        return next(site for site in self.sites if site.name == name)

    def ice_top(self, y: Array, x: Array) -> Array:
        """Height of the ice surface, µm: it levels over the film and drapes over cells."""
        film = self.film.height(y, x)
        on_bar = 0.5 + 0.5 * np.tanh(self.mesh.distance(y, x) / 2.0)
        level = film + self.ice.thickness(y, x) + 0.25 * on_bar
        drape = film + self.ground.thickness(y, x) + 0.22
        sharp = 8.0
        high, low = np.maximum(level, drape), np.minimum(level, drape)
        return np.asarray(high + np.log1p(np.exp(-sharp * (high - low))) / sharp)


def _sites(rng: np.random.Generator) -> tuple[tuple[Site, tuple[float, float]], ...]:
    """Draw the sites, each with the centre of its cell."""
    made = []
    for name, nominal in _SITES:
        centre = np.asarray(nominal) + rng.uniform(-2, 2, 2)
        angle = rng.uniform(0, 2 * np.pi)
        offset = 3.2 * np.array([np.sin(angle), np.cos(angle)])
        stack = centre + 0.5 * offset
        field = centre + offset
        site = Site(
            name,
            _STATUS[name],
            (float(stack[0]), float(stack[1])),
            (float(field[0]), float(field[1])),
        )
        made.append((site, (float(centre[0]), float(centre[1]))))
    return tuple(made)


def _site_beads(site: Site, ground: Ground, rng: np.random.Generator) -> Array:
    """Place a site's beads: low and high ones in the SXT field, then some around it."""
    few = site.name == "C"
    apart = 8.8 if few else 8.2

    def distance(y: Array, x: Array) -> Array:
        return np.hypot(y - site.field[0], x - site.field[1])

    def low(y: Array, x: Array) -> Mask:
        return np.asarray(ground.thickness(y, x) < 0.05)

    def high(y: Array, x: Array) -> Mask:
        thickness = ground.thickness(y, x)
        return np.asarray((thickness > 1.7) & (thickness < 2.9))

    # the SXT field may be turned any way, so a disc stands for it
    within = Area(site.field, 5.9)
    around = Area(site.stack, STACK / 2 - 1.2)
    groups = (
        (within, low, True, 1 if few else 3),
        (within, high, True, int(rng.integers(0, 2) if few else rng.integers(3, 5))),
        (around, high, False, 2),
        (around, low, False, 5),
    )
    beads = np.empty((0, 3))
    for area, level, inner, count in groups:

        def accept(y: Array, x: Array, level: Accept = level, inner: bool = inner) -> Mask:
            place_ok = distance(y, x) < 5.9 if inner else distance(y, x) > apart
            return np.asarray(level(y, x) & place_ok)

        more = place(beads, ground, area, count, accept, 1.5, rng)
        beads = np.concatenate([beads, more])
    return beads


def _beads(sites: tuple[Site, ...], ground: Ground, count: int, rng: np.random.Generator) -> Beads:
    """Place all beads: those of the sites, then over the square and a few on the bars."""
    keep_out = tuple(Area(site.field, FIELD / 2 * 1.3) for site in sites)
    centres = np.concatenate([_site_beads(site, ground, rng) for site in sites])
    square = Area((0.0, 0.0), ground.mesh.opening / 2 - 1.5)

    def open_film(y: Array, x: Array) -> Mask:
        taken = np.any([area.holds(y, x) for area in keep_out], axis=0)
        return np.asarray((ground.mesh.distance(y, x) < -1.0) & ~taken)

    def bar(y: Array, x: Array) -> Mask:
        return np.asarray(ground.mesh.distance(y, x) > 2.0)

    on_bars = count // 8
    pairs = count // 16
    rest = max(count - len(centres) - on_bars - pairs, 0)
    centres = np.concatenate([centres, place(centres, ground, square, rest, open_film, 1.6, rng)])
    centres = np.concatenate([centres, add_neighbours(centres, ground, pairs, open_film, rng)])
    wide = Area((0.0, 0.0), 60.0)
    centres = np.concatenate([centres, place(centres, ground, wide, on_bars, bar, 1.6, rng)])
    return Beads(
        centres=centres,
        radii=RADIUS * (1 + rng.normal(0, 0.012, len(centres))),
        fluorescent=rng.uniform(size=len(centres)) > 0.05,
    )


def _strays(
    scene_beads: Beads,
    ground: Ground,
    count: int,
    radii: tuple[float, float],
    sink: float,
    rng: np.random.Generator,
) -> Spheres:
    """Scatter round things that are no beads, `sink` of their radius deep in the surface."""

    def anywhere(y: Array, x: Array) -> Mask:
        return np.asarray(ground.mesh.distance(y, x) < 12.0)

    found = place(scene_beads.centres, ground, Area((0.0, 0.0), 56.0), count, anywhere, 2.2, rng)
    sizes = rng.uniform(*radii, len(found))
    found[:, 0] += (1 - sink) * sizes - RADIUS
    return Spheres(found, sizes)


def make_scene(
    seed: int = 1, *, beads: int = 80, contamination: int = 30, mitochondria: bool = True
) -> Scene:
    """Draw the physical model of a grid square.

    Parameters
    ----------
    seed : int
        Same seed, same scene.
    beads : int
        How many beads to aim for; those of the three sites are always placed.
    contamination : int
        How many ice-contamination blobs settle on the surface.
    mitochondria : bool
        False leaves them out, which is quicker and changes nothing else.

    Returns
    -------
    Scene
        In the grid frame, (z, y, x) µm.
    """
    mesh = Mesh()
    film = make_film(stream(seed, "film"))
    ice = make_ice(stream(seed, "ice"))
    drawn = _sites(stream(seed, "sites"))
    sites = tuple(site for site, _ in drawn)
    cells = tuple(
        make_cell(
            site.name, centre, site.field, film, stream(seed, "cell", site.name), mitochondria
        )
        for site, centre in drawn
    )
    ground = Ground(film, mesh, tuple(cell.body for cell in cells))
    all_beads = _beads(sites, ground, beads, stream(seed, "beads"))
    strays = stream(seed, "strays")
    return Scene(
        seed=seed,
        mesh=mesh,
        film=film,
        ice=ice,
        cells=cells,
        sites=sites,
        beads=all_beads,
        targets=_targets(cells),
        contamination=_strays(all_beads, ground, contamination, (0.3, 0.75), 0.1, strays),
        debris=_strays(all_beads, ground, 8, (0.3, 0.45), 0.5, strays),
        crystals=_strays(all_beads, ground, 7, (0.4, 0.6), 0.3, strays),
    )


def _targets(cells: tuple[Cell, ...]) -> tuple[Target, ...]:
    return tuple(
        Target(
            f"{cell.name}{number}",
            cell.name,
            cell.vesicles.centres[index],
            float(cell.vesicles.radii[index]),
        )
        for cell in cells
        for number, index in enumerate(cell.loaded, start=1)
    )
