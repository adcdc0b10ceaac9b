"""Joint histogram of two images, compiled; import inside functions only."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def joint(one: Any, two: Any, bins: int) -> Any:
    """Count a joint histogram with quadratic B-spline windows (Thévenaz and Unser 2000).

    Parameters
    ----------
    one, two : (n,) float32 array
        Values scaled to 1 ... bins - 2.
    bins : int
        Bins on each side.

    Returns
    -------
    (bins, bins) float64 array
    """
    counts = np.zeros((bins, bins))
    first, second = np.empty(3), np.empty(3)
    for index in range(one.size):
        a, b = one[index], two[index]
        i, j = int(a + 0.5), int(b + 0.5)
        u, v = a - i, b - j
        first[0], first[1], first[2] = 0.5 * (0.5 - u) ** 2, 0.75 - u * u, 0.5 * (0.5 + u) ** 2
        second[0], second[1], second[2] = 0.5 * (0.5 - v) ** 2, 0.75 - v * v, 0.5 * (0.5 + v) ** 2
        for m in range(3):
            for n in range(3):
                counts[i - 1 + m, j - 1 + n] += first[m] * second[n]
    return counts


def warm() -> None:
    """Compile for the types in use."""
    values = np.ones(1, np.float32)
    joint(values, values, 3)
