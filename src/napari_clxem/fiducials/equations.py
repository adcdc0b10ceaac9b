"""Fits of many windows at once: compiled, or by NumPy while the compiler works."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from napari_clxem.fiducials import compiling, plain_fits
from napari_clxem.fiducials.modelling import (
    FLAT,
    SLACK,
    STIFF,
    STILL,
    WIDEST,
    WIDTH_SD,
    Flags,
    Indices,
    Layout,
    NoiseModel,
    Windows,
)
from napari_clxem.fiducials.profiles import Floats, Profile
from napari_clxem.fiducials.residuals import Remains, pattern_degrees, remains_of

_PART = 32
"""Windows that a thread takes at a time."""

_SETTLED = 0.15
"""Last step, in sd, of fits that count as settled."""


@dataclass(frozen=True)
class Solution:
    """Fitted parameters of n windows.

    Parameters
    ----------
    parameters : (n, p) ndarray
    converged : (n,) ndarray of bool
    normal : (n, p, p) ndarray
        Normal matrix at the solution, the width prior included.
    cost : (n,) ndarray
        Squared residuals over their variances.
    models : (n or 0, m) ndarray
        Expected pixels, where they were asked for.
    """

    parameters: Floats
    converged: Flags
    normal: Floats
    cost: Floats
    models: Floats


class Equations:
    """What is to be fitted to windows, and how it is solved.

    Parameters
    ----------
    profile : Profile
        What a bead looks like.
    windows : Windows
        n windows of m pixels.
    layout : Layout
        Which parameter sits where.
    noise : NoiseModel
        Variance of a pixel.
    """

    def __init__(
        self, profile: Profile, windows: Windows, layout: Layout, noise: NoiseModel
    ) -> None:
        self.profile, self.windows, self.layout, self.noise = profile, windows, layout, noise
        self.degrees = pattern_degrees(layout.ndim)
        self._half = np.abs(windows.offsets).max(axis=(0, 2)).astype(float)

    def solve(
        self, start: Floats, leash: Floats, passes: Sequence[tuple[int, int]], keep: bool
    ) -> Solution:
        """Fit from the centres of `start` (n, p), in passes of so many pixels and steps.

        `keep` asks for the models.
        """
        n, wide = len(start), self.layout.size + 1
        kernels = compiling.ready("fit_kernels")
        if kernels is None:
            now, normal, last, models = plain_fits.fit(
                self.profile, self.windows, self.layout, self.noise, start, leash, passes
            )
        else:
            now, normal, last = np.empty_like(start), np.empty((n, wide, wide)), np.empty(n)
            models = np.empty((n if keep else 0, self.windows.data.shape[1]), np.float32)
            limits = np.array([WIDTH_SD, WIDEST, SLACK, FLAT, STILL, STIFF])
            steps = np.array(passes, dtype=np.int64)
            bound = np.ascontiguousarray(leash, dtype=float)

            def job(rows: Indices) -> None:
                kernels.fit(
                    *self._singles, rows, start, self.layout.beads, self._tables,
                    self.profile.step, self._line, steps, limits, bound, now, normal, last, models,
                )  # fmt: skip

            compiling.spread(job, self._parts(n))
        prior = np.zeros(self.layout.size)
        prior[self.layout.first_width : self.layout.first_background] = WIDTH_SD**-2
        return Solution(
            now, last < _SETTLED, normal[:, :-1, :-1] + np.diag(prior), normal[:, -1, -1], models
        )

    def remains(self, solution: Solution, rows: Indices) -> Remains:
        """Compare some windows with what was fitted to them."""
        return remains_of(self.windows.take(rows), solution.models[rows], self.noise)

    def leftovers(self, parameters: Floats, bead: int) -> tuple[Floats, Floats, Floats]:
        """Give the normal equations with smooth patterns and ovalness about a bead.

        Returns
        -------
        normal : (n, p + k + 3, p + k + 3) ndarray
        valid, lobe : (n,) ndarray
            Valid pixels, and the sum over them of the bead of unit peak.
        """
        kernels = compiling.ready("fit_kernels")
        if kernels is None:
            return plain_fits.leftovers(
                self.profile, self.windows, self.layout, self.noise, parameters, bead,
                self.degrees, self._half,
            )  # fmt: skip
        n, wide = len(parameters), self.layout.size + len(self.degrees) + 3
        normal, sums = np.empty((n, wide, wide)), np.empty((n, 3))

        def job(rows: Indices) -> None:
            kernels.leftovers(
                *self._singles, rows, parameters, self.layout.beads, self._tables,
                self.profile.step, self._line, bead, self.degrees, self._half, normal, sums,
            )  # fmt: skip

        compiling.spread(job, self._parts(n))
        return normal, sums[:, 1], sums[:, 2]

    @staticmethod
    def _parts(count: int) -> list[Indices]:
        rows = np.arange(count, dtype=np.int64)
        return [rows[first : first + _PART] for first in range(0, count, _PART)]

    @cached_property
    def _singles(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Pixels and where they are, as kernels take them."""
        return (
            np.ascontiguousarray(self.windows.data, dtype=np.float32),
            np.ascontiguousarray(self.windows.offsets, dtype=np.float32),
        )

    @cached_property
    def _tables(self) -> NDArray[np.float32]:
        """The profile's tables (3, nz, nr): value, radial and axial derivative."""
        tables = (self.profile.values, self.profile.radial, self.profile.axial)
        return np.ascontiguousarray(np.stack(tables), dtype=np.float32)

    @cached_property
    def _line(self) -> Floats:
        return np.array([self.noise.offset, self.noise.gain, self.noise.floor])
