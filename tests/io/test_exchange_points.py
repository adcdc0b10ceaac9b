"""Lists of points of 3DCT, BigWarp, eC-CLEM and IMOD: round trips and half pixels."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from napari_clxem.errors import ClxemError, ReadError, WriteError
from napari_clxem.io.exchange import (
    ModelObject,
    NamedPoint,
    Pixels,
    PointPair,
    correlated_points,
    read_bigwarp,
    read_ec_clem_csv,
    read_ec_clem_xml,
    read_model,
    read_tdct_points,
    read_tdct_report,
    report_text,
    write_bigwarp,
    write_ec_clem_csv,
    write_ec_clem_xml,
    write_model,
    write_tdct_points,
)

VOLUME = Pixels((0.4, 0.1, 0.1), (20, 50, 60))
IMAGE = Pixels((0.04, 0.04))
places = st.tuples(*[st.floats(-1e3, 1e3)] * 3)
same_folder = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


def named(array):
    return tuple(NamedPoint(str(i + 1), tuple(map(float, row))) for i, row in enumerate(array))


def where(points):
    return np.array([point.position for point in points])


# the centre of the pixel in slice 3, row 10, column 20
CENTRE = (1.2, 1.0, 2.0)


def test_tdct_counts_rows_and_columns_from_the_corner(tmp_path):
    path = tmp_path / "points.txt"
    write_tdct_points([NamedPoint("bead", CENTRE)], path, VOLUME)
    x, y, z = map(float, path.read_text().split("\t"))
    assert (x, y, z) == pytest.approx((20.5, 10.5, 3.0))


def test_tdct_image_points_have_a_z_of_zero(tmp_path):
    path = tmp_path / "fib.txt"
    write_tdct_points([NamedPoint("bead", (0.4, 0.8))], path, IMAGE)
    assert list(map(float, path.read_text().split())) == pytest.approx([20.5, 10.5, 0.0])
    assert where(read_tdct_points(path, IMAGE)) == pytest.approx(np.array([[0.4, 0.8]]))


@given(st.lists(places, min_size=1, max_size=5))
@same_folder
def test_tdct_round_trip(tmp_path, found):
    path = tmp_path / "points.txt"
    write_tdct_points(named(found), path, VOLUME)
    assert where(read_tdct_points(path, VOLUME)) == pytest.approx(np.array(found), abs=1e-9)


def test_tdct_takes_commas_and_names_the_bad_line(tmp_path):
    path = tmp_path / "points.csv"
    path.write_text("20.5,10.5,3\n\n")
    assert where(read_tdct_points(path, VOLUME)) == pytest.approx(np.array([CENTRE]))
    path.write_text("1\t2\t3\n1\t2\n")
    with pytest.raises(ReadError, match="line 2: 2 values"):
        read_tdct_points(path, VOLUME)
    path.write_text("1\tx\t3\n")
    with pytest.raises(ReadError, match="line 1: 'x' is not a number"):
        read_tdct_points(path, VOLUME)


def test_tdct_report(tmp_path):
    rng = np.random.default_rng(1)
    markers, transformed, spots, poi = (rng.uniform(0, 500, (n, 3)).round(2) for n in (5, 5, 2, 2))
    clicked = (transformed[:, :2] + rng.normal(size=(5, 2))).round(2)
    path = tmp_path / "report.txt"
    path.write_text(
        "# rotation (Euler phi, psi, theta): [1, 2, 3]\n"
        + report_text(markers, transformed, clicked, spots, poi)
        + "#\n# POI distance from the center of the SEM/FIB image in px and um\n"
        + "\t1.0\t2.0\t\t3.0\t4.0\n"
    )
    found = read_tdct_report(path)
    assert found.markers == pytest.approx(markers)
    assert found.clicked == pytest.approx(clicked)
    assert found.residuals == pytest.approx(transformed[:, :2] - clicked, abs=0.006)
    assert found.correlated == pytest.approx(poi)
    points = correlated_points(found, IMAGE)
    assert points[0].position == pytest.approx(((poi[0, 1] - 0.5) * 0.04, (poi[0, 0] - 0.5) * 0.04))
    path.write_text("# nothing\n")
    with pytest.raises(ReadError, match="no table of markers"):
        read_tdct_report(path)


def test_bigwarp_counts_in_units_from_the_first_centre(tmp_path):
    path = tmp_path / "landmarks.csv"
    write_bigwarp([PointPair("Pt-0", CENTRE, (0.0, 0.0, 0.5))], path)
    assert path.read_text() == '"Pt-0","true","2.0","1.0","1.2","0.5","0.0","0.0"\n'


def test_bigwarp_in_nanometres_and_with_a_side_missing(tmp_path):
    path = tmp_path / "landmarks.csv"
    pairs = (PointPair("a", (1.0, 2.0), (3.0, 4.0)), PointPair("b", (5.0, 6.0), None, False))
    write_bigwarp(pairs, path, unit="nm")
    assert '"b","false","6000.0","5000.0","Infinity","Infinity"' in path.read_text().replace(
        "6000.000000000001", "6000.0"
    )
    found = read_bigwarp(path, unit="nm")
    assert [one.use for one in found] == [True, False]
    assert found[0].fixed == pytest.approx((3, 4))
    assert found[1].fixed is None


@given(st.lists(st.tuples(places, places), min_size=1, max_size=5))
@same_folder
def test_bigwarp_round_trip(tmp_path, found):
    path = tmp_path / "landmarks.csv"
    pairs = tuple(PointPair(f"Pt, {i}", a, b) for i, (a, b) in enumerate(found))
    write_bigwarp(pairs, path)
    assert read_bigwarp(path) == pairs


def test_bigwarp_says_what_it_cannot_hold(tmp_path):
    with pytest.raises(WriteError, match="same number of axes"):
        write_bigwarp([PointPair("a", (1.0, 2.0, 3.0), (1.0, 2.0))], tmp_path / "a.csv")
    with pytest.raises(WriteError, match="line break"):
        write_bigwarp([PointPair("a\nb", (1.0, 2.0), (1.0, 2.0))], tmp_path / "a.csv")
    (tmp_path / "a.csv").write_text('"Pt-0","true","1"\n')
    with pytest.raises(ReadError, match="line 1: 3 values"):
        read_bigwarp(tmp_path / "a.csv")
    with pytest.raises(ClxemError, match="not a unit of length"):
        write_bigwarp([], tmp_path / "a.csv", unit="pixel")


@given(st.lists(places, min_size=1, max_size=5))
@same_folder
def test_ec_clem_csv_round_trip(tmp_path, found):
    path = tmp_path / "points.csv"
    write_ec_clem_csv(named(found), path)
    assert path.read_text().startswith("id,dimension_1,dimension_2,dimension_3\n0,")
    assert np.array_equal(where(read_ec_clem_csv(path)), np.array(found))


def test_ec_clem_csv_is_x_first_and_says_what_is_wrong(tmp_path):
    path = tmp_path / "points.csv"
    write_ec_clem_csv([NamedPoint("a", (1.0, 2.0))], path)
    assert path.read_text() == "id,dimension_1,dimension_2\n0,2.0,1.0\n"
    path.write_text("x,y\n1,2\n")
    with pytest.raises(ReadError, match="point list of eC-CLEM"):
        read_ec_clem_csv(path)
    path.write_text("id,dimension_1,dimension_2\n0,1\n")
    with pytest.raises(ReadError, match="line 2: 2 values"):
        read_ec_clem_csv(path)


def test_icy_counts_rows_and_columns_from_the_corner(tmp_path):
    path = tmp_path / "stack.xml"
    write_ec_clem_xml([NamedPoint("Point 1", CENTRE)], path, VOLUME, "stack")
    text = path.read_text()
    for axis, value in (("x", "20.5"), ("y", "10.5")):
        assert f"<pos_{axis}>{value}</pos_{axis}>" in text
    assert float(text.split("<pos_z>")[1].split("<")[0]) == pytest.approx(3)
    assert "ROI3DPoint" in text


@pytest.mark.parametrize("pixels", [VOLUME, IMAGE])
def test_icy_round_trip(tmp_path, pixels):
    rng = np.random.default_rng(2)
    points = [
        NamedPoint(f"bead <{i}> & more", tuple(row))
        for i, row in enumerate(rng.uniform(0, 9, (4, len(pixels.spacing))))
    ]
    path = tmp_path / "stack.xml"
    write_ec_clem_xml(points, path, pixels)
    found = read_ec_clem_xml(path, pixels)
    assert [one.name for one in found] == [one.name for one in points]
    assert where(found) == pytest.approx(where(points))


def test_icy_takes_points_only_and_no_entities(tmp_path):
    path = tmp_path / "stack.xml"
    path.write_text(
        "<root><rois><roi><classname>x.ROI2DPoint</classname><name>a</name><z>3</z><position>"
        "<pos_x>20.5</pos_x><pos_y>10.5</pos_y></position></roi>"
        "<roi><classname>x.ROI2DPolygon</classname></roi></rois></root>"
    )
    assert where(read_ec_clem_xml(path, VOLUME)) == pytest.approx(np.array([CENTRE]))
    path.write_text("<root/>")
    with pytest.raises(ReadError, match="no regions of interest"):
        read_ec_clem_xml(path, VOLUME)
    path.write_text('<!DOCTYPE a [<!ENTITY b "c">]><root><rois>&b;</rois></root>')
    with pytest.raises(ReadError):
        read_ec_clem_xml(path, VOLUME)


def test_imod_counts_rows_from_the_bottom_corner(tmp_path):
    path = tmp_path / "points.mod"
    write_model([ModelObject("beads", (np.array([CENTRE]),))], path, VOLUME)
    raw = path.read_bytes()
    at = raw.index(b"CONT") + 4 + 16
    # column 20 -> 20.5; row 10 of 50 is row 39 from the bottom -> 39.5; slice 3 stays
    assert np.frombuffer(raw[at : at + 12], ">f4") == pytest.approx([20.5, 39.5, 3.0])


def test_imod_round_trip(tmp_path):
    rng = np.random.default_rng(4)
    objects = [
        ModelObject("beads", (rng.uniform(0, 5, (7, 3)),), "scattered", (1.0, 0.0, 0.5), 9),
        ModelObject("lamella", (rng.uniform(0, 5, (4, 3)), rng.uniform(0, 5, (3, 3))), "closed"),
        ModelObject("path", (rng.uniform(0, 5, (2, 3)),), "open"),
        ModelObject("empty", ()),
    ]
    path = tmp_path / "all.mod"
    write_model(objects, path, VOLUME)
    found = read_model(path, VOLUME)
    assert [(o.name, o.kind, len(o.contours)) for o in found] == [
        (o.name, o.kind, len(o.contours)) for o in objects
    ]
    assert found[0].colour == pytest.approx((1.0, 0.0, 0.5))
    assert found[0].size == 9
    for one, other in zip(objects, found, strict=True):
        for a, b in zip(one.contours, other.contours, strict=True):
            assert b == pytest.approx(a, abs=1e-5)


@pytest.mark.parametrize(
    ("name", "shape", "counts", "first"),
    [
        ("two_contour_example", (128, 128, 128), [17, 8], (64.3333, 64.6667, 80.0)),
        ("slicer_angle_example", (500, 924, 956), [1, 1, 1, 1], (235.4216, 682.9129, 301.9547)),
        ("point_sizes_example", (100, 1298, 1314), [4], (438.5, 898.5, 46.0)),
    ],
)
def test_imod_reads_real_models(shared_data, name, shape, counts, first):
    pixels = Pixels((1.0, 1.0, 1.0), shape)
    found = read_model(shared_data / "formats" / "imod" / f"{name}.mod", pixels)
    assert [len(c) for c in found[0].contours] == counts
    z, y, x = found[0].contours[0][0]
    assert (x + 0.5, shape[1] - (y + 0.5), z) == pytest.approx(first, abs=1e-3)


def test_imod_refuses_what_is_none(tmp_path):
    path = tmp_path / "a.mod"
    write_model([ModelObject("beads", (np.zeros((3, 3)),))], path, VOLUME)
    whole = path.read_bytes()
    for cut in range(0, len(whole) - 4, 7):
        path.write_bytes(whole[:cut])
        with pytest.raises(ReadError):
            read_model(path, VOLUME)
    with pytest.raises(WriteError, match="shape"):
        write_model([], path, Pixels((1.0, 1.0, 1.0)))
    with pytest.raises(WriteError, match="finite"):
        write_model([ModelObject("x", (np.full((1, 3), np.nan),))], path, VOLUME)


def test_our_model_is_read_by_a_second_library(tmp_path):
    imodmodel = pytest.importorskip("imodmodel")
    path = tmp_path / "points.mod"
    write_model([ModelObject("beads", (np.array([CENTRE, (0, 0, 0)]),))], path, VOLUME)
    found = imodmodel.read(path)
    assert found[["x", "y", "z"]].to_numpy() == pytest.approx(
        np.array([[20.5, 39.5, 3.0], [0.5, 49.5, 0.0]])
    )


def test_flipping_needs_the_shape():
    with pytest.raises(WriteError, match="shape"):
        Pixels((1.0, 1.0), flip=("y",))
    with pytest.raises(WriteError, match="pixel size"):
        Pixels((0.0, 1.0))


def test_mixed_axes_and_nan_are_refused(tmp_path):
    with pytest.raises(WriteError, match="axes"):
        write_ec_clem_csv([NamedPoint("a", (1, 2)), NamedPoint("b", (1, 2, 3))], tmp_path / "a")
    with pytest.raises(WriteError, match="finite"):
        write_ec_clem_csv([NamedPoint("a", (1, float("nan")))], tmp_path / "a")


def test_nowhere_to_write_is_one_sentence(tmp_path):
    with pytest.raises(WriteError, match="could not be written"):
        write_ec_clem_csv([NamedPoint("a", (1, 2))], tmp_path / "no" / "a.csv")


def test_missing_and_binary_files_are_one_sentence(tmp_path):
    with pytest.raises(ReadError, match="no file"):
        read_ec_clem_csv(tmp_path / "none.csv")
    (tmp_path / "b.csv").write_bytes(b"id\0")
    with pytest.raises(ReadError, match="no text"):
        read_ec_clem_csv(tmp_path / "b.csv")
