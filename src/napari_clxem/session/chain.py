"""The automatic chain: every link of a grid that images can make by themselves.

What is linked with what is one table. Each step looks for beads, or compares content, and leaves
a link with its landmarks in the session, or a note why there is none; no step can undo another.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Literal

import numpy as np

from napari_clxem.errors import ClxemError, NoMatch
from napari_clxem.fiducials import Beads
from napari_clxem.fiducials.content import align
from napari_clxem.frames import Affine, Calibration, Route, UncertainAffine
from napari_clxem.frames.affine import Floats
from napari_clxem.io.image import OpenedImage
from napari_clxem.session.beads import (
    STITCH_SD,
    find_beads,
    kind_of,
    known_way,
    linked,
    spacing,
)
from napari_clxem.session.content_links import by_features, by_section
from napari_clxem.session.geometry import complete, estimate
from napari_clxem.session.model import Dataset, Link, Session

Opener = Callable[[Dataset], OpenedImage]
Progress = Callable[[float, str], None]

# One instrument is calibrated against itself.
WITHIN_INSTRUMENT = Calibration(scale_sd=0.01, shear_sd=0.003, axial_sd=0.02, tilt_sd=0.3)

# By beads, also in a view along the grid, by the correlation of one contrast, by the features of
# two, or those of a slab.
How = Literal["beads", "view", "content", "features", "section"]
# Moving modality, fixed modality, axes of either, same site, and how.
Step = tuple[tuple[str, int], tuple[str, int], How]
STEPS: tuple[Step, ...] = (
    (("fluorescence", 2), ("sxt", 2), "beads"),
    (("sem", 2), ("fluorescence", 2), "beads"),
    (("vlm", 2), ("fluorescence", 2), "beads"),
    (("confocal", 3), ("sxt", 2), "beads"),
    (("sxt", 3), ("sxt", 2), "content"),
    (("confocal", 3), ("sxt", 3), "beads"),
    (("confocal", 3), ("sxt", 3), "features"),
    (("confocal", 3), ("fib", 2), "view"),
    (("sxt", 3), ("tem", 2), "section"),
)
# Landmarks from which on a link needs no features beside them.
ENOUGH = 6


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
            self.beads[dataset.id] = find_beads(self.image(dataset), dataset)
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
    failures: dict[tuple[str, str], str] = {}
    for index, (moving, fixed, how) in enumerate(jobs):
        if progress is not None:
            progress(index / len(jobs), f"{moving.name} → {fixed.name}")
        both = moving.id, fixed.id
        if how in ("view", "features", "section") and _suffices(session, moving, fixed):
            continue
        try:
            link = _MAKERS[how](session, bench, moving, fixed)
        except ClxemError as error:
            before = failures.get(both, f"{moving.name} → {fixed.name}:")
            failures[both] = f"{before} {error}"
            continue
        failures.pop(both, None)
        others = tuple(other for other in session.links if other.id != link.id)
        session = replace(session, links=(*others, link))
    if progress is not None:
        progress(1.0, "done")
    return Chained(session, tuple(failures.values()))


def pairs(session: Session) -> Iterator[tuple[Dataset, Dataset, How]]:
    """Give the datasets to be linked, in an order in which each step can lean on earlier ones."""
    for moving_kind, fixed_kind, how in STEPS:
        for moving in session.datasets:
            for fixed in session.datasets:
                fits = (kind_of(moving), kind_of(fixed)) == (moving_kind, fixed_kind)
                if fits and moving is not fixed and fixed.site in (None, moving.site):
                    yield moving, fixed, how


def _by_beads(session: Session, bench: _Bench, moving: Dataset, fixed: Dataset) -> Link:
    return linked((moving, bench.found(moving)), (fixed, bench.found(fixed)), session)


def _by_view(session: Session, bench: _Bench, moving: Dataset, fixed: Dataset) -> Link:
    """Link a stack to a FIB view, near what few landmarks picked by hand say, if any do."""
    between = [
        link
        for link in session.links
        if link.kind == "landmarks" and (link.moving, link.fixed) == (moving.frame, fixed.frame)
    ]
    picked = max(between, key=lambda link: len(link.landmarks), default=None)
    found = bench.found(moving), bench.found(fixed)
    return linked((moving, found[0]), (fixed, found[1]), session, picked)


def _by_content(session: Session, bench: _Bench, moving: Dataset, fixed: Dataset) -> Link:
    """Link a tomogram to its mosaic: its projection along the beam shows the same absorption."""
    volume, mosaic = bench.image(moving), bench.image(fixed)
    start = known_way(session, moving, fixed)
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


def _by_features(session: Session, bench: _Bench, moving: Dataset, fixed: Dataset) -> Link:
    return by_features(session, (moving, bench.image(moving)), (fixed, bench.image(fixed)))


def _by_section(session: Session, bench: _Bench, moving: Dataset, fixed: Dataset) -> Link:
    return by_section(session, (moving, bench.image(moving)), (fixed, bench.image(fixed)))


_MAKERS: Mapping[How, Callable[[Session, _Bench, Dataset, Dataset], Link]] = MappingProxyType(
    {
        "beads": _by_beads,
        "view": _by_view,
        "content": _by_content,
        "features": _by_features,
        "section": _by_section,
    }
)


def _suffices(session: Session, moving: Dataset, fixed: Dataset) -> bool:
    """Tell whether enough landmarks tie two frames already."""
    return any(
        (link.moving, link.fixed) == (moving.frame, fixed.frame)
        and len(complete(link.landmarks)) >= ENOUGH
        for link in session.links
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
