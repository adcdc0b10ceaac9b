"""A profile tuned to the beads of an image: its blur and opacity by maximum likelihood.

A bead's width alone does not tell its blur. Where the blur is much smaller than the bead, it is
the edge that shows it: a width 0.1 % off would be a blur 5 % off, and a wrong edge misleads
positions and what is said of their errors.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_clxem.fiducials.localisation import fit_and_compare
from napari_clxem.fiducials.modelling import NoiseModel, Windows
from napari_clxem.fiducials.profiles import Floats, Profile

WIDTH_SD = 0.05
"""Spread of the logarithm of bead widths when a profile is chosen."""

_TRY = 0.05
"""Change of a quality that tells what it does."""

_SPREAD = 1.0
"""Prior sd of each quality about its start, for what the beads leave open."""

_ROUNDS, _LONGEST, _LITTLE = 5, 0.5, 0.5
"""Most steps, the longest of them, and the gain per bead, in units of chi-square, that a step
promises after which there is no further one.
"""

_STRETCH = 0.05
"""Furthest that the mean logarithm of the beads' width may be from that of the known diameter.

What is no ball of that size, but as large, is best fitted as something smaller and more blurred.
"""

_FIRM = 1e4
"""Weight, beside all that pixels say, of what must not be exceeded."""

_DAMPINGS = (0.0, 0.5, 5.0)
"""Damping of a step, and of those tried after it where it leads nowhere."""

_SHARES, _BETTER = ((0.5,), (0.75, 0.25)), 10.0
"""Shares of a bead's size that a softer one is drawn with, and the fall of cost that one needs."""

_WIDEST, _LONG, _OPAQUE = 1.5, 3.0, 0.9995
"""Most that the lateral blur may grow; highest axial over lateral blur, and opacity."""


@dataclass(frozen=True)
class _Trial:
    """Fits under a profile: its qualities, pixels expected, residuals, weights, log widths."""

    profile: Profile
    qualities: Floats
    expected: Floats
    residual: Floats
    weight: Floats
    log_width: Floats

    @property
    def power(self) -> Floats:
        """Squared residuals of each bead's pixel, on average."""
        pixels = np.maximum((self.weight > 0).sum(axis=1), 1)
        power: Floats = np.maximum((self.residual**2).sum(axis=1) / pixels, 1e-300)
        return power

    @property
    def merit(self) -> tuple[float, float]:
        """Least is best: how far beads are stretched beyond the limit, to a hundredth; cost.

        Cost is that of all beads, each with noise of its own, and of the stretching they need.
        """
        excess = np.abs(self.log_width.mean(axis=0)).max() - _STRETCH
        pixels = (self.weight > 0).sum(axis=1)
        stretched = (self.log_width**2).sum() / WIDTH_SD**2
        cost = float((pixels * np.log(self.power)).sum() + stretched)
        return round(max(float(excess), 0.0), 2), cost


@dataclass(frozen=True)
class Tuning:
    """Beads to which a profile is tuned.

    Parameters
    ----------
    windows : Windows
        Their pixels.
    starts : (n, 1, d) ndarray
        Where fits start, from the windows' centres, µm.
    noise : NoiseModel
        Variance of a pixel.
    leash : (d,) ndarray
        Furthest a bead may move from its start, µm.
    blurred : bool
        Whether the blur is to be found; else it is known.
    """

    windows: Windows
    starts: Floats
    noise: NoiseModel
    leash: Floats
    blurred: bool

    def tuned(self, profile: Profile, least: float) -> Profile:
        """Give the profile whose qualities make the beads likeliest.

        Qualities are the logarithm of the lateral blur, that of the axial over the lateral one,
        and, in projection, k / sqrt(1 + k²) for an opacity k: k for clear beads, 1 - 1/2k² for
        discs, whose rim is where a chord is 1/k. Steps are those of Gauss and Newton: expected
        pixels change in proportion to a quality, all else being fitted anew.

        Parameters
        ----------
        profile : Profile
            To start from.
        least : float
            Least lateral blur, µm.
        """
        low, high = self._range(profile, least)
        here = self._trial(profile, self._qualities(profile))
        first = here.qualities
        free = np.flatnonzero(high > low)
        for _ in range(_ROUNDS if len(free) else 0):
            bounds = (
                np.maximum(low - here.qualities, -_LONGEST)[free],
                np.minimum(high - here.qualities, _LONGEST)[free],
            )
            tried = self._tried(here, free, bounds[1])
            slopes = _slopes(here, tried, free, (first - here.qualities)[free])
            for damping in _DAMPINGS:
                at = here.qualities.copy()
                at[free] += slopes.step(bounds, damping)
                if slopes.gain(at[free] - here.qualities[free]) < _LITTLE * len(self.starts):
                    return self._made(profile, at)
                tried.append(self._trial(self._made(profile, at), at))
                if tried[-1].merit < here.merit:
                    break
            best = min(tried, key=lambda trial: trial.merit)
            if best.merit >= here.merit:
                break
            here = best
        return here.profile

    def softened(self, profile: Profile) -> Profile:
        """Give the profile, or one as wide that is more like a Gaussian where beads are so.

        Light is not blurred by a Gaussian, and dye is not spread evenly: a blurred ball is a model.
        """
        if not self.blurred:
            return profile
        best = self._trial(profile, self._qualities(profile))
        for shares in _SHARES:
            soft = [self._trial(profile.softened(s), best.qualities) for s in shares]
            other = min(soft, key=lambda trial: trial.merit[1])
            if other.merit[1] > best.merit[1] - _BETTER:
                break
            best = other
        return best.profile

    def _range(self, profile: Profile, least: float) -> tuple[Floats, Floats]:
        known = self._qualities(profile)
        low = np.minimum([np.log(least), 0.0], known)
        high = np.maximum(
            [known[0] + _WIDEST, _LONG if profile.opacity is None else _OPAQUE], known
        )
        if not self.blurred:
            blurs = slice(0, 2 if profile.opacity is None else 1)
            low[blurs] = high[blurs] = known[blurs]
        return low, high

    @staticmethod
    def _qualities(profile: Profile) -> Floats:
        axial, lateral = profile.blur
        k = profile.opacity
        last = np.log(axial / lateral) if k is None else k / np.hypot(1.0, k)
        return np.array([np.log(lateral), last])

    @staticmethod
    def _made(profile: Profile, qualities: Floats) -> Profile:
        # Round numbers let profiles be looked up again.
        lateral = round(float(np.exp(qualities[0])), 4)
        if profile.opacity is None:
            return profile.blurred(round(lateral * float(np.exp(qualities[1])), 4), lateral)
        opacity = round(float(qualities[1] / np.sqrt(1.0 - qualities[1] ** 2)), 3)
        return profile.blurred(lateral, lateral, opacity)

    def _tried(self, here: _Trial, free: NDArray[np.intp], most: Floats) -> list[_Trial]:
        """Change the `free` qualities, one at a time."""
        trials = []
        for k, high in zip(free, most, strict=True):
            at = here.qualities.copy()
            change = _TRY
            if k == 1 and here.profile.opacity is not None:
                change = float(np.clip((1.0 - at[k]) / 2.0, _TRY / 5.0, _TRY))
            at[k] += change if high >= change else -change
            trials.append(self._trial(self._made(here.profile, at), at))
        return trials

    def _trial(self, profile: Profile, qualities: Floats) -> _Trial:
        fits, remains = fit_and_compare(
            profile, self.windows, self.starts, self.noise, self.leash, rough=True
        )
        left = remains(np.arange(len(self.starts)))
        expected = np.where(left.weight > 0, left.expected, 0.0)
        return _Trial(profile, qualities, expected, left.residual, left.weight, np.log(fits.width))


@dataclass(frozen=True)
class _Slopes:
    """What the cost and the beads' mean log widths do as qualities change.

    `normal` and `pull` are normal matrix and gradient of the cost, `by_mean` (k, w) the change of
    the means, `mean` (w,).
    """

    normal: Floats
    pull: Floats
    by_mean: Floats
    mean: Floats

    def step(self, bounds: tuple[Floats, Floats], damping: float) -> Floats:
        """Give the step within bounds that lowers the cost most, and stretches no bead too far."""
        normal = self.normal + damping * np.diag(np.diag(self.normal))
        pull = self.pull
        step = _bounded(normal, pull, bounds)
        for mean, by_mean in zip(self.mean, self.by_mean.T, strict=True):
            stretch = mean + by_mean @ step
            if abs(stretch) <= _STRETCH:
                continue
            firm = _FIRM * max(float(np.trace(normal)), 1.0)
            normal = normal + firm * np.outer(by_mean, by_mean)
            pull = pull + firm * by_mean * (np.sign(stretch) * _STRETCH - mean)
            step = _bounded(normal, pull, bounds)
        return step

    def gain(self, step: Floats) -> float:
        """Give the fall of the cost that a step promises."""
        return float(2.0 * self.pull @ step - step @ self.normal @ step)


def _slopes(here: _Trial, tried: list[_Trial], free: NDArray[np.intp], back: Floats) -> _Slopes:
    """Compare trials with each `free` quality changed; `back` is the way to where they started."""
    scale = 1.0 / np.sqrt(here.power)[:, None]
    rows, widths = [], []
    for k, there in zip(free, tried, strict=True):
        change = there.qualities[k] - here.qualities[k]
        rows.append(((there.expected - here.expected) * here.weight * scale).ravel() / change)
        widths.append((there.log_width - here.log_width) / change)
    by_pixel, by_width = np.stack(rows), np.stack(widths)
    stretched = by_width.reshape(len(free), -1)
    normal = by_pixel @ by_pixel.T + stretched @ stretched.T / WIDTH_SD**2
    pull = by_pixel @ (here.residual * scale).ravel()
    pull -= stretched @ here.log_width.ravel() / WIDTH_SD**2
    return _Slopes(
        normal + np.eye(len(free)) / _SPREAD**2,
        pull + back / _SPREAD**2,
        by_width.mean(axis=1),
        here.log_width.mean(axis=0),
    )


def _bounded(normal: Floats, pull: Floats, bounds: tuple[Floats, Floats]) -> Floats:
    """Solve for a step; what meets its bound moves what is left of the others."""
    low, high = bounds
    step = np.clip(np.linalg.solve(normal, pull), low, high)
    inner = (step > low) & (step < high)
    if inner.any() and not inner.all():
        rest = pull[inner] - normal[np.ix_(inner, ~inner)] @ step[~inner]
        some = np.linalg.solve(normal[np.ix_(inner, inner)], rest)
        step[inner] = np.clip(some, low[inner], high[inner])
    return np.asarray(step)
