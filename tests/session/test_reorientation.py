"""Turning an image: what was picked in it stays on its pixels."""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations

import numpy as np
import pytest
import tifffile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from napari_clxem.dose import Exposure
from napari_clxem.errors import SessionError
from napari_clxem.io.image import Orientation, StagePosition
from napari_clxem.session import (
    Dataset,
    Estimate,
    FileRef,
    Frame,
    Landmark,
    Link,
    Session,
    Target,
    check,
    dataset_from_file,
    edits,
    open_dataset,
)
from napari_clxem.session.geometry import stored

STORED = np.arange(3 * 4 * 5, dtype=np.uint16).reshape(3, 4, 5)
SCALE = (0.3, 0.2, 0.1)
orders = st.sampled_from(sorted(permutations("zyx")))
flips = st.sets(st.sampled_from("zyx")).map(lambda f: tuple(a for a in "zyx" if a in f))
orientations = st.builds(Orientation, orders, flips)


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    path = tmp_path_factory.mktemp("images") / "stack.tif"
    tifffile.imwrite(path, STORED, imagej=True, metadata={"axes": "ZYX"})
    return path


def pixel_at(session, position):
    """Read the pixel of the one dataset at a position in its frame."""
    dataset = session.datasets[0]
    image = open_dataset(dataset.file.path, dataset)
    index = np.asarray(position) / np.asarray(image.scale)
    np.testing.assert_allclose(index, np.round(index), atol=1e-9)
    return int(np.asarray(image.data)[tuple(np.round(index).astype(int))])


def estimate(rng):
    root = rng.normal(size=(12, 12))
    matrix = np.vstack([rng.normal(size=(3, 4)), [0.0, 0.0, 0.0, 1.0]])
    return Estimate(
        matrix=tuple(map(tuple, matrix.tolist())),
        centre=tuple(rng.normal(size=3).tolist()),
        covariance=tuple(map(tuple, (root @ root.T).tolist())),
    )


def picked(path, orientation, axial_scaling=1.25):
    """Give a session with an image and something of everything in its frame."""
    dataset, image = dataset_from_file(path, frame="stack", orientation=orientation, scale=SCALE)
    dataset = replace(dataset, id="d", axial_scaling=axial_scaling)
    step = np.asarray(open_dataset(path.parent, dataset).scale)
    last = np.asarray(image.data.shape) - 1
    rng = np.random.default_rng(5)
    marks = [tuple((rng.integers(0, last + 1) * step).tolist()) for _ in range(4)]
    return Session(
        frames=(Frame(name="stack"), Frame(name="sxt")),
        datasets=(dataset,),
        links=(
            Link(
                id="l1",
                moving="stack",
                fixed="sxt",
                landmarks=tuple(
                    Landmark(id=str(i), moving=p, moving_sigma=(0.3, 0.2, 0.1), fixed=(0.0,) * 3)
                    for i, p in enumerate(marks)
                ),
            ),
            Link(id="l2", moving="stack", fixed="sxt", kind="content", estimate=estimate(rng)),
            Link(id="l3", moving="sxt", fixed="stack", kind="content", estimate=estimate(rng)),
        ),
        targets=(Target(id="t", frame="stack", position=marks[0], sigma=(0.3, 0.2, 0.1)),),
    )


@settings(deadline=None, max_examples=60, suppress_health_check=list(HealthCheck))
@given(orientations, orientations)
def test_picks_stay_on_their_pixels(path, before, after):
    session = picked(path, before)
    turned = edits.set_orientation(session, "d", after)
    check(turned)
    assert turned.datasets[0].orientation == after
    old = [*session.links[0].landmarks, session.targets[0]]
    new = [*turned.links[0].landmarks, turned.targets[0]]
    for one, other in zip(old, new, strict=True):
        a = one.moving if isinstance(one, Landmark) else one.position
        b = other.moving if isinstance(other, Landmark) else other.position
        assert pixel_at(session, a) == pixel_at(turned, b)
    back = edits.set_orientation(turned, "d", before)
    assert back.datasets == session.datasets
    np.testing.assert_allclose(back.targets[0].position, session.targets[0].position, atol=1e-12)


@settings(deadline=None, max_examples=40, suppress_health_check=list(HealthCheck))
@given(orientations, orientations)
def test_stored_transforms_lead_to_the_same_places_with_the_same_error(path, before, after):
    session = picked(path, before)
    turned = edits.set_orientation(session, "d", after)
    old = np.array([mark.moving for mark in session.links[0].landmarks])
    new = np.array([mark.moving for mark in turned.links[0].landmarks])
    a, b = stored(session.links[1].estimate), stored(turned.links[1].estimate)
    np.testing.assert_allclose(b.transform(new), a.transform(old), atol=1e-9)
    np.testing.assert_allclose(b.predict_error(new), a.predict_error(old), atol=1e-8)

    points = np.random.default_rng(1).normal(size=(6, 3))
    a, b = stored(session.links[2].estimate), stored(turned.links[2].estimate)
    turn = np.linalg.lstsq(np.c_[old, np.ones(4)], new, rcond=None)[0]
    if np.linalg.matrix_rank(np.c_[old, np.ones(4)]) == 4:
        np.testing.assert_allclose(
            b.transform(points), np.c_[a.transform(points), np.ones(6)] @ turn, atol=1e-8
        )
    sizes = [np.linalg.det(one.predict_error(points)) for one in (a, b)]
    np.testing.assert_allclose(np.sqrt(sizes[0]), np.sqrt(sizes[1]), rtol=1e-6)


def test_sigmas_follow_their_axes(path):
    session = picked(path, Orientation(("z", "y", "x")), axial_scaling=1.0)
    turned = edits.set_orientation(session, "d", Orientation(("y", "z", "x"), ("x",)))
    assert turned.targets[0].sigma == pytest.approx((0.2, 0.3, 0.1))
    assert turned.datasets[0].scale == pytest.approx((0.2, 0.3, 0.1))
    assert turned.datasets[0].shape == (4, 3, 5)


def test_what_is_asked_for_already_changes_nothing(path):
    session = picked(path, Orientation(("z", "y", "x"), ("y",)))
    assert edits.set_orientation(session, "d", Orientation(("z", "y", "x"), ("y",))) is session
    assert edits.set_orientation(session, "d", Orientation((), ("y",))) is session


def image(**values):
    known = {"axes": ("y", "x"), "shape": (10, 20), "scale": (0.5, 0.25)}
    return Dataset(id="m", name="map", file=FileRef(path="map.mrc"), **known | values)


def test_the_stage_matrix_follows():
    to_stage = np.array([[1.0, 0.2, 30.0], [-0.1, 1.0, -40.0], [0.0, 0.0, 1.0]])
    stage = StagePosition((0.0, 30.0, -40.0), image_to_stage=tuple(map(tuple, to_stage.tolist())))
    before = Orientation(("y", "x"))
    session = edits.put(Session(), image(orientation=before, stage=stage))
    turned = edits.set_orientation(session, "m", Orientation(("x", "y"), ("y",)))
    dataset = turned.datasets[0]
    assert (dataset.shape, dataset.scale) == ((20, 10), (0.25, 0.5))
    # Column 3, row 2 of the old image is row 19 - 3, column 2 of the new one.
    old = to_stage @ [2 * 0.5, 3 * 0.25, 1.0]
    new = np.array(dataset.stage.image_to_stage) @ [(19 - 3) * 0.25, 2 * 0.5, 1.0]
    np.testing.assert_allclose(new, old, atol=1e-12)


def test_an_image_that_was_never_opened_just_takes_the_orientation():
    session = edits.put(Session(), Dataset(id="m", file=FileRef(path="map.mrc")))
    turned = edits.set_orientation(session, "m", Orientation(("x", "y")))
    assert turned.datasets[0].orientation.axes == ("x", "y")


def in_map(*items, **values):
    dataset = image(orientation=Orientation(("y", "x")), frame="map", **values)
    return edits.put(Session(), Frame(name="map", ndim=2), dataset, *items)


FLIPPED = Orientation(("y", "x"), ("x",))
CANNOT = {
    "unknown stored axes": (edits.put(Session(), image()), FLIPPED, "are not known; open its"),
    "other axes": (in_map(), Orientation(("z", "x")), "are not an order of those"),
    "flip of no axis": (in_map(), Orientation(("y", "x"), ("z",)), "can be flipped"),
    "no pixel size": (
        in_map(Target(frame="map", position=(1.0, 2.0)), scale=None),
        FLIPPED,
        "has no pixel size",
    ),
    "exposures": (
        in_map(Exposure(id="e", modality="tem", frame="map", aim=(0.0, 0.0))),
        FLIPPED,
        "Exposures are recorded in frame 'map'",
    ),
    "other images": (
        in_map(
            Target(frame="map", position=(1.0, 2.0)),
            Dataset(frame="map", file=FileRef(path="b.mrc")),
        ),
        FLIPPED,
        "Other images lie in frame 'map'",
    ),
}


@pytest.mark.parametrize("what", CANNOT)
def test_what_cannot_follow_is_said(what):
    session, orientation, expected = CANNOT[what]
    with pytest.raises(SessionError, match=expected):
        edits.set_orientation(session, "m", orientation)


def test_picks_in_space_follow_a_plane():
    session = in_map(Target(id="t", frame="map", position=(7.0, 1.0, 2.0), sigma=(3.0, 0.1, 0.2)))
    session = edits.amend(session, Frame, "map", ndim=3)
    turned = edits.set_orientation(session, "m", FLIPPED)
    assert turned.targets[0].position == pytest.approx((7.0, 1.0, 19 * 0.25 - 2.0))
    assert turned.targets[0].sigma == pytest.approx((3.0, 0.1, 0.2))


def test_planar_picks_follow_in_the_plane_only(path):
    session = picked(path, Orientation(("z", "y", "x")))
    flat = Link(
        id="flat", moving="stack", fixed="sxt", landmarks=(Landmark(id="p", moving=(0.2, 0.3)),)
    )
    session = edits.put(session, flat)
    turned = edits.set_orientation(session, "d", Orientation(("z", "x", "y")))
    assert edits.get_landmark(turned, "flat", "p").moving == pytest.approx((0.3, 0.2))
    with pytest.raises(SessionError, match="Landmark 'p' lies in the plane of an image whose z"):
        edits.set_orientation(session, "d", Orientation(("y", "z", "x")))
