from __future__ import annotations

import json
import pickle

import numpy as np
import pytest
import zarr
from handmade_zarr import attributes, axes_of, write_array, write_group, write_image

from napari_clxem.errors import ReadError
from napari_clxem.io import can_open, open_image, open_images


def data(*shape, dtype="<u2"):
    return np.arange(np.prod(shape)).reshape(shape).astype(dtype)


@pytest.mark.parametrize("compress", [False, True])
def test_pyramid(tmp_path, compress):
    volume = data(2, 9, 11)
    path = write_image(tmp_path / "a.ome.zarr", volume, compress=compress)
    assert can_open(path)
    image = open_image(path)
    assert image.axes == ("z", "y", "x")
    np.testing.assert_array_equal(np.asarray(image.data), volume)
    np.testing.assert_array_equal(np.asarray(image.data[1, 2:7, ::-2]), volume[1, 2:7, ::-2])
    np.testing.assert_array_equal(np.asarray(image.levels[1]), volume[:, ::2, ::2])
    assert image.scale == pytest.approx((0.5, 0.1, 0.05))
    assert image.name == "a"


@pytest.mark.parametrize("dtype", ["u1", ">i2", "<f4", ">f8"])
def test_byte_orders(tmp_path, dtype):
    image = open_image(write_image(tmp_path / "a.zarr", data(2, 5, 6, dtype=dtype)))
    np.testing.assert_array_equal(np.asarray(image.data), data(2, 5, 6))
    assert image.data.dtype.isnative


def test_channels_and_time(tmp_path):
    omero = {"channels": [{"label": "DAPI", "color": "0000FF"}, {"label": "beads", "color": "x"}]}
    path = write_image(
        tmp_path / "a.zarr", data(1, 2, 5, 6), "tcyx", (1.0, 1.0, 100.0, 50.0), omero=omero
    )
    image = open_image(path)
    assert image.axes == ("c", "y", "x")
    assert [(c.name, c.colour) for c in image.channels] == [("DAPI", "#0000ff"), ("beads", None)]
    assert image.scale == pytest.approx((0.1, 0.05))


def test_translation_is_kept_in_micrometres(tmp_path):
    path = write_image(tmp_path / "a.zarr", data(2, 5, 6), translation=(3.0, 2000.0, 1000.0))
    assert open_image(path).meta["translation"] == pytest.approx([3.0, 2.0, 1.0])


@pytest.mark.parametrize("units", [{}, {"z": "micrometer", "y": "second", "x": "nanometer"}])
def test_without_units_there_is_no_scale(tmp_path, units):
    image = open_image(write_image(tmp_path / "a.zarr", data(2, 5, 6), units=units))
    assert image.scale is None
    assert "not stated" in image.missing[0]


def test_version_5_with_shards(tmp_path):
    path = tmp_path / "a.ome.zarr"
    group = zarr.open_group(str(path), mode="w", zarr_format=3)
    array = group.create_array(
        "s0", shape=(3, 16, 16), chunks=(1, 4, 4), shards=(1, 8, 8), dtype="u2"
    )
    array[:] = data(3, 16, 16)
    datasets = [
        {"path": "s0", "coordinateTransformations": [{"type": "scale", "scale": [0.2, 10, 20]}]}
    ]
    scales = {"name": "a", "axes": axes_of("zyx"), "datasets": datasets}
    group.attrs["ome"] = {"version": "0.5", "multiscales": [scales]}
    image = open_image(path)
    assert image.scale == pytest.approx((0.2, 0.01, 0.02))
    np.testing.assert_array_equal(np.asarray(image.data), data(3, 16, 16))


def test_collections(tmp_path):
    path = tmp_path / "a.zarr"
    write_group(path, {"bioformats2raw.layout": 3})
    for i in range(2):
        write_image(path / str(i), data(2, 5, 6 + i))
    assert [image.data.shape for image in open_images(path)] == [(2, 5, 6), (2, 5, 7)]
    write_group(path / "OME", {"series": ["1"]})
    assert [image.data.shape for image in open_images(path)] == [(2, 5, 7)]


def test_other_folders_are_declined(tmp_path):
    assert not can_open(tmp_path)
    write_array(tmp_path / "plain.zarr", data(4, 5), (4, 5))
    assert not can_open(tmp_path / "plain.zarr")
    with pytest.raises(ReadError, match="is a folder"):
        open_image(tmp_path / "plain.zarr")
    write_group(tmp_path / "plate.zarr", {"plate": {"wells": []}})
    with pytest.raises(ReadError, match="one of its fields"):
        open_image(tmp_path / "plate.zarr")


@pytest.mark.parametrize("name", ["../secret", "/etc", "sub/../../secret"])
def test_nothing_outside_the_folder_is_opened(tmp_path, name):
    write_array(tmp_path / "secret", data(4, 5), (4, 5))
    path = tmp_path / "a.zarr"
    (path / "sub").mkdir(parents=True)
    write_group(path, attributes("yx", [(name, (1.0, 1.0))]))
    with pytest.raises(ReadError, match="outside its folder"):
        open_image(path)


PICKLED = {"filters": [{"id": "pickle", "protocol": 5}]}


def test_code_is_never_run(tmp_path):
    """A pickled chunk would run what it says when it is decoded."""

    class Trap:
        def __reduce__(self):
            return (tmp_path.joinpath("ran").touch, ())

    path = tmp_path / "a.zarr"
    write_array(path / "0", data(4, 5), (4, 5), changes=PICKLED)
    (path / "0" / "0" / "0").write_bytes(pickle.dumps(Trap()))
    write_group(path, attributes("yx", [("0", (1.0, 1.0))]))
    with pytest.raises(ReadError, match="pickle"):
        np.asarray(open_image(path).data)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    "changes",
    [
        {"shape": [1 << 40, 5]},
        {"shape": [1 << 30, 1 << 30], "chunks": [1, 1]},
        {"chunks": [1 << 30, 1 << 30], "shape": [1 << 30, 1 << 30]},
        {"dtype": "|O"},
        {"shape": [4]},
        {"shape": "x"},
        {"zarr_format": 9},
    ],
)
def test_damaged_arrays(tmp_path, changes):
    path = tmp_path / "a.zarr"
    write_array(path / "0", data(4, 5), (4, 5), changes=changes)
    write_group(path, attributes("yx", [("0", (1.0, 1.0))]))
    with pytest.raises(ReadError):
        open_image(path)


@pytest.mark.parametrize(
    "text", ["{", "[]", '{"multiscales": 3}', '{"multiscales": [{"axes": []}]}', "[" * 100_000]
)
def test_damaged_attributes(tmp_path, text):
    path = write_image(tmp_path / "a.zarr", data(2, 5, 6))
    (path / ".zattrs").write_text(text + ' "multiscales"')
    with pytest.raises(ReadError):
        open_image(path)
    assert json.loads((path / ".zgroup").read_text())


def test_missing_level(tmp_path):
    path = tmp_path / "a.zarr"
    write_group(path, attributes("yx", [("0", (1.0, 1.0))]))
    with pytest.raises(ReadError, match="lacks its part '0'"):
        open_image(path)


def test_damaged_chunk(tmp_path):
    path = write_image(tmp_path / "a.zarr", data(2, 9, 11), compress=True)
    (path / "0" / "0" / "0" / "0").write_bytes(b"no gzip")
    image = open_image(path)
    with pytest.raises(ReadError, match=r"a\.zarr"):
        np.asarray(image.data[0])
    np.testing.assert_array_equal(np.asarray(image.data[1]), data(2, 9, 11)[1])
