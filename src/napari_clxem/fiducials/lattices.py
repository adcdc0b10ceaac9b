"""The support's pattern of holes as a lattice: pitch, rotation and where its nodes lie.

A periodic pattern has its Fourier transform in peaks. Their places give the lattice's basis, and
the phases of the first ones the places of its nodes. Two images of one film are linked by their
lattices where their relation is known to well within half a pitch; a lattice alone cannot tell
one hole from the next.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_clxem.errors import NoMatch, PointsError
from napari_clxem.fiducials.profiles import Floats
from napari_clxem.frames import Affine, UncertainAffine

_BLOCKS = 3
_LEAST_PEAK = 30.0
"""Power of each first peak over the median of their ring, below which there is no lattice."""

_SQUARE = 0.12
"""How far two basis vectors may be from equal length and a right angle, relative."""

_CERTAIN = 3.0
"""Standard deviations of the start that must fit into half a pitch."""


@dataclass(frozen=True, eq=False)
class Lattice:
    """A square lattice in an image.

    Parameters
    ----------
    basis : (2, 2) ndarray
        Rows: the two vectors from a node to its neighbours, (y, x) µm.
    origin : (2,) ndarray
        The node nearest to the image's middle, (y, x) µm.
    sigma : float
        Sd of the nodes' places near the middle, per axis, µm, from how the image's parts differ.
    """

    basis: Floats
    origin: Floats
    sigma: float

    @property
    def pitch(self) -> float:
        """Mean distance of neighbouring nodes, µm."""
        return float(np.linalg.norm(self.basis, axis=1).mean())

    @property
    def angle(self) -> float:
        """Rotation of the lattice, degrees, from -45 up to 45."""
        (y, x), _ = self.basis
        return float((np.rad2deg(np.arctan2(y, x)) + 45.0) % 90.0 - 45.0)

    def nodes(self, low: ArrayLike, high: ArrayLike) -> Floats:
        """Give the nodes (n, 2) in a box, µm."""
        box = np.array([low, high], float)
        corners = np.array(list(product(*box.T))) - self.origin
        steps = corners @ np.linalg.inv(self.basis)
        first, last = np.floor(steps.min(axis=0)), np.ceil(steps.max(axis=0))
        ranges = [np.arange(a, b + 1) for a, b in zip(first, last, strict=True)]
        grid = np.stack(np.meshgrid(*ranges, indexing="ij"), axis=-1).reshape(-1, 2)
        nodes = self.origin + grid @ self.basis
        inside: Floats = nodes[np.all((nodes >= box[0]) & (nodes <= box[1]), axis=1)]
        return inside


def find_lattice(
    image: ArrayLike, spacing: tuple[float, float], pitch: tuple[float, float], bright: bool = True
) -> Lattice:
    """Find the square lattice of holes in an image.

    Parameters
    ----------
    image : (ny, nx) array_like
        NaN pixels take no part.
    spacing : (float, float)
        Pixel size (y, x), µm.
    pitch : (float, float)
        Smallest and largest distance of neighbouring holes, µm.
    bright : bool
        Whether holes are brighter than the film.

    Returns
    -------
    Lattice

    Raises
    ------
    NoMatch
        Where the image shows no square lattice of such a pitch.
    PointsError
        Where image or pitch is not usable.
    """
    array = np.asarray(image, dtype=float)
    if array.ndim != 2 or min(array.shape) < 16:
        raise PointsError(
            f"An image of shape {array.shape} shows no lattice; give a larger 2D one."
        )
    low, high = pitch
    extent = np.array(array.shape) * spacing
    if not 2.0 * max(spacing) < low < high or high > extent.min() / 2.0:
        raise PointsError(
            f"Pitches of {low} to {high} µm cannot be told in an image of {extent[0]:.1f} x "
            f"{extent[1]:.1f} µm; give a range between two pixels and half the image."
        )
    flat = _flattened(array, spacing, high) * (1.0 if bright else -1.0)
    waves = _first_waves(flat, spacing, pitch)
    waves = _refined(flat, spacing, waves)
    basis = np.linalg.inv(waves).T
    middle = (np.array(array.shape) - 1) * spacing / 2.0
    phases = np.angle(_amplitudes(flat, spacing, waves))
    origin = _node(waves, phases, middle)
    return Lattice(basis, origin, _scatter(flat, spacing, waves, origin))


def link_lattices(moving: Lattice, fixed: Lattice, start: UncertainAffine) -> UncertainAffine:
    """Link two images of one film by the lattices of its holes.

    Parameters
    ----------
    moving, fixed : Lattice
        Of the two images.
    start : UncertainAffine
        Planar map from moving to fixed µm as known so far; it tells which hole is which.

    Returns
    -------
    UncertainAffine
        Moving to fixed, µm; its linear part and its shift are those of the lattices.

    Raises
    ------
    NoMatch
        Where the start leaves open which hole is which, or the lattices differ.
    """
    place = start.transform(moving.origin)[0]
    spread = float(np.sqrt(np.linalg.eigvalsh(start.predict_error(moving.origin)[0])[-1]))
    if _CERTAIN * spread > fixed.pitch / 2.0:
        raise NoMatch(
            f"The frames are known to each other only to {spread:.1f} µm, and the holes are "
            f"{fixed.pitch:.1f} µm apart; find marks or pair landmarks to tell which is which."
        )
    guess = moving.basis @ Affine(start.affine).linear.T
    steps = guess @ np.linalg.inv(fixed.basis)
    whole = np.round(steps)
    if abs(round(float(np.linalg.det(whole)))) != 1 or np.abs(steps - whole).max() > 0.25:
        raise NoMatch(
            f"Lattices of {moving.pitch:.2f} and {fixed.pitch:.2f} µm do not lie on each other as "
            "the frames do; check pixel sizes and rotation."
        )
    linear = np.linalg.solve(moving.basis, whole @ fixed.basis).T
    offset = (place - fixed.origin) @ np.linalg.inv(fixed.basis)
    away = (offset - np.round(offset)) @ fixed.basis
    variance = moving.sigma**2 * abs(np.linalg.det(linear)) + fixed.sigma**2
    # A start that lies between two nodes tells neither.
    allowed = _CERTAIN * np.sqrt(spread**2 + variance)
    if np.linalg.norm(away) > max(allowed, 1e-9):
        raise NoMatch(
            f"The nearest holes lie {np.linalg.norm(away):.2f} µm from where the frames put them, "
            f"known to {spread:.2f} µm; check the frames' positions."
        )
    target = fixed.origin + np.round(offset) @ fixed.basis
    matrix = Affine.from_parts(linear, target - linear @ moving.origin).matrix
    turn = np.sqrt(variance) / (fixed.pitch * _BLOCKS)
    return UncertainAffine.declared(
        matrix,
        moving.origin,
        float(np.sqrt(variance)),
        angle_sd=float(np.rad2deg(turn)),
        scale_sd=float(turn),
    )


def _flattened(image: Floats, spacing: Any, wide: float) -> Floats:
    """Take off what varies more slowly than the lattice; missing pixels become 0."""
    from scipy.ndimage import gaussian_filter

    valid = np.isfinite(image)
    if not valid.any():
        raise PointsError("The image holds no valid pixel.")
    sd = [wide / s for s in spacing]
    weight = gaussian_filter(valid.astype(float), sd)
    smooth = gaussian_filter(np.where(valid, image, 0.0), sd) / np.maximum(weight, 1e-6)
    flat = np.where(valid, image - smooth, 0.0)
    limit = 4.0 * 1.4826 * float(np.median(np.abs(flat[valid]))) + 1e-12
    clipped: Floats = np.clip(flat, -limit, limit)
    return clipped


def _first_waves(flat: Floats, spacing: Any, pitch: tuple[float, float]) -> Floats:
    """Find the two strongest perpendicular waves of the range, rows (y, x), 1/µm."""
    window = np.outer(*(np.hanning(n) for n in flat.shape))
    size = [2 * n for n in flat.shape]
    power = np.abs(np.fft.rfft2(flat * window, size)) ** 2
    ky = np.fft.fftfreq(size[0], spacing[0])[:, None]
    kx = np.fft.rfftfreq(size[1], spacing[1])[None, :]
    k = np.hypot(ky, kx)
    ring = (k >= 1.0 / pitch[1]) & (k <= 1.0 / pitch[0])
    turned = _sampled(power, -kx, ky, spacing, size)
    joint = np.where(ring, np.sqrt(power * turned), 0.0)
    best = np.unravel_index(int(np.argmax(joint)), joint.shape)
    noise = float(np.median(power[ring]))
    if min(power[best], turned[best]) < _LEAST_PEAK * noise:
        raise NoMatch(
            f"No square pattern of {pitch[0]:g} to {pitch[1]:g} µm stands out; give another range, "
            "or link by landmarks."
        )
    wave = np.array([ky[best[0], 0], kx[0, best[1]]])
    return np.array([[wave[0], wave[1]], [wave[1], -wave[0]]])


def _sampled(power: Floats, y: Any, x: Any, spacing: Any, size: list[int]) -> Floats:
    """Look the power up at other frequencies, y and x turned by a right angle, 1/µm."""
    y, x = np.broadcast_arrays(y, x)
    flip = x < 0
    y, x = np.where(flip, -y, y), np.abs(x)
    row = np.round(y * size[0] * spacing[0]).astype(int) % size[0]
    column = np.round(x * size[1] * spacing[1]).astype(int)
    inside = column < power.shape[1]
    found: Floats = np.where(inside, power[row, np.minimum(column, power.shape[1] - 1)], 0.0)
    return found


def _amplitudes(flat: Floats, spacing: Any, waves: Floats) -> NDArray[np.complex128]:
    """Fourier amplitude of each wave, its phase taken at the image's first pixel."""
    y, x = (np.arange(n) * s for n, s in zip(flat.shape, spacing, strict=True))
    window = np.outer(*(np.hanning(n) for n in flat.shape)) * flat
    return np.array(
        [np.exp(-2j * np.pi * wy * y) @ window @ np.exp(-2j * np.pi * wx * x) for wy, wx in waves]
    )


def _refined(flat: Floats, spacing: Any, waves: Floats) -> Floats:
    """Climb to the top of each peak, by ever smaller parabolas."""
    step = np.array([0.5 / (n * s) for n, s in zip(flat.shape, spacing, strict=True)])
    waves = waves.copy()
    for _ in range(4):
        for row in range(2):
            for axis in range(2):
                away = np.zeros(2)
                away[axis] = step[axis]
                trial = np.stack([waves[row] - away, waves[row], waves[row] + away])
                low, mid, high = np.log(np.abs(_amplitudes(flat, spacing, trial)) + 1e-300)
                bend = low - 2.0 * mid + high
                if bend < 0:
                    waves[row, axis] += (
                        float(np.clip(0.5 * (low - high) / bend, -1, 1)) * step[axis]
                    )
        step = step / 2.0
    long = np.linalg.norm(waves, axis=1)
    cosine = float(waves[0] @ waves[1] / np.prod(long))
    if abs(long[0] / long[1] - 1.0) > _SQUARE or abs(cosine) > _SQUARE:
        raise NoMatch("The pattern found is no square lattice; link by landmarks.")
    return waves


def _node(waves: Floats, phases: Floats, near: Floats) -> Floats:
    """Find the place nearest to `near` where both waves are at their crest."""
    basis = np.linalg.inv(waves).T
    # crest where 2π w·r + phase = 0
    node = np.linalg.solve(waves, -phases / (2.0 * np.pi))
    steps = np.round((near - node) @ np.linalg.inv(basis))
    found: Floats = node + steps @ basis
    return found


def _scatter(flat: Floats, spacing: Any, waves: Floats, origin: Floats) -> float:
    """Sd of the lattice's place, from the places that parts of the image give."""
    parts = [np.array_split(np.arange(n), _BLOCKS) for n in flat.shape]
    basis = np.linalg.inv(waves).T
    misses = []
    for rows in parts[0]:
        for columns in parts[1]:
            part = flat[np.ix_(rows, columns)]
            if not part.any():
                continue
            corner = np.array([rows[0], columns[0]]) * spacing
            phases = np.angle(_amplitudes(part, spacing, waves))
            node = _node(waves, phases, origin - corner) + corner
            steps = (node - origin) @ np.linalg.inv(basis)
            misses.append((steps - np.round(steps)) @ basis)
    away = np.array(misses)
    return float(np.sqrt((away**2).sum(axis=1).mean() / 2.0 / max(len(away), 1)))
