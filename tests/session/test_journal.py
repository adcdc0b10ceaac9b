"""The journal: what it holds is what the store holds, at every step and every torn byte."""

from __future__ import annotations

import json
import shutil
import tempfile
import zlib
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from napari_clxem.errors import SessionError
from napari_clxem.io.image import StagePosition
from napari_clxem.session import (
    Dataset,
    FileRef,
    Frame,
    Landmark,
    Link,
    Session,
    Site,
    Store,
    Target,
    edits,
    load,
    recover,
    recoverable,
    unsaved,
)
from napari_clxem.session import journal as journals

numbers = st.floats(-1e6, 1e6, allow_nan=False).map(float)
vectors = st.tuples(numbers, numbers, numbers)
names = st.sampled_from(["a", "b", "c", "µ d"])
FRAMES = (Frame(name="p"), Frame(name="q"))


def put_link(name, landmarks):
    return lambda s: edits.put(
        s,
        *FRAMES,
        Link(
            id=name,
            moving="p",
            fixed="q",
            landmarks=tuple(
                Landmark(id=str(i), moving=v, fixed=v) for i, v in enumerate(landmarks)
            ),
        ),
    )


def move(name, number, side, position):
    return lambda s: edits.move_landmark(s, name, str(number), side, position)


EDITS = st.one_of(
    st.builds(lambda n: lambda s: edits.rename(s, n), st.text(max_size=5)),
    st.builds(lambda i, n: lambda s: edits.put(s, Site(id=i, name=n)), names, st.text(max_size=5)),
    st.builds(lambda i: lambda s: edits.drop(s, Site, i), names),
    st.builds(put_link, names, st.lists(vectors, max_size=4)),
    st.builds(lambda i: lambda s: edits.drop(s, Link, i), names),
    st.builds(move, names, st.integers(0, 3), st.sampled_from(["moving", "fixed"]), vectors),
    st.builds(lambda i, n: lambda s: edits.drop_landmarks(s, i, str(n)), names, st.integers(0, 3)),
    st.builds(lambda a: lambda s: edits.rename_frame(s, "p", a), st.sampled_from(["q", "r"])),
    st.builds(
        lambda i, p: lambda s: edits.put(s, *FRAMES, Target(id=i, frame="p", position=p)),
        names,
        vectors,
    ),
    st.builds(
        lambda i, p: lambda s: edits.put(s, Dataset(id=i, file=FileRef(path=f"/data/{p}.tif"))),
        names,
        names,
    ),
    st.just(lambda s: edits.reorder(s, Site, tuple(x.id for x in reversed(s.sites)))),
)
ACTIONS = st.lists(st.one_of(EDITS, st.sampled_from(["undo", "redo", "save"])), max_size=25)


def act(store, action):
    """Do one action; an edit that does not apply to this session is refused, which is fine."""
    if action == "save":
        store.save()
    elif isinstance(action, str):
        getattr(store, action)()
    else:
        before = store.session
        try:
            store.commit(action, "Edit")
        except SessionError:
            assert store.session is before


def crashed(path, folder):
    """Copy a session as a crash would leave it: file and journal, but nobody's claim."""
    copy = folder / "after"
    shutil.rmtree(copy, ignore_errors=True)
    copy.mkdir()
    for one in path.parent.iterdir():
        if one.is_file() and one.suffix != ".lock":
            shutil.copy(one, copy)
    return copy / path.name


@settings(deadline=None, max_examples=60, suppress_health_check=list(HealthCheck))
@given(ACTIONS)
def test_undo_leads_to_the_start_and_redo_to_the_end(actions):
    store = Store(Session(name="start"), journal=False)
    start = store.session
    for action in actions:
        if action != "save":
            act(store, action)
    while store.can_redo:
        store.redo()
    end = store.session
    states = [end]
    while store.can_undo:
        states.append(store.undo())
    assert store.session == start
    for expected in reversed(states[:-1]):
        assert store.redo() == expected
    assert store.session == end


@settings(deadline=None, max_examples=60, suppress_health_check=list(HealthCheck))
@given(ACTIONS)
def test_after_a_crash_the_last_state_comes_back(actions):
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        path = folder / "grid.clxem.json"
        store = Store(Session(name="start"), path)
        store.save()
        for action in actions:
            act(store, action)
            copy = crashed(path, folder)
            left = recover(copy)
            assert (load(copy) if left is None else left) == store.session
            assert (left is not None) == store.dirty
        store.close(discard=True)


@settings(deadline=None, max_examples=30, suppress_health_check=list(HealthCheck))
@given(ACTIONS)
def test_a_session_that_was_never_saved_comes_back(actions):
    with tempfile.TemporaryDirectory() as name, pytest.MonkeyPatch.context() as patch:
        patch.setenv("CLXEM_STATE", name)
        store = Store()
        for action in actions:
            if action != "save":
                act(store, action)
        dirty, expected = store.dirty, store.session
        store.close()
        left = unsaved()
        assert [one.session for one in left] == ([expected] if dirty else [])


@pytest.fixture
def path(tmp_path, rich):
    path = tmp_path / "grid.clxem.json"
    store = Store(rich, path)
    store.save()
    store.close()
    return path


def journal_of(path):
    return path.with_name("grid.clxem.journal")


def steps(path, count):
    """Make some steps and crash; give the states from the saved one on."""
    store = Store(path=path)
    states = [store.session]
    states += [
        store.commit(
            lambda s, i=i: edits.move_landmark(s, "l1", "m1", "fixed", (float(i), 0.0, 0.0)),
            f"Move to {i}",
        )
        for i in range(1, count + 1)
    ]
    store.close()
    return states


def test_the_steps_before_a_torn_line_come_back(path):
    states = steps(path, 4)
    journal = journal_of(path)
    whole = journal.read_bytes()
    lines = whole.splitlines(keepends=True)
    assert len(lines) == 5
    for end in range(len(whole)):
        journal.write_bytes(whole[:end])
        complete = whole[:end].count(b"\n") - 1
        if complete < 0 or complete == 0:
            assert recover(path) is None
        else:
            assert recover(path) == states[complete]


def test_a_damaged_line_ends_the_recovery_and_the_journal_is_kept(path):
    states = steps(path, 4)
    journal = journal_of(path)
    lines = journal.read_bytes().splitlines(keepends=True)
    lines[3] = lines[3].replace(b"3.0", b"8.0")
    journal.write_bytes(b"".join(lines))
    left = recoverable(path)
    assert left.session == states[2]
    assert left.damaged
    store = Store.open(path)
    assert store.session == states[2]
    kept = [one for one in path.parent.iterdir() if one.suffix == ".kept"]
    assert kept[0].read_bytes() == b"".join(lines)
    store.close()
    assert recover(path) == states[2]


@pytest.mark.parametrize("change", ["swap", "repeat", "drop"])
def test_lines_out_of_order_are_not_applied(path, change):
    states = steps(path, 4)
    journal = journal_of(path)
    lines = journal.read_bytes().splitlines(keepends=True)
    if change == "swap":
        lines[2], lines[3] = lines[3], lines[2]
    elif change == "repeat":
        lines.insert(2, lines[1])
    else:
        del lines[2]
    journal.write_bytes(b"".join(lines))
    assert recover(path) == states[1]


def test_a_journal_of_another_version_of_the_file_is_kept_and_said(path, rich):
    steps(path, 2)
    before = journal_of(path).read_bytes()
    path.write_text(path.read_text("utf-8").replace("cell 2", "cell 3"), "utf-8")
    assert recover(path) is None
    store = Store(path=path)
    assert store.session.sites[1].name == "cell 3"
    assert "another version" in store.notices[0]
    kept = next(one for one in path.parent.iterdir() if one.suffix == ".kept")
    assert kept.name in store.notices[0]
    assert kept.read_bytes() == before


@pytest.mark.parametrize("junk", [b"\x00" * 300, b"hello\n", b'00000000 {"journal": 1}\n'])
def test_a_journal_that_cannot_be_read_is_kept_and_said(path, rich, junk):
    journal_of(path).write_bytes(junk)
    assert recover(path) is None
    store = Store(path=path)
    assert store.session == rich
    assert len(store.notices) == 1
    assert any(one.suffix == ".kept" for one in path.parent.iterdir())


def test_an_empty_journal_means_nothing(path):
    journal_of(path).write_bytes(b"")
    assert recover(path) is None
    assert Store(path=path).notices == ()


def test_steps_that_were_declined_are_kept_and_said(path, rich):
    steps(path, 2)
    store = Store(load(path), path)
    assert store.session == rich
    assert "2 unsaved steps (the last: Move to 2) were not applied" in store.notices[0]
    store.commit(lambda s: edits.rename(s, "other"), "Rename")
    assert any(one.suffix == ".kept" for one in path.parent.iterdir())


def test_a_recovered_session_is_in_the_journal_at_once(path):
    states = steps(path, 3)
    store = Store.open(path)
    assert store.session == states[-1]
    assert store.dirty
    assert "was recovered (the last step: Move to 3)" in store.notices[0]
    store.close()
    assert recover(path) == states[-1]


def test_a_recovery_says_how_much_and_what_was_last(path):
    steps(path, 3)
    left = recoverable(path)
    assert (left.steps, left.label, left.damaged) == (3, "Move to 3", False)
    assert left.path == path
    left.discard()
    assert recoverable(path) is None


def test_one_moved_landmark_is_a_short_line(tmp_path):
    links = tuple(
        Link(
            id=f"link{j:08}",
            moving="p",
            fixed="q",
            landmarks=tuple(
                Landmark(id=f"mark{i:08}", moving=(i, i, i), fixed=(i, i, i)) for i in range(100)
            ),
        )
        for j in range(20)
    )
    path = tmp_path / "grid.clxem.json"
    store = Store(Session(frames=FRAMES, links=links), path)
    store.save()
    store.commit(lambda s: edits.rename(s, "start the journal"), "Rename")
    before = journal_of(path).stat().st_size
    store.commit(
        lambda s: edits.move_landmark(s, "link00000007", "mark00000042", "fixed", (1.5, 2.5, 3.5)),
        "Move landmark",
    )
    assert journal_of(path).stat().st_size - before < 250
    assert path.stat().st_size > 250_000


def test_a_saved_session_has_no_journal(path):
    store = Store(path=path)
    store.commit(lambda s: edits.rename(s, "new"), "Rename")
    assert journal_of(path).exists()
    store.save()
    assert not journal_of(path).exists()
    store.close()
    assert sorted(one.name for one in path.parent.iterdir() if one.is_file()) == [
        "grid.clxem.json",
        "grid.clxem.json.bak",
    ]


def test_closing_keeps_unsaved_steps_unless_they_are_discarded(path):
    expected = steps(path, 1)[-1]
    assert recover(path) == expected
    store = Store.open(path)
    store.close(discard=True)
    assert recover(path) is None


def test_a_long_journal_is_written_anew(path, monkeypatch):
    monkeypatch.setattr(journals, "LARGEST_BYTES", 2000)
    states = steps(path, 60)
    assert journal_of(path).stat().st_size < 3000
    assert recover(path) == states[-1]


def test_steps_that_could_not_be_written_follow_with_the_next(path, monkeypatch):
    store = Store(path=path)
    store.commit(lambda s: edits.rename(s, "a"), "a")
    told = []
    store.noticed.connect(told.append)

    def short(handle, data, write=journals.os.write):
        return write(handle, data[:10])

    with monkeypatch.context() as patch:
        patch.setattr(journals.os, "write", short)
        store.commit(lambda s: edits.rename(s, "b"), "b")
        store.commit(lambda s: edits.put(s, Site(id="s9")), "Add")
    assert len(told) == 1
    assert "not being kept against a crash" in told[0]
    store.commit(lambda s: edits.set_grid(s, name="c"), "c")
    expected = store.session
    store.close()
    assert recover(path) == expected


def test_a_torn_line_that_cannot_be_cut_off_does_no_harm(path, monkeypatch):
    store = Store(path=path)
    store.commit(lambda s: edits.rename(s, "a"), "a")

    def short(handle, data, write=journals.os.write):
        return write(handle, data[:10])

    def fail(handle, size):
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(journals.os, "write", short)
        patch.setattr(journals.os, "ftruncate", fail)
        store.commit(lambda s: edits.rename(s, "b"), "b")
    expected = store.commit(lambda s: edits.rename(s, "c"), "c")
    store.close()
    assert recover(path) == expected


def test_a_recovery_that_cannot_be_kept_leaves_the_old_journal(rich, state, monkeypatch):
    store = Store()
    store.commit(rich, "Import")
    store.close()
    (left,) = unsaved()

    def fail(*args):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(journals.os, "replace", fail)
        store = Store.recover(left)
    assert any("disk is full" in notice for notice in store.notices)
    store.close()
    assert [one.session for one in unsaved()] == [rich]


def test_a_session_with_a_name_but_no_file_yet_comes_back(tmp_path, rich):
    path = tmp_path / "new.clxem.json"
    store = Store(rich, path)
    expected = store.commit(lambda s: edits.rename(s, "new"), "Rename")
    store.close()
    assert not path.exists()
    assert recover(path) == expected
    for _ in range(2):
        store = Store.open(path)
        assert store.session == expected
        assert store.dirty
        store.close()
    store = Store.open(path)
    store.save()
    assert load(path) == expected
    assert recover(path) is None


def test_the_journal_is_text_that_people_can_read(path):
    steps(path, 1)
    head, line = journal_of(path).read_text("utf-8").splitlines()
    assert json.loads(head[9:])["journal"] == 1
    record = json.loads(line[9:])
    assert record["label"] == "Move to 1"
    assert record["changes"] == {
        "links": {"edit": {"l1": {"landmarks": {"edit": {"m1": {"fixed": [1.0, 0.0, 0.0]}}}}}}
    }


def test_an_unsaved_session_is_gone_from_the_list_once_it_is_saved(tmp_path, rich, state):
    store = Store()
    store.commit(rich, "Import")
    store.close()
    (left,) = unsaved()
    assert (left.path, left.label, left.steps, left.session) == (None, "Import", 1, rich)
    store = Store.recover(left)
    assert store.session == rich
    assert store.dirty
    assert unsaved() == ()  # it is open here
    store.save(tmp_path / "grid.clxem.json")
    store.close()
    assert unsaved() == ()
    assert list(state.iterdir()) == []


def test_a_journal_moves_with_its_folder(tmp_path, path):
    expected = steps(path, 2)[-1]
    there = tmp_path.rename(tmp_path.with_name("elsewhere")) / path.name
    assert recover(there) == expected


def test_one_bad_journal_does_not_hide_the_others(rich, state, caplog):
    store = Store()
    store.commit(rich, "Import")
    store.close()
    (state / "unsaved-0.journal").write_bytes(b"junk\n")
    assert [one.session for one in unsaved()] == [rich]
    assert "unsaved-0.journal" in caplog.text


def rewritten(journal, change):
    """Change the records of a journal and give its lines right checksums again."""
    checksum, lines = 0, []
    for line in journal.read_text("utf-8").splitlines():
        record = json.loads(line[9:])
        change(record)
        text = json.dumps(record).encode()
        checksum = zlib.crc32(text, checksum)
        lines.append(b"%08x %s\n" % (checksum, text))
    journal.write_bytes(b"".join(lines))


UNFIT = {
    "unknown field": {"colour": "red"},
    "unknown item": {"links": {"edit": {"l9": {"note": "x"}}}},
    "no list of changes": {"links": 3},
    "wrong value": {"name": 3},
    "missing order": {"sites": {"order": ["s9"]}},
    "dangling": {"frames": {"drop": ["sxt"]}},
    "later schema": {"schema": 2},
}


@pytest.mark.parametrize("what", UNFIT)
def test_steps_that_do_not_fit_are_kept_and_said(path, rich, caplog, what):
    steps(path, 1)
    journal = journal_of(path)
    rewritten(journal, lambda record: "changes" in record and record.update(changes=UNFIT[what]))
    assert recover(path) is None
    assert caplog.text
    store = Store(path=path)
    assert store.session == rich
    assert len(store.notices) == 1
    assert any(one.suffix == ".kept" for one in path.parent.iterdir())


def test_a_journal_of_a_later_version_is_kept_and_said(path, rich):
    steps(path, 1)
    rewritten(journal_of(path), lambda record: "journal" in record and record.update(journal=2))
    store = Store(path=path)
    assert store.session == rich
    assert "were not applied; they are kept in" in store.notices[0]


def test_a_folder_in_place_of_the_journal(path, rich):
    journal_of(path).mkdir()
    assert recover(path) is None
    store = Store(path=path)
    store.commit(lambda s: edits.rename(s, "new"), "Rename")
    assert store.notices


def test_steps_put_aside_twice_are_both_kept(path):
    for _ in range(3):
        steps(path, 1)
        Store(load(path), path).close()
    assert len([one for one in path.parent.iterdir() if one.suffix == ".kept"]) == 3


def test_a_stage_position_that_is_partly_unknown_is_journalled(path):
    store = Store(path=path)
    stage = StagePosition((float("nan"), 1.0, float("nan")), convention="ome")
    store.commit(lambda s: edits.amend(s, Dataset, "d2", stage=stage), "Set stage")
    store.commit(lambda s: edits.amend(s, Dataset, "d2", stage=stage), "Again")
    assert store.undo_label == "Set stage"
    expected = store.session
    store.close()
    assert recover(path) == expected
