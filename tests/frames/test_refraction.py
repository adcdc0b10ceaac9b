"""Depths through a flat surface: the published factors, and which way they go."""

from __future__ import annotations

import json
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_clxem.errors import ClxemError, PointsError
from napari_clxem.frames import actual_positions, axial_scaling, stage_positions


def test_the_published_factors_are_met(shared_data):
    table = json.loads((shared_data / "refractive_index_zeta.json").read_text())["cases"]
    misses = [
        axial_scaling(
            case["depth_um"], case["NA"], case["n2"], case["tilt_deg"], case["wavelength_um"]
        )
        - case["zeta"]
        for case in table
    ]
    assert len(misses) == 48
    assert np.median(np.abs(misses)) < 0.006
    assert np.max(np.abs(misses)) < 0.025


def test_narrow_light_gives_the_ratio_of_the_indices():
    """Paraxial rays: z' = n z (any textbook of optics)."""
    assert axial_scaling(3.0, 0.02, 1.31) == pytest.approx(1.31, abs=2e-4)
    assert axial_scaling(3.0, 0.5, 1.0, tilt=20.0) == pytest.approx(1.0, abs=1e-6)


def test_wide_light_lies_between_paraxial_and_marginal_rays():
    for aperture in (0.3, 0.6, 0.9):
        marginal = np.sqrt((1.31**2 - aperture**2) / (1 - aperture**2))
        assert 1.31 < axial_scaling(2.0, aperture, 1.31) < marginal


def test_the_sign_of_the_tilt_does_not_matter_and_a_little_tilt_changes_little():
    assert axial_scaling(5.0, 0.8, 1.3, 12.0) == axial_scaling(5.0, 0.8, 1.3, -12.0)
    flat, tilted = axial_scaling(2.0, 0.8, 1.3), axial_scaling(2.0, 0.8, 1.3, 0.01)
    assert flat == pytest.approx(tilted, abs=1e-4)


def test_only_depth_over_wavelength_counts():
    assert axial_scaling(10.0, 0.8, 1.3, 8.0, 0.6) == pytest.approx(
        axial_scaling(5.0, 0.8, 1.3, 8.0, 0.3), abs=1e-9
    )


def test_it_is_quick_and_remembers():
    axial_scaling(7.0, 0.6, 1.3)  # imports
    start = time.perf_counter()
    axial_scaling(14.0, 0.8, 1.3, 11.0)
    first = time.perf_counter() - start
    start = time.perf_counter()
    axial_scaling(14.0, 0.8, 1.3, 11.0)
    assert time.perf_counter() - start < min(first, 1e-3)
    assert first < 0.25  # some 10 ms on a quiet machine


def test_every_bead_may_have_its_depth():
    depths = np.array([[1.0, 4.0], [2.0, 9.0]])
    found = axial_scaling(depths, 0.8, 1.3)
    assert found.shape == (2, 2)
    assert found[1, 1] == axial_scaling(9.0, 0.8, 1.3)
    assert isinstance(axial_scaling(9.0, 0.8, 1.3), float)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((-1.0, 0.8, 1.3), "below the surface"),
        ((np.nan, 0.8, 1.3), "depth"),
        ((1e4, 0.8, 1.3), "out of range"),
        (("deep", 0.8, 1.3), "depth"),
        ((5.0, 1.2, 1.3), "aperture"),
        ((5.0, 0.0, 1.3), "aperture"),
        ((5.0, 0.8, 0.9), "refractive index"),
        ((5.0, 0.8, 1.3, 60.0), "tilt"),
        ((5.0, 0.8, 1.3, 0.0, 0.0), "wavelength"),
    ],
)
def test_what_makes_no_sense_is_refused(arguments, says):
    with pytest.raises(ClxemError, match=says):
        axial_scaling(*arguments)


def test_below_the_surface_points_are_truly_deeper():
    """z runs towards the beam: a bead imaged 2 µm below a surface at 10 µm is 2 ζ below it."""
    seen = np.array([[8.0, 1.0, 2.0], [10.0, 3.0, 4.0], [11.0, 5.0, 6.0]])
    true = actual_positions(seen, 10.0, 1.5)
    np.testing.assert_allclose(true[:, 0], [7.0, 10.0, 11.0])
    np.testing.assert_array_equal(true[:, 1:], seen[:, 1:])
    assert seen[0, 0] == 8.0


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**31), st.floats(1.0, 2.0))
def test_the_two_ways_undo_each_other(seed, zeta):
    rng = np.random.default_rng(seed)
    points = rng.uniform(-10, 10, (6, 3))
    surface = rng.uniform(-5, 5, 6)
    there = actual_positions(points, surface, zeta)
    np.testing.assert_allclose(stage_positions(there, surface, zeta), points, atol=1e-12)
    below = points[:, 0] < surface
    depth = surface - points[:, 0]
    np.testing.assert_allclose((surface - there[:, 0])[below], zeta * depth[below], atol=1e-12)


def test_heights_and_factors_are_checked():
    points = np.zeros((3, 3))
    with pytest.raises(PointsError, match="surface"):
        actual_positions(points, np.zeros(2), 1.4)
    with pytest.raises(PointsError, match="zeta"):
        actual_positions(points, 0.0, np.nan)
    with pytest.raises(PointsError, match="above 0"):
        stage_positions(points, 0.0, 0.0)
    with pytest.raises(PointsError, match="3 are needed"):
        actual_positions(points[:, 1:], 0.0, 1.4)
