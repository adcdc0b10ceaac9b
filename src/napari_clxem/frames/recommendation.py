"""Which model the landmarks support, and how many more another one would need.

Leave-one-out error and AICc (Hurvich & Tsai 1989, Biometrika 76:297) stand side by side; a model
is recommended with a reason, and nothing is ever switched.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from napari_clxem.errors import PointsError
from napari_clxem.frames.affine import Affine, as_points
from napari_clxem.frames.fitted import Fit
from napari_clxem.frames.fitting import fit
from napari_clxem.frames.models import Calibration, choose, span
from napari_clxem.frames.warp import Warp

_CLEAR = 2.0  # difference in AICc from which a model counts as better (Burnham & Anderson 2002)
_BENT = 0.8  # of the best other leave-one-out error: what a spline has to reach
_WORSE = 1.25  # of the best leave-one-out error: what a model of good AICc may have


@dataclass(frozen=True, eq=False)
class Candidate:
    """How one model does on the landmarks.

    Attributes
    ----------
    model : str
        Its name.
    fit : Fit or None
        None where the landmarks do not allow the model.
    parameters : float
        How many it spends; under a prior, or of a smoothing spline, not a whole number.
    leave_one_out : float
        Root mean square miss of a landmark by the fit through the others, µm; NaN where unknown.
    aicc : float
        Corrected information criterion, smaller is better; NaN where there are too few landmarks
        for it, or where the model goes through all of them.
    note : str
        Why there is no fit, or no criterion.
    """

    model: str
    fit: Fit | None
    parameters: float
    leave_one_out: float
    aicc: float
    note: str = ""


@dataclass(frozen=True, eq=False)
class Recommendation:
    """Models side by side, the recommended one and why.

    Attributes
    ----------
    candidates : tuple of Candidate
        From the simplest model up.
    model : str
        Name of the recommended model.
    reason : str
        A sentence or two.
    current : str
        Model in use.
    """

    candidates: tuple[Candidate, ...]
    model: str
    reason: str
    current: str

    @property
    def agrees(self) -> bool:
        """True where the model in use is the recommended one."""
        return self.model == self.current


def recommend(found: Fit) -> Recommendation:
    """Compare the models that the landmarks of a fit allow, by those that carry it.

    Parameters
    ----------
    found : Fit
        Any fit through the landmarks; its model is the one in use.

    Returns
    -------
    Recommendation
    """
    names: tuple[str, ...] = ("projection", "affine")
    if found.moving.shape[1] == found.fixed.shape[1]:
        names = ("translation", "rigid", "similarity", "affine", "tps")
    rows = tuple(_candidate(name, found) for name in names)
    model, reason = _chosen(rows, found.model)
    return Recommendation(rows, model, reason, found.model)


def landmarks_needed(
    model: str, moving: ArrayLike, fixed: ArrayLike, prior: Calibration | None = None
) -> int:
    """Count the landmarks a model still needs, 0 where it can be fitted.

    Parameters
    ----------
    model : str
        As of :func:`napari_clxem.frames.fit`.
    moving, fixed : (n, d) array_like
        The landmarks there are, µm; none at all are given as an array of shape (0, d).
    prior : Calibration, optional
        As of :func:`napari_clxem.frames.fit`.

    Returns
    -------
    int
        At least 1 where the landmarks are many enough but coincide or lie on one line or plane.

    Raises
    ------
    PointsError
        Where the model is unknown or does not go with the axes.
    """
    one, other = as_points(moving, name="Moving landmarks"), as_points(fixed)
    kind = choose(model, one.shape[1], other.shape[1], prior)
    lacking = max(0, kind.least - len(one))
    for points, rank in ((one, kind.rank), (other, kind.fixed_rank)):
        if rank:
            lacking = max(lacking, rank - (span(points) if len(points) else 0))
    return lacking


def refitted(found: Fit, model: str | None = None, rows: np.ndarray | None = None) -> Fit:
    """Fit again through some of a fit's landmarks, or another model; raises as ``fit``."""
    name = found.model if model is None else model
    used = found.landmarks.only(found.inliers if rows is None else rows)
    return fit(
        used.moving,
        used.fixed,
        name,
        used.moving_covariance,
        used.fixed_covariance,
        prior=found.prior if name == "affine" else None,
    )


def _candidate(name: str, found: Fit) -> Candidate:
    try:
        trial = refitted(found, name)
    except PointsError as error:
        return Candidate(name, None, np.nan, np.nan, np.nan, str(error))
    misses = trial.leave_one_out[np.isfinite(trial.leave_one_out)]
    spent = _parameters(trial)
    missed = float(np.sqrt((misses**2).mean())) if len(misses) == len(trial.moving) else np.nan
    aicc = _aicc(trial, spent)
    note = ""
    if not np.isfinite(aicc):
        through = isinstance(trial, Warp) and not trial.absolute
        note = (
            "It goes through every landmark: only leave-one-out tells."
            if through
            else "Too few landmarks to judge it."
        )
    return Candidate(name, trial, spent, missed, aicc, note)


def _parameters(trial: Fit) -> float:
    """Count the parameters spent: the trace of what the landmarks do to their own fit."""
    if isinstance(trial, Warp) and trial.spline is not None:
        return trial.spline.smoothing_trace()
    if not trial.absolute:
        return float(trial.fixed.size - trial.dof) if trial.dof is not None else np.nan
    noise = trial.landmarks.residual_covariance(Affine(trial.matrix).linear)
    predicted = trial.predict_error(trial.moving)
    return float(np.einsum("nij,nji->", np.linalg.inv(noise), predicted))


def _aicc(trial: Fit, spent: float) -> float:
    size = trial.fixed.size
    if not trial.absolute:
        spent += 1  # the variance of the noise
    left = size - spent - 1
    if left <= 0.5:
        return np.nan
    if trial.absolute:
        noise = trial.landmarks.residual_covariance(Affine(trial.matrix).linear)
        weighted = np.linalg.solve(noise, trial.residuals[:, :, np.newaxis])[:, :, 0]
        misfit = float((trial.residuals * weighted).sum() + np.linalg.slogdet(noise)[1].sum())
    else:
        tiny = 1e-24 * max(float((trial.fixed**2).sum()), 1e-24)
        misfit = size * float(np.log(max(float((trial.residuals**2).sum()), tiny) / size))
    return misfit + 2 * spent + 2 * spent * (spent + 1) / left


def _chosen(rows: tuple[Candidate, ...], current: str) -> tuple[str, str]:
    """Choose a model by AICc, a spline only where leave-one-out asks for it too; say why."""
    judged = [row for row in rows if np.isfinite(row.aicc) and np.isfinite(row.leave_one_out)]
    possible = [row for row in rows if row.fit is not None]
    if not judged:
        simplest = possible[0].model if possible else current
        return simplest, (
            f"{simplest}: the landmarks are too few to compare models; it asks least of them."
        )
    used = next((row for row in possible if row.model == current), None)
    if used is not None and used not in judged and current != "tps":
        rival = min(judged, key=lambda row: row.aicc)
        return current, (
            f"{current}: the landmarks are too few to judge it; {rival.model} misses a left-out "
            f"landmark by {rival.leave_one_out:.3f} µm."
        )
    plain = [row for row in judged if row.model != "tps"] or judged
    lowest = min(row.aicc for row in plain)
    best = next(row for row in plain if row.aicc <= lowest + _CLEAR)
    least = min(row.leave_one_out for row in plain)
    if best.leave_one_out > _WORSE * least:
        best = min(plain, key=lambda row: row.leave_one_out)
    bent = next((row for row in rows if row.model == "tps" and row.fit is not None), None)
    if (
        bent is not None
        and bent.leave_one_out < _BENT * best.leave_one_out
        and not bent.aicc > best.aicc
    ):
        return "tps", (
            f"tps: it misses a left-out landmark by {bent.leave_one_out:.3f} µm, {best.model} by "
            f"{best.leave_one_out:.3f} µm; look where it bends before trusting it."
        )
    return best.model, _reason(best, judged)


def _reason(best: Candidate, judged: list[Candidate]) -> str:
    others = [row for row in judged if row is not best and row.model != "tps"]
    said = f"{best.model}: it misses a left-out landmark by {best.leave_one_out:.3f} µm"
    if not others:
        return said + "; no other model can be judged."
    rival = min(others, key=lambda row: row.aicc)
    said += f", {rival.model} by {rival.leave_one_out:.3f} µm"
    gap = rival.aicc - best.aicc
    if gap >= _CLEAR:
        return f"{said}; its AICc is lower by {gap:.1f}."
    if gap >= -_CLEAR:
        return f"{said}; AICc hardly tells them apart ({abs(gap):.1f}), and it asks less."
    return f"{said}; AICc prefers {rival.model} by {-gap:.1f}, leave-one-out does not."
