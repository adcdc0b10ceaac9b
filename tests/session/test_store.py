"""The store: commits, undo, redo and saving."""

from __future__ import annotations

from napari_clxem.session import Frame, Link, Store, edits, load


def test_commit_undo_redo_and_save(tmp_path):
    store = Store()
    start = store.session
    store.commit(lambda s: edits.put(s, Frame(name="a"), Frame(name="b")), "Add frames")
    end = store.commit(lambda s: edits.put(s, Link(moving="a", fixed="b")), "Add link")
    assert store.undo_label == "Add link"
    store.undo()
    assert store.undo() == start
    store.redo()
    assert store.redo() == end
    path = store.save(tmp_path / "grid.clxem.json")
    assert load(path) == end
    assert not store.dirty
