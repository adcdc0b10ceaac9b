"""Numbers and quantities at the edge: what comes in is checked and brought to the inner unit."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeVar

import numpy as np

from napari_clxem.errors import ClxemError, UnitError
from napari_clxem.frames.affine import Floats, as_points

T = TypeVar("T")

#: Height of a plane in a frame with depth, µm; None where none is meant.
Height = float | None
#: Farther from zero than any number of any instrument, in the units used here.
_FARTHEST = 1e30
_WRITTEN = 60  # letters of a wrong value that a message repeats


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
    array = _numbers(value)
    if array is None:
        raise ClxemError(f"{name} is {written(value)}; give a number in {unit}.")
    if not (np.abs(array) <= _FARTHEST).all():
        raise ClxemError(f"{name} is {written(value)}; give a finite number in {unit}.")
    return array if array.ndim else float(array)


def written(value: Any) -> str:
    """Write a wrong value on one short line, for a message."""
    text = " ".join(repr(value).split())
    return text if len(text) <= _WRITTEN else f"{text[: _WRITTEN - 1]}…"


def _numbers(value: Any) -> Floats | None:
    """Give numbers as floats; None for truth values, text and whatever else is no number."""
    try:
        array = np.asarray(value)
        return array.astype(float) if array.dtype.kind in "iufO" else None
    except (TypeError, ValueError):
        return None


def _converted(value: Any, unit: str, name: str) -> Any:
    import pint

    try:
        return value.to(unit).magnitude
    except pint.PintError as error:
        raise UnitError(f"{name} is {written(value)}, which is not in units of {unit}.") from error


def positive(value: Any, unit: str, name: str) -> Any:
    """Give a number or array above zero in `unit`; raises as :func:`amount`, and for 0 or less."""
    found = amount(value, unit, name)
    if np.any(np.asarray(found) <= 0):
        raise ClxemError(f"{name} is {written(value)}; it must be above zero, in {unit}.")
    return found


def not_negative(value: Any, unit: str, name: str) -> Any:
    """Give a number or array of 0 or more in `unit`; raises as :func:`amount`, and below 0."""
    found = amount(value, unit, name)
    if np.any(np.asarray(found) < 0):
        raise ClxemError(f"{name} is {written(value)}; it must not be negative, in {unit}.")
    return found


def fraction(value: Any, name: str) -> Any:
    """Give a share above 0 and up to 1; raises ClxemError for any other number."""
    found = amount(value, "dimensionless", name)
    if np.any((np.asarray(found) <= 0) | (np.asarray(found) > 1)):
        raise ClxemError(f"{name} is {written(value)}; give a share above 0 and up to 1.")
    return found


def one_amount(value: Any, unit: str, name: str) -> float:
    """Give one number as :func:`amount` does; raises ClxemError for several, too."""
    return _single(amount(value, unit, name), value, name)


def one_positive(value: Any, unit: str, name: str) -> float:
    """Give one number as :func:`positive` does; raises ClxemError for several, too."""
    return _single(positive(value, unit, name), value, name)


def one_not_negative(value: Any, unit: str, name: str) -> float:
    """Give one number as :func:`not_negative` does; raises ClxemError for several, too."""
    return _single(not_negative(value, unit, name), value, name)


def one_fraction(value: Any, name: str) -> float:
    """Give one share as :func:`fraction` does; raises ClxemError for several, too."""
    return _single(fraction(value, name), value, name)


def _single(found: Any, value: Any, name: str) -> float:
    if isinstance(found, float):
        return found
    raise ClxemError(f"{name} is {written(value)}; give one number.")


def a_point(value: Any, name: str = "The point", ndim: int | None = None) -> Floats:
    """Give one point, (1, 2) or (1, 3) µm; raises as `as_points`, and for none or several."""
    found = as_points(amount(value, "micrometer", name), ndim, name)
    if len(found) != 1:
        raise ClxemError(f"{name} is {written(value)}; give one point (y, x) or (z, y, x), µm.")
    return found


def height(z: Any) -> Height:
    """Give a height in a 3D frame, µm; None where none is meant."""
    return None if z is None else one_amount(z, "micrometer", "z")


def pair(value: Any, name: str) -> Floats:
    """Give lengths above zero (y, x), µm, (2,), of one number for both or of two.

    Raises
    ------
    ClxemError
        For any other number of them, or as :func:`positive`.
    """
    found = np.asarray(positive(value, "micrometer", name))
    if found.shape not in ((), (2,)):
        raise ClxemError(f"{name} is {written(value)}; give one number for both, or (y, x), µm.")
    return np.broadcast_to(found, 2).astype(float)


def whole(value: Any, name: str, least: int | None = None) -> int:
    """Give a whole number, at least `least`; raises ClxemError for anything else."""
    array = _numbers(value)
    if array is None or array.ndim or not np.isfinite(array) or array != np.floor(array):
        raise ClxemError(f"{name} is {written(value)}; give a whole number.")
    if least is not None and array < least:
        raise ClxemError(f"{name} is {written(value)}; give {least} or more.")
    return int(array)


def each(values: Any, kind: type[T], name: str) -> tuple[T, ...]:
    """Give objects of a type as a tuple; raises ClxemError for anything else."""
    if isinstance(values, str | bytes) or not isinstance(values, Iterable):
        raise ClxemError(f"{name} are {written(values)}; give a list of {kind.__name__}.")
    found = tuple(values)
    for value in found:
        if not isinstance(value, kind):
            raise ClxemError(f"{name} hold {written(value)}; give a list of {kind.__name__}.")
    return found


def expected(value: Any, kind: type[T], name: str) -> T:
    """Give an object of a type as it is; raises ClxemError for one of another type."""
    if isinstance(value, kind):
        return value
    raise ClxemError(f"{name} is {written(value)}; give a {kind.__name__}.")


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
