"""From counts to transmission to optical density, and the sharpening of transmission images."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_clxem.errors import ImageError
from napari_clxem.xray.masks import per_axis
from napari_clxem.xray.telling import Asked, Progress, Teller

Floats = NDArray[np.floating[Any]]

#: Transmission below this is set to it: the logarithm of noise about zero says nothing.
FLOOR = 1e-3
#: A transmission above this is more than noise about one.
CEILING = 1.1


@dataclass(frozen=True, eq=False)
class Transmission:
    """A normalised series, and what had to be done to its pixels.

    Attributes
    ----------
    data : (n, ny, nx) or (ny, nx) float32 array
        Transmission, 1 without specimen; never below `FLOOR`.
    clipped : (n,) array of int
        Pixels per image at or below zero, or below `FLOOR`, which were set to it.
    above : (n,) array of int
        Pixels per image above `CEILING`; left as they are.
    filled : (n,) array of int
        Pixels per image without a value (dead in the flats, or no number), taken from neighbours.
    notes : tuple of str
        What a user should know of the above.
    """

    data: NDArray[np.float32]
    clipped: NDArray[np.int64]
    above: NDArray[np.int64]
    filled: NDArray[np.int64]
    notes: tuple[str, ...]

    @property
    def optical_density(self) -> NDArray[np.float32]:
        """Optical density -ln T: absorption summed along the beam."""
        return np.asarray(-np.log(self.data), dtype=np.float32)


def normalise(
    images: Any,
    flats: Any,
    darks: Any = None,
    *,
    exposure: ArrayLike | None = None,
    flat_exposure: ArrayLike | None = None,
    current: ArrayLike | None = None,
    flat_current: ArrayLike | None = None,
    tolerated: float = 0.5,
    progress: Progress | None = None,
    cancelled: Asked | None = None,
) -> Transmission:
    """Normalise X-ray images by flat fields: counts per time and beam current over the same.

    ``T = (I - D) / (t c) : mean((F - D) / (t_F c_F))``

    Parameters
    ----------
    images : (n, ny, nx) or (ny, nx) array_like
        Counts, read one image at a time (numpy, dask ...).
    flats : (m, ny, nx) or (ny, nx) array_like
        Counts without specimen.
    darks : (k, ny, nx), (ny, nx) array_like or number, optional
        Counts without beam; their mean is taken off both. By default 0.
    exposure, flat_exposure : float or one per image, optional
        Exposure times, any one unit; both or neither.
    current, flat_current : float or one per image, optional
        Beam current of the storage ring, any one unit; both or neither.
    tolerated : float
        Share of an image's pixels that may be without transmission, or above 1.1, before the
        images are refused.
    progress, cancelled : callable, optional
        Called as ``progress(share, text)``; asked before each image, and Cancelled raised where it
        gives True.

    Returns
    -------
    Transmission

    Raises
    ------
    ImageError
        Where flats are missing or do not fit, exposure or current is given for one side only or
        is not positive, or an image is clipped or above 1 in bulk.
    """
    if flats is None:
        raise ImageError(
            "There are no flat fields, so no transmission can be worked out; give flats taken at "
            "the same energy."
        )
    stack = images if hasattr(images, "shape") else np.asarray(images)
    single = len(stack.shape) == 2
    if single:
        stack = stack[None]
    if len(stack.shape) != 3:
        raise ImageError(f"Images have axes (n, y, x), not the {len(stack.shape)} given.")
    plane = tuple(stack.shape[1:])
    dark = _mean(darks, plane, "darks") if darks is not None else np.zeros(plane)
    flat = _flat(flats, dark, plane, (flat_exposure, exposure), (flat_current, current))
    scale = _per_image(exposure, stack.shape[0], "exposure time") * _per_image(
        current, stack.shape[0], "beam current"
    )
    data = np.empty(stack.shape, np.float32)
    counts = np.zeros((3, stack.shape[0]), dtype=np.int64)
    tell = Teller(progress, cancelled, "The normalisation")
    for index in range(stack.shape[0]):
        tell(index / stack.shape[0], f"Image {index + 1} of {stack.shape[0]}")
        values = (np.asarray(stack[index], dtype=float) - dark) / scale[index]
        with np.errstate(invalid="ignore", divide="ignore"):
            values = values / flat
        counts[:, index], data[index] = _cleaned(values, index, tolerated)
    tell(1.0, "Normalised")
    clipped, above, filled = counts
    return Transmission(
        data[0] if single else data, clipped, above, filled, _notes(counts, data.size)
    )


def wiener(
    images: ArrayLike,
    spacing: float | tuple[float, float],
    mtf: Callable[[Floats], Floats] | tuple[ArrayLike, ArrayLike],
    snr: float,
    *,
    progress: Progress | None = None,
    cancelled: Asked | None = None,
) -> NDArray[np.float32]:
    """Sharpen transmission images by a Wiener filter, keeping their mean.

    ``W = MTF / (MTF² + 1/SNR)`` times ``1 + 1/SNR``, so that ``W(0) = 1``: without that factor
    every absorption, and so every mass, would come out too small by it. Meant for transmission,
    which is what an incoherent microscope blurs, before the logarithm (Otón et al. 2016, J.
    Synchrotron Rad. 23:1150). Edges are mirrored, so that opposite borders do not meet.

    Parameters
    ----------
    images : (..., ny, nx) array_like
        Transmission.
    spacing : float or (y, x)
        Pixel size, µm.
    mtf : callable or (frequency, value)
        Modulation transfer: a function of radial frequency in 1/µm such as
        ``zone_plate_mtf(0.04)``, or a measured curve, 0 beyond its end.
    snr : float
        Power of the signal over that of the noise.
    progress, cancelled : callable, optional
        As in :func:`normalise`.

    Returns
    -------
    array of the shape of `images`, float32

    Raises
    ------
    ImageError
        Where the signal-to-noise ratio is not positive or the curve is not a transfer function.
    """
    from scipy import fft

    array = np.asarray(images, dtype=np.float32)
    if array.ndim < 2 or not np.isfinite(array).all():
        raise ImageError("Only images (..., y, x) without NaN can be sharpened; fill them first.")
    if not snr > 0:
        raise ImageError(f"A signal-to-noise ratio of {snr:g} is not positive; give one above 0.")
    step = per_axis(spacing, 2)
    ny, nx = array.shape[-2:]
    frequency = np.hypot(
        np.fft.fftfreq(2 * ny, step[0])[:, None], np.fft.rfftfreq(2 * nx, step[1])[None]
    )
    transfer = _transfer(mtf, frequency)
    gain = ((1 + 1 / snr) * transfer / (transfer**2 + 1 / snr)).astype(np.float32)
    out = np.empty_like(array)
    tell, count = Teller(progress, cancelled, "The sharpening"), int(np.prod(array.shape[:-2]))
    for done, index in enumerate(np.ndindex(*array.shape[:-2])):
        tell(done / count, f"Image {done + 1} of {count}")
        mirrored = np.pad(array[index], ((0, ny), (0, nx)), mode="symmetric")
        out[index] = fft.irfft2(fft.rfft2(mirrored) * gain, s=mirrored.shape)[:ny, :nx]
    return out


def zone_plate_mtf(outermost_zone: float) -> Callable[[Floats], Floats]:
    """Give the transfer of an ideal zone plate in incoherent light.

    Parameters
    ----------
    outermost_zone : float
        Width of the outermost zone, µm; transfer ends at its inverse (the numerical aperture is
        half the wavelength over it).

    Returns
    -------
    callable
        Of spatial frequency, 1/µm: ``2/π (arccos s - s √(1 - s²))``, s the share of the cut-off
        (Goodman, Introduction to Fourier Optics, 6.4).
    """
    if not outermost_zone > 0:
        raise ImageError(f"An outermost zone of {outermost_zone:g} µm is not a width.")

    def transfer(frequency: Floats) -> Floats:
        share = np.clip(np.asarray(frequency, dtype=float) * outermost_zone, 0.0, 1.0)
        return np.asarray(2 / np.pi * (np.arccos(share) - share * np.sqrt(1 - share**2)))

    return transfer


def _transfer(
    mtf: Callable[[Floats], Floats] | tuple[ArrayLike, ArrayLike], frequency: Floats
) -> Floats:
    if callable(mtf):
        transfer = np.asarray(mtf(frequency), dtype=float)
    else:
        at, value = (np.asarray(part, dtype=float) for part in mtf)
        if at.ndim != 1 or at.shape != value.shape or len(at) < 2 or (np.diff(at) <= 0).any():
            raise ImageError(
                "The measured MTF needs rising frequencies (1/µm) and one value for each."
            )
        transfer = np.interp(frequency, at, value, right=0.0)
    origin = float(transfer.flat[0])
    if not np.isfinite(transfer).all() or not 0.9 <= origin <= 1.1:
        raise ImageError(
            f"The MTF is {origin:g} at frequency 0; give one that is 1 there and finite everywhere."
        )
    return transfer / origin


def _flat(flats: Any, dark: Floats, plane: tuple[int, ...], times: Any, currents: Any) -> Floats:
    """Give the mean flat per time and current; NaN where the detector is dead."""
    stack = np.asarray(flats, dtype=float)
    stack = stack[None] if stack.ndim == 2 else stack
    if stack.ndim != 3 or stack.shape[1:] != plane or not len(stack):
        raise ImageError(
            f"The flats have shape {np.shape(flats)}, the images {plane}; give flats of that size."
        )
    scale = np.ones(len(stack))
    for (given, other), name in ((times, "exposure time"), (currents, "beam current")):
        if (given is None) != (other is None):
            here, there = ("images", "flats") if given is None else ("flats", "images")
            raise ImageError(
                f"The {name} is given for the {here} but not for the {there}; give both or neither."
            )
        scale = scale * _per_image(given, len(stack), f"{name} of the flats")
    flat = ((stack - dark) / scale[:, None, None]).mean(axis=0)
    flat = np.where(np.isfinite(flat) & (flat > 0), flat, np.nan)
    dead = float(np.isnan(flat).mean())
    if dead > 0.5:
        raise ImageError(
            f"The flats hold no signal in {dead:.0%} of their pixels; check flats and darks."
        )
    return np.asarray(flat)


def _mean(images: Any, plane: tuple[int, ...], name: str) -> Floats:
    stack = np.asarray(images, dtype=float)
    if stack.ndim == 0:
        return np.full(plane, float(stack))
    stack = stack[None] if stack.ndim == 2 else stack
    if stack.ndim != 3 or stack.shape[1:] != plane or not np.isfinite(stack).all():
        raise ImageError(
            f"The {name} have shape {np.shape(images)}, the images {plane}, or hold NaN; give "
            f"{name} of that size."
        )
    return np.asarray(stack.mean(axis=0))


def _per_image(value: ArrayLike | None, images: int, name: str) -> Floats:
    if value is None:
        return np.ones(images)
    given = np.asarray(value, dtype=float)
    if given.size not in (1, images):
        raise ImageError(f"There are {images} images but {given.size} values of {name}.")
    if not (np.isfinite(given).all() and (given > 0).all()):
        raise ImageError(f"The {name} is not positive everywhere; correct it or leave it out.")
    return np.asarray(np.broadcast_to(given.ravel(), (images,)))


def _cleaned(
    values: Floats, index: int, tolerated: float
) -> tuple[tuple[int, int, int], NDArray[np.float32]]:
    """Count and replace what is not a transmission in one image."""
    unknown = ~np.isfinite(values)
    if unknown.any():
        if unknown.all():
            raise ImageError(f"Image {index} holds no number at all; leave it out.")
        values = _filled(values, unknown)
    low, high = values < FLOOR, values > CEILING
    for share, what in (
        (low.mean(), "no transmission (0 or less)"),
        (high.mean(), f"a transmission above {CEILING:g}"),
    ):
        if share > tolerated:
            raise ImageError(
                f"Image {index} has {what} in {share:.0%} of its pixels; check that flats, darks, "
                "exposure times and beam current belong to it."
            )
    counted = (int(low.sum()), int(high.sum()), int(unknown.sum()))
    return counted, np.maximum(values, FLOOR).astype(np.float32)


def _filled(values: Floats, unknown: NDArray[np.bool_]) -> Floats:
    """Fill pixels with the nearest known one."""
    from scipy.ndimage import distance_transform_edt

    nearest = distance_transform_edt(unknown, return_distances=False, return_indices=True)
    return np.asarray(values[tuple(nearest)])


def _notes(counts: NDArray[np.int64], size: int) -> tuple[str, ...]:
    said = (
        "had no transmission and were set to the floor",
        f"lie above a transmission of {CEILING:g}",
        "had no value and were filled from their neighbours",
    )
    return tuple(
        f"{total} pixels ({total / size:.2%}) in {int((each > 0).sum())} of {len(each)} images "
        f"{text}; most, {int(each.max())}, in image {int(each.argmax())}."
        for each, text in zip(counts, said, strict=True)
        if (total := int(each.sum()))
    )
