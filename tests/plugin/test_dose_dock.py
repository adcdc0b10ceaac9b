from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from qtpy.QtWidgets import QLabel, QSlider, QTableWidget

from conftest import MIDDLE, moved_link
from napari_clxem.dose import Exposure, conversion_factor
from napari_clxem.plugin.controllers import redo, undo, workspace_for
from napari_clxem.plugin.widgets.dose import DoseWidget
from napari_clxem.session import Frame, edits

pytestmark = pytest.mark.gl

TILTS = np.arange(-60.0, 61.0, 20.0)


def sxt(**fields):
    """Seven images of 10 MGy each, 2 µm in radius, across a horizontal axis... of the map."""
    return Exposure.tilt_series(
        **{
            "id": "xrays",
            "modality": "sxt",
            "frame": "map",
            "aim": (30.0, 30.0),
            "beam_radius": 2.0,
            "tilts": TILTS,
            "dose_per_image": 10.0,
            "energy": 520.0,
            "time": "2025-03-01T10:00:00",
            **fields,
        }
    )


def tem(**fields):
    return sxt(
        **{
            "id": "electrons",
            "modality": "tem",
            "aim": (30.0, 31.0),
            "beam_radius": 1.0,
            "tilts": 0.0,
            "dose_per_image": 40.0,
            "energy": 300e3,
            "time": "2025-03-02T10:00:00",
            **fields,
        }
    )


@pytest.fixture
def dock(make_napari_viewer, grid, request):
    viewer = make_napari_viewer(show=getattr(request, "param", False))
    workspace_for(viewer).use(grid.store())
    widget = DoseWidget(viewer)
    viewer.window.add_dock_widget(widget, name="Dose review", area="right")
    yield widget
    widget.close()


@pytest.fixture
def show(dock, qtbot):
    """Put exposures into the session, show a frame, and wait for the map."""

    def done(*exposures, frame="reference", site="c1"):
        workspace = workspace_for(dock.viewer)
        workspace.store.commit(lambda s: edits.put(s, *exposures), "Add exposures")
        workspace.show_site(site, frame)
        ready(dock, qtbot)
        return workspace

    return done


def ready(dock, qtbot):
    qtbot.waitUntil(lambda: not dock.review.busy, timeout=20000)
    dock.refresh()


def in_reference(place):
    """(y, x) of the map in the reference frame: turned by 2° about the middle of its image."""
    angle = np.deg2rad(2.0)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    middle = np.array([299, 299]) * 0.2 / 2
    return turn @ (np.array(place) - middle) + MIDDLE[1:]


def drawn(dock, place):
    """What the map holds at a place (y, x) of the frame shown, as napari sees it."""
    layer = dock.viewer.layers["Dose (MGy)"]
    world = np.array(place) - workspace_for(dock.viewer).view.origin[1:]
    row, column = np.round(layer.world_to_data(world)[-2:]).astype(int)
    ny, nx = layer.data.shape
    return float(layer.data[row, column]) if 0 <= row < ny and 0 <= column < nx else np.nan


def texts(dock):
    return "\n".join(one.text() for one in dock.findChildren(QLabel) if not one.isHidden())


def cells(table):
    found = [
        [table.item(line, column) for column in range(table.columnCount())]
        for line in range(table.rowCount())
    ]
    return [[item.text() for item in line if item is not None] for line in found]


def test_an_empty_dock_says_the_next_step(make_napari_viewer):
    dock = DoseWidget(make_napari_viewer())
    assert "Open a session" in texts(dock)
    dock.close()


def test_a_session_without_exposures_says_the_next_step(dock):
    dock.refresh()
    assert "No exposure is recorded yet" in texts(dock)
    assert "Dose (MGy)" not in dock.viewer.layers


def test_the_map_lies_where_the_beam_was(dock, show):
    workspace = show(sxt())
    assert np.any(np.abs(workspace.view.origin[1:]) > 100)
    # Along the axis all 7 images hit up to 2 µm; across it ±60° reaches 4 µm, ±40° 2.61 µm.
    for along, across, images in (
        (0.0, 0.0, 7),
        (1.8, 0.0, 7),
        (2.2, 0.0, 0),
        (0.0, 1.8, 7),
        (0.0, 2.3, 4),
        (0.0, -3.8, 2),
        (0.0, 4.3, 0),
    ):
        dose = drawn(dock, in_reference((30.0 + along, 30.0 + across)))
        assert dose == pytest.approx(10.0 * images) if images else np.isnan(dose)


def test_the_map_is_in_micrometres_transparent_where_nothing_was_and_names_its_unit(dock, show):
    show(sxt())
    layer = dock.viewer.layers["Dose (MGy)"]
    assert [f"{unit:~}" for unit in layer.units] == ["µm", "µm"]
    assert layer.ndim == 2
    assert np.isnan(layer.data[0, 0])
    assert layer.colorbar.visible
    assert layer.name_overlay.visible
    assert "MGy" in layer.name
    assert layer.colormap.name == "viridis"
    assert layer.contrast_limits == [0.0, 70.0]


@pytest.mark.parametrize("dock", [True], indirect=True)
def test_the_canvas_shows_the_dose_at_the_predicted_pixel(dock, show, qtbot):
    workspace = show(sxt(), site="c2", frame="map")
    viewer = dock.viewer
    for layer in viewer.layers:
        layer.visible = layer.name == "Dose (MGy)"
    layer = viewer.layers["Dose (MGy)"]
    layer.opacity, layer.colorbar.visible, layer.name_overlay.visible = 1.0, False, False
    zero = np.array(workspace.view.origin[1:])
    viewer.scene.camera.center = (0.0, *(np.array([30.0, 30.0]) - zero))
    viewer.scene.camera.zoom = 30.0
    qtbot.wait(300)
    picture = viewer.screenshot(canvas_only=True, flash=False)
    middle = np.array(picture.shape[:2]) / 2
    scale = 30.0 * picture.shape[0] / viewer.canvas.size[0]

    def colour(along, across):
        row, column = (middle + scale * np.array([along, across])).astype(int)
        return picture[row, column, :3].astype(float)

    core = layer.colormap.map(np.array([1.0]))[0, :3] * 255
    assert colour(0.0, 0.0) == pytest.approx(core, abs=3)
    assert colour(1.7, 0.0) == pytest.approx(core, abs=3)
    wing = layer.colormap.map(np.array([2.0 / 7.0]))[0, :3] * 255
    assert colour(0.0, 3.5) == pytest.approx(wing, abs=3)
    assert colour(2.4, 0.0) == pytest.approx(colour(-4.0, -4.0), abs=3)
    assert np.abs(colour(2.4, 0.0) - core).max() > 50


def test_footprints_have_colour_and_pattern_by_modality(dock, show):
    show(sxt(), tem(planned=True))
    layer = dock.viewer.layers["Footprints"]
    zero = np.array(workspace_for(dock.viewer).view.origin[1:])
    starts = layer.data[:, 0] + zero
    colours = np.round(np.asarray(layer.edge_color) * 255).astype(int)
    drawn_at = colours[:, 3] > 0
    xrays = drawn_at & (colours[:, :3] == (255, 176, 59)).all(axis=1)
    electrons = drawn_at & (colours[:, :3] == (0, 200, 255)).all(axis=1)
    away = np.linalg.norm(starts - in_reference((30.0, 30.0)), axis=1)
    assert away[xrays].min() == pytest.approx(2.0, abs=0.01)
    assert away[xrays].max() == pytest.approx(4.0, abs=0.01)
    ring = np.linalg.norm(starts - in_reference((30.0, 31.0)), axis=1)
    assert ring[electrons].max() == pytest.approx(1.0, abs=0.01)
    # X-rays are drawn all around; electrons are dashed, a third of the ring left out, with a ×.
    lengths = np.linalg.norm(layer.data[:, 1], axis=1)
    on_ring = electrons & (ring > 0.9)
    assert lengths[on_ring].sum() == pytest.approx(2 / 3 * 2 * np.pi, rel=0.01)
    assert (electrons & ~on_ring).sum() == 2


def test_the_budget_line_runs_where_the_dose_is_reached(dock, show, qtbot):
    show(sxt())
    dock.review.set(stability=35.0)
    assert dock.review.settings.level == 35.0
    ready(dock, qtbot)
    layer = dock.viewer.layers["Budget line 35 MGy"]
    zero = np.array(workspace_for(dock.viewer).view.origin[1:])
    lengths = np.linalg.norm(layer.data[:, 1], axis=1)
    starts = layer.data[lengths > 0, 0] + zero
    turned = starts - in_reference((30.0, 30.0))
    angle = np.deg2rad(2.0)
    along = turned @ (np.cos(angle), np.sin(angle))
    across = turned @ (-np.sin(angle), np.cos(angle))
    # 5 images hit within the ellipse of ±40°: 2 µm along the axis, 2 / cos 40° across it.
    assert (across * np.cos(np.deg2rad(40.0))) ** 2 + along**2 == pytest.approx(4.0, rel=0.15)


def test_the_map_follows_the_links_and_undo(dock, show, qtbot):
    workspace = show(sxt())
    there = in_reference((30.0, 30.0))
    assert drawn(dock, there) == pytest.approx(70.0)
    workspace.store.commit(lambda s: moved_link(s, "map", (50.0, 0.0)), "Move")
    ready(dock, qtbot)
    assert np.isnan(drawn(dock, there))
    assert drawn(dock, there + np.array([50.0, 0.0])) == pytest.approx(70.0)
    undo(dock.viewer)
    ready(dock, qtbot)
    assert drawn(dock, there) == pytest.approx(70.0)
    undo(dock.viewer)
    ready(dock, qtbot)
    assert "Dose (MGy)" not in dock.viewer.layers
    redo(dock.viewer)
    ready(dock, qtbot)
    assert drawn(dock, there) == pytest.approx(70.0)


def test_the_replay_goes_through_the_exposures_in_order(dock, show, qtbot):
    show(tem(), sxt(), tem(id="ahead", planned=True, time=""))
    slider = dock.findChildren(QSlider)[0]
    there = in_reference((30.0, 31.0))
    assert (slider.minimum(), slider.maximum(), slider.value()) == (0, 3, 3)
    assert "2 recorded, 1 planned" in texts(dock)
    for count, dose in ((1, 70.0), (2, 110.0), (3, 150.0)):
        slider.setValue(count)
        ready(dock, qtbot)
        assert drawn(dock, there) == pytest.approx(dose)
    assert dock.viewer.layers["Dose (MGy)"].contrast_limits == [0.0, 150.0]
    slider.setValue(1)
    ready(dock, qtbot)
    assert "After 1 of 3: X-rays xrays, 2025-03-01 10:00." in texts(dock)
    assert dock.viewer.dims.ndim == 3  # never a layer axis
    dock.review.set(included="planned")
    ready(dock, qtbot)
    assert drawn(dock, there) == pytest.approx(40.0)


def test_the_breakdown_at_the_cursor(dock, show):
    show(sxt(), tem())
    dock.review.pointer.point(in_reference((30.0, 31.0)))
    dock.refresh()
    table = dock.map.findChildren(QTableWidget)[0]
    assert cells(table) == [
        ["X-rays xrays"], ["7", "70", "64 %"], ["TEM electrons"], ["1", "40", "36 %"],
    ]  # fmt: skip
    said = texts(dock)
    assert "110 MGy" in said
    assert f"{110 / conversion_factor(300, 'cell'):.3g} e⁻/Å²" in said
    limit = dock.review.settings.budget
    assert f"{100 * 110 / limit.dose:.0f} % of the budget" in said
    assert "11 Å (Howells)" in said


def test_what_no_link_reaches_is_listed(dock, show):
    show(Frame(name="nowhere"), sxt(), tem(frame="nowhere"))
    assert "No link reaches 'nowhere': electrons is in no sum." in texts(dock)


def test_duplicates_and_conflicts_are_said(dock, show):
    show(sxt(), sxt(id="again"), replace(tem(planned=True, dose_per_image=200.0), time=""))
    said = texts(dock)
    assert "record the same" in said
    assert "electrons (planned) touches a spent area: xrays, again left" in said


def test_targets_and_cells_have_their_dose(dock, show):
    show(sxt(frame="reference", aim=(1020.0, 1010.0), axis_height=4.0))
    lines = cells(dock.map.findChildren(QTableWidget)[1])
    assert lines[0][:2] == ["A1", "70"]
    assert [line[0] for line in lines[1:]] == ["Cell Cell 1", "Cell Cell 2"]


@pytest.mark.parametrize("how", ["close", "remove"])
def test_closing_takes_the_layers_away(dock, show, how):
    workspace = show(sxt())
    if how == "close":
        dock.close()
    else:
        dock.viewer.window.remove_dock_widget(dock)
    workspace.store.commit(lambda s: edits.put(s, tem()), "Add another")
    names = [layer.name for layer in dock.viewer.layers]
    assert not any("Dose" in name or "Footprints" in name for name in names)
    assert not dock.viewer.mouse_move_callbacks


def test_the_registration_s_interval_is_said_once_the_mouse_is_still(dock, show, qtbot):
    show(sxt())
    dock.review.pointer.point(in_reference((30.0, 31.97)))
    qtbot.waitUntil(lambda: dock.review.pointer.spread is not None, timeout=5000)
    low, high = dock.review.pointer.spread
    assert 0 <= low < 70.0 <= high + 1e-9
    dock.refresh()
    assert "MGy by registration (90 %)" in texts(dock)


@pytest.mark.parametrize("tab", range(4))
def test_it_fits_a_narrow_dock(dock, show, tab):
    show(sxt(), tem(planned=True))
    dock.tabs.setCurrentIndex(tab)
    dock.resize(320, 900)
    inside = dock.widget()
    assert inside.minimumSizeHint().width() <= 320


def test_the_form_fits_a_narrow_dock(dock, show):
    show(sxt())
    dock.tabs.setCurrentWidget(dock.exposures)
    dock.exposures._on_add()
    dock.exposures.form._mosaic.setChecked(True)
    dock.resize(320, 900)
    assert dock.widget().minimumSizeHint().width() <= 320


def test_the_map_and_the_cursor_follow_the_slice(dock, show, qtbot):
    """One image at 45°: at a height over the tilt axis it lies as far across it."""
    show(sxt(frame="reference", aim=(1016.0, 1013.0), axis_height=6.0, tilts=[45.0]))
    viewer, workspace = dock.viewer, workspace_for(dock.viewer)
    zero = workspace.view.origin[0]
    for height in (6.0, 9.0, 4.5):
        viewer.dims.set_point(0, height - zero)
        qtbot.waitUntil(lambda: dock.review.scene is not None and not dock.review.busy)
        qtbot.waitUntil(lambda height=height: dock.review.scene.z == pytest.approx(height, abs=0.2))
        ready(dock, qtbot)
        above = dock.review.scene.z - 6.0
        there = (1016.0, 1013.0 - above)
        assert drawn(dock, there) == pytest.approx(10.0)
        for off in (-2.0, 2.0):  # 2 µm wide at 45°: 2.83 µm to either side
            assert drawn(dock, (1016.0, there[1] + 1.3 * off)) == pytest.approx(10.0)
            assert np.isnan(drawn(dock, (1016.0, there[1] + 1.6 * off)))
        dock.review.pointer.point(np.array(there))
        assert dock.review.pointer.below.dose == pytest.approx(10.0)
        dock.review.pointer.point(np.array((1016.0, there[1] + 3.2)))
        assert dock.review.pointer.below.dose == 0.0
        starts = viewer.layers["Footprints"].data[:, 0] + np.array(workspace.view.origin[1:])
        assert starts[:, 1].max() == pytest.approx(there[1] + 2 * np.sqrt(2), abs=0.01)


def test_a_halo_is_outlined_where_it_ends(dock, show):
    show(sxt(tilts=0.0, halo=((1.5, 0.1),)))
    layer = dock.viewer.layers["Footprints"]
    starts = layer.data[:, 0] + np.array(workspace_for(dock.viewer).view.origin[1:])
    away = np.linalg.norm(starts - in_reference((30.0, 30.0)), axis=1)
    assert away.max() == pytest.approx(3.5, abs=0.01)
    assert away.min() == pytest.approx(2.0, abs=0.02)


def test_what_the_first_click_needs_is_loaded_beside():
    from napari_clxem.plugin.controllers import dose_warming

    dose_warming.tiny()
    assert dose_warming.warm() is None or dose_warming._begun
