"""Models side by side: the true one is recommended, and nothing is switched."""

from __future__ import annotations

import numpy as np
import pytest

from napari_clxem.errors import PointsError
from napari_clxem.frames import Affine, Calibration, fit, landmarks_needed, recommend

TRUTHS = {
    "translation": Affine.planar(0, 1.0, (30.0, -20.0)),
    "rigid": Affine.planar(25, 1.0, (30.0, -20.0)),
    "similarity": Affine.planar(25, 1.1, (30.0, -20.0)),
    "affine": Affine.from_parts([[1.1, 0.1], [-0.1, 0.95]], (30.0, -20.0)),
}


@pytest.mark.parametrize("sigma", [0.05, None])
@pytest.mark.parametrize("model", list(TRUTHS))
def test_the_true_model_is_recommended(model, sigma):
    right = 0
    for seed in range(30):
        rng = np.random.default_rng(seed)
        moving = rng.uniform(-20, 20, (12, 2))
        fixed = TRUTHS[model](moving) + 0.05 * rng.normal(size=moving.shape)
        found = fit(moving, fixed, "affine", fixed_sigma=sigma)
        said = recommend(found)
        assert said.current == "affine"
        assert said.agrees == (said.model == "affine")
        right += said.model == model
    assert right >= 24


def test_a_bent_field_asks_for_a_spline():
    rng = np.random.default_rng(1)
    moving = rng.uniform(-20, 20, (60, 2))
    bend = np.column_stack([np.sin(moving[:, 1] / 6), np.cos(moving[:, 0] / 6)])
    for sigma in (0.03, None):
        fixed = moving + 0.8 * bend + 0.03 * rng.normal(size=moving.shape)
        said = recommend(fit(moving, fixed, "similarity", fixed_sigma=sigma))
        assert said.model == "tps"
        assert "left-out" in said.reason


def test_all_models_are_shown_with_why_not():
    moving = np.array([[0.0, 0.0], [10.0, 0.0], [0.0, 10.0], [9.0, 9.0]])
    said = recommend(fit(moving, moving + 1.0, "similarity", fixed_sigma=0.1))
    assert [row.model for row in said.candidates] == [
        "translation",
        "rigid",
        "similarity",
        "affine",
        "tps",
    ]
    assert "pick 4 more" in said.candidates[-1].note
    assert said.model == "translation"
    flat = recommend(fit(np.eye(7, 3), np.eye(7, 2), "projection", fixed_sigma=0.1))
    assert [row.model for row in flat.candidates] == ["projection", "affine"]


def test_aicc_is_that_of_the_book_for_an_ordinary_fit():
    """n log(RSS/n) + 2k + 2k(k+1)/(n-k-1), the variance counted in k (Burnham & Anderson)."""
    rng = np.random.default_rng(2)
    moving = rng.uniform(-20, 20, (10, 2))
    found = fit(moving, moving + 0.1 * rng.normal(size=moving.shape), "similarity")
    row = recommend(found).candidates[2]
    rss, k = (found.residuals**2).sum(), 5
    assert row.parameters == 4
    assert row.aicc == pytest.approx(20 * np.log(rss / 20) + 2 * k + 2 * k * (k + 1) / 14)
    assert row.leave_one_out == pytest.approx(np.sqrt((found.leave_one_out**2).mean()))


def test_with_sigmas_the_parameters_are_counted_by_what_they_do():
    rng = np.random.default_rng(3)
    moving = rng.uniform(-20, 20, (10, 2))
    found = fit(moving, moving, "affine", fixed_sigma=0.05)
    counts = [row.parameters for row in recommend(found).candidates[:4]]
    np.testing.assert_allclose(counts, [2, 3, 4, 6], atol=1e-6)
    prior = fit(moving, moving, "affine", fixed_sigma=0.5, prior=Calibration(shear_sd=0.001))
    assert 3.0 < recommend(prior).candidates[3].parameters < 4.5


def test_too_few_landmarks_to_compare_are_said():
    moving = np.array([[0.0, 0.0], [10.0, 0.0]])
    said = recommend(fit(moving, moving[:, ::-1], "similarity", fixed_sigma=0.1))
    assert said.model == "similarity"
    assert "too few" in said.reason
    said = recommend(fit(moving[:1], moving[:1], "translation", fixed_sigma=0.1))
    assert said.model == "translation"
    assert "too few" in said.reason


@pytest.mark.parametrize(
    ("model", "count", "needed"),
    [
        ("translation", 0, 1),
        ("rigid", 1, 1),
        ("similarity", 2, 0),
        ("affine", 1, 2),
        ("affine", 3, 0),
        ("tps", 3, 5),
    ],
)
def test_how_many_more_a_model_needs(model, count, needed):
    points = np.random.default_rng(4).uniform(size=(count, 2))
    assert landmarks_needed(model, points, points) == needed


def test_landmarks_on_a_line_or_plane_need_company():
    line = np.outer(np.arange(6.0), [1.0, 2.0])
    assert landmarks_needed("affine", line, line) == 1
    assert landmarks_needed("similarity", line, line) == 0
    plane = np.random.default_rng(5).normal(size=(9, 3)) * [0, 1, 1]
    assert landmarks_needed("affine", plane, plane) == 1
    assert landmarks_needed("affine", plane, plane[:, 1:], Calibration(tilt_sd=2.0)) == 0
    with pytest.raises(PointsError, match="no model"):
        landmarks_needed("elastic", line, line)
