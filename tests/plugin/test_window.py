from __future__ import annotations

import gc
import weakref

import numpy as np
import pytest
from imageio.v3 import imread
from npe2 import PluginManifest

from napari_clxem.plugin.controllers import release, workspace_for
from napari_clxem.plugin.controllers.opening import open_session
from napari_clxem.plugin.widgets.links import LinksWidget
from napari_clxem.plugin.window import open_window, take_pictures
from napari_clxem.session import Store
from napari_clxem.session.geometry import place

pytestmark = pytest.mark.gl


@pytest.fixture
def window(saved_grid, make_napari_viewer, monkeypatch):
    # The fixture's viewer, so that it is also closed and watched for what it leaves behind.
    monkeypatch.setattr(
        "napari.Viewer", lambda title, show: make_napari_viewer(title=title, show=show)
    )
    viewer = open_window(saved_grid)
    yield viewer
    release(viewer)


def test_a_window_opens_on_the_first_site_with_its_dock_and_scale_bar(window):
    names = [layer.name for layer in window.layers]
    assert {"stack · beads", "tomogram · beads", "map · beads", "Targets"} <= set(names)
    assert window.canvas.overlays.scale_bar.visible
    assert {str(unit) for unit in window.layers.units} == {"micrometer"}
    assert "Links & targets" in window.window.dock_widgets
    assert workspace_for(window).view.site == "c1"


@pytest.mark.slow
def test_pictures_are_taken_of_every_site(window, tmp_path):
    files = take_pictures(window, tmp_path / "pictures")
    names = sorted(file.name for file in files)
    assert names == sorted(
        ["grid.png"]
        + [f"Cell-{n}-{kind}.png" for n in (1, 2) for kind in ("slice", "volume", "window")]
    )
    for file in files:
        picture = imread(file)[..., :3]
        assert picture.std() > 5, file.name
    whole = imread(tmp_path / "pictures" / "Cell-1-window.png")
    assert whole.shape[1] > imread(tmp_path / "pictures" / "Cell-1-slice.png").shape[1]


def test_a_session_opens_in_the_background(saved_grid, make_napari_viewer, qtbot):
    viewer = make_napari_viewer()
    open_session(viewer, saved_grid)
    qtbot.waitUntil(lambda: "stack · beads" in viewer.layers, timeout=10000)
    qtbot.waitUntil(lambda: "tomogram · beads" in viewer.layers, timeout=10000)
    np.testing.assert_allclose(
        viewer.layers["Targets"].data[0] + workspace_for(viewer).view.origin, target_in(viewer)
    )


def target_in(viewer):
    session = workspace_for(viewer).store.session
    return place(session, session.targets[0], "tomogram").position


def test_a_session_that_is_none_is_said_and_changes_nothing(
    tmp_path, make_napari_viewer, qtbot, monkeypatch
):
    said = []
    monkeypatch.setattr("napari_clxem.plugin.controllers.tasks.show_error", said.append)
    bad = tmp_path / "bad.clxem.json"
    bad.write_text("{}")
    viewer = make_napari_viewer()
    before = workspace_for(viewer).store
    open_session(viewer, bad)
    qtbot.waitUntil(lambda: bool(said), timeout=5000)
    assert "bad.clxem.json" in said[0]
    assert workspace_for(viewer).store is before


def test_the_sample_grid_opens_from_the_menu(
    saved_grid, make_napari_viewer, npe2pm, qtbot, monkeypatch
):
    monkeypatch.setattr("napari_clxem.plugin.sample.sample_folder", lambda: saved_grid.parent)
    viewer = make_napari_viewer()
    npe2pm.register(PluginManifest.from_distribution("napari-clxem"))
    viewer.open_sample("napari-clxem", "grid")
    expected = {"stack · beads", "tomogram · beads", "map · beads", "Targets"}
    names = []

    def complete():
        names[:] = [layer.name for layer in viewer.layers]
        return expected <= set(names)

    qtbot.waitUntil(complete, timeout=10000)
    assert len([name for name in names if "beads" in name]) == 3
    assert workspace_for(viewer).store.path is None


def test_the_dock_stands_in_the_plugin_menu(make_napari_viewer, npe2pm):
    viewer = make_napari_viewer()
    npe2pm.register(PluginManifest.from_distribution("napari-clxem"))
    _, widget = viewer.window.add_plugin_dock_widget("napari-clxem", "Links & targets")
    assert isinstance(widget, LinksWidget)
    assert workspace_for(widget.viewer) is workspace_for(viewer)


def closed_window(path, make_napari_viewer):
    viewer = make_napari_viewer()
    workspace = workspace_for(viewer)
    viewer.window.add_dock_widget(LinksWidget(viewer), name="Links & targets")
    workspace.use(Store(path=path, journal=False))
    workspace.show_first()
    viewer.close()
    return weakref.ref(workspace)


def test_a_closed_window_leaves_nothing_behind(saved_grid, make_napari_viewer, qtbot):
    seen = closed_window(saved_grid, make_napari_viewer)

    def gone():
        gc.collect()
        return seen() is None

    qtbot.waitUntil(gone, timeout=3000)
