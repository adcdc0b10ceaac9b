"""How near a partner has to be: from localisation errors, or from how far apart points lie."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from napari_clxem.errors import DegenerateError
from napari_clxem.fiducials.profiles import Floats

_LEVELS = (1.0, 3.0, 9.0)
"""Tolerances tried where none is given, over the one that the localisation errors suggest."""


def typical_sigma(sigma: ArrayLike | None, oblique: bool = False) -> float:
    """Typical localisation sd per axis, µm; 0 where none is given.

    From above the first axis of three does not show; in an oblique view it does.
    """
    if sigma is None:
        return 0.0
    values = np.asarray(sigma, float)
    if values.ndim == 3:
        values = np.sqrt(np.maximum(np.einsum("ndd->nd", values), 0.0))
    if values.ndim == 2 and oblique:
        values = np.sqrt((values[:, :1] ** 2 + values[:, -2:] ** 2) / 2.0)
    elif values.ndim == 2:
        values = values[:, -2:]
    return float(np.median(values)) if values.size else 0.0


def _spacing(points: Floats) -> float:
    """Median distance from a point to its nearest neighbour, µm."""
    from scipy.spatial import cKDTree

    distance, _ = cKDTree(points).query(points, k=2)
    return float(np.median(distance[:, 1]))


def tolerances(
    tolerance: float | None,
    flat: Floats,
    fixed: Floats,
    sigmas: tuple[float, float],
    scale: float,
) -> list[float]:
    """Tolerances to try, tightest first."""
    if tolerance is not None:
        return [float(tolerance)]
    apart = min(_spacing(fixed), scale * _spacing(flat))
    if apart <= 0:
        raise DegenerateError("Half of the points coincide with another; remove duplicates.")
    expected = 3.0 * float(np.hypot(scale * sigmas[0], sigmas[1]))
    first = max(expected, 0.02 * apart)
    return [t for t in (first * level for level in _LEVELS) if t <= 0.3 * apart] or [first]
