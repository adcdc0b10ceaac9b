from __future__ import annotations

import numpy as np
import pytest
from handmade_czi import XML, czi_bytes
from numcodecs.zstd import Zstd

from napari_clxem.errors import ReadError
from napari_clxem.io import open_image, open_images


def planes(count, dtype="<u2", shape=(3, 4)):
    size = shape[0] * shape[1]
    return [(np.arange(size).reshape(shape) + 20 * i).astype(dtype) for i in range(count)]


def write(path, blocks, xml=XML):
    path.write_bytes(czi_bytes(blocks, xml))
    return path


@pytest.mark.parametrize("dtype", ["u1", "<u2", "<f4"])
def test_stack_of_channels(tmp_path, dtype):
    parts = planes(6, dtype)
    blocks = [(parts[3 * c + z], {"C": c, "Z": z}, {}) for z in (2, 0, 1) for c in (0, 1)]
    image = open_image(write(tmp_path / "a.czi", blocks))
    assert image.axes == ("c", "z", "y", "x")
    np.testing.assert_array_equal(np.asarray(image.data), np.array(parts).reshape(2, 3, 3, 4))
    assert image.data.dtype == np.dtype(dtype)
    assert image.scale == pytest.approx((0.5, 0.2, 0.1))
    dapi, beads = image.channels
    assert (dapi.name, dapi.colour, dapi.wavelength) == ("DAPI", "#0000ff", 461.0)
    assert (beads.name, beads.colour, beads.wavelength) == ("beads", None, None)
    assert image.stage.position[1:] == (-2000.25, 1000.5)
    assert image.meta["numerical_aperture"] == 0.8
    assert image.missing == ()


def test_tiles_of_a_mosaic(tmp_path):
    """Starts count pixels of the scene, from anywhere; later tiles lie over earlier ones."""
    tiles = planes(4)
    starts = [(-5, -7), (-5, -4), (-3, -7), (-3, -4)]
    blocks = [
        (tile, {"Y": y, "X": x, "M": m}, {})
        for m, (tile, (y, x)) in enumerate(zip(tiles, starts, strict=True))
    ]
    image = open_image(write(tmp_path / "a.czi", blocks[::-1]))
    expected = np.zeros((5, 7), int)
    for tile, (y, x) in zip(tiles, starts, strict=True):
        expected[y + 5 : y + 8, x + 7 : x + 11] = tile
    np.testing.assert_array_equal(np.asarray(image.data), expected)
    np.testing.assert_array_equal(np.asarray(image.data[1:4, 2:]), expected[1:4, 2:])


def test_coarser_levels_are_not_mixed_in(tmp_path):
    blocks = [(planes(1)[0], {}, {}), (planes(2, shape=(2, 2))[1], {}, {"binned": 2})]
    image = open_image(write(tmp_path / "a.czi", blocks))
    np.testing.assert_array_equal(np.asarray(image.data), planes(1)[0])


def test_coarser_levels_of_a_mosaic(tmp_path):
    """Tiles of 8 x 8 side by side, and the same binned by 2 and 4 in tiles of their own."""
    data = np.random.default_rng(1).integers(0, 900, (2, 16, 24)).astype("<u2")
    blocks = []
    for c in range(2):
        for m, (y, x) in enumerate(np.ndindex(2, 3)):
            part = data[c, 8 * y : 8 * y + 8, 8 * x : 8 * x + 8]
            blocks.append((part, {"Y": 8 * y - 4, "X": 8 * x + 6, "C": c, "M": m}, {}))
        half, fourth = data[c, ::2, ::2], data[c, ::4, ::4]
        blocks.append((half[:, :8], {"Y": -4, "X": 6, "C": c}, {"binned": 2}))
        blocks.append((half[:, 8:], {"Y": -4, "X": 22, "C": c}, {"binned": 2}))
        blocks.append((fourth, {"Y": -4, "X": 6, "C": c}, {"binned": 4}))
    blocks.append((data[0, ::8, ::8], {"Y": -4, "X": 6, "C": 0}, {"binned": 8}))  # one channel only
    image = open_image(write(tmp_path / "a.czi", blocks))
    assert len(image.levels) == 3
    for level, step in zip(image.levels, (1, 2, 4), strict=True):
        np.testing.assert_array_equal(np.asarray(level), data[:, ::step, ::step])


def test_numbers_far_apart_are_no_axis(tmp_path):
    blocks = [(plane, {"C": c}, {}) for c, plane in zip((0, 30_000), planes(2), strict=True)]
    with pytest.raises(ReadError, match="cannot be"):
        open_image(write(tmp_path / "a.czi", blocks))


def test_scenes(tmp_path):
    blocks = [(plane, {"S": s}, {}) for s, plane in enumerate(planes(2))]
    first, second = open_images(write(tmp_path / "a.czi", blocks))
    np.testing.assert_array_equal(np.asarray(second.data), planes(2)[1])
    assert second.stage.position[1:] == (4.0, 3.0)
    assert (first.name, second.name) == ("a [0]", "a [1]")


@pytest.mark.parametrize("packed", [False, True])
def test_zstd(tmp_path, packed):
    (plane,) = planes(1)
    raw = plane.tobytes()
    if packed:
        halves = plane.view("u1").reshape(-1, 2).T.tobytes()
        block = {"compression": 6, "packed": b"\x03\x01\x01" + Zstd().encode(halves)}
    else:
        block = {"compression": 5, "packed": Zstd().encode(raw)}
    image = open_image(write(tmp_path / "a.czi", [(plane, {}, block)]))
    np.testing.assert_array_equal(np.asarray(image.data), plane)


def test_zstd_bomb(tmp_path):
    """More unpacked than the pixels take."""
    packed = Zstd().encode(bytes(1 << 22))
    path = write(tmp_path / "a.czi", [(planes(1)[0], {}, {"compression": 5, "packed": packed})])
    with pytest.raises(ReadError):
        np.asarray(open_image(path).data)


def test_colours(tmp_path):
    bgr = np.arange(36, dtype="u1").reshape(3, 12)
    block = (np.zeros((3, 4), "u1"), {}, {"kind": 3, "packed": bgr.tobytes()})
    image = open_image(write(tmp_path / "a.czi", [block]))
    assert [c.name for c in image.channels] == ["red", "green", "blue"]
    expected = bgr.reshape(3, 4, 3)[..., ::-1].transpose(2, 0, 1)
    np.testing.assert_array_equal(np.asarray(image.data), expected)


def test_planes_that_were_not_taken(tmp_path):
    blocks = [(planes(3)[z], {"Z": z}, {}) for z in (0, 2)]
    image = open_image(write(tmp_path / "a.czi", blocks))
    assert not np.asarray(image.data[1]).any()
    assert "1 planes" in image.missing[0]


@pytest.mark.parametrize(
    ("options", "message"),
    [({"compression": 1}, "way 1"), ({"kind": 99}, "type 99"), ({"packed": b"ab"}, "a.czi")],
)
def test_what_is_not_read(tmp_path, options, message):
    path = write(tmp_path / "a.czi", [(planes(1)[0], {}, options)])
    with pytest.raises(ReadError, match=message):
        np.asarray(open_image(path).data)


def test_several_angles(tmp_path):
    path = write(tmp_path / "a.czi", [(plane, {"V": v}, {}) for v, plane in enumerate(planes(2))])
    with pytest.raises(ReadError, match="axis V"):
        open_image(path)


def test_entities(tmp_path):
    path = write(tmp_path / "a.czi", [(planes(1)[0], {}, {})], '<!DOCTYPE a [<!ENTITY b "b">]><a/>')
    with pytest.raises(ReadError, match="entities"):
        open_image(path)


def test_truncated(tmp_path):
    raw = czi_bytes([(planes(1)[0], {}, {})])
    path = tmp_path / "a.czi"
    for length in (20, 100, 600, len(raw) - 200, len(raw) - 10):
        path.write_bytes(raw[:length])
        with pytest.raises(ReadError):
            np.asarray(open_image(path).data)


@pytest.mark.parametrize(
    "packing", ["uncompressed:", "zstd0:ExplicitLevel=1", "zstd1:ExplicitLevel=2"]
)
def test_file_by_the_vendor(tmp_path, packing):
    """Where Zeiss' own library is installed, it writes a mosaic to be read here."""
    czi = pytest.importorskip("pylibCZIrw.czi")
    tiles = {(c, i): planes(4, shape=(8, 10))[2 * c + i] for c in (0, 1) for i in (0, 1)}
    expected = np.zeros((2, 9, 18), int)
    with czi.create_czi(str(tmp_path / "a.czi"), compression_options=packing) as document:
        for (c, i), tile in tiles.items():
            y, x = (0, 0) if i == 0 else (1, 8)
            expected[c, y : y + 8, x : x + 10] = tile
            plane = {"C": c, "T": 0, "Z": 0}
            document.write(data=tile[..., None], location=(x, y), plane=plane)
        document.write_metadata("a", channel_names={0: "a", 1: "b"}, scale_x=1e-7, scale_y=2e-7)
    image = open_image(tmp_path / "a.czi")
    np.testing.assert_array_equal(np.asarray(image.data), expected)
    assert image.scale == pytest.approx((0.2, 0.1))
    assert [channel.name for channel in image.channels] == ["a", "b"]
