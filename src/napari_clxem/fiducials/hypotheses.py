"""Trial correspondences: what is searched, and what a search gives.

A few short baselines of the smaller set (in space: triangles) are laid on all of the other set
that agree with them in length within tolerance and scale prior. Each implies a similarity
transform, which is scored by how many other points it brings onto partners.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_clxem.fiducials.evidence import Possible
from napari_clxem.fiducials.profiles import Floats

Flags = NDArray[np.bool_]
Indices = NDArray[np.intp]

KEEP = 30
"""Hypotheses that are worth refining."""

NEIGHBOURS = 8
"""Points that suffice to see that most hypotheses are wrong."""

DECIDED = 25.0
"""Log-likelihood ratio beyond the number of trials at which the search stops."""

HIT = 0.5
"""Share of visible points expected to have a partner under a true correspondence."""


@dataclass(frozen=True)
class Search:
    """Two sets of points and what may be assumed of them.

    Parameters
    ----------
    first, second : (m, d), (n, d) ndarray
        The points; hypotheses map first to second.
    tolerance : float
        Distance within which a mapped point meets its partner, in the second set's µm.
    scale : (float, float)
        Mean and sd of the scale from first to second.
    mirror : bool
        Whether mirrored transforms are tried too.
    turn : float
        Largest rotation in degrees; 180 for any. In the plane only.
    allowed : (m, n) ndarray of bool, optional
        Which points may correspond.
    turns : float, optional
        Volume of the rotations that are possible; by default that of all, up to `turn`.
    told : bool
        Whether the tolerance follows from localisation errors that were given.
    """

    first: Floats
    second: Floats
    tolerance: float
    scale: tuple[float, float]
    mirror: bool
    turn: float = 180.0
    allowed: Flags | None = None
    turns: float | None = None
    told: bool = False

    @property
    def stretch(self) -> tuple[float, float]:
        """Smallest and largest scale, three sd from the mean."""
        mean, sd = self.scale
        return mean - 3.0 * sd, mean + 3.0 * sd

    @property
    def size(self) -> float:
        """Area or volume over which the second set is spread, µm^d."""
        extent = np.ptp(self.second, axis=0)
        return float(np.prod(np.maximum(extent * 1.05, 4.0 * self.tolerance)))

    @property
    def density(self) -> float:
        """Points of the second set per µm^d."""
        return len(self.second) / self.size

    @property
    def calibration(self) -> tuple[float, float]:
        """Expected scale, and its sd over that of a point, 1/µm."""
        mean, sd = self.scale
        return mean, 3.0 * sd / self.tolerance

    @property
    def possible(self) -> Possible:
        """Which transforms were possible before any pair was found."""
        mean, sd = self.scale
        ndim = self.second.shape[1]
        sizes = [np.ptp(self.second, axis=0)]
        if self.first.shape[1] == ndim:
            sizes.append(mean * np.ptp(self.first, axis=0))
        # The middle of the smaller set lies somewhere in the larger one.
        places = float(max(np.prod(np.maximum(s, 4.0 * self.tolerance)) for s in sizes))
        turns = 8.0 * np.pi**2
        if self.turns is not None:
            turns = self.turns
        elif self.first.shape[1] == 2:
            turns = 2.0 * np.pi * min(1.0, (self.turn + 1.0) / 180.0)
        if self.allowed is not None:
            places = min(places, float(self.allowed.sum(axis=1).mean() + 1.0) / self.density)
        hands = 2.0 if self.mirror else 1.0
        return Possible(places, hands * turns, sd / mean, float(np.log(mean)))

    def chance(self, tolerance: Floats) -> Floats:
        """Probability that a random place lies within `tolerance` of some point."""
        ndim = self.second.shape[1]
        ball = np.pi * tolerance**2 if ndim == 2 else 4.0 / 3.0 * np.pi * tolerance**3
        probability: Floats = -np.expm1(-self.density * ball)
        return probability

    @property
    def window(self) -> tuple[Floats, Floats]:
        """Extent of the second set, widened by the tolerance: lowest and highest (d,) µm."""
        low: Floats = self.second.min(axis=0) - self.tolerance
        high: Floats = self.second.max(axis=0) + self.tolerance
        return low, high

    def visible(self, places: NDArray[Any]) -> Flags:
        """Which mapped places lie within the extent of the second set.

        Places are (..., d), or numbers x + iy in the plane.
        """
        low, high = self.window
        if np.iscomplexobj(places):
            x, y = places.real, places.imag
            flags: Flags = (y >= low[0]) & (y <= high[0]) & (x >= low[1]) & (x <= high[1])
            return flags
        inside: Flags = np.all((places >= low) & (places <= high), axis=-1)
        return inside


@dataclass(frozen=True)
class Hypotheses:
    """Similarity transforms, the best first.

    Parameters
    ----------
    linear : (h, d, d) ndarray
    shift : (h, d) ndarray
        Second = linear @ first + shift, µm.
    score : (h,) ndarray
        Log-likelihood ratio of hits and misses against chance.
    trials : float
        Expected number of hypotheses that agree in length by chance alone, all baselines counted.
    """

    linear: Floats
    shift: Floats
    score: Floats
    trials: float
