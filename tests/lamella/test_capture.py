from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.stats import norm

from napari_clxem.errors import LamellaError, PointsError
from napari_clxem.lamella import (
    Lamella,
    capture_in_view,
    capture_probability,
    fib_projection,
    lift,
)


def share_of_sphere(offset, radius, half):
    """Share of a sphere's volume between two planes, by its caps."""

    def cap(height):
        height = np.clip(height, 0, 2 * radius)
        return np.pi * height**2 * (3 * radius - height) / 3

    ball = 4 / 3 * np.pi * radius**3
    return (cap(half - offset + radius) - cap(-half - offset + radius)) / ball


def by_quadrature(offset, sigma, radius, half):
    """Centre, whole and volume fraction by integrating over the normal distribution."""

    def expected(function, kinks):
        edges = np.unique(np.clip([*kinks, offset], offset - 9 * sigma, offset + 9 * sigma))
        edges = [offset - 9 * sigma, *edges, offset + 9 * sigma]
        return sum(
            quad(lambda d: function(d) * norm.pdf(d, offset, sigma), a, b, epsabs=1e-10)[0]
            for a, b in pairwise(edges)
            if b > a
        )

    kinks = [s * half + t * radius for s in (-1, 1) for t in (-1, 0, 1)]
    return (
        expected(lambda d: float(abs(d) <= half), kinks),
        expected(lambda d: float(abs(d) <= half - radius), kinks),
        expected(lambda d: share_of_sphere(d, radius, half), kinks),
    )


def random_case(rng):
    lamella = Lamella(
        rng.normal(size=3),
        angle=rng.uniform(0, 40),
        azimuth=rng.uniform(-180, 180),
        thickness=rng.uniform(0.1, 0.6),
        damage=rng.choice([0.0, 0.03, 0.06]),
    )
    spread = rng.normal(size=(3, 3)) * rng.uniform(0.02, 0.4)
    target = lamella.centre + rng.normal(size=3) * rng.uniform(0, 0.5)
    return lamella, target, rng.uniform(0.02, 0.8), spread @ spread.T


def test_against_quadrature_over_200_random_cases():
    rng = np.random.default_rng(11)
    worst = 0.0
    for _ in range(200):
        lamella, target, radius, spread = random_case(rng)
        found = capture_probability(lamella, target, radius=radius, covariance=spread)
        normal = lamella.normal
        offset = float(normal @ (target - lamella.centre))
        sigma = float(np.sqrt(normal @ spread @ normal))
        true = by_quadrature(offset, sigma, radius, lamella.core / 2)
        miss = np.subtract((found.centre, found.whole, found.volume_fraction), true)
        worst = max(worst, np.abs(miss).max())
    assert worst < 1e-6


@given(
    st.floats(0.0, 1.0),
    st.floats(1e-6, 1e4),
    st.floats(0.01, 3.0),
    st.floats(0.02, 2.0),
)
def test_shares_are_shares_at_any_scale(offset, sigma, radius, thickness):
    lamella = Lamella((0, 0, 0), 0.0, thickness=thickness)
    found = capture_probability(lamella, (offset, 0, 0), radius, sigma**2 * np.eye(3))
    assert 0 <= found.whole <= found.centre <= 1
    assert 0 <= found.volume_fraction <= 1
    if radius < thickness / 2:
        assert found.whole <= found.volume_fraction + 1e-9


@given(st.floats(0.1, 0.99), st.floats(-0.5, 0.5))
def test_the_two_ways_to_integrate_meet(radius, offset):
    lamella = Lamella((0, 0, 0), 0.0, thickness=0.4)
    near, far = (
        capture_probability(lamella, (offset, 0, 0), radius, (radius * s) ** 2 * np.eye(3))
        for s in (1 - 1e-9, 1 + 1e-9)
    )
    assert near.volume_fraction == pytest.approx(far.volume_fraction, abs=1e-8)


def test_exact_position():
    lamella = Lamella((0, 0, 0), 10.0, thickness=0.3)
    found = capture_probability(lamella, (0, 0, 0), radius=0.1)
    assert (found.centre, found.whole, found.volume_fraction) == (1, 1, 1)
    off = capture_probability(lamella, 0.15 * lamella.normal, radius=0.1)
    assert off.volume_fraction == pytest.approx(0.5)
    assert off.whole == 0
    big = capture_probability(lamella, (0, 0, 0), radius=0.3)
    assert big.whole == 0
    assert big.volume_fraction == pytest.approx(share_of_sphere(0, 0.3, 0.15))


def test_a_point_is_held_as_its_centre():
    found = capture_probability(Lamella((0, 0, 0), 10.0), (0.1, 0, 0), 0.0, 0.01 * np.eye(3))
    assert found.volume_fraction == found.centre == found.whole


def test_only_the_error_along_the_normal_counts():
    lamella = Lamella((0, 0, 0), 10.0)
    normal, along, across = lamella.axes
    spread = 0.01 * np.outer(normal, normal) + 4 * np.outer(along, along)
    found = capture_probability(lamella, (0, 0, 0), 0.1, spread)
    assert found.sigma == pytest.approx(0.1)
    assert found.centre == pytest.approx(2 * norm.cdf(1.5) - 1)
    assert found.length == pytest.approx(2 * norm.cdf(2.5) - 1)
    assert found.width == 1
    aside = capture_probability(lamella, 7 * across, 0.1)
    assert aside.centre == 1
    assert aside.width == 0


def test_damage_layers_hold_nothing():
    whole = Lamella((0, 0, 0), 10.0, thickness=0.18)
    core = Lamella((0, 0, 0), 10.0, thickness=0.3, damage=0.06)
    one, other = (capture_probability(x, (0, 0, 0), 0.2, 0.04 * np.eye(3)) for x in (whole, core))
    assert one.volume_fraction == pytest.approx(other.volume_fraction)
    nothing = Lamella((0, 0, 0), 10.0, thickness=0.1, damage=0.06)
    assert capture_probability(nothing, (0, 0, 0), 0.2, 0.04 * np.eye(3)).volume_fraction == 0


def test_singular_covariance_is_fine():
    spread = np.diag([0.0, 1.0, 1.0])
    found = capture_probability(Lamella((0, 0, 0), 0.0), (0, 0, 0), 0.1, spread)
    assert found.centre == 1


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"radius": -1.0}, "radius"),
        ({"radius": float("nan")}, "radius"),
        ({"covariance": np.eye(2)}, "3 x 3"),
        ({"covariance": np.full((3, 3), np.nan)}, "not known"),
        ({"covariance": np.diag([1.0, -1.0, 1.0])}, "negative variance"),
        ({"covariance": [[1, 2, 0], [0, 1, 0], [0, 0, 1]]}, "not symmetric"),
        ({"covariance": "a"}, "not numbers"),
        ({"target": [[0, 0, 0], [1, 1, 1]]}, "one at a time"),
    ],
)
def test_bad_input_is_named(changes, said):
    with pytest.raises(LamellaError, match=said):
        capture_probability(Lamella((0, 0, 0), 10.0), **{"target": (0, 0, 0), **changes})


def test_target_in_a_plane_is_refused():
    with pytest.raises(PointsError, match="target"):
        capture_probability(Lamella((0, 0, 0), 10.0), (0, 0))


def test_the_view_gives_what_space_gives():
    rng = np.random.default_rng(12)
    for _ in range(20):
        lamella, target, radius, _ = random_case(rng)
        spread = rng.normal(size=(2, 2)) * 0.1
        spread = spread @ spread.T
        view = fib_projection(lamella.angle, lamella.azimuth)
        centre, seen = view.transform([lamella.centre, target])
        flat = capture_in_view(
            centre,
            seen,
            radius,
            spread,
            thickness=lamella.thickness,
            width=lamella.width,
            damage=lamella.damage,
        )
        full = capture_probability(lamella, target, radius, lift(spread, view.matrix))
        for name in ("centre", "whole", "volume_fraction", "width", "offset", "sigma"):
            assert getattr(flat, name) == pytest.approx(getattr(full, name), abs=1e-9)
        assert flat.length == 1


def test_the_view_needs_one_target():
    with pytest.raises(LamellaError, match="one target"):
        capture_in_view((0, 0), [(0, 0), (1, 1)])
    with pytest.raises(LamellaError, match="2 x 2"):
        capture_in_view((0, 0), (0, 0), covariance=np.eye(3))
