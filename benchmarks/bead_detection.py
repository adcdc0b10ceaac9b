"""How fast beads are found beside trackpy, and how many are missed.

``python -P benchmarks/bead_detection.py`` draws a confocal stack of 48 x 1024 x 1024 with cells in
the background and touching pairs among the beads, and times `detect` and `trackpy.locate` in
turn.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import numpy as np
from scipy.spatial import cKDTree

sys.path.append(str(Path(__file__).parent))  # with -P, which spares numba our coverage.py

from bead_scenes import cells, draw_volume, lattice

from napari_clxem.fiducials import detect
from napari_clxem.fiducials.compiling import warm

SPACING = (0.3, 0.1, 0.1)
SHAPE = (48, 1024, 1024)
PEAK, BACKGROUND, CELL = 300.0, 40.0, 60.0


def stack(
    seed: int, shape: tuple[int, int, int] = SHAPE
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Draw the stack; gives it, all places, and which of them belong to touching pairs."""
    rng = np.random.default_rng(seed)
    flat = lattice(rng, shape[1] * SPACING[1], 5.0, 2.5, jitter=1.2)
    pairs, parts = len(flat) // 10, shape[1] * shape[2] / 1024**2
    places = np.column_stack([rng.uniform(3, 11, len(flat)), flat])
    first = rng.choice(len(places), pairs, replace=False)
    angle = rng.uniform(0, 2 * np.pi, pairs)
    arm = np.column_stack([np.zeros(pairs), 1.05 * np.sin(angle), 1.05 * np.cos(angle)])
    paired = np.concatenate([np.isin(np.arange(len(places)), first), np.ones(pairs, bool)])
    places = np.vstack([places, places[first] + arm])
    level = BACKGROUND + CELL * cells(rng, shape, round(40 * parts), (12, 90, 90))
    level += PEAK * draw_volume(shape, SPACING, places, (1.0, 0.35))
    return rng.poisson(level).astype(np.uint16), places, paired


def rates(found: np.ndarray, places: np.ndarray, paired: np.ndarray) -> str:
    """Say how many places were found, and how many finds are none."""
    there, _ = cKDTree(found).query(places)
    here, _ = cKDTree(places).query(found)
    hit = there < 0.4
    return (
        f"recall {hit.mean():7.2%}  of pairs {hit[paired].mean():7.2%}  "
        f"false {(here > 0.4).sum()} of {len(found)}"
    )


def speed(seeds: int) -> None:
    """Print times side by side."""
    import trackpy

    warm(block=True)
    for seed in range(seeds):
        image, places, paired = stack(seed)
        ours, theirs, wall = [], [], []
        for _ in range(3):
            begin, cpu = time.perf_counter(), time.process_time()
            found = detect(image, SPACING)
            wall.append(time.perf_counter() - begin)
            ours.append(time.process_time() - cpu)
        begin, cpu = time.perf_counter(), time.process_time()
        features = trackpy.locate(image, (7, 11, 11))
        peer = time.perf_counter() - begin
        theirs.append(time.process_time() - cpu)
        other = features[["z", "y", "x"]].to_numpy() * SPACING
        print(f"seed {seed}: detect        {min(wall):6.2f} s ({min(ours):.2f} s of processor)  "
              f"{rates(found.positions, places, paired)}")  # fmt: skip
        print(f"        trackpy.locate{peer:7.2f} s ({min(theirs):.2f} s of processor)  "
              f"{rates(other, places, paired)}")  # fmt: skip
        print(f"        ratio {peer / min(wall):.1f} by the clock, "
              f"{min(theirs) / min(ours):.1f} by the processor")  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    speed(options.seeds)


if __name__ == "__main__":
    main()
