"""The geometry of a tilt series: applying a known alignment, or solving one from beads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_clxem.errors import ImageError
from napari_clxem.xray.geometry import check_tilts

Floats = NDArray[np.floating[Any]]

_OUTLIER = 5.0
"""Robust standard deviations beyond which a bead's position in an image is left out."""
_ROUNDS = 12


@dataclass(frozen=True, eq=False)
class TiltAlignment:
    """How the images of a tilt series lie about their common axis.

    Attributes
    ----------
    tilts : (n,) ndarray
        Degrees.
    azimuth : float
        Tilt axis from +y towards -x, degrees: it runs along (-sin, cos) in (x, y).
    shifts : (n, 2) ndarray
        (y, x) by which each image is displaced, in the unit of the tracks; 0 at the least tilt.
    positions : (b, 3) ndarray
        Beads (z, y, x) in the frame whose y axis is the tilt axis, z from the beads' mean.
    residuals : (n, b, 2) ndarray
        Seen minus predicted (y, x); nan where a bead was not seen or not used.
    """

    tilts: Floats
    azimuth: float
    shifts: Floats
    positions: Floats
    residuals: Floats

    @property
    def rms(self) -> float:
        """Root mean square distance of the residuals, in the unit of the tracks."""
        return float(np.sqrt(np.nanmean((self.residuals**2).sum(axis=2))))

    @property
    def by_tilt(self) -> Floats:
        """Root mean square distance per image (n,); nan for images without beads."""
        squares = (self.residuals**2).sum(axis=2)
        counts = np.isfinite(squares).sum(axis=1)
        total = np.where(np.isfinite(squares), squares, 0.0).sum(axis=1)
        return np.asarray(np.where(counts > 0, np.sqrt(total / np.maximum(counts, 1)), np.nan))

    def transforms(self, spacing: float = 1.0) -> Floats:
        """Give the maps (n, 2, 3) for :func:`resample`, with shifts in pixels of this size."""
        turn = _axes(self.azimuth).T
        return np.stack([np.column_stack([turn, -turn @ shift / spacing]) for shift in self.shifts])


def align_beads(
    tracks: ArrayLike,
    tilts: ArrayLike,
    *,
    azimuth: tuple[float, float] = (-90.0, 90.0),
) -> TiltAlignment:
    """Solve shifts, axis azimuth and bead positions from beads followed through a tilt series.

    A bead at (z, y, x) about the axis is seen at ``x cos + z sin`` across and ``y`` along it,
    turned by the azimuth and shifted by what the stage did. For a given azimuth this is linear; the
    azimuth is searched. Positions far off are left out and the rest solved again.

    Parameters
    ----------
    tracks : (n, b, 2) array_like
        (y, x) of each bead in each image from the image's middle, any one unit; nan where it is
        not seen.
    tilts : (n,) array_like
        Degrees.
    azimuth : tuple of float
        Range searched, degrees; half a turn further everything would be mirrored.

    Returns
    -------
    TiltAlignment

    Raises
    ------
    ImageError
        Where there are fewer than three beads, too few sightings, or an image shows no bead.
    """
    seen = np.asarray(tracks, dtype=float)
    angles = check_tilts(tilts)
    if seen.ndim != 3 or seen.shape[2] != 2 or len(seen) != len(angles):
        raise ImageError(
            f"Tracks of shape {seen.shape} do not fit {len(angles)} tilts; give (tilts, beads, 2)."
        )
    used = np.isfinite(seen).all(axis=2)
    _check_tracks(used, angles)
    for _ in range(_ROUNDS):
        best = _search(seen, used, angles, azimuth)
        found = _solve(seen, used, angles, best)
        away = np.sqrt((found.residuals**2).sum(axis=2))
        scale = 1.4826 * float(np.nanmedian(away)) / 1.18
        limit = _OUTLIER * max(scale, 1e-9 * float(np.nanmax(np.abs(seen))))
        # one bead off drags its whole image along: only the worst of each goes at a time
        worst = np.nanmax(np.where(used, away, -1.0), axis=1, keepdims=True)
        bad = used & (away > limit) & (away == worst)
        kept = used & ~bad
        if not bad.any() or kept.sum(axis=1).min() < 1 or kept.sum(axis=0).min() < 3:
            break
        used = kept
    return found


def follow(
    positions: Sequence[ArrayLike], tilts: ArrayLike, reach: float, least: float = 0.5
) -> Floats:
    """Follow beads found in each image on their own through the tilt series.

    From the least tilt outwards: the shift common to two neighbouring images is the one that most
    pairs of beads agree on, then nearest beads within `reach` are the same.

    Parameters
    ----------
    positions : sequence of (k, 2) array_like
        Beads (y, x) found in each image, any number.
    tilts : (n,) array_like
        Degrees.
    reach : float
        How far a bead may move between neighbouring tilts beside that, in the same unit.
    least : float
        Share of the images in which a bead has to be seen to be kept.

    Returns
    -------
    (n, b, 2) array
        nan where a bead was not found.

    Raises
    ------
    ImageError
        Where no bead can be followed.
    """
    angles = check_tilts(tilts, len(positions))
    found = [np.asarray(p, dtype=float).reshape(-1, 2) for p in positions]
    order = np.argsort(angles, kind="stable")
    start = int(np.argmin(np.abs(angles[order])))
    tracks = np.full((len(angles), len(found[order[start]]), 2), np.nan)
    tracks[order[start]] = found[order[start]]
    for sequence in (order[start:], order[: start + 1][::-1]):
        last = tracks[sequence[0]].copy()
        for index in sequence[1:]:
            partner = _partners(last, found[index], reach)
            hit = partner >= 0
            tracks[index, hit] = found[index][partner[hit]]
            if hit.any():
                moved = np.median(tracks[index, hit] - last[hit], axis=0)
                last = np.where(hit[:, None], tracks[index], last + moved)
    kept = np.isfinite(tracks[..., 0]).mean(axis=0) >= least
    if not kept.any():
        raise ImageError(
            "No bead could be followed through the tilt series; allow a longer reach or align the "
            "images roughly first."
        )
    return tracks[:, kept]


def resample(series: Any, transforms: ArrayLike) -> NDArray[np.float32]:
    """Apply an alignment: bring the tilt axis to y in the middle of every image.

    Parameters
    ----------
    series : (n, ny, nx) array_like
        Raw images.
    transforms : (n, 2, 3) array_like
        Per image the map from raw to aligned (y, x) pixels, rows down, both from the image's
        middle ``(n - 1) / 2``: ``aligned = M[:, :2] @ raw + M[:, 2]``.

    Returns
    -------
    (n, ny, nx) float32 array
        By cubic spline; beyond the border the nearest pixel is repeated.

    Raises
    ------
    ImageError
        Where there is not one invertible map per image.
    """
    from scipy.ndimage import affine_transform

    maps = np.asarray(transforms, dtype=float)
    count, *plane = series.shape
    if maps.shape != (count, 2, 3) or not np.isfinite(maps).all():
        raise ImageError(
            f"There are {count} images but transforms of shape {maps.shape}; give one 2 x 3 matrix "
            "per image."
        )
    if (np.abs(np.linalg.det(maps[:, :, :2])) < 1e-3).any():
        raise ImageError("A transform of the tilt series is singular; check the alignment file.")
    middle = (np.array(plane) - 1) / 2
    out = np.empty(series.shape, np.float32)
    for index in range(count):
        back = np.linalg.inv(maps[index, :, :2])
        offset = middle - back @ (middle + maps[index, :, 2])
        image = np.asarray(series[index], dtype=np.float32)
        out[index] = affine_transform(image, back, offset, order=3, mode="nearest")
    return out


def _axes(azimuth: float) -> Floats:
    """Give the turn from (along, across) the axis to the image's (y, x)."""
    angle = np.radians(azimuth)
    return np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])


def _check_tracks(used: NDArray[np.bool_], tilts: Floats) -> None:
    if used.shape[1] < 3:
        raise ImageError(
            f"{used.shape[1]} beads cannot fix a tilt series; follow at least 3, well apart."
        )
    blind = np.flatnonzero(~used.any(axis=1))
    if blind.size:
        raise ImageError(
            f"Image {blind[0]} at {tilts[blind[0]]:g} degrees shows no bead; leave it out."
        )
    rare = np.flatnonzero(used.sum(axis=0) < 3)
    if rare.size:
        raise ImageError(f"Bead {rare[0]} is seen in fewer than 3 images; leave it out.")
    if np.ptp(tilts) < 10:
        raise ImageError("The tilts span less than 10 degrees, too few to place beads in depth.")
    if 2 * used.sum() <= 2 * len(tilts) + 3 * used.shape[1]:
        raise ImageError("There are fewer sightings of beads than unknowns; follow more beads.")


def _search(
    seen: Floats, used: NDArray[np.bool_], tilts: Floats, bounds: tuple[float, float]
) -> float:
    from scipy.optimize import minimize_scalar

    def misfit(azimuth: float) -> float:
        return float(np.nansum(_solve(seen, used, tilts, azimuth).residuals ** 2))

    grid = np.arange(bounds[0], bounds[1] + 1e-9, 5.0)
    step = 5.0 if len(grid) > 1 else max(bounds[1] - bounds[0], 1e-6)
    best = float(grid[int(np.argmin([misfit(a) for a in grid]))])
    return float(
        minimize_scalar(
            misfit, bounds=(best - step, best + step), method="bounded", options={"xatol": 1e-5}
        ).x
    )


def _solve(seen: Floats, used: NDArray[np.bool_], tilts: Floats, azimuth: float) -> TiltAlignment:
    """Solve shifts and positions by least squares for a given azimuth.

    Along and across the axis separate: along it a bead keeps its place, across it moves with the
    tilt. Shifts are solved in these directions and turned back.
    """
    turn = _axes(azimuth)
    turned = seen @ turn
    images, beads = np.nonzero(used)
    n, b = len(tilts), seen.shape[1]
    start = int(np.argmin(np.abs(tilts)))
    rows = np.arange(len(images))
    along = np.zeros((len(images) + 1, n + b))
    along[rows, images] = 1.0
    along[rows, n + beads] = 1.0
    along[-1, start] = 1.0
    y = np.linalg.lstsq(along, np.append(turned[images, beads, 0], 0.0), rcond=None)[0]
    cosine, sine = np.cos(np.radians(tilts)), np.sin(np.radians(tilts))
    across = np.zeros((len(images) + 2, n + 2 * b))
    across[rows, images] = 1.0
    across[rows, n + beads] = cosine[images]
    across[rows, n + b + beads] = sine[images]
    across[-2, start] = 1.0
    across[-1, n + b :] = 1.0  # heights from their mean
    x = np.linalg.lstsq(across, np.append(turned[images, beads, 1], [0.0, 0.0]), rcond=None)[0]
    shifts = np.column_stack([y[:n], x[:n]])
    positions = np.column_stack([x[n + b :], y[n:], x[n : n + b]])
    flat = positions[None, :, 2] * cosine[:, None] + positions[None, :, 0] * sine[:, None]
    level = np.broadcast_to(positions[None, :, 1], flat.shape)
    predicted = np.stack([level, flat], axis=2) + shifts[:, None]
    residuals = np.where(used[..., None], turned - predicted, np.nan)
    return TiltAlignment(tilts, azimuth, shifts @ turn.T, positions, residuals @ turn.T)


def _partners(last: Floats, here: Floats, reach: float) -> NDArray[np.int64]:
    """Give for each bead followed so far the index of its like among those found, or -1."""
    partner = np.full(len(last), -1, dtype=np.int64)
    known = np.flatnonzero(np.isfinite(last[:, 0]))
    if not known.size or not len(here):
        return partner
    apart = here[None] - last[known, None]
    candidates = apart.reshape(-1, 2)
    votes = [
        int((np.hypot(*(candidates - c).T) <= reach).sum()) - 1e-9 * float(np.hypot(*c))
        for c in candidates
    ]
    common = candidates[int(np.argmax(votes))]
    agreeing = candidates[np.hypot(*(candidates - common).T) <= reach]
    away = np.hypot(*np.moveaxis(apart - np.median(agreeing, axis=0), 2, 0))
    nearest = away.argmin(axis=1)
    mutual = away.argmin(axis=0)[nearest] == np.arange(len(known))
    good = mutual & (away[np.arange(len(known)), nearest] <= reach)
    partner[known[good]] = nearest[good]
    return partner
