from __future__ import annotations

import numpy as np
import pytest
import tifffile

from napari_clxem.errors import ReadError
from napari_clxem.io import open_image, open_images


def write(path, data, **options):
    tifffile.imwrite(path, data, metadata=None, photometric="minisblack", **options)
    return path


def square(n: int = 6, kind: str = "u2") -> np.ndarray:
    return np.arange(n * n, dtype=kind).reshape(n, n)


@pytest.mark.parametrize(
    ("per_unit", "unit", "expected"),
    [((100000, 50000), "CENTIMETER", (0.2, 0.1)), ((254000, 254000), "INCH", (0.1, 0.1))],
)
def test_resolution_tags_are_a_pixel_size(tmp_path, per_unit, unit, expected):
    path = write(tmp_path / "a.tif", square(), resolution=per_unit, resolutionunit=unit)
    image = open_image(path)
    assert image.scale == pytest.approx(expected)
    assert image.missing == ()
    np.testing.assert_array_equal(image.data, square())


@pytest.mark.parametrize(
    ("per_unit", "unit"),
    [
        ((72, 72), "INCH"),
        ((96, 96), "INCH"),
        ((300, 300), "INCH"),
        ((28.3465, 28.3465), "CENTIMETER"),  # 72 dpi
        ((37.795, 37.795), "CENTIMETER"),  # 96 dpi
        ((1, 1), "INCH"),
        ((1, 1), "CENTIMETER"),
        ((10000, 10000), "NONE"),
    ],
)
def test_print_resolutions_are_no_pixel_size(tmp_path, per_unit, unit):
    path = write(tmp_path / "a.tif", square(), resolution=per_unit, resolutionunit=unit)
    image = open_image(path)
    assert image.scale is None
    assert "scale" in image.missing[0]
    assert open_image(path, scale=(0.5, 0.25)).scale == (0.5, 0.25)


def test_no_resolution_is_no_pixel_size(tmp_path):
    image = open_image(write(tmp_path / "a.tif", square()))
    assert image.scale is None
    with pytest.raises(ValueError, match="no extent"):
        _ = image.extent


@pytest.mark.parametrize("kind", ["u1", "i2", "u2", "f4", "f8", ">u2", ">f4"])
@pytest.mark.parametrize("compression", [None, "zlib"])
def test_types_and_byte_orders(tmp_path, kind, compression):
    path = write(
        tmp_path / "a.tif",
        square(kind=kind),
        byteorder=np.dtype(kind).byteorder.replace("|", "<"),
        compression=compression,
    )
    data = open_image(path).data
    assert data.dtype.isnative
    np.testing.assert_array_equal(np.asarray(data), square())


def test_pages_of_unknown_meaning_are_sections_without_scale(tmp_path):
    data = np.arange(96, dtype="u1").reshape(4, 4, 6)
    path = write(tmp_path / "a.tif", data, resolution=(1e5, 1e5), resolutionunit="CENTIMETER")
    image = open_image(path)
    assert image.axes == ("z", "y", "x")
    assert image.scale is None
    assert any("does not say what its 4 pages are" in sentence for sentence in image.missing)
    np.testing.assert_array_equal(np.asarray(image.data), data)


def test_pages_of_two_sizes_are_two_images(tmp_path):
    path = tmp_path / "a.tif"
    with tifffile.TiffWriter(path) as file:
        file.write(square(6), metadata=None)
        file.write(square(4), metadata=None)
    assert [image.data.shape for image in open_images(path)] == [(6, 6), (4, 4)]


def test_colour_picture(tmp_path):
    data = np.arange(48, dtype="u1").reshape(4, 4, 3)
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, data, photometric="rgb", metadata=None)
    image = open_image(path)
    assert image.axes == ("c", "y", "x")
    assert [c.colour for c in image.channels] == ["#ff0000", "#00ff00", "#0000ff"]
    np.testing.assert_array_equal(np.asarray(image.data), np.moveaxis(data, -1, 0))


def test_one_pixel(tmp_path):
    image = open_image(write(tmp_path / "a.tif", np.full((1, 1), 7, "u1")), scale=(1, 1))
    assert image.axes == ("y", "x")
    assert int(np.asarray(image.data)[0, 0]) == 7


def test_nan_pixels_open(tmp_path):
    image = open_image(write(tmp_path / "a.tif", np.full((4, 4), np.nan, "f4")))
    assert np.isnan(np.asarray(image.data)).all()


def test_bigtiff_with_large_strips_in_parts(tmp_path, monkeypatch):
    from napari_clxem.io.readers import tiff_arrays

    monkeypatch.setattr(tiff_arrays, "SMALL_CHUNK", 1 << 10)
    monkeypatch.setattr(tiff_arrays, "TILE_PIXELS", 1 << 10)
    data = square(64)
    path = write(tmp_path / "a.tif", data, bigtiff=True, compression="zlib", rowsperstrip=4)
    image = open_image(path)
    assert image.data.chunks[0] == (16,) * 4
    np.testing.assert_array_equal(np.asarray(image.data), data)


def test_truncated_pixels(tmp_path):
    path = write(tmp_path / "a.tif", square(64))
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(ReadError, match="truncated"):
        open_image(path)


def test_truncated_directory(tmp_path):
    path = write(tmp_path / "a.tif", square(64))
    path.write_bytes(path.read_bytes()[:20])
    with pytest.raises(ReadError, match=r"a\.tif"):
        open_image(path)


def test_planes_that_cannot_come_out_of_their_bytes(tmp_path):
    path = write(tmp_path / "a.tif", square(64), compression="zlib")
    with tifffile.TiffFile(path, mode="r+b") as file:
        for code in (256, 257, 278):
            file.pages[0].tags[code].overwrite(60000)
    with pytest.raises(ReadError, match="7200000000 bytes"):
        open_image(path)


def test_codec_that_is_not_here(tmp_path):
    path = write(tmp_path / "a.tif", square(64), compression="zlib")
    with tifffile.TiffFile(path, mode="r+b") as file:
        file.pages[0].tags[259].overwrite(34712)  # JPEG 2000
    try:
        import imagecodecs  # noqa: F401
    except ImportError:
        with pytest.raises(ReadError, match="imagecodecs"):
            open_image(path)
    else:
        with pytest.raises(ReadError, match="cannot be read"):
            np.asarray(open_image(path).data)


@pytest.mark.parametrize("photometric", ["miniswhite", "palette"])
def test_pixels_that_are_no_brightness_are_told(tmp_path, photometric):
    table = {"colormap": np.zeros((3, 256), "u2")} if photometric == "palette" else {}
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, square(kind="u1"), photometric=photometric, metadata=None, **table)
    image = open_image(path)
    assert any("shown as they are stored" in sentence for sentence in image.missing)
    np.testing.assert_array_equal(np.asarray(image.data), square(kind="u1"))
