from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from shapely.geometry import Polygon, box

from napari_clxem.errors import LamellaError
from napari_clxem.frames import Affine, UncertainAffine
from napari_clxem.lamella import Lamella, overlap, plan_overlap


def star(rng, corners=7):
    """A simple polygon that is hardly ever convex."""
    turns = np.sort(rng.uniform(0, 2 * np.pi, corners))
    turns = np.linspace(0, 2 * np.pi, corners, endpoint=False) + 0.1 * turns / 7
    radii = rng.uniform(0.8, 4, corners)
    return tuple(
        (float(r * np.cos(a)), float(r * np.sin(a))) for r, a in zip(radii, turns, strict=True)
    )


def random_pair(rng, outline=False):
    lamella = Lamella(
        rng.normal(0, 1, 3),
        angle=rng.uniform(0, 60),
        azimuth=rng.uniform(-180, 180),
        thickness=rng.uniform(0.1, 3),
        width=rng.uniform(1, 8),
        length=rng.uniform(1, 8),
        outline=star(rng) if outline else (),
    )
    middle, half = rng.normal(0, 1.5, 3), rng.uniform(0.5, 4, 3)
    return lamella, np.array([middle - half, middle + half])


def counted(lamella, corners, rng, side=24):
    """Volume by counting jittered voxels of the box, with a bound of its standard error."""
    cells = np.stack(np.meshgrid(*[np.arange(side)] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    points = corners[0] + (cells + rng.uniform(size=cells.shape)) / side * np.ptp(corners, axis=0)
    share = lamella.contains(points).mean()
    volume = np.prod(np.ptp(corners, axis=0))
    return share * volume, volume * np.sqrt(max(share * (1 - share), 1 / len(points)) / len(points))


@pytest.mark.parametrize("outline", [False, True])
def test_against_voxel_counting(outline):
    rng = np.random.default_rng(21)
    misses = []
    for _ in range(150):
        lamella, corners = random_pair(rng, outline)
        volume, error = counted(lamella, corners, rng)
        misses.append((overlap(lamella, corners).volume - volume) / error)
    # jittered voxels scatter less than independent points do
    assert np.abs(misses).max() < 4
    assert np.abs(np.mean(misses)) < 4 / np.sqrt(150)


@pytest.mark.parametrize("outline", [False, True])
def test_plan_against_shapely(outline):
    rng = np.random.default_rng(22)
    for _ in range(200):
        lamella, corners = random_pair(rng, outline)
        found = overlap(lamella, corners)
        plan, field = Polygon(lamella.plan), box(*corners[:, 1:].ravel())
        common = plan.intersection(field).area
        assert found.area_fraction == pytest.approx(common / plan.area, abs=1e-9)
        assert found.field_fraction == pytest.approx(common / field.area, abs=1e-9)
        assert found.iou == pytest.approx(common / plan.union(field).area, abs=1e-9)


offsets = st.tuples(*[st.floats(-3, 3)] * 3)


@given(offsets, st.floats(0, 80), st.floats(-180, 180))
@settings(max_examples=60)
def test_two_halves_of_a_box_make_the_whole(centre, angle, azimuth):
    lamella = Lamella(centre, angle, azimuth, thickness=0.8, width=4, length=3)
    whole = overlap(lamella, ((-2, -2, -2), (2, 2, 2))).volume
    halves = (
        overlap(lamella, ((-2, -2, -2), (2, 0.3, 2))).volume
        + overlap(lamella, ((-2, 0.3, -2), (2, 2, 2))).volume
    )
    assert halves == pytest.approx(whole, abs=1e-9)


@given(offsets, st.floats(0, 80), st.floats(-180, 180))
@settings(max_examples=40)
def test_inside_all_is_held(centre, angle, azimuth):
    lamella = Lamella(centre, angle, azimuth)
    found = overlap(lamella, ((-40, -40, -40), (40, 40, 40)))
    assert found.volume_fraction == pytest.approx(1)
    assert found.area_fraction == pytest.approx(1)
    assert found.volume == pytest.approx(36)


def test_compiled_and_plain_agree():
    script = (
        "import sys, numpy as np\n"
        "from napari_clxem.lamella import Lamella, overlap, warm\n"
        "one = Lamella((0.3, 1, 2), 12, 30, outline=((0, 0), (5, 0), (1, 1), (0, 6)))\n"
        "plain = overlap(one, ((-1, 0, 1), (2, 4, 6)))\n"
        "assert 'numba' not in sys.modules\n"
        "from napari_clxem import compiling\n"
        "box, spread = ((-1, 0, 1), (2, 4, 6)), 0.04 * np.eye(3)\n"
        "ready, compiling.ready = compiling.ready, lambda name: None\n"
        "open_ = overlap(one, box, covariance=spread).volume_interval\n"
        "compiling.ready = ready\n"
        "warm()\n"
        "assert 'numba' in sys.modules\n"
        "found = overlap(one, ((-1, 0, 1), (2, 4, 6)))\n"
        "assert plain.volume > 0\n"
        "assert np.allclose([plain.volume, plain.iou], [found.volume, found.iou], atol=1e-13)\n"
        "again = overlap(one, box, covariance=spread).volume_interval\n"
        "assert open_[1] > open_[0]\n"
        "assert np.allclose(open_, again, atol=1e-13)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_faces_that_lie_on_each_other():
    # every face of the one on a face of the other, inside and outside
    flat = Lamella((0, 0, 0), 0.0, thickness=1.0, width=4.0, length=6.0)
    same = ((-0.5, -3, -2), (0.5, 3, 2))
    assert overlap(flat, same).volume == pytest.approx(24)
    assert overlap(flat, same).iou == pytest.approx(1)
    assert overlap(flat, ((0.5, -3, -2), (1.5, 3, 2))).volume == pytest.approx(0, abs=1e-12)
    assert overlap(flat, ((-0.5, -3, 2), (0.5, 3, 6))).volume == pytest.approx(0, abs=1e-12)
    assert overlap(flat, ((0.0, -3, -2), (0.5, 3, 2))).volume == pytest.approx(12)
    assert overlap(flat, ((-2, -3, -2), (2, 3, 0))).volume == pytest.approx(12)
    far = Lamella((1000, 2000, -3000), 0.0, thickness=1.0, width=4.0, length=6.0)
    shifted = np.array(same) + far.centre
    assert overlap(far, shifted).volume == pytest.approx(24)


def test_beside_is_zero_not_an_error():
    found = overlap(Lamella((0, 0, 0), 10), ((50, 50, 50), (60, 60, 60)))
    assert (found.volume, found.area_fraction, found.iou) == (0, 0, 0)


def test_corners_may_come_in_any_order():
    lamella = Lamella((0, 1, 0), 20)
    one, other = ((-1, -2, -3), (3, 2, 1)), ((3, -2, 1), (-1, 2, -3))
    assert overlap(lamella, one) == overlap(lamella, other)


def test_through_a_map():
    rng = np.random.default_rng(5)
    lamella, corners = random_pair(rng)
    linear = np.eye(3) + 0.1 * rng.normal(size=(3, 3))
    place = Affine.from_parts(linear, rng.normal(size=3))
    found = overlap(lamella, corners, to_box=place)
    points = rng.uniform(*corners, (200_000, 3))
    share = lamella.contains(place.inverse(points)).mean() * np.prod(np.ptp(corners, axis=0))
    expected = share / abs(np.linalg.det(linear)) / lamella.volume
    assert found.volume_fraction == pytest.approx(expected, abs=0.01)
    plan = plan_overlap(lamella, corners[:, 1:], to_field=place.matrix)
    assert plan.area_fraction == pytest.approx(found.area_fraction)


def test_plan_through_a_projection():
    lamella = Lamella((0, 0, 0), 0, width=4, length=4)
    view = Affine.from_parts(np.array([[0, 1.0, 0], [0, 0, 1.0]]), [10.0, 20.0])
    assert plan_overlap(lamella, ((10, 18), (12, 22)), to_field=view).area_fraction == 0.5


def test_interval_holds_what_the_error_leaves():
    lamella = Lamella((0, 0, 0), 10, width=8, length=8)
    corners = np.array([[-3, -4, -3], [3, 2, 3]])
    spread = np.diag([0.2, 0.3, 0.4]) ** 2
    found = overlap(lamella, corners, covariance=spread)
    rng = np.random.default_rng(8)
    shifts = rng.multivariate_normal(np.zeros(3), spread, 1000)
    many = [overlap(lamella, corners + shift) for shift in shifts]
    for name in ("volume", "area", "field"):
        values = [getattr(one, f"{name}_fraction") for one in many]
        low, high = getattr(found, f"{name}_interval")
        assert np.quantile(values, [0.025, 0.975]) == pytest.approx([low, high], abs=0.02)
    assert found.iou_interval[0] < found.iou < found.iou_interval[1]
    wide = overlap(lamella, corners, covariance=spread, probability=0.5)
    assert wide.area_interval[0] > found.area_interval[0]


def test_interval_of_a_registration_that_is_less_sure_at_the_corners():
    lamella = Lamella((0.5, 4, 5), 5, width=8, length=7)
    corners = np.array([[-1, 1, 2], [2, 7, 12]])
    known = UncertainAffine.declared(
        np.eye(4), lamella.centre, 0.05, angle_sd=3.0, scale_sd=0.02, tilt_sd=2.0
    )
    found = overlap(lamella, corners, np.eye(4), covariance=known.predict_error)
    fixed = overlap(lamella, corners, covariance=known.predict_error(lamella.centre)[0])
    rng = np.random.default_rng(8)
    values = []
    for _ in range(700):
        change = rng.multivariate_normal(np.zeros(12), known.covariance).reshape(3, 4)
        linear = np.eye(3) + change[:, :3]
        shift = known.centre + change[:, 3] - linear @ known.centre
        values.append(overlap(lamella, corners, Affine.from_parts(linear, shift)).area_fraction)
    true = np.subtract(*np.quantile(values, [0.975, 0.025]))
    told = np.subtract(*reversed(found.area_interval))
    # turns, scales and shears stand in for each other, to some tens of percent
    assert 0.7 < told / true < 1.5
    assert np.subtract(*reversed(fixed.area_interval)) < told


def test_exact_registration_has_no_width():
    found = overlap(Lamella((0, 0, 0), 10), ((-3, -4, -3), (3, 2, 3)), covariance=np.zeros((3, 3)))
    assert found.area_interval == pytest.approx((found.area_fraction, found.area_fraction))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"box": ((0, 0, 0), (0, 5, 5))}, "no extent along z"),
        ({"box": ((0, 0, 0), (3, 0, 5))}, "no extent along y"),
        ({"box": ((0, 0, 0),)}, "two opposite corners"),
        ({"covariance": np.full((3, 3), np.nan)}, "not known"),
        ({"covariance": np.eye(3), "probability": 1.0}, "probability"),
        ({"to_box": np.eye(3)}, "must take"),
        ({"covariance": lambda p: np.zeros((len(p), 2, 2))}, "give \\(n, 3, 3\\)"),
    ],
)
def test_bad_input_is_named(arguments, said):
    with pytest.raises(LamellaError, match=said):
        overlap(Lamella((0, 0, 0), 10), **{"box": ((0, 0, 0), (5, 5, 5)), **arguments})


def test_edge_on_has_no_plan():
    with pytest.raises(LamellaError, match="edge on"):
        overlap(Lamella((0, 0, 0), 90), ((0, 0, 0), (5, 5, 5)))


def test_an_error_unknown_at_a_corner_is_said():
    def unknown_far_out(points):
        found = np.tile(0.01 * np.eye(3), (len(points), 1, 1))
        found[-1] = np.nan
        return found

    lamella = Lamella((2.0, 5.0, 5.0), 10.0)
    with pytest.raises(LamellaError, match="NaN"):
        overlap(lamella, ((0, 0, 0), (4, 10, 10)), covariance=unknown_far_out)
