from __future__ import annotations

import csv
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from napari.components import ViewerModel
from qtpy.QtWidgets import QLabel, QLineEdit, QPushButton, QTableWidget

from conftest import BEADS, declared
from napari_clxem.dose import Exposure
from napari_clxem.errors import LamellaError, WriteError
from napari_clxem.frames import Affine, UncertainAffine
from napari_clxem.io.image import StagePosition
from napari_clxem.lamella import Optics, capture_probability, fib_projection, milling_angle
from napari_clxem.plugin.controllers import release, workspace_for
from napari_clxem.plugin.controllers.targets import Targets
from napari_clxem.plugin.controllers.targets_export import export
from napari_clxem.plugin.controllers.targets_mouse import TargetMouse, centroid_near
from napari_clxem.plugin.controllers.targets_scene import aims, fib_view, moved_target
from napari_clxem.plugin.controllers.targets_sites import aiming_maps, fields, write_fields
from napari_clxem.plugin.widgets.targets import TargetsWidget
from napari_clxem.session import Dataset, FileRef, Frame, Link, Store, edits, load, save
from napari_clxem.session.geometry import estimate, place

pytestmark = pytest.mark.gl

ANGLE, AZIMUTH, TILT = 11.0, 20.0, 18.0
SD = 0.05


def projection() -> np.ndarray:
    """How the tomogram of the made grid shows in its FIB image."""
    middle = (np.array((80, 180, 180)) - 1) * 0.12 / 2
    seen = fib_projection(ANGLE, AZIMUTH)
    shift = np.array([10.0, 12.0]) - seen.transform([middle])[0]
    return np.hstack([seen.linear, (seen.translation + shift)[:, np.newaxis]])


@pytest.fixture
def fib_grid(grid):
    dataset = Dataset(
        id="fib",
        name="fib",
        modality="fib",
        site="c1",
        frame="fib",
        file=FileRef(path="/nowhere/fib.tif"),
        axes=("y", "x"),
        shape=(200, 240),
        scale=(0.1, 0.1),
        stage=StagePosition((5.0, 6.0, 7.0), 0.0, TILT, "fei"),
    )
    covariance = np.zeros((8, 8))
    covariance[3, 3] = covariance[7, 7] = SD**2
    centre = np.full(3, 10.0)
    link = Link(
        id="to-fib",
        moving="tomogram",
        fixed="fib",
        kind="declared",
        estimate=estimate(UncertainAffine(projection(), centre, covariance, None)),
    )
    grid.session = replace(
        grid.session,
        datasets=(*grid.session.datasets, dataset),
        frames=(*grid.session.frames, Frame(name="fib", ndim=2)),
        links=(*grid.session.links, link),
    )
    grid.images["fib"] = np.random.default_rng(2).random((200, 240), np.float32)
    return grid


@pytest.fixture
def plan(fib_grid, qapp):
    """Targets at work on canvases without a window."""
    viewer = ViewerModel()
    workspace = workspace_for(viewer)
    workspace.use(fib_grid.store())
    workspace.show_site("c1", "tomogram")
    made = Targets(workspace, viewer)
    yield SimpleNamespace(
        targets=made,
        viewer=viewer,
        _mouse=TargetMouse(made, viewer, "main"),
        _fib_mouse=TargetMouse(made, made.second.model, "fib"),
    )
    made.release()
    release(viewer)


@pytest.fixture
def dock(make_napari_viewer, fib_grid, qtbot):
    viewer = make_napari_viewer()
    widget = TargetsWidget(viewer)
    viewer.window.add_dock_widget(widget, name="Targets", area="right")
    found = workspace_for(viewer)
    found.use(fib_grid.store())
    found.show_site("c1", "tomogram")
    widget.refresh()
    widget.targets.active = True
    yield widget
    widget.close()


def session(dock):
    return dock.targets.session


def texts(dock):
    return "\n".join(label.text() for label in dock.findChildren(QLabel) if not label.isHidden())


def button(dock, text):
    return next(one for one in dock.findChildren(QPushButton) if one.text() == text)


def press(mouse, viewer, start, end=None, **more):
    """Play a click, or a drag, through the callback as napari does."""
    event = SimpleNamespace(
        type="mouse_press",
        button=1,
        modifiers=(),
        pos=np.zeros(2),
        position=tuple(start),
        view_direction=np.array([1.0, 0.0, 0.0]),
        handled=False,
        **more,
    )
    play = mouse._on_press(viewer, event)
    next(play, None)
    if end is not None:
        event.type, event.position, event.pos = "mouse_move", tuple(end), np.array([50.0, 50.0])
        next(play, None)
    event.type = "mouse_release"
    next(play, None)
    return event


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
    plan.targets.picking = True
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
    places = plan.targets.target_places()
    here = places["A1"]
    press(plan._mouse, plan.viewer, (0.0, *here), (0.0, *(here + np.array([1.0, -0.5]))))
    after = plan.targets.target_places()["A1"]
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


def test_the_view_knows_its_milling_angle(fib_grid):
    dataset = fib_grid.session.datasets[-1]
    found = fib_view(fib_grid.session, dataset)
    assert found.volume == "tomogram"
    assert found.angle == pytest.approx(ANGLE, abs=1e-6)
    assert found.azimuth == pytest.approx(AZIMUTH, abs=1e-6)
    assert milling_angle(TILT, 45.0) == ANGLE


def test_a_target_lies_on_the_line_of_sight_where_the_view_has_it(fib_grid):
    view = fib_view(fib_grid.session, fib_grid.session.datasets[-1])
    (aim,) = aims(fib_grid.session, view, fib_grid.session.targets)
    seen = Affine(view.projection).transform([aim.position])[0]
    np.testing.assert_allclose(seen, aim.seen.position, atol=1e-9)
    np.testing.assert_allclose(
        view.projection[:, :3] @ aim.covariance @ view.projection[:, :3].T,
        aim.seen.covariance,
        atol=1e-12,
    )


def test_a_box_is_drawn_dragged_and_taken_back(plan):
    targets = plan.targets
    targets.draw_box()
    (record,) = session(plan).lamellae
    assert record.frame == "tomogram"
    assert record.lamella.angle == pytest.approx(ANGLE)
    assert record.stage_tilt == pytest.approx(TILT)
    centred = targets.found["A1"].volume_fraction
    assert record.promised == pytest.approx(centred)
    handle = targets.handles("fib")["centre"]
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
    expected = capture_probability(moved, aim.position, aim.target.radius, aim.covariance)
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
    targets.draw_box()
    before = getattr(session(plan).lamellae[0].lamella, size)
    places = targets.handles(canvas)
    targets.pull(canvas, edge, places[edge] + 0.5 * (places[edge] - places[other]))
    targets.let_go()
    assert getattr(session(plan).lamellae[0].lamella, size) == pytest.approx(1.5 * before)
    np.testing.assert_allclose(targets.handles(canvas)[other], places[other], atol=1e-9)


def test_a_proposal_holds_the_target_best(dock, qtbot):
    targets = dock.targets
    button(dock, "Propose").click()
    qtbot.waitUntil(lambda: bool(session(dock).lamellae) and not targets.busy, timeout=10000)
    record = session(dock).lamellae[0]
    aim = targets.aims[0]
    assert abs(capture_probability(record.lamella, aim.position).offset) < 0.01
    assert record.promised == pytest.approx(targets.proposal.expected)
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
    dock.targets.draw_box()
    dock.targets.remove()
    assert session(dock).targets == ()
    assert session(dock).lamellae[0].targets == ()
    workspace_for(dock.viewer).store.undo()
    assert session(dock).lamellae[0].targets == ("A1",)


def test_lamellae_are_kept_in_the_file(plan, tmp_path):
    plan.targets.draw_box()
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
    plan.targets.draw_box()
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
    assert dock.targets.picking
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


def test_fields_for_tomograms_keep_off_what_was_exposed(fib_grid, tmp_path):
    made = fib_grid.session
    (map_,) = aiming_maps(made)
    (found,) = fields(made, map_, Optics((8.0, 8.0), 6.0, (-50.0, 50.0)))
    there = place(made, made.targets[0], "map").position
    assert (np.abs(np.array(found.centre) - there) < 4.0 - made.targets[0].radius).all()
    assert found.clear
    assert found.holds > 0.95
    spent = Exposure.tilt_series(
        modality="sxt",
        frame="map",
        aim=there,
        beam_radius=20.0,
        tilts=np.array([0.0]),
        dose_per_image=1.0,
    )
    (again,) = fields(edits.put(made, spent), map_, Optics((8.0, 8.0), 6.0, (-50.0, 50.0)))
    assert not again.clear
    path = tmp_path / "stage.csv"
    said = write_fields(path, made, map_, [found])
    assert "no link leads to a stage" in said
    with path.open(encoding="utf-8") as file:
        (line,) = csv.DictReader(file)
    assert float(line["row_px"]) == pytest.approx(found.centre[0] / 0.2)
    with pytest.raises(WriteError, match="no field"):
        write_fields(path, made, map_, [])
    with pytest.raises(LamellaError, match="pick targets"):
        fields(replace(made, targets=()), map_, Optics())


def test_fields_are_drawn_and_forgotten_with_the_next_edit(dock):
    dock.sites.propose()
    assert [one.name for one in dock.sites.found] == ["A1"]
    assert "SXT fields" in dock.viewer.layers
    dock.targets.draw_box()
    dock.refresh()
    assert dock.sites.found == ()
    assert "SXT fields" not in dock.viewer.layers


def test_nothing_is_left_in_the_canvas_after_closing(plan):
    before = {layer.name for layer in plan.viewer.layers}
    plan.targets.draw_box()
    drawn = {layer.name for layer in plan.viewer.layers} - before
    assert {"Lamella", "Lamella handles", "Lamella in 3D"} <= drawn
    plan.targets.release()
    assert not drawn & {layer.name for layer in plan.viewer.layers}
    plan.targets.workspace.refreshed.connect(plan.targets.refresh)


def test_it_fits_a_narrow_dock(dock, qtbot):
    dock.targets.draw_box()
    alone = TargetsWidget(dock.viewer)
    qtbot.addWidget(alone)
    alone.resize(320, 700)
    with qtbot.waitExposed(alone):
        alone.show()
    assert alone.widget().width() <= 320
    alone.close()


def test_a_store_of_its_own_shows_nothing_of_the_old_one(plan):
    plan.targets.draw_box()
    workspace_for(plan.viewer).use(Store(journal=False))
    assert plan.targets.fib is None
    assert plan.targets.lamella is None
