"""What a fit leaves: smooth patterns that no bead explains, ovalness, and the noise itself."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from napari_clxem.fiducials.modelling import Indices, NoiseModel, Windows, invert, solve
from napari_clxem.fiducials.profiles import Floats

_LEAST_PIXELS, _LEAST_BIN = 200, 20

_ENOUGH, _FINE = 50_000, 65_536
"""Pixels that place the edges of bins, and steps in which values are sorted into them."""


@dataclass(frozen=True)
class Remains:
    """What the fits of n windows of m pixels leave.

    Parameters
    ----------
    expected : (n, m) ndarray
        Fitted pixels.
    residual : (n, m) ndarray
        Residuals over the sd of the pixel's noise; zero where there is no pixel.
    weight : (n, m) ndarray
        One over the sd of the pixel's noise; zero where there is no pixel.
    """

    expected: Floats
    residual: Floats
    weight: Floats

    def take(self, rows: Indices) -> Remains:
        """Give some rows."""
        return Remains(self.expected[rows], self.residual[rows], self.weight[rows])


def remains_of(windows: Windows, model: Floats, noise: NoiseModel) -> Remains:
    """Compare windows with what was fitted to them."""
    valid = np.isfinite(windows.data)
    weight = np.where(valid, 1.0 / np.sqrt(noise.variance(model)), 0.0)
    residual = np.where(valid, windows.data - model, 0.0) * weight
    return Remains(model, residual, weight)


@dataclass(frozen=True)
class Smooth:
    """What is left in smooth patterns, per window, (n,) each.

    Parameters
    ----------
    every, odd : ndarray
        Power in all patterns, and in those that change sign through the bead, per pattern, in
        units of pixel noise: 1 for white noise. Structure in the background and correlated
        noise raise it.
    left : ndarray
        Rms over the window of the smooth residuals beyond noise, in units of pixel noise.
    oval, oval_sd : ndarray
        Logarithm of the ratio of the lateral axes, and its sd.
    """

    every: Floats
    odd: Floats
    left: Floats
    oval: Floats
    oval_sd: Floats

    @classmethod
    def nothing(cls, count: int) -> Smooth:
        """Give what perfect beads leave."""
        one, none = np.ones(count), np.zeros(count)
        return cls(one, one, none, none, none)


def pattern_degrees(ndim: int) -> Indices:
    """Degrees (k, d) of the products of Legendre polynomials beyond a slope."""
    most = 5 if ndim == 2 else 3
    powers = [degrees for degrees in np.ndindex(*[most + 1] * ndim) if 2 <= sum(degrees) <= most]
    return np.array(powers, dtype=np.intp)


def smooth_residuals(normal: Floats, covariance: Floats, degrees: Indices, valid: Floats) -> Smooth:
    """Solve for patterns beside the fitted parameters.

    Parameters
    ----------
    normal : (n, p + k + 3, p + k + 3) ndarray
        Normal matrix of the parameters, the patterns and the two ways to be oval, bordered by
        their products with the residuals.
    covariance : (n, p, p) ndarray
        Of the parameters.
    degrees : (k, d) ndarray of int
        From :func:`pattern_degrees`.
    valid : (n,) ndarray
        Pixels in each window.

    Notes
    -----
    Ovalness is one scoring step. With radii u, v the profile T(hypot(u, v)) stretched by
    exp(+e/2), exp(-e/2) changes by ``-(T'/r)(u² - v²) e/2``, and by ``-(T'/r) u v e`` along the
    diagonals.
    """
    p = covariance.shape[1]
    cross = normal[:, p:-1, :p]
    reduced = normal[:, p:-1, p:-1] - cross @ covariance @ cross.transpose(0, 2, 1)
    score = normal[:, p:-1, -1]
    smooth, pull = reduced[:, :-2, :-2], score[:, :-2]
    odd = degrees.sum(axis=1) % 2 == 1
    every = np.einsum("nk,nk->n", pull, solve(smooth, pull))
    some = np.einsum("nk,nk->n", pull[:, odd], solve(smooth[:, odd][:, :, odd], pull[:, odd]))
    step = solve(reduced[:, -2:, -2:], score[:, -2:])
    spread = np.einsum("nee->n", invert(reduced[:, -2:, -2:])) / 2.0
    return Smooth(
        every / len(odd),
        some / odd.sum(),
        np.sqrt(np.maximum(every - len(odd), 0.0) / np.maximum(valid, 1)),
        np.hypot(step[:, 0], step[:, 1]),
        np.sqrt(np.maximum(spread, 0.0)),
    )


def measure_noise(remains: Remains, before: NoiseModel, fitted: int) -> NoiseModel:
    """Measure variance against expected value on the residuals of good fits.

    Squared residuals are averaged in bins of expected value and a line is put through them.
    `fitted` parameters of each fit took their share of the noise away.
    """
    valid = remains.weight > 0
    expected = remains.expected[valid]
    pixels = valid.sum(axis=1, keepdims=True)
    share = np.broadcast_to(pixels / np.maximum(pixels - fitted, 1), valid.shape)[valid]
    squares = np.clip(remains.residual[valid] ** 2, 0.0, 40.0) / remains.weight[valid] ** 2 * share
    if len(squares) < _LEAST_PIXELS or np.ptp(expected) == 0:
        return before
    edges = _edges(expected)
    bins = _bins(expected, edges)
    count = np.bincount(bins, minlength=len(edges) - 1).astype(float)
    keep = count >= _LEAST_BIN
    if keep.sum() < 3:
        return before
    level = np.bincount(bins, expected, len(edges) - 1)[keep] / count[keep]
    spread = np.bincount(bins, squares, len(edges) - 1)[keep] / count[keep]
    least = max(0.25 * float(spread.min()), before.floor, 1e-300)
    weight = np.sqrt(count[keep]) / np.maximum(spread, least)
    design = np.stack([np.ones_like(level), level], axis=1)
    offset, gain = np.linalg.lstsq(design * weight[:, None], spread * weight, rcond=None)[0]
    if gain < 0:
        return NoiseModel(float(np.average(spread, weights=count[keep])), 0.0, before.floor)
    return NoiseModel(float(offset), float(gain), least)


def _edges(expected: Floats) -> Floats:
    """Edges of bins that hold about equal numbers of pixels."""
    some = expected[:: max(1, len(expected) // _ENOUGH)]
    inner = np.quantile(some, np.linspace(0.0, 1.0, 33)[1:-1])
    edges = np.unique([expected.min(), *inner, expected.max()])
    # Bead centres are few pixels of many, and the ones that tell the gain.
    return np.unique([*edges, *np.linspace(edges[-2], edges[-1], 9)])


def _bins(expected: Floats, edges: Floats) -> Indices:
    """Bin of each value, by a table of finely divided values, which is quicker than a search."""
    fine = np.float32((_FINE - 1) / (edges[-1] - edges[0]))
    middles = edges[0] + np.arange(_FINE) / float(fine)
    table = np.clip(np.searchsorted(edges, middles, side="right") - 1, 0, len(edges) - 2)
    places = ((expected - expected.dtype.type(edges[0])) * fine).astype(np.intp)
    bins: Indices = table[np.clip(places, 0, _FINE - 1)]
    return bins
