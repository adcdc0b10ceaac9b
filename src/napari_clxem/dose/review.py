"""What a reviewer asks: what was done here, and what is left of a target."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from napari_clxem.dose.exposure import Exposure
from napari_clxem.dose.history import History
from napari_clxem.dose.limits import (
    Budget,
    amplitude_left,
    electron_equivalent,
    supported_resolution,
)
from napari_clxem.dose.quantities import (
    Height,
    a_point,
    expected,
    height,
    one_not_negative,
    written,
)
from napari_clxem.errors import ClxemError
from napari_clxem.frames.affine import Floats


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
    history: History, point: ArrayLike, upto: int | None = None, z: Height = None
) -> Breakdown:
    """Say what every exposure left at a point.

    Parameters
    ----------
    history : History
    point : (2,) or (3,) array_like
        In the history's frame, µm.
    upto : int, optional
        Only the first so many exposures.
    z : float, optional
        Height of a (y, x) point in a 3D frame, µm.

    Returns
    -------
    Breakdown
    """
    expected(history, History, "The history")
    place, z = a_point(point), height(z)
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
    expected(history, History, "The history")
    expected(limit, Budget, "The limit")
    rows = []
    for name, position, size in _named_spots(targets):
        point = a_point(position, f"The place of target {name!r}")
        radius = one_not_negative(size, "micrometer", f"The radius of target {name!r}")
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


def _named_spots(targets: Any) -> list[tuple[str, Any, Any]]:
    try:
        return [(str(name), position, radius) for name, position, radius in targets]
    except (TypeError, ValueError) as error:
        raise ClxemError(
            f"The targets are {written(targets)}; give a list of (name, position, radius)."
        ) from error


def _within(point: Floats, radius: float) -> Floats:
    """Points of a disc in the plane about a point, its centre and rim included, (n, d)."""
    side = np.linspace(-1.0, 1.0, 9)
    y, x = (axis.ravel() for axis in np.meshgrid(side, side, indexing="ij"))
    size = np.maximum(np.hypot(y, x), 1.0)
    found = np.repeat(point, len(y), axis=0)
    found[:, -2] += radius * y / size
    found[:, -1] += radius * x / size
    return found
