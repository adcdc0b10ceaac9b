"""The verbs ``fsc-series`` and ``local-resolution``: even and odd tilts, and a map."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from napari_clxem.errors import ImageError
from napari_clxem.verbs.pixels import need_mrc, pair, series, tilts_of, write_mrc
from napari_clxem.verbs.printing import (
    Progress,
    Verbs,
    count,
    listed,
    pixel_argument,
    positive,
    say,
    solver_arguments,
    verb,
)
from napari_clxem.verbs.tilt_series import optical_density, voxels_of
from napari_clxem.verbs.tomograms import correlated, resolution_table, write_curve


def add_to(verbs: Verbs) -> None:
    """Add the verbs on halves."""
    one = verb(verbs, "fsc-series", resolve_series, "measure the resolution of one tilt series")
    one.add_argument("series", help="aligned optical density, tilt axis along y")
    one.add_argument("--tilts", help="a .tlt file (as the series says)")
    one.add_argument("--thickness", type=positive, required=True, help="of the tomograms, µm")
    one.add_argument(
        "--transmission", action="store_true", help="the series is transmission: take -ln of it"
    )
    one.add_argument("--mask", choices=("soft", "none"), default="soft", help="(soft)")
    one.add_argument("--csv", help="file for the curve")
    one.add_argument("--out", help="a .mrc file; the halves go to NAME-even and NAME-odd")
    solver_arguments(one)
    pixel_argument(one)
    one = verb(verbs, "local-resolution", map_resolution, "map the resolution of two halves")
    one.add_argument("a", help="a tomogram or image")
    one.add_argument("b", help="its other half")
    one.add_argument("--out", required=True, help="the .mrc file to write: full period, nm")
    one.add_argument("--threshold", type=positive, default=0.25, help="of the correlation (0.25)")
    one.add_argument("--window", type=count, default=48, help="side of the window, voxels (48)")
    one.add_argument("--step", type=count, default=24, help="between windows, voxels (24)")
    pixel_argument(one)


def resolve_series(options: argparse.Namespace) -> int:
    """Reconstruct every other tilt on its own, and print the resolution of the two."""
    from napari_clxem.xray import reconstruct, split

    if options.out:
        need_mrc(options.out)
    source = series(options.series, options.pixel)
    tilts = tilts_of(options.tilts, source)
    voxels = voxels_of(options.thickness, source)
    data = optical_density(source) if options.transmission else np.asarray(source.data)
    volumes = []
    for name, (part, angles) in zip(("even", "odd"), split(data, tilts), strict=True):
        say(f"reconstructing the {name} tilts")
        found = reconstruct(
            part,
            angles,
            (source.spacing[0], source.spacing[1]),
            method=options.method,
            iterations=options.iterations,
            relaxation=options.relaxation,
            thickness=voxels,
            progress=Progress(),
        )
        volumes.append(found.data)
        if options.out:
            place = Path(options.out)
            where = place.with_name(f"{place.stem}-{name}{place.suffix}")
            write_mrc(str(where), found.data, found.spacing)
            say(f"{where} written")
    curve = correlated(volumes[0], volumes[1], found.spacing, options.mask == "soft")
    print(resolution_table(curve))
    print(f"\nNyquist {1e3 / curve.nyquist:.4g} nm full period; mask: {options.mask}.")
    shared = "Halves of one series share its missing wedge and every fault of the alignment."
    listed("To know", [*curve.notes, shared])
    write_curve(options.csv, curve)
    return 0


def map_resolution(options: argparse.Namespace) -> int:
    """Write a map of the resolution, and print its middle and range."""
    from napari_clxem.xray import local_resolution

    need_mrc(options.out)
    one, two = pair(options.a, options.b, options.pixel)
    if options.threshold >= 1:
        raise ImageError(f"A threshold of {options.threshold:g} is not below 1.")
    found, origin = local_resolution(
        np.asarray(one.data),
        np.asarray(two.data),
        one.spacing,
        window=options.window,
        step=options.step,
        threshold=options.threshold,
        progress=Progress(),
    )
    known = np.isfinite(found)
    print(
        f"{found.size} windows of {options.window} voxels, {int(known.sum())} with a crossing "
        "(0 in the map where nothing crosses)."
    )
    if known.any():
        low, middle, high = np.quantile(found[known], (0.05, 0.5, 0.95)) * 1e3
        print(
            f"Full period at {options.threshold:g}: {middle:.4g} nm in the middle, {low:.4g} to "
            f"{high:.4g} nm in nine tenths of them."
        )
    # a file of MRC cannot hold NaN
    write_mrc(
        options.out, np.where(known, found * 1e3, 0.0), [s * options.step for s in one.spacing]
    )
    first = ", ".join(f"{value:.4g}" for value in origin)
    say(f"{options.out} written; its first voxel is the window centred at ({first}) µm")
    return 0
