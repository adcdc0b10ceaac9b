"""The verbs ``fsc`` and ``density``, on tomograms."""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_clxem.errors import ClxemWarning, ImageError
from napari_clxem.verbs.pixels import (
    Input,
    need_mrc,
    pair,
    volume,
    write_mrc,
)
from napari_clxem.verbs.printing import (
    Progress,
    Verbs,
    aligned,
    figure,
    listed,
    number,
    pixel_argument,
    positive,
    say,
    solver_arguments,
    verb,
    write_csv,
)

if TYPE_CHECKING:
    from napari_clxem.xray import Correlation, Density, Wedge


def add_to(verbs: Verbs) -> None:
    """Add the verbs on tomograms."""
    _add_fsc(verbs)
    _add_density(verbs)


def _add_fsc(verbs: Verbs) -> None:
    one = verb(verbs, "fsc", resolve, "measure the resolution of two halves by their correlation")
    one.add_argument("a", help="a tomogram or image")
    one.add_argument("b", help="its other half")
    one.add_argument("--mask", default="none", help="soft (round), none, or a file (none)")
    one.add_argument("--csv", help="file for the curve")
    pixel_argument(one)


def _add_density(verbs: Verbs) -> None:
    one = verb(verbs, "density", weigh, "turn tomograms at two energies into density and mass")
    one.add_argument("high", help="tomogram of absorption at the upper energy")
    one.add_argument("low", help="the same at the lower energy, in register")
    one.add_argument("--contrast", type=positive, required=True, help="of the pair, cm²/g")
    one.add_argument("--source", required=True, help="where that number comes from")
    one.add_argument("--contrast-sd", type=number(0.0), default=0.0, help="its sd, cm²/g (0)")
    one.add_argument("--scale", type=positive, default=1.0, help="of the lower one (1)")
    one.add_argument("--tilts", help="a .tlt file: correct clusters for the missing wedge")
    solver_arguments(one)
    one.add_argument("--csv", help="file for the clusters")
    one.add_argument("--out", help="a .mrc file for the map of density, g/cm³")
    pixel_argument(one)


def resolve(options: argparse.Namespace) -> int:
    """Print the resolution by each threshold."""
    from napari_clxem.xray import round_mask

    one, two = pair(options.a, options.b, options.pixel)
    mask = None
    if options.mask == "soft":
        mask = round_mask(one.data.shape, one.spacing)
    elif options.mask != "none":
        mask = _mask(volume(options.mask, options.pixel or one.spacing[-1]), one)
    found = correlated(np.asarray(one.data), np.asarray(two.data), one.spacing, mask)
    print(resolution_table(found))
    print(f"\nNyquist {1e3 / found.nyquist:.4g} nm full period; mask: {options.mask}.")
    listed("To know", found.notes)
    write_curve(options.csv, found)
    return 0


def correlated(one: Any, two: Any, spacing: Sequence[float], mask: Any = False) -> Correlation:
    """Correlate two halves, by a mask (True for a round one), telling how far it is."""
    from napari_clxem.xray import fsc, round_mask

    if isinstance(mask, bool):
        mask = round_mask(one.shape, spacing) if mask else None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ClxemWarning)  # it is among the notes, too
        return fsc(one, two, spacing, mask, progress=Progress(after=1.0))


def write_curve(path: str | None, found: Correlation) -> None:
    """Write a curve as CSV, where a path is given."""
    half_bit = found.threshold_curve("half-bit")
    columns = zip(found.frequency, found.correlation, found.samples, half_bit, strict=True)
    head = ("frequency_per_um", "correlation", "samples", "half_bit")
    write_csv(path, head, [[f"{v:.8g}" for v in row] for row in columns])


def resolution_table(found: Correlation) -> str:
    """Write the resolution by each threshold."""
    rows = []
    for threshold in (0.25, 0.143, 0.5, "half-bit"):
        period = found.resolution(threshold)
        fine, coarse = found.interval(threshold)
        interval = f"{fine * 1e3:.4g} to {coarse * 1e3:.4g}" if np.isfinite(period) else "–"
        rows.append([str(threshold), *(figure(v * 1e3, 4) for v in (period, period / 2)), interval])
    head = ["threshold", "full period, nm", "half-pitch, nm", "95 % of the period, nm"]
    return aligned(head, rows)


def _mask(given: Input, half: Input) -> Any:
    mask = np.asarray(given.data, dtype=float)
    if mask.shape != half.data.shape:
        raise ImageError(
            f"The mask {given.name} has shape {mask.shape}, the halves {half.data.shape}."
        )
    if not mask.max() > 0 or mask.min() < 0:
        raise ImageError(f"The mask {given.name} is empty or negative; give weights from 0 on.")
    return mask / mask.max()


def weigh(options: argparse.Namespace) -> int:
    """Print density and mass of every cluster, with their errors."""
    from napari_clxem.xray import Contrast, density

    if options.out:
        need_mrc(options.out)
    contrast = Contrast(options.contrast, options.source, options.contrast_sd)
    high, low = pair(options.high, options.low, options.pixel)
    found = density(
        np.asarray(high.data, np.float32),
        np.asarray(low.data, np.float32),
        high.spacing,
        contrast,
        scale=options.scale,
        wedge=_wedge(options, high),
        progress=Progress(),
    )
    print(_clusters(found))
    low_end, high_end = found.total.interval
    print(
        f"\n{len(found.clusters)} clusters, {found.total.value:.4g} pg in all "
        f"(95 %: {low_end:.4g} to {high_end:.4g}); {found.masked.value:.4g} pg within the mask."
    )
    listed("To know", found.notes)
    rows = found.rows()
    if options.csv:
        head = _columns()
        write_csv(options.csv, head, [[row[name] for name in head] for row in rows])
    if options.out:
        write_mrc(options.out, found.data, found.spacing)
        say(f"{options.out} written")
    return 0


def _columns() -> list[str]:
    """Columns of the table of clusters, also where there is none."""
    return [
        *("cluster", "z (um)", "y (um)", "x (um)", "mass (pg)", "mass low (pg)", "mass high (pg)"),
        *("mass above threshold (pg)", "density (g/cm3)", "density sd (g/cm3)"),
        *("diameter (um)", "diameter sd (um)", "voxels", "peak over noise"),
    ]


def _wedge(options: argparse.Namespace, tomogram: Input) -> Wedge | None:
    from napari_clxem.io import read_tilts
    from napari_clxem.xray import calibrate_wedge

    if options.tilts is None:
        return None
    say("calibrating the missing wedge")
    return calibrate_wedge(
        read_tilts(options.tilts),
        tomogram.spacing[-1],
        shape=(tomogram.data.shape[0], tomogram.data.shape[-1]),
        method=options.method,
        iterations=options.iterations,
        relaxation=options.relaxation,
        progress=Progress(),
    )


def _clusters(found: Density) -> str:
    head = [
        *("cluster", "z, µm", "y, µm", "x, µm", "mass, pg", "95 %", "g/cm³", "±"),
        *("diameter, nm", "peak/noise"),
    ]
    rows = [
        [
            str(one.name),
            *(f"{value:.2f}" for value in one.centre),
            figure(one.mass.value),
            f"{figure(one.mass.interval[0])} to {figure(one.mass.interval[1])}",
            f"{one.density:.2f}",
            f"{one.density_sd:.2f}",
            f"{one.diameter * 1e3:.0f}",
            figure(one.significance),
        ]
        for one in found.clusters
    ]
    return aligned(head, rows)
