"""The store: commits, undo, redo and saving."""

from __future__ import annotations

import gc

import numpy as np
import pytest

from napari_clxem.errors import SessionError
from napari_clxem.session import Dataset, FileRef, Frame, Link, Session, Site, Store, edits, load
from napari_clxem.session.store import HISTORY


def named(name):
    return lambda session: edits.rename(session, name)


def test_commit_undo_redo_and_save(tmp_path):
    store = Store()
    start = store.session
    store.commit(lambda s: edits.put(s, Frame(name="a"), Frame(name="b")), "Add frames")
    end = store.commit(lambda s: edits.put(s, Link(moving="a", fixed="b")), "Add link")
    assert (store.undo_label, store.redo_label) == ("Add link", "")
    store.undo()
    assert (store.undo_label, store.redo_label) == ("Add frames", "Add link")
    assert store.undo() == start
    assert not store.can_undo
    assert store.can_redo
    store.redo()
    assert store.redo() == end
    assert not store.can_redo
    path = store.save(tmp_path / "grid.clxem.json")
    assert load(path) == end
    assert not store.dirty


def test_undo_and_redo_at_the_ends_change_nothing():
    store = Store()
    start = store.session
    assert store.undo() is start
    assert store.redo() is start


def test_a_commit_after_undo_forgets_what_could_be_redone():
    store = Store()
    store.commit(named("a"), "a")
    store.undo()
    store.commit(named("b"), "b")
    assert not store.can_redo
    assert store.session.name == "b"


def test_an_edit_that_changes_nothing_makes_no_step(rich):
    store = Store(rich)
    before = store.session
    seen = []
    store.changed.connect(lambda new, old: seen.append(new))
    assert store.commit(named(rich.name), "Rename") is before
    assert store.commit(edits.put(before, before.sites[0]), "Same site") is before
    assert not store.can_undo
    assert not store.dirty
    assert seen == []


def test_an_edit_that_raises_leaves_everything_as_it_was(rich):
    store = Store(rich)
    store.commit(named("b"), "b")
    store.undo()
    before = store.session

    def fail(session):
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        store.commit(fail, "Fail")
    with pytest.raises(SessionError, match="'sxt'"):
        store.commit(lambda s: edits.drop(s, Frame, "sxt"), "Drop frame")
    assert store.session is before
    assert (store.can_undo, store.redo_label) == (False, "b")


def test_changed_gives_the_new_and_the_old_session():
    store = Store()
    seen = []
    store.changed.connect(lambda new, old: seen.append((old.name, new.name)))
    store.commit(named("a"), "a")
    store.undo()
    store.redo()
    assert seen == [("", "a"), ("a", ""), ("", "a")]


def test_a_listener_may_commit_and_all_listeners_see_the_steps_in_order():
    store = Store()
    seen = []

    def answer(new, old):
        if new.name == "a":
            store.commit(named("b"), "b")

    store.changed.connect(answer)
    store.changed.connect(lambda new, old: seen.append((old.name, new.name)))
    store.commit(named("a"), "a")
    assert seen == [("", "a"), ("a", "b")]


def test_history_is_bounded():
    store = Store(journal=False)
    for number in range(HISTORY + 50):
        store.commit(named(str(number)), "Rename")
    while store.can_undo:
        store.undo()
    assert store.session.name == "49"


def test_numpy_values_become_plain_ones(rich):
    store = Store(rich)
    store.commit(
        lambda s: edits.move_landmark(s, "l1", "m1", "fixed", np.array([1.0, 2.0, 3.0])), "Move"
    )
    store.commit(lambda s: edits.set_axial_scaling(s, "d1", np.float32(0.5)), "Scale")
    moved = edits.get_landmark(store.session, "l1", "m1").fixed
    assert moved == (1.0, 2.0, 3.0)
    assert [type(v) for v in moved] == [float] * 3
    assert type(edits.get(store.session, Dataset, "d1").axial_scaling) is float


def test_what_an_edit_did_not_touch_stays_the_same_object(rich):
    store = Store(rich)
    before = store.session
    store.commit(lambda s: edits.move_landmark(s, "l1", "m1", "fixed", (7.0, 8.0, 9.0)), "Move")
    after = store.session
    assert after.datasets is before.datasets
    assert after.links[1] is before.links[1]
    assert after.links[0].landmarks[1] is before.links[0].landmarks[1]


def test_save_without_a_path_asks_for_one():
    with pytest.raises(SessionError, match="no file yet"):
        Store().save()


def test_a_store_opens_the_session_at_its_path(tmp_path, rich):
    path = Store(rich).save(tmp_path / "grid.clxem.json")
    store = Store(path=path)
    assert store.session == rich
    assert store.path == path
    with pytest.raises(SessionError, match="no session file"):
        Store(path=tmp_path / "other.clxem.json")


def test_dirty_follows_undo(tmp_path):
    store = Store(Session(name="a"), tmp_path / "grid.clxem.json")
    store.save()
    store.commit(named("b"), "b")
    assert store.dirty
    store.undo()
    assert not store.dirty


def with_file(path):
    return lambda s: edits.put(s, Dataset(id="d", file=FileRef(path=str(path))))


def test_paths_become_relative_and_follow_a_session_saved_elsewhere(tmp_path):
    image = tmp_path / "data" / "a.tif"
    image.parent.mkdir()
    image.write_bytes(b"image")
    store = Store()
    store.commit(with_file(image), "Open")
    store.commit(named("later"), "Rename")
    store.save(tmp_path / "grid.clxem.json")
    assert store.session.datasets[0].file.path == "data/a.tif"
    assert store.resolve(store.session.datasets[0].file) == image

    (tmp_path / "deep" / "er").mkdir(parents=True)
    store.save(tmp_path / "deep" / "er" / "copy.clxem.json")
    assert store.session.datasets[0].file.path == "../../data/a.tif"
    assert store.resolve(store.session.datasets[0].file) == image
    earlier = store.undo()
    assert earlier.datasets[0].file.path == "../../data/a.tif"
    assert store.resolve(earlier.datasets[0].file) == image
    assert load(store.save()) == earlier


def test_a_session_taken_from_its_file_keeps_its_files(tmp_path):
    image = tmp_path / "a.tif"
    image.write_bytes(b"image")
    first = Store()
    first.commit(with_file(image), "Open")
    path = first.save(tmp_path / "grid.clxem.json")
    store = Store(load(path))
    assert store.resolve(store.session.datasets[0].file) == image


def test_resolve_says_what_is_missing_and_what_to_do(tmp_path):
    store = Store()
    with pytest.raises(SessionError, match=r"gone\.tif is not in .* relink"):
        store.resolve(FileRef(path=str(tmp_path / "gone.tif")))
    with pytest.raises(SessionError, match="relative path and the session has no file"):
        store.resolve(FileRef(path="gone.tif"))


def test_a_closed_store_takes_no_more_steps(tmp_path):
    store = Store()
    store.close()
    for act in (lambda: store.commit(named("a"), "a"), store.undo, store.redo, store.save):
        with pytest.raises(SessionError, match="closed"):
            act()
    store.close()


def test_a_forgotten_store_lets_go_of_its_file(tmp_path):
    path = Store(Session()).save(tmp_path / "grid.clxem.json")
    gc.collect()
    store = Store(path=path)
    store.commit(named("a"), "a")
    del store
    gc.collect()
    again = Store.open(path)
    assert again.session.name == "a"
    assert not any("is open in" in notice for notice in again.notices)


def test_a_store_without_journal_leaves_no_trace(tmp_path, state):
    path = tmp_path / "grid.clxem.json"
    store = Store(journal=False)
    store.commit(named("a"), "a")
    store.save(path)
    store.commit(lambda s: edits.put(s, Site()), "Add site")
    assert [one.name for one in tmp_path.iterdir()] == [path.name]
    assert not state.exists()


def test_the_history_can_be_gone_through_in_one_move(tmp_path):
    store = Store()
    states = [store.session] + [store.commit(named(one), one) for one in "abcd"]
    seen = []
    store.changed.connect(lambda new, old: seen.append((new, old)))
    assert (store.steps, store.position) == (("a", "b", "c", "d"), 4)
    for position in (1, 3, 0, 4, 2):
        before = store.session
        assert store.go_to(position) == states[position]
        assert seen == [(states[position], before)]
        seen.clear()
        assert (store.steps, store.position) == (("a", "b", "c", "d"), position)
    assert (store.undo_label, store.redo_label) == ("b", "c")
    assert store.go_to(2) == states[2]
    assert seen == []
    store.commit(named("e"), "e")
    assert (store.steps, store.position) == (("a", "b", "e"), 3)
    for position in (-1, 4):
        with pytest.raises(SessionError, match="no step"):
            store.go_to(position)


def test_a_move_through_the_history_outlives_a_crash(tmp_path):
    path = Store(Session()).save(tmp_path / "grid.clxem.json")
    gc.collect()
    store = Store(path=path)
    for name in "abc":
        store.commit(named(name), name)
    store.go_to(1)
    store.close()
    assert Store.open(path).session.name == "a"
