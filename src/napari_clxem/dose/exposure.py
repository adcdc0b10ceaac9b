"""One exposure of the sample, recorded or planned, of any modality."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Exposure:
    """One look at the sample: where the beam was, how it was turned, and what it left.

    A footprint is kept analytically: beam shape, tilts and dose per image, never as a raster.

    Parameters
    ----------
    id : str
        Stable identifier.
    modality : str
        ``"confocal"``, ``"sxt"``, ``"sem"``, ``"fib"``, ``"tem"`` ...
    frame : str
        Frame in which `aim` is given.
    aim : tuple of float
        Centre of the beam (y, x), µm.
    beam_radius : float or None
        Radius of a round beam, µm.
    beam_size : tuple of float or None
        Full height and width (y, x) of a rectangular beam, µm; one of radius and size is given.
    tilts : tuple of float
        Stage tilt of each image, degrees.
    axis_azimuth : float
        Tilt axis from +y towards -x, degrees: the axis runs along (-sin, cos) in (x, y).
    pretilt : float
        Stage tilt at which the frame's plane is perpendicular to the beam, degrees.
    dose_per_image : float or None
        Entrance dose of one image in `material`, MGy; None means unknown, never zero.
    material : str
        Material the dose is stated for.
    energy : float or None
        Photon energy, eV, or electron energy, eV.
    images : int
        Images per tilt.
    time : str
        ISO 8601 time stamp, or empty.
    planned : bool
        True for an exposure that has not happened yet.
    source : str
        File the record was made from, or empty.
    """

    id: str
    modality: str
    frame: str
    aim: tuple[float, float]
    beam_radius: float | None = None
    beam_size: tuple[float, float] | None = None
    tilts: tuple[float, ...] = (0.0,)
    axis_azimuth: float = 0.0
    pretilt: float = 0.0
    dose_per_image: float | None = None
    material: str = "cell"
    energy: float | None = None
    images: int = 1
    time: str = ""
    planned: bool = False
    source: str = ""
