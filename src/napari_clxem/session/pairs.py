"""The landmarks of a link as rows for people, and what its fit still needs."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from napari_clxem.errors import ClxemError
from napari_clxem.frames import Calibration, Fit, UncertainAffine, landmarks_needed
from napari_clxem.frames.affine import Floats
from napari_clxem.frames.models import choose
from napari_clxem.frames.uncertainty import region_threshold
from napari_clxem.session.beads import BETWEEN_INSTRUMENTS
from napari_clxem.session.description import OBLIQUE, OBLIQUE_VIEW, UPRIGHT
from napari_clxem.session.edits import Side
from napari_clxem.session.examination import Examination, known
from napari_clxem.session.geometry import complete, graph, solve
from napari_clxem.session.model import Dataset, Landmark, Link, Origin, Session, Target, Vector

# Residuals so many times what the picks' errors explain make the predicted error too small.
UNEXPLAINED = 1.5

Flag = Literal["", "excluded", "half", "outlier", "suspect"]


@dataclass(frozen=True)
class PairRow:
    """What there is to say of one landmark of a link; lengths µm, None where there is none.

    Attributes
    ----------
    id : str
        Of the landmark.
    number : int
        Its place in the link, from 1.
    use : bool
        Whether it may take part in the fit.
    moving, fixed : tuple of float or None
        Positions, (z, y, x) or (y, x).
    residual : float or None
        Distance from its fixed side to where the fit puts its moving side.
    leave_one_out : float or None
        The same by a fit through the others.
    weight : float or None
        Its share of the information in the fit, the mean of those used being 1.
    origin : str
        ``"bead"``, ``"hand"`` or ``"file"``.
    flag : str
        What to look at it for; empty for nothing.
    reason : str
        The flag as a sentence.
    """

    id: str
    number: int
    use: bool
    moving: Vector | None
    fixed: Vector | None
    residual: float | None
    leave_one_out: float | None
    weight: float | None
    origin: Origin
    flag: Flag = ""
    reason: str = ""


def found(link: Link) -> Fit | None:
    """Give the fit of a link by landmarks; None where they do not determine one."""
    try:
        fitted = solve(link)
    except ClxemError:
        return None
    return fitted if isinstance(fitted, Fit) else None


def problem(link: Link) -> str:
    """Say why a link has no fit; empty where it has one."""
    try:
        solve(link)
    except ClxemError as error:
        return str(error)
    return ""


def needed(link: Link, session: Session) -> int:
    """Count the complete landmarks that a link's model still lacks."""
    axes = {frame.name: frame.ndim for frame in session.frames}
    picked = complete(link.landmarks)
    moving, fixed = (
        np.array([getattr(one, side) for one in picked], dtype=float).reshape(
            len(picked), axes.get(getattr(link, side), 3)
        )
        for side in ("moving", "fixed")
    )
    try:
        return landmarks_needed(link.model, moving, fixed, link.prior)
    except ClxemError:
        return 0  # said as the problem of the link


def pair_rows(link: Link) -> tuple[PairRow, ...]:
    """Give one row per landmark; leave-one-out errors and outliers where they are known."""
    fitted = found(link)
    examined = known(fitted) if fitted is not None else Examination()
    left_out = examined.left_out
    picked = [one.id for one in complete(link.landmarks)]
    weights = _weights(fitted) if fitted else np.empty(0)
    distances = np.empty(0) if fitted is None else np.linalg.norm(fitted.residuals, axis=1)
    suspects = {one.index: one.reason for one in examined.outliers or ()}
    rows = []
    for number, one in enumerate(link.landmarks, start=1):
        at = picked.index(one.id) if one.id in picked and fitted is not None else None
        carries = at is not None and fitted is not None and bool(fitted.inliers[at])
        flag, reason = _flag(one, carries, suspects.get(at) if at is not None else None, fitted)
        rows.append(
            PairRow(
                id=one.id,
                number=number,
                use=one.use,
                moving=one.moving,
                fixed=one.fixed,
                residual=float(distances[at]) if at is not None else _miss(fitted, one),
                leave_one_out=_finite(left_out[at])
                if left_out is not None and at is not None
                else None,
                weight=float(weights[at]) if at is not None and carries else None,
                origin=one.origin,
                flag=flag,
                reason=reason,
            )
        )
    return tuple(rows)


def excess(fitted: Fit) -> float | None:
    """Tell how many times the residuals are what the picks' errors explain.

    The square root of chi-squared per degree of freedom; None without given errors or with no
    degree of freedom left.
    """
    squares = _squares(fitted)
    ndim = fitted.residuals.shape[1]
    count = int(fitted.inliers.sum()) * ndim
    parameters = choose(fitted.model, fitted.moving.shape[1], ndim, fitted.prior).parameters
    if squares is None or count <= parameters:
        return None
    return float(np.sqrt(squares[fitted.inliers].sum() / (count - parameters)))


def warnings(link: Link) -> tuple[str, ...]:
    """Give the sentences a careful reader of a link's fit should see."""
    fitted = found(link)
    if fitted is None:
        return ()
    said = list(fitted.notes)
    ratio = excess(fitted)
    if ratio is not None and ratio > UNEXPLAINED:
        said.append(
            f"The residuals are {ratio:.1f} times what the errors of the picks explain: the "
            "predicted error is too small by about that; look for a wrong pair."
        )
    return tuple(said)


@dataclass(frozen=True)
class TargetError:
    """The error that one link predicts at a target; µm, nan where no degree of freedom is left.

    Attributes
    ----------
    name : str
        Of the target.
    lateral : float
        Root mean square distance in the plane.
    radius : float
        Half the long axis of the 95 % region in the plane.
    covariance : tuple of tuple of float
        In the plane, (2, 2) of (y, x), µm².
    """

    name: str
    lateral: float
    radius: float
    covariance: tuple[tuple[float, ...], ...]


def target_error(session: Session, link: Link, target: Target) -> TargetError | None:
    """Predict the error of one link at a target; None where it has no map, or no way is there."""
    try:
        solved = solve(link)
        way = graph(session).transform(target.frame, link.moving, [target.position])
    except ClxemError:  # said as the problem of the link
        return None
    probe = way.transform([target.position])[:, -len(solved.centre) :]
    spread = solved.predict_error(probe)[0, -2:, -2:]
    known = bool(np.isfinite(spread).all())
    widest = float(np.linalg.eigvalsh(spread)[-1]) if known else float("nan")
    return TargetError(
        target.name,
        float(np.sqrt(np.trace(spread))) if known else float("nan"),
        float(np.sqrt(widest * region_threshold(2, solved.region_dof, 0.95))),
        tuple(tuple(row) for row in spread.tolist()),
    )


def frame_dataset(session: Session, frame: str) -> Dataset | None:
    """Give the image that lies in a frame; the finest where there are several."""
    there = [one for one in session.datasets if one.frame == frame and one.scale]
    return min(there, key=lambda one: one.scale[-1] if one.scale else 0.0, default=None)


def is_oblique(session: Session, frame: str) -> bool:
    """Tell whether a frame is that of a view along the grid."""
    dataset = frame_dataset(session, frame)
    return dataset is not None and dataset.modality in OBLIQUE


def is_upright(session: Session, frame: str) -> bool:
    """Tell whether a frame's view shows what is higher further up, as a FIB's does."""
    dataset = frame_dataset(session, frame)
    return dataset is not None and dataset.modality in UPRIGHT


def link_between(session: Session, one: str, other: str) -> Link | None:
    """Give the link by landmarks between two frames, whichever way it runs."""
    ends = {one, other}
    ours = [x for x in session.links if x.kind == "landmarks" and {x.moving, x.fixed} == ends]
    return max(ours, key=lambda link: len(link.landmarks), default=None)


def drafted(session: Session, moving: str, fixed: str) -> Link:
    """Make a link between two frames that has no landmarks yet.

    A view along the grid, and a plane, are the fixed side of a volume.
    """
    axes = {frame.name: frame.ndim for frame in session.frames}
    turned = is_oblique(session, moving) or axes.get(moving, 3) < axes.get(fixed, 3)
    if turned and not is_oblique(session, fixed):
        moving, fixed = fixed, moving
    prior = default_prior(is_oblique(session, fixed))
    return Link(
        moving=moving,
        fixed=fixed,
        model="affine",
        prior=prior,
        upright=is_upright(session, fixed),
    )


def default_prior(oblique: bool) -> Calibration:
    """Give what instruments may differ by before any landmark."""
    return OBLIQUE_VIEW if oblique else BETWEEN_INSTRUMENTS


def with_pick(
    link: Link, side: Side, position: Vector, sigma: Vector | None, origin: Origin = "hand"
) -> Link:
    """Add a pick: to the landmark that waits for this side, else as a new landmark.

    A landmark that waits for its other side, picked on this one, is moved.
    """
    waiting = half(link)
    values: dict[str, Any] = {side: position, f"{side}_sigma": sigma, "origin": origin}
    if waiting is None:
        mark = _amended(Landmark(), values)
        return replace(link, landmarks=(*link.landmarks, mark))
    changed = _amended(waiting, values)
    marks = tuple(changed if one is waiting else one for one in link.landmarks)
    return replace(link, landmarks=marks)


def half(link: Link) -> Landmark | None:
    """Give the last landmark that was picked on one side only."""
    open_ones = [one for one in link.landmarks if (one.moving is None) != (one.fixed is None)]
    return open_ones[-1] if open_ones else None


def _amended(mark: Landmark, values: dict[str, Any]) -> Landmark:
    return replace(mark, **values)


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def _miss(fitted: UncertainAffine | None, mark: Landmark) -> float | None:
    """How far a landmark that takes no part is from where the fit puts it."""
    if fitted is None or mark.moving is None or mark.fixed is None:
        return None
    return float(np.linalg.norm(np.array(mark.fixed) - fitted.transform([mark.moving])[0]))


def _residual_covariance(fitted: Fit) -> Floats | None:
    """Covariance of the residuals by the picks' errors alone, (n, d, d) µm²."""
    if fitted.fixed_covariance is None or fitted.moving_covariance is None:
        return None
    linear = fitted.matrix[: fitted.fixed.shape[1], : fitted.moving.shape[1]]
    return np.asarray(fitted.fixed_covariance + linear @ fitted.moving_covariance @ linear.T)


def _squares(fitted: Fit) -> Floats | None:
    covariance = _residual_covariance(fitted)
    if covariance is None:
        return None
    residuals = fitted.residuals[..., np.newaxis]
    return np.asarray((residuals * np.linalg.solve(covariance, residuals)).sum(axis=(1, 2)))


def _weights(fitted: Fit) -> Floats:
    covariance = _residual_covariance(fitted)
    if covariance is None:
        return np.ones(len(fitted.moving))
    information = np.trace(np.linalg.inv(covariance), axis1=1, axis2=2)
    return np.asarray(information / information[fitted.inliers].mean())


def _flag(
    mark: Landmark, carries: bool, suspicion: str | None, fitted: Fit | None
) -> tuple[Flag, str]:
    if mark.moving is None or mark.fixed is None:
        return "half", "Picked on one side only; pick it in the other canvas."
    if not mark.use:
        return "excluded", "Excluded by hand; it takes no part in the fit."
    if fitted is not None and not carries:
        return "outlier", suspicion or "The robust fit leaves it out: the others contradict it."
    if suspicion:
        return "suspect", suspicion
    return "", ""
