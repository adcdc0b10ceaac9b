"""The pixels of a TIFF file, lazily: memory-mapped where they lie in one piece, else by chunks."""

from __future__ import annotations

import math
import struct
import threading
import weakref
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_clxem.errors import ReadError
from napari_clxem.io.guard import reading
from napari_clxem.io.readers.ome_xml import checked_ome
from napari_clxem.io.readers.planes import forward

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

    from tifffile import TiffFile, TiffFrame, TiffPage, TiffPageSeries

# A tile is grown to about this many pixels, so that a large pyramid has few chunks.
TILE_PIXELS = 1 << 22
# A chunk below this size is never suspect.
SMALL_CHUNK = 1 << 26
# Tags that the library takes for one page at most.
MOST_TAGS = 4096
# What deflate (1032) and LZW (about 1400) cannot exceed; zstd may on empty images.
MOST_COMPRESSED = 2000


class OpenTiff:
    """A TIFF file that is opened when needed, closed with its last array, and pickled by path."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.lock = threading.Lock()
        self.warnings: list[str] = []
        self.ome: Element | None = None
        self.arrays: dict[tuple[int, int], Any] = {}

    def __reduce__(self) -> tuple[type[OpenTiff], tuple[Path]]:
        return OpenTiff, (self.path,)

    @cached_property
    def file(self) -> TiffFile:
        """The open file, with an OME description that was found harmless."""
        from tifffile import TiffFile

        file = TiffFile(self.path)
        weakref.finalize(self, file.close)
        _check_chain(file, self.path)
        if file.is_ome:
            self.ome = checked_ome(str(file.ome_metadata), self.path)
        return file

    @cached_property
    def series(self) -> tuple[TiffPageSeries, ...]:
        """Images of the file; pyramids count as one."""
        return tuple(self.file.series)


@dataclass(frozen=True)
class Chunked:
    """One level of one series, read by basic slicing; what dask asks for chunks."""

    tiff: OpenTiff
    series: int
    level: int
    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    def __getitem__(self, key: Any) -> np.ndarray[Any, Any]:
        with reading(self.tiff.path):
            slices, turn = forward(key, self.shape)
            return np.asarray(self._array()[slices])[turn]

    def _array(self) -> Any:
        import zarr

        with self.tiff.lock:
            series = self.tiff.series[self.series].levels[self.level]
            key = self.series, self.level
            if key not in self.tiff.arrays:
                mode = 0 if _is_divided(series.keyframe) else 2
                store = series.aszarr(level=0, chunkmode=mode)
                self.tiff.arrays[key] = zarr.open_array(store, mode="r")
            return self.tiff.arrays[key]


def level_arrays(tiff: OpenTiff, index: int) -> tuple[Any, ...]:
    """Give the resolution levels of a series, lazily.

    Parameters
    ----------
    tiff : OpenTiff
        The file.
    index : int
        Which series.

    Returns
    -------
    tuple of array_like
        Full resolution first; axes as the series has them, of native byte order.

    Raises
    ------
    ReadError
        Where the file ends before the pixels do, or a codec is missing.
    """
    levels = tiff.series[index].levels
    for series in levels:
        _check(tiff, series)
    arrays = [_memmap(tiff, series) for series in levels]
    return tuple(
        _dask(tiff, index, number, series) if array is None else array
        for number, (series, array) in enumerate(zip(levels, arrays, strict=True))
    )


def planes_missing(series: TiffPageSeries) -> int:
    """Count the planes that a description promises and the file does not hold."""
    return sum(page is None for page in series.pages)


def _memmap(tiff: OpenTiff, series: TiffPageSeries) -> Any:
    keyframe = series.keyframe
    dtype = np.dtype(tiff.file.byteorder + series.dtype.char)
    if series.is_multifile or series.dataoffset is None or series.transform is not None:
        return None
    if not keyframe.is_memmappable or not dtype.isnative:
        return None
    return np.memmap(tiff.path, dtype=dtype, mode="r", offset=series.dataoffset, shape=series.shape)


def _dask(tiff: OpenTiff, index: int, level: int, series: TiffPageSeries) -> Any:
    import dask.array as da
    from dask.base import tokenize

    source = Chunked(tiff, index, level, tuple(map(int, series.shape)), np.dtype(series.dtype))
    status = tiff.path.stat()
    token = tokenize(str(tiff.path.absolute()), status.st_mtime_ns, status.st_size, index, level)
    return da.from_array(  # type: ignore[no-untyped-call]
        source,
        chunks=_chunks(series),
        name=f"tiff-{token}",
        asarray=False,
        meta=np.empty((0,) * source.ndim, source.dtype),
    )


def _chunks(series: TiffPageSeries) -> tuple[int, ...]:
    """Give chunks of whole pages, or of as many tiles or strips as make about `TILE_PIXELS`."""
    page = series.keyframe
    inner = page.shape
    if page.is_tiled:
        factor = max(1, round(math.sqrt(TILE_PIXELS / (page.tilewidth * page.tilelength))))
        sizes = {"X": page.tilewidth * factor, "Y": page.tilelength * factor}
        inner = tuple(min(sizes.get(a, n), n) for a, n in zip(page.axes, inner, strict=True))
    elif _is_divided(page):
        factor = max(1, round(TILE_PIXELS / (page.imagewidth * page.rowsperstrip)))
        rows = page.rowsperstrip * factor
        inner = tuple(
            min(rows, n) if a == "Y" else n for a, n in zip(page.axes, inner, strict=True)
        )
    inner = inner[-len(series.shape) :]
    return (1,) * (len(series.shape) - len(inner)) + tuple(inner)


def _is_divided(page: TiffPage) -> bool:
    """Tell whether a page is read in parts: tiles always, strips of a page that is large."""
    return page.is_tiled or (len(page.dataoffsets) > 1 and page.nbytes > SMALL_CHUNK)


def _check_chain(file: TiffFile, path: Path) -> None:
    """Refuse a chain of pages that leads round: the library would follow it without end."""
    form, handle = file.tiff, file.filehandle
    handle.seek(4 if form.offsetsize == 4 else 8)
    (offset,) = struct.unpack(form.offsetformat, handle.read(form.offsetsize))
    seen: set[int] = set()
    while 0 < offset < handle.size:
        if offset in seen:
            raise ReadError(
                f"{path.name} lists its pages in a ring ({len(seen)} before it closes); its header "
                "seems damaged."
            )
        seen.add(offset)
        handle.seek(offset)
        (tags,) = struct.unpack(form.tagnoformat, handle.read(form.tagnosize))
        if tags > MOST_TAGS:
            return
        handle.seek(offset + form.tagnosize + tags * form.tagsize)
        raw = handle.read(form.offsetsize)
        if len(raw) < form.offsetsize:
            return
        (offset,) = struct.unpack(form.offsetformat, raw)


def _check(tiff: OpenTiff, series: TiffPageSeries) -> None:
    from tifffile import TIFF

    page = series.keyframe
    name = tiff.path.name
    if 0 in series.shape or page.dtype is None:
        raise ReadError(f"{name} holds an image without pixels; it seems damaged.")
    if page.compression not in TIFF.DECOMPRESSORS or page.predictor not in TIFF.UNPREDICTORS:
        raise ReadError(
            f"{name} is compressed in a way that needs another package; pip install imagecodecs."
        )
    whole = page.is_contiguous
    parts = 1 if whole else math.prod(page.chunked)
    for other in series.pages:
        if other is not None:
            _check_extent(name, other, parts, page.nbytes if whole else 0)
    _check_chunk(name, page)


def _check_extent(name: str, page: TiffPage | TiffFrame, parts: int, nbytes: int) -> None:
    """Refuse a plane that lists too few parts, or that ends after the file does."""
    listed = min(len(page.dataoffsets), len(page.databytecounts))
    if listed < parts:
        raise ReadError(
            f"{name} states {parts} tiles or strips for plane {page.index} and lists {listed}; its "
            "header seems damaged."
        )
    size = page.parent.filehandle.size
    ends = [o + n for o, n in zip(page.dataoffsets, page.databytecounts, strict=False) if n]
    end = max([*ends, page.dataoffsets[0] + nbytes] if nbytes else ends, default=0)
    if end > size:
        raise ReadError(
            f"{name} is truncated: plane {page.index} ends at byte {end}, the file at byte {size}; "
            "copy it again from where it was made."
        )


def _check_chunk(name: str, page: TiffPage) -> None:
    """Refuse a page whose stated size cannot come out of the bytes that it has."""
    shape = page.chunks if page.is_tiled else page.shape
    stated = math.prod(shape) * np.dtype(page.dtype).itemsize
    counts = [n for n in page.databytecounts if n]
    held = (max(counts, default=0) if page.is_tiled else sum(counts)) or 1
    possible = MOST_COMPRESSED if page.compression != 1 else 8
    if stated > max(SMALL_CHUNK, held * possible):
        raise ReadError(
            f"{name} states a plane of {stated} bytes but holds {held} bytes for it; its header "
            "seems damaged."
        )
