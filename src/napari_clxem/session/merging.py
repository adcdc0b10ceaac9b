"""Two copies of one session brought together, item by item and by id.

With the state that both copies started from, what only one of them changed is taken; what both
changed differently is a conflict, which the user decides. Without it nothing tells a removal
from an addition: every item of either copy is kept, and every difference is a conflict.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from types import MappingProxyType
from typing import Any, Literal

from napari_clxem.dose import Exposure
from napari_clxem.errors import SessionError
from napari_clxem.lamella.field_record import FieldRecord
from napari_clxem.lamella.record import LamellaRecord
from napari_clxem.session.changes import diff
from napari_clxem.session.checks import check
from napari_clxem.session.codec import encode, stored_fields
from napari_clxem.session.differences import label, value_text
from napari_clxem.session.model import (
    COLLECTIONS,
    Dataset,
    Frame,
    Grid,
    Landmark,
    Link,
    Session,
    Target,
    key,
)
from napari_clxem.session.reorientation import reoriented

Side = Literal["ours", "theirs"]
Unit = tuple[str, ...]

REMOVED = "removed"
# Fields that mean something only together: they come from one copy.
_UNITS: Mapping[type, tuple[Unit, ...]] = MappingProxyType(
    {
        Dataset: (("axes", "shape", "scale", "orientation", "stage"),),
        Frame: (("ndim", "z"),),
        Link: (("moving", "fixed"), ("kind", "model", "estimate")),
        Landmark: (("moving", "moving_sigma"), ("fixed", "fixed_sigma")),
        Target: (("frame", "position", "sigma"),),
        Exposure: (stored_fields(Exposure),),
        LamellaRecord: (("frame", "lamella"), ("status", "overlap")),
        FieldRecord: (("frame", "centre", "optics", "pointing"),),
    }
)
# What tells items and documents apart, and so is the same in both copies.
_FIXED = ("id", "schema")


@dataclass(frozen=True)
class Conflict:
    """Something that both copies changed, each in its own way.

    Parameters
    ----------
    key : str
        Names it in the choices, such as ``"sites/s1/status"``.
    what : str
        For people, such as ``"Site cell 1: status"``.
    ours, theirs : str
        What it is in either copy, for people; ``"removed"`` where a copy has it no more.
    """

    key: str
    what: str
    ours: str
    theirs: str


@dataclass(frozen=True)
class Merge:
    """Two copies of a session side by side.

    Parameters
    ----------
    ours, theirs : Session
        The copies, with every image turned alike.
    base : Session or None
        What both started from.
    notes : tuple of str
        What was done so that they go together.
    """

    ours: Session = field(repr=False)
    theirs: Session = field(repr=False)
    base: Session | None = field(default=None, repr=False)
    notes: tuple[str, ...] = ()

    @cached_property
    def conflicts(self) -> tuple[Conflict, ...]:
        """What has to be decided, in the order of the document."""
        found: dict[str, Conflict] = {}

        def note(conflict: Conflict) -> Side:
            found.setdefault(conflict.key, conflict)
            return "ours"

        _merged(self, note)
        return tuple(found.values())

    @cached_property
    def gains(self) -> tuple[str, ...]:
        """What comes in where ours goes first in every conflict, as short sentences."""
        return _counted(diff(self.ours, _whole(self, {})[0]))

    def session(self, choices: Mapping[str, Side] | None = None) -> Session:
        """Give the merged session.

        Parameters
        ----------
        choices : mapping, optional
            Key of a conflict to the copy that it is taken from; ours where it is not named.

        Raises
        ------
        SessionError
            For a choice about no conflict, and where the chosen parts do not go together.
        """
        choices = choices or {}
        unknown = set(choices) - {one.key for one in self.conflicts}
        if unknown:
            raise SessionError(f"There is no conflict {min(unknown)!r} to decide.")
        merged, _ = _whole(self, choices)
        try:
            check(merged)
        except SessionError as error:
            raise SessionError(
                f"The chosen parts do not go together: {error} Choose the same copy for both."
            ) from error
        return merged

    def restored(self, choices: Mapping[str, Side] | None = None) -> tuple[str, ...]:
        """Say what was removed in one copy and is kept because the other refers to it."""
        return _whole(self, choices or {})[1]


def merge(ours: Session, theirs: Session, base: Session | None = None) -> Merge:
    """Compare two copies of one session.

    Paths of files that are the same by fingerprint are no difference, the places where a grid
    has been add up, and an image that was turned in one copy is turned in the other, with all
    that was picked in it.

    Parameters
    ----------
    ours, theirs : Session
        The copies.
    base : Session, optional
        The state that both started from, such as a travel package keeps.

    Raises
    ------
    SessionError
        Where they are of two grids, of two schemas, or an image that was turned in one copy
        cannot be turned in the other.
    """
    if ours.id != theirs.id and ours.grid.id != theirs.grid.id:
        raise SessionError(
            f"These are two grids, {ours.grid.name or ours.name!r} and "
            f"{theirs.grid.name or theirs.name!r}, not two copies of one session; "
            "choose a copy of the session that is open."
        )
    if base is not None and base.id not in (ours.id, theirs.id):
        raise SessionError("What the copies are said to have started from is another session.")
    return _alike(Merge(ours, theirs, base))


def _alike(pair: Merge) -> Merge:
    """Turn the images of all states alike, so that positions in them mean the same."""
    notes = []
    for one in pair.ours.datasets:
        other = _dataset(pair.theirs, one.id)
        start = None if pair.base is None else _dataset(pair.base, one.id)
        if other is None or other.orientation == one.orientation:
            continue
        theirs_turned = start is not None and start.orientation == one.orientation
        wanted = other if theirs_turned else one
        what = f"Dataset {one.name or one.id!r}"
        notes.append(f"{what} is turned as in {'the other' if theirs_turned else 'this'} copy.")
        pair = replace(
            pair,
            ours=_turned(pair.ours, wanted, what),
            theirs=_turned(pair.theirs, wanted, what),
            base=None if pair.base is None else _turned(pair.base, wanted, what),
        )
    return replace(pair, notes=tuple(notes))


def _dataset(session: Session, name: str) -> Dataset | None:
    return next((one for one in session.datasets if one.id == name), None)


def _turned(session: Session, wanted: Dataset, what: str) -> Session:
    mine = _dataset(session, wanted.id)
    if mine is None:
        return session
    try:
        return reoriented(session, mine, wanted.orientation)
    except SessionError as error:
        raise SessionError(
            f"{what} was turned in one copy only, and the other cannot follow: {error}"
        ) from error


Decide = Callable[[Conflict], Side]


def _whole(pair: Merge, choices: Mapping[str, Side]) -> tuple[Session, tuple[str, ...]]:
    merged = _merged(pair, lambda conflict: choices.get(conflict.key, "ours"))
    return _with_references(merged, pair)


def _merged(pair: Merge, decide: Decide) -> Session:
    found: Session = _item("", pair.ours, pair.theirs, pair.base, decide)
    return found


def _item(place: str, ours: Any, theirs: Any, base: Any, decide: Decide) -> Any:
    """Merge two states of one document class, unit by unit."""
    cls = type(ours)
    collections = COLLECTIONS.get(cls, {})
    values: dict[str, Any] = {}
    for unit in _units(cls):
        name = unit[0]
        where = f"{place}/{name}" if place else name
        parts = [None if one is None else _part(one, unit) for one in (ours, theirs, base)]
        if name in collections:
            start = () if base is None else getattr(base, name)
            values[name] = _items(where, getattr(ours, name), getattr(theirs, name), start, decide)
        elif isinstance(getattr(ours, name), Grid):
            before = None if base is None else getattr(base, name)
            values[name] = _item(where, getattr(ours, name), getattr(theirs, name), before, decide)
        elif (cls, name) == (Grid, "history"):
            values[name] = (*ours.history, *(x for x in theirs.history if x not in ours.history))
        elif not _same_file(cls, name, ours, theirs):
            values |= _unit(where, ours, parts, decide)
    return replace(ours, **values)


def _units(cls: type) -> list[Unit]:
    joined = _UNITS.get(cls, ())
    first = {unit[0]: unit for unit in joined}
    later = {name for unit in joined for name in unit[1:]}
    names = [name for name in stored_fields(cls) if name not in later and name not in _FIXED]
    if cls is Exposure:
        return [stored_fields(cls)]
    return [first.get(name, (name,)) for name in names]


def _part(item: Any, unit: Unit) -> dict[str, Any]:
    return {name: getattr(item, name) for name in unit}


def _unit(where: str, item: Any, parts: list[Any], decide: Decide) -> dict[str, Any]:
    ours, theirs, base = parts
    plain = [None if one is None else {k: encode(v) for k, v in one.items()} for one in parts]
    if plain[0] == plain[1] or (base is not None and plain[1] == plain[2]):
        return {}
    if base is not None and plain[0] == plain[2]:
        return dict(theirs)
    name = where.rpartition("/")[2]
    what = f"{label(item)}: {name.replace('_', ' ')}" if label(item) else name
    conflict = Conflict(where, what, value_text(ours), value_text(theirs))
    return dict(theirs) if decide(conflict) == "theirs" else {}


def _same_file(cls: type, name: str, ours: Any, theirs: Any) -> bool:
    """Whether two datasets show one file, wherever it lies on either computer."""
    if (cls, name) != (Dataset, "file"):
        return False
    marks = [(one.file.index, one.file.size, one.file.fingerprint) for one in (ours, theirs)]
    return bool(ours.file.fingerprint) and marks[0] == marks[1]


def _items(place: str, ours: Any, theirs: Any, base: Any, decide: Decide) -> tuple[Any, ...]:
    """Merge two lists of items by key: the order of ours, then what theirs has besides."""
    mine, other, start = ({key(one): one for one in items} for items in (ours, theirs, base))
    found = []
    for name in [*mine, *(name for name in other if name not in mine)]:
        where = f"{place}/{name}"
        if name in mine and name in other:
            found.append(_item(where, mine[name], other[name], start.get(name), decide))
        elif (kept := _in_one(where, name, mine, other, start, decide)) is not None:
            found.append(kept)
    return tuple(found)


def _in_one(
    where: str,
    name: str,
    mine: Mapping[str, Any],
    other: Mapping[str, Any],
    start: Mapping[str, Any],
    decide: Decide,
) -> Any:
    """Decide about an item that one copy lacks: added there, or removed here."""
    item = mine.get(name, other.get(name))
    if name not in start:
        return item
    if encode(item) == encode(start[name]):
        return None
    here: Side = "ours" if name in mine else "theirs"
    texts = {here: "changed", "theirs" if here == "ours" else "ours": REMOVED}
    conflict = Conflict(where, label(item), texts["ours"], texts["theirs"])
    return item if decide(conflict) == here else None


def _with_references(merged: Session, pair: Merge) -> tuple[Session, tuple[str, ...]]:
    """Bring back sites and frames that something in the merged session refers to."""
    notes: list[str] = []
    for name, wanted in (("sites", _sites_used(merged)), ("frames", _frames_used(merged))):
        there = {key(one) for one in getattr(merged, name)}
        states = [one for one in (pair.base, pair.theirs, pair.ours) if one is not None]
        known = {key(one): one for state in states for one in getattr(state, name)}
        back = [known[one] for one in dict.fromkeys(wanted) if one not in there and one in known]
        if back:
            values: dict[str, Any] = {name: (*getattr(merged, name), *back)}
            merged = replace(merged, **values)
        notes += [f"{label(one)} was removed in one copy, but is in use: it stays." for one in back]
    return merged, tuple(notes)


def _sites_used(session: Session) -> list[str]:
    sites = [one.site for one in session.datasets] + [one.site for one in session.targets]
    sites += [one.site for one in session.lamellae] + [one.site for one in session.fields]
    return [site for site in sites if site is not None]


def _frames_used(session: Session) -> list[str]:
    frames = [name for link in session.links for name in (link.moving, link.fixed)]
    frames += [one.frame for one in session.datasets if one.frame]
    frames += [one.frame for one in session.targets]
    frames += [one.frame for one in session.exposures]
    frames += [one.frame for one in session.lamellae]
    return frames + [one.frame for one in session.fields]


def _counted(changes: Mapping[str, Any]) -> tuple[str, ...]:
    """Count what a change does, by kind of item."""
    found = []
    for name, kind in COLLECTIONS[Session].items():
        found += _sentences(kind.__name__.lower(), [changes.get(name, {})])
    edits = changes.get("links", {}).get("edit", {}).values()
    found += _sentences("landmark", [one.get("landmarks", {}) for one in edits])
    plain = [name for name in changes if name not in COLLECTIONS[Session]]
    return (*found, *(f"{name} of the session changed" for name in plain))


def _sentences(kind: str, changes: list[Any]) -> list[str]:
    verbs = {"put": "added", "edit": "changed", "drop": "removed"}
    counts = {verb: sum(len(one.get(name, ())) for one in changes) for name, verb in verbs.items()}
    return [f"{n} {kind}{'s' if n > 1 else ''} {verb}" for verb, n in counts.items() if n]
