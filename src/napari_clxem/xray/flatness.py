"""Whether the flat fields and currents of two energies fit each other, told from the background."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_clxem.errors import ImageError
from napari_clxem.xray.geometry import check_tilts
from napari_clxem.xray.pairing import difference

Floats = NDArray[np.floating[Any]]

#: Patterns of optical density below this are left unsaid: they hardly move a mass.
TOLERATED = 0.01
_SIGNIFICANT = 5.0
_BLOCKS = 12
"""Parts of the image along its longer side."""
_SHARE = 0.4
"""Of the parts of all images, those with the least absorption are taken for background."""
_LEAST = 16


@dataclass(frozen=True)
class Flatness:
    """What the background of two energies says about their normalisation.

    Attributes
    ----------
    pattern, pattern_sd : float
        Greatest difference between two places of the image that stays there at all tilts, optical
        density, and its standard deviation: flats of one energy that are off.
    offset, offset_sd : float
        Difference where nothing absorbs, optical density: beam current, exposure or darks of one
        energy that are off. nan where absorption varies too little to tell it from the scale.
    scale, scale_sd : float
        Absorption at the upper over that at the lower energy in the background.
    notes : tuple of str
        What is wrong, in sentences; empty where nothing is found.
    """

    pattern: float
    pattern_sd: float
    offset: float
    offset_sd: float
    scale: float
    scale_sd: float
    notes: tuple[str, ...]


def check_flats(low: ArrayLike, high: ArrayLike, tilts: ArrayLike | None = None) -> Flatness:
    """Look for what the normalisation of one energy left behind.

    In the background, ``OD(high) = k · OD(low) + c`` at every place and tilt. Flats of one energy
    that are off add a pattern that stays where it is while the specimen turns; a wrong current,
    exposure or dark adds to `c`. Both are fitted to means over parts of the images that absorb
    least, with errors from the scatter between places. Not seen: what is wrong alike at both
    energies, patterns finer than a twelfth of the image, and whatever is proportional to the
    absorption itself. Images without background outside the cell cannot be judged.

    Parameters
    ----------
    low, high : (n, ny, nx) array_like
        Optical density at the lower and the upper energy, in register, before any scaling.
    tilts : (n,) array_like, optional
        Degrees; a flat slab absorbs more where it is tilted, which is allowed for.

    Returns
    -------
    Flatness

    Raises
    ------
    ImageError
        Where the shapes differ, or too few pixels are given.
    """
    one, two = np.asarray(low, np.float32), np.asarray(high, np.float32)
    difference(one, two)  # refuses different shapes
    if one.ndim == 2:
        one, two = one[None], two[None]
    if one.ndim != 3 or min(one.shape[1:]) < 16:
        raise ImageError(
            f"Flats cannot be judged by images of shape {one.shape}; give (n, y, x), at least 16 "
            "pixels each way."
        )
    angles = np.zeros(len(one)) if tilts is None else check_tilts(tilts, len(one))
    side = max(4, max(one.shape[1:]) // _BLOCKS)
    below, above = _parts(one, side), _parts(two, side)
    count = below.shape[1] * below.shape[2]
    place = np.tile(np.arange(count), len(one))
    y, x = (a.ravel() for a in np.mgrid[: below.shape[1], : below.shape[2]].astype(float))
    y, x = (2 * (a - a.mean()) / max(np.ptp(a), 1.0) for a in (y, x))
    steady = np.column_stack([x, y, x * x, x * y, y * y])
    steady -= steady.mean(axis=0)  # a pattern has no mean of its own: that is the offset
    upright = below.reshape(len(one), -1) * np.cos(np.radians(angles))[:, None]
    clear = (upright <= np.quantile(upright, _SHARE)).ravel()
    values = below.ravel().astype(float)
    varied = float(np.ptp(np.quantile(values[clear], (0.05, 0.95))))
    terms = (
        [values, steady[place]] if varied < 0.05 else [values, np.ones(len(values)), steady[place]]
    )
    design = np.column_stack(terms)
    found, covariance = _robust(design, above.ravel().astype(float), clear, place)
    known = design.shape[1] - steady.shape[1] == 2
    offset, offset_sd = float("nan"), float("nan")
    if known:
        offset, offset_sd = float(found[1]), float(np.sqrt(covariance[1, 1]))
    pattern, pattern_sd = _range(steady, found[-5:], covariance[-5:, -5:])
    return Flatness(
        pattern,
        pattern_sd,
        offset,
        offset_sd,
        float(found[0]),
        float(np.sqrt(covariance[0, 0])),
        _notes(pattern, pattern_sd, offset, offset_sd),
    )


def _parts(series: NDArray[np.float32], side: int) -> Floats:
    """Give the means over square parts (n, rows, columns)."""
    count, ny, nx = series.shape
    rows, columns = ny // side, nx // side
    cut = series[:, : rows * side, : columns * side]
    return np.asarray(cut.reshape(count, rows, side, columns, side).mean(axis=(2, 4)))


def _robust(
    design: Floats, values: Floats, used: NDArray[np.bool_], place: NDArray[np.int64]
) -> tuple[Floats, Floats]:
    """Fit by least squares without outliers; the covariance counts each place once."""
    kept = used
    for _ in range(15):
        if len(np.unique(place[kept])) < _LEAST:
            raise ImageError(
                "Too little background is left to judge the flats; give images with more around "
                "the cell."
            )
        found = np.linalg.lstsq(design[kept], values[kept], rcond=None)[0]
        rest = values - design @ found
        middle = float(np.median(rest[kept]))
        sd = 1.4826 * float(np.median(np.abs(rest[kept] - middle)))
        new = used & (np.abs(rest - middle) <= 3 * max(sd, 1e-9))
        if (new == kept).all():
            break
        kept = new
    inverse = np.linalg.pinv(design[kept].T @ design[kept])
    scores = np.zeros((int(place.max()) + 1, design.shape[1]))
    np.add.at(scores, place[kept], design[kept] * rest[kept, None])
    clusters = len(np.unique(place[kept]))
    meat = scores.T @ scores * clusters / max(clusters - design.shape[1], 1)
    return found, inverse @ meat @ inverse


def _range(steady: Floats, found: Floats, covariance: Floats) -> tuple[float, float]:
    """Give the greatest difference of the pattern between two places, and its error."""
    pattern = steady @ found
    apart = steady[int(pattern.argmax())] - steady[int(pattern.argmin())]
    return float(np.ptp(pattern)), float(np.sqrt(max(apart @ covariance @ apart, 0.0)))


def _notes(pattern: float, pattern_sd: float, offset: float, offset_sd: float) -> tuple[str, ...]:
    notes = []
    if pattern > max(TOLERATED, _SIGNIFICANT * pattern_sd):
        notes.append(
            f"The background of the two energies differs across the image by {pattern:.3f} ± "
            f"{pattern_sd:.1g} of optical density at all tilts alike: the flats of one energy look "
            "off; use flats taken beside the series."
        )
    if np.isfinite(offset) and abs(offset) > max(TOLERATED, _SIGNIFICANT * offset_sd):
        notes.append(
            f"Where nothing absorbs, the two energies differ by {offset:+.3f} ± {offset_sd:.1g} of "
            "optical density: check beam current, exposure times and darks."
        )
    return tuple(notes)
