"""Links by content: found within their own predicted error, refused where there is none."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from napari_clxem.errors import NoMatch, PointsError
from napari_clxem.fiducials import align
from napari_clxem.frames import Affine, UncertainAffine

FIXED_PIXEL, MOVING_PIXEL = 0.1, 0.078


def scene(seed, size=400):
    """Blobs of several sizes, as cells have, drawn fine enough to be sampled anywhere."""
    rng = np.random.default_rng(seed)
    found = np.zeros((size, size))
    for blur, weight in ((3, 1.0), (8, 2.0), (20, 4.0)):
        found += weight * ndimage.gaussian_filter(rng.normal(size=(size, size)), blur) * blur
    return found


def pair(seed, angle=0.8, scale=1.004, noise=0.1):
    """Give a fixed image, a part of it seen turned by another detector, and the true map."""
    rng = np.random.default_rng(seed)
    image = scene(seed)
    true = Affine.planar(angle, scale, (12.3, 10.9))
    rows, columns = np.mgrid[0:170, 0:170] * MOVING_PIXEL
    places = true.transform(np.column_stack([rows.ravel(), columns.ravel()])) / FIXED_PIXEL
    moving = ndimage.map_coordinates(image, places.T, order=3).reshape(170, 170)
    spread = image.std()
    return (
        image + noise * spread * rng.normal(size=image.shape),
        moving + noise * spread * rng.normal(size=moving.shape),
        true,
    )


def declared(true, rng, sd=1.0):
    middle = np.array([6.6, 6.6])
    shift = true.transform(middle)[0] - middle + sd * rng.normal(size=2)
    return UncertainAffine.declared(Affine.planar(0, 1, shift).matrix, middle, sd)


def test_the_place_is_found_and_its_error_is_honest():
    probe = np.array([[1.0, 1.0], [6.6, 6.6], [12.0, 3.0]])
    squares = []
    for seed in range(12):
        fixed, moving, true = pair(seed, angle=np.random.default_rng(seed).uniform(-2, 2))
        start = declared(true, np.random.default_rng(seed))
        found = align(moving, (MOVING_PIXEL,) * 2, fixed, (FIXED_PIXEL,) * 2, start)
        miss = found.transform(probe) - true.transform(probe)
        assert np.linalg.norm(miss, axis=1).max() < 0.05
        spread = np.linalg.inv(found.predict_error(probe))
        squares.append(np.einsum("ni,nij,nj->n", miss, spread, miss))
    # squared errors in units of the predicted ones average to 2 in the plane
    assert 0.5 < np.mean(squares) < 4.0


def test_missing_pixels_take_no_part():
    fixed, moving, true = pair(20)
    fixed[:130] = np.nan
    moving[-30:] = np.nan
    start = declared(true, np.random.default_rng(20), sd=0.3)
    found = align(moving, (MOVING_PIXEL,) * 2, fixed, (FIXED_PIXEL,) * 2, start)
    assert np.linalg.norm(found.transform([[6.6, 6.6]]) - true.transform([[6.6, 6.6]])) < 0.05


def test_a_wrong_partner_is_refused():
    accepted = 0
    for seed in range(12):
        fixed, _, true = pair(seed)
        _, stranger, _ = pair(seed + 100)
        start = declared(true, np.random.default_rng(seed))
        try:
            align(stranger, (MOVING_PIXEL,) * 2, fixed, (FIXED_PIXEL,) * 2, start)
            accepted += 1
        except NoMatch:
            pass
    assert accepted == 0


def test_images_that_do_not_meet_are_refused():
    fixed, moving, _ = pair(30)
    far = UncertainAffine.declared(Affine.planar(0, 1, (900, 0)).matrix, (6.6, 6.6), 1.0)
    with pytest.raises(NoMatch, match="overlap"):
        align(moving, (MOVING_PIXEL,) * 2, fixed, (FIXED_PIXEL,) * 2, far)


def test_tiny_images_are_refused():
    start = UncertainAffine.exact(np.eye(3))
    with pytest.raises(PointsError, match="16 x 16"):
        align(np.ones((1, 1)), (0.1, 0.1), np.ones((50, 50)), (0.1, 0.1), start)
