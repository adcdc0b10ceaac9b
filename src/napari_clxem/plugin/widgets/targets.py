"""The dock "Targets": what is to be kept, how sure its place is, and the lamella for it."""

from __future__ import annotations

from typing import Any

import numpy as np
from napari.utils.notifications import show_error, show_info
from qtpy.QtCore import Qt
from qtpy.QtWidgets import (
    QComboBox,
    QFileDialog,
    QFormLayout,
    QLineEdit,
    QMainWindow,
    QVBoxLayout,
    QWidget,
)

from napari_clxem.errors import ClxemError
from napari_clxem.plugin import keys
from napari_clxem.plugin.controllers import redo, undo
from napari_clxem.plugin.controllers.targets import Targets
from napari_clxem.plugin.controllers.targets_export import FILTER, export
from napari_clxem.plugin.controllers.targets_mouse import TargetMouse
from napari_clxem.plugin.controllers.targets_warnings import box_warnings, target_warnings
from napari_clxem.plugin.controllers.targets_words import ranked, target_words
from napari_clxem.plugin.widgets.beside import Beside
from napari_clxem.plugin.widgets.dock import WIDTH, Dock, around, page, show_words
from napari_clxem.plugin.widgets.parts import (
    Fold,
    bold,
    button,
    check,
    combo,
    large,
    row,
    said,
    spin,
)
from napari_clxem.plugin.widgets.second import SecondCanvas
from napari_clxem.plugin.widgets.tables import Row, Table
from napari_clxem.plugin.widgets.targets_box import BoxForm
from napari_clxem.plugin.widgets.targets_sites import SitesForm
from napari_clxem.session.fib_views import fib_datasets

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


class TargetsWidget(Dock):
    """Targets of a site, and the lamella box drawn for them in the FIB image.

    Parameters
    ----------
    napari_viewer : napari.Viewer
        The viewer; kept by weak reference.
    """

    def __init__(self, napari_viewer: Any) -> None:
        super().__init__(napari_viewer)
        viewer = self.viewer
        self.targets = Targets(self._workspace, viewer)
        self.sites = SitesForm(self._workspace, viewer)
        self._mouse = TargetMouse(self.targets, viewer, "main", [self.sites.fields])
        fib_mouse = TargetMouse(self.targets, self.targets.second.model, "fib")
        self.follow(self.targets.changed, self.refresh_soon)
        self.follow(self.targets.moved, self._on_moved)
        self.follow(self.sites.fields.changed, self.refresh_soon)
        for one in (self._mouse, fib_mouse, self.targets, self.sites):
            self.when_left(one.release)
        self._beside = Beside(self, self.targets.second, "FIB view")
        self._make_parts()
        self._arrange()
        self.refresh()

    @property
    def canvas(self) -> SecondCanvas | None:
        """The canvas of the FIB image; None once the dock is closed."""
        return self._beside.canvas

    def showEvent(self, event: Any) -> None:  # noqa: N802
        """Take the mouse again, and open the FIB canvas once there is a window."""
        self.targets.active = True
        super().showEvent(event)
        self.refresh_soon()

    def hideEvent(self, event: Any) -> None:  # noqa: N802
        """Leave the mouse alone while another dock lies on top."""
        self.targets.active = False
        super().hideEvent(event)

    def _make_parts(self) -> None:
        self._large, self._small, self._next = large(), said(), bold()
        self._wrong = said()
        self._wrong_target: tuple[str, ...] = ()
        self._table = Table(COLUMNS)
        self._table.chosen.connect(self._workspace.choose)
        self._pick = button(keys.PICK_TARGET, self._on_pick, checkable=True)
        self._undo = button(keys.UNDO, lambda: undo(self.viewer))
        self._redo = button(keys.REDO, lambda: redo(self.viewer))
        self._go = button(keys.GO_TARGET, self._on_go)
        self._delete = button(keys.DROP_TARGET, self.targets.picks.remove)
        self._export = button(keys.EXPORT_TARGETS, self._on_export)
        self._height: QComboBox = combo("Where a click in a stack lies along z")
        for name, text in HEIGHTS:
            self._height.addItem(text, name)
        self._height.activated.connect(self._on_height)
        tip = "Move a pick to the centroid of what stands out there"
        self._snap = check("Snap", tip, lambda on: setattr(self.targets.picks, "snap", on))
        self._name = QLineEdit()
        self._name.setAccessibleName("Name of the target")
        self._name.editingFinished.connect(self._on_name)
        self._radius = spin(0.01, 50.0, 0.05, " µm", "Radius of the target")
        self._radius.valueChanged.connect(lambda value: self.targets.picks.amend(radius=value))
        self._across = spin(0.0, 20.0, 0.02, " µm", "Uncertainty of the pick, in the plane (sd)")
        self._deep = spin(0.0, 20.0, 0.02, " µm", "Uncertainty of the pick along z (sd)")
        for part in (self._across, self._deep):
            part.valueChanged.connect(self._on_sigma)
        self._box = BoxForm(self.targets)

    def _arrange(self) -> None:
        inside, column = page()
        for label in (self._large, self._small, self._wrong, self._next):
            column.addWidget(label)
        self._work = QWidget()
        work = QVBoxLayout(self._work)
        work.setContentsMargins(0, 0, 0, 0)
        work.addLayout(row(self._pick, self._undo, self._redo))
        work.addLayout(row(self._height, self._snap))
        work.addWidget(self._table)
        self._details = Fold("Name, radius and pick error")
        form = QFormLayout()
        self._details.column.addLayout(form)
        form.addRow("Name", self._name)
        form.addRow("Radius", self._radius)
        form.addRow("Pick error", self._across)
        form.addRow("… along z", self._deep)
        form.addRow(row(self._go, self._delete))
        work.addWidget(self._details)
        work.addWidget(self._box)
        work.addWidget(self._export)
        self._fields = Fold("SXT sites")
        self._fields_first, self._had_view = True, False
        self._fields.column.addWidget(self.sites)
        work.addWidget(self._fields)
        column.addWidget(self._work)
        column.addStretch(1)
        self.setWidget(inside)

    # -- what the user does

    def _on_pick(self, on: bool) -> None:
        self.targets.picks.picking = on
        if on:
            self.targets.workspace.hand_taken.emit(self.targets)
        self.refresh_soon()

    def _on_height(self) -> None:
        self._mouse.height = self._height.currentData()

    def _on_go(self) -> None:
        target = self.targets.target
        if target is not None:
            self._workspace.choose(target.id)

    def _on_name(self) -> None:
        if self._name.text().strip():
            self.targets.picks.amend(name=self._name.text().strip())

    def _on_sigma(self) -> None:
        target = self.targets.target
        if target is not None:
            across, deep = self._across.value(), self._deep.value()
            flat = len(target.position) == 2
            self.targets.picks.amend(sigma=(across, across) if flat else (deep, across, across))

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
        notes = [one for one in (targets.advice.limit, targets.advice.gain) if one]
        try:
            written = export(
                path,
                targets.session,
                chosen,
                targets.records,
                targets.fib,
                targets.aims,
                image,
                notes,
            )
        except ClxemError as error:
            show_error(str(error))
        else:
            show_info(written)

    # -- what is shown

    def _on_moved(self) -> None:
        """Show the figures that a drag changes, at once."""
        self._say()
        self._box.show_figures()

    def _say(self) -> None:
        targets, view = self.targets, self._workspace.view
        self._pick.setChecked(targets.picks.picking)
        target = targets.target
        capture = targets.found.get(target.id) if target else None
        words = target_words(
            targets.session, view, target, capture, targets.trouble, targets.picks.picking
        )
        wrong = (
            *self._wrong_target,
            *box_warnings(
                targets.session, targets.fib, targets.record, targets.lamella, targets.instrument
            ),
        )
        show_words(
            (self._large, words.large),
            (self._small, words.small),
            (self._wrong, "\n".join(f"⚠ {one}" for one in wrong)),
            (self._next, words.next),
        )

    def refresh(self) -> None:
        """Show the session, the targets and the lamella as they are now."""
        targets, view = self.targets, self._workspace.view
        session, target = targets.session, targets.target
        known = target if view.frame else None
        self._wrong_target = target_warnings(session, view.site, known, targets.fib, targets.aim)
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
        self.show_steps(self._undo, self._redo)
        self._show_target()
        self._box.refresh()
        self._box.setVisible(bool(fib_datasets(session, view.site)))
        self.sites.refresh()
        # At the synchrotron there is no FIB image yet: the fields come first.
        if self._fields_first and view.frame:
            self._fields_first = False
            self._fields.unfold(targets.fib is None)
        # Before the dock has its place in the window there is none beside it either.
        if targets.fib is not None and around(self) is not None:
            self._beside.open()
        self._beside.show(targets.fib is not None)
        if self._had_view and targets.fib is None:
            self._narrow()
        self._had_view = targets.fib is not None

    def _narrow(self) -> None:
        """Leave the room of the FIB canvas to the main one."""
        ours = around(self)
        window = None if ours is None else ours.parentWidget()
        if ours is not None and isinstance(window, QMainWindow):
            window.resizeDocks([ours], [WIDTH], Qt.Orientation.Horizontal)

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
