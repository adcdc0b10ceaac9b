"""The slab of a lamella laid on its TEM map: cut, shown whole, by parts or in turn."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from weakref import ref

import numpy as np
from napari.layers import Image

from napari_clxem.errors import NoPathError
from napari_clxem.frames.affine import Floats
from napari_clxem.lamella import LamellaRecord, resample_slab, slab_pose
from napari_clxem.plugin.controllers.loading import open_planes
from napari_clxem.plugin.controllers.workspace import Workspace
from napari_clxem.plugin.layers import UNIT, Plane
from napari_clxem.plugin.world import unwrapped
from napari_clxem.session.extents import middle
from napari_clxem.session.geometry import graph
from napari_clxem.session.model import Dataset, Session
from napari_clxem.session.overlaps import TOMOGRAM, volumes
from napari_clxem.session.slabs import laid

# Pixels along the longer side of a slab laid on the map: what the eye compares needs no more.
LARGEST = 700
# Squares along the longer side of a checkerboard.
SQUARES = 8

Job = tuple[Dataset, list[Plane], Floats]
Cut = tuple[Plane, Floats, tuple[float, float]]


class SlabLayers:
    """Slabs of tomogram and fluorescence on the map of a lamella.

    Parameters
    ----------
    workspace : Workspace
    viewer : napari.components.ViewerModel
        Kept by weak reference.

    Attributes
    ----------
    share : float
        How much of them shows, from the left.
    chequered : bool
        Whether they show in every other square only.
    """

    def __init__(self, workspace: Workspace, viewer: Any) -> None:
        self._workspace = workspace
        viewer = unwrapped(viewer)
        self._viewer = ref(viewer)
        self._slabs: list[tuple[Any, Floats]] = []
        self._hidden: list[Any] = []
        self.share, self.chequered = 1.0, False
        viewer.layers.events.removed.connect(self._on_removed)

    def release(self) -> None:
        """Take the slabs away and let the viewer go."""
        self.clear()
        viewer = self._viewer()
        if viewer is not None:
            viewer.layers.events.removed.disconnect(self._on_removed)

    @property
    def layers(self) -> tuple[Any, ...]:
        """Layers of the slabs."""
        return tuple(layer for layer, _ in self._slabs)

    def lay(self, found: Sequence[Cut], map_: Dataset, to_display: Floats) -> None:
        """Show slabs on the map, and nothing else but it."""
        self.clear()
        viewer = self._viewer()
        if viewer is None:
            return
        self._leave_alone(map_)
        for plane, image, pixel in found:
            if not np.isfinite(image).any():
                continue
            low, high = contrast(image, plane)
            layer = Image(
                parts(image, self.share, self.chequered),
                name=f"Slab of {plane.name}",
                scale=pixel,
                affine=to_display,
                units=(UNIT, UNIT),
                axis_labels=("y", "x"),
                colormap=plane.look.get("colormap", "gray"),
                contrast_limits=(low, high),
                blending=plane.look.get("blending", "translucent"),
                metadata={"clxem": {"marks": True}},
            )
            self._slabs.append((layer, image))
            viewer.layers.insert(self._above(viewer), layer)

    def clear(self) -> None:
        """Take the slabs away, and show again what they had hidden."""
        viewer = self._viewer()
        for layer in self.layers:
            if viewer is not None and layer in viewer.layers:
                viewer.layers.remove(layer)
        self._slabs.clear()
        for layer in self._hidden:
            layer.visible = True
        self._hidden.clear()

    def blink(self) -> None:
        """Show the slabs where they were hidden, and the other way round."""
        on = any(layer.visible for layer in self.layers)
        for layer in self.layers:
            layer.visible = not on

    def see(self) -> None:
        """Show the slabs."""
        for layer in self.layers:
            layer.visible = True

    def swipe(self, share: float) -> None:
        """Show only the left part of the slabs: the map shows in the rest."""
        self.share = share
        self._show_parts()

    def chequer(self, on: bool) -> None:
        """Show slabs and map in turn by squares."""
        self.chequered = on
        self._show_parts()

    def _show_parts(self) -> None:
        for layer, image in self._slabs:
            layer.data = parts(image, self.share, self.chequered)

    def _above(self, viewer: Any) -> int:
        """Give the place over all images, under the marks."""
        ours = [*self._workspace.layers.layers.values(), *self.layers]
        there = [index for index, layer in enumerate(viewer.layers) if layer in ours]
        return max(there, default=-1) + 1

    def _leave_alone(self, map_: Dataset) -> None:
        """Hide the other images: the eye compares the slab with the map."""
        for key, layer in self._workspace.layers.layers.items():
            if key[0] != map_.id and layer.visible:
                layer.visible = False
                self._hidden.append(layer)

    def _on_removed(self, event: Any) -> None:
        self._slabs = [one for one in self._slabs if one[0] is not event.value]


def parts(image: Floats, share: float, chequered: bool) -> Floats:
    """Give what shows of a slab: its left part, or every other square of it.

    Parameters
    ----------
    image : (ny, nx) array
    share : float
        How much of its width.
    chequered : bool
        NaN, which napari leaves clear, in every other square.
    """
    shown = image[:, : max(1, round(share * image.shape[1]))]
    if not chequered:
        return shown
    side = max(1, -(-max(image.shape) // SQUARES))
    rows, columns = (np.arange(count) // side for count in shown.shape)
    return np.where((rows[:, np.newaxis] + columns) % 2 == 0, shown, np.float32(np.nan))


def contrast(image: Floats, plane: Plane) -> tuple[float, float]:
    """Give the contrast limits of a slab."""
    # What glows keeps the contrast of its stack: stretched, its noise would glow, too.
    glows = plane.look.get("blending") == "additive"
    own = plane.look.get("contrast_limits") if glows else None
    low, high = own or np.percentile(image[np.isfinite(image)], [1.0, 99.7])
    return float(low), float(max(high, low + 1e-9))


def slab_jobs(
    session: Session, record: LamellaRecord, site: str | None, workspace: Workspace
) -> list[Job]:
    """List the volumes that are linked with a lamella's map, the tomogram below what glows."""
    ways = graph(laid(session, record))
    found = []
    for dataset in sorted(volumes(session, site, ""), key=lambda one: one.modality != TOMOGRAM):
        spot = middle(session, dataset)
        if spot is None:
            continue
        try:
            way = ways.transform(dataset.frame, record.frame, [spot])
        except NoPathError:
            continue
        found.append((dataset, workspace.layers.planes(dataset), way.placement))
    return found


def cut_slabs(
    store: Any,
    jobs: Sequence[Job],
    record: LamellaRecord,
    known: tuple[tuple[int, ...], tuple[float, ...]],
) -> list[Cut]:
    """Cut the slab of a lamella out of volumes and lay it on its map.

    Parameters
    ----------
    store : Store
        Opens what is not open yet.
    jobs : sequence of (Dataset, list of Plane, (4, 4) array)
        Volumes with how they lie in the map's frame.
    record : LamellaRecord
        In the frame of the map.
    known : tuple
        Shape of the map and its pixel size, µm.

    Returns
    -------
    list of (Plane, (ny, nx) array, tuple of float)
        What each is of, the slab, and its pixel size, µm.
    """
    factor = int(np.ceil(max(known[0]) / LARGEST))
    shape = (-(-known[0][0] // factor), -(-known[0][1] // factor))
    pixel = (known[1][0] * factor, known[1][1] * factor)
    pose = slab_pose(record.lamella)
    found = []
    for dataset, planes, placement in jobs:
        for plane in planes or open_planes(store, dataset):
            if plane.scale is None or len(plane.scale) != 3:
                continue
            z, y, x = plane.scale
            image = resample_slab(
                plane.levels[0], (z, y, x), placement, pose, shape, pixel, inside_only=True
            )
            found.append((plane, image, pixel))
    return found
