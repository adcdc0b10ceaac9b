from __future__ import annotations

import csv

import numpy as np
import pytest
from qtpy.QtGui import QImage
from test_dose_dock import dock, ready, show, sxt, tem, texts  # noqa: F401 - fixtures

from napari_clxem.dose import PRESETS, cumulative_map, xray_dose
from napari_clxem.errors import ClxemError
from napari_clxem.plugin.controllers import undo, workspace_for
from napari_clxem.plugin.controllers.dose_entry import (
    Entry,
    Mosaic,
    entry_of,
    follow,
    read_tilts,
    written_tilts,
)

pytestmark = pytest.mark.gl


@pytest.mark.parametrize(
    ("text", "tilts"),
    [
        ("-65 : 65 : 1", np.arange(-65.0, 66.0)),
        ("0", [0.0]),
        ("3, -3; 6", [3.0, -3.0, 6.0]),
        ("10:-10:-5", [10.0, 5.0, 0.0, -5.0, -10.0]),
    ],
)
def test_tilts_are_read_and_written(text, tilts):
    assert read_tilts(text) == pytest.approx(np.asarray(tilts))
    assert read_tilts(written_tilts(np.asarray(tilts))) == pytest.approx(np.asarray(tilts))


@pytest.mark.parametrize("text", ["", "a", "1:2", "1:2:0", "5:0:1", "0:1e9:1"])
def test_what_are_no_tilts_is_said(text):
    with pytest.raises(ClxemError, match="are no tilts"):
        read_tilts(text)


def test_a_form_asks_only_for_what_cannot_be_derived():
    entry = Entry(frame="map", tilts="-65:65:1")
    assert [name for name, _ in follow(entry).asked] == ["energy", "flux", "exposure_time"]
    some = Entry(frame="map", tilts="-65:65:1", numbers={"energy": 520.0, "dose": 76.2})
    assert follow(some).asked == ()
    electrons = Entry(frame="map", modality="tem", numbers={"voltage": 300.0, "dose_rate": 25.58})
    assert {name for name, _ in follow(electrons).asked} == {"pixel", "exposure_time"}
    ions = Entry(frame="map", modality="fib")
    assert [name for name, _ in follow(ions).asked] == ["voltage"]
    assert follow(Entry(frame="map", modality="confocal")).exposure is not None


def test_a_mosaic_is_made_of_tiles_that_overlap():
    numbers = {"energy": 520.0, "fluence_per_image": 4e7}
    tiles = Mosaic(rows=7, columns=9, tile=(13.0, 13.0), overlap=0.1)
    found = follow(Entry(name="map", frame="map", aim=(50.0, 60.0), numbers=numbers, mosaic=tiles))
    assert len(found.exposures) == len({one.id for one in found.exposures}) == 63
    aims = np.array([one.aim for one in found.exposures])
    assert aims.mean(axis=0) == pytest.approx((50.0, 60.0))
    assert np.ptp(aims, axis=0) == pytest.approx((6 * 11.7, 8 * 11.7))
    assert {one.group for one in found.exposures} == {"map"}
    pitch = 11.7 / 200
    once = found.exposure.image_dose()
    inner = cumulative_map(found.exposures, (50 - 5.85, 60 - 5.85), (200, 200), pitch) / once
    times = np.pi * 100 / 11.7**2
    assert inner.mean() == pytest.approx(times, rel=2e-3)
    assert (inner.min().round(6), inner.max().round(6)) == (1.0, 4.0)
    assert f"exposed {times:.3g} times on average" in "\n".join(found.steps)
    assert "63 exposures, 11.7 x 11.7 µm apart" in "\n".join(found.steps)
    wrong = follow(Entry(frame="map", numbers=numbers, mosaic=Mosaic(overlap=1.0)))
    assert "overlap" in wrong.problem
    assert not wrong.exposures


def test_a_form_shows_what_follows():
    numbers = {"energy": 520.0, "flux": 1.11e10, "exposure_time": 2.0}
    found = follow(Entry(frame="map", tilts="-65:65:1", radius=10.0, numbers=numbers))
    fluence = 2.0 * 1.11e10 / (np.pi * 100.0)
    assert found.exposure.fluence == pytest.approx(fluence)
    assert found.exposure.image_dose("ice") == pytest.approx(xray_dose(fluence, 520.0, "ice"))
    assert any(step.startswith("area = 314.16 µm²") for step in found.steps)
    assert any(f"{131 * xray_dose(fluence, 520.0, 'cell'):.5g} MGy" in one for one in found.steps)


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        (Entry(frame="map", numbers={"energy": 540.0, "dose": 10.0}, tilts="x"), "no tilts"),
        (Entry(frame="map", numbers={"energy": -1.0, "dose": 10.0}), "above zero"),
        (Entry(frame="", modality="confocal"), "frame"),
        (Entry(frame="map", modality="confocal", radius=None), "beam"),
        (Entry(frame="map", modality="fib", numbers={"voltage": 8.0}), "damage layer"),
    ],
)
def test_what_is_wrong_in_a_form_is_one_sentence(entry, words):
    found = follow(entry)
    assert found.exposure is None
    assert words in found.problem


@pytest.mark.parametrize(
    "one",
    [
        sxt(fluence=1e7, dose_per_image=None, weights=tuple(np.linspace(0.5, 1.5, 7))),
        tem(source="a.mdoc", basis="ExposureDose of the mdoc", lower_bound=True),
        PRESETS["Aquilos SEM 2 kV"].exposure("map", (1.0, 2.0)),
        sxt(halo=((2.0, 0.1),), times=tuple("abcdefg"), images=2),
    ],
)
def test_an_exposure_that_is_edited_without_a_change_stays_as_it_is(one):
    assert follow(entry_of(one)).exposure == one


def test_exposures_are_added_changed_and_removed_each_to_be_undone(dock, show, qtbot):  # noqa: F811
    workspace = show(sxt())
    tab, store = dock.exposures, workspace.store
    dock.tabs.setCurrentWidget(tab)
    tab._on_add()
    form = tab.form
    form._frame.setCurrentIndex(form._frame.findData("map"))
    form._y.setValue(12.0)
    form._tilts.setText("-10 : 10 : 10")
    assert not form._accept.isEnabled()
    assert "Still needed: energy, flux, exposure time" in texts(dock)
    form._numbers["energy"].setText("520")
    form._numbers["flux"].setText("1e10")
    form._numbers["exposure_time"].setText("1")
    assert form._accept.isEnabled()
    form._on_keep()
    made = store.session.exposures[-1]
    assert (made.frame, made.aim[0], made.tilts) == ("map", 12.0, (-10.0, 0.0, 10.0))
    assert made.fluence == pytest.approx(1e10 / (np.pi * 100))
    ready(dock, qtbot)
    tab.table.selectRow(tab.model.line_of("xrays"))
    assert dock.review.chosen == ("xrays",)
    tab._on_edit()
    form._x.setValue(33.0)
    form._on_keep()
    assert [one.aim[1] for one in store.session.exposures if one.id == "xrays"] == [33.0]
    undo(dock.viewer)
    assert [one.aim[1] for one in store.session.exposures if one.id == "xrays"] == [30.0]
    ready(dock, qtbot)
    tab.table.selectRow(tab.model.line_of(made.id))
    tab._on_drop()
    assert [one.id for one in store.session.exposures] == ["xrays"]
    undo(dock.viewer)
    assert len(store.session.exposures) == 2


def test_a_mosaic_is_added_in_one_step(dock, show, qtbot):  # noqa: F811
    workspace = show(sxt())
    form = dock.exposures.form
    dock.tabs.setCurrentWidget(dock.exposures)
    dock.exposures._on_add()
    assert form._tiling.isHidden()
    form._name.setText("overview")
    form._mosaic.setChecked(True)
    assert not form._tiling.isHidden()
    form._lines.setValue(2)
    form._columns.setValue(4)
    form._more.setCurrentIndex(form._more.findData("fluence_per_image"))
    form._on_more(0)
    form._numbers["fluence_per_image"].setText("4e7")
    form._numbers["energy"].setText("520")
    form._on_keep()
    assert len(workspace.store.session.exposures) == 9
    assert workspace.store.undo_label == "Add overview, 8 tiles"
    undo(dock.viewer)
    assert len(workspace.store.session.exposures) == 1


def test_presets_are_added_where_the_canvas_looks(dock, show, qtbot):  # noqa: F811
    workspace = show(sxt())
    viewer = dock.viewer
    viewer.scene.camera.center = (0.0, 2.0, -3.0)
    dock.exposures._on_preset()
    made = workspace.store.session.exposures[-1]
    assert made.planned
    assert made.frame == "reference"
    assert made.aim == pytest.approx(np.array(workspace.view.origin[1:]) + np.array([2.0, -3.0]))
    assert "Add Mistral 40 nm" in workspace.store.undo_label


def test_images_are_recorded_once(dock, grid, qtbot, monkeypatch):  # noqa: F811
    monkeypatch.setattr("napari_clxem.plugin.controllers.dose_records.open_dataset", grid.open)
    workspace = workspace_for(dock.viewer)
    workspace.show_site("c1", "reference")
    tab = dock.exposures
    tab._xrays.setCurrentIndex(1)
    for _ in range(2):
        tab._on_record()
        qtbot.waitUntil(lambda: not tab.task.busy, timeout=20000)
    found = {one.frame: one for one in workspace.store.session.exposures}
    assert sorted(found) == ["map", "other", "stack", "tomogram"]
    assert found["tomogram"].image_count == 131
    assert "Assumed as preset Mistral 40 nm" in found["tomogram"].basis
    assert found["map"].image_dose() is None
    assert not found["stack"].counts
    assert "recorded already" in tab._said.text()


def test_a_plan_says_what_it_costs_and_is_recorded(dock, show, qtbot):  # noqa: F811
    workspace = show(sxt())
    planner = dock.plan.planner
    dock.tabs.setCurrentWidget(dock.plan)
    planner.aim("A1")
    planner.add(PRESETS["Mistral 40 nm"])
    planner.add(PRESETS["Krios 300 kV"])
    qtbot.waitUntil(lambda: not planner.working.busy, timeout=20000)
    ready(dock, qtbot)
    found = planner.outcome.plan
    assert not found.ok
    assert found.dose == pytest.approx(644, abs=1)
    target = next(place for name, place, _ in planner.targets() if name == "A1")
    assert [one.aim for one in planner.steps] == [pytest.approx(target[1:])] * 2
    said = texts(dock.plan)
    assert "The plan does not work" in said
    assert "at most 143 MGy or 5.13e+09 photons/µm²" in said
    assert "Bring the X-ray steps from 239 to at most 143 MGy" in said
    planner.want(amplitude=0.4)
    dock.review.set(stability=700.0, d=30.0)
    qtbot.waitUntil(lambda: planner.outcome.plan.ok, timeout=20000)
    planner.lift(planner.steps[1].id)
    assert [one.modality for one in planner.steps] == ["tem", "sxt"]
    planner.record()
    assert [one.planned for one in workspace.store.session.exposures] == [False, True, True]
    assert "plan of 2 steps" in workspace.store.undo_label


def test_a_plan_without_a_frame_says_so(dock):  # noqa: F811
    workspace_for(dock.viewer).show_site(None, "")
    dock.plan.planner.add(PRESETS["Krios 300 kV"])
    dock.tabs.setCurrentWidget(dock.plan)
    assert "Choose a reference frame first" in texts(dock.plan)


def test_pasted_numbers_are_checked(dock):  # noqa: F811
    tab = dock.check
    tab.text.setPlainText("flux = 1.11e10 ph/s\narea = 169\nexposure_time = 1\n"
                          "fluence_per_image = 6.7e7")  # fmt: skip
    tab.look()
    said = texts(tab)
    assert "1 of 1 relations do not close" in said
    assert "stated 6.7e+07, fluence_rate · exposure_time = 6.568e+07" in said
    tab.text.setPlainText("no numbers at all")
    tab.look()
    assert "no line such as" in texts(tab)


def test_tables_are_written(dock, show, tmp_path):  # noqa: F811
    show(sxt(frame="reference", aim=(1020.0, 1010.0), axis_height=4.0), tem(planned=True))
    from napari_clxem.plugin.controllers.dose_export import write_exposures

    path = tmp_path / "exposures.csv"
    write_exposures(path, workspace_for(dock.viewer).store.session, dock.review.scene)
    lines = list(csv.DictReader(path.read_text(encoding="utf-8").splitlines()))
    assert [one["id"] for one in lines] == ["xrays", "electrons"]
    assert [float(one["dose_MGy"]) for one in lines] == [70.0, 40.0]
    assert [one["state"] for one in lines] == ["recorded", "planned"]
    path = tmp_path / "targets.csv"
    dock.map.write_targets(str(path))
    lines = list(csv.DictReader(path.read_text(encoding="utf-8").splitlines()))
    assert lines[0]["name"] == "A1"
    assert float(lines[0]["dose_MGy"]) == pytest.approx(70.0)
    assert float(lines[0]["share_of_howells_at_20_A"]) == pytest.approx(0.35)
    with pytest.raises(ClxemError, match="cannot be written"):
        dock.map.write_targets(str(tmp_path / "missing" / "targets.csv"))


def test_a_picture_has_a_caption_below(dock, show, tmp_path):  # noqa: F811
    show(sxt())
    path = tmp_path / "dose.png"
    dock.map.write_picture(str(path))
    picture = QImage(str(path))
    canvas = dock.viewer.screenshot(canvas_only=True, flash=False)
    assert picture.width() == canvas.shape[1]
    assert picture.height() > canvas.shape[0] + 40
    strip = [
        picture.pixelColor(x, y).lightness()
        for x in range(0, picture.width(), 3)
        for y in range(canvas.shape[0], picture.height())
    ]
    assert min(strip) < 80
    assert max(strip) == 255
