"""What happened at the place that the mouse points at."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any
from weakref import ref

import numpy as np
from psygnal import Signal

from napari_clxem.dose import Breakdown, Interval, breakdown
from napari_clxem.frames.affine import Floats
from napari_clxem.plugin.controllers.dose_scene import Scene
from napari_clxem.plugin.controllers.dose_work import Latest, timer
from napari_clxem.plugin.world import unwrapped

POINTED = 30  # ms between two looks at the cursor
STILL = 250  # ms after which the mouse counts as still


class Pointer:
    """Follows the mouse over one canvas.

    Parameters
    ----------
    viewer : napari.Viewer
        Kept by weak reference.
    zero : callable
        Gives the display's zero (y, x) in the frame shown, µm.

    Attributes
    ----------
    pointed : Signal
        Emitted when there is something else to say.
    """

    pointed = Signal()

    def __init__(self, viewer: Any, zero: Callable[[], Floats]) -> None:
        viewer = unwrapped(viewer)
        self._viewer = ref(viewer)
        self._zero = zero
        self._scene: Scene | None = None
        self._upto, self._surface = 0, False
        self._place: Floats | None = None
        self._below: Breakdown | None = None
        self._spread: tuple[float, float] | None = None
        self._spreading = Latest()
        self._soon, self._still = timer(POINTED, self.look), timer(STILL, self._on_still)
        viewer.mouse_move_callbacks.append(self._on_move)

    def release(self) -> None:
        """Give the mouse back."""
        self._spreading.drop()
        self._soon.stop()
        self._still.stop()
        viewer = self._viewer()
        if viewer is not None:
            viewer.mouse_move_callbacks.remove(self._on_move)

    @property
    def below(self) -> Breakdown | None:
        """What happened at the place pointed at."""
        return self._below

    @property
    def spread(self) -> tuple[float, float] | None:
        """The 90 % interval by registration there, MGy; None until the mouse was still."""
        return self._spread

    def follow(self, shown: Scene | None, upto: int, surface: bool) -> None:
        """Ask another scene from now on."""
        self._scene, self._upto, self._surface = shown, upto, surface
        self.look()

    def point(self, place: Floats | None) -> None:
        """Ask what happened at a place (y, x) of the frame shown, µm."""
        self._place = None if place is None else np.asarray(place, float)[-2:]
        self.look()

    def look(self) -> None:
        """Ask again."""
        shown, place = self._scene, self._place
        self._spread = None
        if shown is None or place is None:
            self._below = None
        else:
            self._below = breakdown(shown.history, place, self._upto, shown.z)
            self._still.start()
        self.pointed.emit()

    def _on_move(self, viewer: Any, event: Any) -> None:
        if self._scene is None or len(event.position) < 2 or viewer.dims.ndisplay == 3:
            return
        self._place = np.array(event.position[-2:], float) + self._zero()
        if not self._soon.isActive():
            self._soon.start()

    def _on_still(self) -> None:
        """Ask what the registration leaves open: it takes forty times as long as the dose."""
        shown, place, surface = self._scene, self._place, self._surface
        if shown is None or place is None or self._upto < len(shown.history):
            return
        here = place[np.newaxis]

        def work() -> Interval:
            return shown.history.interval(here, surface, shown.z)

        self._spreading.ask(work, partial(self._on_spread, place))

    def _on_spread(self, place: Floats, found: Interval) -> None:
        if place is self._place:
            self._spread = (float(found.low[0]), float(found.high[0]))
            self.pointed.emit()
