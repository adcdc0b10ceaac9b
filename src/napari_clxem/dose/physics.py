"""What photons and electrons deposit: from fluence to absorbed dose, MGy.

Fluence is always integrated over time: photons/µm² or e⁻/Å², never multiplied by an exposure
time again.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Any

import numpy as np

from napari_clxem.dose.quantities import amount, fraction, not_negative, one_positive
from napari_clxem.errors import ClxemError
from napari_clxem.materials import MATERIALS, Material, mass_attenuation, named

ELEMENTARY_CHARGE = 1.602176634e-19  # C
_REST = 510.99895  # keV
_BETHE = 0.1535374  # 2 π N_A r_e² m_e c², MeV cm²/mol
# MeV cm²/g to MGy per e⁻/Å²: 1.602e-13 J x 1e16 /cm² x 1e3 g/kg / 1e6
_TO_MGY = 1.602176634
_VOLTAGES = (60.0, 1000.0)

#: Published dose per fluence of amorphous ice and protein, MGy per e⁻/Å²: (formula, kV). The
#: cryo-CLXEM paper (Commun. Biol. 2025, s42003-025-09072-x) counts with that of ice at 300 kV.
PUBLISHED: Mapping[tuple[str, float], float] = MappingProxyType(
    {
        ("H2O", 200.0): 4.42,
        ("H2O", 300.0): 3.71,
        ("H50C30N9O10S", 200.0): 4.31,
        ("H50C30N9O10S", 300.0): 3.59,
    }
)

# Mean excitation energies of elements, eV (ICRU 37, table 4.3); within compounds, liquid or
# solid, table 5.1 has its own for a few, and 1.13 times that of the element for the rest.
_EXCITATIONS = (
    "Li 40 Be 63.7 B 76 Na 149 Mg 156 Al 166 Si 173 P 173 S 180 K 190 Ca 191 Ti 233 Cr 257 Mn 272 "
    "Fe 286 Co 297 Ni 311 Cu 322 Zn 330 Ga 334 Se 348 Br 343 Mo 424 Ag 470 I 491 Xe 482 Os 746 "
    "Pt 790 Au 790 Pb 823 U 890"
)
_PAIRS = _EXCITATIONS.split()
_ELEMENTS = dict(zip(_PAIRS[::2], map(float, _PAIRS[1::2]), strict=True))
_IN_COMPOUNDS = {"H": 19.2, "C": 81.0, "N": 82.0, "O": 106.0, "F": 112.0, "Cl": 180.0}
_MEASURED = {"H2O": 75.0, "C": 78.0}


def as_material(material: str | Material) -> Material:
    """Give a known material by its name, a Material as it is, a formula as one without density."""
    return named(material)


def xray_dose(fluence: Any, energy: Any, material: str | Material = "cell") -> Any:
    """Give the entrance dose of a fluence of X-rays: (μ/ρ) F E.

    Parameters
    ----------
    fluence : float, array_like or Quantity
        Photons/µm², integrated over time and images.
    energy : float or Quantity
        Photon energy, eV.
    material : str or Material
        What the dose is stated for; see :func:`napari_clxem.materials.mass_attenuation`.

    Returns
    -------
    float or ndarray
        MGy at the surface the beam enters; through the thickness see
        :func:`napari_clxem.dose.depth_mean`.

    Raises
    ------
    ClxemError
        For a negative fluence, an energy outside the tables or at the oxygen K edge.
    """
    photons = not_negative(fluence, "1/micrometer**2", "The fluence")
    ev = one_positive(energy, "electron_volt", "The photon energy")
    per_gram = photons * 1e8 * mass_attenuation(as_material(material), ev)  # photons absorbed
    return per_gram * ev * ELEMENTARY_CHARGE * 1e3 * 1e-6


def xray_fluence(dose: Any, energy: Any, material: str | Material = "cell") -> Any:
    """Give the fluence, photons/µm², that leaves an entrance dose in MGy; see `xray_dose`."""
    return not_negative(dose, "megagray", "The dose") / xray_dose(1.0, energy, material)


def electron_dose(fluence: Any, voltage: Any, material: str | Material = "ice") -> Any:
    """Give the dose of a fluence of electrons that pass through a thin sample.

    Parameters
    ----------
    fluence : float, array_like or Quantity
        Incident e⁻/Å².
    voltage : float or Quantity
        Acceleration voltage, kV.
    material : str or Material
        What the dose is stated for.

    Returns
    -------
    float or ndarray
        MGy. Scattered electrons are not absorbed ones: nothing measured behind the sample is to
        be subtracted.

    Raises
    ------
    ClxemError
        For a negative fluence or a voltage outside 60-1000 kV.
    """
    electrons = not_negative(fluence, "1/angstrom**2", "The fluence")
    return electrons * conversion_factor(voltage, material)


def conversion_factor(voltage: Any, material: str | Material = "ice") -> float:
    """Give the dose per fluence C_F of electrons.

    Parameters
    ----------
    voltage : float or Quantity
        kV.
    material : str or Material
        A mixture counts by the weight of its parts.

    Returns
    -------
    float
        MGy per e⁻/Å²: the published value where all parts have one at this voltage, else from
        :func:`stopping_power`.

    Raises
    ------
    ClxemError
        For a voltage outside 60-1000 kV, or a formula that cannot be read.
    """
    kv = _voltage(voltage)
    known = as_material(material)
    published = [PUBLISHED.get((formula, kv)) for formula, _ in known.parts]
    if all(value is not None for value in published):
        weights = [weight for _, weight in known.parts]
        return math.fsum(w * (v or 0.0) for w, v in zip(weights, published, strict=True))
    return stopping_power(kv, known) * _TO_MGY


def conversion_source(voltage: Any, material: str | Material = "ice") -> str:
    """Say where :func:`conversion_factor` has its value from."""
    kv = _voltage(voltage)
    parts = as_material(material).parts
    if all((formula, kv) in PUBLISHED for formula, _ in parts):
        return "published table"
    return "ICRU 37 collision stopping power"


def stopping_power(voltage: Any, material: str | Material = "ice") -> float:
    """Give the collision stopping power for electrons (Bethe; ICRU report 37, eq. 2.8).

    Parameters
    ----------
    voltage : float or Quantity
        kV.
    material : str or Material
        By Bragg's rule over its elements; water and carbon with their own measured mean
        excitation energy.

    Returns
    -------
    float
        MeV cm²/g, without the density effect, which is below 1 % to 500 kV.

    Raises
    ------
    ClxemError
        As :func:`conversion_factor`.
    """
    kv = _voltage(voltage)
    return math.fsum(w * _stopping(formula, kv) for formula, w in as_material(material).parts)


@lru_cache(maxsize=256)
def _stopping(formula: str, kv: float) -> float:
    per_mass, excitation = _excitation(formula)
    tau = kv / _REST
    beta2 = tau * (tau + 2) / (tau + 1) ** 2
    shape = 1 - beta2 + (tau**2 / 8 - (2 * tau + 1) * math.log(2)) / (tau + 1) ** 2
    bracket = math.log(tau**2 * (tau + 2) / (2 * (excitation * 1e-3 / _REST) ** 2)) + shape
    return _BETHE * per_mass / beta2 * bracket


def _excitation(formula: str) -> tuple[float, float]:
    """Z/A, mol/g, and the mean excitation energy, eV, of a formula."""
    atoms = atoms_of(formula)
    mass = math.fsum(n * weight for n, _, weight, _ in atoms)
    charge = math.fsum(n * z for n, z, _, _ in atoms)
    if formula in _MEASURED:
        return charge / mass, _MEASURED[formula]
    total = math.fsum(
        n * z * math.log(_excitation_of(symbol, len(atoms) > 1)) for n, z, _, symbol in atoms
    )
    return charge / mass, math.exp(total / charge)


def _excitation_of(symbol: str, compound: bool) -> float:
    if symbol in _IN_COMPOUNDS:
        return _IN_COMPOUNDS[symbol]
    if symbol in _ELEMENTS:
        return _ELEMENTS[symbol] * (1.13 if compound else 1.0)
    raise ClxemError(
        f"No mean excitation energy is known here for {symbol}; leave it out of the material for "
        "electrons, or state the dose itself."
    )


@lru_cache(maxsize=256)
def atoms_of(formula: str) -> tuple[tuple[float, int, float, str], ...]:
    """Atoms of a formula: (count, Z, atomic weight, symbol) of each element.

    Raises
    ------
    ClxemError
        Where it cannot be read.
    """
    import periodictable

    try:
        atoms = periodictable.formula(formula).atoms
        found = tuple(
            (float(n), int(atom.number), float(atom.mass), str(atom.symbol))
            for atom, n in atoms.items()
        )
    except Exception as error:  # its parser raises whatever it meets
        raise ClxemError(
            f"{formula!r} is neither a known material ({', '.join(MATERIALS)}) nor a chemical "
            "formula such as H2O."
        ) from error
    if not found:
        raise ClxemError("A material has an empty formula; give one such as H2O.")
    return found


def _voltage(voltage: Any) -> float:
    kv = one_positive(voltage, "kilovolt", "The voltage")
    low, high = _VOLTAGES
    if not low <= kv <= high:
        raise ClxemError(
            f"A voltage of {kv:g} kV is outside {low:g}-{high:g} kV of a transmission microscope; "
            "give it in kV (a scanning microscope's dose stays in its surface layer)."
        )
    return kv


def depth_mean(transmission: Any) -> Any:
    """Mean dose through the thickness over entrance dose: (1 - T)/(-ln T), T in (0, 1]."""
    share = np.asarray(fraction(transmission, "The transmission"))
    optical = -np.log(share)
    thin = optical < 1e-8
    found = np.where(thin, 1.0 - optical / 2, -np.expm1(-optical) / np.where(thin, 1.0, optical))
    return found if found.ndim else float(found)


def tilted_mean(optical_depth: Any, tilts: Any) -> Any:
    """Mean dose over depth of a slab at each tilt, over its untilted entrance dose.

    cos θ (1 - exp(-μt / cos θ)) / (μt): a tilted slab spreads the beam by cos θ and absorbs along
    a longer way, so that a thin one needs no factor of 1/cos θ at all.

    Parameters
    ----------
    optical_depth : float
        μt of the untilted slab.
    tilts : float or (n,) array_like
        Degrees from the slab's normal, within ±90.

    Returns
    -------
    float or (n,) array
    """
    depth = one_positive(optical_depth, "dimensionless", "The optical depth")
    cosine = np.cos(np.deg2rad(amount(tilts, "degree", "The tilts")))
    if np.any(cosine <= 1e-9):
        raise ClxemError("A slab seen edge-on has no mean dose; give tilts within 90 degrees.")
    found = -cosine * np.expm1(-depth / cosine) / depth
    return found if np.ndim(found) else float(found)
