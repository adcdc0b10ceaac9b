"""Where a bead is, to a fraction of a pixel: batched maximum-likelihood fits with covariance.

Every candidate is a window of pixels (NaN where there are none) fitted with one or two beads of
a known profile on a linear background. Fisher scoring with the variance of the model itself is
the maximum-likelihood solution for Poisson counts, and weighted least squares otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_clxem.fiducials.modelling import (
    WIDTH_SD,
    Flags,
    Layout,
    NoiseModel,
    Windows,
    bead_over,
    evaluate,
    invert,
    profile_volume,
    solve,
)
from napari_clxem.fiducials.profiles import Floats, Profile
from napari_clxem.fiducials.residuals import Remains, elongation, smooth_residuals

_WIDEST = float(np.log(2.5))
_BATCH_PIXELS = 400_000
_STEPS = 25
_FLAT = 0.01


@dataclass(frozen=True)
class BeadFits:
    """Fitted beads, one row per bead.

    Parameters
    ----------
    positions : (n, d) ndarray
        Positions in the image, µm.
    covariance : (n, d, d) ndarray
        Covariance of the positions for white noise of the model's variance, µm².
    amplitude, amplitude_sd, background : (n,) ndarray
        Peak above background (signed), its sd, and the background under the peak.
    width, width_sd : (n, w) ndarray
        Width over the profile's, laterally and, in a volume, axially (w = 2); sd of its logarithm.
    chi2 : (n,) ndarray
        Reduced chi-square of the window.
    noise : (n,) ndarray
        Standard deviation of the noise of the pixel at the peak.
    structure, lopsided : (n,) ndarray
        Power of the residuals in smooth patterns over that of pixel noise: in all of them, and
        in the odd ones, which are what moves a bead.
    misfit : (n,) ndarray
        Rms of the smooth residuals beyond noise, over the amplitude.
    elongation, elongation_sd : (n,) ndarray
        Logarithm of the ratio of the lateral axes, and its sd.
    seen : (n,) ndarray
        Part of the bead's weight that fell on pixels, 0 to 1.
    converged : (n,) ndarray of bool
        Whether the last step was far below a tenth of the sd.
    """

    positions: Floats
    covariance: Floats
    amplitude: Floats
    amplitude_sd: Floats
    background: Floats
    width: Floats
    width_sd: Floats
    chi2: Floats
    noise: Floats
    structure: Floats
    lopsided: Floats
    misfit: Floats
    elongation: Floats
    elongation_sd: Floats
    seen: Floats
    converged: Flags


def concatenate(parts: list[BeadFits]) -> BeadFits:
    """Put fits one after another."""
    names = BeadFits.__dataclass_fields__
    return BeadFits(**{k: np.concatenate([getattr(p, k) for p in parts]) for k in names})


def _start(
    profile: Profile, windows: Windows, centres: Floats, layout: Layout, noise: NoiseModel
) -> Floats:
    """Linear least squares for amplitudes and background at the given centres."""
    parameters = np.zeros((len(windows.data), layout.size))
    for k in range(layout.beads):
        parameters[:, layout.centre(k)] = centres[:, k]
        parameters[:, layout.amplitude(k)] = 1.0
    _, jacobian = evaluate(profile, windows.offsets, parameters, layout)
    linear = [layout.amplitude(k) for k in range(layout.beads)]
    linear += list(range(layout.first_background, layout.size))
    design = jacobian[:, linear]
    valid = np.isfinite(windows.data)
    data = np.where(valid, windows.data, 0.0)
    weight = valid / noise.variance(data)
    normal = np.einsum("npm,nm,nqm->npq", design, weight, design, optimize=True)
    parameters[:, linear] = solve(normal, np.einsum("npm,nm->np", design, weight * data))
    return parameters


def _clip(parameters: Floats, start: Floats, layout: Layout, leash: Floats) -> Floats:
    """Keep centres within `leash` of their start and widths within what a bead can be."""
    parameters = parameters.copy()
    for k in range(layout.beads):
        at = layout.centre(k)
        parameters[:, at] = np.clip(parameters[:, at], start[:, at] - leash, start[:, at] + leash)
    widths = slice(layout.first_width, layout.first_background)
    parameters[:, widths] = np.clip(parameters[:, widths], -_WIDEST, _WIDEST)
    return parameters


def _score(
    windows: Windows, model: Floats, weight: Floats, parameters: Floats, layout: Layout
) -> Floats:
    """Weighted squares of residuals plus the width prior's."""
    widths = slice(layout.first_width, layout.first_background)
    squares = weight * np.where(weight > 0, windows.data - model, 0.0) ** 2
    prior = (parameters[:, widths] / WIDTH_SD) ** 2
    score: Floats = squares.sum(axis=1) + prior.sum(axis=1)
    return score


def _iterate(
    profile: Profile,
    windows: Windows,
    start: Floats,
    layout: Layout,
    noise: NoiseModel,
    leash: Floats,
) -> tuple[Floats, Flags]:
    """Levenberg-Marquardt steps on every window at once; windows that are done drop out."""
    parameters = start.copy()
    last = np.full(len(start), np.inf)
    damping = np.full(len(start), 1e-3)
    widths = np.arange(layout.first_width, layout.first_background)
    centres = np.concatenate(
        [np.arange(layout.size)[layout.centre(k)] for k in range(layout.beads)]
    )
    diagonal = np.arange(layout.size)
    active = np.arange(len(start))
    model, jacobian = evaluate(profile, windows.offsets, parameters, layout)
    for _ in range(_STEPS):
        part, current = windows.take(active), parameters[active]
        weight = np.isfinite(part.data) / noise.variance(model)
        residual = np.where(weight > 0, part.data - model, 0.0)
        weighted = jacobian * weight[:, None, :]
        normal = weighted @ jacobian.transpose(0, 2, 1)
        gradient = np.einsum("npm,nm->np", weighted, residual)
        normal[:, widths, widths] += WIDTH_SD**-2
        gradient[:, widths] -= current[:, widths] / WIDTH_SD**2
        sd = np.sqrt(np.einsum("npp->np", invert(normal)))
        normal[:, diagonal, diagonal] *= 1.0 + damping[active, None]
        step = solve(normal, gradient)
        trial = _clip(current + step, start[active], layout, leash)
        trial_model, trial_jacobian = evaluate(profile, part.offsets, trial, layout)
        before = _score(part, model, weight, current, layout)
        after = _score(part, trial_model, weight, trial, layout)
        better = after <= before * (1.0 + 1e-12)
        moved = np.abs(trial - current)[:, centres] / np.maximum(sd[:, centres], 1e-12)
        parameters[active[better]] = trial[better]
        last[active[better]] = moved[better].max(axis=1)
        model[better], jacobian[better] = trial_model[better], trial_jacobian[better]
        # Sharp beads curve the cost more than their derivatives tell, and full steps overshoot.
        promised = np.einsum("np,np->n", step, gradient)
        kept = (before - after) / np.maximum(promised, 1e-300)
        shorter = np.maximum(4.0 * damping[active], 0.5)
        damping[active] = np.where(
            kept < 0.4, shorter, np.where(kept > 0.7, 0.1, 1.0) * damping[active]
        )
        # Coarse pixels make the cost of a sharp bead bumpy far below what noise can tell.
        settled = np.abs(before - after) < _FLAT
        last[active[settled & (moved.max(axis=1) < 0.5)]] = 0.0
        stay = (damping[active] < 1e8) & (last[active] > 0.01)
        if not stay.all():
            active, model, jacobian = active[stay], model[stay], jacobian[stay]
        if not len(active):
            break
    return parameters, last < 0.1


def _remains(
    profile: Profile, windows: Windows, parameters: Floats, layout: Layout, noise: NoiseModel
) -> Remains:
    """Residuals of fitted windows, and what they are measured against."""
    model, jacobian = evaluate(profile, windows.offsets, parameters, layout)
    valid = np.isfinite(windows.data)
    weight = np.where(valid, 1.0 / np.sqrt(noise.variance(model)), 0.0)
    residual = np.where(valid, windows.data - model, 0.0) * weight
    design = weight[:, None, :] * jacobian
    normal = design @ design.transpose(0, 2, 1)
    widths = np.arange(layout.first_width, layout.first_background)
    normal[:, widths, widths] += WIDTH_SD**-2
    return Remains(model, residual, weight, design, invert(normal))


def _bead_row(
    profile: Profile,
    windows: Windows,
    parameters: Floats,
    converged: Flags,
    layout: Layout,
    noise: NoiseModel,
    remains: Remains,
    bead: int,
) -> BeadFits:
    """Give one bead of every window."""
    at, peak = layout.centre(bead), layout.amplitude(bead)
    widths = slice(layout.first_width, layout.first_background)
    centre, amplitude, log_width = parameters[:, at], parameters[:, peak], parameters[:, widths]
    value, _, _, slope = bead_over(profile, windows.offsets, centre, log_width)
    background = parameters[:, layout.first_background] + np.einsum(
        "nd,nd->n", parameters[:, layout.first_background + 1 :], centre
    )
    variances = np.maximum(np.einsum("npp->np", remains.covariance), 0.0)
    valid = remains.weight > 0
    count = np.maximum(valid.sum(axis=1) - layout.size, 1)
    oval, oval_sd = elongation(windows, remains, amplitude, centre, slope, log_width[:, 0])
    structure, lopsided, left = smooth_residuals(windows, remains, centre)
    pixel_sd = np.sqrt(noise.variance(background))
    return BeadFits(
        positions=windows.centres + centre,
        covariance=remains.covariance[:, at, at],
        amplitude=amplitude,
        amplitude_sd=np.sqrt(variances[:, peak]),
        background=background,
        width=np.exp(log_width),
        width_sd=np.sqrt(variances[:, widths]),
        chi2=(remains.residual**2).sum(axis=1) / count,
        noise=np.sqrt(noise.variance(background + amplitude)),
        structure=structure,
        lopsided=lopsided,
        misfit=left * pixel_sd / np.maximum(np.abs(amplitude), 1e-300),
        elongation=oval,
        elongation_sd=oval_sd,
        seen=(value * valid).sum(axis=1) * windows.pixel / profile_volume(profile, log_width),
        converged=converged,
    )


def fit_beads(
    profile: Profile, windows: Windows, starts: Floats, noise: NoiseModel, leash: Floats
) -> tuple[BeadFits, Remains]:
    """Fit beads to windows.

    Parameters
    ----------
    profile : Profile
        What a bead looks like.
    windows : Windows
        Pixels; at least one window.
    starts : (n, k, d) ndarray
        Starting positions of the k beads of each window, from the window's centre, µm.
    noise : NoiseModel
        Variance of a pixel.
    leash : (d,) ndarray
        Furthest a bead may move from its start, µm.

    Returns
    -------
    fits : BeadFits
        n rows for the first bead of every window, then n for the second.
    remains : Remains
        What the fits leave, one row per window, without the derivatives.
    """
    layout = Layout(starts.shape[1], windows.offsets.shape[1])
    size = max(1, _BATCH_PIXELS // windows.data.shape[1])
    rows: list[list[BeadFits]] = [[] for _ in range(layout.beads)]
    left = []
    for first in range(0, len(starts), size):
        batch = np.arange(first, min(first + size, len(starts)))
        part = windows.take(batch)
        begin = _start(profile, part, starts[batch], layout, noise)
        found, converged = _iterate(profile, part, begin, layout, noise, leash)
        remains = _remains(profile, part, found, layout, noise)
        for k in range(layout.beads):
            rows[k].append(_bead_row(profile, part, found, converged, layout, noise, remains, k))
        left.append(remains.light())
    return concatenate([fits for bead in rows for fits in bead]), Remains.join(left)


def select(fits: BeadFits, rows: NDArray[np.generic]) -> BeadFits:
    """Give some rows of the fits."""
    return BeadFits(**{k: getattr(fits, k)[rows] for k in BeadFits.__dataclass_fields__})
