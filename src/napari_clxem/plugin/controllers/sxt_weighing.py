"""Density and mass from two energies, step by step; runs in a thread."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

from napari_clxem.errors import ImageError
from napari_clxem.frames.affine import Floats
from napari_clxem.plugin.controllers.sxt_sources import Source, organelles
from napari_clxem.xray import (
    DECISION,
    Contrast,
    Density,
    Proximity,
    Wedge,
    calibrate_wedge,
    density,
    fit_scale,
    proximity,
)
from napari_clxem.xray.solving import Method

Progress = Callable[[float, str], None]
# Diameters of the spheres that calibrate the wedge, voxels; at most a third of a slice.
SIZES = (1.25, 2.0, 3.0, 4.0, 6.0, 10.0, 16.0, 28.0)
LARGEST = 1 / 3
# Voxels count as cubes up to this difference of their sides.
CUBIC = 0.02
# Voxels by which k is fitted: whole slices, evenly spaced, since it looks at slices one by one.
ENOUGH = 2**22
# Factors to 1/µm; of optical density per voxel it depends on the voxel.
PER_UM = {"1/um": 1.0, "1/cm": 1e-4, "voxel": None}


@dataclass(frozen=True)
class Wedging:
    """How the tomograms were reconstructed, for the calibration of the wedge.

    Attributes
    ----------
    tilts : tuple of float
        Degrees.
    method : {"SART", "SIRT"}
    iterations : int
    relaxation : float or None
        None for what is usual.
    """

    tilts: tuple[float, ...]
    method: Method
    iterations: int
    relaxation: float | None


@dataclass(frozen=True)
class Beside:
    """Fluorescence that clusters are compared with.

    Attributes
    ----------
    source : Source
    threshold : float or None
        Of an image; None for Otsu's.
    sd : float or None
        Error of the registration per axis, µm; None where it is not known.
    """

    source: Source
    threshold: float | None
    sd: float | None


@dataclass(frozen=True)
class Weighing:
    """What is to be weighed, and how.

    Attributes
    ----------
    high, low : Source
        Absorption above and below the edge; with `low` None, `high` is their difference.
    values : str
        Unit of the values: a key of `PER_UM`.
    contrast : Contrast
    scale : float or None
        k; None fits it.
    wedge : Wedging or None
    beside : Beside or None
    projection : Source or None
        Difference of optical density without tilt.
    level : float
        Standard deviations that voxels of a cluster exceed.
    least : int
        Voxels of a cluster.
    """

    high: Source
    low: Source | None
    values: str
    contrast: Contrast
    scale: float | None
    wedge: Wedging | None = None
    beside: Beside | None = None
    projection: Source | None = None
    level: float = DECISION
    least: int = 4


@dataclass(frozen=True, eq=False)
class Weighed:
    """What was found, and from what.

    Attributes
    ----------
    found : Density
    how : Weighing
    scale_sd : float or None
        Of the fitted k; None where it was given.
    near : tuple of Proximity
        By number of the cluster; empty where nothing was compared.
    threshold : float
        Above which fluorescence was taken as organelles; 0 for a segmentation.
    ceiling : float
        Greatest density shown, g/cm³.
    notes : tuple of str
        What a reader must know besides the notes of `found`.
    """

    found: Density
    how: Weighing
    scale_sd: float | None
    near: tuple[Proximity, ...]
    threshold: float
    ceiling: float
    notes: tuple[str, ...]


def weigh(how: Weighing, progress: Progress) -> Weighed:
    """Go from absorption to masses.

    Raises
    ------
    ImageError
        Where the layers do not fit, or nothing can be measured.
    """
    _check(how)
    wedge = None
    if how.wedge is not None:
        wedge = calibrated(how.wedge, how.high.spacing, how.high.shape, _part(progress, 0.0, 0.6))
    progress(0.6, f"Reading {how.high.name}")
    factor = _factor(how)
    high = np.asarray(how.high.data, dtype=np.float32) * factor
    low = None
    if how.low is not None:
        progress(0.65, f"Reading {how.low.name}")
        low = np.asarray(how.low.data, dtype=np.float32) * factor
    scale, scale_sd = how.scale, None
    if scale is None:
        if low is None:
            raise ImageError("k cannot be fitted to a difference; give what was taken for it.")
        progress(0.7, "Fitting k where there is no iron")
        step = max(1, round(low.size / ENOUGH))
        scale, scale_sd = fit_scale(low[::step], high[::step])
    beside = None if how.projection is None else np.asarray(how.projection.data, dtype=np.float32)
    found = density(
        high,
        low,
        how.high.spacing,
        how.contrast,
        scale=scale,
        wedge=wedge,
        level=how.level,
        least=how.least,
        projection=beside,
        progress=_part(progress, 0.75, 0.9),
    )
    near, threshold, notes = _near(found, how, progress)
    shown = found.data[found.labels > 0]
    ceiling = float(shown.max()) if shown.size else float(6 * found.sigma)
    progress(1.0, "Weighed")
    return Weighed(found, how, scale_sd, near, threshold, ceiling, notes)


def calibrated(
    how: Wedging, spacing: tuple[float, ...], shape: tuple[int, ...], progress: Progress
) -> Wedge:
    """Calibrate the wedge size by size, so that the user sees how far it is.

    Raises
    ------
    ImageError
        Where voxels are no cubes, or slices are too small.
    """
    width = float(np.prod(spacing) ** (1 / 3))
    if max(abs(one / width - 1) for one in spacing) > CUBIC:
        raise ImageError(
            "The wedge is calibrated for cubic voxels only; resample the tomograms, or go without "
            "calibration."
        )
    slices = (shape[0], shape[2])
    sizes = [one for one in SIZES if one <= LARGEST * min(slices)]
    if not sizes:
        raise ImageError(f"Slices of {slices[0]} × {slices[1]} voxels are too small to calibrate.")
    parts = []
    for number, size in enumerate(sizes):
        progress(number / len(sizes), f"Calibrating the wedge: {1e3 * size * width:.0f} nm")
        parts.append(_one_size(how, width, slices, size * width))
    return _joined(parts)


@lru_cache(maxsize=64)
def _one_size(how: Wedging, spacing: float, slices: tuple[int, int], diameter: float) -> Wedge:
    return calibrate_wedge(
        how.tilts,
        spacing,
        shape=slices,
        diameters=[diameter],
        method=how.method,
        iterations=how.iterations,
        relaxation=how.relaxation,
    )


def _joined(parts: list[Wedge]) -> Wedge:
    def all_of(name: str) -> Floats:
        return np.concatenate([getattr(one, name) for one in parts])

    return replace(
        parts[0],
        diameters=all_of("diameters"),
        factor=all_of("factor"),
        core=all_of("core"),
        measured=np.maximum.accumulate(all_of("measured")),
        mass=all_of("mass"),
        spread=all_of("spread"),
    )


def _near(
    found: Density, how: Weighing, progress: Progress
) -> tuple[tuple[Proximity, ...], float, tuple[str, ...]]:
    if how.beside is None:
        return (), 0.0, ()
    name = how.beside.source.name
    progress(0.9, f"Measuring distances to {name}")
    regions, threshold = organelles(how.beside.source, how.high, how.beside.threshold)
    notes = []
    if not regions.any():
        raise ImageError(
            f"{name} shows no organelle where {how.high.name} lies; lower its threshold, or check "
            "that both are linked."
        )
    if regions.ndim == 2:
        notes.append(f"{name} is a plane: distances to it are as seen along z.")
    if how.beside.sd is None:
        notes.append(
            f"How surely {name} lies on {how.high.name} is not known: no links tie them, so "
            "distances bear no error."
        )
    near = proximity(found.labels, regions, how.high.spacing, how.beside.sd or 0.0)
    return near, threshold, tuple(notes)


def _check(how: Weighing) -> None:
    if how.high.ndim != 3:
        raise ImageError(f"{how.high.name} is one image; choose a tomogram.")
    if how.low is not None:
        if how.low.id == how.high.id:
            raise ImageError("Both energies are the same layer; choose two tomograms.")
        if how.low.shape != how.high.shape or not np.allclose(
            how.low.spacing, how.high.spacing, rtol=CUBIC
        ):
            raise ImageError(
                f"{how.high.name} {how.high.shape} and {how.low.name} {how.low.shape} differ in "
                "size; choose two tomograms of one grid."
            )
    if how.projection is not None and how.projection.shape != how.high.shape[1:]:
        raise ImageError(
            f"The projection {how.projection.name} has shape {how.projection.shape}, slices have "
            f"{how.high.shape[1:]}; give one on the same grid."
        )


def _factor(how: Weighing) -> np.float32:
    factor = PER_UM[how.values]
    if factor is None:
        factor = 1.0 / float(np.prod(how.high.spacing) ** (1 / 3))
    return np.float32(factor)


def _part(progress: Progress, start: float, stop: float) -> Progress:
    return lambda share, text: progress(start + (stop - start) * share, text)
