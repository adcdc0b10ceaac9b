"""What a fit leaves: smooth patterns that no bead explains, ovalness, and the noise itself."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from napari_clxem.fiducials.modelling import Flags, Indices, NoiseModel, Windows, invert, solve
from napari_clxem.fiducials.profiles import Floats

_LEAST_PIXELS, _LEAST_BIN = 200, 20


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
    design : (n, p, m) ndarray
        Derivatives by the parameters, times `weight`.
    covariance : (n, p, p) ndarray
        Of the parameters, for white noise.
    """

    expected: Floats
    residual: Floats
    weight: Floats
    design: Floats
    covariance: Floats

    def take(self, rows: Indices) -> Remains:
        """Give some rows."""
        return Remains(*[getattr(self, name)[rows] for name in self.__dataclass_fields__])

    def light(self) -> Remains:
        """Give the same without the derivatives, which are large."""
        n = len(self.expected)
        none = np.zeros((n, 0, 0))
        return Remains(self.expected, self.residual, self.weight, none, none)

    @classmethod
    def join(cls, parts: list[Remains]) -> Remains:
        """Put remains one after another."""
        names = cls.__dataclass_fields__
        return cls(*[np.concatenate([getattr(p, name) for p in parts]) for name in names])


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


def smooth_residuals(
    windows: Windows, remains: Remains, centre: Floats
) -> tuple[Floats, Floats, Floats]:
    """Power of the residuals in smooth patterns, per pattern, in units of pixel noise.

    It is 1 for white noise; structure in the background and correlated noise raise it.

    Parameters
    ----------
    windows : Windows
        The n windows.
    remains : Remains
        What their fits leave.
    centre : (n, d) ndarray
        The bead, from the window's centre, µm.

    Returns
    -------
    every, odd : (n,) ndarray
        Power in all patterns, and in those that change sign through the bead.
    left : (n,) ndarray
        Rms over the window of the smooth residuals beyond noise, in units of pixel noise.
    """
    half = np.abs(windows.offsets).max(axis=(0, 2))
    scaled = (windows.offsets - centre[:, :, None]) / half[None, :, None]
    patterns, odd = _patterns(np.clip(scaled, -1.5, 1.5))
    normal, score = _reduce(patterns * remains.weight[:, None, :], remains)
    every = np.einsum("nk,nk->n", score, solve(normal, score))
    some = np.einsum("nk,nk->n", score[:, odd], solve(normal[:, odd][:, :, odd], score[:, odd]))
    count = np.maximum((remains.weight > 0).sum(axis=1), 1)
    left = np.sqrt(np.maximum(every - len(odd), 0.0) / count)
    return every / len(odd), some / odd.sum(), left


def _reduce(extra: Floats, remains: Remains) -> tuple[Floats, Floats]:
    """Give normal matrix and score of further parameters, less what the fitted ones can do."""
    cross = extra @ remains.design.transpose(0, 2, 1)
    explained = cross @ remains.covariance @ cross.transpose(0, 2, 1)
    normal = extra @ extra.transpose(0, 2, 1) - explained
    return normal, np.einsum("nkm,nm->nk", extra, remains.residual)


def elongation(
    windows: Windows,
    remains: Remains,
    amplitude: Floats,
    centre: Floats,
    slope: Floats,
    log_width: Floats,
) -> tuple[Floats, Floats]:
    """How oval a bead is: the logarithm of the ratio of its lateral axes, and its sd.

    One scoring step in two further parameters. With radii u, v the profile T(hypot(u, v))
    stretched by exp(+e/2), exp(-e/2) changes by ``-(T'/r)(u² - v²) e/2``, and by
    ``-(T'/r) u v e`` along the diagonals.
    """
    lateral = np.exp(-log_width)[:, None]
    v = (windows.offsets[:, -2] - centre[:, -2, None]) * lateral
    u = (windows.offsets[:, -1] - centre[:, -1, None]) * lateral
    scale = -amplitude[:, None] * slope * remains.weight
    normal, score = _reduce(np.stack([scale * (u * u - v * v) / 2, scale * u * v], 1), remains)
    step = solve(normal, score)
    spread = np.sqrt(np.maximum(np.einsum("nee->n", invert(normal)) / 2.0, 0.0))
    return np.hypot(step[:, 0], step[:, 1]), spread


def measure_noise(remains: Remains, before: NoiseModel) -> NoiseModel:
    """Measure variance against expected value on the residuals of good fits.

    Squared residuals are averaged in bins of expected value and a line is put through them.
    """
    valid = remains.weight > 0
    expected = remains.expected[valid]
    squares = np.clip(remains.residual[valid] ** 2, 0.0, 40.0) / remains.weight[valid] ** 2
    if len(squares) < _LEAST_PIXELS or np.ptp(expected) == 0:
        return before
    edges = np.unique(np.quantile(expected, np.linspace(0.0, 1.0, 33)))
    # Bead centres are few pixels of many, and the ones that tell the gain.
    edges = np.unique([*edges, *np.linspace(edges[-2], edges[-1], 9)])
    bins = np.clip(np.searchsorted(edges, expected, side="right") - 1, 0, len(edges) - 2)
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
