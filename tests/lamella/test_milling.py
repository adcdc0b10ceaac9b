from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_clxem.errors import ClxemError, DegenerateError, LamellaError
from napari_clxem.lamella import (
    BOXES,
    INSTRUMENTS,
    Instrument,
    Lamella,
    film_angle,
    film_tilt,
    instrument,
    milling_angle,
    stage_tilt,
)


def test_aquilos_shuttles():
    assert milling_angle(17.0, 45.0) == pytest.approx(10.0)
    assert milling_angle(7.0, 35.0) == pytest.approx(10.0)
    assert milling_angle(19.0, 45.0, column_angle=54.0) == pytest.approx(10.0)


def test_sem_looks_straight_down_at_the_pretilt():
    assert milling_angle(45.0, 45.0, column_angle=0.0) == pytest.approx(90.0)


@given(st.floats(-30, 60), st.floats(0, 45), st.floats(45, 60))
def test_stage_tilt_inverts(tilt, pretilt, column):
    assert stage_tilt(milling_angle(tilt, pretilt, column), pretilt, column) == pytest.approx(tilt)


@pytest.mark.parametrize("one", INSTRUMENTS, ids=lambda one: one.name)
def test_presets_cite_and_reach_ten_degrees(one):
    assert one.source
    assert one.reachable[0] <= 10.0 <= one.reachable[1]
    assert one.milling_angle(one.stage_tilt(10.0)) == pytest.approx(10.0)


def test_boxes_cite_and_their_joints_clear_the_lamella():
    for box in BOXES:
        assert box.source
        lamella = box.applied(Lamella((0, 0, 0), 10))
        assert (lamella.thickness, lamella.width) == (box.thickness, box.width)
        if box.joints:
            assert box.joints.clear_of(lamella) > 1.0


def test_out_of_range_says_what_to_do():
    aquilos = instrument("Aquilos 2, 45")
    with pytest.raises(LamellaError, match="choose an angle from"):
        aquilos.stage_tilt(80.0)
    with pytest.raises(LamellaError, match="tilts from"):
        aquilos.milling_angle(70.0)
    with pytest.raises(LamellaError, match="choose one of"):
        instrument("Aquilos")


def test_instrument_can_be_edited():
    mine = Instrument("mine", column_angle=55.0, pretilt=40.0, tilt_range=(0.0, 30.0))
    assert mine.milling_angle(15.0) == pytest.approx(10.0)
    with pytest.raises(LamellaError, match="low to high"):
        Instrument("bad", tilt_range=(30.0, 0.0))


@given(st.floats(0, 40), st.floats(-10, 10))
def test_film_rising_along_the_beam_adds_its_tilt(angle, tilt):
    assert film_angle(angle, (0.0, tilt)) == pytest.approx(angle + tilt, abs=1e-9)


def test_film_tilt_about_the_beam_hardly_counts():
    assert film_angle(10.0, (5.0, 0.0)) == pytest.approx(10.0, abs=0.05)
    assert film_angle(10.0, (5.0, 0.0), azimuth=-90.0) == pytest.approx(15.0)


def test_film_tilt_from_beads():
    rng = np.random.default_rng(3)
    y, x = rng.uniform(-10, 10, (2, 20))
    z = 1.0 + np.tan(np.deg2rad(4)) * y - np.tan(np.deg2rad(2)) * x
    assert film_tilt(np.column_stack([z, y, x])) == pytest.approx((-2.0, 4.0))


def test_film_tilt_needs_three_points_off_a_line():
    with pytest.raises(DegenerateError, match="three points"):
        film_tilt([[0, 0, 0], [1, 1, 1]])
    with pytest.raises(ClxemError, match="three points"):
        film_tilt([[0, 0, 0], [1, 1, 1], [0, 2, 2], [5, 3, 3]])
