"""Units at the edges of the package: lengths become µm, and an unknown unit raises.

pint does the arithmetic; it is imported on first use, so that science packages stay quick to
import.
"""

from __future__ import annotations

import math
from functools import lru_cache

from napari_clxem.errors import UnitError

# Spellings found in microscope files that pint does not know, or knows as something else.
_SPELLINGS = {
    "µm": "micrometer",
    "μm": "micrometer",
    "\\u00b5m": "micrometer",
    "um": "micrometer",
    "micron": "micrometer",
    "microns": "micrometer",
    "A": "angstrom",
    "Å": "angstrom",
    "Å": "angstrom",
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
    registry = pint.application_registry
    try:
        factor = float(registry.Quantity(1.0, name).to("micrometer").magnitude)
    except (pint.PintError, AssertionError, TypeError, ValueError, AttributeError) as error:
        raise UnitError(
            f"{unit!r} is not a unit of length; give one such as 'um', 'nm' or 'angstrom'."
        ) from error
    if not name or not math.isfinite(factor):
        raise UnitError("A length has no unit; give one such as 'um', 'nm' or 'angstrom'.")
    return factor


def to_um(value: float, unit: str) -> float:
    """Convert a length to µm; see :func:`length_factor` for what is raised."""
    return float(value) * length_factor(unit)
