"""Which bead of one image is which bead of another: by their pattern alone.

Triangles of neighbouring points that have the same sides in both sets propose a place; a place is
grown from its triangle outwards, refitted as it grows, and kept if more points coincide than
chance would bring about (a-contrario). Nothing has to be known of rotation and shift; the scale
is known to a few percent from the calibration.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_clxem.errors import NoMatch, PointsError
from napari_clxem.frames import Affine, Fit, as_points, fit
from napari_clxem.frames.affine import Floats

if TYPE_CHECKING:
    from scipy.spatial import cKDTree

Indices = NDArray[np.intp]

_NEIGHBOURS = {"moving": 7, "fixed": 12}
_HYPOTHESES = 3000
_GROWN = 40
_LARGEST_SET = 5000
# Accidental matches this good are expected less than once in so many calls.
FALSE_ALARMS = 1e-3


@dataclass(frozen=True, eq=False)
class Match:
    """Corresponding points of two sets.

    Attributes
    ----------
    pairs : (k, 2) array of int
        Rows of the moving and of the fixed points.
    fit : Fit
        Through the pairs.
    confidence : float
        ``1 / (1 + n)``, n the number of equally good matches expected between unrelated sets of
        this density.
    mirrored : bool
        Whether the moving points had to be mirrored.
    """

    pairs: Indices
    fit: Fit
    confidence: float
    mirrored: bool = False


@dataclass(frozen=True, eq=False)
class _Sets:
    """Both point sets as they are compared, and the limits of agreement."""

    moving: Floats
    fixed: Floats
    tree: cKDTree
    tolerance: float
    scale: tuple[float, float]


def match(
    moving_points: ArrayLike,
    fixed_points: ArrayLike,
    model: str = "similarity",
    tolerance: float | None = None,
    scale: tuple[float, float] = (1.0, 0.02),
    mirror: bool = False,
    moving_sigma: Any = None,
    fixed_sigma: Any = None,
) -> Match:
    """Match two sets of points by their pattern.

    Parameters
    ----------
    moving_points, fixed_points : (n, d), (m, d) array_like
        µm, axes (z, y, x) or (y, x). 3D moving and 2D fixed points are matched as seen along z,
        up to a tilt of some degrees.
    model : str
        Model of the fit that is returned; see :func:`napari_clxem.frames.fit`.
    tolerance : float, optional
        Largest distance of a pair in the fixed frame, µm; a tenth of the usual distance to the
        nearest neighbour where it is left out.
    scale : tuple of float
        Expected scale, moving to fixed, and its relative standard deviation.
    mirror : bool
        Also look for the mirror image of the moving points.
    moving_sigma, fixed_sigma : optional
        Localisation errors of all points, as for :func:`napari_clxem.frames.fit`.

    Returns
    -------
    Match

    Raises
    ------
    NoMatch
        Where no correspondence is better than chance.
    PointsError
        Where points or limits cannot be used.
    """
    moving = as_points(moving_points, name="Moving points")
    fixed = as_points(fixed_points, name="Fixed points")
    _check(moving, fixed, tolerance, scale)
    own = moving[:, moving.shape[1] - fixed.shape[1] :]
    best: tuple[float, Indices, bool] | None = None
    for flipped in (False, True) if mirror else (False,):
        seen = own * _flip(own.shape[1]) if flipped else own
        sets = _sets(seen, fixed, tolerance, scale)
        pairs, alarms = _search(sets)
        if best is None or alarms < best[0]:
            best = alarms, pairs, flipped
    if best is None or best[0] > FALSE_ALARMS:
        raise NoMatch(
            f"No correspondence of the {len(moving)} moving and {len(fixed)} fixed points is "
            "better than chance; check pixel sizes and bead detection, or pick landmarks by hand."
        )
    alarms, pairs, flipped = best
    rows, columns = pairs.T
    fitted = fit(
        moving[rows],
        fixed[columns],
        model="affine" if flipped else model,
        moving_sigma=_rows_of(moving_sigma, rows),
        fixed_sigma=_rows_of(fixed_sigma, columns),
    )
    return Match(pairs, fitted, 1.0 / (1.0 + alarms), flipped)


def _check(
    moving: Floats, fixed: Floats, tolerance: float | None, scale: tuple[float, float]
) -> None:
    if moving.shape[1] < fixed.shape[1]:
        raise PointsError("Fixed points have more axes than moving ones; match the other way.")
    for name, points in (("moving", moving), ("fixed", fixed)):
        if len(points) < 3:
            raise NoMatch(f"There are {len(points)} {name} points; a pattern needs 3 at the least.")
        if len(points) > _LARGEST_SET:
            raise PointsError(
                f"There are {len(points)} {name} points; raise the detection threshold until "
                f"there are at most {_LARGEST_SET}."
            )
    if tolerance is not None and not 0 < tolerance < np.inf:
        raise PointsError(f"A tolerance of {tolerance} µm matches nothing; give one above 0.")
    if not (0 < scale[0] < np.inf and 0 < scale[1] < 0.5):
        raise PointsError(
            f"The scale {scale} cannot be used; give its mean and a relative sd below 0.5."
        )


def _flip(ndim: int) -> Floats:
    return np.array([1.0] * (ndim - 1) + [-1.0])


def _rows_of(sigma: Any, rows: Indices) -> Any:
    return sigma if sigma is None or np.ndim(sigma) == 0 else np.asarray(sigma)[rows]


def _sets(
    moving: Floats, fixed: Floats, tolerance: float | None, scale: tuple[float, float]
) -> _Sets:
    from scipy.spatial import cKDTree

    tree = cKDTree(fixed)
    if tolerance is None:
        nearest = tree.query(fixed, k=2)[0][:, 1]
        tolerance = 0.1 * float(np.median(nearest))
    return _Sets(moving, fixed, tree, max(tolerance, 1e-9), scale)


def _search(sets: _Sets) -> tuple[Indices, float]:
    """Give the pairs of the best place and the number of accidents expected to be as good."""
    best: tuple[float, Indices] = (np.inf, np.empty((0, 2), dtype=np.intp))
    for linear, shift, middle, size in _proposals(sets):
        pairs, place = _grow(sets, linear, shift, middle, size)
        if len(pairs) <= sets.fixed.shape[1]:
            continue
        alarms = _false_alarms(sets, pairs, place)
        if alarms < best[0]:
            best = alarms, pairs
        if alarms < 1e-12:
            break
    return best[1], best[0]


def _proposals(sets: _Sets) -> list[tuple[Floats, Floats, Floats, float]]:
    """Propose places by like triangles, those on which most points coincide first."""
    from scipy.spatial import cKDTree

    ours = _triangles(sets.moving, _NEIGHBOURS["moving"], 3 * sets.tolerance)
    theirs = _triangles(sets.fixed, _NEIGHBOURS["fixed"], 3 * sets.tolerance)
    if not len(ours) or not len(theirs):
        return []
    mean, spread = sets.scale
    sides, other_sides = _sides(sets.moving, ours) * mean, _sides(sets.fixed, theirs)
    reach = 3 * spread * np.linalg.norm(sides, axis=1) + 2 * sets.tolerance
    near = cKDTree(other_sides).query_ball_point(sides, reach)
    counts = np.array([len(found) for found in near])
    if not counts.sum():
        return []
    one = np.repeat(np.arange(len(ours)), counts)
    other = np.concatenate([np.asarray(found, dtype=np.intp) for found in near])
    # the shape has to agree once the scale is taken out
    ratio = other_sides[other].sum(axis=1) / sides[one].sum(axis=1)
    odd = np.abs(other_sides[other] - ratio[:, np.newaxis] * sides[one]).max(axis=1)
    order = np.flatnonzero(odd < 2 * sets.tolerance)
    order = order[np.argsort(odd[order] / sides[one[order]].sum(axis=1))]
    order = order[: 4 * _HYPOTHESES]
    a, b = sets.moving[ours[one[order]]], sets.fixed[theirs[other[order]]]
    linear, residual = _turned(a, b, mean, spread)
    keep = np.flatnonzero(residual < 2 * sets.tolerance)[:_HYPOTHESES]
    linear, middle, goal = linear[keep], a[keep].mean(axis=1), b[keep].mean(axis=1)
    shift = goal - np.einsum("hij,hj->hi", linear, middle)
    size = sides[one[order[keep]]].max(axis=1)
    votes = _votes(sets, linear, shift, middle, size)
    best = np.argsort(-votes, kind="stable")[:_GROWN]
    return [(linear[i], shift[i], middle[i], float(size[i])) for i in best]


def _triangles(points: Floats, neighbours: int, shortest: float) -> Indices:
    """Give triangles of neighbouring points, vertices ordered by their opposite sides."""
    from scipy.spatial import cKDTree

    count = min(neighbours + 1, len(points))
    near = np.sort(cKDTree(points).query(points, k=count)[1], axis=1)
    corners = np.array(list(combinations(range(count), 3)))
    found = np.unique(near[:, corners].reshape(-1, 3), axis=0)
    lengths = np.stack(
        [
            np.linalg.norm(points[found[:, i]] - points[found[:, j]], axis=1)
            for i, j in ((1, 2), (0, 2), (0, 1))
        ],
        axis=1,
    )
    order = np.argsort(lengths, axis=1)
    found = np.take_along_axis(found, order, axis=1)
    lengths = np.take_along_axis(lengths, order, axis=1)
    return np.asarray(found[lengths[:, 0] > shortest])


def _sides(points: Floats, triangles: Indices) -> Floats:
    corners = points[triangles]
    return np.stack(
        [
            np.linalg.norm(corners[:, i] - corners[:, j], axis=1)
            for i, j in ((1, 2), (0, 2), (0, 1))
        ],
        axis=1,
    )


def _turned(a: Floats, b: Floats, mean: float, spread: float) -> tuple[Floats, Floats]:
    """Turn and scale triangles (h, 3, d) onto others; never mirrored. Give A and largest miss."""
    one, other = a - a.mean(axis=1, keepdims=True), b - b.mean(axis=1, keepdims=True)
    left, values, right = np.linalg.svd(np.einsum("hki,hkj->hij", other, one))
    signs = np.ones_like(values)
    signs[:, -1] = np.sign(np.linalg.det(left) * np.linalg.det(right))
    scale = (values * signs).sum(axis=1) / np.maximum((one**2).sum(axis=(1, 2)), 1e-300)
    # a small triangle says little of the scale: the calibration says more
    scale = np.clip(scale, mean * (1 - 2 * spread), mean * (1 + 2 * spread))
    linear = scale[:, np.newaxis, np.newaxis] * (left * signs[:, np.newaxis]) @ right
    miss = np.linalg.norm(other - np.einsum("hij,hkj->hki", linear, one), axis=2).max(axis=1)
    return linear, miss


def _votes(
    sets: _Sets, linear: Floats, shift: Floats, middle: Floats, size: Floats
) -> NDArray[np.float64]:
    """Count the moving points near a fixed one, less strictly and weaker far from the triangle."""
    placed = np.einsum("hij,nj->hni", linear, sets.moving) + shift[:, np.newaxis]
    away = np.linalg.norm(sets.moving[np.newaxis] - middle[:, np.newaxis], axis=2)
    slack = sets.tolerance * (1 + away / size[:, np.newaxis])
    limit = 4 * sets.tolerance
    distance = sets.tree.query(placed.reshape(-1, placed.shape[2]), distance_upper_bound=limit)[0]
    near = distance.reshape(away.shape) < np.minimum(slack, limit)
    return np.asarray((near * (sets.tolerance / np.minimum(slack, limit))).sum(axis=1))


def _grow(
    sets: _Sets, linear: Floats, shift: Floats, middle: Floats, size: float
) -> tuple[Indices, Affine]:
    """Grow a place from its triangle outwards, refitting with every pair it gains."""
    place = Affine.from_parts(linear, shift)
    away = np.linalg.norm(sets.moving - middle, axis=1)
    radius, pairs = 1.5 * size, np.empty((0, 2), dtype=np.intp)
    while True:
        rows = np.flatnonzero(away <= radius)
        pairs = _pairs(sets, place, rows, 2 * sets.tolerance)
        refitted = _refit(sets, pairs)
        place = place if refitted is None else refitted
        if radius > away.max():
            break
        radius *= 1.5
    for _ in range(3):
        pairs = _pairs(sets, place, np.arange(len(sets.moving)), sets.tolerance)
        refitted = _refit(sets, pairs)
        if refitted is None:
            break
        place = refitted
    return _pairs(sets, place, np.arange(len(sets.moving)), sets.tolerance), place


def _pairs(sets: _Sets, place: Affine, rows: Indices, reach: float) -> Indices:
    """Pair points that are each other's nearest within `reach`."""
    if not len(rows):
        return np.empty((0, 2), dtype=np.intp)
    distance, nearest = sets.tree.query(
        place.transform(sets.moving[rows]), distance_upper_bound=reach
    )
    found: dict[int, tuple[float, int]] = {}
    for row, column, apart in zip(rows, nearest, distance, strict=True):
        if np.isfinite(apart) and apart < found.get(int(column), (np.inf, 0))[0]:
            found[int(column)] = float(apart), int(row)
    return np.array(
        sorted((row, column) for column, (_, row) in found.items()), dtype=np.intp
    ).reshape(-1, 2)


def _refit(sets: _Sets, pairs: Indices) -> Affine | None:
    """Fit a place through pairs: turned and scaled, or affine once there are plenty."""
    ndim = sets.fixed.shape[1]
    if len(pairs) < ndim + 1:
        return None
    one, other = sets.moving[pairs[:, 0]], sets.fixed[pairs[:, 1]]
    if len(pairs) >= 4 * ndim:
        try:
            return Affine(fit(one, other, "affine").affine)
        except PointsError:  # on a line or plane: a similarity will do
            pass
    mean, spread = sets.scale
    linear = _turned(one[np.newaxis], other[np.newaxis], mean, spread)[0][0]
    return Affine.from_parts(linear, other.mean(axis=0) - linear @ one.mean(axis=0))


def _false_alarms(sets: _Sets, pairs: Indices, place: Affine) -> float:
    """Expect so many accidental places with as many coincidences (Desolneux, Moisan & Morel).

    The chance of one point's coincidence is that of the density of the fixed points, or what it
    is found to be when the placed points are jogged about, whichever is larger: clusters of beads
    must not pass for evidence.
    """
    from scipy.special import bdtrc

    ndim = sets.fixed.shape[1]
    placed = place.transform(sets.moving)
    low, high = sets.fixed.min(axis=0), sets.fixed.max(axis=0)
    inside = ((placed >= low - sets.tolerance) & (placed <= high + sets.tolerance)).all(axis=1)
    rng = np.random.default_rng(0)
    steps = rng.normal(size=(64, 1, ndim))
    steps *= (
        rng.uniform(4, 14, (64, 1, 1))
        * sets.tolerance
        / np.linalg.norm(steps, axis=2, keepdims=True)
    )
    jogged = (placed[inside] + steps).reshape(-1, ndim)
    if not len(jogged):
        return float("inf")
    hits = np.isfinite(sets.tree.query(jogged, distance_upper_bound=sets.tolerance)[0]).mean()
    reach = sets.tolerance**ndim * (np.pi if ndim == 2 else 4 / 3 * np.pi)
    space = float(np.prod(np.maximum(high - low, 2 * sets.tolerance)))
    chance = float(np.clip(max(hits, len(sets.fixed) * reach / space), 1e-9, 0.999))
    # two points fix a place in the plane, three in space; each may be any of the others
    fixing = ndim if ndim == 2 else 3
    trials, successes = int(inside.sum()) - fixing, len(pairs) - fixing
    if successes <= 0:
        return float("inf")
    places = (len(sets.moving) * len(sets.fixed)) ** fixing * 4 * sets.scale[1]
    return float(places * bdtrc(successes - 1, max(trials, successes), chance))
