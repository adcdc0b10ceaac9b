from __future__ import annotations

from dataclasses import replace

import pytest

from napari_clxem.errors import SessionError
from napari_clxem.io.image import Orientation
from napari_clxem.lamella import Lamella, LamellaRecord, overlap
from napari_clxem.session import (
    Dataset,
    FileRef,
    Frame,
    Session,
    Site,
    Store,
    check,
    edits,
    load,
    save,
)
from napari_clxem.session.differences import label

BOX = ((0.0, 0.0, 0.0), (6.0, 12.0, 12.0))


def made() -> Session:
    lamella = Lamella((3.0, 6.0, 7.0), 11.0, 20.0, outline=((-3, -4), (3, -4), (2, 4)))
    record = LamellaRecord(
        id="l1",
        name="L1",
        site="s1",
        frame="stack",
        lamella=lamella,
        status="milled",
        promised=0.4,
        overlap=overlap(lamella, BOX, covariance=[[0.01, 0, 0], [0, 0.01, 0], [0, 0, 0.01]]),
    )
    return Session(
        sites=(Site(id="s1"),),
        frames=(Frame(name="stack"),),
        datasets=(
            Dataset(
                id="d",
                frame="stack",
                file=FileRef(path="/nowhere/stack.tif"),
                axes=("z", "y", "x"),
                orientation=Orientation(axes=("z", "y", "x")),
                shape=(10, 20, 20),
                scale=(0.3, 0.3, 0.3),
            ),
        ),
        lamellae=(record,),
    )


def test_a_record_comes_back_from_its_file(tmp_path):
    session = made()
    save(session, tmp_path / "s.clxem.json")
    assert load(tmp_path / "s.clxem.json").lamellae == session.lamellae


def test_a_record_is_edited_undone_and_follows_its_frame():
    store = Store(made(), journal=False)
    moved = replace(store.session.lamellae[0], status="lost")
    store.commit(lambda s: edits.put(s, moved), "Lose it")
    assert store.session.lamellae == (moved,)
    store.undo()
    assert store.session.lamellae[0].status == "milled"
    store.commit(lambda s: edits.rename_frame(s, "stack", "confocal"), "Rename")
    assert store.session.lamellae[0].frame == "confocal"
    assert label(store.session.lamellae[0]) == "Lamella L1"


def test_a_record_needs_its_frame_and_site():
    session = made()
    with pytest.raises(SessionError, match="Lamella 'L1' is in frame 'gone'"):
        check(replace(session, lamellae=(replace(session.lamellae[0], frame="gone"),)))
    with pytest.raises(SessionError, match="belongs to site"):
        check(replace(session, lamellae=(replace(session.lamellae[0], site="gone"),)))


def test_a_volume_is_not_turned_under_its_lamellae():
    with pytest.raises(SessionError, match="Lamellae are planned in frame 'stack'"):
        edits.set_orientation(made(), "d", Orientation(axes=("z", "y", "x"), flip=("y",)))
