"""Beads drawn from their physics, pixel by pixel, for the benchmarks: nothing of the package."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter
from scipy.special import erf

FWHM = 2.3548


def lattice(
    rng: np.random.Generator, side: float, step: float, margin: float, jitter: float = 0.4
) -> np.ndarray:
    """Places (n, 2) on a square lattice, each moved at random."""
    line = np.arange(margin, side - margin + 1e-9, step)
    places = np.stack(np.meshgrid(line, line, indexing="ij"), -1).reshape(-1, 2)
    return places + rng.uniform(-jitter, jitter, places.shape)


def draw_projection(
    shape: tuple[int, int],
    pixel: float,
    places: np.ndarray,
    psf: float,
    opacity: float = 0.0,
    diameter: float = 1.0,
    fine: int = 8,
) -> np.ndarray:
    """Balls in projection, each of unit height, drawn `fine` times finer and averaged."""
    image = np.zeros(shape)
    half = int(np.ceil((diameter / 2 + 2 * psf) / pixel)) + 2
    side = 2 * half + 1
    for place in places:
        low = np.round(place / pixel).astype(int) - half
        steps = (np.arange(side * fine) + 0.5) / fine - 0.5
        y, x = ((steps + first) * pixel - at for first, at in zip(low, place, strict=True))
        chord = np.sqrt(np.clip((diameter / 2) ** 2 - y[:, None] ** 2 - x**2, 0, None))
        chord /= diameter / 2
        sharp = chord if opacity == 0 else -np.expm1(-opacity * chord)
        blurred = gaussian_filter(sharp, psf / FWHM / (pixel / fine), truncate=5.0)
        drawn = blurred.reshape(side, fine, side, fine).mean(axis=(1, 3))
        _add(image, drawn, low)
    return image


def _ball_points(diameter: float, count: int = 14) -> np.ndarray:
    line = (np.arange(count) + 0.5) / count * 2 - 1
    inside = np.stack(np.meshgrid(line, line, line), -1).reshape(-1, 3)
    return inside[(inside**2).sum(axis=1) < 1] * diameter / 2


def draw_volume(
    shape: tuple[int, int, int],
    spacing: tuple[float, float, float],
    places: np.ndarray,
    psf: tuple[float, float],
    diameter: float = 1.0,
) -> np.ndarray:
    """Filled balls of unit height: points of a ball, each a Gaussian integrated over voxels."""
    inside = _ball_points(diameter)
    sigma = np.array([psf[0], psf[1], psf[1]]) / FWHM
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
        drawn = (lines[0].T @ plane).reshape([line.shape[1] for line in lines])
        _add(image, drawn / len(inside), np.array(low))
    return image / centre.mean()


def draw_balls(
    shape: tuple[int, int, int],
    pixel: float,
    places: np.ndarray,
    psf: float,
    fine: int = 4,
    diameter: float = 1.0,
) -> np.ndarray:
    """Filled balls of unit height under a blur alike in all directions, from the closed form."""
    radius, sigma = diameter / 2, psf / FWHM
    image = np.zeros(shape)
    half = int(np.ceil((radius + 4 * sigma) / pixel)) + 1
    side = 2 * half + 1
    for place in places:
        low = np.round(place / pixel).astype(int) - half
        steps = (np.arange(side * fine) + 0.5) / fine - 0.5
        z, y, x = ((steps + first) * pixel - at for first, at in zip(low, place, strict=True))
        r = np.sqrt(z[:, None, None] ** 2 + y[:, None] ** 2 + x**2)
        inner, outer = (radius - r) / sigma, (radius + r) / sigma
        ball = 0.5 * (erf(inner / np.sqrt(2)) + erf(outer / np.sqrt(2)))
        bells = np.exp(-(inner**2) / 2) - np.exp(-(outer**2) / 2)
        ball -= sigma / (np.maximum(r, 1e-6) * np.sqrt(2 * np.pi)) * bells
        _add(image, ball.reshape(side, fine, side, fine, side, fine).mean(axis=(1, 3, 5)), low)
    return image


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
