"""Beads that stick out of ice in a view along the grid: found by their upper rims."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_clxem.errors import ClxemError, MissingScaleError, PointsError
from napari_clxem.fiducials import detect, find_caps

PIXEL = 0.04
SHAPE = (300, 400)


def view(spheres, rng, pixel=(PIXEL, PIXEL), shape=SHAPE, noise=6.0, blur=0.05, ground=None):
    """Spheres (row, column, radius, share that stands out of the ice) before a slanted ground."""
    from scipy.ndimage import gaussian_filter

    y, x = np.ogrid[: shape[0], : shape[1]]
    y, x = y * pixel[0], x * pixel[1]
    image = 90.0 + 1.5 * y + 0.8 * x if ground is None else ground(y, x)
    for row, column, radius, share in spheres:
        apart = np.hypot(y - row, x - column) / radius
        shown = (apart < 1.0) & (y < row - radius + 2.0 * radius * share)
        image = np.where(shown, 110.0 + 60.0 * apart**3, image)
    image = gaussian_filter(image, blur / np.array(pixel))
    return image + noise * rng.standard_normal(shape)


def scattered(rng, count, radius=0.5, least=0.3):
    """Places without overlap, half of the spheres whole."""
    places = []
    while len(places) < count:
        place = rng.uniform([1, 1], [11, 15])
        if all(np.linalg.norm(place - other) > 1.5 for other in places):
            places.append(place)
    share = np.where(rng.uniform(size=count) < 0.5, 1.0, rng.uniform(least, 1.0, count))
    return np.column_stack([places, np.full(count, radius), share])


def test_caps_are_found_where_the_whole_sphere_would_be():
    rng = np.random.default_rng(1)
    misses, sigma = [], []
    for _ in range(3):
        spheres = scattered(rng, 20)
        found = find_caps(view(spheres, rng), PIXEL)
        assert len(found) == 20
        apart = np.linalg.norm(found.positions[:, None] - spheres[None, :, :2], axis=2)
        misses.append(found.positions - spheres[apart.argmin(axis=1), :2])
        sigma.append(found.sigma)
        np.testing.assert_allclose(found.diameter, 1.0, atol=0.08)
    miss, sd = np.vstack(misses), np.vstack(sigma)
    assert (np.sqrt((miss**2).mean(axis=0)) < [0.03, 0.015]).all()
    assert ((miss / sd) ** 2).mean() < 1.5  # the sigma given is not too small


def test_what_a_matched_filter_misses_of_half_sunk_beads_is_found():
    rng = np.random.default_rng(2)
    spheres = scattered(rng, 15)
    spheres[:, 3] = 0.4
    image = view(spheres, rng)
    assert len(find_caps(image, PIXEL)) == 15
    assert len(detect(image, PIXEL)) < 8


def test_round_things_of_another_size_are_rejected_with_it():
    rng = np.random.default_rng(3)
    spheres = np.array([[4.0, 4.0, 0.5, 1.0], [8.0, 10.0, 0.6, 0.5]])
    found = find_caps(view(spheres, rng), PIXEL)
    np.testing.assert_allclose(found.positions, [[4.0, 4.0]], atol=0.05)
    assert [one for one in found.rejected if "diameter of 1.2" in one.reason]


@pytest.mark.parametrize(
    "ground",
    [
        lambda y, x: np.full((y + x).shape, 90.0),
        lambda y, x: 80.0 + 60.0 * (y + 0.3 * x > 7.0),
        lambda y, x: 80.0 + 60.0 * (np.hypot((y - 8.0) / 3.0, (x - 8.0) / 5.0) < 1.0),
        lambda y, x: 100.0 + 40.0 * np.sin(2.0 * np.pi * (x + 0.2 * y) / 2.0),
    ],
    ids=["noise", "bar", "cell", "curtains"],
)
def test_what_is_no_bead_is_not_found(ground):
    rng = np.random.default_rng(4)
    assert len(find_caps(view([], rng, ground=ground), PIXEL)) == 0


def test_dark_discs_are_no_caps():
    rng = np.random.default_rng(5)
    assert len(find_caps(-view(scattered(rng, 12), rng), PIXEL)) == 0


@settings(max_examples=8, deadline=None)
@given(
    st.floats(0.3, 3.0), st.floats(0.02, 0.07), st.floats(0.02, 0.07), st.integers(0, 2**31)
)  # fmt: skip
def test_any_diameter_in_pixels_of_any_shape(diameter, tall, wide, seed):
    pixel = np.array([tall, wide]) * diameter
    spheres = np.array([[2.5, 3.0, 0.5, 1.0], [5.0, 6.0, 0.5, 0.5]]) * [*[diameter] * 3, 1.0]
    shape = tuple((np.array([8.0, 9.0]) * diameter / pixel).astype(int))
    rng = np.random.default_rng(seed)
    image = view(spheres, rng, pixel, shape, blur=0.05 * diameter)
    found = find_caps(image, pixel, diameter)
    assert len(found) == 2
    order = found.positions[:, 0].argsort()
    np.testing.assert_allclose(
        found.positions[order], spheres[:, :2], atol=0.08 * diameter + 0.5 * pixel.max()
    )


def test_missing_pixels_and_none_at_all():
    rng = np.random.default_rng(6)
    image = view(np.array([[4.0, 4.0, 0.5, 1.0]]), rng)
    image[200:, 200:] = np.nan
    assert len(find_caps(image, PIXEL)) == 1
    assert len(find_caps(np.full((50, 60), np.nan), PIXEL)) == 0
    assert len(find_caps(np.zeros((0, 10)), PIXEL)) == 0
    assert len(find_caps(np.full((50, 60), 7.0), PIXEL)) == 0


def test_bad_input_is_said():
    with pytest.raises(ClxemError, match="2 axes"):
        find_caps(np.zeros((5, 5, 5)), 0.1)
    with pytest.raises(PointsError, match="shape"):
        find_caps(np.zeros(5), 0.1)
    with pytest.raises(MissingScaleError):
        find_caps(np.zeros((5, 5)), 0.0)
    with pytest.raises(ClxemError, match="diameter"):
        find_caps(np.zeros((5, 5)), 0.1, diameter=-1.0)
