"""The campaign in the dock "Lamella overlap": every lamella of many sessions, and how many hit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from napari.utils.notifications import show_error, show_info
from qtpy.QtCore import QByteArray, QRectF, QSize, Qt
from qtpy.QtGui import QPainter
from qtpy.QtSvg import QSvgRenderer
from qtpy.QtWidgets import QFileDialog, QSizePolicy, QVBoxLayout, QWidget

from napari_clxem.errors import ClxemError
from napari_clxem.lamella import BY_EYE, Campaign, CampaignRow, campaign_plot, campaign_table
from napari_clxem.plugin import keys
from napari_clxem.plugin.controllers.lamella_words import campaign_cells, campaign_sentence
from napari_clxem.plugin.widgets.parts import bold, button, row
from napari_clxem.plugin.widgets.tables import Row, Table
from napari_clxem.session import load
from napari_clxem.session.model import Session
from napari_clxem.session.overlaps import campaign_rows

SESSIONS = "CLXEM sessions (*.clxem.json)"
KINDS = "Campaign table (*.csv);;Campaign plot (*.svg)"
COLUMNS = (
    ("Lamella", "Of this session, or of those added"),
    ("Plan", "Overlap with its tomogram in plan view"),
    ("Volume", "Overlap by volume"),
    ("Promised", "What was promised of its targets when it was planned"),
)
PLOT = QSize(300, 150)


class Plot(QWidget):
    """A picture that keeps its shape and takes its colours from the theme."""

    def __init__(self) -> None:
        super().__init__()
        self._draw: Callable[[str, str], str] | None = None
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setFixedHeight(PLOT.height())
        self.setAccessibleName("Overlap of each lamella, the largest first")

    def show_drawing(self, draw: Callable[[str, str], str]) -> None:
        """Show what `draw` gives as SVG for the colours of ink and paper."""
        self._draw = draw
        self.update()

    def paintEvent(self, _event: Any) -> None:  # noqa: N802
        """Paint the picture as wide as there is room for."""
        if self._draw is None:
            return
        palette = self.palette()
        text = self._draw(palette.windowText().color().name(), palette.window().color().name())
        renderer = QSvgRenderer(QByteArray(text.encode()))
        size = PLOT.scaled(self.size(), Qt.AspectRatioMode.KeepAspectRatio)
        painter = QPainter(self)
        renderer.render(painter, QRectF(0.0, 0.0, size.width(), size.height()))
        painter.end()


class CampaignPart(QWidget):
    """Table, plot and share above half overlap; other sessions are added here.

    Parameters
    ----------
    session : callable
        Gives the session that is open.
    changed : callable
        Told the rows of other sessions when they change.
    """

    def __init__(
        self, session: Callable[[], Session], changed: Callable[[tuple[CampaignRow, ...]], object]
    ) -> None:
        super().__init__()
        self._session, self._changed = session, changed
        self._others: tuple[CampaignRow, ...] = ()
        self._ids: set[str] = set()
        self._found: Campaign | None = None
        self._said, self.table, self.plot = bold(), Table(COLUMNS), Plot()
        self._add = button(keys.ADD_SESSIONS, self._on_add)
        self._write = button(keys.WRITE_CAMPAIGN, self._on_write)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        for part in (self._said, self.plot, self.table):
            column.addWidget(part)
        column.addLayout(row(self._add, self._write))

    def show_campaign(self, found: Campaign) -> None:
        """Show a campaign."""
        self._found = found
        self._said.setText(campaign_sentence(found, BY_EYE))
        rows = [Row(f"{n}", campaign_cells(one), one.verdict) for n, one in enumerate(found.rows)]
        self.table.show_rows(rows)
        self.table.setVisible(bool(rows))
        self.plot.setVisible(bool(found.measured))
        self.plot.show_drawing(lambda ink, paper: campaign_plot(found, ink, paper))
        self._write.setEnabled(bool(rows))

    def add_sessions(self, paths: Sequence[str]) -> None:
        """Count the lamellae of other sessions in the campaign."""
        for path in paths:
            try:
                other = load(path)
            except ClxemError as error:
                show_error(str(error))
                continue
            name = other.name or Path(path).name
            if other.id == self._session().id or other.id in self._ids:
                show_info(f"{name} is counted already.")
                continue
            self._ids.add(other.id)
            self._others = (*self._others, *campaign_rows(other, name))
        self._changed(self._others)

    def write_campaign(self, path: str) -> None:
        """Write the campaign as a table (CSV), or as its plot where the name ends in .svg."""
        if self._found is None:
            return
        drawn = Path(path).suffix.lower() == ".svg"
        text = campaign_plot(self._found) if drawn else campaign_table(self._found)
        try:
            Path(path).write_text(text, encoding="utf-8")
        except OSError as error:
            show_error(f"{path} cannot be written: {error.strerror}; choose another place.")
        else:
            show_info(f"Campaign written to {path}.")

    def _on_add(self) -> None:
        paths, _ = QFileDialog.getOpenFileNames(self, keys.ADD_SESSIONS.tip, "", SESSIONS)
        self.add_sessions(paths)

    def _on_write(self) -> None:
        path, _ = QFileDialog.getSaveFileName(self, keys.WRITE_CAMPAIGN.tip, "", KINDS)
        if path:
            self.write_campaign(path)
