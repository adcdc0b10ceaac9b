from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter, shift

from napari_clxem.errors import LamellaError, NoMatch, PointsError
from napari_clxem.frames import UncertainAffine
from napari_clxem.lamella import (
    drift_by_beads,
    drift_by_images,
    fib_projection,
    left_in_view,
    moved_view,
    register_view,
)


@pytest.fixture
def image():
    rng = np.random.default_rng(1)
    return gaussian_filter(rng.standard_normal((160, 200)), 2.0) * 10


PIXEL = (0.04, 0.05)


def test_drift_between_images(image):
    rng = np.random.default_rng(2)
    newer = shift(image, (5.3, -7.6), order=3, mode="reflect")
    newer = newer + 0.3 * rng.standard_normal(image.shape)
    found = drift_by_images(image + 0.3 * rng.standard_normal(image.shape), newer, PIXEL)
    moved = found.transform([[2.0, 3.0]])[0] - [2.0, 3.0]
    assert moved == pytest.approx([5.3 * 0.04, -7.6 * 0.05], abs=0.006)
    assert found.predict_error([[2.0, 3.0]])[0, 0, 0] < 0.01**2


def test_a_milled_trench_does_not_pull(image):
    newer = shift(image, (3.0, 4.0), order=1, mode="reflect")
    newer[40:70, 20:180] = newer.min()
    moved = drift_by_images(image, newer, PIXEL).transform([[0.0, 0.0]])[0]
    assert moved == pytest.approx([3 * 0.04, 4 * 0.05], abs=0.02)


def test_another_place_is_no_match(image):
    other = gaussian_filter(np.random.default_rng(9).standard_normal((160, 200)), 2.0)
    with pytest.raises(NoMatch, match="pick two or three beads"):
        drift_by_images(image, other, PIXEL)
    with pytest.raises(LamellaError, match="two images"):
        drift_by_images(image[0], image, PIXEL)


def test_drift_by_beads():
    old = np.array([[1.0, 2.0], [8.0, 9.0], [3.0, 7.0]])
    found = drift_by_beads(old, old + np.array([0.3, -0.2]), sigma=0.05)
    assert found.transform([[4.0, 4.0]])[0] == pytest.approx([4.3, 3.8])
    assert found.predict_error([[4.0, 4.0]])[0, 0, 0] == pytest.approx(2 * 0.05**2 / 3)
    with pytest.raises(PointsError):
        drift_by_beads(old[:1], old[:1], model="rigid")


def test_moved_view_carries_both_errors():
    beads = np.random.default_rng(5).uniform([0, -10, -10], [4, 10, 10], (9, 3))
    view = fib_projection(10.0, scale=1.01, rotation=3.0, shift=(8.0, 9.0))
    known = register_view(beads, view.transform(beads), fixed_sigma=0.05).map
    step = UncertainAffine.declared(
        [[1.01, 0, 0.3], [0, 0.99, -0.2], [0, 0, 1]], (5.0, 5.0), 0.04, angle_sd=0.5, scale_sd=0.01
    )
    both = moved_view(known, step)
    target = np.array([[2.0, 1.0, -3.0], [1.0, 6.0, 6.0]])
    assert both.transform(target) == pytest.approx(step.transform(known.transform(target)))
    expected = step.predict_error(known.transform(target)) + (
        step.affine[:2, :2] @ known.predict_error(target) @ step.affine[:2, :2].T
    )
    assert both.predict_error(target) == pytest.approx(expected, rel=1e-9)
    with pytest.raises(LamellaError, match="2 x 4"):
        moved_view(step, step)


def test_targets_that_left_the_image():
    assert left_in_view([[1, 1], [-0.1, 1], [1, 9]], (100, 100), (0.05, 0.05)).tolist() == [
        True,
        False,
        False,
    ]
