"""The fit through matched pairs, with the error that their sigmas leave unexplained."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_clxem.errors import DegenerateError
from napari_clxem.fiducials.correspondence import assign
from napari_clxem.fiducials.profiles import Floats
from napari_clxem.frames import Fit, fit

Indices = NDArray[np.intp]

_REPAIRS = 4
_LEAST_DOF = 3
_FLAT = 0.05


@dataclass(frozen=True)
class Paired:
    """Points to be paired, the model to be fitted, and the sigmas of moving and fixed points."""

    moving: Floats
    fixed: Floats
    model: str
    moving_sigma: Any
    fixed_sigma: Any


@dataclass(frozen=True)
class PairFit:
    """Pairs and the fit through them.

    Parameters
    ----------
    pairs : (k, 2) ndarray of int
        Rows of the moving and the fixed points.
    fit : Fit
        Through them.
    excess : float
        Error per axis beyond the sigmas, µm.
    """

    pairs: Indices
    fit: Fit
    excess: float

    def notes(self, points: Paired) -> tuple[str, ...]:
        """Say what a careful reader should know."""
        return _notes(points.moving[self.pairs[:, 0]], self.excess) + self.fit.notes


def settle(points: Paired, pairs: Indices, tolerance: float) -> PairFit:
    """Fit the model through the pairs, then pair again under it as tightly as they agree.

    Parameters
    ----------
    points : Paired
        All points.
    pairs : (k, 2) ndarray of int
        Correspondences found.
    tolerance : float
        Distance within which they were found, fixed µm.
    """
    from scipy.spatial import cKDTree

    tree = cKDTree(points.fixed)
    found = fit_pairs(points, pairs)
    for _ in range(_REPAIRS):
        mapped = found.fit.transform(points.moving)
        again, _ = assign(mapped, tree, np.full(len(mapped), _agreement(found.fit, tolerance)))
        if len(again) < 0.6 * len(pairs) or np.array_equal(again, found.pairs):
            break
        try:
            found = fit_pairs(points, again)
        except DegenerateError:
            break
    return found


def _agreement(result: Fit, tolerance: float) -> float:
    """Tolerance that 99.9 % of true pairs meet, going by the misses of those found."""
    ndim = result.residuals.shape[1]
    miss = np.linalg.norm(result.residuals, axis=1)
    # Few degrees of freedom make residuals look better than the points are.
    freedom = max(result.dof or 0, 1) / (ndim * len(miss))
    typical = float(np.median(miss)) / 1.2 / np.sqrt(freedom)
    return float(np.clip(3.9 * typical, 0.5 * tolerance, 2.0 * tolerance))


def fit_pairs(points: Paired, pairs: Indices) -> PairFit:
    """Fit through pairs; misses beyond the sigmas become an error common to all pairs."""
    moving, fixed = points.moving[pairs[:, 0]], points.fixed[pairs[:, 1]]
    sigma_m, sigma_f = (
        _rows(points.moving_sigma, pairs[:, 0]),
        _rows(points.fixed_sigma, pairs[:, 1]),
    )
    result = fit(moving, fixed, points.model, sigma_m, sigma_f)
    if sigma_m is None and sigma_f is None:
        return PairFit(pairs, result, 0.0)
    excess = 0.0
    for _ in range(3):
        more = _excess(result, _covariance(sigma_m, moving), _covariance(sigma_f, fixed))
        if abs(more - excess) < 0.02 * more or more == 0.0:
            break
        excess = more
        widened = _covariance(sigma_f, fixed) + excess**2 * np.eye(fixed.shape[1])
        result = fit(moving, fixed, points.model, sigma_m, widened)
    return PairFit(pairs, result, excess)


def _covariance(sigma: Any, points: Floats) -> Floats:
    """Bring a sigma to covariances (n, d, d), µm²."""
    n, d = points.shape
    values = np.asarray(0.0 if sigma is None else sigma, float)
    if values.ndim == 3:
        return values
    spread = np.broadcast_to(values, (n, d)) if values.ndim else np.full((n, d), float(values))
    covariance: Floats = np.einsum("nd,de->nde", spread**2, np.eye(d))
    return covariance


def _excess(result: Fit, moving: Floats, fixed: Floats) -> float:
    """Error per axis, beyond the sigmas, that makes the residuals as likely as they should be.

    It is what DerSimonian and Laird (1986) call the variance between studies: distortion,
    stitching, relief. Zero where the sigmas explain the residuals at the 1 % level.
    """
    from scipy.special import chdtri

    dof = result.dof or 0
    if dof < _LEAST_DOF:
        return 0.0
    linear = result.affine[: result.residuals.shape[1], :-1]
    covariance = fixed + linear @ moving @ linear.T
    eye = np.eye(len(linear))

    def cost(extra: float) -> float:
        inverse = np.linalg.inv(covariance + extra**2 * eye)
        return float(np.einsum("na,nab,nb->", result.residuals, inverse, result.residuals))

    if cost(0.0) <= chdtri(dof, 0.01):
        return 0.0
    low, high = 0.0, float(np.abs(result.residuals).max()) * 10.0
    for _ in range(40):
        middle = (low + high) / 2.0
        low, high = (middle, high) if cost(middle) > dof else (low, middle)
    return high


def _rows(sigma: Any, rows: Indices) -> Any:
    if sigma is None or np.ndim(sigma) == 0:
        return sigma
    return np.asarray(sigma, float)[rows]


def _notes(points: Floats, excess: float) -> tuple[str, ...]:
    notes = []
    if excess > 0:
        notes.append(
            f"The pairs miss by more than their localisation errors; {1e3 * excess:.0f} nm per "
            "axis were added to them (distortion, stitching or relief)."
        )
    spread = np.linalg.svd(points - points.mean(axis=0), compute_uv=False)
    if points.shape[1] == 3 and spread[2] <= _FLAT * spread[1]:
        notes.append(
            "The matched points lie nearly on one plane: nothing across it is determined, and "
            "they cannot tell a mirrored frame."
        )
    return tuple(notes)
