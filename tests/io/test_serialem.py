from __future__ import annotations

import os
import re
import shutil

import numpy as np
import pytest

from napari_clxem.io import Orientation, open_image, open_images

MDOC = """PixelSpacing = 20
ImageFile = a.mrc
ImageSize = 40 30

[T = SerialEM: here]

[ZValue = 0]
TiltAngle = 12
StagePosition = 1 2
StageZ = 3
ExposureDose = 0
DateTime = 22-Feb-18  09:35:55

[ZValue = 1]
TiltAngle = -1
StagePosition = 4 5
StageZ = 6
ExposureDose = 2.5
"""

NAV = """AdocVersion = 2.00

[Item = square]
StageXYZ = 100 -200 7
Type = 2
MapFile = C:\\x\\a.mrc
MapSection = {section}
MapMontage = 0
MapScaleMat = {matrix}
MapWidthHeight = 40 30
MapTiltAngle = 5
"""


@pytest.fixture
def numbered() -> np.ndarray:
    return np.arange(2 * 30 * 40, dtype=np.int16).reshape(2, 30, 40)


def nav(path, section=0, matrix="500 0 0 -500"):
    path.write_text(NAV.format(section=section, matrix=matrix))


def cell(sections: int, pixel: float = 20.0) -> dict:
    return {"cell": (40 * pixel, 30 * pixel, sections * pixel)}


def test_mdoc_makes_a_stack_of_tilted_images(write_mrc, numbered, tmp_path):
    (tmp_path / "a.mrc.mdoc").write_text(MDOC)
    image = open_image(write_mrc("a.mrc", numbered, **cell(2)))
    assert image.axes == ("t", "y", "x")
    assert image.scale == pytest.approx((0.002, 0.002))
    np.testing.assert_array_equal(image.data, numbered[:, ::-1])
    assert image.meta["tilt_angles"] == [12.0, -1.0]
    assert image.meta["exposure_doses"] == [None, 2.5]
    assert image.meta["titles"] == ["SerialEM: here"]
    # of the least tilted image
    assert image.stage.position == (6.0, 5.0, 4.0)
    assert image.stage.image_to_stage is None
    assert image.missing == ()


def test_mdoc_named_after_the_stem(write_mrc, numbered, tmp_path):
    (tmp_path / "a.mdoc").write_text(MDOC)
    assert open_image(write_mrc("a.mrc", numbered, **cell(2))).meta["tilt_angles"] == [12.0, -1.0]
    assert "tilt_angles" not in open_image(write_mrc("a.rec", numbered, **cell(2))).meta


def test_mdoc_gives_the_pixel_size_that_the_header_lacks(write_mrc, numbered, tmp_path):
    (tmp_path / "a.mrc.mdoc").write_text(MDOC)
    image = open_image(write_mrc("a.mrc", numbered, cell=(0, 0, 0)))
    assert image.scale == pytest.approx((0.002, 0.002))


def test_pixel_sizes_that_disagree_are_told(write_mrc, numbered, tmp_path):
    (tmp_path / "a.mrc.mdoc").write_text(MDOC)
    image = open_image(write_mrc("a.mrc", numbered, **cell(2, 30.0)))
    assert image.scale == pytest.approx((0.003, 0.003))
    assert "30 Å of the header and 20 Å of the mdoc disagree" in image.missing[0]


def test_mdoc_of_other_images_is_left_aside(write_mrc, numbered, tmp_path):
    (tmp_path / "a.mrc.mdoc").write_text(MDOC.replace("40 30", "400 300"))
    image = open_image(write_mrc("a.mrc", numbered, **cell(2)))
    assert image.axes == ("z", "y", "x")
    assert "400 x 300" in image.missing[0]


def test_broken_company_is_told_and_left_aside(write_mrc, numbered, tmp_path):
    (tmp_path / "a.mrc.mdoc").write_bytes(b"\0\0\0")
    (tmp_path / "b.nav").write_text("<Item>")
    image = open_image(write_mrc("a.mrc", numbered, **cell(2)))
    assert len(image.missing) == 2
    np.testing.assert_array_equal(image.data, numbered)


@pytest.mark.parametrize("pixel", [20.0, 19.0])
def test_map_is_placed_by_its_matrix(write_mrc, numbered, tmp_path, pixel):
    nav(tmp_path / "grid.nav")
    image = open_image(write_mrc("a.mrc", numbered[:1], **cell(1, pixel)))
    # 500 px/µm whatever the header says
    assert image.scale == pytest.approx((0.002, 0.002))
    assert len(image.missing) == (0 if pixel == 20.0 else 1)
    assert image.orientation.flip == ("y",)
    assert image.stage.position == (7.0, -200.0, 100.0)
    assert image.stage.tilt == 5.0
    to_stage = np.array(image.stage.image_to_stage)
    middle = [*(image.extent / 2), 1]
    np.testing.assert_allclose(to_stage @ middle, [-200, 100, 1])
    # one pixel up in the image as shown is +2 nm along stage Y, by the minus of the matrix
    np.testing.assert_allclose(to_stage[:2, :2], [[-1, 0], [0, 1]], atol=1e-12)
    assert image.meta["map"]["label"] == "square"


@pytest.mark.parametrize(
    "orientation",
    [
        Orientation(("y", "x"), ()),
        Orientation(("y", "x"), ("x",)),
        Orientation(("x", "y"), ("y",)),
        Orientation(("z", "x", "y"), ("z", "y", "x")),
    ],
)
def test_map_keeps_its_place_however_it_is_turned(write_mrc, tmp_path, numbered, orientation):
    nav(tmp_path / "grid.nav", matrix="480 120 130 -510")
    path = write_mrc("a.mrc", numbered[:1], **cell(1))
    places = []
    for image in (open_image(path), open_image(path, orientation=orientation)):
        index = np.argwhere(np.asarray(image.data) == 765)[0]
        point = [*(index * image.scale), 1]
        places.append(np.array(image.stage.image_to_stage) @ point)
    np.testing.assert_allclose(places[0], places[1])


def test_scale_given_wins_and_the_place_stays(write_mrc, tmp_path, numbered):
    nav(tmp_path / "grid.nav")
    path = write_mrc("a.mrc", numbered[:1], **cell(1))
    image = open_image(path, scale=(0.1, 0.1))
    assert image.scale == (0.1, 0.1)
    middle = [*(image.extent / 2), 1]
    np.testing.assert_allclose(np.array(image.stage.image_to_stage) @ middle, [-200, 100, 1])


def test_sections_that_are_maps_are_images_of_their_own(write_mrc, numbered, tmp_path):
    nav(tmp_path / "grid.nav", section=1)
    (tmp_path / "a.mrc.mdoc").write_text(MDOC)
    path = write_mrc("a.mrc", numbered, **cell(2))
    first, second = open_images(path)
    assert first.axes == second.axes == ("y", "x")
    np.testing.assert_array_equal(first.data, numbered[0, ::-1])
    np.testing.assert_array_equal(open_image(path, 1).data, numbered[1, ::-1])
    assert first.stage.position == (3.0, 2.0, 1.0)
    assert first.stage.image_to_stage is None
    assert second.stage.position == (7.0, -200.0, 100.0)
    assert second.stage.image_to_stage is not None
    assert (first.name, second.name) == ("a [0]", "a [1]")


def test_the_latest_navigator_counts(write_mrc, numbered, tmp_path):
    nav(tmp_path / "old.nav", matrix="250 0 0 -250")
    nav(tmp_path / "new.nav")
    os.utime(tmp_path / "old.nav", (1, 1))
    image = open_image(write_mrc("a.mrc", numbered[:1], **cell(1)))
    assert image.scale == pytest.approx((0.002, 0.002))
    assert "old.nav" in image.missing[0]


def test_navigators_of_other_folders_do_not_count(write_mrc, numbered, tmp_path):
    (tmp_path / "deep").mkdir()
    nav(tmp_path / "deep" / "grid.nav")
    image = open_image(write_mrc("a.mrc", numbered[:1], **cell(1)))
    assert image.stage is None
    assert image.orientation.flip == ()


def test_pieces_of_a_montage_are_not_joined(write_mrc, numbered, tmp_path):
    pieces = MDOC.replace("TiltAngle", "PieceCoordinates = 0 0 0\nTiltAngle")
    (tmp_path / "a.mrc.mdoc").write_text(pieces)
    image = open_image(write_mrc("a.mrc", numbered, **cell(2)))
    assert image.axes == ("t", "y", "x")
    assert "not joined" in image.missing[0]


def test_real_map_and_texts(shared_data, write_mrc, tmp_path):
    folder = shared_data / "formats" / "serialem"
    shutil.copy(folder / "pyem_map1.mrc.mdoc", tmp_path / "map1.mrc.mdoc")
    shutil.copy(folder / "pyem_nav1.nav", tmp_path / "nav1.nav")
    data = np.zeros((1, 2048, 2048), np.int8)
    image = open_image(write_mrc("map1.mrc", data, mode=0, cell=(2048 * 106.5,) * 3))
    text = (folder / "pyem_nav1.nav").read_text()
    a, b, c, d = map(float, re.search(r"MapScaleMat = (.*)", text)[1].split())
    assert image.scale == pytest.approx([abs(a * d - b * c) ** -0.5] * 2)
    assert image.scale[0] == pytest.approx(0.01122, abs=5e-6)
    assert "112.2 Å of MapScaleMat and 106.5 Å of PixelSpacing disagree" in image.missing[0]
    assert image.stage.position == (6.91424, -299.208, 196.833)
    assert image.stage.tilt == 0.0568267
    assert image.meta["sections"][0]["Magnification"] == 1200
    assert "exposure_doses" not in image.meta
    # the middle, through the whole matrix
    to_stage = np.array(image.stage.image_to_stage)
    np.testing.assert_allclose(to_stage @ [*(image.extent / 2), 1], [-299.208, 196.833, 1])
    # the corner that SerialEM calls the first, at the top left edge of the image
    corner = to_stage @ [-0.5 * image.scale[0], -0.5 * image.scale[1], 1]
    np.testing.assert_allclose(corner[:2], [-309.914, 184.854], atol=0.0006)


def test_real_tilt_series(shared_data, write_mrc, tmp_path):
    source = shared_data / "formats" / "serialem" / "tilt_series.mdoc"
    shutil.copy(source, tmp_path / "TS_01.mrc.mdoc")
    angles = [float(v) for v in re.findall(r"^TiltAngle = (.*)$", source.read_text(), re.M)]
    data = np.zeros((len(angles), 958, 924), np.int8)
    size = (924 * 5.4, 958 * 5.4, len(angles) * 5.4)
    image = open_image(write_mrc("TS_01.mrc", data, mode=0, cell=size))
    assert image.data.shape == (len(angles), 958, 924)
    assert image.meta["tilt_angles"] == angles
    assert image.scale == pytest.approx((5.4e-4, 5.4e-4))
    # the section tilted by 0.000999877 degrees
    assert image.stage.position == (163.803, 155.287, 20.7936)
