"""Loops of links brought into agreement: the least change by the links' errors that closes them.

Adjustment of conditioned observations (Helmert 1872; Mikhail & Ackermann 1976): the entries θ of
all links' maps, known with the joint covariance Σ, are changed by -ΣBᵀ(BΣBᵀ + R)⁻¹w, where w are
the gaps of the loops, B their derivatives by θ, and R what the unknown heights of planes leave
open. To first order this is the least-squares map through all links' landmarks at once. A bead
picked once and used by two links puts a covariance between these.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import permutations

import numpy as np
from numpy.typing import ArrayLike

from napari_clxem.frames.affine import Affine, Floats
from napari_clxem.frames.fitted import Fit
from napari_clxem.frames.lifting import completion
from napari_clxem.frames.route import Route, Step, begin, carry
from napari_clxem.frames.uncertainty import UncertainAffine

_ENTRIES = 12
_ROUNDS = 4
_NOTHING = 1e-9  # µm
_PROBE = 10.0  # µm between the places where a gap is taken; it is the same map everywhere
_CURVED = 2.0  # times the second order of a loop: gaps below are none of the first


@dataclass(frozen=True, eq=False)
class Adjustment:
    """What closing the loops has changed.

    Attributes
    ----------
    links : tuple of str
        Links that took part, in the order of `covariance`.
    maps : mapping of str to UncertainAffine
        Their maps now, in 3D.
    covariance : (12 k, 12 k) array
        Joint covariance of the entries of [A | t] of all of them.
    square : float
        Squared gaps of the loops in units of their covariance: about `dof` where all is well.
    dof : int
        Conditions that the loops set.
    """

    links: tuple[str, ...]
    maps: Mapping[str, UncertainAffine]
    covariance: Floats
    square: float
    dof: int

    @property
    def chance(self) -> float:
        """Probability of gaps at least so wide if all links are what they say; 1 without loops."""
        from scipy.special import chdtrc

        return float(chdtrc(self.dof, self.square)) if self.dof else 1.0


@dataclass(frozen=True, eq=False)
class JointRoute(Route):
    """A route whose links' errors depend on each other."""

    joint: Adjustment | None = None

    def predict_error(self, points: ArrayLike, covariance: ArrayLike | None = None) -> Floats:
        """Predict the covariance of mapped points; see :meth:`Route.predict_error`."""
        found = super().predict_error(points, covariance)
        joint = self.joint
        if joint is None or len(set(self.links) & set(joint.links)) < 2:
            return found
        slopes = _slopes(self, begin(self.start, points)[0], joint.maps)
        keep = slice(3 - self.end.ndim, 3)
        part = [index for index, link in enumerate(self.links) if link in joint.links]
        for one, other in permutations(part, 2):
            between = joint.covariance[
                _rows(joint.links, self.links[one]), _rows(joint.links, self.links[other])
            ]
            there, back = slopes[one][:, keep], slopes[other][:, keep]
            found = found + there @ between @ back.transpose(0, 2, 1)
        return found


def adjusted(
    steps: Mapping[str, Step],
    given: Mapping[str, UncertainAffine],
    loops: Sequence[Sequence[Route]],
) -> Adjustment:
    """Close loops of links.

    Parameters
    ----------
    steps : mapping of str to Step
        Links in their own direction; all of known error.
    given : mapping of str to UncertainAffine
        The maps the links were made of, fits with their landmarks among them.
    loops : sequence of pairs of Route
        Two ways between the same frames.
    """
    links = tuple(steps)
    covariance = _joint(links, steps, given)
    maps = {name: step.map for name, step in steps.items()}
    if not loops:
        return Adjustment(links, maps, covariance, 0.0, 0)
    from scipy.sparse import csr_array

    start, change = maps, np.zeros(len(covariance))
    for _ in range(_ROUNDS):  # chained turns are linear only so far
        gaps, dense, loose = _conditions(links, maps, loops)
        slopes = csr_array(dense)  # a loop has few of all links
        met = slopes @ covariance
        spread = slopes @ met.T + loose
        values, vectors = np.linalg.eigh((spread + spread.T) / 2)
        kept = values > max(1.0, 1e-12 * values[-1])
        root = vectors[:, kept].T / np.sqrt(values[kept])[:, np.newaxis]
        gaps = root @ (gaps - slopes @ change)  # as at the start, by the slopes of now
        change = -(root @ met).T @ gaps
        before, maps = maps, {}
        for name in links:
            maps[name] = _changed(start[name], change[_rows(links, name)])
        loops = [tuple(_along(way, before, maps) for way in loop) for loop in loops]
    known = root @ met
    after = covariance - known.T @ known
    for name in links:
        rows = _rows(links, name)
        maps[name] = replace(maps[name], covariance=(after[rows, rows] + after[rows, rows].T) / 2)
    for way, direct in loops:
        if len(_axes(way, direct)) == 1:  # what a turn along its tangent has left
            old = maps[direct.links[0]]
            maps[direct.links[0]] = replace(old, matrix=way.placement)
    return Adjustment(links, maps, after, float(gaps @ gaps), int(kept.sum()))


def _along(
    route: Route, old: Mapping[str, UncertainAffine], new: Mapping[str, UncertainAffine]
) -> Route:
    """Give a route by the changed maps of its links."""
    steps = []
    for step in route.steps:
        changed = new[step.link]
        ahead = step.map is old[step.link]
        steps.append(replace(step, map=changed if ahead else changed.inverted()))
    return Route(route.start, tuple(steps))


def _rows(links: Sequence[str], name: str) -> slice:
    first = _ENTRIES * links.index(name)
    return slice(first, first + _ENTRIES)


def _changed(before: UncertainAffine, change: Floats) -> UncertainAffine:
    affine = Affine(before.matrix)
    entries = change.reshape(3, 4)
    linear = affine.linear + entries[:, :3]
    middle = affine.transform(before.centre)[0] + entries[:, 3]
    matrix = Affine.from_parts(linear, middle - linear @ before.centre).matrix
    return UncertainAffine(matrix, before.centre, before.covariance, before.region_dof)


def _joint(
    links: Sequence[str], steps: Mapping[str, Step], given: Mapping[str, UncertainAffine]
) -> Floats:
    """Joint covariance of the links' entries: what they have in common is beads picked once."""
    found = np.zeros((_ENTRIES * len(links),) * 2)
    picks: dict[tuple[str, bytes], list[tuple[str, Floats, Floats]]] = {}
    for name in links:
        rows = _rows(links, name)
        found[rows, rows] = steps[name].map.covariance
        for pick, slope, noise in _picks(steps[name], given[name]):
            picks.setdefault(pick, []).append((name, slope, noise))
    for sharing in picks.values():
        for one, slope, noise in sharing:
            for other, again, error in sharing:
                if one != other:
                    common = noise if len(noise) >= len(error) else error
                    between = common[-slope.shape[1] :, -again.shape[1] :]
                    found[_rows(links, one), _rows(links, other)] += slope @ between @ again.T
    return found


def _picks(
    step: Step, transform: UncertainAffine
) -> list[tuple[tuple[str, bytes], Floats, Floats]]:
    """Give a fit's picks: where they are, the slopes of its entries by them, their covariance."""
    if not isinstance(transform, Fit) or transform.fixed_covariance is None:
        return []
    used = transform.landmarks.only(transform.inliers)
    linear = Affine(transform.matrix).linear
    rows = len(linear)
    precision = np.linalg.inv(used.residual_covariance(linear))
    arms = np.column_stack([used.moving - transform.centre, np.ones(len(used.moving))])
    entries = transform.covariance.reshape(-1, rows, arms.shape[1])
    by_fixed = np.einsum("kli,ni,nlj->nkj", entries, arms, precision)
    by_fixed = completion(transform, step.end) @ by_fixed
    found = []
    sides = (
        (step.start, used.moving, -by_fixed @ linear, used.moving_covariance),
        (step.end.name, used.fixed, by_fixed, used.fixed_covariance),
    )
    for frame, points, slopes, noises in sides:
        if noises is None:
            continue
        for point, slope, noise in zip(points, slopes, noises, strict=True):
            if noise.any():
                found.append(((frame, point[-2:].tobytes()), slope, noise))
    return found


def _conditions(
    links: Sequence[str],
    maps: Mapping[str, UncertainAffine],
    loops: Sequence[Sequence[Route]],
) -> tuple[Floats, Floats, Floats]:
    """Give the gaps of all loops (m,), their derivatives (m, 12 k), and what stays open (m, m).

    They are in units of what the first order neglects: chained turns leave gaps in directions
    that no turn can close, and these must not count as conditions.
    """
    gaps, slopes = [], []
    loose: list[Floats] = []
    for way, direct in loops:
        planes = 2 in _axes(way, direct)
        axes = slice(1, 3) if planes else slice(0, 3)
        probes = np.repeat(direct.steps[0].map.centre[np.newaxis], 4, axis=0)
        probes[:3] += _PROBE * np.eye(3)
        probes = probes[1:] if planes else probes
        sides = [_ends(route, probes, links, maps) for route in (way, direct)]
        blocks = [maps[link].covariance.reshape(3, 4, 3, 4) for link in way.links + direct.links]
        turned = sum(
            float(np.einsum("aiai->", block[axes, :3, axes, :3][:, axes][..., axes]))
            for block in blocks
        )
        unit = _CURVED * _PROBE * turned + _NOTHING
        gaps.append((sides[0][0] - sides[1][0])[:, axes].ravel() / unit)
        slope = (sides[0][1] - sides[1][1])[:, axes] / unit
        slopes.append(slope.reshape(-1, slope.shape[2]))
        loose.extend((sides[0][2] + sides[1][2])[:, axes, axes] / unit**2)
    return np.concatenate(gaps), np.vstack(slopes), _stacked(loose)


def _axes(way: Route, direct: Route) -> set[int]:
    """Give the numbers of axes of the frames in a loop."""
    return {way.start.ndim, direct.end.ndim, *(step.end.ndim for step in way.steps)}


def _ends(
    route: Route, probes: Floats, links: Sequence[str], maps: Mapping[str, UncertainAffine]
) -> tuple[Floats, Floats, Floats]:
    """Take probes through a route: places, slopes by all entries, and what heights leave open."""
    places, errors = begin(route.start, probes[:, 3 - route.start.ndim :])
    first = places
    for step in route.steps:
        places, errors = carry(step, places, errors)
    slopes = np.zeros((len(probes), 3, _ENTRIES * len(links)))
    for step, slope in zip(route.steps, _slopes(route, first, maps), strict=True):
        slopes[:, :, _rows(links, step.link)] += slope
        known = maps[step.link].covariance
        errors = errors - slope @ known @ slope.transpose(0, 2, 1)
    values, vectors = np.linalg.eigh(errors)  # round-off may leave a little below 0
    return (
        places,
        slopes,
        (vectors * np.maximum(values, 0.0)[:, np.newaxis]) @ vectors.transpose(0, 2, 1),
    )


def _slopes(route: Route, places: Floats, maps: Mapping[str, UncertainAffine]) -> list[Floats]:
    """Give the derivatives (n, 3, 12) of a route's end by the entries of each of its links."""
    found: list[Floats] = []
    for step in route.steps:
        linear = Affine(step.map.matrix).linear
        there = Affine(step.map.matrix).transform(places)
        forward = maps.get(step.link)
        if forward is None or step.map is forward:
            own = _by_entries(places - step.map.centre, np.eye(3))
        else:
            own = _by_entries(there - forward.centre, -linear)
        keep = np.diag([float(step.end.ndim == 3), 1.0, 1.0])
        found = [keep @ linear @ slope for slope in found]
        found.append(keep @ own)
        places = there
        if step.end.ndim == 2:
            places[:, 0] = step.end.z[0]
    return found


def _by_entries(arms: Floats, turned: Floats) -> Floats:
    """Give the derivatives (n, 3, 12) of ``turned @ (A arm + t)`` by the entries of [A | t]."""
    ones = np.column_stack([arms, np.ones(len(arms))])
    found = np.einsum("ab,ni->nabi", turned, ones)
    return np.asarray(found.reshape(len(arms), 3, _ENTRIES))


def _stacked(blocks: Sequence[Floats]) -> Floats:
    """Lay blocks along a diagonal."""
    size = sum(len(block) for block in blocks)
    found, first = np.zeros((size, size)), 0
    for block in blocks:
        found[first : first + len(block), first : first + len(block)] = block
        first += len(block)
    return found
