"""The forms of the steps from counts to a tomogram: what each of them asks for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from qtpy.QtWidgets import (
    QComboBox,
    QFileDialog,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QSpinBox,
    QWidget,
)

from napari_clxem.errors import ImageError
from napari_clxem.plugin import keys
from napari_clxem.plugin.controllers import sxt_steps
from napari_clxem.plugin.controllers.sxt_analysis import SxtAnalysis
from napari_clxem.plugin.controllers.sxt_sources import Source, energy
from napari_clxem.plugin.controllers.sxt_steps import Made
from napari_clxem.plugin.widgets.parts import narrow, said, verb_button
from napari_clxem.plugin.widgets.sxt_parts import NumberLine, SourceBox, TiltList
from napari_clxem.xray.solving import Method

EDGE = 705.0  # eV
Work = Callable[[Any], Made]


class Form(QWidget):
    """One step: its fields, and what it does with them."""

    verb = keys.NORMALISE
    text = ""

    def __init__(self, analysis: SxtAnalysis) -> None:
        super().__init__()
        self._analysis = analysis
        self._form = QFormLayout(self)
        self._form.setContentsMargins(0, 0, 0, 0)
        self._form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)

    def _rows(self, *rows: tuple[str, QWidget]) -> None:
        self._form.addRow(said(self.text))
        for name, field in rows:
            self._form.addRow(name, field)

    def _source(self, box: SourceBox) -> Source | None:
        name = box.chosen()
        return None if name is None else self._analysis.source(name)


class NormaliseForm(Form):
    """Counts to transmission."""

    verb = keys.NORMALISE
    text = "Flats, darks, times and currents left open are those of the file of the counts."

    def __init__(self, analysis: SxtAnalysis) -> None:
        super().__init__(analysis)
        self.counts = SourceBox()
        self.flats, self.darks = SourceBox("of the file"), SourceBox("of the file, or none")
        self.exposure = NumberLine("The exposure time", "s, as stated")
        self.flat_exposure = NumberLine("The exposure time of the flats", "flats, s")
        self.current = NumberLine("The beam current", "mA, as stated")
        self.flat_current = NumberLine("The beam current of the flats", "flats, mA")
        self._rows(
            ("Counts", self.counts),
            ("Flats", self.flats),
            ("Darks", self.darks),
            ("Exposure", beside(self.exposure, self.flat_exposure)),
            ("Current", beside(self.current, self.flat_current)),
        )

    def offer(self, images: Sequence[Source]) -> None:
        """Offer the layers there are."""
        self.counts.offer(images)
        self.flats.offer(images)
        self.darks.offer(images)

    def work(self) -> Work:
        """Give what is to be done."""
        how = sxt_steps.Normalising(
            self._analysis.source(self.counts.chosen()),
            self._source(self.flats),
            self._source(self.darks),
            self.exposure.number(),
            self.flat_exposure.number(),
            self.current.number(),
            self.flat_current.number(),
        )
        return partial(sxt_steps.normalised, how)


class SharpenForm(Form):
    """Transmission, sharpened."""

    verb = keys.SHARPEN
    text = "Left out by most. Sharpens by an ideal zone plate; too high a ratio lifts noise."

    def __init__(self, analysis: SxtAnalysis) -> None:
        super().__init__(analysis)
        self.series = SourceBox()
        self.zone, self.snr = NumberLine("The outermost zone", "40"), NumberLine("The ratio", "20")
        self.snr.setToolTip("Power of the signal over that of the noise")
        self._rows(("Series", self.series), ("Zone nm", self.zone), ("S/N", self.snr))

    def offer(self, images: Sequence[Source]) -> None:
        """Offer the layers there are."""
        self.series.offer(images)

    def work(self) -> Work:
        """Give what is to be done."""
        zone, ratio = self.zone.number(), self.snr.number()
        how = sxt_steps.Sharpening(
            self._analysis.source(self.series.chosen()),
            0.04 if zone is None else zone / 1e3,
            20.0 if ratio is None else ratio,
        )
        return partial(sxt_steps.sharpened, how)


class StraightenForm(Form):
    """A series whose tilt axis runs along y."""

    verb = keys.STRAIGHTEN
    text = "By an alignment of IMOD or AreTomo, or by beads that are followed through the tilts."

    def __init__(self, analysis: SxtAnalysis) -> None:
        super().__init__(analysis)
        self.series, self.way, self.kind = SourceBox(), narrow(QComboBox()), narrow(QComboBox())
        self.way.addItems(["A file", "Beads"])
        self.way.currentIndexChanged.connect(lambda _index: self._show_rows())
        self.kind.addItem("Dark (transmission)", "dark")
        self.kind.addItem("Bright (optical density)", "bright")
        self.path = ""
        self.file = QLabel("none chosen")
        self.diameter = NumberLine("The diameter", "required, nm")
        self.tilts = TiltList()
        self._choice = beside(self.file, verb_button(keys.READ_ALIGNMENT, self.ask_for_file))
        self._rows(
            ("Series", self.series),
            ("By", self.way),
            ("File", self._choice),
            ("Bead nm", self.diameter),
            ("Beads", self.kind),
            ("Tilts", self.tilts),
        )
        self._show_rows()

    def _show_rows(self) -> None:
        beads = self.way.currentIndex() == 1
        self._form.setRowVisible(self._choice, not beads)
        self._form.setRowVisible(self.diameter, beads)
        self._form.setRowVisible(self.kind, beads)

    def offer(self, images: Sequence[Source]) -> None:
        """Offer the layers there are."""
        self.series.offer(stacks(images))
        self.tilts.propose(self._analysis.recorded_tilts(self.series.chosen()))

    def ask_for_file(self) -> None:
        """Let the user choose an alignment."""
        path, _ = QFileDialog.getOpenFileName(
            self, "Read an alignment", "", "Alignments (*.xf *.aln);;All files (*)"
        )
        if path:
            self.choose(path)

    def choose(self, path: str) -> None:
        """Take an alignment."""
        self.path = path
        self.file.setText(Path(path).name)

    def work(self) -> Work:
        """Give what is to be done."""
        beads = self.way.currentIndex() == 1
        written = bool(self.tilts.text.text().strip())
        diameter = self.diameter.number()
        if beads and (diameter is None or diameter <= 0):
            raise ImageError("The diameter of the beads is missing: give it in nm.")
        if not beads and not self.path:
            raise ImageError("No alignment is chosen: choose a .xf or .aln file, or use beads.")
        how = sxt_steps.Straight(
            self._analysis.source(self.series.chosen()),
            self.tilts.tilts() if written or beads else None,
            None if beads else self.path,
            None if diameter is None else diameter / 1e3,
            "bright" if self.kind.currentData() == "bright" else "dark",
        )
        return partial(sxt_steps.straightened, how)


class PairForm(Form):
    """Two energies in register, and their difference."""

    verb = keys.PAIR_ENERGIES
    text = "Enlarges the upper energy, finds the shift left, and looks whether the flats fit."

    def __init__(self, analysis: SxtAnalysis) -> None:
        super().__init__(analysis)
        self.low, self.high, self.tilts = SourceBox(), SourceBox(), TiltList()
        self.energies = NumberLine("The lower energy", "700"), NumberLine("The upper energy", "709")
        self.search = QSpinBox()
        self.search.setRange(1, 500)
        self.search.setValue(20)
        self.search.setSuffix(" px")
        self.search.setToolTip("Largest shift looked for")
        self._rows(
            ("Lower", self.low),
            ("Upper", self.high),
            ("eV", beside(*self.energies)),
            ("Tilts", self.tilts),
            ("Search", self.search),
        )

    def offer(self, images: Sequence[Source]) -> None:
        """Offer the layers there are."""
        self.low.offer(images, first(images, above=False, default=1))
        self.high.offer(images, first(images, above=True, default=0))
        self.tilts.propose(self._analysis.recorded_tilts(self.low.chosen()))

    def work(self) -> Work:
        """Give what is to be done."""
        low, high = (one.number() for one in self.energies)
        written = bool(self.tilts.text.text().strip())
        how = sxt_steps.Pairing(
            self._analysis.source(self.low.chosen()),
            self._analysis.source(self.high.chosen()),
            (700.0 if low is None else low, 709.0 if high is None else high),
            self.tilts.tilts() if written else None,
            float(self.search.value()),
        )
        return partial(sxt_steps.paired, how)


class ReconstructForm(Form):
    """A tomogram."""

    verb = keys.RECONSTRUCT
    text = "The tilt axis runs along y, in the middle unless said otherwise."

    def __init__(self, analysis: SxtAnalysis) -> None:
        super().__init__(analysis)
        self.series, self.tilts = SourceBox(), TiltList()
        self.values, self.method = narrow(QComboBox()), narrow(QComboBox())
        self.values.addItem("Transmission", True)
        self.values.addItem("Optical density, ΔOD", False)
        self.method.addItems(["SART", "SIRT"])
        self.thickness, self.passes = QSpinBox(), QSpinBox()
        self.thickness.setRange(1, 100_000)
        self.thickness.setValue(256)
        self.thickness.setSuffix(" voxels")
        self.passes.setRange(1, 500)
        self.passes.setValue(5)
        self.relaxation = NumberLine("The relaxation", "as usual")
        self.axis = NumberLine("The tilt axis", "middle")
        self.axis.setToolTip("Pixels from the first column")
        self.series.currentIndexChanged.connect(lambda _index: self._guess())
        self._rows(
            ("Series", self.series),
            ("Values", self.values),
            ("Tilts", self.tilts),
            ("Thickness", self.thickness),
            ("Method", self.method),
            ("Passes", self.passes),
            ("Relaxation", self.relaxation),
            ("Axis px", self.axis),
        )

    def offer(self, images: Sequence[Source]) -> None:
        """Offer the layers there are."""
        before = self.series.chosen()
        self.series.offer(stacks(images))
        self.tilts.propose(self._analysis.recorded_tilts(self.series.chosen()))
        if self.series.chosen() != before:
            self._guess()

    def _guess(self) -> None:
        """Take the values of what a step before has made, as its name says."""
        if "ΔOD" in self.series.currentText():
            self.values.setCurrentIndex(1)
        elif "transmission" in self.series.currentText():
            self.values.setCurrentIndex(0)

    def work(self) -> Work:
        """Give what is to be done."""
        method: Method = "SIRT" if self.method.currentText() == "SIRT" else "SART"
        how = sxt_steps.Reconstructing(
            self._analysis.source(self.series.chosen()),
            self.tilts.tilts(),
            bool(self.values.currentData()),
            self.thickness.value(),
            method,
            self.passes.value(),
            self.relaxation.number(),
            self.axis.number(),
        )
        return partial(sxt_steps.reconstructed, how)


AnyForm = NormaliseForm | SharpenForm | StraightenForm | PairForm | ReconstructForm


def stacks(images: Sequence[Source]) -> list[Source]:
    """Give those that have several images."""
    return [one for one in images if one.ndim == 3]


def beside(*fields: QWidget) -> QWidget:
    """Put fields side by side."""
    line = QWidget()
    row = QHBoxLayout(line)
    row.setContentsMargins(0, 0, 0, 0)
    for field in fields:
        row.addWidget(field, 1)
    return line


def first(sources: Sequence[Source], above: bool, default: int) -> int:
    """Find the source whose name states an energy on one side of the iron edge."""
    for number, one in enumerate(sources):
        stated = energy(one)
        if stated is not None and (stated > EDGE) == above:
            return number
    return default
