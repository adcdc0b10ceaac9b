"""A session travels without its images, is worked on elsewhere, and comes back."""

from __future__ import annotations

import io
import json
import shutil
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tifffile

from napari_clxem.errors import SessionError
from napari_clxem.io.image import Channel, OpenedImage, Orientation
from napari_clxem.samples import sample_folder
from napari_clxem.session import (
    Dataset,
    FileRef,
    Frame,
    Session,
    Site,
    Store,
    Target,
    dataset_from_file,
    edits,
    load,
    open_dataset,
    save,
)
from napari_clxem.session.merging import merge
from napari_clxem.session.pictures import keep_pictures, stand_in
from napari_clxem.session.thumbnails import thumbnail
from napari_clxem.session.travel import another_copy, pack, unpack


@pytest.fixture
def home(tmp_path):
    """The sample grid at home."""
    path = tmp_path / "home" / "grid.clxem.json"
    path.parent.mkdir()
    save(load(next(sample_folder().glob("*.clxem.json"))), path)
    return path


@pytest.fixture(scope="module")
def trip(tmp_path_factory):
    """A package of the sample grid that nobody came back with."""
    folder = tmp_path_factory.mktemp("trips")
    path = folder / "grid.clxem.json"
    save(load(next(sample_folder().glob("*.clxem.json"))), path)
    return packed(path, folder / "trip.clxem.zip").path


def packed(path, zip_path, **options):
    session = load(path)
    return pack(session, zip_path, lambda one: open_dataset(path.parent, one), home=path, **options)


def image(data, axes="yx", scale=None, channels=1):
    return OpenedImage(
        levels=(data,),
        axes=tuple(axes),
        scale=scale or (1.0,) * sum(axis in "zyx" for axis in axes),
        channels=tuple(Channel(str(n)) for n in range(channels)),
    )


def test_the_sample_grid_travels_in_a_few_megabytes(home, tmp_path):
    found = packed(home, tmp_path / "trip.clxem.zip")
    assert found.left_out == ()
    assert found.size == found.path.stat().st_size < 6e6
    there = unpack(found.path)
    assert there == tmp_path / "trip" / "trip.clxem.json"
    away, here = load(there), load(home)
    assert [one.landmarks for one in away.links] == [one.landmarks for one in here.links]
    assert (away.targets, away.exposures, away.sites) == (here.targets, here.exposures, here.sites)
    pictures = [stand_in(there, away, one) for one in away.datasets]
    assert all(one is not None for one in pictures)


def test_every_pixel_of_a_picture_lies_where_it_does_in_the_image(home, tmp_path):
    there = unpack(packed(home, tmp_path / "trip.clxem.zip", budget=300_000).path)
    session = load(there)
    dataset = next(one for one in session.datasets if one.name == "confocal-A")
    whole = open_dataset(home.parent, dataset)
    small = stand_in(there, session, dataset)
    steps = [round(a / b) for a, b in zip(small.scale, whole.scale, strict=True)]
    assert small.scale == pytest.approx(np.multiply(whole.scale, steps))
    assert steps[2] > 1
    for channel in range(4):
        one = np.asarray(whole.data[channel], dtype=float)
        other = np.asarray(small.data[channel], dtype=float)
        assert other.shape == one[:: steps[0], :: steps[1], :: steps[2]].shape
        assert abs(other.mean() / one.mean() - 1) < 0.1
        # Seen against shifted copies of the image, it is most alike to the one not shifted.
        reach = np.arange(-6, 7)
        for axis in (1, 2):
            alike = []
            for shift in reach:
                moved = np.roll(one, -shift, axis)[:: steps[0], :: steps[1], :: steps[2]]
                inner = (slice(None), slice(3, -3), slice(3, -3))
                alike.append(np.corrcoef(moved[inner].ravel(), other[inner].ravel())[0, 1])
            weight = np.array(alike) - min(alike)
            assert abs((reach * weight).sum() / weight.sum()) < 0.2 * steps[axis]
    total = sum(np.prod(stand_in(there, session, one).data.shape) for one in session.datasets)
    assert total <= 300_000


@pytest.mark.parametrize("steps_for", [1000, 90, 20])
def test_a_bright_pixel_stays_in_its_place(steps_for):
    data = np.zeros((60, 80))
    data[24, 36] = 1.0
    data[0, 0] = data[-1, -1] = 1.0
    found = thumbnail(image(data), steps_for)
    down, along = found.steps
    assert down == along > 1
    assert found.data.size <= steps_for
    places = np.argwhere(found.data[1:, 1:] > 0) + 1
    reached = np.abs(places * found.steps - [24, 36]).max(axis=1)
    ends = np.abs(places * found.steps - [59, 79]).max(axis=1)
    assert np.minimum(reached, ends).max() <= down // 2


def test_steps_are_alike_in_micrometres_and_channels_share_the_budget():
    rng = np.random.default_rng(0)
    data = rng.random((2, 10, 100, 100))
    found = thumbnail(image(data, "czyx", (0.4, 0.1, 0.1), 2), 10_000)
    assert found.axes == ("c", "z", "y", "x")
    assert found.data.size <= 10_000
    assert found.steps[1] == found.steps[2]
    assert found.steps[0] == max(1, round(found.steps[1] / 4))
    assert len(found.limits) == 2


def test_a_small_image_is_kept_whole_to_8_bits():
    data = np.linspace(-3.0, 5.0, 48).reshape(6, 8)
    data[2, 2] = np.nan
    found = thumbnail(image(data), 100)
    assert found.steps == (1, 1)
    low, high = found.limits[0]
    back = low + found.data / 255 * (high - low)
    fine = np.isfinite(data)
    inside = fine & (data > low) & (data < high)
    assert np.abs(back - data)[inside].max() <= (high - low) / 255
    assert found.data[2, 2] == 0


def test_of_complex_values_the_magnitude_is_shown():
    data = np.zeros((6, 8), dtype=np.complex64)
    data[2, 3] = 3.0 + 4.0j
    found = thumbnail(image(data), 100)
    assert found.data[2, 3] == 255
    assert found.data.sum() == 255


def test_only_the_slices_that_are_kept_are_read():
    class Watched:
        def __init__(self, data):
            self.data, self.shape, self.seen = data, data.shape, []
            self.ndim, self.dtype, self.size = data.ndim, data.dtype, data.size

        def __getitem__(self, at):
            if isinstance(at, int):
                self.seen.append(at)
            return self.data[at]

    data = Watched(np.ones((40, 10, 10), dtype=np.uint8))
    found = thumbnail(image(data, "zyx"), 500)
    assert data.seen == list(range(0, 40, found.steps[0]))
    assert len(data.seen) < 40


def test_work_done_away_comes_home_without_a_question(home, tmp_path):
    there = unpack(packed(home, tmp_path / "trip.clxem.zip").path)
    away = Store(path=there, journal=False)
    away.commit(lambda s: edits.set_status(s, "C", "imaged"), "Status")
    away.commit(lambda s: edits.drop(s, Target, s.targets[0].id), "Drop")
    away.save()
    ours = edits.rename(load(home), "At home")
    for copy in (there, _packed_away(there, tmp_path / "back.clxem.zip")):
        found = another_copy(copy, ours, home)
        assert found.base is not None
        merged = merge(ours, found.session, found.base)
        assert merged.conflicts == ()
        session = merged.session()
        assert session.name == "At home"
        assert edits.get(session, Site, "C").status == "imaged"
        assert len(session.targets) == len(ours.targets) - 1
        assert [one.file for one in session.datasets] == [one.file for one in ours.datasets]


def _packed_away(there, path):
    session = load(there)
    return pack(session, path, lambda one: stand_in(there, session, one), home=there).path


def test_an_image_taken_away_comes_home_as_a_small_picture(home, tmp_path):
    there = unpack(packed(home, tmp_path / "trip.clxem.zip").path)
    ours = load(home)
    file = there.parent / "new.ome.tif"
    data = np.arange(48, dtype=np.uint8).reshape(6, 8)
    sizes = {f"PhysicalSize{axis}": 0.5 for axis in "XY"}
    units = {f"PhysicalSize{axis}Unit": "µm" for axis in "XY"}
    tifffile.imwrite(file, data, ome=True, metadata={"axes": "YX", **sizes, **units})
    dataset, _ = dataset_from_file(file, name="new", modality="sxt", frame="new")
    away = Store(path=there, journal=False)
    away.commit(lambda s: edits.put(s, Frame(name="new", ndim=2), dataset), "Open new")
    away.save()

    def opened(one):
        return stand_in(there, away.session, one) or open_dataset(away, one)

    back = pack(away.session, tmp_path / "back.clxem.zip", opened, home=there).path
    found = another_copy(back, ours, home)
    assert list(found.pictures) == [dataset.id]
    merged = merge(ours, found.session, found.base).session()
    for _ in range(2):  # a second time the same is put there again
        keep_pictures(home, merged, found.pictures)
    added = edits.get(merged, Dataset, dataset.id)
    shown = stand_in(home, merged, added)
    assert shown.data.shape == (6, 8)
    assert shown.scale == (0.5, 0.5)
    assert np.abs(np.asarray(shown.data) - data).max() < 1.0
    # A picture that is there already keeps its place.
    other = replace(added, id="other")
    keep_pictures(home, merged, {"other": found.pictures[dataset.id]})
    assert stand_in(home, merged, added) is not None
    assert stand_in(home, merged, other) is not None


def test_a_copy_of_unknown_descent_has_no_common_start(home, tmp_path):
    first = unpack(packed(home, tmp_path / "one.clxem.zip").path)
    renamed = Store(path=first, journal=False)
    renamed.commit(lambda s: edits.rename(s, "Away"), "Rename")
    renamed.save()
    second = unpack(_packed_away(first, tmp_path / "two.clxem.zip"))
    away = Store(path=second, journal=False)
    away.commit(lambda s: edits.rename(s, "Far away"), "Rename")
    away.save()
    # Home has never been in the state in which the second copy was unpacked.
    assert another_copy(second, load(home), home).base is None
    assert another_copy(second, load(first), first).base is not None


def test_an_image_that_was_turned_since_has_no_picture(trip, tmp_path):
    there = unpack(trip, tmp_path / "away")
    session = load(there)
    dataset = next(one for one in session.datasets if one.name == "sxt-mosaic")
    turned = edits.set_orientation(session, dataset.id, Orientation(("y", "x"), ("y",)))
    assert stand_in(there, turned, edits.get(turned, Dataset, dataset.id)) is None
    assert stand_in(there, replace(session, id="another"), dataset) is None
    assert stand_in(tmp_path / "x.clxem.json", session, dataset) is None
    assert stand_in(None, session, dataset) is None


def test_axial_scaling_stretches_the_picture(trip, tmp_path):
    there = unpack(trip, tmp_path / "away")
    session = load(there)
    dataset = next(one for one in session.datasets if one.name == "confocal-A")
    before = stand_in(there, session, dataset)
    after = stand_in(there, session, replace(dataset, axial_scaling=2 * dataset.axial_scaling))
    assert after.scale[0] == pytest.approx(2 * before.scale[0])
    assert after.scale[1:] == before.scale[1:]


def test_images_that_are_missing_are_said(tmp_path):
    session = Session(
        frames=(Frame(name="a", ndim=2),),
        datasets=(Dataset(id="d", name="gone", frame="a", file=FileRef(path="/nowhere/x.tif")),),
    )
    found = pack(session, tmp_path / "x.clxem.zip", lambda one: open_dataset(tmp_path, one))
    assert len(found.left_out) == 1
    assert "relink" in found.left_out[0]
    assert [one.name for one in load(unpack(found.path)).datasets] == ["gone"]


def test_packing_can_be_ended_and_leaves_nothing(home, tmp_path):
    class EndedError(Exception):
        pass

    def progress(share, text):
        if share > 0.2:
            raise EndedError

    with pytest.raises(EndedError):
        packed(home, tmp_path / "trip.clxem.zip", progress=progress)
    assert not (tmp_path / "trip.clxem.zip").exists()


def test_nothing_is_unpacked_over_a_session(trip, tmp_path):
    package = Path(shutil.copy(trip, tmp_path))
    assert unpack(package) == tmp_path / "trip" / "trip.clxem.json"
    with pytest.raises(SessionError, match="already"):
        unpack(package)
    assert unpack(package, tmp_path / "other").parent == tmp_path / "other"


def changed(package, path, change):
    """Copy a package with its members changed."""
    with zipfile.ZipFile(package) as old, zipfile.ZipFile(path, "w") as new:
        members = change({name: old.read(name) for name in old.namelist()})
        for name, data in members.items():
            new.writestr(name, data)
    return path


def indexed(**values):
    def change(members):
        index = json.loads(members["travel/index.json"])
        return {**members, "travel/index.json": json.dumps({**index, **values})}

    return change


@pytest.mark.parametrize(
    "change",
    [
        lambda members: {},
        lambda members: {"session.clxem.json": members["session.clxem.json"]},
        lambda members: {**members, "session.clxem.json": b"{}"},
        lambda members: {**members, "travel/index.json": b"[1, 2]"},
        lambda members: {**members, "travel/index.json": b"no json"},
        indexed(version=2),
        indexed(images={"x": {"file": "../../secret.tif", "axes": [], "steps": [], "of": []}}),
        indexed(images={"x": {"file": "travel/000.tif"}}),
        indexed(states=[1]),
    ],
)
def test_a_package_that_is_none_is_refused_in_one_sentence(trip, tmp_path, change):
    bad = changed(trip, tmp_path / "bad.clxem.zip", change)
    with pytest.raises(SessionError):
        unpack(bad)
    assert not (tmp_path / "bad" / "bad.clxem.json").exists()


def test_what_does_not_belong_in_a_package_is_not_unpacked(trip, tmp_path):
    evil = changed(
        trip,
        tmp_path / "evil.clxem.zip",
        lambda members: {**members, "../evil.tif": b"x", "travel/../../evil.tif": b"x"},
    )
    there = unpack(evil, tmp_path / "deep" / "er")
    assert not list(tmp_path.rglob("evil.tif"))
    assert load(there).targets


def test_a_damaged_package_is_said(trip, tmp_path):
    data = bytearray(trip.read_bytes())
    rng = np.random.default_rng(1)
    for number in range(30):
        broken = data.copy()
        at = int(rng.integers(0, len(broken) - 200))
        broken[at : at + 100] = rng.bytes(100)
        path = tmp_path / f"broken-{number}.clxem.zip"
        path.write_bytes(broken if number % 3 else data[:at])
        try:
            there = unpack(path)
        except SessionError:
            continue
        assert load(there).targets
    path.write_bytes(b"PK nonsense")
    with pytest.raises(SessionError, match="no travel package"):
        unpack(path)


def test_a_damaged_picture_is_said(trip, tmp_path):
    there = unpack(trip, tmp_path / "away")
    session = load(there)
    holder = io.BytesIO()
    tifffile.imwrite(holder, np.zeros(5, dtype=np.uint8))
    for data in (b"no tiff", b"", holder.getvalue()):
        (there.parent / "travel" / "000.tif").write_bytes(data)
        with pytest.raises(SessionError, match="unpack the package again"):
            stand_in(there, session, session.datasets[0])
