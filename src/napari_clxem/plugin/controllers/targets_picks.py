"""What is done to targets: picked, named, dragged, taken away."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.utils.notifications import show_error

from napari_clxem.errors import ClxemError
from napari_clxem.frames.affine import Floats
from napari_clxem.plugin.controllers.positions import target_marks
from napari_clxem.plugin.controllers.targets_drawing import draw_moved
from napari_clxem.plugin.controllers.targets_scene import moved_target
from napari_clxem.session import edits
from napari_clxem.session.model import Session, Target, Vector, new_id

if TYPE_CHECKING:
    from napari_clxem.plugin.controllers.targets import Canvas, Targets


class Picks:
    """The targets of the site, under the hand.

    Parameters
    ----------
    targets : Targets

    Attributes
    ----------
    picking, snap : bool
        Whether clicks add targets, and whether they snap to what stands out there.
    """

    def __init__(self, targets: Targets) -> None:
        self._targets = targets
        self.picking = self.snap = False

    def on_hand_taken(self, owner: object) -> None:
        """Pick no more once something else does."""
        if owner is not self._targets and self.picking:
            self.picking = False
            self._targets.changed.emit()

    def add(self, frame: str, site: str | None, position: Vector, sigma: Vector) -> None:
        """Add a target where it was picked."""
        targets = self._targets
        names = {one.name for one in targets.session.targets}
        number = next(n for n in range(1, len(names) + 2) if f"T{n}" not in names)
        target = Target(
            id=new_id(), name=f"T{number}", site=site, frame=frame, position=position, sigma=sigma
        )
        self._commit(target, f"Add target {target.name}")
        targets.workspace.target = target.id
        targets.workspace.refreshed.emit()

    def amend(self, **values: Any) -> None:
        """Change name, radius, position or sigma of the chosen target."""
        target = self._targets.target
        if target is None:
            return
        changed = replace(target, **values)
        if changed != target:
            self._commit(changed, f"Edit target {changed.name or changed.id}")

    def remove(self) -> None:
        """Delete the chosen target; lamellae and fields forget it."""
        target = self._targets.target
        if target is None:
            return

        def without(session: Session) -> Session:
            session = edits.drop(session, Target, target.id)
            boxes = [
                replace(one, targets=_without(one.targets, target.id))
                for one in session.lamellae
                if target.id in one.targets
            ]
            areas = [
                replace(one, targets=_without(one.targets, target.id))
                for one in session.fields
                if target.id in one.targets
            ]
            return edits.put(session, *boxes, *areas)

        label = f"Delete target {target.name or target.id}"
        self._targets.workspace.store.commit(without, label)

    # -- under the mouse

    def places(self, canvas: Canvas) -> dict[str, Floats]:
        """Give where targets show in a canvas, (y, x) display µm; they are dragged in the plan."""
        if canvas != "main" or not self._targets.workspace.view.frame:
            return {}
        marks = target_marks(self._targets.session, self._targets.workspace.view)
        return {mark.id: np.asarray(mark.position[-2:]) for mark in marks}

    def drag(self, _canvas: Canvas, name: str, spot: Floats) -> None:
        """Show a target elsewhere, for the eye only."""
        marks = target_marks(self._targets.session, self._targets.workspace.view)
        moved = [
            replace(one, position=np.array([*one.position[:-2], *spot]))
            for one in marks
            if one.id == name
        ]
        draw_moved(self._targets.main_marks, moved)

    def drop(self, _canvas: Canvas, name: str, spot: Floats) -> None:
        """Leave a target where it was dragged to, its height kept."""
        targets = self._targets
        draw_moved(targets.main_marks, [])
        target = next((one for one in targets.session.targets if one.id == name), None)
        if target is None:
            return
        moved = moved_target(targets.session, targets.workspace.view, target, spot)
        if moved is not None:
            self._commit(moved, f"Move target {moved.name or moved.id}")

    def choose(self, name: str) -> None:
        """Make a target the one worked on."""
        self._targets.workspace.target = name
        self._targets.workspace.refreshed.emit()

    def _commit(self, target: Target, label: str) -> None:
        try:
            self._targets.workspace.store.commit(lambda s: edits.put(s, target), label)
        except ClxemError as error:
            show_error(str(error))


def _without(names: tuple[str, ...], name: str) -> tuple[str, ...]:
    return tuple(one for one in names if one != name)
