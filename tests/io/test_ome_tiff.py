from __future__ import annotations

import pickle

import numpy as np
import pytest
import tifffile
from handmade import ome_xml

from napari_clxem.errors import ReadError
from napari_clxem.io import open_image, open_images

SIZES = 'PhysicalSizeX="0.1" PhysicalSizeY="0.2"'


def planes(*shape: int) -> np.ndarray:
    return np.arange(np.prod(shape), dtype=np.uint16).reshape(shape)


def test_stack_with_channels(write_ome):
    data = planes(2, 3, 3, 4)
    inner = (
        '<Channel ID="Channel:0:0" Name="DAPI" Color="65535" EmissionWavelength="461"/>'
        '<Channel ID="Channel:0:1" Fluor="Alexa 647" Color="-16776961" '
        'EmissionWavelength="0.665" EmissionWavelengthUnit="µm"/>'
    )
    size = f'{SIZES} PhysicalSizeZ="300" PhysicalSizeZUnit="nm"'
    image = open_image(write_ome(data, ome_xml((1, 2, 3, 3, 4), size, inner), compression="zlib"))
    assert image.axes == ("c", "z", "y", "x")
    assert image.scale == pytest.approx((0.3, 0.2, 0.1))
    assert [c.name for c in image.channels] == ["DAPI", "Alexa 647"]
    # signed RGBA: 65535 is 0x0000FFFF, blue; -16776961 is 0xFF0000FF, red
    assert [c.colour for c in image.channels] == ["#0000ff", "#ff0000"]
    assert [c.wavelength for c in image.channels] == [461.0, 665.0]
    assert image.name == "cell"
    np.testing.assert_array_equal(np.asarray(image.data), data)


def test_dimension_order_of_the_file_is_undone(write_ome):
    data = planes(2, 3, 3, 4)  # c, z, y, x
    xml = ome_xml((1, 2, 3, 3, 4), SIZES).replace("XYZCT", "XYCZT")
    path = write_ome(data.swapaxes(0, 1), xml)
    np.testing.assert_array_equal(np.asarray(open_image(path).data), data)


def test_time_comes_first(write_ome):
    data = planes(2, 3, 3, 4)  # t, z, y, x
    image = open_image(write_ome(data, ome_xml((2, 1, 3, 3, 4), SIZES)))
    assert image.axes == ("t", "z", "y", "x")
    np.testing.assert_array_equal(np.asarray(image.data), data)


@pytest.mark.parametrize(
    ("value", "unit", "expected"),
    [("0.1", None, 0.1), ("1e5", "pm", 0.1), ("1000", "Å", 0.1), ("1e-4", "mm", 0.1)],
)
def test_units_of_the_pixel_size(write_ome, value, unit, expected):
    units = "" if unit is None else f'PhysicalSizeXUnit="{unit}" PhysicalSizeYUnit="{unit}"'
    sizes = f'PhysicalSizeX="{value}" PhysicalSizeY="{value}" {units}'
    image = open_image(write_ome(planes(3, 4), ome_xml(pixels=sizes)))
    assert image.scale == pytest.approx((expected, expected))


@pytest.mark.parametrize("value", ["0", "-0.1", "NaN", "inf", "1e-9", "1e9", "wide", ""])
def test_unusable_pixel_sizes_leave_no_scale(write_ome, value):
    sizes = f'PhysicalSizeX="{value}" PhysicalSizeY="0.1"'
    image = open_image(write_ome(planes(3, 4), ome_xml(pixels=sizes)))
    assert image.scale is None
    assert "pixel size" in image.missing[0]


def test_units_that_are_no_lengths_leave_no_scale(write_ome):
    sizes = f'{SIZES} PhysicalSizeXUnit="pixel"'
    image = open_image(write_ome(planes(3, 4), ome_xml(pixels=sizes)))
    assert image.scale is None
    assert "'pixel'" in image.missing[0]


def test_stack_without_a_z_step_has_no_scale(write_ome):
    image = open_image(write_ome(planes(2, 3, 4), ome_xml((1, 1, 2, 3, 4), SIZES)))
    assert image.scale is None
    assert "z is not stated" in image.missing[0]
    again = open_image(write_ome(planes(2, 3, 4), ome_xml((1, 1, 2, 3, 4), SIZES)), scale=(3, 2, 1))
    assert again.scale == (3.0, 2.0, 1.0)


def plane(z: int, x: float, y: float, height: float, unit: str = "µm") -> str:
    units = "".join(f' Position{a}Unit="{unit}"' for a in "XYZ") if unit else ""
    return (
        f'<Plane TheZ="{z}" TheC="0" TheT="0" PositionX="{x}" PositionY="{y}" '
        f'PositionZ="{height}"{units}/>'
    )


def test_stage_position_is_that_of_the_middle(write_ome):
    inner = plane(0, 100, -200, 5) + plane(1, 100, -200, 7)
    xml = ome_xml((1, 1, 2, 3, 4), SIZES, data="<TiffData/>" + inner)
    stage = open_image(write_ome(planes(2, 3, 4), xml)).stage
    assert stage.position == (6.0, -200.0, 100.0)
    assert stage.convention == "ome"


def test_stage_position_in_other_units(write_ome):
    inner = plane(0, 0.1, -0.2, 0.005, "mm")
    xml = ome_xml(pixels=SIZES, data="<TiffData/>" + inner)
    assert open_image(write_ome(planes(3, 4), xml)).stage.position == pytest.approx((5, -200, 100))


def test_stage_position_without_a_unit_is_not_used(write_ome):
    xml = ome_xml(pixels=SIZES, data="<TiffData/>" + plane(0, 1, 2, 3, ""))
    image = open_image(write_ome(planes(3, 4), xml))
    assert image.stage is None
    assert "no unit" in image.missing[0]


def test_several_images(tmp_path):
    path = tmp_path / "two.ome.tif"
    data = planes(3, 4), planes(2, 5, 6)
    with tifffile.TiffWriter(path, ome=True) as file:
        for i, image in enumerate(data):
            axes = "ZYX"[-image.ndim :]
            sizes = {"PhysicalSizeX": i + 1, "PhysicalSizeY": i + 1, "PhysicalSizeZ": 2}
            file.write(image, metadata={"axes": axes, "Name": f"n{i}", **sizes})
    images = open_images(path)
    assert [image.name for image in images] == ["n0", "n1"]
    assert [image.scale for image in images] == [(1.0, 1.0), (2.0, 2.0, 2.0)]
    for image, stored in zip(images, data, strict=True):
        np.testing.assert_array_equal(np.asarray(image.data), stored)
    assert open_image(path, index=1).name == "n1"
    with pytest.raises(ReadError, match="2 images"):
        open_image(path, index=2)


def test_pyramid_in_subifds(tmp_path):
    path = tmp_path / "pyramid.ome.tif"
    data = planes(2, 256, 300)
    with tifffile.TiffWriter(path, ome=True) as file:
        file.write(
            data,
            subifds=2,
            tile=(64, 64),
            compression="zlib",
            metadata={"axes": "CYX", "PhysicalSizeX": 0.1, "PhysicalSizeY": 0.1},
        )
        for step in (2, 4):
            file.write(data[:, ::step, ::step], subfiletype=1, tile=(64, 64), compression="zlib")
    image = open_image(path)
    assert [level.shape for level in image.levels] == [(2, 256, 300), (2, 128, 150), (2, 64, 75)]
    for level, step in zip(image.levels, (1, 2, 4), strict=True):
        np.testing.assert_array_equal(np.asarray(level), data[:, ::step, ::step])


def test_samples_of_colour_are_channels(tmp_path):
    path = tmp_path / "rgb.ome.tif"
    data = planes(3, 4, 3).astype(np.uint8)
    tifffile.imwrite(path, data, photometric="rgb", metadata={"axes": "YXS"})
    image = open_image(path)
    assert image.axes == ("c", "y", "x")
    assert [c.name for c in image.channels] == ["red", "green", "blue"]
    np.testing.assert_array_equal(np.asarray(image.data), np.moveaxis(data, -1, 0))


def test_nothing_is_read_at_opening(tmp_path, monkeypatch):
    path = tmp_path / "big.ome.tif"
    tifffile.imwrite(path, planes(4, 64, 64), compression="zlib", metadata={"axes": "ZYX"})
    reads = []
    original = tifffile.TiffPage.asarray
    monkeypatch.setattr(
        tifffile.TiffPage,
        "asarray",
        lambda self, *a, **k: reads.append(self.index) or original(self, *a, **k),
    )
    image = open_image(path)
    assert image.data.chunks[0] == (1, 1, 1, 1)
    assert reads == []
    np.testing.assert_array_equal(np.asarray(image.data[2]), planes(4, 64, 64)[2])


def test_lazy_arrays_survive_pickling_and_backward_slices(tmp_path):
    path = tmp_path / "a.ome.tif"
    data = planes(4, 20, 30)
    tifffile.imwrite(path, data, compression="zlib", metadata={"axes": "ZYX"})
    lazy = pickle.loads(pickle.dumps(open_image(path).data))
    np.testing.assert_array_equal(np.asarray(lazy[::-1, ::-2, 3:20:4]), data[::-1, ::-2, 3:20:4])


def test_planes_that_are_not_there_are_told(write_ome):
    xml = ome_xml((1, 1, 3, 3, 4), SIZES, data='<TiffData IFD="0" PlaneCount="2"/>')
    image = open_image(write_ome(planes(2, 3, 4), xml), scale=(1, 1, 1))
    assert image.data.shape == (3, 3, 4)
    assert "1 planes are not in the file" in " ".join(image.missing)
    np.testing.assert_array_equal(np.asarray(image.data[2]), 0)


@pytest.mark.parametrize("name", ["../b.ome.tif", "/etc/passwd", "..", "C:\\b.tif", "d/b.tif"])
def test_other_files_outside_the_folder_are_not_followed(write_ome, name):
    data = (
        f'<TiffData IFD="0" PlaneCount="1"><UUID FileName="{name}">'
        "urn:uuid:00000000-0000-0000-0000-000000000001</UUID></TiffData>"
    )
    path = write_ome(planes(3, 4), ome_xml(pixels=SIZES, data=data))
    with pytest.raises(ReadError, match="outside its folder"):
        open_image(path)


def test_link_that_leads_out_is_not_followed(write_ome, tmp_path):
    outside = write_ome(planes(3, 4), ome_xml(pixels=SIZES), name="outside.ome.tif")
    folder = tmp_path / "inside"
    folder.mkdir()
    (folder / "b.ome.tif").symlink_to(outside)
    data = (
        '<TiffData IFD="0" PlaneCount="1"><UUID FileName="b.ome.tif">'
        "urn:uuid:00000000-0000-0000-0000-000000000001</UUID></TiffData>"
    )
    path = write_ome(planes(3, 4), ome_xml(pixels=SIZES, data=data), name="inside/a.ome.tif")
    with pytest.raises(ReadError, match="outside its folder"):
        open_image(path)


def test_files_of_one_set_in_one_folder(write_ome, tmp_path):
    names = ("a.ome.tif", "b.ome.tif")
    data = "".join(
        f'<TiffData FirstZ="{i}" IFD="0" PlaneCount="1"><UUID FileName="{name}">'
        f"urn:uuid:00000000-0000-0000-0000-00000000000{i}</UUID></TiffData>"
        for i, name in enumerate(names)
    )
    xml = ome_xml((1, 1, 2, 3, 4), f'{SIZES} PhysicalSizeZ="1"', data=data)
    for i, name in enumerate(names):
        uuid = f'UUID="urn:uuid:00000000-0000-0000-0000-00000000000{i}" xmlns='
        write_ome(planes(2, 3, 4)[i], xml.replace("xmlns=", uuid, 1), name=name)
    image = open_image(tmp_path / "a.ome.tif")
    np.testing.assert_array_equal(np.asarray(image.data), planes(2, 3, 4))
    assert image.missing == ()


def test_description_kept_elsewhere(write_ome):
    xml = (
        '<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06">'
        '<BinaryOnly MetadataFile="all.companion.ome" UUID="urn:uuid:1"/></OME>'
    )
    image = open_image(write_ome(planes(3, 4), xml))
    assert image.scale is None
    assert "'all.companion.ome'" in " ".join(image.missing)


def test_xml_that_does_not_fit_is_left_aside(write_ome):
    image = open_image(write_ome(planes(3, 4), ome_xml((1, 1, 1, 30, 40), SIZES)))
    assert image.data.shape == (3, 4)
    assert image.scale is None
    assert "does not fit" in " ".join(image.missing)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("</Pixels>", "</Pxels>", "broken"),
        ('SizeX="4"', 'SizeX="-4"', "sizes"),
        ('SizeZ="1"', 'SizeZ="99999999999"', "planes"),
        ("<TiffData/>", '<TiffData IFD="0" PlaneCount="4000000000"/>', "planes"),
    ],
)
def test_bad_xml(write_ome, old, new, message):
    path = write_ome(planes(3, 4), ome_xml(pixels=SIZES).replace(old, new))
    with pytest.raises(ReadError, match=message):
        open_image(path)


def test_entity_bomb(write_ome):
    bomb = '<!DOCTYPE OME [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>'
    xml = ome_xml(image='Name="&b;"').replace("?>", f"?>{bomb}", 1)
    path = write_ome(planes(3, 4), xml)
    with pytest.raises(ReadError, match="entities"):
        open_image(path)


def test_truncated_pages(write_ome):
    path = write_ome(planes(2, 60, 60), ome_xml((1, 1, 2, 60, 60), SIZES))
    with tifffile.TiffFile(path) as file:
        last = file.pages[1]
        offset, end = last.offset, last.dataoffsets[0] + last.databytecounts[0]
    raw = path.read_bytes()
    # the directory of the last page lies before its pixels, so the chain stays whole
    assert offset < end == len(raw)
    path.write_bytes(raw[:-100])
    with pytest.raises(ReadError, match=f"ends at byte {end}, the file at byte {end - 100}"):
        open_image(path)


def test_damaged_compression_is_told_when_pixels_are_read(write_ome):
    path = write_ome(planes(60, 60), ome_xml((1, 1, 1, 60, 60), SIZES), compression="zlib")
    with tifffile.TiffFile(path) as file:
        start, count = file.pages[0].dataoffsets[0], file.pages[0].databytecounts[0]
    raw = bytearray(path.read_bytes())
    raw[start : start + count] = bytes(count)
    path.write_bytes(raw)
    image = open_image(path)
    with pytest.raises(ReadError, match=r"a\.ome\.tif cannot be read"):
        np.asarray(image.data)


def test_pages_in_a_ring(tmp_path):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, planes(3, 3, 4), metadata=None, photometric="minisblack")
    with tifffile.TiffFile(path) as file:
        first, last = file.pages[0].offset, file.pages[-1]
        end = last.offset + 2 + 12 * len(last.tags)
    raw = bytearray(path.read_bytes())
    raw[end : end + 4] = first.to_bytes(4, "little")
    path.write_bytes(raw)
    with pytest.raises(ReadError, match="in a ring"):
        open_image(path)
