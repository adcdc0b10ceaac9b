"""The verbs ``wiener`` and ``align-tilts``: sharper images, and a tilt axis that runs along y."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_clxem.errors import ImageError
from napari_clxem.verbs.pixels import Input, need_mrc, series, tilts_of, write_mrc
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
    verb,
    write_csv,
    write_file,
)

if TYPE_CHECKING:
    from napari_clxem.session.straightening import Straightening

Floats = NDArray[np.floating[Any]]


def add_to(verbs: Verbs) -> None:
    """Add the verbs on images of a series."""
    one = verb(verbs, "wiener", sharpen, "sharpen transmission by a Wiener filter")
    one.add_argument("series", help="transmission: an image or a series")
    one.add_argument("--out", required=True, help="the .mrc file to write")
    one.add_argument("--snr", type=positive, required=True, help="power of signal over noise")
    mtf = one.add_mutually_exclusive_group(required=True)
    mtf.add_argument("--zone", type=positive, metavar="UM", help="outermost zone of the plate, µm")
    mtf.add_argument("--mtf", help="CSV of a measured one: frequency (1/µm), transfer")
    pixel_argument(one)
    one = verb(verbs, "align-tilts", straighten, "bring the tilt axis of a series to y")
    one.add_argument("series", help="images as recorded, or normalised")
    one.add_argument("--out", required=True, help="the .mrc file to write: the aligned series")
    way = one.add_mutually_exclusive_group(required=True)
    way.add_argument("--alignment", help="a .xf of IMOD or a .aln of AreTomo")
    way.add_argument("--beads", type=positive, metavar="UM", help="their diameter, µm")
    one.add_argument(
        "--kind", choices=("dark", "bright"), default="dark", help="of the beads (dark)"
    )
    one.add_argument("--tilts", help="a .tlt file (as the series or the alignment says)")
    one.add_argument("--tilts-out", help="write the tilts of the aligned series, a .tlt file")
    one.add_argument("--reach", type=positive, help="way of a bead between tilts, µm (diameter)")
    one.add_argument(
        "--azimuth", nargs=2, type=number(), default=(-90.0, 90.0), metavar=("FROM", "TO"),
        help="of the tilt axis, degrees from y (-90 90)",
    )  # fmt: skip
    one.add_argument("--csv", help="file for shifts and residuals by tilt")
    pixel_argument(one)


def sharpen(options: argparse.Namespace) -> int:
    """Write sharpened transmission."""
    from napari_clxem.xray import wiener, zone_plate_mtf

    need_mrc(options.out, stack=True)
    source = series(options.series, options.pixel)
    mtf = zone_plate_mtf(options.zone) if options.zone else _measured(options.mtf)
    data = np.asarray(source.data, np.float32)
    found = wiener(data, (source.spacing[0], source.spacing[1]), mtf, options.snr)
    write_mrc(options.out, found, source.spacing, stack=True)
    dark = int((found <= 0).sum())
    print(
        f"{len(found)} images, {found.min():.3g} to {found.max():.3g} (before {data.min():.3g} to "
        f"{data.max():.3g}), {dark} pixels at or below 0."
    )
    say(f"{options.out} written")
    return 0


def _measured(path: str) -> tuple[Floats, Floats]:
    try:
        table = np.genfromtxt(path, delimiter=",", comments="#", ndmin=2)
    except (OSError, ValueError) as error:
        raise ImageError(f"{path} is no table of a transfer function: {error}.") from error
    known = table[np.isfinite(table).all(axis=1)] if table.shape[1] == 2 else table[:0]
    if len(known) < 2:
        raise ImageError(
            f"{path} holds no transfer function; give two columns, frequency (1/µm) and transfer."
        )
    return known[:, 0], known[:, 1]


def straighten(options: argparse.Namespace) -> int:
    """Write the aligned series, and print how it had to be moved."""
    from napari_clxem.xray import resample

    need_mrc(options.out, stack=True)
    source = series(options.series, options.pixel)
    found = _straightening(options, source)
    images = np.asarray(source.data)[found.sections]
    write_mrc(options.out, resample(images, found.transforms), source.spacing, stack=True)
    head = ["image", "tilt, °", "shift y, px", "shift x, px", "residual, nm"]
    rows = [
        [str(section), *(figure(v) for v in (tilt, *transform[:, 2], 1e3 * residual))]
        for section, tilt, transform, residual in zip(
            found.sections, found.tilts, found.transforms, found.residuals, strict=True
        )
    ]
    print(aligned(head, rows))
    listed("Found", found.notes)
    names = ("image", "tilt_deg", "shift_y_px", "shift_x_px", "residual_nm")
    write_csv(options.csv, names, rows)
    if options.tilts_out:
        write_file(options.tilts_out, "".join(f"{tilt:.3f}\n" for tilt in found.tilts))
    say(f"{options.out} written")
    return 0


def _straightening(options: argparse.Namespace, source: Input) -> Straightening:
    from napari_clxem.io import read_tilts
    from napari_clxem.session.straightening import by_beads, by_file

    if options.alignment:
        stated = source.meta.get("tilt_angles") or None
        tilts = read_tilts(options.tilts) if options.tilts else stated
        turned = "y" in source.flip
        return by_file(options.alignment, source.data.shape, tilts, turned=turned)
    return by_beads(
        source.data,
        tilts_of(options.tilts, source),
        source.spacing,
        options.beads,
        kind=options.kind,
        reach=options.reach,
        azimuth=(options.azimuth[0], options.azimuth[1]),
        progress=Progress(),
    )
