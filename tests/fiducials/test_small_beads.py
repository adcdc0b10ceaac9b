"""Beads far below the resolution: 40 nm gold, 100 and 200 nm microspheres."""

from __future__ import annotations

import numpy as np
import pytest

from napari_clxem.fiducials import detect

PIXEL = 0.1
BLUR = 0.16  # sd of the light microscope's image of a point, µm


def points_in_an_image(seed: int, noise: float) -> tuple[np.ndarray, np.ndarray]:
    """Draw twelve points as Gaussian spots on a flat background."""
    rng = np.random.default_rng(seed)
    grid = np.stack(np.meshgrid(np.arange(4), np.arange(3), indexing="ij"), axis=-1)
    points = (grid.reshape(-1, 2) + 0.5) * 3.0 + rng.uniform(-0.5, 0.5, (12, 2))
    y, x = (np.arange(n) * PIXEL for n in (120, 90))
    image = np.full((120, 90), 100.0)
    for py, px in points:
        image += 500.0 * np.exp(-((y[:, None] - py) ** 2 + (x - px) ** 2) / (2.0 * BLUR**2))
    return points, rng.normal(image, noise)


@pytest.mark.parametrize("diameter", [0.002, 0.04, 0.1, 0.2])
def test_a_bead_below_the_resolution_is_located_as_a_point(diameter: float) -> None:
    points, image = points_in_an_image(3, noise=10.0)
    beads = detect(image, spacing=(PIXEL, PIXEL), diameter=diameter)
    gaps = np.linalg.norm(beads.positions[:, None] - points, axis=2)
    assert len(beads.positions) == 12
    assert sorted(gaps.argmin(axis=1)) == list(range(12))
    assert np.sqrt((gaps.min(axis=1) ** 2).mean()) < 1.4 * np.sqrt(2.0) * beads.sigma.mean()
    assert beads.sigma.max() < 0.003


def test_a_bead_below_the_resolution_is_located_in_a_stack() -> None:
    points, image = points_in_an_image(4, noise=0.0)
    z = np.arange(24) * 0.3
    depths = np.random.default_rng(5).uniform(2.5, 4.5, 12)
    y, x = (np.arange(n) * PIXEL for n in image.shape)
    stack = np.full((24, *image.shape), 100.0)
    for depth, (py, px) in zip(depths, points, strict=True):
        spot = np.exp(-((y[:, None] - py) ** 2 + (x - px) ** 2) / (2.0 * BLUR**2))
        stack += 500.0 * np.exp(-((z - depth) ** 2) / (2.0 * 0.45**2))[:, None, None] * spot
    stack = np.random.default_rng(6).normal(stack, 10.0)
    beads = detect(stack, spacing=(0.3, PIXEL, PIXEL), diameter=0.05)
    truth = np.column_stack([depths, points])
    gaps = np.linalg.norm(beads.positions[:, None] - truth, axis=2)
    assert sorted(gaps.argmin(axis=1)) == list(range(12))
    error = beads.positions - truth[gaps.argmin(axis=1)]
    assert 0.5 < np.sqrt((error**2).mean(axis=0) / (beads.sigma**2).mean(axis=0)).max() < 1.6
