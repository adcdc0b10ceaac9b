"""Beads: found, located within their stated error, and told from what only looks like them."""

from __future__ import annotations

import dask.array as da
import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from scipy.spatial import cKDTree
from scipy.special import erf

from napari_clxem.errors import Cancelled, ClxemError, MissingScaleError, PointsError
from napari_clxem.fiducials import block_fits, blocks, detect


def lattice(rng, side, step=4.0, margin=2.0, jitter=0.4):
    """Places on a square lattice, each moved at random by parts of a pixel."""
    line = np.arange(margin, side - margin + 1e-9, step)
    places = np.stack(np.meshgrid(line, line, indexing="ij"), -1).reshape(-1, 2)
    return places + rng.uniform(-jitter, jitter, places.shape)


def projections(shape, pixel, places, psf=0.35, opacity=0.0, diameter=1.0, fine=8):
    """Balls seen in projection, drawn on an eight times finer grid and averaged over pixels."""
    image = np.zeros(shape)
    half = int(np.ceil((diameter / 2 + 2 * psf) / pixel)) + 2
    for place in places:
        low = np.round(place / pixel).astype(int) - half
        steps = (np.arange((2 * half + 1) * fine) + 0.5) / fine - 0.5
        y, x = ((steps + first) * pixel - at for first, at in zip(low, place, strict=True))
        chord = np.sqrt(np.clip((diameter / 2) ** 2 - y[:, None] ** 2 - x**2, 0, None))
        chord /= diameter / 2
        sharp = chord if opacity == 0 else 1 - np.exp(-opacity * chord)
        blurred = gaussian_filter(sharp, psf / 2.3548 / (pixel / fine))
        side = 2 * half + 1
        drawn = blurred.reshape(side, fine, side, fine).mean(axis=(1, 3))
        rows = slice(max(low[0], 0), min(low[0] + side, shape[0]))
        columns = slice(max(low[1], 0), min(low[1] + side, shape[1]))
        if rows.stop > rows.start and columns.stop > columns.start:
            image[rows, columns] += drawn[
                rows.start - low[0] : rows.stop - low[0],
                columns.start - low[1] : columns.stop - low[1],
            ]
    return image


def balls(shape, spacing, places, psf=(1.0, 0.35), diameter=1.0):
    """Filled balls: points of a ball, each a Gaussian integrated over the voxels."""
    line = (np.arange(14) + 0.5) / 14 * 2 - 1
    inside = np.stack(np.meshgrid(line, line, line), -1).reshape(-1, 3)
    inside = inside[(inside**2).sum(axis=1) < 1] * diameter / 2
    sigma = np.array([psf[0], psf[1], psf[1]]) / 2.3548
    centre = np.prod(np.exp(-(inside**2) / (2 * sigma**2)) / np.sqrt(2 * np.pi) / sigma, axis=1)
    image = np.zeros(shape)
    reach = diameter / 2 + 5 * sigma
    for place in places:
        lines, part = [], []
        for axis, (n, step) in enumerate(zip(shape, spacing, strict=True)):
            first = max(0, int((place[axis] - reach[axis]) / step))
            last = min(n, int((place[axis] + reach[axis]) / step) + 2)
            edges = (np.arange(first, last + 1) - 0.5) * step
            edges = edges - (inside[:, axis, None] + place[axis])
            lines.append(np.diff(0.5 * erf(edges / np.sqrt(2) / sigma[axis]), axis=1) / step)
            part.append(slice(first, last))
        plane = (lines[1][:, :, None] * lines[2][:, None, :]).reshape(len(inside), -1)
        drawn = (lines[0].T @ plane).reshape([line.shape[1] for line in lines])
        image[tuple(part)] += drawn / len(inside)
    return image / centre.mean()


def compare(beads, places, reach=0.4):
    """Errors of the beads near true places, and how many are near none."""
    distance, index = cKDTree(places).query(beads.positions)
    true = distance < reach
    errors = beads.positions[true] - places[index[true]]
    return errors, errors / beads.sigma[true], int((~true).sum()), np.unique(index[true]).size


# kind, psf, opacity, pixel, slope of the background: light, X-rays, electrons
LOOKS = [
    ("bright", 0.35, 0.0, 0.1, 0.0),
    ("bright", 0.35, 0.0, 0.1, 0.3),
    ("bright", 0.35, 0.0, 0.25, 0.0),
    ("dark", 0.05, 1.0, 0.05, 0.0),
    ("dark", 0.05, 1.0, 0.025, 0.1),
]


@pytest.mark.parametrize(("kind", "psf", "opacity", "pixel", "slope"), LOOKS)
def test_errors_in_the_plane_are_what_sigma_says(kind, psf, opacity, pixel, slope):
    rng = np.random.default_rng(1)
    places = lattice(rng, 32, step=3.5)
    side = int(32 / pixel)
    drawn = projections((side, side), pixel, places, psf, opacity)
    level = 100 * (1 + 3 * drawn) if kind == "bright" else 100 * (1 - 0.6 * drawn)
    counts = rng.poisson(level + slope * np.arange(side)).astype(np.uint16)
    found = detect(counts, pixel, kind=kind)
    errors, scaled, spurious, hits = compare(found, places)
    assert (hits, spurious) == (len(places), 0)
    assert 0.85 < np.sqrt((scaled**2).mean()) < 1.2
    bias, doubt = errors.mean(axis=0), errors.std(axis=0) / np.sqrt(len(errors))
    # No fraction of a pixel is lost: 24 such images together, 1944 beads, show 0.001 ± 0.001
    # pixels of 100 nm and 0.006 ± 0.003 of 25 nm, so all that is seen in one of them is chance.
    assert np.all(np.abs(bias) < 3 * doubt)
    np.testing.assert_allclose(np.median(found.diameter), 1.0, atol=0.03)


@pytest.mark.parametrize("slope", [0.0, 2.0])
def test_errors_in_a_stack_are_what_sigma_says(slope):
    rng = np.random.default_rng(2)
    spacing = (0.3, 0.1, 0.1)
    flat = lattice(rng, 18, margin=2.5)
    places = np.column_stack([rng.uniform(3, 5.5, len(flat)), flat])
    level = 500 * balls((30, 180, 180), spacing, places) + 20 + slope * np.arange(180)
    found = detect(rng.poisson(level).astype(np.uint16), spacing)
    errors, scaled, spurious, hits = compare(found, places)
    assert (hits, spurious) == (len(places), 0)
    assert 0.75 < np.sqrt((scaled**2).mean()) < 1.25
    assert np.sqrt((errors**2).mean(axis=0)).max() < 0.05 * 0.1


def sharp_balls(shape, pixel, places, psf, fine=3):
    """Filled balls under a blur alike in all directions: the closed form, averaged over voxels."""
    sigma, image = psf / 2.3548, np.zeros(shape)
    half = int(np.ceil((0.5 + 4 * sigma) / pixel)) + 1
    steps = (np.arange((2 * half + 1) * fine) + 0.5) / fine - 0.5
    for place in places:
        low = np.round(place / pixel).astype(int) - half
        z, y, x = ((steps + first) * pixel - at for first, at in zip(low, place, strict=True))
        r = np.sqrt(z[:, None, None] ** 2 + y[:, None] ** 2 + x**2)
        ball = 0.5 * (erf((0.5 - r) / np.sqrt(2) / sigma) + erf((0.5 + r) / np.sqrt(2) / sigma))
        bells = np.exp(-(((0.5 - r) / sigma) ** 2) / 2) - np.exp(-(((0.5 + r) / sigma) ** 2) / 2)
        ball -= sigma / (r * np.sqrt(2 * np.pi)) * bells
        drawn = ball.reshape((2 * half + 1, fine) * 3).mean(axis=(1, 3, 5))
        image[tuple(slice(a, a + len(drawn)) for a in low)] += drawn
    return image


def test_gaussian_spots_are_located_as_well_as_blurred_balls():
    width, peak, dark = np.array([1.6, 2.6, 2.6]), 500.0, 20.0
    pixel, missed, scaled = np.array([0.3, 0.1, 0.1]), [], []
    for seed in (30, 31):
        rng = np.random.default_rng(seed)
        flat = lattice(rng, 26, step=4.0, margin=2.5)
        places = np.column_stack([rng.uniform(3, 6, len(flat)), flat])
        level = np.full((30, 260, 260), dark)
        for place in places / pixel:
            low = np.maximum(np.round(place - 6 * width).astype(int), 0)
            box = tuple(
                slice(a, a + n) for a, n in zip(low, np.ceil(12 * width).astype(int), strict=True)
            )
            grid = np.indices(level[box].shape) + low[:, None, None, None]
            away = (grid - place[:, None, None, None]) / width[:, None, None, None]
            level[box] += peak * np.exp(-0.5 * (away**2).sum(axis=0))
        found = detect(rng.poisson(level).astype(np.uint16), pixel)
        errors, some, spurious, hits = compare(found, places)
        assert (hits, spurious) == (len(places), 0)
        missed.append(errors)
        scaled.append(some)
    away = np.indices((13, 21, 21)).reshape(3, -1) - np.array([[6], [10], [10]])
    spot = np.exp(-0.5 * ((away / width[:, None]) ** 2).sum(axis=0))
    slopes = [*(peak * spot * away / width[:, None] ** 2), spot, np.ones(spot.shape), *away]
    jacobian = np.array(slopes)
    bound = np.linalg.inv(jacobian / (dark + peak * spot) @ jacobian.T).diagonal()[:3] ** 0.5
    ratio = np.concatenate(missed) / (bound * pixel)
    assert np.sqrt((ratio**2).mean()) < 1.2  # 1.05 over many such images
    assert np.abs(ratio.mean(axis=0)).max() < 3.5 / np.sqrt(len(ratio))
    assert 0.85 < np.sqrt((np.concatenate(scaled) ** 2).mean()) < 1.15


def test_sigma_holds_where_only_the_edge_tells_the_blur():
    rng = np.random.default_rng(19)
    flat = lattice(rng, 12, step=1.9, margin=1.2, jitter=0.1)
    places = np.column_stack([rng.uniform(0.95, 1.05, len(flat)), flat])
    level = 3200 * (1 + sharp_balls((40, 240, 240), 0.05, places, 0.06))
    found = detect(rng.poisson(level).astype(np.uint16), 0.05)
    errors, scaled, spurious, hits = compare(found, places)
    assert (hits, spurious) == (len(places), 0)
    assert 0.85 < np.sqrt((scaled**2).mean()) < 1.15  # 108 coordinates: 1 ± 0.07
    assert np.abs(errors).max() < 0.0005
    # errors of a fiftieth of a pixel show the noise only if the profile is the beads' own
    assert found.sigma.max() < 0.00012


@pytest.mark.parametrize(
    ("diameter", "opacity", "psf"), [(0.96, 0.4, 0.05), (1.03, 2.0, 0.09), (1.03, 6.0, 0.06)]
)
def test_diameters_are_those_of_the_beads_where_the_edge_is_sharp(diameter, opacity, psf):
    rng = np.random.default_rng(20)
    places = lattice(rng, 20, step=3.5)
    drawn = projections((400, 400), 0.05, places, psf, opacity, diameter)
    found = detect(rng.poisson(900 * (1 - 0.5 * drawn)), 0.05, kind="dark")
    _, scaled, spurious, hits = compare(found, places)
    assert (hits, spurious) == (len(places), 0)
    assert 0.75 < np.sqrt((scaled**2).mean()) < 1.3
    np.testing.assert_allclose(np.median(found.diameter), diameter, atol=0.01)


@pytest.mark.parametrize("pixel", [0.1, 0.015])
def test_snr_is_peak_over_the_noise_of_its_pixel(pixel):
    rng = np.random.default_rng(3)
    side = 20.0 if pixel == 0.1 else 10.0
    places = lattice(rng, side, step=3.0)
    shape = (round(side / pixel),) * 2
    level = 400 * projections(shape, pixel, places, fine=8 if pixel == 0.1 else 1) + 100
    found = detect(rng.poisson(level), pixel)
    expected = (level.max() - 100) / np.sqrt(level.max())
    np.testing.assert_allclose(np.median(found.snr), expected, rtol=0.1)


@pytest.mark.parametrize(("seed", "pass_for_beads"), [(14, 0), (15, 1), (18, 0)])  # of 980 four
def test_round_things_of_another_make_do_not_fit(seed, pass_for_beads):
    rng = np.random.default_rng(seed)
    places = lattice(rng, 30)
    disc = projections((300, 300), 0.1, places, 0.1, opacity=30.0)
    ring = disc - projections((300, 300), 0.1, places, 0.1, opacity=30.0, diameter=0.7)
    beads = lattice(rng, 30, step=26.0)
    level = 60 + 120 * ring
    found = detect(rng.poisson(level), 0.1, psf=0.1)
    assert len(found) <= pass_for_beads
    assert "does not fit a bead" in {r.reason for r in found.rejected}
    solid = 60 + 120 * projections((300, 300), 0.1, beads, 0.1, opacity=30.0)
    assert len(detect(rng.poisson(solid), 0.1, psf=0.1)) == len(beads)


@pytest.mark.parametrize("apart", [1.0, 1.2, 1.6, 2.2])
@pytest.mark.parametrize("kind", ["bright", "dark"])
def test_touching_beads_are_two(kind, apart):
    rng = np.random.default_rng(4)
    middles = lattice(rng, 28, step=5.0, margin=3.0, jitter=0.2)
    angle = rng.uniform(0, 2 * np.pi, len(middles))
    arm = apart / 2 * np.column_stack([np.cos(angle), np.sin(angle)])
    places = np.vstack([middles + arm, middles - arm])
    if kind == "bright":
        level = 20 + 200 * projections((280, 280), 0.1, places)
        found = detect(rng.poisson(level), 0.1)
    else:
        level = 200 * np.exp(-0.7 * projections((560, 560), 0.05, places, 0.05))
        found = detect(rng.poisson(level), 0.05, kind="dark")
    errors, _, spurious, hits = compare(found, places)
    assert (hits, spurious) == (len(places), 0)
    assert np.sqrt((errors**2).mean()) < 0.01


def test_beads_at_the_border_are_right_or_rejected():
    rng = np.random.default_rng(5)
    places = np.array(
        [(y, rng.uniform(-0.4, 1.2)) for y in np.arange(2, 18, 2.5)]
        + [(rng.uniform(18.8, 20.3), x) for x in np.arange(4, 20, 2.5)]
    )
    level = 20 + 200 * projections((200, 200), 0.1, places)
    found = detect(rng.poisson(level), 0.1)
    errors, scaled, spurious, hits = compare(found, places)
    assert spurious == 0
    assert hits >= 5
    assert np.abs(errors).max() < 0.03
    assert np.abs(scaled).max() < 4
    clipped = [r for r in found.rejected if r.reason.startswith("clipped")]
    assert hits + len(clipped) == len(places)
    inward = np.minimum(found.positions, 19.9 - found.positions).min(axis=1)
    assert inward.min() > 0.15  # of a bead cut through the middle half the edge is missing


def test_saturated_beads_are_rejected_as_such():
    rng = np.random.default_rng(6)
    places = lattice(rng, 20)
    level = 20 + 400 * projections((200, 200), 0.1, places)
    found = detect(rng.poisson(level).clip(0, 255).astype(np.uint8), 0.1)
    assert len(found) == 0
    assert {r.reason for r in found.rejected} == {"saturated"}
    assert len(found.rejected) == len(places)


def holey(side, pixel, hole, pitch=4.6):
    """A carbon film with round holes: 1 in a hole, 0 on carbon."""
    line = np.arange(int(side / pixel)) * pixel
    film = np.zeros((len(line), len(line)))
    for y in np.arange(2, side, pitch):
        for x in np.arange(2, side, pitch):
            film[(line[:, None] - y) ** 2 + (line - x) ** 2 < (hole / 2) ** 2] = 1
    return gaussian_filter(film, 0.7)


@pytest.mark.parametrize("psf", [0.8, 1.0])
def test_beads_in_light_that_resolves_little_are_found(psf):
    rng = np.random.default_rng(20)
    places = lattice(rng, 40)
    level = 20 + 200 * projections((400, 400), 0.1, places, psf)
    found = detect(rng.poisson(level), 0.1)
    _, scaled, spurious, hits = compare(found, places)
    assert (hits, spurious) == (len(places), 0)
    assert 0.8 < np.sqrt((scaled**2).mean()) < 1.25
    np.testing.assert_allclose(np.median(found.diameter), 1.0, atol=0.1)


@pytest.mark.parametrize("hole", [1.6, 1.8])
@pytest.mark.parametrize("contrast", [30, 120])
def test_small_holes_are_no_beads_in_blurred_light(hole, contrast):
    rng = np.random.default_rng(21)
    film = holey(40, 0.1, hole)
    bright = detect(rng.poisson(50 + contrast * film).astype(np.uint8), 0.1)
    dark = detect(rng.poisson(200 - contrast * film).astype(np.uint8), 0.1, kind="dark")
    for found in (bright, dark):
        holes = {tuple(place) for place in np.round((found.positions - 2.0) / 4.6)}
        assert len(holes) <= 4  # of 81, which look like three touching beads


@pytest.mark.parametrize("hole", [2.0, 2.5, 3.5])
def test_holes_of_the_film_are_no_beads(hole):
    rng = np.random.default_rng(7)
    film = holey(40, 0.1, hole)
    found = detect(rng.poisson(50 + 30 * film).astype(np.uint8), 0.1)
    assert len(found) <= 2


def test_a_mosaic_of_few_counts_with_seams_film_cells_and_bars():
    rng = np.random.default_rng(8)
    side, pixel = 40, 0.05
    shape = (800, 800)
    places = lattice(rng, side, step=6.0, margin=4.0)
    cells = sum(
        0.1 * size * gaussian_filter(rng.normal(size=shape), size / pixel) / pixel
        for size in (0.3, 1.0, 3.0)
    )
    clear = np.exp(-0.25 * (1 - holey(side, pixel, 2.0)) - 0.3 - cells)
    clear *= np.exp(-0.7 * projections(shape, pixel, places, 0.05))
    clear[:, :30] *= 0.05
    for tile in range(0, 800, 200):
        clear[:, tile : tile + 200] *= rng.uniform(0.85, 1.15)
    found = detect(rng.poisson(60 * clear).clip(0, 255).astype(np.uint8), pixel, kind="dark")
    _, scaled, spurious, hits = compare(found, places)
    assert hits >= 0.85 * len(places)
    assert spurious <= 3
    assert np.median(np.abs(scaled)) < 1.5
    assert all(r.reason for r in found.rejected)


def test_a_tomogram_of_noisy_voxels():
    rng = np.random.default_rng(9)
    spacing, shape = (0.05, 0.05, 0.05), (70, 130, 130)
    flat = lattice(rng, 6.5, step=2.4, margin=1.3, jitter=0.1)
    places = np.column_stack([rng.uniform(1.5, 2.0, len(flat)), flat])
    absorption = 0.7 * balls(shape, spacing, places, psf=(0.3, 0.06))
    found = detect((absorption + rng.normal(0, 0.5, shape)).astype(np.float32), spacing)
    errors, _, spurious, hits = compare(found, places)
    assert hits == len(places)
    assert spurious <= 1
    assert np.sqrt((errors**2).mean()) < 0.015


def test_missing_pixels_are_left_out():
    rng = np.random.default_rng(10)
    places = lattice(rng, 30)
    image = rng.poisson(20 + 200 * projections((300, 300), 0.1, places)).astype(float)
    image[100:160] = np.nan
    found = detect(image, 0.1)
    errors, _, spurious, hits = compare(found, places)
    outside = np.abs(places[:, 0] - 13.0) > 3.0 + 1.2
    assert hits >= outside.sum()
    assert spurious == 0
    assert np.abs(errors).max() < 0.04
    assert not ((found.positions[:, 0] > 10.3) & (found.positions[:, 0] < 15.6)).any()


@pytest.mark.parametrize("chunks", [(37, 50), (150, 300), (300, 11)])
def test_dask_gives_exactly_what_numpy_gives(chunks):
    rng = np.random.default_rng(11)
    image = rng.poisson(20 + 200 * projections((300, 300), 0.1, lattice(rng, 30)))
    one, other = detect(image, 0.1), detect(da.from_array(image, chunks=chunks), 0.1)
    np.testing.assert_array_equal(one.positions, other.positions)
    np.testing.assert_array_equal(one.covariance, other.covariance)
    assert one.rejected == other.rejected


def test_blocks_leave_no_seam(monkeypatch):
    rng = np.random.default_rng(12)
    places = lattice(rng, 40)
    image = rng.poisson(20 + 200 * projections((400, 400), 0.1, places))
    whole = detect(image, 0.1)
    monkeypatch.setattr(blocks, "_BLOCK_2D", 128)
    parted = detect(image, 0.1)
    assert len(whole) == len(parted) == len(places)
    distance, _ = cKDTree(whole.positions).query(parted.positions)
    assert distance.max() < 0.002


def test_pairs_that_touch_across_a_seam_are_two(monkeypatch):
    rng = np.random.default_rng(15)
    along = np.arange(2.0, 38.0, 3.0)
    middles = np.column_stack([along, np.full(len(along), 12.75) + rng.uniform(-0.6, 0.6, 12)])
    arm = np.array([0.0, 0.55])
    places = np.vstack([middles + arm, middles - arm])
    image = rng.poisson(20 + 200 * projections((400, 256), 0.1, places))
    whole = detect(image, 0.1)
    monkeypatch.setattr(blocks, "_BLOCK_2D", 128)
    parted = detect(image, 0.1)
    _, scaled, spurious, hits = compare(parted, places)
    assert (hits, len(parted), spurious) == (len(places), len(places), 0)
    assert np.sqrt((scaled**2).mean()) < 1.3
    distance, _ = cKDTree(whole.positions).query(parted.positions)
    assert distance.max() < 0.003


@pytest.mark.parametrize("held", [0.0, 1e5])
def test_what_is_fitted_before_all_is_read_differs_by_less_than_its_error(monkeypatch, held):
    rng = np.random.default_rng(16)
    places = lattice(rng, 40)
    image = rng.poisson(20 + 200 * projections((400, 400), 0.1, places))
    whole = detect(image, 0.1)
    monkeypatch.setattr(blocks, "_BLOCK_2D", 128)
    monkeypatch.setattr(block_fits, "_HELD", held)
    early = detect(image, 0.1)
    lazy = detect(da.from_array(image, chunks=(150, 90)), 0.1)
    np.testing.assert_array_equal(early.positions, lazy.positions)
    np.testing.assert_array_equal(early.covariance, lazy.covariance)
    assert early.rejected == lazy.rejected
    assert len(early) == len(places)
    distance, index = cKDTree(whole.positions).query(early.positions)
    assert np.all(distance < 0.5 * whole.sigma[index].max(axis=1))


def test_progress_goes_from_nothing_to_all(monkeypatch):
    rng = np.random.default_rng(17)
    image = rng.poisson(20 + 200 * projections((300, 300), 0.1, lattice(rng, 30)))
    monkeypatch.setattr(blocks, "_BLOCK_2D", 128)
    told = []
    detect(image, 0.1, progress=lambda share, text: told.append((share, text)))
    shares = [share for share, _ in told]
    assert shares == sorted(shares)
    assert (shares[0], shares[-1]) == (0.0, 1.0)
    assert len(set(shares)) >= 9  # blocks
    assert all(text for _, text in told)


@pytest.mark.parametrize("after", [0, 1, 5, 12])
def test_a_search_can_be_given_up(monkeypatch, after):
    rng = np.random.default_rng(18)
    image = rng.poisson(20 + 200 * projections((300, 300), 0.1, lattice(rng, 30)))
    monkeypatch.setattr(blocks, "_BLOCK_2D", 128)
    asked = []

    def cancelled():
        asked.append(1)
        return len(asked) > after

    with pytest.raises(Cancelled, match="stopped"):
        detect(image, 0.1, cancelled=cancelled)
    assert len(asked) == after + 1


@pytest.mark.parametrize("shape", [(60, 60), (1, 1), (5, 5), (1, 1, 1), (2, 40, 40), (0, 20)])
@pytest.mark.parametrize("value", [0.0, 7.0, np.nan])
def test_images_without_anything_have_no_beads(shape, value):
    spacing = (0.3, 0.1, 0.1)[-len(shape) :]
    found = detect(np.full(shape, value), spacing)
    assert found.positions.shape == (0, len(shape))
    assert found.sigma.shape == (0, len(shape))
    assert found.rejected == ()


@pytest.mark.parametrize("noise", ["gaussian", "poisson"])
def test_noise_has_no_beads(noise):
    rng = np.random.default_rng(13)
    shape = (600, 600)
    image = rng.normal(size=shape) if noise == "gaussian" else rng.poisson(0.3, shape)
    assert len(detect(image, 0.1)) == 0


@pytest.mark.parametrize(
    ("image", "options", "error", "says"),
    [
        (np.zeros((9, 9)), {"spacing": 0.0}, MissingScaleError, "pixel size"),
        (np.zeros((9, 9)), {"spacing": (0.1, -0.1)}, MissingScaleError, "pixel size"),
        (np.zeros((9, 9)), {"spacing": (0.1, 0.1, 0.1)}, PointsError, "one per axis"),
        (np.zeros(9), {"spacing": 0.1}, PointsError, "2 or 3 axes"),
        (np.zeros((2, 3, 9, 9)), {"spacing": 0.1}, PointsError, "one channel"),
        (np.zeros((9, 9), complex), {"spacing": 0.1}, PointsError, "real numbers"),
        (np.zeros((9, 9)), {"spacing": 0.1, "diameter": 0}, ClxemError, "diameter"),
        (np.zeros((9, 9)), {"spacing": 0.1, "kind": "grey"}, ClxemError, "'grey'"),
        (np.zeros((9, 9)), {"spacing": 0.1, "threshold": 0}, ClxemError, "positive SNR"),
        (np.zeros((9, 9)), {"spacing": 0.1, "psf": -1.0}, ClxemError, "half maximum"),
    ],
)
def test_what_cannot_be_used_is_said(image, options, error, says):
    with pytest.raises(error, match=says):
        detect(image, **options)
