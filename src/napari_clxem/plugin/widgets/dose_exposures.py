"""The tab "Exposures" of the Dose review dock: make them, change them, remove them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from napari.utils.notifications import show_error, show_info
from qtpy.QtCore import QAbstractTableModel, QModelIndex, Qt
from qtpy.QtWidgets import (
    QAbstractItemView,
    QComboBox,
    QFileDialog,
    QGridLayout,
    QHeaderView,
    QTableView,
    QVBoxLayout,
    QWidget,
)

from napari_clxem.dose import PRESETS, Exposure
from napari_clxem.dose.exposure import XRAYS
from napari_clxem.errors import ClxemError
from napari_clxem.plugin import keys
from napari_clxem.plugin.controllers import dose_export, dose_records, dose_words
from napari_clxem.plugin.controllers.dose_entry import Entry, entry_of
from napari_clxem.plugin.controllers.dose_review import DoseReview
from napari_clxem.plugin.controllers.tasks import LongTask
from napari_clxem.plugin.widgets.dose_form import ExposureForm
from napari_clxem.plugin.widgets.parts import (
    Fold,
    ProgressRow,
    listed,
    narrow,
    said,
    verb_button,
)
from napari_clxem.plugin.widgets.tables import NARROW
from napari_clxem.session.extents import axes_of
from napari_clxem.session.records import Record

HEADINGS = (
    ("Exposure", "◆ recorded, ◇ planned; in the order they were made"),
    ("Images", "Images taken, all tilts together"),
    ("MGy", "Of all its images where all of them hit"),
)
LINES = 260  # pixels
MOST_MARKED = 50
CSV = "Table (*.csv)"


class ExposureModel(QAbstractTableModel):
    """Lines of exposures, written only where they are seen."""

    def __init__(self) -> None:
        super().__init__()
        self._exposures: tuple[Exposure, ...] = ()
        self._doses: dict[str, float | None] = {}

    def show(self, exposures: tuple[Exposure, ...], doses: dict[str, float | None]) -> bool:
        """Show exposures with their doses, MGy; False where these are shown already."""
        if exposures is self._exposures and doses is self._doses:
            return False
        self.beginResetModel()
        self._exposures, self._doses = exposures, doses
        self.endResetModel()
        return True

    def id_of(self, line: int) -> str:
        """Id of the exposure in a line."""
        return self._exposures[line].id

    def line_of(self, name: str) -> int:
        """Line of an exposure, -1 where it is not there."""
        return next((i for i, one in enumerate(self._exposures) if one.id == name), -1)

    def rowCount(self, _parent: Any = None) -> int:  # noqa: N802
        """How many exposures there are."""
        return len(self._exposures)

    def columnCount(self, _parent: Any = None) -> int:  # noqa: N802
        """How many columns there are."""
        return len(HEADINGS)

    def data(self, index: QModelIndex, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """Write one cell."""
        if not index.isValid():
            return None
        one = self._exposures[index.row()]
        if role == Qt.ItemDataRole.DisplayRole:
            return dose_words.exposure_cells(one, self._doses.get(one.id))[index.column()]
        if role == Qt.ItemDataRole.ToolTipRole:
            return dose_words.tip_of(one)
        if role == Qt.ItemDataRole.TextAlignmentRole and index.column():
            return Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
        return None

    def headerData(  # noqa: N802
        self, section: int, orientation: Any, role: int = Qt.ItemDataRole.DisplayRole
    ) -> Any:
        """Write a heading."""
        if orientation != Qt.Orientation.Horizontal:
            return None
        roles = {Qt.ItemDataRole.DisplayRole: 0, Qt.ItemDataRole.ToolTipRole: 1}
        known = roles.get(Qt.ItemDataRole(role))
        return None if known is None else HEADINGS[section][known]


class ExposuresTab(QWidget):
    """List of exposures, and where they come from.

    Parameters
    ----------
    review : DoseReview
        What is shown.
    """

    def __init__(self, review: DoseReview) -> None:
        super().__init__()
        self._review = review
        self.task = LongTask()
        self.model = ExposureModel()
        self.table = QTableView()
        self.table.setModel(self.model)
        self._busy = ProgressRow(self.task.cancel)
        self.task.progressed.connect(self._busy.show_progress)
        self.task.ended.connect(self._on_ended)
        self.form = ExposureForm(review)
        self.form.given.connect(self._on_given)
        self.form.closed.connect(self._close_form)
        self._notes = Fold("What the files do not say", open_=True)
        self._said, self._next = said(), said()
        self._next.setStyleSheet("font-weight: bold;")
        self._notes.column.addWidget(self._said)
        self._notes.hide()
        self._make_parts()
        self._arrange()

    def _make_parts(self) -> None:
        table = self.table
        header, side = table.horizontalHeader(), table.verticalHeader()
        assert header is not None
        assert side is not None
        side.hide()
        side.setDefaultSectionSize(20)
        table.setStyleSheet(NARROW)
        table.setFixedHeight(LINES)
        table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        table.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        table.setTabKeyNavigation(False)
        table.setTextElideMode(Qt.TextElideMode.ElideMiddle)
        header.setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
        header.setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
        for column, width in ((1, 50), (2, 60)):
            header.resizeSection(column, width)
        picked = table.selectionModel()
        assert picked is not None
        picked.selectionChanged.connect(self._on_selection)
        table.doubleClicked.connect(lambda _index: self._on_go())
        self._xrays, self._preset = narrow(QComboBox()), narrow(QComboBox())
        self._xrays.setToolTip("How X-ray images were exposed whose files do not say it")
        self._xrays.addItem("X-rays: as files say", "")
        for name, preset in PRESETS.items():
            if preset.modality in XRAYS:
                self._xrays.addItem(f"X-rays: {name}", name)
            self._preset.addItem(name, name)
            tip = "\n".join([preset.source, *preset.assumptions])
            self._preset.setItemData(self._preset.count() - 1, tip, Qt.ItemDataRole.ToolTipRole)
        self._button = {
            verb: verb_button(verb, slot)
            for verb, slot in (
                (keys.RECORD, self._on_record),
                (keys.ADD_PRESET, self._on_preset),
                (keys.ADD_EXPOSURE, self._on_add),
                (keys.EDIT_EXPOSURE, self._on_edit),
                (keys.DROP_EXPOSURE, self._on_drop),
                (keys.GO_THERE, self._on_go),
                (keys.MARK_DONE, self._on_done),
                (keys.WRITE_DOSES, self._on_write),
            )
        }

    def _arrange(self) -> None:
        column = QVBoxLayout(self)
        column.setContentsMargins(2, 4, 2, 4)
        grid = QGridLayout()
        grid.addWidget(self._xrays, 0, 0)
        grid.addWidget(self._button[keys.RECORD], 0, 1)
        grid.addWidget(self._preset, 1, 0)
        grid.addWidget(self._button[keys.ADD_PRESET], 1, 1)
        below = QGridLayout()
        for number, verb in enumerate(
            (
                keys.ADD_EXPOSURE, keys.EDIT_EXPOSURE, keys.DROP_EXPOSURE, keys.GO_THERE,
                keys.MARK_DONE, keys.WRITE_DOSES,
            )
        ):  # fmt: skip
            below.addWidget(self._button[verb], number // 3, number % 3)
        column.addLayout(grid)
        column.addWidget(self._busy)
        column.addWidget(self._next)
        column.addWidget(self.table)
        column.addLayout(below)
        column.addWidget(self.form)
        column.addWidget(self._notes)
        column.addStretch(1)
        self.form.hide()

    # -- what the user does

    @property
    def chosen(self) -> tuple[str, ...]:
        """Ids of the exposures that are selected."""
        picked = self.table.selectionModel()
        assert picked is not None
        return tuple(self.model.id_of(index.row()) for index in picked.selectedRows())

    def _on_selection(self, *_: Any) -> None:
        self._review.choose(self.chosen)

    def _on_go(self) -> None:
        self._review.choose(self.chosen, visit=True)

    def _on_record(self) -> None:
        store, material = self._review.workspace.store, self._review.settings.material
        name = self._xrays.currentData()
        preset = PRESETS[name] if name else None

        def work(progress: Any) -> Record:
            return dose_records.recorded(store, preset, material, progress)

        self.task.start("Looking at images", work, self._on_recorded)

    def _on_ended(self) -> None:
        self._busy.hide()
        self.refresh()

    def _on_recorded(self, record: Record) -> None:
        count = len(record.exposures)
        dose_records.put(self._review, record.exposures, f"Record {count} exposures of images")
        self._said.setText(listed(record.notes))
        self._notes.setVisible(bool(record.notes))
        show_info(f"{count} exposures recorded." if count else "There was nothing new to record.")

    def _on_preset(self) -> None:
        review, view = self._review, self._review.workspace.view
        middle = review.middle
        if middle is None:
            show_error("Choose a reference frame first: the exposure is put into it.")
            return
        deep = axes_of(review.workspace.store.session, view.frame) == 3
        height = view.origin[0] if deep else 0.0
        one = dose_records.from_preset(
            PRESETS[self._preset.currentData()], view.frame, middle, height,
            review.settings.material,
        )  # fmt: skip
        self._put([one], f"Add {one.group}")
        review.choose([one.id])

    def _on_add(self) -> None:
        review, view = self._review, self._review.workspace.view
        middle = review.middle
        aim = (0.0, 0.0) if middle is None else (float(middle[0]), float(middle[1]))
        self._begin(Entry(frame=view.frame, aim=aim, material=review.settings.material))

    def _on_edit(self) -> None:
        session = self._review.workspace.store.session
        one = dose_records.exposure(session, self.chosen[0]) if self.chosen else None
        if one is not None:
            self._begin(entry_of(one))

    def _begin(self, entry: Entry) -> None:
        frames = [one.name for one in self._review.workspace.store.session.frames]
        if not frames:
            show_error("The session has no frame yet; open images first.")
            return
        self.form.begin(entry, frames)
        self.form.show()

    def _close_form(self) -> None:
        self.form.hide()

    def _on_given(self, given: tuple[Exposure, ...]) -> None:
        one = given[0]
        known = dose_records.exposure(self._review.workspace.store.session, one.id) is not None
        name = dose_words.name_of(one)
        tiles = f", {len(given)} tiles" if len(given) > 1 else ""
        if self._put(list(given), f"Change {name}" if known else f"Add {name}{tiles}"):
            self._close_form()

    def _on_drop(self) -> None:
        dose_records.drop(self._review, self.chosen)

    def _on_done(self) -> None:
        session = self._review.workspace.store.session
        found = [dose_records.exposure(session, name) for name in self.chosen]
        done = [replace(one, planned=not one.planned) for one in found if one is not None]
        self._put(done, "Planned or done")

    def _on_write(self) -> None:
        path, _ = QFileDialog.getSaveFileName(self, keys.WRITE_DOSES.tip, "", CSV)
        if not path:
            return
        review = self._review
        try:
            dose_export.write_exposures(path, review.workspace.store.session, review.scene)
        except ClxemError as error:
            show_error(str(error))

    def _put(self, exposures: list[Exposure], label: str) -> bool:
        try:
            dose_records.put(self._review, exposures, label)
        except ClxemError as error:
            show_error(str(error))
            return False
        return True

    # -- what is shown

    def refresh(self) -> None:
        """Show the exposures as they are now."""
        review = self._review
        session = review.workspace.store.session
        text = (
            "" if session.exposures else dose_words.next_step(session, review.workspace.view, None)
        )
        self._next.setText(text)
        self._next.setVisible(bool(text))
        shown = review.scene
        whole = shown is not None and review.settings.included == "all"
        exposures = shown.history.exposures if shown is not None and whole else session.exposures
        if self.model.show(exposures, {} if shown is None else shown.doses):
            self._select(review.chosen)
        chosen = bool(self.chosen)
        for verb in (keys.EDIT_EXPOSURE, keys.DROP_EXPOSURE, keys.GO_THERE, keys.MARK_DONE):
            self._button[verb].setEnabled(chosen)
        self._button[keys.WRITE_DOSES].setEnabled(bool(session.exposures))
        self._button[keys.RECORD].setEnabled(bool(session.datasets) and not self.task.busy)

    def _select(self, names: tuple[str, ...]) -> None:
        """Mark lines without choosing them anew."""
        picked = self.table.selectionModel()
        assert picked is not None
        picked.blockSignals(True)
        for name in names[:MOST_MARKED]:
            line = self.model.line_of(name)
            if line >= 0:
                flags = picked.SelectionFlag.Select | picked.SelectionFlag.Rows
                picked.select(self.model.index(line, 0), flags)
        picked.blockSignals(False)

    def stop(self) -> None:
        """Give up what is being done."""
        self.task.cancel()
