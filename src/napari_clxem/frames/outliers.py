"""Landmarks that the others contradict, each with its reason; flagged, never removed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from napari_clxem.errors import PointsError
from napari_clxem.frames.affine import Affine, Floats
from napari_clxem.frames.fitted import Fit
from napari_clxem.frames.models import choose
from napari_clxem.frames.recommendation import refitted
from napari_clxem.frames.uncertainty import region_threshold, solve_each
from napari_clxem.frames.warp import Warp


@dataclass(frozen=True)
class Outlier:
    """A landmark that the others contradict.

    Attributes
    ----------
    index : int
        Its row.
    miss : float
        Distance by which the fit through the others misses it, µm.
    expected : float
        Root mean square distance to be expected, µm.
    square : float
        Squared miss in units of its covariance.
    limit : float
        What one of so many good landmarks exceeds in few cases.
    reason : str
        A sentence.
    """

    index: int
    miss: float
    expected: float
    square: float
    limit: float
    reason: str


def outliers(found: Fit, chance: float = 0.01) -> tuple[Outlier, ...]:
    """Flag the landmarks that the fit through the others contradicts.

    The worst is set aside and the rest is fitted again until all agree, so that one bad landmark
    does not accuse its neighbours. Misses are leave-one-out misses in units of their predicted
    covariance: chi-squared where localisation errors were given, F where these are taken from
    the residuals (externally studentised; Cook & Weisberg 1982).

    Parameters
    ----------
    found : Fit
        Its landmarks are judged, those a robust fit has left out included.
    chance : float
        Probability that good landmarks, all together, raise a flag.

    Returns
    -------
    tuple of Outlier
        The worst first.

    Raises
    ------
    PointsError
        Where `chance` is no probability.
    """
    if not 0 < chance < 1:
        raise PointsError(f"A chance of {chance} is no probability; give one in (0, 1).")
    count = len(found.moving)
    probability = 1 - chance / count
    kept = np.array(found.inliers)
    least = choose(found.model, found.moving.shape[1], found.fixed.shape[1], found.prior).least
    current = found
    while kept.sum() > least:
        squares, limit = _squares(current, probability)
        worst = int(np.nanargmax(squares)) if np.isfinite(squares).any() else -1
        if worst < 0 or squares[worst] <= limit:
            break
        rows = kept.copy()
        rows[np.flatnonzero(kept)[worst]] = False
        try:
            current = refitted(found, rows=rows)
        except PointsError:  # the rest does not determine the model: nothing contradicts it
            break
        kept = rows
    if kept.all():
        return ()
    flags = _against(found, current, np.flatnonzero(~kept), probability)
    return tuple(sorted(flags, key=lambda flag: -flag.square))


def _squares(current: Fit, probability: float) -> tuple[Floats, float]:
    """Squared leave-one-out misses of the landmarks that carry a fit, and their limit."""
    ndim = current.fixed.shape[1]
    if isinstance(current, Warp) and current.spline is not None:
        misses, spreads = current.spline.leave_one_out()
        squares = (misses * solve_each(spreads, misses)).sum(axis=1)
        return squares, region_threshold(ndim, current.region_dof, probability)
    used = current.landmarks.only(current.inliers)
    residuals = current.residuals[current.inliers]
    own = current.predict_error(used.moving)
    if current.absolute:
        noise = used.residual_covariance(Affine(current.matrix).linear)
        return _studentised(residuals, noise - own), region_threshold(ndim, None, probability)
    dof = current.dof or 0
    if dof <= ndim:
        return np.full(len(residuals), np.nan), np.inf
    scale = float((residuals**2).sum() / dof)
    if scale <= 1e-24 * max(float((used.fixed**2).sum()), 1e-24):
        return np.zeros(len(residuals)), np.inf
    inside = _studentised(residuals, scale * np.eye(ndim) - own)
    outside = inside * (dof - ndim) / np.maximum(dof - inside, 1e-9 * dof)
    return outside, region_threshold(ndim, dof - ndim, probability)


def _studentised(residuals: Floats, spreads: Floats) -> Floats:
    """Squares of residuals; a landmark that alone decides something has none to show."""
    values = np.linalg.eigvalsh(spreads)
    usable = values[:, 0] > 1e-9 * np.maximum(values[:, -1], 1e-300)
    found = np.full(len(residuals), np.nan)
    found[usable] = (residuals[usable] * solve_each(spreads[usable], residuals[usable])).sum(axis=1)
    return found


def _against(found: Fit, current: Fit, rows: np.ndarray, probability: float) -> list[Outlier]:
    """Judge landmarks against a fit they have no part in."""
    set_aside = found.landmarks.only(rows)
    misses = set_aside.fixed - current.transform(set_aside.moving)
    spreads = current.predict_error(set_aside.moving)
    if found.absolute:
        spreads = spreads + set_aside.residual_covariance(Affine(current.matrix).linear)
    elif isinstance(current, Warp) and current.spline is not None:
        spreads = spreads + current.spline.noise[0]
    else:
        dof = max(current.dof or 0, 1)
        spreads = spreads + float((current.residuals**2).sum() / dof) * np.eye(misses.shape[1])
    squares = (misses * solve_each(spreads, misses)).sum(axis=1)
    limit = region_threshold(misses.shape[1], current.region_dof, probability)
    flags = []
    for row, miss, spread, square in zip(rows, misses, spreads, squares, strict=True):
        if square <= limit:
            continue
        distance, expected = float(np.linalg.norm(miss)), float(np.sqrt(np.trace(spread)))
        flags.append(
            Outlier(
                int(row),
                distance,
                expected,
                float(square),
                limit,
                f"The other landmarks miss landmark {row} by {distance:.3f} µm where "
                f"{expected:.3f} µm are expected (squared {square:.1f}, limit {limit:.1f}); check "
                "that both sides show the same bead.",
            )
        )
    return flags
