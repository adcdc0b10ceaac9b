"""Lengths become µm; what is no length raises."""

from __future__ import annotations

import pytest

from napari_clxem.errors import UnitError
from napari_clxem.units import length_factor, to_um


@pytest.mark.parametrize(
    ("unit", "factor"),
    [
        ("µm", 1),
        ("\u03bcm", 1),
        ("\u212b", 1e-4),
        ("um", 1),
        ("micron", 1),
        ("nm", 1e-3),
        ("Å", 1e-4),
        ("A", 1e-4),
        ("angstrom", 1e-4),
        ("mm", 1e3),
        ("m", 1e6),
        ("inch", 25400),
        ("\\u00b5m", 1),
    ],
)
def test_units_found_in_microscope_files(unit, factor):
    assert length_factor(unit) == pytest.approx(factor, rel=1e-12)
    assert to_um(2.0, unit) == pytest.approx(2 * factor)


@pytest.mark.parametrize(
    "unit", ["", "pixel", "s", "furlongs per fortnight", "kg", "9**9**9", "um**2", "3 um", "%"]
)
def test_what_is_no_length_raises(unit):
    with pytest.raises(UnitError):
        length_factor(unit)
