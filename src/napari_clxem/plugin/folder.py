"""Opening a folder as a grid: from the menu, and from a terminal."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import napari
from qtpy.QtWidgets import QFileDialog

from napari_clxem.plugin import keys

PLUGIN, DOCK = "napari-clxem", "Session"


def choose_folder() -> None:
    """Ask for a folder and propose its grid, as File ▸ IO Utilities offers it."""
    viewer = napari.current_viewer() or napari.Viewer()
    path = QFileDialog.getExistingDirectory(None, keys.OPEN_FOLDER.tip)
    if path:
        open_folder(viewer, path)


def open_folder(viewer: Any, folder: str | Path) -> Any:
    """Look through a folder in the background, then show its proposed grid for approval.

    Parameters
    ----------
    viewer : napari.Viewer
        Gets the Session dock, if it does not have it yet.
    folder : str or Path
        The folder.

    Returns
    -------
    SessionWidget
        The dock that shows the proposal when it is there.
    """
    _, dock = viewer.window.add_plugin_dock_widget(PLUGIN, DOCK)
    dock.verbs.look_through(folder)
    return dock


def open_folder_window(folder: str | Path, show: bool = True) -> Any:
    """Open napari and propose the grid of a folder; see `open_folder`.

    Parameters
    ----------
    folder : str or Path
        The folder.
    show : bool
        False makes the window without showing it.

    Returns
    -------
    napari.Viewer
        With the Session dock.
    """
    viewer = napari.Viewer(title=f"CLXEM · {Path(folder).resolve().name}", show=show)
    open_folder(viewer, folder)
    return viewer
