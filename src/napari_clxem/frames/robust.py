"""Landmarks that agree on one map: RANSAC, then refits until the set is stable."""

from __future__ import annotations

from itertools import combinations, islice

import numpy as np

from napari_clxem.errors import PointsError
from napari_clxem.frames.affine import Floats
from napari_clxem.frames.landmarks import Landmarks
from napari_clxem.frames.models import Model
from napari_clxem.frames.solving import solutions
from napari_clxem.frames.uncertainty import region_threshold

_SUBSETS = 150
_FEWEST = 12
_MISSED = 1e-4  # chance that none of the subsets tried was of good landmarks alone
_INLIER = 0.999  # share of good landmarks a robust fit keeps


def agreeing(model: Model, landmarks: Landmarks) -> np.ndarray:
    """Find the landmarks that agree on one map: RANSAC, then refits until the set is stable."""
    count = len(landmarks.moving)
    if landmarks.fixed_covariance is not None:
        plain = solutions(model, landmarks)[0]
        if _within(landmarks.squares(plain.matrix), model, landmarks).all():
            return np.ones(count, bool)  # nothing to find
    seeds: list[tuple[float, np.ndarray]] = []
    enough = _SUBSETS
    for tried, rows in enumerate(_subsets(count, model.least)):
        if tried >= enough:
            break
        try:
            solution = solutions(model, landmarks.only(np.array(rows)))[0]
        except PointsError:
            continue
        squares = landmarks.squares(solution.matrix)
        seeds.append((_score(squares, model, landmarks), squares))
        if landmarks.fixed_covariance is not None:
            enough = min(enough, _enough(_within(squares, model, landmarks), model.least))
    if not seeds:
        return np.ones(count, bool)
    squares = min(seeds, key=lambda seed: seed[0])[1]
    inliers = _within(squares, model, landmarks)
    for _ in range(20):
        try:
            solution = solutions(model, landmarks.only(inliers))[0]
        except PointsError:
            return np.ones(count, bool)
        again = _within(landmarks.squares(solution.matrix), model, landmarks)
        if (again == inliers).all():
            break
        inliers = again
    return inliers


def _subsets(count: int, size: int) -> list[tuple[int, ...]]:
    """Give every subset where these are few, else a fixed random choice of them."""
    every = list(islice(combinations(range(count), size), _SUBSETS + 1))
    if len(every) <= _SUBSETS:
        return every
    rng = np.random.default_rng(0)
    return [tuple(rng.choice(count, size, replace=False)) for _ in range(_SUBSETS)]


def _enough(inliers: np.ndarray, size: int) -> int:
    """Give how many subsets find one of good landmarks alone, if these are so many.

    Fischler & Bolles 1981, Commun. ACM 24:381.
    """
    clean = float(inliers.mean()) ** size
    if clean <= 0:
        return _SUBSETS
    needed = np.log(_MISSED) / np.log1p(-clean) if clean < 1 else 0.0
    return max(_FEWEST, int(np.ceil(needed)))


def _gate(squares: Floats, model: Model, landmarks: Landmarks) -> float:
    """Give the largest square a good landmark may have."""
    gate = region_threshold(model.d_out, None, _INLIER)
    if landmarks.fixed_covariance is not None:
        return gate
    # The median of the squares stands for the noise where none is given (Rousseeuw & Leroy).
    ratio = float(np.median(squares)) / region_threshold(model.d_out, None, 0.5)
    small_sample = (1 + 5 / max(len(squares) - model.least, 1)) ** 2
    return max(gate * ratio * small_sample, 1e-18)


def _score(squares: Floats, model: Model, landmarks: Landmarks) -> float:
    if landmarks.fixed_covariance is None:
        return float(np.median(squares))
    return float(np.minimum(squares, _gate(squares, model, landmarks)).sum())


def _within(squares: Floats, model: Model, landmarks: Landmarks) -> np.ndarray:
    return np.asarray(squares <= _gate(squares, model, landmarks))
