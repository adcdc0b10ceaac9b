"""Milling geometry: from stage tilt to milling angle, by instrument, and the film's own tilt."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite

import numpy as np
from numpy.typing import ArrayLike

from napari_clxem.errors import DegenerateError, LamellaError
from napari_clxem.frames import as_points
from napari_clxem.lamella.slab import axes


def milling_angle(stage_tilt: float, pretilt: float, column_angle: float = 52.0) -> float:
    """Give the angle between ion beam and grid plane, degrees.

    ``90 - column_angle + stage_tilt - pretilt``; with a `column_angle` of 0 it is the angle
    between electron beam and grid plane, 90 where the SEM looks straight down.

    Parameters
    ----------
    stage_tilt : float
        Tilt of the stage, degrees.
    pretilt : float
        Tilt of the grid in its shuttle, degrees.
    column_angle : float
        Between the electron and the ion column, degrees.
    """
    return 90.0 - column_angle + stage_tilt - pretilt


def stage_tilt(angle: float, pretilt: float, column_angle: float = 52.0) -> float:
    """Give the stage tilt for a milling angle, degrees: the inverse of :func:`milling_angle`."""
    return angle - 90.0 + column_angle + pretilt


@dataclass(frozen=True)
class Instrument:
    """The constants of a FIB-SEM and its shuttle, all of which a user may change.

    Parameters
    ----------
    name : str
        What people call it.
    column_angle : float
        Between the electron and the ion column, degrees.
    pretilt : float
        Tilt of the grid in its shuttle, degrees.
    tilt_range : tuple of float
        Lowest and highest stage tilt, degrees.
    angle_range : tuple of float
        Lowest and highest milling angle in use, degrees, within what the stage reaches.
    damage : float
        Depth of the damage layer under each face at 30 kV, µm.
    placing : float
        Sd with which a box ends up where it is drawn, µm.
    source : str
        Where the numbers come from.
    """

    name: str
    column_angle: float = 52.0
    pretilt: float = 45.0
    tilt_range: tuple[float, float] = (-10.0, 60.0)
    angle_range: tuple[float, float] = (6.0, 20.0)
    damage: float = 0.06
    placing: float = 0.1
    source: str = ""

    def __post_init__(self) -> None:
        numbers = (
            *(self.column_angle, self.pretilt, self.damage, self.placing),
            *(*self.tilt_range, *self.angle_range),
        )
        low, high = self.tilt_range
        first, last = self.angle_range
        wrong = low > high or first > last or min(self.damage, self.placing) < 0
        if wrong or not all(map(isfinite, numbers)):
            raise LamellaError(
                f"The numbers of {self.name or 'the instrument'} cannot be used; give finite "
                "angles, each range from low to high, and damage and placing error of 0 or more."
            )

    def milling_angle(self, stage_tilt: float) -> float:
        """Give the milling angle at a stage tilt, degrees.

        Raises
        ------
        LamellaError
            Where the stage does not reach that tilt.
        """
        low, high = self.tilt_range
        if not low <= stage_tilt <= high:
            raise LamellaError(
                f"{self.name} tilts from {low:g}° to {high:g}°, not to {stage_tilt:g}°; choose a "
                "tilt in that range or edit the instrument."
            )
        return milling_angle(stage_tilt, self.pretilt, self.column_angle)

    def stage_tilt(self, angle: float) -> float:
        """Give the stage tilt for a milling angle, degrees.

        Raises
        ------
        LamellaError
            Where the stage does not reach it.
        """
        tilt = stage_tilt(angle, self.pretilt, self.column_angle)
        low, high = self.tilt_range
        if not low <= tilt <= high:
            first, last = (milling_angle(t, self.pretilt, self.column_angle) for t in (low, high))
            raise LamellaError(
                f"A milling angle of {angle:g}° needs a stage tilt of {tilt:g}°, but {self.name} "
                f"tilts from {low:g}° to {high:g}°; choose an angle from {first:g}° to {last:g}°."
            )
        return tilt

    @property
    def reachable(self) -> tuple[float, float]:
        """Lowest and highest milling angle in use that the stage reaches, degrees."""
        low, high = (milling_angle(t, self.pretilt, self.column_angle) for t in self.tilt_range)
        return max(low, self.angle_range[0]), min(high, self.angle_range[1])


def film_angle(angle: float, film_tilt: tuple[float, float], azimuth: float = 0.0) -> float:
    """Give the angle between ion beam and the local film, degrees.

    Parameters
    ----------
    angle, azimuth : float
        Of the beam against the grid plane, as in :class:`Lamella`.
    film_tilt : tuple of float
        Local tilt (about y, about x), degrees: about x positive where the film rises towards
        +y, about y positive where it rises towards +x.
    """
    about_y, about_x = (np.tan(np.deg2rad(tilt)) for tilt in film_tilt)
    normal = np.array([1.0, -about_x, -about_y])
    sine = -(axes(angle, azimuth)[1] @ normal) / np.linalg.norm(normal)
    return float(np.rad2deg(np.arcsin(np.clip(sine, -1.0, 1.0))))


def film_tilt(points: ArrayLike) -> tuple[float, float]:
    """Fit the local tilt of the film through points on it.

    Parameters
    ----------
    points : (n, 3) array_like
        (z, y, x) µm, such as beads that lie on the film.

    Returns
    -------
    tuple of float
        Tilt (about y, about x), degrees, as :func:`film_angle` takes it.

    Raises
    ------
    DegenerateError
        With fewer than three points, or points on one line as seen from above.
    """
    array = as_points(points, 3)
    spread = array - array.mean(axis=0)
    flat = spread[:, 1:]
    if len(array) < 3 or np.linalg.matrix_rank(flat, tol=1e-6 * max(np.abs(flat).max(), 1)) < 2:
        raise DegenerateError(
            "The film's tilt needs three points on it that are not in one line; pick more."
        )
    (rise_y, rise_x), *_ = np.linalg.lstsq(flat, spread[:, 0], rcond=None)
    return float(np.rad2deg(np.arctan(rise_x))), float(np.rad2deg(np.arctan(rise_y)))
