"""How much dose a wanted resolution stands, and how much it takes."""

from __future__ import annotations

import math
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np

from napari_clxem.dose.physics import conversion_factor, xray_dose
from napari_clxem.dose.quantities import (
    not_negative,
    one_amount,
    one_fraction,
    one_not_negative,
    one_positive,
    positive,
)
from napari_clxem.errors import ClxemError
from napari_clxem.materials import Material, linear_attenuation

HOWELLS = 100.0  # MGy per nm of full period
#: Fluence of the best signal-to-noise ratio over the critical one: the root of exp(x/2) = 1 + x.
OPTIMUM = 2.51284
#: What people call the estimates of a :class:`Budget`.
ESTIMATES = MappingProxyType(
    {
        "howells": "Howells",
        "critical": "critical",
        "optimum": "optimum",
        "stability": "ice stability",
    }
)
STABILITY = 550.0  # MGy, where ice may begin to bubble; up to 740 were seen without damage
_BAND = 2.0
_FARTHEST = 40.0  # Å, beyond which the measurement of Grant & Grigorieff is extrapolated
_SCALES = {300.0: 1.0, 200.0: 0.8}
_ROSE = ("signal_to_noise", "efficiency", "transmission")


def critical_exposure(d: Any, voltage: Any = 300) -> Any:
    """Give the fluence at which the amplitude at a spacing has fallen to exp(-1/2).

    N_e(k) = 0.24499 k^-1.6649 + 2.8141 (Grant & Grigorieff 2015, eLife 4:e06980), at 200 kV
    times 0.8.

    Parameters
    ----------
    d : float, array_like or Quantity
        Full period 1/k, Å.
    voltage : float or Quantity
        200 or 300 kV.

    Returns
    -------
    float or ndarray
        e⁻/Å²; extrapolated beyond 40 Å.

    Raises
    ------
    ClxemError
        For d that is not above zero, or another voltage.
    """
    spacing = positive(d, "angstrom", "The resolution d")
    kv = one_positive(voltage, "kilovolt", "The voltage")
    if kv not in _SCALES:
        raise ClxemError(
            f"The critical exposure is known at 200 and 300 kV, not at {kv:g} kV; give one of them."
        )
    return _SCALES[kv] * (0.24499 * spacing**1.6649 + 2.8141)


def _critical_dose(d: Any, material: str | Material, voltage: Any) -> tuple[Any, bool]:
    """Critical dose, MGy, and whether it was measured at this voltage."""
    kv = one_positive(voltage, "kilovolt", "The voltage")
    known = kv if kv in _SCALES else 300.0
    conversion_factor(kv, material)  # refuses what no microscope has
    return critical_exposure(d, known) * conversion_factor(known, material), kv in _SCALES


def amplitude_left(d: Any, dose: Any, material: str | Material = "cell", voltage: Any = 300) -> Any:
    """Give which part of the amplitude at d is left after a dose: exp(-D / (2 C_F N_e)).

    Parameters
    ----------
    d : float or array_like
        Full period, Å.
    dose : float or array_like
        MGy, stated for `material`.
    material : str or Material
        The same for dose and C_F.
    voltage : float
        kV; at another than 200 or 300 the same dose is taken to damage as at 300.

    Returns
    -------
    float or ndarray
        Between 0 and 1.
    """
    spent = not_negative(dose, "megagray", "The dose")
    critical, _ = _critical_dose(d, material, voltage)
    found = np.exp(-np.asarray(spent) / (2 * np.asarray(critical)))
    return found if found.ndim else float(found)


def dose_for_amplitude(
    d: Any, amplitude: Any, material: str | Material = "cell", voltage: Any = 300
) -> float:
    """Give the dose, MGy, that leaves a part of the amplitude at d; see `amplitude_left`."""
    share = one_fraction(amplitude, "The amplitude")
    critical, _ = _critical_dose(one_positive(d, "angstrom", "The resolution d"), material, voltage)
    return -2.0 * float(critical) * math.log(share)


def electron_equivalent(dose: Any, material: str | Material = "cell", voltage: Any = 300) -> Any:
    """Give the fluence of electrons, e⁻/Å², that leaves a dose in MGy."""
    return not_negative(dose, "megagray", "The dose") / conversion_factor(voltage, material)


@dataclass(frozen=True)
class Estimate:
    """One estimate of the dose that a resolution stands.

    Attributes
    ----------
    name : str
        ``"howells"``, ``"critical"``, ``"optimum"`` or ``"stability"``.
    dose : float
        MGy.
    low, high : float
        The dose over and times two: what such estimates are good for.
    fluence : float
        The same as electrons, e⁻/Å².
    flags : tuple of str
        What to hold against it here, each a sentence.
    source : str
        Where it is from.
    """

    name: str
    dose: float
    low: float
    high: float
    fluence: float
    flags: tuple[str, ...]
    source: str


@dataclass(frozen=True)
class Budget:
    """All estimates for one resolution, side by side.

    Attributes
    ----------
    d : float
        Full period, Å.
    material : str
        What all doses are stated for.
    voltage : float
        kV.
    estimates : tuple of Estimate
        The lowest first.
    """

    d: float
    material: str
    voltage: float
    estimates: tuple[Estimate, ...]

    @property
    def limiting(self) -> Estimate:
        """The lowest estimate."""
        return self.estimates[0]

    @property
    def dose(self) -> float:
        """Dose of the limiting estimate, MGy."""
        return self.limiting.dose

    def __getitem__(self, name: str) -> Estimate:
        """Give the estimate of this name."""
        for one in self.estimates:
            if one.name == name:
                return one
        names = ", ".join(one.name for one in self.estimates)
        raise ClxemError(f"There is no estimate {name!r}; there are {names}.")

    def share(self, dose: float) -> dict[str, float]:
        """Give a dose as share of each estimate, by name."""
        return {one.name: dose / one.dose for one in self.estimates}


def budget(
    d: Any,
    material: str | Material = "cell",
    voltage: Any = 300,
    stability: Any = STABILITY,
) -> Budget:
    """Give every estimate of the dose that a resolution stands, none hidden.

    Parameters
    ----------
    d : float or Quantity
        Wanted resolution as full period, Å.
    material : str or Material
        What doses are stated for.
    voltage : float or Quantity
        Of the electrons, kV.
    stability : float or Quantity
        Dose that the ice itself stands, MGy.

    Returns
    -------
    Budget
        Howells et al. 2009 (100 MGy/nm); the critical and the optimum exposure of Grant &
        Grigorieff 2015, times C_F; the ice's stability. Each is good to a factor of two.
    """
    spacing = one_positive(d, "angstrom", "The resolution d")
    kv = one_positive(voltage, "kilovolt", "The voltage")
    factor = conversion_factor(kv, material)
    critical, measured = _critical_dose(spacing, material, kv)
    flags = []
    if spacing > _FARTHEST:
        flags.append(f"Extrapolated: measured up to {_FARTHEST:g} Å.")
    if not measured:
        flags.append(f"Not measured at {kv:g} kV: taken at 300 kV as dose.")
    grant = "Grant & Grigorieff 2015"
    doses = (
        ("howells", HOWELLS * spacing / 10.0, (), "Howells et al. 2009: 100 MGy/nm"),
        ("critical", float(critical), tuple(flags), f"{grant}: amplitude down to exp(-1/2)"),
        ("optimum", OPTIMUM * float(critical), tuple(flags), f"{grant}: best signal to noise"),
        (
            "stability",
            one_positive(stability, "megagray", "The stability of the ice"),
            (),
            "set by the user: where ice may begin to bubble",
        ),
    )
    found = [
        Estimate(name, dose, dose / _BAND, dose * _BAND, dose / factor, notes, source)
        for name, dose, notes, source in doses
    ]
    name = getattr(material, "name", str(material))
    return Budget(spacing, name, kv, tuple(sorted(found, key=lambda one: one.dose)))


def supported_resolution(
    dose: Any, material: str | Material = "cell", voltage: Any = 300
) -> dict[str, float]:
    """Give the finest full period, Å, that a dose still leaves, by each estimate.

    Parameters
    ----------
    dose : float
        MGy, stated for `material`.
    material, voltage
        As :func:`budget`.

    Returns
    -------
    dict
        ``"howells"``, ``"critical"`` and ``"optimum"`` to Å; 0 where the estimate puts no limit
        above atomic spacing.
    """
    spent = one_not_negative(dose, "megagray", "The dose")
    kv = one_positive(voltage, "kilovolt", "The voltage")
    known = kv if kv in _SCALES else 300.0
    fluence = spent / conversion_factor(known, material) / _SCALES[known]

    def spacing(electrons: float) -> float:
        above = max(electrons - 2.8141, 0.0) / 0.24499
        return float(above ** (1 / 1.6649))

    return {
        "howells": 10.0 * spent / HOWELLS,
        "critical": spacing(fluence),
        "optimum": spacing(fluence / OPTIMUM),
    }


def required_fluence(
    d: Any,
    contrast: Any,
    signal_to_noise: float = 5.0,
    efficiency: Any = 1.0,
    transmission: Any = 1.0,
) -> float:
    """Give the photons that show a detail by absorption (Rose).

    F = 2 S² / ((Δμ d)² d² η T)

    Parameters
    ----------
    d : float or Quantity
        Size of the detail, the half-pitch, nm.
    contrast : float or Quantity
        Difference Δμ of linear absorption to what surrounds it, 1/µm; see :func:`contrast_of`.
    signal_to_noise : float
        S; 5 by Rose.
    efficiency : float
        η of optics and detector together; about 0.1 with a zone plate.
    transmission : float
        T of the rest of the sample on the way.

    Returns
    -------
    float
        Photons/µm² incident, all images together.
    """
    size = one_positive(d, "nanometer", "The half-pitch d") * 1e-3
    delta = abs(one_amount(contrast, "1/micrometer", "The contrast"))
    if delta == 0:
        raise ClxemError("The detail absorbs as what surrounds it; no fluence shows it.")
    ratio = one_positive(signal_to_noise, "dimensionless", "The signal-to-noise ratio")
    seen = one_fraction(efficiency, "The efficiency")
    seen *= one_fraction(transmission, "The transmission")
    return 2.0 * ratio**2 / ((delta * size) ** 2 * size**2 * seen)


def contrast_of(
    energy: Any, detail: str | Material = "protein", surround: str | Material = "ice"
) -> float:
    """Give the difference of linear absorption of two materials, 1/µm, at an energy in eV."""
    ev = one_positive(energy, "electron_volt", "The photon energy")
    return linear_attenuation(detail, ev) - linear_attenuation(surround, ev)


def required_dose(
    d: Any,
    energy: Any,
    detail: str | Material = "protein",
    surround: str | Material = "ice",
    material: str | Material | None = None,
    **rose: Any,
) -> float:
    """Give the dose, MGy, that the photons of :func:`required_fluence` leave.

    Parameters
    ----------
    d : float
        Half-pitch, nm.
    energy : float
        eV.
    detail, surround : str or Material
        What is to be seen, and in what.
    material : str or Material, optional
        What the dose is stated for; the detail itself by default.
    **rose
        As :func:`required_fluence`.
    """
    if rose.keys() - _ROSE:
        raise ClxemError(
            f"The required dose takes no {', '.join(sorted(rose.keys() - _ROSE))}; it takes "
            f"{', '.join(_ROSE)}."
        )
    fluence = required_fluence(d, contrast_of(energy, detail, surround), **rose)
    return float(xray_dose(fluence, energy, detail if material is None else material))
