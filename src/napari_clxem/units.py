"""Units at the edges of the package: lengths become µm, and an unknown unit raises.

pint does the arithmetic; it is imported on first use, so that science packages stay quick to
import.
"""

from __future__ import annotations

from functools import lru_cache

from napari_clxem.errors import UnitError

# Spellings found in microscope files that pint does not know, or knows as something else.
_SPELLINGS = {
    "\u00b5m": "micrometer",  # micro sign
    "\u03bcm": "micrometer",  # Greek mu
    "\\u00b5m": "micrometer",  # ImageJ's escape, as six characters
    "um": "micrometer",
    "micron": "micrometer",
    "microns": "micrometer",
    "A": "angstrom",
    "\u00c5": "angstrom",
    "\u212b": "angstrom",  # angstrom sign
    "inch": "inch",
}


@lru_cache(maxsize=64)
def length_factor(unit: str) -> float:
    """Give the length of one `unit` in µm.

    Parameters
    ----------
    unit : str
        Name or symbol of a length, such as ``"nm"``, ``"Å"`` or ``"m"``.

    Returns
    -------
    float
        µm per unit.

    Raises
    ------
    UnitError
        Where the unit is unknown or is not a length.
    """
    import pint

    name = _SPELLINGS.get(unit.strip(), unit.strip())
    if not name.isalpha():  # pint would work out an expression, however large
        raise UnitError(
            f"{unit!r} is not a unit of length; give one such as 'um', 'nm' or 'angstrom'."
        )
    registry = pint.application_registry
    try:
        factor = float(registry.Quantity(1.0, name).to("micrometer").magnitude)
    except (pint.PintError, AssertionError, TypeError, ValueError, AttributeError) as error:
        raise UnitError(
            f"{unit!r} is not a unit of length; give one such as 'um', 'nm' or 'angstrom'."
        ) from error
    return factor


def to_um(value: float, unit: str) -> float:
    """Convert a length to µm; see :func:`length_factor` for what is raised."""
    return float(value) * length_factor(unit)
