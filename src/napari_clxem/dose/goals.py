"""What a chain of steps is for, and what is said of it."""

from __future__ import annotations

import math
from dataclasses import dataclass

from napari_clxem.dose.exposure import Exposure
from napari_clxem.dose.limits import STABILITY, Budget, budget
from napari_clxem.dose.physics import conversion_factor
from napari_clxem.dose.quantities import one_fraction, one_positive
from napari_clxem.materials import find_material


@dataclass(frozen=True, kw_only=True)
class Goal:
    """What a chain of steps is for.

    Parameters
    ----------
    sxt : float or None
        Detail to be seen by X-rays, as half-pitch, nm.
    et : float or None
        Resolution wanted of electron tomography, as full period, Å.
    amplitude : float
        Which part of the amplitude at `et` must be left when electron tomography begins.
    stability : float
        Dose that the ice stands, MGy: no step may go beyond.
    material : str
        What all doses are stated for.
    voltage : float
        Of the electrons, kV.
    detail, surround : str
        What is to be seen by X-rays, and in what.
    signal_to_noise, efficiency, transmission : float
        As :func:`napari_clxem.dose.required_fluence`.
    """

    sxt: float | None = 30.0
    et: float | None = 20.0
    amplitude: float = math.exp(-0.5)
    stability: float = STABILITY
    material: str = "cell"
    voltage: float = 300.0
    detail: str = "protein"
    surround: str = "ice"
    signal_to_noise: float = 5.0
    efficiency: float = 0.1
    transmission: float = 0.45

    def check(self) -> None:
        """Raise ClxemError where a number cannot be."""
        for name, unit in (("sxt", "nanometer"), ("et", "angstrom")):
            value = getattr(self, name)
            if value is not None:
                one_positive(value, unit, f"The resolution wanted ({name})")
        one_fraction(self.amplitude, "The amplitude to be left")
        one_positive(self.stability, "megagray", "The stability of the ice")
        conversion_factor(self.voltage, self.material)
        one_positive(self.signal_to_noise, "dimensionless", "The signal-to-noise ratio")
        one_fraction(self.efficiency, "The efficiency")
        one_fraction(self.transmission, "The transmission")
        for material in (self.detail, self.surround):
            find_material(material)

    @property
    def budget(self) -> Budget | None:
        """All estimates for the resolution wanted of electron tomography."""
        if self.et is None:
            return None
        return budget(self.et, self.material, self.voltage, self.stability)


@dataclass(frozen=True)
class Verdict:
    """What one step does at the target.

    Attributes
    ----------
    exposure : Exposure
    images : int
        Images that hit the target.
    dose : float
        MGy, of this step.
    before, after : float
        MGy, all steps up to it.
    left : float
        Of the ice's stability after it, MGy; negative where it is overspent.
    amplitude : float or None
        Left at the wanted resolution when the step begins; None without such a goal.
    resolution : dict
        Full period still supported after it, Å, by each estimate.
    signal : float or None
        Photons at the target over those required (Rose); None for other than X-ray steps.
    ok : bool
        Whether the step gives and leaves what is wanted.
    notes : tuple of str
        Why not, or what to know; each a sentence.
    """

    exposure: Exposure
    images: int
    dose: float
    before: float
    after: float
    left: float
    amplitude: float | None
    resolution: dict[str, float]
    signal: float | None
    ok: bool
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Plan:
    """What a chain of steps costs at a target and leaves.

    Attributes
    ----------
    goal : Goal
    target : tuple of float
        µm, in `frame`.
    frame : str
    steps : tuple of Verdict
        Recorded and planned, in order.
    largest_sxt_dose : float or None
        Most that all X-ray steps together may leave at the target, MGy; None without one.
    largest_sxt_fluence : float or None
        The same as photons/µm², where one energy was used.
    limited_by : str
        ``"amplitude"`` or ``"stability"``.
    changes : tuple of str
        What would mend it, each a sentence.
    notes : tuple of str
        What the plan could not count.
    """

    goal: Goal
    target: tuple[float, ...]
    frame: str
    steps: tuple[Verdict, ...]
    largest_sxt_dose: float | None
    largest_sxt_fluence: float | None
    limited_by: str
    changes: tuple[str, ...]
    notes: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """Whether every planned step gives and leaves what is wanted."""
        return all(step.ok for step in self.steps if step.exposure.planned)

    @property
    def dose(self) -> float:
        """All steps together at the target, MGy."""
        return self.steps[-1].after if self.steps else 0.0

    @property
    def budget(self) -> Budget | None:
        """All estimates for the resolution wanted of electron tomography."""
        return self.goal.budget
