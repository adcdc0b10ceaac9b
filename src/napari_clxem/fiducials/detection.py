"""Finding beads in an image: which of the round bright or dark things are beads, and where."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_clxem.errors import Cancelled, ClxemError, MissingScaleError, PointsError
from napari_clxem.fiducials.appearance import Kind, Psf, may_be_blurred, profiles_of
from napari_clxem.fiducials.block_fits import BlockFits, Fitted
from napari_clxem.fiducials.candidates import find
from napari_clxem.fiducials.localisation import select
from napari_clxem.fiducials.profiles import Floats, Profile
from napari_clxem.fiducials.screening import TOO_WIDE, are_of_another_make, significance
from napari_clxem.fiducials.sizes import Geometry, geometry

Progress = Callable[[float, str], None]

_SAME = 0.3
"""Two fits nearer than this share of a diameter are one bead."""

_ALIKE, _BLUR = 0.15, 0.75
"""Logarithms by which widths of beads of one make differ at most, and blur may raise them."""

_FEW, _POPULATION, _MOST = 3, 0.1, 0.6
"""Candidates that may be beads in blurred light, and the share of all that have to be beads then,
without and with sharp beads beside them: cells are of any width, and some always are as wide as a
bead that is blurred enough.
"""


@dataclass(frozen=True)
class Rejected:
    """A candidate that is not a usable bead: where it is (d,) µm, why, and its filter SNR."""

    position: tuple[float, ...]
    reason: str
    snr: float


@dataclass(frozen=True, eq=False)
class Beads:
    """Beads found in an image, the most significant first.

    Parameters
    ----------
    positions : (n, d) ndarray
        Centres, µm, axes (z, y, x) or (y, x).
    sigma : (n, d) ndarray
        Standard deviation of each coordinate, µm.
    covariance : (n, d, d) ndarray
        Covariance of the positions, µm².
    snr : (n,) ndarray
        Peak above background over the noise of the pixel at the peak.
    diameter : (n,) ndarray
        Diameter of the bead with the blur taken off, µm.
    significance : (n,) ndarray
        Fitted amplitude over its own sd: what `threshold` is compared with.
    rejected : tuple of Rejected
        Candidates that did not pass, each with the reason.
    """

    positions: Floats
    sigma: Floats
    covariance: Floats
    snr: Floats
    diameter: Floats
    significance: Floats
    rejected: tuple[Rejected, ...] = ()

    def __len__(self) -> int:
        return len(self.positions)


def detect(
    image: Any,
    spacing: ArrayLike,
    diameter: float = 1.0,
    kind: Kind = "bright",
    threshold: float = 6.0,
    psf: Psf | None = None,
    *,
    progress: Progress | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> Beads:
    """Find beads of known diameter and locate them with their uncertainty.

    Parameters
    ----------
    image : array_like
        2D or 3D, axes (z, y, x) or (y, x); numpy, memmap or dask, which is read block by block,
        so that memory follows the blocks and not the image. NaN pixels are left out.
    spacing : float or sequence of float
        Pixel size along each axis, µm.
    diameter : float
        Diameter of the beads, µm.
    kind : {"bright", "dark"}
        Whether beads are brighter than their background (fluorescence, absorption tomogram) or
        darker (transmission image).
    threshold : float
        Least SNR: amplitude over its own sd, of the matched filter and of the fit. It means the
        same at any pixel size, bead size and modality.
    psf : float or (axial, lateral), optional
        Full width at half maximum of the blur, µm. Where it is not given, a few usual ones are
        tried, and from the one that fits best on it is measured on the image's beads, which may
        be up to 5 % wider or narrower than `diameter` demands.
    progress : callable, optional
        Called as ``progress(share, text)``, from 0 to 1.
    cancelled : callable, optional
        Asked several times per block; where it gives True, Cancelled is raised.

    Returns
    -------
    Beads

    Raises
    ------
    PointsError
        Where the image has not 2 or 3 axes of real numbers, or spacing does not go with it.
    MissingScaleError
        Where the spacing is not positive.
    Cancelled
        Where `cancelled` gave True.
    ClxemError
        Where another argument cannot be used.
    """
    image = image if hasattr(image, "shape") else np.asarray(image)
    steps = checked_image(image, spacing)
    _check_bead(diameter, kind, threshold, psf)
    if min(image.shape) == 0:
        return no_beads(len(steps))
    told = _Told(progress, cancelled)
    look = _Look(steps, diameter, kind, psf)
    found = _found(image, look, threshold, told)
    unsure = psf is None and may_be_blurred(steps, diameter, kind)
    if unsure and _mostly_too_wide(found[0]):
        blurred = _found(image, replace(look, blurred=True), threshold, told)
        if _are_beads(blurred[0], found[0]):
            found = blurred
    beads = _collect(*found)
    told.share = 1.0
    told("done")
    return beads


@dataclass(frozen=True)
class _Look:
    """What beads may look like; `blurred`: in light that resolves little."""

    spacing: tuple[float, ...]
    diameter: float
    kind: Kind
    psf: Psf | None
    blurred: bool = False

    def profiles(self, averaged: tuple[int, ...] = (1, 1, 1)) -> list[Profile]:
        """Give the profiles to choose from, where so many pixels are averaged."""
        return profiles_of(self.spacing, self.diameter, self.kind, self.psf, averaged, self.blurred)


def _found(image: Any, look: _Look, threshold: float, told: _Told) -> tuple[Fitted, Geometry]:
    """Find what may be beads of a look."""
    usual = look.profiles()[0]
    sign = 1.0 if look.kind == "bright" else -1.0
    shape = geometry(look.spacing, look.diameter, usual, sign)
    told("searching for beads")
    fits = BlockFits(look.profiles(shape.fine), shape, threshold, image, told)
    for share, searched in find(image, usual, shape, threshold):
        told(f"fitting {len(searched.found.snr)} candidates")
        fits.add(searched)
        told.share = max(told.share, 0.99 * share)
        told("searching for beads")
    return fits.close(), shape


def _mostly_too_wide(fitted: Fitted) -> bool:
    """Tell whether candidates wider than a bead, alike or in great number, are all there is."""
    wide, good = fitted.answers == TOO_WIDE, int(np.sum(fitted.answers == ""))
    if wide.sum() < max(_FEW, good):
        return False
    widths = np.log(fitted.fits.width[wide, 0])
    typical = float(np.median(widths))
    alike = typical < _BLUR and np.mean(np.abs(widths - typical) < _ALIKE) > _MOST
    return bool(good < _POPULATION * wide.sum() or alike)


def _are_beads(blurred: Fitted, sharp: Fitted) -> bool:
    """Tell whether what would be beads in blurred light are more than chance and sharp ones."""
    good, before = np.flatnonzero(blurred.answers == ""), int(np.sum(sharp.answers == ""))
    share = _POPULATION if before < _FEW else _MOST
    enough = len(good) >= max(1.5 * before, 1.0, share * len(blurred.answers))
    return enough and not are_of_another_make(select(blurred.fits, good))


class _Told:
    """Passes on how far the search is, and ends it where that is asked for."""

    def __init__(self, progress: Progress | None, cancelled: Callable[[], bool] | None) -> None:
        self.share = 0.0
        self._progress, self._cancelled = progress, cancelled

    def __call__(self, text: str) -> None:
        if self._cancelled is not None and self._cancelled():
            raise Cancelled("The search for beads was stopped; none are given.")
        if self._progress is not None:
            self._progress(self.share, text)


def no_beads(ndim: int) -> Beads:
    """Give the answer where there is no bead, in an image of `ndim` axes."""
    none = np.zeros(0)
    return Beads(
        np.zeros((0, ndim)), np.zeros((0, ndim)), np.zeros((0, ndim, ndim)), none, none, none
    )


def checked_image(image: Any, spacing: ArrayLike) -> tuple[float, ...]:
    """Check image and spacing and give the spacing, one value per axis."""
    ndim = len(image.shape)
    if ndim not in (2, 3):
        raise PointsError(
            f"Beads are looked for in an image of 2 or 3 axes, and this one has shape "
            f"{tuple(image.shape)}; choose one channel and time point."
        )
    if np.dtype(image.dtype).kind not in "buif":
        raise PointsError(f"Pixels of type {image.dtype} cannot hold beads; give real numbers.")
    steps = tuple(float(s) for s in np.atleast_1d(np.asarray(spacing, float)).ravel())
    steps = steps * ndim if len(steps) == 1 else steps
    if len(steps) != ndim:
        raise PointsError(
            f"The image has {ndim} axes and the spacing {len(steps)} values; give one per axis."
        )
    if not all(np.isfinite(s) and s > 0 for s in steps):
        raise MissingScaleError(
            f"A spacing of {steps} µm is not usable; give the pixel size along each axis."
        )
    return steps


def _check_bead(diameter: float, kind: str, threshold: float, psf: Psf | None) -> None:
    if not (np.isfinite(diameter) and diameter > 0):
        raise ClxemError(f"A bead has no diameter of {diameter} µm; give a positive one.")
    if kind not in ("bright", "dark"):
        raise ClxemError(f"Beads are 'bright' or 'dark', not {kind!r}.")
    if not threshold > 0:
        raise ClxemError(f"A threshold of {threshold} lets everything pass; give a positive SNR.")
    if psf is None:
        return
    widths = np.atleast_1d(np.asarray(psf, float))
    if widths.shape not in ((1,), (2,)) or not np.all((widths > 0) & np.isfinite(widths)):
        raise ClxemError(
            f"A psf of {psf} is not usable; give its full width at half maximum in µm, or two: "
            "along the axis and across."
        )


def _inflation(lopsided: Floats) -> Floats:
    """Factor on each bead's covariance for noise beyond that of independent pixels.

    A bead's own few patterns scatter by half as much again, so only where they say more than that
    do they count beside the image's typical bead.
    """
    typical = max(1.0, float(np.median(lopsided))) if len(lopsided) else 1.0
    factor: Floats = np.where(lopsided > 2.0 * typical, (lopsided + typical) / 2.0, typical)
    return factor


def _collect(fitted: Fitted, shape: Geometry) -> Beads:
    """Put the beads together; one found twice is given once."""
    if not len(fitted.snr):
        return no_beads(len(shape.spacing))
    fits, answers = fitted.fits, fitted.answers
    strength = np.abs(significance(fits))
    order = np.argsort(-strength, kind="stable")
    order = order[answers[order] == ""]
    twice = _seen_before(fits.positions[order], _SAME * shape.diameter)
    answers[order[twice]] = "the same bead as a stronger candidate"
    dropped = [
        Rejected(tuple(place), str(reason), snr)
        for place, reason, snr in zip(
            fitted.positions.tolist(), answers, fitted.snr.tolist(), strict=True
        )
        if reason
    ]
    dropped += [Rejected(*some) for some in fitted.weaker]
    keep = order[~twice]
    best = select(fits, keep)
    covariance = best.covariance * _inflation(best.lopsided)[:, None, None]
    return Beads(
        positions=best.positions,
        sigma=np.sqrt(np.einsum("ndd->nd", covariance)),
        covariance=covariance,
        snr=np.abs(best.amplitude) / best.noise / np.sqrt(np.prod(shape.fine)),
        diameter=fitted.profile.diameter(best.width[:, 0]),
        significance=strength[keep],
        rejected=tuple(sorted(dropped, key=lambda some: -some.snr)),
    )


def _seen_before(positions: Floats, near: float) -> NDArray[np.bool_]:
    """Tell which positions are nearer than `near` to an earlier one that is not so itself."""
    from scipy.spatial import cKDTree

    twice = np.zeros(len(positions), dtype=bool)
    if len(positions) > 1:
        pairs = cKDTree(positions).query_pairs(near, output_type="ndarray")
        for first, second in pairs[np.lexsort(pairs.T[::-1])]:
            twice[second] |= not twice[first]
    return twice
