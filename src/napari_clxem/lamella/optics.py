"""What the tilt series of an X-ray microscope irradiates."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from napari_clxem.errors import LamellaError
from napari_clxem.frames.affine import Floats


@dataclass(frozen=True)
class Optics:
    """What a tilt series irradiates.

    Parameters
    ----------
    size : tuple of float
        Height and width (y, x) of the field, µm.
    beam_radius : float
        Radius of the beam with its halo, µm.
    tilts : tuple of float
        Lowest and highest tilt, degrees.
    axis_azimuth : float
        Tilt axis from +y towards -x, degrees.
    height : float
        Largest distance of anything irradiated from the tilt axis along the beam, µm.
    """

    size: tuple[float, float] = (13.0, 13.0)
    beam_radius: float = 10.0
    tilts: tuple[float, float] = (-60.0, 60.0)
    axis_azimuth: float = 0.0
    height: float = 0.0

    def __post_init__(self) -> None:
        if not (min(self.size) > 0 and self.beam_radius > 0 and self.height >= 0):
            raise LamellaError("Field, beam radius and height of the X-ray optics are above 0 µm.")
        if max(abs(tilt) for tilt in self.tilts) >= 90 or self.tilts[0] > self.tilts[1]:
            raise LamellaError(
                f"Tilts from {self.tilts[0]:g}° to {self.tilts[1]:g}° cannot be used; give a range "
                "from low to high within ±90°."
            )

    def halo(self, corners: int = 32) -> Floats:
        """Give the outline of what is irradiated about the aim, (corners, 2) µm (y, x).

        The beam reaches R / cos θ across the tilt axis, and R along it.
        """
        steepest = np.deg2rad(max(abs(tilt) for tilt in self.tilts))
        reach = self.beam_radius / np.cos(steepest) + self.height * np.tan(steepest)
        turn = np.linspace(0, 2 * np.pi, corners, endpoint=False)
        along, across = self.beam_radius * np.cos(turn), reach * np.sin(turn)
        a, b = np.cos(np.deg2rad(self.axis_azimuth)), np.sin(np.deg2rad(self.axis_azimuth))
        return np.column_stack([along * a + across * b, across * a - along * b])
