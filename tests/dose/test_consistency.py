"""The slips of a published table are found, what closes passes, what follows is derived."""

from __future__ import annotations

import pytest

from napari_clxem.dose import check, derive
from napari_clxem.errors import ClxemError

SXT = {
    "flux_open": 2.08e10,
    "slit": 8 / 15,
    "flux": 1.11e10,
    "area": 169,
    "exposure_time": 1,
    "images": 131,
    "first_tilt": -65,
    "last_tilt": 65,
    "tilt_step": 1,
    "fluence_per_image": 6.7e7,
    "counts_before": 39000,
    "counts_after": 17540,
    "absorbed_share": 0.55,
    "fluence_per_image_after": 3.7e7,
    "fluence": 8.6e9,
    "fluence_after": 4.8e9,
    "energy": 520,
    "attenuation": 0.1,
    "density": 0.94,
    "dose": 76.2,
    "absorbed_dose": 41.92,
    "conversion_factor": 3.71,
}
ET = {
    "dose_rate": 25.58,
    "pixel": 3.104,
    "exposure_time": 1.77,
    "images": 41,
    "first_tilt": -50,
    "last_tilt": 70,
    "tilt_step": 3,
    "fluence_per_image": 4.78178,
    "fluence": 110.48,
    "voltage": 300,
    "conversion_factor": 3.7,
}


def about(report, name):
    return [one for one in report.relations if one.name == name]


def test_the_x_ray_block_of_the_paper():
    report = check(SXT)
    assert not report
    assert report.kind == "x-ray"
    (per_image,) = about(report, "fluence_per_image")
    assert not per_image.closes
    assert per_image.derived == pytest.approx(6.568e7, rel=1e-4)
    assert per_image.difference == pytest.approx(0.020, abs=5e-4)
    (after,) = about(report, "fluence_per_image_after")
    assert after.derived == pytest.approx(3.013e7, rel=1e-3)
    assert "absorbed part" in after.note
    (absorbed,) = about(report, "absorbed_dose")
    assert "not a dose" in absorbed.note
    assert absorbed.derived == pytest.approx(52.47, rel=1e-3)


def test_what_closes_in_the_x_ray_block_passes():
    closed = {one.name for one in check(SXT).closed}
    assert closed >= {"flux", "images", "fluence", "absorbed_share", "fluence_after", "dose"}
    assert check(SXT | {"equivalent": 76.2 / 3.71}).closed[-1].name == "equivalent"


def test_the_electron_block_of_the_paper():
    report = check(ET)
    (per_image,) = about(report, "fluence_per_image")
    assert (per_image.stated, per_image.derived) == pytest.approx((4.78178, 4.699), rel=1e-4)
    totals = about(report, "fluence")
    assert any(one.derived == pytest.approx(192.7, rel=1e-3) for one in totals)
    assert all("divided by the exposure time" in one.note for one in totals)
    (factor,) = about(report, "conversion_factor")
    assert (factor.stated, factor.derived) == (3.7, 3.71)
    assert {one.name for one in report.closed} == {"images"}
    assert "stated 4.7818" in str(report)


def test_electrons_scattered_out_are_not_absorbed():
    report = check(
        voltage=300, fluence=110, conversion_factor=3.71, dose=408.1, absorbed_dose=330.7
    )
    assert [one.name for one in report.open] == ["absorbed_dose"]
    assert "scattered" in report.open[0].note


def test_honest_numbers_pass():
    report = check(
        flux=1.11e10,
        area=169,
        exposure_time=2,
        images=131,
        fluence_per_image=1.314e8,
        fluence=1.72e10,
    )
    assert report
    assert str(report) == "All relations close."


def test_time_counted_twice_is_recognised():
    report = check(flux=1e10, area=100, exposure_time=3, fluence_per_image=9e8)
    assert "times the exposure time once more" in report.open[0].note


def test_pasted_lines_with_units():
    report = check(
        """
        # from a table
        flux = 1.11e10 ph/s
        area: 169 µm²
        exposure_time = 1000 ms
        fluence per image = 6.7e7 ph/um2
        """
    )
    assert [one.name for one in report.open] == ["fluence_per_image"]
    electrons = check(
        "dose_rate = 25.58 e/px/s\npixel = 0.3104 nm\nexposure_time = 1.77 s\n"
        "fluence_per_image = 4.699 e-/Å2"
    )
    assert electrons


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("flux is high", "is no line such as"),
        ("flux = 1e10 bananas\narea = 2", "not a unit"),
        ("colour = 3\nenergy = 520", "No number is called 'colour'"),
        ("flux = 1e10 um", "not in units of"),
        ("", "no numbers"),
    ],
)
def test_lines_that_cannot_be_read(text, words):
    with pytest.raises(ClxemError, match=words):
        check(text)


@pytest.mark.parametrize(
    ("numbers", "words"),
    [
        ({"images": 41}, "neither a voltage nor an energy"),
        ({"energy": 520, "voltage": 300}, "one block at a time"),
        ({"flux": -1, "area": 2}, "above zero"),
        ({"flux": 0, "area": 2}, "above zero"),
        ({"flux": float("nan"), "area": 2}, "finite"),
        ({"flux": 1e10}, "nothing can be compared"),
        ({"flux": [1, 2], "area": 2}, "several numbers"),
    ],
)
def test_numbers_that_cannot_be_compared(numbers, words):
    with pytest.raises(ClxemError, match=words):
        check(numbers)


def test_everything_that_follows_is_derived_with_its_formula():
    found = derive({"flux": 1.11e10, "area": 169, "exposure_time": 1, "images": 131, "energy": 520})
    assert found.missing == ()
    assert found.values["dose"] == pytest.approx(239.2, rel=1e-3)
    assert [step.name for step in found.steps][:3] == [
        "fluence_rate",
        "fluence_per_image",
        "fluence",
    ]
    assert found.steps[0].formula == "flux / area"
    assert found.steps[0].unit == "1/micrometer**2/second"


def test_only_what_cannot_be_derived_is_asked_for():
    assert derive({"energy": 520}).missing == ("area", "exposure_time", "flux", "images")
    assert derive({"voltage": 300, "fluence": 100}).missing == ()
    rate = derive({"voltage": 300, "pixel": 3.1, "dose_rate": 25.0, "images": 41})
    assert rate.missing == ("exposure_time",)
    ice = derive({"energy": 520, "fluence": 0.86e10}, material="ice").values["dose"]
    assert ice == pytest.approx(78.67, rel=1e-3)
