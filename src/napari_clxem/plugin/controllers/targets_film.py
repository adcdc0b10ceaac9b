"""The film's own tilt at a site, and the milling angle counted from it: pure functions."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from napari_clxem.errors import DegenerateError
from napari_clxem.frames.affine import Floats
from napari_clxem.lamella import Lamella, film_angle, film_tilt
from napari_clxem.session.model import Session, Vector

Tilt = tuple[float, float]
FLAT: Tilt = (0.0, 0.0)
# Beads on top of the cell do not lie on the film: what is further off than this is left out, µm.
_NEAR = 0.3
# How many beads make a film, and how many are tried.
_LEAST, _MOST = 4, 40
_ROUNDS = 5
# Three beads in so small a triangle say nothing of a slope, µm²; no film is so steep.
_AREA, _STEEP = 2.0, 0.6


@dataclass(frozen=True)
class Film:
    """The plane through the beads of a volume.

    Parameters
    ----------
    tilt : tuple of float
        About y and about x, degrees.
    beads, offered : int
        How many lie on it, and how many there are.
    rms : float
        Distance of those on it, along z, µm.
    """

    tilt: Tilt
    beads: int
    offered: int
    rms: float

    @property
    def sentence(self) -> str:
        """Say where the tilt is from."""
        about_y, about_x = self.tilt
        return (
            f"Film tilt {about_y:+.1f}° about y, {about_x:+.1f}° about x: plane through "
            f"{self.beads} of {self.offered} beads, {self.rms * 1000:.0f} nm rms off it."
        )


def kept_tilt(session: Session, site: str | None) -> Tilt:
    """Give the film tilt kept with a site, (about y, about x) degrees; flat where there is none."""
    found = next((one.film_tilt for one in session.sites if one.id == site), None)
    return found or FLAT


def estimated(session: Session, volume: str) -> Film:
    """Estimate the film's tilt from the beads that links know in a volume.

    Parameters
    ----------
    session : Session
    volume : str
        Frame of the volume.

    Raises
    ------
    DegenerateError
        Where fewer than four beads are known, or no four of them lie on one film.
    """
    spots = _beads(session, volume)
    if len(spots) < _LEAST:
        raise DegenerateError(
            f"Only {len(spots)} beads are known in {volume}: the film's tilt needs {_LEAST}; match "
            "more in the dock Correlate, or type the tilt in."
        )
    on = _flattest(spots)
    for _ in range(_ROUNDS):
        off = _off_plane(spots, on)
        now = np.abs(off) <= _NEAR
        if now.sum() < _LEAST or (now == on).all():
            break
        on = now
    if on.sum() < _LEAST:
        raise DegenerateError(
            f"No {_LEAST} of the {len(spots)} beads known in {volume} lie on one film: match more "
            "in the dock Correlate, or type the tilt in."
        )
    off = _off_plane(spots, on)[on]
    rms = float(np.sqrt((off**2).mean()))
    return Film(film_tilt(spots[on]), int(on.sum()), len(spots), rms)


def _flattest(spots: Floats) -> np.ndarray:
    """Tell which beads lie on the plane through three of them that holds most of all.

    Of planes that hold as many the lower one is the film: cells lie on top of it.
    """
    from itertools import combinations

    few = spots if len(spots) <= _MOST else spots[np.argsort(spots[:, 0])[:_MOST]]
    best, found = (-1, 0.0), np.zeros(len(spots), bool)
    for three in combinations(range(len(few)), 3):
        ground = few[list(three)]
        arms = ground[1:] - ground[0]
        if abs(arms[0, 1] * arms[1, 2] - arms[0, 2] * arms[1, 1]) < _AREA:
            continue
        slope = np.linalg.solve(arms[:, 1:], arms[:, 0])
        if np.abs(slope).max() > _STEEP:
            continue
        off = spots[:, 0] - ground[0, 0] - (spots[:, 1:] - ground[0, 1:]) @ slope
        on = np.abs(off) <= _NEAR
        worth = (int(on.sum()), -float(ground[:, 0].mean()))
        if worth > best:
            best, found = worth, on
    return found


def _off_plane(spots: Floats, on: np.ndarray) -> Floats:
    """Give how far beads are above the plane through some of them, along z, µm."""
    about_y, about_x = film_tilt(spots[on])
    height = spots[:, 0] - spots[:, 1:] @ np.tan(np.deg2rad([about_x, about_y]))
    return np.asarray(height - height[on].mean())


def angle_on_film(lamella: Lamella, tilt: Tilt) -> float:
    """Give the milling angle of a lamella against the film, degrees."""
    return lamella.angle if tilt == FLAT else film_angle(lamella.angle, tilt, lamella.azimuth)


def turned(lamella: Lamella, tilt: Tilt, angle: float) -> Lamella:
    """Turn a lamella about its centre until it is cut at an angle against the film, degrees."""
    found = replace(lamella, angle=angle)
    for _ in range(6):  # the film turns the angle by nearly the same at any angle
        miss = angle - angle_on_film(found, tilt)
        if abs(miss) < 1e-9:
            break
        found = replace(found, angle=found.angle + miss)
    return found


def _beads(session: Session, volume: str) -> Floats:
    found: list[Vector] = []
    for link in session.links:
        for side in ("moving", "fixed"):
            if getattr(link, side) != volume:
                continue
            for mark in link.landmarks:
                spot: Vector | None = getattr(mark, side)
                known = np.array(found).reshape(-1, 3)
                if spot is None or len(spot) != 3 or not mark.use:
                    continue
                if not len(known) or np.linalg.norm(known - spot, axis=1).min() > _NEAR:
                    found.append(spot)
    return np.array(found).reshape(-1, 3)
