"""The link through paired beads of two maps, and what an unknown tilt between them does."""

from __future__ import annotations

import numpy as np
import pytest

from napari_clxem.frames import FrameGraph
from napari_clxem.session.beads import bead_link
from napari_clxem.session.geometry import solve

HEIGHT_SD = 2.0
SIGMA = 0.04


def linked(rng, count, tilt):
    """Link two maps, one seen under `tilt` degrees (y, x); the route, and its misses at others."""
    places = np.column_stack([HEIGHT_SD * rng.normal(size=80), rng.uniform(-50, 50, (80, 2))])
    shown = [places[:, 1:], places[:, 1:] + places[:, :1] * np.tan(np.deg2rad(tilt))]
    seen = [one + SIGMA * rng.normal(size=one.shape) for one in shown]
    sd = np.full((count, 2), SIGMA)
    link = bead_link("a", "b", (seen[0][:count], sd), (seen[1][:count], sd), HEIGHT_SD)
    graph = FrameGraph()
    for name in "ab":
        graph.add_frame(name, 2, (0.0, HEIGHT_SD))
    graph.add_link("a", "b", solve(link), tilt_sd=link.tilt_sd)
    others = shown[0][60:]
    route = graph.transform("a", "b", others)
    return link, route.transform(others) - shown[1][60:], route.predict_error(others)


@pytest.mark.parametrize("count", [8, 40])
def test_things_of_other_heights_lie_where_the_error_says(count):
    rng = np.random.default_rng(count)
    squares = []
    for _ in range(25):
        _, miss, spread = linked(rng, count, rng.normal(0, 1.5, 2))
        squares.append(np.einsum("ni,nij,nj->n", miss, np.linalg.inv(spread), miss))
    share = (np.concatenate(squares) <= 5.991).mean()
    assert 0.90 < share < 0.99
    assert np.quantile([s.max() for s in squares], 0.9) < 25


def test_many_beads_show_the_tilt_themselves():
    rng = np.random.default_rng(5)
    flat, steep = (linked(rng, 60, tilt)[0].tilt_sd for tilt in ([0.0, 0.0], [2.0, 2.0]))
    assert 0.25 <= flat < 0.7
    assert steep == pytest.approx(2.0, rel=0.3)


def test_few_beads_leave_what_two_instruments_may_tilt():
    for seed in range(3):
        link, *_ = linked(np.random.default_rng(seed), 6, [0.0, 0.0])
        assert link.tilt_sd == pytest.approx(2.0)
