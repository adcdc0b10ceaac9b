"""A newer FIB image takes the place of the view: its shift is found, and targets move along."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from napari_clxem.errors import LamellaError, NoMatch
from napari_clxem.frames import Affine, Fit, UncertainAffine, as_points, fit
from napari_clxem.frames.affine import Floats
from napari_clxem.frames.landmarks import Sigma
from napari_clxem.shifts import block_shifts, find_shift

# Blocks along each axis, and the least correlation and number of them that make a shift sure.
_BLOCKS = 4
_LEAST_SCORE = 0.2
_LEAST_BLOCKS = 4


def drift_by_beads(
    old: ArrayLike, new: ArrayLike, sigma: Sigma = None, model: str = "translation"
) -> Fit:
    """Fit how a newer image lies to the older one, by beads seen in both.

    Parameters
    ----------
    old, new : (n, 2) array_like
        (row, column), µm.
    sigma : float or array_like, optional
        Localisation sd in either image, µm.
    model : str
        ``"translation"`` (one bead), ``"rigid"`` or ``"similarity"`` (two).

    Raises
    ------
    PointsError
        Where the beads do not determine the model.
    """
    return fit(old, new, model, moving_sigma=sigma, fixed_sigma=sigma)


def drift_by_images(
    old: ArrayLike, new: ArrayLike, pixel: tuple[float, float], reach: float | None = None
) -> UncertainAffine:
    """Find the drift between two FIB images of one pixel size by correlation.

    Milling changes the image: the parts of it vote by their own shifts, those that changed are
    left out, and the scatter of the others is the error.

    Parameters
    ----------
    old, new : (ny, nx) array_like
    pixel : tuple of float
        Size (y, x), µm.
    reach : float, optional
        Largest drift looked for, µm; left out, anything with half an image in common.

    Returns
    -------
    UncertainAffine
        A translation (3 x 3) from the older image to the newer, µm.

    Raises
    ------
    NoMatch
        Where the images do not fit each other better than chance.
    """
    one, other = np.asarray(old, float), np.asarray(new, float)
    if one.ndim != 2 or other.ndim != 2:
        raise LamellaError("Drift is found between two images of rows and columns.")
    step = np.asarray(pixel, float)
    far = None if reach is None else reach / float(step.min())
    found = find_shift(other, one, reach=far)
    if found is None or found.score < _LEAST_SCORE:
        raise NoMatch(
            "The newer image does not fit the older one; pick two or three beads in both instead."
        )
    whole = np.round(found.shift).astype(int)
    blocks = block_shifts(_shifted(other, -whole), one, _BLOCKS)
    good = np.asarray(blocks.scores) >= _LEAST_SCORE
    shifts = np.asarray(blocks.shifts)[good]
    if len(shifts):
        apart = np.linalg.norm(shifts - np.median(shifts, axis=0), axis=1)
        shifts = shifts[apart <= max(1.0, 3 * float(np.median(apart)))]
    if len(shifts) >= _LEAST_BLOCKS:
        mean, sd = shifts.mean(axis=0) + whole, shifts.std(axis=0, ddof=1) / np.sqrt(len(shifts))
        error = float(np.sqrt((((np.maximum(sd, 0.02)) * step) ** 2).mean()))
    else:  # too little of it agrees to tell an error from: a pixel
        mean, error = np.asarray(found.shift, float), float(step.mean())
    middle = (np.array(one.shape) - 1) * step / 2
    return UncertainAffine.declared(Affine.planar(0.0, 1.0, mean * step).matrix, middle, error)


def _shifted(image: Floats, shift: np.ndarray) -> Floats:
    """Move an image by whole pixels; what comes in is NaN."""
    found = np.full(image.shape, np.nan)
    source = [slice(max(0, -s), min(n, n - s)) for s, n in zip(shift, image.shape, strict=True)]
    target = [slice(max(0, s), min(n, n + s)) for s, n in zip(shift, image.shape, strict=True)]
    found[tuple(target)] = image[tuple(source)]
    return found


def moved_view(view: UncertainAffine, drift: UncertainAffine) -> UncertainAffine:
    """Give the registration of the newer image: the older view, then the drift.

    Parameters
    ----------
    view : UncertainAffine
        Projection (2 x 4) of the volume into the older image.
    drift : UncertainAffine
        3 x 3, older to newer image.

    Returns
    -------
    UncertainAffine
        2 x 4, with both errors, which count as independent.
    """
    before, after = Affine(view.affine), Affine(drift.affine)
    if before.linear.shape != (2, 3) or after.linear.shape != (2, 2):
        raise LamellaError("A view is a 2 x 4 projection, and a drift a 3 x 3 map of the image.")
    turn: Any = np.kron(after.linear, np.eye(4))
    covariance = turn @ view.covariance @ turn.T
    # the drift's entries [B | t] act on [A | place of the view's centre]
    carry = np.zeros((3, 4))
    carry[:2, :3] = before.linear
    carry[:2, 3] = before.transform(view.centre)[0] - drift.centre
    carry[2, 3] = 1.0
    follow = np.kron(np.eye(2), carry.T)
    covariance = covariance + follow @ drift.covariance @ follow.T
    counts = [dof for dof in (view.region_dof, drift.region_dof) if dof is not None]
    matrix = (after @ before).matrix
    return UncertainAffine(matrix, view.centre, covariance, min(counts, default=None))


def left_in_view(points: ArrayLike, shape: tuple[int, int], pixel: tuple[float, float]) -> Any:
    """Tell which places (n, 2) µm are still within an image after it drifted."""
    array = as_points(points, 2)
    edge = (np.asarray(shape) - 1) * np.asarray(pixel)
    return ((array >= 0) & (array <= edge)).all(axis=1)
