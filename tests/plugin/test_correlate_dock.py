from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QCheckBox, QLabel, QPushButton

from conftest import BEADS
from napari_clxem.fiducials import Beads
from napari_clxem.plugin.controllers import release, workspace_for
from napari_clxem.plugin.widgets.correlate import CorrelateWidget
from napari_clxem.plugin.widgets.landmarks import FIT, NUMBER, USE
from napari_clxem.session import edits, load
from napari_clxem.session.landmarks import read_landmarks
from napari_clxem.session.model import Landmark, Link

pytestmark = pytest.mark.gl


@pytest.fixture
def dock(make_napari_viewer, grid, qtbot, monkeypatch):
    monkeypatch.setattr("napari_clxem.plugin.controllers.automatic.open_dataset", grid.open)
    viewer = make_napari_viewer()
    widget = CorrelateWidget(viewer)
    viewer.window.add_dock_widget(widget, name="Correlate", area="right")
    yield widget
    widget.end()
    release(viewer)


@pytest.fixture
def workspace(dock, grid):
    found = workspace_for(dock.viewer)
    found.use(grid.store())
    return found


@pytest.fixture
def work(dock, workspace):
    """The dock at work on the link from the stack to the tomogram."""
    dock.choose("stack", "tomogram", wait=True)
    dock.correlation.picking = True
    return dock.correlation


def seen(grid, frame):
    """Where a frame sees the beads, µm."""
    from napari_clxem.session.geometry import graph

    return graph(grid.session).transform("reference", frame, BEADS).transform(BEADS)


def event(correlation, canvas, place, kind="mouse_press", modifiers=()):
    """A mouse event at a place of a canvas' frame."""
    viewer = correlation.model(canvas)
    display = np.asarray(place) - correlation.panel(canvas).zero
    pixels = (display[-2:] - viewer.scene.camera.center[-2:]) * viewer.scene.camera.zoom
    return SimpleNamespace(
        type=kind, button=1, modifiers=modifiers, pos=pixels[::-1], position=tuple(display),
        view_direction=None, handled=False,
    )  # fmt: skip


def mouse(correlation, canvas, *places, modifiers=()):
    """Press at the first place, go to the others, release."""
    viewer = correlation.model(canvas)
    current = event(correlation, canvas, places[0], modifiers=modifiers)
    steps = [one for one in (callback(viewer, current) for callback in viewer.mouse_drag_callbacks)
             if one is not None]  # fmt: skip
    for step in steps:
        next(step, None)
    for place in places[1:]:
        vars(current).update(vars(event(correlation, canvas, place, "mouse_move")))
        for step in steps:
            next(step, None)
    current.type = "mouse_release"
    for step in steps:
        next(step, None)


def pick_all(correlation, grid):
    for fixed, moving in zip(seen(grid, "tomogram"), seen(grid, "stack"), strict=True):
        mouse(correlation, "main", fixed)
        mouse(correlation, "second", moving)


def link_of(workspace):
    links = [one for one in workspace.store.session.links if one.kind == "landmarks"]
    return links[0] if links else None


def texts(dock):
    return "\n".join(label.text() for label in dock.findChildren(QLabel) if not label.isHidden())


def button(dock, text):
    return next(one for one in dock.findChildren(QPushButton) if one.text() == text)


def box(dock, text):
    return next(one for one in dock.findChildren(QCheckBox) if one.text() == text)


def names(viewer):
    return {layer.name for layer in viewer.layers}


def test_an_empty_dock_says_the_next_step(dock):
    assert "Open a session" in texts(dock)


def test_a_link_shows_its_fixed_frame_here_and_its_moving_one_beside(workspace, work):
    assert workspace.view.frame == "tomogram"
    assert work.second.frame == "stack"
    assert [one.name for one in work.second.layers.values()] == ["stack · beads"]
    assert {str(unit) for unit in work.second.model.layers[0].units} == {"micrometer"}


def test_clicks_alternate_and_find_the_height_of_what_was_clicked(
    dock, workspace, work, grid, qtbot
):
    pick_all(work, grid)
    link = link_of(workspace)
    assert len(link.landmarks) == len(BEADS)
    fixed = np.array([one.fixed for one in link.landmarks])
    moving = np.array([one.moving for one in link.landmarks])
    np.testing.assert_allclose(fixed, seen(grid, "tomogram"), atol=0.2)
    np.testing.assert_allclose(moving, seen(grid, "stack"), atol=0.3)
    assert all(one.origin == "hand" for one in link.landmarks)
    qtbot.waitUntil(lambda: "A1: ±" in texts(dock), timeout=3000)
    assert "not an error" in texts(dock)


def test_a_second_click_on_the_same_side_moves_the_waiting_pick(workspace, work, grid):
    places = seen(grid, "tomogram")
    mouse(work, "main", places[0])
    mouse(work, "main", places[1])
    (mark,) = link_of(workspace).landmarks
    assert mark.moving is None
    np.testing.assert_allclose(mark.fixed, places[1], atol=0.2)


def test_a_drag_on_the_image_pans_and_picks_nothing(workspace, work, grid):
    place = seen(grid, "tomogram")[0]
    mouse(work, "main", place, np.add(place, (0, 1, 0)), np.add(place, (0, 2, 0)))
    assert link_of(workspace) is None


def test_nothing_is_picked_while_the_button_is_up_or_a_key_is_held(workspace, work, grid):
    mouse(work, "main", seen(grid, "tomogram")[0], modifiers=("Shift",))
    work.picking = False
    mouse(work, "main", seen(grid, "tomogram")[0])
    assert link_of(workspace) is None


def test_a_drag_moves_a_landmark_as_one_step_and_the_overlay_follows_at_once(workspace, work, grid):
    pick_all(work, grid)
    layer = workspace.layers.layers["stack", 0]
    before, mark = np.array(layer.affine), link_of(workspace).landmarks[0]
    steps = []
    workspace.store.changed.connect(lambda *_: steps.append(np.array(layer.affine)))
    start = np.array(mark.fixed)
    mouse(work, "main", start, np.add(start, (0, 0.5, 0.5)), np.add(start, (0, 1.0, 1.0)))
    assert len(steps) == 1
    moved = link_of(workspace).landmarks[0]
    np.testing.assert_allclose(np.array(moved.fixed) - start, [0, 1, 1], atol=1e-6)
    assert not np.allclose(np.array(layer.affine), before)
    workspace.store.undo()
    assert link_of(workspace).landmarks[0] == mark
    np.testing.assert_allclose(np.array(layer.affine), before, atol=1e-9)


def test_the_overlay_moves_during_the_drag_before_anything_is_committed(workspace, work, grid):
    pick_all(work, grid)
    layer = workspace.layers.layers["stack", 0]
    mark, session = link_of(workspace).landmarks[0], workspace.store.session
    before = np.array(layer.affine)
    work.drag("main", mark.id, np.add(mark.fixed, (0, 1.0, 0)))
    assert workspace.store.session is session
    assert np.abs(np.array(layer.affine) - before).max() > 0.05


def test_undo_and_redo_go_through_every_pick(workspace, work, grid):
    empty = workspace.store.session
    pick_all(work, grid)
    full = workspace.store.session
    while workspace.store.can_undo:
        workspace.store.undo()
    assert workspace.store.session == empty
    assert work.rows() == ()
    while workspace.store.can_redo:
        workspace.store.redo()
    assert workspace.store.session == full
    assert len(work.rows()) == len(BEADS)


def test_an_excluded_landmark_keeps_its_place_and_takes_no_part(dock, workspace, work, grid, qtbot):
    pick_all(work, grid)
    work.select(link_of(workspace).landmarks[1].id)
    dock.refresh()
    button(dock, "Exclude").click()
    assert [one.use for one in link_of(workspace).landmarks] == [True, False, True, True]
    assert work.rows()[1].flag == "excluded"
    dock.refresh()
    table = dock._table.marks
    assert (
        table.data(table.index(1, USE), Qt.ItemDataRole.CheckStateRole) == Qt.CheckState.Unchecked
    )
    assert table.setData(table.index(1, USE), Qt.CheckState.Checked, Qt.ItemDataRole.CheckStateRole)
    assert link_of(workspace).landmarks[1].use


def test_a_deleted_landmark_is_gone_and_comes_back(dock, workspace, work, grid):
    pick_all(work, grid)
    gone = link_of(workspace).landmarks[0]
    work.select(gone.id)
    dock.refresh()
    button(dock, "Delete").click()
    assert gone not in link_of(workspace).landmarks
    workspace.store.undo()
    assert gone in link_of(workspace).landmarks


def test_the_table_sorts_by_number_not_by_text(dock, workspace, work):
    marks = tuple(
        Landmark(
            moving=tuple(place),
            fixed=tuple(np.multiply(place, 1.1).tolist()),
            moving_sigma=(0.1,) * 3,
        )
        for place in np.random.default_rng(1).uniform(0, 20, (12, 3)).tolist()
    )
    work.put_landmarks(marks, "Put")
    dock.refresh()
    proxy = dock._table.model()
    dock._table.sortByColumn(NUMBER, Qt.SortOrder.DescendingOrder)
    assert proxy.index(0, NUMBER).data().startswith("12")
    dock._table.sortByColumn(FIT, Qt.SortOrder.AscendingOrder)
    shown = [float(proxy.index(row, FIT).data()) for row in range(12)]
    assert shown == sorted(shown)


def test_a_double_click_on_a_row_brings_both_canvases_there(dock, workspace, work, grid):
    pick_all(work, grid)
    mark = link_of(workspace).landmarks[2]
    work.centre(mark.id)
    for canvas, place in (("main", mark.fixed), ("second", mark.moving)):
        viewer, zero = work.model(canvas), work.panel(canvas).zero
        np.testing.assert_allclose(viewer.scene.camera.center[-2:], (place - zero)[-2:], atol=1e-6)
        step = viewer.dims.range[0].step
        assert abs(viewer.dims.point[0] - (place - zero)[0]) <= step


def test_the_cursor_is_mirrored_with_its_error(workspace, work, grid):
    pick_all(work, grid)
    place = seen(grid, "tomogram")[0]
    work.point("main", place)
    viewer = work.second.model
    assert {"Cursor of the other canvas", "Error at the cursor (95 %)"} <= names(viewer)
    shown = viewer.layers["Cursor of the other canvas"].data[0]
    np.testing.assert_allclose(shown, seen(grid, "stack")[0][-2:], atol=0.5)
    work.point("main", None)
    assert "Cursor of the other canvas" not in names(viewer)


def test_landmarks_are_seen_from_every_slice_and_numbered(dock, workspace, work, grid):
    pick_all(work, grid)
    layer = dock.viewer.layers["Landmarks in tomogram"]
    assert layer.ndim == 2
    assert list(layer.features["label"]) == ["1", "2", "3", "4"]
    dock.viewer.dims.ndisplay = 3
    assert dock.viewer.layers["Landmarks in tomogram"].ndim == 3


def test_layers_of_other_units_come_and_go_and_no_landmark_moves(dock, workspace, work, grid):
    pick_all(work, grid)
    before = workspace.store.session
    places = dock.viewer.layers["Landmarks in tomogram"].data.copy()
    viewer, image = dock.viewer, np.zeros((4, 5, 6))
    made = [
        viewer.add_image(image, units=("angstrom",) * 3, scale=(1e4, 1e4, 1e4)),
        viewer.add_image(image, units=("nm",) * 3, scale=(100, 100, 100)),
        viewer.add_image(image),
        viewer.add_image(np.zeros((3, 4, 5, 6)), axis_labels=("t", "z", "y", "x")),
    ]
    extra = (3.0, 2.0, 2.0)
    mouse(work, "main", extra)
    mouse(work, "second", extra)
    for layer in made:
        viewer.layers.remove(layer)
    marks = link_of(workspace).landmarks
    assert marks[:4] == before.links[-1].landmarks
    np.testing.assert_allclose(marks[4].fixed[-2:], extra[-2:], atol=1e-6)
    np.testing.assert_allclose(marks[4].moving[-2:], extra[-2:], atol=1e-6)
    np.testing.assert_allclose(viewer.layers["Landmarks in tomogram"].data[:4], places)


def bead_finder(grid):
    """Stand in for detection, which has tests of its own: finds every bead, to 20 nm."""

    def find(image, dataset):
        places = seen(grid, dataset.frame)
        ones = np.ones(len(places))
        sigma, covariance = np.full_like(places, 0.02), np.tile(np.eye(3) * 4e-4, (len(ones), 1, 1))
        return Beads(places, sigma, covariance, 20 * ones, ones, 20 * ones)

    return find


def test_beads_are_found_and_matched_and_hand_picks_stay(
    dock, workspace, work, grid, qtbot, monkeypatch
):
    monkeypatch.setattr("napari_clxem.plugin.controllers.automatic.find_beads", bead_finder(grid))
    work.put_landmarks((Landmark(moving=(1.0, 1.0, 1.0)),), "Half a pick")
    button(dock, "Match").click()
    qtbot.waitUntil(lambda: not dock.automatic.busy, timeout=60_000)
    marks = link_of(workspace).landmarks
    assert [one.origin for one in marks].count("hand") == 1
    beads = [one for one in marks if one.origin == "bead"]
    assert len(beads) == len(BEADS)
    order = np.argsort([one.fixed[1] for one in beads])
    found = np.array([beads[i].fixed for i in order])
    true = seen(grid, "tomogram")
    np.testing.assert_allclose(found, true[np.argsort(true[:, 1])], atol=0.05)
    assert "Beads in tomogram" in names(dock.viewer)


def test_a_run_can_be_cancelled(dock, workspace, work, qtbot):
    dock.automatic.start(match=True)
    dock.refresh()
    assert button(dock, "Cancel").isVisibleTo(dock)
    dock.automatic.cancel()
    assert not dock.automatic.busy
    qtbot.wait(500)
    assert link_of(workspace) is None


def test_the_model_is_kept_with_the_link_and_undone(dock, workspace, work, grid):
    pick_all(work, grid)
    work.set_model(model="rigid", prior=None)
    assert link_of(workspace).model == "rigid"
    workspace.store.undo()
    assert link_of(workspace).prior is not None


def test_few_landmarks_say_how_many_more_are_needed(dock, workspace, work, grid):
    work.set_model(model="affine", prior=None)
    dock.refresh()
    assert "4 more needed" in texts(dock)


def test_the_error_map_is_drawn_below_the_marks(dock, workspace, work, grid):
    pick_all(work, grid)
    box(dock, "Error map").click()
    layers = [layer.name for layer in dock.viewer.layers]
    field = next(i for i, name in enumerate(layers) if name.startswith("Predicted error, nm"))
    assert field < layers.index("Landmarks in tomogram")
    values = dock.viewer.layers[field].data
    assert np.isfinite(values).all()
    assert values.min() > 0


def test_one_canvas_shows_both_sides_in_turn(dock, workspace, work, grid):
    box(dock, "Two canvases").click()
    mouse(work, "main", seen(grid, "tomogram")[0])
    assert workspace.view.frame == "stack"
    mouse(work, "main", seen(grid, "stack")[0])
    assert workspace.view.frame == "tomogram"
    (mark,) = link_of(workspace).landmarks
    np.testing.assert_allclose(mark.fixed, seen(grid, "tomogram")[0], atol=0.2)
    np.testing.assert_allclose(mark.moving, seen(grid, "stack")[0], atol=0.3)


def test_landmarks_go_out_and_in_as_csv(dock, workspace, work, grid, tmp_path, monkeypatch):
    pick_all(work, grid)
    before, file = link_of(workspace).landmarks, str(tmp_path / "marks.csv")
    dialog = "napari_clxem.plugin.widgets.correlate.QFileDialog"
    monkeypatch.setattr(f"{dialog}.getSaveFileName", lambda *_: (file, ""))
    monkeypatch.setattr(f"{dialog}.getOpenFileName", lambda *_: (file, ""))
    button(dock, "Write…").click()
    assert read_landmarks(file) == tuple(replace(one, origin="file") for one in before)
    work.put_landmarks((), "Empty")
    button(dock, "Read…").click()
    assert [one.fixed for one in link_of(workspace).landmarks] == [one.fixed for one in before]


def test_depths_are_scaled_by_hand_and_landmarks_stay_in_their_slices(dock, workspace, work, grid):
    pick_all(work, grid)
    before = np.array([one.moving for one in link_of(workspace).landmarks])
    dock._depth.given.emit("stack", 1.5)
    after = np.array([one.moving for one in link_of(workspace).landmarks])
    np.testing.assert_allclose(after, before * [1.5, 1, 1])
    dock.refresh()
    assert "17.55 µm in the sample" in texts(dock)


def test_another_reference_frame_says_so_and_picks_nothing(dock, workspace, work, grid):
    workspace.show_site("c1", "stack")
    mouse(work, "main", seen(grid, "stack")[0])
    assert link_of(workspace) is None
    dock.refresh()
    assert "another frame" in texts(dock)


def test_what_was_picked_is_in_the_file(dock, workspace, work, grid, tmp_path):
    pick_all(work, grid)
    path = workspace.store.save(tmp_path / "picked.clxem.json")
    assert load(path).links == workspace.store.session.links


def test_a_link_that_another_edit_drops_is_worked_on_as_an_empty_one(workspace, work, grid):
    pick_all(work, grid)
    link = link_of(workspace)
    workspace.store.commit(lambda s: edits.drop(s, Link, link.id), "Drop")
    assert work.pair.link.landmarks == ()
    mouse(work, "main", seen(grid, "tomogram")[0])
    assert len(link_of(workspace).landmarks) == 1


def test_a_dock_taken_out_of_the_window_gives_the_mouse_back(dock, workspace, work, grid, qtbot):
    viewer = dock.viewer
    before = len(viewer.mouse_drag_callbacks)
    viewer.window.remove_dock_widget(dock)
    qtbot.waitUntil(lambda: len(viewer.mouse_drag_callbacks) == before - 1, timeout=5000)
    assert "Landmarks in tomogram" not in names(viewer)
    workspace.show_site("c1", "stack")


def test_only_one_dock_picks_at_a_time(dock, workspace, work, grid, qtbot):
    work.picking = False
    dock.refresh()
    button(dock, "Pick").click()
    assert work.picking
    workspace.hand_taken.emit(object())
    assert not work.picking
    mouse(work, "main", seen(grid, "tomogram")[0])
    assert link_of(workspace) is None
