"""Exposures as instruments are usually run; every number can be changed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from napari_clxem.dose.exposure import Exposure
from napari_clxem.dose.fluence import photons_from_flux
from napari_clxem.dose.layers import scanned_fluence
from napari_clxem.errors import ClxemError

_PAPER = "cryo-CLXEM paper, Commun. Biol. 2025, s42003-025-09072-x, Methods"
_MISTRAL = "Sorrentino et al. 2015, J. Synchrotron Rad. 22, 1112 (MISTRAL at ALBA)"


@dataclass(frozen=True, kw_only=True)
class Preset:
    """A way of exposing, from which exposures are made.

    Parameters
    ----------
    name, modality : str
    energy : float
        Of photons or electrons, eV.
    beam_radius : float or None
        µm.
    beam_size : tuple of float or None
        Of a scanned or rectangular beam (y, x), µm.
    tilts : tuple of float
        Degrees.
    pretilt : float
        Stage tilt at which the sample is perpendicular to the beam, degrees.
    exposure_time : float or None
        Of one image, s.
    flux : float or None
        Photons/s.
    slit : float
        Opening of the slit over that at which `flux` was measured.
    measured : {"beam", "field"}
        Where the flux was measured: in the whole beam, or within the camera's field.
    field : tuple of float or None
        Camera's field (y, x), µm.
    fluence : float or None
        Per image, e⁻/Å², where it does not follow from a flux.
    current, dwell, pixel : float or None
        Of a scanning microscope: pA, µs, nm.
    half_pitch : float or None
        What the optics resolve, nm.
    material : str
        What doses are stated for.
    source : str
        Where the numbers are from.
    assumptions : tuple of str
        Which are not, each a sentence.
    """

    name: str
    modality: str
    energy: float
    beam_radius: float | None = None
    beam_size: tuple[float, float] | None = None
    tilts: tuple[float, ...] = (0.0,)
    pretilt: float = 0.0
    exposure_time: float | None = None
    flux: float | None = None
    slit: float = 1.0
    measured: Literal["beam", "field"] = "beam"
    field: tuple[float, float] | None = None
    fluence: float | None = None
    current: float | None = None
    dwell: float | None = None
    pixel: float | None = None
    half_pitch: float | None = None
    material: str = "cell"
    source: str = ""
    assumptions: tuple[str, ...] = ()

    @property
    def image_fluence(self) -> float:
        """Fluence of one image: photons/µm², or e⁻/Å²."""
        if self.fluence is not None:
            return self.fluence
        if self.current is not None:
            return scanned_fluence(self.current, self.dwell, self.pixel)
        return self.readings()[self.measured]

    def readings(self) -> dict[Literal["beam", "field"], float]:
        """Give the photons/µm² of one image by both readings of the flux.

        Raises
        ------
        ClxemError
            Where there is no flux, or no beam and field to share it out over.
        """
        if self.flux is None or self.beam_radius is None or self.field is None:
            raise ClxemError(
                f"Preset {self.name!r} has no flux, beam and field; give a fluence or all three."
            )
        areas: dict[Literal["beam", "field"], float] = {
            "beam": float(np.pi * self.beam_radius**2),
            "field": self.field[0] * self.field[1],
        }
        return {
            name: photons_from_flux(self.flux, area, self.exposure_time, slit=self.slit)
            for name, area in areas.items()
        }

    def exposure(self, frame: str, aim: ArrayLike, **changes: Any) -> Exposure:
        """Make an exposure, planned unless said otherwise.

        Parameters
        ----------
        frame : str
            Frame of the aim.
        aim : (2,) array_like
            (y, x), µm.
        **changes
            Any field of :class:`Exposure`.
        """
        fields: dict[str, Any] = {
            "modality": self.modality,
            "frame": frame,
            "aim": aim,
            "beam_radius": self.beam_radius,
            "beam_size": self.beam_size,
            "tilts": self.tilts,
            "pretilt": self.pretilt,
            "energy": self.energy,
            "fluence": self.image_fluence,
            "material": self.material,
            "planned": True,
            "basis": f"Preset {self.name}: {self.source}",
        }
        if "beam_radius" in changes or "beam_size" in changes:
            fields |= {"beam_radius": None, "beam_size": None}
        return Exposure.tilt_series(**(fields | changes))


PRESETS: Mapping[str, Preset] = MappingProxyType(
    {
        preset.name: preset
        for preset in (
            Preset(
                name="Mistral 40 nm",
                modality="sxt",
                energy=520.0,
                beam_radius=10.0,
                tilts=tuple(np.arange(-65.0, 66.0).tolist()),
                exposure_time=1.0,
                flux=2.08e10,
                slit=8 / 15,
                measured="field",
                field=(13.0, 13.0),
                half_pitch=40.0,
                source=_PAPER,
                assumptions=(
                    "The beam is taken as a disc of 10 µm radius.",
                    "The flux is taken to fall on the 169 µm² field, as the paper does; over the "
                    "whole beam it gives 0.54 of that dose.",
                ),
            ),
            Preset(
                name="Mistral 25 nm",
                modality="sxt",
                energy=520.0,
                beam_radius=10.0,
                tilts=tuple(np.arange(-65.0, 66.0).tolist()),
                exposure_time=2.0,
                flux=2.08e10,
                slit=8 / 15,
                measured="field",
                field=(10.0, 10.0),
                half_pitch=25.0,
                source=_MISTRAL,
                assumptions=(
                    "Flux and slit are those of the 40 nm preset.",
                    "2 s per image and a field of 10 µm are usual values; set those of the day.",
                    "The beam is taken as a disc of 10 µm radius.",
                ),
            ),
            Preset(
                name="Krios 300 kV",
                modality="tem",
                energy=300e3,
                beam_radius=0.9,
                tilts=tuple(np.arange(-50.0, 71.0, 3.0).tolist()),
                pretilt=10.0,
                fluence=110.0 / 41,
                source=_PAPER,
                assumptions=(
                    "110 e⁻/Å² in all, as stated there; at the printed 1.77 s it would be 193.",
                    "The beam just covers the diagonal of a field of 4096 pixels of 3.1 Å.",
                    "The lamella is taken to lie at a stage tilt of 10°.",
                ),
            ),
            Preset(
                name="Aquilos SEM 2 kV",
                modality="sem",
                energy=2000.0,
                beam_size=(204.8, 307.2),
                current=13.0,
                dwell=1.0,
                pixel=200.0,
                source="Aquilos 2 overview at 2 kV, 13 pA; range by Kanaya & Okayama 1972",
                assumptions=("1536 x 1024 pixels of 200 nm, 1 µs each, one pass.",),
            ),
        )
    }
)
