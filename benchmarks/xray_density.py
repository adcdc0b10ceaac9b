"""Mass of iron oxide in phantoms of known mass at the geometry of Conesa et al. 2016.

Tilts from -70 to 70 degrees by 2, pixels of 14.44 nm, 4.6e10 photons per second on 14.2 x 14.1 µm²
for 1 s an image: 4.8e4 photons on a pixel, of which a tenth is taken to be detected. The contrast
is that of the Henke tables, 1.1e4 cm²/g: a white line would make everything easier.

``python benchmarks/xray_density.py`` prints totals, the bias per cluster size, measured false and
found rates at the claimed limits, and what injected failures do. ``--csv FILE`` writes the
clusters, from which docs/pictures_sxt.py draws.
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

import numpy as np
from scipy.signal import fftconvolve

from napari_clxem.xray import (
    DECISION,
    DETECTION,
    Contrast,
    Density,
    Wedge,
    calibrate_wedge,
    check_flats,
    density,
    difference,
    fit_scale,
    normalise,
    project,
    reconstruct,
)
from napari_clxem.xray.noise import ball
from napari_clxem.xray.phantom import photograph, spheres

PIXEL = 0.01444
TILTS = np.arange(-70.0, 71.0, 2.0)
SHAPE = (128, 96, 192)
PHOTONS = 4.6e10 / (14.2 * 14.1) * PIXEL**2 * 0.1
ATTENUATION = (4973.0, 15950.0)
SCALE = 0.969
DIAMETERS = np.array([4, 5, 6, 8, 10, 12, 14, 16]) * PIXEL


def scatter(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Give centres (µm) that keep 20 pixels apart, and densities."""
    centres: list[np.ndarray] = []
    while len(centres) < len(DIAMETERS):
        place = rng.uniform((40, 14, 40), (88, 82, 152))
        if all(np.hypot(*(place - c)[[0, 2]]) > 24 or abs(place - c)[1] > 20 for c in centres):
            centres.append(place)
    return np.array(centres) * PIXEL, rng.uniform(0.8, 1.6, len(DIAMETERS))


def series(rng: np.random.Generator, centres: np.ndarray, values: np.ndarray, failure: str = ""):
    """Give optical density at both energies."""
    iron = spheres(SHAPE, centres, DIAMETERS, values, PIXEL)
    cell = spheres(SHAPE, np.array([[64, 48, 96]]) * PIXEL, 1.3, 0.96, PIXEL)
    low, high = photograph(iron, cell, TILTS, PIXEL, ATTENUATION, SCALE, PHOTONS, 0.4, rng)
    flat = np.full(SHAPE[1:], PHOTONS)
    wrong = flat.copy()
    if failure == "flats off by 5 % across":
        wrong = flat * (1 + 0.05 * np.linspace(-0.5, 0.5, SHAPE[2]))
    if failure == "pair misaligned by 2 px rms":
        high = np.array([np.roll(h, rng.integers(-3, 4, 2), (0, 1)) for h in high])
    if failure == "axis off by 3 px":
        low, high = np.roll(low, 3, 2), np.roll(high, 3, 2)
    if failure == "beam current 3 % wrong":
        high = high * 1.03
    return (
        normalise(low * PHOTONS, flat).optical_density,
        normalise(high * PHOTONS, wrong).optical_density,
    )


def analysed(low: np.ndarray, high: np.ndarray, wedge: Wedge) -> Density:
    scale = fit_scale(low, high)[0]
    change = difference(low, high, scale)
    volume = reconstruct(change, TILTS, PIXEL, thickness=SHAPE[0]).data
    contrast = Contrast(ATTENUATION[1] - scale * ATTENUATION[0], "phantom")
    return density(
        volume,
        None,
        PIXEL,
        contrast,
        scale=scale,
        wedge=wedge,
        projection=change[len(TILTS) // 2],
    )


def matched(found: Density, centres: np.ndarray) -> list[int | None]:
    """Give for each true place the cluster that lies there."""
    where = []
    for centre in centres:
        away = [np.linalg.norm(np.subtract(c.centre, centre)) for c in found.clusters]
        best = int(np.argmin(away)) if away else None
        where.append(best if best is not None and away[best] < 3 * PIXEL else None)
    return where


def rates(wedge: Wedge, rng: np.random.Generator, size: float) -> tuple[float, list[bool]]:
    """Measure false and found rates at the limits claimed for one size.

    Spheres of just the detection limit stand on a grid of one volume, the same noise without them
    is in another.
    """
    empty = np.zeros(SHAPE, np.float32)
    noise = rng.normal(0, 0.03, (len(TILTS), SHAPE[1], SHAPE[2])).astype(np.float32)
    blank = density(
        reconstruct(noise, TILTS, PIXEL, thickness=SHAPE[0]).data,
        None,
        PIXEL,
        Contrast(1e4, "phantom"),
        wedge=wedge,
    )
    index = int(np.argmin(np.abs(blank.limits.diameters - size)))
    diameter = float(blank.limits.diameters[index])
    # far apart in every slice, so that their streaks do not meet
    deep = int(np.ceil(diameter / PIXEL)) + 3
    grid = np.array(
        [
            (z, y, 40 + (37 * turn + 61 * side) % 112)
            for turn, y in enumerate(range(10, 86, deep))
            for side, z in enumerate((34, 94))
        ]
    )
    value = float(blank.limits.detection[index])
    if index == 0:  # one voxel, looked at by itself
        truth, kernel = empty.copy(), np.ones((1, 1, 1), np.float32)
        truth[tuple(grid.T)] = value
    else:
        truth = spheres(SHAPE, grid * PIXEL, diameter, value, PIXEL)
        kernel = ball(diameter, np.full(3, PIXEL)).astype(np.float32)
    shown = reconstruct(noise + project(truth, TILTS, PIXEL), TILTS, PIXEL, thickness=SHAPE[0]).data
    means = [
        fftconvolve(v - blank.offset, kernel, mode="same")
        for v in (blank.data + blank.offset, shown)
    ]
    limit = float(blank.limits.decision[index])
    # of whole objects only
    inner = tuple(slice(k // 2, n - k // 2) for k, n in zip(kernel.shape, SHAPE, strict=True))
    hits = (means[1][tuple(grid.T)] > limit).tolist()
    return float((means[0][inner] > limit).mean()), hits


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--phantoms", type=int, default=6)
    parser.add_argument("--rates", type=int, default=8, help="noises for the rates")
    parser.add_argument("--csv", type=Path)
    options = parser.parse_args()
    wedge = calibrate_wedge(TILTS, PIXEL, shape=(SHAPE[0], SHAPE[2]))
    print(f"{PHOTONS:.0f} detected photons per pixel; wedge factor by size (px):")
    for size, factor in zip(wedge.diameters / PIXEL, wedge.factor, strict=True):
        print(f"  {size:5.2f}: {factor:.2f}")
    rows, totals, projections, spurious, missed, alarms = [], [], [], 0, 0, 0
    for seed in range(options.phantoms):
        rng = np.random.default_rng(seed)
        centres, values = scatter(rng)
        masses = values * np.pi / 6 * DIAMETERS**3
        given = series(rng, centres, values)
        found = analysed(*given, wedge)
        alarms += len(check_flats(*given, TILTS).notes)
        totals.append((found.total.value / masses.sum(), found.total.sd / masses.sum()))
        projections.append(found.projection.value / masses.sum())
        where = matched(found, centres)
        spurious += len(found.clusters) - sum(w is not None for w in where)
        missed += sum(w is None for w in where)
        for at, size, value, mass in zip(where, DIAMETERS, values, masses, strict=True):
            if at is not None:
                c = found.clusters[at]
                rows.append(
                    (
                        size / PIXEL,
                        c.mass.value / mass,
                        c.mass.sd / mass,
                        c.density / value,
                        c.diameter / size,
                    )
                )
    table = np.array(rows)
    total = np.array(totals)
    print(f"total mass over truth, {options.phantoms} phantoms: {total[:, 0].round(3).tolist()}")
    print(f"  mean {total[:, 0].mean():.3f}, greatest error {np.abs(total[:, 0] - 1).max():.1%}")
    print(f"projection over truth: {np.round(projections, 3).tolist()}")
    print(f"clusters: {len(rows)} found, {missed} missed, {spurious} false")
    print(f"false alarms about the flats: {alarms} in {options.phantoms} phantoms")
    inside = np.abs(table[:, 1] - 1) < 1.96 * table[:, 2]
    print(f"95 % intervals of cluster masses that hold the truth: {inside.mean():.0%}")
    print("size px   mass/truth (sd)   density/truth   diameter/truth")
    for size in np.unique(table[:, 0]):
        part = table[table[:, 0] == size]
        print(
            f"{size:6.0f}   {part[:, 1].mean():8.3f} ({part[:, 1].std():.3f})"
            f" {part[:, 3].mean():12.3f} {part[:, 4].mean():15.3f}"
        )
    for size in (1, 3, 5, 8):
        found = [
            rates(wedge, np.random.default_rng(100 * turn + size), size * PIXEL)
            for turn in range(options.rates)
        ]
        false = float(np.mean([one for one, _ in found]))
        hits = [one for _, several in found for one in several]
        print(
            f"objects of {size} px: {false:.4f} false above {DECISION} sd (claimed 0.001), "
            f"{np.mean(hits):.4f} of {len(hits)} found at {DETECTION} sd (claimed 0.999)",
            flush=True,
        )
    rng = np.random.default_rng(0)
    centres, values = scatter(rng)
    masses = values * np.pi / 6 * DIAMETERS**3
    for failure in (
        "",
        "flats off by 5 % across",
        "pair misaligned by 2 px rms",
        "axis off by 3 px",
        "beam current 3 % wrong",
    ):
        given = series(np.random.default_rng(0), centres, values, failure)
        found = analysed(*given, wedge)
        said = check_flats(*given, TILTS).notes
        noted = "; ".join(note[:60] for note in (*found.notes[1:], *said))
        print(
            f"{failure or 'nothing wrong':28s} total {found.total.value / masses.sum():.2f}, "
            f"projection {found.projection.value / masses.sum():.2f}, clusters "
            f"{len(found.clusters)}, negative {found.negative}, sigma {found.sigma:.3f} {noted}"
        )
    if options.csv:
        with options.csv.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(["size (px)", "mass", "mass sd", "density", "diameter"])
            writer.writerows(rows)


if __name__ == "__main__":
    main()
