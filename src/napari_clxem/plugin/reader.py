"""What napari calls to open files: images as layers, session files as sessions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from napari.utils.notifications import show_warning

from napari_clxem.plugin.layers import layer_data, planes
from napari_clxem.plugin.world import is_preview

SESSION = ".clxem.json"
# Tells napari that a file was read and no layer comes of it.
NO_LAYER: list[Any] = [(None,)]

Paths = str | Path | Sequence[str | Path]


def get_reader(path: Paths) -> Callable[[Paths], list[Any]] | None:
    """Give the function that opens `path`, or None to leave it to others.

    Folders are offered to every plugin and declined here, as are stacks of several files.
    """
    if not isinstance(path, str | Path) or Path(path).is_dir():
        return None
    return read_session if str(path).endswith(SESSION) else read_image


def read_image(path: Paths) -> list[Any]:
    """Open an image file as layers, one per channel.

    A file that states no pixel size is a preview: in pixels, and apart from anything in µm.

    Raises
    ------
    ClxemError
        Where the file cannot be read.
    """
    import napari

    from napari_clxem.io import open_image
    from napari_clxem.plugin.controllers import workspace_for
    from napari_clxem.plugin.controllers.scene import preview_window

    file = Path(str(path)).expanduser().absolute()
    image = open_image(file)
    source = (file.as_posix(), 0)
    meta = {"path": source[0], "index": source[1]}
    layers = [layer_data(plane) for plane in planes(image, meta=meta)]
    viewer = napari.current_viewer()
    if viewer is not None:
        workspace_for(viewer)
    if image.scale is not None:
        return layers
    show_warning(
        f"{file.name} states no pixel size: it is a preview in pixels. Give its pixel size in "
        "Plugins ▸ CLXEM ▸ Links & targets to take it into the session."
    )
    if viewer is None:
        return layers
    workspace_for(viewer).offer(source, image.name, image.ndim_spatial)
    if all(is_preview(layer) for layer in viewer.layers):
        return layers
    preview_window(napari.layers.Layer.create(*one) for one in layers)
    return NO_LAYER


def read_session(path: Paths) -> list[Any]:
    """Open a session file in the current viewer.

    Raises
    ------
    SessionError
        Where the file cannot be read.
    """
    import napari

    from napari_clxem.plugin.controllers.opening import open_session

    viewer = napari.current_viewer() or napari.Viewer()
    open_session(viewer, str(path))
    return NO_LAYER
