"""Links between images of unlike contrast: a fluorescence stack and an X-ray tomogram.

Features of one size band are compared: how much of the tomogram's band-passed absorption the
band-passed channels explain together, wherever the stack may lie. Which channel is bright where
absorption is high or low need not be known, since each gets its own weight. Parts of the volume
drawn anew at random tell how well the place is determined.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_clxem.errors import NoMatch, PointsError
from napari_clxem.fiducials.shares import Parts
from napari_clxem.frames import Affine, UncertainAffine
from napari_clxem.frames.affine import Floats

Flags = NDArray[np.bool_]

AXIAL_FWHM = 1.2
"""Axial resolution of a confocal stack, µm: absorption is blurred to it."""

_CLIP = 4.0
_APART = 1.2
"""Places further from the best one than this, µm, are its rivals."""

_LEAST_LEAD, _MOST_SD = 1.5, 0.3
"""Lead of a place over its rivals, and sd in the plane, µm."""

_MUCH = 0.25
"""A place that explains less than this share of the features has to lead further."""

_STACK, _SECTION = (0.04, 3.5), (0.03, 3.0)
"""Least share of the features explained, and the lead of a place that explains few of them."""

_CERTAIN, _DOUBT = 0.1, 6.0
"""Sd in the plane from which on the lead has to be larger, µm, and by how much per µm."""


@dataclass(frozen=True, eq=False)
class ContentMatch:
    """Where one image lies in another by what both show.

    Parameters
    ----------
    transform : UncertainAffine
        Moving to fixed, µm, with its covariance.
    score : float
        Share of the fixed image's features that the moving one explains, 0 to 1.
    rival : float
        The same at the best place elsewhere.
    sigma : (3,) array
        Sd of the shift along each axis, µm.
    """

    transform: UncertainAffine
    score: float
    rival: float
    sigma: Floats


def relate(
    moving: ArrayLike,
    moving_spacing: tuple[float, float, float],
    fixed: ArrayLike,
    fixed_spacing: tuple[float, float, float],
    start: UncertainAffine,
    *,
    band: tuple[float, float] = (0.4, 1.2),
) -> ContentMatch:
    """Find how a fluorescence stack lies in a tomogram, without any bead.

    Parameters
    ----------
    moving : (z, y, x) or (c, z, y, x) array_like
        Stack, of one or several channels; NaN pixels take no part.
    moving_spacing, fixed_spacing : tuple of float
        Pixel sizes (z, y, x), µm.
    fixed : (z, y, x) array_like
        Tomogram.
    start : UncertainAffine
        Map from moving to fixed µm as known so far; places within three standard deviations of
        its predicted error are looked at, and its linear part is kept.
    band : (float, float)
        Sizes of the features that count, µm.

    Returns
    -------
    ContentMatch

    Raises
    ------
    NoMatch
        Where no place stands out, or parts of the volume disagree about it.
    PointsError
        Where an image or the start is not usable.
    """
    channels = _channels(moving)
    volume = np.asarray(fixed, dtype=np.float32)
    if volume.ndim != 3 or min(volume.shape[1:]) < 16:
        raise PointsError(
            f"The fixed image has shape {volume.shape}; give a volume (z, y, x) of at least "
            "16 x 16 pixels in the plane."
        )
    _check_start(start)
    pitch = _pitch(moving_spacing, fixed_spacing, band)
    return _relate(
        _Side(channels, moving_spacing, 0.0),
        _Side([volume], fixed_spacing, AXIAL_FWHM / 2.3548),
        start,
        pitch,
        band,
        _STACK,
    )


def relate_section(
    volume: ArrayLike,
    volume_spacing: tuple[float, float, float],
    image: ArrayLike,
    image_spacing: tuple[float, float],
    start: UncertainAffine,
    *,
    thickness: float = 0.3,
    band: tuple[float, float] = (0.15, 0.4),
) -> ContentMatch:
    """Find how a tomogram lies to the electron image of a lamella cut from it.

    The image is compared with slabs of the volume at the depths that the start allows. Small
    features count: what is larger looks alike in many places of a cell.

    Parameters
    ----------
    volume : (z, y, x) array_like
        Tomogram.
    volume_spacing, image_spacing : tuple of float
        Pixel sizes, µm.
    image : (y, x) array_like
        Map of the lamella; NaN where it shows no lamella, such as bulk around and the trench.
    start : UncertainAffine
        Map from the volume to the image's frame with z, µm, as milling geometry and stage tell:
        z is the height along the beam over the lamella's middle plane.
    thickness : float
        Of the lamella, µm.
    band : (float, float)
        Sizes of the features that count, µm.

    Returns
    -------
    ContentMatch
        Volume to the image's frame with z, µm.

    Raises
    ------
    NoMatch
        Where no place stands out, or parts of the image disagree about it.
    PointsError
        Where an image, the thickness or the start is not usable.
    """
    plane = np.asarray(image, dtype=np.float32)
    if plane.ndim != 2 or min(plane.shape) < 16:
        raise PointsError(
            f"The lamella's map has shape {plane.shape}; give a 2D one of at least 16 x 16 pixels."
        )
    channels = _channels(volume)
    if len(channels) != 1 or not thickness > 0:
        raise PointsError("A lamella is compared with one volume and has a positive thickness.")
    _check_start(start)
    fine = max(image_spacing[0], volume_spacing[-1], band[0] / 3.0)
    return _relate(
        _Side(channels, volume_spacing, thickness / np.sqrt(12.0)),
        _Side([plane[None]], (thickness / 2.0, *image_spacing), 0.0),
        start,
        np.array([thickness / 2.0, fine, fine]),
        band,
        _SECTION,
    )


@dataclass(frozen=True, eq=False)
class _Side:
    """Images of one side, their spacing, and how far to blur them along the axis, µm."""

    images: list[Floats]
    spacing: tuple[float, float, float]
    blur: float


def _check_start(start: UncertainAffine) -> None:
    if start.affine.shape != (4, 4):
        raise PointsError("The start maps no volume to a volume; give one of 3 axes.")


def _relate(
    moving: _Side,
    fixed: _Side,
    start: UncertainAffine,
    pitch: Floats,
    band: tuple[float, float],
    least: tuple[float, float],
) -> ContentMatch:
    """Draw both sides on one grid, and find the shift that explains most."""
    volume = fixed.images[0]
    there = Affine(start.affine)
    extent = (np.array(volume.shape) - 1) * fixed.spacing
    middle = extent / 2
    source = there.inverted().transform(middle)[0]
    spread = np.sqrt(np.diag(start.predict_error(source)[0]))
    reach = np.ceil((3.0 * spread + 0.3) / pitch).astype(int)
    shape = np.floor(extent / pitch + 1e-6).astype(int) + 1
    here = _draw(volume, fixed, Affine.identity(3), np.zeros(3), shape, pitch)
    template = _band_passed(here, pitch, band)
    wide = shape + 2 * reach
    around = [
        _band_passed(_draw(c, moving, there.inverted(), -reach * pitch, wide, pitch), pitch, band)
        for c in moving.images
    ]
    parts = Parts.of(template, around, reach)
    share = parts.explained(np.ones(parts.count))
    if not np.isfinite(share).any():
        raise NoMatch("The images do not overlap where they were declared to; check the start.")
    best = np.unravel_index(int(np.nanargmax(share)), share.shape)
    score, rival = float(share[best]), _rival(share, best, pitch)
    # Whether another place is as good is told by the rival; here it is how sharp this one is.
    far = _apart(share, best, pitch) > _APART
    drawn = [np.where(far, np.nan, s) for s in parts.drawn(np.random.default_rng(0))]
    place = _summit(share)
    away = (np.array([_summit(s) for s in drawn]) - place) * pitch
    covariance = away.T @ away / len(away) + np.diag((0.1 * pitch) ** 2)
    sigma = np.sqrt(np.diag(covariance))
    # A place that parts of the image differ about has to lead further.
    lead = _LEAST_LEAD + _DOUBT * max(float(sigma[1:].max()) - _CERTAIN, 0.0)
    if score < _MUCH:
        lead = max(lead, least[1])
    if score < least[0] or score < lead * rival or sigma[1:].max() > _MOST_SD:
        raise NoMatch(
            f"No place stands out: the best explains {score:.0%} of the features, another "
            f"{rival:.0%}, and parts of the image differ by {sigma[1:].max():.2f} µm; link the "
            "frames by landmarks."
        )
    # The features were found that far from where the start puts them.
    shift = -(place - reach) * pitch
    return ContentMatch(_moved(start, source, shift, covariance), score, rival, sigma)


def _channels(moving: ArrayLike) -> list[Floats]:
    stack = np.asarray(moving, dtype=np.float32)
    stack = stack[None] if stack.ndim == 3 else stack
    if stack.ndim != 4 or min(stack.shape[2:]) < 16:
        raise PointsError(
            f"The moving image has shape {np.shape(moving)}; give a stack (z, y, x), or channels "
            "of it (c, z, y, x), of at least 16 x 16 pixels in the plane."
        )
    return list(stack)


def _pitch(one: Any, other: Any, band: tuple[float, float]) -> Floats:
    """Spacing of the common grid, µm: as fine as the finest feature needs, or the images are."""
    plane = max(one[-1], other[-1], band[0] / 3.0)
    return np.array([max(one[0], other[0], 2.0 * plane), plane, plane])


def _draw(
    image: Floats, side: _Side, to_image: Affine, origin: Floats, shape: Any, pitch: Floats
) -> Floats:
    """Sample a volume on the common grid; NaN beyond its edge."""
    from scipy import ndimage

    step = np.array(side.spacing, float)
    matrix = to_image.linear * pitch / step[:, None]
    offset = to_image.transform(origin)[0] / step
    valid = np.isfinite(image)
    filled = np.where(valid, image, np.nanmean(image))
    smooth = 0.5 * np.sqrt(np.maximum((pitch / step) ** 2 - 1.0, 0.0))
    smooth[0] = max(smooth[0], side.blur / step[0])
    filled = ndimage.gaussian_filter(filled, smooth)
    options: dict[str, Any] = {"output_shape": tuple(int(n) for n in shape), "offset": offset}
    drawn = ndimage.affine_transform(filled, matrix, order=1, mode="nearest", **options)
    inside = ndimage.affine_transform(
        valid.astype(np.float32), matrix, order=1, mode="constant", cval=0.0, **options
    )
    result: Floats = np.where(inside > 0.99, drawn, np.nan)
    return result


def _band_passed(image: Floats, pitch: Floats, band: tuple[float, float]) -> Floats:
    """Keep features of a band of sizes in each plane, in units of their own spread."""
    from scipy.ndimage import gaussian_filter

    valid = np.isfinite(image)
    if not valid.any():
        return image

    def smooth(size: float) -> Floats:
        sd = (0.0, size / 3.0 / pitch[1], size / 3.0 / pitch[2])
        weight = gaussian_filter(valid.astype(np.float32), sd)
        total = gaussian_filter(np.where(valid, image, 0.0).astype(np.float32), sd)
        return np.asarray(total / np.maximum(weight, 1e-3))

    passed = np.where(valid, smooth(band[0]) - smooth(2.0 * band[1]), np.nan)
    # A few bright spots would be all that counts.
    limit = _CLIP * 1.4826 * float(np.nanmedian(np.abs(passed))) + 1e-12
    limit = max(limit, float(np.nanstd(passed)))
    clipped = np.clip(passed, -limit, limit)
    clipped = clipped - np.nanmean(clipped)
    result: Floats = clipped / max(float(np.nanstd(clipped)), 1e-12)
    return result


def _apart(share: Floats, best: Any, pitch: Floats) -> Floats:
    """Distance of every place from the best one in the plane, µm."""
    grid = np.indices(share.shape)
    away: Floats = np.hypot(*((grid[k] - best[k]) * pitch[k] for k in (1, 2)))
    return away


def _rival(share: Floats, best: Any, pitch: Floats) -> float:
    """Best share at places further away in the plane."""
    beyond = share[_apart(share, best, pitch) > _APART]
    return float(np.nanmax(beyond)) if np.isfinite(beyond).any() else 0.0


def _summit(share: Floats) -> Floats:
    """Top of the parabolas through the highest value and its neighbours along each axis."""
    filled = np.where(np.isfinite(share), share, -1.0)
    best = np.unravel_index(int(np.argmax(filled)), share.shape)
    top = np.array(best, float)
    for axis, middle in enumerate(best):
        if 0 < middle < share.shape[axis] - 1:
            line = np.moveaxis(filled, axis, 0)[(slice(None), *np.delete(best, axis))]
            low, mid, high = line[middle - 1 : middle + 2]
            bend = low - 2.0 * mid + high
            if bend < 0 and min(low, high) > -1.0:
                top[axis] += 0.5 * (low - high) / bend
    return top


def _moved(
    start: UncertainAffine, source: Floats, shift: Floats, covariance: Floats
) -> UncertainAffine:
    """Shift a map; its error at `source` becomes that of the shift, its linear part's stays."""
    matrix = Affine.from_parts(np.eye(3), shift).matrix @ start.affine
    size = len(start.covariance)
    every = start.covariance.reshape(3, 4, 3, 4).copy()
    every[:, 3] = 0.0
    every[:, :, :, 3] = 0.0
    every[:, 3, :, 3] = covariance
    return UncertainAffine(matrix, source, every.reshape(size, size))
