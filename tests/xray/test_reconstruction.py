"""Reconstruction: truth recovered, matched projection, against scikit-image, memory, stopping."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_clxem.errors import Cancelled, ImageError, MissingScaleError
from napari_clxem.xray import project, reconstruct, reconstruct_lazily
from napari_clxem.xray.phantom import spheres

PIXEL = 0.0144
ALL = np.arange(-90, 90, 3.0)
WEDGE = np.arange(-70, 71, 5.0)


@pytest.fixture(scope="module")
def volume():
    # nothing about it is symmetric
    return spheres(
        (40, 20, 48),
        np.array([(12, 6, 30), (26, 13, 14), (20, 10, 36)]) * PIXEL,
        np.array([14, 10, 6]) * PIXEL,
        [1.0, 2.0, 0.5],
        PIXEL,
    )


def rms(a, b):
    return float(np.sqrt(((np.asarray(a) - b) ** 2).mean()))


def test_a_point_falls_where_the_convention_says():
    # 5 above and 15 right of the axis
    point = np.zeros((31, 3, 61), np.float32)
    point[:, 1] = spheres((31, 1, 61), [(20, 0, 45)], 7.0, 1.0, 1.0)[:, 0]
    tilts = np.array([-60.0, 0.0, 35.0, 80.0])
    shadows = project(point, tilts, 1.0)
    where = (shadows[:, 1] * np.arange(61)).sum(axis=1) / shadows[:, 1].sum(axis=1) - 30
    angle = np.radians(tilts)
    assert where == pytest.approx(15 * np.cos(angle) + 5 * np.sin(angle), abs=0.02)
    assert shadows[:, 1].sum(axis=1) == pytest.approx(point.sum(), rel=1e-5)
    assert not shadows[:, [0, 2]].any()


@pytest.mark.parametrize("angle", [0.0, 20.0, 45.0, 63.4, -45.0])
def test_a_slab_has_a_flat_shadow_of_its_true_path(angle):
    slab = np.ones((8, 1, 121), np.float32)
    shadow = project(slab, [angle], PIXEL)[0, 0]
    assert shadow[52:69] == pytest.approx(8 * PIXEL / np.cos(np.radians(angle)), rel=1e-3)


@pytest.mark.parametrize(("method", "iterations", "least"), [("SART", 8, 0.05), ("SIRT", 60, 0.08)])
def test_the_truth_comes_back_from_all_angles(volume, method, iterations, least):
    series = project(volume, ALL, PIXEL)
    found = reconstruct(
        series, ALL, PIXEL, method=method, iterations=iterations, thickness=40, weighting="even"
    )
    assert found.data.shape == volume.shape
    assert rms(found.data, volume) < least
    assert found.data.sum() == pytest.approx(volume.sum(), rel=0.01)
    assert found.spacing == (PIXEL,) * 3
    assert found.residuals[-1] < 0.2 * found.residuals[0]
    assert 0 < found.convergence < 1


def test_the_residual_is_that_of_the_projections(volume):
    series = project(volume, WEDGE, PIXEL)
    first = reconstruct(series, WEDGE, PIXEL, method="SIRT", iterations=3, thickness=40)
    before = reconstruct(series, WEDGE, PIXEL, method="SIRT", iterations=2, thickness=40)
    left = series - project(before.data, WEDGE, PIXEL)
    assert first.residuals[2] == pytest.approx(np.sqrt((left**2).mean()), rel=0.02)


@pytest.mark.parametrize("noise", [0.0, 0.02])
def test_it_is_as_accurate_as_scikit_image_after_as_many_passes(noise):
    from skimage.transform import iradon_sart

    n, every = 96, 4
    fine = np.zeros((n * every + every, 1, n * every), np.float32)
    middle = (n // 2) * every + (every - 1) / 2
    spots = [(0, 0, 0, 70, 0.5), (-8, 0, 12, 14, 0.7), (12, 0, -13, 14, 0.7), (5, 0, 5, 5, -0.4)]
    for z, y, x, size, value in spots:
        place = [(middle + every * z, y, middle + every * x)]
        fine += spheres(fine.shape, place, float(every * size), value, 1.0)
    # exact to a quarter of a pixel, so that neither program meets its own projector
    rays = project(fine, WEDGE, 1.0, axis=middle)[:, 0].reshape(len(WEDGE), n, every)
    series = rays.mean(axis=2) / every
    truth = fine[: n * every, 0].reshape(n, every, n, every).mean(axis=(1, 3))
    rng = np.random.default_rng(2)
    series += (noise * series.max() * rng.normal(size=series.shape)).astype(np.float32)
    peer = None
    for passes in range(1, 11):
        peer = iradon_sart(np.ascontiguousarray(series.T).astype(float), -WEDGE, image=peer)
        if passes not in (1, 2, 3, 5, 10):
            continue
        ours = reconstruct(
            series, WEDGE, 1.0, iterations=passes, axis=48.0, support="cylinder", thickness=n + 1
        )
        assert rms(ours.data[:n], truth) <= 1.003 * rms(peer, truth)


def test_blocks_lanes_threads_and_dask_change_nothing(volume):
    da = pytest.importorskip("dask.array")
    series = project(volume, WEDGE, PIXEL)
    whole = reconstruct(series, WEDGE, PIXEL, thickness=40).data
    for options in ({"block": 3}, {"workers": 1}, {"block": 1, "workers": 1}):
        part = reconstruct(series, WEDGE, PIXEL, thickness=40, **options).data
        assert part == pytest.approx(whole, abs=1e-5)
    lazy = da.from_array(series, chunks=(-1, 7, -1))
    assert reconstruct(lazy, WEDGE, PIXEL, thickness=40).data == pytest.approx(whole, abs=1e-5)
    graph = reconstruct_lazily(lazy, WEDGE, PIXEL, thickness=40, block=6)
    assert graph.shape == whole.shape
    assert graph.dtype == np.float32
    assert graph[:, 4:9].compute() == pytest.approx(whole[:, 4:9], abs=1e-5)


def test_one_slice_alone_is_two_dimensional(volume):
    series = project(volume, WEDGE, PIXEL)
    whole = reconstruct(series, WEDGE, PIXEL, thickness=40)
    single = reconstruct(series[:, 6], WEDGE, PIXEL, thickness=40)
    assert single.data == pytest.approx(whole.data[:, 6], abs=1e-5)
    assert single.spacing == (PIXEL, PIXEL)


def test_an_output_of_ones_own_is_filled_and_memory_is_bounded(volume, tmp_path):
    series = project(volume, WEDGE, PIXEL)
    out = np.lib.format.open_memmap(tmp_path / "t.npy", "w+", np.float32, volume.shape)
    found = reconstruct(series, WEDGE, PIXEL, thickness=40, out=out, memory=1e-3, workers=1)
    assert found.data is out
    assert out == pytest.approx(reconstruct(series, WEDGE, PIXEL, thickness=40).data, abs=1e-5)
    with pytest.raises(ImageError, match="allow more"):
        reconstruct(series, WEDGE, PIXEL, memory=1e-6)
    with pytest.raises(ImageError, match="output has shape"):
        reconstruct(series, WEDGE, PIXEL, out=np.zeros((2, 2, 2)))


@pytest.mark.slow
def test_working_memory_does_not_grow_with_the_number_of_slices():
    import tracemalloc

    import dask.array as da

    peaks = []
    for slices in (64, 512):
        series = da.ones((20, slices, 96), chunks=(-1, 16, -1), dtype=np.float32)
        out = np.empty((96, slices, 96), np.float32)
        tracemalloc.start()
        reconstruct(series, np.linspace(-60, 60, 20), 1.0, iterations=1, out=out, memory=0.05)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.3 * peaks[0]
    assert peaks[1] < 0.05e9


def test_limits_hold_values_and_help_what_is_positive(volume):
    series = project(volume, WEDGE, PIXEL)
    free = reconstruct(series, WEDGE, PIXEL, thickness=40).data
    for method, iterations in (("SART", 5), ("SIRT", 40)):
        held = reconstruct(
            series,
            WEDGE,
            PIXEL,
            method=method,
            iterations=iterations,
            thickness=40,
            limits=(0.0, np.inf),
        )
        assert held.data.min() >= 0
    assert free.min() < 0


def test_the_axis_may_lie_off_the_middle():
    point = spheres((30, 1, 41), [(15, 0, 27)], 6.0, 1.0, 1.0)
    series = project(point, WEDGE, 1.0, axis=23.0)
    right = reconstruct(series, WEDGE, 1.0, axis=23.0, thickness=30)
    wrong = reconstruct(series, WEDGE, 1.0, thickness=30)
    assert rms(right.data, point) < 0.6 * rms(wrong.data, point)
    assert right.residuals[-1] < 0.75 * wrong.residuals[-1]


def test_progress_rises_to_one_and_cancelling_stops(volume):
    series = project(volume, WEDGE, PIXEL)
    told = []
    reconstruct(
        series, WEDGE, PIXEL, block=8, iterations=2, progress=lambda share, text: told.append(share)
    )
    assert told == sorted(told)
    assert told[-1] == 1.0
    with pytest.raises(Cancelled, match="stopped"):
        reconstruct(series, WEDGE, PIXEL, cancelled=lambda: len(told) > 0)


@given(factor=st.floats(-5, 5))
@settings(max_examples=10, deadline=None)
def test_reconstruction_is_linear(factor):
    rng = np.random.default_rng(0)
    one, two = rng.normal(size=(2, 12, 2, 24)).astype(np.float32)
    tilts = np.linspace(-60, 60, 12)
    together = reconstruct(one + np.float32(factor) * two, tilts, 1.0).data
    parts = [reconstruct(s, tilts, 1.0).data for s in (one, two)]
    assert together == pytest.approx(parts[0] + factor * parts[1], abs=2e-4)


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"tilts": [0.0, 2.0]}, "3 images but 2 tilts"),
        ({"tilts": [0.0, 2.0, np.nan]}, "no number"),
        ({"tilts": [0.0, 2.0, 4e5]}, "no tilt"),
        ({"series": np.ones((3, 4, 5, 6))}, "three axes"),
        ({"series": np.full((3, 4, 8), np.nan)}, "no number at row 0, column 0"),
        ({"method": "FBP"}, "unknown"),
        ({"iterations": 0}, "at least 1"),
        ({"relaxation": 2.5}, "diverges"),
        ({"support": "ball"}, "unknown"),
        ({"weighting": "left"}, "unknown"),
        ({"axis": 50.0}, "outside the detector"),
        ({"thickness": 33}, "more than 4 times"),
        ({"thickness": 0}, "not usable"),
        ({"thickness": 2.5}, "not usable"),
        ({"thickness": np.inf}, "not usable"),
        ({"iterations": 1.5}, "at least 1"),
    ],
)
def test_bad_input_is_refused_in_one_sentence(change, what):
    given = {"series": np.ones((3, 4, 8)), "tilts": [0.0, 2.0, 4.0], "spacing": 1.0, **change}
    with pytest.raises(ImageError, match=what):
        reconstruct(**given)


def test_a_tomogram_beyond_the_memory_of_the_machine_is_refused_at_once():
    da = pytest.importorskip("dask.array")
    series = da.zeros((3, 2_000_000, 4000), chunks=(3, 10_000, 4000), dtype=np.float32)
    with pytest.raises(ImageError, match="this machine has"):
        reconstruct(series, [0.0, 2.0, 4.0], 1.0)


def test_a_pixel_size_is_needed():
    with pytest.raises(MissingScaleError, match="positive"):
        reconstruct(np.ones((3, 4, 8)), [0.0, 2.0, 4.0], 0.0)
    with pytest.raises(ImageError, match="three axes"):
        project(np.ones((3, 3)), [0.0], 1.0)
