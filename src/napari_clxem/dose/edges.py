"""Footprints as lines of equal dose, for drawing: exact at any height, halo included."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from napari_clxem.dose.exposure import Exposure
from napari_clxem.dose.footprint import angles, half_diagonal, shells
from napari_clxem.dose.quantities import amount, expected, one_amount
from napari_clxem.frames.affine import Floats

_SIDES = 96
_LEAST = 1e-6  # cosine of a tilt that is taken for edge-on


@dataclass(frozen=True, eq=False)
class Contour:
    """A line of equal dose.

    Attributes
    ----------
    dose : float
        At least so much lies within, in units of one image's dose.
    images : int
        At least so many images hit within.
    polygon : (n, 2) array
        (y, x) in the exposure's frame, µm; not closed, and empty where no place has the dose.
    """

    dose: float
    images: int
    polygon: Floats


def contours(
    exposure: Exposure, shares: ArrayLike = (0.0, 0.5, 1.0), height: Any = 0.0, halo: bool = True
) -> tuple[Contour, ...]:
    """Give the outlines of an exposure's footprint, the outermost first.

    Parameters
    ----------
    exposure : Exposure
    shares : array_like
        Of the dose that all images together leave: 0 for the farthest edge of wings and halo, 1
        for the core that all images hit.
    height : float
        Of the plane over the tilt axis, µm.
    halo : bool
        Whether the weaker light around the beam counts.

    Returns
    -------
    tuple of Contour
        In the plane of the axis, without halo, the beam stretched by 1/cos θ across it: whatever
        is hit at one tilt is hit at all lower ones. Elsewhere along lines across the axis the
        first and last place where the dose is reached, which is exact on these lines.
    """
    theta = np.deg2rad(angles(expected(exposure, Exposure, "The exposure")))
    wanted = np.clip(np.ravel(amount(shares, "dimensionless", "The shares")), 0.0, 1.0)
    above = one_amount(height, "micrometer", "The height")
    around = exposure.halo if halo else ()
    if not around and above == 0.0:
        return tuple(_ellipse(exposure, theta, float(share)) for share in wanted)
    beam = (exposure.beam_radius, exposure.beam_size, exposure.beam_turn, around)
    found = []
    for share in wanted.tolist():
        dose, images, ring = _swept(
            beam, exposure.tilts, exposure.pretilt, exposure.weights, exposure.images, share, above
        )
        found.append(Contour(dose, images, _placed(exposure, ring)))
    return tuple(found)


def _ellipse(exposure: Exposure, theta: Floats, share: float) -> Contour:
    """Line of equal dose in the plane of the axis, the halo left out."""
    cosines = np.maximum(np.abs(np.cos(theta)), _LEAST)
    order = np.argsort(cosines)
    running = np.cumsum(exposure.relative_doses[order])
    index = min(int(np.searchsorted(running, share * running[-1] * (1 - 1e-12))), len(running) - 1)
    edge = float(cosines[order[index]])
    within = cosines <= edge * (1 + 1e-12)  # opposite tilts end at one line
    dose = float(exposure.relative_doses[within].sum())
    ring = _beam(exposure) / (1.0, edge)
    return Contour(dose, int(within.sum()) * exposure.images, _placed(exposure, ring))


def _beam(exposure: Exposure) -> Floats:
    """Outline of the untilted beam, (along, across) the tilt axis, µm."""
    if exposure.beam_radius is not None:
        turn = np.linspace(0.0, 2 * np.pi, _SIDES, endpoint=False)
        return exposure.beam_radius * np.column_stack([np.sin(turn), np.cos(turn)])
    height, width = exposure.beam_size or (0.0, 0.0)
    corners = np.array([[-1, -1], [-1, 1], [1, 1], [1, -1]]) * (height / 2, width / 2)
    turn = np.deg2rad(exposure.beam_turn)
    along = corners[:, 0] * np.cos(turn) + corners[:, 1] * np.sin(turn)
    across = corners[:, 1] * np.cos(turn) - corners[:, 0] * np.sin(turn)
    return np.column_stack([along, across])


def _placed(exposure: Exposure, ring: Floats) -> Floats:
    """Bring (along, across) the tilt axis about the aim to (y, x) of the exposure's frame, µm."""
    azimuth = np.deg2rad(exposure.axis_azimuth)
    along, across = ring[:, 0], ring[:, 1]
    down = across * np.sin(azimuth) + along * np.cos(azimuth)
    right = across * np.cos(azimuth) - along * np.sin(azimuth)
    return np.column_stack([down, right]) + exposure.aim


@lru_cache(maxsize=512)
def _swept(
    beam: tuple[Any, ...],
    tilts: tuple[float, ...],
    pretilt: float,
    weights: tuple[float, ...],
    images: int,
    share: float,
    height: float,
) -> tuple[float, int, Floats]:
    """Go across the axis line by line: dose, images and ring (n, 2) about the aim, µm.

    Kept, as thousands of exposures share one shape.
    """
    radius, size, turn, halo = beam
    one = Exposure(
        id="",
        modality="sxt",
        frame="",
        aim=(0.0, 0.0),
        beam_radius=radius,
        beam_size=size,
        beam_turn=turn,
        halo=halo,
        tilts=tilts,
        pretilt=pretilt,
        weights=weights,
        images=images,
    )
    doses = one.relative_doses
    wanted = max(share * doses.sum() * (1 - 1e-12), 1e-12 * doses.max())
    theta = np.deg2rad(angles(one))
    cosine = np.where(np.abs(np.cos(theta)) < _LEAST, _LEAST, np.cos(theta))
    even = np.sin(np.linspace(-np.pi / 2, np.pi / 2, _SIDES + 1))
    wide = 1.0 if radius is not None else 2**0.5
    rows: list[Floats] = [
        (half_diagonal(one) + wide * distance) * even for distance, _ in shells(one)
    ]
    if size is not None:  # its corners are met exactly
        rows += _corners(one, halo)
    lines = np.unique(np.concatenate(rows))
    left, right, parts = [], [], []
    for distance, part in shells(one):
        low, high = _span(one, lines, distance)
        shift = -height * np.sin(theta)
        ends = np.stack([low[:, None] + shift, high[:, None] + shift]) / cosine
        lit = (low <= high)[:, None] & np.ones(len(theta), dtype=bool)
        left.append(np.where(lit, ends.min(axis=0), np.inf))
        right.append(np.where(lit, ends.max(axis=0), np.inf))
        parts.append(part * doses)
    first, last = _reached(np.hstack(left), np.hstack(right), np.concatenate(parts), wanted)
    kept = np.isfinite(first)
    ring = np.concatenate(
        [
            np.column_stack([lines[kept], first[kept]]),
            np.column_stack([lines[kept], last[kept]])[::-1],
        ]
    )
    ring.setflags(write=False)
    below = np.cumsum(np.sort(doses)[::-1])
    count = int(np.searchsorted(below, wanted)) + 1 if share > 0 else 1
    return float(wanted), min(count, len(doses)) * images, ring


def _corners(one: Exposure, halo: tuple[tuple[float, float], ...]) -> list[Floats]:
    """How far along the axis the corners of a rectangle and of its halo lie, µm."""
    height, width = one.beam_size or (0.0, 0.0)
    found = []
    for distance in (0.0, *(distance for distance, _ in halo)):
        wide = (height + 2 * distance, width + 2 * distance)
        along = _beam(
            Exposure(
                id="",
                modality="sxt",
                frame="",
                aim=(0.0, 0.0),
                beam_size=wide,
                beam_turn=one.beam_turn,
            )
        )[:, 0]
        found.append(along * (1 - 1e-9))
    return found


def _span(one: Exposure, along: Floats, margin: float) -> tuple[Floats, Floats]:
    """First and last place across the untilted beam on lines along it, µm; low > high for none."""
    if one.beam_radius is not None:
        under = (one.beam_radius + margin) ** 2 - along**2
        half = np.sqrt(np.maximum(under, 0.0))
        return np.where(under < 0, 1.0, -half), np.where(under < 0, -1.0, half)
    height, width = one.beam_size or (0.0, 0.0)
    turn = np.deg2rad(one.beam_turn)
    low, high = np.full(len(along), -np.inf), np.full(len(along), np.inf)
    # |across cos + along sin| <= width / 2 and |along cos - across sin| <= height / 2
    for slope, offset, half in (
        (np.cos(turn), along * np.sin(turn), width / 2 + margin),
        (-np.sin(turn), along * np.cos(turn), height / 2 + margin),
    ):
        if abs(slope) < 1e-12:
            out = np.abs(offset) > half * (1 + 1e-9)
            low, high = np.where(out, 1.0, low), np.where(out, -1.0, high)
        else:
            ends = np.sort(np.stack([(-half - offset) / slope, (half - offset) / slope]), axis=0)
            low, high = np.maximum(low, ends[0]), np.minimum(high, ends[1])
    return low, high


def _reached(left: Floats, right: Floats, doses: Floats, wanted: float) -> tuple[Floats, Floats]:
    """First and last place on each line where intervals add up to a dose, (n,); inf for none.

    Parameters
    ----------
    left, right : (n, k) arrays
        Ends of each interval; inf for none.
    doses : (k,) array
        Of each.
    wanted : float
    """
    places = np.concatenate([left, right], axis=1)
    steps = np.concatenate([doses, -doses])
    order = np.argsort(places, axis=1, kind="stable")  # at one place what begins comes first
    sorted_places = np.take_along_axis(places, order, axis=1)
    running = np.cumsum(steps[order], axis=1)
    enough = (running >= wanted) & np.isfinite(sorted_places)
    any_ = enough.any(axis=1)
    row = np.arange(len(left))
    first = sorted_places[row, enough.argmax(axis=1)]
    # the dose holds from the last place where it is reached to the next end of an interval
    final = enough.shape[1] - 1 - enough[:, ::-1].argmax(axis=1)
    last = sorted_places[row, np.minimum(final + 1, enough.shape[1] - 1)]
    return np.where(any_, first, np.inf), np.where(any_, last, np.inf)
