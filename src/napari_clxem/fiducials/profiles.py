"""What a bead looks like: its blurred profile, tabulated once and looked up for every pixel.

A bead is a ball of known diameter seen through a Gaussian point spread function. In a volume it
is a filled ball. In a projection it is the chord length ``2 sqrt(R² - r²)``, which an opacity
``k`` (optical depth through the centre) turns into ``1 - exp(-k chord / 2R)``: a transparent
ball for small k, a flat disc for large.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]

FWHM = 2.0 * float(np.sqrt(2.0 * np.log(2.0)))
"""Full width at half maximum of a Gaussian over its standard deviation."""

_REACH = 4.0


@dataclass(frozen=True)
class Profile:
    """A bead of unit peak, as a table over lateral radius and axial distance.

    Parameters
    ----------
    values, axial : (nz, nr) ndarray
        The profile, and its derivative along the axis, 1/µm.
    radial : (nz, nr) ndarray
        Derivative along the radius divided by the radius, 1/µm², which is smooth at zero.
    step : float
        Spacing of the table, µm.
    ball : float
        Variance of the unblurred bead along one axis, µm².
    blur : tuple of float
        Standard deviations of the blur, (axial, lateral), µm.
    bead : float
        Diameter of the bead, µm.
    opacity : float or None
        Optical depth of a projected ball; None for a ball in a volume.
    """

    values: Floats
    radial: Floats
    axial: Floats
    step: float
    ball: float
    blur: tuple[float, float]
    bead: float
    opacity: float | None

    @property
    def sigma(self) -> tuple[float, float]:
        """Standard deviation of the blurred bead along (axial, lateral), µm."""
        return (
            float(np.sqrt(self.ball + self.blur[0] ** 2)),
            float(np.sqrt(self.ball + self.blur[1] ** 2)),
        )

    def lookup(self, rho: Floats, zeta: Floats | None) -> tuple[Floats, Floats, Floats | None]:
        """Give value, radial derivative over radius and axial derivative (None in 2D).

        Parameters
        ----------
        rho, zeta : ndarray
            Lateral radius and axial distance of the same shape, µm; `zeta` None in 2D.
        """
        depth, width = self.values.shape
        column = rho / self.step
        i = np.minimum((column + 0.5).astype(np.intp), width - 1)
        if zeta is None:
            value = self.values[0].take(i)
            slope = self.radial[0].take(i)
            return value + slope * rho * (rho - i * self.step), slope, None
        row = np.abs(zeta) / self.step
        j = np.minimum((row + 0.5).astype(np.intp), depth - 1)
        i += j * width
        value = self.values.ravel().take(i)
        slope = self.radial.ravel().take(i)
        axial = self.axial.ravel().take(i)
        # Past the table's last row or column everything is zero, the derivatives too.
        value += slope * rho * (rho - (i - j * width) * self.step)
        value += axial * (row - j) * self.step
        return value, slope, axial * np.sign(zeta)

    def blurred(self, axial: float, lateral: float, opacity: float | None = None) -> Profile:
        """Give the profile of the same bead under another blur (standard deviations, µm).

        In projection its opacity may be another, too.
        """
        if self.opacity is None:
            return solid_ball(self.bead, axial, lateral)
        return projected_ball(self.bead, lateral, self.opacity if opacity is None else opacity)

    def softened(self, share: float) -> Profile:
        """Give a profile as wide as this one, of a ball `share` as large under more blur.

        It stands for the same bead: as `share` falls, the image becomes a Gaussian.
        """
        rest = self.ball * (1.0 - share**2)
        axial, lateral = (round(float(np.sqrt(blur**2 + rest)), 4) for blur in self.blur)
        if self.opacity is None:
            soft = solid_ball(share * self.bead, axial, lateral)
        else:
            soft = projected_ball(share * self.bead, lateral, self.opacity)
        return replace(soft, ball=self.ball, blur=self.blur, bead=self.bead)

    def diameter(self, scale: Floats) -> Floats:
        """Diameter of a bead whose image is `scale` times as wide as this profile's.

        Second moments add, so the blur is taken off in quadrature.
        """
        lateral = self.blur[1] ** 2
        variance = scale**2 * (self.ball + lateral) - lateral
        actual: Floats = self.bead * np.sqrt(np.maximum(variance, 0.0) / self.ball)
        return actual


def _derivatives(values: Floats, step: float) -> tuple[Floats, Floats]:
    """Radial derivative over radius, and axial derivative, of a half-plane of values."""
    radius = np.arange(values.shape[1]) * step
    along = np.gradient(values, step, axis=1)
    radial = np.empty_like(values)
    radial[:, 1:] = along[:, 1:] / radius[1:]
    radial[:, 0] = 2.0 * (values[:, 1] - values[:, 0]) / step**2
    if values.shape[0] == 1:
        return radial, np.zeros_like(values)
    axial = np.gradient(values, step, axis=0)
    axial[0] = 0.0
    return radial, axial


def _close(
    values: Floats,
    step: float,
    ball: float,
    blur: tuple[float, float],
    bead: float,
    opacity: float | None,
) -> Profile:
    """Normalise to unit peak and end the table in zeros."""
    values = values / values[0, 0]
    radial, axial = _derivatives(values, step)
    for table in (values, radial, axial):
        table[:, -1] = 0.0
        if values.shape[0] > 1:
            table[-1] = 0.0
    return Profile(values, radial, axial, step, ball, blur, bead, opacity)


@lru_cache(maxsize=64)
def projected_ball(diameter: float, blur: float, opacity: float) -> Profile:
    """Profile of a ball in projection.

    Parameters
    ----------
    diameter, blur : float
        Diameter of the ball and standard deviation of the blur, µm.
    opacity : float
        Optical depth through the centre: 0 for a transparent ball, large for a flat disc.
    """
    from scipy.ndimage import gaussian_filter

    radius = diameter / 2.0
    step = min(max(radius, 2.0 * blur) / 40.0, blur / 8.0)
    reach = radius + _REACH * blur + 3.0 * step
    half = int(np.ceil(reach / step))
    line = np.arange(-half, half + 1) * step
    r2 = line[:, None] ** 2 + line[None, :] ** 2
    chord = np.sqrt(np.clip(radius**2 - r2, 0.0, None)) / radius
    sharp = chord if opacity < 1e-3 else -np.expm1(-opacity * chord)
    ball = float((sharp * line[:, None] ** 2).sum() / sharp.sum())
    blurred = gaussian_filter(sharp, blur / step, truncate=_REACH + 1.0, mode="constant")
    return _close(blurred[half, half:][None, :].copy(), step, ball, (blur, blur), diameter, opacity)


@lru_cache(maxsize=64)
def solid_ball(diameter: float, axial_blur: float, lateral_blur: float) -> Profile:
    """Profile of a filled ball in a volume.

    A ball blurred alike in all directions has a closed form; what the axial blur has beyond the
    lateral one is a convolution along the axis.

    Parameters
    ----------
    diameter, axial_blur, lateral_blur : float
        Diameter of the ball and standard deviations of the blur along and across the axis, µm;
        an axial blur below the lateral one counts as equal to it.
    """
    from scipy.ndimage import gaussian_filter1d

    radius = diameter / 2.0
    axial_blur = max(axial_blur, lateral_blur)
    step = min(max(radius, 2.0 * lateral_blur) / 40.0, lateral_blur / 8.0)
    across = np.arange(int(np.ceil((radius + _REACH * lateral_blur) / step)) + 3) * step
    half = int(np.ceil((radius + _REACH * axial_blur) / step)) + 3
    along = np.arange(-half, half + 1) * step
    plane = _blurred_ball(np.hypot(along[:, None], across[None, :]), radius, lateral_blur)
    extra = float(np.sqrt(axial_blur**2 - lateral_blur**2)) / step
    if extra > 0:
        plane = gaussian_filter1d(plane, extra, axis=0, truncate=_REACH + 1.0, mode="constant")
    return _close(
        plane[half:].copy(), step, radius**2 / 5.0, (axial_blur, lateral_blur), diameter, None
    )


def _blurred_ball(r: Floats, radius: float, blur: float) -> Floats:
    """Radial profile of a unit ball convolved with a Gaussian: the integral in closed form."""
    from scipy.special import erf

    inner, outer = (radius - r) / blur, (radius + r) / blur
    steps = 0.5 * (erf(inner / np.sqrt(2.0)) + erf(outer / np.sqrt(2.0)))
    bells = np.exp(-(inner**2) / 2.0) - np.exp(-(outer**2) / 2.0)
    safe = np.maximum(r, 1e-6 * radius)
    profile: Floats = steps - blur / (safe * np.sqrt(2.0 * np.pi)) * bells
    return profile
