from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_clxem.errors import LamellaError
from napari_clxem.lamella import Optics, propose_sites
from napari_clxem.lamella.slab import inside_polygon

BEADS = np.array([[4.0, 4.0], [5.0, 5.0], [4.0, 5.5], [5.5, 4.0], [5.0, 3.5], [-40.0, 0.0]])


def test_field_moves_towards_beads_and_holds_the_target():
    (found,) = propose_sites([[0, 0]], BEADS, Optics(size=(10.0, 10.0)), pointing=0.3)
    assert found.beads == 5
    assert np.all(np.array(found.centre) > 0.9)
    assert np.abs(found.centre).max() <= 5 - 0.5
    assert found.holds > 0.95
    assert found.clear


def test_without_beads_the_target_is_centred_and_it_says_so():
    (found,) = propose_sites([[3, 4]], [], pointing=0.1, names=["cell 7"])
    assert found.centre == (3, 4)
    assert found.name == "cell 7"
    assert any("Only 0 beads" in note for note in found.notes)


def test_bad_pointing_is_said():
    (found,) = propose_sites([[0, 0]], BEADS, pointing=5.0)
    assert found.holds < 0.8
    assert any("probability" in note for note in found.notes)
    (unknown,) = propose_sites([[0, 0]], BEADS)
    assert unknown.holds is None
    assert unknown.pointing is None
    assert any("not known" in note for note in unknown.notes)


def test_halo_of_the_design():
    # reach across the axis R / cos, along it R; azimuth 0: the axis is y
    halo = Optics(beam_radius=10.0, tilts=(-60.0, 60.0)).halo()
    assert np.abs(halo).max(axis=0) == pytest.approx([10, 20])
    turned = Optics(beam_radius=10.0, tilts=(-60.0, 60.0), axis_azimuth=90.0).halo()
    assert np.abs(turned).max(axis=0) == pytest.approx([20, 10])


def test_keeps_off_forbidden_ground():
    spent = [[-30.0, 8.0], [30.0, 8.0], [30.0, 40.0], [-30.0, 40.0]]
    optics = Optics(size=(14.0, 14.0), beam_radius=5.0, tilts=(-45.0, 45.0))
    (found,) = propose_sites([[0, 2]], BEADS, optics, polygons=[spent], pointing=0.2)
    assert found.clear
    assert not inside_polygon(np.array(found.halo), np.array(spent)).any()
    (same,) = propose_sites(
        [[0, 2]], BEADS, optics, forbidden=[lambda p: p[:, 1] > 8.0], pointing=0.2
    )
    assert same.centre == found.centre
    (caught,) = propose_sites(
        [[0, 30]], BEADS, optics, forbidden=[lambda p: p[:, 1] > 8.0], pointing=0.2
    )
    assert not caught.clear
    assert caught.score == 0
    assert any("spent or reserved" in note for note in caught.notes)


def test_a_small_reserved_area_is_not_missed():
    spot = [[2.0, 11.0], [2.2, 11.0], [2.1, 11.2]]
    optics = Optics(size=(3.0, 3.0), beam_radius=6.0)
    (found,) = propose_sites([[2, 6]], [], optics, polygons=[spot], pointing=0.01)
    assert not found.clear


def test_a_better_site_reserves_its_halo():
    rng = np.random.default_rng(4)
    beads = rng.uniform(-10, 10, (40, 2))
    two = propose_sites([[12, 12], [0, 0]], beads, pointing=0.2)
    assert two[0].target == 1
    assert not two[1].clear
    free = propose_sites([[12, 12], [0, 0]], beads, pointing=0.2, exclusive=False)
    assert all(one.clear for one in free)


@given(st.integers(0, 300))
@settings(deadline=None, max_examples=40)
def test_ranked_and_one_for_each_target(seed):
    rng = np.random.default_rng(seed)
    targets = rng.uniform(-60, 60, (4, 2))
    found = propose_sites(targets, rng.uniform(-60, 60, (30, 2)), pointing=0.4, step=1.5)
    assert sorted(one.target for one in found) == [0, 1, 2, 3]
    scores = [one.score for one in found]
    assert all(a >= b - 1e-12 for a, b in pairwise(scores))
    for one in found:
        assert np.abs(np.array(one.centre) - targets[one.target]).max() <= 6.5


def test_grid_bars_narrow_the_tilts():
    def free(points):
        return [[-60.0, 20.0] if y > 5 else [-90.0, 90.0] for y, _ in points]

    found = propose_sites([[9, 0], [-40, 0]], BEADS, pointing=0.1, free_tilts=free, step=2.0)
    by_target = {one.target: one for one in found}
    assert by_target[0].tilts == (-60.0, 20.0)
    assert any("Grid bars" in note for note in by_target[0].notes)
    assert by_target[1].tilts == (-60.0, 60.0)
    with pytest.raises(LamellaError, match="no range"):
        propose_sites([[0, 0]], BEADS, free_tilts=lambda p: [[5.0, -5.0]])


def test_covariances_of_a_route_are_taken():
    def spread(points):
        return np.broadcast_to(np.diag([9.0, 0.04, 0.09]), (len(points), 3, 3))

    (found,) = propose_sites([[0, 0]], BEADS, pointing=spread)
    assert found.pointing == pytest.approx(np.sqrt((0.04 + 0.09) / 2))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"radii": 8.0}, "does not fit"),
        ({"step": 0.0}, "step"),
        ({"pointing": -1.0}, "pointing"),
        ({"pointing": lambda p: np.zeros(3)}, "covariance"),
        ({"polygons": [[[0, 0], [2, 2], [2, 0], [0, 3]]]}, "reserved area crosses"),
    ],
)
def test_bad_input_is_named(arguments, said):
    with pytest.raises(LamellaError, match=said):
        propose_sites([[0, 0]], BEADS, **arguments)


def test_bad_optics_are_named():
    with pytest.raises(LamellaError, match="within ±90"):
        Optics(tilts=(-90.0, 90.0))
    with pytest.raises(LamellaError, match="above 0"):
        Optics(beam_radius=0.0)
