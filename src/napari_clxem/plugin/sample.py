"""The sample grid, as File ▸ Open Sample offers it."""

from __future__ import annotations

from pathlib import Path

import napari
import numpy as np

from napari_clxem.errors import SessionError
from napari_clxem.plugin.controllers import workspace_for
from napari_clxem.plugin.controllers.loading import open_planes
from napari_clxem.plugin.controllers.positions import default_view
from napari_clxem.plugin.layers import LayerData, layer_data, placed
from napari_clxem.plugin.placement import local
from napari_clxem.samples import sample_folder
from napari_clxem.session import Store, load


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
        raise SessionError(
            f"There is no session in {folder}; run `napari-clxem demo`, open out/grid.clxem.json."
        )
    return found[0]


def sample_grid() -> list[LayerData]:
    """Open the sample grid in the current viewer.

    Returns
    -------
    list of LayerData
        The volume that is the reference of the first site, which napari inserts; the other
        images come by themselves.
    """
    # Without a file of its own: saving asks for a place, and the sample stays as it is.
    store = Store(load(sample_session()))
    session = store.session
    view = default_view(session, session.sites[0].id)
    dataset = next(one for one in session.datasets if one.frame == view.frame)
    channels = open_planes(store, dataset)
    viewer = napari.current_viewer()
    if viewer is None:
        return [layer_data(channel) for channel in channels]
    workspace = workspace_for(viewer)
    workspace.use(store)
    workspace.show_first(wait=False)
    where = local(np.eye(4), view.origin)
    return [placed(channel, where).data(viewer.dims.ndisplay) for channel in channels]
