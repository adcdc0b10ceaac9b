"""Fourier shell (ring) correlation of two independent halves, and the resolution it gives."""

from __future__ import annotations

import os
import warnings
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_clxem import compiling
from napari_clxem.errors import ClxemWarning, ImageError
from napari_clxem.xray import plain_sums
from napari_clxem.xray.masks import Spacing, per_axis
from napari_clxem.xray.telling import Asked, Progress, Teller

Floats = NDArray[np.floating[Any]]
Threshold = float | Literal["half-bit"]

#: Shells with fewer independent real samples than this say nothing and are left out.
LEAST_SAMPLES = 24
_SIGNIFICANT = 5.0
"""Standard deviations by which the shells before a crossing must differ from noise."""
_SINGLE = 2**22
"""From so many voxels on, single precision; its error is far below that of any measurement."""
_IDENTICAL = 0.9999


@dataclass(frozen=True, eq=False)
class Correlation:
    """Correlation of two halves by spatial frequency (FSC in 3D, FRC in 2D).

    Attributes
    ----------
    frequency : (n,) ndarray
        Middle of each shell, 1/µm, up to Nyquist.
    correlation : (n,) ndarray
        -1 to 1; nan where a shell holds too few samples.
    samples : (n,) ndarray
        Independent real samples per shell, reduced by the mask.
    nyquist : float
        Highest frequency along the most coarsely sampled axis, 1/µm.
    notes : tuple of str
        What a reader of the curve must know.
    """

    frequency: Floats
    correlation: Floats
    samples: Floats
    nyquist: float
    notes: tuple[str, ...] = field(default=())

    def resolution(self, threshold: Threshold = 0.25) -> float:
        """Give the full period at which the curve falls below a threshold, µm.

        Parameters
        ----------
        threshold : float or "half-bit"
            0.25 (usual in SXT), 0.143 (Rosenthal and Henderson 2003), or the half-bit curve.

        Returns
        -------
        float
            nan where the curve never falls below it before Nyquist, or is nowhere above it by
            more than noise can be.
        """
        crossing = self._crossing(threshold)
        return float("nan") if crossing is None else 1.0 / crossing[0]

    def half_pitch(self, threshold: Threshold = 0.25) -> float:
        """Give half the period of :meth:`resolution`, µm: what SXT papers quote."""
        return self.resolution(threshold) / 2.0

    def interval(self, threshold: Threshold = 0.25, level: float = 0.95) -> tuple[float, float]:
        """Give the confidence interval of :meth:`resolution`: finest and coarsest period, µm.

        First order: the error of the curve at the crossing over its slope, with the width of a
        shell added. nan where nothing crosses; the fine end is never beyond Nyquist.
        """
        from scipy.special import ndtri

        crossing = self._crossing(threshold)
        if crossing is None:
            return float("nan"), float("nan")
        at, sd = crossing
        reach = float(ndtri(0.5 + level / 2)) * sd
        low = max(at - reach, self.frequency[1] / 2)
        return 1.0 / min(at + reach, self.nyquist), 1.0 / low

    def threshold_curve(self, threshold: Threshold = 0.25) -> Floats:
        """Give the threshold at each shell (n,).

        The half-bit curve is that of van Heel and Schatz 2005, J. Struct. Biol. 151:250.
        """
        if isinstance(threshold, str):
            if threshold != "half-bit":
                raise ImageError(
                    f"The threshold {threshold!r} is unknown; give a number or 'half-bit'."
                )
            root = np.sqrt(np.maximum(self.samples, 1.0))
            return np.asarray((0.2071 + 1.9102 / root) / (1.2071 + 0.9102 / root))
        if not 0.0 < float(threshold) < 1.0:
            raise ImageError(f"A threshold of {threshold} is not between 0 and 1.")
        return np.full(self.frequency.shape, float(threshold))

    @property
    def deviation(self) -> Floats:
        """Standard deviation of the correlation in each shell (n,), from Fisher's z."""
        return np.asarray((1.0 - self.correlation**2) / np.sqrt(np.maximum(self.samples - 1, 1.0)))

    def describe(self, threshold: Threshold = 0.25) -> str:
        """Say the resolution in one sentence, in nm."""
        name = threshold if isinstance(threshold, str) else f"{threshold:g}"
        value = self.resolution(threshold)
        if np.isnan(value):
            valid = np.isfinite(self.correlation)
            above = bool((self.correlation >= self.threshold_curve(threshold))[valid].all())
            where = (
                f"stays above it up to Nyquist ({1e3 / self.nyquist:.1f} nm)"
                if above
                else "is nowhere above it by more than noise"
            )
            return " ".join([f"No resolution at {name}: the curve {where}.", *self.notes])
        fine, coarse = self.interval(threshold)
        return " ".join(
            [
                f"{value * 1e3:.1f} nm full period at {name} (95 %: {fine * 1e3:.1f} to "
                f"{coarse * 1e3:.1f} nm), half-pitch {value * 5e2:.1f} nm.",
                *self.notes,
            ]
        )

    def _crossing(self, threshold: Threshold) -> tuple[float, float] | None:
        """Give frequency and its sd where the curve first falls below a threshold for good."""
        level = self.threshold_curve(threshold)
        valid = np.flatnonzero(np.isfinite(self.correlation))
        if len(valid) < 2:
            return None
        c, n, t = self.correlation[valid], self.samples[valid], level[valid]
        start = None
        for i in range(len(valid)):
            if c[i] >= t[i]:
                start = i if start is None else start
                continue
            window = slice(i, i + 3)
            if start is None or np.average(c[window] - t[window], weights=n[window]) >= 0:
                continue
            pooled = np.average(c[start:i], weights=n[start:i]) * np.sqrt(n[start:i].sum())
            if pooled >= _SIGNIFICANT:
                return self._refine(valid, i, level)
            start = None
        return None

    def _refine(self, valid: NDArray[np.int64], i: int, level: Floats) -> tuple[float, float]:
        """Fit a line to the shells about the crossing before the i-th valid one."""
        gap = (self.correlation - level)[valid]
        sd = np.maximum(self.deviation[valid], 1e-6)
        f = self.frequency[valid]
        near = np.abs(gap) < np.maximum(0.12, 2 * sd)
        low, high = i - 1, i
        while low > 0 and near[low - 1] and near[low]:
            low -= 1
        while high < len(f) - 1 and near[high + 1] and near[high]:
            high += 1
        width = float(self.frequency[1] - self.frequency[0])
        edge = _cut_off(self.correlation[valid], sd, i)
        if edge is not None:
            return float(f[i - 1] + (edge - 0.5) * width), width / 2
        between = f[i - 1] + (f[i] - f[i - 1]) * gap[i - 1] / (gap[i - 1] - gap[i])
        reach = min(i - 1 - low, high - i) if high - low > 1 else 0
        part = slice(i - 1 - reach, i + 1 + reach)
        weight = 1.0 / sd[part] ** 2
        middle = float(np.average(f[part], weights=weight))
        offset = f[part] - middle
        value = float(np.average(gap[part], weights=weight))
        slope = float((weight * offset * gap[part]).sum() / (weight * offset**2).sum())
        if slope >= 0:
            return float(between), width
        at = middle - value / slope
        if not f[part][0] <= at <= f[part][-1]:
            at = float(between)
        variance = 1.0 / weight.sum() + (at - middle) ** 2 / (weight * offset**2).sum()
        return at, float(np.sqrt(variance / slope**2 + width**2 / 12.0))


def fsc(
    half_a: ArrayLike,
    half_b: ArrayLike,
    spacing: Spacing,
    mask: ArrayLike | None = None,
    *,
    workers: int | None = None,
    progress: Progress | None = None,
    cancelled: Asked | None = None,
) -> Correlation:
    """Correlate two independent halves by shells (rings in 2D) of spatial frequency.

    ``FSC(k) = Re Σ A B* / √(Σ |A|² Σ |B|²)``, the sums over a shell one Fourier pixel of the
    longest side wide (Harauz and van Heel 1986, Optik 73:146). Works in the time of the two
    Fourier transforms; beside the halves it needs their half spectra: for 512³ voxels 1.1 GB.

    Parameters
    ----------
    half_a, half_b : (nz, ny, nx) or (ny, nx) array_like
        Tomograms or images of the same thing with independent noise.
    spacing : float or sequence of float
        Pixel size, µm.
    mask : array_like, optional
        Weights 0 to 1 of the same shape, soft-edged; the mean inside is taken off first. By
        default the whole box as it is.
    workers : int, optional
        Threads; by default one per core.
    progress, cancelled : callable, optional
        Called as ``progress(share, text)``; asked between the steps, and Cancelled raised where it
        gives True.

    Returns
    -------
    Correlation

    Raises
    ------
    ImageError
        Where the halves differ in shape, are not 2D or 3D, are constant or hold NaN, or the mask
        does not fit.
    MissingScaleError
        Where the pixel size is not usable.

    Warns
    -----
    ClxemWarning
        Where the halves are the same image, which says nothing about resolution.
    """
    from scipy import fft

    threads = workers or os.cpu_count() or 1
    tell = Teller(progress, cancelled, "The correlation")
    tell(0.0, "Reading the halves")
    one, two, share = checked_halves(half_a, half_b, mask)
    step = per_axis(spacing, one.ndim)
    spectra = []
    for index, half in enumerate((one, two)):
        tell(0.1 + 0.35 * index, f"Fourier transform of half {'AB'[index]}")
        spectra.append(fft.rfftn(half, workers=threads))
    tell(0.8, "Sums over shells")
    shape = (1,) * (3 - one.ndim) + one.shape
    sizes = np.concatenate([np.ones(3 - one.ndim), step])
    nyquist = float(0.5 / step.max())
    sums, width = _shells(spectra, shape, sizes, nyquist, threads)
    if not np.isfinite(sums).all():  # cheaper to see here than in the halves themselves
        _refuse_holes([one, two])
    power = np.sqrt(sums[:, 1] * sums[:, 2])
    samples = sums[:, 3] * share
    floor = 1e-12 * power.max()
    known = (samples >= LEAST_SAMPLES) & (power > floor) & (np.arange(len(sums)) > 0)
    curve = np.where(known, sums[:, 0] / np.where(power > floor, power, 1.0), np.nan)
    if power[1:].max(initial=0.0) <= floor:
        raise ImageError("The halves are constant, so nothing can be correlated; give other ones.")
    notes: tuple[str, ...] = ()
    if known.any() and np.nanmin(curve) > _IDENTICAL:
        notes = ("The halves are the same image, so their correlation says nothing.",)
        warnings.warn(f"{notes[0]} Give independent halves.", ClxemWarning, stacklevel=2)
    tell(1.0, "Correlated")
    frequency = np.arange(len(sums)) * width
    return Correlation(frequency, np.clip(curve, -1.0, 1.0), samples, nyquist, notes)


def _cut_off(curve: Floats, sd: Floats, i: int) -> float | None:
    """Locate a hard cut-off in shell widths from the lower border of the last shell above.

    Where the signal ends inside a shell, the share of the shell that it fills follows from the
    ratio of signal to noise there and in the shell before; the height of the curve alone would
    put the end up to one shell too far. None where the curve falls gently.
    """
    if i < 3 or curve[i - 1] - curve[i] < 0.4 or curve[i] > max(0.05, 3 * sd[i]):
        return None
    inside = np.clip(curve[i - 3 : i + 1], 0.0, 1.0 - 1e-6)
    signal = inside / (1.0 - inside)
    if signal[1] < 0.5 * signal[0]:
        return None
    return float(np.clip(signal[2:] / signal[1], 0.0, 1.0).sum())


def checked_halves(
    half_a: ArrayLike, half_b: ArrayLike, mask: ArrayLike | None
) -> tuple[Floats, Floats, float]:
    """Give the halves as floats, weighted by the mask, and the share of samples it leaves."""
    one, two = np.asarray(half_a), np.asarray(half_b)
    if one.shape != two.shape:
        raise ImageError(
            f"The halves differ in shape, {one.shape} and {two.shape}; give two of one shape."
        )
    if one.ndim not in (2, 3) or min(one.shape) < 4:
        raise ImageError(
            f"Halves of shape {one.shape} cannot be correlated; give 2D or 3D ones, at least 4 "
            "pixels each way."
        )
    kind: Any = np.float32 if one.size >= _SINGLE else np.float64
    halves: list[Floats] = [np.asarray(half, dtype=kind) for half in (one, two)]
    if mask is not None or one.size < _SINGLE:
        _refuse_holes(halves)
    if mask is None:
        return halves[0], halves[1], 1.0
    weight: Floats = np.asarray(mask, dtype=kind)
    if weight.shape != one.shape:
        raise ImageError(
            f"The mask has shape {weight.shape}, the halves {one.shape}; give one that fits."
        )
    total = float(weight.sum(dtype=np.float64))
    if not np.isfinite(total) or total <= 0 or weight.min() < 0:
        raise ImageError("The mask is empty or not a number everywhere; give weights from 0 to 1.")
    weighted = [
        (half - kind((half * weight).sum(dtype=np.float64) / total)) * weight for half in halves
    ]
    # what a weight of noise leaves of its independent samples
    squared = weight * weight
    share = squared.sum(dtype=np.float64) ** 2 / (squared * squared).sum(dtype=np.float64)
    return weighted[0], weighted[1], float(share / weight.size)


def _refuse_holes(halves: list[Floats]) -> None:
    for name, half in zip(("first", "second"), halves, strict=True):
        if not np.isfinite(half.sum(dtype=np.float64)):
            raise ImageError(f"The {name} half holds NaN or infinite values; fill or crop them.")


def _shells(
    spectra: list[Any],
    shape: tuple[int, ...],
    sizes: Floats,
    nyquist: float,
    threads: int,
) -> tuple[Floats, float]:
    """Give the sums over shells (n, 4) and the width of a shell, 1/µm."""
    accumulate = (compiling.ready("napari_clxem.xray.shells") or plain_sums).accumulate
    long = [n * d for n, d in zip(shape, sizes, strict=True) if n > 1]
    width = 1.0 / max(long)
    count = int(nyquist / width + 1e-6) + 1
    along = [
        (np.fft.fftfreq(n, d) / width) ** 2 if axis < 2 else (np.fft.rfftfreq(n, d) / width) ** 2
        for axis, (n, d) in enumerate(zip(shape, sizes, strict=True))
    ]
    axes = [a.astype(np.float32) for a in along]
    weight = np.full(len(axes[2]), 2.0, np.float32)
    weight[0] = 1.0
    if shape[2] % 2 == 0:
        weight[-1] = 1.0
    one, two = (s.reshape(shape[0], shape[1], -1) for s in spectra)
    axis = 0 if shape[0] > 1 else 1
    edges = np.linspace(0, shape[axis], 4 * threads + 1).astype(int)

    def part(index: int) -> Floats:
        sums = np.zeros((count, 4))
        rows = slice(edges[index], edges[index + 1])
        if axis == 0:
            accumulate(one[rows], two[rows], axes[0][rows], axes[1], axes[2], weight, sums)
        else:
            accumulate(one[:, rows], two[:, rows], axes[0], axes[1][rows], axes[2], weight, sums)
        return sums

    with ThreadPoolExecutor(threads) as pool:
        return np.sum(list(pool.map(part, range(len(edges) - 1))), axis=0), width
