"""The verbs pack, unpack and merge."""

from __future__ import annotations

import pytest

from napari_clxem.cli import main
from napari_clxem.samples import sample_folder
from napari_clxem.session import Session, Site, Store, Target, edits, load, save


@pytest.fixture
def grid(tmp_path):
    """The sample grid in a folder of its own."""
    path = tmp_path / "home" / "grid.clxem.json"
    path.parent.mkdir()
    save(load(sample_folder() / "grid.clxem.json"), path)
    return path


@pytest.fixture
def packed(grid, tmp_path):
    """The grid as a travel package."""
    path = tmp_path / "trip.clxem.zip"
    assert main(["pack", str(grid), str(path)]) == 0
    return path


def changed(path, edit):
    store = Store(path=path)
    store.commit(edit, "Change")
    store.save()
    store.close()


def test_there_and_back(grid, packed, tmp_path, capsys):
    capsys.readouterr()
    assert main(["pack", str(grid), str(tmp_path / "again.clxem.zip")]) == 0
    out, err = capsys.readouterr()
    assert "again.clxem.zip: " in out
    assert "100%" in err
    assert packed.stat().st_size < 10e6
    assert main(["unpack", str(packed), str(tmp_path / "away")]) == 0
    away = tmp_path / "away" / "trip.clxem.json"
    assert capsys.readouterr().out.strip() == str(away)
    new = Target(id="A9", name="A9", frame="confocal-A", position=(1.0, 2.0, 3.0))
    changed(away, lambda s: edits.put(s, new))
    changed(away, lambda s: edits.drop(s, Target, "C2"))
    changed(grid, lambda s: edits.set_status(s, "A", "lost"))
    assert main(["merge", str(grid), str(away)]) == 0  # compares only
    assert "A9" not in {t.id for t in load(grid).targets}
    merged = tmp_path / "home" / "merged.clxem.json"
    assert main(["merge", str(grid), str(away), "--out", str(merged)]) == 0
    assert f"Session saved as {merged}" in capsys.readouterr().out
    found = load(merged)
    assert {t.id for t in found.targets} == {"A1", "A2", "B1", "B2", "C1", "A9"}
    assert edits.get(found, Site, "A").status == "lost"
    assert main(["merge", str(grid), str(away), "--out", str(grid)]) == 0
    assert "A9" in {t.id for t in load(grid).targets}
    assert main(["merge", str(grid), str(grid)]) == 0
    assert "Nothing in the other copy is new." in capsys.readouterr().out


def test_conflicts_are_listed_and_wait(grid, packed, tmp_path, capsys):
    assert main(["unpack", str(packed), str(tmp_path / "away")]) == 0
    away = tmp_path / "away" / "trip.clxem.json"
    changed(away, lambda s: edits.set_status(edits.set_status(s, "A", "x-rayed"), "B", "imaged"))
    changed(grid, lambda s: edits.set_status(edits.set_status(s, "A", "lost"), "B", "lost"))
    out = tmp_path / "home" / "merged.clxem.json"
    capsys.readouterr()
    assert main(["merge", str(grid), str(away), "--out", str(out)]) == 1
    said, err = capsys.readouterr()
    assert "sites/A/status" in said
    assert "lost" in said
    assert "2 conflicts are not decided" in err
    assert not out.exists()
    arguments = ["merge", str(grid), str(away), "--out", str(out)]
    assert main([*arguments, "--take", "ours", "--theirs", "sites/B/status"]) == 0
    found = load(out)
    assert edits.get(found, Site, "A").status == "lost"
    assert edits.get(found, Site, "B").status == "imaged"
    assert main([*arguments, "--take", "theirs"]) == 0
    assert edits.get(load(out), Site, "A").status == "x-rayed"
    assert main([*arguments, "--ours", "sites/Z/status"]) == 2
    both = ["--ours", "sites/A/status", "--theirs", "sites/A/status"]
    assert main([*arguments, *both]) == 2
    assert "name it once" in capsys.readouterr().err


def test_a_file_that_is_open_is_not_written_over(grid, packed, tmp_path, capsys):
    assert main(["unpack", str(packed), str(tmp_path / "away")]) == 0
    away = tmp_path / "away" / "trip.clxem.json"
    changed(away, lambda s: edits.set_status(s, "A", "x-rayed"))
    store = Store(path=grid)
    before = grid.read_bytes()
    status = main(["merge", str(grid), str(away), "--out", str(grid)])
    store.close()
    assert status == 2
    assert "is open in" in capsys.readouterr().err
    assert grid.read_bytes() == before


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["pack", "{grid}", "{tmp}/trip.zip"], "does not end in .clxem.zip"),
        (["pack", "{tmp}/no.clxem.json", "{tmp}/a.clxem.zip"], "There is no session file"),
        (["unpack", "{tmp}/no.clxem.zip"], "no.clxem.zip"),
        (["unpack", "{grid}"], "grid.clxem.json"),
        (["merge", "{grid}", "{tmp}/other.clxem.json"], "These are two grids"),
        (["merge", "{grid}", "{tmp}/no.clxem.json"], "no.clxem.json"),
    ],
)
def test_bad_input_is_one_sentence(grid, tmp_path, arguments, expected, capsys):
    save(Session(), tmp_path / "other.clxem.json")
    assert main([one.format(grid=grid, tmp=tmp_path) for one in arguments]) == 2
    out, err = capsys.readouterr()
    assert not out
    assert expected in err
    assert err.count("\n") == 1
