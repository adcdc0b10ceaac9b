"""Recognising a file after it moved: its size, its head and sampled blocks, never all of it."""

from __future__ import annotations

import hashlib
from pathlib import Path

from napari_clxem.errors import ReadError
from napari_clxem.session.disk import why_unread

HEAD = 64 * 1024
BLOCK = 4 * 1024
SAMPLES = 32


def fingerprint(path: str | Path) -> tuple[int, str]:
    """Give the size of a file and a hash that tells it from others of that size.

    The first 64 KiB, the last 4 KiB and 32 blocks of 4 KiB spread evenly between are read: 196
    KiB of a file of any size. A folder that is an image is known by the file that describes it.

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
    except OSError as error:
        raise ReadError(f"{place} cannot be read: {why_unread(error)}.") from error
    return size, found.hexdigest()


def blocks(size: int) -> list[tuple[int, int]]:
    """Say which (start, length) of a file of `size` bytes are looked at."""
    if size <= HEAD + (SAMPLES + 1) * BLOCK:
        return [(0, size)]
    step = (size - HEAD - BLOCK) // SAMPLES
    return [(0, HEAD), *((HEAD + i * step, BLOCK) for i in range(SAMPLES)), (size - BLOCK, BLOCK)]
