"""The Session dock, as the user works it: by its tree, fields and buttons."""

from __future__ import annotations

import threading
from dataclasses import replace

import pytest
from napari.components import ViewerModel
from qtpy.QtCore import Qt
from qtpy.QtWidgets import (
    QCheckBox,
    QComboBox,
    QDoubleSpinBox,
    QFileDialog,
    QLabel,
    QLineEdit,
    QListWidget,
    QProgressBar,
    QPushButton,
    QTreeWidget,
    QWidget,
)

from napari_clxem.dose import Exposure
from napari_clxem.plugin.controllers import release, workspace_for
from napari_clxem.plugin.widgets.session import SessionWidget
from napari_clxem.session import Session, Store, edits, load, open_dataset, save
from napari_clxem.session.chain import Chained
from napari_clxem.session.model import Dataset, FileRef, Frame, Link, Site

pytestmark = pytest.mark.gl

FIELDS = (QPushButton, QTreeWidget, QComboBox, QListWidget, QLineEdit, QCheckBox)
VERBS = "napari_clxem.plugin.controllers.grid_verbs"


@pytest.fixture(autouse=True)
def state(tmp_path, monkeypatch):
    monkeypatch.setenv("CLXEM_STATE", str(tmp_path / "state"))


@pytest.fixture
def viewer():
    made = ViewerModel()
    yield made
    release(made)


@pytest.fixture
def dock(viewer, grid, qtbot):
    return shown(viewer, qtbot)


def shown(viewer, qtbot, width=340):
    widget = SessionWidget(viewer)
    qtbot.addWidget(widget)
    widget.resize(width, 900)
    with qtbot.waitExposed(widget):
        widget.show()
    return widget


@pytest.fixture
def workspace(dock, grid, qtbot, monkeypatch):
    # The images are made in memory: their files are nowhere.
    monkeypatch.setattr(f"{VERBS}.missing_files", lambda session, base=None: ())
    found = workspace_for(dock.viewer)
    found.use(grid.store())
    found.show_site("c1", "reference")
    dock.refresh()
    qtbot.waitUntil(lambda: "…" not in str(lines(dock)), timeout=5000)
    return found


@pytest.fixture
def on_disk(dock, saved_grid, qtbot):
    """The grid opened from its file by the dock."""
    dock.verbs.open(saved_grid)
    qtbot.waitUntil(lambda: workspace_for(dock.viewer).store.path == saved_grid, timeout=10000)
    return workspace_for(dock.viewer)


@pytest.fixture
def said(monkeypatch):
    """What the user is told by notifications."""
    heard = []
    for place in (VERBS, "napari_clxem.plugin.widgets.session"):
        monkeypatch.setattr(f"{place}.show_error", heard.append)
    monkeypatch.setattr(f"{VERBS}.show_info", heard.append)
    monkeypatch.setattr("napari_clxem.plugin.controllers.tasks.show_error", heard.append)
    return heard


def texts(widget):
    return "\n".join(one.text() for one in widget.findChildren(QLabel) if not one.isHidden())


def button(widget, text):
    return next(one for one in widget.findChildren(QPushButton) if one.text() == text)


def shown_button(widget, text):
    return next(
        one
        for one in widget.findChildren(QPushButton)
        if one.text() == text and one.isVisibleTo(widget)
    )


def click(qtbot, widget, text):
    qtbot.mouseClick(shown_button(widget, text), Qt.MouseButton.LeftButton)


def tree(dock):
    return dock.findChild(QTreeWidget)


def items(dock):
    found, queue = [], [tree(dock).topLevelItem(n) for n in range(tree(dock).topLevelItemCount())]
    while queue:
        item = queue.pop(0)
        found.append(item)
        queue = [item.child(n) for n in range(item.childCount())] + queue
    return found


def lines(dock):
    return [[item.text(column) for column in range(3)] for item in items(dock)]


def choose(dock, name):
    item = next(one for one in items(dock) if one.text(0) == name)
    tree(dock).setCurrentItem(item)
    return item


def field(dock, kind, at=0):
    return [one for one in dock.findChildren(kind) if one.isVisibleTo(dock)][at]


def pick(box, text):
    box.setCurrentIndex(box.findText(text))
    box.activated.emit(box.currentIndex())


def history(dock):
    found = dock.findChild(QListWidget)
    return [found.item(row).text().strip() for row in range(found.count())]


def files(monkeypatch, path):
    """Answer every file dialog with one path."""
    for name in ("getOpenFileName", "getSaveFileName"):
        monkeypatch.setattr(QFileDialog, name, staticmethod(lambda *_a, **_k: (str(path), "")))
    monkeypatch.setattr(
        QFileDialog, "getExistingDirectory", staticmethod(lambda *_a, **_k: str(path))
    )


def test_an_empty_dock_says_the_next_step(dock):
    assert "Open a session or a folder" in texts(dock)
    assert not tree(dock).isVisibleTo(dock)
    assert button(dock, "Open folder…").isEnabled()
    for text in ("Link automatically", "Pack for travel…", "Undo", "Back to the saved file"):
        assert not button(dock, text).isEnabled()


def test_the_tree_shows_sites_with_their_status_and_images_with_their_error(dock, workspace):
    found = lines(dock)
    assert [line[0] for line in found] == [
        "made", "map", "Cell 1", "stack", "tomogram", "Cell 2", "other",
    ]  # fmt: skip
    status = {line[0]: line[1] for line in found}
    assert status["Cell 1"] == "○ candidate"
    assert (status["stack"], status["map"]) == ("confocal", "sem")
    error = {line[0]: line[2] for line in found}
    assert error["stack"].startswith("±")
    assert error["stack"].endswith("nm")
    assert 28 <= float(error["stack"][1:-3]) < 300
    assert error["other"] == "reference"
    bold = [item.text(0) for item in items(dock) if item.font(0).bold()]
    assert bold == ["Cell 1"]
    tips = {item.text(0): item.toolTip(2) for item in items(dock)}
    assert "Predicted error" in tips["stack"]
    assert "stack – reference" in tips["stack"]


def test_a_link_taken_away_is_said_in_the_tree(dock, workspace, qtbot):
    workspace.store.commit(lambda s: edits.drop(s, Link, "to-stack"), "Drop")
    qtbot.waitUntil(lambda: ["stack", "confocal", "not linked"] in lines(dock), timeout=5000)


def test_the_status_of_a_site_is_edited_and_taken_back(dock, workspace, qtbot):
    choose(dock, "Cell 1")
    pick(field(dock, QComboBox), "◆ milled")
    assert edits.get(workspace.store.session, Site, "c1").status == "milled"
    qtbot.waitUntil(lambda: ["Cell 1", "◆ milled", ""] in lines(dock), timeout=5000)
    assert workspace.store.undo_label == "Cell 1 is milled"
    assert choose(dock, "Cell 1").isSelected()
    workspace.store.undo()
    qtbot.waitUntil(lambda: ["Cell 1", "○ candidate", ""] in lines(dock), timeout=5000)
    assert field(dock, QComboBox).currentText() == "○ candidate"


def test_name_and_film_tilt_of_a_site_are_edited(dock, workspace, qtbot):
    choose(dock, "Cell 2")
    name = field(dock, QLineEdit)
    name.setText("Cell two")
    name.editingFinished.emit()
    y, x = (field(dock, QDoubleSpinBox, at) for at in (0, 1))
    assert y.text() == "y –"
    y.setValue(4.5)
    y.editingFinished.emit()
    assert edits.get(workspace.store.session, Site, "c2").film_tilt is None
    x.setValue(-2.0)
    x.editingFinished.emit()
    site = edits.get(workspace.store.session, Site, "c2")
    assert (site.name, site.film_tilt) == ("Cell two", (4.5, -2.0))
    for box in (y, x):
        box.setValue(box.minimum())
    x.editingFinished.emit()
    assert edits.get(workspace.store.session, Site, "c2").film_tilt is None


def test_a_site_is_added_and_an_image_moved_there(dock, workspace, qtbot):
    click(qtbot, dock, "Add site")
    added = workspace.store.session.sites[-1]
    assert added.name == "site 1"
    assert field(dock, QLineEdit).text() == "site 1"
    choose(dock, "map")
    modality, site = (field(dock, QComboBox, at) for at in (0, 1))
    pick(modality, "tem")
    pick(site, "site 1")
    dataset = edits.get(workspace.store.session, Dataset, "map")
    assert (dataset.modality, dataset.site) == ("tem", added.id)


def test_double_click_shows_a_site(dock, workspace, qtbot):
    item = choose(dock, "Cell 2")
    tree(dock).itemActivated.emit(item, 0)
    assert (workspace.view.site, workspace.view.frame) == ("c2", "other")
    qtbot.waitUntil(lambda: ("other", 0) in workspace.layers.layers, timeout=5000)
    choose(dock, "stack")
    click(qtbot, dock, "Show")
    assert (workspace.view.site, workspace.view.frame) == ("c1", "tomogram")
    qtbot.waitUntil(lambda: not workspace.loading.busy, timeout=5000)


def test_an_image_is_turned_and_its_link_follows(dock, workspace, qtbot):
    choose(dock, "map")
    dataset = edits.get(workspace.store.session, Dataset, "map")
    link = edits.get(workspace.store.session, Link, "to-map")
    turn = button(dock, "Turn")
    assert not turn.isEnabled()
    boxes = [one for one in dock.findChildren(QCheckBox) if one.isVisibleTo(dock)]
    assert [one.text() for one in boxes] == ["y", "x"]
    boxes[0].setChecked(True)
    click(qtbot, dock, "Turn")
    turned = edits.get(workspace.store.session, Dataset, "map")
    assert turned.orientation.flip == ("y",)
    # The link to the map is turned along: the image stays where it was shown.
    assert edits.get(workspace.store.session, Link, "to-map") != link
    qtbot.waitUntil(lambda: not turn.isEnabled(), timeout=5000)
    assert "y reversed" in texts(dock)
    workspace.store.undo()
    qtbot.waitUntil(lambda: not boxes[0].isChecked(), timeout=5000)
    assert edits.get(workspace.store.session, Dataset, "map") == dataset


def test_a_turn_that_cannot_be_is_said_and_the_controls_go_back(dock, workspace, said, qtbot):
    shot = Exposure(id="e", modality="sem", frame="map", aim=(0.0, 0.0), beam_radius=1.0)
    workspace.store.commit(lambda s: edits.put(s, shot), "Expose")
    choose(dock, "map")
    box = next(one for one in dock.findChildren(QCheckBox) if one.isVisibleTo(dock))
    box.setChecked(True)
    click(qtbot, dock, "Turn")
    assert "Exposures are recorded" in said[0]
    assert not box.isChecked()


def test_the_history_lists_states_and_goes_to_one(dock, workspace, qtbot):
    for name in ("first", "second"):
        workspace.store.commit(lambda s, name=name: edits.rename(s, name), f"Name {name}")
    dock.refresh()
    assert history(dock) == ["▶ Name second", "Name first", "Beginning"]
    shown = dock.findChild(QListWidget)
    shown.itemActivated.emit(shown.item(2))
    assert workspace.store.session.name == "made"
    qtbot.waitUntil(lambda: history(dock)[0] == "↶ Name second", timeout=5000)
    assert history(dock) == ["↶ Name second", "↶ Name first", "▶ Beginning"]
    shown.itemActivated.emit(shown.item(1))
    assert workspace.store.session.name == "first"


def test_missing_files_are_marked_and_found_again(dock, saved_grid, qtbot, monkeypatch, said):
    elsewhere = saved_grid.parent / "moved" / "deep"
    elsewhere.mkdir(parents=True)
    (saved_grid.parent / "stack.ome.tif").rename(elsewhere / "other name.tif")
    dock.verbs.open(saved_grid)
    marked = ["stack", "⚠ missing"]
    qtbot.waitUntil(lambda: marked in [line[:2] for line in lines(dock)], timeout=10000)
    assert ["Cell 1", "○ candidate", "⚠ 1 missing"] in lines(dock)
    files(monkeypatch, saved_grid.parent)
    qtbot.waitUntil(shown_button(dock, "Relink files…").isEnabled, timeout=5000)
    click(qtbot, dock, "Relink files…")
    qtbot.waitUntil(lambda: marked not in [line[:2] for line in lines(dock)], timeout=10000)
    workspace = workspace_for(dock.viewer)
    assert edits.get(workspace.store.session, Dataset, "stack").file.path == (
        "moved/deep/other name.tif"
    )
    assert "1 files found, 0 still missing." in said
    assert workspace.store.undo_label == "Relink files"


def test_save_as_save_and_back_to_the_saved_file(dock, workspace, tmp_path, qtbot, monkeypatch):
    files(monkeypatch, tmp_path / "kept")
    click(qtbot, dock, "Save as…")
    place = tmp_path / "kept.clxem.json"
    qtbot.waitUntil(lambda: "kept.clxem.json · saved" in texts(dock), timeout=5000)
    assert load(place).name == "made"
    workspace.store.commit(lambda s: edits.rename(s, "new"), "Rename")
    qtbot.waitUntil(lambda: "unsaved steps" in texts(dock), timeout=5000)
    button(dock, "Back to the saved file").click()
    assert workspace.store.session.name == "made"
    workspace.store.undo()
    assert workspace.store.session.name == "new"
    qtbot.waitUntil(shown_button(dock, "Save").isEnabled, timeout=5000)
    click(qtbot, dock, "Save")
    qtbot.waitUntil(lambda: not workspace.saver.busy, timeout=5000)
    assert load(place).name == "new"


def linking(monkeypatch, link, failures=("a → b: no beads",)):
    """Replace the chain by one that waits at its second step."""
    going = threading.Event()
    ended = []

    def chain(session, opened, progress):
        progress(0.0, "a → b")
        assert going.wait(20)
        try:
            progress(0.5, "c → d")
        finally:
            ended.append(True)
        return Chained(edits.put(session, link), failures)

    monkeypatch.setattr(f"{VERBS}.chain", chain)
    return going, ended


@pytest.fixture
def new_link(grid):
    return replace(grid.session.links[0], id="beads-stack-reference")


def test_linking_shows_its_progress_and_becomes_one_step(
    dock, workspace, new_link, monkeypatch, said, qtbot
):
    going, _ = linking(monkeypatch, new_link)
    click(qtbot, dock, "Link automatically")
    qtbot.waitUntil(lambda: "Linking automatically: a → b" in texts(dock), timeout=5000)
    assert not button(dock, "Link automatically").isEnabled()
    # What the user does meanwhile is not undone by the links.
    workspace.store.commit(lambda s: edits.rename(s, "Meanwhile"), "Rename")
    going.set()
    qtbot.waitUntil(lambda: workspace.store.undo_label == "Link automatically", timeout=5000)
    assert workspace.store.session.name == "Meanwhile"
    assert edits.get(workspace.store.session, Link, new_link.id) == new_link
    assert said == ["1 links made, 1 could not be."]
    qtbot.waitUntil(lambda: "a → b: no beads" in texts(dock), timeout=5000)
    assert not any(one.isVisibleTo(dock) for one in dock.findChildren(QProgressBar))
    workspace.store.undo()
    assert new_link not in workspace.store.session.links


def test_linking_can_be_cancelled_and_then_changes_nothing(
    dock, workspace, new_link, monkeypatch, qtbot
):
    going, ended = linking(monkeypatch, new_link)
    before = workspace.store.session
    click(qtbot, dock, "Link automatically")
    qtbot.waitUntil(lambda: "a → b" in texts(dock), timeout=5000)
    click(qtbot, dock, "Cancel")
    qtbot.waitUntil(shown_button(dock, "Link automatically").isEnabled, timeout=5000)
    going.set()
    qtbot.waitUntil(lambda: ended == [True], timeout=5000)
    qtbot.wait(200)
    assert workspace.store.session is before


def test_opening_images_shows_its_progress_and_can_be_cancelled(
    dock, workspace, grid, monkeypatch, qtbot
):
    going = threading.Event()

    def held(source, dataset):
        assert going.wait(20)
        return grid.open(source, dataset)

    monkeypatch.setattr("napari_clxem.plugin.controllers.loading.open_dataset", held)
    choose(dock, "Cell 2")
    click(qtbot, dock, "Show")
    qtbot.waitUntil(lambda: "Opening other (1 of 1)" in texts(dock), timeout=5000)
    click(qtbot, dock, "Cancel")
    going.set()
    qtbot.wait(300)
    assert ("other", 0) not in workspace.layers.layers
    assert not any(one.isVisibleTo(dock) for one in dock.findChildren(QProgressBar))


def test_notices_of_the_store_are_shown_until_they_are_understood(dock, workspace, qtbot):
    workspace.store._notice("Steps are not being kept against a crash: the disk is full.")
    dock.refresh()
    assert "the disk is full" in texts(dock)
    click(qtbot, dock, "Understood")
    assert "the disk is full" not in texts(dock)


def test_a_session_that_was_never_saved_is_offered_at_the_start(viewer, grid, qtbot):
    lost = Store()
    lost.commit(replace(grid.session, name="Lost grid"), "Link automatically")
    lost.close()
    dock = shown(viewer, qtbot)
    qtbot.waitUntil(lambda: "Lost grid was never saved" in texts(dock), timeout=5000)
    assert "Link automatically" in texts(dock)
    click(qtbot, dock, "Recover")
    assert workspace_for(dock.viewer).store.session.name == "Lost grid"
    qtbot.waitUntil(lambda: "was never saved" not in texts(dock), timeout=5000)


def test_what_was_never_saved_can_be_discarded(viewer, grid, qtbot, tmp_path):
    lost = Store()
    lost.commit(replace(grid.session, name="Lost grid"), "Rename")
    lost.close()
    dock = shown(viewer, qtbot)
    qtbot.waitUntil(lambda: "Lost grid was never saved" in texts(dock), timeout=5000)
    click(qtbot, dock, "Discard…")
    assert "gone for good" in texts(dock)
    click(qtbot, dock, "Keep")
    qtbot.waitUntil(lambda: "Lost grid was never saved" in texts(dock), timeout=5000)
    assert list((tmp_path / "state").glob("*.journal"))
    click(qtbot, dock, "Discard…")
    click(qtbot, dock, "Discard for good")
    qtbot.waitUntil(
        lambda: not any(one in texts(dock) for one in ("never saved", "for good")), timeout=5000
    )
    assert not list((tmp_path / "state").glob("*.journal"))


def test_a_crash_beyond_the_file_is_recovered_and_can_be_taken_back(dock, saved_grid, qtbot):
    lost = Store(path=saved_grid)
    lost.commit(lambda s: edits.rename(s, "After the crash"), "Rename")
    lost.close()
    dock.verbs.open(saved_grid)
    qtbot.waitUntil(lambda: "After the crash" in texts(dock), timeout=10000)
    assert "the last step: Rename" in texts(dock)
    button(dock, "Back to the saved file").click()
    qtbot.waitUntil(lambda: "After the crash\n" not in texts(dock), timeout=5000)
    workspace_for(dock.viewer).store.undo()
    assert workspace_for(dock.viewer).store.session.name == "After the crash"


def test_opening_can_be_cancelled_and_done_again(dock, saved_grid, monkeypatch, qtbot):
    begun, going, real = threading.Event(), threading.Event(), Store.open
    opened = []

    def slow(path):
        begun.set()
        assert going.wait(20)
        opened.append(real(path))
        return opened[-1]

    monkeypatch.setattr(Store, "open", staticmethod(slow))
    dock.verbs.open(saved_grid)
    qtbot.waitUntil(begun.is_set, timeout=10000)
    assert "Opening made.clxem.json" in texts(dock)
    click(qtbot, dock, "Cancel")
    going.set()
    qtbot.waitUntil(lambda: len(opened) == 1 and opened[0]._closed, timeout=10000)
    assert workspace_for(dock.viewer).store.path is None
    dock.verbs.open(saved_grid)
    qtbot.waitUntil(lambda: workspace_for(dock.viewer).store.path == saved_grid, timeout=10000)
    assert workspace_for(dock.viewer).store.notices == ()


def test_packing_and_merging_what_comes_back(dock, on_disk, tmp_path, qtbot, monkeypatch, said):
    from napari_clxem.session.travel import unpack

    package = tmp_path / "trip.clxem.zip"
    files(monkeypatch, tmp_path / "trip")
    qtbot.waitUntil(button(dock, "Pack for travel…").isEnabled, timeout=5000)
    button(dock, "Pack for travel…").click()
    qtbot.waitUntil(package.exists, timeout=10000)
    qtbot.waitUntil(lambda: any("written" in one for one in said), timeout=5000)
    there = unpack(package, tmp_path / "away")
    away = Store(path=there, journal=False)
    away.commit(lambda s: edits.set_status(s, "c2", "x-rayed"), "Status")
    away.commit(lambda s: edits.set_status(s, "c1", "lost"), "Status")
    away.save()
    on_disk.store.commit(lambda s: edits.set_status(s, "c1", "milled"), "Milled")
    files(monkeypatch, there)
    qtbot.waitUntil(button(dock, "Merge a copy…").isEnabled, timeout=5000)
    button(dock, "Merge a copy…").click()
    qtbot.waitUntil(lambda: dock.dialog is not None, timeout=10000)
    dialog = dock.dialog
    assert "Site Cell 1: status" in texts(dialog)
    assert "1 site changed" in texts(dialog)
    click(qtbot, dialog, "the other copy")
    click(qtbot, dialog, "Merge")
    sites = {one.id: one.status for one in on_disk.store.session.sites}
    assert sites == {"c1": "lost", "c2": "x-rayed"}
    assert on_disk.store.undo_label == f"Merge {there.name}"
    on_disk.store.undo()
    assert on_disk.store.session.sites[0].status == "milled"


def test_an_image_taken_away_is_shown_small_after_the_merge(
    dock, on_disk, grid, tmp_path, qtbot, monkeypatch
):
    from napari_clxem.session.travel import pack

    monkeypatch.setattr("napari_clxem.plugin.controllers.loading.open_dataset", open_dataset)
    far = replace(
        grid.session.datasets[0], id="far", name="far", frame="far", file=FileRef(path="/far.tif")
    )
    link = replace(grid.session.links[0], id="to-far", moving="far")
    theirs = edits.put(on_disk.store.session, Frame(name="far"), far, link)
    images = {"far": "stack"}

    def opened(one):
        return grid.open(None, replace(one, id=images.get(one.id, one.id)))

    trip = pack(theirs, tmp_path / "back.clxem.zip", opened, budget=200_000).path
    on_disk.show_site("c1", "tomogram")
    dock.verbs.compare(trip)
    qtbot.waitUntil(lambda: dock.dialog is not None, timeout=10000)
    click(qtbot, dock.dialog, "Merge")
    qtbot.waitUntil(lambda: ("far", 0) in on_disk.layers.layers, timeout=10000)
    assert on_disk.layers.layers["far", 0].name == "far (small picture) · beads"
    qtbot.waitUntil(
        lambda: ["far", "▫ small picture"] in [line[:2] for line in lines(dock)], timeout=10000
    )


def test_a_travel_package_is_opened_like_a_session(dock, grid, saved_grid, tmp_path, qtbot):
    from napari_clxem.plugin.reader import get_reader, read_session
    from napari_clxem.session.travel import pack

    session = load(saved_grid)
    away = tmp_path / "away"
    away.mkdir()
    trip = pack(session, away / "trip.clxem.zip", lambda one: grid.open(None, one)).path
    for file in saved_grid.parent.glob("*.tif"):
        file.unlink()
    assert get_reader(str(trip)) is read_session
    dock.verbs.open(trip)
    workspace = workspace_for(dock.viewer)
    there = away / "trip" / "trip.clxem.json"
    qtbot.waitUntil(lambda: workspace.store.path == there, timeout=10000)
    shown = ["map", "▫ small picture"]
    qtbot.waitUntil(lambda: shown in [line[:2] for line in lines(dock)], timeout=10000)


def test_a_session_changed_since_the_comparison_is_compared_again(
    dock, on_disk, tmp_path, qtbot, monkeypatch, said
):
    copy = tmp_path / "copy.clxem.json"
    save(edits.set_status(on_disk.store.session, "c1", "lost"), copy)
    dock.verbs.compare(copy)
    qtbot.waitUntil(lambda: dock.dialog is not None, timeout=10000)
    on_disk.store.commit(lambda s: edits.rename(s, "new"), "Rename")
    click(qtbot, dock.dialog, "Merge")
    assert "compare it again" in said[-1]
    assert on_disk.store.session.name == "new"


def test_another_grid_is_refused_in_one_sentence(dock, on_disk, tmp_path, qtbot, said):
    other = tmp_path / "other.clxem.json"
    save(Session(name="Other"), other)
    dock.verbs.compare(other)
    qtbot.waitUntil(lambda: bool(said), timeout=10000)
    assert "two grids" in said[0]


@pytest.mark.parametrize("width", [320, 480])
def test_it_fits_its_width_and_scrolls_only_downwards(dock, workspace, qtbot, width):
    alone = shown(dock.viewer, qtbot, width)
    alone.resize(width, 500)
    for name in ("made", "Cell 1", "stack"):
        choose(alone, name)
        qtbot.wait(50)
        inside = alone.widget()
        assert inside.width() <= width
        assert not alone.horizontalScrollBar().isVisible()
        for part in inside.findChildren(QWidget):
            if isinstance(part, FIELDS) and part.isVisible():
                assert part.mapTo(inside, part.rect().topRight()).x() < width
        header = tree(alone).header()
        assert header.length() <= tree(alone).viewport().width()


def test_the_tab_key_walks_from_top_to_bottom(dock, workspace):
    choose(dock, "Cell 1")
    order, part = [], dock.widget()
    for _ in range(400):
        part = part.nextInFocusChain()
        if isinstance(part, FIELDS) and dock.widget().isAncestorOf(part):
            order.append(part)
    seen = [one for one in dict.fromkeys(order) if one.isVisibleTo(dock)]
    heights = [one.mapTo(dock.widget(), one.rect().topLeft()).y() for one in seen]
    assert len(seen) >= 12
    assert heights == sorted(heights)


def test_what_comes_after_the_dock_has_gone_finds_nobody(viewer, grid, monkeypatch, qtbot):
    going = threading.Event()

    def slow(session, base=None):
        going.wait(20)
        return ()

    monkeypatch.setattr(f"{VERBS}.missing_files", slow)
    widget = shown(viewer, qtbot)
    workspace = workspace_for(viewer)
    workspace.use(grid.store())
    widget.refresh()
    widget.close()
    widget.deleteLater()
    qtbot.wait(50)
    going.set()
    workspace.store.commit(lambda s: edits.rename(s, "x"), "Rename")
    qtbot.wait(300)


@pytest.mark.parametrize("name", ["moved.ome.zarr", "moved.ome.tif"])
def test_an_image_is_written_as_it_lies_in_the_frame_shown(
    dock, on_disk, tmp_path, qtbot, monkeypatch, said, name
):
    from napari_clxem.io import open_image

    dataset = next(one for one in on_disk.store.session.datasets if len(one.shape) == 3)
    frame = on_disk.view.frame
    assert not button(dock, "Write image…").isEnabled()
    dock._tree.choose("dataset", dataset.id)
    qtbot.waitUntil(button(dock, "Write image…").isEnabled, timeout=5000)
    files(monkeypatch, tmp_path / name)
    button(dock, "Write image…").click()
    qtbot.waitUntil((tmp_path / name).exists, timeout=20000)
    qtbot.waitUntil(lambda: any("written" in one for one in said), timeout=5000)
    assert open_image(tmp_path / name).meta["placed"]["frame"] == frame
