"""Alignments of tilt series: IMOD's .xf, .tlt and .rawtlt, and AreTomo's .aln.

A transform takes a point of a raw image to the aligned one, both counted from the middle of the
image: for IMOD ``X = A11 x + A12 y + DX, Y = A21 x + A22 y + DY`` (xf man page). AreTomo states
the tilt axis ROT and a shift (TX, TY) of the raw image; its own IMOD export is ``A`` turning by
-ROT and ``D = -A (TX, TY)``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_clxem.errors import ReadError
from napari_clxem.io.guard import reading

Floats = NDArray[np.float64]

# A line per image; more is no alignment.
LARGEST = 16 * 1024 * 1024


@dataclass(frozen=True, eq=False)
class TiltAlignment:
    """How the images of a tilt series lie on each other and on the tilt axis.

    Parameters
    ----------
    matrices : ndarray, (n, 3, 3)
        Homogeneous, from raw to aligned pixels (y, x), both counted from the middle of the image;
        rows as they are stored in the file.
    sections : ndarray of int, (n,)
        Section of the raw series that each belongs to, counted from 0.
    tilts : ndarray, (n,), or None
        Degrees; None where the file does not give them.
    size : tuple of int or None
        Rows and columns of the raw images, where given.
    count : int or None
        Number of sections of the raw series, where given.
    left_out : tuple of int
        Raw sections, counted from 0, that were left out as dark.
    """

    matrices: Floats
    sections: NDArray[np.int64]
    tilts: Floats | None = None
    size: tuple[int, int] | None = None
    count: int | None = None
    left_out: tuple[int, ...] = ()

    @property
    def rotations(self) -> Floats:
        """Turn of each transform in stored rows, degrees, (n,): minus the tilt axis from y."""
        a = self.matrices
        # of x towards y
        return np.degrees(np.arctan2(a[:, 0, 1] - a[:, 1, 0], a[:, 0, 0] + a[:, 1, 1]))

    @property
    def shifts(self) -> Floats:
        """Shift (y, x) of each transform, pixels, (n, 2)."""
        return self.matrices[:, :2, 2].copy()

    def turned(self) -> TiltAlignment:
        """Give the same for images whose rows were turned at opening (`flip` holds ``"y"``)."""
        mirror = np.diag([-1.0, 1.0, 1.0])
        return replace(self, matrices=mirror @ self.matrices @ mirror)


def read_xf(path: str | Path) -> TiltAlignment:
    """Read IMOD transforms (.xf, .prexf, .prexg, .tltxf): six numbers per image.

    Parameters
    ----------
    path : str or Path
        The file.

    Raises
    ------
    ReadError
        Where it is missing, or a line is not six numbers.
    """
    table = _table(Path(path), 6, "a transform: A11 A12 A21 A22 DX DY")
    matrices = _matrices(table[:, :4], table[:, 4:])
    return TiltAlignment(matrices, np.arange(len(table)))


def read_tilts(path: str | Path) -> Floats:
    """Read tilt angles (.tlt, .rawtlt): one number per line.

    Parameters
    ----------
    path : str or Path
        The file.

    Returns
    -------
    ndarray, (n,)
        Degrees.

    Raises
    ------
    ReadError
        Where it is missing, or a line is not one angle.
    """
    found = _table(Path(path), 1, "one tilt angle in degrees")[:, 0]
    if np.abs(found).max() > 360:
        raise ReadError(f"{Path(path).name} states angles beyond 360 degrees; is it a .tlt file?")
    return found


def read_aln(path: str | Path) -> TiltAlignment:
    """Read an AreTomo alignment (.aln), global part only.

    Its sections are counted from 0 or from 1 by different versions, over the raw series or over
    what is left of it without dark frames; which of them follows from the numbers.

    Parameters
    ----------
    path : str or Path
        The file.

    Raises
    ------
    ReadError
        Where it is missing or holds no alignment.
    """
    path = Path(path)
    lines = _lines(path)
    if not lines or "AreTomo" not in lines[0]:
        raise ReadError(f"{path.name} does not begin as an alignment of AreTomo does.")
    size, count, dark, rows = None, None, [], []
    for number, line in enumerate(lines, 1):
        key, _, value = line.lstrip("# ").partition("=")
        if line.startswith("# Local"):
            break
        if line.startswith("#"):
            parts = value.split()
            if key.strip() == "RawSize" and len(parts) == 3:
                columns, lines_, count = (_integer(path, number, part) for part in parts)
                size = (lines_, columns)
            elif key.strip() == "DarkFrame" and parts:
                dark.append(_integer(path, number, parts[0]))
        elif line.strip():
            rows.append(_numbers(path, number, line, 10, "SEC ROT GMAG TX TY ... TILT"))
    if not rows:
        raise ReadError(f"{path.name} holds no alignment; AreTomo seems to have broken off.")
    table = np.array(rows)
    angle = np.radians(table[:, 1])
    turn = np.stack([np.cos(angle), np.sin(angle), -np.sin(angle), np.cos(angle)], axis=1)
    shift = -np.einsum("nij,nj->ni", turn.reshape(-1, 2, 2), table[:, 3:5])
    listed = [int(value) for value in table[:, 0]]
    sections, left_out = _sections(listed, dark, count)
    return TiltAlignment(
        _matrices(turn, shift), np.array(sections), table[:, 9].copy(), size, count, left_out
    )


def read_alignment(path: str | Path) -> TiltAlignment:
    """Read an alignment by its ending: .aln of AreTomo, else transforms of IMOD.

    Angles are taken from a .tlt beside an .xf, or a .rawtlt, where there is one for each image.
    """
    path = Path(path)
    if path.suffix.lower() == ".aln":
        return read_aln(path)
    found = read_xf(path)
    for suffix in (".tlt", ".rawtlt"):
        place = path.with_suffix(suffix)
        if place.is_file():
            tilts = read_tilts(place)
            if len(tilts) == len(found.matrices):
                return replace(found, tilts=tilts)
    return found


def _matrices(linear: Floats, shift: Floats) -> Floats:
    """Put (A11, A12, A21, A22) and (DX, DY) together in the order (y, x)."""
    found = np.zeros((len(linear), 3, 3))
    found[:, 0, 0], found[:, 0, 1] = linear[:, 3], linear[:, 2]
    found[:, 1, 0], found[:, 1, 1] = linear[:, 1], linear[:, 0]
    found[:, 0, 2], found[:, 1, 2] = shift[:, 1], shift[:, 0]
    found[:, 2, 2] = 1.0
    return found


def _sections(
    listed: list[int], dark: list[int], count: int | None
) -> tuple[list[int], tuple[int, ...]]:
    """Say which raw sections the rows of an .aln belong to, counted from 0."""
    base = 0 if 0 in listed else 1
    dark_base = base
    if 0 in dark or (count is not None and count - 1 in dark and count not in dark):
        dark_base = 0
    if count is not None and count in dark:
        dark_base = 1
    left_out = tuple(sorted(number - dark_base for number in dark))
    if count is not None and len(listed) + len(dark) == count and max(listed) - base < len(listed):
        kept = [section for section in range(count) if section not in left_out]
        if len(kept) == len(listed):
            order = np.argsort(np.argsort(listed))
            return [kept[i] for i in order], left_out
    return [number - base for number in listed], left_out


def _lines(path: Path) -> list[str]:
    with reading(path):
        if path.stat().st_size > LARGEST:
            raise ReadError(f"{path.name} is larger than any alignment; is it another file?")
        raw = path.read_bytes()
    if b"\0" in raw:
        raise ReadError(f"{path.name} is no text; it seems damaged, or is another kind of file.")
    return raw.decode("latin-1").splitlines()


def _table(path: Path, width: int, what: str) -> Floats:
    rows = [
        _numbers(path, number, line, width, what)
        for number, line in enumerate(_lines(path), 1)
        if line.strip()
    ]
    if not rows:
        raise ReadError(f"{path.name} is empty; each line should hold {what}.")
    return np.array(rows)


def _numbers(path: Path, number: int, line: str, width: int, what: str) -> list[float]:
    try:
        values = [float(part) for part in line.replace(",", " ").split()]
    except ValueError:
        values = []
    if len(values) != width or not all(map(math.isfinite, values)):
        raise ReadError(f"Line {number} of {path.name} is not {what}; is it another file?")
    return values


def _integer(path: Path, number: int, text: str) -> int:
    try:
        return int(text)
    except ValueError as error:
        raise ReadError(
            f"Line {number} of {path.name} should hold a number, not {text!r}."
        ) from error
