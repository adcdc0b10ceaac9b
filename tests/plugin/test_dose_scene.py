from __future__ import annotations

import numpy as np
import pytest

from napari_clxem.dose import Exposure
from napari_clxem.frames import FrameGraph, UncertainAffine
from napari_clxem.plugin.controllers.dose_scene import (
    LARGEST,
    MOST_OUTLINES,
    Painter,
    drawn_footprints,
    is_enough,
    nearest,
    raster,
    scene,
)
from napari_clxem.plugin.dose_marks import STYLES, level_pieces, style_of

ZERO = np.zeros(2)


def series(aim, radius, **fields):
    return Exposure.tilt_series(
        **{
            "modality": "sxt",
            "frame": "map",
            "aim": aim,
            "beam_radius": radius,
            "tilts": 0.0,
            "dose_per_image": 10.0,
            **fields,
        }
    )


def shown(*exposures, frame="map", **options):
    return scene(exposures, FrameGraph(), frame, "cell", **options)


def test_a_level_is_followed_around_a_disc():
    y, x = np.mgrid[:81, :101] * 0.5
    values = np.exp(-((y - 22.0) ** 2 + (x - 27.0) ** 2) / 100.0)
    level = np.exp(-0.64)
    pieces = level_pieces(values, level, np.array([3.0, -7.0]), np.array([0.5, 0.5]))
    length = np.linalg.norm(pieces[:, 1], axis=1)
    away = np.linalg.norm(pieces[length > 0, 0] - (25.0, 20.0), axis=1)
    assert away == pytest.approx(8.0, abs=0.01)
    assert length.sum() == pytest.approx(2 * np.pi * 8.0, rel=1e-3)


def test_a_level_that_is_not_reached_draws_nothing():
    pieces = level_pieces(np.zeros((5, 5)), 1.0, ZERO, np.ones(2))
    assert np.linalg.norm(pieces[:, 1], axis=1).max() == 0


def test_very_long_lines_become_coarser_but_stay_whole():
    checks = (np.indices((600, 600)) // 4).sum(axis=0) % 2 * 1.0
    pieces = level_pieces(checks, 0.5, ZERO, np.ones(2))
    assert len(pieces) <= 8192


def test_a_small_map_is_made_once_for_all():
    found = shown(series((0.0, 0.0), 5.0), series((100.0, 50.0), 5.0))
    far = raster(found, False, (np.array([-500.0, -500.0]), np.array([500.0, 500.0])), 1.0)
    near = raster(found, False, (np.array([-2.0, -2.0]), np.array([2.0, 2.0])), 0.01)
    assert far.shape == near.shape
    assert is_enough(far, found, False, (np.array([-2.0, -2.0]), np.array([2.0, 2.0])), 0.01)


def test_fine_beams_on_a_large_map_are_drawn_where_the_canvas_looks():
    found = shown(series((0.0, 0.0), 0.5), series((2000.0, 2000.0), 0.5))
    window = (np.array([1990.0, 1990.0]), np.array([2010.0, 2010.0]))
    whole = raster(found, False, (ZERO, np.array([2000.0, 2000.0])), 2.0)
    assert max(whole.shape) <= LARGEST
    assert not is_enough(whole, found, False, window, 0.02)
    near = raster(found, False, window, 0.02)
    assert near.pixel[0] < 0.1
    assert is_enough(near, found, False, window, 0.02)
    assert not is_enough(near, found, False, (ZERO, np.array([20.0, 20.0])), 0.02)
    picture = Painter(found, False).paint(near, 2, 5.0)
    row, column = np.round((2000.0 - near.origin) / near.pixel).astype(int)
    assert picture.values[row, column] == 10.0
    assert np.isnan(picture.values[0, 0])


def test_only_the_nearest_are_outlined_and_the_chosen_in_any_case():
    every = [
        series((0.0, 10.0 * n), 2.0, id=f"n{n:03d}", time=f"2025-01-01T{n // 60:02d}:{n % 60:02d}")
        for n in range(400)
    ]
    found = shown(*every)
    drawn = nearest(found, ZERO, 400, [399])
    assert len(drawn) == MOST_OUTLINES
    assert sorted(drawn) == [*range(MOST_OUTLINES - 1), 399]
    assert drawn[-1] == 399
    assert max(nearest(found, ZERO, 50)) == 49
    data, arguments, kind = drawn_footprints(found, ZERO, 400, ["n399"], ZERO, 1.0)
    assert kind == "vectors"
    assert len(data) == len(arguments["edge_color"])
    again, _, _ = drawn_footprints(found, ZERO, 3, [], ZERO, 1.0)
    assert again.shape == data.shape  # so that napari need not begin anew


def test_included_ones_are_recorded_or_planned():
    both = series(ZERO, 1.0), series(ZERO, 1.0, planned=True)
    counts = [len(shown(*both, included=which).history) for which in ("all", "recorded", "planned")]
    assert counts == [2, 1, 1]


def test_a_turned_frame_moves_the_footprints():
    links = FrameGraph()
    links.add_frame("map", 2)
    links.add_frame("other", 2)
    turned = np.array([[0.0, -1.0, 100.0], [1.0, 0.0, 50.0], [0.0, 0.0, 1.0]])
    links.add_link("map", "other", UncertainAffine.declared(turned, ZERO, 0.01))
    found = scene([series((3.0, 4.0), 2.0)], links, "other", "cell")
    assert found.aims[0] == pytest.approx((96.0, 53.0))
    data, _, _ = drawn_footprints(found, ZERO, 1, [], np.array([90.0, 50.0]), 1.0)
    length = np.linalg.norm(data[:, 1], axis=1)
    away = np.linalg.norm(data[length > 0, 0] - (6.0, 3.0), axis=1)
    assert away == pytest.approx(2.0)


def test_what_no_link_reaches_is_not_drawn():
    links = FrameGraph()
    links.add_frame("map", 2)
    found = scene([series(ZERO, 2.0, frame="elsewhere")], links, "map", "cell")
    assert not found.drawn.any()
    assert raster(found, False, None, 1.0) is None
    data, _, _ = drawn_footprints(found, ZERO, 1, [found.history.exposures[0].id], ZERO, 1.0)
    assert np.linalg.norm(data[:, 1], axis=1).max(initial=0.0) == 0


def test_modalities_differ_in_pattern_not_in_colour_alone():
    styles = {one.name: one for one in (*STYLES.values(), style_of("anything"))}
    assert len({one.pattern for one in styles.values()}) == len(styles)
    assert len({one.colour for one in styles.values()}) == len(styles)
