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
    """

    first: Floats
    second: Floats
    tolerance: float
    scale: tuple[float, float]
    mirror: bool
    turn: float = 180.0
    allowed: Flags | None = None

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

    def chance(self, tolerance: Floats) -> Floats:
        """Probability that a random place lies within `tolerance` of some point."""
        ndim = self.second.shape[1]
        ball = np.pi * tolerance**2 if ndim == 2 else 4.0 / 3.0 * np.pi * tolerance**3
        probability: Floats = -np.expm1(-self.density * ball)
        return probability

    def visible(self, places: NDArray[Any]) -> Flags:
        """Which mapped places lie within the extent of the second set.

        Places are (..., d), or numbers x + iy in the plane.
        """
        low = self.second.min(axis=0) - self.tolerance
        high = self.second.max(axis=0) + self.tolerance
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
