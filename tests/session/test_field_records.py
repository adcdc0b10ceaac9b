from __future__ import annotations

import json
from dataclasses import replace

import pytest

from napari_clxem.errors import SessionError
from napari_clxem.io.image import Orientation
from napari_clxem.lamella import FieldRecord, Joints, Lamella, LamellaRecord, Optics
from napari_clxem.session import (
    Dataset,
    FileRef,
    Frame,
    Grid,
    Session,
    Site,
    Store,
    edits,
    load,
    save,
)
from napari_clxem.session.differences import label
from napari_clxem.session.merging import merge


def made() -> Session:
    return Session(
        id="s",
        grid=Grid(id="g"),
        sites=(Site(id="s1"),),
        frames=(Frame(name="map", ndim=2), Frame(name="stack")),
        datasets=(
            Dataset(
                id="d",
                frame="map",
                file=FileRef(path="/nowhere/map.tif"),
                axes=("y", "x"),
                shape=(20, 20),
                scale=(0.3, 0.3),
            ),
        ),
        fields=(
            FieldRecord(
                id="f1",
                name="F1",
                site="s1",
                frame="map",
                centre=(1.5, 2.5),
                optics=Optics((13.0, 15.0), 9.0, (-55.0, 60.0), 12.0),
                targets=("t1",),
                pointing=0.3,
            ),
        ),
    )


def test_fields_come_back_from_their_file(tmp_path):
    path = tmp_path / "s.clxem.json"
    save(made(), path)
    assert load(path).fields == made().fields


def test_a_file_without_fields_opens(tmp_path):
    path = tmp_path / "s.clxem.json"
    save(replace(made(), fields=()), path)
    told = json.loads(path.read_text(encoding="utf-8"))
    del told["fields"]
    path.write_text(json.dumps(told), encoding="utf-8")
    assert load(path).fields == ()


def test_a_lamella_keeps_how_well_it_is_placed_and_its_joints(tmp_path):
    record = LamellaRecord(
        id="l",
        frame="stack",
        lamella=Lamella((1.0, 2.0, 3.0), 10.0),
        placing=0.07,
        joints=Joints(0.5, 18.0, 10.0, "somewhere"),
    )
    session = replace(made(), lamellae=(record,))
    path = tmp_path / "s.clxem.json"
    save(session, path)
    assert load(path).lamellae == (record,)
    told = json.loads(path.read_text(encoding="utf-8"))
    for name in ("placing", "joints"):
        del told["lamellae"][0][name]
    path.write_text(json.dumps(told), encoding="utf-8")
    assert load(path).lamellae == (replace(record, placing=None, joints=None),)


def test_an_edit_of_a_field_is_taken_back():
    store = Store(made(), journal=False)
    store.commit(lambda s: edits.amend(s, FieldRecord, "f1", status="taken"), "Taken")
    assert store.session.fields[0].status == "taken"
    store.undo()
    assert store.session == made()
    store.close()


@pytest.mark.parametrize(("values", "said"), [({"frame": "stack"}, "map"), ({"site": "x"}, "site")])
def test_a_field_that_lies_nowhere_is_refused(values, said):
    store = Store(made(), journal=False)
    with pytest.raises(SessionError, match=said):
        store.commit(lambda s: edits.amend(s, FieldRecord, "f1", **values), "Wrong")
    store.close()


def test_a_field_follows_its_frame_and_keeps_its_map_from_turning():
    renamed = edits.rename_frame(made(), "map", "mosaic")
    assert renamed.fields[0].frame == "mosaic"
    with pytest.raises(SessionError, match="SXT fields"):
        edits.set_orientation(made(), "d", Orientation(flip=("y",)))


def test_two_copies_bring_their_fields_together():
    ours = edits.amend(made(), FieldRecord, "f1", verdict="good")
    theirs = edits.put(made(), replace(made().fields[0], id="f2", name="F2"))
    merged = merge(ours, theirs, made()).session()
    assert [(one.id, one.verdict) for one in merged.fields] == [("f1", "good"), ("f2", "")]
    assert label(merged.fields[0]) == "Field F1"
