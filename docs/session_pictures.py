"""Make the pictures of the Session dock: ``python docs/session_pictures.py``."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import napari
from qtpy.QtWidgets import QApplication

from napari_clxem.plugin.controllers import workspace_for
from napari_clxem.samples import sample_folder
from napari_clxem.session import Site, Target, edits, load, save

IMAGES = Path(__file__).parent / "images"
PATIENCE = 120.0  # s


def wait(until: Callable[[], object], then: float = 0.5) -> None:
    began = time.monotonic()
    while not until():
        if time.monotonic() - began > PATIENCE:
            raise TimeoutError("the dock does not get there")
        QApplication.processEvents()
    began = time.monotonic()
    while time.monotonic() - began < then:
        QApplication.processEvents()


def picture(widget: Any, name: str) -> None:
    widget.grab().save(str(IMAGES / name))


def main() -> None:
    IMAGES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        os.environ["CLXEM_STATE"] = f"{scratch}/state"
        folder = Path(scratch) / "grid 12"
        shutil.copytree(sample_folder(), folder)
        draw(folder)


def draw(folder: Path) -> None:
    viewer = napari.Viewer(show=True)
    viewer.window.resize(1300, 900)
    container, dock = viewer.window.add_plugin_dock_widget("napari-clxem", "Session")
    container.setFixedWidth(340)
    workspace = workspace_for(viewer)
    dock.verbs.open(folder / "grid.clxem.json")
    wait(lambda: workspace.store.path is not None)
    wait(lambda: not workspace.loading.busy)
    for status in ("imaged", "x-rayed"):
        workspace.store.commit(
            lambda s, status=status: edits.set_status(s, "C", status), f"C is {status}"
        )
    dock._steps.unfold()
    dock._tree.choose("site", "A")
    wait(lambda: True, 1.0)
    picture(dock, "session-dock.png")

    other = edits.set_status(load(folder / "grid.clxem.json"), "C", "milled")
    target = other.targets[0]
    other = edits.put(other, Site(name="D"))
    other = edits.amend(other, Target, target.id, radius=0.5)
    save(other, folder / "copy.clxem.json")
    dock.verbs.compare(folder / "copy.clxem.json")
    wait(lambda: dock.dialog is not None)
    picture(dock.dialog, "session-merge.png")
    dock.dialog.reject()

    for name in ("grid.json", "grid.clxem.json", "copy.clxem.json"):
        (folder / name).unlink()
    dock.verbs.look_through(folder)
    wait(lambda: dock.dialog is not None)
    picture(dock.dialog, "session-folder.png")
    dock.dialog.reject()
    viewer.close()


if __name__ == "__main__":
    main()
