"""Where tilted beams meet the sample, against the definition image by image."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_clxem.dose import Exposure, contours, mosaic, tile_aims
from napari_clxem.errors import ClxemError, PointsError


def exposure(**fields):
    return Exposure.tilt_series(
        **{
            "modality": "sxt",
            "frame": "f",
            "aim": (0.0, 0.0),
            "beam_radius": 10.0,
            "tilts": np.arange(-65, 66),
            "dose_per_image": 0.5,
            **fields,
        }
    )


def defined(one, z, y, x):
    """Count hits image by image, as the definition says."""
    phi = np.deg2rad(one.axis_azimuth)
    down, right = y - one.aim[0], x - one.aim[1]
    across = right * np.cos(phi) + down * np.sin(phi)
    along = -right * np.sin(phi) + down * np.cos(phi)
    count = 0
    for tilt in one.tilts:
        theta = np.deg2rad(tilt - one.pretilt)
        u = across * np.cos(theta) + (z - one.axis_height) * np.sin(theta)
        if one.beam_radius is not None:
            count += u**2 + along**2 <= one.beam_radius**2
        else:
            height, width = one.beam_size
            count += abs(u) <= width / 2 and abs(along) <= height / 2
    return count * one.images


places = st.tuples(st.floats(-5, 5), st.floats(-40, 40), st.floats(-40, 40))


@settings(max_examples=60, deadline=None)
@given(
    point=places,
    azimuth=st.floats(-180, 180),
    pretilt=st.floats(-20, 20),
    aim=st.tuples(st.floats(-9, 9), st.floats(-9, 9)),
    round_beam=st.booleans(),
    images=st.integers(1, 3),
)
def test_hits_follow_the_definition(point, azimuth, pretilt, aim, round_beam, images):
    beam = {"beam_radius": 9.7} if round_beam else {"beam_radius": None, "beam_size": (7.3, 13.1)}
    one = exposure(
        **beam, axis_azimuth=azimuth, pretilt=pretilt, aim=aim, images=images, axis_height=0.7
    )
    assert one.hits_at([point])[0] == pytest.approx(defined(one, *point), abs=1)  # on a rim
    exact = [defined(one, point[0], point[1], point[2] + d) for d in (-1e-6, 0, 1e-6)]
    if len(set(exact)) == 1:
        assert one.hits_at([point])[0] == exact[0]


@given(azimuth=st.floats(-180, 180), point=places)
@settings(max_examples=40, deadline=None)
def test_turning_beam_and_point_together_changes_nothing(azimuth, point):
    z, y, x = point
    phi = np.deg2rad(azimuth)
    turned = (z, y * np.cos(phi) + x * np.sin(phi), x * np.cos(phi) - y * np.sin(phi))
    upright = exposure().hits_at([point])[0]
    assert abs(exposure(axis_azimuth=azimuth).hits_at([turned])[0] - upright) <= 2  # on a rim


def test_the_axis_runs_from_plus_y_towards_minus_x():
    """Along the axis (-sin, cos) nothing is stretched; across it, the wings reach farther."""
    one = exposure(axis_azimuth=30.0)
    axis = np.array([np.cos(np.pi / 6), -np.sin(np.pi / 6)])  # (y, x)
    across = np.array([np.sin(np.pi / 6), np.cos(np.pi / 6)])
    assert one.hits_at([12 * axis, 12 * across]).tolist() == [0, 64]


def test_the_rim_counts_as_hit():
    one = exposure(tilts=(0.0,))
    assert one.hits_at([[0, 10.0], [10.0, 0], [0, 10 * (1 + 1e-7)]]).tolist() == [1, 1, 0]
    box = exposure(beam_radius=None, beam_size=(4.0, 6.0), tilts=(0.0,))
    assert box.hits_at([[2.0, 3.0], [2.0 + 1e-6, 3.0], [3.0, 2.0]]).tolist() == [1, 0, 0]


def test_height_moves_a_tilted_beam():
    one = exposure(beam_radius=1.0, tilts=(45.0,))
    assert one.hits_at([[2.0, 0.0, -2.0], [2.0, 0.0, 2.0]]).tolist() == [1, 0]
    lifted = exposure(beam_radius=1.0, tilts=(45.0,), axis_height=2.0)
    assert lifted.hits_at([[2.0, 0.0, 0.0], [2.0, 0.0, -2.0]]).tolist() == [1, 0]
    assert lifted.hits_at([[0.0, 0.0]])[0] == 1  # two columns lie at the height of the axis


def test_pretilt_is_the_tilt_that_looks_straight_down():
    one = exposure(beam_radius=1.0, tilts=np.arange(-50, 71, 3), pretilt=10.0)
    assert one.hits_at([[0.0, 1.0 / np.cos(np.deg2rad(60)) - 1e-6]])[0] == 2
    wrong = exposure(beam_radius=1.0, tilts=np.arange(-50, 71, 3))
    assert wrong.hits_at([[0.0, 2.5]])[0] == 2  # only the wing at 70°


def test_a_turned_rectangle():
    one = exposure(beam_radius=None, beam_size=(2.0, 10.0), tilts=(0.0,), beam_turn=90.0)
    assert one.hits_at([[4.0, 0.0], [0.0, 4.0]]).tolist() == [1, 0]
    camera = exposure(
        beam_radius=None, beam_size=(2.0, 10.0), tilts=(0.0,), axis_azimuth=37.0, beam_turn=-37.0
    )
    assert camera.hits_at([[0.9, 4.9], [1.1, 0.0], [0.0, 5.1]]).tolist() == [1, 0, 0]


def test_images_of_unlike_dose():
    one = exposure(tilts=(-60.0, 0.0, 60.0), dose_per_image=[1.0, 2.0, 6.0])
    assert one.dose_at([[0, 0]])[0] == pytest.approx(9.0)
    assert one.dose_at([[0, 15.0]])[0] == pytest.approx(7.0)
    assert one.dose_per_image == pytest.approx(3.0)


def test_a_halo_is_weaker_light_beyond_the_edge():
    one = exposure(tilts=(0.0,), dose_per_image=8.0, halo=((2.0, 0.25), (5.0, 0.125)))
    assert one.dose_at([[0, 9.9], [0, 11.0], [0, 14.0], [0, 15.1]]).tolist() == [8.0, 2.0, 1.0, 0.0]
    assert one.hits_at([[0, 9.9], [0, 11.0]]).tolist() == [1, 0]


def test_contours_are_lines_of_equal_dose():
    one = exposure(axis_azimuth=25.0, aim=(3.0, -4.0))
    wings, half, core = contours(one)
    assert (wings.images, core.images) == (2, 131)
    assert core.dose == pytest.approx(131)
    for line in (wings, half, core):
        middle = np.array(one.aim)
        inside = middle + (line.polygon - middle) * (1 - 1e-6)
        outside = middle + (line.polygon - middle) * (1 + 1e-6)
        assert one.hits_at(inside).min() >= line.images
        assert one.hits_at(outside).max() < line.images
    assert np.abs(wings.polygon - one.aim).max() > 20


def test_contours_of_a_rectangle():
    one = exposure(beam_radius=None, beam_size=(4.0, 6.0), tilts=(-60.0, 0.0, 60.0))
    wings, core = contours(one, (0.0, 1.0))
    assert np.abs(wings.polygon).max(axis=0) == pytest.approx([2.0, 6.0])
    assert np.abs(core.polygon).max(axis=0) == pytest.approx([2.0, 3.0])


def test_a_mosaic_has_one_exposure_per_tile():
    tiles = mosaic(
        tile_aims((10.0, 20.0), (2, 3), (4.0, 5.0)),
        modality="sxt",
        frame="map",
        beam_size=(4.0, 5.0),
        dose_per_image=0.1,
        group="overview",
    )
    assert [one.aim for one in tiles][:2] == [(8.0, 15.0), (8.0, 20.0)]
    assert len({one.id for one in tiles}) == 6
    assert {one.group for one in tiles} == {"overview"}


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"beam_radius": None}, "either its beam_radius or its beam_size"),
        ({"beam_size": (1.0, 1.0)}, "either its beam_radius or its beam_size"),
        ({"beam_radius": -1.0}, "must be above zero"),
        ({"beam_radius": np.nan}, "finite number"),
        ({"tilts": []}, "one angle or a list"),
        ({"tilts": [0.0, np.nan]}, "finite number"),
        ({"tilts": [0.0, 1e4]}, "in degrees"),
        ({"tilts": [0.0, 1.0, 2.0], "dose_per_image": [1.0, 1.0]}, "2 values of dose_per_image"),
        ({"tilts": [0.0, 1.0], "fluence": [1e9] * 3}, "3 values of fluence"),
        ({"tilts": [0.0, 1.0], "times": ("a",)}, "1 time stamps for 2 tilts"),
        ({"tilts": [0.0, 1.0], "weights": (1.0,)}, "1 weights for 2 tilts"),
        ({"dose_per_image": 0.0}, "leave it out where it is unknown"),
        ({"dose_per_image": -1.0}, "must not be negative"),
        ({"dose_per_image": "much"}, "give a number"),
        ({"fluence": 0.0, "dose_per_image": None}, "leave it out where it is unknown"),
        ({"images": 0}, "images per tilt is 0;"),
        ({"images": 1.5}, "images per tilt is 1.5;"),
        ({"energy": -520.0}, "must be above zero"),
        ({"aim": (0.0, np.nan)}, "finite number"),
        ({"frame": ""}, "needs a frame"),
        ({"halo": ((2.0, 0.5), (1.0, 0.2))}, "reaches outwards and weakens"),
        ({"halo": ((1.0, 0.2), (2.0, 0.5))}, "reaches outwards and weakens"),
        ({"colour": "red"}, "no field 'colour'"),
    ],
)
def test_what_cannot_be_is_refused(fields, words):
    with pytest.raises(ClxemError, match=words):
        exposure(**fields)


def test_an_unknown_dose_is_no_zero():
    one = exposure(dose_per_image=None)
    assert one.image_dose() is None
    with pytest.raises(ClxemError, match=r"dose of exposure .* is unknown"):
        one.dose_at([[0.0, 0.0]])
    assert one.hits_at([[0.0, 0.0]])[0] == 131


@pytest.mark.parametrize("points", [[[0.0]], [[0.0, np.nan]], [[1.0, 2.0, 3.0, 4.0]]])
def test_points_are_checked(points):
    with pytest.raises(PointsError):
        exposure().hits_at(points)


def test_fluence_and_energy_make_the_dose_of_any_material():
    one = exposure(dose_per_image=None, fluence=0.86e10 / 131, energy=520.0)
    assert one.dose_at([[0, 0]])[0] == pytest.approx(239.1, rel=1e-3)
    assert one.in_material("ice").dose_at([[0, 0]])[0] == pytest.approx(78.67, rel=1e-3)
    stated = exposure(dose_per_image=76.2 / 131, material="ice", energy=520.0)
    ratio = stated.in_material("cell").image_dose() / stated.image_dose()
    assert ratio == pytest.approx(239.099 / 78.666, rel=1e-4)
    with pytest.raises(ClxemError, match="its energy is needed"):
        exposure(material="ice").image_dose("cell")


def test_light_and_ions_leave_no_dose():
    for modality in ("confocal", "vlm", "fib"):
        one = exposure(modality=modality, dose_per_image=None)
        assert one.dose_at([[0, 0]])[0] == 0.0
        assert one.hits_at([[0, 0]])[0] == 131


def test_pint_quantities_are_converted():
    pint = pytest.importorskip("pint")
    unit = pint.application_registry
    one = exposure(beam_radius=unit.Quantity(10_000, "nm"), dose_per_image=unit.Quantity(5e5, "Gy"))
    assert one.beam_radius == pytest.approx(10.0)
    assert one.dose_at([[0, 0]])[0] == pytest.approx(65.5)
    with pytest.raises(ClxemError, match="not in units of"):
        exposure(beam_radius=unit.Quantity(1, "second"))


@settings(max_examples=60, deadline=None)
@given(
    share=st.sampled_from([0.0, 0.3, 0.7, 1.0]),
    height=st.floats(-4.0, 4.0),
    halo=st.sampled_from([(), ((2.0, 0.4), (5.0, 0.1))]),
    turn=st.floats(-60.0, 60.0),
    round_=st.booleans(),
    azimuth=st.floats(-90.0, 90.0),
)
def test_lines_of_equal_dose_part_more_from_less(share, height, halo, turn, round_, azimuth):
    """Just within a line the dose is reached, just beyond it is not: at any height, with halo."""
    beam = {"beam_radius": 9.0} if round_ else {"beam_size": (12.0, 16.0), "beam_turn": turn}
    one = Exposure.tilt_series(
        modality="sxt",
        frame="map",
        aim=(3.0, -2.0),
        axis_height=1.5,
        axis_azimuth=azimuth,
        pretilt=5.0,
        tilts=np.arange(-50.0, 61.0, 5.0),
        dose_per_image=1.0,
        halo=halo,
        **beam,
    )
    (line,) = contours(one, (share,), height)
    if not len(line.polygon):
        return
    wanted = max(share * 23, 1e-9) * (1 - 1e-9)
    axis = np.deg2rad(azimuth)
    over = np.array([np.sin(axis), np.cos(axis)])  # across the tilt axis, (y, x)
    across = (line.polygon - one.aim) @ over
    along = (line.polygon - one.aim) @ np.array([np.cos(axis), -np.sin(axis)])
    for ring, place, distance in zip(line.polygon, across, along, strict=True):
        level = np.abs(along - distance) < 1e-9
        middle = across[level].mean()
        if np.ptp(across[level]) < 0.1 or abs(distance) > 0.999 * np.abs(along).max():
            continue  # the tip of a disc, the corner of a rectangle
        out = np.sign(place - middle) * 1e-3
        inner, outer = (
            one.dose_at([[1.5 + height, *(ring + step * over)]])[0] for step in (-out, out)
        )
        assert inner >= wanted or share > 0  # what is not convex may lie below in between
        assert outer < wanted
    inside = line.polygon.mean(axis=0)
    assert one.dose_at([[1.5 + height, *inside]])[0] >= min(wanted, share * 23 * 0.5)


def test_a_halo_s_end_is_the_outermost_line():
    one = exposure(halo=((5.0, 0.1),), tilts=(0.0,))
    (line,) = contours(one, (0.0,))
    assert np.linalg.norm(line.polygon - one.aim, axis=1) == pytest.approx(15.0)
    (bare,) = contours(one, (0.0,), halo=False)
    assert np.linalg.norm(bare.polygon - one.aim, axis=1) == pytest.approx(10.0)
    (core,) = contours(one, (1.0,))
    assert np.linalg.norm(core.polygon - one.aim, axis=1).max() == pytest.approx(10.0)
