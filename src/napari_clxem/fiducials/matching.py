"""Which bead is which: correspondences between two frames without a known place or rotation."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_clxem.errors import ClxemError, NoMatch, PointsError
from napari_clxem.fiducials.correspondence import Correspondence, refine
from napari_clxem.fiducials.hypotheses import Search
from napari_clxem.fiducials.pairing import Paired, settle
from napari_clxem.fiducials.plane_search import planar
from napari_clxem.fiducials.profiles import Floats
from napari_clxem.fiducials.space_search import spatial
from napari_clxem.fiducials.tolerances import tolerances, typical_sigma
from napari_clxem.fiducials.view_search import View, oblique
from napari_clxem.frames import Fit, UncertainAffine, as_points

Indices = NDArray[np.intp]

_MODELS = ("translation", "rigid", "similarity", "affine", "projection")
_UNMIRRORED = ("translation", "rigid", "similarity")
_KNOWN = 0.8
"""How likely localisation errors are to explain the misses: the first tolerance."""

_BELONG = 1.5
"""Odds beforehand that two sets which somebody asks to match do belong together."""

_TILT = 0.15
"""Largest sine of the angle between the views of a projection: what height may shift a point."""

_SURE = 1e-4
_GATE = 16.0
"""Squared Mahalanobis distance within which an initial transform allows a partner."""


@dataclass(frozen=True, eq=False)
class Match:
    """Corresponding points of two frames.

    Parameters
    ----------
    pairs : (k, 2) ndarray of int
        Rows of the moving and the fixed points.
    fit : Fit
        Map from moving to fixed through the pairs.
    confidence : float
        Probability, 0 to 1, that this is no accident of the points' density.
    tolerance : float
        Distance within which points were paired at first, fixed µm.
    mirrored : bool
        Whether the moving points had to be mirrored.
    excess : float
        Error per axis, µm, added to the localisation errors to explain the misses; 0 where they
        explain them.
    notes : tuple of str
        What a careful reader should know, a sentence each.
    """

    pairs: Indices
    fit: Fit
    confidence: float
    tolerance: float
    mirrored: bool = False
    excess: float = 0.0
    notes: tuple[str, ...] = ()


def match(
    moving_points: ArrayLike,
    fixed_points: ArrayLike,
    model: str = "similarity",
    tolerance: float | None = None,
    scale: tuple[float, float] = (1.0, 0.02),
    mirror: bool = False,
    moving_sigma: ArrayLike | None = None,
    fixed_sigma: ArrayLike | None = None,
    initial: UncertainAffine | None = None,
    least_confidence: float = 0.8,
    view: View | None = None,
) -> Match:
    """Find corresponding points of two sets, whatever their shift and rotation.

    The sets may overlap in part, and up to half of the points may be spurious or missing.

    Parameters
    ----------
    moving_points, fixed_points : (m, d), (n, d) array_like
        µm, axes (z, y, x) or (y, x). Moving points of 3 axes and fixed ones of 2 are matched as
        seen from any side: a FIB view at grazing angle as well as an image from above.
    model : str
        Model of the fit through the pairs, as in :func:`napari_clxem.frames.fit`. Whatever the
        model, correspondences are looked for as similarity transforms first.
    tolerance : float, optional
        Distance in fixed µm within which a mapped point meets its partner. Where it is not
        given, it follows from the sigmas and the spacing of the points, and wider ones are tried.
    scale : (float, float)
        Scale from moving to fixed: mean and sd.
    mirror : bool
        Whether the frames may be mirror images of each other. The fit through a mirrored
        match is affine, since the models below it do not mirror.
    moving_sigma, fixed_sigma : float, (n, d) or (n, d, d) array_like, optional
        Localisation sd µm, or covariances µm²; they also weight the fit.
    initial : UncertainAffine, optional
        A rough transform: only partners within its predicted error are considered.
    least_confidence : float
        Confidence below which there is no match. Raise it where nobody looks at the result.
    view : View, optional
        From where the image of a volume was taken, as far as known: what a FIB view's milling
        angle is worth. It makes fewer beads enough, and tells mirror solutions apart.

    Returns
    -------
    Match

    Raises
    ------
    NoMatch
        Where no correspondence stands out of chance, or another is about as good.
    PointsError
        Where points are unusable, or too few to tell a match from chance.
    """
    moving = as_points(moving_points, name="Moving points")
    fixed = as_points(fixed_points, name="Fixed points")
    _check(moving, fixed, model, tolerance, scale)
    if view is not None and moving.shape[1] == fixed.shape[1]:
        raise PointsError("A view shows a volume in an image; give moving points of 3 axes.")
    sigmas = (
        typical_sigma(moving_sigma, oblique=moving.shape[1] > fixed.shape[1]),
        typical_sigma(fixed_sigma),
    )
    flat = moving[:, -fixed.shape[1] :]
    # Sigmas tell which tolerance is likely; without them each is.
    told = tolerance is None and max(sigmas) > 0
    problem = _Problem(moving, fixed, flat, model, scale, mirror, initial, view, told)
    best: _Answer | None = None
    levels = tolerances(tolerance, flat, fixed, sigmas, scale[0])
    for level in levels:
        share = 1.0 / len(levels)
        if told and len(levels) > 1:
            share = _KNOWN if level == levels[0] else (1.0 - _KNOWN) / (len(levels) - 1)
        answer = _solve(problem, level, share)
        if answer is not None and (best is None or answer.accidents < best.accidents):
            best = answer
        if best is not None and best.accidents < _SURE:
            break
    if best is None or best.confidence < least_confidence:
        raise NoMatch(_refusal(best, len(moving), len(fixed), least_confidence))
    if best.mirrored and model in _UNMIRRORED:
        problem = replace(problem, model="affine")
    points = Paired(moving, fixed, problem.model, moving_sigma, fixed_sigma)
    found = settle(points, best.pairs, best.tolerance)
    return Match(
        found.pairs,
        _as_seen(found.fit, view),
        best.confidence,
        best.tolerance,
        best.mirrored,
        found.excess,
        found.notes(points),
    )


def _as_seen(found: Fit, view: View | None) -> Fit:
    """Choose, of a fit and its mirror solutions, the one that the instrument may have seen."""
    every = (found, *found.alternatives)
    if view is None or len(every) == 1:
        return found
    chosen = next((one for one in every if view.contains(one.affine[:, :3])), found)
    return replace(chosen, alternatives=tuple(one for one in every if one is not chosen))


@dataclass(frozen=True)
class _Problem:
    """What is to be matched; `flat` are the moving points in the fixed frame's dimensions."""

    moving: Floats
    fixed: Floats
    flat: Floats
    model: str
    scale: tuple[float, float]
    mirror: bool
    initial: UncertainAffine | None
    view: View | None
    told: bool

    @property
    def projects(self) -> bool:
        """Whether a volume is matched to an image."""
        return bool(self.moving.shape[1] > self.fixed.shape[1])


@dataclass(frozen=True)
class _Answer:
    """The best pairs at one tolerance, moving first, and what speaks against them.

    `accidents` are expected of chance; `rivals` is the likelihood of other correspondences of the
    same points over that of this one.
    """

    pairs: Indices
    accidents: float
    rivals: float
    tolerance: float
    mirrored: bool

    @property
    def confidence(self) -> float:
        """Probability that this is no accident."""
        return 1.0 / (1.0 + self.accidents + self.rivals)


def _check(
    moving: Floats, fixed: Floats, model: str, tolerance: float | None, scale: tuple[float, float]
) -> None:
    if model not in _MODELS:
        raise ClxemError(f"No points are matched by a model {model!r}; use one of {_MODELS}.")
    if moving.shape[1] < fixed.shape[1]:
        raise PointsError(
            "Moving points have 2 axes and fixed ones 3; match the volume's points (moving) to "
            "the image's (fixed) instead."
        )
    if moving.shape[1] == fixed.shape[1] and model == "projection":
        raise PointsError("A projection goes from 3 axes to 2; both sets have the same number.")
    if moving.shape[1] > fixed.shape[1] and model not in ("projection", "affine"):
        raise PointsError(
            f"From 3 axes to 2 a {model} map does not go; use 'projection' or 'affine'."
        )
    least = 3 if fixed.shape[1] == 2 else 4
    if min(len(moving), len(fixed)) < least:
        raise PointsError(
            f"{len(moving)} moving and {len(fixed)} fixed points are too few to tell a match "
            f"from chance; find at least {least} in each."
        )
    if tolerance is not None and not (np.isfinite(tolerance) and tolerance > 0):
        raise ClxemError(f"A tolerance of {tolerance} µm pairs nothing; give a positive one.")
    if not (scale[0] > 0 and 0 <= scale[1] < scale[0] / 3.0):
        raise ClxemError(
            f"A scale of {scale[0]} ± {scale[1]} cannot be searched; give a positive mean and an "
            "sd below a third of it."
        )


def _gate(problem: _Problem, tolerance: float) -> NDArray[np.bool_] | None:
    """Partners that the initial transform allows, (m, n)."""
    if problem.initial is None:
        return None
    points = problem.moving if len(problem.initial.centre) == 3 else problem.moving[:, -2:]
    ndim = problem.fixed.shape[1]
    mapped = problem.initial.transform(points)[:, -ndim:]
    covariance = problem.initial.predict_error(points)[:, -ndim:, -ndim:]
    covariance = covariance + (tolerance / 3.0) ** 2 * np.eye(ndim)
    if not np.isfinite(covariance).all():
        raise PointsError(
            "The initial transform has no predicted error; give one with known sigmas."
        )
    away = problem.fixed[None] - mapped[:, None]
    distance = np.einsum("mna,mab,mnb->mn", away, np.linalg.inv(covariance), away)
    allowed: NDArray[np.bool_] = distance <= _GATE
    return allowed


def _solve(problem: _Problem, tolerance: float, share: float) -> _Answer | None:
    """Search at one tolerance; `share` tells how likely it was."""
    if not problem.projects:
        return _level(problem, tolerance, share)
    from_above = problem.view is None and _level(problem, _blurred(problem, tolerance), share / 2)
    if from_above and from_above.accidents < _SURE:
        return from_above
    if problem.initial is not None and _looks_down(problem.initial):
        return from_above or None
    # What is not seen from above may still be seen from elsewhere.
    oblique = _oblique(problem, tolerance, share if problem.view is not None else share / 2)
    found = [one for one in (from_above, oblique) if one]
    return min(found, key=lambda one: one.accidents + one.rivals, default=None)


def _blurred(problem: _Problem, tolerance: float) -> float:
    """Widen a tolerance by what height shifts in a view from nearly above."""
    heights = problem.moving[:, 0] - np.median(problem.moving[:, 0])
    shifted = _TILT * problem.scale[0] * 1.4826 * float(np.median(np.abs(heights)))
    return float(np.hypot(tolerance, shifted))


def _looks_down(initial: UncertainAffine) -> bool:
    """Tell whether a rough transform shows the plane of the grid nearly from above."""
    linear = initial.affine[:, :-1]
    if linear.shape != (2, 3):
        return True
    return bool(np.linalg.norm(linear[:, 0]) < 3.0 * _TILT * np.linalg.norm(linear[:, 1:]))


def _oblique(problem: _Problem, tolerance: float, share: float) -> _Answer | None:
    """Search for views from any side, or from where the instrument says."""
    view = problem.view
    search = Search(
        problem.moving,
        problem.fixed,
        tolerance,
        problem.scale,
        True,
        allowed=_gate(problem, tolerance),
        turns=None if view is None else view.volume,
        told=problem.told,
    )
    found = refine(search, oblique(search, view), False, None if view is None else view.contains)
    return _best(found, tolerance, share)


def _level(problem: _Problem, tolerance: float, share: float) -> _Answer | None:
    turn = 0.0 if problem.model == "translation" else 180.0
    scale = problem.scale
    if problem.model in ("translation", "rigid"):
        scale = (1.0, 0.0)
    gate = _gate(problem, tolerance)
    search = Search(
        problem.flat, problem.fixed, tolerance, scale, problem.mirror, turn, gate, told=problem.told
    )
    # The smaller set gives fewer baselines, and each has more to agree with.
    swapped = len(search.first) > len(search.second)
    if swapped:
        search = _swap(search)
    look = planar if problem.fixed.shape[1] == 2 else spatial
    found = refine(search, look(search), problem.model in ("affine", "projection"))
    best = _best(found, tolerance, share)
    return replace(best, pairs=best.pairs[:, ::-1]) if swapped and best is not None else best


def _best(found: list[Correspondence], tolerance: float, share: float) -> _Answer | None:
    """Give the likeliest correspondence, and what speaks against it."""
    if not found:
        return None
    best = found[0]
    rivals = sum(float(np.exp(c.odds - best.odds)) for c in found[1:] if _differs(c, best))
    accidents = float(np.exp(min(-best.odds, 50.0))) / (share * _BELONG)
    square = best.linear.shape[0] == best.linear.shape[1]
    mirrored = bool(square and np.linalg.det(best.linear) < 0)
    return _Answer(best.pairs, accidents, rivals, tolerance, mirrored)


def _swap(search: Search) -> Search:
    mean, sd = search.scale
    return replace(
        search,
        first=search.second,
        second=search.first,
        tolerance=search.tolerance / mean,
        scale=(1.0 / mean, sd / mean**2),
        allowed=None if search.allowed is None else search.allowed.T,
    )


def _differs(one: Correspondence, other: Correspondence) -> bool:
    """Whether two correspondences share less than half of their pairs."""
    mine, theirs = {tuple(p) for p in one.pairs}, {tuple(p) for p in other.pairs}
    return 2 * len(mine & theirs) < len(mine)


def _refusal(best: _Answer | None, moving: int, fixed: int, least: float) -> str:
    sets = f"{moving} moving and {fixed} fixed points"
    if best is None:
        return f"No part of the {sets} corresponds; check scale, flip and which frames these are."
    if best.rivals > best.accidents:
        return (
            f"The {sets} correspond in two ways about as well; pair three by hand, or give a rough "
            "transform."
        )
    return (
        f"The best correspondence of the {sets} has {len(best.pairs)} pairs, which chance does "
        f"about {best.accidents:.2g} times over (confidence {best.confidence:.2f} < {least}); "
        "pair three by hand, or give a rough transform."
    )
