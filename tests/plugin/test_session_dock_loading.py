"""Images of a site are opened in the background: with progress, to be cancelled, none forgotten."""

from __future__ import annotations

import threading
from dataclasses import replace

import numpy as np
import pytest

from napari_clxem.errors import SessionError
from napari_clxem.io.image import Channel
from napari_clxem.plugin.controllers import workspace_for
from napari_clxem.session import Store, edits, open_dataset
from napari_clxem.session.travel import pack, unpack

pytestmark = pytest.mark.gl

OPEN = "napari_clxem.plugin.controllers.loading.open_dataset"


@pytest.fixture
def viewer(make_napari_viewer):
    return make_napari_viewer()


@pytest.fixture
def gate(grid, monkeypatch):
    """Images open one at a time, as the test lets them."""
    allowed = threading.Semaphore(0)

    def held(source, dataset):
        assert allowed.acquire(timeout=20)
        return grid.open(source, dataset)

    monkeypatch.setattr(OPEN, held)
    yield allowed
    for _ in range(50):
        allowed.release()


@pytest.fixture
def workspace(viewer, grid, gate):
    found = workspace_for(viewer)
    found.use(grid.store())
    return found


def names(viewer):
    return {layer.name for layer in viewer.layers if "·" in layer.name}


def watched(workspace):
    seen = []
    workspace.loading.progressed.connect(lambda *news: seen.append(news))
    return seen


def test_progress_is_told_image_by_image(viewer, workspace, gate, qtbot):
    seen = watched(workspace)
    workspace.show_site("c1", "reference", wait=False)
    assert workspace.loading.busy
    assert seen == [(0, 3, "stack")]
    gate.release()
    qtbot.waitUntil(lambda: "stack · beads" in names(viewer), timeout=5000)
    assert seen[-1] == (1, 3, "tomogram")
    gate.release(2)
    qtbot.waitUntil(lambda: not workspace.loading.busy, timeout=5000)
    assert seen[-2:] == [(2, 3, "map"), (0, 0, "")]
    assert len(names(viewer)) == 3


def test_cancelling_keeps_what_came_and_opens_no_more_until_asked(viewer, workspace, gate, qtbot):
    workspace.show_site("c1", "reference", wait=False)
    gate.release()
    qtbot.waitUntil(lambda: "stack · beads" in names(viewer), timeout=5000)
    seen = watched(workspace)
    workspace.loading.cancel()
    assert seen[-1] == (0, 0, "")
    assert not workspace.loading.busy
    gate.release(20)
    workspace.store.commit(lambda s: edits.rename(s, "x"), "Rename")
    qtbot.wait(300)
    assert names(viewer) == {"stack · beads"}
    workspace.show_site("c1", "reference", wait=False)
    qtbot.waitUntil(lambda: len(names(viewer)) == 3, timeout=5000)


def test_an_edit_while_images_are_opened_loses_no_channel(
    viewer, grid, workspace, gate, qtbot, monkeypatch
):
    monkeypatch.setitem(grid.images, "stack", grid.images["stack"][None].repeat(4, axis=0))
    channels = tuple(Channel(name) for name in "abcd")
    many = [
        replace(one, axes=("c", *one.axes), shape=(4, *one.shape), channels=channels)
        if one.id == "stack"
        else one
        for one in grid.session.datasets
    ]
    workspace.use(Store(replace(grid.session, datasets=tuple(many)), journal=False))
    workspace.show_site("c1", "reference", wait=False)

    def edit(event):
        if event.value.name == "stack · a":
            workspace.store.commit(lambda s: edits.rename(s, "In the middle"), "Rename")

    viewer.layers.events.inserted.connect(edit)
    gate.release(20)
    qtbot.waitUntil(lambda: "map · beads" in names(viewer), timeout=5000)
    qtbot.waitUntil(lambda: not workspace.loading.busy, timeout=5000)
    assert workspace.store.session.name == "In the middle"
    assert names(viewer) >= {f"stack · {name}" for name in "abcd"}
    assert grid.opened.count("stack") == 1


def test_another_site_takes_the_place_of_what_is_being_opened(viewer, workspace, gate, qtbot):
    workspace.show_site("c1", "reference", wait=False)
    workspace.show_site("c2", "reference", wait=False)
    gate.release(20)
    qtbot.waitUntil(lambda: not workspace.loading.busy, timeout=5000)
    assert names(viewer) == {"other · beads", "map · beads"}


def test_what_cannot_be_opened_counts_as_done(viewer, workspace, grid, monkeypatch, qtbot):
    def fail(source, dataset):
        raise SessionError("gone")

    monkeypatch.setattr(OPEN, fail)
    monkeypatch.setattr("napari_clxem.plugin.controllers.loading.show_warning", lambda text: None)
    workspace.show_site("c1", "reference", wait=False)
    qtbot.waitUntil(lambda: not workspace.loading.busy, timeout=5000)
    assert names(viewer) == set()


def test_small_pictures_are_shown_where_the_files_are_not(
    viewer, grid, saved_grid, tmp_path_factory, monkeypatch
):
    session = Store(path=saved_grid, journal=False).session
    away = tmp_path_factory.mktemp("away") / "trip.clxem.zip"
    there = unpack(pack(session, away, lambda one: grid.open(None, one), budget=60_000).path)
    monkeypatch.setattr(OPEN, open_dataset)
    for file in saved_grid.parent.glob("*.tif"):
        file.unlink()
    workspace = workspace_for(viewer)
    workspace.use(Store.open(there))
    workspace.show_site("c1", "reference")
    assert names(viewer) >= {"stack (small picture) · beads", "tomogram (small picture) · beads"}
    # Between the first and the last pixel of the picture lie as many µm as in the image.
    layer, whole = workspace.layers.layers["map", 0], grid.session.datasets[2]
    assert layer.name == "map (small picture) · beads"
    spans = (np.array(layer.data.shape) - 1) * layer.scale
    wanted = (np.array(whole.shape) - 1) * whole.scale
    assert spans == pytest.approx(wanted, abs=max(layer.scale))
    assert layer.scale[0] > whole.scale[0]
