from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_clxem.errors import ReadError
from napari_clxem.io import read_navigator

MAP = """AdocVersion = 2.00

[Item = square]
StageXYZ = {x} {y} 7
NumPts = 1
Type = 2
Note = a note
MapFile = C:\\data\\\\Maps.mrc
MapID = 12
MapSection = 1
MapMontage = {montage}
MapBinning = 4
MontBinning = 2
MapScaleMat = {matrix}
MapWidthHeight = {width} {height}
MapTiltAngle = -10.5
DrawnID = 3
PtsX = 1 2 3
PtsY = 4 5 6

[Item = 2]
StageXYZ = 5 6
Type = 0
PtsX = 5
PtsY =
"""


def write(path, matrix="8 1 2 -9", montage=0, x=100, y=-200, width=40, height=30):
    path.write_text(
        MAP.format(matrix=matrix, montage=montage, x=x, y=y, width=width, height=height)
    )
    return path


def test_items_are_typed(tmp_path):
    navigator = read_navigator(write(tmp_path / "a.nav"))
    item, point = navigator.items
    assert (item.label, item.kind, item.note) == ("square", "map", "a note")
    assert item.stage == (7.0, -200.0, 100.0)
    np.testing.assert_array_equal(item.points, [[4, 1], [5, 2], [6, 3]])
    assert (item.map_file, item.section, item.size) == ("Maps.mrc", 1, (40, 30))
    assert (item.map_id, item.drawn_id, item.binning, item.tilt) == (12, 3, 4.0, -10.5)
    assert item.scale_matrix == ((8.0, 1.0), (2.0, -9.0))
    assert point.kind == "point"
    assert np.isnan(point.stage).all()
    assert point.points.shape == (0, 2)
    assert navigator.maps_of("maps.MRC") == (item,)
    assert navigator.maps_of("other.mrc") == ()


def test_centre_of_a_map_is_at_its_stage_position(tmp_path):
    (item, _) = read_navigator(write(tmp_path / "a.nav")).items
    to_stage = item.pixel_to_stage(30, 40)
    np.testing.assert_allclose(to_stage @ [14.5, 19.5, 1], [-200, 100, 1])


@settings(max_examples=50, deadline=None)
@given(
    st.tuples(*[st.floats(-100, 100)] * 4).filter(
        lambda m: abs(m[0] * m[3] - m[1] * m[2]) > 1e-3 * max(map(abs, m)) ** 2 > 1e-9
    ),
    st.floats(0, 30),
    st.floats(0, 40),
)
def test_matrix_is_serialems_relation(tmp_path_factory, matrix, row, column):
    text = " ".join(repr(v) for v in matrix)
    path = tmp_path_factory.mktemp("nav") / "a.nav"
    (item, _) = read_navigator(write(path, matrix=text)).items
    y, x, _ = item.pixel_to_stage(30, 40) @ [row, column, 1.0]
    m = np.array(matrix).reshape(2, 2)
    shown = m @ [x - 100, y + 200] + [20, 15]  # pixels from the corner, y down
    np.testing.assert_allclose(shown, [column + 0.5, row + 0.5], atol=1e-6)


def test_matrix_of_a_montage_is_binned(tmp_path):
    plain, montage = (read_navigator(write(tmp_path / "a.nav", montage=m)).items[0] for m in (0, 1))
    np.testing.assert_allclose(montage.stage_to_pixel, plain.stage_to_pixel * 2)


def test_binned_copy_of_a_map_lies_in_the_same_place(tmp_path):
    (item, _) = read_navigator(write(tmp_path / "a.nav")).items
    whole, half = item.pixel_to_stage(30, 40), item.pixel_to_stage(15, 20)
    # corner to corner: index -0.5 in both
    np.testing.assert_allclose(half @ [-0.5, -0.5, 1], whole @ [-0.5, -0.5, 1])
    np.testing.assert_allclose(half @ [14.5, 19.5, 1], whole @ [29.5, 39.5, 1])
    assert item.pixel_to_stage(30, 20) is None


@pytest.mark.parametrize("matrix", ["0 0 0 0", "1 2 2 4", "1 2 3", "a b c d", "nan 1 1 0", ""])
def test_matrices_that_place_nothing(tmp_path, matrix):
    (item, _) = read_navigator(write(tmp_path / "a.nav", matrix=matrix)).items
    assert item.scale_matrix is None
    assert item.pixel_to_stage(30, 40) is None


def test_other_texts_are_no_navigator(tmp_path):
    path = tmp_path / "a.nav"
    path.write_text("PixelSpacing = 3\n[ZValue = 0]\n")
    with pytest.raises(ReadError, match="no Navigator items"):
        read_navigator(path)


def test_real_map(shared_data):
    path = shared_data / "formats" / "serialem" / "pyem_nav1.nav"
    navigator = read_navigator(path)
    (item,) = navigator.maps_of("map1.mrc")
    assert sum(i.kind == "point" for i in navigator.items) == len(navigator.items) - 1
    # MapScaleMat 4.54687 90.5574 87.652 -2.42253 px/µm: 112.2 Å a pixel, not PixelSpacing's 106.5
    assert item.pixel_size == pytest.approx(0.01122, abs=1e-5)
    # the corners that SerialEM drew are those of the image; its digits allow half a pixel
    to_stage = item.pixel_to_stage(2048, 2048)
    corners = np.array([[0, 0], [0, 2048], [2048, 2048], [2048, 0], [0, 0]]) - 0.5
    ours = corners @ to_stage[:2, :2].T + to_stage[:2, 2]
    np.testing.assert_allclose(ours, item.points, atol=0.0006)


def test_real_points(shared_data):
    items = read_navigator(shared_data / "formats" / "serialem" / "instamatic_nav.nav").items
    assert {item.kind for item in items} == {"point"}
    assert items[0].stage == (-2.7133, -293.75687212609733, 560.5888568750142)
    np.testing.assert_array_equal(items[0].points, [items[0].stage[1:]])


@pytest.mark.parametrize("values", ["1e308 1e308 -1e308 1e308", "1e-200 0 0 1e-200", "1 1 1 1"])
def test_matrices_that_no_map_has_place_nothing(tmp_path, values):
    path = tmp_path / "a.nav"
    path.write_text(
        "AdocVersion = 2.00\n[Item = 1]\nStageXYZ = 1 2 3\nType = 2\nMapFile = a.mrc\n"
        f"MapScaleMat = {values}\nMapWidthHeight = 6 5\nMapMontage = 1\nMapBinning = 1e300\n"
        "MontBinning = 1\n"
    )
    (item,) = read_navigator(path).items
    assert item.stage_to_pixel is None
    assert item.pixel_size is None
    assert item.pixel_to_stage(5, 6) is None
