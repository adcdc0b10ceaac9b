"""How likely a lamella holds its target, given how surely it is placed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from napari_clxem.errors import LamellaError
from napari_clxem.frames import as_points
from napari_clxem.frames.affine import Floats
from napari_clxem.lamella.slab import Lamella

# From this sd on, in radii, the truncated moments lose digits and quadrature is smooth.
_WIDE = 1.0


@dataclass(frozen=True)
class Capture:
    """How likely a target lies in a lamella, taken as a slab without ends.

    Attributes
    ----------
    centre : float
        Probability that the target's centre lies in the core.
    whole : float
        Probability that the whole sphere does.
    volume_fraction : float
        Expected share of the sphere's volume in the core.
    width, length : float
        Probability that the centre lies within the lamella's width, and within its length; the
        outline, where there is one, counts by its extent.
    offset : float
        Distance of the target from the mid-plane along the normal, µm.
    sigma : float
        Standard deviation of that distance, µm.
    """

    centre: float
    whole: float
    volume_fraction: float
    width: float
    length: float
    offset: float
    sigma: float


def capture_probability(
    lamella: Lamella,
    target: ArrayLike,
    radius: float = 0.0,
    covariance: ArrayLike | None = None,
) -> Capture:
    """Give the probability that a lamella holds a spherical target.

    With the signed distance δ of the target from the mid-plane, its sd σ along the normal and
    the core's thickness t: the centre is inside with Φ((t/2-δ)/σ) + Φ((t/2+δ)/σ) - 1, the whole
    sphere the same with t/2 - r, and the expected share of its volume is
    E[g((t/2-δ')/r) - g((-t/2-δ')/r)] with δ' ~ N(δ, σ²) and g(s) = (2 + 3s - s³)/4 on [-1, 1].

    Parameters
    ----------
    lamella : Lamella
        Damage layers do not count as captured.
    target : (3,) array_like
        Centre (z, y, x) µm, in the frame of the lamella.
    radius : float
        µm.
    covariance : (3, 3) array_like, optional
        Of the target against the lamella, µm²: registration and placement together. Left out,
        the position is exact.

    Raises
    ------
    LamellaError
        Where radius or covariance cannot be used.
    PointsError
        Where the target is not one point (z, y, x).
    """
    points = as_points(target, 3, "The target")
    if len(points) != 1:
        raise LamellaError(f"{len(points)} targets are given; capture is of one at a time.")
    if not (np.isfinite(radius) and radius >= 0):
        raise LamellaError(f"The target's radius is {radius} µm; give 0 or more.")
    spread = checked_covariance(covariance)
    own = lamella.within(points)[0]
    sigmas = np.sqrt(np.maximum(np.einsum("ai,ij,aj->a", lamella.axes, spread, lamella.axes), 0.0))
    half = lamella.core / 2
    low, high = lamella.corners_in_plane.min(axis=0), lamella.corners_in_plane.max(axis=0)
    middle, reach = (low + high) / 2, (high - low) / 2
    offset, sigma = float(own[0]), float(sigmas[0])
    return Capture(
        centre=float(inside(offset, sigma, half)),
        whole=float(inside(offset, sigma, half - radius)),
        volume_fraction=float(volume_share(offset, sigma, radius, half)),
        width=float(inside(own[2] - middle[1], sigmas[2], reach[1])),
        length=float(inside(own[1] - middle[0], sigmas[1], reach[0])),
        offset=offset,
        sigma=sigma,
    )


def capture_in_view(
    centre: ArrayLike,
    target: ArrayLike,
    radius: float = 0.0,
    covariance: ArrayLike | None = None,
    *,
    thickness: float = 0.3,
    width: float = 12.0,
    damage: float = 0.0,
) -> Capture:
    """Give the capture of a target by a box drawn in the FIB image, where the ion beam sees both.

    Nothing need be known along the beam: it is what is milled through. Length is not judged here
    and reported as 1.

    Parameters
    ----------
    centre : (2,) array_like
        Middle of the box (row, column), µm; its thickness runs along rows.
    target : (2,) array_like
        Where the target shows (row, column), µm.
    radius : float
        Of the target, µm.
    covariance : (2, 2) array_like, optional
        Of the target in the image against the box, µm².
    thickness, width, damage : float
        Of the lamella, µm.

    Returns
    -------
    Capture
        Its `offset` is positive where the target lies above the box.

    Raises
    ------
    LamellaError, PointsError
        As :func:`capture_probability`.
    """
    row, column = as_points(centre, 2, "The box's centre")[0].tolist()
    points = as_points(target, 2, "The target")
    spread = np.zeros((2, 2)) if covariance is None else np.asarray(covariance, float)
    if len(points) != 1 or spread.shape != (2, 2):
        raise LamellaError("In a view, give one target (row, column) and its covariance 2 x 2.")
    # rows run against the normal, columns against the direction across
    full = np.zeros((3, 3))
    full[np.ix_([0, 2], [0, 2])] = spread
    lamella = Lamella((-row, 0.0, -column), 0.0, 0.0, thickness, width, 1.0, damage)
    return capture_probability(lamella, (-points[0, 0], 0.0, -points[0, 1]), radius, full)


def inside(offset: ArrayLike, sigma: ArrayLike, half: ArrayLike) -> Floats:
    """Give the probability that N(offset, sigma²) lies within ± half; 0 where half is 0 or less."""
    from scipy.special import ndtr

    offset, sigma, half = np.broadcast_arrays(
        *(np.asarray(v, float) for v in (offset, sigma, half))
    )
    with np.errstate(divide="ignore", invalid="ignore"):
        # by the near tail: the difference of two numbers near 1 would lose the small ones
        far = np.abs(offset)
        found = ndtr((half - far) / sigma) - ndtr((-half - far) / sigma)
    exact = (np.abs(offset) <= half).astype(float)
    return np.asarray(np.where(half > 0, np.where(sigma > 0, found, exact), 0.0))


def volume_share(offset: ArrayLike, sigma: ArrayLike, radius: ArrayLike, half: ArrayLike) -> Floats:
    """Give the expected share of a sphere's volume between ± half, its centre N(offset, sigma²)."""
    offset, sigma, radius, half = _together(offset, sigma, radius, half)
    found = np.array(inside(offset, sigma, half))
    solid = (radius > 0) & (half > 0)
    if solid.any():
        r, d, s, h = (v[solid] for v in (radius, np.abs(offset), sigma, half))
        found[solid] = below((h - d) / r, s / r) - below((-h - d) / r, s / r)
    return np.clip(found, 0.0, 1.0)


def _together(*values: ArrayLike) -> list[Floats]:
    return list(np.broadcast_arrays(*(np.asarray(value, float) for value in values)))


def below(mean: Floats, sigma: Floats) -> Floats:
    """Give the expected share g of a unit sphere's volume below a plane at N(mean, sigma²).

    g(s) = (2 + 3s - s³)/4 on [-1, 1], 0 below and 1 above.
    """
    found = np.empty(mean.shape)
    exact, wide = sigma <= 0, sigma > _WIDE
    s = np.clip(mean[exact], -1.0, 1.0)
    found[exact] = (2 + 3 * s - s**3) / 4
    narrow = ~exact & ~wide
    found[narrow] = _by_moments(mean[narrow], sigma[narrow])
    found[wide] = _by_quadrature(mean[wide], sigma[wide])
    return found


def _by_moments(mean: Floats, sigma: Floats) -> Floats:
    """Integrate the cubic against the normal density in closed form."""
    from scipy.special import ndtr

    low, high = (-1 - mean) / sigma, (1 - mean) / sigma
    # zeroth to third moments of the standard normal between low and high
    with np.errstate(under="ignore"):
        a, b = (np.exp(-0.5 * v**2) / np.sqrt(2 * np.pi) for v in (low, high))
        zeroth = ndtr(high) - ndtr(low)
        first = a - b
        second = zeroth + low * a - high * b
        third = 2 * first + low**2 * a - high**2 * b
        cubic = mean**3 * zeroth + 3 * mean**2 * sigma * first
        cubic += 3 * mean * sigma**2 * second + sigma**3 * third
        linear = mean * zeroth + sigma * first
        return np.asarray((2 * zeroth + 3 * linear - cubic) / 4 + ndtr(-high))


_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(24)


def _by_quadrature(mean: Floats, sigma: Floats) -> Floats:
    """Integrate by parts: E[g] is the mean of Φ((m-s)/σ) over the density g' = 3(1-s²)/4."""
    from scipy.special import ndtr

    weights = 0.75 * _WEIGHTS * (1 - _NODES**2)
    return np.asarray(ndtr((mean[:, None] - _NODES) / sigma[:, None]) @ weights)


def checked_covariance(covariance: ArrayLike | None, name: str = "The covariance") -> Floats:
    """Check a covariance (3, 3) µm² and give it symmetric; None is none at all.

    Raises
    ------
    LamellaError
        Where it has another shape, is not finite, not symmetric, or has a negative variance.
    """
    if covariance is None:
        return np.zeros((3, 3))
    try:
        array = np.asarray(covariance, float)
    except (TypeError, ValueError) as error:
        raise LamellaError(f"{name} is not numbers; give a 3 x 3 matrix in µm².") from error
    if array.shape != (3, 3):
        raise LamellaError(
            f"{name} has shape {array.shape}; give a 3 x 3 matrix in µm², axes (z, y, x)."
        )
    if not np.isfinite(array).all():
        raise LamellaError(
            f"{name} holds NaN or infinity: the error of the position is not known. Give "
            "landmarks a localisation error, or add one more."
        )
    largest = np.abs(array).max()
    if np.abs(array - array.T).max() > 1e-6 * largest:
        raise LamellaError(f"{name} is not symmetric; check its axes (z, y, x).")
    symmetric = np.asarray((array + array.T) / 2)
    if np.linalg.eigvalsh(symmetric)[0] < -1e-6 * largest:
        raise LamellaError(f"{name} has a negative variance; check how it was made.")
    return symmetric
