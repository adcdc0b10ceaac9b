"""Reviewing doses: the scene of the frame shown, its map, its replay, and the place pointed at."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from functools import partial
from typing import Any
from weakref import ref

import numpy as np
from napari.utils.notifications import show_error
from psygnal import Signal

from napari_clxem.dose import Grid
from napari_clxem.errors import ClxemError
from napari_clxem.frames.affine import Floats
from napari_clxem.plugin import dose_marks
from napari_clxem.plugin.controllers.dose_layers import FOOTPRINTS, LINE, MAP, DoseLayers
from napari_clxem.plugin.controllers.dose_pointing import Pointer
from napari_clxem.plugin.controllers.dose_scene import (
    Painter,
    Picture,
    Scene,
    drawn_footprints,
    is_enough,
    raster,
    rounded_up,
    scene,
)
from napari_clxem.plugin.controllers.dose_settings import Settings
from napari_clxem.plugin.controllers.dose_slice import Slice
from napari_clxem.plugin.controllers.dose_tables import Findings, findings, spots
from napari_clxem.plugin.controllers.dose_warming import warm
from napari_clxem.plugin.controllers.dose_work import Latest, same, timer
from napari_clxem.plugin.controllers.scene import go_to
from napari_clxem.plugin.controllers.workspace import Workspace
from napari_clxem.plugin.layers import LayerData
from napari_clxem.plugin.world import unwrapped
from napari_clxem.session.extents import axes_of
from napari_clxem.session.geometry import graph

SETTLED = 150  # ms after which a camera counts as still
STROKE = 1.6  # pixels of the screen
THICK = 2.0  # the budget line over the others


class DoseReview:
    """The doses of a viewer's session, as shown in its main canvas.

    Parameters
    ----------
    workspace : Workspace
        Of the viewer.
    viewer : napari.Viewer
        Kept by weak reference.

    Attributes
    ----------
    changed : Signal
        Emitted when the dock has something else to show.
    pointer : Pointer
        Says what happened where the mouse points at.
    """

    changed = Signal()

    def __init__(self, workspace: Workspace, viewer: Any) -> None:
        viewer = unwrapped(viewer)
        self._viewer = ref(viewer)
        self.workspace = workspace
        self.settings = Settings()
        self.preparing, self.painting, self.checking = Latest(), Latest(), Latest()
        self._outlining = Latest()
        self._layers = DoseLayers(viewer, workspace.turns)
        self._scene: Scene | None = None
        self._of: tuple[Any, ...] = ()
        self._painter: Painter | None = None
        self._grid: Grid | None = None
        self._picture: Picture | None = None
        self._upto: int | None = None
        self._most = 0.0
        self._chosen: tuple[str, ...] = ()
        self._findings: Findings | None = None
        self._found_of: tuple[Any, ...] = ()
        self._released = False
        warm()
        self._settled = timer(SETTLED, self._on_settled)
        self.pointer = Pointer(viewer, lambda: self._zero)
        self._slice = Slice(viewer, self._on_slice)
        workspace.refreshed.connect(self.refresh)
        camera = viewer.scene.camera.events
        camera.center.connect(self._on_camera)
        camera.zoom.connect(self._on_camera)
        self.refresh()

    def release(self) -> None:
        """Take the layers away and give the mouse back."""
        if self._released:
            return
        self._released = True
        self._drop()
        self._settled.stop()
        self.pointer.release()
        self._slice.release()
        self.workspace.refreshed.disconnect(self.refresh)
        viewer = self._viewer()
        if viewer is not None:
            camera = viewer.scene.camera.events
            camera.center.disconnect(self._on_camera)
            camera.zoom.disconnect(self._on_camera)
        self._layers.release()

    # -- what is shown

    @property
    def viewer(self) -> Any:
        """The viewer, or None once it is gone."""
        return self._viewer()

    @property
    def scene(self) -> Scene | None:
        """The exposures in the frame shown; None while nothing is shown."""
        return self._scene

    @property
    def picture(self) -> Picture | None:
        """The map drawn last."""
        return self._picture

    @property
    def busy(self) -> bool:
        """Whether something is still being computed or drawn."""
        works = (self.preparing, self.painting, self.checking, self._outlining)
        return any(one.busy for one in works) or self.workspace.turns.busy

    @property
    def count(self) -> int:
        """How many exposures there are to be replayed."""
        return 0 if self._scene is None else len(self._scene.history)

    @property
    def upto(self) -> int:
        """After how many of them the map is shown."""
        return self.count if self._upto is None else min(self._upto, self.count)

    @property
    def chosen(self) -> tuple[str, ...]:
        """Ids of the exposures that are marked."""
        return self._chosen

    @property
    def findings(self) -> Findings | None:
        """Doses of targets and cells, conflicts and duplicates; None until they are known."""
        return self._findings

    @property
    def middle(self) -> Floats | None:
        """The middle of the canvas (y, x) in the frame shown, µm; None without a frame."""
        viewer = self._viewer()
        if viewer is None or not self.workspace.view.frame:
            return None
        return np.array(viewer.scene.camera.center[-2:], float) + self._zero

    # -- what the user does

    def set(self, **values: Any) -> None:
        """Change settings: which doses are shown, and what they are held against."""
        wanted = replace(self.settings, **values)
        try:
            _ = wanted.level
        except ClxemError as error:
            show_error(str(error))
            self.changed.emit()
            return
        before, self.settings = self.settings, wanted
        if wanted.surface != before.surface:
            self._painter = self._grid = None
            self._most = 0.0
        self.refresh()
        if (wanted.material, wanted.included) == (before.material, before.included):
            self._paint()
            self._outline()
            self._look()

    def show(self, upto: int) -> None:
        """Show what had been done after so many exposures."""
        self._upto = None if upto >= self.count else max(0, upto)
        self._paint()
        self._settled.start()
        self._look()
        self.changed.emit()

    def choose(self, ids: Iterable[str], visit: bool = False) -> None:
        """Mark exposures by a line of their own; bring the first one to the middle."""
        self._chosen = tuple(ids)
        self._outline()
        viewer, found = self._viewer(), self._indices()
        if visit and found and viewer is not None and self._scene is not None:
            place = self._scene.aims[found[0]]
            if np.isfinite(place).all():
                go_to(viewer, place - self._zero)
        self.changed.emit()

    def refresh(self) -> None:
        """Follow the document and the view."""
        session, view = self.workspace.store.session, self.workspace.view
        asked = self.settings
        z = self._height
        of = (
            session.exposures, session.frames, session.links, view.frame, asked.material,
            asked.included, z,
        )  # fmt: skip
        if not view.frame or not session.exposures:
            self._clear()
        elif not same(of, self._of):
            held = self._scene if same(of[:-1], self._of[:-1]) else None
            self._of = of
            exposures, links = session.exposures, graph(session)

            def prepare() -> Scene | ClxemError:
                try:
                    if held is not None:
                        return held.at(z)
                    return scene(exposures, links, view.frame, asked.material, z, asked.included)
                except ClxemError as error:  # what is shown would be of another state
                    return error

            self.preparing.ask(prepare, self._on_scene)
        elif self._picture is not None:
            self._draw(self._picture)
            self._outline()
            self._check()
        self.changed.emit()

    # -- how it is shown

    @property
    def _zero(self) -> Floats:
        return np.array(self.workspace.view.origin[-2:], float)

    def _drop(self) -> None:
        for work in (self.preparing, self.painting, self.checking, self._outlining):
            work.drop()

    def _clear(self) -> None:
        self._of = ()
        self._drop()
        self._findings, self._found_of = None, ()
        self._scene = self._painter = self._grid = self._picture = None
        self._look()
        for role in (MAP, LINE, FOOTPRINTS):
            self._layers.put(role, None)

    def _on_scene(self, found: Scene | ClxemError) -> None:
        if isinstance(found, ClxemError):
            of = self._of
            self._clear()
            self._of = of
            show_error(str(found))
            self.changed.emit()
            return
        held, self._scene = self._scene, found
        self._painter = None
        if held is None or held.history is not found.history:
            self._grid = None
            self._most = 0.0
        self._paint()
        self._outline()
        self._look()
        self._check()
        self.changed.emit()

    def _check(self) -> None:
        shown, session = self._scene, self.workspace.store.session
        if shown is None:
            return
        limit, level = self.settings.budget, self.settings.level
        of = (shown.history, session.targets, session.sites, session.datasets, limit, level)
        if same(of, self._found_of):
            return
        self._found_of = of
        frame = shown.history.frame

        def look() -> Findings:
            return findings(shown, *spots(session, frame), limit, level)

        self.checking.ask(look, self._on_found)

    def _on_found(self, found: Findings) -> None:
        self._findings = found
        self.changed.emit()

    def _paint(self) -> None:
        shown = self._scene
        if shown is None:
            return
        surface = self.settings.surface
        window, screen = self._window()
        if self._grid is None or not is_enough(self._grid, shown, surface, window, screen):
            self._grid = raster(shown, surface, window, screen)
        if self._grid is None:
            self.painting.drop()
            self._painter = self._picture = None
            self._layers.put(MAP, None)
            self._layers.put(LINE, None)
            return
        if self._painter is None:
            self._painter = Painter(shown, surface)
        self.painting.ask(
            partial(self._painter.paint, self._grid, self.upto, self.settings.level),
            partial(self._on_picture, shown, surface),
        )

    def _on_picture(self, shown: Scene, surface: bool, found: Picture) -> None:
        if shown is not self._scene or surface != self.settings.surface:
            return
        self._picture = found
        if found.highest > self._most:
            self._most = rounded_up(found.highest)
        self._draw(found)
        self.changed.emit()

    def _draw(self, found: Picture) -> None:
        zero = self._zero
        name = "Surface dose (MGy)" if self.settings.surface else "Dose (MGy)"
        first = found.grid.origin - zero
        image = dose_marks.dose_image(found.values, first, found.grid.pixel, self._most, name)
        self._layers.put(MAP, image)
        pieces = found.line.copy()
        pieces[:, 0] -= zero
        width = THICK * self._stroke
        self._layers.put(LINE, dose_marks.budget_line(pieces, self.settings.level, width))

    def _outline(self) -> None:
        shown, middle = self._scene, self.middle
        if shown is None or middle is None or not self.settings.outlines:
            self._outlining.drop()
            self._layers.put(FOOTPRINTS, None)
            return
        zero = self._zero
        work = partial(drawn_footprints, shown, middle, self.upto, self._chosen, zero, self._stroke)
        self._outlining.ask(work, partial(self._on_outlined, shown, zero))

    def _on_outlined(self, shown: Scene, zero: Floats, found: LayerData) -> None:
        wanted = shown is self._scene and self.settings.outlines
        if wanted and np.array_equal(zero, self._zero):
            self._layers.put(FOOTPRINTS, found)

    @property
    def _stroke(self) -> float:
        viewer = self._viewer()
        return STROKE if viewer is None else STROKE / float(viewer.scene.camera.zoom)

    def _window(self) -> tuple[tuple[Floats, Floats], float]:
        """Corners of what is seen, frame µm, and the size of a pixel of the screen, µm."""
        viewer = self._viewer()
        assert viewer is not None
        screen = 1.0 / float(viewer.scene.camera.zoom)
        half = np.array(viewer.canvas.size, float) * screen / 2
        middle = np.array(viewer.scene.camera.center[-2:], float) + self._zero
        return (middle - half, middle + half), screen

    def _indices(self) -> list[int]:
        if self._scene is None or not self._chosen:
            return []
        wanted = set(self._chosen)
        every = self._scene.history.exposures
        return [index for index, one in enumerate(every) if one.id in wanted]

    def _look(self) -> None:
        self.pointer.follow(self._scene, self.upto, self.settings.surface)

    def _on_camera(self) -> None:
        self._settled.start()

    @property
    def _height(self) -> float | None:
        """That of the slice shown, frame µm; None in a plane."""
        session, view = self.workspace.store.session, self.workspace.view
        return self._slice.height(axes_of(session, view.frame), view.origin[0])

    def _on_slice(self) -> None:
        if self._of and self._of[-1] != self._height:
            self.refresh()

    def _on_settled(self) -> None:
        shown, grid = self._scene, self._grid
        if shown is None:
            return
        if grid is not None and not is_enough(grid, shown, self.settings.surface, *self._window()):
            self._paint()
        if self._picture is not None and self._layers.layer(LINE) is not None:
            self._draw(self._picture)
        self._outline()
