"""Images made with light: confocal stacks, the fluorescence map and the in-line VLM map."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_clxem.samples.cells import Cell, Spheres
from napari_clxem.samples.painting import (
    Lattice,
    coverage,
    ellipsoid_paths,
    paint_ellipsoid,
    paint_spheres,
    paint_tube,
    refined,
    slab_lattice,
    sphere_paths,
    tube_paths,
    volume_lattice,
)
from napari_clxem.samples.poses import Pose
from napari_clxem.samples.relief import meet, rays
from napari_clxem.samples.scene import Scene
from napari_clxem.samples.streams import stream

Array = NDArray[np.float64]
Image = NDArray[np.float32]
FWHM = 2.0 * np.sqrt(2.0 * np.log(2.0))
LATERAL, AXIAL = 0.35, 1.0  # confocal PSF, FWHM in µm of the stage


@dataclass(frozen=True)
class Dye:
    """A fluorescence channel: what it shows, its dye, colour, excitation and emission in nm."""

    name: str
    dye: str
    colour: str
    excitation: float
    emission: float


DYES = (
    Dye("nuclei", "Hoechst 33342", "#3355ff", 405, 461),
    Dye("mitochondria", "MitoTracker Deep Red FM", "#ff2020", 638, 665),
    Dye("acidic vesicles", "LysoTracker Red DND-99", "#ffa000", 552, 590),
    Dye("beads", "FluoSpheres yellow-green", "#20ff40", 488, 515),
)


def _add_spheres(volume: Image, lattice: Lattice, spheres: Spheres, brightness: Array) -> None:
    width = lattice.pixel
    for centre, radius, value in zip(spheres.centres, spheres.radii, brightness, strict=True):
        one = Spheres(centre[None], np.array([radius]))
        for box, gap in paint_spheres(lattice, one, width):
            volume[box] = np.maximum(volume[box], np.float32(value) * coverage(gap, width))


def _organelles(lattice: Lattice, cells: tuple[Cell, ...], kind: str) -> Image:
    volume = np.zeros(lattice.shape, np.float32)
    width = lattice.pixel
    for cell in cells:
        if kind == "nuclei":
            found = [paint_ellipsoid(lattice, cell.nucleus, width)]
        else:
            found = [paint_tube(lattice, tube, width) for tube in cell.mitochondria]
        for item in found:
            if item is not None:
                box, gap = item
                volume[box] = np.maximum(volume[box], coverage(gap, width))
    return volume


def _vesicles(lattice: Lattice, scene: Scene) -> Image:
    volume = np.zeros(lattice.shape, np.float32)
    for cell in scene.cells:
        rng = stream(scene.seed, "dye", cell.name)
        dyed = rng.gamma(4.0, 0.25, len(cell.vesicles)) * (
            rng.uniform(size=len(cell.vesicles)) > 0.2
        )
        dyed[list(cell.loaded)] = 1.0 + 0.3 * rng.uniform(size=len(cell.loaded))
        _add_spheres(volume, lattice, cell.vesicles, dyed)
    return volume


def _bead_light(scene: Scene) -> tuple[Spheres, Array]:
    """Everything in the bead channel with its brightness: beads vary, debris is dimmer."""
    rng = stream(scene.seed, "bead brightness")
    beads = scene.beads
    bright = rng.normal(1.0, 0.12, len(beads)) * np.where(beads.fluorescent, 1.0, 0.02)
    centres = np.concatenate([beads.centres, scene.debris.centres])
    radii = np.concatenate([beads.radii, scene.debris.radii])
    return Spheres(centres, radii), np.concatenate([bright, np.full(len(scene.debris), 0.45)])


def confocal_stack(scene: Scene, pose: Pose) -> NDArray[np.uint8]:
    """Render a confocal stack.

    Parameters
    ----------
    scene : Scene
        What is there.
    pose : Pose
        Where the stack lies; refraction is part of it.

    Returns
    -------
    array (4, nz, ny, nx) of uint8
        Channels as in `DYES`, counts.
    """
    from scipy.ndimage import gaussian_filter

    split = 3
    coarse = volume_lattice(pose)
    # planes above and below the stack, whose light reaches into it
    spare = int(np.ceil(1.2 / pose.spacing[0]))
    lifted = coarse.matrix.copy()
    lifted[:3, 3] -= spare * coarse.matrix[:3, 0]
    tall = Lattice(lifted, (coarse.shape[0] + 2 * spare, *coarse.shape[1:]))
    lattice = refined(tall, (split, 1, 1))
    sigma = np.array([AXIAL, LATERAL, LATERAL]) / FWHM / np.asarray(pose.spacing) * [split, 1, 1]

    def through_microscope(volume: Image) -> Image:
        seen = gaussian_filter(volume, sigma, mode="nearest", truncate=3.5)
        averaged = seen.reshape(-1, split, *seen.shape[1:]).mean(axis=1)
        return np.asarray(averaged[spare:-spare], np.float32)

    beads = np.zeros(lattice.shape, np.float32)
    _add_spheres(beads, lattice, *_bead_light(scene))
    clean = [
        55 * through_microscope(_organelles(lattice, scene.cells, "nuclei")),
        95 * through_microscope(_organelles(lattice, scene.cells, "mitochondria")),
        120 * through_microscope(_vesicles(lattice, scene)),
        150 * through_microscope(beads),
    ]
    haze = through_microscope(_cytoplasm(lattice, scene))
    crosstalk = ((0, 3, 0.02), (3, 2, 0.05), (2, 1, 0.03), (0, 2, 0.02))
    mixed = [channel.copy() for channel in clean]
    for source, sink, share in crosstalk:
        mixed[sink] += share * clean[source]
    rng = stream(scene.seed, "noise", pose.name)
    backgrounds = (2.0, 2.5, 3.0, 2.0)
    hazes = (2.0, 6.0, 5.0, 1.5)
    counts = [
        rng.poisson(signal + background + glow * haze)
        for signal, background, glow in zip(mixed, backgrounds, hazes, strict=True)
    ]
    return np.clip(np.stack(counts), 0, 255).astype(np.uint8)


def _cytoplasm(lattice: Lattice, scene: Scene) -> Image:
    """Where there is cell: 1, elsewhere 0; every other plane is enough for haze."""
    volume = np.zeros(lattice.shape, np.float32)
    _, y, x = lattice.plane(lattice.shape[0] // 2)
    film = scene.film.height(y, x)
    top = film + scene.ground.thickness(y, x)
    for index in range(lattice.shape[0]):
        z, _, _ = lattice.plane(index)
        volume[index] = (z > film) & (z < top)
    return volume


def _widefield(scene: Scene, lattice: Lattice, step: float) -> dict[str, Image]:
    """Path lengths through what fluoresces, summed along the beam."""
    cells = scene.cells
    vesicles = Spheres(
        np.concatenate([cell.vesicles.centres for cell in cells]),
        np.concatenate([cell.vesicles.radii for cell in cells]),
    )
    dyed = scene.beads.fluorescent
    return {
        "beads": sphere_paths(
            lattice, Spheres(scene.beads.centres[dyed], scene.beads.radii[dyed]), step
        ),
        "debris": sphere_paths(lattice, scene.debris, step),
        "nuclei": ellipsoid_paths(lattice, [cell.nucleus for cell in cells], step),
        "vesicles": sphere_paths(lattice, vesicles, step),
        "mitochondria": tube_paths(
            lattice, [tube for cell in cells for tube in cell.mitochondria], step
        ),
    }


def _depths(scene: Scene, pose: Pose) -> tuple[float, float]:
    """Depth range in a 2D frame that holds film, cells and beads everywhere."""
    placed = pose.place(scene.beads.centres)[:, 0]
    return float(placed.min() - 3.0), float(placed.max() + 3.0)


def _holes(scene: Scene, pose: Pose) -> tuple[Image, Image, Image]:
    """Per pixel: share of film hole, of bar, and thickness of cell in µm."""
    points, beam = rays(pose)
    reach = meet(points, beam, scene.film.height)
    y, x = points[1] + reach * beam[1], points[2] + reach * beam[2]
    pixel = pose.spacing[0]
    hole = np.clip(0.5 - scene.film.hole_distance(y, x) / pixel, 0, 1)
    bar = np.clip(0.5 + scene.mesh.distance(y, x) / pixel, 0, 1)
    thickness = scene.ground.thickness(y, x)
    return hole.astype(np.float32), bar.astype(np.float32), thickness.astype(np.float32)


def fluorescence_map(scene: Scene, pose: Pose) -> NDArray[np.uint16]:
    """Render the widefield map: channels beads and reflection, (2, ny, nx) counts."""
    from scipy.ndimage import gaussian_filter

    step = 0.15
    lattice = slab_lattice(pose, *_depths(scene, pose), step)
    glow = _widefield(scene, lattice, step)
    sigma = 0.5 / FWHM / pose.spacing[0]
    light = 900 * glow["beads"] + 350 * glow["debris"]
    cell = 3 * glow["nuclei"] + 12 * glow["vesicles"] + 6 * glow["mitochondria"]
    sharp = gaussian_filter(light + cell, sigma)
    halo = gaussian_filter(light + cell, 6 * sigma)
    hole, bar, thickness = _holes(scene, pose)
    beads = 110 + 0.75 * sharp + 0.25 * halo + 8 * bar + 4 * thickness
    rng = stream(scene.seed, "noise", pose.name)
    grain = gaussian_filter(rng.standard_normal(bar.shape).astype(np.float32), 1.2)
    mirror = 160 + 260 * (1 - hole) * (1 - bar) + bar * (1500 + 500 * grain)
    mirror = mirror * np.exp(-0.16 * thickness) + 60 * np.cos(6.0 * thickness) * (thickness > 0)
    mirror += 140 * sphere_paths(lattice, Spheres(scene.beads.centres, scene.beads.radii), step)
    seen = gaussian_filter(mirror.astype(np.float32), sigma)
    uneven = _vignette(pose.shape, 0.12)
    counts = [rng.poisson(np.maximum(channel * uneven, 0)) for channel in (beads, seen)]
    return np.asarray(np.clip(np.stack(counts), 0, 65535), np.uint16)


def vlm_map(scene: Scene, pose: Pose) -> NDArray[np.uint16]:
    """Render the map of the in-line visible-light microscope: fluorescence, (ny, nx) counts.

    Its filter lets some light of the lamp through, so that bars and cells show faintly.
    """
    from scipy.ndimage import gaussian_filter

    step = 0.2
    lattice = slab_lattice(pose, *_depths(scene, pose), step)
    glow = _widefield(scene, lattice, step)
    sigma = 0.62 / FWHM / pose.spacing[0]
    light = 620 * glow["beads"] + 260 * glow["debris"] + 10 * glow["vesicles"]
    light += 6 * glow["nuclei"] + 4 * glow["mitochondria"]
    hole, bar, thickness = _holes(scene, pose)
    lamp = (150 + 22 * hole - 9 * thickness) * (1 - bar) + 45 * bar
    seen = 0.8 * gaussian_filter(light + lamp, sigma) + 0.2 * gaussian_filter(
        light + lamp, 5 * sigma
    )
    rng = stream(scene.seed, "noise", pose.name)
    counts = rng.poisson(np.maximum(seen * _vignette(pose.shape, 0.2), 0)) + 100
    counts = counts + np.rint(rng.normal(0, 3, pose.shape)).astype(int)
    return np.asarray(np.clip(counts, 0, 65535), np.uint16)


def _vignette(shape: tuple[int, ...], fall: float) -> Image:
    y, x = np.linspace(-1, 1, shape[0])[:, None], np.linspace(-1, 1, shape[1])
    return np.asarray(1 - fall * ((y - 0.15) ** 2 + (x + 0.1) ** 2) / 2, np.float32)
