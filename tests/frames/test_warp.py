"""Thin-plate splines: what they follow, what they refuse, and how well they know themselves."""

from __future__ import annotations

import numpy as np
import pytest

from napari_clxem.errors import DegenerateError, PointsError
from napari_clxem.frames import FrameGraph, UncertainAffine, fit


def bent(points, amount=0.5):
    """A smooth warp of some µm over a field of 40."""
    found = points * 1.02 + 3.0
    found[:, -1] += amount * np.sin(points[:, -2] / 8)
    found[:, -2] += amount * np.cos(points[:, -1] / 10 + 1)
    return found


def drawn(rng, points, amount=0.5):
    """Draw a random warp of the kind the model assumes: thin-plate covariance, no affine part."""
    scaled = points / 20
    far = np.linalg.norm(scaled[:, np.newaxis] - scaled, axis=2)
    waves = far**2 * np.log(np.maximum(far, 1e-12)) if points.shape[1] == 2 else -far
    trend = np.column_stack([scaled, np.ones(len(points))])
    rest = np.linalg.qr(trend, mode="complete")[0][:, trend.shape[1] :]
    root = np.linalg.cholesky(rest.T @ waves @ rest)
    return points + amount * rest @ root @ rng.normal(size=(rest.shape[1], points.shape[1]))


@pytest.mark.parametrize("ndim", [2, 3])
def test_a_spline_follows_a_warp_and_goes_through_its_landmarks(ndim):
    rng = np.random.default_rng(1)
    count = 40 if ndim == 2 else 120
    moving, probe = rng.uniform(-20, 20, (count, ndim)), rng.uniform(-15, 15, (30, ndim))
    found = fit(moving, bent(moving), "tps")
    assert found.affine is None
    np.testing.assert_allclose(found.residuals, 0.0, atol=1e-8)
    assert found.fre < 1e-8
    assert found.leave_one_out.shape == (count,)
    miss = np.linalg.norm(found.transform(probe) - bent(probe), axis=1)
    plain = np.linalg.norm(fit(moving, bent(moving)).transform(probe) - bent(probe), axis=1)
    assert np.sqrt((miss**2).mean()) < 0.35 * np.sqrt((plain**2).mean())


@pytest.mark.parametrize("ndim", [2, 3])
def test_a_spline_of_an_affine_map_is_that_map(ndim):
    rng = np.random.default_rng(2)
    moving = rng.uniform(-20, 20, (12, ndim))
    linear = np.eye(ndim) + 0.1 * rng.normal(size=(ndim, ndim))
    found = fit(moving, moving @ linear.T + 7.0, "tps")
    probe = rng.uniform(-60, 60, (5, ndim))
    np.testing.assert_allclose(found.transform(probe), probe @ linear.T + 7.0, atol=1e-7)


@pytest.mark.parametrize("ndim", [2, 3])
@pytest.mark.parametrize("sigma", [None, 0.03])
def test_the_inverse_undoes_it(ndim, sigma):
    rng = np.random.default_rng(3)
    moving, probe = rng.uniform(-20, 20, (25, ndim)), rng.uniform(-25, 25, (50, ndim))
    found = fit(moving, bent(moving), "tps", fixed_sigma=sigma)
    np.testing.assert_allclose(found.inverse(found.transform(probe)), probe, atol=1e-7)
    back = found.inverted()
    np.testing.assert_allclose(back.transform(found.transform(probe)), probe, atol=1e-7)
    assert back.inverted() is found
    there, here = found.predict_error(probe), back.predict_error(found.transform(probe))
    slopes = found.jacobian(probe)
    np.testing.assert_allclose(slopes @ here @ slopes.transpose(0, 2, 1), there, atol=1e-9)


def test_the_jacobian_is_the_derivative():
    rng = np.random.default_rng(4)
    moving, probe = rng.uniform(-20, 20, (15, 3)), rng.uniform(-15, 15, (4, 3))
    found = fit(moving, bent(moving), "tps", fixed_sigma=0.02)
    for axis, step in enumerate(1e-5 * np.eye(3)):
        slope = (found.transform(probe + step) - found.transform(probe - step)) / 2e-5
        np.testing.assert_allclose(found.jacobian(probe)[:, :, axis], slope, atol=1e-7)


@pytest.mark.parametrize("sigma", [None, 0.05])
def test_leave_one_out_is_the_miss_of_the_spline_through_the_others(sigma):
    rng = np.random.default_rng(5)
    moving = rng.uniform(-20, 20, (14, 2))
    fixed = bent(moving) + 0.05 * rng.normal(size=moving.shape)
    found = fit(moving, fixed, "tps", fixed_sigma=sigma)
    if sigma is None:
        rest = fit(moving[1:], fixed[1:], "tps")
        expected = np.linalg.norm(rest.transform(moving[:1]) - fixed[:1])
        assert found.leave_one_out[0] == pytest.approx(expected, rel=1e-6)
    else:  # its stiffness is kept, so a refit is near only
        rest = fit(moving[1:], fixed[1:], "tps", fixed_sigma=sigma)
        expected = np.linalg.norm(rest.transform(moving[:1]) - fixed[:1])
        assert found.leave_one_out[0] == pytest.approx(expected, rel=0.3)


@pytest.mark.parametrize("given_sigmas", [True, False])
@pytest.mark.parametrize(("ndim", "count"), [(2, 24), (3, 30)])
def test_the_region_holds_the_truth(ndim, count, given_sigmas):
    """Truths of the model class: 1500 targets in 150 warps leave some 1 % of counting error."""
    rng = np.random.default_rng([ndim, count])
    inside = []
    for _ in range(150):
        moving, probe = rng.uniform(-20, 20, (count, ndim)), rng.uniform(-18, 18, (10, ndim))
        truth, goal = np.split(drawn(rng, np.vstack([moving, probe])), [count])
        fixed = truth + 0.03 * rng.normal(size=truth.shape)
        found = fit(moving, fixed, "tps", fixed_sigma=0.03 if given_sigmas else None)
        miss = found.transform(probe) - goal
        squares = np.einsum("ni,nij,nj->n", miss, np.linalg.inv(found.predict_error(probe)), miss)
        inside.append(squares <= found.region(probe))
    assert 0.92 <= np.mean(inside) <= 0.98


def test_given_sigmas_make_it_smooth_over_noise():
    rng = np.random.default_rng(7)
    moving, probe = rng.uniform(-20, 20, (60, 2)), rng.uniform(-15, 15, (40, 2))
    fixed = bent(moving, 0.2) + 0.1 * rng.normal(size=moving.shape)
    smooth = fit(moving, fixed, "tps", fixed_sigma=0.1).transform(probe) - bent(probe, 0.2)
    exact = fit(moving, fixed, "tps").transform(probe) - bent(probe, 0.2)
    assert (smooth**2).mean() < 0.5 * (exact**2).mean()


def test_a_swapped_pair_folds_and_is_refused():
    rng = np.random.default_rng(8)
    moving = rng.uniform(-20, 20, (20, 2))
    fixed = bent(moving)
    near = np.linalg.norm(moving - moving[0], axis=1).argsort()[1]
    fixed[[0, near]] = fixed[[near, 0]]
    with pytest.raises(DegenerateError, match="folds near"):
        fit(moving, fixed, "tps")
    found = fit(moving, fixed, "tps", fixed_sigma=0.02, robust=True)
    assert not found.inliers[0] or not found.inliers[near]
    assert found.leave_one_out[~found.inliers].min() > 0.5


def test_a_mirrored_spline_is_no_fold():
    moving = np.random.default_rng(9).uniform(-20, 20, (15, 2))
    found = fit(moving, bent(moving) * [1.0, -1.0], "tps")
    assert found.mirrored


@pytest.mark.parametrize(
    ("moving", "error", "says"),
    [
        (np.random.default_rng(0).uniform(-9, 9, (7, 2)), PointsError, "pick 1 more"),
        (np.outer(np.arange(9.0), [1.0, 2.0]), DegenerateError, "collinear"),
        (
            np.vstack([np.random.default_rng(0).normal(size=(8, 2)), [[500.0, 300.0]]]),
            DegenerateError,
            "landmark 8 stands alone",
        ),
    ],
)
def test_landmarks_too_few_or_badly_spread_are_refused(moving, error, says):
    with pytest.raises(error, match=says):
        fit(moving, moving, "tps")


def test_what_no_point_maps_to_is_refused():
    """Pulled in strongly at the middle, the spline turns back on itself far outside."""
    rng = np.random.default_rng(11)
    moving = rng.uniform(-5, 5, (40, 2))
    found = fit(moving, moving * (1 + 0.01 * (moving**2).sum(axis=1, keepdims=True)), "tps")
    goals = np.array([[y, x] for y in (-300.0, 0.0, 300.0) for x in (-300.0, 0.0, 300.0)])
    said, kept = [], 0
    for goal in goals:
        try:
            back = found.inverse(goal)
        except DegenerateError as error:
            said.append(str(error))
        else:
            kept += 1
            np.testing.assert_allclose(found.transform(back)[0], goal, atol=1e-4)
    assert len(said) + kept == 9
    assert all("stay near the landmarks" in sentence for sentence in said)


def test_two_landmarks_at_one_place_are_refused_or_averaged():
    rng = np.random.default_rng(15)
    moving = rng.uniform(-20, 20, (12, 2))
    twice, fixed = np.vstack([moving, moving[:1]]), np.vstack([moving, moving[:1] + 0.1])
    with pytest.raises(DegenerateError, match="Landmarks 0 and 12 lie at the same"):
        fit(twice, fixed, "tps")
    found = fit(twice, fixed, "tps", fixed_sigma=0.1)
    np.testing.assert_allclose(found.transform(moving[:1]), moving[:1] + 0.05, atol=0.06)
    with pytest.raises(DegenerateError, match="8 places"):
        fit(np.repeat(moving[:4], 3, 0), np.repeat(moving[:4], 3, 0), "tps", fixed_sigma=0.1)


def test_axes_and_priors_are_checked():
    points = np.random.default_rng(12).uniform(-5, 5, (9, 3))
    with pytest.raises(PointsError, match="same axes"):
        fit(points, points[:, 1:], "tps")


@pytest.mark.parametrize("ndim", [2, 3])
def test_a_spline_is_a_link_like_any_other(ndim):
    rng = np.random.default_rng(13)
    moving, probe = rng.uniform(-20, 20, (25, ndim)), rng.uniform(-15, 15, (4, ndim))
    found = fit(moving, bent(moving), "tps", fixed_sigma=0.05)
    graph = FrameGraph()
    graph.add_link("light", "mosaic", found)
    shift = np.eye(ndim + 1)
    shift[:-1, -1] = 5.0
    graph.add_link("mosaic", "sem", UncertainAffine.declared(shift, np.zeros(ndim), 0.1))
    there = graph.transform("light", "sem", probe)
    np.testing.assert_allclose(there.transform(probe), found.transform(probe) + 5.0, atol=1e-9)
    expected = found.predict_error(probe) + 0.01 * np.eye(ndim)
    np.testing.assert_allclose(there.predict_error(probe), expected, atol=1e-9)
    back = graph.transform("sem", "light", there.transform(probe))
    np.testing.assert_allclose(back.transform(there.transform(probe)), probe, atol=1e-6)
    assert np.isfinite(back.predict_error(there.transform(probe))).all()


def test_a_bent_link_of_planes_keeps_the_parallax():
    rng = np.random.default_rng(14)
    moving = rng.uniform(-20, 20, (25, 2))
    graph, flat = FrameGraph(), FrameGraph()
    found = fit(moving, moving + 3.0, "tps", fixed_sigma=0.05)
    for each, link in ((graph, found), (flat, fit(moving, moving + 3.0, fixed_sigma=0.05))):
        each.add_frame("light", 2, z=(0.0, 2.0))
        each.add_frame("sem", 2, z=(0.0, 2.0))
        each.add_link("light", "sem", link, tilt_sd=3.0)
    bent_, straight = (
        g.transform("light", "sem").predict_error([[5.0, 5.0]])[0] for g in (graph, flat)
    )
    np.testing.assert_allclose(bent_, straight, rtol=0.02)
