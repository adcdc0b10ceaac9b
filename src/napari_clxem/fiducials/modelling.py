"""A window of pixels as a sum of beads on a slope: model, derivatives and normal equations."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_clxem.fiducials.profiles import Floats, Profile

Indices = NDArray[np.intp]
Flags = NDArray[np.bool_]

WIDTH_SD = 0.4
"""Prior sd of the logarithm of a bead's width: beads are of one make, the blur is a guess."""

WIDEST = float(np.log(2.5))
"""Most that the logarithm of a width may be off."""

SLACK, FLAT, STIFF = 1.0 + 1e-6, 0.01, 1e8
"""Factor by which a cost may seem to rise, change of cost that is none, damping that ends a fit."""

_LEAST = 1e-6
"""Least eigenvalue of a normal matrix of unit diagonal that is told from zero."""

STILL = 0.05
"""Step, in sd, after which there is no further one."""


@dataclass(frozen=True)
class NoiseModel:
    """Variance of a pixel as a line in its expected value, never below `floor`."""

    offset: float
    gain: float
    floor: float

    def variance(self, expected: Floats) -> Floats:
        """Variance of pixels whose expected values are given."""
        variance: Floats = np.maximum(self.offset + self.gain * expected, self.floor)
        return variance


@dataclass(frozen=True)
class Windows:
    """Equal windows cut around candidates.

    Parameters
    ----------
    data : (n, m) ndarray
        Pixels of each window, flattened; NaN where there is no image.
    offsets : (n or 1, d, m) ndarray
        Positions of the pixels from the window's centre, µm; one row where all are alike.
    centres : (n, d) ndarray
        Positions of the windows' centres in the image, µm.
    pixel : float
        Area or volume of a pixel, µm^d.
    """

    data: Floats
    offsets: Floats
    centres: Floats
    pixel: float

    def take(self, rows: Indices) -> Windows:
        """Give the windows of some candidates."""
        offsets = self.offsets if len(self.offsets) == 1 else self.offsets[rows]
        return Windows(self.data[rows], offsets, self.centres[rows], self.pixel)


@dataclass(frozen=True)
class Layout:
    """Which parameter sits where: beads (centre, amplitude), log widths, background, slope."""

    beads: int
    ndim: int

    @property
    def first_width(self) -> int:
        """Index of the lateral width; in a volume the axial one follows."""
        return self.beads * (self.ndim + 1)

    @property
    def first_background(self) -> int:
        """Index of the background at the window's centre; its slope follows."""
        return self.first_width + self.ndim - 1

    @property
    def size(self) -> int:
        """Number of parameters."""
        return self.first_background + 1 + self.ndim

    def centre(self, bead: int) -> slice:
        """Give the indices of a bead's coordinates."""
        return slice(bead * (self.ndim + 1), bead * (self.ndim + 1) + self.ndim)

    def amplitude(self, bead: int) -> int:
        """Give the index of a bead's amplitude."""
        return bead * (self.ndim + 1) + self.ndim


def bead_over(
    profile: Profile, offsets: Floats, centre: Floats, log_width: Floats
) -> tuple[Floats, Floats, Floats, Floats]:
    """Give one bead of unit peak over every window, and its derivatives.

    Returns
    -------
    value : (n, m) ndarray
    d_centre : (n, d, m) ndarray
    d_width : (n, w, m) ndarray
    slope : (n, m) ndarray
        Radial derivative over radius, in scaled lengths.
    """
    lateral = np.exp(-log_width[:, :1])
    away = offsets - centre[:, :, None]
    v = away[:, -2] * lateral
    u = away[:, -1] * lateral
    rho2 = v * v + u * u
    rho = np.sqrt(rho2)
    if offsets.shape[1] == 2:
        value, slope, _ = profile.lookup(rho, None)
        d_centre = np.stack([-slope * v * lateral, -slope * u * lateral], axis=1)
        return value, d_centre, (-slope * rho2)[:, None], slope
    along = np.exp(-log_width[:, 1:2])
    zeta = away[:, 0] * along
    value, slope, axial = profile.lookup(rho, zeta)
    assert axial is not None
    d_centre = np.stack([-axial * along, -slope * v * lateral, -slope * u * lateral], axis=1)
    return value, d_centre, np.stack([-slope * rho2, -axial * zeta], axis=1), slope


def evaluate(
    profile: Profile, offsets: Floats, parameters: Floats, layout: Layout
) -> tuple[Floats, Floats]:
    """Model (n, m) and Jacobian (n, p, m)."""
    n, d = len(parameters), layout.ndim
    jacobian = np.zeros((n, layout.size, offsets.shape[2]))
    widths = slice(layout.first_width, layout.first_background)
    for k in range(layout.beads):
        value, d_centre, d_width, _ = bead_over(
            profile, offsets, parameters[:, layout.centre(k)], parameters[:, widths]
        )
        amplitude = parameters[:, layout.amplitude(k), None, None]
        jacobian[:, layout.centre(k)] = d_centre * amplitude
        jacobian[:, layout.amplitude(k)] = value
        jacobian[:, widths] += d_width * amplitude
    jacobian[:, layout.first_background] = 1.0
    jacobian[:, layout.first_background + 1 :] = offsets
    linear = [layout.amplitude(k) for k in range(layout.beads)]
    linear += list(range(layout.first_background, layout.first_background + 1 + d))
    model = np.einsum("np,npm->nm", parameters[:, linear], jacobian[:, linear])
    return model, jacobian


def patterns(
    offsets: Floats,
    parameters: Floats,
    layout: Layout,
    bead: int,
    degrees: Indices,
    half: Floats,
    jacobian: Floats,
) -> Floats:
    """Smooth patterns about a bead, then the two ways it may be oval.

    Parameters
    ----------
    offsets : (n or 1, d, m) ndarray
        Positions of the pixels, µm.
    parameters : (n, p) ndarray
        Fitted parameters.
    layout : Layout
        Which parameter sits where.
    bead : int
        Which bead.
    degrees : (k, d) ndarray of int
        Degrees of the Legendre polynomials whose products the patterns are.
    half : (d,) ndarray
        Half sides of the window, µm.
    jacobian : (n, p, m) ndarray
        Derivatives at the parameters.

    Returns
    -------
    (n, k + 2, m) ndarray
    """
    centre = parameters[:, layout.centre(bead)]
    away = offsets - centre[:, :, None]
    scaled = np.clip(away / half[None, :, None], -1.5, 1.5)
    terms = np.polynomial.legendre.legvander(scaled, int(degrees.max()))
    rows = np.ones((len(centre), len(degrees) + 2, offsets.shape[2]))
    for k, some in enumerate(degrees):
        for axis, degree in enumerate(some):
            rows[:, k] *= terms[:, axis, :, degree]
    by_v, by_u = jacobian[:, layout.centre(bead)][:, -2], jacobian[:, layout.centre(bead)][:, -1]
    rows[:, -2] = (by_u * away[:, -1] - by_v * away[:, -2]) / 2.0
    rows[:, -1] = by_v * away[:, -1]
    return rows


def solve(matrices: Floats, vectors: Floats) -> Floats:
    """Solve scaled normal equations; a singular one gives a step of zero."""
    scale = np.sqrt(np.maximum(np.einsum("npp->np", matrices), 0.0))
    scale = np.where(scale > 0, scale, 1.0)
    scaled = matrices / (scale[:, :, None] * scale[:, None, :])
    scaled += 1e-10 * np.eye(matrices.shape[1])
    solution: Floats = np.linalg.solve(scaled, (vectors / scale)[:, :, None])[:, :, 0] / scale
    return solution


def invert(matrices: Floats) -> Floats:
    """Invert normal matrices, scaled so that units do not matter.

    What the data leave open, as with two beads in one place, gets a large variance.
    """
    scale = np.sqrt(np.maximum(np.einsum("npp->np", matrices), 0.0))
    scale = np.where(scale > 0, scale, 1.0)
    outer = scale[:, :, None] * scale[:, None, :]
    scaled = matrices / outer + 1e-10 * np.eye(matrices.shape[1])
    inverse: Floats = np.linalg.inv(scaled)
    variances = np.einsum("npp->np", inverse)
    # Sums in single precision say nothing of eigenvalues this small.
    loose = np.flatnonzero(((variances <= 0) | (variances > 0.1 / _LEAST)).any(axis=1))
    if len(loose):
        values, vectors = np.linalg.eigh(scaled[loose])
        share = vectors / np.maximum(values, _LEAST)[:, None, :]
        inverse[loose] = share @ vectors.transpose(0, 2, 1)
    return np.asarray(inverse / outer)


def profile_volume(profile: Profile, log_width: Floats) -> Floats:
    """Integral of the profile of unit peak, µm^d."""
    radius = np.arange(profile.values.shape[1]) * profile.step
    shells = 2.0 * np.pi * (profile.values * radius).sum(axis=1) * profile.step
    if log_width.shape[1] == 1:
        area: Floats = np.exp(2.0 * log_width[:, 0]) * float(shells[0])
        return area
    total = float(2.0 * shells.sum() - shells[0]) * profile.step
    volume: Floats = np.exp(2.0 * log_width[:, 0] + log_width[:, 1]) * total
    return volume
