"""Candidates fitted block by block, so that their windows never pile up.

How beads look in the image - profile and noise - is settled once, on the strongest candidates of
the whole image or, in a large one, of the first blocks that hold enough. The blocks follow from
the image's shape alone, and so does all that is found in them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_clxem.fiducials.appearance import best_profile
from napari_clxem.fiducials.candidates import Candidates, Searched
from napari_clxem.fiducials.localisation import (
    BeadFits,
    concatenate,
    fit_all,
    fit_and_compare,
    replace_rows,
    select,
)
from napari_clxem.fiducials.modelling import Flags, Layout, NoiseModel, Windows
from napari_clxem.fiducials.neighbours import Groups, fit_groups, part
from napari_clxem.fiducials.noise import noise_line
from napari_clxem.fiducials.profiles import Floats, Profile
from napari_clxem.fiducials.residuals import measure_noise
from napari_clxem.fiducials.screening import is_saturated, reasons
from napari_clxem.fiducials.sizes import Geometry

_HELD = 1.28e8
"""Bytes of windows that wait until it is settled how beads look."""

_CELLS = 20_000
"""Noise cells of a block that say enough of it."""

_SAMPLE = 150
"""Beads on which noise is measured."""

_ROUGH = 400
_WIDER = 0.25
"""Pixels of a first fit, and the logarithm of the width from which on there is no second."""

Weak = tuple[tuple[float, ...], str, float]


@dataclass(frozen=True)
class Fitted:
    """Candidates with their fits.

    Parameters
    ----------
    fits : BeadFits
        One row per candidate.
    positions : (n, d) ndarray
        Where the filter has its maximum, µm.
    snr : (n,) ndarray
        Of the filter.
    answers : (n,) ndarray of str
        Why it is no bead; empty where it is one.
    weaker : list of (position, reason, SNR)
        Candidates that were not fitted.
    profile : Profile
        What was fitted.
    """

    fits: BeadFits
    positions: Floats
    snr: Floats
    answers: NDArray[np.object_]
    weaker: list[Weak]
    profile: Profile


@dataclass(frozen=True)
class _Screened:
    """Candidates after a first fit to some of their pixels, and what to fit in full."""

    found: Candidates
    rough: BeadFits
    likely: NDArray[np.intp]
    windows: Windows
    groups: Groups

    @property
    def starts(self) -> Floats:
        """Where fits of the likely ones start, from the windows' centres (n, 1, d)."""
        away: Floats = (self.found.positions[self.likely] - self.windows.centres)[:, None, :]
        return away


@dataclass(frozen=True)
class _Appearance:
    profile: Profile
    noise: NoiseModel


class BlockFits:
    """Takes searched blocks, one after another, and fits what they hold.

    Parameters
    ----------
    profiles : list of Profile
        To choose from, the usual one first.
    shape : Geometry
        Sizes of bead and pixel.
    threshold : float
        Least significance.
    image : array_like
        Its shape and type are looked at.
    told : callable
        Told what is being done, between two steps of it.
    """

    def __init__(
        self,
        profiles: list[Profile],
        shape: Geometry,
        threshold: float,
        image: Any,
        told: Callable[[str], None],
    ) -> None:
        self._profiles, self._shape, self._threshold = profiles, shape, threshold
        self._size, self._dtype = tuple(image.shape), np.dtype(image.dtype)
        self._told = told
        self._leash = 0.6 * np.maximum(np.array(shape.sigma), 0.5 * shape.diameter)
        self._waiting: list[Candidates] = []
        self._cells: list[tuple[Floats, Floats]] = []
        self._top = -np.inf
        self._done: list[tuple[BeadFits, NDArray[np.object_], Candidates]] = []
        self._weaker: list[Weak] = []
        self._first: NoiseModel | None = None
        self._look: _Appearance | None = None

    def add(self, searched: Searched) -> None:
        """Take a block."""
        self._top = max(self._top, searched.top)
        reason = f"weaker than {searched.most} other candidates"
        self._weaker += [(place, reason, snr) for place, snr in searched.weaker]
        if self._first is None:
            thin = slice(None, None, max(1, len(searched.level) // _CELLS))
            self._cells.append((searched.level[thin], searched.variance[thin]))
        if len(searched.found.snr):
            self._waiting.append(searched.found)
        held = sum(some.windows.data.nbytes for some in self._waiting)
        if self._look is not None or held > _HELD:
            self._fit_waiting()

    def close(self) -> Fitted:
        """Fit what still waits and give all."""
        self._fit_waiting()
        ndim = len(self._shape.spacing)
        profile = self._profiles[0] if self._look is None else self._look.profile
        if not self._done:
            nothing = np.zeros(0)
            fits = BeadFits.nothing(ndim)
            return Fitted(
                fits, np.zeros((0, ndim)), nothing, nothing.astype(object), self._weaker, profile
            )
        answers = np.concatenate([answers for _, answers, _ in self._done])
        clipped = [is_saturated(found, self._shape, self._top) for _, _, found in self._done]
        answers[np.concatenate(clipped)] = "saturated"
        return Fitted(
            concatenate([fits for fits, _, _ in self._done]),
            np.concatenate([found.positions for _, _, found in self._done]),
            np.concatenate([found.snr for _, _, found in self._done]),
            answers,
            self._weaker,
            profile,
        )

    def _fit_waiting(self) -> None:
        if not self._waiting:
            return
        if self._first is None:
            self._first = self._pixel_noise()
            self._cells = []
        screened = []
        while self._waiting:
            self._told("telling candidates from what is far too wide")
            screened.append(self._screen(self._waiting.pop(0), self._first))
        if self._look is None:
            self._look = self._appearance(screened, self._first)
        while screened:
            self._told("fitting beads")
            self._fit(screened.pop(0), self._look)

    def _pixel_noise(self) -> NoiseModel:
        """Noise of the averaged pixels, at least that of rounding to the image's type."""
        rounding = 1.0 / 12.0
        if self._dtype.kind == "f":
            largest = [np.nanmax(np.abs(s.windows.data), initial=1e-30) for s in self._waiting]
            rounding = (1e-6 * float(max(largest))) ** 2
        level, variance = (np.concatenate(some) for some in zip(*self._cells, strict=True))
        noise = noise_line(level, variance, rounding)
        pixels = float(np.prod(self._shape.fine))
        return NoiseModel(noise.offset / pixels, noise.gain / pixels, noise.floor / pixels)

    def _screen(self, found: Candidates, noise: NoiseModel) -> _Screened:
        """Fit candidates on some of their pixels and tell which may be beads.

        Cells give more candidates than beads do, and most are far too wide.
        """
        thin = found.thinned(_ROUGH)
        windows, _ = part(thin, self._shape.sigma)
        starts = (thin.positions - windows.centres)[:, None, :]
        rough = fit_all(self._profiles[0], windows, starts, noise, self._leash, rough=True)
        away = np.log(rough.width[:, 0]) - 3.0 * rough.width_sd[:, 0]
        likely = np.flatnonzero(away < _WIDER)
        windows, groups = part(found.take(likely), self._shape.sigma)
        return _Screened(found, rough, likely, windows, groups)

    def _appearance(self, screened: list[_Screened], noise: NoiseModel) -> _Appearance:
        """Choose a profile, and measure the noise, on the strongest beads."""
        usual = self._profiles[0]
        screened = [some for some in screened if len(some.likely)]
        if not screened:
            return _Appearance(usual, noise)
        block = np.concatenate([np.full(len(s.likely), k) for k, s in enumerate(screened)])
        row = np.concatenate([np.arange(len(s.likely)) for s in screened])
        snr = np.concatenate([s.found.snr[s.likely] for s in screened])
        own = np.concatenate([s.found.own[s.likely] for s in screened])
        best = np.argsort(np.where(own, -snr, np.inf), kind="stable")[: min(_SAMPLE, own.sum())]
        if not len(best):
            return _Appearance(usual, noise)
        places = [(screened[block[i]], int(row[i])) for i in best]
        windows = Windows(
            np.stack([some.windows.data[i] for some, i in places]),
            screened[0].windows.offsets,
            np.stack([some.windows.centres[i] for some, i in places]),
            screened[0].windows.pixel,
        )
        starts = np.stack([some.starts[i] for some, i in places])
        profile = best_profile(self._profiles, windows, noise, self._leash)
        fits, remains = fit_and_compare(profile, windows, starts, noise, self._leash)
        answers = reasons(fits, self._flags(windows), self._shape, self._threshold, self._size)
        saturated = np.array(
            [
                bool(is_saturated(some.found.take(some.likely[[i]]), self._shape, self._top)[0])
                for some, i in places
            ]
        )
        good = np.flatnonzero((answers == "") & ~saturated)
        if len(good):
            noise = measure_noise(remains(good), noise, Layout(1, len(self._size)).size)
        return _Appearance(profile, noise)

    @staticmethod
    def _flags(windows: Windows) -> Flags:
        """Tell which windows have all their pixels."""
        return np.asarray(np.isfinite(windows.data).all(axis=1))

    def _fit(self, some: _Screened, look: _Appearance) -> None:
        """Fit the likely candidates of a block in full."""
        fits = some.rough
        if len(some.likely):
            rows = np.arange(len(some.likely))
            lone = np.setdiff1d(rows, [row for group in some.groups for row in group])
            lone = lone.astype(np.intp)
            full = select(fits, some.likely)
            if len(lone):
                alone = fit_all(
                    look.profile, some.windows.take(lone), some.starts[lone], look.noise,
                    self._leash,
                )  # fmt: skip
                full = replace_rows(full, lone, alone)
            own = some.found.own[some.likely]
            groups = [group for group in some.groups if own[group].any()]
            full = fit_groups(full, some.windows, groups, look.profile, look.noise, self._leash)
            fits = replace_rows(fits, some.likely, full)
        whole = self._flags(some.found.windows)
        answers = reasons(fits, whole, self._shape, self._threshold, self._size)
        own_rows = np.flatnonzero(some.found.own)
        self._done.append(
            (select(fits, own_rows), answers[own_rows], some.found.take(own_rows).bare())
        )
