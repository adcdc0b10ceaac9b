"""How much likelier a correspondence makes two sets than chance does.

The odds are those of Bayes: the likelihood of the pairs' misses under a transform, over that of
points that lie anywhere, integrated over all transforms that were possible beforehand (Laplace's
method about the one found; MacKay 2003, chapter 27). The many places at which chance could have
done as well are paid for by the width of what was possible.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from napari_clxem.fiducials.profiles import Floats

_SHARES = np.array([0.25, 0.5, 0.75, 0.95])
"""Shares of visible points that may have a partner, equally likely beforehand."""

_SPREADS = np.array([1.0 / 2.0, 1.0 / 3.0, 1.0 / 6.0])
"""Sd of true misses over the tolerance: beyond the sigmas, as given, or less."""

_TOLD, _UNTOLD = np.log([0.2, 0.7, 0.1]), np.log([1.0 / 3.0] * 3)
"""How likely each is where sigmas were given, and where not."""

_LEAST_SD = 1e-3

_SHEAR = 0.25
"""Shears that are possible where a map may shear: a correspondence is none beyond."""


@dataclass(frozen=True)
class Possible:
    """What transforms were possible before any pair was found.

    Parameters
    ----------
    places : float
        Area or volume over which the middle of the moving points may lie, µm^d.
    turns : float
        Volume of the rotations: 2π in the plane, 8π² in space, less where some are excluded.
    scale_sd : float
        Sd of the logarithm of the scale.
    mean : float
        Logarithm of the scale.
    """

    places: float
    turns: float
    scale_sd: float
    mean: float


@dataclass(frozen=True)
class Seen:
    """What a transform brings together.

    Parameters
    ----------
    source : (k, p) ndarray
        Paired points of the first set, µm.
    miss : (k,) ndarray
        Distance of each from its partner over the tolerance.
    tolerance : float
        Of a point amid the pairs, µm.
    unpaired : int
        Visible points of the first set that have no partner.
    density : float
        Points of the second set per µm^d, at least what it is about the pairs.
    told : bool
        Whether the tolerance follows from localisation errors that were given.
    sheared : bool
        Whether the transform was free to shear.
    """

    source: Floats
    miss: Floats
    tolerance: float
    unpaired: int
    density: float
    told: bool = False
    sheared: bool = False


def log_odds(seen: Seen, linear: Floats, possible: Possible) -> float:
    """Give the logarithm of the odds of a correspondence against chance.

    Parameters
    ----------
    seen : Seen
        Pairs and points without one.
    linear : (d, p) ndarray
        Linear part of the transform; its size is the scale.
    possible : Possible
        What was possible beforehand.
    """
    ndim = len(linear)
    sd = seen.tolerance * _SPREADS
    normal = np.exp(-0.5 * (seen.miss[:, None] / _SPREADS) ** 2) / (2 * np.pi * sd**2) ** (ndim / 2)
    ratio = normal / seen.density
    shares = _SHARES[:, None, None]
    paired = np.log(1.0 - shares + shares * ratio).sum(axis=1)
    likelihood = paired + seen.unpaired * np.log(1.0 - _SHARES[:, None])
    width = np.array([_log_width(seen.source, linear, one, possible) for one in sd])
    if seen.sheared:
        width += np.array([_log_shears(seen.source, linear, one) for one in sd])
    total = likelihood + width + (_TOLD if seen.told else _UNTOLD)
    top = float(total.max())
    return (
        top + float(np.log(np.exp(total - top).sum() / len(total))) + _log_scale(linear, possible)
    )


def _log_scale(linear: Floats, possible: Possible) -> float:
    """Log density of the scale found, over its largest."""
    size = np.log(max(float(np.sqrt((linear**2).sum() / len(linear))), 1e-300))
    sd = max(possible.scale_sd, _LEAST_SD)
    return float(-0.5 * min(((size - possible.mean) / sd) ** 2, 50.0))


def _log_shears(source: Floats, linear: Floats, sd: float) -> float:
    """Log share of the possible shears that the pairs allow."""
    ndim = len(linear)
    count = ndim * (ndim + 1) // 2 - 1
    size = np.sqrt((linear**2).sum() / ndim)
    arm = size * np.sqrt(((source - source.mean(axis=0)) ** 2).sum() / ndim)
    share = np.sqrt(2.0 * np.pi) * sd / max(float(arm), 1e-12) / _SHEAR
    return float(count * min(np.log(share), 0.0))


def _log_width(source: Floats, linear: Floats, sd: float, possible: Possible) -> float:
    """Log share of the possible transforms that the pairs allow (Laplace)."""
    arms = source - source.mean(axis=0)
    ndim, size = linear.shape
    moves = [arms @ generator.T @ linear.T for generator in generators(size)]
    moves.append(arms @ linear.T)
    slope = np.stack([move.ravel() for move in moves], axis=1)
    scale_sd = max(possible.scale_sd, _LEAST_SD)
    normal = slope.T @ slope / sd**2
    normal[-1, -1] += scale_sd**-2
    # What the pairs leave open stays as wide as it was.
    turns = len(moves) - 1
    floor = possible.turns ** (-2.0 / turns)
    normal[np.arange(turns), np.arange(turns)] += 2 * np.pi * floor
    _, log_det = np.linalg.slogdet(normal)
    free = 0.5 * turns * np.log(2 * np.pi) - 0.5 * log_det
    free -= np.log(possible.turns) + np.log(scale_sd)
    shift = 0.5 * ndim * np.log(2 * np.pi * sd**2 / len(source)) - np.log(possible.places)
    return float(free + shift)


def generators(size: int) -> list[NDArray[np.float64]]:
    """Give the generators of rotations of `size` axes."""
    found = []
    for a, b in combinations(range(size), 2):
        one = np.zeros((size, size))
        one[a, b], one[b, a] = -1.0, 1.0
        found.append(one)
    return found
