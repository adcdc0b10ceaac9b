"""The verbs ``wiener`` and ``align-tilts``: sharper images, and a tilt axis that runs along y."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_clxem.errors import ImageError
from napari_clxem.verbs.pixels import Input, need_mrc, series, tilts_of, write_mrc
from napari_clxem.verbs.printing import (
    Progress,
    Verbs,
    aligned,
    figure,
    number,
    pixel_argument,
    positive,
    say,
    verb,
    write_csv,
    write_file,
)

Floats = NDArray[np.floating[Any]]
# A pixel so much taller than wide makes turning an image a distortion.
_SQUARE = 0.01


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
    if abs(source.spacing[0] / source.spacing[1] - 1) > _SQUARE:
        raise ImageError(f"{source.name} has pixels that are not square; resample it first.")
    way = _known if options.alignment else _by_beads
    sections, transforms, tilts, residuals = way(options, source)
    images = np.asarray(source.data)[sections]
    write_mrc(options.out, resample(images, transforms), source.spacing, stack=True)
    head = ["image", "tilt, °", "shift y, px", "shift x, px", "residual, nm"]
    rows = [
        [str(section), *(figure(v) for v in (tilt, *transform[:, 2], 1e3 * residual))]
        for section, tilt, transform, residual in zip(
            sections, tilts, transforms, residuals, strict=True
        )
    ]
    print(aligned(head, rows))
    if np.isfinite(residuals).any():
        print(f"\nResidual of the beads: {1e3 * np.sqrt(np.nanmean(residuals**2)):.3g} nm rms.")
    names = ("image", "tilt_deg", "shift_y_px", "shift_x_px", "residual_nm")
    write_csv(options.csv, names, rows)
    if options.tilts_out:
        write_file(options.tilts_out, "".join(f"{tilt:.3f}\n" for tilt in tilts))
    say(f"{options.out} written")
    return 0


Way = tuple[NDArray[np.int64], Floats, Floats, Floats]


def _known(options: argparse.Namespace, source: Input) -> Way:
    """Take an alignment from a file."""
    from napari_clxem.io import read_alignment, read_tilts

    found = read_alignment(options.alignment)
    name = Path(options.alignment).name
    images = source.data.shape[0]
    if found.size is not None and tuple(found.size) != tuple(source.data.shape[1:]):
        raise ImageError(
            f"{name} is of images of {found.size} pixels, {source.name} has "
            f"{tuple(source.data.shape[1:])}; give the alignment of this series, not binned."
        )
    if found.sections.size == 0 or found.sections.max() >= images:
        raise ImageError(
            f"{name} aligns {found.sections.size} images, {source.name} has {images}; give the "
            "alignment of this series."
        )
    if "y" in source.flip:
        found = found.turned()
    tilts: Floats | None = found.tilts
    if options.tilts or tilts is None:
        stated = read_tilts(options.tilts) if options.tilts else tilts_of(None, source)
        if len(stated) not in (images, len(found.sections)):
            raise ImageError(f"There are {len(stated)} tilts for {images} images; give one each.")
        tilts = stated[found.sections] if len(stated) == images else stated
    residuals = np.full(len(found.sections), np.nan)
    return found.sections, found.matrices[:, :2], np.asarray(tilts, float), residuals


def _by_beads(options: argparse.Namespace, source: Input) -> Way:
    """Find beads in every image, follow them, and solve the geometry."""
    from napari_clxem.xray import align_beads, follow

    tilts = tilts_of(options.tilts, source)
    positions = _beads(options, source, Progress())
    tracks = follow(positions, tilts, options.reach or options.beads)
    found = align_beads(tracks, tilts, azimuth=(options.azimuth[0], options.azimuth[1]))
    used = np.isfinite(found.residuals).all(axis=2)
    print(
        f"{tracks.shape[1]} beads followed, {int(used.sum())} sightings used; the tilt axis runs "
        f"{found.azimuth:.2f} degrees from y.\n"
    )
    return np.arange(len(tilts)), found.transforms(source.spacing[1]), tilts, found.by_tilt


def _beads(
    options: argparse.Namespace, source: Input, told: Callable[[float, str], None]
) -> list[Floats]:
    """Give the beads of every image (k, 2), µm from its middle."""
    from napari_clxem.fiducials import detect

    count, *plane = source.data.shape
    middle = (np.array(plane) - 1) / 2 * source.spacing
    found: list[Floats] = []
    for index in range(count):
        told(index / count, f"beads of image {index}")
        image = np.asarray(source.data[index], np.float32)
        beads = detect(image, source.spacing, options.beads, options.kind)
        found.append(beads.positions - middle)
    told(1.0, f"{np.mean([len(one) for one in found]):.1f} beads an image")
    return found
