"""napari-clxem: one frozen grid from the confocal microscope to the cryo-TEM."""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import Any

try:
    __version__ = version("napari-clxem")
except PackageNotFoundError:  # a source tree that was never installed
    __version__ = "0+unknown"

_PUBLIC = {
    "ClxemError": "errors",
    "open_image": "io",
    "fit": "frames",
    "detect": "fiducials",
    "match": "fiducials",
    "load": "session",
    "save": "session",
}

__all__ = ["__version__", *_PUBLIC]


def __getattr__(name: str) -> Any:
    if name in _PUBLIC:
        return getattr(import_module(f"{__name__}.{_PUBLIC[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
