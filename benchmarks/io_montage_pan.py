"""Pan and zoom over a SerialEM montage of 100 pieces in a window, and how long it does not answer.

    xvfb-run -a -s "-screen 0 1600x1000x24" python -P benchmarks/io_montage_pan.py

The montage is 10 x 10 pieces of 2048 x 2048 pixels with an mdoc and a Navigator file. The view is
drawn back to the whole montage, then moved and zoomed by small steps as a hand does, at several
magnifications. Given is the longest turn of the event loop at each, without the painting of a
software renderer: clock and processor time of the window's thread.
"""

from __future__ import annotations

import argparse
import struct
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import napari
import numpy as np

sys.path.append(str(Path(__file__).parent))

from event_loop import LIMIT_BLOCK, Watch, settle

SIDE, COUNT, STEP = 2048, 100, 1900
STEPS = 40
# Screen pixels per pixel of the montage.
ZOOMS = (0.04, 0.1, 0.2, 0.4, 1.0, 2.0)


def make(folder: Path) -> Path:
    path = folder / "montage.mrc"
    header = bytearray(1024)
    struct.pack_into("<4i", header, 0, SIDE, SIDE, COUNT, 6)
    struct.pack_into("<3i", header, 28, SIDE, SIDE, COUNT)
    struct.pack_into("<6f", header, 40, SIDE * 10, SIDE * 10, COUNT * 10, 90, 90, 90)
    header[208:216] = b"MAP DD\0\0"
    rng = np.random.default_rng(1)
    noise = rng.integers(800, 1200, (SIDE, SIDE)).astype("<u2")
    with path.open("wb") as file:
        file.write(header)
        for i in range(COUNT):
            file.write((noise + 5 * i).astype("<u2").tobytes())
    places = [(i // 10 * STEP, i % 10 * STEP) for i in range(COUNT)]
    sections = "".join(
        f"[ZValue = {i}]\nPieceCoordinates = {x} {y} 0\n" for i, (x, y) in enumerate(places)
    )
    (folder / "montage.mrc.mdoc").write_text(f"ImageSize = {SIDE} {SIDE}\n{sections}")
    width = 9 * STEP + SIDE
    (folder / "grid.nav").write_text(
        "AdocVersion = 2.00\n\n[Item = 1]\nColor = 2\nNumPts = 1\nStageXYZ = 10 20 30\nType = 2\n"
        "MapFile = montage.mrc\nMapSection = 0\nMapMontage = 1\nMapBinning = 1\nMontBinning = 1\n"
        f"MapWidthHeight = {width} {width}\nMapScaleMat = 90 5 5 -90\n"
    )
    return path


def moved(viewer: Any, watch: Watch, zoom: float, size: float) -> np.ndarray:
    """Move along a line across the montage at one magnification, then zoom a little."""
    scale = viewer.layers[0].scale[-1] if len(viewer.layers) else 1.0
    viewer.camera.zoom = zoom / scale
    viewer.camera.center = (0.3 * size * scale, 0.3 * size * scale)
    settle(1.0)
    watch.restart()
    for i in range(STEPS):
        share = 0.3 + 0.4 * i / STEPS
        viewer.camera.center = (share * size * scale, (0.3 + 0.2 * np.sin(i / 5)) * size * scale)
        settle(0.02)
    for i in range(STEPS // 2):
        viewer.camera.zoom = zoom / scale * (1 + 0.02 * i)
        settle(0.02)
    settle(0.3)
    return watch.longest.copy()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        path = make(Path(name))
        viewer = napari.Viewer(show=True)
        viewer.window.resize(1500, 950)
        settle(1.0)
        began = time.perf_counter()
        viewer.open(path, plugin="napari-clxem")
        opened = time.perf_counter() - began
        watch = Watch(viewer.window._qt_viewer.canvas._scene_canvas)
        levels = [level.shape for level in viewer.layers[0].data]
        size = levels[0][0]
        sides = [side for side, _ in levels]
        print(f"montage of {size} x {size} pixels, levels {sides}; opened in {opened:.2f} s")
        worst = 0.0
        for zoom in ZOOMS:
            clock, own = moved(viewer, watch, zoom, size)
            worst = max(worst, own)
            print(
                f"zoom {zoom:5.2f}: longest turn {clock:6.0f} ms, of processor {own:6.0f} ms",
                flush=True,
            )
        viewer.close()
    print(f"longest turn {worst:.0f} ms of processor; {LIMIT_BLOCK:.0f} ms are allowed")
    return 0 if worst <= LIMIT_BLOCK else 1


if __name__ == "__main__":
    raise SystemExit(main())
