"""Time and memory of `fsc` against the two Fourier transforms it needs, and a numpy version.

``python benchmarks/xray_fsc.py --size 512`` runs all three on one pair in one run; the transforms
alone are `scipy.fft.rfftn` in single precision on all cores, as `fsc` uses them.
"""

from __future__ import annotations

import argparse
import os
import resource
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from scipy import fft

from napari_clxem.xray import fsc


def numpy_fsc(one: np.ndarray, two: np.ndarray) -> np.ndarray:
    """Correlate shells the plain way."""
    a, b = np.fft.rfftn(one), np.fft.rfftn(two)
    axes = [np.fft.fftfreq(n) * n for n in one.shape[:2]] + [
        np.fft.rfftfreq(one.shape[2]) * one.shape[2]
    ]
    shell = np.sqrt(axes[0][:, None, None] ** 2 + axes[1][:, None] ** 2 + axes[2][None, None] ** 2)
    index = (shell + 0.5).astype(int).ravel()
    weight = np.full(a.shape[2], 2.0)
    weight[0] = weight[-1] = 1.0
    sums = [
        np.bincount(index, (part * weight).ravel())
        for part in ((a * b.conj()).real, np.abs(a) ** 2, np.abs(b) ** 2)
    ]
    return (sums[0] / np.sqrt(sums[1] * sums[2]))[: one.shape[0] // 2 + 1]


def timed(function: Callable[[], Any], repeats: int) -> tuple[float, Any]:
    """Give the least time and the last result."""
    times = []
    for _ in range(repeats):
        began = time.perf_counter()
        result = function()
        times.append(time.perf_counter() - began)
    return min(times), result


def peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--no-numpy", action="store_true")
    options = parser.parse_args()
    n = options.size
    rng = np.random.default_rng(0)
    one = rng.standard_normal((n, n, n), dtype=np.float32)
    two = one + rng.standard_normal((n, n, n), dtype=np.float32)
    small = one[:64, :64, :64]
    fsc(small, two[:64, :64, :64], 0.01)  # compile
    before = peak()

    def transforms() -> int:
        return len([fft.rfftn(half, workers=-1) for half in (one, two)])

    times = []
    for _ in range(options.repeats):  # by turns, since other work on the machine comes and goes
        spent = time.process_time()
        took, curve = timed(lambda: fsc(one, two, 0.01), 1)
        between = time.process_time()
        beside = timed(transforms, 1)[0]
        times.append((took, beside, between - spent, time.process_time() - between))
    after = peak()
    ours, alone, busy, busy_alone = (min(each) for each in zip(*times, strict=True))
    print(
        f"{n}³ pair: fsc {ours:.2f} s, its two transforms {alone:.2f} s, ratio {ours / alone:.2f}; "
        f"processor {busy:.2f} s and {busy_alone:.2f} s, ratio {busy / busy_alone:.2f}"
    )
    print(f"load of the machine {os.getloadavg()[0]:.1f}")
    print(f"peak memory {before:.2f} GB with the pair loaded, {after:.2f} GB with fsc")
    if not options.no_numpy:
        plain, expected = timed(lambda: numpy_fsc(one, two), 1)
        valid = np.isfinite(curve.correlation)
        off = np.abs(curve.correlation - expected)[valid].max()
        print(f"plain numpy {plain:.2f} s ({plain / ours:.1f} times as long), {peak():.2f} GB")
        print(f"greatest difference of the curves {off:.1e}")


if __name__ == "__main__":
    main()
