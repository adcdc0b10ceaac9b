"""How long one step of a drag at a lamella box takes, on the sample grid in a window.

python -P benchmarks/targets_drag.py

Prints the median and the longest of: the probabilities alone, patching the layers (both canvases
and the figures of the dock), and the turn of the event loop after it, which paints both canvases.
"""

from __future__ import annotations

import time
from functools import partial
from statistics import median

import numpy as np
from qtpy.QtWidgets import QApplication

from napari_clxem.plugin.controllers import release, workspace_for
from napari_clxem.plugin.sample import sample_session
from napari_clxem.plugin.widgets.targets import TargetsWidget
from napari_clxem.session import Store, load
from napari_clxem.session.promises import captures

STEPS = 120


def timed(work):
    """Give what a call takes: wall and processor, ms."""
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return 1e3 * (time.perf_counter() - wall), 1e3 * (time.process_time() - cpu)


def told(name: str, found: list[tuple[float, float]]) -> None:
    """Print one line."""
    walls, cpus = zip(*found, strict=True)
    print(
        f"{name:<34} {median(walls):6.2f} ms median, {np.percentile(walls, 95):6.2f} ms 95 %, "
        f"{max(walls):6.2f} ms longest; processor {median(cpus):6.2f} ms"
    )


def settle(seconds: float) -> None:
    """Let the window work for a while."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        QApplication.processEvents()
        time.sleep(0.005)


def main() -> None:
    """Open the sample grid and drag every handle."""
    import napari

    viewer = napari.Viewer(show=True)
    viewer.window.resize(1580, 960)
    workspace = workspace_for(viewer)
    workspace.use(Store(load(sample_session()), journal=False))
    dock = TargetsWidget(viewer)
    viewer.window.add_dock_widget(dock, name="Targets", area="right")
    workspace.show_site("A", "confocal-A")
    settle(4.0)
    targets = dock.targets
    targets.boxes.draw()
    targets.boxes.set_joints(True)
    settle(3.0)
    while workspace.turns.busy:  # layers are still being made
        settle(0.5)
    lamella, placing = targets.lamella, targets.placing
    told(
        "probability, two targets",
        [timed(lambda: captures(lamella, targets.aims, placing)) for _ in range(STEPS)],
    )
    for canvas, handle in (("fib", "centre"), ("fib", "top"), ("fib", "angle"), ("main", "front")):
        start = targets.boxes.places(canvas)[handle]
        drag = partial(targets.boxes.drag, canvas, handle)
        patches, turns = [], []
        for step in range(STEPS):
            spot = start + 0.01 * step * np.array([-0.4, 0.3])
            patches.append(timed(partial(drag, spot)))
            turns.append(timed(QApplication.processEvents))
        told(f"patch, {canvas} {handle}", patches)
        told(f"turn after it, {canvas} {handle}", turns)
        targets.boxes.live = None
        targets.look_again()
        settle(1.0)
        while workspace.turns.busy:
            settle(0.5)
    dock.close()
    release(viewer)
    viewer.close()


if __name__ == "__main__":
    main()
