"""Links of lamella maps by content, on the shipped sample, from as few picks as fix a start."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from napari_clxem.errors import NoMatch
from napari_clxem.fiducials import lamella_region
from napari_clxem.io import open_image
from napari_clxem.samples import sample_folder
from napari_clxem.session import load
from napari_clxem.session.chain import chain
from napari_clxem.session.content_links import by_section
from napari_clxem.session.geometry import graph, solve


def opened(data):
    return open_image(
        sample_folder() / data.file.path,
        index=data.file.index,
        orientation=data.orientation,
        scale=data.scale,
    )


@pytest.fixture(scope="module")
def truth():
    return json.loads((sample_folder() / "truth.json").read_text())


@pytest.fixture
def few():
    """The sample with four picks in each lamella's map."""
    session = load(sample_folder() / "grid.clxem.json")
    links = tuple(
        replace(one, landmarks=one.landmarks[:4]) if one.fixed.startswith("tem") else one
        for one in session.links
    )
    return replace(session, links=links)


def sides(session, site):
    """Tomogram and map of a site, opened."""
    found = {data.name: data for data in session.datasets}
    return tuple((found[name], opened(found[name])) for name in (f"tomogram-{site}", f"tem-{site}"))


def misses(way, truth, site):
    """Misses in the map of what the lamella holds, about its middle, (n, 2) µm."""
    lamella = next(one for one in truth["lamellae"] if one["site"] == site)
    grid = np.array(lamella["centre"]) + [
        a * np.array(lamella["along"]) + b * np.array(lamella["across"])
        for a in (-2, 0, 2)
        for b in (-2, 0, 2)
    ]
    here, there = (
        np.array(truth["frames"][f"{kind}-{site}"]["from_grid"]) for kind in ("tomogram", "tem")
    )
    points = grid @ here[:3, :3].T + here[:3, 3]
    return points, way.transform(points)[:, -2:] - (grid @ there[:2, :3].T + there[:2, 3])


def test_a_lamella_map_is_linked_by_what_its_slab_shows(few, truth):
    link = by_section(few, *sides(few, "B"))
    assert (link.kind, link.moving, link.fixed) == ("content", "tomogram-B", "tem-B")
    points, miss = misses(solve(link), truth, "B")
    assert np.linalg.norm(miss, axis=1).mean() < 0.08
    spread = solve(link).predict_error(points)
    squares = np.einsum("na,nab,nb->n", miss, np.linalg.inv(spread), miss)
    assert np.mean(squares <= 5.991) > 0.9


def test_the_chain_adds_it_to_the_graph_where_picks_are_few(few):
    kept = tuple(one for one in few.datasets if one.name in ("tomogram-B", "tem-B"))
    session = replace(few, datasets=kept)
    done = chain(session, opened)
    assert done.failures == ()
    assert {one.id for one in done.session.links} - {one.id for one in session.links} == {
        "content-tomogram-B-tem-B"
    }
    point = [[2.8, 7.0, 7.0]]
    before, after = (
        np.trace(graph(one).transform("tomogram-B", "tem-B", point).predict_error(point)[0])
        for one in (session, done.session)
    )
    assert after <= before
    many = load(sample_folder() / "grid.clxem.json")
    assert chain(replace(many, datasets=kept), opened).session.links == many.links


def test_the_slab_of_another_cell_is_refused(few):
    (tomogram, _), chart = sides(few, "B")
    _, other = sides(few, "A")[0]
    with pytest.raises(NoMatch):
        by_section(few, (tomogram, other), chart)


def test_without_a_start_there_is_no_link(few):
    with pytest.raises(NoMatch, match="three landmarks"):
        by_section(replace(few, links=()), *sides(few, "B"))


def test_the_lamella_is_told_from_bulk_and_vacuum():
    rng = np.random.default_rng(1)
    image = np.full((400, 500), 20.0)  # bulk
    image[60:340, 80:420] = 200.0  # vacuum
    image[100:300, 120:380] = 100.0  # lamella
    image[180:200, 200:260] = 30.0  # a dense organelle
    found = lamella_region(image + rng.normal(0, 8, image.shape), (0.02, 0.02), margin=0.2)
    assert found[125:275, 145:355].all()
    outside = np.ones(image.shape, bool)
    outside[100:300, 120:380] = False
    assert not found[outside].any()
    with pytest.raises(NoMatch, match="even"):
        lamella_region(np.ones((50, 50)), (0.02, 0.02))
