"""The grid itself: a gold mesh, the holey carbon film on it, and the ice around everything.

The grid frame has axes (z, y, x) in µm, z towards the beam, and its origin on the film in the
middle of the square.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Mesh:
    """Gold mesh: square openings of side `opening` with rounded corners every `pitch`, µm."""

    pitch: float = 127.0
    opening: float = 90.0
    corner: float = 13.0
    thickness: float = 12.0

    def distance(self, y: Array, x: Array) -> Array:
        """Signed distance to the edge of the nearest opening, µm: positive on the bars."""
        half = self.opening / 2 - self.corner
        dy = np.abs(y - self.pitch * np.round(y / self.pitch)) - half
        dx = np.abs(x - self.pitch * np.round(x / self.pitch)) - half
        outside = np.hypot(np.maximum(dy, 0), np.maximum(dx, 0))
        return outside + np.minimum(np.maximum(dy, dx), 0) - self.corner


@dataclass(frozen=True)
class Film:
    """Holey carbon film: tilted by `slope` (dz/dy, dz/dx), sagging by `curvature` (1/µm).

    Its round holes lie on a square lattice turned by `angle` degrees.
    """

    slope: tuple[float, float]
    curvature: tuple[float, float, float]
    angle: float
    offset: tuple[float, float]
    hole: float = 2.0
    pitch: float = 4.0
    thickness: float = 0.02

    def height(self, y: Array, x: Array) -> Array:
        """Height of the film, µm; the sag levels off where the bars hold the film."""
        yy, xx, yx = self.curvature
        sag = 0.5 * (yy * y * y + xx * x * x) + yx * y * x
        plane = self.slope[0] * y + self.slope[1] * x
        return np.asarray(plane + sag / (1.0 + (y * y + x * x) / 55.0**2))

    def hole_distance(self, y: Array, x: Array) -> Array:
        """Signed distance to the edge of the nearest hole, µm: negative inside holes."""
        cos, sin = np.cos(np.deg2rad(self.angle)), np.sin(np.deg2rad(self.angle))
        v = (cos * (y - self.offset[0]) - sin * (x - self.offset[1])) / self.pitch
        u = (sin * (y - self.offset[0]) + cos * (x - self.offset[1])) / self.pitch
        centre = np.hypot(v - np.round(v), u - np.round(u))
        return np.asarray(self.pitch * centre - self.hole / 2)


@dataclass(frozen=True)
class Ice:
    """Vitreous ice of varying thickness: a mean and a few waves (ky, kx, phase, amplitude)."""

    mean: float
    waves: tuple[tuple[float, float, float, float], ...]
    least: float = 0.12

    def thickness(self, y: Array, x: Array) -> Array:
        """Thickness above the film away from cells, µm."""
        total = np.full(np.broadcast(y, x).shape, self.mean)
        for ky, kx, phase, amplitude in self.waves:
            total = total + amplitude * np.cos(ky * y + kx * x + phase)
        return np.asarray(np.maximum(total, self.least))


def make_film(rng: np.random.Generator) -> Film:
    """Draw a film tilted by 2-3° and slightly curved."""
    slope = np.tan(np.deg2rad(rng.uniform(2.0, 3.0)))
    towards = rng.uniform(0, 2 * np.pi)
    sag = rng.choice([-1.0, 1.0]) * rng.uniform(0.0006, 0.0011, 2)
    return Film(
        slope=(float(slope * np.sin(towards)), float(slope * np.cos(towards))),
        curvature=(float(sag[0]), float(sag[1]), float(rng.normal(0, 1e-4))),
        angle=float(rng.uniform(4, 40)),
        offset=(float(rng.uniform(-2, 2)), float(rng.uniform(-2, 2))),
    )


def make_ice(rng: np.random.Generator) -> Ice:
    """Draw an ice layer of about half a µm, varying over 20-90 µm."""
    waves = []
    for wavelength in rng.uniform(20.0, 90.0, 8):
        towards = rng.uniform(0, 2 * np.pi)
        k = 2 * np.pi / wavelength
        waves.append(
            (
                float(k * np.sin(towards)),
                float(k * np.cos(towards)),
                float(rng.uniform(0, 2 * np.pi)),
                float(0.1 * rng.uniform(0.3, 1.0)),
            )
        )
    return Ice(mean=float(rng.uniform(0.45, 0.6)), waves=tuple(waves))
