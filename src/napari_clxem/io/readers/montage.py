"""SerialEM montages: the pieces of an MRC file, joined where their mdoc says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from napari_clxem.io.readers.autodoc import Section
from napari_clxem.io.readers.stitching import Canvas, Tile, stitched
from napari_clxem.io.stored import Stored

# Aligned coordinates, where there are some, count before those that were planned.
_ALIGNED = ("AlignedPieceCoords", "AlignedPieceCoordsVS")
# An aligned piece lies near its planned place: within this share of its size.
_NEAR = 0.5


@dataclass(frozen=True)
class Pieces:
    """Gives the pieces of one montage out of all sections."""

    data: Any
    sections: tuple[int, ...]

    def __call__(self, number: int) -> Any:
        """Give the piece of a number."""
        return self.data[self.sections[number]]


def montages(path: Path, image: Stored, sections: Sequence[Section]) -> tuple[Stored, ...]:
    """Join the pieces of each montage of a file; none where they are not described.

    Piece coordinates count pixels from the lower left, rows as they are stored.

    Parameters
    ----------
    path : Path
        The MRC file.
    image : Stored
        All pieces as they are stored, (piece, row, column).
    sections : sequence of Section
        Of the mdoc, one per piece.
    """
    data = image.levels[0]
    planned = [section.numbers("PieceCoordinates", 2) for section in sections]
    if data.ndim != 3 or len(sections) != data.shape[0] or not all(planned):
        return ()
    if len({tuple(map(int, place[:3])) for place in planned}) < len(planned):
        return ()
    heights = sorted({int(place[2]) if len(place) > 2 else 0 for place in planned})
    joined = []
    for height in heights:
        chosen = [i for i, p in enumerate(planned) if (int(p[2]) if len(p) > 2 else 0) == height]
        one = _joined(path, image, sections, chosen, height)
        joined.append(one if len(heights) == 1 else replace(one, name=f"{image.name} [{height}]"))
    return tuple(joined)


def _joined(
    path: Path, image: Stored, sections: Sequence[Section], chosen: list[int], height: int
) -> Stored:
    data = image.levels[0]
    rows, columns = data.shape[1:]
    planned = [_place(sections[i], "PieceCoordinates") or (0, 0) for i in chosen]
    places, aligned = planned, ""
    for key in _ALIGNED:
        found = [_place(sections[i], key) for i in chosen]
        if all(found) and _are_near(found, planned, (columns, rows)):
            places, aligned = [place or (0, 0) for place in found], key
            break
    size = max(x for x, _ in planned) + columns, max(y for _, y in planned) + rows
    tiles = tuple(Tile(y, x, rows, columns) for x, y in places)
    canvas = Canvas(path, (size[1], size[0]), data.dtype, tiles, Pieces(data, tuple(chosen)))
    meta = {
        **image.meta,
        "montage": {"pieces": len(chosen), "section": height, "coordinates": aligned or "planned"},
    }
    return replace(image, levels=stitched(canvas, "montage", height), axes=("y", "x"), meta=meta)


def _place(section: Section, key: str) -> tuple[int, int] | None:
    values = section.numbers(key, 2)
    return (round(values[0]), round(values[1])) if values else None


def _are_near(
    found: Sequence[tuple[int, int] | None],
    planned: Sequence[tuple[int, int]],
    size: tuple[int, int],
) -> bool:
    return all(
        abs(a[axis] - b[axis]) <= _NEAR * size[axis]
        for a, b in zip(found, planned, strict=True)
        if a is not None
        for axis in (0, 1)
    )
