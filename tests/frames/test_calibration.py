"""The calibration prior: graceful where landmarks are few or lie on one plane."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from napari_clxem.errors import DegenerateError, PointsError
from napari_clxem.frames import Affine, Calibration, fit

PRIOR = Calibration(scale_sd=0.02, shear_sd=0.005, axial_sd=0.03, tilt_sd=2.5)


def drawn(rng, ndim, d_out):
    """Draw a true map from the prior."""
    strain = np.eye(ndim)
    amounts = 0.005 * rng.normal(size=2)
    strain[-2, -2] += amounts[0] / 2
    strain[-1, -1] -= amounts[0] / 2
    strain[-2, -1] = strain[-1, -2] = amounts[1] / 2
    tilt = np.eye(ndim)
    if ndim == 3:
        strain[0, 0] += 0.03 * rng.normal()
        strain[0, 1:] = strain[1:, 0] = 0.015 * rng.normal(size=2) / 2
        tilt = Rotation.from_rotvec([0, *np.deg2rad(2.5) * rng.normal(size=2)]).as_matrix()
    turn = np.eye(ndim)
    turn[-2:, -2:] = Affine.planar(rng.uniform(0, 360)).linear
    linear = (1 + 0.02 * rng.normal()) * turn @ tilt @ strain
    return Affine.from_parts(linear[-d_out:], rng.uniform(-100, 100, d_out))


@pytest.mark.parametrize(
    ("ndim", "d_out", "count", "height"),
    [(2, 2, 2, 0), (2, 2, 5, 0), (3, 2, 3, 1.5), (3, 2, 8, 1.5), (3, 2, 6, 0.0), (3, 3, 4, 0.0)],
)
def test_the_region_holds_the_truth(ndim, d_out, count, height):
    rng = np.random.default_rng([ndim, d_out, count])
    sigma = np.array([0.06, 0.02, 0.02])[-ndim:]
    inside = []
    for _ in range(250):
        truth = drawn(rng, ndim, d_out)
        points = rng.uniform(-8, 8, (count + 2, ndim))
        if ndim == 3:
            points[:, 0] = height / 8 * points[:, 0]
        beads, targets = points[:count], points[count:]
        fixed = truth(beads) + 0.02 * rng.normal(size=(count, d_out))
        seen = beads + sigma * rng.normal(size=beads.shape)
        sigmas = np.broadcast_to(sigma, beads.shape)
        found = fit(seen, fixed, "affine", sigmas, 0.02, prior=PRIOR)
        miss = found.transform(targets) - truth(targets)
        spread = np.linalg.inv(found.predict_error(targets))
        squares = np.einsum("ni,nij,nj->n", miss, spread, miss)
        inside.append(squares <= found.region(targets))
    # 500 targets, two to a fit: counting leaves 1.3 %
    assert 0.91 <= np.mean(inside) <= 0.985


@pytest.mark.parametrize("shear", [0.002, 0.02, None])
def test_shears_along_z_are_known_by_themselves(shear):
    rng = np.random.default_rng(8)
    beads = np.column_stack([np.zeros(6), rng.uniform(-8, 8, (6, 2))])
    prior = Calibration(axial_sd=0.03, tilt_sd=2.0, axial_shear_sd=shear)
    spread = fit(beads, beads, "affine", fixed_sigma=1e-4, prior=prior).predict_error([[4.0, 0, 0]])
    # beads on a plane hold it level: what is higher goes sideways by the shear, if the tilt agrees
    told = 1 / (shear or 0.015) ** 2 + 1 / np.tan(np.deg2rad(2.0)) ** 2
    assert np.sqrt(spread[0, 1, 1]) == pytest.approx(4 / np.sqrt(told), rel=0.02)
    assert np.sqrt(spread[0, 0, 0]) == pytest.approx(4 * 0.03, rel=0.02)


def test_a_calibration_without_spread_is_refused():
    with pytest.raises(PointsError, match="above 0"):
        Calibration(axial_shear_sd=0.0)


def test_plenty_of_landmarks_overrule_the_prior():
    rng = np.random.default_rng(1)
    moving = rng.uniform(-20, 20, (60, 2))
    sheared = Affine.from_parts([[1.1, 0.2], [0.0, 0.9]], [3.0, 4.0])
    found = fit(moving, sheared(moving), "affine", fixed_sigma=1e-4, prior=Calibration())
    np.testing.assert_allclose(found.affine[:2], sheared.matrix[:2], atol=1e-3)


def test_on_a_plane_the_rest_stays_as_uncertain_as_the_calibration():
    rng = np.random.default_rng(2)
    beads = np.column_stack([np.zeros(12), rng.uniform(-8, 8, (12, 2))])
    found = fit(beads, beads[:, 1:], "affine", fixed_sigma=0.01, prior=PRIOR)
    above = found.predict_error([[3.0, 0.0, 0.0]])[0]
    expected = 3.0 * np.tan(np.deg2rad(2.5))
    assert np.sqrt(above[0, 0]) == pytest.approx(expected, rel=0.25)
    on_plane = found.predict_error([[0.0, 0.0, 0.0]])[0]
    assert np.sqrt(on_plane[0, 0]) < 0.01
    with pytest.raises(DegenerateError):
        fit(beads, beads[:, 1:], "affine", fixed_sigma=0.01)


def test_leave_one_out_keeps_the_prior():
    moving = np.array([[0.0, 0.0], [10.0, 0.0], [0.0, 10.0]])
    found = fit(moving, moving, "affine", fixed_sigma=0.1, prior=Calibration())
    assert np.isfinite(found.leave_one_out).all()


def test_a_prior_has_to_be_usable():
    points = np.random.default_rng(3).normal(size=(5, 2))
    with pytest.raises(PointsError, match="sigma"):
        fit(points, points, "affine", prior=Calibration())
    with pytest.raises(PointsError, match="goes with"):
        fit(points, points, "rigid", fixed_sigma=0.1, prior=Calibration())
    with pytest.raises(PointsError, match="above 0"):
        Calibration(shear_sd=0.0)
    with pytest.raises(PointsError, match="1 more"):
        fit(points[:1], points[:1], "affine", fixed_sigma=0.1, prior=Calibration())


def test_landmarks_near_a_line_may_be_turned_over_it():
    """Four picks of a lamella on a plane of known height: which side is up, nothing tells."""
    prior = Calibration(scale_sd=0.02, shear_sd=0.002, axial_sd=0.02, axial_shear_sd=0.02)
    spread = np.tile([0.15, 0.035, 0.035], (4, 1))
    alone, counted = [], []
    for seed in range(100):
        rng = np.random.default_rng(seed)
        truth = Affine.from_parts(Rotation.random(rng=rng).as_matrix(), rng.uniform(-20, 20, 3))
        heights = spread[:, 0] * rng.normal(size=4)
        plane = np.column_stack([heights, np.linspace(-4, 4, 4), 0.25 * rng.normal(size=4)])
        moving = truth.inverse(plane) + 0.03 * rng.normal(size=(4, 3))
        fixed = plane + spread * rng.normal(size=(4, 3))
        fixed[:, 0] = 0.0
        found = fit(moving, fixed, "affine", 0.03, spread, prior=prior)
        if not found.alternatives:
            assert found.undecided is found
            continue
        assert any("nearly on a line" in note for note in found.notes)
        target = truth.inverse([[0.0, 1.0, 4.0]])
        miss = (found.transform(target)[0] - (0.0, 1.0, 4.0))[1:]
        for one, inside in ((found, alone), (found.undecided, counted)):
            covariance = one.predict_error(target)[0, 1:, 1:]
            inside.append(miss @ np.linalg.inv(covariance) @ miss <= 5.991)
    assert 5 < len(alone) < 50
    assert np.mean(alone) < 0.9 < np.mean(counted)


def test_a_plane_well_spread_has_one_way_up():
    prior = Calibration(scale_sd=0.02, shear_sd=0.002, axial_sd=0.02, axial_shear_sd=0.02)
    rng = np.random.default_rng(3)
    truth = Affine.from_parts(Rotation.random(rng=rng).as_matrix(), [1.0, 2.0, 3.0])
    plane = np.column_stack([np.zeros(6), rng.uniform(-5, 5, (6, 2))])
    fixed = plane + np.array([0.0, 0.03, 0.03]) * rng.normal(size=(6, 3))
    sigma = np.tile([0.15, 0.03, 0.03], (6, 1))
    assert not fit(truth.inverse(plane), fixed, "affine", 0.03, sigma, prior=prior).alternatives
