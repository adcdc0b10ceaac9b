from __future__ import annotations

import struct

import numpy as np
import pytest
from handmade_dm import dm_bytes, tree

from napari_clxem.errors import ReadError
from napari_clxem.io import open_image, open_images

UM = [(0.5, "µm"), (0.25, "µm")]


def write(path, *args, version=3, order="<", **options):
    path.write_bytes(dm_bytes(tree(*args, **options), version, order))
    return path


def plane(dtype="<i2"):
    return np.arange(12, dtype=dtype).reshape(3, 4)


@pytest.mark.parametrize("version", [3, 4])
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("dtype", ["u1", "i1", "<i2", "<u2", "<i4", "<u4", "<f4", "<f8"])
def test_both_versions_orders_and_all_types(tmp_path, version, order, dtype):
    path = write(tmp_path / "a.dm3", UM, plane(dtype), version=version, order=order)
    images = open_images(path)
    assert len(images) == 1
    (image,) = images
    np.testing.assert_array_equal(np.asarray(image.data), plane(dtype))
    assert image.data.dtype == np.dtype(dtype)
    assert image.scale == pytest.approx((0.25, 0.5))
    assert image.meta["voltage_kv"] == 200.0
    assert image.meta["mode"] == "IMAGING"


@pytest.mark.parametrize(("unit", "size"), [("nm", 5e-4), ("mm", 500.0), ("Å", 5e-5)])
def test_units(tmp_path, unit, size):
    path = write(tmp_path / "a.dm4", [(0.5, unit), (0.5, unit)], plane(), version=4)
    assert open_image(path).scale == pytest.approx((size, size))


def test_diffraction_and_uncalibrated_images_have_no_scale(tmp_path):
    image = open_image(write(tmp_path / "a.dm3", [(0.5, "1/nm"), (0.5, "1/nm")], plane()))
    assert image.scale is None
    assert "diffraction" in image.missing[0]
    image = open_image(write(tmp_path / "b.dm3", [(1.0, ""), (1.0, "")], plane()))
    assert image.scale is None
    assert "not calibrated" in image.missing[0]


def test_stacks(tmp_path):
    stack = np.arange(24, dtype="<f4").reshape(2, 3, 4)
    image = open_image(write(tmp_path / "a.dm3", [*UM, (20.0, "nm")], stack))
    assert (image.axes, image.scale) == (("z", "y", "x"), pytest.approx((0.02, 0.25, 0.5)))
    np.testing.assert_array_equal(np.asarray(image.data), stack)
    image = open_image(write(tmp_path / "b.dm3", [*UM, (1.0, "eV")], stack))
    assert image.axes == ("t", "y", "x")
    assert "'eV'" in image.missing[0]


def test_stage(tmp_path):
    stage = {"X": 12.5, "Y": -3.0, "Z": 40.0, "Alpha": -20.0}
    found = open_image(write(tmp_path / "a.dm3", UM, plane(), stage=stage)).stage
    assert (found.position, found.tilt) == ((40.0, -3.0, 12.5), -20.0)


def test_images_that_are_not_read(tmp_path):
    with pytest.raises(ReadError, match="complex"):
        open_image(write(tmp_path / "a.dm3", UM, plane("<f4"), image_type=3))


def test_more_pixels_stated_than_held(tmp_path):
    tags = tree(UM, plane())
    tags["ImageList"][1]["ImageData"]["Dimensions"][0] = ("L", 5000)
    (tmp_path / "a.dm3").write_bytes(dm_bytes(tags))
    with pytest.raises(ReadError, match="5000 x 3 pixels"):
        open_image(tmp_path / "a.dm3")


def test_truncated(tmp_path):
    path = write(tmp_path / "a.dm3", UM, plane())
    raw = path.read_bytes()
    for length in range(20, len(raw) - 8, 7):
        path.write_bytes(raw[:length])
        with pytest.raises(ReadError):
            open_image(path)


def test_endless_nesting(tmp_path):
    level = struct.pack(">BH", 20, 1) + b"a" + b"\1\0" + struct.pack(">I", 1)
    body = b"\1\0" + struct.pack(">I", 1) + level * 5000
    (tmp_path / "a.dm3").write_bytes(struct.pack(">III", 3, len(body), 1) + body)
    with pytest.raises(ReadError, match="nested"):
        open_image(tmp_path / "a.dm3")


def test_real_files(shared_data):
    folder = shared_data / "formats" / "dm"
    image = open_image(folder / "test-1.dm3")
    np.testing.assert_array_equal(np.asarray(image.data), [[1, 2], [3, 4]])
    assert open_image(folder / "test-1.dm4").data.dtype == np.int16
    path = folder / "test_dm_image_um_unit.dm3"
    image = open_image(path)
    raw = path.read_bytes()
    assert image.data.shape == (68, 68)
    # the pixels are the only array of 68 x 68 elements of type 3 (4-byte integers)
    start = raw.index(b"%%%%" + struct.pack(">4I", 3, 20, 3, 68 * 68)) + 20
    pixels = np.frombuffer(raw, "<i4", 68 * 68, start).reshape(68, 68)
    np.testing.assert_array_equal(np.asarray(image.data), pixels)
    unit = raw.rindex("µm".encode("utf-16-le"))
    scale = raw.rindex(b"Scale%%%%" + struct.pack(">2I", 1, 6), 0, unit) + 17
    assert image.scale[0] == pytest.approx(struct.unpack_from("<f", raw, scale)[0])
    assert image.scale[0] == pytest.approx(0.1686747)
