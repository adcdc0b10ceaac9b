"""Normalisation and sharpening of transmission images."""

from __future__ import annotations

import numpy as np
import pytest

from napari_clxem.errors import ImageError
from napari_clxem.xray import normalise, wiener, zone_plate_mtf

RNG = np.random.default_rng
TRUTH = 0.2 + 0.7 * RNG(0).uniform(size=(4, 20, 24))
FLAT = 900 + 200 * RNG(1).uniform(size=(20, 24))


def test_transmission_is_recovered_from_counts_darks_times_and_currents():
    dark = 50 + RNG(2).uniform(size=(20, 24))
    exposure, current = np.array([1.0, 2, 2, 3]), np.array([200.0, 199, 198, 197])
    images = dark + TRUTH * FLAT * (exposure * current)[:, None, None]
    flats = dark + FLAT * np.array([0.5 * 250, 1.5 * 240])[:, None, None]
    found = normalise(
        images,
        flats,
        dark,
        exposure=exposure,
        flat_exposure=[0.5, 1.5],
        current=current,
        flat_current=[250.0, 240.0],
    )
    assert found.data == pytest.approx(TRUTH, rel=1e-5)
    assert found.optical_density == pytest.approx(-np.log(TRUTH), abs=1e-5)
    assert found.notes == ()


def test_a_single_image_and_single_numbers_will_do():
    found = normalise(TRUTH[0] * FLAT * 2, FLAT, exposure=2.0, flat_exposure=1.0)
    assert found.data.shape == (20, 24)
    assert found.data == pytest.approx(TRUTH[0], rel=1e-5)


def test_dask_series_are_read_as_they_are():
    da = pytest.importorskip("dask.array")
    found = normalise(da.from_array(TRUTH * FLAT, chunks=(1, -1, -1)), FLAT)
    assert found.data == pytest.approx(TRUTH, rel=1e-5)


def test_what_is_clipped_above_one_and_dead_is_counted_and_said():
    images, flat = TRUTH * FLAT, FLAT.copy()
    images[1, 3, 3:6] = [-5, 0, 0]
    images[2, 0, 0] = 3 * FLAT[0, 0]
    flat[10, 10] = 0
    found = normalise(images, flat)
    assert found.clipped.tolist() == [0, 3, 0, 0]
    assert found.above.tolist() == [0, 0, 1, 0]
    assert found.filled.tolist() == [1, 1, 1, 1]
    assert np.isfinite(found.optical_density).all()
    assert len(found.notes) == 3
    assert "3 pixels" in found.notes[0]
    assert "in image 1" in found.notes[0]
    assert found.data[0, 10, 10] in found.data[0, 9:12, 9:12]


@pytest.mark.parametrize(
    ("arguments", "options", "what"),
    [
        ((TRUTH * FLAT, None), {}, "no flat fields"),
        ((TRUTH * FLAT, FLAT[:5]), {}, "give flats of that size"),
        ((TRUTH * FLAT, 0 * FLAT), {}, "no signal"),
        ((TRUTH * FLAT, FLAT, np.zeros((3, 3))), {}, "give darks of that size"),
        ((TRUTH * FLAT, FLAT), {"exposure": 2.0}, "for the images but not for the flats"),
        ((TRUTH * FLAT, FLAT), {"flat_current": 2.0}, "for the flats but not for the images"),
        ((TRUTH * FLAT, FLAT), {"exposure": [1.0, 2.0], "flat_exposure": 1.0}, "4 images but 2"),
        ((TRUTH * FLAT, FLAT), {"exposure": 0.0, "flat_exposure": 1.0}, "not positive"),
        ((TRUTH * FLAT * 0, FLAT), {}, "no transmission"),
        ((TRUTH * FLAT * 10, FLAT), {}, "above 1.1"),
        ((TRUTH[0, 0], FLAT), {}, "axes"),
        ((np.full((1, 20, 24), np.nan), FLAT), {}, "no number at all"),
    ],
)
def test_bad_input_is_refused_in_one_sentence(arguments, options, what):
    with pytest.raises(ImageError, match=what):
        normalise(*arguments, **options)


def blurred(image, spacing, mtf):
    k = np.hypot(
        np.fft.fftfreq(image.shape[0], spacing)[:, None],
        np.fft.fftfreq(image.shape[1], spacing)[None],
    )
    return np.fft.ifft2(np.fft.fft2(image) * mtf(k)).real


def test_sharpening_undoes_a_blur_and_keeps_the_mean():
    mtf = zone_plate_mtf(0.04)
    image = np.ones((96, 96))
    image[30:50, 40:60] = 0.5
    image[60:64, 20:70] = 0.3
    seen = blurred(image, 0.01, mtf)
    sharp = wiener(seen, 0.01, mtf, snr=1000.0)
    assert ((sharp - image) ** 2).mean() < 0.5 * ((seen - image) ** 2).mean()
    assert sharp.mean() == pytest.approx(image.mean(), rel=1e-4)


def test_a_flat_image_stays_as_it_is_whatever_the_noise():
    for snr in (1.0, 10.0, 1e4):
        assert wiener(np.full((32, 40), 0.7), 0.01, zone_plate_mtf(0.03), snr) == pytest.approx(
            0.7, abs=1e-5
        )


def test_a_measured_curve_acts_like_the_function_it_was_taken_from():
    mtf = zone_plate_mtf(0.04)
    at = np.linspace(0, 25, 400)
    image = RNG(3).uniform(size=(2, 40, 40))
    assert wiener(image, 0.0144, (at, mtf(at)), 10.0) == pytest.approx(
        wiener(image, 0.0144, mtf, 10.0), abs=1e-3
    )


def test_the_zone_plate_passes_nothing_beyond_its_outermost_zone():
    mtf = zone_plate_mtf(0.025)
    assert mtf(np.array([0.0, 40.0, 50.0])) == pytest.approx([1, 0, 0])
    assert mtf(np.array([20.0]))[0] == pytest.approx(0.391, abs=1e-3)


@pytest.mark.parametrize(
    ("mtf", "snr", "what"),
    [
        (zone_plate_mtf(0.04), 0.0, "not positive"),
        (([0.0, 1.0], [0.2, 0.1]), 5.0, "at frequency 0"),
        (([1.0, 0.0], [1.0, 0.1]), 5.0, "rising"),
    ],
)
def test_bad_filters_are_refused(mtf, snr, what):
    with pytest.raises(ImageError, match=what):
        wiener(np.ones((8, 8)), 0.01, mtf, snr)
    with pytest.raises(ImageError, match="width"):
        zone_plate_mtf(0.0)
    with pytest.raises(ImageError, match="without NaN"):
        wiener(np.full((8, 8), np.nan), 0.01, zone_plate_mtf(0.04), 5.0)
