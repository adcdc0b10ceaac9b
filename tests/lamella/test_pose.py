from __future__ import annotations

import dask.array as da
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_clxem.errors import LamellaError
from napari_clxem.frames import Affine
from napari_clxem.lamella import (
    Lamella,
    carried,
    face_on_tilt,
    features_at,
    resample_slab,
    slab_pose,
    tem_placement,
)

angles = st.floats(0.0, 60.0)
azimuths = st.floats(-180.0, 180.0)
tilts = st.floats(-60.0, 60.0)


def test_image_of_a_tilted_grid():
    # across the axis x cos + z sin, along it nothing changes; axis along y
    found = tem_placement(30.0).transform([[2.0, 3.0, 5.0]])[0]
    c, s = np.cos(np.deg2rad(30)), np.sin(np.deg2rad(30))
    assert found == pytest.approx([2 * c - 5 * s, 3, 5 * c + 2 * s])


@given(tilts, azimuths)
def test_placement_is_a_rotation(tilt, azimuth):
    linear = tem_placement(tilt, azimuth, rotation=20.0).linear
    assert linear @ linear.T == pytest.approx(np.eye(3), abs=1e-12)
    assert np.linalg.det(linear) == pytest.approx(1)
    axis = [0, np.cos(np.deg2rad(azimuth)), -np.sin(np.deg2rad(azimuth))]
    assert tem_placement(tilt, azimuth).linear @ axis == pytest.approx(axis, abs=1e-12)


@given(angles, azimuths, azimuths)
def test_face_on_tilt_shows_the_face_best(angle, azimuth, axis):
    lamella = Lamella((0, 0, 0), angle, azimuth)
    tilt, remaining = face_on_tilt(lamella, axis)
    pose = slab_pose(lamella, tem_placement(tilt, axis))
    assert pose.tilt == pytest.approx(remaining, abs=1e-4)
    for other in (tilt - 2, tilt + 2):
        assert slab_pose(lamella, tem_placement(other, axis)).tilt >= remaining - 1e-4


def test_tilt_axis_across_the_milling_direction_takes_the_angle_out():
    tilt, remaining = face_on_tilt(Lamella((0, 0, 0), 10.0), axis_azimuth=-90.0)
    assert (tilt, remaining) == pytest.approx((10.0, 0.0))
    tilt, remaining = face_on_tilt(Lamella((0, 0, 0), 10.0), axis_azimuth=0.0)
    assert (tilt, remaining) == pytest.approx((0.0, 10.0))


def test_pose_in_a_scaled_frame():
    pose = slab_pose(Lamella((1, 2, 3), 20.0, thickness=0.3), 2 * np.eye(4) - np.diag([0, 0, 0, 1]))
    assert pose.thickness == pytest.approx(0.6)
    assert pose.centre == pytest.approx([2, 4, 6])
    assert pose.tilt == pytest.approx(20)


@pytest.fixture
def volume():
    """A linear field over 4 x 8 x 8 µm."""
    z, y, x = np.meshgrid(*[np.arange(n) * 0.1 for n in (40, 80, 80)], indexing="ij")
    return (z + 10 * y + 100 * x).astype(np.float32)


def test_linear_field_is_cut_exactly(volume):
    place = tem_placement(12.0, axis_azimuth=-70.0, rotation=15.0, scale=1.02, shift=(1.0, 2.0))
    lamella = Lamella((2.0, 4.0, 4.0), 12.0, azimuth=20.0, width=4, length=4)
    pose = slab_pose(lamella, place)
    shape, pixel = (90, 100), (0.1, 0.09)
    found = resample_slab(volume, (0.1, 0.1, 0.1), place, pose, shape, pixel)
    rows, columns = np.nonzero(np.isfinite(found))
    y, x = rows * pixel[0], columns * pixel[1]
    z = (
        pose.centre[0]
        - (np.column_stack([y, x]) - pose.centre[1:]) @ pose.normal[1:] / (pose.normal[0])
    )
    origin = place.inverse(np.column_stack([z, y, x]))
    # away from the faces of the volume all samples over the thickness count
    deep = ((origin > 0.3) & (origin < [3.6, 7.6, 7.6])).all(axis=1)
    assert deep.sum() > 2000
    values = found[rows, columns]
    assert values[deep] == pytest.approx((origin @ [1, 10, 100])[deep], abs=1e-2)


def test_lazy_volume_gives_the_same(volume):
    place = tem_placement(10.0, axis_azimuth=-90.0)
    pose = slab_pose(Lamella((2.0, 4.0, 4.0), 10.0, width=3, length=3), place)
    eager = resample_slab(volume, (0.1, 0.1, 0.1), place, pose, (50, 50), (0.1, 0.1))
    lazy = da.from_array(volume, chunks=(8, 32, 32))
    found = resample_slab(lazy, (0.1, 0.1, 0.1), place, pose, (50, 50), (0.1, 0.1))
    assert np.array_equal(found, eager, equal_nan=True)
    inside = resample_slab(
        volume, (0.1, 0.1, 0.1), place, pose, (50, 50), (0.1, 0.1), inside_only=True
    )
    assert np.isfinite(inside).sum() < np.isfinite(eager).sum()


def test_volume_elsewhere_leaves_the_map_empty(volume):
    pose = slab_pose(Lamella((500.0, 4.0, 4.0), 0.0))
    found = resample_slab(volume, (0.1, 0.1, 0.1), np.eye(4), pose, (20, 20), (0.1, 0.1))
    assert np.isnan(found).all()


def test_features_that_a_tilt_series_shows():
    pose = slab_pose(Lamella((1.0, 5.0, 5.0), 0.0, thickness=0.3))
    place = Affine.from_parts(np.eye(3), [0.0, 1.0, 0.0])
    # in the slab, above it, cut by its face, beside the field, at the field's edge
    features = [[1, 4, 5], [2, 4, 5], [1.3, 4.5, 5], [1, 9, 5], [1, 4, 6.2]]
    found = features_at([[5.0, 5.0], [50.0, 5.0]], (2.0, 2.0), features, 0.25, place, pose)
    assert found == ((0, 2, 4), ())


def test_edge_on_is_refused(volume):
    pose = slab_pose(Lamella((2, 4, 4), 90.0))
    with pytest.raises(LamellaError, match="edge on"):
        resample_slab(volume, (0.1, 0.1, 0.1), np.eye(4), pose, (20, 20), (0.1, 0.1))
    with pytest.raises(LamellaError, match="4 x 4"):
        slab_pose(Lamella((2, 4, 4), 10.0), Affine.planar(3.0))


def test_a_carried_slab_is_the_same_slab():
    lamella = Lamella((1.0, 2.0, 3.0), 12.0, 30.0, 0.3, 8.0, 6.0, 0.05)
    placement = np.eye(4)
    a, b = np.deg2rad([17.0, 40.0])
    tilt = np.array([[np.cos(a), -np.sin(a), 0], [np.sin(a), np.cos(a), 0], [0, 0, 1]])
    turn = np.array([[1, 0, 0], [0, np.cos(b), -np.sin(b)], [0, np.sin(b), np.cos(b)]])
    placement[:3, :3] = 1.1 * tilt @ turn
    placement[:3, 3] = 5.0, -2.0, 1.0
    there = carried(lamella, placement)
    points = np.random.default_rng(4).uniform(-6, 6, (4000, 3)) * [0.3, 1, 1] + lamella.centre
    inside = lamella.contains(points)
    assert inside.sum() > 50
    np.testing.assert_array_equal(there.contains(Affine(placement).transform(points)), inside)
    assert there.volume == pytest.approx(1.1**3 * lamella.volume)
    assert there.core == pytest.approx(1.1 * lamella.core)
