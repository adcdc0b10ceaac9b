"""Links by what two images show of one thing, where beads are too few.

The images have one kind of contrast and known pixel sizes and lie nearly as declared: a search
over small rotations finds the place, then the parts of the image vote, each by its own sub-pixel
shift. How well these agree is the error of the link, measured rather than assumed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from napari_clxem.errors import NoMatch, PointsError
from napari_clxem.frames import Affine, Calibration, Fit, UncertainAffine, fit
from napari_clxem.frames.affine import Floats
from napari_clxem.shifts import block_shifts, find_shift

_REACHES = (6.0, 4.0, 3.0, 3.0)  # of the blocks' votes, round by round, pixels
_BLOCKS = 4
_LEAST_SCORE = 0.3
# The best place must beat the next one by this factor, or leave so much less unexplained.
_LEAST_LEAD, _LEAST_GAP = 1.15, 1.5
# Parts of one place agree better than this, pixels of the coarser image, where so many of them
# do; none may where the share of those that agree is below the first.
_MOST_SCATTER = 0.8
_SHARES = (0.25, 0.75)


def align(
    moving: ArrayLike,
    moving_spacing: tuple[float, float],
    fixed: ArrayLike,
    fixed_spacing: tuple[float, float],
    start: UncertainAffine,
    *,
    turn: float = 3.0,
    prior: Calibration | None = None,
) -> Fit:
    """Find how a moving image lies in a fixed one of the same contrast.

    Parameters
    ----------
    moving, fixed : (ny, nx) array_like
        Images; NaN pixels take no part.
    moving_spacing, fixed_spacing : tuple of float
        Pixel sizes (y, x), µm.
    start : UncertainAffine
        Planar map from moving to fixed µm, as declared; its predicted error bounds the search
        (three standard deviations).
    turn : float
        Largest rotation off `start` that is tried, degrees.
    prior : Calibration, optional
        What is known of scale and shear; by default 1 % and 0.3 %.

    Returns
    -------
    Fit
        Affine, moving to fixed, µm; its landmarks are the middles of the blocks.

    Raises
    ------
    NoMatch
        Where no place stands out, or the parts of the image do not agree on one.
    PointsError
        Where an image is not usable.
    """
    one = _picture(moving, moving_spacing, "moving")
    other = _picture(fixed, fixed_spacing, "fixed")
    prior = prior or Calibration(scale_sd=0.01, shear_sd=0.003)
    found, share = _agree(one, other, _coarse(one, other, start, turn), prior, _REACHES[0])
    for reach in _REACHES[1:]:
        found, share = _agree(one, other, Affine(found.affine), prior, reach)
    _check_agreement(found, share, max(*moving_spacing, *fixed_spacing))
    return found


def _check_agreement(found: Fit, share: float, pixel: float) -> None:
    """Refuse parts that agree no better than those of two places that look alike.

    The fewer of them agree, the better these have to.
    """
    scatter = float(np.sqrt((found.residuals**2).sum() / max(2 * len(found.residuals) - 4, 1)))
    few, enough = _SHARES
    allowed = _MOST_SCATTER * pixel * float(np.clip((share - few) / (enough - few), 0.0, 1.0))
    if scatter > allowed:
        raise NoMatch(
            f"{share:.0%} of the parts of the moving image agree on their place, to {scatter:.2f} "
            "µm; these may be two places that look alike. Link the frames by landmarks."
        )


@dataclass(frozen=True, eq=False)
class _Picture:
    """An image (ny, nx), NaN where nothing is known, and its pixel size (y, x), µm."""

    data: Floats
    spacing: tuple[float, float]


def _picture(image: ArrayLike, spacing: tuple[float, float], name: str) -> _Picture:
    array = np.asarray(image, dtype=float)
    if array.ndim != 2 or min(array.shape) < 16:
        raise PointsError(
            f"The {name} image has shape {array.shape}; give a 2D one of at least 16 x 16 pixels."
        )
    return _Picture(np.where(np.isfinite(array), array, np.nan), spacing)


def _coarse(moving: _Picture, fixed: _Picture, start: UncertainAffine, turn: float) -> Affine:
    """Try small rotations about the image's middle, each at all shifts `start` allows."""
    pixel = max(*moving.spacing, *fixed.spacing)
    middle = (np.array(moving.data.shape) - 1) / 2 * moving.spacing
    spread = np.sqrt(np.linalg.eigvalsh(start.predict_error(middle)[0])[-1])
    reach = 3.0 * float(spread) / pixel + 2.0
    best: tuple[float, float, Affine] | None = None
    for angle in np.arange(-turn, turn + 0.25, 0.5):
        rotation = Affine.planar(angle).linear
        about = Affine.from_parts(rotation, middle - rotation @ middle)
        trial = Affine(start.affine) @ about
        # the moving image, drawn in pixels of the fixed frame about its own place there
        origin, shape = _outline(trial, moving, pixel)
        drawn = _draw(moving, trial.inverted(), origin, shape, pixel)
        margin = int(np.ceil(reach)) + 1
        around = _draw(
            fixed,
            Affine.identity(2),
            origin - margin * pixel,
            (shape[0] + 2 * margin, shape[1] + 2 * margin),
            pixel,
        )
        if not np.isfinite(around).any():
            continue
        shift = find_shift(around, drawn, (margin, margin), reach)
        if shift is None:
            continue
        moved = (np.array(shift.shift) - margin) * pixel
        place = Affine.from_parts(np.eye(2), moved) @ trial
        if best is None or shift.score > best[0]:
            best = shift.score, shift.rival, place
    if best is None:
        raise NoMatch(
            "The images do not overlap where they were declared to; check the stage positions."
        )
    score, rival, place = best
    stands_out = score >= _LEAST_LEAD * rival or (1 - rival) >= _LEAST_GAP * (1 - score)
    if score < _LEAST_SCORE or not stands_out:
        raise NoMatch(
            f"No place of the moving image stands out (best correlation {score:.2f}, next "
            f"{rival:.2f}); link the frames by landmarks."
        )
    return place


def _agree(
    moving: _Picture, fixed: _Picture, found: Affine, prior: Calibration, reach: float
) -> tuple[Fit, float]:
    """Let the blocks of the moving image vote on what is still missing from `found`.

    The second answer is the share of them that agree.
    """
    pixel = max(moving.spacing)
    shape = tuple(
        int(np.floor((n - 1) * s / pixel)) + 1
        for n, s in zip(moving.data.shape, moving.spacing, strict=True)
    )
    own = _draw(moving, Affine.identity(2), np.zeros(2), shape, pixel)
    there = _draw(fixed, found, np.zeros(2), shape, pixel)
    votes = block_shifts(there, own, _BLOCKS, reach)
    good = votes.scores > _LEAST_SCORE
    if good.sum() < 5:
        raise NoMatch(
            f"Only {int(good.sum())} of {_BLOCKS**2} parts of the moving image find their place in "
            "the fixed one; link the frames by landmarks."
        )
    points = votes.centres[good] * pixel
    places = found.transform(points + votes.shifts[good] * pixel)
    rough = fit(points, places, "similarity", robust=True)
    if rough.inliers.sum() < max(5, 0.5 * len(points)):
        raise NoMatch(
            "The parts of the moving image do not agree on one place; link the frames by landmarks."
        )
    # each axis of a residual has this sd, by the scatter of the blocks themselves
    squares = (rough.residuals[rough.inliers] ** 2).sum()
    sigma = max(float(np.sqrt(squares / rough.dof)), 0.02 * pixel)
    kept = rough.inliers
    agreed = fit(points[kept], places[kept], "affine", fixed_sigma=sigma, prior=prior)
    return agreed, float(kept.sum()) / votes.compared


def _outline(place: Affine, image: _Picture, pixel: float) -> tuple[Floats, tuple[int, int]]:
    """Give corner (y, x) µm and shape in pixels of the box around a placed image."""
    high = (np.array(image.data.shape) - 1) * image.spacing
    corners = place.transform([[0, 0], [0, high[1]], [high[0], 0], [high[0], high[1]]])
    low = corners.min(axis=0)
    size = np.ceil((corners.max(axis=0) - low) / pixel).astype(int) + 1
    return low, (int(size[0]), int(size[1]))


def _draw(
    image: _Picture, to_image: Affine, origin: Floats, shape: tuple[int, ...], pixel: float
) -> Floats:
    """Sample an image on a grid of `pixel` from `origin`; NaN beyond its edge.

    Finer images are smoothed to the grid first, so that both sides have one resolution.
    """
    from scipy import ndimage

    spacing = np.array(image.spacing)
    step = to_image.linear * pixel / spacing[:, np.newaxis]
    offset = to_image.transform(origin)[0] / spacing
    valid = np.isfinite(image.data)
    filled = np.where(valid, image.data, np.nanmean(image.data))
    ratio = pixel / spacing
    blur = 0.5 * np.sqrt(np.maximum(ratio**2 - 1.0, 0.0))
    if blur.max() > 0:
        filled = ndimage.gaussian_filter(filled, blur)
    options: dict[str, Any] = {"output_shape": shape, "offset": offset}
    drawn = ndimage.affine_transform(filled, step, order=3, mode="nearest", **options)
    inside = ndimage.affine_transform(
        valid.astype(float), step, order=1, mode="constant", cval=0.0, **options
    )
    return np.where(inside > 0.999, drawn, np.nan)
