from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_clxem.samples import make_scene
from napari_clxem.samples.cells import inside
from napari_clxem.samples.poses import make_layout
from napari_clxem.samples.sizes import SIZES

SEEDS = [1, 2, 3, 4, 5, 6]


@pytest.fixture(scope="module", params=SEEDS)
def scene(request):
    return make_scene(request.param, mitochondria=False)


def test_about_eighty_beads_that_do_not_overlap(scene):
    centres = scene.beads.centres
    gaps = np.linalg.norm(centres[:, None] - centres, axis=2) + 9 * np.eye(len(centres))
    assert 75 <= len(scene.beads) <= 85
    assert gaps.min() > 0.97


def test_beads_rest_on_film_or_cells(scene):
    z, y, x = scene.beads.centres.T
    height = z - scene.ground.height(y, x)
    assert np.all(height > 0.49)
    assert np.all(height < 0.85)


def test_sites_a_and_b_have_enough_beads_in_the_tomogram_and_c_has_too_few(scene):
    layout = make_layout(scene, SIZES["shipped"])
    count = {
        name: int(layout.poses[f"tomogram-{name}"].contains(scene.beads.centres, 0.2).sum())
        for name in "ABC"
    }
    assert 5 <= count["A"] <= 8
    assert 5 <= count["B"] <= 8
    assert 1 <= count["C"] <= 2


@pytest.mark.parametrize("site", "ABC")
def test_beads_of_a_stack_are_not_coplanar(scene, site):
    centre = scene.site(site).stack
    near = np.all(np.abs(scene.beads.centres[:, 1:] - centre) < 11.0, axis=1)
    points = scene.beads.centres[near]
    design = np.column_stack([points[:, 1:], np.ones(len(points))])
    fitted = design @ np.linalg.lstsq(design, points[:, 0], rcond=None)[0]
    assert len(points) >= 7
    assert np.std(points[:, 0] - fitted) > 0.6


def test_targets_hold_iron_and_lie_in_cytoplasm(scene):
    for cell in scene.cells:
        targets = [target for target in scene.targets if target.site == cell.name]
        assert len(targets) >= 4
        for target in targets:
            assert inside(cell.body, scene.film, target.position[None], target.radius)[0]
            assert cell.nucleus.level(target.position[None])[0] > 1
            gap = np.linalg.norm(cell.iron.centres - target.position, axis=1)
            assert np.sum(gap + cell.iron.radii < 1.1 * target.radius) >= 10


def test_vesicles_and_droplets_do_not_overlap(scene):
    for cell in scene.cells:
        centres = np.concatenate([cell.vesicles.centres, cell.droplets.centres])
        radii = np.concatenate([cell.vesicles.radii, cell.droplets.radii])
        gap = np.linalg.norm(centres[:, None] - centres, axis=2) - radii - radii[:, None]
        assert gap[np.triu_indices(len(radii), 1)].min() > 0.05


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**31))
def test_film_is_tilted_by_two_to_three_degrees_and_slightly_curved(seed):
    film = make_scene(seed, mitochondria=False).film
    assert 2.0 <= np.rad2deg(np.arctan(np.hypot(*film.slope))) <= 3.0
    y, x = np.meshgrid(np.linspace(-40, 40, 9), np.linspace(-40, 40, 9))
    plane = film.slope[0] * y + film.slope[1] * x
    assert 0.1 < np.std(film.height(y, x) - plane) < 1.0


def test_ice_covers_film_and_cells(scene):
    y, x = np.meshgrid(np.linspace(-60, 60, 200), np.linspace(-60, 60, 200))
    top = scene.ice_top(y, x)
    assert np.all(top > scene.ground.height(y, x) + 0.1)
    ice = scene.ice.thickness(y, x)
    assert ice.max() - ice.min() > 0.2


def test_mesh_is_that_of_a_200_mesh_grid(scene):
    steps = np.arange(-63.5, 63.5, 0.05)
    y, x = np.meshgrid(steps, [0.0])
    on_bar = scene.mesh.distance(y, x) > 0
    assert np.mean(~on_bar) * 127 == pytest.approx(90, abs=0.2)
    assert scene.mesh.distance(np.array([10.0]), np.array([20.0])) == pytest.approx(
        scene.mesh.distance(np.array([137.0]), np.array([-107.0]))
    )


def test_same_seed_same_scene_and_another_seed_another():
    first, again, other = make_scene(3), make_scene(3), make_scene(4)
    assert np.array_equal(first.beads.centres, again.beads.centres)
    assert all(
        np.array_equal(a.path, b.path)
        for a, b in zip(first.cells[0].mitochondria, again.cells[0].mitochondria, strict=True)
    )
    assert not np.array_equal(first.beads.centres[:10], other.beads.centres[:10])


def test_knobs():
    scene = make_scene(1, beads=140, contamination=5)
    assert len(scene.beads) == 140
    assert len(scene.contamination) == 5
    assert len(scene.cells[0].mitochondria) > 10


def test_leaving_out_mitochondria_changes_nothing_else():
    full, quick = make_scene(2), make_scene(2, mitochondria=False)
    assert quick.cells[0].mitochondria == ()
    assert np.array_equal(full.beads.centres, quick.beads.centres)
    assert np.array_equal(full.cells[2].iron.centres, quick.cells[2].iron.centres)
    assert np.array_equal(full.crystals.centres, quick.crystals.centres)
