"""The automatic chain: every link of a grid that images can make by themselves.

What is linked with what is one table. Each step looks for beads, or compares content, and leaves
a link with its landmarks in the session, or a note why there is none; no step can undo another.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np

from napari_clxem.errors import ClxemError, NoMatch
from napari_clxem.fiducials import Beads, detect, match
from napari_clxem.fiducials.content import align
from napari_clxem.frames import Affine, Calibration, Route, UncertainAffine, fit
from napari_clxem.frames.affine import Floats
from napari_clxem.io.image import SPATIAL, OpenedImage
from napari_clxem.session.geometry import estimate, graph
from napari_clxem.session.model import Dataset, Landmark, Link, Session

Opener = Callable[[Dataset], OpenedImage]
Progress = Callable[[float, str], None]

# Instruments are calibrated to a few percent and look down on the grid to a few degrees.
BETWEEN_INSTRUMENTS = Calibration(scale_sd=0.02, shear_sd=0.004, axial_sd=0.05, tilt_sd=2.5)
WITHIN_INSTRUMENT = Calibration(scale_sd=0.01, shear_sd=0.003, axial_sd=0.02, tilt_sd=0.3)
TILT_SD = 2.0
# No two instruments hold a grid more alike than this, per axis, degrees.
LEAST_TILT = 0.25
# What stitching leaves of the places of tiles in a mosaic, per axis, µm.
STITCH_SD = 0.02
# How well the middle of a bead's image stands for its centre, per axis, µm.
BEAD_SD = 0.01
BEAD_DIAMETER = 1.0
# From so many beads on, their own scatter tells the parallax of a planar link.
ENOUGH_BEADS = 12


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

# Moving modality, fixed modality, axes of either, same site, by beads or content.
Step = tuple[tuple[str, int], tuple[str, int], Literal["beads", "content"]]
STEPS: tuple[Step, ...] = (
    (("fluorescence", 2), ("sxt", 2), "beads"),
    (("sem", 2), ("fluorescence", 2), "beads"),
    (("vlm", 2), ("fluorescence", 2), "beads"),
    (("confocal", 3), ("sxt", 2), "beads"),
    (("sxt", 3), ("sxt", 2), "content"),
    (("confocal", 3), ("sxt", 3), "beads"),
)


@dataclass(frozen=True)
class Chained:
    """The session with its new links, and a sentence for each link that could not be made."""

    session: Session
    failures: tuple[str, ...] = ()


@dataclass
class _Bench:
    """Images and beads already looked at, by dataset id."""

    opened: Opener
    images: dict[str, OpenedImage] = field(default_factory=dict)
    beads: dict[str, Beads] = field(default_factory=dict)

    def image(self, dataset: Dataset) -> OpenedImage:
        if dataset.id not in self.images:
            self.images[dataset.id] = self.opened(dataset)
        return self.images[dataset.id]

    def found(self, dataset: Dataset) -> Beads:
        if dataset.id not in self.beads:
            look = LOOKS[dataset.modality, axes_of(dataset)]
            self.beads[dataset.id] = detect(
                bead_channel(self.image(dataset)),
                spacing=spacing(dataset),
                diameter=BEAD_DIAMETER,
                kind=look.kind,
                psf=look.psf,
            )
        return self.beads[dataset.id]


def chain(session: Session, opened: Opener, progress: Progress | None = None) -> Chained:
    """Link a session's frames by the images themselves.

    Parameters
    ----------
    session : Session
        With its datasets, and stage links as far as known.
    opened : callable
        Gives the opened image of a dataset.
    progress : callable, optional
        Called with the share done and what comes next; an exception it raises ends the chain.

    Returns
    -------
    Chained
        Links of the chain replace earlier ones of the same id.
    """
    bench = _Bench(opened)
    jobs = list(pairs(session))
    failures = []
    for index, (moving, fixed, how) in enumerate(jobs):
        if progress is not None:
            progress(index / len(jobs), f"{moving.name} → {fixed.name}")
        make = _by_beads if how == "beads" else _by_content
        try:
            link = make(session, bench, moving, fixed)
        except ClxemError as error:
            failures.append(f"{moving.name} → {fixed.name}: {error}")
            continue
        others = tuple(other for other in session.links if other.id != link.id)
        session = replace(session, links=(*others, link))
    if progress is not None:
        progress(1.0, "done")
    return Chained(session, tuple(failures))


def pairs(session: Session) -> Iterator[tuple[Dataset, Dataset, Literal["beads", "content"]]]:
    """Give the datasets to be linked, in an order in which each step can lean on earlier ones."""
    for moving_kind, fixed_kind, how in STEPS:
        for moving in session.datasets:
            for fixed in session.datasets:
                fits = (kind_of(moving), kind_of(fixed)) == (moving_kind, fixed_kind)
                if fits and moving is not fixed and fixed.site in (None, moving.site):
                    yield moving, fixed, how


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


def _by_beads(session: Session, bench: _Bench, moving: Dataset, fixed: Dataset) -> Link:
    one, other = bench.found(moving), bench.found(fixed)
    start = _declared(session, moving, fixed)
    found = _paired(one, other, start)
    return bead_link(
        moving.frame,
        fixed.frame,
        (one.positions[found[:, 0]], _spread(one, moving)[found[:, 0]]),
        (other.positions[found[:, 1]], _spread(other, fixed)[found[:, 1]]),
        heights(session, moving, fixed),
    )


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
    least, expected = (height_sd * np.tan(np.deg2rad(tilt)) for tilt in (LEAST_TILT, TILT_SD))
    if len(one) < ENOUGH_BEADS:
        return float(expected)
    found = fit(one, other, "affine", robust=True)
    variance = (found.residuals[found.inliers] ** 2).sum() / found.dof
    known = (one_sd**2).mean() + (other_sd**2).mean()
    return float(np.sqrt(np.clip(variance - known, least**2, expected**2)))


def _spread(beads: Beads, dataset: Dataset) -> Floats:
    """Give the sd of bead positions, with what the image itself adds."""
    stitched = STITCH_SD if kind_of(dataset) == ("sxt", 2) else 0.0
    return np.asarray(np.sqrt(beads.sigma**2 + BEAD_SD**2 + stitched**2))


def _declared(session: Session, moving: Dataset, fixed: Dataset) -> Route | None:
    """Give the way between two frames as known so far, without a link made here before."""
    own = f"beads-{moving.frame}-{fixed.frame}"
    known = replace(session, links=tuple(link for link in session.links if link.id != own))
    try:
        return graph(known).transform(moving.frame, fixed.frame)
    except ClxemError:
        return None


def _paired(one: Beads, other: Beads, start: Route | None) -> Any:
    """Pair beads of two images: by the pattern alone, or near where a known way puts them."""
    if start is not None:
        found = _near(one, other, start)
        if found is not None:
            return found
    plane = one.positions[:, -2:]
    if other.positions.shape[1] == 3 and one.positions.shape[1] == 3:
        return match(one.positions, other.positions, scale=(1.0, 0.03)).pairs
    return match(plane, other.positions[:, -2:], scale=(1.0, 0.03)).pairs


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


def _by_content(session: Session, bench: _Bench, moving: Dataset, fixed: Dataset) -> Link:
    """Link a tomogram to its mosaic: its projection along the beam shows the same absorption."""
    volume, mosaic = bench.image(moving), bench.image(fixed)
    start = _declared(session, moving, fixed)
    if start is None:
        raise NoMatch("No stage position says where it lies; link it by landmarks.")
    step = spacing(moving)
    projection = np.asarray(volume.data, dtype=float).sum(axis=0) * step[0]
    middle = (np.array(volume.data.shape) - 1) * step / 2
    declared = _planar(start, middle)
    found = align(
        projection,
        (step[-2], step[-1]),
        optical_depth(np.asarray(mosaic.data, dtype=float)),
        (spacing(fixed)[-2], spacing(fixed)[-1]),
        declared,
        prior=replace(WITHIN_INSTRUMENT, tilt_sd=None),
    )
    return Link(
        id=f"content-{moving.frame}-{fixed.frame}",
        moving=moving.frame,
        fixed=fixed.frame,
        kind="content",
        model="affine",
        estimate=estimate(seen_along_z(found, middle)),
        note=f"by correlation, {len(found.moving)} parts agree to {found.fre * 1000:.0f} nm",
    )


def optical_depth(transmission: Floats) -> Floats:
    """Give -ln of a transmission image, its open field taken as 1."""
    open_field = np.nanpercentile(transmission, 99.5)
    if not open_field > 0:
        raise ClxemError("The mosaic has no positive transmission; check its flat-field.")
    return np.asarray(-np.log(np.clip(transmission / open_field, 1e-3, None)))


def _planar(route: Route, middle: Floats) -> UncertainAffine:
    """Give what a route says of the plane through `middle`, as a declared planar map."""
    place = route.transform(middle)[0]
    linear = route.affine[1:3, 1:3]
    spread = float(np.sqrt(np.trace(route.predict_error(middle)[0][-2:, -2:]) / 2))
    matrix = Affine.from_parts(linear, place[-2:] - linear @ middle[1:]).matrix
    return UncertainAffine.declared(matrix, middle[1:], spread)


def seen_along_z(found: UncertainAffine, middle: Floats) -> UncertainAffine:
    """Make the planar map of a projection one of the volume, with stitching and tilt in it."""
    linear = Affine(found.affine).linear
    matrix = np.column_stack([np.zeros(2), found.affine[:2]])
    covariance = np.zeros((2, 4, 2, 4))
    covariance[:, 1:, :, 1:] = found.covariance.reshape(2, 3, 2, 3)
    lean = np.tan(np.deg2rad(WITHIN_INSTRUMENT.tilt_sd or 0.0)) * np.sqrt(np.linalg.det(linear))
    for row in range(2):
        covariance[row, 0, row, 0] = lean**2
        covariance[row, 3, row, 3] += STITCH_SD**2
    centre = np.array([middle[0], *found.centre])
    return UncertainAffine(matrix, centre, covariance.reshape(8, 8))
