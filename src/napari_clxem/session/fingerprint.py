"""Recognising a file after it moved: its size, its head and sampled blocks, never all of it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

from napari_clxem.errors import ReadError
from napari_clxem.session.disk import why_unread

HEAD = 64 * 1024
BLOCK = 4 * 1024
SAMPLES = 32
# Of a folder of chunks (OME-Zarr): which files describe it, and how many entries are taken of each
# folder below, chunks in all.
_DESCRIBING = (".zattrs", "zarr.json")
ENTRIES, CHUNKS = 3, 256


def fingerprint(path: str | Path) -> tuple[int, str]:
    """Give the size of a file and a hash that tells it from others of that size.

    The first 64 KiB, the last 4 KiB and 32 blocks of 4 KiB spread evenly between are read: 196
    KiB of a file of any size. A folder that is an image is known by the file that describes it; of
    one in chunks (OME-Zarr), whose descriptions are often alike, names and sizes of some chunks
    count too: compressed, they tell contents apart.

    Returns
    -------
    tuple
        Size in bytes, and a BLAKE2b hash of size and samples (32 hexadecimal digits).

    Raises
    ------
    ReadError
        Where it is no file and no folder that is an image, or cannot be read.
    """
    from napari_clxem.io.opening import standing_file

    place = standing_file(path)
    try:
        with place.open("rb", buffering=0) as file:
            size = file.seek(0, 2)
            found = hashlib.blake2b(size.to_bytes(8, "little"), digest_size=16)
            for start, length in blocks(size):
                file.seek(start)
                found.update(file.read(length))
        if place.name in _DESCRIBING:
            for name, length in chunks(place.parent):
                found.update(f"{name} {length}\n".encode())
    except OSError as error:
        raise ReadError(f"{place} cannot be read: {why_unread(error)}.") from error
    return size, found.hexdigest()


def blocks(size: int) -> list[tuple[int, int]]:
    """Say which (start, length) of a file of `size` bytes are looked at."""
    if size <= HEAD + (SAMPLES + 1) * BLOCK:
        return [(0, size)]
    step = (size - HEAD - BLOCK) // SAMPLES
    return [(0, HEAD), *((HEAD + i * step, BLOCK) for i in range(SAMPLES)), (size - BLOCK, BLOCK)]


def chunks(folder: Path) -> list[tuple[str, int]]:
    """Give name and size of some files below a folder, spread over all of it, in order.

    Of every folder a few entries are looked at: the first, the last, and those between.
    """
    found: list[tuple[str, int]] = []
    for path in _spread(folder):
        found.append((path.relative_to(folder).as_posix(), path.stat().st_size))
        if len(found) == CHUNKS:
            break
    return found


def _spread(folder: Path) -> Iterator[Path]:
    entries = sorted(folder.iterdir())
    count = min(ENTRIES, len(entries))
    for number in range(count):
        entry = entries[number * (len(entries) - 1) // max(count - 1, 1)]
        if entry.is_dir() and not entry.is_symlink():
            yield from _spread(entry)
        elif entry.is_file():
            yield entry
