"""Numbers as people read them: never without a unit, a dash where nothing is known."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from napari_clxem.session.summary import interval as interval
from napari_clxem.session.summary import nanometres
from napari_clxem.session.summary import percent as percent

NOTHING = "–"
# What is so nearly a circle has no direction.
ROUND = 0.95


def length(value: float | None) -> str:
    """Write a length of µm as nm, or as µm from 10 µm on."""
    return nanometres(value)


def half_axes(long: float, short: float, turn: float) -> str:
    """Write the half axes of an ellipse, µm, and the turn of the long one, degrees."""
    if short > ROUND * long:
        return f"{length(long)}, round"
    first = length(long)
    if first[-3:] == length(short)[-3:]:
        first = first[:-3]
    return f"{first} × {length(short)}, {turn:+.0f}°"


def number(value: float | None, digits: int = 3) -> str:
    """Write a number with so many digits."""
    if value is None or not np.isfinite(value):
        return NOTHING
    if value and abs(value) >= 10**digits:
        return f"{value:.0f}" if abs(value) < 1e6 else f"{value:.{digits - 1}e}"
    return f"{value:.{digits}g}"


def place(values: Sequence[float]) -> str:
    """Write coordinates of µm."""
    return ", ".join(f"{value:.3f}" for value in values)


def dose(value: float | None, least: bool = False) -> str:
    """Write MGy; "≥" where a dose is only known to be at least so much."""
    if value is None or not np.isfinite(value):
        return NOTHING
    text = f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"
    return f"≥ {text}" if least else text


def period(angstrom: float) -> str:
    """Write a resolution, full period in Å; finer than 2 Å the estimates say nothing."""
    return "< 2" if angstrom < 2.0 else f"{angstrom:.3g}"


def several(count: int, one: str, many: str = "") -> str:
    """Write a count with what is counted."""
    return f"{count} {one if count == 1 else many or one + 's'}"
