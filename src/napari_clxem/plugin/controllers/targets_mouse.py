"""What a mouse does in the dock "Targets": pick a target, drag it, pull at the lamella box."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol
from weakref import ref

import numpy as np
from napari.utils.notifications import show_warning

from napari_clxem.errors import ClxemError
from napari_clxem.fiducials.profiles import Floats
from napari_clxem.plugin.controllers.depth import on_ray
from napari_clxem.plugin.controllers.picking import HAND, REACH, STILL
from napari_clxem.plugin.controllers.positions import matrix
from napari_clxem.plugin.controllers.targets import Canvas, Targets
from napari_clxem.plugin.layers import Plane
from napari_clxem.session.beads import LOOKS, kind_of
from napari_clxem.session.model import Dataset

Height = Literal["brightest", "slice"]


class Draggable(Protocol):
    """Things that a hand can take hold of in a canvas."""

    def places(self, canvas: Canvas) -> Mapping[str, Floats]:
        """Give where they show, (row, column) or (y, x) display µm."""

    def drag(self, canvas: Canvas, name: str, spot: Floats) -> None:
        """Show one elsewhere, for the eye only."""

    def drop(self, canvas: Canvas, name: str, spot: Floats) -> None:
        """Leave it there."""

    def choose(self, name: str) -> None:
        """Take note that it was clicked on."""


@dataclass(frozen=True, eq=False)
class _Held:
    """What a hand holds, and where it was."""

    owner: Draggable
    name: str
    place: Floats


class TargetMouse:
    """The mouse of one canvas.

    Parameters
    ----------
    targets : Targets
        What clicks become.
    viewer : napari.components.ViewerModel
        Kept by weak reference.
    canvas : {"main", "fib"}
        Which canvas it is.
    more : sequence of Draggable
        What else can be dragged, besides handles and targets.

    Attributes
    ----------
    height : {"brightest", "slice"}
        Where a click in a stack lies along z.
    """

    def __init__(
        self, targets: Targets, viewer: Any, canvas: Canvas, more: Sequence[Draggable] = ()
    ) -> None:
        viewer = getattr(viewer, "__wrapped__", viewer)
        self._targets = targets
        self._draggable: tuple[Draggable, ...] = (targets.boxes, targets.picks, *more)
        self._canvas: Canvas = canvas
        self._viewer = ref(viewer)
        self.height: Height = "brightest"
        viewer.mouse_drag_callbacks.append(self._on_press)

    def release(self) -> None:
        """Give the mouse back."""
        viewer = self._viewer()
        if viewer is not None:
            viewer.mouse_drag_callbacks.remove(self._on_press)

    def _ready(self, viewer: Any, event: Any) -> bool:
        active = viewer.layers.selection.active
        # Another tool of napari is at work on its layer.
        idle = active is None or str(getattr(active, "mode", "pan_zoom")) == "pan_zoom"
        shown = bool(self._targets.workspace.view.frame)
        return (
            self._targets.active
            and idle
            and shown
            and event.button == 1
            and not event.modifiers
            and len(event.position) >= 2
        )

    def _on_press(self, viewer: Any, event: Any) -> Iterator[None]:
        if not self._ready(viewer, event):
            return
        start = np.array(event.pos, dtype=float)
        spot = np.array(event.position[-2:], dtype=float)
        flat = viewer.dims.ndisplay == 2
        held = self._held(spot, REACH / viewer.scene.camera.zoom) if flat else None
        offset = np.zeros(2)
        if held is not None:
            event.handled = True
            offset = held.place - spot
        moved = False
        yield
        while event.type == "mouse_move":
            moved = moved or float(np.linalg.norm(np.array(event.pos) - start)) > STILL
            if held is not None and moved:
                event.handled = True
                spot = np.array(event.position[-2:], dtype=float)
                held.owner.drag(self._canvas, held.name, spot + offset)
            yield
        if held is not None and moved:
            held.owner.drop(self._canvas, held.name, spot + offset)
        elif held is not None and not (self._picks and held.owner is self._targets.boxes):
            held.owner.choose(held.name)
        elif not moved and self._picks:
            self._pick(viewer, event)

    @property
    def _picks(self) -> bool:
        return self._canvas == "main" and self._targets.picks.picking

    def _held(self, spot: Floats, reach: float) -> _Held | None:
        """Find what is under the mouse: of what is near, the nearest."""
        near = [
            (float(np.linalg.norm(there - spot)), _Held(owner, name, there))
            for owner in self._draggable
            for name, there in owner.places(self._canvas).items()
        ]
        best = min(near, key=lambda one: one[0], default=None)
        return None if best is None or best[0] > reach else best[1]

    # -- picking

    def _pick(self, viewer: Any, event: Any) -> None:
        found = self._picked_in(viewer, event)
        if found is None:
            show_warning("There is no image under the click; pick inside of one that is shown.")
            return
        dataset, plane, place = found
        ndim = len(place)
        step = np.array(plane.scale, dtype=float)
        screen = HAND / viewer.scene.camera.zoom
        lateral = float(max(screen, step[-2:].max() / 2))
        sigma: tuple[float, ...] = (
            (lateral, lateral) if ndim == 2 else (max(float(step[0]), lateral), lateral, lateral)
        )
        if self._targets.picks.snap:
            radius = self._targets.target.radius if self._targets.target else 0.5
            there = centroid_near(plane.levels[0], step, place, radius, _is_dark(dataset))
            if there is not place:  # a centroid is surer than a hand: half a pixel
                place, sigma = there, tuple(float(v) for v in step / 2)
        site = dataset.site or self._targets.workspace.view.site
        self._targets.picks.add(dataset.frame, site, tuple(float(v) for v in place), sigma)

    def _picked_in(self, viewer: Any, event: Any) -> tuple[Dataset, Plane, Floats] | None:
        """Find the image under the mouse: the layer selected, else the topmost one seen."""
        workspace = self._targets.workspace
        session, view = workspace.store.session, workspace.view
        layers = workspace.layers.layers
        order = {id(layer): n for n, layer in enumerate(viewer.layers)}
        chosen = viewer.layers.selection
        keys = sorted(
            (key for key in layers if layers[key].visible and id(layers[key]) in order),
            key=lambda key: (layers[key] not in chosen, -order[id(layers[key])]),
        )
        for name, channel in keys:
            dataset = next(one for one in session.datasets if one.id == name)
            planes = {one.meta["channel"]: one for one in workspace.layers.planes(dataset)}
            where = matrix(session, dataset, view)
            plane = planes.get(channel)
            if plane is None or where is None or plane.scale is None:
                continue
            place = self._place(viewer, event, dataset, plane, np.linalg.inv(where))
            if place is not None:
                return dataset, plane, place
        return None

    def _place(
        self, viewer: Any, event: Any, dataset: Dataset, plane: Plane, back: Floats
    ) -> Floats | None:
        """Give the place in an image, µm; None outside of it."""
        ndim = len(back) - 1
        spot = np.array([*np.zeros(ndim), *event.position], dtype=float)[-ndim:]
        here = back[:ndim, :ndim] @ spot + back[:ndim, ndim]
        step = np.array(plane.scale, dtype=float)
        size = (np.array(plane.levels[0].shape) - 1) * step
        deep = viewer.dims.ndisplay == 3
        if ndim == 3 and (deep or self.height == "brightest"):
            way = np.array(event.view_direction if deep else (1.0, 0.0, 0.0), dtype=float)[-3:]
            try:
                return on_ray(plane.levels[0], step, here, back[:3, :3] @ way, _is_dark(dataset))
            except ClxemError:
                return None
        inside = ((here >= -step / 2) & (here <= size + step / 2)).all()
        return here if inside else None


def centroid_near(
    volume: Any, step: Floats, place: Floats, radius: float, dark: bool = False
) -> Floats:
    """Give the centroid of what stands out around a place.

    Parameters
    ----------
    volume : array_like, (nz, ny, nx) or (ny, nx)
        The image, lazy or not; only what is near is read.
    step : (d,) array
        Pixel size, µm.
    place : (d,) array
        µm of the image.
    radius : float
        Of what is meant, µm: twice that is looked at.
    dark : bool
        Whether it is darker than what is around it.

    Returns
    -------
    (d,) array
        µm; the place itself where nothing stands out.
    """
    reach = np.maximum(2 * radius, 2 * step)
    size = np.array(volume.shape)
    here = place
    for _ in range(3):
        low = np.clip(np.floor((here - reach) / step).astype(int), 0, size - 1)
        high = np.clip(np.ceil((here + reach) / step).astype(int) + 1, 1, size)
        part = np.asarray(volume[tuple(slice(a, b) for a, b in zip(low, high, strict=True))], float)
        part = part * (-1.0 if dark else 1.0)
        grids = np.meshgrid(
            *(np.arange(a, b) * s for a, b, s in zip(low, high, step, strict=True)), indexing="ij"
        )
        away = sum(((g - c) / r) ** 2 for g, c, r in zip(grids, here, reach, strict=True))
        middle, top = np.median(part), part.max()
        weight = np.where(away <= 1, np.clip(part - (middle + top) / 2, 0.0, None), 0.0)
        if not weight.sum() > 0:
            return place
        here = np.array([(grid * weight).sum() / weight.sum() for grid in grids])
    return here


def _is_dark(dataset: Dataset) -> bool:
    kind = kind_of(dataset)
    return kind in LOOKS and LOOKS[kind].kind == "dark"
