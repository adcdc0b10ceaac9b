"""Pictures and drawings of the report: to scale, in place, read no further than they must be."""

from __future__ import annotations

import re
from dataclasses import replace
from html import unescape
from io import BytesIO

import imageio.v3 as iio
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from reported import HOME, Page

from napari_clxem.dose import budget
from napari_clxem.errors import ReadError
from napari_clxem.io.image import Channel, OpenedImage
from napari_clxem.report import words, write_report
from napari_clxem.report.crops import crop, whole
from napari_clxem.report.dose_map import coloured
from napari_clxem.report.drawing import WIDTH, Drawing, half_axes
from napari_clxem.report.exposures import tilts
from napari_clxem.report.markup import Html, element, joined, text
from napari_clxem.report.png import address, png


class Counted:
    """An image that remembers what was read of it."""

    def __init__(self, data):
        self.data, self.shape, self.dtype, self.read = data, data.shape, data.dtype, 0

    def __getitem__(self, place):
        found = self.data[place]
        self.read += found.size
        return found


def image(*levels, axes=("y", "x"), scale=(0.5, 0.25), channels=()):
    return OpenedImage(levels=levels, axes=axes, scale=scale, channels=channels)


@pytest.mark.parametrize("shape", [(3, 5), (4, 6, 3), (2, 2, 4), (1, 1)])
def test_a_png_reads_back_as_it_was(shape):
    pixels = np.random.default_rng(1).integers(0, 256, shape, np.uint8)
    np.testing.assert_array_equal(iio.imread(BytesIO(png(pixels)), extension=".png"), pixels)
    assert address(pixels).startswith("data:image/png;base64,iVBOR")


def test_a_crop_lies_where_its_pixels_do():
    data = np.zeros((40, 60))
    data[20, 30] = 1.0
    found = crop(image(data), "a", np.array([10.0, 7.5]), 2.0)
    spot = np.argwhere(found.picture == 255)[0]
    assert found.z is None
    pixel = (found.high - found.low) / found.picture.shape
    np.testing.assert_allclose(pixel, (0.5, 0.25))
    np.testing.assert_allclose(found.low + (spot + 0.5) * pixel, (10.0, 7.5))
    assert (found.low <= np.array([8.0, 5.5])).all()
    assert (found.high >= np.array([12.0, 9.5])).all()


def test_a_crop_ends_where_the_image_does():
    found = crop(image(np.random.default_rng(2).random((40, 60))), "a", np.array([0.0, 0.0]), 3.0)
    np.testing.assert_allclose(found.low, (-0.25, -0.125))
    assert crop(image(np.zeros((40, 60))), "a", np.array([-0.3, 1.0]), 3.0) is None
    assert crop(image(np.zeros((40, 60))), "a", np.array([1.0, 15.0]), 3.0) is None


def test_the_slice_of_a_volume_is_the_nearest_one():
    data = np.zeros((5, 20, 20))
    data[3] = np.random.default_rng(3).random((20, 20))
    volume = image(data, axes=("z", "y", "x"), scale=(2.0, 1.0, 1.0))
    assert crop(volume, "a", np.array([9.0, 9.0]), 5.0, 6.9).picture.std() > 0
    assert crop(volume, "a", np.array([9.0, 9.0]), 5.0, 6.9).z == 6.0
    assert crop(volume, "a", np.array([9.0, 9.0]), 5.0, 4.9).picture.std() == 0
    assert crop(volume, "a", np.array([9.0, 9.0]), 5.0, 9.1) is None
    assert crop(volume, "a", np.array([9.0, 9.0]), 5.0, -1.1) is None
    assert whole(volume, "a").z == 4.0


def test_only_what_is_shown_is_read():
    data = Counted(np.random.default_rng(4).random((20, 500, 500), np.float32))
    volume = image(data, axes=("z", "y", "x"), scale=(1.0, 0.1, 0.1))
    found = crop(volume, "a", np.array([25.0, 25.0]), 3.0, 10.0)
    assert data.read <= 64 * 64
    assert max(found.picture.shape) <= 64


def test_a_coarse_level_does_where_it_has_pixels_enough():
    fine = Counted(np.random.default_rng(5).random((4096, 4096)).astype(np.float32))
    coarse = Counted(fine.data.reshape(1024, 4, 1024, 4).mean(axis=(1, 3)))
    levels = image(fine, coarse, scale=(0.1, 0.1))
    found = whole(levels, "a", 512)
    assert fine.read == 0
    np.testing.assert_allclose(found.low, (-0.05, -0.05))
    np.testing.assert_allclose(found.high, (409.55, 409.55))
    near = crop(levels, "a", np.array([200.0, 200.0]), 5.0)
    assert fine.read > 0
    assert near.picture.shape == (101, 101) or max(near.picture.shape) <= 102


def test_levels_and_bins_keep_things_in_place():
    fine = np.zeros((1024, 1024))
    fine[600:616, 200:216] = 1.0
    coarse = fine.reshape(256, 4, 256, 4).mean(axis=(1, 3))
    for levels in ((fine,), (fine, coarse)):
        found = whole(image(*levels, scale=(0.1, 0.1)), "a", 128)
        spots = np.argwhere(found.picture > 200) + 0.5
        pixel = (found.high - found.low) / found.picture.shape
        middle = found.low + spots.mean(axis=0) * pixel
        np.testing.assert_allclose(middle, (60.75, 20.75), atol=0.05)


def test_channels_are_added_up_in_their_colours():
    data = np.zeros((2, 10, 10))
    data[0, 2, 2] = data[1, 7, 7] = 1.0
    names = (Channel("one", "#ff0000"), Channel("two", "blue"))
    found = whole(image(data, axes=("c", "y", "x"), scale=(1.0, 1.0), channels=names), "a")
    assert found.picture[2, 2].tolist() == [255, 0, 0]
    assert found.picture[7, 7].tolist() == [86, 180, 233]  # one of ours: "blue" is no #rrggbb
    assert found.channels == (("one", "#ff0000"), ("two", "#56b4e9"))
    single = whole(image(data[:1], axes=("c", "y", "x"), scale=(1.0, 1.0)), "a")
    assert single.picture.ndim == 2


def test_what_a_library_raises_becomes_one_sentence():
    class Broken(Counted):
        def __getitem__(self, place):
            raise ValueError("bad block")

    with pytest.raises(ReadError, match=r"a\.tif cannot be read: bad block"):
        whole(image(Broken(np.zeros((10, 10)))), "a.tif")


def test_a_drawing_is_to_scale():
    drawing = Drawing(np.array([10.0, 20.0]), np.array([15.0, 30.0]), "a <drawing>")
    assert drawing.at(np.array([10.0, 20.0])) == (0.0, 0.0)
    assert drawing.at(np.array([12.5, 25.0])) == (WIDTH / 2, WIDTH / 4)
    assert drawing.height == WIDTH / 2
    drawing.bar()
    svg = drawing.svg()
    long = float(re.search(r"h([0-9.]+)\" stroke=\"#fff\"", svg).group(1))
    length = float(re.search(r">([0-9.]+) µm<", svg).group(1))
    assert long / WIDTH == pytest.approx(length / 10.0)
    assert 'aria-label="a &lt;drawing&gt;"' in svg


@pytest.mark.parametrize(("size", "words_"), [(0.5, "100 nm"), (3000.0, "500 µm"), (6.0, "1 µm")])
def test_a_scale_bar_is_a_round_length(size, words_):
    drawing = Drawing(np.zeros(2), np.full(2, size), "a")
    drawing.bar()
    assert f">{words_}<" in drawing.svg()


def test_labels_keep_clear_of_each_other():
    drawing = Drawing(np.zeros(2), np.full(2, 10.0), "a")
    for place in ([5.0, 5.0], [5.0, 5.1], [5.1, 5.0], [9.9, 9.9], [0.1, 0.1]):
        drawing.cross(np.array(place))
        drawing.label(np.array(place), "name")
    boxes = [one for one in drawing._taken if one[3] - one[1] == drawing.text]
    assert len(boxes) == 5
    for n, (a, b, c, d) in enumerate(boxes):
        assert min(a, b) >= 0
        assert max(c, d) <= WIDTH
        for e, f, g, h in boxes[:n]:
            assert min(c, g) <= max(a, e) or min(d, h) <= max(b, f)


@given(
    long=st.floats(0.01, 50),
    ratio=st.floats(0.05, 0.99),
    turn=st.floats(-89.0, 89.0),
)
def test_half_axes_are_those_of_the_ellipse(long, ratio, turn):
    a = np.deg2rad(turn)
    axes = np.array([[np.sin(a), np.cos(a)], [np.cos(a), -np.sin(a)]])  # (y, x) of long and short
    spread = axes.T @ np.diag([1.0, ratio**2]) @ axes * 0.3
    found = half_axes(spread, long)
    assert found[0] == long
    assert found[1] == pytest.approx(long * ratio, rel=1e-6)
    assert found[2] == pytest.approx(turn, abs=0.01)


def test_an_ellipse_that_is_not_known_is_not_drawn():
    assert half_axes(np.full((2, 2), np.nan), 1.0) is None
    assert half_axes(np.eye(2), float("inf")) is None
    assert half_axes(np.zeros((2, 2)), 0.0) is None
    drawing = Drawing(np.zeros(2), np.ones(2), "a")
    drawing.ellipse(np.zeros(2), np.full((2, 2), np.inf), 1.0)
    assert "<ellipse" not in drawing.svg()


def test_the_ellipse_of_a_target_lies_on_its_cross(sample_page: Page):
    part = sample_page.raw.split('aria-label="fib-A around A1"')[1].split("</svg>")[0]
    found = re.search(r"translate\(([\d.]+) ([\d.]+)\) rotate\(([-\d.]+)", part)
    x, y, turn = map(float, found.groups())
    assert (x, y) == pytest.approx((WIDTH / 2, WIDTH / 2), abs=0.1)
    long, short = (float(re.search(f'{name}="([\\d.]+)"', part).group(1)) for name in ("rx", "ry"))
    row = sample_page.table("Target A1 ").row("fib-A")
    shown = re.match(r"(\d+) × (\d+) nm, ([-+]\d+)°", row["95 % half axes, turn"]).groups()
    assert short / long == pytest.approx(float(shown[1]) / float(shown[0]), abs=0.01)
    assert turn == pytest.approx(float(shown[2]), abs=1)


def test_doses_become_colours_from_dark_to_bright():
    found = coloured(np.linspace(0, 5, 50)[np.newaxis], 5.0)[0].astype(int)
    assert found[0].tolist() == [68, 1, 84]
    assert found[-1].tolist() == [253, 231, 37]
    bright = found @ [0.2126, 0.7152, 0.0722]
    assert (np.diff(bright) > 0).all()


@given(st.text())
def test_text_comes_back_as_it_was(words_):
    assert unescape(text(words_)) == words_
    assert "<" not in text(words_)
    assert isinstance(joined(words_), Html)
    assert unescape(re.search('a="(.*?)"', element("p", a=words_), re.DOTALL).group(1)) == words_


def test_tilts_are_written_as_a_range_where_they_are_one():
    assert tilts([0.0]) == "0"
    assert tilts([-1.0, 0.0, 1.0, 2.0]) == "-1 to 2 in steps of 1 (4 tilts)"
    assert tilts([2.0, 0.0, 4.0, -2.0]) == "-2 to 4 in steps of 2 (4 tilts, in another order)"
    assert tilts([0.0, 1.0, 3.0, 7.0]) == "0 to 7, 4 uneven ones"


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (None, "–"),
        (float("nan"), "–"),
        (0.0, "0"),
        (12345.6, "12346"),
        (6.5e7, "6.50e+07"),
        (0.123456, "0.123"),
    ],
)
def test_numbers_have_three_digits(value, said):
    assert words.number(value) == said


def test_half_axes_are_written_with_one_unit_and_without_a_turn_where_they_have_none():
    assert words.half_axes(0.383, 0.161, -87.2) == "383 × 161 nm, -87°"
    assert words.half_axes(0.153, 0.152, -6.0) == "153 nm, round"
    assert words.half_axes(30.0, 20.0, 10.0) == "30.0 × 20.0 µm, +10°"
    assert words.half_axes(30.0, 2.0, 10.0) == "30.0 µm × 2000 nm, +10°"


def test_lines_that_end_are_not_closed():
    drawing = Drawing(np.zeros(2), np.ones(2), "a")
    ring = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
    drawing.polygon(ring, "#000000", closed=False)
    assert "<polyline" in drawing.svg()
    assert "<polygon" not in drawing.svg()
    drawing.polygon(ring, "#000000")
    assert "<polygon" in drawing.svg()


def test_the_dose_of_a_volume_says_at_which_height(full, tmp_path):
    session = replace(full, links=(), lamellae=(), fields=())
    page = Page(write_report(session, tmp_path / "a.html", home=HOME, frame="tomogram-A"))
    assert "Nowhere is the budget of 142.5 MGy reached." in page.chapters["dose"]
    limit = budget(5.0)
    found = write_report(session, tmp_path / "a.html", home=HOME, frame="tomogram-A", limit=limit)
    page = Page(found)
    assert "Cumulative dose inside the sample in tomogram-A at z = 0.00 µm" in page.chapters["dose"]
    part = page.raw.split('aria-label="Cumulative dose')[1].split("</svg>")[0]
    assert "data:image/png" in part
    assert "stroke-dasharray" not in part
    assert "Everywhere here the budget of " in page.chapters["dose"]


def test_the_line_of_the_budget_is_drawn_where_it_is(full, full_page):
    assert "The dashed line is 142.5 MGy, what 20 Å stands." in full_page.chapters["dose"]
    part = full_page.raw.split('aria-label="Cumulative dose')[1].split("</svg>")[0]
    assert "stroke-dasharray" in part
