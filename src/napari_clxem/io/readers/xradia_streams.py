"""The streams of an OLE2 file: numbers, dates and planes by name."""

from __future__ import annotations

import re
import threading
import weakref
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np

from napari_clxem.io.guard import reading
from napari_clxem.io.readers.planes import Plane, Planes, lazy

REFERENCE = "ReferenceData/Image"
# Longest stream of numbers that is read: a value per image for each of many motors.
LONGEST = 1 << 26
_NAME, _UNIT, _DATE = 25, 15, 40
_WRITTEN = re.compile(r"\d\d/\d\d/\d{2,4} \d\d:\d\d:\d\d(?:\.\d{1,6})?")


def image_stream(number: int) -> str:
    """Name the stream of an image, counted from 1; a hundred share a storage."""
    return f"ImageData{(number + 99) // 100}/Image{number}"


class Streams:
    """An open OLE2 file, asked for streams by name; to be used in a ``with`` statement."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.file: Any = None

    def __enter__(self) -> Self:
        from olefile import OleFileIO

        self.file = OleFileIO(str(self.path))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.file.close()

    def has(self, name: str) -> bool:
        """Tell whether there is such a stream."""
        return bool(self.file.exists(name))

    def size(self, name: str) -> int | None:
        """Bytes of a stream, no more than the file has; None where there is none."""
        if not self.has(name):
            return None
        return min(int(self.file.get_size(name)), self.path.stat().st_size)

    def raw(self, name: str, most: int = LONGEST) -> bytes:
        """Give a stream; empty where there is none or it is too long to be what is meant."""
        size = self.size(name)
        if size is None or size > most:
            return b""
        with self.file.openstream(name) as stream:
            found: bytes = stream.read()
        return found

    def integer(self, name: str) -> int | None:
        """Give the first integer of a stream."""
        raw = self.raw(name)
        return int.from_bytes(raw[:4], "little", signed=True) if len(raw) >= 4 else None

    def reals(self, name: str) -> np.ndarray[Any, np.dtype[np.float32]]:
        """Give a stream as single-precision numbers."""
        raw = self.raw(name)
        return np.frombuffer(raw[: len(raw) // 4 * 4], "<f4")

    def real(self, name: str) -> float | None:
        """Give the first number of a stream, to the digits that single precision has."""
        values = self.reals(name)
        return float(str(values[0])) if len(values) and np.isfinite(values[0]) else None

    def dates(self, count: int) -> list[str]:
        """Give when each image was taken, ISO 8601; none where one is missing.

        Entries of 40 bytes each, of which those behind the first zero are left over; else as many
        dates as there are images, wherever they stand.
        """
        raw = self.raw("ImageInfo/Date")
        texts = [_text(raw[start : start + _DATE]) for start in range(0, count * _DATE, _DATE)]
        found = [_iso(text) for text in texts]
        if not all(found):
            found = [_iso(text) for text in _WRITTEN.findall(raw.decode("latin-1"))]
        return found if len(found) == count and all(found) else []

    def motors(self, count: int) -> dict[str, dict[str, Any]]:
        """Give the position of every named motor at each image, with its unit."""
        total = self.integer("PositionInfo/TotalAxis") or 0
        values = self.reals("PositionInfo/MotorPositions")
        names, units = self.raw("PositionInfo/AxisNames"), self.raw("PositionInfo/AxisUnits")
        if not 0 < total < 1000 or len(values) < total * count:
            return {}
        table = values[: total * count].reshape(count, total)
        found = {}
        for i in range(total):
            name = _text(names[i * _NAME : (i + 1) * _NAME])
            if name and np.isfinite(table[:, i]).all():
                unit = _text(units[i * _UNIT : (i + 1) * _UNIT])
                found[name] = {"unit": unit, "positions": [float(str(v)) for v in table[:, i]]}
        return found


def _iso(text: str) -> str:
    """Turn month/day/year and time into ISO 8601; empty where it is no such date."""
    for year in ("%y", "%Y"):
        for second in ("%S", "%S.%f"):
            try:
                return datetime.strptime(text, f"%m/%d/{year} %H:%M:{second}").isoformat()
            except ValueError:
                continue
    return ""


@lru_cache(maxsize=4)
def _kept(path: Path, changed: int, size: int) -> tuple[Streams, threading.Lock]:  # noqa: ARG001
    """Keep the last files open, until they change: their directories take long to read."""
    streams = Streams(path).__enter__()
    weakref.finalize(streams, streams.file.close)
    return streams, threading.Lock()


def _text(raw: bytes) -> str:
    return raw.partition(b"\0")[0].decode("latin-1").strip()


@dataclass(frozen=True)
class Image:
    """Reads one image; `stream` names it, or it is the one of the index."""

    path: Path
    dtype: np.dtype[Any]
    shape: tuple[int, int]
    stream: str = ""

    def __call__(self, index: tuple[int, ...]) -> Plane:
        """Read the plane of an index."""
        nbytes = self.shape[0] * self.shape[1] * self.dtype.itemsize
        with reading(self.path):
            status = self.path.stat()
            streams, lock = _kept(self.path, status.st_mtime_ns, status.st_size)
            with lock:
                raw = streams.raw(self.stream or image_stream(index[0] + 1), status.st_size)
        return np.frombuffer(raw[:nbytes], self.dtype).reshape(self.shape)


@dataclass(frozen=True)
class Mosaic:
    """Tiles edge to edge, row by row from the bottom left, in rows that run upwards."""

    path: Path
    dtype: np.dtype[Any]
    tile: tuple[int, int]
    grid: tuple[int, int]
    count: int

    def stitched(self) -> Any:
        """Give all tiles as one lazy array, a chunk per tile."""
        import dask.array as da

        shape = (max(self.count, self.grid[0] * self.grid[1]), *self.tile)
        tiles = lazy(Planes(self.path, shape, self.dtype, self), "tiles")
        rows, columns = self.grid
        return da.block(  # type: ignore[no-untyped-call]
            [[tiles[r * columns + c] for c in range(columns)] for r in range(rows)]
        )

    def __call__(self, index: tuple[int, ...]) -> Plane:
        """Read the tile of an index; zeros where it was not taken."""
        if index[0] >= self.count:
            return np.zeros(self.tile, self.dtype)
        return Image(self.path, self.dtype, self.tile)(index)
