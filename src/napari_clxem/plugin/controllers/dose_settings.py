"""What doses are held against, and which are shown."""

from __future__ import annotations

from dataclasses import dataclass

from napari_clxem.dose import Budget, budget
from napari_clxem.dose.limits import STABILITY
from napari_clxem.plugin.controllers.dose_scene import Included


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What the doses are held against, and which are shown.

    Attributes
    ----------
    d : float
        Resolution wanted, full period, Å.
    material : str
        What doses are stated for.
    voltage : float
        kV.
    stability : float
        Dose that the ice stands, MGy.
    estimate : str
        Which estimate of the budget is drawn; empty for the lowest.
    surface : bool
        Show the dose in the layer below the surface.
    included : {"all", "recorded", "planned"}
        Which exposures count.
    outlines : bool
        Whether footprints are outlined.
    """

    d: float = 20.0
    material: str = "cell"
    voltage: float = 300.0
    stability: float = STABILITY
    estimate: str = ""
    surface: bool = False
    included: Included = "all"
    outlines: bool = True

    @property
    def budget(self) -> Budget:
        """All estimates."""
        return budget(self.d, self.material, self.voltage, self.stability)

    @property
    def level(self) -> float:
        """Dose of the estimate that is drawn, MGy."""
        found = self.budget
        return found[self.estimate].dose if self.estimate else found.dose
