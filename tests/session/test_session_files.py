"""The session file: what it holds, what is refused, and that the previous one survives."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from napari_clxem.errors import SessionError
from napari_clxem.session import Dataset, FileRef, Session, Store, edits, files, load, save
from napari_clxem.session.disk import temporary_name


@pytest.fixture
def path(tmp_path):
    return tmp_path / "grid.clxem.json"


def sentence(path):
    """Load, and give the one sentence of the refusal."""
    with pytest.raises(SessionError) as caught:
        load(path)
    text = str(caught.value)
    assert path.name in text
    assert "\n" not in text
    assert text.endswith(".")
    return text


def test_a_session_comes_back_as_it_was(path, rich):
    save(rich, path)
    assert load(path) == rich
    assert load(path).datasets[0].stage == rich.datasets[0].stage


def test_saving_what_was_loaded_writes_the_same_bytes(path, rich):
    save(rich, path)
    first = path.read_bytes()
    save(load(path), path)
    assert path.read_bytes() == first


def test_the_file_states_schema_units_and_axes(path, rich):
    save(rich, path)
    found = json.loads(path.read_text("utf-8"))
    assert found["schema"] == 1
    assert found["units"] == {"length": "um", "angle": "deg", "dose": "MGy"}
    assert found["axes"] == ["z", "y", "x"]


def test_moving_one_landmark_changes_one_line(path, rich):
    save(rich, path)
    before = path.read_text("utf-8").splitlines()
    save(edits.move_landmark(rich, "l1", "m1", "fixed", (9.0, 9.0, 9.0)), path)
    after = path.read_text("utf-8").splitlines()
    assert len(before) == len(after)
    assert sum(a != b for a, b in zip(before, after, strict=True)) == 1


def test_paths_are_relative_with_posix_separators(tmp_path):
    folder = tmp_path / "session"
    folder.mkdir()
    dataset = Dataset(file=FileRef(path=str(tmp_path / "data" / "a.tif")))
    save(Session(datasets=(dataset,)), folder / "grid.clxem.json")
    found = json.loads((folder / "grid.clxem.json").read_text("utf-8"))
    assert found["datasets"][0]["file"]["path"] == "../data/a.tif"
    assert "folder" not in found["datasets"][0]["file"]


def test_a_loaded_session_saved_elsewhere_still_finds_its_files(tmp_path):
    dataset = Dataset(file=FileRef(path="data/a.tif"))
    save(Session(datasets=(dataset,)), tmp_path / "grid.clxem.json")
    (tmp_path / "sub").mkdir()
    save(load(tmp_path / "grid.clxem.json"), tmp_path / "sub" / "copy.clxem.json")
    assert load(tmp_path / "sub" / "copy.clxem.json").datasets[0].file.path == "../data/a.tif"


def test_a_folder_that_moved_with_its_data_opens_as_before(tmp_path, rich):
    here = tmp_path / "here"
    (here / "images").mkdir(parents=True)
    (here / "images" / "map.mrc").write_bytes(b"map")
    save(rich, here / "grid.clxem.json")
    there = here.rename(tmp_path / "there")
    store = Store(path=there / "grid.clxem.json")
    assert store.session == rich
    found = store.resolve(edits.get(store.session, Dataset, "d2").file)
    assert found == there / "images" / "map.mrc"


def test_files_beyond_a_linked_folder_are_found(tmp_path):
    real = tmp_path / "disk" / "project"
    real.mkdir(parents=True)
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "a.tif").write_bytes(b"image")
    link = tmp_path / "link"
    link.symlink_to(real, target_is_directory=True)
    dataset = Dataset(file=FileRef(path=str(tmp_path / "data" / "a.tif")))
    save(Session(datasets=(dataset,)), link / "grid.clxem.json")
    for folder in (link, real):
        store = Store(path=folder / "grid.clxem.json", journal=False)
        assert store.resolve(store.session.datasets[0].file).read_bytes() == b"image"


@pytest.mark.parametrize("name", ["C:/data/a.tif", "//server/share/a.tif"])
def test_a_path_of_another_kind_of_computer_is_kept(tmp_path, name):
    store = Store(Session(datasets=(Dataset(file=FileRef(path=name)),)))
    (tmp_path / "sub").mkdir()
    for path in (tmp_path / "grid.clxem.json", tmp_path / "sub" / "grid.clxem.json"):
        store.save(path)
    if sys.platform != "win32" and name.startswith("C:"):
        assert load(path).datasets[0].file.path == name
    with pytest.raises(SessionError, match=r"a\.tif is not in .*; relink"):
        store.resolve(load(path).datasets[0].file)


def test_the_previous_file_is_kept_as_backup(path):
    first = Session(name="first")
    save(first, path)
    save(edits.rename(first, "second"), path)
    save(edits.rename(first, "second"), path)
    assert load(path.with_name(path.name + ".bak")).name == "first"
    assert sorted(one.name for one in path.parent.iterdir()) == [path.name, path.name + ".bak"]


def test_a_session_file_that_is_a_link_stays_one(tmp_path, path):
    real = tmp_path / "real.clxem.json"
    save(Session(name="first"), real)
    path.symlink_to(real)
    save(Session(name="second"), path)
    assert path.is_symlink()
    assert load(real).name == "second"


# -- what is refused ------------------------------------------------------------------------


def changed(path, rich, change):
    save(rich, path)
    found = json.loads(path.read_text("utf-8"))
    change(found)
    path.write_text(json.dumps(found), "utf-8")


def landmark(found):
    return found["links"][0]["landmarks"][0]


REFUSED = {
    "newer schema": (lambda f: f.update(schema=2), r"newer version \(schema 2\); update napari"),
    "no schema": (lambda f: f.pop("schema"), "which schema"),
    "schema of a wrong type": (lambda f: f.update(schema="1"), "which schema"),
    "schema true": (lambda f: f.update(schema=True), "which schema"),
    "other format": (lambda f: f.update(format="x"), "something else"),
    "other units": (lambda f: f["units"].update(length="nm"), "units are .*nm.* convert"),
    "other axes": (lambda f: f.update(axes=["x", "y", "z"]), "axes are"),
    "unknown field": (lambda f: f.update(extra=1), "extra is not a field"),
    "unknown field of an item": (lambda f: landmark(f).update(movign=1), "'m1' › movign is not"),
    "missing field": (lambda f: f["links"][0].pop("moving"), "'l1' › moving is missing"),
    "wrong type": (
        lambda f: landmark(f).update(moving=[1.0, "2", 3.0]),
        "links › 'l1' › landmarks › 'm1' › moving › 1 should be a valid number, not '2'",
    ),
    "number for a flag": (lambda f: landmark(f).update(use=1), "'m1' › use should be a valid bool"),
    "null for a number": (lambda f: landmark(f).update(moving=[None, 1.0, 2.0]), "moving › 0"),
    "unknown status": (lambda f: f["sites"][0].update(status="eaten"), "status should be 'cand"),
    "object for a list": (lambda f: f.update(links={}), "links should be"),
    "float for an int": (lambda f: f["datasets"][0].update(shape=[1.5, 2, 3, 4]), "shape › 0"),
    "id twice": (lambda f: f["sites"][1].update(id="s1"), "sites holds 's1' twice"),
    "frame twice": (lambda f: f["frames"][1].update(name="confocal"), "frames holds 'confocal'"),
    "landmark twice": (lambda f: f["links"][0]["landmarks"][1].update(id="m1"), "holds 'm1' twice"),
    "no such frame": (lambda f: f["links"][0].update(fixed="tem"), "'l1' is in frame 'tem'"),
    "no such site": (lambda f: f["datasets"][0].update(site="s9"), "belongs to site 's9'"),
    "absurd shape": (lambda f: f["datasets"][0].update(shape=[2, 0, 4, 4]), "which no image has"),
    "absurd position": (lambda f: f["targets"][0].update(position=[0.0, 1e30, 0.0]), "cannot be"),
    "negative scale": (lambda f: f["datasets"][0].update(scale=[0.1, -1.0, 0.1]), "above zero"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_a_file_that_does_not_fit_is_refused_with_the_place(path, rich, what):
    change, expected = REFUSED[what]
    changed(path, rich, change)
    with pytest.raises(SessionError, match=expected):
        load(path)
    sentence(path)


@pytest.mark.parametrize(
    "number", ["NaN", "Infinity", "-Infinity", "1e999", "1" + "0" * 400, "-" + "9" * 5000]
)
def test_numbers_that_are_not_finite_are_refused(path, rich, number):
    save(rich, path)
    path.write_text(path.read_text("utf-8").replace("-120.25", number), "utf-8")
    assert f"holds the number {number[:20]}" in sentence(path)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"null",
        b"[]",
        b"3",
        b'"text"',
        b"{}",
        b'{"type": "FeatureCollection"}',
        b"%PDF-1.7\n%\xe2\xe3\xcf\xd3",
        b"\xff\xfe{\x00}\x00",
        b"\x00" * 4096,
        b"[" * 200_000,
        b'{"a":' * 100_000,
        b'{"schema": ' + b"9" * 5000 + b"}",
    ],
    ids=lambda data: repr(data[:12]),
)
def test_foreign_files_are_refused(path, data):
    path.write_bytes(data)
    assert path.name in sentence(path)


def test_a_truncated_file_is_refused_wherever_it_ends(path, rich):
    save(rich, path)
    whole = path.read_bytes()
    for end in range(0, len(whole) - 2, 37):
        path.write_bytes(whole[:end])
        assert path.name in sentence(path)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=5,
)


def nodes(plain, where=()):
    """List the places of all values in a JSON document."""
    yield where
    if isinstance(plain, dict | list):
        items = plain.items() if isinstance(plain, dict) else enumerate(plain)
        for name, item in items:
            yield from nodes(item, (*where, name))


def exchanged(plain, where, value):
    if not where:
        return value
    copy = dict(plain) if isinstance(plain, dict) else list(plain)
    copy[where[0]] = exchanged(copy[where[0]], where[1:], value)
    return copy


def reopened_or_refused(path):
    """Load; tell whether what opens is the same saved and opened again, or how it is refused."""
    try:
        session = load(path)
    except SessionError as error:
        return len(str(error).splitlines()) == 1
    save(session, path)
    return load(path) == session


def test_a_field_named_by_a_control_character_is_refused_in_one_line(path):
    save(Session(), path)
    found = json.loads(path.read_text("utf-8"))
    path.write_text(json.dumps({**found, "grid": {"a\x1eb": None}}), "utf-8")
    with pytest.raises(SessionError, match=r"'a\\x1eb' is not a field") as refused:
        load(path)
    assert len(str(refused.value).splitlines()) == 1


@settings(deadline=None, max_examples=200, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_any_value_anywhere_opens_or_is_refused(path, rich, data):
    save(rich, path)
    found = json.loads(path.read_text("utf-8"))
    where = data.draw(st.sampled_from(list(nodes(found))))
    path.write_text(json.dumps(exchanged(found, where, data.draw(JSON))), "utf-8")
    assert reopened_or_refused(path)


@settings(deadline=None, max_examples=150, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_any_damaged_byte_opens_or_is_refused(path, rich, data):
    save(rich, path)
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 3))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(bytes(content))
    assert reopened_or_refused(path)


def test_a_field_stated_twice_is_refused(path, rich):
    save(rich, path)
    text = path.read_text("utf-8").replace('"sites":', '"sites": [], "sites":')
    path.write_text(text, "utf-8")
    assert "states 'sites' twice" in sentence(path)


def test_a_file_of_absurd_size_is_not_read(path, rich):
    save(rich, path)
    os.truncate(path, 2**34)
    assert "too much for a session" in sentence(path)


def test_no_file_and_a_folder_are_refused(path):
    assert "no session file" in sentence(path)
    path.mkdir()
    assert "folder" in sentence(path)


def test_an_older_schema_is_brought_up_to_date(path, rich, monkeypatch):
    changed(path, rich, lambda found: found.update(grid_name=found.pop("grid")["name"]))

    def rename(document):
        name = document.pop("grid_name")
        return {**document, "grid": {"name": name}}

    monkeypatch.setattr(files, "SCHEMA", 2)
    monkeypatch.setattr(files, "MIGRATIONS", {1: rename})
    monkeypatch.setattr("napari_clxem.session.checks.SCHEMA", 2)
    found = load(path)
    assert found.schema == 2
    assert found.grid.name == "G7"


def test_a_session_that_makes_no_sense_is_not_written(path, rich):
    save(rich, path)
    with pytest.raises(SessionError, match="'map', which the session does not have"):
        save(replace(rich, frames=rich.frames[:2]), path)
    with pytest.raises(SessionError, match="not a finite number"):
        save(edits.move_landmark(rich, "l1", "m1", "fixed", (float("nan"), 0.0, 0.0)), path)
    with pytest.raises(SessionError, match="not readable text"):
        save(edits.rename(rich, "name \udcff"), path)
    assert load(path) == rich


# -- what happens while writing -------------------------------------------------------------


def test_a_path_below_a_file_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(SessionError, match=r"could not be saved: .*not a folder"):
        save(Session(), tmp_path / "file" / "grid.clxem.json")
    with pytest.raises(SessionError, match="could not be saved: the folder does not exist"):
        save(Session(), tmp_path / "none" / "grid.clxem.json")
    (tmp_path / "taken.clxem.json").mkdir()
    with pytest.raises(SessionError, match="could not be saved"):
        save(Session(), tmp_path / "taken.clxem.json")


FAULTS = {
    "disk full while writing": ("fsync", errno.ENOSPC, "the disk is full"),
    "quota": ("fsync", errno.EDQUOT, "quota"),
    "no right to replace": ("replace", errno.EACCES, "may not write there"),
    "read-only": ("replace", errno.EROFS, "read-only"),
    "no link for the backup, and no copy": ("link", errno.ENOSPC, None),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_the_previous_file_is_whole_after_a_failure(path, rich, monkeypatch, fault):
    call, number, expected = FAULTS[fault]
    save(rich, path)
    before = path.read_bytes()

    def fail(*args, **kwargs):
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patch:
        patch.setattr(os, call, fail)
        if expected is None:
            save(edits.rename(rich, "new"), path)  # a copy does where a link cannot be made
            assert load(path).name == "new"
            assert path.with_name(path.name + ".bak").read_bytes() == before
            return
        with pytest.raises(SessionError, match=f"{expected}.*the previous file is untouched"):
            save(edits.rename(rich, "new"), path)
    assert path.read_bytes() == before
    assert [one.name for one in path.parent.iterdir()] == [path.name]
    assert load(path) == rich


class HeldError(PermissionError):
    """What Windows says of a file that another program has open."""

    winerror = 32


def test_a_file_that_is_held_for_a_moment_is_waited_for(path, rich, monkeypatch):
    save(rich, path)
    real, refusals = os.replace, [HeldError(), HeldError()]

    def held(*args):
        if refusals:
            raise refusals.pop()
        real(*args)

    monkeypatch.setattr(os, "replace", held)
    save(edits.rename(rich, "new"), path)
    assert load(path).name == "new"
    monkeypatch.setattr("napari_clxem.session.disk._PAUSES_S", (0.0,))
    refusals.extend(HeldError(errno.EACCES, "held") for _ in range(9))
    with pytest.raises(SessionError, match=r"may not write there.*untouched"):
        save(edits.rename(rich, "newer"), path)
    assert load(path).name == "new"


@pytest.mark.skipif(sys.platform == "win32", reason="needs a limit on the size of files")
def test_a_real_limit_on_file_size_leaves_the_previous_file_whole(path, rich):
    import resource

    store = Store(rich)
    store.save(path)
    before = path.read_bytes()
    old = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1024, old[1]))
    try:
        store.commit(lambda s: edits.rename(s, "new"), "Rename")
        with pytest.raises(SessionError, match=r"larger than is allowed.*untouched"):
            store.save()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, old)
    assert path.read_bytes() == before
    assert store.dirty
    store.save()
    assert load(path).name == "new"


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 64 KiB, where this process may mount one."""
    place = tmp_path / "disk"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(place)]
    try:
        made = subprocess.run(command, capture_output=True, check=False, timeout=10)
    except FileNotFoundError:
        pytest.skip("there is no mount command here")
    if made.returncode:
        pytest.skip("a small file system cannot be mounted here")
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=True, timeout=10)


def fill(path):
    with path.open("wb", buffering=0) as file:
        while True:
            file.write(b"x" * 1024)


def test_a_disk_that_is_really_full(small_disk, rich):
    store = Store(rich, small_disk / "grid.clxem.json")
    path = store.save()
    before = path.read_bytes()
    filler = small_disk / "filler"
    with pytest.raises(OSError, match="space"):
        fill(filler)
    store.commit(lambda s: edits.rename(s, "new"), "Rename")
    assert any("disk is full" in notice for notice in store.notices)
    with pytest.raises(SessionError, match=r"disk is full.*the previous file is untouched"):
        store.save()
    assert path.read_bytes() == before
    filler.unlink()
    store.commit(lambda s: edits.rename(s, "newer"), "Rename")
    store.save()
    assert load(path).name == "newer"


def test_a_read_only_disk(small_disk, rich, state):
    store = Store(rich, small_disk / "grid.clxem.json")
    path = store.save()
    store.close()
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True, timeout=10)
    store = Store(path=path)
    store.commit(lambda s: edits.rename(s, "new"), "Rename")
    assert store.notices == ()
    with pytest.raises(SessionError, match=r"read-only.*untouched"):
        store.save()
    assert load(path) == rich
    store.close()
    assert Store.open(path).session.name == "new"


def test_a_folder_open_to_nobody(tmp_path, rich, monkeypatch):
    path = tmp_path / "grid.clxem.json"
    save(rich, path)
    real = os.open

    def refuse(name, flags, *args, **kwargs):
        if Path(os.fspath(name)).parent == tmp_path and flags & (os.O_WRONLY | os.O_RDWR):
            raise PermissionError(errno.EACCES, "Permission denied", str(name))
        return real(name, flags, *args, **kwargs)

    monkeypatch.setattr(os, "open", refuse)
    store = Store(path=path)
    store.commit(lambda s: edits.rename(s, "new"), "Rename")
    assert store.notices == ()
    store.close()
    assert Store.open(path).session.name == "new"


def test_on_another_drive_paths_are_absolute(path, tmp_path, monkeypatch):
    def other_drive(*args):
        raise ValueError("path is on mount 'D:', start on mount 'C:'")

    image = tmp_path.parent / "a.tif"
    with monkeypatch.context() as patch:
        patch.setattr(os.path, "relpath", other_drive)
        save(Session(datasets=(Dataset(file=FileRef(path=str(image))),)), path)
        found = load(path)
    assert found.datasets[0].file.path == image.as_posix()
    save(found, path)
    assert load(path).datasets[0].file.path == f"../{image.name}"


def test_what_a_dead_process_was_writing_is_swept_away(path, rich):
    save(rich, path)
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait(20)
    mine = temporary_name(path)
    theirs = mine.with_name(mine.name.replace(f"-{os.getpid()}.", f"-{dead.pid}."))
    foreign = mine.with_name(f".{path.name}.elsewhere-1.tmp")
    old = mine.with_name(f".{path.name}.elsewhere-2.tmp")
    unrelated = mine.with_name(".other.clxem.json.elsewhere-1.tmp")
    for one in (mine, theirs, foreign, old, unrelated):
        one.write_text("{")
    os.utime(old, (0, 0))
    Store(path=path).close()
    left = {one for one in (mine, theirs, foreign, old, unrelated) if one.exists()}
    assert left == {mine, foreign, unrelated}


def test_values_that_no_session_holds_are_named(rich, path):
    with pytest.raises(SessionError, match=r"name holds a .*Path, which a session cannot keep"):
        save(edits.rename(rich, Path("x")), path)
    wrong = replace(rich, sites=(rich.frames[0],))
    with pytest.raises(SessionError, match="sites"):
        save(wrong, path)
    with pytest.raises(SessionError, match="sites"):
        Store(rich).commit(wrong, "Do wrong")
    with pytest.raises(SessionError, match="schema 2"):
        Store(rich).commit(replace(rich, schema=2), "Do wrong")
