"""The dock "Links & targets": where the target is, how sure that is, and what it rests on."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any
from weakref import ref

from napari.utils.notifications import show_error
from qtpy.QtCore import Qt, QTimer
from qtpy.QtWidgets import (
    QComboBox,
    QFileDialog,
    QFormLayout,
    QGridLayout,
    QLabel,
    QPushButton,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)

from napari_clxem.errors import ClxemError
from napari_clxem.plugin import keys
from napari_clxem.plugin.controllers import Workspace, redo, undo, workspace_for
from napari_clxem.plugin.controllers.opening import open_session, save_session
from napari_clxem.plugin.controllers.rows import link_cells, link_tip, overview, target_cells
from napari_clxem.plugin.widgets.scale import ScaleRequest
from napari_clxem.plugin.widgets.tables import Row, Table

FILTER = "CLXEM session (*.clxem.json)"
NARROW = 320
SOON = 20  # ms
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


class LinksWidget(QScrollArea):
    """Site, reference frame, predicted error, targets and links of a viewer's session.

    Parameters
    ----------
    napari_viewer : napari.Viewer
        The viewer; kept by weak reference.
    """

    def __init__(self, napari_viewer: Any) -> None:
        super().__init__()
        self._workspace = workspace_for(napari_viewer)
        self._viewer = ref(getattr(napari_viewer, "__wrapped__", napari_viewer))
        self.setWidgetResizable(True)
        self.setMinimumWidth(NARROW)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self._make_parts()
        self._arrange()
        # The layers move first; the dock follows once for several changes in a row.
        self._soon = QTimer(self)
        self._soon.setSingleShot(True)
        self._soon.timeout.connect(self.refresh)
        self._workspace.refreshed.connect(self._refresh_soon)
        self._workspace.informed.connect(self._refresh_soon)
        self.destroyed.connect(partial(_let_go, self._workspace, self._refresh_soon))
        self.refresh()

    @property
    def viewer(self) -> Any:
        """The viewer, or None once it is gone."""
        return self._viewer()

    def _make_parts(self) -> None:
        self._site = QComboBox()
        self._frame = QComboBox()
        self._large = QLabel()
        self._small = QLabel()
        self._absence = QLabel()
        self._targets = Table(TARGETS)
        self._links = Table(LINKS)
        self._scale = ScaleRequest()
        self._large.setStyleSheet("font-size: 22px; font-weight: bold;")
        for label in (self._large, self._small, self._absence):
            label.setWordWrap(True)
            label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        for box in (self._site, self._frame):
            box.setSizeAdjustPolicy(
                QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon
            )
            box.setMinimumContentsLength(12)
        self._site.activated.connect(self._on_site)
        self._frame.activated.connect(self._on_frame)
        self._targets.chosen.connect(self._workspace.choose)
        self._scale.given.connect(self._on_scale)
        self._buttons = {
            keys.OPEN: self._on_open,
            keys.SAVE: self._on_save,
            keys.UNDO: self._on_undo,
            keys.REDO: self._on_redo,
        }

    def _arrange(self) -> None:
        inside = QWidget()
        column = QVBoxLayout(inside)
        grid = QGridLayout()
        self._button: dict[keys.Verb, QPushButton] = {}
        for number, (verb, slot) in enumerate(self._buttons.items()):
            button = QPushButton(verb.text)
            button.setToolTip(verb.tooltip)
            button.clicked.connect(slot)
            self._button[verb] = button
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

    def _refresh_soon(self) -> None:
        self._soon.start(SOON)

    def refresh(self) -> None:
        """Show the session as it is now."""
        workspace = self._workspace
        session, view = workspace.store.session, workspace.view
        sites = [(WHOLE_GRID, None), *((one.name or one.id, one.id) for one in session.sites)]
        _fill(self._site, sites, view.site)
        frames = sorted({one.frame for one in session.datasets})
        _fill(self._frame, [("–", ""), *((name, name) for name in frames)], view.frame)
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
        self._refresh_buttons()

    def _refresh_buttons(self) -> None:
        store = self._workspace.store
        for verb, possible, label in (
            (keys.UNDO, store.can_undo, store.undo_label),
            (keys.REDO, store.can_redo, store.redo_label),
        ):
            self._button[verb].setEnabled(possible)
            self._button[verb].setToolTip(f"{verb.tooltip}: {label}" if label else verb.tooltip)
        self._button[keys.SAVE].setEnabled(store.dirty or store.path is None)

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

    def _on_undo(self) -> None:
        undo(self.viewer)

    def _on_redo(self) -> None:
        redo(self.viewer)

    def _on_scale(self, path: str, index: int, scale: tuple[float, ...]) -> None:
        try:
            self._workspace.give_scale((path, index), scale)
        except ClxemError as error:
            show_error(str(error))


def _let_go(workspace: Workspace, slot: Callable[[], None], _object: Any = None) -> None:
    for signal in (workspace.refreshed, workspace.informed):
        signal.disconnect(slot, missing_ok=True)


def _fill(box: QComboBox, choices: list[tuple[str, Any]], current: Any) -> None:
    box.blockSignals(True)
    box.clear()
    for text, data in choices:
        box.addItem(text, data)
    box.setCurrentIndex(max(0, box.findData(current)))
    box.blockSignals(False)
