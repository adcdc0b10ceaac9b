"""Resolution by shells: pairs of known resolution, identical halves, noise, masks, bad input."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_clxem.errors import Cancelled, ClxemWarning, ImageError, MissingScaleError
from napari_clxem.xray import fsc, local_resolution, round_mask, soft_mask, split

PIXEL = 0.0144


def frequencies(shape, spacing):
    axes = np.meshgrid(*[np.fft.fftfreq(n, spacing) for n in shape], indexing="ij")
    return np.sqrt(sum(a**2 for a in axes))


def pair(rng, shape, cut, threshold=0.25, hard=False):
    """Make two halves whose true curve crosses `threshold` at frequency `cut`."""
    k = frequencies(shape, PIXEL)
    if hard:
        ratio = np.where(k < cut, 20.0, 0.0)
    else:
        ratio = 100 * np.exp(-np.log(100 * (1 - threshold) / threshold) * (k / cut) ** 2)
    signal = np.fft.ifftn(np.fft.fftn(rng.normal(size=shape)) * np.sqrt(ratio)).real
    return signal + rng.normal(size=shape), signal + rng.normal(size=shape)


@pytest.mark.parametrize("shape", [(256, 256), (80, 80, 80), (40, 96, 112)])
@pytest.mark.parametrize("cut", [8.0, 16.0, 25.0])
@pytest.mark.parametrize("hard", [False, True])
def test_a_known_resolution_is_found_within_five_percent(shape, cut, hard):
    rng = np.random.default_rng(int(cut))
    curve = fsc(*pair(rng, shape, cut, hard=hard), PIXEL)
    assert curve.resolution(0.25) == pytest.approx(1 / cut, rel=0.05)
    assert curve.half_pitch(0.25) == pytest.approx(0.5 / cut, rel=0.05)
    assert "nm full period" in curve.describe()


@pytest.mark.parametrize("threshold", [0.5, 0.25, 0.143])
def test_each_threshold_is_crossed_where_it_should_be(threshold):
    rng = np.random.default_rng(5)
    curve = fsc(*pair(rng, (72, 72, 72), 14.0, threshold), PIXEL)
    assert curve.resolution(threshold) == pytest.approx(1 / 14.0, rel=0.05)


def test_the_half_bit_curve_is_that_of_van_heel_and_schatz():
    rng = np.random.default_rng(1)
    curve = fsc(*pair(rng, (64, 64, 64), 14.0), PIXEL)
    level = curve.threshold_curve("half-bit")
    assert level[-1] == pytest.approx(0.2071 / 1.2071, abs=0.02)
    assert level[3] > level[10] > level[30]
    assert curve.resolution(0.5) > curve.resolution("half-bit") > curve.resolution(0.143)


def test_the_interval_holds_the_truth_about_as_often_as_it_says():
    rng = np.random.default_rng(11)
    inside = 0
    for _ in range(40):
        low, high = fsc(*pair(rng, (128, 128), 12.0), PIXEL).interval(0.25)
        assert low < high
        inside += low <= 1 / 12.0 <= high
    assert inside >= 33


def test_identical_halves_are_warned_of_and_give_no_resolution():
    image = np.random.default_rng(0).normal(size=(48, 48, 48))
    with pytest.warns(ClxemWarning, match="same image"):
        curve = fsc(image, image, PIXEL)
    assert np.isnan(curve.resolution(0.143))
    assert np.isnan(curve.resolution("half-bit"))
    assert "same image" in curve.describe()
    with pytest.warns(ClxemWarning):
        fsc(image, 3 * image, PIXEL)


@pytest.mark.parametrize("shape", [(128, 128), (40, 40, 40)])
def test_noise_has_no_resolution(shape):
    rng = np.random.default_rng(2)
    for _ in range(25):
        curve = fsc(rng.normal(size=shape), rng.normal(size=shape), PIXEL)
        assert np.isnan(curve.resolution(0.25))
        assert np.isnan(curve.resolution(0.143))
    assert np.isnan(curve.interval()).all()
    assert "more than noise" in curve.describe()


def test_phase_randomised_halves_have_no_resolution():
    rng = np.random.default_rng(3)
    one, two = pair(rng, (96, 96), 12.0)
    turned = [
        np.fft.ifft2(
            np.abs(np.fft.fft2(half))
            * np.exp(1j * np.angle(np.fft.fft2(rng.normal(size=(96, 96)))))
        ).real
        for half in (one, two)
    ]
    assert np.isnan(fsc(*turned, PIXEL).resolution(0.25))


def test_the_curve_is_the_plain_formula():
    rng = np.random.default_rng(4)
    one, two = pair(rng, (33, 34, 35), 15.0)
    a, b = np.fft.fftn(one), np.fft.fftn(two)
    axes = np.meshgrid(*[np.fft.fftfreq(n, 1 / n) for n in one.shape], indexing="ij")
    # a shell is one Fourier pixel of the longest side wide
    radius = np.sqrt(sum((k / n * 35) ** 2 for k, n in zip(axes, one.shape, strict=True)))
    shell = (radius + 0.5).astype(int)
    curve = fsc(one, two, PIXEL)
    for index in (5, 9, 14):
        inside = shell == index
        expected = (a[inside] * b[inside].conj()).sum().real / np.sqrt(
            (np.abs(a[inside]) ** 2).sum() * (np.abs(b[inside]) ** 2).sum()
        )
        assert curve.correlation[index] == pytest.approx(expected, abs=1e-6)
        assert curve.samples[index] == inside.sum()
        assert curve.frequency[index] == pytest.approx(index / (35 * PIXEL))


def test_single_precision_agrees_with_double():
    rng = np.random.default_rng(6)
    one, two = pair(rng, (168, 160, 160), 14.0)
    whole = fsc(one, two, PIXEL)
    part = np.fft.rfftn(one)  # double
    assert part.dtype == complex
    small = fsc(one[:128], two[:128], PIXEL)
    assert whole.resolution(0.25) == pytest.approx(small.resolution(0.25), rel=0.02)
    two[3, 4, 5] = np.nan
    with pytest.raises(ImageError, match="second half holds NaN"):
        fsc(one, two, PIXEL)


def test_anisotropic_pixels_count_each_in_its_own_measure():
    rng = np.random.default_rng(7)
    one, two = pair(rng, (96, 96, 96), 10.0)
    curve = fsc(one[::2], two[::2], (2 * PIXEL, PIXEL, PIXEL))
    assert curve.nyquist == pytest.approx(0.25 / PIXEL)
    assert curve.frequency.max() <= curve.nyquist * (1 + 1e-9)


def test_a_soft_mask_lowers_samples_and_keeps_the_resolution():
    rng = np.random.default_rng(8)
    shape = (80, 80, 80)
    mask = round_mask(shape, PIXEL)
    halves = pair(rng, shape, 14.0)
    masked, whole = fsc(*halves, PIXEL, mask), fsc(*halves, PIXEL)
    assert masked.samples[20] < 0.5 * whole.samples[20]
    assert masked.resolution(0.25) == pytest.approx(1 / 14.0, rel=0.06)


def test_masked_noise_on_a_pedestal_has_no_resolution():
    rng = np.random.default_rng(9)
    mask = round_mask((64, 64, 64), PIXEL)
    halves = [100 + rng.normal(size=(64, 64, 64)) for _ in range(2)]
    assert np.isnan(fsc(*halves, PIXEL, mask).resolution(0.25))


def test_masks_fall_softly_outside():
    hard = np.zeros((40, 40), bool)
    hard[15:25, 15:25] = True
    soft = soft_mask(hard, 0.5, 4.0)
    assert (soft[hard] == 1).all()
    assert soft[15, 5] == 0
    assert 0 < soft[15, 11] < soft[15, 13] < 1
    disc = round_mask((50, 60), 0.1, diameter=2.0, edge=0.5)
    assert disc[25, 30] == 1
    assert disc[0, 0] == 0
    with pytest.raises(ImageError, match="empty"):
        soft_mask(np.zeros((5, 5)), 1.0, 1.0)


def test_a_tilt_series_is_split_by_angle():
    tilts = np.array([0.0, 2, -2, 4, -4, 6, -6, 8])
    series = np.arange(8)[:, None, None] * np.ones((8, 3, 3))
    (even, even_tilts), (odd, odd_tilts) = split(series, tilts)
    assert even_tilts.tolist() == [-6, -2, 2, 6]
    assert odd_tilts.tolist() == [-4, 0, 4, 8]
    assert even[:, 0, 0].tolist() == [6, 2, 1, 5]
    assert len(odd) == 4
    with pytest.raises(ImageError, match="at least 4"):
        split(series[:3], tilts[:3])
    with pytest.raises(ImageError, match="one tilt per image"):
        split(series, tilts[:5])


def test_a_local_map_tells_a_sharp_half_from_a_blurred_one():
    rng = np.random.default_rng(10)
    sharp = pair(rng, (128, 128), 22.0)
    blurred = pair(rng, (128, 128), 12.0)
    halves = [np.where(np.arange(128) < 64, s, b) for s, b in zip(sharp, blurred, strict=True)]
    seen = []
    found, origin = local_resolution(
        *halves, PIXEL, window=64, step=32, progress=lambda share, text: seen.append(share)
    )
    assert found.shape == (3, 3)
    assert origin == pytest.approx([31.5 * PIXEL] * 2)
    assert np.nanmedian(found[:, 0]) < 0.7 * np.nanmedian(found[:, 2])
    assert seen[-1] == 1.0
    with pytest.raises(Cancelled):
        local_resolution(*halves, PIXEL, cancelled=lambda: True)


@given(scale=st.floats(0.01, 100), offset=st.floats(-10, 10), pixel=st.floats(1e-3, 10))
@settings(max_examples=20, deadline=None)
def test_scale_and_offset_do_not_matter_and_pixels_scale(scale, offset, pixel):
    rng = np.random.default_rng(12)
    one, two = pair(rng, (64, 64), 15.0)
    plain, changed = fsc(one, two, PIXEL), fsc(scale * one + offset, two, pixel)
    assert changed.correlation[5:] == pytest.approx(plain.correlation[5:], abs=1e-6)
    assert changed.resolution() / pixel == pytest.approx(plain.resolution() / PIXEL, rel=1e-6)


def test_bad_halves_are_refused_in_one_sentence():
    rng = np.random.default_rng(13)
    image = rng.normal(size=(32, 32))
    holed = image.copy()
    holed[3, 4] = np.nan
    for halves, what in (
        ((image, image[:30]), "differ in shape"),
        ((image[0], image[0]), "2D or 3D"),
        ((image, holed), "second half holds NaN"),
        ((np.ones((32, 32)), np.ones((32, 32))), "constant"),
    ):
        with pytest.raises(ImageError, match=what):
            fsc(*halves, PIXEL)
    with pytest.raises(MissingScaleError, match="not usable"):
        fsc(image, image.T, 0.0)
    with pytest.raises(MissingScaleError, match="does not fit"):
        fsc(image, image.T, (1.0, 1.0, 1.0))
    with pytest.raises(ImageError, match="mask has shape"):
        fsc(image, image.T, 1.0, np.ones((3, 3)))
    with pytest.raises(ImageError, match="mask is empty"):
        fsc(image, image.T, 1.0, np.zeros((32, 32)))
    with pytest.raises(ImageError, match="not between 0 and 1"):
        fsc(image, image.T, 1.0).resolution(1.5)
    with pytest.raises(ImageError, match="unknown"):
        fsc(image, image.T, 1.0).resolution("one-bit")
