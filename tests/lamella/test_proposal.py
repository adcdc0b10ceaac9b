from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_clxem.errors import LamellaError
from napari_clxem.lamella import Instrument, Lamella, capture_probability, instrument, propose


def test_one_target_gets_the_middle_at_the_usual_angle():
    found = propose((1.0, 2.0, 3.0), radii=0.1)
    assert found.lamella.centre == pytest.approx((1, 2, 3), abs=1e-6)
    assert found.lamella.angle == 10.0
    assert found.expected == pytest.approx(1)
    assert found.losses.limit == "nothing"


def test_instrument_bounds_the_angle_and_tells_the_damage():
    steep = Instrument("steep", pretilt=10.0, tilt_range=(0.0, 5.0), angle_range=(0.0, 90.0))
    found = propose((0, 0, 0), radii=0.05, instrument=steep)
    assert steep.reachable == (28.0, 33.0)
    assert 28.0 <= found.lamella.angle <= 33.0
    assert found.lamella.damage == steep.damage


def test_two_targets_choose_the_angle():
    # in line along the beam at 14 degrees
    away = 4.0 * np.array([-np.sin(np.deg2rad(14)), np.cos(np.deg2rad(14)), 0.0])
    found = propose([[0, 0, 0], away], radii=0.1, covariances=0.02**2 * np.eye(3))
    assert found.lamella.angle == pytest.approx(14.0, abs=1.0)
    assert found.expected > 0.99
    assert all(one.centre > 0.99 for one in found.captures)


def test_the_heavier_target_wins_where_only_one_can():
    found = propose([[0, 0, 0], [2, 0, 0]], radii=0.1, weights=[1.0, 3.0])
    assert found.captures[1].volume_fraction == pytest.approx(1)
    assert found.captures[0].volume_fraction == 0
    assert found.losses.limit == "geometry"
    assert "geometry" in found.sentence


def test_width_keeps_the_most_targets():
    found = propose([[0, 0, 0], [0, 0, 1], [0, 0, 30]], radii=0.1, width=10)
    assert [one.width for one in found.captures] == [1, 1, 0]


def test_registration_limits_a_small_target():
    found = propose((0, 0, 0), radii=0.1, covariances=0.3**2 * np.eye(3))
    assert found.losses.limit == "registration"
    assert "100%" in found.sentence


def test_thickness_limits_a_large_target():
    found = propose((0, 0, 0), radii=0.5, covariances=0.02**2 * np.eye(3))
    assert found.losses.limit == "thickness"


@given(st.integers(1, 5), st.integers(0, 1000))
@settings(max_examples=25, deadline=None)
def test_no_other_lamella_is_better(count, seed):
    rng = np.random.default_rng(seed)
    points = rng.normal(size=(count, 3)) * [0.4, 2, 2]
    sds = rng.uniform(0.03, 0.3, count)
    spreads = np.array([sd**2 * np.eye(3) for sd in sds])
    radii = rng.uniform(0.05, 0.4, count)
    found = propose(points, radii, spreads)
    losses = found.losses
    assert losses.registration >= 0
    assert losses.geometry >= 0
    total = losses.registration + losses.thickness + losses.geometry
    assert found.expected + total == pytest.approx(1, abs=1e-6)
    mean = np.mean([one.volume_fraction for one in found.captures])
    assert mean == pytest.approx(found.expected)
    for _ in range(60):
        angle = rng.uniform(6, 20)
        other = Lamella(points[rng.integers(count)] + rng.normal(size=3) * 0.1, angle)
        shares = [
            capture_probability(other, p, r, c).volume_fraction
            for p, r, c in zip(points, radii, spreads, strict=True)
        ]
        assert np.mean(shares) <= found.expected + 2e-3


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"targets": np.empty((0, 3))}, "no target"),
        ({"radii": [-1.0]}, "radii"),
        ({"weights": [0.0]}, "weight 0"),
        ({"angles": (20.0, 10.0)}, "No milling angle"),
        ({"covariances": np.full((3, 3), np.nan)}, "target 1"),
        ({"covariances": np.eye(2)}, "covariances"),
        ({"thickness": 0.0}, "thickness"),
    ],
)
def test_bad_input_is_named(arguments, said):
    with pytest.raises(LamellaError, match=said):
        propose(**{"targets": [[0, 0, 0]], **arguments})


def test_unreachable_instrument_is_said():
    blocked = Instrument("blocked", tilt_range=(0.0, 5.0))
    with pytest.raises(LamellaError, match="can be reached"):
        propose((0, 0, 0), instrument=blocked)
    assert propose((0, 0, 0), radii=0.1, instrument=instrument("generic")).expected > 0.7
