from __future__ import annotations

import json

import numpy as np
import pytest
from shapely.geometry import Polygon

from napari_clxem.errors import LamellaError
from napari_clxem.io import open_image
from napari_clxem.lamella import (
    Lamella,
    in_outline,
    lamella_on_map,
    outlined,
    share_within,
    tem_placement,
    trace,
)
from napari_clxem.lamella.slab import inside_polygon
from napari_clxem.samples import sample_folder

CORNERS = np.array([[2.0, 2.0], [9.0, 3.0], [8.0, 11.0], [5.0, 12.5], [2.5, 10.0]])


def phantom(pixel=0.04, noise=6.0):
    """A lamella in the dark, with a bright trench beside it and dark granules in it."""
    rng = np.random.default_rng(2)
    y, x = np.mgrid[:300, :360] * pixel
    points = np.column_stack([y.ravel(), x.ravel()])
    image = np.full(y.shape, 15.0)
    image[y > 8.5] = 200.0
    image[inside_polygon(points, CORNERS).reshape(y.shape)] = 100.0
    image[(y - 5) ** 2 + (x - 6) ** 2 < 0.2] = 10.0
    return image + noise * rng.standard_normal(y.shape)


def iou(one, other):
    one, other = Polygon(one), Polygon(other)
    return one.intersection(other).area / one.union(other).area


@pytest.mark.parametrize("seed", [None, (5.0, 8.0)])
def test_traces_the_phantom(seed):
    found = trace(phantom(), (0.04, 0.04), seed=seed)
    assert iou(found.corners, CORNERS) > 0.95
    assert found.area == pytest.approx(Polygon(CORNERS).area, rel=0.05)
    assert not found.cut
    assert found.contrast > 5
    assert not found.notes


def test_tells_a_lamella_cut_by_the_edge():
    found = trace(phantom()[:, 100:], (0.04, 0.04))
    assert found.cut
    assert "beyond" in found.notes[0]


@pytest.mark.parametrize(
    ("image", "seed", "said"),
    [
        (phantom(), (1.0, 1.0), "place picked"),
        (phantom(), (-5.0, 100.0), "place picked"),
        (np.zeros((50, 50)), None, "one grey"),
        (np.full((50, 50), np.nan), None, "no finite"),
        (np.zeros((3, 50, 50)), None, "one image"),
    ],
)
def test_says_why_not(image, seed, said):
    with pytest.raises(LamellaError, match=said):
        trace(image, (0.04, 0.04), seed=seed)


@pytest.mark.parametrize("site", ["A", "B"])
def test_traces_the_sample_within_its_true_rectangle(site):
    truth = json.loads((sample_folder() / "truth.json").read_text())
    lamella = next(one for one in truth["lamellae"] if one["site"] == site)
    view = np.array(truth["frames"][f"tem-{site}"]["from_grid"])
    image = open_image(sample_folder() / "tem" / f"lamella-{site}.mrc")
    found = trace(np.asarray(image.data), image.scale)
    centre, along, across = (np.array(lamella[k]) for k in ("centre", "along", "across"))
    signs = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) / 2
    sizes = np.array([lamella["length"], lamella["width"]])
    true = (centre + (signs * sizes) @ np.array([along, across])) @ view[:, :3].T + view[:, 3]
    inside = Polygon(found.corners).intersection(Polygon(true)).area / found.area
    assert inside > 0.95
    assert 0.5 < found.area / Polygon(true).area < 1.05
    assert found.contrast > 2


def test_outline_goes_onto_the_slab():
    lamella = Lamella((1.0, 2.0, 3.0), 10.0, width=8.0, length=6.0)
    place = tem_placement(10.0, axis_azimuth=-90.0, rotation=30.0, shift=(9.0, 8.0))
    drawn = place.transform(lamella.mid_plane)[:, 1:]
    found = outlined(lamella, drawn, place)
    assert found.mid_plane == pytest.approx(lamella.mid_plane)
    assert (found.width, found.length) == pytest.approx((8.0, 6.0))


def test_lamella_of_an_outline_on_its_map():
    found = lamella_on_map(CORNERS, thickness=0.2, height=1.5)
    assert found.plan == pytest.approx(CORNERS)
    assert found.volume == pytest.approx(0.2 * Polygon(CORNERS).area)
    leaning = lamella_on_map(CORNERS, angle=8.0, azimuth=30.0)
    assert leaning.plan == pytest.approx(CORNERS)
    assert leaning.area == pytest.approx(Polygon(CORNERS).area / np.cos(np.deg2rad(8)))


def test_crossing_outline_is_refused():
    with pytest.raises(LamellaError, match="crosses itself"):
        outlined(Lamella((0, 0, 0), 0), [[0, 0], [2, 2], [2, 0], [0, 3]])
    with pytest.raises(LamellaError, match="edge on"):
        outlined(Lamella((0, 0, 0), 90), [[0, 0], [2, 2], [2, 0]])


def test_positions_in_an_outline():
    assert in_outline([[5, 8], [1, 1]], CORNERS).tolist() == [True, False]


def test_lamella_outside_the_cell():
    lamella = Lamella((0, 0, 0), 0.0, width=4, length=4)
    assert share_within(lamella, [[-9, -9], [-9, 0], [9, 0], [9, -9]]) == pytest.approx(0.5)
    assert share_within(lamella, [[20, 20], [20, 30], [30, 30]]) == 0
