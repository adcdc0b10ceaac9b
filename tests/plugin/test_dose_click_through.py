"""A person at the mouse: an exposure by the form, placed, replayed, looked at, and exported."""

from __future__ import annotations

import csv
from dataclasses import replace

import numpy as np
import pytest
from hands import BY_HAND, Hand, large_window
from qtpy.QtCore import QPoint
from qtpy.QtWidgets import QFileDialog, QLabel, QPushButton

from napari_clxem.dose import conversion_factor
from napari_clxem.plugin.controllers import release, workspace_for
from napari_clxem.plugin.sample import sample_session
from napari_clxem.plugin.widgets.dose import DoseWidget
from napari_clxem.session import Store, load

pytestmark = BY_HAND

FRAME = "sxt-mosaic"
FLUENCE = 30.0  # e⁻/Å²


class DoseHand(Hand):
    def settle(self) -> None:
        self.wait(lambda: not self.dock.review.busy, 0.4)

    def point_at(self, widget, place=None) -> None:
        for _ in range(2):  # what was said last may still move what is below it
            self.wait(seconds=0.25)
            self.dock.ensureWidgetVisible(widget)
        super().point_at(widget, place)

    def click(self, widget, place=None) -> None:
        self.point_at(widget, place)
        self.mouse("click", 1)

    def press(self, text) -> None:
        self.click(
            next(
                one
                for one in self.dock.findChildren(QPushButton)
                if one.text() == text and one.isVisible() and one.isEnabled()
            )
        )

    def write(self, edit, text) -> None:
        self.click(edit)
        self.mouse("key", "ctrl+a", "type", "--delay", 5, text)

    def tab(self, number) -> None:
        bar = self.dock.tabs.tabBar()
        self.click(bar, bar.tabRect(number).center())

    def point(self, place) -> None:
        """Move the mouse to a place (y, x) of the frame shown."""
        zero = np.array(workspace_for(self.viewer).view.origin[1:])
        x, y = self.spot(self.viewer, self.viewer.window._qt_viewer, np.asarray(place) - zero)
        self.mouse("mousemove", x + 3, y + 3, "mousemove", x, y)

    def said(self) -> str:
        every = self.dock.findChildren(QLabel)
        return "\n".join(one.text() for one in every if one.isVisible())


@pytest.fixture
def hand(make_napari_viewer, monkeypatch):
    monkeypatch.undo()  # jobs spread over turns, as for a person
    viewer = large_window(make_napari_viewer)
    workspace = workspace_for(viewer)
    workspace.use(Store(replace(load(sample_session()), exposures=()), journal=False))
    dock = DoseWidget(viewer)
    viewer.window.add_dock_widget(dock, name="Dose review", area="right")
    workspace.show_site("A", FRAME)
    held = DoseHand(viewer, dock)
    held.wait(seconds=1.5)
    viewer.fit_to_view()
    held.settle()
    yield held
    dock.close()
    release(viewer)


def test_an_exposure_from_the_form_to_the_table(hand, tmp_path, monkeypatch):
    store, review = workspace_for(hand.viewer).store, hand.dock.review
    hand.tab(1)
    for number in (1, 2):
        hand.press("Add…")
        form = hand.dock.exposures.form
        hand.choose(form._modality, "tem")
        assert form.entry.modality == "tem"
        hand.write(form._name, f"look {number}")
        hand.write(form._first.lineEdit(), "6")
        hand.press("Here")
        hand.write(form._numbers["voltage"], "300")
        form._more.setCurrentIndex(form._more.findData("fluence_per_image"))
        form._on_more(0)
        hand.write(form._numbers["fluence_per_image"], f"{FLUENCE:g}")
        hand.wait(form._accept.isEnabled)
        hand.press("Keep")
        hand.wait(lambda number=number: len(store.session.exposures) == number)
        hand.settle()
    made = store.session.exposures
    assert [one.group for one in made] == ["look 1", "look 2"]
    assert all(one.fluence == FLUENCE and one.beam_radius == 6.0 for one in made)
    middle = review.middle
    assert made[0].aim == pytest.approx(middle, abs=2e-3)

    hand.tab(0)
    slider = hand.dock.map._slider
    hand.dock.ensureWidgetVisible(slider)
    hand.wait()
    assert (slider.maximum(), review.upto) == (2, 2)
    hand.click(slider, QPoint(3, slider.height() // 2))
    hand.mouse("key", "Home")
    assert review.upto == 0
    hand.mouse("key", "Right")
    hand.settle()
    assert review.upto == 1
    each = FLUENCE * conversion_factor(300, "cell")
    hand.point(np.add(made[0].aim, (0.0, 1.0)))
    hand.wait(lambda: review.pointer.below is not None and review.pointer.below.rows)
    assert review.pointer.below.dose == pytest.approx(each)
    hand.click(slider, QPoint(slider.width() - 4, slider.height() // 2))
    hand.mouse("key", "End")
    hand.settle()
    hand.point(np.add(made[0].aim, (1.0, 0.0)))
    hand.wait(lambda: f"{2 * each:.0f} MGy" in hand.said())
    assert "look 1" in "".join(
        hand.dock.map._here.item(line, 0).text() for line in range(hand.dock.map._here.rowCount())
    )
    hand.point(np.add(made[0].aim, (7.0, 0.0)))
    hand.wait(lambda: not review.pointer.below.rows)

    path = tmp_path / "exposures.csv"
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (str(path), ""))
    hand.tab(1)
    hand.press("Exposures…")
    hand.wait(path.exists)
    rows = list(csv.DictReader(path.read_text(encoding="utf-8").splitlines()))
    assert [row["name"] for row in rows] == ["look 1", "look 2"]
    assert [float(row["dose_MGy"]) for row in rows] == pytest.approx([each, each], rel=1e-6)
