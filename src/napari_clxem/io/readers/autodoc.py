"""The text grammar of IMOD and SerialEM shared by .mdoc, .nav and .idoc files, and its XML form.

Global entries ``Key = value``, then sections ``[Kind = Name]`` with entries of their own; a line
without an equals sign continues the value above it. See the IMOD documentation of autodoc files.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_clxem.errors import ReadError
from napari_clxem.io.guard import reading

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

LARGEST = 256 * 1024 * 1024


@dataclass(frozen=True)
class Section:
    """One section: ``[kind = name]`` and its entries as text."""

    kind: str
    name: str
    entries: Mapping[str, str] = field(default_factory=dict)

    def text(self, key: str) -> str:
        """Give an entry, or an empty text."""
        return self.entries.get(key, "")

    def numbers(self, key: str, count: int = 1) -> tuple[float, ...]:
        """Give an entry as finite numbers, or nothing where it is not at least `count` of them."""
        try:
            values = tuple(float(part) for part in self.text(key).split())
        except ValueError:
            return ()
        return values if len(values) >= count and all(map(math.isfinite, values)) else ()

    def number(self, key: str) -> float | None:
        """Give an entry as one finite number."""
        return next(iter(self.numbers(key)), None)


@dataclass(frozen=True)
class Autodoc:
    """A file: its global entries and its sections in their order."""

    entries: Mapping[str, str]
    sections: tuple[Section, ...]

    def of(self, kind: str) -> tuple[Section, ...]:
        """Sections of one kind."""
        return tuple(section for section in self.sections if section.kind == kind)

    @property
    def head(self) -> Section:
        """The global entries, to be asked like a section."""
        return Section("", "", self.entries)


def read_autodoc(path: str | Path) -> Autodoc:
    """Read an autodoc file, text or XML.

    Parameters
    ----------
    path : str or Path
        A .mdoc, .nav or .idoc file.

    Raises
    ------
    ReadError
        Where it is missing, no text, without entries, or broken XML.
    """
    path = Path(path)
    with reading(path):
        if path.stat().st_size > LARGEST:
            raise ReadError(f"{path.name} is larger than any such text; is it another file?")
        raw = path.read_bytes()
    if b"\0" in raw:
        raise ReadError(f"{path.name} is no text; it seems damaged, or is another kind of file.")
    text = _decoded(raw)
    found = _from_xml(text, path) if text.lstrip().startswith("<") else parse_autodoc(text)
    if not found.entries and not found.sections:
        raise ReadError(f"{path.name} has no entries; it seems empty or is another kind of file.")
    return found


def _decoded(raw: bytes) -> str:
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def parse_autodoc(text: str) -> Autodoc:
    """Parse the text form; a key given twice keeps both values, a line each."""
    head: dict[str, str] = {}
    sections: list[Section] = []
    entries, last = head, ""
    for line in text.splitlines():
        stripped = line.strip()
        if not stripped or stripped.startswith("#"):
            continue
        if stripped.startswith("[") and stripped.endswith("]"):
            kind, _, name = stripped[1:-1].partition("=")
            entries, last = {}, ""
            sections.append(Section(kind.strip(), name.strip(), entries))
            continue
        key, equals, value = (part.strip() for part in stripped.partition("="))
        if equals and key:
            entries[key] = f"{entries[key]}\n{value}" if key in entries else value
            last = key
        elif last:
            entries[last] += f"\n{stripped}"
    return Autodoc(head, tuple(sections))


def _from_xml(text: str, path: Path) -> Autodoc:
    """Read the XML form: a child with children is a section, PreData and bare ones are global."""
    from napari_clxem.io.readers.ome_xml import parse_xml, tag

    head: dict[str, str] = {}
    sections = []
    for child in parse_xml(text, path, "XML"):
        kind = tag(child)
        entries = {tag(entry): (entry.text or "").strip() for entry in child}
        if kind == "PreData":
            head.update(entries)
        elif entries:
            sections.append(Section(kind, _name(child, entries), entries))
        else:
            head[kind] = (child.text or "").strip()
    return Autodoc(head, tuple(sections))


def _name(element: Element, entries: dict[str, str]) -> str:
    for key in ("ID", "name", "Name"):
        if key in element.attrib:
            return element.attrib[key].strip()
    return entries.pop("ID", "")


def plain(section: Section) -> dict[str, Any]:
    """Give the entries as plain values: numbers and lists of numbers where they are such."""
    return {key: _value(section, key) for key in section.entries}


def _value(section: Section, key: str) -> Any:
    values = section.numbers(key)
    if not values or "\n" in section.text(key):
        return section.text(key)
    whole = [int(v) if v.is_integer() and abs(v) < 1 << 53 else v for v in values]
    return whole[0] if len(whole) == 1 else whole
