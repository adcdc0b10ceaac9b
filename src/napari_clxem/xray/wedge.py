"""What the missing wedge leaves of an object's density, size and mass, calibrated by phantom."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_clxem.errors import ImageError
from napari_clxem.xray.clusters import SHELL, Measured, measure, smoothed
from napari_clxem.xray.geometry import Support, Weighting, check_tilts
from napari_clxem.xray.phantom import spheres
from napari_clxem.xray.reconstruction import project, reconstruct
from napari_clxem.xray.solving import Method
from napari_clxem.xray.telling import Asked, Progress, Teller

Floats = NDArray[np.floating[Any]]

#: Thresholds, as shares of a cluster's core, at which masses are calibrated.
SHARES = (0.08, 0.15, 0.25, 0.4, 0.6, 0.8)
_SIZES = (1.25, 2.0, 3.0, 4.0, 6.0, 10.0, 16.0, 28.0)  # pixels
_VOXEL = 1.3
"""Diameters (pixels) up to this stand for one whole voxel."""


@dataclass(frozen=True, eq=False)
class Wedge:
    """Recovery of spheres without noise, for one geometry and one way of reconstructing.

    Attributes
    ----------
    diameters : (n,) ndarray
        True diameters, µm.
    factor : (n,) ndarray
        Mean density inside the true outline, by how much of each voxel it covers, over the true
        density.
    core : (n,) ndarray
        Mean density of the core over the true density.
    measured : (n,) ndarray
        Diameter of that core seen along z, µm.
    shares : (m,) ndarray
        Thresholds over core.
    mass : (n, m) ndarray
        Sum over a cluster labelled at such a threshold and its surroundings over the true mass.
    spread : (n,) ndarray
        How much the latter depends on where in the slice the cluster lies.
    margin : int
        Voxels of surroundings.
    """

    diameters: Floats
    factor: Floats
    core: Floats
    measured: Floats
    shares: Floats
    mass: Floats
    spread: Floats
    margin: int

    def true_diameter(self, measured: ArrayLike) -> Floats:
        """Give the diameter of a sphere whose core looks this wide, µm.

        Beyond the calibrated sizes the nearest one's ratio is kept.
        """
        seen = np.asarray(measured, dtype=float)
        wider = np.diff(self.measured, prepend=0.0) > 0  # the smallest all look alike
        ratio = (self.diameters / self.measured)[wider]
        return np.asarray(seen * np.interp(seen, self.measured[wider], ratio))

    def density_factor(self, diameter: ArrayLike) -> Floats:
        """Give the share of its density that a sphere of this true diameter (µm) shows."""
        return np.asarray(np.interp(np.asarray(diameter, dtype=float), self.diameters, self.factor))

    def core_factor(self, diameter: ArrayLike) -> Floats:
        """Give the share of its density that the core of such a sphere shows."""
        return np.asarray(np.interp(np.asarray(diameter, dtype=float), self.diameters, self.core))

    def mass_spread(self, diameter: float) -> float:
        """Give by how much that share depends on the place in the slice."""
        return float(np.interp(diameter, self.diameters, self.spread))

    def mass_share(self, diameter: float, share: float) -> float:
        """Give the share of its mass that such a sphere shows, by threshold over core."""
        by_size = [np.interp(diameter, self.diameters, column) for column in self.mass.T]
        return float(np.interp(share, self.shares, by_size))


def calibrate_wedge(
    tilts: ArrayLike,
    spacing: float,
    *,
    shape: tuple[int, int] = (128, 128),
    diameters: Sequence[float] | None = None,
    kind: Literal["sphere", "disc"] = "sphere",
    method: Method = "SART",
    iterations: int = 5,
    relaxation: float | None = None,
    support: Support = "box",
    weighting: Weighting = "centre",
    blur: float = 0.0,
    margin: int = 3,
    progress: Progress | None = None,
    cancelled: Asked | None = None,
) -> Wedge:
    """Reconstruct spheres of known density from just these tilts, and see what is left of them.

    Spheres of each size stand in the middle and half-way to a corner; the factors are the mean of
    both, their difference is part of the error of every mass.

    Parameters
    ----------
    tilts : (n,) array_like
        Degrees.
    spacing : float
        Voxel size, µm.
    shape : (nz, nx)
        Of the tomogram's slices: how far streaks can spread matters.
    diameters : sequence of float, optional
        µm; by default a voxel to 28 voxels.
    kind : {"sphere", "disc"}
        A disc is a cylinder along the tilt axis, the worst case.
    method, iterations, relaxation, support, weighting
        As in :func:`~napari_clxem.xray.reconstruction.reconstruct`, and as the data were.
    blur : float
        Full width of the microscope's own blur, µm.
    margin : int
        See :func:`~napari_clxem.xray.clusters.measure`.
    progress, cancelled : callable, optional
        Called as ``progress(share, text)``; asked before each size, and Cancelled raised where it
        gives True.

    Returns
    -------
    Wedge

    Raises
    ------
    ImageError
        Where a diameter is below a voxel or does not fit.
    """
    angles = check_tilts(tilts)
    given = np.array(_SIZES) * spacing if diameters is None else np.asarray(diameters, float)
    sizes = np.sort(given)
    if len(sizes) == 0 or sizes[0] < spacing:
        raise ImageError("Spheres below a voxel cannot be calibrated; give larger ones.")
    if diameters is None:
        sizes = sizes[sizes <= min(shape) * spacing / 3]
    if len(sizes) == 0 or sizes[-1] > min(shape) * spacing / 2:
        raise ImageError(
            f"Slices of {shape[0]} x {shape[1]} voxels are too small for the spheres; give smaller "
            "diameters."
        )
    middle: Floats = (np.array([shape[0], shape[1]]) - 1) / 2
    rows: list[list[tuple[float, ...]]] = []
    tell = Teller(progress, cancelled, "The calibration of the wedge")
    for index, size in enumerate(sizes):
        tell(index / len(sizes), f"Spheres of {size * 1e3:.0f} nm")
        places = [middle] if kind == "disc" else [middle, middle * (0.75, 0.5)]
        way = {
            "method": method,
            "iterations": iterations,
            "relaxation": relaxation,
            "support": support,
            "weighting": weighting,
        }
        truth, boxes = _phantom(size / spacing, blur / spacing, shape, places, kind, margin)
        seen = _blurred(project(truth, angles, spacing), blur / spacing, kind == "sphere")
        volume = reconstruct(seen, angles, spacing, thickness=shape[0], **way).data  # type: ignore[arg-type]
        rows.append([_recovered(volume[:, box], truth[:, box], spacing, margin) for box in boxes])
    tell(1.0, "The wedge is calibrated")
    found = np.array(rows)
    mean = found.mean(axis=1)
    spread = np.abs(np.diff(found[..., 3:], axis=1)).mean(axis=(1, 2)) if kind == "sphere" else 0.0
    return Wedge(
        sizes,
        mean[:, 0],
        mean[:, 1],
        np.maximum.accumulate(mean[:, 2]),
        np.array(SHARES),
        mean[:, 3:],
        np.broadcast_to(np.asarray(spread) / 2, sizes.shape),
        margin,
    )


def _phantom(
    size: float,
    blur: float,
    shape: tuple[int, int],
    places: list[Floats],
    kind: str,
    margin: int,
) -> tuple[NDArray[np.float32], list[slice]]:
    """Paint one object per place, one behind the other along y; sizes in voxels."""
    if kind == "disc":
        return _disc(shape, places[0], size)[:, None, :], [slice(0, 1)]
    deep = int(np.ceil(size + 2 * blur)) + 4 * SHELL * margin
    centres = [(p[0], deep * i + (deep - 1) / 2, p[1]) for i, p in enumerate(places)]
    whole = (shape[0], deep * len(places), shape[1])
    if size <= _VOXEL:
        truth = np.zeros(whole, np.float32)
        truth[tuple(np.round(centres).astype(int).T)] = 1.0
    else:
        truth = spheres(whole, centres, size, 1.0, 1.0)
    return truth, [slice(deep * i, deep * (i + 1)) for i in range(len(places))]


def _recovered(
    volume: NDArray[np.float32],
    truth: NDArray[np.float32],
    spacing: float,
    margin: int,
) -> tuple[float, ...]:
    """Give factor, core, core's diameter (µm) and the share of mass at each threshold."""
    inside = truth > 0.5 * truth.max()
    step = np.full(3, spacing)
    peak = float(np.quantile(smoothed(volume)[inside], 0.95))
    middle = np.unravel_index(int(np.argmax(volume * inside)), volume.shape)
    half = _labelled(volume, 0.4 * peak, middle, step, margin)
    shown = [_labelled(volume, share * half.core, middle, step, margin) for share in SHARES]
    total = float(truth.sum(dtype=float))
    factor = float((volume * truth).sum(dtype=float)) / total
    return (factor, half.core, half.diameter, *(each.whole / total for each in shown))


def _labelled(
    volume: NDArray[np.float32], level: float, place: tuple[Any, ...], step: Floats, margin: int
) -> Measured:
    """Measure the object at a place, labelled at a level."""
    from scipy.ndimage import label

    names, _ = label(volume >= level, structure=np.ones((3, 3, 3), bool))
    found = measure(volume, (names == names[place]).astype(np.int32), step, margin)
    return next(found)


def _disc(shape: tuple[int, int], place: Floats, size: float) -> NDArray[np.float32]:
    away = np.hypot(
        np.arange(shape[0])[:, None] - place[0], np.arange(shape[1])[None, :] - place[1]
    )
    disc = np.clip(size / 2 - away + 0.5, 0.0, 1.0)
    return np.asarray(disc * (np.pi * size**2 / 4 / disc.sum()), dtype=np.float32)


def _blurred(series: NDArray[np.float32], width: float, both: bool) -> NDArray[np.float32]:
    if width <= 0:
        return series
    from scipy.ndimage import gaussian_filter

    sigma = width / 2.3548
    return np.asarray(gaussian_filter(series, (0, sigma if both else 0, sigma)))
