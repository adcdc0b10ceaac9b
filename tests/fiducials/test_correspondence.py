"""Matching where it is hard: few beads, volumes, rough starts, errors that sigmas do not tell."""

from __future__ import annotations

import numpy as np
import pytest

from napari_clxem.errors import NoMatch
from napari_clxem.fiducials import match
from napari_clxem.frames import Affine, UncertainAffine


def spread(rng, count, side, apart=1.2):
    """Places in a square that keep their distance, as beads on a film do."""
    places: list[np.ndarray] = []
    while len(places) < count:
        place = rng.uniform(0, side, 2)
        if all(np.hypot(*(place - other)) > apart for other in places):
            places.append(place)
    return np.array(places)


def field(rng, true, spurious, sigma, side=90.0, size=13.0, count=60, line=False):
    """Beads of a small field, seen turned, and those of the square; the true partners."""
    while True:
        there = spread(rng, count, side)
        if line:
            along = np.array([0, 1.3, 3.9, 5.2, 9.0, 10.7])[:true, None]
            there[:true] = rng.uniform(20, 70, 2) + along * [0.6, 0.8]
        low = rng.uniform(0, side - size, 2)
        inside = np.flatnonzero(np.all((there >= low) & (there <= low + size), axis=1))
        inside = np.arange(true) if line else inside
        if len(inside) >= true:
            break
    partners = rng.permutation(inside)[:true]
    turn = Affine.planar(rng.uniform(0, 360), rng.normal(1, 0.02), rng.uniform(-100, 100, 2))
    seen = np.vstack([there[partners], low + rng.uniform(0, size, (spurious, 2))])
    here = turn.inverse(seen) + rng.normal(0, sigma, seen.shape)
    return here, there + rng.normal(0, sigma, there.shape), partners


def outcome(here, there, partners, **options):
    """1 right, -1 wrong, 0 refused."""
    try:
        found = match(here, there, **options)
    except NoMatch:
        return 0
    true = [(i, p) for i, p in enumerate(partners)]
    good = sum((int(i), int(k)) in true for i, k in found.pairs)
    return 1 if good >= max(3, 0.6 * len(found.pairs)) else -1


def test_four_beads_of_six_are_placed_in_a_square_of_sixty():
    rng = np.random.default_rng(1)
    sets = [field(rng, 4, 2, 0.035) for _ in range(40)]
    found = [outcome(*s, moving_sigma=0.035, fixed_sigma=0.035) for s in sets]
    assert np.mean(np.array(found) == 1) >= 0.95
    assert found.count(-1) == 0


def test_what_cannot_be_told_is_refused_rather_than_guessed():
    rng = np.random.default_rng(2)
    vague = [outcome(*field(rng, 4, 2, 0.2), moving_sigma=0.2, fixed_sigma=0.2) for _ in range(25)]
    alien = [outcome(*field(rng, 0, 6, 0.035), moving_sigma=0.035) for _ in range(25)]
    assert vague.count(-1) <= 1
    assert alien == [0] * 25


def test_pairs_on_a_line_keep_the_hand_of_the_frames():
    rng = np.random.default_rng(3)
    for _ in range(10):
        here, there, partners = field(rng, 5, 0, 0.02, line=True)
        found = match(here, there, moving_sigma=0.02, fixed_sigma=0.02)
        np.testing.assert_array_equal(found.pairs[:, 1], partners[found.pairs[:, 0]])
        assert not found.mirrored


def test_a_pattern_that_fits_two_ways_is_refused():
    rng = np.random.default_rng(8)
    for _ in range(10):
        there = spread(rng, 40, 90)
        even = np.linspace(0, 8, 5)[:, None] * [0.6, 0.8]  # reads the same from either end
        there[:5] = rng.uniform(20, 70, 2) + even
        here = even + rng.normal(0, 0.02, (5, 2))
        with pytest.raises(NoMatch, match="two ways"):
            match(here, there, moving_sigma=0.02, fixed_sigma=0.02)


def test_six_beads_of_a_volume_are_found():
    rng = np.random.default_rng(4)
    for _ in range(10):
        there = np.column_stack([rng.uniform(0, 3, 40), spread(rng, 40, 50)])
        near = np.argsort(np.linalg.norm(there - there[0], axis=1))[:6]
        tilt = np.deg2rad(6)
        lean = [[np.cos(tilt), np.sin(tilt), 0], [-np.sin(tilt), np.cos(tilt), 0], [0, 0, 1]]
        flat = np.eye(3)
        flat[1:, 1:] = Affine.planar(rng.uniform(0, 360)).linear
        here = (there[near] - 20) @ (flat @ lean) + rng.normal(0, 0.03, (6, 3))
        found = match(here, there, moving_sigma=0.03, fixed_sigma=0.03)
        np.testing.assert_array_equal(found.pairs[:, 1], near[found.pairs[:, 0]])
        assert len(found.pairs) >= 5


def test_a_rough_start_tells_what_the_pattern_cannot():
    rng = np.random.default_rng(5)
    there = np.array([(y, x) for y in range(0, 60, 6) for x in range(0, 60, 6)], float)
    here = there[[44, 45, 54, 55, 46, 56]] + rng.normal(0, 0.03, (6, 2)) - (100, 50)
    with pytest.raises(NoMatch):  # a lattice fits itself anywhere
        match(here, there, tolerance=0.2)
    start = UncertainAffine.declared(
        Affine.planar(0, 1, (100.8, 49.4)).matrix, here.mean(axis=0), 0.7, angle_sd=1.0
    )
    found = match(here, there, tolerance=0.2, initial=start)
    assert found.pairs[:, 1].tolist() == [44, 45, 54, 55, 46, 56]


def test_errors_that_the_sigmas_leave_out_are_found_and_widen_the_prediction():
    rng = np.random.default_rng(6)
    sizes, scaled = [], []
    for _ in range(40):
        there = spread(rng, 30, 60)
        turn = Affine.planar(rng.uniform(0, 360), 1.01, (30, -20))
        here = turn.inverse(there + rng.normal(0, 0.03, there.shape))
        found = match(here, there, moving_sigma=0.005, fixed_sigma=0.005)
        sizes.append(found.excess)
        place = np.array([[30.0, 30.0]])
        miss = found.fit.transform(turn.inverse(place)) - place
        spread_ = found.fit.predict_error(turn.inverse(place))[0]
        scaled.append(float(miss[0] @ np.linalg.solve(spread_, miss[0])))
        assert any("localisation errors" in note for note in found.notes)
    np.testing.assert_allclose(np.mean(sizes), 0.03, rtol=0.1)
    assert 1.2 < np.mean(scaled) < 3.0  # chi-squared with two degrees of freedom
    honest = match(turn.inverse(there + rng.normal(0, 0.03, there.shape)), there, fixed_sigma=0.03)
    assert honest.excess == 0.0
