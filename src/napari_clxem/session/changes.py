"""What differs between two states of a document, as small plain JSON, and how to apply it.

Items of a collection are compared by key and by field, so that moving one landmark is a change
of one field of one landmark, whatever the size of the document.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, TypeVar, cast

from napari_clxem.errors import SessionError
from napari_clxem.session.codec import Plain, decode, decode_field, encode, stored_fields
from napari_clxem.session.model import COLLECTIONS, Item, key

T = TypeVar("T")
Changes = dict[str, Plain]


def diff(old: Any, new: Any, place: str = "") -> Changes:
    """Say what turns `old` into `new`, two documents of one class.

    Returns
    -------
    dict
        Field name -> new value; for a collection a dict with any of ``drop`` (keys), ``put``
        (new items), ``edit`` (key -> changes of an item) and ``order`` (keys, where the order
        is not that of `old` followed by the new items). Empty where nothing differs.

    Raises
    ------
    SessionError
        For two items with one key, or a value that a session cannot keep.
    """
    cls: Any = type(new)
    collections = COLLECTIONS.get(cls, {})
    found: Changes = {}
    for name in stored_fields(cls):
        before, after = getattr(old, name), getattr(new, name)
        if before is after:
            continue
        where = f"{place} › {name}" if place else name
        if name in collections:
            if changes := _diff_items(before, after, where):
                found[name] = changes
        elif (plain := encode(after, where)) != encode(before, where):
            found[name] = plain
    return found


def _diff_items(old: tuple[Item, ...], new: tuple[Item, ...], place: str) -> Plain:
    olds, news = by_key(old, place), by_key(new, place)
    drop = [k for k in olds if k not in news]
    put = [encode(item, f"{place} › {k!r}") for k, item in news.items() if k not in olds]
    edit: dict[str, Changes] = {}
    for k, item in news.items():
        if k in olds and olds[k] is not item and (found := _diff_item(olds[k], item, place, k)):
            edit[k] = found
    natural = [k for k in olds if k in news] + [k for k in news if k not in olds]
    order = list(news) if natural != list(news) else []
    found = {"drop": drop, "put": put, "edit": edit, "order": order}
    return {name: value for name, value in found.items() if value}


def _diff_item(old: Item, new: Item, place: str, k: str) -> Changes:
    if type(old) is not type(new):
        raise SessionError(f"{place} › {k!r} is a {type(new).__name__}, which cannot stand there.")
    return diff(old, new, f"{place} › {k!r}")


def by_key(items: tuple[Item, ...], place: str) -> dict[str, Item]:
    """Give the items of a collection by key.

    Raises
    ------
    SessionError
        For two items with one key, naming `place`.
    """
    found: dict[str, Item] = {}
    for item in items:
        k = key(item)
        if k in found:
            raise SessionError(f"{place} holds {k!r} twice; each needs a name or id of its own.")
        found[k] = item
    return found


def apply(document: T, changes: Mapping[str, Plain], place: str = "") -> T:
    """Give `document` with `changes` made, as :func:`diff` states them.

    Whatever is not named in `changes` stays the same object.

    Raises
    ------
    SessionError
        Where the changes do not fit this document.
    """
    cls: Any = type(document)
    collections = COLLECTIONS.get(cls, {})
    values: dict[str, Any] = {}
    for name, plain in changes.items():
        where = f"{place} › {name}" if place else name
        if name in collections:
            values[name] = _apply_items(getattr(document, name), plain, collections[name], where)
        elif name in stored_fields(cls):
            values[name] = decode_field(cls, name, plain, where)
        else:
            raise SessionError(f"{where} is not a field this version knows.")
    return cast("T", replace(cast("Any", document), **values)) if values else document


def _apply_items(
    items: tuple[Item, ...], changes: Plain, kind: type, place: str
) -> tuple[Item, ...]:
    if not isinstance(changes, dict):
        raise SessionError(f"{place} is not a list of changes.")
    found = by_key(items, place)
    try:
        for k in changes.get("drop", []):
            del found[k]
        for k, fields in changes.get("edit", {}).items():
            found[k] = apply(found[k], fields, f"{place} › {k!r}")
        for plain in changes.get("put", []):
            item: Item = decode(kind, plain, f"{place} › new")
            found[key(item)] = item
        order = changes.get("order", list(found))
        return tuple(found[k] for k in order)
    except (KeyError, TypeError, AttributeError) as error:
        raise SessionError(f"{place} does not hold what the change is about: {error}.") from error
