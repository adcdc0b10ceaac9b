"""What napari calls to open files: images as layers, session files as sessions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import napari
from napari.layers import Layer
from napari.utils.notifications import show_info, show_warning

from napari_clxem.io.image import OpenedImage
from napari_clxem.plugin.layers import LayerData, layer_data, planes
from napari_clxem.plugin.world import is_preview

SESSIONS = (".clxem.json", ".clxem.zip")
# Tells napari that a file was read and no layer comes of it.
NO_LAYER: list[Any] = [(None,)]

Paths = str | Path | Sequence[str | Path]


def get_reader(path: Paths) -> Callable[[Paths], list[Any]] | None:
    """Give the function that opens `path`, or None to leave it to others.

    Every folder is offered to every plugin: those that are no image are declined without a word,
    as are stacks of several files.
    """
    if not isinstance(path, str | Path):
        return None
    if Path(path).is_dir():
        from napari_clxem.io import can_open

        return read_image if can_open(path) else None
    return read_session if str(path).endswith(SESSIONS) else read_image


def read_image(path: Paths) -> list[Any]:
    """Open the images of a file as layers, one per channel.

    An image that states no pixel size is a preview: in pixels, and apart from anything in µm.

    Raises
    ------
    ClxemError
        Where the file cannot be read.
    """
    from napari_clxem.io import open_images
    from napari_clxem.plugin.controllers import workspace_for

    file = Path(str(path)).expanduser().absolute()
    viewer = napari.current_viewer()
    if viewer is not None:
        workspace_for(viewer)  # adopts what napari is about to insert
    layers: list[Any] = []
    for index, image in enumerate(open_images(file)):
        if image.meta.get("role") in ("flat", "dark"):
            continue  # belongs to the normalisation, not to the scene
        source = (file.as_posix(), index)
        meta = {"path": source[0], "index": index}
        described = [layer_data(plane) for plane in planes(image, meta=meta)]
        if "t" in image.axes:
            count = image.data.shape[image.axes.index("t")]
            show_info(f"{image.name} has {count} time points; the first one is shown.")
        if image.scale is None:
            described = _previewed(viewer, described, source, image)
        layers += described
    return layers or NO_LAYER


def _previewed(
    viewer: Any, layers: list[LayerData], source: tuple[str, int], image: OpenedImage
) -> list[LayerData]:
    """Ask for the pixel size; give the layers back where they may go into the viewer."""
    from napari_clxem.plugin.controllers import workspace_for
    from napari_clxem.plugin.controllers.scene import preview_window

    show_warning(
        f"{image.name} states no pixel size: it is a preview in pixels. Give its pixel size in "
        "Plugins ▸ Links & targets (CLXEM) to take it into the session."
    )
    if viewer is None:
        return layers
    workspace_for(viewer).offer(source, image.name, image.ndim_spatial)
    if all(is_preview(layer) for layer in viewer.layers):
        return layers
    preview_window(Layer.create(*one) for one in layers)
    return []


def read_session(path: Paths) -> list[Any]:
    """Open a session file in the current viewer.

    Raises
    ------
    SessionError
        Where the file cannot be read.
    """
    from napari_clxem.plugin.controllers.opening import open_session

    viewer = napari.current_viewer() or napari.Viewer()
    open_session(viewer, str(path))
    return NO_LAYER
