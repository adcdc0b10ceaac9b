"""Sums over exposures: maps against points, frames, time, uncertainty."""

from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import ndtr

from napari_clxem.dose import (
    DoseWarning,
    Exposure,
    History,
    Replay,
    cumulative,
    cumulative_map,
)
from napari_clxem.errors import ClxemError
from napari_clxem.frames import Affine, FrameGraph, UncertainAffine, fit

SXT = np.arange(-65, 66)


def exposure(**fields):
    return Exposure.tilt_series(
        **{
            "modality": "sxt",
            "frame": "map",
            "aim": (0.0, 0.0),
            "beam_radius": 10.0,
            "tilts": SXT,
            "dose_per_image": 0.5,
            **fields,
        }
    )


def many(seed, count=25, frame="map"):
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(count):
        beam = (
            {"beam_radius": rng.uniform(2, 9)}
            if rng.random() < 0.6
            else {"beam_radius": None, "beam_size": rng.uniform(2, 15, 2)}
        )
        if rng.random() < 0.3 and beam["beam_radius"] is None:
            beam["beam_turn"] = rng.uniform(-90, 90)
        if rng.random() < 0.3:
            beam["halo"] = ((1.5, 0.3),)
        found.append(
            exposure(
                **beam,
                frame=frame,
                aim=rng.uniform(-30, 30, 2),
                axis_azimuth=rng.uniform(-180, 180),
                pretilt=rng.uniform(-15, 15),
                tilts=rng.uniform(-70, 70, rng.integers(1, 40)),
                dose_per_image=rng.uniform(0.1, 2),
                images=int(rng.integers(1, 3)),
            )
        )
    return found


def pixels(origin, shape, pixel):
    rows, columns = np.mgrid[: shape[0], : shape[1]].reshape(2, -1)
    return np.column_stack([origin[0] + rows * pixel, origin[1] + columns * pixel])


def assert_same(raster, values):
    """Equal but for pixels on a rim, where rounding may decide."""
    values = values.reshape(raster.shape)
    assert np.mean(np.abs(raster - values) > 1e-9 * values.max()) < 1e-4
    assert values.max() > 0


@given(seed=st.integers(0, 10**6))
@settings(max_examples=12, deadline=None)
def test_a_map_is_what_the_points_say(seed):
    found = many(seed)
    origin, shape, pixel = (-45.3, -44.1), (120, 110), 0.83
    raster = cumulative_map(found, origin, shape, pixel)
    assert_same(raster, cumulative(found, pixels(origin, shape, pixel)))
    one_by_one = sum(one.dose_at(pixels(origin, shape, pixel)) for one in found)
    assert_same(raster, one_by_one)


def test_many_footprints_on_threads_are_what_few_are():
    found = many(5, 700)
    raster = cumulative_map(found, (-40.0, -40.0), (81, 81), 1.0)
    parts = [cumulative_map(found[k::7], (-40.0, -40.0), (81, 81), 1.0) for k in range(7)]
    assert raster == pytest.approx(np.sum(parts, axis=0), rel=1e-9)


def test_pixels_may_be_oblong_and_origin_is_a_pixel_centre():
    one = exposure(tilts=(0.0,), beam_radius=None, beam_size=(2.0, 6.0), aim=(5.0, 20.0))
    raster = cumulative_map([one], (0.0, 10.0), (11, 11), (1.0, 2.0))
    assert np.argwhere(raster > 0).min(axis=0).tolist() == [4, 4]
    assert np.argwhere(raster > 0).max(axis=0).tolist() == [6, 6]


def test_sums_add_up_where_exposures_overlap():
    pair = [exposure(), exposure(aim=(0.0, 12.0), modality="tem", beam_radius=1.0, tilts=(0.0,))]
    assert cumulative(pair, [[0, 12.0]])[0] == pytest.approx(0.5 * 64 + 0.5)


def linked(sigma=0.0, ndim=2):
    """A graph in which "sxt" is turned by 30° and shifted against "map"."""
    graph = FrameGraph()
    graph.add_frame("map", ndim=2, z=(0.0, 0.0))
    graph.add_frame("sxt", ndim=ndim)
    turn = np.deg2rad(30.0)
    linear = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    matrix = Affine.from_parts(linear, (100.0, 50.0)).matrix
    if ndim == 3:
        full = np.eye(4)
        full[1:, 1:] = matrix
        matrix = full[[1, 2], :]
    graph.add_link("sxt", "map", UncertainAffine.declared(matrix, np.zeros(ndim), shift_sd=sigma))
    return graph


@pytest.mark.parametrize("ndim", [2, 3])
def test_exposures_of_another_frame_are_brought_over(ndim):
    graph = linked(ndim=ndim)
    one = exposure(frame="sxt", aim=(3.0, 4.0), axis_azimuth=12.0)
    local = np.random.default_rng(0).uniform(-25, 30, (300, 2))
    inside = local if ndim == 2 else np.column_stack([np.zeros(300), local])
    there = graph.transform("sxt", "map").transform(inside)
    assert cumulative([one], there, graph, "map") == pytest.approx(one.dose_at(local))
    origin, shape, pixel = (75.0, 20.0), (60, 60), 1.03
    raster = cumulative_map([one], origin, shape, pixel, graph, "map")
    assert_same(raster, cumulative([one], pixels(origin, shape, pixel), graph, "map"))
    peak = np.argwhere(raster == raster.max()).mean(axis=0) * pixel + origin
    aim = [0.0, 3.0, 4.0][3 - ndim :]
    assert peak == pytest.approx(graph.transform("sxt", "map").transform([aim])[0], abs=1.0)


def test_a_tilted_frame_sees_the_map_at_an_angle():
    graph = FrameGraph()
    graph.add_frame("volume", 3)
    graph.add_frame("other", 3)
    tilt = np.deg2rad(20.0)
    matrix = np.eye(4)
    matrix[:3, :3] = [
        [np.cos(tilt), 0.0, np.sin(tilt)],
        [0.0, 1.0, 0.0],
        [-np.sin(tilt), 0.0, np.cos(tilt)],
    ]
    graph.add_link("other", "volume", UncertainAffine.exact(matrix))
    one = exposure(frame="other", beam_radius=4.0, tilts=np.arange(-60, 61, 5), axis_azimuth=20.0)
    origin, shape, pixel = (-20.0, -20.0), (41, 41), 1.0
    raster = cumulative_map([one], origin, shape, pixel, graph, "volume")
    flat = pixels(origin, shape, pixel)
    upright = np.column_stack([np.zeros(len(flat)), flat])
    own = graph.transform("volume", "other").transform(upright)
    assert_same(raster, one.dose_at(own))
    assert_same(raster, cumulative([one], upright, graph, "volume"))


def test_frames_that_no_link_reaches_are_listed():
    lost = exposure(frame="nowhere", id="lost")
    history = History([exposure(), lost], linked(), "map")
    assert history.unreached == (lost,)
    with pytest.warns(DoseWarning, match="no link reaches the frame of 'lost'"):
        value = cumulative([exposure(), lost], [[0.0, 0.0]], linked(), "map")
    assert value[0] == pytest.approx(65.5)
    with pytest.warns(DoseWarning, match="'lost'"):
        cumulative_map([exposure(), lost], (0, 0), (2, 2), 1.0, frame="map")


def test_an_unknown_map_frame_is_no_empty_map():
    with pytest.raises(ClxemError, match="no frame 'mpa'"):
        cumulative([exposure()], [[0, 0]], linked(), "mpa")


def test_unknown_doses_are_listed():
    unknown = exposure(dose_per_image=None, id="what")
    with pytest.warns(DoseWarning, match="dose is unknown of 'what'"):
        assert cumulative([unknown, exposure()], [[0, 0]])[0] == pytest.approx(65.5)


def test_several_frames_need_a_name():
    with pytest.raises(ClxemError, match="are in the frames a, b"):
        cumulative([exposure(frame="a"), exposure(frame="b")], [[0, 0]])


def test_one_material_runs_through_a_sum():
    ice = exposure(material="ice", energy=520.0)
    with pytest.raises(ClxemError, match="stated for cell, ice"):
        cumulative([ice, exposure()], [[0, 0]])
    both = cumulative([ice, exposure(energy=520.0)], [[0, 0]], material="cell")[0]
    assert both == pytest.approx(65.5 * (1 + 239.099 / 78.666), rel=1e-4)


def test_surface_and_interior_are_kept_apart():
    sem = exposure(modality="sem", energy=2000.0, tilts=(0.0,), dose_per_image=0.2)
    both = [sem, exposure()]
    assert cumulative(both, [[0, 0]])[0] == pytest.approx(65.5)
    assert cumulative(both, [[0, 0]], surface=True)[0] == pytest.approx(0.2)
    assert cumulative_map(both, (0, 0), (1, 1), 1.0, surface=True)[0, 0] == pytest.approx(0.2)


def test_light_and_ions_do_not_warn():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = [exposure(modality=m, dose_per_image=None) for m in ("confocal", "fib")]
        assert cumulative(found, [[0, 0]])[0] == 0.0


def test_nothing_exposed_is_zero():
    assert cumulative([], [[0.0, 0.0]]).tolist() == [0.0]
    assert cumulative_map([], (0, 0), (3, 4), 1.0).shape == (3, 4)


def test_exposures_go_by_time_planned_ones_last():
    late = exposure(time="2026-03-01T12:00:00+02:00", id="late")
    early = exposure(time="2026-03-01T09:30:00Z", id="early")
    undated = exposure(id="undated")
    odd = exposure(time="yesterday", id="odd")
    planned = exposure(planned=True, time="2020-01-01", id="planned")
    history = History([planned, late, undated, early, odd])
    assert [one.id for one in history.exposures] == ["undated", "odd", "early", "late", "planned"]
    assert {one.id for one in history.undated} == {"undated", "odd"}


def test_a_replay_shows_every_moment():
    found = [replace(one, time=f"2026-01-01T00:00:{k:02d}") for k, one in enumerate(many(3, 12))]
    history = History(found)
    replay = Replay(history, (-40, -40), (60, 60), 1.4)
    for count in (0, 3, 12, 7, 8, 1, 12, 99, -5):
        known = max(0, min(count, 12))
        expected = history.map((-40, -40), (60, 60), 1.4, upto=known)
        assert replay.upto(count) == pytest.approx(expected, abs=1e-9)
    assert history.at([[0, 0]], upto=5) == pytest.approx(cumulative(found[:5], [[0, 0]]))


def test_an_exact_link_leaves_nothing_open():
    found = History([exposure(frame="sxt")], linked(), "map").interval([[100.0, 50.0]])
    assert found.low == found.high == found.mean == found.dose == pytest.approx([65.5])


def test_the_registration_blurs_the_edge():
    graph = linked(sigma=2.0)
    history = History([exposure(frame="sxt", tilts=(0.0,), dose_per_image=8.0)], graph, "map")
    centre, edge, far = [100.0, 50.0], [100.0, 60.0], [100.0, 70.0]
    found = history.interval([centre, edge, far])
    assert found.low.tolist() == [8.0, 0.0, 0.0]
    assert found.high.tolist() == [8.0, 8.0, 0.0]
    assert found.mean[1] == pytest.approx(4.0, abs=1.0)
    assert found.unknown == ()


def test_the_blurred_edge_is_that_of_a_gaussian():
    """A straight edge under a shift of sd σ: the mean is the normal distribution."""
    graph = linked(sigma=1.5)
    wide = exposure(
        frame="sxt", tilts=(0.0,), beam_radius=None, beam_size=(400.0, 40.0), dose_per_image=1.0
    )
    history = History([wide], graph, "map")
    local = np.column_stack([np.zeros(9), 20.0 + np.linspace(-3, 3, 9)])
    there = graph.transform("sxt", "map").transform(local)
    expected = ndtr(-np.linspace(-3, 3, 9) / 1.5)
    # 39 displacements, of which none lies more than a few off the normal distribution
    assert history.interval(there).mean == pytest.approx(expected, abs=0.07)


def turned_link(shift_sd=0.05, angle_sd=1.0, centre=(0.0, 0.0)):
    """A frame that lies on the map, known best at `centre`, and turned by an unknown angle."""
    graph = FrameGraph()
    graph.add_frame("map", 2, (0.0, 0.0))
    graph.add_frame("sxt", 2)
    known = UncertainAffine.declared(np.eye(3), centre, shift_sd, angle_sd=angle_sd)
    graph.add_link("sxt", "map", known)
    return graph, known


def sampled(exposures, known, points, count=2000):
    """Doses (count, n) with the link drawn at random from its covariance, Monte Carlo."""
    rng = np.random.default_rng(9)
    root = np.linalg.cholesky(known.covariance + 1e-12 * np.eye(6))
    doses = []
    for entries in rng.normal(size=(count, 6)) @ root.T:
        change = entries.reshape(2, 3)
        linear = np.eye(2) + change[:, :2]
        own = (points - known.centre - change[:, 2]) @ np.linalg.inv(linear).T + known.centre
        doses.append(sum(one.dose_at(own) for one in exposures))
    return np.array(doses)


SLIT = {"frame": "sxt", "tilts": (0.0,), "beam_radius": None, "dose_per_image": 1.0}


@pytest.mark.parametrize(
    ("exposures", "points"),
    [
        # a long lever arm moves the whole footprint
        ([exposure(frame="sxt", aim=(300.0, 0.0))], [[300.0, x] for x in (8.0, 12.0, 16.0, 20.0)]),
        # a beam aimed at the link's centre moves where it reaches far from it
        (
            [exposure(**SLIT, aim=(0.0, 0.0), beam_size=(20.0, 600.0))],
            [[12.0, 290.0], [9.0, 290.0], [9.0, 2.0], [11.0, 2.0]],
        ),
        # one aimed far from it does not where it reaches the centre
        (
            [exposure(**SLIT, aim=(0.0, 100.0), beam_size=(20.0, 220.0))],
            [[9.5, 0.0], [10.5, 0.0], [9.0, 200.0], [12.0, 200.0]],
        ),
        # two on either side of it move against each other
        (
            [
                exposure(**SLIT, aim=(0.0, -100.0), beam_size=(20.0, 202.0)),
                exposure(**SLIT, aim=(0.0, 100.0), beam_size=(20.0, 202.0)),
            ],
            [[9.0, -150.0], [9.0, 150.0], [9.5, 0.0], [12.0, 150.0]],
        ),
    ],
)
def test_an_unknown_angle_moves_footprints_as_monte_carlo_does(exposures, points):
    graph, known = turned_link()
    places = np.array(points)
    found = History(exposures, graph, "map").interval(places)
    drawn = sampled(exposures, known, places)
    most = drawn.max()
    assert found.mean == pytest.approx(drawn.mean(axis=0), abs=0.08 * most)
    held = (drawn >= found.low - 1e-9) & (drawn <= found.high + 1e-9)
    assert held.mean(axis=0).min() > 0.85
    sure = np.ptp(np.quantile(drawn, (0.01, 0.99), axis=0), axis=0) == 0
    assert found.low[sure] == pytest.approx(found.high[sure])


def test_the_interval_over_a_map_is_that_at_its_points():
    graph, _ = turned_link(centre=(40.0, 20.0))
    history = History(
        [exposure(frame="sxt", aim=(300.0, 10.0)), exposure(frame="map")], graph, "map"
    )
    over = history.interval_map((285.0, -10.0), (9, 11), 4.0)
    y, x = np.mgrid[:9, :11] * 4.0
    points = np.column_stack([285.0 + y.ravel(), -10.0 + x.ravel()])
    at = history.interval(points)
    for name in ("dose", "mean", "low", "high"):
        assert getattr(over, name).ravel() == pytest.approx(getattr(at, name))


def test_displacements_have_the_covariance_that_the_links_predict():
    """Through a plane and two links, of which one is tilted."""
    graph = FrameGraph()
    graph.add_frame("map", 2, (2.0, 0.5))
    graph.add_frame("stack", 3)
    graph.add_frame("sxt", 3)
    tilted = np.eye(4)
    tilted[:3, :3] = [[0.98, -0.2, 0.0], [0.2, 0.98, 0.0], [0.0, 0.0, 1.0]]
    tilted[:3, 3] = [3.0, 10.0, -20.0]
    graph.add_link("sxt", "stack", UncertainAffine.declared(tilted, (1, 2, 3), 0.2, 0.5, 0.01, 0.3))
    graph.add_link("stack", "map", UncertainAffine.declared(np.eye(3), (5, 9), 0.1, 0.2))
    found = [exposure(frame="sxt", aim=aim) for aim in ((-60.0, 5.0), (10.0, 80.0), (30.0, -40.0))]
    errors, unknown = History(found, graph, "map").displaced
    assert unknown == ()
    places = np.array([[10.0, -70.0], [0.0, 0.0], [90.0, 40.0]])
    moved = np.einsum(
        "kij,nj->kni", errors[:, 0], np.column_stack([np.zeros(3), places, np.ones(3)])
    )
    back = graph.transform("map", "sxt", places)
    assert np.einsum("kni,knj->nij", moved, moved) / len(moved) == pytest.approx(
        back.predict_error(places), rel=1e-3, abs=1e-6
    )


def test_a_warp_places_each_exposure_where_it_bends_to():
    """Aims far from each other are laid by the warp itself, not by an affine map near it."""
    rng = np.random.default_rng(4)
    moving = rng.uniform(0, 200, (60, 2))
    bent = moving + np.column_stack([4 * np.sin(moving[:, 1] / 40), 3 * np.cos(moving[:, 0] / 50)])
    graph = FrameGraph()
    graph.add_frame("map", 2)
    graph.add_frame("sxt", 2)
    graph.add_link("sxt", "map", fit(moving, bent, model="tps"))
    aims = [(60.0, 40.0), (120.0, 150.0), (150.0, 60.0)]
    history = History([exposure(frame="sxt", aim=aim, tilts=(0.0,)) for aim in aims], graph, "map")
    there = graph.transform("sxt", "map").transform(np.array(aims))
    centres, _ = history.extents
    assert centres == pytest.approx(there, abs=0.05)
    for place, one in zip(there, history.exposures, strict=True):
        around = place + 9.5 * np.array([[0, 1], [1, 0], [0, -1], [-1, 0]])
        assert (history.at(around) > 0).all()
        assert history.at(place) == pytest.approx(one.dose_per_image)


def test_interval_maps_are_what_the_points_say():
    graph = linked(sigma=1.0)
    found = [one for k in range(3) for one in many(k, 4, frame="sxt" if k else "map")]
    history = History(found, graph, "map")
    origin, shape, pixel = (60.0, 10.0), (40, 42), 2.0
    over = history.interval_map(origin, shape, pixel)
    at = history.interval(pixels(origin, shape, pixel))
    for name in ("dose", "mean", "low", "high"):
        raster, values = getattr(over, name), getattr(at, name).reshape(shape)
        assert np.mean(np.abs(raster - values) > 1e-6) < 2e-3, name
    assert np.all(over.low <= over.high)
    assert over.high.max() > 0


def test_frames_without_known_error_are_named():
    graph = FrameGraph()
    graph.add_frame("map", 2, (0.0, 0.0))
    graph.add_frame("sxt", 2)
    covariance = np.full((6, 6), np.nan)
    graph.add_link("sxt", "map", UncertainAffine(np.eye(3), np.zeros(2), covariance, 0))
    found = History([exposure(frame="sxt")], graph, "map").interval([[0.0, 0.0]])
    assert found.unknown == ("sxt",)
    assert found.dose == found.mean == pytest.approx([65.5])


@pytest.mark.parametrize(
    ("shape", "pixel", "words"),
    [((0, 4), 1.0, "rows, columns"), ((4, 4), 0.0, "above zero"), ((4, 4), np.nan, "finite")],
)
def test_maps_that_cannot_be(shape, pixel, words):
    with pytest.raises(ClxemError, match=words):
        cumulative_map([exposure()], (0, 0), shape, pixel)


def test_warming_compiles_what_maps_use():
    from napari_clxem.dose import warm_kernels
    from napari_clxem.dose.kernels import add_footprints

    warm_kernels()
    known = len(add_footprints.signatures)
    found = many(1, 600)
    for count in (1, 600):
        cumulative_map(found[:count], (0, 0), (30, 30), 1.0)
    assert len(add_footprints.signatures) == known


def test_many_points_are_summed_in_neighbourhoods():
    found = many(7, 60)
    points = np.random.default_rng(3).uniform(-40, 40, (5000, 2))
    expected = sum(one.dose_at(points) for one in found)
    assert cumulative(found, points) == pytest.approx(expected)


def test_one_frame_moves_as_a_whole():
    """Aims of one frame are displaced alike even where their errors differ slightly."""
    graph = FrameGraph()
    graph.add_frame("map", 2, (0.0, 0.0))
    graph.add_frame("sxt", 2)
    covariance = np.diag([1e-6, 1e-6, 1.0, 1e-6, 1e-6, 1.0])
    graph.add_link("sxt", "map", UncertainAffine(np.eye(3), np.zeros(2), covariance))
    found = [exposure(frame="sxt", aim=(y, x)) for y in (-20, 0, 20) for x in (-20, 1, 20)]
    errors, unknown = History(found, graph, "map").displaced
    places = np.array([(0.0, *one.aim, 1.0) for one in found])
    moved = np.einsum("kij,nj->kni", errors[:, 0], places)
    assert unknown == ()
    assert np.abs(moved - moved[:, :1]).max() < 0.2
    assert moved.std(axis=0)[:, 1:] == pytest.approx(np.ones((9, 2)), rel=0.01)


@pytest.mark.parametrize(
    ("fields", "words"),
    [({"tilts": ()}, "has no tilt"), ({"weights": (1.0, 2.0)}, "2 weights for 131 tilts")],
)
def test_a_damaged_record_is_named(fields, words):
    with pytest.raises(ClxemError, match=words):
        History([replace(exposure(id="odd"), **fields)])


def test_a_height_counts_in_the_exposures_own_frame_too():
    """At height z above the axis the image at tilt θ is shifted by z tan θ across it."""
    one = exposure(frame="stack", tilts=(60.0,), axis_height=4.0, dose_per_image=3.0)
    history = History([one], None, "stack")
    for z, low, high in ((4.0, -20.0, 20.0), (6.0, -20.0, 20.0), (None, -20.0, 20.0)):
        shift = 0.0 if z is None else -(z - 4.0) * np.tan(np.deg2rad(60.0))
        inside = [[0.0, low + shift + 0.01], [0.0, high + shift - 0.01]]
        outside = [[0.0, low + shift - 0.01], [0.0, high + shift + 0.01]]
        assert history.at(inside, z=z).tolist() == [3.0, 3.0]
        assert history.at(outside, z=z).tolist() == [0.0, 0.0]
        raster = history.map((0.0, -30.0), (1, 601), 0.1, z=z)[0]
        points = [[0.0, -30.0 + 0.1 * k] for k in range(601)]
        assert raster == pytest.approx(history.at(points, z=z))
