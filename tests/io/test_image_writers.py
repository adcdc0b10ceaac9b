"""Images written as OME-Zarr and OME-TIFF, read back by this package and by other libraries."""

from __future__ import annotations

import json
import warnings
from xml.etree import ElementTree

import dask.array as da
import numpy as np
import pytest
import tifffile
import yaozarrs
import zarr

from napari_clxem.errors import Cancelled, MissingScaleError, WriteError
from napari_clxem.frames import Affine
from napari_clxem.io import Raster, open_image, resample_image, write_ome_tiff, write_ome_zarr
from napari_clxem.io.image import Channel, OpenedImage

CHANNELS = (Channel("lipid", "#00ff00", 520.0), Channel("DNA & co", "#0000ff"))
WAY = Affine.from_parts([[0, 0, 1], [0, 1, 0], [1, 0, 0]], (10.0, -20.0, 0.25))


def image(shape=(2, 5, 40, 30), axes="czyx", dtype=np.uint16, scale=(0.3, 0.1, 0.2)):
    data = np.random.default_rng(1).integers(0, 200, shape).astype(dtype)
    space = sum(axis in "zyx" for axis in axes)
    count = shape[axes.index("c")] if "c" in axes else 1
    lazy = da.from_array(data, chunks=(*(1,) * (len(shape) - 2), *shape[-2:]))
    return OpenedImage((lazy,), tuple(axes), scale[-space:], CHANNELS[:count], name="cell <1>")


def placed():
    raster = Raster((10.0, -20.0, 0.25), (0.2, 0.1, 0.3), (30, 40, 5))
    return resample_image(image(), WAY, raster, frame="grid map")


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_ome_zarr_is_read_by_zarr_and_valid_for_yaozarrs(tmp_path, version):
    path = write_ome_zarr(placed(), tmp_path / "a.ome.zarr", version=version)
    group = zarr.open_group(path, mode="r")
    assert group.metadata.zarr_format == {"0.4": 2, "0.5": 3}[version]
    turned = np.asarray(image().data).transpose(0, 3, 2, 1)
    np.testing.assert_array_equal(group["0"][:], turned)
    attributes = dict(group.attrs)
    part = attributes["ome"] if version == "0.5" else attributes
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if version == "0.5":
            yaozarrs.v05.Image.model_validate(part)
        else:
            yaozarrs.v04.Image.model_validate(part)
        yaozarrs.validate_zarr_store(str(path))
    scales = part["multiscales"][0]
    assert [axis["name"] for axis in scales["axes"]] == list("czyx")
    assert [axis.get("unit") for axis in scales["axes"]] == [None, *["micrometer"] * 3]
    steps = scales["datasets"][0]["coordinateTransformations"]
    assert steps[0]["scale"] == [1, 0.2, 0.1, 0.3]
    assert steps[1]["translation"] == [0, 10.0, -20.0, 0.25]
    assert [c["label"] for c in part["omero"]["channels"]] == ["lipid", "DNA & co"]
    assert [c["color"] for c in part["omero"]["channels"]] == ["00FF00", "0000FF"]
    np.testing.assert_allclose(attributes["clxem"]["matrix"], WAY.matrix)
    assert attributes["clxem"]["frame"] == "grid map"


@pytest.mark.parametrize("write", [write_ome_zarr, write_ome_tiff])
def test_this_package_reads_what_it_writes(tmp_path, write):
    name = "a.ome.zarr" if write is write_ome_zarr else "a.ome.tif"
    found = open_image(write(placed(), tmp_path / name))
    assert found.axes == tuple("czyx")
    assert found.scale == (0.2, 0.1, 0.3)
    assert [c.name for c in found.channels] == ["lipid", "DNA & co"]
    assert [c.colour for c in found.channels] == ["#00ff00", "#0000ff"]
    np.testing.assert_array_equal(np.asarray(found.data), np.asarray(placed().data))
    assert found.meta["placed"] == json.loads(json.dumps(placed().meta["placed"]))
    assert found.missing == ()


def test_ome_tiff_is_read_by_tifffile(tmp_path):
    path = write_ome_tiff(placed(), tmp_path / "a.ome.tif")
    with tifffile.TiffFile(path) as file:
        assert file.is_ome
        series = file.series[0]
        assert series.axes == "CZYX"
        np.testing.assert_array_equal(series.asarray(), np.asarray(placed().data))
        root = ElementTree.fromstring(file.ome_metadata)
    space = "{http://www.openmicroscopy.org/Schemas/OME/2016-06}"
    pixels = root.find(f"{space}Image/{space}Pixels")
    sizes = [float(pixels.attrib[f"PhysicalSize{axis}"]) for axis in "ZYX"]
    assert sizes == [0.2, 0.1, 0.3]
    assert pixels.attrib["PhysicalSizeXUnit"] == "µm"
    names = [c.attrib["Name"] for c in pixels.findall(f"{space}Channel")]
    assert names == ["lipid", "DNA & co"]
    assert pixels.find(f"{space}Channel").attrib["EmissionWavelength"] == "520.0"
    said = {m.attrib["K"]: m.text for m in root.iter(f"{space}M")}
    np.testing.assert_allclose(json.loads(said["matrix"]), WAY.matrix)
    assert json.loads(said["origin"]) == [10.0, -20.0, 0.25]


@pytest.mark.parametrize("write", [write_ome_zarr, write_ome_tiff])
@pytest.mark.parametrize("dtype", [np.uint16, np.float32])
def test_levels_are_averages_of_the_level_before(tmp_path, write, dtype):
    name = "a.ome.zarr" if write is write_ome_zarr else "a.ome.tif"
    data = np.random.default_rng(1).integers(0, 900, (3, 1101, 520)).astype(dtype)
    if dtype == np.float32:
        data[0, 0, 0] = np.nan
    given = OpenedImage((data,), ("z", "y", "x"), (1.0, 0.1, 0.1), (Channel(""),))
    found = open_image(write(given, tmp_path / name))
    assert [level.shape for level in found.levels][:3] == [
        (3, 1101, 520),
        (3, 550, 260),
        (3, 275, 130),
    ]
    quads = np.nanmean(data[:, :1100].reshape(3, 550, 2, 260, 2), axis=(2, 4))
    exact = np.rint(quads) if dtype == np.uint16 else quads.astype(np.float32)
    np.testing.assert_allclose(np.asarray(found.levels[1]), exact)


def test_places_of_coarse_pixels_are_those_of_their_middle(tmp_path):
    data = np.zeros((64, 600, 600), np.uint8)
    given = OpenedImage((data,), ("z", "y", "x"), (0.2, 0.2, 0.2), (Channel(""),))
    path = write_ome_zarr(given, tmp_path / "a.ome.zarr")
    scales = dict(zarr.open_group(path, mode="r").attrs)["ome"]["multiscales"][0]
    steps = scales["datasets"][1]["coordinateTransformations"]
    assert steps[0]["scale"] == [0.4, 0.4, 0.4]
    np.testing.assert_allclose(steps[1]["translation"], 0.1)


@pytest.mark.parametrize("axes", ["yx", "tyx", "tczyx", "zyx", "cyx"])
@pytest.mark.parametrize("write", [write_ome_zarr, write_ome_tiff])
def test_any_axes(tmp_path, write, axes):
    name = "a.ome.zarr" if write is write_ome_zarr else "a.ome.tif"
    sizes = {"t": 3, "c": 2, "z": 4, "y": 20, "x": 30}
    given = image(tuple(sizes[axis] for axis in axes), axes)
    found = open_image(write(given, tmp_path / name))
    assert "".join(found.axes) == axes
    np.testing.assert_array_equal(np.asarray(found.data), np.asarray(given.data))
    np.testing.assert_allclose(found.scale, given.scale)


@pytest.mark.parametrize("write", [write_ome_zarr, write_ome_tiff])
def test_stopped_writing_leaves_nothing(tmp_path, write):
    name = "a.ome.zarr" if write is write_ome_zarr else "a.ome.tif"
    shares = []
    given = image((64, 300, 300), "zyx")

    def cancelled():
        return len(shares) > 0

    with pytest.raises(Cancelled):
        write(
            given,
            tmp_path / name,
            progress=lambda share, _text: shares.append(share),
            cancelled=cancelled,
        )
    assert 0 < shares[-1] < 1
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("write", [write_ome_zarr, write_ome_tiff])
def test_progress_ends_at_one_and_never_falls(tmp_path, write):
    name = "a.ome.zarr" if write is write_ome_zarr else "a.ome.tif"
    shares = []
    write(placed(), tmp_path / name, progress=lambda share, _text: shares.append(share))
    assert shares == sorted(shares)
    assert shares[-1] == 1


@pytest.mark.parametrize("write", [write_ome_zarr, write_ome_tiff])
def test_what_is_there_stays_unless_it_may_go(tmp_path, write):
    path = tmp_path / ("a.ome.zarr" if write is write_ome_zarr else "a.ome.tif")
    write(placed(), path)
    with pytest.raises(WriteError, match="exists"):
        write(image(), path)
    assert open_image(path).scale == (0.2, 0.1, 0.3)
    write(image(), path, overwrite=True)
    assert open_image(path).scale == (0.3, 0.1, 0.2)


def test_a_folder_that_is_no_image_is_never_overwritten(tmp_path):
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / "thesis.txt").write_text("years")
    with pytest.raises(WriteError, match="exists"):
        write_ome_zarr(image(), tmp_path / "work", overwrite=True)
    assert (tmp_path / "work" / "thesis.txt").read_text() == "years"


def test_what_cannot_be_written_is_said(tmp_path):
    bare = OpenedImage((np.zeros((4, 4)),), ("y", "x"), None, name="bare")
    for write, name in ((write_ome_zarr, "a.zarr"), (write_ome_tiff, "a.tif")):
        with pytest.raises(MissingScaleError, match="bare has no pixel size"):
            write(bare, tmp_path / name)
        with pytest.raises(WriteError, match="no folder"):
            write(image(), tmp_path / "none" / name)
    with pytest.raises(WriteError, match="not written"):
        write_ome_zarr(image(), tmp_path / "a.zarr", version="0.1")
    with pytest.raises(WriteError, match=r"\.tif"):
        write_ome_tiff(image(), tmp_path / "a.png")
    with pytest.raises(WriteError, match="kind int64"):
        write_ome_tiff(image(dtype=np.int64), tmp_path / "a.tif")
    huge = OpenedImage(
        (da.zeros((1 << 20, 1 << 16, 1 << 16), chunks=(1, 4096, 4096), dtype=np.uint8),),
        ("z", "y", "x"),
        (1.0, 1.0, 1.0),
        (Channel(""),),
    )
    with pytest.raises(WriteError, match="GB"):
        write_ome_zarr(huge, tmp_path / "a.zarr")
    assert not list(tmp_path.iterdir())
