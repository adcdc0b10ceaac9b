"""Sums over many values without compiled kernels: the same, for the first use on a machine."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_clxem.xray.geometry import Floats


def accumulate(
    one: NDArray[Any],
    two: NDArray[Any],
    along_z: Any,
    along_y: Any,
    along_x: Any,
    weight: Any,
    sums: Floats,
) -> None:
    """Do as the kernel of this name does."""
    count = len(sums)
    for a, b, z in zip(one, two, along_z, strict=True):
        away = (z + along_y)[:, None] + along_x
        shell = np.minimum((np.sqrt(away) + np.float32(0.5)).astype(np.int64), count).ravel()
        powers = (
            a.real * b.real + a.imag * b.imag,
            a.real**2 + a.imag**2,
            b.real**2 + b.imag**2,
            np.ones(a.shape),
        )
        for column, power in enumerate(powers):
            values = (weight * power).ravel()
            sums[:, column] += np.bincount(shell, values, minlength=count + 1)[:count]


def joint(one: Any, two: Any, bins: int) -> Floats:
    """Do as the kernel of this name does."""
    (i, first), (j, second) = _windows(one), _windows(two)
    counts = np.zeros(bins * bins)
    for m in range(3):
        for n in range(3):
            place = (i - 1 + m) * bins + j - 1 + n
            counts += np.bincount(place, first[m] * second[n], minlength=bins * bins)
    return counts.reshape(bins, bins)


def _windows(values: Any) -> tuple[Any, Floats]:
    """Give the middle bin of each value, and its shares of three bins."""
    middle = (values + 0.5).astype(np.int64)
    off = values - middle
    return middle, np.array([0.5 * (0.5 - off) ** 2, 0.75 - off**2, 0.5 * (0.5 + off) ** 2])


def information(counts: Floats) -> float:
    """Give the mutual information of a joint histogram, nats."""
    total = counts.sum()
    if total <= 0:
        return 0.0
    alone = counts.sum(axis=1, keepdims=True) * counts.sum(axis=0)
    met = counts > 0
    return float((counts[met] * np.log(counts[met] * total / alone[met])).sum() / total)
