"""The dock "Targets": what is to be kept, how sure its place is, and the lamella for it."""

from __future__ import annotations

from typing import Any
from weakref import ref

import numpy as np
from napari.utils.notifications import show_error, show_info
from qtpy.QtCore import Qt, QTimer
from qtpy.QtWidgets import (
    QCheckBox,
    QComboBox,
    QDockWidget,
    QFileDialog,
    QFormLayout,
    QLabel,
    QLineEdit,
    QMainWindow,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)

from napari_clxem.errors import ClxemError
from napari_clxem.plugin import keys
from napari_clxem.plugin.controllers import redo, undo, workspace_for
from napari_clxem.plugin.controllers.targets import Targets
from napari_clxem.plugin.controllers.targets_export import FILTER, export
from napari_clxem.plugin.controllers.targets_mouse import TargetMouse
from napari_clxem.plugin.controllers.targets_words import ranked, target_words
from napari_clxem.plugin.widgets.second import SecondCanvas
from napari_clxem.plugin.widgets.tables import Row, Table
from napari_clxem.plugin.widgets.targets_box import BoxForm
from napari_clxem.plugin.widgets.targets_parts import button, combo, row, spin
from napari_clxem.plugin.widgets.targets_sites import SitesForm

NARROW = 320
SOON = 20  # ms
COLUMNS = (
    ("Target", "Name of the target; choose one to go there"),
    ("Error", "Predicted error in the plane of the frame shown: root mean square"),
    ("FIB ±", "Predicted error up and down in the FIB image, where a lamella is thin (sd)"),
    ("Captured", "Share of the target expected in the lamella"),
)
HEIGHTS = (
    ("brightest", "z: strongest signal"),
    ("slice", "z: slice shown"),
)


class TargetsWidget(QScrollArea):
    """Targets of a site, and the lamella box drawn for them in the FIB image.

    Parameters
    ----------
    napari_viewer : napari.Viewer
        The viewer; kept by weak reference.
    """

    def __init__(self, napari_viewer: Any) -> None:
        super().__init__()
        viewer = getattr(napari_viewer, "__wrapped__", napari_viewer)
        self._viewer = ref(viewer)
        self._workspace = workspace_for(viewer)
        self.targets = Targets(self._workspace, viewer)
        self._mouse = TargetMouse(self.targets, viewer, "main")
        self._fib_mouse = TargetMouse(self.targets, self.targets.second.model, "fib")
        self._canvas: SecondCanvas | None = SecondCanvas(self.targets.second)
        self._dock: QWidget | None = None
        self._bind_keys()
        self.setWidgetResizable(True)
        self.setMinimumWidth(NARROW)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self._make_parts()
        self._arrange()
        self._soon = QTimer(self)
        self._soon.setSingleShot(True)
        self._soon.timeout.connect(self.refresh)
        self.targets.changed.connect(self._refresh_soon)
        self.targets.moved.connect(self._on_moved)
        self.refresh()

    @property
    def viewer(self) -> Any:
        """The viewer, or None once it is gone."""
        return self._viewer()

    @property
    def canvas(self) -> SecondCanvas | None:
        """The canvas of the FIB image; None once the dock is closed."""
        return self._canvas

    def closeEvent(self, event: Any) -> None:  # noqa: N802
        """Give the mouse and the FIB canvas back."""
        self._soon.stop()
        self.targets.changed.disconnect(self._refresh_soon)
        self.targets.moved.disconnect(self._on_moved)
        self._mouse.release()
        self._fib_mouse.release()
        self.targets.release()
        self.sites.release()
        if self._canvas is not None:
            self._canvas.release()
            if self._dock is not None and self.viewer is not None:
                self.viewer.window.remove_dock_widget(self._canvas)
            self._canvas = self._dock = None
        super().closeEvent(event)

    def showEvent(self, event: Any) -> None:  # noqa: N802
        """Take the mouse again, and open the FIB canvas once there is a window."""
        self.targets.active = True
        super().showEvent(event)
        self._refresh_soon()

    def hideEvent(self, event: Any) -> None:  # noqa: N802
        """Leave the mouse alone while another dock lies on top."""
        self.targets.active = False
        super().hideEvent(event)

    def _make_parts(self) -> None:
        self._large, self._small, self._next = QLabel(), QLabel(), QLabel()
        self._large.setStyleSheet("font-size: 22px; font-weight: bold;")
        self._next.setStyleSheet("font-weight: bold;")
        for label in (self._large, self._small, self._next):
            label.setWordWrap(True)
            label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self._table = Table(COLUMNS)
        self._table.chosen.connect(self._workspace.choose)
        self._pick = button(keys.PICK_TARGET, self._on_pick, checkable=True)
        self._undo = button(keys.UNDO, lambda: undo(self.viewer))
        self._redo = button(keys.REDO, lambda: redo(self.viewer))
        self._go = button(keys.GO_TARGET, self._on_go)
        self._delete = button(keys.DROP_TARGET, self.targets.remove)
        self._export = button(keys.EXPORT_TARGETS, self._on_export)
        self._height: QComboBox = combo("Where a click in a stack lies along z")
        for name, text in HEIGHTS:
            self._height.addItem(text, name)
        self._height.activated.connect(self._on_height)
        self._snap = QCheckBox("Snap")
        self._snap.setToolTip("Move a pick to the centroid of what stands out there")
        self._snap.toggled.connect(lambda on: setattr(self.targets, "snap", on))
        self._name = QLineEdit()
        self._name.setAccessibleName("Name of the target")
        self._name.editingFinished.connect(self._on_name)
        self._radius = spin(0.01, 50.0, 0.05, " µm", "Radius of the target")
        self._radius.valueChanged.connect(lambda value: self.targets.amend(radius=value))
        self._across = spin(0.0, 20.0, 0.02, " µm", "Uncertainty of the pick, in the plane (sd)")
        self._deep = spin(0.0, 20.0, 0.02, " µm", "Uncertainty of the pick along z (sd)")
        for part in (self._across, self._deep):
            part.valueChanged.connect(self._on_sigma)
        self._box = BoxForm(self.targets)
        self.sites = SitesForm(self._workspace, self.viewer)

    def _arrange(self) -> None:
        inside = QWidget()
        column = QVBoxLayout(inside)
        column.setContentsMargins(4, 4, 4, 4)
        for label in (self._large, self._small, self._next):
            column.addWidget(label)
        self._work = QWidget()
        work = QVBoxLayout(self._work)
        work.setContentsMargins(0, 0, 0, 0)
        work.addLayout(row(self._pick, self._undo, self._redo))
        work.addLayout(row(self._height, self._snap))
        work.addWidget(self._table)
        self._details = QWidget()
        form = QFormLayout(self._details)
        form.setContentsMargins(0, 0, 0, 0)
        form.addRow("Name", self._name)
        form.addRow("Radius", self._radius)
        form.addRow("Pick error", self._across)
        form.addRow("… along z", self._deep)
        form.addRow(row(self._go, self._delete))
        work.addWidget(self._details)
        work.addWidget(self._box)
        work.addWidget(self._export)
        work.addWidget(self.sites)
        column.addWidget(self._work)
        column.addStretch(1)
        self.setWidget(inside)

    def _bind_keys(self) -> None:
        """Undo and redo also where the FIB canvas has the focus."""
        model = self.targets.second.model
        model.bind_key(keys.UNDO.key, lambda _: undo(self.viewer), overwrite=True)
        model.bind_key(keys.REDO.key, lambda _: redo(self.viewer), overwrite=True)

    # -- what the user does

    def _on_pick(self, on: bool) -> None:
        self.targets.picking = on
        if on:
            self.targets.workspace.hand_taken.emit(self.targets)
        self._refresh_soon()

    def _on_height(self) -> None:
        self._mouse.height = self._height.currentData()

    def _on_go(self) -> None:
        target = self.targets.target
        if target is not None:
            self._workspace.choose(target.id)

    def _on_name(self) -> None:
        if self._name.text().strip():
            self.targets.amend(name=self._name.text().strip())

    def _on_sigma(self) -> None:
        target = self.targets.target
        if target is not None:
            across, deep = self._across.value(), self._deep.value()
            flat = len(target.position) == 2
            self.targets.amend(sigma=(across, across) if flat else (deep, across, across))

    def _on_export(self) -> None:
        path, _ = QFileDialog.getSaveFileName(self, keys.EXPORT_TARGETS.tip, "", FILTER)
        if path:
            self.export(path)

    def export(self, path: str) -> None:
        """Write targets and lamellae of the site; the suffix tells the format."""
        targets = self.targets
        site = self._workspace.view.site
        chosen = [one for one in targets.session.targets if one.site in (None, site)]
        image = None
        if targets.fib is not None:
            planes = targets.second.planes(targets.fib.dataset)
            image = np.asarray(planes[0].levels[0]) if planes else None
        notes = [targets.proposal.sentence] if targets.proposal else []
        try:
            said = export(
                path,
                targets.session,
                chosen,
                targets.records,
                targets.fib,
                targets.aims,
                targets.placing,
                image,
                [*notes, *filter(None, [targets.gain])],
            )
        except ClxemError as error:
            show_error(str(error))
        else:
            show_info(said)

    # -- what is shown

    def _refresh_soon(self) -> None:
        self._soon.start(SOON)

    def _on_moved(self) -> None:
        """Show the figures that a drag changes, at once."""
        self._say()
        self._box.show_figures()

    def _say(self) -> None:
        targets, view = self.targets, self._workspace.view
        self._pick.setChecked(targets.picking)
        target = targets.target
        capture = targets.found.get(target.id) if target else None
        words = target_words(
            targets.session, view, target, capture, targets.trouble, targets.picking
        )
        for label, text in (
            (self._large, words.large),
            (self._small, words.small),
            (self._next, words.next),
        ):
            label.setText(text)
            label.setVisible(bool(text))

    def refresh(self) -> None:
        """Show the session, the targets and the lamella as they are now."""
        targets, view = self.targets, self._workspace.view
        session, target, store = targets.session, targets.target, self._workspace.store
        self._say()
        fib = targets.fib.dataset.frame if targets.fib else ""
        lines = ranked(session, view, fib, targets.found)
        self._table.show_rows(
            [Row(one.id, one.cells, one.tip) for one in lines],
            selected=target.id if target else None,
        )
        self._table.setVisible(bool(lines))
        self._work.setVisible(bool(session.datasets and view.frame))
        self._details.setVisible(target is not None)
        self._export.setEnabled(bool(lines))
        for part, possible, label in (
            (self._undo, store.can_undo, store.undo_label),
            (self._redo, store.can_redo, store.redo_label),
        ):
            part.setEnabled(possible)
            verb = keys.UNDO if part is self._undo else keys.REDO
            part.setToolTip(f"{verb.tooltip}: {label}" if label else verb.tooltip)
        self._show_target()
        self._box.refresh()
        self.sites.refresh()
        if targets.fib is not None:
            self._open_canvas()
        if self._dock is not None:
            self._dock.setVisible(targets.fib is not None)

    def _show_target(self) -> None:
        target = self.targets.target
        if target is None:
            return
        sigma = target.sigma or (0.0,) * len(target.position)
        if not self._name.hasFocus():
            self._name.setText(target.name)
        for part, value in (
            (self._radius, target.radius),
            (self._across, max(sigma[-2:])),
            (self._deep, sigma[0]),
        ):
            part.blockSignals(True)
            part.setValue(value)
            part.blockSignals(False)
        self._deep.setEnabled(len(target.position) == 3)

    def _open_canvas(self) -> None:
        """Put the FIB canvas between the main one and this dock, if it is not there yet."""
        viewer = self.viewer
        ours: Any = self
        while ours is not None and not isinstance(ours, QDockWidget):
            ours = ours.parentWidget()
        if self._dock is not None or self._canvas is None or viewer is None or ours is None:
            return
        beside = viewer.window.add_dock_widget(self._canvas, name="FIB view", area="right")
        self._dock = beside
        window = beside.parentWidget()
        if isinstance(window, QMainWindow):
            window.splitDockWidget(beside, ours, Qt.Orientation.Horizontal)
            right = Qt.DockWidgetArea.RightDockWidgetArea
            for dock in window.findChildren(QDockWidget):
                if dock in (beside, ours) or dock.isFloating() or not dock.isVisibleTo(window):
                    continue
                if window.dockWidgetArea(dock) == right:
                    window.tabifyDockWidget(ours, dock)
            ours.raise_()
