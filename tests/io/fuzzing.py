"""Seeded damage to files, and a look at what comes of it."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from napari_clxem.io import (
    can_open,
    contrast_limits,
    describe,
    open_images,
    read_alignment,
    read_navigator,
)

SPECIAL = (0, 1, 0x7F, 0x80, 0xFF)
NUMBERS = (b"\xff\xff\xff\x7f", b"\xff\xff\xff\xff", b"\0\0\0\x80", b"\0\0\0\x40", b"\0\0\0\0")
WORDS = (
    b"-1",
    b"9" * 18,
    b"1e308",
    b"nan",
    b"../../x",
    b"/etc/passwd",
    b"\\..\\",
    b"&a;&a;",
    b'<!DOCTYPE a [<!ENTITY a "aa">]>',
    b"\0",
    b"%s%n",
)


def mutated(raw: bytes, rng: np.random.Generator) -> bytes:
    """Damage some bytes, swap or repeat pieces, cut the end off, or put in what is never right."""
    if not raw:
        return bytes(rng.integers(256, size=8, dtype=np.uint8))
    damaged = bytearray(raw)
    match rng.integers(9):
        case 0:
            return bytes(damaged[: rng.integers(len(raw))])
        case 1:
            length = int(rng.integers(1, 64))
            source, target = rng.integers(max(len(raw) - length, 1), size=2)
            damaged[target : target + length] = raw[source : source + length]
        case 2:
            digits = [i for i, byte in enumerate(raw[:65536]) if 48 <= byte <= 57]
            for place in rng.choice(digits, size=3) if digits else ():
                damaged[place] = int(rng.integers(45, 58))
        case 3:
            place = int(rng.integers(len(raw)))
            damaged[place:place] = WORDS[rng.integers(len(WORDS))]
        case 4:
            # a number of four bytes, where numbers lie
            place = int(rng.integers(max(len(raw) // 4, 1))) * 4
            damaged[place : place + 4] = NUMBERS[rng.integers(len(NUMBERS))]
        case 5:
            a, b = sorted(int(i) for i in rng.integers(len(raw), size=2))
            damaged = damaged[:a] + damaged[b:] if rng.random() < 0.5 else damaged[:b] + damaged[a:]
        case _:
            # headers of most formats lie within the first kilobytes
            limit = min(len(raw), int(rng.choice([64, 512, 4096, 1 << 20])))
            for place in rng.integers(limit, size=int(rng.integers(1, 9))):
                damaged[place] = int(
                    rng.choice(SPECIAL) if rng.random() < 0.6 else rng.integers(256)
                )
    return bytes(damaged)


def files_of(folder: Path) -> list[Path]:
    """Every file in a folder, in order."""
    return sorted(place for place in folder.rglob("*") if place.is_file())


def look_at(path: Path, whole: bool = True) -> None:
    """Open all images and read a block of each level; if `whole`, ask what is said of the file."""
    if path.suffix in (".aln", ".xf"):
        found = read_alignment(path)
        assert np.isfinite(found.matrices).all()
        return
    can_open(path)
    for image in open_images(path):
        for level in image.levels:
            block = np.asarray(level[tuple(slice(0, 3) for _ in level.shape)])
            assert block.ndim == len(image.axes)
        if whole:
            low, high = contrast_limits(image.levels)
            assert low < high
        assert image.scale is None or all(1e-5 <= value <= 1e4 for value in image.scale)
        assert len(image.channels) == dict(zip(image.axes, image.data.shape, strict=True)).get(
            "c", 1
        )
    if whole:
        describe(path)
    for place in path.parent.glob("*.nav"):
        read_navigator(place)


def peak() -> int:
    """Most memory that the process ever held, bytes; 0 where the system does not say."""
    try:
        import resource
    except ImportError:
        return 0
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
