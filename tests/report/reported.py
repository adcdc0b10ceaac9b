"""The sample grid with all that a report can hold, and reports read back as people see them."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path

from napari_clxem.dose import PRESETS, Exposure
from napari_clxem.lamella import FieldRecord, Lamella, LamellaRecord, Overlap
from napari_clxem.samples import sample_folder
from napari_clxem.session import Session, edits, load

MADE = datetime(2026, 3, 4, 5, 6, tzinfo=UTC)
VOID = {"br", "meta"}
HOME = sample_folder() / "grid.clxem.json"


@dataclass
class Table:
    """A table: its caption, headings and rows of texts."""

    caption: str = ""
    head: list[str] = field(default_factory=list)
    rows: list[list[str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def column(self, name: str) -> list[str]:
        return [row[self.head.index(name)] for row in self.rows]

    def row(self, name: str) -> dict[str, str]:
        found = next(row for row in self.rows if row[0] == name)
        return dict(zip(self.head, found, strict=True))


class Page(HTMLParser):
    """A report as it is read: its tags, tables and texts."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.raw = path.read_text(encoding="utf-8")
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.tables: list[Table] = []
        self.chapters: dict[str, str] = defaultdict(str)
        self.pictures: list[str] = []
        self.missing: list[str] = []
        self.warnings: list[str] = []
        self.open: list[tuple[str, dict[str, str | None]]] = []
        self._texts: list[str] = []
        self.feed(self.raw)
        self.close()
        assert not self.open, self.open

    def handle_starttag(self, tag, attrs):
        found = dict(attrs)
        self.tags.append((tag, found))
        if tag == "br":
            self._add(" | ")
        if tag in VOID:
            return
        self.open.append((tag, found))
        if tag == "table":
            self.tables.append(Table())
        if tag == "tr" and self._within("tbody") and found.get("class") != "note":
            self.tables[-1].rows.append([])
        if tag == "svg" and found.get("role") == "img":
            self.pictures.append(found.get("aria-label") or "")
        self._texts.append("")

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        name, attrs = self.open.pop()
        assert name == tag, f"{name} is closed by {tag}"
        text = self._texts.pop()
        if self.tables and self._within("table"):
            table = self.tables[-1]
            if tag == "caption":
                table.caption = text
            elif tag == "th" and self._within("thead"):
                table.head.append(text)
            elif tag in ("td", "th") and self._row_class() == "note":
                table.notes.append(text)
            elif tag in ("td", "th"):
                table.rows[-1].append(text)
        kind = attrs.get("class")
        if kind == "missing" and tag == "p":
            self.missing.append(text.removeprefix("▢ "))
        if kind == "warning":
            self.warnings.append(text.removeprefix("⚠ "))
        if tag == "li" and self.open and self.open[-1][1].get("class") == "missing":
            self.missing.append(text.removeprefix("▢ "))
        if tag == "section":
            self.chapters[str(attrs.get("id"))] += text
        self._add(text)

    def handle_data(self, data):
        self._add(data)

    def _add(self, text: str) -> None:
        if self._texts:
            self._texts[-1] += text

    def _within(self, tag: str) -> bool:
        return any(name == tag for name, _ in self.open)

    def _row_class(self) -> str | None:
        rows = [attrs.get("class") for name, attrs in self.open if name == "tr"]
        return rows[-1] if rows else None

    def table(self, caption: str) -> Table:
        return next(one for one in self.tables if one.caption.startswith(caption))


def full_session() -> Session:
    """The sample grid with exposures done and planned, a field, and lamellae of every fate."""
    session = load(HOME)
    series = [
        Exposure.tilt_series(
            id=f"series-{site}",
            modality="sxt",
            frame=f"tomogram-{site}",
            aim=(6.7, 6.7),
            beam_radius=10.0,
            tilts=[float(t) for t in range(-60, 61, 2)],
            fluence=4e7,
            energy=520.0,
            time=f"2026-01-0{number}T10:00:00",
            axis_height=2.7,
        )
        for number, site in enumerate("AB", start=1)
    ]
    map_ = Exposure.tilt_series(
        id="tem-map",
        modality="tem",
        frame="tem-A",
        aim=(4.7, 6.1),
        beam_size=(9.4, 12.2),
        tilts=[-10.0],
        fluence=0.08,
        energy=300e3,
        time="2026-01-05T10:00:00",
    )
    ahead = replace(PRESETS["Krios 300 kV"].exposure("tem-A", (4.6, 5.6), id="et-A"), planned=True)
    unknown = replace(map_, id="tem-B-map", frame="tem-B", fluence=None, time="")
    records = (
        LamellaRecord(
            id="plan-C",
            name="plan C",
            site="C",
            frame="confocal-C",
            lamella=Lamella((4.2, 9.6, 11.1), 11.5, 133.0, damage=0.06),
            targets=("C1",),
            instrument="Aquilos 2, 45° shuttle",
            stage_tilt=17.0,
            promised=0.25,
        ),
        LamellaRecord(
            id="milled-A",
            name="lamella A",
            site="A",
            frame="tem-A",
            lamella=Lamella((0.0, 4.4, 5.9), 0.0, width=9.0, length=7.0),
            status="milled",
            promised=0.7,
            overlap=Overlap(11.2, 0.91, 0.873, 0.21, 0.2, (0.86, 0.93), (0.85, 0.89)),
        ),
        LamellaRecord(
            id="lost-B",
            name="lamella B",
            site="B",
            frame="tem-B",
            lamella=Lamella((0.0, 4.4, 5.9), 0.0),
            status="lost",
            note="broken in transfer",
        ),
    )
    taken = FieldRecord(
        id="field-A",
        name="field A",
        site="A",
        frame="sxt-mosaic",
        centre=(24.0, 52.0),
        targets=("A1", "A2"),
        status="taken",
        pointing=0.062,
        tomogram="tomogram-A",
        lamella="milled-A",
        verdict="good ice",
    )
    return edits.put(session, *series, map_, unknown, ahead, *records, taken)
