"""A person at the mouse: the lamella of the sample, from its TEM map to the exported campaign."""

from __future__ import annotations

import csv
from dataclasses import replace

import numpy as np
import pytest
from hands import BY_HAND, Hand, large_window
from qtpy.QtCore import QPoint
from qtpy.QtWidgets import (
    QCheckBox,
    QFileDialog,
    QStyle,
    QStyleOptionSlider,
)

from napari_clxem.plugin.controllers import release, workspace_for
from napari_clxem.plugin.controllers.lamella_outline import DRAWN, POSITIONS
from napari_clxem.plugin.sample import sample_session
from napari_clxem.plugin.widgets.lamella import LamellaWidget
from napari_clxem.session import Store, load
from napari_clxem.session.geometry import place

pytestmark = BY_HAND


class LamellaHand(Hand):
    def tick(self, text) -> None:
        self.press(text, QCheckBox, QPoint(10, 10))

    def where(self, place) -> tuple[int, int]:
        """Where a place of the map (y, x) µm is on the screen."""
        shown = self.dock.lamella._to_display()
        world = shown[:2, :2] @ place + shown[:2, 2]
        return self.spot(self.viewer, self.viewer.window._qt_viewer, world)

    def click(self, place) -> None:
        self.mouse("mousemove", *self.where(np.array(place)))
        self.mouse("click", 1)

    def pull(self, start, end) -> None:
        self.drag_from(self.where(np.array(start)), self.where(np.array(end)))

    def slide(self, slider, share) -> None:
        """Drag the handle of a slider to a share of its way."""
        option = QStyleOptionSlider()
        slider.initStyleOption(option)
        style = slider.style()
        handle = style.subControlRect(
            QStyle.ComplexControl.CC_Slider, option, QStyle.SubControl.SC_SliderHandle, slider
        )
        self.point_at(slider, handle.center())
        start = slider.mapToGlobal(handle.center())
        end = slider.mapToGlobal(QPoint(round(share * slider.width()), handle.center().y()))
        self.mouse("mousedown", 1)
        for step in range(1, 6):
            self.mouse("mousemove", start.x() + (end.x() - start.x()) * step // 5, start.y())
        self.mouse("mouseup", 1)


@pytest.fixture
def hand(make_napari_viewer, monkeypatch):
    monkeypatch.undo()  # jobs spread over turns, as for a person
    viewer = large_window(make_napari_viewer)
    workspace = workspace_for(viewer)
    workspace.use(Store(load(sample_session())))
    dock = LamellaWidget(viewer)
    viewer.window.add_dock_widget(dock, name="Lamella overlap", area="right")
    workspace.show_first()
    held = LamellaHand(viewer, dock)
    held.wait(seconds=1.5)
    yield held
    dock.close()
    release(viewer)


def test_from_the_tem_map_to_the_exported_campaign(hand, tmp_path, monkeypatch):
    dock, viewer = hand.dock, hand.viewer
    lamella, store = dock.lamella, workspace_for(hand.viewer).store
    begun = store.session
    hand.choose(dock._map, "tem-A")
    hand.press("Show map")
    hand.wait(lambda: (lamella.map.id, 0) in lamella.workspace.layers.layers, seconds=2.0)
    hand.press("Trace")
    hand.wait(lambda: lamella.record is not None and not lamella.busy)
    hand.wait()
    traced = lamella.record
    share = traced.overlap.area_fraction
    assert dock._large.text() == f"{share:.0%} overlap"
    assert 0.85 < share < 0.96
    assert traced.lamella.area == pytest.approx(40.0, abs=4.0)
    # a corner of the outline is moved by hand, and taken over
    hand.press("Draw")
    hand.wait(lambda: DRAWN in viewer.layers)
    corners = lamella.corners
    index = int(np.argmax(corners[:, 0]))
    hand.pull(corners[index], corners[index] + [0.8, 0.0])
    hand.press("Take over")
    hand.wait(lambda: lamella.record != traced)
    moved = lamella.corners
    assert moved[:, 0].max() == pytest.approx(corners[index, 0] + 0.8, abs=0.15)
    assert lamella.record.lamella.area > traced.lamella.area
    hand.press("Undo")
    hand.wait(lambda: lamella.record == traced)
    # the slab under the eye
    hand.press("Cut slab")
    hand.wait(lambda: bool(lamella.slabs.layers) and not lamella.busy, seconds=1.0)
    slab = next(one for one in lamella.slabs.layers if "tomogram-A" in one.name)
    whole = slab.data.copy()
    hand.wait(seconds=1.0)  # the page makes room for the slider
    hand.slide(dock._swipe, 0.5)
    assert 0.3 < slab.data.shape[1] / whole.shape[1] < 0.7
    hand.slide(dock._swipe, 1.0)
    hand.tick("Squares")
    assert np.isfinite(slab.data).sum() < 0.7 * np.isfinite(whole).sum()
    hand.tick("Squares")
    np.testing.assert_array_equal(slab.data, whole)
    hand.tick("Blink")
    hand.wait(lambda: not slab.visible, most=5.0)
    hand.tick("Blink")
    hand.wait(lambda: slab.visible, most=5.0)
    # a tilt series on the first target names it
    tie = next(one for one in begun.targets if one.name == "A1")
    spot = place(begun, tie, "tem-A").position
    hand.press("Place series")
    hand.wait(lambda: POSITIONS in viewer.layers)
    hand.click(spot)
    hand.wait(lambda: bool(lamella.series))
    assert "A1" in dock._series.item(0, 1).text()
    # out it goes: the file dialog is the system's, its answer is given
    table = tmp_path / "campaign.csv"
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_, **__: (str(table), ""))
    hand.press("Write table…")
    hand.wait(table.exists)
    with table.open(encoding="utf-8") as file:
        (row,) = csv.DictReader(file)
    assert float(row["area_fraction"]) == pytest.approx(share, abs=1e-4)
    path = store.save(tmp_path / "milled.clxem.json")
    assert load(path) == store.session
    # and all of it can be taken back
    while store.can_undo:
        before = store.session
        hand.press("Undo")
        hand.wait(lambda before=before: store.session is not before)
    assert replace(store.session, datasets=()) == replace(begun, datasets=())  # saving moved paths
