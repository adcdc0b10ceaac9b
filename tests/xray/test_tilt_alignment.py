"""Tilt geometry: applied alignments, and those solved from beads."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from napari_clxem.errors import ImageError
from napari_clxem.xray import align_beads, follow, project, reconstruct, resample

TILTS = np.arange(-66, 67, 3.0)
BEADS = 9


def sightings(rng, azimuth, noise=0.01, missing=0.15):
    """Give tracks (tilts, beads, 2), true positions and shifts."""
    positions = np.column_stack(
        [rng.uniform(-1, 1, BEADS), rng.uniform(-5, 5, BEADS), rng.uniform(-5, 5, BEADS)]
    )
    shifts = rng.normal(0, 0.4, (len(TILTS), 2))
    angle, tilt = np.radians(azimuth), np.radians(TILTS)[:, None]
    across = positions[:, 2] * np.cos(tilt) + positions[:, 0] * np.sin(tilt)
    along = np.broadcast_to(positions[:, 1], across.shape)
    # the axis runs along (-sin, cos) in (x, y)
    x = across * np.cos(angle) - along * np.sin(angle) + shifts[:, 1:]
    y = across * np.sin(angle) + along * np.cos(angle) + shifts[:, :1]
    tracks = np.stack([y, x], axis=2) + rng.normal(0, noise, (len(TILTS), BEADS, 2))
    tracks[rng.uniform(size=tracks.shape[:2]) < missing] = np.nan
    return tracks, positions, shifts


@pytest.mark.parametrize("azimuth", [0.0, 7.3, -41.0, 86.0])
def test_beads_give_azimuth_heights_and_shifts(azimuth):
    tracks, positions, _ = sightings(np.random.default_rng(1), azimuth)
    found = align_beads(tracks, TILTS)
    assert found.azimuth == pytest.approx(azimuth, abs=0.1)
    assert found.rms < 0.02
    assert np.nanmax(found.by_tilt) < 0.06
    heights = positions[:, 0] - positions[:, 0].mean()
    assert found.positions[:, 0] == pytest.approx(heights, abs=0.03)
    aligned = np.einsum("nij,nbj->nbi", found.transforms()[:, :, :2], tracks)
    aligned += found.transforms()[:, None, :, 2]
    assert np.nanmax(np.nanstd(aligned[..., 0], axis=0)) < 0.03  # rows stay where they are


def test_a_bead_mistaken_once_is_left_out():
    tracks, _, _ = sightings(np.random.default_rng(2), 5.0, missing=0.0)
    tracks[4, 3] += 1.5
    found = align_beads(tracks, TILTS)
    assert np.isnan(found.residuals[4, 3]).all()
    assert found.rms < 0.02


def test_beads_found_image_by_image_are_followed():
    rng = np.random.default_rng(3)
    tracks, _, _ = sightings(rng, 12.0)
    found = [rng.permutation(t[np.isfinite(t[:, 0])]) for t in tracks]
    followed = follow(found, TILTS, reach=0.7)
    assert followed.shape[1] >= 5
    solved = align_beads(followed, TILTS)
    assert solved.azimuth == pytest.approx(12.0, abs=0.2)
    assert solved.rms < 0.03
    with pytest.raises(ImageError, match="No bead"):
        follow([f + 1e3 * i * rng.uniform(size=2) for i, f in enumerate(found)], TILTS, 1e-9)


def test_resampling_undoes_a_turn_and_a_shift():
    rng = np.random.default_rng(4)
    image = gaussian_filter(rng.normal(size=(61, 75)), 2.5)
    angle = np.radians(11.0)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    there = np.column_stack([turn, [3.25, -2.5]])
    back = np.column_stack([turn.T, -turn.T @ [3.25, -2.5]])
    again = resample(resample(image[None], there[None]), back[None])[0]
    inner = np.s_[18:-18, 18:-18]
    assert again[inner] == pytest.approx(image[inner], abs=0.02 * image.std())


def test_aligned_by_beads_a_series_reconstructs_as_if_it_had_never_moved():
    rng = np.random.default_rng(5)
    n, tilts = 64, np.arange(-60, 61, 4.0)
    places = rng.uniform(14, 50, (8, 3)) * (0.4, 1, 1) + (18, 0, 0)
    volume = np.zeros((n, n, n), np.float32)
    volume[tuple(np.round(places).astype(int).T)] = 40.0
    volume = gaussian_filter(volume, 1.2)
    clean = project(volume, tilts, 1.0)
    shifts = rng.uniform(-4, 4, (len(tilts), 2))
    moved = resample(clean, [np.column_stack([np.eye(2), s]) for s in shifts])
    whole = np.round(places) - (n - 1) / 2
    angle = np.radians(tilts)[:, None]
    seen = np.stack(
        [
            whole[:, 1] + shifts[:, :1],
            whole[:, 2] * np.cos(angle) + whole[:, 0] * np.sin(angle) + shifts[:, 1:],
        ],
        axis=2,
    )
    solved = align_beads(seen, tilts, azimuth=(-5, 5))
    assert solved.azimuth == pytest.approx(0.0, abs=1e-2)
    put_back = resample(moved, solved.transforms())
    best = reconstruct(clean, tilts, 1.0).data.max()
    assert reconstruct(put_back, tilts, 1.0).data.max() > 0.8 * best
    assert reconstruct(moved, tilts, 1.0).data.max() < 0.6 * best


@pytest.mark.parametrize(
    ("tracks", "tilts", "what"),
    [
        (np.ones((5, 2, 2)), np.arange(5) * 10, "2 beads"),
        (np.ones((5, 4, 3)), np.arange(5) * 10, "do not fit"),
        (np.ones((5, 4, 2)), np.arange(4) * 10, "do not fit"),
        (np.ones((5, 4, 2)), np.arange(5), "less than 10 degrees"),
        (np.ones((2, 4, 2)), [0, 20], "fewer than 3 images"),
    ],
)
def test_too_few_beads_or_tilts_are_refused(tracks, tilts, what):
    with pytest.raises(ImageError, match=what):
        align_beads(tracks, tilts)


def test_an_image_without_beads_and_bad_transforms_are_named():
    tracks, _, _ = sightings(np.random.default_rng(6), 0.0)
    tracks[7] = np.nan
    with pytest.raises(ImageError, match=r"Image 7 at -45 degrees"):
        align_beads(tracks, TILTS)
    with pytest.raises(ImageError, match="2 x 3 matrix"):
        resample(np.ones((3, 8, 8)), np.ones((2, 2, 3)))
    with pytest.raises(ImageError, match="singular"):
        resample(np.ones((1, 8, 8)), np.ones((1, 2, 3)))
