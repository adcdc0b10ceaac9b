"""Draw the pictures of the SXT pages: ``python docs/pictures_sxt.py [clusters.csv]``.

Runs the worked example of how-to/sxt.md. With the table that
``benchmarks/xray_density.py --csv`` writes, the bias of cluster masses is drawn too.
"""

from __future__ import annotations

import csv
import sys
from pathlib import Path

import numpy as np
from PIL import Image

from napari_clxem.xray import (
    Contrast,
    Correlation,
    calibrate_wedge,
    density,
    difference,
    fit_scale,
    fsc,
    normalise,
    reconstruct,
    round_mask,
    split,
)
from napari_clxem.xray.phantom import photograph, spheres

IMAGES = Path(__file__).parent / "images"
PIXEL, TILTS, SHAPE = 0.01444, np.arange(-70.0, 71.0, 2.0), (96, 96, 128)
WIDTH, HEIGHT, LEFT, TOP = 460, 260, 52, 12


def example():
    """Take a phantom at two energies and go from counts to clusters."""
    rng = np.random.default_rng(1)
    places = np.array([(40, 20, 40), (52, 48, 84), (46, 70, 52), (58, 30, 92)]) * PIXEL
    iron = spheres(SHAPE, places, np.array([6, 9, 12, 7]) * PIXEL, [1.2, 0.9, 1.1, 1.4], PIXEL)
    cell = spheres(SHAPE, np.array([[48, 48, 64]]) * PIXEL, 1.1, 0.95, PIXEL)
    cell += spheres(
        SHAPE, rng.uniform(34, 62, (60, 3)) * PIXEL, rng.uniform(3, 9, 60) * PIXEL, 0.3, PIXEL
    )
    counts = [
        t * 5000 for t in photograph(iron, cell, TILTS, PIXEL, (4973, 15950), 0.969, 5000, 0.3, rng)
    ]
    low, high = (normalise(c, np.full(SHAPE[1:], 5000.0)).optical_density for c in counts)
    halves = [
        reconstruct(part, tilts, PIXEL, thickness=SHAPE[0]).data
        for part, tilts in split(low, TILTS)
    ]
    curve = fsc(*halves, PIXEL, round_mask(SHAPE, PIXEL))
    scale, _ = fit_scale(low, high)
    change = difference(low, high, scale)
    found = density(
        reconstruct(change, TILTS, PIXEL, thickness=SHAPE[0]).data,
        None,
        PIXEL,
        Contrast(15950 - scale * 4973, "Henke tables, as the phantom was made"),
        scale=scale,
        wedge=calibrate_wedge(TILTS, PIXEL, shape=(SHAPE[0], SHAPE[2])),
        projection=change[len(TILTS) // 2],
    )
    return curve, found


def chart(name, x, y, body, x_label, y_label):
    """Write an SVG with axes; `x` and `y` are (low, high, ticks)."""
    across, up = scales(x, y)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH + 70} {HEIGHT + 62}" '
        'font-family="sans-serif" font-size="12"><rect width="100%" height="100%" fill="white"/>'
    ]
    parts += [
        f'<line x1="{across(tick)}" x2="{across(tick)}" y1="{up(y[0])}" y2="{up(y[1])}" '
        f'stroke="#ddd"/><text x="{across(tick)}" y="{up(y[0]) + 16}" '
        f'text-anchor="middle">{tick:g}</text>'
        for tick in x[2]
    ]
    parts += [
        f'<line x1="{across(x[0])}" x2="{across(x[1])}" y1="{up(tick)}" y2="{up(tick)}" '
        f'stroke="#ddd"/><text x="{LEFT - 6}" y="{up(tick) + 4}" text-anchor="end">{tick:g}</text>'
        for tick in y[2]
    ]
    parts += body
    parts.append(
        f'<text x="{LEFT + WIDTH / 2}" y="{TOP + HEIGHT + 36}" text-anchor="middle">{x_label}'
        f'</text><text transform="translate(14 {TOP + HEIGHT / 2}) rotate(-90)" '
        f'text-anchor="middle">{y_label}</text></svg>'
    )
    (IMAGES / name).write_text("\n".join(parts) + "\n", encoding="utf-8")


def scales(x, y):
    """Give the maps from values to the picture."""

    def across(value):
        return round(LEFT + (value - x[0]) / (x[1] - x[0]) * WIDTH, 1)

    def up(value):
        return round(TOP + HEIGHT - (value - y[0]) / (y[1] - y[0]) * HEIGHT, 1)

    return across, up


def draw_curve(curve: Correlation) -> None:
    """Draw the correlation with its thresholds and where it crosses 0.25."""
    x, y = (
        (0.0, float(curve.nyquist), (5, 10, 15, 20, 25, 30)),
        (-0.1, 1.0, (0, 0.25, 0.5, 0.75, 1)),
    )
    across, up = scales(x, y)
    lines = []
    for values, colour, dash in (
        (curve.correlation, "#1f5fa8", ""),
        (curve.threshold_curve(0.25), "#333", "6 3"),
        (curve.threshold_curve(0.143), "#777", "2 3"),
    ):
        points = " ".join(
            f"{across(f)},{up(v)}"
            for f, v in zip(curve.frequency, values, strict=True)
            if np.isfinite(v) and f > 0
        )
        lines.append(
            f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2" '
            f'stroke-dasharray="{dash}"/>'
        )
    at = curve.resolution(0.25)
    if np.isfinite(at):
        x_at, y_at = across(1 / at), up(0.25)
        lines.append(
            f'<circle cx="{x_at}" cy="{y_at}" r="5" fill="none" stroke="#c33" stroke-width="2"/>'
            f'<text x="{x_at + 9}" y="{y_at - 8}">{at * 1e3:.0f} nm full period, half-pitch '
            f"{at * 5e2:.0f} nm</text>"
        )
    chart("sxt-fsc.svg", x, y, lines, "spatial frequency (1/µm)", "Fourier shell correlation")


def draw_bias(path: Path) -> None:
    """Draw measured over true mass of clusters by size."""
    with path.open(encoding="utf-8") as file:
        rows = [[float(v) for v in row] for row in list(csv.reader(file))[1:]]
    x, y = (2.0, 18.0, (4, 6, 8, 10, 12, 14, 16)), (0.5, 1.5, (0.6, 0.8, 1.0, 1.2, 1.4))
    across, up = scales(x, y)
    body = [f'<line x1="{across(2)}" x2="{across(18)}" y1="{up(1)}" y2="{up(1)}" stroke="#333"/>']
    for index, (size, mass, sd, *_) in enumerate(rows):
        at = across(size + 0.25 * (index // 8 % 6 - 2.5) / 2)
        low, high = (float(np.clip(mass + s * 1.96 * sd, 0.5, 1.5)) for s in (-1, 1))
        body.append(
            f'<line x1="{at}" x2="{at}" y1="{up(low)}" y2="{up(high)}" stroke="#9bb8d8"/>'
            f'<circle cx="{at}" cy="{up(float(np.clip(mass, 0.5, 1.5)))}" r="3" fill="#1f5fa8"/>'
        )
    chart("sxt-bias.svg", x, y, body, "true diameter (pixels of 14.44 nm)", "mass over true mass")


def draw_density(found) -> None:
    """Write the greatest density along z, with the outlines of the clusters."""
    image = found.data.max(axis=0)
    grey = (np.clip(image / np.quantile(image, 0.9995), 0, 1) * 255).astype(np.uint8)
    picture = np.repeat(np.repeat(np.stack([grey] * 3, axis=-1), 4, axis=0), 4, axis=1)
    flat = np.repeat(np.repeat(found.labels.max(axis=0) > 0, 4, axis=0), 4, axis=1)
    inner = flat.copy()
    for axis in (0, 1):
        for step in (-1, 1):
            inner &= np.roll(flat, step, axis)
    picture[flat & ~inner] = (230, 120, 40)
    Image.fromarray(picture).save(IMAGES / "sxt-density.png", optimize=True)


def main() -> None:
    curve, found = example()
    draw_curve(curve)
    draw_density(found)
    print(curve.describe())
    print(
        f"total {found.total.value * 1e3:.2f} fg, projection {found.projection.value * 1e3:.2f} fg"
    )
    for row in found.rows():
        print({name: round(value, 5) for name, value in row.items()})
    for note in found.notes:
        print(note)
    if len(sys.argv) > 1:
        draw_bias(Path(sys.argv[1]))


if __name__ == "__main__":
    main()
