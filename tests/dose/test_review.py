"""What a reviewer is told: breakdowns, tables, conflicts, duplicates, outlines."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from napari_clxem.dose import (
    PRESETS,
    Exposure,
    History,
    breakdown,
    budget,
    conflicts,
    covered,
    cumulative_map,
    duplicates,
    electron_equivalent,
    map_contours,
    outlines,
    target_table,
)
from napari_clxem.errors import ClxemError
from napari_clxem.frames import Affine, FrameGraph, UncertainAffine


def exposure(**fields):
    return Exposure.tilt_series(
        **{
            "modality": "sxt",
            "frame": "map",
            "aim": (0.0, 0.0),
            "beam_radius": 10.0,
            "tilts": np.arange(-65, 66),
            "dose_per_image": 0.5,
            **fields,
        }
    )


def chain():
    return [
        exposure(modality="confocal", dose_per_image=None, time="2026-01-01", id="light"),
        exposure(time="2026-01-02", id="sxt"),
        exposure(
            modality="sem", energy=2e3, tilts=0.0, dose_per_image=0.1, id="sem", time="2026-02-01"
        ),
        exposure(
            modality="tem",
            beam_radius=1.0,
            tilts=[0, 3],
            dose_per_image=9.0,
            time="2026-03-01",
            id="et",
        ),
    ]


def test_a_breakdown_has_a_row_for_every_look():
    found = breakdown(History(chain()), (0.0, 0.5))
    assert [(row.exposure.id, row.images, row.dose) for row in found.rows] == [
        ("light", 131, 0.0),
        ("sxt", 131, 65.5),
        ("sem", 1, 0.1),
        ("et", 2, 18.0),
    ]
    assert found.dose == pytest.approx(83.5)
    assert found.surface == pytest.approx(0.1)
    assert [row.share for row in found.rows] == pytest.approx([0, 65.5 / 83.5, 1.0, 18 / 83.5])
    assert found.equivalent() == pytest.approx(83.5 / 3.68)
    assert found.share(budget(20))["stability"] == pytest.approx(83.5 / 550)
    assert found.resolution()["howells"] == pytest.approx(8.35)
    assert not found.lower_bound


def test_a_breakdown_of_the_wing_and_of_the_past():
    history = History(chain())
    wing = breakdown(history, (0.0, 12.0))
    assert [(row.exposure.id, row.images) for row in wing.rows] == [("light", 64), ("sxt", 64)]
    assert [row.exposure.id for row in breakdown(history, (0, 0), upto=2).rows] == ["light", "sxt"]
    assert breakdown(history, (500.0, 0.0)).rows == ()


def test_unknown_and_least_doses_make_a_lower_bound():
    unknown = exposure(dose_per_image=None, id="what")
    found = breakdown(History([exposure(), unknown]), (0, 0))
    assert found.lower_bound
    assert [row.dose for row in found.rows] == [65.5, None]
    assert breakdown(History([exposure(lower_bound=True)]), (0, 0)).lower_bound


def test_a_table_of_targets():
    graph = FrameGraph()
    graph.add_frame("map", 2, (0.0, 0.0))
    graph.add_frame("sxt", 2)
    graph.add_link("sxt", "map", UncertainAffine.declared(np.eye(3), np.zeros(2), shift_sd=1.0))
    history = History([exposure(frame="sxt"), *chain()[2:]], graph, "map")
    limit = budget(20)
    inside, edge = target_table(
        history, [("inside", (0, 0), 0.5), ("edge", (10.0, 0.0), 0.5)], limit
    )
    assert inside.dose == inside.high == pytest.approx(83.5)
    assert inside.modalities == pytest.approx({"sxt": 65.5, "tem": 18.0})
    assert inside.surface == pytest.approx(0.1)
    assert inside.equivalent == pytest.approx(electron_equivalent(83.5))
    assert 0 < inside.amplitude < 1
    assert edge.low == 0.0
    assert edge.high == pytest.approx(65.5)
    assert edge.highest == pytest.approx(65.5)


def test_a_planned_exposure_that_touches_a_spent_area_warns():
    spent = exposure(id="spent")
    near = exposure(id="near", aim=(0.0, 25.0), planned=True)
    far = exposure(id="far", aim=(0.0, -48.0), planned=True)
    found = conflicts(History([spent, near, far]), 60.0)
    assert [one.exposure.id for one in found] == ["near"]
    (clash,) = found
    assert [one.id for one in clash.others] == ["spent"]
    assert clash.after > 60.0
    assert 0 < clash.before <= 65.5
    assert clash.area > 0
    assert "'near' touches an area that is spent: spent" in str(clash)
    assert conflicts(History([spent, near, far]), 1000.0) == ()


def test_planned_exposures_clash_with_each_other_and_along_the_axis():
    first = exposure(id="first", planned=True)
    second = exposure(id="second", aim=(19.9, 0.0), planned=True)
    assert [one.exposure.id for one in conflicts(History([first, second]), 70.0)] == ["second"]
    apart = replace(second, aim=(20.1, 0.0))
    assert conflicts(History([first, apart]), 70.0) == ()


def test_a_halo_may_touch_what_the_beam_does_not():
    spent = exposure(id="spent", tilts=0.0, dose_per_image=50.0)
    planned = exposure(aim=(0.0, 24.0), tilts=0.0, dose_per_image=50.0, planned=True)
    assert conflicts(History([spent, planned]), 55.0) == ()
    (clash,) = conflicts(History([spent, replace(planned, halo=((6.0, 0.2),))]), 55.0)
    assert clash.after == pytest.approx(60.0)


def test_a_planned_mosaic_meets_a_series_in_four_tiles():
    tiles = [
        exposure(aim=(12.0 * (k // 15), 12.0 * (k % 15)), tilts=0.0, planned=True)
        for k in range(150)
    ]
    found = conflicts(History([exposure(), *tiles]), 60.0)
    # only where the series left more than 59 MGy: its core, of 10 µm radius
    assert {one.exposure.aim for one in found} == {
        (0.0, 0.0),
        (12.0, 0.0),
        (0.0, 12.0),
        (12.0, 12.0),
    }


def test_the_nearest_footprints_come_first():
    graph = graph_turned()
    found = [exposure(frame="sxt", aim=(40.0 * k, 0.0), tilts=0.0) for k in range(6)]
    history = History([*found, exposure(frame="lost")], graph, "map")
    centres, radii = history.extents
    for index, one in enumerate(found):
        expected = graph.transform("sxt", "map").transform([one.aim])[0]
        assert centres[index] == pytest.approx(expected)
        rim = outlines(history, [index])[index][0].polygon - centres[index]
        assert np.linalg.norm(rim, axis=1).max() <= radii[index] * (1 + 1e-9)
    assert np.isnan(radii[6])
    assert history.nearest(centres[4], 3).tolist()[0] == 4
    assert sorted(history.nearest(centres[4], 3).tolist()) == [3, 4, 5]
    assert len(history.nearest((0, 0))) == 6


def test_surface_doses_do_not_clash():
    sem = exposure(modality="sem", energy=2e3, tilts=0.0, dose_per_image=500.0, planned=True)
    assert conflicts(History([exposure(), sem]), 100.0) == ()


def test_the_same_images_twice_are_recognised():
    stamps = tuple(f"2026-01-01T10:00:{k:02d}" for k in range(5))
    series = exposure(tilts=np.arange(5), times=stamps, id="a")
    copy = replace(series, id="b", source="copy.mdoc", aim=(3.0, 3.0))
    part = replace(series, id="c", tilts=series.tilts[:2], times=stamps[:2])
    found = duplicates([series, copy, part, exposure(tilts=np.arange(5), id="d")])
    assert [(one.first.id, one.second.id, one.images) for one in found] == [
        ("a", "b", 5),
        ("a", "c", 2),
    ]
    assert "record the same 5 images" in str(found[0])


def test_records_without_stamps_are_the_same_where_all_else_is():
    one = exposure(id="a")
    assert [d.second.id for d in duplicates([one, replace(one, id="b")])] == ["b"]
    assert duplicates([one, replace(one, id="b", aim=(0.0, 1.0))]) == ()
    assert duplicates([one, replace(one, id="b", planned=True)]) == ()


def graph_turned():
    graph = FrameGraph()
    graph.add_frame("map", 2, (0.0, 0.0))
    graph.add_frame("sxt", 2)
    matrix = Affine.planar(40.0, 1.1, (7.0, -3.0)).matrix
    graph.add_link("sxt", "map", UncertainAffine.exact(matrix))
    return graph


def test_outlines_lie_where_the_map_says():
    history = History(
        [exposure(frame="sxt", axis_azimuth=15.0, aim=(2.0, 1.0))], graph_turned(), "map"
    )
    wings, core = outlines(history, [0])[0]
    middle = wings.polygon.mean(axis=0)
    for line, least in ((wings, 1.0), (core, 65.5)):
        inner = middle + (line.polygon - middle) * 0.999
        outer = middle + (line.polygon - middle) * 1.001
        assert history.at(inner).min() >= least - 1e-9
        assert history.at(outer).max() < least


def test_lost_exposures_have_no_outline():
    history = History([exposure(frame="lost")], graph_turned(), "map")
    assert outlines(history, [0]) == {}


def test_the_joint_outline_of_a_mosaic():
    tiles = [exposure(tilts=0.0, aim=(0.0, 15.0 * k)) for k in range(3)]
    far = exposure(tilts=0.0, aim=(200.0, 0.0))
    history = History([*tiles, far])
    rings = covered(history, range(4))
    assert len(rings) == 2
    widest = max(rings, key=len)
    assert widest.shape[1] == 2
    assert np.ptp(widest[:, 1]) == pytest.approx(50.0, rel=0.01)


def test_the_budget_contour_lies_where_the_dose_is():
    one = exposure(tilts=0.0, dose_per_image=80.0, aim=(20.0, 30.0))
    values = cumulative_map([one], (0.0, 0.0), (81, 121), 0.5)
    (line,) = map_contours(values, 40.0, (0.0, 0.0), 0.5)
    assert np.hypot(*(line - one.aim).T) == pytest.approx(np.full(len(line), 10.0), abs=0.5)


def test_presets_state_their_source_and_can_be_changed():
    for preset in PRESETS.values():
        assert preset.source
        assert preset.assumptions
        one = preset.exposure("map", (1.0, 2.0))
        assert one.planned
        assert preset.source in one.basis
        assert one.dose_at([one.aim])[0] > 0
    krios = PRESETS["Krios 300 kV"].exposure("map", (0, 0), material="ice")
    assert krios.dose_at([[0, 0]])[0] == pytest.approx(408.1, rel=1e-4)
    faster = replace(PRESETS["Mistral 40 nm"], exposure_time=0.5)
    assert faster.image_fluence == pytest.approx(PRESETS["Mistral 40 nm"].image_fluence / 2)
    small = PRESETS["Mistral 40 nm"].exposure("map", (0, 0), beam_radius=5.0)
    assert small.beam_radius == 5.0
    box = PRESETS["Mistral 40 nm"].exposure("map", (0, 0), beam_size=(13.0, 13.0))
    assert box.beam_radius is None


def test_the_preset_shows_both_readings_of_the_flux():
    preset = PRESETS["Mistral 40 nm"]
    readings = preset.readings()
    ice = preset.exposure("map", (0, 0), material="ice")
    whole = replace(ice, fluence=readings["beam"])
    assert ice.dose_at([[0, 0]])[0] == pytest.approx(78.7, rel=2e-3)
    assert whole.dose_at([[0, 0]])[0] == pytest.approx(78.7 * 169 / (100 * np.pi), rel=2e-3)
    with pytest.raises(ClxemError, match="no flux, beam and field"):
        PRESETS["Krios 300 kV"].readings()
