"""A fitted map with its landmarks: residuals, leave-one-out misses and predicted error."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from napari_clxem.errors import PointsError
from napari_clxem.frames.affine import Affine, Floats
from napari_clxem.frames.landmarks import Landmarks
from napari_clxem.frames.models import Calibration, choose
from napari_clxem.frames.solving import solutions
from napari_clxem.frames.uncertainty import UncertainAffine


@dataclass(frozen=True, eq=False)
class Fit(UncertainAffine):
    """A fitted map, its residuals and its predicted error; made by :func:`napari_clxem.frames.fit`.

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

    @property
    def landmarks(self) -> Landmarks:
        """All landmarks with their covariances."""
        return Landmarks(self.moving, self.fixed, self.moving_covariance, self.fixed_covariance)

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
                    self.landmarks.only(others),
                )[0]
            except PointsError:
                continue
            miss = self.fixed[index] - Affine(refit.matrix).transform(self.moving[index])[0]
            found[index] = np.linalg.norm(miss)
        return found

    @cached_property
    def undecided(self) -> Fit:
        """The same map, its covariance counting that one of the alternatives may be the true one.

        Each weighs by the likelihood of its landmarks; without alternatives the fit itself.
        """
        rivals = (self, *self.alternatives)
        if len(rivals) == 1 or not self.absolute:
            return self
        used = self.landmarks.only(self.inliers)
        squares = np.array([used.squares(one.matrix).sum() for one in rivals])
        weights = np.exp(-(squares - squares.min()) / 2)
        entries = [
            np.column_stack([Affine(one.matrix).linear, one.transform(self.centre)[0]]).ravel()
            for one in rivals
        ]
        covariance = np.zeros_like(self.covariance)
        for weight, one, there in zip(weights / weights.sum(), rivals, entries, strict=True):
            gap = there - entries[0]
            covariance += weight * (one.covariance + np.outer(gap, gap))
        return replace(self, covariance=covariance)

    @cached_property
    def mirrored(self) -> bool:
        """True where the map turns a left hand into a right one."""
        linear = self._affine.linear
        return bool(linear.shape[0] == linear.shape[1] and np.linalg.det(linear) < 0)
