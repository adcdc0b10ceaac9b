"""Numbers and quantities at the edge: what comes in is checked and brought to the inner unit."""

from __future__ import annotations

from typing import Any

import numpy as np

from napari_clxem.errors import ClxemError, UnitError
from napari_clxem.frames.affine import Floats


def amount(value: Any, unit: str, name: str) -> Any:
    """Give a number, or an array of them, in `unit`.

    Parameters
    ----------
    value : float, array_like or pint.Quantity
        A plain number is taken to be in `unit`; a quantity is converted.
    unit : str
        Unit of what is given back, as pint writes it.
    name : str
        What the value is, for the message.

    Returns
    -------
    float or ndarray
        Finite.

    Raises
    ------
    UnitError
        Where a quantity has another dimension.
    ClxemError
        Where it is no finite number.
    """
    if hasattr(value, "to") and hasattr(value, "magnitude"):
        value = _converted(value, unit, name)
    try:
        array = np.asarray(value, dtype=float)
    except (TypeError, ValueError) as error:
        raise ClxemError(f"{name} is {value!r}; give a number in {unit}.") from error
    if not np.isfinite(array).all():
        raise ClxemError(f"{name} is {value}; give a finite number in {unit}.")
    return array if array.ndim else float(array)


def _converted(value: Any, unit: str, name: str) -> Any:
    import pint

    try:
        return value.to(unit).magnitude
    except pint.PintError as error:
        raise UnitError(f"{name} is {value}, which is not in units of {unit}.") from error


def positive(value: Any, unit: str, name: str) -> Any:
    """Give a number or array above zero in `unit`; raises as :func:`amount`, and for 0 or less."""
    found = amount(value, unit, name)
    if np.any(np.asarray(found) <= 0):
        raise ClxemError(f"{name} is {value}; it must be above zero, in {unit}.")
    return found


def not_negative(value: Any, unit: str, name: str) -> Any:
    """Give a number or array of 0 or more in `unit`; raises as :func:`amount`, and below 0."""
    found = amount(value, unit, name)
    if np.any(np.asarray(found) < 0):
        raise ClxemError(f"{name} is {value}; it must not be negative, in {unit}.")
    return found


def fraction(value: Any, name: str) -> Any:
    """Give a share above 0 and up to 1; raises ClxemError for any other number."""
    found = amount(value, "dimensionless", name)
    if np.any((np.asarray(found) <= 0) | (np.asarray(found) > 1)):
        raise ClxemError(f"{name} is {value}; give a share above 0 and up to 1.")
    return found


def degrees(values: Any, name: str) -> Floats:
    """Give angles (n,) in degrees, at least one.

    Raises
    ------
    ClxemError
        Where there is none, or one is not finite or beyond ±360.
    """
    found = np.atleast_1d(np.asarray(amount(values, "degree", name)))
    if found.ndim != 1 or not found.size:
        raise ClxemError(f"{name}: give one angle or a list of them, degrees.")
    if np.abs(found).max() > 360:
        raise ClxemError(f"{name} hold {np.abs(found).max():g}; give angles in degrees.")
    return found
