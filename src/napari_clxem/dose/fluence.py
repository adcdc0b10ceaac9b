"""Fluence from what an instrument says: flux over area, detector counts, dose rates."""

from __future__ import annotations

from typing import Any, Literal

from napari_clxem.dose.quantities import one_fraction, one_positive, written
from napari_clxem.errors import ClxemError


def photons_from_flux(
    flux: Any,
    area: Any,
    time: Any,
    *,
    slit: Any = 1.0,
    measured: Literal["beam", "field"] = "beam",
    field: Any = None,
) -> float:
    """Give the photons per area of one image from a measured flux.

    Parameters
    ----------
    flux : float or Quantity
        Photons/s on the sample, with the slit as it was when the flux was measured.
    area : float or Quantity
        Illuminated area, µm²: that of the beam, not of the camera's field.
    time : float or Quantity
        Exposure time of one image, s.
    slit : float
        Opening of the slit over that of the measurement, up to 1.
    measured : {"beam", "field"}
        ``"field"`` where the flux was measured within the camera's field alone.
    field : float or Quantity, optional
        Area of that field, µm².

    Returns
    -------
    float
        Photons/µm², integrated over `time`.

    Raises
    ------
    ClxemError
        For a number of 0 or less, or a field that is not given.
    """
    if not isinstance(measured, str) or measured not in ("beam", "field"):
        raise ClxemError(f"The flux was measured in {written(measured)}; say 'beam' or 'field'.")
    if measured == "field" and field is None:
        raise ClxemError("A flux measured within the camera's field needs the field's area, µm².")
    lit = one_positive(field if measured == "field" else area, "micrometer**2", "The area")
    photons = one_positive(flux, "1/second", "The flux") * one_fraction(slit, "The slit's opening")
    return photons * one_positive(time, "second", "The exposure time") / lit


def photons_from_counts(
    counts: Any, pixel: Any, counts_per_photon: Any, efficiency: Any = 1.0, transmission: Any = 1.0
) -> float:
    """Give the photons per area that a flat field's counts tell of.

    Parameters
    ----------
    counts : float
        Mean counts per pixel of the flat field, dark counts taken off.
    pixel : float or Quantity
        Pixel size on the sample, µm.
    counts_per_photon : float
        Of the detector, for photons of this energy.
    efficiency : float
        Of optics and detector together, from the sample on.
    transmission : float
        1 for a flat field beside the sample.

    Returns
    -------
    float
        Incident photons/µm².
    """
    photons = one_positive(counts, "dimensionless", "The counts") / one_positive(
        counts_per_photon, "dimensionless", "The counts per photon"
    )
    seen = one_fraction(efficiency, "The efficiency")
    seen *= one_fraction(transmission, "The transmission")
    return photons / seen / one_positive(pixel, "micrometer", "The pixel size") ** 2


def electrons_from_rate(rate: Any, pixel: Any, time: Any) -> float:
    """Give the fluence of one image, e⁻/Å², from a dose rate measured without sample.

    Parameters
    ----------
    rate : float or Quantity
        e⁻ per pixel and second. Measured behind a sample it gives a lower bound only.
    pixel : float or Quantity
        Size on the sample of the pixels that the rate is for, Å.
    time : float or Quantity
        s.
    """
    side = one_positive(pixel, "angstrom", "The pixel size")
    electrons = one_positive(rate, "1/second", "The dose rate")
    return electrons * one_positive(time, "second", "The exposure time") / side**2
