"""The FIB view: what the ion beam sees, as one projection with its handedness.

In right-handed (x, y, z) the view has u = x, v = y sin α + z cos α, and an image with rows down
shows it as (row, column) = (-v, u): a reflection. In the frames of this package, rows down and z
towards the beam (left-handed), it is (-v, -u): a rotation, and never mirrored.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike

from napari_clxem.errors import LamellaError
from napari_clxem.frames import Affine, Fit, UncertainAffine, as_points, fit
from napari_clxem.frames.affine import Floats
from napari_clxem.frames.landmarks import Sigma
from napari_clxem.lamella.slab import Lamella, axes

# Scan rotation against the sample as it shows, sd, degrees: the film and the holder lean a little.
_UPRIGHT_SD = 5.0


def fib_projection(
    angle: float,
    azimuth: float = 0.0,
    scale: float = 1.0,
    rotation: float = 0.0,
    shift: ArrayLike = (0.0, 0.0),
) -> Affine:
    """Give the orthographic projection (2 x 4) of the grid frame into a FIB image.

    Parameters
    ----------
    angle, azimuth : float
        Of the beam, as in :class:`Lamella`, degrees. An angle of 90 degrees looks straight down:
        the same function serves the SEM.
    scale, rotation, shift : float, float, (2,) array_like
        The image's own similarity: scale, turn from +row towards +column in degrees, and where
        the origin goes (row, column), µm.
    """
    normal, _, across = axes(angle, azimuth)
    image = Affine.planar(rotation, scale, shift)
    return image @ Affine.from_parts(np.array([-normal, -across]), np.zeros(2))


def project(points: ArrayLike, angle: float, azimuth: float = 0.0) -> Floats:
    """Project points (n, 3) µm into the FIB view, (n, 2) µm (row, column); rows point down."""
    return fib_projection(angle, azimuth).transform(points)


def beam_of(projection: ArrayLike) -> Floats:
    """Give the unit direction (z, y, x) in which the beam of a projection (2 x 4) travels.

    The hand tells it apart from its opposite: rows, columns and depth towards the source are
    left-handed like (z, y, x).
    """
    linear = Affine(np.asarray(projection, float)).linear
    if linear.shape != (2, 3):
        raise LamellaError(
            f"A matrix of shape {np.shape(projection)} is no projection; give a 2 x 4 one."
        )
    source = np.cross(linear[0], linear[1])
    length = np.linalg.norm(source)
    if not length > 0:
        raise LamellaError("The projection flattens the image onto a line; refit it.")
    return np.asarray(-source / length)


def angles_of(projection: ArrayLike) -> tuple[float, float]:
    """Give milling angle and azimuth of a projection (2 x 4), degrees."""
    z, y, x = beam_of(projection)
    angle = float(np.rad2deg(np.arcsin(np.clip(-z, -1.0, 1.0))))
    return angle, float(np.rad2deg(np.arctan2(-x, y)))


def image_rotation(projection: ArrayLike) -> float:
    """Give how far an image is turned in its own plane, degrees, from +row towards +column.

    0 where what is higher shows further up, as with a scan rotation of 0; 180 upside down.
    """
    linear = Affine(np.asarray(projection, float)).linear
    straight = fib_projection(*angles_of(projection)).linear
    # both rows of the view lie in one plane, so what is left between them is a turn
    turn = linear @ np.linalg.pinv(straight)
    return float(np.rad2deg(np.arctan2(turn[1, 0] - turn[0, 1], turn[0, 0] + turn[1, 1])))


def upright(found: Fit, rotation: float = 0.0) -> Fit:
    """Choose, of a fit and its mirror solutions, the one that shows the sample upright.

    Few beads, nearly on one plane, fit as well in another view, turned by up to half a turn, in
    which what is higher shows further down. The microscope knows better: its scan rotation says
    which way is up to within some degrees, which counts beside how well each solution fits.

    Parameters
    ----------
    found : Fit
        Of 3D to 2D landmarks.
    rotation : float
        Scan rotation of the image, degrees, as :func:`image_rotation` counts it.
    """

    def away(one: Fit) -> float:
        turn = image_rotation(one.affine) - rotation
        return abs((turn + 180.0) % 360.0 - 180.0)

    solutions = (found, *found.alternatives)
    if not found.absolute:
        return found if away(found) <= 90.0 else min(solutions, key=away)

    def unlikely(one: Fit) -> float:
        kept = one.landmarks.only(one.inliers)
        return float(kept.squares(one.affine).sum()) + (away(one) / _UPRIGHT_SD) ** 2

    return min(solutions, key=unlikely)


@dataclass(frozen=True, eq=False)
class ViewFit:
    """A FIB view registered to a volume.

    Attributes
    ----------
    map : UncertainAffine
        Projection (2 x 4) from the volume to the image, µm, with its covariance.
    fit : Fit
        The fit behind it, for residuals and leave-one-out.
    angle, azimuth : float
        Of the beam in the volume's frame, degrees.
    departure : float or None
        Angle between the fitted beam and the one the stage gives, degrees; None where none was
        given, 0 where it was held fixed.
    notes : tuple of str
        What a careful reader should know, a sentence each.
    """

    map: UncertainAffine
    fit: Fit
    angle: float
    azimuth: float
    departure: float | None
    notes: tuple[str, ...]


def register_view(
    moving: ArrayLike,
    fixed: ArrayLike,
    moving_sigma: Sigma = None,
    fixed_sigma: Sigma = None,
    angle: float | None = None,
    azimuth: float | None = 0.0,
    rotation: float = 0.0,
    hold: bool = False,
    robust: bool = False,
    tolerance: float = 3.0,
) -> ViewFit:
    """Register a FIB view by beads seen in it and in a volume.

    Parameters
    ----------
    moving : (n, 3) array_like
        Beads in the volume, µm.
    fixed : (n, 2) array_like
        The same in the image (row, column), µm.
    moving_sigma, fixed_sigma : float or array_like, optional
        As in :func:`napari_clxem.frames.fit`.
    angle, azimuth : float or None
        What the stage says of the beam in the volume's frame, degrees; None where unknown.
    rotation : float
        Scan rotation of the image, degrees: of two mirror solutions the upright one is meant.
    hold : bool
        Keep `angle` and `azimuth` and fit the image's similarity only (two beads suffice);
        otherwise the direction is fitted (four beads, not on one plane).
    robust : bool
        Find the beads that agree.
    tolerance : float
        Departure from the stage's angle that is worth a note, degrees.

    Raises
    ------
    PointsError
        Where the beads do not determine the view.
    LamellaError
        Where the direction shall be held and is not given.
    """
    if hold and (angle is None or azimuth is None):
        raise LamellaError(
            "The milling angle cannot be held without one; give angle and azimuth in degrees."
        )
    if hold and angle is not None and azimuth is not None:
        return _held(moving, fixed, moving_sigma, fixed_sigma, angle, azimuth, robust)
    found = fit(moving, fixed, "projection", moving_sigma, fixed_sigma, robust)
    departure = None
    if angle is not None and azimuth is not None:
        stage = axes(angle, azimuth)[1]

        def off(one: Fit) -> float:
            return float(np.rad2deg(np.arccos(np.clip(beam_of(one.affine) @ stage, -1, 1))))

        # of two mirror solutions the one nearer the stage's is meant
        found = min((found, *found.alternatives), key=off)
        departure = off(found)
    else:
        found = upright(found, rotation)
    fitted, turned = angles_of(found.affine)
    if angle is not None and azimuth is None:
        departure = abs(fitted - angle)
    notes = found.notes
    if angle is not None and departure is not None and departure > tolerance:
        notes = (
            *notes,
            f"The fitted view is {departure:.1f}° off the stage's milling angle of "
            f"{angle:g}°; check the beads, the shuttle's pre-tilt and the film's own tilt.",
        )
    return ViewFit(found, found, fitted, turned, departure, notes)


def _held(
    moving: ArrayLike,
    fixed: ArrayLike,
    moving_sigma: Sigma,
    fixed_sigma: Sigma,
    angle: float,
    azimuth: float,
    robust: bool,
) -> ViewFit:
    view = fib_projection(angle, azimuth)
    points = as_points(moving, 3, "Moving landmarks")
    sigma = moving_sigma
    if sigma is not None:
        spread = np.asarray(sigma, float)
        if spread.ndim < 3:
            spread = np.broadcast_to(spread, points.shape)[:, :, None] ** 2 * np.eye(3)
        sigma = view.linear @ spread @ view.linear.T
    flat = fit(view.transform(points), fixed, "similarity", sigma, fixed_sigma, robust)
    return ViewFit(composed(flat, view, points.mean(axis=0)), flat, angle, azimuth, 0.0, flat.notes)


def composed(image: UncertainAffine, view: Affine, centre: ArrayLike) -> UncertainAffine:
    """Chain an exact projection and an uncertain planar map to a projection (2 x 4).

    Parameters
    ----------
    image : UncertainAffine
        3 x 3.
    view : Affine
        2 x 4, exact.
    centre : (3,) array_like
        Point about which the result states its covariance, µm.
    """
    at = np.asarray(centre, float)
    # [A | t] about the image's centre goes to [A P | t'] about `at`
    carry = np.zeros((3, 4))
    carry[:2, :3] = view.linear
    carry[:2, 3] = view.transform(at)[0] - image.centre
    carry[2, 3] = 1.0
    jacobian = np.kron(np.eye(2), carry.T)
    matrix = (Affine(image.affine) @ view).matrix
    return UncertainAffine(matrix, at, jacobian @ image.covariance @ jacobian.T, image.region_dof)


def view_outline(lamella: Lamella, projection: ArrayLike) -> Floats:
    """Give the outline of a lamella in an image: corners (n, 2) µm of its convex hull."""
    from scipy.spatial import ConvexHull

    points = Affine(np.asarray(projection, float)).transform(lamella.corners)
    return np.asarray(points[ConvexHull(points, qhull_options="QJ").vertices])


def lift(covariance: ArrayLike, projection: ArrayLike) -> Floats:
    """Bring a covariance (2, 2) in a FIB image to the volume, (3, 3) µm².

    Nothing is known along the beam, and nothing need be: a lamella holds that direction. The
    result is singular along it.
    """
    back = np.linalg.pinv(Affine(np.asarray(projection, float)).linear)
    return np.asarray(back @ np.asarray(covariance, float) @ back.T)


def placed(lamella: Lamella, projection: ArrayLike, position: ArrayLike) -> Lamella:
    """Move a lamella so that its centre shows at a place of the image.

    Parameters
    ----------
    lamella : Lamella
        Its depth along the beam stays.
    projection : (2, 4) array_like
        From the lamella's frame to the image.
    position : (2,) array_like
        (row, column), µm.
    """
    view = Affine(np.asarray(projection, float))
    target = as_points(position, 2, "The place in the image")[0]
    miss = target - view.transform(lamella.centre)[0]
    z, y, x = (np.array(lamella.centre) + np.linalg.pinv(view.linear) @ miss).tolist()
    return replace(lamella, centre=(z, y, x))
