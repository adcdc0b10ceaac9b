"""From counts to tomograms, step by step; runs in a thread."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from napari_clxem.errors import ImageError
from napari_clxem.frames.affine import Floats
from napari_clxem.plugin.controllers.sxt_resolving import SAME, optical_density
from napari_clxem.plugin.controllers.sxt_sources import Source
from napari_clxem.session.places import located
from napari_clxem.session.straightening import by_beads, by_file
from napari_clxem.xray import (
    align_pair,
    check_flats,
    difference,
    fit_scale,
    normalise,
    reconstruct,
    resample,
    wiener,
    zone_plate_mtf,
)
from napari_clxem.xray.solving import Method

Progress = Callable[[float, str], None]
# Pixels by which k is fitted.
ENOUGH = 2**22
TRANSMISSION, DENSITY, ABSORPTION = "transmission", "optical density", "absorption"
MAPPED = "resolution, nm"


@dataclass(frozen=True, eq=False)
class Product:
    """An image that a step has made, as a layer will show it.

    Attributes
    ----------
    name : str
    data : array
    spacing : tuple of float
        Pixel size, µm.
    matrix : (d + 1, d + 1) ndarray
        Its own µm to display µm.
    kind : str
        What its values are.
    """

    name: str
    data: Any
    spacing: tuple[float, ...]
    matrix: Floats
    kind: str


@dataclass(frozen=True, eq=False)
class Made:
    """What a step has made, and what is to be said of it.

    Attributes
    ----------
    headline : str
    products : tuple of Product
    lines : tuple of tuple of str
        Image, tilt, shift along y and x, residual; empty where nothing was moved.
    tilts : tuple of float
        Of the series made, degrees, where they are known.
    notes : tuple of str
    """

    headline: str
    products: tuple[Product, ...]
    lines: tuple[tuple[str, ...], ...]
    tilts: tuple[float, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Normalising:
    """Counts, and what they are divided by; what is None is taken from the file of the counts."""

    counts: Source
    flats: Source | None
    darks: Source | None
    exposure: float | None = None
    flat_exposure: float | None = None
    current: float | None = None
    flat_current: float | None = None


@dataclass(frozen=True)
class Sharpening:
    """Transmission, the outermost zone (µm) and the ratio of signal to noise (power)."""

    series: Source
    zone: float
    snr: float


@dataclass(frozen=True)
class Straight:
    """A series, its tilts, and a file of its alignment or the diameter of its beads (µm)."""

    series: Source
    tilts: tuple[float, ...] | None
    path: str | None
    diameter: float | None
    kind: Literal["dark", "bright"]


@dataclass(frozen=True)
class Pairing:
    """Two series of transmission, their energies (eV) and tilts, and how far is looked (pixels)."""

    low: Source
    high: Source
    energies: tuple[float, float]
    tilts: tuple[float, ...] | None
    search: float


@dataclass(frozen=True)
class Reconstructing:
    """An aligned series, and how its tomogram is made; sizes in voxels."""

    series: Source
    tilts: tuple[float, ...]
    transmission: bool
    thickness: int
    method: Method
    iterations: int
    relaxation: float | None
    axis: float | None


def normalised(how: Normalising, progress: Progress) -> Made:
    """Divide counts by flats.

    Raises
    ------
    ClxemError
        Where there are no flats, or they do not fit.
    """
    progress(0.0, f"Reading {how.counts.name}")
    flats, darks, records, said, tilts = _beside(how)
    counts = _series(how.counts)
    found = normalise(counts, flats, darks, progress=_part(progress, 0.1, 0.95), **records)
    low, high = float(found.data.min()), float(found.data.max())
    product = _like(how.counts, f"{how.counts.name} · transmission", found.data, TRANSMISSION)
    headline = f"Transmission {low:.3g} to {high:.3g}, mean {float(found.data.mean()):.3g}"
    return Made(headline, (product,), (), tilts, (*said, *found.notes))


def sharpened(how: Sharpening, progress: Progress) -> Made:
    """Sharpen transmission by a Wiener filter.

    Raises
    ------
    ImageError
        Where the values are not usable.
    """
    progress(0.0, f"Reading {how.series.name}")
    spacing = (how.series.spacing[-2], how.series.spacing[-1])
    found = wiener(
        np.asarray(how.series.data, np.float32),
        spacing,
        zone_plate_mtf(how.zone),
        how.snr,
        progress=_part(progress, 0.1, 1.0),
    )
    dark = int((found <= 0).sum())
    notes: tuple[str, ...] = (
        f"Zone plate of {1e3 * how.zone:.3g} nm, signal to noise {how.snr:g} (power).",
    )
    if dark:
        notes += (f"{dark} pixels came out at or below 0: the ratio may be too high.",)
    product = _like(how.series, f"{how.series.name} · sharp", found, TRANSMISSION)
    return Made(f"{product.name} made", (product,), (), (), notes)


def straightened(how: Straight, progress: Progress) -> Made:
    """Bring the tilt axis of a series to y.

    Raises
    ------
    ClxemError
        Where the alignment belongs to another series, or too few beads are found.
    """
    series, spacing = _series(how.series), how.series.spacing[-2:]
    progress(0.0, f"Reading {how.series.name}")
    if how.path is not None:
        dataset = how.series.dataset
        turned = dataset is not None and "y" in dataset.orientation.flip
        found = by_file(how.path, tuple(series.shape), how.tilts, turned=turned)
    else:
        if how.tilts is None or how.diameter is None:
            raise ImageError("Beads need the tilts and their diameter; give both.")
        _fits(how.series, how.tilts)
        found = by_beads(
            series,
            how.tilts,
            spacing,
            how.diameter,
            kind=how.kind,
            progress=_part(progress, 0.0, 0.85),
        )
    kept = np.asarray(series, np.float32)[found.sections]
    straight = np.empty(kept.shape, np.float32)
    for index, image in enumerate(kept):
        progress(0.85 + 0.15 * index / len(kept), f"Moving image {index + 1} of {len(kept)}")
        straight[index] = resample(image[None], found.transforms[index : index + 1])[0]
    lines = _lines(found.tilts, found.transforms[:, :, 2], found.residuals / spacing[1])
    product = _like(how.series, f"{how.series.name} · aligned", straight, TRANSMISSION)
    tilts = tuple(float(one) for one in found.tilts)
    return Made("The tilt axis runs along y", (product,), lines, tilts, found.notes)


def paired(how: Pairing, progress: Progress) -> Made:
    """Bring the upper energy onto the lower one, and take what absorbs more there.

    Raises
    ------
    ClxemError
        Where the series are no pair.
    """
    if how.low.id == how.high.id:
        raise ImageError("Both energies are the same layer; choose two series.")
    if not np.allclose(how.low.spacing[-2:], how.high.spacing[-2:], rtol=SAME):
        raise ImageError(
            f"{how.low.name} and {how.high.name} differ in pixel size; choose two series of one."
        )
    progress(0.0, "Reading both series")
    low, high = (np.asarray(_series(one), np.float32) for one in (how.low, how.high))
    if how.tilts is not None:
        _fits(how.low, how.tilts)
    pair = align_pair(
        low, high, how.energies, search=how.search, progress=_part(progress, 0.05, 0.85)
    )
    progress(0.85, "Fitting k where there is no iron")
    one, dark = optical_density(low, True)
    two, _ = optical_density(pair.data, True)
    step = max(1, round(low.size / ENOUGH))
    scale, scale_sd = fit_scale(one[::step], two[::step])
    progress(0.95, "Judging the flats by the background")
    notes = (
        f"Enlarged {pair.magnification:.5f} times; k = {scale:.4f} ± {scale_sd:.1g} taken off.",
        *dark,
        *_judged(one, two, how.tilts),
    )
    tilts = how.tilts or (float("nan"),) * len(low)
    shifts = np.asarray(pair.shifts).reshape(-1, 2)
    worst = float(np.nanmax(pair.residuals)) if np.isfinite(pair.residuals).any() else np.nan
    products = (
        _like(how.low, f"{how.high.name} · on {how.energies[0]:g} eV", pair.data, TRANSMISSION),
        _like(how.low, f"ΔOD, k = {scale:.4f}", difference(one, two, scale), DENSITY),
    )
    headline = (
        f"In register to {worst:.2g} pixels at worst" if np.isfinite(worst) else "In register"
    )
    return Made(headline, products, _lines(tilts, shifts, pair.residuals), how.tilts or (), notes)


def reconstructed(how: Reconstructing, progress: Progress) -> Made:
    """Reconstruct a tomogram.

    Raises
    ------
    ClxemError
        Where tilts or sizes do not fit.
    """
    _fits(how.series, how.tilts)
    progress(0.0, f"Reading {how.series.name}")
    density, notes = optical_density(np.asarray(_series(how.series), np.float32), how.transmission)
    step = how.series.spacing[-2:]
    found = reconstruct(
        density,
        how.tilts,
        (step[0], step[1]),
        method=how.method,
        iterations=how.iterations,
        relaxation=how.relaxation,
        thickness=how.thickness,
        axis=how.axis,
        progress=_part(progress, 0.05, 1.0),
    )
    matrix = how.series.matrix.copy()
    matrix[0, :] = matrix[:, 0] = 0.0
    matrix[0, 0], matrix[-1, -1] = 1.0, 1.0
    matrix[0, -1] = -found.spacing[0] * (how.thickness - 1) / 2
    product = Product(
        f"{how.series.name} · tomogram", found.data, tuple(found.spacing), matrix, ABSORPTION
    )
    fall = "" if np.isnan(found.convergence) else f", {found.convergence:.0%} less than before"
    said = (
        f"{found.method}, {found.iterations} passes, relaxation {found.relaxation:g}: residual "
        f"{found.residuals[-1]:.3g} of optical density{fall}.",
        "Values are absorption, 1/µm; the tilt axis runs along y in the middle.",
    )
    shape = " × ".join(str(n) for n in found.data.shape)
    return Made(f"{shape} voxels of {1e3 * step[1]:.3g} nm", (product,), (), (), (*notes, *said))


def _beside(
    how: Normalising,
) -> tuple[Any, Any, dict[str, Any], tuple[str, ...], tuple[float, ...]]:
    """Give flats, darks and records, from layers, numbers or the file of the counts."""
    from napari_clxem.io import open_images

    within: tuple[Any, ...] = ()
    if how.counts.dataset is not None:
        within = tuple(open_images(located(how.counts.dataset.file)))
    own = next((one for one in within if not one.meta.get("role")), None)
    found, said, metas = {}, [], [{} if own is None else own.meta, {}]
    for role, given in (("flat", how.flats), ("dark", how.darks)):
        there = next((one for one in within if one.meta.get("role") == role), None)
        found[role] = None if given is None else _series(given)
        if given is None and there is not None:
            found[role] = np.asarray(there.data)
            said.append(f"{role.capitalize()}s are those of the file.")
            metas[1] = there.meta if role == "flat" else metas[1]
    records: dict[str, Any] = {}
    for name, key in (("exposure", "exposure_times"), ("current", "currents")):
        pair = [getattr(how, name), getattr(how, f"flat_{name}")]
        pair = [one or meta.get(key) or None for one, meta in zip(pair, metas, strict=True)]
        if pair[0] is not None and pair[1] is not None:
            records |= {name: pair[0], f"flat_{name}": pair[1]}
            said.append(f"Divided by {name}, too.")
        elif pair != [None, None] and (getattr(how, name) or getattr(how, f"flat_{name}")):
            raise ImageError(f"The {name} is known of one side only; give both or neither.")
    tilts = tuple(float(one) for one in metas[0].get("tilt_angles", ()))
    return found["flat"], found["dark"], records, tuple(said), tilts


def _judged(low: Any, high: Any, tilts: tuple[float, ...] | None) -> tuple[str, ...]:
    try:
        return check_flats(low, high, tilts).notes
    except ImageError as error:
        return (f"The flats could not be judged: {error}",)


def _series(source: Source) -> Any:
    if source.ndim not in (2, 3):
        raise ImageError(f"{source.name} is no series of images; choose one, (n, y, x).")
    return source.data if source.ndim == 3 else np.asarray(source.data)[None]


def _fits(series: Source, tilts: tuple[float, ...]) -> None:
    images = series.shape[0] if series.ndim == 3 else 1
    if len(tilts) != images:
        raise ImageError(
            f"{series.name} has {images} images, {len(tilts)} tilts are given; give one per image."
        )


def _like(source: Source, name: str, data: Any, kind: str) -> Product:
    shaped = data if np.ndim(data) == source.ndim else np.asarray(data)[0]
    return Product(name, np.asarray(shaped, np.float32), source.spacing, source.matrix, kind)


def _lines(tilts: Any, shifts: Any, residuals: Any) -> tuple[tuple[str, ...], ...]:
    rows = zip(tilts, shifts, np.ravel(residuals), strict=True)
    return tuple(
        (str(index), _number(tilt, 1), _number(y, 2), _number(x, 2), _number(left, 2))
        for index, (tilt, (y, x), left) in enumerate(rows)
    )


def _number(value: float, digits: int) -> str:
    return f"{value:.{digits}f}" if np.isfinite(value) else "–"


def _part(progress: Progress, start: float, stop: float) -> Progress:
    return lambda share, text: progress(start + (stop - start) * share, text)
