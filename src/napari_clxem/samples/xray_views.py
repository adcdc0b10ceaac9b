"""Soft X-ray images at 520 eV: the stitched mosaic and the tomograms.

Both follow Beer and Lambert: what counts is the linear absorption coefficient (LAC) along the
beam, taken from composition and density.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from napari_clxem.materials import Material, hydrated, linear_attenuation
from napari_clxem.samples.cells import Spheres
from napari_clxem.samples.painting import (
    Box,
    Lattice,
    coverage,
    ellipsoid_paths,
    paint_ellipsoid,
    paint_spheres,
    paint_tube,
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
ENERGY = 520.0
TILT_RANGE = 65.0
# LAC per grey level of a tomogram, 1/µm, and the level of nothing.
LAC_STEP = 0.012
LAC_ZERO = 60
# Photons a pixel of the mosaic gets without a specimen, and photons per count.
PHOTONS = 4000.0
GAIN = 8.0
# Sd of the LAC of a tomogram's voxels before blur and missing wedge, 1/µm.
NOISE = 0.11
_RESOLUTION = 0.060  # FWHM, µm


@lru_cache(maxsize=1)
def absorption() -> dict[str, float]:
    """LAC of everything in a scene at 520 eV, 1/µm."""
    materials: dict[str, str | Material] = {
        "ice": "ice",
        "film": "carbon",
        "bead": "polystyrene",
        "cytoplasm": hydrated("cytoplasm", 0.22, 1.06),
        "nucleus": hydrated("nucleus", 0.17, 1.045),
        "mitochondrion": hydrated("mitochondrion", 0.40, 1.12),
        "vesicle": hydrated("vesicle", 0.30, 1.09),
        "droplet": "lipid",
        "crystal": Material("buffer salt", (("H2O", 0.35), ("NaCl", 0.65)), 1.6),
    }
    found = {name: linear_attenuation(m, ENERGY) for name, m in materials.items()}
    # clusters are magnetite and vesicle, half and half by volume
    found["iron"] = 0.5 * (linear_attenuation("magnetite", ENERGY) + found["vesicle"])
    return found


def _joined(parts: list[Spheres]) -> Spheres:
    return Spheres(
        np.concatenate([p.centres for p in parts]), np.concatenate([p.radii for p in parts])
    )


def optical_depth(scene: Scene, pose: Pose) -> Image:
    """Integrate the LAC along the beam of a 2D dataset, (ny, nx); bars are left out."""
    points, beam = rays(pose)
    length = float(np.linalg.norm(beam))
    lac = absorption()

    def cell_top(y: Array, x: Array) -> Array:
        return scene.film.height(y, x) + scene.ground.thickness(y, x)

    floor = meet(points, beam, scene.film.height)
    y, x = points[1] + floor * beam[1], points[2] + floor * beam[2]
    film = np.clip(0.5 + scene.film.hole_distance(y, x) / pose.spacing[0], 0, 1)
    ice = (meet(points, beam, scene.ice_top) - floor) * length
    cell = np.maximum(meet(points, beam, cell_top, 4) - floor, 0) * length
    depth = lac["film"] * scene.film.thickness * film + lac["ice"] * ice
    depth += (lac["cytoplasm"] - lac["ice"]) * cell
    step = 0.08
    placed = pose.place(scene.beads.centres)[:, 0]
    lattice = slab_lattice(pose, float(placed.min() - 3), float(placed.max() + 3), step)
    cells = scene.cells
    cytoplasm = lac["cytoplasm"]
    inside = [
        (sphere_paths(lattice, _joined([c.vesicles for c in cells]), step), "vesicle"),
        (sphere_paths(lattice, _joined([c.droplets for c in cells]), step), "droplet"),
        (tube_paths(lattice, [t for c in cells for t in c.mitochondria], step), "mitochondrion"),
        (ellipsoid_paths(lattice, [c.nucleus for c in cells], step), "nucleus"),
    ]
    for path, name in inside:
        depth += (lac[name] - cytoplasm) * path
    iron = sphere_paths(lattice, _joined([c.iron for c in cells]), step)
    depth += (lac["iron"] - lac["vesicle"]) * iron
    beads = Spheres(scene.beads.centres, scene.beads.radii)
    depth += (lac["bead"] - 0.6 * lac["ice"]) * sphere_paths(lattice, beads, step)
    depth += (lac["crystal"] - 0.6 * lac["ice"]) * sphere_paths(lattice, scene.crystals, step)
    return np.asarray(np.maximum(depth, 0), np.float32)


def transmission(scene: Scene, pose: Pose) -> Image:
    """Transmission of a 2D dataset, (ny, nx), gold bars included."""
    points, beam = rays(pose)
    floor = meet(points, beam, scene.film.height)
    y, x = points[1] + floor * beam[1], points[2] + floor * beam[2]
    bar = np.clip(0.5 + scene.mesh.distance(y, x) / pose.spacing[0], 0, 1)
    return np.asarray((1 - bar) * np.exp(-optical_depth(scene, pose)), np.float32)


def mosaic(scene: Scene, pose: Pose, tile: float = 11.7) -> NDArray[np.uint16]:
    """Render the mosaic as stitched from flat-field corrected tiles.

    Parameters
    ----------
    scene, pose
        What is there and where the mosaic lies.
    tile : float
        Side of a tile, µm.

    Returns
    -------
    array (ny, nx) of uint16
        Counts transmitted; tiles differ in intensity, in what is left of the flat field, and by
        placing errors well below one pixel.
    """
    from scipy.ndimage import gaussian_filter, shift

    clean = gaussian_filter(transmission(scene, pose), 0.09 / 2.3548 / pose.spacing[0])
    rng = stream(scene.seed, "noise", pose.name)
    side = max(round(tile / pose.spacing[0]), 8)
    seen = np.empty_like(clean)
    for top in range(0, clean.shape[0], side):
        for left in range(0, clean.shape[1], side):
            low = (max(top - 4, 0), max(left - 4, 0))
            part = clean[low[0] : top + side + 4, low[1] : left + side + 4]
            moved = shift(part, np.clip(rng.normal(0, 0.25, 2), -1, 1), order=1, mode="nearest")
            inner = moved[top - low[0] :, left - low[1] :][:side, :side]
            seen[top : top + side, left : left + side] = inner * _flat_field(inner.shape, rng)
    photons = rng.poisson(np.maximum(PHOTONS * seen, 0) + 60)
    return np.asarray(np.clip(np.rint(photons / GAIN), 0, 65535), np.uint16)


def _flat_field(shape: tuple[int, ...], rng: np.random.Generator) -> Image:
    """Draw what flat-field correction leaves in a tile: a gain, a slope and a bowl."""
    y, x = np.linspace(-1, 1, shape[0])[:, None], np.linspace(-1, 1, shape[1])
    a, b, c = rng.normal(0, [0.015, 0.015, 0.012])
    return np.asarray((1 + rng.normal(0, 0.03)) * (1 + a * y + b * x + c * (y * y + x * x)))


def lac_volume(scene: Scene, lattice: Lattice) -> Image:
    """Fill a lattice with the LAC of what is there, 1/µm."""
    lac = absorption()
    width = lattice.pixel
    volume = _layers(scene, lattice, lac)

    def add(found: Iterable[tuple[Box, Image] | None], name: str) -> None:
        for item in found:
            if item is not None:
                share = coverage(item[1], width)
                volume[item[0]] += share * (np.float32(lac[name]) - volume[item[0]])

    for cell in scene.cells:
        add([paint_ellipsoid(lattice, cell.nucleus, width)], "nucleus")
        add([paint_tube(lattice, tube, width) for tube in cell.mitochondria], "mitochondrion")
        add(paint_spheres(lattice, cell.vesicles, width), "vesicle")
        add(paint_spheres(lattice, cell.droplets, width), "droplet")
        add(paint_spheres(lattice, cell.iron, width), "iron")
    beads = Spheres(scene.beads.centres, scene.beads.radii)
    add(paint_spheres(lattice, beads, width), "bead")
    add(paint_spheres(lattice, scene.crystals, width), "crystal")
    return volume


def _layers(scene: Scene, lattice: Lattice, lac: dict[str, float]) -> Image:
    """Film, cytoplasm and ice by height, plane by plane."""
    volume = np.zeros(lattice.shape, np.float32)
    width = lattice.pixel
    for index in range(lattice.shape[0]):
        z, y, x = lattice.plane(index)
        film = scene.film.height(y, x)
        thickness = scene.ground.thickness(y, x)
        above = np.clip(0.5 + (z - film) / width, 0, 1)
        ice = np.clip(0.5 + (scene.ice_top(y, x) - z) / width, 0, 1)
        cell = np.clip(0.5 + (film + thickness - z) / width, 0, 1) * (thickness > 0)
        carbon = np.clip(0.5 + scene.film.hole_distance(y, x) / width, 0, 1)
        carbon *= scene.film.thickness / width * np.clip(1 - np.abs(z - film) / width, 0, 1)
        plane = above * (ice * lac["ice"] + cell * (lac["cytoplasm"] - lac["ice"]))
        volume[index] = plane + carbon * lac["film"]
    return volume


def wedge_filter(shape: tuple[int, int, int], spacing: tuple[float, ...]) -> Image:
    """Fourier weights of a tilt series about y: what ±65° leave of (kz, ky, kx), and the blur.

    The slice through the Fourier transform that a projection at tilt θ measures lies at θ from
    the kx axis, so directions steeper than 65° are missing.
    """
    kz, kx = np.fft.fftfreq(shape[0], spacing[0]), np.fft.rfftfreq(shape[2], spacing[2])
    ky = np.fft.fftfreq(shape[1], spacing[1])
    steep = np.abs(kz[:, None]) - np.abs(kx) * np.tan(np.deg2rad(TILT_RANGE))
    softness = 1.0 / (shape[0] * spacing[0])
    keep = np.clip(0.5 - steep / softness, 0, 1)
    keep[0, 0] = 1
    sigma = _RESOLUTION / 2.3548
    square = kz[:, None, None] ** 2 + ky[None, :, None] ** 2 + kx[None, None] ** 2
    blur = np.exp(-2 * (np.pi * sigma) ** 2 * square)
    return np.asarray(keep[:, None, :] * blur, np.float32)


def tomogram(scene: Scene, pose: Pose) -> NDArray[np.uint8]:
    """Render a tomogram.

    Returns
    -------
    array (nz, ny, nx) of uint8
        Grey level `LAC_ZERO` + LAC / `LAC_STEP`; features smear along z by the missing wedge.
    """
    from scipy.fft import irfftn, rfftn

    clean = lac_volume(scene, volume_lattice(pose))
    rng = stream(scene.seed, "noise", pose.name)
    noisy = clean + rng.normal(0, NOISE, clean.shape).astype(np.float32)
    margin = max(round(1.2 / pose.spacing[0]), 2)
    padded = np.pad(noisy, ((margin, margin), (0, 0), (0, 0)))
    weights = wedge_filter(padded.shape, pose.spacing)
    seen = irfftn(rfftn(padded) * weights, s=padded.shape)[margin:-margin]
    grey = np.rint(LAC_ZERO + seen / LAC_STEP)
    return np.asarray(np.clip(grey, 0, 255), np.uint8)
