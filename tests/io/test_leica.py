from __future__ import annotations

import re

import numpy as np
import pytest
from handmade_leica import (
    SETTING,
    element,
    header,
    image_xml,
    lif_bytes,
    lof_bytes,
    one_image,
    write_xlef,
)

from napari_clxem.errors import ReadError
from napari_clxem.io import Orientation, open_image, open_images

STEP = {"x": 1e-7, "y": 2e-7, "z": 5e-7, "t": 1.0}


def phantom(*shape, dtype="<u2"):
    return np.arange(np.prod(shape)).reshape(shape).astype(dtype)


@pytest.mark.parametrize("dtype", ["u1", "<u2", "<f4"])
def test_stack_of_channels(tmp_path, dtype):
    data = phantom(3, 2, 4, 5, dtype=dtype)
    path = tmp_path / "a.lif"
    path.write_bytes(one_image(data, "zcyx", STEP, tables=("Green", "Red")))
    image = open_image(path)
    assert image.axes == ("c", "z", "y", "x")
    np.testing.assert_array_equal(np.asarray(image.data), data.transpose(1, 0, 2, 3))
    assert image.scale == pytest.approx((0.5, 0.2, 0.1))
    assert [c.colour for c in image.channels] == ["#00ff00", "#ff0000"]
    assert image.stage.position == pytest.approx((3.0, 2000.0, 1000.0))
    assert image.meta["numerical_aperture"] == 1.4
    assert image.name == "cell"


def test_several_images(tmp_path):
    parts = {"MemBlock_1": phantom(4, 5), "MemBlock_2": phantom(6, 3) + 7}
    inner = "".join(
        element(f"image {i}", image_xml(data, "yx", STEP, block=name))
        for i, (name, data) in enumerate(parts.items())
    )
    path = tmp_path / "a.lif"
    path.write_bytes(lif_bytes(header(inner), {k: v.tobytes() for k, v in parts.items()}))
    images = open_images(path)
    assert [image.name for image in images] == ["image 0", "image 1"]
    for image, data in zip(images, parts.values(), strict=True):
        np.testing.assert_array_equal(np.asarray(image.data), data)


def test_names_and_wavelengths_of_dyes(tmp_path):
    extra = (
        '<DetectorList><Detector Channel="1" IsActive="1"/><Detector Channel="2" IsActive="0"/>'
        '<Detector Channel="3" IsActive="1"/></DetectorList><Spectro>'
        '<MultiBand Channel="1" TargetWaveLengthBegin="500" TargetWaveLengthEnd="540" '
        'DyeName="Leica/FITC"/><MultiBand Channel="2" TargetWaveLengthBegin="1" '
        'TargetWaveLengthEnd="2" DyeName="Leica/no"/><MultiBand Channel="3" '
        'TargetWaveLengthBegin="600" TargetWaveLengthEnd="650" DyeName=""/></Spectro>'
    )
    path = tmp_path / "a.lif"
    data = phantom(2, 4, 5)
    path.write_bytes(one_image(data, "cyx", STEP, tables=("Green", "Red"), extra=extra))
    channels = open_image(path).channels
    assert [c.name for c in channels] == ["FITC", "Red"]
    assert [c.wavelength for c in channels] == [520.0, 625.0]


@pytest.mark.parametrize(
    ("flags", "right", "down"),
    [
        ("000", (0.0, 1.0), (1.0, 0.0)),
        ("100", (0.0, -1.0), (1.0, 0.0)),
        ("010", (0.0, 1.0), (-1.0, 0.0)),
        ("001", (1.0, 0.0), (0.0, 1.0)),
        ("011", (1.0, 0.0), (0.0, -1.0)),
    ],
)
def test_flips_say_how_the_image_lies_on_the_stage(tmp_path, flags, right, down):
    """`right` and `down` are the stage (y, x) directions of columns and rows."""
    setting = {**SETTING, **dict(zip(("FlipX", "FlipY", "SwapXY"), flags, strict=True))}
    path = tmp_path / "a.lif"
    # square pixels: swapped axes then keep their lengths
    path.write_bytes(one_image(phantom(5, 7), "yx", {"x": 1e-7, "y": 1e-7}, setting=setting))
    matrix = np.array(open_image(path).stage.image_to_stage)
    assert matrix @ [0.2, 0.3, 1] == pytest.approx([2000.0, 1000.0, 1.0])
    assert matrix[:2, 1] == pytest.approx(right)
    assert matrix[:2, 0] == pytest.approx(down)


def test_turned_scan_is_not_guessed(tmp_path):
    path = tmp_path / "a.lif"
    setting = {**SETTING, "RotatorAngle": "30"}
    path.write_bytes(one_image(phantom(5, 7), "yx", STEP, setting=setting))
    image = open_image(path)
    assert image.stage.position == pytest.approx((3.0, 2000.0, 1000.0))
    assert image.stage.image_to_stage is None
    assert "turned by 30" in image.missing[0]


def test_lof(tmp_path):
    data = phantom(2, 4, 5)
    path = tmp_path / "a.lof"
    path.write_bytes(lof_bytes(data, "zyx", STEP))
    image = open_image(path)
    np.testing.assert_array_equal(np.asarray(image.data), data)
    assert image.scale == pytest.approx((0.5, 0.2, 0.1))


def test_xlef(tmp_path):
    data = phantom(3, 2, 4, 5)
    path = write_xlef(tmp_path, data, "zcyx", STEP, tables=("Green", "Red"))
    image = open_image(path)
    np.testing.assert_array_equal(np.asarray(image.data), data.transpose(1, 0, 2, 3))
    assert image.scale == pytest.approx((0.5, 0.2, 0.1))


@pytest.mark.parametrize(
    "file", ["../../secret.lof", "/etc/passwd", "..\\..\\secret.lof", "%2e%2e/%2e%2e/a"]
)
def test_files_outside_the_folder_are_refused(tmp_path, file):
    folder = tmp_path / "project"
    folder.mkdir()
    path = write_xlef(folder, phantom(4, 5), "yx", STEP, file=file)
    (tmp_path / "secret.lof").write_bytes((folder / "a.lof").read_bytes())
    with pytest.raises(ReadError, match="outside its folder"):
        open_image(path)


def test_missing_part_of_a_project(tmp_path):
    path = write_xlef(tmp_path, phantom(4, 5), "yx", STEP)
    (tmp_path / "meta" / "cell.xlif").unlink()
    with pytest.raises(ReadError, match="missing"):
        open_image(path)


def test_project_that_names_itself(tmp_path):
    path = tmp_path / "a.xlcf"
    path.write_text(header('<Reference File="a.xlcf"/>'))
    with pytest.raises(ReadError, match="names itself"):
        open_image(path)


def test_entities(tmp_path):
    bomb = '<!DOCTYPE a [<!ENTITY b "bbbb"><!ENTITY c "&b;&b;">]>'
    inner = element("cell", image_xml(phantom(4, 5), "yx", STEP))
    path = tmp_path / "a.lif"
    path.write_bytes(lif_bytes(bomb + header(inner), {"MemBlock_1": bytes(40)}))
    with pytest.raises(ReadError, match="entities"):
        open_image(path)


def test_truncated(tmp_path):
    raw = one_image(phantom(4, 5), "yx", STEP)
    path = tmp_path / "a.lif"
    for length in (14, 500, len(raw) - 60, len(raw) - 1):
        path.write_bytes(raw[:length])
        with pytest.raises(ReadError):
            open_image(path)


def test_no_image(tmp_path):
    path = tmp_path / "a.lif"
    path.write_bytes(lif_bytes(header(""), {}))
    with pytest.raises(ReadError, match="no image"):
        open_image(path)


def test_real_file(shared_data):
    path = shared_data / "formats" / "lif" / "xz-example.lif"
    raw = path.read_bytes()
    xml = raw[13 : 13 + 2 * int.from_bytes(raw[9:13], "little")].decode("utf-16-le")
    images = open_images(path)
    assert [image.name for image in images] == ["xzt", "xzy", "xz"]
    assert [image.data.shape for image in images] == [
        (20, 2, 128, 1, 128),
        (2, 128, 23, 128),
        (2, 512, 1, 512),
    ]
    stack = images[1]
    part = xml.split('Name="xzy"')[1].split("</Dimensions>")[0]
    said = {
        int(m[1]): float(m[3]) / (int(m[2]) - 1) * 1e6
        for m in re.finditer(
            r'DimID="(\d)" NumberOfElements="(\d+)" Origin="[^"]*" Length="([^"]*)"', part
        )
    }
    assert stack.scale == pytest.approx([abs(said[3]), abs(said[2]), abs(said[1])])
    assert stack.scale == pytest.approx((0.140279, 0.229062, 0.140280), abs=1e-6)
    setting = xml.split('Name="xzy"')[1]
    place = [float(re.search(rf'StagePos{a}="([^"]*)"', setting)[1]) * 1e6 for a in "YX"]
    assert stack.stage.position[1:] == pytest.approx(place)
    assert place == pytest.approx([14743.05397, 34620.93931])
    assert [c.name for c in stack.channels] == ["FITC", "TRITC"]
    # frames (z, x) of 128 x 128 bytes, channels within rows of the stack
    start = raw.index("MemBlock_88".encode("utf-16-le"), 13 + 2 * len(xml)) + 22
    block = np.frombuffer(raw, "u1", 23 * 2 * 128 * 128, start).reshape(23, 2, 128, 128)
    np.testing.assert_array_equal(np.asarray(stack.data), block.transpose(1, 2, 0, 3))


def test_stack_lies_on_the_stage_as_its_sections_do(tmp_path):
    path = tmp_path / "a.lif"
    path.write_bytes(one_image(phantom(3, 5, 7), "zyx", STEP))
    plain = np.array(open_image(path).stage.image_to_stage)
    middle = np.array([2 * 0.2, 3 * 0.1, 1])
    assert plain @ middle == pytest.approx([2000.0, 1000.0, 1.0])
    turned = open_image(path, orientation=Orientation(axes=("z", "x", "y"), flip=("x",)))
    # stored rows are x now, backwards: the same place lies elsewhere in the image
    place = np.array([1 * 0.1, (4 - 1) * 0.2, 1])
    assert np.array(turned.stage.image_to_stage) @ place == pytest.approx(
        plain @ [1 * 0.2, 1 * 0.1, 1]
    )
    across = open_image(path, orientation=Orientation(axes=("y", "z", "x")))
    assert across.stage.image_to_stage is None


@pytest.mark.parametrize("tags", ["123", "321"])
def test_colour_pictures(tmp_path, tags):
    """Samples lie innermost, red or blue first as the channel tags say."""
    data = phantom(4, 5, 3, dtype="u1")
    path = tmp_path / "a.lif"
    path.write_bytes(one_image(data, "yxc", STEP, tables=("Red", "Green", "Blue"), tags=tags))
    image = open_image(path)
    assert image.axes == ("c", "y", "x")
    assert [c.name for c in image.channels] == ["red", "green", "blue"]
    expected = data if tags == "123" else data[..., ::-1]
    np.testing.assert_array_equal(np.asarray(image.data), expected.transpose(2, 0, 1))


def test_other_units_are_no_pixel_size(tmp_path):
    path = tmp_path / "a.lif"
    raw = one_image(phantom(4, 5), "yx", STEP)
    path.write_bytes(raw.replace('Unit="m"'.encode("utf-16-le"), 'Unit="V"'.encode("utf-16-le")))
    image = open_image(path)
    assert image.scale is None
    assert "in V, not metres" in image.missing[0]


def test_tiles_that_were_not_joined_are_a_series(tmp_path):
    data = phantom(3, 4, 5)
    path = tmp_path / "a.lif"
    path.write_bytes(one_image(data, "myx", STEP))
    image = open_image(path)
    assert image.axes == ("t", "y", "x")
    np.testing.assert_array_equal(np.asarray(image.data), data)
    assert "tile scan" in image.missing[0]


def tile_scan(data, axes, places, flips="000", **options):
    """A .lif whose tiles were taken at stage (y, x), µm."""
    said = " ".join(
        f'{key}="{flag}"' for key, flag in zip(("FlipX", "FlipY", "SwapXY"), flips, strict=True)
    )
    metres = [tuple(1e-6 * float(value) for value in place) for place in places]
    tiles = "".join(f'<Tile PosX="{x!r}" PosY="{y!r}" PosZ="0"/>' for y, x in metres)
    scan = f'<Attachment Name="TileScanInfo" {said}>{tiles}</Attachment></Image>'
    xml = image_xml(data, axes, {"x": 1e-7, "y": 1e-7, "z": 1e-6}, **options)
    inner = element("cell", xml.replace("</Image>", scan))
    return lif_bytes(header(inner), {"MemBlock_1": np.ascontiguousarray(data).tobytes()})


# Directions of stage (y, x) for a step down a row and right along a column, by the flips.
WAYS = {
    "000": ((1, 0), (0, 1)),
    "100": ((1, 0), (0, -1)),
    "010": ((-1, 0), (0, 1)),
    "001": ((0, 1), (1, 0)),
    "011": ((0, -1), (1, 0)),
}


@pytest.mark.parametrize("flips", WAYS)
def test_tiles_are_joined_where_the_stage_took_them(tmp_path, flips):
    """Tiles cut out of a larger picture, overlapping by one or two pixels, give it back."""
    picture = np.random.default_rng(1).integers(1, 900, (2, 9, 13)).astype("<u2")
    corners = [(0, 0), (0, 4), (0, 8), (4, 0), (4, 4), (4, 8)]
    data = np.array([picture[:, r : r + 5, c : c + 5] for r, c in corners])
    down, right = np.array(WAYS[flips])
    middle = np.array([500.0, -300.0])  # stage of the middle of the picture, µm
    places = [middle + 0.1 * (down * (r + 2 - 4) + right * (c + 2 - 6)) for r, c in corners]
    path = tmp_path / "a.lif"
    path.write_bytes(tile_scan(data, "mzyx", places, flips))
    image = open_image(path)
    assert image.axes == ("z", "y", "x")
    np.testing.assert_array_equal(np.asarray(image.data), picture)
    np.testing.assert_array_equal(np.asarray(image.data[1, 3:6, 5:]), picture[1, 3:6, 5:])
    assert image.stage.position[1:] == pytest.approx(middle)
    matrix = np.array(image.stage.image_to_stage)
    assert matrix[:2] @ [0.4, 0.6, 1] == pytest.approx(middle)
    assert matrix[:2, 0] == pytest.approx(down)
    assert matrix[:2, 1] == pytest.approx(right)
    assert image.missing == ()


def test_channels_of_tiles(tmp_path):
    picture = np.random.default_rng(2).integers(1, 900, (3, 4, 9)).astype("<u2")
    data = np.array([picture[..., :5], picture[..., 4:]])
    path = tmp_path / "a.lif"
    tables = ("Green", "Red", "Blue")
    path.write_bytes(tile_scan(data, "mcyx", [(0, 0), (0, 0.4)], tables=tables))
    image = open_image(path)
    assert image.axes == ("c", "y", "x")
    np.testing.assert_array_equal(np.asarray(image.data), picture)
    assert [channel.name for channel in image.channels] == list(tables)


@pytest.mark.parametrize(
    ("places", "setting"),
    [
        ([(0, 0), (0, 0)], None),
        ([(0, 0), (0, 0.4), (0, 0.8)], None),
        ([(0, 0), (0, 1e30)], None),
        ([(0, 0), (0, 0.4)], {**SETTING, "RotatorAngle": "30"}),
    ],
)
def test_tiles_that_do_not_say_how_they_lie_are_a_series(tmp_path, places, setting):
    path = tmp_path / "a.lif"
    path.write_bytes(tile_scan(phantom(2, 4, 5), "myx", places, setting=setting))
    image = open_image(path)
    assert image.axes == ("t", "y", "x")
    assert "tile scan" in image.missing[0]


def test_a_tile_scan_of_a_project(tmp_path):
    data = phantom(2, 4, 5)
    path = write_xlef(tmp_path, data, "myx", STEP)
    place = tmp_path / "meta" / "cell.xlif"
    tiles = '<Tile PosX="0" PosY="0"/><Tile PosX="5e-7" PosY="0"/>'
    scan = f'<Attachment Name="TileScanInfo">{tiles}</Attachment></Image>'
    place.write_text(place.read_text().replace("</Image>", scan))
    image = open_image(path)
    np.testing.assert_array_equal(np.asarray(image.data), np.concatenate(data, axis=1))


def test_sections_in_an_order_that_is_not_read_are_told(tmp_path):
    path = tmp_path / "a.lif"
    path.write_bytes(tile_scan(phantom(2, 5, 6, 2), "ztxm", [(0, 0), (0, 0.4)]))
    with pytest.raises(ReadError, match="order that is not read"):
        open_image(path)
