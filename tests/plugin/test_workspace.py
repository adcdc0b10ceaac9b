from __future__ import annotations

import gc
import weakref
from dataclasses import replace

import numpy as np
import pytest
from napari.components import ViewerModel

from conftest import BEADS, declared, made_grid, moved_link, turned
from napari_clxem.errors import SessionError
from napari_clxem.plugin import keys
from napari_clxem.plugin.controllers import release, show_site, store_for, workspace_for
from napari_clxem.plugin.controllers.positions import absent, default_view
from napari_clxem.session import Store, edits
from napari_clxem.session.model import Dataset, Landmark, Link


@pytest.fixture
def viewer():
    made = ViewerModel()
    yield made
    release(made)


@pytest.fixture
def workspace(viewer, grid):
    found = workspace_for(viewer)
    found.use(grid.store())
    found.show_site("c1", "reference")
    return found


def names(viewer):
    return [layer.name for layer in viewer.layers]


def changes(workspace):
    """Count the events of every image layer from now on, by dataset."""
    counts = {}
    for (name, _), layer in workspace.layers.layers.items():
        counts[name] = 0

        def note(event, name=name):
            counts[name] += 1

        for kind in ("affine", "scale", "data", "translate", "visible", "contrast_limits"):
            getattr(layer.events, kind).connect(note)
    return counts


def test_a_site_is_shown_with_the_maps_of_the_grid_in_one_world(viewer, workspace):
    assert names(viewer) == [
        "map · beads",
        "tomogram · beads",
        "stack · beads",
        "Predicted error (95 %)",
        "Targets",
    ]
    for layer in viewer.layers:
        assert {str(unit) for unit in layer.units} == {"micrometer"}
        assert layer.axis_labels == ("z", "y", "x")[-layer.ndim :]
    assert np.abs(viewer.layers.extent.world).max() < 100


def test_another_site_brings_its_own_images_and_the_maps_stay(viewer, workspace, grid):
    the_map = viewer.layers["map · beads"]
    grid.opened.clear()
    show_site(viewer, "c2", "reference")
    assert set(names(viewer)) >= {"map · beads", "other · beads"}
    assert "stack · beads" not in names(viewer)
    assert viewer.layers["map · beads"] is the_map
    assert grid.opened == ["other"]


def test_moving_one_link_touches_the_layers_of_its_dataset_only(viewer, workspace):
    counts = changes(workspace)
    workspace.store.commit(lambda s: moved_link(s, "stack", (0.0, 1.0, 0.0)), "Move")
    assert counts["stack"] > 0
    assert counts["tomogram"] == counts["map"] == 0


def test_an_edit_that_moves_nothing_touches_no_image(viewer, workspace):
    counts = changes(workspace)
    workspace.store.commit(lambda s: edits.rename(s, "other name"), "Rename")
    workspace.store.commit(lambda s: edits.set_status(s, "c1", "x-rayed"), "Status")
    assert set(counts.values()) == {0}


def test_the_display_keeps_its_origin_while_links_move(viewer, workspace):
    before = workspace.view.origin
    workspace.store.commit(lambda s: moved_link(s, "tomogram", (0.0, 300.0, 0.0)), "Move")
    assert workspace.view.origin == before


def test_undo_and_redo_by_the_keys_move_the_layers(viewer, workspace):
    layer = viewer.layers["tomogram · beads"]
    start = np.asarray(layer.affine)
    workspace.store.commit(lambda s: moved_link(s, "tomogram", (0.0, 2.0, 1.0)), "Move")
    moved = np.asarray(layer.affine)
    assert moved[:3, 3] - start[:3, 3] == pytest.approx([0.0, 2.0, 1.0])
    pressed = {str(key): action for key, action in viewer.keymap.items()}
    pressed["Ctrl+Z"](viewer)
    np.testing.assert_array_equal(np.asarray(layer.affine), start)
    pressed["Ctrl+Shift+Z"](viewer)
    np.testing.assert_array_equal(np.asarray(layer.affine), moved)


def test_every_shortcut_stands_once_in_the_table():
    bound = [verb.key for verb in keys.TABLE if verb.key]
    assert len(bound) == len(set(bound))
    assert keys.UNDO.tooltip.endswith("(Ctrl+Z)")


@pytest.mark.gl
def test_a_link_taken_away_takes_its_image_along_and_brings_it_back(viewer, workspace, qtbot):
    workspace.store.commit(lambda s: edits.drop(s, Link, "to-tomogram"), "Drop")
    assert "tomogram · beads" not in names(viewer)
    assert "stack · beads" in names(viewer)
    workspace.store.undo()
    qtbot.waitUntil(lambda: "tomogram · beads" in names(viewer), timeout=5000)


@pytest.mark.gl
def test_a_dataset_whose_record_changed_is_opened_anew(viewer, workspace, grid, qtbot):
    grid.opened.clear()
    workspace.store.commit(lambda s: edits.set_axial_scaling(s, "stack", 1.4), "Refraction")
    qtbot.waitUntil(lambda: "stack · beads" in names(viewer), timeout=5000)
    assert grid.opened == ["stack"]


def test_a_dataset_that_cannot_be_opened_leaves_the_others(viewer, grid, monkeypatch):
    def fail(source, dataset):
        if dataset.id == "stack":
            raise SessionError("stack.tif is not there; relink it.")
        return grid.open(source, dataset)

    monkeypatch.setattr("napari_clxem.plugin.controllers.loading.open_dataset", fail)
    said = []
    monkeypatch.setattr("napari_clxem.plugin.controllers.loading.show_warning", said.append)
    workspace = workspace_for(viewer)
    workspace.use(grid.store())
    workspace.show_site("c1", "reference")
    assert "tomogram · beads" in names(viewer)
    assert said == ["stack: stack.tif is not there; relink it."]


def test_a_layer_removed_by_hand_stays_away_until_the_site_is_shown_again(viewer, workspace):
    viewer.layers.remove("stack · beads")
    workspace.store.commit(lambda s: moved_link(s, "stack", (0.0, 1.0, 0.0)), "Move")
    assert "stack · beads" not in names(viewer)
    workspace.show_site("c2", "reference")
    workspace.show_site("c1", "reference")
    assert "stack · beads" in names(viewer)


def test_targets_follow_the_frame_and_say_their_error(viewer, workspace):
    layer = viewer.layers["Targets"]
    np.testing.assert_allclose(layer.data[0], BEADS[0] - workspace.view.origin)
    assert layer.features["label"][0] == "A1 ±42 nm"
    workspace.store.commit(
        lambda s: edits.put(s, replace(s.targets[0], position=(5.0, 1018.0, 1011.0))), "Target"
    )
    assert viewer.layers["Targets"] is layer
    np.testing.assert_allclose(layer.data[0] + workspace.view.origin, (5.0, 1018.0, 1011.0))


def test_in_a_plane_targets_are_marked_in_the_plane(viewer, workspace):
    workspace.show_site("c1", "map")
    assert viewer.layers["Targets"].ndim == 2


def test_landmarks_are_shown_where_they_were_picked_and_told_apart(viewer, grid):
    stack = grid.session.links[0]
    matrix = np.linalg.inv(np.array(stack.estimate.matrix))
    marks = tuple(
        Landmark(
            id=f"m{n}",
            moving=tuple((matrix[:3, :3] @ bead + matrix[:3, 3]).tolist()),
            fixed=tuple(bead.tolist()),
            use=n != 2,
        )
        for n, bead in enumerate(np.vstack([BEADS, BEADS[:1] + np.array([3.0, 2.0, 1.0])]))
    )
    link = replace(stack, kind="landmarks", model="rigid", landmarks=marks, estimate=None)
    workspace = workspace_for(viewer)
    workspace.use(Store(edits.put(grid.session, link), journal=False))
    workspace.show_site("c1", "reference")
    layer = viewer.layers["Landmarks"]
    np.testing.assert_allclose(layer.data[:4] + workspace.view.origin, BEADS)
    assert [str(symbol) for symbol in layer.symbol] == ["disc", "disc", "x", "disc", "disc"]


def test_a_grazing_view_is_not_forced_into_the_frame(viewer, grid):
    graze = np.deg2rad(80.0)
    matrix = np.eye(4)
    matrix[:3, :3] = [
        [np.cos(graze), -np.sin(graze), 0],
        [np.sin(graze), np.cos(graze), 0],
        [0, 0, 1],
    ]
    session = edits.put(grid.session, declared("map", matrix))
    workspace = workspace_for(viewer)
    workspace.use(Store(replace(session, frames=tuple(
        replace(frame, ndim=3, z=None) if frame.name == "map" else frame
        for frame in session.frames)), journal=False))  # fmt: skip
    workspace.show_site("c1", "reference")
    assert "map · beads" not in names(viewer)
    assert absent(workspace.store.session, workspace.view) == [("map", "seen from the side")]


def test_a_site_is_first_shown_in_the_frame_of_its_finest_volume(grid):
    assert default_view(grid.session, "c1").frame == "tomogram"
    assert default_view(grid.session, "c2").frame == "other"
    assert default_view(grid.session).frame == "map"


def test_a_viewer_has_one_store_whoever_asks(viewer, grid):
    from napari.utils._proxies import PublicOnlyProxy

    store = store_for(PublicOnlyProxy(viewer))
    gc.collect()
    assert store_for(viewer) is store


def test_another_session_takes_the_place_of_the_first(viewer, workspace):
    workspace.use(made_grid(tilt=2.0).store())
    assert names(viewer) == []
    workspace.show_first()
    assert "stack · beads" in names(viewer)


def abandoned(grid):
    # Apart from the test, because napari keeps the local variables of whoever adds a layer.
    viewer = ViewerModel()
    workspace = workspace_for(viewer)
    workspace.use(grid.store())
    workspace.show_site("c1", "reference")
    layer = workspace.layers.layers["stack", 0]
    return [weakref.ref(one) for one in (viewer, workspace, workspace.store, layer)]


def test_a_viewer_that_goes_takes_everything_with_it(grid):
    seen = abandoned(grid)
    gc.collect()
    assert [one() for one in seen] == [None] * 4


def test_a_frame_that_was_taken_back_shows_nothing(viewer, workspace):
    dataset = next(one for one in workspace.store.session.datasets if one.id == "map")
    workspace.show_site(None, "map")

    def without(session):
        session = edits.drop(session, Dataset, dataset.id)
        return edits.drop(edits.drop(session, Link, "to-map"), type(session.frames[0]), "map")

    workspace.store.commit(without, "Drop")
    assert workspace.view.frame == ""


def test_a_link_that_begins_to_tilt_keeps_the_look_of_its_layer(viewer, workspace):
    layer = viewer.layers["tomogram · beads"]
    layer.contrast_limits = (3, 333)
    layer.visible = False
    at = viewer.layers.index(layer)
    straight = workspace.store.session
    matrix = np.array(straight.links[1].estimate.matrix)
    tilted = turned(4.0) @ matrix
    workspace.store.commit(lambda s: edits.put(s, declared("tomogram", tilted)), "Tilt")
    new = viewer.layers["tomogram · beads"]
    assert viewer.layers.index(new) == at
    assert new.multiscale
    assert new.contrast_limits == [3, 333]
    assert not new.visible
    workspace.store.undo()
    assert not viewer.layers["tomogram · beads"].multiscale
    assert len([name for name in names(viewer) if name.startswith("tomogram")]) == 1


def test_what_covers_others_is_hidden_until_asked_for_and_the_users_choice_stays(viewer, workspace):
    assert not viewer.layers["map · beads"].visible
    assert viewer.layers["tomogram · beads"].visible
    viewer.layers["tomogram · beads"].visible = False
    workspace.show_site("c1", "stack")
    assert not viewer.layers["tomogram · beads"].visible
    workspace.show_site(None, "map")
    assert viewer.layers["map · beads"].visible
