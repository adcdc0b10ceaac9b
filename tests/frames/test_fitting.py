"""Fits: exact recovery, calibrated predicted error, robustness and refusals."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from napari_clxem.errors import ClxemError, DegenerateError, PointsError
from napari_clxem.frames import Affine, fit

# model, axes in, axes out, landmarks, share of true positions the 95 % region must hold
CASES = [
    ("translation", 2, 2, 3),
    ("translation", 3, 3, 3),
    ("rigid", 2, 2, 5),
    ("rigid", 3, 3, 7),
    ("similarity", 2, 2, 6),
    ("similarity", 3, 3, 7),
    ("affine", 2, 2, 7),
    ("affine", 3, 3, 13),
    ("affine", 3, 2, 10),
    ("projection", 3, 2, 9),
]


def true_map(model, d_in, d_out, rng):
    turn = (
        Affine.planar(rng.uniform(0, 360)).linear
        if d_in == 2
        else Rotation.random(rng=rng).as_matrix()
    )
    linear = {
        "translation": np.eye(d_in),
        "rigid": turn,
        "similarity": 1.1 * turn,
        "affine": turn @ (np.eye(d_in) + 0.05 * rng.normal(size=(d_in, d_in))),
        "projection": 0.9 * turn,
    }[model][-d_out:]
    return Affine.from_parts(linear, rng.uniform(-100, 100, d_out))


@pytest.mark.parametrize(("model", "d_in", "d_out", "count"), CASES)
def test_exact_landmarks_give_the_exact_map(model, d_in, d_out, count):
    rng = np.random.default_rng(3)
    truth = true_map(model, d_in, d_out, rng)
    moving = rng.uniform(-20, 20, (count, d_in))
    found = fit(moving, truth(moving), model=model)
    probe = rng.uniform(-100, 100, (6, d_in))
    np.testing.assert_allclose(found.transform(probe), truth(probe), atol=1e-7)
    assert found.fre < 1e-8
    assert (
        found.dof
        == count * d_out
        - {
            ("translation", 2): 2,
            ("translation", 3): 3,
            ("rigid", 2): 3,
            ("rigid", 3): 6,
            ("similarity", 2): 4,
            ("similarity", 3): 7,
            ("affine", 2): 6,
            ("affine", 3): 12 if d_out == 3 else 8,
            ("projection", 3): 6,
        }[model, d_in]
    )


@pytest.mark.parametrize("given_sigmas", [True, False])
@pytest.mark.parametrize(("model", "d_in", "d_out", "count"), CASES)
def test_the_region_holds_the_truth(model, d_in, d_out, count, given_sigmas):
    """Monte Carlo inside and outside the hull; 600 fits leave 0.9 % of counting error."""
    rng = np.random.default_rng(11)
    inside = []
    for _ in range(600):
        truth = true_map(model, d_in, d_out, rng)
        moving = rng.uniform(-10, 10, (count, d_in))
        sd_moving = rng.uniform(0.01, 0.06, (count, d_in)) if given_sigmas else 0.03
        sd_fixed = rng.uniform(0.01, 0.06, (count, d_out)) if given_sigmas else 0.03
        # equal weights need equal noise: an anisotropic affine would not have it
        if not given_sigmas:
            sd_moving = 0.0
        seen = moving + rng.normal(size=moving.shape) * sd_moving
        fixed = truth(moving) + rng.normal(size=(count, d_out)) * sd_fixed
        sigmas = {"moving_sigma": sd_moving, "fixed_sigma": sd_fixed} if given_sigmas else {}
        found = fit(seen, fixed, model=model, **sigmas)
        probe = rng.uniform(-15, 15, (3, d_in))
        miss = found.transform(probe) - truth(probe)
        errors = found.predict_error(probe)
        square = np.einsum("ni,nij,nj->n", miss, np.linalg.inv(errors), miss)
        inside.append(square <= found.region(probe, 0.95))
    assert 0.93 <= np.mean(inside) <= 0.97


def test_a_badly_known_turn_widens_the_region_and_is_said():
    """Six beads of a thin slab, badly seen along z: the first order alone holds 90 %."""
    rng = np.random.default_rng(12)
    sigma = np.array([0.6, 0.1, 0.1])
    inside, told = [], []
    for count in (6, 4):
        for _ in range(150):
            truth = true_map("rigid", 3, 3, rng)
            moving = rng.uniform(-1, 1, (count, 3)) * [1.0, 6.0, 6.0]
            seen = moving + sigma * rng.normal(size=moving.shape)
            fixed = truth(moving) + sigma * rng.normal(size=moving.shape)
            found = fit(seen, fixed, "rigid", *([np.tile(sigma, (count, 1))] * 2))
            told.append(any("turn is known" in note for note in found.notes))
            if count == 6:
                probe = rng.uniform(-1, 1, (2, 3)) * [1.0, 6.0, 6.0]
                miss = found.transform(probe) - truth(probe)
                errors = np.linalg.inv(found.predict_error(probe))
                inside.append(np.einsum("ni,nij,nj->n", miss, errors, miss) <= 7.815)
    assert 0.90 <= np.mean(inside) <= 0.98
    assert np.mean(told[150:]) > 0.8
    moving = rng.uniform(-10, 10, (8, 3))
    assert not fit(moving, moving, "rigid", fixed_sigma=0.05).notes


def test_errors_on_both_sides_do_not_shrink_the_map():
    """Ordinary least squares would shrink by var/(var + sigma²) = 0.2 here."""
    rng = np.random.default_rng(0)
    moving = rng.normal(size=(4000, 2))
    seen = moving + 0.5 * rng.normal(size=moving.shape)
    fixed = moving + 0.5 * rng.normal(size=moving.shape)
    found = fit(seen, fixed, "affine", moving_sigma=0.5, fixed_sigma=0.5)
    np.testing.assert_allclose(found.affine[:2, :2], np.eye(2), atol=0.05)


def test_weights_follow_the_sigmas():
    moving = np.array([[0.0, 0.0], [10.0, 0.0], [0.0, 10.0]])
    fixed = moving + np.array([[0.0, 0.0], [0.0, 0.0], [3.0, 0.0]])
    sigma = np.array([[1.0, 1.0], [1.0, 1.0], [100.0, 100.0]])
    found = fit(moving, fixed, "translation", fixed_sigma=sigma)
    assert abs(found.affine[0, 2]) < 0.01
    error = found.predict_error([[0.0, 0.0]])[0]
    np.testing.assert_allclose(error, np.eye(2) / (2 + 1e-4), rtol=1e-6)


def test_one_correlated_landmark_moves_the_map_along_its_error():
    covariance = np.array([[[1.0, 0.9], [0.9, 1.0]], [[1.0, 0.0], [0.0, 1.0]]])
    moving = np.zeros((2, 2))
    fixed = np.array([[1.0, 1.0], [0.0, 0.0]])
    found = fit(moving, fixed, "translation", fixed_sigma=covariance)
    weights = np.linalg.inv(covariance)
    expected = np.linalg.solve(weights.sum(0), weights[0] @ fixed[0])
    np.testing.assert_allclose(found.affine[:2, 2], expected, atol=1e-12)


def test_leave_one_out_is_the_miss_of_a_refit():
    rng = np.random.default_rng(5)
    moving = rng.uniform(-10, 10, (6, 2))
    fixed = moving * 1.02 + 0.1 * rng.normal(size=(6, 2))
    found = fit(moving, fixed, "similarity")
    rest = fit(moving[1:], fixed[1:], "similarity")
    expected = np.linalg.norm(rest.transform(moving[:1]) - fixed[:1])
    assert found.leave_one_out[0] == pytest.approx(expected, rel=1e-6)
    assert found.leave_one_out.shape == (6,)
    assert np.isnan(fit(moving[:2], fixed[:2], "similarity").leave_one_out).all()


def test_fre_is_the_root_mean_square_residual():
    rng = np.random.default_rng(6)
    moving = rng.uniform(-10, 10, (8, 3))
    found = fit(moving, moving + 0.1 * rng.normal(size=(8, 3)), "rigid")
    assert found.fre == pytest.approx(np.sqrt((found.residuals**2).sum(1).mean()))
    np.testing.assert_allclose(found.residuals, found.fixed - found.transform(found.moving))


@pytest.mark.parametrize("sigma", [0.03, None])
def test_a_robust_fit_flags_misclicks_and_keeps_them(sigma):
    rng = np.random.default_rng(7)
    moving = rng.uniform(-10, 10, (14, 3))
    fixed = 1.02 * moving + 5 + 0.03 * rng.normal(size=(14, 3))
    fixed[[2, 9]] += [[0.0, 1.5, 0.0], [2.0, 0.0, -3.0]]
    found = fit(moving, fixed, "similarity", fixed_sigma=sigma, robust=True)
    assert set(np.flatnonzero(~found.inliers)) >= {2, 9}
    assert found.inliers.sum() >= 11
    assert len(found.residuals) == 14
    plain = fit(moving, fixed, "similarity", fixed_sigma=sigma)
    probe = [[0.0, 0.0, 0.0]]
    truth = np.array([[5.0, 5.0, 5.0]])
    assert np.linalg.norm(found.transform(probe) - truth) < 0.05
    assert np.linalg.norm(plain.transform(probe) - truth) > 0.1


def test_coplanar_landmarks_of_a_projection_give_both_mirror_solutions():
    rng = np.random.default_rng(8)
    turn = Rotation.from_euler("xyz", [20, 35, 50], degrees=True).as_matrix()
    truth = Affine.from_parts(1.3 * turn[1:], [4.0, 5.0])
    moving = np.column_stack([np.zeros(9), rng.uniform(-10, 10, (9, 2))])
    found = fit(moving, truth(moving), "projection", fixed_sigma=0.02)
    assert len(found.alternatives) == 1
    off_plane = np.array([[4.0, 1.0, 1.0]])
    misses = [
        np.linalg.norm(f.transform(off_plane) - truth(off_plane))
        for f in (found, *found.alternatives)
    ]
    assert min(misses) < 1e-5 < 1.0 < max(misses)
    assert any("mirror" in note for note in found.notes)


def test_a_mirrored_affine_says_so():
    moving = np.random.default_rng(9).uniform(-5, 5, (6, 2))
    assert fit(moving, moving * [1, -1], "affine").mirrored
    assert not fit(moving, moving, "affine").mirrored
    assert np.linalg.det(fit(moving, moving * [1, -1], "similarity").affine[:2, :2]) > 0


def test_without_a_degree_of_freedom_there_is_no_region():
    moving = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    found = fit(moving, moving, "affine")
    assert found.dof == 0
    assert np.isnan(found.region(moving)).all()
    assert np.isnan(found.predict_error(moving)).all()
    known = fit(moving, moving, "affine", fixed_sigma=0.1)
    assert np.isfinite(known.predict_error(moving)).all()


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**31), st.sampled_from(["rigid", "similarity", "affine"]))
def test_a_fit_follows_a_turn_of_the_fixed_frame(seed, model):
    rng = np.random.default_rng(seed)
    moving = rng.uniform(-10, 10, (8, 3))
    fixed = moving + rng.normal(size=(8, 3))
    turn = Affine.from_parts(Rotation.random(rng=rng).as_matrix(), rng.normal(size=3))
    probe = rng.uniform(-10, 10, (2, 3))
    plain = fit(moving, fixed, model)
    turned = fit(moving, turn(fixed), model)
    np.testing.assert_allclose(turned.transform(probe), turn(plain.transform(probe)), atol=1e-6)
    rotated = turn.linear @ plain.predict_error(probe) @ turn.linear.T
    np.testing.assert_allclose(turned.predict_error(probe), rotated, rtol=1e-4, atol=1e-9)


LINE = np.outer(np.arange(6.0), [1.0, 2.0, 3.0])
PLANE = np.column_stack([np.zeros(7), np.random.default_rng(1).uniform(-9, 9, (7, 2))])


@pytest.mark.parametrize(
    ("moving", "fixed", "model", "error", "says"),
    [
        (np.eye(2), np.eye(2), "affine", PointsError, "pick 1 more"),
        (np.zeros((0, 2)), np.zeros((0, 2)), "translation", PointsError, "pick 1 more"),
        (LINE, LINE, "rigid", DegenerateError, "collinear"),
        (LINE, LINE, "affine", DegenerateError, "collinear"),
        (LINE[:, :2], LINE[:, :2], "affine", DegenerateError, "collinear"),
        (PLANE, PLANE, "affine", DegenerateError, "coplanar"),
        (PLANE, PLANE[:, 1:], "affine", DegenerateError, "coplanar"),
        (np.ones((5, 2)), np.eye(5, 2), "similarity", DegenerateError, "coincide"),
        (np.eye(5, 2), np.ones((5, 2)), "similarity", DegenerateError, "fixed landmarks coincide"),
        (np.eye(3), np.eye(3)[:2], "rigid", PointsError, "give pairs"),
        (np.zeros((4, 2)), np.zeros((4, 3)), "affine", PointsError, "same axes"),
        (np.eye(3), np.eye(3), "projection", PointsError, "3D moving and 2D fixed"),
        (np.eye(3), np.eye(3), "elastic", PointsError, "no model"),
        ([[np.nan, 0.0]], [[0.0, 0.0]], "translation", PointsError, "NaN"),
    ],
)
def test_landmarks_that_do_not_determine_a_map_are_refused(moving, fixed, model, error, says):
    with pytest.raises(error, match=says) as caught:
        fit(moving, fixed, model)
    assert isinstance(caught.value, ClxemError)


@pytest.mark.parametrize(
    ("sigma", "says"),
    [
        (0.0, "localisation error of 0"),
        (-1.0, "negative"),
        (np.nan, "NaN"),
        (np.ones(3), "shape"),
        ("wide", "not numbers"),
        (np.tile([[1.0, 2.0], [2.0, 1.0]], (4, 1, 1)), "no covariance"),
    ],
)
def test_unusable_sigmas_are_refused(sigma, says):
    points = np.random.default_rng(2).normal(size=(4, 2))
    with pytest.raises(PointsError, match=says):
        fit(points, points, "rigid", fixed_sigma=sigma)
