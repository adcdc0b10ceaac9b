"""The first slice of files larger than memory, against the libraries that map them.

    python benchmarks/io_large_files.py

Sparse files, 64 GB of MRC and 30 GB of OME-TIFF, are made in a temporary folder (their blocks take
no room); one section of each is filled with numbers. The ratio is the time of reading that section
once the file is open, here over mrcfile and tifffile: the median of many pairs of one of each. The
times are the best. Last, windows of a screen's size out of a montage of 100 pieces, as panning
reads them.
"""

from __future__ import annotations

import argparse
import resource
import struct
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mrcfile
import numpy as np
import tifffile

from napari_clxem.io import open_image

SIDE = 4096
GIGABYTE = 1 << 30


def make_mrc(path: Path, nbytes: int) -> int:
    """A sparse MRC of 16-bit sections; gives the number of the section that is filled."""
    count = nbytes // (2 * SIDE * SIDE)
    header = bytearray(1024)
    struct.pack_into("<4i", header, 0, SIDE, SIDE, count, 6)
    struct.pack_into("<3i", header, 28, SIDE, SIDE, count)
    struct.pack_into("<6f", header, 40, SIDE * 10, SIDE * 10, count * 10, 90, 90, 90)
    struct.pack_into("<3i", header, 64, 1, 2, 3)
    struct.pack_into("<i", header, 88, 1)
    header[208:216] = b"MAP DD\0\0"
    middle = count // 2
    with path.open("wb") as file:
        file.write(header)
        file.seek(1024 + middle * 2 * SIDE * SIDE)
        file.write(section().tobytes())
        file.truncate(1024 + count * 2 * SIDE * SIDE)
    return middle


def make_ome(path: Path, nbytes: int) -> int:
    """A sparse OME-TIFF whose pages lie one behind the other."""
    count = nbytes // (2 * SIDE * SIDE)
    empty = np.lib.stride_tricks.as_strided(np.zeros(1, "<u2"), (count, SIDE, SIDE), (0, 0, 0))
    axes = {"axes": "ZYX", "PhysicalSizeX": 0.01, "PhysicalSizeY": 0.01, "PhysicalSizeZ": 0.01}
    with tifffile.TiffWriter(path, bigtiff=True, ome=True) as file:
        file.write(shape=empty.shape, dtype="<u2", metadata=axes)
    with tifffile.TiffFile(path) as file:
        offset = file.series[0].dataoffset
    middle = count // 2
    with path.open("r+b") as file:
        file.seek(offset + middle * 2 * SIDE * SIDE)
        file.write(section().tobytes())
    return middle


def section() -> np.ndarray:
    return np.arange(SIDE * SIDE, dtype="<u2").reshape(SIDE, SIDE)


def mrc_peer(path: Path) -> Any:
    return mrcfile.mmap(path, mode="r", permissive=True).data


def tiff_peer(path: Path) -> Any:
    return tifffile.memmap(path, mode="r")


def seconds(data: Any, number: int) -> float:
    began = time.perf_counter()
    np.array(data[number])
    return time.perf_counter() - began


def grown(before: int) -> float:
    return (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024


def compare(name: str, path: Path, number: int, peer: Callable[[Path], Any], rounds: int) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began = time.perf_counter()
    image = open_image(path)
    opening = time.perf_counter() - began
    began = time.perf_counter()
    np.testing.assert_array_equal(np.array(image.data[number]), section())
    cold = time.perf_counter() - began
    memory = grown(before)
    mapped = peer(path)
    np.testing.assert_array_equal(np.array(mapped[number]), section())
    pairs = [(seconds(image.data, number), seconds(mapped, number)) for _ in range(rounds)]
    ours, theirs = np.array(pairs).T
    ratio = float(np.median(ours / theirs))
    size = path.stat().st_size / GIGABYTE
    held = path.stat().st_blocks * 512 / 2**20
    print(
        f"{name}: {size:.1f} GB (of which {held:.0f} MB on disk), opened in {opening:.3f} s, first "
        f"slice {cold * 1e3:.0f} ms, warm {ours.min() * 1e3:.1f} ms against "
        f"{theirs.min() * 1e3:.1f} ms, ratio {ratio:.2f}; memory grew by {memory:.0f} MB"
    )


def pan(folder: Path, rounds: int) -> None:
    """Read windows across a montage of 10 x 10 pieces of 2048 x 2048 pixels."""
    path = folder / "montage.mrc"
    side, count = 2048, 100
    header = bytearray(1024)
    struct.pack_into("<4i", header, 0, side, side, count, 6)
    struct.pack_into("<3i", header, 28, side, side, count)
    struct.pack_into("<6f", header, 40, side * 10, side * 10, count * 10, 90, 90, 90)
    header[208:216] = b"MAP DD\0\0"
    with path.open("wb") as file:
        file.write(header)
        file.truncate(1024 + count * 2 * side * side)
    sections = "".join(
        f"[ZValue = {i}]\nPieceCoordinates = {i // 10 * 1900} {i % 10 * 1900} 0\n"
        for i in range(count)
    )
    (folder / "montage.mrc.mdoc").write_text(f"ImageSize = {side} {side}\n{sections}")
    data = open_image(path).data
    rng = np.random.default_rng(0)
    times = []
    for _ in range(rounds):
        row, column = (int(rng.integers(n - 1080)) for n in data.shape)
        began = time.perf_counter()
        np.asarray(data[row : row + 1080, column : column + 1080])
        times.append(time.perf_counter() - began)
    print(
        f"montage of {data.shape[0]} x {data.shape[1]} pixels: a window of 1080 x 1080 in "
        f"{np.median(times) * 1e3:.0f} ms (median), {max(times) * 1e3:.0f} ms at worst"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=60)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        mrc, ome = folder / "a.mrc", folder / "a.ome.tif"
        filled = make_mrc(mrc, 64 * GIGABYTE)
        compare("MRC against mrcfile.mmap", mrc, filled, mrc_peer, options.rounds)
        filled = make_ome(ome, 30 * GIGABYTE)
        compare("OME-TIFF against tifffile.memmap", ome, filled, tiff_peer, options.rounds)
        pan(folder, options.rounds)


if __name__ == "__main__":
    main()
