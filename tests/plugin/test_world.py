from __future__ import annotations

import gc
import weakref

import numpy as np
import pint
import pytest
from napari.components import ViewerModel

from napari_clxem.plugin.world import MicrometreWorld, wanted

MICROMETRE = pint.Unit("um")

FOREIGN = {
    "angstrom": ((4, 5, 6), ("angstrom",) * 3),
    "nanometre": ((4, 5, 6), ("nm",) * 3),
    "pixels": ((4, 5, 6), ("pixel",) * 3),
    "flat pixels": ((5, 6), ("pixel",) * 2),
    "time": ((2, 4, 5, 6), ("s", "um", "um", "um")),
    "time in pixels": ((2, 4, 5, 6), ("pixel",) * 4),
    "tilt": ((4, 5, 6), ("degree", "um", "um")),
    "time for z": ((4, 5, 6), ("s", "um", "um")),
}


def units(*names):
    return tuple(pint.Unit(name) for name in names)


def test_a_layer_keeps_its_units_where_they_measure_lengths():
    assert wanted(units("nm", "nm"), units("um", "um")) == units("nm", "nm")


def test_an_axis_that_is_no_length_becomes_micrometres_in_space_only():
    assert wanted(units("s", "degree", "um", "um"), ()) == units("s", "um", "um", "um")
    world = units("s", "um", "um", "um")
    assert wanted(units("pixel", "pixel", "pixel", "pixel"), world) == world


@pytest.fixture
def pinned():
    viewer = ViewerModel()
    points = viewer.add_points(
        [[12.75, 3.0, 4.0]], units=("um",) * 3, axis_labels=("z", "y", "x"), name="landmarks"
    )
    world = MicrometreWorld(viewer)
    yield viewer, points
    world.release()


def spatial(viewer):
    return tuple(viewer.dims.units)[-3:]


@pytest.mark.parametrize("kind", FOREIGN)
def test_a_foreign_layer_moves_nothing_and_leaves_the_world_in_micrometres(pinned, kind):
    viewer, points = pinned
    shape, names = FOREIGN[kind]
    viewer.dims.set_point(0, 12.75)
    layer = viewer.add_image(np.zeros(shape), units=names, name=kind)
    assert spatial(viewer) == (MICROMETRE,) * 3
    assert viewer.layers.units[-3:] == (MICROMETRE,) * 3
    assert viewer.dims.point[-3] == pytest.approx(12.75)
    np.testing.assert_array_equal(points.data, [[12.75, 3.0, 4.0]])
    viewer.layers.remove(layer)
    assert viewer.dims.ndim == 3
    assert spatial(viewer) == (MICROMETRE,) * 3


def test_all_foreign_layers_come_and_go_in_any_order(pinned):
    viewer, points = pinned
    for name, (shape, names) in FOREIGN.items():
        viewer.add_image(np.zeros(shape), units=names, name=name)
        assert spatial(viewer) == (MICROMETRE,) * 3
    for name in np.random.default_rng(3).permutation(list(FOREIGN)):
        viewer.layers.remove(str(name))
        assert spatial(viewer) == (MICROMETRE,) * 3
    np.testing.assert_array_equal(points.data, [[12.75, 3.0, 4.0]])


def test_a_length_layer_keeps_its_size_beside_micrometres(pinned):
    viewer, _ = pinned
    layer = viewer.add_image(np.zeros((11, 11, 11)), units=("nm",) * 3, scale=(100,) * 3)
    assert layer.units == (pint.Unit("nm"),) * 3
    assert viewer.layers.extent.world[1] == pytest.approx([12.75, 3.0, 4.0])
    assert viewer.layers.extent.world[0] == pytest.approx([0.0, 0.0, 0.0])


def test_a_time_axis_beside_angstroms_leaves_the_view_on_what_is_shown(pinned):
    viewer, _ = pinned
    viewer.add_image(np.zeros((20, 30, 30)), units=("um",) * 3, scale=(1, 1, 1))
    viewer.add_image(np.zeros((20, 30, 30)), units=("angstrom",) * 3, scale=(1e4,) * 3)
    viewer.fit_to_view()
    before = viewer.scene.camera.zoom
    viewer.add_image(np.zeros((3, 20, 30, 30)))
    assert viewer.scene.camera.zoom == pytest.approx(before, rel=0.2)


def test_a_point_picked_beside_an_angstrom_layer_is_stored_in_micrometres(pinned):
    viewer, points = pinned
    viewer.add_image(np.zeros((4, 5, 6)), units=("angstrom",) * 3)
    picked = points.world_to_data(viewer.dims.point)
    points.add(picked)
    np.testing.assert_allclose(points.data[-1], viewer.dims.point)
    assert np.abs(points.data).max() < 100


def test_units_changed_behind_its_back_are_set_right(pinned):
    viewer, _ = pinned
    layer = viewer.add_image(np.zeros((4, 5, 6)), units=("um",) * 3)
    layer.units = ("nm",) * 3
    assert spatial(viewer) == (MICROMETRE,) * 3
    viewer.layers.units = ("nm",) * 3
    assert spatial(viewer) == (MICROMETRE,) * 3


def test_a_preview_stays_in_pixels():
    viewer = ViewerModel()
    world = MicrometreWorld(viewer)
    layer = viewer.add_image(np.zeros((4, 5)), metadata={"clxem": {"preview": True}})
    assert layer.units == (pint.Unit("pixel"),) * 2
    world.release()


def test_a_released_viewer_follows_napari_again():
    viewer = ViewerModel()
    viewer.add_points(np.zeros((1, 3)), units=("um",) * 3)
    MicrometreWorld(viewer).release()
    layer = viewer.add_image(np.zeros((4, 5, 6)))
    assert layer.units == (pint.Unit("pixel"),) * 3


def watched():
    # Apart from the test, because napari keeps the local variables of whoever adds a layer.
    viewer = ViewerModel()
    world = MicrometreWorld(viewer)
    viewer.add_points(np.zeros((1, 3)), units=("um",) * 3)
    return weakref.ref(viewer), world


def test_nothing_holds_the_viewer():
    seen, world = watched()
    gc.collect()
    assert seen() is None
    world.release()


@pytest.mark.gl
def test_in_a_window_too_a_foreign_layer_changes_nothing(make_napari_viewer):
    viewer = make_napari_viewer()
    world = MicrometreWorld(viewer)
    points = viewer.add_points([[12.75, 3.0, 4.0]], units=("um",) * 3)
    for name, (shape, names) in FOREIGN.items():
        viewer.add_image(np.zeros(shape), units=names, name=name)
        viewer.screenshot(flash=False)
        assert spatial(viewer) == (MICROMETRE,) * 3
    np.testing.assert_array_equal(points.data, [[12.75, 3.0, 4.0]])
    world.release()
