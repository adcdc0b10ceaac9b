from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from napari.layers import Layer

from napari_clxem.plugin.marks import (
    MOST_ELLIPSES,
    SEGMENTS,
    Mark,
    ellipse,
    error_ellipses,
    landmark_points,
    target_points,
)

COVARIANCE = np.diag([0.04, 0.0004, 0.0009])


def marks(count, covariance=COVARIANCE):
    return [
        Mark(
            id=f"t{n}",
            position=np.array([1.0, n, 2.0 * n]),
            label=f"T{n}",
            covariance=covariance,
            threshold=5.99,
        )
        for n in range(count)
    ]


@given(st.floats(0.01, 3.0), st.floats(0.01, 3.0), st.floats(-0.95, 0.95), st.floats(0.5, 12.0))
def test_every_point_of_an_ellipse_lies_on_the_edge_of_its_region(sy, sx, rho, threshold):
    covariance = np.array([[sy**2, rho * sy * sx], [rho * sy * sx, sx**2]])
    outline = ellipse(covariance, threshold)
    squared = np.einsum("ni,ij,nj->n", outline, np.linalg.inv(covariance), outline)
    np.testing.assert_allclose(squared, threshold, rtol=1e-6)


def test_ellipses_close_around_their_targets_in_their_planes():
    data, arguments, _ = error_ellipses(marks(3), 3)
    outline = data.reshape(3, SEGMENTS, 2, 3)
    centres = outline[:, :, 0].mean(axis=1)
    np.testing.assert_allclose(centres, [m.position for m in marks(3)], atol=1e-12)
    ends = outline[:, :, 0] + outline[:, :, 1]
    np.testing.assert_allclose(ends, np.roll(outline[:, :, 0], -1, axis=1), atol=1e-12)
    assert arguments["units"] == ("um",) * 3


def test_a_hundred_ellipses_are_the_most_and_unknown_errors_have_none():
    assert len(error_ellipses(marks(150), 3)[0]) == MOST_ELLIPSES * SEGMENTS
    assert len(error_ellipses(marks(2, np.full((3, 3), np.nan)), 3)[0]) == 0


@pytest.mark.parametrize("describe", [target_points, landmark_points, error_ellipses])
@pytest.mark.parametrize("count", [0, 1, 4])
def test_marks_make_layers_in_micrometres_with_names_of_axes(describe, count):
    layer = Layer.create(*describe(marks(count), 3))
    assert {str(unit) for unit in layer.units} == {"micrometer"}
    assert layer.axis_labels == ("z", "y", "x")


def test_a_target_is_as_large_as_its_radius_and_named():
    layer = Layer.create(
        *target_points([Mark(id="a", position=np.zeros(3), label="A", radius=0.7)], 3)
    )
    np.testing.assert_allclose(layer.size, [1.4])
    assert list(layer.text.values) == ["A"]
