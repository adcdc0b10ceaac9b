"""What a reviewer asks: what was done here, what is left, what clashes, what is there twice."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from napari_clxem.dose.drawing import outlines, to_common
from napari_clxem.dose.exposure import Exposure
from napari_clxem.dose.footprint import contours
from napari_clxem.dose.history import History
from napari_clxem.dose.limits import (
    Budget,
    amplitude_left,
    electron_equivalent,
    supported_resolution,
)
from napari_clxem.dose.quantities import positive
from napari_clxem.frames.affine import Floats, as_points

_SIDE = 33  # samples across a footprint
_NEIGHBOURS = 12  # exposures whose edges are sampled, too


@dataclass(frozen=True)
class Row:
    """What one exposure left at a point.

    Attributes
    ----------
    exposure : Exposure
    images : int
        Images that hit the point.
    dose : float or None
        MGy; None where it is unknown.
    surface : bool
        Whether the dose stays in a layer below the surface.
    share : float
        Of the sum it belongs to.
    """

    exposure: Exposure
    images: int
    dose: float | None
    surface: bool
    share: float


@dataclass(frozen=True)
class Breakdown:
    """All that happened at a point, in time order.

    Attributes
    ----------
    point : tuple of float
        (y, x) or (z, y, x), µm.
    rows : tuple of Row
        One per exposure that touched it, light and ions included.
    dose, surface : float
        Sums of the interior, and of the layer below the surface, MGy.
    material : str
        What they are stated for.
    lower_bound : bool
        True where an exposure of unknown or least dose touched the point.
    """

    point: tuple[float, ...]
    rows: tuple[Row, ...]
    dose: float
    surface: float
    material: str
    lower_bound: bool

    def equivalent(self, voltage: float = 300.0) -> float:
        """Give the dose as electrons, e⁻/Å²."""
        return float(electron_equivalent(self.dose, self.material, voltage))

    def resolution(self, voltage: float = 300.0) -> dict[str, float]:
        """Give the full period still supported, Å, by each estimate."""
        return supported_resolution(self.dose, self.material, voltage)

    def share(self, limit: Budget) -> dict[str, float]:
        """Give the dose as share of each estimate of a budget."""
        return limit.share(self.dose)


def breakdown(
    history: History, point: ArrayLike, upto: int | None = None, z: float = 0.0
) -> Breakdown:
    """Say what every exposure left at a point.

    Parameters
    ----------
    history : History
    point : (2,) or (3,) array_like
        In the history's frame, µm.
    upto : int, optional
        Only the first so many exposures.
    z : float
        Height of a (y, x) point in a 3D frame, µm.

    Returns
    -------
    Breakdown
    """
    place = as_points(point, name="The point")[:1]
    sums = {False: 0.0, True: 0.0}
    touched: list[tuple[Exposure, int, float | None, bool]] = []
    for index in history.near(place, upto, z).tolist():
        one = history.exposures[index]
        relative = float(history.relative(index, place, z)[0])
        if not relative:
            continue
        dose = None if one.id in history.reasons else float(history.doses[index]) * relative
        surface = bool(history.at_surface[index])
        sums[surface] += dose or 0.0
        touched.append((one, history.images_at(index, place, z), dose, surface))
    rows = tuple(
        Row(one, images, dose, surface, (dose or 0.0) / sums[surface] if sums[surface] else 0.0)
        for one, images, dose, surface in touched
    )
    least = any(row.dose is None or row.exposure.lower_bound for row in rows)
    return Breakdown(
        tuple(place[0].tolist()), rows, sums[False], sums[True], history.material, least
    )


@dataclass(frozen=True)
class TargetDose:
    """Doses of one target or cell.

    Attributes
    ----------
    name : str
    dose, low, high : float
        At its centre, and the 90 % interval by registration, MGy.
    highest : float
        Highest within its radius, MGy.
    surface : float
        In the layer below the surface, MGy.
    equivalent : float
        e⁻/Å².
    shares : dict
        Of each estimate of the budget.
    amplitude : float
        Left at the budget's resolution.
    resolution : dict
        Full period still supported, Å, by each estimate.
    modalities : dict
        Dose of the interior by modality, MGy.
    lower_bound : bool
        As :class:`Breakdown`.
    """

    name: str
    dose: float
    low: float
    high: float
    highest: float
    surface: float
    equivalent: float
    shares: dict[str, float]
    amplitude: float
    resolution: dict[str, float]
    modalities: dict[str, float]
    lower_bound: bool


def target_table(
    history: History, targets: Iterable[tuple[str, ArrayLike, float]], limit: Budget
) -> tuple[TargetDose, ...]:
    """Give a row of doses for each target or cell.

    Parameters
    ----------
    history : History
    targets : iterable of (str, (d,) array_like, float)
        Name, position in the history's frame and radius, µm.
    limit : Budget
        What the doses are held against; of the history's material.

    Returns
    -------
    tuple of TargetDose
    """
    rows = []
    for name, position, radius in targets:
        point = as_points(position, name=f"Target {name!r}")[:1]
        found = breakdown(history, point[0])
        spread = history.interval(point)
        modalities: dict[str, float] = {}
        for row in found.rows:
            if not row.surface:
                kind = row.exposure.modality
                modalities[kind] = modalities.get(kind, 0.0) + (row.dose or 0.0)
        rows.append(
            TargetDose(
                name,
                found.dose,
                float(spread.low[0]),
                float(spread.high[0]),
                float(history.at(_within(point, radius)).max()),
                found.surface,
                found.equivalent(limit.voltage),
                limit.share(found.dose),
                float(amplitude_left(limit.d, found.dose, history.material, limit.voltage)),
                found.resolution(limit.voltage),
                modalities,
                found.lower_bound,
            )
        )
    return tuple(rows)


def _within(point: Floats, radius: float) -> Floats:
    """Points of a disc in the plane about a point, its centre and rim included, (n, d)."""
    side = np.linspace(-1.0, 1.0, 9)
    y, x = (axis.ravel() for axis in np.meshgrid(side, side, indexing="ij"))
    size = np.maximum(np.hypot(y, x), 1.0)
    found = np.repeat(point, len(y), axis=0)
    found[:, -2] += radius * y / size
    found[:, -1] += radius * x / size
    return found


@dataclass(frozen=True)
class Conflict:
    """A planned exposure that would touch a spent area.

    Attributes
    ----------
    exposure : Exposure
        The planned one.
    others : tuple of Exposure
        Which were there before it.
    before, after : float
        Highest dose beneath it before, and with it, where it is highest, MGy.
    area : float
        How much of it would be spent, µm².
    limit : float
        MGy.
    """

    exposure: Exposure
    others: tuple[Exposure, ...]
    before: float
    after: float
    area: float
    limit: float

    def __str__(self) -> str:
        names = ", ".join(one.id for one in self.others[:3])
        return (
            f"Planned exposure {self.exposure.id!r} touches an area that is spent: {names} left "
            f"{self.before:.3g} MGy there, with it {self.after:.3g} of {self.limit:.3g} MGy over "
            f"{self.area:.3g} µm²."
        )


def conflicts(history: History, limit: Any) -> tuple[Conflict, ...]:
    """Find planned exposures that would spend more than a limit where others were before.

    Parameters
    ----------
    history : History
        With recorded and planned exposures; those earlier in time order count as before.
    limit : float or Quantity
        Dose that no place may get, MGy, such as that of a :class:`Budget`.

    Returns
    -------
    tuple of Conflict
        In time order. A place counts where an earlier exposure left something and the sum is
        above the limit.
    """
    most = float(positive(limit, "megagray", "The limit"))
    inside = history.placed(surface=False)
    found = []
    for index in np.flatnonzero(inside).tolist():
        if history.exposures[index].planned:
            earlier = [i for i in _touching(history, index) if inside[i]]
            found += [_conflict(history, index, earlier, most)] if earlier else []
    return tuple(one for one in found if one is not None)


def _touching(history: History, index: int) -> list[int]:
    """Earlier exposures whose footprints may meet that of one."""
    centres, radii = history.extents
    away = np.linalg.norm(centres[:index] - centres[index], axis=1)
    return np.flatnonzero(away <= radii[:index] + radii[index]).tolist()


def _conflict(history: History, index: int, earlier: list[int], most: float) -> Conflict | None:
    grid, cell = _grid_over(history, index)
    points = np.vstack([grid, *_edges(history, [*earlier[-_NEIGHBOURS:], index])])
    parts = np.array([history.doses[i] * history.relative(i, points) for i in earlier])
    before = parts.sum(axis=0)
    own = history.doses[index] * history.relative(index, points)
    spent = (own > 0) & (before > 0) & (before + own > most)
    if not spent.any():
        return None
    return Conflict(
        history.exposures[index],
        tuple(
            history.exposures[i]
            for i, part in zip(earlier, parts, strict=True)
            if part[spent].any()
        ),
        float(before[spent].max()),
        float((before + own)[spent].max()),
        float(spent[: len(grid)].sum() * cell),
        most,
    )


def _grid_over(history: History, index: int) -> tuple[Floats, float]:
    """Points (n, 2) over a footprint, halo included, and the area each stands for, µm²."""
    one = history.exposures[index]
    margin = max((margin for margin, _ in one.halo), default=0.0)
    if one.beam_radius is not None:
        one = replace(one, beam_radius=one.beam_radius + margin)
    elif one.beam_size is not None:
        height, width = one.beam_size
        one = replace(one, beam_size=(height + 2 * margin, width + 2 * margin))
    polygon = to_common(history, index, contours(one, (0.0,))[0].polygon)
    low, high = polygon.min(axis=0), polygon.max(axis=0)
    y, x = (np.linspace(a, b, _SIDE) for a, b in zip(low, high, strict=True))
    grid = np.stack(np.meshgrid(y, x, indexing="ij"), axis=-1).reshape(-1, 2)
    return grid, float(np.prod((high - low) / (_SIDE - 1)))


def _edges(history: History, indices: Iterable[int]) -> list[Floats]:
    """Points just within wings and cores: there sums are highest."""
    found = []
    for lines in outlines(history, indices, (0.0, 1.0)).values():
        for line in lines:
            middle = line.polygon.mean(axis=0)
            found.append(middle + (line.polygon[::2] - middle) * (1 - 1e-6))
    return found


@dataclass(frozen=True)
class Duplicate:
    """Two records of the same images.

    Attributes
    ----------
    first, second : Exposure
    images : int
        How many they share.
    """

    first: Exposure
    second: Exposure
    images: int

    def __str__(self) -> str:
        return (
            f"Exposures {self.first.id!r} and {self.second.id!r} record the same {self.images} "
            "images; keep one of them."
        )


def duplicates(exposures: Sequence[Exposure]) -> tuple[Duplicate, ...]:
    """Recognise images that are recorded twice, such as by two copies of one mdoc.

    Images are the same where modality, time stamp and tilt are; records without time stamps
    where everything else is.
    """
    seen: dict[Any, int] = {}
    shared: dict[tuple[int, int], int] = {}
    for index, one in enumerate(exposures):
        if one.planned:
            continue
        for stamp, count in _stamps(one):
            first = seen.setdefault(stamp, index)
            if first != index:
                shared[first, index] = shared.get((first, index), 0) + count
    return tuple(
        Duplicate(exposures[first], exposures[second], count)
        for (first, second), count in shared.items()
    )


def _stamps(one: Exposure) -> list[tuple[Any, int]]:
    """Give what tells images apart, with how many images each stands for."""
    if one.times:
        pairs = zip(one.times, one.tilts, strict=True)
        return [((one.modality, time, round(tilt, 2)), one.images) for time, tilt in pairs if time]
    place = (one.frame, tuple(round(v, 3) for v in one.aim), one.beam_radius, one.beam_size)
    what = (one.modality, one.time, one.tilts, one.dose_per_image, one.fluence)
    return [((*what, *place), one.image_count)]
