from __future__ import annotations

import csv
from dataclasses import replace

import numpy as np
import pytest
from qtpy.QtWidgets import QApplication, QLabel

from conftest import BEADS, moved_link
from napari_clxem.errors import ImageError
from napari_clxem.plugin import keys
from napari_clxem.plugin.controllers import sxt_masses, sxt_tilts, workspace_for
from napari_clxem.plugin.controllers.sxt_sources import brought, sources
from napari_clxem.plugin.controllers.sxt_weighing import Wedging, calibrated
from napari_clxem.plugin.widgets.sxt import SxtWidget
from napari_clxem.xray import Contrast, calibrate_wedge, density, project
from napari_clxem.xray.phantom import spheres

pytestmark = pytest.mark.gl

PIXEL = 0.02
UM = ("um",) * 3
CONTRAST = 20_000.0
MEDIUM, SCALE = 0.6, 0.969


@pytest.fixture(autouse=True)
def told(monkeypatch):
    """What the user is told, instead of a notification."""
    sentences: list[str] = []
    for module in ("widgets.sxt_resolution", "widgets.sxt_density", "controllers.tasks"):
        monkeypatch.setattr(f"napari_clxem.plugin.{module}.show_error", sentences.append)
    return sentences


@pytest.fixture
def dock(make_napari_viewer):
    viewer = make_napari_viewer()
    widget = SxtWidget(viewer)
    widget._warm.stop()
    viewer.window.add_dock_widget(widget, name="SXT analysis", area="right")
    yield widget
    widget.close()


def settled(dock, qtbot):
    qtbot.waitUntil(lambda: not dock.analysis.task.busy, timeout=30000)
    dock.refresh()


def texts(dock):
    return "\n".join(one.text() for one in dock.findChildren(QLabel) if not one.isHidden())


def cells(table):
    return [
        [table.item(line, column).text() for column in range(table.columnCount())]
        for line in range(table.rowCount())
    ]


def halves(cutoff, shape=(64, 64, 64), noise=0.05, seed=3):
    """Two noisy copies of a random volume without frequencies above a cut-off (1/pixel)."""
    rng = np.random.default_rng(seed)
    along = np.meshgrid(*(np.fft.fftfreq(n) for n in shape), indexing="ij")
    spectrum = np.fft.fftn(rng.normal(size=shape))
    spectrum[np.sqrt(sum(one**2 for one in along)) > cutoff] = 0
    truth = np.fft.ifftn(spectrum).real
    truth /= truth.std()
    return [(truth + noise * rng.normal(size=shape)).astype(np.float32) for _ in range(2)]


def add(dock, data, name, scale=PIXEL, units="um", **more):
    return dock.viewer.add_image(
        data, name=name, scale=(scale,) * data.ndim, units=(units,) * data.ndim, **more
    )


def test_an_empty_dock_says_the_next_step(dock):
    assert "Open two tomograms" in texts(dock)
    dock.tabs.setCurrentWidget(dock.density)
    assert "709 and 700 eV" in texts(dock)
    assert not dock.density.go.isEnabled()


def test_every_button_is_in_the_table_of_verbs():
    for verb in (keys.CORRELATE_HALVES, keys.WEIGH, keys.WRITE_CURVE, keys.WRITE_MASSES):
        assert verb in keys.TABLE


@pytest.mark.parametrize(("scale", "units"), [(PIXEL, "um"), (PIXEL * 1000, "nm")])
def test_the_resolution_of_two_layers_is_that_of_their_content(dock, qtbot, scale, units):
    cutoff = 0.22  # per pixel
    for name, half in zip("AB", halves(cutoff), strict=True):
        add(dock, half, name, scale, units)
    dock.refresh()
    dock.resolution.masking.setCurrentText("Whole box")
    dock.resolution.start()
    settled(dock, qtbot)
    period = 1e3 * PIXEL / cutoff
    rows = cells(dock.resolution.table)
    assert [row[0] for row in rows] == ["0.25", "0.143", "½-bit"]
    for row in rows:
        assert float(row[1]) == pytest.approx(period, rel=0.05)
        assert float(row[2]) == pytest.approx(float(row[1]) / 2, abs=0.06)
        low, high = (float(one) for one in row[3].split("–"))
        assert low <= float(row[1]) <= high
    assert "full period" in texts(dock)
    assert "half-pitch" in texts(dock)
    assert "whole box" in texts(dock)


def test_the_curve_is_drawn_in_the_colours_of_the_theme(dock, qtbot):
    for name, half in zip("AB", halves(0.2), strict=True):
        add(dock, half, name)
    dock.refresh()
    dock.resolution.start()
    settled(dock, qtbot)
    brightness = {}
    for theme in ("dark", "light"):
        dock.viewer.theme = theme
        image = dock.resolution.plot.grab().toImage()
        brightness[theme] = image.pixelColor(1, image.height() - 1).lightness()
        hues = {
            image.pixelColor(x, y).hue()
            for x in range(0, image.width(), 2)
            for y in range(0, image.height(), 2)
        }
        assert len(hues) > 5
    assert brightness["dark"] < 100 < brightness["light"]


def test_identical_halves_are_warned_of(dock, qtbot):
    data = halves(0.2)[0]
    add(dock, data, "A")
    add(dock, data.copy(), "B")
    dock.refresh()
    dock.resolution.start()
    settled(dock, qtbot)
    assert "⚠ The halves are the same image" in texts(dock)


def test_halves_of_different_size_are_refused_in_a_sentence(dock, qtbot, told):
    one, two = halves(0.2)
    add(dock, one, "A")
    add(dock, two[:, :32], "B")
    dock.refresh()
    dock.resolution.start()
    settled(dock, qtbot)
    assert len(told) == 1
    assert "differ in size" in told[0]
    assert dock.analysis.resolved is None


def test_noise_has_no_resolution(dock, qtbot):
    rng = np.random.default_rng(5)
    for name in "AB":
        add(dock, rng.normal(size=(48, 48, 48)), name)
    dock.refresh()
    dock.resolution.start()
    settled(dock, qtbot)
    assert "No resolution at 0.25" in texts(dock)
    assert cells(dock.resolution.table)[0][1:] == ["—"] * 3


def test_two_images_give_a_ring_correlation(dock, qtbot):
    for name, half in zip("AB", halves(0.2, (256, 256)), strict=True):
        add(dock, half, name)
    dock.refresh()
    dock.resolution.masking.setCurrentText("Whole box")
    dock.resolution.start()
    settled(dock, qtbot)
    assert "Fourier ring" in texts(dock)
    assert float(cells(dock.resolution.table)[0][1]) == pytest.approx(100.0, rel=0.05)


def test_a_tilt_series_is_split_into_even_and_odd(dock, qtbot, told):
    rng = np.random.default_rng(8)
    tilts = np.arange(-60.0, 61.0, 4.0)
    places = rng.uniform(0.1, (0.5, 0.7, 0.8), (30, 3))
    body = spheres((32, 40, 48), places, 0.06, 8.0, PIXEL)
    series = project(body, tilts, PIXEL) + rng.normal(0, 0.05, (len(tilts), 40, 48))
    add(dock, series, "series")
    tab = dock.resolution
    tab.way.setCurrentIndex(1)
    tab.thickness.setValue(32)
    tab.tilts.text.setText("-60 to 60 by 5")
    tab.start()
    settled(dock, qtbot)
    assert "31 images, 25 tilts" in told[-1]
    tab.tilts.text.setText("-60 to 60 by 4")
    tab.start()
    settled(dock, qtbot)
    found = dock.analysis.resolved
    assert found.names == ("series, even tilts", "odd tilts")
    assert 2 * PIXEL < found.curve.resolution(0.25) < 0.06
    before = found.curve
    add(dock, np.exp(-series), "transmission")
    dock.refresh()
    tab.series.setCurrentText("transmission")
    tab.values.setCurrentText("Transmission")
    tab.start()
    settled(dock, qtbot)
    after = dock.analysis.resolved.curve
    known = np.isfinite(before.correlation)
    assert after is not before
    np.testing.assert_allclose(after.correlation[known], before.correlation[known], atol=1e-3)


def test_a_calculation_given_up_leaves_nothing(dock, qtbot):
    for name, half in zip("AB", halves(0.2), strict=True):
        add(dock, half, name)
    dock.refresh()
    dock.resolution.start()
    assert not dock.progress.isHidden()
    dock.analysis.task.cancel()
    qtbot.wait(500)
    assert dock.progress.isHidden()
    assert dock.analysis.resolved is None
    dock.resolution.start()
    settled(dock, qtbot)
    assert dock.analysis.resolved is not None


def test_the_curve_is_written_and_copied(dock, qtbot, tmp_path):
    for name, half in zip("AB", halves(0.2), strict=True):
        add(dock, half, name)
    dock.refresh()
    dock.resolution.start()
    settled(dock, qtbot)
    dock.resolution.write(tmp_path / "fsc.csv")
    curve = dock.analysis.resolved.curve
    with (tmp_path / "fsc.csv").open(newline="", encoding="utf-8") as file:
        lines = list(csv.DictReader(file))
    assert len(lines) == len(curve.frequency) - 1
    assert float(lines[20]["correlation"]) == pytest.approx(curve.correlation[21])
    assert float(lines[20]["full_period_nm"]) == pytest.approx(1e3 / curve.frequency[21])
    with (tmp_path / "fsc-resolution.csv").open(newline="", encoding="utf-8") as file:
        summary = list(csv.DictReader(file))
    assert [one["threshold"] for one in summary] == ["0.25", "0.143", "half-bit"]
    assert float(summary[0]["full_period_nm"]) == pytest.approx(1e3 * curve.resolution(0.25))
    dock.resolution.copy()
    assert "Half-pitch (nm)" in QApplication.clipboard().text()


MOVED = (0.0, 4.0, 0.0)
SPOTS = np.array([(0.5, 0.4, 0.5), (0.7, 0.9, 1.0), (0.6, 1.2, 0.4)])
WIDTHS = np.array([0.16, 0.2, 0.24])
DENSITIES = np.array([1.3, 1.0, 0.8])
MASSES = DENSITIES * np.pi / 6 * WIDTHS**3  # pg


def pair(noise=0.02, seed=2):
    """Absorption at both energies, 1/µm: a cell that absorbs alike, and iron above the edge."""
    rng = np.random.default_rng(seed)
    shape = (64, 80, 80)
    iron = spheres(shape, SPOTS, WIDTHS, DENSITIES, PIXEL) * CONTRAST * 1e-4
    cell = MEDIUM * np.ones(shape, np.float32)
    cell[:, :, :8] = 0.0
    low = cell + noise * rng.normal(size=shape)
    high = SCALE * cell + iron + noise * rng.normal(size=shape)
    return low.astype(np.float32), high.astype(np.float32)


def prepare(dock, contrast=CONTRAST, source="as made"):
    tab = dock.density
    dock.tabs.setCurrentWidget(tab)
    tab.calibrates.setChecked(False)
    tab.contrast.setText(f"{contrast:g}")
    tab.origin.setText(source)
    dock.refresh()
    return tab


def weigh(dock, qtbot, **placing):
    low, high = pair()
    add(dock, low, "Tomogram 700 eV", **placing)
    add(dock, high, "Tomogram 709 eV", **placing)
    tab = prepare(dock)
    tab.start()
    settled(dock, qtbot)
    return tab


def by_mass(weighed):
    return sorted(weighed.found.clusters, key=lambda one: one.mass.value)


def test_masses_of_a_pair_are_those_that_are_there(dock, qtbot, told):
    tab = weigh(dock, qtbot)
    assert told == []
    assert tab.high.currentText() == "Tomogram 709 eV"
    assert tab.low.currentText() == "Tomogram 700 eV"
    weighed = dock.analysis.weighed
    assert weighed.found.scale == pytest.approx(SCALE, abs=0.002)
    found = by_mass(weighed)
    order = np.argsort(MASSES)
    assert [one.mass.value for one in found] == pytest.approx(MASSES[order].tolist(), rel=0.05)
    for one, place in zip(found, SPOTS[order], strict=True):
        assert one.centre == pytest.approx(place.tolist(), abs=PIXEL)
    said = texts(dock)
    assert "in 3 clusters" in said
    assert "as made" in said
    assert "No wedge was calibrated" in said
    assert "3.09 σ" in said
    assert "6.18 σ" in said
    row = cells(tab.table)[0]
    assert row[0] == str(found[-1].name)
    assert float(row[1].split("±")[0]) == pytest.approx(1e3 * MASSES.max(), rel=0.06)


def test_layers_lie_where_the_tomogram_lies(dock, qtbot):
    affine = np.eye(4)
    affine[1:3, 1:3] = [[0.8, -0.6], [0.6, 0.8]]
    affine[:3, 3] = (3.0, -2.0, 7.0)
    weigh(dock, qtbot, affine=affine)
    source = dock.viewer.layers["Tomogram 709 eV"]
    for name in ("Density (g/cm³)", "Clusters"):
        layer = dock.viewer.layers[name]
        np.testing.assert_allclose(layer.scale, source.scale)
        np.testing.assert_allclose(layer.affine.affine_matrix, affine)
        assert [str(one) for one in layer.units] == ["micrometer"] * 3
    labels = dock.viewer.layers["Clusters"]
    for cluster in dock.analysis.weighed.found.clusters:
        world = affine[:3, :3] @ np.array(cluster.centre) + affine[:3, 3]
        index = np.round(labels.world_to_data(world)).astype(int)
        assert labels.data[tuple(index)] == cluster.name
    # and they are no input themselves
    assert {one.name for one in dock.analysis.sources()} == {"Tomogram 700 eV", "Tomogram 709 eV"}


def test_a_row_brings_its_cluster_to_the_middle(dock, qtbot):
    tab = weigh(dock, qtbot)
    cluster = by_mass(dock.analysis.weighed)[0]
    tab.table.chosen.emit(str(cluster.name))
    assert dock.viewer.dims.point[0] == pytest.approx(cluster.centre[0], abs=PIXEL)
    assert dock.viewer.scene.camera.center[-2:] == pytest.approx(cluster.centre[-2:])


@pytest.mark.parametrize(("values", "factor"), [("1/cm", 1e4), ("voxel", PIXEL)])
def test_values_in_other_units_give_the_same_masses(dock, qtbot, values, factor):
    low, high = pair()
    add(dock, low * factor, "700")
    add(dock, high * factor, "709")
    tab = prepare(dock)
    tab.values.setCurrentIndex(tab.values.findData(values))
    tab.start()
    settled(dock, qtbot)
    assert dock.analysis.weighed.found.total.value == pytest.approx(MASSES.sum(), rel=0.04)


def test_a_difference_is_weighed_alone(dock, qtbot, told):
    low, high = pair()
    add(dock, high - SCALE * low, "difference")
    tab = prepare(dock)
    tab.way.setCurrentIndex(1)
    tab.start()
    assert "k is missing" in told[-1]
    tab.scale.setText("0.969")
    tab.start()
    settled(dock, qtbot)
    assert dock.analysis.weighed.found.total.value == pytest.approx(MASSES.sum(), rel=0.04)
    assert "k = 0.969, as given" in texts(dock)


def test_no_mass_without_a_contrast_and_its_source(dock, told):
    low, high = pair()
    add(dock, low, "700")
    add(dock, high, "709")
    tab = prepare(dock)
    for value, source, sentence in (
        ("", "paper", "Δμ_m is missing"),
        ("3292", " ", "no source"),
        ("-3292", "paper", "wrong sign"),
        ("3,292", "paper", "decimal point"),
    ):
        tab.contrast.setText(value)
        tab.origin.setText(source)
        tab.start()
        assert sentence in told[-1]
        assert not dock.analysis.task.busy


def test_tables_are_offered_with_what_they_lack(dock):
    tab = dock.density
    assert tab.table_of.count() == 5
    tab.table_of.activated.emit(3)
    assert tab.contrast.number() == 10976
    assert "no white line" in tab.origin.text()


def test_swapped_energies_are_refused(dock, qtbot, told):
    low, high = pair()
    add(dock, low, "709 in truth 700")
    add(dock, high, "700 in truth 709")
    tab = prepare(dock)
    tab.high.setCurrentText("709 in truth 700")
    tab.low.setCurrentText("700 in truth 709")
    tab.start()
    settled(dock, qtbot)
    assert "look swapped" in told[-1]
    assert "Clusters" not in dock.viewer.layers


def test_the_wedge_is_calibrated_size_by_size_as_at_once():
    tilts, spacing, shape = tuple(np.arange(-60.0, 61.0, 6.0).tolist()), (0.02,) * 3, (32, 40, 36)
    heard = []
    parts = calibrated(
        Wedging(tilts, "SART", 3, None), spacing, shape, lambda share, _: heard.append(share)
    )
    whole = calibrate_wedge(tilts, 0.02, shape=(32, 36), iterations=3)
    for name in ("diameters", "factor", "core", "measured", "shares", "mass", "spread"):
        np.testing.assert_allclose(getattr(parts, name), getattr(whole, name), rtol=1e-5)
    assert heard == sorted(heard)
    assert len(heard) == len(whole.diameters)
    with pytest.raises(ImageError, match="cubic"):
        calibrated(Wedging(tilts, "SART", 3, None), (0.04, 0.02, 0.02), shape, print)


def test_a_calibrated_wedge_is_used_and_named(dock, qtbot):
    low, high = pair()
    add(dock, low, "700")
    add(dock, high, "709")
    tab = prepare(dock)
    tab.calibrates.setChecked(True)
    tab.tilts.text.setText("-60 to 60 by 10")
    tab.passes.setValue(1)
    tab.start()
    settled(dock, qtbot)
    tilts = np.arange(-60.0, 61.0, 10.0)
    wedge = calibrate_wedge(tilts, PIXEL, shape=(64, 80), iterations=1)
    contrast = Contrast(CONTRAST, "as made")
    found = dock.analysis.weighed.found
    known = density(high, low, PIXEL, contrast, scale=found.scale, wedge=wedge)
    assert found.total.value == pytest.approx(known.total.value, rel=1e-3)
    assert found.total.value != pytest.approx(MASSES.sum(), rel=0.04)
    assert "13 tilts from -60° to 60°, SART, 1 passes" in texts(dock)


def test_clusters_are_written_with_units_and_source(dock, qtbot, tmp_path):
    tab = weigh(dock, qtbot)
    tab.write(tmp_path / "clusters.csv")
    with (tmp_path / "clusters.csv").open(newline="", encoding="utf-8") as file:
        lines = list(csv.DictReader(file))
    assert [one["what"] for one in lines] == ["cluster"] * 3 + ["total", "generous mask"]
    assert all(one["contrast source"] == "as made" for one in lines)
    assert sum(float(one["mass (pg)"]) for one in lines[:3]) == pytest.approx(
        float(lines[3]["mass (pg)"]), rel=1e-5
    )
    assert float(lines[0]["mass (fg)"]) == pytest.approx(1e3 * float(lines[0]["mass (pg)"]))
    with (tmp_path / "clusters-limits.csv").open(newline="", encoding="utf-8") as file:
        limits = list(csv.DictReader(file))
    for one in limits:
        ratio = float(one["detection_limit_g_cm3"]) / float(one["decision_limit_g_cm3"])
        assert ratio == pytest.approx(2 / float(one["wedge_factor"]), rel=1e-3)
    tab.copy()
    assert QApplication.clipboard().text().startswith(sxt_masses.headline(dock.analysis.weighed))


def test_distances_to_a_segmentation_on_a_grid_of_its_own(dock, qtbot):
    organelles = np.zeros((32, 60, 60), np.int32)
    step = np.array([0.04, 0.03, 0.03])
    zero = np.array([0.1, 0.2, 0.1])
    # a wall at x >= 1.2 µm; cluster 2 ends at 1.0 + 0.1 µm
    along = zero[2] + step[2] * np.arange(60)
    organelles[:, :, along >= 1.2] = 7
    dock.viewer.add_labels(organelles, name="organelles", scale=step, translate=zero, units=UM)
    low, high = pair()
    add(dock, low, "700")
    add(dock, high, "709")
    tab = prepare(dock)
    tab.fluorescence.setCurrentText("organelles")
    tab.registration.setText("50")
    tab.start()
    settled(dock, qtbot)
    weighed = dock.analysis.weighed
    nearest = min(weighed.near, key=lambda one: one.distance)
    centre = weighed.found.clusters[nearest.cluster - 1].centre
    assert centre == pytest.approx(SPOTS[1].tolist(), abs=PIXEL)
    assert nearest.organelle == 7
    assert nearest.centre_distance == pytest.approx(0.2, abs=0.03)
    assert nearest.distance == pytest.approx(0.1, abs=0.04)
    assert nearest.distance_sd == pytest.approx(0.05)
    assert tab.table.columnCount() == 5


def test_a_layer_without_links_is_named_as_such(dock, qtbot):
    light = np.random.default_rng(1).normal(10, 1, (64, 80, 80))
    light[20:30, 20:30, 20:30] += 200
    add(dock, light, "Lysotracker")
    low, high = pair()
    add(dock, low, "700")
    add(dock, high, "709")
    tab = prepare(dock)
    tab.high.setCurrentText("709")
    tab.low.setCurrentText("700")
    tab.fluorescence.setCurrentText("Lysotracker")
    tab.start()
    settled(dock, qtbot)
    assert "no links tie them" in texts(dock)
    assert 13 < dock.analysis.weighed.threshold < 200


@pytest.fixture
def noisy(grid, make_napari_viewer):
    """The made grid with noise, in a window with the dock."""
    rng = np.random.default_rng(4)
    grid.images = {
        name: (0.002 * image + 0.02 * rng.normal(size=image.shape)).astype(np.float32)
        for name, image in grid.images.items()
    }
    viewer = make_napari_viewer()
    workspace = workspace_for(viewer)
    workspace.use(grid.store())
    workspace.show_site("c1", "reference")
    widget = SxtWidget(viewer)
    widget._warm.stop()
    yield widget
    widget.close()


def weigh_beads(dock, qtbot, high, beside=""):
    tab = prepare(dock, 10_000.0)
    tab.way.setCurrentIndex(1)
    tab.scale.setText("1")
    names = {one.dataset.id: one.name for one in dock.analysis.sources() if one.dataset}
    tab.high.setCurrentText(names[high])
    if beside:
        tab.fluorescence.setCurrentText(names[beside])
        tab.threshold.setText("1.0")
    tab.start()
    settled(dock, qtbot)
    return dock.analysis.weighed


def at_beads(dock, beads=BEADS):
    """Numbers of the clusters that the window shows where the beads are."""
    labels = dock.viewer.layers["Clusters"]
    zero = np.array(workspace_for(dock.viewer).view.origin)
    found = []
    for bead in beads - zero:
        dock.viewer.dims.set_point(0, bead[0])
        index = np.round(labels.world_to_data(bead)).astype(int)
        data = labels.data[0] if labels.multiscale else labels.data
        found.append(int(np.asarray(data[tuple(index)])))
    return found


@pytest.mark.slow
def test_clusters_of_a_tilted_volume_lie_where_they_are_in_2d_and_in_3d(noisy, qtbot):
    weighed = weigh_beads(noisy, qtbot, "stack")
    assert len(weighed.found.clusters) == len(BEADS)
    flat = at_beads(noisy)
    assert sorted(flat) == [1, 2, 3, 4]
    noisy.viewer.dims.ndisplay = 3
    assert at_beads(noisy) == flat
    noisy.viewer.dims.ndisplay = 2
    assert at_beads(noisy) == flat


@pytest.mark.slow
def test_layers_follow_the_registration(noisy, qtbot):
    weigh_beads(noisy, qtbot, "tomogram")
    assert sorted(at_beads(noisy)) == [1, 2, 3, 4]
    workspace = workspace_for(noisy.viewer)
    workspace.store.commit(lambda s: moved_link(s, "tomogram", MOVED), "Move")
    assert at_beads(noisy) == [0, 0, 0, 0]
    assert sorted(at_beads(noisy, BEADS + MOVED)) == [1, 2, 3, 4]
    workspace.show_site("c2", "reference")
    assert "Clusters" not in noisy.viewer.layers
    workspace.show_site("c1", "reference")
    qtbot.waitUntil(lambda: "Clusters" in noisy.viewer.layers, timeout=5000)
    assert sorted(at_beads(noisy, BEADS + MOVED)) == [1, 2, 3, 4]


@pytest.mark.slow
def test_distances_go_through_the_links_and_bear_their_error(noisy, qtbot):
    weighed = weigh_beads(noisy, qtbot, "tomogram", beside="stack")
    assert len(weighed.near) == len(BEADS)
    assert all(one.distance == 0 for one in weighed.near)
    assert all(one.overlap > 0.03 for one in weighed.near)
    assert all(one.centre_distance < -0.3 for one in weighed.near)
    # two declared links of 0.02 µm each, far from the place about which they turn
    assert all(0.02 <= one.distance_sd < 0.1 for one in weighed.near)


def test_a_plane_is_compared_as_seen_along_z(noisy):
    workspace = workspace_for(noisy.viewer)
    by_id = {one.dataset.id: one for one in sources(workspace, noisy.viewer) if one.dataset}
    there = brought(by_id["map"], by_id["tomogram"])
    assert there.shape == by_id["tomogram"].shape[1:]
    index = np.linalg.inv(by_id["tomogram"].to_display())
    zero = np.array(workspace.view.origin)
    for bead in BEADS - zero:
        _, y, x = np.round(index[:3, :3] @ bead + index[:3, 3]).astype(int)
        assert there[y, x] > 1.0


def test_recorded_tilts_are_proposed(noisy):
    from napari_clxem.dose import Exposure

    workspace = workspace_for(noisy.viewer)
    exposure = Exposure.tilt_series(
        modality="sxt", frame="tomogram", aim=(5.0, 5.0), beam_radius=5.0,
        tilts=np.arange(-65.0, 66.0, 1.0), dose_per_image=1.0, energy=520.0,
    )  # fmt: skip
    workspace.store.commit(lambda s: replace(s, exposures=(exposure,)), "Expose")
    dock_tab = noisy.density
    noisy.tabs.setCurrentWidget(dock_tab)
    names = {one.dataset.id: one.name for one in noisy.analysis.sources() if one.dataset}
    dock_tab.high.setCurrentText(names["tomogram"])
    noisy.refresh()
    assert dock_tab.tilts.text.text() == "-65 to 65 by 1"


@pytest.mark.parametrize(
    ("text", "tilts"),
    [
        ("-70 to 70 by 35", [-70, -35, 0, 35, 70]),
        ("−6:6:3", [-6, -3, 0, 3, 6]),
        ("1.5, 2.5; -3", [1.5, 2.5, -3]),
    ],
)
def test_tilts_are_read_as_written(text, tilts):
    assert sxt_tilts.read_list(text).tolist() == tilts
    assert sxt_tilts.read_list(sxt_tilts.write_list(tilts)).tolist() == pytest.approx(tilts)


@pytest.mark.parametrize("text", ["", "often", "70 to -70 by 2", "0 to 10 by 0", "1 two 3"])
def test_what_is_no_list_of_tilts_is_refused(text):
    with pytest.raises(ImageError):
        sxt_tilts.read_list(text)


def test_intervals_are_written_to_their_second_digit():
    assert sxt_masses.pm(12.3456, 1.234) == "12.3±1.2"
    assert sxt_masses.pm(2.9199, 0.428) == "2.9±0.4"
    assert sxt_masses.pm(1234.5, 56.7) == "1234±57" or sxt_masses.pm(1234.5, 56.7) == "1235±57"
    assert sxt_masses.pm(0.5, 0.0) == "0.5"


def test_the_contrast_needs_its_source():
    with pytest.raises(ImageError, match="no source"):
        Contrast(1.0, "")
