from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_clxem.plugin.placement import PlacementError, apply, corners, drawable, local, place
from napari_clxem.plugin.resampling import resample

SHAPE = (20, 60, 50)
SCALE = (0.3, 0.1, 0.1)


def turned(tilt: float, rotation: float, shift: tuple[float, float, float]) -> np.ndarray:
    """Tilt about x after rotation in the plane, degrees."""
    a, b = np.deg2rad([tilt, rotation])
    about_x = np.array([[np.cos(a), -np.sin(a), 0], [np.sin(a), np.cos(a), 0], [0, 0, 1]])
    in_plane = np.array([[1, 0, 0], [0, np.cos(b), -np.sin(b)], [0, np.sin(b), np.cos(b)]])
    matrix = np.eye(4)
    matrix[:3, :3] = in_plane @ about_x
    matrix[:3, 3] = shift
    return matrix


def test_a_map_within_the_plane_is_left_to_napari():
    matrix = turned(0.0, 30.0, (3.0, 10.0, -5.0))
    placement = place(matrix, SHAPE, SCALE)
    assert not placement.tilted
    np.testing.assert_allclose(placement.flat, matrix, atol=1e-12)


def test_a_tilt_below_a_twentieth_of_a_pixel_is_left_to_napari_and_a_larger_one_is_not():
    assert not place(turned(0.001, 0.0, (0, 0, 0)), SHAPE, SCALE).tilted
    assert place(turned(1.0, 0.0, (0, 0, 0)), SHAPE, SCALE).tilted


@given(st.floats(-60, 60), st.floats(-180, 180))
@settings(max_examples=50, deadline=None)
def test_what_napari_draws_keeps_slices_parallel_and_the_centre_in_place(tilt, rotation):
    matrix = turned(tilt, rotation, (1.0, 2.0, 3.0))
    placement = place(matrix, SHAPE, SCALE)
    assert np.abs(placement.flat[0, 1:3]).max() == 0
    assert np.abs(placement.flat[1:3, 0]).max() == 0
    centre = corners(SHAPE, SCALE).mean(axis=0)[np.newaxis]
    np.testing.assert_allclose(
        apply(placement.flat @ placement.residual, centre), apply(matrix, centre), atol=1e-9
    )


def test_a_volume_in_a_plane_keeps_its_own_heights():
    planar = np.array([[0.0, -1.0, 5.0], [1.0, 0.0, 7.0], [0.0, 0.0, 1.0]])
    matrix = drawable(planar, 3)
    np.testing.assert_array_equal(apply(matrix, np.array([[4.0, 1.0, 2.0]])), [[4.0, 3.0, 8.0]])


def test_an_image_in_space_is_drawn_by_the_part_in_the_plane():
    matrix = drawable(turned(0.0, 90.0, (9.0, 1.0, 2.0)), 2)
    np.testing.assert_allclose(apply(matrix, np.array([[3.0, 0.0]])), [[1.0, 5.0]], atol=1e-12)


@pytest.mark.parametrize(
    "matrix", [np.zeros((4, 4)), np.full((4, 4), np.nan), np.eye(2), np.diag([0.0, 1.0, 1.0, 1.0])]
)
def test_a_map_that_cannot_be_drawn_is_said_so(matrix):
    with pytest.raises(PlacementError, match="cannot be drawn"):
        drawable(matrix, 3)


def test_the_origin_of_the_display_is_taken_away():
    moved = local(np.eye(4), (5.0, 1000.0, 2000.0))
    np.testing.assert_array_equal(moved[:3, 3], [-5.0, -1000.0, -2000.0])
    plane = local(np.eye(3), (5.0, 1000.0, 2000.0))
    np.testing.assert_array_equal(plane[:2, 2], [-1000.0, -2000.0])


def linear_volume(shape: tuple[int, int, int]) -> np.ndarray:
    """A volume that linear interpolation reproduces exactly: its value tells the position."""
    z, y, x = np.indices(shape, dtype=float)
    return (2.0 * z + 3.0 * y + 5.0 * x).astype(np.float32)


@pytest.mark.parametrize("tilt", [0.5, 5.0, 35.0, 90.0])
def test_a_resampled_slice_holds_what_lies_in_the_plane_of_the_display(tilt):
    volume = linear_volume(SHAPE)
    matrix = turned(tilt, 20.0, (1.0, 4.0, -3.0))
    cut = resample([volume], SCALE, place(matrix, SHAPE, SCALE))
    stack = cut.levels[0]
    z = stack.shape[0] // 2
    plane = stack[z]
    rows, columns = np.nonzero(np.isfinite(plane))
    assert len(rows) > 100
    index = np.column_stack([np.full(len(rows), z), rows, columns])
    display = apply(cut.affine, index * cut.scale)
    stored = apply(np.linalg.inv(matrix), display) / SCALE
    np.testing.assert_allclose(plane[rows, columns], stored @ (2.0, 3.0, 5.0), atol=1e-2)


def test_outside_the_volume_a_slice_is_empty():
    matrix = turned(20.0, 0.0, (0.0, 0.0, 0.0))
    cut = resample([linear_volume(SHAPE)], SCALE, place(matrix, SHAPE, SCALE))
    assert np.isnan(cut.levels[0][0][-1, -1])


def test_indexing_cuts_out_the_same_pixels_as_the_whole():
    matrix = turned(10.0, 0.0, (0.0, 0.0, 0.0))
    stack = resample([linear_volume(SHAPE)], SCALE, place(matrix, SHAPE, SCALE)).levels[0]
    whole = np.asarray(stack)
    assert whole.shape == stack.shape
    np.testing.assert_allclose(stack[7], whole[7], atol=1e-3)
    np.testing.assert_allclose(stack[-3, 5:20, ::2], whole[-3, 5:20, ::2], atol=1e-3)
    lazy = stack[2:6, :, 10:12]
    assert lazy.shape == whole[2:6, :, 10:12].shape
    np.testing.assert_allclose(lazy[1], whole[3, :, 10:12], atol=1e-3)
    assert stack[..., 4].shape == whole[..., 4].shape
    with pytest.raises(IndexError):
        stack[len(stack)]


class Counted:
    """A volume that notes how much of it is read."""

    def __init__(self, data: np.ndarray) -> None:
        self.data, self.read = data, 0
        self.shape, self.dtype, self.ndim = data.shape, data.dtype, data.ndim

    def __getitem__(self, key):
        taken = self.data[key]
        self.read += taken.size
        return taken


def test_a_slice_reads_only_the_part_of_the_volume_behind_it():
    volume = Counted(np.zeros((400, 64, 64), dtype=np.uint16))
    matrix = turned(5.0, 0.0, (0.0, 0.0, 0.0))
    cut = resample([volume], SCALE, place(matrix, volume.shape, SCALE))
    volume.read = 0
    np.asarray(cut.levels[0][200])
    assert 0 < volume.read < 0.02 * volume.data.size


def test_a_wide_volume_gets_coarse_levels_that_show_the_same_places():
    shape = (6, 1500, 1200)
    volume = linear_volume(shape)
    matrix = turned(1.0, 0.0, (0.0, 0.0, 0.0))
    cut = resample([volume], SCALE, place(matrix, shape, SCALE))
    sizes = [level.shape for level in cut.levels]
    assert len(sizes) >= 3
    assert np.prod(sizes[-1]) < 1_000_000
    fine, coarse = cut.levels[0][3], cut.levels[1][3]
    both = np.isfinite(coarse) & np.isfinite(fine[::2, ::2])
    np.testing.assert_allclose(coarse[both], fine[::2, ::2][both], rtol=1e-4)


def test_an_averaged_level_of_a_file_is_placed_by_its_pixel_centres():
    volume = linear_volume((8, 1600, 64))
    half = volume.reshape(8, 800, 2, 32, 2).mean(axis=(2, 4))
    matrix = turned(1.0, 0.0, (0.0, 0.0, 0.0))
    cut = resample([volume, half], SCALE, place(matrix, volume.shape, SCALE))
    fine, coarse = cut.levels[0][4], cut.levels[1][4]
    both = np.isfinite(coarse) & np.isfinite(fine[::2, ::2])
    both[:2] = both[-2:] = False
    assert both.sum() > 1000
    np.testing.assert_allclose(coarse[both], fine[::2, ::2][both], atol=0.1)
