"""What is done to lamella boxes: drawn, pulled at their handles, given numbers."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any
from weakref import ref

from napari.utils.notifications import show_error, show_info

from napari_clxem.errors import ClxemError
from napari_clxem.frames.affine import Floats
from napari_clxem.lamella import MICRO_EXPANSION, Lamella, LamellaRecord, placed, pulled
from napari_clxem.plugin.box_marks import (
    FIB_EDGES,
    PLAN_EDGES,
    Dial,
    dial,
    handle_places,
    joint_slabs,
)
from napari_clxem.plugin.controllers.targets_drawing import draw_box, draw_frames, draw_others
from napari_clxem.plugin.controllers.targets_film import angle_on_film, estimated, turned
from napari_clxem.plugin.controllers.targets_scene import box_at, shown_placement, stage_tilt_for
from napari_clxem.plugin.controllers.targets_solid import Solid
from napari_clxem.plugin.world import unwrapped
from napari_clxem.session import edits
from napari_clxem.session.model import Site, new_id
from napari_clxem.session.promises import captures, placing_of, promise

if TYPE_CHECKING:
    from napari_clxem.plugin.controllers.targets import Canvas, Targets

CANVASES: tuple[Canvas, ...] = ("main", "fib")
# Share of the FIB view that is left free about a new box.
AROUND = 0.25
NO_PLACE = "The FIB view cannot place this target; link its frame."
_SIZES = {one.name for one in fields(Lamella)}


class Boxes:
    """The lamellae of the site, under the hand.

    Parameters
    ----------
    targets : Targets
    viewer : napari.Viewer
        Shows the slab in 3D.

    Attributes
    ----------
    live : Lamella or None
        The box as a hand drags it.
    """

    def __init__(self, targets: Targets, viewer: Any) -> None:
        viewer = unwrapped(viewer)
        self._targets = targets
        self._viewer = ref(viewer)
        self._solid = Solid(viewer)
        self.live: Lamella | None = None
        viewer.dims.events.ndisplay.connect(self._on_dims)

    def release(self) -> None:
        """Take the slab away."""
        viewer = self._viewer()
        if viewer is not None:
            viewer.dims.events.ndisplay.disconnect(self._on_dims)
        self._solid.release()

    def _on_dims(self) -> None:
        self.draw_all()

    @property
    def _deep(self) -> bool:
        """Whether the main canvas shows a volume, in which boxes are solid."""
        viewer = self._viewer()
        return viewer is not None and viewer.dims.ndisplay == 3

    @property
    def tilt(self) -> float | None:
        """Stage tilt at which the box is cut, degrees."""
        fib, lamella = self._targets.fib, self._targets.lamella
        return None if fib is None or lamella is None else stage_tilt_for(fib, lamella.angle)

    @property
    def angle(self) -> float | None:
        """Milling angle against the film, degrees."""
        lamella = self._targets.lamella
        return None if lamella is None else angle_on_film(lamella, self._targets.film)

    # -- what is done

    def draw(self) -> None:
        """Begin a lamella of the preset's size about the chosen target."""
        targets = self._targets
        aim = targets.aim
        if targets.fib is None or aim is None:
            show_info(targets.trouble or NO_PLACE)
            return
        box = box_at(targets.fib, aim, targets.instrument, targets.preset)
        self.keep(box, (aim.target.id,), new=True)
        self.look()

    def look(self) -> None:
        """Bring the box to the middle of the FIB view, large enough for its handles."""
        self._targets.workspace.turns.do((self, "look"), self._look)

    def _look(self) -> None:
        marks = self._targets.fib_marks
        seen = [one for role in ("box", "dial", "handles") if (one := marks.layer(role))]
        if seen:
            self._targets.second.model.fit_to_view(layers=seen, margin=AROUND)

    def amend(self, **values: Any) -> None:
        """Change a number of the lamella, or of its record: placing, joints, instrument."""
        record = self._targets.record
        if record is None:
            return
        sizes = {name: value for name, value in values.items() if name in _SIZES}
        rest = {name: value for name, value in values.items() if name not in _SIZES}
        try:
            changed = replace(record, lamella=replace(record.lamella, **sizes), **rest)
        except ClxemError as error:
            show_error(str(error))
            return
        if changed != record:
            self.keep(changed.lamella, record.targets, **rest)

    def turn(self, angle: float) -> None:
        """Cut at another milling angle against the film, degrees."""
        record = self._targets.record
        if record is not None:
            self.amend(angle=turned(record.lamella, self._targets.film, angle).angle)

    def resize(self) -> None:
        """Give the lamella the sizes and the joints of the preset."""
        record, preset = self._targets.record, self._targets.preset
        if record is not None:
            self.keep(preset.applied(record.lamella), record.targets, joints=preset.joints)

    def set_joints(self, on: bool) -> None:
        """Cut expansion joints beside the lamella, or not."""
        self.amend(joints=(self._targets.preset.joints or MICRO_EXPANSION) if on else None)

    def set_film(self, about_y: float, about_x: float) -> None:
        """Keep the film's tilt with the site, degrees."""
        site = self._targets.workspace.view.site
        tilt = (about_y, about_x)
        if site is None or tilt == self._targets.film:
            return
        try:
            self._targets.workspace.store.commit(
                lambda s: edits.amend(s, Site, site, film_tilt=tilt), "Set film tilt"
            )
        except ClxemError as error:
            show_error(str(error))

    def estimate_film(self) -> str:
        """Take the film's tilt from the beads of the volume; say what it is from."""
        fib = self._targets.fib
        if fib is None:
            return self._targets.trouble
        try:
            found = estimated(self._targets.session, fib.volume)
        except ClxemError as error:
            show_error(str(error))
            return ""
        about_y, about_x = (round(value, 2) for value in found.tilt)
        self.set_film(about_y, about_x)
        return found.sentence

    def remove(self) -> None:
        """Delete the lamella."""
        record = self._targets.record
        if record is not None:
            self._targets.workspace.store.commit(
                lambda s: edits.drop(s, LamellaRecord, record.id), f"Delete {record.name}"
            )

    def keep(self, box: Lamella, names: tuple[str, ...], new: bool = False, **values: Any) -> None:
        """Commit a box for targets, as a new lamella or in place of the one chosen."""
        targets = self._targets
        fib, record = targets.fib, targets.record
        if fib is None:
            return
        self.live = None
        targets.advice.forget()
        if record is None or new:
            record = LamellaRecord(
                id=new_id(),
                name=f"Lamella {len(targets.session.lamellae) + 1}",
                site=targets.workspace.view.site,
                frame=fib.volume,
                lamella=box,
                instrument=targets.instrument.name,
                joints=targets.preset.joints,
            )
        kept = replace(
            record,
            lamella=box,
            targets=names,
            stage_tilt=stage_tilt_for(fib, box.angle),
            **values,
        )
        targets.point_at(kept.id)
        found = captures(box, targets.aims, placing_of(kept, targets.instrument))
        kept = replace(kept, promised=promise(found, names))
        try:
            targets.workspace.store.commit(lambda s: edits.put(s, kept), f"Place {kept.name}")
        except ClxemError as error:
            show_error(str(error))

    # -- under the mouse

    def dial(self, canvas: Canvas) -> Dial | None:
        """Give the dial of the milling angle; only the FIB view has one."""
        lamella, angle = self._targets.lamella, self.angle
        seen = self._projection(canvas)
        if canvas != "fib" or lamella is None or angle is None or seen is None:
            return None
        return dial(lamella, seen, angle)

    def places(self, canvas: Canvas) -> dict[str, Floats]:
        """Give where the handles of the box show in a canvas, µm."""
        lamella, seen = self._targets.lamella, self._projection(canvas)
        if lamella is None or seen is None or lamella.outline:
            return {}
        found = handle_places(lamella, seen, FIB_EDGES if canvas == "fib" else PLAN_EDGES)
        shown = self.dial(canvas)
        return {**found, "angle": shown.tip} if shown else found

    def drag(self, canvas: Canvas, handle: str, spot: Floats) -> None:
        """Drag a handle of the box to a place of a canvas, for the eye only."""
        targets = self._targets
        record, seen, shown = targets.record, self._projection(canvas), self.dial(canvas)
        if record is None or seen is None:
            return
        box = record.lamella
        try:
            if handle == "centre":
                self.live = placed(box, seen, spot)
            elif handle == "angle" and shown is not None:
                angle = min(max(shown.read(spot), -89.0), 89.0)
                self.live = turned(box, targets.film, angle)
            elif handle != "angle":
                self.live = pulled(box, seen, handle, spot)  # type: ignore[arg-type]
        except ClxemError as error:
            show_error(str(error))
            return
        targets.reckon()
        self.draw_boxes()
        targets.moved.emit()

    def drop(self, canvas: Canvas, handle: str, spot: Floats) -> None:
        """Keep the box as it was dragged."""
        if self.live is None:
            self.drag(canvas, handle, spot)
        live, record = self.live, self._targets.record
        if live is not None and record is not None:
            self.keep(live, record.targets)

    def choose(self, handle: str) -> None:
        """Do nothing: a handle is only dragged."""

    # -- what is shown

    def draw_boxes(self) -> None:
        """Draw the box that is worked on in every canvas."""
        targets = self._targets
        lamella, record = targets.lamella, targets.record
        joints = record.joints if record else None
        for canvas, overlays in zip(CANVASES, (targets.main_marks, targets.fib_marks), strict=True):
            seen = None if canvas == "main" and self._deep else self._projection(canvas)
            handles = self.places(canvas) if seen is not None else {}
            draw_box(overlays, lamella, seen, handles, self.dial(canvas), joints)
        where = self._placement(record) if self._deep else None
        solids = [] if lamella is None else [lamella]
        if lamella is not None and joints is not None:
            solids += joint_slabs(lamella, joints)
        draw_frames(targets.main_marks, solids, where)
        self._solid.show(lamella, where)

    def draw_all(self) -> None:
        """Draw all boxes of the site."""
        self.draw_boxes()
        targets = self._targets
        site, chosen = targets.workspace.view.site, targets.record
        draw_others(
            targets.main_marks,
            [
                (one.lamella, None if self._deep else self._placement(one))
                for one in targets.session.lamellae
                if one.site in (None, site) and (chosen is None or one.id != chosen.id)
            ],
        )

    def _placement(self, record: LamellaRecord | None) -> Floats | None:
        if record is None:
            return None
        return shown_placement(self._targets.session, record, self._targets.workspace.view)

    def _projection(self, canvas: Canvas) -> Floats | None:
        """Give how the lamella's frame shows in a canvas, (2, 4) µm."""
        record, fib = self._targets.record, self._targets.fib
        if record is None:
            return None
        if canvas == "fib":
            return fib.projection if fib is not None and record.frame == fib.volume else None
        where = self._placement(record)
        return None if where is None else where[1:3]
