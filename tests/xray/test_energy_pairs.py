"""Alignment of two energies, and the difference between them."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from napari_clxem.errors import Cancelled, ImageError
from napari_clxem.xray import align_pair, difference, fit_scale, same_tilts
from napari_clxem.xray.pairing import enlarge

ENERGIES = (700.0, 709.0)
RATIO = 709 / 700
EDGE = 40


def scene(rng, size=224):
    """Give optical density below and above the edge, with some iron."""
    texture = gaussian_filter(rng.normal(size=(size + 2 * EDGE,) * 2), 3)
    matter = np.clip(0.8 + 0.3 * texture / texture.std(), 0, None)
    iron = np.zeros_like(matter)
    for y, x in rng.integers(60, size, (10, 2)):
        iron[y : y + 6, x : x + 6] += 1.0
    iron = gaussian_filter(iron, 1)
    return matter + 0.1 * iron, 0.969 * matter + iron


def photographed(rng, density, photons=400):
    inner = np.exp(-density[EDGE:-EDGE, EDGE:-EDGE])
    return rng.poisson(inner * photons) / photons


def taken(rng, shift):
    """Give a pair as a microscope takes it: the upper image smaller, and shifted."""
    low, high = scene(rng)
    smaller = enlarge(high, 1 / RATIO, -np.asarray(shift) / RATIO)
    return photographed(rng, low), photographed(rng, smaller)


@pytest.fixture(scope="module")
def pair():
    rng = np.random.default_rng(0)
    shifts = np.array([(3.3, -6.7), (-7.45, 0.5)])
    low, high = zip(*[taken(rng, shift) for shift in shifts], strict=True)
    return np.array(low), np.array(high), shifts


def test_a_pair_is_aligned_to_a_tenth_of_a_pixel(pair):
    low, high, shifts = pair
    seen = []
    found = align_pair(low, high, ENERGIES, progress=lambda share, text: seen.append(share))
    assert found.magnification == pytest.approx(RATIO)
    assert found.shifts == pytest.approx(shifts, abs=0.1)
    assert (found.residuals < 0.25).all()
    assert found.data.shape == low.shape
    assert seen == [0.5, 1.0]
    corner = np.s_[:, :60, :60]
    apart = np.corrcoef(low[corner].ravel(), high[corner].ravel())[0, 1]
    assert np.corrcoef(low[corner].ravel(), found.data[corner].ravel())[0, 1] > apart + 0.1


def test_one_image_alone_is_aligned_alike(pair):
    low, high, shifts = pair
    found = align_pair(low[0], high[0], ENERGIES)
    assert found.data.ndim == 2
    assert found.shifts[0] == pytest.approx(shifts[0], abs=0.1)


def test_swapped_energies_are_refused_by_number_and_by_picture(pair):
    low, high, _ = pair
    with pytest.raises(ImageError, match="energies are swapped"):
        align_pair(low, high, ENERGIES[::-1])
    with pytest.raises(ImageError, match="look swapped"):
        align_pair(high[:1], low[:1], ENERGIES)


def test_a_pair_beyond_the_search_or_of_other_places_is_refused(pair):
    low, high, _ = pair
    with pytest.raises(ImageError, match="beyond the search of 4"):
        align_pair(low[0], np.roll(high[0], 25, axis=0), ENERGIES, search=4)
    other = photographed(np.random.default_rng(9), scene(np.random.default_rng(8))[1])
    with pytest.raises(ImageError, match="nothing in common"):
        align_pair(low[0], other, ENERGIES)


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"high": np.ones((2, 9, 9))}, "shapes"),
        ({"energies": (700.0, 1400.0)}, "too far apart"),
        ({"energies": (-1.0, 709.0)}, "not usable"),
        ({"tilts": ([0.0, 2.0], [0.0, 4.0])}, "image 1 is at 2 degrees in one and 4"),
        ({"tilts": ([0.0, 2.0], [0.0])}, "2 images but 1 tilts"),
    ],
)
def test_bad_pairs_are_refused_in_one_sentence(pair, change, what):
    low, high, _ = pair
    given = {"low": low, "high": high, "energies": ENERGIES, **change}
    with pytest.raises(ImageError, match=what):
        align_pair(**given)


def test_an_alignment_can_be_stopped(pair):
    low, high, _ = pair
    with pytest.raises(Cancelled):
        align_pair(low, high, ENERGIES, cancelled=lambda: True)


def test_tilt_lists_of_different_length_or_angle_are_refused():
    assert same_tilts([0.0, 2.0], [0.02, 2.0]) == pytest.approx([0.01, 2.0])
    with pytest.raises(ImageError, match="hold 2 and 3"):
        same_tilts([0.0, 2.0], [0.0, 2.0, 4.0])


def test_the_scale_is_found_beside_iron_and_noise():
    rng = np.random.default_rng(1)
    low, high = scene(rng)
    noisy = [a + 0.05 * rng.normal(size=a.shape) for a in (low, high)]
    scale, sd = fit_scale(*noisy)
    assert scale == pytest.approx(0.969, abs=0.003)
    assert 0 < sd < 0.002
    free = high - 0.969 * low < 0.05
    assert fit_scale(*noisy, free)[0] == pytest.approx(0.969, abs=0.002)


def test_the_difference_refuses_other_shapes_and_too_little_matter():
    assert difference(np.ones((2, 3)), 3 * np.ones((2, 3)), 0.5).tolist() == [[2.5] * 3] * 2
    with pytest.raises(ImageError, match="one shape"):
        difference(np.ones((2, 3)), np.ones((3, 3)))
    with pytest.raises(ImageError, match="Too little absorbs"):
        fit_scale(np.zeros((20, 20)), np.zeros((20, 20)))
