"""What a session must hold to make sense: references that exist, dimensions that agree."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from napari_clxem.dose import Exposure
from napari_clxem.errors import SessionError
from napari_clxem.io.image import SPATIAL
from napari_clxem.lamella.field_record import FieldRecord
from napari_clxem.lamella.record import LamellaRecord
from napari_clxem.session.changes import by_key
from napari_clxem.session.model import (
    COLLECTIONS,
    SCHEMA,
    Dataset,
    Estimate,
    Frame,
    Link,
    Session,
    Site,
    Target,
)

# Nothing on a 3 mm grid, nor any stage, is a kilometre away: such a number is a wrong unit.
FARTHEST_UM = 1e9


def check(session: Session, known: Session | None = None) -> None:
    """Raise where the parts of `session` do not fit together.

    Parameters
    ----------
    session : Session
        The document.
    known : Session, optional
        A document that passed: what both share is not looked at again.

    Raises
    ------
    SessionError
        One sentence naming the first item at fault and what is wrong with it.
    """
    if session.schema != SCHEMA:
        raise SessionError(f"The session has schema {session.schema}; this version has {SCHEMA}.")
    for name in COLLECTIONS[Session]:
        by_key(getattr(session, name), name)
    frames = {frame.name: frame for frame in session.frames}
    context = _Context(frames, frozenset(site.id for site in session.sites))
    same_context = (
        known is not None and known.frames == session.frames and known.sites == session.sites
    )
    seen = _identities(known) if known is not None and same_context else frozenset()
    for item in _items(session):
        if id(item) not in seen:
            _check_item(item, context)


@dataclass(frozen=True)
class _Context:
    frames: dict[str, Frame]
    sites: frozenset[str]


def _items(session: Session) -> Iterator[object]:
    for name in COLLECTIONS[Session]:
        yield from getattr(session, name)


def _identities(session: Session) -> frozenset[int]:
    return frozenset(id(item) for item in _items(session))


def _check_item(item: object, context: _Context) -> None:
    match item:
        case Site():
            _need(bool(item.id), "A site has an empty id.")
            _numbers(item.film_tilt, f"The film tilt of site {item.name or item.id!r}", limit=90)
        case Frame():
            _check_frame(item)
        case Dataset():
            _check_dataset(item, context)
        case Link():
            _check_link(item, context)
        case Target():
            _check_target(item, context)
        case Exposure():
            _check_exposure(item, context)
        case LamellaRecord():
            what = f"Lamella {item.name or item.id!r}"
            _site(item.site, what, context)
            _frame(item.frame, what, context)
            _numbers(item.lamella.centre, f"{what}, centre,")
        case FieldRecord():
            what = f"Field {item.name or item.id!r}"
            _site(item.site, what, context)
            _need(
                _frame(item.frame, what, context).ndim == 2,
                f"{what} lies in frame {item.frame!r}, which is 3D; a field lies in a map.",
            )
            _numbers(item.centre, f"{what}, centre,")


def _check_frame(frame: Frame) -> None:
    _need(bool(frame.name), "A frame has no name; give each frame one.")
    _numbers(frame.z, f"The height z of frame {frame.name!r}")
    _need(
        frame.z is None or frame.ndim == 2,
        f"Frame {frame.name!r} is 3D and so has no prior of its height; leave z out.",
    )
    _need(
        frame.z is None or frame.z[1] >= 0,
        f"The sd of the height of frame {frame.name!r} is negative.",
    )


def _check_dataset(dataset: Dataset, context: _Context) -> None:
    what = f"Dataset {dataset.name or dataset.id!r}"
    _need(bool(dataset.id), "A dataset has an empty id.")
    _need(bool(dataset.file.path), f"{what} names no file.")
    _site(dataset.site, what, context)
    if dataset.frame:
        _frame(dataset.frame, what, context)
    _need(
        len(dataset.axes) == len(dataset.shape) or not dataset.shape or not dataset.axes,
        f"{what} has {len(dataset.axes)} axes but a shape of {len(dataset.shape)} numbers.",
    )
    _need(len(set(dataset.axes)) == len(dataset.axes), f"{what} has one axis twice.")
    _need(
        all(0 < n < 2**40 for n in dataset.shape),
        f"{what} has the shape {dataset.shape}, which no image has.",
    )
    spatial = sum(axis in SPATIAL for axis in dataset.axes)
    _need(
        dataset.scale is None or not dataset.axes or len(dataset.scale) == spatial,
        f"{what} has {len(dataset.scale or ())} pixel sizes for {spatial} spatial axes.",
    )
    for value in dataset.scale or ():
        _positive(value, f"The pixel size of {what[0].lower()}{what[1:]}")
    _positive(dataset.axial_scaling, f"The axial scaling of {what[0].lower()}{what[1:]}")


def _check_link(link: Link, context: _Context) -> None:
    what = f"Link {link.id!r}"
    _need(bool(link.id), "A link has an empty id.")
    moving = _frame(link.moving, what, context)
    fixed = _frame(link.fixed, what, context)
    _need(moving is not fixed, f"{what} ties frame {link.moving!r} to itself.")
    by_key(link.landmarks, f"{what} › landmarks")
    _check_side(link, "moving", moving)
    _check_side(link, "fixed", fixed)
    if link.estimate is not None:
        _check_estimate(link.estimate, what)


def _check_side(link: Link, side: str, frame: Frame) -> None:
    """Check one side of the landmarks of a link: all in the plane, or all in the whole frame."""
    found: int | None = None
    for landmark in link.landmarks:
        position, sigma = getattr(landmark, side), getattr(landmark, f"{side}_sigma")
        if position is None and sigma is None:
            continue
        what = f"Landmark {landmark.id!r} of link {link.id!r}, {side},"
        ndim = len(sigma if position is None else position)
        if position is None or (sigma is not None and len(sigma) != ndim):
            raise SessionError(f"{what} has a sigma that does not belong to its position.")
        if not 2 <= ndim <= frame.ndim:
            raise SessionError(
                f"{what} has {ndim} numbers, but frame {frame.name!r} is {frame.ndim}D."
            )
        if found is not None and ndim != found:
            raise SessionError(f"{what} has {ndim} numbers, but those before it have {found}.")
        found = ndim
        _numbers(position, what)
        _numbers(sigma, what)
        if sigma is not None and min(sigma) < 0:
            raise SessionError(f"{what} has a negative sigma; a standard deviation is 0 or more.")


def _check_estimate(estimate: Estimate, what: str) -> None:
    rows, columns = len(estimate.matrix), len(estimate.centre) + 1
    projection = (rows, columns) == (2, 4)
    _need(
        (projection or rows == columns in (3, 4))
        and all(len(row) == columns for row in estimate.matrix),
        f"{what} has a matrix that is neither homogeneous (3 x 3 or 4 x 4) nor a projection "
        "(2 x 4) about its centre.",
    )
    size = (rows if projection else rows - 1) * columns
    _need(
        [len(row) for row in estimate.covariance] == [size] * size,
        f"{what} needs a covariance of {size} x {size} for its {rows} x {columns} matrix.",
    )
    for row in (*estimate.matrix, estimate.centre, *estimate.covariance):
        _numbers(row, f"The estimate of {what[0].lower()}{what[1:]}")
    _need(
        estimate.dof is None or estimate.dof > 0, f"{what} has dof {estimate.dof}; give 1 or more."
    )


def _check_target(target: Target, context: _Context) -> None:
    what = f"Target {target.name or target.id!r}"
    _need(bool(target.id), "A target has an empty id.")
    _site(target.site, what, context)
    ndim = _frame(target.frame, what, context).ndim
    for values, name in ((target.position, "position"), (target.sigma, "sigma")):
        _numbers(values, f"{what}, {name},")
        _need(
            values is None or len(values) == ndim,
            f"{what} has {len(values or ())} numbers for {name}, but frame {target.frame!r} is "
            f"{ndim}D.",
        )
    _need(min(target.sigma or (0.0,)) >= 0, f"{what} has a negative sigma.")
    _positive(target.radius, f"The radius of {what[0].lower()}{what[1:]}")


def _check_exposure(exposure: Exposure, context: _Context) -> None:
    what = f"Exposure {exposure.id!r}"
    _need(bool(exposure.id), "An exposure has an empty id.")
    _frame(exposure.frame, what, context)
    _numbers(exposure.aim, f"{what}, aim,")
    _numbers(exposure.tilts, f"{what}, tilts,", limit=360)
    _check_beam(exposure, what)
    count = len(exposure.tilts)
    _need(count > 0, f"{what} has no tilt; give 0 for an untilted image.")
    for name in ("weights", "times"):
        given = len(getattr(exposure, name))
        _need(
            given in (0, count),
            f"{what} has {given} {name} for {count} tilts; give one each, or none.",
        )
    _need(
        all(math.isfinite(weight) and weight >= 0 for weight in exposure.weights),
        f"{what} has a weight that cannot be; give finite numbers, 0 or more.",
    )
    for name, unit in (("dose_per_image", "MGy per image"), ("fluence", "photons/µm² or e⁻/Å²")):
        value = getattr(exposure, name)
        _need(
            value is None or (math.isfinite(value) and value >= 0),
            f"{what} has a {name.partition('_')[0]} of {value} {unit}; give 0 or more, or none "
            "where it is unknown.",
        )
    _need(exposure.images > 0, f"{what} has {exposure.images} images per tilt; give 1 or more.")


def _check_beam(exposure: Exposure, what: str) -> None:
    low = what[0].lower() + what[1:]
    _need(
        (exposure.beam_radius is None) != (exposure.beam_size is None),
        f"{what} needs one shape of its beam; give either its beam_radius or its beam_size.",
    )
    for value in (exposure.beam_radius, *(exposure.beam_size or ())):
        if value is not None:
            _positive(value, f"The beam of {low}")
    turns = (exposure.beam_turn, exposure.axis_azimuth, exposure.pretilt)
    _numbers(turns, f"{what}, turn of beam or axis,", limit=360)
    _numbers((exposure.axis_height,), f"{what}, height of the axis,")
    reach, share = 0.0, 1.0
    for distance, left in exposure.halo:
        _positive(distance, f"A distance in the halo of {low}")
        _need(
            distance > reach and 0 <= left <= share,
            f"{what} has a halo that does not reach outwards and weaken; give growing distances "
            "and shares that fall from at most 1.",
        )
        reach, share = distance, left


def _frame(name: str, what: str, context: _Context) -> Frame:
    frame = context.frames.get(name)
    if frame is None:
        raise SessionError(f"{what} is in frame {name!r}, which the session does not have.")
    return frame


def _site(site: str | None, what: str, context: _Context) -> None:
    _need(
        site is None or site in context.sites,
        f"{what} belongs to site {site!r}, which the session does not have.",
    )


def _numbers(values: Iterable[float] | None, what: str, limit: float = FARTHEST_UM) -> None:
    for value in values or ():
        if not abs(value) <= limit:  # nan, too
            raise SessionError(
                f"{what} is {value}, which cannot be; give a finite number in µm or degrees."
            )


def _positive(value: float, what: str) -> None:
    _need(
        math.isfinite(value) and 0 < value <= FARTHEST_UM,
        f"{what} is {value}; it must be above zero and finite.",
    )


def _need(holds: bool, sentence: str) -> None:
    if not holds:
        raise SessionError(sentence)
