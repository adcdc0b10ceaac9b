"""A folder is looked through, its proposal is corrected and becomes a session."""

from __future__ import annotations

import shutil

import pytest
from napari.components import ViewerModel
from qtpy.QtCore import Qt
from qtpy.QtWidgets import (
    QCheckBox,
    QComboBox,
    QFileDialog,
    QLabel,
    QLineEdit,
    QPlainTextEdit,
    QPushButton,
    QTabWidget,
    QTreeWidget,
)

from napari_clxem import cli
from napari_clxem.plugin import folder as opening
from napari_clxem.plugin.controllers import release, workspace_for
from napari_clxem.plugin.widgets.session import SessionWidget
from napari_clxem.samples import sample_folder

pytestmark = pytest.mark.gl

LIGHT = ("confocal-A", "fluorescence-map", "map")


@pytest.fixture(autouse=True)
def state(tmp_path, monkeypatch):
    monkeypatch.setenv("CLXEM_STATE", str(tmp_path / "state"))


@pytest.fixture
def images(tmp_path):
    """A few images of the sample grid, one of them damaged."""
    found = tmp_path / "grid 4"
    found.mkdir()
    for name in ("confocal/map.ome.tif", "confocal/stack-A.ome.tif", "vlm/map.tif"):
        place = found / name
        place.parent.mkdir(exist_ok=True)
        shutil.copy(sample_folder() / name, place)
    (found / "broken.mrc").write_bytes(b"\0" * 100)
    return found


@pytest.fixture
def dock(qtbot):
    viewer = ViewerModel()
    widget = SessionWidget(viewer)
    widget.viewer_kept = viewer
    qtbot.addWidget(widget)
    yield widget
    release(viewer)


@pytest.fixture
def dialog(dock, images, qtbot, monkeypatch):
    monkeypatch.setattr(
        QFileDialog, "getExistingDirectory", staticmethod(lambda *_a, **_k: str(images))
    )
    click(dock, "Open folder…")
    qtbot.waitUntil(lambda: dock.dialog is not None, timeout=20000)
    return dock.dialog


def click(widget, text):
    next(one for one in widget.findChildren(QPushButton) if one.text() == text).click()


def rows(dialog):
    tree = dialog.findChild(QTreeWidget)
    found = {}
    for number in range(tree.topLevelItemCount()):
        group = tree.topLevelItem(number)
        for row in range(group.childCount()):
            item = group.child(row)
            found[item.text(0)] = (group.text(0), item)
    return found


def test_the_proposal_shows_what_was_found_and_what_could_not_be_read(dialog, images):
    found = {name: (group, item.text(1)) for name, (group, item) in rows(dialog).items()}
    assert found == {
        "confocal-A": ("confocal (1)", "A"),
        "fluorescence-map": ("fluorescence (1)", "–"),
        "map": ("vlm (1)", "–"),
    }
    assert "its header says" in rows(dialog)["map"][1].text(3)
    tabs = dialog.findChild(QTabWidget)
    titles = [tabs.tabText(number) for number in range(tabs.count())]
    assert titles == ["Images (3)", "Links to try (1)", "Not read (1)", "No images (0)"]
    texts = [one.toPlainText() for one in dialog.findChildren(QPlainTextEdit)]
    assert "map → fluorescence-map, by beads" in texts
    assert any(text.startswith("broken.mrc: ") for text in texts)
    assert "1 could not be read" in dialog.findChildren(QLabel)[0].text()


def test_a_correction_goes_into_the_session_that_is_built(dock, dialog, qtbot):
    chosen = rows(dialog)["map"][1]
    chosen.setSelected(True)
    box = dialog.findChild(QComboBox)
    box.setCurrentIndex(box.findText("sem"))
    dialog.findChild(QLineEdit).setText("B")
    click(dialog, "Set for chosen rows")
    assert rows(dialog)["map"][0] == "sem (1)"
    rows(dialog)["confocal-A"][1].setCheckState(0, Qt.CheckState.Unchecked)
    click(dialog, "Build session")
    store = workspace_for(dock.viewer).store
    assert {one.name: (one.modality, one.site) for one in store.session.datasets} == {
        "map": ("sem", "B"),
        "fluorescence-map": ("fluorescence", None),
    }
    assert [one.name for one in store.session.sites] == ["B"]
    assert store.session.name == "grid 4"
    assert store.path is None
    assert dock.dialog is None
    qtbot.waitUntil(
        lambda: any("not saved yet" in one.text() for one in dock.findChildren(QLabel)),
        timeout=5000,
    )


def test_the_grid_as_a_whole_is_a_site_of_no_name(dock, dialog):
    rows(dialog)["confocal-A"][1].setSelected(True)
    dialog.findChild(QLineEdit).setText("-")
    click(dialog, "Set for chosen rows")
    assert rows(dialog)["confocal-A"][1].text(1) == "–"


def test_linking_follows_where_it_is_asked_for(dock, dialog, monkeypatch):
    asked = []
    monkeypatch.setattr(dock.verbs, "link_automatically", lambda: asked.append(True))
    stages, link = dialog.findChildren(QCheckBox)
    assert stages.isChecked()
    stages.setChecked(False)
    link.setChecked(True)
    click(dialog, "Build session")
    assert asked == [True]
    assert workspace_for(dock.viewer).store.session.links == ()


def test_cancelling_leaves_everything_as_it_was(dock, dialog):
    before = workspace_for(dock.viewer).store
    dialog.reject()
    assert workspace_for(dock.viewer).store is before
    assert dock.dialog is None


def test_a_session_in_the_folder_can_be_opened_instead(dock, images, qtbot):
    shutil.copy(sample_folder() / "grid.clxem.json", images / "grid.clxem.json")
    dock.verbs.look_through(images)
    qtbot.waitUntil(lambda: dock.dialog is not None, timeout=20000)
    click(dock.dialog, "Open grid.clxem.json instead")
    place = images / "grid.clxem.json"
    qtbot.waitUntil(lambda: workspace_for(dock.viewer).store.path == place, timeout=20000)


def test_the_menu_offers_it(make_napari_viewer, images, qtbot, monkeypatch):
    from napari._app_model import get_app_model

    viewer = make_napari_viewer()
    monkeypatch.setattr(
        QFileDialog, "getExistingDirectory", staticmethod(lambda *_a, **_k: str(images))
    )
    titles = {
        command.command.id: command.command.title
        for command in get_app_model().menus.get_menu("napari/file/io_utilities")
        if hasattr(command, "command")
    }
    assert titles["napari-clxem.open_folder"].startswith("Open CLXEM folder…")
    opening.choose_folder()
    dock = next(iter(viewer.window._qt_window.findChildren(SessionWidget)))
    qtbot.waitUntil(lambda: dock.dialog is not None, timeout=20000)
    assert set(rows(dock.dialog)) == set(LIGHT)
    dock.dialog.reject()


def test_the_terminal_offers_it(images, monkeypatch):
    opened = []
    monkeypatch.setattr(opening, "open_folder_window", opened.append)
    monkeypatch.setattr("napari_clxem.plugin.window.wait", lambda: opened.append("waited"))
    assert cli.main(["open", str(images)]) == 0
    assert opened == [images, "waited"]
