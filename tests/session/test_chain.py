"""The automatic chain on the shipped sample, against the truth that only tests may read."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

from chain_accuracy import errors

from napari_clxem.errors import NoMatch, ReadError
from napari_clxem.io import open_image
from napari_clxem.io.image import Channel, OpenedImage
from napari_clxem.samples import sample_folder
from napari_clxem.session.beads import bead_channel, bead_link
from napari_clxem.session.chain import chain, optical_depth
from napari_clxem.session.content_links import by_features
from napari_clxem.session.description import describe, stage_map
from napari_clxem.session.geometry import graph, solve
from napari_clxem.session.linked import linked_grid

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def linked():
    session, failures = linked_grid(sample_folder() / "grid.json")
    return session, failures


@pytest.fixture(scope="module")
def truth():
    return json.loads((sample_folder() / "truth.json").read_text())


def test_every_link_is_made(linked):
    session, failures = linked
    made = {(link.moving, link.fixed) for link in session.links if link.kind != "stage"}
    assert {
        ("fluorescence-map", "sxt-mosaic"),
        ("sem-overview", "fluorescence-map"),
        ("vlm-map", "fluorescence-map"),
        *((f"confocal-{site}", "sxt-mosaic") for site in "ABC"),
        *((f"tomogram-{site}", "sxt-mosaic") for site in "ABC"),
        *((f"confocal-{site}", f"tomogram-{site}") for site in "ABC"),
        *((f"confocal-{site}", f"fib-{site}") for site in "ABC"),
        *((f"tomogram-{site}", f"tem-{site}") for site in "AB"),
    } == made
    assert failures == ()


def test_a_stack_with_one_bead_is_linked_by_what_both_show(linked, truth):
    session = linked[0]
    link = next(one for one in session.links if one.id == "content-confocal-C-tomogram-C")
    assert not any(one.id == "beads-confocal-C-tomogram-C" for one in session.links)
    stack = next(data for data in session.datasets if data.name == "confocal-C")
    here, there = (
        np.array(truth["frames"][frame]["from_grid"]) for frame in (link.moving, link.fixed)
    )
    used = np.diag([stack.axial_scaling, 1, 1, 1]) @ here
    targets = np.array([t["position"] for t in truth["targets"] if t["site"] == "C"])
    points = targets @ used[:3, :3].T + used[:3, 3]
    miss = solve(link).transform(points) - (targets @ there[:3, :3].T + there[:3, 3])
    assert np.abs(miss[:, 1:]).max() < 0.15
    assert np.abs(miss[:, 0]).max() < 0.4  # the maps alone leave 2 µm
    spread = solve(link).predict_error(points)
    assert (np.einsum("na,nab,nb->n", miss, np.linalg.inv(spread), miss) < 16.3).all()
    assert (np.sqrt(spread[:, 0, 0]) < 0.4).all()


def test_features_that_contradict_the_maps_make_no_link(linked):
    session, _ = linked
    ids = {"content-confocal-C-tomogram-C"}
    shifted = []
    for link in session.links:
        if link.id in ids:
            continue
        if link.id == "content-tomogram-C-sxt-mosaic":
            estimate = link.estimate
            matrix = [list(row) for row in estimate.matrix]
            matrix[0][-1] += 0.8
            changed = tuple(tuple(row) for row in matrix)
            link = replace(link, estimate=replace(estimate, matrix=changed))
        shifted.append(link)
    moved = replace(session, links=tuple(shifted))
    stack, tomogram = (
        next(data for data in session.datasets if data.name == name)
        for name in ("confocal-C", "tomogram-C")
    )

    def opened(data):
        return open_image(
            data.file.path, index=data.file.index, orientation=data.orientation, scale=data.scale
        )

    with pytest.raises(NoMatch, match="standard deviations off"):
        by_features(moved, (stack, opened(stack)), (tomogram, opened(tomogram)))
    alone = replace(session, links=())
    with pytest.raises(NoMatch, match="No map or stage"):
        by_features(alone, (stack, opened(stack)), (tomogram, opened(tomogram)))


def test_confocal_targets_reach_the_tomogram_within_one_resolution_element(linked, truth):
    for row in errors(linked[0], truth):
        if row.moving.startswith("confocal") and row.fixed.startswith("tomogram"):
            assert np.median(row.true) <= 0.060


def test_predicted_errors_hold_the_true_ones(linked, truth):
    found = errors(linked[0], truth)
    assert len(found) >= 18
    inside = np.concatenate([row.ratio for row in found]) <= 5.991
    assert inside.mean() > 0.85
    for row in found:
        assert row.predicted.max() < 0.2


def test_no_bead_is_paired_with_another(linked, truth):
    """Landmarks of bead links lie on one true bead on both sides, within 0.4 µm."""
    session = linked[0]
    beads = np.array([bead["position"] for bead in truth["beads"]])
    scaling = {data.frame: data.axial_scaling for data in session.datasets}
    checked = 0
    for link in session.links:
        if not link.id.startswith("beads-"):
            continue
        ids = []
        for side, frame in (("moving", link.moving), ("fixed", link.fixed)):
            matrix = np.array(truth["frames"][frame]["from_grid"])
            matrix = np.diag([scaling[frame], 1, 1, 1]) @ matrix if len(matrix) == 4 else matrix
            placed = beads @ matrix[-3:-1, :3].T if len(matrix) == 4 else beads @ matrix[:, :3].T
            placed = placed + (matrix[-3:-1, 3] if len(matrix) == 4 else matrix[:, 3])
            picked = np.array([getattr(mark, side)[-2:] for mark in link.landmarks])
            apart = np.linalg.norm(picked[:, None] - placed[None], axis=2)
            ids.append(np.where(apart.min(axis=1) < 0.4, apart.argmin(axis=1), -1))
        kept = solve(link).inliers
        same = (ids[0] == ids[1]) | (ids[0] < 0) | (ids[1] < 0)
        assert same[kept].mean() > 0.9, link.id
        checked += kept.sum()
    assert checked > 150


def test_stage_readings_alone_already_join_the_frames_of_an_instrument():
    session = describe(sample_folder() / "grid.json")
    error = graph(session).transform("tomogram-A", "sxt-mosaic").predict_error([[2.7, 6.7, 6.7]])
    assert 1.0 < np.sqrt(error[0, 0, 0]) < 5.0
    assert session.sites[0].name == "A"
    assert all(dataset.scale for dataset in session.datasets)


def test_progress_can_end_the_chain():
    class CancelledError(Exception):
        pass

    def progress(share, text):
        raise CancelledError

    session = describe(sample_folder() / "grid.json")
    with pytest.raises(CancelledError):
        chain(session, lambda dataset: None, progress)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{", "not JSON"),
        ("[]", "no JSON object"),
        ("{}", "no complete grid description"),
        ('{"name": "x", "grid": {"name": "x"}, "sites": [], "datasets": [{"file": 3}]}', "grid"),
    ],
)
def test_a_damaged_description_is_refused(tmp_path, text, says):
    path = tmp_path / "grid.json"
    path.write_text(text)
    with pytest.raises(ReadError, match=says):
        describe(path)


def test_a_missing_description_is_said(tmp_path):
    with pytest.raises(ReadError, match="cannot be read"):
        describe(tmp_path / "grid.json")


def test_too_few_beads_make_no_link():
    three = np.zeros((3, 2)), np.ones((3, 2))
    with pytest.raises(NoMatch, match="Only 3 beads"):
        bead_link("a", "b", three, three)


def test_the_bead_channel_goes_by_its_name():
    data = np.arange(3)[:, None, None] * np.ones((3, 4, 4))
    names = ("Beads 561", "nuclei", "other")
    image = OpenedImage((data,), ("c", "y", "x"), (0.1, 0.1), tuple(Channel(n) for n in names))
    assert (bead_channel(image) == 0).all()
    unnamed = replace(image, channels=tuple(Channel(n) for n in ("a", "b", "c")))
    assert (bead_channel(unnamed) == 2).all()


def test_optical_depth_of_transmission():
    depth = optical_depth(np.full((50, 50), 200.0) * np.exp(-np.eye(50)))
    assert depth[0, 0] == pytest.approx(1.0)
    assert depth[0, 1] == pytest.approx(0.0)


def test_a_dataset_without_stage_or_scale_hangs_on_no_stage():
    session = describe(sample_folder() / "grid.json")
    dataset = next(d for d in session.datasets if d.frame == "sxt-mosaic")
    assert stage_map(replace(dataset, stage=None)) is None
    assert stage_map(replace(dataset, scale=None)) is None


def test_a_stage_that_counts_y_upwards_is_turned_round():
    session = describe(sample_folder() / "grid.json")
    dataset = next(d for d in session.datasets if d.frame == "sem-overview")
    assert dataset.stage.convention == "fei"
    found = stage_map(dataset)
    middle = found.centre
    y, x = found.transform(middle)[0]
    assert (-y, x) == pytest.approx(dataset.stage.position[1:])
    assert np.linalg.det(found.affine) > 0
