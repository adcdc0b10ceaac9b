"""One workspace per viewer, for as long as the viewer lives."""

from __future__ import annotations

from typing import Any
from weakref import WeakKeyDictionary

from napari_clxem.plugin import keys
from napari_clxem.plugin.controllers.workspace import Workspace
from napari_clxem.plugin.world import unwrapped
from napari_clxem.session import Store

# Keyed by the viewer itself: an entry for one of napari's proxies would vanish with the proxy.
_workspaces: WeakKeyDictionary[Any, Workspace] = WeakKeyDictionary()


def workspace_for(viewer: Any) -> Workspace:
    """Give the workspace of a viewer, made on first use."""
    viewer = unwrapped(viewer)
    if viewer not in _workspaces:
        _workspaces[viewer] = Workspace(viewer)
        viewer.bind_key(keys.UNDO.key, undo, overwrite=True)
        viewer.bind_key(keys.REDO.key, redo, overwrite=True)
    return _workspaces[viewer]


def store_for(viewer: Any) -> Store:
    """Give the store of a viewer; that of an empty session before one is opened."""
    return workspace_for(viewer).store


def show_site(viewer: Any, site: str | None, frame: str, wait: bool = True) -> None:
    """Show a site of a viewer's session in one reference frame; see `Workspace.show_site`."""
    workspace_for(viewer).show_site(site, frame, wait=wait)


def release(viewer: Any) -> None:
    """Forget the workspace of a viewer, leaving its layers as they are."""
    workspace = _workspaces.pop(unwrapped(viewer), None)
    if workspace is not None:
        workspace.release()


def undo(viewer: Any) -> None:
    """Take back the last step in a viewer's session."""
    store_for(viewer).undo()


def redo(viewer: Any) -> None:
    """Make the step again that was taken back in a viewer's session."""
    store_for(viewer).redo()
