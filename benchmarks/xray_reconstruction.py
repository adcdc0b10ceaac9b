"""SART here against scikit-image's `iradon_sart`: the same slices, passes and tilts, in one run.

``python benchmarks/xray_reconstruction.py`` prints time per slice and pass and rms to the phantom;
``--volume 512`` reconstructs so many slices from a file into a file instead, and prints memory.
Data are exact line integrals of ellipses, so that neither program meets its own projector. The
relaxation here is 2.43 times scikit-image's, which acts alike (see the docs of `reconstruct`).
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from pathlib import Path

import numpy as np
from skimage.transform import iradon_sart

from napari_clxem.xray import reconstruct

# Mean of the Hamming window along a ray over the mean square of its weights, as derived from
# scikit-image's update: deviation / Σ w², spread with a window whose mean is 0.54.
LIKE = 0.54 / 0.222
# value, semi-axes, centre (rows, columns) as shares of the half width, turn in degrees
ELLIPSES = (
    (1.0, (0.80, 0.72), (0.0, 0.0), 0.0),
    (-0.6, (0.70, 0.64), (0.02, 0.0), 0.0),
    (0.3, (0.18, 0.26), (0.1, -0.3), 25.0),
    (-0.2, (0.28, 0.12), (-0.2, 0.28), -15.0),
    (0.8, (0.05, 0.05), (0.35, 0.1), 0.0),
    (0.8, (0.03, 0.03), (-0.4, -0.1), 0.0),
    (0.8, (0.02, 0.04), (-0.05, 0.05), 0.0),
)


def phantom(n: int, tilts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Give a slice (n, n), averaged over pixels, and its exact projections (tilts, n).

    The axis is at pixel n // 2 of both, as scikit-image has it; a point (row, column) from it
    falls at ``column cos - row sin``.
    """
    fine = 4
    at = (np.arange(n * fine) + 0.5) / fine - 0.5 - n // 2
    rows, columns = at[:, None], at[None]
    image = np.zeros((n * fine, n * fine), np.float32)
    shares = (np.arange(4) - 1.5) / 4
    detector = (np.arange(n)[:, None] + shares[None] - n // 2).ravel()
    data = np.zeros((len(tilts), n))
    for value, (a, b), (row, column), turn in ELLIPSES:
        a, b, row, column = (v * n / 2 for v in (a, b, row, column))
        t = np.radians(turn)
        u = (rows - row) * np.cos(t) + (columns - column) * np.sin(t)
        v = (columns - column) * np.cos(t) - (rows - row) * np.sin(t)
        image[(u / a) ** 2 + (v / b) ** 2 <= 1] += value
        for index, angle in enumerate(np.radians(tilts)):
            # direction across the rays in the ellipse's own axes
            across = (-np.sin(angle) * np.cos(t) + np.cos(angle) * np.sin(t)) ** 2 * a**2 + (
                np.cos(angle) * np.cos(t) + np.sin(angle) * np.sin(t)
            ) ** 2 * b**2
            away = detector - (column * np.cos(angle) - row * np.sin(angle))
            inside = np.maximum(across - away**2, 0.0)
            chord = 2 * value * a * b * np.sqrt(inside) / across
            data[index] += chord.reshape(n, 4).mean(axis=1)
    return image.reshape(n, fine, n, fine).mean(axis=(1, 3)), data


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--slices", type=int, default=32)
    parser.add_argument("--passes", type=int, default=5)
    parser.add_argument("--relaxation", type=float, default=0.15, help="scikit-image's")
    parser.add_argument("--noise", type=float, default=0.0, help="sd over greatest projection")
    parser.add_argument("--volume", type=int, help="slices of a volume from file to file")
    parser.add_argument("--memory", type=float, default=0.2, help="GB allowed for the volume")
    options = parser.parse_args()
    if options.volume:
        volume(options.volume, options.size, options.memory)
        return
    tilts = np.arange(-70.0, 71.0, 2.0)
    truth, data = phantom(options.size, tilts)
    rng = np.random.default_rng(0)
    data = (data + options.noise * data.max() * rng.normal(size=data.shape)).astype(np.float32)
    print(f"{len(tilts)} tilts, {options.size}², {options.passes} passes, noise {options.noise:g}")

    began, spent = time.perf_counter(), time.process_time()
    theirs = None
    for _ in range(options.passes):
        theirs = iradon_sart(
            np.ascontiguousarray(data.T), tilts, image=theirs, relaxation=options.relaxation
        )
    peer = (time.perf_counter() - began) / options.passes
    peer_cpu = (time.process_time() - spent) / options.passes

    def ours(slices: int, workers: int | None) -> tuple[np.ndarray, float, float]:
        series = np.repeat(data[:, None], slices, axis=1)
        n = options.size
        times = []
        for _ in range(2):  # the first may compile
            began, spent = time.perf_counter(), time.process_time()
            found = reconstruct(
                series,
                -tilts,
                1.0,
                iterations=options.passes,
                relaxation=LIKE * options.relaxation,
                thickness=2 * (n // 2) + 1,
                axis=float(n // 2),
                support="cylinder",
                workers=workers,
            )
            took = (time.perf_counter() - began, time.process_time() - spent)
            times.append([one / options.passes / slices for one in took])
        return found.data[:n, 0], *times[-1]

    print(
        f"scikit-image       {peer * 1e3:8.1f} ms per slice and pass ({peer_cpu * 1e3:.1f} of "
        f"processor), rms {rms(theirs, truth):.4f}"
    )
    for slices, workers in ((options.slices, None), (options.slices, 1), (1, 1)):
        slice_, each, cpu = ours(slices, workers)
        cores = "all cores" if workers is None else "one core"
        print(
            f"here, {slices:3d} slices   {each * 1e3:6.1f} ms per slice and pass on {cores} "
            f"({cpu * 1e3:.1f} of processor), rms {rms(slice_, truth):.4f}, "
            f"{peer / each:.1f} times as fast by the clock, {peer_cpu / cpu:.1f} by the processor"
        )
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    print(f"peak memory of all this {peak:.2f} GB")


def volume(slices: int, size: int, memory: float) -> None:
    """Reconstruct a volume in one pass, both ends on disk, and print what memory it took."""
    tilts = np.arange(-70.0, 71.0, 2.0)
    rng = np.random.default_rng(0)
    reconstruct(np.ones((len(tilts), 2, 32), np.float32), tilts, 1.0, iterations=1)  # compile
    with tempfile.TemporaryDirectory() as folder:
        shape = (len(tilts), slices, size)
        series = np.lib.format.open_memmap(f"{folder}/series.npy", "w+", np.float32, shape)
        for image in series:
            image[:] = rng.random((slices, size), dtype=np.float32)
        whole = (size, slices, size)
        out = np.lib.format.open_memmap(f"{folder}/out.npy", "w+", np.float32, whole)
        heap = anonymous()
        seen = [heap]
        began, spent = time.perf_counter(), time.process_time()
        reconstruct(
            series,
            tilts,
            1.0,
            iterations=1,
            out=out,
            memory=memory,
            progress=lambda _share, _text: seen.append(anonymous()),
        )
        took, used = time.perf_counter() - began, time.process_time() - spent
    print(
        f"{slices} slices of {size}², one pass: {took:.1f} s, {used:.1f} s of processor; working "
        f"memory {max(seen) - heap:.2f} GB of {memory:g} GB allowed (tomogram "
        f"{4 * np.prod(whole) / 1e9:.2f} GB, series {4 * np.prod(shape) / 1e9:.2f} GB on disk)"
    )


def anonymous() -> float:
    """Give the memory of this process that no file stands behind, GB (Linux)."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return float(next(line.split()[1] for line in lines if line.startswith("RssAnon"))) / 1e6


def rms(slice_: np.ndarray, truth: np.ndarray) -> float:
    return float(np.sqrt(((slice_ - truth) ** 2).mean()))


if __name__ == "__main__":
    main()
