from __future__ import annotations

import numpy as np
import pytest

from napari_clxem.plugin.controllers.depth import along_z, crest, on_ray

SCALE = (0.3, 0.1, 0.2)
BALL = np.array([4.05, 3.0, 5.0])


@pytest.fixture(scope="module")
def volume():
    """A ball of 1 µm in noise, (40, 60, 60)."""
    grids = np.meshgrid(*(np.arange(n) * s for n, s in zip((40, 60, 60), SCALE, strict=True)),
                        indexing="ij")  # fmt: skip
    apart = np.linalg.norm(np.stack(grids, axis=-1) - BALL, axis=-1)
    noise = np.random.default_rng(3).normal(0, 0.05, apart.shape)
    return 100 + 10 * (apart < 0.5) + noise


def test_a_click_on_a_ball_finds_its_middle_not_one_of_its_highest_values(volume):
    assert along_z(volume, SCALE, BALL[1:]) == pytest.approx(BALL[0], abs=0.05)


def test_a_dark_ball_is_found_as_such(volume):
    assert along_z(200 - volume, SCALE, BALL[1:], dark=True) == pytest.approx(BALL[0], abs=0.05)


def test_a_click_beside_the_image_finds_nothing(volume):
    assert along_z(volume, SCALE, (-1.0, 3.0)) is None
    assert along_z(volume, SCALE, (3.0, 12.1)) is None


@pytest.mark.parametrize("direction", [(1, 0, 0), (1, 0.4, 0), (1, -0.3, 0.5), (0, 0, 1)])
@pytest.mark.parametrize("away", [-2.0, 0.0, 7.0])
def test_a_ray_through_a_ball_finds_its_middle(volume, direction, away):
    start = BALL + away * np.array(direction)
    found = on_ray(volume, SCALE, start, direction)
    np.testing.assert_allclose(found, BALL, atol=0.15)


def test_a_ray_past_the_volume_finds_nothing(volume):
    assert on_ray(volume, SCALE, (0.0, -5.0, 5.0), (1.0, 0.0, 0.0)) is None


def test_only_the_columns_under_the_click_are_read(volume):
    class Watched:
        shape = volume.shape

        def __init__(self):
            self.read = 0

        def __getitem__(self, key):
            self.read += volume[key].size
            return volume[key]

    watched = Watched()
    along_z(watched, SCALE, BALL[1:])
    assert watched.read <= 9 * volume.shape[0]


def test_the_crest_of_a_profile_is_the_middle_of_its_rise():
    flat = np.array([0.0, 0, 0, 5, 5.1, 5, 5, 0, 0, 0])
    assert crest(flat) == pytest.approx(4.5, abs=0.05)
    assert crest(np.array([np.nan, 1.0, 9.0, 1.0, np.nan])) == 2.0
    assert crest(np.zeros(4)) == 0.0
