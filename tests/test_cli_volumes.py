"""The verbs resample and transform: images and maps of the sample grid, for other programs."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import tifffile
import zarr

from napari_clxem.cli import main
from napari_clxem.io import Orientation, open_image
from napari_clxem.io.exchange import read_matrix, read_ngff
from napari_clxem.samples import sample_folder
from napari_clxem.session import load, open_dataset, save
from napari_clxem.session.geometry import complete, graph

SESSION = str(sample_folder() / "grid.clxem.json")


def test_beads_of_the_stack_lie_where_the_tomogram_shows_them(tmp_path, capsys):
    out = tmp_path / "stack.ome.zarr"
    assert main(["resample", SESSION, "confocal-A", str(out), "--like", "tomogram-A"]) == 0
    said = capsys.readouterr().out
    assert "71 x 173 x 173 pixels" in said
    assert "by confocal-A → tomogram-A" in said
    stack = open_image(out)
    assert stack.scale == (0.078,) * 3
    assert [c.name for c in stack.channels][-1] == "beads"
    data = np.asarray(stack.data[3], float)
    link = next(one for one in load(SESSION).links if one.id == "beads-confocal-A-tomogram-A")
    places = np.array([mark.fixed for mark in complete(link.landmarks)])
    misses = []
    for place in places:
        first = np.maximum(np.rint(place / 0.078).astype(int) - 8, 0)
        part = data[tuple(slice(a, a + 17) for a in first)]
        weight = np.clip(part - np.median(part), 0, None) ** 2
        grid = np.stack(np.meshgrid(*map(np.arange, part.shape), indexing="ij"))
        middle = (grid * weight).sum(axis=(1, 2, 3)) / weight.sum() + first
        misses.append(np.linalg.norm((middle * 0.078 - place)[1:]))
    assert len(misses) >= 5
    assert np.median(misses) < 0.1


def test_a_tiff_is_read_elsewhere(tmp_path, capsys):
    out = tmp_path / "map.ome.tif"
    box = ["--box", "100", "90", "110", "105"]
    assert main(["resample", SESSION, "fluorescence-map", str(out), "--frame", "sxt-mosaic",
                 "--pixel", "0.1", *box]) == 0  # fmt: skip
    with tifffile.TiffFile(out) as file:
        assert file.series[0].shape == (2, 101, 151)
        assert 'PhysicalSizeX="0.1"' in file.ome_metadata
    assert "first pixel at (100.000, 90.000) µm" in capsys.readouterr().out


def test_the_frame_of_the_image_itself_only_copies(tmp_path):
    out = tmp_path / "same.ome.zarr"
    assert main(["resample", SESSION, "tomogram-A", str(out), "--frame", "tomogram-A"]) == 0
    held = open_image(sample_folder() / "sxt" / "tomogram-A.rec")
    np.testing.assert_array_equal(zarr.open_group(out)["0"][:], np.asarray(held.data))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["nobody", "a.ome.zarr", "--frame", "tomogram-A"], "no image 'nobody'"),
        (["tomogram-A", "a.ome.zarr", "--frame", "nowhere"], "no frame 'nowhere'"),
        (["tomogram-A", "a.png", "--frame", "confocal-A"], "neither in .ome.zarr nor in .ome.tif"),
        (["tomogram-A", "a.ome.tif", "--frame", "confocal-A", "--box", "1", "2"], "4 numbers"),
        (["tomogram-A", "a.ome.tif", "--like", "confocal-A", "--pixel", "1"], "not both"),
    ],
)
def test_bad_words_are_one_sentence(words, said, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["resample", SESSION, *words]) == 2
    assert said in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_all_maps_to_a_frame_as_ngff(tmp_path, capsys):
    out = tmp_path / "maps.json"
    assert main(["transform", SESSION, str(out), "--to", "sxt-mosaic"]) == 0
    found = {one.moving: one for one in read_ngff(out)}
    assert {"confocal-A", "tomogram-A", "fluorescence-map", "tem-A"} <= set(found)
    links = graph(load(SESSION))
    for name, points in (
        ("confocal-A", [[1.0, 2.0, 3.0], [4.0, 9.0, 1.0]]),
        ("fluorescence-map", [[20.0, 30.0], [1.0, 90.0]]),
        ("tem-A", [[2.0, 3.0], [5.0, 1.0]]),
    ):
        there = links.transform(name, "sxt-mosaic").transform(points)
        np.testing.assert_allclose(found[name].affine.transform(points), there, atol=1e-6)
    systems = {s["name"]: s for s in json.loads(out.read_text())["ome"]["coordinateSystems"]}
    assert [axis["name"] for axis in systems["confocal-A"]["axes"]] == ["z", "y", "x"]
    assert systems["sxt-mosaic"]["axes"][0]["unit"] == "micrometer"


def test_one_map_as_a_plain_matrix(tmp_path):
    out = tmp_path / "map.txt"
    words = ["--to", "tomogram-A", "--of", "confocal-A"]
    assert main(["transform", SESSION, str(out), *words]) == 0
    found = read_matrix(out)
    route = graph(load(SESSION)).transform("confocal-A", "tomogram-A")
    np.testing.assert_allclose(found.affine.matrix, route.placement)
    assert (found.moving, found.fixed) == ("confocal-A", "tomogram-A")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["maps.txt", "--to", "sxt-mosaic"], "cannot hold"),
        (["maps.json", "--to", "nowhere"], "no frame 'nowhere'"),
        (["maps.json", "--to", "confocal-A", "--of", "sxt-mosaic"], "is a plane"),
    ],
)
def test_maps_that_cannot_be_written(words, said, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["transform", SESSION, *words]) == 2
    assert said in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.fixture
def grid(tmp_path):
    """The sample grid, its images where they were."""
    path = tmp_path / "grid.clxem.json"
    save(load(SESSION), path)
    return path


def test_orientation_is_shown_and_changed(grid, capsys):
    # planar links could not follow a z that becomes another axis
    save(replace(load(grid), links=(), targets=(), exposures=(), lamellae=()), grid)
    assert main(["orient", str(grid), "tomogram-A"]) == 0
    assert "stored axes y, z, x; reversed y" in capsys.readouterr().out
    words = ["--axes", "z", "y", "x", "--flip", "z", "y"]
    assert main(["orient", str(grid), "tomogram-A", *words]) == 0
    assert "173 x 71 x 173 pixels (z, y, x)" in capsys.readouterr().out
    session = load(grid)
    dataset = next(one for one in session.datasets if one.name == "tomogram-A")
    assert dataset.orientation == Orientation(("z", "y", "x"), ("z", "y"))
    raw = np.asarray(open_image(sample_folder() / "sxt" / "tomogram-A.rec").data)
    turned = np.asarray(open_dataset(grid.parent, dataset).data)
    held = raw.transpose(1, 0, 2)[::-1]  # the file holds y backwards, then z, then x
    np.testing.assert_array_equal(turned, held[::-1, ::-1])


def test_landmarks_stay_on_their_pixels_when_an_image_is_turned(grid):
    def marks():
        link = next(x for x in load(grid).links if x.id == "beads-confocal-A-tomogram-A")
        return np.array([one.fixed for one in link.landmarks])

    before = marks()
    assert main(["orient", str(grid), "tomogram-A", "--flip"]) == 0
    after = marks()
    np.testing.assert_allclose(after[:, 1], 172 * 0.078 - before[:, 1])
    np.testing.assert_allclose(after[:, ::2], before[:, ::2])


def test_an_orientation_that_does_not_fit_is_told(grid, capsys):
    assert main(["orient", str(grid), "fluorescence-map", "--axes", "z", "y", "x"]) == 2
    assert capsys.readouterr().err.count("napari-clxem:") == 1
