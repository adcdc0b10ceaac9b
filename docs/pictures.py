"""Make the pictures of the documentation from the running plugin: ``python docs/pictures.py``."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from napari_clxem.plugin.window import open_window, take_pictures
from napari_clxem.samples import sample_folder

IMAGES = Path(__file__).parent / "images"
WANTED = {"grid.png": "grid.png", "A-slice.png": "A-slice.png", "A-window.png": "window.png"}


def main() -> None:
    IMAGES.mkdir(exist_ok=True)
    viewer = open_window(sample_folder() / "grid.clxem.json")
    with tempfile.TemporaryDirectory() as folder:
        take_pictures(viewer, folder)
        for made, name in WANTED.items():
            shutil.copyfile(Path(folder) / made, IMAGES / name)
    viewer.close()


if __name__ == "__main__":
    main()
