"""Closing loops: links agree, errors shrink as predicted, beads used twice count once."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from napari_clxem.frames import Affine, FrameGraph, UncertainAffine, fit

SD = 0.05


def truths(rng, ndim):
    """Where frame a's points lie in a, b and c."""
    found = [Affine.identity(ndim)]
    for _ in range(2):
        linear = np.eye(ndim)
        linear[-2:, -2:] = Affine.planar(rng.uniform(0, 360)).linear
        if ndim == 3:
            linear = Rotation.random(rng=rng).as_matrix()
        found.append(Affine.from_parts(linear, rng.uniform(-50, 50, ndim)))
    return dict(zip("abc", found, strict=True))


def looped(rng, ndim, model, shared):
    """Three frames, three links; with `shared` each bead is picked once in each frame."""
    places = truths(rng, ndim)
    beads = rng.uniform(-10, 10, (12, ndim))
    picks = {name: places[name](beads) + SD * rng.normal(size=beads.shape) for name in "abc"}
    graph = FrameGraph()
    for index, (one, other) in enumerate(("ab", "bc", "ac")):
        rows = slice(None) if shared else slice(4 * index, 4 * index + 4)
        if shared:
            rows = slice(3 * index, 3 * index + 6)
        graph.add_link(one, other, fit(picks[one][rows], picks[other][rows], model, SD, SD))
    return graph, places


def squares(route, places, start, end, targets):
    miss = route.transform(places[start](targets)) - places[end](targets)
    spread = route.predict_error(places[start](targets))
    return np.einsum("ni,nij,nj->n", miss, np.linalg.inv(spread), miss), miss, spread


@pytest.mark.parametrize(
    ("ndim", "model", "shared"),
    [
        (2, "similarity", True),
        (2, "similarity", False),
        (2, "rigid", True),
        (2, "affine", True),
        (3, "rigid", False),
    ],
)
def test_loops_close_and_the_joint_region_holds_the_truth(ndim, model, shared):
    rng = np.random.default_rng([ndim, len(model), shared])
    inside, before, after, predicted, chances = [], [], [], [], []
    for _ in range(120):
        graph, places = looped(rng, ndim, model, shared)
        best = graph.adjust()
        (closure,) = best.closures
        assert closure.gap < 1e-9
        targets = rng.uniform(-10, 10, (2, ndim))
        for start, end in ("ab", "ca"):
            there = places[start](targets)
            old = squares(graph.transform(start, end, there), places, start, end, targets)
            new = squares(best.transform(start, end, there), places, start, end, targets)
            inside.append(new[0] <= best.transform(start, end, there).region(there))
            before.append((old[1] ** 2).sum(axis=1))
            after.append((new[1] ** 2).sum(axis=1))
            predicted.append(np.einsum("nii->n", new[2]))
        chances.append(best.adjustment.chance < 0.05)
    assert 0.92 <= np.mean(inside) <= 0.98
    assert np.mean(after) < np.mean(before)
    assert np.mean(predicted) == pytest.approx(np.mean(after), rel=0.15)
    assert 0.01 <= np.mean(chances) <= 0.10


def test_any_way_round_gives_the_same_place():
    rng = np.random.default_rng(5)
    graph, _ = looped(rng, 3, "rigid", shared=True)
    best = graph.adjust()
    points = rng.uniform(-10, 10, (4, 3))
    direct = best.transform("a", "c", points)
    through = best.transform("b", "c").transform(best.transform("a", "b").transform(points))
    np.testing.assert_allclose(direct.transform(points), through, atol=1e-9)
    assert best.frames == graph.frames
    assert best.links == graph.links


def test_the_surer_link_gives_way_less():
    graph = FrameGraph()
    for link, shift, sd in (("ab", 0.0, 0.1), ("bc", 0.0, 0.1), ("ac", 1.0, 0.3)):
        matrix = Affine.planar(0, 1.0, (shift, 0.0)).matrix
        graph.add_link(*link, UncertainAffine.declared(matrix, (0.0, 0.0), sd), link)
    best = graph.adjust()
    moved = {
        link: best.transform(*link).transform([[0.0, 0.0]])[0, 0] for link in ("ab", "bc", "ac")
    }
    # a gap of 1 is shared by variance: 1 : 1 : 9
    assert moved["ab"] == pytest.approx(1 / 11, abs=1e-6)
    assert moved["bc"] == pytest.approx(1 / 11, abs=1e-6)
    assert moved["ac"] == pytest.approx(1 - 9 / 11, abs=1e-6)
    error = best.transform("a", "c").predict_error([[0.0, 0.0]])[0]
    np.testing.assert_allclose(error, np.eye(2) / (1 / 0.02 + 1 / 0.09), atol=1e-9)
    assert best.adjustment.dof == 2
    assert best.adjustment.square == pytest.approx(1 / 0.11)
    assert best.adjustment.chance < 0.05


def test_a_bead_used_twice_ties_the_links():
    """b's error at the one shared pick cancels on the way from a to c through b."""
    pick = np.array([[3.0, 4.0]])
    graph = FrameGraph()
    graph.add_link("a", "b", fit([[0.0, 0.0]], pick, "translation", 0.01, 1.0))
    graph.add_link("b", "c", fit(pick, [[7.0, 7.0]], "translation", 1.0, 0.01))
    apart = graph.transform("a", "c").predict_error([[0.0, 0.0]])[0]
    np.testing.assert_allclose(apart, 2.0002 * np.eye(2), rtol=1e-9)
    joint = graph.adjust().transform("a", "c").predict_error([[0.0, 0.0]])[0]
    np.testing.assert_allclose(joint, 0.0002 * np.eye(2), atol=1e-9)
    back = graph.adjust().transform("c", "a").predict_error([[0.0, 0.0]])[0]
    np.testing.assert_allclose(back, 0.0002 * np.eye(2), atol=1e-9)


def test_a_tree_and_a_spline_stay_as_they_are():
    rng = np.random.default_rng(6)
    moving = rng.uniform(-20, 20, (20, 2))
    graph = FrameGraph()
    warp = fit(moving, moving + 0.4 * np.sin(moving / 6), "tps", fixed_sigma=0.02)
    graph.add_link("a", "b", warp)
    graph.add_link("b", "c", UncertainAffine.declared(np.eye(3), (0.0, 0.0), 0.1))
    graph.add_link("a", "c", UncertainAffine.declared(np.eye(3), (0.0, 0.0), 0.5))
    best = graph.adjust()
    assert best.adjustment.dof == 0
    assert best.adjustment.chance == 1.0
    for pair in ("ab", "ac", "cb"):
        one, other = (each.transform(*pair, moving[:3]) for each in (graph, best))
        np.testing.assert_allclose(one.transform(moving[:3]), other.transform(moving[:3]))
        np.testing.assert_allclose(one.predict_error(moving[:3]), other.predict_error(moving[:3]))


def test_loops_through_planes_close_in_the_plane():
    """stack - map - second map - stack: heights are forgotten, so z sets no condition."""
    rng = np.random.default_rng(7)
    inside, dofs = [], set()
    for _ in range(120):
        graph = FrameGraph()
        graph.add_frame("stack", 3)
        graph.add_frame("map", 2, z=(0.0, 1.0))
        graph.add_frame("second", 2, z=(0.0, 1.0))
        camera = Affine.from_parts([[0.05, 1.0, 0.2], [-0.04, -0.2, 1.0]], [30.0, 40.0])
        turn = Affine.planar(60, 1.0, (-100.0, 20.0))
        for one, other, model in (
            ("stack", "map", "affine"),
            ("map", "second", "similarity"),
            ("stack", "second", "affine"),
        ):
            beads = rng.uniform(-10, 10, (14, 3)) * [0.2, 1.0, 1.0]
            places = {"stack": beads, "map": camera(beads), "second": turn(camera(beads))}
            seen = {name: p + SD * rng.normal(size=p.shape) for name, p in places.items()}
            graph.add_link(one, other, fit(seen[one], seen[other], model, SD, SD))
        best = graph.adjust()
        dofs.add(best.adjustment.dof)
        targets = rng.uniform(-10, 10, (2, 3)) * [0.1, 1.0, 1.0]
        route = best.transform("stack", "map", targets)
        miss = route.transform(targets) - camera(targets)
        square = np.einsum("ni,nij,nj->n", miss, np.linalg.inv(route.predict_error(targets)), miss)
        inside.append(square <= route.region(targets))
    assert dofs == {6}
    assert 0.92 <= np.mean(inside) <= 0.98
