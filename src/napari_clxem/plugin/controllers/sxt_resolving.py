"""Resolution of two layers, or of the halves of one tilt series; runs in a thread."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from napari_clxem.errors import ClxemWarning, ImageError
from napari_clxem.frames.affine import Floats
from napari_clxem.plugin.controllers.sxt_sources import Source
from napari_clxem.xray import Correlation, fsc, reconstruct, round_mask, split

Progress = Callable[[float, str], None]
# Pixel sizes of two halves that differ by more than this share are not of one thing.
SAME = 1e-3
# Transmission below this is taken for this when its logarithm is needed.
DARKEST = 1e-3


@dataclass(frozen=True)
class Splitting:
    """How one tilt series becomes two tomograms.

    Attributes
    ----------
    tilts : tuple of float
        Degrees, one per image.
    transmission : bool
        Whether the values are transmission, and not optical density.
    thickness : int
        Voxels along z.
    iterations : int
    """

    tilts: tuple[float, ...]
    transmission: bool
    thickness: int
    iterations: int


@dataclass(frozen=True, eq=False)
class Resolved:
    """A correlation, and of what.

    Attributes
    ----------
    curve : Correlation
    names : tuple of str
        Of the layers.
    mask : str
        In words.
    notes : tuple of str
        What a reader must know besides the notes of the curve.
    ndim : int
        2 or 3.
    """

    curve: Correlation
    names: tuple[str, ...]
    mask: str
    notes: tuple[str, ...]
    ndim: int


def compare(one: Source, two: Source, masked: bool, progress: Progress) -> Resolved:
    """Correlate two layers.

    Raises
    ------
    ImageError
        Where they do not belong together.
    """
    checked_pair(one, two)
    progress(0.0, f"Reading {one.name}")
    first = np.asarray(one.data)
    progress(0.25, f"Reading {two.name}")
    second = np.asarray(two.data)
    curve = _correlated(first, second, one.spacing, masked, progress, 0.5)
    return Resolved(curve, (one.name, two.name), _mask_name(masked, one.ndim), (), one.ndim)


def checked_pair(one: Source, two: Source) -> None:
    """Raise where two layers are no halves of one thing."""
    if one.id == two.id:
        raise ImageError("Both halves are the same layer; choose two that were made apart.")
    if one.shape != two.shape or not np.allclose(one.spacing, two.spacing, rtol=SAME):
        raise ImageError(
            f"{one.name} ({_size(one)}) and {two.name} ({_size(two)}) differ in size; choose two "
            "halves of one tomogram."
        )


def halve(series: Source, how: Splitting, masked: bool, progress: Progress) -> Resolved:
    """Reconstruct every other tilt of a series, and correlate the two tomograms.

    Raises
    ------
    ImageError
        Where the series is no stack of images, or the tilts do not fit.
    """
    if series.ndim != 3:
        raise ImageError(f"{series.name} is one image; choose a tilt series, (tilts, y, x).")
    if len(how.tilts) != series.shape[0]:
        raise ImageError(
            f"{series.name} has {series.shape[0]} images, {len(how.tilts)} tilts are given; give "
            "one per image."
        )
    progress(0.0, f"Reading {series.name}")
    density, notes = optical_density(np.asarray(series.data, dtype=np.float32), how.transmission)
    step = series.spacing[1:]
    volumes = []
    for number, (part, tilts) in enumerate(split(density, how.tilts)):
        name = ("even", "odd")[number]

        def tell(share: float, _text: str, start: float = 0.45 * number, name: str = name) -> None:
            progress(0.05 + start + 0.4 * share, f"Reconstructing the {name} tilts")

        volumes.append(_half(part, tilts, step, how, tell))
    spacing = (step[1], step[0], step[1])
    curve = _correlated(volumes[0], volumes[1], spacing, masked, progress, 0.95)
    shared = "Halves of one series share its missing wedge and every fault of the alignment."
    names = (f"{series.name}, even tilts", "odd tilts")
    return Resolved(curve, names, _mask_name(masked, 3), (*notes, shared), 3)


def _half(part: Any, tilts: Floats, step: Any, how: Splitting, tell: Progress) -> Any:
    return reconstruct(
        part, tilts, step, thickness=how.thickness, iterations=how.iterations, progress=tell
    ).data


def optical_density(values: Any, transmission: bool) -> tuple[Any, tuple[str, ...]]:
    """Give optical density, and a note where something was too dark for it."""
    if not transmission:
        return values, ()
    dark = int((values < DARKEST).sum())
    notes = (f"{dark} pixels of transmission below {DARKEST:g} were raised to it.",) if dark else ()
    return -np.log(np.maximum(values, np.float32(DARKEST))), notes


def _correlated(
    one: Any, two: Any, spacing: Any, masked: bool, progress: Progress, share: float
) -> Correlation:
    mask = None
    if masked:
        progress(share, "Making the mask")
        mask = round_mask(one.shape, spacing)
    with warnings.catch_warnings():
        # what is warned of is among the notes of the curve, too
        warnings.simplefilter("ignore", ClxemWarning)
        curve = fsc(
            one,
            two,
            spacing,
            mask,
            progress=lambda part, text: progress(share + (0.2 + 0.8 * part) * (1 - share), text),
        )
    progress(1.0, "Correlated")
    return curve


def _mask_name(masked: bool, ndim: int) -> str:
    if not masked:
        return "whole box"
    return "soft sphere" if ndim == 3 else "soft disc"


def _size(one: Source) -> str:
    pixels = " × ".join(f"{n}" for n in one.shape)
    return f"{pixels}, {1e3 * one.spacing[-1]:.3g} nm"
