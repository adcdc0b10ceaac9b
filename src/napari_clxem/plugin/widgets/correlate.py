"""The dock "Correlate": landmarks picked in two canvases, and what they are worth."""

from __future__ import annotations

from functools import partial
from typing import Any

from napari.utils.notifications import show_error, show_info
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QComboBox, QFileDialog, QGridLayout, QProgressBar, QVBoxLayout, QWidget

from napari_clxem import fiducials
from napari_clxem.errors import ClxemError
from napari_clxem.frames import orthographic
from napari_clxem.plugin import keys
from napari_clxem.plugin.colours import is_fluorescence
from napari_clxem.plugin.controllers import redo, undo
from napari_clxem.plugin.controllers.automatic import Automatic
from napari_clxem.plugin.controllers.correlation import Correlation
from napari_clxem.plugin.controllers.guidance import (
    found_sentence,
    model_name,
    models,
    outlier_sentence,
    recommended,
)
from napari_clxem.plugin.controllers.guidance import said as words_of
from napari_clxem.plugin.controllers.pairing import CANVASES
from napari_clxem.plugin.controllers.picking import Picker
from napari_clxem.plugin.controllers.rows import find_target, link_tip, table_of_links
from napari_clxem.plugin.controllers.snapping import Snapper
from napari_clxem.plugin.widgets.beside import Beside
from napari_clxem.plugin.widgets.depth import DepthBox
from napari_clxem.plugin.widgets.dock import Dock, page, show_words
from napari_clxem.plugin.widgets.landmarks import LandmarkTable
from napari_clxem.plugin.widgets.link_tree import Branch, LinkTree
from napari_clxem.plugin.widgets.parts import bold, button, check, combo, large, row, said
from napari_clxem.plugin.widgets.second import SecondCanvas
from napari_clxem.session import edits
from napari_clxem.session.landmarks import read_landmarks, write_landmarks
from napari_clxem.session.pairs import default_prior, is_oblique
from napari_clxem.session.summary import nanometres

LAID_OUT = 200  # ms
CSV = "Landmarks (*.csv)"
HEIGHTS = (
    ("brightest", "z of the strongest signal under the click"),
    ("slice", "z of the slice shown"),
)


class CorrelateWidget(Dock):
    """Two frames side by side: pick, match, fit and trust.

    Parameters
    ----------
    napari_viewer : napari.Viewer
        The viewer; kept by weak reference.
    """

    def __init__(self, napari_viewer: Any) -> None:
        super().__init__(napari_viewer)
        self.correlation = Correlation(self._workspace, self.viewer)
        snapper = Snapper(self.correlation)
        self._snapper = snapper
        self._pickers = [Picker(self.correlation, canvas, snapper) for canvas in CANVASES]
        self.automatic = Automatic(self.correlation)
        # Compiled kernels are loaded meanwhile, so that no first click waits for them.
        fiducials.warm()
        orthographic.warm()
        self.follow(self.correlation.changed, self.refresh_soon)
        self.follow(self._workspace.informed, self.refresh_soon)
        self.follow(self.automatic.progressed, self._on_progress)
        self.when_left(self.automatic.cancel)
        for picker in self._pickers:
            self.when_left(picker.release)
        self.when_left(self.correlation.release)
        self._beside = Beside(self, self.correlation.second, "Second canvas")
        self._laid_out = self.clock(self.correlation.look)
        self._make_parts()
        self._arrange()
        self.refresh()

    @property
    def canvas(self) -> SecondCanvas | None:
        """The second canvas; None once the dock is closed."""
        return self._beside.canvas

    # -- parts

    def _make_parts(self) -> None:
        self._links = LinkTree()
        self._links.chosen.connect(self.choose)
        self._large, self._small, self._next = large(), said(), bold()
        self._fre, self._warning, self._advised = said(), said(), said()
        self._table = LandmarkTable()
        self._table.chosen.connect(self.correlation.select)
        self._table.visited.connect(self.correlation.centre)
        self._table.marks.used.connect(self.correlation.use)
        self._pick = button(keys.PICK, self._on_pick, checkable=True)
        self._undo = button(keys.UNDO, lambda: undo(self.viewer))
        self._redo = button(keys.REDO, lambda: redo(self.viewer))
        self._exclude = button(keys.EXCLUDE, self._on_exclude)
        self._delete = button(keys.DELETE, self._on_delete)
        self._jump = button(keys.JUMP, lambda: self.correlation.centre(self.correlation.chosen))
        self._detect = button(keys.DETECT, lambda: self.automatic.start(match=False))
        self._match = button(keys.MATCH, lambda: self.automatic.start(match=True))
        self._cancel = button(keys.CANCEL, self.automatic.cancel)
        self._read = button(keys.READ_LANDMARKS, self._on_read)
        self._write = button(keys.WRITE_LANDMARKS, self._on_write)
        self._progress = QProgressBar()
        self._progress.setRange(0, 0)
        self._turn = button(keys.TURN, self.correlation.turn)
        tip = "Without the second canvas, the main one shows both sides in turn"
        self._two = check("Two canvases", tip, self._on_two, on=True)
        tip = "Move a pick onto the bead beside it, with the bead's own error"
        self._snap = check("Snap", tip, self._on_snap)
        tip = "Show what was not taken as a bead, with the reason"
        self._rejected = check("Rejected", tip, self._on_rejected)
        tip = "Show the predicted error over the whole image, in nm"
        self._field = check("Error map", tip, self._on_field)
        self._depth = DepthBox()
        self._depth.given.connect(self._on_depth)
        self._height: QComboBox = combo("Where a click in a stack lies along z")
        for name, text in HEIGHTS:
            self._height.addItem(text, name)
        self._height.activated.connect(self._on_height)
        self._model: QComboBox = combo("What the fit may do; the choice is kept with the link")
        self._model.activated.connect(self._on_model)
        tip = "Robust fit: landmarks that disagree with the others do not count"
        self._robust = check("Robust", tip, self._on_robust)

    def _arrange(self) -> None:
        inside, column = page()
        self._work = QWidget()
        work = QVBoxLayout(self._work)
        work.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self._links)
        column.addWidget(self._large)
        column.addWidget(self._small)
        column.addWidget(self._next)
        column.addWidget(self._work)
        column.addStretch(1)
        grid = QGridLayout()
        grid.addWidget(self._pick, 0, 0, 1, 2)
        grid.addWidget(self._undo, 0, 2)
        grid.addWidget(self._redo, 0, 3)
        grid.addWidget(self._height, 1, 0, 1, 2)
        grid.addWidget(self._snap, 1, 2, 1, 2)
        work.addLayout(grid)
        work.addLayout(row(self._two, self._turn))
        work.addWidget(self._table)
        work.addLayout(row(self._jump, self._exclude, self._delete))
        work.addWidget(self._fre)
        work.addWidget(self._warning)
        work.addWidget(self._advised)
        work.addLayout(row(self._model, self._robust))
        work.addLayout(row(self._detect, self._match))
        work.addLayout(row(self._rejected, self._field))
        work.addLayout(row(self._progress, self._cancel))
        work.addLayout(row(self._read, self._write))
        work.addWidget(self._depth)
        self.setWidget(inside)

    # -- what the user does

    def choose(self, moving: str, fixed: str, wait: bool = False) -> None:
        """Work on the link between two frames, in both canvases."""
        turns = self._workspace.turns
        turns.do((self, "canvas"), self._open_canvas)
        turns.do((self, "choose"), partial(self._choose, moving, fixed, wait))
        if wait:
            turns.finish()

    def _choose(self, moving: str, fixed: str, wait: bool) -> None:
        try:
            self.correlation.choose(moving, fixed, wait=wait)
        except ClxemError as error:
            show_error(str(error))

    def _open_canvas(self) -> None:
        """Put the second canvas between the main one and this dock, if it is not there yet."""
        if self._beside.open():
            self._beside.show(self._two.isChecked())
            # The main canvas has another size once the window has made room.
            self._laid_out.start(LAID_OUT)

    def _on_pick(self, on: bool) -> None:
        self.correlation.picking = on
        if on:
            self._workspace.hand_taken.emit(self.correlation)
        self.correlation.refresh()

    def _on_two(self, on: bool) -> None:
        self.correlation.single = not on
        self._beside.show(on)
        self.refresh_soon()

    def _on_snap(self, on: bool) -> None:
        self._snapper.on = on

    def _on_rejected(self, on: bool) -> None:
        self.correlation.rejected = on
        self.correlation.refresh()

    def _on_field(self, on: bool) -> None:
        self.correlation.field = on
        self.correlation.refresh()

    def _on_depth(self, dataset: str, factor: float) -> None:
        try:
            self._workspace.store.commit(
                lambda session: edits.set_axial_scaling(session, dataset, factor), "Scale depths"
            )
        except ClxemError as error:
            show_error(str(error))

    def _on_height(self) -> None:
        for picker in self._pickers:
            picker.height = self._height.currentData()

    def _on_model(self) -> None:
        pair = self.correlation.pair
        if pair is None:
            return
        name = self._model.currentData()
        if name == "calibrated":
            oblique = is_oblique(self._workspace.store.session, pair.link.fixed)
            prior = pair.link.prior or default_prior(oblique)
            self.correlation.set_model(model="affine", prior=prior)
        else:
            self.correlation.set_model(model=name, prior=None)

    def _on_robust(self, on: bool) -> None:
        self.correlation.set_model(robust=on)

    def _on_exclude(self) -> None:
        chosen = self.correlation.chosen
        rows = [row for row in self.correlation.rows() if row.id == chosen]
        if rows:
            self.correlation.use(chosen, not rows[0].use)

    def _on_delete(self) -> None:
        if self.correlation.chosen:
            self.correlation.remove(self.correlation.chosen)

    def _on_read(self) -> None:
        path, _ = QFileDialog.getOpenFileName(self, keys.READ_LANDMARKS.tip, "", CSV)
        if not path:
            return
        try:
            self.correlation.put_landmarks(read_landmarks(path), "Read landmarks")
        except ClxemError as error:
            show_error(str(error))

    def _on_write(self) -> None:
        pair = self.correlation.pair
        path, _ = QFileDialog.getSaveFileName(self, keys.WRITE_LANDMARKS.tip, "", CSV)
        if not path or pair is None:
            return
        try:
            write_landmarks(pair.link.landmarks, path, f"{pair.link.moving} to {pair.link.fixed}")
        except ClxemError as error:
            show_error(str(error))
        else:
            show_info(f"{len(pair.link.landmarks)} landmarks written to {path}.")

    def _on_progress(self, text: str) -> None:
        self._progress.setFormat(text)
        self._progress.setToolTip(text)
        self.refresh_soon()

    # -- what is shown

    def refresh(self) -> None:
        """Show the session and the link as they are now."""
        correlation, workspace = self.correlation, self._workspace
        session, view, pair = workspace.store.session, workspace.view, correlation.pair
        target = find_target(session, view, workspace.target)
        rows = table_of_links(session, view, target)
        branches = [
            Branch(link.moving, link.fixed, nanometres(row.lateral), link_tip(row))
            for row in rows
            for link in session.links
            if link.id == row.id and link.kind in ("landmarks", "content")
        ]
        frames = sorted({one.frame for one in session.datasets if one.site in (None, view.site)})
        current = (pair.link.moving, pair.link.fixed) if pair else None
        self._links.show_links(branches, frames, current)
        self._links.setVisible(bool(session.datasets))
        words = words_of(session, pair, target, correlation.picking, correlation.engaged)
        marks = correlation.rows()
        warnings = "\n".join(filter(None, (outlier_sentence(marks), *words.warnings)))
        show_words(
            (self._large, words.large),
            (self._small, words.small),
            (self._next, words.next),
            (self._fre, words.fre),
            (self._warning, warnings),
            (self._advised, self._advice()),
        )
        self._work.setVisible(pair is not None)
        self._table.show_rows(marks, correlation.chosen)
        self._show_buttons()
        self._show_model()
        self._show_depth()

    def _advice(self) -> str:
        """Say which model to take, and where the next landmark would help most."""
        pair, where = self.correlation.pair, self.correlation.advice()
        words = [recommended(pair.link) if pair else "", where.sentence if where else ""]
        for canvas in CANVASES if self.correlation.rejected else ():
            dataset = self.correlation.dataset(canvas)
            beads = self.correlation.beads.get(dataset.id) if dataset else None
            if dataset is not None and beads is not None:
                words.append(found_sentence(beads, dataset.name))
        return "\n".join(filter(None, words))

    def _show_depth(self) -> None:
        """Offer the depths of the light microscope's stack, where one is shown."""
        stacks = [self.correlation.dataset(canvas) for canvas in CANVASES]
        light = [
            one
            for one in stacks
            if one and "z" in one.axes and is_fluorescence(one.modality, one.channels)
        ]
        self._depth.show_dataset(light[0] if light else None)

    def _show_buttons(self) -> None:
        correlation = self.correlation
        busy, chosen = self.automatic.busy, bool(correlation.chosen)
        self.show_steps(self._undo, self._redo)
        self._pick.setChecked(correlation.picking)
        for part in (self._exclude, self._delete, self._jump):
            part.setEnabled(chosen)
        for part in (self._detect, self._match):
            part.setEnabled(not busy)
        for shown in (self._progress, self._cancel):
            shown.setVisible(busy)
        self._turn.setVisible(correlation.single)

    def _show_model(self) -> None:
        pair = self.correlation.pair
        if pair is None:
            return
        possible = models(pair.link, self._workspace.store.session)
        names = [self._model.itemData(i) for i in range(self._model.count())]
        if names != [name for name, _ in possible]:
            self._model.clear()
            for name, reason in possible:
                self._model.addItem(name, name)
                self._model.setItemData(
                    self._model.count() - 1, reason, Qt.ItemDataRole.ToolTipRole
                )
        self._model.setCurrentIndex(max(0, self._model.findData(model_name(pair.link))))
        self._robust.blockSignals(True)
        self._robust.setChecked(pair.link.robust)
        self._robust.blockSignals(False)
