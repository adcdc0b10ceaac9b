"""The tag tree of Gatan DigitalMicrograph files: names, numbers, texts, and where arrays lie.

Numbers that describe the tree are big-endian, values as the header says. In version 4, lengths
have eight bytes and every tag tells its own size.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

from napari_clxem.errors import ReadError

# Depth and number of tags of the largest files are far below these.
DEEPEST, MOST_TAGS = 64, 1_000_000
# A text is an array of 16-bit letters of at most this length; longer arrays stay in the file.
LONGEST_TEXT = 1 << 16
_GROUP, _DATA = 20, 21
_STRUCT, _STRING, _ARRAY = 15, 18, 20
_SIMPLE = {
    2: "h",
    3: "i",
    4: "H",
    5: "I",
    6: "f",
    7: "d",
    8: "B",
    9: "b",
    10: "B",
    11: "q",
    12: "Q",
}


@dataclass(frozen=True)
class Array:
    """An array that stays in the file: byte order and type, offset and number of elements.

    `text` is what short arrays of 16-bit numbers say: such are texts and small images alike.
    """

    dtype: str
    offset: int
    count: int
    text: str = ""


Value = float | int | str | tuple[float | int, ...] | Array
Tags = dict[str, "Tags | Value"]


@dataclass
class _Cursor:
    """Where reading is, and how numbers are written."""

    file: BinaryIO
    size: int
    wide: bool
    order: str
    tags: int = 0

    def take(self, form: str) -> tuple[int, ...]:
        nbytes = struct.calcsize(form)
        raw = self.file.read(nbytes)
        if len(raw) < nbytes:
            raise EOFError("the tags end before they are complete")
        return struct.unpack(form, raw)

    def long(self) -> int:
        return int(self.take(">Q" if self.wide else ">I")[0])


def read_tags(path: Path) -> Tags:
    """Read the tag tree of a .dm3 or .dm4 file.

    Unnamed tags are called by their number.

    Parameters
    ----------
    path : Path
        The file.

    Raises
    ------
    ReadError
        Where the tree makes no sense.
    """
    with path.open("rb") as file:
        version, *_ = struct.unpack(">I", file.read(4).ljust(4, b"\0"))
        if version not in (3, 4):
            raise ReadError(f"{path.name} has version {version}; versions 3 and 4 are read.")
        cursor = _Cursor(file, path.stat().st_size, version == 4, "<")
        cursor.long()
        (little,) = cursor.take(">I")
        cursor.order = "<" if little else ">"
        return _group(cursor, 0)


def _group(cursor: _Cursor, depth: int) -> Tags:
    if depth > DEEPEST:
        raise EOFError("tags are nested without end")
    cursor.take(">2B")
    count = cursor.long()
    found: Tags = {}
    for number in range(count):
        cursor.tags += 1
        if cursor.tags > MOST_TAGS:
            raise EOFError("there are more tags than any image has")
        kind, length = cursor.take(">BH")
        name = cursor.file.read(length).decode("latin-1") or str(number)
        if cursor.wide:
            cursor.long()
        if kind == _GROUP:
            found[name] = _group(cursor, depth + 1)
        elif kind == _DATA:
            found[name] = _value(cursor)
        else:
            raise EOFError(f"tag {name!r} is of unknown kind {kind}")
    return found


def _value(cursor: _Cursor) -> Value:
    if cursor.file.read(4) != b"%%%%":
        raise EOFError("a tag does not begin as it should")
    length = cursor.long()
    if not 0 < length < 10_000:
        raise EOFError(f"a tag is described by {length} numbers")
    described = list(cursor.take(f">{length}{'Q' if cursor.wide else 'I'}"))
    kind = described.pop(0)
    if kind in _SIMPLE:
        return cursor.take(cursor.order + _SIMPLE[kind])[0]
    if kind == _STRUCT:
        return cursor.take(cursor.order + _fields(described))
    if kind == _STRING:
        return _text(_skip(cursor, described[0], 1), cursor)
    if kind == _ARRAY:
        return _array(cursor, described)
    raise EOFError(f"a tag has values of unknown type {kind}")


def _fields(described: list[int]) -> str:
    """Give the types of a structure, which takes what describes it from the list."""
    described.pop(0)
    count = described.pop(0)
    if count * 2 > len(described):
        raise EOFError("a structure has fewer fields than it states")
    types = "".join(_SIMPLE[described[2 * i + 1]] for i in range(count))
    del described[: 2 * count]
    return types


def _array(cursor: _Cursor, described: list[int]) -> Value:
    kind = described.pop(0)
    if kind == _STRUCT:
        form = _fields(described)
        dtype = f"{cursor.order}{len(form)}structures"
        itemsize = struct.calcsize(cursor.order + form)
    elif kind in _SIMPLE:
        dtype = cursor.order + _SIMPLE[kind]
        itemsize = struct.calcsize(dtype)
    else:
        raise EOFError(f"an array has elements of unknown type {kind}")
    count = described.pop(0)
    offset = _skip(cursor, count, itemsize)
    is_text = dtype.endswith("H") and count <= LONGEST_TEXT
    return Array(dtype, offset, count, _text(offset, cursor) if is_text else "")


def _skip(cursor: _Cursor, count: int, itemsize: int) -> int:
    """Step over an array that the file must hold whole; gives where it began."""
    offset = cursor.file.tell()
    end = offset + count * itemsize
    if end > cursor.size:
        raise EOFError(f"an array ends at byte {end}, the file at byte {cursor.size}")
    cursor.file.seek(end)
    return offset


def _text(offset: int, cursor: _Cursor) -> str:
    """Read the 16-bit letters between `offset` and where reading is."""
    end = cursor.file.tell()
    cursor.file.seek(offset)
    raw = cursor.file.read(end - offset)
    letters = np.frombuffer(raw[: len(raw) // 2 * 2], cursor.order + "u2")
    return letters.astype("<u2").tobytes().decode("utf-16-le", "replace").rstrip("\0")


def at(tags: Tags | Value | None, *names: str) -> Tags | Value | None:
    """Follow names down the tree; None where one is missing."""
    for name in names:
        if not isinstance(tags, dict):
            return None
        tags = tags.get(name)
    return tags


def number_at(tags: Tags | Value | None, *names: str) -> float | None:
    """Give a finite number of the tree."""
    value = at(tags, *names)
    if isinstance(value, int | float) and np.isfinite(value):
        return float(value)
    return None


def text_at(tags: Tags | Value | None, *names: str) -> str:
    """Give a text of the tree; empty where there is none."""
    value = at(tags, *names)
    text = value.text if isinstance(value, Array) else value
    return text.strip() if isinstance(text, str) else ""
