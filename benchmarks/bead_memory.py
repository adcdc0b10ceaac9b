"""How much memory it takes to find the beads of a stack that does not fit in it.

``python -P benchmarks/bead_memory.py`` searches a confocal stack of 16 GB that dask makes as it is
read, with cells and as many beads as the stack of ``bead_detection.py`` has to the volume, and
prints how far the peak of the resident memory rose. ``--sparse`` leaves beads and cells in one
tile of nine only.
"""

from __future__ import annotations

import argparse
import resource
import sys
import time
from pathlib import Path

import dask.array as da
import numpy as np

sys.path.append(str(Path(__file__).parent))  # with -P, which spares numba our coverage.py

from bead_detection import BACKGROUND, SPACING, stack

from napari_clxem.fiducials import detect, warm

TILE = 512
DEPTH = 192


def lazy(tile: np.ndarray, gigabytes: float, sparse: bool) -> tuple[da.Array, int]:
    """Give a stack made of a tile (48, 512, 512) over and over, and how often it is there."""
    empty = np.random.default_rng(0).poisson(BACKGROUND, tile.shape).astype(np.uint16)
    side = round((gigabytes * 1e9 / 2 / DEPTH) ** 0.5 / TILE)

    def bare(place: tuple[int, ...]) -> bool:
        return sparse and (place[1] % 3, place[2] % 3) != (1, 1)

    def make(block_info: dict | None = None) -> np.ndarray:
        place = block_info[None]["chunk-location"]
        return np.tile(empty if bare(place) else tile, (DEPTH // len(tile), 1, 1))

    image = da.map_blocks(
        make, chunks=((DEPTH,), (TILE,) * side, (TILE,) * side), dtype=np.uint16,
        meta=np.empty((0,) * 3, np.uint16),
    )  # fmt: skip
    full = sum(not bare((0, i, j)) for i in range(side) for j in range(side))
    return image, full * (DEPTH // len(tile))


def peak() -> float:
    """Most memory that this process has had in use, GB."""
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return used / (1e9 if sys.platform == "darwin" else 1e6)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--gigabytes", type=float, default=16.0)
    parser.add_argument("--sparse", action="store_true")
    options = parser.parse_args()
    warm(block=True)
    tile, places, _ = stack(0, (48, TILE, TILE))
    image, tiles = lazy(tile, options.gigabytes, options.sparse)
    before, begin, cpu = peak(), time.perf_counter(), time.process_time()

    def told(share: float, text: str) -> None:
        print(f"\r{share:4.0%} {text[:40]:40s} {peak():.2f} GB", end="", file=sys.stderr)

    found = detect(image, SPACING, progress=told)
    print(file=sys.stderr)
    print(
        f"{image.nbytes / 1e9:.1f} GB as {image.shape}: {len(found)} beads of "
        f"{tiles * len(places)} and {len(found.rejected)} rejected in "
        f"{time.perf_counter() - begin:.0f} s ({time.process_time() - cpu:.0f} s of processor); "
        f"peak of the resident memory {before:.2f} GB before, {peak():.2f} GB after: "
        f"grew by {peak() - before:.2f} GB"
    )


if __name__ == "__main__":
    main()
