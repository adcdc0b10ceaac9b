"""Bead fits by NumPy, all windows at once: what the compiled kernels do, until they are ready."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from napari_clxem.fiducials.modelling import (
    FLAT,
    SLACK,
    STIFF,
    STILL,
    WIDEST,
    WIDTH_SD,
    Indices,
    Layout,
    NoiseModel,
    Windows,
    evaluate,
    patterns,
    solve,
)
from napari_clxem.fiducials.profiles import Floats, Profile


class _Gatherer:
    """Normal equations of windows at given parameters."""

    def __init__(
        self, profile: Profile, windows: Windows, layout: Layout, noise: NoiseModel
    ) -> None:
        self._profile, self._layout, self._noise = profile, layout, noise
        self._windows = windows

    def at(
        self, rows: Indices, at: Floats, most: int, earlier: Floats | None = None
    ) -> tuple[Floats, Floats, Floats]:
        """Give bordered normal equations, cost under the weights of an earlier model, and model."""
        part = self._windows.take(rows)
        model, jacobian = evaluate(self._profile, part.offsets[:, :, :most], at, self._layout)
        valid = np.isfinite(part.data[:, :most])
        left = np.where(valid, part.data[:, :most] - model, 0.0)
        normal = _products(jacobian, left, valid / self._noise.variance(model))
        before = model if earlier is None else earlier
        return normal, (valid / self._noise.variance(before) * left**2).sum(axis=1), model

    def whole(self, at: Floats, most: int) -> Floats:
        """Give those of a fit to the data themselves, weighted by themselves."""
        _, jacobian = evaluate(self._profile, self._windows.offsets[:, :, :most], at, self._layout)
        valid = np.isfinite(self._windows.data[:, :most])
        known = np.where(valid, self._windows.data[:, :most], 0.0)
        return _products(jacobian, known, valid / self._noise.variance(known))


def _products(jacobian: Floats, left: Floats, weight: Floats) -> Floats:
    every = np.concatenate([jacobian, left[:, None]], axis=1)
    normal: Floats = (every * weight[:, None]) @ every.transpose(0, 2, 1)
    return normal


def _clip(parameters: Floats, start: Floats, layout: Layout, leash: Floats) -> Floats:
    """Keep centres within `leash` of their start and widths within what a bead can be."""
    parameters = parameters.copy()
    for k in range(layout.beads):
        at = layout.centre(k)
        parameters[:, at] = np.clip(parameters[:, at], start[:, at] - leash, start[:, at] + leash)
    widths = slice(layout.first_width, layout.first_background)
    parameters[:, widths] = np.clip(parameters[:, widths], -WIDEST, WIDEST)
    return parameters


def fit(
    profile: Profile,
    windows: Windows,
    layout: Layout,
    noise: NoiseModel,
    start: Floats,
    leash: Floats,
    passes: Sequence[tuple[int, int]],
) -> tuple[Floats, Floats, Floats, Floats]:
    """Fit windows: a linear start, then Levenberg-Marquardt steps.

    Parameters
    ----------
    profile, windows, layout, noise
        As in :class:`~napari_clxem.fiducials.equations.Equations`.
    start : (n, p) ndarray
        Centres to start from.
    leash : (d,) ndarray
        Furthest a bead may move in a pass, µm.
    passes : sequence of (int, int)
        Pixels to look at, and most steps, of one pass after another.

    Returns
    -------
    parameters : (n, p) ndarray
    normal : (n, p + 1, p + 1) ndarray
        Normal matrix, bordered by gradient and cost.
    last : (n,) ndarray
        Last step of a centre, in sd.
    models : (n, m) ndarray
        Expected pixels.
    """
    gatherer = _Gatherer(profile, windows, layout, noise)
    now = start.copy()
    now[:, layout.first_background :] = 0.0
    linear = [layout.amplitude(k) for k in range(layout.beads)]
    now[:, linear] = 1.0
    linear += list(range(layout.first_background, layout.size))
    normal = gatherer.whole(now, passes[0][0])
    now[:, linear] = solve(normal[:, linear][:, :, linear], normal[:, linear, -1])
    for most, steps in passes:
        now, normal, last, models = _steps(now, layout, gatherer, leash, most, steps)
    return now, normal, last, models


def leftovers(
    profile: Profile,
    windows: Windows,
    layout: Layout,
    noise: NoiseModel,
    parameters: Floats,
    bead: int,
    degrees: Indices,
    half: Floats,
) -> tuple[Floats, Floats, Floats]:
    """Do what :meth:`~napari_clxem.fiducials.equations.Equations.leftovers` does."""
    model, jacobian = evaluate(profile, windows.offsets, parameters, layout)
    extra = patterns(windows.offsets, parameters, layout, bead, degrees, half, jacobian)
    valid = np.isfinite(windows.data)
    left = np.where(valid, windows.data - model, 0.0)
    lobe = (jacobian[:, layout.amplitude(bead)] * valid).sum(axis=1)
    every = np.concatenate([jacobian, extra], axis=1)
    return _products(every, left, valid / noise.variance(model)), valid.sum(axis=1), lobe


def _steps(
    start: Floats, layout: Layout, gatherer: _Gatherer, leash: Floats, most: int, steps: int
) -> tuple[Floats, Floats, Floats, Floats]:
    """Levenberg-Marquardt steps on every window at once; windows that are done drop out."""
    everyone = np.arange(len(start))
    now = start.copy()
    normal, _, models = gatherer.at(everyone, now, most)
    last = np.full(len(start), np.inf)
    damping = np.full(len(start), 1e-3)
    prior = np.zeros(layout.size)
    prior[layout.first_width : layout.first_background] = WIDTH_SD**-2
    centres = np.concatenate(
        [np.arange(layout.size)[layout.centre(k)] for k in range(layout.beads)]
    )
    active = everyone
    for _ in range(steps):
        current, edge = now[active], normal[active]
        matrix = edge[:, :-1, :-1] + np.diag(prior)
        gradient = edge[:, :-1, -1] - prior * current
        before = edge[:, -1, -1] + current**2 @ prior
        diagonal = np.einsum("npp->np", matrix)
        step = solve(
            matrix + damping[active, None, None] * diagonal[:, :, None] * np.eye(layout.size),
            gradient,
        )
        trial = _clip(current + step, start[active], layout, leash)
        there, cost, model = gatherer.at(active, trial, most, models[active])
        after = cost + trial**2 @ prior
        better = after <= before * SLACK
        # in sd, or more, since a parameter's own curvature knows nothing of the others
        moved = np.abs(trial - current)[:, centres] * np.sqrt(diagonal[:, centres])
        rows = active[better]
        now[rows] = trial[better]
        normal[rows], models[rows] = there[better], model[better]
        last[rows] = moved[better].max(axis=1)
        # Sharp beads curve the cost more than their derivatives tell, and full steps overshoot.
        promised = np.einsum("np,np->n", step, gradient)
        kept = (before - after) / np.maximum(promised, 1e-300)
        shorter = np.maximum(4.0 * damping[active], 0.5)
        damping[active] = np.where(
            kept < 0.4, shorter, np.where(kept > 0.7, 0.1, 1.0) * damping[active]
        )
        # Coarse pixels make the cost of a sharp bead bumpy far below what noise can tell.
        settled = np.abs(before - after) < FLAT
        last[active[settled & (moved.max(axis=1) < 0.5)]] = 0.0
        active = active[(damping[active] < STIFF) & (last[active] > STILL)]
        if not len(active):
            break
    return now, normal, last, models
