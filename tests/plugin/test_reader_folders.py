"""Folders, and files of several images, as napari's reader is offered them."""

from __future__ import annotations

import json

import h5py
import numpy as np
import pytest
import zarr

from napari_clxem.errors import ReadError
from napari_clxem.plugin.reader import get_reader
from napari_clxem.session.opening import dataset_from_file, open_dataset


@pytest.fixture
def image_folder(tmp_path):
    path = tmp_path / "a.ome.zarr"
    group = zarr.open_group(str(path), mode="w", zarr_format=2)
    array = group.create_array("0", shape=(2, 8, 9), chunks=(1, 8, 9), dtype="u2")
    array[:] = np.arange(144).reshape(2, 8, 9)
    axes = [{"name": name, "type": "space", "unit": "micrometer"} for name in "zyx"]
    transforms = [{"type": "scale", "scale": [0.5, 0.2, 0.1]}]
    datasets = [{"path": "0", "coordinateTransformations": transforms}]
    scales = [{"version": "0.4", "axes": axes, "datasets": datasets}]
    (path / ".zattrs").write_text(json.dumps({"multiscales": scales}))
    return path


def test_a_folder_that_is_an_image_opens(image_folder):
    ((data, meta, kind),) = get_reader(str(image_folder))(str(image_folder))
    assert kind == "image"
    assert meta["scale"] == pytest.approx([0.5, 0.2, 0.1])
    np.testing.assert_array_equal(np.asarray(data)[1, 0], np.arange(72, 81))


def test_any_other_folder_is_declined_without_a_word(tmp_path):
    (tmp_path / "notes.txt").write_text("words")
    assert get_reader(str(tmp_path)) is None
    (tmp_path / "zarr.json").write_text("{")
    assert get_reader(str(tmp_path)) is None


def test_a_folder_is_a_dataset_known_by_what_describes_it(image_folder, tmp_path):
    dataset, image = dataset_from_file(image_folder)
    assert image.data.shape == (2, 8, 9)
    assert dataset.file.size == (image_folder / ".zattrs").stat().st_size
    again = open_dataset(tmp_path, dataset)
    np.testing.assert_array_equal(np.asarray(again.data), np.asarray(image.data))
    with pytest.raises(ReadError, match="is a folder"):
        dataset_from_file(tmp_path)


def test_flat_and_dark_images_are_not_shown(tmp_path):
    path = tmp_path / "a.hdf5"
    with h5py.File(path, "w") as file:
        file["NXtomo/instrument/sample/data"] = np.ones((3, 4, 5), "u2")
        file["NXtomo/instrument/sample/x_pixel_size"] = 0.01
        file["NXtomo/instrument/sample/y_pixel_size"] = 0.01
        file["NXtomo/instrument/bright_field/data"] = np.ones((2, 4, 5), "u2")
        file["NXtomo/instrument/dark_field/data"] = np.ones((2, 4, 5), "u2")
    layers = get_reader(str(path))(str(path))
    assert len(layers) == 1
