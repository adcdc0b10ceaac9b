"""The session file: ``.clxem.json``, read strictly and written atomically."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NoReturn

from napari_clxem.errors import SessionError
from napari_clxem.session.checks import check
from napari_clxem.session.codec import Plain, decode, encode
from napari_clxem.session.disk import replace_file, why_unread
from napari_clxem.session.layout import layout
from napari_clxem.session.model import SCHEMA, Session
from napari_clxem.session.places import anchored

FORMAT = "napari-clxem session"
SUFFIX = ".clxem.json"
# A session of 100 sites is 2 MB; beyond this it is not one, or not one we could hold.
LARGEST_BYTES = 256 * 2**20
_DIGITS = 18
UNITS: Mapping[str, str] = MappingProxyType({"length": "um", "angle": "deg", "dose": "MGy"})
AXES = ("z", "y", "x")

# Schema n -> what makes a document of schema n one of schema n + 1.
MIGRATIONS: Mapping[int, Callable[[dict[str, Plain]], dict[str, Plain]]] = MappingProxyType({})


def save(session: Session, path: str | Path) -> None:
    """Write `session` to `path` so that the previous file is whole whatever happens.

    The new file is written beside the old one, brought to the disk, and put in its place in one
    step; the previous one stays as ``<name>.bak``. Paths of images are written relative to the
    folder of `path` where they are on the same drive.

    Raises
    ------
    SessionError
        Where the session does not make sense, or cannot be written there.
    """
    place = whole_path(path)
    check(decode(Session, encode(session)))
    write(place, content(session, place))


def write(path: Path, data: bytes, before: Callable[[], None] | None = None) -> None:
    """Put `data` at `path`, keeping the previous file as a backup; see `replace_file`."""
    replace_file(path, data, backup=path.with_name(path.name + ".bak"), before=before)


def content(session: Session, path: Path) -> bytes:
    """Give what the file of a checked `session` at `path` holds."""
    return written(anchored(session, path.parent))


def written(session: Session) -> bytes:
    """Give what a file of a checked `session` holds, with its paths as they are."""
    document = encode(session)
    head = {"format": FORMAT, "schema": SCHEMA, "units": dict(UNITS), "axes": list(AXES)}
    return layout({**head, **document}).encode()


def load(path: str | Path) -> Session:
    """Read the session at `path`.

    Raises
    ------
    SessionError
        Where there is no file, it is not a session, is damaged, is of a newer schema, or does
        not make sense.
    """
    place = whole_path(path)
    return parse(read(place), place)


def whole_path(path: str | Path) -> Path:
    """Give the absolute path of a session file."""
    return Path(path).expanduser().absolute()


def read(path: Path) -> bytes:
    """Read the bytes of the session file at `path`; see :func:`load` for what is raised."""
    try:
        size = path.stat().st_size
        if size > LARGEST_BYTES:
            raise SessionError(
                f"{path} has {size / 2**20:.0f} MB, too much for a session; choose a {SUFFIX} file."
            )
        return path.read_bytes()
    except FileNotFoundError as error:
        raise SessionError(f"There is no session file {path}; check the name.") from error
    except OSError as error:
        raise SessionError(f"{path} cannot be read: {why_unread(error)}.") from error


def parse(data: bytes, path: Path) -> Session:
    """Build the session from the bytes of its file at `path`; see :func:`load`."""
    try:
        session = decode(Session, _document(_values(data)))
        check(session)
    except SessionError as error:
        raise SessionError(f"{path.name} cannot be opened: {error}") from error
    return anchored(session, path.parent)


def fingerprint(data: bytes) -> str:
    """Hash the bytes of a session file, to tell which file a journal continues."""
    return hashlib.blake2b(data, digest_size=16).hexdigest()


def _values(data: bytes) -> Plain:
    try:
        return json.loads(
            data.decode("utf-8-sig"),
            parse_constant=_refuse_number,
            parse_float=_finite,
            parse_int=_integer,
            object_pairs_hook=_unique,
        )
    except UnicodeDecodeError as error:
        raise SessionError("it is not a text file; choose a session file.") from error
    except json.JSONDecodeError as error:
        raise SessionError(
            f"it is not whole JSON (line {error.lineno}: {error.msg[0].lower()}{error.msg[1:]}); "
            "if it was cut off, open the .bak file beside it."
        ) from error
    except (RecursionError, ValueError) as error:
        raise SessionError("it holds JSON that no session holds; choose another file.") from error


def _finite(text: str) -> float:
    value = float(text)
    return value if math.isfinite(value) else _refuse_number(text)


def _integer(text: str) -> int:
    return int(text) if len(text) <= _DIGITS else _refuse_number(text)


def _refuse_number(text: str) -> NoReturn:
    raise SessionError(f"it holds the number {text[:20]}; no number of a session is like that.")


def _unique(pairs: list[tuple[str, Plain]]) -> dict[str, Plain]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise SessionError(f"it states {twice!r} twice in one place; keep one.")
    return found


def _document(plain: Plain) -> dict[str, Plain]:
    """Take the document out of the values of a file, brought to the present schema."""
    if not isinstance(plain, dict) or plain.get("format") != FORMAT:
        raise SessionError("it is JSON of something else, not a napari-clxem session.")
    schema = plain.get("schema")
    if not isinstance(schema, int) or isinstance(schema, bool) or schema < 1:
        raise SessionError("it does not say which schema it has; choose another file.")
    if schema > SCHEMA:
        raise SessionError(
            f"it was written by a newer version (schema {schema}); update napari-clxem."
        )
    _agree(plain, "units", dict(UNITS))
    _agree(plain, "axes", list(AXES))
    head = ("format", "units", "axes")
    document = {name: value for name, value in plain.items() if name not in head}
    for step in range(schema, SCHEMA):
        document = {**MIGRATIONS[step](document), "schema": step + 1}
    return document


def _agree(plain: Mapping[str, Any], name: str, ours: Plain) -> None:
    if plain.get(name) != ours:
        raise SessionError(
            f"its {name} are {plain.get(name)}, but napari-clxem has {ours}; convert the file."
        )
