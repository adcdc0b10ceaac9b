"""A milled lamella in the volumes of its site: where it was picked, tilted as it was milled."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from napari_clxem.frames import Affine
from napari_clxem.lamella import Lamella, LamellaRecord
from napari_clxem.samples import sample_folder
from napari_clxem.session import load
from napari_clxem.session.geometry import estimate, graph, solve, solve_in_space
from napari_clxem.session.slabs import heights, laid, milled, slab_link, slab_placement


@pytest.fixture(scope="module")
def sample():
    folder = sample_folder()
    return load(folder / "grid.clxem.json"), json.loads((folder / "truth.json").read_text())


def true_map(truth, frame):
    return Affine(np.array(truth["frames"][frame]["from_grid"]))


def true_normal(truth, one):
    """Normal of the true faces in the tomogram, and their middle there."""
    onto = true_map(truth, f"tomogram-{one['site']}")
    normal = np.linalg.inv(onto.linear).T @ one["normal"]
    return normal / np.linalg.norm(normal), onto.transform(one["centre"])[0]


def record(one, truth):
    y, x = true_map(truth, one["frame"]).transform(one["centre"])[0]
    return LamellaRecord(
        id="milled",
        name="milled",
        site=one["site"],
        frame=one["frame"],
        lamella=Lamella((0.0, y, x), 0.0),
        status="milled",
    )


@pytest.mark.parametrize("index", [0, 1])
def test_faces_run_as_they_were_milled(sample, index):
    session, truth = sample
    one = truth["lamellae"][index]
    site = one["site"]
    normal, _ = true_normal(truth, one)
    seen = milled(session, site, f"tomogram-{site}")
    assert seen is not None
    assert seen.view == f"fib-{site}"
    away = np.rad2deg(np.arccos(seen.normal @ normal))
    assert away < 3 * seen.sd
    assert 0.5 < seen.sd < 2.0
    np.testing.assert_allclose(seen.covariance @ seen.normal, 0.0, atol=1e-12)


@pytest.mark.parametrize("index", [0, 1])
def test_the_slab_lies_in_the_tomogram_as_it_truly_does(sample, index):
    session, truth = sample
    one = truth["lamellae"][index]
    frame = f"tomogram-{one['site']}"
    normal, centre = true_normal(truth, one)
    lying = laid(session, record(one, truth))
    way = graph(lying).transform(frame, one["frame"])
    found = way.placement[0, :3] / np.linalg.norm(way.placement[0, :3])
    assert np.rad2deg(np.arccos(found @ normal)) < 1.0
    middle = way.placement[0] @ np.append(centre, 1.0)
    assert abs(middle) < 0.1
    # corners of the slab, three µm from its middle, within what is predicted
    back = graph(lying).transform(one["frame"], frame)
    spots = np.array([[a, b] for a in (-3, 3) for b in (-3, 3)]) @ [one["along"], one["across"]]
    spots = spots + one["centre"]
    there = true_map(truth, one["frame"]).transform(spots)
    miss = (back.transform(there) - true_map(truth, frame).transform(spots)) @ normal
    sd = np.sqrt(np.einsum("nij,i,j->n", back.predict_error(there), normal, normal))
    assert (np.abs(miss) < 3 * sd).all()
    assert (sd < 0.16).all()


def test_without_the_view_it_was_milled_in_landmarks_alone_say_less(sample):
    session, truth = sample
    one = truth["lamellae"][0]
    blind = replace(session, datasets=tuple(d for d in session.datasets if d.modality != "fib"))
    assert milled(blind, "A", "tomogram-A") is None
    link = next(one_ for one_ in session.links if one_.fixed == one["frame"])
    known, alone = (slab_link(s, link, record(one, truth)) for s in (session, blind))
    out = np.add(known.centre, [0.0, 4.0, 0.0])
    assert known.predict_error(out)[0, 0, 0] < 0.5 * alone.predict_error(out)[0, 0, 0]


def test_faces_off_the_map_tilt_the_slab(sample):
    session, truth = sample
    one = record(truth["lamellae"][0], truth)
    turned = replace(one, lamella=replace(one.lamella, angle=6.0, azimuth=0.0))
    flat, tilted = (slab_placement(session, r, "tomogram-A") for r in (one, turned))
    normals = [
        np.linalg.inv(p.linear).T @ r.lamella.normal for p, r in ((flat, one), (tilted, turned))
    ]
    a, b = (n / np.linalg.norm(n) for n in normals)
    # the faces stay as they were milled: it is the map that turns under them
    assert np.rad2deg(np.arccos(a @ b)) < 0.5
    beams = [p.linear[:, 0] / np.linalg.norm(p.linear[:, 0]) for p in (flat, tilted)]
    assert np.rad2deg(np.arccos(beams[0] @ beams[1])) == pytest.approx(
        6.0, abs=1.2
    )  # the picks hold it a little


def test_heights_lie_on_the_mid_plane():
    slab = Lamella((0.4, 3.0, 5.0), 8.0, 30.0)
    places = np.array([[3.0, 5.0], [7.0, 1.0], [-2.0, 4.0]])
    points = np.column_stack([heights(slab, places), places])
    np.testing.assert_allclose(slab.within(points)[:, 0], 0.0, atol=1e-12)
    assert heights(slab, places)[0] == pytest.approx(0.4)


def test_a_map_that_no_landmarks_tie_stays_as_it_is(sample):
    session, truth = sample
    one = record(truth["lamellae"][0], truth)
    bare = replace(session, links=tuple(x for x in session.links if x.fixed != one.frame))
    assert laid(bare, one) is bare
    without = tuple(
        replace(x, landmarks=tuple(replace(m, fixed_sigma=None) for m in x.landmarks))
        if x.fixed == one.frame
        else x
        for x in session.links
    )
    unweighted = replace(session, links=without)
    assert laid(unweighted, one) is unweighted


def test_landmarks_on_a_thin_plane_tell_its_tilt(sample):
    session, truth = sample
    one = truth["lamellae"][0]
    link = next(x for x in session.links if x.fixed == one["frame"])
    normal, _ = true_normal(truth, one)
    thin = solve_in_space(link, (0.0, 0.2))
    assert thin.matrix.shape == (4, 4)
    found = thin.matrix[0, :3] / np.linalg.norm(thin.matrix[0, :3])
    seen = np.cross(*solve(link).matrix[:, :3])
    away, before = (
        np.rad2deg(np.arccos(abs(one_ @ normal) / np.linalg.norm(one_))) for one_ in (found, seen)
    )
    assert away < before
    # of a plane of unknown height, or of another kind of link, nothing more is known
    assert solve_in_space(link, (0.0, 10.0)) is solve(link)
    assert solve_in_space(link, None) is solve(link)
    unweighted = replace(
        link,
        model="projection",
        prior=None,
        landmarks=tuple(replace(m, moving_sigma=None, fixed_sigma=None) for m in link.landmarks),
    )
    assert solve_in_space(unweighted, (0.0, 0.2)).matrix.shape == (2, 4)


def test_a_link_that_only_sees_the_map_does_not_say_its_height(sample):
    session, truth = sample
    one = record(truth["lamellae"][0], truth)
    link = next(x for x in session.links if x.fixed == one.frame)
    seen = replace(link, id="seen", kind="content", landmarks=(), estimate=estimate(solve(link)))
    lying = laid(replace(session, links=(*session.links, seen)), one)
    assert [x.id for x in lying.links if x.fixed == one.frame] == [link.id]
    volume = replace(link, id="space", kind="declared", landmarks=())
    volume = replace(volume, estimate=estimate(solve_in_space(link, (0.0, 0.2))))
    lying = laid(replace(session, links=(*session.links, volume)), one)
    assert {x.id for x in lying.links if x.fixed == one.frame} == {link.id, "space"}
