from __future__ import annotations

import dask.array as da
import numpy as np
import pytest

from napari_clxem.io import channel_limits, contrast_limits, open_image


class Lazy:
    """An array of any size that notes how many pixels are taken from it."""

    def __init__(self, shape, counter):
        self.shape, self.ndim, self.counter = shape, len(shape), counter

    def __getitem__(self, key):
        shape = np.broadcast_to(np.uint8(0), self.shape)[key].shape
        return Lazy(shape, self.counter)

    def __array__(self, dtype=None, copy=None):
        self.counter.append(int(np.prod(self.shape)))
        return np.arange(np.prod(self.shape), dtype=float).reshape(self.shape)


def test_limits_are_percentiles():
    data = np.random.default_rng(1).normal(100, 10, (300, 300))
    expected = np.percentile(data, (1, 99.8))
    assert contrast_limits(data) == pytest.approx(expected)
    assert contrast_limits(data, (0, 100)) == pytest.approx((data.min(), data.max()))


def test_coarsest_level_is_looked_at():
    levels = [np.zeros((64, 64)), np.linspace(1, 2, 256).reshape(16, 16)]
    low, high = contrast_limits(levels)
    assert 1 < low < high < 2
    assert channel_limits(levels, ("y", "x")) == ((low, high),)


def test_channels_have_their_own():
    data = np.stack([np.full((3, 9, 9), 5.0), np.arange(243.0).reshape(3, 9, 9)])
    first, second = channel_limits([data], ("c", "z", "y", "x"))
    assert first == (5.0, 6.0)
    assert second == contrast_limits(data[1])
    assert channel_limits(data.swapaxes(0, 1), ("z", "c", "y", "x")) == (first, second)


@pytest.mark.parametrize("shape", [(4, 5000, 60, 70), (40000, 50000), (2, 3, 900, 12000, 9000)])
def test_sample_is_bounded(shape):
    counter: list[int] = []
    low, high = contrast_limits(Lazy(shape, counter))
    assert low < high
    assert sum(counter) <= 1 << 20


def test_large_image_is_sampled_fairly():
    y, x = np.mgrid[:3000, :4000]
    data = (x + y).astype(np.float32)
    low, high = contrast_limits(data)
    true = np.percentile(data, (1, 99.8))
    np.testing.assert_allclose([low, high], true, atol=0.05 * data.max())


def test_chunks_are_read_once():
    reads: list[int] = []

    def block(x):
        reads.append(x.size)
        return x

    source = da.zeros((1, 3000, 3000), chunks=(1, 3000, 3000), dtype="u1")
    contrast_limits(da.map_blocks(block, source, dtype="u1", meta=np.empty((0, 0, 0), "u1")))
    assert reads == [9_000_000]


@pytest.mark.parametrize("value", [0, 7, -3, 0.0, 0.25, -1e-9, 1e20, 255, np.float32(1e-30), True])
def test_constant_images_give_a_range(value):
    low, high = contrast_limits(np.full((8, 8), value))
    assert low <= float(value) < high


@pytest.mark.filterwarnings("error")
def test_pixels_that_are_not_finite_do_not_count():
    data = np.arange(100, dtype=np.float32).reshape(10, 10)
    holes = data.copy()
    holes[::2] = np.nan
    holes[1, :3] = (np.inf, -np.inf, np.nan)
    low, high = contrast_limits(holes)
    assert 10 < low < high < 100
    assert contrast_limits(np.full((4, 4), np.nan)) == (0.0, 1.0)


def test_few_bright_pixels_on_nothing():
    data = np.zeros((100, 100), np.uint16)
    data[0, :3] = 500
    assert contrast_limits(data) == (0.0, 500.0)


def test_nan_volume_from_a_file(write_mrc):
    data = np.full((2, 3, 4), np.nan, np.float32)
    assert contrast_limits(open_image(write_mrc("a.mrc", data, mode=2)).levels) == (0.0, 1.0)
