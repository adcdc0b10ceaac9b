"""Turning an image after things were picked in it: what was picked stays on its pixels.

A change of orientation exchanges and reverses the axes of the dataset's frame, which is a signed
permutation with a shift. Landmarks, targets and stored transforms of the frame follow it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_clxem.errors import SessionError
from napari_clxem.io.image import SPATIAL, Orientation
from napari_clxem.session.model import (
    Dataset,
    Estimate,
    Landmark,
    Link,
    Matrix,
    Session,
    Target,
    Vector,
)

Floats = NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Turn:
    """Map from the old to the new coordinates of a frame: ``linear @ p + shift``, µm."""

    linear: Floats
    shift: Floats

    @property
    def keeps_plane(self) -> bool:
        """Whether (y, x) stay (y, x) in some order: always in a 2D frame."""
        return len(self.shift) == 2 or not self.linear[0, 1:].any()

    def of_ndim(self, ndim: int, what: str) -> Turn:
        """Give the turn in `ndim` axes: that of the plane of a volume, or of a plane in space.

        Raises
        ------
        SessionError
            Where z does not stay z.
        """
        if ndim == len(self.shift):
            return self
        if ndim > len(self.shift):
            linear = np.eye(3)
            linear[1:, 1:] = self.linear
            return Turn(linear, np.concatenate([[0.0], self.shift]))
        if not self.keeps_plane:
            raise SessionError(
                f"{what} lies in the plane of an image whose z would become another axis; "
                "remove it first."
            )
        return Turn(self.linear[1:, 1:], self.shift[1:])

    def position(self, position: Vector | None, what: str) -> Vector | None:
        """Give the new coordinates of a position."""
        if position is None:
            return None
        turn = self.of_ndim(len(position), what)
        return tuple((turn.linear @ np.asarray(position) + turn.shift).tolist())

    def sigma(self, sigma: Vector | None, what: str) -> Vector | None:
        """Give the standard deviations along the new axes."""
        if sigma is None:
            return None
        turn = self.of_ndim(len(sigma), what)
        return tuple((np.abs(turn.linear) @ np.asarray(sigma)).tolist())


def reoriented(session: Session, dataset: Dataset, orientation: Orientation) -> Session:
    """Give the session with another orientation of one of its datasets.

    The dataset's shape, pixel size and stage matrix follow, and so does whatever lies in its
    frame: landmarks, targets, and the stored transforms of links.

    Raises
    ------
    SessionError
        Where the orientation does not name the dataset's axes, the order of the stored axes is
        not known, or something in the frame cannot follow.
    """
    turned, sources = _turned(dataset, orientation)
    if turned == dataset:
        return session
    datasets = tuple(turned if one is dataset else one for one in session.datasets)
    session = replace(session, datasets=datasets)
    if not dataset.frame or not _is_occupied(session, dataset.frame):
        return session
    _need_followers(session, dataset)
    return _followed(session, dataset, _turn(dataset, turned, sources))


def deepened(session: Session, dataset: Dataset, factor: float) -> Session:
    """Give the session with another axial scaling of one of its datasets.

    Whatever lies in its frame follows: what was picked stays in its slice.

    Raises
    ------
    SessionError
        Where the dataset has no z, or something in the frame cannot follow.
    """
    if "z" not in dataset.axes:
        raise SessionError(
            f"Dataset {dataset.name or dataset.id!r} has no z to be scaled; choose a stack."
        )
    changed = replace(dataset, axial_scaling=factor)
    datasets = tuple(changed if one is dataset else one for one in session.datasets)
    scaled = replace(session, datasets=datasets)
    if not dataset.frame or not _is_occupied(scaled, dataset.frame):
        return scaled
    _need_followers(scaled, dataset)
    linear = np.diag([factor / dataset.axial_scaling, 1.0, 1.0])
    return _followed(scaled, dataset, Turn(linear, np.zeros(3)))


def _followed(session: Session, dataset: Dataset, turn: Turn) -> Session:
    """Move what lies in the frame of a dataset."""
    return replace(
        session,
        links=tuple(_link(one, dataset.frame, turn) for one in session.links),
        targets=tuple(_target(one, dataset.frame, turn) for one in session.targets),
    )


def _turned(dataset: Dataset, orientation: Orientation) -> tuple[Dataset, dict[str, str]]:
    """Give the turned dataset, and for each of its spatial axes the one it was before."""
    what = f"dataset {dataset.name or dataset.id!r}"
    spatial = tuple(axis for axis in dataset.axes if axis in SPATIAL)
    if not dataset.shape or not spatial:  # never opened: there is nothing to follow
        return replace(dataset, orientation=orientation), {}
    old = dataset.orientation.axes
    new = orientation.axes or old
    if not old and new:
        raise SessionError(f"The stored axes of {what} are not known; open its file again first.")
    if new and sorted(new) != sorted(spatial):
        raise SessionError(
            f"The axes ({', '.join(new)}) are not an order of those of {what} "
            f"({', '.join(spatial)}); name each of them once."
        )
    if not set(orientation.flip) <= set(spatial):
        raise SessionError(f"Only the axes {', '.join(spatial)} of {what} can be flipped.")
    sources = dict(zip(new, old, strict=True)) if new else {axis: axis for axis in spatial}
    sizes = dict(zip(dataset.axes, dataset.shape, strict=True))
    pixel = dict(zip(spatial, dataset.scale, strict=True)) if dataset.scale else None
    turned = replace(
        dataset,
        orientation=Orientation(axes=new, flip=orientation.flip),
        shape=tuple(sizes[sources.get(axis, axis)] for axis in dataset.axes),
        scale=None if pixel is None else tuple(pixel[sources[axis]] for axis in spatial),
    )
    return _with_stage(dataset, turned, sources), sources


def _with_stage(dataset: Dataset, turned: Dataset, sources: dict[str, str]) -> Dataset:
    stage = dataset.stage
    if stage is None or stage.image_to_stage is None:
        return turned
    matrix = None
    if dataset.scale is not None:
        turn = _turn(dataset, turned, sources)
        if turn.keeps_plane:  # the stage moves in the plane of the image as it was
            flat = turn.of_ndim(2, "")
            to_old = np.linalg.inv(_homogeneous(flat))
            matrix = _rows(np.asarray(stage.image_to_stage) @ to_old)
    return replace(turned, stage=replace(stage, image_to_stage=matrix))


def _turn(dataset: Dataset, turned: Dataset, sources: dict[str, str]) -> Turn:
    spatial = tuple(axis for axis in dataset.axes if axis in SPATIAL)
    if dataset.scale is None:
        raise SessionError(
            f"Dataset {dataset.name or dataset.id!r} has no pixel size, so what lies in it cannot "
            "follow; give one first."
        )
    sizes = dict(zip(dataset.axes, dataset.shape, strict=True))
    pixel = dict(zip(spatial, dataset.scale, strict=True))
    linear, shift = np.zeros((len(spatial), len(spatial))), np.zeros(len(spatial))
    for row, axis in enumerate(spatial):
        source = sources[axis]
        factor = dataset.axial_scaling if axis == "z" else 1.0
        undone = dataset.axial_scaling if source == "z" else 1.0
        reversed_ = (source in dataset.orientation.flip) != (axis in turned.orientation.flip)
        linear[row, spatial.index(source)] = (-1.0 if reversed_ else 1.0) * factor / undone
        if reversed_:
            shift[row] = (sizes[source] - 1) * pixel[source] * factor
    return Turn(linear, shift)


def _is_occupied(session: Session, frame: str) -> bool:
    return (
        any(frame in (link.moving, link.fixed) for link in session.links)
        or any(target.frame == frame for target in session.targets)
        or any(exposure.frame == frame for exposure in session.exposures)
        or any(one.frame == frame for one in session.lamellae)
        or any(one.frame == frame for one in session.fields)
    )


def _need_followers(session: Session, dataset: Dataset) -> None:
    frame = dataset.frame
    if any(one.frame == frame and one.id != dataset.id for one in session.datasets):
        raise SessionError(
            f"Other images lie in frame {frame!r}, too, and would not follow; give dataset "
            f"{dataset.name or dataset.id!r} a frame of its own first."
        )
    if any(one.frame == frame for one in session.exposures):
        raise SessionError(
            f"Exposures are recorded in frame {frame!r} and would not follow; remove them first."
        )
    if any(one.frame == frame for one in session.lamellae):
        raise SessionError(
            f"Lamellae are planned in frame {frame!r} and would not follow; remove them first."
        )
    if any(one.frame == frame for one in session.fields):
        raise SessionError(
            f"SXT fields are kept in frame {frame!r} and would not follow; remove them first."
        )


def _target(target: Target, frame: str, turn: Turn) -> Target:
    if target.frame != frame:
        return target
    what = f"Target {target.name or target.id!r}"
    position = turn.position(target.position, what) or target.position
    return replace(target, position=position, sigma=turn.sigma(target.sigma, what))


def _link(link: Link, frame: str, turn: Turn) -> Link:
    if frame not in (link.moving, link.fixed):
        return link
    moving = link.moving == frame
    what = f"Link {link.id!r}"
    landmarks = tuple(
        _landmark(one, "moving" if moving else "fixed", turn) for one in link.landmarks
    )
    estimate = link.estimate
    if estimate is not None:
        estimate = (_moving if moving else _fixed)(estimate, turn, what)
    return replace(link, landmarks=landmarks, estimate=estimate)


def _landmark(landmark: Landmark, side: str, turn: Turn) -> Landmark:
    what = f"Landmark {landmark.id!r}"
    if side == "moving":
        return replace(
            landmark,
            moving=turn.position(landmark.moving, what),
            moving_sigma=turn.sigma(landmark.moving_sigma, what),
        )
    return replace(
        landmark,
        fixed=turn.position(landmark.fixed, what),
        fixed_sigma=turn.sigma(landmark.fixed_sigma, what),
    )


def _moving(estimate: Estimate, turn: Turn, what: str) -> Estimate:
    """Turn the moving side: A becomes A inv(M); the image of the centre stays what it is."""
    centre = np.asarray(estimate.centre)
    turn = turn.of_ndim(len(centre), what)
    back = np.linalg.inv(turn.linear)
    matrix = np.asarray(estimate.matrix) @ np.linalg.inv(_homogeneous(turn))
    rows = len(estimate.covariance) // (len(centre) + 1)
    one_row = np.eye(len(centre) + 1)
    one_row[:-1, :-1] = back.T
    return _with_map(
        estimate, matrix, turn.linear @ centre + turn.shift, np.kron(np.eye(rows), one_row)
    )


def _fixed(estimate: Estimate, turn: Turn, what: str) -> Estimate:
    """Turn the fixed side: the rows of [A | t] are mixed by M, and t is shifted."""
    centre = np.asarray(estimate.centre)
    rows = len(estimate.covariance) // (len(centre) + 1)
    turn = turn.of_ndim(rows, what)
    matrix = np.asarray(estimate.matrix).copy()
    matrix[:rows] = turn.linear @ matrix[:rows]
    matrix[:rows, -1] += turn.shift
    return _with_map(estimate, matrix, centre, np.kron(turn.linear, np.eye(len(centre) + 1)))


def _with_map(estimate: Estimate, matrix: Floats, centre: Floats, jacobian: Floats) -> Estimate:
    covariance = jacobian @ np.asarray(estimate.covariance) @ jacobian.T
    return replace(
        estimate,
        matrix=_rows(matrix),
        centre=tuple(centre.tolist()),
        covariance=_rows((covariance + covariance.T) / 2),
    )


def _homogeneous(turn: Turn) -> Floats:
    matrix = np.eye(len(turn.shift) + 1)
    matrix[:-1, :-1], matrix[:-1, -1] = turn.linear, turn.shift
    return matrix


def _rows(matrix: Floats) -> Matrix:
    return tuple(tuple(row) for row in matrix.tolist())
