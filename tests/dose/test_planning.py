"""Plans: what a chain costs, what it gives, what to change."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from napari_clxem.dose import (
    PRESETS,
    Exposure,
    Goal,
    amplitude_left,
    plan,
    required_fluence,
    xray_dose,
)
from napari_clxem.errors import ClxemError


def sxt(aim=(0.0, 0.0), **changes):
    return PRESETS["Mistral 40 nm"].exposure("map", aim, **changes)


def et(**changes):
    return PRESETS["Krios 300 kV"].exposure("map", (0.0, 0.0), **changes)


def test_the_paper_as_ice_and_as_cell():
    ice = plan([sxt(), et()], material="ice")
    assert ice.ok
    assert ice.dose == pytest.approx(78.7 + 408.1, rel=1e-3)
    assert [step.after for step in ice.steps] == pytest.approx([78.7, 486.8], rel=1e-3)
    cell = plan([sxt(), et()])
    assert not cell.ok
    assert cell.dose == pytest.approx(239.1 + 404.8, rel=1e-3)
    assert cell.steps[1].amplitude == pytest.approx(0.43, abs=0.005)
    assert cell.steps[1].left == pytest.approx(550 - cell.dose)


@pytest.mark.parametrize(
    "wanted",
    [{"et": 20.0}, {"et": 40.0}, {"et": 10.0, "amplitude": 0.3}, {"et": 20.0, "stability": 440.0}],
)
def test_the_largest_fluence_just_leaves_the_target(wanted):
    found = plan([sxt(), et()], sxt=None, **wanted)
    one = sxt()
    allowed = replace(one, fluence=found.largest_sxt_fluence / one.image_count)
    assert plan([allowed, et()], sxt=None, **wanted).ok == (found.largest_sxt_fluence > 0)
    more = replace(allowed, fluence=allowed.fluence * 1.001)
    assert not plan([more, et()], sxt=None, **wanted).ok
    assert xray_dose(found.largest_sxt_fluence, 520) == pytest.approx(found.largest_sxt_dose)


def test_what_limits_is_named():
    assert plan([sxt(), et()], et=10.0).limited_by == "amplitude"
    assert plan([sxt(), et()], et=60.0).limited_by == "stability"
    assert plan([et()]).largest_sxt_dose is None


def test_the_signal_is_that_of_rose():
    found = plan([sxt(), et()], sxt=30.0, efficiency=0.1, transmission=0.45)
    needed = required_fluence(30, 1.2538, efficiency=0.1, transmission=0.45)
    assert found.steps[0].signal == pytest.approx(0.8599e10 / needed, rel=2e-3)
    dark = plan([sxt(), et()], sxt=10.0, material="ice")
    assert dark.steps[0].signal < 1
    assert not dark.ok
    assert any("times as long" in change for change in dark.changes)


def test_changes_say_how_much():
    found = plan([sxt(), et()])
    assert any("at most 143 MGy" in change for change in found.changes)
    assert any("Å, where" in change for change in found.changes)
    coarse = next(c for c in found.changes if "be content with" in c)
    d = float(coarse.split("content with ")[1].split(" Å")[0])
    assert amplitude_left(d, 239.1) == pytest.approx(Goal().amplitude, rel=0.01)


def test_what_was_done_counts():
    done = replace(sxt(), planned=False, time="2026-01-01", id="done")
    fresh, spent = plan([et()]), plan([et()], recorded=[done])
    assert spent.steps[0].exposure.id == "done"
    assert spent.dose == pytest.approx(fresh.dose + 239.1, rel=1e-3)
    assert spent.steps[-1].before == pytest.approx(239.1, rel=1e-3)
    assert fresh.ok
    assert not spent.ok


def test_steps_that_miss_the_target_say_so():
    found = plan([sxt(aim=(0.0, 100.0)), et()])
    assert found.steps[0].dose == 0.0
    assert "No image of it hits the target" in found.steps[0].notes[0]
    assert not found.ok
    wing = plan([sxt(aim=(0.0, 12.0)), et()])
    assert wing.steps[0].images == 64


def test_surface_steps_are_not_in_the_sum():
    found = plan([PRESETS["Aquilos SEM 2 kV"].exposure("map", (0, 0)), et()])
    assert found.steps[0].dose == 0.0
    assert "below the surface" in found.steps[0].notes[0]


def test_unknown_records_make_the_plan_a_lower_bound():
    unknown = Exposure.tilt_series(
        modality="tem", frame="map", aim=(0, 0), beam_radius=1.0, tilts=0.0, id="what"
    )
    assert any("'what' is unknown" in note for note in plan([et()], recorded=[unknown]).notes)
    lost = replace(unknown, frame="elsewhere", dose_per_image=1.0)
    assert any("No link reaches 'what'" in note for note in plan([et()], recorded=[lost]).notes)


@pytest.mark.parametrize(
    ("steps", "wanted", "words"),
    [
        ([], {}, "at least one step"),
        ([et()], {"colour": 1}, "no such number: colour"),
        ([et()], {"et": -1.0}, "above zero"),
        ([et()], {"amplitude": 2.0}, "share above 0"),
        ([et(fluence=None)], {}, "dose of step .* is unknown"),
        ([et()], {"frame": "other"}, "give the target"),
    ],
)
def test_plans_that_cannot_be(steps, wanted, words):
    with pytest.raises(ClxemError, match=words):
        plan(steps, **wanted)


def test_a_target_of_its_own():
    found = plan([sxt(), et()], target=(0.0, 0.95))
    assert found.target == (0.0, 0.95)
    assert found.steps[1].images < 41
    assert np.isclose(found.steps[0].dose, plan([sxt(), et()]).steps[0].dose)
