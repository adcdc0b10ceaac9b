"""Routes through frames: composition, error along chains, planes of unknown height, loops."""

from __future__ import annotations

import numpy as np
import pytest

from napari_clxem.errors import ClxemError, NoPathError
from napari_clxem.frames import Affine, FrameGraph, UncertainAffine, fit


def planar(angle, shift, sd=0.0):
    return UncertainAffine.declared(Affine.planar(angle, 1.0, shift).matrix, (0.0, 0.0), sd)


def test_a_chain_composes_its_maps_both_ways():
    graph = FrameGraph()
    first, second = Affine.planar(30, 1.1, (5, 2)), Affine.planar(-50, 0.9, (1, 7))
    graph.add_link("a", "b", UncertainAffine.exact(first.matrix))
    graph.add_link("c", "b", UncertainAffine.exact(second.matrix))
    points = np.array([[1.0, 2.0], [3.0, -4.0]])
    there = graph.transform("a", "c", points)
    np.testing.assert_allclose(there.transform(points), second.inverse(first(points)), atol=1e-12)
    back = graph.transform("c", "a")
    np.testing.assert_allclose(back.transform(there.transform(points)), points, atol=1e-12)
    assert there.frames == ("a", "b", "c")
    np.testing.assert_allclose(graph.transform("a", "a").transform(points), points)


def test_the_more_certain_way_is_taken():
    graph = FrameGraph()
    graph.add_link("a", "b", planar(0, (0, 0), 1.0), "stage")
    graph.add_link("a", "c", planar(0, (0, 0), 0.1))
    graph.add_link("c", "b", planar(0, (0, 0), 0.1))
    route = graph.transform("a", "b")
    assert route.frames == ("a", "c", "b")
    np.testing.assert_allclose(route.predict_error([[0.0, 0.0]])[0], 0.02 * np.eye(2))


def test_the_best_way_depends_on_the_place():
    """A turned-error link is good near its centre only; a shifted one is equally good anywhere."""
    graph = FrameGraph()
    near = UncertainAffine.declared(np.eye(3), (0.0, 0.0), 0.05, angle_sd=1.0)
    graph.add_link("a", "b", near, "near")
    graph.add_link("a", "b", planar(0, (0, 0), 0.5), "anywhere")
    assert graph.transform("a", "b", [[1.0, 1.0]]).links == ("near",)
    assert graph.transform("a", "b", [[300.0, 0.0]]).links == ("anywhere",)


def view(tilt):
    """Projection of a volume turned about x by `tilt` degrees."""
    c, s = np.cos(np.deg2rad(tilt)), np.sin(np.deg2rad(tilt))
    return Affine.from_parts([[s, c, 0.0], [0.0, 0.0, 1.0]], [10.0, 20.0])


def test_a_plane_forgets_the_height_and_says_so():
    graph = FrameGraph()
    graph.add_frame("map", ndim=2, z=(1.0, 2.0))
    graph.add_link("stack", "map", UncertainAffine.exact(view(30).matrix))
    graph.add_link("volume", "map", UncertainAffine.exact(view(0).matrix))
    points = np.array([[3.0, 4.0, 5.0]])
    seen = graph.transform("stack", "map").transform(points)
    np.testing.assert_allclose(seen, view(30)(points))
    route = graph.transform("stack", "volume")
    mapped = route.transform(points)[0]
    np.testing.assert_allclose(mapped[1:], view(30)(points)[0] - [10.0, 20.0], atol=1e-9)
    error = route.predict_error(points)[0]
    assert error[0, 0] == pytest.approx(4.0)
    np.testing.assert_allclose(error[1:, 1:], 0.0, atol=1e-9)


def test_going_back_along_a_tilted_view_spreads_the_height_over_the_plane():
    graph = FrameGraph()
    graph.add_frame("map", ndim=2, z=(0.0, 2.0))
    graph.add_link("stack", "map", UncertainAffine.exact(view(30).matrix))
    error = graph.transform("map", "stack").predict_error([[0.0, 0.0]])[0]
    assert error[1, 1] == pytest.approx(4.0 * np.sin(np.deg2rad(30)) ** 2)
    assert error[0, 0] == pytest.approx(4.0 * np.cos(np.deg2rad(30)) ** 2)


def test_a_3d_way_is_preferred_over_one_through_a_plane():
    graph = FrameGraph()
    graph.add_frame("map", ndim=2, z=(0.0, 2.0))
    graph.add_link("a", "map", UncertainAffine.exact(view(0).matrix))
    graph.add_link("b", "map", UncertainAffine.exact(view(0).matrix))
    graph.add_link("a", "b", UncertainAffine.declared(np.eye(4), np.zeros(3), 0.3), "3D")
    assert graph.transform("a", "b").links == ("3D",)


def test_placement_keeps_heights_through_a_plane():
    graph = FrameGraph()
    graph.add_frame("map", ndim=2, z=(0.0, 2.0))
    graph.add_link("a", "map", UncertainAffine.exact(view(0).matrix))
    graph.add_link("b", "map", UncertainAffine.exact(view(0).matrix))
    matrix = graph.transform("a", "b").placement
    np.testing.assert_allclose(matrix, np.eye(4), atol=1e-9)
    assert np.linalg.matrix_rank(graph.transform("a", "b").affine) == 3


def test_a_chain_of_fits_holds_the_truth_in_its_region():
    """stack -(affine camera)-> map -(similarity)-> second map -> volume, by Monte Carlo."""
    rng = np.random.default_rng(4)
    camera = Affine.from_parts([[0.04, 1.01, 0.3], [-0.03, -0.3, 1.0]], [40.0, 60.0])
    turn = Affine.planar(70, 1.02, (300.0, -200.0))
    inside, inside_3d = [], []
    for _ in range(500):
        graph = FrameGraph()
        graph.add_frame("map", ndim=2, z=(0.0, 1.5))
        beads = rng.uniform(-12, 12, (12, 3)) * [0.2, 1.0, 1.0]
        seen = beads + rng.normal(size=beads.shape) * [0.06, 0.015, 0.015]
        on_map = camera(beads) + 0.02 * rng.normal(size=(12, 2))
        sigma = np.tile([0.06, 0.015, 0.015], (12, 1))
        graph.add_link("stack", "map", fit(seen, on_map, "affine", sigma, 0.02))
        spots = rng.uniform(0, 90, (9, 2))
        moved = turn(spots) + 0.03 * rng.normal(size=(9, 2))
        graph.add_link("map", "second", fit(spots, moved, "similarity", fixed_sigma=0.03))
        targets = rng.uniform(-10, 10, (3, 3)) * [0.2, 1.0, 1.0]
        route = graph.transform("stack", "second", targets)
        miss = route.transform(targets) - turn(camera(targets))
        square = np.einsum("ni,nij,nj->n", miss, np.linalg.inv(route.predict_error(targets)), miss)
        inside.append(square <= route.region(targets))
        # back into the volume: the true height is drawn from the plane's prior
        heights = rng.normal(0.0, 1.5, 3)
        link = graph.transform("map", "stack")
        places = link.transform(camera(targets))
        spread = link.predict_error(camera(targets))
        normal = np.cross(*camera.linear)
        normal /= np.linalg.norm(normal)
        middle = graph.transform("stack", "map").steps[0].map.centre
        on_plane = targets - np.outer((targets - middle) @ normal, normal)
        truth = on_plane + np.outer(heights, normal) / np.sqrt(
            np.linalg.norm(np.cross(*camera.linear))
        )
        off = places - truth
        inside_3d.append(np.einsum("ni,nij,nj->n", off, np.linalg.inv(spread), off) <= 7.815)
    assert 0.93 <= np.mean(inside) <= 0.97
    assert 0.92 <= np.mean(inside_3d) <= 0.98


def test_loops_that_do_not_close_are_shown():
    graph = FrameGraph()
    graph.add_link("a", "b", planar(0, (0, 0), 0.1), "ab")
    graph.add_link("b", "c", planar(0, (0, 0), 0.1), "bc")
    graph.add_link("a", "c", planar(0, (3, 4), 0.1), "ac")
    (closure,) = graph.closures
    assert closure.link == "ac"
    assert closure.gap == pytest.approx(5.0)
    assert closure.expected == pytest.approx(np.sqrt(2 * 0.03))
    assert closure.ratio == pytest.approx(25 / 0.03)


def test_planar_links_join_volumes_seen_along_z():
    graph = FrameGraph()
    graph.add_frame("stack", 3)
    graph.add_frame("stage", 2, z=(0.0, 50.0))
    graph.add_link("stack", "stage", planar(90, (1, 2), 1.5))
    mapped = graph.transform("stack", "stage").transform([[7.0, 1.0, 0.0]])
    np.testing.assert_allclose(mapped, [[1.0, 3.0]], atol=1e-12)


def test_parallax_between_planes_comes_from_height_and_tilt():
    graph = FrameGraph()
    graph.add_frame("light", 2, z=(0.0, 2.0))
    graph.add_frame("sem", 2, z=(0.0, 2.0))
    graph.add_link("light", "sem", planar(20, (1, 2)), tilt_sd=3.0)
    there = graph.transform("light", "sem").predict_error([[5.0, 5.0]])[0]
    back = graph.transform("sem", "light").predict_error([[5.0, 5.0]])[0]
    expected = (2.0 * np.tan(np.deg2rad(3.0))) ** 2
    np.testing.assert_allclose(there, expected * np.eye(2), atol=1e-12)
    np.testing.assert_allclose(back, expected * np.eye(2), atol=1e-9)


def test_where_no_link_leads_it_says_what_to_link():
    graph = FrameGraph()
    graph.add_frame("a")
    graph.add_frame("b")
    with pytest.raises(NoPathError, match="link one of a with 'b'"):
        graph.transform("a", "b")
    with pytest.raises(NoPathError, match="no frame 'z'"):
        graph.transform("a", "z")


def test_frames_and_links_are_checked():
    graph = FrameGraph()
    graph.add_frame("a", 2)
    with pytest.raises(ClxemError, match="already"):
        graph.add_frame("a")
    with pytest.raises(ClxemError, match="axes"):
        graph.add_frame("b", 4)
    with pytest.raises(ClxemError, match="finite"):
        graph.add_frame("b", 2, z=(0.0, -1.0))
    with pytest.raises(ClxemError, match="cannot join"):
        graph.add_link("a", "c", UncertainAffine.exact(np.eye(4)))
    with pytest.raises(ClxemError, match="itself"):
        graph.add_link("a", "a", planar(0, (0, 0)))
    graph.add_link("a", "d", planar(0, (0, 0)), "one")
    with pytest.raises(ClxemError, match="already"):
        graph.add_link("d", "a", planar(0, (0, 0)), "one")


def test_ten_sites_of_eight_frames_are_routed_quickly_enough_to_click():
    graph = FrameGraph()
    graph.add_frame("map", 2)
    for site in range(10):
        for index in range(8):
            name = f"{site}-{index}"
            graph.add_frame(name, 2)
            graph.add_link(name, "map", planar(site, (site, index), 0.1))
            if index:
                graph.add_link(name, f"{site}-{index - 1}", planar(1, (0, 1), 0.2))
    route = graph.transform("0-7", "9-0")
    assert route.frames == ("0-7", "map", "9-0")
