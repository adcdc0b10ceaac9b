"""The verbs on a session: pure functions that give the session after an edit.

``store.commit(lambda s: edits.put(s, site), "Add site")`` makes one undo step. What an edit may
not leave behind (a link to a frame that is gone, say) is checked when it is committed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any, Literal, TypeVar, cast

from napari_clxem.errors import SessionError
from napari_clxem.io.image import Orientation
from napari_clxem.session.model import (
    COLLECTIONS,
    Dataset,
    Estimate,
    Frame,
    Grid,
    Item,
    Landmark,
    Link,
    Session,
    Site,
    SiteStatus,
    Vector,
    key,
)
from napari_clxem.session.reorientation import deepened, reoriented

Edit = Callable[[Session], Session]
Side = Literal["moving", "fixed"]
ItemT = TypeVar("ItemT", bound=Item)


def get(session: Session, kind: type[ItemT], name: str) -> ItemT:
    """Give the site, frame, dataset, link, target or exposure `name` (an id, or a frame's name).

    Raises
    ------
    SessionError
        Where the session has none of that name.
    """
    for item in getattr(session, _collection(kind)):
        if key(item) == name:
            return cast("ItemT", item)
    raise SessionError(f"The session has no {kind.__name__.lower()} {name!r}.")


def put(session: Session, *items: Item) -> Session:
    """Add `items`; one whose id (for a frame: name) is there already takes its place."""
    for item in items:
        name = _collection(type(item))
        session = _with(session, name, _put(getattr(session, name), item))
    return session


def drop(session: Session, kind: type[Item], *names: str) -> Session:
    """Remove items by id (for frames: by name).

    Raises
    ------
    SessionError
        Where the session has none of that name.
    """
    for name in names:
        gone = get(session, kind, name)
        field = _collection(kind)
        rest = tuple(item for item in getattr(session, field) if item is not gone)
        session = _with(session, field, rest)
    return session


def amend(session: Session, kind: type[Item], name: str, /, **values: Any) -> Session:
    """Change fields of one item: ``amend(s, Site, id, status="milled")``.

    Raises
    ------
    SessionError
        Where there is no such item or field, or the field is what tells the item apart.
    """
    return put(session, _amended(get(session, kind, name), values))


def reorder(session: Session, kind: type[Item], names: tuple[str, ...]) -> Session:
    """Put the items of one kind into the order of `names`, which names each of them once.

    Raises
    ------
    SessionError
        Where `names` leaves one out, repeats one or names one that is not there.
    """
    field = _collection(kind)
    items = {key(item): item for item in getattr(session, field)}
    if sorted(items) != sorted(names):
        raise SessionError(f"The new order of {field} must name each of them once.")
    return _with(session, field, tuple(items[name] for name in names))


def set_grid(session: Session, /, **values: Any) -> Session:
    """Change fields of the grid: ``set_grid(s, name="G7", type="200 mesh Au")``."""
    _known_fields(Grid, values)
    return replace(session, grid=replace(session.grid, **values))


def rename(session: Session, name: str) -> Session:
    """Name the session."""
    return replace(session, name=name)


def rename_frame(session: Session, old: str, new: str) -> Session:
    """Rename a frame, and whatever refers to it.

    Raises
    ------
    SessionError
        Where there is no frame `old`, or one named `new` already.
    """
    get(session, Frame, old)
    if any(frame.name == new for frame in session.frames):
        raise SessionError(f"There is a frame {new!r} already; choose another name.")

    def renamed(item: Any, *names: str) -> Any:
        values = {name: new for name in names if getattr(item, name) == old}
        return replace(item, **values) if values else item

    return replace(
        session,
        frames=tuple(renamed(one, "name") for one in session.frames),
        datasets=tuple(renamed(one, "frame") for one in session.datasets),
        links=tuple(renamed(one, "moving", "fixed") for one in session.links),
        targets=tuple(renamed(one, "frame") for one in session.targets),
        exposures=tuple(renamed(one, "frame") for one in session.exposures),
        lamellae=tuple(renamed(one, "frame") for one in session.lamellae),
        fields=tuple(renamed(one, "frame") for one in session.fields),
    )


def set_status(session: Session, site: str, status: SiteStatus) -> Session:
    """Say how far a site has come: candidate, imaged, x-rayed, milled or lost."""
    return amend(session, Site, site, status=status)


def set_scale(session: Session, dataset: str, scale: Vector) -> Session:
    """Give a dataset its pixel size, µm, in the order of its spatial axes."""
    return amend(session, Dataset, dataset, scale=tuple(scale))


def set_axial_scaling(session: Session, dataset: str, factor: float) -> Session:
    """Give a dataset the factor that its z is multiplied by (actual over stage depth).

    Whatever lies in its frame follows: landmarks and targets stay in the slices they were in.

    Raises
    ------
    SessionError
        Where the dataset has no z, or something cannot follow.
    """
    return deepened(session, get(session, Dataset, dataset), factor)


def set_orientation(session: Session, dataset: str, orientation: Orientation) -> Session:
    """Say how the stored axes of a dataset become (z, y, x).

    Its shape and pixel size follow, and so does whatever lies in its frame: landmarks, targets
    and stored transforms stay on the pixels they were on.

    Raises
    ------
    SessionError
        Where the orientation does not fit the dataset, or something cannot follow.
    """
    return reoriented(session, get(session, Dataset, dataset), orientation)


def set_estimate(session: Session, link: str, estimate: Estimate | None) -> Session:
    """Give a link its transform, with its uncertainty."""
    return amend(session, Link, link, estimate=estimate)


def put_landmarks(session: Session, link: str, *landmarks: Landmark) -> Session:
    """Add landmarks to a link; one whose id is there already takes its place."""
    items = get(session, Link, link).landmarks
    for landmark in landmarks:
        items = _put(items, landmark)
    return amend(session, Link, link, landmarks=items)


def drop_landmarks(session: Session, link: str, *names: str) -> Session:
    """Remove landmarks from a link by id.

    Raises
    ------
    SessionError
        Where the link has none of that id.
    """
    for name in names:
        get_landmark(session, link, name)
    rest = tuple(one for one in get(session, Link, link).landmarks if one.id not in names)
    return amend(session, Link, link, landmarks=rest)


def get_landmark(session: Session, link: str, name: str) -> Landmark:
    """Give one landmark of a link by id.

    Raises
    ------
    SessionError
        Where the link has none of that id.
    """
    for landmark in get(session, Link, link).landmarks:
        if landmark.id == name:
            return landmark
    raise SessionError(f"Link {link!r} has no landmark {name!r}.")


def amend_landmark(session: Session, link: str, name: str, /, **values: Any) -> Session:
    """Change fields of one landmark: ``amend_landmark(s, link, id, origin="bead")``."""
    return put_landmarks(session, link, _amended(get_landmark(session, link, name), values))


def move_landmark(
    session: Session,
    link: str,
    name: str,
    side: Side,
    position: Vector | None,
    sigma: Vector | None = None,
) -> Session:
    """Put one side of a landmark at `position`, µm, in the frame of that side.

    Parameters
    ----------
    session : Session
        The document.
    link, name : str
        Ids of the link and of its landmark.
    side : {"moving", "fixed"}
        Which side is moved.
    position : tuple of float or None
        (z, y, x) or (y, x), µm; None takes the pick back.
    sigma : tuple of float, optional
        New standard deviation, µm; without it a side that was picked keeps its own.
    """
    values: dict[str, Any] = {side: None if position is None else tuple(position)}
    if sigma is not None or position is None:
        values[f"{side}_sigma"] = None if position is None or sigma is None else tuple(sigma)
    return amend_landmark(session, link, name, **values)


def use_landmark(session: Session, link: str, name: str, use: bool = True) -> Session:
    """Take a landmark into the fit of its link, or exclude it (``use=False``)."""
    return amend_landmark(session, link, name, use=use)


def _collection(kind: type) -> str:
    for name, member in COLLECTIONS[Session].items():
        if kind is member:
            return name
    raise SessionError(f"A session holds no {kind.__name__} of its own.")


def _with(session: Session, name: str, items: Any) -> Session:
    values: dict[str, Any] = {name: items}
    return replace(session, **values)


def _put(items: tuple[ItemT, ...], item: ItemT) -> tuple[ItemT, ...]:
    name = key(item)
    if any(key(one) == name for one in items):
        return tuple(item if key(one) == name else one for one in items)
    return (*items, item)


def _amended(item: Any, values: dict[str, Any]) -> Any:
    _known_fields(type(item), values)
    changed = replace(item, **values)
    if key(changed) != key(item):
        raise SessionError(
            f"{key(item)!r} cannot be renamed by an amendment; it is known by that name elsewhere."
        )
    return changed


def _known_fields(kind: type, values: dict[str, Any]) -> None:
    unknown = set(values) - {field.name for field in fields(kind)}
    if unknown:
        raise SessionError(f"A {kind.__name__.lower()} has no {min(unknown)!r}.")
