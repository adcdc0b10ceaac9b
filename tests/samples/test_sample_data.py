from __future__ import annotations

import json

import numpy as np
import pytest

from napari_clxem.samples import make_scene, point_grid, sample_folder
from napari_clxem.samples.__main__ import main
from napari_clxem.samples.poses import make_layout
from napari_clxem.samples.records import truth_record
from napari_clxem.samples.sizes import SIZES


def test_shipped_set_is_whole_and_at_most_15_mb():
    folder = sample_folder()
    record = json.loads((folder / "grid.json").read_text())
    for dataset in record["datasets"]:
        assert (folder / dataset["file"]).stat().st_size > 10_000, dataset["name"]
    total = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    assert total <= 15_000_000


def test_shipped_truth_is_that_of_the_code():
    shipped = json.loads((sample_folder() / "truth.json").read_text())
    scene = make_scene(shipped["seed"])
    made = truth_record(scene, make_layout(scene, SIZES["shipped"]))
    assert set(made["frames"]) == set(shipped["frames"])
    for name, frame in made["frames"].items():
        assert np.allclose(frame["from_grid"], shipped["frames"][name]["from_grid"], atol=1e-6)
        assert frame["beads"] == shipped["frames"][name]["beads"]
    for key in ("beads", "targets"):
        assert np.allclose(
            [item["position"] for item in made[key]],
            [item["position"] for item in shipped[key]],
            atol=1e-5,
        )


def test_points_of_the_same_seed_are_those_of_the_shipped_truth():
    shipped = json.loads((sample_folder() / "truth.json").read_text())
    grid = point_grid(shipped["seed"])
    for name, frame in grid.frames.items():
        matrix = np.array(shipped["frames"][name]["from_grid"])
        if frame.pose.ndim == 3:
            matrix[0] *= frame.pose.axial_scaling
        assert frame.from_grid == pytest.approx(matrix, abs=1e-6)


def test_command_writes_a_grid(tmp_path, capsys):
    assert main(["--folder", str(tmp_path / "grid"), "--size", "tiny", "--seed", "7"]) == 0
    assert "tem-B" in capsys.readouterr().out
    assert json.loads((tmp_path / "grid" / "truth.json").read_text())["seed"] == 7


def test_command_says_what_is_wrong(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert main(["--folder", str(tmp_path / "file"), "--size", "tiny"]) == 1
    assert "could not be written" in capsys.readouterr().err
