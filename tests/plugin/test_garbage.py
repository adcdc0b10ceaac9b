"""What stays for good is spared by garbage collections; what a viewer shows is not."""

from __future__ import annotations

import gc

import numpy as np
import pytest

from napari_clxem.plugin.controllers import garbage, release, workspace_for

pytestmark = pytest.mark.gl


@pytest.fixture
def spared(monkeypatch):
    """How often all there is was spared."""
    counted = []
    monkeypatch.setattr(gc, "freeze", lambda: counted.append(1))
    return counted


def test_an_empty_window_is_spared_before_its_session_comes(make_napari_viewer, grid, spared):
    viewer = make_napari_viewer()
    workspace = workspace_for(viewer)
    assert len(spared) == 1
    workspace.use(grid.store())
    assert len(spared) == 2
    release(viewer)


def test_layers_are_never_spared(make_napari_viewer, grid, spared):
    viewer = make_napari_viewer()
    layer = viewer.add_image(np.zeros((8, 8)), units=("um", "um"))
    workspace = workspace_for(viewer)
    workspace.use(grid.store())
    assert not spared
    assert not garbage.spare()
    viewer.layers.remove(layer)
    assert garbage.spare()
    assert len(spared) == 1
    release(viewer)
