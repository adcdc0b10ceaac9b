"""Beads of two datasets, and the link that they make: what the chain and the dock share."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from napari_clxem.errors import ClxemError, NoMatch
from napari_clxem.fiducials import Beads, detect, find_caps, match
from napari_clxem.frames import Calibration, Route, fit
from napari_clxem.frames.affine import Floats
from napari_clxem.io.image import SPATIAL, OpenedImage
from napari_clxem.session.description import OBLIQUE_VIEW, UPRIGHT
from napari_clxem.session.geometry import graph
from napari_clxem.session.model import Dataset, Landmark, Link, Session
from napari_clxem.session.views import seen, view_of

# Instruments are calibrated to two percent and look down on the grid to a few degrees. The axial
# scaling of a stack is known from theory to 0.02 in 1.5 where aperture and medium are; an ice
# surface of a slope of a few degrees shears it by (ζ - 1) times that slope.
BETWEEN_INSTRUMENTS = Calibration(
    scale_sd=0.02, shear_sd=0.002, axial_sd=0.02, tilt_sd=2.5, axial_shear_sd=0.02
)
TILT_SD = 2.0
# No two instruments hold a grid more alike than this, per axis, degrees.
LEAST_TILT = 0.25
# How well the middle of a bead's image stands for its centre, per axis, µm.
BEAD_SD = 0.01
BEAD_DIAMETER = 1.0
# From so many beads on, their own scatter tells the parallax of a planar link.
ENOUGH_BEADS = 12
# Pairs that a view along the grid needs: chance finds five now and then.
ENOUGH_SEEN = 6
# What stitching leaves of the places of tiles in a mosaic, per axis, µm.
STITCH_SD = 0.02
# Scale between two instruments: mean and sd of what matching allows.
SCALE = (1.0, 0.03)
# Confidence that a match needs that nobody looks at before it is used.
SURE = 0.95


@dataclass(frozen=True)
class Look:
    """How beads show in a kind of image.

    `psf` is (axial, lateral) full width at half maximum, µm, or None to let detection choose.
    """

    kind: Literal["bright", "dark"]
    psf: tuple[float, float] | None = None


LOOKS = {
    ("confocal", 3): Look("bright"),
    ("fluorescence", 2): Look("bright"),
    ("vlm", 2): Look("bright", (0.62, 0.62)),
    ("sxt", 2): Look("dark"),
    ("sxt", 3): Look("bright", (0.06, 0.06)),
    ("sem", 2): Look("bright"),
}


def kind_of(dataset: Dataset) -> tuple[str, int]:
    """Give modality and number of spatial axes."""
    return dataset.modality, axes_of(dataset)


def axes_of(dataset: Dataset) -> int:
    """Count the spatial axes of a dataset."""
    return sum(axis in SPATIAL for axis in dataset.axes)


def spacing(dataset: Dataset) -> tuple[float, ...]:
    """Give the pixel size in its frame, µm: z with the axial scaling.

    Raises
    ------
    ClxemError
        Where the dataset has no pixel size.
    """
    if dataset.scale is None:
        raise ClxemError(f"{dataset.name} has no pixel size; give one before linking it.")
    if len(dataset.scale) == 2:
        return dataset.scale
    return (dataset.scale[0] * dataset.axial_scaling, *dataset.scale[1:])


def bead_channel(image: OpenedImage) -> Any:
    """Give the channel that is named after beads, or the last one."""
    if "c" not in image.axes:
        return image.data
    named = [i for i, c in enumerate(image.channels) if "bead" in c.name.lower()]
    data = np.moveaxis(image.data, image.axes.index("c"), 0)
    return data[named[0] if named else -1]


Found = tuple[Dataset, Beads]


def find_beads(image: OpenedImage, dataset: Dataset) -> Beads:
    """Find the beads of an opened image, by how they show in its modality.

    Raises
    ------
    ClxemError
        Where it has no pixel size, or cannot be read.
    """
    return beads_in(bead_channel(image), spacing(dataset), dataset)


def beads_in(pixels: Any, steps: ArrayLike, dataset: Dataset) -> Beads:
    """Find the beads in pixels of a dataset, whose size along each axis is `steps`, µm."""
    if dataset.modality in UPRIGHT and axes_of(dataset) == 2:
        return find_caps(pixels, steps, BEAD_DIAMETER)
    look = LOOKS.get(kind_of(dataset), Look("bright"))
    return detect(pixels, steps, BEAD_DIAMETER, look.kind, psf=look.psf)


def heights(session: Session, moving: Dataset, fixed: Dataset) -> float:
    """Give the sd of the unknown heights in a planar link, µm; 0 where either side has z."""
    if axes_of(moving) == 3 or axes_of(fixed) == 3:
        return 0.0
    known = [frame.z for frame in session.frames if frame.name == fixed.frame]
    return known[0][1] if known and known[0] is not None else 0.0


def bead_link(
    moving: str,
    fixed: str,
    moving_beads: tuple[Floats, Floats],
    fixed_beads: tuple[Floats, Floats],
    height_sd: float = 0.0,
) -> Link:
    """Make the link through paired beads.

    Parameters
    ----------
    moving, fixed : str
        Frames.
    moving_beads, fixed_beads : tuple of (n, d) array
        Positions and their sd, µm.
    height_sd : float
        Of the beads' unknown heights, µm: with a tilt between the views they become parallax.

    Raises
    ------
    NoMatch
        Where there are too few to say more than chance does.
    """
    (one, one_sd), (other, other_sd) = moving_beads, fixed_beads
    if len(one) < 4:
        raise NoMatch(f"Only {len(one)} beads pair up; 4 are needed, or landmarks by hand.")
    tilt_sd = 0.0
    if height_sd:
        parallax = _parallax(moving_beads, fixed_beads, height_sd)
        other_sd = np.hypot(other_sd, parallax)
        tilt_sd = float(np.rad2deg(np.arctan(parallax / height_sd)))
    return Link(
        id=f"beads-{moving}-{fixed}",
        moving=moving,
        fixed=fixed,
        model="affine",
        robust=True,
        tilt_sd=tilt_sd,
        prior=BETWEEN_INSTRUMENTS,
        landmarks=tuple(
            Landmark(
                id=f"{moving}-{fixed}-{index}",
                moving=tuple(a.tolist()),
                fixed=tuple(b.tolist()),
                moving_sigma=tuple(c.tolist()),
                fixed_sigma=tuple(d.tolist()),
                origin="bead",
            )
            for index, (a, b, c, d) in enumerate(zip(one, other, one_sd, other_sd, strict=True))
        ),
    )


def _parallax(
    moving_beads: tuple[Floats, Floats], fixed_beads: tuple[Floats, Floats], height_sd: float
) -> float:
    """Give the sd of a planar link's residuals beyond localisation, per axis, µm.

    Many beads show it themselves; few get what an unknown tilt between two views would do.
    """
    (one, one_sd), (other, other_sd) = moving_beads, fixed_beads
    if len(one) < ENOUGH_BEADS:
        return float(height_sd * np.tan(np.deg2rad(TILT_SD)))
    found = fit(one, other, "affine", robust=True)
    squares = float((found.residuals[found.inliers] ** 2).sum())
    known = (one_sd**2).mean() + (other_sd**2).mean()
    # What the residuals leave open is weighed by how much two instruments tilt a grid: the mean of
    # the variance over a half-normal tilt, given residuals of (known + parallax²) χ².
    tilts = np.deg2rad(np.linspace(LEAST_TILT, 3 * TILT_SD, 60))
    parallax = (height_sd * np.tan(tilts)) ** 2
    total = known + parallax
    weight = -0.5 * (tilts / np.deg2rad(TILT_SD)) ** 2
    weight = weight - 0.5 * (found.dof * np.log(total) + squares / total)
    weight = np.exp(weight - weight.max())
    return float(np.sqrt(weight @ parallax / weight.sum()))


def spread(beads: Beads, dataset: Dataset) -> Floats:
    """Give the sd of bead positions, with what the image itself adds."""
    stitched = STITCH_SD if kind_of(dataset) == ("sxt", 2) else 0.0
    return np.asarray(np.sqrt(beads.sigma**2 + BEAD_SD**2 + stitched**2))


def linked(moving: Found, fixed: Found, session: Session, link: Link | None = None) -> Link:
    """Link two datasets by their beads: near where a known way puts them, else by the pattern.

    In a FIB view the beads of a stack are looked for at the milling angle.

    Parameters
    ----------
    moving, fixed : tuple of Dataset and Beads
        The images and what was found in them.
    session : Session
        What is known so far.
    link : Link, optional
        The link to be made anew; landmarks picked in it by hand show the way.

    Raises
    ------
    NoMatch
        Where too few beads are certainly the same.
    """
    (moving_data, one), (fixed_data, other) = moving, fixed
    if axes_of(moving_data) == 3 and fixed_data.modality in UPRIGHT:
        return _seen_link(moving, fixed, link)
    start = known_way(session, moving_data, fixed_data, link)
    pairs = _paired(one, other, start)
    return bead_link(
        moving_data.frame,
        fixed_data.frame,
        (one.positions[pairs[:, 0]], spread(one, moving_data)[pairs[:, 0]]),
        (other.positions[pairs[:, 1]], spread(other, fixed_data)[pairs[:, 1]]),
        heights(session, moving_data, fixed_data),
    )


def _seen_link(moving: Found, fixed: Found, link: Link | None) -> Link:
    """Link a stack to a FIB view of it."""
    (stack, beads), (image, marks) = moving, fixed
    here, there = (beads.positions, spread(beads, stack)), (marks.positions, spread(marks, image))
    found = seen(here, there, SCALE, SURE, view_of(image), link)
    first, second = found.pairs.T
    if len(first) < ENOUGH_SEEN:
        raise NoMatch(
            f"Only {len(first)} beads of {stack.name} pair up with marks of {image.name}, which "
            f"chance does now and then; {ENOUGH_SEEN} are needed. Pick landmarks by hand."
        )
    made = bead_link(
        stack.frame,
        image.frame,
        (here[0][first], here[1][first]),
        (there[0][second], np.hypot(there[1][second], found.excess)),
    )
    return replace(made, prior=OBLIQUE_VIEW, upright=True)


def known_way(
    session: Session, moving: Dataset, fixed: Dataset, link: Link | None = None
) -> Route | None:
    """Give the way between two frames as known so far, without what beads made of it before."""
    own = {f"beads-{moving.frame}-{fixed.frame}", link.id if link else ""}
    links = [one for one in session.links if one.id not in own]
    picked = tuple(one for one in link.landmarks if one.origin != "bead") if link else ()
    if link is not None and picked:
        links.append(replace(link, landmarks=picked))
    try:
        return graph(replace(session, links=tuple(links))).transform(moving.frame, fixed.frame)
    except ClxemError:
        return None


def _paired(one: Beads, other: Beads, start: Route | None) -> Any:
    """Pair beads of two images: by the pattern alone, or near where a known way puts them."""
    if start is not None:
        found = _near(one, other, start)
        if found is not None:
            return found
    points, places = one.positions, other.positions
    if points.shape[1] != places.shape[1]:
        points, places = points[:, -2:], places[:, -2:]
    try:
        return match(points, places, scale=SCALE, least_confidence=SURE).pairs
    except NoMatch as error:
        raise NoMatch(f"{error}{_mirrored(points, places)}") from error


def _mirrored(points: Floats, places: Floats) -> str:
    """Say so where a mirror image would match."""
    try:
        found = match(points, places, scale=SCALE, mirror=True, least_confidence=SURE)
    except ClxemError:
        return ""
    if not found.mirrored:
        return ""
    return (
        f" A mirror image of it would match by {len(found.pairs)} beads: flip one of the two "
        "images in the Session dock."
    )


def _near(one: Beads, other: Beads, start: Route) -> Any:
    """Pair beads that are each other's nearest where a known way puts them.

    None where the way is not known well enough to tell neighbours apart.
    """
    if not len(one) or not len(other):
        return np.empty((0, 2), dtype=int)
    spread = start.predict_error(one.positions)[:, -2:, -2:]
    reach = 3.0 * np.sqrt(np.linalg.eigvalsh(spread)[:, -1].max()) + 0.1 * BEAD_DIAMETER
    if reach > BEAD_DIAMETER:
        return None
    expected = start.transform(one.positions)[:, -2:]
    apart = np.linalg.norm(expected[:, np.newaxis] - other.positions[:, -2:], axis=2)
    nearest = apart.argmin(axis=1)
    mutual = (apart.argmin(axis=0)[nearest] == np.arange(len(one))) & (apart.min(axis=1) < reach)
    return np.column_stack([np.flatnonzero(mutual), nearest[mutual]])
