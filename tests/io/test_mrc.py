from __future__ import annotations

import struct

import numpy as np
import pytest

from napari_clxem.errors import ReadError
from napari_clxem.io import Orientation, open_image, open_images


def test_volume_is_a_memory_map_with_scale_in_micrometres(write_mrc, phantom):
    image = open_image(write_mrc("a.mrc", phantom, cell=(40.0, 60.0, 100.0)))
    assert isinstance(image.data, np.memmap)
    assert image.axes == ("z", "y", "x")
    # cell (x, y, z) over (4, 3, 2) voxels is 10, 20, 50 Å
    np.testing.assert_allclose(image.scale, (0.005, 0.002, 0.001), rtol=1e-6)
    np.testing.assert_array_equal(image.data, phantom)
    assert image.orientation == Orientation(("z", "y", "x"), ())
    assert image.meta["origin"] == [3.0, 2.0, 1.0]
    assert image.missing == ()


@pytest.mark.parametrize("axes", ["zyx", "yzx", "xzy", "xyz", "zxy", "yxz"])
def test_axis_order_of_the_header_is_undone(write_mrc, phantom, axes):
    stored = phantom.transpose(["zyx".index(a) for a in axes])
    image = open_image(write_mrc("a.rec", stored, axes=axes, cell=(40.0, 60.0, 100.0)))
    np.testing.assert_array_equal(image.data, phantom)
    np.testing.assert_allclose(image.scale, (0.005, 0.002, 0.001), rtol=1e-6)
    assert image.orientation.axes == tuple(axes)


@pytest.mark.parametrize(
    "sign", [{"imod_flags": 1}, {"label": "SerialEM: somewhere"}], ids=["imod", "serialem"]
)
def test_rows_are_turned_where_imod_or_serialem_wrote_them(write_mrc, phantom, sign):
    image = open_image(write_mrc("a.mrc", phantom, **sign))
    np.testing.assert_array_equal(image.data, phantom[:, ::-1])
    assert image.orientation.flip == ("y",)


def test_rows_along_another_stored_axis_are_turned_there(write_mrc, phantom):
    stored = phantom[:, ::-1].transpose(1, 0, 2)
    image = open_image(write_mrc("a.rec", stored, axes="yzx", imod_flags=1))
    np.testing.assert_array_equal(image.data, phantom)


def test_orientation_given_wins_and_is_reported(write_mrc, phantom):
    path = write_mrc("a.mrc", phantom, imod_flags=1, cell=(40.0, 60.0, 100.0))
    wish = Orientation(("x", "z", "y"), ("z", "x"))
    image = open_image(path, orientation=wish)
    np.testing.assert_array_equal(image.data, phantom.transpose(1, 2, 0)[::-1, :, ::-1])
    assert image.orientation == Orientation(("x", "z", "y"), ("z", "x"))
    # the pixel size goes with the stored axis, whatever it is called
    np.testing.assert_allclose(image.scale, (0.002, 0.001, 0.005), rtol=1e-6)


def test_what_is_reported_opens_the_same_again(write_mrc, phantom):
    path = write_mrc("a.mrc", phantom, imod_flags=1)
    first = open_image(path)
    again = open_image(path, orientation=first.orientation, scale=first.scale)
    np.testing.assert_array_equal(first.data, again.data)
    assert (again.orientation, again.scale, again.axes) == (
        first.orientation,
        first.scale,
        first.axes,
    )


def test_flips_alone_keep_the_order_found(write_mrc, phantom):
    path = write_mrc("a.mrc", phantom.transpose(1, 0, 2), axes="yzx")
    image = open_image(path, orientation=Orientation(flip=("z",)))
    np.testing.assert_array_equal(image.data, phantom[::-1])
    assert image.orientation == Orientation(("y", "z", "x"), ("z",))


@pytest.mark.parametrize("axes", [("y", "x"), ("z", "z", "x"), ("a", "y", "x")])
def test_impossible_orientation_is_refused(write_mrc, phantom, axes):
    path = write_mrc("a.mrc", phantom)
    with pytest.raises(ReadError, match="orientation axes"):
        open_image(path, orientation=Orientation(axes))


@pytest.mark.parametrize(
    ("flags", "expected"), [(None, -56), (1, -56), (0, 200)], ids=["plain", "signed", "unsigned"]
)
def test_sign_of_bytes_follows_imods_flag(write_mrc, flags, expected):
    data = np.full((1, 2, 2), 200, np.uint8)
    image = open_image(write_mrc("a.mrc", data, mode=0, imod_flags=flags))
    assert int(image.data[0, 0]) == expected


@pytest.mark.parametrize(("mode", "kind"), [(1, "i2"), (2, "f4"), (6, "u2"), (12, "f2")])
@pytest.mark.parametrize("order", ["<", ">"])
def test_modes_in_both_byte_orders(write_mrc, phantom, mode, kind, order):
    image = open_image(write_mrc("a.map", phantom.astype(kind), mode=mode, order=order))
    assert image.data.dtype == np.dtype(kind)
    assert image.data.dtype.isnative
    np.testing.assert_array_equal(np.asarray(image.data), phantom)


def test_single_section_is_an_image(write_mrc, phantom):
    image = open_image(write_mrc("a.mrc", phantom[:1]))
    assert image.axes == ("y", "x")
    assert image.data.shape == (3, 4)
    assert len(image.scale) == 2


def test_one_pixel(write_mrc):
    image = open_image(write_mrc("a.mrc", np.ones((1, 1, 1), np.int16), cell=(5.0, 5.0, 5.0)))
    assert image.data.shape == (1, 1)
    np.testing.assert_array_equal(image.extent, (0, 0))


def test_extended_header_is_skipped(write_mrc, phantom):
    image = open_image(write_mrc("a.mrc", phantom, extended=b"\xff" * 1313))
    np.testing.assert_array_equal(image.data, phantom)


def test_stack_of_images_has_time_not_depth(write_mrc, phantom):
    images = [
        open_image(write_mrc("a.st", phantom)),
        open_image(write_mrc("b.mrc", phantom, space_group=0, depth=1)),
    ]
    assert [image.axes for image in images] == [("t", "y", "x")] * 2
    assert all(len(image.scale) == 2 for image in images)


def test_stack_of_volumes(write_mrc):
    data = np.arange(48, dtype=np.int16).reshape(4, 3, 4)
    image = open_image(write_mrc("a.mrc", data, space_group=401, depth=2))
    assert image.axes == ("t", "z", "y", "x")
    assert image.data.shape == (2, 2, 3, 4)


@pytest.mark.parametrize(
    ("cell", "word"),
    [((0, 0, 0), "not stated"), ((-40, 60, 10), "-0.001"), ((np.nan, 60, 10), "nan")],
)
@pytest.mark.filterwarnings("error")
def test_unusable_voxel_sizes_leave_no_scale(write_mrc, phantom, cell, word):
    path = write_mrc("a.mrc", phantom, cell=cell)
    image = open_image(path)
    assert image.scale is None
    assert word in image.missing[0]
    given = open_image(path, scale=(1.0, 2.0, 3.0))
    assert given.scale == (1.0, 2.0, 3.0)
    assert given.missing == ()


def test_voxels_of_one_angstrom_are_doubted(write_mrc, phantom):
    image = open_image(write_mrc("a.mrc", phantom, cell=(4.0, 3.0, 2.0)))
    np.testing.assert_allclose(image.scale, 1e-4)
    assert "1 Å" in image.missing[0]


def test_nan_pixels_open(write_mrc):
    data = np.full((2, 3, 4), np.nan, np.float32)
    image = open_image(write_mrc("a.mrc", data, mode=2))
    assert np.isnan(image.data).all()


def test_old_file_without_the_word_map(write_mrc, phantom):
    path = write_mrc("a.st", phantom)
    raw = bytearray(path.read_bytes())
    raw[208:216] = bytes(8)
    path.write_bytes(raw)
    np.testing.assert_array_equal(open_image(path).data, phantom)


def test_truncated_pixels(write_mrc, phantom):
    path = write_mrc("a.mrc", phantom)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ReadError, match=r"1072 bytes, the file has 1071"):
        open_image(path)


def test_truncated_header(write_mrc, phantom):
    path = write_mrc("a.mrc", phantom)
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(ReadError, match="header has 1024 bytes, the file 500"):
        open_image(path)


@pytest.mark.parametrize(
    ("offset", "value", "message"),
    [
        (0, 2**31 - 1, "make 25769804788"),  # 3 * 2 rows of 2**31 - 1 columns, 2 bytes each
        (4, 0, "cannot be"),
        (8, -5, "cannot be"),
        (12, 99, "mode 99"),
        (12, 4, "Fourier"),
        (92, -1, "extended header"),
        (92, 2**31 - 1, "truncated"),
    ],
)
def test_damaged_headers(write_mrc, phantom, offset, value, message):
    path = write_mrc("a.mrc", phantom)
    raw = bytearray(path.read_bytes())
    struct.pack_into("<i", raw, offset, value)
    path.write_bytes(raw)
    with pytest.raises(ReadError, match=message):
        open_image(path)


def test_real_map(shared_data):
    path = shared_data / "formats" / "mrc" / "EMD-3197.map"
    raw = path.read_bytes()
    nx, ny, nz = struct.unpack_from("<3i", raw)
    cell = struct.unpack_from("<3f", raw, 40)
    values = struct.unpack_from(f"<{nx * ny * nz}f", raw, 1024)
    (image,) = open_images(path)
    assert image.data.shape == (nz, ny, nx) == (20, 20, 20)
    np.testing.assert_allclose(image.scale, [cell[0] / nx * 1e-4] * 3)
    assert float(image.data[3, 5, 7]) == values[(3 * ny + 5) * nx + 7]
    assert image.meta["start"] == [0, 0, -2]
    assert image.orientation.flip == ()
