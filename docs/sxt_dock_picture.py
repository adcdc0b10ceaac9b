"""Make the pictures of the SXT analysis dock: ``python docs/sxt_dock_picture.py``."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import napari
import numpy as np
from qtpy.QtWidgets import QApplication

from napari_clxem import xray
from napari_clxem.xray.pairing import enlarge
from napari_clxem.xray.phantom import photograph, spheres

IMAGES = Path(__file__).parent / "images"
PATIENCE = 120.0  # s
PIXEL, SHAPE, TILTS = 0.01444, (96, 96, 128), np.arange(-70.0, 71.0, 2.0)
HENKE, SCALE, PHOTONS = (4973.0, 15950.0), 0.969, 5000.0
PLACES = np.array([(40, 20, 40), (52, 48, 84), (46, 70, 52), (58, 30, 92)]) * PIXEL
DIAMETERS = np.array([6, 9, 12, 7]) * PIXEL
ORGANELLES = np.array([(42, 26, 44), (52, 52, 86), (56, 76, 100)]) * PIXEL


def tomograms() -> tuple[list[np.ndarray], np.ndarray]:
    """Photograph a phantom at both energies and reconstruct it; give also one tilt series."""
    rng = np.random.default_rng(1)
    iron = spheres(SHAPE, PLACES, DIAMETERS, [1.2, 0.9, 1.1, 1.4], PIXEL)
    cell = spheres(SHAPE, np.array([[48, 48, 64]]) * PIXEL, 1.1, 0.95, PIXEL)
    pair = photograph(iron, cell, TILTS, PIXEL, HENKE, SCALE, PHOTONS, 0.3, rng)
    series = [-np.log(np.maximum(one, 1 / PHOTONS)) for one in pair]
    return [xray.reconstruct(one, TILTS, PIXEL, thickness=96).data for one in series], series[0]


def lysotracker() -> np.ndarray:
    """Paint organelles as a light microscope sees them, on pixels of its own."""
    painted = spheres((32, 48, 64), ORGANELLES, 0.2, 1.0, (0.0433, 0.0289, 0.0289))
    return 400 * painted + np.random.default_rng(2).normal(100, 5, painted.shape)


def wait(until: Callable[[], object], then: float = 0.5) -> None:
    """Let the window live until something is true, and a little longer."""
    began = time.monotonic()
    while not until():
        if time.monotonic() - began > PATIENCE:
            raise TimeoutError("the dock does not get there")
        QApplication.processEvents()
    began = time.monotonic()
    while time.monotonic() - began < then:
        QApplication.processEvents()


def open_dock(theme: str = "dark") -> tuple[Any, Any]:
    """Open a viewer on the phantom, with the dock."""
    viewer = napari.Viewer(show=True)
    viewer.theme = theme
    viewer.window.resize(1300, 1000)
    container, dock = viewer.window.add_plugin_dock_widget("napari-clxem", "SXT analysis")
    container.setFixedWidth(340)
    (low, high), series = tomograms()
    um = {"units": ("um",) * 3, "axis_labels": ("z", "y", "x")}
    viewer.add_image(series, name="Tilt series 700 eV", scale=(PIXEL,) * 3, visible=False, **um)
    light = {"colormap": "green", "blending": "additive", "contrast_limits": (110, 500)}
    viewer.add_image(low, name="Tomogram 700 eV", scale=(PIXEL,) * 3, visible=False, **um)
    viewer.add_image(high, name="Tomogram 709 eV", scale=(PIXEL,) * 3, **um)
    viewer.add_image(
        lysotracker(), name="Lysotracker", scale=(0.0433, 0.0289, 0.0289), **light, **um
    )
    wait(lambda: True)
    return viewer, dock


def resolve(dock: Any) -> None:
    """Split the tilt series and correlate its halves."""
    tab = dock.resolution
    dock.tabs.setCurrentWidget(tab)
    tab.way.setCurrentIndex(1)
    tab.series.setCurrentText("Tilt series 700 eV")
    tab.tilts.text.setText("-70 to 70 by 2")
    tab.thickness.setValue(96)
    tab.start()
    wait(lambda: dock.analysis.resolved is not None)


def pair(viewer: Any, dock: Any) -> None:
    """Pair two energies, the flats of one of which are off by 4 %."""
    rng = np.random.default_rng(1)
    iron = spheres(SHAPE, PLACES, DIAMETERS, [1.2, 0.9, 1.1, 1.4], PIXEL)
    cell = spheres(SHAPE, np.array([[48, 48, 64]]) * PIXEL, 1.1, 0.95, PIXEL)
    low, high = photograph(iron, cell, TILTS, PIXEL, HENKE, SCALE, PHOTONS, 0.3, rng)
    ramp = np.linspace(0.98, 1.02, SHAPE[2], dtype=np.float32)
    moved = np.stack([enlarge(one, 700 / 709, (1.5, -2.5)) for one in high * ramp])
    um = {"units": ("um",) * 3, "axis_labels": ("image", "y", "x")}
    names = ("Transmission 700 eV", "Transmission 709 eV")
    for name, data in zip(names, (low, moved), strict=True):
        viewer.add_image(data, name=name, scale=(PIXEL,) * 3, visible=False, **um)
    dock.tabs.setCurrentWidget(dock.steps)
    dock.steps.step.setCurrentIndex(3)
    wait(lambda: True)
    form = dock.steps.form
    form.low.setCurrentText(names[0])
    form.high.setCurrentText(names[1])
    form.tilts.text.setText("-70 to 70 by 2")
    dock.steps.start()
    wait(lambda: dock.analysis.made is not None)
    wait(lambda: True, 1.0)
    dock.grab().save(str(IMAGES / "sxt-dock-pair.png"))
    for layer in [one for one in viewer.layers if one.ndim == 3 and "eV" in one.name][-3:]:
        viewer.layers.remove(layer)
    viewer.layers.remove(next(one for one in viewer.layers if one.name.startswith("ΔOD")))


def weigh(dock: Any) -> None:
    """Weigh the pair, beside the fluorescence."""
    tab = dock.density
    dock.tabs.setCurrentWidget(tab)
    tab.high.setCurrentText("Tomogram 709 eV")
    tab.low.setCurrentText("Tomogram 700 eV")
    tab.contrast.setText(f"{HENKE[1] - SCALE * HENKE[0]:.0f}")
    tab.origin.setText("Henke tables, as the phantom was made")
    tab.origin.setCursorPosition(0)
    tab.tilts.text.setText("-70 to 70 by 2")
    tab.fluorescence.setCurrentText("Lysotracker")
    tab.registration.setText("80")
    tab.start()
    wait(lambda: dock.analysis.weighed is not None)


def draw() -> None:
    """Make the pictures."""
    viewer, dock = open_dock()
    pair(viewer, dock)
    resolve(dock)
    dock.widget().grab().save(str(IMAGES / "sxt-dock-resolution.png"))
    weigh(dock)
    dock.analysis.go_to(3)
    dock.verticalScrollBar().setValue(dock.verticalScrollBar().maximum())
    wait(lambda: True, 1.0)
    viewer.screenshot(str(IMAGES / "sxt-dock.png"), canvas_only=False, flash=False)
    viewer.close()


def main() -> None:
    IMAGES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        os.environ["CLXEM_STATE"] = f"{scratch}/state"
        draw()


if __name__ == "__main__":
    main()
