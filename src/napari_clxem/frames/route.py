"""One way through a graph of frames: where it takes points, and with what error."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from napari_clxem.frames.affine import Floats, as_points
from napari_clxem.frames.uncertainty import UncertainAffine, region_threshold


@dataclass(frozen=True)
class Node:
    """A frame in a graph: its axes, and the z prior (mean, sd) µm of a plane."""

    name: str
    ndim: int
    z: tuple[float, float]


@dataclass(frozen=True, eq=False)
class Step:
    """One link in one direction, completed to 3D."""

    start: str
    end: Node
    link: str
    map: UncertainAffine


@dataclass(frozen=True, eq=False)
class Route:
    """The way from one frame to another through the links of a graph."""

    start: Node
    steps: tuple[Step, ...]

    @property
    def frames(self) -> tuple[str, ...]:
        """Names of the frames passed, both ends included."""
        return (self.start.name, *(step.end.name for step in self.steps))

    @property
    def links(self) -> tuple[str, ...]:
        """Identifiers of the links taken."""
        return tuple(step.link for step in self.steps)

    @property
    def end(self) -> Node:
        """Frame the route ends in."""
        return self.steps[-1].end if self.steps else self.start

    @property
    def bends(self) -> bool:
        """True where one of its maps is no affine one."""
        return any(step.map.bends for step in self.steps)

    @property
    def placement(self) -> Floats:
        """Invertible 4 x 4 matrix that lays a volume of the first frame into the last, µm.

        Unlike :meth:`transform` it keeps relative heights when it passes a plane.
        """
        matrix: Floats = np.eye(4)
        for step in self.steps:
            matrix = step.map.matrix @ matrix
        return matrix

    @property
    def affine(self) -> Floats:
        """4 x 4 matrix (z, y, x) of what :meth:`transform` does; singular after a plane."""
        matrix = _flattening(self.start)
        for step in self.steps:
            matrix = _flattening(step.end) @ step.map.matrix @ matrix
        return matrix

    def transform(self, points: ArrayLike) -> Floats:
        """Map points (n, ndim of the first frame) to (n, ndim of the last), µm."""
        return self._carry(points, None)[0][:, 3 - self.end.ndim :]

    def predict_error(self, points: ArrayLike, covariance: ArrayLike | None = None) -> Floats:
        """Predict the covariance of mapped points, all links' errors and z priors included.

        Parameters
        ----------
        points : (n, d) array_like
            Points in the first frame, µm.
        covariance : (n, d, d) array_like, optional
            Of the points themselves, µm²; left out, they are exact.

        Returns
        -------
        (n, d_out, d_out) array
            µm². First order; links count as independent.
        """
        keep = slice(3 - self.end.ndim, 3)
        return self._carry(points, covariance)[1][:, keep, keep]

    @property
    def region_dof(self) -> int | None:
        """Fewest degrees of freedom among its links' errors; None where all are absolute."""
        counts = [step.map.region_dof for step in self.steps]
        return min((dof for dof in counts if dof is not None), default=None)

    def region(self, points: ArrayLike, probability: float = 0.95) -> Floats:
        """Squared Mahalanobis radius that holds a mapped point with `probability`, (n,).

        One link without known localisation errors makes the whole route's region that of the
        fewest degrees of freedom among such links, which errs on the large side.
        """
        threshold = region_threshold(self.end.ndim, self.region_dof, probability)
        return np.full(len(as_points(points, self.start.ndim)), threshold)

    def _carry(self, points: ArrayLike, covariance: ArrayLike | None) -> tuple[Floats, Floats]:
        """Take points and covariances through all steps, in 3D."""
        places, errors = begin(self.start, points, covariance)
        for step in self.steps:
            places, errors = carry(step, places, errors)
        return places, errors


def begin(
    node: Node, points: ArrayLike, covariance: ArrayLike | None = None
) -> tuple[Floats, Floats]:
    """Give points of a frame (n, 3) and their covariances (n, 3, 3), a plane's height included."""
    array = as_points(points, node.ndim)
    low = 3 - node.ndim
    places: Floats = np.zeros((len(array), 3))
    places[:, low:] = array
    errors: Floats = np.zeros((len(array), 3, 3))
    if covariance is not None:
        shape = (len(array), node.ndim, node.ndim)
        errors[:, low:, low:] = np.broadcast_to(np.asarray(covariance, float), shape)
    _settle(node, places, errors)
    return places, errors


def carry(step: Step, places: Floats, errors: Floats) -> tuple[Floats, Floats]:
    """Take points and covariances through one step."""
    errors = step.map.predict_error(places, errors)
    places = step.map.transform(places)
    _settle(step.end, places, errors)
    return places, errors


def size(errors: Floats, ndim: int) -> float:
    """Mean squared error of points in their last `ndim` axes; an unknown one is infinite."""
    mean = float(np.einsum("nii->n", errors[:, 3 - ndim :, 3 - ndim :]).mean())
    return mean if np.isfinite(mean) else float("inf")


@dataclass(frozen=True)
class Closure:
    """How well a loop of links closes.

    Attributes
    ----------
    frames : tuple of str
        Frames around the loop; the link from the last to the first closes it.
    link : str
        The closing link.
    gap : float
        Distance in the plane between the two ways, at the closing link's landmarks, µm.
    expected : float
        Root mean square gap to be expected from the predicted errors, µm.
    ratio : float
        Squared gap in units of its covariance: about 2 where all is well, above 9.2 in 1 % of
        cases; NaN where an error is unknown.
    """

    frames: tuple[str, ...]
    link: str
    gap: float
    expected: float
    ratio: float


def closure(way: Route, direct: Route) -> Closure:
    """Compare two routes between the same frames at the landmarks of the direct one."""
    probe = direct.steps[0].map.centre[np.newaxis, 3 - direct.start.ndim :]
    gap = (way.transform(probe) - direct.transform(probe))[0, -2:]
    covariance = (way.predict_error(probe) + direct.predict_error(probe))[0, -2:, -2:]
    known = bool(np.isfinite(covariance).all())
    return Closure(
        way.frames,
        direct.links[0],
        float(np.linalg.norm(gap)),
        float(np.sqrt(np.trace(covariance))),
        float(gap @ np.linalg.pinv(covariance) @ gap) if known else float("nan"),
    )


def _settle(node: Node, places: Floats, errors: Floats) -> None:
    """Put points that arrived in a plane at its height, in place."""
    if node.ndim == 2:
        mean, sd = node.z
        places[:, 0] = mean
        errors[:, 0, :] = 0.0
        errors[:, :, 0] = 0.0
        errors[:, 0, 0] = sd**2


def _flattening(node: Node) -> Floats:
    matrix = np.eye(4)
    if node.ndim == 2:
        matrix[0] = (0.0, 0.0, 0.0, node.z[0])
    return matrix
