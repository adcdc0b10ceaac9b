"""Where the next landmark helps: the predicted gain is the one realised; error maps."""

from __future__ import annotations

import time

import numpy as np
import pytest

from napari_clxem.errors import PointsError
from napari_clxem.frames import (
    Affine,
    FrameGraph,
    UncertainAffine,
    error_map,
    fit,
    next_landmark,
)


@pytest.mark.parametrize(
    ("model", "ndim", "given_sigmas"),
    [("similarity", 2, True), ("affine", 3, True), ("rigid", 3, True), ("affine", 2, False)],
)
def test_the_predicted_gain_is_the_one_realised(model, ndim, given_sigmas):
    """Fixed places, 400 draws of noise: the true error before and after, candidate by candidate."""
    rng = np.random.default_rng(1)
    moving = rng.uniform(-10, 10, (2 * ndim + 2, ndim))
    candidates = rng.uniform(-20, 20, (4, ndim))
    targets = np.array([[12.0] * ndim, [8.0] * ndim])
    turn = Affine.planar(20, 1.0).linear
    linear = np.eye(ndim)
    linear[-2:, -2:] = turn
    predicted, true = [], []
    for _ in range(400):
        fixed = moving @ linear.T + 0.05 * rng.normal(size=moving.shape)
        more = candidates @ linear.T + 0.05 * rng.normal(size=candidates.shape)
        sigma = 0.05 if given_sigmas else None
        found = fit(moving, fixed, model, fixed_sigma=sigma)
        hint = next_landmark(found, candidates, targets)
        predicted.append([hint.before**2, *hint.after**2])
        fits = [found] + [
            fit(np.vstack([moving, place]), np.vstack([fixed, seen]), model, fixed_sigma=sigma)
            for place, seen in zip(candidates, more, strict=True)
        ]
        misses = [each.transform(targets) - targets @ linear.T for each in fits]
        true.append([(miss**2).sum(axis=1).mean() for miss in misses])
    np.testing.assert_allclose(
        np.sqrt(np.mean(predicted, axis=0)), np.sqrt(np.mean(true, axis=0)), rtol=0.12
    )


def test_a_spline_gains_most_where_it_knows_least():
    rng = np.random.default_rng(2)
    moving = rng.uniform(-20, 20, (30, 2))
    moving = moving[np.linalg.norm(moving - [12.0, 12.0], axis=1) > 9]
    found = fit(moving, moving + 0.4 * np.sin(moving / 6), "tps", fixed_sigma=0.02)
    candidates = np.array([[12.0, 12.0], [-12.0, -12.0], [12.0, -12.0]])
    hint = next_landmark(found, candidates, [[12.0, 12.0]])
    assert hint.best == 0
    assert hint.after[0] < 0.2 * hint.before
    assert (hint.gain >= 0).all()


def test_expected_sigmas_of_a_candidate_count():
    moving = np.random.default_rng(3).uniform(-10, 10, (6, 2))
    found = fit(moving, moving, "affine", fixed_sigma=0.1)
    places = [[15.0, 15.0], [15.0, 15.0]]
    hint = next_landmark(found, places, [[14.0, 14.0]], fixed_sigma=[[0.01, 0.01], [1.0, 1.0]])
    assert hint.after[0] < 0.5 * hint.after[1] < 0.5 * hint.before


def test_what_cannot_be_predicted_is_said():
    moving = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    with pytest.raises(PointsError, match="no predicted error"):
        next_landmark(fit(moving, moving), moving, moving)
    known = fit(moving, moving, fixed_sigma=0.1)
    with pytest.raises(PointsError, match="no candidate"):
        next_landmark(known, np.zeros((0, 2)), moving)


@pytest.mark.parametrize("ndim", [2, 3])
def test_the_map_is_the_predicted_error_pixel_by_pixel(ndim):
    rng = np.random.default_rng(4)
    moving = rng.uniform(-10, 10, (9, ndim))
    found = fit(moving, moving, "affine", fixed_sigma=0.1)
    image = error_map(found, (-30.0, 5.0), (7, 11), (2.0, 1.5), height=3.0)
    y, x = 4, 9
    place = [3.0, -30.0 + 2.0 * y, 5.0 + 1.5 * x][-ndim:]
    expected = np.sqrt(np.trace(found.predict_error([place])[0, -2:, -2:]))
    assert image[y, x] == pytest.approx(expected, rel=1e-9)
    assert image.shape == (7, 11)
    assert error_map(found, (0.0, 0.0), (1, 1), 1.0).shape == (1, 1)


def test_routes_and_splines_have_maps_too():
    rng = np.random.default_rng(5)
    moving = rng.uniform(-20, 20, (20, 2))
    warp = fit(moving, moving + 0.3 * np.sin(moving / 6), "tps", fixed_sigma=0.02)
    shift = UncertainAffine.declared(np.eye(3), (0.0, 0.0), 0.1, angle_sd=0.5)
    graph = FrameGraph()
    graph.add_link("a", "b", shift)
    graph.add_link("b", "c", warp)
    for source in (warp, graph.transform("a", "b"), graph.transform("a", "c")):
        image = error_map(source, (-10.0, -5.0), (5, 4), 3.0)
        expected = source.predict_error([[-10.0 + 6.0, -5.0 + 9.0]])[0]
        assert image[2, 3] == pytest.approx(np.sqrt(np.trace(expected)), rel=1e-9)


def test_a_map_of_256_pixels_is_quick():
    moving = np.random.default_rng(6).uniform(-10, 10, (20, 3))
    found = fit(moving, moving, "affine", fixed_sigma=0.1)
    error_map(found, (0.0, 0.0), (256, 256), 0.1)
    times = []
    for _ in range(5):
        start = time.perf_counter()
        error_map(found, (0.0, 0.0), (256, 256), 0.1)
        times.append(time.perf_counter() - start)
    assert min(times) < 0.05  # some 1 ms on a quiet machine


def test_a_grid_that_is_none_is_refused():
    found = UncertainAffine.exact(np.eye(3))
    with pytest.raises(PointsError, match="finite origin"):
        error_map(found, (0.0, np.nan), (4, 4), 1.0)
    with pytest.raises(PointsError, match="empty"):
        error_map(found, (0.0, 0.0), (4, 0), 1.0)
