"""Links of a tomogram to a stack and to a lamella's map by what both show, where beads are few.

Where the stack lies in the plane is known from the maps; how high, no map tells. What both show
does, and where it contradicts the maps there is no link.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from napari_clxem.errors import NoMatch
from napari_clxem.fiducials import ContentMatch, lamella_region, relate, relate_section
from napari_clxem.frames import Affine, Route, UncertainAffine
from napari_clxem.frames.affine import Floats
from napari_clxem.io.image import OpenedImage
from napari_clxem.session.beads import known_way, spacing
from napari_clxem.session.geometry import complete, estimate
from napari_clxem.session.model import Dataset, Link, Session

# Places about the known one that are looked at as well, sd in the plane and along z, µm: without
# others to compare with, none stands out.
AROUND = (2.0, 0.5)
# The same in the plane of a lamella's map, least and most, and across it.
SECTION_AROUND, DEPTH_SD = (0.3, 1.0), 0.5
# Of a lamella that nobody has recorded, µm.
THICKNESS = 0.3
# Between two instruments that look down on a grid: turn and tilt, degrees, and scale.
TURN_SD, TILT_SD, SCALE_SD = 0.5, 1.5, 0.01
# Finer pixels than this say nothing of features of 0.4 µm, µm.
FINE = 0.065
# Sd of the difference at which what both show contradicts what was known.
CONTRADICTS = 4.0


def by_features(
    session: Session, moving: tuple[Dataset, OpenedImage], fixed: tuple[Dataset, OpenedImage]
) -> Link:
    """Link a fluorescence stack to a tomogram by the features of both.

    Parameters
    ----------
    session : Session
        In which the two hang together in the plane: by bead links to one map, or by hand.
    moving, fixed : tuple of Dataset and OpenedImage
        The stack, all channels of it but that of the beads, and the tomogram.

    Returns
    -------
    Link
        Of kind ``"content"``; its estimate carries the covariance that parts of the volume show.

    Raises
    ------
    NoMatch
        Where nothing says where to look, no place stands out, or it contradicts what is known.
    """
    (stack, image), (tomogram, volume) = moving, fixed
    way = known_way(session, stack, tomogram)
    if way is None:
        raise NoMatch("No map or stage says where the stack lies; link it by landmarks.")
    here, there = _binned(_channels(image), spacing(stack)), _binned(volume.data, spacing(tomogram))
    start = _start(way, here, there)
    found = relate(here.data, here.spacing, there.data, there.spacing, start)
    _check(found, way, here, there)
    placed = found.transform
    return Link(
        id=f"content-{stack.frame}-{tomogram.frame}",
        moving=stack.frame,
        fixed=tomogram.frame,
        kind="content",
        model="affine",
        estimate=estimate(
            UncertainAffine(
                Affine.from_parts(np.eye(3), there.corner).matrix
                @ placed.matrix
                @ Affine.from_parts(np.eye(3), -here.corner).matrix,
                placed.centre + here.corner,
                placed.covariance,
            )
        ),
        note=f"by features; the stack explains {found.score:.0%} of the tomogram's, at the next "
        f"best place {found.rival:.0%}",
    )


def by_section(
    session: Session, moving: tuple[Dataset, OpenedImage], fixed: tuple[Dataset, OpenedImage]
) -> Link:
    """Link a tomogram to the electron map of a lamella cut from it.

    Parameters
    ----------
    session : Session
        In which the two hang together to a µm: by a few landmarks, or over a FIB view.
    moving, fixed : tuple of Dataset and OpenedImage
        The tomogram and the map.

    Returns
    -------
    Link
        Of kind ``"content"``, 3D to 2D.

    Raises
    ------
    NoMatch
        Where nothing says where to look, no lamella shows, or no place stands out.
    """
    (tomogram, volume), (chart, image) = moving, fixed
    way = known_way(session, tomogram, chart)
    if way is None:
        raise NoMatch("Nothing says where the lamella lies; pick three landmarks first.")
    pixel = spacing(chart)[-2], spacing(chart)[-1]
    plane = np.asarray(image.data, dtype=np.float32)
    plane = np.where(lamella_region(plane, pixel), plane, np.nan)
    here = _binned(volume.data, spacing(tomogram))
    start = _section_start(session, way, (tomogram, chart), here)
    milled = [one.lamella.thickness for one in session.lamellae if one.site == chart.site]
    thickness = milled[-1] if milled else THICKNESS
    found = relate_section(here.data, here.spacing, plane, pixel, start, thickness=thickness)
    placed = found.transform
    covariance = placed.covariance.reshape(3, 4, 3, 4)[1:, :, 1:].reshape(8, 8)
    matrix = placed.matrix @ Affine.from_parts(np.eye(3), -here.corner).matrix
    return Link(
        id=f"content-{tomogram.frame}-{chart.frame}",
        moving=tomogram.frame,
        fixed=chart.frame,
        kind="content",
        model="affine",
        estimate=estimate(UncertainAffine(matrix[1:3], placed.centre + here.corner, covariance)),
        note=f"by features; a slab of the tomogram explains {found.score:.0%} of the map's, at the "
        f"next best place {found.rival:.0%}",
    )


def _section_start(
    session: Session, way: Route, pair: tuple[Dataset, Dataset], here: _Binned
) -> UncertainAffine:
    """Lay the middle of what was picked in the lamella at height 0 of its map."""
    frames = tuple(one.frame for one in pair)
    picked = [
        mark.moving
        for link in session.links
        if (link.moving, link.fixed) == frames
        for mark in complete(link.landmarks)
    ]
    middle = here.corner + here.extent / 2
    if picked:
        middle = np.mean(np.array(picked, float), axis=0)
    linear = way.placement[:3, :3]
    place = np.array([0.0, *way.transform(middle)[0][-2:]])
    spread = way.predict_error(middle)[0][-2:, -2:]
    inner = middle - here.corner
    matrix = Affine.from_parts(linear, place - linear @ inner).matrix
    start = UncertainAffine.declared(matrix, inner, AROUND[1], TURN_SD, SCALE_SD, TILT_SD)
    every = start.covariance.reshape(3, 4, 3, 4).copy()
    known = float(np.clip(np.sqrt(np.diag(spread).max()), *SECTION_AROUND))
    every[:, 3, :, 3] = np.diag([DEPTH_SD, known, known]) ** 2
    return UncertainAffine(matrix, inner, every.reshape(12, 12))


class _Binned:
    """An image binned to about the resolution that counts; where its first pixel's centre is."""

    def __init__(self, data: Floats, pixel: tuple[float, ...], corner: Floats) -> None:
        self.data = data
        self.spacing = (pixel[0], pixel[1], pixel[2])
        self.corner = corner

    @property
    def extent(self) -> Floats:
        """From the first pixel's centre to the last one's, µm."""
        extent: Floats = (np.array(self.data.shape[-3:]) - 1) * np.array(self.spacing)
        return extent


def _binned(data: Any, pixel: tuple[float, ...]) -> _Binned:
    """Average blocks of pixels, slice by slice of what is read, as far as these are too fine."""
    by = np.maximum(np.floor(FINE / np.array(pixel)).astype(int), 1)
    shape = np.array(data.shape[-3:]) // by * by
    inner = np.asarray(data[..., : shape[0], : shape[1], : shape[2]])
    blocks = [part for n, b in zip(shape, by, strict=True) for part in (n // b, b)]
    mean = inner.reshape(*inner.shape[:-3], *blocks).mean(axis=(-5, -3, -1), dtype=np.float32)
    sizes = tuple(float(size) for size in by * pixel)
    return _Binned(mean, sizes, (by - 1) / 2 * np.array(pixel))


def _channels(image: OpenedImage) -> Any:
    """Give the channels that show no beads, (c, z, y, x)."""
    if "c" not in image.axes:
        return image.data
    stack = np.moveaxis(image.data, image.axes.index("c"), 0)
    named = [i for i, c in enumerate(image.channels) if "bead" in c.name.lower()]
    kept = [i for i in range(len(stack)) if i not in named]
    return stack[kept] if kept else stack


def _start(way: Route, here: _Binned, there: _Binned) -> UncertainAffine:
    """Lay the middle of the stack at the middle height of the tomogram, where a map puts it."""
    linear = way.placement[:3, :3]
    centre = there.corner + there.extent / 2
    middle = Affine(way.placement).inverted().transform(centre)[0]
    middle[0] = (here.corner + here.extent / 2)[0]
    place = way.transform(middle)[0]
    spread = way.predict_error(middle)[0]
    place[0] = centre[0] if spread[0, 0] > AROUND[1] ** 2 else place[0]
    inner = middle - here.corner
    matrix = Affine.from_parts(linear, place - there.corner - linear @ inner).matrix
    start = UncertainAffine.declared(matrix, inner, AROUND[1], TURN_SD, SCALE_SD, TILT_SD)
    every = start.covariance.reshape(3, 4, 3, 4).copy()
    floor = np.diag([AROUND[1], AROUND[1], AROUND[1]]) ** 2
    spread = np.where(np.eye(3) > 0, np.minimum(np.maximum(spread, floor), AROUND[0] ** 2), 0.0)
    every[:, 3, :, 3] = spread
    return UncertainAffine(matrix, inner, every.reshape(12, 12))


def _check(found: ContentMatch, way: Route, here: _Binned, there: _Binned) -> None:
    """Refuse a place that what was known contradicts."""
    middle = found.transform.centre
    place = found.transform.transform(middle)[0] + there.corner
    expected = way.transform(middle + here.corner)[0]
    covariance = way.predict_error(middle + here.corner)[0] + np.diag(found.sigma**2)
    # A height that only the prior of a map tells says nothing against another.
    known = np.sqrt(np.diag(covariance)) < AROUND[1]
    away = (place - expected)[known]
    if not known.any():
        return
    distance = float(np.sqrt(away @ np.linalg.solve(covariance[np.ix_(known, known)], away)))
    if distance > CONTRADICTS:
        raise NoMatch(
            f"What both show puts the stack {1e3 * np.linalg.norm(away):.0f} nm from where the "
            f"other links do, {distance:.0f} standard deviations off; look at both, and link the "
            "frames by landmarks."
        )
