from __future__ import annotations

import numpy as np
import pytest

from napari_clxem.samples import point_grid
from napari_clxem.samples.poses import NOMINAL_ZETA


@pytest.fixture(scope="module")
def grids():
    return [point_grid(seed) for seed in range(1, 9)]


def test_every_frame_has_positions_covariances_and_ids(grids):
    for grid in grids:
        for frame in grid.frames.values():
            n, d = len(frame.ids), frame.pose.ndim
            assert frame.positions.shape == (n, d)
            assert frame.covariances.shape == (n, d, d)
            assert frame.from_grid.shape == ((4, 4) if d == 3 else (2, 4))
            assert frame.ids.max(initial=-1) < len(grid.scene.beads)


def test_errors_follow_the_covariances(grids):
    scaled = []
    for grid in grids:
        for frame in grid.frames.values():
            real = frame.ids >= 0
            d = frame.pose.ndim
            true = grid.scene.beads.centres[frame.ids[real]]
            placed = true @ frame.from_grid[:d, :3].T + frame.from_grid[:d, 3]
            residual = frame.positions[real] - placed
            sd = np.sqrt(np.diagonal(frame.covariances[real], axis1=1, axis2=2))
            scaled.append((residual / sd).ravel())
    scaled = np.concatenate(scaled)
    assert len(scaled) > 2000
    assert np.mean(scaled) == pytest.approx(0, abs=0.06)
    assert np.mean(scaled**2) == pytest.approx(1, abs=0.08)


def test_beads_are_missing_and_spurious_ones_added(grids):
    for grid in grids:
        sem = grid.frames["sem-overview"]
        assert 10 <= np.sum(sem.ids < 0) <= 30
        assert np.sum(sem.ids >= 0) < len(grid.scene.beads)
        assert np.sum(grid.frames["fluorescence-map"].ids < 0) >= 3
        assert len(np.unique(sem.ids[sem.ids >= 0])) == np.sum(sem.ids >= 0)


def test_lookalikes_are_not_where_beads_are(grids):
    for grid in grids:
        for frame in grid.frames.values():
            wrong = frame.positions[frame.ids < 0]
            d = frame.pose.ndim
            beads = grid.scene.beads.centres
            placed = beads @ frame.from_grid[:d, :3].T + frame.from_grid[:d, 3]
            if len(wrong) and frame.pose.modality != "fib":
                gap = np.linalg.norm(wrong[:, None] - placed, axis=2)
                assert gap.min() > 0.5


def test_stacks_are_in_the_frame_a_user_works_in(grids):
    frame = grids[0].frames["confocal-A"]
    assert frame.from_grid[0] == pytest.approx(NOMINAL_ZETA * frame.pose.matrix[0])
    assert frame.from_grid[1:] == pytest.approx(frame.pose.matrix[1:])


def test_picks_lie_where_their_sigmas_say(grids):
    squares = []
    for grid in grids:
        for picks in grid.picks:
            assert len(picks.ids) == len(picks.moving) == len(picks.fixed) >= 4
            if picks.fixed_frame.startswith("fib"):
                index = [int(name.removeprefix("bead-")) for name in picks.ids]
                true = grid.scene.beads.centres[index]
                for name, found, sd in (
                    (picks.moving_frame, picks.moving, picks.moving_sd),
                    (picks.fixed_frame, picks.fixed, picks.fixed_sd),
                ):
                    matrix = grid.frames[name].from_grid
                    placed = true @ matrix[: found.shape[1], :3].T + matrix[: found.shape[1], 3]
                    squares.append((((found - placed) / sd) ** 2).ravel())
    squares = np.concatenate(squares)
    assert len(squares) > 300
    assert np.mean(squares) == pytest.approx(1, abs=0.25)


def test_same_seed_same_points():
    first, again = point_grid(11), point_grid(11)
    for name, frame in first.frames.items():
        assert np.array_equal(frame.positions, again.frames[name].positions)
        assert np.array_equal(frame.ids, again.frames[name].ids)


def test_share_of_missed_beads():
    all_seen, half = point_grid(5, missed=0.0), point_grid(5, missed=0.5)
    seen = [np.sum(grid.frames["vlm-map"].ids >= 0) for grid in (all_seen, half)]
    assert 0.25 < seen[1] / seen[0] < 0.75
