"""What a microscope day brings: each is a sentence or a zero, never a riddle."""

from __future__ import annotations

import numpy as np
import pytest

from napari_clxem.errors import ClxemError
from napari_clxem.frames import fit
from napari_clxem.lamella import (
    BOXES,
    INSTRUMENTS,
    Lamella,
    capture_probability,
    fib_projection,
    instrument,
    lamella_on_map,
    overlap,
    propose,
    register_view,
    resample_slab,
    share_within,
    slab_pose,
    trace,
)

BOX = np.array([[0.0, 0.0, 0.0], [5.0, 13.0, 13.0]])
LAMELLA = Lamella((2.5, 6.5, 6.5), 10.0)


def test_a_target_outside_of_everything_is_not_held():
    found = capture_probability(LAMELLA, (2.5, 900.0, -700.0), 0.4, 0.01 * np.eye(3))
    assert found.centre == 0.0
    assert found.volume_fraction == 0.0
    assert found.length == 0.0
    assert found.width == 0.0


@pytest.mark.parametrize("preset", INSTRUMENTS[:4])
def test_a_milling_angle_beyond_the_stage_says_what_it_reaches(preset):
    with pytest.raises(ClxemError, match=r"choose an angle from -?\d+° to \d+°"):
        preset.stage_tilt(85.0)
    with pytest.raises(ClxemError, match="choose a tilt in that range"):
        preset.milling_angle(120.0)


def test_what_is_proposed_stays_within_the_stage():
    low, high = instrument("Aquilos 2, 45").reachable
    targets = np.array([[0.0, 0.0, 0.0], [6.0, 2.0, 0.0]])
    found = propose(targets, 0.3, instrument=instrument("Aquilos 2, 45"))
    assert low <= found.lamella.angle <= high


def test_a_lamella_outside_the_cell_shares_nothing_with_it():
    cell = np.array([[20.0, 20.0], [20.0, 40.0], [40.0, 40.0], [40.0, 20.0]])
    assert share_within(LAMELLA, cell) == 0.0


def test_coplanar_beads_in_a_fib_view_warn_of_the_mirror():
    rng = np.random.default_rng(5)
    beads = np.column_stack([np.zeros(8), rng.uniform(-8, 8, (8, 2))])
    seen = fib_projection(10.0)(beads) + 0.01 * rng.standard_normal((8, 2))
    notes = " ".join(fit(beads, seen, "projection", fixed_sigma=0.01).notes)
    assert "mirror" in notes or "plane" in notes
    registered = register_view(beads, seen, fixed_sigma=0.01, angle=10.0)
    assert registered.notes
    assert abs(registered.angle - 10.0) < 2.0


@pytest.mark.parametrize(
    ("corners", "said"),
    [
        ([[0.0, 0.0], [4.0, 4.0], [4.0, 0.0], [0.0, 3.0]], "crosses itself"),
        ([[0.0, 0.0], [2.0, 2.0], [4.0, 4.0]], "no area"),
        ([[0.0, 0.0], [2.0, 2.0]], "at least three"),
        ([[0.0, 0.0], [2.0, np.nan], [4.0, 0.0]], "NaN"),
    ],
)
def test_an_outline_that_is_none_is_refused(corners, said):
    with pytest.raises(ClxemError, match=said):
        lamella_on_map(corners)


def test_no_common_area_is_a_zero_with_an_interval():
    beside = Lamella((2.5, 60.0, 6.5), 10.0)
    found = overlap(
        beside, BOX, covariance=lambda points: np.tile(0.01 * np.eye(3), (len(points), 1, 1))
    )
    assert (found.volume, found.area_fraction, found.volume_fraction, found.iou) == (0, 0, 0, 0)
    assert found.area_interval == (0.0, 0.0)


@pytest.mark.parametrize(
    "box",
    [
        [[0.0, 0.0, 0.0], [0.0, 13.0, 13.0]],
        [[0.0, 0.0, 0.0], [np.nan, 13.0, 13.0]],
        [[0.0, 0.0], [13.0, 13.0]],
    ],
)
def test_a_tomogram_without_thickness_is_refused(box):
    with pytest.raises(ClxemError, match=r"box|corner"):
        overlap(LAMELLA, box)


def test_a_map_of_nothing_and_a_slab_beyond_its_volume():
    with pytest.raises(ClxemError, match="one grey"):
        trace(np.full((64, 64), 3.0), (0.1, 0.1))
    away = resample_slab(
        np.ones((5, 20, 20), np.float32),
        (0.1, 0.1, 0.1),
        np.eye(4),
        slab_pose(Lamella((100.0, 1.0, 1.0), 0.0)),
        (10, 10),
        (0.2, 0.2),
    )
    assert np.isnan(away).all()


def test_every_preset_says_where_its_numbers_come_from():
    for one in (*INSTRUMENTS, *BOXES, *(box.joints for box in BOXES if box.joints)):
        assert len(one.source) > 20
