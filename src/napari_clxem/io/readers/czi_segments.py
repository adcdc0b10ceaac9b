"""The segments of a Zeiss CZI file: where each block of pixels lies, and how it is packed.

ZISRAW: every segment begins with a name of 16 bytes and two lengths; little-endian throughout.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from napari_clxem.errors import ReadError
from napari_clxem.io.readers.planes import Plane, check_shape

_HEADER = 32
# Blocks, and dimensions of a block, that a file may have.
MOST_BLOCKS, MOST_AXES = 2_000_000, 40
LARGEST_XML = 256 * 1024 * 1024
# Pixel types: dtype and samples per pixel (blue, green, red).
TYPES = {
    0: ("<u1", 1),
    1: ("<u2", 1),
    2: ("<f4", 1),
    3: ("<u1", 3),
    4: ("<u2", 3),
    8: ("<f4", 3),
    12: ("<i4", 1),
}
_PLAIN, _JPEGXR, _ZSTD, _ZSTD_PACKED = 0, 4, 5, 6


@dataclass(frozen=True)
class Block:
    """One block of pixels: its type, packing, place in the file and on the axes.

    `start`, `size` and `stored` are by axis; a block stored smaller than its size belongs to a
    coarser level.
    """

    pixel_type: int
    compression: int
    position: int
    start: Mapping[str, int]
    size: Mapping[str, int]
    stored: Mapping[str, int]

    @property
    def is_full(self) -> bool:
        """Whether it is of full resolution."""
        return all(self.stored[axis] == self.size[axis] for axis in "YX")


@dataclass(frozen=True)
class Contents:
    """Blocks and XML of a file."""

    blocks: tuple[Block, ...]
    xml: str


def read_contents(path: Path) -> Contents:
    """List the blocks of a file, and give its XML.

    Raises
    ------
    ReadError
        Where a segment is not where it should be, or states what cannot be.
    """
    with path.open("rb") as file:
        head = _segment(file, 0, b"ZISRAWFILE", path, 512)
        directory, metadata = struct.unpack_from("<QQ", head, 52)
        xml = b""
        if metadata:
            text = _segment(file, metadata, b"ZISRAWMETADATA", path, 256)
            (length,) = struct.unpack_from("<I", text, 0)
            if length > min(LARGEST_XML, path.stat().st_size):
                raise ReadError(f"{path.name} is truncated: its XML needs {length} bytes.")
            xml = file.read(length)
        raw = _segment(file, directory, b"ZISRAWDIRECTORY", path, 128)
        (count,) = struct.unpack_from("<I", raw, 0)
        if count > min(MOST_BLOCKS, path.stat().st_size // _HEADER):
            raise ReadError(f"{path.name} states {count} blocks, more than it can hold.")
        blocks = tuple(_entry(file) for _ in range(count))
    return Contents(blocks, xml.decode("utf-8", "replace").strip("\0"))


def _segment(file: BinaryIO, position: int, name: bytes, path: Path, length: int) -> bytes:
    """Go to a segment, check its name, and give the beginning of what it holds."""
    if position > path.stat().st_size:
        raise ReadError(f"{path.name} ends before its {name.decode()} segment; copy it again.")
    file.seek(position)
    found = file.read(_HEADER)
    if found[:16].rstrip(b"\0") != name:
        raise ReadError(f"{path.name} has no {name.decode()} segment where it says; is it damaged?")
    data = file.read(length)
    if len(data) < min(length, 80):
        raise EOFError("a segment ends early")
    return data


def _entry(file: BinaryIO) -> Block:
    raw = file.read(_HEADER)
    if len(raw) < _HEADER or raw[:2] != b"DV":
        raise EOFError("the list of blocks is broken")
    pixel_type, position, _, compression = struct.unpack_from("<iqii", raw, 2)
    (count,) = struct.unpack_from("<i", raw, 28)
    if not 2 <= count <= MOST_AXES or position < 0:
        raise EOFError("a block is described in a way that cannot be")
    start, size, stored = {}, {}, {}
    for _ in range(count):
        name, first, length, _, kept = struct.unpack("<4siifi", file.read(20))
        axis = name.rstrip(b"\0 ").decode("latin-1")
        start[axis], size[axis], stored[axis] = first, length, kept or length
    if not {"X", "Y"} <= set(size):
        raise EOFError("a block has no rows or columns")
    return Block(pixel_type, compression, position, start, size, stored)


@dataclass(frozen=True)
class BlockPixels:
    """Gives the pixels of a block, (rows, columns) or with samples behind."""

    path: Path
    blocks: tuple[Block, ...]
    sample: int | None = None

    def __call__(self, number: int) -> Plane:
        """Read the block of a number."""
        found = block_pixels(self.path, self.blocks[number])
        return found if self.sample is None else found[..., self.sample]


def block_pixels(path: Path, block: Block) -> Plane:
    """Read and unpack a block.

    Raises
    ------
    ReadError
        Where its pixels are not there, or are packed in a way that is not read.
    """
    dtype, samples = TYPES[block.pixel_type]
    shape = (block.stored["Y"], block.stored["X"], *((samples,) if samples > 1 else ()))
    check_shape(path.name, shape[:2], np.dtype(dtype).itemsize * samples)
    entry = _HEADER + 20 * len(block.size)
    with path.open("rb") as file:
        head = _segment(file, block.position, b"ZISRAWSUBBLOCK", path, 16)
        metadata, _, length = struct.unpack_from("<IIQ", head, 0)
        start = block.position + _HEADER + max(256, 16 + entry) + metadata
        if start + length > path.stat().st_size:
            raise ReadError(f"{path.name} ends within a block; copy it again.")
        file.seek(start)
        raw = file.read(length)
    nbytes = math.prod(shape) * np.dtype(dtype).itemsize
    check_shape(path.name, shape[:2], np.dtype(dtype).itemsize * samples, max(length, 1))
    data = _unpacked(path, raw, block.compression, nbytes, np.dtype(dtype).itemsize)
    if isinstance(data, np.ndarray):
        if data.shape != shape:
            raise ReadError(f"{path.name}: a block unpacks to {data.shape} pixels, not {shape}.")
        # JPEG XR comes as red, green, blue already
        return data.astype(dtype, copy=False)
    found: Plane = np.frombuffer(data, dtype, math.prod(shape)).reshape(shape)
    return found[..., ::-1] if samples > 1 else found


def _unpacked(path: Path, raw: bytes, compression: int, nbytes: int, itemsize: int) -> Any:
    if compression == _PLAIN:
        return raw
    if compression == _ZSTD:
        return _zstd(raw, nbytes)
    if compression == _ZSTD_PACKED:
        head = raw[0] if raw else 0
        low_high = head >= 3 and bool(raw[2] & 1)
        data = _zstd(raw[head:], nbytes)
        if low_high and itemsize == 2:
            halves = np.frombuffer(data, "u1").reshape(2, -1)
            return np.ascontiguousarray(halves.T).tobytes()
        return data
    if compression == _JPEGXR:
        try:
            from imagecodecs import jpegxr_decode
        except ImportError as error:
            raise ReadError(
                f"{path.name} is compressed by JPEG XR, which needs another package; "
                'pip install "napari-clxem[codecs]".'
            ) from error
        return np.asarray(jpegxr_decode(raw))
    raise ReadError(
        f"{path.name} has blocks compressed in way {compression}, which is not read; export it "
        "without compression."
    )


def _zstd(raw: bytes, nbytes: int) -> bytes:
    """Unpack into exactly as many bytes as the pixels take, no more."""
    from numcodecs.zstd import Zstd

    out = np.empty(nbytes, "u1")
    Zstd().decode(raw, out)
    return out.tobytes()
