"""Projections: the best of all minima, both mirror solutions, kernels as good as without."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from scipy.optimize import least_squares
from scipy.spatial.transform import Rotation

from napari_clxem.frames import fit
from napari_clxem.frames.orthographic import warm
from napari_clxem.frames.solving import solutions


def view(rng, count, thickness, noise):
    """Beads of a slab, seen at random."""
    moving = rng.uniform(-10, 10, (count, 3)) * [thickness, 1.0, 1.0]
    linear = rng.uniform(0.8, 1.2) * Rotation.random(rng=rng).as_matrix()[1:]
    fixed = moving @ linear.T + rng.uniform(-50, 50, 2) + noise * rng.normal(size=(count, 2))
    return moving, fixed


def cost(found):
    return float((found.residuals**2).sum())


def by_scipy(moving, fixed, start):
    """Rotation vector, scale and shift from one start."""
    middle = moving.mean(axis=0)

    def misses(p):
        turned = np.exp(p[3]) * (moving - middle) @ Rotation.from_rotvec(p[:3]).as_matrix()[1:].T
        return (fixed - turned - p[4:]).ravel()

    first = [*start.as_rotvec(), 0.0, *fixed.mean(axis=0)]
    return 2 * least_squares(misses, first, method="lm").cost


def test_no_other_start_finds_a_better_minimum():
    rng = np.random.default_rng(1)
    for _ in range(40):
        noise = rng.choice([0.02, 0.3, 1.0])
        moving, fixed = view(rng, rng.integers(4, 12), rng.choice([0.0, 0.05, 0.3, 1.0]), noise)
        found = fit(moving, fixed, "projection")
        others = [by_scipy(moving, fixed, Rotation.random(rng=rng)) for _ in range(6)]
        assert cost(found) <= min(others) * (1 + 1e-6) + 1e-9


@pytest.mark.parametrize("sigma", [None, 0.05])
@pytest.mark.parametrize("thickness", [0.0, 0.05, 1.0])
def test_the_kernels_find_what_the_general_solver_finds(monkeypatch, sigma, thickness):
    warm(block=True)
    for seed in range(20):
        rng = np.random.default_rng(seed)
        moving, fixed = view(rng, 8, thickness, 0.05)
        sigmas = {} if sigma is None else {"moving_sigma": sigma, "fixed_sigma": 0.5 * sigma}
        quick = fit(moving, fixed, "projection", **sigmas)
        with monkeypatch.context() as patch:
            patch.setattr("napari_clxem.frames.solving.descended", lambda *_: None)
            slow = fit(moving, fixed, "projection", **sigmas)
        assert len(quick.alternatives) == len(slow.alternatives)
        probe = rng.uniform(-10, 10, (3, 3))
        for one, other in zip(
            (quick, *quick.alternatives), (slow, *slow.alternatives), strict=True
        ):
            if thickness == 0.0:  # the two minima are level: either may be first
                assert cost(one) == pytest.approx(cost(other), rel=1e-6)
                continue
            np.testing.assert_allclose(one.transform(probe), other.transform(probe), atol=1e-5)
            np.testing.assert_allclose(
                one.predict_error(probe), other.predict_error(probe), rtol=1e-4, atol=1e-9
            )


def test_both_mirror_solutions_are_reported_for_beads_on_a_film():
    told = 0
    for seed in range(50):
        rng = np.random.default_rng(seed)
        moving, fixed = view(rng, 8, 0.0, 0.02)
        found = fit(moving, fixed, "projection", fixed_sigma=0.02)
        told += len(found.alternatives) == 1
        for other in found.alternatives:
            assert cost(other) == pytest.approx(cost(found), rel=1e-3)
            # they agree on the film and disagree above it
            np.testing.assert_allclose(other.transform(moving), found.transform(moving), atol=1e-3)
            above = [[5.0, 0.0, 0.0]]
            assert np.linalg.norm(other.transform(above) - found.transform(above)) > 0.01
    assert told >= 48  # seen straight from above the two are one


def test_importing_frames_does_not_load_numba():
    code = "import sys, napari_clxem.frames; sys.exit('numba' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_solutions_come_best_first():
    moving, fixed = view(np.random.default_rng(3), 9, 0.02, 0.05)
    found = fit(moving, fixed, "projection", fixed_sigma=0.05)
    costs = [s.cost for s in solutions_of(found)]
    assert costs == sorted(costs)


def solutions_of(found):
    from napari_clxem.frames.models import choose

    return solutions(choose("projection", 3, 2), found.landmarks)
