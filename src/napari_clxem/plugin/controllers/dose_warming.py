"""Have the compiled sums and the tables of doses at hand before they are needed."""

from __future__ import annotations

from typing import Any

from napari.qt.threading import create_worker

_begun = False


def warm() -> Any:
    """Load them in a thread, once; give the worker, or None where it was done before."""
    global _begun
    if _begun:
        return None
    _begun = True
    worker: Any = create_worker(tiny, _start_thread=False)
    worker.start()
    return worker


def tiny() -> None:
    """Do once what the first map, click and budget would otherwise wait for."""
    from napari_clxem.dose import (
        Exposure,
        History,
        breakdown,
        budget,
        contours,
        warm_kernels,
        xray_dose,
    )

    xray_dose(1.0, 520.0)
    budget(20.0)
    one = Exposure.tilt_series(
        modality="sxt", frame="map", aim=(0.0, 0.0), tilts=(0.0, 30.0), beam_radius=1.0,
        dose_per_image=1.0,
    )  # fmt: skip
    history = History([one])
    breakdown(history, (0.0, 0.0))
    history.interval_map((0.0, 0.0), (2, 2), 1.0)
    contours(one)
    warm_kernels()
