"""Pixel facts: a bead at a known place of the reference colours the pixel it must."""

from __future__ import annotations

import numpy as np
import pytest

from conftest import BEADS, MIDDLE, made_grid, moved_link
from napari_clxem.plugin.controllers import workspace_for
from napari_clxem.plugin.controllers.scene import go_to

pytestmark = pytest.mark.gl

ZOOM = 12.0  # canvas pixels per µm


def shown(make_napari_viewer, monkeypatch, grid, frame="reference"):
    monkeypatch.setattr("napari_clxem.plugin.controllers.loading.open_dataset", grid.open)
    viewer = make_napari_viewer(show=True)
    workspace = workspace_for(viewer)
    workspace.use(grid.store())
    workspace.show_site("c1", frame)
    return viewer, workspace


def only(viewer, name):
    """Show the layers of one dataset alone."""
    for layer in viewer.layers:
        layer.visible = layer.metadata["clxem"].get("dataset") == name
        if layer.visible:
            layer.contrast_limits = (0, 1000)


def window(viewer, place, half=1.5):
    """Brightness of the canvas around a display position, the position in the middle."""
    go_to(viewer, place)
    viewer.scene.camera.zoom = ZOOM
    picture = viewer.screenshot(canvas_only=True, flash=False)[..., :3].max(axis=2).astype(float)
    middle, reach = (np.array(picture.shape) - 1) / 2, int(half * ZOOM)
    low = np.round(middle - reach).astype(int)
    return picture[low[0] : low[0] + 2 * reach + 1, low[1] : low[1] + 2 * reach + 1]


def assert_bead(viewer, place):
    """A bead is at a display position, to a tenth of a µm, and nothing beside it."""
    seen = window(viewer, place)
    reach = len(seen) // 2
    assert seen[reach, reach] > 100
    assert np.concatenate([seen[0], seen[-1], seen[:, 0], seen[:, -1]]).max() < 40
    rows, columns = np.indices(seen.shape) - reach
    centre = np.array([(seen * rows).sum(), (seen * columns).sum()]) / seen.sum() / ZOOM
    assert np.abs(centre).max() < 0.1


def assert_nothing(viewer, place):
    seen = window(viewer, place)
    assert seen[len(seen) // 2, len(seen) // 2] < 40


@pytest.mark.slow
def test_beads_of_a_tilted_stack_lie_where_they_are_in_the_reference(
    make_napari_viewer, monkeypatch
):
    grid = made_grid()
    viewer, workspace = shown(make_napari_viewer, monkeypatch, grid)
    for tilt in (0.2, 5.0, -20.0):
        tilted = made_grid(tilt=tilt)
        grid.images = tilted.images
        workspace.use(tilted.store())
        workspace.show_site("c1", "reference")
        only(viewer, "stack")
        for bead in BEADS - workspace.view.origin:
            assert_bead(viewer, bead)
            assert_nothing(viewer, bead + np.array([2.0, 0.0, 0.0]))


def test_beads_of_a_tilted_stack_lie_where_they_are_in_a_3d_view_and_back(
    make_napari_viewer, monkeypatch
):
    viewer, workspace = shown(make_napari_viewer, monkeypatch, made_grid(tilt=12.0))
    only(viewer, "stack")
    beads = BEADS - workspace.view.origin
    for ndisplay in (3, 2):
        viewer.dims.ndisplay = ndisplay
        for bead in beads:
            assert_bead(viewer, bead)


def test_each_dataset_shows_the_beads_in_the_same_place(make_napari_viewer, monkeypatch):
    viewer, workspace = shown(make_napari_viewer, monkeypatch, made_grid())
    for name in ("stack", "tomogram", "map"):
        only(viewer, name)
        for bead in BEADS - workspace.view.origin:
            assert_bead(viewer, bead)


def test_a_map_is_seen_at_every_height(make_napari_viewer, monkeypatch):
    viewer, workspace = shown(make_napari_viewer, monkeypatch, made_grid())
    only(viewer, "map")
    bead = BEADS[1] - workspace.view.origin
    for z in (1.0, 5.0, 9.0):
        assert_bead(viewer, np.array([z, bead[1], bead[2]]))


def test_a_stack_is_seen_in_the_plane_of_a_map(make_napari_viewer, monkeypatch):
    grid = made_grid(tilt=5.0)
    viewer, workspace = shown(make_napari_viewer, monkeypatch, grid, frame="map")
    matrix = np.array(grid.session.links[2].estimate.matrix)
    planar = (BEADS[:, 1:] - matrix[:2, 2]) @ np.linalg.inv(matrix[:2, :2]).T
    beads = np.column_stack([BEADS[:, 0], planar])
    only(viewer, "map")
    for bead in beads - workspace.view.origin:
        assert_bead(viewer, bead)
    only(viewer, "stack")
    # In the plane of a map a stack keeps its own heights, shifted as a whole.
    layer = workspace.layers.layers["stack", 0]
    shift = layer.extent.world[:, 0].mean() - (MIDDLE[0] - workspace.view.origin[0])
    for bead in beads - workspace.view.origin:
        assert_bead(viewer, bead + np.array([shift, 0.0, 0.0]))


def test_moving_a_link_moves_its_image_by_as_much(make_napari_viewer, monkeypatch):
    grid = made_grid()
    viewer, workspace = shown(make_napari_viewer, monkeypatch, grid)
    shift = (0.6, 2.0, -3.0)
    workspace.store.commit(lambda s: moved_link(s, "stack", shift), "Move")
    only(viewer, "stack")
    for bead in BEADS - workspace.view.origin + shift:
        assert_bead(viewer, bead)
    workspace.store.undo()
    for bead in BEADS - workspace.view.origin:
        assert_bead(viewer, bead)


def test_a_target_is_marked_where_it_is(make_napari_viewer, monkeypatch):
    viewer, workspace = shown(make_napari_viewer, monkeypatch, made_grid())
    target = BEADS[0] - workspace.view.origin
    for layer in viewer.layers:
        layer.visible = layer.name == "Targets"
    layer = viewer.layers["Targets"]
    np.testing.assert_allclose(layer.data, [target], atol=1e-6)
    go_to(viewer, target)
    viewer.scene.camera.zoom = 60.0
    picture = viewer.screenshot(canvas_only=True, flash=False)
    middle = np.array(picture.shape[:2]) // 2
    box = picture[middle[0] - 40 : middle[0] + 41, middle[1] - 40 : middle[1] + 41, :3]
    rows, columns = np.nonzero((box[..., 0] > 150) & (box[..., 2] < 80))
    assert len(rows) > 20
    assert np.abs([np.ptp(rows) / 2 + rows.min() - 40, columns.min() - 10]).max() < 6
