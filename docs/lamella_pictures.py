"""Pictures of the dock Lamella overlap, taken from the running plugin.

python docs/lamella_pictures.py sample_data/grid.clxem.json docs/images
"""

from __future__ import annotations

import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from qtpy.QtWidgets import QApplication, QSlider

from napari_clxem.plugin.controllers import workspace_for
from napari_clxem.plugin.controllers.lamella_outline import POSITIONS
from napari_clxem.plugin.controllers.positions import matrix
from napari_clxem.plugin.widgets.lamella import LamellaWidget
from napari_clxem.plugin.window import open_window
from napari_clxem.session.geometry import place
from napari_clxem.session.model import Target


def settle(seconds: float) -> None:
    """Let the window work for a while."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        QApplication.processEvents()
        time.sleep(0.01)


def wait_for(done: Any) -> None:
    """Let the window work until something is done."""
    while not done():
        settle(0.1)
    settle(4.0)


def click(dock: LamellaWidget, layer: Any, target: Target) -> None:
    """Put a tilt series where a target shows on the map."""
    map_ = dock.lamella.map
    session = dock.lamella.session
    view = workspace_for(dock.viewer).view
    spot = place(session, target, map_.frame) if map_ is not None else None
    shown = None if map_ is None else matrix(session, map_, view)
    if spot is not None and shown is not None:
        layer.add(shown[:2, :2] @ spot.position + shown[:2, 2])


def main(session: str, folder: str) -> None:
    """Open a copy of the session, and take the pictures."""
    out = Path(folder)
    with tempfile.TemporaryDirectory() as copies:
        again = Path(copies) / "again"
        shutil.copytree(Path(session).parent, again)
        viewer = open_window(again / Path(session).name)
        overlap = LamellaWidget(viewer)
        viewer.window.add_dock_widget(overlap, name="Lamella overlap", area="right")
        overlap.lamella.show_map()
        settle(8.0)
        overlap.lamella.trace()
        wait_for(lambda: not overlap.lamella.busy)
        overlap.lamella.cut()
        wait_for(lambda: not overlap.lamella.busy)
        for slider in overlap.findChildren(QSlider):
            slider.setValue(50)
        settle(1.0)
        viewer.screenshot(str(out / "lamella-dock.png"), canvas_only=False, flash=False)
        for slider in overlap.findChildren(QSlider):
            slider.setValue(100)
        overlap.lamella.slabs.chequer(True)
        overlap.lamella.place_series()
        site = workspace_for(viewer).view.site
        for target in workspace_for(viewer).store.session.targets:
            if target.site == site:
                click(overlap, viewer.layers[POSITIONS], target)
        overlap.verticalScrollBar().setValue(overlap.verticalScrollBar().maximum())
        settle(1.0)
        viewer.screenshot(str(out / "lamella-squares.png"), canvas_only=False, flash=False)
        workspace_for(viewer).store.close()
        viewer.close()


if __name__ == "__main__":
    main(*sys.argv[1:3])
