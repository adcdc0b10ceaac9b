"""Printing a report from the Session dock: in a thread, with its progress, to be given up."""

from __future__ import annotations

import shutil
import threading
import time

import pytest
from napari.components import ViewerModel
from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QFileDialog, QLabel, QPushButton

from napari_clxem.dose import budget
from napari_clxem.plugin import keys
from napari_clxem.plugin.controllers import release, workspace_for
from napari_clxem.plugin.controllers.dose_settings import Settings
from napari_clxem.plugin.widgets.session import SessionWidget
from napari_clxem.report.writing import RESOLUTION
from napari_clxem.samples import sample_folder
from napari_clxem.session import Store

pytestmark = pytest.mark.gl

VERBS = "napari_clxem.plugin.controllers.grid_verbs"


def test_a_report_holds_doses_against_what_the_dose_dock_does_at_first():
    assert Settings().budget == budget(RESOLUTION)


@pytest.fixture
def dock(grid, qtbot, tmp_path, monkeypatch):
    monkeypatch.setenv("CLXEM_STATE", str(tmp_path / "state"))
    viewer = ViewerModel()
    widget = SessionWidget(viewer)
    qtbot.addWidget(widget)
    widget.resize(340, 900)
    with qtbot.waitExposed(widget):
        widget.show()
    yield widget
    release(viewer)


@pytest.fixture
def opened(dock, saved_grid, qtbot):
    """The dock with a grid from its file."""
    dock.verbs.open(saved_grid)
    qtbot.waitUntil(lambda: workspace_for(dock.viewer).store.path == saved_grid, timeout=10000)
    qtbot.waitUntil(button(dock).isEnabled, timeout=5000)
    return dock


@pytest.fixture
def said(monkeypatch):
    heard = []
    monkeypatch.setattr(f"{VERBS}.show_info", heard.append)
    monkeypatch.setattr("napari_clxem.plugin.controllers.tasks.show_error", heard.append)
    return heard


def button(dock, text=keys.PRINT_REPORT.text):
    return next(one for one in dock.findChildren(QPushButton) if one.text() == text)


def answer(monkeypatch, path, asked=None):
    """Answer the file dialog with a path; note what it offered."""

    def dialog(_parent, _title, place, kinds):
        if asked is not None:
            asked.append((place, kinds))
        return str(path) if path else "", ""

    monkeypatch.setattr(QFileDialog, "getSaveFileName", staticmethod(dialog))


def test_the_report_of_the_open_session_is_written(
    opened, saved_grid, tmp_path, qtbot, monkeypatch, said
):
    asked = []
    answer(monkeypatch, tmp_path / "page", asked)
    button(opened).click()
    qtbot.waitUntil(lambda: bool(said), timeout=30000)
    page = tmp_path / "page.html"
    assert said == [f"{page} written: open it in a browser to print it."]
    assert asked == [(str(saved_grid.with_name("made-report.html")), "Web page (*.html)")]
    text = page.read_text(encoding="utf-8")
    assert "as in made.clxem.json" in text
    for target in workspace_for(opened.viewer).store.session.targets:
        assert f"Target {target.name} " in text
    assert not opened.verbs.task.busy


def test_nothing_is_done_where_no_file_is_named(opened, qtbot, monkeypatch, said):
    answer(monkeypatch, "")
    button(opened).click()
    qtbot.wait(50)
    assert not opened.verbs.task.busy
    assert not said


def test_the_window_stays_alive_meanwhile(dock, tmp_path, qtbot, monkeypatch, said):
    shutil.copytree(sample_folder(), tmp_path / "sample")
    path = tmp_path / "sample" / "grid.clxem.json"
    workspace = workspace_for(dock.viewer)
    workspace.use(Store(path=path))
    dock.refresh()
    qtbot.waitUntil(button(dock).isEnabled, timeout=5000)
    qtbot.wait(300)  # what the dock looks for itself by then
    answer(monkeypatch, tmp_path / "page.html")
    began, gaps = [time.perf_counter()], []
    clock = QTimer()
    clock.setInterval(5)

    def tick():
        gaps.append(time.perf_counter() - began[-1])
        began.append(time.perf_counter())

    clock.timeout.connect(tick)
    clicked = time.perf_counter()
    button(dock).click()
    assert time.perf_counter() - clicked < 0.1
    clock.start()
    qtbot.waitUntil(lambda: bool(said), timeout=60000)
    clock.stop()
    assert "page.html written" in said[0]
    assert len(gaps) > 20
    # shared processors: what blocks would block again and again
    assert sorted(gaps)[int(0.98 * len(gaps)) - 1] < 0.1


def test_progress_is_shown_and_it_can_be_given_up(opened, tmp_path, qtbot, monkeypatch, said):
    going, path = threading.Event(), tmp_path / "page.html"
    ended = []

    def slow(_session, _path, *, progress, **_more):
        try:
            progress(0.25, "drawing the overview")
            going.wait(10)
            progress(0.5, "placing A1")
        except BaseException as error:
            ended.append(type(error).__name__)
            raise
        raise AssertionError("it went on")

    monkeypatch.setattr(f"{VERBS}.write_report", slow)
    answer(monkeypatch, path)
    button(opened).click()

    def shown():
        return "\n".join(one.text() for one in opened.findChildren(QLabel) if not one.isHidden())

    qtbot.waitUntil(lambda: "Writing the report: drawing the overview" in shown(), timeout=5000)
    assert not button(opened).isEnabled()
    opened.verbs.task.cancel()
    going.set()
    qtbot.waitUntil(lambda: ended == ["GivenUpError"], timeout=5000)
    qtbot.waitUntil(button(opened).isEnabled, timeout=5000)
    assert not said
    assert not path.exists()


def test_what_goes_wrong_is_one_sentence(opened, tmp_path, qtbot, monkeypatch, said):
    answer(monkeypatch, tmp_path / "nowhere" / "page.html")
    button(opened).click()
    qtbot.waitUntil(lambda: bool(said), timeout=10000)
    assert len(said) == 1
    assert said[0].startswith("There is no folder")


def test_the_button_says_what_it_does(dock):
    assert keys.PRINT_REPORT in keys.TABLE
    assert button(dock).toolTip() == keys.PRINT_REPORT.tooltip
    assert button(dock).sizeHint().width() < 170
