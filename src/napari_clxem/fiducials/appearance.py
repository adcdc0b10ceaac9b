"""How beads look in an image: which profile fits them, and how noisy their pixels are."""

from __future__ import annotations

from typing import Literal

import numpy as np

from napari_clxem.fiducials.localisation import fit_beads
from napari_clxem.fiducials.modelling import NoiseModel, Windows
from napari_clxem.fiducials.profiles import FWHM, Floats, Profile, projected_ball, solid_ball
from napari_clxem.fiducials.tuning import WIDTH_SD, Tuning

Kind = Literal["bright", "dark"]
Psf = float | tuple[float, float]

_BLURS: dict[tuple[str, int], tuple[Psf, ...]] = {
    ("bright", 2): (0.35, 0.1, 0.8),
    ("bright", 3): ((1.0, 0.35), (0.1, 0.05)),
    ("dark", 2): (0.05, 0.35),
    ("dark", 3): (0.05,),
}
"""Full widths of the blur tried where none is given, µm, the usual one first: light, X-rays."""

_BLURRED: dict[int, tuple[Psf, ...]] = {2: (0.8, 1.2), 3: ((3.0, 0.8), (5.0, 1.2))}
"""The same for objectives of small aperture."""

_TOMOGRAM = 0.1
"""Volumes sampled finer than this share of a bead along the axis are taken for tomograms."""

_OPACITIES = {"bright": (0.0, 3.0, 30.0), "dark": (0.0, 1.0, 3.0, 30.0)}

_POINT = 0.25
"""Beads below this share of the blur are drawn this large: it widens them by 0.2 %."""

_TRIAL, _PIXELS = 24, 1500
"""Strongest candidates on which it is chosen, and pixels of each."""


def profiles_of(
    spacing: tuple[float, ...],
    diameter: float,
    kind: Kind,
    psf: Psf | None,
    averaged: tuple[int, ...] = (1, 1, 1),
    blurred: bool = False,
) -> list[Profile]:
    """Give the profiles to choose from: opacities in projection, and blurs where none is given."""
    usual = _BLURRED[len(spacing)] if blurred else _BLURS[kind, len(spacing)]
    blurs = usual if psf is None else (psf,)
    if _is_tomogram(spacing, diameter):
        blurs = blurs[::-1]
    opacities = _OPACITIES[kind] if len(spacing) == 2 else (0.0,)
    pixel = tuple(p * f for p, f in zip(spacing, averaged, strict=False))
    return [_profile(pixel, diameter, blur, k) for blur in blurs for k in opacities]


def may_be_blurred(spacing: tuple[float, ...], diameter: float, kind: Kind) -> bool:
    """Tell whether it is an image that light may have made: X-rays resolve every bead."""
    return kind == "bright" and not _is_tomogram(spacing, diameter)


def _is_tomogram(spacing: tuple[float, ...], diameter: float) -> bool:
    return len(spacing) == 3 and spacing[0] < _TOMOGRAM * diameter


def _profile(spacing: tuple[float, ...], diameter: float, psf: Psf, opacity: float) -> Profile:
    """Make a profile; averaging over a pixel adds its variance, a twelfth of its square."""
    axial, lateral = (float(w) / FWHM for w in np.broadcast_to(np.asarray(psf, float), (2,)))
    plane = float(np.hypot(lateral, np.hypot(spacing[-1], spacing[-2]) / np.sqrt(24.0)))
    # A ball much smaller than the blur looks like a point; tables of it would be endlessly fine.
    diameter = max(diameter, _POINT * plane)
    if len(spacing) == 2:
        return projected_ball(diameter, plane, opacity)
    return solid_ball(diameter, float(np.hypot(axial, spacing[0] / np.sqrt(12.0))), plane)


def best_profile(
    profiles: list[Profile], windows: Windows, noise: NoiseModel, leash: Floats
) -> Profile:
    """Choose the profile under which the strongest candidates are likeliest.

    It has to fit, and to need no stretching: the beads' diameter is known. Opacity, and blur where
    profiles differ in it, are then measured on the same candidates.
    """
    if len(profiles) == 1:
        return profiles[0]
    few = _thinned(windows.take(np.arange(min(_TRIAL, len(windows.data)))))
    starts = np.zeros((len(few.data), 1, few.offsets.shape[1]))
    trials = [fit_beads(p, few, starts, noise, leash, rough=True) for p in profiles]
    chi2 = np.array([t.chi2 for t in trials])
    apart = np.array([np.log(t.width[:, 0]) for t in trials]) / WIDTH_SD
    best = chi2.min(axis=0)
    # A candidate that no profile fits is no bead and has no say.
    say = (best > 0) & (best <= 4.0 * np.median(best)) & (np.abs(apart).min(axis=0) < 4.0)
    if not say.any():
        return profiles[0]
    pixels = np.isfinite(few.data).sum(axis=1)
    cost = pixels * np.log(np.maximum(chi2, 1e-300)) + np.minimum(apart**2, 100.0)
    chosen = int(np.argmin(cost[:, say].sum(axis=1)))
    some = np.flatnonzero(say)
    places = (trials[chosen].positions - few.centres)[some, None, :]
    blurs = {p.blur for p in profiles}
    tuning = Tuning(few.take(some), places, noise, leash, len(blurs) > 1)
    return tuning.softened(tuning.tuned(profiles[chosen], 0.5 * min(blur[1] for blur in blurs)))


def _thinned(windows: Windows) -> Windows:
    """Give some of the pixels; they come in mixed order."""
    share = max(1.0, windows.data.shape[1] / _PIXELS)
    offsets = np.ascontiguousarray(windows.offsets[:, :, :_PIXELS])
    return Windows(windows.data[:, :_PIXELS], offsets, windows.centres, windows.pixel * share)
