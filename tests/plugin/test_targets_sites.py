from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from targets_made import button, dock, fib_grid, press, session

from napari_clxem.dose import Exposure
from napari_clxem.errors import LamellaError, WriteError
from napari_clxem.io.exchange import read_list
from napari_clxem.io.image import StagePosition
from napari_clxem.lamella import FieldRecord, Lamella, LamellaRecord, Optics
from napari_clxem.plugin.controllers import workspace_for
from napari_clxem.plugin.controllers.targets_sites import (
    aiming_maps,
    judged,
    lamella_of,
    propose_fields,
    tomogram_of,
)
from napari_clxem.plugin.controllers.targets_stages import write_fields
from napari_clxem.plugin.controllers.targets_words import fate_cells, field_cells
from napari_clxem.session import Frame, Link, edits, load, save
from napari_clxem.session.geometry import estimate, place

pytestmark = pytest.mark.gl

__all__ = ["dock", "fib_grid"]

OPTICS = Optics((8.0, 8.0), 6.0, (-50.0, 50.0))


def proposed(made, **values):
    (map_,) = aiming_maps(made)
    (found,) = propose_fields(made, map_, OPTICS)
    return replace(found, **values)


def test_a_field_holds_its_target_and_keeps_off_what_was_exposed(fib_grid):
    made = fib_grid.session
    found = proposed(made)
    target = made.targets[0]
    there = place(made, target, "map")
    assert (np.abs(np.array(found.centre) - there.position) < 4.0 - target.radius).all()
    assert found.targets == (target.id,)
    assert found.pointing == pytest.approx(np.sqrt(np.trace(there.covariance) / 2))
    kept = edits.put(made, found)
    assert judged(kept, found).clear
    assert judged(kept, found).holds > 0.95
    spent = Exposure.tilt_series(
        modality="sxt",
        frame="map",
        aim=there.position,
        beam_radius=20.0,
        tilts=np.array([0.0]),
        dose_per_image=1.0,
    )
    assert not judged(edits.put(kept, spent), found).clear
    with pytest.raises(LamellaError, match="has its field"):
        proposed(kept)
    with pytest.raises(LamellaError, match="pick targets"):
        proposed(replace(made, targets=()))


def test_a_kept_field_reserves_what_it_irradiates_until_it_is_dropped(fib_grid):
    made = edits.put(fib_grid.session, proposed(fib_grid.session, id="f1"))
    near = replace(made.fields[0], id="f2").moved(tuple(np.add(made.fields[0].centre, 3.0)))
    both = edits.put(made, near)
    assert not judged(both, near).clear
    assert "NO" in field_cells(near, judged(both, near))
    dropped = edits.amend(both, FieldRecord, "f1", status="dropped")
    assert judged(dropped, near).clear
    taken = edits.amend(both, FieldRecord, "f1", status="taken")
    assert not judged(taken, near).clear


def test_a_field_without_a_clear_place_takes_nothing_from_the_others(fib_grid):
    made = fib_grid.session
    first = made.targets[0]
    beside = tuple(np.add(first.position, (0, 9.0, 0)))
    both = edits.put(made, replace(first, id="A2", name="A2", position=beside))
    (map_,) = aiming_maps(both)
    good, poor = propose_fields(both, map_, OPTICS)
    assert (good.status, poor.status) == ("planned", "dropped")
    kept = edits.put(both, good, poor)
    assert judged(kept, good).clear
    assert not judged(kept, poor).clear
    with pytest.raises(LamellaError, match="has its field"):
        propose_fields(kept, map_, OPTICS)


def test_targets_near_each_other_share_a_field(fib_grid):
    made = fib_grid.session
    first = made.targets[0]
    near = replace(
        first, id="A2", name="A2", position=tuple(np.add(first.position, (0, 3.0, -2.0)))
    )
    far = replace(first, id="A3", name="A3", position=tuple(np.add(first.position, (0, 0, 40.0))))
    together = edits.put(made, near, far)
    (map_,) = aiming_maps(together)
    found = propose_fields(together, map_, OPTICS)
    assert {one.targets for one in found} in ({("A1", "A2"), ("A3",)}, {("A2", "A1"), ("A3",)})
    kept = edits.put(together, *found)
    for one in kept.fields:
        assert judged(kept, one).clear
        assert judged(kept, one).holds > 0.95
    small = propose_fields(together, map_, replace(OPTICS, size=(3.5, 3.5)))
    assert {one.targets for one in small} == {("A1",), ("A2",), ("A3",)}


def test_fields_are_kept_in_the_session_and_taken_back(dock, tmp_path, qtbot):
    fields = dock.sites.fields
    button(dock, "Propose sites").click()
    qtbot.waitUntil(lambda: not fields.busy, timeout=20000)
    (record,) = session(dock).fields
    assert record.name == "A1"
    assert "SXT fields" in dock.viewer.layers
    dock.targets.boxes.draw()
    assert session(dock).fields == (record,)
    save(session(dock), tmp_path / "s.clxem.json")
    assert load(tmp_path / "s.clxem.json").fields == (record,)
    fields.set_optics(size=(15.0, 15.0))
    assert session(dock).fields[0].optics.size == (15.0, 15.0)
    fields.amend(status="taken")
    dock.refresh()
    assert dock.sites._table.item(0, 3).text() == "taken"
    store = workspace_for(dock.viewer).store
    while session(dock).fields:
        store.undo()
    dock.refresh()
    assert "SXT fields" not in dock.viewer.layers
    assert not dock.sites._table.isVisibleTo(dock.sites)


def test_a_field_is_dragged_by_its_corner(dock, qtbot):
    fields = dock.sites.fields
    fields.propose()
    qtbot.waitUntil(lambda: not fields.busy, timeout=20000)
    (record,) = session(dock).fields
    here = fields.places("main")[record.id]
    other = np.array(here) + np.array([2.0, -1.5])
    fields.drop("main", record.id, other)
    here = fields.places("main")[record.id]
    np.testing.assert_allclose(here, other, atol=1e-6)
    press(dock._mouse, dock.viewer, (0.0, *here), (0.0, *(here + np.array([1.0, 0.5]))))
    after = fields.places("main")[record.id]
    np.testing.assert_allclose(after, here + np.array([1.0, 0.5]), atol=1e-6)
    moved = session(dock).fields[0]
    assert moved.centre != record.centre
    assert moved.targets == record.targets
    assert dock.sites.fields.record == moved


def test_a_field_is_followed_to_tomogram_lamella_and_verdict(fib_grid):
    made = edits.put(fib_grid.session, proposed(fib_grid.session, id="f1"))
    (record,) = made.fields
    assert tomogram_of(made, record).id == "tomogram"
    assert tomogram_of(made, replace(record, tomogram="other")).id == "other"
    away = record.moved((500.0, 500.0))
    assert tomogram_of(made, away) is None
    assert lamella_of(made, record) is None
    assert fate_cells(record, tomogram_of(made, record), None) == (
        "A1",
        "tomogram",
        "–",
        "planned",
    )
    cut = LamellaRecord(
        id="l1",
        name="L1",
        site="c1",
        frame="tomogram",
        lamella=Lamella((4.0, 8.0, 8.0), 10.0),
        targets=("A1",),
        promised=0.61,
    )
    planned = edits.put(made, cut)
    assert fate_cells(record, None, lamella_of(planned, record))[2:] == ("L1", "61% promised")
    lost = edits.put(planned, replace(cut, id="l2", name="L2", status="lost"))
    assert fate_cells(record, None, lamella_of(lost, record))[2:] == ("L2", "lost")
    said = replace(record, verdict="good ice")
    assert fate_cells(said, None, lamella_of(lost, said))[3] == "good ice"


def staged(made):
    """The session with the map placed on the stage of its microscope."""
    link = next(one for one in made.links if one.id == "to-map")
    matrix = np.array([[0.0, 1.0, 100.0], [-1.0, 0.0, 50.0], [0.0, 0.0, 1.0]])
    from napari_clxem.frames import UncertainAffine

    known = estimate(UncertainAffine.declared(matrix, np.full(2, 10.0), 0.1))
    made = edits.put(made, Frame(name="sem stage", ndim=2, z=(0.0, 10.0)))
    made = edits.put(
        made, Link(id="stage", moving=link.moving, fixed="sem stage", kind="stage", estimate=known)
    )
    map_ = next(one for one in made.datasets if one.id == "map")
    return edits.put(made, replace(map_, stage=StagePosition((7.0, 0.0, 0.0))))


def test_the_stage_list_is_read_back_as_it_was_meant(fib_grid, tmp_path):
    made = edits.put(fib_grid.session, proposed(fib_grid.session, id="f1"))
    path = tmp_path / "stage.csv"
    assert "no link leads to a stage" in write_fields(path, made)
    (line,) = read_list(path)
    (record,) = made.fields
    np.testing.assert_allclose(line.pixel, np.array(record.centre) / 0.2)
    assert line.stage is None
    assert (line.kind, line.site, line.width, line.length) == ("field", "Cell 1", 8.0, 8.0)
    assert line.sd[0] == pytest.approx(record.pointing)
    assert "on sem stage" in write_fields(path, staged(made))
    (line,) = read_list(path)
    y, x = record.centre
    np.testing.assert_allclose(line.stage, (7.0, x + 100.0, 50.0 - y))
    with pytest.raises(WriteError, match="No field"):
        write_fields(path, fib_grid.session)
    dropped = edits.amend(made, FieldRecord, "f1", status="dropped")
    with pytest.raises(WriteError, match="No field"):
        write_fields(path, dropped)
