"""Density and mass: a phantom of known mass, limits, injected failures, bad input."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from napari_clxem.errors import ImageError
from napari_clxem.xray import (
    DECISION,
    FE2O3_709_700,
    Contrast,
    calibrate_wedge,
    density,
    difference,
    fit_scale,
    normalise,
    project,
    projected_mass,
    reconstruct,
    tabulated_contrast,
)
from napari_clxem.xray.phantom import photograph, spheres

PIXEL = 0.01444
TILTS = np.arange(-70.0, 71.0, 2.0)
SHAPE = (72, 88, 128)
SCALE = 0.969
ATTENUATION = (4973.0, 15950.0)
PHOTONS = 20_000.0
DIAMETERS = np.array([5, 7, 9, 12]) * PIXEL
DENSITIES = np.array([1.4, 1.0, 1.2, 0.8])
CENTRES = np.array([(30, 14, 40), (40, 34, 90), (33, 54, 80), (38, 73, 50)]) * PIXEL
MASSES = DENSITIES * np.pi / 6 * DIAMETERS**3


@dataclass(frozen=True, eq=False)
class Experiment:
    low: Any
    high: Any
    contrast: Contrast
    wedge: Any

    def analyse(self, low=None, high=None, scale=None, **options):
        """Go all the way from transmission to clusters."""
        od = [
            -np.log(t)
            for t in (self.low if low is None else low, self.high if high is None else high)
        ]
        scale = fit_scale(*od)[0] if scale is None else scale
        change = difference(*od, scale)
        volume = reconstruct(change, TILTS, PIXEL, thickness=SHAPE[0]).data
        contrast = Contrast(ATTENUATION[1] - scale * ATTENUATION[0], "phantom")
        middle = change[len(TILTS) // 2]
        return density(
            volume,
            None,
            PIXEL,
            contrast,
            scale=scale,
            wedge=self.wedge,
            projection=middle,
            **options,
        )


@pytest.fixture(scope="module")
def experiment():
    rng = np.random.default_rng(4)
    iron = spheres(SHAPE, CENTRES, DIAMETERS, DENSITIES, PIXEL)
    cell = spheres(SHAPE, np.array([[36, 44, 64]]) * PIXEL, 0.95, 0.95, PIXEL)
    low, high = photograph(iron, cell, TILTS, PIXEL, ATTENUATION, SCALE, PHOTONS, 0.3, rng)
    flat = np.full(SHAPE[1:], PHOTONS)
    pictures = [normalise(t * PHOTONS, flat).data for t in (low, high)]
    sizes = np.array([4, 7, 12]) * PIXEL
    wedge = calibrate_wedge(TILTS, PIXEL, shape=(SHAPE[0], SHAPE[2]), diameters=sizes)
    return Experiment(*pictures, Contrast(ATTENUATION[1] - SCALE * ATTENUATION[0], "known"), wedge)


@pytest.fixture(scope="module")
def found(experiment):
    return experiment.analyse()


def nearest(found):
    """Give the cluster at each true place."""
    centres = np.array([c.centre for c in found.clusters])
    return [found.clusters[int(((centres - c) ** 2).sum(axis=1).argmin())] for c in CENTRES]


def test_the_total_is_right_within_five_percent(found):
    assert len(found.clusters) == len(MASSES)
    assert found.total.value == pytest.approx(MASSES.sum(), rel=0.05)
    assert found.projection.value == pytest.approx(MASSES.sum(), rel=0.05)
    assert found.masked.value == pytest.approx(MASSES.sum(), rel=0.15)
    low, high = found.total.interval
    assert low < MASSES.sum() < high
    assert not any("disagree" in note for note in found.notes)


def test_each_cluster_has_its_place_size_density_and_mass(found):
    for cluster, centre, diameter, value, mass in zip(
        nearest(found), CENTRES, DIAMETERS, DENSITIES, MASSES, strict=True
    ):
        assert cluster.centre == pytest.approx(centre, abs=0.7 * PIXEL)
        assert cluster.diameter == pytest.approx(diameter, abs=max(3 * cluster.diameter_sd, PIXEL))
        assert cluster.density == pytest.approx(value, rel=0.1 if diameter > 6 * PIXEL else 0.2)
        assert abs(cluster.density - value) < 3 * cluster.density_sd
        assert cluster.mass.value == pytest.approx(mass, rel=0.2)
        assert abs(cluster.mass.value - mass) < 3 * cluster.mass.sd
        assert cluster.thresholded < mass
        assert cluster.significance > found.level
        assert found.labels[tuple(np.round(centre / PIXEL).astype(int))] == cluster.name


def test_rows_make_a_table_with_units_in_the_names(found):
    rows = found.rows()
    assert len(rows) == len(found.clusters)
    assert rows[0]["mass (pg)"] == found.clusters[0].mass.value
    assert rows[0]["mass low (pg)"] < rows[0]["mass (pg)"] < rows[0]["mass high (pg)"]
    assert {"z (um)", "density (g/cm3)", "diameter (um)", "voxels"} <= set(rows[0])


def test_without_a_wedge_densities_are_too_low_and_a_note_says_so(experiment, found):
    bare = Experiment(experiment.low, experiment.high, experiment.contrast, None).analyse()
    assert any("No wedge was calibrated" in note for note in bare.notes)
    for cluster, right in zip(nearest(bare), nearest(found), strict=True):
        assert cluster.density < 0.95 * right.density


SMALL = (40, 50, 60)
SMALL_MASS = 1.2 * np.pi / 6 * (9 * PIXEL) ** 3


def small_volume(rng):
    """Give one sphere in noise, with nothing missing."""
    sphere = spheres(SMALL, np.array([[20, 25, 30]]) * PIXEL, 9 * PIXEL, 1.2, PIXEL)
    return sphere + rng.normal(0, 0.02, SMALL).astype(np.float32)


def test_the_source_of_the_contrast_and_its_error_go_into_the_result():
    volume = small_volume(np.random.default_rng(0))
    exact = density(volume, None, PIXEL, Contrast(1e4, "a spectrum"))
    loose = density(volume, None, PIXEL, Contrast(1e4, "a spectrum", sd=2000.0))
    assert any("a spectrum" in note for note in exact.notes)
    # with nothing missing, and 1e4 cm²/g, absorption in 1/µm is density in g/cm³
    assert exact.total.value == pytest.approx(SMALL_MASS, rel=0.05)
    assert loose.total.sd == pytest.approx(
        np.hypot(exact.total.sd, 0.2 * exact.total.value), rel=1e-3
    )
    half = density(volume, None, PIXEL, Contrast(2e4, "another"))
    assert half.total.value == pytest.approx(exact.total.value / 2, rel=1e-3)


def test_two_tomograms_give_the_same_as_their_difference():
    rng = np.random.default_rng(1)
    low = rng.normal(0.9, 0.02, SMALL).astype(np.float32)
    high = SCALE * low + small_volume(rng)
    contrast = Contrast(1e4, "phantom")
    pair = density(high, low, PIXEL, contrast, scale=SCALE)
    alone = density(difference(low, high, SCALE), None, PIXEL, contrast)
    assert pair.total.value == pytest.approx(alone.total.value, rel=1e-6)
    assert pair.data == pytest.approx(alone.data, abs=1e-6)


def test_limits_hold_what_they_claim_in_noise():
    rng = np.random.default_rng(2)
    shape = (64, 64, 96)
    clean = rng.normal(0, 1.0, (len(TILTS), shape[1], shape[2]))
    noise = reconstruct(clean * 0.02, TILTS, PIXEL, thickness=shape[0]).data
    empty = density(noise, None, PIXEL, Contrast(1e4, "phantom"), margin=3)
    assert len(empty.clusters) == 0
    assert empty.total.value == 0
    assert empty.limits.detection == pytest.approx(2 * empty.limits.decision, rel=1e-3)
    assert (np.diff(empty.limits.sigma) < 0).all()
    above = (empty.data / empty.noise > DECISION).mean()
    assert 0.0003 < above < 0.003


@pytest.mark.slow
@pytest.mark.parametrize(
    ("failure", "told"),
    [("flats", "disagree"), ("misaligned", "lower"), ("scale", "disagree")],
)
def test_injected_failures_show(experiment, found, failure, told):
    if failure == "flats":
        # the flats of the upper energy belong to a beam that drifted by 6 %
        drift = 1 + 0.12 * (np.arange(SHAPE[2]) / SHAPE[2] - 0.5)
        wrong = experiment.analyse(high=np.maximum(experiment.high * drift, 1e-3))
        assert any(told in note for note in wrong.notes) or wrong.sigma > 1.3 * found.sigma
    elif failure == "misaligned":
        rng = np.random.default_rng(3)
        moved = np.array(
            [np.roll(image, rng.integers(-3, 4, 2), axis=(0, 1)) for image in experiment.high]
        )
        wrong = experiment.analyse(high=moved)
        assert wrong.sigma > 1.2 * found.sigma
        assert wrong.total.value < 0.95 * MASSES.sum() or wrong.total.sd > 2 * found.total.sd
    else:
        wrong = experiment.analyse(scale=1.0)
        assert wrong.projection.value < 0.7 * found.projection.value
        assert any(told in note for note in wrong.notes)


def test_swapped_energies_are_noticed_in_the_result(experiment):
    with pytest.raises(ImageError, match="look swapped"):
        experiment.analyse(low=experiment.high, high=experiment.low, scale=1 / SCALE)


def test_the_projected_mass_is_plain_arithmetic():
    iron = spheres(SHAPE, CENTRES, DIAMETERS, DENSITIES, PIXEL)
    change = project(iron, [0.0], PIXEL)[0] * 1.2  # 12 000 cm²/g
    assert projected_mass(change, PIXEL, Contrast(12_000.0, "known")).value == pytest.approx(
        MASSES.sum(), rel=1e-3
    )
    mask = change > 0
    tilted = change + 0.3
    assert projected_mass(tilted, PIXEL, Contrast(12_000.0, "known"), mask).value == pytest.approx(
        MASSES.sum(), rel=1e-3
    )


def test_a_disagreeing_projection_is_flagged():
    volume = small_volume(np.random.default_rng(5))
    change = 0.5 * project(volume, [0.0], PIXEL)[0]
    told = density(volume, None, PIXEL, Contrast(1e4, "phantom"), projection=change).notes
    assert any("disagree by more than 20 %" in note for note in told)


def test_a_contrast_needs_the_right_sign_and_a_source():
    with pytest.raises(ImageError, match="wrong sign"):
        Contrast(-11_000.0, "the printed equation")
    with pytest.raises(ImageError, match="no source"):
        Contrast(11_000.0, " ")
    with pytest.raises(ImageError, match="standard deviation"):
        Contrast(11_000.0, "a spectrum", sd=-1.0)
    with pytest.raises(ImageError, match="needs its source"):
        density(np.ones(SHAPE), None, PIXEL, 11_000.0)
    values = [value for value, _ in FE2O3_709_700]
    assert max(values) > 10 * min(values)
    assert all(Contrast(value, source) for value, source in FE2O3_709_700)
    table = tabulated_contrast("Fe2O3", (700.0, 709.0))
    assert table.value == pytest.approx(10_976, rel=0.005)
    assert "no white line" in table.source
    with pytest.raises(ImageError, match="wrong sign"):
        tabulated_contrast("Fe2O3", (709.0, 700.0))


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"low": np.ones((3, 4, 5))}, "one shape"),
        ({"high": np.ones((4, 5))}, "three axes"),
        ({"high": np.full((12, 12, 12), np.nan)}, "NaN"),
        ({"high": np.ones((12, 12, 12))}, "does not vary"),
        ({"empty": np.ones((2, 2, 2), bool)}, "mask of the background has shape"),
        ({"empty": np.zeros((12, 12, 12), bool)}, "too few"),
        ({"mask": np.ones((2, 2, 2), bool)}, "mask has shape"),
        ({"projection": np.ones((3, 3))}, "projection has shape"),
        ({"projection": np.full((12, 12), np.nan)}, "projection holds NaN"),
    ],
)
def test_bad_input_is_refused_in_one_sentence(change, what):
    noise = np.random.default_rng(0).normal(size=(12, 12, 12))
    arguments = {"high": noise, "low": None, **change}
    with pytest.raises(ImageError, match=what):
        density(spacing=PIXEL, contrast=Contrast(1e4, "phantom"), **arguments)


def test_the_wedge_takes_most_from_the_smallest():
    """Discs of 5, 15 and 40 pixels radius show 0.66, 0.86 and 0.96 of themselves in scikit-image.

    That is after 15 passes with its relaxation of 0.01, which acts like 0.05 here.
    """
    wedge = calibrate_wedge(
        TILTS,
        PIXEL,
        shape=(160, 160),
        diameters=np.array([10, 30, 80]) * PIXEL,
        kind="disc",
        iterations=15,
        relaxation=0.05,
        weighting="even",
    )
    assert wedge.factor == pytest.approx([0.66, 0.86, 0.96], abs=0.06)
    assert (np.diff(wedge.factor) > 0).all()


def test_the_calibration_corrects_a_sphere_it_has_not_seen(experiment):
    diameter, value = 8.0 * PIXEL, 0.7
    iron = spheres(SHAPE, np.array([[36, 30, 70]]) * PIXEL, diameter, value, PIXEL)
    volume = reconstruct(project(iron, TILTS, PIXEL), TILTS, PIXEL, thickness=SHAPE[0]).data
    volume += np.random.default_rng(0).normal(0, 0.02, SHAPE).astype(np.float32)
    found = density(volume, None, PIXEL, Contrast(1e4, "phantom"), wedge=experiment.wedge)
    cluster = max(found.clusters, key=lambda c: c.mass.value)
    assert cluster.density == pytest.approx(value, rel=0.06)
    assert cluster.mass.value == pytest.approx(value * np.pi / 6 * diameter**3, rel=0.06)


def test_wedges_that_cannot_be_calibrated_are_refused(experiment):
    with pytest.raises(ImageError, match="below a voxel"):
        calibrate_wedge(TILTS, PIXEL, diameters=[0.5 * PIXEL])
    with pytest.raises(ImageError, match="too small"):
        calibrate_wedge(TILTS, PIXEL, shape=(32, 64), diameters=[20 * PIXEL])
    with pytest.raises(ImageError, match="margin of 3"):
        density(
            np.ones(SHAPE), None, PIXEL, Contrast(1e4, "phantom"), wedge=experiment.wedge, margin=5
        )
