from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_clxem.errors import ReadError
from napari_clxem.io import open_image, open_images
from napari_clxem.io.readers import stitching
from napari_clxem.io.readers.stitching import Canvas, Coarse, Kept, Tile, stitched

HEAD = "PixelSpacing = 20\nImageSize = 6 4\nMontage = 1\n\n"


def mdoc(path, places, extra=("",) * 9, tail=""):
    sections = "".join(
        f"[ZValue = {i}]\nPieceCoordinates = {x} {y} {z}\nStagePosition = 0 0\nTiltAngle = 0\n"
        f"{extra[i]}"
        for i, (x, y, z) in enumerate(places)
    )
    path.write_text(HEAD + sections + tail)


def pieces(count):
    return np.arange(count * 24, dtype="<i2").reshape(count, 4, 6)


def size(count):
    return {"cell": (6 * 20, 4 * 20, count * 20)}


PLACES = [(0, 0, 0), (0, 3, 0), (5, 0, 0), (5, 3, 0)]


def test_pieces_count_from_the_lower_left(write_mrc, tmp_path):
    data = pieces(4)
    mdoc(tmp_path / "a.mrc.mdoc", PLACES)
    image = open_image(write_mrc("a.mrc", data, **size(4)))
    expected = np.zeros((7, 11), int)
    for piece, (x, y, _) in zip(data, PLACES, strict=True):
        expected[y : y + 4, x : x + 6] = piece
    assert image.axes == ("y", "x")
    np.testing.assert_array_equal(np.asarray(image.data), expected[::-1])
    np.testing.assert_array_equal(np.asarray(image.data[1:5, 2:9]), expected[::-1][1:5, 2:9])
    np.testing.assert_array_equal(np.asarray(image.data[::-2, ::3]), expected[::-1][::-2, ::3])
    assert image.scale == pytest.approx((0.002, 0.002))


def test_aligned_places_count_before_planned_ones(write_mrc, tmp_path):
    moved = [(0, 0), (1, 3), (4, -1), (5, 4)]
    extra = [f"AlignedPieceCoordsVS = {x} {y} 0\n" for x, y in moved]
    mdoc(tmp_path / "a.mrc.mdoc", PLACES, extra)
    data = pieces(4)
    image = open_image(write_mrc("a.mrc", data, **size(4)))
    expected = np.zeros((9, 11), int)
    for piece, (x, y) in zip(data, moved, strict=True):
        expected[y + 1 : y + 5, x : x + 6] = piece[:, : 11 - x]
    # what hangs over the planned edge is not shown, so that the map stays where it is
    np.testing.assert_array_equal(np.asarray(image.data), expected[1:8][::-1])
    assert image.meta["montage"]["coordinates"] == "AlignedPieceCoordsVS"


def test_aligned_places_far_away_are_not_believed(write_mrc, tmp_path):
    extra = [f"AlignedPieceCoords = {900 * x} {y} 0\n" for x, y, _ in PLACES]
    mdoc(tmp_path / "a.mrc.mdoc", PLACES, extra)
    image = open_image(write_mrc("a.mrc", pieces(4), **size(4)))
    assert image.data.shape == (7, 11)


def test_several_montages_in_a_file(write_mrc, tmp_path):
    places = [(0, 0, 0), (5, 0, 0), (0, 0, 1), (0, 3, 1)]
    mdoc(tmp_path / "a.mrc.mdoc", places)
    first, second = open_images(write_mrc("a.mrc", pieces(4), **size(4)))
    assert (first.data.shape, second.data.shape) == ((4, 11), (7, 6))
    np.testing.assert_array_equal(np.asarray(second.data[:4]), pieces(4)[3][::-1])


def test_map_places_a_montage(write_mrc, tmp_path):
    mdoc(tmp_path / "a.mrc.mdoc", PLACES)
    (tmp_path / "a.nav").write_text(
        "AdocVersion = 2.00\n\n[Item = map]\nStageXYZ = 10 20 30\nType = 2\nMapFile = a.mrc\n"
        "MapSection = 0\nMapScaleMat = 100 0 0 -100\nMapWidthHeight = 11 7\nMapMontage = 1\n"
        "MapBinning = 2\nMontBinning = 1\n"
    )
    image = open_image(write_mrc("a.mrc", pieces(4), **size(4)))
    # 100 px per µm of the map, binned twice less as a montage
    assert image.scale == pytest.approx((0.005, 0.005))
    matrix = np.array(image.stage.image_to_stage)
    middle = [3 * 0.005, 5 * 0.005, 1]
    assert matrix @ middle == pytest.approx([20, 10, 1])
    assert matrix[:2, :2] == pytest.approx(np.diag([-1.0, 1.0]))


def test_section_of_the_montage_gives_the_stage(write_mrc, tmp_path):
    tail = "[MontSection = 0]\nStagePosition = 7 8\nStageZ = 9\nTiltAngle = 0.5\n"
    mdoc(tmp_path / "a.mrc.mdoc", PLACES, tail=tail)
    stage = open_image(write_mrc("a.mrc", pieces(4), **size(4))).stage
    assert (stage.position, stage.tilt) == ((9.0, 8.0, 7.0), 0.5)


def test_damaged_places_are_no_huge_image(write_mrc, tmp_path):
    mdoc(tmp_path / "a.mrc.mdoc", [(0, 0, 0), (10**9, 3, 0)])
    with pytest.raises(ReadError, match="mosaic of 7 x 1000000006"):
        open_image(write_mrc("a.mrc", pieces(2), **size(2)))


def test_real_montage(shared_data, write_mrc, tmp_path):
    text = (shared_data / "formats" / "serialem" / "montage_section.mdoc").read_text()
    small = text.replace("ImageSize = 5064 3976", "ImageSize = 50 39")

    def reduced(match):
        return f"{match[1]} = {int(match[2]) // 100} {int(match[3]) // 100} {match[4]}"

    pattern = r"(\w*Piece[A-Za-z]*) = (-?\d+) (-?\d+) (\d+)"
    (tmp_path / "a.mrc.mdoc").write_text(re.sub(pattern, reduced, small))
    places = [
        tuple(map(int, m)) for m in re.findall(r"^PieceCoordinates = (\d+) (\d+) 0", text, re.M)
    ]
    assert len(places) == 62
    data = np.arange(62, dtype="<i2")[:, None, None] * np.ones((1, 39, 50), "<i2")
    image = open_image(write_mrc("a.mrc", data, cell=(50 * 656.139, 39 * 656.139, 62 * 656.139)))
    columns, rows = (max(p[i] for p in places) // 100 for i in (0, 1))
    assert image.data.shape == (rows + 39, columns + 50)
    shown = np.asarray(image.data)[::-1]
    # the middle of the tenth piece, where no other lies, away from its own edges
    aligned = re.findall(r"^AlignedPieceCoordsVS = (-?\d+) (-?\d+) 0", text, re.M)
    x, y = (int(v) // 100 for v in aligned[10])
    assert shown[y + 19, x + 25] == 10
    assert image.scale == pytest.approx((0.0656139, 0.0656139))


def means(picture, step):
    rows, columns = (n // step for n in picture.shape)
    cut = picture[: rows * step, : columns * step].astype(float)
    return cut.reshape(rows, step, columns, step).mean(axis=(1, 3))


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_coarse_parts_are_averages(data):
    """Whatever the block that they are kept in, and in whichever order they are asked for."""
    picture = np.random.default_rng(1).uniform(1, 900, (37, 53)).astype("<f4")
    tiles = tuple(Tile(r, c, 19, 28) for r in (0, 18) for c in (0, 25))

    def pixels(number):
        tile = tiles[number]
        return picture[tile.row : tile.row + 19, tile.column : tile.column + 28]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stitching, "CHUNK", 16)
        canvas = Canvas(Path(__file__), (37, 53), picture.dtype, tiles, pixels)
        for _ in range(3):
            step = data.draw(st.sampled_from([2, 4, 8, 16]))
            coarse = Coarse(canvas, step)
            exact = means(picture, step)
            assert coarse.shape == exact.shape
            parts = tuple(
                slice(
                    data.draw(st.integers(0, n - 1)),
                    data.draw(st.integers(1, n)),
                    data.draw(st.integers(1, 3)),
                )
                for n in exact.shape
            )
            np.testing.assert_allclose(coarse[parts], exact[parts], rtol=1e-5)


def test_coarse_pictures_are_read_once():
    reads = []
    picture = np.random.default_rng(2).integers(0, 9000, (4100, 4096)).astype(np.uint16)

    def pixels(number):
        reads.append(number)
        return picture

    canvas = Canvas(Path(__file__), picture.shape, picture.dtype, (Tile(0, 0, 4100, 4096),), pixels)
    full, half, fourth, eighth = stitched(canvas, "once")
    assert [level.shape for level in (half, fourth, eighth)] == [
        (2050, 2048),
        (1025, 1024),
        (512, 512),
    ]
    found = np.asarray(eighth)
    assert np.abs(found - means(picture, 8)).max() <= 1  # rounded twice
    assert len(reads) == 4  # once for each block
    np.testing.assert_array_equal(np.asarray(eighth[200:400, 100:500]), found[200:400, 100:500])
    assert np.abs(np.asarray(fourth) - means(picture, 4)).max() <= 0.5
    assert len(reads) == 6  # the last rows are in none of the eighth
    np.testing.assert_array_equal(np.asarray(full[4090:, :5]), picture[4090:, :5])


def test_no_more_is_kept_than_is_allowed():
    kept = Kept(1000)
    reads = []
    for number in [0, 1, 2, 3, 0]:
        kept.get((number,), lambda number=number: reads.append(number) or np.zeros(400, np.uint8))
    assert reads == [0, 1, 2, 3, 0]
    kept.get((3,), lambda: reads.append("again"))
    assert reads[-1] == 0
