from __future__ import annotations

import csv
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Shapes
from qtpy.QtWidgets import QLabel, QPushButton

from napari_clxem.frames import Affine, UncertainAffine
from napari_clxem.io.image import StagePosition
from napari_clxem.lamella import Lamella, LamellaRecord
from napari_clxem.plugin.controllers import release, workspace_for
from napari_clxem.plugin.controllers.lamella_outline import DRAWN, POSITIONS
from napari_clxem.plugin.controllers.lamella_overlap import LamellaOverlap
from napari_clxem.plugin.controllers.lamella_slabs import parts
from napari_clxem.plugin.controllers.lamella_words import (
    facing,
    overlap_words,
    series_cells,
    tilted,
)
from napari_clxem.plugin.widgets.lamella import LamellaWidget
from napari_clxem.session import Dataset, FileRef, Frame, Link, edits, save
from napari_clxem.session.geometry import estimate
from napari_clxem.session.overlaps import record_on_map, shares

pytestmark = pytest.mark.gl

# The map looks straight down on the tomogram, turned by 25° in its plane, 4 µm from its corner.
TURN = np.deg2rad(25.0)
PIXEL = 0.05
CORNERS = np.array([[1.0, 1.0], [1.0, 8.0], [6.0, 8.0], [6.0, 1.0]])
HEIGHT = 4.0


def to_map() -> np.ndarray:
    """The tomogram's frame in that of the map, both 3D."""
    matrix = np.eye(4)
    matrix[1:3, 1:3] = [[np.cos(TURN), -np.sin(TURN)], [np.sin(TURN), np.cos(TURN)]]
    matrix[:3, 3] = -HEIGHT, -3.0, -4.0
    return matrix


def map_image() -> np.ndarray:
    """Bright nothing, dark uncut sample, and a lamella of middle grey."""
    image = np.full((180, 200), 40.0)
    low, high = (CORNERS[0] / PIXEL).astype(int), (CORNERS[2] / PIXEL).astype(int)
    image[low[0] : high[0] + 1, low[1] : high[1] + 1] = 120.0
    image[150:, :] = 240.0
    return image + np.random.default_rng(3).normal(0, 4, image.shape)


@pytest.fixture
def tem_grid(grid):
    dataset = Dataset(
        id="tem",
        name="tem",
        modality="tem",
        site="c1",
        frame="tem",
        file=FileRef(path="/nowhere/tem.mrc"),
        axes=("y", "x"),
        shape=(180, 200),
        scale=(PIXEL, PIXEL),
        stage=StagePosition((0.0, 0.0, 0.0), 0.0, -10.0, "serialem"),
    )
    projection = to_map()[1:3]
    covariance = np.zeros((8, 8))
    covariance[3, 3] = covariance[7, 7] = 0.05**2
    link = Link(
        id="to-tem",
        moving="tomogram",
        fixed="tem",
        kind="declared",
        estimate=estimate(
            UncertainAffine(projection, np.array([HEIGHT, 10.0, 10.0]), covariance, None)
        ),
    )
    grid.session = replace(
        grid.session,
        datasets=(*grid.session.datasets, dataset),
        frames=(*grid.session.frames, Frame(name="tem", ndim=2, z=(0.0, 0.15))),
        links=(*grid.session.links, link),
    )
    grid.images["tem"] = map_image().astype(np.float32)
    return grid


def kept(session, **values):
    map_ = next(one for one in session.datasets if one.id == "tem")
    pose = {"thickness": 0.4, "height": 0.0, "angle": 0.0, "azimuth": 0.0, "damage": 0.0} | values
    return record_on_map(session, map_, CORNERS, before=None, **pose)


@pytest.fixture
def work(tem_grid, qapp):
    """A lamella at work on a canvas without a window."""
    viewer = ViewerModel()
    workspace = workspace_for(viewer)
    workspace.use(tem_grid.store())
    workspace.show_site("c1", "tem")
    made = LamellaOverlap(workspace, viewer)
    yield SimpleNamespace(lamella=made, viewer=viewer, store=workspace.store)
    made.release()
    release(viewer)


def test_no_common_area_is_said_as_nothing(tem_grid):
    record = kept(tem_grid.session)
    away = replace(record, lamella=replace(record.lamella, centre=(0.0, 300.0, 300.0)))
    (found,) = shares(tem_grid.session, away)
    assert found.overlap.area_fraction == 0.0
    map_ = tem_grid.session.datasets[-1]
    words = overlap_words(tem_grid.session, map_, away, (found,))
    assert words.large == "0% overlap"


def test_the_slab_is_as_thick_and_as_damaged_as_it_was_planned(work):
    plan = LamellaRecord(
        id="plan",
        site="c1",
        frame="tomogram",
        lamella=Lamella((1.0, 5.0, 5.0), 10.0, thickness=0.2, damage=0.03),
        promised=0.6,
    )
    work.store.commit(lambda s: edits.put(s, plan), "plan")
    assert work.lamella.keep_outline(CORNERS)
    made = work.lamella.record
    assert (made.lamella.thickness, made.lamella.damage, made.promised) == (0.2, 0.03, 0.6)


def test_tilt_and_milling_angle_are_compared_in_words(tem_grid):
    map_ = tem_grid.session.datasets[-1]
    assert "-10.0°" in facing(map_, ())
    plan = replace(kept(tem_grid.session), status="planned")
    plan = replace(plan, lamella=replace(plan.lamella, angle=12.5))
    assert "2.5° off the map" in facing(map_, [plan])
    assert "by hand" in facing(replace(map_, stage=None), ())
    assert "landmarks alone" in tilted(tem_grid.session, kept(tem_grid.session))


def test_the_outline_is_traced_on_the_map(work, qtbot):
    lamella = work.lamella
    lamella.trace()
    qtbot.waitUntil(lambda: lamella.record is not None and not lamella.busy, timeout=20000)
    area = lamella.record.lamella.area
    assert area == pytest.approx(35.0, rel=0.05)
    assert np.abs(lamella.corners.mean(axis=0) - CORNERS.mean(axis=0)).max() < 1.0
    work.store.undo()
    assert lamella.record is None


def test_a_polygon_that_was_drawn_is_taken_over(work):
    lamella = work.lamella
    lamella.draw()
    layer = work.viewer.layers[DRAWN]
    shown = lamella._to_display()
    layer.add_polygons([CORNERS @ shown[:2, :2].T + shown[:2, 2]])
    lamella.take()
    assert DRAWN not in work.viewer.layers
    np.testing.assert_allclose(lamella.corners, CORNERS, atol=1e-4)
    lamella.draw()
    assert len(work.viewer.layers[DRAWN].data) == 1


def test_a_polygon_of_another_layer_with_its_own_scale_is_taken_too(work):
    lamella = work.lamella
    shown = lamella._to_display()
    data = (CORNERS @ shown[:2, :2].T + shown[:2, 2]) / 0.5
    layer = Shapes([data], shape_type="polygon", scale=(0.5, 0.5), units=("um", "um"))
    work.viewer.layers.append(layer)
    work.viewer.layers.selection = {layer}
    lamella.take()
    np.testing.assert_allclose(lamella.corners, CORNERS, atol=1e-4)
    assert layer in work.viewer.layers


def test_an_outline_that_crosses_itself_is_refused_in_words(work, monkeypatch):
    said = []
    monkeypatch.setattr(
        "napari_clxem.plugin.controllers.lamella_overlap.show_error", lambda text: said.append(text)
    )
    crossed = [[1.0, 1.0], [6.0, 8.0], [6.0, 2.0], [1.0, 8.0], [0.5, 4.0]]
    assert not work.lamella.keep_outline(np.array(crossed))
    assert "crosses itself" in said[0]
    assert work.lamella.record is None


def test_the_pose_changes_and_the_outline_on_the_map_stays(work):
    lamella = work.lamella
    lamella.keep_outline(CORNERS)
    lamella.set_pose(angle=8.0, azimuth=35.0, thickness=0.2)
    np.testing.assert_allclose(lamella.corners, CORNERS, atol=1e-9)
    assert lamella.record.lamella.angle == 8.0
    assert lamella.record.overlap == lamella.shares[0].overlap
    before = lamella.session
    lamella.set_pose(angle=8.0)
    assert lamella.session is before


def test_the_slab_on_the_map_is_what_the_tomogram_holds_there(work, tem_grid, qtbot):
    lamella = work.lamella
    lamella.keep_outline(CORNERS)
    lamella.cut()
    qtbot.waitUntil(lambda: bool(lamella.slabs.layers) and not lamella.busy, timeout=20000)
    layer = next(one for one in lamella.slabs.layers if "tomogram" in one.name)
    volume = tem_grid.images["tomogram"]
    spot = CORNERS.mean(axis=0)
    place = Affine(np.linalg.inv(to_map())).transform([[0.0, *spot]])[0] / 0.12
    z, y, x = np.round(place).astype(int)
    row, column = np.round(spot / layer.scale).astype(int)
    around = volume[z - 1 : z + 2, y - 1 : y + 2, x - 1 : x + 2]
    assert around.min() - 1 <= layer.data[row, column] <= around.max() + 1
    assert np.isnan(layer.data[0, 0])
    # it lies on the map
    map_layer = workspace_for(work.viewer).layers.layers["tem", 0]
    np.testing.assert_allclose(
        layer.data_to_world((row, column)), map_layer.data_to_world(spot / PIXEL), atol=0.06
    )
    # over the images, under the marks
    order = list(work.viewer.layers)
    assert (
        order.index(map_layer) < order.index(layer) < order.index(lamella._marks.layer("outline"))
    )
    full = layer.data.shape
    lamella.slabs.swipe(0.25)
    assert layer.data.shape == (full[0], round(full[1] / 4))
    lamella.slabs.swipe(1.0)
    assert layer.data.shape == full
    whole = layer.data.copy()
    lamella.slabs.chequer(True)
    shown, known = np.isfinite(layer.data), np.isfinite(whole)
    assert shown[known].mean() == pytest.approx(0.5, abs=0.1)
    np.testing.assert_array_equal(layer.data[shown], whole[shown])
    lamella.slabs.chequer(False)
    np.testing.assert_array_equal(layer.data, whole)
    lamella.slabs.blink()
    assert not layer.visible
    lamella.slabs.blink()
    assert layer.visible
    lamella.slabs.clear()
    assert layer not in work.viewer.layers


def test_squares_of_a_slab_take_turns():
    image = np.arange(1.0, 1 + 16 * 32).reshape(16, 32)
    shown = parts(image, 1.0, True)
    clear = np.isnan(shown)
    assert not clear[:4, :4].any()
    assert clear[:4, 4:8].all()
    assert clear[4:8, :4].all()
    assert not clear[4:8, 4:8].any()
    np.testing.assert_array_equal(shown[~clear], image[~clear])
    assert parts(image, 0.5, False).shape == (16, 16)
    assert parts(image, 0.0, False).shape == (16, 1)


def test_tilt_series_name_the_targets_they_show(work, tem_grid):
    lamella = work.lamella
    lamella.keep_outline(CORNERS)
    back = Affine(np.linalg.inv(to_map()))
    first = replace(work.store.session.targets[0], frame="tomogram", radius=0.2, name="vesicle")
    here = [[0.0, 3.0, 3.0], [0.0, 3.4, 3.3], [2.0, 3.0, 3.0], [0.0, 5.5, 7.5]]
    places = back.transform(here)
    made = [
        replace(first, id=f"t{n}", name=name, position=tuple(place.tolist()))
        for n, (name, place) in enumerate(zip("abcd", places, strict=True))
    ]
    work.store.commit(lambda s: edits.put(s, *made), "targets")
    lamella.place_series()
    layer = work.viewer.layers[POSITIONS]
    shown = lamella._to_display()
    for spot in ([3.0, 3.0], [5.5, 7.0], [0.2, 0.2]):
        layer.add(np.array(spot) @ shown[:2, :2].T + shown[:2, 2])
    names = [[target.name for target in one.targets] for one in lamella.series]
    assert names[0][:2] == ["a", "b"]
    assert "c" not in names[0]  # two µm above the slab
    assert names[1] == ["d"]
    assert [one.inside for one in lamella.series] == [True, True, False]
    assert series_cells(lamella.series[0]) == ("position 1", ", ".join(names[0]))
    assert series_cells(lamella.series[2])[1] == "off the lamella"
    lamella.set_field(0.05)
    assert [target.name for target in lamella.series[0].targets] == ["a"]


@pytest.fixture
def dock(make_napari_viewer, tem_grid, qtbot):
    viewer = make_napari_viewer()
    widget = LamellaWidget(viewer)
    viewer.window.add_dock_widget(widget, name="Lamella overlap", area="right")
    workspace = workspace_for(viewer)
    workspace.use(tem_grid.store())
    workspace.show_site("c1", "tem")
    widget.refresh()
    yield widget
    widget.close()


def texts(dock):
    return "\n".join(label.text() for label in dock.findChildren(QLabel) if not label.isHidden())


def test_the_dock_says_overlap_and_campaign(dock, tem_grid, tmp_path, qtbot):
    assert "No outline yet" in texts(dock)
    dock.lamella.keep_outline(CORNERS)
    share = dock.lamella.shares[0].overlap.area_fraction
    qtbot.waitUntil(lambda: f"{share:.0%} overlap" in texts(dock))
    assert "1 of 1 above 50%" in texts(dock).replace("50 %", "50%")
    assert dock._shares.item(0, 1).text() == f"{share:.0%}"
    other = replace(tem_grid.session, id="other", name="other grid")
    lost = replace(kept(other), status="lost", name="gone")
    path = tmp_path / "other.clxem.json"
    save(edits.put(other, kept(other), lost), path)
    dock.campaign.add_sessions([str(path), str(path)])
    assert dock.lamella.campaign.measured == 2
    assert len(dock.lamella.campaign.rows) == 3
    table = tmp_path / "campaign.csv"
    dock.campaign.write_campaign(str(table))
    with table.open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["session"] for row in rows].count("other grid") == 2
    drawing = tmp_path / "campaign.svg"
    dock.campaign.write_campaign(str(drawing))
    assert drawing.read_text(encoding="utf-8").count("<circle") == 2
    assert float(rows[0]["area_fraction"]) == pytest.approx(share, abs=1e-3)


def test_it_fits_a_narrow_dock_and_an_empty_one_says_the_next_step(dock, qtbot):
    dock.lamella.keep_outline(CORNERS)
    alone = LamellaWidget(dock.viewer)
    qtbot.addWidget(alone)
    alone.resize(320, 700)
    with qtbot.waitExposed(alone):
        alone.show()
    assert alone.widget().width() <= 320
    for part in alone.findChildren(QPushButton):
        if part.isVisible():
            assert part.mapTo(alone.widget(), part.rect().topRight()).x() < 320
    workspace_for(dock.viewer).show_site("c2", "other")
    alone.refresh()
    assert "No TEM map here" in texts(alone)
    alone.close()
