"""Finding beads in an image: which of the round bright or dark things are beads, and where."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from napari_clxem.errors import ClxemError, MissingScaleError, PointsError
from napari_clxem.fiducials.candidates import Candidates, Geometry, find, geometry
from napari_clxem.fiducials.localisation import (
    BeadFits,
    NoiseModel,
    Windows,
    fit_beads,
    measure_noise,
    select,
)
from napari_clxem.fiducials.noise import noise_line
from napari_clxem.fiducials.profiles import FWHM, Floats, Profile, projected_ball, solid_ball

Kind = Literal["bright", "dark"]

_PSF = {
    ("bright", 2): (0.35, 0.35),
    ("bright", 3): (1.0, 0.35),
    ("dark", 2): (0.05, 0.05),
    ("dark", 3): (0.05, 0.05),
}
"""Full widths (axial, lateral), µm, assumed where none is given: fluorescence and soft X-rays."""

_OTHER_PSF = {
    ("bright", 2): (0.1,),
    ("bright", 3): ((0.1, 0.05),),
    ("dark", 2): (0.35,),
    ("dark", 3): (),
}
_OPACITIES = {"bright": (0.0, 3.0, 30.0), "dark": (0.0, 1.0, 3.0, 30.0)}

_MOST = 4000
_TRIAL = 24


@dataclass(frozen=True)
class Rejected:
    """A candidate that is not a usable bead: where (d,) µm, why, and its filter SNR."""

    position: tuple[float, ...]
    reason: str
    snr: float


@dataclass(frozen=True)
class Beads:
    """Beads found in an image, strongest first.

    Parameters
    ----------
    positions : (n, d) ndarray
        Centres, µm, axes (z, y, x) or (y, x).
    sigma : (n, d) ndarray
        Standard deviation of each coordinate, µm.
    covariance : (n, d, d) ndarray
        Covariance of the positions, µm².
    snr : (n,) ndarray
        Peak above background over the noise of the pixel at the peak.
    diameter : (n,) ndarray
        Diameter of the bead with the blur taken off, µm.
    significance : (n,) ndarray
        Fitted amplitude over its own sd: what `threshold` is compared with.
    rejected : tuple of Rejected
        Candidates that did not pass, each with the reason.
    """

    positions: Floats
    sigma: Floats
    covariance: Floats
    snr: Floats
    diameter: Floats
    significance: Floats
    rejected: tuple[Rejected, ...] = ()

    def __len__(self) -> int:
        return len(self.positions)


def _no_beads(ndim: int) -> Beads:
    none = np.zeros(0)
    return Beads(
        np.zeros((0, ndim)), np.zeros((0, ndim)), np.zeros((0, ndim, ndim)), none, none, none
    )


def _check(
    image: Any, spacing: Any, diameter: float, kind: str, psf: Any, threshold: float
) -> tuple[float, ...]:
    """Check the arguments and give the spacing as a tuple."""
    shape = getattr(image, "shape", None)
    if shape is None or len(shape) not in (2, 3):
        raise PointsError(
            f"Beads are looked for in an image of 2 or 3 axes, and this one has shape {shape}; "
            "choose one channel and time point."
        )
    steps = tuple(float(s) for s in np.atleast_1d(np.asarray(spacing, float)))
    if len(steps) == 1:
        steps *= len(shape)
    if len(steps) != len(shape):
        raise PointsError(
            f"The image has {len(shape)} axes and the spacing {len(steps)} values; give one per axis."
        )
    if not all(np.isfinite(s) and s > 0 for s in steps):
        raise MissingScaleError(
            f"The spacing {steps} is not usable; give positive pixel sizes in µm."
        )
    if not (np.isfinite(diameter) and diameter > 0):
        raise PointsError(f"A bead cannot have a diameter of {diameter} µm; give a positive one.")
    if kind not in ("bright", "dark"):
        raise ClxemError(f"Beads are 'bright' or 'dark', not {kind!r}.")
    if not threshold > 0:
        raise ClxemError(f"A threshold of {threshold} lets everything pass; give a positive SNR.")
    if psf is not None and not np.all(np.asarray(psf, float) > 0):
        raise ClxemError(
            f"A psf of {psf} is not usable; give its full width at half maximum in µm."
        )
    if np.dtype(image.dtype).kind not in "buif":
        raise PointsError(f"Pixels of type {image.dtype} cannot hold beads; give real numbers.")
    return steps


def _profile(
    ndim: int, diameter: float, psf: Any, opacity: float, spacing: tuple[float, ...]
) -> Profile:
    """Profile for a psf given as full widths; a pixel's own width is part of the blur."""
    widths = (
        np.broadcast_to(np.asarray(psf, float), (2,))
        if np.ndim(psf) == 0
        else np.asarray(psf, float)
    )
    axial, lateral = float(widths[0]) / FWHM, float(widths[-1]) / FWHM
    pixel = float(np.sqrt((spacing[-1] ** 2 + spacing[-2] ** 2) / 24.0))
    lateral = float(np.hypot(lateral, pixel))
    if ndim == 2:
        return projected_ball(diameter, lateral, opacity)
    return solid_ball(diameter, float(np.hypot(axial, spacing[0] / np.sqrt(12.0))), lateral)


def _choices(
    ndim: int, diameter: float, psf: Any, kind: Kind, spacing: tuple[float, ...]
) -> list[Profile]:
    """Profiles to choose from: opacities in projection, and blurs where none was given."""
    key = (kind, ndim)
    blurs = [psf] if psf is not None else [_PSF[key], *_OTHER_PSF[key]]  # type: ignore[index]
    opacities = _OPACITIES[kind] if ndim == 2 else (0.0,)
    return [_profile(ndim, diameter, b, k, spacing) for b in blurs for k in opacities]


def _averaged(shape: Geometry) -> tuple[float, ...]:
    return tuple(p * f for p, f in zip(shape.spacing, shape.fine, strict=True))


def _misfit(fits: BeadFits) -> Floats:
    """Rms of what the model leaves beyond noise, over the bead's amplitude."""
    variance = (
        np.nanmean(np.where(np.isfinite(fits.residuals), 1.0, np.nan), axis=1) * fits.noise**2
    )
    excess = np.sqrt(np.maximum(fits.chi2 - 1.0, 0.0) * variance)
    return excess / np.maximum(np.abs(fits.amplitude), 1e-300)


def _choose_profile(
    choices: list[Profile], windows: Windows, noise: NoiseModel, leash: Floats
) -> Profile:
    """Choose the profile that fits the strongest candidates best, by summed log chi-square."""
    if len(choices) == 1:
        return choices[0]
    few = windows.take(np.arange(min(_TRIAL, len(windows.data))))
    starts = np.zeros((len(few.data), 1, few.offsets.shape[1]))
    trials = [fit_beads(p, few, starts, noise, leash, correlated=False) for p in choices]
    chi2 = np.array([t.chi2 for t in trials])
    wide = np.array([np.abs(np.log(t.width)).max(axis=1) for t in trials])
    sane = (wide < 0.5).any(axis=0) & np.all(chi2 > 0, axis=0)
    if not sane.any():
        return choices[0]
    # A candidate that no profile fits is no bead and has no say.
    say = sane & (chi2.min(axis=0) <= 4.0 * np.median(chi2.min(axis=0)[sane]))
    return choices[int(np.argmin(np.log(chi2[:, say]).sum(axis=1)))]


def _part_neighbours(found: Candidates, shape: Geometry) -> tuple[Windows, list[tuple[int, int]]]:
    """Blank in every window the pixels nearer to another candidate; list touching pairs."""
    from scipy.spatial import cKDTree

    scale = np.array(shape.sigma)
    points = found.positions / scale
    tree = cKDTree(points)
    reach = float(np.max(np.abs(found.windows.offsets / scale), initial=0.0)) * 1.75
    pairs = tree.query_pairs(reach, output_type="ndarray")
    data = found.windows.data.copy()
    touching = []
    offsets = found.windows.offsets / scale
    for i, j in pairs:
        # A much weaker neighbour is noise or structure beside the bead, not a second bead.
        if found.snr[j] < 0.2 * found.snr[i] or found.snr[i] < 0.2 * found.snr[j]:
            weak, strong = (j, i) if found.snr[j] < found.snr[i] else (i, j)
            _blank(data, offsets, found, weak, strong, scale)
            continue
        _blank(data, offsets, found, i, j, scale)
        _blank(data, offsets, found, j, i, scale)
        if np.linalg.norm(points[i] - points[j]) < _TOUCHING:
            touching.append((int(i), int(j)))
    return Windows(
        data, found.windows.offsets, found.windows.centres, found.windows.shape
    ), touching


_TOUCHING = 6.0
"""Beads nearer than this many of their own standard deviations are fitted as two."""


def _blank(
    data: Floats, offsets: Floats, found: Candidates, own: int, other: int, scale: Floats
) -> None:
    """Drop the pixels of one window that lie nearer to another candidate."""
    place = offsets + found.windows.centres[own] / scale
    near = ((place - found.positions[other] / scale) ** 2).sum(axis=1)
    mine = ((place - found.positions[own] / scale) ** 2).sum(axis=1)
    data[own, near < mine] = np.nan


def _pair_up(touching: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Pairs whose two members touch nothing else."""
    count: dict[int, int] = {}
    for pair in touching:
        for i in pair:
            count[i] = count.get(i, 0) + 1
    return [(i, j) for i, j in touching if count[i] == count[j] == 1]


def detect(
    image: Any,
    spacing: Any,
    diameter: float = 1.0,
    kind: Kind = "bright",
    threshold: float = 6.0,
    psf: Any = None,
) -> Beads:
    """Find beads of known diameter and locate them with their uncertainty.

    Parameters
    ----------
    image : array_like
        2D or 3D, axes (z, y, x) or (y, x); numpy, memmap or dask. NaN pixels are left out.
    spacing : float or sequence of float
        Pixel size along each axis, µm.
    diameter : float
        Diameter of the beads, µm.
    kind : {"bright", "dark"}
        Whether beads are brighter than their background (fluorescence, absorption tomogram) or
        darker (transmission image).
    threshold : float
        Least SNR of the matched filter's amplitude, and of the fitted one, over its own sd. It
        does not depend on pixel size, bead size or modality.
    psf : float or (axial, lateral), optional
        Full width at half maximum of the blur, µm. Where it is not given, a few usual ones are
        tried and the one that fits the image's beads best is taken.

    Returns
    -------
    Beads

    Raises
    ------
    PointsError, MissingScaleError, ClxemError
        Where an argument cannot be used.
    """
    image = image if hasattr(image, "shape") else np.asarray(image)
    steps = _check(image, spacing, diameter, kind, psf, threshold)
    ndim, sign = len(steps), 1.0 if kind == "bright" else -1.0
    if min(image.shape) == 0:
        return _no_beads(ndim)
    first = _choices(ndim, diameter, psf, kind, steps)[0]
    shape = geometry(steps, diameter, first, sign)
    found = find(image, first, shape, threshold)
    if not len(found.snr):
        return _no_beads(ndim)
    return _judge(image, found, shape, kind, diameter, psf, threshold)


def _judge(
    image: Any,
    found: Candidates,
    shape: Geometry,
    kind: Kind,
    diameter: float,
    psf: Any,
    threshold: float,
) -> Beads:
    """Fit every candidate and sort the beads from the rest."""
    ndim = len(shape.spacing)
    late = [
        Rejected(tuple(p), f"weaker than {_MOST} other candidates", float(s))
        for p, s in zip(found.positions[_MOST:], found.snr[_MOST:], strict=True)
    ]
    found = _first(found, _MOST)
    scale = float(np.nanmax(np.abs(found.windows.data), initial=1e-30))
    quantum = 1.0 / 12.0 if np.dtype(image.dtype).kind in "bui" else (1e-6 * scale) ** 2
    noise = noise_line(
        found.level, found.variance, quantum / float(np.prod(shape.fine)) * 0.0 + quantum
    )
    noise = _rescale(noise, float(np.prod(shape.fine)))
    leash = 0.6 * np.maximum(np.array(shape.sigma), 0.5 * diameter)
    windows, touching = _part_neighbours(found, shape)
    profile = _choose_profile(
        _choices(ndim, diameter, psf, kind, _averaged(shape)), windows, noise, leash
    )
    starts = (found.positions - windows.centres)[:, None, :]
    fits = fit_beads(profile, windows, starts, noise, leash)
    good = _reasons(fits, found, shape, profile, threshold, image.shape) == ""
    if good.any():
        noise = measure_noise(select(fits, np.flatnonzero(good)), noise)
        fits = fit_beads(profile, windows, starts, noise, leash)
    fits = _fit_pairs(fits, found, touching, profile, noise, leash)
    reasons = _reasons(fits, found, shape, profile, threshold, image.shape)
    return _collect(fits, found, reasons, profile, diameter, late)


def _rescale(noise: NoiseModel, pixels: float) -> NoiseModel:
    """Noise of the mean of so many pixels."""
    return NoiseModel(noise.offset / pixels, noise.gain / pixels, noise.floor / pixels)


def _first(found: Candidates, most: int) -> Candidates:
    rows = np.arange(min(most, len(found.snr)))
    return Candidates(
        found.positions[rows],
        found.snr[rows],
        found.windows.take(rows),
        found.level,
        found.variance,
        found.plateau[rows],
    )


def _fit_pairs(
    fits: BeadFits,
    found: Candidates,
    touching: list[tuple[int, int]],
    profile: Profile,
    noise: NoiseModel,
    leash: Floats,
) -> BeadFits:
    """Fit touching pairs as two beads in the window of the first."""
    pairs = np.array(_pair_up(touching), dtype=np.intp).reshape(-1, 2)
    if not len(pairs):
        return fits
    windows = found.windows.take(pairs[:, 0])
    starts = fits.positions[pairs] - windows.centres[:, None, :]
    both = fit_beads(profile, windows, starts, noise, leash / 2.0)
    merged = {}
    rows = np.concatenate([pairs[:, 0], pairs[:, 1]])
    for name in BeadFits.__dataclass_fields__:
        merged[name] = getattr(fits, name).copy()
        merged[name][rows] = getattr(both, name)
    return BeadFits(**merged)


def _reasons(
    fits: BeadFits,
    found: Candidates,
    shape: Geometry,
    profile: Profile,
    threshold: float,
    size: tuple[int, ...],
) -> Any:
    """Why each candidate is no usable bead; an empty string where it is one."""
    spacing = np.array(shape.spacing)
    n = len(fits.positions)
    sign = shape.sign
    amplitude = sign * fits.amplitude
    lateral, spread = np.log(fits.width[:, 0]), fits.width_sd[:, 0]
    low, high = -0.5 * spacing, (np.array(size) - 0.5) * spacing
    outside = np.any((fits.positions < low) | (fits.positions > high), axis=1)
    valid = np.isfinite(found.windows.data).mean(axis=1)
    noise_sd = np.sqrt(np.maximum(fits.chi2, 1.0))
    significance = amplitude / np.maximum(fits.amplitude_sd * noise_sd, 1e-300)
    core = np.prod(np.maximum(np.array(shape.sigma) / spacing, 1.0))
    tests: list[tuple[str, Any]] = [
        ("saturated", (sign > 0) & (found.plateau >= max(4.0, 0.5 * core))),
        ("clipped at the border", outside),
        ("clipped at the border or by missing pixels", (fits.seen < 0.8) & (valid < 1.0)),
        ("too faint for the threshold", significance < threshold),
        ("too wide for a bead", lateral - 2.0 * spread > np.log(1.3)),
        ("too narrow for a bead", lateral + 2.0 * spread < -np.log(1.35)),
        ("not round", (fits.elongation - 2.0 * fits.elongation_sd * noise_sd > 0.3)),
        ("does not fit a bead", (fits.chi2 > 1.5) & (_misfit(fits) > 0.12)),
        ("the fit ran away", np.zeros(n, bool)),
    ]
    if fits.width.shape[1] > 1:
        axial, loose = np.log(fits.width[:, 1]), fits.width_sd[:, 1]
        tests.insert(6, ("too long along the axis", axial - 2.0 * loose > np.log(1.8)))
        tests.insert(7, ("too short along the axis", axial + 2.0 * loose < -np.log(2.0)))
    reasons = np.full(n, "", dtype=object)
    for reason, failed in reversed(tests):
        reasons[failed] = reason
    return reasons


def _collect(
    fits: BeadFits,
    found: Candidates,
    reasons: Any,
    profile: Profile,
    diameter: float,
    late: list[Rejected],
) -> Beads:
    """Put the accepted together, strongest first; the same bead found twice is given once."""
    significance = np.abs(fits.amplitude) / fits.amplitude_sd / np.sqrt(np.maximum(fits.chi2, 1.0))
    order = np.argsort(-significance, kind="stable")
    accepted: list[int] = []
    for row in order[reasons[order] == ""]:
        away = np.linalg.norm(fits.positions[accepted] - fits.positions[row], axis=1)
        if np.any(away < 0.3 * diameter):
            reasons[row] = "the same bead as a stronger candidate"
        else:
            accepted.append(int(row))
    keep = np.array(accepted, dtype=np.intp)
    dropped = [
        Rejected(
            tuple(float(c) for c in found.positions[row]), str(reasons[row]), float(found.snr[row])
        )
        for row in np.flatnonzero(reasons != "")
    ]
    best = select(fits, keep)
    covariance = best.covariance * np.maximum(best.chi2, 1.0)[:, None, None]
    return Beads(
        positions=best.positions,
        sigma=np.sqrt(np.einsum("ndd->nd", covariance)),
        covariance=covariance,
        snr=np.abs(best.amplitude) / best.noise,
        diameter=profile.diameter(best.width[:, 0], diameter),
        significance=significance[keep],
        rejected=tuple(dropped + late),
    )
