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
from napari_clxem.plugin.widgets.lamella import LamellaWidget
from napari_clxem.plugin.window import open_window


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


def main(session: str, folder: str) -> None:
    """Open a copy of the session, and take the pictures."""
    out = Path(folder)
    with tempfile.TemporaryDirectory() as place:
        again = Path(place) / "again"
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
        workspace_for(viewer).store.close()
        viewer.close()


if __name__ == "__main__":
    main(*sys.argv[1:3])
