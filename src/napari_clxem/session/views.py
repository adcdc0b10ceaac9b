"""Beads of a stack in a FIB view of the same place: what is known of the view, and the pairs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from napari_clxem.errors import ClxemError, LamellaError, NoMatch
from napari_clxem.fiducials import Match, View, match
from napari_clxem.frames import Fit
from napari_clxem.frames.affine import Floats
from napari_clxem.lamella import INSTRUMENTS
from napari_clxem.session.geometry import complete, solve
from napari_clxem.session.model import Dataset, Link

# A grid lies in its shuttle, and the film on the grid, to a few degrees.
ANGLE_SD = 3.0
# Milling angles in use, degrees: what is assumed of an image that does not say its stage tilt.
USUAL = (6.0, 20.0)
# Picks from which on they say where to look for beads.
ENOUGH_PICKS = 3


def view_of(dataset: Dataset) -> View:
    """Tell from where a FIB image was taken, as far as its stage tilt says.

    No file names its shuttle, so the angle is only known to lie among those that the usual
    instruments have at this stage tilt.

    Parameters
    ----------
    dataset : Dataset
        The image; its stage position may be missing.
    """
    tilt = dataset.stage.tilt if dataset.stage is not None else None
    angles = [] if tilt is None else _possible(tilt)
    low, high = (min(angles), max(angles)) if angles else USUAL
    return View(angle=(low + high) / 2.0, angle_sd=max(ANGLE_SD, (high - low) / 2.0))


def _possible(tilt: float) -> list[float]:
    """Give the milling angles in use that instruments have at a stage tilt, degrees."""
    found = []
    for one in INSTRUMENTS:
        try:
            angle = one.milling_angle(tilt)
        except LamellaError:
            continue
        if USUAL[0] - ANGLE_SD <= angle <= USUAL[1] + ANGLE_SD:
            found.append(angle)
    return found


def picked_view(link: Link | None) -> Fit | None:
    """Give the view that the landmarks picked by hand show; None where they are too few."""
    if link is None:
        return None
    picked = tuple(one for one in link.landmarks if one.origin != "bead")
    if len(complete(picked)) < ENOUGH_PICKS:
        return None
    try:
        found = solve(replace(link, landmarks=picked))
    except ClxemError:
        return None
    known = isinstance(found, Fit) and bool(np.isfinite(found.covariance).all())
    return found if known and isinstance(found, Fit) else None


def seen(
    beads: tuple[Floats, Floats],
    marks: tuple[Floats, Floats],
    scale: tuple[float, float],
    least_confidence: float,
    view: View,
    link: Link | None = None,
) -> Match:
    """Find the beads of a stack among the marks of a FIB view.

    Parameters
    ----------
    beads, marks : tuple of (n, d) array
        Positions, and their sd, in the stack and in the image, µm.
    scale : (float, float)
        Between the two: mean and sd.
    least_confidence : float
        Below it there is no match.
    view : View
        What is known of it.
    link : Link, optional
        Whose landmarks, picked by hand, say where to look if they are three or more.

    Raises
    ------
    NoMatch
        Where no correspondence stands out of chance.
    ClxemError
        Where there are too few of either.
    """
    start = picked_view(link)
    try:
        return match(
            beads[0],
            marks[0],
            "projection",
            scale=scale,
            moving_sigma=beads[1],
            fixed_sigma=marks[1],
            initial=start,
            least_confidence=least_confidence,
            view=view,
        )
    except NoMatch as error:
        near = ", near where the landmarks picked by hand put it" if start is not None else ""
        raise NoMatch(
            f"{error} The view was expected at {view.angle:.0f}° ± {view.angle_sd:.0f}° over the "
            f"grid{near}."
        ) from error
