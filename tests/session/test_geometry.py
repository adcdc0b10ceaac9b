"""A session's links as maps, its frames as a graph, its targets as places and rows."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from napari_clxem.errors import ClxemError, SessionError
from napari_clxem.frames import Affine, Calibration, UncertainAffine
from napari_clxem.session.geometry import estimate, graph, place, problems, solve, stored
from napari_clxem.session.model import Frame, Landmark, Link, Session, Target
from napari_clxem.session.summary import link_rows, nanometres, target_rows

SHIFT = (5.0, -3.0)


def marks(count=5, sigma=(0.02, 0.02), seed=0):
    points = np.random.default_rng(seed).uniform(0, 20, (count, 2))
    return tuple(
        Landmark(
            id=f"l{i}",
            moving=tuple(p.tolist()),
            fixed=tuple((p + SHIFT).tolist()),
            moving_sigma=sigma,
            fixed_sigma=sigma,
        )
        for i, p in enumerate(points)
    )


def session(**changes):
    link = Link(id="ab", moving="a", fixed="b", model="similarity", landmarks=marks())
    return Session(
        frames=(Frame(name="a", ndim=2, z=(0.0, 1.0)), Frame(name="b", ndim=2, z=(0.0, 1.0))),
        links=(replace(link, **changes),),
        targets=(Target(id="t", name="T", frame="a", position=(4.0, 6.0), sigma=(0.03, 0.04)),),
    )


def test_a_link_is_the_fit_through_its_landmarks():
    found = solve(session().links[0])
    np.testing.assert_allclose(found.transform([[1.0, 1.0]]), [[6.0, -2.0]], atol=1e-9)
    assert found.absolute


def test_unused_and_half_picked_landmarks_take_no_part():
    extra = (
        Landmark(id="x", moving=(0.0, 0.0), fixed=(99.0, 99.0), use=False),
        Landmark(id="y", moving=(0.0, 0.0)),
    )
    doc = session(landmarks=(*marks(), *extra))
    np.testing.assert_allclose(solve(doc.links[0]).transform([[1.0, 1.0]]), [[6.0, -2.0]])


def test_one_landmark_without_an_error_makes_all_weigh_the_same():
    free = replace(marks()[0], moving_sigma=None, fixed_sigma=None)
    assert not solve(session(landmarks=(free, *marks()[1:])).links[0]).absolute


def test_a_prior_and_robustness_are_part_of_the_link():
    found = solve(session(model="affine", prior=Calibration(), landmarks=marks(2)).links[0])
    assert np.isfinite(found.predict_error([[0.0, 0.0]])).all()
    bad = replace(marks()[2], fixed=(0.0, 50.0))
    doc = session(robust=True, landmarks=(*marks(8)[:2], bad, *marks(8)[3:]))
    assert list(solve(doc.links[0]).inliers) == [True, True, False, True, True, True, True, True]


def test_stored_estimates_come_back_as_they_were():
    original = UncertainAffine.declared(Affine.planar(20, 1.1, SHIFT).matrix, (3.0, 4.0), 0.5, 1.0)
    back = stored(estimate(original))
    np.testing.assert_array_equal(back.affine, original.affine)
    np.testing.assert_allclose(
        back.predict_error([[9.0, 9.0]]), original.predict_error([[9.0, 9.0]])
    )


def test_a_link_that_cannot_be_solved_is_said_and_left_out():
    doc = session(landmarks=marks(1))
    assert "pick 1 more" in problems(doc)["ab"]
    assert graph(doc).links == ()
    assert place(doc, doc.targets[0], "b") is None
    row = link_rows(doc, doc.targets[0])[0]
    assert row.lateral is None
    assert "pick 1 more" in row.notes[0]
    with pytest.raises(SessionError, match="declare or measure"):
        solve(Link(id="s", moving="a", fixed="b", kind="stage"))
    with pytest.raises(ClxemError, match="no complete landmark"):
        solve(session(landmarks=()).links[0])


def test_a_target_is_placed_with_its_own_error():
    doc = session()
    found = place(doc, doc.targets[0], "b")
    assert found is not None
    np.testing.assert_allclose(found.position, (9.0, 3.0), atol=1e-9)
    alone = place(replace(doc, targets=()), replace(doc.targets[0], sigma=None), "b")
    assert alone is not None
    assert found.lateral**2 == pytest.approx(alone.lateral**2 + 0.03**2 + 0.04**2, rel=1e-3)
    assert found.radius > found.lateral
    assert found.axial is None
    assert found.frames == ("a", "b")


def test_the_graph_is_made_once_for_one_set_of_links():
    doc = session()
    assert graph(doc) is graph(replace(doc, name="another"))
    assert graph(doc) is not graph(session(model="rigid"))


def test_rows_say_what_a_person_asks():
    doc = session()
    row = link_rows(doc, doc.targets[0])[0]
    assert (row.name, row.landmarks, row.offered) == ("a → b", 5, 5)
    assert row.fre == pytest.approx(0.0, abs=1e-9)
    assert row.lateral is not None
    assert 0 < row.lateral < 0.05
    (target,) = target_rows(doc, "b")
    assert target.way == "a – b"
    assert target_rows(doc, "a")[0].lateral == pytest.approx(0.05)


def test_lengths_for_people():
    assert nanometres(0.0431) == "43 nm"
    assert nanometres(25.0) == "25.0 µm"
    assert nanometres(None) == nanometres(float("nan")) == "–"
