"""A person at the mouse: the sample grid, landmarks by hand and by beads, to the saved file."""

from __future__ import annotations

import numpy as np
import pytest
from hands import BY_HAND, Hand, large_window

from napari_clxem.plugin.controllers import release, workspace_for
from napari_clxem.plugin.sample import sample_session
from napari_clxem.plugin.widgets.correlate import CorrelateWidget
from napari_clxem.session import Store, edits, load
from napari_clxem.session.model import Link

pytestmark = BY_HAND

MOVING, FIXED = "confocal-A", "tomogram-A"
OLD = f"beads-{MOVING}-{FIXED}"


class CorrelateHand(Hand):
    def where(self, canvas, place) -> tuple[int, int]:
        """Where a place of a canvas' frame is on the screen."""
        correlation = self.dock.correlation
        held = self.viewer.window._qt_viewer if canvas == "main" else self.dock.canvas._viewer
        world = (np.asarray(place) - correlation.panel(canvas).zero)[-2:]
        return self.spot(correlation.model(canvas), held, world)

    def click(self, canvas, place) -> None:
        self.mouse("mousemove", *self.where(canvas, place))
        self.mouse("click", 1)

    def step(self, text, store) -> None:
        """Press a button and wait until it has changed the session."""
        before = store.session
        self.press(text)
        self.wait(lambda: store.session is not before)

    def drag(self, canvas, place, pixels) -> None:
        x, y = self.where(canvas, place)
        self.drag_from((x, y), (x + pixels, y))

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
    viewer = large_window(make_napari_viewer)
    workspace = workspace_for(viewer)
    session = load(sample_session())
    workspace.use(Store(edits.drop(session, Link, OLD)))
    dock = CorrelateWidget(viewer)
    viewer.window.add_dock_widget(dock, name="Correlate", area="right")
    workspace.show_first()
    held = CorrelateHand(viewer, dock)
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
