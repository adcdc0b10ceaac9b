"""The verbs ``normalise``, ``align-pair`` and ``reconstruct``, on X-ray series."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_clxem.errors import ImageError
from napari_clxem.verbs.pixels import (
    Input,
    images,
    need_mrc,
    series,
    tilts_of,
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
    write_file,
)

if TYPE_CHECKING:
    from napari_clxem.io.image import OpenedImage

# Results of a normalisation: what they hold is a transmission already.
_NORMALISED = ("TomoNormalized", "SpecNormalized", "MosaicNormalized", "FastAligned")
# A tomogram so many times thicker than its field is a wrong unit.
_THICKEST = 4
_RECORDS = (("exposure", "exposure_times"), ("current", "currents"))


def add_to(verbs: Verbs) -> None:
    """Add the verbs on X-ray series."""
    _add_normalise(verbs)
    _add_align(verbs)
    _add_reconstruct(verbs)


def _add_normalise(verbs: Verbs) -> None:
    one = verb(verbs, "normalise", normalise_series, "divide an X-ray series by its flat fields")
    one.add_argument("series", help="an image or series of counts, with its flats or without")
    one.add_argument("--out", required=True, help="the .mrc file to write")
    one.add_argument("--flats", help="file of the flats (those in the file of the series)")
    one.add_argument("--darks", help="file of the darks (those in the file of the series, or none)")
    for name, unit in (("exposure", "exposure time, s"), ("current", "beam current, mA")):
        one.add_argument(f"--{name}", type=positive, help=f"{unit} (as the files say)")
        one.add_argument(f"--flat-{name}", type=positive, help="the same of the flats")
    one.add_argument("--density", action="store_true", help="write -ln of the transmission")
    one.add_argument("--tilts-out", help="write the tilts that the file states, a .tlt file")
    pixel_argument(one)


def _add_align(verbs: Verbs) -> None:
    one = verb(verbs, "align-pair", align, "bring a series onto that of a lower energy")
    one.add_argument("low", help="transmission at the lower energy")
    one.add_argument("high", help="transmission at the upper energy")
    one.add_argument("--energies", nargs=2, type=positive, metavar=("LOW", "HIGH"), help="eV")
    one.add_argument("--out", required=True, help="the .mrc file to write: the aligned upper one")
    one.add_argument("--tilts", nargs=2, metavar=("LOW", "HIGH"), help="their .tlt files, compared")
    one.add_argument("--search", type=positive, default=20.0, help="largest shift, pixels (20)")
    one.add_argument("--csv", help="file for the shifts")
    pixel_argument(one)


def _add_reconstruct(verbs: Verbs) -> None:
    one = verb(verbs, "reconstruct", reconstruct_series, "reconstruct a tomogram of absorption")
    one.add_argument("series", help="aligned optical density, tilt axis along y")
    one.add_argument("--tilts", help="a .tlt file (as the series says)")
    one.add_argument("--thickness", type=positive, required=True, help="of the tomogram, µm")
    one.add_argument("--out", required=True, help="the .mrc file to write")
    one.add_argument(
        "--transmission", action="store_true", help="the series is transmission: take -ln of it"
    )
    solver_arguments(one)
    one.add_argument("--axis", type=number(), help="of tilting, pixels from column 0 (middle)")
    pixel_argument(one)


def normalise_series(options: argparse.Namespace) -> int:
    """Write the transmission of a series, and print what had to be done to its pixels."""
    from napari_clxem.io import open_images
    from napari_clxem.xray import normalise

    need_mrc(options.out, stack=True)
    within = open_images(options.series)
    source = images(_counts(options.series, within), options.series, options.pixel)
    flats = _field(options.flats, within, "flat")
    darks = _field(options.darks, within, "dark")
    if flats is None:
        raise ImageError(f"{source.name} holds no flat fields; give their file with --flats.")
    records = _records(options, source, flats)
    found = normalise(
        source.data, flats.data, None if darks is None else np.asarray(darks.data), **records
    )
    data = found.optical_density if options.density else found.data
    write_mrc(options.out, data, source.spacing, stack=data.ndim == 3)
    what = "optical density" if options.density else "transmission"
    shape = " x ".join(str(n) for n in data.shape)
    print(f"{shape} pixels of {what}, {data.min():.3g} to {data.max():.3g}, mean {data.mean():.4g}")
    taken = [name for name, _ in _RECORDS if name in records]
    print(
        f"divided by the flats, and by {' and '.join(taken)}" if taken else "divided by the flats"
    )
    listed("To know", found.notes)
    say(f"{options.out} written")
    if options.tilts_out:
        tilts = tilts_of(None, source)
        write_file(options.tilts_out, "".join(f"{tilt:.3f}\n" for tilt in tilts))
    return 0


def _counts(path: str, within: tuple[OpenedImage, ...]) -> OpenedImage:
    found = [one for one in within if not one.meta.get("role")]
    if not found:
        raise ImageError(f"{path} holds flats or darks only; give the file of the series.")
    if any(str(found[0].meta.get("stage", "")).startswith(name) for name in _NORMALISED):
        raise ImageError(f"{path} is normalised already ({found[0].meta['stage']}).")
    return found[0]


def _field(path: str | None, within: tuple[OpenedImage, ...], role: str) -> Input | None:
    """Give flats or darks: of their own file, or of that of the series."""
    from napari_clxem.io import open_images

    if path is None:
        found = [one for one in within if one.meta.get("role") == role]
        return images(found[0], f"the {role}s", None, scaled=False) if found else None
    every = open_images(path)
    named = [one for one in every if one.meta.get("role") == role]
    plain = [one for one in every if not one.meta.get("role")]
    return images((named or plain or list(every))[0], path, None, scaled=False)


def _records(options: argparse.Namespace, source: Input, flats: Input) -> dict[str, Any]:
    """Exposure times and currents that are known of series and flats."""
    found: dict[str, Any] = {}
    for name, key in _RECORDS:
        here = getattr(options, name) or source.meta.get(key) or None
        there = getattr(options, f"flat_{name}") or flats.meta.get(key) or None
        if (here is None) != (there is None):
            lacking = source.name if here is None else flats.name
            if getattr(options, name) or getattr(options, f"flat_{name}"):
                raise ImageError(f"The {name} of {lacking} is not known; give both or neither.")
            say(f"The {name} of {lacking} is not known, so it is taken as the same for all.")
        elif here is not None:
            found |= {name: here, f"flat_{name}": there}
    return found


def align(options: argparse.Namespace) -> int:
    """Write the aligned series of the upper energy, and print its shifts."""
    from napari_clxem.io import read_tilts
    from napari_clxem.xray import align_pair

    need_mrc(options.out, stack=True)
    low, high = series(options.low, options.pixel), series(options.high, options.pixel)
    tilts = [one.meta.get("tilt_angles") for one in (low, high)]
    if options.tilts:
        tilts = [read_tilts(path) for path in options.tilts]
    found = align_pair(
        np.asarray(low.data),
        np.asarray(high.data),
        _energies(options, low, high),
        tilts=None if tilts[0] is None or tilts[1] is None else (tilts[0], tilts[1]),
        search=options.search,
        progress=Progress(),
    )
    write_mrc(options.out, found.data, low.spacing, stack=True)
    rows = [
        (index, *shift, information, residual)
        for index, (shift, information, residual) in enumerate(
            zip(found.shifts.tolist(), found.information, found.residuals, strict=True)
        )
    ]
    head = ["image", "shift y, px", "shift x, px", "information, nats", "residual, px"]
    print(f"Enlarged {found.magnification:.5f} times, then moved:\n")
    print(aligned(head, [[str(row[0]), *(figure(v) for v in row[1:])] for row in rows]))
    listed("To know", _judged(np.asarray(low.data), found.data, tilts[0]))
    if options.csv:
        names = ("image", "shift_y_px", "shift_x_px", "information_nats", "residual_px")
        write_csv(options.csv, names, rows)
    say(f"{options.out} written")
    return 0


def _judged(low: Any, high: Any, tilts: Any) -> tuple[str, ...]:
    """Say what the background of both energies tells of their flats."""
    from napari_clxem.xray import check_flats
    from napari_clxem.xray.absorption import FLOOR

    densities = [-np.log(np.maximum(np.asarray(one, np.float32), FLOOR)) for one in (low, high)]
    try:
        return check_flats(densities[0], densities[1], tilts).notes
    except ImageError as error:
        return (f"The flats could not be judged: {error}",)


def _energies(options: argparse.Namespace, low: Input, high: Input) -> tuple[float, float]:
    if options.energies:
        return options.energies[0], options.energies[1]
    stated = [one.meta.get("energies") for one in (low, high)]
    if not all(stated):
        raise ImageError("The energies are not in the files; give both with --energies, in eV.")
    return float(np.mean(stated[0] or ())), float(np.mean(stated[1] or ()))


def reconstruct_series(options: argparse.Namespace) -> int:
    """Write the tomogram of a series, and print how it converged."""
    from napari_clxem.xray import reconstruct

    need_mrc(options.out)
    source = series(options.series, options.pixel)
    tilts = tilts_of(options.tilts, source)
    voxels = voxels_of(options.thickness, source)
    data = optical_density(source) if options.transmission else source.data
    found = reconstruct(
        data,
        tilts,
        (source.spacing[0], source.spacing[1]),
        method=options.method,
        iterations=options.iterations,
        relaxation=options.relaxation,
        thickness=voxels,
        axis=options.axis,
        progress=Progress(),
    )
    write_mrc(options.out, found.data, found.spacing)
    rows = [[str(i + 1), figure(value, 4)] for i, value in enumerate(found.residuals)]
    print(aligned(["pass", "residual, optical density"], rows))
    z, y, x = found.data.shape
    print(
        f"\n{z} x {y} x {x} voxels (z, y, x) of {found.spacing[0] * 1e3:.4g} nm, "
        f"{found.data.min():.3g} to {found.data.max():.3g} per µm, by {found.method}."
    )
    taken = "-ln of the series" if options.transmission else "the series as it is"
    print(f"Optical density: {taken}.")
    say(f"{options.out} written")
    return 0


def voxels_of(thickness: float, source: Input) -> int:
    """Give a thickness (µm) in voxels; raises ImageError where it cannot be meant."""
    voxels = max(1, round(thickness / source.spacing[1]))
    if voxels > _THICKEST * source.data.shape[2]:
        raise ImageError(
            f"A thickness of {thickness:g} µm is {voxels} voxels, {source.name} is "
            f"{source.data.shape[2]} wide; give the thickness in µm."
        )
    return voxels


def optical_density(source: Input) -> Any:
    """Give -ln of a transmission, saying how many pixels were too dark for it."""
    from napari_clxem.xray.absorption import FLOOR

    data = np.asarray(source.data, np.float32)
    if not np.isfinite(data).all() or data.max() <= 0:
        raise ImageError(f"{source.name} holds no transmission: NaN, or nothing above 0.")
    lost = int((data < FLOOR).sum())
    if lost:
        say(f"{lost} pixels below {FLOOR:g} were set to it.")
    return -np.log(np.maximum(data, FLOOR))
