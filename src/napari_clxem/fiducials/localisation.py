"""Where a bead is, to a fraction of a pixel: batched maximum-likelihood fits with covariance.

Every candidate is a window of pixels (NaN where there are none) fitted with one or two beads of
a known profile on a linear background. Fisher scoring with the variance of the model itself is
the maximum-likelihood solution for Poisson counts, and weighted least squares otherwise.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_clxem.fiducials.equations import Equations, Solution
from napari_clxem.fiducials.modelling import (
    Flags,
    Indices,
    Layout,
    NoiseModel,
    Windows,
    invert,
    profile_volume,
)
from napari_clxem.fiducials.profiles import Floats, Profile
from napari_clxem.fiducials.residuals import Remains, Smooth, smooth_residuals

_STEPS, _FEW_STEPS = 15, 6
_BATCH = 1024
_FEW = 300
"""Pixels that suffice to start a fit."""


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

    @classmethod
    def nothing(cls, ndim: int) -> BeadFits:
        """Give no fits."""
        none, flags = np.zeros(0), np.zeros(0, dtype=bool)
        place, width = np.zeros((0, ndim)), np.zeros((0, ndim - 1))
        return cls(
            place, np.zeros((0, ndim, ndim)), none, none, none, width, width, none, none, none,
            none, none, none, none, none, flags,
        )  # fmt: skip


def concatenate(parts: list[BeadFits]) -> BeadFits:
    """Put fits one after another."""
    names = BeadFits.__dataclass_fields__
    return BeadFits(**{k: np.concatenate([getattr(p, k) for p in parts]) for k in names})


def _bead_row(
    equations: Equations, solution: Solution, covariance: Floats, bead: int, diagnose: bool
) -> BeadFits:
    """Give one bead of every window."""
    layout, noise, windows = equations.layout, equations.noise, equations.windows
    parameters = solution.parameters
    at, peak = layout.centre(bead), layout.amplitude(bead)
    widths = slice(layout.first_width, layout.first_background)
    centre, amplitude, log_width = parameters[:, at], parameters[:, peak], parameters[:, widths]
    seen, smooth = np.ones(len(centre)), Smooth.nothing(len(centre))
    if diagnose:
        normal, valid, lobe = equations.leftovers(parameters, bead)
        smooth = smooth_residuals(normal, covariance, equations.degrees, valid)
        seen = lobe * windows.pixel / profile_volume(equations.profile, log_width)
    background = parameters[:, layout.first_background] + np.einsum(
        "nd,nd->n", parameters[:, layout.first_background + 1 :], centre
    )
    variances = np.maximum(np.einsum("npp->np", covariance), 0.0)
    pixel_sd = np.sqrt(noise.variance(background))
    return BeadFits(
        positions=windows.centres + centre,
        covariance=covariance[:, at, at],
        amplitude=amplitude,
        amplitude_sd=np.sqrt(variances[:, peak]),
        background=background,
        width=np.exp(log_width),
        width_sd=np.sqrt(variances[:, widths]),
        chi2=solution.cost / np.maximum(np.isfinite(windows.data).sum(axis=1) - layout.size, 1),
        noise=np.sqrt(noise.variance(background + amplitude)),
        structure=smooth.every,
        lopsided=smooth.odd,
        misfit=smooth.left * pixel_sd / np.maximum(np.abs(amplitude), 1e-300),
        elongation=smooth.oval,
        elongation_sd=smooth.oval_sd,
        seen=seen,
        converged=solution.converged,
    )


def fit_beads(
    profile: Profile,
    windows: Windows,
    starts: Floats,
    noise: NoiseModel,
    leash: Floats,
    rough: bool = False,
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
    rough : bool
        Whether a few steps will do, and nobody asks what the fits leave: structure, misfit and
        elongation are then those of perfect beads, and `seen` is 1.

    Returns
    -------
    BeadFits
        n rows for the first bead of every window, then n for the second.
    """
    equations, solution = _solve(profile, windows, starts, noise, leash, rough, False)
    covariance = invert(solution.normal)
    return concatenate(
        [
            _bead_row(equations, solution, covariance, k, not rough)
            for k in range(equations.layout.beads)
        ]
    )


def fit_and_compare(
    profile: Profile,
    windows: Windows,
    starts: Floats,
    noise: NoiseModel,
    leash: Floats,
    rough: bool = False,
) -> tuple[BeadFits, Callable[[Indices], Remains]]:
    """Fit one bead to each window; the second answer tells what some of the fits leave.

    The parameters are those of :func:`fit_beads`.
    """
    equations, solution = _solve(profile, windows, starts, noise, leash, rough, True)
    fits = _bead_row(equations, solution, invert(solution.normal), 0, not rough)
    return fits, lambda rows: equations.remains(solution, rows)


def _solve(
    profile: Profile,
    windows: Windows,
    starts: Floats,
    noise: NoiseModel,
    leash: Floats,
    rough: bool,
    keep: bool,
) -> tuple[Equations, Solution]:
    layout = Layout(starts.shape[1], windows.offsets.shape[1])
    equations = Equations(profile, windows, layout, noise)
    begin = np.zeros((len(starts), layout.size))
    for k in range(layout.beads):
        begin[:, layout.centre(k)] = starts[:, k]
    most = windows.data.shape[1]
    # A part of the pixels brings a single bead near; their order is mixed for that.
    few = most if layout.beads > 1 else min(most, max(_FEW, most // 4))
    passes = [(most, _FEW_STEPS)] if rough else [(few, 2), (most, _STEPS)][few == most :]
    return equations, equations.solve(begin, leash / len(passes), passes, keep)


def fit_all(
    profile: Profile,
    windows: Windows,
    starts: Floats,
    noise: NoiseModel,
    leash: Floats,
    rough: bool = False,
) -> BeadFits:
    """Fit one bead to each of any number of windows, in batches that bound the memory.

    The parameters are those of :func:`fit_beads`.
    """
    parts = []
    for first in range(0, max(len(starts), 1), _BATCH):
        rows = np.arange(first, min(first + _BATCH, len(starts)))
        parts.append(fit_beads(profile, windows.take(rows), starts[rows], noise, leash, rough))
    return concatenate(parts)


def select(fits: BeadFits, rows: NDArray[np.generic]) -> BeadFits:
    """Give some rows of the fits."""
    return BeadFits(**{k: getattr(fits, k)[rows] for k in BeadFits.__dataclass_fields__})


def replace_rows(fits: BeadFits, rows: NDArray[np.intp], by: BeadFits) -> BeadFits:
    """Put other fits in the place of some rows."""
    merged = {name: getattr(fits, name).copy() for name in BeadFits.__dataclass_fields__}
    for name, values in merged.items():
        values[rows] = getattr(by, name)
    return BeadFits(**merged)
