"""Masked correlation: known shifts, missing pixels, blocks."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from napari_clxem.errors import PointsError
from napari_clxem.shifts import block_shifts, correlate, find_shift


def texture(shape, seed=0, blur=2.0):
    return ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=shape), blur)


def crop(image, y, x, size):
    rows, columns = np.mgrid[0:size, 0:size].astype(float)
    return ndimage.map_coordinates(image, [rows + y, columns + x], order=3)


@settings(max_examples=25, deadline=None)
@given(st.floats(10, 40), st.floats(10, 40), st.integers(0, 1000))
def test_a_cut_out_is_found_to_a_twentieth_of_a_pixel(y, x, seed):
    image = texture((120, 130), seed)
    found = find_shift(image, crop(image, y, x, 64))
    assert found is not None
    np.testing.assert_allclose(found.shift, (y, x), atol=0.05)
    assert found.score > 0.95 > found.rival


def test_correlation_does_not_depend_on_brightness_and_contrast():
    one, other = texture((40, 50), 1), texture((30, 20), 2)
    np.testing.assert_allclose(
        correlate(one, other), correlate(5 * one + 100, 0.1 * other - 3), atol=1e-6
    )


def test_correlation_is_the_textbook_value_at_every_shift():
    one, other = texture((12, 13), 3), texture((9, 8), 4)
    other[2:4, 3] = np.nan
    scores = correlate(one, other, overlap=0.3)
    for dy, dx in ((0, 0), (3, 4), (-4, 2), (5, -3)):
        rows = [
            (y, x)
            for y in range(9)
            for x in range(8)
            if 0 <= y + dy < 12 and 0 <= x + dx < 13 and np.isfinite(other[y, x])
        ]
        a = np.array([one[y + dy, x + dx] for y, x in rows])
        b = np.array([other[y, x] for y, x in rows])
        assert scores[dy + 8, dx + 7] == pytest.approx(np.corrcoef(a, b)[0, 1], abs=1e-6)


def test_missing_pixels_do_not_draw_the_peak():
    image = texture((100, 100), 5)
    part = crop(image, 20, 30, 50)
    image[60:, 60:] = np.nan
    part[:15, :20] = np.nan
    found = find_shift(image, part, overlap=0.3)
    assert found is not None
    np.testing.assert_allclose(found.shift, (20, 30), atol=0.1)


def test_the_search_stays_within_reach():
    image = texture((100, 100), 6)
    part = crop(image, 40, 40, 40)
    found = find_shift(image, part, expected=(10, 10), reach=5)
    assert found is not None
    assert max(abs(found.shift[0] - 10), abs(found.shift[1] - 10)) <= 5.5
    assert found.score < 0.6


def test_constant_and_empty_images():
    assert find_shift(np.ones((30, 30)), np.ones((20, 20))) is None
    with pytest.raises(PointsError, match="valid"):
        correlate(np.full((10, 10), np.nan), np.ones((5, 5)))
    with pytest.raises(PointsError, match="2D"):
        correlate(np.ones((3, 3, 3)), np.ones((5, 5)))


def test_blocks_show_a_scaling_as_a_field_of_shifts():
    image = texture((160, 160), 7)
    rows, columns = np.mgrid[0:160, 0:160].astype(float)
    stretched = ndimage.map_coordinates(
        image, [80 + (rows - 80) / 1.02, 80 + (columns - 80) / 1.02], order=3, mode="nearest"
    )
    found = block_shifts(stretched, image, blocks=4, reach=4)
    assert len(found.centres) == 16
    np.testing.assert_allclose(found.shifts, 0.02 * (found.centres - 80), atol=0.15)


def test_a_block_without_its_like_is_left_out():
    image = texture((120, 120), 8)
    other = image.copy()
    other[:40, :40] = np.nan
    found = block_shifts(other, image, blocks=3, reach=3)
    assert len(found.centres) == 8
