"""What a milled lamella shares with tomograms, and holds of targets, by the links of now."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from napari_clxem.errors import LamellaError, NoPathError
from napari_clxem.frames import Affine, Route
from napari_clxem.frames.affine import Floats
from napari_clxem.lamella import (
    Capture,
    Lamella,
    LamellaRecord,
    Overlap,
    SlabPose,
    capture_probability,
    overlap,
    slab_pose,
)
from napari_clxem.report.subject import axes_of, extent
from napari_clxem.session.geometry import graph, place
from napari_clxem.session.model import Dataset, Session
from napari_clxem.session.slabs import laid

TOMOGRAM = "sxt"


def tomograms_of(session: Session, record: LamellaRecord) -> tuple[Dataset, ...]:
    """Give the tomograms of a lamella's site."""
    return tuple(
        one
        for one in session.datasets
        if one.site in (None, record.site)
        and one.modality == TOMOGRAM
        and one.frame
        and axes_of(session, one.frame) == 3
        and extent(one) is not None
    )


def held(session: Session, record: LamellaRecord) -> tuple[str, dict[str, Capture]]:
    """Give what a lamella on a map holds of the targets of its site, by their ids.

    Returns
    -------
    str
        Frame of the tomogram in which its place is known best; empty where none is linked.
    dict of str to Capture
        Link and pick count both.
    """
    tie = best_tie(session, record)
    if tie is None:
        return "", {}
    frame, way = tie
    slab = carried(record.lamella, slab_pose(record.lamella, way.placement))
    on_map = Affine(way.placement).inverted()
    ndim = axes_of(session, record.frame)
    found = {}
    for target in session.targets:
        spot = place(session, target, frame)
        if target.site not in (None, record.site) or spot is None:
            continue
        if np.isfinite(spot.covariance).all():
            there = on_map.transform([spot.position])[0]
            own = way.predict_error([there[3 - ndim :]])[0]
            both = np.array(spot.covariance) + own
            found[target.id] = capture_probability(slab, spot.position, target.radius, both)
    return frame, found


def best_tie(session: Session, record: LamellaRecord) -> tuple[str, Route] | None:
    """Find the tomogram in which the lamella's place is known best, and the way there."""
    ways = graph(laid(session, record))
    here = record.lamella.centre[3 - axes_of(session, record.frame) :]
    found = []
    for dataset in tomograms_of(session, record):
        try:
            way = ways.transform(record.frame, dataset.frame, [here])
        except NoPathError:
            continue
        error = float(np.trace(way.predict_error([here])[0]))
        if np.isfinite(error):
            found.append((error, dataset.frame, way))
    best = min(found, key=lambda one: one[0], default=None)
    return None if best is None else (best[1], best[2])


def carried(lamella: Lamella, pose: SlabPose) -> Lamella:
    """Give a lamella as it lies in another frame."""
    z, y, x = pose.normal
    angle = float(np.rad2deg(np.arccos(np.clip(z, -1.0, 1.0))))
    azimuth = float(np.rad2deg(np.arctan2(-x, y))) if angle > 1e-9 else 0.0
    plain = replace(
        lamella,
        centre=(float(pose.centre[0]), float(pose.centre[1]), float(pose.centre[2])),
        angle=angle,
        azimuth=azimuth,
        thickness=pose.thickness,
        damage=lamella.damage * pose.thickness / lamella.thickness,
        outline=(),
    )
    own = plain.within(pose.corners)[:, 1:]
    length, width = np.ptp(own, axis=0).tolist()
    outline = tuple((a, b) for a, b in own.tolist())
    return replace(plain, outline=outline, length=length, width=width)


def shared(
    session: Session, record: LamellaRecord
) -> tuple[tuple[Dataset, Overlap | None, str], ...]:
    """Give what a lamella on a map shares with every tomogram of its site, by the links of now.

    Returns
    -------
    tuple of (Dataset, Overlap or None, str)
        With why there is no overlap, or no interval; empty for nothing to be said.
    """
    return tuple((one, *_shared(session, record, one)) for one in tomograms_of(session, record))


def _shared(
    session: Session, record: LamellaRecord, dataset: Dataset
) -> tuple[Overlap | None, str]:
    ways = graph(laid(session, record))
    here = record.lamella.centre[3 - axes_of(session, record.frame) :]
    try:
        there = ways.transform(record.frame, dataset.frame, [here])
        back = ways.transform(dataset.frame, record.frame, there.transform([here]))
    except NoPathError:
        return None, f"not linked with {record.frame}"

    def covariance(points: Floats) -> Floats:
        return there.predict_error(back.transform(points))

    centre = Affine(there.placement).transform([record.lamella.centre])
    known = bool(np.isfinite(covariance(centre)).all())
    pixels = extent(dataset)
    if pixels is None or pixels[0][0] < 2:
        return None, "it has no thickness"
    box = np.array([-pixels[1] / 2, (pixels[0] - 0.5) * pixels[1]])
    try:
        found = overlap(record.lamella, box, there.placement, covariance if known else None)
    except LamellaError as error:
        return None, str(error)
    return found, "" if known else "the error of the link is not known"
