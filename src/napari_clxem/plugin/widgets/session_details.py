"""What is known of the line chosen in the tree, and may be changed there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, get_args

from psygnal import Signal
from qtpy.QtGui import QResizeEvent
from qtpy.QtWidgets import (
    QComboBox,
    QDoubleSpinBox,
    QFormLayout,
    QHBoxLayout,
    QLineEdit,
    QPushButton,
    QStackedWidget,
    QWidget,
)

from napari_clxem.io.image import SPATIAL
from napari_clxem.plugin.controllers.grid_rows import STATUS, facts
from napari_clxem.plugin.widgets.parts import narrow, said
from napari_clxem.plugin.widgets.session_orientation import OrientationStep
from napari_clxem.session import Session, edits
from napari_clxem.session.guesses import MODALITIES
from napari_clxem.session.model import Dataset, Site, SiteStatus

Edit = Callable[[Session], Session]

# Below every tilt that a film can have: it stands for one that is not known.
NO_TILT = -90.1
WHOLE_GRID = "Whole grid"


class Details(QStackedWidget):
    """Fields of the grid, of a site or of an image.

    Attributes
    ----------
    edited : Signal
        Emitted with an edit and its label.
    """

    edited = Signal(object, str)

    def __init__(self) -> None:
        super().__init__()
        self._id = ""
        self._nothing = QWidget()
        self._grid = _GridFields(self._edit)
        self._site = _SiteFields(self._edit)
        self._dataset = _DatasetFields(self._edit)
        for page in (self._nothing, self._grid, self._site, self._dataset):
            self.addWidget(page)

    def show_details(self, session: Session, kind: str, name: str, missing: str = "") -> None:
        """Show a line of the tree; nothing where it is not there any more.

        Parameters
        ----------
        session : Session
            The document.
        kind, name : str
            As the tree gives them.
        missing : str
            What is said of an image whose file is not there.
        """
        page: QWidget = self._nothing
        site = next((one for one in session.sites if kind == "site" and one.id == name), None)
        dataset = next(
            (one for one in session.datasets if kind == "dataset" and one.id == name), None
        )
        if kind == "grid":
            page = self._grid
            self._grid.show_fields(session)
        elif site is not None:
            page = self._site
            self._site.show_fields(site)
        elif dataset is not None:
            page = self._dataset
            self._dataset.show_fields(session, dataset, missing)
        self.setCurrentWidget(page)
        self.setVisible(page is not self._nothing)
        self._fit()

    def resizeEvent(self, event: QResizeEvent | None) -> None:  # noqa: N802
        """Be as high as the lines need at the new width."""
        super().resizeEvent(event)
        self._fit()

    def _fit(self) -> None:
        page = self.currentWidget()
        layout = None if page is None else page.layout()
        if page is None or layout is None:
            return
        needed = layout.heightForWidth(self.width()) if layout.hasHeightForWidth() else -1
        # Some styles draw a frame around buttons that no layout counts.
        self.setFixedHeight((max(needed, 0) or page.sizeHint().height()) + 4)

    def _edit(self, edit: Edit, label: str) -> None:
        self.edited.emit(edit, label)


class _Fields(QWidget):
    """A form; what the user enters becomes one step."""

    def __init__(self, edit: Callable[[Edit, str], None]) -> None:
        super().__init__()
        self.edit = edit
        self.form = QFormLayout(self)
        self.form.setContentsMargins(0, 0, 0, 0)
        self.form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.ExpandingFieldsGrow)

    def line(self, title: str, tip: str, slot: Callable[[str], None]) -> QLineEdit:
        """Add a line of text."""
        line = QLineEdit()
        line.setToolTip(tip)
        line.setMinimumWidth(40)
        line.editingFinished.connect(lambda: slot(line.text().strip()))
        self.form.addRow(title, line)
        return line

    def choice(self, title: str, tip: str, slot: Callable[[Any], None]) -> QComboBox:
        """Add a choice."""
        box = narrow(QComboBox())
        box.setToolTip(tip)
        box.activated.connect(lambda _index: slot(box.currentData()))
        self.form.addRow(title, box)
        return box


class _GridFields(_Fields):
    def __init__(self, edit: Callable[[Edit, str], None]) -> None:
        super().__init__(edit)
        self._name = self.line("Grid", "Name of the grid", self._named("name"))
        self._type = self.line("Type", "Mesh, metal, film", self._named("type"))
        self._marks = self.line(
            "Finder marks", "What tells one square from another", self._named("finder_marks")
        )

    def _named(self, field: str) -> Callable[[str], None]:
        def enter(text: str) -> None:
            self.edit(lambda now: edits.set_grid(now, **{field: text}), "Describe the grid")

        return enter

    def show_fields(self, session: Session) -> None:
        grid = session.grid
        for line, text in (
            (self._name, grid.name),
            (self._type, grid.type),
            (self._marks, grid.finder_marks),
        ):
            _put(line, text)


class _SiteFields(_Fields):
    def __init__(self, edit: Callable[[Edit, str], None]) -> None:
        super().__init__(edit)
        self._id = ""
        self._name = self.line("Site", "Name of the site", self._on_name)
        self._status = self.choice("Status", "How far the site has come", self._on_status)
        for status in get_args(SiteStatus):
            self._status.addItem(f"{STATUS[status]} {status}", status)
        self._tilt = [_tilt_box(axis) for axis in ("y", "x")]
        row = QHBoxLayout()
        for box in self._tilt:
            row.addWidget(box)
            box.editingFinished.connect(self._on_tilt)
        self.form.addRow("Film tilt", row)

    def show_fields(self, site: Site) -> None:
        self._id = site.id
        _put(self._name, site.name)
        self._status.setCurrentIndex(self._status.findData(site.status))
        for box, tilt in zip(self._tilt, site.film_tilt or (NO_TILT, NO_TILT), strict=True):
            box.blockSignals(True)
            box.setValue(tilt)
            box.blockSignals(False)

    def _on_name(self, text: str) -> None:
        site = self._id
        self.edit(lambda now: edits.amend(now, Site, site, name=text), f"Rename site {text}")

    def _on_status(self, status: SiteStatus) -> None:
        site = self._id
        self.edit(
            lambda now: edits.set_status(now, site, status),
            f"{self._name.text() or site} is {status}",
        )

    def _on_tilt(self) -> None:
        """Take the tilt once both parts are known, or neither is."""
        site, (y, x) = self._id, (box.value() for box in self._tilt)
        unknown = [value <= NO_TILT for value in (y, x)]
        if any(unknown) and not all(unknown):
            return
        tilt = None if all(unknown) else (y, x)
        self.edit(
            lambda now: edits.amend(now, Site, site, film_tilt=tilt),
            f"Film tilt of {self._name.text() or site}",
        )


class _DatasetFields(_Fields):
    def __init__(self, edit: Callable[[Edit, str], None]) -> None:
        super().__init__(edit)
        self._id = ""
        self._ndim = 2
        self._facts = said()
        self.form.addRow(self._facts)
        self._modality = self.choice(
            "Modality", "What took the image; the chain goes by it", self._on_modality
        )
        for modality in MODALITIES:
            self._modality.addItem(modality, modality)
        self._site = self.choice("Site", "The site it shows", self._on_site)
        self._pixel = QWidget()
        self._plane = _size_box("Pixel size in the plane, µm")
        self._deep = _size_box("Distance between slices, µm")
        give = QPushButton("Use")
        give.setToolTip("Give the image this pixel size, which its file does not state")
        give.clicked.connect(lambda _checked=False: self._on_scale())
        row = QHBoxLayout(self._pixel)
        row.setContentsMargins(0, 0, 0, 0)
        for part in (self._plane, self._deep, give):
            row.addWidget(part)
        self.form.addRow("Pixel size", self._pixel)
        self._turn = OrientationStep()
        self._turn.turned.connect(self._on_turned)
        self.form.addRow(self._turn)

    def show_fields(self, session: Session, dataset: Dataset, missing: str) -> None:
        self._id = dataset.id
        self._ndim = sum(axis in SPATIAL for axis in dataset.axes)
        lost = f"\n{missing}: relink files, or put it back" if missing else ""
        self._facts.setText(f"{dataset.file.path}\n{facts(dataset)}{lost}")
        self._facts.setToolTip(dataset.file.path)
        if self._modality.findData(dataset.modality) < 0:
            self._modality.addItem(dataset.modality or "–", dataset.modality)
        self._modality.setCurrentIndex(self._modality.findData(dataset.modality))
        self._site.clear()
        self._site.addItem(WHOLE_GRID, None)
        for site in session.sites:
            self._site.addItem(site.name or site.id, site.id)
        self._site.setCurrentIndex(max(0, self._site.findData(dataset.site)))
        self.form.setRowVisible(self._pixel, dataset.scale is None)
        self._deep.setVisible(self._ndim == 3)
        self._turn.show_orientation(dataset)

    def _on_modality(self, modality: str) -> None:
        name = self._id
        self.edit(
            lambda now: edits.amend(now, Dataset, name, modality=modality), f"Modality {modality}"
        )

    def _on_site(self, site: str | None) -> None:
        name = self._id
        self.edit(lambda now: edits.amend(now, Dataset, name, site=site), "Move to another site")

    def _on_scale(self) -> None:
        name, plane = self._id, self._plane.value()
        if not plane:
            return
        scale = ((self._deep.value() or plane,) if self._ndim == 3 else ()) + (plane, plane)
        self.edit(lambda now: edits.set_scale(now, name, scale), "Give the pixel size")

    def _on_turned(self, orientation: Any) -> None:
        name = self._id
        self.edit(lambda now: edits.set_orientation(now, name, orientation), "Turn the image")


def _put(line: QLineEdit, text: str) -> None:
    if line.text() != text and not line.hasFocus():
        line.setText(text)
        line.setCursorPosition(0)


def _tilt_box(axis: str) -> QDoubleSpinBox:
    box = QDoubleSpinBox()
    box.setRange(NO_TILT, 90.0)
    box.setDecimals(1)
    box.setSpecialValueText(f"{axis} –")
    box.setSuffix("°")
    box.setPrefix(f"{axis} ")
    box.setMinimumWidth(40)
    box.setToolTip(
        f"Tilt of the support film about {axis}; it enters the milling angle. – is unknown"
    )
    return box


def _size_box(tip: str) -> QDoubleSpinBox:
    box = QDoubleSpinBox()
    box.setDecimals(5)
    box.setRange(0.0, 1000.0)
    box.setSuffix(" µm")
    box.setSpecialValueText("µm")
    box.setMinimumWidth(40)
    box.setToolTip(tip)
    return box
