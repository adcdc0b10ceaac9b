"""Small text files in and out: one sentence where they cannot be read or written."""

from __future__ import annotations

import csv
import math
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from napari_clxem.errors import ReadError, WriteError
from napari_clxem.io.guard import reading

# Beyond this a file is not a list of points.
LARGEST_BYTES = 64 * 2**20


def read_text(path: str | Path) -> str:
    """Read a text file of at most 64 MB.

    Raises
    ------
    ReadError
        Where it is missing, too large, or no text.
    """
    path = Path(path)
    raw = read_bytes(path)
    if b"\0" in raw:
        raise ReadError(f"{path.name} is no text; it seems damaged, or is another kind of file.")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def read_bytes(path: str | Path) -> bytes:
    """Read a file of at most 64 MB; raises as :func:`read_text`."""
    path = Path(path)
    with reading(path):
        if path.stat().st_size > LARGEST_BYTES:
            raise ReadError(f"{path.name} is too large for a list of points; choose another file.")
        return path.read_bytes()


def write_text(path: str | Path, text: str) -> None:
    """Write a text file as UTF-8; see :func:`write_bytes`."""
    write_bytes(path, text.encode())


def write_bytes(path: str | Path, content: bytes) -> None:
    """Put a file in place at once, so that a failed write leaves the old one whole.

    Raises
    ------
    WriteError
        Where it cannot be written.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        temporary.write_bytes(content)
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        reason = (error.strerror or str(error)).lower()
        raise WriteError(
            f"{path} could not be written: {reason}; choose another folder or name."
        ) from error


def one_line(text: str, what: str) -> str:
    """Give a text for a format of one line per entry.

    Raises
    ------
    WriteError
        Where it has a line break, which would break the file.
    """
    if len(text.splitlines()) > 1:
        raise WriteError(f"{what} {text!r} has a line break, which the format cannot hold.")
    return text


def rows_of(text: str, delimiter: str = ",") -> Iterator[tuple[int, list[str]]]:
    """Give the rows of a CSV text with their line numbers; blank lines and # lines are left out."""
    for number, line in enumerate(text.splitlines(), start=1):
        if line.strip() and not line.lstrip().startswith("#"):
            yield number, [cell.strip() for cell in next(csv.reader([line], delimiter=delimiter))]


def table(rows: Iterable[Sequence[object]], delimiter: str = ",", quote: bool = False) -> str:
    """Write rows as CSV; with `quote` every cell is quoted."""
    from io import StringIO

    text = StringIO()
    if quote:
        writer = csv.writer(text, delimiter=delimiter, lineterminator="\n", quoting=csv.QUOTE_ALL)
    else:
        writer = csv.writer(text, delimiter=delimiter, lineterminator="\n")
    writer.writerows(rows)
    return text.getvalue()


def number(cell: str, where: str, infinite: bool = False) -> float:
    """Read a number.

    Raises
    ------
    ReadError
        Naming the place, where it is none, or not finite though it must be.
    """
    try:
        value = float(cell)
    except ValueError as error:
        raise ReadError(f"{where}: {cell[:40]!r} is not a number; mend the line.") from error
    if math.isnan(value) or (math.isinf(value) and not infinite):
        raise ReadError(f"{where}: {cell} is not a finite number; mend the line.")
    return value


def exact(value: float) -> str:
    """Write a number so that it reads back the same."""
    return repr(float(value))
