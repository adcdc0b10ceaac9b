"""Sums of footprints with and without compiled kernels are the same."""

from __future__ import annotations

import numpy as np
import pytest

from napari_clxem.dose import Exposure, History, packing, plain_sums, warm_kernels


def footprints(rng, count=4):
    found = []
    for _ in range(count):
        round_ = rng.random() < 0.5
        shape = {"beam_radius": rng.uniform(0.5, 8)} if round_ else {
            "beam_size": tuple(rng.uniform(1, 9, 2)), "beam_turn": float(rng.choice([0.0, 30.0]))
        }  # fmt: skip
        tilts = (rng.uniform(-70, 70, 9), np.arange(-60, 61, 3.0), np.zeros(1))[rng.integers(3)]
        found.append(
            Exposure.tilt_series(
                modality="sxt", frame="grid", aim=tuple(rng.uniform(-10, 50, 2)), tilts=tilts,
                dose_per_image=rng.uniform(0.1, 2), axis_height=float(rng.uniform(-2, 2)),
                axis_azimuth=float(rng.choice([0.0, 90.0, rng.uniform(-180, 180)])),
                halo=((1.5, 0.1),) if rng.random() < 0.3 else (), **shape,
            )
        )  # fmt: skip
    return found


@pytest.mark.parametrize("flat", [True, False])
@pytest.mark.parametrize("together", [2000, 1 << 20])
def test_plain_sums_are_those_of_the_kernels(monkeypatch, flat, together):
    from napari_clxem.dose import kernels

    monkeypatch.setattr(plain_sums, "_TOGETHER", together)
    rng = np.random.default_rng(int(flat))
    hit = 0
    for _ in range(30):
        exposures = footprints(rng)
        shapes = packing.pack(exposures)
        place = np.eye(3, 4)
        place[:, :3] += rng.normal(0, 0.1, (3, 3)) * (rng.random() < 0.5)
        grid = np.zeros((4, 3))
        grid[1, :2], grid[2, ::2], grid[3, 0] = (rng.uniform(-5, 5), 0.37), (2.0, 0.41), 1.0
        given = (
            *(packing.planes(place, exposures, flat) @ grid, rng.uniform(1, 2, 4), shapes.index),
            *(shapes.beams, shapes.beam_start, shapes.tables, shapes.table_start),
            *(shapes.steps, shapes.step_start, shapes.lookup),
        )
        compiled, plain = np.zeros((2, 120, 110))
        kernels.add_footprints(compiled, *given)
        plain_sums.add_footprints(plain, *given)
        np.testing.assert_allclose(plain, compiled, rtol=1e-12, atol=1e-12)
        hit += int((plain > 0).sum())
    assert hit > 10_000


def test_maps_and_intervals_need_no_kernels(monkeypatch):
    warm_kernels()
    history = History(footprints(np.random.default_rng(3), 12))
    given = (-10.0, -10.0), (64, 60), 1.0
    compiled = history.interval_map(*given)
    monkeypatch.setattr("napari_clxem.compiling.ready", lambda _name: None)
    plain = history.interval_map(*given)
    for name in ("dose", "mean", "low", "high"):
        np.testing.assert_allclose(getattr(plain, name), getattr(compiled, name), rtol=1e-12)
    assert plain.dose.max() > 0


def test_plain_extremes_are_those_of_the_kernel():
    from napari_clxem.dose import kernels

    rng = np.random.default_rng(5)
    low, high = np.full((2, 4, 5), np.inf), np.full((2, 4, 5), -np.inf)
    lowest, highest = low.copy(), high.copy()
    for _ in range(9):
        value = rng.normal(size=(4, 5))
        kernels.keep_extremes(value, low, high)
        plain_sums.keep_extremes(value, lowest, highest)
    np.testing.assert_array_equal(lowest, low)
    np.testing.assert_array_equal(highest, high)
