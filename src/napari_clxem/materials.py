"""What things are made of: composition, density and how strongly they absorb X-rays.

Attenuation comes from the Henke tables (CXRO) through periodictable, which is imported on first
use, so that importing this module costs nothing.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType
from typing import Any

from napari_clxem.errors import ClxemError, UnitError

_HC = 12398.41984  # eV Å
# Between these energies (eV) the tables disagree on oxygen by more than tenfold.
OXYGEN_EDGE = (530.0, 548.0)
_TABLE = (30.0, 30000.0)


@dataclass(frozen=True)
class Material:
    """A named mixture.

    Parameters
    ----------
    name : str
        What people call it.
    parts : tuple of (str, float)
        Chemical formulas with their weight fractions; the fractions add up to 1.
    density : float
        Mass density, g/cm³.
    """

    name: str
    parts: tuple[tuple[str, float], ...]
    density: float

    def __post_init__(self) -> None:
        """Refuse weight fractions that do not add up to 1.

        Raises
        ------
        ClxemError
            For such, or parts that are no pairs of formula and fraction.
        """
        try:
            parts = tuple((formula, float(share)) for formula, share in self.parts)
        except (TypeError, ValueError) as error:
            raise ClxemError(
                f"The parts of {self.name!r} are no pairs of formula and weight fraction; give "
                "them such as (('H2O', 0.9), ('C8H8', 0.1))."
            ) from error
        total = math.fsum(share for _, share in parts)
        if not all(share >= 0 for _, share in parts) or not abs(total - 1) <= 1e-3:
            raise ClxemError(
                f"The weight fractions of {self.name!r} add up to {total:.4g}; give fractions of "
                "0 or more that add up to 1."
            )
        object.__setattr__(self, "parts", parts)


_WATER = "H2O"
_PROTEIN = "H50C30N9O10S"


def hydrated(name: str, protein: float, density: float) -> Material:
    """Make a material of water with a weight fraction of protein in it; density in g/cm³."""
    return Material(name, ((_WATER, 1.0 - protein), (_PROTEIN, protein)), density)


MATERIALS: Mapping[str, Material] = MappingProxyType(
    {
        material.name: material
        for material in (
            Material("ice", ((_WATER, 1.0),), 0.94),
            Material("water", ((_WATER, 1.0),), 1.0),
            Material("protein", ((_PROTEIN, 1.0),), 1.35),
            hydrated("cell", 0.25, 1.07),
            Material("lipid", (("C18H34O2", 1.0),), 0.95),
            Material("polystyrene", (("C8H8", 1.0),), 1.05),
            Material("carbon", (("C", 1.0),), 2.0),
            Material("magnetite", (("Fe3O4", 1.0),), 5.17),
            Material("gold", (("Au", 1.0),), 19.3),
        )
    }
)


def named(material: str | Material) -> Material:
    """Give a known material by its name, a Material as it is, a formula as one without density.

    Raises
    ------
    ClxemError
        For anything else.
    """
    if isinstance(material, Material):
        return material
    if not isinstance(material, str):
        text = " ".join(repr(material).split())[:60]
        raise ClxemError(
            f"A material is {text}; give a name ({', '.join(MATERIALS)}), a chemical formula or a "
            "Material."
        )
    if not material.strip():
        raise ClxemError("A material has an empty formula; give one such as H2O.")
    return MATERIALS.get(material) or Material(material, ((material, 1.0),), math.nan)


def find_material(material: str | Material) -> Material:
    """Give the known material of this name.

    Raises
    ------
    ClxemError
        Where no material has that name.
    """
    if isinstance(material, Material):
        return material
    try:
        return MATERIALS[named(material).name]
    except KeyError:
        raise ClxemError(
            f"No material is called {material!r}; known are {', '.join(MATERIALS)}, or give a "
            "Material with its formulas and density."
        ) from None


def mass_attenuation(material: str | Material, energy: Any) -> float:
    """Give the X-ray mass attenuation coefficient μ/ρ.

    Parameters
    ----------
    material : str or Material
        Name of a known material, a chemical formula, or a Material.
    energy : float
        Photon energy, eV.

    Returns
    -------
    float
        μ/ρ, cm²/g; weighted by weight fraction over the parts of a mixture.

    Raises
    ------
    ClxemError
        Where the energy is outside the tables or on the oxygen K edge of a material with
        oxygen, or the formula cannot be read.
    """
    ev = _electron_volts(energy)
    return math.fsum(weight * _of_formula(formula, ev) for formula, weight in named(material).parts)


def _electron_volts(energy: Any) -> float:
    """Bring a photon energy, a number or a quantity, to eV."""
    given = energy
    if hasattr(energy, "to") and hasattr(energy, "magnitude"):
        import pint

        try:
            given = energy.to("electron_volt").magnitude
        except pint.PintError as error:
            raise UnitError(f"The photon energy is {energy}, which is no energy.") from error
    try:
        number = float("nan" if isinstance(given, bool | str | bytes) else given)
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number):
        text = " ".join(repr(energy).split())[:60]
        raise ClxemError(
            f"The photon energy is {text}, outside the attenuation tables; give one number in eV."
        )
    return number


def linear_attenuation(material: str | Material, energy: Any) -> float:
    """Give the linear absorption coefficient μ (LAC).

    Parameters
    ----------
    material : str or Material
        Name of a known material, or a Material; a bare formula has no density.
    energy : float
        Photon energy, eV.

    Returns
    -------
    float
        μ, 1/µm.

    Raises
    ------
    ClxemError
        As :func:`mass_attenuation`, and where the material is not known by name.
    """
    known = find_material(material)
    return mass_attenuation(known, energy) * known.density * 1e-4


@lru_cache(maxsize=512)
def _of_formula(formula: str, energy: float) -> float:
    """μ/ρ of a chemical formula, cm²/g, from μ = 4πβ/λ (β the imaginary part of 1 − n)."""
    import periodictable
    from periodictable.xsf import index_of_refraction

    if not _TABLE[0] <= energy <= _TABLE[1]:
        raise ClxemError(
            f"{energy:g} eV is outside the attenuation tables; give an energy from "
            f"{_TABLE[0]:g} to {_TABLE[1]:g} eV."
        )
    try:
        compound = periodictable.formula(formula)
        symbols = {str(atom) for atom in compound.atoms}
    except Exception as error:  # its parser raises whatever it meets
        raise ClxemError(
            f"{formula!r} is neither a known material ({', '.join(MATERIALS)}) nor a chemical "
            "formula such as H2O."
        ) from error
    if not symbols:
        raise ClxemError("A material has an empty formula; give one such as H2O.")
    low, high = OXYGEN_EDGE
    if "O" in symbols and low <= energy <= high:
        raise ClxemError(
            f"At {energy:g} eV, on the oxygen K edge, the tables disagree by more than tenfold "
            f"for {formula}; choose an energy outside {low:g}-{high:g} eV."
        )
    index = complex(index_of_refraction(compound, density=1.0, energy=energy * 1e-3))  # type: ignore[no-untyped-call]
    return 4 * math.pi * abs(index.imag) / (_HC / energy) * 1e8
