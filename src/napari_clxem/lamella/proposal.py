"""Where to cut: the lamella that is expected to hold most of its targets, and what limits it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from napari_clxem.errors import LamellaError
from napari_clxem.frames import as_points
from napari_clxem.frames.affine import Floats
from napari_clxem.lamella.capture import (
    Capture,
    capture_probability,
    checked_covariance,
    volume_share,
)
from napari_clxem.lamella.milling import Instrument
from napari_clxem.lamella.slab import Lamella, axes

Limit = Literal["registration", "thickness", "geometry", "nothing"]
# Angles tried before the fine search, and how little a degree away from the usual must bring.
_ANGLES = 41
_HABIT = 1e-5
# From so much expected on, nothing limits a lamella that is worth the saying.
_GOOD = 0.95


@dataclass(frozen=True)
class Losses:
    """What keeps a lamella from holding all of its targets, as shares of their volume.

    Attributes
    ----------
    registration : float
        Lost to the error of the position: with an exact one, the best lamella would hold more.
    thickness : float
        Lost because the core is thinner than the targets.
    geometry : float
        Lost because one slab cannot pass through all targets.
    """

    registration: float
    thickness: float
    geometry: float

    @property
    def limit(self) -> Limit:
        """The largest of them, or ``"nothing"`` where little is lost."""
        found: dict[Limit, float] = {
            "registration": self.registration,
            "thickness": self.thickness,
            "geometry": self.geometry,
        }
        if sum(found.values()) < 1 - _GOOD:
            return "nothing"
        return max(found, key=lambda key: found[key])


@dataclass(frozen=True)
class Proposal:
    """A lamella and what it promises.

    Attributes
    ----------
    lamella : Lamella
    captures : tuple of Capture
        Of each target, in the order given.
    expected : float
        Weighted mean of their expected volume fractions.
    losses : Losses
    sentence : str
        What limits it, for people.
    """

    lamella: Lamella
    captures: tuple[Capture, ...]
    expected: float
    losses: Losses
    sentence: str


def propose(
    targets: ArrayLike,
    radii: ArrayLike = 0.5,
    covariances: ArrayLike | None = None,
    *,
    instrument: Instrument | None = None,
    angles: tuple[float, float] = (6.0, 20.0),
    usual: float = 10.0,
    azimuth: float = 0.0,
    thickness: float = 0.3,
    width: float = 12.0,
    length: float = 10.0,
    damage: float = 0.0,
    weights: ArrayLike | None = None,
) -> Proposal:
    """Propose the lamella with the largest expected captured fraction of its targets.

    Centre along the normal and milling angle are searched together; within its plane the lamella
    is centred on the targets, or where they do not fit on the part of most weight.

    Parameters
    ----------
    targets : (n, 3) array_like
        Centres (z, y, x), µm, in a frame whose x is the stage's tilt axis.
    radii : float or (n,) array_like
        µm.
    covariances : (3, 3) or (n, 3, 3) array_like, optional
        Of the targets against the lamella, µm².
    instrument : Instrument, optional
        Its reachable milling angles and damage depth take the place of `angles` and `damage`.
    angles : tuple of float
        Lowest and highest milling angle, degrees; equal to hold it.
    usual : float
        Milling angle taken where another brings nothing, degrees.
    azimuth, thickness, width, length, damage : float
        Of the lamella.
    weights : (n,) array_like, optional
        How much each target is worth.

    Raises
    ------
    LamellaError, PointsError
        Where there is no target, or a number cannot be used.
    """
    points = as_points(targets, 3, "The targets")
    count = len(points)
    if not count:
        raise LamellaError("There is no target to propose a lamella for; pick one first.")
    if instrument is not None:
        angles, damage = instrument.reachable, instrument.damage
    if not angles[0] <= angles[1]:
        raise LamellaError(
            f"No milling angle from {angles[0]:g}° to {angles[1]:g}° can be reached; edit the "
            "range or the instrument."
        )
    sizes = _checked_values(radii, count, "radii")
    worth = _checked_values(1.0 if weights is None else weights, count, "weights")
    if not worth.sum() > 0:
        raise LamellaError("All targets have the weight 0; give one of them more.")
    spreads = _checked_covariances(covariances, count)
    frame = Lamella(
        (0.0, 0.0, 0.0), usual, azimuth, thickness, width, length, damage
    )  # checks its numbers
    search = _Search(points, sizes, spreads, worth / worth.sum(), frame, angles, usual)
    angle, height = search.best()
    lamella = _centred(replace(frame, angle=angle), points, worth, height)
    expected = search.expected(angle, height)
    exact = replace(search, covariances=np.zeros((count, 3, 3)))
    sure = max(exact.expected(*exact.best()), expected)
    each = float(volume_share(0.0, 0.0, sizes, frame.core / 2) @ search.weights)
    losses = Losses(sure - expected, 1 - each, max(each - sure, 0.0))
    captures = tuple(
        capture_probability(lamella, point, float(size), spread)
        for point, size, spread in zip(points, sizes, spreads, strict=True)
    )
    return Proposal(lamella, captures, expected, losses, _sentence(expected, sure, losses))


@dataclass(frozen=True, eq=False)
class _Search:
    """Expected captured fraction over milling angle and place along the normal."""

    points: Floats
    radii: Floats
    covariances: Floats
    weights: Floats
    lamella: Lamella
    angles: tuple[float, float]
    usual: float

    def seen(self, angle: float) -> tuple[Floats, Floats]:
        """Give places and sd of the targets along the normal, (n,) µm each."""
        normal = axes(angle, self.lamella.azimuth)[0]
        spread = np.einsum("i,nij,j->n", normal, self.covariances, normal)
        return self.points @ normal, np.sqrt(np.maximum(spread, 0.0))

    def expected(self, angle: float, height: float) -> float:
        """Give the weighted mean of captured fractions."""
        places, sigmas = self.seen(angle)
        shares = volume_share(places - height, sigmas, self.radii, self.lamella.core / 2)
        return float(shares @ self.weights)

    def worth(self, angle: float, height: float) -> float:
        """Give what is maximised: the usual angle wins where nothing else does."""
        return self.expected(angle, height) - _HABIT * abs(angle - self.usual)

    def best(self) -> tuple[float, float]:
        """Give milling angle and height along the normal of the best lamella."""
        low, high = self.angles
        tried = np.unique(
            [*np.linspace(low, high, _ANGLES if high > low else 1), np.clip(self.usual, low, high)]
        )
        angle, height = max(
            ((float(a), self._height(float(a))) for a in tried), key=lambda one: self.worth(*one)
        )
        return self._refined(angle, height)

    def _height(self, angle: float) -> float:
        """Give the best height at an angle among places of targets and between them."""
        places, sigmas = self.seen(angle)
        steps = np.linspace(-0.5, 0.5, 5) * max(self.lamella.thickness, float(self.radii.max()))
        middles = (places[:, None] + places[None])[np.triu_indices(len(places))] / 2
        tried = np.concatenate([(places[:, None] + steps).ravel(), middles])
        shares = volume_share(places - tried[:, None], sigmas, self.radii, self.lamella.core / 2)
        return float(tried[int(np.argmax(shares @ self.weights))])

    def _refined(self, angle: float, height: float) -> tuple[float, float]:
        """Walk uphill with ever smaller steps (compass search)."""
        turn = (self.angles[1] - self.angles[0]) / _ANGLES
        step = self.lamella.thickness / 4
        here = self.worth(angle, height)
        for _ in range(200):
            # a turn moves far targets: the height that keeps the middle of all is tried as well
            middle = self.points.mean(axis=0)
            tried = [(angle, height + step), (angle, height - step)]
            for other in (angle + turn, angle - turn) if turn > 0 else ():
                if self.angles[0] <= other <= self.angles[1]:
                    change = (
                        axes(other, self.lamella.azimuth)[0] - axes(angle, self.lamella.azimuth)[0]
                    )
                    tried.append((other, height + float(change @ middle)))
            found = max(tried, key=lambda one: self.worth(*one))
            if self.worth(*found) > here + 1e-12:
                (angle, height), here = found, self.worth(*found)
            else:
                turn, step = turn / 2, step / 2
                if step < 1e-4:
                    break
        return angle, height


def _centred(lamella: Lamella, points: Floats, weights: Floats, height: float) -> Lamella:
    """Place a lamella at a height along its normal, over the targets within its plane."""
    normal, along, across = lamella.axes
    middle = [
        _window(points @ axis, weights, extent)
        for axis, extent in ((along, lamella.length), (across, lamella.width))
    ]
    z, y, x = (height * normal + middle[0] * along + middle[1] * across).tolist()
    return replace(lamella, centre=(z, y, x))


def _window(places: Floats, weights: Floats, extent: float) -> float:
    """Give the middle of the targets of most weight that lie within an extent of each other."""
    best, middle = -1.0, 0.0
    for start in np.unique(places):
        inside = (places >= start) & (places <= start + extent)
        if weights[inside].sum() > best + 1e-12:
            best = float(weights[inside].sum())
            middle = float(places[inside].min() + places[inside].max()) / 2
    return middle


def _sentence(expected: float, sure: float, losses: Losses) -> str:
    now = f"{expected:.0%} of the target is expected in the lamella"
    return {
        "nothing": f"{now}; nothing limits it.",
        "registration": (
            f"{now}; the error of the position limits it: {sure:.0%} if it were exact. Add "
            "landmarks near the target."
        ),
        "thickness": f"{now}; its thickness limits it: the target is larger than the core.",
        "geometry": f"{now}; geometry limits it: no one slab passes through all targets.",
    }[losses.limit]


def _checked_values(values: ArrayLike, count: int, name: str) -> Floats:
    array = np.asarray(values, float)
    if array.shape not in ((), (count,)) or not np.isfinite(array).all() or (array < 0).any():
        raise LamellaError(f"The {name} cannot be used; give {count} numbers of 0 or more.")
    return np.broadcast_to(array, (count,)).astype(float)


def _checked_covariances(covariances: ArrayLike | None, count: int) -> Floats:
    if covariances is None:
        return np.zeros((count, 3, 3))
    array = np.asarray(covariances, float)
    if array.shape == (3, 3):
        array = np.broadcast_to(array, (count, 3, 3))
    if array.shape != (count, 3, 3):
        raise LamellaError(
            f"The covariances have shape {array.shape}; give one of 3 x 3 or ({count}, 3, 3), µm²."
        )
    return np.array(
        [
            checked_covariance(one, f"The covariance of target {i + 1}")
            for i, one in enumerate(array)
        ]
    )
