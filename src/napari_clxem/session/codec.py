"""The document as plain JSON values, and back, with one sentence for whatever does not fit.

pydantic validates; it is imported on first use, so that a session package is quick to import.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeVar, get_type_hints

import numpy as np

from napari_clxem.errors import SessionError
from napari_clxem.io.image import StagePosition
from napari_clxem.session.model import Dataset, Session

if TYPE_CHECKING:
    from pydantic import TypeAdapter, ValidationError

Plain = Any  # what json reads and writes
T = TypeVar("T")


class _UnfitError(Exception):
    """A value that JSON cannot hold, with the place where it was found."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason
        self.place: list[str] = []


@lru_cache(maxsize=64)
def stored_fields(cls: Any) -> tuple[str, ...]:
    """Names of the fields of a document class that go into the file."""
    return tuple(f.name for f in fields(cls) if f.metadata.get("stored", True))


def encode(value: object, place: str = "") -> Plain:
    """Turn a document value into plain JSON values.

    NumPy scalars become numbers, arrays lists. A number that is not finite is refused, except in
    a stage position, where nan means "not stated" and becomes null.

    Parameters
    ----------
    value : object
        A document class, or a value of one of its fields.
    place : str
        Where the value stands, for the message.

    Raises
    ------
    SessionError
        For a number that is not finite, or a value of a type that no document holds.
    """
    try:
        return _encode(value)
    except _UnfitError as error:
        where = " › ".join(([place] if place else []) + error.place[::-1])
        raise SessionError(f"{where or 'A value'} {error.reason}.") from error


def _encode(value: object) -> Plain:
    if isinstance(value, float):
        if not math.isfinite(value):
            raise _UnfitError(f"is {value}, not a finite number; give a number or leave it out")
        return float(value)
    if value is None or isinstance(value, int):
        return value
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, tuple | list):
        return [_encode_at(item, str(i)) for i, item in enumerate(value)]
    if isinstance(value, StagePosition):
        position = [_encode_at(_known(v), "position") for v in value.position]
        return {**_encode_fields(replace(value, position=(0, 0, 0))), "position": position}
    if is_dataclass(value):
        return _encode_fields(value)
    if isinstance(value, np.generic | np.ndarray):
        return _encode(value.tolist())
    raise _UnfitError(f"holds a {type(value).__name__}, which a session cannot keep")


def _encode_fields(value: object) -> Plain:
    cls: Any = type(value)
    return {name: _encode_at(getattr(value, name), name, value) for name in stored_fields(cls)}


def _encode_at(value: object, name: str, owner: object = None) -> Plain:
    try:
        return _encode(value)
    except _UnfitError as error:
        error.place.append(name)
        label = getattr(owner, "id", None) or getattr(owner, "name", None)
        if label:
            error.place.append(repr(label))
        raise


def _known(value: float) -> float | None:
    return None if isinstance(value, (float, np.floating)) and math.isnan(value) else value


def _text(value: str) -> str:
    if not value.isascii():
        try:
            value.encode("utf-8")
        except UnicodeEncodeError as error:
            raise _UnfitError(f"is {value!a}, which is not readable text; rename it") from error
    return str(value)


def decode(cls: type[T], plain: Plain, place: str = "") -> T:
    """Build a document class from plain JSON values.

    Parameters
    ----------
    cls : type
        Class of the document.
    plain : JSON values
        As :func:`encode` gives them.
    place : str
        Where the value stands, for the message.

    Raises
    ------
    SessionError
        Naming the place of the first value of a wrong type, and of a field that is unknown or
        missing.
    """
    kind: Any = cls
    value: T = _validate(_adapter(kind), _with_nan(kind, plain), place)
    return _shared_nan(value)


def decode_field(cls: type, name: str, plain: Plain, place: str = "") -> object:
    """Build the value of field `name` of a document class; see :func:`decode`."""
    if (cls, name) == (Dataset, "stage"):
        plain = _stage_with_nan(plain)
    value = _validate(_adapter(cls, name), plain, place or name)
    return _stage_shared_nan(value) if isinstance(value, StagePosition) else value


@lru_cache(maxsize=128)
def _adapter(cls: Any, name: str | None = None) -> TypeAdapter[tuple[Any]]:
    from pydantic import ConfigDict, TypeAdapter

    kind = cls if name is None else get_type_hints(cls)[name]
    # A dataclass takes its configuration from what holds it, hence the tuple of one.
    holder: Any = tuple.__class_getitem__(kind)
    return TypeAdapter(holder, config=ConfigDict(strict=True, extra="forbid"))


def _validate(adapter: TypeAdapter[tuple[Any]], plain: Plain, place: str) -> Any:
    from pydantic import ValidationError

    try:
        # Only from JSON does strict mode take arrays for tuples and objects for dataclasses.
        return adapter.validate_json(json.dumps([plain]))[0]
    except ValidationError as error:
        raise SessionError(_sentence(error, plain, place)) from error


_REASONS = {
    "unexpected_keyword_argument": "is not a field this version knows",
    "missing": "is missing",
    "missing_argument": "is missing",
    "missing_keyword_only_argument": "is missing",
}


def _sentence(error: ValidationError, plain: Plain, place: str) -> str:
    first = error.errors(include_url=False)[0]
    where = _named(first["loc"][1:], plain, place)
    reason = _REASONS.get(first["type"])
    if reason is None:
        got = repr(first["input"])
        got = got if len(got) <= 40 else f"{got[:37]}..."
        reason = first["msg"].replace("Input should", "should") + f", not {got}"
    return f"{where or 'The session'} {reason}."


def _named(loc: Sequence[str | int], plain: Plain, place: str) -> str:
    names = [place] if place else []
    here: Any = plain
    for step in loc:
        try:
            here = here[step]
        except (KeyError, IndexError, TypeError):
            here = None
        label = here.get("id", here.get("name")) if isinstance(here, Mapping) else None
        listed = isinstance(step, int) and label
        plainly = str(step).isprintable()  # a damaged file may call a field by a control character
        names.append(repr(label) if listed else str(step) if plainly else repr(step))
    return " › ".join(names)


def _with_nan(cls: type, plain: Plain) -> Plain:
    """Put nan back where a stage position states nothing: JSON has null there."""
    if not isinstance(plain, dict):
        return plain
    if cls is Dataset and "stage" in plain:
        return {**plain, "stage": _stage_with_nan(plain["stage"])}
    if cls is Session and isinstance(sets := plain.get("datasets"), list):
        return {**plain, "datasets": [_with_nan(Dataset, one) for one in sets]}
    return plain


def _stage_with_nan(plain: Plain) -> Plain:
    if isinstance(plain, dict) and isinstance(position := plain.get("position"), list):
        return {**plain, "position": [math.nan if v is None else v for v in position]}
    return plain


def _shared_nan(value: T) -> T:
    """Make every nan `math.nan`: tuples then compare equal, as nan itself does not."""
    if isinstance(value, Dataset) and value.stage is not None:
        stage = _stage_shared_nan(value.stage)
        return value if stage is value.stage else replace(value, stage=stage)
    if isinstance(value, Session):
        return replace(value, datasets=tuple(_shared_nan(one) for one in value.datasets))
    return value


def _stage_shared_nan(stage: StagePosition) -> StagePosition:
    if not any(math.isnan(v) for v in stage.position):
        return stage
    z, y, x = (math.nan if math.isnan(v) else v for v in stage.position)
    return replace(stage, position=(z, y, x))
