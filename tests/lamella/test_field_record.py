from __future__ import annotations

import numpy as np
import pytest

from napari_clxem.errors import LamellaError
from napari_clxem.lamella import FieldRecord, Optics, judge_site, propose_sites
from napari_clxem.lamella.slab import inside_polygon

OPTICS = Optics((8.0, 10.0), 6.0, (-50.0, 55.0), 20.0)


def test_a_record_keeps_what_was_proposed():
    (found,) = propose_sites([[20.0, 30.0]], [[21.0, 31.0]], OPTICS, pointing=0.2)
    record = FieldRecord.of(found, OPTICS, id="f1", frame="map", targets=("t",), site="s")
    assert record.centre == found.centre
    np.testing.assert_allclose(record.halo, found.halo)
    assert record.pointing == pytest.approx(0.2)
    assert np.ptp(record.outline, axis=0) == pytest.approx(OPTICS.size)
    moved = record.moved((1.0, 2.0))
    assert moved.centre == (1.0, 2.0)
    np.testing.assert_allclose(moved.halo - record.halo, [np.subtract((1, 2), found.centre)] * 32)


def test_a_field_that_was_dropped_reserves_nothing():
    record = FieldRecord(id="f", frame="map", centre=(0.0, 0.0))
    assert record.reserves
    assert FieldRecord(id="f", frame="map", centre=(0.0, 0.0), status="taken").reserves
    assert not FieldRecord(id="f", frame="map", centre=(0.0, 0.0), status="dropped").reserves


@pytest.mark.parametrize(
    ("values", "said"),
    [({"id": ""}, "id"), ({"frame": ""}, "frame"), ({"centre": (0.0, np.nan)}, "µm")],
)
def test_a_record_that_cannot_be_is_refused(values, said):
    with pytest.raises(LamellaError, match=said):
        FieldRecord(**{"id": "f", "frame": "map", "centre": (0.0, 0.0), **values})


def test_a_field_left_where_it_was_proposed_is_worth_the_same():
    rng = np.random.default_rng(5)
    beads = rng.uniform(0, 60, (40, 2))
    areas = [np.array([[0.0, 0.0], [0.0, 20.0], [20.0, 20.0], [20.0, 0.0]])]
    (found,) = propose_sites([[30.0, 30.0]], beads, OPTICS, pointing=0.3, polygons=areas)
    again = judge_site(
        found.centre, (30.0, 30.0), beads, OPTICS, name=found.name, pointing=0.3, polygons=areas
    )
    assert again == found


def test_a_field_pushed_aside_says_what_it_loses():
    beads = np.array([[10.0, 10.0], [12.0, 11.0]])
    near = judge_site((10.0, 10.0), (10.0, 10.0), beads, OPTICS, radius=0.5, pointing=0.2)
    far = judge_site((10.0, 14.5), (10.0, 10.0), beads, OPTICS, radius=0.5, pointing=0.2)
    off = judge_site((10.0, 40.0), (10.0, 10.0), beads, OPTICS, radius=0.5, pointing=0.0)
    assert (near.beads, off.beads) == (2, 0)
    # 5 - 0.5 - 4.5 µm are left on one side: one half
    assert far.holds == pytest.approx(0.5, abs=1e-6)
    assert off.holds == 0
    area = near.halo
    spoilt = judge_site((10.0, 10.0), (10.0, 10.0), beads, OPTICS, polygons=[area])
    assert not spoilt.clear
    assert any("spent or reserved" in note for note in spoilt.notes)
    assert inside_polygon(np.array([[10.0, 10.0]]), np.array(area))[0]
