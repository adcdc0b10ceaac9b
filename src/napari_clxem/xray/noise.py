"""How strong the background of a density map is, and what can be told from it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_clxem.errors import ImageError

Floats = NDArray[np.floating[Any]]
Bools = NDArray[np.bool_]

#: One-sided quantile of 99.9 %: one in a thousand places without anything lies above it.
DECISION = 3.0902
#: Twice that: what really is so dense lies above the decision limit in 99.9 % of cases.
DETECTION = 6.1805
_CUBE = 24
_ENOUGH = 48
"""Slices from which a deviation is taken voxel by voxel."""
_TAIL = 30
"""Independent averages that have to lie in the tail by which limits are set."""
_LARGEST = 2**24
"""Voxels looked at when the noise of averages is measured."""


@dataclass(frozen=True, eq=False)
class Limits:
    """Least densities that can be told from nothing, by size of the object.

    Attributes
    ----------
    diameters : (n,) ndarray
        Of the object, µm; the first is that of a single voxel.
    sigma : (n,) ndarray
        Standard deviation of the mean over such an object where there is nothing, g/cm³.
    wedge : (n,) ndarray
        Share of its density that such an object shows.
    decision : (n,) ndarray
        Measured density, averaged over the object, that one in a thousand places without
        anything exceeds: 3.09 standard deviations. Half the objects that show so much are missed.
    detection : (n,) ndarray
        True density found in 99.9 % of cases: 6.18 standard deviations over the wedge factor.
    """

    diameters: Floats
    sigma: Floats
    wedge: Floats

    @property
    def decision(self) -> Floats:
        """Decision limits, g/cm³ measured."""
        return np.asarray(DECISION * self.sigma)

    @property
    def detection(self) -> Floats:
        """Detection limits, g/cm³ true."""
        return np.asarray(DETECTION * self.sigma / self.wedge)

    def sum_deviation(self, voxels: float, voxel: float) -> float:
        """Give the standard deviation of a sum of so many voxels, in densities.

        Between the measured sizes by interpolation; beyond, parts as large as the largest are
        taken as independent. `voxel` is the volume of one, µm³.
        """
        diameter = (6 / np.pi * voxels * voxel) ** (1 / 3)
        largest = float(self.diameters[-1])
        mean = float(np.exp(np.interp(diameter, self.diameters, np.log(self.sigma))))
        if diameter > largest:
            mean *= (largest / diameter) ** 1.5
        return mean * voxels


def background(values: Floats, mask: Bools | None = None) -> tuple[float, float]:
    """Give middle and standard deviation of the background, leaving out what stands out.

    Parameters
    ----------
    values : (nz, ny, nx) array
    mask : array of bool, optional
        Where there is only background; by default everywhere.

    Raises
    ------
    ImageError
        Where too few voxels are left, or they do not vary.
    """
    some = values[mask] if mask is not None else values.ravel()
    some = some[:: max(1, some.size // _LARGEST)].astype(float)
    some = some[some != 0.0]  # never reconstructed
    if some.size < 1000:
        raise ImageError(
            f"Only {some.size} voxels are background, too few to measure noise; give a larger mask."
        )
    for _ in range(20):
        middle = float(np.median(some))
        sd = 1.4826 * float(np.median(np.abs(some - middle)))
        kept = some[np.abs(some - middle) <= 4 * sd]
        if kept.size == some.size:
            break
        some = kept
    if sd <= 0:
        raise ImageError(
            "The background does not vary, so no limit can be given; use data with their noise."
        )
    return middle, sd


def noise_map(values: Floats, mask: Bools | None = None) -> NDArray[np.float32]:
    """Give the standard deviation of the background at every voxel.

    It is larger towards the borders, which fewer tilts see, alike in all slices, and where less
    light came through. The first is measured along y at each (z, x), the second in cubes of 24
    voxels, both leaving out what stands out.

    Parameters
    ----------
    values : (nz, ny, nx) array
        With the background taken off.
    mask : array of bool, optional
        Where there is only background; by default everywhere.
    """
    profile = _profile(values)
    found = np.empty(values.shape, np.float32)
    np.divide(values, profile[:, None], out=found)
    coarse = _by_cube(found, mask)
    at = [
        (np.arange(n) + 0.5) * c / n - 0.5 for n, c in zip(values.shape, coarse.shape, strict=True)
    ]
    along = [_interpolation(place, n) for place, n in zip(at, coarse.shape, strict=True)]
    smooth = np.einsum("ai,bj,ck,ijk->abc", *along, coarse, optimize=True)
    np.multiply(smooth, profile[:, None], out=found)
    return found


def _profile(values: Floats) -> NDArray[np.float32]:
    """Give the deviation along y at each (z, x), relative to its middle; 1 for few slices."""
    from scipy.ndimage import gaussian_filter

    if values.shape[1] < _ENOUGH:
        return np.ones((values.shape[0], values.shape[2]), np.float32)
    some = values[:, :: max(1, values.shape[1] // _ENOUGH)]
    spread = 1.4826 * np.median(np.abs(some - np.median(some, axis=1, keepdims=True)), axis=1)
    smooth = gaussian_filter(spread.astype(float), 0.7, mode="nearest")
    middle = float(np.median(smooth))
    if middle <= 0:
        return np.ones(smooth.shape, np.float32)
    return np.asarray(np.maximum(smooth / middle, 0.2), dtype=np.float32)


def _by_cube(values: Floats, mask: Bools | None) -> Floats:
    """Give the deviation in each cube."""
    from scipy.ndimage import median_filter

    counts = [max(1, round(n / _CUBE)) for n in values.shape]
    edges = [
        np.linspace(0, n, c + 1).astype(int) for n, c in zip(values.shape, counts, strict=True)
    ]
    coarse = np.full(counts, np.nan)
    for index in np.ndindex(*counts):
        part = tuple(slice(e[i], e[i + 1]) for e, i in zip(edges, index, strict=True))
        some = values[part].ravel() if mask is None else values[part][mask[part]]
        some = some[some != 0.0]
        if some.size >= 200:
            coarse[index] = _clipped_deviation(some)
    whole = background(values, mask)[1]
    coarse = np.where(np.isfinite(coarse) & (coarse > 0), coarse, whole)
    # a cube full of clusters would say too much
    return np.asarray(np.minimum(coarse, 1.5 * median_filter(coarse, size=3, mode="nearest")))


def _interpolation(at: Floats, count: int) -> Floats:
    """Give the matrix (places, count) of linear interpolation, the ends held."""
    held = np.clip(at, 0, count - 1)
    return np.asarray(np.maximum(1.0 - np.abs(held[:, None] - np.arange(count)[None]), 0.0))


def _clipped_deviation(some: Floats) -> float:
    """Give the standard deviation of values within four of the middle."""
    middle = float(np.median(some))
    sd = 1.4826 * float(np.median(np.abs(some - middle)))
    kept = some[np.abs(some - middle) <= 4 * sd]
    return float(kept.std()) if kept.size else sd


def ball(diameter: float, step: Floats) -> Floats:
    """Give a ball of the given diameter (µm) on a grid of voxels, soft by a voxel, summing to 1."""
    reach = np.maximum(np.ceil(diameter / 2 / step).astype(int), 0)
    axes = np.meshgrid(
        *[np.arange(-r, r + 1) * s for r, s in zip(reach, step, strict=True)], indexing="ij"
    )
    away = np.sqrt(sum(a**2 for a in axes))
    weights = np.clip((diameter / 2 - away) / float(step.min()) + 0.5, 0.0, 1.0)
    return np.asarray(weights / weights.sum())


def deviations(
    values: Floats, step: Floats, diameters: Floats, mask: Bools | None, offset: float
) -> Floats:
    """Measure the standard deviation of averages over balls in the background.

    Noise is stronger in some places than in others, so one in a thousand averages lies farther out
    than 3.09 times the middle deviation: where enough are seen, the deviation that belongs to the
    tail is given. It is that of the lower tail, in which the element cannot be.

    Parameters
    ----------
    values : (nz, ny, nx) array
    step : (3,) array
        Voxel size, µm.
    diameters : (n,) array
        µm, the first that of a voxel.
    mask : array of bool, optional
        Where there is only background.
    offset : float
        Middle of the background.
    """
    from scipy.signal import fftconvolve

    part = _middle(values.shape)
    some = np.asarray(values[part], dtype=np.float32) - np.float32(offset)
    free = np.ones(some.shape, bool) if mask is None else np.asarray(mask[part])
    found = []
    for index, diameter in enumerate(diameters):
        if index == 0:
            found.append(_of_tail(some, free, 1.0))
            continue
        kernel = ball(float(diameter), step).astype(np.float32)
        if any(k >= n for k, n in zip(kernel.shape, some.shape, strict=True)):
            found.append(found[-1] * float(diameters[index - 1] / diameter) ** 1.5)
            continue
        averages = fftconvolve(some, kernel, mode="valid")
        inner = tuple(
            slice(k // 2, n - k // 2) for k, n in zip(kernel.shape, some.shape, strict=True)
        )
        clear = free[inner]
        if mask is not None and not clear.all():
            clear = fftconvolve((~free).astype(np.float32), kernel, mode="valid") < 0.05
        if clear.sum() < 1000:
            found.append(found[-1] * float(diameters[index - 1] / diameter) ** 1.5)
            continue
        found.append(min(_of_tail(averages, clear, float(1 / (kernel**2).sum())), found[-1]))
    return np.asarray(found)


def _of_tail(values: Floats, free: Bools, each: float) -> float:
    """Give the standard deviation by the lower tail; `each` values together are independent."""
    from scipy.special import ndtri

    middle, sd = background(values, free)
    some = values[free]
    share = max(1e-3, _TAIL * each / max(some.size, 1))
    if share > 0.05:
        return sd
    tail = (middle - float(np.quantile(some, share))) / float(-ndtri(share))
    return max(sd, tail)


def _middle(shape: tuple[int, ...]) -> tuple[slice, ...]:
    """Cut a part of at most so many voxels from the middle."""
    share = min(1.0, (_LARGEST / np.prod(shape)) ** (1 / 3))
    return tuple(
        slice(int((n - max(n * share, 1)) / 2), int((n + max(n * share, 1)) / 2)) for n in shape
    )
