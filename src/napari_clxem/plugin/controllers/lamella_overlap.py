"""The milled lamella on its TEM map: outline, overlap, and the slab to look at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any
from weakref import ref

import numpy as np
from napari.qt.threading import create_worker
from napari.utils.notifications import show_error, show_info
from psygnal import Signal

from napari_clxem.errors import ClxemError
from napari_clxem.frames.affine import Floats
from napari_clxem.lamella import Campaign, CampaignRow, LamellaRecord, Outline, campaign, trace
from napari_clxem.plugin.controllers.lamella_outline import (
    clicked,
    close_drawing,
    drawn,
    open_drawing,
    open_positions,
)
from napari_clxem.plugin.controllers.lamella_slabs import Cut, SlabLayers, cut_slabs, slab_jobs
from napari_clxem.plugin.controllers.loading import open_planes
from napari_clxem.plugin.controllers.overlays import Overlays
from napari_clxem.plugin.controllers.positions import matrix
from napari_clxem.plugin.controllers.scene import go_to
from napari_clxem.plugin.controllers.tasks import say_error
from napari_clxem.plugin.controllers.workspace import Workspace
from napari_clxem.plugin.lamella_marks import OUTLINE, outline_lines
from napari_clxem.plugin.layers import Plane
from napari_clxem.plugin.world import unwrapped
from napari_clxem.session import edits
from napari_clxem.session.extents import spatial
from napari_clxem.session.model import Dataset, Session
from napari_clxem.session.overlaps import (
    FIELD,
    Held,
    Series,
    Shared,
    campaign_rows,
    held,
    maps,
    planned,
    record_on_map,
    seen_by_series,
    shares,
)

# Of a lamella that no plan is known of, µm.
THICKNESS = 0.3
# Share of the canvas that a map fills.
MARGIN = 0.9


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
        self.slabs = SlabLayers(workspace, viewer)
        self._clicked: Floats = np.empty((0, 2))
        self._known: Session | None = None
        self._framing = False
        self.notes: tuple[str, ...] = ()
        self.shares: tuple[Shared, ...] = ()
        self.held: tuple[Held, ...] = ()
        self.series: tuple[Series, ...] = ()
        self.field = FIELD
        self.others: tuple[CampaignRow, ...] = ()
        workspace.refreshed.connect(self.refresh)
        self.refresh()

    def release(self) -> None:
        """Let workspace and viewer go."""
        if self._worker is not None:
            self._worker.quit()
        self.workspace.refreshed.disconnect(self.refresh)
        self.slabs.release()
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
    def campaign(self) -> Campaign:
        """Lamellae of this session and of those that were added."""
        return campaign([*campaign_rows(self.session), *self.others])

    def choose_map(self, dataset: str) -> None:
        """Work on another map."""
        self._map_id, self._known, self.notes = dataset, None, ()
        self._clicked = np.empty((0, 2))
        self.slabs.clear()
        self.refresh()

    def refresh(self) -> None:
        """Bring everything to the state of the document."""
        record = self.record
        if self._known is not self.session:
            self._known = self.session
            self.shares = shares(self.session, record) if record else ()
            self.held = held(self.session, record) if record else ()
            self._look_at_series()
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
        self._start(
            create_worker(trace, plane.levels[0], pixel, _start_thread=False, _ignore_errors=True),
            self._traced,
        )

    def _traced(self, found: Outline) -> None:
        self.notes = found.notes
        self.keep_outline(found.corners, "Trace the lamella")

    def draw(self) -> None:
        """Open a layer to draw the outline in, with the one there is to be edited."""
        viewer, to_display = self._viewer(), self._to_display()
        if viewer is None or to_display is None:
            show_info("Press Show map first: the outline is drawn on it.")
            return
        open_drawing(viewer, self.corners, to_display)

    def take(self) -> None:
        """Take over the polygon that was drawn: the last one of the layer selected."""
        viewer, to_display = self._viewer(), self._to_display()
        corners = None if viewer is None or to_display is None else drawn(viewer, to_display)
        if viewer is None or corners is None:
            show_info("Draw a polygon in a Shapes layer first, then take it over.")
            return
        self.notes = ()
        if self.keep_outline(corners, "Take over the outline"):
            close_drawing(viewer)

    def keep_outline(self, corners: Floats, label: str = "Outline the lamella") -> bool:
        """Keep corners (n, 2) µm of the map as the lamella's outline; tell whether it could be."""
        record = self.record
        now = record.lamella if record else None
        plan = None if self.map is None else planned(self.session, self.map.site)
        as_cut = now or (plan.lamella if plan else None)
        return self._keep(
            corners,
            label,
            thickness=as_cut.thickness if as_cut else THICKNESS,
            damage=as_cut.damage if as_cut else 0.0,
            height=now.centre[0] if now else 0.0,
            angle=now.angle if now else 0.0,
            azimuth=now.azimuth if now else 0.0,
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
            self.slabs.clear()
            self.workspace.store.commit(
                lambda s: edits.drop(s, LamellaRecord, record.id), "Delete the outline"
            )

    # -- the slab

    def cut(self) -> None:
        """Lay the slab of every volume that is linked on the map, in the background."""
        record, map_ = self.record, self.map
        known = None if map_ is None else spatial(map_)
        if record is None or known is None or self._worker is not None:
            return
        jobs = slab_jobs(self.session, record, self.workspace.view.site, self.workspace)
        if not jobs:
            show_info("No volume is linked with the map: link the tomogram in Correlate.")
            return
        worker = create_worker(
            cut_slabs,
            self.workspace.store,
            jobs,
            record,
            known,
            _start_thread=False,
            _ignore_errors=True,
        )
        self._start(worker, self._lay)

    def _lay(self, found: Sequence[Cut]) -> None:
        map_, to_display = self.map, self._to_display()
        if map_ is None or to_display is None:
            show_info("Press Show map to see the slab on it.")
            return
        self.slabs.lay(found, map_, to_display)
        self.changed.emit()

    # -- tilt series

    def place_series(self) -> None:
        """Open a layer to click the positions of tilt series in."""
        viewer, to_display = self._viewer(), self._to_display()
        if viewer is None or to_display is None:
            show_info("Press Show map first: the positions are clicked on it.")
            return
        layer = open_positions(viewer, self._clicked, to_display)
        layer.events.data.connect(self._on_clicked)

    def set_field(self, size: float) -> None:
        """Say how large the field of a tilt series is, µm."""
        self.field = size
        self._look_at_series()
        self.changed.emit()

    def _on_clicked(self, event: Any) -> None:
        to_display = self._to_display()
        if to_display is not None:
            self._clicked = clicked(event.source, to_display)
            self._look_at_series()
            self.changed.emit()

    def _look_at_series(self) -> None:
        record = self.record
        self.series = (
            seen_by_series(self.session, record, self._clicked, self.field) if record else ()
        )

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
        worker.errored.connect(say_error)
        worker.finished.connect(self._done)
        worker.start()
        self.changed.emit()

    def _done(self) -> None:
        self._worker = None
        self.changed.emit()
