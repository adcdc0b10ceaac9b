"""The verbs landmarks and targets."""

from __future__ import annotations

import csv
from dataclasses import replace

import numpy as np
import pytest

from napari_clxem.cli import main
from napari_clxem.io import read_navigator
from napari_clxem.io.exchange import read_features, read_list, read_positions, read_tdct_points
from napari_clxem.io.exchange.points import Pixels
from napari_clxem.samples import sample_folder
from napari_clxem.session import Landmark, Link, Store, edits, load, recoverable, save
from napari_clxem.session.geometry import complete, place, solve

SPACE, PLANE, TURNED = "picked-confocal-A-fib-A", "beads-vlm-map-fluorescence-map", "declared"
BEADS = "beads-confocal-A-tomogram-A"


@pytest.fixture
def grid(tmp_path):
    """The sample grid, with one landmark not used and one half-picked."""
    session = load(sample_folder() / "grid.clxem.json")
    path = tmp_path / "grid.clxem.json"
    save(session, path)
    return path


def link_of(path, name):
    return edits.get(load(path), Link, name)


def sides(link):
    return {
        side: np.array([getattr(one, side) for one in complete(link.landmarks)])
        for side in ("moving", "fixed")
    }


@pytest.mark.parametrize(
    ("name", "link", "file"),
    [
        ("csv", SPACE, "a.csv"),
        ("csv", BEADS, "a.csv"),
        ("3dct", SPACE, "a.txt"),
        ("3dct", BEADS, "a.txt"),
        ("ec-clem", SPACE, "a.csv"),
        ("ec-clem", SPACE, "a.xml"),
        ("ec-clem", PLANE, "a.xml"),
        ("imod", SPACE, "a.mod"),
        ("imod", BEADS, "a.mod"),
        ("openfibsem", SPACE, "a.csv"),
        ("bigwarp", BEADS, "a.csv"),
        ("bigwarp", PLANE, "a.csv"),
    ],
)
def test_landmarks_come_back_as_they_went(grid, tmp_path, name, link, file, capsys):
    before = link_of(grid, link)
    path = str(tmp_path / file)
    assert main(["landmarks", "export", str(grid), link, path, "--format", name]) == 0
    for written in capsys.readouterr().out.split("\n\n")[0].splitlines():
        assert (tmp_path / written).is_file()
    verb = ["landmarks", "import", str(grid), link, path, "--format", name, "--replace"]
    assert main([*verb, "--moving-sd", "0.06", "--fixed-sd", "0.08"]) == 0
    after = link_of(grid, link)
    assert len(after.landmarks) == len(complete(before.landmarks))
    # IMOD keeps single precision
    for side, positions in sides(before).items():
        assert np.allclose(sides(after)[side], positions, atol=1e-4)
    assert all(one.origin == "file" for one in after.landmarks)
    assert {one.fixed_sigma[-1] for one in after.landmarks} == {0.08}
    out = capsys.readouterr().out
    assert "FRE" in out


def test_names_bring_errors_back(grid, tmp_path, capsys):
    before = link_of(grid, BEADS)
    path = str(tmp_path / "a.csv")
    names = [one.id for one in before.landmarks]
    moved = replace(before.landmarks[0], moving=(1.0, 2.0, 3.0))
    session = load(grid)
    save(edits.put_landmarks(session, BEADS, moved), tmp_path / "other.clxem.json")
    other = str(tmp_path / "other.clxem.json")
    assert main(["landmarks", "export", other, BEADS, path, "--format", "bigwarp"]) == 0
    assert main(["landmarks", "import", str(grid), BEADS, path, "--format", "bigwarp"]) == 0
    assert "0 landmarks added" in capsys.readouterr().out
    after = link_of(grid, BEADS)
    assert [one.id for one in after.landmarks] == names
    assert after.landmarks[0].moving == pytest.approx((1.0, 2.0, 3.0))
    assert after.landmarks[0].moving_sigma == before.landmarks[0].moving_sigma


def test_pairs_without_names_are_added(grid, tmp_path, capsys):
    link = link_of(grid, SPACE)
    path = str(tmp_path / "beads.txt")
    ends = f"{link.moving} -> {link.fixed}"
    assert main(["landmarks", "export", str(grid), ends, path, "--format", "3dct"]) == 0
    verb = ["landmarks", "import", str(grid), ends, path, "--format", "3dct"]
    assert main([*verb, "--moving-sd", "0.06", "--fixed-sd", "0.06"]) == 0
    assert f"{len(link.landmarks)} landmarks added" in capsys.readouterr().out
    after = link_of(grid, SPACE)
    assert len(after.landmarks) == 2 * len(link.landmarks)
    assert after.landmarks[-1].id == f"beads-{len(link.landmarks)}"
    assert np.allclose(solve(after).matrix, solve(link).matrix, atol=0.05)


def test_pairs_without_errors_are_said(grid, tmp_path, capsys):
    path = str(tmp_path / "beads.txt")
    assert main(["landmarks", "export", str(grid), SPACE, path, "--format", "3dct"]) == 0
    assert main(["landmarks", "import", str(grid), SPACE, path, "--format", "3dct"]) == 0
    out = capsys.readouterr().out
    assert "8 landmarks have no localisation error" in out
    assert "--moving-sd" in out


def test_an_import_spares_what_is_open_or_unsaved(grid, tmp_path, capsys):
    path = str(tmp_path / "a.csv")
    assert main(["landmarks", "export", str(grid), BEADS, path, "--format", "csv"]) == 0
    before = grid.read_bytes()
    verb = ["landmarks", "import", str(grid), BEADS, path, "--format", "csv"]
    store = Store(path=grid)
    assert main(verb) == 2
    assert "is open in" in capsys.readouterr().err
    store.commit(lambda s: edits.rename(s, "renamed"), "Rename")
    store.close()
    assert main(verb) == 2
    assert "steps that were not saved" in capsys.readouterr().err
    assert grid.read_bytes() == before
    assert recoverable(grid) is not None


def test_what_a_format_does_not_hold_is_said(grid, tmp_path, capsys):
    session = load(grid)
    session = edits.use_landmark(session, SPACE, link_of(grid, SPACE).landmarks[0].id, False)
    half = Landmark(id="half", fixed=(1.0, 1.0))
    save(edits.put_landmarks(session, SPACE, half), grid)
    path = str(tmp_path / "a.txt")
    assert main(["landmarks", "export", str(grid), SPACE, path, "--format", "3dct"]) == 0
    out = capsys.readouterr().out
    assert "2 landmarks, half-picked or not used, are left out." in out
    assert main(["landmarks", "export", str(grid), SPACE, path, "--format", "csv"]) == 0
    assert "That they are not used is lost" in capsys.readouterr().out


def test_3dct_counts_from_the_corner(grid, tmp_path):
    path = tmp_path / "a.txt"
    main(["landmarks", "export", str(grid), SPACE, str(path), "--format", "3dct"])
    first = complete(link_of(grid, SPACE).landmarks)[0]
    deep = next(one for one in load(grid).datasets if one.frame == "confocal-A").axial_scaling
    assert deep > 1  # the frame's z is the actual depth
    x, y, z = (float(v) for v in (tmp_path / "a-moving.txt").read_text().split()[:3])
    assert (z, y - 0.5, x - 0.5) == pytest.approx(
        tuple(np.array(first.moving) / (0.4 * deep, 0.125, 0.125))
    )
    x, y, z = (float(v) for v in (tmp_path / "a-fixed.txt").read_text().split()[:3])
    assert (z, y - 0.5, x - 0.5) == pytest.approx((0.0, *(np.array(first.fixed) / 0.04)))


def test_odemis_takes_planes_on_a_stage(grid, tmp_path, capsys):
    link = "beads-fluorescence-map-sxt-mosaic"
    before = link_of(grid, link)
    path = str(tmp_path / "f.json")
    assert main(["landmarks", "export", str(grid), link, path, "--format", "odemis"]) == 0
    found = read_features(tmp_path / "f-moving.json")
    middle = np.array([-253.943, -545.892]) - 208 * 0.3
    where = np.array([one.position[1:] for one in found])
    assert np.allclose(where, sides(before)["moving"][:, -2:] + middle, atol=1e-6)
    verb = ["landmarks", "import", str(grid), link, path, "--format", "odemis"]
    assert main(verb) == 0
    after = link_of(grid, link)
    for side, positions in sides(before).items():
        assert np.allclose(sides(after)[side][:, -2:], positions[:, -2:], atol=1e-6)
    assert main(["landmarks", "export", str(grid), SPACE, path, "--format", "odemis"]) == 2
    assert "not in a volume" in capsys.readouterr().err


def test_targets_on_the_stage_of_the_tem(grid, tmp_path, capsys):
    session = load(grid)
    dataset = next(one for one in session.datasets if one.frame == "tem-A")
    matrix = np.array(dataset.stage.image_to_stage)
    ours = [one for one in session.targets if one.site == "A"]
    where = np.array([place(session, one, "tem-A").position for one in ours])
    expected = where @ matrix[:2, :2].T + matrix[:2, 2]

    def export(name, file):
        verb = ["targets", "export", str(grid), str(tmp_path / file), "--format", name]
        assert main([*verb, "--frame", "tem-A"]) == 0
        return tmp_path / file

    items = read_navigator(export("nav", "t.nav")).items
    assert [one.label for one in items] == ["A1", "A2"]
    assert np.allclose([one.stage[1:] for one in items], expected)
    out = capsys.readouterr().out
    assert "4 targets of other sites than A are left out" in out
    assert "drives another" not in out
    points = read_positions(export("openfibsem", "t.yaml"))
    assert np.allclose([one.position[1:] for one in points], expected)
    assert points[0].tilt == pytest.approx(-10.0)
    assert "stage is of serialem: OpenFIBSEM drives another one" in capsys.readouterr().out
    features = read_features(export("odemis", "t.json"))
    assert np.allclose([one.position[1:] for one in features], expected)
    entries = read_list(export("csv", "t.csv"))
    assert np.allclose([one.stage[1:] for one in entries], expected)
    assert np.allclose([one.pixel for one in entries], where / dataset.scale[0])
    assert entries[0].radius == ours[0].radius
    back = read_tdct_points(export("3dct", "t.txt"), Pixels(dataset.scale))
    assert np.allclose([one.position for one in back], where)
    again = str(tmp_path / "more.nav")
    onto = ["--format", "nav", "--frame", "tem-A", "--onto", str(tmp_path / "t.nav")]
    assert main(["targets", "export", str(grid), again, *onto]) == 0
    assert len(read_navigator(again).items) == 4


def test_a_stage_whose_y_runs_up(grid, tmp_path):
    path = tmp_path / "t.csv"
    verb = ["targets", "export", str(grid), str(path), "--format", "csv"]
    assert main([*verb, "--frame", "sem-overview"]) == 0
    with path.open(encoding="utf-8") as file:
        rows = list(csv.DictReader(line for line in file if not line.startswith("#")))
    assert len(rows) == 6
    for row in rows:
        down = (float(row["row_px"]) - 480.5) * 0.13
        right = (float(row["column_px"]) - 480.5) * 0.13
        assert float(row["stage_y_um"]) == pytest.approx(-423.991 - down, abs=1e-3)
        assert float(row["stage_x_um"]) == pytest.approx(106.839 + right, abs=1e-3)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ("landmarks export {grid} nothing {tmp}/a --format csv", "There is no link 'nothing'"),
        ("landmarks export {grid} content-tomogram-A-sxt-mosaic {tmp}/a --format csv", "content"),
        (f"landmarks export {{grid}} {SPACE} {{tmp}}/a --format bigwarp", "same number of axes"),
        (f"landmarks export {{grid}} {BEADS} {{tmp}}/a --format openfibsem", "with a FIB image"),
        (f"landmarks export {{grid}} {BEADS} {{tmp}}/no/a --format csv", "no/a"),
        (f"landmarks import {{grid}} {SPACE} {{tmp}}/b.txt --format 3dct", "b-moving.txt"),
        (f"landmarks import {{grid}} {SPACE} {{tmp}}/c.txt --format 3dct", "2 points"),
        (f"landmarks import {{grid}} {BEADS} {{tmp}}/d.csv --format bigwarp", "twice"),
        ("targets export {grid} {tmp}/a --format nav", "several frames"),
        ("targets export {grid} {tmp}/a --format nav --frame fib-A", "how it lies on its stage"),
        ("targets export {grid} {tmp}/a --format nav --frame nowhere", "no frame 'nowhere'"),
        ("targets export {grid} {tmp}/a --format csv --frame tem-A --onto b", "--format nav"),
        ("targets export {tmp}/no.clxem.json {tmp}/a --format csv", "no session file"),
    ],
)
def test_bad_input_is_one_sentence(grid, tmp_path, arguments, expected, capsys):
    (tmp_path / "c-moving.txt").write_text("1 2 3\n4 5 6\n")
    (tmp_path / "c-fixed.txt").write_text("1 2 3\n")
    line = '"a","true","1","2","3","4","5","6"\n'
    (tmp_path / "d.csv").write_text(line * 2)
    before = grid.read_bytes()
    given = [one.format(grid=grid, tmp=tmp_path) for one in arguments.split()]
    assert main(given) == 2
    out, err = capsys.readouterr()
    assert not out
    assert expected in err
    assert err.count("\n") == 1
    assert grid.read_bytes() == before
