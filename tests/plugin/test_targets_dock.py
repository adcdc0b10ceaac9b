from __future__ import annotations

import csv
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from qtpy.QtWidgets import QLineEdit, QTableWidget
from targets_made import (
    ANGLE,
    TILT,
    button,
    dock,
    fib_grid,
    plan,
    press,
    session,
    texts,
)

from conftest import BEADS, declared
from napari_clxem.errors import WriteError
from napari_clxem.frames import Affine
from napari_clxem.lamella import BOXES, INSTRUMENTS, capture_probability, film_angle
from napari_clxem.plugin.controllers import workspace_for
from napari_clxem.plugin.controllers.targets_export import export
from napari_clxem.plugin.controllers.targets_mouse import centroid_near
from napari_clxem.plugin.controllers.targets_scene import moved_target, shown_placement
from napari_clxem.plugin.widgets.targets import TargetsWidget
from napari_clxem.session import Dataset, Frame, Link, Store, edits, load, save
from napari_clxem.session.geometry import graph

pytestmark = pytest.mark.gl

__all__ = ["dock", "fib_grid", "plan"]


def test_an_empty_session_says_the_next_step(make_napari_viewer, qtbot):
    widget = TargetsWidget(make_napari_viewer())
    qtbot.addWidget(widget)
    assert "Open a session" in texts(widget)


def test_a_click_adds_a_target_in_the_image_it_was_made_in(plan):
    viewer = plan.viewer
    view = workspace_for(viewer).view
    layers = workspace_for(viewer).layers.layers
    viewer.layers.selection = {layers["tomogram", 0]}
    bead = np.linalg.inv(np.array(session(plan).links[1].estimate.matrix)) @ [*BEADS[1], 1.0]
    spot = bead[:3] - view.origin
    plan.targets.picks.picking = True
    before = len(session(plan).targets)
    press(plan._mouse, viewer, spot + np.array([1.5, 0.0, 0.0]))
    assert len(session(plan).targets) == before + 1
    added = session(plan).targets[-1]
    assert added.frame == "tomogram"
    assert added.site == "c1"
    # the strongest signal along z, not the slice shown
    np.testing.assert_allclose(added.position, bead[:3], atol=0.1)
    assert plan.targets.target == added
    workspace_for(viewer).store.undo()
    assert len(session(plan).targets) == before


def test_nothing_is_added_without_asking(plan):
    before = session(plan)
    press(plan._mouse, plan.viewer, (0.0, 0.0, 0.0))
    assert session(plan) == before


def test_a_snap_goes_to_the_centroid():
    step = np.array([0.3, 0.1, 0.1])
    truth = np.array([3.13, 4.27, 5.11])
    grids = np.meshgrid(
        *(np.arange(n) * s for n, s in zip((20, 90, 100), step, strict=True)), indexing="ij"
    )
    square = sum((g - c) ** 2 for g, c in zip(grids, truth, strict=True))
    image = 50 + 400 * np.exp(-square / 2 / 0.4**2)
    found = centroid_near(image, step, truth + np.array([0.3, -0.25, 0.2]), 0.5)
    np.testing.assert_allclose(found, truth, atol=0.03)
    dark = centroid_near(-image, step, truth + np.array([0.3, -0.25, 0.2]), 0.5, dark=True)
    np.testing.assert_allclose(dark, found)


def test_a_target_is_dragged_in_the_plane_and_keeps_its_height(plan):
    places = plan.targets.picks.places("main")
    here = places["A1"]
    press(plan._mouse, plan.viewer, (0.0, *here), (0.0, *(here + np.array([1.0, -0.5]))))
    after = plan.targets.picks.places("main")["A1"]
    np.testing.assert_allclose(after, here + np.array([1.0, -0.5]), atol=1e-6)
    moved = next(one for one in session(plan).targets if one.id == "A1")
    np.testing.assert_allclose(moved.position[0], BEADS[0][0], atol=1e-6)


def test_a_target_in_a_plane_stays_in_it(fib_grid):
    target = replace(fib_grid.session.targets[0], frame="map", position=(3.0, 4.0), sigma=None)
    view = SimpleNamespace(frame="reference", origin=(0.0, 1000.0, 1000.0))
    spot = np.array([15.0, 12.0])
    moved = moved_target(fib_grid.session, view, target, spot)
    link = next(one for one in fib_grid.session.links if one.id == "to-map")
    there = Affine(np.array(link.estimate.matrix)).transform([moved.position])[0]
    np.testing.assert_allclose(there, spot + 1000.0, atol=1e-6)


def test_a_box_is_drawn_dragged_and_taken_back(plan):
    targets = plan.targets
    targets.boxes.draw()
    (record,) = session(plan).lamellae
    assert record.frame == "tomogram"
    assert record.lamella.angle == pytest.approx(ANGLE)
    assert record.stage_tilt == pytest.approx(TILT)
    centred = targets.found["A1"].volume_fraction
    assert record.promised == pytest.approx(centred)
    handle = targets.boxes.places("fib")["centre"]
    told = []
    targets.moved.connect(lambda: told.append(targets.found["A1"].volume_fraction))
    press(plan._fib_mouse, targets.second.model, handle, handle + np.array([0.2, 0.0]))
    assert len(told) == 1
    assert told[0] < centred
    moved = session(plan).lamellae[0].lamella
    np.testing.assert_allclose(
        Affine(targets.fib.projection).transform([moved.centre])[0],
        handle + np.array([0.2, 0.0]),
        atol=1e-9,
    )
    aim = targets.aims[0]
    spread = aim.covariance + targets.placing**2 * np.eye(3)
    expected = capture_probability(moved, aim.position, aim.target.radius, spread)
    assert session(plan).lamellae[0].promised == pytest.approx(expected.volume_fraction)
    workspace_for(plan.viewer).store.undo()
    assert session(plan).lamellae == (record,)
    workspace_for(plan.viewer).store.undo()
    assert session(plan).lamellae == ()


@pytest.mark.parametrize(
    ("canvas", "edge", "other", "size"),
    [
        ("fib", "top", "bottom", "thickness"),
        ("fib", "left", "right", "width"),
        ("main", "front", "back", "length"),
    ],
)
def test_an_edge_is_pulled(plan, canvas, edge, other, size):
    targets = plan.targets
    targets.boxes.draw()
    before = getattr(session(plan).lamellae[0].lamella, size)
    places = targets.boxes.places(canvas)
    targets.boxes.drop(canvas, edge, places[edge] + 0.5 * (places[edge] - places[other]))
    assert getattr(session(plan).lamellae[0].lamella, size) == pytest.approx(1.5 * before)
    np.testing.assert_allclose(targets.boxes.places(canvas)[other], places[other], atol=1e-9)


def test_a_proposal_holds_the_target_best(dock, qtbot):
    targets = dock.targets
    button(dock, "Propose").click()
    qtbot.waitUntil(lambda: bool(session(dock).lamellae) and not targets.advice.busy, timeout=10000)
    record = session(dock).lamellae[0]
    aim = targets.aims[0]
    assert abs(capture_probability(record.lamella, aim.position).offset) < 0.01
    assert record.promised == pytest.approx(targets.advice.proposal.expected)
    qtbot.waitUntil(lambda: "captured" in texts(dock))
    rows = dock.findChildren(QTableWidget)[0]
    assert rows.item(0, 3).text() == f"{record.promised:.0%}"


def test_edits_of_numbers_are_steps(dock):
    name = dock.findChildren(QLineEdit)[0]
    dock._name.setText("granule")
    name = dock._name
    name.editingFinished.emit()
    dock._radius.setValue(0.8)
    dock._deep.setValue(0.3)
    (target,) = session(dock).targets
    assert (target.name, target.radius) == ("granule", 0.8)
    assert target.sigma == pytest.approx((0.3, 0.03, 0.03))
    dock.targets.boxes.draw()
    dock.targets.picks.remove()
    assert session(dock).targets == ()
    assert session(dock).lamellae[0].targets == ()
    workspace_for(dock.viewer).store.undo()
    assert session(dock).lamellae[0].targets == ("A1",)


def test_lamellae_are_kept_in_the_file(plan, tmp_path):
    plan.targets.boxes.draw()
    path = tmp_path / "kept.clxem.json"
    save(session(plan), path)
    assert load(path).lamellae == session(plan).lamellae


def written(plan, path):
    targets = plan.targets
    image = np.random.default_rng(1).random((200, 240))
    return export(
        path,
        targets.session,
        targets.session.targets,
        targets.records,
        targets.fib,
        targets.aims,
        image=image,
    )


@pytest.fixture
def staged(plan):
    """A stage that the map's position is known on."""
    store = workspace_for(plan.viewer).store
    link = replace(declared("map", np.diag([1.0, 1.0, 1.0])), id="stage-map", fixed="fib stage")

    def with_stage(s):
        s = edits.put(s, Frame(name="fib stage", ndim=2, z=(0.0, 10.0)))
        return edits.put(s, replace(link, kind="stage"))

    store.commit(with_stage, "Stage")
    plan.targets.boxes.draw()
    return plan


def test_the_list_is_in_image_pixels_and_on_the_stage(staged, tmp_path):
    path = tmp_path / "list.csv"
    written(staged, path)
    with path.open(encoding="utf-8") as file:
        lamella, target = list(csv.DictReader(file))
    aim = staged.targets.aims[0]
    np.testing.assert_allclose(
        [float(target["row_px"]), float(target["column_px"])], np.array(aim.seen.position) / 0.1
    )
    assert float(target["stage_z_um"]) == 5.0
    assert float(lamella["stage_tilt_deg"]) == pytest.approx(TILT)
    assert float(lamella["capture"]) == pytest.approx(session(staged).lamellae[0].promised)
    np.testing.assert_allclose(
        [float(lamella["row_px"]), float(lamella["column_px"])],
        [float(target["row_px"]), float(target["column_px"])],
        atol=1e-6,
    )


@pytest.mark.parametrize("suffix", [".html", ".nav", ".yaml", ".txt"])
def test_every_format_names_the_target_or_its_place(staged, tmp_path, suffix):
    path = tmp_path / f"out{suffix}"
    written(staged, path)
    text = path.read_text(encoding="utf-8")
    if suffix == ".txt":
        x, y, z = (float(cell) for cell in text.split())
        seen = staged.targets.aims[0].seen.position
        np.testing.assert_allclose([y - 0.5, x - 0.5], np.array(seen) / 0.1)
        assert z == 0
    else:
        assert "A1" in text
        assert "Lamella 1" in text


def test_what_cannot_be_written_is_said(fib_grid, tmp_path):
    made = fib_grid.session
    with pytest.raises(WriteError, match="does not end in one of"):
        export(tmp_path / "x.doc", made, made.targets, (), None, ())
    with pytest.raises(WriteError, match="no target"):
        export(tmp_path / "x.csv", made, (), (), None, ())
    with pytest.raises(WriteError, match="stage"):
        export(tmp_path / "x.nav", made, made.targets, (), None, ())
    with pytest.raises(WriteError, match="FIB image"):
        export(tmp_path / "x.html", made, made.targets, (), None, ())


def test_the_buttons_do_it_and_a_file_is_written(dock, tmp_path, qtbot):
    button(dock, "Box here").click()
    qtbot.waitUntil(lambda: "captured" in texts(dock))
    button(dock, "Pick").click()
    assert dock.targets.picks.picking
    path = tmp_path / "list.csv"
    dock.export(str(path))
    assert "Lamella 1" in path.read_text(encoding="utf-8")


def test_without_a_fib_image_the_dock_says_so(dock, fib_grid):
    workspace = workspace_for(dock.viewer)
    workspace.store.commit(lambda s: edits.drop(s, Link, "to-fib"), "Drop")
    dock.refresh()
    assert "link" in dock.targets.trouble
    assert not button(dock, "Propose").isEnabled()
    workspace.store.commit(lambda s: edits.drop(s, Dataset, "fib"), "Drop image")
    dock.refresh()
    assert "no FIB image" in dock.targets.trouble


def test_nothing_is_left_in_the_canvas_after_closing(plan):
    before = {layer.name for layer in plan.viewer.layers}
    plan.targets.boxes.draw()
    drawn = {layer.name for layer in plan.viewer.layers} - before
    assert {"Lamella", "Lamella handles"} <= drawn
    plan.targets.release()
    assert not drawn & {layer.name for layer in plan.viewer.layers}
    plan.targets.workspace.refreshed.connect(plan.targets.refresh)


def test_it_fits_a_narrow_dock(dock, qtbot):
    dock.targets.boxes.draw()
    alone = TargetsWidget(dock.viewer)
    qtbot.addWidget(alone)
    alone.resize(320, 700)
    with qtbot.waitExposed(alone):
        alone.show()
    assert alone.widget().width() <= 320
    alone.close()


def test_a_store_of_its_own_shows_nothing_of_the_old_one(plan):
    plan.targets.boxes.draw()
    workspace_for(plan.viewer).use(Store(journal=False))
    assert plan.targets.fib is None
    assert plan.targets.lamella is None


def test_the_box_is_a_solid_slab_in_a_volume(plan):
    targets, viewer = plan.targets, plan.viewer
    targets.boxes.draw()
    targets.boxes.set_joints(True)
    viewer.dims.ndisplay = 3
    vertices, _, _ = viewer.layers["Lamella slab"].data
    assert "Lamella handles" not in viewer.layers
    record = session(plan).lamellae[0]
    view = targets.workspace.view
    where = graph(session(plan)).transform(record.frame, view.frame, [record.lamella.centre])
    expected = where.transform(record.lamella.corners) - view.origin
    np.testing.assert_allclose(np.sort(vertices, axis=0), np.sort(expected, axis=0), atol=1e-6)
    # twelve edges of the slab, and of either joint
    assert len(viewer.layers["Lamella in 3D"].data) == 36
    viewer.dims.ndisplay = 2
    assert "Lamella slab" not in viewer.layers
    assert "Lamella in 3D" not in viewer.layers
    assert "Lamella handles" in viewer.layers


def test_the_milling_angle_is_dragged_on_its_dial(plan):
    targets = plan.targets
    targets.boxes.draw()
    shown = targets.boxes.dial("fib")
    assert shown.angle == pytest.approx(ANGLE)
    np.testing.assert_allclose(targets.boxes.places("fib")["angle"], shown.tip)
    angle = np.deg2rad(17.0)
    wanted = shown.pivot + shown.arm * (np.cos(angle) * shown.level + np.sin(angle) * shown.up)
    press(plan._fib_mouse, targets.second.model, shown.tip, wanted)
    record = session(plan).lamellae[0]
    assert record.lamella.angle == pytest.approx(17.0)
    assert record.stage_tilt == pytest.approx(TILT + 17.0 - ANGLE)
    assert targets.boxes.dial("fib").angle == pytest.approx(17.0)
    workspace_for(plan.viewer).store.undo()
    assert session(plan).lamellae[0].lamella.angle == pytest.approx(ANGLE)


def test_joints_are_drawn_beside_the_box_in_every_view(plan):
    targets = plan.targets
    targets.preset = BOXES[1]
    targets.boxes.draw()
    record = session(plan).lamellae[0]
    assert record.joints == BOXES[1].joints
    for viewer, projection in (
        (targets.second.model, targets.fib.projection),
        (plan.viewer, shown_placement(session(plan), record, targets.workspace.view)[1:3]),
    ):
        drawn = viewer.layers["Expansion joints"].data[:, 0]
        across = projection[:, :3] @ record.lamella.axes[2]
        centre = Affine(projection).transform([record.lamella.centre])[0]
        away = (drawn - centre) @ across / (across @ across)
        gap = record.joints.distance + np.array([-0.5, 0.5]) * record.joints.width
        assert np.abs(away).min() == pytest.approx(gap[0], rel=1e-6)
        assert np.abs(away).max() == pytest.approx(gap[1], rel=1e-6)
    targets.boxes.set_joints(False)
    assert session(plan).lamellae[0].joints is None
    assert "Expansion joints" not in plan.viewer.layers


def test_a_box_is_placed_as_well_as_its_instrument_says(plan):
    targets = plan.targets
    assert targets.placing == INSTRUMENTS[0].placing > 0
    targets.boxes.draw()
    promised = session(plan).lamellae[0].promised
    targets.boxes.amend(placing=0.5)
    (record,) = session(plan).lamellae
    assert (record.placing, targets.placing) == (0.5, 0.5)
    assert record.promised < promised
    aim = targets.aims[0]
    spread = aim.covariance + 0.25 * np.eye(3)
    expected = capture_probability(record.lamella, aim.position, aim.target.radius, spread)
    assert record.promised == pytest.approx(expected.volume_fraction)
    targets.choose_instrument(INSTRUMENTS[3])
    (record,) = session(plan).lamellae
    assert record.placing is None
    assert targets.placing == INSTRUMENTS[3].placing
    assert record.lamella.damage == INSTRUMENTS[3].damage


def test_the_film_tilts_the_milling_angle(plan):
    targets = plan.targets
    targets.boxes.draw()
    targets.boxes.set_film(0.0, 4.0)
    assert session(plan).sites[0].film_tilt == (0.0, 4.0)
    box = session(plan).lamellae[0].lamella
    assert targets.boxes.angle == pytest.approx(film_angle(box.angle, (0.0, 4.0), box.azimuth))
    targets.boxes.turn(10.0)
    turned = session(plan).lamellae[0].lamella
    assert film_angle(turned.angle, (0.0, 4.0), turned.azimuth) == pytest.approx(10.0)
    assert turned.angle != pytest.approx(10.0, abs=1.0)
