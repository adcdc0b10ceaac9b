from __future__ import annotations

import dask.array as da
import numpy as np
import pytest

from napari_clxem.plugin import pyramid


def test_a_small_image_stays_as_it_is():
    image = np.zeros((100, 200))
    assert pyramid.extend([image])[0] is image
    assert len(pyramid.extend([image])) == 1


def test_a_wide_image_gets_coarser_levels_without_being_read():
    image = da.from_array(np.zeros((9000, 40), dtype=np.uint8), chunks=1000)
    levels = pyramid.extend([image])
    assert [level.shape for level in levels] == [(9000, 40), (4500, 20), (2250, 10)]


def test_a_volume_too_large_for_a_3d_view_gets_a_level_that_fits():
    volume = da.zeros((500, 900, 900), dtype=np.uint8)
    levels = pyramid.extend([volume])
    assert len(levels) == 2
    assert np.prod(levels[-1].shape) <= pyramid.VOXELS


def test_the_finest_level_that_fits_is_shown_in_3d_where_its_pixels_are():
    full = da.zeros((500, 900, 900), dtype=np.uint8)
    half = da.zeros((500, 450, 450), dtype=np.uint8)
    quarter = da.zeros((125, 225, 225), dtype=np.uint8)
    level = pyramid.solid([full, quarter])
    assert level.data is quarter
    np.testing.assert_array_equal(level.step, [4, 4, 4])
    np.testing.assert_array_equal(level.offset, [1.5, 1.5, 1.5])
    thinned = pyramid.solid([full, half])
    assert pyramid.voxels(thinned.data) <= pyramid.VOXELS
    assert thinned.step == pytest.approx([2, 4, 4])
