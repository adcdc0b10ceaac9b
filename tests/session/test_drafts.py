"""Saving in two parts: whatever happens between them, nothing is lost and no half is seen."""

from __future__ import annotations

from threading import Thread

import pytest

from napari_clxem.errors import SessionError
from napari_clxem.session import Session, Store, edits, load, recover


@pytest.fixture
def path(tmp_path, monkeypatch):
    monkeypatch.setenv("CLXEM_STATE", str(tmp_path / "state"))
    return tmp_path / "grid.clxem.json"


@pytest.fixture
def store(path):
    made = Store(Session(name="first"))
    made.save(path)
    yield made
    made.close()


def named(store, name):
    return store.commit(lambda session: edits.rename(session, name), f"Name it {name}")


def left_over(path):
    return sorted(one.name for one in path.parent.iterdir() if one.suffix == ".tmp")


def test_a_draft_written_in_a_thread_becomes_the_file(store, path):
    named(store, "second")
    draft = store.draft()
    thread = Thread(target=draft.write)
    thread.start()
    thread.join()
    assert load(path).name == "first"
    assert store.dirty
    assert store.finish(draft)
    assert load(path) == store.session
    assert not store.dirty
    assert recover(path) is None
    assert not left_over(path)


def test_a_thread_that_comes_late_writes_nothing(store, path):
    named(store, "second")
    late = store.draft()
    late.drop()
    at_last = store.draft()
    at_last.write()
    late.write()
    assert len(left_over(path)) == 1
    assert store.finish(at_last)
    assert load(path).name == "second"
    assert not left_over(path)


def test_a_step_that_comes_between_is_not_lost(store, path):
    named(store, "second")
    draft = store.draft()
    draft.write()
    named(store, "third")
    assert not store.finish(draft)
    assert load(path).name == "first"
    assert store.dirty
    assert not left_over(path)
    again = store.draft()
    assert store.finish(again)
    assert load(path).name == "third"


def test_what_was_drafted_under_another_name_is_gone_on_with_there(store, path):
    named(store, "second")
    elsewhere = path.with_name("other.clxem.json")
    draft = store.draft(elsewhere)
    draft.write()
    assert store.finish(draft)
    assert store.path == elsewhere
    assert load(elsewhere).name == "second"
    assert load(path).name == "first"
    named(store, "third")
    store.close()
    assert recover(elsewhere).name == "third"


def test_a_draft_that_is_dropped_lets_go_of_the_name(store, path):
    elsewhere = path.with_name("other.clxem.json")
    draft = store.draft(elsewhere)
    draft.write()
    draft.drop()
    assert not left_over(path)
    assert not elsewhere.exists()
    other = Store(Session(name="another"))
    other.save(elsewhere)
    other.close()
    assert load(elsewhere).name == "another"


def test_a_file_that_another_program_changed_meanwhile_is_left_alone(store, path):
    named(store, "second")
    path.write_text(path.read_text().replace("first", "theirs"))
    draft = store.draft()
    with pytest.raises(SessionError, match="changed by another program"):
        draft.write()
    assert load(path).name == "theirs"


def test_a_session_closed_before_its_draft_was_put_in_place_is_recovered(store, path):
    named(store, "second")
    draft = store.draft()
    draft.write()
    store.close()
    with pytest.raises(SessionError, match="closed"):
        store.finish(draft)
    assert load(path).name == "first"
    assert recover(path).name == "second"
    assert not left_over(path)
