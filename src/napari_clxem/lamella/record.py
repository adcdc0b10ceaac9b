"""What is kept of a lamella: planned, milled, and compared."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import Literal

from napari_clxem.errors import LamellaError
from napari_clxem.lamella.intersection import Overlap
from napari_clxem.lamella.presets import Joints
from napari_clxem.lamella.slab import Lamella
from napari_clxem.lamella.statistics import CampaignRow

Status = Literal["planned", "milled", "lost"]


@dataclass(frozen=True, kw_only=True)
class LamellaRecord:
    """One lamella of a session.

    Parameters
    ----------
    id : str
        Stable identifier.
    name : str
    site : str or None
        Identifier of its site.
    frame : str
        Frame that `lamella` is given in.
    lamella : Lamella
    targets : tuple of str
        Identifiers of the targets it is meant to hold.
    instrument : str
        Name of the instrument, such as a preset's.
    stage_tilt : float or None
        At which it is milled, degrees.
    status : str
        ``"planned"``, ``"milled"`` or ``"lost"``.
    placing : float or None
        Sd with which the microscope places the box, µm; None for that of the instrument.
    joints : Joints or None
        Expansion joints cut beside it.
    promised : float or None
        Expected captured fraction when it was planned.
    overlap : Overlap or None
        With its tomogram, once milled.
    note : str
    """

    id: str
    name: str = ""
    site: str | None = None
    frame: str
    lamella: Lamella
    targets: tuple[str, ...] = ()
    instrument: str = ""
    stage_tilt: float | None = None
    status: Status = "planned"
    promised: float | None = None
    overlap: Overlap | None = None
    note: str = ""
    placing: float | None = None
    joints: Joints | None = None

    def __post_init__(self) -> None:
        if not self.id or not self.frame:
            raise LamellaError("A lamella is kept with an id and the frame it lies in; give both.")
        if self.promised is not None and not 0 <= self.promised <= 1:
            raise LamellaError(
                f"The lamella {self.name or self.id!r} promises {self.promised}; a captured "
                "fraction lies between 0 and 1."
            )
        if self.placing is not None and not 0 <= self.placing < inf:
            raise LamellaError(
                f"The lamella {self.name or self.id!r} is placed to {self.placing} µm; give a "
                "standard deviation of 0 or more."
            )

    def row(self, session: str = "") -> CampaignRow:
        """Give its row in a campaign."""
        overlap = None if self.status == "lost" else self.overlap
        verdict = self.note or self.status
        return CampaignRow(
            session, self.name or self.site or self.id, overlap, self.promised, verdict
        )
