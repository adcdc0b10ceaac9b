"""The dock "SXT analysis": resolution of tomograms, and mass from two energies."""

from __future__ import annotations

from typing import Any
from weakref import ref

from qtpy.QtCore import Qt, QTimer
from qtpy.QtWidgets import QScrollArea, QTabWidget, QVBoxLayout, QWidget

from napari_clxem.plugin.controllers import workspace_for
from napari_clxem.plugin.controllers.sxt_analysis import SxtAnalysis
from napari_clxem.plugin.controllers.sxt_warming import warm
from napari_clxem.plugin.widgets.session_parts import ProgressRow
from napari_clxem.plugin.widgets.sxt_density import DensityTab
from napari_clxem.plugin.widgets.sxt_resolution import ResolutionTab

NARROW = 320
SOON = 20  # ms
# The window is drawn first.
WARMING = 300  # ms


class SxtWidget(QScrollArea):
    """Analysis of the tomograms that a viewer shows.

    Parameters
    ----------
    napari_viewer : napari.Viewer
        The viewer; kept by weak reference.
    """

    def __init__(self, napari_viewer: Any) -> None:
        super().__init__()
        viewer = getattr(napari_viewer, "__wrapped__", napari_viewer)
        self._viewer = ref(viewer)
        self.analysis = SxtAnalysis(workspace_for(viewer), viewer)
        self.setWidgetResizable(True)
        self.setMinimumWidth(NARROW)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.progress = ProgressRow(self.analysis.task.cancel)
        self.tabs = QTabWidget()
        self.resolution = ResolutionTab(self.analysis)
        self.density = DensityTab(self.analysis)
        self.tabs.addTab(self.resolution, "Resolution")
        self.tabs.addTab(self.density, "Absorption density")
        self.tabs.currentChanged.connect(self._on_tab)
        inside = QWidget()
        column = QVBoxLayout(inside)
        column.setContentsMargins(4, 4, 4, 4)
        column.addWidget(self.progress)
        column.addWidget(self.tabs)
        self.setWidget(inside)
        self._soon, self._warm = QTimer(self), QTimer(self)
        for timer, slot in ((self._soon, self.refresh), (self._warm, warm)):
            timer.setSingleShot(True)
            timer.timeout.connect(slot)
        self._warm.start(WARMING)
        self._closed = False
        self.analysis.changed.connect(self._refresh_soon)
        self.analysis.task.progressed.connect(self.progress.show_progress)
        self.analysis.task.ended.connect(self._on_ended)
        viewer.events.theme.connect(self._on_theme)
        self._on_theme()
        self.refresh()

    @property
    def viewer(self) -> Any:
        """The viewer, or None once it is gone."""
        return self._viewer()

    def closeEvent(self, event: Any) -> None:  # noqa: N802
        """Give up what is being done and let the viewer go."""
        self._soon.stop()
        self._warm.stop()
        if not self._closed:
            self._closed = True
            viewer = self._viewer()
            if viewer is not None:
                viewer.events.theme.disconnect(self._on_theme)
            self.analysis.changed.disconnect(self._refresh_soon)
            self.analysis.task.progressed.disconnect(self.progress.show_progress)
            self.analysis.task.ended.disconnect(self._on_ended)
            self.analysis.release()
        super().closeEvent(event)

    def _on_ended(self) -> None:
        self.progress.hide()

    def _on_tab(self, _index: int) -> None:
        self.refresh()

    def _on_theme(self, _event: Any = None) -> None:
        viewer = self._viewer()
        if viewer is not None:
            self.resolution.plot.use_theme(viewer.theme)

    def _refresh_soon(self) -> None:
        if not self._soon.isActive():
            self._soon.start(SOON)

    def refresh(self) -> None:
        """Show what there is now."""
        shown = self.tabs.currentWidget()
        if shown is self.resolution:
            self.resolution.refresh()
        else:
            self.density.refresh()
