"""Open and save sessions without holding up the window."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from napari.qt.threading import create_worker

from napari_clxem import fiducials
from napari_clxem.plugin.controllers.registry import workspace_for
from napari_clxem.plugin.controllers.tasks import say_error
from napari_clxem.session import Store
from napari_clxem.session.geometry import graph
from napari_clxem.session.travel import session_path


def open_session(viewer: Any, path: str | Path) -> Any:
    """Open a session file in the background and show its first site.

    Parameters
    ----------
    viewer : napari.Viewer
        The viewer.
    path : str or Path
        The session file, or a travel package, which is unpacked beside it.

    Returns
    -------
    WorkerBase
        The running worker; nobody need wait for it.
    """
    workspace = workspace_for(viewer)

    def done(store: Store) -> None:
        workspace.use(store)
        workspace.show_first(wait=False)

    return create_worker(
        _opened,
        path,
        _progress={"desc": f"Opening {Path(path).name}"},
        _connect={"returned": done, "errored": say_error},
        _ignore_errors=True,
    )


def save_session(viewer: Any, path: str | Path | None = None) -> None:
    """Save the session of a viewer in the background; what goes wrong is said."""
    workspace = workspace_for(viewer)
    workspace.saver.save(workspace.store, path)


def _opened(path: str | Path) -> Store:
    fiducials.warm()
    warm()
    store = Store.open(session_path(path))
    graph(store.session)  # its fits are known when the window asks
    return store


def warm() -> None:
    """Load what the first layer would wait a second for."""
    import dask.array  # noqa: F401
    import pandas  # noqa: F401
    import pint
    import zarr  # noqa: F401

    pint.Unit("um").is_compatible_with("m")
