"""Flats and currents of two energies that do not fit each other, told from the background."""

from __future__ import annotations

import numpy as np
import pytest

from napari_clxem.errors import ImageError
from napari_clxem.xray import check_flats, normalise
from napari_clxem.xray.phantom import photograph, spheres

PIXEL, SHAPE, PHOTONS = 0.0144, (48, 64, 96), 5000.0
TILTS = np.arange(-68.0, 69.0, 4.0)
ACROSS = np.linspace(-0.5, 0.5, SHAPE[2])


@pytest.fixture(scope="module")
def transmission():
    rng = np.random.default_rng(4)
    places = rng.uniform((18, 20, 34), (30, 44, 62), (12, 3)) * PIXEL
    iron = spheres(SHAPE, places, rng.uniform(5, 9, 12) * PIXEL, 1.0, PIXEL)
    cell = spheres(SHAPE, [(23.5 * PIXEL, 31.5 * PIXEL, 47.5 * PIXEL)], 0.6, 0.95, PIXEL)
    return photograph(iron, cell, TILTS, PIXEL, (4973, 15950), 0.969, PHOTONS, 0.4, rng)


def densities(transmission, flat=1.0, current=1.0):
    low, high = transmission
    even = np.full(SHAPE[1:], PHOTONS)
    return (
        normalise(low * PHOTONS, even).optical_density,
        normalise(high * PHOTONS * current, even * flat).optical_density,
    )


def test_what_is_right_raises_no_alarm(transmission):
    found = check_flats(*densities(transmission), TILTS)
    assert not found.notes
    assert found.pattern < 0.003
    assert abs(found.offset) < 0.003
    assert found.scale == pytest.approx(0.969, abs=0.003)


@pytest.mark.parametrize(
    ("flat", "size"),
    [
        (1 + 0.05 * ACROSS, 0.05),
        (1 - 0.03 * ACROSS, 0.03),
        (1 + 0.05 * ACROSS[:, None][: SHAPE[1]], 0.034),
        (1 + 0.16 * (ACROSS**2 - 1 / 12), 0.04),
    ],
)
def test_flats_of_one_energy_that_are_off_are_said(transmission, flat, size):
    found = check_flats(*densities(transmission, flat), TILTS)
    assert len(found.notes) == 1
    assert "flats of one energy look off" in found.notes[0]
    assert found.pattern == pytest.approx(size, rel=0.2)  # from middle to middle of the parts


@pytest.mark.parametrize("current", [0.97, 1.03])
def test_a_wrong_current_is_said(transmission, current):
    found = check_flats(*densities(transmission, current=current), TILTS)
    assert len(found.notes) == 1
    assert "beam current" in found.notes[0]
    assert found.offset == pytest.approx(-np.log(current), abs=0.004)


def test_what_is_wrong_alike_at_both_energies_cannot_be_seen(transmission):
    low, high = densities(transmission)
    ramp = np.log(1 + 0.05 * ACROSS).astype(np.float32)
    # k times the pattern is left, and 3 % of it is below what is said
    assert not check_flats(low + ramp, high + ramp, TILTS).notes


def test_one_image_without_a_slab_leaves_the_offset_open(transmission):
    low = np.full((64, 96), 0.4) + np.random.default_rng(1).normal(0, 0.01, (64, 96))
    high = 0.969 * low + np.random.default_rng(2).normal(0, 0.01, (64, 96))
    found = check_flats(low, high)
    assert np.isnan(found.offset)
    assert not found.notes
    with pytest.raises(ImageError, match="at least 16"):
        check_flats(low[:8], high[:8])
    with pytest.raises(ImageError, match="shape"):
        check_flats(low, high[:40])
