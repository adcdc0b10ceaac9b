from __future__ import annotations

import pytest
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QComboBox, QDoubleSpinBox, QLabel, QPushButton, QTableWidget

from conftest import moved_link
from napari_clxem.plugin.controllers import workspace_for
from napari_clxem.plugin.controllers.positions import View
from napari_clxem.plugin.controllers.rows import find_target, headline
from napari_clxem.plugin.widgets.links import LinksWidget
from napari_clxem.session import Session, edits
from napari_clxem.session.model import Link

pytestmark = pytest.mark.gl


@pytest.fixture
def dock(make_napari_viewer, grid, qtbot):
    viewer = make_napari_viewer()
    widget = LinksWidget(viewer)
    viewer.window.add_dock_widget(widget, name="Links & targets", area="right")
    return widget


@pytest.fixture
def workspace(dock, grid):
    found = workspace_for(dock.viewer)
    found.use(grid.store())
    found.show_site("c1", "tomogram")
    dock.refresh()
    return found


def texts(dock):
    return "\n".join(label.text() for label in dock.findChildren(QLabel) if not label.isHidden())


def button(dock, text):
    return next(one for one in dock.findChildren(QPushButton) if one.text() == text)


def tables(dock):
    return dock.findChildren(QTableWidget)


def cells(table):
    items = [
        [table.item(line, column) for column in range(table.columnCount())]
        for line in range(table.rowCount())
    ]
    return [[item.text() for item in line if item is not None] for line in items]


def test_an_empty_dock_says_the_next_step(dock):
    assert "Open a session" in texts(dock)
    assert all(table.isHidden() for table in tables(dock))
    assert button(dock, "Open session…").isEnabled()
    assert not button(dock, "Undo").isEnabled()


def test_the_predicted_error_at_the_target_is_large_and_in_nanometres(dock, workspace):
    said = texts(dock)
    assert "A1: ±" in said
    assert "nm" in said
    assert "95 %" in said
    large = max(dock.findChildren(QLabel), key=lambda label: label.fontInfo().pixelSize())
    assert large.text().startswith("A1: ±")


def test_links_are_listed_with_their_fit_apart_from_their_error(dock, workspace):
    targets, links = tables(dock)
    headings = [links.horizontalHeaderItem(n).text() for n in range(links.columnCount())]
    assert headings == ["Link by beads", "Fit", "Left out", "Error"]
    assert "accuracy" not in " ".join(headings).lower()
    names = [line[0] for line in cells(links)]
    assert names[::2] == ["stack → reference", "tomogram → reference", "map → reference"]
    assert names[1::2] == ["declared"] * 3
    assert cells(targets)[0][0] == "A1"


def test_choosing_a_site_and_a_frame_shows_them(dock, workspace, qtbot):
    site, frame = dock.findChildren(QComboBox)
    assert [site.itemText(n) for n in range(site.count())] == ["Whole grid", "Cell 1", "Cell 2"]
    site.setCurrentIndex(2)
    site.activated.emit(2)
    assert workspace.view.site == "c2"
    qtbot.waitUntil(lambda: "no target yet" in texts(dock))
    frame.setCurrentIndex(frame.findData("other"))
    frame.activated.emit(frame.currentIndex())
    assert workspace.view.frame == "other"
    qtbot.waitUntil(lambda: ("other", 0) in workspace.layers.layers, timeout=5000)


def test_edits_are_shown_and_taken_back_by_the_buttons(dock, workspace, qtbot):
    before = texts(dock)
    workspace.store.commit(lambda s: edits.drop(s, Link, "to-stack", "to-tomogram"), "Drop links")
    qtbot.waitUntil(lambda: "not linked" in texts(dock))
    assert "Drop links" in button(dock, "Undo").toolTip()
    assert "Ctrl+Z" in button(dock, "Undo").toolTip()
    qtbot.mouseClick(button(dock, "Undo"), Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: texts(dock) == before)
    qtbot.mouseClick(button(dock, "Redo"), Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: "not linked" in texts(dock))


def test_choosing_a_target_goes_there(dock, workspace):
    viewer = dock.viewer
    viewer.dims.set_point(0, 0.0)
    tables(dock)[0].selectRow(0)
    tables(dock)[0].chosen.emit("A1")
    target = viewer.layers["Targets"].data[0]
    assert viewer.dims.point[0] == pytest.approx(target[0], abs=0.1)
    assert viewer.scene.camera.center[1:] == pytest.approx(target[1:])


@pytest.mark.parametrize("width", [320, 560])
def test_it_fits_its_width_and_scrolls_only_downwards(dock, workspace, qtbot, width):
    alone = LinksWidget(dock.viewer)
    qtbot.addWidget(alone)
    alone.resize(width, 700)
    with qtbot.waitExposed(alone):
        alone.show()
    dock = alone
    assert dock.widget().width() <= width
    assert not dock.horizontalScrollBar().isVisible()
    for part in (*tables(dock), *dock.findChildren(QPushButton)):
        if part.isVisible():
            assert part.mapTo(dock.widget(), part.rect().topRight()).x() < width
    for table in tables(dock):
        header = table.horizontalHeader()
        assert header.length() <= table.viewport().width()


def test_the_tab_key_walks_from_top_to_bottom(dock, workspace):
    order, part = [], dock.widget()
    for _ in range(200):
        part = part.nextInFocusChain()
        if part in (*tables(dock), *dock.findChildren(QPushButton), *dock.findChildren(QComboBox)):
            order.append(part)
    seen = list(dict.fromkeys(one for one in order if not one.isHidden()))
    heights = [one.mapTo(dock.widget(), one.rect().topLeft()).y() for one in seen]
    assert len(seen) >= 8
    assert heights == sorted(heights)


def test_a_missing_pixel_size_is_asked_for(dock, workspace, qtbot, tmp_path, monkeypatch):
    given = []
    monkeypatch.setattr(workspace, "give_scale", lambda source, scale: given.append(scale))
    workspace.offer(("/somewhere/x.tif", 0), "x", 3)
    qtbot.waitUntil(lambda: "x states no pixel size" in texts(dock))
    plane, deep = dock.findChildren(QDoubleSpinBox)
    plane.setValue(0.2)
    deep.setValue(0.5)
    qtbot.mouseClick(button(dock, "Use"), Qt.MouseButton.LeftButton)
    assert given == [(0.5, 0.2, 0.2)]


def test_nothing_is_taken_for_a_pixel_size_that_was_not_given(dock, workspace, qtbot, monkeypatch):
    given = []
    monkeypatch.setattr(workspace, "give_scale", lambda source, scale: given.append(scale))
    workspace.offer(("/somewhere/x.tif", 0), "x", 2)
    qtbot.waitUntil(lambda: "x states no pixel size" in texts(dock))
    qtbot.mouseClick(button(dock, "Use"), Qt.MouseButton.LeftButton)
    assert given == []


def test_saving_writes_the_session_and_greys_the_button(dock, workspace, qtbot, tmp_path):
    place = tmp_path / "kept.clxem.json"
    workspace.store.save(place)
    workspace.store.commit(lambda s: moved_link(s, "stack", (0.0, 1.0, 0.0)), "Move")
    qtbot.waitUntil(button(dock, "Save").isEnabled)
    before = place.read_bytes()
    qtbot.mouseClick(button(dock, "Save"), Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: place.read_bytes() != before, timeout=5000)
    qtbot.waitUntil(lambda: not button(dock, "Save").isEnabled())


@pytest.mark.parametrize(
    ("view", "said"),
    [
        (View(), "No session yet"),
        (View(site="c1", frame=""), "No session yet"),
    ],
)
def test_the_headline_of_nothing_is_a_next_step(view, said):
    assert headline(Session(), view, None).large == said


def test_the_chosen_target_is_found_only_where_it_is_visible(grid):
    assert find_target(grid.session, View(site="c1", frame="map"), "A1").id == "A1"
    assert find_target(grid.session, View(site="c2", frame="map"), "A1") is None
