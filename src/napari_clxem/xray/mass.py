"""From absorption at two energies to the density and mass of what has the edge between them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_clxem.errors import ImageError
from napari_clxem.xray.clusters import Measured, label, measure, surroundings
from napari_clxem.xray.contrast import Contrast
from napari_clxem.xray.masks import Spacing, per_axis
from napari_clxem.xray.noise import DECISION, Limits, background, deviations, noise_map
from napari_clxem.xray.pairing import difference
from napari_clxem.xray.results import Cluster, Density, Mass
from napari_clxem.xray.telling import Asked, Progress, Teller
from napari_clxem.xray.wedge import Wedge

Floats = NDArray[np.floating[Any]]

#: Masses by tomogram and by projection further apart than this are flagged.
DISAGREEMENT = 0.2
_FALSE_ALARMS = 1e-2
"""Voxels above the seed level to be expected in a whole volume without anything."""
_CERTAIN = 8.0
"""Standard deviations below the background that noise does not reach."""
_SIZES = (1.0, 3.0, 5.0, 8.0, 12.0)
"""Diameters at which noise is measured, in voxels; the first is that of a voxel."""
_STREAKS = 0.07
"""Relative error that streaks of other clusters leave in mass and density, seen on phantoms."""
_PICOGRAMS = 1.0  # g/cm³ times µm³
_PER_CM = 1e4  # 1/µm


def density(
    high: Any,
    low: Any,
    spacing: Spacing,
    contrast: Contrast,
    *,
    scale: float = 1.0,
    wedge: Wedge | None = None,
    empty: ArrayLike | None = None,
    mask: ArrayLike | None = None,
    level: float = DECISION,
    seed: float | None = None,
    least: int = 4,
    margin: int = 3,
    generous: int = 8,
    projection: ArrayLike | None = None,
    progress: Progress | None = None,
    cancelled: Asked | None = None,
) -> Density:
    """Turn a pair of tomograms into density, its clusters and their masses.

    ``ρ = [μ(high) - k μ(low)] / [μ_m(high) - k μ_m(low)]``

    After Conesa et al. 2016, Sci. Rep. 6:22354, with the sign of the printed equation put right.

    Parameters
    ----------
    high, low : (nz, ny, nx) array_like
        Linear absorption at the upper and lower energy, 1/µm, in register. With `low` None,
        `high` is their difference, as reconstructed from a difference of projections.
    spacing : float or (z, y, x)
        Voxel size, µm.
    contrast : Contrast
        Difference of the mass attenuations, cm²/g, with its source.
    scale : float
        k, see :func:`~napari_clxem.xray.pairing.fit_scale`; 1 is the paper's choice. Stated, not
        applied again, where `low` is None.
    wedge : Wedge, optional
        From :func:`~napari_clxem.xray.wedge.calibrate_wedge` for the same tilts and way of
        reconstructing; without it densities of clusters are as shown, which a note says.
    empty : array_like of bool, optional
        Voxels known to hold none of the element, from which noise is taken; by default
        everything that does not stand out.
    mask : array_like of bool, optional
        Where `masked` is summed; by default all clusters with `generous` voxels around.
    level, seed : float
        Standard deviations of the background that every voxel of a cluster exceeds, by default
        3.09, and that at least one does, by default so many that noise alone reaches it in one
        volume of a hundred.
    least : int
        Voxels below which a cluster is left out.
    margin : int
        Voxels around a cluster that count as its own; twice as many along z.
    generous : int
        The same for `masked`.
    projection : (ny, nx) array_like, optional
        Difference of optical density without tilt, ``OD(high) - k OD(low)``, on the (y, x) grid of
        the volume, for a mass independent of the tomogram.
    progress, cancelled : callable, optional
        Called as ``progress(share, text)``; asked between the steps, and Cancelled raised where it
        gives True.

    Returns
    -------
    Density

    Raises
    ------
    ImageError
        Where the tomograms differ in shape or hold NaN, `contrast` is no Contrast, the energies
        look swapped, or the background cannot be measured.
    """
    if not isinstance(contrast, Contrast):
        raise ImageError(
            "The contrast needs its source beside the number; give Contrast(value, source=...) in "
            "cm²/g."
        )
    tell = Teller(progress, cancelled, "The weighing")
    tell(0.0, "Taking the difference")
    absorption = np.asarray(high if low is None else difference(low, high, scale), np.float32)
    step = _checked(absorption, spacing, wedge, margin)
    free = _mask(empty, absorption.shape, "mask of the background")
    values = absorption * np.float32(_PER_CM / contrast.value)
    offset, sigma = background(values, free)
    values -= np.float32(offset)
    tell(0.1, "Measuring the background by place")
    upper = _seed(values.size) if seed is None else seed
    noise = noise_map(values, free)
    values /= noise
    tell(0.3, "Labelling clusters")
    labels = label(values, level, upper, least)
    hollows = label(-values, level, upper, least)
    _refuse_reversed(values, labels, hollows)
    values *= noise
    negative = int(hollows.max())
    around = surroundings(labels, generous)
    tell(0.5, "Limits by size")
    limits = _limits(values, step, ~around if free is None else free, wedge)
    voxel = float(np.prod(step))
    share = contrast.sd / contrast.value
    tell(0.8, "Measuring clusters")
    count = max(1, int(labels.max()))
    clusters = []
    for index, seen in enumerate(measure(values, labels, step, margin)):
        tell(0.8 + 0.2 * index / count, f"Measuring cluster {index + 1} of {count}")
        sd = _local(noise, seen, step)
        clusters.append(_cluster(index + 1, seen, limits, wedge, sd, level, voxel, share))
    region = around if mask is None else _mask(mask, values.shape, "mask")
    masked = _summed(values, region, limits, voxel, share)
    total = _sum(tuple(clusters), share)
    beside = None
    if projection is not None:
        beside = projected_mass(
            projection, (step[1], step[2]), contrast, _columns(around), values.shape[1:]
        )
    tell(1.0, "Weighed")
    return Density(
        values,
        tuple(float(s) for s in step),
        contrast,
        scale,
        offset,
        sigma,
        noise,
        level,
        upper,
        limits,
        labels,
        tuple(clusters),
        total,
        masked,
        beside,
        negative,
        _notes(wedge, negative, len(clusters), total, beside, contrast),
    )


def projected_mass(
    optical_density: ArrayLike,
    spacing: Spacing,
    contrast: Contrast,
    mask: ArrayLike | None = None,
    shape: tuple[int, ...] | None = None,
) -> Mass:
    """Give the mass seen in one projection: ``Σ ΔOD · A / Δμ_m``.

    Parameters
    ----------
    optical_density : (ny, nx) array_like
        Difference of optical density, ``OD(high) - k OD(low)``, without tilt.
    spacing : float or (y, x)
        Pixel size, µm.
    contrast : Contrast
    mask : (ny, nx) array_like of bool, optional
        Where the element may be; the middle of the rest is taken off as background. By default
        everywhere, and nothing is taken off.
    shape : tuple of int, optional
        What the image's shape has to be.

    Raises
    ------
    ImageError
        Where the image does not fit or is not finite.
    """
    image = np.asarray(optical_density, dtype=float)
    if image.ndim != 2 or (shape is not None and image.shape != tuple(shape)):
        raise ImageError(
            f"The projection has shape {image.shape}; give one of shape {shape or '(ny, nx)'}."
        )
    if not np.isfinite(image).all():
        raise ImageError("The projection holds NaN; normalise it first, which fills such pixels.")
    inside = np.ones(image.shape, bool) if mask is None else np.asarray(mask, dtype=bool)
    rest = image[~inside]
    factor = float(np.prod(per_axis(spacing, 2))) * _PER_CM / contrast.value
    count = int(inside.sum())
    middle, sd = 0.0, 0.0
    if rest.size >= 100:
        middle = float(np.median(rest))
        deviation = 1.4826 * float(np.median(np.abs(rest - middle)))
        sd = deviation * np.sqrt(count) * np.sqrt(1 + np.pi / 2 * count / rest.size)
    value = float((image[inside] - middle).sum()) * factor
    return Mass(value, float(np.hypot(sd * factor, value * contrast.sd / contrast.value)))


def _checked(absorption: Floats, spacing: Spacing, wedge: Wedge | None, margin: int) -> Floats:
    if absorption.ndim != 3:
        raise ImageError(f"A tomogram has three axes (z, y, x), not the {absorption.ndim} given.")
    if not np.isfinite(absorption.sum(dtype=np.float64)):
        raise ImageError("The tomograms hold NaN or infinite values; fill or crop them first.")
    if wedge is not None and wedge.margin != margin:
        raise ImageError(
            f"The wedge was calibrated with a margin of {wedge.margin} voxels, {margin} are asked "
            "for; calibrate with the same margin."
        )
    return per_axis(spacing, 3)


def _mask(mask: ArrayLike | None, shape: tuple[int, ...], name: str) -> NDArray[np.bool_] | None:
    if mask is None:
        return None
    given = np.asarray(mask, dtype=bool)
    if given.shape != shape:
        raise ImageError(f"The {name} has shape {given.shape}, the tomogram {shape}.")
    return given


def _seed(voxels: int) -> float:
    from scipy.special import ndtri

    return float(-ndtri(_FALSE_ALARMS / voxels))


def _refuse_reversed(values: Floats, labels: NDArray[np.int32], hollows: NDArray[np.int32]) -> None:
    """Refuse a map in which far more stands out below the background than above it."""
    above = float(values[labels > 0].sum(dtype=float))
    below = -float(values[hollows > 0].sum(dtype=float))
    if below > 3 * above and below > 0:
        raise ImageError(
            f"{int(hollows.max())} regions absorb less at the upper energy and "
            f"{int(labels.max())} absorb more: the energies look swapped, or the contrast has the "
            "wrong sign."
        )


def _limits(values: Floats, step: Floats, free: NDArray[np.bool_], wedge: Wedge | None) -> Limits:
    width = float(np.prod(step) ** (1 / 3))
    diameters = np.array(_SIZES) * width
    diameters[0] = (6 / np.pi) ** (1 / 3) * width  # of a ball with the volume of a voxel
    sigma = deviations(values, step, diameters, free, 0.0)
    factor = np.ones(len(diameters)) if wedge is None else wedge.density_factor(diameters)
    return Limits(diameters, sigma, factor)


def _cluster(
    name: int,
    seen: Measured,
    limits: Limits,
    wedge: Wedge | None,
    sigma: float,
    level: float,
    voxel: float,
    contrast_sd: float,
) -> Cluster:
    """Correct what a cluster shows by what the wedge leaves of one of its size."""
    share = level * sigma / max(seen.core, 1e-12)
    diameter, mass_share, core_share, slack = seen.diameter, 1.0, 1.0, 0.0
    if wedge is not None:
        diameter = float(wedge.true_diameter(seen.diameter))
        mass_share = wedge.mass_share(diameter, share)
        core_share = float(wedge.core_factor(diameter))
    pixel = voxel ** (1 / 3)
    diameter_sd = float(pixel * np.hypot(0.29, sigma / seen.peak))
    if wedge is not None:
        around = diameter + diameter_sd * np.array([-1.0, 1.0])
        shares = [wedge.mass_share(float(d), share) for d in around]
        place = wedge.mass_spread(diameter)
        slack = float(np.hypot((shares[1] - shares[0]) / 2, place)) / mass_share
        slack = float(np.hypot(slack, _STREAKS))
        cores = wedge.core_factor(around)
        core_slack = float(np.hypot(abs(cores[1] - cores[0]) / 2 / core_share, _STREAKS))
    else:
        core_slack = 0.0
    mass = seen.whole * voxel * _PICOGRAMS / mass_share
    louder = sigma / float(limits.sigma[0])
    own = limits.sum_deviation(seen.surroundings, voxel)
    rest = limits.sum_deviation(max(seen.shell, 1), voxel) * seen.surroundings / max(seen.shell, 1)
    noise = louder * float(np.hypot(own, 1.25 * rest)) * voxel / mass_share
    core = seen.core / core_share
    own = limits.sum_deviation(seen.core_voxels, voxel) / seen.core_voxels
    core_noise = louder * own / core_share
    return Cluster(
        name=name,
        centre=(float(seen.centre[0]), float(seen.centre[1]), float(seen.centre[2])),
        voxels=seen.voxels,
        mass=Mass(mass, float(np.sqrt(noise**2 + (mass * slack) ** 2 + (mass * contrast_sd) ** 2))),
        thresholded=seen.thresholded * voxel * _PICOGRAMS,
        density=core,
        density_sd=float(
            np.sqrt(core_noise**2 + (core * core_slack) ** 2 + (core * contrast_sd) ** 2)
        ),
        diameter=diameter,
        diameter_sd=diameter_sd,
        significance=seen.peak / sigma,
    )


def _local(noise: Floats, seen: Measured, step: Floats) -> float:
    """Give the standard deviation of the background where a cluster lies."""
    at = np.clip(np.round(seen.centre / step).astype(int), 0, np.array(noise.shape) - 1)
    return float(noise[tuple(at)])


def _summed(values: Floats, region: Any, limits: Limits, voxel: float, contrast_sd: float) -> Mass:
    count = int(region.sum())
    if count == 0:
        return Mass(0.0, limits.sum_deviation(1, voxel) * voxel * _PICOGRAMS)
    mass = float(values[region].sum(dtype=float)) * voxel * _PICOGRAMS
    noise = limits.sum_deviation(count, voxel) * voxel
    return Mass(mass, float(np.hypot(noise, mass * contrast_sd)))


def _sum(clusters: tuple[Cluster, ...], contrast_sd: float) -> Mass:
    """Add clusters up; they share the error of the contrast, the rest is independent."""
    value = sum(c.mass.value for c in clusters)
    own = sum(c.mass.sd**2 - (c.mass.value * contrast_sd) ** 2 for c in clusters)
    return Mass(value, float(np.sqrt(max(own, 0.0) + (value * contrast_sd) ** 2)))


def _columns(marked: NDArray[np.bool_]) -> NDArray[np.bool_]:
    return np.asarray(marked.any(axis=0))


def _notes(
    wedge: Wedge | None,
    negative: int,
    clusters: int,
    total: Mass,
    beside: Mass | None,
    contrast: Contrast,
) -> tuple[str, ...]:
    notes = [f"Contrast {contrast.value:g} cm²/g: {contrast.source}."]
    if wedge is None:
        notes.append(
            "No wedge was calibrated: densities and masses of clusters are as shown, too low the "
            "smaller they are."
        )
    if negative:
        notes.append(
            f"{negative} clusters stand out alike in the negative of the map against {clusters} "
            "in the map itself: so many may be false."
        )
    if beside is not None:
        larger = max(abs(total.value), abs(beside.value))
        if larger > 0 and abs(total.value - beside.value) > DISAGREEMENT * larger:
            notes.append(
                f"The projection shows {beside.value:.3g} pg, the tomogram {total.value:.3g} pg: "
                "they disagree by more than 20 %; check the alignment, the flats and the scale."
            )
    return tuple(notes)
