"""What a mouse does in a canvas while landmarks are picked: pick, drag, point."""

from __future__ import annotations

from collections.abc import Iterator
from time import monotonic
from typing import Any, Literal
from weakref import ref

import numpy as np
from napari.utils.notifications import show_warning

from napari_clxem.fiducials.profiles import Floats
from napari_clxem.plugin.controllers.correlation import Correlation
from napari_clxem.plugin.controllers.depth import along_z, on_ray
from napari_clxem.plugin.controllers.pairing import Canvas
from napari_clxem.plugin.controllers.snapping import Snapper
from napari_clxem.plugin.layers import Plane
from napari_clxem.session.beads import LOOKS, kind_of

Height = Literal["brightest", "slice"]
# A mark is grabbed, and a click is no drag, within so many pixels of the screen.
REACH = 9.0
STILL = 3.0
# A second click sooner than this, at the same place, is half of a double click, s.
DOUBLE = 0.4
# A hand hits what the eye sees to about so many pixels of the screen (one standard deviation).
HAND = 1.5


class Picker:
    """The mouse of one canvas.

    Parameters
    ----------
    correlation : Correlation
        What picks and drags become.
    canvas : {"main", "second"}
        Which canvas.
    snapper : Snapper
        Moves picks onto beads where that is wanted.

    Attributes
    ----------
    height : {"brightest", "slice"}
        Where a click in a stack lies along z.
    """

    def __init__(self, correlation: Correlation, canvas: Canvas, snapper: Snapper) -> None:
        self._correlation = correlation
        self._canvas = canvas
        self._snapper = snapper
        self._last = (0.0, np.full(2, np.inf))
        self.height: Height = "brightest"
        viewer = correlation.model(canvas)
        self._viewer = ref(viewer)
        viewer.mouse_drag_callbacks.append(self._on_press)
        viewer.mouse_move_callbacks.append(self._on_move)

    def release(self) -> None:
        """Give the mouse back."""
        viewer = self._viewer()
        if viewer is not None:
            viewer.mouse_drag_callbacks.remove(self._on_press)
            viewer.mouse_move_callbacks.remove(self._on_move)

    @property
    def _ready(self) -> bool:
        correlation = self._correlation
        if correlation.pair is None or (self._canvas == "main" and not correlation.engaged):
            return False
        viewer = self._viewer()
        active = None if viewer is None else viewer.layers.selection.active
        # Another tool of napari is at work on its layer.
        return active is None or str(getattr(active, "mode", "pan_zoom")) == "pan_zoom"

    def _on_move(self, _viewer: Any, event: Any) -> None:
        if self._ready:
            self._correlation.point(self._canvas, self._frame_place(event.position))

    def _on_press(self, viewer: Any, event: Any) -> Iterator[None]:
        if not self._ready or event.button != 1 or event.modifiers:
            return
        start = np.array(event.pos, dtype=float)
        place = self._frame_place(event.position)
        grabbed = None if place is None else self._at(place, REACH / viewer.scene.camera.zoom)
        offset = np.zeros(0)
        if grabbed is not None and place is not None:
            event.handled = True
            offset = grabbed[1] - place
        moved = False
        here = place
        yield
        while event.type == "mouse_move":
            moved = moved or float(np.linalg.norm(np.array(event.pos) - start)) > STILL
            if grabbed is not None and moved:
                event.handled = True
                here = self._frame_place(event.position)
                if here is not None:
                    self._correlation.drag(self._canvas, grabbed[0], here + offset)
            yield
        if grabbed is not None and moved and here is not None:
            self._correlation.drop(self._canvas, grabbed[0], here + offset)
        elif grabbed is not None:
            self._correlation.select(grabbed[0])
        elif not moved and self._correlation.picking and not self._is_double(start):
            self._pick(viewer, event)

    def _is_double(self, pos: Floats) -> bool:
        before, there = self._last
        self._last = (monotonic(), pos)
        return monotonic() - before < DOUBLE and float(np.linalg.norm(pos - there)) < STILL

    def _frame_place(self, position: Any) -> Floats | None:
        """Give a place of the canvas in its frame, µm; None where the slice says no height."""
        panel = self._correlation.panel(self._canvas)
        if len(position) < panel.ndim:
            return None
        return np.array(position[-panel.ndim :], dtype=float) + panel.zero

    def _at(self, place: Floats, reach: float) -> tuple[str, Floats] | None:
        """Find the landmark under the mouse, in the plane: marks are seen from every slice."""
        correlation = self._correlation
        pair = correlation.pair
        if pair is None:
            return None
        near: list[tuple[float, str, Floats]] = []
        for mark in pair.link.landmarks:
            there = pair.position(mark, self._canvas)
            if there is not None:
                apart = float(np.linalg.norm(np.array(there)[-2:] - place[-2:]))
                near.append((apart, mark.id, np.array(there)))
        best = min(near, key=lambda one: one[0], default=None)
        return None if best is None or best[0] > reach else (best[1], best[2])

    def _pick(self, viewer: Any, event: Any) -> None:
        place = self._frame_place(event.position)
        plane = self._plane(viewer)
        if place is None or plane is None:
            show_warning("The image to pick in is not shown yet; wait until it is open.")
            return
        if len(place) == 3 and self.height == "brightest":
            found = self._brightest(viewer, event, plane, place)
            if found is None:
                show_warning("There is no image under the click; pick inside of it.")
                return
            place = found
        sigma = self._hand(viewer, plane, len(place))
        self._snapper.pick(self._canvas, plane, place, sigma)

    def _plane(self, viewer: Any) -> Plane | None:
        """Give the channel that is picked in: the one selected, else the first one seen."""
        planes = {one.meta["channel"]: one for one in self._correlation.planes(self._canvas)}
        layers = self._correlation.layers(self._canvas)
        selected = viewer.layers.selection
        order = sorted(layers, key=lambda c: (layers[c] not in selected, not layers[c].visible, c))
        return next((planes[channel] for channel in order if channel in planes), None)

    def _brightest(self, viewer: Any, event: Any, plane: Plane, place: Floats) -> Floats | None:
        if plane.scale is None or len(plane.scale) < 3:
            return place
        dataset = self._correlation.dataset(self._canvas)
        dark = dataset is not None and _is_dark(kind_of(dataset))
        volume = plane.levels[0]
        if viewer.dims.ndisplay == 3:
            return on_ray(volume, plane.scale, place, event.view_direction, dark)
        height = along_z(volume, plane.scale, place, dark)
        return None if height is None else np.array([height, *place[1:]])

    def _hand(self, viewer: Any, plane: Plane, ndim: int) -> tuple[float, ...]:
        """Give the standard deviation of a pick by hand, µm: of the screen, or of the pixels."""
        screen = HAND / viewer.scene.camera.zoom
        pixels = np.array(plane.scale or (screen,) * ndim, dtype=float)[-ndim:] / 2
        lateral = float(max(screen, pixels[-2:].max()))
        if ndim == 2:
            return (lateral, lateral)
        return (float(max(2 * pixels[0], lateral)), lateral, lateral)


def _is_dark(kind: tuple[str, int]) -> bool:
    return kind in LOOKS and LOOKS[kind].kind == "dark"
