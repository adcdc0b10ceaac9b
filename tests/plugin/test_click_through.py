"""A person at the mouse: the sample grid, landmarks by hand and by beads, to the saved file.

The mouse is the window system's own (xdotool), so that what the user's hand would meet is met:
docks, buttons, canvases, drags.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time

import numpy as np
import pytest
from qtpy.QtCore import QPoint
from qtpy.QtWidgets import QApplication, QPushButton

from napari_clxem.plugin.controllers import release, workspace_for
from napari_clxem.plugin.sample import sample_session
from napari_clxem.plugin.widgets.correlate import CorrelateWidget
from napari_clxem.session import Store, edits, load
from napari_clxem.session.model import Link

pytestmark = [
    pytest.mark.gl,
    pytest.mark.slow,
    pytest.mark.skipif(
        shutil.which("xdotool") is None or not os.environ.get("DISPLAY"),
        reason="a mouse of the X window system is needed: install xdotool",
    ),
]

MOVING, FIXED = "confocal-A", "tomogram-A"
OLD = f"beads-{MOVING}-{FIXED}"


class Hand:
    """The mouse in one window."""

    def __init__(self, viewer, dock) -> None:
        self.viewer, self.dock = viewer, dock

    def wait(self, until=lambda: True, seconds=0.15, most=60.0) -> None:
        start = time.monotonic()
        while time.monotonic() - start < seconds or not until():
            QApplication.processEvents()
            time.sleep(0.005)
            assert time.monotonic() - start < most, "the window did not get there"

    def mouse(self, *words) -> None:
        subprocess.run(["xdotool", *(str(word) for word in words)], check=True, timeout=20)
        self.wait()

    def spot(self, canvas, place) -> tuple[int, int]:
        """Where a place of a canvas' frame is on the screen."""
        correlation = self.dock.correlation
        model = correlation.model(canvas)
        held = self.viewer.window._qt_viewer if canvas == "main" else self.dock.canvas._viewer
        native = held.canvas.native
        apart = (np.asarray(place) - correlation.panel(canvas).zero)[-2:]
        apart = (apart - model.scene.camera.center[-2:]) * model.scene.camera.zoom
        y, x = np.array([native.height(), native.width()]) / 2 + apart
        at = native.mapToGlobal(QPoint(round(x), round(y)))
        inside = native.rect().contains(QPoint(round(x), round(y)))
        assert inside, f"{place} is not in the {canvas} canvas"
        return at.x(), at.y()

    def click(self, canvas, place) -> None:
        self.mouse("mousemove", *self.spot(canvas, place))
        self.mouse("click", 1)

    def press(self, text) -> None:
        button = next(one for one in self.dock.findChildren(QPushButton) if one.text() == text)
        self.dock.ensureWidgetVisible(button)
        self.wait(button.isEnabled)
        at = button.mapToGlobal(button.rect().center())
        self.mouse("mousemove", at.x(), at.y())
        self.mouse("click", 1)

    def step(self, text, store) -> None:
        """Press a button and wait until it has changed the session."""
        before = store.session
        self.press(text)
        self.wait(lambda: store.session is not before)

    def drag(self, canvas, place, pixels) -> None:
        x, y = self.spot(canvas, place)
        self.mouse("mousemove", x, y, "mousedown", 1)
        for step in range(1, 6):
            self.mouse("mousemove", x + step * pixels // 5, y)
        self.mouse("mouseup", 1)

    def row(self, number) -> None:
        table = self.dock._table
        self.dock.ensureWidgetVisible(table)
        self.wait()
        at = table.viewport().mapToGlobal(table.visualRect(table.model().index(number, 0)).center())
        self.mouse("mousemove", at.x(), at.y())
        self.mouse("click", 1)


@pytest.fixture
def hand(make_napari_viewer, tmp_path, monkeypatch):
    monkeypatch.undo()  # jobs spread over turns, as for a person
    viewer = make_napari_viewer(show=True)
    screen = QApplication.primaryScreen().size()
    if screen.width() < 1580 or screen.height() < 960:
        pytest.skip(f"the screen has only {screen.width()} x {screen.height()} pixels")
    viewer.window.resize(1580, 960)
    workspace = workspace_for(viewer)
    session = load(sample_session())
    workspace.use(Store(edits.drop(session, Link, OLD)))
    dock = CorrelateWidget(viewer)
    viewer.window.add_dock_widget(dock, name="Correlate", area="right")
    workspace.show_first()
    held = Hand(viewer, dock)
    held.wait(seconds=1.0)
    dock.choose(MOVING, FIXED)
    held.wait(lambda: dock.correlation.layers("main") and dock.correlation.layers("second"))
    held.wait(seconds=1.5)
    yield held
    dock.close()
    release(viewer)


def link_of(store):
    ends = (MOVING, FIXED)
    return next((one for one in store.session.links if (one.moving, one.fixed) == ends), None)


def test_landmarks_by_hand_from_the_first_click_to_the_saved_file(hand, tmp_path):
    store = workspace_for(hand.viewer).store
    true = next(one for one in load(sample_session()).links if one.id == OLD).landmarks[:4]
    begun = store.session
    hand.press("Pick")
    for number, one in enumerate(true, start=1):
        hand.click("main", one.fixed)
        hand.click("second", one.moving)
        hand.wait(lambda number=number: len(link_of(store).landmarks) == number)
    picked = link_of(store).landmarks
    for mark, one in zip(picked, true, strict=True):
        np.testing.assert_allclose(mark.fixed, one.fixed, atol=0.3)
        np.testing.assert_allclose(mark.moving, one.moving, atol=0.4)
    hand.drag("main", picked[0].fixed, 25)
    dragged = link_of(store).landmarks[0]
    zoom = hand.viewer.scene.camera.zoom
    assert abs(dragged.fixed[2] - picked[0].fixed[2] - 25 / zoom) < 3 / zoom
    hand.row(1)
    hand.step("Exclude", store)
    assert [one.use for one in link_of(store).landmarks] == [True, False, True, True]
    done, steps = store.session, 0
    while store.can_undo:
        hand.step("Undo", store)
        steps += 1
    assert steps == 10
    assert store.session == begun
    while store.can_redo:
        hand.step("Redo", store)
    assert store.session == done
    path = store.save(tmp_path / "by-hand.clxem.json")
    assert load(path) == store.session


def test_landmarks_by_beads_from_one_click_to_the_saved_file(hand, tmp_path):
    store = workspace_for(hand.viewer).store
    begun = store.session
    hand.press("Match")
    hand.wait(lambda: not hand.dock.automatic.busy and link_of(store) is not None, most=120.0)
    true = next(one for one in load(sample_session()).links if one.id == OLD).landmarks
    found = np.array([one.fixed for one in link_of(store).landmarks])
    assert len(found) >= 4
    for one in true:
        assert np.linalg.norm(found - one.fixed, axis=1).min() < 0.1
    done = store.session
    hand.step("Undo", store)
    assert store.session == begun
    hand.step("Redo", store)
    path = store.save(tmp_path / "by-beads.clxem.json")
    assert load(path) == store.session
    assert load(path).links == done.links
