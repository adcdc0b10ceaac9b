"""Which part of a raster a footprint can meet: as it stands, and compiled in the kernels."""

from __future__ import annotations

from typing import Any

import numpy as np


def rows(plane: Any, across: float, along: float, count: int) -> Any:
    """Rows that a box of half sizes `across` and `along` about the aim can meet."""
    ys, yr, yc = plane[1]
    xs, xr, xc = plane[2]
    det = yr * xc - yc * xr
    scale = max(abs(yr) + abs(yc), abs(xr) + abs(xc))
    if abs(det) <= 1e-12 * scale * scale or not np.isfinite(across):
        return 0, count
    middle = (-ys * xc + xs * yc) / det
    half = (abs(xc) * along + abs(yc) * across) / abs(det)
    if middle + half < -1.0 or middle - half > count:
        return 0, 0
    return int(max(0.0, middle - half - 1.0)), int(min(float(count), middle + half + 2.0))


def reach(plane: Any, radius: float, cosine: float) -> float:
    """Farthest |x| that is lit, where the height changes linearly over the plane."""
    yr, yc = plane[1, 1], plane[1, 2]
    xr, xc = plane[2, 1], plane[2, 2]
    zr, zc = plane[0, 1], plane[0, 2]
    det = yr * xc - yc * xr
    scale = max(abs(yr) + abs(yc), abs(xr) + abs(xc))
    if abs(det) <= 1e-12 * scale * scale:
        return np.inf
    row = (-plane[1, 0] * xc + plane[2, 0] * yc) / det
    column = (-plane[2, 0] * yr + plane[1, 0] * xr) / det
    height = abs(plane[0, 0] + zr * row + zc * column)
    steep = (abs(zr * xc - zc * xr) + abs(zc * yr - zr * yc)) / abs(det)
    sine = np.sqrt(max(0.0, 1.0 - cosine * cosine))
    room = cosine - steep * sine
    if room <= 1e-9:
        return np.inf
    return float((radius + (height + steep * radius) * sine) / room)
