from __future__ import annotations

import math
import struct

import numpy as np
import pytest
from handmade_ole import ole_bytes

from napari_clxem.errors import ReadError
from napari_clxem.io import open_image, open_images

ROWS, COLUMNS = 3, 5


def i4(*values):
    return struct.pack(f"<{len(values)}i", *values)


def f4(*values):
    return struct.pack(f"<{len(values)}f", *values)


def date(text):
    return text.encode().ljust(23, b"\0") + b"\x51garbage".ljust(17, b"\x07")


def tiles(count, dtype="<u2"):
    return [
        (np.arange(ROWS * COLUMNS).reshape(ROWS, COLUMNS) + 100 * i).astype(dtype)
        for i in range(count)
    ]


def xradia(path, count=3, kind=5, dtype="<u2", **extra):
    """Write an Xradia file of `count` images with what real ones hold."""
    streams = {
        "ImageInfo/ImageWidth": i4(COLUMNS),
        "ImageInfo/ImageHeight": i4(ROWS),
        "ImageInfo/NoOfImages": i4(count),
        "ImageInfo/ImagesTaken": i4(count),
        "ImageInfo/DataType": i4(kind),
        "ImageInfo/PixelSize": f4(0.02),
        "ImageInfo/HorizontalBin": i4(2),
        "ImageInfo/VerticalalBin": i4(2),
        "ImageInfo/MosiacRows": i4(0),
        "ImageInfo/MosiacColumns": i4(0),
        "ImageInfo/MosiacMode": i4(0),
        "ImageInfo/Angles": f4(*(2.0 * i - 2 for i in range(count))),
        "ImageInfo/Energy": f4(*[520.0] * count),
        "ImageInfo/ExpTimes": f4(*(1.0 + i for i in range(count))),
        "ImageInfo/XPosition": f4(*(100.0 + i for i in range(count))),
        "ImageInfo/YPosition": f4(*(-50.0 - i for i in range(count))),
        "ImageInfo/ZPosition": f4(*[7.0] * count),
        "ImageInfo/Date": b"".join(date(f"03/04/21 10:00:0{i % 10}") for i in range(count)),
        "Version": f4(3.0),
    }
    for i, image in enumerate(tiles(count, dtype), 1):
        streams[f"ImageData{math.ceil(i / 100)}/Image{i}"] = image.tobytes()
    streams.update({name.replace("__", "/"): v for name, v in extra.items()})
    path.write_bytes(ole_bytes({k: v for k, v in streams.items() if v is not None}))
    return path


def test_tilt_series(tmp_path):
    image = open_image(xradia(tmp_path / "a.txrm"))
    assert image.axes == ("t", "y", "x")
    np.testing.assert_array_equal(np.asarray(image.data), [t[::-1] for t in tiles(3)])
    assert image.scale == pytest.approx((0.02, 0.02))
    assert image.meta["tilt_angles"] == [-2.0, 0.0, 2.0]
    assert image.meta["energies"] == [520.0] * 3
    assert image.meta["exposure_times"] == [1.0, 2.0, 3.0]
    assert image.meta["positions"][2] == [7.0, -52.0, 102.0]
    assert image.meta["dates"][1] == "2021-03-04T10:00:01"
    # the least tilted image is the second
    assert image.stage.position == (7.0, -51.0, 101.0)
    assert image.missing == ()


@pytest.mark.parametrize(
    ("kind", "dtype"), [(3, "u1"), (4, "<i2"), (5, "<u2"), (6, "<i4"), (10, "<f4")]
)
def test_pixel_types(tmp_path, kind, dtype):
    image = open_image(xradia(tmp_path / "a.xrm", 1, kind, dtype))
    assert image.data.dtype == np.dtype(dtype)
    np.testing.assert_array_equal(np.asarray(image.data), tiles(1, dtype)[0][::-1])
    assert image.axes == ("y", "x")
    assert image.stage.tilt == -2.0


def test_images_beyond_a_hundred_lie_in_the_next_storage(tmp_path):
    image = open_image(xradia(tmp_path / "a.txrm", 101))
    np.testing.assert_array_equal(np.asarray(image.data[100]), tiles(101)[100][::-1])
    np.testing.assert_array_equal(
        np.asarray(image.data[99, 1:, ::2]), tiles(100)[99][::-1][1:, ::2]
    )


def test_series_that_was_broken_off(tmp_path):
    path = xradia(tmp_path / "a.txrm", 3, ImageInfo__NoOfImages=i4(5))
    image = open_image(path)
    assert image.data.shape == (3, ROWS, COLUMNS)
    assert "3 of 5 planned" in image.missing[0]


def test_energies_with_gaps(tmp_path):
    gaps = f4(*(520.0 if i % 4 == 0 else 0.0 for i in range(9)))
    image = open_image(xradia(tmp_path / "a.txrm", ImageInfo__Energy=gaps))
    assert image.meta["energies"] == [520.0] * 3
    steps = f4(700.0, 0, 0, 709.0, 0, 0, 700.0)
    image = open_image(xradia(tmp_path / "b.txrm", ImageInfo__Energy=steps))
    assert image.meta["energies"] == [700.0, 709.0, 700.0]


def test_mosaic_of_tiles(tmp_path):
    """Version 5: a stream per tile, row by row from the bottom left; two rows, three columns."""
    path = xradia(
        tmp_path / "a.xrm",
        6,
        ImageInfo__MosiacRows=i4(2),
        ImageInfo__MosiacColumns=i4(3),
        ImageInfo__MosiacMode=i4(1),
        Version=f4(5.0),
    )
    image = open_image(path)
    one = [t[::-1] for t in tiles(6)]
    expected = np.vstack([np.hstack(one[3:6]), np.hstack(one[0:3])])
    np.testing.assert_array_equal(np.asarray(image.data), expected)
    assert image.axes == ("y", "x")
    # the first position is the centre of the tile at the bottom left
    matrix = np.array(image.stage.image_to_stage)
    at_tile = [(2 * ROWS - 1 - (ROWS - 1) / 2) * 0.02, (COLUMNS - 1) / 2 * 0.02, 1.0]
    assert matrix @ at_tile == pytest.approx([-50.0, 100.0, 1.0], abs=1e-6)
    # up the image is up the stage, right is right
    middle = [(2 * ROWS - 1) / 2 * 0.02, (3 * COLUMNS - 1) / 2 * 0.02, 1.0]
    assert matrix @ middle == pytest.approx([-50 + ROWS / 2 * 0.02, 100 + COLUMNS * 0.02, 1.0])
    assert image.stage.position[1:] == pytest.approx((matrix @ middle)[:2])


def test_tiles_that_were_not_taken_are_zeros(tmp_path):
    path = xradia(
        tmp_path / "a.xrm",
        3,
        ImageInfo__MosiacRows=i4(2),
        ImageInfo__MosiacColumns=i4(2),
        ImageInfo__NoOfImages=i4(4),
    )
    image = open_image(path)
    assert not np.asarray(image.data[:ROWS, COLUMNS:]).any()
    assert "1 of 4 tiles" in " ".join(image.missing)


def test_stitched_mosaic_is_one_image(tmp_path):
    """Version 3 stores it whole; its position and its reference are those of one tile."""
    flat = np.arange(5, dtype="<f4").reshape(1, 5)
    path = xradia(
        tmp_path / "a.xrm",
        1,
        ImageInfo__MosiacMode=i4(1),
        ImageInfo__MosiacRows=i4(3),
        ImageInfo__MosiacColumns=i4(1),
        ReferenceData__Image=flat.tobytes(),
    )
    image, reference = open_images(path)
    assert image.data.shape == (ROWS, COLUMNS)
    assert image.meta["mosaic"] == [3, 1]
    np.testing.assert_array_equal(np.asarray(reference.data), flat)
    # the tile at the bottom is the last of three rows
    matrix = np.array(image.stage.image_to_stage)
    assert matrix @ [2 * 0.02, 2 * 0.02, 1] == pytest.approx([-50.0, 100.0, 1.0])
    assert image.stage.position[1:] == pytest.approx((-50.0 + 0.02, 100.0))


def test_reference_of_its_own_size(tmp_path):
    """Version 5 states it beside the reference."""
    flat = np.arange(8, dtype="<u2").reshape(2, 4)
    path = xradia(
        tmp_path / "a.xrm",
        1,
        ReferenceData__Image=flat.tobytes(),
        ReferenceData__ImageInfo__ImageHeight=i4(2),
        ReferenceData__ImageInfo__ImageWidth=i4(4),
        ReferenceData__ImageInfo__DataType=i4(5),
    )
    _, reference = open_images(path)
    np.testing.assert_array_equal(np.asarray(reference.data), flat[::-1])


def test_reference(tmp_path):
    flat = np.full((ROWS, COLUMNS), 2.5, "<f4")
    path = xradia(
        tmp_path / "a.xrm",
        1,
        ReferenceData__Image=flat.tobytes(),
        ReferenceData__DataType=i4(10),
        ReferenceData__ExpTime=f4(4.0),
    )
    sample, reference = open_images(path)
    assert sample.meta.get("role") is None
    assert reference.meta["role"] == "flat"
    assert reference.meta["exposure_times"] == [4.0]
    np.testing.assert_array_equal(np.asarray(reference.data), flat)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"ImageInfo__DataType": i4(99)}, "type 99"),
        ({"ImageInfo__ImagesTaken": i4(0)}, "0 images"),
        ({"ImageData1__Image2": None}, "lacks image 2 of 3"),
        ({"ImageData1__Image2": b"xx"}, "image 2 has 2 bytes"),
        ({"ImageInfo__ImageWidth": i4(-4)}, "cannot be"),
        ({"ImageInfo__ImageWidth": i4(1 << 30)}, "needed"),
        ({"ImageInfo__ImageWidth": None}, "no .xrm"),
    ],
)
def test_damage(tmp_path, change, message):
    with pytest.raises(ReadError, match=message):
        open_image(xradia(tmp_path / "a.txrm", **change))


def test_missing_numbers_are_told(tmp_path):
    image = open_image(
        xradia(tmp_path / "a.txrm", ImageInfo__Energy=None, ImageInfo__PixelSize=None)
    )
    assert image.scale is None
    assert "energies" not in image.meta
    assert any("energy" in sentence for sentence in image.missing)


def stream(raw, name):
    """Find a stream of a real file by its directory entry: a second route than olefile."""
    (sector_shift,) = struct.unpack_from("<H", raw, 30)
    size = 1 << sector_shift
    fat_sectors = [s for s in struct.unpack_from("<109I", raw, 76) if s < 0xFFFFFFF0]
    fat = [
        n for s in fat_sectors for n in struct.unpack_from(f"<{size // 4}I", raw, (s + 1) * size)
    ]

    def chain(sector):
        found = b""
        while sector < 0xFFFFFFF0:
            found += raw[(sector + 1) * size : (sector + 2) * size]
            sector = fat[sector]
        return found

    directory = chain(struct.unpack_from("<I", raw, 48)[0])
    entries = []
    for at in range(0, len(directory), 128):
        entry = directory[at : at + 128]
        length = struct.unpack_from("<H", entry, 64)[0]
        start, nbytes = struct.unpack_from("<II", entry, 116)
        entries.append((entry[: max(length - 2, 0)].decode("utf-16-le"), entry[66], start, nbytes))
    mini = chain(entries[0][2])
    minifat = chain(struct.unpack_from("<I", raw, 60)[0])
    _, _, start, nbytes = next(e for e in entries if e[0] == name and e[1] == 2)
    if nbytes >= 4096:
        return chain(start)[:nbytes]
    found = b""
    while start < 0xFFFFFFF0:
        found += mini[start * 64 : start * 64 + 64]
        (start,) = struct.unpack_from("<I", minifat, start * 4)
    return found[:nbytes]


def test_real_image(shared_data):
    path = shared_data / "formats" / "xrm" / "test_chip00.xrm"
    raw = path.read_bytes()
    sample, reference = open_images(path)
    assert sample.data.shape == (512, 512)
    assert sample.scale[0] == pytest.approx(struct.unpack("<f", stream(raw, "PixelSize"))[0])
    assert sample.scale == pytest.approx((0.07789474, 0.07789474))
    assert sample.meta["energies"] == pytest.approx([7191.0464])
    assert sample.meta["exposure_times"] == pytest.approx([39.884727])
    assert sample.stage.position == pytest.approx((340.98, -3761.9893, 715.36))
    assert sample.meta["dates"] == ["2015-11-08T11:58:08"]
    assert sample.meta["motors"]["Sample X"]["unit"] == "µm"
    assert sample.meta["motors"]["Sample X"]["positions"] == pytest.approx([715.36])
    rows = np.frombuffer(stream(raw, "Image1"), "<u2").reshape(512, 512)
    np.testing.assert_array_equal(np.asarray(sample.data), rows[::-1])
    flat = np.frombuffer(stream(raw, "Image"), "<u2").reshape(512, 512)
    np.testing.assert_array_equal(np.asarray(reference.data), flat[::-1])
    assert reference.meta["exposure_times"] == [40.0]


def test_real_series(shared_data):
    path = shared_data / "formats" / "xrm" / "txrm_test_chip_tomo.txrm"
    raw = path.read_bytes()
    image = open_image(path)
    assert image.data.shape == (7, 256, 256)
    angles = struct.unpack("<7f", stream(raw, "Angles"))
    assert image.meta["tilt_angles"] == pytest.approx(angles)
    assert angles[0] == pytest.approx(-45.018, abs=1e-3)
    assert image.meta["energies"] == pytest.approx([9200.017] * 7)
    assert image.meta["exposure_times"] == [5.0] * 7
    assert image.meta["dates"][-1] == "2015-11-09T18:20:12"
    assert image.scale == pytest.approx((0.15578948, 0.15578948))
    assert image.stage.position == pytest.approx((210.22, -3965.8894, 1019.44))
    assert image.meta["x_shifts"] == pytest.approx(struct.unpack("<7f", stream(raw, "X-Shifts")))
    for i in (0, 6):
        rows = np.frombuffer(stream(raw, f"Image{i + 1}"), "<u2").reshape(256, 256)
        np.testing.assert_array_equal(np.asarray(image.data[i]), rows[::-1])


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b"\0\x0712/30/2021 23:55:59!j#f\x9912/31/2021 00:00:01.5", "2021-12-31T00:00:01.500000"),
        (b"12/30/21 23:55:59 12/31/21 00:00:01", "2021-12-31T00:00:01"),
        (b"12/30/21 23:55:59", None),
        (b"99/99/21 23:55:59 12/31/21 00:00:01", None),
    ],
)
def test_dates_wherever_they_stand(tmp_path, raw, expected):
    image = open_image(xradia(tmp_path / "a.txrm", 2, ImageInfo__Date=raw))
    assert (image.meta.get("dates") or [None])[-1] == expected
