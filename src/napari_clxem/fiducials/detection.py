"""Finding beads in an image: which of the round bright or dark things are beads, and where."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from napari_clxem.errors import ClxemError, MissingScaleError, PointsError
from napari_clxem.fiducials.candidates import Candidates, Geometry, find, geometry
from napari_clxem.fiducials.localisation import BeadFits, fit_all, fit_beads, replace_rows, select
from napari_clxem.fiducials.modelling import Flags, NoiseModel, Windows
from napari_clxem.fiducials.neighbours import fit_groups, part
from napari_clxem.fiducials.noise import noise_line
from napari_clxem.fiducials.profiles import FWHM, Floats, Profile, projected_ball, solid_ball
from napari_clxem.fiducials.residuals import measure_noise
from napari_clxem.fiducials.screening import reasons, significance

Kind = Literal["bright", "dark"]
Psf = float | tuple[float, float]

_BLURS: dict[tuple[str, int], tuple[Psf, ...]] = {
    ("bright", 2): (0.35, 0.1, 0.8),
    ("bright", 3): ((1.0, 0.35), (0.1, 0.05)),
    ("dark", 2): (0.05, 0.35),
    ("dark", 3): (0.05,),
}
"""Full widths of the blur tried where none is given, µm, the usual one first: light, X-rays."""

_TOMOGRAM = 0.1
"""Volumes sampled finer than this share of a bead along the axis are taken for tomograms."""

_OPACITIES = {"bright": (0.0, 3.0, 30.0), "dark": (0.0, 1.0, 3.0, 30.0)}

_WIDTH_SD = 0.05
"""Spread of the logarithm of bead widths when a profile is chosen."""

_MOST, _USUAL = 4000, 5e7
"""Most candidates that are looked at in an image of so many pixels; more in larger ones."""

_SAMPLE = 150
"""Beads on which noise is measured."""

_ROUGH = 400
_WIDER = 0.25
"""Pixels of a first fit, and the logarithm of the width from which on there is no second."""

_TRIAL = 24
_SAME = 0.3
"""Two fits nearer than this share of a diameter are one bead."""


@dataclass(frozen=True)
class Rejected:
    """A candidate that is not a usable bead: where it is (d,) µm, why, and its filter SNR."""

    position: tuple[float, ...]
    reason: str
    snr: float


@dataclass(frozen=True, eq=False)
class Beads:
    """Beads found in an image, the most significant first.

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


def detect(
    image: Any,
    spacing: ArrayLike,
    diameter: float = 1.0,
    kind: Kind = "bright",
    threshold: float = 6.0,
    psf: Psf | None = None,
) -> Beads:
    """Find beads of known diameter and locate them with their uncertainty.

    Parameters
    ----------
    image : array_like
        2D or 3D, axes (z, y, x) or (y, x); numpy, memmap or dask, which is read block by block.
        NaN pixels are left out.
    spacing : float or sequence of float
        Pixel size along each axis, µm.
    diameter : float
        Diameter of the beads, µm.
    kind : {"bright", "dark"}
        Whether beads are brighter than their background (fluorescence, absorption tomogram) or
        darker (transmission image).
    threshold : float
        Least SNR: amplitude over its own sd, of the matched filter and of the fit. It means the
        same at any pixel size, bead size and modality.
    psf : float or (axial, lateral), optional
        Full width at half maximum of the blur, µm. Where it is not given, a few usual ones are
        tried and the one that fits the image's beads best is adjusted to make the typical bead
        as wide as `diameter` demands.

    Returns
    -------
    Beads

    Raises
    ------
    PointsError
        Where the image has not 2 or 3 axes of real numbers, or spacing does not go with it.
    MissingScaleError
        Where the spacing is not positive.
    ClxemError
        Where another argument cannot be used.
    """
    image = image if hasattr(image, "shape") else np.asarray(image)
    steps = _check_image(image, spacing)
    _check_bead(diameter, kind, threshold, psf)
    usual = _profiles(steps, diameter, kind, psf)[0]
    shape = geometry(steps, diameter, usual, 1.0 if kind == "bright" else -1.0)
    if min(image.shape) == 0:
        return _no_beads(len(steps))
    found = find(image, usual, shape, threshold)
    if not len(found.snr):
        return _no_beads(len(steps))
    most = int(_MOST * max(1.0, np.prod(image.shape, dtype=float) / _USUAL))
    weak = [
        Rejected(tuple(map(float, p)), f"weaker than {most} other candidates", float(s))
        for p, s in zip(found.positions[most:], found.snr[most:], strict=True)
    ]
    found = found.first(most)
    profiles = _profiles(steps, diameter, kind, psf, shape.fine)
    noise = _pixel_noise(found, image.dtype, shape)
    fits, profile = _fit(found, shape, profiles, noise, threshold, image.shape)
    answers = reasons(fits, found, shape, threshold, image.shape)
    return _collect(fits, found, answers, profile, diameter, weak, float(np.prod(shape.fine)))


def _no_beads(ndim: int) -> Beads:
    none = np.zeros(0)
    return Beads(
        np.zeros((0, ndim)), np.zeros((0, ndim)), np.zeros((0, ndim, ndim)), none, none, none
    )


def _check_image(image: Any, spacing: ArrayLike) -> tuple[float, ...]:
    """Check image and spacing and give the spacing, one value per axis."""
    ndim = len(image.shape)
    if ndim not in (2, 3):
        raise PointsError(
            f"Beads are looked for in an image of 2 or 3 axes, and this one has shape "
            f"{tuple(image.shape)}; choose one channel and time point."
        )
    if np.dtype(image.dtype).kind not in "buif":
        raise PointsError(f"Pixels of type {image.dtype} cannot hold beads; give real numbers.")
    steps = tuple(float(s) for s in np.atleast_1d(np.asarray(spacing, float)).ravel())
    steps = steps * ndim if len(steps) == 1 else steps
    if len(steps) != ndim:
        raise PointsError(
            f"The image has {ndim} axes and the spacing {len(steps)} values; give one per axis."
        )
    if not all(np.isfinite(s) and s > 0 for s in steps):
        raise MissingScaleError(
            f"A spacing of {steps} µm is not usable; give the pixel size along each axis."
        )
    return steps


def _check_bead(diameter: float, kind: str, threshold: float, psf: Psf | None) -> None:
    if not (np.isfinite(diameter) and diameter > 0):
        raise ClxemError(f"A bead has no diameter of {diameter} µm; give a positive one.")
    if kind not in ("bright", "dark"):
        raise ClxemError(f"Beads are 'bright' or 'dark', not {kind!r}.")
    if not threshold > 0:
        raise ClxemError(f"A threshold of {threshold} lets everything pass; give a positive SNR.")
    if psf is None:
        return
    widths = np.atleast_1d(np.asarray(psf, float))
    if widths.shape not in ((1,), (2,)) or not np.all((widths > 0) & np.isfinite(widths)):
        raise ClxemError(
            f"A psf of {psf} is not usable; give its full width at half maximum in µm, or two: "
            "along the axis and across."
        )


def _profiles(
    spacing: tuple[float, ...],
    diameter: float,
    kind: Kind,
    psf: Psf | None,
    averaged: tuple[int, ...] = (1, 1, 1),
) -> list[Profile]:
    """Profiles to choose from: opacities in projection, and blurs where none is given."""
    blurs = _BLURS[kind, len(spacing)] if psf is None else (psf,)
    if len(spacing) == 3 and spacing[0] < _TOMOGRAM * diameter:
        blurs = blurs[::-1]
    opacities = _OPACITIES[kind] if len(spacing) == 2 else (0.0,)
    pixel = tuple(p * f for p, f in zip(spacing, averaged, strict=False))
    return [_profile(pixel, diameter, blur, k) for blur in blurs for k in opacities]


def _profile(spacing: tuple[float, ...], diameter: float, psf: Psf, opacity: float) -> Profile:
    """Make a profile; averaging over a pixel adds its variance, a twelfth of its square."""
    axial, lateral = (float(w) / FWHM for w in np.broadcast_to(np.asarray(psf, float), (2,)))
    plane = float(np.hypot(lateral, np.hypot(spacing[-1], spacing[-2]) / np.sqrt(24.0)))
    if len(spacing) == 2:
        return projected_ball(diameter, plane, opacity)
    return solid_ball(diameter, float(np.hypot(axial, spacing[0] / np.sqrt(12.0))), plane)


def _pixel_noise(found: Candidates, dtype: Any, shape: Geometry) -> NoiseModel:
    """Noise of the averaged pixels, at least that of rounding to the image's type."""
    largest = float(np.nanmax(np.abs(found.windows.data), initial=1e-30))
    rounding = 1.0 / 12.0 if np.dtype(dtype).kind in "bui" else (1e-6 * largest) ** 2
    noise = noise_line(found.level, found.variance, rounding)
    pixels = float(np.prod(shape.fine))
    return NoiseModel(noise.offset / pixels, noise.gain / pixels, noise.floor / pixels)


def _fit(
    found: Candidates,
    shape: Geometry,
    profiles: list[Profile],
    noise: NoiseModel,
    threshold: float,
    size: tuple[int, ...],
) -> tuple[BeadFits, Profile]:
    """Fit every candidate; its noise is measured on those that are beads."""
    leash = 0.6 * np.maximum(np.array(shape.sigma), 0.5 * shape.diameter)
    rough, likely = _screen(found, shape, profiles[0], noise, leash)
    rest = found.take(np.flatnonzero(likely))
    if not len(rest.snr):
        return rough, profiles[0]
    windows, groups = part(rest, shape.sigma)
    profile = _best_profile(profiles, windows, noise, leash)
    starts = (rest.positions - windows.centres)[:, None, :]
    few = np.arange(min(_SAMPLE, len(rest.snr)))
    fits, equations = fit_beads(profile, windows.take(few), starts[few], noise, leash)
    good = np.flatnonzero(reasons(fits, rest.take(few), shape, threshold, size) == "")
    if len(good):
        noise = measure_noise(equations.remains(good), noise)
    fits = select(rough, np.flatnonzero(likely))
    lone = np.setdiff1d(np.arange(len(starts)), [row for group in groups for row in group])
    lone = lone.astype(np.intp)
    if len(lone):
        alone = fit_all(profile, windows.take(lone), starts[lone], noise, leash)
        fits = replace_rows(fits, lone, alone)
    fits = fit_groups(fits, windows, groups, profile, noise, leash)
    return replace_rows(rough, np.flatnonzero(likely), fits), profile


def _screen(
    found: Candidates, shape: Geometry, profile: Profile, noise: NoiseModel, leash: Floats
) -> tuple[BeadFits, Flags]:
    """Fit all candidates on some of their pixels and tell which may be beads.

    Cells give more candidates than beads do, and most are far too wide.
    """
    thin = found.thinned(_ROUGH)
    windows, _ = part(thin, shape.sigma)
    starts = (thin.positions - windows.centres)[:, None, :]
    rough = fit_all(profile, windows, starts, noise, leash, rough=True)
    away = np.log(rough.width[:, 0]) - 3.0 * rough.width_sd[:, 0]
    return rough, away < _WIDER


def _best_profile(
    profiles: list[Profile], windows: Windows, noise: NoiseModel, leash: Floats
) -> Profile:
    """Choose the profile under which the strongest candidates are likeliest.

    It has to fit, and to need no stretching: the beads' diameter is known. Where the blur is not
    given, and profiles differ in it, what stretching is left is put down to it.
    """
    if len(profiles) == 1:
        return profiles[0]
    few = windows.take(np.arange(min(_TRIAL, len(windows.data))))
    starts = np.zeros((len(few.data), 1, few.offsets.shape[1]))
    trials = [fit_beads(p, few, starts, noise, leash, rough=True)[0] for p in profiles]
    chi2 = np.array([t.chi2 for t in trials])
    apart = np.array([np.log(t.width[:, 0]) for t in trials]) / _WIDTH_SD
    best = chi2.min(axis=0)
    # A candidate that no profile fits is no bead and has no say.
    say = (best > 0) & (best <= 4.0 * np.median(best)) & (np.abs(apart).min(axis=0) < 4.0)
    if not say.any():
        return profiles[0]
    pixels = np.isfinite(few.data).sum(axis=1)
    cost = pixels * np.log(np.maximum(chi2, 1e-300)) + np.minimum(apart**2, 100.0)
    chosen = int(np.argmin(cost[:, say].sum(axis=1)))
    blurs = {p.blur[1] for p in profiles}
    if len(blurs) == 1:
        return profiles[chosen]
    return _with_measured_blur(profiles[chosen], trials[chosen].width[say], min(blurs))


def _with_measured_blur(profile: Profile, widths: Floats, least: float) -> Profile:
    """Give the profile the blur that makes beads of its diameter as wide as those seen."""
    axial, lateral = profile.sigma
    seen = np.median(widths, axis=0) * (lateral, axial)[: widths.shape[1]]
    blurs = np.sqrt(np.maximum(seen**2 - profile.ball, least**2))
    # A round number lets profiles be looked up again.
    return profile.blurred(round(float(blurs[-1]), 3), round(float(blurs[0]), 3))


def _inflation(lopsided: Floats) -> Floats:
    """Factor on each bead's covariance for noise beyond that of independent pixels.

    A bead's own few patterns say too little, so they are averaged with the image's typical bead.
    """
    typical = max(1.0, float(np.median(lopsided))) if len(lopsided) else 1.0
    factor: Floats = np.maximum((lopsided + typical) / 2.0, 1.0)
    return factor


def _collect(
    fits: BeadFits,
    found: Candidates,
    answers: np.ndarray,
    profile: Profile,
    diameter: float,
    weak: list[Rejected],
    pixels: float,
) -> Beads:
    """Put the beads together; one found twice is given once. `pixels` were averaged to one."""
    strength = np.abs(significance(fits))
    order = np.argsort(-strength, kind="stable")
    keep: list[int] = []
    for row in order[answers[order] == ""]:
        away = np.linalg.norm(fits.positions[keep] - fits.positions[row], axis=1)
        if np.any(away < _SAME * diameter):
            answers[row] = "the same bead as a stronger candidate"
        else:
            keep.append(int(row))
    dropped = [
        Rejected(tuple(map(float, found.positions[row])), str(answers[row]), float(found.snr[row]))
        for row in np.flatnonzero(answers != "")
    ]
    best = select(fits, np.array(keep, dtype=np.intp))
    covariance = best.covariance * _inflation(best.lopsided)[:, None, None]
    return Beads(
        positions=best.positions,
        sigma=np.sqrt(np.einsum("ndd->nd", covariance)),
        covariance=covariance,
        snr=np.abs(best.amplitude) / best.noise / np.sqrt(pixels),
        diameter=profile.diameter(best.width[:, 0]),
        significance=strength[keep],
        rejected=tuple(dropped + weak),
    )
