"""Turn layer events into commands, and new documents into layer patches."""

from napari_clxem.plugin.controllers.registry import (
    redo,
    release,
    show_site,
    store_for,
    undo,
    workspace_for,
)
from napari_clxem.plugin.controllers.workspace import Workspace

__all__ = ["Workspace", "redo", "release", "show_site", "store_for", "undo", "workspace_for"]
