"""The milled lamella on its TEM map: outline, overlap, and the slab to look at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any
from weakref import ref

import numpy as np
from napari.layers import Image, Shapes
from napari.qt.threading import create_worker
from napari.utils.notifications import show_error, show_info
from psygnal import Signal

from napari_clxem.errors import ClxemError, NoPathError
from napari_clxem.frames.affine import Floats
from napari_clxem.lamella import (
    Campaign,
    CampaignRow,
    LamellaRecord,
    Outline,
    campaign,
    resample_slab,
    slab_pose,
    trace,
)
from napari_clxem.plugin.controllers.lamella_scene import (
    TOMOGRAM,
    Held,
    Shared,
    held,
    maps,
    middle,
    record_on_map,
    shares,
    volumes,
)
from napari_clxem.plugin.controllers.loading import open_planes
from napari_clxem.plugin.controllers.overlays import Overlays
from napari_clxem.plugin.controllers.positions import matrix, spatial
from napari_clxem.plugin.controllers.scene import go_to
from napari_clxem.plugin.controllers.workspace import Workspace
from napari_clxem.plugin.lamella_marks import OUTLINE, outline_lines
from napari_clxem.plugin.layers import UNIT, Plane
from napari_clxem.plugin.world import unwrapped
from napari_clxem.session import edits
from napari_clxem.session.geometry import graph
from napari_clxem.session.model import Dataset, Session

# Pixels along the longer side of a slab laid on the map: what the eye compares needs no more.
LARGEST = 700
# Share of the canvas that a map fills.
MARGIN = 0.9
DRAWN = "Lamella outline (draw here)"


class LamellaOverlap:
    """Lamellae of the site shown, on their TEM maps.

    Parameters
    ----------
    workspace : Workspace
    viewer : napari.Viewer
        Kept by weak reference.

    Attributes
    ----------
    changed : Signal
        Emitted when there is something else to show.
    notes : tuple of str
        What is to be known of the outline that was traced.
    """

    changed = Signal()

    def __init__(self, workspace: Workspace, viewer: Any) -> None:
        self.workspace = workspace
        viewer = unwrapped(viewer)
        self._viewer = ref(viewer)
        self._marks = Overlays(viewer, workspace.turns)
        self._map_id = ""
        self._worker: Any = None
        self._slabs: list[tuple[Any, Floats]] = []
        self._hidden: list[Any] = []
        self._known: Session | None = None
        self._framing = False
        self.notes: tuple[str, ...] = ()
        self.shares: tuple[Shared, ...] = ()
        self.held: tuple[Held, ...] = ()
        self.others: tuple[CampaignRow, ...] = ()
        workspace.refreshed.connect(self.refresh)
        viewer.layers.events.removed.connect(self._on_removed)
        self.refresh()

    def release(self) -> None:
        """Let workspace and viewer go."""
        if self._worker is not None:
            self._worker.quit()
        self.workspace.refreshed.disconnect(self.refresh)
        viewer = self._viewer()
        if viewer is not None:
            viewer.layers.events.removed.disconnect(self._on_removed)
        self.clear_slabs()
        # What waits to be drawn would otherwise come back after it was taken away.
        self.workspace.turns.finish()
        self._marks.release()

    # -- what there is

    @property
    def session(self) -> Session:
        """The document."""
        return self.workspace.store.session

    @property
    def map(self) -> Dataset | None:
        """The TEM map that is worked on."""
        found = maps(self.session, self.workspace.view.site)
        return next((one for one in found if one.id == self._map_id), next(iter(found), None))

    @property
    def record(self) -> LamellaRecord | None:
        """The lamella outlined on it."""
        map_ = self.map
        return next(
            (one for one in self.session.lamellae if map_ and one.frame == map_.frame), None
        )

    @property
    def corners(self) -> Floats | None:
        """Its outline on the map, (n, 2) µm."""
        record = self.record
        return None if record is None else np.asarray(record.lamella.mid_plane[:, 1:])

    @property
    def busy(self) -> bool:
        """Whether something is being worked out."""
        return self._worker is not None

    @property
    def slabs(self) -> tuple[Any, ...]:
        """Layers of slabs that were laid on the map."""
        return tuple(layer for layer, _ in self._slabs)

    @property
    def campaign(self) -> Campaign:
        """Lamellae of this session and of those that were added."""
        name = self.session.name
        planned = ("milled", "lost")
        rows = [one.row(name) for one in self.session.lamellae if one.status in planned]
        return campaign([*rows, *self.others])

    def choose_map(self, dataset: str) -> None:
        """Work on another map."""
        self._map_id, self._known, self.notes = dataset, None, ()
        self.clear_slabs()
        self.refresh()

    def refresh(self) -> None:
        """Bring everything to the state of the document."""
        record = self.record
        if self._known is not self.session:
            self._known = self.session
            self.shares = shares(self.session, record) if record else ()
            self.held = held(self.session, record) if record else ()
        self._draw()
        self._frame()
        self.changed.emit()

    def _frame(self) -> None:
        """Fill the view with the map, once it is open."""
        viewer, map_ = self._viewer(), self.map
        layer = None if map_ is None else self.workspace.layers.layers.get((map_.id, 0))
        if self._framing and viewer is not None and layer is not None:
            self._framing = False
            layer.visible = True
            low, high = np.asarray(layer.extent.world)[:, -2:]
            go_to(viewer, (low + high) / 2)
            size = np.array(viewer.canvas.size, float)
            viewer.scene.camera.zoom = float(MARGIN * (size / np.maximum(high - low, 1e-6)).min())

    def _draw(self) -> None:
        corners, to_display = self.corners, self._to_display()
        drawn = []
        if corners is not None and to_display is not None:
            drawn = [corners @ to_display[:2, :2].T + to_display[:2, 2]]
        self._marks.put("outline", outline_lines(drawn, 2, "Lamella outline", OUTLINE))

    def _to_display(self) -> Floats | None:
        """Give the map from the TEM map's µm to the display's, (3, 3)."""
        map_ = self.map
        return None if map_ is None else matrix(self.session, map_, self.workspace.view)

    # -- the outline

    def show_map(self) -> None:
        """Show the site in the frame of the map."""
        map_ = self.map
        if map_ is not None:
            self._framing = True
            self.workspace.show_site(self.workspace.view.site, map_.frame, wait=False)
            self._frame()

    def trace(self) -> None:
        """Trace the outline in the background."""
        map_ = self.map
        plane = self._plane(map_) if map_ else None
        if map_ is None or plane is None or plane.scale is None or self._worker is not None:
            return
        pixel = (plane.scale[-2], plane.scale[-1])
        self._start(create_worker(trace, plane.levels[0], pixel, _start_thread=False), self._traced)

    def _traced(self, found: Outline) -> None:
        self.notes = found.notes
        self.keep_outline(found.corners, "Trace the lamella")

    def draw(self) -> None:
        """Open a layer to draw the outline in, with the one there is to be edited."""
        viewer, to_display = self._viewer(), self._to_display()
        if viewer is None or to_display is None:
            show_info("Press Show map first: the outline is drawn on it.")
            return
        if DRAWN in viewer.layers:
            viewer.layers.remove(viewer.layers[DRAWN])
        corners = self.corners
        data = []
        if corners is not None:
            data = [corners @ to_display[:2, :2].T + to_display[:2, 2]]
        layer = Shapes(
            data,
            ndim=2,
            shape_type="polygon",
            name=DRAWN,
            units=(UNIT, UNIT),
            axis_labels=("y", "x"),
            edge_color=OUTLINE,
            edge_width=0.1,
            face_color="transparent",
            metadata={"clxem": {"marks": True}},
        )
        viewer.layers.append(layer)
        viewer.layers.selection = {layer}
        layer.mode = "direct" if data else "add_polygon"

    def take(self) -> None:
        """Take over the polygon that was drawn: the last one of the layer selected."""
        viewer, to_display = self._viewer(), self._to_display()
        layer = None if viewer is None else viewer.layers.selection.active
        if not isinstance(layer, Shapes) and viewer is not None and DRAWN in viewer.layers:
            layer = viewer.layers[DRAWN]
        if viewer is None or to_display is None or not isinstance(layer, Shapes) or not layer.data:
            show_info("Draw a polygon in a Shapes layer first, then take it over.")
            return
        world = np.array([layer.data_to_world(one) for one in layer.data[-1]])[:, -2:]
        back = np.linalg.inv(to_display)
        self.notes = ()
        if self.keep_outline(world @ back[:2, :2].T + back[:2, 2], "Take over the outline"):
            layer.mode = "pan_zoom"
            if layer.name == DRAWN:
                viewer.layers.remove(layer)

    def keep_outline(self, corners: Floats, label: str = "Outline the lamella") -> bool:
        """Keep corners (n, 2) µm of the map as the lamella's outline; tell whether it could be."""
        record = self.record
        now = record.lamella if record else None
        return self._keep(
            corners,
            label,
            thickness=now.thickness if now else 0.3,
            height=now.centre[0] if now else 0.0,
            angle=now.angle if now else 0.0,
            azimuth=now.azimuth if now else 0.0,
            damage=now.damage if now else 0.0,
        )

    def set_pose(self, **values: float) -> None:
        """Change thickness, height, angle, azimuth or damage; the outline on the map stays."""
        record, corners = self.record, self.corners
        if record is None or corners is None:
            return
        now = record.lamella
        pose = {
            "thickness": now.thickness,
            "height": now.centre[0],
            "angle": now.angle,
            "azimuth": now.azimuth,
            "damage": now.damage,
        }
        if {**pose, **values} != pose:
            self._keep(corners, "Change the slab", **{**pose, **values})

    def _keep(self, corners: Floats, label: str, **pose: float) -> bool:
        map_ = self.map
        if map_ is None:
            return False
        try:
            record = record_on_map(
                self.session,
                map_,
                corners,
                before=self.record,
                **pose,
            )
            self.workspace.store.commit(lambda s: edits.put(s, record), label)
        except ClxemError as error:
            show_error(str(error))
            return False
        return True

    def set_status(self, status: str) -> None:
        """Say what became of the lamella."""
        record = self.record
        if record is not None and status != record.status:
            changed = replace(record, status=status)  # type: ignore[arg-type]
            self.workspace.store.commit(lambda s: edits.put(s, changed), f"Mark {status}")

    def remove(self) -> None:
        """Delete the lamella's outline."""
        record = self.record
        if record is not None:
            self.clear_slabs()
            self.workspace.store.commit(
                lambda s: edits.drop(s, LamellaRecord, record.id), "Delete the outline"
            )

    # -- the slab

    def cut(self) -> None:
        """Lay the slab of every volume that is linked on the map, in the background."""
        record, map_ = self.record, self.map
        if record is None or map_ is None or self._worker is not None:
            return
        known = spatial(map_)
        if known is None:
            return
        jobs = []
        # The tomogram lies below what glows.
        found = volumes(self.session, self.workspace.view.site, "")
        for dataset in sorted(found, key=lambda one: one.modality != TOMOGRAM):
            try:
                way = graph(self.session).transform(dataset.frame, map_.frame, [middle(dataset)])
            except NoPathError:
                continue
            planes = self.workspace.layers.planes(dataset)
            jobs.append((dataset, planes, way.placement))
        if not jobs:
            show_info("No volume is linked with the map: link the tomogram in Correlate.")
            return
        worker = create_worker(
            cut_slabs, self.workspace.store, jobs, record, known, _start_thread=False
        )
        self._start(worker, self._lay)

    def _lay(self, found: list[tuple[Plane, Floats, tuple[float, float]]]) -> None:
        self.clear_slabs()
        viewer, to_display = self._viewer(), self._to_display()
        if viewer is None or to_display is None:
            show_info("Press Show map to see the slab on it.")
            return
        self._leave_map_alone()
        for plane, image, pixel in found:
            if not np.isfinite(image).any():
                continue
            known = image[np.isfinite(image)]
            glows = plane.look.get("blending") == "additive"
            # What glows keeps the contrast of its stack: stretched, its noise would glow, too.
            own = plane.look.get("contrast_limits") if glows else None
            low, high = own or np.percentile(known, [1.0, 99.7])
            layer = Image(
                image,
                name=f"Slab of {plane.name}",
                scale=pixel,
                affine=to_display,
                units=(UNIT, UNIT),
                axis_labels=("y", "x"),
                colormap=plane.look.get("colormap", "gray"),
                contrast_limits=(float(low), float(max(high, low + 1e-9))),
                blending=plane.look.get("blending", "translucent"),
                metadata={"clxem": {"marks": True}},
            )
            self._slabs.append((layer, image))
            viewer.layers.append(layer)
        self.changed.emit()

    def _leave_map_alone(self) -> None:
        """Hide the other images: the eye compares the slab with the map."""
        map_ = self.map
        for key, layer in self.workspace.layers.layers.items():
            if map_ is not None and key[0] != map_.id and layer.visible:
                layer.visible = False
                self._hidden.append(layer)

    def clear_slabs(self) -> None:
        """Take the slabs away, and show again what they had hidden."""
        viewer = self._viewer()
        for layer in self.slabs:
            if viewer is not None and layer in viewer.layers:
                viewer.layers.remove(layer)
        self._slabs.clear()
        for layer in self._hidden:
            layer.visible = True
        self._hidden.clear()

    def blink(self) -> None:
        """Show the slabs where they were hidden, and the other way round."""
        on = any(layer.visible for layer in self.slabs)
        for layer in self.slabs:
            layer.visible = not on

    def see(self) -> None:
        """Show the slabs."""
        for layer in self.slabs:
            layer.visible = True

    def swipe(self, share: float) -> None:
        """Show only the left part of the slabs: the map shows in the rest."""
        for layer, image in self._slabs:
            columns = max(1, round(share * image.shape[1]))
            layer.data = image[:, :columns]

    # -- within

    def _plane(self, dataset: Dataset) -> Plane | None:
        planes = self.workspace.layers.planes(dataset)
        try:
            planes = planes or open_planes(self.workspace.store, dataset)
        except ClxemError as error:
            show_error(str(error))
            return None
        return planes[0] if planes else None

    def _start(self, worker: Any, arrived: Any) -> None:
        self._worker = worker
        worker.returned.connect(arrived)
        worker.errored.connect(_say)
        worker.finished.connect(self._done)
        worker.start()
        self.changed.emit()

    def _done(self) -> None:
        self._worker = None
        self.changed.emit()

    def _on_removed(self, event: Any) -> None:
        self._slabs = [one for one in self._slabs if one[0] is not event.value]


def cut_slabs(
    store: Any,
    jobs: Sequence[tuple[Dataset, list[Plane], Floats]],
    record: LamellaRecord,
    known: tuple[tuple[int, ...], tuple[float, ...]],
) -> list[tuple[Plane, Floats, tuple[float, float]]]:
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


def _say(error: Exception) -> None:
    if not isinstance(error, ClxemError):
        raise error
    show_error(str(error))
