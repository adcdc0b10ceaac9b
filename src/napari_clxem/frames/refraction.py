"""Depths seen through a flat surface by an air objective, and what they truly are.

An air objective looking into ice sees depths shrunk: what the stage calls 1 µm below the surface
lies ζ ≈ 1.3 to 1.6 µm below it. So ``z_true = z_s + (z − z_s) ζ``: away from the surface.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import overload

import numpy as np
from numpy.typing import ArrayLike

from napari_clxem.errors import ClxemError, PointsError
from napari_clxem.frames.affine import Floats, as_points

_SHALLOW = 1e-3  # µm; from here up to the surface ζ no longer changes
_DEEPEST = 100.0  # µm; deeper the search takes long and there is no focus worth the name
_STEPS = 12
_NEARLY = 0.85  # of the brightest grid point: what a peak between grid points may miss
_WAVES = 2_000_000  # plane waves held in memory at once


@overload
def axial_scaling(
    depth: float,
    numerical_aperture: float,
    n2: float,
    tilt: float = 0.0,
    wavelength: float = 0.52,
) -> float: ...


@overload
def axial_scaling(
    depth: Floats | Sequence[float],
    numerical_aperture: float,
    n2: float,
    tilt: float = 0.0,
    wavelength: float = 0.52,
) -> Floats: ...


def axial_scaling(
    depth: float | Floats | Sequence[float],
    numerical_aperture: float,
    n2: float,
    tilt: float = 0.0,
    wavelength: float = 0.52,
) -> float | Floats:
    """Give ζ, the actual over the stage depth of what an air objective focuses on.

    Each plane wave of the pupil is refracted at the surface; the stage depth is where the
    objective has to be focused, axially and laterally, for the field at the actual depth to be
    brightest. Amplitudes go as the square root of the cosine (aplanatic objective); transmission
    counts as even. Wave optics after Loginov et al., Optica 11:553 (2024).

    Parameters
    ----------
    depth : float or array_like of them
        Actual depth below the surface along the optical axis, µm.
    numerical_aperture : float
        Of the objective, in air: above 0, below 1.
    n2 : float
        Refractive index below the surface; vitreous ice 1.28 to 1.31.
    tilt : float
        Between the optical axis and the normal of the surface, degrees.
    wavelength : float
        In vacuum, µm.

    Returns
    -------
    float, or array of the shape of `depth`
        ``actual depth / stage depth``, above 1 for n2 above 1.

    Raises
    ------
    ClxemError
        Where a number is out of range, or the surface is so tilted that part of the light
        cannot reach it.
    """
    if isinstance(depth, Sequence | np.ndarray) and not isinstance(depth, str):
        rest = (numerical_aperture, n2, tilt, wavelength)
        each = [axial_scaling(value, *rest) for value in np.ravel(depth)]
        return np.array(each).reshape(np.shape(depth))
    numbers = tuple(
        _number(value, name)
        for value, name in (
            (depth, "depth"),
            (numerical_aperture, "numerical_aperture"),
            (n2, "n2"),
            (tilt, "tilt"),
            (wavelength, "wavelength"),
        )
    )
    _check(*numbers)
    deep, aperture, index, angle, wave = numbers
    return _axial_scaling(max(deep, _SHALLOW), aperture, index, abs(angle), wave)


def actual_positions(points: ArrayLike, surface: ArrayLike, zeta: ArrayLike) -> Floats:
    """Move points from where the stage saw them to where they are: away from the surface.

    ``z_true = z_s + (z − z_s) ζ`` below the surface (z below z_s: z runs towards the beam); what
    lies above it is in air and stays. The sd of a height below the surface grows by ζ as well.

    Parameters
    ----------
    points : (n, 3) array_like
        As imaged, (z, y, x) µm.
    surface : float or (n,) array_like
        Height z_s of the surface at each point, µm.
    zeta : float or (n,) array_like
        Axial scaling, as of :func:`axial_scaling`.

    Returns
    -------
    (n, 3) array

    Raises
    ------
    PointsError
        Where the points, heights or factors are not finite or do not go together.
    """
    return _scaled(points, surface, zeta, 1.0)


def stage_positions(points: ArrayLike, surface: ArrayLike, zeta: ArrayLike) -> Floats:
    """Undo :func:`actual_positions`: ``z = z_s + (z_true − z_s) / ζ`` below the surface."""
    return _scaled(points, surface, zeta, -1.0)


def _scaled(points: ArrayLike, surface: ArrayLike, zeta: ArrayLike, power: float) -> Floats:
    found = np.array(as_points(points, 3))
    top = _per_point(surface, len(found), "surface")
    factor = _per_point(zeta, len(found), "zeta")
    if (factor <= 0).any():
        raise PointsError(
            f"An axial scaling of {float(factor.min())} is none; give one above 0, such as 1.4."
        )
    below = np.minimum(found[:, 0] - top, 0.0)
    found[:, 0] += below * (factor**power - 1.0)
    return found


def _per_point(values: ArrayLike, count: int, name: str) -> Floats:
    try:
        array = np.asarray(values, dtype=float)
    except (TypeError, ValueError) as error:
        raise PointsError(f"{name} is not a number; give one, or one for each point.") from error
    if array.shape not in ((), (count,)) or not np.isfinite(array).all():
        raise PointsError(
            f"{name} has shape {array.shape}, or is not finite; give a number or {count} of them."
        )
    return np.asarray(np.broadcast_to(array, count))


def _number(value: object, name: str) -> float:
    try:
        return float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError) as error:
        raise ClxemError(f"{name} is {value!r}; give one number.") from error


def _check(depth: float, aperture: float, n2: float, tilt: float, wavelength: float) -> None:
    if not 0 <= depth <= _DEEPEST:
        raise ClxemError(
            f"A depth of {depth} µm is out of range; give 0 to {_DEEPEST:.0f} µm below the surface."
        )
    if not 0 < aperture < 1:
        raise ClxemError(
            f"A numerical aperture of {aperture} is none of an air objective; give 0 to 1."
        )
    if not 1 <= n2 < 5:
        raise ClxemError(f"A refractive index of {n2} is out of range; ice has 1.28 to 1.31.")
    if not 0 < wavelength < np.inf:
        raise ClxemError(f"A wavelength of {wavelength} µm is none; give it in µm, such as 0.52.")
    if not abs(tilt) + np.rad2deg(np.arcsin(aperture)) < 90:
        raise ClxemError(
            f"At a tilt of {tilt}° part of an aperture of {aperture} looks along the surface; "
            "lower one of the two."
        )


@lru_cache(maxsize=4096)
def _axial_scaling(
    depth: float, aperture: float, n2: float, tilt: float, wavelength: float
) -> float:
    unit = 2 * np.pi / wavelength
    pupil = _pupil(unit * depth, aperture, n2, np.deg2rad(tilt))
    return depth / _focus(pupil, unit, depth)


@dataclass(frozen=True, eq=False)
class _Pupil:
    """Plane waves: amplitudes (m,), direction cosines (axes, m), phases (m,) in radians.

    The axes are the optical one and, where the surface is tilted, the one across.
    """

    amplitude: Floats
    directions: Floats
    phase: Floats


def _pupil(depth: float, aperture: float, n2: float, tilt: float) -> _Pupil:
    """Sample the pupil for a point at the actual `depth` on the axis, in radians of phase.

    The phase counts from where the axis meets the surface. Half the pupil stands for the other
    half, its mirror image.
    """
    rings = 24 + int(0.25 * depth * aperture**2)
    spokes = 1 if tilt == 0 else 12 + int(0.2 * depth * aperture)
    nodes, weights = np.polynomial.legendre.leggauss(rings)
    radius = (nodes + 1) / 2 * aperture
    azimuth = (np.arange(spokes) + 0.5) * np.pi / spokes
    kx, ky = (np.outer(radius, turn(azimuth)).ravel() for turn in (np.cos, np.sin))
    kz = np.sqrt(1 - kx**2 - ky**2)
    amplitude = np.repeat(weights * radius, spokes) / np.sqrt(kz)  # dkx dky / kz, times sqrt(kz)
    tangential = np.sin(tilt) * kz + np.cos(tilt) * kx  # kept at the surface
    normal = np.sqrt(n2**2 - tangential**2 - ky**2)
    phase = depth * (normal * np.cos(tilt) + tangential * np.sin(tilt))
    directions = np.array([kz] if tilt == 0 else [kz, kx])
    return _Pupil(amplitude / amplitude.sum(), directions, phase)


def _focus(pupil: _Pupil, unit: float, depth: float) -> float:
    """Give the stage depth where the point is brightest, µm.

    Aberrations split the focus. All maxima within `_NEARLY` of the highest on a grid around the
    focus of least wavefront variance are climbed; the highest counts.
    """
    columns = np.vstack([np.ones_like(pupil.phase), pupil.directions]).T
    root = np.sqrt(pupil.amplitude)
    middle = np.linalg.lstsq(columns * root[:, np.newaxis], pupil.phase * root, rcond=None)[0][1:]
    wave = 2 * np.pi / unit
    kz, tilted = pupil.directions[0], len(pupil.directions) > 1
    along = _around(middle[0] / unit, 0.25 * depth, 0.2 * wave / (1 - kz.min()))
    across: Floats = np.zeros(1)
    if tilted:
        narrow = 0.2 * wave / np.abs(pupil.directions[1]).max()
        across = _around(middle[1] / unit, 0.1 * depth, narrow)
    bright = _brightness(pupil, unit, along, across)
    beaten = bright < _NEARLY * bright.max()
    for axis in (0, 1):
        ends = [(1, 1) if axis == side else (0, 0) for side in (0, 1)]
        padded = np.pad(bright, ends)
        beaten |= bright < np.take(padded, np.arange(bright.shape[axis]), axis)
        beaten |= bright < np.take(padded, np.arange(bright.shape[axis]) + 2, axis)
    peaks = [
        _climbed(pupil, unit, np.array([along[row], across[column]][: 1 + tilted]))
        for row, column in zip(*np.nonzero(~beaten), strict=True)
    ]
    return max(peaks)[1]


def _around(middle: float, reach: float, step: float) -> Floats:
    return middle + step * np.arange(-int(reach / step) - 1, int(reach / step) + 2)


def _brightness(pupil: _Pupil, unit: float, along: Floats, across: Floats) -> Floats:
    """Intensity over a grid of foci, (len(along), len(across))."""
    sideways = np.ones((len(pupil.phase), 1), complex)
    if len(pupil.directions) > 1:
        sideways = np.exp(-1j * unit * np.outer(pupil.directions[1], across))
    rows = max(1, _WAVES // len(pupil.phase))
    found = [
        (pupil.amplitude * np.exp(1j * (pupil.phase - unit * np.outer(part, pupil.directions[0]))))
        @ sideways
        for part in np.array_split(along, -(-len(along) // rows))
    ]
    return np.asarray(np.abs(np.concatenate(found)) ** 2)


def _climbed(pupil: _Pupil, unit: float, focus: Floats) -> tuple[float, float]:
    """Climb to a maximum by Newton steps: its intensity, and its depth in µm."""
    directions = unit * pupil.directions
    reached = (0.0, float(focus[0]))
    for _ in range(_STEPS):
        waves = pupil.amplitude * np.exp(1j * (pupil.phase - focus @ directions))
        field = waves.sum()
        bright = float(np.abs(field) ** 2)
        if bright < reached[0]:  # left the peak: its top on the grid is near enough
            break
        reached = (bright, float(focus[0]))
        slope = -1j * (directions @ waves)
        bend = -(directions * waves) @ directions.T
        gradient = np.real(np.conj(field) * slope)
        step = np.linalg.solve(
            np.real(np.outer(np.conj(slope), slope) + np.conj(field) * bend), gradient
        )
        if np.abs(step).max() < 1e-9:
            break
        focus = focus - step
    return reached
