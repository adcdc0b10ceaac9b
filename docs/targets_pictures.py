"""Pictures of the dock Targets, taken from the running plugin.

python docs/targets_pictures.py sample_data/grid.clxem.json docs/images
"""

from __future__ import annotations

import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from PIL import Image
from qtpy.QtWidgets import QApplication

from napari_clxem.plugin.controllers import workspace_for
from napari_clxem.plugin.widgets.targets import TargetsWidget
from napari_clxem.plugin.window import open_window

SIZE = (1580, 960)


def settle(seconds: float) -> None:
    """Let the window work for a while."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        QApplication.processEvents()
        time.sleep(0.01)


def wait_for(viewer: Any, done: Callable[[], bool] = lambda: True) -> None:
    """Let the window work until something is done, and all of it is drawn."""
    settle(0.5)
    while not done() or workspace_for(viewer).turns.busy:
        settle(0.1)
    settle(2.0)


def shrink(path: Path) -> None:
    """Write a picture with 256 colours, which takes a third of the room."""
    with Image.open(path) as picture:
        small = picture.convert("RGB").quantize(256)
    small.save(path, optimize=True)


def main(session: str, folder: str) -> None:
    """Open a copy of the session, and take the pictures."""
    out = Path(folder)
    with tempfile.TemporaryDirectory() as place:
        copy = Path(place) / "grid"
        shutil.copytree(Path(session).parent, copy)
        viewer = open_window(copy / Path(session).name)
        viewer.window.resize(*SIZE)
        dock = TargetsWidget(viewer)
        viewer.window.add_dock_widget(dock, name="Targets", area="right")
        targets = dock.targets
        workspace_for(viewer).show_site("A", "confocal-A")
        wait_for(viewer, lambda: bool(targets.second.layers))
        workspace_for(viewer).choose("A1")
        viewer.scene.camera.zoom = 22
        targets.advice.propose()
        wait_for(viewer, lambda: not targets.advice.busy)
        targets.boxes.set_joints(True)
        targets.boxes.estimate_film()
        targets.advice.explain()
        wait_for(viewer)
        viewer.screenshot(str(out / "targets-dock.png"), canvas_only=False, flash=False)
        viewer.dims.ndisplay = 3
        viewer.scene.camera.angles = (0.0, -25.0, -55.0)
        wait_for(viewer)
        viewer.screenshot(str(out / "targets-solid.png"), canvas_only=True, flash=False)
        viewer.dims.ndisplay = 2
        dock.sites.fields.propose()
        wait_for(viewer, lambda: not dock.sites.fields.busy)
        workspace_for(viewer).show_site(None, "vlm-map")
        wait_for(viewer)
        dock._fields.unfold()
        centre = next(iter(dock.sites.fields.places("main").values()))
        viewer.scene.camera.center = (0.0, *centre)
        viewer.scene.camera.zoom = 5
        wait_for(viewer)
        dock.ensureWidgetVisible(dock.sites)
        bar = dock.verticalScrollBar()
        bar.setValue(bar.maximum())
        wait_for(viewer)
        viewer.screenshot(str(out / "targets-sites.png"), canvas_only=False, flash=False)
        workspace_for(viewer).store.close()
        viewer.close()
    for name in ("targets-dock.png", "targets-solid.png", "targets-sites.png"):
        shrink(out / name)


if __name__ == "__main__":
    main(*sys.argv[1:3])
