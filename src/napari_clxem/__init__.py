"""napari-clxem: one frozen grid from the confocal microscope to the cryo-TEM."""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import Any

try:
    __version__ = version("napari-clxem")
except PackageNotFoundError:  # a source tree that was never installed
    __version__ = "0+unknown"

_NAMES = {
    "errors": ("ClxemError",),
    "io": ("open_image",),
    "frames": (
        "Affine",
        "FrameGraph",
        "axial_scaling",
        "fit",
    ),
    "fiducials": (
        "detect",
        "match",
    ),
    "dose": (
        "Exposure",
        "budget",
        "check",
        "conversion_factor",
        "critical_exposure",
        "cumulative",
        "cumulative_map",
        "electron_dose",
        "mass_attenuation",
        "plan",
        "xray_dose",
    ),
    "lamella": (
        "Lamella",
        "capture_probability",
        "milling_angle",
        "overlap",
    ),
    "xray": (
        "density",
        "fsc",
        "normalise",
        "reconstruct",
    ),
    "report": ("write_report",),
    "session": (
        "Session",
        "Store",
        "load",
        "save",
    ),
}
_PUBLIC = {name: module for module, names in _NAMES.items() for name in names}

__all__ = ["__version__", *_PUBLIC]


def __getattr__(name: str) -> Any:
    if name in _PUBLIC:
        return getattr(import_module(f"{__name__}.{_PUBLIC[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
