"""The journal: every step since the last save, one line each, so that a crash loses nothing.

A line is a checksum and a JSON record. The checksum runs on from the line before, so that a
line counts only after all those before it. The first record says which file the journal
continues (the fingerprint of its bytes), or holds a whole document that was never saved. A
record ``saved`` names the file that is about to be put in place, so that a crash between the
new file and the removal of its journal is understood, too.
"""

from __future__ import annotations

import errno
import json
import os
import time
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from napari_clxem.errors import SessionError
from napari_clxem.session.changes import Changes, apply, diff
from napari_clxem.session.codec import decode, encode
from napari_clxem.session.disk import put_in_place, temporary_name, why_unread
from napari_clxem.session.model import Session

VERSION = 1
# A longer journal is written anew, as one change from its base.
LARGEST_BYTES = 8 * 2**20

Record = Mapping[str, Any]


@dataclass(frozen=True)
class Base:
    """What a journal continues: a saved session and the fingerprint of its file.

    `fingerprint` is empty for a session that has no file; `path` is that of the session file,
    or None.
    """

    session: Session
    fingerprint: str = ""
    path: Path | None = None


class Journal:
    """The journal of one store, at `path`; the file is made with the first step.

    Steps reach the system as they are written, so that they outlive the process.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._handle: int | None = None
        self._state: Session | None = None
        self._size = 0
        self._checksum = 0

    def record(self, base: Base, old: Session, new: Session, changes: Changes, label: str) -> None:
        """Write down the step `changes` from `old` to `new`.

        After a failure the next call writes both steps as one.

        Raises
        ------
        OSError
            Where it cannot be written.
        """
        if self._handle is None or self._size > LARGEST_BYTES:
            self.start(base, new, label)
            return
        if self._state is not old:
            changes = diff(self._state, new)
        self._append({"label": label, "time": int(time.time()), "changes": changes})
        self._state = new

    def start(self, base: Base, state: Session, label: str) -> None:
        """Begin a journal that takes `base` to `state`, in place of the one that is there.

        Raises
        ------
        OSError
            Where it cannot be written; the one that is there is then whole.
        """
        head: dict[str, Any] = {
            "journal": VERSION,
            "path": None if base.path is None else str(base.path),
        }
        now = {"label": label, "time": int(time.time())}
        if base.fingerprint:
            records = [head | {"base": base.fingerprint}]
            if changes := diff(base.session, state):
                records.append(now | {"changes": changes})
        else:
            records = [head | now | {"document": encode(state)}]
        checksum, text = 0, b""
        for record in records:
            checksum, line = _line(record, checksum)
            text += line
        temporary = temporary_name(self.path)
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            temporary.write_bytes(text)
            self.close()
            put_in_place(temporary, self.path)
        finally:
            temporary.unlink(missing_ok=True)
        self._handle = os.open(self.path, os.O_WRONLY | os.O_APPEND | getattr(os, "O_BINARY", 0))
        self._state, self._checksum, self._size = state, checksum, len(text)

    def mark(self, fingerprint: str, path: Path) -> None:
        """Note that a file of this fingerprint is about to be put at `path`; brought to the disk.

        Raises
        ------
        OSError
            Where it cannot be written.
        """
        if self._handle is not None:
            self._append({"saved": fingerprint, "path": str(path)})
            os.fsync(self._handle)

    def close(self) -> None:
        """Stop writing; the file stays."""
        handle, self._handle = self._handle, None
        if handle is not None:
            os.close(handle)

    def _append(self, record: Record) -> None:
        assert self._handle is not None
        checksum, line = _line(record, self._checksum)
        try:
            written = os.write(self._handle, line)
            if written < len(line):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError:
            self._forget_torn_line()
            raise
        self._checksum, self._size = checksum, self._size + len(line)

    def _forget_torn_line(self) -> None:
        """Cut off half a line: what follows it would not count. If need be, start anew."""
        assert self._handle is not None
        try:
            os.ftruncate(self._handle, self._size)
        except OSError:
            self.close()


@dataclass(frozen=True)
class Written:
    """What stands in a journal: its records up to the first that is not whole.

    `damaged` says that more than a last, half-written line follows.
    """

    head: Record
    records: tuple[Record, ...]
    damaged: bool


def read_journal(path: Path) -> Written | None:
    """Read the journal at `path`; None where there is none, or nothing in it.

    Raises
    ------
    SessionError
        Where it cannot be read, or not even its first line is whole.
    """
    try:
        text = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise SessionError(f"{path} cannot be read: {why_unread(error)}.") from error
    if not text:
        return None
    records: list[Record] = []
    checksum, at = 0, 0
    while (end := text.find(b"\n", at)) >= 0:
        line = text[at:end]
        checksum = zlib.crc32(line[9:], checksum)
        if line[:9] != b"%08x " % checksum:
            break
        records.append(json.loads(line[9:]))
        at = end + 1
    if not records or records[0].get("journal") != VERSION:
        raise SessionError(
            f"{path} is no journal of this version of napari-clxem, or is damaged at its start; "
            "it is kept."
        )
    return Written(records[0], tuple(records[1:]), damaged=b"\n" in text[at:])


def replay(written: Written, base: Base | None) -> tuple[Session, tuple[Record, ...]] | None:
    """Give the last state that a journal holds, and the steps that led to it.

    Parameters
    ----------
    written : Written
        The journal.
    base : Base or None
        The session file as it is; None where there is none.

    Returns
    -------
    tuple or None
        None where the journal continues another file.

    Raises
    ------
    SessionError
        Where a step does not fit: the journal was damaged in a way its checksums do not show.
    """
    start = _start(written, base)
    if start is None:
        return None
    state, steps = start
    for step in steps:
        state = apply(state, step["changes"])
    return state, steps


def _start(written: Written, base: Base | None) -> tuple[Session, tuple[Record, ...]] | None:
    """Find where in the journal the file `base` stands, and the steps after it."""
    records = written.records
    if base is not None:
        for index in range(len(records), 0, -1):
            if records[index - 1].get("saved") == base.fingerprint:
                return base.session, _steps(records[index:])
        if written.head.get("base") == base.fingerprint:
            return base.session, _steps(records)
    elif "document" in written.head:
        return decode(Session, written.head["document"], "journal"), _steps(records)
    return None


def _steps(records: tuple[Record, ...]) -> tuple[Record, ...]:
    return tuple(record for record in records if "changes" in record)


def _line(record: Record, checksum: int) -> tuple[int, bytes]:
    text = json.dumps(record, separators=(",", ":")).encode()
    checksum = zlib.crc32(text, checksum)
    return checksum, b"%08x %s\n" % (checksum, text)
