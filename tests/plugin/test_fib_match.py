"""Match in the Correlate dock between a stack and a FIB view of the sample grid."""

from __future__ import annotations

import numpy as np
import pytest
from qtpy.QtWidgets import QPushButton

from napari_clxem.plugin.controllers import release, snapping, workspace_for
from napari_clxem.plugin.sample import sample_session
from napari_clxem.plugin.widgets.correlate import CorrelateWidget
from napari_clxem.session import Store, load
from napari_clxem.session.opening import open_dataset
from napari_clxem.session.pairs import found

pytestmark = pytest.mark.gl


@pytest.fixture
def session():
    return load(sample_session())


@pytest.fixture
def dock(make_napari_viewer, session):
    viewer = make_napari_viewer()
    widget = CorrelateWidget(viewer)
    viewer.window.add_dock_widget(widget, name="Correlate", area="right")
    workspace_for(widget.viewer).use(Store(session, journal=False))
    yield widget
    widget.end()
    release(viewer)


def match(dock, qtbot, moving, fixed):
    """Press Match for a link; its landmarks afterwards."""
    dock.choose(moving, fixed, wait=True)
    next(one for one in dock.findChildren(QPushButton) if one.text() == "Match").click()
    qtbot.waitUntil(lambda: not dock.automatic.busy, timeout=60_000)
    return dock.correlation.pair.link.landmarks


def test_beads_join_the_picks_of_a_fib_view(dock, qtbot, session):
    before = next(x for x in session.links if (x.moving, x.fixed) == ("confocal-B", "fib-B"))
    marks = match(dock, qtbot, "confocal-B", "fib-B")
    assert marks[: len(before.landmarks)] == before.landmarks
    beads = marks[len(before.landmarks) :]
    assert len(beads) >= 10
    assert all(one.origin == "bead" and one.fixed_sigma for one in beads)
    fitted = found(dock.correlation.pair.link)
    assert fitted.inliers[len(before.landmarks) :].all()
    middle = np.array([[4.0, 11.0, 11.0]])
    was, now = (found(x).predict_error(middle)[0] for x in (before, dock.correlation.pair.link))
    assert np.trace(now) < 0.25 * np.trace(was)


def test_a_view_of_another_place_is_refused_in_a_sentence(dock, qtbot, monkeypatch):
    said = []
    monkeypatch.setattr("napari_clxem.plugin.controllers.automatic.show_error", said.append)
    assert match(dock, qtbot, "confocal-A", "fib-C") == ()
    assert len(said) == 1
    assert "The view was expected at 14° ± 6°" in said[0]


def test_a_pick_beside_a_cap_is_moved_onto_it(dock, session):
    data = next(one for one in session.datasets if one.name == "fib-A")
    dock.choose("confocal-A", "fib-A", wait=True)
    plane = dock.correlation.planes(dock.correlation.pair.canvas("fixed"))[0]
    assert open_dataset(workspace_for(dock.viewer).store, data).data.shape == plane.levels[0].shape
    for mark in next(x for x in session.links if x.fixed == "fib-A").landmarks:
        place = snapping.bead_near(plane, data, np.add(mark.fixed, (0.1, -0.15)))
        assert place is None or np.linalg.norm(place[0] - mark.fixed) < 0.25
    assert place is not None
