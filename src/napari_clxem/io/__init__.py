"""Files in and out: every image opens lazily, oriented, with its scale in µm."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from napari_clxem.io.contrast import channel_limits, contrast_limits
    from napari_clxem.io.description import describe, description_rows
    from napari_clxem.io.image import Channel, OpenedImage, Orientation, StagePosition
    from napari_clxem.io.opening import can_open, open_image, open_images, standing_file
    from napari_clxem.io.rasters import Raster, raster_about
    from napari_clxem.io.readers.alignments import (
        TiltAlignment,
        read_alignment,
        read_aln,
        read_tilts,
        read_xf,
    )
    from napari_clxem.io.readers.autodoc import Autodoc, Section, read_autodoc
    from napari_clxem.io.readers.navigator import Navigator, NavItem, read_navigator
    from napari_clxem.io.resampling import resample_image
    from napari_clxem.io.writers.ome_tiff import write_ome_tiff
    from napari_clxem.io.writers.ome_zarr import write_ome_zarr

_PUBLIC = {
    "Autodoc": "readers.autodoc",
    "Channel": "image",
    "NavItem": "readers.navigator",
    "Navigator": "readers.navigator",
    "OpenedImage": "image",
    "Orientation": "image",
    "Raster": "rasters",
    "Section": "readers.autodoc",
    "StagePosition": "image",
    "TiltAlignment": "readers.alignments",
    "can_open": "opening",
    "channel_limits": "contrast",
    "contrast_limits": "contrast",
    "describe": "description",
    "description_rows": "description",
    "open_image": "opening",
    "open_images": "opening",
    "raster_about": "rasters",
    "read_alignment": "readers.alignments",
    "read_aln": "readers.alignments",
    "read_autodoc": "readers.autodoc",
    "read_navigator": "readers.navigator",
    "read_tilts": "readers.alignments",
    "read_xf": "readers.alignments",
    "resample_image": "resampling",
    "standing_file": "opening",
    "write_ome_tiff": "writers.ome_tiff",
    "write_ome_zarr": "writers.ome_zarr",
}

__all__ = [
    "Autodoc",
    "Channel",
    "NavItem",
    "Navigator",
    "OpenedImage",
    "Orientation",
    "Raster",
    "Section",
    "StagePosition",
    "TiltAlignment",
    "can_open",
    "channel_limits",
    "contrast_limits",
    "describe",
    "description_rows",
    "open_image",
    "open_images",
    "raster_about",
    "read_alignment",
    "read_aln",
    "read_autodoc",
    "read_navigator",
    "read_tilts",
    "read_xf",
    "resample_image",
    "standing_file",
    "write_ome_tiff",
    "write_ome_zarr",
]


def __getattr__(name: str) -> Any:
    if name in _PUBLIC:
        return getattr(import_module(f"{__name__}.{_PUBLIC[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
