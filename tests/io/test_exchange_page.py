"""The printed page: it holds picture, drawing and numbers, and nothing from elsewhere."""

from __future__ import annotations

import base64
import re
from io import BytesIO
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from napari_clxem.errors import WriteError
from napari_clxem.io.exchange import Entry, Shape, write_page


def drawing(path):
    return ElementTree.fromstring(re.search(r"<svg.*</svg>", path.read_text(), re.DOTALL).group())


def test_page_holds_picture_and_box(tmp_path):
    path = tmp_path / "page.html"
    rng = np.random.default_rng(1)
    picture = rng.uniform(0, 1000, (40, 60))
    box = np.array([[0.0, 0.0], [0.0, 2.0], [1.0, 2.0], [1.0, 0.0]])
    shapes = [Shape("A & B", box), Shape("T1", np.array([[0.5, 1.0]]), "target", 0.01 * np.eye(2))]
    entries = [Entry(name="T<1>", stage=(1.0, 2.0, 3.0), capture=0.712345)]
    write_page(path, "Site A", picture, (0.05, 0.1), shapes, entries, ["54 % < 70 %"])
    svg = drawing(path)
    space = "{http://www.w3.org/2000/svg}"
    # drawn in µm from the corner of the first pixel: half a pixel on
    corners = svg.find(f"{space}polygon").get("points").split()
    assert corners[2] == "2.05,1.025"
    ellipse = svg.find(f"{space}ellipse")
    assert float(ellipse.get("rx")) == pytest.approx(0.1 * np.sqrt(5.991))
    image = svg.find(f"{space}image").get("href").split(",")[1]
    decoded = np.asarray(Image.open(BytesIO(base64.b64decode(image))))
    assert decoded.shape == picture.shape
    assert np.corrcoef(decoded.ravel(), picture.ravel())[0, 1] > 0.99
    text = path.read_text()
    assert "T&lt;1&gt;" in text
    assert "0.7123" in text
    assert "54 % &lt; 70 %" in text
    assert "stage_tilt_deg" not in text  # nothing known, no column
    assert "http" not in text.replace("http://www.w3.org/2000/svg", "")


def test_large_picture_is_reduced_and_scaled(tmp_path):
    path = tmp_path / "page.html"
    write_page(path, "big", np.zeros((100, 4000)), (0.01, 0.01))
    svg = drawing(path)
    assert svg.get("viewBox") == "0 0 39.99 0.99"
    assert "10 µm" in path.read_text()


def test_ellipse_leans_as_the_covariance(tmp_path):
    path = tmp_path / "page.html"
    # rows and columns err together: the long axis points down to the right
    spread = np.array([[1.0, 0.9], [0.9, 1.0]])
    write_page(
        path, "x", np.zeros((9, 9)), (1, 1), [Shape("t", np.zeros((1, 2)), "target", spread)]
    )
    turn = drawing(path).find("{http://www.w3.org/2000/svg}ellipse").get("transform")
    angle = float(turn.split("rotate(")[1].rstrip(")"))
    assert angle % 180 == pytest.approx(45.0)


def test_bad_input_is_named(tmp_path):
    with pytest.raises(WriteError, match="one picture"):
        write_page(tmp_path / "p.html", "x", np.zeros((2, 3, 4)), (1, 1))
    with pytest.raises(WriteError, match="finite place"):
        write_page(
            tmp_path / "p.html",
            "x",
            np.zeros((9, 9)),
            (1, 1),
            [Shape("t", np.full((1, 2), np.nan))],
        )
