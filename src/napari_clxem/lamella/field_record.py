"""What is kept of a field for an X-ray tomogram: planned, taken, and what came of it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from math import isfinite
from typing import TYPE_CHECKING, Literal

import numpy as np

from napari_clxem.errors import LamellaError
from napari_clxem.frames.affine import Floats
from napari_clxem.lamella.optics import Optics
from napari_clxem.lamella.sites import SiteProposal

if TYPE_CHECKING:
    from typing import Self

FieldStatus = Literal["planned", "taken", "dropped"]


@dataclass(frozen=True, kw_only=True)
class FieldRecord:
    """One field for an X-ray tomogram, in the plane of a map.

    A field that is planned reserves what its tilt series irradiates, one that was taken has spent
    it, and one that was dropped does neither.

    Parameters
    ----------
    id : str
        Stable identifier.
    name : str
    site : str or None
        Identifier of its site.
    frame : str
        Frame of the map that the microscope is aimed by.
    centre : tuple of float
        Middle of the field (y, x), µm.
    optics : Optics
        Size of the field, beam and tilts.
    targets : tuple of str
        Identifiers of the targets it is meant to hold.
    status : str
        ``"planned"``, ``"taken"`` or ``"dropped"``.
    pointing : float or None
        Sd per axis with which the beam was expected to hit the centre, µm.
    tomogram : str
        Identifier of the dataset that came of it; empty for none said.
    lamella : str
        Identifier of the lamella cut there; empty for none said.
    verdict : str
        What became of it, in a few words.
    """

    id: str
    name: str = ""
    site: str | None = None
    frame: str
    centre: tuple[float, float]
    optics: Optics = field(default_factory=Optics)
    targets: tuple[str, ...] = ()
    status: FieldStatus = "planned"
    pointing: float | None = None
    tomogram: str = ""
    lamella: str = ""
    verdict: str = ""

    def __post_init__(self) -> None:
        if not self.id or not self.frame:
            raise LamellaError("A field is kept with an id and the frame it lies in; give both.")
        if len(self.centre) != 2 or not all(isfinite(value) for value in self.centre):
            raise LamellaError(
                f"The field {self.name or self.id!r} lies at {self.centre}; give (y, x) in µm."
            )

    @property
    def halo(self) -> Floats:
        """Outline of what its tilt series irradiates, (n, 2) µm (y, x)."""
        return np.asarray(self.optics.halo() + np.array(self.centre))

    @property
    def outline(self) -> Floats:
        """Corners of the field, (4, 2) µm (y, x)."""
        square = 0.5 * np.array([[-1.0, -1.0], [-1.0, 1.0], [1.0, 1.0], [1.0, -1.0]])
        return np.asarray(np.array(self.centre) + square * np.array(self.optics.size))

    @property
    def reserves(self) -> bool:
        """Whether other fields keep off what it irradiates."""
        return self.status != "dropped"

    def moved(self, centre: tuple[float, float]) -> FieldRecord:
        """Give the field about another centre (y, x), µm."""
        return replace(self, centre=(float(centre[0]), float(centre[1])))

    @classmethod
    def of(
        cls,
        proposal: SiteProposal,
        optics: Optics,
        *,
        id: str,  # noqa: A002 - the field's name
        frame: str,
        targets: tuple[str, ...] = (),
        site: str | None = None,
    ) -> Self:
        """Give the record of a field that was proposed.

        Parameters
        ----------
        proposal : SiteProposal
        optics : Optics
            What it was proposed with.
        id, frame, targets, site
            As the fields.
        """
        return cls(
            id=id,
            name=proposal.name,
            site=site,
            frame=frame,
            centre=proposal.centre,
            optics=replace(optics, size=proposal.size, tilts=proposal.tilts),
            targets=targets,
            pointing=proposal.pointing,
        )
