"""Positions for SerialEM, OpenFIBSEM and Odemis, lists, and transforms: round trips."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from napari_clxem.errors import ReadError, WriteError
from napari_clxem.frames import Affine
from napari_clxem.io import read_navigator
from napari_clxem.io.exchange import (
    Correlation,
    Entry,
    Feature,
    NamedPoint,
    NamedTransform,
    NavPoint,
    NavPolygon,
    Pixels,
    StagePoint,
    read_correlation,
    read_features,
    read_list,
    read_matrix,
    read_ngff,
    read_positions,
    stage_of,
    write_correlation,
    write_features,
    write_list,
    write_matrix,
    write_navigator,
    write_ngff,
    write_positions,
    written_items,
)

places = st.tuples(*[st.floats(-1e3, 1e3)] * 3)
same_folder = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])

ITEMS = (
    NavPoint(label="T1", stage=(1.5, -200.25, 300.125), note="vesicle, 0.3 µm", acquire=True),
    NavPoint(label="R1", stage=(0.0, 1.0, 2.0), registration=2, registration_point=3, group=7),
    NavPolygon(label="lamella", corners=((0.0, 0.0), (0.0, 12.0), (9.5, 12.0)), height=2.5),
)


def test_navigator_round_trip(tmp_path):
    path = tmp_path / "targets.nav"
    write_navigator(ITEMS, path)
    found = read_navigator(path)
    assert written_items(found.items) == ITEMS
    assert [item.map_id for item in found.items] == [1, 2, 3]
    assert len(found.items[2].points) == 4  # SerialEM closes its polygons


def test_navigator_order_is_x_first(tmp_path):
    path = tmp_path / "targets.nav"
    write_navigator(ITEMS[:1], path)
    text = path.read_text()
    assert "StageXYZ = 300.125 -200.25 1.5\n" in text
    assert "PtsX = 300.125\nPtsY = -200.25\n" in text


@pytest.mark.parametrize("name", ["pyem_nav1.nav", "instamatic_nav.nav"])
def test_navigator_behind_the_items_of_a_real_file(shared_data, tmp_path, name):
    source = shared_data / "formats" / "serialem" / name
    before = read_navigator(source)
    path = tmp_path / "more.nav"
    write_navigator(ITEMS, path, onto=source)
    after = read_navigator(path)
    assert path.read_text().startswith(source.read_text().rstrip())
    assert written_items(after.items[-3:]) == ITEMS
    assert [i.label for i in after.items[:-3]] == [i.label for i in before.items]
    new = [item.map_id for item in after.items[-3:]]
    assert not set(new) & {item.map_id for item in before.items}
    assert max(new) < 100_000


def test_targets_in_a_map_go_to_the_stage(shared_data):
    source = read_navigator(shared_data / "formats" / "serialem" / "pyem_nav1.nav")
    view = next(item for item in source.items if item.kind == "map")
    width, height = view.size
    pixel = view.pixel_size
    # the middle of the image is the map's stage position: pixel (n - 1) / 2
    middle = [(height - 1) / 2 * pixel, (width - 1) / 2 * pixel]
    ((y, x),) = stage_of(view, [middle], (height, width), pixel)
    assert (y, x) == pytest.approx(view.stage[1:])
    # pixel = M (stage - centre) + size / 2, counted from the corner
    ((y, x),) = stage_of(view, [[0.0, 0.0]], (height, width), pixel)
    offset = np.array(view.scale_matrix) @ [x - view.stage[2], y - view.stage[1]]
    assert offset + np.array([width, height]) / 2 == pytest.approx([0.5, 0.5])


@pytest.mark.parametrize(
    ("item", "said"),
    [
        (NavPoint(label="a\nb", stage=(0, 0, 0)), "line break"),
        (NavPoint(label="a]", stage=(0, 0, 0)), "bracket"),
        (NavPoint(label="a", stage=(0, float("nan"), 0)), "finite"),
        (NavPolygon(label="a", corners=((0, 0), (1, 1))), "three corners"),
    ],
)
def test_navigator_says_what_it_cannot_hold(tmp_path, item, said):
    with pytest.raises(WriteError, match=said):
        write_navigator([item], tmp_path / "a.nav")


def test_navigator_xml_is_refused_as_a_base(tmp_path):
    source = tmp_path / "a.nav"
    source.write_text(
        '<?xml version="1.0"?><navigator><Item name="1"><StageXYZ>0 0 0</StageXYZ>'
        "<Type>0</Type></Item></navigator>"
    )
    with pytest.raises(WriteError, match="XML"):
        write_navigator(ITEMS, tmp_path / "b.nav", onto=source)


@given(places, st.floats(-180, 180), st.floats(-60, 60))
@same_folder
def test_positions_round_trip(tmp_path, place, rotation, tilt):
    path = tmp_path / "positions.yaml"
    point = StagePoint("site: A, 1", place, rotation, tilt)
    write_positions([point], path)
    (found,) = read_positions(path)
    assert found.position == pytest.approx(place, abs=1e-9)
    assert (found.rotation, found.tilt) == pytest.approx((rotation, tilt))
    assert (found.name, found.coordinate_system) == ("site: A, 1", "RAW")


def test_positions_of_a_real_file(shared_data, tmp_path):
    path = shared_data / "formats" / "fibsem" / "openfibsem_positions.yaml"
    found = read_positions(path)
    assert len(found) == 12
    first = found[0]
    assert first.name == "grid02-pre-tilt-35-deg-electron"
    assert first.position == pytest.approx((31756.49434156379, 4053.833333, 2800.416667))
    assert first.tilt == pytest.approx(34.9996, abs=1e-4)
    write_positions(found, tmp_path / "again.yaml")
    again = read_positions(tmp_path / "again.yaml")
    for one, other in zip(found, again, strict=True):
        assert one.name == other.name
        assert one.position == pytest.approx(other.position)


@pytest.mark.parametrize(
    "text",
    ["a: [", "just words", "- 5", "- {name: a, x: 1, y: b, z: 0}", "- {x: .nan, y: 0, z: 0}"],
)
def test_positions_refuse_what_are_none(tmp_path, text):
    path = tmp_path / "p.yaml"
    path.write_text(text)
    with pytest.raises(ReadError):
        read_positions(path)


FIB, STACK = Pixels((0.04, 0.04)), Pixels((0.4, 0.1, 0.1))


def test_correlation_round_trip(tmp_path):
    points = Correlation(
        (NamedPoint("0", (1.0, 2.0)), NamedPoint("1", (3.0, 4.0))),
        (NamedPoint("0", (1.2, 2.0, 3.0)), NamedPoint("1", (0.4, 4.0, 5.0))),
        (NamedPoint("0", (0.8, 1.0, 1.5)),),
        (0.4, 0.8),
    )
    path = tmp_path / "data.csv"
    write_correlation(points, path, FIB, STACK)
    assert path.read_text().splitlines()[1] == "type,idx,x_px,y_px,z_px"
    assert "FIB,0,50.0,25.0,0.0" in path.read_text()
    # what OpenFIBSEM adds behind
    path.write_text(path.read_text() + "\n# Marker Reprojection Error\nmarker,delta_x_px\n0,0.5\n")
    found = read_correlation(path, FIB, STACK)
    for one, other in zip(
        (*points.fib, *points.volume, *points.targets),
        (*found.fib, *found.volume, *found.targets),
        strict=True,
    ):
        assert other.position == pytest.approx(one.position)
    assert found.surface == pytest.approx((0.4, 0.8))
    path.write_text("nothing\n")
    with pytest.raises(ReadError, match="no points"):
        read_correlation(path, FIB, STACK)


def test_features_round_trip(tmp_path):
    features = (
        Feature("Feature-1", (1.0, 2.0, 3.0), 0.0, (("rx", 17.0), ("rz", -90.0))),
        Feature("Feature-2", (-4.0, 5.5, 6.0), None, (), "Rough Milled"),
    )
    path = tmp_path / "features.json"
    write_features(features, path)
    found = read_features(path)
    for one, other in zip(features, found, strict=True):
        assert (other.name, other.status) == (one.name, one.status)
        assert other.position == pytest.approx(one.position)
        assert dict(other.angles) == pytest.approx(dict(one.angles))
    assert found[0].focus == 0.0
    assert found[1].focus is None
    entry = json.loads(path.read_text())["feature_list"][0]
    assert entry["stage_position"]["x"] == pytest.approx(3e-6)


def test_features_of_the_older_form(tmp_path):
    path = tmp_path / "features.json"
    path.write_text(
        '{"feature_list": [{"name": "F-2", "pos": [0.001, 0.002, 0.003], "status": "Active"}]}'
    )
    (found,) = read_features(path)
    assert found.position == pytest.approx((3000, 2000, 1000))


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        '{"feature_list": [3]}',
        '{"feature_list": [{"name": "a"}]}',
        '{"feature_list": [{"stage_position": {"x": 1, "y": "b", "z": 0}}]}',
    ],
)
def test_features_refuse_what_are_none(tmp_path, text):
    path = tmp_path / "f.json"
    path.write_text(text)
    with pytest.raises(ReadError):
        read_features(path)


def test_features_have_statuses_of_their_own(tmp_path):
    with pytest.raises(WriteError, match="no status"):
        write_features([Feature("a", (0, 0, 0), status="milled")], tmp_path / "f.json")


def test_list_round_trip(tmp_path):
    entries = (
        Entry(
            name="T1, left",
            stage=(1.0, 2.0, 3.0),
            stage_tilt=17.0,
            image="fib-A",
            pixel=(120.25, 33.5),
            radius=0.35,
            sd=(0.1, 0.2),
            capture=0.7,
            note='says "yes"',
        ),
        Entry(
            name="A",
            kind="lamella",
            site="A",
            width=12.0,
            length=10.0,
            thickness=0.3,
            milling_angle=10.0,
        ),
    )
    path = tmp_path / "targets.csv"
    write_list(entries, path)
    assert read_list(path) == entries


def test_list_says_what_is_wrong(tmp_path):
    path = tmp_path / "targets.csv"
    write_list([Entry(name="a", pixel=(1.0, 2.0))], path)
    text = path.read_text()
    path.write_text(text.replace("1.0,2.0", "1.0,"))
    with pytest.raises(ReadError, match="row_px, column_px"):
        read_list(path)
    path.write_text(text.replace("1.0,2.0", "x,2.0"))
    with pytest.raises(ReadError, match="line 2, row_px"):
        read_list(path)
    path.write_text("name\n")
    with pytest.raises(ReadError, match="first line"):
        read_list(path)
    with pytest.raises(WriteError, match="radius_um"):
        write_list([Entry(name="a", radius=float("nan"))], path)
    with pytest.raises(WriteError, match="comment"):
        write_list([Entry(name="#1")], path)


MAPS = [
    NamedTransform("confocal", "fib", Affine.from_parts(np.arange(6.0).reshape(2, 3), [7.0, 8.0])),
    NamedTransform("confocal", "tomogram", Affine.from_parts(np.eye(3) * 1.01, [1.0, 2.0, 3.0])),
    NamedTransform("map", "mosaic", Affine.planar(30.0, 1.02, (4.0, 5.0))),
]


def test_ngff_round_trip(tmp_path):
    path = tmp_path / "maps.json"
    write_ngff(MAPS, path)
    found = read_ngff(path)
    for one, other in zip(MAPS, found, strict=True):
        assert (other.moving, other.fixed) == (one.moving, one.fixed)
        assert other.affine.matrix == pytest.approx(one.affine.matrix)
    content = json.loads(path.read_text())["ome"]
    axes = {s["name"]: [a["name"] for a in s["axes"]] for s in content["coordinateSystems"]}
    assert axes["confocal"] == ["z", "y", "x"]
    assert axes["fib"] == ["y", "x"]
    assert len(content["coordinateTransformations"][0]["affine"][0]) == 4


def test_ngff_of_other_axes_and_units(tmp_path):
    path = tmp_path / "maps.json"
    axes = [{"name": n, "type": "space", "unit": "nanometer"} for n in "xyz"]
    zyx = [{"name": n, "type": "space", "unit": "micrometer"} for n in "zyx"]
    content = {
        "coordinateSystems": [{"name": "a", "axes": axes}, {"name": "b", "axes": zyx}],
        "coordinateTransformations": [
            {
                "type": "affine",
                "input": "a",
                "output": "b",
                # z from z, y from x, x from y, in µm of nm
                "affine": [[0, 0, 1e-3, 1], [1e-3, 0, 0, 2], [0, 1e-3, 0, 3]],
            },
            {"type": "scale", "scale": [1, 1, 1]},
        ],
    }
    path.write_text(json.dumps(content))
    (found,) = read_ngff(path)
    # (z, y, x) = (5, 6, 7): y comes from x, x from y
    assert found.affine.transform([5.0, 6.0, 7.0])[0] == pytest.approx([6, 9, 9])


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        '{"ome": {}}',
        '{"coordinateTransformations": [{"type": "affine"}]}',
        '{"coordinateTransformations": [{"type": "affine", "affine": [[1, 2], [3]]}]}',
        '{"coordinateTransformations": [{"type": "affine", "affine": [[1, 2]]}]}',
        '{"coordinateSystems": [{"axes": 3}], "coordinateTransformations": []}',
    ],
)
def test_ngff_refuses_what_is_none(tmp_path, text):
    path = tmp_path / "m.json"
    path.write_text(text)
    with pytest.raises(ReadError):
        read_ngff(path)


def test_ngff_keeps_one_number_of_axes_per_frame(tmp_path):
    wrong = NamedTransform("map", "confocal", Affine.planar(3.0))
    with pytest.raises(WriteError, match="2 and 3 axes"):
        write_ngff([*MAPS, wrong], tmp_path / "m.json")


@pytest.mark.parametrize("one", MAPS, ids=lambda one: one.fixed)
def test_matrix_round_trip(tmp_path, one):
    path = tmp_path / "m.txt"
    write_matrix(one, path)
    found = read_matrix(path)
    assert (found.moving, found.fixed) == (one.moving, one.fixed)
    assert np.array_equal(found.affine.matrix, one.affine.matrix)
    path.write_text(path.read_text().replace("unit: um", "unit: nm"))
    with pytest.raises(ReadError, match="unit"):
        read_matrix(path)
    path.write_text("1 2 3\n4 5\n")
    with pytest.raises(ReadError, match="rows and columns"):
        read_matrix(path)
