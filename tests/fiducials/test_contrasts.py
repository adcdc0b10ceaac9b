"""Links between unlike contrasts: found without beads, honest, and refused for strangers."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from napari_clxem.errors import NoMatch, PointsError
from napari_clxem.fiducials import relate, relate_section
from napari_clxem.frames import Affine, UncertainAffine

VOLUME, STACK = (0.1, 0.1, 0.1), (0.3, 0.15, 0.15)


def organelles(seed, count=160, size=(40, 110, 110)):
    """Round things of 0.3 to 0.9 µm in a volume of 0.1 µm voxels, in two kinds."""
    rng = np.random.default_rng(seed)
    kinds = np.zeros((2, *size))
    ball = (np.indices((11, 11, 11)) - 5) * 0.1
    away = np.sqrt((ball**2).sum(axis=0))
    for k in range(count):
        low = (rng.uniform(0, np.array(size) - 11)).astype(int)
        part = tuple(slice(a, a + 11) for a in low)
        kinds[k % 2][part] = np.maximum(kinds[k % 2][part], away < rng.uniform(0.15, 0.45))
    return kinds


def pair(seed, noise=0.5):
    """A tomogram where one kind absorbs more and one less, a stack that dyes both, the true map."""
    rng = np.random.default_rng(seed + 1000)
    kinds = organelles(seed)
    volume = ndimage.gaussian_filter(kinds[0] - 0.6 * kinds[1], 0.4)
    volume = volume + noise * rng.normal(size=volume.shape)
    true = Affine.from_parts(
        np.diag([1.0, *Affine.planar(0.0, 1.003).linear.diagonal()]), [-0.4, 1.1, 0.7]
    )
    places = np.indices((16, 64, 64)).reshape(3, -1).T * STACK
    indices = true.transform(places).T / np.array(VOLUME)[:, None]
    seen = [
        ndimage.map_coordinates(ndimage.gaussian_filter(kind, (4, 1.5, 1.5)), indices, order=1)
        for kind in kinds
    ]
    stack = np.array([200 * s.reshape(16, 64, 64) + 20 for s in seen])
    return volume, rng.poisson(stack), true


def declared(true, rng, sd=0.4):
    middle = np.array([2.4, 4.8, 4.8])
    wrong = Affine.from_parts(np.eye(3), rng.normal(0, sd, 3))
    return UncertainAffine.declared((wrong @ true).matrix, middle, sd, angle_sd=0.1)


def test_a_stack_is_found_in_a_tomogram_and_its_error_is_honest():
    probe = np.array([[2.4, 4.8, 4.8]])
    squares = []
    for seed in range(5):
        volume, stack, true = pair(seed)
        found = relate(stack, STACK, volume, VOLUME, declared(true, np.random.default_rng(seed)))
        miss = (found.transform.transform(probe) - true.transform(probe))[0]
        assert np.linalg.norm(miss[1:]) < 0.12
        assert abs(miss[0]) < 0.4
        spread = found.transform.predict_error(probe)[0]
        squares.append(miss[1:] @ np.linalg.solve(spread[1:, 1:], miss[1:]))
        assert found.score > 2 * found.rival
    assert 0.1 < np.mean(squares) < 6.0  # chi-squared with two degrees of freedom


def test_one_channel_suffices_whatever_its_sign():
    volume, stack, true = pair(10)
    start = declared(true, np.random.default_rng(10))
    found = relate(stack[1], STACK, volume, VOLUME, start)
    probe = np.array([[2.4, 4.8, 4.8]])
    miss = (found.transform.transform(probe) - true.transform(probe))[0]
    assert np.linalg.norm(miss[1:]) < 0.15


def test_a_stranger_is_refused():
    for seed in range(2):
        volume, _, true = pair(seed)
        _, stack, _ = pair(seed + 20)
        start = declared(true, np.random.default_rng(seed))
        with pytest.raises(NoMatch):
            relate(stack, STACK, volume, VOLUME, start)


def test_missing_pixels_take_no_part():
    volume, stack, true = pair(11)
    volume[:, :15] = np.nan
    stack = stack.astype(float)
    stack[:, :, :, 57:] = np.nan
    found = relate(stack, STACK, volume, VOLUME, declared(true, np.random.default_rng(11)))
    probe = np.array([[2.4, 5.8, 3.8]])
    miss = (found.transform.transform(probe) - true.transform(probe))[0]
    assert np.linalg.norm(miss[1:]) < 0.15


def test_frames_that_do_not_meet_are_refused():
    volume, stack, _ = pair(12)
    far = Affine.from_parts(np.eye(3), [0, 500, 0]).matrix
    start = UncertainAffine.declared(far, (2.4, 4.8, 4.8), 0.4)
    with pytest.raises(NoMatch, match="overlap"):
        relate(stack, STACK, volume, VOLUME, start)


def lamella(seed, depth=2.5, thickness=0.3):
    """A tomogram, the map of a slab of it in electrons, and the true map between them."""
    rng = np.random.default_rng(seed + 2000)
    kinds = organelles(seed, 240)
    volume = ndimage.gaussian_filter(kinds[0] + 0.5 * kinds[1], 0.4)
    true = Affine.from_parts(np.eye(3), [-depth, -1.0, -1.5])
    y, x = np.indices((160, 150)) * 0.05
    image = np.zeros(y.shape)
    for z in np.linspace(-thickness / 2, thickness / 2, 7):
        places = np.stack([np.full(y.shape, z + depth), y + 1.0, x + 1.5]) / 0.1
        image += ndimage.map_coordinates(volume, places, order=1) / 7
    image = 100 * np.exp(-image) + 4 * rng.normal(size=image.shape)
    image[:12] = np.nan
    return volume + 0.2 * rng.normal(size=volume.shape), image, true


def test_a_lamella_is_found_in_its_tomogram_with_its_depth():
    for seed in range(3):
        volume, image, true = lamella(seed)
        rng = np.random.default_rng(seed)
        wrong = Affine.from_parts(np.eye(3), rng.normal(0, 0.3, 3))
        start = UncertainAffine.declared((wrong @ true).matrix, (2.5, 5.0, 5.0), 0.3)
        found = relate_section(volume, VOLUME, image, (0.05, 0.05), start)
        probe = np.array([[2.5, 5.0, 5.0]])
        miss = (found.transform.transform(probe) - true.transform(probe))[0]
        assert np.linalg.norm(miss[1:]) < 0.06
        assert abs(miss[0]) < 0.15


def test_a_strange_lamella_is_refused():
    volume, _, true = lamella(5)
    _, image, _ = lamella(6)
    start = UncertainAffine.declared(true.matrix, (2.5, 5.0, 5.0), 0.3)
    with pytest.raises(NoMatch):
        relate_section(volume, VOLUME, image, (0.05, 0.05), start)


@pytest.mark.parametrize(
    ("stack", "volume", "says"),
    [
        (np.ones((5, 5)), np.ones((20, 40, 40)), "stack"),
        (np.ones((10, 40, 40)), np.ones((40, 40)), "volume"),
        (np.ones((10, 8, 8)), np.ones((20, 40, 40)), "16 x 16"),
    ],
)
def test_images_that_cannot_be_compared_are_refused(stack, volume, says):
    start = UncertainAffine.exact(np.eye(4))
    with pytest.raises(PointsError, match=says):
        relate(stack, STACK, volume, VOLUME, start)


def test_a_planar_start_is_refused():
    with pytest.raises(PointsError, match="3 axes"):
        relate(
            np.ones((10, 40, 40)),
            STACK,
            np.ones((20, 40, 40)),
            VOLUME,
            UncertainAffine.exact(np.eye(3)),
        )
