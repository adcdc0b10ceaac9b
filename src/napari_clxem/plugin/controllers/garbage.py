"""Keep what stays for good out of garbage collections: napari makes a full one per layer removed.

A window and its libraries are a quarter of a million objects, and to walk over them takes longer
than a window may hold its breath. What is spared is freed as ever when nobody refers to it; only
rings of objects that refer to each other stay until the last window is closed.
"""

from __future__ import annotations

import gc
from typing import Any
from weakref import WeakSet

from qtpy.QtWidgets import QApplication

_viewers: WeakSet[Any] = WeakSet()
_told: WeakSet[Any] = WeakSet()


def watch(viewer: Any) -> None:
    """Note a viewer, whose layers shall never be spared."""
    _viewers.add(viewer)
    app = QApplication.instance()
    if isinstance(app, QApplication) and app not in _told:
        _told.add(app)
        app.lastWindowClosed.connect(gc.unfreeze)


def spare() -> bool:
    """Spare all there is from now on.

    Returns
    -------
    bool
        False where a viewer holds layers, which are such rings, and large: then nothing is spared.
    """
    if any(len(viewer.layers) for viewer in _viewers):
        return False
    gc.freeze()
    return True
