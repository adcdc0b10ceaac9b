from __future__ import annotations

import dask.array as da
import numpy as np
import pytest
from napari.layers import Layer

from napari_clxem.io.image import Channel, OpenedImage
from napari_clxem.plugin.layers import layer_data, placed, planes
from napari_clxem.plugin.pyramid import VOXELS


def opened(shape, axes, scale=(0.5, 0.1, 0.1), levels=(1,), channels=()):
    data = da.zeros(shape, chunks=-1, dtype=np.uint16)
    stored = tuple(data[(..., slice(None, None, n), slice(None, None, n))] for n in levels)
    spatial = sum(axis in "zyx" for axis in axes)
    return OpenedImage(
        levels=stored, axes=axes, scale=scale[-spatial:], channels=channels, name="cell"
    )


def tilted(angle):
    a = np.deg2rad(angle)
    matrix = np.eye(4)
    matrix[:2, :2] = [[np.cos(a), -np.sin(a)], [np.sin(a), np.cos(a)]]
    return matrix


def test_time_and_channels_are_no_axes_of_a_layer():
    channels = (Channel("a"), Channel("b"))
    image = opened((4, 2, 5, 20, 30), ("t", "c", "z", "y", "x"), channels=channels)
    made = planes(image, name="stack", modality="confocal")
    assert [one.name for one in made] == ["stack · a", "stack · b"]
    assert all(one.levels[0].shape == (5, 20, 30) for one in made)
    assert all(one.meta["frames"] == 4 for one in made)


def test_an_image_without_channel_names_is_called_as_the_dataset():
    (plane,) = planes(opened((20, 30), ("y", "x")), name="map", modality="sem")
    assert plane.name == "map"
    assert plane.look["colormap"] == "gray"


def test_levels_of_a_file_make_a_multiscale_layer():
    image = opened((5, 400, 400), ("z", "y", "x"), levels=(1, 2, 4))
    layer = Layer.create(*layer_data(planes(image)[0]))
    assert layer.multiscale
    assert [level.shape for level in layer.data] == [(5, 400, 400), (5, 200, 200), (5, 100, 100)]


def test_a_straight_image_keeps_its_calibration_in_its_scale():
    matrix = np.eye(4)
    matrix[:3, 3] = (1.0, 2.0, 3.0)
    shown = placed(planes(opened((5, 20, 30), ("z", "y", "x")))[0], matrix)
    layer = Layer.create(*shown.data(2))
    np.testing.assert_allclose(layer.scale, (0.5, 0.1, 0.1))
    np.testing.assert_allclose(np.asarray(layer.affine), matrix)
    assert shown.flat is shown.solid


def test_a_tilted_volume_is_resampled_in_2d_and_itself_in_3d():
    plane = planes(opened((40, 60, 60), ("z", "y", "x")))[0]
    matrix = tilted(10.0)
    shown = placed(plane, matrix)
    flat, solid = np.asarray(shown.flat.affine), np.asarray(shown.solid.affine)
    assert np.abs(flat[0, 1:3]).max() == np.abs(flat[1:3, 0]).max() == 0
    np.testing.assert_allclose(solid, matrix)
    assert shown.solid.data[0] is plane.levels[0]
    single = shown.of_kind(False)
    assert single.flat.data is shown.flat.data[0]
    assert single.of_kind(True).flat.data == [shown.flat.data[0]]


def test_a_volume_too_large_for_3d_is_thinned_where_its_pixels_are():
    plane = planes(opened((600, 700, 700), ("z", "y", "x")))[0]
    shown = placed(plane, tilted(3.0))
    body = shown.solid.data[0]
    assert np.prod(body.shape) <= VOXELS
    np.testing.assert_allclose(shown.solid.scale, np.array([0.5, 0.1, 0.1]) * 2)


def test_without_a_pixel_size_nothing_is_placed():
    image = OpenedImage(levels=(np.zeros((4, 5)),), axes=("y", "x"), scale=None, name="x")
    (plane,) = planes(image)
    assert plane.name == "x (no pixel size)"
    with pytest.raises(ValueError, match="pixel size"):
        placed(plane, np.eye(3))
