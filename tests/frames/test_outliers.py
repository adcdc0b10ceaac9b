"""Landmarks that the others contradict: found, with a reason, and rarely accused in vain."""

from __future__ import annotations

import numpy as np
import pytest

from napari_clxem.errors import PointsError
from napari_clxem.frames import fit, outliers

MODELS = [("translation", 3), ("rigid", 3), ("similarity", 2), ("affine", 2), ("projection", 3)]


def pairs(rng, model, ndim, count=10):
    moving = rng.uniform(-20, 20, (count, ndim))
    fixed = (moving + 4.0)[:, -2:] if model == "projection" else moving + 4.0
    return moving, fixed + 0.05 * rng.normal(size=fixed.shape)


@pytest.mark.parametrize("sigma", [0.05, None])
@pytest.mark.parametrize(("model", "ndim"), MODELS)
def test_one_bead_a_micrometre_off_is_found_and_its_neighbours_are_not_accused(model, ndim, sigma):
    right = 0
    for seed in range(20):
        moving, fixed = pairs(np.random.default_rng(seed), model, ndim)
        fixed[3] += [0.0, 0.7, -0.8][-fixed.shape[1] :]
        found = fit(moving, fixed, model, fixed_sigma=sigma)
        flags = outliers(found)
        right += [flag.index for flag in flags] == [3]
        if flags:
            assert flags[0].index == 3
            assert flags[0].miss > 0.5 > flags[0].expected
            assert flags[0].square > flags[0].limit
            assert "landmark 3" in flags[0].reason
        assert len(found.residuals) == 10
    assert right >= 18


@pytest.mark.parametrize("sigma", [0.05, None])
def test_two_bad_ones_do_not_hide_each_other(sigma):
    moving, fixed = pairs(np.random.default_rng(1), "similarity", 2, 14)
    fixed[[2, 5]] += [[1.0, 0.5], [-0.6, 1.4]]
    found = fit(moving, fixed, "similarity", fixed_sigma=sigma)
    assert {flag.index for flag in outliers(found)} == {2, 5}


@pytest.mark.parametrize("sigma", [0.05, None])
@pytest.mark.parametrize(("model", "ndim"), MODELS)
def test_good_landmarks_are_flagged_as_rarely_as_asked(model, ndim, sigma):
    flagged = 0
    for seed in range(150):
        moving, fixed = pairs(np.random.default_rng([seed, 9]), model, ndim)
        flagged += bool(outliers(fit(moving, fixed, model, fixed_sigma=sigma), chance=0.05))
    assert flagged <= 0.05 * 150 + 3 * np.sqrt(0.05 * 150)


@pytest.mark.parametrize("sigma", [0.05, None])
def test_a_spline_shows_its_outlier(sigma):
    rng = np.random.default_rng(3)
    moving = rng.uniform(-20, 20, (30, 2))
    fixed = moving + 0.3 * np.sin(moving / 8) + 0.05 * rng.normal(size=moving.shape)
    fixed[7] += 1.2
    found = fit(moving, fixed, "tps", fixed_sigma=sigma)
    assert [flag.index for flag in outliers(found)] == [7]


def test_those_a_robust_fit_left_out_are_judged_too():
    moving, fixed = pairs(np.random.default_rng(4), "similarity", 2, 12)
    fixed[[1, 6]] += 3.0
    found = fit(moving, fixed, "similarity", fixed_sigma=0.05, robust=True)
    assert {flag.index for flag in outliers(found)} == {1, 6}


def test_exact_and_minimal_landmarks_raise_no_flag():
    moving, _ = pairs(np.random.default_rng(5), "affine", 2)
    assert outliers(fit(moving, moving * 2.0, "affine")) == ()
    assert outliers(fit(moving[:3], moving[:3], "affine", fixed_sigma=0.1)) == ()
    with pytest.raises(PointsError, match="probability"):
        outliers(fit(moving, moving, "affine"), chance=0.0)
