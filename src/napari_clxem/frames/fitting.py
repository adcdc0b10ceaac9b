"""Fit a map through landmarks, each with its own localisation error."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from napari_clxem.errors import PointsError
from napari_clxem.frames.fitted import Fit
from napari_clxem.frames.landmarks import Landmarks, Sigma, checked
from napari_clxem.frames.models import Calibration, Model, choose, require_spread, span
from napari_clxem.frames.robust import agreeing
from napari_clxem.frames.solving import Solution, solutions
from napari_clxem.frames.warp import warped

_LOOSE = 0.1  # rad: sd of a turn from which the region's second order falls short


def fit(
    moving: ArrayLike,
    fixed: ArrayLike,
    model: str = "affine",
    moving_sigma: Sigma = None,
    fixed_sigma: Sigma = None,
    robust: bool = False,
    prior: Calibration | None = None,
) -> Fit:
    """Fit a map from moving to fixed landmarks.

    Parameters
    ----------
    moving, fixed : (n, d) array_like
        Corresponding landmarks, µm, axes (z, y, x) or (y, x).
    model : str
        ``"translation"``, ``"rigid"``, ``"similarity"``, ``"affine"``, or ``"projection"``
        (scaled orthographic, 3D to 2D). ``"affine"`` also takes 3D moving and 2D fixed landmarks:
        an affine camera. ``"tps"``, a thin-plate spline, needs 8 well-spread pairs: see
        :class:`napari_clxem.frames.Warp`.
    moving_sigma, fixed_sigma : float, (n, d) or (n, d, d) array_like, optional
        Localisation standard deviations µm, or covariances µm². Where one is given the other
        counts as 0. Without either, all landmarks weigh the same and the predicted error is
        scaled by their residuals.
    robust : bool
        Find the landmarks that agree (RANSAC) and fit through these; the others are flagged in
        ``inliers`` and stay in ``residuals``.
    prior : Calibration, optional
        What the calibration says of scale, shear, axial scale and tilt. With it an affine map
        needs two landmarks only (three where z is fitted) and may have them on one plane: what
        they do not determine stays as uncertain as the calibration. Needs a sigma.

    Returns
    -------
    Fit

    Raises
    ------
    PointsError
        Where landmarks are too few, do not go together, or hold NaN, or a sigma is not usable.
    DegenerateError
        Where they coincide, are collinear or coplanar and the model needs more, or where a
        thin-plate spline through them folds.
    """
    landmarks = checked(moving, fixed, moving_sigma, fixed_sigma)
    kind = choose(model, landmarks.moving.shape[1], landmarks.fixed.shape[1], prior)
    if prior is not None and landmarks.fixed_covariance is None:
        raise PointsError(
            "A calibration prior has to be weighed against the landmarks; give moving_sigma or "
            "fixed_sigma in µm."
        )
    spanned = require_spread(kind, landmarks.moving, landmarks.fixed)
    if kind.name == "tps":
        return warped(landmarks, robust)
    inliers = np.ones(len(landmarks.moving), bool)
    notes = []
    if robust:
        if len(inliers) < kind.least + 2:
            notes.append(
                f"{len(inliers)} landmarks are too few to find outliers for a {model} map; "
                f"{kind.least + 2} are needed."
            )
        else:
            inliers = agreeing(kind, landmarks)
    used = landmarks.only(inliers) if robust else landmarks
    best, *rivals = solutions(kind, used, spread=not robust)
    if rivals and kind.d_out == 3:
        notes.append(
            "The landmarks lie nearly on a line: turned over it, the map fits as well; add one "
            "well off that line."
        )
    elif rivals:
        notes.append(
            "The landmarks are nearly coplanar: the mirror solution fits as well; check the side "
            "by a landmark off their plane."
        )
    if robust:
        spanned = span(used.moving)
    if kind.d_in == 3 and kind.name != "translation" and spanned < 3:
        notes.append("The landmarks lie on one plane: nothing off it was tested.")
    if best.turn_sd > _LOOSE:
        notes.append(
            f"A turn is known to {np.rad2deg(best.turn_sd):.0f}° only: the predicted region is "
            "somewhat too small; add landmarks farther apart."
        )
    said = tuple(notes)
    others = tuple(_finish(kind, landmarks, inliers, rival, said) for rival in rivals)
    return _finish(kind, landmarks, inliers, best, said, others)


def _finish(
    model: Model,
    landmarks: Landmarks,
    inliers: np.ndarray,
    solution: Solution,
    notes: tuple[str, ...],
    alternatives: tuple[Fit, ...] = (),
) -> Fit:
    return Fit(
        solution.matrix,
        solution.centre,
        solution.covariance,
        solution.dof,
        model=model.name,
        moving=landmarks.moving,
        fixed=landmarks.fixed,
        inliers=inliers,
        moving_covariance=landmarks.moving_covariance,
        fixed_covariance=landmarks.fixed_covariance,
        prior=model.prior,
        alternatives=alternatives,
        notes=notes,
    )
