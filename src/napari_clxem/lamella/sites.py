"""Where to take X-ray tomograms: fields over targets that hold beads and harm no other site."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from napari_clxem.errors import LamellaError
from napari_clxem.frames import as_points
from napari_clxem.frames.affine import Floats
from napari_clxem.lamella.optics import Optics
from napari_clxem.lamella.slab import checked_outline, inside_polygon

#: Tells which points (n, 2) µm (y, x) must not be irradiated.
Forbidden = Callable[[Floats], Any]
# Beads from which on more bring little.
_ENOUGH = 8


@dataclass(frozen=True, kw_only=True)
class SiteProposal:
    """A tomogram field to take, in the plane of one map.

    Attributes
    ----------
    target : int
        Index of its target among those given.
    name : str
    centre : tuple of float
        Middle of the field (y, x), µm.
    size : tuple of float
        Height and width of the field, µm.
    beads : int
        Beads within the field, a margin from its edge.
    pointing : float or None
        Sd per axis with which the beam is expected to hit the centre, µm; None where unknown.
    holds : float or None
        Probability that the field holds the target in spite of it; None where unknown.
    halo : tuple of tuple of float
        Corners (y, x) of what the tilt series irradiates, µm.
    clear : bool
        Whether the halo keeps off all forbidden areas.
    tilts : tuple of float
        Tilt range, degrees, that was reckoned with.
    score : float
        What the list is ranked by, 0 to 1.
    notes : tuple of str
        What is less than good, a sentence each.
    """

    target: int
    name: str = ""
    centre: tuple[float, float]
    size: tuple[float, float]
    beads: int = 0
    pointing: float | None = None
    holds: float | None = None
    halo: tuple[tuple[float, float], ...] = ()
    clear: bool = True
    tilts: tuple[float, float] = (-60.0, 60.0)
    score: float = 0.0
    notes: tuple[str, ...] = ()


def _within(points: Floats, low: Floats, high: Floats) -> np.ndarray:
    """Tell which points (n, 2) lie in a box."""
    return np.asarray(((points >= low) & (points <= high)).all(axis=1))


@dataclass(frozen=True, eq=False)
class _Ground:
    """What is on the map."""

    beads: Floats
    optics: Optics
    margin: float
    forbidden: tuple[Forbidden, ...]
    polygons: list[Floats]
    free_tilts: Callable[[Floats], Any] | None = None

    def tilts(self, centre: Floats) -> tuple[float, float]:
        """Give the tilt range that grid bars leave of the optics' at a centre (2,), degrees."""
        low, high = self.optics.tilts
        if self.free_tilts is None:
            return low, high
        first, last = np.asarray(self.free_tilts(centre[np.newaxis]), float).reshape(2)
        if not (np.isfinite([first, last]).all() and first <= last):
            raise LamellaError(
                f"The free tilts {first:g}° to {last:g}° are no range; give low, then high."
            )
        return float(np.clip(first, low, high)), float(np.clip(last, low, high))

    def clear(self, centres: Floats) -> np.ndarray:
        """Tell for which centres (n, 2) nothing forbidden is irradiated."""
        halo = self.optics.halo()
        disc = np.vstack([np.zeros((1, 2)), *(halo * share for share in (0.2, 0.4, 0.6, 0.8, 1.0))])
        probes = (centres[:, None] + disc).reshape(-1, 2)
        touched = np.zeros(len(probes), bool)
        for test in self.forbidden:
            touched |= np.asarray(test(probes)).astype(bool)
        for polygon in self.polygons:
            near = np.flatnonzero(_within(probes, polygon.min(axis=0), polygon.max(axis=0)))
            touched[near] |= inside_polygon(probes[near], polygon)
        spoilt = np.asarray(touched.reshape(len(centres), -1).any(axis=1))
        for polygon in self.polygons:  # a small area may lie between the probes
            low, high = (
                polygon.min(axis=0) - halo.max(axis=0),
                polygon.max(axis=0) - halo.min(axis=0),
            )
            for index in np.flatnonzero(~spoilt & _within(centres, low, high)):
                spoilt[index] = bool(inside_polygon(polygon, halo + centres[index]).any())
        return np.asarray(~spoilt)

    def counted(self, centres: Floats) -> np.ndarray:
        """Count the beads within the field about each centre (n, 2)."""
        if not len(self.beads):
            return np.zeros(len(centres), int)
        half = np.asarray(self.optics.size) / 2 - self.margin
        apart = np.abs(self.beads[None] - centres[:, None])
        return np.asarray((apart <= half).all(axis=2).sum(axis=1))


def propose_sites(
    targets: ArrayLike,
    beads: ArrayLike,
    optics: Optics | None = None,
    *,
    radii: ArrayLike = 0.5,
    names: Sequence[str] = (),
    pointing: Callable[[Floats], Any] | float | None = None,
    forbidden: Sequence[Forbidden] = (),
    polygons: Sequence[ArrayLike] = (),
    free_tilts: Callable[[Floats], Any] | None = None,
    margin: float = 0.5,
    step: float = 0.5,
    exclusive: bool = True,
) -> tuple[SiteProposal, ...]:
    """Propose a field for each target, ranked.

    The field is placed so that it holds the target with its pointing error, irradiates nothing
    forbidden, and then holds as many beads as possible with the target near its middle.

    Parameters
    ----------
    targets : (n, 2) array_like
        (y, x) µm, in the map the microscope will be aimed by.
    beads : (m, 2) array_like
        (y, x) µm.
    optics : Optics, optional
        Field, beam and tilts; left out, a 13 µm field and a 10 µm beam to ±60°.
    radii : float or (n,) array_like
        Of the targets, µm.
    names : sequence of str
        Of the targets.
    pointing : callable or float, optional
        Covariances (n, 2, 2) µm² with which the microscope will hit points (n, 2), such as a
        route's `predict_error`; or one sd, µm.
    forbidden : sequence of callable
        Each tells which points (n, 2) are spent or reserved.
    polygons : sequence of (k, 2) array_like
        Spent or reserved areas, µm.
    free_tilts : callable, optional
        Gives lowest and highest tilt (n, 2) that grid bars leave free at points (n, 2), degrees.
    margin : float
        Distance of beads and target from the field's edge, µm.
    step : float
        Of the search, µm.
    exclusive : bool
        Whether the halo of a better site is reserved for the next ones.

    Returns
    -------
    tuple of SiteProposal
        Best first; one per target, also where it is not clear: its notes say so.

    Raises
    ------
    LamellaError, PointsError
        Where a number cannot be used, or a target does not fit into the field.
    """
    view = optics or Optics()
    points = as_points(targets, 2, "The targets")
    sizes = np.broadcast_to(np.asarray(radii, float), (len(points),))
    spots = np.asarray(beads, float)
    spots = as_points(spots, 2, "The beads") if spots.size else np.empty((0, 2))
    if not step > 0:
        raise LamellaError(f"A search step of {step} µm finds nothing; give one above 0.")
    areas = [checked_outline(p, "A reserved area") for p in polygons]
    ground = _Ground(spots, view, margin, tuple(forbidden), areas, free_tilts)
    spread = _pointing(pointing, points)
    left = list(range(len(points)))
    found: list[SiteProposal] = []
    made = {i: _placed(i, points, sizes, names, spread, ground, step) for i in left}
    while left:
        best = max(left, key=lambda i: made[i].score)
        found.append(made[best])
        left.remove(best)
        if exclusive and made[best].clear:
            outline = np.array(made[best].halo)
            ground.polygons.append(outline)
            reach = 2 * np.linalg.norm(view.halo(), axis=1).max() + max(view.size)
            for other in left:
                near = np.linalg.norm(points[other] - np.array(made[best].centre)) < reach
                if near:
                    made[other] = _placed(other, points, sizes, names, spread, ground, step)
    return tuple(found)


def _placed(
    index: int,
    points: Floats,
    radii: Floats,
    names: Sequence[str],
    spread: Floats,
    ground: _Ground,
    step: float,
) -> SiteProposal:
    """Place the field of one target."""
    view, target, radius = ground.optics, points[index], float(radii[index])
    half = np.asarray(view.size) / 2
    name = names[index] if index < len(names) else f"target {index + 1}"
    free = half - radius - ground.margin
    if (free < 0).any():
        raise LamellaError(
            f"{name} with its radius of {radius:g} µm does not fit into a field of "
            f"{view.size[0]:g} x {view.size[1]:g} µm; choose a larger field."
        )
    sd = np.sqrt(np.diagonal(spread[index]))
    room = np.maximum(free - 2 * np.nan_to_num(sd), 0.0)
    sides = [np.arange(-np.floor(r / step), np.floor(r / step) + 1) * step for r in room]
    shifts = np.stack(np.meshgrid(*sides, indexing="ij"), axis=-1).reshape(-1, 2)
    centres = target + shifts
    clear = ground.clear(centres)
    beads = ground.counted(centres)
    away = np.linalg.norm(shifts / half, axis=1)
    worth = 2.0 * clear + np.minimum(beads, _ENOUGH) / _ENOUGH + 0.01 * beads - 0.1 * away
    best = int(np.argmax(worth))
    return _judged(centres[best], index, name, target, radius, sd, ground)


def _judged(
    centre: Floats,
    index: int,
    name: str,
    target: Floats,
    radius: float,
    sd: Floats,
    ground: _Ground,
) -> SiteProposal:
    """Say what a field about one centre is worth."""
    from scipy.special import ndtr

    view = ground.optics
    half = np.asarray(view.size) / 2
    clear, beads = bool(ground.clear(centre[None])[0]), int(ground.counted(centre[None])[0])
    shift = np.abs(centre - target)
    with np.errstate(divide="ignore", invalid="ignore"):
        inside = np.where(shift <= half - radius, np.inf, -np.inf)
        reach = np.where(sd > 0, (half - radius - shift) / sd, inside)
        lower = np.where(sd > 0, (-half + radius - shift) / sd, -np.inf)
    known = bool(np.isfinite(sd).all())
    holds = float(np.prod(np.maximum(ndtr(reach) - ndtr(lower), 0.0))) if known else None
    notes = []
    if not clear:
        notes.append("What it irradiates touches spent or reserved areas.")
    if beads < 4:
        notes.append(
            f"Only {beads} beads lie in the field: 4 are needed to register the tomogram "
            "by beads alone."
        )
    if holds is None:
        notes.append("How well the microscope will hit it is not known; link its map first.")
    elif holds < 0.95:
        notes.append(f"The field holds the target with a probability of {holds:.0%} only.")
    tilts = ground.tilts(centre)
    wanted = view.tilts[1] - view.tilts[0]
    range_share = (tilts[1] - tilts[0]) / wanted if wanted > 0 else 1.0
    if range_share < 0.9:
        notes.append(
            f"Grid bars leave tilts from {tilts[0]:g}° to {tilts[1]:g}° only of "
            f"{view.tilts[0]:g}° to {view.tilts[1]:g}°."
        )
    y, x = centre.tolist()
    halo = view.halo() + centre
    score = float(clear) * (0.5 + 0.5 * min(beads, _ENOUGH) / _ENOUGH)
    return SiteProposal(
        target=index,
        name=name,
        centre=(y, x),
        size=view.size,
        beads=beads,
        pointing=float(np.sqrt((sd**2).mean())) if known else None,
        holds=holds,
        halo=tuple((a, b) for a, b in halo.tolist()),
        clear=clear,
        tilts=tilts,
        score=score * (0.5 if holds is None else holds) * range_share,
        notes=tuple(notes),
    )


def judge_site(
    centre: ArrayLike,
    target: ArrayLike,
    beads: ArrayLike,
    optics: Optics | None = None,
    *,
    radius: float = 0.5,
    name: str = "",
    pointing: Callable[[Floats], Any] | float | None = None,
    forbidden: Sequence[Forbidden] = (),
    polygons: Sequence[ArrayLike] = (),
    free_tilts: Callable[[Floats], Any] | None = None,
    margin: float = 0.5,
) -> SiteProposal:
    """Say what a field is worth where a hand has put it.

    Parameters
    ----------
    centre : (2,) array_like
        Middle of the field (y, x), µm.
    target : (2,) array_like
        What it is meant to hold, µm.
    radius : float
        Of the target, µm.
    name : str
        Of the target.
    beads, optics, pointing, forbidden, polygons, free_tilts, margin
        As for :func:`propose_sites`.

    Raises
    ------
    LamellaError, PointsError
        Where a number cannot be used.
    """
    here = as_points(centre, 2, "The middle of the field")[0]
    spot = as_points(target, 2, "The target")
    known = np.asarray(beads, float)
    known = as_points(known, 2, "The beads") if known.size else np.empty((0, 2))
    areas = [checked_outline(p, "A reserved area") for p in polygons]
    ground = _Ground(known, optics or Optics(), margin, tuple(forbidden), areas, free_tilts)
    sd = np.sqrt(np.diagonal(_pointing(pointing, spot)[0]))
    return _judged(here, 0, name, spot[0], float(radius), sd, ground)


def _pointing(pointing: Callable[[Floats], Any] | float | None, points: Floats) -> Floats:
    """Give the covariances (n, 2, 2) of hitting points."""
    count = len(points)
    if pointing is None:
        return np.full((count, 2, 2), np.nan)
    if not callable(pointing):
        if not (np.isfinite(pointing) and pointing >= 0):
            raise LamellaError(f"A pointing error of {pointing} µm cannot be used; give 0 or more.")
        return np.broadcast_to(np.eye(2) * float(pointing) ** 2, (count, 2, 2))
    found = np.asarray(pointing(points), float)
    if found.ndim != 3 or found.shape[0] != count or found.shape[1] not in (2, 3):
        raise LamellaError("The pointing error must give a covariance (n, 2, 2) for n points.")
    return found[:, -2:, -2:]
