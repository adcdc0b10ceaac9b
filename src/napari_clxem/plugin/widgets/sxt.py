"""The dock "SXT analysis": resolution of tomograms, and mass from two energies."""

from __future__ import annotations

from typing import Any

from qtpy.QtWidgets import QTabWidget

from napari_clxem.plugin.controllers.sxt_analysis import SxtAnalysis
from napari_clxem.plugin.controllers.sxt_warming import warm
from napari_clxem.plugin.widgets.dock import Dock, page
from napari_clxem.plugin.widgets.parts import ProgressRow
from napari_clxem.plugin.widgets.sxt_density import DensityTab
from napari_clxem.plugin.widgets.sxt_resolution import ResolutionTab
from napari_clxem.plugin.widgets.sxt_steps import StepsTab

# The window is drawn first.
WARMING = 300  # ms


class SxtWidget(Dock):
    """Analysis of the tomograms that a viewer shows.

    Parameters
    ----------
    napari_viewer : napari.Viewer
        The viewer; kept by weak reference.
    """

    def __init__(self, napari_viewer: Any) -> None:
        super().__init__(napari_viewer)
        viewer = self.viewer
        self.analysis = SxtAnalysis(self._workspace, viewer)
        self.progress = ProgressRow(self.analysis.task.cancel)
        self.tabs = QTabWidget()
        self.resolution = ResolutionTab(self.analysis)
        self.density = DensityTab(self.analysis)
        self.steps = StepsTab(self.analysis)
        self.tabs.addTab(self.steps, "Tomogram")
        self.tabs.addTab(self.resolution, "Resolution")
        self.tabs.addTab(self.density, "Density")
        self.tabs.setCurrentWidget(self.resolution)
        self.tabs.currentChanged.connect(self._on_tab)
        inside, column = page()
        column.addWidget(self.progress)
        column.addWidget(self.tabs)
        self.setWidget(inside)
        self._warm = self.clock(warm)
        self._warm.start(WARMING)
        self.follow(viewer.events.theme, self._on_theme)
        self.follow(self.analysis.changed, self.refresh_soon)
        self.follow(self.analysis.task.progressed, self.progress.show_progress)
        self.follow(self.analysis.task.ended, self._on_ended)
        self.when_left(self.analysis.release)
        self._on_theme()
        self.refresh()

    def _on_ended(self) -> None:
        self.progress.hide()

    def _on_tab(self, _index: int) -> None:
        self.refresh()

    def _on_theme(self, _event: Any = None) -> None:
        viewer = self._viewer()
        if viewer is not None:
            self.resolution.plot.use_theme(viewer.theme)

    def refresh(self) -> None:
        """Show what there is now."""
        shown = self.tabs.currentWidget()
        for tab in (self.steps, self.resolution, self.density):
            if tab is shown:
                tab.refresh()
