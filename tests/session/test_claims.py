"""Two processes on one session: a clear warning, and nothing is lost."""

from __future__ import annotations

import errno
import json
import os
import socket
import subprocess
import sys

import pytest

from napari_clxem.errors import SessionError
from napari_clxem.session import Session, Store, claims, edits, load, recover, recoverable

HOLDER = """
import sys
from napari_clxem.session import Store, edits
store = Store(path=sys.argv[1])
store.commit(lambda s: edits.rename(s, "theirs"), "Rename")
print("ready", flush=True)
if sys.stdin.readline().strip() == "save":
    store.save()
    store.close()
"""


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "grid.clxem.json"
    store = Store(Session(name="first"), path)
    store.save()
    store.close()
    return path


@pytest.fixture
def other(path):
    """Another process that has the session open, with an unsaved step."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stdout.readline() == "ready\n"
        yield process
        process.kill()


def test_a_second_process_is_told_who_has_the_session(path, other):
    store = Store(path=path)
    (notice,) = store.notices
    assert f"is open in process {other.pid} on this computer since 20" in notice
    note = json.loads(path.with_name("grid.clxem.journal.lock").read_text())
    assert (note["pid"], note["host"]) == (other.pid, socket.gethostname())


def test_a_second_process_cannot_save_over_the_first(path, other, tmp_path):
    store = Store(path=path)
    store.commit(lambda s: edits.rename(s, "mine"), "Rename")
    with pytest.raises(SessionError, match=f"is open in process {other.pid}.*another name"):
        store.save()
    with pytest.raises(SessionError, match="is open in"):
        Store(Session()).save(path)
    assert load(path).name == "first"
    copy = store.save(tmp_path / "copy.clxem.json")
    assert load(copy).name == "mine"
    other.communicate("save\n", timeout=20)
    assert load(path).name == "theirs"


def test_steps_of_both_processes_outlive_them(path, other):
    store = Store(path=path)
    store.commit(lambda s: edits.rename(s, "mine"), "Rename")
    store.close()
    assert recoverable(path).session.name == "mine"
    other.kill()
    other.wait(20)
    assert recoverable(path).session.name in {"mine", "theirs"}
    first = Store.open(path)
    second = {"mine": "theirs", "theirs": "mine"}[first.session.name]
    kept = " ".join(one.read_text() for one in path.parent.rglob("*.kept"))
    left = " ".join(one.read_text() for one in path.parent.rglob("*.journal"))
    assert second in kept + left


def test_what_another_process_is_writing_is_not_a_crash(path, other):
    assert recover(path) is None


def test_a_file_that_changed_meanwhile_is_not_overwritten(path, other):
    store = Store(path=path)
    store.commit(lambda s: edits.rename(s, "mine"), "Rename")
    other.communicate("save\n", timeout=20)
    with pytest.raises(SessionError, match="changed by another program"):
        store.save()
    assert load(path).name == "theirs"
    store.save(overwrite=True)
    assert load(path).name == "mine"
    assert load(path.with_name(path.name + ".bak")).name == "theirs"


def test_a_claim_ends_with_its_process(path, other):
    other.kill()
    other.wait(20)
    store = Store.open(path)
    assert store.session.name == "theirs"
    assert not any("is open in" in notice for notice in store.notices)
    store.save()
    assert load(path).name == "theirs"


def test_two_stores_in_one_process_are_two(path):
    first = Store(path=path)
    second = Store(path=path)
    assert f"process {os.getpid()}" in second.notices[0]
    with pytest.raises(SessionError, match="is open in"):
        second.save()
    first.close()
    second.save()


def test_one_file_by_two_names_is_one_file(path, tmp_path):
    link = tmp_path / "link.clxem.json"
    link.symlink_to(path)
    first = Store(path=path)
    second = Store(path=link)
    assert "is open in" in second.notices[0]
    first.close()


def without_locks(monkeypatch):
    """Make the file system one that knows no locks: then the note alone must do."""

    def fail(handle):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(claims, "_system_lock", fail)


def note(path, pid, host):
    lock = path.with_name(path.name + ".lock")
    lock.write_text(json.dumps({"pid": pid, "host": host, "since": "2026-11-21 10:00"}))


def test_without_locks_the_note_says_who_has_it(tmp_path, monkeypatch):
    without_locks(monkeypatch)
    path = tmp_path / "grid"
    here = socket.gethostname()
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait(20)
    note(path, dead.pid, here)
    held = claims.claim(path)
    assert isinstance(held, claims.Claim)
    held.release()

    note(path, os.getppid(), here)
    assert claims.claim(path) == claims.Owner(os.getppid(), here, "2026-11-21 10:00")
    note(path, dead.pid, "another-computer")
    assert "on another-computer since 2026" in str(claims.claim(path))
    path.with_name("grid.lock").write_text("{")
    assert isinstance(claims.claim(path), claims.Claim)


def test_an_owner_without_a_note_is_still_an_owner(tmp_path):
    held = claims.claim(tmp_path / "grid")
    (tmp_path / "grid.lock").write_text("")
    other = claims.claim(tmp_path / "grid")
    assert str(other) == "another process"
    assert str(claims.owner_of(tmp_path / "grid")) == "another process"
    held.release()
    assert claims.owner_of(tmp_path / "grid") is None
    assert list(tmp_path.iterdir()) == []


def test_a_save_that_fails_lets_go_of_the_name(path, tmp_path, monkeypatch):
    store = Store(path=path)

    def fail(*args):
        raise OSError(errno.ENOSPC, "full")

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", fail)
        with pytest.raises(SessionError, match="disk is full"):
            store.save(tmp_path / "copy.clxem.json")
    assert store.path == path
    assert Store(Session(), tmp_path / "copy.clxem.json").notices == ()
