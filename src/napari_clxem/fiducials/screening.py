"""Which fitted candidates are beads, and why the others are not."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_clxem.fiducials.candidates import Candidates
from napari_clxem.fiducials.localisation import BeadFits
from napari_clxem.fiducials.modelling import Flags
from napari_clxem.fiducials.profiles import Floats
from napari_clxem.fiducials.residuals import pattern_degrees
from napari_clxem.fiducials.sizes import Geometry

TOO_WIDE = "too wide for a bead"

_WIDEST, _NARROWEST = 1.2, 1.25
_LONGEST, _SHORTEST = 1.7, 1.8
"""Factors by which a bead's image may differ from the profile, across and along the axis."""

_OVAL = 0.2
_MISFIT, _LESS = {2: 0.18, 3: 0.15}, 0.08
"""Misfit that no bead has, by the image's axes, and that none in an image has whose pixels do not
fit either. They are means over the window: a larger one needs lower limits.
"""

_ROUND, _LITTLE, _WORSE = 5.0, 0.07, 1.4
"""Power left in patterns even about a candidate over that in odd ones, from which on something
round is there that is no bead: what lies around one leaves as much of both. Least misfit and
chi-square for that.
"""

_ALIKE, _LEAST_ALIKE = 3.0, 0.012
"""The same for many candidates together."""

_LEAST_SEEN = 0.8
_LEAST_OWN = 0.6


def significance(fits: BeadFits) -> Floats:
    """Signed amplitude over its sd, widened where the model leaves more than noise."""
    inflated = fits.amplitude_sd * np.sqrt(np.maximum(fits.structure, 1.0))
    ratio: Floats = fits.amplitude / np.maximum(inflated, 1e-300)
    return ratio


def is_saturated(found: Candidates, shape: Geometry, top: float) -> Flags:
    """Tell which bright candidates have a plateau of the image's highest value, `top`."""
    core = float(np.prod(np.maximum(np.array(shape.sigma) / np.array(shape.spacing), 1.0)))
    plain = found.plateau >= max(4.0, 0.5 * core)
    return np.asarray((shape.sign > 0) & (found.peak >= top) & plain)


def reasons(
    fits: BeadFits, whole: Flags, shape: Geometry, threshold: float, size: tuple[int, ...]
) -> NDArray[np.object_]:
    """Say why each candidate is no usable bead; an empty string where it is one.

    Parameters
    ----------
    fits : BeadFits
        One row per candidate.
    whole : (n,) ndarray of bool
        Whether all pixels of its window are there.
    shape : Geometry
        Sizes of bead and pixel.
    threshold : float
        Least significance.
    size : tuple of int
        Shape of the image.
    """
    spacing = np.array(shape.spacing)
    low, high = -0.5 * spacing, (np.array(size) - 0.5) * spacing
    outside = np.any((fits.positions < low) | (fits.positions > high), axis=1)
    lateral, loose = np.log(fits.width[:, 0]), fits.width_sd[:, 0]
    oval = fits.elongation - 2.0 * fits.elongation_sd * np.sqrt(np.maximum(fits.structure, 1.0))
    bare = fits.amplitude / np.maximum(fits.amplitude_sd, 1e-300)
    # In a tomogram the missing wedge alone leaves more.
    flat = fits.width.shape[1] == 1
    tests: list[tuple[str, Any]] = [
        ("clipped at the border", outside),
        ("clipped at the border or by missing pixels", ~whole & (fits.seen < _LEAST_SEEN)),
        ("hidden by a neighbour", fits.seen < _LEAST_OWN),
        ("too faint for the threshold", shape.sign * bare < threshold),
        (TOO_WIDE, lateral - loose > np.log(_WIDEST)),
        ("too narrow for a bead", lateral + loose < -np.log(_NARROWEST)),
        *_axial_tests(fits),
        ("not round", oval > _OVAL),
        ("does not fit a bead", (fits.structure > 2.0) & (fits.misfit > _MISFIT[len(size)])),
        ("does not fit a bead", flat & (fits.chi2 > 2.0) & (fits.misfit > _LESS)),
        ("does not fit a bead", flat & _is_round(fits, len(size))),
        ("lost in the structure around it", shape.sign * significance(fits) < threshold),
        ("the fit did not settle", ~fits.converged),
    ]
    answers = np.full(len(fits.positions), "", dtype=object)
    for reason, failed in reversed(tests):
        answers[failed] = reason
    return answers


def _is_round(fits: BeadFits, ndim: int) -> Flags:
    """Tell where what a fit leaves is something round."""
    left = (fits.misfit > _LITTLE) & (fits.chi2 > _WORSE)
    return np.asarray(left & (_even(fits, ndim) > _ROUND * np.maximum(fits.lopsided, 1.0)))


def _even(fits: BeadFits, ndim: int) -> Floats:
    """Power left in the patterns that are even about each candidate."""
    odd = pattern_degrees(ndim).sum(axis=1) % 2 == 1
    even: Floats = fits.structure + (fits.structure - fits.lopsided) * odd.sum() / (~odd).sum()
    return even


def are_of_another_make(fits: BeadFits) -> bool:
    """Tell whether fits, as a whole, leave what something round leaves that is no bead.

    Holes of a film are alike, and together tell even by little that they are no blurred beads.
    """
    ndim = fits.positions.shape[1]
    if ndim == 3 or not len(fits.positions):
        return False
    even, odd = np.median(_even(fits, ndim)), max(float(np.median(fits.lopsided)), 1.0)
    return bool(even > _ALIKE * odd and np.median(fits.misfit) > _LEAST_ALIKE)


def _axial_tests(fits: BeadFits) -> list[tuple[str, Any]]:
    if fits.width.shape[1] == 1:
        return []
    axial, loose = np.log(fits.width[:, 1]), fits.width_sd[:, 1]
    return [
        ("too long along the axis", axial - loose > np.log(_LONGEST)),
        ("too short along the axis", axial + loose < -np.log(_SHORTEST)),
    ]
