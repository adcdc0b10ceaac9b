"""The TEM map of a lamella: what its slab holds, projected along its normal."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_clxem.samples.cells import Cell
from napari_clxem.samples.painting import (
    Box,
    Lattice,
    coverage,
    paint_ellipsoid,
    paint_spheres,
    paint_tube,
    slab_lattice,
)
from napari_clxem.samples.poses import LamellaPose, Pose
from napari_clxem.samples.relief import rays
from napari_clxem.samples.scene import Scene
from napari_clxem.samples.streams import stream

Array = NDArray[np.float64]
Image = NDArray[np.float32]
# Electrons lost from the image per µm of path (inverse mean free path at 300 kV), 1/µm.
_LOSS = {
    "ice": 1.5,
    "cytoplasm": 2.2,
    "nucleus": 2.05,
    "mitochondrion": 3.1,
    "lumen": 2.6,
    "droplet": 3.3,
    "iron": 11.0,
    "membrane": 5.5,
    "bead": 2.9,
    "film": 6.0,
}
_MEMBRANE = 0.012


@dataclass(frozen=True, eq=False)
class Slab:
    """The planes of a lamella: `inside` (nz, ny, nx) is the share of each pixel in the slab."""

    lattice: Lattice
    inside: Image
    step: float

    def add(self, image: Image, item: tuple[Box, Image] | None, loss: float) -> None:
        """Add to `image` what a painted share of each pixel loses."""
        if item is not None:
            box, share = item
            path = (share * self.inside[box]).sum(axis=0) * np.float32(self.step)
            image[box[1:]] += np.float32(loss) * path


def make_slab(pose: Pose, lamella: LamellaPose, step: float = 0.04) -> Slab:
    """Lay planes over the slab of a lamella, in the frame of its map."""
    lattice = slab_lattice(pose, -0.32, 0.32, step)
    inside = np.empty(lattice.shape, np.float32)
    for index in range(lattice.shape[0]):
        z, y, x = lattice.plane(index)
        height = sum(
            axis * (part - centre)
            for axis, part, centre in zip(lamella.normal, (z, y, x), lamella.centre, strict=True)
        )
        inside[index] = np.clip(0.5 - (np.abs(height) - lamella.thickness / 2) / step, 0, 1)
    return Slab(lattice, inside, step)


def _shell(gap: Image, width: float) -> Image:
    """Give the share of each pixel in a membrane at the surface `gap` = 0."""
    wide = max(width, _MEMBRANE)
    share = np.clip(1 - np.abs(gap) / np.float32(wide), 0, 1)
    return np.asarray(share * np.float32(_MEMBRANE / wide), np.float32)


def _add_cell(slab: Slab, image: Image, cell: Cell) -> None:
    """Add the organelles of a cell, beyond the cytoplasm that is there already."""
    lattice = slab.lattice
    width = max(lattice.pixel, float(np.linalg.norm(lattice.matrix[:3, 1])))
    skin = width * 1.5
    base = _LOSS["cytoplasm"]

    def solid(found: tuple[Box, Image] | None, loss: float, membranes: int) -> None:
        if found is None:
            return
        box, gap = found
        slab.add(image, (box, coverage(gap, width)), loss - base)
        for number in range(membranes):
            shell = _shell(gap + np.float32(0.03 * number), width)
            slab.add(image, (box, shell), _LOSS["membrane"])

    solid(paint_ellipsoid(lattice, cell.nucleus, skin), _LOSS["nucleus"], 2)
    for tube in cell.mitochondria:
        found = paint_tube(lattice, tube, skin)
        solid(found, _LOSS["mitochondrion"], 2)
        if found is not None:
            _add_cristae(slab, image, found)
    for vesicle in paint_spheres(lattice, cell.vesicles, skin):
        solid(vesicle, _LOSS["lumen"], 1)
    for droplet in paint_spheres(lattice, cell.droplets, skin):
        solid(droplet, _LOSS["droplet"], 0)
    for box, gap in paint_spheres(lattice, cell.iron, skin):
        slab.add(image, (box, coverage(gap, width)), _LOSS["iron"] - _LOSS["lumen"])


def _add_cristae(slab: Slab, image: Image, found: tuple[Box, Image]) -> None:
    """Fold inner membranes into a mitochondrion: waves across it, 90 nm apart."""
    box, gap = found
    z, y, x = slab.lattice.offsets(box, np.zeros(3))
    waves = np.sin(70 * y + 9 * np.sin(5 * x)) * np.sin(12 * x + 9 * z)
    inner = (gap < -0.05) & (waves > 0.35)
    slab.add(image, (box, inner.astype(np.float32)), 0.45 * _LOSS["membrane"])


def _add_layers(slab: Slab, image: Image, scene: Scene) -> None:
    """Add ice, cytoplasm, the plasma membrane and the film."""
    lattice = slab.lattice
    for index in range(lattice.shape[0]):
        z, y, x = lattice.plane(index)
        film = scene.film.height(y, x)
        thickness = scene.ground.thickness(y, x)
        width = slab.step
        above = np.clip(0.5 + (z - film) / width, 0, 1)
        ice = above * np.clip(0.5 + (scene.ice_top(y, x) - z) / width, 0, 1)
        under = film + thickness - z
        cell = above * np.clip(0.5 + under / width, 0, 1) * (thickness > 0)
        carbon = np.clip(0.5 + scene.film.hole_distance(y, x) / width, 0, 1)
        carbon *= np.clip(1 - np.abs(z - film) / width, 0, 1) * scene.film.thickness / width
        loss = _LOSS["ice"] * ice + (_LOSS["cytoplasm"] - _LOSS["ice"]) * cell
        loss += _LOSS["film"] * carbon
        loss += (
            _LOSS["membrane"] * above * (thickness > 0) * _shell(under.astype(np.float32), width)
        )
        image += (loss * slab.inside[index] * slab.step).astype(np.float32)


def _texture(scene: Scene, pose: Pose) -> Image:
    """Draw the grain of the cytoplasm, ribosomes and what else crowds it; mean 0."""
    from scipy.ndimage import gaussian_filter

    rng = stream(scene.seed, "texture", pose.name)
    fine = gaussian_filter(rng.standard_normal(pose.shape), 0.014 / pose.spacing[0])
    broad = gaussian_filter(rng.standard_normal(pose.shape), 0.09 / pose.spacing[0])
    return np.asarray(0.05 * fine / fine.std() + 0.025 * broad / broad.std(), np.float32)


def _outline(pose: Pose, lamella: LamellaPose) -> tuple[Array, Array]:
    """Find each pixel along and across the lamella, from its middle, µm."""
    points, beam = rays(pose)
    offset = points - lamella.centre[:, None, None]
    rise = np.tensordot(lamella.normal, offset, 1) / (lamella.normal @ beam)
    on_lamella = offset - rise * beam[:, None, None]
    along = np.tensordot(lamella.along, on_lamella, 1)
    across = np.tensordot(lamella.across, on_lamella, 1)
    return along, across


def lamella_map(scene: Scene, pose: Pose, lamella: LamellaPose) -> NDArray[np.uint8]:
    """Render the TEM map of a lamella, (ny, nx) of uint8.

    Around the lamella: uncut ice and cell left, right and at its root (dark), the trench in
    front of it (bright).
    """
    from scipy.ndimage import gaussian_filter

    slab = make_slab(pose, lamella)
    loss = np.zeros(pose.shape, np.float32)
    _add_layers(slab, loss, scene)
    for cell in scene.cells:
        _add_cell(slab, loss, cell)
    rng = stream(scene.seed, "noise", pose.name)
    crowded = np.clip(loss / 0.6, 0, 1)
    loss += crowded * _texture(scene, pose)
    along, across = _outline(pose, lamella)
    loss += 0.05 * crowded * _curtains(across, rng)
    ragged = 0.06 * _ripple(across, rng)
    thick = np.maximum(np.abs(across) - lamella.width / 2 + 0.5 * _ripple(along, rng) * 0.08, 0)
    thick = np.maximum(thick, along - lamella.length / 2 + ragged)
    front = -along - lamella.length / 2 + ragged
    bulk = np.minimum(6 * np.maximum(thick, 0), 2.6)
    trench = np.clip(front / 0.03, 0, 1) * (np.abs(across) < lamella.width / 2)
    path = (1 - trench) * (loss + bulk) + trench * 2.6 * np.clip((front - 1.2) / 0.5, 0, 1)
    rim = np.exp(-((front / 0.05) ** 2)) * (np.abs(across) < lamella.width / 2) * crowded
    seen = gaussian_filter(np.exp(-path - 1.2 * rim), 0.6)
    counts = rng.poisson(420 * seen + 4) * (200 / 420)
    return np.asarray(np.clip(np.rint(counts), 0, 255), np.uint8)


def _ripple(position: Array, rng: np.random.Generator) -> Array:
    """Make a smooth wavy line over positions in µm, about ±1."""
    total = np.zeros_like(position)
    for wavelength in (0.7, 1.3, 2.9):
        total += np.sin(2 * np.pi * position / wavelength + rng.uniform(0, 2 * np.pi)) / 2
    return total


def _curtains(across: Array, rng: np.random.Generator) -> Array:
    """Make stripes of thickness along the milling direction, about ±1."""
    total = np.zeros_like(across)
    for wavelength in rng.uniform(0.12, 1.6, 7):
        total += np.sin(2 * np.pi * across / wavelength + rng.uniform(0, 2 * np.pi)) / 3
    return total
