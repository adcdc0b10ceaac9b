"""Have the kernels of the SXT analysis compiled, or read from disk, before they are needed."""

from __future__ import annotations

from typing import Any

import numpy as np
from napari.qt.threading import create_worker

_begun = False
PIXEL = 0.01


def warm() -> Any:
    """Do a tiny analysis in a thread, once; give the worker, or None where it was done before."""
    global _begun
    if _begun:
        return None
    _begun = True
    worker: Any = create_worker(tiny, _start_thread=False)
    worker.start()
    return worker


def tiny() -> None:
    """Correlate in single and double precision, and reconstruct a few pixels."""
    # napari reads these at the first features of a layer, which takes half a second
    import pandas  # noqa: F401

    from napari_clxem import xray
    from napari_clxem.xray import fsc, project, reconstruct

    xray.warm(block=True)  # by another process: a compiler in this one would hold up the window
    rng = np.random.default_rng(0)
    halves = rng.normal(size=(2, 16, 16, 16))
    fsc(halves[0], halves[1], PIXEL)
    fsc(halves[0].astype(np.float32), halves[1].astype(np.float32), PIXEL)
    tilts = np.linspace(-60, 60, 7)
    series = project(np.ones((8, 4, 16), np.float32), tilts, PIXEL)
    reconstruct(series, tilts, PIXEL, thickness=8, iterations=1)
    reconstruct(series, tilts, PIXEL, thickness=8, iterations=1, method="SIRT")
