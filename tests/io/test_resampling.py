"""Images on the pixels of another frame: values from the formula that made the image."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from napari_clxem.errors import ImageError, MissingScaleError
from napari_clxem.frames import Affine, fit
from napari_clxem.io import Raster, raster_about, resample_image
from napari_clxem.io.image import Channel, OpenedImage

SCALE = (0.3, 0.1, 0.12)
SHAPE = (12, 30, 40)


def ramp(shape=SHAPE, slopes=(10.0, 1.0, 2.0), dtype=np.float32):
    grid = np.meshgrid(*map(np.arange, shape), indexing="ij")
    return sum(k * g for k, g in zip(slopes[-len(shape) :], grid, strict=True)).astype(dtype)


def image(data, axes="zyx", scale=SCALE, levels=()):
    space = sum(axis in "zyx" for axis in axes)
    return OpenedImage((data, *levels), tuple(axes), scale[-space:], (Channel("a"),), name="cell")


def turned(angles=(20.0, 5.0, 8.0), shift=(3.0, -4.0, 500.0)):
    matrix = Rotation.from_euler("zyx", angles, degrees=True).as_matrix()
    return Affine.from_parts(1.1 * matrix, shift)


def behind(found, way, scale=SCALE):
    """Pixel of the source (n, d) behind each pixel of the result, in its order."""
    placed = found.meta["placed"]
    shape = found.data.shape[-len(placed["origin"]) :]
    index = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), -1).reshape(-1, len(shape))
    points = index * np.array(found.scale) + np.array(placed["origin"])
    return way.inverse(points) / np.array(scale[-len(shape) :])


@settings(deadline=None, max_examples=15)
@given(
    st.tuples(*[st.floats(-180, 180)] * 3),
    st.tuples(*[st.floats(-1e3, 1e3)] * 3),
    st.sampled_from(["linear", "cubic"]),
)
def test_a_ramp_stays_a_ramp(angles, shift, interpolation):
    way = turned(angles, shift)
    found = resample_image(image(ramp()), way, interpolation=interpolation)
    values = np.asarray(found.data).ravel()
    places = behind(found, way)
    # a spline feels the edges: less than 0.27 of it per pixel
    margin, error = (0, 2e-3) if interpolation == "linear" else (4, 0.05)
    size = np.array(SHAPE)
    inside = ((places >= margin) & (places <= size - 1 - margin)).all(axis=1)
    outside = ((places < -0.51) | (places > size - 0.49)).any(axis=1)
    assert inside.any()
    np.testing.assert_allclose(values[inside], places[inside] @ (10, 1, 2), atol=error)
    assert np.isnan(values[outside]).all()
    assert np.isfinite(values[((places > -0.49) & (places < size - 0.51)).all(axis=1)]).all()


def test_the_raster_holds_the_image_in_its_own_fineness():
    way = turned()
    raster = raster_about(image(ramp()), way)
    corners = np.array(np.meshgrid(*[(0, n - 1) for n in SHAPE], indexing="ij")).reshape(3, -1).T
    places = way.transform(corners * SCALE)
    low = np.array(raster.origin)
    high = low + (np.array(raster.shape) - 1) * raster.scale
    assert (places >= low - 1e-9).all()
    assert (places <= high + np.array(raster.scale)).all()
    own = raster_about(image(ramp()))
    assert own.shape == SHAPE
    np.testing.assert_allclose(own.scale, SCALE)
    np.testing.assert_allclose(own.origin, 0, atol=1e-12)


def test_a_box_and_a_pixel_size_are_kept():
    raster = raster_about(image(ramp()), turned(), 0.05, ((3, -4, 500), (3.5, -3, 502)))
    assert raster == Raster((3, -4, 500), (0.05,) * 3, (11, 21, 41))


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.uint16, np.int32, np.float64])
def test_kinds_of_pixels_stay_and_are_rounded(dtype):
    data = ramp(dtype=dtype)
    way = Affine.from_parts(np.eye(3), (0.0, 0.05, 0.0))  # half a row
    found = resample_image(image(data), way, Raster((0, 0.1, 0), SCALE, (12, 29, 40)))
    assert found.data.dtype == dtype
    exact = data[:, :-1].astype(float) + 0.5
    assert np.abs(np.asarray(found.data) - exact).max() <= 0.5


def test_labels_keep_their_numbers():
    data = np.random.default_rng(1).integers(0, 5, SHAPE).astype(np.uint8) * 50
    found = resample_image(image(data), turned(), interpolation="nearest")
    assert set(np.unique(np.asarray(found.data))) <= {0, 50, 100, 150, 200}


def test_what_is_coarser_is_averaged():
    data = np.random.default_rng(2).normal(size=(8, 32, 40)).astype(np.float32)
    raster = Raster((0.15, 0.15, 0.18), (0.6, 0.4, 0.48), (4, 8, 10))
    found = resample_image(image(data), Affine.identity(3), raster)
    blocks = data.reshape(4, 2, 8, 4, 10, 4).mean(axis=(1, 3, 5))
    np.testing.assert_allclose(np.asarray(found.data), blocks, atol=1e-5)


def test_a_level_of_the_file_stands_for_averages():
    data = np.random.default_rng(3).normal(size=(8, 32, 40)).astype(np.float32)
    coarse = data.reshape(8, 8, 4, 10, 4).mean(axis=(2, 4))
    raster = Raster((0.0, 0.15, 0.18), (0.3, 0.4, 0.48), (8, 8, 10))
    found = resample_image(image(data, levels=(coarse + 7,)), Affine.identity(3), raster)
    np.testing.assert_allclose(np.asarray(found.data), coarse + 7, atol=1e-5)


def test_channels_and_times_are_taken_one_by_one():
    data = np.stack([ramp(), 2 * ramp()])
    way = turned()
    both = np.asarray(resample_image(image(data, "czyx"), way).data)
    one = np.asarray(resample_image(image(ramp()), way).data)
    np.testing.assert_allclose(both[0], one)
    np.testing.assert_allclose(both[1], 2 * one, rtol=1e-5)


def test_a_plane_is_turned_in_its_plane():
    way = Affine.planar(30.0, 2.0, (100.0, -50.0))
    found = resample_image(image(ramp(SHAPE[1:]), "yx"), way)
    places = behind(found, way)
    inside = ((places >= 0) & (places <= np.array(SHAPE[1:]) - 1)).all(axis=1)
    values = np.asarray(found.data).ravel()
    np.testing.assert_allclose(values[inside], places[inside] @ (1, 2), atol=1e-3)


def test_a_spline_is_followed():
    rng = np.random.default_rng(4)
    moving = rng.uniform((-1, -1, -1), (5, 5, 7), (40, 3))
    bent = moving + 0.1 * np.sin(moving[:, [1, 2, 0]])
    way = fit(moving, bent + 20.0, model="tps")
    found = resample_image(image(ramp()), way)
    places = behind(found, way)
    inside = ((places >= 0) & (places <= np.array(SHAPE) - 1)).all(axis=1)
    values = np.asarray(found.data).ravel()
    assert inside.sum() > 1000
    # lines between knots may miss by 0.05 of a pixel along each axis
    assert np.abs(values[inside] - places[inside] @ (10, 1, 2)).max() < 0.05 * 13
    assert found.meta["placed"]["matrix"] is None


@pytest.mark.parametrize("part", [np.s_[3], np.s_[2:5, ::3, 4], np.s_[:, 5:6, ::-1]])
def test_parts_are_as_the_whole(part):
    found = resample_image(image(ramp(), scale=(0.12, 0.1, 0.12)), turned()).data
    np.testing.assert_allclose(np.asarray(found[part]), np.asarray(found)[part], atol=2e-3)


def test_large_sources_are_read_in_parts(monkeypatch):
    from napari_clxem.io import resampling

    whole = np.asarray(resample_image(image(ramp()), turned()).data)
    monkeypatch.setattr(resampling, "BLOCK", 500)
    monkeypatch.setattr(resampling, "TILE", 64)
    parts = np.asarray(resample_image(image(ramp()), turned()).data)
    np.testing.assert_allclose(parts, whole, atol=1e-3)


def test_what_cannot_be_is_said():
    with pytest.raises(MissingScaleError, match="pixel size"):
        resample_image(OpenedImage((ramp(),), ("z", "y", "x"), None), turned())
    with pytest.raises(ImageError, match="axes in space"):
        resample_image(image(ramp()), turned(), Raster((0, 0), (1, 1), (4, 4)))
    with pytest.raises(ImageError, match="interpolation"):
        resample_image(image(ramp()), turned(), interpolation="best")
    with pytest.raises(ImageError, match="filled"):
        resample_image(image(ramp(dtype=np.uint8)), turned(), fill=-1)
    with pytest.raises(ImageError, match="kind"):
        resample_image(image(ramp().astype(complex)), turned())
    with pytest.raises(ImageError, match="cannot be made"):
        raster_about(image(ramp()), turned(), 1e-12)
    with pytest.raises(ImageError, match="above 0"):
        raster_about(image(ramp()), turned(), -1)
    with pytest.raises(ImageError, match="box"):
        raster_about(image(ramp()), turned(), box=((0, 0), (1, 1)))
    with pytest.raises(ImageError, match="finite"):
        Raster((0, np.nan), (1, 1), (4, 4))
    with pytest.raises(ImageError, match="2 or 3"):
        Raster((0, 0, 0), (1, 1), (4, 4))
