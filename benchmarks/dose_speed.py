"""How fast doses are added up, against a plain numpy sum over tilts.

Both get the same 10 000 tilt series of 131 images on a 2 mm map of 2048 x 2048 pixels. The peer
goes through the footprints one by one, cuts the window each can reach, and counts the images
that hit every pixel of it; it runs over a share of the footprints and is scaled up.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import numpy as np

from napari_clxem.dose import Exposure, History, Replay, breakdown, cumulative_map

SIDE, WIDTH, RADIUS = 2048, 2000.0, 10.0
PIXEL = WIDTH / (SIDE - 1)
TILTS = np.arange(-65.0, 66.0)


def exposures(count: int) -> list[Exposure]:
    rng = np.random.default_rng(1)
    return [
        Exposure.tilt_series(
            modality="sxt",
            frame="map",
            aim=aim,
            beam_radius=RADIUS,
            tilts=TILTS,
            axis_azimuth=azimuth,
            dose_per_image=dose,
        )
        for aim, azimuth, dose in zip(
            rng.uniform(0, WIDTH, (count, 2)),
            rng.uniform(-90, 90, count),
            rng.uniform(0.1, 2, count),
            strict=True,
        )
    ]


def summed(found: list[Exposure]) -> np.ndarray:
    """Sum over tilts with numpy, windowed to each footprint."""
    raster = np.zeros((SIDE, SIDE))
    theta = np.deg2rad(TILTS)
    cosines = np.cos(theta)
    across = RADIUS / cosines.min()
    for one in found:
        phi = np.deg2rad(one.axis_azimuth)
        c, s = np.cos(phi), np.sin(phi)
        reach = np.hypot([across * s, across * c], [RADIUS * c, RADIUS * s])
        low = np.maximum(np.ceil((np.array(one.aim) - reach) / PIXEL).astype(int), 0)
        high = np.minimum(np.floor((np.array(one.aim) + reach) / PIXEL).astype(int) + 1, SIDE)
        y = np.arange(low[0], high[0])[:, None] * PIXEL - one.aim[0]
        x = np.arange(low[1], high[1])[None, :] * PIXEL - one.aim[1]
        u, v2 = x * c + y * s, (y * c - x * s) ** 2
        window = np.zeros(u.shape)
        for cosine in cosines:
            window += (u * cosine) ** 2 + v2 <= RADIUS**2 * (1 + 1e-9)
        raster[low[0] : high[0], low[1] : high[1]] += window * one.dose_per_image
    return raster


def best(function: Callable[[], object], times: int = 5) -> tuple[float, float]:
    """Shortest time by the clock and on all cores together, s."""
    clock, cores = [], []
    for _ in range(times):
        start = time.perf_counter(), time.process_time()
        function()
        clock.append(time.perf_counter() - start[0])
        cores.append(time.process_time() - start[1])
    return min(clock), min(cores)


def print_times(name: str, calls: list[Callable[[], object]]) -> None:
    """Print median and worst time of calls, by the clock and on all cores together."""
    took = np.array([best(call, 1) for call in calls]) * 1e3
    median, worst = np.median(took, axis=0), took.max(axis=0)
    print(
        f"{name}: median {median[0]:.2f}, worst {worst[0]:.2f} ms by the clock; "
        f"{median[1]:.2f} and {worst[1]:.2f} ms on cores"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=10_000, help="footprints")
    parser.add_argument("--peer", type=int, default=500, help="footprints that the peer adds up")
    options = parser.parse_args()
    found = exposures(options.count)
    few = found[: options.peer]
    start = time.perf_counter()
    raster = cumulative_map(few, (0, 0), (SIDE, SIDE), PIXEL)
    print(f"first call, compiled kernels read from disk: {time.perf_counter() - start:.2f} s")
    difference = np.abs(raster - summed(few)).max()
    print(f"largest difference of the two maps: {difference:.1e} MGy of {raster.max():.0f}")

    def ours() -> object:
        return cumulative_map(found, (0, 0), (SIDE, SIDE), PIXEL)

    scale = options.count / options.peer
    peer = tuple(value * scale for value in best(lambda: summed(few), 2))
    whole = best(ours)
    history = History(found)
    again = best(lambda: history.map((0, 0), (SIDE, SIDE), PIXEL))
    print(
        f"numpy sum over tilts, windowed: {peer[0]:6.2f} s by the clock, {peer[1]:6.2f} s on cores"
    )
    for name, took in (("cumulative_map", whole), ("map of a History made before", again)):
        print(
            f"{name:31} {took[0]:6.3f} s by the clock, {took[1]:6.3f} s on cores: "
            f"{peer[0] / took[0]:.0f} and {peer[1] / took[1]:.0f} times as fast"
        )

    rng = np.random.default_rng(2)
    points = rng.uniform(0, WIDTH, (200, 2))
    print_times("breakdown at a point", [lambda p=p: breakdown(history, p) for p in points])

    replay = Replay(history, (0, 0), (SIDE, SIDE), PIXEL)
    replay.upto(len(history))
    moments = rng.integers(0, len(history), 40).tolist()
    print_times("replay to any moment", [lambda n=n: replay.upto(n) for n in moments])


if __name__ == "__main__":
    main()
