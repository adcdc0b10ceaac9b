"""What a copy of a session comes from, so that two copies can be merged from their common start.

Beside a session file, in the folder ``travel``, lie the state that it was unpacked in (``base``)
and the fingerprints of the states that were packed from it. Two copies have a common start where
one was unpacked in a state that the other knows to have been in.
"""

from __future__ import annotations

import json
from pathlib import Path

from napari_clxem.errors import SessionError
from napari_clxem.session.disk import replace_file, why_unwritten
from napari_clxem.session.files import fingerprint, read

FOLDER = "travel"
INDEX = f"{FOLDER}/index.json"
BASE = f"{FOLDER}/base.json"
PACKED = f"{FOLDER}/packed.json"

States = tuple[bytes | None, list[str]]


def known_states(session_file: Path | None, session: str) -> States:
    """Give the state that a copy was unpacked in, and the fingerprints of states it has been in.

    Parameters
    ----------
    session_file : Path or None
        The session file.
    session : str
        Id of the session.
    """
    if session_file is None:
        return None, []
    folder = session_file.parent
    states = [*_listed(folder / PACKED, session), *_listed(folder / INDEX, session)]
    base = None
    if (folder / BASE).is_file():
        found = read(folder / BASE)
        base = found if fingerprint(found) in states else None
    return base, states


def remember(session_file: Path | None, session: str, state: str) -> None:
    """Note beside a session file that a state of it was packed.

    Raises
    ------
    SessionError
        Where that cannot be written.
    """
    if session_file is None:
        return
    path = session_file.parent / PACKED
    states = [one for one in _listed(path, session) if one != state]
    try:
        path.parent.mkdir(exist_ok=True)
    except OSError as error:
        raise SessionError(f"{path} could not be saved: {why_unwritten(error)}.") from error
    text = json.dumps({"session": session, "states": [*states, state]}, indent=1)
    replace_file(path, text.encode())


def common_start(one: States, other: States) -> bytes | None:
    """Give the state that two copies have in common, the later one of two; None for none."""
    for (base, _), (_, states) in ((one, other), (other, one)):
        if base is not None and fingerprint(base) in states:
            return base
    return None


def _listed(path: Path, session: str) -> list[str]:
    if not path.is_file():
        return []
    try:
        found = json.loads(read(path))
        if found["session"] != session:
            return []
        return [str(one) for one in found["states"]]
    except (ValueError, KeyError, TypeError) as error:
        raise SessionError(
            f"{path} is damaged; remove it: what is merged is then asked for item by item."
        ) from error
