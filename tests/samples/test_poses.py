from __future__ import annotations

import numpy as np
import pytest

from napari_clxem.samples import make_scene
from napari_clxem.samples.poses import TRUE_ZETA, make_layout
from napari_clxem.samples.sizes import SIZES


@pytest.fixture(scope="module", params=[1, 2, 3, 4])
def sample(request):
    scene = make_scene(request.param, mitochondria=False)
    return scene, make_layout(scene, SIZES["shipped"])


def _parts(linear):
    """Scale, rotation by polar decomposition."""
    u, s, vt = np.linalg.svd(linear)
    return s, u @ vt


def test_every_dataset_is_there(sample):
    _, layout = sample
    names = {"fluorescence-map", "vlm-map", "sxt-mosaic", "sem-overview", "tem-A", "tem-B"}
    names |= {f"{kind}-{site}" for kind in ("confocal", "tomogram", "fib") for site in "ABC"}
    assert set(layout.poses) == names


def test_nothing_is_mirrored(sample):
    _, layout = sample
    for pose in layout.poses.values():
        assert np.linalg.det(pose.matrix[:3, :3]) > 0, pose.name
        assert np.linalg.det(pose.matrix[1:3, 1:3]) > 0, pose.name
        assert pose.from_grid.shape == ((4, 4) if pose.ndim == 3 else (2, 4))


def test_scale_is_off_by_one_to_two_percent_and_shear_is_slight(sample):
    _, layout = sample
    for pose in layout.poses.values():
        if pose.modality != "confocal":
            scales, _ = _parts(pose.matrix[:3, :3])
            assert 0.004 < abs(scales.mean() - 1) < 0.025, pose.name
            assert np.ptp(scales) < 0.0045, pose.name


def test_grid_is_tilted_by_at_most_two_and_a_half_degrees(sample):
    _, layout = sample
    for pose in layout.poses.values():
        if pose.modality in ("fluorescence", "vlm", "sxt", "sem"):
            _, rotation = _parts(pose.matrix[:3, :3])
            tilt = np.rad2deg(np.arccos(rotation[0, 0]))
            assert 0.7 < tilt < 2.6, pose.name


def test_one_instrument_is_one_loading(sample):
    _, layout = sample
    _, mosaic = _parts(layout.poses["sxt-mosaic"].matrix[:3, :3])
    for site in "ABC":
        _, tomogram = _parts(layout.poses[f"tomogram-{site}"].matrix[:3, :3])
        between = tomogram @ mosaic.T
        assert abs(np.rad2deg(np.arctan2(between[2, 1], between[1, 1]))) <= 1.01
        assert np.rad2deg(np.hypot(*between[0, 1:])) < 0.1


def test_declared_position_of_tomograms_is_wrong_by_half_to_one_and_a_half_um(sample):
    _, layout = sample
    stage = layout.instruments["sxt"]
    for site in "ABC":
        pose = layout.poses[f"tomogram-{site}"]
        middle = 0.5 * (np.asarray(pose.shape) - 1) * np.asarray(pose.spacing)
        seen = np.linalg.solve(pose.matrix[:3, :3], middle - pose.matrix[:3, 3])
        error = (pose.stage - stage.stage(seen))[1:]
        assert 0.49 < np.linalg.norm(error) < 1.51


def test_confocal_depth_below_the_surface_is_shrunk(sample):
    scene, layout = sample
    loading = layout.instruments["confocal"].linear
    for site in "ABC":
        pose = layout.poses[f"confocal-{site}"]
        y, x = scene.site(site).stack
        film = float(scene.film.height(np.asarray(y), np.asarray(x)))
        along_beam = np.linalg.solve(loading, [1.0, 0.0, 0.0])
        foot = np.array([film, y, x])
        points = np.array([foot, foot + along_beam])
        step = np.diff(pose.place(points), axis=0)[0]
        assert step[0] * TRUE_ZETA == pytest.approx(1.0, abs=0.003)
        assert np.abs(step[1:]).max() < 1e-9
        # a surface parallel to the film keeps its tilt
        around = np.array([[0, 2.0, 0], [0, -2.0, 0], [0, 0, 2.0], [0, 0, -2.0]]) + np.array(
            [0, y, x]
        )
        around[:, 0] = scene.film.height(around[:, 1], around[:, 2])
        raw = pose.place(around)
        true = around @ loading.T
        for a, b in ((0, 1), (2, 3)):
            assert raw[a, 0] - raw[b, 0] == pytest.approx(true[a, 0] - true[b, 0], abs=0.01)


def test_fib_view_is_v_and_u_of_the_stage_turned_upside_down(sample):
    scene, layout = sample
    stage = scene.beads.centres[:20] @ layout.instruments["fib-sem"].linear.T
    z, y, x = stage.T
    alpha = np.deg2rad(10.0)
    v, u = y * np.sin(alpha) + z * np.cos(alpha), x
    for site in "ABC":
        pose = layout.poses[f"fib-{site}"]
        seen = pose.project(scene.beads.centres[:20])
        scale = np.cbrt(np.linalg.det(pose.matrix[:3, :3]))
        scale /= np.cbrt(np.linalg.det(layout.instruments["fib-sem"].linear))
        expected = -scale * np.column_stack([v, u])
        assert np.allclose(seen - seen[0], expected - expected[0], atol=1e-9)


def test_lamella_holds_tilt_axis_and_ion_beam_and_the_map_looks_along_its_normal(sample):
    _, layout = sample
    rotation = layout.instruments["fib-sem"].rotation
    for site, lamella in layout.lamellae.items():
        # the ion beam travels along (x, y, z) = (0, cos α, -sin α) of the stage
        beam = rotation.T @ [-np.sin(np.deg2rad(10)), np.cos(np.deg2rad(10)), 0]
        axis = rotation.T @ [0, 0, 1.0]
        assert lamella.normal @ beam == pytest.approx(0, abs=1e-12)
        assert lamella.normal @ axis == pytest.approx(0, abs=1e-12)
        assert lamella.along @ beam == pytest.approx(1)
        view = layout.poses[f"tem-{site}"].beam
        off = np.rad2deg(np.arccos(lamella.normal @ view / np.linalg.norm(view)))
        assert off < 0.6


def test_lamella_goes_through_its_first_target(sample):
    scene, layout = sample
    for site, lamella in layout.lamellae.items():
        target = next(t for t in scene.targets if t.site == site)
        offset = target.position - lamella.centre
        assert abs(lamella.normal @ offset) < 0.35
        assert layout.poses[f"tem-{site}"].contains(target.position[None], 1.0)[0]


def test_targets_and_site_beads_lie_in_the_stacks(sample):
    scene, layout = sample
    for target in scene.targets:
        for kind in ("confocal", "tomogram"):
            pose = layout.poses[f"{kind}-{target.site}"]
            assert pose.contains(target.position[None], 0.4)[0], (target.id, kind)


def test_used_frame_applies_the_axial_scaling_a_user_assumes(sample):
    _, layout = sample
    pose = layout.poses["confocal-A"]
    point = np.array([1.0, 2.0, 3.0, 1.0])
    assert (pose.used @ point)[0] == pytest.approx(1.45 * (pose.matrix @ point)[0])
    assert (pose.used @ point)[1:] == pytest.approx((pose.matrix @ point)[1:])
