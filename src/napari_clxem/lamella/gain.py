"""What more landmarks would bring: the registration with beads that are not picked yet."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from napari_clxem.errors import LamellaError
from napari_clxem.frames import UncertainAffine, as_points
from napari_clxem.frames.affine import Floats
from napari_clxem.lamella.capture import capture_probability
from napari_clxem.lamella.fib_view import lift
from napari_clxem.lamella.slab import Lamella


@dataclass(frozen=True)
class Gain:
    """What some more beads would bring.

    Attributes
    ----------
    beads : tuple of int
        Which of the candidates.
    before, after : float
        Expected captured fraction of the target without and with them.
    sentence : str
        The same for people.
    """

    beads: tuple[int, ...]
    before: float
    after: float
    sentence: str


def with_beads(view: UncertainAffine, beads: ArrayLike, sigma: ArrayLike) -> UncertainAffine:
    """Give a registration as sure as it would be with further beads picked.

    The covariance of the entries is updated as a Kalman filter would; the map itself stays, since
    nobody knows yet what the beads will say.

    Parameters
    ----------
    view : UncertainAffine
    beads : (n, d_in) array_like
        Where they are, µm in the moving frame.
    sigma : float or (n, d_out) array_like
        Localisation sd of a bead in the fixed frame, both sides together, µm.
    """
    linear = view.affine[: 2 if view.affine.shape == (2, 4) else -1]
    rows = len(linear)
    points = as_points(beads, len(view.centre), "The beads")
    spread = np.asarray(sigma, float)
    if spread.shape not in ((), (len(points), rows)) or not (spread > 0).all():
        raise LamellaError("The beads' localisation error must be above 0 µm.")
    variances = np.broadcast_to(spread, (len(points), rows)).ravel() ** 2
    arms = np.column_stack([points - view.centre, np.ones(len(points))])
    model = np.vstack([np.kron(np.eye(rows), arm) for arm in arms])
    crossed = view.covariance @ model.T
    weight = np.linalg.solve(model @ crossed + np.diag(variances), crossed.T)
    updated = view.covariance - crossed @ weight
    return replace_covariance(view, (updated + updated.T) / 2)


def replace_covariance(view: UncertainAffine, covariance: Floats) -> UncertainAffine:
    """Give the same map with another covariance of its entries."""
    return UncertainAffine(view.affine, view.centre, covariance, view.region_dof)


def best_beads(
    lamella: Lamella,
    target: ArrayLike,
    radius: float,
    view: UncertainAffine,
    candidates: ArrayLike,
    sigma: float = 0.05,
    count: int = 2,
    covariance: ArrayLike | None = None,
    placement: float = 0.0,
) -> Gain:
    """Choose the beads that would raise the captured fraction most, one after the other.

    Parameters
    ----------
    lamella : Lamella
        In the moving frame of `view`.
    target : (3,) array_like
        (z, y, x) µm.
    radius : float
        µm.
    view : UncertainAffine
        Registration (2 x 4) of the volume to the FIB view.
    candidates : (n, 3) array_like
        Beads that could be picked, µm.
    sigma : float
        Localisation sd of a bead in the view, both sides together, µm.
    count : int
        How many to choose.
    covariance : (3, 3) array_like, optional
        Of the target's own position, µm².
    placement : float
        Sd with which the microscope places the box, µm.
    """
    points = as_points(candidates, 3, "The candidate beads")
    own = None if covariance is None else np.asarray(covariance, float)[np.newaxis]

    def captured(map_: UncertainAffine) -> float:
        spread = map_.predict_error(target, own)[0] + placement**2 * np.eye(2)
        found = capture_probability(lamella, target, radius, lift(spread, view.affine))
        return found.volume_fraction

    before = captured(view)
    chosen: list[int] = []
    known = view
    while len(chosen) < min(count, len(points)):
        left = [index for index in range(len(points)) if index not in chosen]
        found = max(left, key=lambda i: captured(with_beads(known, points[i], sigma)))
        known = with_beads(known, points[found], sigma)
        chosen.append(found)
    after = captured(known)
    beads = f"{len(chosen)} more bead{'s' if len(chosen) != 1 else ''}"
    sentence = f"Picking {beads} near here would raise {before:.0%} to {after:.0%}."
    return Gain(tuple(chosen), before, after, sentence)
