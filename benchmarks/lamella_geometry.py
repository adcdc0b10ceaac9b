"""Capture against Monte Carlo, overlap against voxel counting and against scipy, with times.

``python benchmarks/lamella_geometry.py`` draws 200 random captures with 10⁷ samples each and
1 000 random pairs of slab and box; the peer for overlap is scipy's half-space intersection with
the volume of its convex hull, timed in the same run.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
from scipy.optimize import linprog
from scipy.spatial import ConvexHull, HalfspaceIntersection, QhullError

from napari_clxem.lamella import Lamella, capture_probability, overlap, warm


def share_of_sphere(offset: np.ndarray, radius: float, half: float) -> np.ndarray:
    """Give the share of a sphere's volume between two planes, by its caps."""

    def cap(height: np.ndarray) -> np.ndarray:
        height = np.clip(height, 0, 2 * radius)
        return height**2 * (3 * radius - height) / (4 * radius**3)

    return cap(half - offset + radius) - cap(-half - offset + radius)


def captures(cases: int, samples: int, rng: np.random.Generator) -> None:
    worst, took, mc_took = np.zeros(3), [], []
    for _ in range(cases):
        lamella = Lamella(
            rng.normal(size=3),
            angle=rng.uniform(0, 40),
            azimuth=rng.uniform(-180, 180),
            thickness=rng.uniform(0.1, 0.6),
            damage=rng.choice([0.0, 0.03, 0.06]),
        )
        spread = rng.normal(size=(3, 3)) * rng.uniform(0.02, 0.4)
        target = np.array(lamella.centre) + rng.normal(size=3) * rng.uniform(0, 0.5)
        radius, covariance = rng.uniform(0.02, 0.8), spread @ spread.T
        began = time.perf_counter()
        found = capture_probability(lamella, target, radius=radius, covariance=covariance)
        took.append(time.perf_counter() - began)
        began = time.perf_counter()
        # the error of the position is drawn in space, not along the normal
        offset = float(lamella.normal @ (target - lamella.centre))
        sums = np.zeros(3)
        for _ in range(10):
            error = rng.standard_normal((samples // 10, 3)) @ (spread.T @ lamella.normal)
            distance = offset + error
            half = lamella.core / 2
            sums += [
                (np.abs(distance) <= half).mean(),
                (np.abs(distance) <= half - radius).mean(),
                share_of_sphere(distance, radius, half).mean(),
            ]
        mc_took.append(time.perf_counter() - began)
        miss = np.abs(sums / 10 - [found.centre, found.whole, found.volume_fraction])
        worst = np.maximum(worst, miss)
    print(f"capture, {cases} random cases of {samples:.0e} samples each")
    for name, value in zip(("centre", "whole", "volume"), worst, strict=True):
        print(f"  {name:8s} worst difference {value:.4%} (Monte Carlo's own sd to 0.016 %)")
    print(
        f"  {np.median(took) * 1e3:.2f} ms a capture (median), worst {max(took) * 1e3:.2f} ms; "
        f"Monte Carlo takes {np.median(mc_took) / np.median(took):.0f} times as long"
    )


def by_scipy(lamella: Lamella, box: np.ndarray) -> float:
    """Intersect half-spaces by qhull; its inner point by linear programming."""
    axes = lamella.axes
    sizes = np.array([lamella.thickness, lamella.length, lamella.width]) / 2
    middle = axes @ lamella.centre
    normals = np.vstack([axes, -axes, np.eye(3), -np.eye(3)])
    offsets = np.concatenate([middle + sizes, sizes - middle, box[1], -box[0]])
    found = linprog(
        [0, 0, 0, -1],
        A_ub=np.column_stack([normals, np.ones(12)]),
        b_ub=offsets,
        bounds=[(None, None)] * 3 + [(0, None)],
    )
    if not found.success or found.x[3] < 1e-9:
        return 0.0
    halves = np.column_stack([normals, -offsets])
    try:
        return float(ConvexHull(HalfspaceIntersection(halves, found.x[:3]).intersections).volume)
    except QhullError:
        return 0.0


def overlaps(pairs: int, side: int, rng: np.random.Generator) -> None:
    misses, differences, took, peer = [], [], [], []
    cells = np.stack(np.meshgrid(*[np.arange(side)] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    warm()
    for _ in range(pairs):
        lamella = Lamella(
            rng.normal(0, 1, 3),
            angle=rng.uniform(0, 60),
            azimuth=rng.uniform(-180, 180),
            thickness=rng.uniform(0.1, 3),
            width=rng.uniform(1, 8),
            length=rng.uniform(1, 8),
        )
        middle, half = rng.normal(0, 1.5, 3), rng.uniform(0.5, 4, 3)
        box = np.array([middle - half, middle + half])
        began = time.perf_counter()
        found = overlap(lamella, box)
        took.append(time.perf_counter() - began)
        began = time.perf_counter()
        other = by_scipy(lamella, box)
        peer.append(time.perf_counter() - began)
        differences.append(abs(found.volume - other) / lamella.volume)
        points = box[0] + (cells + rng.uniform(size=cells.shape)) / side * (2 * half)
        share, volume = lamella.contains(points).mean(), np.prod(2 * half)
        error = np.sqrt(max(share * (1 - share), 1 / len(points)) / len(points))
        misses.append((found.volume / volume - share) / error)
    misses = np.array(misses)
    print(f"overlap, {pairs} random pairs of slab and box; voxel counting with {side}³ voxels")
    print(
        f"  difference over the error of counting: mean {misses.mean():+.3f}, rms "
        f"{np.sqrt((misses**2).mean()):.2f}, largest {np.abs(misses).max():.2f}"
    )
    print(f"  largest difference from scipy: {max(differences):.1e} of the slab's volume")
    print(
        f"  {np.median(took) * 1e3:.2f} ms an overlap, 2D and 3D (median), 95 % under "
        f"{np.quantile(took, 0.95) * 1e3:.2f} ms; scipy's volume alone "
        f"{np.median(peer) * 1e3:.2f} ms: {np.median(peer) / np.median(took):.1f} times"
    )
    lamella, box = Lamella((0, 0.3, 0), 10.0), ((-3, -6, -6), (3, 6.5, 6.5))
    took = []
    for _ in range(300):
        began = time.perf_counter()
        overlap(lamella, box, covariance=0.05 * np.eye(3))
        took.append(time.perf_counter() - began)
    print(f"  {np.median(took) * 1e3:.2f} ms with the interval from registration (median)")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", type=int, default=200)
    parser.add_argument("--samples", type=int, default=10_000_000)
    parser.add_argument("--pairs", type=int, default=1000)
    parser.add_argument("--side", type=int, default=32)
    options = parser.parse_args()
    rng = np.random.default_rng(31)
    overlaps(options.pairs, options.side, rng)
    captures(options.cases, options.samples, rng)


if __name__ == "__main__":
    main()
