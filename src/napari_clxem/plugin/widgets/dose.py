"""The dock "Dose review": what every look has cost, where, and what is left."""

from __future__ import annotations

from typing import Any
from weakref import ref

from qtpy.QtCore import QEvent, Qt, QTimer
from qtpy.QtWidgets import QProgressBar, QScrollArea, QTabWidget, QVBoxLayout, QWidget

from napari_clxem.plugin.controllers import workspace_for
from napari_clxem.plugin.controllers.dose_review import DoseReview
from napari_clxem.plugin.widgets.dose_check import CheckTab
from napari_clxem.plugin.widgets.dose_exposures import ExposuresTab
from napari_clxem.plugin.widgets.dose_map import MapTab
from napari_clxem.plugin.widgets.dose_plan import PlanTab

NARROW = 320
SOON = 20  # ms


class DoseWidget(QScrollArea):
    """Doses of a viewer's session: map, exposures, plan and check.

    Parameters
    ----------
    napari_viewer : napari.Viewer
        The viewer; kept by weak reference.
    """

    def __init__(self, napari_viewer: Any) -> None:
        super().__init__()
        self._docked = self._ended = False
        viewer = getattr(napari_viewer, "__wrapped__", napari_viewer)
        self._viewer = ref(viewer)
        self._workspace = workspace_for(viewer)
        self.review = DoseReview(self._workspace, viewer)
        self.setWidgetResizable(True)
        self.setMinimumWidth(NARROW)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
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
        self.plan.planner.changed.connect(self._refresh_soon)
        self._progress = QProgressBar()
        self._progress.setRange(0, 0)
        self._progress.setFixedHeight(4)
        self._progress.setTextVisible(False)
        inside = QWidget()
        column = QVBoxLayout(inside)
        column.setContentsMargins(4, 4, 4, 4)
        column.addWidget(self._progress)
        column.addWidget(self.tabs)
        self.setWidget(inside)
        self._soon, self._place = QTimer(self), QTimer(self)
        for timer, slot in ((self._soon, self.refresh), (self._place, self.map.show_place)):
            timer.setSingleShot(True)
            timer.timeout.connect(slot)
        self.review.changed.connect(self._refresh_soon)
        self.review.pointer.pointed.connect(self._place_soon)
        for work in (self.review.preparing, self.review.painting, self.review.checking):
            work.turned.connect(self._on_turned)
        self.refresh()

    @property
    def viewer(self) -> Any:
        """The viewer, or None once it is gone."""
        return self._viewer()

    def closeEvent(self, event: Any) -> None:  # noqa: N802
        """Take the layers away and give the mouse back."""
        self.end()
        super().closeEvent(event)

    def changeEvent(self, event: Any) -> None:  # noqa: N802
        """End where napari takes the dock away: it closes nothing, but leaves it without parent."""
        if event.type() == QEvent.Type.ParentChange:
            if self.parentWidget() is not None:
                self._docked = True
            elif self._docked:
                self.end()
        super().changeEvent(event)

    def end(self) -> None:
        """Take the layers away, give the mouse back and let the session go."""
        if self._ended:
            return
        self._ended = True
        self._soon.stop()
        self._place.stop()
        self.map.stop()
        self.exposures.stop()
        self.review.changed.disconnect(self._refresh_soon)
        self.review.pointer.pointed.disconnect(self._place_soon)
        for work in (self.review.preparing, self.review.painting, self.review.checking):
            work.turned.disconnect(self._on_turned)
        self.plan.planner.changed.disconnect(self._refresh_soon)
        self.plan.stop()
        self.review.release()

    def _refresh_soon(self) -> None:
        if not self._soon.isActive():
            self._soon.start(SOON)

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
