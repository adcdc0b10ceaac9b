"""A window on a session, and pictures of it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import napari
from qtpy.QtWidgets import QApplication

from napari_clxem.plugin.controllers import workspace_for
from napari_clxem.plugin.controllers.positions import View, default_view, target_marks
from napari_clxem.plugin.controllers.scene import frame_site, go_to, show_scale_bar
from napari_clxem.plugin.widgets.links import LinksWidget
from napari_clxem.session import Store

DOCK = "Links & targets"
SIZE = (1500, 900)
# Camera of a picture of a volume: from above, to one side.
OBLIQUE = (0.0, -20.0, -25.0)


def open_window(session_path: str | Path, show: bool = True) -> Any:
    """Open napari on a session, with the dock and the first site.

    Parameters
    ----------
    session_path : str or Path
        The session file.
    show : bool
        False makes the window without showing it.

    Returns
    -------
    napari.Viewer
        All images of the site have been opened.

    Raises
    ------
    SessionError
        Where the session file cannot be read.
    """
    store = Store.open(session_path)
    viewer = napari.Viewer(title=f"CLXEM · {store.session.name}", show=show)
    workspace = workspace_for(viewer)
    viewer.window.add_dock_widget(LinksWidget(viewer), name=DOCK, area="right")
    viewer.window.resize(*SIZE)
    workspace.use(store)
    workspace.show_first()
    show_scale_bar(viewer)
    frame_site(viewer)
    return viewer


def wait() -> None:
    """Stay until the last window is closed."""
    napari.run()


def take_pictures(viewer: Any, folder: str | Path) -> list[Path]:
    """Write pictures of the grid, and of every site its slice at a target, volume, and window.

    Parameters
    ----------
    viewer : napari.Viewer
        With a session.
    folder : str or Path
        Made where it is missing.

    Returns
    -------
    list of Path
        PNG files.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    workspace = workspace_for(viewer)
    written = [_picture_of_grid(viewer, folder / "grid.png")]
    for site in workspace.store.session.sites:
        view = default_view(workspace.store.session, site.id)
        workspace.show_site(site.id, view.frame)
        name = re.sub(r"\W+", "-", site.name or site.id).strip("-")
        written += _pictures_of_site(viewer, view, folder, name)
    return written


def _picture_of_grid(viewer: Any, file: Path) -> Path:
    workspace = workspace_for(viewer)
    viewer.dims.ndisplay = 2
    workspace.show_site(None, default_view(workspace.store.session).frame)
    viewer.fit_to_view()
    _settle(viewer)
    viewer.screenshot(path=str(file), canvas_only=True, flash=False)
    return file


def _pictures_of_site(viewer: Any, view: View, folder: Path, name: str) -> list[Path]:
    workspace = workspace_for(viewer)
    marks = target_marks(workspace.store.session, view)
    files = [folder / f"{name}-{kind}.png" for kind in ("slice", "window", "volume")]
    viewer.dims.ndisplay = 2
    frame_site(viewer)
    if marks:
        go_to(viewer, marks[0].position)
    _settle(viewer)
    viewer.screenshot(path=str(files[0]), canvas_only=True, flash=False)
    viewer.screenshot(path=str(files[1]), canvas_only=False, flash=False)
    viewer.dims.ndisplay = 3
    frame_site(viewer)
    viewer.scene.camera.angles = OBLIQUE
    _settle(viewer)
    viewer.screenshot(path=str(files[2]), canvas_only=True, flash=False)
    viewer.dims.ndisplay = 2
    return files


def _settle(viewer: Any) -> None:
    """Let everything be drawn that is waiting for it."""
    workspace_for(viewer).turns.finish()
    for _ in range(5):
        QApplication.processEvents()
