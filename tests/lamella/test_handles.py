from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_clxem.errors import LamellaError
from napari_clxem.lamella import Lamella, fib_projection, pulled, surface

angles = st.floats(2.0, 60.0)
azimuths = st.floats(-180.0, 180.0)
ABOVE = np.array([[0.0, 1.0, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0]])
CORNERS = ((0.0, 0.0), (4.0, 0.0), (4.0, 3.0), (2.0, 0.5), (0.0, 3.0))


@given(angles, azimuths, st.sampled_from(["top", "bottom", "left", "right"]), st.floats(0.1, 3))
def test_pulling_in_the_fib_view(angle, azimuth, edge, size):
    lamella = Lamella((1, 2, 3), angle, azimuth, thickness=0.3, width=9.0)
    view = fib_projection(angle, azimuth, scale=1.1, rotation=25.0, shift=(4.0, 5.0))
    axis, side = {"top": (0, 1), "bottom": (0, -1), "right": (2, 1), "left": (2, -1)}[edge]
    before = (0.3, 0, 9.0)[axis]
    normal, along, across = lamella.axes
    place = lamella.centre + lamella.axes[axis] * side * (size - before / 2)
    # where along the edge it is pulled, and how deep, does not matter
    aside = place + 0.7 * (across if axis == 0 else 0.1 * normal) + 5 * along
    found = pulled(lamella, view.matrix, edge, view.transform(aside)[0])
    assert (found.thickness, found.length, found.width)[axis] == pytest.approx(size)
    still = lamella.centre - lamella.axes[axis] * side * before / 2
    assert found.within(still)[0, axis] == pytest.approx(-side * size / 2)
    assert (found.length, found.angle) == (lamella.length, lamella.angle)


@given(angles, azimuths, st.sampled_from(["front", "back", "left", "right"]))
def test_pulling_from_above(angle, azimuth, edge):
    lamella = Lamella((1, 2, 3), angle, azimuth, width=9.0, length=8.0)
    axis, side = {"back": (1, 1), "front": (1, -1), "right": (2, 1), "left": (2, -1)}[edge]
    place = lamella.centre + lamella.axes[axis] * side * 6.0
    found = pulled(lamella, ABOVE, edge, place[1:])
    before = (0, 8.0, 9.0)[axis]
    assert (0, found.length, found.width)[axis] == pytest.approx(6.0 + before / 2)


def test_front_is_towards_the_ion_source():
    lamella = Lamella((0, 0, 0), 10.0, length=8.0)
    found = pulled(lamella, ABOVE, "front", (-6.0, 0.0))
    assert found.length == pytest.approx(4 + 6 / np.cos(np.deg2rad(10)))
    assert found.centre[1] < 0


def test_a_lamella_is_never_pulled_inside_out():
    lamella = Lamella((0, 0, 0), 10.0)
    found = pulled(lamella, fib_projection(10.0).matrix, "top", (50.0, 0.0))
    assert found.thickness == pytest.approx(0.02)


def test_edges_that_do_not_show_are_refused():
    lamella = Lamella((0, 0, 0), 10.0)
    with pytest.raises(LamellaError, match="does not show the front"):
        pulled(lamella, fib_projection(10.0).matrix, "front", (0, 0))
    with pytest.raises(LamellaError, match="no edge"):
        pulled(lamella, ABOVE, "inside", (0, 0))
    with pytest.raises(LamellaError, match="outline"):
        pulled(Lamella((0, 0, 0), 10.0, outline=CORNERS), ABOVE, "left", (0, 0))


@pytest.mark.parametrize("outline", [(), CORNERS, CORNERS[::-1]])
def test_surface_is_closed_and_holds_the_volume(outline):
    lamella = Lamella((1, 2, 3), 12.0, 30.0, outline=outline)
    vertices, triangles = surface(lamella)
    a, b, c = (vertices[triangles[:, i]] for i in range(3))
    volume = np.einsum("ni,ni->n", a, np.cross(b, c)).sum() / 6
    assert abs(volume) == pytest.approx(lamella.volume)
    edges = {}
    for one in triangles.tolist():
        for start, end in zip(one, one[1:] + one[:1], strict=True):
            edges[start, end] = edges.get((start, end), 0) + 1
    # every edge is shared by two triangles that turn the same way
    assert all(count == 1 and (end, start) in edges for (start, end), count in edges.items())


@given(st.integers(0, 500))
def test_ears_part_any_star(seed):
    rng = np.random.default_rng(seed)
    count = int(rng.integers(3, 12))
    turns = (np.arange(count) + 0.8 * rng.uniform(size=count)) * 2 * np.pi / count
    radii = rng.uniform(0.5, 4, count)
    outline = tuple(
        (float(r * np.cos(a)), float(r * np.sin(a))) for r, a in zip(radii, turns, strict=True)
    )
    try:
        lamella = Lamella((0, 0, 0), 10.0, outline=outline)
    except LamellaError:  # a wide gap may make it cross itself
        return
    vertices, triangles = surface(lamella)
    assert len(triangles) == 2 * (count - 2) + 2 * count
    a, b, c = (vertices[triangles[:, i]] for i in range(3))
    volume = np.einsum("ni,ni->n", a, np.cross(b, c)).sum() / 6
    assert abs(volume) == pytest.approx(lamella.volume)
