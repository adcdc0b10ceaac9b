"""The dock "Links & targets": where the target is, how sure that is, and what it rests on."""

from __future__ import annotations

from typing import Any

from napari.utils.notifications import show_error
from qtpy.QtWidgets import QFileDialog, QFormLayout, QGridLayout, QWidget

from napari_clxem.errors import ClxemError
from napari_clxem.plugin import keys
from napari_clxem.plugin.controllers import redo, undo
from napari_clxem.plugin.controllers.opening import open_session, save_session
from napari_clxem.plugin.controllers.rows import link_cells, link_tip, overview, target_cells
from napari_clxem.plugin.widgets.dock import Dock, page
from napari_clxem.plugin.widgets.parts import combo, fill, large, said, verb_button
from napari_clxem.plugin.widgets.scale import ScaleRequest
from napari_clxem.plugin.widgets.tables import Row, Table

FILTER = "CLXEM session (*.clxem.json)"
WHOLE_GRID = "Whole grid"

TARGETS = (
    ("Target", "Name of the target; choose one to go there"),
    ("Error", "Predicted error in the plane at the target: root mean square"),
    ("95 %", "The target is within this distance, in the plane, with 95 % probability"),
    ("z", "Predicted error along z: standard deviation"),
)
LINKS = (
    ("Link by beads", "Landmarks used of those picked, or what the link is made from"),
    ("Fit", "How well the fit goes through its own landmarks (FRE); this is not its error"),
    ("Left out", "How far each landmark is from where the others say it should be"),
    ("Error", "Predicted error of this link alone, in the plane, at the target"),
)


class LinksWidget(Dock):
    """Site, reference frame, predicted error, targets and links of a viewer's session.

    Parameters
    ----------
    napari_viewer : napari.Viewer
        The viewer; kept by weak reference.
    """

    def __init__(self, napari_viewer: Any) -> None:
        super().__init__(napari_viewer)
        self._make_parts()
        self._arrange()
        self.follow(self._workspace.refreshed, self.refresh_soon)
        self.follow(self._workspace.informed, self.refresh_soon)
        self.refresh()

    def _make_parts(self) -> None:
        self._site, self._frame = combo("Cell or square shown"), combo("Frame all is shown in")
        self._large, self._small, self._absence = large(), said(), said()
        self._targets = Table(TARGETS)
        self._links = Table(LINKS)
        self._scale = ScaleRequest()
        self._site.activated.connect(self._on_site)
        self._frame.activated.connect(self._on_frame)
        self._targets.chosen.connect(self._workspace.choose)
        self._scale.given.connect(self._on_scale)
        self._save = verb_button(keys.SAVE, self._on_save)
        self._undo = verb_button(keys.UNDO, lambda: undo(self.viewer))
        self._redo = verb_button(keys.REDO, lambda: redo(self.viewer))

    def _arrange(self) -> None:
        inside, column = page(margin=None)
        grid = QGridLayout()
        buttons = (verb_button(keys.OPEN, self._on_open), self._save, self._undo, self._redo)
        for number, button in enumerate(buttons):
            grid.addWidget(button, number // 2, number % 2)
        self._choosers = QWidget()
        choosers = QFormLayout(self._choosers)
        choosers.setContentsMargins(0, 0, 0, 0)
        choosers.addRow("Site", self._site)
        choosers.addRow("Reference", self._frame)
        column.addLayout(grid)
        column.addWidget(self._scale)
        column.addWidget(self._choosers)
        column.addWidget(self._large)
        column.addWidget(self._small)
        column.addWidget(self._targets)
        column.addWidget(self._links)
        column.addWidget(self._absence)
        column.addStretch(1)
        self.setWidget(inside)

    def refresh(self) -> None:
        """Show the session as it is now."""
        workspace = self._workspace
        session, view = workspace.store.session, workspace.view
        sites = [(WHOLE_GRID, None), *((one.name or one.id, one.id) for one in session.sites)]
        fill(self._site, sites, view.site)
        frames = sorted({one.frame for one in session.datasets})
        fill(self._frame, [("–", ""), *((name, name) for name in frames)], view.frame)
        said = overview(session, view, workspace.target)
        self._large.setText(said.headline.large)
        self._small.setText(said.headline.small)
        self._absence.setText(said.absence)
        self._links.show_rows(
            [Row(one.id, link_cells(one), link_tip(one), title=one.name) for one in said.links]
        )
        self._targets.show_rows(
            [Row(row.id, target_cells(row), row.way) for row in said.targets],
            selected=said.target,
        )
        for part, filled in (
            (self._links, said.links),
            (self._targets, said.targets),
            (self._choosers, session.datasets),
        ):
            part.setVisible(bool(filled))
        self._scale.ask(workspace.previews)
        self.show_steps(self._undo, self._redo)
        store = workspace.store
        self._save.setEnabled(store.dirty or store.path is None)

    def _on_site(self) -> None:
        self._workspace.show_site(self._site.currentData(), self._workspace.view.frame, wait=False)

    def _on_frame(self) -> None:
        self._workspace.show_site(self._workspace.view.site, self._frame.currentData(), wait=False)

    def _on_open(self) -> None:
        path, _ = QFileDialog.getOpenFileName(self, keys.OPEN.tip, "", FILTER)
        viewer = self.viewer
        if path and viewer is not None:
            open_session(viewer, path)

    def _on_save(self) -> None:
        viewer = self.viewer
        path = None
        if self._workspace.store.path is None:
            path, _ = QFileDialog.getSaveFileName(self, keys.SAVE.tip, "", FILTER)
            if not path:
                return
        if viewer is not None:
            save_session(viewer, path)

    def _on_scale(self, path: str, index: int, scale: tuple[float, ...]) -> None:
        try:
            self._workspace.give_scale((path, index), scale)
        except ClxemError as error:
            show_error(str(error))
