"""Zarr arrays as lazy arrays, with codecs that do nothing but decode."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from napari_clxem.errors import ReadError
from napari_clxem.io.guard import reading
from napari_clxem.io.readers.planes import forward, numbered

# A chunk is grown to about this many pixels in the plane, so that an image has few of them.
CHUNK_PIXELS = 1 << 22
# Chunks larger than this, or more of them than that, are no image's.
LARGEST_CHUNK, MOST_CHUNKS = 1 << 30, 4_000_000
# Codecs that only rearrange or decompress numbers: "pickle" would run what the file says.
CODECS = frozenset(
    {
        "adler32",
        "bitround",
        "blosc",
        "bytes",
        "bz2",
        "crc32",
        "crc32c",
        "delta",
        "endian",
        "fixedscaleoffset",
        "fletcher32",
        "gzip",
        "lz4",
        "lzma",
        "packbits",
        "sharding_indexed",
        "shuffle",
        "transpose",
        "zlib",
        "zstd",
    }
)


@dataclass(frozen=True)
class Level:
    """One array of a Zarr folder, read by basic slicing; what dask asks for chunks."""

    path: Path
    root: Path
    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    def __getitem__(self, key: Any) -> np.ndarray[Any, Any]:
        slices, turn = forward(key, self.shape)
        with reading(self.root):
            found = np.asarray(_opened(self.path)[slices], self.dtype)
        return found[turn][numbered(key, self.ndim)]


def _opened(path: Path) -> Any:
    import zarr

    return zarr.open_array(str(path), mode="r")


def level_array(path: Path, root: Path) -> Any:
    """Give an array of an image, lazily.

    Parameters
    ----------
    path : Path
        The folder of the array.
    root : Path
        That of the image, for messages.

    Raises
    ------
    ReadError
        Where it is missing, holds no numbers, states sizes that cannot be, or has a codec that
        does more than decode.
    """
    import dask.array as da
    from dask.base import tokenize

    if not path.is_dir():
        raise ReadError(f"{root.name} lacks its part {path.name!r}; copy it again.")
    array = _opened(path)
    shape, dtype = tuple(map(int, array.shape)), np.dtype(array.dtype)
    if dtype.kind not in "iufb":
        raise ReadError(f"{root.name}: {path.name} holds no numbers ({dtype}).")
    strange = {name for name in _codecs(array.metadata.to_dict()) if name not in CODECS}
    if strange:
        raise ReadError(
            f"{root.name} is coded with {', '.join(sorted(strange))}, which is not decoded here."
        )
    chunks = tuple(map(int, array.chunks))
    _check(root.name, shape, chunks, dtype.itemsize)
    native = dtype.newbyteorder("=")
    status = path.stat()
    token = tokenize(str(path.absolute()), status.st_mtime_ns, shape)
    return da.from_array(  # type: ignore[no-untyped-call]
        Level(path, root, shape, native),
        chunks=_grown(shape, chunks),
        name=f"zarr-{token}",
        asarray=False,
        fancy=False,
        meta=np.empty((0,) * len(shape), native),
    )


def _codecs(metadata: Any) -> list[str]:
    """Name every codec of an array, those within shards too."""
    found: list[str] = []
    if isinstance(metadata, list | tuple):
        for part in metadata:
            found += _codecs(part)
    if isinstance(metadata, dict):
        for key in ("codecs", "index_codecs", "filters", "compressor", "configuration"):
            found += _codecs(metadata.get(key))
        if "shape" not in metadata:
            name = metadata.get("id", metadata.get("name"))
            if isinstance(name, str):
                found.append(name.rpartition(".")[2].lower())
    return found


def _check(name: str, shape: tuple[int, ...], chunks: tuple[int, ...], itemsize: int) -> None:
    if not shape or min(shape) < 1 or min(chunks) < 1 or max(shape) >= 1 << 31:
        raise ReadError(f"{name} states an image of {shape} pixels, which cannot be.")
    if math.prod(min(c, n) for c, n in zip(chunks, shape, strict=True)) * itemsize > LARGEST_CHUNK:
        raise ReadError(
            f"{name} is stored in chunks of {chunks} pixels, more than {LARGEST_CHUNK >> 30} GB "
            "each; store it in smaller ones."
        )
    if math.prod(-(-n // c) for c, n in zip(chunks, shape, strict=True)) > MOST_CHUNKS:
        raise ReadError(f"{name} states {shape} pixels in chunks of {chunks}; it seems damaged.")


def _grown(shape: tuple[int, ...], chunks: tuple[int, ...]) -> tuple[int, ...]:
    """Take several chunks of a plane as one where they are small."""
    factor = max(1, round(math.sqrt(CHUNK_PIXELS / max(1, math.prod(chunks)))))
    return tuple(
        min(n, c * factor if i >= len(shape) - 2 else c)
        for i, (n, c) in enumerate(zip(shape, chunks, strict=True))
    )
