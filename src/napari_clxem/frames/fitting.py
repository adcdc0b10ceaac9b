"""Fit a map through landmarks, each with its own localisation error."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike

from napari_clxem.errors import PointsError
from napari_clxem.frames.affine import Affine, Floats
from napari_clxem.frames.landmarks import Landmarks, Sigma, checked
from napari_clxem.frames.models import Calibration, Model, choose, require_spread, span
from napari_clxem.frames.robust import agreeing
from napari_clxem.frames.solving import Solution, solutions
from napari_clxem.frames.uncertainty import UncertainAffine


@dataclass(frozen=True, eq=False)
class Fit(UncertainAffine):
    """A fitted map, its residuals and its predicted error; made by :func:`fit`.

    Attributes
    ----------
    model : str
        Name of the model.
    moving, fixed : (n, d) array
        The landmarks, µm.
    inliers : (n,) bool array
        Landmarks that carry the fit; all of them unless it was robust.
    alternatives : tuple of Fit
        Other solutions that the landmarks cannot tell from this one: the mirror solution of a
        projection through (nearly) coplanar landmarks.
    notes : tuple of str
        What a careful reader should know of this fit, a sentence each.
    """

    model: str = ""
    moving: Floats = field(default_factory=lambda: np.empty((0, 2)))
    fixed: Floats = field(default_factory=lambda: np.empty((0, 2)))
    inliers: np.ndarray = field(default_factory=lambda: np.empty(0, bool))
    moving_covariance: Floats | None = None
    fixed_covariance: Floats | None = None
    prior: Calibration | None = None
    alternatives: tuple[Fit, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def absolute(self) -> bool:
        """True where localisation errors were given."""
        return self.fixed_covariance is not None

    @cached_property
    def residuals(self) -> Floats:
        """``fixed - f(moving)``, (n, d) µm."""
        return self.fixed - self.transform(self.moving)

    @cached_property
    def fre(self) -> float:
        """Root mean square residual of the landmarks that carry the fit, µm: not an accuracy."""
        return float(np.sqrt((self.residuals[self.inliers] ** 2).sum(axis=1).mean()))

    @cached_property
    def leave_one_out(self) -> Floats:
        """Miss of each landmark by the fit through the others, (n,) µm; NaN where none exists."""
        found = np.full(len(self.moving), np.nan)
        for index in range(len(self.moving)):
            others = self.inliers.copy()
            others[index] = False
            try:
                refit = solutions(
                    choose(self.model, self.moving.shape[1], self.fixed.shape[1], self.prior),
                    Landmarks(
                        self.moving, self.fixed, self.moving_covariance, self.fixed_covariance
                    ).only(others),
                )[0]
            except PointsError:
                continue
            miss = self.fixed[index] - Affine(refit.matrix).transform(self.moving[index])[0]
            found[index] = np.linalg.norm(miss)
        return found

    @cached_property
    def mirrored(self) -> bool:
        """True where the map turns a left hand into a right one."""
        linear = self._affine.linear
        return bool(linear.shape[0] == linear.shape[1] and np.linalg.det(linear) < 0)


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
        an affine camera.
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
        Where they coincide, are collinear or coplanar and the model needs more.
    """
    landmarks = checked(moving, fixed, moving_sigma, fixed_sigma)
    kind = choose(model, landmarks.moving.shape[1], landmarks.fixed.shape[1], prior)
    if prior is not None and landmarks.fixed_covariance is None:
        raise PointsError(
            "A calibration prior has to be weighed against the landmarks; give moving_sigma or "
            "fixed_sigma in µm."
        )
    require_spread(kind, landmarks.moving, landmarks.fixed)
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
    best, *rivals = solutions(kind, landmarks.only(inliers))
    if rivals:
        notes.append(
            "The landmarks are nearly coplanar: the mirror solution fits as well; check the side "
            "by a landmark off their plane."
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
    if model.d_in == 3 and span(landmarks.moving[inliers]) < 3 and model.name != "translation":
        notes = (*notes, "The landmarks lie on one plane: nothing off it was tested.")
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
