"""Spheres of known mass and the images a microscope would take of them at two energies."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_clxem.xray.geometry import check_tilts
from napari_clxem.xray.masks import Spacing, per_axis
from napari_clxem.xray.reconstruction import project

Floats = NDArray[np.floating[Any]]
Singles = NDArray[np.float32]


def spheres(
    shape: tuple[int, int, int],
    centres: ArrayLike,
    diameters: ArrayLike,
    values: ArrayLike,
    spacing: Spacing,
) -> Singles:
    """Paint spheres into a volume, each with exactly its own integral.

    Parameters
    ----------
    shape : tuple of int
        (nz, ny, nx) voxels.
    centres : (n, 3) array_like
        (z, y, x), µm; the centre of voxel 0 is 0.
    diameters, values : (n,) array_like
        µm, and what is painted (density, absorption ...); overlapping spheres add up.
    spacing : float or sequence of float
        Voxel size, µm.

    Returns
    -------
    (nz, ny, nx) float32 array
    """
    step = per_axis(spacing, 3)
    volume = np.zeros(shape, np.float32)
    places = np.asarray(centres, dtype=float).reshape(-1, 3)
    widths = np.broadcast_to(np.asarray(diameters, dtype=float), (len(places),))
    amounts = np.broadcast_to(np.asarray(values, dtype=float), (len(places),))
    for place, width, amount in zip(places, widths, amounts, strict=True):
        low = np.maximum(np.floor((place - width / 2) / step).astype(int) - 1, 0)
        high = np.minimum(np.ceil((place + width / 2) / step).astype(int) + 2, shape)
        axes = [np.arange(a, b) * s - p for a, b, s, p in zip(low, high, step, place, strict=True)]
        away = np.sqrt(
            axes[0][:, None, None] ** 2 + axes[1][:, None] ** 2 + axes[2][None, None] ** 2
        )
        part = np.clip((width / 2 - away) / step.min() + 0.5, 0.0, 1.0)
        whole = np.pi / 6 * width**3 / float(np.prod(step))
        inside = (place - width / 2 > -step / 2).all() and (
            place + width / 2 < (np.asarray(shape) - 0.5) * step
        ).all()
        if inside and part.sum() > 0:
            part *= whole / part.sum()
        region = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
        volume[region] += (amount * part).astype(np.float32)
    return volume


def photograph(
    density: ArrayLike,
    matrix: ArrayLike,
    tilts: ArrayLike,
    spacing: float,
    attenuation: tuple[float, float],
    scale: float = 0.969,
    photons: float | None = None,
    slab: float = 0.0,
    rng: np.random.Generator | None = None,
) -> tuple[Singles, Singles]:
    """Take the tilt series of two energies: transmission with photon noise.

    Parameters
    ----------
    density : (nz, ny, nx) array_like
        Of the element's compound, g/cm³.
    matrix : (nz, ny, nx) array_like
        Linear absorption of everything else at the lower energy, 1/µm.
    tilts : (n,) array_like
        Degrees.
    spacing : float
        Voxel size, µm.
    attenuation : (low, high)
        Mass attenuation of the compound, cm²/g.
    scale : float
        Absorption of the matrix at the upper energy over that at the lower one.
    photons : float, optional
        Detected photons per pixel and image without specimen; no noise where left out.
    slab : float
        Optical density, at the lower energy and without tilt, of a flat slab that reaches beyond
        the volume (ice).
    rng : numpy Generator, optional
        Source of the noise; needed with `photons`.

    Returns
    -------
    low, high : (n, ny, nx) float32 array
        Transmission.
    """
    angles = check_tilts(tilts)
    iron = project(np.asarray(density), angles, spacing) * np.float32(1e-4)
    rest = project(np.asarray(matrix), angles, spacing)
    rest += np.float32(slab) / np.cos(np.radians(angles)).astype(np.float32)[:, None, None]
    pictures = []
    for factor, mass_attenuation in zip((1.0, scale), attenuation, strict=True):
        transmission = np.exp(-(factor * rest + mass_attenuation * iron))
        if photons is not None and rng is not None:
            transmission = rng.poisson(transmission * photons) / photons
        pictures.append(transmission.astype(np.float32))
    return pictures[0], pictures[1]
