"""The verbs on a session."""

from __future__ import annotations

import pytest

from napari_clxem.dose import Exposure
from napari_clxem.errors import SessionError
from napari_clxem.io.image import Orientation
from napari_clxem.session import (
    Dataset,
    Frame,
    Landmark,
    Link,
    Session,
    Site,
    Store,
    Target,
    check,
    edits,
)


def test_put_adds_at_the_end_and_replaces_in_place(rich):
    more = edits.put(rich, Site(id="s3", name="cell 3"), Site(id="s1", name="renamed"))
    assert [site.id for site in more.sites] == ["s1", "s2", "s3"]
    assert more.sites[0].name == "renamed"
    assert more.sites[1] is rich.sites[1]
    assert [site.name for site in rich.sites] == ["cell 1", "cell 2"]


@pytest.mark.parametrize(
    ("kind", "name"),
    [(Site, "s2"), (Frame, "map"), (Dataset, "d2"), (Link, "l2"), (Target, "t1"), (Exposure, "e1")],
)
def test_every_kind_of_item_can_be_got_amended_and_dropped(rich, kind, name):
    item = edits.get(rich, kind, name)
    less = edits.drop(rich, kind, name)
    with pytest.raises(SessionError, match=f"no {kind.__name__.lower()} '{name}'"):
        edits.get(less, kind, name)
    with pytest.raises(SessionError, match="no"):
        edits.drop(less, kind, name)
    back = edits.put(less, item)
    assert edits.get(back, kind, name) == item
    field = "ndim" if kind is Frame else "id"
    same = edits.amend(rich, kind, name, **{field: getattr(item, field)})
    assert same == rich


def test_amend_refuses_fields_that_are_not_there_and_new_names(rich):
    with pytest.raises(SessionError, match="A site has no 'colour'"):
        edits.amend(rich, Site, "s1", colour="red")
    with pytest.raises(SessionError, match="cannot be renamed"):
        edits.amend(rich, Frame, "sxt", name="tomogram")
    with pytest.raises(SessionError, match="A grid has no 'size'"):
        edits.set_grid(rich, size=3)


def test_names_are_amended_like_any_field(rich):
    session = edits.amend(rich, Site, "s1", name="A2")
    session = edits.amend(session, Target, "t1", name="lysosome")
    assert (session.sites[0].name, session.targets[0].name) == ("A2", "lysosome")


def test_landmarks_belong_to_links(rich):
    with pytest.raises(SessionError, match="no Landmark of its own"):
        edits.put(rich, Landmark())


def test_the_small_verbs(rich):
    session = edits.set_status(rich, "s1", "milled")
    session = edits.set_scale(session, "d1", [0.2, 0.1, 0.1])
    session = edits.set_axial_scaling(session, "d1", 1.25)
    session = edits.set_orientation(session, "d1", Orientation(axes=("z", "y", "x")))
    session = edits.set_estimate(session, "l2", None)
    session = edits.set_grid(session, name="G8", history=("Oxford", "Berlin"))
    session = edits.rename(session, "new")
    check(session)
    dataset = edits.get(session, Dataset, "d1")
    assert edits.get(session, Site, "s1").status == "milled"
    assert dataset.scale == (0.1, 0.2, 0.1)
    assert dataset.shape == (2, 512, 30, 512)
    assert dataset.stage.image_to_stage is None
    assert dataset.axial_scaling == 1.25
    assert dataset.orientation == Orientation(axes=("z", "y", "x"))
    assert edits.get(session, Link, "l2").estimate is None
    assert (session.grid.name, session.name, session.grid.type) == ("G8", "new", "200 mesh Au")


def test_a_landmark_is_moved_taken_back_and_excluded(rich):
    session = edits.move_landmark(rich, "l1", "m1", "moving", (7.0, 8.0, 9.0))
    moved = edits.get_landmark(session, "l1", "m1")
    assert moved.moving == (7.0, 8.0, 9.0)
    assert moved.moving_sigma == (0.1, 0.05, 0.05)
    assert moved.fixed == (1.0, -2.0, 3.0)
    session = edits.move_landmark(session, "l1", "m1", "fixed", (1.0, 2.0, 3.0), (0.2, 0.2, 0.2))
    assert edits.get_landmark(session, "l1", "m1").fixed_sigma == (0.2, 0.2, 0.2)
    session = edits.move_landmark(session, "l1", "m1", "moving", None)
    assert edits.get_landmark(session, "l1", "m1").moving is None
    assert edits.get_landmark(session, "l1", "m1").moving_sigma is None
    session = edits.use_landmark(session, "l1", "m1", use=False)
    assert not edits.get_landmark(session, "l1", "m1").use
    check(session)


def test_landmarks_are_added_and_dropped(rich):
    session = edits.put_landmarks(rich, "l1", Landmark(id="m4"), Landmark(id="m2", use=True))
    assert [one.id for one in edits.get(session, Link, "l1").landmarks] == ["m1", "m2", "m3", "m4"]
    session = edits.drop_landmarks(session, "l1", "m1", "m4")
    assert [one.id for one in edits.get(session, Link, "l1").landmarks] == ["m2", "m3"]
    with pytest.raises(SessionError, match="no landmark 'm1'"):
        edits.drop_landmarks(session, "l1", "m1")
    with pytest.raises(SessionError, match="no link 'l9'"):
        edits.put_landmarks(session, "l9", Landmark())


def test_a_frame_is_renamed_wherever_it_is_named(rich):
    session = edits.rename_frame(rich, "sxt", "tomogram")
    check(session)
    assert "'sxt'" not in repr(session).replace("modality='sxt'", "")
    assert edits.rename_frame(session, "tomogram", "sxt") == rich
    with pytest.raises(SessionError, match="already"):
        edits.rename_frame(rich, "sxt", "map")
    with pytest.raises(SessionError, match="no frame 'x'"):
        edits.rename_frame(rich, "x", "y")


def test_reorder(rich):
    session = edits.reorder(rich, Site, ("s2", "s1"))
    assert [site.id for site in session.sites] == ["s2", "s1"]
    store = Store(rich)
    assert store.commit(session, "Reorder") == session
    assert store.undo() == rich
    with pytest.raises(SessionError, match="each of them once"):
        edits.reorder(rich, Site, ("s2",))


def test_edits_are_pure(rich):
    before = repr(rich)
    edits.drop(edits.put(Session(), *rich.frames), Frame, "sxt")
    edits.drop_landmarks(rich, "l1", "m1")
    edits.rename_frame(rich, "sxt", "tomogram")
    assert repr(rich) == before
