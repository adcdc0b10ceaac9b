"""The reference lists every public name, and nothing that is not there."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest

REFERENCE = Path(__file__).parents[1] / "docs" / "reference.md"
PROMISED = {
    "frames": ("Affine", "fit", "FrameGraph", "axial_scaling"),
    "fiducials": ("detect", "match"),
    "dose": (
        "xray_dose", "electron_dose", "mass_attenuation", "conversion_factor", "critical_exposure",
        "Exposure", "cumulative", "cumulative_map", "budget", "plan", "check",
    ),
    "lamella": ("Lamella", "milling_angle", "overlap", "capture_probability"),
    "xray": ("fsc", "normalise", "reconstruct", "density"),
    "io": ("open_image", "OpenedImage"),
    "session": ("Session", "Store", "load", "save"),
}  # fmt: skip


def listed() -> list[str]:
    return re.findall(r"^::: napari_clxem\.(\S+)$", REFERENCE.read_text("utf-8"), re.MULTILINE)


@pytest.mark.parametrize("package", PROMISED)
def test_every_public_name_is_in_the_reference(package):
    absent = {f"{package}.{name}" for name in PROMISED[package]} - set(listed())
    assert not absent


def test_what_is_listed_is_there_and_described():
    for entry in listed():
        module, name = entry.rsplit(".", 1)
        parent = importlib.import_module(f"napari_clxem.{module}")
        if hasattr(parent, name):
            found = getattr(parent, name)
        else:  # a module of a package
            found = importlib.import_module(f"napari_clxem.{entry}")
        assert len(found.__doc__ or "") > 20, entry


def test_nothing_is_listed_twice():
    assert len(set(listed())) == len(listed())
