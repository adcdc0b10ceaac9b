"""Landmarks as CSV: one pair of positions a line, µm, blank where there is no z or no pick."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Iterator
from io import StringIO
from pathlib import Path

from napari_clxem.errors import ReadError, SessionError
from napari_clxem.session.disk import replace_file, why_unread
from napari_clxem.session.model import Landmark, Vector

COLUMNS = (
    "id",
    "moving_z",
    "moving_y",
    "moving_x",
    "fixed_z",
    "fixed_y",
    "fixed_x",
    "moving_sigma",
    "fixed_sigma",
)
# Beyond this a file is not a list of picks.
LARGEST_BYTES = 64 * 2**20


def read_landmarks(path: str | Path) -> tuple[Landmark, ...]:
    """Read landmarks from a CSV file.

    The header is ``id,moving_z,moving_y,moving_x,fixed_z,fixed_y,fixed_x,moving_sigma,
    fixed_sigma``; positions and standard deviations are in µm. z is left blank for a frame that
    is a plane, all of a side for one not picked; sigma is one number for all axes, or one per
    axis separated by spaces, or blank. Lines that start with ``#`` are a note.

    Returns
    -------
    tuple of Landmark
        Of origin ``"file"``.

    Raises
    ------
    ReadError
        Naming the line and column of the first value that cannot be used.
    """
    return _parse(Path(path))[0]


def read_note(path: str | Path) -> str:
    """Read the note of a landmark file: its lines that start with ``#``, without the mark."""
    return _parse(Path(path))[1]


def write_landmarks(landmarks: Iterable[Landmark], path: str | Path, note: str = "") -> None:
    """Write landmarks as :func:`read_landmarks` reads them.

    Raises
    ------
    SessionError
        Where the file cannot be written, or an id has a line break.
    """
    text = StringIO()
    for line in note.splitlines():
        text.write(f"# {line}\n".replace("#  \n", "#\n"))
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for one in landmarks:
        if len(one.id.splitlines()) != 1 or one.id.startswith("#"):
            raise SessionError(f"Landmark {one.id!r} has an id that a CSV file cannot hold.")
        writer.writerow(
            (
                one.id,
                *_cells(one.moving),
                *_cells(one.fixed),
                _sigma_cell(one.moving_sigma),
                _sigma_cell(one.fixed_sigma),
            )
        )
    replace_file(Path(path), text.getvalue().encode())


def _cells(position: Vector | None) -> tuple[str, ...]:
    if position is None:
        return ("", "", "")
    numbers = tuple(repr(float(v)) for v in position)
    return numbers if len(numbers) == 3 else ("", *numbers)


def _sigma_cell(sigma: Vector | None) -> str:
    if sigma is None:
        return ""
    numbers = [repr(float(v)) for v in sigma]
    return numbers[0] if len(set(numbers)) == 1 else " ".join(numbers)


def _parse(path: Path) -> tuple[tuple[Landmark, ...], str]:
    lines = _lines(path)
    note = [text[1:].strip() for _, text in lines if text.startswith("#")]
    rows = [(n, text) for n, text in lines if text.strip() and not text.startswith("#")]
    if not rows:
        raise ReadError(f"{path.name} is empty; its first line must be {','.join(COLUMNS)}.")
    number, first = rows[0]
    header = tuple(cell.strip() for cell in _cells_of(first, path, number))
    if header != COLUMNS:
        raise ReadError(
            f"{path.name}, line {number}: the header is {first.strip()[:80]!r} but must be "
            f"{','.join(COLUMNS)}."
        )
    found: dict[str, Landmark] = {}
    for number, text in rows[1:]:
        landmark = _landmark(_cells_of(text, path, number), f"{path.name}, line {number}")
        if landmark.id in found:
            raise ReadError(
                f"{path.name}, line {number}: the id {landmark.id!r} stands there a second time; "
                "give each landmark its own."
            )
        found[landmark.id] = landmark
    return tuple(found.values()), "\n".join(note)


def _lines(path: Path) -> list[tuple[int, str]]:
    try:
        if path.stat().st_size > LARGEST_BYTES:
            raise ReadError(f"{path.name} is too large for a list of landmarks; choose another.")
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise ReadError(f"{path} cannot be read: {why_unread(error)}.") from error
    except UnicodeDecodeError as error:
        raise ReadError(f"{path.name} is not a text file; choose a CSV of landmarks.") from error
    return list(enumerate(text.splitlines(), start=1))


def _cells_of(text: str, path: Path, number: int) -> list[str]:
    try:
        return next(csv.reader([text], strict=True))
    except csv.Error as error:
        raise ReadError(f"{path.name}, line {number}: {error}; mend the line.") from error


def _landmark(cells: list[str], where: str) -> Landmark:
    if len(cells) != len(COLUMNS):
        raise ReadError(f"{where}: {len(cells)} values, but there are {len(COLUMNS)} columns.")
    values = dict(zip(COLUMNS, cells, strict=True))
    if not values["id"].strip():
        raise ReadError(f"{where}: the id is blank; give each landmark one.")
    moving, fixed = _position(values, "moving", where), _position(values, "fixed", where)
    return Landmark(
        id=values["id"].strip(),
        moving=moving,
        fixed=fixed,
        moving_sigma=_sigma(values["moving_sigma"], moving, "moving_sigma", where),
        fixed_sigma=_sigma(values["fixed_sigma"], fixed, "fixed_sigma", where),
        origin="file",
    )


def _position(values: dict[str, str], side: str, where: str) -> Vector | None:
    z, y, x = (_number(values[f"{side}_{a}"], f"{side}_{a}", where) for a in "zyx")
    if y is None and x is None and z is None:
        return None
    if y is None or x is None:
        raise ReadError(
            f"{where}: {side} has no {'y' if y is None else 'x'}; fill it in, or leave the whole "
            "side blank where it is not picked."
        )
    return (y, x) if z is None else (z, y, x)


def _sigma(text: str, position: Vector | None, column: str, where: str) -> Vector | None:
    numbers = tuple(_numbers(text.split(), column, where))
    if not numbers:
        return None
    if min(numbers) < 0:
        raise ReadError(f"{where}: {column} is negative; give a standard deviation in µm.")
    if position is None:
        raise ReadError(f"{where}: {column} is given, but there is no position on that side.")
    if len(numbers) == 1:
        return numbers * len(position)
    if len(numbers) != len(position):
        raise ReadError(f"{where}: {column} has {len(numbers)} values for {len(position)} axes.")
    return numbers


def _numbers(texts: list[str], column: str, where: str) -> Iterator[float]:
    for text in texts:
        value = _number(text, column, where)
        if value is not None:
            yield value


def _number(text: str, column: str, where: str) -> float | None:
    if not text.strip():
        return None
    try:
        value = float(text)
    except ValueError as error:
        raise ReadError(f"{where}: {column} is {text.strip()!r}, not a number in µm.") from error
    if not math.isfinite(value):
        raise ReadError(f"{where}: {column} is {text.strip()}; give a finite number in µm.")
    return value
