"""What stays near the surface: scanned electrons, and the damage of ions."""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from napari_clxem.dose.physics import ELEMENTARY_CHARGE, as_material, atoms_of
from napari_clxem.dose.quantities import not_negative, one_not_negative, one_positive, written
from napari_clxem.errors import ClxemError
from napari_clxem.materials import Material

_ENERGIES = (300.0, 30000.0)

#: Depth of the damaged layer on each milled face, µm, by ion and kV: about 60 nm for gallium
#: (Lucas & Grigorieff 2023, PNAS 120 e2301852120), for a xenon plasma about half of it.
DAMAGE: Mapping[tuple[str, float], float] = MappingProxyType(
    {("Ga", 30.0): 0.060, ("Xe", 30.0): 0.030}
)


def electron_range(energy: Any, material: str | Material = "ice") -> float:
    """Give how deep scanned electrons go (Kanaya & Okayama 1972), within some 40 %.

    R = 0.0276 A E^1.67 / (Z^0.889 ρ), with A and Z the means over the atoms.

    Parameters
    ----------
    energy : float or Quantity
        Beam energy, eV, 300-30 000.
    material : str or Material
        One with a density.

    Returns
    -------
    float
        µm.

    Raises
    ------
    ClxemError
        For an energy outside that range or a material without density.
    """
    ev = one_positive(energy, "electron_volt", "The beam energy")
    low, high = _ENERGIES
    if not low <= ev <= high:
        raise ClxemError(
            f"A scanning beam of {ev:g} eV is outside {low:g}-{high:g} eV; give its energy in eV."
        )
    known = as_material(material)
    weight, charge = _mean_atom(known)
    kev = ev * 1e-3
    return float(0.0276 * weight * kev**1.67 / (charge**0.889 * _density(known)))


def surface_dose(
    fluence: Any, energy: Any, material: str | Material = "cell", depth: float | None = None
) -> Any:
    """Give the mean dose in the surface layer that stops a scanned beam.

    All energy stays in the layer: none is taken off for backscattered electrons.

    Parameters
    ----------
    fluence : float, array_like or Quantity
        e⁻/Å².
    energy : float or Quantity
        Beam energy, eV.
    material : str or Material
        One with a density.
    depth : float, optional
        Thickness of the layer, µm; the electrons' range where it is left out.

    Returns
    -------
    float or ndarray
        MGy between the surface and `depth`.
    """
    electrons = not_negative(fluence, "1/angstrom**2", "The fluence")
    ev = one_positive(energy, "electron_volt", "The beam energy")
    known = as_material(material)
    layer = electron_range(ev, known)
    if depth is not None:
        layer = one_positive(depth, "micrometer", "The depth")
    # e⁻/Å² = 1e20 /m²; g/cm³ = 1e3 kg/m³; µm = 1e-6 m; Gy = 1e-6 MGy
    per_area = electrons * 1e20 * ev * ELEMENTARY_CHARGE
    return per_area / (_density(known) * 1e3 * layer * 1e-6) * 1e-6


def scanned_fluence(current: Any, dwell: Any, pixel: Any) -> float:
    """Give the fluence of a scanned image, e⁻/Å².

    Parameters
    ----------
    current : float or Quantity
        Beam current, pA.
    dwell : float or Quantity
        Time per pixel, all passes together, µs.
    pixel : float or Quantity
        Pixel size, nm.
    """
    amperes = one_positive(current, "picoampere", "The beam current") * 1e-12
    seconds = one_positive(dwell, "microsecond", "The dwell time") * 1e-6
    side = one_positive(pixel, "nanometer", "The pixel size") * 10.0
    return amperes * seconds / ELEMENTARY_CHARGE / side**2


def damage_layer(ion: str = "Ga", voltage: Any = 30.0) -> float:
    """Give the depth of the layer that a focused ion beam damages on each face, µm.

    Raises
    ------
    ClxemError
        Where none is published for this ion and voltage.
    """
    kv = one_positive(voltage, "kilovolt", "The ion voltage")
    found = DAMAGE.get((ion, kv)) if isinstance(ion, str) else None
    if found is None:
        known = ", ".join(f"{name} at {v:g} kV" for name, v in DAMAGE)
        raise ClxemError(
            f"The damage layer of {written(ion)} at {kv:g} kV is not known; known are {known}. "
            "Give the depth in µm yourself."
        )
    return found


def usable_thickness(thickness: Any, damage: float) -> float:
    """Give what two damaged faces leave of a lamella, µm, never below 0."""
    whole = one_positive(thickness, "micrometer", "The thickness")
    layer = one_not_negative(damage, "micrometer", "The damage layer")
    return max(whole - 2.0 * layer, 0.0)


def _mean_atom(material: Material) -> tuple[float, float]:
    """Atomic weight and number averaged over the atoms of a mixture."""
    count = weight = charge = 0.0
    for formula, share in material.parts:
        atoms = atoms_of(formula)
        moles = share / math.fsum(n * mass for n, _, mass, _ in atoms)
        count += moles * math.fsum(n for n, _, _, _ in atoms)
        weight += moles * math.fsum(n * mass for n, _, mass, _ in atoms)
        charge += moles * math.fsum(n * z for n, z, _, _ in atoms)
    return weight / count, charge / count


def _density(material: Material) -> float:
    if not math.isfinite(material.density) or material.density <= 0:
        raise ClxemError(
            f"{material.name!r} has no density; give a Material with one, g/cm³, or a known name."
        )
    return material.density
