"""Sizes that follow from bead and pixel: what is averaged, and how wide a window is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from napari_clxem.fiducials.profiles import FWHM, Profile


@dataclass(frozen=True)
class Geometry:
    """Sizes that follow from the bead and the image's spacing, in pixels per axis.

    Parameters
    ----------
    spacing : tuple of float
        Pixel size, µm.
    coarse, fine : tuple of int
        Pixels averaged for detection and for localisation.
    sigma : tuple of float
        Standard deviations of the blurred bead, µm.
    half : tuple of int
        Half side of a window in averaged pixels.
    diameter : float
        Of the bead, or of its image where the blur is larger, µm.
    sign : float
        1 for bright beads, -1 for dark ones.
    """

    spacing: tuple[float, ...]
    coarse: tuple[int, ...]
    fine: tuple[int, ...]
    sigma: tuple[float, ...]
    half: tuple[int, ...]
    diameter: float
    sign: float

    @property
    def window(self) -> tuple[int, ...]:
        """Window's side in averaged pixels."""
        return tuple(2 * h + 1 for h in self.half)

    @property
    def reach(self) -> tuple[int, ...]:
        """Image pixels from a candidate to the far side of its window."""
        return tuple(f * w // 2 + 1 for f, w in zip(self.fine, self.window, strict=True))

    @property
    def cell(self) -> tuple[int, ...]:
        """Image pixels of a noise cell: a multiple of the averaging, even in the plane."""
        even = tuple(2 * f * -(-8 // f) for f in self.coarse[-2:])
        return tuple(f * -(-4 // f) for f in self.coarse[:-2]) + even


def geometry(
    spacing: tuple[float, ...], diameter: float, profile: Profile, sign: float
) -> Geometry:
    """Choose averaging and window so that cost follows the bead, not the pixel size."""
    ndim = len(spacing)
    axial, lateral = profile.sigma
    # What is looked for is as large as its image, however small the bead.
    diameter = max(diameter, FWHM * lateral)
    sigma = (axial, lateral, lateral)[-ndim:]
    lateral_blur = profile.blur[1]
    blur = (profile.blur[0], lateral_blur, lateral_blur)[-ndim:]
    coarse = tuple(max(1, int(s / 1.3 / p + 1e-6)) for s, p in zip(sigma, spacing, strict=True))
    finest = diameter / (24.0 if ndim == 2 else 16.0)
    if ndim == 3:
        # Pixels much larger than the blur hide the edge, which is what tells the position.
        finest = float(np.clip(2.2 * lateral_blur, diameter / 18.0, finest))
    fine = tuple(max(1, round(finest / p)) for p in spacing)
    # A small window leaves the slope of the background open, and with it the position: these cost
    # up to 7 % of the error. A larger one holds more of what is no bead.
    share, blurs = (0.75, 3.0) if ndim == 2 else (0.65, 2.1)
    extent = [share * diameter + blurs * b for b in blur]
    half = tuple(
        max(2, int(np.ceil(e / (p * f)))) for e, p, f in zip(extent, spacing, fine, strict=True)
    )
    return Geometry(spacing, coarse, fine, sigma, half, diameter, sign)
