"""A person at the mouse: from a target in the confocal slice to the file for the microscope.

With CLXEM_PICTURES set to a folder, pictures of
the steps are left there.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

import numpy as np
import pytest
from hands import BY_HAND, Hand, large_window
from qtpy.QtCore import QPoint
from qtpy.QtWidgets import QCheckBox

from napari_clxem.frames import Affine
from napari_clxem.io.exchange import NavPoint, NavPolygon, read_list, read_positions, written_items
from napari_clxem.io.readers.navigator import read_navigator
from napari_clxem.lamella import capture_probability
from napari_clxem.plugin.controllers import release, workspace_for
from napari_clxem.plugin.sample import sample_session
from napari_clxem.plugin.widgets.targets import TargetsWidget
from napari_clxem.session import Store, edits, load
from napari_clxem.session.geometry import graph
from napari_clxem.session.model import Target

pytestmark = BY_HAND

SITE, FRAME = "A", "confocal-A"


class TargetsHand(Hand):
    def is_ready(self) -> bool:
        return not workspace_for(self.viewer).turns.busy

    def where(self, canvas, place) -> tuple[int, int]:
        """Where a place (row, column) µm of a canvas is on the screen."""
        main = canvas == "main"
        model = self.viewer if main else self.dock.targets.second.model
        held = self.viewer.window._qt_viewer if main else self.dock.canvas._viewer
        return self.spot(model, held, place)

    def click(self, canvas, place) -> None:
        self.mouse("mousemove", *self.where(canvas, place))
        self.mouse("click", 1)

    def drag(self, canvas, start, end, during=lambda: None) -> None:
        self.drag_from(self.where(canvas, start), self.where(canvas, end), during)
        self.wait(seconds=0.4)

    def tick(self, text) -> None:
        self.press(text, QCheckBox, QPoint(8, 10))

    def picture(self, name) -> None:
        folder = os.environ.get("CLXEM_PICTURES")
        if folder:
            self.wait(seconds=0.5)
            self.viewer.screenshot(str(Path(folder) / name), canvas_only=False, flash=False)


@pytest.fixture
def hand(make_napari_viewer, tmp_path, monkeypatch):
    monkeypatch.undo()  # jobs spread over turns, as for a person
    viewer = large_window(make_napari_viewer)
    workspace = workspace_for(viewer)
    session = load(sample_session())
    workspace.use(Store(edits.drop(session, Target, *(one.id for one in session.targets))))
    dock = TargetsWidget(viewer)
    viewer.window.add_dock_widget(dock, name="Targets", area="right")
    workspace.show_site(SITE, FRAME)
    held = TargetsHand(viewer, dock)
    held.wait(lambda: dock.targets.fib is not None and dock.canvas.isVisible(), seconds=2.0)
    held.wait(lambda: bool(dock.targets.second.layers), seconds=1.5)
    viewer.dims.set_point(0, 3.2)
    yield held
    dock.close()
    release(viewer)


def captured(dock) -> float:
    """What the dock says, large."""
    return float(re.search(r"(\d+)% captured", dock._large.text()).group(1)) / 100


def test_from_a_target_to_the_file_for_the_microscope(hand, tmp_path):
    dock, viewer = hand.dock, hand.viewer
    targets = dock.targets
    store = workspace_for(viewer).store
    true = next(one for one in load(sample_session()).targets if one.id == "A1")
    origin = np.array(workspace_for(viewer).view.origin)

    # pick: the strongest signal under the click, moved to its centroid
    confocal = [one for one in viewer.layers if one.name.startswith("confocal-A · acidic")]
    viewer.layers.selection = set(confocal)
    viewer.scene.camera.center = (0.0, *(np.array(true.position) - origin)[1:])
    viewer.scene.camera.zoom = 22
    hand.wait(seconds=0.5)
    hand.tick("Snap")
    hand.press("Pick")
    hand.click("main", (np.array(true.position) - origin)[1:] + np.array([0.1, -0.1]))
    hand.wait(lambda: len(store.session.targets) == 1)
    (target,) = store.session.targets
    assert target.frame == FRAME
    assert np.linalg.norm(np.subtract(target.position, true.position)[1:]) < 0.25
    hand.press("Pick")
    assert not targets.picks.picking
    hand.wait(lambda: "Targets" in targets.second.model.layers)
    hand.picture("click-1-picked.png")

    # a box in the FIB view, at once with its share
    hand.press("Box here")
    turns = workspace_for(viewer).turns
    hand.wait(lambda: "captured" in dock._large.text() and not turns.busy, seconds=1.0)
    (record,) = store.session.lamellae
    centred = captured(dock)
    assert centred == pytest.approx(record.promised, abs=0.006)
    hand.picture("click-2-box.png")

    # the middle, up: less and less is captured while the hand moves
    told = []
    view = Affine(targets.fib.projection)
    here = targets.boxes.places("fib")["centre"]
    beside = targets.boxes.places("fib")["centre"] + np.array([-0.4, 0.0])
    hand.drag("fib", here, beside, lambda: told.append(captured(dock)))
    assert told[-1] < told[0] <= centred + 0.01
    assert len(set(told)) >= 3
    moved = store.session.lamellae[0].lamella
    zoom = targets.second.model.scene.camera.zoom
    np.testing.assert_allclose(view.transform([moved.centre])[0], beside, atol=1.5 / zoom)
    hand.picture("click-3-moved.png")
    undone = store.session
    hand.press("Undo")
    hand.wait(lambda: store.session is not undone)
    assert store.session.lamellae == (record,)

    # thickness, width and angle at their handles
    places = targets.boxes.places("fib")
    up = places["top"] + 2.0 * (places["top"] - places["bottom"])
    hand.drag("fib", places["top"], up)
    thick = store.session.lamellae[0].lamella
    assert thick.thickness == pytest.approx(3 * record.lamella.thickness, rel=0.15)
    assert captured(dock) > centred
    places = targets.boxes.places("fib")
    hand.drag("fib", places["left"], places["left"] + 0.2 * (places["right"] - places["left"]))
    narrow = store.session.lamellae[0].lamella
    assert narrow.width == pytest.approx(0.8 * record.lamella.width, rel=0.02)
    dial = targets.boxes.dial("fib")
    turn = np.deg2rad(dial.angle + 6.0)
    wanted = dial.pivot + dial.arm * (np.cos(turn) * dial.level + np.sin(turn) * dial.up)
    hand.drag("fib", dial.tip, wanted)
    cut = store.session.lamellae[0]
    assert cut.lamella.angle == pytest.approx(record.lamella.angle + 6.0, abs=0.6)
    assert cut.stage_tilt == pytest.approx(record.stage_tilt + 6.0, abs=0.6)
    aim = targets.aims[0]
    spread = aim.covariance + targets.placing**2 * np.eye(3)
    expected = capture_probability(cut.lamella, aim.position, target.radius, spread)
    assert cut.promised == pytest.approx(expected.volume_fraction)
    hand.tick("Expansion joints")
    hand.wait(lambda: store.session.lamellae[0].joints is not None)
    hand.picture("click-4-cut.png")

    # what limits it
    hand.press("What limits it")
    hand.wait(lambda: bool(targets.advice.limit))
    assert "%" in dock._box._limit.text()
    hand.picture("click-5-limit.png")

    # files, opened again
    record = store.session.lamellae[0]
    for suffix in (".csv", ".nav", ".yaml", ".html"):
        dock.export(str(tmp_path / f"out{suffix}"))
    entries = {one.name: one for one in read_list(tmp_path / "out.csv")}
    assert set(entries) == {"T1", "Lamella 1", "Lamella 1 joint 1", "Lamella 1 joint 2"}
    box = entries["Lamella 1"]
    assert box.milling_angle == record.lamella.angle
    assert (box.width, box.thickness) == (record.lamella.width, record.lamella.thickness)
    assert box.capture == record.promised
    pixel = np.array(targets.fib.dataset.scale[-2:])
    spot = view.transform([record.lamella.centre])[0]
    np.testing.assert_allclose(np.array(box.pixel) * pixel, spot)
    np.testing.assert_allclose(np.array(entries["T1"].pixel) * pixel, aim.seen.position)
    stage = "fib-sem stage"
    plan = graph(store.session).transform(record.frame, stage, record.lamella.mid_plane)
    corners = plan.transform(record.lamella.mid_plane)[:, -2:]
    items = written_items(read_navigator(tmp_path / "out.nav").items)
    polygons = {one.label: one for one in items if isinstance(one, NavPolygon)}
    np.testing.assert_allclose(polygons["Lamella 1"].corners, corners, atol=1e-6)
    assert {one.label for one in items if isinstance(one, NavPoint)} == {"T1"}
    assert "Lamella 1 joint 2" in polygons
    positions = {one.name: one for one in read_positions(tmp_path / "out.yaml")}
    assert positions["Lamella 1"].tilt == pytest.approx(record.stage_tilt)
    np.testing.assert_allclose(positions["Lamella 1"].position, box.stage, atol=1e-6)
    page = (tmp_path / "out.html").read_text(encoding="utf-8")
    assert page.count("<polygon") == 3
    assert "Lamella 1" in page

    # nothing is lost on the way
    path = store.save(tmp_path / "planned.clxem.json")
    assert load(path).lamellae == store.session.lamellae


def test_a_field_for_a_tomogram_by_the_mouse(hand, tmp_path):
    dock, viewer = hand.dock, hand.viewer
    store = workspace_for(viewer).store
    true = next(one for one in load(sample_session()).targets if one.id == "A1")
    store.commit(lambda s: edits.put(s, true), "Target")
    hand.wait(seconds=0.5)
    hand.press("SXT sites")
    hand.press("Propose sites")
    hand.wait(lambda: len(store.session.fields) == 1, seconds=1.0)
    (record,) = store.session.fields
    here = dock.sites.fields.places("main")[record.id]
    viewer.scene.camera.center = (0.0, *here)
    viewer.scene.camera.zoom = 12
    hand.wait(lambda: not workspace_for(viewer).turns.busy, seconds=0.5)
    hand.drag("main", here, here + np.array([1.5, -2.5]))
    hand.wait(lambda: store.session.fields[0].centre != record.centre)
    zoom = viewer.scene.camera.zoom
    after = dock.sites.fields.places("main")[record.id]
    np.testing.assert_allclose(after, here + np.array([1.5, -2.5]), atol=1.5 / zoom)
    hand.picture("click-6-field.png")
    path = tmp_path / "stage.csv"
    dock.sites.fields.write(path)
    (line,) = read_list(path)
    assert line.name == "A1"
    assert line.stage is not None
    assert load(store.save(tmp_path / "s.clxem.json")).fields == store.session.fields
