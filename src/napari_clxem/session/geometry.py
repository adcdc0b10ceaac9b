"""Where things of a session lie: its links as fitted maps, its frames as one graph.

Everything is a pure function of the frozen document and cached on its parts, so asking again
after an unrelated edit costs a look-up.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np

from napari_clxem.errors import ClxemError, NoPathError, SessionError
from napari_clxem.frames import Calibration, Fit, FrameGraph, UncertainAffine, fit
from napari_clxem.frames.affine import Floats
from napari_clxem.frames.uncertainty import region_threshold
from napari_clxem.lamella import upright
from napari_clxem.session.model import (
    Estimate,
    Frame,
    Landmark,
    Link,
    Session,
    Target,
    Vector,
)


def solve(link: Link) -> UncertainAffine:
    """Give the map of a link from its moving to its fixed frame.

    Landmarks that are not used, or picked on one side only, take no part. Where every landmark
    has a localisation error the fit is weighted and its predicted error absolute; where one has
    none all weigh the same.

    Raises
    ------
    ClxemError
        Where the landmarks do not determine the model, or the link carries no estimate.
    """
    if link.kind == "landmarks":
        found = _fitted(link.landmarks, link.model, link.robust, link.prior)
        return upright(found) if link.upright and len(found.matrix) == 2 else found
    if link.estimate is None:
        raise SessionError(
            f"The {link.kind} link from {link.moving!r} to {link.fixed!r} has no transform; "
            "declare or measure it."
        )
    return stored(link.estimate)


def complete(landmarks: tuple[Landmark, ...]) -> tuple[Landmark, ...]:
    """Give the landmarks that take part in a fit: in use, and picked on both sides."""
    return tuple(
        mark
        for mark in landmarks
        if mark.use and mark.moving is not None and mark.fixed is not None
    )


@lru_cache(maxsize=512)
def _fitted(
    landmarks: tuple[Landmark, ...], model: str, robust: bool, prior: Calibration | None
) -> Fit:
    used = complete(landmarks)
    if not used:
        raise SessionError("The link has no complete landmark yet; pick one in both frames.")
    moving = np.array([mark.moving for mark in used])
    fixed = np.array([mark.fixed for mark in used])
    weighted = all(mark.moving_sigma or mark.fixed_sigma for mark in used)
    if not weighted:
        return fit(moving, fixed, model=model, robust=robust, prior=prior)
    return fit(
        moving,
        fixed,
        model=model,
        moving_sigma=_sigmas([mark.moving_sigma for mark in used], moving.shape[1]),
        fixed_sigma=_sigmas([mark.fixed_sigma for mark in used], fixed.shape[1]),
        robust=robust,
        prior=prior,
    )


def _sigmas(sigmas: list[Vector | None], ndim: int) -> Floats:
    return np.array([(0.0,) * ndim if sigma is None else sigma for sigma in sigmas])


def estimate(found: UncertainAffine) -> Estimate:
    """Bring a map into the form a session stores."""
    return Estimate(
        matrix=_rows(found.affine),
        centre=tuple(found.centre.tolist()),
        covariance=_rows(found.covariance),
        dof=found.region_dof,
    )


def stored(found: Estimate) -> UncertainAffine:
    """Bring a stored estimate back to a map."""
    return UncertainAffine(
        np.array(found.matrix), np.array(found.centre), np.array(found.covariance), found.dof
    )


def _rows(matrix: Floats) -> tuple[tuple[float, ...], ...]:
    return tuple(tuple(row) for row in matrix.tolist())


def graph(session: Session) -> FrameGraph:
    """Give the graph of a session's frames; links that cannot be solved yet are left out."""
    global _last
    frames, links, found = _last
    if frames is not session.frames or links is not session.links:
        found = _graph(session.frames, session.links)
        _last = (session.frames, session.links, found)
    return found


# Asked for many times a step: to find it by what it is made of takes ms for many landmarks.
_last: tuple[Any, Any, FrameGraph] = (None, None, FrameGraph())


# A plane whose things lie within so much of it, µm, tells by them how it lies in a volume: so does
# a lamella, which holds what was picked in its map. A film is no such plane.
_THIN = 1.0


def solve_in_space(link: Link, heights: tuple[float, float] | None) -> UncertainAffine:
    """Give the map of a link, as a map of space where a volume's landmarks lie on a thin plane.

    Seen along one direction, landmarks that lie nearly on a plane hardly tell its tilt. Where it
    is known that all of them lie on it, they do.

    Parameters
    ----------
    link : Link
    heights : tuple of float or None
        Mean and sd of the height of things over the plane of the fixed frame, µm; None for a
        volume.

    Returns
    -------
    UncertainAffine
        4 x 4 where the heights took part, its error counting both ways of turning landmarks over
        that lie on a line; else as :func:`solve` gives it.

    Raises
    ------
    ClxemError
        As :func:`solve`.
    """
    found = solve(link)
    model = {"affine": "affine" if link.prior else "", "projection": "similarity"}.get(link.model)
    flat = isinstance(found, Fit) and found.matrix.shape == (2, 4) and found.absolute
    if not (flat and model and heights is not None and heights[1] <= _THIN):
        return found
    try:
        return _fitted_on(link.landmarks, model, link.robust, link.prior, heights).undecided
    except ClxemError:  # landmarks on a line show a view, but no plane
        return found


@lru_cache(maxsize=512)
def _fitted_on(
    landmarks: tuple[Landmark, ...],
    model: str,
    robust: bool,
    prior: Calibration | None,
    heights: tuple[float, float],
) -> Fit:
    mean, sd = heights

    def raised(one: Landmark) -> Landmark:
        spread = one.fixed_sigma or (0.0,) * len(one.fixed or ())
        return replace(one, fixed=(mean, *(one.fixed or ())), fixed_sigma=(sd, *spread))

    return _fitted(tuple(raised(one) for one in complete(landmarks)), model, robust, prior)


@lru_cache(maxsize=32)
def _graph(frames: tuple[Frame, ...], links: tuple[Link, ...]) -> FrameGraph:
    found = FrameGraph()
    for frame in frames:
        found.add_frame(frame.name, frame.ndim, frame.z)
    planes = {frame.name: frame.z for frame in frames if frame.ndim == 2}
    for link in links:
        try:
            transform = solve_in_space(link, planes.get(link.fixed))
        except ClxemError:  # said by `problems`
            continue
        found.add_link(link.moving, link.fixed, transform, link.id, link.tilt_sd)
    return found


def problems(session: Session) -> dict[str, str]:
    """Say of each link that takes no part in the graph why, by its id."""
    found = {}
    for link in session.links:
        try:
            solve(link)
        except ClxemError as error:
            found[link.id] = str(error)
    return found


@dataclass(frozen=True)
class Place:
    """Where a target lies in some frame, and how sure that is.

    Attributes
    ----------
    position : tuple of float
        (z, y, x) or (y, x), µm.
    covariance : tuple of tuple of float
        Of the position, µm².
    lateral : float
        Predicted error in the plane: root mean square distance, µm.
    axial : float or None
        Standard deviation of z, µm; None in a 2D frame.
    radius : float
        Half the long axis of the 95 % region in the plane, µm.
    frames : tuple of str
        Frames the way there leads through.
    """

    position: tuple[float, ...]
    covariance: tuple[tuple[float, ...], ...]
    lateral: float
    axial: float | None
    radius: float
    frames: tuple[str, ...]


def place(session: Session, target: Target, frame: str) -> Place | None:
    """Find a target in a frame along the route of the smallest predicted error.

    The target's own localisation error counts. None where no links lead there.
    """
    try:
        route = graph(session).transform(target.frame, frame, [target.position])
    except NoPathError:
        return None
    own = np.diag(np.square(target.sigma if target.sigma else (0.0,) * len(target.position)))
    covariance = route.predict_error([target.position], own[np.newaxis])[0]
    plane = covariance[-2:, -2:]
    threshold = region_threshold(2, route.region_dof, 0.95)
    return Place(
        position=tuple(route.transform([target.position])[0].tolist()),
        covariance=_rows(covariance),
        lateral=float(np.sqrt(np.trace(plane))),
        axial=float(np.sqrt(covariance[0, 0])) if len(covariance) == 3 else None,
        radius=float(np.sqrt(np.linalg.eigvalsh(plane)[-1] * threshold)),
        frames=route.frames,
    )
