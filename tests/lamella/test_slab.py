from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_clxem.errors import LamellaError, PointsError
from napari_clxem.lamella import Lamella

angles = st.floats(0.0, 60.0)
azimuths = st.floats(-180.0, 180.0)


def test_axes_of_the_design():
    # beam along (x, y, z) = (0, cos, -sin); normal in (z, y, x) = (cos, sin, 0)
    lamella = Lamella((0, 0, 0), angle=10.0)
    c, s = np.cos(np.deg2rad(10)), np.sin(np.deg2rad(10))
    assert lamella.axes == pytest.approx(np.array([[c, s, 0], [-s, c, 0], [0, 0, 1]]))


def test_azimuth_turns_from_y_towards_minus_x():
    along = Lamella((0, 0, 0), angle=0.0, azimuth=90.0).axes[1]
    assert along == pytest.approx([0, 0, -1])


@given(angles, azimuths)
def test_axes_are_orthonormal_and_proper(angle, azimuth):
    axes = Lamella((0, 0, 0), angle, azimuth).axes
    assert axes @ axes.T == pytest.approx(np.eye(3), abs=1e-12)
    assert np.linalg.det(axes) == pytest.approx(1)


@given(angles, azimuths)
def test_azimuth_is_a_turn_about_z(angle, azimuth):
    turned = Lamella((0, 0, 0), angle, azimuth).axes
    straight = Lamella((0, 0, 0), angle).axes
    assert turned[:, 0] == pytest.approx(straight[:, 0], abs=1e-12)


def test_sizes_of_rectangle():
    lamella = Lamella((1, 2, 3), 20.0, thickness=0.3, width=12.0, length=10.0, damage=0.06)
    assert lamella.area == pytest.approx(120)
    assert lamella.volume == pytest.approx(36)
    assert lamella.core == pytest.approx(0.18)
    assert lamella.corners.mean(axis=0) == pytest.approx([1, 2, 3])
    assert np.ptp(lamella.plan[:, 1]) == pytest.approx(12)
    assert np.ptp(lamella.plan[:, 0]) == pytest.approx(10 * np.cos(np.deg2rad(20)))


def test_damage_can_eat_the_core():
    assert Lamella((0, 0, 0), 10, thickness=0.1, damage=0.06).core == 0


@given(angles, azimuths)
def test_contains_its_corners_shrunk_but_not_grown(angle, azimuth):
    lamella = Lamella((1, -2, 3), angle, azimuth)
    spread = lamella.corners - lamella.centre
    assert lamella.contains(lamella.centre + 0.99 * spread).all()
    assert not lamella.contains(lamella.centre + 1.01 * spread).any()


def test_placement_goes_back_and_forth():
    lamella = Lamella((1, -2, 3), 15, 40)
    points = np.random.default_rng(1).normal(size=(5, 3))
    assert lamella.placement.transform(lamella.within(points)) == pytest.approx(points)


def test_outline_replaces_the_rectangle():
    triangle = ((0.0, 0.0), (4.0, 0.0), (0.0, 3.0))
    lamella = Lamella((0, 0, 0), 10, outline=triangle)
    assert lamella.area == pytest.approx(6)
    assert len(lamella.corners) == 6
    closed = Lamella((0, 0, 0), 10, outline=(*triangle, triangle[0]))
    assert closed == lamella


def test_is_hashable_and_equal_by_value():
    assert len({Lamella(np.zeros(3), 10), Lamella((0, 0, 0), 10.0)}) == 1


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"thickness": 0.0}, "thickness"),
        ({"width": -1.0}, "width"),
        ({"length": float("nan")}, "length"),
        ({"angle": float("inf")}, "angle"),
        ({"angle": 120.0}, "120 degrees"),
        ({"damage": -0.1}, "damage"),
        ({"outline": ((0, 0), (1, 0))}, "at least three"),
        ({"outline": ((0, 0), (1, 1), (2, 2))}, "no area"),
        ({"outline": ((0, 0), (2, 2), (2, 0), (0, 3))}, "crosses itself"),
    ],
)
def test_bad_numbers_are_named(changes, said):
    with pytest.raises(LamellaError, match=said):
        Lamella(**{"centre": (0, 0, 0), "angle": 10.0, **changes})


def test_bad_centre_is_named():
    with pytest.raises(PointsError, match="centre"):
        Lamella((0, float("nan"), 0), 10)
    with pytest.raises(PointsError, match="centre"):
        Lamella((0, 0), 10)
