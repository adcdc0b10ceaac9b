from __future__ import annotations

import numpy as np
import pytest
import tifffile

from napari_clxem.errors import ReadError
from napari_clxem.io import open_image


def write(path, shape=(3, 4, 5), axes="ZYX", resolution=(10, 10), **metadata):
    data = np.arange(np.prod(shape), dtype="u2").reshape(shape)
    meta = {"axes": axes, "unit": "um", "spacing": 0.5, **metadata}
    meta = {key: value for key, value in meta.items() if value is not None}
    tifffile.imwrite(path, data, imagej=True, resolution=resolution, metadata=meta)
    return data


def test_stack_with_unit_and_step(tmp_path):
    data = write(tmp_path / "a.tif", resolution=(10, 5))
    image = open_image(tmp_path / "a.tif")
    assert image.axes == ("z", "y", "x")
    assert image.scale == pytest.approx((0.5, 0.2, 0.1))
    assert image.meta["format"] == "imagej"
    np.testing.assert_array_equal(np.asarray(image.data), data)


@pytest.mark.parametrize(
    ("unit", "per_unit", "step", "expected"),
    [
        ("micron", 10, 0.5, (0.5, 0.1, 0.1)),
        ("\\u00B5m", 10, 0.5, (0.5, 0.1, 0.1)),
        ("\\u00b5m", 10, 0.5, (0.5, 0.1, 0.1)),
        ("nm", 0.01, 500, (0.5, 0.1, 0.1)),
        ("Å", 0.001, 5000, (0.5, 0.1, 0.1)),
        ("mm", 10000, 5e-4, (0.5, 0.1, 0.1)),
        ("inch", 254000, 5e-4, (12.7, 0.1, 0.1)),
    ],
)
def test_units(tmp_path, unit, per_unit, step, expected):
    write(tmp_path / "a.tif", unit="X" * 8, spacing=step, resolution=(per_unit, per_unit))
    raw = (tmp_path / "a.tif").read_bytes()
    # the library writes no sign beyond ASCII; ImageJ writes them as Java does, or as Latin-1
    text = f"unit={unit}".encode("latin-1")
    (tmp_path / "a.tif").write_bytes(raw.replace(b"unit=XXXXXXXX", text.ljust(13, b"\n"), 1))
    assert open_image(tmp_path / "a.tif").scale == pytest.approx(expected)


@pytest.mark.parametrize("unit", ["pixel", "pixels", "gray", "9**9**9"])
def test_units_that_are_no_lengths(tmp_path, unit):
    write(tmp_path / "a.tif", unit=unit)
    image = open_image(tmp_path / "a.tif")
    assert image.scale is None
    assert "scale" in image.missing[0]


@pytest.mark.parametrize(
    "changes",
    [
        {"spacing": None},
        {"spacing": -0.5},
        {"spacing": 0.0},
        {"resolution": (1, 1)},
        {"unit": "inch", "resolution": (72, 72)},
        {"unit": None},
    ],
)
def test_unusable_pixel_sizes_leave_no_scale(tmp_path, changes):
    write(tmp_path / "a.tif", **changes)
    image = open_image(tmp_path / "a.tif")
    assert image.scale is None
    assert len(image.missing) == 1


def test_hyperstack_with_tables_of_colour(tmp_path):
    ramp = np.arange(256, dtype="u1")
    tables = [np.zeros((3, 256), "u1") for _ in range(2)]
    tables[0][1], tables[1][0], tables[1][2] = ramp, ramp, ramp
    data = write(tmp_path / "a.tif", (2, 3, 2, 4, 5), "TZCYX", LUTs=tables, mode="composite")
    image = open_image(tmp_path / "a.tif")
    assert image.axes == ("t", "c", "z", "y", "x")
    assert [c.colour for c in image.channels] == ["#00ff00", "#ff00ff"]
    np.testing.assert_array_equal(np.asarray(image.data), data.swapaxes(1, 2))


def test_stack_that_promises_more_than_it_has(tmp_path):
    write(tmp_path / "a.tif", (40, 40, 50))
    raw = (tmp_path / "a.tif").read_bytes()
    (tmp_path / "a.tif").write_bytes(raw[: len(raw) // 2])
    with pytest.raises(ReadError, match="truncated"):
        open_image(tmp_path / "a.tif")
