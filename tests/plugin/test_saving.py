"""Saving beside the window."""

from __future__ import annotations

import pytest
from qtpy.QtWidgets import QApplication

from napari_clxem.plugin.controllers import workspace_for
from napari_clxem.plugin.controllers.opening import save_session
from napari_clxem.session import Store, edits, load

pytestmark = pytest.mark.gl


@pytest.fixture
def workspace(make_napari_viewer, saved_grid):
    found = workspace_for(make_napari_viewer())
    found.use(Store.open(saved_grid))
    return found


def rename(workspace, name):
    workspace.store.commit(lambda session: edits.rename(session, name), "Rename")


def test_the_window_does_not_wait_for_the_file(workspace, saved_grid, qtbot):
    rename(workspace, "kept")
    save_session(workspace.layers._viewer())
    assert workspace.saver.busy
    qtbot.waitUntil(lambda: not workspace.store.dirty, timeout=10000)
    assert load(saved_grid).name == "kept"
    assert not workspace.saver.busy


def test_a_step_made_meanwhile_is_saved_too(workspace, saved_grid, qtbot):
    rename(workspace, "one")
    workspace.saver.save(workspace.store)
    rename(workspace, "two")
    qtbot.waitUntil(lambda: not workspace.saver.busy, timeout=10000)
    assert load(saved_grid).name == "two"
    assert not workspace.store.dirty


def test_a_window_that_never_rests_is_waited_for_in_the_end(workspace, saved_grid, qtbot):
    workspace.store.changed.connect(lambda new, old: None)
    finish, count = workspace.store.finish, iter(range(100))

    def between(draft):
        rename(workspace, f"step {next(count)}")
        return finish(draft)

    workspace.store.finish = between
    rename(workspace, "begun")
    workspace.saver.save(workspace.store)
    qtbot.waitUntil(lambda: not workspace.saver.busy, timeout=10000)
    workspace.store.finish = finish
    workspace.saver.save(workspace.store)
    qtbot.waitUntil(lambda: not workspace.saver.busy, timeout=10000)
    assert load(saved_grid).name == workspace.store.session.name
    assert 3 <= next(count) <= 6


@pytest.mark.parametrize("how", ["another session", "quit"])
def test_what_was_begun_is_saved_before_the_session_goes(workspace, saved_grid, how):
    rename(workspace, "last words")
    workspace.saver.save(workspace.store)
    if how == "quit":
        QApplication.instance().aboutToQuit.emit()
    else:
        workspace.use(Store())
    assert load(saved_grid).name == "last words"
    assert not workspace.saver.busy


def test_what_goes_wrong_is_said(workspace, saved_grid, qtbot, monkeypatch):
    heard = []
    monkeypatch.setattr("napari_clxem.plugin.controllers.saving.show_error", heard.append)
    saved_grid.write_text(saved_grid.read_text().replace("made", "theirs"))
    rename(workspace, "ours")
    workspace.saver.save(workspace.store)
    qtbot.waitUntil(lambda: bool(heard), timeout=10000)
    assert "changed by another program" in heard[0]
    assert load(saved_grid).name == "theirs"
    workspace.saver.save(Store(workspace.store.session, journal=False))
    assert "give a name" in heard[1]
