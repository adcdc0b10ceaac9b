"""Matching by pattern: right partners found, wrong ones refused, whatever turns them."""

from __future__ import annotations

import numpy as np
import pytest

from napari_clxem.errors import ClxemError, NoMatch, PointsError
from napari_clxem.fiducials import match
from napari_clxem.frames import Affine


def grids(rng, moving=40, fixed=60, share=0.5, ndim=2, noise=0.05):
    """Two point sets of a 90 µm square that share some beads; gives true fixed row or -1."""
    there = rng.uniform(0, 90, (fixed, ndim))
    if ndim == 3:
        there[:, 0] *= 0.06
    common = rng.permutation(fixed)[: int(share * moving)]
    turn = Affine.planar(rng.uniform(0, 360), 1 + 0.015 * rng.normal(), rng.uniform(-500, 500, 2))
    spurious = rng.uniform(0, 90, (moving - len(common), ndim))
    if ndim == 3:
        spurious[:, 0] *= 0.06
    here = np.vstack([there[common] + noise * rng.normal(size=(len(common), ndim)), spurious])
    truth = np.concatenate([common, np.full(len(spurious), -1)])
    here[:, -2:] = turn.inverse(here[:, -2:])
    order = rng.permutation(moving)
    return here[order], there, truth[order]


@pytest.mark.parametrize(
    ("moving", "fixed", "share", "ndim"),
    [(40, 60, 0.5, 2), (60, 60, 0.5, 2), (13, 40, 1.0, 2), (20, 30, 0.7, 3)],
)
def test_right_partners_are_found(moving, fixed, share, ndim):
    rng = np.random.default_rng(1)
    right = wrong = 0
    for _ in range(12):
        here, there, truth = grids(rng, moving, fixed, share, ndim)
        found = match(here, there)
        good = truth[found.pairs[:, 0]] == found.pairs[:, 1]
        right += good.sum()
        wrong += (~good).sum()
        assert good.sum() >= 0.8 * (truth >= 0).sum()
        assert found.confidence > 0.99
    assert wrong <= 0.05 * right


@pytest.mark.parametrize(("moving", "fixed"), [(40, 60), (13, 80), (6, 12), (25, 25)])
def test_wrong_partners_are_refused(moving, fixed):
    rng = np.random.default_rng(2)
    accepted = 0
    for _ in range(25):
        here, there, _ = grids(rng, moving, fixed)
        here = rng.uniform(here.min(axis=0), here.max(axis=0), here.shape)
        try:
            match(here, there, least_confidence=0.95)
            accepted += 1
        except NoMatch:
            pass
    assert accepted == 0


def test_clusters_do_not_pass_for_evidence():
    rng = np.random.default_rng(3)
    accepted = 0
    for _ in range(20):
        sets = []
        for _side in range(2):
            nests = rng.uniform(0, 90, (8, 2))
            sets.append(nests[rng.integers(0, 8, 40)] + rng.normal(size=(40, 2)))
        try:
            match(*sets, tolerance=0.3, least_confidence=0.95)
            accepted += 1
        except NoMatch:
            pass
    assert accepted == 0


def test_a_mirror_image_is_found_only_when_asked_for():
    here, there, truth = grids(np.random.default_rng(4), share=0.7)
    mirrored = here * [1.0, -1.0]
    with pytest.raises(NoMatch):
        match(mirrored, there)
    found = match(mirrored, there, mirror=True)
    assert found.mirrored
    assert found.fit.mirrored
    assert (truth[found.pairs[:, 0]] == found.pairs[:, 1]).mean() > 0.9
    assert not match(here, there, mirror=True).fit.mirrored


def test_a_slightly_tilted_stack_matches_a_projection():
    rng = np.random.default_rng(5)
    beads = rng.uniform(0, 40, (25, 3)) * [0.1, 1, 1]
    camera = Affine.from_parts([[0.03, 0.3, 0.95], [-0.02, -0.95, 0.3]], [100.0, 50.0])
    seen = camera(beads) + 0.02 * rng.normal(size=(25, 2))
    found = match(beads, seen, model="affine", moving_sigma=0.02, fixed_sigma=0.02)
    assert (found.pairs[:, 0] == found.pairs[:, 1]).mean() > 0.9
    assert found.fit.affine.shape == (2, 4)


def test_scale_outside_the_calibration_is_no_match():
    here, there, _ = grids(np.random.default_rng(6), share=0.8)
    with pytest.raises(NoMatch):
        match(1.3 * here, there)
    assert len(match(1.3 * here, there, scale=(1 / 1.3, 0.02)).pairs) >= 25


def test_the_same_sets_give_the_same_match():
    here, there, _ = grids(np.random.default_rng(7))
    np.testing.assert_array_equal(match(here, there).pairs, match(here, there).pairs)


@pytest.mark.parametrize(
    ("moving", "fixed", "options", "error", "says"),
    [
        (np.eye(2), np.eye(2), {}, PointsError, "at least 3"),
        (np.zeros((5, 2)), np.zeros((5, 3)), {}, PointsError, "match the volume"),
        (np.eye(5, 2), np.eye(5, 2), {"tolerance": 0.0}, ClxemError, "tolerance"),
        (np.eye(5, 2), np.eye(5, 2), {"scale": (1.0, 0.9)}, ClxemError, "scale"),
        (np.zeros((60, 2)), np.eye(5, 2), {}, PointsError, "coincide"),
        (np.full((5, 2), np.nan), np.eye(5, 2), {}, PointsError, "NaN"),
    ],
)
def test_bad_input(moving, fixed, options, error, says):
    with pytest.raises(error, match=says):
        match(moving, fixed, **options)


def test_points_on_one_spot_or_line_are_no_match():
    line = np.column_stack([np.zeros(20), np.arange(20.0)])
    with pytest.raises(ClxemError):
        match(np.ones((10, 2)), line)
