"""Budgets, amplitudes and what it takes to see something."""

from __future__ import annotations

import math

import numpy as np
import pytest

from napari_clxem.dose import (
    amplitude_left,
    budget,
    contrast_of,
    conversion_factor,
    critical_exposure,
    dose_for_amplitude,
    required_dose,
    required_fluence,
    supported_resolution,
)
from napari_clxem.errors import ClxemError


def test_every_estimate_stands_beside_the_others():
    found = budget(20, "ice")
    assert {one.name for one in found.estimates} == {"howells", "critical", "optimum", "stability"}
    assert found["howells"].dose == pytest.approx(200.0)
    assert found["critical"].dose == pytest.approx(38.73 * 3.71, rel=1e-3)
    assert found["optimum"].dose == pytest.approx(2.51284 * found["critical"].dose)
    assert found["stability"].dose == 550.0
    assert found.limiting.name == "critical"
    assert [one.dose for one in found.estimates] == sorted(one.dose for one in found.estimates)
    for one in found.estimates:
        assert (one.low, one.high) == (one.dose / 2, one.dose * 2)
        assert one.fluence == pytest.approx(one.dose / 3.71)
        assert one.source


def test_what_is_extrapolated_says_so():
    assert not budget(40)["critical"].flags
    assert "Extrapolated" in budget(50)["critical"].flags[0]
    assert "Not measured at 120 kV" in budget(20, voltage=120)["critical"].flags[0]
    assert budget(20, voltage=120)["critical"].dose == pytest.approx(budget(20)["critical"].dose)
    with pytest.raises(ClxemError, match="no estimate 'guess'"):
        budget(20)["guess"]


def test_the_ice_is_the_users_choice():
    assert budget(60, stability=740)["stability"].dose == 740
    assert budget(60, stability=300).limiting.name == "stability"
    assert budget(50, "ice").share(791)["howells"] == pytest.approx(1.58, rel=2e-3)


@pytest.mark.parametrize(
    ("d", "ice", "cell"), [(4, 0.143, 0.002), (10, 0.484, 0.10), (20, 0.767, 0.43)]
)
def test_dose_and_factor_are_of_one_material(d, ice, cell):
    assert amplitude_left(d, 76.2, "ice") == pytest.approx(ice, abs=5e-4)
    assert amplitude_left(d, 239.1, "cell") == pytest.approx(cell, abs=5e-3)


def test_amplitude_and_dose_go_both_ways():
    for share in (0.1, 0.5, 1.0):
        dose = dose_for_amplitude(12, share, "cell", 200)
        assert amplitude_left(12, dose, "cell", 200) == pytest.approx(share)
    critical = critical_exposure(12, 200) * conversion_factor(200, "cell")
    assert dose_for_amplitude(12, math.exp(-0.5), "cell", 200) == pytest.approx(critical)


@pytest.mark.parametrize("d", [4.0, 10.0, 35.0])
def test_the_resolution_supported_is_that_of_the_budget(d):
    found = budget(d)
    for name in ("howells", "critical", "optimum"):
        assert supported_resolution(found[name].dose)[name] == pytest.approx(d)
    assert supported_resolution(0.0)["critical"] == 0.0


def test_critical_exposure_takes_arrays():
    assert critical_exposure(np.array([3.0, 5.0])) == pytest.approx([4.340, 6.386], rel=6e-4)


def test_rose():
    ideal = required_fluence(30, 1.2538)
    assert required_fluence(30, 1.2538, efficiency=0.1, transmission=0.45) == pytest.approx(
        ideal / 0.045
    )
    assert required_dose(30, 520, efficiency=0.1, transmission=0.45) == pytest.approx(73, rel=0.01)
    assert required_fluence(15, 1.2538) == pytest.approx(16 * ideal)
    assert required_fluence(30, -1.2538) == ideal
    assert contrast_of(520, "ice", "protein") == -contrast_of(520)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: critical_exposure(0), "above zero"),
        (lambda: critical_exposure(10, 120), "200 and 300 kV"),
        (lambda: budget(-3), "above zero"),
        (lambda: budget(10, voltage=2), "60-1000 kV"),
        (lambda: amplitude_left(10, -1), "negative"),
        (lambda: dose_for_amplitude(10, 0), "share above 0"),
        (lambda: required_fluence(30, 0.0), "no fluence shows it"),
        (lambda: required_fluence(30, 1.0, efficiency=0), "efficiency"),
    ],
)
def test_what_cannot_be_is_refused(call, words):
    with pytest.raises(ClxemError, match=words):
        call()
