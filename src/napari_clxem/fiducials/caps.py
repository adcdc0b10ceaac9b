"""Beads in a view along the grid: sunk in ice, they show as caps with a bright upper rim.

What a matched filter knows of a whole bead fits none of them, and the ice hides another part of
each. What they share is the upper arc of a circle of known radius, bright inside: its middle is
that of the bead, however deep it lies.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_clxem.errors import ClxemError
from napari_clxem.fiducials.detection import Beads, Rejected, checked_image, no_beads
from napari_clxem.fiducials.profiles import Floats

_PIXELS = 20.0
"""As many pixels to a diameter, or more, are fine enough."""

_BLUR = 0.06
"""Sd of the smoothing before slopes are taken, diameters."""

_ARC = 60.0
"""Half the arc that every bead shows which stands out of the ice by a quarter, degrees."""

_REACH = 100.0
"""Half the arc that is looked at for the fit, degrees."""

_RAYS = 41
_CANDIDATE = 0.82
"""Least mean of the votes along the arc, of 1: those of curved edges of cells come to 0.78."""

_BAND = 0.22
"""How far from the expected rim, in radii, the steepest place is looked for."""

_LEAST_RAYS = 12
_STRAY = 0.06
"""Largest sd of the rim about its circle, radii."""

_SPREAD = 0.02
"""Sd of the diameters of beads, relative."""

_WRONG_SIZE = 0.12
"""Diameters that differ by more than this share from the expected one are none of the beads."""

_TURNING = 0.65
"""How far a slope has to turn along with the rim: 1 about a bead, 0 at a straight edge."""

_RIM = (0.02, 0.01)
"""By how much a rim that is steepest beside its edge may shift a middle, up and sideways, radii."""


def find_caps(image: Any, spacing: ArrayLike, diameter: float = 1.0) -> Beads:
    """Find beads in an upright view along the grid by the upper arc of their rims.

    Parameters
    ----------
    image : (ny, nx) array_like
        What is higher shows further up, and beads are brighter than what is behind them, as with
        secondary electrons.
    spacing : float or (y, x)
        Pixel size, µm.
    diameter : float
        Diameter of the beads, µm.

    Returns
    -------
    Beads
        Middles of the circles, the clearest first: `significance` is the share of the arc that
        stands out, `snr` the slope of the rim over its scatter along the arc. Round things of
        another size are among `rejected`.

    Raises
    ------
    PointsError
        Where the image has not 2 axes of real numbers.
    MissingScaleError
        Where the spacing is not positive.
    ClxemError
        Where the diameter is none.
    """
    image = image if hasattr(image, "shape") else np.asarray(image)
    steps = np.array(checked_image(image, spacing))
    if len(steps) != 2:
        raise ClxemError("Caps of beads show in a view of 2 axes; use detect for a volume.")
    if not (np.isfinite(diameter) and diameter > 0):
        raise ClxemError(f"A bead has no diameter of {diameter} µm; give a positive one.")
    if min(image.shape) < 3:
        return no_beads(2)
    coarse, steps, corner = _binned(np.asarray(image, float), steps, diameter)
    slopes = _slopes(coarse, steps, diameter)
    rejected: list[Rejected] = []
    kept: list[tuple[Floats, Floats, float, float, float]] = []
    for place, score in _candidates(slopes, steps, diameter / 2.0):
        found = _fitted(slopes, steps, place, diameter / 2.0)
        if isinstance(found, str):
            rejected.append(Rejected(tuple((place + corner).tolist()), found, score))
        else:
            kept.append((found[0] + corner, *found[1:], score))
    return _collected(kept, rejected, diameter)


def _binned(image: Floats, steps: Floats, diameter: float) -> tuple[Floats, Floats, Floats]:
    """Average pixels where they are too fine; also their size, and where the first one lies."""
    by = np.maximum(np.floor(diameter / _PIXELS / steps), 1).astype(int)
    rows, columns = np.array(image.shape) // by
    blocks = image[: rows * by[0], : columns * by[1]].reshape(rows, by[0], columns, by[1])
    return blocks.mean(axis=(1, 3)), steps * by, (by - 1) / 2.0 * steps


def _slopes(image: Floats, steps: Floats, diameter: float) -> Floats:
    """Give the slope down, along rows and columns, per µm; (2, ny, nx)."""
    from scipy.ndimage import gaussian_filter

    known = np.isfinite(image)
    filled = np.where(known, image, np.median(image[known]) if known.any() else 0.0)
    blur = np.maximum(_BLUR * diameter / steps, 0.7)
    smooth = gaussian_filter(filled, blur, mode="nearest")
    down: Floats = -np.stack(np.gradient(smooth, *steps))
    return down


def _votes(slopes: Floats) -> Floats:
    """Give directions downhill, shorter than 1 where the slope is not above the noise."""
    square = (slopes**2).sum(axis=0)
    noise = np.median(square)
    votes: Floats = slopes / np.sqrt(square + 4.0 * noise + 1e-300)
    return votes


def _candidates(slopes: Floats, steps: Floats, radius: float) -> list[tuple[Floats, float]]:
    """Give places about which votes run outwards along an upper arc, with their mean."""
    from scipy.ndimage import maximum_filter
    from scipy.signal import oaconvolve

    votes = _votes(slopes)
    reach = np.ceil(radius / steps).astype(int) + 1
    kernels = np.zeros((2, *(2 * reach + 1)))
    count = max(int(4 * radius / steps.min()), 16)
    for turn in np.deg2rad(np.linspace(-_ARC, _ARC, count)):
        out = np.array([-np.cos(turn), np.sin(turn)])
        at = np.rint(radius * out / steps).astype(int) + reach
        kernels[:, at[0], at[1]] += out / count
    padded = [np.pad(v, [(r, r) for r in reach]) for v in votes]
    score = sum(
        oaconvolve(v, k[::-1, ::-1], mode="valid") for v, k in zip(padded, kernels, strict=True)
    )
    near = np.maximum(np.rint(0.5 * radius / steps).astype(int), 1)
    peaks = (score == maximum_filter(score, size=tuple(2 * near + 1))) & (score > _CANDIDATE)
    places = np.argwhere(peaks)
    values = score[peaks]
    order = np.argsort(-values, kind="stable")
    return [(places[i] * steps, float(values[i])) for i in order]


def _fitted(
    slopes: Floats, steps: Floats, place: Floats, radius: float
) -> tuple[Floats, Floats, float, float] | str:
    """Fit a circle to the rim about a place: middle, covariance, diameter, contrast; or why not."""
    middle, found = place, radius
    for _ in range(4):
        rim, outward, height = _rim(slopes, steps, middle, found)
        if len(rim) < _LEAST_RAYS:
            return "too little of a round rim"
        middle, found, spread, used = _circle(rim, outward, middle, radius)
    rim, outward, height = rim[used], outward[used], height[used]
    if used.sum() < _LEAST_RAYS:
        return "too little of a round rim"
    stray = float(np.std(np.linalg.norm(rim - middle, axis=1)))
    if stray > _STRAY * radius:
        return "its rim is no part of a circle"
    if not _turns(slopes, steps, rim, outward):
        return "its rim is nearly straight"
    if abs(found / radius - 1.0) > _WRONG_SIZE:
        return f"its diameter of {2 * found:.2f} µm is not that of a bead"
    return middle, spread, 2.0 * found, float(height.mean() / max(float(height.std()), 1e-300))


def _rim(
    slopes: Floats, steps: Floats, middle: Floats, radius: float
) -> tuple[Floats, Floats, Floats]:
    """Give the steepest places along rays from `middle`, their directions and the slopes."""
    from scipy.ndimage import map_coordinates

    turns = np.deg2rad(np.linspace(-_REACH, _REACH, _RAYS))
    outward = np.column_stack([-np.cos(turns), np.sin(turns)])
    lengths = radius * np.linspace(1.0 - _BAND, 1.0 + _BAND, 45)
    points = middle + lengths[None, :, None] * outward[:, None]
    where = np.moveaxis(points / steps, -1, 0)
    along = sum(
        map_coordinates(slopes[axis], where, order=1, mode="constant") * outward[:, axis, None]
        for axis in range(2)
    )
    best = along.argmax(axis=1)
    rows = np.arange(len(turns))
    noise = np.sqrt(np.median((slopes**2).sum(axis=0)) / 2.0)
    inner = (best > 0) & (best < len(lengths) - 1) & (along[rows, best] > 2.5 * noise)
    rows, best = rows[inner], best[inner]
    left, here, right = (along[rows, best + k] for k in (-1, 0, 1))
    curve = np.minimum(left - 2.0 * here + right, -1e-300)
    fine = np.clip(0.5 * (left - right) / curve, -0.5, 0.5)
    length = lengths[best] + fine * (lengths[1] - lengths[0])
    return middle + length[:, None] * outward[rows], outward[rows], here


def _turns(slopes: Floats, steps: Floats, rim: Floats, outward: Floats) -> bool:
    """Tell whether the direction downhill turns along a rim as it does about a circle."""
    from scipy.ndimage import map_coordinates

    where = (rim / steps).T
    down = np.stack([map_coordinates(one, where, order=1, mode="nearest") for one in slopes])
    along = np.arctan2(outward[:, 1], -outward[:, 0])
    ahead = (down.T * outward).sum(axis=1)
    aside = outward[:, 0] * down[1] - outward[:, 1] * down[0]
    off = np.arctan2(-aside, ahead)
    # Where the slope is weak, noise tells its direction.
    weight = ahead**2 + aside**2
    centred = along - np.average(along, weights=weight)
    turning = 1.0 + (weight * centred @ off) / (weight * centred @ centred)
    return bool(turning > _TURNING)


def _circle(
    rim: Floats, outward: Floats, middle: Floats, radius: float
) -> tuple[Floats, float, Floats, NDArray[np.bool_]]:
    """Fit a circle whose radius is nearly known; strays count less, far ones not at all."""
    away = np.linalg.norm(rim - middle, axis=1)
    design = np.column_stack([outward, np.ones(len(rim))])
    known = np.diag([0.0, 0.0, 1.0 / (2.0 * _SPREAD * radius) ** 2])
    weight = np.ones(len(rim))
    scale = _STRAY * radius
    for _ in range(6):
        inverse = np.linalg.inv((design.T * weight) @ design / scale**2 + known)
        step = inverse @ ((design.T * weight) @ (away - radius) / scale**2)
        left = away - radius - design @ step
        scale = max(1.4826 * float(np.median(np.abs(left))), 0.01 * radius)
        weight = 1.0 / (1.0 + (left / (2.0 * scale)) ** 2) ** 2
    # Neighbouring rays share pixels: a fifth of them are independent.
    spread = 5.0 * inverse[:2, :2] + radius**2 * np.diag(_RIM) ** 2
    return middle + step[:2], radius + float(step[2]), spread, np.abs(left) < 4.0 * scale


def _collected(
    kept: list[tuple[Floats, Floats, float, float, float]],
    rejected: list[Rejected],
    diameter: float,
) -> Beads:
    """Put caps together, those found twice once."""
    single: list[tuple[Floats, Floats, float, float, float]] = []
    for one in kept:
        if all(np.linalg.norm(one[0] - other[0]) > 0.3 * diameter for other in single):
            single.append(one)
    if not single:
        return replace(no_beads(2), rejected=tuple(rejected))
    covariance = np.stack([one[1] for one in single])
    return Beads(
        positions=np.stack([one[0] for one in single]),
        sigma=np.sqrt(np.einsum("ndd->nd", covariance)),
        covariance=covariance,
        snr=np.array([one[3] for one in single]),
        diameter=np.array([one[2] for one in single]),
        significance=np.array([one[4] for one in single]),
        rejected=tuple(rejected),
    )
