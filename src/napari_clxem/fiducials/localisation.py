"""Where a bead is, to a fraction of a pixel: batched maximum-likelihood fits with covariance.

Every candidate is a window of pixels (NaN where there are none) fitted with one or two beads of
a known profile on a linear background. Fisher scoring with the variance of the model itself is
the maximum-likelihood solution for Poisson counts, and weighted least squares otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_clxem.fiducials.profiles import Floats, Profile

Indices = NDArray[np.intp]
Flags = NDArray[np.bool_]

WIDTH_SD = 0.4
"""Prior sd of the logarithm of a bead's width: beads are of one make, the blur is a guess."""

_WIDEST = float(np.log(2.5))
_BATCH_PIXELS = 400_000
_STEPS = 25


@dataclass(frozen=True)
class NoiseModel:
    """Variance of a pixel as a line in its expected value, never below `floor`."""

    offset: float
    gain: float
    floor: float

    def variance(self, expected: Floats) -> Floats:
        """Variance of pixels whose expected values are given."""
        variance: Floats = np.maximum(self.offset + self.gain * expected, self.floor)
        return variance


@dataclass(frozen=True)
class Windows:
    """Equal windows cut around candidates.

    Parameters
    ----------
    data : (n, m) ndarray
        Pixels of each window, flattened; NaN where there is no image.
    offsets : (m, d) ndarray
        Positions of the pixels from the window's centre, µm.
    centres : (n, d) ndarray
        Positions of the windows' centres in the image, µm.
    shape : tuple of int
        Pixels along each axis.
    """

    data: Floats
    offsets: Floats
    centres: Floats
    shape: tuple[int, ...]

    def take(self, rows: Indices) -> Windows:
        """Give the windows of some candidates."""
        return Windows(self.data[rows], self.offsets, self.centres[rows], self.shape)


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
    residuals : (n, m) ndarray
        Residuals over the sd of the pixel's noise; NaN outside.
    expected : (n, m) ndarray
        Fitted pixels.
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
    residuals: Floats
    expected: Floats


def _concatenate(parts: list[BeadFits]) -> BeadFits:
    names = BeadFits.__dataclass_fields__
    return BeadFits(**{k: np.concatenate([getattr(p, k) for p in parts]) for k in names})


@dataclass(frozen=True)
class _Layout:
    """Which parameter sits where: beads (centre, amplitude), log widths, background, slope."""

    beads: int
    ndim: int

    @property
    def widths(self) -> int:
        return self.ndim - 1

    @property
    def first_width(self) -> int:
        return self.beads * (self.ndim + 1)

    @property
    def first_background(self) -> int:
        return self.first_width + self.widths

    @property
    def size(self) -> int:
        return self.first_background + 1 + self.ndim

    def centre(self, bead: int) -> slice:
        return slice(bead * (self.ndim + 1), bead * (self.ndim + 1) + self.ndim)

    def amplitude(self, bead: int) -> int:
        return bead * (self.ndim + 1) + self.ndim


def _bead(
    profile: Profile, offsets: Floats, centre: Floats, log_width: Floats
) -> tuple[Floats, Floats, Floats, Floats]:
    """One bead of unit peak over every window, and its derivatives.

    Returns
    -------
    value : (n, m) ndarray
    d_centre : (n, d, m) ndarray
    d_width : (n, w, m) ndarray
    slope : (n, m) ndarray
        Radial derivative over radius, in scaled lengths.
    """
    lateral = np.exp(-log_width[:, :1])
    away = offsets.T[None] - centre[:, :, None]
    v = away[:, -2] * lateral
    u = away[:, -1] * lateral
    rho2 = v * v + u * u
    rho = np.sqrt(rho2)
    if offsets.shape[1] == 2:
        value, slope, _ = profile.lookup(rho, None)
        d_centre = np.stack([-slope * v * lateral, -slope * u * lateral], axis=1)
        return value, d_centre, (-slope * rho2)[:, None], slope
    along = np.exp(-log_width[:, 1:2])
    zeta = away[:, 0] * along
    value, slope, axial = profile.lookup(rho, zeta)
    assert axial is not None
    d_centre = np.stack([-axial * along, -slope * v * lateral, -slope * u * lateral], axis=1)
    return value, d_centre, np.stack([-slope * rho2, -axial * zeta], axis=1), slope


def _evaluate(
    profile: Profile, offsets: Floats, parameters: Floats, layout: _Layout
) -> tuple[Floats, Floats]:
    """Model (n, m) and Jacobian (n, p, m)."""
    n, d = len(parameters), layout.ndim
    jacobian = np.zeros((n, layout.size, len(offsets)))
    widths = slice(layout.first_width, layout.first_background)
    for k in range(layout.beads):
        value, d_centre, d_width, _ = _bead(
            profile, offsets, parameters[:, layout.centre(k)], parameters[:, widths]
        )
        amplitude = parameters[:, layout.amplitude(k), None, None]
        jacobian[:, layout.centre(k)] = d_centre * amplitude
        jacobian[:, layout.amplitude(k)] = value
        jacobian[:, widths] += d_width * amplitude
    jacobian[:, layout.first_background] = 1.0
    jacobian[:, layout.first_background + 1 :] = offsets.T
    linear = [layout.amplitude(k) for k in range(layout.beads)]
    linear += list(range(layout.first_background, layout.first_background + 1 + d))
    model = np.einsum("np,npm->nm", parameters[:, linear], jacobian[:, linear])
    return model, jacobian


def _solve(matrices: Floats, vectors: Floats) -> Floats:
    """Solve scaled normal equations; a singular one gives a step of zero."""
    scale = np.sqrt(np.einsum("npp->np", matrices))
    scale = np.where(scale > 0, scale, 1.0)
    scaled = matrices / (scale[:, :, None] * scale[:, None, :])
    scaled += 1e-10 * np.eye(matrices.shape[1])
    solution: Floats = np.linalg.solve(scaled, (vectors / scale)[:, :, None])[:, :, 0] / scale
    return solution


def _invert(matrices: Floats) -> Floats:
    scale = np.sqrt(np.einsum("npp->np", matrices))
    scale = np.where(scale > 0, scale, 1.0)
    outer = scale[:, :, None] * scale[:, None, :]
    inverse: Floats = np.linalg.inv(matrices / outer + 1e-10 * np.eye(matrices.shape[1])) / outer
    return inverse


def _start(
    profile: Profile, windows: Windows, centres: Floats, layout: _Layout, noise: NoiseModel
) -> Floats:
    """Linear least squares for amplitudes and background at the given centres."""
    parameters = np.zeros((len(windows.data), layout.size))
    for k in range(layout.beads):
        parameters[:, layout.centre(k)] = centres[:, k]
        parameters[:, layout.amplitude(k)] = 1.0
    _, jacobian = _evaluate(profile, windows.offsets, parameters, layout)
    linear = [layout.amplitude(k) for k in range(layout.beads)]
    linear += list(range(layout.first_background, layout.size))
    design = jacobian[:, linear]
    valid = np.isfinite(windows.data)
    data = np.where(valid, windows.data, 0.0)
    weight = valid / noise.variance(data)
    normal = np.einsum("npm,nm,nqm->npq", design, weight, design, optimize=True)
    parameters[:, linear] = _solve(normal, np.einsum("npm,nm->np", design, weight * data))
    return parameters


def _clip(parameters: Floats, start: Floats, layout: _Layout, leash: Floats) -> Floats:
    """Keep centres within `leash` of their start and widths within what a bead can be."""
    parameters = parameters.copy()
    for k in range(layout.beads):
        at = layout.centre(k)
        parameters[:, at] = np.clip(parameters[:, at], start[:, at] - leash, start[:, at] + leash)
    widths = slice(layout.first_width, layout.first_background)
    parameters[:, widths] = np.clip(parameters[:, widths], -_WIDEST, _WIDEST)
    return parameters


def _score(
    windows: Windows, model: Floats, weight: Floats, parameters: Floats, layout: _Layout
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
    parameters: Floats,
    layout: _Layout,
    noise: NoiseModel,
    leash: Floats,
) -> tuple[Floats, Flags]:
    """Levenberg-Marquardt steps on every window at once; windows that are done drop out."""
    start = parameters.copy()
    parameters = parameters.copy()
    done = np.zeros(len(parameters), bool)
    last = np.full(len(parameters), np.inf)
    damping = np.full(len(parameters), 1e-3)
    widths = np.arange(layout.first_width, layout.first_background)
    centres = np.concatenate(
        [np.arange(layout.size)[layout.centre(k)] for k in range(layout.beads)]
    )
    for _ in range(_STEPS):
        rows = np.flatnonzero(~done)
        if not len(rows):
            break
        part, current = windows.take(rows), parameters[rows]
        model, jacobian = _evaluate(profile, part.offsets, current, layout)
        weight = np.isfinite(part.data) / noise.variance(model)
        residual = np.where(weight > 0, part.data - model, 0.0)
        weighted = jacobian * weight[:, None, :]
        normal = weighted @ jacobian.transpose(0, 2, 1)
        gradient = np.einsum("npm,nm->np", weighted, residual)
        normal[:, widths, widths] += WIDTH_SD**-2
        gradient[:, widths] -= current[:, widths] / WIDTH_SD**2
        damped = normal.copy()
        diagonal = np.arange(layout.size)
        damped[:, diagonal, diagonal] *= 1.0 + damping[rows, None]
        trial = _clip(current + _solve(damped, gradient), start[rows], layout, leash)
        before = _score(part, model, weight, current, layout)
        after = _score(
            part, _evaluate(profile, part.offsets, trial, layout)[0], weight, trial, layout
        )
        better = after <= before * (1.0 + 1e-12)
        sd = np.sqrt(np.einsum("npp->np", _invert(normal)))
        step = np.abs(trial - current)[:, centres] / np.maximum(sd[:, centres], 1e-12)
        parameters[rows[better]] = trial[better]
        damping[rows] = np.where(better, damping[rows] / 10.0, damping[rows] * 10.0)
        last[rows[better]] = step[better].max(axis=1)
        done[rows[(better & (last[rows] < 0.01)) | (damping[rows] > 1e8)]] = True
    return parameters, last < 0.1


def _summarise(
    profile: Profile,
    windows: Windows,
    parameters: Floats,
    converged: Flags,
    layout: _Layout,
    noise: NoiseModel,
) -> BeadFits:
    """Turn parameters into beads with covariance; several beads of a window become rows."""
    model, jacobian = _evaluate(profile, windows.offsets, parameters, layout)
    valid = np.isfinite(windows.data)
    sd = np.sqrt(noise.variance(model))
    residual = np.where(valid, (windows.data - model) / sd, np.nan)
    count = np.maximum(valid.sum(axis=1) - layout.size, 1)
    chi2 = np.nansum(residual**2, axis=1) / count
    design = np.where(valid, 1.0 / sd, 0.0)[:, None, :] * jacobian
    normal = design @ design.transpose(0, 2, 1)
    widths = np.arange(layout.first_width, layout.first_background)
    normal[:, widths, widths] += WIDTH_SD**-2
    covariance = _invert(normal)
    variances = np.maximum(np.einsum("npp->np", covariance), 0.0)
    rows = []
    for k in range(layout.beads):
        at = layout.centre(k)
        centre = parameters[:, at]
        amplitude = parameters[:, layout.amplitude(k)]
        value, _, _, slope = _bead(profile, windows.offsets, centre, parameters[:, widths])
        background = parameters[:, layout.first_background] + np.einsum(
            "nd,nd->n", parameters[:, layout.first_background + 1 :], centre
        )
        stretch, stretch_sd = _elongation(
            windows,
            residual,
            design,
            normal,
            amplitude,
            centre,
            slope,
            parameters[:, widths[0]],
            sd,
        )
        power, odd, left = _smooth_residuals(windows, residual, design, normal, centre, sd)
        rows.append(
            BeadFits(
                positions=windows.centres + centre,
                covariance=covariance[:, at, at],
                amplitude=amplitude,
                amplitude_sd=np.sqrt(variances[:, layout.amplitude(k)]),
                background=background,
                width=np.exp(parameters[:, widths]),
                width_sd=np.sqrt(variances[:, widths]),
                chi2=chi2,
                noise=np.sqrt(noise.variance(background + amplitude)),
                structure=power,
                lopsided=odd,
                misfit=left
                * np.sqrt(noise.variance(background))
                / np.maximum(np.abs(amplitude), 1e-300),
                elongation=stretch,
                elongation_sd=stretch_sd,
                seen=np.where(valid, value, 0.0).sum(axis=1)
                * _pixel(windows)
                / _volume(profile, parameters[:, widths]),
                converged=converged,
                residuals=residual,
                expected=model,
            )
        )
    return _concatenate(rows)


def _pixel(windows: Windows) -> float:
    """Area or volume of a pixel, µm^d."""
    lines = [np.unique(np.round(axis, 9)) for axis in windows.offsets.T]
    return float(np.prod([np.diff(line).mean() if len(line) > 1 else 1.0 for line in lines]))


def _volume(profile: Profile, log_width: Floats) -> Floats:
    """Integral of the profile of unit peak, µm^d."""
    radius = np.arange(profile.values.shape[1]) * profile.step
    shells = 2.0 * np.pi * (profile.values * radius).sum(axis=1) * profile.step
    if log_width.shape[1] == 1:
        area: Floats = np.exp(2.0 * log_width[:, 0]) * float(shells[0])
        return area
    total = float(2.0 * shells.sum() - shells[0]) * profile.step
    volume: Floats = np.exp(2.0 * log_width[:, 0] + log_width[:, 1]) * total
    return volume


def _patterns(scaled: Floats) -> tuple[Floats, Flags]:
    """Products of Legendre polynomials: every smooth pattern beyond a slope.

    Parameters
    ----------
    scaled : (n, d, m) ndarray
        Coordinates from the bead's centre, about -1 to 1.

    Returns
    -------
    patterns : (n, k, m) ndarray
    odd : (k,) ndarray of bool
        Which of them change sign through the bead.
    """
    ndim = scaled.shape[1]
    most = 5 if ndim == 2 else 3
    powers = [degrees for degrees in np.ndindex(*[most + 1] * ndim) if 2 <= sum(degrees) <= most]
    terms = np.polynomial.legendre.legvander(scaled, most)
    patterns = np.ones((len(scaled), len(powers), scaled.shape[2]))
    for k, degrees in enumerate(powers):
        for axis, degree in enumerate(degrees):
            patterns[:, k] *= terms[:, axis, :, degree]
    return patterns, np.array([sum(degrees) % 2 == 1 for degrees in powers])


def _smooth_residuals(
    windows: Windows,
    residual: Floats,
    design: Floats,
    normal: Floats,
    centre: Floats,
    sd: Floats,
) -> tuple[Floats, Floats, Floats]:
    """Power of the residuals in smooth patterns, per pattern, in units of pixel noise.

    It is 1 for white noise; structure in the background and correlated noise raise it. The third
    answer is the rms over the window of the smooth residuals beyond noise, in the same units.
    """
    half = np.abs(windows.offsets).max(axis=0)
    scaled = (windows.offsets.T[None] - centre[:, :, None]) / half[None, :, None]
    patterns, odd = _patterns(np.clip(scaled, -1.5, 1.5))
    valid = np.isfinite(residual)
    weighted = patterns * np.where(valid, 1.0 / sd, 0.0)[:, None, :]
    cross = weighted @ design.transpose(0, 2, 1)
    normal = weighted @ weighted.transpose(0, 2, 1) - cross @ _invert(normal) @ cross.transpose(
        0, 2, 1
    )
    score = np.einsum("nkm,nm->nk", weighted, np.where(valid, residual, 0.0))
    every = np.einsum("nk,nk->n", score, _solve(normal, score))
    some = np.einsum("nk,nk->n", score[:, odd], _solve(normal[:, odd][:, :, odd], score[:, odd]))
    left = np.sqrt(np.maximum(every - len(odd), 0.0) / np.maximum(valid.sum(axis=1), 1))
    return every / len(odd), some / odd.sum(), left


def _elongation(
    windows: Windows,
    residual: Floats,
    design: Floats,
    normal: Floats,
    amplitude: Floats,
    centre: Floats,
    slope: Floats,
    log_width: Floats,
    sd: Floats,
) -> tuple[Floats, Floats]:
    """One scoring step in two further parameters that stretch the bead across its axis.

    With radii u, v the profile T(hypot(u, v)) stretched by exp(+e/2), exp(-e/2) changes by
    ``-(T'/r)(u² - v²) e/2``, and by ``-(T'/r) u v e`` along the diagonals.
    """
    lateral = np.exp(-log_width)[:, None]
    v = (windows.offsets[None, :, -2] - centre[:, -2, None]) * lateral
    u = (windows.offsets[None, :, -1] - centre[:, -1, None]) * lateral
    scale = np.where(np.isfinite(residual), amplitude[:, None] * slope / sd, 0.0)
    extra = np.stack([-scale * (u * u - v * v) / 2.0, -scale * u * v], axis=1)
    cross = extra @ design.transpose(0, 2, 1)
    reduced = extra @ extra.transpose(0, 2, 1) - cross @ _invert(normal) @ cross.transpose(0, 2, 1)
    covariance = _invert(reduced)
    gradient = np.einsum("nem,nm->ne", extra, np.nan_to_num(residual))
    step = np.einsum("nef,nf->ne", covariance, gradient)
    spread = np.sqrt(np.maximum(np.einsum("nee->n", covariance) / 2.0, 0.0))
    return np.hypot(step[:, 0], step[:, 1]), spread


def fit_beads(
    profile: Profile,
    windows: Windows,
    starts: Floats,
    noise: NoiseModel,
    leash: Floats,
) -> BeadFits:
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
    BeadFits
        n rows for the first bead of every window, then n for the second.
    """
    layout = _Layout(starts.shape[1], windows.offsets.shape[1])
    size = max(1, _BATCH_PIXELS // windows.data.shape[1])
    batches = [np.arange(i, min(i + size, len(starts))) for i in range(0, len(starts), size)]
    solved = []
    for rows in batches:
        part = windows.take(rows)
        begin = _start(profile, part, starts[rows], layout, noise)
        solved.append(_iterate(profile, part, begin, layout, noise, leash))
    parts = [
        _summarise(profile, windows.take(rows), p, c, layout, noise)
        for rows, (p, c) in zip(batches, solved, strict=True)
    ]
    if layout.beads == 1:
        return _concatenate(parts)
    return _regroup(_concatenate(parts), [len(rows) for rows in batches], layout.beads)


def _regroup(fits: BeadFits, sizes: list[int], beads: int) -> BeadFits:
    """Order rows by bead, then window, whatever the batches were."""
    order: list[list[int]] = [[] for _ in range(beads)]
    at = 0
    for size in sizes:
        for k in range(beads):
            order[k] += range(at, at + size)
            at += size
    rows = np.array([i for group in order for i in group])
    return select(fits, rows)


def select(fits: BeadFits, rows: NDArray[np.generic]) -> BeadFits:
    """Give some rows of the fits."""
    return BeadFits(**{k: getattr(fits, k)[rows] for k in BeadFits.__dataclass_fields__})


def measure_noise(fits: BeadFits, before: NoiseModel) -> NoiseModel:
    """Measure variance against expected value on the residuals of good fits.

    Squared residuals are averaged in bins of expected value and a line is put through them.
    """
    valid = np.isfinite(fits.residuals)
    expected = fits.expected[valid]
    variance = before.variance(expected)
    squares = np.clip(fits.residuals[valid] ** 2, 0.0, 40.0) * variance
    if len(squares) < 200 or np.ptp(expected) == 0:
        return before
    edges = np.unique(np.quantile(expected, np.linspace(0.0, 1.0, 33)))
    top = np.linspace(edges[-2] if len(edges) > 1 else edges[0], expected.max(), 9)[1:]
    edges = np.unique(np.concatenate([edges, top]))
    bins = np.clip(np.searchsorted(edges, expected, side="right") - 1, 0, len(edges) - 2)
    count = np.bincount(bins, minlength=len(edges) - 1).astype(float)
    keep = count >= 20
    if keep.sum() < 3:
        return before
    level = np.bincount(bins, expected, len(edges) - 1)[keep] / count[keep]
    spread = np.bincount(bins, squares, len(edges) - 1)[keep] / count[keep]
    floor = 0.25 * float(np.min(spread))
    weight = np.sqrt(count[keep]) / np.maximum(spread, max(floor, 1e-300))
    design = np.stack([np.ones_like(level), level], axis=1)
    offset, gain = np.linalg.lstsq(design * weight[:, None], spread * weight, rcond=None)[0]
    if gain < 0:
        return NoiseModel(float(np.average(spread, weights=count[keep])), 0.0, before.floor)
    return NoiseModel(float(offset), float(gain), max(floor, before.floor))
