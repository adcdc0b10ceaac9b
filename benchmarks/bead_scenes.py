"""Beads drawn from their physics, pixel by pixel, for the benchmarks: nothing of the package."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from scipy.ndimage import gaussian_filter
from scipy.special import erf, i0e

FWHM = 2.3548

_REACH, _TABLE = 6.0, 200
"""Sigmas of the blur from a bead's edge to the end of its table, and entries per sigma."""


def lattice(
    rng: np.random.Generator, side: float, step: float, margin: float, jitter: float = 0.4
) -> np.ndarray:
    """Places (n, 2) on a square lattice, each moved at random."""
    line = np.arange(margin, side - margin + 1e-9, step)
    places = np.stack(np.meshgrid(line, line, indexing="ij"), -1).reshape(-1, 2)
    return places + rng.uniform(-jitter, jitter, places.shape)


@lru_cache(maxsize=16)
def _projected(psf: float, opacity: float, diameter: float) -> tuple[np.ndarray, np.ndarray]:
    """Radii, µm, and values of a blurred ball in projection, by quadrature over its disc.

    Sharp values f(s) are blurred to ``∫ f(s) s/σ² exp(-(r² + s²)/2σ²) I0(rs/σ²) ds``; with
    s = R sin(t) chords end without a kink.
    """
    radius, sigma = diameter / 2, psf / FWHM
    r = np.arange(0, radius + _REACH * sigma, sigma / _TABLE)
    nodes, weights = np.polynomial.legendre.leggauss(400)
    turn = (nodes + 1) * np.pi / 4
    s, chord = radius * np.sin(turn), np.cos(turn)
    sharp = chord if opacity == 0 else -np.expm1(-opacity * chord)
    share = sharp * s * radius * chord * weights * np.pi / 4 / sigma**2
    values = np.empty_like(r)
    for first in range(0, len(r), 256):
        some = r[first : first + 256, None]
        bells = np.exp(-((some - s) ** 2) / (2 * sigma**2)) * i0e(some * s / sigma**2)
        values[first : first + 256] = bells @ share
    return r, values


@lru_cache(maxsize=16)
def _filled(psf: float, diameter: float) -> tuple[np.ndarray, np.ndarray]:
    """Radii, µm, and values of a filled ball under a blur alike in all directions."""
    radius, sigma = diameter / 2, psf / FWHM
    r = np.arange(0, radius + _REACH * sigma, sigma / _TABLE)
    inner, outer = (radius - r) / sigma, (radius + r) / sigma
    ball = 0.5 * (erf(inner / np.sqrt(2)) + erf(outer / np.sqrt(2)))
    bells = np.exp(-(inner**2) / 2) - np.exp(-(outer**2) / 2)
    return r, ball - sigma / (np.maximum(r, 1e-6) * np.sqrt(2 * np.pi)) * bells


def _draw_round(
    shape: tuple[int, ...],
    pixel: float,
    places: np.ndarray,
    table: tuple[np.ndarray, np.ndarray],
    nodes: int,
) -> np.ndarray:
    """Round things of a tabulated profile, averaged over each pixel by Gauss' rule."""
    r, values = table
    ndim = len(shape)
    spots, weights = np.polynomial.legendre.leggauss(nodes)
    mesh = np.stack(np.meshgrid(*[spots / 2] * ndim, indexing="ij"), -1).reshape(-1, ndim) * pixel
    weight = np.prod(np.meshgrid(*[weights / 2] * ndim, indexing="ij"), axis=0).ravel()
    half = int(np.ceil(r[-1] / pixel)) + 1
    grid = (np.indices((2 * half + 1,) * ndim).reshape(ndim, -1).T - half) * pixel
    image = np.zeros(shape)
    for place in places:
        middle = np.round(place / pixel).astype(int)
        away = grid + (middle * pixel - place)
        distance = np.sqrt((away**2).sum(axis=1))
        drawn = np.interp(distance, r, values)
        # where the profile is flat, its value in the middle of the pixel is its mean
        diagonal = pixel * np.sqrt(ndim) / 2
        steep = (distance < r[-1] + diagonal) & (
            (np.abs(drawn - values[0]) > 1e-12)
            | (np.interp(distance + diagonal, r, values) < values[0] - 1e-9)
        )
        square = np.zeros((steep.sum(), len(mesh)))
        for axis in range(ndim):
            square += (away[steep, axis, None] + mesh[:, axis]) ** 2
        drawn[distance > r[-1]] = 0.0
        drawn[steep] = np.interp(np.sqrt(square), r, values, right=0.0) @ weight
        _add(image, drawn.reshape((2 * half + 1,) * ndim), middle - half)
    return image


def draw_projection(
    shape: tuple[int, int],
    pixel: float,
    places: np.ndarray,
    psf: float,
    opacity: float = 0.0,
    diameter: float = 1.0,
) -> np.ndarray:
    """Balls in projection, each of unit height before it is blurred, averaged over pixels."""
    return _draw_round(shape, pixel, places, _projected(psf, opacity, diameter), 5)


def _ball_points(diameter: float) -> tuple[np.ndarray, np.ndarray]:
    """Points of a ball and their shares in it: a product rule of degree 19.

    Enough for blurs of an eighth of the diameter (sd) or more.
    """
    nodes, weights = np.polynomial.legendre.leggauss(10)
    radius, by_radius = (nodes + 1) / 2, weights / 2 * 3 * ((nodes + 1) / 2) ** 2
    turn = (np.arange(20) + 0.5) * np.pi / 10
    r, z, t = np.meshgrid(radius, nodes, turn, indexing="ij")
    flat = np.sqrt(1 - z**2)
    points = np.stack([r * z, r * flat * np.sin(t), r * flat * np.cos(t)], -1).reshape(-1, 3)
    share = by_radius[:, None, None] * weights[:, None] / 2 * np.full(20, 1 / 20)
    return points * diameter / 2, share.ravel()


def draw_volume(
    shape: tuple[int, int, int],
    spacing: tuple[float, float, float],
    places: np.ndarray,
    psf: tuple[float, float],
    diameter: float = 1.0,
) -> np.ndarray:
    """Filled balls of unit height: points of a ball, each a Gaussian integrated over voxels."""
    sigma = np.array([psf[0], psf[1], psf[1]]) / FWHM
    inside, share = _ball_points(diameter)
    centre = np.prod(np.exp(-(inside**2) / (2 * sigma**2)) / np.sqrt(2 * np.pi) / sigma, axis=1)
    image = np.zeros(shape)
    reach = diameter / 2 + 5 * sigma
    for place in places:
        lines, low = [], []
        for axis, step in enumerate(spacing):
            first = int(np.floor((place[axis] - reach[axis]) / step))
            last = int(np.ceil((place[axis] + reach[axis]) / step)) + 1
            edges = (np.arange(first, last + 1) - 0.5) * step
            edges = edges - (inside[:, axis, None] + place[axis])
            lines.append(np.diff(0.5 * erf(edges / np.sqrt(2) / sigma[axis]), axis=1) / step)
            low.append(first)
        plane = (lines[1][:, :, None] * lines[2][:, None, :]).reshape(len(inside), -1)
        drawn = ((lines[0] * share[:, None]).T @ plane).reshape([a.shape[1] for a in lines])
        _add(image, drawn, np.array(low))
    return image / (centre @ share)


def draw_balls(
    shape: tuple[int, int, int],
    pixel: float,
    places: np.ndarray,
    psf: float,
    diameter: float = 1.0,
) -> np.ndarray:
    """Filled balls of unit height under a blur alike in all directions, from the closed form."""
    return _draw_round(shape, pixel, places, _filled(psf, diameter), 4)


def _add(image: np.ndarray, drawn: np.ndarray, low: np.ndarray) -> None:
    """Add a drawing at an index; what lies outside the image is cut off."""
    first = np.maximum(low, 0)
    last = np.minimum(low + drawn.shape, image.shape)
    if np.all(last > first):
        target = tuple(slice(a, b) for a, b in zip(first, last, strict=True))
        source = tuple(slice(a - c, b - c) for a, b, c in zip(first, last, low, strict=True))
        image[target] += drawn[source]


def cells(
    rng: np.random.Generator, shape: tuple[int, int, int], count: int, radius: tuple[float, ...]
) -> np.ndarray:
    """Cells as soft ellipsoids with grain and round organelles in them, brightest about 1."""
    image = np.zeros(shape, np.float32)
    axes = [np.arange(n, dtype=np.float32) for n in shape]
    for _ in range(count):
        middle = [rng.uniform(0, n) for n in shape]
        size = np.array(radius) * rng.uniform(0.6, 1.3)
        parts = [
            slice(max(0, int(m - 1.2 * s)), min(n, int(m + 1.2 * s) + 1))
            for m, s, n in zip(middle, size, shape, strict=True)
        ]
        grid = [((a[p] - m) / s) ** 2 for a, p, m, s in zip(axes, parts, middle, size, strict=True)]
        away = grid[0][:, None, None] + grid[1][None, :, None] + grid[2]
        image[tuple(parts)] += 0.5 / (1 + np.exp(np.clip(12 * (away - 0.8), -30, 30)))
    grain = gaussian_filter(rng.standard_normal(shape).astype(np.float32), (2, 8, 8))
    image *= 1 + 0.5 * grain / grain.std()
    return np.maximum(image, 0)
