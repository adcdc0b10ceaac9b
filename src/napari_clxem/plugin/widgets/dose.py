"""The dock "Dose review": what every look has cost, where, and what is left."""

from __future__ import annotations

from typing import Any

from qtpy.QtWidgets import QProgressBar, QTabWidget

from napari_clxem.plugin.controllers.dose_review import DoseReview
from napari_clxem.plugin.widgets.dock import SOON, Dock, page
from napari_clxem.plugin.widgets.dose_check import CheckTab
from napari_clxem.plugin.widgets.dose_exposures import ExposuresTab
from napari_clxem.plugin.widgets.dose_map import MapTab
from napari_clxem.plugin.widgets.dose_plan import PlanTab


class DoseWidget(Dock):
    """Doses of a viewer's session: map, exposures, plan and check.

    Parameters
    ----------
    napari_viewer : napari.Viewer
        The viewer; kept by weak reference.
    """

    def __init__(self, napari_viewer: Any) -> None:
        super().__init__(napari_viewer)
        self.review = DoseReview(self._workspace, self.viewer)
        self.map = MapTab(self.review)
        self.tabs = QTabWidget()
        self.exposures = ExposuresTab(self.review)
        self.plan = PlanTab(self.review)
        self.check = CheckTab()
        for tab, title in (
            (self.map, "Map"),
            (self.exposures, "Exposures"),
            (self.plan, "Plan"),
            (self.check, "Check"),
        ):
            self.tabs.addTab(tab, title)
        self.tabs.currentChanged.connect(self._on_tab)
        self._progress = QProgressBar()
        self._progress.setRange(0, 0)
        self._progress.setFixedHeight(4)
        self._progress.setTextVisible(False)
        inside, column = page()
        column.addWidget(self._progress)
        column.addWidget(self.tabs)
        self.setWidget(inside)
        self._place = self.clock(self.map.show_place)
        self.follow(self.review.changed, self.refresh_soon)
        self.follow(self.review.pointer.pointed, self._place_soon)
        for work in (self.review.preparing, self.review.painting, self.review.checking):
            self.follow(work.turned, self._on_turned)
        self.follow(self.plan.planner.changed, self.refresh_soon)
        self.when_left(self.plan.stop)
        self.when_left(self.review.release)
        self.refresh()

    def end(self) -> None:
        """End a replay and what is being read, too."""
        self.map.stop()
        self.exposures.stop()
        super().end()

    def _place_soon(self) -> None:
        if not self._place.isActive():
            self._place.start(SOON)

    def _on_tab(self, _index: int) -> None:
        self.refresh()

    def _on_turned(self) -> None:
        review = self.review
        busy = review.preparing.busy or review.checking.busy
        self._progress.setVisible(busy)

    def refresh(self) -> None:
        """Show the doses as they are now."""
        self._on_turned()
        shown = self.tabs.currentWidget()
        if shown is self.map:
            self.map.refresh()
            self.map.show_place()
        elif shown is self.exposures:
            self.exposures.refresh()
        elif shown is self.plan:
            self.plan.refresh()
