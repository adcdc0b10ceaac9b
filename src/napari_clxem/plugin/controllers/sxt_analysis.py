"""What the SXT analysis dock does: its sources, its long tasks and what they found."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, TypeVar
from weakref import ref

from napari.layers import Layer
from psygnal import Signal

from napari_clxem.errors import ImageError
from napari_clxem.plugin.controllers import sxt_export, sxt_resolving, sxt_tilts, sxt_weighing
from napari_clxem.plugin.controllers.scene import go_to
from napari_clxem.plugin.controllers.sxt_layers import ResultLayers
from napari_clxem.plugin.controllers.sxt_maps import local_map
from napari_clxem.plugin.controllers.sxt_products import layer_of, middle_of
from napari_clxem.plugin.controllers.sxt_resolving import Resolved, Splitting
from napari_clxem.plugin.controllers.sxt_sources import Source, registration_sd, resolve, sources
from napari_clxem.plugin.controllers.sxt_steps import ABSORPTION, Made
from napari_clxem.plugin.controllers.sxt_weighing import Beside, Weighed, Weighing
from napari_clxem.plugin.controllers.tasks import LongTask
from napari_clxem.plugin.controllers.workspace import Workspace
from napari_clxem.plugin.world import unwrapped

T = TypeVar("T")


class SxtAnalysis:
    """The analysis of one viewer's tomograms.

    Parameters
    ----------
    workspace : Workspace
        Of the viewer.
    viewer : napari.Viewer
        Kept by weak reference.

    Attributes
    ----------
    changed : Signal
        Emitted when there are other layers, or something was found.
    task : LongTask
        One at a time.
    resolved : Resolved or None
        The correlation found last.
    weighed : Weighed or None
        The masses found last.
    made : Made or None
        What the step done last on the way to a tomogram has made.
    layers : ResultLayers
        Which show what was weighed.
    """

    changed = Signal()

    def __init__(self, workspace: Workspace, viewer: Any) -> None:
        viewer = unwrapped(viewer)
        self._viewer = ref(viewer)
        self.workspace = workspace
        self.task = LongTask()
        self.resolved: Resolved | None = None
        self.weighed: Weighed | None = None
        self.made: Made | None = None
        self.layers = ResultLayers(viewer, workspace.turns)
        workspace.refreshed.connect(self._on_refreshed)
        for event in self._events(viewer):
            event.connect(self._on_layers)

    @property
    def viewer(self) -> Any:
        """The viewer, or None once it is gone."""
        return self._viewer()

    def release(self) -> None:
        """Give up what is being done, and let the viewer go."""
        self.task.cancel()
        self.layers.release()
        self.workspace.refreshed.disconnect(self._on_refreshed)
        viewer = self._viewer()
        if viewer is not None:
            for event in self._events(viewer):
                event.disconnect(self._on_layers)

    def sources(self) -> list[Source]:
        """Give the layers that can be analysed."""
        viewer = self._viewer()
        return [] if viewer is None else sources(self.workspace, viewer)

    def source(self, name: str | None) -> Source:
        """Find a chosen source.

        Raises
        ------
        ImageError
            Where none is chosen, or it is shown no more.
        """
        found = None if name is None else resolve(self.workspace, self._viewer(), name)
        if found is None:
            raise ImageError("A layer is missing: choose one that is shown.")
        return found

    def recorded_tilts(self, name: str | None) -> str:
        """Give the tilts recorded for a source, as people write them; empty for none."""
        one = next((each for each in self.sources() if each.id == name), None)
        if one is None or one.dataset is None:
            return ""
        return sxt_tilts.recorded(self.workspace.store.session, one.dataset.frame)

    def step(self, name: str, work: Callable[[Any], Made]) -> None:
        """Do a step on the way to a tomogram in the background; layers show what it makes.

        Raises
        ------
        ImageError
            Where another calculation is running.
        """
        self._start(name, work, self._on_made)

    def compare(self, one: str | None, two: str | None, masked: bool) -> None:
        """Correlate two layers in the background.

        Raises
        ------
        ImageError
            Where a layer is missing.
        """
        halves = self.source(one), self.source(two)
        self._start(
            "Correlating", partial(sxt_resolving.compare, *halves, masked), self._on_resolved
        )

    def halve(self, series: str | None, how: Splitting, masked: bool) -> None:
        """Correlate the halves of a tilt series in the background.

        Raises
        ------
        ImageError
            Where the layer is missing.
        """
        work = partial(sxt_resolving.halve, self.source(series), how, masked)
        self._start("Reconstructing the halves", work, self._on_resolved)

    def map_resolution(self, one: str | None, two: str | None, window: int) -> None:
        """Map the resolution of two layers in the background.

        Raises
        ------
        ImageError
            Where a layer is missing.
        """
        halves = self.source(one), self.source(two)
        work = partial(local_map, *halves, window)
        self._start("Mapping the resolution", work, self._on_made)

    def weigh(self, how: Weighing) -> None:
        """Measure density and masses in the background.

        Raises
        ------
        ImageError
            Where another calculation is running.
        """
        self._start("Weighing", partial(sxt_weighing.weigh, how), self._on_weighed)

    def beside(
        self, name: str | None, grid: Source, threshold: float | None, sd: float | None
    ) -> Beside | None:
        """Describe the fluorescence to compare with, with the error of its registration.

        Parameters
        ----------
        name : str or None
            Of the source; None compares with nothing.
        grid : Source
            The tomogram.
        threshold : float or None
            None for Otsu's.
        sd : float or None
            Error of the registration, µm; None takes it from the links of the session.
        """
        if name is None:
            return None
        source = self.source(name)
        found = registration_sd(self.workspace, source, grid) if sd is None else sd
        return Beside(source, threshold, found)

    def go_to(self, cluster: int) -> None:
        """Bring a cluster to the middle of the canvas."""
        viewer, matrix = self._viewer(), self.layers.matrix
        if viewer is None or matrix is None or self.weighed is None:
            return
        centre = next(one.centre for one in self.weighed.found.clusters if one.name == cluster)
        go_to(viewer, matrix[:3, :3] @ centre + matrix[:3, 3])

    def write_clusters(self, path: str | Path) -> None:
        """Write the clusters found last.

        Raises
        ------
        ClxemError
            Where there are none, or the file cannot be written.
        """
        if self.weighed is None:
            raise ImageError("There is nothing to write; weigh a pair of tomograms first.")
        sxt_export.write_clusters(path, self.weighed)

    def write_curve(self, path: str | Path) -> None:
        """Write the curve found last.

        Raises
        ------
        ClxemError
            Where there is none, or the file cannot be written.
        """
        if self.resolved is None:
            raise ImageError("There is no curve to write; correlate two halves first.")
        sxt_export.write_curve(path, self.resolved)

    def _start(self, name: str, work: Callable[[Any], T], done: Callable[[T], None]) -> None:
        if not self.task.start(name, work, done):
            raise ImageError("Another calculation is running; wait for it or cancel it.")

    def _on_made(self, found: Made) -> None:
        viewer = self._viewer()
        self.made = found
        if viewer is not None:
            for product in found.products:
                viewer.layers.append(layer_of(product))
                if product.kind == ABSORPTION:
                    go_to(viewer, middle_of(product))
        self.changed.emit()

    def _on_resolved(self, found: Resolved) -> None:
        self.resolved = found
        self.changed.emit()

    def _on_weighed(self, found: Weighed) -> None:
        viewer = self._viewer()
        self.weighed = found
        there = None if viewer is None else resolve(self.workspace, viewer, found.how.high.id)
        self.layers.show(found, found.how.high.matrix if there is None else there.matrix)
        self.changed.emit()

    def _on_refreshed(self) -> None:
        viewer = self._viewer()
        if viewer is not None and self.weighed is not None:
            there = resolve(self.workspace, viewer, self.weighed.how.high.id)
            self.layers.move(None if there is None else there.matrix)
        self.changed.emit()

    def _on_layers(self, event: Any) -> None:
        if isinstance(getattr(event, "value", None), Layer) or event.type == "name":
            self.changed.emit()

    def _events(self, viewer: Any) -> tuple[Any, ...]:
        events = viewer.layers.events
        return events.inserted, events.removed, events.reordered
