from __future__ import annotations

import json

import numpy as np
import pint
import pytest
import tifffile
from napari.components import ViewerModel
from napari.layers import Layer
from npe2 import PluginManifest
from npe2.io_utils import read_get_reader

from napari_clxem.errors import ReadError
from napari_clxem.plugin.reader import NO_LAYER, get_reader, read_image

CHANNELS = ["nuclei", "beads"]


@pytest.fixture
def stack(tmp_path):
    """A time series of a two-channel stack, with its calibration."""
    data = np.arange(2 * 3 * 2 * 16 * 20, dtype=np.uint16).reshape(2, 3, 2, 16, 20)
    file = tmp_path / "stack.ome.tif"
    tifffile.imwrite(
        file,
        data,
        metadata={
            "axes": "TZCYX",
            "PhysicalSizeX": 120.0,
            "PhysicalSizeXUnit": "nm",
            "PhysicalSizeY": 0.12,
            "PhysicalSizeYUnit": "µm",
            "PhysicalSizeZ": 0.5,
            "PhysicalSizeZUnit": "µm",
            "Channel": {"Name": CHANNELS},
        },
    )
    return file, data


@pytest.fixture
def unscaled(tmp_path):
    file = tmp_path / "unscaled.tif"
    tifffile.imwrite(file, np.arange(120, dtype=np.uint8).reshape(10, 12))
    return file


def test_a_stack_becomes_one_layer_per_channel_in_micrometres(stack):
    file, data = stack
    described = get_reader(str(file))(str(file))
    layers = [Layer.create(*one) for one in described]
    assert [layer.name.split(" · ")[1] for layer in layers] == CHANNELS
    for number, layer in enumerate(layers):
        assert layer.ndim == 3
        assert layer.axis_labels == ("z", "y", "x")
        assert layer.units == (pint.Unit("um"),) * 3
        assert layer.scale == pytest.approx([0.5, 0.12, 0.12])
        np.testing.assert_array_equal(np.asarray(layer.data), data[0, :, number])
        assert layer.blending == "additive"
        assert layer.metadata["clxem"]["frames"] == 2


def test_of_several_time_points_the_first_is_shown_and_this_is_said(stack, monkeypatch):
    said = []
    monkeypatch.setattr("napari_clxem.plugin.reader.show_info", said.append)
    read_image(stack[0])
    assert len(said) == 1
    assert "2 time points" in said[0]


def test_metadata_are_plain_values(stack):
    for _, arguments, _ in read_image(stack[0]):
        assert json.loads(json.dumps(arguments["metadata"])) == arguments["metadata"]


def test_a_file_without_a_pixel_size_is_a_preview_in_pixels(unscaled):
    ((data, arguments, kind),) = read_image(unscaled)
    layer = Layer.create(data, arguments, kind)
    assert layer.units == (pint.Unit("pixel"),) * 2
    assert layer.name.endswith("(no pixel size)")
    assert layer.metadata["clxem"]["preview"] is True


def test_folders_and_stacks_of_files_are_left_to_others(tmp_path, stack):
    assert get_reader(str(tmp_path)) is None
    assert get_reader([str(stack[0]), str(stack[0])]) is None


def test_a_damaged_file_is_said_in_one_sentence(tmp_path):
    file = tmp_path / "paper.mrc"
    file.write_bytes(b"%PDF-1.7 " + bytes(2000))
    with pytest.raises(ReadError, match=r"paper\.mrc"):
        get_reader(str(file))(str(file))


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("stack.ome.tif", True),
        ("stack.TIFF", True),
        ("map.mrc", True),
        ("tomo.rec", True),
        ("series.st", True),
        ("series.ali", True),
        ("grid.clxem.json", True),
        ("notes.json", False),
        ("photo.png", False),
        ("table.csv", False),
    ],
)
def test_napari_offers_our_reader_for_our_files_only(npe2pm, name, found):
    npe2pm.register(PluginManifest.from_distribution("napari-clxem"))
    offered = npe2pm.iter_compatible_readers(f"/somewhere/{name}")
    assert any(one.plugin_name == "napari-clxem" for one in offered) is found


def test_npe2_reads_through_the_manifest(npe2pm, stack):
    npe2pm.register(PluginManifest.from_distribution("napari-clxem"))
    layers, reader = read_get_reader([str(stack[0])], plugin_name="napari-clxem", stack=False)
    assert reader.command == "napari-clxem.get_reader"
    assert len(layers) == 2


@pytest.fixture
def viewer(monkeypatch):
    made = ViewerModel()
    monkeypatch.setattr("napari.current_viewer", lambda: made)
    return made


def insert(viewer, described):
    for one in described:
        if one[0] is not None:
            viewer.add_layer(Layer.create(*one))


def test_an_opened_file_becomes_a_dataset_and_undo_takes_it_back(viewer, stack):
    from napari_clxem.plugin.controllers import store_for

    insert(viewer, read_image(stack[0]))
    store = store_for(viewer)
    (dataset,) = store.session.datasets
    assert dataset.scale == pytest.approx((0.5, 0.12, 0.12))
    assert [frame.ndim for frame in store.session.frames] == [3]
    assert len(viewer.layers) == 2
    store.undo()
    assert store.session.datasets == ()
    assert len(viewer.layers) == 0


def test_the_same_file_opened_twice_is_one_dataset(viewer, stack):
    from napari_clxem.plugin.controllers import store_for

    insert(viewer, read_image(stack[0]))
    insert(viewer, read_image(stack[0]))
    assert len(store_for(viewer).session.datasets) == 1


@pytest.mark.gl
def test_a_preview_enters_the_session_once_its_pixel_size_is_given(viewer, unscaled, qtbot):
    from napari_clxem.plugin.controllers import store_for, workspace_for

    insert(viewer, read_image(unscaled))
    workspace = workspace_for(viewer)
    assert store_for(viewer).session.datasets == ()
    assert viewer.layers[0].units == (pint.Unit("pixel"),) * 2
    ((source, (name, ndim)),) = workspace.previews.items()
    assert (name, ndim) == (viewer.layers[0].name.removesuffix(" (no pixel size)"), 2)
    workspace.give_scale(source, (0.2, 0.2))
    (dataset,) = store_for(viewer).session.datasets
    assert dataset.scale == (0.2, 0.2)
    assert workspace.previews == {}
    qtbot.waitUntil(lambda: len(viewer.layers) == 1, timeout=5000)
    assert viewer.layers[0].scale == pytest.approx((0.2, 0.2))
    assert viewer.layers[0].units == (pint.Unit("um"),) * 2


def test_a_preview_is_kept_apart_from_micrometres(viewer, stack, unscaled, monkeypatch):
    apart = []
    monkeypatch.setattr(
        "napari_clxem.plugin.controllers.scene.preview_window", lambda layers: apart.extend(layers)
    )
    insert(viewer, read_image(stack[0]))
    assert read_image(unscaled) == NO_LAYER
    assert [layer.units for layer in apart] == [(pint.Unit("pixel"),) * 2]
    assert {str(unit) for unit in viewer.layers.units} == {"micrometer"}


def test_micrometres_that_come_later_move_previews_out(viewer, stack, unscaled, monkeypatch):
    apart = []
    monkeypatch.setattr("napari_clxem.plugin.controllers.workspace.preview_window", apart.extend)
    insert(viewer, read_image(unscaled))
    insert(viewer, read_image(stack[0]))
    assert [layer.units for layer in apart] == [(pint.Unit("pixel"),) * 2]
    assert {str(unit) for unit in viewer.layers.units} == {"micrometer"}
    assert len(viewer.layers) == 2


def test_files_of_real_instruments_open_with_their_calibration(shared_data):
    formats = shared_data / "formats"
    layers = [Layer.create(*one) for one in read_image(formats / "mrc" / "EMD-3197.map")]
    assert layers[0].units == (pint.Unit("um"),) * 3
    fib = formats / "fibsem" / "openfibsem_fibsem_detection_test_image_2.tif"
    (layer,) = [Layer.create(*one) for one in read_image(fib)]
    assert layer.ndim == 2
    assert layer.colormap.name == "gray"
