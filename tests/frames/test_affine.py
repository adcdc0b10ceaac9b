"""Affine maps and the checks on points."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from napari_clxem.errors import DegenerateError, PointsError
from napari_clxem.frames import Affine, as_points

numbers = st.floats(-50, 50)


@given(arrays(float, (3, 3), elements=numbers), arrays(float, 3, elements=numbers))
def test_inverse_brings_points_back(linear, shift):
    affine = Affine.from_parts(linear + 200 * np.eye(3), shift)
    points = np.array([[1.0, -2.0, 3.0], [0.0, 10.0, -4.0]])
    np.testing.assert_allclose(affine.inverse(affine.transform(points)), points, atol=1e-9)


def test_composition_is_one_map_after_the_other():
    first = Affine.planar(30, 1.1, (5, -2))
    second = Affine.planar(-75, 0.9, (1, 1))
    points = np.random.default_rng(0).normal(size=(5, 2))
    np.testing.assert_allclose((second @ first)(points), second(first(points)), atol=1e-12)


def test_a_planar_map_after_a_projection():
    view = Affine(np.array([[0.5, 1.0, 0.0, 2.0], [0.0, 0.0, 1.0, 3.0]]))
    turn = Affine.planar(90)
    points = np.array([[1.0, 2.0, 3.0]])
    np.testing.assert_allclose((turn @ view)(points), turn(view(points)))


def test_planar_turns_from_y_towards_x():
    np.testing.assert_allclose(Affine.planar(90)([[1.0, 0.0]]), [[0.0, 1.0]], atol=1e-12)


def test_a_projection_has_no_inverse():
    with pytest.raises(DegenerateError, match="loses z"):
        Affine(np.eye(4)[1:3]).inverse([[0.0, 0.0]])


@pytest.mark.parametrize(
    ("points", "says"),
    [
        ([[1.0, np.nan]], "NaN"),
        ([[1.0, 2.0], [np.inf, 0.0]], "row 1"),
        (np.zeros((3, 4)), "shape"),
        ([["a", "b"]], "not numbers"),
        ([[1.0, 2.0], [3.0]], "not numbers"),
        (5.0, "shape"),
    ],
)
def test_bad_points_are_refused(points, says):
    with pytest.raises(PointsError, match=says):
        as_points(points)


def test_a_matrix_must_be_affine():
    with pytest.raises(PointsError, match="last row"):
        Affine(np.ones((4, 4)))
    with pytest.raises(PointsError, match="shape"):
        Affine(np.ones((5, 5)))
    with pytest.raises(PointsError, match="NaN"):
        Affine(np.full((3, 3), np.nan))
    with pytest.raises(DegenerateError, match="flattens"):
        Affine(np.diag([1.0, 0.0, 1.0])).inverted()
