"""The lattice of a film's holes: found to a fraction of a pixel, refused where there is none."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter

from napari_clxem.errors import NoMatch, PointsError
from napari_clxem.fiducials import find_lattice, link_lattices
from napari_clxem.frames import Affine, UncertainAffine

PIXEL = 0.15


def film(pitch, angle, origin, side=260, pixel=PIXEL, share=0.3):
    """Bright round holes on a square lattice, and the lattice's basis."""
    turn = np.deg2rad(angle)
    basis = pitch * np.array([[np.sin(turn), np.cos(turn)], [np.cos(turn), -np.sin(turn)]])
    places = np.moveaxis(np.indices((side, side)) * pixel, 0, -1) - origin
    steps = places @ np.linalg.inv(basis)
    away = np.linalg.norm((steps - np.round(steps)) @ basis, axis=-1)
    return 1 / (1 + np.exp((away - share * pitch) / 0.1)), basis


def miss_of(found, origin, basis):
    steps = (found - origin) @ np.linalg.inv(basis)
    return (steps - np.round(steps)) @ basis


@settings(max_examples=15, deadline=None)
@given(
    st.floats(2.4, 4.5),
    st.floats(-44, 44),
    st.tuples(st.floats(0, 3), st.floats(0, 3)),
    st.integers(0, 100),
)
def test_pitch_angle_and_nodes_are_found(pitch, angle, origin, seed):
    rng = np.random.default_rng(seed)
    image, basis = film(pitch, angle, origin)
    cells = gaussian_filter(rng.normal(size=image.shape), 20) * 40
    image = image * (1 - 0.5 * (cells > 0.5)) + 0.4 * rng.normal(size=image.shape)
    found = find_lattice(image, (PIXEL, PIXEL), (2.0, 6.0))
    assert found.pitch == pytest.approx(pitch, abs=0.01)
    assert abs((found.angle - angle + 45) % 90 - 45) < 0.2
    assert np.abs(miss_of(found.origin, origin, basis)).max() < 0.05
    assert 0.0005 < found.sigma < 0.05


def test_dark_holes_and_missing_pixels():
    image, basis = film(3.0, 10.0, (1.0, 0.5))
    image[:60] = np.nan
    found = find_lattice(-image, (PIXEL, PIXEL), (2.0, 6.0), bright=False)
    assert np.abs(miss_of(found.origin, (1.0, 0.5), basis)).max() < 0.03
    nodes = found.nodes((5, 5), (20, 20))
    assert len(nodes) == pytest.approx(25, abs=4)
    assert np.abs(miss_of(nodes, (1.0, 0.5), basis)).max() < 0.08


@pytest.mark.parametrize("seed", range(4))
def test_noise_has_no_lattice(seed):
    noise = gaussian_filter(np.random.default_rng(seed).normal(size=(260, 260)), 2)
    with pytest.raises(NoMatch, match="pattern"):
        find_lattice(noise, (PIXEL, PIXEL), (2.0, 6.0))


def test_stripes_are_no_lattice():
    y = np.indices((260, 260))[0] * PIXEL
    noisy = np.cos(2 * np.pi * y / 3) + np.random.default_rng(0).normal(size=y.shape)
    with pytest.raises(NoMatch):
        find_lattice(noisy, (PIXEL, PIXEL), (2.0, 6.0))


def two_views(rng, sd):
    """Two images of one film, the true map, and what is declared of it."""
    true = Affine.planar(rng.uniform(-30, 30), 1.01, (4.0, -3.0))
    here, _ = film(3.0, 12.0, (1.0, 0.5))
    basis = film(3.0, 12.0, (1.0, 0.5), 2)[1] @ true.linear.T
    origin = true.transform([1.0, 0.5])[0]
    places = np.moveaxis(np.indices((300, 300)) * 0.2, 0, -1) - 20 - origin
    steps = places @ np.linalg.inv(basis)
    away = np.linalg.norm((steps - np.round(steps)) @ basis, axis=-1)
    there = 1 / (1 + np.exp((away - 0.9) / 0.1)) + 0.3 * rng.normal(size=away.shape)
    true = Affine.from_parts(np.eye(2), (20, 20)) @ true
    wrong = Affine.from_parts(np.eye(2), sd * rng.uniform(-1, 1, 2))
    return here, there, true, UncertainAffine.declared((wrong @ true).matrix, (20, 20), sd)


def test_two_views_of_a_film_are_linked():
    for seed in range(6):
        here, there, true, start = two_views(np.random.default_rng(seed), 0.4)
        found = link_lattices(
            find_lattice(here, (PIXEL, PIXEL), (2, 6)),
            find_lattice(there, (0.2, 0.2), (2, 6)),
            start,
        )
        probe = np.array([[15.0, 15.0], [25.0, 20.0]])
        assert np.abs(found.transform(probe) - true.transform(probe)).max() < 0.06
        assert np.sqrt(found.predict_error(probe)[0, 0, 0]) < 0.1


def test_a_start_too_vague_for_one_hole_is_refused():
    here, there, _, start = two_views(np.random.default_rng(9), 1.0)
    with pytest.raises(NoMatch, match="which is which"):
        link_lattices(
            find_lattice(here, (PIXEL, PIXEL), (2, 6)),
            find_lattice(there, (0.2, 0.2), (2, 6)),
            start,
        )


def test_lattices_of_other_pitch_are_refused():
    one = find_lattice(film(3.0, 5.0, (1, 1))[0], (PIXEL, PIXEL), (2, 6))
    other = find_lattice(film(4.2, 5.0, (1, 1))[0], (PIXEL, PIXEL), (2, 6))
    with pytest.raises(NoMatch, match="do not lie"):
        link_lattices(one, other, UncertainAffine.declared(np.eye(3), (15, 15), 0.1))


@pytest.mark.parametrize(
    ("image", "pitch"), [(np.ones((5, 5)), (2, 6)), (np.ones((100, 100)), (0.1, 6)),
                         (np.ones((100, 100)), (2, 60)), (np.full((100, 100), np.nan), (2, 6))]
)  # fmt: skip
def test_what_cannot_be_used_is_said(image, pitch):
    with pytest.raises(PointsError):
        find_lattice(image, (PIXEL, PIXEL), pitch)
