"""Views of a volume: beads found among false marks, from any side, or refused."""

from __future__ import annotations

import numpy as np
import pytest

from napari_clxem.errors import ClxemError, NoMatch, PointsError
from napari_clxem.fiducials import View, match
from napari_clxem.lamella import angles_of, fib_projection, image_rotation

SIGMA = (0.1, 0.035, 0.035)


def grazing(rng, angle, azimuth=None, seen=16, false=16, foreign=False):
    """Beads on and over a film, marks of a FIB view, and the true mark of each bead or -1."""

    def beads():
        lift = rng.uniform(0, 4, 24) * (rng.uniform(size=24) < 0.5)
        return np.column_stack([lift, rng.uniform(0, 40, (24, 2))])

    there = beads()
    azimuth = rng.uniform(0, 360) if azimuth is None else azimuth
    camera = fib_projection(angle, azimuth, scale=1.01, shift=(30.0, -12.0))
    shown = rng.permutation(24)[:seen]
    marks = camera.transform((beads() if foreign else there)[shown])
    low, high = marks.min(axis=0), marks.max(axis=0)
    marks = np.vstack([marks, rng.uniform(low, high, (false, 2))])
    truth = np.full(24, -1)
    truth[shown] = np.arange(seen)
    here = there + SIGMA * rng.standard_normal(there.shape)
    return here, marks + rng.normal(0, 0.05, marks.shape), truth, azimuth


def answer(here, marks, **options):
    """Match with the errors of both sides."""
    sigma = np.tile(SIGMA, (len(here), 1))
    return match(here, marks, "projection", moving_sigma=sigma, fixed_sigma=0.05, **options)


@pytest.mark.parametrize("known", [True, False])
def test_beads_are_found_among_as_many_ice_crystals(known):
    rng = np.random.default_rng(1)
    for _ in range(8):
        angle = rng.uniform(8, 20)
        here, marks, truth, azimuth = grazing(rng, angle)
        view = View(angle=angle + rng.normal(0, 2)) if known else None
        found = answer(here, marks, view=view)
        right = truth[found.pairs[:, 0]] == found.pairs[:, 1]
        assert right.sum() >= 12
        assert right.mean() >= 0.8
        assert found.confidence > 0.95
        if known:
            seen = angles_of(found.fit.affine)
            assert seen[0] == pytest.approx(angle, abs=3)
            assert (seen[1] - azimuth + 180) % 360 - 180 == pytest.approx(0, abs=3)


def test_marks_of_another_place_are_refused():
    rng = np.random.default_rng(2)
    for known in (True, False) * 4:
        here, marks, _, _ = grazing(rng, 12.0, foreign=True)
        with pytest.raises(NoMatch):
            answer(here, marks, view=View(angle=12.0) if known else None, least_confidence=0.95)


def test_a_wrong_angle_is_not_talked_round():
    here, marks, _, _ = grazing(np.random.default_rng(3), 12.0)
    with pytest.raises(NoMatch):
        answer(here, marks, view=View(angle=60.0))


def test_the_angle_makes_fewer_beads_enough():
    rng = np.random.default_rng(4)
    told = untold = 0
    for _ in range(8):
        here, marks, truth, azimuth = grazing(rng, 12.0, seen=10, false=10)
        for view in (View(angle=12.0, azimuth=azimuth), None):
            try:
                found = answer(here, marks, view=view)
            except NoMatch:
                continue
            right = (truth[found.pairs[:, 0]] == found.pairs[:, 1]).mean() > 0.6
            told += right and view is not None
            untold += right and view is None
    assert told >= 6
    assert told > untold


def test_an_upright_image_tells_the_mirror_solutions_of_a_plane_apart():
    rng = np.random.default_rng(5)
    beads = np.column_stack([np.zeros(12), rng.uniform(0, 30, (12, 2))])
    here = beads + rng.normal(0, 0.02, beads.shape)
    for azimuth in (20.0, 200.0):
        marks = fib_projection(15.0, azimuth).transform(beads) + rng.normal(0, 0.02, (12, 2))
        view = View(angle=15.0)
        found = match(here, marks, "projection", moving_sigma=0.02, fixed_sigma=0.02, view=view)
        assert image_rotation(found.fit.affine) == pytest.approx(0, abs=5)
        assert (angles_of(found.fit.affine)[1] - azimuth + 180) % 360 - 180 == pytest.approx(
            0, abs=5
        )
        assert len(found.fit.alternatives) == 1


def test_a_turned_image_is_found_where_its_turn_is_given():
    rng = np.random.default_rng(6)
    here, _, _, _ = grazing(rng, 12.0)
    marks = fib_projection(12.0, 70.0, rotation=90.0).transform(here)
    found = answer(here, marks, view=View(angle=12.0, rotation=90.0))
    np.testing.assert_array_equal(found.pairs[:, 0], found.pairs[:, 1])
    assert image_rotation(found.fit.affine) == pytest.approx(90, abs=2)
    with pytest.raises(NoMatch):
        answer(here, marks, view=View(angle=12.0, rotation=0.0))


def test_a_view_that_is_none():
    with pytest.raises(ClxemError, match="-90 to 90"):
        View(angle=120.0)
    with pytest.raises(PointsError, match="3 axes"):
        match(np.eye(5, 2), np.eye(5, 2), view=View(angle=10.0))
