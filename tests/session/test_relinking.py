"""Finding moved files by what they hold."""

from __future__ import annotations

import os
import shutil
import time

import numpy as np
import pytest

from napari_clxem.errors import ReadError, SessionError
from napari_clxem.io import write_ome_zarr
from napari_clxem.io.image import Channel, OpenedImage
from napari_clxem.session import (
    Dataset,
    FileRef,
    Session,
    Store,
    edits,
    load,
    missing_files,
    relink,
)
from napari_clxem.session.fingerprint import blocks, fingerprint


def test_files_are_told_apart_by_size_head_middle_and_end(tmp_path):
    size = 3_000_000
    seen = set()
    first, length = blocks(size)[16]
    for number, place in enumerate([None, 0, first + length // 2, size - 1]):
        data = bytearray(size)
        if place is not None:
            data[place] = 1
        path = tmp_path / str(number)
        path.write_bytes(data)
        seen.add(fingerprint(path))
    path.write_bytes(bytes(size + 1))
    seen.add(fingerprint(path))
    assert len(seen) == 5
    assert {one[0] for one in seen} == {size, size + 1}


@pytest.mark.parametrize("size", [0, 1, 4096, 196 * 1024, 200 * 1024, 10**6, 64 * 2**30])
def test_the_blocks_lie_within_the_file_and_are_few(size):
    found = blocks(size)
    assert all(start >= 0 and start + length <= size for start, length in found)
    assert sum(length for _, length in found) <= 200 * 1024
    ends = [start + length for start, length in found]
    assert all(start >= end for (start, _), end in zip(found[1:], ends, strict=False))


def test_a_file_of_64_gb_takes_milliseconds(tmp_path):
    path = tmp_path / "large.mrc"
    path.touch()
    os.truncate(path, 64 * 2**30)
    start = time.perf_counter()
    size, mark = fingerprint(path)
    assert time.perf_counter() - start < 0.5
    assert (size, len(mark)) == (64 * 2**30, 32)


def zarr_image(folder, data):
    folder.parent.mkdir()
    image = OpenedImage((data,), ("z", "y", "x"), (1.0, 1.0, 1.0), (Channel("a"),), name="cell")
    return write_ome_zarr(image, folder)


def test_images_in_chunks_are_told_apart_by_their_chunks(tmp_path):
    rng = np.random.default_rng(1)
    data = np.zeros((20, 300, 300), np.uint8)
    data[0, 0, 0] = 255
    other = data.copy()
    other[:, 100:200] = rng.integers(0, 255, (20, 100, 300))
    one = zarr_image(tmp_path / "one" / "a.ome.zarr", data)
    two = zarr_image(tmp_path / "two" / "a.ome.zarr", other)
    described = [(place / "zarr.json").read_bytes() for place in (one, two)]
    (two / "zarr.json").write_bytes(described[0])
    moved = shutil.copytree(one, tmp_path / "moved.ome.zarr")
    assert fingerprint(one) == fingerprint(moved) == fingerprint(moved / "zarr.json")
    assert fingerprint(one) != fingerprint(two)


def test_what_has_no_fingerprint_is_refused(tmp_path):
    with pytest.raises(ReadError, match="is a folder"):
        fingerprint(tmp_path)
    with pytest.raises(ReadError, match="cannot be read"):
        fingerprint(tmp_path / "none")


def dataset(path, name, **values):
    size, mark = fingerprint(path)
    return Dataset(id=name, file=FileRef(path=str(path), size=size, fingerprint=mark, **values))


@pytest.fixture
def folder(tmp_path):
    """A saved session with three files."""
    folder = tmp_path / "data"
    (folder / "cell 1").mkdir(parents=True)
    paths = [folder / "map.mrc", folder / "cell 1" / "stack.tif", folder / "cell 1" / "sxt.mrc"]
    for number, path in enumerate(paths):
        path.write_bytes(bytes([number]) * 1000)
    session = Session(
        datasets=(
            dataset(paths[0], "map"),
            dataset(paths[1], "stack"),
            dataset(paths[1], "stack-2", index=1),
            dataset(paths[2], "sxt"),
        )
    )
    store = Store(session)
    store.save(tmp_path / "grid.clxem.json")
    store.close()
    return folder


def test_moved_and_renamed_files_are_found(tmp_path, folder):
    store = Store(path=tmp_path / "grid.clxem.json")
    assert missing_files(store.session) == ()
    away = folder.rename(tmp_path / "archive")
    (away / "cell 1" / "sxt.mrc").rename(away / "renamed.rec")
    (away / "map.mrc").unlink()
    assert [one.id for one in missing_files(store.session)] == ["map", "stack", "stack-2", "sxt"]
    with pytest.raises(SessionError, match="relink"):
        store.resolve(store.session.datasets[1].file)

    found, missing = relink(store.session, tmp_path, tmp_path)
    assert [one.id for one in missing] == ["map"]
    store.commit(found, "Relink")
    paths = {one.id: one.file.path for one in store.session.datasets}
    assert paths == {
        "map": "data/map.mrc",
        "stack": "archive/cell 1/stack.tif",
        "stack-2": "archive/cell 1/stack.tif",
        "sxt": "archive/renamed.rec",
    }
    assert store.session.datasets[2].file.index == 1
    for one in ("stack", "sxt"):
        assert store.resolve(edits.get(store.session, Dataset, one).file).is_file()
    store.save()
    assert load(store.path) == store.session
    store.undo()
    assert store.session.datasets[3].file.path == "data/cell 1/sxt.mrc"


def test_files_that_are_in_place_are_left_alone(tmp_path, folder):
    session = load(tmp_path / "grid.clxem.json")
    copy = tmp_path / "copy"
    copy.mkdir()
    (copy / "map.mrc").write_bytes((folder / "map.mrc").read_bytes())
    found, missing = relink(session, tmp_path, copy)
    assert found is session
    assert missing == ()


def test_other_files_of_the_same_size_or_name_are_not_taken(tmp_path, folder):
    session = load(tmp_path / "grid.clxem.json")
    (folder / "map.mrc").write_bytes(b"\x07" * 1000)
    (folder / "map.mrc").rename(tmp_path / "map.mrc")
    found, missing = relink(session, tmp_path, tmp_path)
    assert [one.id for one in missing] == ["map"]
    assert found == session


def test_of_copies_the_one_most_like_the_old_path_is_taken(tmp_path, folder):
    session = load(tmp_path / "grid.clxem.json")
    data = (folder / "cell 1" / "stack.tif").read_bytes()
    (folder / "cell 1" / "stack.tif").unlink()
    for name in ("a/stack.tif", "b/cell 1/stack.tif", "c/cell 1/other.tif"):
        path = tmp_path / "new" / name
        path.parent.mkdir(parents=True)
        path.write_bytes(data)
    found, _ = relink(session, tmp_path, tmp_path / "new")
    assert edits.get(found, Dataset, "stack").file.path == "new/b/cell 1/stack.tif"


def test_a_file_without_fingerprint_stays_missing(tmp_path):
    session = Session(datasets=(Dataset(id="d", file=FileRef(path="a.tif")),))
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "a.tif").write_bytes(b"")
    found, missing = relink(session, tmp_path, tmp_path)
    assert [one.id for one in missing] == ["d"]
    assert found == session


def test_without_a_session_file_paths_are_absolute(tmp_path, folder):
    session = Session(datasets=(dataset(folder / "map.mrc", "map"),))
    away = folder.rename(tmp_path / "away")
    found, missing = relink(session, None, away)
    assert missing == ()
    assert found.datasets[0].file.path == (away / "map.mrc").as_posix()


def test_a_search_in_no_folder_is_refused(tmp_path):
    with pytest.raises(SessionError, match="is not a folder"):
        relink(Session(), tmp_path, tmp_path / "none")


def test_the_search_tells_where_it_looks_and_can_be_ended(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "x").write_bytes(b"x")
    session = Session(
        datasets=(Dataset(id="d", file=FileRef(path="/gone", size=9, fingerprint="ff")),)
    )
    seen = []
    relink(session, None, tmp_path, lambda share, text: seen.append((share, text)))
    assert seen == [(0.0, "a"), (0.0, "b")]

    class EndedError(Exception):
        pass

    def end(share, text):
        raise EndedError

    with pytest.raises(EndedError):
        relink(session, None, tmp_path, end)
