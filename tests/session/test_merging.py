"""Two copies of a session become one: what one changed is taken, what both changed is asked."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_clxem.errors import SessionError
from napari_clxem.io.image import Orientation
from napari_clxem.session import (
    Dataset,
    FileRef,
    Frame,
    Grid,
    Landmark,
    Link,
    Session,
    Site,
    Target,
    check,
    edits,
)
from napari_clxem.session.merging import merge

HAND = Landmark(id="new", moving=(1.0, 1.0, 1.0), fixed=(2.0, 2.0, 2.0))


@pytest.fixture
def there(rich):
    """What was done at the other place."""
    session = edits.set_status(rich, "s2", "x-rayed")
    session = edits.put_landmarks(session, "l1", HAND)
    return edits.put(session, Target(id="t2", name="droplet", frame="sxt", position=(1, 1, 1)))


def test_a_copy_that_was_not_touched_changes_nothing(rich):
    for base in (None, rich):
        found = merge(rich, rich, base)
        assert (found.conflicts, found.gains) == ((), ())
        assert found.session() == rich


def test_what_only_the_other_copy_changed_is_taken(rich, there):
    found = merge(rich, there, rich)
    assert found.conflicts == ()
    assert found.session() == there
    assert found.gains == ("1 site changed", "1 link changed", "1 target added", "1 landmark added")


def test_changes_of_both_copies_come_together(rich, there):
    ours = edits.put(rich, Site(id="s3", name="cell 3"))
    ours = edits.use_landmark(ours, "l1", "m1", use=False)
    ours = edits.drop(ours, Target, "t1")
    found = merge(ours, there, rich)
    assert found.conflicts == ()
    merged = found.session()
    assert [one.id for one in merged.sites] == ["s1", "s2", "s3"]
    assert edits.get(merged, Site, "s2").status == "x-rayed"
    assert [one.id for one in merged.targets] == ["t2"]
    link = edits.get(merged, Link, "l1")
    assert [one.id for one in link.landmarks] == ["m1", "m2", "m3", "new"]
    assert not link.landmarks[0].use


def test_what_both_changed_is_a_conflict_that_is_chosen(rich):
    ours = edits.set_status(rich, "s2", "imaged")
    theirs = edits.set_status(rich, "s2", "lost")
    found = merge(ours, theirs, rich)
    (conflict,) = found.conflicts
    assert (conflict.key, conflict.what) == ("sites/s2/status", "Site cell 2: status")
    assert (conflict.ours, conflict.theirs) == ("imaged", "lost")
    assert found.session() == ours
    assert found.session({conflict.key: "ours"}) == ours
    assert found.session({conflict.key: "theirs"}) == theirs
    with pytest.raises(SessionError, match="no conflict 'sites/s9"):
        found.session({"sites/s9": "theirs"})


def test_a_position_and_its_sigma_come_from_one_copy(rich):
    ours = edits.move_landmark(rich, "l1", "m1", "moving", (9.0, 9.0, 9.0), (1.0, 1.0, 1.0))
    theirs = edits.move_landmark(rich, "l1", "m1", "moving", (5.0, 5.0, 5.0), (2.0, 2.0, 2.0))
    found = merge(ours, theirs, rich)
    assert [one.key for one in found.conflicts] == ["links/l1/landmarks/m1/moving"]
    assert "(9, 9, 9)" in found.conflicts[0].ours
    landmark = edits.get_landmark(found.session({found.conflicts[0].key: "theirs"}), "l1", "m1")
    assert (landmark.moving, landmark.moving_sigma) == ((5.0, 5.0, 5.0), (2.0, 2.0, 2.0))


def test_different_sides_of_one_landmark_are_no_conflict(rich):
    ours = edits.move_landmark(rich, "l1", "m2", "fixed", (4.0, 4.0, 4.0))
    theirs = edits.move_landmark(rich, "l1", "m2", "moving", (6.0, 6.0, 6.0))
    merged = merge(ours, theirs, rich).session()
    landmark = edits.get_landmark(merged, "l1", "m2")
    assert (landmark.moving, landmark.fixed) == ((6.0, 6.0, 6.0), (4.0, 4.0, 4.0))


@pytest.mark.parametrize("swap", [False, True])
def test_removed_in_one_copy_and_changed_in_the_other_is_a_conflict(rich, swap):
    removed = edits.drop(rich, Target, "t1")
    changed = edits.amend(rich, Target, "t1", radius=0.9)
    ours, theirs = (changed, removed) if swap else (removed, changed)
    found = merge(ours, theirs, rich)
    (conflict,) = found.conflicts
    assert conflict.what == "Target vesicle"
    assert {conflict.ours, conflict.theirs} == {"removed", "changed"}
    assert found.session() == ours
    assert found.session({conflict.key: "theirs"}) == theirs


def test_without_a_common_start_nothing_is_removed_and_differences_are_asked(rich, there):
    ours = edits.drop(rich, Target, "t1")
    found = merge(ours, there)
    assert [one.key for one in found.conflicts] == ["sites/s2/status"]
    merged = found.session({"sites/s2/status": "theirs"})
    assert {one.id for one in merged.targets} == {"t1", "t2"}


def test_a_frame_that_is_still_in_use_stays(rich):
    ours = edits.drop(edits.drop(rich, Dataset, "d2"), Link, "l2")
    ours = edits.drop(ours, Frame, "map")
    theirs = edits.put(rich, Target(id="t3", name="on map", frame="map", position=(1.0, 1.0)))
    found = merge(ours, theirs, rich)
    merged = found.session()
    check(merged)
    assert "map" in [one.name for one in merged.frames]
    assert found.restored() == ("Frame map was removed in one copy, but is in use: it stays.",)


def test_a_moved_file_is_no_difference(rich):
    moved = replace(rich.datasets[0], file=replace(rich.datasets[0].file, path="/elsewhere/x.tif"))
    found = merge(rich, edits.put(rich, moved))
    assert found.conflicts == ()
    assert found.session() == rich


def test_another_file_is_a_difference(rich):
    other = replace(rich.datasets[0], file=FileRef(path="y.tif", size=3, fingerprint="cd"))
    (conflict,) = merge(rich, edits.put(rich, other)).conflicts
    assert (conflict.what, conflict.theirs) == ("Dataset stack: file", "y.tif")


def test_the_places_a_grid_has_been_add_up(rich):
    ours = edits.set_grid(rich, history=("Oxford", "Diamond B24"))
    theirs = edits.set_grid(rich, history=("Oxford", "EMBL"), type="300 mesh")
    merged = merge(ours, theirs, rich).session()
    assert merged.grid == replace(
        rich.grid, history=("Oxford", "Diamond B24", "EMBL"), type="300 mesh"
    )


@pytest.fixture
def turnable():
    return Session(
        id="s",
        grid=Grid(id="g"),
        frames=(Frame(name="a", ndim=2), Frame(name="b", ndim=2)),
        datasets=(
            Dataset(
                id="d",
                name="map",
                frame="a",
                file=FileRef(path="x"),
                axes=("y", "x"),
                shape=(11, 21),
                scale=(1.0, 1.0),
                orientation=Orientation(axes=("y", "x")),
            ),
        ),
        links=(Link(id="l", moving="a", fixed="b"),),
    )


@pytest.mark.parametrize("base", [True, False])
def test_picks_follow_an_image_that_was_turned_in_the_other_copy(turnable, base):
    flipped = Orientation(axes=("y", "x"), flip=("y",))
    turned = edits.set_orientation(turnable, "d", flipped)
    picked = edits.put_landmarks(turnable, "l", Landmark(id="p", moving=(2.0, 3.0)))
    found = merge(picked, turned, turnable if base else None)
    assert found.conflicts == ()
    merged = found.session()
    landmark = edits.get_landmark(merged, "l", "p")
    if base:  # only the other copy turned it: it is turned, and the pick stays on its pixel
        assert merged.datasets[0].orientation == flipped
        assert landmark.moving == (8.0, 3.0)
    else:  # nothing tells which is newer: ours stays
        assert merged.datasets[0].orientation == turnable.datasets[0].orientation
        assert landmark.moving == (2.0, 3.0)
    assert "turned as in" in found.notes[0]
    other_way = merge(turned, picked, turnable).session()
    assert edits.get_landmark(other_way, "l", "p").moving == (8.0, 3.0)


def test_two_grids_are_not_merged(rich):
    with pytest.raises(SessionError, match="two grids"):
        merge(rich, Session(name="other"))
    with pytest.raises(SessionError, match="another session"):
        merge(rich, rich, Session())


def test_parts_that_do_not_go_together_are_said(turnable):
    flat = edits.put_landmarks(turnable, "l", Landmark(id="p", moving=(2.0, 3.0)))
    frames = (replace(turnable.frames[0], ndim=3), turnable.frames[1])
    deep = edits.put_landmarks(
        replace(turnable, frames=frames), "l", Landmark(id="q", moving=(1.0, 2.0, 3.0))
    )
    with pytest.raises(SessionError, match="do not go together"):
        merge(flat, deep, turnable).session()


@st.composite
def edited(draw, session):
    for _ in range(draw(st.integers(0, 4))):
        n = draw(st.integers(0, 3))
        match draw(st.integers(0, 3)):
            case 0:
                session = edits.put(session, Site(id=f"x{n}", name=draw(st.sampled_from("ab"))))
            case 1 if any(one.id == f"x{n}" for one in session.sites):
                session = edits.drop(session, Site, f"x{n}")
            case 2:
                mark = Landmark(id=f"k{n}", fixed=(float(draw(st.integers(0, 2))), 0.0))
                session = edits.put_landmarks(session, "l", mark)
            case _:
                session = edits.rename(session, draw(st.sampled_from("ab")))
    return session


START = Session(
    id="s",
    grid=Grid(id="g"),
    sites=(Site(id="x0", name="z"), Site(id="x1", name="z")),
    frames=(Frame(name="a", ndim=2), Frame(name="b", ndim=2)),
    links=(Link(id="l", moving="a", fixed="b"),),
)


def contents(session):
    """The document without its order, which is each copy's own."""
    links = [replace(one, landmarks=frozenset(one.landmarks)) for one in session.links]
    return session.name, frozenset(session.sites), frozenset(links)


@given(edited(START), edited(START))
def test_it_does_not_matter_which_copy_comes_first(ours, theirs):
    one, two = merge(ours, theirs, START), merge(theirs, ours, START)
    assert {c.key for c in one.conflicts} == {c.key for c in two.conflicts}
    chosen = {c.key: "ours" for c in one.conflicts}
    swapped = {c.key: "theirs" for c in two.conflicts}
    assert contents(one.session(chosen)) == contents(two.session(swapped))


@given(edited(START), edited(START))
def test_a_merge_can_be_merged_again_without_a_difference(ours, theirs):
    merged = merge(ours, theirs, START).session()
    assert merge(merged, merged, START).session() == merged
    assert merge(ours, START, START).session() == ours
    assert contents(merge(START, theirs, START).session()) == contents(theirs)
