"""The normal equations of many windows at once: compiled, or by NumPy while the compiler works."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_clxem.fiducials import compiling
from napari_clxem.fiducials.modelling import (
    Layout,
    NoiseModel,
    Windows,
    evaluate,
    patterns,
    solve,
)
from napari_clxem.fiducials.profiles import Floats, Profile
from napari_clxem.fiducials.residuals import Remains, pattern_degrees, remains_of

Rows = NDArray[np.intp]

_PART = 64
"""Windows that a thread takes at a time."""


class Equations:
    """Normal equations of windows, and the models that were accepted.

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

    Attributes
    ----------
    cost : (n,) ndarray
        Squared residuals over their variances, of the accepted parameters.
    """

    def __init__(
        self, profile: Profile, windows: Windows, layout: Layout, noise: NoiseModel
    ) -> None:
        self.layout, self.noise = layout, noise
        self.degrees = pattern_degrees(layout.ndim)
        self._profile = profile
        self._windows = Windows(
            np.ascontiguousarray(windows.data, dtype=float),
            np.ascontiguousarray(windows.offsets, dtype=float),
            windows.centres,
            windows.pixel,
        )
        self._half = np.abs(windows.offsets).max(axis=(0, 2))
        # Two models of each window, and which of them was accepted.
        self._models = np.zeros((2, *windows.data.shape))
        self.cost = np.full(len(windows.data), np.nan)
        self._side = np.zeros(len(windows.data), dtype=np.intp)

    def linear(self, start: Floats, rows: Rows, most: int) -> Floats:
        """Least squares for amplitudes and background at the centres of `start` (n, p).

        `most` pixels of each window are looked at.
        """
        parameters = start.copy()
        linear = [self.layout.amplitude(k) for k in range(self.layout.beads)]
        parameters[:, linear] = 1.0
        linear += list(range(self.layout.first_background, self.layout.size))
        normal, _ = self._gather(parameters, rows, whole=True, most=most)
        parameters[:, linear] = solve(normal[:, linear][:, :, linear], normal[:, linear, -1])
        return parameters

    def at(self, parameters: Floats, rows: Rows, most: int) -> tuple[Floats, Floats]:
        """Give bordered normal equations at `parameters`, and the cost under the accepted weights.

        `most` pixels of each window are looked at.

        Returns
        -------
        normal : (n, p + 1, p + 1) ndarray
            Normal matrix, bordered by gradient and cost; of the given rows only.
        cost : (n,) ndarray
            Squared residuals by the variances of the model accepted before.
        """
        normal, sums = self._gather(parameters, rows, most=most)
        return normal, sums[:, 0]

    def accept(self, rows: Rows) -> None:
        """Keep the models of the last parameters for some rows."""
        self._side[rows] = 1 - self._side[rows]

    def remains(self, rows: Rows) -> Remains:
        """Compare some windows with what was fitted to them."""
        return remains_of(
            self._windows.take(rows), self._models[self._side[rows], rows], self.noise
        )

    def leftovers(self, parameters: Floats, bead: int) -> tuple[Floats, Floats, Floats]:
        """Give the normal equations with smooth patterns and ovalness about a bead.

        Returns
        -------
        normal : (n, p + k + 3, p + k + 3) ndarray
        valid, lobe : (n,) ndarray
            Valid pixels, and the sum over them of the bead of unit peak.
        """
        normal, sums = self._gather(parameters, np.arange(len(parameters)), bead=bead)
        return normal, sums[:, 1], sums[:, 2]

    def _gather(
        self,
        parameters: Floats,
        rows: Rows,
        whole: bool = False,
        most: int | None = None,
        bead: int = -1,
    ) -> tuple[Floats, Floats]:
        wide = self.layout.size + (len(self.degrees) + 3 if bead >= 0 else 1)
        normal = np.zeros((len(parameters), wide, wide))
        sums = np.zeros((len(parameters), 3))
        few = self._windows.data.shape[1] if most is None else most
        kernels = compiling.ready("fit_kernels")
        gather = self._plainly if kernels is None else self._compiled(kernels)

        def job(part: Rows) -> None:
            gather(part, parameters, whole, few, bead, normal, sums)

        parts = [rows[first : first + _PART] for first in range(0, len(rows), _PART)]
        compiling.spread(job, parts)
        return normal, sums

    def _compiled(self, kernels: Any) -> Any:
        profile, noise, windows = self._profile, self.noise, self._windows
        tables = kernels.tables_of(profile)
        line = np.array([noise.offset, noise.gain, noise.floor])

        def gather(
            rows: Rows,
            parameters: Floats,
            whole: bool,
            most: int,
            bead: int,
            normal: Floats,
            sums: Floats,
        ) -> None:
            kernels.gather(
                windows.data,
                windows.offsets,
                rows,
                parameters,
                self.layout.beads,
                tables,
                profile.step,
                line,
                whole,
                most,
                self._models,
                self._side,
                bead,
                self.degrees,
                self._half,
                normal,
                sums,
            )

        return gather

    def _plainly(
        self,
        rows: Rows,
        parameters: Floats,
        whole: bool,
        most: int,
        bead: int,
        normal: Floats,
        sums: Floats,
    ) -> None:
        """Do with NumPy what the kernel does."""
        part = self._windows.take(rows)
        at = parameters[rows]
        model, jacobian = evaluate(self._profile, part.offsets[:, :, :most], at, self.layout)
        data = part.data[:, :most]
        valid = np.isfinite(data)
        known = np.where(valid, data, 0.0)
        weight = valid / self.noise.variance(known if whole else model)
        left = known if whole else np.where(valid, data - model, 0.0)
        if bead >= 0:
            extra = patterns(
                part.offsets, at, self.layout, bead, self.degrees, self._half, jacobian
            )
            jacobian = np.concatenate([jacobian, extra], axis=1)
            sums[rows, 1] = valid.sum(axis=1)
            sums[rows, 2] = (jacobian[:, self.layout.amplitude(bead)] * valid).sum(axis=1)
        every = np.concatenate([jacobian, left[:, None]], axis=1)
        normal[rows] = (every * weight[:, None]) @ every.transpose(0, 2, 1)
        side = self._side[rows]
        old = valid / self.noise.variance(self._models[side, rows, :most])
        sums[rows, 0] = (old * left**2).sum(axis=1)
        self._models[1 - side, rows, :most] = model
