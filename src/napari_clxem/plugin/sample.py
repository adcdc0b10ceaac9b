"""The sample grid, as File ▸ Open Sample offers it."""

from __future__ import annotations

from pathlib import Path

import napari

from napari_clxem.errors import SessionError
from napari_clxem.plugin.controllers import workspace_for
from napari_clxem.plugin.controllers.workspace import open_planes
from napari_clxem.plugin.layers import LayerData, layer_data
from napari_clxem.samples import sample_folder
from napari_clxem.session import Store


def sample_session() -> Path:
    """Find the finished session of the shipped sample grid.

    Raises
    ------
    SessionError
        Where the sample was not finished.
    """
    folder = sample_folder()
    found = sorted(folder.glob("*.clxem.json"))
    if not found:
        raise SessionError(f"There is no session in {folder}; run `napari-clxem demo` to make it.")
    return found[0]


def sample_grid() -> list[LayerData]:
    """Open the sample grid in the current viewer.

    Returns
    -------
    list of LayerData
        The first image of the grid, which napari inserts; the others come by themselves.
    """
    store = Store.open(sample_session())
    first = open_planes(store, store.session.datasets[0])
    viewer = napari.current_viewer()
    if viewer is not None:
        workspace = workspace_for(viewer)
        workspace.use(store)
        workspace.show_first(wait=False)
    return [layer_data(plane) for plane in first]
