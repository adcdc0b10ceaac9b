"""From a file to a dataset, and from a dataset to its image."""

from __future__ import annotations

import numpy as np
import pytest
import tifffile

from napari_clxem.errors import ClxemError, SessionError
from napari_clxem.io.image import Orientation
from napari_clxem.session import (
    Frame,
    Session,
    Store,
    dataset_from_file,
    edits,
    load,
    open_dataset,
    relink,
)

PIXELS = np.arange(2 * 3 * 4 * 5, dtype=np.uint16).reshape(3, 2, 4, 5)


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "stack.ome.tif"
    metadata = {
        "axes": "ZCYX",
        "PhysicalSizeX": 0.1,
        "PhysicalSizeXUnit": "µm",
        "PhysicalSizeY": 0.1,
        "PhysicalSizeYUnit": "µm",
        "PhysicalSizeZ": 0.3,
        "PhysicalSizeZUnit": "µm",
        "Channel": {"Name": ["DAPI", "beads"]},
    }
    tifffile.imwrite(path, PIXELS, metadata=metadata, ome=True)
    return path


def test_a_dataset_holds_what_the_file_says(path):
    dataset, image = dataset_from_file(path, modality="confocal", site="s1", frame="confocal")
    assert dataset.axes == image.axes == ("c", "z", "y", "x")
    assert dataset.shape == (2, 3, 4, 5)
    assert dataset.scale == pytest.approx((0.3, 0.1, 0.1))
    assert [channel.name for channel in dataset.channels] == ["DAPI", "beads"]
    assert (dataset.modality, dataset.site, dataset.frame) == ("confocal", "s1", "confocal")
    assert dataset.file.path == path.as_posix()
    assert dataset.file.size == path.stat().st_size
    assert len(dataset.file.fingerprint) == 32
    assert dataset.name
    assert dataset_from_file(path, name="stack 1")[0].name == "stack 1"


def in_session(dataset):
    return lambda s: edits.put(s, Frame(name="confocal"), dataset)


def test_a_dataset_opens_again_from_the_store_or_its_folder(path, tmp_path):
    dataset, _ = dataset_from_file(path, frame="confocal")
    store = Store()
    store.commit(in_session(dataset), "Open")
    store.save(tmp_path / "grid.clxem.json")
    (dataset,) = load(store.path).datasets
    assert dataset.file.path == path.name
    for source in (store, tmp_path, str(tmp_path)):
        image = open_dataset(source, dataset)
        np.testing.assert_array_equal(np.asarray(image.data), PIXELS.transpose(1, 0, 2, 3))
        assert image.scale == pytest.approx((0.3, 0.1, 0.1))


def test_the_scale_of_the_session_counts_and_z_is_rescaled(path):
    dataset, _ = dataset_from_file(path, scale=(0.4, 0.2, 0.2))
    session = edits.put(Session(), dataset)
    assert dataset.scale == (0.4, 0.2, 0.2)
    session = edits.set_scale(session, dataset.id, (0.5, 0.25, 0.25))
    session = edits.set_axial_scaling(session, dataset.id, 1.2)
    image = open_dataset(path.parent, session.datasets[0])
    assert image.scale == pytest.approx((0.6, 0.25, 0.25))


def test_the_orientation_of_the_session_counts(path):
    dataset, image = dataset_from_file(path, orientation=Orientation(("z", "y", "x"), ("y",)))
    assert dataset.orientation.flip == ("y",)
    again = open_dataset(path.parent, dataset)
    expected = PIXELS.transpose(1, 0, 2, 3)[:, :, ::-1]
    np.testing.assert_array_equal(np.asarray(again.data), expected)
    np.testing.assert_array_equal(np.asarray(image.data), expected)


def test_a_file_without_pixel_size_has_none_until_one_is_given(tmp_path):
    path = tmp_path / "plain.tif"
    tifffile.imwrite(path, PIXELS[0, 0])
    dataset, image = dataset_from_file(path)
    assert dataset.scale is None
    assert image.scale is None
    assert open_dataset(tmp_path, dataset).scale is None
    session = edits.set_scale(edits.put(Session(), dataset), dataset.id, (0.2, 0.2))
    assert open_dataset(tmp_path, session.datasets[0]).scale == (0.2, 0.2)


def test_a_missing_file_and_one_of_another_shape_are_said(path):
    dataset, _ = dataset_from_file(path, name="stack", scale=(0.3, 0.1, 0.1))
    tifffile.imwrite(path, PIXELS[0, 0])
    with pytest.raises(SessionError, match="no longer the file that dataset 'stack' was made from"):
        open_dataset(path.parent, dataset)
    tifffile.imwrite(path, PIXELS[:2, 0], imagej=True, metadata={"axes": "ZYX"})
    with pytest.raises(SessionError, match=r"now holds an image of .* but dataset 'stack' was 2 x"):
        open_dataset(path.parent, dataset)
    path.unlink()
    with pytest.raises(SessionError, match=r"stack\.ome\.tif is not in .* relink"):
        open_dataset(path.parent, dataset)
    with pytest.raises(ClxemError, match="stack"):
        dataset_from_file(path)


def test_a_moved_file_opens_after_relinking(path, tmp_path):
    dataset, _ = dataset_from_file(path, frame="confocal")
    store = Store()
    store.commit(in_session(dataset), "Open")
    store.save(tmp_path / "grid.clxem.json")
    (tmp_path / "archive").mkdir()
    path.rename(tmp_path / "archive" / "renamed.ome.tif")
    with pytest.raises(SessionError, match="relink"):
        open_dataset(store, store.session.datasets[0])
    found, missing = relink(store.session, tmp_path, tmp_path)
    assert missing == ()
    store.commit(found, "Relink")
    image = open_dataset(store, store.session.datasets[0])
    assert image.data.shape == (2, 3, 4, 5)
