"""The tab "Tomogram" of the SXT analysis dock: from counts to a tomogram and a map."""

from __future__ import annotations

import numpy as np
import pytest
from hands import Hand, large_window, needs_a_mouse
from qtpy.QtCore import QPoint
from qtpy.QtWidgets import QLabel

from napari_clxem import xray
from napari_clxem.plugin import keys
from napari_clxem.plugin.widgets.sxt import SxtWidget
from napari_clxem.xray.pairing import enlarge
from napari_clxem.xray.phantom import photograph, spheres

pytestmark = pytest.mark.gl

PIXEL, SHAPE, PHOTONS = 0.02, (32, 64, 80), 20_000.0
TILTS = np.arange(-60.0, 61.0, 6.0)
WRITTEN = "-60 to 60 by 6"
SHIFT = (2.0, -3.0)


@pytest.fixture(scope="module")
def counts():
    """Counts at both energies, the upper one smaller and shifted, and flats."""
    rng = np.random.default_rng(5)
    places = rng.uniform((10, 18, 22), (22, 46, 58), (14, 3)) * PIXEL
    iron = spheres(SHAPE, places, rng.uniform(3, 6, 14) * PIXEL, 1.0, PIXEL)
    cell = spheres(SHAPE, [(15.5 * PIXEL, 31.5 * PIXEL, 39.5 * PIXEL)], 0.55, 0.95, PIXEL)
    low, high = photograph(iron, cell, TILTS, PIXEL, (4973, 15950), 0.969, PHOTONS, 0.3, rng)
    high = np.stack([enlarge(one, 700 / 709, SHIFT) for one in high])
    flat = PHOTONS * (1 + 0.2 * np.linspace(-0.5, 0.5, SHAPE[2], dtype=np.float32))
    return low * flat, high * flat, np.broadcast_to(flat, SHAPE[1:]).copy()


@pytest.fixture(autouse=True)
def told(monkeypatch):
    """What the user is told, instead of a notification."""
    sentences: list[str] = []
    for module in ("widgets.sxt_steps", "widgets.sxt_resolution", "controllers.tasks"):
        monkeypatch.setattr(f"napari_clxem.plugin.{module}.show_error", sentences.append)
    return sentences


@pytest.fixture
def dock(make_napari_viewer):
    viewer = make_napari_viewer()
    widget = SxtWidget(viewer)
    widget._warm.stop()
    viewer.window.add_dock_widget(widget, name="SXT analysis", area="right")
    widget.tabs.setCurrentWidget(widget.steps)
    yield widget
    widget.close()


def add(dock, data, name):
    return dock.viewer.add_image(
        data, name=name, scale=(PIXEL,) * data.ndim, units=("um",) * data.ndim
    )


def settled(dock, qtbot):
    qtbot.waitUntil(lambda: not dock.analysis.task.busy, timeout=60000)
    dock.refresh()


def texts(dock):
    return "\n".join(one.text() for one in dock.steps.findChildren(QLabel) if not one.isHidden())


def step(dock, qtbot, number):
    """Show a step, and let what fills it in be called by the test."""
    dock.steps.step.setCurrentIndex(number)
    dock.refresh()
    return dock.steps.form


def do(dock, qtbot):
    dock.steps.start()
    settled(dock, qtbot)


def test_an_empty_tab_says_the_next_step(dock):
    dock.refresh()
    assert "Open a tilt series of counts" in texts(dock)
    assert not any(button.isEnabled() for button in dock.steps.buttons)
    for verb in (keys.NORMALISE, keys.PAIR_ENERGIES, keys.RECONSTRUCT, keys.MAP_RESOLUTION):
        assert verb in keys.TABLE


def test_counts_become_a_pair_and_its_difference_a_tomogram(dock, qtbot, counts, told):
    low, high, flat = counts
    for data, name in ((low, "Counts 700"), (high, "Counts 709"), (flat, "Flat")):
        add(dock, data, name)
    for name in ("Counts 700", "Counts 709"):
        form = step(dock, qtbot, 0)
        form.counts.setCurrentText(name)
        form.flats.setCurrentText("Flat")
        do(dock, qtbot)
    layers = dock.viewer.layers
    expected = xray.normalise(low, flat)
    assert np.allclose(layers["Counts 700 · transmission"].data, expected.data, atol=1e-5)
    form = step(dock, qtbot, 3)
    assert form.low.currentText() == "Counts 700 · transmission" or form.low.count() == 5
    form.low.setCurrentText("Counts 700 · transmission")
    form.high.setCurrentText("Counts 709 · transmission")
    form.tilts.text.setText(WRITTEN)
    do(dock, qtbot)
    made = dock.analysis.made
    shifts = np.array([[float(x) for x in line[2:4]] for line in made.lines])
    assert np.allclose(np.median(shifts, axis=0), -np.array(SHIFT) * 709 / 700, atol=0.15)
    assert "In register to" in texts(dock)
    assert "flats of one energy look off" not in texts(dock)
    assert dock.steps.table.rowCount() == len(TILTS)
    form = step(dock, qtbot, 4)
    form.series.setCurrentIndex(
        next(i for i in range(form.series.count()) if form.series.itemText(i).startswith("ΔOD"))
    )
    assert form.values.currentData() is False
    form.tilts.text.setText(WRITTEN)
    form.thickness.setValue(SHAPE[0])
    do(dock, qtbot)
    assert not told
    name = next(one.name for one in layers if one.name.endswith("tomogram"))
    tomogram = layers[name]
    assert tomogram.data.shape == SHAPE
    assert np.allclose(tomogram.scale, PIXEL)
    source = next(one.data for one in layers if one.name.startswith("ΔOD") and one is not tomogram)
    again = xray.reconstruct(source, TILTS, PIXEL, thickness=SHAPE[0]).data
    assert np.allclose(tomogram.data, again, atol=1e-4)
    # it lies under its series, its middle where the view is
    assert tomogram.data_to_world((0, 0, 0))[1:] == pytest.approx((0.0, 0.0))
    assert dock.viewer.dims.point[0] == pytest.approx(0.0, abs=PIXEL)


def test_wrong_flats_are_said_with_the_pair(dock, qtbot, counts):
    low, high, flat = counts
    ramp = 1 + 0.06 * np.linspace(-0.5, 0.5, SHAPE[2])
    add(dock, (low / flat).astype(np.float32), "700 eV")
    add(dock, (high / flat * ramp).astype(np.float32), "709 eV")
    form = step(dock, qtbot, 3)
    assert (form.low.currentText(), form.high.currentText()) == ("700 eV", "709 eV")
    form.tilts.text.setText(WRITTEN)
    do(dock, qtbot)
    assert "flats of one energy look off" in texts(dock)


def test_beads_and_sharpening(dock, qtbot, told):
    rng = np.random.default_rng(2)
    spots = np.array([(10, 14, 24), (20, 26, 54), (14, 38, 34), (24, 50, 60), (8, 54, 44)])
    beads = spheres(SHAPE, spots * PIXEL, 6 * PIXEL, 8.0, PIXEL)
    density = xray.project(beads, TILTS, PIXEL)
    moved = np.stack([np.roll(one, rng.integers(-2, 3, 2), (0, 1)) for one in density])
    transmission = np.exp(-moved) + rng.normal(0, 0.01, moved.shape)
    add(dock, transmission.astype(np.float32), "beads")
    form = step(dock, qtbot, 2)
    form.way.setCurrentIndex(1)
    form.tilts.text.setText(WRITTEN)
    do(dock, qtbot)
    assert "diameter of the beads is missing" in told.pop()
    form.diameter.setText("120")
    do(dock, qtbot)
    assert not told
    assert "5 followed" in texts(dock)
    aligned = dock.viewer.layers["beads · aligned"].data
    left = [
        xray.reconstruct(-np.log(np.clip(one, 0.05, None)), TILTS, PIXEL, thickness=32).residuals
        for one in (transmission, aligned)
    ]
    assert left[1][-1] < 0.6 * left[0][-1]
    form = step(dock, qtbot, 1)
    form.series.setCurrentText("beads · aligned")
    do(dock, qtbot)
    sharp = dock.viewer.layers["beads · aligned · sharp"].data
    assert sharp.mean() == pytest.approx(aligned.mean(), rel=0.01)
    assert sharp.std() > aligned.std()


@pytest.mark.parametrize(
    ("number", "prepare", "sentence"),
    [
        (0, lambda form: None, "no flat fields"),
        (2, lambda form: None, "No alignment is chosen"),
        (3, lambda form: form.high.setCurrentText("A"), "same layer"),
        (4, lambda form: form.tilts.text.setText("0, 1"), "2 tilts are given"),
        (4, lambda form: form.tilts.text.setText("soon"), "Write the tilts in degrees"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_sentence(dock, qtbot, told, number, prepare, sentence):
    for name in "BA":
        add(dock, np.ones((5, 20, 20), np.float32), name)
    form = step(dock, qtbot, number)
    if number == 3:
        form.low.setCurrentText("A")
    prepare(form)
    do(dock, qtbot)
    assert len(told) == 1
    assert sentence in told[0]
    assert len(dock.viewer.layers) == 2


def test_a_long_step_can_be_given_up(dock, qtbot):
    add(dock, np.ones((21, 64, 200), np.float32), "series")
    form = step(dock, qtbot, 4)
    form.tilts.text.setText(WRITTEN)
    form.values.setCurrentIndex(1)
    form.thickness.setValue(200)
    form.passes.setValue(400)
    dock.steps.start()
    qtbot.waitUntil(lambda: not dock.progress.isHidden(), timeout=20000)
    dock.analysis.task.cancel()
    assert not dock.analysis.task.busy
    assert dock.progress.isHidden()
    qtbot.wait(300)
    assert [one.name for one in dock.viewer.layers] == ["series"]


def test_the_resolution_is_mapped_as_a_layer(dock, qtbot):
    from scipy.ndimage import gaussian_filter

    rng = np.random.default_rng(5)
    signal = 10 * gaussian_filter(rng.normal(size=(96, 96)), 1.0)
    noise = np.where(np.arange(96) < 48, 0.3, 1.5)
    halves = [(signal + noise * rng.normal(size=signal.shape)).astype(np.float32) for _ in "AB"]
    for name, half in zip("AB", halves, strict=True):
        add(dock, half, name)
    dock.tabs.setCurrentWidget(dock.resolution)
    dock.refresh()
    dock.resolution.side.setValue(32)
    dock.resolution.map()
    settled(dock, qtbot)
    layer = next(one for one in dock.viewer.layers if one.name.startswith("Resolution nm"))
    expected, origin = xray.local_resolution(halves[1], halves[0], PIXEL, window=32, step=16)
    assert np.allclose(layer.data, 1e3 * expected, rtol=1e-5, equal_nan=True)
    assert layer.data_to_world((0, 0)) == pytest.approx(tuple(origin))
    left, right = (np.nanmedian(part) for part in (layer.data[:, :2], layer.data[:, -2:]))
    assert left < right
    assert "25 windows" in dock.resolution._mapped.text()


@pytest.mark.slow
@needs_a_mouse
def test_a_hand_at_the_mouse_reconstructs_a_series(make_napari_viewer, counts):
    viewer = large_window(make_napari_viewer, 1280, 880)
    dock = SxtWidget(viewer)
    hand = Hand(viewer, dock)
    wait, mouse = hand.wait, hand.mouse

    def click(widget, place=None):
        hand.point_at(widget, place)
        mouse("click", 1)

    viewer.window.add_dock_widget(dock, name="SXT analysis", area="right")
    low, _, flat = counts
    transmission = (low / flat).astype(np.float32)
    viewer.add_image(transmission, name="series", scale=(PIXEL,) * 3, units=("um",) * 3)
    wait(seconds=1.0)
    bar = dock.tabs.tabBar()
    click(bar, bar.tabRect(dock.tabs.indexOf(dock.steps)).center())
    wait(lambda: dock.tabs.currentWidget() is dock.steps)
    click(dock.steps.step)
    mouse("key", "End")
    mouse("key", "Return")
    wait(lambda: dock.steps.step.currentIndex() == 4)
    form = dock.steps.form
    click(form.tilts.text)
    mouse("type", "--delay", 30, "--", WRITTEN)
    assert form.tilts.text.text() == WRITTEN
    click(form.thickness, QPoint(form.thickness.width() // 2, form.thickness.height() // 2))
    mouse("key", "ctrl+a")
    mouse("type", "--delay", 30, "--", "32")
    button = dock.steps.buttons[4]
    dock.ensureWidgetVisible(button)
    wait()
    click(button)
    wait(lambda: len(viewer.layers) == 2)
    density = -np.log(transmission)
    expected = xray.reconstruct(density, TILTS, PIXEL, thickness=32).data
    assert np.allclose(viewer.layers[-1].data, expected, atol=1e-3)
    dock.close()
